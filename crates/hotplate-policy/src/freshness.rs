//! How old a stored response is and how long it stays fresh (RFC 9111 §4.2).
//!
//! [`StoredMeta`] is made once, when a response is stored or validated. It keeps the *results* of all
//! header arithmetic, so that the questions of a hit, [`age`](StoredMeta::age) and
//! [`ttl_millis`](StoredMeta::ttl_millis), are two additions. Header fields count in whole seconds;
//! between them this module counts in milliseconds, so that a short lifetime is not rounded away.
//!
//! Reading list: RFC 9111 §4.2.1 (lifetime, in [`control`](crate::control)), §4.2.3 (age), §4.2.4 (stale).

use core::ops::{BitOr, BitOrAssign};
use core::time::Duration;

use crate::control::{Control, date_of, last_modified_of};
use crate::fields::Fields;
use crate::profile::Profile;
use crate::time::{DeltaSeconds, Timestamp};

/// Facts about a stored response that are yes or no. Small and stable: part of the stored format.
///
/// ```
/// use hotplate_policy::freshness::Flags;
///
/// let flags = Flags::HAS_ETAG | Flags::GENERATED_ETAG;
/// assert!(flags.contains(Flags::HAS_ETAG) && !flags.is_public());
/// assert_eq!(Flags::from_bits(flags.bits()), flags);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(u16);

impl Flags {
    /// None of them.
    ///
    /// ```
    /// # use hotplate_policy::freshness::Flags;
    /// assert_eq!(Flags::NONE.bits(), 0);
    /// ```
    pub const NONE: Self = Self(0);
    /// Once stale it must be validated: `must-revalidate` or `proxy-revalidate` (RFC 9111 §5.2.2.2,
    /// §5.2.2.8).
    ///
    /// ```
    /// # use hotplate_policy::freshness::Flags;
    /// assert!(Flags::MUST_REVALIDATE.is_must_revalidate());
    /// ```
    pub const MUST_REVALIDATE: Self = Self(1);
    /// It must be validated before each use, fresh or not: `no-cache` (RFC 9111 §5.2.2.4).
    ///
    /// ```
    /// # use hotplate_policy::freshness::Flags;
    /// assert!(Flags::NO_CACHE.is_no_cache());
    /// ```
    pub const NO_CACHE: Self = Self(1 << 1);
    /// It is never used stale, whatever a window or a request allows (RFC 9111 §4.2.4).
    ///
    /// ```
    /// # use hotplate_policy::freshness::Flags;
    /// assert!(Flags::NO_STALE.is_no_stale());
    /// ```
    pub const NO_STALE: Self = Self(1 << 2);
    /// It does not change while fresh (RFC 8246 §2).
    ///
    /// ```
    /// # use hotplate_policy::freshness::Flags;
    /// assert!(Flags::IMMUTABLE.is_immutable());
    /// ```
    pub const IMMUTABLE: Self = Self(1 << 3);
    /// Its `ETag` was made by this cache; the origin does not know it.
    ///
    /// ```
    /// # use hotplate_policy::freshness::Flags;
    /// assert!(Flags::GENERATED_ETAG.is_generated_etag());
    /// ```
    pub const GENERATED_ETAG: Self = Self(1 << 4);
    /// It has an `ETag`, its own or a generated one.
    ///
    /// ```
    /// # use hotplate_policy::freshness::Flags;
    /// assert!(Flags::HAS_ETAG.has_etag());
    /// ```
    pub const HAS_ETAG: Self = Self(1 << 5);
    /// It says that it may be shared with requests that carry credentials: `public`, `s-maxage` or
    /// `must-revalidate` (RFC 9111 §3.5).
    ///
    /// ```
    /// # use hotplate_policy::freshness::Flags;
    /// assert!(Flags::PUBLIC.is_public());
    /// ```
    pub const PUBLIC: Self = Self(1 << 6);

    /// The flags with these bits; bits without a meaning are kept, for a later version's sake.
    ///
    /// ```
    /// use hotplate_policy::freshness::Flags;
    ///
    /// assert_eq!(Flags::from_bits(0), Flags::NONE);
    /// ```
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// The bits, for the stored format.
    ///
    /// ```
    /// use hotplate_policy::freshness::Flags;
    ///
    /// assert_eq!(Flags::MUST_REVALIDATE.bits(), 1);
    /// ```
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether all of `other` are set here.
    ///
    /// ```
    /// use hotplate_policy::freshness::Flags;
    ///
    /// assert!(!Flags::HAS_ETAG.contains(Flags::HAS_ETAG | Flags::PUBLIC));
    /// ```
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These and `other`.
    ///
    /// ```
    /// use hotplate_policy::freshness::Flags;
    ///
    /// assert!(Flags::NONE.with(Flags::PUBLIC).is_public());
    /// ```
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These without `other`.
    ///
    /// ```
    /// use hotplate_policy::freshness::Flags;
    ///
    /// assert_eq!(Flags::PUBLIC.without(Flags::PUBLIC), Flags::NONE);
    /// ```
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    const fn when(self, condition: bool) -> Self {
        if condition { self } else { Self::NONE }
    }
}

