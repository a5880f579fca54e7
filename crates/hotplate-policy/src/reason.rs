//! Why a request was, or was not, answered from the cache: one closed list of causes.
//!
//! Every decision of this crate and of the engine above it names a [`Reason`]. The same value is the
//! `detail` parameter of `Cache-Status` (its [token](Reason::token)), the sentence of `explain` (its
//! `Display`) and the index of a counter ([`Reason::index`]), so the three can never disagree.
//!
//! Scope: causes only. The numbers that belong to one request (age, what remains of the lifetime)
//! are in [`explain`](crate::explain); how the request went forward is in
//! [`cache_status`](crate::cache_status).

use core::fmt;

macro_rules! reasons {
    ($($(#[$meta:meta])* $variant:ident => $token:literal, $sentence:literal, $section:literal;)+) => {
        /// The cause of one decision.
        ///
        /// Further causes may be added, so a `match` outside this crate needs a `_` arm.
        ///
        /// ```
        /// use hotplate_policy::reason::Reason;
        ///
        /// assert_eq!(Reason::NoStore.token(), "no-store");
        /// assert_eq!(
        ///     Reason::NoStore.to_string(),
        ///     "the response says no-store (RFC 9111 §5.2.2.5)",
        /// );
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Reason {
            $(
                #[doc = concat!($sentence, " (", $section, ").")]
                $(#[$meta])*
                $variant,
            )+
        }

        impl Reason {
            /// Every cause, ordered by [`index`](Self::index).
            ///
            /// ```
            /// use hotplate_policy::reason::Reason;
            ///
            /// assert!(Reason::ALL.iter().enumerate().all(|(i, reason)| reason.index() == i));
            /// ```
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word for `Cache-Status: …; detail=` and for metric labels: lower case, an RFC
            /// 8941 token, unique.
            ///
            /// ```
            /// use hotplate_policy::reason::Reason;
            ///
            /// assert_eq!(Reason::HitForMiss.token(), "hit-for-miss");
            /// ```
            #[must_use]
            pub const fn token(self) -> &'static str {
                match self { $(Self::$variant => $token),+ }
            }

            /// What happened, in one clause without a full stop.
            ///
            /// ```
            /// use hotplate_policy::reason::Reason;
            ///
            /// assert_eq!(Reason::VaryAny.sentence(), "the response varies on everything (Vary: *)");
            /// ```
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence),+ }
            }

            /// Where the rule is written: an RFC section, or the part of hotplate that decides.
            ///
            /// ```
            /// use hotplate_policy::reason::Reason;
            ///
            /// assert_eq!(Reason::OnlyIfCached.section(), "RFC 9111 §5.2.1.7");
            /// ```
            #[must_use]
            pub const fn section(self) -> &'static str {
                match self { $(Self::$variant => $section),+ }
            }
        }
    };
}

