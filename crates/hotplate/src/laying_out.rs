//! When the table of a cache is made larger, and how large.
//!
//! A table that grows by doubling is copied each time, with a lock held, and the allocator keeps what it leaves for a while:
//! of a cache that fills, as much again as the table itself, and where it has huge pages, one for most of the sizes that the
//! table has had. So a table is laid out in few steps, each when a part of it is there. Not before: a cache that stays
//! nearly empty takes next to nothing.

use std::sync::atomic::{AtomicUsize, Ordering};

/// More places than these are left to doubling.
const MOST: usize = 1 << 20;

/// A step has more places than these.
const FEW: usize = 256;

/// Tells when a table is to be laid out.
#[derive(Debug)]
pub(crate) struct LayingOut {
    expected: usize,
    /// The last step but one has more places than these.
    few: usize,
    /// Of the places of a step, one in so many has to be filled before it comes.
    part: usize,
    /// So many insertions before somebody looks how many entries there are; 0: it is laid out.
    left: AtomicUsize,
}

impl LayingOut {
    /// For a table of so many entries: whole, when one in `part` of them is there.
    pub(crate) fn at_once(expected: usize, part: usize) -> Self {
        Self::new(expected, usize::MAX, part)
    }

    /// For a table of so many entries: in steps, each with `part` times the places of the one before.
    pub(crate) fn in_steps(expected: usize, part: usize) -> Self {
        Self::new(expected, FEW, part)
    }

    fn new(expected: usize, few: usize, part: usize) -> Self {
        let laying_out = Self { expected: expected.min(MOST), few, part, left: AtomicUsize::new(0) };
        let due = laying_out.places(0) / part;
        Self { left: AtomicUsize::new(due.max(1)), ..laying_out }
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
        let places = self.places(len);
        let missing = (places / self.part).saturating_sub(len);
        let more = places.saturating_sub(len);
        let left = match missing {
            0 if places == self.expected => 0,
            0 => more,
            _ => missing,
        };
        self.left.store(left, Ordering::Relaxed);
        (missing == 0).then_some(more)
    }

    /// The places of the step that is next with so many entries.
    fn places(&self, len: usize) -> usize {
        let mut places = self.expected;
        while places / self.part > len.max(self.few) {
            places /= self.part;
        }
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When a table that fills is laid out, and for how many more.
    fn steps(laying_out: &LayingOut, most: usize) -> Vec<(usize, usize)> {
        (1..=most).filter_map(|len| laying_out.inserted(|| len).map(|more| (len, more))).collect()
    }

    #[test]
    fn a_table_is_laid_out_once_when_a_part_of_it_is_filled() {
        assert_eq!(steps(&LayingOut::at_once(8_000, 4), 8_000), [(2_000, 6_000)]);
        assert_eq!(steps(&LayingOut::in_steps(800, 8), 800), [(100, 700)]);
        assert_eq!(steps(&LayingOut::in_steps(1, 8), 10), [(1, 0)]);
    }

    #[test]
    fn a_large_one_is_laid_out_in_steps_each_when_the_one_before_is_filled() {
        let laying_out = LayingOut::in_steps(8 << 12, 8);
        assert_eq!(steps(&laying_out, 8 << 12), [(64, 448), (512, 7 << 9), (8 << 9, 7 << 12)]);
    }

    #[test]
    fn entries_that_are_replaced_do_not_count() {
        let laying_out = LayingOut::at_once(800, 4);
        assert!((0..10_000).all(|_| laying_out.inserted(|| 10).is_none()));
        let due: Vec<_> = (11..=800).filter_map(|len| laying_out.inserted(|| len).map(|_| len)).collect();
        assert_eq!(due.len(), 1);
        assert!((200..=400).contains(&due[0]), "{due:?}");
    }

    #[test]
    fn no_more_is_laid_out_than_is_good() {
        let last = steps(&LayingOut::at_once(usize::MAX, 4), MOST).pop();
        assert_eq!(last, Some((MOST / 4, MOST - MOST / 4)));
    }
}
