//! Requests that load nothing for others read the shared tier all the same: HEAD, ranges, `only-if-cached`, requests with
//! credentials.

use hotplate_policy::profile::Profile;

use crate::ask::{Ask, get, head};
use crate::reply::ok;
use crate::world::{Making, Standing, World};

/// Every request that only reads, with the status it gets for a stored 200 and for nothing.
fn readers() -> Vec<(&'static str, Ask, u16)> {
    vec![
        ("HEAD", head("/a"), 200),
        ("a range", get("/a").field("range", "bytes=0-1"), 206),
        ("a HEAD with a condition", head("/a").field("if-none-match", "\"other\""), 200),
        ("credentials", get("/a").field("authorization", "Basic Zm9v"), 200),
        ("only-if-cached", get("/a").field("cache-control", "only-if-cached"), 200),
        ("no-store", get("/a").field("cache-control", "no-store"), 200),
    ]
}

fn world(keeps: bool) -> World {
    let mut world = World::with(Making {
        keeps: vec![keeps; 2],
        settings: |settings| {
            settings.honor_request_directives = true;
            settings.profile = Profile::Safe;
        },
        ..Making::default()
    });
    world.settle();
    world
}

#[test]
fn what_another_process_stored_is_found_and_the_application_is_not_asked() {
    for keeps in [true, false] {
        for (name, ask, status) in readers() {
            let mut world = world(keeps);
            world.send(0, get("/a"), &ok("text").cache_control("public, max-age=60"));
            let client = world.ask(1, ask);
            assert_eq!(world.standing(client), Standing::Answered, "{name}, local {keeps}");
            assert_eq!(world.answer(client).status, status, "{name}");
            assert!(world.answer(client).is_hit(), "{name}: {}", world.answer(client).cache_status());
            assert_eq!(world.runs(), 1, "{name}");
        }
    }
}

#[test]
fn where_nothing_is_stored_they_take_no_lease_and_nobody_waits_for_them() {
    for keeps in [true, false] {
        for (name, ask, _) in readers() {
            let mut world = world(keeps);
            let reader = world.ask(1, ask);
            assert_eq!(world.stats(1).leases, 0, "{name}");
            let leader = world.ask(0, get("/a"));
            assert_eq!(world.standing(leader), Standing::Loading, "{name}: nobody waits for it");
            if name == "only-if-cached" {
                assert_eq!(world.answer(reader).status, 504);
                continue;
            }
            let load = world.load(reader);
            world.finish_with(load, &ok("text"));
            let load = world.load(leader);
            world.finish_with(load, &ok("text"));
            world.settle();
            assert_eq!(world.standing(reader), Standing::Answered, "{name}");
        }
    }
}

#[test]
fn while_another_process_loads_they_do_not_wait_for_it() {
    for (name, ask, _) in readers() {
        let mut world = world(true);
        world.ask(0, get("/a"));
        let reader = world.ask(1, ask);
        let expected = if name == "only-if-cached" { Standing::Answered } else { Standing::Loading };
        assert_eq!(world.standing(reader), expected, "{name}");
    }
}

#[test]
fn credentials_do_not_get_what_is_not_said_to_be_public() {
    let mut world = world(true);
    world.send(0, get("/a"), &ok("text"));
    let client = world.ask(1, get("/a").field("authorization", "Basic Zm9v"));
    assert_eq!(world.standing(client), Standing::Loading);
    let load = world.load(client);
    world.finish_with(load, &ok("for one alone"));
    world.settle();
    for process in [0, 1] {
        assert_eq!(world.found(process, "/a").text(), "text");
    }
}
