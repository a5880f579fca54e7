//! The local tier: stored responses in this process, bounded in bytes.
//!
//! Synchronous and infallible. Admission and eviction are those of `quick_cache` (S3-FIFO class: a key that is
//! asked for once does not push out one that is asked for often), hidden here so that they can change.
//!
//! # Weight
//!
//! What counts against the bound is what an entry really takes: the response with its head, body and footprint
//! ([`Entry::weight`]), and [`INDEX_BYTES`] for its place in the index.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hotplate_policy::no_vary_search::SearchVariance;
use hotplate_policy::time::Timestamp;
use quick_cache::sync::Cache;
use quick_cache::{Lifecycle, OptionsBuilder, Weighter};

use crate::entry::{Began, Body, Entry};
use crate::ghosts::Ghosts;
use crate::key::{Key, Spreading};
use crate::laying_out::LayingOut;

/// What the index takes for one entry, ghosts of evicted keys included; measured by `tests/memory.rs`.
pub const INDEX_BYTES: u64 = 112;

/// What a record of which query parameters matter is taken to weigh; the names in it are few and short.
const SEARCH_BYTES: u64 = 512;

/// The most variants one key keeps. Whoever sends made-up values of a selecting field fills this and no more.
pub const MOST_VARIANTS: usize = 64;

/// An entry of this size is expected when the memory of evicted keys is laid out: one key is remembered for two such
/// entries. More of them cost room; with far fewer, long scans push out what is asked for often. Where entries are
/// larger, [`Ghosts`] sees to it that no more keys are remembered than that is good for.
const EXPECTED_ENTRY_BYTES: u64 = 2 << 10;

/// The table is laid out when one in so many of the expected entries is there: how many come is a guess.
const LAID_OUT_AT: usize = 4;

/// The part of a shard that entries which are asked for often may fill; one entry is at most that large.
const OFTEN_USED_PART: f64 = 0.97;

/// What stands under a key.
#[derive(Debug)]
pub enum Slot<B> {
    /// A stored response.
    Response(Arc<Entry<B>>),
    /// The only response of a primary key, for the requests that its selection names.
    Sole(Arc<Entry<B>>),
    /// Responses are stored under the keys of their variants.
    Vary(Arc<VaryRecord>),
    /// Responses are stored under the significant part of their query (`No-Vary-Search`).
    Search(Arc<SearchVariance>),
    /// The last answer could not be stored: nobody waits for this key until then.
    HitForMiss {
        /// End of the memory.
        until: Timestamp,
    },
}

impl<B> Clone for Slot<B> {
    fn clone(&self) -> Self {
        match self {
            Self::Response(entry) => Self::Response(Arc::clone(entry)),
            Self::Sole(entry) => Self::Sole(Arc::clone(entry)),
            Self::Vary(record) => Self::Vary(Arc::clone(record)),
            Self::Search(variance) => Self::Search(Arc::clone(variance)),
            Self::HitForMiss { until } => Self::HitForMiss { until: *until },
        }
    }
}

/// Which request fields select between the variants of a key, and which variants there are (RFC 9111 §4.1).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VaryRecord {
    names: Box<[Box<str>]>,
    variants: Vec<Key>,
    latest: Began,
}

impl VaryRecord {
    /// A record without variants. `names`: lower case, sorted, each once.
    #[must_use]
    pub fn new(names: Vec<Box<str>>) -> Self {
        Self { names: names.into(), variants: Vec::new(), latest: Began::default() }
    }

    /// The record with a response as its only variant; `None` where no field selects it.
    pub(crate) fn of_sole<B: Body>(entry: &Entry<B>) -> Option<Self> {
        let selection = entry.selection()?;
        let names = selection.names().map(Box::from).collect();
        Some(Self { names, variants: vec![selection.variant()], latest: entry.began() })
    }

    /// The record when nothing is stored for it any more.
    pub(crate) fn without_variants(self) -> Self {
        Self { variants: Vec::new(), ..self }
    }

    /// The selecting fields.
    #[must_use]
    pub fn names(&self) -> &[Box<str>] {
        &self.names
    }

    /// The keys of the variants, the newest last.
    #[must_use]
    pub fn variants(&self) -> &[Key] {
        &self.variants
    }

    /// When the newest load began that wrote the record.
    #[must_use]
    pub fn latest(&self) -> Began {
        self.latest
    }

