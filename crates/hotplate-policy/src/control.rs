//! Many sources of directives, one [`Control`]: which of them rules this response.
//!
//! A handler's dependency, a developer's rule, targeted fields (RFC 9213), `Cache-Control` and `Expires`
//! all say how a cache may treat a response. [`resolve`] goes through them in order of precedence:
//!
//! 1. the **dependency**, when it gives a lifetime or forbids storing;
//! 2. the **rule**, when it overrides and gives a lifetime, or whenever it forbids storing;
//! 3. the first valid **targeted field**; then `Cache-Control` and `Expires` are not looked at
//!    (RFC 9213 §2.2);
//! 4. **`Cache-Control`** (`s-maxage` before `max-age`), then **`Expires`** (RFC 9111 §4.2.1);
//! 5. the **rule** without override: a lifetime for a response that gives none;
//! 6. a **heuristic** lifetime (RFC 9111 §4.2.2), when that is enabled.
//!
//! A source that wins replaces all directives of those below it, not only the lifetime. The stale
//! windows of RFC 5861 are the exception: one the winner does not mention is taken from the dependency,
//! then from the rule.
//!
//! Scope: what follows from a `Control` is decided in [`storing`](crate::storing) and
//! [`freshness`](crate::freshness).

use core::time::Duration;

use crate::cache_control::{Lifetime, ResponseDirectives, Scope};
use crate::fields::{Fields, Single};
use crate::profile::Profile;
use crate::targeted;
use crate::time::{DeltaSeconds, Timestamp};

/// What a rule or a dependency says about a response, in the terms of cache directives.
///
/// ```
/// use core::time::Duration;
/// use hotplate_policy::control::LocalDirectives;
///
/// let rule = LocalDirectives { ttl: Some(Duration::from_secs(300)), ..LocalDirectives::default() };
/// assert!(!rule.override_response);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalDirectives {
    /// The freshness lifetime; `None` gives none. Applies to the statuses in [`RULE_STATUSES`] only.
    pub ttl: Option<Duration>,
    /// How long past its lifetime a response may be served while it is renewed (RFC 5861 §3).
    pub stale_while_revalidate: Option<Duration>,
    /// How long past its lifetime a response may be served when the origin fails (RFC 5861 §4).
    pub stale_if_error: Option<Duration>,
    /// Nothing is stored, whatever the response says and whatever its status.
    pub no_store: bool,
    /// A rule's `ttl` stands above the response's own fields instead of below them. Without meaning
    /// for a dependency, whose `ttl` always stands above.
    pub override_response: bool,
}

/// Where the directives that rule a response came from.
///
/// ```
/// use hotplate_policy::control::{Control, Source};
///
/// assert_eq!(Control::default().source, Source::Silent);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// The handler itself, by a dependency.
    Dependency,
    /// A rule that overrides the response, or forbids storing.
    RuleOverride,
    /// A targeted field of this (lower-case) name (RFC 9213).
    Targeted(&'static str),
    /// `Cache-Control` (RFC 9111 §5.2).
    CacheControl,
    /// `Expires` (RFC 9111 §5.3).
    Expires,
    /// A rule's default for responses that give no lifetime.
    Rule,
    /// A lifetime guessed from `Last-Modified` (RFC 9111 §4.2.2).
    Heuristic,
    /// No source said anything.
    #[default]
    Silent,
}

/// The directives in force for one response.
///
/// [`Default`] is a response without any.
///
/// ```
/// use hotplate_policy::{cache_control::Scope, control::Control};
///
/// let control = Control::default();
/// assert_eq!((control.lifetime, control.no_cache), (None, Scope::Absent));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Control<'a> {
    /// Which source gave the lifetime, or forbade storing; when neither was said, which was read.
    pub source: Source,
    /// The freshness lifetime; `None` when no source gives one, zero when one gave it badly
    /// (RFC 9111 §4.2.1).
    pub lifetime: Option<Duration>,
    /// Nothing may be stored. `must-understand` with a known status has been taken into account
    /// (RFC 9111 §5.2.2.3, §5.2.2.5).
    pub no_store: bool,
    /// Validate before each use, or withhold the named fields (RFC 9111 §5.2.2.4).
    pub no_cache: Scope<'a>,
    /// For one user only, or withhold the named fields (RFC 9111 §5.2.2.7).
    pub private: Scope<'a>,
    /// May be stored even where that is otherwise forbidden (RFC 9111 §5.2.2.9).
    pub public: bool,
    /// A readable `s-maxage` is present (RFC 9111 §5.2.2.10).
    pub s_maxage: bool,
    /// Once stale, validate before use (RFC 9111 §5.2.2.2).
    pub must_revalidate: bool,
    /// The same for shared caches; unlike `must-revalidate` it does not allow sharing a response to a
    /// request with `Authorization` (RFC 9111 §5.2.2.8, §3.5).
    pub proxy_revalidate: bool,
    /// Does not change while fresh (RFC 8246 §2).
    pub immutable: bool,
    /// Only a cache that knows the status may store it (RFC 9111 §5.2.2.3).
    pub must_understand: bool,
    /// How long a stale response may be served while it is renewed (RFC 5861 §3).
    pub stale_while_revalidate: Option<Duration>,
    /// How long a stale response may be served when the origin fails (RFC 5861 §4).
    pub stale_if_error: Option<Duration>,
}

