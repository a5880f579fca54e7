//! After a failed load that was answered with a stale response: when its key may be loaded again.
//!
//! Without it every request for the key would run the failing handler once more (RFC 5861 §4 leaves the
//! rate open). Only keys whose last load failed stand here, and each for one interval.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hotplate_policy::time::Timestamp;

use crate::key::{Key, Spreading};

/// Above this many keys those whose time has passed are dropped, and if none has, all are: the cost of
/// forgetting is one more attempt.
const MOST: usize = 4096;

/// Keys that failed, and when each may be tried again.
#[derive(Debug, Default)]
pub(crate) struct Retries(Mutex<HashMap<Key, Timestamp, Spreading>>);

impl Retries {
    /// Notes a failure: the key is not to be tried again before `now + after`.
    pub(crate) fn note(&self, key: Key, now: Timestamp, after: Duration) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= MOST {
            keys.retain(|_, at| *at > now);
            if keys.len() >= MOST {
                keys.clear();
            }
        }
        keys.insert(key, now.plus(after));
    }

    /// Whether the key must not be tried yet.
    pub(crate) fn is_held(&self, key: Key, now: Timestamp) -> bool {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match keys.get(&key) {
            None => false,
            Some(at) if *at > now => true,
            Some(_) => {
                keys.remove(&key);
                false
            }
        }
    }

    /// The key was loaded: nothing holds it any more.
    pub(crate) fn clear(&self, key: Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_key_is_held_for_the_interval_and_no_longer() {
        let retries = Retries::default();
        let key = Key::from_u128(1);
        let start = Timestamp::from_unix_seconds(1_000);
        retries.note(key, start, Duration::from_secs(5));
        assert!(retries.is_held(key, start.plus(Duration::from_secs(4))));
        assert!(!retries.is_held(Key::from_u128(2), start));
        assert!(!retries.is_held(key, start.plus(Duration::from_secs(5))));
        retries.note(key, start, Duration::from_secs(5));
        retries.clear(key);
        assert!(!retries.is_held(key, start));
    }
}
