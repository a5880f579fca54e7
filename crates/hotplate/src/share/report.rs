//! What each process tells all: its numbers, once in a while.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;

use super::{LARGE, Share};

/// How often a process tells its numbers.
const EVERY: Duration = Duration::from_secs(1);

/// For how long what a process has told counts, after it has told nothing more; also how long somebody who has asked is
/// taken to be looking.
const LASTING: Duration = Duration::from_secs(10);

/// Who knows the numbers of this process.
pub trait Reporter: Send + Sync {
    /// Which process this is, and its numbers. `in_full`: somebody is looking; what costs more is to be there too.
    fn report(&self, in_full: bool) -> (String, Bytes);
}

impl Share {
    /// Says who knows the numbers; the first who says it is asked.
    pub fn report_by(&self, reporter: Weak<dyn Reporter>) {
        let _ = self.reporter.set(reporter);
    }

    /// Tells the numbers of this process for ever. Dropping the future stops that.
    pub async fn tell_reports(self: Arc<Self>) {
        loop {
            self.tier.pause(EVERY).await;
            self.tell_report().await;
        }
    }

    /// One turn of [`Share::tell_reports`].
    pub async fn tell_report(&self) {
        let Some(reporter) = self.reporter.get().and_then(Weak::upgrade) else { return };
        if !self.tier.is_up() {
            return;
        }
        let in_full = self.is_looked_at.load(Ordering::Relaxed);
        let (process, report) = self.work(LARGE, move || reporter.report(in_full)).await;
        let looked_at = self.counters.answer(self.tier.report(process, report, LASTING).await);
        self.is_looked_at.store(looked_at.unwrap_or(false), Ordering::Relaxed);
    }

    /// What all processes have told that are alive, and from now on tell in full; `None` where the shared tier cannot be
    /// asked.
    pub async fn reports(&self) -> Option<Vec<Bytes>> {
        self.counters.answer(self.tier.reports(LASTING).await)
    }
}
