//! What happened, counted. Each number is an atomic of its own; reading them takes no lock.

use std::sync::atomic::{AtomicU64, Ordering};

use hotplate_policy::reason::Reason;

/// The numbers of one moment, since the cache was made.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Stats {
    /// Answered from a fresh stored response.
    pub hits: u64,
    /// Forwarded with the aim of storing the answer.
    pub misses: u64,
    /// Answered from a stale stored response.
    pub stale: u64,
    /// Answered from a stored response that the application confirmed.
    pub validated: u64,
    /// Answered by another request's load.
    pub collapsed: u64,
    /// Responses stored.
    pub stored: u64,
    /// Loads that ended in an exception or a server error.
    pub load_errors: u64,
    /// Loads that nobody waited for, because something stale was served.
    pub refreshes: u64,
    /// Records appended to the invalidation log.
    pub invalidations: u64,
    /// Stored responses dropped for room.
    pub evictions: u64,
    /// What is stored now: responses, records of variants, keys remembered as not storable.
    pub entries: u64,
    /// What that weighs, in bytes.
    pub bytes: u64,
    /// Requests forwarded without looking for a stored response, by [`Reason::index`].
    pub forwarded: Vec<u64>,
    /// Responses that were to be stored and could not be, by [`Reason::index`].
    pub not_stored: Vec<u64>,
}

/// Running numbers.
#[derive(Debug)]
pub struct Counters {
    hits: AtomicU64,
    misses: AtomicU64,
    stale: AtomicU64,
    validated: AtomicU64,
    collapsed: AtomicU64,
    stored: AtomicU64,
    load_errors: AtomicU64,
    refreshes: AtomicU64,
    invalidations: AtomicU64,
    forwarded: Box<[AtomicU64]>,
    not_stored: Box<[AtomicU64]>,
}

impl Default for Counters {
    fn default() -> Self {
        let by_reason = || Reason::ALL.iter().map(|_| AtomicU64::new(0)).collect();
        Self {
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            stale: AtomicU64::new(0),
            validated: AtomicU64::new(0),
            collapsed: AtomicU64::new(0),
            stored: AtomicU64::new(0),
            load_errors: AtomicU64::new(0),
            refreshes: AtomicU64::new(0),
            invalidations: AtomicU64::new(0),
            forwarded: by_reason(),
            not_stored: by_reason(),
        }
    }
}

impl Counters {
    pub(crate) fn count_hit(&self) {
        add(&self.hits);
    }

    pub(crate) fn count_miss(&self) {
        add(&self.misses);
    }

    pub(crate) fn count_stale(&self) {
        add(&self.stale);
    }

    pub(crate) fn count_validated(&self) {
        add(&self.validated);
    }

    pub(crate) fn count_collapsed(&self) {
        add(&self.collapsed);
    }

    pub(crate) fn count_stored(&self) {
        add(&self.stored);
    }

    pub(crate) fn count_load_error(&self) {
        add(&self.load_errors);
    }

    pub(crate) fn count_refresh(&self) {
        add(&self.refreshes);
    }

    pub(crate) fn count_invalidation(&self) {
        add(&self.invalidations);
    }

    pub(crate) fn count_forwarded(&self, reason: Reason) {
        if let Some(counter) = self.forwarded.get(reason.index()) {
            add(counter);
        }
    }

    pub(crate) fn count_not_stored(&self, reason: Reason) {
        if let Some(counter) = self.not_stored.get(reason.index()) {
            add(counter);
        }
    }

    /// The numbers now, with those only the local tier knows.
    pub(crate) fn snapshot(&self, entries: u64, bytes: u64, evictions: u64) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            hits: read(&self.hits),
            misses: read(&self.misses),
            stale: read(&self.stale),
            validated: read(&self.validated),
            collapsed: read(&self.collapsed),
            stored: read(&self.stored),
            load_errors: read(&self.load_errors),
            refreshes: read(&self.refreshes),
            invalidations: read(&self.invalidations),
            evictions,
            entries,
            bytes,
            forwarded: self.forwarded.iter().map(read).collect(),
            not_stored: self.not_stored.iter().map(read).collect(),
        }
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_what_is_shown() {
        let counters = Counters::default();
        counters.count_hit();
        counters.count_hit();
        counters.count_miss();
        counters.count_validated();
        counters.count_stale();
        counters.count_collapsed();
        counters.count_stored();
        counters.count_load_error();
        counters.count_refresh();
        counters.count_refresh();
        counters.count_invalidation();
        let stats = counters.snapshot(4, 5, 6);
        assert_eq!((stats.hits, stats.misses, stats.validated, stats.stale), (2, 1, 1, 1));
        assert_eq!((stats.collapsed, stats.stored, stats.load_errors, stats.invalidations), (1, 1, 1, 1));
        assert_eq!(stats.refreshes, 2);
        assert_eq!((stats.entries, stats.bytes, stats.evictions), (4, 5, 6));
    }

    #[test]
    fn each_reason_has_a_counter_of_its_own() {
        let counters = Counters::default();
        for reason in Reason::ALL {
            counters.count_forwarded(*reason);
            counters.count_not_stored(*reason);
        }
        let stats = counters.snapshot(0, 0, 0);
        assert_eq!(stats.forwarded, vec![1; Reason::ALL.len()]);
        assert_eq!(stats.not_stored, stats.forwarded);
    }
}
