//! Writes this cache's member of the `Cache-Status` response field (RFC 9211).
//!
//! `Cache-Status` is a Structured Fields List; each cache on the way appends one member that says how
//! *it* handled the request. [`CacheStatus::write`] makes that member only. The caller keeps the
//! members already there and puts `, ` between (RFC 9211 §2).
//!
//! Scope: the `key` parameter is not written, because a key shown to clients helps cache poisoning
//! (RFC 9211 §6).

use crate::reason::Reason;

/// Why the request went forward: the values of the `fwd` parameter.
///
/// RFC 9211 §2.2.
///
/// ```
/// use hotplate_policy::cache_status::Forward;
///
/// assert_eq!(Forward::VaryMiss.token(), "vary-miss");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Forward {
    /// The cache was configured not to handle this request.
    Bypass,
    /// The method's semantics require the request to be forwarded.
    Method,
    /// Nothing stored matched the request URI.
    UriMiss,
    /// Something stored matched the URI, but not the fields named in `Vary`.
    VaryMiss,
    /// Nothing stored could satisfy the request, and the cache cannot say which of the two misses.
    Miss,
    /// A fresh response was stored, but the request's own directives or credentials forbade it.
    Request,
    /// A response was stored, but it is stale.
    Stale,
    /// A partial response was stored, but not the part asked for.
    Partial,
}

impl Forward {
    /// The token on the wire.
    ///
    /// ```
    /// use hotplate_policy::cache_status::Forward;
    ///
    /// assert_eq!(Forward::UriMiss.token(), "uri-miss");
    /// ```
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Miss => "miss",
            Self::Request => "request",
            Self::Stale => "stale",
            Self::Partial => "partial",
        }
    }
}

/// The `fwd` value that says most about a forward with that cause.
///
/// Total: causes found only after the response was received (`no-store`, `too-large`, …) count as
/// [`Forward::Miss`], because nothing could be served from the store.
///
/// RFC 9211 §2.2: the most specific value is used.
///
/// ```
/// use hotplate_policy::{cache_status::{Forward, forward_for}, reason::Reason};
///
/// assert_eq!(forward_for(Reason::RequestNoCache), Forward::Request);
/// assert_eq!(forward_for(Reason::MustRevalidate), Forward::Stale);
/// ```
#[must_use]
pub const fn forward_for(reason: Reason) -> Forward {
    match reason {
        Reason::Method => Forward::Method,
        Reason::UriMiss => Forward::UriMiss,
        Reason::VaryMiss => Forward::VaryMiss,
        Reason::Excluded
        | Reason::RuleSaysNo
        | Reason::RequestBody
        | Reason::RequestBodyTooLarge
        | Reason::Upgrade
        | Reason::HostNotAllowed
        | Reason::PartitionRefused
        | Reason::PartitionFailed
        | Reason::SharedTierDown => Forward::Bypass,
        Reason::Authorization
        | Reason::Cookie
        | Reason::RequestNoCache
        | Reason::RequestMaxAge
        | Reason::RequestMinFresh
        | Reason::NoStoreRequest
        | Reason::RangeRequest
        | Reason::Precondition => Forward::Request,
        Reason::Stale
        | Reason::MustRevalidate
        | Reason::NoCache
        | Reason::SoftInvalidated
        | Reason::Validated
        | Reason::MaxStale
        | Reason::StaleIfError
        | Reason::StaleWhileRevalidate => Forward::Stale,
        _ => Forward::Miss,
    }
}

