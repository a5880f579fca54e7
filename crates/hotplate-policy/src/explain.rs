//! One decision in one sentence, with its numbers, for people.
//!
//! `explain` tools and logs show a [`Decision`]: what was done, why, by which RFC section, and the
//! numbers that made it so. Machines read the [`Reason`] instead; the wording here may change.
//!
//! ```
//! use core::time::Duration;
//! use hotplate_policy::{explain::{Act, Decision}, reason::Reason};
//!
//! let decision = Decision {
//!     age: Some(Duration::from_secs(75)),
//!     ttl_millis: Some(-15_000),
//!     ..Decision::new(Act::Validated, Reason::Stale)
//! };
//! assert_eq!(
//!     decision.to_string(),
//!     "Validated with the origin: the stored response is stale, age 75 s, stale for 15 s (RFC 9111 §4.2).",
//! );
//! ```

use core::fmt;
use core::time::Duration;

use crate::control::{Control, Source};
use crate::freshness::StoredMeta;
use crate::reason::Reason;
use crate::reuse::Reuse;
use crate::time::Timestamp;

/// What was done with a request or a response.
///
/// ```
/// use hotplate_policy::{explain::{Act, Decision}, reason::Reason};
///
/// let text = Decision::new(Act::Refused, Reason::OnlyIfCached).to_string();
/// assert!(text.starts_with("Answered 504: "));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Answered from the cache.
    Served,
    /// Forwarded to the origin, nothing stored being of use.
    Forwarded,
    /// Asked the origin whether what is stored still holds.
    Validated,
    /// Answered 504 because the request forbids forwarding.
    Refused,
    /// The response was stored.
    Stored,
    /// The response was not stored.
    NotStored,
}

impl Act {
    const fn words(self) -> &'static str {
        match self {
            Self::Served => "Served from the cache",
            Self::Forwarded => "Forwarded to the origin",
            Self::Validated => "Validated with the origin",
            Self::Refused => "Answered 504",
            Self::Stored => "Stored",
            Self::NotStored => "Not stored",
        }
    }
}

/// A decision and what it rests on. `Display` gives one sentence.
///
/// ```
/// use hotplate_policy::{explain::{Act, Decision}, reason::Reason};
///
/// let decision = Decision { status: Some(503), ..Decision::new(Act::NotStored, Reason::ServerError) };
/// assert_eq!(
///     decision.to_string(),
///     "Not stored: a server error is stored only when it gives its own lifetime, status 503 (RFC 9111 §4.2.2).",
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What was done.
    pub act: Act,
    /// Why.
    pub reason: Reason,
    /// The age of the stored response.
    pub age: Option<Duration>,
    /// What remains of its lifetime in milliseconds; negative once stale.
    pub ttl_millis: Option<i64>,
    /// The status of the response.
    pub status: Option<u16>,
    /// The source of the response's directives, with the lifetime they gave.
    pub source: Option<(Source, Option<Duration>)>,
}

impl Decision {
    /// A decision without numbers.
    ///
    /// ```
    /// use hotplate_policy::{explain::{Act, Decision}, reason::Reason};
    ///
    /// assert_eq!(
    ///     Decision::new(Act::Forwarded, Reason::UriMiss).to_string(),
    ///     "Forwarded to the origin: nothing is stored for this URI (RFC 9111 §4).",
    /// );
    /// ```
    #[must_use]
    pub const fn new(act: Act, reason: Reason) -> Self {
        Self { act, reason, age: None, ttl_millis: None, status: None, source: None }
    }

    /// What [`reuse::decide`](crate::reuse::decide) said of a stored response.
    ///
    /// ```
    /// use core::time::Duration;
    /// use hotplate_policy::{control::Control, explain::Decision, fields::Fields, freshness::StoredMeta};
    /// use hotplate_policy::{profile::Profile, reuse::Reuse, time::Timestamp};
    ///
    /// let now = Timestamp::from_unix_seconds(0);
    /// let control = Control { lifetime: Some(Duration::from_secs(60)), ..Control::default() };
    /// let stored = StoredMeta::new(Profile::Safe, &control, 200, Fields::new(&[]), now, now);
    /// assert_eq!(
    ///     Decision::of_reuse(Reuse::Fresh, &stored, now).to_string(),
    ///     "Served from the cache: the stored response is fresh, age 0 s, fresh for 60 s more (RFC 9111 §4.2).",
    /// );
    /// ```
    #[must_use]
    pub fn of_reuse(reuse: Reuse, stored: &StoredMeta, now: Timestamp) -> Self {
        let (act, reason) = match reuse {
            Reuse::Fresh => (Act::Served, Reason::Fresh),
            Reuse::StaleWhileRevalidate => (Act::Served, Reason::StaleWhileRevalidate),
            Reuse::StaleAllowed => (Act::Served, Reason::MaxStale),
            Reuse::Validate(reason) => (Act::Validated, reason),
            Reuse::Forbidden(reason) => (Act::Forwarded, reason),
            Reuse::GatewayTimeout => (Act::Refused, Reason::OnlyIfCached),
        };
        Self {
            age: Some(stored.age(now)),
            ttl_millis: Some(stored.ttl_millis(now)),
            ..Self::new(act, reason)
        }
    }

