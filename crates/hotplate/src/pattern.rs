//! Path patterns: how rules, `include` and `exclude` name paths.
//!
//! One small language, matched against the percent-decoded path as the application sees it:
//!
//! | text | matches |
//! | --- | --- |
//! | `/products` | that path (as a rule), or that path and all below it (in `include` and `exclude`) |
//! | `*` | any run of characters, `/` included, also none |
//! | `{name}` | one path segment, not empty, remembered under `name` for tag templates |
//! | `{name:path}` | the rest, `/` included, not empty, remembered under `name` |
//!
//! A pattern is compiled once. The literal text before the first wildcard is compared first (of a list of rules, that
//! of all of them: `opening`), so that most patterns which do not match cost one short comparison.
//!
//! Not done: character classes, `?`, alternatives. A second pattern says the same more clearly.

mod opening;

use crate::error::ConfigError;

pub(crate) use opening::{Beginning, Opening};

/// One piece of a compiled pattern.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Piece {
    /// This text, byte for byte.
    Text(Box<str>),
    /// `*`: any run of characters.
    Any,
    /// `{name}`: one segment.
    Segment(Box<str>),
    /// `{name:path}`: everything that is left to match.
    Rest(Box<str>),
}

/// A compiled path pattern. See the module's table for its language.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: Box<str>,
    pieces: Box<[Piece]>,
    prefix: bool,
}

/// What the `{name}` pieces of a pattern matched, in the order of the pattern.
///
/// Borrows from the pattern and the path; made on a miss only, when tags are rendered.
#[derive(Clone, Debug, Default)]
pub struct Captures<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Captures<'a> {
    /// The text matched under `name`, if the pattern has that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}

impl Pattern {
    /// Compiles the pattern of a rule: it must match the whole path.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when the text does not start with `/` or `*`, or has an unclosed, empty or
    /// repeated `{name}`.
    pub fn whole(setting: &str, text: &str) -> Result<Self, ConfigError> {
        Self::compile(setting, text, false)
    }

    /// Compiles an entry of `include` or `exclude`: text without wildcards is a path prefix that
    /// ends on a segment boundary (`/admin` covers `/admin` and `/admin/users`, not `/administer`).
    ///
    /// # Errors
    ///
    /// As [`Pattern::whole`].
    pub fn prefix_or_glob(setting: &str, text: &str) -> Result<Self, ConfigError> {
        Self::compile(setting, text, true)
    }

    fn compile(setting: &str, text: &str, prefix: bool) -> Result<Self, ConfigError> {
        let refuse = |remedy: &'static str| Err(ConfigError::new(setting, text, remedy));
        if !text.starts_with('/') && !text.starts_with('*') {
            return refuse("a path pattern starts with \"/\" or \"*\", as in \"/products/{product_id}\"");
        }
        let mut pieces: Vec<Piece> = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            let after = &rest[character.len_utf8()..];
            match character {
                '*' => {
                    push_text(&mut pieces, &mut literal);
                    if pieces.last() != Some(&Piece::Any) {
                        pieces.push(Piece::Any);
                    }
                    rest = after;
                }
                '{' => {
                    push_text(&mut pieces, &mut literal);
                    let Some((inside, beyond)) = after.split_once('}') else {
                        return refuse("close the \"{\" with \"}\", as in \"/products/{product_id}\"");
                    };
                    let (name, whole_rest) = match inside.split_once(':') {
                        None => (inside, false),
                        Some((name, "path")) => (name, true),
                        Some(_) => return refuse("the only converter is \"path\", as in \"{name:path}\""),
                    };
                    if !is_name(name) {
                        return refuse(
                            "a name in braces is letters, digits and \"_\", as in \"{product_id}\"",
                        );
                    }
                    if names.contains(&name) {
                        return refuse("each name may stand once in a pattern");
                    }
                    names.push(name);
                    pieces.push(if whole_rest {
                        Piece::Rest(name.into())
                    } else {
                        Piece::Segment(name.into())
                    });
                    rest = beyond;
                }
                '}' => return refuse("there is a \"}\" without its \"{\""),
                other => {
                    literal.push(other);
                    rest = after;
                }
            }
        }
        push_text(&mut pieces, &mut literal);
        let plain = matches!(pieces.as_slice(), [Piece::Text(_)]);
        Ok(Self { text: text.into(), pieces: pieces.into(), prefix: prefix && plain })
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names a tag template may use.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Segment(name) | Piece::Rest(name) => Some(&**name),
            Piece::Text(_) | Piece::Any => None,
        })
    }

    /// Whether the path matches. Does not allocate.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        if self.prefix {
            return is_below(&self.text, path);
        }
        walk(&self.pieces, path, &mut |_, _| ())
    }

    /// What the names of the pattern matched in `path`; empty when it does not match.
    #[must_use]
    pub fn captures<'a>(&'a self, path: &'a str) -> Captures<'a> {
        let mut found: Vec<(&'a str, &'a str)> = Vec::new();
        let matched = walk(&self.pieces, path, &mut |name, value| {
            // A later attempt of the same name overrides an earlier one that led nowhere.
            found.retain(|(known, _)| *known != name);
            found.push((name, value));
        });
        if matched { Captures(found) } else { Captures::default() }
    }
}

