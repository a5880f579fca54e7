//! While the shared tier is away, and when it is back.

use std::time::Duration;

use hotplate::log::{Mode, Target};
use hotplate::share::{OnOutage, ShareOptions};
use hotplate::tier::memory::Condition;

use crate::ask::get;
use crate::reply::ok;
use crate::world::{Making, Standing, World};

const AWAY: [Condition; 2] = [Condition::Down, Condition::Failing];

fn world(on_outage: OnOutage, keeps: bool) -> World {
    let mut world = World::with(Making {
        keeps: vec![keeps; 2],
        share: ShareOptions { on_outage, ..ShareOptions::default() },
        ..Making::default()
    });
    world.settle();
    world
}

#[test]
fn an_outage_is_no_clients() {
    for away in AWAY {
        for keeps in [true, false] {
            let mut world = world(OnOutage::ServeLocal, keeps);
            world.send(0, get("/stored"), &ok("stored"));
            world.set(away);
            world.advance(Duration::from_millis(200));
            for path in ["/stored", "/new"] {
                for process in [0, 1] {
                    let client = world.ask(process, get(path));
                    if let Some(load) = world.load_of(client) {
                        world.finish_with(load, &ok("stored"));
                        world.settle();
                    }
                    assert_eq!(world.answer(client).text(), "stored", "{away:?}");
                }
            }
            let runs = world.runs();
            world.ask(0, get("/stored"));
            assert_eq!(world.runs() - runs, usize::from(!keeps), "what is local is served: {away:?}");
        }
    }
}

#[test]
fn while_it_is_bypassed_everything_is_forwarded_and_what_is_local_is_used_again_afterwards() {
    for away in AWAY {
        let mut world = world(OnOutage::Bypass, true);
        world.send(0, get("/a"), &ok("local"));
        assert!(world.found(0, "/a").is_hit());
        world.set(away);
        world.advance(Duration::from_secs(1));
        for _ in 0..3 {
            let client = world.ask(0, get("/a"));
            assert_eq!(world.standing(client), Standing::Loading, "{away:?}");
            let load = world.load(client);
            world.finish_with(load, &ok("forwarded"));
            world.settle();
            assert!(!world.answer(client).is_hit());
        }
        world.set(Condition::Up);
        world.advance(Duration::from_secs(1));
        assert!(world.found(0, "/a").is_hit());
    }
}

#[test]
fn before_the_log_was_read_for_the_first_time_a_bypassing_process_serves_nothing_stored() {
    let mut world = world(OnOutage::Bypass, true);
    world.send(0, get("/a"), &ok("stored"));
    let late = world.start(true);
    let client = world.begin(late, get("/a"));
    assert_eq!(world.standing(client), Standing::Loading);
}

#[test]
fn invalidations_of_an_outage_reach_the_others_after_it() {
    for away in AWAY {
        for keeps in [true, false] {
            let mut world = world(OnOutage::ServeLocal, keeps);
            for path in ["/a", "/b"] {
                world.send(0, get(path), &ok("old"));
                assert_eq!(world.found(1, path).text(), "old");
            }
            world.set(away);
            world.advance(Duration::from_millis(200));
            let change = world.invalidate(0, &Target::Path(b"/a"), Mode::Hard);
            world.invalidate(0, &Target::Path(b"/b"), Mode::Soft);
            world.advance(Duration::from_millis(200));
            assert_eq!(world.changes[change.0].acknowledged, Some(None), "it is said that it is not known");
            world.set(Condition::Up);
            world.advance(Duration::from_secs(1));
            for process in [1, 0] {
                let client = world.ask(process, get("/a"));
                if let Some(load) = world.load_of(client) {
                    world.finish_with(load, &ok("new"));
                    world.settle();
                }
                assert_eq!(world.answer(client).text(), "new", "process {process}, {away:?}, local {keeps}");
            }
            let client = world.ask(1, get("/b"));
            let fresh = world.standing(client) == Standing::Answered && world.answer(client).is_hit();
            assert!(!fresh, "{away:?}, local {keeps}");
        }
    }
}

#[test]
fn what_the_own_process_invalidated_in_an_outage_is_not_found_by_it_before_the_others_know() {
    for keeps in [true, false] {
        let mut world = world(OnOutage::ServeLocal, keeps);
        world.send(1, get("/a"), &ok("old"));
        world.distant.lose(100);
        world.invalidate(0, &Target::Everything, Mode::Hard);
        world.settle();
        world.distant.lose(0);
        // The tier answers again, and the log has not been read since.
        let client = world.begin(0, get("/a"));
        world.settle_only(|task| !matches!(task.work, crate::tasks::Work::Follow(_)));
        assert_ne!(world.standing(client), Standing::Answered);
    }
}

#[test]
fn a_thousand_invalidations_and_one_in_an_outage_become_one_of_everything() {
    let mut world = world(OnOutage::ServeLocal, true);
    for path in ["/a", "/never-named"] {
        world.send(0, get(path), &ok("old"));
        assert_eq!(world.found(1, path).text(), "old");
    }
    world.set(Condition::Down);
    for number in 0..1_030 {
        let tag = number.to_string();
        world.invalidate(0, &Target::Tag(&tag), Mode::Hard);
    }
    world.invalidate(0, &Target::Path(b"/a"), Mode::Hard);
    world.advance(Duration::from_millis(200));
    world.set(Condition::Up);
    world.advance(Duration::from_secs(2));
    for path in ["/a", "/never-named"] {
        let client = world.ask(1, get(path));
        assert_eq!(world.standing(client), Standing::Loading, "{path}");
    }
}

#[test]
fn a_lease_whose_answer_was_lost_is_not_waited_for_by_its_own_process() {
    for keeps in [true, false] {
        let mut world = world(OnOutage::ServeLocal, keeps);
        world.distant.lose(100);
        let client = world.ask(0, get("/a"));
        let load = world.load(client);
        world.distant.lose(0);
        world.finish_with(load, &ok("a"));
        world.advance(Duration::from_millis(200));
        world.invalidate(0, &Target::Everything, Mode::Hard);
        world.settle();
        for process in [0, 1] {
            let client = world.ask(process, get("/a"));
            world.advance(Duration::from_millis(300));
            if process == 0 {
                assert_eq!(world.standing(client), Standing::Loading);
                let load = world.load(client);
                world.finish_with(load, &ok("b"));
                world.settle();
            }
            assert_eq!(world.answer(client).text(), "b");
        }
    }
}