/// One question for each flag.
impl Flags {
    /// [`MUST_REVALIDATE`](Self::MUST_REVALIDATE) is set.
    ///
    /// ```
    /// # use hotplate_policy::freshness::Flags;
    /// assert!(Flags::MUST_REVALIDATE.is_must_revalidate() && !Flags::NONE.is_must_revalidate());
    /// ```
    #[must_use]
    pub const fn is_must_revalidate(self) -> bool {
        self.contains(Self::MUST_REVALIDATE)
    }

    /// [`NO_CACHE`](Self::NO_CACHE) is set.
    ///
    /// ```
    /// # use hotplate_policy::freshness::Flags;
    /// assert!(Flags::NO_CACHE.is_no_cache() && !Flags::NONE.is_no_cache());
    /// ```
    #[must_use]
    pub const fn is_no_cache(self) -> bool {
        self.contains(Self::NO_CACHE)
    }

    /// [`NO_STALE`](Self::NO_STALE) is set.
    ///
    /// ```
    /// # use hotplate_policy::freshness::Flags;
    /// assert!(Flags::NO_STALE.is_no_stale() && !Flags::NONE.is_no_stale());
    /// ```
    #[must_use]
    pub const fn is_no_stale(self) -> bool {
        self.contains(Self::NO_STALE)
    }

    /// [`IMMUTABLE`](Self::IMMUTABLE) is set.
    ///
    /// ```
    /// # use hotplate_policy::freshness::Flags;
    /// assert!(Flags::IMMUTABLE.is_immutable() && !Flags::NONE.is_immutable());
    /// ```
    #[must_use]
    pub const fn is_immutable(self) -> bool {
        self.contains(Self::IMMUTABLE)
    }

    /// [`GENERATED_ETAG`](Self::GENERATED_ETAG) is set.
    ///
    /// ```
    /// # use hotplate_policy::freshness::Flags;
    /// assert!(Flags::GENERATED_ETAG.is_generated_etag() && !Flags::NONE.is_generated_etag());
    /// ```
    #[must_use]
    pub const fn is_generated_etag(self) -> bool {
        self.contains(Self::GENERATED_ETAG)
    }

    /// [`HAS_ETAG`](Self::HAS_ETAG) is set.
    ///
    /// ```
    /// # use hotplate_policy::freshness::Flags;
    /// assert!(Flags::HAS_ETAG.has_etag() && !Flags::NONE.has_etag());
    /// ```
    #[must_use]
    pub const fn has_etag(self) -> bool {
        self.contains(Self::HAS_ETAG)
    }

    /// [`PUBLIC`](Self::PUBLIC) is set.
    ///
    /// ```
    /// # use hotplate_policy::freshness::Flags;
    /// assert!(Flags::PUBLIC.is_public() && !Flags::NONE.is_public());
    /// ```
    #[must_use]
    pub const fn is_public(self) -> bool {
        self.contains(Self::PUBLIC)
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Self) {
        *self = self.with(other);
    }
}

/// What a cache remembers of a stored response's time and permissions.
///
/// **Shape**: plain data, all results; the header fields it was made from are not needed again.
///
/// ```
/// use core::time::Duration;
/// use hotplate_policy::control::{Layers, resolve};
/// use hotplate_policy::{fields::Fields, freshness::StoredMeta, profile::Profile, time::Timestamp};
///
/// let asked = Timestamp::from_unix_seconds(1_000_000_000);
/// let lines: [(&[u8], &[u8]); 2] = [(b"Cache-Control", b"max-age=60"), (b"Age", b"10")];
/// let fields = Fields::new(&lines);
/// let control = resolve(&Layers::default(), 200, fields, asked);
/// let meta = StoredMeta::new(Profile::Safe, &control, 200, fields, asked, asked);
///
/// let later = asked.plus(Duration::from_secs(20));
/// assert_eq!(meta.age(later), Duration::from_secs(30));
/// assert_eq!(meta.ttl_millis(later), 30_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredMeta {
    /// The response's status.
    pub status: u16,
    /// When the request that got the response was sent.
    pub request_time: Timestamp,
    /// When the response's head was received.
    pub response_time: Timestamp,
    /// Its age at `response_time` (`corrected_initial_age`, RFC 9111 §4.2.3).
    pub initial_age: Duration,
    /// Its freshness lifetime (RFC 9111 §4.2.1); zero when it has none.
    pub lifetime: Duration,
    /// How long past its lifetime it may be served while it is renewed (RFC 5861 §3).
    pub stale_while_revalidate: Duration,
    /// How long past its lifetime it may be served when the origin fails (RFC 5861 §4).
    pub stale_if_error: Duration,
    /// Its yes-or-no facts.
    pub flags: Flags,
    /// When it was made: `Date`, or `response_time` when that is missing or unreadable.
    pub date: Timestamp,
    /// Its `Last-Modified`, when there is one that can be read.
    pub last_modified: Option<Timestamp>,
}

