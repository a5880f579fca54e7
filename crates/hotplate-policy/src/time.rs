//! Time as a value: instants, HTTP dates and delta-seconds.
//!
//! Nothing here knows what time it is; a caller passes `now`. All arithmetic saturates, so no field value can
//! overflow into the past.
//!
//! Dates are read and written here rather than by the `httpdate` crate (the tests compare the two), for a cache must
//! take letters in any case and leap seconds, needs `now` for two-digit years, and may not panic on a far future.
//!
//! Reading list: RFC 9110 §5.6.7 (dates), RFC 9111 §1.2.2 (delta-seconds), RFC 9111 §4.2 (how a cache reads dates).

use std::fmt;
use std::time::Duration;

const MILLIS_PER_SECOND: i64 = 1_000;
const SECONDS_PER_DAY: i64 = 86_400;
const DAYS: [&[u8; 3]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
const LONG_DAYS: [&[u8]; 7] =
    [b"Monday", b"Tuesday", b"Wednesday", b"Thursday", b"Friday", b"Saturday", b"Sunday"];
const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

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
        parse_date(value, |year| if year < 70 { 2000 + year } else { 1900 + year })
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
        let latest = Civil::at(now).year + 50;
        parse_date(value, |year| latest - (latest - year).rem_euclid(100))
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
        HttpDate::of(Civil::at(self))
    }
}

/// The 29 bytes of an IMF-fixdate, ready to be a field value.
///
/// ```
/// use hotplate_policy::time::Timestamp;
/// let epoch = Timestamp::from_unix_seconds(0).http_date();
/// assert_eq!(epoch.as_bytes(), b"Thu, 01 Jan 1970 00:00:00 GMT");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HttpDate([u8; 29]);

impl HttpDate {
    /// The bytes, always 29 and always ASCII.
    ///
    /// ```
    /// # use hotplate_policy::time::Timestamp;
    /// assert!(Timestamp::from_unix_seconds(0).http_date().as_bytes().ends_with(b"GMT"));
    /// ```
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same as text.
    ///
    /// ```
    /// # use hotplate_policy::time::Timestamp;
    /// assert!(Timestamp::from_unix_seconds(0).http_date().as_str().starts_with("Thu"));
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Every byte was written by `of`, from ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    fn of(civil: Civil) -> Self {
        let mut text = *b"???, 00 ??? 0000 00:00:00 GMT";
        text[..3].copy_from_slice(DAYS[civil.weekday]);
        two_digits(&mut text[5..7], civil.day);
        text[8..11].copy_from_slice(MONTHS[civil.month]);
        two_digits(&mut text[12..14], civil.year / 100);
        two_digits(&mut text[14..16], civil.year);
        two_digits(&mut text[17..19], civil.second_of_day / 3_600);
        two_digits(&mut text[20..22], civil.second_of_day / 60 % 60);
        two_digits(&mut text[23..25], civil.second_of_day % 60);
        Self(text)
    }
}

impl fmt::Display for HttpDate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl fmt::Debug for HttpDate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("HttpDate").field(&self.as_str()).finish()
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

/// A date of the proleptic Gregorian calendar, with `month` and `weekday` counted from zero (January, Monday).
#[derive(Clone, Copy)]
struct Civil {
    year: i64,
    month: usize,
    day: i64,
    weekday: usize,
    second_of_day: i64,
}

/// The calendar repeats itself after 400 years, so days are counted in such eras. Within one, years run from March:
/// that puts the leap day last, and the lengths of months into the formula `(153 * month + 2) / 5`.
const DAYS_PER_ERA: i64 = 146_097;
const EPOCH_AS_DAYS_SINCE_MARCH_0000: i64 = 719_468;

