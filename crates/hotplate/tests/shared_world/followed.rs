//! What a process hears of the log: gaps, new epochs, and what comes in between.

use std::time::Duration;

use hotplate::log::{Mode, Target};
use hotplate::tier::memory::Condition;

use crate::ask::get;
use crate::reply::ok;
use crate::tasks::{Task, Work};
use crate::world::{Standing, World};

/// After so many polls of the reader of a log with a gap its snapshot is made, and on its way: the tail's answer takes a
/// turn, the snapshot is made in the next, and its answer takes one more.
const SNAPSHOT_MADE: usize = 3;

fn follows(process: usize) -> impl Fn(&Task) -> bool {
    move |task| task.process == process && matches!(task.work, Work::Follow(_))
}

/// A world in which process 1 has found what process 0 has stored under these paths.
fn stored(keeps: bool, paths: &[&str]) -> World {
    let mut world = if keeps { World::of(2) } else { World::without_local(2) };
    world.settle();
    for path in paths {
        world.send(0, get(path), &ok("old"));
        assert_eq!(world.found(1, path).text(), "old");
    }
    world
}

/// Neither of the first two processes finds anything usable under this path.
#[track_caller]
fn assert_nobody_has(world: &mut World, path: &str) {
    for process in [0, 1] {
        let client = world.ask(process, get(path));
        let local = world.processes[process].keeps;
        assert_eq!(world.standing(client), Standing::Loading, "process {process}, local {local}");
        let load = world.load(client);
        world.abandon(load);
        world.settle();
    }
}

#[test]
fn an_invalidation_reaches_every_process_without_time_passing() {
    for keeps in [true, false] {
        let mut world = stored(keeps, &["/a", "/b"]);
        world.invalidate(0, &Target::Path(b"/a"), Mode::Hard);
        world.settle();
        assert_eq!(world.found(1, "/b").text(), "old");
        let client = world.ask(1, get("/a"));
        assert_eq!(world.standing(client), Standing::Loading);
    }
}

#[test]
fn a_load_from_before_an_invalidation_by_another_process_is_not_found_by_anybody() {
    for keeps in [true, false] {
        let mut world = if keeps { World::of(3) } else { World::without_local(3) };
        world.settle();
        let slow = world.ask(0, get("/a"));
        let load = world.load(slow);
        world.invalidate(1, &Target::Path(b"/a"), Mode::Hard);
        world.settle();
        world.finish_with(load, &ok("old"));
        world.settle();
        assert_eq!(world.answer(slow).text(), "old", "its own client asked before");
        for process in [2, 1, 0] {
            let client = world.ask(process, get("/a"));
            if let Some(load) = world.load_of(client) {
                world.finish_with(load, &ok("new"));
                world.settle();
            }
            assert_eq!(world.answer(client).text(), "new", "process {process}");
        }
    }
}

#[test]
fn who_did_not_read_records_before_they_were_dropped_cannot_trust_the_log_and_nobody_does() {
    for keeps in [true, false] {
        let mut world = stored(keeps, &["/a", "/b"]);
        world.stop_following(1);
        world.invalidate(0, &Target::Path(b"/a"), Mode::Hard);
        world.invalidate(0, &Target::Tag("other"), Mode::Hard);
        world.settle();
        world.tier.tamper(|store| store.trim(0));
        world.follow(1);
        world.advance(Duration::from_secs(1));
        for process in [0, 1] {
            assert_eq!(
                world.stats(process).epochs,
                1,
                "whether a failover put others in their place is not known"
            );
            for path in ["/a", "/b"] {
                let client = world.begin(process, get(path));
                assert_ne!(world.standing(client), Standing::Answered, "{path} in process {process}");
            }
        }
    }
}

#[test]
fn records_dropped_after_everybody_has_read_them_are_not_missed() {
    for keeps in [true, false] {
        let mut world = stored(keeps, &["/a", "/b"]);
        for _ in 0..3 {
            world.invalidate(0, &Target::Path(b"/a"), Mode::Hard);
            world.settle();
            world.tier.tamper(|store| store.trim(0));
            world.advance(Duration::from_secs(1));
        }
        for process in [0, 1] {
            assert_eq!((world.stats(process).gaps, world.stats(process).epochs), (1, 0), "process {process}");
            assert_eq!(world.found(process, "/b").text(), "old");
        }
        let client = world.ask(1, get("/a"));
        assert_eq!(world.standing(client), Standing::Loading);
    }
}

#[test]
fn a_new_epoch_ends_everything_that_was_stored() {
    for keeps in [true, false] {
        let mut world = stored(keeps, &["/a", "/b"]);
        world.flush();
        world.advance(Duration::from_secs(1));
        for process in [0, 1] {
            assert_eq!(world.stats(process).epochs, 1);
            for path in ["/a", "/b"] {
                let client = world.begin(process, get(path));
                assert_ne!(world.standing(client), Standing::Answered, "{path} in process {process}");
            }
        }
    }
}

