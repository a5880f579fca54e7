//! One client at a time: what is stored, what is answered from it, and what the application is asked again.

mod world;

use std::time::Duration;

use hotplate::exchange::Dependency;
use hotplate::rules::Cookies;
use hotplate_policy::control::LocalDirectives;
use hotplate_policy::reason::Reason;
use world::*;

const DATE: &str = "Tue, 14 Nov 2023 22:13:20 GMT";
const BEFORE: &str = "Tue, 14 Nov 2023 20:00:00 GMT";

#[test]
fn a_miss_is_loaded_once_and_then_served_from_the_cache() {
    let mut world = World::new();
    let first = world.script(ok("v1")).get("/a");
    assert_eq!((first.status, first.text()), (200, "v1"));
    assert_eq!(first.cache_status(), "hotplate; fwd=uri-miss; ttl=30; stored");
    assert_eq!(first.field("age"), None);
    world.advance_seconds(29);
    let second = world.get("/a");
    assert_eq!((second.text(), second.field("age")), ("v1", Some("29")));
    assert_eq!(second.cache_status(), "hotplate; hit; ttl=1");
    assert_eq!(world.runs(), 1);
}

#[test]
fn a_response_is_fresh_for_its_lifetime_and_not_a_millisecond_longer() {
    let mut world = World::new();
    world.get("/a");
    world.advance(Duration::from_millis(29_999));
    assert!(world.get("/a").is_hit());
    world.advance(Duration::from_millis(1));
    assert!(!world.get("/a").is_hit());
    assert_eq!(world.runs(), 2);
}

#[test]
fn repeated_fields_survive_in_their_order() {
    let mut world = World::new();
    let links = ["<a>; rel=preload", "<b>; rel=preload"];
    world.script(ok("v").field("Link", links[0]).field("X-Between", "1").field("link", links[1]));
    assert_eq!(world.get("/a").lines("link"), links);
    let hit = world.get("/a");
    assert!(hit.is_hit());
    assert_eq!(hit.lines("link"), links);
}

#[test]
fn fields_of_one_connection_are_not_stored() {
    let mut world = World::new();
    world.script(
        ok("v").field("Connection", "close, X-Hop").field("X-Hop", "1").field("Keep-Alive", "timeout=5"),
    );
    world.get("/a");
    let hit = world.get("/a");
    for name in ["connection", "x-hop", "keep-alive"] {
        assert_eq!(hit.lines(name), [""; 0], "{name}");
    }
}

#[test]
fn the_application_is_asked_to_confirm_what_is_stale_and_its_fields_are_merged() {
    let mut world = World::new();
    world.script(
        ok("v1").etag("\"e1\"").field("last-modified", BEFORE).field("x-build", "1").field("x-kept", "k"),
    );
    world.get("/a");
    world.advance_seconds(31);
    world.script(status(304).etag("\"e1\"").field("x-build", "2"));
    let confirmed = world.get("/a");
    let seen = world.last_seen();
    assert_eq!(
        (seen.field("if-none-match"), seen.field("if-modified-since")),
        (Some("\"e1\""), Some(BEFORE))
    );
    assert_eq!((confirmed.status, confirmed.text()), (200, "v1"));
    assert_eq!((confirmed.field("x-build"), confirmed.field("x-kept")), (Some("2"), Some("k")));
    assert_eq!(confirmed.cache_status(), "hotplate; fwd=stale; fwd-status=304; ttl=30; stored");
    let hit = world.get("/a");
    assert!(hit.is_hit());
    assert_eq!((hit.text(), hit.field("x-build"), hit.field("age")), ("v1", Some("2"), Some("0")));
    let stats = world.stats();
    assert_eq!((stats.hits, stats.misses, stats.validated), (1, 1, 1));
}

#[test]
fn a_full_answer_to_the_question_replaces_what_was_stored() {
    let mut world = World::new();
    world.script(ok("v1").etag("\"e1\"")).script(ok("v2").etag("\"e2\""));
    world.get("/a");
    world.advance_seconds(31);
    assert_eq!(world.get("/a").text(), "v2");
    let hit = world.get("/a");
    assert!(hit.is_hit());
    assert_eq!((hit.text(), hit.field("etag")), ("v2", Some("\"e2\"")));
}

