//! Objects in this process: found by the hash of their key, bounded by number and by weight, each with an end.
//!
//! Generic over keys and values, because it never looks at either: an entry stands under a 64-bit *index*, and one
//! index has one entry. Whether the key that stands there is the key that was asked for is for the caller to find out,
//! *after* the lock is released: comparing keys may be a program of its own, which may come back here.
//!
//! * No key or value is compared, cloned, hashed or dropped while the lock is held. The closures that are given to
//!   [`Objects::get`] and the like run under it: they copy a reference, and nothing else.
//! * Time is told: a [`Moment`] is nanoseconds on any scale, as long as it is always the same.
//! * Admission and eviction are those of `quick_cache` (S3-FIFO class), hidden here so that they can change.
//! * One load for each index ([`Objects::begin`]): what was loaded is stored only if nobody wrote, removed or cleared
//!   the entry meanwhile. How one waits for a load is the caller's.

mod slots;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use self::slots::{Slot, Slots};

/// A point in time, in nanoseconds on the scale of whoever tells the time.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Moment(u64);

impl Moment {
    /// The end of what has none.
    pub const NEVER: Self = Self(u64::MAX);

    /// That many nanoseconds after the scale's zero.
    #[must_use]
    pub fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// That much later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// How much there may be. At least one of the two bounds is a number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounds {
    /// Entries.
    pub entries: Option<u32>,
    /// The sum of their weights.
    pub weight: Option<u64>,
}

/// What is stored, beside its key.
#[derive(Clone, Copy, Debug)]
pub struct Stored<V> {
    /// The value.
    pub value: V,
    /// What it weighs; at least 1 is counted.
    pub weight: u64,
    /// From when on it is not there any more.
    pub end: Moment,
}

/// What happened since the cache was made, and what there is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Numbers {
    /// Calls of [`Objects::get`] that found something.
    pub hits: u64,
    /// Those that did not.
    pub misses: u64,
    /// Entries that went for room.
    pub evictions: u64,
    /// Entries, those included whose end has come and that nobody asked for since.
    pub entries: usize,
    /// The sum of their weights.
    pub weight: u64,
}

/// Permission to store what a load gives: one for each index, or one of those that nobody waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Permit {
    stamp: u64,
    shared: bool,
}

/// Entries under indexes, and the loads under way for them. `L`: by what one waits for a load.
pub struct Objects<K, V, L> {
    state: Mutex<State<K, V, L>>,
}

struct State<K, V, L> {
    slots: Slots<K, V>,
    loads: HashMap<u64, (u64, L)>,
    hits: u64,
    misses: u64,
    /// Counts loads and writes.
    stamp: u64,
    /// The stamp of the latest write that was not a load's.
    written: u64,
}

impl<K, V, L> State<K, V, L> {
    fn stamp(&mut self) -> u64 {
        self.stamp += 1;
        self.stamp
    }

    /// Somebody says what holds for this index: a load under way for it is outdated.
    fn write(&mut self, index: u64) -> Option<(u64, L)> {
        self.written = self.stamp();
        if self.loads.is_empty() { None } else { self.loads.remove(&index) }
    }
}

