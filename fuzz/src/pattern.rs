//! Path patterns, against a slow matcher that tries every way. The first line is a pattern, the second a path.

use hotplate::pattern::{Pattern, is_below};

use crate::input::Input;

/// Where to begin. The last would take years if every star were tried against every character.
pub const SEEDS: &[&[u8]] = &[
    b"/products/{id}\n/products/42",
    b"/files/{name}.json\n/files/a.json.json",
    b"/{tenant}/items/*/x\n/t/items/a/b/x",
    b"/static/{rest:path}\n/static/a/b/c",
    b"/*/a*b*\xc3\xa9/{x}\n//aabb\xc3\xa9/b",
    b"/admin/\n/admin/users",
    b"/{a}{b}/{c:path}x*\n/ab/xx",
    b"/{\n/",
    b"/*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*ab\n/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

/// Matching agrees with the slow matcher, and captures are what the pattern says; where a pattern leaves open how much
/// a name takes, a match is still one the slow matcher finds.
pub fn check(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (text, path) = (input.text(), input.text());
    let Ok(pattern) = Pattern::whole("rule", &text) else {
        assert!(Pattern::prefix_or_glob("exclude", &text).is_err(), "one language, two opinions");
        return;
    };
    assert_eq!(pattern.as_str(), text);
    let pieces = pieces(&text);
    let matched = pattern.matches(&path);
    let slowly = search(&pieces, &path);
    if is_definite(&pieces) {
        assert_eq!(matched, slowly, "{text} on {path}");
    } else {
        assert!(slowly || !matched, "{text} on {path}");
    }

    let captures = pattern.captures(&path);
    for (name, whole) in names(&pieces) {
        assert_eq!(captures.get(name).is_some(), matched, "{name} in {text} on {path}");
        let Some(value) = captures.get(name) else { continue };
        assert!(
            !value.is_empty() && path.contains(value) && (whole || !value.contains('/')),
            "{name}={value}"
        );
    }

    let plain = !text.contains(['*', '{']);
    let listed = Pattern::prefix_or_glob("exclude", &text).expect("as the rule").matches(&path);
    assert_eq!(listed, if plain { is_below(&text, &path) } else { matched }, "{text} on {path}");
    assert!(!matched || listed, "a path is not below itself");
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Piece<'a> {
    Character(char),
    Any,
    Name(&'a str),
    Rest(&'a str),
}

/// The pieces of a text that is known to be a pattern.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        pieces.push(match character {
            '*' => Piece::Any,
            '{' => {
                let (inside, after) = rest.split_once('}').expect("it is closed");
                rest = after;
                inside.strip_suffix(":path").map_or(Piece::Name(inside), Piece::Rest)
            }
            other => Piece::Character(other),
        });
    }
    pieces
}

/// The names, and whether each may hold a `/`.
fn names<'p, 'a>(pieces: &'p [Piece<'a>]) -> impl Iterator<Item = (&'a str, bool)> + use<'p, 'a> {
    pieces.iter().filter_map(|piece| match piece {
        Piece::Name(name) => Some((*name, false)),
        Piece::Rest(name) => Some((*name, true)),
        Piece::Character(_) | Piece::Any => None,
    })
}

/// Whether every name takes all of a segment, or all that is left, so that there is one way to match it.
fn is_definite(pieces: &[Piece<'_>]) -> bool {
    pieces.iter().zip(pieces.iter().skip(1).map(Some).chain([None])).all(|(piece, next)| match piece {
        Piece::Name(_) => matches!(next, None | Some(Piece::Character('/'))),
        Piece::Rest(_) => next.is_none(),
        Piece::Character(_) | Piece::Any => true,
    })
}

/// Whether there is any way to match: which prefixes of the path each prefix of the pattern matches, in a table.
fn search(pieces: &[Piece<'_>], path: &str) -> bool {
    let path: Vec<char> = path.chars().collect();
    let mut reached = vec![false; path.len() + 1];
    reached[0] = true;
    for piece in pieces {
        let mut next = vec![false; path.len() + 1];
        for end in 0..=path.len() {
            let last = end.checked_sub(1).map(|index| (path[index], reached[index], next[index]));
            next[end] = match (piece, last) {
                (Piece::Any, last) => reached[end] || last.is_some_and(|(_, _, longer)| longer),
                (_, None) => false,
                (Piece::Character(expected), Some((found, before, _))) => before && found == *expected,
                (Piece::Name(_), Some((found, before, longer))) => found != '/' && (before || longer),
                (Piece::Rest(_), Some((_, before, longer))) => before || longer,
            };
        }
        reached = next;
    }
    reached[path.len()]
}
