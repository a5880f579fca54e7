//! Many clients at once: one load per key, and every way it can end for those who wait for it.

mod world;

use hotplate_policy::reason::Reason;
use world::*;

fn crowd(world: &mut World, path: &str, size: usize) -> Vec<ClientId> {
    (0..size).map(|_| world.begin(get(path))).collect()
}

#[test]
fn a_crowd_for_one_cold_key_is_one_load() {
    let mut world = World::new();
    let clients = crowd(&mut world, "/a", 500);
    assert_eq!((world.runs(), world.waiting().len()), (1, 499));
    let load = world.load(clients[0]);
    world.finish_with(load, ok("v1"));
    for client in &clients {
        assert_eq!((world.standing(*client), world.answer(*client).text()), (Standing::Answered, "v1"));
    }
    let stats = world.stats();
    assert_eq!((world.runs(), stats.misses, stats.hits, stats.collapsed, stats.stored), (1, 1, 499, 499, 1));
    assert!(world.answer(clients[1]).cache_status().contains("collapsed"));
}

#[test]
fn different_keys_are_loaded_side_by_side() {
    let mut world = World::new();
    let asks = [get("/a"), get("/b"), get("/a?x"), get("/a").host("example.com"), get("/a").scheme("http")];
    let clients = asks.map(|ask| world.begin(ask));
    assert_eq!(world.runs(), clients.len());
    for client in clients {
        world.drive(client);
    }
    assert_eq!(world.stats().stored, clients.len() as u64);
}

#[test]
fn those_who_wait_are_answered_when_the_last_chunk_is_there_not_when_the_application_returns() {
    let mut world = World::new();
    let clients = crowd(&mut world, "/a", 3);
    let load = world.load(clients[0]);
    world.head(load, &Reply::chunked(&[]));
    world.chunk(load, b"v", false);
    assert_eq!(world.waiting().len(), 2);
    world.chunk(load, b"1", true);
    assert_eq!((world.waiting().len(), world.open_loads()), (0, vec![load]));
    assert_eq!(world.answer(clients[2]).text(), "v1");
}

#[test]
fn a_leader_that_leaves_takes_nothing_from_those_who_wait() {
    let mut world = World::new();
    let clients = crowd(&mut world, "/a", 3);
    let load = world.load(clients[0]);
    world.head(load, &Reply::chunked(&[]));
    world.chunk(load, b"v", false);
    world.leave(clients[0]);
    world.chunk(load, b"1", true);
    for client in &clients[1..] {
        assert_eq!(world.answer(*client).text(), "v1");
    }
    assert_eq!(world.runs(), 1);
}

#[test]
fn a_client_that_stops_waiting_takes_nothing_from_the_others() {
    let mut world = World::new();
    let clients = crowd(&mut world, "/a", 4);
    world.leave(clients[1]);
    world.leave(clients[3]);
    let load = world.load(clients[0]);
    world.finish_with(load, ok("v1"));
    assert_eq!((world.answer(clients[2]).text(), world.runs()), ("v1", 1));
    assert_eq!(world.standing(clients[1]), Standing::Gone);
}

#[test]
fn an_abandoned_load_gets_exactly_one_new_leader() {
    let mut world = World::new();
    let clients = crowd(&mut world, "/a", 10);
    let load = world.load(clients[0]);
    world.abandon(load);
    assert_eq!((world.runs(), world.open_loads().len(), world.waiting().len()), (2, 1, 8));
    let load = world.open_loads()[0];
    world.finish_with(load, ok("v1"));
    for client in &clients[1..] {
        assert_eq!(world.answer(*client).text(), "v1");
    }
    assert_eq!(world.runs(), 2);
}

#[test]
fn a_load_that_returns_without_its_last_chunk_is_abandoned() {
    for reply in [Reply::chunked(&["half"]).cut_short(), ok("body").cut_short()] {
        let mut world = World::new();
        let clients = crowd(&mut world, "/a", 3);
        let load = world.load(clients[0]);
        world.finish_with(load, reply);
        assert_eq!((world.standing(clients[0]), world.runs(), world.waiting().len()), (Standing::Cut, 2, 1));
        let load = world.open_loads()[0];
        world.finish_with(load, ok("whole"));
        assert_eq!(world.answer(clients[2]).text(), "whole");
    }
}

#[test]
fn who_has_waited_for_three_loads_in_vain_is_forwarded_alone() {
    let mut world = World::new();
    let mut clients = crowd(&mut world, "/a", 6);
    for _ in 0..3 {
        let leader = clients.iter().position(|client| world.load_of(*client).is_some()).unwrap();
        let load = world.load(clients.remove(leader));
        world.abandon(load);
    }
    assert_eq!((clients.len(), world.waiting().len(), world.open_loads().len()), (3, 0, 3));
    let client = clients[0];
    world.drive(client);
    assert_eq!(world.standing(client), Standing::Answered);
    assert!(world.get("/a").is_hit());
}

