//! A shared tier in memory: the contract of [`super::shared`] in its simplest form.
//!
//! It says what the contract means: the suite in `tests/shared_contract` holds it and Redis against each other, the model
//! in `tests/shared_model` explores schedules of its [`Store`], and the engine's tests put several caches over one. Time
//! stands still until [`MemoryTier::advance`].
//!
//! # Scope
//!
//! For tests. Processes cannot share it.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;

use super::shared::{
    Answer, Cursor, Fault, Fetched, Head, LeaseEnd, Leased, Listener, Notice, Pauses, Publication, Published,
    Record, SharedTier, Snapshot, Stamp, Tail, Token,
};
use crate::key::Key;
use crate::log::{Mode, TargetId};

/// What a shared tier holds, and every change of it, without time of its own and without waiting.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Store {
    values: BTreeMap<Key, Value>,
    leases: BTreeMap<Key, (u64, Duration)>,
    counters: BTreeMap<Key, (i64, Duration)>,
    /// What processes tell, and since when.
    reports: BTreeMap<String, (Bytes, Duration)>,
    /// When somebody last asked for that.
    reports_asked: Option<Duration>,
    /// `None`: there is no log.
    log: Option<StoredLog>,
    /// The last epoch that was ever given.
    last_epoch: u64,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Value {
    bytes: Bytes,
    stamp: Stamp,
    until: Duration,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct StoredLog {
    head: Head,
    /// The records from `first` on.
    first: u64,
    records: Vec<(u64, bool, Vec<Option<u64>>)>,
    /// The nonce of the record before `first`.
    before: u64,
    floor: u64,
    markers: BTreeMap<(Option<u64>, bool), u64>,
}

impl StoredLog {
    /// The nonce of the record at a position, if that is still known.
    fn nonce_at(&self, position: u64) -> Option<u64> {
        if position + 1 == self.first {
            return Some(self.before);
        }
        let place = usize::try_from(position.checked_sub(self.first)?).ok()?;
        self.records.get(place).map(|(nonce, _, _)| *nonce)
    }
}

impl Store {
    /// See [`SharedTier::fetch`]; `now` is the time since the store began.
    #[must_use]
    pub fn fetch(&self, key: Key, now: Duration) -> Fetched {
        let value = self.values.get(&key).filter(|value| value.until > now);
        Fetched { value: value.map(|value| value.bytes.clone()), head: self.log.as_ref().map(|log| log.head) }
    }

    /// See [`SharedTier::publish`].
    pub fn publish(&mut self, publication: Publication, now: Duration) -> Published {
        let present = self.values.get(&publication.key).filter(|value| value.until > now);
        if !publication.force && present.is_some_and(|present| present.stamp > publication.stamp) {
            return Published::Older;
        }
        let mut until = now.saturating_add(publication.ttl);
        if publication.extend {
            until = until.max(present.map_or(Duration::ZERO, |present| present.until));
        }
        let value = Value { bytes: publication.value, stamp: publication.stamp, until };
        self.values.insert(publication.key, value);
        Published::Stored
    }

    /// See [`SharedTier::remove`].
    pub fn remove(&mut self, key: Key) {
        self.values.remove(&key);
    }

    /// See [`SharedTier::remove_seen`].
    pub fn remove_seen(&mut self, key: Key, seen: &Bytes) {
        if self.values.get(&key).is_some_and(|value| value.bytes == *seen) {
            self.values.remove(&key);
        }
    }

    /// See [`SharedTier::remove_older`].
    pub fn remove_older(&mut self, key: Key, than: Stamp) {
        if self.values.get(&key).is_some_and(|value| value.stamp < than) {
            self.values.remove(&key);
        }
    }

    /// See [`SharedTier::lease`].
    pub fn lease(
        &mut self,
        key: Key,
        token: Token,
        lasting: Duration,
        seen: Option<&Bytes>,
        now: Duration,
    ) -> Leased {
        let present = self.values.get(&key).filter(|value| value.until > now);
        if present.map(|value| &value.bytes) != seen {
            return Leased::Changed;
        }
        match self.leases.get(&key) {
            Some((owner, until)) if *until > now && *owner != token.0 => Leased::Held(*until - now),
            _ => {
                self.leases.insert(key, (token.0, now + lasting));
                Leased::Granted
            }
        }
    }

    /// See [`SharedTier::report`].
    pub fn report(&mut self, process: String, report: Bytes, lasting: Duration, now: Duration) -> bool {
        self.reports.insert(process, (report, now));
        self.reports_asked.is_some_and(|asked| now < asked + lasting)
    }

    /// See [`SharedTier::reports`].
    pub fn reports(&mut self, lasting: Duration, now: Duration) -> Vec<Bytes> {
        self.reports_asked = Some(now);
        self.reports.retain(|_, (_, told)| now < *told + lasting);
        self.reports.values().map(|(report, _)| report.clone()).collect()
    }

    /// See [`SharedTier::tally`]; `None`: too great.
    pub fn tally(&mut self, key: Key, number: i64, ttl: Duration, now: Duration) -> Option<i64> {
        let (count, until) =
            *self.counters.get(&key).filter(|(_, until)| *until > now).unwrap_or(&(0, now + ttl));
        let count = count.checked_add(number)?;
        self.counters.insert(key, (count, until));
        Some(count)
    }

    /// See [`SharedTier::renew`].
    pub fn renew(&mut self, key: Key, token: Token, lasting: Duration, now: Duration) -> bool {
        let owned = self.owns(key, token, now);
        if owned {
            self.leases.insert(key, (token.0, now + lasting));
        }
        owned
    }

    /// See [`SharedTier::release`].
    pub fn release(&mut self, key: Key, token: Token, now: Duration) -> bool {
        let owned = self.owns(key, token, now);
        if owned {
            self.leases.remove(&key);
        }
        owned
    }

    fn owns(&self, key: Key, token: Token, now: Duration) -> bool {
        self.leases.get(&key).is_some_and(|(owner, until)| *owner == token.0 && *until > now)
    }

    /// See [`SharedTier::append`].
    pub fn append(&mut self, record: &Record) -> Head {
        let log = self.log_or_new();
        let kept = log.records.iter().position(|(nonce, _, _)| *nonce == record.nonce);
        if let Some(place) = kept {
            return Head { epoch: log.head.epoch, position: log.first + place as u64 };
        }
        log.head.position += 1;
        let hard = record.mode == Mode::Hard;
        let targets: Vec<_> = record.targets.iter().map(|target| target.map(TargetId::as_u64)).collect();
        for target in &targets {
            log.markers.insert((*target, hard), log.head.position);
        }
        log.records.push((record.nonce, hard, targets));
        log.head
    }

    /// See [`SharedTier::tail`], without waiting.
    #[must_use]
    pub fn tail(&self, after: Cursor) -> Tail {
        let Some(log) = &self.log else { return Tail::Gap };
        let position = after.head.position;
        if log.head.epoch != after.head.epoch || position > log.head.position || position + 1 < log.first {
            return Tail::Gap;
        }
        if log.nonce_at(position) != Some(after.nonce) {
            return Tail::Gap;
        }
        let place = usize::try_from(position + 1 - log.first).unwrap_or(usize::MAX);
        let records = log.records.get(place..).unwrap_or_default();
        Tail::Records(
            records
                .iter()
                .map(|(nonce, hard, targets)| Record {
                    nonce: *nonce,
                    mode: mode(*hard),
                    targets: targets.iter().map(|target| target.map(TargetId::from_u64)).collect(),
                })
                .collect(),
        )
    }

    /// See [`SharedTier::snapshot`].
    pub fn snapshot(&mut self, distrusted: Option<Cursor>) -> Snapshot {
        if let (Some(seen), Some(log)) = (distrusted, &self.log)
            && seen.head.epoch == log.head.epoch
            && log.nonce_at(seen.head.position) != Some(seen.nonce)
        {
            self.log = None;
        }
        if let Some(seen) = distrusted
            && self.log.as_ref().is_none_or(|log| log.head.epoch < seen.head.epoch)
        {
            self.log = None;
            self.last_epoch = self.last_epoch.max(seen.head.epoch);
        }
        let log = self.log_or_new();
        let nonce = log.records.last().map_or(log.before, |(nonce, _, _)| *nonce);
        Snapshot {
            cursor: Cursor { head: log.head, nonce },
            floor: log.floor,
            markers: log
                .markers
                .iter()
                .map(|((target, hard), position)| (target.map(TargetId::from_u64), mode(*hard), *position))
                .collect(),
        }
    }

    /// Drops all but the last `keep` records, not the markers: what a log does when it grows too long.
    pub fn trim(&mut self, keep: usize) {
        if let Some(log) = &mut self.log {
            let surplus = log.records.len().saturating_sub(keep);
            if let Some((nonce, _, _)) = surplus.checked_sub(1).and_then(|last| log.records.get(last)) {
                log.before = *nonce;
            }
            log.records.drain(..surplus);
            log.first += surplus as u64;
        }
    }

    /// Forgets everything, as a flush does.
    pub fn flush(&mut self) {
        self.values.clear();
        self.leases.clear();
        self.log = None;
    }

    /// Goes back to what was held in `earlier`, as a failover to a replica that lags does.
    pub fn fail_over_to(&mut self, earlier: Self) {
        let last_epoch = self.last_epoch;
        *self = Self { last_epoch, ..earlier };
    }

    fn log_or_new(&mut self) -> &mut StoredLog {
        let last_epoch = &mut self.last_epoch;
        self.log.get_or_insert_with(|| {
            *last_epoch += 1;
            StoredLog {
                head: Head { epoch: *last_epoch, position: 0 },
                first: 1,
                records: Vec::new(),
                before: 0,
                floor: 0,
                markers: BTreeMap::new(),
            }
        })
    }
}

fn mode(hard: bool) -> Mode {
    if hard { Mode::Hard } else { Mode::Soft }
}

/// How the tier behaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Condition {
    /// It answers.
    Up,
    /// It is known to be down.
    Down,
    /// It looks up, and every call fails.
    Failing,
}

