//! May this response be stored, and which of its fields (RFC 9111 §3).
//!
//! [`decide`] goes through the conditions in an order that names the most telling cause: first what the
//! request rules out, then what the response forbids, then whether there is anything to gain.
//!
//! Scope: what is known only at the end of a response (its size, a broken transfer, trailers) and the
//! number of variants are the engine's to check.

use core::time::Duration;

use crate::cache_control::Scope;
use crate::control::{Control, RULE_STATUSES, is_understood};
use crate::fields::{Connection, Fields};
use crate::profile::Profile;
use crate::reason::Reason;
use crate::request::RequestHead;
use crate::vary::Vary;

/// What [`decide`] has to know beside the response.
///
/// ```
/// use hotplate_policy::{fields::Fields, profile::Profile, request::RequestHead, storing::StoreFacts};
///
/// let request = RequestHead::new("GET", Fields::new(&[]));
/// let facts = StoreFacts::new(Profile::Safe, &request);
/// assert!(!facts.partitioned);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct StoreFacts<'a> {
    /// The reading of the RFC in force.
    pub profile: Profile,
    /// The request that got the response, as it was sent to the origin.
    pub request: &'a RequestHead<'a>,
    /// The method, and the content if there is any, are part of the cache key: a rule named `POST` or
    /// `QUERY`.
    pub method_in_key: bool,
    /// The key contains whom the response is for, so credentials are no obstacle.
    pub partitioned: bool,
    /// A rule promises that responses do not depend on cookies.
    pub cookies_ignored: bool,
    /// A rule allows responses with `Set-Cookie` to be stored, cookie and all.
    pub store_set_cookie: bool,
}

impl<'a> StoreFacts<'a> {
    /// The facts when no rule says anything.
    ///
    /// ```
    /// use hotplate_policy::{fields::Fields, profile::Profile, request::RequestHead, storing::StoreFacts};
    ///
    /// let request = RequestHead::new("GET", Fields::new(&[]));
    /// assert!(!StoreFacts::new(Profile::Rfc9111, &request).store_set_cookie);
    /// ```
    #[must_use]
    pub const fn new(profile: Profile, request: &'a RequestHead<'a>) -> Self {
        Self {
            profile,
            request,
            method_in_key: false,
            partitioned: false,
            cookies_ignored: false,
            store_set_cookie: false,
        }
    }
}

/// Whether a response may be stored.
///
/// **Arguments**: `status` and `fields` are the response's; `control` is what
/// [`resolve`](crate::control::resolve) made of the same response.
///
/// **Returns** `Err` with the first obstacle. The response is then to be forwarded and forgotten.
///
/// RFC 9111 §3, §3.5; the differences between the profiles are listed at [`Profile`].
///
/// ```
/// use hotplate_policy::control::{Layers, resolve};
/// use hotplate_policy::storing::{StoreFacts, decide};
/// use hotplate_policy::{fields::Fields, profile::Profile, reason::Reason, request::RequestHead};
/// use hotplate_policy::time::Timestamp;
///
/// let request = RequestHead::new("GET", Fields::new(&[]));
/// let facts = StoreFacts::new(Profile::Safe, &request);
/// let lines: [(&[u8], &[u8]); 2] = [(b"Cache-Control", b"max-age=60"), (b"Set-Cookie", b"id=1")];
/// let fields = Fields::new(&lines);
/// let control = resolve(&Layers::default(), 200, fields, Timestamp::from_unix_seconds(0));
/// assert_eq!(decide(&facts, 200, fields, &control), Err(Reason::SetCookie));
/// ```
pub fn decide(
    facts: &StoreFacts<'_>,
    status: u16,
    fields: Fields<'_>,
    control: &Control<'_>,
) -> Result<(), Reason> {
    allowed_by_request(facts)?;
    allowed_by_status(status, control)?;
    allowed_by_response(facts, fields, control)?;
    worth_storing(facts.profile, status, fields, control)
}

