//! A stored response.
//!
//! What decisions need (times, lifetimes, flags, log position) stands open in the struct; field lines, tags and what the
//! entry answers to are one block, because most of them are only ever copied to a client, or looked at after an
//! invalidation. The body stays in the memory its server put it into.
//!
//! # Reading
//!
//! `lines` for the block of text; `selection` for what of a request selects the entry; `codec` for the binary form in which
//! an entry leaves the process, and how to add a field to it.

mod codec;
mod lines;
mod packed;
mod selection;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use bytes::Bytes;
use hotplate_policy::freshness::{Flags, StoredMeta};
use hotplate_policy::time::Timestamp;

pub use codec::DecodeError;
pub use selection::{Selection, SelectionParts};

use self::packed::PackedMeta;

use crate::key::Key;
use crate::log::{Footprint, Position, Targets};

/// What an allocator adds to a block, on average.
const ALLOCATION_BYTES: usize = 16;

/// The two counters before a value in an `Arc`.
const SHARED_BYTES: usize = 16;

/// The length of a footprint, at the end of a head.
const LENGTH_BYTES: usize = size_of::<u32>();

/// Stands where nothing selects an entry.
const NO_VARIANT: Key = Key::from_u128(0);

/// A response body, in whatever memory its server keeps bodies.
pub trait Body: Send + Sync + Sized + 'static {
    /// The bytes.
    fn as_slice(&self) -> &[u8];

    /// One body of the chunks in order. One chunk should come back as it is.
    fn join(chunks: Vec<Self>) -> Self;

    /// The same bytes once more, without copying them.
    fn share(&self) -> Self;

    /// A body of bytes that came from elsewhere.
    fn adopt(bytes: Bytes) -> Self;

    /// What the body takes in memory beside its bytes, the value itself and one allocation for the bytes.
    fn overhead_bytes(&self) -> usize {
        0
    }
}

impl Body for Bytes {
    fn as_slice(&self) -> &[u8] {
        self
    }

    fn join(mut chunks: Vec<Self>) -> Self {
        match chunks.len() {
            1 => chunks.pop().unwrap_or_default(),
            _ => chunks.concat().into(),
        }
    }

    fn share(&self) -> Self {
        self.clone()
    }

    fn adopt(bytes: Bytes) -> Self {
        bytes
    }
}

/// When a load began: by the log first, then by the clock. What began later is newer, whenever it ended.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Began {
    /// The position of the log.
    pub position: Position,
    /// The time of the request.
    pub request_time: Timestamp,
}

/// A stored response. Never changed; a freshened one is a new entry over the same body.
#[derive(Debug)]
pub struct Entry<B> {
    meta: PackedMeta,
    /// The log's position when the load began.
    pub position: Position,
    verified: AtomicU64,
    /// How often it was served here.
    hits: AtomicU32,
    extent: Extent,
    /// The key of the variant, where anything selects it.
    variant: Key,
    /// What selects it, if anything does; field lines; tags; what it answers to in the log, and the length of that.
    head: Box<[u8]>,
    body: B,
}

/// How much of an entry's head is field lines, and in the highest bits what else is to be known: an entry has no byte to
/// spare.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Extent(u32);

impl Extent {
    /// The most bytes of field lines; what is more is left out.
    const MOST: u32 = (1 << 29) - 1;
    /// The head begins with a selection.
    const SELECTED: u32 = 1 << 29;
    const PARTITIONED: u32 = 1 << 30;
    const SOFT: u32 = 1 << 31;

    fn new(fields_bytes: u32, partitioned: bool) -> Self {
        Self(fields_bytes.min(Self::MOST)).with(Self::PARTITIONED, partitioned)
    }

    fn with(self, flag: u32, set: bool) -> Self {
        Self(self.0 & !flag | if set { flag } else { 0 })
    }

    fn has(self, flag: u32) -> bool {
        self.0 & flag != 0
    }

    fn fields_bytes(self) -> u32 {
        self.0 & Self::MOST
    }
}

