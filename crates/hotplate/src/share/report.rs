//! What each process tells all: its numbers, once in a while. They name URLs and tags, so they are sealed as all that is stored.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;

use super::{LARGE, Share};
use crate::key::Key;
use crate::tier::sealed::Kind;
use crate::tier::shared::Stamp;

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

/// For which key reports are sealed: nothing else is stored under it.
fn reports_key() -> Key {
    Key::named(b"\0what processes tell of themselves")
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
        let (sealer, stamp) = (Arc::clone(&self.sealer), Stamp::default());
        let (process, report) = self
            .work(LARGE, move || {
                let (process, report) = reporter.report(in_full);
                (process, sealer.seal(reports_key(), Kind::Report, stamp, &report))
            })
            .await;
        let Ok(report) = report else { return };
        let looked_at = self.counters.answer(self.tier.report(process, report, LASTING).await);
        self.is_looked_at.store(looked_at.unwrap_or(false), Ordering::Relaxed);
    }

    /// What all processes have told that are alive, and from now on tell in full; `None` where the shared tier cannot be
    /// asked. What does not open is nobody's.
    pub async fn reports(&self) -> Option<Vec<Bytes>> {
        let told = self.counters.answer(self.tier.reports(LASTING).await)?;
        let opened = told.iter().filter_map(|report| self.sealer.open(reports_key(), report).ok());
        Some(opened.filter(|opened| opened.kind == Kind::Report).map(|opened| opened.payload).collect())
    }
}