    /// The record with one more variant, and the variants that have to go for it: the oldest beyond
    /// [`MOST_VARIANTS`].
    #[must_use]
    pub fn with(&self, variant: Key, began: Began) -> (Self, Vec<Key>) {
        let mut record = self.clone();
        record.latest = record.latest.max(began);
        record.variants.retain(|known| *known != variant);
        record.variants.push(variant);
        let surplus = record.variants.len().saturating_sub(MOST_VARIANTS);
        let dropped = record.variants.drain(..surplus).collect();
        (record, dropped)
    }

    fn weight(&self) -> u64 {
        let names: usize = self.names.iter().map(|name| name.len() + 24).sum();
        (names + self.variants.capacity() * 16 + 80) as u64
    }
}

/// Stored responses of this process, at most so many bytes of them.
pub struct LocalTier<B> {
    slots: Cache<Place, Slot<B>, ByWeight, Spreading, Evictions>,
    evicted: Arc<Evicted>,
    most_for_one: u64,
    laying_out: LayingOut,
}

impl<B: Body> LocalTier<B> {
    /// An empty tier for at most `max_bytes`, index included.
    ///
    /// One entry may take about `max_bytes` up to 64 MiB, and at least 24 MiB above; a larger one is refused by
    /// [`LocalTier::insert`].
    #[must_use]
    pub fn new(max_bytes: u64) -> Self {
        // Each shard has its part of the bound, and an entry must fit into one: few shards for small caches.
        let shards = usize::try_from(max_bytes >> 25).unwrap_or(usize::MAX).clamp(1, 16).next_power_of_two();
        let estimated =
            usize::try_from(max_bytes / EXPECTED_ENTRY_BYTES).unwrap_or(usize::MAX).clamp(64, 1 << 20);
        let ghosts = Ghosts::new(max_bytes, estimated);
        let heavy = ghosts.heavy();
        let evicted = Arc::new(Evicted { count: AtomicU64::new(0), heavy, ghosts: Mutex::new(ghosts) });
        let lifecycle = Evictions(Arc::clone(&evicted));
        let spreading = Spreading::default();
        let slots = match OptionsBuilder::new()
            .estimated_items_capacity(estimated)
            .weight_capacity(max_bytes)
            .hot_allocation(OFTEN_USED_PART)
            .ghost_allocation(0.5)
            .shards(shards)
            .build()
        {
            Ok(options) => Cache::with_options(options, ByWeight, spreading, lifecycle),
            Err(_) => Cache::with(estimated, max_bytes, ByWeight, spreading, lifecycle),
        };
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let most_for_one = (slots.shard_capacity() as f64 * OFTEN_USED_PART) as u64;
        Self { slots, evicted, most_for_one, laying_out: LayingOut::at_once(estimated, LAID_OUT_AT) }
    }

    /// What stands under `key`. Counts as a use of it.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Slot<B>> {
        self.slots.get(&Place::of(*key))
    }

    /// What stands under `key`, without using it.
    #[must_use]
    pub fn peek(&self, key: &Key) -> Option<Slot<B>> {
        self.slots.peek(&Place::of(*key))
    }

    /// Shows every stored response and its own key, that of its variant where request fields select it. What comes or
    /// goes meanwhile is shown or not.
    pub fn for_each_response(&self, mut show: impl FnMut(Key, &Arc<Entry<B>>)) {
        for (place, slot) in self.slots.iter() {
            match slot {
                Slot::Response(entry) => show(place.key(), &entry),
                Slot::Sole(entry) => {
                    let selection = entry.selection();
                    show(selection.map_or_else(|| place.key(), |selection| selection.variant()), &entry);
                }
                Slot::Vary(_) | Slot::Search(_) | Slot::HitForMiss { .. } => {}
            }
        }
    }

    /// Puts a slot under `key`, in place of what stood there. Returns whether it is there now: what exceeds the room
    /// for one entry is refused, and what stood there before goes too, because it is older.
    pub fn insert(&self, key: Key, slot: Slot<B>) -> bool {
        let place = Place::of(key);
        let weight = ByWeight.weight(&place, &slot);
        if weight > self.most_for_one {
            self.slots.remove(&place);
            return false;
        }
        self.slots.insert(place, slot);
        if let Some(more) = self.laying_out.inserted(|| self.slots.len()) {
            self.slots.reserve(more);
        }
        if weight >= self.evicted.heavy {
            self.forget_surplus();
        }
        true
    }

    /// Forgets evicted keys that are remembered for longer than heavy entries should be.
    fn forget_surplus(&self) {
        loop {
            // Unlocked before a shard is locked: those who evict lock in the other order.
            let surplus = self.evicted.ghosts().pop_surplus();
            let Some(place) = surplus else { break };
            // A key that is back has no memory to be forgotten. If it comes back right here, it goes again, as if evicted.
            if self.slots.peek(&place).is_none() {
                self.slots.remove(&place);
            }
        }
    }

    /// Takes away what stands under `key`.
    pub fn remove(&self, key: &Key) {
        self.slots.remove(&Place::of(*key));
    }

    /// Takes away everything.
    pub fn clear(&self) {
        self.slots.clear();
        self.evicted.ghosts().clear();
    }

    /// How many slots there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// What they weigh, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.slots.weight()
    }

    /// How many slots were dropped for room since the tier was made.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        self.evicted.count.load(Ordering::Relaxed)
    }
}