#[test]
fn a_server_error_is_everybodys_who_waited_and_is_not_stored() {
    let mut world = World::new();
    let clients = crowd(&mut world, "/a", 5);
    let load = world.load(clients[0]);
    world.finish_with(load, Reply { status: 503, ..ok("sorry") }.field("retry-after", "7"));
    for client in &clients {
        let answer = world.answer(*client);
        assert_eq!((answer.status, answer.text(), answer.field("retry-after")), (503, "sorry", Some("7")));
    }
    let stats = world.stats();
    assert_eq!((world.runs(), stats.load_errors, stats.collapsed, stats.stored), (1, 1, 4, 0));
    assert_eq!(world.script(ok("well")).get("/a").text(), "well");
}

#[test]
fn a_server_error_reaches_its_own_client_chunk_by_chunk() {
    let mut world = World::new();
    let clients = crowd(&mut world, "/a", 2);
    let load = world.load(clients[0]);
    world.head(load, &status(503));
    world.chunk(load, b"so", false);
    assert_eq!((world.answer(clients[0]).text(), world.standing(clients[1])), ("so", Standing::Waiting));
    world.chunk(load, b"rry", true);
    assert_eq!((world.answer(clients[0]).text(), world.answer(clients[1]).text()), ("sorry", "sorry"));
}

#[test]
fn a_server_error_for_one_client_alone_is_not_shared() {
    for reply in [
        status(503).field("set-cookie", "a=1"),
        status(503).cache_control("private"),
        status(503).cache_control("no-store"),
    ] {
        let mut world = World::new();
        let clients = crowd(&mut world, "/a", 3);
        let load = world.load(clients[0]);
        world.finish_with(load, reply.clone());
        assert_eq!((world.waiting().len(), world.open_loads().len()), (0, 2), "{reply:?}");
    }
}

#[test]
fn a_server_error_too_large_to_keep_or_of_another_length_sends_the_others_on_their_own() {
    for reply in [
        Reply { status: 503, ..Reply::chunked(&["0123456789", "0"]) },
        Reply { status: 503, chunks: vec![b"short".to_vec()], ..ok("longer") },
    ] {
        let mut world = World::with(|settings| settings.max_body = 10);
        let clients = crowd(&mut world, "/a", 3);
        let load = world.load(clients[0]);
        world.finish_with(load, reply.clone());
        assert_eq!(world.answer(clients[0]).status, 503);
        assert_eq!((world.waiting().len(), world.open_loads().len()), (0, 2), "{reply:?}");
    }
}

#[test]
fn an_exception_is_everybodys_who_waited_and_nobody_tries_again_for_it() {
    let mut world = World::new();
    let clients = crowd(&mut world, "/a", 5);
    let load = world.load(clients[0]);
    world.raise(load, "boom");
    for client in &clients {
        assert_eq!((world.standing(*client), world.raised(*client)), (Standing::Raised, "boom"));
    }
    assert_eq!((world.runs(), world.stats().load_errors), (1, 1));
    assert_eq!(world.script(ok("well")).get("/a").text(), "well");
}

#[test]
fn an_exception_in_the_middle_is_everybodys_who_waited() {
    let mut world = World::new();
    let clients = crowd(&mut world, "/a", 3);
    let load = world.load(clients[0]);
    world.finish_with(load, Reply::chunked(&["half"]).then_raises("boom"));
    assert_eq!(world.standing(clients[0]), Standing::Cut);
    assert_eq!((world.raised(clients[1]), world.raised(clients[2])), ("boom", "boom"));
}

#[test]
fn a_shared_exception_is_counted_as_the_miss_it_was() {
    let mut world = World::new();
    let clients = crowd(&mut world, "/a", 5);
    let load = world.load(clients[0]);
    world.raise(load, "boom");
    assert_eq!((world.counted(), world.stats().misses), (5, 5));
}

#[test]
fn an_answer_that_cannot_be_stored_releases_everybody_at_its_head() {
    for reply in [
        Reply::chunked(&["mine"]).cache_control("private"),
        Reply::chunked(&["mine"]).cache_control("no-store"),
        Reply::chunked(&["mine"]).field("set-cookie", "a=1"),
        Reply::chunked(&["mine"]).field("vary", "*"),
        Reply::chunked(&["mine"]).field("content-type", "text/event-stream"),
        Reply::chunked(&["mine"]).with_trailers(),
    ] {
        let mut world = World::new();
        let clients = crowd(&mut world, "/a", 5);
        let load = world.load(clients[0]);
        world.head(load, &reply);
        assert_eq!((world.waiting().len(), world.open_loads().len()), (0, 5), "{reply:?}");
        assert_eq!(world.answer(clients[0]).status, 200);
    }
}

