//! Responses that vary, found by processes that did not load them.

use crate::ask::{Ask, get};
use crate::reply::{Reply, ok};
use crate::world::{Making, Standing, World};

fn side(side: &str) -> Ask {
    get("/a").field("x-side", side)
}

fn varied(body: &str) -> Reply {
    ok(body).field("vary", "x-side")
}

fn worlds() -> [World; 2] {
    [World::of(2), World::without_local(2)].map(|mut world| {
        world.settle();
        world
    })
}

#[test]
fn a_variant_is_found_by_a_process_that_does_not_know_that_the_key_varies() {
    for mut world in worlds() {
        world.send(0, side("left"), &varied("for left"));
        let client = world.ask(1, side("left"));
        assert_eq!(world.answer(client).text(), "for left");
        assert_eq!(world.runs(), 1);
    }
}

#[test]
fn another_variant_is_a_miss_and_is_loaded_once_for_all() {
    for mut world in worlds() {
        world.send(0, side("left"), &varied("for left"));
        let (first, second) = (world.ask(1, side("right")), world.ask(0, side("right")));
        assert_eq!(world.open_loads().len(), 1, "one of them waits for the other");
        let load = world.open_loads()[0];
        world.finish_with(load, &varied("for right"));
        world.settle();
        for client in [first, second] {
            assert_eq!(world.standing(client), Standing::Answered);
            assert_eq!(world.answer(client).text(), "for right");
        }
        let left = world.ask(1, side("left"));
        assert_eq!(world.answer(left).text(), "for left");
        assert_eq!(world.runs(), 2);
    }
}

#[test]
fn a_variant_from_another_process_takes_one_place_until_there_is_a_second() {
    let [mut world, _] = worlds();
    for (name, entries) in [("left", 1), ("right", 2)] {
        world.send(0, side(name), &varied(name));
        let client = world.ask(1, side(name));
        assert_eq!(world.answer(client).text(), name);
        assert_eq!(world.entries(1), entries);
    }
    for name in ["left", "right", "left"] {
        let client = world.ask(1, side(name));
        assert_eq!((world.answer(client).text(), world.answer(client).is_hit()), (name, true));
    }
    assert_eq!(world.runs(), 2);
}

#[test]
fn variants_loaded_at_once_for_a_key_not_known_to_vary_go_to_those_they_are_for() {
    for mut world in worlds() {
        let left = world.ask(0, side("left"));
        let right = world.ask(1, side("right"));
        assert_eq!(world.standing(right), Standing::Seeking, "nobody knows yet that the key varies");
        let load = world.load(left);
        world.finish_with(load, &varied("for left"));
        world.settle();
        let load = world.load(right);
        world.finish_with(load, &varied("for right"));
        world.settle();
        assert_eq!(world.answer(left).text(), "for left");
        assert_eq!(world.answer(right).text(), "for right");
    }
}

#[test]
fn an_invalidation_of_the_key_reaches_every_variant_in_every_process() {
    for mut world in worlds() {
        for name in ["left", "right"] {
            world.send(0, side(name), &varied("old"));
            world.ask(1, side(name));
        }
        let key = crate::targets::primary_key("/a");
        world.invalidate(1, &hotplate::log::Target::Key(key), hotplate::log::Mode::Hard);
        world.settle();
        for process in [0, 1] {
            for name in ["left", "right"] {
                let client = world.ask(process, side(name));
                if let Some(load) = world.load_of(client) {
                    world.finish_with(load, &varied("new"));
                    world.settle();
                }
                assert_eq!(world.answer(client).text(), "new");
            }
        }
    }
}

#[test]
fn a_key_that_does_not_vary_any_more_is_found_so_by_another_process() {
    for mut world in worlds() {
        world.send(0, side("left"), &varied("old"));
        world.ask(1, side("left"));
        world.invalidate(0, &hotplate::log::Target::Everything, hotplate::log::Mode::Hard);
        world.settle();
        world.send(0, side("left"), &ok("for all"));
        let other = world.ask(1, side("right"));
        assert_eq!(world.answer(other).text(), "for all");
        assert_eq!(world.runs(), 2);
    }
}

#[test]
fn a_record_of_variants_outlives_the_shorter_lived_of_them() {
    let mut world = World::with(Making { keeps: vec![false; 2], ..Making::default() });
    world.settle();
    world.send(0, side("left"), &varied("for left").cache_control("max-age=100"));
    world.send(0, side("right"), &varied("for right").cache_control("max-age=1"));
    world.advance(std::time::Duration::from_secs(10));
    let client = world.ask(1, side("left"));
    assert_eq!(world.answer(client).text(), "for left");
    assert_eq!(world.runs(), 2);
}
