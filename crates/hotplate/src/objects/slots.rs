//! Entries under indexes, within two bounds. Not shared, and not locked: that is [`super::Objects`]'s.
//!
//! `quick_cache` knows one bound, of weight. Where there is one of number beside it, two slots are made that are no entries:
//!
//! * the *push* is so heavy that the policy evicts one entry for it, and is taken away again: that holds the number;
//! * the *ballast* stays. It weighs what number leaves unused of the room by weight, so that the part of the room for what
//!   is asked for often is a part of the room there really is. Without it everything is taken to be asked for often,
//!   because there is always room by weight, and the policy is no better than that of a clock.
//!
//! The ballast follows the entries' weight in steps, because each costs a search.

use std::hash::{BuildHasher, Hasher, RandomState};

use quick_cache::unsync::Cache;
use quick_cache::{Lifecycle, OptionsBuilder, Weighter};

use super::{Bounds, Moment, Stored};
use crate::laying_out::LayingOut;

/// The index of the slot that fills the room which number leaves unused.
const BALLAST: u64 = u64::MAX;

/// The index of the slot that pushes an entry out.
const PUSH: u64 = u64::MAX - 1;

/// An entry of this weight is expected when the memory of evicted indexes is laid out.
const EXPECTED_WEIGHT: u64 = 1 << 10;

/// What weighs nothing is in no list of `quick_cache`'s.
const LEAST_BALLAST: u64 = 1;

/// The part of the bound that entries which are asked for often may fill; one entry may be that heavy.
const OFTEN_USED_PART: f64 = 0.97;

/// The table is laid out when one in so many entries is there. How many there may be was said in numbers, so most caches come
/// to be full.
const LAID_OUT_AT: usize = 32;

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
    NoEntry(u64),
}

