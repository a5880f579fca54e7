//! Values under names, set and read by many processes.

use std::time::Duration;

use hotplate::key::Key;
use hotplate::log::{Mode, Target};
use hotplate::tier::memory::Condition;

use crate::random::value_key;
use crate::tasks::{Dice, Work};
use crate::world::World;

fn name() -> Key {
    value_key(9)
}

fn worlds() -> [World; 2] {
    [World::of(2), World::without_local(2)].map(|mut world| {
        world.settle();
        world
    })
}

#[test]
fn a_value_set_in_one_process_is_read_in_another() {
    for mut world in worlds() {
        let op = world.set_value(0, name(), "one", &[]);
        world.settle();
        assert_eq!(world.ops[op.0].returned, Some(true));
        for process in [0, 1] {
            assert_eq!(world.value(process, name()).as_deref(), Some("one"));
        }
        world.set_value(1, name(), "two", &[]);
        world.settle();
        for process in [0, 1] {
            assert_eq!(world.value(process, name()).as_deref(), Some("two"));
        }
    }
}

#[test]
fn a_value_deleted_or_invalidated_by_its_tag_is_gone_everywhere() {
    for mut world in worlds() {
        for deleted in [true, false] {
            world.set_value(0, name(), "one", &["tag"]);
            world.settle();
            assert_eq!(world.value(1, name()).as_deref(), Some("one"));
            if deleted {
                world.delete_value(1, name());
            } else {
                world.invalidate(1, &Target::Tag("tag"), Mode::Hard);
            }
            world.settle();
            for process in [0, 1] {
                assert_eq!(world.value(process, name()), None, "process {process}, deleted {deleted}");
            }
        }
    }
}

#[test]
fn a_value_that_was_marked_stale_is_absent() {
    for mut world in worlds() {
        world.set_value(0, name(), "one", &["tag"]);
        world.settle();
        assert_eq!(world.value(1, name()).as_deref(), Some("one"));
        world.invalidate(0, &Target::Tag("tag"), Mode::Soft);
        world.settle();
        for process in [0, 1] {
            assert_eq!(world.value(process, name()), None);
        }
    }
}

/// In every order in which the tasks of one process may run.
#[test]
fn a_value_set_after_a_delete_that_has_returned_is_there() {
    for seed in 0..300 {
        for mut world in worlds() {
            let mut dice = Dice::new(seed);
            world.set_value(0, name(), "one", &[]);
            world.settle();
            let deleting = world.delete_value(0, name());
            until(&mut world, &mut dice, |world| world.ops[deleting.0].returned.is_some());
            let setting = world.set_value(0, name(), "two", &[]);
            until(&mut world, &mut dice, |world| world.ops[setting.0].returned.is_some());
            assert_eq!(world.ops[setting.0].returned, Some(true));
            world.settle_by(&mut dice);
            for process in [1, 0] {
                let found = world.value(process, name());
                assert_eq!(found.as_deref(), Some("two"), "process {process}, seed {seed}");
            }
        }
    }
}

/// Two values set at once, each by one of these processes.
#[track_caller]
fn assert_everybody_has_the_same(setters: [usize; 2]) {
    for seed in 0..300 {
        for mut world in worlds() {
            let mut dice = Dice::new(seed);
            let [first, second] = setters;
            let ops =
                [world.set_value(first, name(), "one", &[]), world.set_value(second, name(), "two", &[])];
            world.settle_by(&mut dice);
            world.advance(Duration::from_secs(1));
            assert!(ops.iter().all(|op| world.ops[op.0].returned == Some(true)));
            let found = [world.value(0, name()), world.value(1, name())];
            assert_eq!(found[0], found[1], "seed {seed}");
            assert!(found[0].is_some(), "both were told that it is there: seed {seed}");
        }
    }
}

#[test]
fn of_two_values_set_at_once_by_two_processes_everybody_has_the_same() {
    assert_everybody_has_the_same([0, 1]);
}

#[test]
fn of_two_values_set_at_once_by_one_process_everybody_has_the_same() {
    assert_everybody_has_the_same([0, 0]);
}

#[test]
fn a_value_set_before_the_log_was_read_for_the_first_time_is_there_for_all() {
    for keeps in [true, false] {
        let mut world = World::of(1);
        world.settle();
        let late = world.start(keeps);
        let op = world.set_value(late, name(), "early", &[]);
        world.settle_only(|task| !matches!(task.work, Work::Follow(_)));
        world.advance(Duration::from_secs(1));
        assert_eq!(world.ops[op.0].returned, Some(true));
        for process in [0, late] {
            assert_eq!(world.value(process, name()).as_deref(), Some("early"), "process {process}");
        }
    }
}

#[test]
fn a_value_set_in_an_outage_is_the_own_processs_and_ends_the_older_one_afterwards() {
    let [mut world, _] = worlds();
    world.set_value(1, name(), "old", &[]);
    world.settle();
    assert_eq!(world.value(0, name()).as_deref(), Some("old"));
    world.set(Condition::Down);
    world.advance(Duration::from_millis(100));
    let op = world.set_value(0, name(), "new", &[]);
    world.settle();
    assert_eq!(world.ops[op.0].returned, Some(false), "it is said that the others do not have it");
    assert_eq!(world.value(0, name()).as_deref(), Some("new"));
    world.set(Condition::Up);
    world.advance(Duration::from_secs(1));
    assert_eq!(world.value(0, name()).as_deref(), Some("new"));
    assert_ne!(world.value(1, name()).as_deref(), Some("old"));
}

/// Polls in an order that `dice` draw until something is so.
fn until(world: &mut World, dice: &mut Dice, so: impl Fn(&World) -> bool) {
    world.gather();
    while !so(world) {
        let ready = world.ready();
        assert!(!ready.is_empty(), "nothing is left to run");
        world.poll(ready[dice.below(ready.len())]);
    }
}
