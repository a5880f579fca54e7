use crate::cache_control::Scope;
use core::time::Duration;

use proptest::prelude::*;

use super::{
    Control, HEURISTIC_MOST, Layers, LocalDirectives, RULE_STATUSES, Source, is_understood, resolve,
};
use crate::fields::Fields;
use crate::profile::Profile;
use crate::time::Timestamp;

type Local<'a> = Option<&'a LocalDirectives>;
type Outcome = (Source, Option<u64>);

/// Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110's examples.
pub(crate) const NOW: Timestamp = Timestamp::from_unix_seconds(784_111_777);

/// Field lines from text: one `Name: value` on each line.
pub(crate) fn lines(text: &str) -> Vec<(&[u8], &[u8])> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| line.split_once(':').expect("a test line has a colon"))
        .map(|(name, value)| (name.as_bytes(), value.trim().as_bytes()))
        .collect()
}

/// Field lines of the names caches look at, with values that are well formed, nearly so, or any bytes.
pub(crate) fn any_lines() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
    let name = prop_oneof![
        8 => proptest::sample::select(vec![
            "Cache-Control", "CDN-Cache-Control", "Hotplate-Cache-Control", "Expires", "Date", "Age", "Pragma",
            "Last-Modified", "ETag", "Vary", "Set-Cookie", "Content-Type", "Connection", "Authorization",
            "Cookie", "Range", "If-None-Match", "If-Modified-Since", "Location", "Content-Length",
        ])
        .prop_map(|name| name.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..12),
    ];
    let value = prop_oneof![
        6 => proptest::sample::select(vec![
            "max-age=60", "max-age=0", "s-maxage=5, max-age=99999999999", "no-cache", "no-cache=\"a, etag\"",
            "private", "public, max-age=10", "must-revalidate", "max-age=5, stale-while-revalidate=60",
            "stale-if-error=60", "immutable, max-age=3", "no-store, must-understand", "max-stale", "max-stale=5",
            "min-fresh=5", "only-if-cached", "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:50:37 GMT",
            "Fri, 31 Dec 9999 23:59:59 GMT", "0", "17", "7200, 0", "-1", "\"tag\"", "W/\"tag\"", "*", "accept",
            "text/event-stream; charset=utf-8", "bytes=0-9", "\"unclosed", ", ,", "",
        ])
        .prop_map(|value| value.as_bytes().to_vec()),
        2 => proptest::collection::vec(any::<u8>(), 0..24),
    ];
    proptest::collection::vec((name, value), 0..10)
}

