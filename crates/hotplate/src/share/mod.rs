//! What the caches of many processes do together: one log, one load per key, one store.
//!
//! A [`Share`] stands between a [`crate::cache::Cache`] and a [`SharedTier`]. It knows nothing of HTTP.
//!
//! * `follow`: reads the log and tells the process's own log what other processes made untrue.
//! * `seek`: looks a key up in the shared tier, and takes the lease to load it where nothing usable is there.
//! * `lease`: who may load, of all processes. Renewed while the load runs, given back by its owner alone.
//! * `store`: writes what was loaded. `report`: what each process tells all of its numbers.
//! * `counters`: what went wrong and how often. `promise`: what one task waits for and another one tells.
//!
//! # When the shared tier fails
//!
//! No call of it is awaited longer than its deadline, a fault is counted and means "go on without": look up the local
//! tier, load, answer. Invalidations are kept and sent when the tier is back. While the log cannot be read this process
//! is *uncertain*: [`OnOutage`] says whether what it has is served.
//!
//! # Scope
//!
//! Nothing here spawns or sleeps by itself. The driver gives an [`Executor`], and drives [`Share::follow`] and
//! [`Share::keep_leases`] for as long as the cache lives.

mod counters;
mod follow;
mod lease;
mod promise;
mod report;
mod seek;
mod store;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

pub use counters::{ShareCounters, ShareStats};
pub use lease::Lease;
pub use report::Reporter;
pub use seek::{Place, Purpose, SeekJob, Sighting, Sought};
pub use store::{Leading, Storing};

use bytes::Bytes;

use self::promise::Promise;
use crate::clock::Clock;
use crate::key::Key;
use crate::log::followed::Followed;
use crate::log::{Log, Mode, TargetId};
use crate::tier::sealed::Sealer;
use crate::tier::shared::{Head, LeaseEnd, Notice, Record, SharedTier, Stamp, Token};
use crate::watch::histogram::Histogram;
use hotplate_policy::time::Timestamp;

/// Bodies of so many bytes are encoded and decoded away from the task that waits for many others.
const LARGE: usize = 64 << 10;

/// Runs futures until they end.
pub trait Executor: Send + Sync {
    /// Runs a task that nobody waits for. May drop it when the process ends.
    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send + 'static>>);

    /// Runs what takes long without waiting for anything, where it holds up no task. By default at once, where it stands.
    fn work(&self, work: Box<dyn FnOnce() + Send + 'static>) {
        work();
    }
}

/// An invalidation on its way; see [`Share::invalidate`].
pub type Appending = Pin<Box<dyn Future<Output = Option<Head>> + Send + 'static>>;

/// What is done with the local tier while this process cannot know whether it is true.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnOutage {
    /// It is served, each response within its lifetime.
    #[default]
    ServeLocal,
    /// Every request is forwarded.
    Bypass,
}

/// Settings of a [`Share`].
#[derive(Clone, Copy, Debug)]
pub struct ShareOptions {
    /// How long a lease lasts when its owner dies.
    pub lease: Duration,
    /// What is done while the log cannot be read.
    pub on_outage: OnOutage,
    /// How long a request waits, in all, for answers of the shared tier.
    pub patience: Duration,
}

impl Default for ShareOptions {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(3),
            on_outage: OnOutage::ServeLocal,
            patience: Duration::from_millis(50),
        }
    }
}

/// A cache's part in what processes share.
pub struct Share {
    tier: Arc<dyn SharedTier>,
    sealer: Arc<Sealer>,
    executor: Arc<dyn Executor>,
    clock: Arc<dyn Clock>,
    options: ShareOptions,
    log: Arc<Log>,
    followed: Followed,
    /// The log was read without a fault, the last time it was tried.
    certain: AtomicBool,
    /// Invalidations of this process may be unknown to the tier.
    unsent: AtomicBool,
    /// The longest time the log is known to be kept for, in milliseconds.
    retained_millis: AtomicU64,
    outbox: Mutex<Outbox>,
    leases: lease::Leases,
    awaited: seek::Awaited,
    /// Who waits for the log to be applied further.
    behind: Mutex<Vec<Waker>>,
    counters: ShareCounters,
    /// How long lookups took, as the driver measures them.
    lookups: Histogram,
    reporter: OnceLock<Weak<dyn Reporter>>,
    /// Somebody asks for reports.
    is_looked_at: AtomicBool,
}

