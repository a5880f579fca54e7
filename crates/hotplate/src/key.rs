//! Cache keys: which requests share a stored response.
//!
//! A key is a 128-bit BLAKE3 digest over the parts of a request, each with its length before it, so that
//! no two requests meet in one key because of how their parts join. BLAKE3, because parts come from
//! clients: whoever can make two URLs collide can serve one in place of the other.
//!
//! The authority is in the key as the client named it (RFC 9110 §7.2), in lower case: a cache that leaves
//! it out answers one host with another's page.

mod often;
mod spreading;

use std::borrow::Cow;
use std::fmt;

pub use often::named_often;
pub use spreading::{Spread, Spreading};

use crate::leb128;

/// Changed whenever the same request gets another key, so that entries of two versions never meet.
/// One byte each, and short lengths below: the text of a usual URL then fits one block of the hash.
const FORMAT: u8 = 2;
const VARIANT_FORMAT: u8 = 129;
const NAMED_FORMAT: u8 = 65;

/// The digest under which a response is stored. Prints as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Key(u128);

/// The parts of a key.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyParts<'a> {
    /// Which HTTP side of the cache asks: applications that share a cache share no responses.
    pub site: u32,
    /// `GET` for GET and HEAD, else the method a rule names.
    pub method: &'a str,
    /// `http` or `https`.
    pub scheme: &'a [u8],
    /// As the client named it; case does not matter.
    pub authority: &'a [u8],
    /// As received, percent-encoded.
    pub path: &'a [u8],
    /// What of the query counts; see [`QueryRule`].
    pub query: &'a [u8],
    /// Who may share, where there is a partition.
    pub partition: Option<&'a [u8]>,
    /// Content type and content of the request, for methods whose body is in the key (RFC 10008 §2.7).
    pub body: Option<(&'a [u8], &'a [u8])>,
}

