//! One look at a request head: everything the other modules ask of it, read in a single pass.
//!
//! A hit asks a dozen questions of the request's fields. [`RequestHead::new`] answers them all at once,
//! comparing the length of a name before its letters, and allocates nothing.
//!
//! Scope: nothing is judged here. Whether `Authorization` matters is [`storing`](crate::storing)'s
//! question, what `max-age` means is [`reuse`](crate::reuse)'s.

use crate::cache_control::RequestDirectives;
use crate::fields::{Fields, Single, is_named, trim_ows};

/// What a cache needs to know of one request.
///
/// ```
/// use hotplate_policy::{fields::Fields, request::RequestHead};
///
/// let lines: [(&[u8], &[u8]); 2] = [(b"Cookie", b"id=1"), (b"Range", b"bytes=0-9")];
/// let request = RequestHead::new("GET", Fields::new(&lines));
/// assert!(request.cookie && !request.authorization);
/// assert_eq!(request.range, Some(&b"bytes=0-9"[..]));
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RequestHead<'a> {
    /// The method as sent; methods are case-sensitive (RFC 9110 §9.1).
    pub method: &'a str,
    /// All field lines, in order.
    pub fields: Fields<'a>,
    /// `Cache-Control`, or `Pragma` when there is no `Cache-Control` (RFC 9111 §5.2.1, §5.4).
    pub directives: RequestDirectives,
    /// `Authorization` is present (RFC 9111 §3.5).
    pub authorization: bool,
    /// `Cookie` is present.
    pub cookie: bool,
    /// `If-None-Match` is present (RFC 9110 §13.1.2).
    pub if_none_match: bool,
    /// `If-Modified-Since` is present (RFC 9110 §13.1.3).
    pub if_modified_since: bool,
    /// `If-Match` or `If-Unmodified-Since` is present: preconditions that only the origin evaluates
    /// (RFC 9111 §4.3.2).
    pub if_match_or_unmodified: bool,
    /// The value of `Range`; empty, which is no valid range, when the field is repeated (RFC 9110
    /// §14.2).
    pub range: Option<&'a [u8]>,
    /// `If-Range` is present (RFC 9110 §13.1.5).
    pub if_range: bool,
    /// Another protocol is asked for: `Upgrade` is present (RFC 9110 §7.8) or the method is `CONNECT`.
    pub upgrade: bool,
    /// There is content, or the fields do not rule it out: `Transfer-Encoding`, or a `Content-Length`
    /// that is anything but zero (RFC 9112 §6.3).
    pub has_body: bool,
}

impl<'a> RequestHead<'a> {
    /// Reads a request's fields.
    ///
    /// Total: any bytes give a head. **Cost**: one pass, no allocation.
    ///
    /// ```
    /// use hotplate_policy::{fields::Fields, request::RequestHead};
    ///
    /// let request = RequestHead::new("GET", Fields::new(&[]));
    /// assert!(!request.is_conditional() && !request.has_body);
    /// ```
    #[must_use]
    pub fn new(method: &'a str, fields: Fields<'a>) -> Self {
        let mut head = Self {
            method,
            fields,
            directives: RequestDirectives::default(),
            authorization: false,
            cookie: false,
            if_none_match: false,
            if_modified_since: false,
            if_match_or_unmodified: false,
            range: None,
            if_range: false,
            upgrade: method == "CONNECT",
            has_body: false,
        };
        let mut cache_control = false;
        let mut pragma = false;
        for (name, value) in fields.iter() {
            let is = |known: &[u8]| is_named(name, known);
            match name.len() {
                5 if is(b"range") => {
                    head.range = Some(if head.range.is_some() { b"" } else { trim_ows(value) });
                }
                6 if is(b"cookie") => head.cookie = true,
                6 if is(b"pragma") => pragma = true,
                7 if is(b"upgrade") => head.upgrade = true,
                8 if is(b"if-match") => head.if_match_or_unmodified = true,
                8 if is(b"if-range") => head.if_range = true,
                13 if is(b"cache-control") => {
                    cache_control = true;
                    head.directives.read_line(value);
                }
                13 if is(b"authorization") => head.authorization = true,
                13 if is(b"if-none-match") => head.if_none_match = true,
                14 if is(b"content-length") => head.has_body |= !is_zero(trim_ows(value)),
                17 if is(b"if-modified-since") => head.if_modified_since = true,
                17 if is(b"transfer-encoding") => head.has_body = true,
                19 if is(b"if-unmodified-since") => head.if_match_or_unmodified = true,
                _ => {}
            }
        }
        if pragma && !cache_control {
            head.directives = RequestDirectives::parse(fields);
        }
        head
    }