/// As [`StoredMeta::ttl_millis`], of the numbers it depends on: the lifetime and the age at `response_time` in milliseconds.
///
/// ```
/// use hotplate_policy::{freshness::ttl_millis, time::Timestamp};
///
/// let now = Timestamp::from_unix_millis(10_000);
/// assert_eq!(ttl_millis(5_000, 1_000, now, Timestamp::from_unix_millis(11_500)), 2_500);
/// ```
#[must_use]
#[inline]
pub fn ttl_millis(lifetime: u64, initial_age: u64, response_time: Timestamp, now: Timestamp) -> i64 {
    let resident = now.unix_millis().saturating_sub(response_time.unix_millis()).max(0);
    let age = initial_age.saturating_add(resident.unsigned_abs());
    let number = |millis: u64| i64::try_from(millis).unwrap_or(i64::MAX);
    // Neither is negative, so the difference cannot overflow.
    number(lifetime) - number(age)
}

impl StoredMeta {
    /// The meta of a response that was just received, or, with merged fields, just validated.
    ///
    /// **Arguments**: `fields` are the response's; `request_time` and `response_time` are when the
    /// request was sent and the response's head arrived.
    ///
    /// Total: a `request_time` after `response_time` counts as no delay.
    ///
    /// RFC 9111 §4.2.3.
    ///
    /// ```
    /// use hotplate_policy::{control::Control, fields::Fields, freshness::StoredMeta};
    /// use hotplate_policy::{profile::Profile, time::Timestamp};
    ///
    /// let now = Timestamp::from_unix_seconds(0);
    /// let meta = StoredMeta::new(Profile::Safe, &Control::default(), 200, Fields::new(&[]), now, now);
    /// assert!(!meta.is_fresh(now));
    /// ```
    #[must_use]
    pub fn new(
        profile: Profile,
        control: &Control<'_>,
        status: u16,
        fields: Fields<'_>,
        request_time: Timestamp,
        response_time: Timestamp,
    ) -> Self {
        let no_stale = control.forbids_stale(profile);
        let window = |stated: Option<Duration>| stated.filter(|_| !no_stale).unwrap_or_default();
        let date = date_of(fields, response_time);
        Self {
            status,
            request_time,
            response_time,
            initial_age: initial_age(profile, fields, date, request_time, response_time),
            lifetime: control.lifetime.unwrap_or_default(),
            stale_while_revalidate: window(control.stale_while_revalidate),
            stale_if_error: window(control.stale_if_error),
            flags: Flags::MUST_REVALIDATE.when(control.must_revalidate || control.proxy_revalidate)
                | Flags::NO_CACHE.when(control.no_cache.is_all())
                | Flags::NO_STALE.when(no_stale)
                | Flags::IMMUTABLE.when(control.immutable)
                | Flags::HAS_ETAG.when(fields.contains("etag"))
                | Flags::PUBLIC.when(control.is_shareable()),
            date,
            last_modified: last_modified_of(fields, response_time),
        }
    }

    /// How old the response is (`current_age`, RFC 9111 §4.2.3). Never falls as `now` grows; a `now`
    /// before the response counts as the moment it came.
    ///
    /// `Age` on the wire is this in whole seconds, rounded down.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use hotplate_policy::{control::Control, fields::Fields, freshness::StoredMeta};
    /// # use hotplate_policy::{profile::Profile, time::Timestamp};
    /// let now = Timestamp::from_unix_seconds(0);
    /// let meta = StoredMeta::new(Profile::Safe, &Control::default(), 200, Fields::new(&[]), now, now);
    /// assert_eq!(meta.age(now.plus(Duration::from_secs(7))), Duration::from_secs(7));
    /// ```
    #[must_use]
    pub fn age(&self, now: Timestamp) -> Duration {
        self.initial_age.saturating_add(now.since(self.response_time))
    }

