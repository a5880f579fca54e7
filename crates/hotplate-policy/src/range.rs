//! Parts of a representation: what a `Range` asks for and how the answer is written.
//!
//! # Flow
//!
//! A stored 200 answers a range request in three steps: [`if_range_matches`] says whether the condition on the range
//! holds, [`parse`] turns `Range` into byte positions, and [`content_range`], [`multipart`] or [`unsatisfied`] write
//! what a 206 or 416 says.
//!
//! # Scope
//!
//! Bytes only. Whatever is invalid, unknown or unreasonable is answered in full, which RFC 9110 §14.2 always allows.
//! Partial responses of an origin are not combined here.
//!
//! Reading list: RFC 9110 §14, §13.1.5 (`If-Range`), §15.3.7 (206), §15.5.17 (416).

use std::fmt;
use std::ops;

use crate::etag::EntityTag;
use crate::fields::{is_token, split_members, trim_ows};
use crate::time::{Timestamp, decimal};

/// More ranges than this in one request are answered with the whole representation.
///
/// Source: RFC 9110 §14.2 and §17.15, on requests for many small ranges.
///
/// ```
/// use hotplate_policy::range::{MOST_RANGES, RangeRequest, parse};
/// let many = format!("bytes={}", vec!["0-0"; MOST_RANGES + 1].join(","));
/// assert_eq!(parse(Some(many.as_bytes()), 10), RangeRequest::None);
/// ```
pub const MOST_RANGES: usize = 16;

/// Positions of bytes, first and last included, within a representation that has them.
///
/// ```
/// use hotplate_policy::range::ByteRange;
/// let range = ByteRange { start: 2, end_inclusive: 4 };
/// assert_eq!(range.length(), 3);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ByteRange {
    /// The first byte, counted from zero.
    pub start: u64,
    /// The last byte; never less than `start` in what [`parse`] gives.
    pub end_inclusive: u64,
}

impl ByteRange {
    /// How many bytes it holds.
    ///
    /// ```
    /// # use hotplate_policy::range::ByteRange;
    /// assert_eq!(ByteRange { start: 0, end_inclusive: 0 }.length(), 1);
    /// ```
    #[must_use]
    pub const fn length(self) -> u64 {
        self.end_inclusive.saturating_sub(self.start).saturating_add(1)
    }

    /// The same as indices into a body of `length` bytes, or `None` when it reaches outside of it.
    ///
    /// ```
    /// # use hotplate_policy::range::ByteRange;
    /// let range = ByteRange { start: 1, end_inclusive: 2 };
    /// assert_eq!(range.within(3), Some(1..3));
    /// assert_eq!(range.within(2), None);
    /// ```
    #[must_use]
    pub fn within(self, length: usize) -> Option<ops::Range<usize>> {
        let start = usize::try_from(self.start).ok()?;
        let end = usize::try_from(self.end_inclusive).ok()?.checked_add(1)?;
        (start < end && end <= length).then_some(start..end)
    }

    const fn overlaps(self, other: Self) -> bool {
        self.start <= other.end_inclusive && other.start <= self.end_inclusive
    }
}

/// What a `Range` field asks of a representation of known length.
///
/// ```
/// use hotplate_policy::range::{ByteRange, RangeRequest, parse};
/// let last_two = ByteRange { start: 8, end_inclusive: 9 };
/// assert_eq!(parse(Some(b"bytes=-2"), 10), RangeRequest::Single(last_two));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangeRequest {
    /// Answer with all of it: no range was asked for, or nothing that can be understood.
    None,
    /// Answer 206 with this part.
    Single(ByteRange),
    /// Answer 206 with these parts as `multipart/byteranges`; two or more, in the order asked for, not overlapping.
    Several(Vec<ByteRange>),
    /// Answer 416: it was understood, and the representation has no such bytes.
    Unsatisfiable,
}

/// Whether a `Range` is in another unit than bytes: then it means something to the origin alone.
///
/// What names no unit at all is no range, and is ignored where it stands.
///
/// Source: RFC 9110 §14.1.
///
/// ```
/// use hotplate_policy::range::is_in_another_unit;
///
/// assert!(is_in_another_unit(b"items=0-1"));
/// assert!(!is_in_another_unit(b"Bytes=0-1") && !is_in_another_unit(b"=0-1"));
/// ```
#[must_use]
pub fn is_in_another_unit(range: &[u8]) -> bool {
    split_once(trim_ows(range), b'=')
        .is_some_and(|(unit, _)| is_token(unit) && !unit.eq_ignore_ascii_case(b"bytes"))
}