    /// What was read of the fields, for as long as the request itself is not at hand.
    ///
    /// ```
    /// use hotplate_policy::{fields::Fields, request::RequestHead};
    ///
    /// let lines: [(&[u8], &[u8]); 1] = [(b"If-None-Match", b"\"a\"")];
    /// assert!(RequestHead::new("GET", Fields::new(&lines)).kept().is_conditional());
    /// ```
    #[must_use]
    pub fn kept(&self) -> KeptHead {
        let range = self.range.map(|_| &b""[..]);
        KeptHead(RequestHead { method: "", fields: Fields::default(), range, ..*self })
    }

    /// Whether the method is known to be read-only (RFC 9110 §9.2.1): `GET`, `HEAD`, `OPTIONS`,
    /// `TRACE`, `QUERY`, and WebDAV's `PROPFIND`, `REPORT` and `SEARCH`.
    ///
    /// An unknown method counts as unsafe (RFC 9111 §4.4).
    ///
    /// ```
    /// use hotplate_policy::{fields::Fields, request::RequestHead};
    ///
    /// assert!(RequestHead::new("HEAD", Fields::new(&[])).is_safe_method());
    /// assert!(!RequestHead::new("M-SEARCH", Fields::new(&[])).is_safe_method());
    /// assert!(!RequestHead::new("get", Fields::new(&[])).is_safe_method());
    /// ```
    #[must_use]
    pub fn is_safe_method(&self) -> bool {
        is_safe(self.method)
    }

    /// Whether the method is `HEAD`.
    ///
    /// ```
    /// use hotplate_policy::{fields::Fields, request::RequestHead};
    ///
    /// assert!(RequestHead::new("HEAD", Fields::new(&[])).is_head());
    /// ```
    #[must_use]
    pub fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// Whether the client holds a copy that a cache can confirm: `If-None-Match` or
    /// `If-Modified-Since` is present (RFC 9111 §4.3.2).
    ///
    /// ```
    /// use hotplate_policy::{fields::Fields, request::RequestHead};
    ///
    /// let lines: [(&[u8], &[u8]); 1] = [(b"If-None-Match", b"\"a\"")];
    /// assert!(RequestHead::new("GET", Fields::new(&lines)).is_conditional());
    /// ```
    #[must_use]
    pub const fn is_conditional(&self) -> bool {
        self.if_none_match || self.if_modified_since
    }
}

/// What was read of a request's fields, without the request.
///
/// ```
/// use hotplate_policy::{fields::Fields, request::RequestHead};
///
/// let kept = RequestHead::new("GET", Fields::new(&[(b"Cookie", b"id=1")])).kept();
/// let copied = [(&b"Cookie"[..], &b"id=1"[..])];
/// assert!(kept.over("GET", Fields::new(&copied)).cookie);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct KeptHead(RequestHead<'static>);

impl KeptHead {
    /// The head over a copy of its request, nothing of which is read again.
    ///
    /// **Arguments**: `fields` are those the head was read from, or say the same.
    ///
    /// ```
    /// use hotplate_policy::{fields::Fields, request::RequestHead};
    ///
    /// let fields = Fields::new(&[(b"Range", b"bytes=0-9")]);
    /// assert_eq!(RequestHead::new("GET", fields).kept().over("GET", fields).range, Some(&b"bytes=0-9"[..]));
    /// ```
    #[must_use]
    pub fn over<'a>(&self, method: &'a str, fields: Fields<'a>) -> RequestHead<'a> {
        let range = self.0.range.map(|_| match fields.only("range") {
            Single::One(range) => range,
            Single::Absent | Single::Many => b"",
        });
        RequestHead { method, fields, range, ..self.0 }
    }

    /// As [`RequestHead::is_conditional`].
    ///
    /// ```
    /// # use hotplate_policy::{fields::Fields, request::RequestHead};
    /// assert!(!RequestHead::new("GET", Fields::default()).kept().is_conditional());
    /// ```
    #[must_use]
    pub const fn is_conditional(&self) -> bool {
        self.0.is_conditional()
    }
}

/// RFC 9110 §9.2.1 and the IANA method registry.
pub(crate) fn is_safe(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE" | "QUERY" | "PROPFIND" | "REPORT" | "SEARCH")
}

/// A length that is certainly zero; malformed and empty values are not.
fn is_zero(length: &[u8]) -> bool {
    !length.is_empty() && length.iter().all(|byte| *byte == b'0')
}

#[cfg(test)]
mod tests {
    use super::RequestHead;
    use crate::cache_control::RequestDirectives;
    use crate::fields::Fields;
    use proptest::prelude::*;

    type Lines<'a> = &'a [(&'a [u8], &'a [u8])];