#[test]
fn what_was_loaded_in_the_epoch_before_is_not_found_in_the_next() {
    let mut world = World::without_local(2);
    world.settle();
    let slow = world.ask(0, get("/a"));
    let load = world.load(slow);
    world.flush();
    world.advance(Duration::from_secs(1));
    world.finish_with(load, &ok("of another epoch"));
    world.settle();
    let client = world.ask(1, get("/a"));
    assert_eq!(world.standing(client), Standing::Loading);
}

#[test]
fn invalidations_lost_with_the_log_reach_everybody_by_the_new_epoch() {
    for keeps in [true, false] {
        let mut world = stored(keeps, &["/a"]);
        let copy = world.tier.tamper(|store| store.clone());
        world.stop_following(1);
        world.invalidate(0, &Target::Path(b"/a"), Mode::Hard);
        world.settle();
        world.distant.forget_stamps();
        world.tier.tamper(|store| store.fail_over_to(copy));
        world.follow(1);
        world.advance(Duration::from_secs(2));
        assert_eq!(world.stats(0).head.epoch, 2, "process 0 has seen a record that is gone");
        let client = world.ask(1, get("/a"));
        assert_eq!(world.standing(client), Standing::Loading, "local {keeps}");
    }
}

#[test]
fn an_acknowledged_invalidation_that_is_lost_before_its_process_has_read_it_is_not_forgotten() {
    for keeps in [true, false] {
        let mut world = stored(keeps, &["/a"]);
        let copy = world.tier.tamper(|store| store.clone());
        world.settle();
        let change = world.invalidate(0, &Target::Path(b"/a"), Mode::Hard);
        world.settle_only(|task| !matches!(task.work, Work::Follow(_)));
        assert!(world.head_of(change).is_some(), "it is acknowledged");
        world.distant.forget_stamps();
        world.tier.tamper(|store| store.fail_over_to(copy));
        world.advance(Duration::from_secs(2));
        for process in [0, 1] {
            let client = world.begin(process, get("/a"));
            world.settle();
            assert_eq!(world.standing(client), Standing::Loading, "process {process}, local {keeps}");
            let load = world.load(client);
            world.abandon(load);
            world.settle();
        }
    }
}

#[test]
fn a_failover_is_noticed_although_the_record_that_would_tell_has_been_dropped() {
    for keeps in [true, false] {
        let mut world = stored(keeps, &["/a"]);
        let copy = world.tier.tamper(|store| store.clone());
        world.stop_following(1);
        world.invalidate(0, &Target::Path(b"/a"), Mode::Hard);
        world.settle();
        world.stop_following(0);
        world.distant.forget_stamps();
        world.tier.tamper(|store| store.fail_over_to(copy));
        // Others go on with the log, past where process 0 has read it, and it is trimmed.
        for tag in ["one", "two", "three"] {
            world.invalidate(1, &Target::Tag(tag), Mode::Hard);
        }
        world.settle();
        world.tier.tamper(|store| store.trim(0));
        for process in [0, 1] {
            world.follow(process);
        }
        world.advance(Duration::from_secs(2));
        assert_nobody_has(&mut world, "/a");
    }
}

#[test]
fn what_was_read_before_a_failover_and_contradicts_what_was_written_after_it_ends_the_epoch() {
    for keeps in [true, false] {
        let mut world = stored(keeps, &["/a"]);
        let third = world.start(keeps);
        world.settle();
        world.stop_following(1);
        let copy = world.tier.tamper(|store| store.clone());
        world.invalidate(0, &Target::Path(b"/a"), Mode::Hard);
        world.settle();
        assert_eq!(world.stats(0).head.position, 1);
        // What comes second is on its way to process 0 when the log is lost, and its author with it.
        world.invalidate(third, &Target::Tag("second"), Mode::Hard);
        world.settle_only(|task| task.process == third && !matches!(task.work, Work::Follow(_)));
        let reader = (0..world.tasks.len()).find(|task| follows(0)(&world.tasks[*task])).unwrap();
        world.poll(reader);
        assert_eq!(world.stats(0).head.position, 1, "it has been read, and not been applied");
        world.die(third);
        world.distant.forget_stamps();
        world.tier.tamper(|store| store.fail_over_to(copy));
        // Two others take the places of the two, the second by process 0.
        for process in [1, 0] {
            world.invalidate(process, &Target::Tag("other"), Mode::Hard);
            world.settle_only(|task| task.process == process && !matches!(task.work, Work::Follow(_)));
        }
        world.follow(1);
        world.settle();
        world.advance(Duration::from_secs(1));
        assert_nobody_has(&mut world, "/a");
    }
}

#[test]
fn a_position_after_a_failover_is_not_compared_with_one_from_before() {
    let mut world = World::without_local(2);
    world.settle();
    let copy = world.tier.tamper(|store| store.clone());
    for tag in ["one", "two"] {
        world.invalidate(1, &Target::Tag(tag), Mode::Hard);
        world.settle();
    }
    let client = world.ask(1, get("/a"));
    let load = world.load(client);
    world.distant.forget_stamps();
    world.tier.tamper(|store| store.fail_over_to(copy));
    let not_the_log = |task: &Task| !matches!(task.work, Work::Follow(_));
    world.finish_with(load, &ok("old"));
    world.settle_only(not_the_log);
    // Stored with position 2 of the log that is gone; the invalidation has position 1 of the one there is now.
    let change = world.invalidate(0, &Target::Path(b"/a"), Mode::Hard);
    world.settle_only(not_the_log);
    assert_eq!(world.head_of(change).map(|head| head.position), Some(1));
    let client = world.begin(0, get("/a"));
    world.settle_only(not_the_log);
    assert_ne!(world.standing(client), Standing::Answered);
}

