//! Which evicted keys are still remembered, where entries are heavier than was expected.
//!
//! `quick_cache` remembers evicted keys, and takes one that comes back for one that is asked for often. How many it
//! remembers is fixed when it is made, from what an entry is expected to weigh. Where entries weigh ten times as much,
//! that is ten times as many keys for each entry: nearly everything that comes back counts as asked for often, and pushes
//! out what really is. So heavy entries' keys are listed here too, and are forgotten when the entries that went after
//! them weigh three quarters of the room.

use std::collections::VecDeque;

/// Keys of heavy entries that were evicted, the oldest first.
#[derive(Debug)]
pub(crate) struct Ghosts<K> {
    keys: VecDeque<(K, u64)>,
    weight: u64,
    /// Half of the room has more hits with Zipf, all of it more where what is asked for changes.
    most: u64,
    heavy: u64,
}

impl<K> Ghosts<K> {
    /// `room`: what all entries may weigh; `expected`: how many of them `quick_cache` was told to expect.
    pub(crate) fn new(room: u64, expected: usize) -> Self {
        let heavy = room / (expected as u64).max(1) + 1;
        Self { keys: VecDeque::new(), weight: 0, most: room - room / 4, heavy }
    }

    /// From this weight on an entry's key is to be listed: lighter ones are forgotten soon enough.
    pub(crate) fn heavy(&self) -> u64 {
        self.heavy
    }

    /// An entry was evicted before it was asked for often.
    pub(crate) fn push(&mut self, key: K, weight: u64) {
        self.keys.push_back((key, weight));
        self.weight += weight;
    }

    /// The next key that is to be forgotten.
    pub(crate) fn pop_surplus(&mut self) -> Option<K> {
        if self.weight <= self.most {
            return None;
        }
        let (key, weight) = self.keys.pop_front()?;
        self.weight -= weight;
        Some(key)
    }

    /// Forgets all of them.
    pub(crate) fn clear(&mut self) {
        self.keys.clear();
        self.weight = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_forgotten_oldest_first_when_three_quarters_of_the_room_went_after_them() {
        let mut ghosts = Ghosts::new(100, 20);
        assert_eq!(ghosts.heavy(), 6);
        for key in 0..5 {
            ghosts.push(key, 20);
        }
        assert_eq!(
            (ghosts.pop_surplus(), ghosts.pop_surplus(), ghosts.pop_surplus()),
            (Some(0), Some(1), None)
        );
        ghosts.push(5, 1_000);
        assert_eq!(std::iter::from_fn(|| ghosts.pop_surplus()).collect::<Vec<_>>(), [2, 3, 4, 5]);
        ghosts.push(6, 75);
        ghosts.clear();
        ghosts.push(7, 75);
        assert_eq!(ghosts.pop_surplus(), None);
    }
}
