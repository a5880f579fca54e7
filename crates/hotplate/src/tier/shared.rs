//! The shared tier: what many processes and machines have in common. A trait, and its contract in words.
//!
//! Asynchronous and fallible, where the local tier is neither. It keeps five things for everybody who uses it under
//! one name:
//!
//! * **values** under keys, each with a [`Stamp`] and a time to live. A value is opaque bytes ([`super::sealed`]);
//! * **leases** under keys: who may load, of all processes;
//! * **the log**: numbered records of what is no longer true, and markers that sum them up ([`crate::log`]);
//! * **notices**: how a lease ended, told to everybody who listens;
//! * **reports**: what each process tells of itself.
//!
//! # Contract
//!
//! Every implementation passes the suite in `tests/shared_contract`. In short:
//!
//! 1. *Absent is not an error.* `Ok` with nothing means that the tier answered; a [`Fault`] means that nothing is known.
//! 2. *Every call ends* within the deadline the tier was made with, whatever happens outside; those that read the log may
//!    take some seconds more. While the tier is down
//!    ([`SharedTier::is_up`]) calls end at once with [`Fault::Down`]; none is queued.
//! 3. *A call may be dropped* at any time. What it asked for may then have happened or not.
//! 4. *Each call that changes something is atomic*: nobody sees half of it.
//! 5. *Nothing is immortal*: every value, lease and log has a time to live.
//! 6. *Positions of one epoch only grow*, by one for each record, and each names one record for ever. When records may
//!    have been lost (a flush, an eviction, a failover) the epoch changes. A later epoch is a greater number.
//! 7. *A tier decides nothing.* What is fresh, usable or worth a load is the engine's.
//!
//! # Scope
//!
//! No implementation spawns a task for a call; the driver that owns the executor polls the futures.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hotplate_policy::time::Timestamp;

use super::calls::all;
use crate::key::Key;
use crate::log::{Mode, TargetId};

/// What a call comes to. Boxed, so that a cache can hold any tier.
pub type Answer<T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send + 'static>>;

/// What a call for several keys comes to: an answer for each, in the order of the keys.
pub type Answers<T> = Pin<Box<dyn Future<Output = Vec<Result<T, Fault>>> + Send + 'static>>;

/// Ends when its time has come.
pub type Pause = Pin<Box<dyn Future<Output = ()> + Send + 'static>>;

/// Makes pauses; see [`SharedTier::pauses`].
pub type Pauses = Arc<dyn Fn() -> Pause + Send + Sync>;

/// Why nothing is known. Each is counted, and leads to a request that is answered without the shared tier.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// The tier is known to be down; nothing was asked.
    Down,
    /// No answer came within the deadline.
    Timeout,
    /// The connection ended while the answer was awaited.
    Lost,
    /// It answered that it will not: out of memory, read-only, no permission, still loading.
    Refused,
    /// It answered something that is no answer.
    Garbled,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 5] = [Self::Down, Self::Timeout, Self::Lost, Self::Refused, Self::Garbled];

    /// The word for logs and numbers.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Timeout => "timeout",
            Self::Lost => "lost",
            Self::Refused => "refused",
            Self::Garbled => "garbled",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Down => "the shared tier is down",
            Self::Timeout => "the shared tier did not answer in time",
            Self::Lost => "the connection to the shared tier was lost",
            Self::Refused => "the shared tier refused the command",
            Self::Garbled => "the shared tier answered something that cannot be understood",
        })
    }
}

impl std::error::Error for Fault {}

/// Where the log stands: its epoch, and the position of its last record in it (0: none yet).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Head {
    /// Changes whenever records may have been lost. Never 0 for a log that exists.
    pub epoch: u64,
    /// The last record.
    pub position: u64,
}

/// When a load began, as every process understands it. Of two values the one with the greater stamp is newer.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Stamp {
    /// The log the process had applied when the load began.
    pub head: Head,
    /// The time of the request.
    pub request_time: Timestamp,
}

/// What is stored under a key, and where the log stood, read in one round trip.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Fetched {
    /// The value.
    pub value: Option<Bytes>,
    /// The head, at least as new as when the call was made; `None` where there is no log.
    pub head: Option<Head>,
}

/// Who holds a lease: random, never 0.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Token(pub u64);

/// A value to store.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Publication {
    /// Under which key.
    pub key: Key,
    /// The value.
    pub value: Bytes,
    /// When it began to load.
    pub stamp: Stamp,
    /// For how long; at least a millisecond.
    pub ttl: Duration,
    /// Store it although what is there is newer: a value that was set, not loaded.
    pub force: bool,
    /// What is there lives on for at least as long as it would have: records that stand for several values.
    pub extend: bool,
}

/// What became of a [`Publication`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Published {
    /// It is stored.
    Stored,
    /// What is stored is newer, and stays.
    Older,
}

/// What became of a request for a lease.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Leased {
    /// It is the caller's, until it expires.
    Granted,
    /// Somebody else has it, for at most this long.
    Held(Duration),
    /// Nobody was asked: what is stored is not what the caller has seen. Fetch it.
    Changed,
}

/// How a lease ended, for those in other processes who wait for what it loads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LeaseEnd {
    /// The answer is stored.
    Stored,
    /// The answer cannot be stored: load for yourselves, all at once.
    NotStorable,
    /// The load failed.
    Failed,
    /// It will not end: take the lease.
    Abandoned,
}

/// Somebody's lease has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Notice {
    /// Under this key.
    pub key: Key,
    /// In this way.
    pub end: LeaseEnd,
}