/// Reads the value of a `Range` field against a representation of `length` bytes.
///
/// **Returns** [`RangeRequest::None`] for an unknown unit, an invalid specifier, ranges that overlap and more than
/// [`MOST_RANGES`] of them: all may be answered in full. Numbers beyond 64 bits count as the greatest. **Cost**:
/// allocates only for several ranges. The caller has checked that the method is GET and evaluated `If-Range`.
///
/// Source: RFC 9110 §14.1.1, §14.1.2, §14.2.
///
/// ```
/// use hotplate_policy::range::{RangeRequest, parse};
///
/// assert!(matches!(parse(Some(b"bytes=0-4"), 10), RangeRequest::Single(_)));
/// assert!(matches!(parse(Some(b"bytes=0-1, 5-"), 10), RangeRequest::Several(_)));
/// assert_eq!(parse(Some(b"bytes=10-"), 10), RangeRequest::Unsatisfiable);
/// assert_eq!(parse(Some(b"lines=1-2"), 10), RangeRequest::None);
/// assert_eq!(parse(None, 10), RangeRequest::None);
/// ```
#[must_use]
pub fn parse(range: Option<&[u8]>, length: u64) -> RangeRequest {
    match range.and_then(|value| satisfiable(trim_ows(value), length)) {
        None => RangeRequest::None,
        Some(Satisfiable::Nothing) => RangeRequest::Unsatisfiable,
        Some(Satisfiable::One(range)) => RangeRequest::Single(range),
        Some(Satisfiable::More(ranges)) => RangeRequest::Several(ranges),
    }
}

enum Satisfiable {
    Nothing,
    One(ByteRange),
    More(Vec<ByteRange>),
}

/// The ranges that can be satisfied, or `None` when the field is to be ignored.
fn satisfiable(value: &[u8], length: u64) -> Option<Satisfiable> {
    let equals = value.iter().position(|byte| *byte == b'=')?;
    let (unit, set) = value.split_at(equals);
    if !unit.eq_ignore_ascii_case(b"bytes") {
        return None;
    }
    let mut found = Satisfiable::Nothing;
    let mut specs = 0;
    for spec in split_members(&set[1..]) {
        specs += 1;
        if specs > MOST_RANGES {
            return None;
        }
        let Some(range) = resolve(spec, length)? else {
            continue;
        };
        found = match found {
            Satisfiable::Nothing => Satisfiable::One(range),
            Satisfiable::One(first) if first.overlaps(range) => return None,
            Satisfiable::One(first) => Satisfiable::More(vec![first, range]),
            Satisfiable::More(ranges) if ranges.iter().any(|earlier| earlier.overlaps(range)) => {
                return None;
            }
            Satisfiable::More(mut ranges) => {
                ranges.push(range);
                Satisfiable::More(ranges)
            }
        };
    }
    (specs > 0).then_some(found)
}

/// One `range-spec` against the length: `None` if it is invalid, `Some(None)` if there are no such bytes.
#[expect(clippy::option_option, reason = "invalid and unsatisfiable have different consequences")]
fn resolve(spec: &[u8], length: u64) -> Option<Option<ByteRange>> {
    let dash = spec.iter().position(|byte| *byte == b'-')?;
    let (first, last) = (&spec[..dash], &spec[dash + 1..]);
    if first.is_empty() {
        // A suffix of an empty representation has no first byte to name, so it is answered in full.
        let suffix = decimal(last)?;
        return match (suffix, length) {
            (0, _) => Some(None),
            (_, 0) => None,
            _ => Some(Some(ByteRange { start: length.saturating_sub(suffix), end_inclusive: length - 1 })),
        };
    }
    let start = decimal(first)?;
    let end = if last.is_empty() { u64::MAX } else { decimal(last)? };
    if end < start {
        return None;
    }
    Some((start < length).then(|| ByteRange { start, end_inclusive: end.min(length - 1) }))
}

