//! Bounds and odd input: what is too large, what keeps the cache out, what numbers a peer may send, and that the
//! counters account for every request.

mod world;

use std::collections::BTreeSet;
use std::sync::Arc;

use hotplate::config::SettingsOptions;
use hotplate::exchange::{HttpCache, Partition};
use hotplate::log::{Mode, Target};
use hotplate_policy::reason::Reason;
use proptest::prelude::*;
use world::*;

#[test]
fn a_body_is_stored_up_to_the_bound_and_not_a_byte_beyond() {
    for (chunks, stored) in [
        (vec!["0123456789"], true),
        (vec!["01234", "56789"], true),
        (vec!["0123456789", ""], true),
        (vec!["01234567890"], false),
        (vec!["01234", "567890"], false),
        (vec!["0123456789", "0", ""], false),
    ] {
        let mut world = World::with(|settings| settings.max_body = 10);
        let answer = world.script(Reply::chunked(&chunks)).get("/a");
        assert_eq!(answer.text(), chunks.concat(), "the client gets all of it");
        assert_eq!(world.get("/a").is_hit(), stored, "{chunks:?}");
        assert_eq!(world.not_stored(Reason::TooLarge), u64::from(!stored));
    }
}

#[test]
fn a_body_that_announces_itself_as_too_large_is_not_even_begun_to_be_kept() {
    let mut world = World::with(|settings| settings.max_body = 10);
    let clients: Vec<_> = (0..3).map(|_| world.begin(get("/a"))).collect();
    let load = world.load(clients[0]);
    world.head(load, &ok("01234567890"));
    assert_eq!((world.waiting().len(), world.not_stored(Reason::TooLarge)), (0, 1));
    assert_eq!(world.answer(clients[0]).status, 200);
}

#[test]
fn a_response_larger_than_the_whole_cache_reaches_everybody_and_is_not_kept() {
    let mut world = World::new();
    let large = "x".repeat(5 << 20);
    let clients: Vec<_> = (0..3).map(|_| world.begin(get("/a"))).collect();
    let load = world.load(clients[0]);
    world.finish_with(load, ok(&large));
    for client in clients {
        world.script(ok(&large));
        world.drive(client);
        assert_eq!(world.answer(client).body.len(), large.len());
    }
    assert_eq!(world.stats().stored, 0);
    assert!(world.stats().bytes < 1 << 20);
}

#[test]
fn many_distinct_urls_stay_within_the_bound() {
    let mut world = World::new();
    let body = "x".repeat(4_000);
    for number in 0..5_000 {
        world.script(ok(&body)).get(&format!("/{number}"));
    }
    let stats = world.stats();
    assert!(stats.evictions > 3_000, "{stats:?}");
    assert!(stats.bytes <= 4 << 20 && stats.bytes > 3 << 20, "{stats:?}");
}

#[test]
fn lifetimes_are_spread_within_the_jitter_and_never_made_longer() {
    for (jitter, least) in [(0.0, 30.0), (0.1, 27.0), (0.5, 15.0), (1.0, 0.0)] {
        let mut world = World::with(|settings| settings.jitter = jitter);
        let mut seen = BTreeSet::new();
        for number in 0..500 {
            let answer = world.get(&format!("/{number}"));
            let (_, ttl) = answer.cache_status().split_once("ttl=").unwrap();
            let ttl: u32 = ttl.split(';').next().unwrap().parse().unwrap();
            assert!((f64::from(ttl) + 1.0 >= least) && ttl <= 30, "{ttl} with a jitter of {jitter}");
            seen.insert(ttl);
        }
        let lowest = f64::from(*seen.first().unwrap());
        assert!(lowest <= least + 1.0, "only down to {lowest} with a jitter of {jitter}");
        assert!(*seen.last().unwrap() >= 29);
    }
}