/// One invalidation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// Random; tells this record from every other.
    pub nonce: u64,
    /// Whether what it names is dropped or made stale.
    pub mode: Mode,
    /// What it names; `None` in the list is everything.
    pub targets: Vec<Option<TargetId>>,
}

/// The last record a process has applied, with its nonce (0 where there is none): from here on it reads.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Cursor {
    /// Its position.
    pub head: Head,
    /// Its nonce.
    pub nonce: u64,
}

/// What follows a [`Cursor`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Tail {
    /// The records that follow, in order, without a gap: the first has the cursor's position plus one. May be empty.
    Records(Vec<Record>),
    /// They are not all there: the log was cut, trimmed or replaced. Load a [`Snapshot`].
    Gap,
}

/// The whole log, summed up.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Snapshot {
    /// The last record that is in it for certain.
    pub cursor: Cursor,
    /// What began to load before this position is not usable: markers that would tell may be gone.
    pub floor: u64,
    /// The last position at which each target was named, by mode; `None` is everything. Some may be later than the
    /// cursor: they will come again with the records that follow it.
    pub markers: Vec<(Option<TargetId>, Mode, u64)>,
}

/// Who hears [`Notice`]s. Called from the tier's own task: must not wait.
pub type Listener = Arc<dyn Fn(Notice) + Send + Sync>;

/// Storage that processes share. See the contract at the head of this module.
pub trait SharedTier: Send + Sync + 'static {
    /// Reads what is stored under a key, and the head.
    fn fetch(&self, key: Key) -> Answer<Fetched>;

    /// [`SharedTier::fetch`] of each key, as many as possible of them in one round trip.
    fn fetch_all(&self, keys: Vec<Key>) -> Answers<Fetched> {
        all(keys.into_iter().map(|key| self.fetch(key)).collect())
    }

    /// Stores a value unless a newer one is there.
    fn publish(&self, publication: Publication) -> Answer<Published>;

    /// Removes what is stored under a key.
    fn remove(&self, key: Key) -> Answer<()>;

    /// Removes what is stored under a key, if it is what [`SharedTier::fetch`] gave.
    fn remove_seen(&self, key: Key, seen: Bytes) -> Answer<()>;

    /// Removes what is stored under a key, unless it began to load at this stamp or later.
    fn remove_older(&self, key: Key, than: Stamp) -> Answer<()>;

    /// Adds to the counter of a key, which begins at 0 and lives for `ttl` from its first addition on. A counter is no
    /// value: neither touches the other.
    ///
    /// **Returns** what it is then. [`Fault::Refused`] where the number would be too great.
    fn tally(&self, key: Key, number: i64, ttl: Duration) -> Answer<i64>;

    /// Asks for the lease of a key. One caller at a time has it; whoever has it and asks again keeps it.
    ///
    /// # Arguments
    ///
    /// `seen`: what [`SharedTier::fetch`] gave. If something else is stored by now, the answer is [`Leased::Changed`]:
    /// a load that ended between the two calls is not repeated.
    fn lease(&self, key: Key, token: Token, lasting: Duration, seen: Option<Bytes>) -> Answer<Leased>;

    /// Prolongs a lease. `false`: it is not the caller's any more.
    fn renew(&self, key: Key, token: Token, lasting: Duration) -> Answer<bool>;

    /// Ends a lease and sends the notice of it. `false`: it was not the caller's any more, and nothing was sent.
    fn release(&self, key: Key, token: Token, end: LeaseEnd) -> Answer<bool>;

    /// Appends a record to the log, which is made if there is none, and to the markers. A record that was appended
    /// already within the last ten minutes, as its nonce tells, is not appended again.
    ///
    /// **Returns** the head with the record's own position.
    fn append(&self, record: Record) -> Answer<Head>;

    /// Reads what follows a cursor; where nothing does, waits for it, at most `wait`.
    ///
    /// Checks that the log is still the one the cursor was made from: where it cannot be told, the answer is
    /// [`Tail::Gap`].
    fn tail(&self, after: Cursor, wait: Duration) -> Answer<Tail>;

    /// Reads the whole log; makes one if there is none, or if what there is cannot be whole.
    ///
    /// # Arguments
    ///
    /// `distrusted`: a record this process has applied and that a log which lost nothing has: if the log is of an earlier
    /// epoch, or of this one and does not have it any more, records may be gone, and the epoch is changed.
    fn snapshot(&self, distrusted: Option<Cursor>) -> Answer<Snapshot>;

    /// How long values may live: what was marked is remembered for at least as long. Raises, never lowers.
    fn retain(&self, longest: Duration) -> Answer<()>;

    /// Calls `listener` for every notice from now on, while the tier is up.
    fn listen(&self, listener: Listener);

    /// Whether calls are answered at present, as far as is known. Never waits.
    fn is_up(&self) -> bool;

    /// For how long it has been up again after it was down; `None` where it never was.
    fn back_for(&self) -> Option<Duration> {
        None
    }

    /// Keeps what a process tells of itself, for `lasting`, in place of what it told before.
    ///
    /// **Returns** whether somebody has asked for the reports within `lasting`.
    fn report(&self, process: String, report: Bytes, lasting: Duration) -> Answer<bool>;

    /// What processes have told within `lasting`, in any order.
    fn reports(&self, lasting: Duration) -> Answer<Vec<Bytes>>;

    /// Who keeps it, and in which version; `None` while nobody answers.
    fn server(&self) -> Option<String>;

    /// What is wrong, in words.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// Ends after `span`, by the tier's own time.
    fn pause(&self, span: Duration) -> Pause {
        self.pauses(span)()
    }

    /// Makes pauses that all end `span` from now, by the tier's own time, whenever they begin.
    fn pauses(&self, span: Duration) -> Pauses;
}
