//! What is stale is served while one process refreshes it, for all.

use std::time::Duration;

use hotplate::log::{Mode, Target};
use hotplate::rules::RuleOptions;

use crate::ask::get;
use crate::reply::{ok, status};
use crate::world::{Making, Standing, World};

fn world(keeps: bool) -> World {
    let mut world = World::with(Making {
        keeps: vec![keeps; 2],
        settings: |settings| {
            settings.rules = vec![RuleOptions {
                pattern: "*".into(),
                cache: true,
                ttl: Some(Duration::from_secs(10)),
                stale_while_revalidate: Some(Duration::from_secs(60)),
                ..RuleOptions::default()
            }];
        },
        ..Making::default()
    });
    world.settle();
    world
}

#[test]
fn what_was_marked_stale_is_found_stale_by_a_process_that_starts_later() {
    for keeps in [true, false] {
        let mut world = world(keeps);
        world.send(0, get("/a"), &ok("old"));
        world.advance(Duration::from_millis(5));
        world.invalidate(0, &Target::Path(b"/a"), Mode::Soft);
        world.settle();
        let late = world.start(keeps);
        world.settle();
        let client = world.ask(late, get("/a"));
        assert_eq!(world.answer(client).text(), "old");
        assert!(world.answer(client).is_stale(), "{}", world.answer(client).cache_status());
        assert_eq!(world.refreshes().len(), 1, "one refresh runs");
        let refresh = world.refreshes()[0];
        world.finish_with(refresh, &ok("new"));
        world.settle();
        for process in 0..3 {
            // What is stale in its own local tier is served once more, and replaced by what is found.
            world.ask(process, get("/a"));
            let client = world.ask(process, get("/a"));
            assert_eq!(world.answer(client).text(), "new", "process {process}");
            assert!(world.answer(client).is_hit(), "{}", world.answer(client).cache_status());
        }
        assert_eq!(world.runs(), 2);
    }
}

#[test]
fn what_is_stale_everywhere_is_refreshed_once() {
    for keeps in [true, false] {
        let mut world = world(keeps);
        world.send(0, get("/a"), &ok("old"));
        assert_eq!(world.found(1, "/a").text(), "old");
        world.advance(Duration::from_secs(20));
        for process in [0, 1, 0, 1] {
            let client = world.ask(process, get("/a"));
            assert_eq!(world.standing(client), Standing::Answered, "nobody waits, local {keeps}");
            assert_eq!(world.answer(client).text(), "old");
        }
        assert_eq!(world.refreshes().len(), 1, "one process refreshes");
        let refresh = world.refreshes()[0];
        world.finish_with(refresh, &ok("new"));
        world.settle();
        // The other one finds it with its next request, which starts no second run.
        let client = world.ask(1, get("/a"));
        assert_eq!(world.standing(client), Standing::Answered);
        for process in [0, 1] {
            assert_eq!(world.found(process, "/a").text(), "new");
        }
        assert_eq!(world.runs(), 2);
    }
}

#[test]
fn what_another_process_has_refreshed_is_taken_without_a_run() {
    let mut world = world(true);
    world.send(0, get("/a"), &ok("old"));
    assert_eq!(world.found(1, "/a").text(), "old");
    world.advance(Duration::from_secs(20));
    let client = world.ask(0, get("/a"));
    assert_eq!(world.answer(client).text(), "old");
    let refresh = world.refreshes()[0];
    world.finish_with(refresh, &ok("new"));
    world.settle();
    let stale = world.ask(1, get("/a"));
    assert_eq!(world.answer(stale).text(), "old", "it was served before it was looked up");
    assert_eq!(world.runs(), 2, "what was looked up was found");
    assert!(world.found(1, "/a").is_hit());
    assert_eq!(world.found(1, "/a").text(), "new");
}

#[test]
fn a_refresh_that_is_abandoned_is_taken_over_by_another_process() {
    let mut world = world(true);
    world.send(0, get("/a"), &ok("old"));
    assert_eq!(world.found(1, "/a").text(), "old");
    world.advance(Duration::from_secs(20));
    world.ask(0, get("/a"));
    let refresh = world.refreshes()[0];
    world.abandon(refresh);
    world.settle();
    world.ask(1, get("/a"));
    assert_eq!(world.refreshes().len(), 1);
    let refresh = world.refreshes()[0];
    world.finish_with(refresh, &ok("new"));
    world.settle();
    assert_eq!(world.found(1, "/a").text(), "new");
}

#[test]
fn what_the_application_confirms_is_fresh_for_every_process() {
    let mut world = world(true);
    world.send(0, get("/a"), &ok("same").etag("\"1\""));
    assert_eq!(world.found(1, "/a").text(), "same");
    world.advance(Duration::from_secs(20));
    world.ask(1, get("/a"));
    let refresh = world.refreshes()[0];
    assert_eq!(world.loads[refresh.0].field("if-none-match"), Some("\"1\""));
    world.finish_with(refresh, &status(304).etag("\"1\""));
    world.settle();
    world.ask(0, get("/a"));
    for process in [0, 1] {
        let answer = world.found(process, "/a");
        assert!(answer.is_hit() && answer.text() == "same", "{}", answer.cache_status());
    }
    assert_eq!(world.runs(), 2);
}

#[test]
fn a_refresh_that_is_dropped_by_an_invalidation_stores_nothing_usable() {
    for keeps in [true, false] {
        let mut world = world(keeps);
        world.send(0, get("/a"), &ok("old"));
        world.advance(Duration::from_secs(20));
        world.ask(0, get("/a"));
        let refresh = world.refreshes()[0];
        world.invalidate(1, &Target::Everything, Mode::Hard);
        world.settle();
        world.finish_with(refresh, &ok("also old"));
        world.settle();
        for process in [0, 1] {
            let client = world.ask(process, get("/a"));
            if let Some(load) = world.load_of(client) {
                world.finish_with(load, &ok("new"));
                world.settle();
            }
            assert_eq!(world.answer(client).text(), "new", "process {process}, local {keeps}");
        }
    }
}
