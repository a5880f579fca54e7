//! One load per key, in every schedule: `src/fill/loads.rs`, built here over shuttle's mutex.
//!
//! Each test runs thousands of schedules that shuttle draws; a schedule in which nobody can go on (a lost wake-up)
//! fails as a deadlock, with the schedule printed for `shuttle::replay`.

#![allow(clippy::panic, reason = "a test stops where it fails, also in its helpers")]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use hotplate::key::Key;
use hotplate::log::Position;
use shuttle::future::block_on;
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::thread;

// What `loads.rs` takes from its crate and from its parent.
mod key {
    pub(crate) use hotplate::key::{Key, Spreading};
}
mod log {
    pub(crate) use hotplate::log::Position;
}
mod sync {
    pub(crate) use shuttle::sync::Mutex;
}

#[path = "../src/fill/loads.rs"]
#[allow(unreachable_pub, dead_code, reason = "public in its own crate")]
mod loads;

use loads::{End, Fills, Join, Permit, Ticket};

const KEY: Key = Key::from_u128(1);
const OTHER_KEY: Key = Key::from_u128(2);
const START: Position = Position::from_u64(0);

/// Uniformly random schedules, and some with few but well placed switches between threads.
fn in_every_schedule(test: impl Fn() + Send + Sync + Clone + 'static) {
    shuttle::check_random(test.clone(), 2_000);
    shuttle::check_pct(test, 1_000, 3);
}

fn join(fills: &Fills<u8>) -> Join<u8> {
    fills.join(KEY, START, |_| true)
}

fn lead(fills: &Fills<u8>) -> Permit<u8> {
    match join(fills) {
        Join::Lead(permit) => permit,
        Join::Wait(_) => panic!("somebody else leads"),
    }
}

fn wait(fills: &Fills<u8>) -> Ticket<u8> {
    match join(fills) {
        Join::Wait(ticket) => ticket,
        Join::Lead(_) => panic!("nobody leads"),
    }
}

#[test]
fn one_leads_and_all_others_hear_how_it_ended() {
    in_every_schedule(|| {
        let fills = Arc::new(Fills::<u8>::new());
        let permit = lead(&fills);
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let fills = Arc::clone(&fills);
                thread::spawn(move || match join(&fills) {
                    Join::Lead(permit) => permit.finish(End::Stored),
                    Join::Wait(ticket) => assert_eq!(block_on(ticket), End::Stored),
                })
            })
            .collect();
        permit.finish(End::Stored);
        for waiter in waiters {
            waiter.join().unwrap();
        }
        assert_eq!(fills.in_flight(), 0);
    });
}

#[test]
fn a_lost_permit_wakes_the_waiters_and_one_of_them_leads() {
    in_every_schedule(|| {
        let fills = Arc::new(Fills::<u8>::new());
        let loads = Arc::new(AtomicUsize::new(0));
        let permit = lead(&fills);
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let (fills, loads) = (Arc::clone(&fills), Arc::clone(&loads));
                thread::spawn(move || {
                    loop {
                        match join(&fills) {
                            Join::Lead(permit) => {
                                loads.fetch_add(1, Ordering::SeqCst);
                                permit.finish(End::Stored);
                                return;
                            }
                            Join::Wait(ticket) => match block_on(ticket) {
                                End::Abandoned => {}
                                _ => return,
                            },
                        }
                    }
                })
            })
            .collect();
        drop(permit);
        for waiter in waiters {
            waiter.join().unwrap();
        }
        assert!((1..=2).contains(&loads.load(Ordering::SeqCst)));
        assert_eq!(fills.in_flight(), 0);
    });
}

#[test]
fn two_never_lead_the_same_key_at_once() {
    in_every_schedule(|| {
        let fills = Arc::new(Fills::<u8>::new());
        let leading = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (fills, leading) = (Arc::clone(&fills), Arc::clone(&leading));
                thread::spawn(move || {
                    if let Join::Lead(permit) = join(&fills) {
                        assert_eq!(leading.fetch_add(1, Ordering::SeqCst), 0);
                        thread::yield_now();
                        leading.fetch_sub(1, Ordering::SeqCst);
                        permit.finish(End::NotStorable);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_waiter_that_leaves_takes_no_wake_up_with_it() {
    in_every_schedule(|| {
        let fills = Arc::new(Fills::<u8>::new());
        let permit = lead(&fills);
        let (leaves, stays) = (wait(&fills), wait(&fills));
        let leaving = thread::spawn(move || {
            let mut ticket = leaves;
            let _ = Pin::new(&mut ticket).poll(&mut Context::from_waker(Waker::noop()));
        });
        let staying = thread::spawn(move || assert_eq!(block_on(stays), End::Failed(3)));
        permit.finish(End::Failed(3));
        leaving.join().unwrap();
        staying.join().unwrap();
    });
}

#[test]
fn a_load_of_one_key_does_not_hold_up_another() {
    in_every_schedule(|| {
        let fills = Fills::<u8>::new();
        let first = lead(&fills);
        let Join::Lead(second) = fills.join(OTHER_KEY, START, |_| true) else { panic!("another key") };
        assert_eq!(fills.in_flight(), 2);
        let ending = thread::spawn(move || first.finish(End::Stored));
        second.finish(End::Stored);
        ending.join().unwrap();
        assert_eq!(fills.in_flight(), 0);
    });
}

#[test]
fn an_outdated_load_is_superseded_and_its_end_disturbs_nobody() {
    in_every_schedule(|| {
        let fills = Arc::new(Fills::<u8>::new());
        let old = lead(&fills);
        let waits_for_old = wait(&fills);
        let newer = Position::from_u64(5);
        let Join::Lead(new) = fills.join(KEY, newer, |began| began >= newer) else { panic!("supersedes") };
        assert_eq!((old.position(), new.position()), (START, newer));
        let ending = thread::spawn(move || old.finish(End::Failed(9)));
        let Join::Wait(waits_for_new) = fills.join(KEY, newer, |began| began >= newer) else {
            panic!("waits")
        };
        assert_eq!(block_on(waits_for_old), End::Failed(9));
        ending.join().unwrap();
        assert_eq!(fills.in_flight(), 1);
        let finishing = thread::spawn(move || new.finish(End::Stored));
        assert_eq!(block_on(waits_for_new), End::Stored);
        finishing.join().unwrap();
        assert_eq!(fills.in_flight(), 0);
    });
}

#[test]
fn a_dropped_ticket_leaves_no_waker_behind() {
    in_every_schedule(|| {
        let fills = Fills::<u8>::new();
        let permit = lead(&fills);
        let mut ticket = wait(&fills);
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut ticket).poll(&mut context).is_pending());
        assert!(Pin::new(&mut ticket).poll(&mut context).is_pending());
        assert_eq!(permit.waiters(), 1);
        thread::spawn(move || drop(ticket)).join().unwrap();
        assert_eq!(permit.waiters(), 0);
    });
}
