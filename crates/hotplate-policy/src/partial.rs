//! Parts of a representation: whether one may be kept, what two of them make, and what a request still lacks.
//!
//! A 206 holds part of a representation. It may be kept as that part ([`Part::of`]), and parts of the *same*
//! representation may be put together ([`Part::combine`]) until they are the whole. "The same" takes a strong entity
//! tag on both: bytes of two representations must never meet in one body.
//!
//! # Scope
//!
//! Ranges and validators only; the bytes are the caller's. One range per part: `multipart/byteranges` is passed on and
//! not kept. An engine that keeps no parts at all follows the RFC too.
//!
//! # Reading list
//!
//! [RFC 9111 §3.3](https://www.rfc-editor.org/rfc/rfc9111#section-3.3) (incomplete responses),
//! [§3.4](https://www.rfc-editor.org/rfc/rfc9111#section-3.4) (combining),
//! [RFC 9110 §15.3.7](https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7) (206).

use crate::etag::EntityTag;
use crate::fields::{Fields, Single};
use crate::range::{ByteRange, ContentRange};
use crate::reason::Reason;

/// A known part of a representation.
///
/// ```
/// use hotplate_policy::{fields::Fields, partial::Part};
///
/// let lines: [(&[u8], &[u8]); 2] = [(b"Content-Range", b"bytes 0-4/10"), (b"ETag", b"\"a\"")];
/// let part = Part::of(206, Fields::new(&lines), 5).unwrap();
/// assert_eq!((part.range.start, part.range.end_inclusive), (0, 4));
/// assert!(!part.is_whole());
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Part<'a> {
    /// Which bytes of the whole.
    pub range: ByteRange,
    /// How long the whole is.
    pub complete_length: u64,
    /// Names the representation.
    pub etag: EntityTag<'a>,
}

/// What two parts make.
///
/// ```
/// use hotplate_policy::partial::Combination;
/// assert_ne!(Combination::Different, Combination::Apart);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Combination {
    /// The whole representation: it is a 200 from now on, without `Content-Range`.
    Whole,
    /// A longer part, which may be kept in place of both.
    Longer(ByteRange),
    /// Two parts of one representation with a gap between them; a cache keeps one.
    Apart,
    /// Parts of different representations, or nothing says that they are not: the older one is of no use.
    Different,
}

impl<'a> Part<'a> {
    /// The part a response holds, if it may be kept.
    ///
    /// # Arguments
    ///
    /// `content_length`: how many bytes of content came, all of them.
    ///
    /// # Errors
    ///
    /// [`Reason::PartialContent`] for what is no single part of a representation of known length with a strong entity
    /// tag; [`Reason::LengthMismatch`] when the content is not as long as its range.
    ///
    /// RFC 9111 §3.3; RFC 9110 §14.4, §15.3.7.
    ///
    /// ```
    /// use hotplate_policy::{fields::Fields, partial::Part, reason::Reason};
    ///
    /// let lines: [(&[u8], &[u8]); 2] = [(b"Content-Range", b"bytes 4-9/10"), (b"ETag", b"\"a\"")];
    /// assert_eq!(Part::of(206, Fields::new(&lines), 5), Err(Reason::LengthMismatch));
    /// assert_eq!(Part::of(206, Fields::new(&lines[..1]), 6), Err(Reason::PartialContent));
    /// ```
    pub fn of(status: u16, fields: Fields<'a>, content_length: u64) -> Result<Self, Reason> {
        let part =
            (status == 206).then(|| Self::announced(fields)).flatten().ok_or(Reason::PartialContent)?;
        if part.range.length() == content_length { Ok(part) } else { Err(Reason::LengthMismatch) }
    }

    fn announced(fields: Fields<'a>) -> Option<Self> {
        let (Single::One(range), Single::One(etag)) = (fields.only("content-range"), fields.only("etag"))
        else {
            return None;
        };
        let ContentRange::Part { range, complete_length: Some(complete_length) } =
            ContentRange::parse(range)?
        else {
            return None;
        };
        let etag = EntityTag::parse(etag).filter(|etag| !etag.weak)?;
        Some(Self { range, complete_length, etag })
    }

