//! Tag templates: `product:{product_id}` with the names of the rule's pattern filled in.

use crate::error::ConfigError;
use crate::pattern::{Captures, Pattern};

/// The longest tag kept on an entry, in bytes. A longer one is cut off there at a character
/// boundary when it is stored and when it is invalidated, so that both still agree.
pub const MAX_TAG_BYTES: usize = 256;

/// Most tags are no longer than this.
const USUAL_TAG_BYTES: usize = 64;

/// A tag with `{name}` places, compiled against the pattern that names them.
#[derive(Clone, Debug)]
pub struct TagTemplate(Box<[Part]>);

#[derive(Clone, Debug)]
enum Part {
    Text(Box<str>),
    Name(Box<str>),
}

impl TagTemplate {
    /// Compiles a template whose names must all be names of `pattern`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for an empty tag, an unclosed brace, or a name the pattern does not have.
    pub fn compile(setting: &str, text: &str, pattern: &Pattern) -> Result<Self, ConfigError> {
        let refuse = |remedy: String| Err(ConfigError::new(setting, text, remedy));
        if text.is_empty() {
            return refuse("a tag has at least one character".into());
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            if !before.is_empty() {
                parts.push(Part::Text(before.into()));
            }
            let Some((name, beyond)) = after.split_once('}') else {
                return refuse("close the \"{\" with \"}\", as in \"product:{product_id}\"".into());
            };
            if !pattern.names().any(|known| known == name) {
                let known: Vec<String> = pattern.names().map(|known| format!("{{{known}}}")).collect();
                return refuse(format!(
                    "the pattern \"{}\" has no {{{name}}}; it has {}",
                    pattern.as_str(),
                    if known.is_empty() { "no names".into() } else { known.join(", ") }
                ));
            }
            parts.push(Part::Name(name.into()));
            rest = beyond;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.into()));
        }
        Ok(Self(parts.into()))
    }

    /// The tag for one path.
    #[must_use]
    pub fn render(&self, captures: &Captures<'_>) -> String {
        let mut tag = String::with_capacity(USUAL_TAG_BYTES);
        for part in &self.0 {
            tag.push_str(match part {
                Part::Text(text) => text,
                Part::Name(name) => captures.get(name).unwrap_or_default(),
            });
        }
        tag.truncate(clip(&tag).len());
        tag
    }
}

/// The part of a tag that counts: at most [`MAX_TAG_BYTES`], cut at a character boundary.
#[must_use]
pub fn clip(tag: &str) -> &str {
    let mut end = tag.len().min(MAX_TAG_BYTES);
    while !tag.is_char_boundary(end) {
        end -= 1;
    }
    &tag[..end]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_are_filled_in_from_the_path() {
        let pattern = Pattern::whole("rule", "/shops/{shop}/products/{id}").unwrap();
        let template = TagTemplate::compile("tags", "{shop}:product:{id}", &pattern).unwrap();
        assert_eq!(template.render(&pattern.captures("/shops/a/products/42")), "a:product:42");
    }

    #[test]
    fn a_name_the_pattern_does_not_have_is_refused_and_the_known_ones_are_listed() {
        let pattern = Pattern::whole("rule", "/products/{id}").unwrap();
        let error = TagTemplate::compile("rules[0].tags", "product:{product_id}", &pattern).unwrap_err();
        assert!(error.to_string().contains("it has {id}"), "{error}");
        assert!(TagTemplate::compile("tags", "product:{id", &pattern).is_err());
        assert!(TagTemplate::compile("tags", "", &pattern).is_err());
    }

    #[test]
    fn a_long_tag_is_cut_at_a_character_boundary() {
        assert_eq!(clip(&"é".repeat(200)).len(), MAX_TAG_BYTES);
        assert_eq!(clip(&format!("a{}", "é".repeat(200))).len(), MAX_TAG_BYTES - 1);
    }
}
