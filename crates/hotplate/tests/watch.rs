//! What people see of a cache agrees with what it did.

mod world;

use hotplate::log::{Mode, Target};
use hotplate::watch::outcomes::{Answered, RuleCounts};
use hotplate::watch::report::Report;
use hotplate::watch::view::{Stands, View};
use hotplate_policy::explain::{Act, Decision};
use hotplate_policy::reason::Reason;
use world::*;

/// A world with a rule for products and one that keeps `/live` out.
fn ruled() -> World {
    World::with(|settings| {
        let mut products = rule("/products/{id}");
        products.tags = vec!["products".into(), "product:{id}".into()];
        let mut live = rule("/live");
        (live.cache, live.ttl) = (false, None);
        settings.rules = vec![products, live];
    })
}

fn report(world: &World) -> Report {
    world.cache.report(true, world.cache.now())
}

fn counts(world: &World, rule: &str) -> RuleCounts {
    report(world).rules.into_iter().find(|counts| counts.rule == rule).expect("a rule of the settings")
}

fn explain(world: &World, ask: &Ask) -> Decision {
    let lines: Vec<(&[u8], &[u8])> =
        ask.fields.iter().map(|(name, value)| (name.as_bytes(), value.as_slice())).collect();
    let refused = &mut |_| hotplate::exchange::Partition::Refused;
    world.http.explain(&ask.request(&lines, false), refused, world.cache.now())
}

fn views(world: &World, target: &str) -> Vec<View> {
    let ask = get(target);
    let refused = &mut |_| hotplate::exchange::Partition::Refused;
    let key = world.http.key_of(&ask.request(&[], false), refused).expect("a request that may be cached");
    world.cache.views(key, world.cache.now()).into_iter().map(|(view, _)| view).collect()
}

#[test]
fn requests_are_counted_by_the_rule_that_speaks() {
    let mut world = ruled();
    for target in ["/products/1", "/products/1", "/products/1", "/other", "/other", "/live", "/live"] {
        world.get(target);
    }
    world.send(post("/products/1", ""));
    let products = counts(&world, "/products/{id}");
    assert_eq!((products.hit, products.miss, products.bypass), (2, 1, 0));
    let live = counts(&world, "/live");
    assert_eq!((live.hit, live.miss, live.bypass), (0, 0, 2));
    let default = counts(&world, "default");
    assert_eq!((default.hit, default.miss, default.bypass), (1, 1, 1));
}

#[test]
fn the_numbers_of_the_rules_add_up_to_those_of_the_cache() {
    let mut world = ruled();
    world.script(ok("v").field("ETag", "\"a\"").field("Cache-Control", "max-age=10, stale-if-error=60"));
    world.get("/products/1");
    world.get("/products/1");
    world.advance_seconds(11);
    world.script(status(304).field("ETag", "\"a\"").field("Cache-Control", "max-age=10, stale-if-error=60"));
    world.get("/products/1");
    world.advance_seconds(11);
    world.script(status(503)).get("/products/1");
    let (products, stats) = (counts(&world, "/products/{id}"), world.stats());
    assert_eq!((products.hit, products.miss, products.validated, products.stale), (1, 1, 1, 1));
    assert_eq!((stats.hits, stats.misses, stats.validated, stats.stale), (1, 1, 1, 1));
}

#[test]
fn what_is_used_most_comes_first_under_its_own_name() {
    let mut world = ruled();
    world.get("/products/1?x=1");
    world.script(ok(&"v".repeat(5000))).get("/other");
    for _ in 0..3 {
        world.get("/products/1?x=1");
    }
    let top = report(&world).top;
    let names = |tops: &[hotplate::watch::top::Top]| {
        tops.iter().map(|top| (top.name.clone(), top.hits)).collect::<Vec<_>>()
    };
    let (product, other) = ("GET example.org/products/1?x=1".to_owned(), "GET example.org/other".to_owned());
    assert_eq!(names(&top.keys_by_hits), [(product.clone(), 3)]);
    assert_eq!(names(&top.keys_by_bytes), [(other, 0), (product, 3)]);
    assert_eq!(names(&top.tags_by_hits), [("product:1".to_owned(), 3), ("products".to_owned(), 3)]);
    assert_eq!(top.tags_by_bytes[0].entries, 1);
}

#[test]
fn a_preview_says_what_an_invalidation_reaches_and_changes_nothing() {
    let mut world = ruled();
    for target in ["/products/1", "/products/2", "/other"] {
        world.get(target);
    }
    for (target, reached) in [
        (Target::Tag("products"), 2),
        (Target::Tag("product:1"), 1),
        (Target::Path(b"/other"), 1),
        (Target::Prefix(b"/products"), 2),
        (Target::Key(primary_key("/products/2")), 1),
        (Target::Everything, 3),
        (Target::Tag("nothing"), 0),
    ] {
        let preview = world.cache.preview(&[target], 10);
        assert_eq!((preview.entries, preview.names.len() as u64), (reached, reached), "{target}");
        assert_eq!(preview.bytes > 0, reached > 0);
    }
    assert!(world.get("/other").is_hit());
    world.invalidate(&Target::Tag("product:1"), Mode::Hard);
    let left = world.cache.preview(&[Target::Tag("products")], 1);
    assert_eq!((left.entries, left.names), (1, vec!["GET example.org/products/2".to_owned()]));
    assert_eq!(world.cache.preview(&[Target::Everything], 1).names.len(), 1);
}