impl<K, V> Place<K, V> {
    fn entry(&self) -> Option<&Slot<K, V>> {
        match self {
            Self::Entry(slot) => Some(slot),
            Self::NoEntry(_) => None,
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
    by_number: bool,
    most_for_one: u64,
    /// What entries that are asked for often and the ballast may weigh.
    most_often_used: u64,
    /// What the ballast weighs, where there is one: at least 1.
    ballast: Option<u64>,
    have_ends: bool,
    evictions: u64,
    /// Where the number of entries is known beforehand.
    laying_out: Option<LayingOut>,
}

impl<K, V> Slots<K, V> {
    pub(super) fn new(bounds: Bounds) -> Self {
        let most_entries = bounds.entries.map_or(usize::MAX, |entries| entries.max(1) as usize);
        let by_number = bounds.weight.is_none();
        let room = bounds.weight.unwrap_or(most_entries as u64).max(1);
        let expected = usize::try_from(room / EXPECTED_WEIGHT).unwrap_or(usize::MAX).clamp(64, 1 << 20);
        let estimated = if by_number { most_entries } else { expected.min(most_entries) };
        let (weighter, hashing) = (ByWeight { by_number }, Mixing::new());
        let ballast = (bounds.entries.is_some() && !by_number).then_some(LEAST_BALLAST);
        let capacity = room.saturating_add(ballast.unwrap_or(0));
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
        let (most_for_one, most_often_used) = (often_used_part(room), often_used_part(capacity));
        let (have_ends, evictions) = (false, 0);
        let mut slots = Self {
            places,
            most_entries,
            by_number,
            most_for_one,
            most_often_used,
            ballast,
            have_ends,
            evictions,
            laying_out: by_number.then(|| LayingOut::in_steps(most_entries, LAID_OUT_AT)),
        };
        slots.lay_ballast();
        slots
    }

    /// Into empty places: then it is taken to be asked for often, and stays so.
    fn lay_ballast(&mut self) {
        if let Some(weight) = &mut self.ballast {
            *weight = LEAST_BALLAST;
            self.places.insert(BALLAST, Place::NoEntry(LEAST_BALLAST));
        }
    }

    /// Makes room for an entry of this weight, and the ballast as heavy as it should be beside it.
    #[cold]
    fn make_room(&mut self, ballast: u64, index: u64, added: u64, displaced: &mut Displaced<K, V>) {
        let older = self.peek(index).map(|older| older.weight);
        let is_full = older.is_none() && self.len() >= self.most_entries;
        if is_full {
            // Before the entry comes, not after: the newest is not to be the one that goes.
            let heavy = self.places.capacity() - self.places.weight() + 1;
            self.places.insert_with_lifecycle(PUSH, Place::NoEntry(heavy), displaced);
            self.places.remove(&PUSH);
        }
        let entries = (self.weight() - older.unwrap_or(0)).saturating_add(added);
        self.trim_ballast(ballast, entries, is_full);
    }

    /// Makes the ballast as heavy as it should be beside entries of that weight in all. It grows only where number binds.
    fn trim_ballast(&mut self, ballast: u64, entries: u64, may_grow: bool) {
        let unused = (self.places.capacity() - LEAST_BALLAST).saturating_sub(entries);
        let often_used = entries - entries / 32;
        let wanted =
            self.most_often_used.saturating_sub(often_used).clamp(LEAST_BALLAST, LEAST_BALLAST + unused);
        let step = entries / 64;
        let is_too_heavy = ballast > wanted + step || ballast > LEAST_BALLAST + unused;
        if is_too_heavy || (may_grow && wanted > ballast + step) {
            if let Some(mut place) = self.places.peek_mut(&BALLAST) {
                *place = Place::NoEntry(wanted);
            }
            self.ballast = Some(wanted);
        }
    }

    #[inline]
    pub(super) fn get(&self, index: u64) -> Option<&Slot<K, V>> {
        self.places.get(&place(index)).and_then(Place::entry)
    }

    pub(super) fn peek(&self, index: u64) -> Option<&Slot<K, V>> {
        self.places.peek(&place(index)).and_then(Place::entry)
    }

    /// Returns whether the entry is there now, and what has to be dropped for it.
    pub(super) fn insert(&mut self, index: u64, slot: Slot<K, V>) -> (bool, Displaced<K, V>) {
        let mut displaced = Displaced::default();
        if !self.by_number && slot.weight > self.most_for_one {
            displaced.push(slot);
            if let Some((_, Place::Entry(older))) = self.places.remove(&place(index)) {
                displaced.push(older);
            }
            return (false, displaced);
        }
        self.have_ends |= slot.end != Moment::NEVER;
        if let Some(ballast) = self.ballast {
            self.make_room(ballast, index, slot.weight, &mut displaced);
        }
        self.places.insert_with_lifecycle(place(index), Place::Entry(slot), &mut displaced);
        self.evictions += displaced.evicted;
        let places = &mut self.places;
        if let Some(more) =
            self.laying_out.as_ref().and_then(|laying_out| laying_out.inserted(|| places.len()))
        {
            places.reserve(more);
        }
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
        let drained = places
            .filter_map(|place| match place {
                Place::Entry(slot) => Some((slot.key, slot.value)),
                Place::NoEntry(_) => None,
            })
            .collect();
        self.lay_ballast();
        drained
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Slot<K, V>> {
        self.places.iter().filter_map(|(_, place)| place.entry())
    }

    pub(super) fn len(&self) -> usize {
        self.places.len() - usize::from(self.ballast.is_some())
    }

    /// The sum of the entries' weights.
    pub(super) fn weight(&self) -> u64 {
        if self.by_number {
            return self.iter().map(|slot| slot.weight).sum();
        }
        self.places.weight() - self.ballast.unwrap_or(0)
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

/// As `quick_cache` computes it.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn often_used_part(room: u64) -> u64 {
    ((room as f64 * OFTEN_USED_PART) as u64).max(1)
}

fn place(index: u64) -> u64 {
    index.min(PUSH - 1)
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
            Place::NoEntry(weight) => *weight,
        }
    }
}

/// Keeps what goes until nothing is locked any more, and counts what goes for room.
#[derive(Clone, Debug)]
struct Evictions;

impl<K, V> Lifecycle<u64, Place<K, V>> for Evictions {
    type RequestState = Displaced<K, V>;

    /// It may be heavier than an entry, and never goes for one.
    fn is_pinned(&self, _: &u64, place: &Place<K, V>) -> bool {
        matches!(place, Place::NoEntry(_))
    }

    // `on_evict` is called for replaced entries too; those did not go for room.
    fn before_evict(&self, displaced: &mut Displaced<K, V>, _: &u64, _: &mut Place<K, V>) {
        displaced.evicted += 1;
    }

    #[inline]
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
