//! What is served after its end of freshness: while it is renewed (RFC 5861 §3), and when that fails (§4).

mod world;

use hotplate::log::{Mode, Target};
use hotplate_policy::profile::Profile;
use world::*;

/// A world whose responses are fresh for 30 seconds and then served for 60 while they are renewed.
fn renewing() -> World {
    World::with_rule(|rule| rule.stale_while_revalidate = Some(seconds(60)))
}

/// A world whose responses are fresh for 30 seconds and then served for 60 when the application fails; it is tried
/// again after 5.
fn forgiving() -> World {
    World::with_rule(|rule| rule.stale_if_error = Some(seconds(60)))
}

#[test]
fn a_stale_response_is_served_at_once_while_exactly_one_load_renews_it() {
    let mut world = renewing();
    world.script(ok("v1")).get("/a");
    world.advance_seconds(31);
    for _ in 0..10 {
        let answer = world.get("/a");
        assert!(answer.is_stale());
        assert_eq!((answer.text(), answer.field("age")), ("v1", Some("31")));
        assert_eq!(answer.cache_status(), "hotplate; hit; ttl=-1; detail=stale-while-revalidate");
    }
    assert_eq!((world.runs(), world.refreshes().len(), world.waiting().len()), (2, 1, 0));
    world.script(ok("v2")).finish_refreshes();
    let renewed = world.get("/a");
    assert!(renewed.is_hit());
    assert_eq!((renewed.text(), world.stats().stale), ("v2", 10));
}

#[test]
fn nobody_is_served_stale_beyond_the_window() {
    let mut world = renewing();
    world.script(ok("v1")).get("/a");
    world.advance_seconds(90);
    assert_eq!(world.script(ok("v2")).get("/a").text(), "v2");
    assert_eq!(world.refreshes(), []);
}

#[test]
fn a_client_beyond_the_window_waits_for_the_refresh_that_is_under_way() {
    let mut world = renewing();
    world.get("/a");
    world.advance_seconds(31);
    world.get("/a");
    world.advance_seconds(60);
    let late = world.begin(get("/a"));
    assert_eq!((world.standing(late), world.runs()), (Standing::Waiting, 2));
    world.script(ok("v2")).finish_refreshes();
    assert_eq!(world.answer(late).text(), "v2");
}

#[test]
fn a_refresh_asks_with_validators_and_a_confirmation_makes_the_response_fresh_again() {
    let mut world = renewing();
    world.script(ok("v1").etag("\"e\"")).get("/a");
    world.advance_seconds(31);
    world.send(get("/a").field("if-none-match", "\"mine\"").field("range", "bytes=0-0"));
    let seen = world.last_seen();
    assert_eq!((seen.field("if-none-match"), seen.field("range")), (Some("\"e\""), None));
    world.script(status(304).etag("\"e\"")).finish_refreshes();
    let hit = world.get("/a");
    assert!(hit.is_hit());
    assert_eq!((hit.text(), hit.field("age")), ("v1", Some("0")));
}

#[test]
fn a_refresh_that_is_abandoned_is_begun_again_by_the_next_request() {
    let mut world = renewing();
    world.get("/a");
    world.advance_seconds(31);
    world.get("/a");
    let load = world.refreshes()[0];
    world.abandon(load);
    assert!(world.get("/a").is_stale());
    assert_eq!((world.runs(), world.refreshes().len()), (3, 1));
}

#[test]
fn a_refresh_that_answers_with_an_error_leaves_what_is_stored_in_place() {
    for reply in [status(500), status(503), Reply::raise("boom"), ok("v2").cut_short()] {
        let mut world = renewing();
        world.script(ok("v1")).get("/a");
        world.advance_seconds(31);
        world.get("/a");
        world.script(reply.clone()).finish_refreshes();
        let answer = world.get("/a");
        assert_eq!((answer.is_stale(), answer.text()), (true, "v1"), "{reply:?}");
    }
}

#[test]
fn a_stale_response_takes_the_place_of_a_server_error() {
    for (number, forgiven) in
        [(500, true), (502, true), (503, true), (504, true), (501, false), (404, false), (400, false)]
    {
        let mut world = forgiving();
        world.script(ok("v1").etag("\"e\"")).get("/a");
        world.advance_seconds(31);
        let answer = world.script(status(number)).get("/a");
        if forgiven {
            assert_eq!(
                (answer.status, answer.text(), answer.field("age")),
                (200, "v1", Some("31")),
                "{number}"
            );
            assert_eq!(
                answer.cache_status(),
                "hotplate; fwd=stale; ttl=-1; detail=stale-if-error",
                "{number}"
            );
            assert_eq!((world.stats().stale, world.stats().misses), (1, 1));
        } else {
            assert_eq!(answer.status, number);
        }
    }
}

#[test]
fn a_stale_response_takes_the_place_of_an_exception_before_the_first_byte() {
    for reply in [Reply::raise("boom"), Reply { chunks: Vec::new(), ..ok("body").then_raises("boom") }] {
        let mut world = forgiving();
        world.script(ok("v1")).get("/a");
        world.advance_seconds(31);
        assert_eq!(world.script(reply).get("/a").text(), "v1");
    }
}

#[test]
fn an_exception_after_the_first_byte_is_the_clients() {
    let mut world = forgiving();
    world.script(ok("v1")).get("/a");
    world.advance_seconds(31);
    world.script(Reply::chunked(&["v"]).then_raises("boom"));
    let client = world.begin(get("/a"));
    world.drive(client);
    assert_eq!((world.standing(client), world.answer(client).text()), (Standing::Cut, "v"));
}