#[test]
fn a_key_that_could_not_be_stored_is_loaded_in_parallel_for_a_while() {
    let mut world = World::new();
    world.script(ok("mine").cache_control("private")).get("/a");
    let clients = crowd(&mut world, "/a", 5);
    assert_eq!((world.open_loads().len(), world.waiting().len()), (5, 0));
    for client in clients {
        let load = world.load(client);
        world.finish_with(load, ok("mine").cache_control("private"));
        assert!(world.answer(client).cache_status().contains("fwd=miss"));
    }
    world.advance_seconds(30);
    crowd(&mut world, "/a", 5);
    assert_eq!((world.open_loads().len(), world.waiting().len()), (1, 4));
}

#[test]
fn the_first_answer_that_can_be_stored_ends_the_loading_in_parallel() {
    let mut world = World::new();
    world.script(ok("mine").cache_control("private")).get("/a");
    let clients = crowd(&mut world, "/a", 2);
    let load = world.load(clients[1]);
    world.finish_with(load, ok("everybody's"));
    let answer = world.get("/a");
    assert!(answer.is_hit());
    assert_eq!(answer.text(), "everybody's");
    let load = world.load(clients[0]);
    world.finish_with(load, ok("mine").cache_control("private"));
    assert!(world.get("/a").is_hit(), "what is stored is not forgotten for an answer that is not");
}

#[test]
fn a_key_whose_answers_can_no_longer_be_stored_is_loaded_in_parallel_too() {
    let mut world = World::new();
    world.script(ok("everybody's")).get("/a");
    world.advance_seconds(31);
    world.script(ok("mine").cache_control("private")).get("/a");
    crowd(&mut world, "/a", 5);
    assert_eq!((world.open_loads().len(), world.waiting().len()), (5, 0));
}

#[test]
fn what_turns_out_too_large_or_of_another_length_releases_everybody_at_once() {
    for (reply, chunk, last, reason) in [
        (Reply::chunked(&[]), "01234567890", false, Reason::TooLarge),
        (ok("0123456789"), "01234", true, Reason::LengthMismatch),
    ] {
        let mut world = World::with(|settings| settings.max_body = 10);
        let clients = crowd(&mut world, "/a", 3);
        let load = world.load(clients[0]);
        world.head(load, &reply);
        assert_eq!(world.waiting().len(), 2);
        world.chunk(load, chunk.as_bytes(), last);
        assert_eq!((world.waiting().len(), world.open_loads().len()), (0, 3), "{reason}");
        assert_eq!(world.answer(clients[0]).text(), chunk);
    }
}

#[test]
fn who_has_waited_too_long_is_forwarded_alone_and_its_answer_is_stored() {
    let mut world = World::new();
    let clients = crowd(&mut world, "/a", 3);
    world.time_out(clients[1]);
    assert_eq!((world.runs(), world.waiting()), (2, vec![clients[2]]));
    let load = world.load(clients[1]);
    world.finish_with(load, ok("v1"));
    assert!(world.get("/a").is_hit());
    assert_eq!(world.waiting(), [clients[2]], "it waits for its own leader");
    let load = world.load(clients[0]);
    world.finish_with(load, ok("v1"));
    assert_eq!(world.waiting(), []);
}

#[test]
fn an_older_load_does_not_overwrite_a_newer_response() {
    let mut world = World::new();
    let slow = world.begin(get("/a"));
    let impatient = world.begin(get("/a"));
    world.advance_seconds(2);
    world.time_out(impatient);
    let load = world.load(impatient);
    world.finish_with(load, ok("new"));
    world.advance_seconds(1);
    let load = world.load(slow);
    world.finish_with(load, ok("old"));
    assert_eq!(world.answer(slow).text(), "old");
    assert_eq!(world.get("/a").text(), "new");
}

#[test]
fn an_older_load_does_not_hide_newer_variants() {
    for (older, newer) in [
        (ok("old"), ok("new").field("vary", "x-a")),
        (ok("old").field("vary", "x-b"), ok("new").field("vary", "x-a")),
        (ok("old").field("vary", "x-a"), ok("new")),
        (ok("old").field("vary", "x-a"), ok("new").field("vary", "x-a")),
    ] {
        let mut world = World::new();
        let slow = world.begin(get("/a"));
        let impatient = world.begin(get("/a"));
        world.advance_seconds(2);
        world.time_out(impatient);
        let load = world.load(impatient);
        world.finish_with(load, newer.clone());
        let load = world.load(slow);
        world.finish_with(load, older.clone());
        assert_eq!(world.get("/a").text(), "new", "{older:?} after {newer:?}");
    }
}