impl Control<'_> {
    /// Whether the response says that it may be shared although the request carried credentials:
    /// `public`, `s-maxage` or `must-revalidate` (RFC 9111 §3.5).
    ///
    /// ```
    /// use hotplate_policy::control::Control;
    ///
    /// assert!(Control { public: true, ..Control::default() }.is_shareable());
    /// assert!(!Control { proxy_revalidate: true, ..Control::default() }.is_shareable());
    /// ```
    #[must_use]
    pub const fn is_shareable(&self) -> bool {
        self.public || self.s_maxage || self.must_revalidate
    }

    /// Whether a stale response may never be used unvalidated: `must-revalidate`, `proxy-revalidate`,
    /// `no-cache`, and, in [`Profile::Rfc9111`], `s-maxage` (RFC 9111 §4.2.4).
    ///
    /// DEVIATION: in [`Profile::Safe`] a response with `s-maxage` may be served within a stale window
    /// that it or a rule gives, as most CDNs do; RFC 9111 §5.2.2.10 gives `s-maxage` the meaning of
    /// `proxy-revalidate`. Test: `s_maxage_forbids_stale_reuse_by_the_letter_only`.
    ///
    /// ```
    /// use hotplate_policy::{control::Control, profile::Profile};
    ///
    /// let control = Control { s_maxage: true, ..Control::default() };
    /// assert!(control.forbids_stale(Profile::Rfc9111));
    /// assert!(!control.forbids_stale(Profile::Safe));
    /// ```
    #[must_use]
    pub const fn forbids_stale(&self, profile: Profile) -> bool {
        self.must_revalidate
            || self.proxy_revalidate
            || self.no_cache.is_all()
            || (self.s_maxage && matches!(profile, Profile::Rfc9111))
    }

    /// Whether the deciding source is ours (a dependency or a rule) and not a field of the response.
    ///
    /// ```
    /// use hotplate_policy::control::{Control, Source};
    ///
    /// assert!(Control { source: Source::Rule, ..Control::default() }.is_local());
    /// assert!(!Control { source: Source::Expires, ..Control::default() }.is_local());
    /// ```
    #[must_use]
    pub const fn is_local(&self) -> bool {
        matches!(self.source, Source::Dependency | Source::RuleOverride | Source::Rule)
    }
}

/// The sources beside the response itself.
///
/// ```
/// use hotplate_policy::control::{Layers, LocalDirectives};
///
/// let rule = LocalDirectives { no_store: true, ..LocalDirectives::default() };
/// let layers = Layers { rule: Some(&rule), ..Layers::default() };
/// assert!(layers.dependency.is_none() && !layers.heuristic);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Layers<'r> {
    /// The reading of the RFC in force. No source is read differently by profile today; what follows
    /// from the outcome is.
    pub profile: Profile,
    /// What the handler said about its own response.
    pub dependency: Option<&'r LocalDirectives>,
    /// The rule that matched the request.
    pub rule: Option<&'r LocalDirectives>,
    /// Whether a lifetime may be guessed from `Last-Modified` (RFC 9111 §4.2.2).
    pub heuristic: bool,
}

/// The statuses a rule or a dependency may give a lifetime to: those RFC 9110 §15.1 defines as
/// heuristically cacheable, without 206. Of the server errors only 501, which does not pass by itself.
///
/// ```
/// use hotplate_policy::control::RULE_STATUSES;
///
/// assert!(RULE_STATUSES.contains(&404) && !RULE_STATUSES.contains(&503));
/// ```
pub const RULE_STATUSES: [u16; 11] = [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501];