/// What this cache did with one request.
///
/// `hit` and `forward` exclude each other (RFC 9211 §2.1, §2.2): when both are set, `hit` is not
/// written. `forward_status`, `stored` and `collapsed` have a meaning only beside `forward` and are
/// left out without it.
///
/// ```
/// use hotplate_policy::cache_status::{CacheStatus, Forward};
///
/// let mut out = Vec::new();
/// CacheStatus { ttl_seconds: Some(42), ..CacheStatus::hit("hotplate") }.write(&mut out);
/// assert_eq!(out, b"hotplate; hit; ttl=42");
///
/// out.clear();
/// CacheStatus { stored: true, ..CacheStatus::forwarded("hotplate", Forward::UriMiss) }.write(&mut out);
/// assert_eq!(out, b"hotplate; fwd=uri-miss; stored");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStatus<'a> {
    /// The name of this cache: written as a token when it is one, otherwise as a quoted string.
    pub cache: &'a str,
    /// The request was satisfied without going forward (RFC 9211 §2.1).
    pub hit: bool,
    /// Why the request went forward (RFC 9211 §2.2).
    pub forward: Option<Forward>,
    /// The status the next hop answered with, when it differs from the one sent (RFC 9211 §2.3).
    pub forward_status: Option<u16>,
    /// What remains of the freshness lifetime in whole seconds; negative once stale (RFC 9211 §2.4).
    pub ttl_seconds: Option<i64>,
    /// The forwarded response was stored (RFC 9211 §2.5).
    pub stored: bool,
    /// The request shared another request's forward (RFC 9211 §2.6).
    pub collapsed: bool,
    /// More detail, usually a [`Reason::token`] (RFC 9211 §2.8).
    pub detail: Option<&'a str>,
}

impl<'a> CacheStatus<'a> {
    /// A request satisfied from the store by the cache of that name.
    ///
    /// ```
    /// use hotplate_policy::cache_status::CacheStatus;
    ///
    /// assert!(CacheStatus::hit("hotplate").hit);
    /// ```
    #[must_use]
    pub const fn hit(cache: &'a str) -> Self {
        Self { hit: true, ..Self::bare(cache) }
    }

    /// A request forwarded by the cache of that name.
    ///
    /// ```
    /// use hotplate_policy::cache_status::{CacheStatus, Forward};
    ///
    /// let status = CacheStatus::forwarded("hotplate", Forward::Bypass);
    /// assert_eq!(status.forward, Some(Forward::Bypass));
    /// ```
    #[must_use]
    pub const fn forwarded(cache: &'a str, forward: Forward) -> Self {
        Self { forward: Some(forward), ..Self::bare(cache) }
    }

    const fn bare(cache: &'a str) -> Self {
        Self {
            cache,
            hit: false,
            forward: None,
            forward_status: None,
            ttl_seconds: None,
            stored: false,
            collapsed: false,
            detail: None,
        }
    }

    /// Appends the member to `out`, without a separator before it.
    ///
    /// **Cost**: allocates only when `out` has no room; 128 bytes are enough for the names used here.
    ///
    /// RFC 9211 §2; the grammar is RFC 8941 §3.1.
    ///
    /// ```
    /// use hotplate_policy::cache_status::CacheStatus;
    ///
    /// let mut field = b"origin-cache; fwd=miss".to_vec();
    /// field.extend_from_slice(b", ");
    /// CacheStatus::hit("my cache").write(&mut field);
    /// assert_eq!(field, b"origin-cache; fwd=miss, \"my cache\"; hit");
    /// ```
    pub fn write(&self, out: &mut Vec<u8>) {
        write_item(self.cache, out);
        if let Some(forward) = self.forward {
            out.extend_from_slice(b"; fwd=");
            out.extend_from_slice(forward.token().as_bytes());
            if let Some(status) = self.forward_status {
                out.extend_from_slice(b"; fwd-status=");
                write_integer(i64::from(status), out);
            }
        } else if self.hit {
            out.extend_from_slice(b"; hit");
        }
        if let Some(ttl) = self.ttl_seconds {
            out.extend_from_slice(b"; ttl=");
            write_integer(ttl, out);
        }
        if self.forward.is_some() && self.stored {
            out.extend_from_slice(b"; stored");
        }
        if self.forward.is_some() && self.collapsed {
            out.extend_from_slice(b"; collapsed");
        }
        if let Some(detail) = self.detail {
            out.extend_from_slice(b"; detail=");
            write_item(detail, out);
        }
    }
}

/// The largest Integer of RFC 8941 §3.3.1: fifteen digits.
const INTEGER_MAX: i64 = 999_999_999_999_999;

fn write_integer(value: i64, out: &mut Vec<u8>) {
    let value = value.clamp(-INTEGER_MAX, INTEGER_MAX);
    if value < 0 {
        out.push(b'-');
    }
    let mut digits = [0_u8; 16];
    let mut start = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// Token when the text is one, else String; what a String cannot hold becomes `?` (RFC 8941 §3.3.3).
fn write_item(text: &str, out: &mut Vec<u8>) {
    if is_token(text.as_bytes()) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0x20..=0x7e => out.push(byte),
            _ => out.push(b'?'),
        }
    }
    out.push(b'"');
}

