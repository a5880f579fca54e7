use proptest::prelude::*;

use super::{Precondition, conditional_fields, evaluate, freshens, is_not_modified_field, merge};
use crate::control::tests::{NOW, any_lines, borrowed, lines};
use crate::fields::Fields;
use crate::request::RequestHead;
use crate::time::Timestamp;

type Text<'a> = Option<&'a str>;

const LATER: &str = "If-Modified-Since: Sun, 06 Nov 1994 08:49:38 GMT";
const SAME: &str = "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT";
const EARLIER: &str = "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT";

#[test]
fn conditions_are_evaluated_in_the_order_of_the_rfc() {
    use Precondition::{NotModified, Proceed};
    let tag = Some("\"a\"");
    let both = format!("If-None-Match: \"b\"\n{LATER}");
    let both_match = format!("If-None-Match: \"a\"\n{EARLIER}");
    let unreadable = format!("If-None-Match:\n{LATER}");
    let twice = format!("{LATER}\n{LATER}");
    #[rustfmt::skip]
    let rows: &[(&str, &str, &str, Text, bool, u16, Precondition)] = &[
        // section, method, request, stored ETag, stored Last-Modified (at NOW), status
        ("RFC 9110 §13.1.2", "GET", "If-None-Match: \"a\"", tag, false, 200, NotModified),
        ("RFC 9110 §13.1.2", "HEAD", "If-None-Match: \"a\"", tag, false, 200, NotModified),
        ("RFC 9110 §13.1.2", "GET", "If-None-Match: \"b\", \"a\"", tag, false, 200, NotModified),
        ("RFC 9110 §13.1.2", "GET", "If-None-Match: \"b\"\nIf-None-Match: \"a\"", tag, false, 200, NotModified),
        ("RFC 9110 §13.1.2", "GET", "If-None-Match: \"b\"", tag, false, 200, Proceed),
        ("RFC 9110 §13.1.2", "GET", "If-None-Match: *", tag, false, 200, NotModified),
        ("RFC 9110 §13.1.2", "GET", "If-None-Match: *", None, false, 200, NotModified),
        ("RFC 9110 §13.1.2", "GET", "If-None-Match: \"a\"", None, false, 200, Proceed),
        ("RFC 9110 §8.8.3.2", "GET", "If-None-Match: W/\"a\"", tag, false, 200, NotModified),
        ("RFC 9110 §8.8.3.2", "GET", "If-None-Match: \"a\"", Some("W/\"a\""), false, 200, NotModified),
        ("RFC 9110 §8.8.3.2", "GET", "If-None-Match: \"A\"", tag, false, 200, Proceed),
        ("RFC 9110 §13.1.3", "GET", SAME, None, true, 200, NotModified),
        ("RFC 9110 §13.1.3", "GET", LATER, None, true, 200, NotModified),
        ("RFC 9110 §13.1.3", "GET", EARLIER, None, true, 200, Proceed),
        ("RFC 9110 §13.1.3", "GET", "If-Modified-Since: Sunday, 06-Nov-94 08:49:38 GMT", None, true, 200, NotModified),
        ("RFC 9110 §13.1.3", "GET", "If-Modified-Since: yesterday", None, true, 200, Proceed),
        ("RFC 9110 §13.1.3", "GET", &twice, None, true, 200, Proceed),
        ("RFC 9111 §4.3.2: Date", "GET", SAME, None, false, 200, NotModified),
        ("RFC 9111 §4.3.2: Date", "GET", EARLIER, None, false, 200, Proceed),
        ("RFC 9110 §13.2.2", "GET", &both, tag, true, 200, Proceed),
        ("RFC 9110 §13.2.2", "GET", &both_match, tag, true, 200, NotModified),
        ("RFC 9110 §13.1.3", "GET", &unreadable, tag, true, 200, Proceed),
        ("RFC 9110 §13.2.1", "GET", "If-None-Match: *", tag, true, 404, Proceed),
        ("RFC 9110 §13.2.1", "GET", LATER, tag, true, 301, Proceed),
        ("RFC 9110 §13.1.2", "POST", "If-None-Match: \"a\"", tag, true, 200, Proceed),
        ("RFC 9111 §4.3.2", "GET", "If-Match: \"b\"", tag, true, 200, Proceed),
        ("RFC 9111 §4.3.2", "GET", "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT", tag, true, 200, Proceed),
        ("RFC 9111 §4.3.2", "GET", "", tag, true, 200, Proceed),
    ];
    for (section, method, request, etag, modified, status, expected) in rows {
        let head = lines(request);
        let head = RequestHead::new(method, Fields::new(&head));
        let decided = evaluate(&head, etag.map(str::as_bytes), modified.then_some(NOW), NOW, *status);
        assert_eq!(decided, *expected, "{section}: {method} {request} for {etag:?}");
    }
}

#[test]
fn a_cache_asks_with_all_the_validators_it_has() {
    // RFC 9111 §4.3.1
    let (etag, date) = (&b"W/\"a\""[..], &b"Sun, 06 Nov 1994 08:49:37 GMT"[..]);
    assert_eq!(
        conditional_fields(Some(etag), Some(date)),
        [Some(("if-none-match", etag)), Some(("if-modified-since", date))]
    );
    assert_eq!(conditional_fields(None, None), [None, None]);
}