/// The longest lifetime a heuristic gives: one day.
///
/// ```
/// assert_eq!(hotplate_policy::control::HEURISTIC_MOST.as_secs(), 86_400);
/// ```
pub const HEURISTIC_MOST: Duration = Duration::from_secs(24 * 60 * 60);

/// The directives in force for a response.
///
/// **Arguments**: `status` and `fields` are the response's, unchanged; `response_time` is when its head
/// was received and stands in for a `Date` that is missing or unreadable (RFC 9110 §6.6.1).
///
/// Total: malformed fields give the safer outcome, usually a zero lifetime. **Cost**: parses targeted
/// fields, so it may allocate; it runs once per load, never on a hit.
///
/// RFC 9111 §4.2.1, §5.2.2; RFC 9213 §2.2.
///
/// ```
/// use core::time::Duration;
/// use hotplate_policy::control::{Layers, LocalDirectives, Source, resolve};
/// use hotplate_policy::{fields::Fields, time::Timestamp};
///
/// let now = Timestamp::from_unix_seconds(1_000_000_000);
/// let rule = LocalDirectives { ttl: Some(Duration::from_secs(300)), ..LocalDirectives::default() };
/// let layers = Layers { rule: Some(&rule), ..Layers::default() };
///
/// let silent = resolve(&layers, 200, Fields::new(&[]), now);
/// assert_eq!((silent.source, silent.lifetime), (Source::Rule, Some(Duration::from_secs(300))));
///
/// let lines: [(&[u8], &[u8]); 1] = [(b"Cache-Control", b"max-age=60, s-maxage=10")];
/// let spoken = resolve(&layers, 200, Fields::new(&lines), now);
/// assert_eq!((spoken.source, spoken.lifetime), (Source::CacheControl, Some(Duration::from_secs(10))));
/// ```
#[must_use]
pub fn resolve<'a>(
    layers: &Layers<'_>,
    status: u16,
    fields: Fields<'a>,
    response_time: Timestamp,
) -> Control<'a> {
    let mut control = local(layers, status, fields).unwrap_or_else(|| {
        let mut control = from_fields(status, fields, response_time);
        fill_lifetime(&mut control, layers, status, fields, response_time);
        control
    });
    for directives in [layers.dependency, layers.rule].into_iter().flatten() {
        control.stale_while_revalidate = control.stale_while_revalidate.or(directives.stale_while_revalidate);
        control.stale_if_error = control.stale_if_error.or(directives.stale_if_error);
    }
    control
}

/// Sources 1 and 2: ours, above the response's fields.
///
/// A dependency speaks for the very response it stands beside, so it outranks all of it. A rule is written for a
/// pattern of paths and cannot know what one response says it must not be used for: it outranks the lifetime alone.
fn local<'a>(layers: &Layers<'_>, status: u16, fields: Fields<'a>) -> Option<Control<'a>> {
    let wins = |directives: &LocalDirectives, source, overrides: bool| {
        let lifetime = directives.ttl.filter(|_| overrides && RULE_STATUSES.contains(&status));
        (directives.no_store || lifetime.is_some()).then(|| Control {
            source,
            lifetime,
            no_store: directives.no_store,
            stale_while_revalidate: directives.stale_while_revalidate,
            stale_if_error: directives.stale_if_error,
            ..Control::default()
        })
    };
    let dependency = layers.dependency.and_then(|own| wins(own, Source::Dependency, true));
    dependency.or_else(|| {
        let rule = layers.rule.and_then(|rule| wins(rule, Source::RuleOverride, rule.override_response))?;
        let told = ResponseDirectives::parse(fields);
        Some(Control { no_store: rule.no_store || told.no_store, private: told.private, ..rule })
    })
}