#[test]
fn each_way_around_the_cache_has_a_reason_of_its_own() {
    let configured = || {
        World::with(|settings| {
            settings.exclude = vec!["/admin".into()];
            settings.allowed_hosts = Some(vec!["example.org".into()]);
            let mut never = rule("/never");
            never.cache = false;
            let mut private = rule("/private");
            private.partitioned = true;
            settings.rules = vec![never, private];
        })
    };
    for (ask, reason) in [
        (get("/admin/users"), Reason::Excluded),
        (get("/never"), Reason::RuleSaysNo),
        (get("/a").host("example.com"), Reason::HostNotAllowed),
        (request("PUT", "/a"), Reason::Method),
        (request("get", "/a"), Reason::Method),
        (get("/a").field("upgrade", "websocket").field("connection", "upgrade"), Reason::Upgrade),
        (get("/a").field("content-length", "3"), Reason::RequestBody),
        (get("/a").field("transfer-encoding", "chunked"), Reason::RequestBody),
        (get("/a").field("range", "bytes=0-1"), Reason::RangeRequest),
        (get("/a").field("if-match", "*"), Reason::Precondition),
        (get("/a").field("cache-control", "no-store"), Reason::NoStoreRequest),
        (head("/a"), Reason::HeadMiss),
        (get("/private"), Reason::PartitionRefused),
        (get("/private").partition(Partition::Failed), Reason::PartitionFailed),
    ] {
        let mut world = configured();
        for _ in 0..2 {
            world.send(ask.clone());
        }
        assert_eq!((world.forwarded(reason), world.runs(), world.stats().entries), (2, 2, 0), "{ask:?}");
    }
}

#[test]
fn each_answer_that_is_not_stored_has_a_reason_of_its_own() {
    for (reply, reason) in [
        (ok("v").cache_control("no-store"), Reason::NoStore),
        (ok("v").cache_control("private"), Reason::Private),
        (ok("v").cache_control("no-cache"), Reason::NoCacheUnvalidatable),
        (ok("v").cache_control("max-age=0"), Reason::ZeroTtl),
        (ok("v").field("set-cookie", "a=1"), Reason::SetCookie),
        (ok("v").field("vary", "*"), Reason::VaryAny),
        (ok("v").field("content-type", "text/event-stream; charset=utf-8"), Reason::EventStream),
        (ok("v").with_trailers(), Reason::Trailers),
        (ok("v").field("content-length", "2"), Reason::LengthMismatch),
        (status(206), Reason::PartialContent),
        (status(304), Reason::StatusNotCacheable),
        (status(302), Reason::StatusNotCacheable),
        (status(429), Reason::StatusNotCacheable),
    ] {
        let mut world = World::new();
        let answer = world.script(reply.clone()).get("/a");
        assert_eq!(world.not_stored(reason), 1, "{reply:?}: {}", answer.cache_status());
        assert!(answer.cache_status().contains(&format!("detail={}", reason.token())));
        assert!(!world.get("/a").is_hit());
    }
}

#[test]
fn statuses_are_stored_by_a_ttl_or_by_their_own_lifetime() {
    for (number, by_ttl, by_max_age) in [
        (200, true, true),
        (203, true, true),
        (204, true, true),
        (300, true, true),
        (301, true, true),
        (302, false, true),
        (307, false, true),
        (308, true, true),
        (400, false, true),
        (403, false, true),
        (404, true, true),
        (405, true, true),
        (410, true, true),
        (414, true, true),
        (429, false, false),
        (500, false, true),
        (501, true, true),
        (503, false, true),
        (511, false, false),
    ] {
        for (says, stored) in [("", by_ttl), ("max-age=60", by_max_age)] {
            let mut world = World::new();
            world.script(status(number).cache_control(says)).get("/a");
            let again = world.get("/a");
            assert_eq!(again.is_hit(), stored, "{number}, {says:?}");
            assert_eq!(again.status == number, stored);
        }
    }
}

