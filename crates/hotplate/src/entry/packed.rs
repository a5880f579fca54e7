//! The numbers of a stored response in the form in which many of them are kept.

use std::time::Duration;

use hotplate_policy::freshness::{self, Flags, StoredMeta};
use hotplate_policy::time::{DeltaSeconds, Timestamp};

/// Stands for no `Last-Modified`.
const NEVER: i64 = i64::MIN;

/// A length of time in four bytes: below 24 days in milliseconds, above in seconds, of which smaller parts are dropped; at most
/// [`Span::LONGEST`], or without end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Span(u32);

impl Span {
    /// The highest bit: the others count the seconds above [`Span::FIRST_SECOND`].
    const SECONDS: u32 = 1 << 31;
    /// Of the shortest span that is kept in seconds. Counted from it, the 2^31 s of RFC 9111 §1.2.2 fit beside the bit.
    const FIRST_SECOND: u32 = Self::SECONDS / 1_000;
    const ENDLESS: Self = Self(u32::MAX);
    /// Some 68 years. What is longer, as the time to an `Expires` may be, counts as this: it has an end.
    const LONGEST: Self = Self(u32::MAX - 1);

    pub(super) fn of_millis(millis: u64) -> Self {
        match u32::try_from(millis) {
            Ok(millis) if millis < Self::SECONDS => Self(millis),
            _ if millis == u64::MAX => Self::ENDLESS,
            _ => match u32::try_from(millis / 1_000 - u64::from(Self::FIRST_SECOND)) {
                Ok(seconds) if seconds < Self::LONGEST.0 & !Self::SECONDS => Self(seconds | Self::SECONDS),
                _ => Self::LONGEST,
            },
        }
    }

    /// The shortest span that can be kept and is not shorter, where there is one.
    fn no_shorter(millis: u64) -> Self {
        let kept = Self::of_millis(millis);
        if kept.millis() < millis { Self::of_millis(millis.saturating_add(999)) } else { kept }
    }

    #[inline]
    pub(super) fn millis(self) -> u64 {
        if self.0 < Self::SECONDS { self.0.into() } else { self.long_millis() }
    }

    #[cold]
    fn long_millis(self) -> u64 {
        if self == Self::ENDLESS {
            return u64::MAX;
        }
        (u64::from(self.0 & !Self::SECONDS) + u64::from(Self::FIRST_SECOND)) * 1_000
    }
}

/// In milliseconds: nothing says that it is older (RFC 9111 §1.2.2).
const OLDEST: u64 = DeltaSeconds::MAX.as_secs() as u64 * 1_000;

/// In milliseconds; `u64::MAX` is without end.
fn millis(span: Duration) -> u64 {
    span.as_secs().saturating_mul(1_000).saturating_add(span.subsec_millis().into())
}

/// A [`StoredMeta`] in 56 bytes less.
#[derive(Clone, Copy, Debug)]
pub(super) struct PackedMeta {
    /// Of the request, the response, and `Date`.
    pub(super) times: [Timestamp; 3],
    /// In milliseconds since 1970, or [`NEVER`].
    pub(super) last_modified: i64,
    /// Initial age, freshness lifetime, stale-while-revalidate, stale-if-error.
    pub(super) spans: [Span; 4],
    pub(super) status: u16,
    pub(super) flags: Flags,
}

impl PackedMeta {
    #[inline]
    pub(super) fn unpack(&self) -> StoredMeta {
        let [request_time, response_time, date] = self.times;
        let [initial_age, lifetime, stale_while_revalidate, stale_if_error] =
            self.spans.map(|span| Duration::from_millis(span.millis()));
        StoredMeta {
            status: self.status,
            request_time,
            response_time,
            initial_age,
            lifetime,
            stale_while_revalidate,
            stale_if_error,
            flags: self.flags,
            date,
            last_modified: (self.last_modified != NEVER)
                .then(|| Timestamp::from_unix_millis(self.last_modified)),
        }
    }

    #[inline]
    pub(super) fn ttl_millis(&self, now: Timestamp) -> i64 {
        let [initial_age, lifetime, ..] = self.spans;
        freshness::ttl_millis(lifetime.millis(), initial_age.millis(), self.times[1], now)
    }
}

