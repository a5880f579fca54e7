//! Looking a key up in the shared tier, and taking the lease to load it.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use hotplate_policy::time::Timestamp;

use super::counters::add;
use super::{Lease, Share, random};
use crate::entry::Entry;
use crate::key::Key;
use crate::log::followed::Judgement;
use crate::log::{Footprint, Position, Standing};
use crate::tier::sealed::{Kind, Opened};
use crate::tier::shared::{Answer, Fault, Fetched, Head, LeaseEnd, Leased, Notice, Pause, Pauses, Token};

/// How often a lease held by another process is asked for again, where no notice of its end has come.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// More names than this select between no variants.
const MOST_NAMES: usize = 64;

/// What a response answers to in the log, beside its tags.
#[derive(Clone, Debug)]
pub struct Place {
    /// The primary key.
    pub primary: Key,
    /// The authority of its URI and its path, decoded; `None` for what is no response.
    pub uri: Option<(Box<[u8]>, Box<str>)>,
}

/// What a lookup in the shared tier is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// To answer, whatever it takes: where another process loads, its answer is waited for.
    Answer,
    /// To refresh what is served stale meanwhile: where another process loads, there is nothing to do.
    Refresh,
    /// To read: nothing is loaded, and no lease taken.
    Read,
}

/// A response or value of another process.
#[derive(Debug)]
pub struct Sighting {
    /// Where it is stored.
    pub key: Key,
    /// It.
    pub entry: Entry<Bytes>,
    /// The position of the own log from which on it has to be checked.
    pub position: Position,
    /// It was marked stale.
    pub soft: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub enum Sought {
    /// A response or value that is usable.
    Found(Box<Sighting>),
    /// The responses are stored under the keys of their variants, which these request fields select.
    Vary(Vec<Box<str>>),
    /// The responses are stored under the significant part of their query, which this `No-Vary-Search` tells.
    Search(Bytes),
    /// Another process found that the answer cannot be stored.
    NotStorable,
    /// Nothing usable: the caller loads, for all processes.
    Lease(Lease),
    /// Nothing usable, and no lease: the shared tier does not answer, the other process's load failed, or none was asked
    /// for.
    #[default]
    Nothing,
    /// Another process refreshes it.
    Busy,
}

/// A lookup in the shared tier, to be awaited. Dropping it leaves nothing behind but, at worst, a lease that expires.
pub struct SeekJob {
    share: Arc<Share>,
    key: Key,
    /// Where else to look: what is there leads to another key.
    also: Option<Key>,
    /// The request fields by which the caller came from there.
    by: Option<Vec<Box<str>>>,
    place: Place,
    newer_than: Option<Timestamp>,
    purpose: Purpose,
}

impl SeekJob {
    /// # Arguments
    ///
    /// `key`: where to look. `newer_than`: the request time of what the caller has and cannot use; what began to load no
    /// later is of no use either.
    #[must_use]
    pub fn new(
        share: &Arc<Share>,
        key: Key,
        place: Place,
        newer_than: Option<Timestamp>,
        purpose: Purpose,
    ) -> Self {
        Self { share: Arc::clone(share), key, also: None, by: None, place, newer_than, purpose }
    }

    /// Also looks there, where nothing is found under the key: at the primary key for a variant's, and at the key of all
    /// queries for one query's. `by`: the request fields that made a variant's key from the primary.
    #[must_use]
    pub fn also(self, key: Key, by: Option<Vec<Box<str>>>) -> Self {
        Self { also: Some(key), by, ..self }
    }

    /// In whose tier it looks.
    #[must_use]
    pub fn share(&self) -> &Arc<Share> {
        &self.share
    }

    /// Runs it.
    pub async fn run(self) -> Sought {
        let patience = Patience::new(&self.share);
        // Has a deadline of its own, which is the same.
        let fetched = self.share.tier.fetch(self.key).await;
        match self.first(fetched) {
            Ok(sought) => sought,
            Err(fetched) => self.go_on(fetched, patience).await,
        }
    }