reasons! {
    // Served from the cache.
    Fresh => "fresh", "the stored response is fresh", "RFC 9111 §4.2";
    StaleWhileRevalidate => "stale-while-revalidate",
        "a stale response was served while one request renews it", "RFC 5861 §3";
    StaleIfError => "stale-if-error",
        "a stale response was served because the origin failed", "RFC 5861 §4";
    MaxStale => "max-stale",
        "the request accepts a response this stale (max-stale)", "RFC 9111 §5.2.1.2";
    SoftInvalidated => "soft-invalidated",
        "an invalidation marked the stored response stale", "hotplate invalidation";
    Validated => "validated", "the origin confirmed the stored response", "RFC 9111 §4.3.4";
    // Nothing stored fits the request.
    UriMiss => "uri-miss", "nothing is stored for this URI", "RFC 9111 §4";
    VaryMiss => "vary-miss",
        "no stored response matches the request fields named in Vary", "RFC 9111 §4.1";
    HeadMiss => "head-miss",
        "a response to HEAD has no content to store", "RFC 9111 §4.3.5";
    Invalidated => "invalidated", "the stored response was invalidated", "RFC 9111 §4.4";
    // Something stored fits, but may not be used as it is.
    Stale => "stale", "the stored response is stale", "RFC 9111 §4.2";
    MustRevalidate => "must-revalidate",
        "the stored response is stale and forbids stale reuse", "RFC 9111 §5.2.2.2";
    NoCache => "no-cache",
        "the stored response must be validated before each use", "RFC 9111 §5.2.2.4";
    RequestNoCache => "request-no-cache",
        "the request asks for validation (no-cache)", "RFC 9111 §5.2.1.4";
    RequestMaxAge => "request-max-age",
        "the stored response is older than the request accepts (max-age)", "RFC 9111 §5.2.1.1";
    RequestMinFresh => "request-min-fresh",
        "the stored response is not fresh for as long as the request asks (min-fresh)",
        "RFC 9111 §5.2.1.3";
    OnlyIfCached => "only-if-cached",
        "the request accepts a stored response only, and none can be used", "RFC 9111 §5.2.1.7";
    // The request keeps the cache out.
    Excluded => "excluded", "this path is excluded from caching", "hotplate rules";
    RuleSaysNo => "rule-no-store", "a rule says not to store this response", "hotplate rules";
    Method => "method", "the method is not cached", "RFC 9111 §3";
    RequestBody => "request-body", "the request has content", "RFC 9110 §9.3.1";
    RequestBodyTooLarge => "request-body-too-large",
        "the request content is larger than may enter a key", "hotplate limits";
    Upgrade => "upgrade", "the request asks for another protocol", "RFC 9110 §7.8";
    Authorization => "authorization",
        "the request has Authorization and the response is not marked shareable", "RFC 9111 §3.5";
    Cookie => "cookie",
        "the request has Cookie and the response is not marked shareable",
        "hotplate profile safe";
    NoStoreRequest => "request-no-store", "the request says no-store", "RFC 9111 §5.2.1.5";
    RangeRequest => "range",
        "the answer belongs to the ranges this one request asked for", "RFC 9110 §14";
    Precondition => "precondition",
        "the request has a precondition only the origin can evaluate", "RFC 9111 §4.3.2";
    HostNotAllowed => "host", "the host is not one this cache serves", "hotplate rules";
    PartitionRefused => "partition-refused",
        "the partition function said not to cache this request", "hotplate partitions";
    PartitionFailed => "partition-failed", "the partition function failed", "hotplate partitions";
    SharedTierDown => "shared-tier-down",
        "the shared tier cannot be asked, and nothing is served without it", "hotplate outages";
    // The response may not be stored.
    NoStore => "no-store", "the response says no-store", "RFC 9111 §5.2.2.5";
    Private => "private", "the response is for one user (private)", "RFC 9111 §5.2.2.7";
    NoCacheUnvalidatable => "no-cache-no-validator",
        "the response says no-cache and has no validator to check it by", "RFC 9111 §5.2.2.4";
    UnknownMustUnderstand => "must-understand",
        "the response requires its status to be understood, and it is not", "RFC 9111 §5.2.2.3";
    SetCookie => "set-cookie", "the response sets a cookie", "hotplate profile safe";
    VaryAny => "vary-any", "the response varies on everything (Vary: *)", "RFC 9111 §4.1";
    TooManyVariants => "too-many-variants",
        "this URI has as many stored variants as are allowed", "hotplate limits";
    StatusNotCacheable => "status", "a response with this status is not stored", "RFC 9111 §3";
    ServerError => "server-error",
        "a server error is stored only when it gives its own lifetime", "RFC 9111 §4.2.2";
    PartialContent => "partial", "the response is partial (206)", "RFC 9111 §3.3";
    EventStream => "event-stream",
        "the response is a stream of events that does not end", "hotplate profile";
    NoFreshness => "no-freshness",
        "the response says nothing of how long it stays fresh", "RFC 9111 §4.2.1";
    ZeroTtl => "zero-ttl",
        "the response is stale at once and nothing would let it be used", "RFC 9111 §4.2.1";
    Trailers => "trailers", "the response has trailer fields", "RFC 9111 §3.1";
    TooLarge => "too-large", "the response is larger than may be stored", "hotplate limits";
    Incomplete => "incomplete", "the response ended before it was complete", "RFC 9111 §3.3";
    LengthMismatch => "length-mismatch",
        "the content is not as long as Content-Length says", "RFC 9110 §8.6";
    // The load went otherwise.
    LoadFailed => "load-failed", "the origin failed to answer", "hotplate fill";
    HitForMiss => "hit-for-miss",
        "the last response for this key was not storable, so nobody waits for it",
        "hotplate fill";
    WaitTimeout => "wait-timeout",
        "another request was loading this response for too long", "hotplate fill";
}

impl Reason {
    /// This cause's place in [`ALL`](Self::ALL): dense from 0, for arrays of counters. Not stable
    /// between versions; store the [token](Self::token) instead.
    ///
    /// ```
    /// use hotplate_policy::reason::Reason;
    ///
    /// let mut counters = vec![0_u64; Reason::ALL.len()];
    /// counters[Reason::NoStore.index()] += 1;
    /// ```
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// The sentence and, in parentheses, the section.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.sentence(), self.section())
    }
}

#[cfg(test)]
mod tests {
    use super::Reason;
    use std::collections::HashSet;

    #[test]
    fn indexes_are_dense_and_in_order() {
        for (place, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(reason.index(), place);
        }
    }

    #[test]
    fn tokens_are_unique_structured_field_tokens() {
        let mut seen = HashSet::new();
        for reason in Reason::ALL {
            let token = reason.token();
            assert!(seen.insert(token), "{token} is used twice");
            assert!(token.starts_with(|c: char| c.is_ascii_lowercase()));
            assert!(token.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
        }
    }

    #[test]
    fn sentences_are_clauses_and_sections_name_a_source() {
        for reason in Reason::ALL {
            assert!(!reason.sentence().ends_with('.'), "{reason}");
            assert!(
                reason.section().starts_with("RFC ") || reason.section().starts_with("hotplate "),
                "{reason}"
            );
        }
    }
}