/// What an [`Entry`] is made of.
pub struct EntryParts<'a, F, B> {
    /// Status, times, lifetimes and flags.
    pub meta: StoredMeta,
    /// The log's position when the load began.
    pub position: Position,
    /// What it answers to in the log.
    pub footprint: Footprint,
    /// What of a request selects it among the responses of its primary key; `None` where nothing does.
    pub selection: Option<SelectionParts<'a>>,
    /// The field lines to keep, ordered. What is over 512 MiB is left out.
    pub fields: F,
    /// The tags.
    pub tags: &'a [String],
    /// Whether the key has a partition.
    pub partitioned: bool,
    /// The content.
    pub body: B,
}

impl<B> Entry<B> {
    /// Status, times, lifetimes and flags: all that reuse is decided by.
    #[must_use]
    #[inline]
    pub fn meta(&self) -> StoredMeta {
        self.meta.unpack()
    }

    /// As [`StoredMeta::ttl_millis`].
    #[must_use]
    #[inline]
    pub fn ttl_millis(&self, now: Timestamp) -> i64 {
        self.meta.ttl_millis(now)
    }

    /// As [`StoredMeta::is_fresh`].
    #[must_use]
    #[inline]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.ttl_millis(now) > 0
    }
}

impl<B: Body> Entry<B> {
    /// A stored response of these parts.
    pub fn new<'f>(parts: EntryParts<'_, impl Iterator<Item = (&'f [u8], &'f [u8])>, B>) -> Self {
        let mut head = Vec::with_capacity(512);
        let selected = parts.selection.is_some_and(|parts| selection::push(&mut head, parts));
        let fields_at = head.len();
        for (name, value) in parts.fields {
            let before = head.len();
            // More lines than can be counted are left out, as one such line is.
            if !lines::push_field(&mut head, name, value) || head.len() - fields_at > Extent::MOST as usize {
                head.truncate(before);
            }
        }
        let fields_bytes = u32::try_from(head.len() - fields_at).unwrap_or(Extent::MOST);
        for tag in parts.tags {
            lines::push_tag(&mut head, tag);
        }
        push_footprint(&mut head, &parts.footprint);
        Self {
            meta: parts.meta.into(),
            position: parts.position,
            verified: AtomicU64::new(parts.position.as_u64()),
            hits: AtomicU32::new(0),
            extent: Extent::new(fields_bytes, parts.partitioned).with(Extent::SELECTED, selected),
            variant: parts.selection.map_or(NO_VARIANT, |parts| parts.variant),
            head: head.into(),
            body: parts.body,
        }
    }

    /// What of a request selects it among the responses of its primary key; `None` where nothing does, or too much.
    #[must_use]
    pub fn selection(&self) -> Option<Selection<'_>> {
        self.extent.has(Extent::SELECTED).then(|| Selection::first(self.variant, &self.head)).flatten()
    }

    /// The field lines, in the order in which they came, repeated names kept.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = self.fields_block();
        std::iter::from_fn(move || {
            let (line, after) = lines::next_field(rest)?;
            rest = after;
            Some(line)
        })
    }

    /// The value of the first line of this (lower-case) name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields().find(|(own, _)| own.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// The entity tag, as it is written.
    #[must_use]
    pub fn etag(&self) -> Option<&[u8]> {
        self.meta().flags.contains(Flags::HAS_ETAG).then(|| self.field("etag")).flatten()
    }

    /// The tags.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        lines::tags(self.tags_block())
    }

    /// What it answers to in the log.
    #[must_use]
    pub fn footprint(&self) -> Targets<'_> {
        Targets::from_bytes(split_footprint(&self.head).1)
    }

    /// When its load began.
    #[must_use]
    pub fn began(&self) -> Began {
        Began { position: self.position, request_time: self.meta().request_time }
    }

    /// The content.
    #[must_use]
    pub fn body(&self) -> &B {
        &self.body
    }

    /// Whether the key has a partition.
    #[must_use]
    pub fn is_partitioned(&self) -> bool {
        self.extent.has(Extent::PARTITIONED)
    }

    /// Whether an invalidation had marked it stale before it came to this process.
    #[must_use]
    pub fn is_soft(&self) -> bool {
        self.extent.has(Extent::SOFT)
    }

    /// How often this process has served it.
    #[must_use]
    pub fn hits(&self) -> u32 {
        self.hits.load(Ordering::Relaxed)
    }

    /// It is served once more: so often by now.
    pub(crate) fn note_hit(&self) -> u32 {
        self.hits.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    /// The same entry with another lifetime, which begins now.
    pub(crate) fn living(mut self, ttl: std::time::Duration, now: Timestamp) -> Self {
        let mut meta = self.meta();
        meta.lifetime = ttl;
        meta.initial_age = std::time::Duration::ZERO;
        (meta.request_time, meta.response_time, meta.date) = (now, now, now);
        self.meta = meta.into();
        self
    }

    /// The same entry over another body.
    pub(crate) fn with_body<C>(&self, body: C) -> Entry<C> {
        Entry {
            meta: self.meta,
            position: self.position,
            verified: AtomicU64::new(self.verified.load(Ordering::Relaxed)),
            hits: AtomicU32::new(self.hits()),
            extent: self.extent,
            variant: self.variant,
            head: self.head.clone(),
            body,
        }
    }

    /// Up to which record of the log the entry is known to be usable; for [`crate::log::Log::standing_cached`].
    pub(crate) fn verified(&self) -> &AtomicU64 {
        &self.verified
    }

    /// What the entry takes in memory, in bytes, behind an `Arc`.
    #[must_use]
    pub fn weight(&self) -> u64 {
        let own = SHARED_BYTES + size_of::<Self>() + ALLOCATION_BYTES;
        let head = self.head.len() + ALLOCATION_BYTES;
        let body = self.body.as_slice().len() + self.body.overhead_bytes() + ALLOCATION_BYTES;
        (own + head + body) as u64
    }

    fn fields_block(&self) -> &[u8] {
        self.after_selection().get(..self.extent.fields_bytes() as usize).unwrap_or_default()
    }

    fn tags_block(&self) -> &[u8] {
        self.text().get(self.extent.fields_bytes() as usize..).unwrap_or_default()
    }

    /// Field lines and tags.
    fn text(&self) -> &[u8] {
        split_footprint(self.after_selection()).0
    }

    fn after_selection(&self) -> &[u8] {
        let text_at = if self.extent.has(Extent::SELECTED) { Selection::bytes(&self.head) } else { 0 };
        self.head.get(text_at..).unwrap_or_default()
    }
}