pub(crate) fn borrowed(lines: &[(Vec<u8>, Vec<u8>)]) -> Vec<(&[u8], &[u8])> {
    lines.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect()
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ttl(lifetime: u64) -> LocalDirectives {
    LocalDirectives { ttl: Some(seconds(lifetime)), ..LocalDirectives::default() }
}

fn resolved(layers: &Layers<'_>, status: u16, head: &str) -> (Source, Option<Duration>) {
    let lines = lines(head);
    let control = resolve(layers, status, Fields::new(&lines), NOW);
    (control.source, control.lifetime)
}

#[test]
fn the_lifetime_of_a_response_is_what_its_fields_give() {
    use Source::{CacheControl, Expires, Silent, Targeted};
    #[rustfmt::skip]
    let rows: &[(&str, &str, Source, Option<u64>)] = &[
        ("RFC 9111 §4.2.1", "", Silent, None),
        ("RFC 9111 §5.2.2.1", "Cache-Control: max-age=60", CacheControl, Some(60)),
        ("RFC 9111 §5.2.2.10", "Cache-Control: max-age=60, s-maxage=5", CacheControl, Some(5)),
        ("RFC 9111 §5.2.2.10", "Cache-Control: s-maxage=500\nCache-Control: max-age=60", CacheControl, Some(500)),
        ("RFC 9111 §5.2", "Cache-Control: MAX-AGE=60", CacheControl, Some(60)),
        ("RFC 9111 §5.2", "Cache-Control: x=\"max-age=60\"", CacheControl, None),
        ("RFC 9111 §4.2.1", "Cache-Control: max-age=ten", CacheControl, Some(0)),
        ("RFC 9111 §4.2.1", "Cache-Control: max-age=-5", CacheControl, Some(0)),
        ("RFC 9111 §4.2.1", "Cache-Control: max-age=1.5", CacheControl, Some(0)),
        ("RFC 9111 §4.2.1", "Cache-Control: max-age=60, max-age=5", CacheControl, Some(0)),
        ("RFC 9111 §1.2.2", "Cache-Control: max-age=99999999999999999999", CacheControl, Some(1 << 31)),
        ("RFC 9111 §5.2.2.1", "Cache-Control: public", CacheControl, None),
        // Expires.
        ("RFC 9111 §4.2.1", "Date: Sun, 06 Nov 1994 08:49:37 GMT\nExpires: Sun, 06 Nov 1994 08:50:37 GMT", Expires, Some(60)),
        // A clock that is an hour fast: both dates are in the future.
        ("RFC 9111 §4.2.1", "Date: Sun, 06 Nov 1994 09:49:37 GMT\nExpires: Sun, 06 Nov 1994 09:50:37 GMT", Expires, Some(60)),
        ("RFC 9111 §4.2.1", "Date: Sun, 06 Nov 1994 09:50:37 GMT\nExpires: Sun, 06 Nov 1994 09:49:37 GMT", Expires, Some(0)),
        ("RFC 9110 §6.6.1", "Expires: Sun, 06 Nov 1994 08:50:37 GMT", Expires, Some(60)),
        ("RFC 9110 §6.6.1", "Date: soon\nExpires: Sun, 06 Nov 1994 08:50:37 GMT", Expires, Some(60)),
        ("RFC 9110 §5.6.7", "Expires: Sunday, 06-Nov-94 08:50:37 GMT", Expires, Some(60)),
        ("RFC 9110 §5.6.7", "Expires: Sun Nov  6 08:50:37 1994", Expires, Some(60)),
        ("RFC 9111 §5.3", "Expires: 0", Expires, Some(0)),
        ("RFC 9111 §5.3", "Expires: -1", Expires, Some(0)),
        ("RFC 9111 §5.3", "Expires:", Expires, Some(0)),
        ("RFC 9111 §4.2", "Expires: Sun, 06 Nov 1994 08:50:37 UTC", Expires, Some(0)),
        ("RFC 9111 §4.2", "Expires: Sun, 06 Nov 1994 10:50:37 +0100", Expires, Some(0)),
        ("RFC 9111 §4.2.1", "Expires: Sun, 06 Nov 1994 08:50:37 GMT\nExpires: Sun, 06 Nov 1994 08:50:37 GMT", Expires, Some(0)),
        ("RFC 9111 §5.3", "Cache-Control: max-age=5\nExpires: Sun, 06 Nov 1994 08:50:37 GMT", CacheControl, Some(5)),
        ("RFC 9111 §5.3", "Cache-Control: max-age=x\nExpires: Sun, 06 Nov 1994 08:50:37 GMT", CacheControl, Some(0)),
        ("RFC 9111 §5.3", "Cache-Control: public\nExpires: Sun, 06 Nov 1994 08:50:37 GMT", Expires, Some(60)),
        // Targeted fields.
        ("RFC 9213 §2.2", "CDN-Cache-Control: max-age=9\nCache-Control: no-store", Targeted("cdn-cache-control"), Some(9)),
        ("RFC 9213 §2.2", "CDN-Cache-Control: max-age=9\nHotplate-Cache-Control: max-age=3", Targeted("hotplate-cache-control"), Some(3)),
        ("RFC 9213 §2.2", "CDN-Cache-Control: must-revalidate\nExpires: Sun, 06 Nov 1994 08:50:37 GMT", Targeted("cdn-cache-control"), None),
        ("RFC 9213 §2.1", "CDN-Cache-Control: max-age=&\nCache-Control: max-age=7", CacheControl, Some(7)),
        ("RFC 9213 §2.2", "CDN-Cache-Control:\nCache-Control: max-age=7", CacheControl, Some(7)),
    ];
    for (section, head, source, lifetime) in rows {
        let expected = (*source, lifetime.map(seconds));
        assert_eq!(resolved(&Layers::default(), 200, head), expected, "{section}: {head}");
    }
}

#[test]
fn local_directives_have_their_place_in_the_order() {
    use Source::{CacheControl, Dependency, Rule, RuleOverride, Silent};
    let (ten, twenty) = (ttl(10), ttl(20));
    let overriding = LocalDirectives { override_response: true, ..ttl(20) };
    let no_store = LocalDirectives { no_store: true, ..LocalDirectives::default() };
    let none = LocalDirectives { override_response: true, ..LocalDirectives::default() };
    let spoken = "Cache-Control: max-age=60";
    #[rustfmt::skip]
    let rows: &[(Local, Local, u16, &str, Outcome)] = &[
        // dependency, rule, status, head, (source, lifetime in seconds)
        (Some(&ten), Some(&overriding), 200, spoken, (Dependency, Some(10))),
        (Some(&ten), Some(&no_store), 200, spoken, (Dependency, Some(10))),
        (Some(&ten), None, 500, spoken, (CacheControl, Some(60))),
        (Some(&ten), None, 200, "Cache-Control: no-store, private", (Dependency, Some(10))),
        (Some(&no_store), Some(&overriding), 200, spoken, (Dependency, None)),
        (Some(&none), Some(&overriding), 200, spoken, (RuleOverride, Some(20))),
        (None, Some(&overriding), 200, spoken, (RuleOverride, Some(20))),
        (None, Some(&overriding), 503, spoken, (CacheControl, Some(60))),
        (None, Some(&no_store), 200, spoken, (RuleOverride, None)),
        (None, Some(&no_store), 503, spoken, (RuleOverride, None)),
        (None, Some(&none), 200, spoken, (CacheControl, Some(60))),
        (None, Some(&twenty), 200, spoken, (CacheControl, Some(60))),
        (None, Some(&twenty), 200, "", (Rule, Some(20))),
        (None, Some(&twenty), 404, "", (Rule, Some(20))),
        (None, Some(&twenty), 501, "", (Rule, Some(20))),
        (None, Some(&twenty), 200, "Cache-Control: public", (Rule, Some(20))),
        (None, Some(&twenty), 200, "CDN-Cache-Control: public", (Rule, Some(20))),
        (None, Some(&twenty), 200, "Cache-Control: private=\"a\"", (Rule, Some(20))),
        (None, Some(&twenty), 200, "Cache-Control: private", (CacheControl, None)),
        (None, Some(&twenty), 200, "Cache-Control: no-store", (CacheControl, None)),
        (None, Some(&twenty), 200, "Cache-Control: no-cache", (CacheControl, None)),
        (None, Some(&twenty), 200, "Cache-Control: max-age=x", (CacheControl, Some(0))),
        (None, Some(&twenty), 302, "", (Silent, None)),
        (None, Some(&twenty), 500, "", (Silent, None)),
        (None, Some(&twenty), 503, "", (Silent, None)),
    ];
    for (dependency, rule, status, head, (source, lifetime)) in rows {
        let layers = Layers { dependency: *dependency, rule: *rule, ..Layers::default() };
        let expected = (*source, lifetime.map(seconds));
        assert_eq!(resolved(&layers, *status, head), expected, "{layers:?} {status} {head}");
    }
}

#[test]
fn a_dependency_replaces_all_directives_below_it() {
    let dependency = ttl(20);
    let layers = Layers { dependency: Some(&dependency), ..Layers::default() };
    let lines = lines("Cache-Control: private, no-store, no-cache, must-revalidate, public, s-maxage=3");
    let control = resolve(&layers, 200, Fields::new(&lines), NOW);
    let expected = Control { source: Source::Dependency, lifetime: Some(seconds(20)), ..Control::default() };
    assert_eq!(control, expected);
}

#[test]
fn a_rule_that_overrides_outranks_lifetimes_and_not_what_keeps_a_response_out() {
    let rule = LocalDirectives { override_response: true, ..ttl(20) };
    let layers = Layers { rule: Some(&rule), ..Layers::default() };
    let told = lines("Cache-Control: private, no-store, no-cache, must-revalidate, public, s-maxage=3");
    let control = resolve(&layers, 200, Fields::new(&told), NOW);
    let expected = Control {
        source: Source::RuleOverride,
        lifetime: Some(seconds(20)),
        private: Scope::All,
        no_store: true,
        ..Control::default()
    };
    assert_eq!(control, expected);
}

#[test]
fn stale_windows_the_winner_does_not_give_come_from_the_dependency_then_the_rule() {
    // RFC 5861 §3, §4
    let dependency =
        LocalDirectives { stale_while_revalidate: Some(seconds(1)), ..LocalDirectives::default() };
    let rule = LocalDirectives {
        stale_while_revalidate: Some(seconds(2)),
        stale_if_error: Some(seconds(3)),
        ..LocalDirectives::default()
    };
    let layers = Layers { dependency: Some(&dependency), rule: Some(&rule), ..Layers::default() };
    for (head, while_revalidate, if_error) in [
        ("Cache-Control: max-age=9", 1, 3),
        ("Cache-Control: max-age=9, stale-while-revalidate=7", 7, 3),
        ("Cache-Control: max-age=9, stale-if-error=8", 1, 8),
        ("Cache-Control: max-age=9, stale-if-error=0", 1, 0),
    ] {
        let lines = lines(head);
        let control = resolve(&layers, 200, Fields::new(&lines), NOW);
        assert_eq!(control.stale_while_revalidate, Some(seconds(while_revalidate)), "{head}");
        assert_eq!(control.stale_if_error, Some(seconds(if_error)), "{head}");
    }
}

#[test]
fn a_heuristic_is_a_tenth_of_the_time_without_change() {
    // RFC 9111 §4.2.2
    let day_ago = "Last-Modified: Sat, 05 Nov 1994 08:49:37 GMT";
    let dated = "Date: Sun, 06 Nov 1994 08:49:37 GMT\nLast-Modified: Sun, 06 Nov 1994 08:47:57 GMT";
    let years_ago = "Last-Modified: Tue, 06 Nov 1984 08:49:37 GMT";
    let public = format!("{day_ago}\nCache-Control: public");
    let expires = format!("{day_ago}\nExpires: 0");
    #[rustfmt::skip]
    let rows: &[(u16, &str, Option<Duration>)] = &[
        (200, day_ago, Some(seconds(8_640))),
        (200, dated, Some(seconds(10))),
        (200, years_ago, Some(HEURISTIC_MOST)),
        (404, day_ago, Some(seconds(8_640))),
        (201, day_ago, None),
        (302, day_ago, None),
        (503, day_ago, None),
        (599, &public, Some(seconds(8_640))),
        (200, &expires, Some(Duration::ZERO)),
        (200, "Last-Modified: yesterday", None),
        (200, "Last-Modified: Mon, 07 Nov 1994 08:49:37 GMT", None),
        (200, "", None),
    ];
    for (status, head, lifetime) in rows {
        let layers = Layers { heuristic: true, ..Layers::default() };
        assert_eq!(resolved(&layers, *status, head).1, *lifetime, "{status} {head}");
        let off = Layers { heuristic: false, ..layers };
        assert_ne!(resolved(&off, *status, head).0, Source::Heuristic);
    }
}

#[test]
fn must_understand_lifts_no_store_for_a_known_status_only() {
    // RFC 9111 §5.2.2.3
    let head = lines("Cache-Control: max-age=5, must-understand, no-store");
    for (status, no_store) in [(200, false), (404, false), (299, true), (599, true), (206, true)] {
        let control = resolve(&Layers::default(), status, Fields::new(&head), NOW);
        assert_eq!(control.no_store, no_store, "{status}");
    }
    let without = lines("Cache-Control: max-age=5, no-store");
    assert!(resolve(&Layers::default(), 200, Fields::new(&without), NOW).no_store);
}

#[test]
fn only_a_readable_s_maxage_allows_sharing() {
    // RFC 9111 §3.5
    for (head, shareable) in [
        ("Cache-Control: public", true),
        ("Cache-Control: must-revalidate", true),
        ("Cache-Control: s-maxage=1", true),
        ("Cache-Control: s-maxage=x", false),
        ("Cache-Control: proxy-revalidate", false),
        ("Cache-Control: max-age=9", false),
        ("Cache-Control: x=\"public\"", false),
    ] {
        let lines = lines(head);
        let control = resolve(&Layers::default(), 200, Fields::new(&lines), NOW);
        assert_eq!(control.is_shareable(), shareable, "{head}");
    }
}

#[test]
fn s_maxage_forbids_stale_reuse_by_the_letter_only() {
    // RFC 9111 §5.2.2.10
    for (head, by_letter, in_safe) in [
        ("Cache-Control: s-maxage=1", true, false),
        ("Cache-Control: must-revalidate", true, true),
        ("Cache-Control: proxy-revalidate", true, true),
        ("Cache-Control: no-cache", true, true),
        ("Cache-Control: no-cache=\"a\"", false, false),
        ("Cache-Control: max-age=1", false, false),
    ] {
        let lines = lines(head);
        let control = resolve(&Layers::default(), 200, Fields::new(&lines), NOW);
        assert_eq!(control.forbids_stale(Profile::Rfc9111), by_letter, "{head}");
        assert_eq!(control.forbids_stale(Profile::Safe), in_safe, "{head}");
    }
}

#[test]
fn statuses_with_a_default_lifetime_are_understood() {
    assert!(RULE_STATUSES.iter().all(|status| is_understood(*status)));
    assert!(!is_understood(206) && !is_understood(304) && !is_understood(100));
}

proptest! {
    #[test]
    fn resolving_is_total_and_a_rule_never_reaches_other_statuses(
        head in any_lines(),
        status: u16,
        heuristic: bool,
        override_response: bool,
        now: i64,
    ) {
        let rule = LocalDirectives { override_response, ..ttl(777_777) };
        let layers = Layers { rule: Some(&rule), heuristic, ..Layers::default() };
        let head = borrowed(&head);
        let control = resolve(&layers, status, Fields::new(&head), Timestamp::from_unix_millis(now));
        if !RULE_STATUSES.contains(&status) {
            prop_assert!(!control.is_local());
        }
    }
}
