//! What an invalidation names, and all that one stored response answers to.

use std::borrow::Cow;
use std::fmt;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Log;
use crate::key::Key;

/// How many ancestors of a path its footprint has. A longer prefix is cut to this many segments when it is invalidated:
/// it then makes too much untrue, never too little, and a path of ten thousand slashes costs no more than one of these.
pub const MOST_ANCESTORS: usize = 32;

/// What an invalidation names.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// Every stored response.
    Everything,
    /// The responses under one key, all variants.
    Key(Key),
    /// The responses stored with this tag.
    Tag(&'a str),
    /// The responses for exactly this (decoded) path: every host, query, partition and variant.
    Path(&'a [u8]),
    /// As `Path`, on one host.
    Uri {
        /// The host as the client named it; case does not matter.
        authority: &'a [u8],
        /// The decoded path.
        path: &'a [u8],
    },
    /// The responses for this path and all below it, on segment boundaries: `/products` covers `/products/42`
    /// and not `/products2`; `/` covers every path. Slashes at the end do not matter.
    Prefix(&'a [u8]),
}

/// In words, for people: `prefix /products`.
impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("everything"),
            Self::Key(key) => write!(f, "key {key}"),
            Self::Tag(tag) => write!(f, "tag {tag}"),
            Self::Path(path) => write!(f, "path {}", String::from_utf8_lossy(path)),
            Self::Uri { authority, path } => {
                write!(f, "path {} on {}", String::from_utf8_lossy(path), String::from_utf8_lossy(authority))
            }
            Self::Prefix(prefix) => write!(f, "prefix {}", String::from_utf8_lossy(prefix)),
        }
    }
}

/// A target as the log compares it: a hash with a seed of this process. Two targets that meet make too much
/// untrue, never too little.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TargetId(u64);

impl TargetId {
    /// The id with this number.
    #[must_use]
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }

    /// The id's number.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The id of a target under a log's seed, or `None` for what covers everything. Each kind has a seed of its own, so that a tag never meets a path.
    pub(super) fn of(seed: u64, target: &Target<'_>) -> Option<Self> {
        let hash = |kind: u64, bytes: &[u8]| xxh3_64_with_seed(bytes, seed.wrapping_add(kind));
        Some(Self(match target {
            Target::Everything => return None,
            Target::Key(key) => hash(1, &key.as_u128().to_le_bytes()),
            Target::Tag(tag) => hash(2, tag.as_bytes()),
            Target::Path(path) => hash(3, path),
            // The authority's hash seeds the path's: no join of two texts can be read as another two.
            Target::Uri { authority, path } => xxh3_64_with_seed(path, hash(4, &host_of(authority))),
            Target::Prefix(prefix) => {
                return ancestors(prefix).last().map(|longest| Self::of_prefix(seed, longest));
            }
        }))
    }

    /// `prefix`: as [`ancestors`] gives it.
    fn of_prefix(seed: u64, prefix: &[u8]) -> Self {
        Self(xxh3_64_with_seed(prefix, seed.wrapping_add(5)))
    }
}

/// All targets one stored response answers to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Footprint(Vec<u8>);

/// The targets of a footprint, borrowed. In memory: their numbers one after the other, in the order of the machine's bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Targets<'a>(&'a [u8]);

/// What a target takes.
const TARGET_BYTES: usize = size_of::<u64>();

impl Footprint {
    /// The footprint of a response: its key, its path with and without host, each ancestor of the path, its tags.
    ///
    /// # Arguments
    ///
    /// `path`: decoded, as rules see it.
    pub fn new<'t>(
        log: &Log,
        key: Key,
        authority: &[u8],
        path: &[u8],
        tags: impl IntoIterator<Item = &'t str>,
    ) -> Self {
        let seed = log.seed();
        let mut footprint = Self(Vec::with_capacity(16 * TARGET_BYTES));
        let named = [Target::Key(key), Target::Path(path), Target::Uri { authority, path }];
        footprint.extend(named.iter().filter_map(|target| TargetId::of(seed, target)));
        footprint.extend(tags.into_iter().filter_map(|tag| TargetId::of(seed, &Target::Tag(tag))));
        footprint.extend(ancestors(path).map(|ancestor| TargetId::of_prefix(seed, ancestor)));
        footprint
    }

    /// The footprint of a value under a name: its key, its tags. No path names it, and no prefix of one.
    pub fn of_value<'t>(log: &Log, key: Key, tags: impl IntoIterator<Item = &'t str>) -> Self {
        let seed = log.seed();
        let named = std::iter::once(Target::Key(key)).chain(tags.into_iter().map(Target::Tag));
        let mut footprint = Self::default();
        footprint.extend(named.filter_map(|target| TargetId::of(seed, &target)));
        footprint
    }

    /// How many targets it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len() / TARGET_BYTES
    }

    /// Whether it has no target; a footprint made by [`Footprint::new`] always has some.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn targets(&self) -> Targets<'_> {
        Targets(&self.0)
    }

    fn extend(&mut self, targets: impl Iterator<Item = TargetId>) {
        for target in targets {
            self.0.extend_from_slice(&target.0.to_ne_bytes());
        }
    }
}

impl<'a> Targets<'a> {
    /// Of bytes that [`Targets::as_bytes`] gave.
    pub(crate) fn from_bytes(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = TargetId> + use<'a> {
        self.0.as_chunks().0.iter().map(|number| TargetId(u64::from_ne_bytes(*number)))
    }

    pub(crate) fn contains(self, target: TargetId) -> bool {
        self.iter().any(|own| own == target)
    }
}

impl<'a> From<&'a Footprint> for Targets<'a> {
    fn from(footprint: &'a Footprint) -> Self {
        footprint.targets()
    }
}

/// The prefixes that cover `path`, the longest last: `/a/b` gives `/a`, `/a/b`. The root is not among them: what it
/// covers is everything.
fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let used = path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    let path = path.get(..used).unwrap_or_default();
    let ends = path.iter().enumerate().skip(1).filter(|(_, byte)| **byte == b'/').map(|(index, _)| index);
    let whole = (!path.is_empty()).then_some(path.len());
    ends.chain(whole).filter_map(|end| path.get(..end)).take(MOST_ANCESTORS)
}

/// The authority without the ports of `http` and `https`: whether a client names them changes nothing about what is
/// stored for its host (RFC 9110 §4.2.3). A host on both ports shares invalidations, not responses.
fn host_of(authority: &[u8]) -> Cow<'_, [u8]> {
    let host = authority.strip_suffix(b":80").or_else(|| authority.strip_suffix(b":443"));
    lower_case(host.unwrap_or(authority))
}

fn lower_case(text: &[u8]) -> Cow<'_, [u8]> {
    if text.iter().any(u8::is_ascii_uppercase) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}