    #[test]
    fn each_field_sets_its_own_flag_whatever_its_case() {
        type Get = fn(&RequestHead<'_>) -> bool;
        let rows: &[(&[u8], Get)] = &[
            (b"AUTHORIZATION", |head| head.authorization),
            (b"cookie", |head| head.cookie),
            (b"If-None-Match", |head| head.if_none_match),
            (b"if-modified-since", |head| head.if_modified_since),
            (b"If-Match", |head| head.if_match_or_unmodified),
            (b"IF-Unmodified-Since", |head| head.if_match_or_unmodified),
            (b"If-Range", |head| head.if_range),
            (b"Range", |head| head.range.is_some()),
            (b"upgrade", |head| head.upgrade),
            (b"Transfer-Encoding", |head| head.has_body),
        ];
        for (place, (name, own)) in rows.iter().enumerate() {
            let lines = [(*name, &b"x"[..])];
            let head = RequestHead::new("GET", Fields::new(&lines));
            for (other, (_, get)) in rows.iter().enumerate() {
                let same_flag = [4, 5].contains(&place) && [4, 5].contains(&other);
                assert_eq!(get(&head), place == other || same_flag, "{:?}", name.escape_ascii().to_string());
            }
            assert!(own(&head));
        }
    }

    #[test]
    fn only_a_certain_zero_length_means_no_content() {
        let rows: [(&[u8], bool); 7] = [
            (b"0", false),
            (b" 00 ", false),
            (b"1", true),
            (b"", true),
            (b"0, 5", true),
            (b"-0", true),
            (b"abc", true),
        ];
        for (value, expected) in rows {
            let lines = [(&b"Content-Length"[..], value)];
            assert_eq!(RequestHead::new("GET", Fields::new(&lines)).has_body, expected);
        }
    }

    #[test]
    fn a_repeated_range_is_no_valid_range() {
        let lines: Lines<'_> = &[(b"range", b"bytes=0-1"), (b"range", b"bytes=5-6")];
        assert_eq!(RequestHead::new("GET", Fields::new(lines)).range, Some(&b""[..]));
    }

    #[test]
    fn pragma_counts_only_without_cache_control() {
        // RFC 9111 §5.4
        let rows: [(Lines<'_>, bool); 3] = [
            (&[(b"Pragma", b"no-cache")], true),
            (&[(b"Pragma", b"no-cache"), (b"Cache-Control", b"max-stale")], false),
            (&[(b"Cache-Control", b""), (b"Pragma", b"no-cache")], false),
        ];
        for (lines, expected) in rows {
            assert_eq!(RequestHead::new("GET", Fields::new(lines)).directives.no_cache, expected);
        }
    }

    #[test]
    fn a_kept_head_over_the_same_request_is_the_head_that_was_read() {
        let rows: [Lines<'_>; 5] = [
            &[],
            &[(b"Range", b" bytes=0-1 "), (b"If-Range", b"\"a\"")],
            &[(b"range", b"bytes=0-1"), (b"range", b"bytes=5-6")],
            &[(b"If-None-Match", b"*"), (b"Cache-Control", b"max-age=5, no-store"), (b"Cookie", b"a=1")],
            &[
                (b"Authorization", b"x"),
                (b"Content-Length", b"3"),
                (b"Upgrade", b"x"),
                (b"Pragma", b"no-cache"),
            ],
        ];
        for (method, lines) in ["GET", "CONNECT"].into_iter().flat_map(|method| rows.map(|row| (method, row)))
        {
            let read = RequestHead::new(method, Fields::new(lines));
            let kept = read.kept().over(method, Fields::new(lines));
            assert_eq!(format!("{kept:?}"), format!("{read:?}"));
        }
    }

    #[test]
    fn connect_asks_for_another_protocol() {
        assert!(RequestHead::new("CONNECT", Fields::new(&[])).upgrade);
    }

    proptest! {
        #[test]
        fn one_pass_reads_the_same_directives_as_the_parser(
            lines in proptest::collection::vec(
                (
                    prop_oneof![Just("Cache-Control"), Just("pragma"), Just("PRAGMA"), Just("x")],
                    prop_oneof![
                        Just("no-cache"), Just("max-age=5, no-store"), Just("max-stale"),
                        Just("min-fresh=\"3\""), Just("only-if-cached"), Just(",,=,\""),
                    ],
                ),
                0..6,
            ),
        ) {
            let lines: Vec<(&[u8], &[u8])> =
                lines.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
            let fields = Fields::new(&lines);
            prop_assert_eq!(RequestHead::new("GET", fields).directives, RequestDirectives::parse(fields));
        }
    }
}
