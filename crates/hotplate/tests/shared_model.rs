//! Log, lease and store of several processes, in every schedule of a bounded world.
//!
//! What is asked is the real thing: [`hotplate::tier::memory::Store`] is the shared tier,
//! [`hotplate::log::followed::Followed`] and [`hotplate::log::Log`] are what each process has applied. The steps between
//! the awaits of `src/share` are written down once more, in `shared_model/steps.rs`, and a checker takes them in every
//! order. What that leaves out is in `docs/design/2026-11-21-model.md`.
//!
//! That the model can fail is tested too: with one fault in the protocol, a schedule is found in which it shows.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where it fails")]

#[path = "shared_model/applied.rs"]
mod applied;
#[path = "shared_model/model.rs"]
mod model;
#[path = "shared_model/steps.rs"]
mod steps;
#[path = "shared_model/world.rs"]
mod world;

use std::collections::BTreeSet;
use std::thread;

use model::Action::{self, Copy, FailOver, Flush, Of, Trim};
use model::{
    BEHIND, CAN_LOAD, EXPIRED, FOUND, LOCAL_IS_TRUE, NEW_IS_USED, NEWER_STAYS, ONE_HOLDER, OVERTAKEN,
    Protocol, REFUSED, SHARED_IS_TRUE, Setting,
};
use stateright::{Checker, Expectation, HasDiscoveries, Model};
use steps::Step::{
    Acknowledge, Append, Apply, Ask, Begin, End, Invalidate, Lease, Publish, Read, Release, Resend, Sum,
};
use world::Events;

const LOADED: [Action; 4] = [Of(1, Ask), Of(1, Lease), Of(1, Begin), Of(1, End)];

