//! The invalidation log: what is no longer true, and since when.
//!
//! Every invalidation is a record with a **position**; positions only grow. A stored response carries the
//! position at which its load *began*. It may be used only if nothing it answers to (its key, its path, the
//! path's ancestors, its tags, or everything) has a record after that position. So an invalidation touches
//! one marker however many responses it concerns, and a slow load that began before it can never bring the
//! old content back, however late it ends.
//!
//! ```text
//! load begins ──► position() = 7
//!                                   append(tag "products") = 8      marker: products → 8
//! load ends   ──► stored at 7                                       8 > 7: not usable
//! ```
//!
//! # Cost
//!
//! Appending is one map write. Checking is one atomic load while no record was appended since the entry was
//! last found usable, else one map read per target of the entry.
//!
//! # Scope
//!
//! This log is in memory and ends with the process. It knows nothing of what is stored. With a shared tier every
//! process has one of these, and hears of the others' records through [`followed`].
//!
//! # Reading
//!
//! `target` says what an invalidation names and what a stored response answers to, `marked` what is known of each target;
//! `markers` keeps the log. It takes its lock and atomics from `sync`, so that `tests/log_model.rs` can build it over
//! shuttle's.

pub mod followed;
mod marked;
mod markers;
/// The locks and atomics of [`markers`].
mod sync {
    pub(super) use std::sync::RwLock;
    pub(super) use std::sync::atomic::{AtomicU64, Ordering};
}
mod target;

use hotplate_policy::time::Timestamp;

pub use markers::Log;
pub use target::{Footprint, MOST_ANCESTORS, Target, TargetId, Targets};

/// The place of a record in the log. A load is stamped with the position it began at.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Position(u64);

impl Position {
    /// The position with this number.
    #[must_use]
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }

    /// The position's number.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

/// Whether what is named is to be dropped, or served once more while it is refreshed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// Not served any more.
    Hard,
    /// Stale.
    Soft,
}

/// What the log says of a stored response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// Nothing was said of it since its load began.
    Current,
    /// It was marked stale.
    Soft,
    /// It is no longer true.
    Invalid,
}