/// What it answers to, looked up only where it is needed.
impl<'a, B: Body> From<&'a Entry<B>> for Targets<'a> {
    fn from(entry: &'a Entry<B>) -> Self {
        entry.footprint()
    }
}

impl Entry<Bytes> {
    /// The entry of another process in this one: its body in this server's memory, to be checked by the own log from
    /// `position` on. `soft`: the log of all processes has marked it stale. `selection`: as in [`EntryParts`].
    #[must_use]
    pub fn landed<B: Body>(
        self,
        position: Position,
        soft: bool,
        selection: Option<SelectionParts<'_>>,
    ) -> Entry<B> {
        let (head, variant, selected) = match selection {
            Some(parts) => {
                let mut head = Vec::with_capacity(self.head.len() + 64);
                let selected = selection::push(&mut head, parts);
                head.extend_from_slice(self.after_selection());
                (head.into(), parts.variant, selected)
            }
            None => (self.head, self.variant, self.extent.has(Extent::SELECTED)),
        };
        Entry {
            meta: self.meta,
            position,
            verified: AtomicU64::new(position.as_u64()),
            hits: AtomicU32::new(0),
            extent: self.extent.with(Extent::SOFT, soft).with(Extent::SELECTED, selected),
            variant,
            head,
            body: B::adopt(self.body),
        }
    }
}