/// Whether the condition an `If-Range` field puts on a range holds; if not, answer in full.
///
/// A tag must be strong and strongly equal to the stored one. A date must be exactly the stored `Last-Modified`, and
/// that must be a strong validator: at least one second older than the stored response's `Date`.
///
/// **Arguments**: `stored_date` is the stored `Date`, or when the response was received if it had none.
/// Source: RFC 9110 §13.1.5, §8.8.2.2.
///
/// ```
/// use hotplate_policy::range::if_range_matches;
/// use hotplate_policy::time::Timestamp;
///
/// let date = Timestamp::from_unix_seconds(1_000);
/// assert!(if_range_matches(b"\"a\"", Some(b"\"a\""), None, date));
/// assert!(!if_range_matches(b"W/\"a\"", Some(b"W/\"a\""), None, date));
/// assert!(if_range_matches(b"Thu, 01 Jan 1970 00:00:09 GMT", None, Some(Timestamp::from_unix_seconds(9)), date));
/// ```
#[must_use]
pub fn if_range_matches(
    if_range: &[u8],
    stored_etag: Option<&[u8]>,
    stored_last_modified: Option<Timestamp>,
    stored_date: Timestamp,
) -> bool {
    if let Some(asked) = Timestamp::parse_http_date_near(trim_ows(if_range), stored_date) {
        return stored_last_modified.is_some_and(|modified| {
            let strong = stored_date.since(modified) >= std::time::Duration::from_secs(1);
            strong && modified == asked
        });
    }
    match (EntityTag::parse(if_range), stored_etag.and_then(EntityTag::parse)) {
        (Some(asked), Some(stored)) => asked.strong_eq(stored),
        _ => false,
    }
}

/// The `Content-Range` of a 206 with one part.
///
/// Source: RFC 9110 §14.4.
///
/// ```
/// use hotplate_policy::range::{ByteRange, content_range};
/// assert_eq!(content_range(ByteRange { start: 0, end_inclusive: 4 }, 10), "bytes 0-4/10");
/// ```
#[must_use]
pub fn content_range(range: ByteRange, length: u64) -> String {
    ContentRange::Part { range, complete_length: Some(length) }.to_string()
}

/// The `Content-Range` of a 416.
///
/// Source: RFC 9110 §14.4, §15.5.17.
///
/// ```
/// assert_eq!(hotplate_policy::range::unsatisfied(10), "bytes */10");
/// ```
#[must_use]
pub fn unsatisfied(length: u64) -> String {
    ContentRange::Unsatisfied { complete_length: length }.to_string()
}

/// A `Content-Range` in bytes.
///
/// ```
/// use hotplate_policy::range::{ByteRange, ContentRange};
///
/// let part = ContentRange::Part { range: ByteRange { start: 2, end_inclusive: 3 }, complete_length: None };
/// assert_eq!(ContentRange::parse(b"bytes 2-3/*"), Some(part));
/// assert_eq!(part.to_string(), "bytes 2-3/*");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentRange {
    /// The part enclosed, and how long the whole is if that is known.
    Part {
        /// Which bytes.
        range: ByteRange,
        /// The length of the whole representation.
        complete_length: Option<u64>,
    },
    /// The range asked for does not exist in a representation of this length.
    Unsatisfied {
        /// The length of the whole representation.
        complete_length: u64,
    },
}

impl ContentRange {
    /// Reads the value of a `Content-Range` field, or `None` when it is invalid or not in bytes.
    ///
    /// Source: RFC 9110 §14.4, by which a range that ends before it begins, or at or after the complete length, is
    /// invalid.
    ///
    /// ```
    /// # use hotplate_policy::range::ContentRange;
    /// assert!(ContentRange::parse(b"bytes 0-9/10").is_some());
    /// assert_eq!(ContentRange::parse(b"bytes 0-10/10"), None);
    /// assert_eq!(ContentRange::parse(b"bytes */*"), None);
    /// ```
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (unit, rest) = split_once(trim_ows(value), b' ')?;
        if !unit.eq_ignore_ascii_case(b"bytes") {
            return None;
        }
        let (range, length) = split_once(rest, b'/')?;
        let complete_length = if length == b"*" { None } else { Some(decimal(length)?) };
        if range == b"*" {
            return complete_length.map(|complete_length| Self::Unsatisfied { complete_length });
        }
        let (first, last) = split_once(range, b'-')?;
        let range = ByteRange { start: decimal(first)?, end_inclusive: decimal(last)? };
        let ordered = range.start <= range.end_inclusive;
        let inside = complete_length.is_none_or(|length| range.end_inclusive < length);
        (ordered && inside).then_some(Self::Part { range, complete_length })
    }
}