impl Key {
    /// The key of a request.
    #[must_use]
    pub fn of(parts: &KeyParts<'_>) -> Self {
        let mut text = Vec::with_capacity(256);
        text.push(FORMAT);
        leb128::push(&mut text, parts.site);
        match (parts.method, parts.scheme) {
            ("GET", b"http") => text.push(1),
            ("GET", b"https") => text.push(2),
            (method, scheme) => {
                text.push(0);
                add(&mut text, method.as_bytes());
                add(&mut text, scheme);
            }
        }
        add(&mut text, parts.authority);
        let authority = text.len() - parts.authority.len();
        text[authority..].make_ascii_lowercase();
        add(&mut text, parts.path);
        add(&mut text, parts.query);
        match parts.partition {
            None => text.push(0),
            Some(name) => {
                text.push(1);
                add(&mut text, name);
            }
        }
        let Some((content_type, content)) = parts.body else {
            return Self::digest(&text);
        };
        add(&mut text, content_type);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&text).update(content);
        Self::cut(&hasher.finalize())
    }

    /// The key of a value that is stored under a name of the caller's own.
    #[must_use]
    pub fn named(name: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[NAMED_FORMAT]).update(name);
        Self::cut(&hasher.finalize())
    }

    /// The key of what is known of a path under all its queries; `parts.query` does not matter.
    #[must_use]
    pub fn family(parts: &KeyParts<'_>) -> Self {
        Self::of(&KeyParts { query: b"", ..*parts }).variant(b"every query")
    }

    /// The key of one variant: of the response for these values of the fields its `Vary` names.
    ///
    /// `selecting`: the values in a canonical text, as `hotplate_policy::vary::normalise` writes it.
    #[must_use]
    pub fn variant(self, selecting: &[u8]) -> Self {
        let mut text = Vec::with_capacity(1 + 16 + selecting.len());
        text.push(VARIANT_FORMAT);
        text.extend_from_slice(&self.0.to_le_bytes());
        text.extend_from_slice(selecting);
        Self::digest(&text)
    }

    /// The key with this number.
    #[must_use]
    pub const fn from_u128(number: u128) -> Self {
        Self(number)
    }

    /// The key's number.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0
    }

    fn digest(text: &[u8]) -> Self {
        Self::cut(&blake3::hash(text))
    }

    fn cut(hash: &blake3::Hash) -> Self {
        let mut half = [0; 16];
        half.copy_from_slice(&hash.as_bytes()[..16]);
        Self(u128::from_be_bytes(half))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A part with its length before it.
fn add(text: &mut Vec<u8>, part: &[u8]) {
    // A part of 4 GiB comes through no server.
    leb128::push(text, u32::try_from(part.len()).unwrap_or(u32::MAX));
    text.extend_from_slice(part);
}

/// What of a query enters the key.
///
/// Names are compared after percent-decoding (`+` is a space); what is kept stays as it was received.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct QueryRule {
    sort: bool,
    keep: Option<Box<[Name]>>,
    drop: Box<[Name]>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Name {
    Exact(Box<str>),
    Prefix(Box<str>),
}

impl QueryRule {
    /// `sort`: parameters in any order are one key. `keep`: only these names count; `drop`: these do not. A name
    /// that ends in `*` stands for all that begin like it.
    #[must_use]
    pub fn new(sort: bool, keep: Option<Vec<String>>, drop: Vec<String>) -> Self {
        let names = |names: Vec<String>| -> Box<[Name]> { names.into_iter().map(Name::new).collect() };
        Self { sort, keep: keep.map(names), drop: names(drop) }
    }

    /// The part of `query` that counts. Without a rule that is the query itself, and nothing is copied.
    pub fn apply<'q>(&self, query: &'q [u8], out: &'q mut Vec<u8>) -> &'q [u8] {
        if query.is_empty() || (!self.sort && self.keep.is_none() && self.drop.is_empty()) {
            return query;
        }
        let mut kept: Vec<(Cow<'_, [u8]>, &[u8])> = query
            .split(|byte| *byte == b'&')
            .filter(|piece| !piece.is_empty())
            .map(|piece| (decode(piece.split(|byte| *byte == b'=').next().unwrap_or_default()), piece))
            .filter(|(name, _)| self.counts(name))
            .collect();
        if self.sort {
            kept.sort_by(|(a, _), (b, _)| a.cmp(b));
        }
        out.clear();
        for (index, (_, piece)) in kept.iter().enumerate() {
            if index > 0 {
                out.push(b'&');
            }
            out.extend_from_slice(piece);
        }
        out
    }

    fn counts(&self, name: &[u8]) -> bool {
        let any = |names: &[Name]| names.iter().any(|known| known.matches(name));
        self.keep.as_deref().is_none_or(any) && !any(&self.drop)
    }
}

impl Name {
    fn new(name: String) -> Self {
        match name.strip_suffix('*') {
            Some(prefix) => Self::Prefix(prefix.into()),
            None => Self::Exact(name.into()),
        }
    }

    fn matches(&self, name: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => name == exact.as_bytes(),
            Self::Prefix(prefix) => name.starts_with(prefix.as_bytes()),
        }
    }
}

/// Percent-decodes a parameter name; a `%` that begins no escape stays.
fn decode(name: &[u8]) -> Cow<'_, [u8]> {
    if !name.contains(&b'%') && !name.contains(&b'+') {
        return Cow::Borrowed(name);
    }
    let mut decoded = percent_decode(name);
    for byte in &mut decoded {
        if *byte == b'+' {
            *byte = b' ';
        }
    }
    Cow::Owned(decoded)
}