#[test]
fn numbers_a_peer_may_send_have_one_meaning_each() {
    for (name, value, expected) in [
        ("cache-control", "max-age=60", Some(60)),
        ("cache-control", "max-age=\"60\"", Some(60)),
        ("cache-control", "MAX-AGE=60", Some(60)),
        // RFC 9111 §4.2.1: the first one, or stale. Stale it is.
        ("cache-control", "max-age=60, max-age=10", None),
        ("cache-control", "max-age=60, max-age=60", Some(60)),
        ("cache-control", "max-age=60, s-maxage=10", Some(10)),
        ("cache-control", "max-age=2147483648", Some(2_147_483_648)),
        ("cache-control", "max-age=99999999999999999999999", Some(2_147_483_648)),
        ("cache-control", "max-age=-1", None),
        ("cache-control", "max-age=abc", None),
        ("cache-control", "max-age=1.5", None),
        ("cache-control", "max-age=60, no-store", None),
        ("cache-control", "max-age=60, private", None),
        ("age", "10", Some(20)),
        ("age", "29", Some(1)),
        ("age", "30", None),
        ("age", "99999999999999999999999", None),
        ("age", "-1", None),
        ("age", "abc", None),
        ("expires", "0", None),
        ("expires", "Tue, 14 Nov 2023 22:14:20 GMT", Some(60)),
        ("expires", "Tue, 14 Nov 2023 22:12:20 GMT", None),
    ] {
        let mut world = World::new();
        world.script(ok("v").field(name, value)).get("/a");
        let answer = world.get("/a");
        let ttl =
            answer.is_hit().then(|| answer.cache_status().rsplit_once("ttl=").unwrap().1.parse().unwrap());
        let shown = ttl.map(|ttl: i64| ttl.min(2_147_483_648));
        assert_eq!(shown, expected, "{name}: {value}: {}", answer.cache_status());
    }
}

#[test]
fn very_long_and_malformed_values_pass_unchanged() {
    let long = "x".repeat(64 << 10);
    let mut world = World::new();
    let bytes = b"caf\xe9 \xff\x80".to_vec();
    let mut reply = ok("v").field("x-long", &long).field("", "no name");
    reply.fields.push(("x-bytes".into(), bytes.clone()));
    world.script(reply);
    let ask = || {
        get("/a")
            .field("x-long", &"y".repeat(64 << 10))
            .field("cache-control", ",,=;\"")
            .field("if-none-match", "\"")
    };
    world.send(ask());
    let hit = world.get("/a");
    assert!(hit.is_hit());
    assert_eq!(hit.field("x-long"), Some(&*long));
    assert!(hit.fields.contains(&("x-bytes".into(), bytes)));
}

#[test]
fn paths_of_any_bytes_have_entries_of_their_own() {
    let mut world = World::new();
    let asks = || {
        ["/caf%C3%A9", "/caf%E9", "/%00", "/%2F", "//", "/a//b", "/\u{e9}"]
            .map(|raw| get(raw).decoded(&raw.replace("%C3%A9", "é")))
    };
    for ask in asks() {
        world.send(ask);
    }
    for ask in asks() {
        assert!(world.send(ask.clone()).is_hit(), "{ask:?}");
    }
    world.invalidate(&Target::Path("/café".as_bytes()), Mode::Hard);
    let [first, second, ..] = asks();
    assert_eq!((world.send(first).is_hit(), world.send(second).is_hit()), (false, true));
}

#[test]
fn two_sides_of_one_cache_share_its_room_and_no_responses() {
    let mut world = World::new();
    world.get("/a");
    let settings = SettingsOptions::default().compile().unwrap();
    world.http = Arc::new(HttpCache::new(Arc::clone(&world.cache), settings));
    assert!(!world.get("/a").is_hit());
    assert_eq!(world.stats().entries, 2);
}

#[derive(Clone, Debug)]
enum Step {
    Ask(usize),
    End(usize, usize),
    Abandon(usize),
    TimeOut(usize),
    Leave(usize),
    Advance(u64),
    Invalidate(bool),
}

