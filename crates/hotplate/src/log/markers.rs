//! The log itself: a marker for each target, and the position of the last record.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::PoisonError;
use std::time::Duration;

use hotplate_policy::time::Timestamp;

use super::marked::Marked;
use super::sync::{AtomicU64, Ordering, RwLock};
use super::{Mode, Position, Record, Standing, Target, TargetId, Targets};

/// How many of the last records are kept for people to look at.
const RECENT: usize = 128;

/// What the hashes of targets begin with where processes have to agree on them.
const SHARED_SEED: u64 = 0x686f_7470_6c61_7465;

/// The log of one process.
pub struct Log {
    /// The position of the last record. Written under the lock of `markers`, after the marker.
    head: AtomicU64,
    markers: RwLock<Markers>,
    seed: u64,
}

#[derive(Default)]
struct Markers {
    /// With the time each was set last.
    marked: Marked<Timestamp>,
    recent: VecDeque<Record>,
}

impl Default for Log {
    fn default() -> Self {
        Self::new()
    }
}

impl Log {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self {
            head: AtomicU64::new(0),
            markers: RwLock::new(Markers::default()),
            seed: RandomState::new().hash_one("hotplate log"),
        }
    }

    /// An empty log whose targets have the same ids in every process.
    #[must_use]
    pub fn shared() -> Self {
        Self { seed: SHARED_SEED, ..Self::new() }
    }

    /// The id of a target in this log; `None` is everything.
    #[must_use]
    pub fn id_of(&self, target: &Target<'_>) -> Option<TargetId> {
        TargetId::of(self.seed, target)
    }

    /// The position of the last record: the stamp of a load that begins now.
    #[must_use]
    pub fn position(&self) -> Position {
        Position::from_u64(self.head.load(Ordering::Acquire))
    }

    /// Appends a record and returns its position. What was loaded, or began to load, at an earlier position and
    /// answers to `target` is not [`Standing::Current`] from now on.
    ///
    /// **Cost**: one map write. Once in 131,072 new targets the older half of the markers is dropped, which takes
    /// milliseconds; what was loaded before them and not found usable since is then [`Standing::Invalid`].
    pub fn append(&self, target: &Target<'_>, mode: Mode, now: Timestamp) -> Position {
        self.append_id(self.id_of(target), target.to_string(), mode, now)
    }

    /// As [`Log::append`], for a target that another process named: `words` is what people are shown.
    pub fn append_id(&self, id: Option<TargetId>, words: String, mode: Mode, now: Timestamp) -> Position {
        let mut markers = self.markers.write().unwrap_or_else(PoisonError::into_inner);
        let position = self.head.load(Ordering::Relaxed) + 1;
        markers.marked.mark(id, mode, position, now);
        if id.is_none() && mode == Mode::Hard {
            // Everything older is untrue already, so no older marker can say more.
            markers.marked.forget_targets();
        }
        markers.marked.keep_to_the_most();
        if markers.recent.len() == RECENT {
            markers.recent.pop_back();
        }
        let record = Record { position: Position::from_u64(position), target: words, mode, at: now };
        markers.recent.push_front(record);
        // Last, and under the lock: whoever reads this position finds its marker.
        self.head.store(position, Ordering::Release);
        Position::from_u64(position)
    }

    /// What the log says of a response with this footprint whose load began at `position`.
    #[must_use]
    pub fn standing<'t>(&self, footprint: impl Into<Targets<'t>>, position: Position) -> Standing {
        if self.head.load(Ordering::Acquire) <= position.as_u64() {
            return Standing::Current;
        }
        let markers = self.markers.read().unwrap_or_else(PoisonError::into_inner);
        markers.marked.standing(footprint.into(), position.as_u64())
    }

    /// As [`Log::standing`], remembering in `verified` up to which record the answer is known, so that a response
    /// that is asked for often costs one atomic load until the next record.
    ///
    /// # Arguments
    ///
    /// `verified`: of this response alone; starts at the position of its load.
    #[must_use]
    pub fn standing_cached<'t>(
        &self,
        footprint: impl Into<Targets<'t>>,
        position: Position,
        verified: &AtomicU64,
    ) -> Standing {
        // Read before the markers: a record appended in between is then looked for again next time.
        let head = self.head.load(Ordering::Acquire);
        // No record up to `verified` names this response, so it is as good as one whose load began there.
        let known = verified.load(Ordering::Relaxed).max(position.as_u64());
        if known >= head {
            return Standing::Current;
        }
        let standing = {
            let markers = self.markers.read().unwrap_or_else(PoisonError::into_inner);
            markers.marked.standing(footprint.into(), known)
        };
        if standing == Standing::Current {
            verified.fetch_max(head, Ordering::Relaxed);
        }
        standing
    }

    /// Drops markers set more than `longest` ago, where `longest` is the longest time a response is kept: what they
    /// would make untrue is gone by then. What is not, is [`Standing::Invalid`].
    pub fn prune(&self, now: Timestamp, longest: Duration) {
        let mut markers = self.markers.write().unwrap_or_else(PoisonError::into_inner);
        markers.marked.keep(|at| now.since(*at) <= longest);
    }

    /// How many markers are held.
    #[must_use]
    pub fn markers(&self) -> usize {
        self.markers.read().unwrap_or_else(PoisonError::into_inner).marked.len()
    }

    /// The last records, newest first, at most `most`, of the 128 that are kept.
    #[must_use]
    pub fn recent(&self, most: usize) -> Vec<Record> {
        let markers = self.markers.read().unwrap_or_else(PoisonError::into_inner);
        markers.recent.iter().take(most).cloned().collect()
    }

    /// What the hashes of targets begin with in this log.
    pub(super) fn seed(&self) -> u64 {
        self.seed
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("position", &self.position()).finish_non_exhaustive()
    }
}