#[test]
fn a_generated_etag_is_never_sent_to_the_application() {
    let mut world = World::new();
    world.get("/a");
    assert!(world.get("/a").field("etag").is_some());
    world.advance_seconds(31);
    world.script(ok("v2"));
    assert_eq!(world.get("/a").text(), "v2");
    assert_eq!(world.last_seen().field("if-none-match"), None);
}

#[test]
fn a_generated_etag_stays_with_its_body_when_the_application_confirms_by_date() {
    let mut world = World::new();
    world.script(ok("v1").field("last-modified", BEFORE));
    let tag = world.get("/a").field("etag").unwrap().to_owned();
    for _ in 0..2 {
        world.advance_seconds(31);
        world.script(status(304));
        assert_eq!(world.get("/a").field("etag"), Some(&*tag));
        let seen = world.last_seen();
        assert_eq!((seen.field("if-none-match"), seen.field("if-modified-since")), (None, Some(BEFORE)));
    }
}

#[test]
fn a_confirmation_of_something_else_makes_the_application_run_again_without_conditions() {
    let mut world = World::new();
    world.script(ok("v1").etag("\"e1\""));
    world.get("/a");
    world.advance_seconds(31);
    world.script(status(304).etag("\"other\"")).script(ok("v2").etag("\"e2\""));
    assert_eq!(world.get("/a").text(), "v2");
    assert_eq!((world.runs(), world.last_seen().field("if-none-match")), (3, None));
    assert!(world.get("/a").is_hit());
}

#[test]
fn the_lifetime_told_to_clients_replaces_the_applications_and_survives_a_confirmation() {
    let mut world = World::with(|settings| settings.client_ttl = Some(seconds(5)));
    world.script(ok("v1").etag("\"e1\"").cache_control("max-age=60"));
    let miss = world.get("/a");
    assert_eq!(miss.field("cache-control"), Some("max-age=5"));
    world.advance_seconds(59);
    assert_eq!(world.get("/a").cache_status(), "hotplate; hit; ttl=1");
    world.advance_seconds(1);
    world.script(status(304).etag("\"e1\""));
    let confirmed = world.get("/a");
    assert_eq!((confirmed.field("cache-control"), confirmed.lines("expires").len()), (Some("max-age=5"), 1));
    world.advance_seconds(20);
    let hit = world.get("/a");
    assert!(hit.is_hit(), "{}", hit.cache_status());
    // Counted from the age it is sent with, so that every client has five seconds.
    assert_eq!((hit.field("age"), hit.field("cache-control")), (Some("20"), Some("max-age=25")));
}

#[test]
fn a_lifetime_that_only_the_application_gave_survives_a_confirmation_that_is_silent_about_it() {
    let mut world = World::with(|settings| {
        settings.ttl = None;
        settings.client_ttl = Some(seconds(5));
    });
    world.script(ok("v1").etag("\"e1\"").cache_control("max-age=60")).get("/a");
    world.advance_seconds(61);
    world.script(status(304).etag("\"e1\"")).get("/a");
    world.advance_seconds(59);
    let hit = world.get("/a");
    assert_eq!((hit.is_hit(), hit.field("cache-control")), (true, Some("max-age=64")));
}

#[test]
fn a_confirmation_takes_nothing_from_what_the_application_forbade() {
    for (told, hits) in
        [("no-cache", 0), ("max-age=5", 0), ("max-age=5, must-revalidate", 0), ("max-age=90", 1)]
    {
        let mut world = World::with(|settings| {
            settings.ttl = Some(seconds(3600));
            settings.client_ttl = Some(seconds(10));
        });
        world.script(ok("v1").etag("\"e1\"").cache_control(told)).get("/a");
        world.advance_seconds(100);
        world.script(status(304).etag("\"e1\"")).get("/a");
        world.advance_seconds(60);
        world.script(status(304).etag("\"e1\"")).get("/a");
        assert_eq!(world.stats().hits, hits, "{told}");
    }
}

