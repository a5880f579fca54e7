//! May a stored response answer this request, as it is (RFC 9111 §4).
//!
//! The caller has already found a stored response whose key and selecting fields match, and knows that
//! no invalidation is newer. What is left is time and permission: [`decide`] answers both. The other
//! functions answer two later questions: the origin failed, and the response was softly invalidated.
//!
//! Request directives are advice (RFC 9111 §5.2.1): `honor_request` says whether this cache takes it. An
//! open cache in front of an expensive origin usually does not, or any client could order it round.
//!
//! Nothing here allocates; `decide` is on the path of every hit.

use crate::freshness::StoredMeta;
use crate::reason::Reason;
use crate::request::RequestHead;
use crate::time::Timestamp;

/// What may be done with a stored response.
///
/// ```
/// use hotplate_policy::{reason::Reason, reuse::Reuse};
///
/// fn needs_origin(reuse: Reuse) -> bool {
///     matches!(reuse, Reuse::Validate(_) | Reuse::Forbidden(_))
/// }
/// assert!(needs_origin(Reuse::Validate(Reason::Stale)) && !needs_origin(Reuse::Fresh));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Reuse {
    /// Serve it: it is fresh.
    Fresh,
    /// Serve it although stale, and renew it meanwhile (RFC 5861 §3).
    StaleWhileRevalidate,
    /// Serve it although stale: the request accepts that (`max-stale`, RFC 9111 §5.2.1.2).
    StaleAllowed,
    /// Ask the origin first, with the stored validators if there are any (RFC 9111 §4.3).
    Validate(Reason),
    /// It is not for this request: forward, and let the answer stand for itself (RFC 9111 §3.5).
    Forbidden(Reason),
    /// Nothing stored can be served and the request forbids forwarding: answer 504 (RFC 9111 §5.2.1.7).
    GatewayTimeout,
}

/// Whether the stored response may be used for the request, at `now`.
///
/// **Arguments**: `honor_request`: take the request's cache directives as orders. `shareable`: no
/// [guard](crate::storing::request_guard) stands, or the response is marked
/// [`PUBLIC`](crate::freshness::Flags::PUBLIC).
///
/// **Returns** [`Reuse::Fresh`] only while [`StoredMeta::ttl_millis`] is above zero. Every refusal
/// becomes [`Reuse::GatewayTimeout`] when the request says `only-if-cached` and is honoured.
///
/// RFC 9111 §4, §5.2.1; RFC 5861 §3; RFC 8246 §2.
///
/// ```
/// use core::time::Duration;
/// use hotplate_policy::{control::Control, fields::Fields, freshness::StoredMeta, profile::Profile};
/// use hotplate_policy::reuse::{Reuse, decide};
/// use hotplate_policy::{reason::Reason, request::RequestHead, time::Timestamp};
///
/// let then = Timestamp::from_unix_seconds(0);
/// let control = Control { lifetime: Some(Duration::from_secs(60)), ..Control::default() };
/// let stored = StoredMeta::new(Profile::Safe, &control, 200, Fields::new(&[]), then, then);
/// let request = RequestHead::new("GET", Fields::new(&[]));
///
/// let soon = then.plus(Duration::from_secs(59));
/// assert_eq!(decide(&request, false, &stored, true, soon), Reuse::Fresh);
/// let late = then.plus(Duration::from_secs(60));
/// assert_eq!(decide(&request, false, &stored, true, late), Reuse::Validate(Reason::Stale));
/// ```
pub fn decide(
    request: &RequestHead<'_>,
    honor_request: bool,
    stored: &StoredMeta,
    shareable: bool,
    now: Timestamp,
) -> Reuse {
    let reuse = if shareable {
        by_time(request, honor_request, stored, now)
    } else if request.authorization {
        Reuse::Forbidden(Reason::Authorization)
    } else {
        Reuse::Forbidden(Reason::Cookie)
    };
    match reuse {
        Reuse::Validate(_) | Reuse::Forbidden(_) if honor_request && request.directives.only_if_cached => {
            Reuse::GatewayTimeout
        }
        reuse => reuse,
    }
}

fn by_time(request: &RequestHead<'_>, honor_request: bool, stored: &StoredMeta, now: Timestamp) -> Reuse {
    if stored.flags.is_no_cache() {
        return Reuse::Validate(Reason::NoCache);
    }
    let fresh = stored.is_fresh(now);
    if !fresh && stored.flags.is_no_stale() {
        return Reuse::Validate(Reason::MustRevalidate);
    }
    if honor_request && let Some(reason) = refused_by_request(request, stored, fresh, now) {
        return Reuse::Validate(reason);
    }
    if fresh {
        return Reuse::Fresh;
    }
    let staleness = stored.staleness(now);
    if staleness < stored.stale_while_revalidate {
        return Reuse::StaleWhileRevalidate;
    }
    match request.directives.max_stale {
        Some(accepted) if honor_request && accepted.accepts(staleness) => Reuse::StaleAllowed,
        _ => Reuse::Validate(Reason::Stale),
    }
}

/// RFC 9111 §5.2.1.1, §5.2.1.3, §5.2.1.4.
fn refused_by_request(
    request: &RequestHead<'_>,
    stored: &StoredMeta,
    fresh: bool,
    now: Timestamp,
) -> Option<Reason> {
    let directives = &request.directives;
    if directives.no_cache {
        return Some(Reason::RequestNoCache);
    }
    // RFC 8246 §2: a reload, which browsers send as max-age=0, does not concern what cannot have changed
    // while fresh; an explicit no-cache, above, does.
    let reload_matters = !(fresh && stored.flags.is_immutable());
    if let Some(most) = directives.max_age
        && reload_matters
        && (most.as_secs() == 0 || stored.age(now) > most.duration())
    {
        return Some(Reason::RequestMaxAge);
    }
    if let Some(least) = directives.min_fresh
        && stored.lifetime < stored.age(now).saturating_add(least.duration())
    {
        return Some(Reason::RequestMinFresh);
    }
    None
}