/// A shared tier in memory. A clone is the same tier.
#[derive(Clone)]
pub struct MemoryTier(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    condition: AtomicU8,
}

#[derive(Default)]
struct State {
    store: Store,
    now: Duration,
    listeners: Vec<Listener>,
    /// Who waits for a record or for time to pass.
    wakers: Vec<Waker>,
    longest: Duration,
}

impl Default for MemoryTier {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryTier {
    /// An empty tier that is up.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Inner { state: Mutex::new(State::default()), condition: AtomicU8::new(0) }))
    }

    /// Turns its clock forward: values and leases expire, pauses end.
    pub fn advance(&self, by: Duration) {
        let wakers = {
            let mut state = self.state();
            state.now += by;
            std::mem::take(&mut state.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// From now on it behaves like this.
    pub fn set(&self, condition: Condition) {
        self.0.condition.store(condition as u8, Ordering::SeqCst);
        self.advance(Duration::ZERO);
    }

    /// Changes what it holds behind everybody's back: a flush, a failover, a corrupted value.
    pub fn tamper<T>(&self, change: impl FnOnce(&mut Store) -> T) -> T {
        let result = change(&mut self.state().store);
        self.advance(Duration::ZERO);
        result
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fault(&self) -> Option<Fault> {
        match self.0.condition.load(Ordering::SeqCst) {
            0 => None,
            1 => Some(Fault::Down),
            _ => Some(Fault::Lost),
        }
    }

    /// One turn of the executor passes before every answer, as with a tier that is far away.
    fn call<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut State) -> T + Send + Unpin + 'static,
    ) -> Answer<T> {
        let tier = self.clone();
        Box::pin(async move {
            Turn(false).await;
            match tier.fault() {
                Some(fault) => Err(fault),
                None => Ok(change(&mut tier.state())),
            }
        })
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

impl SharedTier for MemoryTier {
    fn fetch(&self, key: Key) -> Answer<Fetched> {
        self.call(move |state| state.store.fetch(key, state.now))
    }

    fn publish(&self, publication: Publication) -> Answer<Published> {
        self.call(move |state| state.store.publish(publication, state.now))
    }

    fn remove(&self, key: Key) -> Answer<()> {
        self.call(move |state| state.store.remove(key))
    }

    fn remove_seen(&self, key: Key, seen: Bytes) -> Answer<()> {
        self.call(move |state| state.store.remove_seen(key, &seen))
    }

    fn remove_older(&self, key: Key, than: Stamp) -> Answer<()> {
        self.call(move |state| state.store.remove_older(key, than))
    }

    fn lease(&self, key: Key, token: Token, lasting: Duration, seen: Option<Bytes>) -> Answer<Leased> {
        self.call(move |state| state.store.lease(key, token, lasting, seen.as_ref(), state.now))
    }

    fn tally(&self, key: Key, number: i64, ttl: Duration) -> Answer<i64> {
        let call = self.call(move |state| state.store.tally(key, number, ttl, state.now));
        Box::pin(async move { call.await?.ok_or(Fault::Refused) })
    }

    fn renew(&self, key: Key, token: Token, lasting: Duration) -> Answer<bool> {
        self.call(move |state| state.store.renew(key, token, lasting, state.now))
    }

    fn release(&self, key: Key, token: Token, end: LeaseEnd) -> Answer<bool> {
        let call = self.call(move |state| {
            let released = state.store.release(key, token, state.now);
            (released, if released { state.listeners.clone() } else { Vec::new() })
        });
        Box::pin(async move {
            let (released, listeners) = call.await?;
            for listener in listeners {
                listener(Notice { key, end });
            }
            Ok(released)
        })
    }

    fn append(&self, record: Record) -> Answer<Head> {
        let tier = self.clone();
        let call = self.call(move |state| state.store.append(&record));
        Box::pin(async move {
            let head = call.await?;
            tier.advance(Duration::ZERO);
            Ok(head)
        })
    }

    fn tail(&self, after: Cursor, wait: Duration) -> Answer<Tail> {
        let tier = self.clone();
        Box::pin(async move {
            let until = tier.state().now + wait;
            std::future::poll_fn(move |context| {
                if let Some(fault) = tier.fault() {
                    return Poll::Ready(Err(fault));
                }
                let mut state = tier.state();
                let tail = state.store.tail(after);
                if tail != Tail::Records(Vec::new()) || state.now >= until {
                    return Poll::Ready(Ok(tail));
                }
                state.wakers.push(context.waker().clone());
                Poll::Pending
            })
            .await
        })
    }

    fn snapshot(&self, distrusted: Option<Cursor>) -> Answer<Snapshot> {
        let tier = self.clone();
        let call = self.call(move |state| state.store.snapshot(distrusted));
        Box::pin(async move {
            let snapshot = call.await?;
            tier.advance(Duration::ZERO);
            Ok(snapshot)
        })
    }

    fn retain(&self, longest: Duration) -> Answer<()> {
        self.call(move |state| state.longest = state.longest.max(longest))
    }

    fn listen(&self, listener: Listener) {
        self.state().listeners.push(listener);
    }

    fn is_up(&self) -> bool {
        self.fault() != Some(Fault::Down)
    }

    fn report(&self, process: String, report: Bytes, lasting: Duration) -> Answer<bool> {
        self.call(move |state| state.store.report(process, report, lasting, state.now))
    }

    fn reports(&self, lasting: Duration) -> Answer<Vec<Bytes>> {
        self.call(move |state| state.store.reports(lasting, state.now))
    }

    fn server(&self) -> Option<String> {
        self.is_up().then(|| "memory".to_owned())
    }

    fn pauses(&self, span: Duration) -> Pauses {
        let tier = self.clone();
        let until = self.state().now + span;
        Arc::new(move || {
            let tier = tier.clone();
            Box::pin(std::future::poll_fn(move |context| {
                let mut state = tier.state();
                if state.now >= until {
                    return Poll::Ready(());
                }
                state.wakers.push(context.waker().clone());
                Poll::Pending
            }))
        })
    }
}