impl From<StoredMeta> for PackedMeta {
    fn from(meta: StoredMeta) -> Self {
        // Neither may make a response fresh for longer than it was: what is dropped of an age is dropped of the lifetime.
        let (age, lifetime) = (millis(meta.initial_age), millis(meta.lifetime));
        let initial_age = Span::no_shorter(age.min(OLDEST));
        let surplus = age.saturating_sub(initial_age.millis());
        let lifetime = if lifetime == u64::MAX { lifetime } else { lifetime.saturating_sub(surplus) };
        Self {
            times: [meta.request_time, meta.response_time, meta.date],
            last_modified: meta.last_modified.map_or(NEVER, Timestamp::unix_millis),
            spans: [
                initial_age,
                Span::of_millis(lifetime),
                Span::of_millis(millis(meta.stale_while_revalidate)),
                Span::of_millis(millis(meta.stale_if_error)),
            ],
            status: meta.status,
            flags: meta.flags,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What has an end and can be kept as it is.
    fn age() -> impl Strategy<Value = Duration> {
        let longest = DeltaSeconds::MAX.as_secs().into();
        prop_oneof![
            (0..1_u64 << 31).prop_map(Duration::from_millis),
            (0..=longest).prop_map(Duration::from_secs),
            Just(Duration::from_secs(longest)),
        ]
    }

    /// What can be kept as it is.
    fn span() -> impl Strategy<Value = Duration> {
        prop_oneof![age(), Just(Duration::from_millis(u64::MAX))]
    }

    proptest! {
        #[test]
        fn what_is_longer_loses_less_than_a_second(millis in (1_u64 << 31)..=(1 << 31) * 1_000) {
            let kept = Span::of_millis(millis).millis();
            prop_assert!(kept <= millis && millis - kept < 1_000, "{}", kept);
        }

        #[test]
        fn what_was_packed_comes_back(
            times in any::<[i64; 3]>(),
            last_modified in proptest::option::of((i64::MIN + 1)..),
            initial_age in age(),
            spans in [span(), span(), span()],
            status in any::<u16>(),
            flags in any::<u16>(),
        ) {
            let [request_time, response_time, date] = times.map(Timestamp::from_unix_millis);
            let [lifetime, stale_while_revalidate, stale_if_error] = spans;
            let meta = StoredMeta {
                status,
                request_time,
                response_time,
                initial_age,
                lifetime,
                stale_while_revalidate,
                stale_if_error,
                flags: Flags::from_bits(flags),
                date,
                last_modified: last_modified.map(Timestamp::from_unix_millis),
            };
            let packed = PackedMeta::from(meta);
            prop_assert_eq!(packed.unpack(), meta);
            prop_assert_eq!(packed.ttl_millis(date), meta.ttl_millis(date));
        }
    }

    fn meta(initial_age: Duration, lifetime: Duration) -> StoredMeta {
        let control = hotplate_policy::control::Control::default();
        let profile = hotplate_policy::profile::Profile::Safe;
        let fields = hotplate_policy::fields::Fields::new(&[]);
        let now = Timestamp::from_unix_seconds(0);
        let meta = StoredMeta::new(profile, &control, 200, fields, now, now);
        StoredMeta { initial_age, lifetime, ..meta }
    }

    #[test]
    fn a_lifetime_without_end_stays_one() {
        let kept = PackedMeta::from(meta(Duration::ZERO, Duration::MAX)).unpack();
        assert_eq!(kept.lifetime, Duration::from_millis(u64::MAX));
    }

    #[test]
    fn the_longest_delta_seconds_are_kept() {
        let longest = Duration::from_secs(DeltaSeconds::MAX.as_secs().into());
        let kept = PackedMeta::from(meta(longest, longest)).unpack();
        assert_eq!([kept.initial_age, kept.lifetime], [longest; 2]);
    }

    #[test]
    fn what_ends_after_a_long_time_ends() {
        let century = Duration::from_secs(100 * 365 * 86_400);
        let packed = PackedMeta::from(meta(Duration::ZERO, century));
        let seventy_years = Timestamp::from_unix_seconds(70 * 365 * 86_400);
        assert!(packed.unpack().is_fresh(Timestamp::from_unix_seconds(68 * 365 * 86_400)));
        assert!(!packed.unpack().is_fresh(seventy_years));
    }

    /// Around each length at which something else begins.
    fn edge() -> impl Strategy<Value = Duration> {
        let edges = [0, 1 << 31, 1_000 << 31, ((1 << 31) + 2_147_483) * 1_000, 63_000_000_000_000, 1 << 60];
        (proptest::sample::select(edges.to_vec()), 0..8_000_u64)
            .prop_map(|(edge, more)| Duration::from_millis((edge + more).saturating_sub(4_000)))
    }

    proptest! {
        #[test]
        fn nothing_is_fresh_for_longer_than_before(age in edge(), more in edge(), later in edge()) {
            for lifetime in [more, age + more] {
                let meta = meta(age, lifetime);
                let packed = PackedMeta::from(meta);
                let now = Timestamp::from_unix_seconds(0).plus(later);
                prop_assert!(packed.unpack().is_fresh(now) <= meta.is_fresh(now));
                prop_assert_eq!(packed.ttl_millis(now), packed.unpack().ttl_millis(now));
            }
        }

        #[test]
        fn an_hour_to_live_is_one_however_old(age in edge()) {
            let hour = Duration::from_secs(3_600);
            let left = PackedMeta::from(meta(age, age + hour)).ttl_millis(Timestamp::from_unix_seconds(0));
            prop_assert!((3_598_000..=3_600_000).contains(&left), "{}", left);
        }
    }
}
