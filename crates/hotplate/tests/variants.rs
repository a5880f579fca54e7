//! Who may share a stored response: selecting fields (RFC 9111 §4.1), partitions, and what else is in the key.

mod world;

use std::collections::HashMap;

use hotplate::exchange::Partition;
use hotplate::log::{Mode, Target};
use hotplate::rules::RuleOptions;
use hotplate::tier::local::MOST_VARIANTS;
use hotplate_policy::reason::Reason;
use proptest::prelude::*;
use world::*;

fn in_language(language: &str) -> Ask {
    get("/a").field("accept-language", language)
}

fn by_language(body: &str) -> Reply {
    ok(body).field("vary", "Accept-Language")
}

#[test]
fn each_value_of_a_selecting_field_has_a_response_of_its_own() {
    let mut world = World::new();
    world.script(by_language("hello")).script(by_language("hallo")).script(by_language("neither"));
    assert_eq!(world.send(in_language("en")).text(), "hello");
    let other = world.send(in_language("de"));
    assert_eq!((other.text(), other.cache_status()), ("hallo", "hotplate; fwd=vary-miss; ttl=30; stored"));
    assert_eq!(world.get("/a").text(), "neither");
    for (ask, text) in [(in_language("en"), "hello"), (in_language("de"), "hallo"), (get("/a"), "neither")] {
        let answer = world.send(ask);
        assert!(answer.is_hit());
        assert_eq!(answer.text(), text);
    }
}

#[test]
fn fields_that_do_not_select_do_not_matter() {
    let mut world = World::new();
    world.script(by_language("hello"));
    world.send(in_language("en").field("user-agent", "a"));
    assert!(world.send(in_language("en").field("user-agent", "b").field("x-more", "1")).is_hit());
}

#[test]
fn every_line_of_a_selecting_field_counts() {
    for (values, hit) in [(&["1", "2"][..], true), (&["1"][..], false), (&["2", "1"][..], false)] {
        let mut world = World::new();
        let ask = |values: &[&str]| values.iter().fold(get("/a"), |ask, value| ask.field("x-a", value));
        world.script(ok("both").field("vary", "x-a")).send(ask(&["1", "2"]));
        assert_eq!(world.send(ask(values)).is_hit(), hit, "{values:?}");
    }
}

#[test]
fn a_variant_that_is_stale_is_validated_with_its_own_validator() {
    let mut world = World::new();
    world.script(by_language("hello").etag("\"en\"")).script(by_language("hallo").etag("\"de\""));
    world.send(in_language("en"));
    world.send(in_language("de"));
    world.advance_seconds(31);
    world.script(status(304).etag("\"de\""));
    assert_eq!(world.send(in_language("de")).text(), "hallo");
    assert_eq!(world.last_seen().field("if-none-match"), Some("\"de\""));
    assert!(world.send(in_language("de")).is_hit());
}

#[test]
fn a_key_keeps_so_many_variants_and_the_oldest_goes_for_a_new_one() {
    let mut world = World::new();
    let most = MOST_VARIANTS;
    for number in 0..most {
        world.script(by_language(&number.to_string())).send(in_language(&format!("x-{number}")));
    }
    for number in 0..most {
        assert!(world.send(in_language(&format!("x-{number}"))).is_hit(), "{number}");
    }
    assert_eq!(world.stats().entries, most as u64 + 1);
    world.script(by_language("one more")).send(in_language("x-one-more"));
    assert_eq!(world.stats().entries, most as u64 + 1);
    for number in 1..most {
        assert_eq!(world.send(in_language(&format!("x-{number}"))).text(), number.to_string());
    }
    assert!(!world.script(by_language("0")).send(in_language("x-0")).is_hit());
}

#[test]
fn made_up_values_of_a_selecting_field_take_no_more_room_than_the_variants_of_one_key() {
    let mut world = World::new();
    for number in 0..1_000 {
        world.script(by_language("v")).send(in_language(&format!("x-{number}")));
    }
    assert_eq!(world.stats().entries, MOST_VARIANTS as u64 + 1);
}

#[test]
fn the_only_variant_takes_one_place_and_others_take_theirs() {
    let mut world = World::new();
    world.script(by_language("hello")).send(in_language("en"));
    let alone = world.stats();
    assert_eq!(alone.entries, 1);
    world.script(by_language("again")).send(get("/b").field("accept-language", "de"));
    assert_eq!(world.stats().bytes, 2 * alone.bytes);
    world.script(by_language("hallo")).send(in_language("de"));
    assert_eq!(world.stats().entries, 1 + 3, "two variants and what selects among them");
    for (language, text) in [("en", "hello"), ("de", "hallo")] {
        let answer = world.send(in_language(language));
        assert_eq!((answer.is_hit(), answer.text()), (true, text));
    }
}