impl Civil {
    fn at(instant: Timestamp) -> Self {
        const YEAR_ZERO: i64 = -62_167_219_200;
        const END_OF_9999: i64 = 253_402_300_799;
        let seconds = instant.0.div_euclid(MILLIS_PER_SECOND).clamp(YEAR_ZERO, END_OF_9999);
        let days = seconds.div_euclid(SECONDS_PER_DAY);
        let era = (days + EPOCH_AS_DAYS_SINCE_MARCH_0000).div_euclid(DAYS_PER_ERA);
        let day_of_era = (days + EPOCH_AS_DAYS_SINCE_MARCH_0000).rem_euclid(DAYS_PER_ERA);
        let leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
        let year_of_era = (day_of_era - leap_days) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let month = (month_from_march + 2) % 12;
        Self {
            year: 400 * era + year_of_era + i64::from(month < 2),
            month: month as usize,
            day: day_of_year - (153 * month_from_march + 2) / 5 + 1,
            weekday: (days + 3).rem_euclid(7) as usize,
            second_of_day: seconds.rem_euclid(SECONDS_PER_DAY),
        }
    }

    /// The instant of these parts, or `None` when there is no such day. The weekday says nothing more.
    fn instant(self) -> Option<Timestamp> {
        let year_from_march = self.year - i64::from(self.month < 2);
        let month_from_march = (self.month as i64 + 10) % 12;
        let era = year_from_march.div_euclid(400);
        let year_of_era = year_from_march.rem_euclid(400);
        let day_of_year = (153 * month_from_march + 2) / 5 + self.day - 1;
        let day_of_era = 365 * year_of_era + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * DAYS_PER_ERA + day_of_era - EPOCH_AS_DAYS_SINCE_MARCH_0000;
        let instant = Timestamp::from_unix_seconds(days * SECONDS_PER_DAY + self.second_of_day);
        // The way back finds 31 April and 29 February of a common year alike.
        let back = Self::at(instant);
        let parts = |civil: &Self| (civil.year, civil.month, civil.day);
        (parts(&back) == parts(&self)).then_some(instant)
    }
}

