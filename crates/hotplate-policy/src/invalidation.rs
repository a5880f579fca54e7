//! What a successful write makes untrue (RFC 9111 §4.4).
//!
//! A non-error answer to an unsafe method invalidates what is stored for the request's own URI, and may
//! invalidate what its `Location` and `Content-Location` name. Those two are claims of whoever answered,
//! so they count within the same origin only: one host must not be able to empty another's cache.
//!
//! Scope: a target is a path. Every query, variant and partition of it goes with it, which is more than
//! the RFC asks and is never wrong. Cache groups are in [`groups`](crate::groups).

use crate::fields::{Fields, trim_ows};
use crate::request::is_safe;

/// Whether an answer with this status to this method makes the stored responses of its URI untrue.
///
/// True for an unsafe method, or one whose safety is unknown, and a 2xx or 3xx status.
///
/// RFC 9111 §4.4.
///
/// ```
/// use hotplate_policy::invalidation::invalidates;
///
/// assert!(invalidates("DELETE", 204) && invalidates("M-SEARCH", 200) && invalidates("POST", 303));
/// assert!(!invalidates("PUT", 409) && !invalidates("GET", 200) && !invalidates("QUERY", 200));
/// ```
#[must_use]
pub fn invalidates(method: &str, status: u16) -> bool {
    !is_safe(method) && (200..400).contains(&status)
}

/// The raw paths that `Location` and `Content-Location` of the answer name within the request's origin.
///
/// **Arguments**: `scheme`, `authority` and `raw_path` are the request's; `fields` the answer's.
///
/// **Shape**: each path begins with `/`, has no query or fragment, and has its dot segments removed.
/// Percent-encoding is left as it is. A reference to another origin, or to the request's own path by
/// its query or fragment alone, gives nothing.
///
/// RFC 9111 §4.4; references are resolved by RFC 3986 §5.2.
///
/// ```
/// use hotplate_policy::{fields::Fields, invalidation::further_targets};
///
/// let lines: [(&[u8], &[u8]); 2] =
///     [(b"Location", b"../orders/7?new=1"), (b"Content-Location", b"https://other.example/b")];
/// let paths: Vec<_> =
///     further_targets(b"https", b"shop.example", b"/cart/9", Fields::new(&lines)).collect();
/// assert_eq!(paths, [b"/orders/7"]);
/// ```
pub fn further_targets<'a>(
    scheme: &'a [u8],
    authority: &'a [u8],
    raw_path: &'a [u8],
    fields: Fields<'a>,
) -> impl Iterator<Item = Vec<u8>> + 'a {
    let lines = fields.lines("location").chain(fields.lines("content-location"));
    lines.filter_map(move |reference| resolve(scheme, authority, raw_path, reference))
}

/// The path a URI reference names, if it is of the origin.
fn resolve(scheme: &[u8], authority: &[u8], base: &[u8], reference: &[u8]) -> Option<Vec<u8>> {
    let end = reference.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(reference.len());
    let reference = trim_ows(&reference[..end]);
    if reference.is_empty() {
        return None;
    }
    let relative = match split_scheme(reference) {
        Some((named, rest)) if named.eq_ignore_ascii_case(scheme) && rest.starts_with(b"//") => rest,
        Some(_) => return None,
        None => reference,
    };
    if let Some(rest) = relative.strip_prefix(b"//") {
        let end = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
        let (named, path) = rest.split_at(end);
        let same =
            without_default_port(scheme, named).eq_ignore_ascii_case(without_default_port(scheme, authority));
        return same.then(|| without_dot_segments(path));
    }
    if relative.starts_with(b"/") {
        return Some(without_dot_segments(relative));
    }
    let directory = base.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    Some(without_dot_segments(&[&base[..directory], relative].concat()))
}

/// `scheme ":"`, RFC 3986 §3.1.
fn split_scheme(reference: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = reference.iter().position(|byte| *byte == b':')?;
    let (scheme, rest) = reference.split_at(colon);
    let valid = scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    valid.then_some((scheme, &rest[1..]))
}

