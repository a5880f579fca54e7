//! What a log knows of each target: the positions of the last records that named it.
//!
//! Both halves of the log are made of this, that of the process ([`super::markers`]) and that of all
//! ([`super::followed`]).

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

use super::{Mode, Standing, TargetId, Targets};

/// The most markers kept; beyond it the older half goes, and with it what was loaded before and not asked for since.
pub(super) const MOST_MARKERS: usize = 1 << 18;

/// A marker for each target, with a note of the log's own beside it.
#[derive(Debug, Default)]
pub(super) struct Marked<N> {
    by_target: HashMap<TargetId, (Marker, N), Scatter>,
    everything: Marker,
    /// What was loaded before this position is not usable: the markers that would tell are gone.
    floor: u64,
}

/// The last records of one target.
#[derive(Clone, Copy, Debug, Default)]
struct Marker {
    hard: u64,
    soft: u64,
}

impl Marker {
    /// Positions come in any order from a snapshot.
    fn set(&mut self, mode: Mode, position: u64) {
        match mode {
            Mode::Hard => self.hard = self.hard.max(position),
            Mode::Soft => self.soft = self.soft.max(position),
        }
    }

    fn last(&self) -> u64 {
        self.hard.max(self.soft)
    }
}

/// Scatters ids over a table. They are hashes already, but everybody may know with which seed; with a number of this
/// process's own, nobody can choose tags that meet in one place.
#[derive(Clone, Debug)]
struct Scatter {
    seed: u64,
    factor: u64,
}

impl Default for Scatter {
    fn default() -> Self {
        let random = RandomState::new();
        Self { seed: random.hash_one("seed"), factor: random.hash_one("factor") | 1 }
    }
}

impl BuildHasher for Scatter {
    type Hasher = Scattered;

    fn build_hasher(&self) -> Scattered {
        Scattered { state: self.seed, factor: self.factor }
    }
}

struct Scattered {
    state: u64,
    factor: u64,
}

impl Hasher for Scattered {
    fn write_u64(&mut self, number: u64) {
        let wide = u128::from(self.state ^ number) * u128::from(self.factor);
        #[allow(clippy::cast_possible_truncation, reason = "both halves are what is wanted")]
        let (low, high) = (wide as u64, (wide >> 64) as u64);
        self.state = low ^ high;
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn finish(&self) -> u64 {
        self.state
    }
}

impl<N: Default> Marked<N> {
    /// As if only this were known: what was loaded before `floor` is not usable.
    pub(super) fn starting_at(floor: u64) -> Self {
        Self { floor, ..Self::default() }
    }

    /// Notes a record; `None` names everything.
    pub(super) fn mark(&mut self, target: Option<TargetId>, mode: Mode, position: u64, note: N) {
        match target {
            Some(target) => {
                let (marker, noted) = self.by_target.entry(target).or_default();
                marker.set(mode, position);
                *noted = note;
            }
            None => self.everything.set(mode, position),
        }
    }

    /// Drops the older half of the markers if there are too many.
    pub(super) fn keep_to_the_most(&mut self) {
        if self.by_target.len() <= MOST_MARKERS {
            return;
        }
        let mut positions: Vec<u64> = self.by_target.values().map(|(marker, _)| marker.last()).collect();
        let middle = positions.len() / 2;
        let (_, median, _) = positions.select_nth_unstable(middle);
        let floor = *median;
        self.by_target.retain(|_, (marker, _)| marker.last() > floor);
        self.floor = self.floor.max(floor);
    }

    /// Keeps the markers whose note is wanted.
    pub(super) fn keep(&mut self, wanted: impl Fn(&N) -> bool) {
        let mut floor = self.floor;
        self.by_target.retain(|_, (marker, note)| {
            let keep = wanted(note);
            if !keep {
                floor = floor.max(marker.last());
            }
            keep
        });
        self.floor = floor;
    }

    /// Forgets all targets, where a record of everything says more than any of them.
    pub(super) fn forget_targets(&mut self) {
        self.by_target.clear();
    }

    /// How many targets have a marker.
    pub(super) fn len(&self) -> usize {
        self.by_target.len()
    }

    /// What is known of a response whose load began at `position`.
    pub(super) fn standing(&self, footprint: Targets<'_>, position: u64) -> Standing {
        if position < self.floor || position < self.everything.hard {
            return Standing::Invalid;
        }
        let mut soft = position < self.everything.soft;
        if !self.by_target.is_empty() {
            for target in footprint.iter() {
                if let Some((marker, _)) = self.by_target.get(&target) {
                    if position < marker.hard {
                        return Standing::Invalid;
                    }
                    soft |= position < marker.soft;
                }
            }
        }
        if soft { Standing::Soft } else { Standing::Current }
    }
}