#[test]
fn beyond_the_window_an_error_is_an_error() {
    let mut world = forgiving();
    world.get("/a");
    world.advance_seconds(90);
    assert_eq!(world.script(status(503)).get("/a").status, 503);
    world.script(Reply::raise("boom"));
    assert_eq!(world.send_raised(get("/a")), "boom");
}

#[test]
fn after_a_forgiven_error_the_application_is_left_alone_for_a_while() {
    for failure in [status(503), Reply::raise("boom")] {
        let mut world = forgiving();
        world.script(ok("v1")).get("/a");
        world.advance_seconds(31);
        world.script(failure.clone()).get("/a");
        for _ in 0..10 {
            let answer = world.get("/a");
            assert_eq!((answer.text(), answer.is_stale()), ("v1", true), "{failure:?}");
        }
        world.advance_seconds(4);
        world.get("/a");
        assert_eq!(world.runs(), 2, "{failure:?}");
        world.advance_seconds(1);
        world.script(failure).get("/a");
        assert_eq!(world.runs(), 3);
        world.get("/a");
        assert_eq!(world.runs(), 3);
    }
}

#[test]
fn an_answer_ends_the_time_of_leaving_the_application_alone() {
    let mut world = forgiving();
    world.script(ok("v1")).get("/a");
    world.advance_seconds(31);
    world.script(status(503)).get("/a");
    world.advance_seconds(5);
    world.script(ok("v2").cache_control("max-age=1")).get("/a");
    world.advance_seconds(2);
    assert_eq!(world.script(ok("v3")).get("/a").text(), "v3");
}

#[test]
fn a_failed_refresh_leaves_the_application_alone_for_a_while_too() {
    for failure in [status(503), Reply::raise("boom")] {
        let mut world = World::with_rule(|rule| {
            rule.stale_while_revalidate = Some(seconds(60));
            rule.stale_if_error = Some(seconds(60));
        });
        world.get("/a");
        world.advance_seconds(31);
        world.get("/a");
        world.script(failure).finish_refreshes();
        for _ in 0..10 {
            assert!(world.get("/a").is_stale());
        }
        assert_eq!((world.runs(), world.refreshes().len()), (2, 0));
        world.advance_seconds(5);
        assert!(world.get("/a").is_stale());
        assert_eq!(world.refreshes().len(), 1);
    }
}

#[test]
fn one_failing_key_does_not_hold_back_another() {
    let mut world = forgiving();
    world.get("/a");
    world.get("/b");
    world.advance_seconds(31);
    world.script(status(503)).get("/a");
    assert_eq!(world.script(ok("v2")).get("/b").text(), "v2");
}

#[test]
fn everybody_who_waited_for_a_forgiven_load_gets_the_stale_response() {
    for failure in [status(503), Reply::raise("boom")] {
        let mut world = forgiving();
        world.script(ok("v1")).get("/a");
        world.advance_seconds(31);
        let clients: Vec<_> = (0..5).map(|_| world.begin(get("/a"))).collect();
        let load = world.load(clients[0]);
        world.finish_with(load, failure.clone());
        for client in clients {
            assert_eq!(
                (world.answer(client).status, world.answer(client).text()),
                (200, "v1"),
                "{failure:?}"
            );
        }
        assert_eq!(world.runs(), 2);
    }
}

#[test]
fn what_forbids_stale_service_is_not_served_stale() {
    for (says, profile) in [
        ("max-age=30, must-revalidate", Profile::Safe),
        ("max-age=30, proxy-revalidate", Profile::Safe),
        ("no-cache", Profile::Safe),
        ("s-maxage=30", Profile::Rfc9111),
    ] {
        let mut world = World::with(|settings| {
            settings.profile = profile;
            let mut own = rule("*");
            own.stale_while_revalidate = Some(seconds(60));
            own.stale_if_error = Some(seconds(60));
            settings.rules = vec![own];
        });
        let reply = ok("v1").etag("\"e\"").cache_control(says);
        world.script(reply).get("/a");
        world.advance_seconds(31);
        let answer = world.script(status(503)).get("/a");
        assert_eq!(answer.status, 503, "{says}");
        world.script(Reply::raise("boom"));
        assert_eq!(world.send_raised(get("/a")), "boom", "{says}");
    }
}

#[test]
fn the_responses_own_windows_count_where_no_rule_speaks() {
    for (says, stale) in [
        ("max-age=30, stale-while-revalidate=10", true),
        ("max-age=30, stale-while-revalidate=1", false),
        ("max-age=30", false),
    ] {
        let mut world = World::new();
        world.script(ok("v1").cache_control(says)).get("/a");
        world.advance_seconds(31);
        assert_eq!(world.get("/a").is_stale(), stale, "{says}");
    }
}

#[test]
fn a_request_may_accept_what_is_stale_where_requests_are_obeyed() {
    for (order, accepted) in
        [("max-stale", true), ("max-stale=5", true), ("max-stale=1", true), ("max-stale=0", false)]
    {
        let mut world = World::with(|settings| settings.honor_request_directives = true);
        world.get("/a");
        world.advance_seconds(31);
        let answer = world.send(get("/a").field("cache-control", order));
        assert_eq!(answer.is_stale(), accepted, "{order}: {}", answer.cache_status());
    }
}

#[test]
fn what_is_invalidated_while_its_load_fails_is_not_served_in_its_place() {
    for failure in [status(503), Reply::raise("boom")] {
        for target in [Target::Path(b"/a"), Target::Everything] {
            let mut world = forgiving();
            world.script(ok("v1")).get("/a");
            world.advance_seconds(31);
            let client = world.begin(get("/a"));
            world.invalidate(&target, Mode::Hard);
            let load = world.load(client);
            world.finish_with(load, failure.clone());
            assert_ne!(world.answer(client).text(), "v1", "{target} during {failure:?}");
        }
    }
}
