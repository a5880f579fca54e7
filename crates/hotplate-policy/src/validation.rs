//! Conditional requests, in both directions (RFC 9111 §4.3, RFC 9110 §13).
//!
//! Towards the client: [`evaluate`] says whether a 304 will do, and [`is_not_modified_field`] what it
//! carries. Towards the origin: [`conditional_fields`] asks whether a stored response still holds,
//! [`freshens`] tells whether the 304 speaks of that response, and [`merge`] brings its fields up to date.
//!
//! Scope: `If-Match` and `If-Unmodified-Since` "are not applicable to a cache" (RFC 9111 §4.3.2); a
//! request that carries them belongs to the origin. `If-Range` is in [`range`](crate::range).

use crate::etag::{Condition, EntityTag, conditions};
use crate::fields::{Connection, Fields, Single};
use crate::request::RequestHead;
use crate::time::Timestamp;

/// What a client's conditions say of a stored response.
///
/// ```
/// use hotplate_policy::validation::Precondition;
///
/// assert_ne!(Precondition::Proceed, Precondition::NotModified);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Precondition {
    /// Answer as if there were none.
    Proceed,
    /// The client's copy is current: answer 304.
    NotModified,
}

/// Evaluates a client's `If-None-Match`, or, only in its absence, `If-Modified-Since`.
///
/// **Arguments**: `etag`, `last_modified`, `date` and `status` are the stored response's; `date` is when
/// it was made or else received, and is compared when there is no `Last-Modified`.
///
/// Tags are compared weakly. Conditions apply to a `GET` or `HEAD` that would be answered with a 2xx;
/// one that cannot be read is no condition. Nothing is allocated.
///
/// RFC 9111 §4.3.2; RFC 9110 §13.1.2, §13.1.3, §13.2.
///
/// ```
/// use hotplate_policy::validation::{Precondition, evaluate};
/// use hotplate_policy::{fields::Fields, request::RequestHead, time::Timestamp};
///
/// let lines: [(&[u8], &[u8]); 1] = [(b"If-None-Match", b"\"a\", W/\"b\"")];
/// let request = RequestHead::new("GET", Fields::new(&lines));
/// let date = Timestamp::from_unix_seconds(0);
/// assert_eq!(evaluate(&request, Some(b"\"b\""), None, date, 200), Precondition::NotModified);
/// assert_eq!(evaluate(&request, Some(b"\"c\""), None, date, 200), Precondition::Proceed);
/// ```
pub fn evaluate(
    request: &RequestHead<'_>,
    etag: Option<&[u8]>,
    last_modified: Option<Timestamp>,
    date: Timestamp,
    status: u16,
) -> Precondition {
    let applies = matches!(request.method, "GET" | "HEAD") && (200..300).contains(&status);
    let current = applies
        && if request.if_none_match {
            holds_tag(request.fields, etag)
        } else {
            request.if_modified_since && not_changed_since(request.fields, last_modified, date)
        };
    if current { Precondition::NotModified } else { Precondition::Proceed }
}

fn holds_tag(request: Fields<'_>, etag: Option<&[u8]>) -> bool {
    let own = etag.and_then(EntityTag::parse);
    conditions(request, "if-none-match").any(|condition| match condition {
        Condition::Any => true,
        Condition::Tag(tag) => own.is_some_and(|own| own.weak_eq(tag)),
    })
}

fn not_changed_since(request: Fields<'_>, last_modified: Option<Timestamp>, date: Timestamp) -> bool {
    let since = match request.only("if-modified-since") {
        Single::One(value) => Timestamp::parse_http_date_near(value, date),
        Single::Absent | Single::Many => None,
    };
    since.is_some_and(|since| last_modified.unwrap_or(date) <= since)
}

/// The request fields that ask the origin whether a stored response still holds.
///
/// **Arguments**: the stored response's own validators, as they came. Not a tag this cache made: the
/// origin does not know it.
///
/// RFC 9111 §4.3.1.
///
/// ```
/// use hotplate_policy::validation::conditional_fields;
///
/// let fields = conditional_fields(Some(b"\"a\""), None);
/// assert_eq!(fields[0], Some(("if-none-match", &b"\"a\""[..])));
/// assert_eq!(fields[1], None);
/// ```
#[must_use]
pub fn conditional_fields<'a>(
    etag: Option<&'a [u8]>,
    last_modified: Option<&'a [u8]>,
) -> [Option<(&'static str, &'a [u8])>; 2] {
    [etag.map(|etag| ("if-none-match", etag)), last_modified.map(|date| ("if-modified-since", date))]
}