    /// What remains of the lifetime in milliseconds: zero or less once stale.
    ///
    /// RFC 9211 §2.4 calls this the `ttl`.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use hotplate_policy::{control::Control, fields::Fields, freshness::StoredMeta};
    /// # use hotplate_policy::{profile::Profile, time::Timestamp};
    /// let now = Timestamp::from_unix_seconds(0);
    /// let control = Control { lifetime: Some(Duration::from_secs(5)), ..Control::default() };
    /// let meta = StoredMeta::new(Profile::Safe, &control, 200, Fields::new(&[]), now, now);
    /// assert_eq!(meta.ttl_millis(now.plus(Duration::from_secs(6))), -1_000);
    /// ```
    #[must_use]
    pub fn ttl_millis(&self, now: Timestamp) -> i64 {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        ttl_millis(millis(self.lifetime), millis(self.initial_age), self.response_time, now)
    }

    /// Whether the lifetime is longer than the age (`response_is_fresh`, RFC 9111 §4.2).
    ///
    /// Once false it stays false as `now` grows. A fresh response may still need validation: ask
    /// [`reuse::decide`](crate::reuse::decide).
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use hotplate_policy::{control::Control, fields::Fields, freshness::StoredMeta};
    /// # use hotplate_policy::{profile::Profile, time::Timestamp};
    /// let now = Timestamp::from_unix_seconds(0);
    /// let control = Control { lifetime: Some(Duration::from_secs(5)), ..Control::default() };
    /// let meta = StoredMeta::new(Profile::Safe, &control, 200, Fields::new(&[]), now, now);
    /// assert!(meta.is_fresh(now) && !meta.is_fresh(now.plus(Duration::from_secs(5))));
    /// ```
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.ttl_millis(now) > 0
    }

    /// How long the response has been stale; zero while fresh and at the moment it turns stale.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use hotplate_policy::{control::Control, fields::Fields, freshness::StoredMeta};
    /// # use hotplate_policy::{profile::Profile, time::Timestamp};
    /// let now = Timestamp::from_unix_seconds(0);
    /// let meta = StoredMeta::new(Profile::Safe, &Control::default(), 200, Fields::new(&[]), now, now);
    /// assert_eq!(meta.staleness(now.plus(Duration::from_secs(2))), Duration::from_secs(2));
    /// ```
    #[must_use]
    pub fn staleness(&self, now: Timestamp) -> Duration {
        self.age(now).saturating_sub(self.lifetime)
    }

    /// Whether the origin can be asked if the response still holds: it has an `ETag` of its own or a
    /// `Last-Modified` (RFC 9111 §4.3.1).
    ///
    /// ```
    /// use hotplate_policy::{control::Control, fields::Fields, freshness::StoredMeta};
    /// use hotplate_policy::{profile::Profile, time::Timestamp};
    ///
    /// let now = Timestamp::from_unix_seconds(0);
    /// let lines: [(&[u8], &[u8]); 1] = [(b"ETag", b"\"a\"")];
    /// let meta = StoredMeta::new(Profile::Safe, &Control::default(), 200, Fields::new(&lines), now, now);
    /// assert!(meta.has_validator());
    /// ```
    #[must_use]
    pub const fn has_validator(&self) -> bool {
        (self.flags.has_etag() && !self.flags.is_generated_etag()) || self.last_modified.is_some()
    }
}

/// `corrected_initial_age` of RFC 9111 §4.2.3.
fn initial_age(
    profile: Profile,
    fields: Fields<'_>,
    date: Timestamp,
    request_time: Timestamp,
    response_time: Timestamp,
) -> Duration {
    // `Date` counts whole seconds, so a response of this very second must not seem to be up to
    // 999 ms old already.
    let apparent_age = Duration::from_secs(response_time.since(date).as_secs());
    let response_delay = response_time.since(request_time);
    apparent_age.max(age_value(profile, fields).saturating_add(response_delay))
}

/// The `Age` the response came with: the first member of the first line (RFC 9111 §5.1).
///
/// DEVIATION: [`Profile::Safe`] takes an unreadable value for the greatest, so the response is stale.
/// RFC 9111 §5.1: a cache "SHOULD ignore the field", which makes an old response look new;
/// [`Profile::Rfc9111`] does that. Test: `an_unreadable_age_is_ignored_by_the_letter_and_stale_in_safe`.
fn age_value(profile: Profile, fields: Fields<'_>) -> Duration {
    if !fields.contains("age") {
        return Duration::ZERO;
    }
    let stated = fields.members("age").next().and_then(DeltaSeconds::parse);
    let unreadable = match profile {
        Profile::Safe => DeltaSeconds::MAX,
        Profile::Rfc9111 => DeltaSeconds::ZERO,
    };
    stated.unwrap_or(unreadable).duration()
}

#[cfg(test)]
mod tests;