fn asks() -> Vec<Ask> {
    vec![
        get("/a"),
        get("/b"),
        get("/b").field("x-a", "1"),
        get("/b").field("x-a", "2"),
        head("/a"),
        get("/a").field("range", "bytes=0-0"),
        get("/a").field("if-none-match", "\"e\""),
        get("/a").field("cookie", "a=1"),
        get("/a").field("authorization", "b"),
        get("/a").field("cache-control", "no-cache"),
        get("/a").field("cache-control", "only-if-cached"),
        get("/a").field("cache-control", "no-store"),
        get("/a").field("cache-control", "max-stale"),
        get("/a").field("if-match", "\"e\""),
        request("PUT", "/a"),
        get("/admin"),
    ]
}

fn replies() -> Vec<Reply> {
    vec![
        ok("v"),
        ok("v").etag("\"e\""),
        Reply::chunked(&["v", "w"]),
        status(304),
        status(304).etag("\"e\""),
        status(304).etag("\"other\""),
        ok("v").field("vary", "x-a"),
        ok("v").cache_control("private"),
        ok("v").cache_control("public, max-age=5"),
        ok("v").cache_control("no-cache").etag("\"e\""),
        status(503),
        status(500).field("set-cookie", "a=1"),
        Reply::raise("boom"),
        Reply::chunked(&["v"]).then_raises("boom"),
        ok("v").then_raises("boom"),
        ok("v").cut_short(),
        ok("more than twenty bytes of it"),
        status(404),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..asks().len()).prop_map(Step::Ask),
        8 => (0..8_usize, 0..replies().len()).prop_map(|(load, reply)| Step::End(load, reply)),
        1 => (0..8_usize).prop_map(Step::Abandon),
        1 => (0..8_usize).prop_map(Step::TimeOut),
        1 => (0..8_usize).prop_map(Step::Leave),
        2 => (1..15_u64).prop_map(Step::Advance),
        1 => any::<bool>().prop_map(Step::Invalidate),
    ];
    proptest::collection::vec(step, 1..80)
}

fn pick<T: Copy>(of: &[T], number: usize) -> Option<T> {
    of.get(number % of.len().max(1)).copied()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// The world's own invariants are checked after every step; here everything that can happen to them happens.
    #[test]
    fn every_request_is_counted_once_and_nobody_is_left_behind(steps in steps(), honor: bool, stale: bool) {
        let mut world = World::with(|settings| {
            settings.honor_request_directives = honor;
            settings.max_body = 20;
            settings.exclude = vec!["/admin".into()];
            settings.jitter = 0.2;
            let mut own = rule("*");
            own.ttl = Some(seconds(10));
            if stale {
                own.stale_while_revalidate = Some(seconds(10));
                own.stale_if_error = Some(seconds(20));
            }
            settings.rules = vec![own];
        });
        for step in steps {
            match step {
                Step::Ask(number) => {
                    world.begin(asks()[number].clone());
                }
                Step::End(number, reply) => {
                    if let Some(load) = pick(&world.open_loads(), number) {
                        world.finish_with(load, replies()[reply].clone());
                    }
                }
                Step::Abandon(number) => {
                    if let Some(load) = pick(&world.open_loads(), number) {
                        world.abandon(load);
                    }
                }
                Step::TimeOut(number) => {
                    if let Some(client) = pick(&world.waiting(), number) {
                        world.time_out(client);
                    }
                }
                Step::Leave(number) => {
                    if let Some(client) = pick(&world.waiting(), number) {
                        world.leave(client);
                    }
                }
                Step::Advance(by) => world.advance_seconds(by),
                Step::Invalidate(hard) => {
                    let mode = if hard { Mode::Hard } else { Mode::Soft };
                    world.invalidate(&Target::Path(b"/a"), mode);
                }
            }
        }
        // When the application has answered everything, everybody has an end.
        while let Some(load) = world.open_loads().first().copied() {
            world.finish(load);
        }
        prop_assert_eq!(world.waiting(), []);
        prop_assert_eq!(world.counted(), world.decided());
    }
}
