//! Entries under indexes, within two bounds. Not shared, and not locked: that is [`super::Objects`]'s.
//!
//! `quick_cache` knows one bound, of weight. Where there is one of number beside it, a slot that is no entry is made so
//! heavy that the policy evicts one entry for it, and is taken away again. While there is room by weight, everything is taken
//! to be asked for often; so where number is what binds, the policy is that of a clock.

use std::hash::{BuildHasher, Hasher, RandomState};

use quick_cache::unsync::Cache;
use quick_cache::{Lifecycle, OptionsBuilder, Weighter};

use super::{Bounds, Moment, Stored};

/// The index of the slot that is no entry.
const BALLAST: u64 = u64::MAX;

/// An entry of this weight is expected when the memory of evicted indexes is laid out.
const EXPECTED_WEIGHT: u64 = 1 << 10;

/// The part of the bound that entries which are asked for often may fill; one entry may be that heavy.
const OFTEN_USED_PART: f64 = 0.97;

/// One entry.
pub(super) struct Slot<K, V> {
    pub(super) key: K,
    pub(super) value: V,
    pub(super) end: Moment,
    weight: u64,
}

impl<K, V> Slot<K, V> {
    pub(super) fn new(key: K, stored: Stored<V>) -> Self {
        Self { key, value: stored.value, end: stored.end, weight: stored.weight.max(1) }
    }
}

/// What stands under an index of `quick_cache`.
enum Place<K, V> {
    Entry(Slot<K, V>),
    Ballast(u64),
}

impl<K, V> Place<K, V> {
    fn entry(&self) -> Option<&Slot<K, V>> {
        match self {
            Self::Entry(slot) => Some(slot),
            Self::Ballast(_) => None,
        }
    }
}

/// What one insertion pushes out: mostly one entry, and then nothing is allocated for it. To be dropped without a lock.
pub(super) struct Displaced<K, V> {
    first: Option<Slot<K, V>>,
    further: Vec<Slot<K, V>>,
    evicted: u64,
}

impl<K, V> Displaced<K, V> {
    fn push(&mut self, slot: Slot<K, V>) {
        if self.first.is_none() {
            self.first = Some(slot);
        } else {
            self.further.push(slot);
        }
    }
}

impl<K, V> Default for Displaced<K, V> {
    fn default() -> Self {
        Self { first: None, further: Vec::new(), evicted: 0 }
    }
}

pub(super) struct Slots<K, V> {
    places: Cache<u64, Place<K, V>, ByWeight, Mixing, Evictions>,
    most_entries: usize,
    most_for_one: u64,
    has_ballast: bool,
    have_ends: bool,
    evictions: u64,
}

impl<K, V> Slots<K, V> {
    pub(super) fn new(bounds: Bounds) -> Self {
        let most_entries = bounds.entries.map_or(usize::MAX, |entries| entries.max(1) as usize);
        let by_number = bounds.weight.is_none();
        let capacity = bounds.weight.unwrap_or(most_entries as u64).max(1);
        let expected = usize::try_from(capacity / EXPECTED_WEIGHT).unwrap_or(usize::MAX).clamp(64, 1 << 20);
        let estimated = if by_number { most_entries } else { expected.min(most_entries) };
        let (weighter, hashing) = (ByWeight { by_number }, Mixing::new());
        let places = match OptionsBuilder::new()
            .estimated_items_capacity(estimated)
            .weight_capacity(capacity)
            .hot_allocation(OFTEN_USED_PART)
            .ghost_allocation(0.5)
            .build()
        {
            Ok(options) => Cache::with_options(options, weighter, hashing, Evictions),
            Err(_) => Cache::with(estimated, capacity, weighter, hashing, Evictions),
        };
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let most_for_one = ((capacity as f64 * OFTEN_USED_PART) as u64).max(1);
        Self { places, most_entries, most_for_one, has_ballast: !by_number, have_ends: false, evictions: 0 }
    }

    pub(super) fn get(&self, index: u64) -> Option<&Slot<K, V>> {
        self.places.get(&place(index)).and_then(Place::entry)
    }

    pub(super) fn peek(&self, index: u64) -> Option<&Slot<K, V>> {
        self.places.peek(&place(index)).and_then(Place::entry)
    }

