//! What a case needs of an implementation, and the implementation in memory.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hotplate::key::Key;
use hotplate::log::{Mode, TargetId};
use hotplate::tier::memory::{Condition, MemoryTier};
use hotplate::tier::sealed::{Kind, SealerOptions};
use hotplate::tier::shared::{
    Answer, Cursor, Head, Publication, Published, Record, SharedTier, Snapshot, Stamp, Tail, Token,
};
use hotplate_policy::time::Timestamp;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A handle of a tier.
pub(crate) type Tier = Arc<dyn SharedTier>;

/// A second is long for what is to happen soon.
pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// What is awaited has happened by then, or never will.
const DEADLINE: Duration = Duration::from_secs(10);

/// Between two looks at something.
const STEP: Duration = Duration::from_millis(5);

/// What is to happen at once takes less, on a busy machine too.
const PROMPT: Duration = Duration::from_millis(500);

/// A part of the log that storage may lose alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    Head,
    State,
    Stream,
    /// 0 or 1.
    Markers(u8),
}

/// An empty storage, and what can be done to it.
pub(crate) trait Bench: Sized {
    /// Whether markers are summed up in a floor.
    const SUMS_UP: bool;

    /// Called outside of the runtime.
    fn start() -> Self;

    /// What the case runs on: with threads whose tasks go on while the case blocks.
    fn runtime() -> Runtime {
        Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    }

    /// One more handle of the same storage, as another process has it. Called inside of the runtime.
    fn tier(&self) -> Tier;

    /// Time since the start, as the tier has it.
    fn now(&self) -> Duration;

    /// Lets time pass.
    fn pass(&self, span: Duration) -> impl Future<Output = ()>;

    /// Loses everything.
    fn flush(&self);

    /// Loses one part of the log; all of the log where it has no parts.
    fn evict(&self, part: Part);

    /// Loses all records but the last `keep`.
    fn trim(&self, keep: usize);

    /// Lets time pass until `met`.
    async fn until(&self, what: &str, mut met: impl AsyncFnMut() -> bool) {
        let begin = Instant::now();
        while !met().await {
            assert!(begin.elapsed() < DEADLINE, "waited for {what} in vain");
            self.pass(STEP).await;
        }
    }

    /// Lets time pass until a task has ended.
    async fn ended<T>(&self, task: JoinHandle<T>) -> T {
        self.until("a call to end", async || task.is_finished()).await;
        task.await.unwrap()
    }
}

/// Runs a case on a new bench.
pub(crate) fn run<B: Bench>(case: impl AsyncFnOnce(&B)) {
    let bench = B::start();
    B::runtime().block_on(case(&bench));
}

/// The storage in memory. Its time stands still unless it is let pass.
pub(crate) struct InMemory {
    tier: MemoryTier,
    now: Mutex<Duration>,
}

impl InMemory {
    pub(crate) fn set(&self, condition: Condition) {
        self.tier.set(condition);
    }
}

impl Bench for InMemory {
    const SUMS_UP: bool = false;

    fn start() -> Self {
        Self { tier: MemoryTier::new(), now: Mutex::default() }
    }

    /// One thread: everything that can go on has gone on when the case does.
    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_all().build().unwrap()
    }

    fn tier(&self) -> Tier {
        Arc::new(self.tier.clone())
    }

    fn now(&self) -> Duration {
        *self.now.lock().unwrap()
    }

    async fn pass(&self, span: Duration) {
        // Calls take two turns to get where they wait for time.
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        *self.now.lock().unwrap() += span;
        self.tier.advance(span);
        tokio::task::yield_now().await;
    }

    fn flush(&self) {
        self.tier.tamper(|store| store.flush());
    }

    fn evict(&self, _: Part) {
        self.flush();
    }

    fn trim(&self, keep: usize) {
        self.tier.tamper(|store| store.trim(keep));
    }
}

