//! What is no longer true is not served: whatever names it, however its load and the invalidation interleave.

mod world;

use hotplate::log::{Mode, Target};
use hotplate_policy::reason::Reason;
use world::*;

/// A world in which `/products/42` has the tags `products` and `product:42`.
fn tagged() -> World {
    World::with(|settings| {
        let mut products = rule("/products/{id}");
        products.tags = vec!["products".into(), "product:{id}".into()];
        settings.rules = vec![products];
    })
}

/// Everything that names `/products/42`.
fn names_of_42() -> Vec<Target<'static>> {
    let path: &[u8] = b"/products/42";
    vec![
        Target::Everything,
        Target::Key(primary_key("/products/42")),
        Target::Tag("products"),
        Target::Tag("product:42"),
        Target::Path(path),
        Target::Uri { authority: b"Example.org", path },
        Target::Prefix(b"/"),
        Target::Prefix(b"/products"),
        Target::Prefix(b"/products/42/"),
    ]
}

#[test]
fn what_is_named_is_loaded_again() {
    for target in names_of_42() {
        let mut world = tagged();
        world.script(ok("old")).get("/products/42");
        world.invalidate(&target, Mode::Hard);
        let answer = world.script(ok("new")).get("/products/42");
        assert_eq!((answer.text(), answer.is_hit()), ("new", false), "{target}");
        assert!(world.get("/products/42").is_hit(), "{target} concerns what was loaded before it");
    }
}

#[test]
fn what_is_not_named_stays() {
    for target in [
        Target::Key(primary_key("/products/4")),
        Target::Tag("product:4"),
        Target::Tag("/products/42"),
        Target::Path(b"/products"),
        Target::Path(b"/products/42/"),
        Target::Uri { authority: b"example.com", path: b"/products/42" },
        Target::Prefix(b"/product"),
        Target::Prefix(b"/products/4"),
    ] {
        let mut world = tagged();
        world.get("/products/42");
        world.invalidate(&target, Mode::Hard);
        assert!(world.get("/products/42").is_hit(), "{target}");
    }
}

#[test]
fn a_path_goes_with_every_host_query_partition_and_variant_of_it() {
    let asks = [
        get("/a"),
        get("/a?x=1"),
        get("/a").host("example.com"),
        get("/a").scheme("http"),
        get("/a").field("x-a", "1"),
        head("/a"),
    ];
    let mut world = World::with_rule(|rule| rule.vary = vec!["x-a".into()]);
    for ask in asks.clone() {
        world.send(ask);
    }
    world.invalidate(&Target::Path(b"/a"), Mode::Hard);
    for ask in asks {
        let runs = world.runs();
        world.send(ask.clone());
        // `HEAD` is answered from what the first `GET` has just stored.
        assert_eq!(world.runs(), runs + usize::from(ask.method == "GET"), "{ask:?}");
    }
}

#[test]
fn a_key_goes_with_all_its_variants() {
    let mut world = World::with_rule(|rule| rule.vary = vec!["x-a".into()]);
    let asks = [get("/a").field("x-a", "1"), get("/a").field("x-a", "2")];
    for ask in asks.clone() {
        world.send(ask);
    }
    world.invalidate(&Target::Key(primary_key("/a")), Mode::Hard);
    for ask in asks {
        assert!(!world.send(ask).is_hit());
    }
}

#[test]
fn what_is_marked_stale_is_served_while_one_load_renews_it() {
    for target in names_of_42() {
        let mut world = tagged();
        world.script(ok("old").etag("\"old\"")).get("/products/42");
        world.invalidate(&target, Mode::Soft);
        for _ in 0..3 {
            let answer = world.get("/products/42");
            assert_eq!((answer.text(), answer.is_stale()), ("old", true), "{target}");
        }
        assert_eq!((world.refreshes().len(), world.last_seen().field("if-none-match")), (1, Some("\"old\"")));
        world.script(ok("new")).finish_refreshes();
        let answer = world.get("/products/42");
        assert_eq!((answer.text(), answer.is_hit()), ("new", true), "{target}");
    }
}

#[test]
fn what_is_marked_stale_and_may_not_be_served_stale_is_validated_first() {
    let mut world = World::new();
    let reply = || ok("v").etag("\"e\"").cache_control("max-age=60, must-revalidate");
    world.script(reply()).get("/a");
    world.invalidate(&Target::Path(b"/a"), Mode::Soft);
    world.script(status(304).etag("\"e\""));
    assert_eq!(world.get("/a").text(), "v");
    assert_eq!((world.stats().validated, world.stats().stale), (1, 0));
    assert!(world.get("/a").is_hit());
}

#[test]
fn a_load_that_began_before_an_invalidation_is_not_served_after_it() {
    for target in names_of_42() {
        for mode in [Mode::Hard, Mode::Soft] {
            let mut world = tagged();
            let slow = world.begin(get("/products/42"));
            world.invalidate(&target, mode);
            let load = world.load(slow);
            world.finish_with(load, ok("old"));
            assert_eq!(world.answer(slow).text(), "old", "whoever asked before may get it");
            let answer = world.script(ok("new")).get("/products/42");
            assert!(!answer.is_hit(), "{target} {mode:?}");
            if mode == Mode::Hard {
                assert_eq!(answer.text(), "new", "{target}");
            }
        }
    }
}

