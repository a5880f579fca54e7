//! What can be seen of a running cache: who asked for what, what came of it, how long it took, what is stored.
//!
//! * `outcomes`: how requests were answered, by rule. `histogram`: how long that took.
//! * `decisions`: the last requests, each with a sentence. `labels`: what a key stands for, for people.
//! * `report`: all numbers of one moment, as one process tells them to all. `top`: what is used most, and what is largest.
//! * `view`: what is stored under a key. `preview`: what an invalidation would reach.
//!
//! # Cost
//!
//! A hit pays for two atomic additions, and for the time its server measures. A decision that is a hit is kept only while
//! somebody asks for decisions. What is used most is found out when it is asked for, by looking at everything that is
//! stored.
//!
//! # Scope
//!
//! Nothing here changes what is served. Nothing here holds a body, a cookie or a token; a URL is kept for as many keys as
//! [`labels`] holds, and for the last requests.

pub mod decisions;
pub mod histogram;
pub mod labels;
pub mod outcomes;
pub mod preview;
pub mod report;
pub mod top;
pub mod view;

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use hotplate_policy::time::Timestamp;

use self::decisions::{Decisions, Told};
use self::histogram::Histogram;
use self::labels::Labels;
use self::outcomes::Outcomes;
use crate::key::Key;

/// Who keeps a cache, for people, and what of it the engine cannot know.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The machine.
    pub host: String,
    /// How many results wait for an event loop.
    pub waiting: fn() -> u64,
}

impl Default for Identity {
    fn default() -> Self {
        Self { host: String::new(), waiting: || 0 }
    }
}

/// What was seen of one cache in this process.
#[derive(Debug)]
pub struct Watch {
    /// How long requests took that were answered by the cache, whatever they waited for.
    pub hit: Histogram,
    /// How long requests took for which the application was run.
    pub miss: Histogram,
    /// How long the application, or a function, took for what was to be stored.
    pub load: Histogram,
    pub(crate) decisions: Decisions,
    pub(crate) labels: Labels,
    sites: RwLock<Vec<Arc<Outcomes>>>,
    identity: OnceLock<Identity>,
    /// Tells this cache from another one of the same process.
    number: u32,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            hit: Histogram::default(),
            miss: Histogram::default(),
            load: Histogram::default(),
            decisions: Decisions::default(),
            labels: Labels::default(),
            sites: RwLock::default(),
            identity: OnceLock::new(),
            number: getrandom::u32().unwrap_or_default(),
        }
    }
}

impl Watch {
    /// Says who keeps the cache; the first who says it is believed.
    pub fn identify(&self, identity: Identity) {
        let _ = self.identity.set(identity);
    }

    /// Notes what a key stands for, which has had so many hits: now and then, ever more rarely.
    pub fn label(&self, key: Key, hits: u32, text: impl FnOnce() -> String) {
        if labels::is_due(hits) {
            self.labels.note(key, hits, text);
        }
    }

    /// Notes what a key stands for that is about to be stored, if there is room.
    pub fn label_stored(&self, key: Key, text: impl FnOnce() -> String) {
        self.labels.note_stored(key, text);
    }

    /// The last requests, newest first. From now on hits are kept for a while.
    #[must_use]
    pub fn decisions(&self, most: usize, now: Timestamp) -> Vec<Told> {
        self.decisions.newest(most, now)
    }

    /// Counts what requests come to at one more HTTP side.
    pub(crate) fn add_site(&self, outcomes: Arc<Outcomes>) {
        self.sites.write().unwrap_or_else(PoisonError::into_inner).push(outcomes);
    }

    pub(crate) fn sites(&self) -> Vec<Arc<Outcomes>> {
        self.sites.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn identity(&self) -> Identity {
        self.identity.get().cloned().unwrap_or_default()
    }

    pub(crate) fn number(&self) -> u32 {
        self.number
    }
}