#[derive(Clone, Debug)]
struct ByWeight;

impl<B: Body> Weighter<Place, Slot<B>> for ByWeight {
    fn weight(&self, _: &Place, slot: &Slot<B>) -> u64 {
        INDEX_BYTES
            + match slot {
                Slot::Response(entry) | Slot::Sole(entry) => entry.weight(),
                Slot::Vary(record) => record.weight(),
                Slot::Search(_) => SEARCH_BYTES,
                Slot::HitForMiss { .. } => 0,
            }
    }
}

/// What went for room.
struct Evicted {
    count: AtomicU64,
    /// From this weight on an entry's key is listed among the ghosts.
    heavy: u64,
    ghosts: Mutex<Ghosts<Place>>,
}

impl Evicted {
    fn ghosts(&self) -> MutexGuard<'_, Ghosts<Place>> {
        self.ghosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts what goes for room, and keeps it until the shard is unlocked: freeing a body may take long.
#[derive(Clone)]
struct Evictions(Arc<Evicted>);

/// What one insertion pushes out: mostly one slot, and then nothing is allocated for it.
struct Removed<B> {
    first: Option<Slot<B>>,
    further: Vec<Slot<B>>,
    /// What is told next goes for room, and is not replaced.
    is_evicted: bool,
}

impl<B> Default for Removed<B> {
    fn default() -> Self {
        Self { first: None, further: Vec::new(), is_evicted: false }
    }
}

impl<B: Body> Lifecycle<Place, Slot<B>> for Evictions {
    type RequestState = Removed<B>;

    // `on_evict` is called for replaced slots too; those did not go for room.
    fn before_evict(&self, removed: &mut Removed<B>, _: &Place, _: &mut Slot<B>) {
        self.0.count.fetch_add(1, Ordering::Relaxed);
        removed.is_evicted = true;
    }

    fn on_evict(&self, removed: &mut Removed<B>, _: Place, slot: Slot<B>) {
        removed.is_evicted = false;
        if removed.first.is_none() {
            removed.first = Some(slot);
        } else {
            removed.further.push(slot);
        }
    }

    /// Only what was not asked for often is remembered.
    fn on_evict_cold(&self, removed: &mut Removed<B>, place: Place, slot: Slot<B>) {
        let weight = ByWeight.weight(&place, &slot);
        if removed.is_evicted && weight >= self.0.heavy {
            self.0.ghosts().push(place, weight);
        }
        self.on_evict(removed, place, slot);
    }
}

/// A key in the index: two halves, because a `u128` is aligned to 16 bytes and would make each place larger.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Place {
    low: u64,
    high: u64,
}

impl Place {
    #[allow(clippy::cast_possible_truncation, reason = "halves of a number are what is wanted")]
    fn of(key: Key) -> Self {
        let number = key.as_u128();
        Self { low: number as u64, high: (number >> 64) as u64 }
    }

    fn key(self) -> Key {
        Key::from_u128(u128::from(self.high) << 64 | u128::from(self.low))
    }
}