/// Explores every state. Nothing that must always hold fails, and each of `sometimes` is seen: what holds is not held by
/// nothing ever happening.
fn holds(setting: Setting, sometimes: &[&'static str]) {
    let name = thread::current().name().unwrap_or_default().to_owned();
    let checker = setting.checker().threads(1).finish_when(HasDiscoveries::AllFailures).spawn_bfs().join();
    eprintln!(
        "{name}: {} states, {} steps, {} deep",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
    );
    let discoveries = checker.discoveries();
    let mut untrue = Vec::new();
    for property in checker.model().properties() {
        if property.expectation == Expectation::Always
            && let Some(path) = discoveries.get(property.name)
        {
            let last = path.last_state().clone();
            untrue.push(format!("{}:\n{:?}\n{last:?}", property.name, path.clone().into_actions()));
        }
    }
    assert!(untrue.is_empty(), "{name}: not so: {}", untrue.join("\n"));
    assert!(checker.is_done(), "not every state was seen");
    for seen in sometimes {
        assert!(discoveries.contains_key(seen), "never seen: {seen}");
    }
}

/// A schedule is found in which this does not hold.
fn fails(setting: Setting, property: &'static str) {
    let protocol = setting.protocol;
    let only = HasDiscoveries::AllOf(BTreeSet::from([property]));
    let checker = setting.checker().threads(1).finish_when(only).spawn_bfs().join();
    let path = checker.discovery(property);
    let states = checker.unique_state_count();
    match path {
        Some(path) => eprintln!("{protocol:?}: {} steps, after {states} states", path.into_actions().len()),
        None => panic!("{protocol:?} was not found in {states} states"),
    }
}

fn world(processes: &[(u8, u8)], events: Events) -> Setting {
    Setting { processes: processes.to_vec(), events, at_once: true, ..Setting::default() }
}

/// Two processes with one request each; the first one invalidates once.
fn two(events: Events) -> Setting {
    world(&[(1, 1), (1, 0)], events)
}

/// As it is when the second process has loaded, and has not stored yet what it loaded.
fn loaded(setting: Setting) -> Setting {
    Setting { first: LOADED.to_vec(), ..setting }
}

/// As it is when what it loaded has become untrue since.
fn invalidated(setting: Setting) -> Setting {
    let first = LOADED.into_iter().chain([Of(0, Invalidate)]).collect();
    Setting { first, ..setting }
}

const NOTHING: Events =
    Events { turns: 0, crashes: 0, alone: 0, failures: 0, losses: 0, trims: 0, flushes: 0, failovers: 0 };

// What holds.

#[test]
fn two_processes_of_many_threads_serve_nothing_untrue() {
    holds(Setting { at_once: false, ..two(NOTHING) }, &[FOUND, REFUSED, BEHIND]);
}

#[test]
fn an_invalidation_between_two_requests_of_one_process_is_heard() {
    holds(world(&[(2, 1), (1, 0)], NOTHING), &[FOUND, REFUSED, BEHIND]);
}

#[test]
fn three_processes_serve_nothing_untrue() {
    holds(world(&[(0, 1), (1, 0), (1, 0)], NOTHING), &[FOUND, REFUSED, BEHIND]);
}

#[test]
fn two_invalidations_of_one_process_are_heard_in_their_order() {
    holds(loaded(world(&[(1, 2), (1, 0)], NOTHING)), &[FOUND, REFUSED, BEHIND]);
}

#[test]
fn invalidations_of_two_processes_are_heard_by_both() {
    holds(loaded(world(&[(1, 1), (1, 1)], NOTHING)), &[FOUND, REFUSED, BEHIND]);
}

#[test]
fn processes_that_have_just_started_serve_nothing_untrue() {
    let first = vec![Of(1, Read), Of(1, Apply), Of(1, Ask), Of(1, Lease), Of(1, Begin)];
    holds(Setting { just_started: true, first, ..two(NOTHING) }, &[FOUND, REFUSED]);
}

#[test]
fn a_record_whose_answer_is_lost_is_sent_again_and_counts_once() {
    holds(two(Events { losses: 1, ..NOTHING }), &[FOUND, REFUSED]);
}

#[test]
fn the_lease_of_a_process_that_ended_expires() {
    holds(two(Events { crashes: 1, turns: 1, ..NOTHING }), &[FOUND, REFUSED, EXPIRED]);
}

#[test]
fn loads_that_overlap_leave_the_newer_answer() {
    holds(two(Events { alone: 1, turns: 1, ..NOTHING }), &[FOUND, REFUSED, EXPIRED, OVERTAKEN]);
}

#[test]
fn a_failed_load_gives_its_lease_back() {
    holds(two(Events { failures: 1, turns: 1, ..NOTHING }), &[FOUND, REFUSED, EXPIRED]);
}

#[test]
fn a_log_that_was_trimmed_is_read_as_a_whole() {
    holds(two(Events { trims: 1, ..NOTHING }), &[FOUND, REFUSED, BEHIND]);
}

#[test]
fn after_a_flush_nothing_older_than_the_new_log_is_served() {
    holds(invalidated(two(Events { flushes: 1, ..NOTHING })), &[REFUSED, BEHIND]);
}

#[test]
fn after_a_failover_nothing_older_than_the_new_log_is_served() {
    holds(loaded(two(Events { failovers: 1, ..NOTHING })), &[FOUND, REFUSED]);
}

/// The first process has to read the whole log, which has been cut, while a value of the second one is stored.
#[test]
fn a_snapshot_that_is_older_than_an_acknowledged_record_forgets_nothing() {
    let mut first =
        vec![Of(1, Invalidate), Of(1, Append(0)), Of(1, Acknowledge(0)), Of(1, Read), Of(1, Apply)];
    first.extend(LOADED);
    first.extend([Of(1, Publish(0)), Of(1, Release(0)), Trim]);
    let events = Events { trims: 1, ..NOTHING };
    holds(Setting { first, ..world(&[(1, 1), (1, 1)], events) }, &[REFUSED]);
}

// What does not.

/// The second process has applied a record that is gone after the failover, and another one takes its place.
#[test]
fn a_log_that_went_back_and_was_trimmed_is_noticed() {
    let mut first =
        vec![Copy, Of(0, Invalidate), Of(0, Append(0)), Of(0, Acknowledge(0)), Of(1, Read), Of(1, Apply)];
    first.extend(LOADED);
    first.extend([Of(1, Publish(0)), Of(1, Release(0)), FailOver, Of(0, Invalidate), Of(0, Append(0))]);
    first.extend([Of(0, Acknowledge(0)), Of(0, Read), Of(0, Apply)]);
    let events = Events { trims: 1, failovers: 1, ..NOTHING };
    holds(Setting { first, ..world(&[(0, 2), (1, 0)], events) }, &[]);
}

// What takes minutes in a release build: `cargo test --release --package hotplate --test shared_model -- --ignored`, after a
// change of the protocol. The smaller worlds above are run every time.

#[test]
#[ignore = "takes minutes: run it after a change of the protocol"]
fn a_failover_to_the_log_before_a_flush_is_noticed() {
    let mut first = vec![Copy, Flush];
    for process in [1, 0] {
        first.extend([Of(process, Read), Of(process, Sum), Of(process, Apply), Of(process, Resend)]);
    }
    first.extend(LOADED);
    let events = Events { flushes: 1, failovers: 1, ..NOTHING };
    holds(Setting { first, ..world(&[(1, 1), (1, 0)], events) }, &[FOUND, REFUSED]);
}

#[test]
#[ignore = "takes minutes: run it after a change of the protocol"]
fn larger_worlds_serve_nothing_untrue() {
    holds(two(Events { crashes: 1, alone: 1, turns: 1, losses: 1, ..NOTHING }), &[FOUND, REFUSED]);
    holds(world(&[(1, 2), (1, 0)], NOTHING), &[FOUND, REFUSED, BEHIND]);
    holds(world(&[(1, 1), (1, 1)], NOTHING), &[FOUND, REFUSED, BEHIND]);
    holds(
        world(&[(1, 1), (1, 0), (1, 0)], Events { turns: 1, ..NOTHING }),
        &[FOUND, REFUSED, BEHIND, EXPIRED],
    );
    holds(Setting { just_started: true, ..two(NOTHING) }, &[FOUND, REFUSED, BEHIND]);
    holds(two(Events { flushes: 1, ..NOTHING }), &[FOUND, REFUSED]);
    holds(two(Events { failovers: 1, ..NOTHING }), &[FOUND, REFUSED]);
}

// One fault each.

#[test]
fn a_load_that_is_stamped_at_its_end_is_found() {
    fails(Setting { protocol: Protocol::StampsAtTheEnd, ..two(NOTHING) }, SHARED_IS_TRUE);
}

#[test]
fn judging_without_pending_records_is_found() {
    fails(Setting { protocol: Protocol::JudgesWithoutPending, ..two(NOTHING) }, SHARED_IS_TRUE);
}

#[test]
fn judging_before_the_log_is_applied_is_found() {
    fails(Setting { protocol: Protocol::JudgesBehind, ..two(NOTHING) }, SHARED_IS_TRUE);
}

#[test]
fn using_what_was_stamped_in_another_epoch_is_found() {
    let events = Events { flushes: 1, ..NOTHING };
    fails(Setting { protocol: Protocol::TrustsOtherEpochs, ..invalidated(two(events)) }, SHARED_IS_TRUE);
}

#[test]
fn reading_the_own_position_after_judging_is_found() {
    let setting = Setting { at_once: false, ..two(NOTHING) };
    fails(Setting { protocol: Protocol::PlacesAfterJudging, ..setting }, LOCAL_IS_TRUE);
}

#[test]
fn telling_the_own_log_of_an_own_invalidation_first_is_found() {
    let setting = Setting { at_once: false, ..two(NOTHING) };
    fails(Setting { protocol: Protocol::TellsTheOwnLogFirst, ..setting }, LOCAL_IS_TRUE);
}

#[test]
fn telling_the_own_log_of_a_record_first_is_found() {
    let setting = Setting { at_once: false, ..world(&[(1, 0), (1, 1)], NOTHING) };
    fails(Setting { protocol: Protocol::AppliesToTheOwnLogFirst, ..setting }, LOCAL_IS_TRUE);
}

#[test]
fn releasing_the_lease_of_another_process_is_found() {
    let setting = world(&[(1, 0), (1, 0), (1, 0)], Events { turns: 1, failures: 1, ..NOTHING });
    fails(Setting { protocol: Protocol::ReleasesForAnybody, ..setting }, ONE_HOLDER);
}

#[test]
fn a_lease_that_does_not_expire_is_found() {
    let events = Events { crashes: 1, turns: 1, ..NOTHING };
    fails(Setting { protocol: Protocol::LeasesForEver, ..two(events) }, CAN_LOAD);
}

#[test]
fn storing_in_any_order_is_found() {
    let events = Events { alone: 1, ..NOTHING };
    fails(Setting { protocol: Protocol::PublishesInAnyOrder, ..two(events) }, NEWER_STAYS);
}

#[test]
fn records_that_are_not_sent_again_in_a_new_epoch_are_found() {
    let setting = two(Events { flushes: 1, ..NOTHING });
    fails(Setting { protocol: Protocol::SendsOnce, ..setting }, NEW_IS_USED);
}
