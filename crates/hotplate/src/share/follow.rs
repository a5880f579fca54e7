//! Reading the log: what other processes made untrue, told to the own log in order.
//!
//! Each turn asks for what follows the last record applied, and waits for it. Where the answer is a gap, the whole log is
//! read as a snapshot; where its epoch has changed, nothing stored here is usable any more.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Share;
use super::counters::add;
use crate::log::followed::Missed;
use crate::log::{Mode, TargetId};
use crate::tier::shared::{Cursor, Fault, Head, Record, Tail};
use crate::watch::report::BY_ANOTHER;

/// How long one read waits for records: after this the head is checked and certainty is renewed.
const TAIL_WAIT: Duration = Duration::from_millis(500);

/// After so many turns the tier is told once more for how long to keep the log: a minute, if nothing happens.
const TURNS_BETWEEN_SIGNS: u32 = 120;

/// The pause after the whole log was read twice in a row: should it be gone whenever it is looked at.
const AFTER_GAPS: Duration = Duration::from_millis(20);

/// The pause after a fault.
const AFTER_FAULT: Duration = Duration::from_millis(50);

impl Share {
    /// Reads the log for ever. Dropping the future stops reading, and leaves this process uncertain in time.
    pub async fn follow(self: Arc<Self>) {
        let mut turns = 0_u32;
        let mut had_gap = false;
        loop {
            turns = (turns + 1) % TURNS_BETWEEN_SIGNS;
            if turns == 0 {
                let longest = Duration::from_millis(self.retained_millis.load(Ordering::Acquire));
                self.counters.answer(self.tier.retain(longest).await);
            }
            let gaps = self.counters.gaps.load(Ordering::Relaxed);
            match self.follow_once().await {
                Ok(()) => self.certain.store(true, Ordering::Release),
                Err(fault) => {
                    self.certain.store(false, Ordering::Release);
                    if fault != Fault::Down {
                        self.counters.count_fault(fault);
                    }
                    self.tier.pause(AFTER_FAULT).await;
                }
            }
            self.wake_behind();
            let has_gap = self.counters.gaps.load(Ordering::Relaxed) != gaps;
            if has_gap && had_gap {
                self.tier.pause(AFTER_GAPS).await;
            }
            had_gap = has_gap;
        }
    }

    /// One turn of [`Share::follow`].
    ///
    /// # Errors
    ///
    /// What kept the log from being read.
    pub async fn follow_once(&self) -> Result<(), Fault> {
        if self.unsent.swap(false, Ordering::AcqRel) {
            for record in self.followed.pending() {
                if self.send(record).await.is_none() {
                    break;
                }
            }
        }
        let cursor = self.followed.cursor();
        if cursor == Cursor::default() {
            return self.start_over(None).await;
        }
        let wait = if self.certain.load(Ordering::Acquire) { TAIL_WAIT } else { Duration::ZERO };
        let told = self.followed.told_beyond();
        match self.tier.tail(cursor, wait).await? {
            Tail::Records(records) => {
                records.iter().for_each(|record| self.apply(record));
                // Two records at one position: the log was lost between them, whichever of them it has now. No record has
                // this nonce, so that the log cannot pass for the one that was read.
                let lost = self.followed.lost().map(|lost| Cursor { nonce: 0, ..lost });
                // What was acknowledged before this was read and is not in it was lost in a failover.
                let missing = told.filter(|_| records.is_empty());
                match lost.or(missing) {
                    Some(lost) => self.start_over(Some(lost)).await,
                    None => Ok(()),
                }
            }
            Tail::Gap => self.start_over(Some(cursor)).await,
        }
    }

    fn apply(&self, record: &Record) {
        if self.followed.apply(record) {
            for target in &record.targets {
                self.tell_own_log(*target, record.mode);
            }
        }
    }

    async fn start_over(&self, cursor: Option<Cursor>) -> Result<(), Fault> {
        let snapshot = self.tier.snapshot(cursor).await?;
        add(&self.counters.gaps);
        let is_other = |cursor: Cursor| cursor.head.epoch != snapshot.cursor.head.epoch;
        if cursor.is_some_and(is_other) {
            add(&self.counters.epochs);
            self.counters.hear_of(Head::default());
            self.retained_millis.store(0, Ordering::Release);
        }
        let is_new = cursor.is_none_or(is_other);
        match self.followed.replace(&snapshot) {
            Missed::Everything => self.tell_own_log(None, Mode::Hard),
            Missed::Targets(targets) => {
                targets.into_iter().for_each(|(target, mode)| self.tell_own_log(target, mode));
            }
        }
        if is_new {
            // What the log before was told may be lost with it, and what this one was told already was not applied here.
            self.unsent.store(true, Ordering::Release);
        }
        Ok(())
    }

    fn tell_own_log(&self, target: Option<TargetId>, mode: Mode) {
        let words = match target {
            Some(target) => format!("{BY_ANOTHER}: {:016x}", target.as_u64()),
            None => format!("{BY_ANOTHER}: everything"),
        };
        self.log.append_id(target, words, mode, self.clock.now());
    }
}
