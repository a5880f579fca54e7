use core::time::Duration;

use proptest::prelude::*;

use super::{Flags, StoredMeta};
use crate::control::tests::{NOW, any_lines, borrowed, lines};
use crate::control::{Control, Layers, resolve};
use crate::fields::Fields;
use crate::profile::Profile;
use crate::time::Timestamp;

fn stored(profile: Profile, head: &str, delay: Duration) -> StoredMeta {
    let lines = lines(head);
    let fields = Fields::new(&lines);
    let response_time = NOW.plus(delay);
    let control = resolve(&Layers::default(), 200, fields, response_time);
    StoredMeta::new(profile, &control, 200, fields, NOW, response_time)
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn the_initial_age_is_the_greater_of_apparent_and_corrected_age() {
    // head, response delay in ms, expected initial age in ms
    #[rustfmt::skip]
    let rows: &[(&str, &str, u64, u64)] = &[
        ("RFC 9111 §4.2.3", "", 0, 0),
        ("RFC 9111 §4.2.3: response_delay", "", 1_500, 1_500),
        ("RFC 9111 §4.2.3: age_value", "Age: 30", 0, 30_000),
        ("RFC 9111 §4.2.3: corrected_age_value", "Age: 30", 1_500, 31_500),
        ("RFC 9111 §4.2.3: apparent_age", "Date: Sun, 06 Nov 1994 08:48:37 GMT", 0, 60_000),
        ("RFC 9111 §4.2.3: max", "Date: Sun, 06 Nov 1994 08:48:37 GMT\nAge: 10", 0, 60_000),
        ("RFC 9111 §4.2.3: max", "Date: Sun, 06 Nov 1994 08:48:37 GMT\nAge: 90", 0, 90_000),
        ("RFC 9111 §4.2.3: a fast Date", "Date: Sun, 06 Nov 1994 09:49:37 GMT", 0, 0),
        ("RFC 9111 §4.2.3: a fast Date", "Date: Sun, 06 Nov 1994 09:49:37 GMT\nAge: 7", 0, 7_000),
        ("RFC 9110 §6.6.1", "Date: never", 0, 0),
        ("RFC 9110 §6.6.1", "Date: Sun, 06 Nov 1994 08:48:37 GMT\nDate: x", 0, 0),
        // Date has no fractions: a response of this second is not half a second old.
        ("RFC 9111 §4.2.3", "Date: Sun, 06 Nov 1994 08:49:37 GMT", 0, 0),
    ];
    for (section, head, delay, expected) in rows {
        let meta = stored(Profile::Safe, head, millis(*delay));
        assert_eq!(meta.initial_age, millis(*expected), "{section}: {head}");
    }
}

#[test]
fn a_response_of_this_second_has_no_apparent_age() {
    let head = lines("Date: Sun, 06 Nov 1994 08:49:37 GMT");
    let now = NOW.plus(millis(999));
    let meta = StoredMeta::new(Profile::Safe, &Control::default(), 200, Fields::new(&head), now, now);
    assert_eq!(meta.initial_age, Duration::ZERO);
}

#[test]
fn the_first_member_of_the_first_age_line_counts() {
    // RFC 9111 §5.1
    for (head, seconds) in [
        ("Age: 7200, 0", 7_200),
        ("Age: 0, 7200", 0),
        ("Age: 7200\nAge: 0", 7_200),
        ("Age: 0\nAge: 7200", 0),
        ("Age: 3600\nAge: 3600", 3_600),
        ("Age: 2147483648", 1 << 31),
        ("Age: 2147483649", 1 << 31),
        ("Age: 99999999999999999999999", 1 << 31),
        ("Age: 007", 7),
    ] {
        for profile in [Profile::Safe, Profile::Rfc9111] {
            assert_eq!(stored(profile, head, Duration::ZERO).initial_age.as_secs(), seconds, "{head}");
        }
    }
}

#[test]
fn an_unreadable_age_is_ignored_by_the_letter_and_stale_in_safe() {
    // RFC 9111 §5.1
    for age in ["abc", "-7200", "7200.0", "7200;foo=bar", "", "+1", "1 2", "\"5\""] {
        let head = format!("Cache-Control: max-age=3600\nAge: {age}");
        assert!(stored(Profile::Rfc9111, &head, Duration::ZERO).is_fresh(NOW), "{age}");
        assert!(!stored(Profile::Safe, &head, Duration::ZERO).is_fresh(NOW), "{age}");
    }
}

#[test]
fn a_response_is_fresh_while_its_lifetime_is_longer_than_its_age() {
    // RFC 9111 §4.2; head, milliseconds after the response, remaining milliseconds
    #[rustfmt::skip]
    let rows: &[(&str, u64, i64)] = &[
        ("Cache-Control: max-age=60", 0, 60_000),
        ("Cache-Control: max-age=60", 59_999, 1),
        ("Cache-Control: max-age=60", 60_000, 0),
        ("Cache-Control: max-age=60", 60_001, -1),
        ("Cache-Control: max-age=60\nAge: 59", 999, 1),
        ("Cache-Control: max-age=60\nAge: 60", 0, 0),
        ("Cache-Control: max-age=60\nAge: 61", 0, -1_000),
        ("Cache-Control: max-age=99999999999\nAge: 99999999999", 0, 0),
        ("Date: Sun, 06 Nov 1994 08:49:37 GMT\nExpires: Sun, 06 Nov 1994 08:50:37 GMT\nAge: 30", 0, 30_000),
        ("Date: Sun, 06 Nov 1994 09:49:37 GMT\nExpires: Sun, 06 Nov 1994 09:50:37 GMT\nAge: 30", 0, 30_000),
        ("", 5_000, -5_000),
    ];
    for (head, later, remaining) in rows {
        let meta = stored(Profile::Rfc9111, head, Duration::ZERO);
        let now = NOW.plus(millis(*later));
        assert_eq!(meta.ttl_millis(now), *remaining, "{head}");
        assert_eq!(meta.is_fresh(now), *remaining > 0, "{head}");
    }
}

#[test]
fn flags_say_what_the_directives_said() {
    let all = "Cache-Control: max-age=5, must-revalidate, immutable\nETag: \"a\"";
    let no_windows = "Cache-Control: proxy-revalidate, stale-while-revalidate=5, stale-if-error=5";
    #[rustfmt::skip]
    let rows: &[(&str, Profile, Flags)] = &[
        ("", Profile::Safe, Flags::NONE),
        (all, Profile::Safe, Flags::MUST_REVALIDATE | Flags::NO_STALE | Flags::IMMUTABLE | Flags::HAS_ETAG | Flags::PUBLIC),
        (no_windows, Profile::Safe, Flags::MUST_REVALIDATE | Flags::NO_STALE),
        ("Cache-Control: no-cache", Profile::Safe, Flags::NO_CACHE | Flags::NO_STALE),
        ("Cache-Control: no-cache=\"a\"", Profile::Safe, Flags::NONE),
        ("Cache-Control: s-maxage=5", Profile::Safe, Flags::PUBLIC),
        ("Cache-Control: s-maxage=5", Profile::Rfc9111, Flags::PUBLIC | Flags::NO_STALE),
        ("Cache-Control: public", Profile::Safe, Flags::PUBLIC),
    ];
    for (head, profile, flags) in rows {
        let meta = stored(*profile, head, Duration::ZERO);
        assert_eq!(meta.flags, *flags, "{head}");
        if meta.flags.is_no_stale() {
            assert_eq!((meta.stale_while_revalidate, meta.stale_if_error), Default::default(), "{head}");
        }
    }
}

#[test]
fn a_generated_tag_is_no_validator() {
    // RFC 9111 §4.3.1
    let mut meta = stored(Profile::Safe, "ETag: \"a\"", Duration::ZERO);
    assert!(meta.has_validator());
    meta.flags |= Flags::GENERATED_ETAG;
    assert!(!meta.has_validator());
    meta.last_modified = Some(NOW);
    assert!(meta.has_validator());
}

#[test]
fn times_before_the_response_count_as_the_moment_it_came() {
    let meta = stored(Profile::Safe, "Age: 5", Duration::ZERO);
    assert_eq!(meta.age(Timestamp::from_unix_millis(i64::MIN)), Duration::from_secs(5));
    assert_eq!(
        meta.age(Timestamp::from_unix_millis(i64::MAX)).as_secs(),
        (i64::MAX / 1_000) as u64 - 784_111_777 + 5
    );
}

proptest! {
    #[test]
    fn age_never_falls_and_freshness_never_returns(
        head in any_lines(),
        profile in prop_oneof![Just(Profile::Safe), Just(Profile::Rfc9111)],
        request_time: i64,
        response_time: i64,
        one: i64,
        other: i64,
    ) {
        let head = borrowed(&head);
        let fields = Fields::new(&head);
        let at = Timestamp::from_unix_millis;
        let control = resolve(&Layers { profile, ..Layers::default() }, 200, fields, at(response_time));
        let meta = StoredMeta::new(profile, &control, 200, fields, at(request_time), at(response_time));
        let (earlier, later) = (at(one.min(other)), at(one.max(other)));
        prop_assert!(meta.age(earlier) <= meta.age(later));
        prop_assert!(meta.ttl_millis(earlier) >= meta.ttl_millis(later));
        prop_assert!(meta.is_fresh(earlier) || !meta.is_fresh(later));
        prop_assert_eq!(meta.is_fresh(at(one)), meta.staleness(at(one)).is_zero() && meta.ttl_millis(at(one)) != 0);
    }

    #[test]
    fn arithmetic_is_total_on_any_stored_meta(
        spans: [u64; 4],
        now: i64,
        response_time: i64,
        bits: u16,
    ) {
        let at = Timestamp::from_unix_millis;
        let [initial_age, lifetime, stale_while_revalidate, stale_if_error] = spans.map(Duration::from_secs);
        let meta = StoredMeta {
            status: 200,
            request_time: at(response_time),
            response_time: at(response_time),
            initial_age,
            lifetime,
            stale_while_revalidate,
            stale_if_error,
            flags: Flags::from_bits(bits),
            date: at(response_time),
            last_modified: None,
        };
        prop_assert!(meta.age(at(now)) >= initial_age);
        prop_assert_eq!(meta.is_fresh(at(now)), meta.ttl_millis(at(now)) > 0);
    }
}