/// Percent-decodes; a `%` that begins no escape stays.
#[must_use]
pub fn percent_decode(text: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Vec::with_capacity(text.len());
    let mut index = 0;
    while let Some(byte) = text.get(index) {
        let escape = (*byte == b'%')
            .then(|| digit(text.get(index + 1)).zip(digit(text.get(index + 2))))
            .flatten()
            .and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        decoded.push(escape.unwrap_or(*byte));
        index += if escape.is_some() { 3 } else { 1 };
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts() -> KeyParts<'static> {
        KeyParts {
            site: 0,
            method: "GET",
            scheme: b"https",
            authority: b"example.org",
            path: b"/a",
            query: b"x=1",
            partition: None,
            body: None,
        }
    }

    #[test]
    fn every_part_makes_another_key() {
        let one = Key::of(&parts());
        for (what, other) in [
            ("site", KeyParts { site: 1, ..parts() }),
            ("method", KeyParts { method: "POST", ..parts() }),
            ("scheme", KeyParts { scheme: b"http", ..parts() }),
            ("authority", KeyParts { authority: b"example.com", ..parts() }),
            ("port", KeyParts { authority: b"example.org:8080", ..parts() }),
            ("path", KeyParts { path: b"/b", ..parts() }),
            ("path case", KeyParts { path: b"/A", ..parts() }),
            ("query", KeyParts { query: b"x=2", ..parts() }),
            ("no query", KeyParts { query: b"", ..parts() }),
            ("partition", KeyParts { partition: Some(b"u1"), ..parts() }),
            ("empty partition", KeyParts { partition: Some(b""), ..parts() }),
            ("body", KeyParts { body: Some((b"", b"")), ..parts() }),
            ("content type", KeyParts { body: Some((b"text/plain", b"")), ..parts() }),
        ] {
            assert_ne!(one, Key::of(&other), "{what}");
        }
    }

    #[test]
    fn the_case_of_the_authority_does_not_matter() {
        assert_eq!(Key::of(&parts()), Key::of(&KeyParts { authority: b"Example.ORG", ..parts() }));
    }

    #[test]
    fn a_key_prints_as_32_hexadecimal_digits() {
        assert_eq!(Key::from_u128(0xab).to_string(), format!("{:0>32}", "ab"));
    }

    #[test]
    fn the_key_of_a_request_does_not_change_between_releases() {
        let body =
            KeyParts { method: "POST", body: Some((b"text/plain", b"x")), partition: Some(b"u1"), ..parts() };
        for (key, digits) in [
            (Key::of(&parts()), "78a937cd4d37ccf64fb69246209dab4d"),
            (Key::of(&parts()).variant(b"gzip"), "4f490ad1907d0c0f87f462ca8e18df6d"),
            (Key::of(&body), "cae95a9cd37f9582053f4a1fcd8cc115"),
        ] {
            assert_eq!(key.to_string(), digits, "raise FORMAT when keys change");
        }
    }

    #[test]
    fn the_key_of_a_name_does_not_change_between_releases() {
        for (name, digits) in [
            ("", "32684bfa28c0c84d6f210511aace0efc"),
            ("product:500", "5ec7a869ffc3e7ad6b5b356c921aa79b"),
            (&"n".repeat(5_000), "e5af1a3df439da958196d7e03d0c2471"),
        ] {
            assert_eq!(
                Key::named(name.as_bytes()).to_string(),
                digits,
                "raise NAMED_FORMAT when keys change"
            );
        }
    }

    #[test]
    fn every_variant_has_a_key_of_its_own() {
        let primary = Key::of(&parts());
        assert_ne!(primary.variant(b"gzip"), primary.variant(b""));
        assert_ne!(primary.variant(b""), primary);
        assert_ne!(primary.variant(b"gzip"), Key::from_u128(1).variant(b"gzip"));
    }

    #[test]
    fn query_rules_keep_drop_and_sort() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        for (rule, query, expected) in [
            (QueryRule::default(), "b=1&a=2", "b=1&a=2"),
            (QueryRule::new(true, None, vec![]), "b=1&a=2&b=0", "a=2&b=1&b=0"),
            (QueryRule::new(false, None, names(&["utm_*"])), "utm_source=x&a=2&utm=1", "a=2&utm=1"),
            (QueryRule::new(false, Some(names(&["page", "q"])), vec![]), "q=1&z=2&page=3", "q=1&page=3"),
            (QueryRule::new(false, None, names(&["utm_*"])), "utm%5Fsource=x&a", "a"),
            (QueryRule::new(true, Some(vec![]), vec![]), "a=1", ""),
            (QueryRule::new(false, None, names(&["a b"])), "a+b=1&c=%", "c=%"),
        ] {
            let mut out = Vec::new();
            assert_eq!(rule.apply(query.as_bytes(), &mut out), expected.as_bytes(), "{query}");
        }
    }

    proptest! {
        #[test]
        fn parts_never_meet_by_joining(a in ".{0,6}", b in ".{0,6}", c in ".{0,6}", d in ".{0,6}") {
            let first = Key::of(&KeyParts { path: a.as_bytes(), query: b.as_bytes(), ..parts() });
            let second = Key::of(&KeyParts { path: c.as_bytes(), query: d.as_bytes(), ..parts() });
            prop_assert_eq!(first == second, a == c && b == d);
        }

        #[test]
        fn sorting_is_the_same_for_every_order(mut pieces in proptest::collection::vec("[a-d]=[0-9]", 0..6)) {
            let rule = QueryRule::new(true, None, vec![]);
            pieces.sort();
            pieces.dedup_by_key(|piece| piece.as_bytes().first().copied());
            let forward = pieces.join("&");
            pieces.reverse();
            let backward = pieces.join("&");
            let (mut one, mut other) = (Vec::new(), Vec::new());
            prop_assert_eq!(rule.apply(forward.as_bytes(), &mut one), rule.apply(backward.as_bytes(), &mut other));
        }

        #[test]
        fn any_query_is_taken(query in proptest::collection::vec(any::<u8>(), 0..40)) {
            let rule = QueryRule::new(true, None, vec!["utm_*".into()]);
            let mut out = Vec::new();
            prop_assert!(rule.apply(&query, &mut out).len() <= query.len());
        }
    }
}