    /// Whether both can be run together: they look in the same tier.
    #[must_use]
    pub fn goes_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.share, &other.share)
    }

    /// Runs jobs that go with each other: what most come to, one call of the tier finds out.
    ///
    /// `tell` hears of each as soon as it is known, the last of them maybe after this has ended.
    pub async fn run_together<C: Send + 'static>(jobs: Vec<(Self, C)>, tell: fn(C, Sought)) {
        let Some(share) = jobs.first().map(|(job, _)| Arc::clone(&job.share)) else { return };
        let patience = Patience::new(&share);
        let fetched = share.tier.fetch_all(jobs.iter().map(|(job, _)| job.key).collect()).await;
        for ((job, context), fetched) in jobs.into_iter().zip(fetched) {
            match job.first(fetched) {
                Ok(sought) => tell(context, sought),
                Err(fetched) => {
                    let patience = patience.another();
                    share.executor.spawn(Box::pin(async move {
                        tell(context, job.go_on(fetched, patience).await);
                    }));
                }
            }
        }
    }

    /// What most lookups come to, without a task of any size: a value that is there and usable. An error: it takes more.
    fn first(&self, fetched: Result<Fetched, Fault>) -> Result<Sought, Fetched> {
        match fetched {
            Ok(fetched) => match self.usable_now(&fetched) {
                Some(found) => Ok(self.share.counted(Ok(found))),
                None => Err(fetched),
            },
            Err(fault) => Ok(self.share.counted(Err(fault))),
        }
    }

    async fn go_on(self, fetched: Fetched, patience: Patience) -> Sought {
        let share = Arc::clone(&self.share);
        let end = Box::pin(self.seek_on(fetched, patience)).await;
        share.counted(end)
    }

    /// What a small value is good for, where the log is applied far enough to tell; `None`: it takes more to find out.
    fn usable_now(&self, fetched: &Fetched) -> Option<Sought> {
        let (value, head) = (fetched.value.as_ref()?, fetched.head?);
        if value.len() >= super::LARGE || self.share.followed.cursor().head < head {
            return None;
        }
        let opened = self.share.sealer.open(self.key, value).ok()?;
        let is_entry = matches!(opened.kind, Kind::Response | Kind::Value);
        if is_entry { self.judged(self.key, &opened, head).ok() } else { None }
    }

    async fn seek_on(self, mut fetched: Fetched, mut patience: Patience) -> Result<Sought, Fault> {
        let share = &self.share;
        // Registered before the lease is asked for, so that no notice of its end is missed.
        let mut notices = None;
        let mut token = None;
        let mut waited = false;
        let mut also = self.also;
        loop {
            if let Some(value) = &fetched.value
                && let Some(found) = self.usable(self.key, value, fetched.head, &mut patience).await
            {
                return Ok(found);
            }
            if let Some(also) = also.take()
                && let Fetched { value: Some(value), head } = patience.within(share.tier.fetch(also)).await?
                && let Some(found) = self.usable(also, &value, head, &mut patience).await
                && self.leads_elsewhere(&found)
            {
                return Ok(found);
            }
            if self.purpose == Purpose::Read {
                return Ok(Sought::Nothing);
            }
            let notices = notices.get_or_insert_with(|| share.awaited.register(self.key));
            notices.clear();
            let token = *token.get_or_insert_with(|| Token(random()));
            let seen = fetched.value.take();
            let asked = share.tier.lease(self.key, token, share.options.lease, seen);
            let leased = patience.within(asked).await.inspect_err(|_| {
                // It may have been granted all the same.
                share.end_lease(self.key, token, LeaseEnd::Abandoned);
            })?;
            match leased {
                Leased::Changed => {}
                Leased::Granted => {
                    add(&share.counters.leases);
                    return Ok(Sought::Lease(Lease::new(share, self.key, token)));
                }
                Leased::Held(_) if self.purpose == Purpose::Refresh => return Ok(Sought::Busy),
                Leased::Held(left) if share.is_orphaned(left) => return Ok(Sought::Nothing),
                Leased::Held(left) => {
                    if !std::mem::replace(&mut waited, true) {
                        add(&share.counters.waits);
                    }
                    let pause = share.tier.pause(left.min(ASK_AGAIN));
                    match notices.next_or(pause).await {
                        Some(LeaseEnd::NotStorable) => return Ok(Sought::NotStorable),
                        Some(LeaseEnd::Failed) => return Ok(Sought::Nothing),
                        Some(LeaseEnd::Stored | LeaseEnd::Abandoned) | None => {}
                    }
                    // Another process's load was waited for, not the shared tier.
                    patience = Patience::new(share);
                }
            }
            fetched = patience.within(share.tier.fetch(self.key)).await?;
        }
    }

    /// Whether what was found under the other key is news: not the record by which the caller came to its key.
    fn leads_elsewhere(&self, found: &Sought) -> bool {
        match found {
            Sought::Vary(names) => self.by.as_deref().is_none_or(|by| by != names.as_slice()),
            _ => true,
        }
    }

    /// What a value stored under `key` is good for; `None`: for nothing.
    async fn usable(
        &self,
        key: Key,
        value: &Bytes,
        head: Option<Head>,
        patience: &mut Patience,
    ) -> Option<Sought> {
        let share = &self.share;
        let (sealer, key, sealed) = (Arc::clone(&share.sealer), key, value.clone());
        let opened = match share.work(value.len(), move || sealer.open(key, &sealed)).await {
            Ok(opened) => opened,
            Err(error) => {
                share.counters.count_unreadable(Some(error));
                if !error.may_be_readable_elsewhere() {
                    // Its stamp is as wrong as the rest, and would keep what is loaded now from being stored.
                    share.discard_unreadable(key, value.clone());
                }
                return None;
            }
        };
        match opened.kind {
            Kind::VaryRecord => {
                let names = names(&opened.payload);
                if names.is_none() {
                    share.counters.count_unreadable(None);
                }
                names.map(Sought::Vary)
            }
            Kind::SearchRecord => Some(Sought::Search(opened.payload)),
            Kind::Response | Kind::Value => self.usable_entry(key, &opened, head?, patience).await,
            Kind::Report => None,
        }
    }

    async fn usable_entry(
        &self,
        key: Key,
        opened: &Opened,
        head: Head,
        patience: &mut Patience,
    ) -> Option<Sought> {
        let share = &self.share;
        if !share.is_applied(head, patience).await {
            add(&share.counters.behind);
            return None;
        }
        let judged = self.judged(key, opened, head);
        judged
            .map_err(|useless| match useless {
                Useless::Unreadable => share.counters.count_unreadable(None),
                Useless::Known => {}
                Useless::Outdated => add(&share.counters.outdated),
                Useless::Behind => add(&share.counters.behind),
            })
            .ok()
    }

    /// What an opened value is good for, by a log that is applied up to `head`.
    fn judged(&self, key: Key, opened: &Opened, head: Head) -> Result<Sought, Useless> {
        let share = &self.share;
        let Place { primary, uri } = &self.place;
        // Behind the seal it is what was written.
        let decoded = Entry::decode_checked(&opened.payload, |tags| {
            let tags = tags.iter().copied();
            match uri {
                Some((authority, path)) => {
                    Footprint::new(&share.log, *primary, authority, path.as_bytes(), tags)
                }
                None => Footprint::of_value(&share.log, *primary, tags),
            }
        });
        let Ok(entry) = decoded else {
            return Err(Useless::Unreadable);
        };
        if self.newer_than.is_some_and(|known| entry.meta().request_time <= known) {
            return Err(Useless::Known);
        }
        // Before the judgement: what is appended in between is noticed by the next lookup.
        let position = share.log.position();
        match share.followed.judge(entry.footprint(), opened.stamp.head, head) {
            Judgement::Known(standing @ (Standing::Current | Standing::Soft)) => {
                let soft = standing == Standing::Soft;
                Ok(Sought::Found(Box::new(Sighting { key, entry, position, soft })))
            }
            Judgement::Known(Standing::Invalid) | Judgement::OtherEpoch => Err(Useless::Outdated),
            Judgement::Behind => Err(Useless::Behind),
        }
    }
}

