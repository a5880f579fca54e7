//! Lifetimes as people write them: `30`, `"30s"`, `"5m"`, `"1h30m"`, `"250ms"`, `"2d"`, `"1w"`.

use std::time::Duration;

use crate::error::ConfigError;

const REMEDY: &str =
    "write seconds, a timedelta, or text such as \"30s\", \"5m\", \"1h30m\", \"250ms\" or \"2d\"";

/// The longest lifetime: 2^31 seconds, 68 years, the largest number RFC 9111 §1.2.2 asks caches to know.
pub const LONGEST: Duration = Duration::from_secs(1 << 31);

/// Units in the order in which they may follow one another, with their milliseconds.
const UNITS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a lifetime from text: a number of seconds, or numbers with units from the largest down.
///
/// # Errors
///
/// [`ConfigError`] naming `setting` when the text is no duration, is zero or negative, or exceeds [`LONGEST`].
pub fn parse(setting: &str, text: &str) -> Result<Duration, ConfigError> {
    let refuse = |remedy: &'static str| ConfigError::new(setting, text, remedy);
    let trimmed = text.trim();
    if let Ok(seconds) = trimmed.parse::<f64>() {
        return from_seconds(setting, seconds).map_err(|_| refuse(why(seconds)));
    }
    let mut total: u64 = 0;
    let mut next_unit = 0;
    let mut rest = trimmed;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, beyond) = after.split_at(letters);
        let Some(place) = UNITS.iter().position(|(name, _)| *name == unit) else {
            return Err(refuse(REMEDY));
        };
        if number.is_empty() {
            return Err(refuse(REMEDY));
        }
        // Only too many digits are left to fail.
        let number = number.parse::<u64>().unwrap_or(u64::MAX);
        if place < next_unit {
            return Err(refuse("write each unit once, from the largest down, as in \"1h30m\""));
        }
        next_unit = place + 1;
        total = UNITS
            .get(place)
            .and_then(|(_, millis)| number.checked_mul(*millis))
            .and_then(|part| total.checked_add(part))
            .ok_or_else(|| refuse("write a lifetime of at most 2147483648 seconds"))?;
        rest = beyond;
    }
    match Duration::from_millis(total) {
        Duration::ZERO if trimmed.is_empty() => Err(refuse(REMEDY)),
        Duration::ZERO => Err(refuse(why(0.0))),
        long if long > LONGEST => Err(refuse(why(f64::INFINITY))),
        fits => Ok(fits),
    }
}

/// Reads a lifetime from a number of seconds. Counted in milliseconds; less than one is one.
///
/// # Errors
///
/// As [`parse`].
pub fn from_seconds(setting: &str, seconds: f64) -> Result<Duration, ConfigError> {
    if seconds > 0.0 && seconds <= LONGEST.as_secs_f64() {
        let millis = Duration::from_secs_f64(seconds).as_millis().max(1);
        return Ok(Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)));
    }
    Err(ConfigError::new(setting, seconds.to_string(), why(seconds)))
}

fn why(seconds: f64) -> &'static str {
    if seconds == 0.0 {
        "a lifetime is longer than zero; to keep responses out of the cache use cache=False or exclude"
    } else if seconds < 0.0 {
        "a lifetime is not negative"
    } else if seconds.is_nan() {
        REMEDY
    } else {
        "write a lifetime of at most 2147483648 seconds (68 years)"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_people_write_is_understood() {
        for (text, millis) in [
            ("30", 30_000),
            ("0.5", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("250ms", 250),
            ("2d", 172_800_000),
            ("1w", 604_800_000),
            ("1d12h", 129_600_000),
            (" 5m ", 300_000),
        ] {
            assert_eq!(parse("ttl", text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_value() {
        for text in [
            "5 parsecs",
            "",
            "m",
            "-1",
            "0",
            "0s",
            "1m1h",
            "1m1m",
            "1.5h",
            "99999999999999999999s",
            "1e300",
            "nan",
            "inf",
            "5M",
            "-5m",
            "३s",
        ] {
            let refused = parse("ttl", text);
            assert!(
                refused.as_ref().is_err_and(|error| error.to_string().starts_with("ttl=")),
                "{text}: {refused:?}"
            );
        }
    }

    #[test]
    fn zero_says_how_to_switch_caching_off() {
        let text = parse("ttl", "0").map_err(|error| error.to_string());
        assert!(text.is_err_and(|text| text.contains("cache=False")));
    }

    proptest! {
        #[test]
        fn parsing_is_total(text in "\\PC{0,20}") {
            let _ = parse("ttl", &text);
        }

        #[test]
        fn whole_seconds_come_back(seconds in 1_u32..=2_147_483_648) {
            prop_assert_eq!(from_seconds("ttl", f64::from(seconds)), Ok(Duration::from_secs(u64::from(seconds))));
        }
    }
}
