//! HTTP dates: read in all three forms, written in one.
//!
//! This is done here rather than by the `httpdate` crate (the tests compare the two), for a cache must take letters in
//! any case and leap seconds, needs `now` for two-digit years, and may not panic on a far future.

use std::fmt;

use super::{MILLIS_PER_SECOND, Timestamp};

const SECONDS_PER_DAY: i64 = 86_400;
const DAYS: [&[u8; 3]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
const LONG_DAYS: [&[u8]; 7] =
    [b"Monday", b"Tuesday", b"Wednesday", b"Thursday", b"Friday", b"Saturday", b"Sunday"];
const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

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

    /// Rounded down to the second.
    pub(super) fn of(instant: Timestamp) -> Self {
        let civil = Civil::at(instant);
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

/// The instant a date names; `century` makes a year of two digits a whole one.
pub(super) fn parse(value: &[u8], century: impl Fn(i64) -> i64) -> Option<Timestamp> {
    match value.get(3)? {
        b',' => parse_imf_fixdate(value),
        b' ' => parse_asctime(value),
        _ => parse_rfc850(value, century),
    }
}

/// The year of an instant.
pub(super) fn year(instant: Timestamp) -> i64 {
    Civil::at(instant).year
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
        if !(0..=9_999).contains(&self.year)
            || !(1..=days_of_month(self.year, self.month)).contains(&self.day)
        {
            return None;
        }
        let year_from_march = self.year - i64::from(self.month < 2);
        let month_from_march = (self.month as i64 + 10) % 12;
        let era = year_from_march.div_euclid(400);
        let year_of_era = year_from_march.rem_euclid(400);
        let day_of_year = (153 * month_from_march + 2) / 5 + self.day - 1;
        let day_of_era = 365 * year_of_era + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * DAYS_PER_ERA + day_of_era - EPOCH_AS_DAYS_SINCE_MARCH_0000;
        Some(Timestamp::from_unix_seconds(days * SECONDS_PER_DAY + self.second_of_day))
    }
}

/// `month`: from zero.
fn days_of_month(year: i64, month: usize) -> i64 {
    const DAYS_OF_MONTHS: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    DAYS_OF_MONTHS[month] + i64::from(is_leap && month == 1)
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn parse_imf_fixdate(value: &[u8]) -> Option<Timestamp> {
    let mut reader = Reader(value);
    let weekday = reader.short_name(&DAYS)?;
    reader.text(b", ")?;
    let day = reader.digits(2)?;
    reader.text(b" ")?;
    let month = reader.short_name(&MONTHS)?;
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
    let month = reader.short_name(&MONTHS)?;
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
    let weekday = reader.short_name(&DAYS)?;
    reader.text(b" ")?;
    let month = reader.short_name(&MONTHS)?;
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

    /// Names of three letters.
    fn short_name(&mut self, table: &[&[u8; 3]]) -> Option<usize> {
        let (found, rest) = self.0.split_first_chunk::<3>()?;
        let place = table.iter().position(|name| name.eq_ignore_ascii_case(found))?;
        self.0 = rest;
        Some(place)
    }

    fn name(&mut self, table: &[&[u8]]) -> Option<usize> {
        table.iter().position(|name| self.text(name).is_some())
    }

    fn digits(&mut self, count: usize) -> Option<i64> {
        let (found, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        found
            .iter()
            .try_fold(0, |number, byte| byte.is_ascii_digit().then(|| 10 * number + i64::from(byte - b'0')))
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
    use super::super::Timestamp;
    use super::Civil;
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
    fn a_day_is_one_that_is_met_counting_on_from_the_first_of_its_month() {
        for year in [0, 1, 4, 100, 400, 1900, 1970, 2000, 2023, 2024, 2100, 9999] {
            for (month, day) in (0..12).flat_map(|month| (0..=32).map(move |day| (month, day))) {
                let parts = |day| Civil { year, month, day, weekday: 0, second_of_day: 0 };
                let first = parts(1).instant().unwrap().unix_millis();
                let met = Timestamp::from_unix_millis(first + (day - 1) * 86_400_000);
                let back = Civil::at(met);
                let is_met = (back.year, back.month, back.day) == (year, month, day);
                assert_eq!(parts(day).instant(), is_met.then_some(met), "{year}-{}-{day}", month + 1);
            }
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

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(value in any::<Vec<u8>>(), now in any::<i64>()) {
            let _ = Timestamp::parse_http_date(&value);
            let _ = Timestamp::parse_http_date_near(&value, Timestamp::from_unix_millis(now));
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
    }
}