/// Whether `path` is `prefix` or lies below it, on a segment boundary.
#[must_use]
pub fn is_below(prefix: &str, path: &str) -> bool {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn push_text(pieces: &mut Vec<Piece>, literal: &mut String) {
    if !literal.is_empty() {
        pieces.push(Piece::Text(std::mem::take(literal).into()));
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Matches `path` against `pieces`, telling `remember` of every tentative capture; captures of the
/// successful attempt are told last.
///
/// Classic two-pointer wildcard matching: on failure only the nearest `*` is retried one character
/// further, so the cost is bounded by pieces × characters and hostile paths cannot blow it up.
fn walk<'a>(pieces: &'a [Piece], path: &'a str, remember: &mut dyn FnMut(&'a str, &'a str)) -> bool {
    let mut piece = 0;
    let mut rest = path;
    let mut retry: Option<(usize, &'a str)> = None;
    loop {
        let step = match pieces.get(piece) {
            None if rest.is_empty() => return true,
            None => None,
            Some(Piece::Text(text)) => rest.strip_prefix(&**text),
            Some(Piece::Any) => {
                retry = Some((piece, rest));
                Some(rest)
            }
            Some(Piece::Segment(name)) => {
                let end = segment_end(rest, pieces.get(piece + 1));
                (end > 0).then(|| {
                    remember(name, &rest[..end]);
                    &rest[end..]
                })
            }
            Some(Piece::Rest(name)) => {
                let end = rest_end(rest, pieces.get(piece + 1));
                (end > 0).then(|| {
                    remember(name, &rest[..end]);
                    &rest[end..]
                })
            }
        };
        match step {
            Some(remaining) => {
                rest = remaining;
                piece += 1;
            }
            None => {
                let Some((any, from)) = retry else { return false };
                let Some(character) = from.chars().next() else { return false };
                let from = &from[character.len_utf8()..];
                retry = Some((any, from));
                rest = from;
                piece = any + 1;
            }
        }
    }
}

/// Where a `{name}` ends: at the next `/`, or earlier where the literal that follows it in the same
/// segment begins (`/files/{name}.json`; its last occurrence, so that `a.json.json` works).
fn segment_end(rest: &str, next: Option<&Piece>) -> usize {
    let segment = &rest[..rest.find('/').unwrap_or(rest.len())];
    match next {
        Some(Piece::Text(text)) if !text.starts_with('/') => {
            let within = text.split('/').next().unwrap_or(text);
            segment.rfind(within).unwrap_or(0)
        }
        _ => segment.len(),
    }
}

/// Where a `{name:path}` ends: at the last occurrence of the literal that follows it, else at the end.
fn rest_end(rest: &str, next: Option<&Piece>) -> usize {
    match next {
        Some(Piece::Text(text)) => rest.rfind(&**text).unwrap_or(0),
        _ => rest.len(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_rule_pattern_matches_the_whole_path() {
        for (pattern, path, expected) in [
            ("/products", "/products", true),
            ("/products", "/products/42", false),
            ("/products/*", "/products/42", true),
            ("/products/*", "/products/42/reviews", true),
            ("/products/*", "/products/", true),
            ("/products/*", "/products", false),
            ("/products/{id}", "/products/42", true),
            ("/products/{id}", "/products/42/reviews", false),
            ("/products/{id}", "/products/", false),
            ("/files/{name}.json", "/files/a.json", true),
            ("/files/{name}.json", "/files/a.json.json", true),
            ("/files/{name}.json", "/files/.json", false),
            ("/static/{rest:path}", "/static/a/b/c", true),
            ("/{tenant}/items/*/x", "/t/items/a/b/x", true),
            ("/{tenant}/items/*/x", "/t/items/a/b/y", false),
            ("*", "/anything/at/all", true),
            ("*.json", "/a/b.json", true),
            ("/*/edit", "/a/edit/edit", true),
            ("/é/*", "/é/ü", true),
        ] {
            assert_eq!(
                Pattern::whole("rule", pattern).unwrap().matches(path),
                expected,
                "{pattern} on {path}"
            );
        }
    }

    #[test]
    fn plain_text_in_include_and_exclude_is_a_prefix_on_a_segment_boundary() {
        for (pattern, path, expected) in [
            ("/admin", "/admin", true),
            ("/admin", "/admin/users", true),
            ("/admin", "/administer", false),
            ("/admin/", "/admin/users", true),
            ("/admin/", "/admin", true),
            ("/", "/x", true),
            ("/auth/*", "/auth/login", true),
            ("/auth/*", "/auth", false),
        ] {
            let compiled = Pattern::prefix_or_glob("exclude", pattern).unwrap();
            assert_eq!(compiled.matches(path), expected, "{pattern} on {path}");
        }
    }

    #[test]
    fn names_capture_what_they_matched() {
        let pattern = Pattern::whole("rule", "/{tenant}/products/{id}/{rest:path}").unwrap();
        let captures = pattern.captures("/acme/products/42/a/b");
        assert_eq!(captures.get("tenant"), Some("acme"));
        assert_eq!(captures.get("id"), Some("42"));
        assert_eq!(captures.get("rest"), Some("a/b"));
        assert_eq!(captures.get("other"), None);
    }

    #[test]
    fn malformed_patterns_are_refused_with_the_remedy() {
        for text in ["products", "", "/a/{", "/a/{}", "/a/{x y}", "/{a}/{a}", "/a}", "/{a:int}"] {
            let error = Pattern::whole("rules[0].pattern", text).unwrap_err().to_string();
            assert!(error.contains("rules[0].pattern"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn matching_is_total_and_agrees_with_capturing(text in "[/a*{}:b.]{0,12}", path in "[/ab.]{0,24}") {
            if let Ok(pattern) = Pattern::whole("rule", &text) {
                let matched = pattern.matches(&path);
                let captures = pattern.captures(&path);
                prop_assert!(matched || captures.0.is_empty());
            }
        }

        #[test]
        fn a_literal_pattern_matches_only_itself(path in "/[a-z/]{0,20}", other in "/[a-z/]{0,20}") {
            let pattern = Pattern::whole("rule", &path).unwrap();
            prop_assert_eq!(pattern.matches(&other), path == other);
        }
    }
}
