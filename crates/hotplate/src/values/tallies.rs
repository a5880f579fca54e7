//! Counters of a cache that is alone: a number under a key, which lives from its first addition on.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hotplate_policy::time::Timestamp;

use crate::key::Key;

/// Above this many counters those whose time has passed are dropped, and if none has, the one that ends first.
const MOST: usize = 65_536;

/// The counters.
#[derive(Debug, Default)]
pub(crate) struct Tallies(Mutex<HashMap<Key, (i64, Timestamp)>>);

impl Tallies {
    /// Adds to the counter of a key. Stops at the greatest and the least number there is.
    pub(crate) fn add(&self, key: Key, number: i64, ttl: Duration, now: Timestamp) -> i64 {
        let mut tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tallies.len() >= MOST && !tallies.contains_key(&key) {
            tallies.retain(|_, (_, until)| *until > now);
            if tallies.len() >= MOST
                && let Some(first) = tallies.iter().min_by_key(|(_, (_, until))| *until).map(|(key, _)| *key)
            {
                tallies.remove(&first);
            }
        }
        let tally = tallies.entry(key).or_insert_with(|| (0, now.plus(ttl)));
        if tally.1 <= now {
            *tally = (0, now.plus(ttl));
        }
        tally.0 = tally.0.saturating_add(number);
        tally.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_counter_lives_from_its_first_addition_on() {
        let (tallies, key) = (Tallies::default(), Key::from_u128(1));
        let start = Timestamp::from_unix_seconds(1_000);
        assert_eq!(tallies.add(key, 2, MINUTE, start), 2);
        assert_eq!(tallies.add(key, -5, MINUTE, start.plus(MINUTE / 2)), -3);
        assert_eq!(tallies.add(key, 1, MINUTE, start.plus(MINUTE)), 1);
        assert_eq!(tallies.add(Key::from_u128(2), 1, MINUTE, start), 1);
    }

    #[test]
    fn a_counter_stops_where_numbers_do() {
        let (tallies, key) = (Tallies::default(), Key::from_u128(1));
        let now = Timestamp::from_unix_seconds(1_000);
        tallies.add(key, i64::MAX, MINUTE, now);
        assert_eq!(tallies.add(key, 1, MINUTE, now), i64::MAX);
    }
}