#[test]
fn a_range_in_another_unit_and_a_condition_for_the_origin_are_the_applications() {
    let asks = [
        get("/a").field("range", "apples=1-2"),
        get("/a").field("range", "bytes=0-1").field("if-match", "\"e\""),
        get("/a").field("if-unmodified-since", "x"),
    ];
    for ask in asks {
        let mut world = World::new();
        world.script(ok("0123456789").etag("\"e\"")).get("/a");
        world.script(ok("its own"));
        assert_eq!(world.send(ask.clone()).text(), "its own", "{ask:?}");
    }
}

#[test]
fn a_confirmation_that_forbids_storing_is_the_last_answer_from_what_was_stored() {
    let mut world = World::new();
    world.script(ok("v1").etag("\"e1\""));
    world.get("/a");
    world.advance_seconds(31);
    world.script(status(304).etag("\"e1\"").cache_control("no-store"));
    assert_eq!(world.get("/a").text(), "v1");
    world.script(ok("v2"));
    assert_eq!(world.get("/a").text(), "v2");
    assert_eq!(world.runs(), 3);
}

#[test]
fn conditional_requests_are_answered_from_what_is_stored() {
    let mut world = World::new();
    world.script(ok("body").etag("\"e\"").field("last-modified", DATE).field("content-type", "text/plain"));
    world.get("/a");
    for (name, value, expected) in [
        ("if-none-match", "\"e\"", 304),
        ("if-none-match", "W/\"e\"", 304),
        ("if-none-match", "\"x\", \"e\"", 304),
        ("if-none-match", "*", 304),
        ("if-none-match", "\"x\"", 200),
        ("if-modified-since", DATE, 304),
        ("if-modified-since", BEFORE, 200),
        ("if-modified-since", "yesterday", 200),
    ] {
        let answer = world.send(get("/a").field(name, value));
        assert_eq!(answer.status, expected, "{name}: {value}");
        assert!(answer.is_hit());
        if expected == 304 {
            assert_eq!((answer.field("etag"), answer.lines("content-type").len()), (Some("\"e\""), 0));
        }
    }
    assert_eq!(world.runs(), 1);
}

#[test]
fn ranges_are_answered_from_what_is_stored() {
    let mut world = World::new();
    world.script(ok("0123456789").etag("\"e\""));
    world.get("/a");
    for (range, if_range, status, body, content_range) in [
        ("bytes=2-4", None, 206, "234", Some("bytes 2-4/10")),
        ("bytes=-2", None, 206, "89", Some("bytes 8-9/10")),
        ("bytes=8-", None, 206, "89", Some("bytes 8-9/10")),
        ("bytes=10-", None, 416, "", Some("bytes */10")),
        ("bytes=4-2", None, 200, "0123456789", None),
        ("bytes=2-4", Some("\"e\""), 206, "234", Some("bytes 2-4/10")),
        ("bytes=2-4", Some("\"x\""), 200, "0123456789", None),
        ("bytes=2-4", Some("W/\"e\""), 200, "0123456789", None),
    ] {
        let mut ask = get("/a").field("range", range);
        if let Some(condition) = if_range {
            ask = ask.field("if-range", condition);
        }
        let answer = world.send(ask);
        let got = (answer.status, answer.text(), answer.field("content-range"));
        assert_eq!(got, (status, body, content_range), "{range} {if_range:?}");
    }
    assert_eq!(world.runs(), 1);
}

#[test]
fn several_ranges_come_as_parts() {
    let mut world = World::new();
    world.script(ok("0123456789").field("content-type", "text/plain"));
    world.get("/a");
    let answer = world.send(get("/a").field("range", "bytes=0-1,8-9"));
    assert_eq!(answer.status, 206);
    assert!(answer.field("content-type").unwrap().starts_with("multipart/byteranges; boundary="));
    for part in ["bytes 0-1/10", "bytes 8-9/10", "content-type: text/plain"] {
        assert!(answer.text().to_ascii_lowercase().contains(part), "{part} in {}", answer.text());
    }
}

