//! Those who wait: for a load of their own process, and for one of another.

use std::time::Duration;

use hotplate::log::{Mode, Target};
use hotplate::tier::memory::Condition;

use crate::ask::get;
use crate::reply::ok;
use crate::tasks::{Task, Work};
use crate::world::{Standing, World};

fn not_the_log(task: &Task) -> bool {
    !matches!(task.work, Work::Follow(_))
}

#[test]
fn one_process_loads_and_the_clients_of_all_get_its_answer() {
    for keeps in [true, false] {
        let mut world = if keeps { World::of(3) } else { World::without_local(3) };
        world.settle();
        let clients: Vec<_> = (0..9).map(|number| world.ask(number % 3, get("/a"))).collect();
        assert_eq!(world.open_loads().len(), 1);
        let load = world.open_loads()[0];
        world.finish_with(load, &ok("once"));
        world.settle();
        for client in clients {
            assert_eq!(world.standing(client), Standing::Answered);
            assert_eq!(world.answer(client).text(), "once");
        }
        assert_eq!(world.runs(), 1);
    }
}

#[test]
fn without_a_local_tier_those_who_wait_in_the_process_of_the_load_are_given_the_entry() {
    let mut world = World::without_local(1);
    world.settle();
    let leader = world.ask(0, get("/a"));
    let waiters = [world.ask(0, get("/a")), world.ask(0, get("/a"))];
    let load = world.load(leader);
    world.set(Condition::Down);
    world.finish_with(load, &ok("given"));
    world.settle();
    for client in waiters {
        assert_eq!(world.answer(client).text(), "given", "nobody could look it up");
    }
    assert_eq!(world.runs(), 1);
}

#[test]
fn without_a_local_tier_all_who_look_at_once_are_given_what_is_found() {
    let mut world = World::without_local(2);
    world.settle();
    world.send(0, get("/a"), &ok("found"));
    let clients = [world.begin(1, get("/a")), world.begin(1, get("/a")), world.begin(1, get("/a"))];
    world.settle();
    for client in clients {
        assert_eq!(world.answer(client).text(), "found");
    }
    assert_eq!(world.runs(), 1);
}

#[test]
fn without_a_local_tier_who_waits_for_a_load_is_as_old_as_that_and_who_does_not_is_not() {
    let mut world = World::without_local(2);
    world.settle();
    world.data.insert("/a".into(), 1);
    let early = world.ask(1, get("/a"));
    let load = world.load(early);
    // Process 1 does not get to reading the log.
    world.data.insert("/a".into(), 2);
    let change = world.invalidate(0, &Target::Path(b"/a"), Mode::Hard);
    world.settle_only(|task| task.process == 0);
    assert!(world.head_of(change).is_some(), "whoever invalidated has been told that it is done");
    let waits = world.begin(1, get("/a"));
    world.settle_only(not_the_log);
    let read = world.loads[load.0].read.to_string();
    world.finish_with(load, &ok(&read));
    world.settle_only(not_the_log);
    assert_eq!(world.answer(waits).text(), "1", "it collapsed with a load from before");
    // Nothing to wait for: the shared tier is asked, and the log applied as far as it says.
    let late = world.begin(1, get("/a"));
    world.settle_only(not_the_log);
    assert_eq!(world.standing(late), Standing::Seeking);
    world.settle();
    let load = world.load(late);
    assert_eq!(world.loads[load.0].read, 2);
}

#[test]
fn without_a_local_tier_who_waits_for_a_lookup_is_as_old_as_that_and_who_does_not_is_not() {
    let mut world = World::without_local(2);
    world.settle();
    world.send(0, get("/a"), &ok("1"));
    let early = world.begin(1, get("/a"));
    // It has read the value and the head, and its answer is on its way.
    for _ in 0..2 {
        assert!(world.poll_lookup_of(early));
    }
    let change = world.invalidate(0, &Target::Path(b"/a"), Mode::Hard);
    world.settle_only(|task| task.process == 0);
    assert!(world.head_of(change).is_some());
    let waits = world.begin(1, get("/a"));
    world.settle_only(not_the_log);
    for client in [early, waits] {
        assert_eq!(world.answer(client).text(), "1");
    }
    let late = world.ask(1, get("/a"));
    assert_eq!(world.standing(late), Standing::Loading);
}

#[test]
fn without_a_local_tier_nobody_waits_for_what_the_own_process_has_invalidated() {
    let mut world = World::without_local(1);
    world.settle();
    let early = world.ask(0, get("/a"));
    let load = world.load(early);
    world.invalidate(0, &Target::Path(b"/a"), Mode::Hard);
    let late = world.ask(0, get("/a"));
    world.finish_with(load, &ok("old"));
    world.settle();
    let load = world.load(late);
    world.finish_with(load, &ok("new"));
    world.settle();
    assert_eq!((world.answer(early).text(), world.answer(late).text()), ("old", "new"));
}

#[test]
fn who_asks_after_an_invalidation_does_not_wait_for_the_load_before_it_in_the_same_process() {
    let mut world = World::of(2);
    world.settle();
    let early = world.ask(0, get("/a"));
    let load = world.load(early);
    world.invalidate(0, &Target::Path(b"/a"), Mode::Hard);
    world.settle();
    let late = world.ask(0, get("/a"));
    world.finish_with(load, &ok("old"));
    world.settle();
    let load = world.load(late);
    world.finish_with(load, &ok("new"));
    world.settle();
    assert_eq!(world.answer(early).text(), "old");
    assert_eq!(world.answer(late).text(), "new");
    for process in [0, 1] {
        assert_eq!(world.found(process, "/a").text(), "new");
    }
}

#[test]
fn a_load_that_ended_while_it_was_being_looked_up_is_not_repeated() {
    let mut world = World::of(2);
    world.settle();
    let leader = world.ask(0, get("/a"));
    let late = world.begin(1, get("/a"));
    // Process 1 has seen that nothing is stored, and not asked for the lease yet.
    for _ in 0..3 {
        assert!(world.poll_lookup_of(late));
    }
    let load = world.load(leader);
    world.finish_with(load, &ok("once"));
    world.settle_only(|task| task.process == 0);
    world.settle();
    assert_eq!(world.answer(late).text(), "once");
    assert_eq!(world.runs(), 1);
}

#[test]
fn a_notice_that_is_lost_costs_a_tenth_of_a_second() {
    let mut world = World::of(2);
    world.settle();
    let leader = world.ask(0, get("/a"));
    let waiter = world.ask(1, get("/a"));
    let load = world.load(leader);
    world.finish_with(load, &ok("late"));
    // The notice is told from the poll in which the lease is given back; here the process hears nothing for a while.
    world.settle_only(|task| task.process == 0);
    world.advance(Duration::from_millis(150));
    assert_eq!(world.answer(waiter).text(), "late");
}
