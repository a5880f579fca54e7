use core::time::Duration;

use proptest::prelude::*;

use super::{Reuse, decide, may_serve_on_error, may_serve_stale_soft};
use crate::control::tests::{NOW, any_lines, borrowed, lines};
use crate::control::{Layers, resolve};
use crate::fields::Fields;
use crate::freshness::{Flags, StoredMeta};
use crate::profile::Profile;
use crate::reason::Reason;
use crate::request::RequestHead;
use crate::time::Timestamp;

fn stored(profile: Profile, head: &str) -> StoredMeta {
    let lines = lines(head);
    let fields = Fields::new(&lines);
    let control = resolve(&Layers { profile, ..Layers::default() }, 200, fields, NOW);
    StoredMeta::new(profile, &control, 200, fields, NOW, NOW)
}

fn at(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

#[test]
fn a_request_that_is_not_honoured_is_decided_by_the_response_alone() {
    use Reuse::{Fresh, StaleWhileRevalidate, Validate};
    let validate = |reason| Validate(reason);
    let swr = "Cache-Control: max-age=10, stale-while-revalidate=5";
    let shared_swr = "Cache-Control: s-maxage=10, stale-while-revalidate=5";
    #[rustfmt::skip]
    let rows: &[(&str, Profile, &str, u64, Reuse)] = &[
        // section, profile, stored head, seconds later, decision
        ("RFC 9111 §4.2", Profile::Safe, "Cache-Control: max-age=10", 0, Fresh),
        ("RFC 9111 §4.2", Profile::Safe, "Cache-Control: max-age=10", 9, Fresh),
        ("RFC 9111 §4.2", Profile::Safe, "Cache-Control: max-age=10", 10, validate(Reason::Stale)),
        ("RFC 9111 §4.2", Profile::Safe, "Cache-Control: max-age=0", 0, validate(Reason::Stale)),
        ("RFC 9111 §4.2.3", Profile::Safe, "Cache-Control: max-age=10\nAge: 8", 2, validate(Reason::Stale)),
        ("RFC 9111 §4.2.1", Profile::Safe, "ETag: \"a\"", 0, validate(Reason::Stale)),
        ("RFC 5861 §3", Profile::Safe, swr, 10, StaleWhileRevalidate),
        ("RFC 5861 §3", Profile::Safe, swr, 14, StaleWhileRevalidate),
        ("RFC 5861 §3", Profile::Safe, swr, 15, validate(Reason::Stale)),
        ("RFC 9111 §5.2.2.10", Profile::Safe, shared_swr, 12, StaleWhileRevalidate),
        ("RFC 9111 §5.2.2.10", Profile::Rfc9111, shared_swr, 12, validate(Reason::MustRevalidate)),
        ("RFC 9111 §5.2.2.2", Profile::Safe, "Cache-Control: max-age=10, stale-while-revalidate=5, must-revalidate", 12, validate(Reason::MustRevalidate)),
        ("RFC 9111 §5.2.2.8", Profile::Safe, "Cache-Control: max-age=10, stale-while-revalidate=5, proxy-revalidate", 12, validate(Reason::MustRevalidate)),
        ("RFC 9111 §5.2.2.2", Profile::Safe, "Cache-Control: max-age=10, must-revalidate", 9, Fresh),
        ("RFC 9111 §5.2.2.4", Profile::Safe, "Cache-Control: max-age=10, no-cache", 0, validate(Reason::NoCache)),
        ("RFC 9111 §5.2.2.4", Profile::Safe, "Cache-Control: max-age=10, no-cache", 12, validate(Reason::NoCache)),
        ("RFC 9111 §5.2.2.4", Profile::Safe, "Cache-Control: max-age=10, no-cache=\"x\"", 0, Fresh),
    ];
    let orders = lines("Cache-Control: no-cache, max-age=0, min-fresh=99, max-stale, only-if-cached");
    for (section, profile, head, later, expected) in rows {
        let meta = stored(*profile, head);
        for request in [Fields::new(&[]), Fields::new(&orders)] {
            let request = RequestHead::new("GET", request);
            assert_eq!(
                decide(&request, false, &meta, true, at(*later)),
                *expected,
                "{section}: {head} +{later} s"
            );
        }
    }
}

#[test]
fn an_honoured_request_is_obeyed() {
    use Reuse::{Fresh, GatewayTimeout, StaleAllowed, StaleWhileRevalidate, Validate};
    let fresh = "Cache-Control: max-age=10";
    let immutable = "Cache-Control: max-age=10, immutable";
    let swr = "Cache-Control: max-age=10, stale-while-revalidate=5";
    let revalidate = "Cache-Control: max-age=10, must-revalidate";
    #[rustfmt::skip]
    let rows: &[(&str, &str, &str, u64, Reuse)] = &[
        // section, request's Cache-Control, stored head, seconds later, decision
        ("RFC 9111 §5.2.1.4", "no-cache", fresh, 1, Validate(Reason::RequestNoCache)),
        ("RFC 9111 §5.2.1.4", "no-cache", swr, 12, Validate(Reason::RequestNoCache)),
        ("RFC 9111 §5.2.1.1", "max-age=0", fresh, 0, Validate(Reason::RequestMaxAge)),
        ("RFC 9111 §5.2.1.1", "max-age=5", fresh, 5, Fresh),
        ("RFC 9111 §5.2.1.1", "max-age=5", fresh, 6, Validate(Reason::RequestMaxAge)),
        ("RFC 9111 §5.2.1.1", "max-age=5, max-stale", fresh, 12, Validate(Reason::RequestMaxAge)),
        ("RFC 9111 §5.2.1.1", "max-age=99", fresh, 12, Validate(Reason::Stale)),
        ("RFC 9111 §5.2.1.3", "min-fresh=5", fresh, 5, Fresh),
        ("RFC 9111 §5.2.1.3", "min-fresh=5", fresh, 6, Validate(Reason::RequestMinFresh)),
        ("RFC 9111 §5.2.1.2", "max-stale", fresh, 999_999, StaleAllowed),
        ("RFC 9111 §5.2.1.2", "max-stale=5", fresh, 15, StaleAllowed),
        ("RFC 9111 §5.2.1.2", "max-stale=5", fresh, 16, Validate(Reason::Stale)),
        ("RFC 9111 §5.2.1.2", "max-stale=5", fresh, 1, Fresh),
        ("RFC 9111 §5.2.2.2", "max-stale", revalidate, 12, Validate(Reason::MustRevalidate)),
        ("RFC 5861 §3", "max-stale", swr, 12, StaleWhileRevalidate),
        // RFC 8246: a reload does not concern it while fresh, an explicit no-cache does.
        ("RFC 8246 §2", "max-age=0", immutable, 1, Fresh),
        ("RFC 8246 §2", "no-cache", immutable, 1, Validate(Reason::RequestNoCache)),
        ("RFC 8246 §2", "max-age=0", immutable, 10, Validate(Reason::RequestMaxAge)),
        // only-if-cached
        ("RFC 9111 §5.2.1.7", "only-if-cached", fresh, 1, Fresh),
        ("RFC 9111 §5.2.1.7", "only-if-cached", fresh, 10, GatewayTimeout),
        ("RFC 9111 §5.2.1.7", "only-if-cached, no-cache", fresh, 1, GatewayTimeout),
        ("RFC 9111 §5.2.1.7", "only-if-cached, max-stale", fresh, 12, StaleAllowed),
        ("RFC 9111 §5.2.1.7", "only-if-cached", revalidate, 12, GatewayTimeout),
        // no-store concerns storing, not what is stored already.
        ("RFC 9111 §5.2.1.5", "no-store", fresh, 1, Fresh),
    ];
    for (section, directives, head, later, expected) in rows {
        let request = [(&b"Cache-Control"[..], directives.as_bytes())];
        let request = RequestHead::new("GET", Fields::new(&request));
        let decided = decide(&request, true, &stored(Profile::Safe, head), true, at(*later));
        assert_eq!(decided, *expected, "{section}: {directives} for {head} +{later} s");
    }
}

#[test]
fn what_is_not_shareable_is_not_for_requests_with_credentials() {
    // RFC 9111 §3.5
    let meta = stored(Profile::Safe, "Cache-Control: max-age=10");
    for (request, honor, expected) in [
        ("Authorization: x", false, Reuse::Forbidden(Reason::Authorization)),
        ("Cookie: x", false, Reuse::Forbidden(Reason::Cookie)),
        ("Cookie: x\nAuthorization: x", false, Reuse::Forbidden(Reason::Authorization)),
        ("Cookie: x\nCache-Control: only-if-cached", true, Reuse::GatewayTimeout),
    ] {
        let request_lines = lines(request);
        let request = RequestHead::new("GET", Fields::new(&request_lines));
        assert_eq!(decide(&request, honor, &meta, false, NOW), expected);
        assert_eq!(decide(&request, honor, &meta, true, NOW), Reuse::Fresh);
    }
}

#[test]
fn a_stale_response_stands_in_for_an_error_within_its_window() {
    let sie = "Cache-Control: max-age=10, stale-if-error=5";
    #[rustfmt::skip]
    let rows: &[(&str, Profile, &str, bool, &str, u64, bool)] = &[
        // section, profile, request's Cache-Control, honoured, stored head, seconds later, allowed
        ("RFC 5861 §4", Profile::Safe, "", true, sie, 10, true),
        ("RFC 5861 §4", Profile::Safe, "", true, sie, 14, true),
        ("RFC 5861 §4", Profile::Safe, "", true, sie, 15, false),
        ("RFC 5861 §4", Profile::Safe, "", true, "Cache-Control: max-age=10", 10, false),
        ("RFC 5861 §4", Profile::Safe, "stale-if-error=60", true, "Cache-Control: max-age=10", 60, true),
        ("RFC 5861 §4", Profile::Safe, "stale-if-error=60", true, "Cache-Control: max-age=10", 70, false),
        ("RFC 5861 §4", Profile::Safe, "stale-if-error=60", false, "Cache-Control: max-age=10", 60, false),
        ("RFC 5861 §4", Profile::Safe, "stale-if-error=1", true, sie, 14, true),
        ("RFC 9111 §5.2.2.2", Profile::Safe, "stale-if-error=60", true, "Cache-Control: max-age=10, must-revalidate", 11, false),
        ("RFC 9111 §5.2.2.2", Profile::Safe, "", true, "Cache-Control: max-age=10, must-revalidate, stale-if-error=5", 11, false),
        ("RFC 9111 §5.2.2.10", Profile::Rfc9111, "", true, "Cache-Control: s-maxage=10, stale-if-error=5", 11, false),
        ("RFC 9111 §5.2.2.10", Profile::Safe, "", true, "Cache-Control: s-maxage=10, stale-if-error=5", 11, true),
        ("RFC 9111 §5.2.2.4", Profile::Safe, "", true, "Cache-Control: max-age=10, no-cache, stale-if-error=5", 1, false),
        ("RFC 9111 §5.2.1.4", Profile::Safe, "no-cache", true, sie, 11, false),
        ("RFC 9111 §5.2.1.4", Profile::Safe, "no-cache", false, sie, 11, true),
        // Fresh, but validated because the request wanted it.
        ("RFC 9111 §4.2", Profile::Safe, "max-age=0", true, "Cache-Control: max-age=10, must-revalidate", 1, true),
    ];
    for (section, profile, directives, honor, head, later, allowed) in rows {
        let request = [(&b"Cache-Control"[..], directives.as_bytes())];
        let request = RequestHead::new("GET", Fields::new(&request));
        let decided = may_serve_on_error(&request, *honor, &stored(*profile, head), at(*later));
        assert_eq!(decided, *allowed, "{section}: {directives} for {head} +{later} s");
    }
}

#[test]
fn a_softly_invalidated_response_is_served_where_a_stale_one_would_be() {
    #[rustfmt::skip]
    let rows: &[(&str, bool, &str, u64, bool)] = &[
        // request's Cache-Control, honoured, stored head, seconds later, allowed
        ("", false, "Cache-Control: max-age=10", 5, true),
        ("", false, "Cache-Control: max-age=10", 10, false),
        ("", false, "Cache-Control: max-age=10, stale-while-revalidate=5", 14, true),
        ("", false, "Cache-Control: max-age=10, stale-while-revalidate=5", 15, false),
        ("", false, "Cache-Control: max-age=10, must-revalidate", 5, false),
        ("", false, "Cache-Control: max-age=10, no-cache", 5, false),
        ("no-cache", true, "Cache-Control: max-age=10", 5, false),
        ("no-cache", false, "Cache-Control: max-age=10", 5, true),
        ("max-age=1", true, "Cache-Control: max-age=10", 5, false),
    ];
    for (directives, honor, head, later, allowed) in rows {
        let request = [(&b"Cache-Control"[..], directives.as_bytes())];
        let request = RequestHead::new("GET", Fields::new(&request));
        let decided = may_serve_stale_soft(&request, *honor, &stored(Profile::Safe, head), at(*later));
        assert_eq!(decided, *allowed, "{directives} for {head} +{later} s");
    }
}

fn any_meta() -> impl Strategy<Value = StoredMeta> {
    (any_lines(), any::<i64>(), any::<i64>(), any::<u16>(), any::<bool>()).prop_map(
        |(head, request_time, response_time, bits, letter)| {
            let profile = if letter { Profile::Rfc9111 } else { Profile::Safe };
            let head = borrowed(&head);
            let fields = Fields::new(&head);
            let time = Timestamp::from_unix_millis;
            let layers = Layers { profile, heuristic: true, ..Layers::default() };
            let control = resolve(&layers, 200, fields, time(response_time));
            let mut meta =
                StoredMeta::new(profile, &control, 200, fields, time(request_time), time(response_time));
            // Any combination that a stored format could hand back.
            meta.flags |= Flags::from_bits(if bits % 4 == 0 { bits } else { 0 });
            meta
        },
    )
}

proptest! {
    #[test]
    fn fresh_is_said_only_of_what_has_lifetime_left(
        request in any_lines(),
        meta in any_meta(),
        honor: bool,
        shareable: bool,
        now: i64,
    ) {
        let request = borrowed(&request);
        let request = RequestHead::new("GET", Fields::new(&request));
        let now = Timestamp::from_unix_millis(now);
        let decided = decide(&request, honor, &meta, shareable, now);
        let ttl = meta.ttl_millis(now);
        match decided {
            Reuse::Fresh => {
                prop_assert!(ttl > 0 && shareable && !meta.flags.is_no_cache());
            }
            Reuse::StaleWhileRevalidate | Reuse::StaleAllowed => {
                prop_assert!(ttl <= 0 && shareable);
                prop_assert!(!meta.flags.is_no_stale() && !meta.flags.is_no_cache());
            }
            Reuse::Forbidden(_) => prop_assert!(!shareable),
            Reuse::Validate(_) => prop_assert!(!honor || !request.directives.only_if_cached),
            Reuse::GatewayTimeout => prop_assert!(honor && request.directives.only_if_cached),
        }
        if meta.flags.is_no_cache() || (meta.flags.is_no_stale() && ttl <= 0) {
            prop_assert!(!may_serve_on_error(&request, honor, &meta, now));
            prop_assert!(!may_serve_stale_soft(&request, honor, &meta, now));
        }
    }

    #[test]
    fn what_may_be_served_later_may_be_served_earlier(
        meta in any_meta(),
        one: i64,
        other: i64,
    ) {
        let request = RequestHead::new("GET", Fields::new(&[]));
        let (earlier, later) = (one.min(other), one.max(other));
        let rank = |millis| match decide(&request, true, &meta, true, Timestamp::from_unix_millis(millis)) {
            Reuse::Fresh => 0,
            Reuse::StaleWhileRevalidate | Reuse::StaleAllowed => 1,
            _ => 2,
        };
        prop_assert!(rank(earlier) <= rank(later));
        let on_error = |millis| may_serve_on_error(&request, true, &meta, Timestamp::from_unix_millis(millis));
        prop_assert!(on_error(earlier) || !on_error(later));
    }
}
