//! The invalidation log in every schedule: `src/log/markers.rs`, built here over shuttle's lock and atomics.

use std::sync::Arc;

use hotplate::log::{Mode, Position, Record, Standing};
use hotplate_policy::time::Timestamp;
use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::thread;

// What the three files take from their crate and from their parent.
mod key {
    pub(crate) use hotplate::key::Key;
}
mod sync {
    pub(crate) use shuttle::sync::RwLock;
    pub(crate) use shuttle::sync::atomic::{AtomicU64, Ordering};
}

#[path = "../src/log/marked.rs"]
#[allow(unreachable_pub, dead_code, reason = "of its own crate")]
mod marked;
#[path = "../src/log/markers.rs"]
#[allow(unreachable_pub, dead_code, reason = "public in its own crate")]
mod markers;
#[path = "../src/log/target.rs"]
#[allow(unreachable_pub, dead_code, reason = "public in its own crate")]
mod target;

use key::Key;
use markers::Log;
use target::{Footprint, Target, TargetId, Targets};

const NOW: Timestamp = Timestamp::from_unix_millis(1_000);

/// Uniformly random schedules, and some with few but well placed switches between threads.
fn in_every_schedule(test: impl Fn() + Send + Sync + Clone + 'static) {
    shuttle::check_random(test.clone(), 3_000);
    shuttle::check_pct(test, 1_500, 3);
}

fn footprint(log: &Log, tag: &str) -> Footprint {
    Footprint::new(log, Key::from_u128(1), b"h", b"/p", [tag])
}

#[test]
fn what_append_has_returned_is_seen_by_every_lookup_after_it() {
    in_every_schedule(|| {
        let log = Arc::new(Log::new());
        let entry = Arc::new(footprint(&log, "mine"));
        let verified = Arc::new(AtomicU64::new(0));
        let began = log.position();
        let appended = Arc::new(AtomicU64::new(0));
        let lookups: Vec<_> = (0..2)
            .map(|_| {
                let (log, entry) = (Arc::clone(&log), Arc::clone(&entry));
                let (verified, appended) = (Arc::clone(&verified), Arc::clone(&appended));
                thread::spawn(move || {
                    for _ in 0..2 {
                        let before = appended.load(Ordering::SeqCst);
                        let standing = log.standing_cached(&*entry, began, &verified);
                        if before == 1 {
                            assert_eq!(standing, Standing::Invalid);
                        }
                    }
                })
            })
            .collect();
        let others = {
            let log = Arc::clone(&log);
            thread::spawn(move || log.append(&Target::Tag("other"), Mode::Hard, NOW))
        };
        log.append(&Target::Tag("mine"), Mode::Hard, NOW);
        appended.store(1, Ordering::SeqCst);
        for lookup in lookups {
            lookup.join().unwrap();
        }
        others.join().unwrap();
        assert_eq!(log.standing_cached(&*entry, began, &verified), Standing::Invalid);
    });
}

#[test]
fn a_load_that_reads_old_content_is_never_usable_after_the_write_is_announced() {
    // The writer changes the content, then appends. The loader takes the position, then reads the content.
    in_every_schedule(|| {
        let log = Arc::new(Log::new());
        let content = Arc::new(AtomicU64::new(0));
        let writer = {
            let (log, content) = (Arc::clone(&log), Arc::clone(&content));
            thread::spawn(move || {
                content.store(1, Ordering::SeqCst);
                log.append(&Target::Tag("t"), Mode::Hard, NOW);
            })
        };
        let began = log.position();
        let read = content.load(Ordering::SeqCst);
        writer.join().unwrap();
        let verified = AtomicU64::new(began.as_u64());
        let standing = log.standing_cached(&footprint(&log, "t"), began, &verified);
        if read == 0 {
            assert_eq!(standing, Standing::Invalid);
        }
    });
}

#[test]
fn positions_are_given_once_and_only_grow() {
    in_every_schedule(|| {
        let log = Arc::new(Log::new());
        let writers: Vec<_> = (0..3)
            .map(|_| {
                let log = Arc::clone(&log);
                thread::spawn(move || {
                    let before = log.position();
                    let own = log.append(&Target::Everything, Mode::Soft, NOW);
                    assert!(own > before && log.position() >= own);
                    own
                })
            })
            .collect();
        let mut positions: Vec<Position> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        positions.sort_unstable();
        assert_eq!(positions, [1, 2, 3].map(Position::from_u64));
    });
}