/// Why a value that could be opened is of no use.
enum Useless {
    /// What is inside is not what its kind says.
    Unreadable,
    /// It is no newer than what the caller has.
    Known,
    /// It is untrue by the log.
    Outdated,
    /// The log went on, and was not applied so far.
    Behind,
}

impl Share {
    fn counted(&self, end: Result<Sought, Fault>) -> Sought {
        match end {
            Ok(sought) => {
                add(match sought {
                    Sought::Found(_) => &self.counters.hits,
                    _ => &self.counters.misses,
                });
                sought
            }
            Err(fault) => {
                self.counters.count_fault(fault);
                Sought::Nothing
            }
        }
    }

    /// Whether a lease with so much time left was granted, or renewed last, before this process came back to the shared
    /// tier: its owner may not be back yet, and cannot give it back.
    fn is_orphaned(&self, left: Duration) -> bool {
        self.tier.back_for().is_some_and(|back| left + back < self.options.lease)
    }

    /// Waits until the log is applied up to `head`; `false` if that takes too long.
    async fn is_applied(&self, head: Head, patience: &mut Patience) -> bool {
        if self.followed.cursor().head >= head {
            return true;
        }
        self.counters.hear_of(head);
        std::future::poll_fn(|context| {
            if self.followed.cursor().head >= head {
                return Poll::Ready(true);
            }
            self.behind.lock().unwrap_or_else(PoisonError::into_inner).push(context.waker().clone());
            // Once more: it may have been applied before the waker was there.
            if self.followed.cursor().head >= head {
                return Poll::Ready(true);
            }
            patience.poll(context).map(|()| false)
        })
        .await
    }
}

