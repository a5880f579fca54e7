//! The numbers of a stored response in the form in which many of them are kept: times and spans in milliseconds.

use std::time::Duration;

use hotplate_policy::freshness::{self, Flags, StoredMeta};
use hotplate_policy::time::Timestamp;

/// Stands for no `Last-Modified`.
const NEVER: i64 = i64::MIN;

/// A [`StoredMeta`] in 40 bytes less. What it has of fractions of a millisecond is dropped.
#[derive(Clone, Copy, Debug)]
pub(super) struct PackedMeta {
    /// Of the request, the response, and `Date`.
    pub(super) times: [Timestamp; 3],
    /// In milliseconds since 1970, or [`NEVER`].
    pub(super) last_modified: i64,
    /// Initial age, freshness lifetime, stale-while-revalidate, stale-if-error.
    pub(super) spans: [u64; 4],
    pub(super) status: u16,
    pub(super) flags: Flags,
}

impl PackedMeta {
    #[inline]
    pub(super) fn unpack(&self) -> StoredMeta {
        let [request_time, response_time, date] = self.times;
        let [initial_age, lifetime, stale_while_revalidate, stale_if_error] =
            self.spans.map(Duration::from_millis);
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
        freshness::ttl_millis(lifetime, initial_age, self.times[1], now)
    }
}

impl From<StoredMeta> for PackedMeta {
    fn from(meta: StoredMeta) -> Self {
        let spans = [meta.initial_age, meta.lifetime, meta.stale_while_revalidate, meta.stale_if_error];
        Self {
            times: [meta.request_time, meta.response_time, meta.date],
            last_modified: meta.last_modified.map_or(NEVER, Timestamp::unix_millis),
            spans: spans.map(millis),
            status: meta.status,
            flags: meta.flags,
        }
    }
}

fn millis(span: Duration) -> u64 {
    span.as_secs().saturating_mul(1_000).saturating_add(span.subsec_millis().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_packed_comes_back(
            times in any::<[i64; 3]>(),
            last_modified in proptest::option::of((i64::MIN + 1)..),
            spans in any::<[u64; 4]>(),
            status in any::<u16>(),
            flags in any::<u16>(),
        ) {
            let [request_time, response_time, date] = times.map(Timestamp::from_unix_millis);
            let [initial_age, lifetime, stale_while_revalidate, stale_if_error] = spans.map(Duration::from_millis);
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
    }
}
