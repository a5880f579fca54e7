//! Loads under way, so that a value which is set meanwhile is not overwritten by what was read before.
//!
//! Where there is a shared tier the log tells: a set is a record of it. A cache that is alone writes none, because a
//! marker for every value that is set would outlive the value.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::key::Key;

type Loads = HashMap<Key, Vec<Arc<AtomicBool>>>;

/// The loads of a cache.
#[derive(Clone, Debug, Default)]
pub(crate) struct Underway(Arc<Mutex<Loads>>);

/// One of them. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Passage {
    key: Key,
    is_outdated: Arc<AtomicBool>,
    all: Underway,
}

impl Underway {
    fn lock(&self) -> MutexGuard<'_, Loads> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A load of a key begins.
    pub(super) fn begin(&self, key: Key) -> Passage {
        let is_outdated = Arc::new(AtomicBool::new(false));
        self.lock().entry(key).or_default().push(Arc::clone(&is_outdated));
        Passage { key, is_outdated, all: self.clone() }
    }

    /// What is being loaded under a key is older than what is stored there now.
    pub(super) fn outdate(&self, key: Key) {
        for load in self.lock().get(&key).into_iter().flatten() {
            load.store(true, Ordering::Release);
        }
    }
}

impl Passage {
    pub(super) fn is_outdated(&self) -> bool {
        self.is_outdated.load(Ordering::Acquire)
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        let mut loads = self.all.lock();
        if let Some(others) = loads.get_mut(&self.key) {
            others.retain(|other| !Arc::ptr_eq(other, &self.is_outdated));
            if others.is_empty() {
                loads.remove(&self.key);
            }
        }
    }
}