#[test]
fn the_only_variant_is_replaced_in_its_place() {
    let mut world = World::new();
    for body in ["first", "second", "third"] {
        world.script(by_language(body)).send(in_language("en"));
        assert_eq!((world.send(in_language("en")).text(), world.stats().entries), (body, 1));
        world.advance_seconds(31);
    }
}

#[test]
fn who_asks_for_the_only_variant_waits_for_its_load_however_it_was_lost() {
    type Lose = fn(&mut World);
    let lost: [(&str, Lose); 3] = [
        ("stale", |world| world.advance_seconds(31)),
        ("invalidated", |world| {
            world.invalidate(&Target::Path(b"/a"), Mode::Hard);
        }),
        ("another one confirmed", |world| {
            world.advance_seconds(31);
            world
                .script(status(304).etag("\"other\""))
                .script(by_language("in between").cache_control("max-age=1"));
            world.send(in_language("en"));
            world.advance_seconds(2);
        }),
    ];
    for (how, lose) in lost {
        let mut world = World::new();
        world.script(by_language("old").etag("\"en\"")).send(in_language("en"));
        lose(&mut world);
        let runs = world.runs();
        let clients = [(); 5].map(|()| world.begin(in_language("en")));
        assert_eq!((world.runs() - runs, world.waiting().len()), (1, 4), "{how}");
        let load = world.load(clients[0]);
        world.finish_with(load, by_language("new"));
        assert!(clients.iter().all(|client| world.answer(*client).text() == "new"), "{how}");
    }
}

#[test]
fn the_only_variant_that_cannot_be_stored_any_more_is_not_waited_for_and_another_one_is() {
    let mut world = World::new();
    world.script(by_language("hello")).send(in_language("en"));
    world.advance_seconds(31);
    world.script(by_language("for one").cache_control("private")).send(in_language("en"));
    let alone = [world.begin(in_language("en")), world.begin(in_language("en"))];
    assert_eq!(alone.map(|client| world.standing(client)), [Standing::Loading; 2]);
    let together = [world.begin(in_language("de")), world.begin(in_language("de"))];
    assert_eq!(together.map(|client| world.standing(client)), [Standing::Loading, Standing::Waiting]);
}

#[test]
fn what_began_before_the_only_variant_does_not_replace_it() {
    let mut world = World::new();
    let (first, second) = (world.begin(in_language("en")), world.begin(in_language("de")));
    assert_eq!(world.standing(second), Standing::Waiting, "nobody knows yet that the key varies");
    world.time_out(second);
    let (older, newer) = (world.load(first), world.load(second));
    world.advance_seconds(1);
    let newest = world.begin(in_language("de"));
    let newest = world.load_of(newest);
    world.finish_with(newer, by_language("hallo"));
    world.finish_with(older, by_language("hello"));
    if let Some(newest) = newest {
        world.finish_with(newest, by_language("hallo"));
    }
    for (language, text) in [("en", "hello"), ("de", "hallo")] {
        assert_eq!(world.send(in_language(language)).text(), text);
    }
}

proptest! {
    /// Languages, what responses vary by, invalidations and time, in any order: nobody gets another's response or an old one,
    /// and what must be found is.
    #[test]
    fn any_order_of_variants_gives_everybody_their_own(
        moves in proptest::collection::vec((0_u8..12, 0_usize..4, 0_usize..3), 1..60)
    ) {
        let languages = ["en", "de", "fr", "it"];
        let varying = ["accept-language", "accept-language, x-device", ""];
        let mut world = World::new();
        // What the last response varied by, and what must be stored: by language, the text.
        let (mut by, mut stored) = (usize::MAX, HashMap::<&str, String>::new());
        for (number, (what, language, now_by)) in moves.into_iter().enumerate() {
            match what {
                0 => {
                    world.invalidate(&Target::Path(b"/a"), Mode::Hard);
                    stored.clear();
                }
                1 => {
                    world.advance_seconds(31);
                    stored.clear();
                }
                _ => {
                    // Where it varies by nothing, one text is for all.
                    let known = if by == 2 { stored.get("") } else { stored.get(languages[language]) }.cloned();
                    let text = format!("{} {number}", languages[language]);
                    let runs = world.runs();
                    world.script(match varying[now_by] {
                        "" => ok(&text),
                        names => ok(&text).field("vary", names),
                    });
                    let answer = world.send(in_language(languages[language]));
                    if let Some(known) = known {
                        prop_assert_eq!((answer.is_hit(), answer.text()), (true, known.as_str()));
                    } else if world.runs() > runs {
                        prop_assert_eq!(answer.text(), text.as_str());
                        if by != now_by {
                            (by, _) = (now_by, stored.clear());
                        }
                        stored.insert(if by == 2 { "" } else { languages[language] }, text);
                    } else {
                        prop_assert!(answer.text().starts_with(languages[language]), "{}", answer.text());
                    }
                    world.unscript();
                }
            }
        }
    }
}