#[test]
fn an_own_invalidation_that_a_snapshot_has_not_seen_is_not_forgotten_with_what_it_replaces() {
    for keeps in [true, false] {
        let mut world = if keeps { World::of(2) } else { World::without_local(2) };
        world.settle();
        world.send(0, get("/a"), &ok("old"));
        // Process 1 has not kept it, and has fallen behind the log.
        world.stop_following(1);
        world.invalidate(0, &Target::Tag("other"), Mode::Hard);
        world.settle();
        world.tier.tamper(|store| store.trim(0));
        world.follow(1);
        let heads = world.stats(1).head;
        let mut polls = 0;
        let client = loop {
            let follow = (0..world.tasks.len()).find(|task| follows(1)(&world.tasks[*task])).unwrap();
            if polls == SNAPSHOT_MADE {
                break world.begin(1, get("/a"));
            }
            world.poll(follow);
            polls += 1;
        };
        assert_eq!(world.stats(1).head, heads, "the snapshot has not been applied");
        // The client's lookup has read the value and the head; its answer is on its way too.
        for _ in 0..2 {
            let its = (0..world.tasks.len()).find(|task| matches!(world.tasks[*task].work, Work::Seek(..)));
            world.poll(its.unwrap());
        }
        let change = world.invalidate(1, &Target::Path(b"/a"), Mode::Hard);
        world.settle_only(|task| {
            task.process == 1 && matches!(task.work, Work::Spawned(_) | Work::Append(..))
        });
        assert!(world.head_of(change).is_some(), "the invalidation is acknowledged");
        // Now the snapshot, which does not have it; the tail that does comes later.
        let follow = (0..world.tasks.len()).find(|task| follows(1)(&world.tasks[*task])).unwrap();
        world.poll(follow);
        assert_ne!(world.stats(1).head, heads, "the snapshot has been applied");
        world.settle_only(|task| matches!(task.work, Work::Seek(..)));
        assert_ne!(world.standing(client), Standing::Answered, "what was invalidated here is served here");
        world.settle();
        let late = world.ask(1, get("/a"));
        assert_ne!(world.standing(late), Standing::Answered, "and stays");
    }
}

#[test]
fn a_process_invalidates_before_it_has_read_the_log_for_the_first_time() {
    for keeps in [true, false] {
        let mut world = stored(keeps, &["/a"]);
        let late = world.start(keeps);
        let change = world.invalidate(late, &Target::Path(b"/a"), Mode::Hard);
        // Acknowledged before the first snapshot is read.
        world.settle_only(|task| !matches!(task.work, Work::Follow(_)));
        assert!(world.head_of(change).is_some());
        world.advance(Duration::from_secs(1));
        let answer = world.send(late, get("/a"), &ok("new"));
        assert_eq!(answer.text(), "new");
        for process in 0..3 {
            assert_eq!(world.found(process, "/a").text(), "new", "process {process}");
        }
        // And the target is usable from then on.
        let other = world.start(false);
        world.settle();
        assert_eq!(world.found(other, "/a").text(), "new");
    }
}

#[test]
fn a_response_whose_head_is_not_applied_yet_is_waited_for_and_then_judged() {
    let mut world = stored(false, &["/a"]);
    world.stop_following(1);
    world.invalidate(0, &Target::Tag("other"), Mode::Hard);
    world.settle();
    let client = world.ask(1, get("/a"));
    assert_eq!(world.standing(client), Standing::Seeking, "the log is to be applied first");
    world.follow(1);
    world.settle();
    assert_eq!(world.answer(client).text(), "old");
}

#[test]
fn a_process_that_stays_behind_loads_rather_than_waits() {
    let mut world = stored(false, &["/a"]);
    world.stop_following(1);
    world.invalidate(0, &Target::Tag("other"), Mode::Hard);
    world.settle();
    let client = world.ask(1, get("/a"));
    world.advance(Duration::from_millis(100));
    assert_eq!(world.standing(client), Standing::Loading);
}

#[test]
fn pending_invalidations_are_sent_again_after_a_flush_in_an_outage() {
    let mut world = stored(true, &["/a"]);
    world.set(Condition::Failing);
    world.invalidate(0, &Target::Path(b"/a"), Mode::Hard);
    world.advance(Duration::from_millis(200));
    world.flush();
    world.set(Condition::Up);
    world.advance(Duration::from_secs(2));
    assert_eq!(world.stats(0).head.epoch, 2);
    assert!(world.stats(0).head.position > 0, "its record is in the new log");
    world.send(0, get("/a"), &ok("new"));
    let third = world.start(false);
    world.settle();
    assert_eq!(world.found(third, "/a").text(), "new", "and what was loaded since is usable");
}