#[test]
fn a_304_freshens_the_response_it_names() {
    // RFC 9111 §4.3.4
    let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
    let same = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT";
    #[rustfmt::skip]
    let rows: &[(Option<&str>, Option<&str>, &str, bool)] = &[
        // stored ETag, stored Last-Modified, 304
        (Some("\"a\""), None, "ETag: \"a\"", true),
        (Some("\"a\""), None, "ETag: \"b\"", false),
        (Some("\"a\""), date, "ETag: \"b\"\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT", false),
        (Some("W/\"a\""), None, "ETag: W/\"a\"", true),
        (Some("W/\"a\""), None, "ETag: W/\"b\"", false),
        (Some("\"a\""), None, "ETag: W/\"a\"", true),
        (Some("W/\"a\""), None, "ETag: \"a\"", true),
        (None, date, "ETag: \"a\"", false),
        (Some("\"a\""), None, "ETag: \"a\"\nETag: \"b\"", false),
        (Some("\"a\""), None, "ETag:", false),
        (None, date, same, true),
        (Some("\"a\""), date, same, true),
        (None, date, "Last-Modified: Sunday, 06-Nov-94 08:49:37 GMT", true),
        (None, date, "Last-Modified: Sun, 06 Nov 1994 08:49:38 GMT", false),
        (None, date, "Last-Modified: x", false),
        (None, Some("x"), "Last-Modified: x", true),
        (Some("\"a\""), None, same, false),
        // No validator: the answer to the one condition that was sent.
        (Some("\"a\""), date, "", true),
        (None, None, "", true),
    ];
    for (etag, modified, head, expected) in rows {
        let head_lines = lines(head);
        let freshened =
            freshens(etag.map(str::as_bytes), modified.map(str::as_bytes), Fields::new(&head_lines));
        assert_eq!(freshened, *expected, "{etag:?} {modified:?} by {head}");
    }
}

#[test]
fn an_update_replaces_fields_but_not_what_describes_the_stored_content() {
    // RFC 9111 §3.2
    let rows = [
        ("A: 1\nB: 2", "a: 9", "B: 2\na: 9"),
        ("A: 1\nA: 2\nB: 3", "A: 9", "B: 3\nA: 9"),
        ("A: 1", "A: 8\nA: 9", "A: 8\nA: 9"),
        ("A: 1", "New: 1", "A: 1\nNew: 1"),
        ("Content-Length: 5", "Content-Length: 0", "Content-Length: 5"),
        ("Content-Encoding: br", "Content-Encoding: gzip", "Content-Encoding: br"),
        ("A: 1", "Content-Range: bytes 0-1/2\nContent-Encoding: gzip", "A: 1"),
        ("Content-Type: a/b", "Content-Type: a/c", "Content-Type: a/c"),
        ("Content-Foo: 1", "Content-Foo: 2", "Content-Foo: 2"),
        ("A: 1\nHop: 1", "Connection: hop\nHop: 2\nKeep-Alive: 3", "A: 1\nHop: 1"),
        // Age and Date are the update's, even when it has none.
        ("Age: 5\nDate: old\nA: 1", "B: 1", "A: 1\nB: 1"),
        ("Age: 5\nDate: old", "Date: new", "Date: new"),
        // A tag that was weakened stays weak.
        ("ETag: W/\"a\"", "ETag: \"a\"", "ETag: W/\"a\""),
        ("ETag: \"a\"", "ETag: W/\"a\"", "ETag: W/\"a\""),
        ("A: 1", "ETag: \"a\"", "A: 1\nETag: \"a\""),
    ];
    for (stored, update, expected) in rows {
        let (stored_lines, update_lines) = (lines(stored), lines(update));
        let merged = merge(Fields::new(&stored_lines), Fields::new(&update_lines));
        assert_eq!(merged, lines(expected), "{stored} updated by {update}");
    }
}

#[test]
fn a_304_carries_what_updates_a_copy_and_no_more() {
    // RFC 9110 §15.4.5
    for name in ["Cache-Control", "Content-Location", "DATE", "etag", "Expires", "Vary", "Last-Modified"] {
        assert!(is_not_modified_field(name.as_bytes()), "{name}");
    }
    for name in ["Content-Length", "Content-Type", "Content-Encoding", "Set-Cookie", "X-A", ""] {
        assert!(!is_not_modified_field(name.as_bytes()), "{name}");
    }
}

proptest! {
    #[test]
    fn validation_is_total_and_merging_twice_is_merging_once(
        stored in any_lines(),
        update in any_lines(),
        now: i64,
        status: u16,
    ) {
        let (stored, update) = (borrowed(&stored), borrowed(&update));
        let (stored, update) = (Fields::new(&stored), Fields::new(&update));
        let request = RequestHead::new("GET", update);
        let date = Timestamp::from_unix_millis(now);
        let decided = evaluate(&request, stored.first("etag"), None, date, status);
        prop_assert!(decided == Precondition::Proceed || (200..300).contains(&status));
        let _ = freshens(stored.first("etag"), stored.first("last-modified"), update);
        let once = merge(stored, update);
        let twice = merge(Fields::new(&once), update);
        prop_assert_eq!(&twice, &once);
    }
}
