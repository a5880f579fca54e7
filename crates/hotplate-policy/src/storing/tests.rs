use core::time::Duration;

use proptest::prelude::*;

use super::{StoreFacts, decide, request_guard, stored_fields};
use crate::control::tests::{NOW, any_lines, borrowed, lines};
use crate::control::{Layers, LocalDirectives, RULE_STATUSES, resolve};
use crate::fields::Fields;
use crate::profile::Profile;
use crate::reason::Reason;
use crate::request::RequestHead;

type Decided = Result<(), Reason>;
type Guard = Option<Reason>;

const BOTH: [Profile; 2] = [Profile::Safe, Profile::Rfc9111];
const MAX_AGE: &str = "Cache-Control: max-age=60";

fn decided(
    profile: Profile,
    method: &str,
    request: &str,
    status: u16,
    response: &str,
    rule: Option<&LocalDirectives>,
    adjust: impl Fn(&mut StoreFacts<'_>),
) -> Result<(), Reason> {
    let (request, response) = (lines(request), lines(response));
    let head = RequestHead::new(method, Fields::new(&request));
    let fields = Fields::new(&response);
    let control = resolve(&Layers { profile, rule, ..Layers::default() }, status, fields, NOW);
    let mut facts = StoreFacts::new(profile, &head);
    adjust(&mut facts);
    decide(&facts, status, fields, &control)
}

fn plain(profile: Profile, status: u16, response: &str) -> Result<(), Reason> {
    decided(profile, "GET", "", status, response, None, |_| {})
}

fn rule(seconds: u64) -> LocalDirectives {
    LocalDirectives { ttl: Some(Duration::from_secs(seconds)), ..LocalDirectives::default() }
}

#[test]
fn both_profiles_keep_what_every_cache_must_keep_out() {
    #[rustfmt::skip]
    let rows: &[(&str, &str, &str, u16, &str, Decided)] = &[
        // section, method, request, status, response
        ("RFC 9111 §3", "GET", "", 200, MAX_AGE, Ok(())),
        ("RFC 9111 §3", "POST", "", 200, MAX_AGE, Err(Reason::Method)),
        ("RFC 9111 §3", "FOO", "", 200, MAX_AGE, Err(Reason::Method)),
        ("RFC 9111 §3", "get", "", 200, MAX_AGE, Err(Reason::Method)),
        ("RFC 9111 §4.3.5", "HEAD", "", 200, MAX_AGE, Err(Reason::HeadMiss)),
        ("RFC 9110 §9.3.1", "GET", "Content-Length: 5", 200, MAX_AGE, Err(Reason::RequestBody)),
        ("RFC 9110 §9.3.1", "GET", "Content-Length: 0", 200, MAX_AGE, Ok(())),
        ("RFC 9110 §9.3.1", "GET", "Transfer-Encoding: chunked", 200, MAX_AGE, Err(Reason::RequestBody)),
        ("RFC 9110 §7.8", "GET", "Upgrade: h2c", 200, MAX_AGE, Err(Reason::Upgrade)),
        ("RFC 9111 §5.2.1.5", "GET", "Cache-Control: no-store", 200, MAX_AGE, Err(Reason::NoStoreRequest)),
        ("RFC 9111 §5.2.1.4", "GET", "Cache-Control: no-cache", 200, MAX_AGE, Ok(())),
        ("RFC 9111 §3", "GET", "", 103, MAX_AGE, Err(Reason::StatusNotCacheable)),
        ("RFC 9111 §3.3", "GET", "Range: bytes=0-1", 206, MAX_AGE, Err(Reason::PartialContent)),
        ("RFC 9111 §4.3.4", "GET", "", 304, MAX_AGE, Err(Reason::StatusNotCacheable)),
        ("RFC 9110 §15.5.17", "GET", "Range: bytes=9-", 416, MAX_AGE, Err(Reason::RangeRequest)),
        ("RFC 9110 §15.5.13", "GET", "", 412, MAX_AGE, Err(Reason::StatusNotCacheable)),
        ("RFC 6585 §4", "GET", "", 429, MAX_AGE, Err(Reason::StatusNotCacheable)),
        ("RFC 9111 §3.3", "GET", "Range: bytes=0-1", 200, MAX_AGE, Ok(())),
        ("RFC 9111 §5.2.2.5", "GET", "", 200, "Cache-Control: max-age=60, no-store", Err(Reason::NoStore)),
        ("RFC 9111 §5.2.2.5", "GET", "", 200, "Cache-Control: max-age=60, No-StOrE", Err(Reason::NoStore)),
        ("RFC 9111 §5.2.2.7", "GET", "", 200, "Cache-Control: max-age=60, private", Err(Reason::Private)),
        ("RFC 9111 §5.2.2.7", "GET", "", 200, "Cache-Control: max-age=60, private=\"x\"", Ok(())),
        ("RFC 9213 §2.2", "GET", "", 200, "CDN-Cache-Control: private\nCache-Control: max-age=9", Err(Reason::Private)),
        ("RFC 9213 §2.2", "GET", "", 200, "CDN-Cache-Control: max-age=9\nCache-Control: no-store", Ok(())),
        ("RFC 9213 §2.2", "GET", "", 200, "CDN-Cache-Control: no-store\nCache-Control: max-age=9", Err(Reason::NoStore)),
        // must-understand
        ("RFC 9111 §5.2.2.3", "GET", "", 200, "Cache-Control: max-age=9, must-understand, no-store", Ok(())),
        ("RFC 9111 §5.2.2.3", "GET", "", 299, "Cache-Control: max-age=9, must-understand", Err(Reason::UnknownMustUnderstand)),
        // Authorization
        ("RFC 9111 §3.5", "GET", "Authorization: x", 200, MAX_AGE, Err(Reason::Authorization)),
        ("RFC 9111 §3.5", "GET", "Authorization: x", 200, "Cache-Control: max-age=9, public", Ok(())),
        ("RFC 9111 §3.5", "GET", "Authorization: x", 200, "Cache-Control: s-maxage=9", Ok(())),
        ("RFC 9111 §3.5", "GET", "Authorization: x", 200, "Cache-Control: max-age=9, must-revalidate", Ok(())),
        ("RFC 9111 §3.5", "GET", "Authorization: x", 200, "Cache-Control: max-age=9, proxy-revalidate", Err(Reason::Authorization)),
        ("RFC 9111 §3.5", "GET", "Authorization: x", 200, "CDN-Cache-Control: max-age=9\nCache-Control: public", Err(Reason::Authorization)),
        // Vary
        ("RFC 9111 §4.1", "GET", "", 200, "Cache-Control: max-age=9\nVary: *", Err(Reason::VaryAny)),
        ("RFC 9111 §4.1", "GET", "", 200, "Cache-Control: max-age=9\nVary: a\nVary: b, *", Err(Reason::VaryAny)),
        ("RFC 9111 §4.1", "GET", "", 200, "Cache-Control: max-age=9\nVary: a, b", Ok(())),
        // no-cache
        ("RFC 9111 §5.2.2.4", "GET", "", 200, "Cache-Control: no-cache\nETag: \"a\"", Ok(())),
        ("RFC 9111 §5.2.2.4", "GET", "", 200, "Cache-Control: no-cache, max-age=9\nETag: \"a\"", Ok(())),
        ("RFC 9111 §5.2.2.4", "GET", "", 200, "Cache-Control: no-cache, max-age=9", Err(Reason::NoCacheUnvalidatable)),
        ("RFC 9111 §5.2.2.4", "GET", "", 200, "Cache-Control: no-cache=\"x\", max-age=9", Ok(())),
        // A lifetime of zero
        ("RFC 9111 §4.2", "GET", "", 200, "Cache-Control: max-age=0", Err(Reason::ZeroTtl)),
        ("RFC 9111 §4.2", "GET", "", 200, "Cache-Control: max-age=0\nETag: \"a\"", Ok(())),
        ("RFC 9111 §4.2", "GET", "", 200, "Cache-Control: max-age=0, private=\"etag\"\nETag: \"a\"", Err(Reason::ZeroTtl)),
        ("RFC 5861 §3", "GET", "", 200, "Cache-Control: max-age=0, stale-while-revalidate=9", Ok(())),
        ("RFC 5861 §3", "GET", "", 200, "Cache-Control: max-age=0, stale-while-revalidate=9, must-revalidate", Err(Reason::ZeroTtl)),
        ("RFC 9111 §5.3", "GET", "", 200, "Expires: 0", Err(Reason::ZeroTtl)),
        // Streams
        ("safe table", "GET", "", 200, "Cache-Control: max-age=9\nContent-Type: Text/Event-Stream;charset=utf-8", Err(Reason::EventStream)),
        ("safe table", "GET", "", 200, "Cache-Control: max-age=9\nContent-Type: text/event-streams", Ok(())),
        // Any final status with explicit freshness
        ("RFC 9111 §3", "GET", "", 299, MAX_AGE, Ok(())),
        ("RFC 9111 §3", "GET", "", 302, MAX_AGE, Ok(())),
        ("RFC 9111 §3", "GET", "", 400, MAX_AGE, Ok(())),
        ("RFC 9111 §3", "GET", "", 503, MAX_AGE, Ok(())),
        ("RFC 9111 §3", "GET", "", 599, MAX_AGE, Ok(())),
    ];
    for (section, method, request, status, response, expected) in rows {
        for profile in BOTH {
            let decided = decided(profile, method, request, *status, response, None, |_| {});
            assert_eq!(decided, *expected, "{section}, {profile}: {method} {request} -> {status} {response}");
        }
    }
}

#[test]
fn the_profiles_differ_where_the_table_of_differences_says() {
    let cookie = "Cache-Control: max-age=9\nSet-Cookie: a=b";
    let withheld = "Cache-Control: max-age=9, private=\"Set-Cookie\"\nSet-Cookie: a=b";
    let tagged = "ETag: \"a\"";
    #[rustfmt::skip]
    let rows: &[(&str, u16, &str, Decided, Decided)] = &[
        // request, status, response, safe, rfc9111
        ("Cookie: a=b", 200, MAX_AGE, Err(Reason::Cookie), Ok(())),
        ("Cookie: a=b", 200, "Cache-Control: max-age=9, public", Ok(()), Ok(())),
        ("", 200, cookie, Err(Reason::SetCookie), Ok(())),
        ("", 200, withheld, Ok(()), Ok(())),
        ("", 200, "", Err(Reason::NoFreshness), Err(Reason::NoFreshness)),
        ("", 200, tagged, Err(Reason::NoFreshness), Ok(())),
        ("", 200, "Cache-Control: public", Err(Reason::NoFreshness), Err(Reason::NoFreshness)),
        ("", 302, tagged, Err(Reason::StatusNotCacheable), Err(Reason::StatusNotCacheable)),
        ("", 302, "ETag: \"a\"\nCache-Control: public", Err(Reason::StatusNotCacheable), Ok(())),
        ("", 503, tagged, Err(Reason::ServerError), Err(Reason::ServerError)),
    ];
    for (request, status, response, safe, by_letter) in rows {
        for (profile, expected) in [(Profile::Safe, safe), (Profile::Rfc9111, by_letter)] {
            let decided = decided(profile, "GET", request, *status, response, None, |_| {});
            assert_eq!(decided, *expected, "{profile}: {request} -> {status} {response}");
        }
    }
}

#[test]
fn a_rule_gives_a_lifetime_to_the_listed_statuses_only() {
    let ttl = rule(60);
    for status in 200..600_u16 {
        let decided = decided(Profile::Safe, "GET", "", status, "", Some(&ttl), |_| {});
        assert_eq!(decided.is_ok(), RULE_STATUSES.contains(&status), "{status}: {decided:?}");
    }
    assert_eq!(decided(Profile::Safe, "GET", "", 500, "", Some(&ttl), |_| {}), Err(Reason::ServerError));
}

#[test]
fn a_rule_never_makes_a_response_shareable() {
    let ttl = LocalDirectives { override_response: true, ..rule(60) };
    for (request, reason) in [("Authorization: x", Reason::Authorization), ("Cookie: a", Reason::Cookie)] {
        let response = "Cache-Control: public";
        assert_eq!(decided(Profile::Safe, "GET", request, 200, response, Some(&ttl), |_| {}), Err(reason));
    }
}

#[test]
fn a_rule_that_forbids_storing_is_named() {
    let no_store = LocalDirectives { no_store: true, ..LocalDirectives::default() };
    assert_eq!(
        decided(Profile::Safe, "GET", "", 200, MAX_AGE, Some(&no_store), |_| {}),
        Err(Reason::RuleSaysNo)
    );
    let zero = LocalDirectives { override_response: true, ..rule(0) };
    let validator = "ETag: \"a\"";
    assert_eq!(decided(Profile::Safe, "GET", "", 200, validator, Some(&zero), |_| {}), Err(Reason::ZeroTtl));
}

#[test]
fn facts_of_the_rule_lift_the_guards_they_speak_of() {
    let set_cookie = "Cache-Control: max-age=9\nSet-Cookie: a=b";
    let check = |method, request, response, adjust: fn(&mut StoreFacts<'_>)| {
        decided(Profile::Safe, method, request, 200, response, None, adjust)
    };
    assert_eq!(check("GET", "Cookie: a", MAX_AGE, |facts| facts.cookies_ignored = true), Ok(()));
    assert_eq!(check("GET", "Cookie: a", MAX_AGE, |facts| facts.partitioned = true), Ok(()));
    assert_eq!(check("GET", "Authorization: a", MAX_AGE, |facts| facts.partitioned = true), Ok(()));
    assert_eq!(
        check("GET", "Authorization: a", MAX_AGE, |facts| facts.cookies_ignored = true),
        Err(Reason::Authorization)
    );
    assert_eq!(check("GET", "", set_cookie, |facts| facts.store_set_cookie = true), Ok(()));
    assert_eq!(check("GET", "", set_cookie, |facts| facts.partitioned = true), Err(Reason::SetCookie));
    assert_eq!(check("POST", "Content-Length: 9", MAX_AGE, |facts| facts.method_in_key = true), Ok(()));
    assert_eq!(check("HEAD", "", MAX_AGE, |facts| facts.method_in_key = true), Err(Reason::HeadMiss));
}

#[test]
fn credentials_guard_what_is_not_partitioned() {
    #[rustfmt::skip]
    let rows: &[(&str, bool, bool, Guard, Guard)] = &[
        // request, partitioned, cookies ignored, safe, rfc9111
        ("", false, false, None, None),
        ("Authorization: x", false, false, Some(Reason::Authorization), Some(Reason::Authorization)),
        ("Authorization: x", false, true, Some(Reason::Authorization), Some(Reason::Authorization)),
        ("Authorization: x", true, false, None, None),
        ("Cookie: x", false, false, Some(Reason::Cookie), None),
        ("Cookie: x", false, true, None, None),
        ("Cookie: x", true, false, None, None),
        ("Cookie: x\nAuthorization: x", false, false, Some(Reason::Authorization), Some(Reason::Authorization)),
    ];
    for (request, partitioned, cookies_ignored, safe, by_letter) in rows {
        let head_lines = lines(request);
        let head = RequestHead::new("GET", Fields::new(&head_lines));
        for (profile, expected) in [(Profile::Safe, safe), (Profile::Rfc9111, by_letter)] {
            let guard = request_guard(profile, &head, *partitioned, *cookies_ignored);
            assert_eq!(guard, *expected, "{profile}: {request}");
        }
    }
}

#[test]
fn stored_fields_are_all_but_those_excepted() {
    // RFC 9111 §3.1
    let head = lines(
        "Date: x\nSet-Cookie: a=1\nX-Unknown: 1\nConnection: x-hop, close\nSet-Cookie: b=2\nX-Hop: 1\n\
         Keep-Alive: 1\nTransfer-Encoding: chunked\nProxy-Authenticate: x\nA: 1\nB: 2\nC: 3\n\
         Cache-Control: no-cache=\"a\"\nCache-Control: private=\"B\", max-age=9",
    );
    let fields = Fields::new(&head);
    let control = resolve(&Layers::default(), 200, fields, NOW);
    let kept: Vec<_> = stored_fields(fields, &control)
        .map(|(name, value)| (core::str::from_utf8(name).unwrap(), core::str::from_utf8(value).unwrap()))
        .collect();
    let expected = [
        ("Date", "x"),
        ("Set-Cookie", "a=1"),
        ("X-Unknown", "1"),
        ("Set-Cookie", "b=2"),
        ("C", "3"),
        ("Cache-Control", "no-cache=\"a\""),
        ("Cache-Control", "private=\"B\", max-age=9"),
    ];
    assert_eq!(kept, expected);
}

proptest! {
    #[test]
    fn decisions_are_total_and_safe_is_never_laxer_about_credentials(
        request in any_lines(),
        response in any_lines(),
        status: u16,
        ttl in proptest::option::of(0_u64..1_000),
        override_response: bool,
        no_store: bool,
    ) {
        let (request, response) = (borrowed(&request), borrowed(&response));
        let fields = Fields::new(&response);
        let head = RequestHead::new("GET", Fields::new(&request));
        let rule = LocalDirectives {
            ttl: ttl.map(Duration::from_secs), override_response, no_store, ..LocalDirectives::default()
        };
        let layers = Layers { rule: Some(&rule), heuristic: true, ..Layers::default() };
        let control = resolve(&layers, status, fields, NOW);
        let by = |profile| decide(&StoreFacts::new(profile, &head), status, fields, &control);
        let (safe, by_letter) = (by(Profile::Safe), by(Profile::Rfc9111));
        if safe.is_ok() {
            prop_assert!(by_letter.is_ok(), "safe stores what the letter refuses: {by_letter:?}");
            prop_assert!(control.is_shareable() || !(head.authorization || head.cookie));
            prop_assert!(!head.directives.no_store && !control.no_store && !control.private.is_all());
            prop_assert!(status >= 200 && status != 206 && status != 304);
        }
        if rule.no_store {
            prop_assert!(safe.is_err() && by_letter.is_err());
        }
        prop_assert!(stored_fields(fields, &control).count() <= response.len());
    }
}

#[test]
fn a_plain_response_is_stored_by_either_profile() {
    for profile in BOTH {
        assert_eq!(plain(profile, 200, MAX_AGE), Ok(()));
    }
}