#[test]
fn head_is_answered_from_what_get_stored() {
    let mut world = World::new();
    world.script(ok("body").field("x-a", "1"));
    world.get("/a");
    let answer = world.send(head("/a"));
    assert!(answer.is_hit());
    assert_eq!(
        (answer.status, answer.field("content-length"), answer.field("x-a")),
        (200, Some("4"), Some("1"))
    );
    assert_eq!(world.runs(), 1);
}

#[test]
fn head_with_nothing_stored_is_forwarded_as_head_and_stores_nothing() {
    let mut world = World::new();
    world.send(head("/a"));
    assert_eq!((&*world.last_seen().method, world.forwarded(Reason::HeadMiss)), ("HEAD", 1));
    assert!(!world.get("/a").is_hit());
}

#[test]
fn head_on_a_stale_response_loads_it_with_get_and_gets_no_content() {
    for reply in [ok("v2"), Reply::chunked(&["v", "2"])] {
        let mut world = World::new();
        world.get("/a");
        world.advance_seconds(31);
        world.script(reply);
        let answer = world.send(head("/a"));
        assert_eq!((&*world.last_seen().method, answer.status, answer.text()), ("GET", 200, ""));
        assert_eq!(world.get("/a").text(), "v2");
        assert_eq!(world.runs(), 2);
    }
}

#[test]
fn a_range_of_what_is_not_stored_is_the_applications_to_answer_and_is_not_stored() {
    let mut world = World::new();
    let partial = ok("23").field("content-range", "bytes 2-3/10");
    world.script(Reply { status: 206, ..partial });
    let answer = world.send(get("/a").field("range", "bytes=2-3"));
    assert_eq!((answer.status, world.last_seen().field("range")), (206, Some("bytes=2-3")));
    assert!(!world.get("/a").is_hit());
}

#[test]
fn the_load_of_a_conditional_request_asks_for_the_whole_and_the_client_gets_its_304() {
    for reply in [ok("v1").etag("\"e\""), Reply::chunked(&["v", "1"]).etag("\"e\"")] {
        let mut world = World::new();
        world.script(reply);
        let answer = world.send(get("/a").field("if-none-match", "\"e\""));
        assert_eq!((answer.status, world.last_seen().field("if-none-match")), (304, None));
        assert_eq!(world.get("/a").text(), "v1");
        assert_eq!(world.runs(), 1);
    }
}

#[test]
fn a_precondition_on_the_state_of_the_origin_is_forwarded_untouched() {
    let mut world = World::new();
    world.send(get("/a").field("if-match", "\"e\""));
    assert_eq!(
        (world.last_seen().field("if-match"), world.forwarded(Reason::Precondition)),
        (Some("\"e\""), 1)
    );
}

#[test]
fn the_head_of_a_short_answer_is_held_until_its_etag_is_known() {
    let mut world = World::new();
    let client = world.begin(get("/a"));
    let load = world.load(client);
    world.head(load, &ok("body"));
    assert_eq!(world.answer(client).status, 0);
    world.chunk(load, b"body", true);
    let answer = world.answer(client).clone();
    assert_eq!((world.standing(client), answer.text(), answer.status), (Standing::Answered, "body", 200));
    assert!(answer.field("etag").is_some_and(|tag| tag.starts_with('"')));
    assert_eq!(world.get("/a").field("etag"), answer.field("etag"));
    assert_eq!(world.open_loads(), [load], "what the application does afterwards holds nobody up");
}

#[test]
fn a_held_head_goes_out_with_the_first_of_several_chunks() {
    let mut world = World::new();
    let client = world.begin(get("/a"));
    let load = world.load(client);
    world.head(load, &ok("body"));
    world.chunk(load, b"bo", false);
    assert_eq!((world.answer(client).status, world.answer(client).text()), (200, "bo"));
    world.chunk(load, b"dy", true);
    assert_eq!((world.standing(client), world.answer(client).text()), (Standing::Answered, "body"));
    let hit = world.get("/a");
    assert!(hit.is_hit() && hit.field("etag").is_some());
    assert_eq!(hit.text(), "body");
}

