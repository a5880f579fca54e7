//! Time as a value: instants, HTTP dates and delta-seconds.
//!
//! Nothing here knows what time it is; a caller passes `now`. All arithmetic saturates, so no field value can
//! overflow into the past.
//!
//! Reading list: RFC 9110 §5.6.7 (dates), RFC 9111 §1.2.2 (delta-seconds), RFC 9111 §4.2 (how a cache reads dates).

mod date;

use std::time::Duration;

pub use self::date::HttpDate;

const MILLIS_PER_SECOND: i64 = 1_000;

/// An instant, in milliseconds since the Unix epoch.
///
/// HTTP itself counts in whole seconds; milliseconds keep two ages apart within one.
///
/// ```
/// use std::time::Duration;
/// use hotplate_policy::time::Timestamp;
///
/// let start = Timestamp::from_unix_seconds(1_000);
/// let later = start.plus(Duration::from_millis(1_500));
/// assert_eq!(later.unix_millis(), 1_001_500);
/// assert_eq!(later.since(start), Duration::from_millis(1_500));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The instant this many milliseconds after the Unix epoch; negative is before it.
    ///
    /// ```
    /// # use hotplate_policy::time::Timestamp;
    /// assert_eq!(Timestamp::from_unix_millis(-5).unix_millis(), -5);
    /// ```
    #[must_use]
    pub const fn from_unix_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// The instant this many seconds after the Unix epoch, saturating.
    ///
    /// ```
    /// # use hotplate_policy::time::Timestamp;
    /// assert_eq!(Timestamp::from_unix_seconds(2).unix_millis(), 2_000);
    /// assert_eq!(Timestamp::from_unix_seconds(i64::MAX).unix_millis(), i64::MAX);
    /// ```
    #[must_use]
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(MILLIS_PER_SECOND))
    }

    /// Milliseconds since the Unix epoch.
    ///
    /// ```
    /// # use hotplate_policy::time::Timestamp;
    /// assert_eq!(Timestamp::from_unix_millis(7).unix_millis(), 7);
    /// ```
    #[must_use]
    pub const fn unix_millis(self) -> i64 {
        self.0
    }

    /// The instant `duration` later, saturating at the end of representable time.
    ///
    /// ```
    /// # use hotplate_policy::time::Timestamp;
    /// use std::time::Duration;
    /// let end = Timestamp::from_unix_millis(i64::MAX);
    /// assert_eq!(end.plus(Duration::MAX), end);
    /// ```
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add_unsigned(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The time from `earlier` to this instant; zero when `earlier` is in fact later.
    ///
    /// ```
    /// # use hotplate_policy::time::Timestamp;
    /// use std::time::Duration;
    /// let (a, b) = (Timestamp::from_unix_seconds(1), Timestamp::from_unix_seconds(3));
    /// assert_eq!(b.since(a), Duration::from_secs(2));
    /// assert_eq!(a.since(b), Duration::ZERO);
    /// ```
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        if self <= earlier { Duration::ZERO } else { Duration::from_millis(self.0.abs_diff(earlier.0)) }
    }

    /// The instant an HTTP-date names, or `None` when the value is not exactly one valid date.
    ///
    /// All three forms are read: IMF-fixdate, the obsolete RFC 850 form and asctime. The zone must be GMT and
    /// nothing may surround it. The weekday must be one, not the right one: it carries no information. A leap second counts as the second before it. Letters
    /// may be in any case, as RFC 9111 §4.2 asks of a cache. A two-digit year is read as 1970 to 2069; with `now` at
    /// hand prefer [`Timestamp::parse_http_date_near`].
    ///
    /// A caller that finds several field lines must not try them in turn: a repeated date is invalid (RFC 9111 §5.3).
    ///
    /// Source: RFC 9110 §5.6.7, RFC 9111 §4.2.
    ///
    /// ```
    /// # use hotplate_policy::time::Timestamp;
    /// let expected = Some(Timestamp::from_unix_seconds(784_111_777));
    /// assert_eq!(Timestamp::parse_http_date(b"Sun, 06 Nov 1994 08:49:37 GMT"), expected);
    /// assert_eq!(Timestamp::parse_http_date(b"Sunday, 06-Nov-94 08:49:37 GMT"), expected);
    /// assert_eq!(Timestamp::parse_http_date(b"Sun Nov  6 08:49:37 1994"), expected);
    /// assert_eq!(Timestamp::parse_http_date(b"Sun, 06 Nov 1994 08:49:37 UTC"), None);
    /// assert_eq!(Timestamp::parse_http_date(b"0"), None);
    /// ```
    #[must_use]
    pub fn parse_http_date(value: &[u8]) -> Option<Self> {
        date::parse(value, |year| if year < 70 { 2000 + year } else { 1900 + year })
    }

    /// As [`Timestamp::parse_http_date`], and a two-digit year is the latest one that is not more than 50 years ahead
    /// of `now`.
    ///
    /// Source: RFC 9110 §5.6.7, the rule for the RFC 850 form.
    ///
    /// ```
    /// # use hotplate_policy::time::Timestamp;
    /// let value = b"Wednesday, 01-Jan-70 00:00:00 GMT";
    /// let in_2026 = Timestamp::from_unix_seconds(1_780_000_000);
    /// // 2070 is 44 years ahead, so that is the year meant.
    /// let in_2070 = Timestamp::from_unix_seconds(3_155_760_000);
    /// assert_eq!(Timestamp::parse_http_date_near(value, in_2026), Some(in_2070));
    /// ```
    #[must_use]
    pub fn parse_http_date_near(value: &[u8], now: Timestamp) -> Option<Self> {
        date::parse(value, |year| {
            let latest = date::year(now) + 50;
            latest - (latest - year).rem_euclid(100)
        })
    }

    /// This instant as an IMF-fixdate, rounded down to the second and kept within the years 0000 to 9999.
    ///
    /// Allocates nothing. Source: RFC 9110 §5.6.7.
    ///
    /// ```
    /// # use hotplate_policy::time::Timestamp;
    /// let date = Timestamp::from_unix_seconds(784_111_777).http_date();
    /// assert_eq!(date.to_string(), "Sun, 06 Nov 1994 08:49:37 GMT");
    /// ```
    #[must_use]
    pub fn http_date(self) -> HttpDate {
        HttpDate::of(self)
    }
}

