//! When the table of a cache is made as large as it will become.
//!
//! A table that grows by doubling is copied each time, with a lock held, and the allocator keeps what it leaves for a while:
//! of a cache that fills, as much again as the table itself. So a table is laid out whole, once, when a quarter of
//! what is expected is there. Not before: a cache that stays nearly empty takes next to nothing.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The part of the expected entries that has to be there.
const PART: usize = 4;

/// More places than these are left to doubling.
const MOST: usize = 1 << 20;

/// Tells when a table is to be laid out.
#[derive(Debug)]
pub(crate) struct LayingOut {
    expected: usize,
    /// So many insertions before somebody looks how many entries there are; 0: it is laid out.
    left: AtomicUsize,
}

impl LayingOut {
    pub(crate) fn new(expected: usize) -> Self {
        let expected = expected.min(MOST);
        Self { expected, left: AtomicUsize::new((expected / PART).max(1)) }
    }

    /// There is one entry more, or another in its place. `len`: how many there are; asked for rarely.
    ///
    /// **Returns** for how many more places are to be laid out now.
    #[inline]
    pub(crate) fn inserted(&self, len: impl FnOnce() -> usize) -> Option<usize> {
        if self.left.load(Ordering::Relaxed) == 0 || self.left.fetch_sub(1, Ordering::Relaxed) != 1 {
            return None;
        }
        let len = len();
        let missing = (self.expected / PART).saturating_sub(len);
        self.left.store(missing, Ordering::Relaxed);
        (missing == 0).then(|| self.expected.saturating_sub(len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_laid_out_once_when_a_quarter_of_it_is_filled() {
        let laying_out = LayingOut::new(800);
        let due: Vec<_> =
            (1..=800).filter_map(|len| laying_out.inserted(|| len).map(|more| (len, more))).collect();
        assert_eq!(due, [(200, 600)]);
    }

    #[test]
    fn entries_that_are_replaced_do_not_count() {
        let laying_out = LayingOut::new(800);
        assert!((0..10_000).all(|_| laying_out.inserted(|| 10).is_none()));
        let due: Vec<_> = (11..=800).filter_map(|len| laying_out.inserted(|| len).map(|_| len)).collect();
        assert_eq!(due.len(), 1);
        assert!((200..=400).contains(&due[0]), "{due:?}");
    }

    #[test]
    fn no_more_is_laid_out_than_is_good() {
        let laying_out = LayingOut::new(usize::MAX);
        let most = (1..=MOST).find_map(|len| laying_out.inserted(|| len));
        assert_eq!(most, Some(MOST - MOST / PART));
    }
}