/// Whether credentials in the request stand between it and what is stored for everybody.
///
/// **Returns** `Some` when they do: a stored response may then be used only if it carries
/// [`Flags::PUBLIC`](crate::freshness::Flags::PUBLIC), the request may wait for nobody else's load, and
/// its response may be stored only if it [is shareable](Control::is_shareable).
///
/// RFC 9111 §3.5 asks this of responses *got with* `Authorization`. Here it also holds for requests that
/// carry it and for a response got without: the stored response may be the one for anonymous users.
///
/// ```
/// use hotplate_policy::{fields::Fields, profile::Profile, reason::Reason, request::RequestHead};
/// use hotplate_policy::storing::request_guard;
///
/// let lines: [(&[u8], &[u8]); 1] = [(b"Cookie", b"id=1")];
/// let request = RequestHead::new("GET", Fields::new(&lines));
/// assert_eq!(request_guard(Profile::Safe, &request, false, false), Some(Reason::Cookie));
/// assert_eq!(request_guard(Profile::Safe, &request, true, false), None);
/// assert_eq!(request_guard(Profile::Rfc9111, &request, false, false), None);
/// ```
#[must_use]
pub fn request_guard(
    profile: Profile,
    request: &RequestHead<'_>,
    partitioned: bool,
    cookies_ignored: bool,
) -> Option<Reason> {
    if partitioned {
        None
    } else if request.authorization {
        Some(Reason::Authorization)
    } else if profile == Profile::Safe && request.cookie && !cookies_ignored {
        Some(Reason::Cookie)
    } else {
        None
    }
}

/// The fields of a response that are stored: all, in order, repeated names kept, but those that concern
/// one connection only and those that `no-cache="…"` or `private="…"` name.
///
/// RFC 9111 §3.1, §5.2.2.4, §5.2.2.7; RFC 9110 §7.6.1.
///
/// ```
/// use hotplate_policy::control::{Layers, resolve};
/// use hotplate_policy::{fields::Fields, storing::stored_fields, time::Timestamp};
///
/// let lines: [(&[u8], &[u8]); 4] = [
///     (b"Cache-Control", b"max-age=60, private=\"x-user\""),
///     (b"X-User", b"ann"),
///     (b"Connection", b"x-hop"),
///     (b"X-Hop", b"1"),
/// ];
/// let fields = Fields::new(&lines);
/// let control = resolve(&Layers::default(), 200, fields, Timestamp::from_unix_seconds(0));
/// let kept: Vec<_> = stored_fields(fields, &control).collect();
/// assert_eq!(kept, [lines[0]]);
/// ```
pub fn stored_fields<'a>(
    fields: Fields<'a>,
    control: &Control<'a>,
) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + 'a {
    let connection = Connection::of(fields);
    let (no_cache, private) = (control.no_cache, control.private);
    fields.iter().filter(move |(name, _)| {
        !connection.covers(name) && !names(&no_cache, name) && !names(&private, name)
    })
}

fn allowed_by_request(facts: &StoreFacts<'_>) -> Result<(), Reason> {
    let request = facts.request;
    match request.method {
        "GET" => {}
        // Its fields could freshen a stored GET response (§4.3.5); there is no content to store.
        "HEAD" => return Err(Reason::HeadMiss),
        _ if facts.method_in_key => {}
        _ => return Err(Reason::Method),
    }
    if request.upgrade {
        return Err(Reason::Upgrade);
    }
    if request.has_body && !facts.method_in_key {
        return Err(Reason::RequestBody);
    }
    // Whether or not request directives are honoured otherwise: the client says its exchange is private.
    if request.directives.no_store {
        return Err(Reason::NoStoreRequest);
    }
    Ok(())
}

fn allowed_by_status(status: u16, control: &Control<'_>) -> Result<(), Reason> {
    match status {
        206 => Err(Reason::PartialContent),
        416 => Err(Reason::RangeRequest),
        // "If the response status code is 206 or 304, or the must-understand cache directive is present:
        // the cache understands the response status code" (§3). A 304 is not stored, it freshens.
        _ if status < 200 || status == 304 || answers_one_request(status) => Err(Reason::StatusNotCacheable),
        _ if control.must_understand && !is_understood(status) => Err(Reason::UnknownMustUnderstand),
        _ => Ok(()),
    }
}