/// Appends a footprint and its length.
fn push_footprint(head: &mut Vec<u8>, footprint: &Footprint) {
    let targets = footprint.targets().as_bytes();
    // There is no footprint of 4 GiB.
    let length = u32::try_from(targets.len()).unwrap_or_default();
    head.extend_from_slice(targets);
    head.extend_from_slice(&length.to_ne_bytes());
}

/// What stands before the footprint of a head, and the footprint.
fn split_footprint(head: &[u8]) -> (&[u8], &[u8]) {
    let Some((rest, length)) = head.split_last_chunk::<LENGTH_BYTES>() else { return (head, &[]) };
    let at = rest.len().saturating_sub(u32::from_ne_bytes(*length) as usize);
    rest.split_at(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hotplate_policy::time::Timestamp;
    use std::time::Duration;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_000);

    fn entry(fields: &[(&str, &str)], tags: &[&str], flags: Flags) -> Entry<Bytes> {
        let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        Entry::new(EntryParts {
            meta: StoredMeta {
                status: 200,
                request_time: NOW,
                response_time: NOW,
                initial_age: Duration::ZERO,
                lifetime: Duration::from_secs(1),
                stale_while_revalidate: Duration::ZERO,
                stale_if_error: Duration::ZERO,
                flags,
                date: NOW,
                last_modified: None,
            },
            position: Position::from_u64(3),
            footprint: Footprint::default(),
            selection: None,
            fields: fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())),
            tags: &tags,
            partitioned: false,
            body: Bytes::from_static(b"hello"),
        })
    }

    #[test]
    fn repeated_names_keep_their_order_and_spelling() {
        let lines = [("link", "a"), ("x", "1"), ("Link", "b"), ("set-cookie", ""), ("set-cookie", "c")];
        let entry = entry(&lines, &[], Flags::default());
        let read: Vec<(&[u8], &[u8])> = entry.fields().collect();
        let written: Vec<(&[u8], &[u8])> =
            lines.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        assert_eq!(read, written);
        assert_eq!(entry.field("link"), Some(&b"a"[..]));
        assert_eq!(entry.field("missing"), None);
    }

    #[test]
    fn an_entity_tag_is_found_in_any_spelling_of_its_name() {
        assert_eq!(entry(&[("ETag", "\"a\"")], &[], Flags::HAS_ETAG).etag(), Some(&b"\"a\""[..]));
        assert_eq!(entry(&[("etag", "\"a\"")], &[], Flags::HAS_ETAG).etag(), Some(&b"\"a\""[..]));
        assert_eq!(entry(&[], &[], Flags::default()).etag(), None);
    }

    #[test]
    fn tags_are_kept_whatever_they_are_made_of() {
        let tags = ["", "product:42", "käse 🧀"];
        assert_eq!(entry(&[("a", "b")], &tags, Flags::default()).tags().collect::<Vec<_>>(), tags);
    }

    /// A size class of allocators: one byte more is a class more.
    #[test]
    fn all_but_its_head_and_its_body_takes_160_bytes() {
        assert_eq!(SHARED_BYTES + size_of::<Entry<Bytes>>(), 160);
    }

    #[test]
    fn a_value_of_64_kib_is_kept() {
        let long = "v".repeat(64 << 10);
        let entry = entry(&[("x-long", &long), ("etag", "\"a\"")], &[], Flags::HAS_ETAG);
        assert_eq!(entry.field("x-long"), Some(long.as_bytes()));
        assert!(entry.etag().is_some() && entry.weight() > 64 << 10);
    }

    #[test]
    fn chunks_are_joined_in_order_and_one_is_not_copied() {
        let one = Bytes::from(vec![1; 100]);
        let pointer = one.as_ptr();
        assert_eq!(Bytes::join(vec![one]).as_ptr(), pointer);
        assert_eq!(Bytes::join(vec!["ab".into(), "".into(), "c".into()]), "abc");
        assert_eq!(Bytes::join(vec![]), "");
    }
}