/// `example.org:443` and `example.org:` are `example.org` where 443 is the scheme's port (RFC 9110 §4.2.3).
fn without_default_port<'a>(scheme: &[u8], authority: &'a [u8]) -> &'a [u8] {
    let port: &[u8] = if scheme.eq_ignore_ascii_case(b"https") {
        b":443"
    } else if scheme.eq_ignore_ascii_case(b"http") {
        b":80"
    } else {
        b":"
    };
    authority.strip_suffix(port).or(authority.strip_suffix(b":")).unwrap_or(authority)
}

/// RFC 3986 §5.2.4, for a path that is made absolute.
fn without_dot_segments(path: &[u8]) -> Vec<u8> {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut ends_with_slash = false;
    for segment in path.split(|byte| *byte == b'/') {
        ends_with_slash = matches!(segment, b"." | b".." | b"");
        match segment {
            b"." => {}
            b".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    let mut out = Vec::with_capacity(path.len() + 2);
    for segment in &kept {
        out.push(b'/');
        out.extend_from_slice(segment);
    }
    // A last empty segment is kept above and has written its slash; a last dot segment has not.
    if out.is_empty() || (ends_with_slash && kept.last().is_some_and(|last| !last.is_empty())) {
        out.push(b'/');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{further_targets, invalidates, resolve};
    use crate::fields::Fields;
    use proptest::prelude::*;

    #[test]
    fn unsafe_and_unknown_methods_invalidate_when_answered_without_error() {
        // RFC 9111 §4.4
        for method in ["POST", "PUT", "DELETE", "PATCH", "M-SEARCH", "get", ""] {
            for (status, expected) in
                [(100, false), (200, true), (204, true), (302, true), (399, true), (400, false), (503, false)]
            {
                assert_eq!(invalidates(method, status), expected, "{method} {status}");
            }
        }
        for method in ["GET", "HEAD", "OPTIONS", "TRACE", "QUERY", "PROPFIND"] {
            assert!(!invalidates(method, 200), "{method}");
        }
    }

    #[test]
    fn references_count_within_the_origin_only() {
        let rows = [
            ("/b", Some("/b")),
            ("/b?q=1", Some("/b")),
            ("/b#f", Some("/b")),
            ("b", Some("/a/b")),
            ("./b", Some("/a/b")),
            ("../b", Some("/b")),
            ("../../../b", Some("/b")),
            ("..", Some("/")),
            (".", Some("/a/")),
            ("b/", Some("/a/b/")),
            ("/b/./c/../d", Some("/b/d")),
            ("/b/..", Some("/")),
            ("/b/c/..", Some("/b/")),
            ("/b//c", Some("/b//c")),
            ("b:c/d", None),
            ("./b:c", Some("/a/b:c")),
            ("https://example.org/b", Some("/b")),
            ("HTTPS://EXAMPLE.org", Some("/")),
            ("https://example.org:443/b", Some("/b")),
            ("https://example.org:/b", Some("/b")),
            ("//example.org/b", Some("/b")),
            ("http://example.org/b", None),
            ("https://example.org:8443/b", None),
            ("https://example.org:80/b", None),
            ("https://example.com/b", None),
            ("https://example.org.evil/b", None),
            ("https://user@example.org/b", None),
            ("//example.com/b", None),
            ("https:/b", None),
            ("mailto:a@b", None),
            ("", None),
            ("?q", None),
            ("#f", None),
        ];
        for (reference, expected) in rows {
            let resolved = resolve(b"https", b"example.org", b"/a/c", reference.as_bytes());
            assert_eq!(resolved.as_deref(), expected.map(str::as_bytes), "{reference}");
        }
    }

    #[test]
    fn every_line_of_both_fields_is_a_target() {
        let lines: [(&[u8], &[u8]); 3] =
            [(b"content-location", b"/c"), (b"LOCATION", b"/a"), (b"Location", b" /b ")];
        let paths: Vec<_> = further_targets(b"http", b"h", b"/", Fields::new(&lines)).collect();
        assert_eq!(paths, [b"/a", b"/b", b"/c"]);
    }

    proptest! {
        #[test]
        fn targets_are_absolute_paths_without_dot_segments(
            reference in proptest::collection::vec(any::<u8>(), 0..40),
            base in proptest::collection::vec(any::<u8>(), 0..20),
        ) {
            if let Some(path) = resolve(b"http", b"h", &base, &reference) {
                prop_assert!(path.starts_with(b"/"));
                prop_assert!(!path.split(|b| *b == b'/').any(|s| s == b"." || s == b".."));
            }
        }
    }
}
