//! The numbers of a stored response in the form in which many of them are kept.

use std::time::Duration;

use hotplate_policy::freshness::{self, Flags, StoredMeta};
use hotplate_policy::time::Timestamp;

/// Stands for no `Last-Modified`.
const NEVER: i64 = i64::MIN;

/// A length of time in four bytes: below 24 days in milliseconds, then in seconds, and without end above the 2^31 s that
/// are the longest RFC 9111 §1.2.2 knows. What it has of smaller parts is dropped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Span(u32);

impl Span {
    /// The highest bit: the others count the seconds above [`Span::FIRST_SECOND`].
    const SECONDS: u32 = 1 << 31;
    /// Of the shortest span that is kept in seconds. Counted from it, 2^31 s fit beside the bit.
    const FIRST_SECOND: u32 = Self::SECONDS / 1_000;
    const ENDLESS: Self = Self(u32::MAX);

    pub(super) fn of_millis(millis: u64) -> Self {
        match u32::try_from(millis) {
            Ok(millis) if millis < Self::SECONDS => Self(millis),
            _ => match u32::try_from(millis / 1_000 - u64::from(Self::FIRST_SECOND)) {
                Ok(seconds) if seconds < Self::SECONDS => Self(seconds | Self::SECONDS),
                _ => Self::ENDLESS,
            },
        }
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

impl From<Duration> for Span {
    fn from(span: Duration) -> Self {
        Self::of_millis(span.as_secs().saturating_mul(1_000).saturating_add(span.subsec_millis().into()))
    }
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
        let spans = [meta.initial_age, meta.lifetime, meta.stale_while_revalidate, meta.stale_if_error];
        Self {
            times: [meta.request_time, meta.response_time, meta.date],
            last_modified: meta.last_modified.map_or(NEVER, Timestamp::unix_millis),
            spans: spans.map(Span::from),
            status: meta.status,
            flags: meta.flags,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hotplate_policy::time::DeltaSeconds;
    use proptest::prelude::*;

    /// What can be kept as it is.
    fn span() -> impl Strategy<Value = Duration> {
        prop_oneof![
            (0..1_u64 << 31).prop_map(Duration::from_millis),
            (0..=u64::from(DeltaSeconds::MAX.as_secs())).prop_map(Duration::from_secs),
            Just(Duration::from_secs(DeltaSeconds::MAX.as_secs().into())),
            Just(Duration::from_millis(u64::MAX)),
        ]
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
            spans in [span(), span(), span(), span()],
            status in any::<u16>(),
            flags in any::<u16>(),
        ) {
            let [request_time, response_time, date] = times.map(Timestamp::from_unix_millis);
            let [initial_age, lifetime, stale_while_revalidate, stale_if_error] = spans;
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

    #[test]
    fn a_lifetime_without_end_stays_one() {
        let now = Timestamp::from_unix_seconds(0);
        let control = hotplate_policy::control::Control::default();
        let profile = hotplate_policy::profile::Profile::Safe;
        let fields = hotplate_policy::fields::Fields::new(&[]);
        let mut meta = StoredMeta::new(profile, &control, 200, fields, now, now);
        meta.lifetime = Duration::MAX;
        assert_eq!(PackedMeta::from(meta).unpack().lifetime, Duration::from_millis(u64::MAX));
        let longest = Duration::from_secs(DeltaSeconds::MAX.as_secs().into());
        assert_eq!(Span::from(longest).millis(), 1_000 << 31);
        let century = Duration::from_secs(100 * 365 * 86_400);
        assert_eq!(Span::from(century), Span::ENDLESS);
    }
}
