//! HTTP-dates and delta-seconds. The first line is a date, the second the present in milliseconds.

use std::time::Duration;

use hotplate_policy::time::{DeltaSeconds, Timestamp};

use crate::input::Input;

/// Where to begin.
pub const SEEDS: &[&[u8]] = &[
    b"Sun, 06 Nov 1994 08:49:37 GMT\n1780000000000",
    b"Sunday, 06-Nov-94 08:49:37 GMT\n-1",
    b"Tuesday, 29-Feb-00 08:49:37 GMT\n4000000000000",
    b"Sunday, 06-Nov-94 08:49:37 GMT\n-62167219200000",
    b"Sun Nov  6 08:49:37 1994\n9223372036854775807",
    b"Fri, 31 Dec 9999 23:59:60 GMT\n-9223372036854775808",
    b"Sat, 29 Feb 2000 00:00:00 GMT\n253402300799999",
    b"sat, 29 feb 1900 24:00:00 gmt\n-62167219200000",
    b"99999999999999999999\n0",
];

/// The first and the last second that an HTTP-date can name.
const NAMEABLE: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

/// Reading what was written gives the same second, and writing what was read a date that reads the same; two digits
/// of a year are never more than 50 years ahead; and arithmetic saturates.
pub fn check(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let text = input.line();
    let now = Timestamp::from_unix_millis(input.number());

    let seconds = now.unix_millis().div_euclid(1_000).clamp(*NAMEABLE.start(), *NAMEABLE.end());
    let nameable = Timestamp::from_unix_seconds(seconds);
    let written = now.http_date();
    assert_eq!(Timestamp::parse_http_date(written.as_bytes()), Some(nameable), "{written} of {now:?}");

    if let Some(read) = Timestamp::parse_http_date(text) {
        assert_eq!(Timestamp::parse_http_date(read.http_date().as_bytes()), Some(read), "{read:?}");
        assert!(NAMEABLE.contains(&(read.unix_millis() / 1_000)) && read.unix_millis() % 1_000 == 0);
        assert_eq!(Timestamp::parse_http_date(&text.to_ascii_lowercase()), Some(read), "case mattered");
        let near = Timestamp::parse_http_date_near(text, now);
        if matches!(text.get(3), Some(b',' | b' ')) {
            assert_eq!(near, Some(read), "four digits of a year, and yet it depends on {now:?}");
        } else if let Some(near) = near {
            // None is 29 February 00 in a century without one, and a year before the first.
            assert!(
                near.since(nameable) < Duration::from_secs(51 * 366 * 86_400),
                "{near:?} is too far after {now:?}"
            );
        }
    } else {
        assert_eq!(Timestamp::parse_http_date_near(text, now), None, "no date, and yet one near {now:?}");
    }

    if let Some(seconds) = DeltaSeconds::parse(text) {
        assert!(text.iter().all(u8::is_ascii_digit) && seconds <= DeltaSeconds::MAX);
        assert_eq!(DeltaSeconds::parse(seconds.as_secs().to_string().as_bytes()), Some(seconds));
        let later = now.plus(seconds.duration());
        assert!(later >= now && later.since(now) <= seconds.duration());
    }
}
