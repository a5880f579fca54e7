//! What a process has seen of the shared tier, counted.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::tier::sealed::OpenError;
use crate::tier::shared::{Fault, Head};

/// The numbers of one moment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ShareStats {
    /// Whether the shared tier can be asked.
    pub up: bool,
    /// Whether the log is being read.
    pub certain: bool,
    /// The last record applied.
    pub head: Head,
    /// How many records of the log this process has heard of and not applied.
    pub lag: u64,
    /// Usable responses and values found in the shared tier.
    pub hits: u64,
    /// Lookups in the shared tier that found nothing usable.
    pub misses: u64,
    /// Responses and values written.
    pub stored: u64,
    /// Writes that found something newer.
    pub older: u64,
    /// Leases granted to this process.
    pub leases: u64,
    /// Lookups that waited for another process's load.
    pub waits: u64,
    /// Found, and untrue by the log.
    pub outdated: u64,
    /// Found before the log was read up to it, and given up.
    pub behind: u64,
    /// Times the log had to be read anew.
    pub gaps: u64,
    /// Times the epoch changed.
    pub epochs: u64,
    /// Faults, by the order of [`Fault::ALL`].
    pub faults: Vec<u64>,
    /// Values that could not be read, by the order of [`OpenError::ALL`], then those whose content could not.
    pub unreadable: Vec<u64>,
}

/// Running numbers.
#[derive(Debug)]
pub struct ShareCounters {
    pub(super) hits: AtomicU64,
    pub(super) misses: AtomicU64,
    pub(super) stored: AtomicU64,
    pub(super) older: AtomicU64,
    pub(super) leases: AtomicU64,
    pub(super) waits: AtomicU64,
    pub(super) outdated: AtomicU64,
    pub(super) behind: AtomicU64,
    pub(super) gaps: AtomicU64,
    pub(super) epochs: AtomicU64,
    /// The greatest position of the log that was heard of.
    heard: AtomicU64,
    faults: [AtomicU64; Fault::ALL.len()],
    unreadable: [AtomicU64; OpenError::ALL.len() + 1],
}

impl Default for ShareCounters {
    fn default() -> Self {
        Self {
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            stored: AtomicU64::new(0),
            older: AtomicU64::new(0),
            leases: AtomicU64::new(0),
            waits: AtomicU64::new(0),
            outdated: AtomicU64::new(0),
            behind: AtomicU64::new(0),
            gaps: AtomicU64::new(0),
            epochs: AtomicU64::new(0),
            heard: AtomicU64::new(0),
            faults: std::array::from_fn(|_| AtomicU64::new(0)),
            unreadable: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

impl ShareCounters {
    pub(super) fn count_fault(&self, fault: Fault) {
        if let Some(place) = Fault::ALL.iter().position(|known| *known == fault) {
            add(&self.faults[place]);
        }
    }

    /// The log has a record at this position.
    pub(super) fn hear_of(&self, head: Head) {
        self.heard.store(head.position, Ordering::Relaxed);
    }

    /// What was answered; a fault is counted, and what was asked goes on without.
    pub(super) fn answer<T>(&self, answered: Result<T, Fault>) -> Option<T> {
        answered.map_err(|fault| self.count_fault(fault)).ok()
    }

    /// `None`: it opened, and what is inside is not what its kind says.
    pub(super) fn count_unreadable(&self, error: Option<OpenError>) {
        let place = error.and_then(|error| OpenError::ALL.iter().position(|known| *known == error));
        add(&self.unreadable[place.unwrap_or(OpenError::ALL.len())]);
    }

    pub(super) fn snapshot(&self, up: bool, certain: bool, head: Head) -> ShareStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ShareStats {
            up,
            certain,
            head,
            lag: read(&self.heard).saturating_sub(head.position),
            hits: read(&self.hits),
            misses: read(&self.misses),
            stored: read(&self.stored),
            older: read(&self.older),
            leases: read(&self.leases),
            waits: read(&self.waits),
            outdated: read(&self.outdated),
            behind: read(&self.behind),
            gaps: read(&self.gaps),
            epochs: read(&self.epochs),
            faults: self.faults.iter().map(read).collect(),
            unreadable: self.unreadable.iter().map(read).collect(),
        }
    }
}

pub(super) fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