impl fmt::Display for ContentRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Part { range: ByteRange { start, end_inclusive }, complete_length: Some(length) } => {
                write!(formatter, "bytes {start}-{end_inclusive}/{length}")
            }
            Self::Part { range: ByteRange { start, end_inclusive }, complete_length: None } => {
                write!(formatter, "bytes {start}-{end_inclusive}/*")
            }
            Self::Unsatisfied { complete_length } => write!(formatter, "bytes */{complete_length}"),
        }
    }
}

/// The boundary and the content of a `multipart/byteranges` answer.
///
/// **Arguments**: `ranges` as [`RangeRequest::Several`] gives them for this `body`; one that reaches outside is left
/// out. `content_type` is the stored response's. **Returns** the boundary, which occurs nowhere in the body and
/// needs no quoting, and the parts with their heads. The same arguments give the same bytes. **Cost**: copies the
/// parts, and searches the body once for the boundary.
///
/// Source: RFC 9110 §14.6, RFC 2046 §5.1.
///
/// ```
/// use hotplate_policy::range::{ByteRange, multipart};
///
/// let ranges = [ByteRange { start: 0, end_inclusive: 0 }, ByteRange { start: 3, end_inclusive: 4 }];
/// let (boundary, content) = multipart(&ranges, b"abcde", Some(b"text/plain"));
/// assert_eq!(
///     String::from_utf8(content).unwrap(),
///     format!(
///         "--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-0/5\r\n\r\na\r\n\
///          --{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 3-4/5\r\n\r\nde\r\n\
///          --{boundary}--\r\n"
///     ),
/// );
/// ```
#[must_use]
pub fn multipart(ranges: &[ByteRange], body: &[u8], content_type: Option<&[u8]>) -> (String, Vec<u8>) {
    let boundary = boundary_absent_from(body);
    let parts: u64 = ranges.iter().map(|range| range.length()).fold(0, u64::saturating_add);
    let estimate = parts.min(body.len() as u64).saturating_add(160 * ranges.len() as u64);
    let mut content = Vec::with_capacity(usize::try_from(estimate).unwrap_or_default());
    for range in ranges {
        let Some(indices) = range.within(body.len()) else {
            continue;
        };
        content.extend_from_slice(b"--");
        content.extend_from_slice(boundary.as_bytes());
        if let Some(content_type) = content_type {
            content.extend_from_slice(b"\r\nContent-Type: ");
            content.extend_from_slice(content_type);
        }
        content.extend_from_slice(b"\r\nContent-Range: ");
        content.extend_from_slice(content_range(*range, body.len() as u64).as_bytes());
        content.extend_from_slice(b"\r\n\r\n");
        content.extend_from_slice(&body[indices]);
        content.extend_from_slice(b"\r\n");
    }
    content.extend_from_slice(b"--");
    content.extend_from_slice(boundary.as_bytes());
    content.extend_from_slice(b"--\r\n");
    (boundary, content)
}

/// A boundary that the body does not hold. It must be found without randomness, so candidates are tried in turn;
/// a body can hold only finitely many of them.
fn boundary_absent_from(body: &[u8]) -> String {
    const STEM: &[u8] = b"hotplate-part-";
    let taken: std::collections::BTreeSet<&[u8]> = body
        .windows(STEM.len() + 16)
        .filter(|window| window.starts_with(STEM))
        .map(|window| &window[STEM.len()..])
        .collect();
    let mut number = 0_u64;
    loop {
        let text = format!("{number:016x}");
        if !taken.contains(text.as_bytes()) {
            return format!("hotplate-part-{text}");
        }
        number += 1;
    }
}