#[test]
fn a_confirmation_that_was_asked_for_before_an_invalidation_confirms_nothing_after_it() {
    for target in names_of_42() {
        let mut world = tagged();
        world.script(ok("old").etag("\"e\"")).get("/products/42");
        world.advance_seconds(31);
        let slow = world.begin(get("/products/42"));
        world.invalidate(&target, Mode::Hard);
        let load = world.load(slow);
        world.finish_with(load, status(304).etag("\"e\""));
        let answer = world.script(ok("new")).get("/products/42");
        assert_eq!((answer.text(), world.last_seen().field("if-none-match")), ("new", None), "{target}");
    }
}

#[test]
fn a_refresh_that_began_before_an_invalidation_is_not_served_after_it() {
    let mut world = World::with_rule(|rule| rule.stale_while_revalidate = Some(seconds(60)));
    world.script(ok("oldest")).get("/a");
    world.advance_seconds(31);
    world.get("/a");
    world.invalidate(&Target::Path(b"/a"), Mode::Hard);
    world.script(ok("old")).finish_refreshes();
    assert_eq!(world.script(ok("new")).get("/a").text(), "new");
}

#[test]
fn who_asks_after_an_invalidation_does_not_join_a_load_that_began_before_it() {
    for target in names_of_42() {
        let mut world = tagged();
        let before = world.begin(get("/products/42"));
        world.invalidate(&target, Mode::Hard);
        let after = world.begin(get("/products/42"));
        let load = world.load(before);
        world.finish_with(load, ok("old"));
        world.script(ok("new"));
        world.drive(after);
        assert_eq!(world.answer(after).text(), "new", "{target}");
        assert_eq!(world.get("/products/42").text(), "new", "{target}");
    }
}

#[test]
fn an_older_load_that_ends_last_does_not_take_the_place_of_the_new_response() {
    let mut world = World::new();
    let before = world.begin(get("/a"));
    world.invalidate(&Target::Path(b"/a"), Mode::Hard);
    world.script(ok("new")).get("/a");
    let load = world.load(before);
    world.finish_with(load, ok("old"));
    let answer = world.get("/a");
    assert_eq!((answer.text(), answer.is_hit()), ("new", true));
}

#[test]
fn an_older_load_that_fails_or_cannot_be_stored_leaves_the_new_response_and_its_waiters_alone() {
    for reply in
        [ok("old").cache_control("private"), status(503), Reply::raise("boom"), ok("old").cut_short()]
    {
        let mut world = World::new();
        let before = world.begin(get("/a"));
        world.invalidate(&Target::Path(b"/a"), Mode::Hard);
        let leader = world.begin(get("/a"));
        let waits = world.begin(get("/a"));
        let load = world.load(before);
        world.finish_with(load, reply.clone());
        assert_eq!(
            (world.standing(leader), world.standing(waits)),
            (Standing::Loading, Standing::Waiting),
            "{reply:?}"
        );
        world.script(ok("new"));
        world.drive(leader);
        assert_eq!(world.answer(waits).text(), "new", "{reply:?}");
    }
}

#[test]
fn those_who_waited_for_a_load_that_was_overtaken_load_again_once() {
    let mut world = World::new();
    let clients: Vec<_> = (0..5).map(|_| world.begin(get("/a"))).collect();
    world.invalidate(&Target::Path(b"/a"), Mode::Hard);
    let load = world.load(clients[0]);
    world.finish_with(load, ok("old"));
    assert_eq!((world.open_loads().len(), world.waiting().len()), (1, 3));
    let load = world.open_loads()[0];
    world.finish_with(load, ok("new"));
    for client in &clients[1..] {
        assert_eq!(world.answer(*client).text(), "new");
    }
}

#[test]
fn clearing_makes_everything_untrue_and_gives_its_room_back() {
    let mut world = World::new();
    let slow = world.begin(get("/slow"));
    world.get("/a");
    world.cache.clear(world.cache.now());
    assert_eq!((world.stats().entries, world.stats().bytes), (0, 0));
    world.drive(slow);
    assert!(!world.get("/slow").is_hit());
    assert!(!world.get("/a").is_hit());
}

#[test]
fn a_write_that_is_answered_without_error_makes_its_uri_untrue() {
    for (method, number, untrue) in [
        ("POST", 200, true),
        ("PUT", 204, true),
        ("PATCH", 202, true),
        ("DELETE", 303, true),
        ("MAKE", 200, true),
        ("PUT", 400, false),
        ("PUT", 409, false),
        ("DELETE", 500, false),
        ("OPTIONS", 200, false),
        ("TRACE", 200, false),
    ] {
        let mut world = World::new();
        world.get("/a");
        world.get("/a?x=1");
        world.get("/b");
        world.script(status(number)).send(request(method, "/a"));
        assert_eq!(!world.get("/a").is_hit(), untrue, "{method} {number}");
        assert_eq!(!world.get("/a?x=1").is_hit(), untrue, "{method} {number}");
        assert!(world.get("/b").is_hit());
    }
}