/// A record as people see it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// Its place in the log.
    pub position: Position,
    /// What it names, in words.
    pub target: String,
    /// Hard or soft.
    pub mode: Mode,
    /// When it was appended.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::marked::MOST_MARKERS;
    use super::*;
    use crate::key::Key;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_unix_millis(1_000_000);

    fn footprint(log: &Log, path: &str, tags: &[&str]) -> Footprint {
        Footprint::new(log, Key::from_u128(7), b"example.org", path.as_bytes(), tags.iter().copied())
    }

    #[test]
    fn each_target_reaches_what_it_names_and_nothing_else() {
        let path: &[u8] = b"/products/42";
        for (target, reached) in [
            (Target::Everything, true),
            (Target::Key(Key::from_u128(7)), true),
            (Target::Key(Key::from_u128(8)), false),
            (Target::Tag("product:42"), true),
            (Target::Tag("product:4"), false),
            (Target::Tag("/products/42"), false),
            (Target::Path(path), true),
            (Target::Path(b"/products"), false),
            (Target::Path(b"/products/42/"), false),
            (Target::Uri { authority: b"EXAMPLE.org", path }, true),
            (Target::Uri { authority: b"example.com", path }, false),
            (Target::Prefix(b"/"), true),
            (Target::Prefix(b""), true),
            (Target::Prefix(b"/products"), true),
            (Target::Prefix(b"/products/"), true),
            (Target::Prefix(path), true),
            (Target::Prefix(b"/products/42//"), true),
            (Target::Prefix(b"/prod"), false),
            (Target::Prefix(b"/products/4"), false),
            (Target::Prefix(b"/products/42/reviews"), false),
        ] {
            let log = Log::new();
            let entry = footprint(&log, "/products/42", &["product:42", "products"]);
            let began = log.position();
            log.append(&target, Mode::Hard, NOW);
            let expected = if reached { Standing::Invalid } else { Standing::Current };
            assert_eq!(log.standing(&entry, began), expected, "{target:?}");
            assert_eq!(log.standing(&entry, log.position()), Standing::Current, "{target:?} loaded after");
        }
    }

    #[test]
    fn the_root_path_is_covered_by_the_root_prefix() {
        let log = Log::new();
        let entry = footprint(&log, "/", &[]);
        let began = log.position();
        log.append(&Target::Prefix(b"/"), Mode::Hard, NOW);
        assert_eq!(log.standing(&entry, began), Standing::Invalid);
    }

    #[test]
    fn soft_marks_stale_and_a_later_hard_one_drops() {
        let log = Log::new();
        let entry = footprint(&log, "/a", &["t"]);
        let began = log.position();
        log.append(&Target::Tag("t"), Mode::Soft, NOW);
        assert_eq!(log.standing(&entry, began), Standing::Soft);
        log.append(&Target::Tag("t"), Mode::Hard, NOW);
        assert_eq!(log.standing(&entry, began), Standing::Invalid);
        log.append(&Target::Tag("t"), Mode::Soft, NOW);
        assert_eq!(log.standing(&entry, began), Standing::Invalid);
    }

    #[test]
    fn the_remembered_answer_ends_with_the_next_record() {
        let log = Log::new();
        let entry = footprint(&log, "/a", &[]);
        let (began, verified) = (log.position(), AtomicU64::new(0));
        log.append(&Target::Tag("other"), Mode::Hard, NOW);
        assert_eq!(log.standing_cached(&entry, began, &verified), Standing::Current);
        assert_eq!(verified.load(Ordering::Relaxed), 1);
        log.append(&Target::Path(b"/a"), Mode::Hard, NOW);
        assert_eq!(log.standing_cached(&entry, began, &verified), Standing::Invalid);
    }

    #[test]
    fn what_pruned_markers_would_tell_is_not_forgotten() {
        let log = Log::new();
        let (old, began) = (footprint(&log, "/a", &[]), log.position());
        let last = log.append(&Target::Path(b"/a"), Mode::Hard, NOW);
        log.prune(NOW.plus(Duration::from_secs(10)), Duration::from_secs(5));
        assert_eq!(log.markers(), 0);
        assert_eq!(log.standing(&old, began), Standing::Invalid);
        assert_eq!(log.standing(&old, last), Standing::Current);
    }

    #[test]
    fn markers_are_bounded_and_dropping_them_forgets_no_invalidation() {
        let log = Log::new();
        let entry = footprint(&log, "/a", &["first"]);
        let began = log.position();
        log.append(&Target::Tag("first"), Mode::Hard, NOW);
        for index in 0..=MOST_MARKERS {
            log.append(&Target::Tag(&index.to_string()), Mode::Hard, NOW);
        }
        assert!(log.markers() <= MOST_MARKERS);
        assert_eq!(log.standing(&entry, began), Standing::Invalid);
        assert_eq!(log.standing(&entry, log.position()), Standing::Current);
    }

    #[test]
    fn a_response_found_usable_since_outlives_the_dropping_of_markers() {
        let log = Log::new();
        let (asked_for, forgotten) = (footprint(&log, "/a", &[]), footprint(&log, "/b", &[]));
        let (began, verified) = (log.position(), AtomicU64::new(0));
        for index in 0..MOST_MARKERS {
            log.append(&Target::Tag(&index.to_string()), Mode::Hard, NOW);
        }
        assert_eq!(log.standing_cached(&asked_for, began, &verified), Standing::Current);
        log.append(&Target::Tag("one more"), Mode::Hard, NOW);
        assert_eq!(log.standing_cached(&asked_for, began, &verified), Standing::Current);
        assert_eq!(log.standing_cached(&forgotten, began, &AtomicU64::new(0)), Standing::Invalid);
        log.append(&Target::Path(b"/a"), Mode::Hard, NOW);
        assert_eq!(log.standing_cached(&asked_for, began, &verified), Standing::Invalid);
    }

    #[test]
    fn slashes_beyond_number_cost_little_and_escape_no_prefix() {
        let log = Log::new();
        let deep = "/a".repeat(30_000);
        let entry = footprint(&log, &deep, &[]);
        assert_eq!(entry.len(), 3 + MOST_ANCESTORS);
        for prefix in ["/a".repeat(3), "/a".repeat(40), "/a".repeat(30_000), format!("{deep}///")] {
            let began = log.position();
            log.append(&Target::Prefix(prefix.as_bytes()), Mode::Hard, NOW);
            assert_eq!(log.standing(&entry, began), Standing::Invalid, "{} bytes", prefix.len());
        }
    }

    #[test]
    fn two_texts_are_not_read_as_another_two() {
        let log = Log::new();
        let entry = Footprint::new(&log, Key::from_u128(7), b"ab", b"/c", ["d"]);
        for target in [
            Target::Uri { authority: b"a", path: b"b/c" },
            Target::Uri { authority: b"ab/", path: b"c" },
            Target::Uri { authority: b"", path: b"/c" },
            Target::Tag("/c"),
            Target::Path(b"d"),
            Target::Prefix(b"d"),
        ] {
            let began = log.position();
            log.append(&target, Mode::Hard, NOW);
            assert_eq!(log.standing(&entry, began), Standing::Current, "{target:?}");
        }
    }

    #[test]
    fn recent_records_say_what_was_named() {
        let log = Log::new();
        log.append(&Target::Prefix(b"/a"), Mode::Hard, NOW);
        log.append(&Target::Tag("t"), Mode::Soft, NOW);
        let words: Vec<String> = log.recent(5).into_iter().map(|record| record.target).collect();
        assert_eq!(words, ["tag t", "prefix /a"]);
    }

    proptest! {
        /// Against the plain definition: usable if and only if no record after the load names it.
        #[test]
        fn standing_agrees_with_reading_the_whole_log(
            operations in proptest::collection::vec((0_u8..6, 0_u8..3, any::<bool>()), 0..40)
        ) {
            let log = Log::new();
            let tags = ["t0", "t1", "t2"];
            let mut loads: Vec<(usize, usize)> = Vec::new();
            let mut records: Vec<Option<usize>> = Vec::new();
            for (what, which, hard) in operations {
                let which = usize::from(which);
                match what {
                    0 | 1 => loads.push((which, records.len())),
                    2 if hard => {
                        log.append(&Target::Everything, Mode::Hard, NOW);
                        records.push(None);
                    }
                    _ => {
                        log.append(&Target::Tag(tags[which]), Mode::Hard, NOW);
                        records.push(Some(which));
                    }
                }
                for (tag, began) in &loads {
                    let named = records[*began..].iter().any(|record| record.is_none_or(|named| named == *tag));
                    let entry = footprint(&log, "/a", &[tags[*tag]]);
                    let standing = log.standing(&entry, Position::from_u64(*began as u64));
                    prop_assert_eq!(standing == Standing::Invalid, named);
                }
            }
        }
    }
}