/// What is left of the time for which one request waits for the shared tier.
///
/// Once it is over it stays over.
struct Patience {
    pauses: Pauses,
    /// Made when something is waited for: most requests have their answer by then.
    pause: Option<Pause>,
    is_over: bool,
}

impl Patience {
    fn new(share: &Share) -> Self {
        // A little longer than one call may take: which then says itself that it was late.
        let pauses = share.tier.pauses(share.options.patience + share.options.patience / 10);
        Self { pauses, pause: None, is_over: false }
    }

    /// For another request that came at the same time.
    fn another(&self) -> Self {
        Self { pauses: Arc::clone(&self.pauses), pause: None, is_over: false }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.is_over {
            return Poll::Ready(());
        }
        let pause = self.pause.get_or_insert_with(|| (self.pauses)());
        if pause.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        (self.pause, self.is_over) = (None, true);
        Poll::Ready(())
    }

    async fn within<T>(&mut self, mut call: Answer<T>) -> Result<T, Fault> {
        std::future::poll_fn(|context| match call.as_mut().poll(context) {
            Poll::Ready(answer) => Poll::Ready(answer),
            Poll::Pending => self.poll(context).map(|()| Err(Fault::Timeout)),
        })
        .await
    }
}

fn names(payload: &[u8]) -> Option<Vec<Box<str>>> {
    let text = std::str::from_utf8(payload).ok()?;
    let names: Vec<Box<str>> = text.split('\n').map(Box::from).collect();
    let plain = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    (names.len() <= MOST_NAMES && names.iter().all(|name| plain(name))).then_some(names)
}

/// Who waits for leases of other processes to end.
#[derive(Debug, Default)]
pub(super) struct Awaited(Mutex<HashMap<Key, Vec<Arc<Notices>>>>);

#[derive(Debug, Default)]
struct Notices(Mutex<(Option<LeaseEnd>, Option<Waker>)>);

impl Awaited {
    fn register(&self, key: Key) -> Registered<'_> {
        let notices = Arc::new(Notices::default());
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.entry(key).or_default().push(Arc::clone(&notices));
        Registered { awaited: self, key, notices }
    }

    pub(super) fn forget_all(&self) {
        std::mem::forget(std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)));
    }

    pub(super) fn tell(&self, notice: Notice) {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for notices in waiting.get(&notice.key).into_iter().flatten() {
            let waker = {
                let mut state = notices.0.lock().unwrap_or_else(PoisonError::into_inner);
                state.0 = Some(notice.end);
                state.1.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

/// A place among those who wait for one key; given up when it is dropped.
struct Registered<'a> {
    awaited: &'a Awaited,
    key: Key,
    notices: Arc<Notices>,
}

impl Registered<'_> {
    fn clear(&self) {
        self.notices.0.lock().unwrap_or_else(PoisonError::into_inner).0 = None;
    }

    /// The next notice, or `None` when `pause` ends first.
    async fn next_or(&self, pause: Pause) -> Option<LeaseEnd> {
        let mut pause = pin!(pause);
        std::future::poll_fn(|context| {
            {
                let mut state = self.notices.0.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(end) = state.0.take() {
                    return Poll::Ready(Some(end));
                }
                state.1 = Some(context.waker().clone());
            }
            pause.as_mut().poll(context).map(|()| None)
        })
        .await
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        let mut waiting = self.awaited.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(others) = waiting.get_mut(&self.key) {
            others.retain(|other| !Arc::ptr_eq(other, &self.notices));
            if others.is_empty() {
                waiting.remove(&self.key);
            }
        }
    }
}
