//! Field lines and tags in one block of memory, written once and read in order.
//!
//! A field line is the number of a well-known name in [`NAMES`], the length of its value and the value. Number 0 says
//! that the name is not well known: its length and text come before the value. A tag is its length and text. Lengths
//! are written as [`leb128`] says. A name is only replaced by its number when it is
//! written in lower case, so what is read is byte for byte what was stored.

use crate::leb128;

/// The names with numbers, from 1. Part of the stored format: add at the end, never move one.
const NAMES: [&str; 56] = [
    "content-type",
    "content-length",
    "cache-control",
    "etag",
    "date",
    "last-modified",
    "expires",
    "vary",
    "content-encoding",
    "content-language",
    "content-location",
    "content-disposition",
    "content-security-policy",
    "content-security-policy-report-only",
    "location",
    "link",
    "server",
    "set-cookie",
    "age",
    "via",
    "warning",
    "pragma",
    "allow",
    "accept-ranges",
    "accept-ch",
    "retry-after",
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-expose-headers",
    "access-control-max-age",
    "strict-transport-security",
    "x-content-type-options",
    "x-frame-options",
    "x-xss-protection",
    "referrer-policy",
    "permissions-policy",
    "cross-origin-opener-policy",
    "cross-origin-embedder-policy",
    "cross-origin-resource-policy",
    "origin-agent-cluster",
    "timing-allow-origin",
    "server-timing",
    "alt-svc",
    "nel",
    "report-to",
    "reporting-endpoints",
    "x-request-id",
    "x-correlation-id",
    "x-process-time",
    "x-powered-by",
    "x-robots-tag",
    "cache-status",
    "cdn-cache-control",
    "cache-groups",
];

/// The longest of them.
const LONGEST: usize = 35;

/// The numbers of [`NAMES`] by the length of the name, and where those of each length begin: few names are as long as
/// another one, so few are compared.
static BY_LENGTH: ([u8; NAMES.len()], [u8; LONGEST + 2]) = {
    let (mut numbers, mut starts) = ([0; NAMES.len()], [0; LONGEST + 2]);
    let (mut length, mut place) = (0, 0);
    while length <= LONGEST {
        let mut index = 0;
        while index < NAMES.len() {
            if NAMES[index].len() == length {
                numbers[place] = index as u8 + 1;
                place += 1;
            }
            index += 1;
        }
        length += 1;
        starts[length] = place as u8;
    }
    (numbers, starts)
};

/// A field line: name and value.
type Line<'a> = (&'a [u8], &'a [u8]);

/// Appends a field line. Nothing is written, and `false` returned, when a part is over 4 GiB.
pub(super) fn push_field(block: &mut Vec<u8>, name: &[u8], value: &[u8]) -> bool {
    let (Ok(name_length), Ok(value_length)) = (u32::try_from(name.len()), u32::try_from(value.len())) else {
        return false;
    };
    match number_of(name) {
        Some(number) => block.push(number),
        None => {
            block.push(0);
            leb128::push(block, name_length);
            block.extend_from_slice(name);
        }
    }
    leb128::push(block, value_length);
    block.extend_from_slice(value);
    true
}

/// Appends a tag. Nothing is written, and `false` returned, when it is over 4 GiB.
pub(super) fn push_tag(block: &mut Vec<u8>, tag: &str) -> bool {
    let Ok(length) = u32::try_from(tag.len()) else {
        return false;
    };
    leb128::push(block, length);
    block.extend_from_slice(tag.as_bytes());
    true
}

/// The first field line of `block`, and what follows it; `None` where no whole line begins.
pub(super) fn next_field(block: &[u8]) -> Option<(Line<'_>, &[u8])> {
    let (number, rest) = block.split_first()?;
    let (name, rest) = match number {
        0 => split_text(rest)?,
        number => (NAMES.get(usize::from(*number) - 1)?.as_bytes(), rest),
    };
    let (value, rest) = split_text(rest)?;
    Some(((name, value), rest))
}

/// The first tag of `block`, and what follows it; `None` where no whole tag begins.
fn next_tag(block: &[u8]) -> Option<(&str, &[u8])> {
    let (tag, rest) = split_text(block)?;
    Some((std::str::from_utf8(tag).ok()?, rest))
}

/// The tags of `block`.
pub(super) fn tags(block: &[u8]) -> impl Iterator<Item = &str> {
    let mut rest = block;
    std::iter::from_fn(move || {
        let (tag, after) = next_tag(rest)?;
        rest = after;
        Some(tag)
    })
}

/// Whether `fields` and `tags` are whole lines and tags to their end.
pub(super) fn are_whole(mut fields: &[u8], mut tags: &[u8]) -> bool {
    while let Some((_, rest)) = next_field(fields) {
        fields = rest;
    }
    while let Some((_, rest)) = next_tag(tags) {
        tags = rest;
    }
    fields.is_empty() && tags.is_empty()
}

fn number_of(name: &[u8]) -> Option<u8> {
    let (numbers, starts) = &BY_LENGTH;
    let (start, end) = (*starts.get(name.len())?, *starts.get(name.len() + 1)?);
    let as_long = &numbers[usize::from(start)..usize::from(end)];
    as_long.iter().copied().find(|number| NAMES[usize::from(*number) - 1].as_bytes() == name)
}

fn split_text(block: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = leb128::split(block)?;
    rest.split_at_checked(usize::try_from(length).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbered_names_are_lower_case_and_each_there_once() {
        let mut names = NAMES.to_vec();
        assert!(
            names.iter().all(|name| { name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-') })
        );
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), NAMES.len());
    }

    #[test]
    fn every_name_has_the_number_of_its_place_and_no_other_name_has_one() {
        for (index, name) in NAMES.iter().enumerate() {
            assert_eq!(number_of(name.as_bytes()).map(usize::from), Some(index + 1), "{name}");
        }
        for other in ["", "x", "Etag", "content-typo", &"x".repeat(LONGEST), &"x".repeat(LONGEST + 1)] {
            assert_eq!(number_of(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn the_numbers_of_the_format_do_not_move() {
        for (number, name) in [(1, "content-type"), (4, "etag"), (18, "set-cookie"), (56, "cache-groups")] {
            assert_eq!(number_of(name.as_bytes()), Some(number), "{name}");
        }
    }

    #[test]
    fn a_name_in_other_letters_is_read_as_it_was_written() {
        for name in ["ETag", "etag", "X-Made-Up", ""] {
            let mut block = Vec::new();
            assert!(push_field(&mut block, name.as_bytes(), b"v"));
            assert_eq!(next_field(&block), Some(((name.as_bytes(), &b"v"[..]), &b""[..])), "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_block_is_read_to_some_end(block in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = are_whole(&block, &block);
        }
    }
}