#[test]
fn a_held_head_says_what_was_true_when_it_came() {
    let mut world = World::with(|settings| settings.client_ttl = Some(seconds(5)));
    let client = world.begin(get("/a"));
    let load = world.load(client);
    world.head(load, &ok("body").field("date", DATE));
    world.advance_seconds(3);
    world.chunk(load, b"bo", false);
    let answer = world.answer(client);
    assert_eq!(answer.cache_status(), "hotplate; fwd=uri-miss; stored");
    assert_eq!(answer.lines("cache-control"), ["max-age=5"]);
    assert_eq!(answer.lines("expires"), ["Tue, 14 Nov 2023 22:13:25 GMT"]);
}

#[test]
fn a_client_that_asks_again_before_the_last_byte_is_out_gets_a_hit() {
    let mut world = World::new();
    let client = world.begin(get("/a"));
    let load = world.load(client);
    world.head(load, &Reply::chunked(&[]));
    world.chunk(load, b"bo", false);
    world.chunk(load, b"dy", true);
    assert!(world.get("/a").is_hit());
    world.end(load);
}

#[test]
fn a_head_that_was_held_goes_out_unchanged_when_its_content_has_another_length() {
    for body in ["bod", "body and more"] {
        let mut world = World::new();
        let client = world.begin(get("/a"));
        let load = world.load(client);
        world.head(load, &ok("body"));
        world.chunk(load, body.as_bytes(), true);
        let answer = world.answer(client);
        assert_eq!((answer.status, answer.text(), answer.field("etag")), (200, body, None));
        assert_eq!(answer.cache_status(), "hotplate; fwd=uri-miss; detail=length-mismatch");
        world.end(load);
        assert_eq!(world.not_stored(Reason::LengthMismatch), 1);
        assert!(!world.get("/a").is_hit());
    }
}

#[test]
fn what_ends_early_is_never_stored() {
    for reply in [
        Reply::chunked(&["bo"]).cut_short(),
        ok("body").cut_short(),
        Reply::chunked(&["bo", "dy"]).then_raises("boom"),
        ok("body").then_raises("boom"),
        Reply::chunked(&[]).cut_short(),
        Reply::raise("boom"),
    ] {
        let mut world = World::new();
        world.script(reply.clone());
        let client = world.begin(get("/a"));
        world.drive(client);
        assert_ne!(world.standing(client), Standing::Answered, "{reply:?}");
        assert!(!world.get("/a").is_hit(), "{reply:?}");
        assert_eq!(world.runs(), 2, "{reply:?}");
    }
}

#[test]
fn only_if_cached_is_a_504_where_requests_are_obeyed_and_nothing_usable_is_stored() {
    let mut world = World::with(|settings| settings.honor_request_directives = true);
    let ask = || get("/a").field("cache-control", "only-if-cached");
    let refused = world.send(ask());
    assert_eq!((refused.status, world.runs()), (504, 0));
    world.get("/a");
    assert!(world.send(ask()).is_hit());
    world.advance_seconds(31);
    assert_eq!((world.send(ask()).status, world.runs()), (504, 1));
    assert_eq!(world.forwarded(Reason::OnlyIfCached), 2);
}

#[test]
fn orders_in_requests_are_obeyed_only_where_that_is_set() {
    for (order, honored_runs) in
        [("no-cache", 2), ("max-age=0", 2), ("min-fresh=40", 2), ("only-if-cached", 1)]
    {
        for (honor, runs) in [(true, honored_runs), (false, 1)] {
            let mut world = World::with(|settings| settings.honor_request_directives = honor);
            world.get("/a");
            world.send(get("/a").field("cache-control", order));
            assert_eq!(world.runs(), runs, "{order}, honored: {honor}");
        }
    }
}

#[test]
fn a_request_that_says_no_store_leaves_nothing_behind_whatever_is_set() {
    for honor in [false, true] {
        let mut world = World::with(|settings| settings.honor_request_directives = honor);
        world.send(get("/a").field("cache-control", "no-store"));
        assert_eq!(world.forwarded(Reason::NoStoreRequest), 1);
        assert!(!world.get("/a").is_hit());
    }
}