impl Share {
    /// A share of `tier`. `log` is the own log of the cache, made by [`Log::shared`].
    #[must_use]
    pub fn new(
        tier: Arc<dyn SharedTier>,
        sealer: Sealer,
        executor: Arc<dyn Executor>,
        clock: Arc<dyn Clock>,
        options: ShareOptions,
    ) -> Arc<Self> {
        let share = Arc::new(Self {
            tier,
            sealer: Arc::new(sealer),
            executor,
            clock,
            options,
            log: Arc::new(Log::shared()),
            followed: Followed::default(),
            certain: AtomicBool::new(false),
            unsent: AtomicBool::new(false),
            retained_millis: AtomicU64::new(0),
            outbox: Mutex::new(Outbox::default()),
            leases: lease::Leases::default(),
            awaited: seek::Awaited::default(),
            behind: Mutex::new(Vec::new()),
            counters: ShareCounters::default(),
            lookups: Histogram::default(),
            reporter: OnceLock::new(),
            is_looked_at: AtomicBool::new(false),
        });
        let listener = Arc::downgrade(&share);
        share.tier.listen(Arc::new(move |notice: Notice| {
            if let Some(share) = listener.upgrade() {
                share.awaited.tell(notice);
            }
        }));
        share
    }

    /// The own log of the cache.
    #[must_use]
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// Whether the shared tier can be asked at present.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.tier.is_up()
    }

    /// How long lookups took: for the driver to tell.
    #[must_use]
    pub fn lookups(&self) -> &Histogram {
        &self.lookups
    }

    /// Who keeps the shared tier, and in which version; `None` while nobody answers.
    #[must_use]
    pub fn server(&self) -> Option<String> {
        self.tier.server()
    }

    /// What is wrong with it, in words.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.tier.trouble()
    }

    /// Whether what is in the local tier may be untrue without this process knowing.
    #[must_use]
    pub fn is_uncertain(&self) -> bool {
        !self.certain.load(Ordering::Acquire) || !self.tier.is_up()
    }

    /// Whether requests are to be forwarded without being looked up.
    #[must_use]
    pub fn bypasses(&self) -> bool {
        self.options.on_outage == OnOutage::Bypass && self.is_uncertain()
    }

    /// The stamp of a load that begins now; `None` while the log has never been read: then its answer is not shared.
    #[must_use]
    pub fn stamp(&self, request_time: Timestamp) -> Option<Stamp> {
        let head = self.followed.cursor().head;
        (head.epoch != 0).then_some(Stamp { head, request_time })
    }

    /// Makes targets untrue for every process.
    ///
    /// The own log has to hear of them too, *after* this call and before the future is awaited. The future ends when
    /// the shared tier has the record or cannot take it now; it is sent in any case, also if the future is dropped, and
    /// again when the tier is back.
    ///
    /// # Returns
    ///
    /// A future of the head with the record's position, or of `None` while the shared tier does not know.
    #[must_use]
    pub fn invalidate(self: &Arc<Self>, targets: Vec<Option<TargetId>>, mode: Mode) -> Appending {
        let acknowledged = Arc::new(Promise::default());
        let told = Arc::clone(&acknowledged);
        {
            // In one step, so that records are sent in the order in which they were noted.
            let mut outbox = self.outbox();
            let record = self.followed.intend(Record { nonce: random(), mode, targets });
            outbox.waiting.push((record, told));
            if !std::mem::replace(&mut outbox.is_sending, true) {
                let share = Arc::clone(self);
                self.executor.spawn(Box::pin(async move { share.empty_outbox().await }));
            }
        }
        Box::pin(std::future::poll_fn(move |context| acknowledged.poll(context.waker())))
    }

    /// Runs `work`, which is about `size` bytes: elsewhere if they are many.
    async fn work<T: Send + 'static>(&self, size: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
        if size < LARGE {
            return work();
        }
        let promise = Arc::new(Promise::default());
        let told = Arc::clone(&promise);
        self.executor.work(Box::new(move || told.tell(work())));
        std::future::poll_fn(move |context| promise.poll(context.waker())).await
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what waits, in order: a batch at a time, each of its records on its way before the next.
    async fn empty_outbox(&self) {
        loop {
            let batch = {
                let mut outbox = self.outbox();
                if outbox.waiting.is_empty() {
                    outbox.is_sending = false;
                    return;
                }
                std::mem::take(&mut outbox.waiting)
            };
            let mut sending: Vec<_> =
                batch.into_iter().map(|(record, told)| (Box::pin(self.send(record)), told)).collect();
            std::future::poll_fn(|context| {
                sending.retain_mut(|(send, told)| match send.as_mut().poll(context) {
                    Poll::Ready(head) => {
                        told.tell(head);
                        false
                    }
                    Poll::Pending => true,
                });
                if sending.is_empty() { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }
    }

    async fn send(&self, record: Record) -> Option<Head> {
        let nonce = record.nonce;
        let head = self.counters.answer(self.tier.append(record).await);
        if !head.is_some_and(|head| self.followed.acknowledge(nonce, head)) {
            self.unsent.store(true, Ordering::Release);
        }
        head
    }

    /// Removes a value that is older than a stamp, if the shared tier can be asked.
    pub async fn remove_older(&self, key: Key, than: Stamp) {
        self.counters.answer(self.tier.remove_older(key, than).await);
    }

    /// Removes a value that cannot be read, unless another one has taken its place.
    fn discard_unreadable(self: &Arc<Self>, key: Key, seen: Bytes) {
        let share = Arc::clone(self);
        self.executor.spawn(Box::pin(async move {
            share.counters.answer(share.tier.remove_seen(key, seen).await);
        }));
    }

    /// Counts a value that the driver could not decode.
    pub(crate) fn count_undecodable(&self) {
        self.counters.count_unreadable(None);
    }

    /// Removes values that no lookup will find any more.
    pub fn discard(self: &Arc<Self>, keys: Vec<Key>) {
        if keys.is_empty() {
            return;
        }
        let share = Arc::clone(self);
        self.executor.spawn(Box::pin(async move {
            for key in keys {
                share.counters.answer(share.tier.remove(key).await);
            }
        }));
    }

    /// What went wrong and how often, and where the log is.
    #[must_use]
    pub fn stats(&self) -> ShareStats {
        self.counters.snapshot(self.is_up(), !self.is_uncertain(), self.followed.cursor().head)
    }

    /// Takes up work in a process that was forked off: leases and waiting tasks are the parent's.
    pub(crate) fn after_fork(&self) {
        self.leases.forget_all();
        std::mem::forget(std::mem::take(&mut *self.outbox()));
        self.awaited.forget_all();
        // Their tasks are the parent's too, and must not be woken here.
        std::mem::forget(std::mem::take(&mut *self.behind.lock().unwrap_or_else(PoisonError::into_inner)));
        self.certain.store(false, Ordering::Release);
        // What was on its way is the parent's to send, and not to be relied on.
        self.unsent.store(true, Ordering::Release);
    }

    fn wake_behind(&self) {
        let wakers = std::mem::take(&mut *self.behind.lock().unwrap_or_else(PoisonError::into_inner));
        wakers.into_iter().for_each(Waker::wake);
    }

    fn end_lease(self: &Arc<Self>, key: Key, token: Token, end: LeaseEnd) {
        let share = Arc::clone(self);
        self.executor.spawn(Box::pin(async move { share.release(key, token, end).await }));
    }
}

impl std::fmt::Debug for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Share").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Invalidations of this process on their way to the others.
#[derive(Default)]
struct Outbox {
    waiting: Vec<(Record, Arc<Promise<Option<Head>>>)>,
    /// A task sends what waits.
    is_sending: bool,
}

/// A number nobody else draws; never 0.
fn random() -> u64 {
    // Without the system's randomness a hash of a fresh address and the time is still nobody else's.
    getrandom::u64().unwrap_or_else(|_| {
        use std::hash::{BuildHasher, RandomState};
        RandomState::new().hash_one("hotplate")
    }) | 1
}
