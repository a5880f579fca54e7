//! The shared log as far as this process has applied it.
//!
//! The process's own log ([`super::Log`]) counts what *it* has seen, in positions of its own. This is the other half:
//! the positions that every process means, by which a response that another process stored is judged. The two are
//! written in one order and read in the other, so that no record falls between them:
//!
//! ```text
//! apply:  followed, then own log          judge:  own position, then followed
//! ```
//!
//! A response that is judged current here may be kept in the local tier at the own position read before.
//!
//! An invalidation by this process is *pending* until it was read in the log, or in a snapshot of it. Until the shared tier
//! has acknowledged it, no response from there that it names is used: however it is stamped, it is older. From then on it
//! counts from the position that was acknowledged, although the log has not been read so far.

use std::collections::{HashSet, VecDeque};
use std::sync::{PoisonError, RwLock};

use super::marked::Marked;
use super::{Mode, Standing, TargetId, Targets};
use crate::tier::shared::{Cursor, Head, Record, Snapshot};

/// How many of its own records a process recognises when it reads them again.
const OWN: usize = 4096;

/// More invalidations than this are not kept while the shared tier is away: all of them become one of everything.
pub const MOST_PENDING: usize = 1024;

/// What the shared log says of a response that came from the shared tier.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Judgement {
    /// What is said of it by every record up to the head that was asked about.
    Known(Standing),
    /// This process has not applied the log up to that head yet.
    Behind,
    /// It was stamped in another epoch: records may be lost.
    OtherEpoch,
}

/// The shared log as far as it is applied.
#[derive(Debug, Default)]
pub struct Followed(RwLock<State>);

#[derive(Debug, Default)]
struct State {
    cursor: Cursor,
    /// The position of the last snapshot: what it has was not read record by record.
    summed: u64,
    marked: Marked<()>,
    pending: Vec<Pending>,
    /// Nonces of own records, which the own log has already.
    own: VecDeque<u64>,
    known_own: HashSet<u64>,
}

/// A record of this process that it has not read in the log yet.
#[derive(Clone, Debug)]
struct Pending {
    record: Record,
    /// Where the shared tier has appended it, once it has said so.
    told: Option<Head>,
}