#[test]
fn a_response_that_varies_on_something_else_takes_the_place_of_what_was_known() {
    let mut world = World::new();
    let ask = |language: &str, device: &str| in_language(language).field("x-device", device);
    world.script(by_language("en")).send(ask("en", "tv"));
    world.script(ok("de, tv").field("vary", "accept-language, x-device")).send(ask("de", "tv"));
    assert_eq!(world.send(ask("de", "tv")).text(), "de, tv");
    for (language, device) in [("de", "car"), ("en", "tv")] {
        world.script(ok("new").field("vary", "accept-language, x-device"));
        let answer = world.send(ask(language, device));
        assert_eq!((answer.is_hit(), answer.text()), (false, "new"), "{language}, {device}");
    }
}

#[test]
fn a_response_that_varies_on_nothing_any_more_is_for_everybody() {
    let mut world = World::new();
    world.script(by_language("hello")).send(in_language("en"));
    world.script(ok("for all")).send(in_language("de"));
    for language in ["de", "fr"] {
        let answer = world.send(in_language(language));
        assert_eq!((answer.is_hit(), answer.text()), (true, "for all"), "{language}");
    }
}

#[test]
fn the_fields_of_a_rule_select_beside_those_of_the_response_and_are_told_to_others() {
    let mut world = World::with_rule(|rule| rule.vary = vec!["X-Device".into()]);
    let ask = |language: &str, device: &str| in_language(language).field("x-device", device);
    world.script(by_language("en, tv"));
    let first = world.send(ask("en", "tv"));
    assert_eq!(first.lines("vary"), ["Accept-Language", "x-device"]);
    assert_eq!(world.send(ask("en", "tv")).lines("vary"), ["Accept-Language", "x-device"]);
    for (language, device) in [("de", "tv"), ("en", "car")] {
        world.script(by_language("other"));
        assert!(!world.send(ask(language, device)).is_hit(), "{language}, {device}");
    }
}

#[test]
fn a_response_that_varies_on_everything_is_not_stored() {
    let mut world = World::new();
    world.script(ok("v").field("vary", "*")).get("/a");
    assert!(!world.get("/a").is_hit());
    assert_eq!(world.not_stored(Reason::VaryAny), 1);
}

#[test]
fn a_variant_that_cannot_be_stored_leaves_the_others_alone() {
    let mut world = World::new();
    world.script(by_language("hello")).send(in_language("en"));
    world.script(by_language("privat").cache_control("private")).send(in_language("de"));
    assert!(world.send(in_language("en")).is_hit());
    world.begin(in_language("de"));
    let second = world.begin(in_language("de"));
    assert_eq!(world.standing(second), Standing::Loading, "nobody waits for what cannot be stored");
}

#[test]
fn what_identifies_a_request_keeps_responses_apart() {
    let asks = || {
        [
            get("/a"),
            get("/a?"),
            get("/a?x=1"),
            get("/a?x=2"),
            get("/a/"),
            get("/A"),
            get("/%61").decoded("/a"),
            get("/a").host("example.com"),
            get("/a").host("example.org:8080"),
            get("/a").scheme("http"),
        ]
    };
    let mut world = World::new();
    let first = asks().map(|ask| world.send(ask).text().to_owned());
    let again = asks().map(|ask| world.send(ask).text().to_owned());
    assert_eq!(first, again);
    // A `?` with nothing behind it is no difference an application could see.
    assert_eq!(world.runs(), first.len() - 1);
}

