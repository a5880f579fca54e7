//! Lifetimes as people write them. The input is the text.

use std::time::Duration;

use hotplate::duration::{LONGEST, from_seconds, parse};

/// Where to begin.
pub const SEEDS: &[&[u8]] = &[
    b"30",
    b"0.5",
    b"1h30m",
    b"250ms",
    b"1w2d3h4m5s6ms",
    b" 5m ",
    b"1m1h",
    b"99999999999999999999s",
    b"2147483648",
    b"3550w5d3h14m8s1ms",
    b"1e-9",
    b"-0",
    b"inf",
    b"\xe0\xa5\xa9s",
];

/// Reading is total; a lifetime is above zero, not above the longest and in whole milliseconds; written in milliseconds
/// or in units it reads the same; and what is refused is refused with its setting and its text.
pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match parse("ttl", &text) {
        Ok(lifetime) => {
            assert!(Duration::ZERO < lifetime && lifetime <= LONGEST, "{text:?} is {lifetime:?}");
            assert!(text.trim().parse::<f64>().is_ok() || units_descend(text.trim()), "{text:?}");
            let millis = u64::try_from(lifetime.as_millis()).expect("it is at most the longest");
            assert_eq!(Duration::from_millis(millis), lifetime, "a part of a millisecond");
            for written in [format!("{millis}ms"), in_units(millis)] {
                assert_eq!(parse("ttl", &written).ok(), Some(lifetime), "{text:?} written as {written}");
            }
        }
        Err(error) => assert!(error.to_string().starts_with("ttl="), "{error}"),
    }
    if let Ok(seconds) = text.trim().parse::<f64>() {
        assert_eq!(parse("ttl", &text).ok(), from_seconds("ttl", seconds).ok(), "{text:?} is {seconds}");
    }
}

const UNITS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Whether there is a number before each unit, and no unit after a smaller one or twice.
fn units_descend(text: &str) -> bool {
    let mut sizes = Vec::new();
    for part in text.split_inclusive(|character: char| character.is_ascii_digit()) {
        let unit = part.trim_end_matches(|character: char| character.is_ascii_digit());
        sizes.extend(UNITS.iter().find(|(known, _)| *known == unit).map(|(_, size)| *size));
    }
    let last = text.trim_start_matches(|character: char| character.is_ascii_digit());
    last.len() < text.len() && sizes.is_sorted_by(|one, two| one > two)
}

/// The largest units first, those that are zero left out.
fn in_units(mut millis: u64) -> String {
    let mut text = String::new();
    for (unit, size) in UNITS {
        if millis >= size {
            text += &format!("{}{unit}", millis / size);
            millis %= size;
        }
    }
    text
}