/// Starts a call that goes on by itself.
pub(crate) fn begin<T: Send + 'static>(call: Answer<T>) -> JoinHandle<T> {
    tokio::spawn(async move { call.await.unwrap() })
}

/// What a task comes to that is to end at once, without time that passes.
pub(crate) async fn promptly<T>(what: &str, task: JoinHandle<T>) -> T {
    let begin = Instant::now();
    let ended = timeout(Duration::from_secs(2), task).await;
    let ended = ended.unwrap_or_else(|_| panic!("{what}: not within two seconds"));
    assert!(begin.elapsed() < PROMPT, "{what}: {:?}", begin.elapsed());
    ended.unwrap()
}

/// The key with this number, in the middle of the others.
pub(crate) fn key(number: u128) -> Key {
    Key::from_u128(number << 64 | number)
}

/// A stamp of the parts it is compared by.
pub(crate) fn stamp(epoch: u64, position: u64, request_time: i64) -> Stamp {
    Stamp { head: Head { epoch, position }, request_time: Timestamp::from_unix_millis(request_time) }
}

/// A value, as the engine stores it.
pub(crate) fn value(key: Key, stamp: Stamp, payload: &[u8]) -> Bytes {
    let sealer = SealerOptions::default().compile().unwrap();
    sealer.seal(key, Kind::Value, stamp, payload).unwrap()
}

/// To store for a minute.
pub(crate) fn publication(key: Key, stamp: Stamp, payload: &str) -> Publication {
    Publication {
        key,
        value: value(key, stamp, payload.as_bytes()),
        stamp,
        ttl: Duration::from_secs(60),
        force: false,
        extend: false,
    }
}

/// Publishes what is to be stored.
pub(crate) async fn store(tier: &Tier, publication: &Publication) {
    assert_eq!(tier.publish(publication.clone()).await, Ok(Published::Stored), "{:?}", publication.stamp);
}

/// What is stored.
pub(crate) async fn stored(tier: &Tier, key: Key) -> Option<Bytes> {
    tier.fetch(key).await.unwrap().value
}

/// A token nobody else has.
pub(crate) fn token() -> Token {
    static NEXT: AtomicU64 = AtomicU64::new(u64::MAX);
    Token(NEXT.fetch_sub(1, Ordering::Relaxed))
}

/// A record nobody else has.
pub(crate) fn record(mode: Mode, targets: &[Option<u64>]) -> Record {
    static NEXT: AtomicU64 = AtomicU64::new(u64::MAX);
    let nonce = NEXT.fetch_sub(1, Ordering::Relaxed);
    Record { nonce, mode, targets: targets.iter().map(|target| target.map(TargetId::from_u64)).collect() }
}

/// A record that names one target.
pub(crate) fn naming(target: u64) -> Record {
    record(Mode::Hard, &[Some(target)])
}

/// Appends records that name 1, 2, … and gives the cursors after each, beginning with the one before all.
pub(crate) async fn append_all(tier: &Tier, count: u64) -> (Vec<Cursor>, Vec<Record>) {
    let mut cursors = vec![tier.snapshot(None).await.unwrap().cursor];
    let mut records = Vec::new();
    for target in 1..=count {
        let record = naming(target);
        let head = tier.append(record.clone()).await.unwrap();
        cursors.push(Cursor { head, nonce: record.nonce });
        records.push(record);
    }
    (cursors, records)
}

/// What follows a cursor at present.
pub(crate) async fn tail(tier: &Tier, after: Cursor) -> Tail {
    tier.tail(after, Duration::ZERO).await.unwrap()
}

/// Whether a snapshot lets what began to load at a position, and answers to a target, be used.
pub(crate) fn usable(snapshot: &Snapshot, began: u64, target: u64) -> bool {
    let concerns = |named: &Option<TargetId>| named.is_none_or(|named| named.as_u64() == target);
    began >= snapshot.floor
        && !snapshot.markers.iter().any(|(named, _, position)| concerns(named) && *position > began)
}