#[test]
fn a_write_on_one_host_leaves_the_other_alone() {
    let mut world = World::new();
    world.send(get("/a").host("example.com"));
    world.send(request("PUT", "/a"));
    assert!(world.send(get("/a").host("example.com")).is_hit());
}

#[test]
fn a_write_counts_where_nothing_is_cached_too() {
    let mut world = World::with(|settings| settings.allowed_hosts = Some(vec!["example.org".into()]));
    world.get("/a");
    world.send(request("PUT", "/a").field("upgrade", "h2c"));
    assert!(!world.get("/a").is_hit());
}

#[test]
fn what_the_answer_to_a_write_names_on_its_own_origin_goes_too() {
    for (name, value, untrue) in [
        ("location", "/b", true),
        ("content-location", "/b", true),
        ("location", "b", true),
        ("location", "https://example.org/b?x=1", true),
        ("location", "https://EXAMPLE.org:443/b", true),
        ("location", "//example.org/b", true),
        ("location", "/%62", true),
        ("location", "http://example.org/b", false),
        ("location", "https://example.com/b", false),
        ("content-location", "https://example.org:8443/b", false),
        ("location", "/b/c", false),
        ("x-location", "/b", false),
    ] {
        let mut world = World::new();
        world.get("/b");
        world.script(status(201).field(name, value)).send(post("/a", ""));
        assert_eq!(!world.get("/b").is_hit(), untrue, "{name}: {value}");
    }
}

#[test]
fn what_an_error_names_stays() {
    let mut world = World::new();
    world.get("/b");
    world.script(status(409).field("location", "/b")).send(post("/a", ""));
    assert!(world.get("/b").is_hit());
}

#[test]
fn a_mounted_application_names_paths_as_its_clients_do() {
    let mut world = World::new();
    let inside = |ask: Ask| ask.mounted("/api");
    world.send(inside(get("/items")));
    world.send(inside(get("/items/7")));
    world.script(status(201).field("location", "/api/items/7")).send(inside(post("/items", "")));
    assert!(!world.send(inside(get("/items/7"))).is_hit());
    assert!(!world.send(inside(get("/items"))).is_hit());
}

#[test]
fn cache_groups_of_a_response_are_named_by_the_answer_to_a_write() {
    let mut world = World::new();
    world.script(ok("v").field("cache-groups", "\"list\"")).get("/b");
    world.script(ok("v").field("cache-groups", "\"other\"")).get("/c");
    world.script(status(204).field("cache-group-invalidation", "\"list\"")).send(request("PUT", "/a"));
    assert_eq!((world.get("/b").is_hit(), world.get("/c").is_hit()), (false, true));
}

/// A write whose head is out and that has not returned yet.
fn writing(world: &mut World, reply: Reply) -> LoadId {
    let client = world.begin(request("PUT", "/a"));
    let load = world.load(client);
    world.head(load, &reply);
    load
}

#[test]
fn a_write_makes_untrue_what_is_stored_when_its_head_is_out() {
    let mut world = World::new();
    world.get("/a");
    writing(&mut world, status(200));
    assert!(!world.get("/a").is_hit());
}

#[test]
fn what_is_loaded_between_the_head_and_the_end_of_a_write_is_not_served_afterwards() {
    for path in ["/a", "/b", "/c"] {
        let mut world = World::new();
        let write = writing(&mut world, status(201).field("location", "/b").field("content-location", "/c"));
        world.script(ok("not committed yet")).get(path);
        world.chunk(write, b"", true);
        world.end(write);
        assert_eq!(world.script(ok("committed")).get(path).text(), "committed", "{path}");
    }
}

#[test]
fn a_group_that_is_loaded_between_the_head_and_the_end_of_a_write_is_not_served_afterwards() {
    let mut world = World::new();
    let write = writing(&mut world, status(204).field("cache-group-invalidation", "\"list\""));
    world.script(ok("not committed yet").field("cache-groups", "\"list\"")).get("/b");
    world.chunk(write, b"", true);
    world.end(write);
    assert_eq!(world.script(ok("committed")).get("/b").text(), "committed");
}

#[test]
fn a_write_that_stops_after_its_head_may_have_been_committed_all_the_same() {
    for raises in [true, false] {
        let mut world = World::new();
        let write = writing(&mut world, status(200));
        world.script(ok("not committed yet")).get("/a");
        if raises {
            world.raise(write, "the background task failed");
        } else {
            world.abandon(write);
        }
        assert_eq!(world.script(ok("committed")).get("/a").text(), "committed", "raises: {raises}");
    }
}

#[test]
fn an_excluded_path_is_written_to_all_the_same() {
    let mut world = World::with(|settings| settings.exclude = vec!["/admin".into()]);
    world.get("/b");
    world.script(status(201).field("location", "/b")).send(post("/admin/b", ""));
    assert!(!world.get("/b").is_hit());
    assert_eq!(world.forwarded(Reason::Excluded), 1);
}