/// Whether a 304 speaks of the stored response that has these validators.
///
/// **Arguments**: the stored response's `ETag` and `Last-Modified`, as they came; the 304's fields.
///
/// **Returns** `false` when the 304 names another representation. What is stored is then of no use, and
/// the request is to be sent again without conditions.
///
/// DEVIATION: RFC 9111 §4.3.4 wants a strong tag in the 304 to be stored as a strong tag too. Servers
/// weaken a tag when they compress and not when they answer 304, so one tag that differs in weakness
/// only is taken for the same; [`merge`] keeps it weak. And it wants a 304 without validators to find a
/// stored response without; one such 304 answers the one condition that was sent, so it counts. Test:
/// `a_304_freshens_the_response_it_names`.
///
/// ```
/// use hotplate_policy::{fields::Fields, validation::freshens};
///
/// let lines: [(&[u8], &[u8]); 1] = [(b"ETag", b"\"a\"")];
/// assert!(freshens(Some(b"\"a\""), None, Fields::new(&lines)));
/// assert!(!freshens(Some(b"\"b\""), None, Fields::new(&lines)));
/// ```
#[must_use]
pub fn freshens(etag: Option<&[u8]>, last_modified: Option<&[u8]>, not_modified: Fields<'_>) -> bool {
    if not_modified.contains("etag") {
        let Single::One(told) = not_modified.only("etag") else {
            return false;
        };
        let tags = EntityTag::parse(told).zip(etag.and_then(EntityTag::parse));
        return tags.is_some_and(|(told, own)| told.weak_eq(own));
    }
    match (not_modified.only("last-modified"), last_modified) {
        (Single::Absent, _) => true,
        (Single::One(told), Some(own)) => same_date(told, own),
        (Single::One(_) | Single::Many, _) => false,
    }
}

/// The same instant, or the same bytes where they are no date.
fn same_date(one: &[u8], other: &[u8]) -> bool {
    let dates = Timestamp::parse_http_date(one).zip(Timestamp::parse_http_date(other));
    dates.map_or(one == other, |(one, other)| one == other)
}

/// The fields of a stored response after a 304, or a `HEAD` response, brought them up to date.
///
/// **Shape**: stored lines that were not replaced, in order, then the update's lines in theirs. A field
/// in the update replaces all stored lines of its name. Never taken from an update: fields that concern
/// its connection, and those that say how the stored content is coded and how long it is
/// (`Content-Encoding`, `Content-Length`, `Content-Range`).
///
/// `Age` and `Date` are the update's even when it has none: they speak of one message, and kept from the
/// stored one they would make a response that was just confirmed look old.
///
/// What comes out is to be judged anew, as a response that may be stored or not: an update can bring
/// `no-store` or `Set-Cookie`.
///
/// RFC 9111 §3.2, §4.3.4; RFC 9110 §6.6.1.
///
/// ```
/// use hotplate_policy::{fields::Fields, validation::merge};
///
/// let stored: [(&[u8], &[u8]); 2] = [(b"Cache-Control", b"max-age=1"), (b"X-A", b"1")];
/// let update: [(&[u8], &[u8]); 1] = [(b"cache-control", b"max-age=9")];
/// let merged = merge(Fields::new(&stored), Fields::new(&update));
/// assert_eq!(merged, [stored[1], update[0]]);
/// ```
#[must_use]
pub fn merge<'a>(stored: Fields<'a>, update: Fields<'a>) -> Vec<(&'a [u8], &'a [u8])> {
    let connection = Connection::of(update);
    let keep_weak_tag = is_weak(stored) && !is_weak(update);
    let taken = |name: &[u8]| {
        let strengthens = keep_weak_tag && name.eq_ignore_ascii_case(b"etag");
        !strengthens && !describes_content(name) && !connection.covers(name)
    };
    let replaced = |name: &[u8]| {
        is_of_message(name)
            || (taken(name) && update.iter().any(|(given, _)| given.eq_ignore_ascii_case(name)))
    };
    let kept = stored.iter().filter(|(name, _)| !replaced(name));
    kept.chain(update.iter().filter(|(name, _)| taken(name))).collect()
}

fn is_weak(fields: Fields<'_>) -> bool {
    fields.first("etag").and_then(EntityTag::parse).is_some_and(|tag| tag.weak)
}

fn describes_content(name: &[u8]) -> bool {
    is_one_of(name, &["content-encoding", "content-length", "content-range"])
}

fn is_of_message(name: &[u8]) -> bool {
    is_one_of(name, &["age", "date"])
}

/// Whether a stored field is sent with a 304: what the client's copy is brought up to date with, and what
/// caches on the way need. Other metadata of the representation stays out, `Set-Cookie` among it.
///
/// RFC 9110 §15.4.5.
///
/// ```
/// use hotplate_policy::validation::is_not_modified_field;
///
/// assert!(is_not_modified_field(b"ETag") && is_not_modified_field(b"vary"));
/// assert!(!is_not_modified_field(b"Content-Type") && !is_not_modified_field(b"Set-Cookie"));
/// ```
#[must_use]
pub fn is_not_modified_field(name: &[u8]) -> bool {
    const SENT: [&str; 13] = [
        // "MUST generate any of the following header fields that would have been sent in a 200".
        "cache-control",
        "content-location",
        "date",
        "etag",
        "expires",
        "vary",
        // "for the purpose of guiding cache updates".
        "last-modified",
        "age",
        "cache-status",
        "hotplate-cache-control",
        "cdn-cache-control",
        "cache-groups",
        "no-vary-search",
    ];
    is_one_of(name, &SENT)
}

fn is_one_of(name: &[u8], known: &[&str]) -> bool {
    known.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

#[cfg(test)]
mod tests;