#[test]
fn hosts_are_told_apart_without_case() {
    let mut world = World::new();
    world.get("/a");
    assert!(world.send(get("/a").host("EXAMPLE.org")).is_hit());
}

fn partitioned() -> World {
    World::with_rule(|rule| rule.partitioned = true)
}

#[test]
fn partitions_never_see_each_others_responses() {
    let mut world = partitioned();
    world.script(ok("ann's")).script(ok("bob's"));
    for (name, hit) in [("ann", false), ("bob", false), ("ann", true), ("bob", true)] {
        let answer = world.send(get("/a").by(name));
        assert_eq!((answer.text(), answer.is_hit()), (&*format!("{name}'s"), hit));
    }
}

#[test]
fn a_request_without_a_partition_is_not_cached() {
    for (partition, reason) in
        [(Partition::Refused, Reason::PartitionRefused), (Partition::Failed, Reason::PartitionFailed)]
    {
        let mut world = partitioned();
        for _ in 0..2 {
            world.send(get("/a").partition(partition.clone()));
        }
        assert_eq!((world.runs(), world.forwarded(reason)), (2, 2));
    }
}

#[test]
fn a_partition_is_the_permission_to_store_what_credentials_were_sent_for() {
    for field in ["authorization", "cookie"] {
        let mut world = partitioned();
        let ask = |name: &str| get("/a").field(field, name).by(name);
        world.script(ok("ann's")).script(ok("bob's"));
        world.send(ask("ann"));
        assert_eq!(world.send(ask("bob")).text(), "bob's");
        let again = world.send(ask("ann"));
        assert_eq!((again.is_hit(), again.text()), (true, "ann's"), "{field}");
    }
}

#[test]
fn clients_of_different_partitions_do_not_wait_for_each_other() {
    let mut world = partitioned();
    let clients = ["ann", "bob", "ann"].map(|name| world.begin(get("/a").by(name)));
    assert_eq!((world.open_loads().len(), world.waiting()), (2, vec![clients[2]]));
}

#[test]
fn what_is_told_to_clients_of_a_partition_keeps_other_caches_out() {
    let mut world = World::with_rule(|rule| {
        rule.partitioned = true;
        rule.client_ttl = Some(seconds(5));
    });
    for _ in 0..2 {
        assert_eq!(world.send(get("/a").by("ann")).field("cache-control"), Some("private, max-age=5"));
    }
}

fn searching(edit: impl FnOnce(&mut RuleOptions)) -> World {
    World::with_rule(|rule| {
        rule.methods = vec!["POST".into(), "QUERY".into()];
        rule.max_request_body = 16;
        edit(rule);
    })
}

#[test]
fn a_rule_may_put_the_content_of_a_request_into_the_key() {
    for method in ["POST", "QUERY"] {
        let mut world = searching(|_| {});
        let ask = |body: &str| Ask { method: method.into(), ..post("/search", body) };
        world.script(ok("cats")).script(ok("dogs"));
        for (body, hit) in [("cats", false), ("dogs", false), ("cats", true), ("dogs", true)] {
            let answer = world.send(ask(body));
            assert_eq!((answer.text(), answer.is_hit()), (body, hit), "{method}");
        }
    }
}

#[test]
fn two_methods_and_two_content_types_do_not_share() {
    let mut world = searching(|_| {});
    let asks = [
        post("/search", "cats"),
        post("/search", "cats").field("content-type", "application/json"),
        Ask { method: "QUERY".into(), ..post("/search", "cats") },
        get("/search"),
    ];
    for ask in asks.clone() {
        assert!(!world.send(ask).is_hit());
    }
    for ask in asks {
        assert!(world.send(ask).is_hit());
    }
}

#[test]
fn a_request_with_more_content_than_may_enter_a_key_is_forwarded() {
    let mut world = searching(|_| {});
    for (length, hit) in [(16, true), (17, false)] {
        let ask = || post("/search", &"x".repeat(length));
        world.send(ask());
        assert_eq!(world.send(ask()).is_hit(), hit, "{length}");
    }
    assert_eq!(world.forwarded(Reason::RequestBodyTooLarge), 2);
}

#[test]
fn a_post_that_is_cached_makes_nothing_untrue() {
    let mut world = searching(|rule| rule.methods = vec!["GET".into(), "POST".into()]);
    world.get("/search");
    world.send(post("/search", "cats"));
    world.send(post("/search", &"x".repeat(17)));
    assert!(world.get("/search").is_hit());
    assert_eq!(world.stats().invalidations, 0);
}
