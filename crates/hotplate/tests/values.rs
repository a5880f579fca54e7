//! The results of functions, in one process: who loads, who waits, and what an invalidation, an error or the time makes
//! of what was loaded.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hotplate::cache::Cache;
use hotplate::clock::{Clock, ManualClock};
use hotplate::key::Key;
use hotplate::log::{Mode, Target};
use hotplate::values::{Content, Form, Load, Plan, Round, Step, Terms, Waiting};
use hotplate_policy::time::Timestamp;

const PLAN: Plan = Plan { refresh_ahead: None, local_only: false, collapses: true };
const TTL: Duration = Duration::from_secs(60);
const WINDOW: Duration = Duration::from_secs(30);

struct Site {
    cache: Arc<Cache<Bytes>>,
    clock: Arc<ManualClock>,
}

impl Site {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_unix_seconds(1_000_000)));
        let cache = Cache::new(1 << 20, Arc::clone(&clock) as Arc<dyn Clock>);
        Self { cache: Arc::new(cache), clock }
    }

    fn ask(&self) -> Step<Bytes> {
        self.ask_by(&PLAN)
    }

    fn ask_by(&self, plan: &Plan) -> Step<Bytes> {
        self.cache.ask(key(), plan, Round::default(), self.clock.now())
    }

    fn load(&self) -> Load<Bytes> {
        loading(self.ask())
    }

    fn wait(&self) -> Waiting<Bytes> {
        match self.ask() {
            Step::Wait(waiting) => waiting,
            other => panic!("{}", word(&other)),
        }
    }

    /// What a call that has waited does then.
    fn woken(&self, waiting: &Waiting<Bytes>) -> Step<Bytes> {
        let round = Round { waits: 1, timed_out: false };
        self.cache.ask_again(key(), &PLAN, round, waiting, self.clock.now())
    }

    fn finish(&self, load: Load<Bytes>, text: &'static str, tags: &[&str]) {
        let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        let terms = Terms {
            ttl: TTL,
            stale_while_revalidate: WINDOW,
            stale_if_error: WINDOW * 2,
            tags: &tags,
            form: Form::Plain,
        };
        load.finish(content(text), &terms, self.clock.now());
    }

    fn fail(&self, load: Load<Bytes>) -> Option<String> {
        let error: Arc<dyn Any + Send + Sync> = Arc::new("error");
        load.fail(error, self.clock.now()).map(|stale| text(stale.body()))
    }

    fn invalidate(&self, target: &Target<'_>, mode: Mode) {
        self.cache.invalidate(target, mode, self.clock.now());
    }

    /// With one result stored.
    fn stored(text: &'static str, tags: &[&str]) -> Self {
        let site = Self::new();
        site.finish(site.load(), text, tags);
        site
    }
}

fn key() -> Key {
    Key::named(b"function")
}

fn content(text: &'static str) -> Content<Bytes> {
    Content { own: Bytes::from_static(text.as_bytes()), shared: None }
}

fn text(body: &Bytes) -> String {
    String::from_utf8(body.to_vec()).unwrap()
}

fn word(step: &Step<Bytes>) -> String {
    match step {
        Step::Found(entry) => format!("found {}", text(entry.body())),
        Step::Due(entry, None) => format!("due {}", text(entry.body())),
        Step::Due(entry, Some(next)) => format!("due {}, then {}", text(entry.body()), word(next)),
        Step::Stale(entry, None) => format!("stale {}", text(entry.body())),
        Step::Stale(entry, Some(next)) => format!("stale {}, then {}", text(entry.body()), word(next)),
        Step::Seek(_) => "seek".into(),
        Step::Landed(_) => "landed".into(),
        Step::Load(_) => "load".into(),
        Step::Wait(_) => "wait".into(),
        Step::Raised(_) => "raised".into(),
        Step::Nothing => "nothing".into(),
    }
}

fn loading(step: Step<Bytes>) -> Load<Bytes> {
    match step {
        Step::Load(load) => load,
        Step::Due(_, Some(next)) | Step::Stale(_, Some(next)) => loading(*next),
        other => panic!("{}", word(&other)),
    }
}