impl Followed {
    /// The last record applied; the head of epoch 0 while the log has never been read.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.read().cursor
    }

    /// Notes a record of this process before it is sent. When too many wait, they become one record of everything,
    /// which is returned in place of `record`.
    pub fn intend(&self, record: Record) -> Record {
        let mut state = self.write();
        let unsent = state.pending.iter().filter(|pending| pending.told.is_none()).count();
        let record = if unsent >= MOST_PENDING {
            state.pending.clear();
            Record { nonce: record.nonce, mode: Mode::Hard, targets: vec![None] }
        } else {
            record
        };
        if state.own.len() == OWN
            && let Some(oldest) = state.own.pop_front()
        {
            state.known_own.remove(&oldest);
        }
        state.own.push_back(record.nonce);
        state.known_own.insert(record.nonce);
        state.pending.push(Pending { record: record.clone(), told: None });
        record
    }

    /// The shared tier has appended a record of this process, which has the position of `head` in its epoch.
    ///
    /// From now on it counts from there, although the log has not been read so far: a snapshot that was taken before it
    /// was appended may come later than this.
    ///
    /// # Returns
    ///
    /// `false` if it was appended to a log that is gone by now: it has to be sent once more.
    pub fn acknowledge(&self, nonce: u64, head: Head) -> bool {
        let mut state = self.write();
        let is_gone = head.epoch < state.cursor.head.epoch;
        if head.epoch == state.cursor.head.epoch
            && head.position <= state.summed
            && let Some(place) = state.pending.iter().position(|pending| pending.record.nonce == nonce)
        {
            // The snapshot has it.
            let Pending { record, .. } = state.pending.swap_remove(place);
            state.mark(&record, head.position);
            return true;
        }
        if let Some(pending) = state.pending.iter_mut().find(|pending| pending.record.nonce == nonce) {
            if is_gone {
                return pending.told.is_some();
            }
            pending.told = pending.told.max(Some(head));
        }
        true
    }

    /// The furthest record of this process that was acknowledged in the epoch applied here and lies beyond the cursor.
    #[must_use]
    pub fn told_beyond(&self) -> Option<Cursor> {
        let state = self.read();
        let applied = state.cursor.head;
        let told = state.pending.iter().filter_map(|pending| Some((pending.told?, pending.record.nonce)));
        let beyond = told.filter(|(head, _)| head.epoch == applied.epoch && *head > applied);
        beyond.max_by_key(|(head, _)| *head).map(|(head, nonce)| Cursor { head, nonce })
    }

    /// A record of this process that was acknowledged at a position where the log, as it was read, has another.
    #[must_use]
    pub fn lost(&self) -> Option<Cursor> {
        let state = self.read();
        let applied = state.cursor.head;
        let told = state.pending.iter().filter_map(|pending| Some((pending.told?, pending.record.nonce)));
        let mut lost = told.filter(|(head, _)| head.epoch == applied.epoch && *head <= applied);
        lost.next().map(|(head, nonce)| Cursor { head, nonce })
    }

    /// Records that the shared tier has not acknowledged.
    #[must_use]
    pub fn pending(&self) -> Vec<Record> {
        let state = self.read();
        let unsent = state.pending.iter().filter(|pending| pending.told.is_none());
        unsent.map(|pending| pending.record.clone()).collect()
    }

    /// Applies the record that follows the cursor.
    ///
    /// # Returns
    ///
    /// Whether it is another process's: then the own log has to hear of it, after this.
    pub fn apply(&self, record: &Record) -> bool {
        let mut state = self.write();
        let position = state.cursor.head.position + 1;
        state.cursor.head.position = position;
        state.cursor.nonce = record.nonce;
        state.mark(record, position);
        state.pending.retain(|pending| pending.record.nonce != record.nonce);
        state.marked.keep_to_the_most();
        !state.known_own.contains(&record.nonce)
    }

    /// Takes a snapshot in place of what was applied.
    ///
    /// # Returns
    ///
    /// What the own log has to hear of, after this: the targets named since, or [`Missed::Everything`].
    pub fn replace(&self, snapshot: &Snapshot) -> Missed {
        let mut state = self.write();
        let before = state.cursor.head;
        let lost = before.epoch != snapshot.cursor.head.epoch || snapshot.floor > before.position;
        state.cursor = snapshot.cursor;
        state.summed = snapshot.cursor.head.position;
        state.marked = Marked::starting_at(snapshot.floor);
        for (target, mode, position) in &snapshot.markers {
            state.marked.mark(*target, *mode, *position, ());
        }
        let head = snapshot.cursor.head;
        state.pending.retain(|pending| {
            pending.told.is_none_or(|told| told.epoch != head.epoch || told.position > head.position)
        });
        for pending in &mut state.pending {
            // The log that was told is gone, or not the one that is followed.
            pending.told = pending.told.filter(|told| told.epoch >= head.epoch);
        }
        if lost {
            return Missed::Everything;
        }
        let since = snapshot.markers.iter().filter(|(_, _, position)| *position > before.position);
        Missed::Targets(since.map(|(target, mode, _)| (*target, *mode)).collect())
    }

    /// Judges a response that was stamped with `began`, against a log that stood at `head` when it was read.
    #[must_use]
    pub fn judge<'t>(&self, footprint: impl Into<Targets<'t>>, began: Head, head: Head) -> Judgement {
        let state = self.read();
        let applied = state.cursor.head;
        if head > applied || (began.epoch > applied.epoch) {
            return Judgement::Behind;
        }
        if began.epoch != applied.epoch {
            return Judgement::OtherEpoch;
        }
        Judgement::Known(state.standing(footprint.into(), began.position))
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was appended while this process did not read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Missed {
    /// It cannot be told: nothing that is stored here is usable.
    Everything,
    /// These targets; `None` is everything.
    Targets(Vec<(Option<TargetId>, Mode)>),
}

impl State {
    fn mark(&mut self, record: &Record, position: u64) {
        for target in &record.targets {
            self.marked.mark(*target, record.mode, position, ());
        }
    }

    fn standing(&self, footprint: Targets<'_>, position: u64) -> Standing {
        let mut standing = self.marked.standing(footprint, position);
        if standing == Standing::Invalid {
            return standing;
        }
        for Pending { record, told } in &self.pending {
            // Told at or before the cursor it would have been read by now: the log was lost, and positions mean nothing.
            let applied = self.cursor.head;
            let counts = |told: &Head| told.epoch == applied.epoch && *told > applied;
            if told.filter(counts).is_some_and(|told| position >= told.position) {
                continue;
            }
            let named = |target: &Option<TargetId>| target.is_none_or(|target| footprint.contains(target));
            if record.targets.iter().any(named) {
                match record.mode {
                    Mode::Hard => return Standing::Invalid,
                    Mode::Soft if standing == Standing::Current => standing = Standing::Soft,
                    Mode::Soft => {}
                }
            }
        }
        standing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;
    use crate::log::{Footprint, Log, Target};

    fn footprint(log: &Log, tag: &str) -> Footprint {
        Footprint::new(log, Key::from_u128(7), b"h", b"/p", [tag])
    }

    fn id(log: &Log, tag: &str) -> Option<TargetId> {
        log.id_of(&Target::Tag(tag))
    }

    fn record(log: &Log, nonce: u64, tag: &str) -> Record {
        Record { nonce, mode: Mode::Hard, targets: vec![id(log, tag)] }
    }

    fn at(epoch: u64, position: u64) -> Head {
        Head { epoch, position }
    }

    fn started() -> (Log, Followed) {
        let followed = Followed::default();
        let cursor = Cursor { head: at(5, 0), nonce: 0 };
        followed.replace(&Snapshot { cursor, ..Snapshot::default() });
        (Log::new(), followed)
    }

    #[test]
    fn a_record_reaches_what_was_stamped_before_it_and_nothing_after() {
        let (log, followed) = started();
        assert!(followed.apply(&record(&log, 1, "a")));
        let (a, b) = (footprint(&log, "a"), footprint(&log, "b"));
        assert_eq!(followed.judge(&a, at(5, 0), at(5, 1)), Judgement::Known(Standing::Invalid));
        assert_eq!(followed.judge(&a, at(5, 1), at(5, 1)), Judgement::Known(Standing::Current));
        assert_eq!(followed.judge(&b, at(5, 0), at(5, 1)), Judgement::Known(Standing::Current));
    }

    #[test]
    fn a_head_that_is_not_applied_yet_cannot_be_judged_and_another_epoch_is_told() {
        let (log, followed) = started();
        let a = footprint(&log, "a");
        assert_eq!(followed.judge(&a, at(5, 0), at(5, 1)), Judgement::Behind);
        assert_eq!(followed.judge(&a, at(6, 0), at(6, 0)), Judgement::Behind);
        assert_eq!(followed.judge(&a, at(4, 9), at(5, 0)), Judgement::OtherEpoch);
    }

    #[test]
    fn what_this_process_has_invalidated_is_not_used_before_the_tier_has_heard_of_it() {
        let (log, followed) = started();
        let a = footprint(&log, "a");
        followed.intend(record(&log, 9, "a"));
        assert_eq!(followed.judge(&a, at(5, 0), at(5, 0)), Judgement::Known(Standing::Invalid));
        followed.acknowledge(9, at(5, 3));
        assert!(followed.pending().is_empty());
        assert_eq!(followed.judge(&a, at(5, 0), at(5, 0)), Judgement::Known(Standing::Invalid));
        // Read again from the log it is recognised.
        for nonce in [1, 2] {
            assert!(followed.apply(&record(&log, nonce, "b")));
        }
        assert!(!followed.apply(&record(&log, 9, "a")));
        assert_eq!(followed.judge(&a, at(5, 3), at(5, 3)), Judgement::Known(Standing::Current));
    }

    #[test]
    fn an_acknowledgement_in_a_new_epoch_waits_for_the_snapshot_of_it() {
        let (log, followed) = started();
        let a = footprint(&log, "a");
        followed.intend(record(&log, 9, "a"));
        followed.acknowledge(9, at(6, 1));
        assert_eq!(followed.judge(&a, at(5, 0), at(5, 0)), Judgement::Known(Standing::Invalid));
        let cursor = Cursor { head: at(6, 1), nonce: 9 };
        followed.replace(&Snapshot { cursor, floor: 0, markers: vec![(id(&log, "a"), Mode::Hard, 1)] });
        assert!(followed.pending().is_empty());
        assert_eq!(followed.judge(&a, at(6, 0), at(6, 1)), Judgement::Known(Standing::Invalid));
        assert_eq!(followed.judge(&a, at(6, 1), at(6, 1)), Judgement::Known(Standing::Current));
    }

    #[test]
    fn a_snapshot_from_before_an_acknowledged_record_does_not_forget_it() {
        let (log, followed) = started();
        let a = footprint(&log, "a");
        followed.intend(record(&log, 9, "a"));
        followed.acknowledge(9, at(5, 2));
        let cursor = Cursor { head: at(5, 1), nonce: 1 };
        followed.replace(&Snapshot { cursor, ..Snapshot::default() });
        assert_eq!(followed.judge(&a, at(5, 1), at(5, 1)), Judgement::Known(Standing::Invalid));
        assert!(followed.pending().is_empty());
        assert!(!followed.apply(&record(&log, 9, "a")));
        assert_eq!(followed.judge(&a, at(5, 1), at(5, 2)), Judgement::Known(Standing::Invalid));
        assert_eq!(followed.judge(&a, at(5, 2), at(5, 2)), Judgement::Known(Standing::Current));
    }

    #[test]
    fn an_acknowledgement_of_a_log_that_is_gone_is_none() {
        let (log, followed) = started();
        followed.intend(record(&log, 9, "a"));
        assert!(!followed.acknowledge(9, at(4, 7)));
        assert_eq!(followed.pending().len(), 1);
        assert!(followed.acknowledge(9, at(5, 1)) && followed.acknowledge(9, at(4, 7)));
        assert!(followed.pending().is_empty());
    }

    #[test]
    fn what_a_lost_log_was_told_is_told_to_the_next() {
        let (log, followed) = started();
        followed.intend(record(&log, 9, "a"));
        followed.acknowledge(9, at(5, 1));
        let cursor = Cursor { head: at(6, 0), nonce: 0 };
        followed.replace(&Snapshot { cursor, ..Snapshot::default() });
        assert_eq!(followed.pending().len(), 1);
    }

    #[test]
    fn a_snapshot_of_the_same_epoch_tells_what_was_missed_and_one_that_forgot_tells_everything() {
        let (log, followed) = started();
        followed.apply(&record(&log, 1, "a"));
        let markers = vec![(id(&log, "a"), Mode::Hard, 1), (id(&log, "b"), Mode::Soft, 4)];
        let mut snapshot = Snapshot { cursor: Cursor { head: at(5, 4), nonce: 4 }, floor: 0, markers };
        assert_eq!(followed.replace(&snapshot), Missed::Targets(vec![(id(&log, "b"), Mode::Soft)]));
        snapshot.floor = 5;
        snapshot.cursor.head.position = 9;
        assert_eq!(followed.replace(&snapshot), Missed::Everything);
        snapshot.cursor.head.epoch = 6;
        assert_eq!(followed.replace(&snapshot), Missed::Everything);
    }

    #[test]
    fn too_many_pending_records_become_one_of_everything() {
        let (log, followed) = started();
        for nonce in 0..=MOST_PENDING as u64 {
            followed.intend(record(&log, nonce + 1, &format!("t{nonce}")));
        }
        let pending = followed.pending();
        assert_eq!(pending.len(), 1);
        assert_eq!(pending[0].targets, vec![None]);
    }
}