/// A number of whole seconds from a field, from 0 to 2^31.
///
/// A greater number counts as 2^31, which stands for infinity (over 68 years). Source: RFC 9111 §1.2.2.
///
/// ```
/// use hotplate_policy::time::DeltaSeconds;
/// assert_eq!(DeltaSeconds::parse(b"60").map(DeltaSeconds::as_secs), Some(60));
/// assert_eq!(DeltaSeconds::parse(b"99999999999999999999"), Some(DeltaSeconds::MAX));
/// assert_eq!(DeltaSeconds::parse(b"-1"), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeltaSeconds(u32);

impl DeltaSeconds {
    /// No time at all.
    ///
    /// ```
    /// # use hotplate_policy::time::DeltaSeconds;
    /// assert_eq!(DeltaSeconds::ZERO, DeltaSeconds::default());
    /// ```
    pub const ZERO: Self = Self(0);

    /// 2^31 seconds, the greatest value and the one every greater number becomes.
    ///
    /// ```
    /// # use hotplate_policy::time::DeltaSeconds;
    /// assert_eq!(DeltaSeconds::MAX.as_secs(), 2_147_483_648);
    /// ```
    pub const MAX: Self = Self(1 << 31);

    /// This many seconds, at most [`DeltaSeconds::MAX`].
    ///
    /// ```
    /// # use hotplate_policy::time::DeltaSeconds;
    /// assert_eq!(DeltaSeconds::new(u64::MAX), DeltaSeconds::MAX);
    /// ```
    #[must_use]
    pub const fn new(seconds: u64) -> Self {
        if seconds > Self::MAX.0 as u64 { Self::MAX } else { Self(seconds as u32) }
    }

    /// Reads `1*DIGIT`; `None` for anything else, a sign, a fraction or whitespace included.
    ///
    /// Source: RFC 9111 §1.2.2.
    ///
    /// ```
    /// # use hotplate_policy::time::DeltaSeconds;
    /// assert_eq!(DeltaSeconds::parse(b"003600"), Some(DeltaSeconds::new(3600)));
    /// assert_eq!(DeltaSeconds::parse(b"3600.0"), None);
    /// ```
    #[must_use]
    pub fn parse(digits: &[u8]) -> Option<Self> {
        decimal(digits).map(Self::new)
    }

    /// The number of seconds.
    ///
    /// ```
    /// # use hotplate_policy::time::DeltaSeconds;
    /// assert_eq!(DeltaSeconds::new(5).as_secs(), 5);
    /// ```
    #[must_use]
    pub const fn as_secs(self) -> u32 {
        self.0
    }

    /// The same as a [`Duration`].
    ///
    /// ```
    /// # use hotplate_policy::time::DeltaSeconds;
    /// assert_eq!(DeltaSeconds::new(5).duration(), std::time::Duration::from_secs(5));
    /// ```
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0 as u64)
    }
}

/// The value of `1*DIGIT`, saturating; `None` for anything else.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let append = |number: u64, digit: &u8| number.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(digits.iter().fold(0, append))
}

#[cfg(test)]
mod tests {
    use super::{DeltaSeconds, Timestamp};
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn delta_seconds_are_digits_and_saturate() {
        let table: [(&[u8], Option<u32>); 13] = [
            (b"0", Some(0)),
            (b"0060", Some(60)),
            (b"2147483647", Some(2_147_483_647)),
            (b"2147483648", Some(2_147_483_648)),
            (b"2147483649", Some(2_147_483_648)),
            (b"18446744073709551616", Some(2_147_483_648)),
            (b"99999999999999999999999999999999999", Some(2_147_483_648)),
            (b"", None),
            (b"-1", None),
            (b"+1", None),
            (b"1.0", None),
            (b" 1", None),
            (b"1a", None),
        ];
        for (text, expected) in table {
            assert_eq!(
                DeltaSeconds::parse(text).map(DeltaSeconds::as_secs),
                expected,
                "{}",
                text.escape_ascii()
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_as_seconds_without_panic(value in any::<Vec<u8>>()) {
            let _ = DeltaSeconds::parse(&value);
        }

        #[test]
        fn time_never_overflows(a in any::<i64>(), b in any::<i64>(), millis in any::<u64>()) {
            let (a, b) = (Timestamp::from_unix_millis(a), Timestamp::from_unix_millis(b));
            prop_assert!(a.plus(Duration::from_millis(millis)) >= a);
            prop_assert!(a.since(b).is_zero() || b.since(a).is_zero());
            prop_assert_eq!(b.plus(a.since(b)), a.max(b));
        }
    }
}