/// Sources 3 and 4: the response's own fields.
fn from_fields(status: u16, fields: Fields<'_>, response_time: Timestamp) -> Control<'_> {
    if let Some((name, directives)) = targeted::first_valid(fields) {
        return from_directives(Source::Targeted(name), &directives, status);
    }
    let directives = ResponseDirectives::parse(fields);
    let source = if directives.present { Source::CacheControl } else { Source::Silent };
    let mut control = from_directives(source, &directives, status);
    if control.lifetime.is_none()
        && let Some(lifetime) = expires_lifetime(fields, response_time)
    {
        control.lifetime = Some(lifetime);
        control.source = Source::Expires;
    }
    control
}

fn from_directives<'a>(source: Source, directives: &ResponseDirectives<'a>, status: u16) -> Control<'a> {
    // RFC 9111 §5.2.2.3: a cache that knows the status ignores the no-store meant for those who do not.
    let understood = directives.must_understand && is_understood(status);
    Control {
        source,
        lifetime: duration(directives.s_maxage).or_else(|| duration(directives.max_age)),
        no_store: directives.no_store && !understood,
        no_cache: directives.no_cache,
        private: directives.private,
        public: directives.public,
        s_maxage: matches!(directives.s_maxage, Lifetime::Seconds(_)),
        must_revalidate: directives.must_revalidate,
        proxy_revalidate: directives.proxy_revalidate,
        immutable: directives.immutable,
        must_understand: directives.must_understand,
        stale_while_revalidate: directives.stale_while_revalidate.map(DeltaSeconds::duration),
        stale_if_error: directives.stale_if_error.map(DeltaSeconds::duration),
    }
}

/// An unreadable lifetime is none at all: the response is stale (RFC 9111 §4.2.1).
fn duration(lifetime: Lifetime) -> Option<Duration> {
    match lifetime {
        Lifetime::Absent => None,
        Lifetime::Seconds(seconds) => Some(seconds.duration()),
        Lifetime::Invalid => Some(Duration::ZERO),
    }
}

/// Sources 5 and 6: for a response that says nothing of its lifetime and does not forbid reuse.
fn fill_lifetime(
    control: &mut Control<'_>,
    layers: &Layers<'_>,
    status: u16,
    fields: Fields<'_>,
    response_time: Timestamp,
) {
    let refused = control.no_store || control.private.is_all() || control.no_cache.is_all();
    if control.lifetime.is_some() || refused {
        return;
    }
    let listed = RULE_STATUSES.contains(&status);
    if listed && let Some(ttl) = layers.rule.and_then(|rule| rule.ttl) {
        control.lifetime = Some(ttl);
        control.source = Source::Rule;
    } else if layers.heuristic
        && (listed || control.public)
        && let Some(lifetime) = heuristic_lifetime(fields, response_time)
    {
        control.lifetime = Some(lifetime);
        control.source = Source::Heuristic;
    }
}

/// `Expires` minus `Date`; `None` when there is no `Expires`, zero when it is unreadable, repeated or
/// not later than `Date` (RFC 9111 §4.2.1, §5.3).
fn expires_lifetime(fields: Fields<'_>, response_time: Timestamp) -> Option<Duration> {
    let expires = match fields.only("expires") {
        Single::Absent => return None,
        Single::One(value) => Timestamp::parse_http_date_near(value, response_time),
        Single::Many => None,
    };
    let date = date_of(fields, response_time);
    Some(expires.map_or(Duration::ZERO, |expires| expires.since(date)))
}

/// A tenth of the time since the last change, at most [`HEURISTIC_MOST`] (RFC 9111 §4.2.2).
fn heuristic_lifetime(fields: Fields<'_>, response_time: Timestamp) -> Option<Duration> {
    let last_modified = last_modified_of(fields, response_time)?;
    let unchanged = date_of(fields, response_time).since(last_modified);
    Some((unchanged / 10).min(HEURISTIC_MOST)).filter(|lifetime| !lifetime.is_zero())
}

/// When the response was made: its one readable `Date`, else when it was received (RFC 9110 §6.6.1).
pub(crate) fn date_of(fields: Fields<'_>, response_time: Timestamp) -> Timestamp {
    single_date(fields, "date", response_time).unwrap_or(response_time)
}

/// The one readable `Last-Modified` (RFC 9110 §8.8.2).
pub(crate) fn last_modified_of(fields: Fields<'_>, response_time: Timestamp) -> Option<Timestamp> {
    single_date(fields, "last-modified", response_time)
}

fn single_date(fields: Fields<'_>, name: &str, now: Timestamp) -> Option<Timestamp> {
    match fields.only(name) {
        Single::One(value) => Timestamp::parse_http_date_near(value, now),
        Single::Absent | Single::Many => None,
    }
}

/// Whether this cache knows, and does, all that the status asks of a cache (RFC 9111 §3): the final
/// statuses of RFC 9110 §15 without 206 and 304, which it does not store.
pub(crate) const fn is_understood(status: u16) -> bool {
    matches!(
        status,
        200..=205 | 300..=303 | 305 | 307 | 308 | 400..=417 | 421 | 422 | 426 | 500..=505
    )
}

#[cfg(test)]
pub(crate) mod tests;