    /// Returns whether the entry is there now, and what has to be dropped for it.
    pub(super) fn insert(&mut self, index: u64, slot: Slot<K, V>) -> (bool, Displaced<K, V>) {
        let mut displaced = Displaced::default();
        if self.has_ballast && slot.weight > self.most_for_one {
            displaced.push(slot);
            if let Some((_, Place::Entry(older))) = self.places.remove(&place(index)) {
                displaced.push(older);
            }
            return (false, displaced);
        }
        self.have_ends |= slot.end != Moment::NEVER;
        // Before, not after: the newest is not to be the one that goes.
        if self.has_ballast && self.len() >= self.most_entries && self.peek(index).is_none() {
            let heavy = self.places.capacity() + 1 - self.places.weight();
            self.places.insert_with_lifecycle(BALLAST, Place::Ballast(heavy), &mut displaced);
            self.places.remove(&BALLAST);
        }
        self.places.insert_with_lifecycle(place(index), Place::Entry(slot), &mut displaced);
        self.evictions += displaced.evicted;
        (true, displaced)
    }

    pub(super) fn remove(&mut self, index: u64) -> Option<(K, V)> {
        match self.places.remove(&place(index)) {
            Some((_, Place::Entry(slot))) => Some((slot.key, slot.value)),
            _ => None,
        }
    }

    /// All entries, to be dropped without a lock.
    pub(super) fn drain(&mut self) -> Vec<(K, V)> {
        self.have_ends = false;
        let places = self.places.drain().map(|(_, place)| place);
        places
            .filter_map(|place| match place {
                Place::Entry(slot) => Some((slot.key, slot.value)),
                Place::Ballast(_) => None,
            })
            .collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Slot<K, V>> {
        self.places.iter().filter_map(|(_, place)| place.entry())
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The sum of the entries' weights.
    pub(super) fn weight(&self) -> u64 {
        if self.has_ballast { self.places.weight() } else { self.iter().map(|slot| slot.weight).sum() }
    }

    /// Whether any entry since the last [`Slots::drain`] was given an end.
    pub(super) fn have_ends(&self) -> bool {
        self.have_ends
    }

    /// Entries that went for room.
    pub(super) fn evictions(&self) -> u64 {
        self.evictions
    }
}

fn place(index: u64) -> u64 {
    if index == BALLAST { BALLAST - 1 } else { index }
}

#[derive(Clone, Debug)]
struct ByWeight {
    by_number: bool,
}

impl<K, V> Weighter<u64, Place<K, V>> for ByWeight {
    fn weight(&self, _: &u64, place: &Place<K, V>) -> u64 {
        match place {
            Place::Entry(slot) => {
                if self.by_number {
                    1
                } else {
                    slot.weight
                }
            }
            Place::Ballast(weight) => *weight,
        }
    }
}

/// Keeps what goes until nothing is locked any more, and counts what goes for room.
#[derive(Clone, Debug)]
struct Evictions;

impl<K, V> Lifecycle<u64, Place<K, V>> for Evictions {
    type RequestState = Displaced<K, V>;

    /// The ballast may be heavier than an entry.
    fn is_pinned(&self, _: &u64, place: &Place<K, V>) -> bool {
        matches!(place, Place::Ballast(_))
    }

    // `on_evict` is called for replaced entries too; those did not go for room.
    fn before_evict(&self, displaced: &mut Displaced<K, V>, _: &u64, _: &mut Place<K, V>) {
        displaced.evicted += 1;
    }

    fn on_evict(&self, displaced: &mut Displaced<K, V>, _: u64, place: Place<K, V>) {
        if let Place::Entry(slot) = place {
            displaced.push(slot);
        }
    }
}

/// Mixes an index with numbers of this cache: a hash of Python is mostly the number itself, and anybody can compute it.
#[derive(Clone, Debug)]
struct Mixing {
    added: u64,
    factor: u64,
}

impl Mixing {
    fn new() -> Self {
        let random = RandomState::new();
        Self { added: random.hash_one(0), factor: random.hash_one(1) | 1 }
    }
}

impl BuildHasher for Mixing {
    type Hasher = Mixed;

    fn build_hasher(&self) -> Mixed {
        Mixed { number: self.added, factor: self.factor }
    }
}

struct Mixed {
    number: u64,
    factor: u64,
}

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        let product = u128::from(self.number) * u128::from(self.factor);
        #[allow(clippy::cast_possible_truncation, reason = "halves of a number are what is wanted")]
        let (low, high) = (product as u64, (product >> 64) as u64);
        low ^ high
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.number = self.number.rotate_left(32) ^ number;
    }
}
