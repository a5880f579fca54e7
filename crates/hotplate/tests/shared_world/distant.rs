//! The tier in memory as it looks from far away.
//!
//! `MemoryTier` answers in the poll in which it does what it was asked. Here an answer takes a turn more, in which
//! anything else may happen, and, where a test wants that, gets lost although what was asked for has happened.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hotplate::clock::{Clock, ManualClock};
use hotplate::key::Key;
use hotplate::tier::memory::MemoryTier;
use hotplate::tier::shared::{
    Answer, Cursor, Fault, Fetched, Head, LeaseEnd, Leased, Listener, Pauses, Publication, Published, Record,
    SharedTier, Snapshot, Stamp, Tail, Token,
};
use hotplate_policy::time::Timestamp;

use crate::tasks::Dice;

/// The tier as one process reaches it.
#[derive(Clone)]
pub struct Distant {
    tier: MemoryTier,
    clock: Arc<ManualClock>,
    state: Arc<Mutex<State>>,
}

struct State {
    dice: Dice,
    /// Of a hundred answers so many are lost.
    lost: u64,
    /// Whether answers take a turn more.
    delays: bool,
    /// The stamps of what is stored, and until when it is.
    stamps: BTreeMap<Key, (Stamp, Timestamp)>,
    /// What was wrong.
    wrong: Vec<String>,
}

impl Distant {
    /// `clock` is turned with that of `tier`.
    pub fn new(tier: MemoryTier, clock: Arc<ManualClock>, seed: u64, delays: bool) -> Self {
        let state =
            State { dice: Dice::new(seed), lost: 0, delays, stamps: BTreeMap::new(), wrong: Vec::new() };
        Self { tier, clock, state: Arc::new(Mutex::new(state)) }
    }

    /// From now on so many of a hundred answers, and notices, are lost.
    pub fn lose(&self, of_hundred: u64) {
        self.state.lock().unwrap().lost = of_hundred;
    }

    /// What is stored may be anything by now.
    pub fn forget_stamps(&self) {
        self.state.lock().unwrap().stamps.clear();
    }

    /// What was written that should not have been.
    pub fn wrong(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().wrong)
    }

    fn loses(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        let lost = state.lost;
        lost > 0 && state.dice.percent(lost)
    }

    fn far<T: Send + 'static>(&self, answer: Answer<T>) -> Answer<T> {
        let distant = self.clone();
        Box::pin(async move {
            let answer = answer.await;
            if distant.state.lock().unwrap().delays {
                Turn(false).await;
            }
            if distant.loses() { Err(Fault::Timeout) } else { answer }
        })
    }

    /// What began to load earlier replaces nothing that began later.
    fn note(&self, key: Key, stamp: Stamp, ttl: Duration, force: bool) {
        let mut state = self.state.lock().unwrap();
        let now = self.clock.now();
        if let Some((before, until)) = state.stamps.get(&key).copied()
            && until > now
            && !force
            && before > stamp
        {
            state.wrong.push(format!("{stamp:?} replaced the newer {before:?}"));
        }
        state.stamps.insert(key, (stamp, now.plus(ttl)));
    }
}

/// Ready at the second poll.
struct Turn(bool);

impl Future for Turn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl SharedTier for Distant {
    fn fetch(&self, key: Key) -> Answer<Fetched> {
        self.far(self.tier.fetch(key))
    }

    fn publish(&self, publication: Publication) -> Answer<Published> {
        let distant = self.clone();
        let Publication { key, stamp, ttl, force, .. } = publication;
        let call = self.tier.publish(publication);
        self.far(Box::pin(async move {
            let published = call.await?;
            if published == Published::Stored {
                distant.note(key, stamp, ttl, force);
            }
            Ok(published)
        }))
    }

    fn remove_seen(&self, key: Key, seen: Bytes) -> Answer<()> {
        let distant = self.clone();
        let call = self.tier.remove_seen(key, seen);
        self.far(Box::pin(async move {
            call.await?;
            distant.state.lock().unwrap().stamps.remove(&key);
            Ok(())
        }))
    }

    fn remove_older(&self, key: Key, than: Stamp) -> Answer<()> {
        let distant = self.clone();
        let call = self.tier.remove_older(key, than);
        self.far(Box::pin(async move {
            call.await?;
            let mut state = distant.state.lock().unwrap();
            if state.stamps.get(&key).is_some_and(|(stamp, _)| *stamp < than) {
                state.stamps.remove(&key);
            }
            Ok(())
        }))
    }

    fn remove(&self, key: Key) -> Answer<()> {
        let distant = self.clone();
        let call = self.tier.remove(key);
        self.far(Box::pin(async move {
            call.await?;
            distant.state.lock().unwrap().stamps.remove(&key);
            Ok(())
        }))
    }

    fn lease(&self, key: Key, token: Token, lasting: Duration, seen: Option<Bytes>) -> Answer<Leased> {
        self.far(self.tier.lease(key, token, lasting, seen))
    }

    fn tally(&self, key: Key, number: i64, ttl: Duration) -> Answer<i64> {
        self.far(self.tier.tally(key, number, ttl))
    }

    fn report(&self, process: String, report: Bytes, lasting: Duration) -> Answer<bool> {
        self.far(self.tier.report(process, report, lasting))
    }

    fn reports(&self, lasting: Duration) -> Answer<Vec<Bytes>> {
        self.far(self.tier.reports(lasting))
    }

    fn server(&self) -> Option<String> {
        self.tier.server()
    }

    fn renew(&self, key: Key, token: Token, lasting: Duration) -> Answer<bool> {
        self.far(self.tier.renew(key, token, lasting))
    }

    fn release(&self, key: Key, token: Token, end: LeaseEnd) -> Answer<bool> {
        self.far(self.tier.release(key, token, end))
    }

    fn append(&self, record: Record) -> Answer<Head> {
        self.far(self.tier.append(record))
    }

    fn tail(&self, after: Cursor, wait: Duration) -> Answer<Tail> {
        self.far(self.tier.tail(after, wait))
    }

    fn snapshot(&self, distrusted: Option<Cursor>) -> Answer<Snapshot> {
        self.far(self.tier.snapshot(distrusted))
    }

    fn retain(&self, longest: Duration) -> Answer<()> {
        self.far(self.tier.retain(longest))
    }

    fn listen(&self, listener: Listener) {
        let distant = self.clone();
        self.tier.listen(Arc::new(move |notice| {
            if !distant.loses() {
                listener(notice);
            }
        }));
    }

    fn is_up(&self) -> bool {
        self.tier.is_up()
    }

    fn pauses(&self, span: Duration) -> Pauses {
        self.tier.pauses(span)
    }
}
