//! The cache itself: what is stored, the log that makes it untrue, the loads under way, and the numbers.
//!
//! One [`Cache`] may stand behind several HTTP sides and be used from any thread.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hotplate_policy::freshness::StoredMeta;
use hotplate_policy::time::Timestamp;

use crate::clock::Clock;
use crate::entry::{Body, Entry};
use crate::event::{Counters, Stats};
use crate::fill::Fills;
use crate::key::Key;
use crate::log::{Log, Mode, Position, Record, Target};
use crate::retry::Retries;
use crate::share::{Appending, Share};
use crate::tier::local::LocalTier;
use crate::values::{Tallies, Underway};
use crate::watch::Watch;

/// After so many records, markers that nothing stored can answer to any more are dropped.
const PRUNE_EVERY: u64 = 4096;

/// What the waiters of a load get, where they cannot look it up. A failure has beside it the stale response that was to be
/// renewed, if there was one.
#[derive(Debug)]
pub enum Outcome<B> {
    /// The response under a key, which is not kept in the local tier.
    Kept(Key, Arc<Entry<B>>),
    /// The server error the application answered with, complete; it is shared with the waiters and not stored.
    Response(Arc<Entry<B>>, Option<Arc<Entry<B>>>),
    /// The application raised; what, is the caller's to know.
    Raised(Arc<dyn std::any::Any + Send + Sync>, Option<Arc<Entry<B>>>),
}

impl<B> Clone for Outcome<B> {
    fn clone(&self) -> Self {
        match self {
            Self::Kept(key, entry) => Self::Kept(*key, Arc::clone(entry)),
            Self::Response(entry, stale) => Self::Response(Arc::clone(entry), stale.clone()),
            Self::Raised(error, stale) => Self::Raised(Arc::clone(error), stale.clone()),
        }
    }
}

/// A cache in this process.
pub struct Cache<B: Body> {
    pub(crate) local: LocalTier<B>,
    pub(crate) log: Arc<Log>,
    pub(crate) share: Option<Arc<Share>>,
    /// Whether responses are kept in the local tier; records of variants always are.
    pub(crate) keeps_responses: bool,
    pub(crate) fills: Fills<Outcome<B>>,
    pub(crate) retries: Retries,
    pub(crate) tallies: Tallies,
    pub(crate) underway: Underway,
    pub(crate) counters: Counters,
    pub(crate) watch: Watch,
    /// Held while an entry is compared with the one it replaces; never across anything that waits.
    pub(crate) publishing: Mutex<()>,
    /// The longest time any response stored so far may be served for.
    retention_millis: AtomicU64,
    /// Whether any response said which part of its query matters: until then no lookup asks.
    pub(crate) knows_search_variance: AtomicBool,
    /// Plain values of other processes are not taken: only a codec can tell who wrote one.
    coded_only: AtomicBool,
    sites: AtomicU32,
    clock: Arc<dyn Clock>,
    /// When it was made.
    started: Timestamp,
    max_bytes: u64,
}

impl<B: Body> Cache<B> {
    /// A cache that keeps stored responses of at most `max_bytes` in all, index included.
    #[must_use]
    pub fn new(max_bytes: u64, clock: Arc<dyn Clock>) -> Self {
        Self {
            local: LocalTier::new(max_bytes),
            log: Arc::new(Log::new()),
            share: None,
            keeps_responses: true,
            fills: Fills::new(),
            retries: Retries::default(),
            tallies: Tallies::default(),
            underway: Underway::default(),
            counters: Counters::default(),
            watch: Watch::default(),
            publishing: Mutex::new(()),
            retention_millis: AtomicU64::new(0),
            knows_search_variance: AtomicBool::new(false),
            coded_only: AtomicBool::new(false),
            sites: AtomicU32::new(0),
            started: clock.now(),
            max_bytes,
            clock,
        }
    }

    /// A cache that has `share` in common with others.
    ///
    /// # Arguments
    ///
    /// `keeps_responses`: whether responses are also kept in the local tier. If not, every lookup asks the shared tier,
    /// and is never behind.
    #[must_use]
    pub fn shared(max_bytes: u64, clock: Arc<dyn Clock>, share: Arc<Share>, keeps_responses: bool) -> Self {
        let log = Arc::clone(share.log());
        Self { log, share: Some(share), keeps_responses, ..Self::new(max_bytes, clock) }
    }