#[test]
fn a_request_with_credentials_is_neither_served_nor_stored_without_permission() {
    // How the request is made; what the response says; whether a second one like it, and then a plain one, are hits.
    for (field, response, cookies, again) in [
        ("authorization", "", Cookies::Guard, false),
        ("authorization", "max-age=60", Cookies::Guard, false),
        ("authorization", "max-age=60, public", Cookies::Guard, true),
        ("authorization", "s-maxage=60", Cookies::Guard, true),
        ("authorization", "max-age=60, must-revalidate", Cookies::Guard, true),
        ("authorization", "", Cookies::Ignore, false),
        ("cookie", "", Cookies::Guard, false),
        ("cookie", "max-age=60, public", Cookies::Guard, true),
        ("cookie", "", Cookies::Ignore, true),
    ] {
        let mut world = World::with_rule(|rule| rule.cookies = cookies);
        for _ in 0..4 {
            world.script(ok("for you").cache_control(response));
        }
        let ask = || get("/a").field(field, "secret");
        assert!(!world.send(ask()).is_hit());
        assert_eq!(world.send(ask()).is_hit(), again, "{field}, {response}, {cookies:?}");
        assert_eq!(world.get("/a").is_hit(), again, "then without {field}, {response}, {cookies:?}");
    }
}

#[test]
fn what_was_stored_for_everybody_is_not_served_to_a_request_with_credentials() {
    for field in ["authorization", "cookie"] {
        let mut world = World::new();
        world.script(ok("anonymous")).script(ok("yours"));
        world.get("/a");
        let own = world.send(get("/a").field(field, "secret"));
        assert_eq!(own.text(), "yours", "{field}");
        assert_eq!(world.get("/a").text(), "anonymous", "{field}");
    }
}

#[test]
fn a_response_that_sets_a_cookie_is_stored_only_where_that_is_asked_for() {
    for (cookies, stored) in [(Cookies::Guard, false), (Cookies::Ignore, false), (Cookies::DangerStore, true)]
    {
        let mut world = World::with_rule(|rule| rule.cookies = cookies);
        for _ in 0..2 {
            world.script(ok("v").field("set-cookie", "a=1").field("set-cookie", "b=2"));
        }
        world.get("/a");
        let second = world.get("/a");
        assert_eq!(second.is_hit(), stored, "{cookies:?}");
        assert_eq!(second.lines("set-cookie"), ["a=1", "b=2"], "{cookies:?}");
    }
}

#[test]
fn what_the_handler_says_outranks_the_rule_and_the_response() {
    let says = |directives| Dependency { directives, ..Dependency::default() };
    let ttl = |number| LocalDirectives { ttl: Some(seconds(number)), ..LocalDirectives::default() };
    for (dependency, expected) in [
        (says(ttl(7)), "hotplate; fwd=uri-miss; ttl=7; stored"),
        (says(LocalDirectives { no_store: true, ..ttl(7) }), "hotplate; fwd=uri-miss; detail=rule-no-store"),
    ] {
        let mut world = World::new();
        world.script(ok("v").cache_control("max-age=60").dependency(dependency));
        assert_eq!(world.get("/a").cache_status(), expected);
    }
}

#[test]
fn a_rule_that_overrides_outranks_the_response_and_one_that_does_not_gives_a_default() {
    for (overrides, says, expected) in [
        (false, "max-age=60", "ttl=60"),
        (false, "", "ttl=7"),
        (true, "max-age=60", "ttl=7"),
        (true, "", "ttl=7"),
    ] {
        let mut world = World::with_rule(|rule| {
            rule.ttl = Some(seconds(7));
            rule.override_response = overrides;
        });
        world.script(ok("v").cache_control(says));
        assert!(world.get("/a").cache_status().contains(expected), "{overrides} {says}");
    }
}

#[test]
fn x_cache_says_in_one_word_where_the_answer_came_from() {
    let mut world = World::with(|settings| settings.x_cache = true);
    let words: Vec<_> = [get("/a"), get("/a"), post("/b", "")]
        .into_iter()
        .map(|ask| world.send(ask).field("x-cache").map(str::to_owned))
        .collect();
    assert_eq!(words, [Some("MISS".into()), Some("HIT".into()), Some("BYPASS".into())]);
}
