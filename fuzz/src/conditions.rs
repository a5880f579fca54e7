//! Entity tags and the lists of them. The first line is a stored `ETag`, the rest are lines of `If-None-Match`.

use hotplate_policy::etag::{Condition, EntityTag, conditions, conditions_in};
use hotplate_policy::fields::{Fields, trim_ows};
use hotplate_policy::request::RequestHead;
use hotplate_policy::time::Timestamp;
use hotplate_policy::validation::{Precondition, evaluate, freshens};

use crate::input::{Input, lines_of};

/// Where to begin.
pub const SEEDS: &[&[u8]] = &[
    b"\"a\"\n\"a,b\" , W/\"c\", W/\"a\"",
    b"W/\"a\"\n*\n\"b\"",
    b"bare\nbare, \"open, \"x\"y, *, \"a\"",
    b"\"\"\n,, \"\" ,W/, w/\"a\"",
    b"W/W/\"a\"\nW/*, W/W/a",
];

/// Reading a list is total and the same again after writing it; weak comparison includes strong; and a response is not
/// modified exactly when its tag, or anything, was named.
pub fn check(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let stored = input.line();
    let values = input.block();
    let lines = lines_of(b"if-none-match", &values);
    let asked: Vec<Condition<'_>> = conditions(Fields::new(&lines), "if-none-match").collect();
    let by_line: Vec<Condition<'_>> = values.iter().flat_map(|line| conditions_in(line)).collect();
    assert_eq!(asked, by_line, "a list goes over all its lines");

    for line in &values {
        assert!(
            conditions_in(line).filter_map(tag_of).all(|tag| stands_alone(tag, line)),
            "a piece of a member"
        );
    }

    let tags: Vec<EntityTag<'_>> = asked.iter().filter_map(|condition| tag_of(*condition)).collect();
    let written = tags.iter().map(|tag| write(*tag)).collect::<Vec<_>>().join(&b", "[..]);
    let again: Vec<EntityTag<'_>> = conditions_in(&written).filter_map(tag_of).collect();
    assert_eq!(again, tags, "not the tags that were written");

    let own = EntityTag::parse(stored);
    for tag in tags.iter().copied().chain(own) {
        let text = write(tag);
        assert_eq!(EntityTag::parse(&text), Some(tag), "not the tag that was written");
        assert!(tag.weak_eq(tag) && tag.strong_eq(tag) != tag.weak);
        for other in &tags {
            assert!(!tag.strong_eq(*other) || tag.weak_eq(*other), "strong and not weak");
            assert_eq!(tag.weak_eq(*other), other.weak_eq(tag));
            assert_eq!(tag.strong_eq(*other), other.strong_eq(tag));
        }
    }

    let named = asked.iter().any(|condition| match condition {
        Condition::Any => true,
        Condition::Tag(tag) => own.is_some_and(|own| own.weak_eq(*tag)),
    });
    let expected = if named { Precondition::NotModified } else { Precondition::Proceed };
    let request = RequestHead::new("GET", Fields::new(&lines));
    let date = Timestamp::from_unix_seconds(0);
    assert_eq!(evaluate(&request, Some(stored), None, date, 200), expected);
    assert_eq!(evaluate(&request, Some(stored), None, date, 404), Precondition::Proceed);
    if own.is_some() {
        assert!(freshens(Some(stored), None, Fields::new(&[(b"etag", stored)])), "its own tag is of another");
    }
}

fn tag_of(condition: Condition<'_>) -> Option<EntityTag<'_>> {
    match condition {
        Condition::Any => None,
        Condition::Tag(tag) => Some(tag),
    }
}

/// Whether the tag, which is borrowed from the line, is one whole member of it.
fn stands_alone(tag: EntityTag<'_>, line: &[u8]) -> bool {
    let start = tag.opaque.as_ptr() as usize - line.as_ptr() as usize;
    let (before, after) = (&line[..start], &line[start + tag.opaque.len()..]);
    let before = if tag.weak { before.strip_suffix(b"W/") } else { Some(before) };
    before.is_some_and(|before| matches!(before, [] | [.., b',' | b' ' | b'\t']))
        && matches!(trim_ows(after), [] | [b',', ..])
}

fn write(tag: EntityTag<'_>) -> Vec<u8> {
    [if tag.weak { &b"W/"[..] } else { b"" }, tag.opaque].concat()
}