impl<K, V, L> Objects<K, V, L> {
    /// An empty cache.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        let slots = Slots::new(bounds);
        let state = State { slots, loads: HashMap::new(), hits: 0, misses: 0, stamp: 0, written: 0 };
        Self { state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State<K, V, L>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `read` makes of the entry under `index`. Counts as a use of it, as a hit or as a miss. `now` is asked only
    /// if the entry has an end; if that has come, the entry is dropped.
    pub fn get<R>(
        &self,
        index: u64,
        now: impl FnOnce() -> Moment,
        read: impl FnOnce(&K, &V) -> R,
    ) -> Option<R> {
        let mut state = self.state();
        let ended = match state.slots.get(index) {
            Some(slot) if slot.end == Moment::NEVER || now() < slot.end => {
                let found = read(&slot.key, &slot.value);
                state.hits += 1;
                return Some(found);
            }
            found => found.is_some(),
        };
        state.misses += 1;
        let removed = if ended { state.slots.remove(index) } else { None };
        drop(state);
        drop(removed);
        None
    }

    /// As [`Objects::get`], without counting as a use, a hit or a miss.
    pub fn peek<R>(
        &self,
        index: u64,
        now: impl FnOnce() -> Moment,
        read: impl FnOnce(&K, &V) -> R,
    ) -> Option<R> {
        let state = self.state();
        let slot = state.slots.peek(index)?;
        (slot.end == Moment::NEVER || now() < slot.end).then(|| read(&slot.key, &slot.value))
    }

    /// What [`Objects::get`] gave was another key's entry: the hit was a miss.
    pub fn was_a_miss(&self) {
        let mut state = self.state();
        state.hits = state.hits.saturating_sub(1);
        state.misses += 1;
    }

    /// A miss was answered by another one's load after all.
    pub fn was_a_hit(&self) {
        let mut state = self.state();
        state.misses = state.misses.saturating_sub(1);
        state.hits += 1;
    }

    /// Puts an entry under `index`, in place of what stood there. Returns whether it is there now: what weighs more
    /// than everything may weigh is refused, and what stood there goes too, because it is older.
    pub fn put(&self, index: u64, key: K, stored: Stored<V>) -> bool {
        let mut state = self.state();
        let load = state.write(index);
        let (is_stored, displaced) = state.slots.insert(index, Slot::new(key, stored));
        drop(state);
        drop((load, displaced));
        is_stored
    }

    /// As [`Objects::put`], if `may` agrees to what stands there now, if anything does whose end has not come.
    ///
    /// # Errors
    ///
    /// Key and value come back if it does not.
    pub fn put_if(
        &self,
        index: u64,
        key: K,
        stored: Stored<V>,
        now: Moment,
        may: impl FnOnce(&K, &V) -> bool,
    ) -> Result<bool, (K, Stored<V>)> {
        let mut state = self.state();
        if let Some(slot) = state.slots.peek(index)
            && now < slot.end
            && !may(&slot.key, &slot.value)
        {
            return Err((key, stored));
        }
        let load = state.write(index);
        let (is_stored, displaced) = state.slots.insert(index, Slot::new(key, stored));
        drop(state);
        drop((load, displaced));
        Ok(is_stored)
    }

    /// Takes the entry under `index` out, if `is_it` says so. A load under way for it is outdated in any case.
    pub fn remove_if(&self, index: u64, now: Moment, is_it: impl FnOnce(&K, &V) -> bool) -> Option<(K, V)> {
        let mut state = self.state();
        let load = state.write(index);
        let ended = state.slots.peek(index).map(|slot| (is_it(&slot.key, &slot.value), now >= slot.end));
        let removed = match ended {
            Some((true, _) | (_, true)) => state.slots.remove(index),
            _ => None,
        };
        drop(state);
        drop(load);
        removed.filter(|_| ended == Some((true, false)))
    }

    /// Takes everything out; loads under way are outdated. The numbers go on.
    pub fn clear(&self) {
        let mut state = self.state();
        state.written = state.stamp();
        let removed = (state.slots.drain(), std::mem::take(&mut state.loads));
        drop(state);
        drop(removed);
    }

    /// As [`Objects::clear`], and the hits and misses are counted from zero.
    pub fn reset(&self) {
        self.clear();
        let mut state = self.state();
        (state.hits, state.misses) = (0, 0);
    }

    /// Runs `read` on every entry whose end has not come, in no order that means anything.
    pub fn for_each(&self, now: Moment, mut read: impl FnMut(&K, &V)) {
        let state = self.state();
        state.slots.iter().filter(|slot| now < slot.end).for_each(|slot| read(&slot.key, &slot.value));
    }

    /// How many entries there are whose end has not come. `now` is asked, and the entries are walked, only if any was
    /// ever given an end.
    pub fn len(&self, now: impl FnOnce() -> Moment) -> usize {
        let state = self.state();
        if !state.slots.have_ends() {
            return state.slots.len();
        }
        let now = now();
        state.slots.iter().filter(|slot| now < slot.end).count()
    }

    /// For a garbage collector: runs `visit` on every entry and every load, unless the lock is held: then it is for another time.
    ///
    /// # Errors
    ///
    /// What `visit` says ends it.
    pub fn visit<E>(
        &self,
        mut visit: impl FnMut(&K, &V) -> Result<(), E>,
        mut visit_load: impl FnMut(&L) -> Result<(), E>,
    ) -> Result<(), E> {
        let state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        for slot in state.slots.iter() {
            visit(&slot.key, &slot.value)?;
        }
        state.loads.values().try_for_each(|(_, load)| visit_load(load))
    }

    /// The numbers.
    #[must_use]
    pub fn numbers(&self) -> Numbers {
        let state = self.state();
        Numbers {
            hits: state.hits,
            misses: state.misses,
            evictions: state.slots.evictions(),
            entries: state.slots.len(),
            weight: state.slots.weight(),
        }
    }
}

impl<K, V, L: Clone> Objects<K, V, L> {
    /// Begins the one load for `index`, or gives the one under way.
    ///
    /// The caller must look once more after this: another load may have ended between its miss and now.
    ///
    /// # Errors
    ///
    /// The load that is under way, and has to be waited for.
    pub fn begin(&self, index: u64, load: impl FnOnce() -> L) -> Result<Permit, L> {
        let mut state = self.state();
        if let Some((_, other)) = state.loads.get(&index) {
            return Err(other.clone());
        }
        let stamp = state.stamp();
        state.loads.insert(index, (stamp, load()));
        Ok(Permit { stamp, shared: true })
    }

    /// Begins a load that nobody else waits for. What it gives is stored only if nothing at all was written meanwhile.
    pub fn begin_alone(&self) -> Permit {
        Permit { stamp: self.state().stamp(), shared: false }
    }

    /// Ends a load; `loaded` is stored if the permit still holds. Returns whether it was.
    pub fn end(&self, index: u64, permit: Permit, loaded: Option<(K, Stored<V>)>) -> bool {
        let mut state = self.state();
        let load = match state.loads.get(&index) {
            Some((stamp, _)) if permit.shared && *stamp == permit.stamp => state.loads.remove(&index),
            _ => None,
        };
        let holds = if permit.shared { load.is_some() } else { state.written <= permit.stamp };
        let (loaded, refused) = if holds { (loaded, None) } else { (None, loaded) };
        let inserted = loaded.map(|(key, stored)| state.slots.insert(index, Slot::new(key, stored)));
        drop(state);
        drop((load, refused));
        inserted.is_some_and(|(is_stored, _displaced)| is_stored)
    }
}

impl<K, V, L> std::fmt::Debug for Objects<K, V, L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Objects").finish_non_exhaustive()
    }
}