fn parse_date(value: &[u8], century: impl Fn(i64) -> i64) -> Option<Timestamp> {
    match value.get(3)? {
        b',' => parse_imf_fixdate(value),
        b' ' => parse_asctime(value),
        _ => parse_rfc850(value, century),
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn parse_imf_fixdate(value: &[u8]) -> Option<Timestamp> {
    let mut reader = Reader(value);
    let weekday = reader.name(&DAYS)?;
    reader.text(b", ")?;
    let day = reader.digits(2)?;
    reader.text(b" ")?;
    let month = reader.name(&MONTHS)?;
    reader.text(b" ")?;
    let year = reader.digits(4)?;
    reader.text(b" ")?;
    let second_of_day = reader.time_of_day()?;
    reader.text(b" GMT")?;
    reader.end()?;
    Civil { year, month, day, weekday, second_of_day }.instant()
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`
fn parse_rfc850(value: &[u8], century: impl Fn(i64) -> i64) -> Option<Timestamp> {
    let mut reader = Reader(value);
    let weekday = reader.name(&LONG_DAYS)?;
    reader.text(b", ")?;
    let day = reader.digits(2)?;
    reader.text(b"-")?;
    let month = reader.name(&MONTHS)?;
    reader.text(b"-")?;
    let year = century(reader.digits(2)?);
    reader.text(b" ")?;
    let second_of_day = reader.time_of_day()?;
    reader.text(b" GMT")?;
    reader.end()?;
    Civil { year, month, day, weekday, second_of_day }.instant()
}

/// `Sun Nov  6 08:49:37 1994`
fn parse_asctime(value: &[u8]) -> Option<Timestamp> {
    let mut reader = Reader(value);
    let weekday = reader.name(&DAYS)?;
    reader.text(b" ")?;
    let month = reader.name(&MONTHS)?;
    reader.text(b" ")?;
    let day = if reader.text(b" ").is_some() { reader.digits(1)? } else { reader.digits(2)? };
    reader.text(b" ")?;
    let second_of_day = reader.time_of_day()?;
    reader.text(b" ")?;
    let year = reader.digits(4)?;
    reader.end()?;
    Civil { year, month, day, weekday, second_of_day }.instant()
}

/// What is left to read of a date; each step takes exactly what it names, or fails.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn text(&mut self, expected: &[u8]) -> Option<()> {
        let (found, rest) = self.0.split_at_checked(expected.len())?;
        found.eq_ignore_ascii_case(expected).then(|| self.0 = rest)
    }

    fn name(&mut self, table: &[impl AsRef<[u8]>]) -> Option<usize> {
        table.iter().position(|name| self.text(name.as_ref()).is_some())
    }

    fn digits(&mut self, count: usize) -> Option<i64> {
        let (found, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        decimal(found).and_then(|number| i64::try_from(number).ok())
    }

    fn time_of_day(&mut self) -> Option<i64> {
        let hour = self.digits(2)?;
        self.text(b":")?;
        let minute = self.digits(2)?;
        self.text(b":")?;
        let second = self.digits(2)?;
        // A leap second becomes the nearest earlier instant that Unix time has (RFC 9111 §4.2).
        (hour < 24 && minute < 60 && second <= 60).then(|| hour * 3_600 + minute * 60 + second.min(59))
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

/// Writes the last two decimal digits of a number that is not negative.
fn two_digits(place: &mut [u8], number: i64) {
    for (byte, digit) in place.iter_mut().zip([number / 10 % 10, number % 10]) {
        *byte = b'0' + digit as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::{DeltaSeconds, Timestamp};
    use proptest::prelude::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn at(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp::from_unix_seconds(seconds))
    }

    #[test]
    fn dates_are_read_in_three_forms_and_no_other() {
        let table: [(&str, Option<Timestamp>); 42] = [
            // RFC 9110 §5.6.7: the three forms.
            ("Sun, 06 Nov 1994 08:49:37 GMT", at(784_111_777)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", at(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", at(784_111_777)),
            ("Wed Nov 16 08:49:37 1994", at(784_975_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", at(0)),
            ("Wed, 31 Dec 1969 23:59:59 GMT", at(-1)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", at(253_402_300_799)),
            ("Thu, 29 Feb 2024 00:00:00 GMT", at(1_709_164_800)),
            // RFC 9111 §4.2: a cache matches without regard to case.
            ("THU, 18 Aug 2050 02:01:18 GMT", at(2_544_400_878)),
            ("Thu, 18 AUG 2050 02:01:18 gMT", at(2_544_400_878)),
            // RFC 9111 §4.2: a leap second is kept as an earlier time.
            ("Sat, 31 Dec 2016 23:59:60 GMT", at(1_483_228_799)),
            // The weekday is redundant; a wrong one changes nothing.
            ("Fri, 18 Aug 2050 02:01:18 GMT", at(2_544_400_878)),
            ("Xyz, 18 Aug 2050 02:01:18 GMT", None),
            // RFC 9111 §4.2: zones other than GMT are invalid.
            ("Thu, 18 Aug 2050 02:01:18 UTC", None),
            ("Thu, 18 Aug 2050 02:01:18 +0000", None),
            ("Thu, 18 Aug 2050 02:01:18", None),
            // Everything else.
            ("", None),
            ("0", None),
            ("-1", None),
            ("Thu", None),
            ("Thu, 18 Aug 50 02:01:18 GMT", None),
            ("Thu 18 Aug 2050 02:01:18 GMT", None),
            ("Thu, 18  Aug  2050 02:01:18 GMT", None),
            ("Thu, 18-Aug-2050 02:01:18 GMT", None),
            ("Thu, 18 Aug 2050 02.01.18 GMT", None),
            ("Thu, 18 Aug 2050 2:01:18 GMT", None),
            ("Thu, 18 Aug 2050 24:00:00 GMT", None),
            ("Thu, 18 Aug 2050 02:60:18 GMT", None),
            ("Thu, 18 Aug 2050 02:01:61 GMT", None),
            ("Wed, 29 Feb 2023 00:00:00 GMT", None),
            ("Sun, 31 Apr 2023 00:00:00 GMT", None),
            ("Sun, 00 Nov 1994 08:49:37 GMT", None),
            ("Sun, 32 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 AEST", None),
            ("1994-11-06T08:49:37Z", None),
            (" Sun, 06 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 GMT ", None),
            ("Sun, 06 Nov 1994 08:49:37 GMT, x", None),
            ("Sun, 06 Nov 1994 08:49:37 GMTSun, 06 Nov 1994 08:49:37 GMT", None),
            ("Sun Nov 06 08:49:37 1994 GMT", None),
            ("Sun Nov 6 08:49:37 1994", None),
            ("Sun, 06 Nov 19\u{0664}4 08:49:37 GMT", None),
        ];
        for (text, expected) in table {
            assert_eq!(Timestamp::parse_http_date(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn two_digit_years_are_at_most_fifty_years_ahead() {
        // 1 January of the year, as the weekday of the year meant.
        let in_2026 = Timestamp::parse_http_date(b"Fri, 02 Jan 2026 00:00:00 GMT").unwrap();
        let table = [
            ("Wednesday, 01-Jan-76 00:00:00 GMT", "Wed, 01 Jan 2076 00:00:00 GMT"),
            ("Saturday, 01-Jan-77 00:00:00 GMT", "Sat, 01 Jan 1977 00:00:00 GMT"),
            ("Thursday, 01-Jan-26 00:00:00 GMT", "Thu, 01 Jan 2026 00:00:00 GMT"),
            ("Saturday, 01-Jan-00 00:00:00 GMT", "Sat, 01 Jan 2000 00:00:00 GMT"),
        ];
        for (text, expected) in table {
            let read = Timestamp::parse_http_date_near(text.as_bytes(), in_2026).unwrap();
            assert_eq!(read.http_date().as_str(), expected);
        }
    }

    #[test]
    fn dates_outside_four_digit_years_are_written_as_the_nearest() {
        assert_eq!(
            Timestamp::from_unix_millis(i64::MAX).http_date().as_str(),
            "Fri, 31 Dec 9999 23:59:59 GMT"
        );
        assert_eq!(
            Timestamp::from_unix_millis(i64::MIN).http_date().as_str(),
            "Sat, 01 Jan 0000 00:00:00 GMT"
        );
        assert_eq!(Timestamp::from_unix_millis(-1).http_date().as_str(), "Wed, 31 Dec 1969 23:59:59 GMT");
    }

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
        fn any_bytes_are_read_without_panic(value in any::<Vec<u8>>(), now in any::<i64>()) {
            let _ = Timestamp::parse_http_date(&value);
            let _ = Timestamp::parse_http_date_near(&value, Timestamp::from_unix_millis(now));
            let _ = DeltaSeconds::parse(&value);
        }

        #[test]
        fn almost_dates_are_read_without_panic(
            value in "(Sun|Sunday|sat)(,| ) ?[0-9]{1,3}[ -](Nov|Feb)[ -][0-9]{2,4} [0-9:]{6,9}( GMT)?",
        ) {
            let _ = Timestamp::parse_http_date(value.as_bytes());
        }

        #[test]
        fn every_date_written_is_read_back(seconds in -62_167_219_200_i64..=253_402_300_799) {
            let instant = Timestamp::from_unix_seconds(seconds);
            prop_assert_eq!(Timestamp::parse_http_date(instant.http_date().as_bytes()), Some(instant));
        }

        #[test]
        fn dates_are_written_as_httpdate_writes_them(seconds in 0_u64..=253_402_300_799) {
            let theirs = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
            let ours = Timestamp::from_unix_seconds(i64::try_from(seconds).unwrap()).http_date();
            prop_assert_eq!(ours.as_str(), theirs);
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