#[test]
fn invalidations_are_told_in_words_the_newest_first() {
    let mut world = ruled();
    world.get("/products/1");
    world.invalidate(&Target::Prefix(b"/products"), Mode::Hard);
    world.invalidate(&Target::Key(primary_key("/products/1")), Mode::Soft);
    let told: Vec<(String, bool)> =
        report(&world).invalidations.into_iter().map(|one| (one.target, one.soft)).collect();
    let key = "key GET example.org/products/1".to_owned();
    assert_eq!(told, [(key, true), ("prefix /products".to_owned(), false)]);
}

#[test]
fn what_would_be_done_is_what_is_done() {
    let mut world = ruled();
    let nothing = explain(&world, &get("/products/1"));
    assert_eq!((nothing.act, nothing.reason), (Act::Forwarded, Reason::UriMiss));
    world.get("/products/1");
    world.advance_seconds(10);
    let fresh = explain(&world, &get("/products/1"));
    assert_eq!((fresh.act, fresh.reason, fresh.ttl_millis), (Act::Served, Reason::Fresh, Some(20_000)));
    world.invalidate(&Target::Tag("products"), Mode::Soft);
    let soft = explain(&world, &get("/products/1"));
    assert_eq!((soft.act, soft.reason), (Act::Served, Reason::StaleWhileRevalidate));
    world.invalidate(&Target::Tag("products"), Mode::Hard);
    assert_eq!(explain(&world, &get("/products/1")).reason, Reason::Invalidated);
    assert_eq!(explain(&world, &get("/live")).reason, Reason::RuleSaysNo);
    assert_eq!(explain(&world, &post("/products/1", "")).reason, Reason::Method);
    let guarded = get("/other").field("Authorization", "Bearer secret");
    assert_eq!(explain(&world, &guarded).reason, Reason::Authorization);
    assert_eq!(world.stats().hits + world.stats().misses, 1, "explaining is not asking");
}

#[test]
fn every_variant_of_a_url_is_shown() {
    let mut world = ruled();
    for language in ["de", "en"] {
        let ask = get("/other").field("Accept-Language", language);
        world.script(ok(language).field("Vary", "Accept-Language")).send(ask);
    }
    let views = views(&world, "/other");
    assert_eq!(views[0].kind, Stands::Variants);
    assert_eq!(views[0].vary, ["accept-language"]);
    let responses: Vec<_> = views[1..].iter().map(|view| (view.kind, view.status)).collect();
    assert_eq!(responses, [(Stands::Response, Some(200)), (Stands::Response, Some(200))]);
}

#[test]
fn the_only_variant_of_a_url_is_shown_under_its_url_and_under_its_own_key() {
    let mut world = ruled();
    world.script(ok("de").field("Vary", "Accept-Language"));
    world.send(get("/other").field("Accept-Language", "de"));
    let of_url = views(&world, "/other");
    assert_eq!((of_url[0].kind, of_url[1].kind, of_url.len()), (Stands::Variants, Stands::Response, 2));
    assert_eq!(of_url[0].vary, ["accept-language"]);
    let top = &world.cache.tops(1).keys_by_bytes[0];
    assert_eq!((&top.key, &top.name), (&of_url[1].key, &of_url[1].name));
    let key = hotplate::key::Key::from_u128(u128::from_str_radix(&top.key, 16).unwrap());
    let printed = world.cache.views_of_printed(key, world.cache.now());
    let keys: Vec<String> = printed.into_iter().map(|(view, _)| view.key).collect();
    assert_eq!(keys, [top.key.as_str()]);
}

#[test]
fn a_view_tells_age_lifetime_tags_and_uses() {
    let mut world = ruled();
    world.get("/products/1");
    world.get("/products/1");
    world.advance_seconds(40);
    let view = views(&world, "/products/1").remove(0);
    assert_eq!((view.age, view.ttl, view.hits), (40.0, -10.0, 1));
    assert_eq!(view.tags, ["product:1", "products"]);
    assert!(view.valid && !view.soft && !view.partitioned);
    world.invalidate(&Target::Tag("products"), Mode::Soft);
    assert!(views(&world, "/products/1").remove(0).soft);
    world.invalidate(&Target::Tag("products"), Mode::Hard);
    assert!(!views(&world, "/products/1").remove(0).valid);
    assert_eq!(views(&world, "/nothing"), []);
}

#[test]
fn hits_are_told_only_while_somebody_looks() {
    let mut world = ruled();
    world.get("/products/1");
    world.get("/products/1");
    let told = world.cache.watch().decisions(10, world.cache.now());
    assert_eq!(told.len(), 1, "a miss is told, a hit is not: {told:?}");
    world.get("/products/1");
    world.script(status(500)).get("/broken");
    let told = world.cache.watch().decisions(10, world.cache.now());
    let seen: Vec<_> = told.iter().map(|told| (told.outcome, told.url.as_str())).collect();
    assert_eq!(
        seen,
        [
            (Answered::Miss, "example.org/broken"),
            (Answered::Hit, "example.org/products/1"),
            (Answered::Miss, "example.org/products/1"),
        ]
    );
    assert!(told[0].sentence.ends_with("status 500 (RFC 9111 §4.2.2)."), "{}", told[0].sentence);
}