impl<B: Body> fmt::Debug for LocalTier<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalTier")
            .field("len", &self.len())
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against a map that forgets nothing: what is found is what was put last, and there is never too much.
        #[test]
        fn nothing_is_found_that_was_not_put_last(
            operations in proptest::collection::vec((0_u8..10, 0_u128..300, any::<i64>()), 0..600)
        ) {
            const MOST: u64 = 16 << 10;
            let tier = LocalTier::<bytes::Bytes>::new(MOST);
            let mut put = HashMap::new();
            for (what, number, until) in operations {
                let key = Key::from_u128(number << 64 | number);
                match what {
                    0 => {
                        tier.remove(&key);
                        put.remove(&key);
                    }
                    1 if number == 0 => {
                        tier.clear();
                        put.clear();
                    }
                    1..=6 => {
                        let until = Timestamp::from_unix_millis(until);
                        let there = tier.insert(key, Slot::HitForMiss { until });
                        prop_assert!(there);
                        put.insert(key, until);
                    }
                    _ => {
                        let found = tier.get(&key).map(|slot| match slot {
                            Slot::HitForMiss { until } => until,
                            _ => panic!("never put"),
                        });
                        prop_assert!(found.is_none() || found == put.get(&key).copied());
                    }
                }
                prop_assert!(tier.bytes() <= MOST && tier.len() <= put.len());
            }
        }
    }

    fn held(until: i64) -> Slot<bytes::Bytes> {
        Slot::HitForMiss { until: Timestamp::from_unix_seconds(until) }
    }

    #[test]
    fn what_was_put_is_found_until_it_is_taken_away() {
        let tier = LocalTier::new(1 << 20);
        let key = Key::from_u128(1);
        assert!(tier.get(&key).is_none());
        assert!(tier.insert(key, held(5)));
        assert!(matches!(tier.get(&key), Some(Slot::HitForMiss { .. })));
        tier.remove(&key);
        assert!(tier.get(&key).is_none() && tier.is_empty());
        tier.insert(key, held(5));
        tier.clear();
        assert_eq!((tier.len(), tier.bytes()), (0, 0));
    }

    #[test]
    fn more_than_fits_is_evicted_and_counted() {
        let tier = LocalTier::new(64 << 10);
        for number in 0..10_000_u32 {
            let spread = u128::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
            tier.insert(Key::from_u128(spread), held(5));
        }
        assert!(tier.bytes() <= 64 << 10);
        assert!(tier.evictions() > 9_000, "{}", tier.evictions());
    }

    #[test]
    fn what_is_replaced_is_not_counted_as_evicted() {
        let tier = LocalTier::new(1 << 20);
        for until in 0..10 {
            tier.insert(Key::from_u128(1), held(until));
        }
        assert_eq!((tier.len(), tier.evictions()), (1, 0));
        tier.remove(&Key::from_u128(1));
        assert_eq!(tier.evictions(), 0);
    }

    #[test]
    fn a_slot_too_large_is_refused_and_takes_the_older_one_with_it() {
        let tier = LocalTier::new(4 << 10);
        let key = Key::from_u128(1);
        let record = |names: usize| {
            let names = (0..names).map(|number| format!("x-{number}").into()).collect();
            Slot::<bytes::Bytes>::Vary(Arc::new(VaryRecord::new(names)))
        };
        assert!(tier.insert(key, record(1)));
        assert!(!tier.insert(key, record(1_000)));
        assert!(tier.get(&key).is_none() && tier.bytes() == 0);
        let mut names = 1;
        while tier.insert(key, record(names)) {
            assert!(tier.get(&key).is_some(), "{names}: what insert takes is there");
            names += 1;
        }
        assert!(names > 50);
    }

    #[test]
    fn a_heavy_slot_that_went_long_ago_is_forgotten() {
        let names = (0..500).map(|number| format!("x-{number}").into()).collect();
        let record = Arc::new(VaryRecord::new(names));
        let weight =
            ByWeight.weight(&Place::of(Key::from_u128(0)), &Slot::<bytes::Bytes>::Vary(record.clone()));
        for (back, is_remembered) in [(100_u64..150, false), (350..400, true)] {
            let tier = LocalTier::<bytes::Bytes>::new(64 * weight);
            let key = |number: u64| Key::from_u128(u128::from(number));
            let heavy = |number| tier.insert(key(number), Slot::Vary(Arc::clone(&record)));
            // The first fill the room; of those after them, the last one stays.
            assert!((0..400).all(heavy));
            assert!(back.rev().all(heavy));
            let left = (0..60).filter(|number| tier.get(&key(*number)).is_some()).count();
            assert_eq!(left < 40, is_remembered, "{left}");
        }
    }

    #[test]
    fn a_record_keeps_the_newest_variants() {
        let mut record = VaryRecord::new(vec!["accept".into()]);
        for number in 0..MOST_VARIANTS as u128 {
            let (next, dropped) = record.with(Key::from_u128(number), Began::default());
            assert!(dropped.is_empty());
            record = next;
        }
        let (record, dropped) = record.with(Key::from_u128(1), Began::default());
        assert!(dropped.is_empty(), "known already");
        let (_, dropped) = record.with(Key::from_u128(1000), Began::default());
        assert_eq!(dropped, [Key::from_u128(0)]);
    }
}