/// Whether the stored response may be served because the origin failed: a 500, 502, 503 or 504, an
/// exception, or no answer in time.
///
/// The window is the response's own `stale-if-error`, or, when the request is honoured, the request's if
/// that is longer. Never with [`NO_STALE`](crate::freshness::Flags::NO_STALE) once stale, never with
/// [`NO_CACHE`](crate::freshness::Flags::NO_CACHE), never for an honoured request that says `no-cache`.
///
/// **Arguments**: as for [`decide`], which has not forbidden the response.
///
/// RFC 5861 §4; RFC 9111 §4.2.4.
///
/// ```
/// use core::time::Duration;
/// use hotplate_policy::{control::Control, fields::Fields, freshness::StoredMeta, profile::Profile};
/// use hotplate_policy::{request::RequestHead, reuse::may_serve_on_error, time::Timestamp};
///
/// let then = Timestamp::from_unix_seconds(0);
/// let control = Control { stale_if_error: Some(Duration::from_secs(60)), ..Control::default() };
/// let stored = StoredMeta::new(Profile::Safe, &control, 200, Fields::new(&[]), then, then);
/// let request = RequestHead::new("GET", Fields::new(&[]));
/// assert!(may_serve_on_error(&request, false, &stored, then.plus(Duration::from_secs(59))));
/// assert!(!may_serve_on_error(&request, false, &stored, then.plus(Duration::from_secs(60))));
/// ```
#[must_use]
pub fn may_serve_on_error(
    request: &RequestHead<'_>,
    honor_request: bool,
    stored: &StoredMeta,
    now: Timestamp,
) -> bool {
    if stored.flags.is_no_cache() || (honor_request && request.directives.no_cache) {
        return false;
    }
    if stored.is_fresh(now) {
        return true;
    }
    let asked = request.directives.stale_if_error.filter(|_| honor_request);
    let window = asked.map_or(stored.stale_if_error, |asked| stored.stale_if_error.max(asked.duration()));
    !stored.flags.is_no_stale() && stored.staleness(now) < window
}

/// Whether a stale response may be served because nobody is left to ask: the cache is disconnected.
///
/// However stale it is, unless the response or an honoured request forbids stale service.
///
/// **Arguments**: as for [`decide`], which has not forbidden the response.
///
/// RFC 9111 §4.2.4.
///
/// ```
/// use hotplate_policy::{control::Control, fields::Fields, freshness::StoredMeta, profile::Profile};
/// use hotplate_policy::{request::RequestHead, reuse::may_serve_disconnected, time::Timestamp};
///
/// let then = Timestamp::from_unix_seconds(0);
/// let request = RequestHead::new("GET", Fields::new(&[]));
/// let silent = StoredMeta::new(Profile::Rfc9111, &Control::default(), 200, Fields::new(&[]), then, then);
/// assert!(may_serve_disconnected(&request, true, &silent));
/// let control = Control { must_revalidate: true, ..Control::default() };
/// let strict = StoredMeta::new(Profile::Rfc9111, &control, 200, Fields::new(&[]), then, then);
/// assert!(!may_serve_disconnected(&request, true, &strict));
/// ```
#[must_use]
pub fn may_serve_disconnected(request: &RequestHead<'_>, honor_request: bool, stored: &StoredMeta) -> bool {
    let refused = honor_request && request.directives.no_cache;
    !refused && !stored.flags.is_no_cache() && !stored.flags.is_no_stale()
}

/// Whether a softly invalidated response may be served while one request renews it.
///
/// Soft invalidation makes a response stale before its time, so it is served where a stale response
/// would be: not when the response or an honoured request forbids it, and not past what would have been
/// its lifetime and `stale-while-revalidate`.
///
/// **Arguments**: as for [`decide`], which has not forbidden the response.
///
/// RFC 9111 §4.2.4; RFC 5861 §3.
///
/// ```
/// use core::time::Duration;
/// use hotplate_policy::{control::Control, fields::Fields, freshness::StoredMeta, profile::Profile};
/// use hotplate_policy::{request::RequestHead, reuse::may_serve_stale_soft, time::Timestamp};
///
/// let then = Timestamp::from_unix_seconds(0);
/// let control = Control { lifetime: Some(Duration::from_secs(60)), ..Control::default() };
/// let stored = StoredMeta::new(Profile::Safe, &control, 200, Fields::new(&[]), then, then);
/// let request = RequestHead::new("GET", Fields::new(&[]));
/// assert!(may_serve_stale_soft(&request, false, &stored, then.plus(Duration::from_secs(30))));
/// assert!(!may_serve_stale_soft(&request, false, &stored, then.plus(Duration::from_secs(90))));
/// ```
#[must_use]
pub fn may_serve_stale_soft(
    request: &RequestHead<'_>,
    honor_request: bool,
    stored: &StoredMeta,
    now: Timestamp,
) -> bool {
    let refused = honor_request && refused_by_request(request, stored, false, now).is_some();
    !stored.flags.is_no_stale()
        && !stored.flags.is_no_cache()
        && !refused
        && (stored.is_fresh(now) || stored.staleness(now) < stored.stale_while_revalidate)
}

#[cfg(test)]
mod tests;