#[test]
fn one_call_loads_and_the_others_get_what_it_gave() {
    let site = Site::new();
    let load = site.load();
    let waiting: Vec<_> = (0..500).map(|_| site.wait()).collect();
    assert!(site.cache.recall(key(), &PLAN, site.clock.now()).is_none());
    site.finish(load, "one", &[]);
    for ticket in &waiting {
        assert_eq!(word(&site.woken(ticket)), "found one");
    }
    assert_eq!(
        site.cache.recall(key(), &PLAN, site.clock.now()).map(|entry| text(entry.body())).unwrap(),
        "one"
    );
    let stats = site.cache.stats();
    assert_eq!((stats.misses, stats.hits, stats.collapsed, stats.stored), (1, 501, 500, 1));
}

#[test]
fn a_load_that_is_dropped_lets_the_next_one_load() {
    let site = Site::new();
    let load = site.load();
    let (one, other) = (site.wait(), site.wait());
    drop(load);
    let next = loading(site.woken(&one));
    assert_eq!(word(&site.woken(&other)), "wait");
    site.finish(next, "next", &[]);
    assert_eq!(word(&site.ask()), "found next");
}

#[test]
fn what_a_load_raises_is_everybodys_and_is_not_stored() {
    let site = Site::new();
    let load = site.load();
    let ticket = site.wait();
    assert_eq!(site.fail(load), None);
    assert_eq!(word(&site.woken(&ticket)), "raised");
    assert_eq!(word(&site.ask()), "load");
}

#[test]
fn what_is_not_to_be_stored_is_given_to_those_who_wait() {
    let site = Site::new();
    let load = site.load();
    let ticket = site.wait();
    load.give(Bytes::from_static(b"given"), site.clock.now());
    assert_eq!(word(&site.woken(&ticket)), "found given");
    assert_eq!(word(&site.ask()), "load");
}

#[test]
fn a_load_that_began_before_an_invalidation_leaves_nothing_behind() {
    for (target, tags) in
        [(Target::Key(key()), &[][..]), (Target::Tag("tag"), &["tag"]), (Target::Everything, &[])]
    {
        let site = Site::new();
        let load = site.load();
        let before = site.wait();
        site.invalidate(&target, Mode::Hard);
        let by_key = !matches!(target, Target::Tag(_));
        // Of its tags nothing is known before it ends.
        let after = if by_key { Err(site.load()) } else { Ok(site.wait()) };
        site.finish(load, "old", tags);
        assert_eq!(word(&site.woken(&before)), if by_key { "wait" } else { "load" }, "{target:?}");
        if let Ok(after) = after {
            assert_eq!(word(&site.woken(&after)), "load");
        }
        assert!(site.cache.recall(key(), &PLAN, site.clock.now()).is_none());
    }
}

#[test]
fn an_older_load_does_not_replace_what_a_newer_one_has_stored() {
    let site = Site::new();
    let old = site.load();
    site.invalidate(&Target::Tag("other"), Mode::Hard);
    let new = loading(site.cache.load_alone(key(), &PLAN, site.clock.now()));
    site.finish(new, "new", &[]);
    site.finish(old, "old", &[]);
    assert_eq!(word(&site.ask()), "found new");
}

#[test]
fn in_its_window_a_stale_result_is_used_while_one_call_loads() {
    let site = Site::stored("old", &[]);
    site.clock.advance(TTL + WINDOW / 2);
    let first = site.ask();
    assert_eq!(word(&first), "stale old, then load");
    assert_eq!(word(&site.ask()), "stale old");
    site.finish(loading(first), "new", &[]);
    assert_eq!(word(&site.ask()), "found new");
}

#[test]
fn a_refresh_that_fails_is_not_tried_again_at_once() {
    let site = Site::stored("old", &[]);
    site.clock.advance(TTL + WINDOW / 2);
    let _ = site.fail(loading(site.ask()));
    assert_eq!(word(&site.ask()), "stale old");
    site.clock.advance(Duration::from_secs(6));
    assert_eq!(word(&site.ask()), "stale old, then load");
}

#[test]
fn after_its_window_a_stale_result_is_used_when_the_load_fails_and_for_those_who_wait() {
    let site = Site::stored("old", &[]);
    site.clock.advance(TTL + WINDOW * 3 / 2);
    let load = site.load();
    let ticket = site.wait();
    assert_eq!(site.fail(load).as_deref(), Some("old"));
    assert_eq!(word(&site.woken(&ticket)), "stale old");
    assert_eq!(word(&site.ask()), "stale old", "the function is left alone for a while");
    site.clock.advance(Duration::from_secs(6));
    assert_eq!(word(&site.ask()), "load");
    site.clock.advance(WINDOW);
    assert_eq!(site.fail(site.load()), None, "and after that window it is no use");
}

