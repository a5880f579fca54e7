//! What the answer to a HEAD says about a stored answer to GET.
//!
//! Both have the same fields but for those of the content, so a HEAD shows whether what is stored still is what a GET
//! would bring.
//!
//! Reading list: [RFC 9111 §4.3.5](https://www.rfc-editor.org/rfc/rfc9111#section-4.3.5).

use crate::etag::EntityTag;
use crate::fields::{Fields, Single};

/// What a HEAD's answer means for a stored response.
///
/// ```
/// use hotplate_policy::head::HeadUpdate;
/// assert_ne!(HeadUpdate::Freshen, HeadUpdate::Outdated);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HeadUpdate {
    /// It is the stored representation: update the stored fields, as [`merge`](crate::validation::merge) does.
    Freshen,
    /// It is another one: what is stored is stale from now on.
    Outdated,
    /// It says nothing about what is stored.
    Unrelated,
}

/// Compares the answer to a HEAD with what is stored for the same request.
///
/// # Arguments
///
/// `stored`: the fields of a stored 200 to GET, and how long its content is. `status`, `fields`: of the answer.
///
/// Validators and length are compared where both have them: a missing field decides nothing, a different one makes the
/// stored response stale (RFC 9111 §4.3.5).
///
/// ```
/// use hotplate_policy::{fields::Fields, head::{HeadUpdate, compare}};
///
/// let stored: [(&[u8], &[u8]); 1] = [(b"ETag", b"\"a\"")];
/// let same: [(&[u8], &[u8]); 2] = [(b"ETag", b"\"a\""), (b"Content-Length", b"5")];
/// let other: [(&[u8], &[u8]); 1] = [(b"ETag", b"\"b\"")];
/// assert_eq!(compare(Fields::new(&stored), 5, 200, Fields::new(&same)), HeadUpdate::Freshen);
/// assert_eq!(compare(Fields::new(&stored), 5, 200, Fields::new(&other)), HeadUpdate::Outdated);
/// assert_eq!(compare(Fields::new(&stored), 5, 404, Fields::new(&same)), HeadUpdate::Unrelated);
/// ```
#[must_use]
pub fn compare(stored: Fields<'_>, stored_length: u64, status: u16, fields: Fields<'_>) -> HeadUpdate {
    if status != 200 {
        return HeadUpdate::Unrelated;
    }
    let announced = match fields.only("content-length") {
        Single::Absent => None,
        Single::One(text) => Some(std::str::from_utf8(text).ok().and_then(|text| text.parse::<u64>().ok())),
        Single::Many => Some(None),
    };
    let length_differs = announced.is_some_and(|length| length != Some(stored_length));
    let tag = |fields: Fields<'_>| fields.first("etag").map(<[u8]>::to_vec);
    let tags_differ = match (tag(stored), tag(fields)) {
        (Some(own), Some(told)) => {
            !EntityTag::parse(&own).zip(EntityTag::parse(&told)).is_some_and(|(own, told)| own.weak_eq(told))
        }
        _ => false,
    };
    let dates_differ = match (stored.first("last-modified"), fields.first("last-modified")) {
        (Some(own), Some(told)) => own != told,
        _ => false,
    };
    if length_differs || tags_differ || dates_differ { HeadUpdate::Outdated } else { HeadUpdate::Freshen }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_field_that_differs_outdates_and_a_missing_one_decides_nothing() {
        type Lines = &'static [(&'static [u8], &'static [u8])];
        const STORED: Lines =
            &[(b"ETag", b"\"a\""), (b"Last-Modified", b"Sun, 06 Nov 1994 08:49:37 GMT"), (b"X", b"1")];
        let table: [(u16, Lines, HeadUpdate); 10] = [
            (200, &[], HeadUpdate::Freshen),
            (200, &[(b"X", b"2")], HeadUpdate::Freshen),
            (200, &[(b"ETag", b"W/\"a\"")], HeadUpdate::Freshen),
            (200, &[(b"Content-Length", b"5")], HeadUpdate::Freshen),
            (200, &[(b"Content-Length", b"6")], HeadUpdate::Outdated),
            (200, &[(b"Content-Length", b"x")], HeadUpdate::Outdated),
            (200, &[(b"Content-Length", b"5"), (b"Content-Length", b"5")], HeadUpdate::Outdated),
            (200, &[(b"ETag", b"\"b\"")], HeadUpdate::Outdated),
            (200, &[(b"Last-Modified", b"Mon, 07 Nov 1994 08:49:37 GMT")], HeadUpdate::Outdated),
            (410, &[(b"ETag", b"\"b\"")], HeadUpdate::Unrelated),
        ];
        for (status, lines, expected) in table {
            assert_eq!(compare(Fields::new(STORED), 5, status, Fields::new(lines)), expected, "{lines:?}");
        }
    }

    proptest! {
        #[test]
        fn any_fields_are_compared_without_panic(name in "etag|content-length|last-modified", value in any::<Vec<u8>>()) {
            let lines = [(name.as_bytes(), value.as_slice())];
            let _ = compare(Fields::new(&lines), 5, 200, Fields::new(&lines));
        }
    }
}