/// `sf-token = ( ALPHA / "*" ) *( tchar / ":" / "/" )`, RFC 8941 §3.3.4.
fn is_token(text: &[u8]) -> bool {
    let Some((first, rest)) = text.split_first() else {
        return false;
    };
    (first.is_ascii_alphabetic() || *first == b'*')
        && rest.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(b))
}

#[cfg(test)]
mod tests {
    use super::{CacheStatus, Forward, forward_for};
    use crate::reason::Reason;
    use proptest::prelude::*;

    fn written(status: CacheStatus<'_>) -> String {
        let mut out = Vec::new();
        status.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn members_are_written_as_the_rfc_shows_them() {
        let base = CacheStatus { cache: "ExampleCache", ..CacheStatus::default() };
        let rows = [
            // RFC 9211 §2.1
            (CacheStatus { hit: true, ttl_seconds: Some(376), ..base }, "ExampleCache; hit; ttl=376"),
            // RFC 9211 §2.4
            (CacheStatus { hit: true, ttl_seconds: Some(-412), ..base }, "ExampleCache; hit; ttl=-412"),
            // RFC 9211 §2.2
            (CacheStatus { forward: Some(Forward::UriMiss), ..base }, "ExampleCache; fwd=uri-miss"),
            // RFC 9211 §2.3
            (
                CacheStatus {
                    forward: Some(Forward::Stale),
                    forward_status: Some(304),
                    stored: true,
                    ..base
                },
                "ExampleCache; fwd=stale; fwd-status=304; stored",
            ),
            // RFC 9211 §2.6
            (
                CacheStatus { forward: Some(Forward::UriMiss), collapsed: true, ..base },
                "ExampleCache; fwd=uri-miss; collapsed",
            ),
            // RFC 9211 §2.8
            (
                CacheStatus { forward: Some(Forward::Miss), detail: Some("no-store"), ..base },
                "ExampleCache; fwd=miss; detail=no-store",
            ),
        ];
        for (status, expected) in rows {
            assert_eq!(written(status), expected);
        }
    }

    #[test]
    fn hit_and_fwd_exclude_each_other() {
        let status = CacheStatus { hit: true, ..CacheStatus::forwarded("c", Forward::Stale) };
        assert_eq!(written(status), "c; fwd=stale");
    }

    #[test]
    fn parameters_without_meaning_on_a_hit_are_left_out() {
        let status =
            CacheStatus { forward_status: Some(200), stored: true, collapsed: true, ..CacheStatus::hit("c") };
        assert_eq!(written(status), "c; hit");
    }

    #[test]
    fn names_that_are_not_tokens_are_quoted_and_escaped() {
        let rows = [
            ("", "\"\""),
            ("1st", "\"1st\""),
            ("my cache", "\"my cache\""),
            ("a\"b\\c", "\"a\\\"b\\\\c\""),
            ("a\r\nb", "\"a??b\""),
            ("edge.example.net:80/a", "edge.example.net:80/a"),
        ];
        for (name, expected) in rows {
            assert_eq!(written(CacheStatus { cache: name, ..CacheStatus::default() }), expected);
        }
    }

    #[test]
    fn integers_stay_within_fifteen_digits() {
        for (ttl, expected) in [
            (i64::MAX, "c; hit; ttl=999999999999999"),
            (i64::MIN, "c; hit; ttl=-999999999999999"),
            (0, "c; hit; ttl=0"),
        ] {
            assert_eq!(written(CacheStatus { ttl_seconds: Some(ttl), ..CacheStatus::hit("c") }), expected);
        }
    }

    #[test]
    fn every_reason_has_a_forward() {
        for reason in Reason::ALL {
            let _ = forward_for(*reason);
        }
        assert_eq!(forward_for(Reason::Method), Forward::Method);
        assert_eq!(forward_for(Reason::TooLarge), Forward::Miss);
    }

    proptest! {
        #[test]
        fn a_member_never_breaks_the_field_line(name in ".*", detail in ".*", ttl: i64) {
            let mut out = Vec::new();
            CacheStatus {
                ttl_seconds: Some(ttl),
                detail: Some(&detail),
                ..CacheStatus::hit(&name)
            }
            .write(&mut out);
            prop_assert!(out.iter().all(|b| (0x20..=0x7e).contains(b)));
        }
    }
}