#[test]
fn what_was_marked_stale_is_used_until_it_is_renewed() {
    let site = Site::stored("old", &["tag"]);
    site.invalidate(&Target::Tag("tag"), Mode::Soft);
    assert!(site.cache.recall(key(), &PLAN, site.clock.now()).is_none());
    let step = site.ask();
    assert_eq!(word(&step), "stale old, then load");
    site.finish(loading(step), "new", &["tag"]);
    assert_eq!(word(&site.ask()), "found new");
}

#[test]
fn what_was_invalidated_is_of_no_use_whatever_fails() {
    let site = Site::stored("old", &["tag"]);
    site.invalidate(&Target::Tag("tag"), Mode::Hard);
    assert_eq!(site.fail(site.load()), None);
}

#[test]
fn what_is_invalidated_while_it_is_loaded_anew_is_of_no_use_either() {
    let site = Site::stored("old", &["tag"]);
    site.clock.advance(TTL + WINDOW * 3 / 2);
    let load = site.load();
    let ticket = site.wait();
    site.invalidate(&Target::Tag("tag"), Mode::Hard);
    assert_eq!(site.fail(load), None);
    assert_eq!(word(&site.woken(&ticket)), "raised");
}

#[test]
fn ahead_of_its_end_a_result_that_is_used_is_loaded_anew() {
    let plan = Plan { refresh_ahead: Some(0.5), ..PLAN };
    let site = Site::stored("old", &[]);
    assert!(site.cache.recall(key(), &plan, site.clock.now()).is_some());
    site.clock.advance(TTL / 2);
    assert!(site.cache.recall(key(), &plan, site.clock.now()).is_none());
    assert_eq!(word(&site.ask_by(&plan)), "due old, then load");
    assert_eq!(word(&site.ask()), "found old", "by another plan it is fresh");
}

#[test]
fn without_a_lock_every_call_loads() {
    let plan = Plan { collapses: false, ..PLAN };
    let site = Site::new();
    let loads = [loading(site.ask_by(&plan)), loading(site.ask_by(&plan))];
    for load in loads {
        site.finish(load, "one", &[]);
    }
    assert_eq!(word(&site.ask_by(&plan)), "found one");
}

#[test]
fn who_has_waited_long_enough_loads_without_waiting() {
    let site = Site::new();
    let _load = site.load();
    let round = Round { waits: 1, timed_out: true };
    let step = site.cache.ask_again(key(), &PLAN, round, &site.wait(), site.clock.now());
    assert_eq!(word(&step), "load");
}

#[test]
fn a_touched_value_lives_from_then_on() {
    let site = Site::stored("one", &["tag"]);
    site.clock.advance(TTL / 2);
    assert!(site.cache.touch_value(key(), TTL * 2, site.clock.now()).is_ok_and(|touched| touched));
    site.clock.advance(TTL * 3 / 2);
    assert_eq!(word(&site.ask()), "found one");
    site.invalidate(&Target::Tag("tag"), Mode::Hard);
    assert!(site.cache.touch_value(key(), TTL, site.clock.now()).is_ok_and(|touched| !touched));
    assert_eq!(word(&site.ask()), "load");
}

#[test]
fn what_is_set_while_a_load_is_under_way_stays() {
    for advances in [Duration::ZERO, TTL / 2] {
        let site = Site::new();
        let old = [site.load(), loading(site.cache.load_alone(key(), &PLAN, site.clock.now()))];
        site.clock.advance(advances);
        let terms = Terms {
            ttl: TTL,
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            tags: &[],
            form: Form::Plain,
        };
        assert!(site.cache.set_value(key(), content("set"), &terms, site.clock.now()).is_none());
        for load in old {
            site.finish(load, "old", &[]);
            assert_eq!(word(&site.ask()), "found set");
        }
        site.finish(loading(site.cache.load_alone(key(), &PLAN, site.clock.now())), "new", &[]);
        assert_eq!(word(&site.ask()), "found new");
    }
}