    /// What this cache has in common with those of other processes.
    #[must_use]
    pub fn share(&self) -> Option<&Arc<Share>> {
        self.share.as_ref()
    }

    /// What can be seen of it.
    #[must_use]
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// When it was made.
    #[must_use]
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// The most that may be stored, in bytes.
    #[must_use]
    pub fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// From here on takes no value that has not gone through a codec, which can tell who wrote it.
    pub fn take_coded_only(&self) {
        self.coded_only.store(true, Ordering::Relaxed);
    }

    /// Whether a plain value is to be decoded, too.
    #[must_use]
    pub fn is_coded_only(&self) -> bool {
        self.coded_only.load(Ordering::Relaxed)
    }

    /// The time, read once per request at the front door and passed down from there.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The time at a moment that was just read; see [`Clock::at`].
    #[must_use]
    pub fn at(&self, moment: Instant) -> Timestamp {
        self.clock.at(moment)
    }

    /// Appends a record to the invalidation log: nothing that matches `target` and was loaded, or began to
    /// load, before this is served afterwards (with [`Mode::Soft`]: is fresh afterwards).
    ///
    /// **Cost**: constant; no stored response is touched. **Returns** the record's position.
    ///
    /// Where there is a shared tier, it is told in the background.
    pub fn invalidate(&self, target: &Target<'_>, mode: Mode, now: Timestamp) -> Position {
        self.invalidate_all(std::slice::from_ref(target), mode, now).0
    }

    /// As [`Cache::invalidate`], for several targets.
    ///
    /// # Returns
    ///
    /// The position of the last record here, and where there is a shared tier a future of the record's head in the log of
    /// all processes: see [`Share::invalidate`].
    pub fn invalidate_all(
        &self,
        targets: &[Target<'_>],
        mode: Mode,
        now: Timestamp,
    ) -> (Position, Option<Appending>) {
        // First the shared half, then the own log: see `log::followed`.
        let appending = match &self.share {
            Some(share) if !targets.is_empty() => {
                let ids = targets.iter().map(|target| self.log.id_of(target)).collect();
                Some(share.invalidate(ids, mode))
            }
            _ => None,
        };
        let mut position = self.log.position();
        for target in targets {
            self.counters.count_invalidation();
            position = self.log.append(target, mode, now);
            if position.as_u64().is_multiple_of(PRUNE_EVERY) {
                self.log.prune(now, Duration::from_millis(self.retention_millis.load(Ordering::Relaxed)));
            }
        }
        (position, appending)
    }

    /// The position of the last record in the invalidation log.
    #[must_use]
    pub fn position(&self) -> Position {
        self.log.position()
    }

    /// Invalidates everything and frees its memory.
    pub fn clear(&self, now: Timestamp) -> (Position, Option<Appending>) {
        let appended = self.invalidate_all(&[Target::Everything], Mode::Hard, now);
        self.local.clear();
        appended
    }

    /// The last records of the invalidation log, newest first.
    #[must_use]
    pub fn recent_invalidations(&self, most: usize) -> Vec<Record> {
        self.log.recent(most)
    }

    /// The numbers of this moment.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.counters.snapshot(self.local.len() as u64, self.local.bytes(), self.local.evictions())
    }

    /// Takes up work in a process that was forked off: what was under way is the parent's. What is stored stays.
    ///
    /// No other thread may use the cache during the fork or this call.
    pub fn after_fork(&self) {
        self.fills.forget_all();
        if let Some(share) = &self.share {
            share.after_fork();
        }
    }

    /// The number of the next HTTP side: counted in the order in which an application makes them.
    pub(crate) fn next_site(&self) -> u32 {
        self.sites.fetch_add(1, Ordering::Relaxed)
    }

    /// Remembers how long a response that is being stored may be served.
    pub(crate) fn note_retention(&self, meta: &StoredMeta) {
        let longest = meta.lifetime + meta.stale_while_revalidate.max(meta.stale_if_error);
        let millis = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        self.retention_millis.fetch_max(millis, Ordering::Relaxed);
    }

    pub(crate) fn publishing(&self) -> std::sync::MutexGuard<'_, ()> {
        self.publishing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