    /// Whether the part is all there is: a complete response that came as a 206 (RFC 9111 §3.3).
    ///
    /// ```
    /// use hotplate_policy::{fields::Fields, partial::Part};
    ///
    /// let lines: [(&[u8], &[u8]); 2] = [(b"Content-Range", b"bytes 0-9/10"), (b"ETag", b"\"a\"")];
    /// assert!(Part::of(206, Fields::new(&lines), 10).unwrap().is_whole());
    /// ```
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.range.start == 0 && self.range.length() == self.complete_length
    }

    /// Whether the part has every byte of `wanted`, so that a request for it can be answered (RFC 9111 §3.3).
    ///
    /// ```
    /// use hotplate_policy::{fields::Fields, partial::Part, range::ByteRange};
    ///
    /// let lines: [(&[u8], &[u8]); 2] = [(b"Content-Range", b"bytes 2-5/10"), (b"ETag", b"\"a\"")];
    /// let part = Part::of(206, Fields::new(&lines), 4).unwrap();
    /// assert!(part.covers(ByteRange { start: 3, end_inclusive: 5 }));
    /// assert!(!part.covers(ByteRange { start: 3, end_inclusive: 6 }));
    /// ```
    #[must_use]
    pub const fn covers(&self, wanted: ByteRange) -> bool {
        self.range.start <= wanted.start && wanted.end_inclusive <= self.range.end_inclusive
    }

    /// What this stored part and a newer one make together.
    ///
    /// RFC 9110 §15.3.7.3: "A client that has received multiple partial responses to GET requests on a target resource
    /// MAY combine those responses into a larger continuous range if they share the same strong validator"; RFC 9111
    /// §3.4.
    ///
    /// ```
    /// use hotplate_policy::{fields::Fields, partial::{Combination, Part}};
    ///
    /// let first: [(&[u8], &[u8]); 2] = [(b"Content-Range", b"bytes 0-4/10"), (b"ETag", b"\"a\"")];
    /// let second: [(&[u8], &[u8]); 2] = [(b"Content-Range", b"bytes 5-9/10"), (b"ETag", b"\"a\"")];
    /// let first = Part::of(206, Fields::new(&first), 5).unwrap();
    /// let second = Part::of(206, Fields::new(&second), 5).unwrap();
    /// assert_eq!(first.combine(&second), Combination::Whole);
    /// ```
    #[must_use]
    pub fn combine(&self, newer: &Part<'_>) -> Combination {
        if !self.etag.strong_eq(newer.etag) || self.complete_length != newer.complete_length {
            return Combination::Different;
        }
        let (low, high) = if self.range.start <= newer.range.start {
            (self.range, newer.range)
        } else {
            (newer.range, self.range)
        };
        if high.start > low.end_inclusive.saturating_add(1) {
            return Combination::Apart;
        }
        let joined = ByteRange { start: low.start, end_inclusive: low.end_inclusive.max(high.end_inclusive) };
        if joined.start == 0 && joined.length() == self.complete_length {
            Combination::Whole
        } else {
            Combination::Longer(joined)
        }
    }

    /// The one range that is missing to the whole, to be asked for with `If-Range` and the part's tag; `None` when the
    /// part is the whole or lacks bytes on both sides (RFC 9111 §3.3).
    ///
    /// ```
    /// use hotplate_policy::{fields::Fields, partial::Part, range::ByteRange};
    ///
    /// let lines: [(&[u8], &[u8]); 2] = [(b"Content-Range", b"bytes 0-4/10"), (b"ETag", b"\"a\"")];
    /// let part = Part::of(206, Fields::new(&lines), 5).unwrap();
    /// assert_eq!(part.missing(), Some(ByteRange { start: 5, end_inclusive: 9 }));
    /// ```
    #[must_use]
    pub const fn missing(&self) -> Option<ByteRange> {
        let last = self.complete_length.saturating_sub(1);
        match (self.range.start, self.range.end_inclusive) {
            (0, end) if end < last => Some(ByteRange { start: end + 1, end_inclusive: last }),
            (start, end) if start > 0 && end == last => {
                Some(ByteRange { start: 0, end_inclusive: start - 1 })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part(start: u64, end_inclusive: u64, complete_length: u64, etag: &'static [u8]) -> Part<'static> {
        let range = ByteRange { start, end_inclusive };
        Part { range, complete_length, etag: EntityTag::parse(etag).unwrap() }
    }

    #[test]
    fn only_a_single_part_of_known_length_and_strong_name_is_kept() {
        type Lines = &'static [(&'static [u8], &'static [u8])];
        const TAG: (&[u8], &[u8]) = (b"ETag", b"\"a\"");
        const RANGE: (&[u8], &[u8]) = (b"Content-Range", b"bytes 2-5/10");
        let table: [(u16, Lines, u64, Option<Reason>); 10] = [
            (206, &[RANGE, TAG], 4, None),
            // RFC 9110 §15.3.7: a 200 is the whole.
            (200, &[RANGE, TAG], 4, Some(Reason::PartialContent)),
            // RFC 9110 §15.3.7.2: several parts have no Content-Range of their own.
            (206, &[TAG], 4, Some(Reason::PartialContent)),
            (206, &[RANGE, RANGE, TAG], 4, Some(Reason::PartialContent)),
            // RFC 9110 §14.4: invalid, unknown length, another unit.
            (206, &[(b"Content-Range", b"bytes 2-10/10"), TAG], 9, Some(Reason::PartialContent)),
            (206, &[(b"Content-Range", b"bytes 2-5/*"), TAG], 4, Some(Reason::PartialContent)),
            (206, &[(b"Content-Range", b"rows 2-5/10"), TAG], 4, Some(Reason::PartialContent)),
            // RFC 9110 §15.3.7.3: a strong validator.
            (206, &[RANGE, (b"ETag", b"W/\"a\"")], 4, Some(Reason::PartialContent)),
            (206, &[RANGE], 4, Some(Reason::PartialContent)),
            // RFC 9111 §3.3: cut short.
            (206, &[RANGE, TAG], 3, Some(Reason::LengthMismatch)),
        ];
        for (status, lines, length, refused) in table {
            assert_eq!(Part::of(status, Fields::new(lines), length).err(), refused, "{lines:?}");
        }
    }

    #[test]
    fn parts_meet_only_under_one_strong_tag() {
        for (one, other, expected) in [
            (part(0, 4, 10, b"\"a\""), part(5, 9, 10, b"\"a\""), Combination::Whole),
            (part(5, 9, 10, b"\"a\""), part(0, 4, 10, b"\"a\""), Combination::Whole),
            (part(0, 6, 10, b"\"a\""), part(3, 9, 10, b"\"a\""), Combination::Whole),
            (
                part(0, 4, 10, b"\"a\""),
                part(4, 6, 10, b"\"a\""),
                Combination::Longer(ByteRange { start: 0, end_inclusive: 6 }),
            ),
            (
                part(1, 8, 10, b"\"a\""),
                part(3, 4, 10, b"\"a\""),
                Combination::Longer(ByteRange { start: 1, end_inclusive: 8 }),
            ),
            (part(0, 3, 10, b"\"a\""), part(5, 9, 10, b"\"a\""), Combination::Apart),
            (part(0, 4, 10, b"\"a\""), part(5, 9, 10, b"\"b\""), Combination::Different),
            (part(0, 4, 10, b"\"a\""), part(5, 9, 10, b"W/\"a\""), Combination::Different),
            (part(0, 4, 10, b"\"a\""), part(5, 10, 11, b"\"a\""), Combination::Different),
        ] {
            assert_eq!(one.combine(&other), expected, "{one:?} and {other:?}");
        }
    }

    #[test]
    fn what_is_missing_is_one_range_or_nothing_worth_asking_for() {
        let range = |start, end_inclusive| Some(ByteRange { start, end_inclusive });
        for (known, missing) in [
            (part(0, 4, 10, b"\"a\""), range(5, 9)),
            (part(4, 9, 10, b"\"a\""), range(0, 3)),
            (part(0, 9, 10, b"\"a\""), None),
            (part(4, 5, 10, b"\"a\""), None),
        ] {
            assert_eq!(known.missing(), missing, "{known:?}");
        }
    }

    proptest! {
        #[test]
        fn a_part_and_what_it_lacks_make_the_whole(length in 1_u64..1000, cut in 0_u64..1000, head in any::<bool>()) {
            prop_assume!(cut + 1 < length);
            let known = if head { part(0, cut, length, b"\"a\"") } else { part(cut + 1, length - 1, length, b"\"a\"") };
            let missing = known.missing().unwrap();
            let rest = Part { range: missing, ..known };
            prop_assert_eq!(known.combine(&rest), Combination::Whole);
            prop_assert_eq!(rest.combine(&known), Combination::Whole);
        }

        #[test]
        fn combining_does_not_depend_on_the_order(a in 0_u64..50, b in 0_u64..50, c in 0_u64..50, d in 0_u64..50) {
            let one = part(a.min(b), a.max(b), 50, b"\"a\"");
            let other = part(c.min(d), c.max(d), 50, b"\"a\"");
            prop_assert_eq!(one.combine(&other), other.combine(&one));
        }

        #[test]
        fn any_fields_are_read_without_panic(range in any::<Vec<u8>>(), etag in any::<Vec<u8>>(), length in any::<u64>()) {
            let lines = [(&b"content-range"[..], range.as_slice()), (&b"etag"[..], etag.as_slice())];
            if let Ok(part) = Part::of(206, Fields::new(&lines), length) {
                let _ = (part.is_whole(), part.missing(), part.combine(&part));
            }
        }
    }
}