    /// What [`storing::decide`](crate::storing::decide) said of a response with this status and control.
    ///
    /// ```
    /// use core::time::Duration;
    /// use hotplate_policy::{control::{Control, Source}, explain::Decision, reason::Reason};
    ///
    /// let control = Control {
    ///     source: Source::Rule,
    ///     lifetime: Some(Duration::from_secs(60)),
    ///     ..Control::default()
    /// };
    /// assert_eq!(
    ///     Decision::of_storing(Ok(()), 200, &control).to_string(),
    ///     "Stored: status 200, lifetime 60 s from the rule.",
    /// );
    /// assert_eq!(
    ///     Decision::of_storing(Err(Reason::SetCookie), 200, &control).to_string(),
    ///     "Not stored: the response sets a cookie, status 200, lifetime 60 s from the rule (hotplate profile safe).",
    /// );
    /// ```
    #[must_use]
    pub fn of_storing(decided: Result<(), Reason>, status: u16, control: &Control<'_>) -> Self {
        let (act, reason) = match decided {
            Ok(()) => (Act::Stored, Reason::Fresh),
            Err(reason) => (Act::NotStored, reason),
        };
        Self {
            status: Some(status),
            source: Some((control.source, control.lifetime)),
            ..Self::new(act, reason)
        }
    }

    /// Where the deciding rule is written; see [`Reason::section`].
    ///
    /// ```
    /// use hotplate_policy::{explain::{Act, Decision}, reason::Reason};
    ///
    /// assert_eq!(Decision::new(Act::NotStored, Reason::Private).section(), "RFC 9111 §5.2.2.7");
    /// ```
    #[must_use]
    pub const fn section(&self) -> &'static str {
        self.reason.section()
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.act.words())?;
        let mut separator = ": ";
        // A stored response needs no excuse, so no cause is named for it.
        if self.act != Act::Stored {
            write!(f, "{separator}{}", self.reason.sentence())?;
            separator = ", ";
        }
        if let Some(status) = self.status {
            write!(f, "{separator}status {status}")?;
            separator = ", ";
        }
        if let Some((source, lifetime)) = self.source {
            f.write_str(separator)?;
            separator = ", ";
            match lifetime {
                Some(lifetime) => write!(f, "lifetime {} from {}", Seconds(lifetime), SourceName(source))?,
                None => write!(f, "no lifetime from {}", SourceName(source))?,
            }
        }
        if let Some(age) = self.age {
            write!(f, "{separator}age {}", Seconds(age))?;
            separator = ", ";
        }
        if let Some(ttl) = self.ttl_millis {
            let span = Seconds(Duration::from_millis(ttl.unsigned_abs()));
            if ttl > 0 {
                write!(f, "{separator}fresh for {span} more")?;
            } else {
                write!(f, "{separator}stale for {span}")?;
            }
        }
        if self.act != Act::Stored {
            write!(f, " ({})", self.section())?;
        }
        f.write_str(".")
    }
}

/// Whole seconds as such, fractions to the millisecond.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.subsec_millis() {
            0 => write!(f, "{} s", self.0.as_secs()),
            millis => write!(f, "{}.{millis:03} s", self.0.as_secs()),
        }
    }
}

struct SourceName(Source);

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Source::Dependency => f.write_str("the dependency"),
            Source::RuleOverride => f.write_str("the overriding rule"),
            Source::Targeted(name) => f.write_str(name),
            Source::CacheControl => f.write_str("Cache-Control"),
            Source::Expires => f.write_str("Expires"),
            Source::Rule => f.write_str("the rule"),
            Source::Heuristic => f.write_str("the age of Last-Modified"),
            Source::Silent => f.write_str("any source"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Act, Decision};
    use crate::reason::Reason;
    use core::time::Duration;

    #[test]
    fn every_decision_is_one_sentence() {
        for reason in Reason::ALL {
            for act in [Act::Served, Act::Forwarded, Act::Validated, Act::Refused, Act::NotStored] {
                let text = Decision::new(act, *reason).to_string();
                assert!(text.ends_with(").") && text.contains(reason.section()), "{text}");
            }
        }
    }

    #[test]
    fn fractions_of_a_second_are_shown_to_the_millisecond() {
        let decision = Decision {
            age: Some(Duration::from_millis(1_005)),
            ttl_millis: Some(0),
            ..Decision::new(Act::Validated, Reason::Stale)
        };
        assert_eq!(
            decision.to_string(),
            "Validated with the origin: the stored response is stale, age 1.005 s, stale for 0 s (RFC 9111 §4.2)."
        );
    }
}