fn split_once(value: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = value.iter().position(|byte| *byte == separator)?;
    Some((&value[..at], &value[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::{ByteRange, ContentRange, MOST_RANGES, RangeRequest, if_range_matches, multipart, parse};
    use crate::time::Timestamp;
    use proptest::prelude::*;

    fn range(start: u64, end_inclusive: u64) -> ByteRange {
        ByteRange { start, end_inclusive }
    }

    #[test]
    fn ranges_are_read_against_a_length_of_ten() {
        let none = RangeRequest::None;
        let one = |start, end| RangeRequest::Single(range(start, end));
        let several =
            |ranges: &[(u64, u64)]| RangeRequest::Several(ranges.iter().map(|&(a, b)| range(a, b)).collect());
        let table = [
            // RFC 9110 §14.1.2.
            ("bytes=0-4", one(0, 4)),
            ("BYTES=0-4", one(0, 4)),
            (" bytes=0-4 ", one(0, 4)),
            ("bytes=0-0", one(0, 0)),
            ("bytes=9-9", one(9, 9)),
            ("bytes=5-", one(5, 9)),
            ("bytes=5-99", one(5, 9)),
            ("bytes=0-18446744073709551616", one(0, 9)),
            ("bytes=-3", one(7, 9)),
            ("bytes=-10", one(0, 9)),
            ("bytes=-99", one(0, 9)),
            ("bytes=-99999999999999999999", one(0, 9)),
            ("bytes=,0-4,,", one(0, 4)),
            ("bytes=0-1,5-6", several(&[(0, 1), (5, 6)])),
            ("bytes=5-6 , 0-1", several(&[(5, 6), (0, 1)])),
            ("bytes=0-0,-1", several(&[(0, 0), (9, 9)])),
            // Those that exist are answered, those that do not are left out.
            ("bytes=0-1,20-30", one(0, 1)),
            ("bytes=20-30,-0,0-1", one(0, 1)),
            // RFC 9110 §15.5.17.
            ("bytes=10-", RangeRequest::Unsatisfiable),
            ("bytes=10-20,30-", RangeRequest::Unsatisfiable),
            ("bytes=-0", RangeRequest::Unsatisfiable),
            ("bytes=99999999999999999999-", RangeRequest::Unsatisfiable),
            // RFC 9110 §14.2: overlap and abuse may be ignored.
            ("bytes=0-5,5-6", none.clone()),
            ("bytes=0-,0-,0-", none.clone()),
            // Invalid or unknown.
            ("", none.clone()),
            ("bytes", none.clone()),
            ("bytes=", none.clone()),
            ("bytes=,", none.clone()),
            ("bytes=-", none.clone()),
            ("bytes=5-2", none.clone()),
            ("bytes=0-1,5-2", none.clone()),
            ("bytes=a-b", none.clone()),
            ("bytes=0x1-2", none.clone()),
            ("bytes=+1-2", none.clone()),
            ("bytes=1--2", none.clone()),
            ("bytes=1 -2", none.clone()),
            ("bytes =0-4", none.clone()),
            ("bytes: 0-4", none.clone()),
            ("lines=0-4", none.clone()),
            ("bytes=0-4;x", none),
        ];
        for (value, expected) in table {
            assert_eq!(parse(Some(value.as_bytes()), 10), expected, "{value}");
        }
    }

    #[test]
    fn an_empty_representation_has_no_range() {
        assert_eq!(parse(Some(b"bytes=0-"), 0), RangeRequest::Unsatisfiable);
        assert_eq!(parse(Some(b"bytes=-5"), 0), RangeRequest::None);
    }

    #[test]
    fn too_many_ranges_are_answered_in_full() {
        let ranges = |count: usize| {
            let specs: Vec<String> = (0..count).map(|index| format!("{0}-{0}", 2 * index)).collect();
            parse(Some(format!("bytes={}", specs.join(",")).as_bytes()), 1_000)
        };
        assert!(matches!(ranges(MOST_RANGES), RangeRequest::Several(ranges) if ranges.len() == MOST_RANGES));
        assert_eq!(ranges(MOST_RANGES + 1), RangeRequest::None);
    }

    /// The `ETag`, `Last-Modified` and `Date` of a stored response.
    type Stored<'a> = (Option<&'a [u8]>, Option<Timestamp>, Timestamp);

    #[test]
    fn if_range_needs_a_strong_validator_that_is_the_same() {
        let modified = Timestamp::parse_http_date(b"Sun, 06 Nov 1994 08:49:37 GMT");
        let later = Timestamp::from_unix_seconds(784_111_778);
        let table: [(&[u8], Stored<'_>, bool); 12] = [
            (b"\"a\"", (Some(b"\"a\""), None, later), true),
            (b"\"a\"", (Some(b"\"b\""), None, later), false),
            (b"\"a\"", (Some(b"W/\"a\""), None, later), false),
            (b"W/\"a\"", (Some(b"\"a\""), None, later), false),
            (b"\"a\"", (None, modified, later), false),
            (b"Sun, 06 Nov 1994 08:49:37 GMT", (None, modified, later), true),
            (b"Sunday, 06-Nov-94 08:49:37 GMT", (None, modified, later), true),
            (b"Sun, 06 Nov 1994 08:49:38 GMT", (None, modified, later), false),
            (b"Sun, 06 Nov 1994 08:49:37 GMT", (Some(b"\"a\""), None, later), false),
            // RFC 9110 §8.8.2.2: within one second of the response a date is weak.
            (
                b"Sun, 06 Nov 1994 08:49:37 GMT",
                (None, modified, Timestamp::from_unix_millis(784_111_777_999)),
                false,
            ),
            (b"*", (Some(b"\"a\""), modified, later), false),
            (b"", (None, None, later), false),
        ];
        for (value, (etag, modified, date), expected) in table {
            assert_eq!(if_range_matches(value, etag, modified, date), expected, "{}", value.escape_ascii());
        }
    }

    #[test]
    fn content_ranges_are_read_as_they_are_written() {
        let part = |start, end, complete_length| {
            Some(ContentRange::Part { range: range(start, end), complete_length })
        };
        let table: [(&[u8], Option<ContentRange>); 12] = [
            (b"bytes 0-4/10", part(0, 4, Some(10))),
            (b"Bytes 0-4/*", part(0, 4, None)),
            (b"bytes */10", Some(ContentRange::Unsatisfied { complete_length: 10 })),
            (b"bytes */*", None),
            (b"bytes 4-0/10", None),
            (b"bytes 0-10/10", None),
            (b"bytes 0-/10", None),
            (b"bytes -4/10", None),
            (b"bytes 0-4", None),
            (b"bytes=0-4/10", None),
            (b"lines 0-4/10", None),
            (b"", None),
        ];
        for (value, expected) in table {
            assert_eq!(ContentRange::parse(value), expected, "{}", value.escape_ascii());
        }
    }

    #[test]
    fn the_boundary_is_not_in_the_body() {
        let first = multipart(&[], b"", None).0;
        let body = format!("x--{first}--x");
        let second = multipart(&[range(0, 1)], body.as_bytes(), None).0;
        assert_ne!(first, second);
        assert!(!body.contains(&second));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(value in any::<Vec<u8>>(), etag in any::<Vec<u8>>(), length in any::<u64>()) {
            let _ = parse(Some(&value), length);
            let _ = ContentRange::parse(&value);
            let _ = if_range_matches(&value, Some(&etag), None, Timestamp::from_unix_seconds(0));
        }

        #[test]
        fn what_is_found_lies_within_the_length(value in "bytes=([0-9]{0,3}-[0-9]{0,3},? ?){0,6}", length in 0_u64..200) {
            let found = match parse(Some(value.as_bytes()), length) {
                RangeRequest::None | RangeRequest::Unsatisfiable => Vec::new(),
                RangeRequest::Single(one) => vec![one],
                RangeRequest::Several(several) => several,
            };
            let mut seen = vec![false; usize::try_from(length).unwrap()];
            for range in found {
                for place in &mut seen[range.within(usize::try_from(length).unwrap()).unwrap()] {
                    prop_assert!(!std::mem::replace(place, true), "no byte is sent twice");
                }
            }
        }

        #[test]
        fn content_ranges_survive_the_way_there_and_back(start in any::<u64>(), end in any::<u64>(), length in any::<Option<u64>>()) {
            let written = ContentRange::Part { range: range(start, end), complete_length: length };
            let valid = start <= end && length.is_none_or(|length| end < length);
            prop_assert_eq!(ContentRange::parse(written.to_string().as_bytes()), valid.then_some(written));
        }
    }
}