/// Statuses that answer a property of one request that is not in the cache key (its length, speed,
/// preconditions, fields), so that storing them would hand one client's mistake to all; and those that
/// RFC 6585 keeps from caches by "MUST NOT": 428, 429, 431, 511.
const fn answers_one_request(status: u16) -> bool {
    matches!(status, 408 | 412 | 413 | 417 | 421 | 425 | 426 | 428 | 429 | 431 | 511)
}

fn allowed_by_response(
    facts: &StoreFacts<'_>,
    fields: Fields<'_>,
    control: &Control<'_>,
) -> Result<(), Reason> {
    if control.no_store {
        return Err(if control.is_local() { Reason::RuleSaysNo } else { Reason::NoStore });
    }
    if control.private.is_all() {
        return Err(Reason::Private);
    }
    let guard = request_guard(facts.profile, facts.request, facts.partitioned, facts.cookies_ignored);
    if let Some(reason) = guard
        && !control.is_shareable()
    {
        return Err(reason);
    }
    if facts.profile == Profile::Safe && !facts.store_set_cookie && sets_cookie(fields, control) {
        return Err(Reason::SetCookie);
    }
    if is_event_stream(fields) {
        return Err(Reason::EventStream);
    }
    if Vary::is_any(fields) {
        return Err(Reason::VaryAny);
    }
    Ok(())
}

/// A `Set-Cookie` that would be stored: one withheld by name does no harm.
fn sets_cookie(fields: Fields<'_>, control: &Control<'_>) -> bool {
    let name = b"set-cookie";
    fields.contains("set-cookie") && !names(&control.private, name) && !names(&control.no_cache, name)
}

fn is_event_stream(fields: Fields<'_>) -> bool {
    const TYPE: &[u8] = b"text/event-stream";
    fields.lines("content-type").any(|value| {
        value.split_at_checked(TYPE.len()).is_some_and(|(essence, rest)| {
            essence.eq_ignore_ascii_case(TYPE) && matches!(rest.first(), None | Some(b';' | b' ' | b'\t'))
        })
    })
}

/// Whether a stored copy could ever be used: it has a lifetime, a stale window, or a validator.
fn worth_storing(
    profile: Profile,
    status: u16,
    fields: Fields<'_>,
    control: &Control<'_>,
) -> Result<(), Reason> {
    let validator = has_validator(fields, control);
    if control.no_cache.is_all() {
        // Stored to be validated before each use, not dropped (§5.2.2.4).
        return if validator { Ok(()) } else { Err(Reason::NoCacheUnvalidatable) };
    }
    match control.lifetime {
        Some(lifetime) if !lifetime.is_zero() => Ok(()),
        Some(_) if control.is_local() => Err(Reason::ZeroTtl),
        Some(_) => {
            let has_window = |window: Option<Duration>| window.is_some_and(|window| !window.is_zero());
            let reusable_stale = !control.forbids_stale(profile)
                && (has_window(control.stale_while_revalidate) || has_window(control.stale_if_error));
            if validator || reusable_stale { Ok(()) } else { Err(Reason::ZeroTtl) }
        }
        None => {
            let listed = RULE_STATUSES.contains(&status);
            match profile {
                // §3: "a public response directive" or "a status code that is defined as heuristically
                // cacheable" suffices; without a validator it would never be used.
                Profile::Rfc9111 if (listed || control.public) && validator => Ok(()),
                _ if listed => Err(Reason::NoFreshness),
                _ if status >= 500 => Err(Reason::ServerError),
                _ => Err(Reason::StatusNotCacheable),
            }
        }
    }
}

/// An `ETag` or `Last-Modified` that will be stored.
fn has_validator(fields: Fields<'_>, control: &Control<'_>) -> bool {
    ["etag", "last-modified"].into_iter().any(|name| {
        fields.contains(name)
            && !names(&control.private, name.as_bytes())
            && !names(&control.no_cache, name.as_bytes())
    })
}

/// Whether a directive in its list form names the field.
fn names(scope: &Scope<'_>, field: &[u8]) -> bool {
    matches!(scope, Scope::Fields(names) if names.contains(field))
}

#[cfg(test)]
mod tests;