#[test]
fn clients_of_other_variants_load_their_own_after_the_wait_and_share_that() {
    let mut world = World::new();
    let ask = |language: &str| get("/a").field("accept-language", language);
    let clients = ["en", "de", "de", "en"].map(|language| world.begin(ask(language)));
    assert_eq!((world.open_loads().len(), world.waiting().len()), (1, 3));
    let load = world.load(clients[0]);
    world.finish_with(load, ok("hello").field("vary", "accept-language"));
    assert_eq!(world.answer(clients[3]).text(), "hello");
    assert_eq!((world.open_loads().len(), world.waiting().len()), (1, 1));
    let load = world.open_loads()[0];
    world.finish_with(load, ok("hallo").field("vary", "accept-language"));
    assert_eq!((world.answer(clients[1]).text(), world.answer(clients[2]).text()), ("hallo", "hallo"));
    assert_eq!(world.runs(), 2);
}

#[test]
fn a_request_with_credentials_waits_for_nobody() {
    let mut world = World::new();
    world.begin(get("/a"));
    for field in ["authorization", "cookie"] {
        let client = world.begin(get("/a").field(field, "secret"));
        assert_eq!(world.standing(client), Standing::Loading, "{field}");
    }
}

#[test]
fn the_error_of_a_request_with_credentials_is_its_own() {
    let mut world = World::with_rule(|rule| rule.stale_while_revalidate = Some(seconds(10)));
    world.script(ok("v1").cache_control("public, max-age=30")).get("/a");
    world.advance_seconds(31);
    assert!(world.send(get("/a").field("authorization", "alice")).is_stale());
    world.advance_seconds(10);
    let anonymous = world.begin(get("/a"));
    assert_eq!(world.standing(anonymous), Standing::Waiting);
    let refresh = world.refreshes()[0];
    world.finish_with(refresh, Reply { status: 503, ..ok("for alice") });
    assert_eq!(world.standing(anonymous), Standing::Loading);
}

#[test]
fn a_confirmation_that_forbids_storing_lets_those_who_wait_go_at_once() {
    let mut world = World::new();
    world.script(ok("v1").etag("\"e\"")).get("/a");
    world.advance_seconds(31);
    let clients = crowd(&mut world, "/a", 4);
    let load = world.load(clients[0]);
    world.finish_with(load, status(304).etag("\"e\"").cache_control("no-store"));
    let standings: Vec<Standing> = clients[1..].iter().map(|client| world.standing(*client)).collect();
    assert_eq!(standings, [Standing::Loading; 3]);
}

#[test]
fn after_one_deadline_has_passed_nobody_waits_for_that_load() {
    let mut world = World::new();
    let clients = crowd(&mut world, "/a", 2);
    world.time_out(clients[1]);
    let next = world.begin(get("/a"));
    assert_eq!(world.standing(next), Standing::Loading);
    let load = world.load(next);
    world.finish_with(load, ok("v1"));
    assert!(world.get("/a").is_hit(), "the first storable answer ends it");
}

#[test]
fn a_client_that_waited_gets_what_it_asked_for() {
    let mut world = World::new();
    let leader = world.begin(get("/a"));
    let conditional = world.begin(get("/a").field("if-none-match", "\"e\""));
    let other = world.begin(get("/a").field("if-none-match", "\"other\""));
    let load = world.load(leader);
    world.finish_with(load, ok("0123456789").etag("\"e\""));
    assert_eq!((world.answer(conditional).status, world.answer(other).text()), (304, "0123456789"));
}

#[test]
fn head_and_range_on_a_stale_response_join_its_one_load() {
    let mut world = World::new();
    world.script(ok("0123456789")).get("/a");
    world.advance_seconds(31);
    let clients = [get("/a"), head("/a"), get("/a").field("range", "bytes=2-3")].map(|ask| world.begin(ask));
    assert_eq!((world.runs(), world.waiting().len()), (2, 2));
    let load = world.load(clients[0]);
    world.finish_with(load, ok("abcdefghij"));
    let got = clients.map(|client| (world.answer(client).status, world.answer(client).text().to_owned()));
    assert_eq!(got, [(200, "abcdefghij".into()), (200, String::new()), (206, "cd".into())]);
}
