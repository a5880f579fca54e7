//! How a load ends, for those who wait for it in other processes.

use std::time::Duration;

use hotplate::share::ShareOptions;

use crate::ask::get;
use crate::reply::{Reply, ok, status};
use crate::tasks::Work;
use crate::world::{ClientId, Making, Standing, World};

const LEASE: Duration = Duration::from_secs(3);

fn world(processes: usize) -> World {
    let mut world = World::with(Making {
        keeps: vec![true; processes],
        share: ShareOptions { lease: LEASE, ..ShareOptions::default() },
        ..Making::default()
    });
    world.settle();
    world
}

#[test]
fn an_answer_that_cannot_be_stored_lets_everybody_go_at_once_in_every_process() {
    let mut world = world(3);
    let leader = world.ask(0, get("/a"));
    let waiters: Vec<_> = (0..6).map(|number| world.ask(number % 3, get("/a"))).collect();
    let load = world.load(leader);
    world.head(load, &ok("mine").cache_control("private"));
    world.settle();
    for client in &waiters {
        assert_eq!(world.standing(*client), Standing::Loading, "they go in parallel");
    }
    // For a while nobody waits for this key, in no process.
    for process in 0..3 {
        let client = world.ask(process, get("/a"));
        assert_eq!(world.standing(client), Standing::Loading);
    }
}

#[test]
fn where_a_load_fails_another_process_loads_for_itself() {
    let raised = Reply::raise("boom");
    let failed = status(503);
    for reply in [raised, failed] {
        let mut world = world(2);
        let leader = world.ask(0, get("/a"));
        let own = world.ask(0, get("/a"));
        let other = world.ask(1, get("/a"));
        let load = world.load(leader);
        world.finish_with(load, &reply);
        world.settle();
        assert_ne!(world.standing(own), Standing::Loading, "in its process the failure is everybody's");
        let load = world.load(other);
        world.finish_with(load, &ok("well"));
        world.settle();
        assert_eq!(world.answer(other).text(), "well");
        assert_eq!(world.found(1, "/a").text(), "well");
    }
}

#[test]
fn a_load_that_is_abandoned_is_taken_over_at_once() {
    let mut world = world(2);
    let leader = world.ask(0, get("/a"));
    let other = world.ask(1, get("/a"));
    let load = world.load(leader);
    world.abandon(load);
    world.settle();
    let load = world.load(other);
    world.finish_with(load, &ok("taken over"));
    world.settle();
    assert_eq!(world.found(0, "/a").text(), "taken over");
}

#[test]
fn a_process_that_dies_delays_others_by_its_lease_at_most() {
    let mut world = world(3);
    world.ask(0, get("/a"));
    let waiters = [world.ask(1, get("/a")), world.ask(2, get("/a"))];
    world.die(0);
    world.advance(LEASE - Duration::from_millis(200));
    assert_eq!(world.open_loads().len(), 0, "its lease is respected");
    world.advance(Duration::from_millis(400));
    assert_eq!(world.open_loads().len(), 1, "one of them loads");
    let load = world.open_loads()[0];
    world.finish_with(load, &ok("alive"));
    world.settle();
    for client in waiters {
        assert_eq!(world.answer(client).text(), "alive");
    }
}

#[test]
fn a_slow_load_keeps_its_lease_for_as_long_as_it_takes() {
    let mut world = world(2);
    let leader = world.ask(0, get("/a"));
    let waiter = world.ask(1, get("/a"));
    world.advance(LEASE * 20);
    assert_eq!(world.open_loads().len(), 1);
    assert_eq!(world.standing(waiter), Standing::Seeking);
    let load = world.load(leader);
    // Its age counts from when it was asked for.
    world.finish_with(load, &ok("slow").cache_control("max-age=600"));
    world.settle();
    assert_eq!(world.answer(waiter).text(), "slow");
}

#[test]
fn a_load_whose_lease_expired_replaces_nothing_newer() {
    let mut world = world(2);
    let slow = world.ask(0, get("/a"));
    let load = world.load(slow);
    // Its process hangs: nothing of it runs.
    let renews = |task: &crate::tasks::Task| task.process == 0 && matches!(task.work, Work::KeepLeases(_));
    world.tasks.retain(|task| !renews(task));
    world.advance(LEASE + Duration::from_secs(1));
    world.send(1, get("/a"), &ok("newer"));
    world.finish_with(load, &ok("older"));
    world.settle();
    let third = world.start(false);
    world.settle();
    assert_eq!(world.found(third, "/a").text(), "newer");
}

/// A client that looks in the shared tier, its lookup polled so often; `None` if it has ended by then.
fn looking(polls: usize) -> Option<(World, ClientId)> {
    let mut world = world(2);
    let client = world.begin(0, get("/a"));
    for _ in 0..polls {
        world.poll_lookup_of(client);
    }
    (world.standing(client) == Standing::Seeking).then_some((world, client))
}

#[test]
fn whoever_leaves_while_he_looks_leaves_no_lease_behind() {
    for polls in 0..8 {
        let Some((mut world, client)) = looking(polls) else { break };
        // What it asked for is answered to nobody.
        world.leave(client, true);
        world.settle();
        let next = world.ask(1, get("/a"));
        assert_eq!(world.standing(next), Standing::Loading, "after {polls} turns");
    }
}

#[test]
fn a_lookup_that_is_dropped_half_way_leaves_no_lease_behind() {
    for polls in 0..8 {
        let Some((mut world, client)) = looking(polls) else { break };
        world.leave(client, false);
        world.settle();
        let next = world.ask(1, get("/a"));
        world.advance(LEASE + Duration::from_millis(200));
        assert_eq!(world.standing(next), Standing::Loading, "after {polls} turns, and a lease");
    }
}
