//! One state of the model: what the shared tier holds, what every process is at, and what is left to happen.
//!
//! Beside these a state has what nobody in it knows: which data each invalidation is about, and what has gone wrong.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use hotplate::tier::memory::Store;
use hotplate::tier::shared::{Cursor, Head, Stamp, Tail, Token};
use hotplate_policy::time::Timestamp;

use crate::applied::{Applied, KEY, OwnLog, Summary};

/// How long a lease lasts; one turn of the clock.
pub(crate) const LEASE: Duration = Duration::from_secs(1);

/// Longer than any schedule.
pub(crate) const FOR_EVER: Duration = Duration::from_secs(1_000_000);

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct World {
    pub(crate) store: Stored,
    /// The records that the log holds or its markers sum up, by their nonces.
    pub(crate) in_log: Vec<u64>,
    /// What a replica that lags has of both.
    pub(crate) copy: Option<(Stored, Vec<u64>)>,
    /// Turns of the clock.
    pub(crate) now: u8,
    /// The version of the data that the application answers with.
    pub(crate) version: u8,
    pub(crate) processes: Vec<Process>,
    /// By nonce less one.
    pub(crate) invalidations: Vec<Invalidation>,
    pub(crate) left: Events,
    /// The epoch of the log at the failover: until the next one records may be lost and nobody know.
    pub(crate) failed_over: Option<u64>,
    pub(crate) wrong: Wrong,
}

/// What the shared tier holds. Each is kept once, and a state has its number.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub(crate) struct Stored(usize);

/// Their numbers, and by these what they are.
type Stores = (HashMap<Store, usize>, Vec<Arc<Store>>);

static STORES: LazyLock<RwLock<Stores>> = LazyLock::new(Default::default);

impl Stored {
    pub(crate) fn new(store: Store) -> Self {
        let known = STORES.read().unwrap_or_else(PoisonError::into_inner).0.get(&store).copied();
        Self(known.unwrap_or_else(|| {
            let mut stores = STORES.write().unwrap_or_else(PoisonError::into_inner);
            let (numbers, by_number) = &mut *stores;
            *numbers.entry(store).or_insert_with_key(|store| {
                by_number.push(Arc::new(store.clone()));
                by_number.len() - 1
            })
        }))
    }

    pub(crate) fn read(self) -> Arc<Store> {
        Arc::clone(&STORES.read().unwrap_or_else(PoisonError::into_inner).1[self.0])
    }

    pub(crate) fn change<T>(&mut self, change: impl FnOnce(&mut Store) -> T) -> T {
        let mut store = Store::clone(&self.read());
        let result = change(&mut store);
        *self = Self::new(store);
        result
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read().fmt(f)
    }
}

/// How often each of these may still happen.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Events {
    /// The clock turns, and what was leased before expires.
    pub(crate) turns: u8,
    /// A process ends.
    pub(crate) crashes: u8,
    /// A process loads without a lease, as when the tier does not answer it.
    pub(crate) alone: u8,
    /// A load fails.
    pub(crate) failures: u8,
    /// A record, or the answer to it, is lost on its way.
    pub(crate) losses: u8,
    /// The log drops its records, not its markers.
    pub(crate) trims: u8,
    /// The tier forgets everything.
    pub(crate) flushes: u8,
    /// The tier goes back to what it held at some time before.
    pub(crate) failovers: u8,
}

/// What an invalidation is about.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Invalidation {
    /// The process.
    pub(crate) by: usize,
    /// The data when it was issued.
    pub(crate) issued: u8,
    /// Where it stands in the log, and the data when it was appended: older is not to be served by who has applied it.
    pub(crate) appended: Option<(Head, u8)>,
}

/// Faults that have been seen.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Wrong {
    /// Something older than an invalidation was found in the shared tier and served.
    pub(crate) served_untrue: bool,
    /// A stored value was replaced by one whose load began earlier.
    pub(crate) replaced_newer: bool,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Process {
    pub(crate) alive: bool,
    pub(crate) applied: Applied,
    pub(crate) own_log: OwnLog,
    pub(crate) local: Option<Local>,
    pub(crate) request: Request,
    /// What goes on in the background when a request has its answer.
    pub(crate) storing: Vec<Storing>,
    pub(crate) follower: Follower,
    pub(crate) sending: Vec<Sending>,
    /// Some of its records may be unknown to the tier.
    pub(crate) unsent: bool,
    /// Half told: one of its two logs has this record of its own, the other one has not.
    pub(crate) telling: Option<u64>,
    /// Requests and invalidations that may still come.
    pub(crate) requests: u8,
    pub(crate) invalidations: u8,
    /// Older data than this is untrue by the records that both of its logs have.
    pub(crate) known: u8,
    /// The epoch that both of its logs have.
    pub(crate) epoch: u64,
}

/// What the local tier has.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Local {
    pub(crate) version: u8,
    /// Of the own log.
    pub(crate) position: u64,
}

/// What the shared tier has.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Value {
    pub(crate) version: u8,
    pub(crate) by: u8,
    pub(crate) stamp: Stamp,
}

/// A lease, as its owner knows it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Hold {
    pub(crate) token: u64,
    /// It is the owner's before this turn of the clock; 0: not any more.
    pub(crate) until: u8,
}

/// How far a request is, between two awaits.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Request {
    None,
    /// Asks the shared tier next.
    Seeks,
    /// Has a value and the head; older data than `must` was untrue when they were read.
    Fetched {
        value: Value,
        head: Head,
        must: u8,
    },
    /// Has also read the position of its own log.
    Placed {
        value: Value,
        head: Head,
        must: u8,
        position: u64,
    },
    /// Needs a load, having seen this.
    Unusable {
        seen: Option<Value>,
    },
    /// May load.
    Granted {
        hold: Option<Hold>,
    },
    /// The application runs, and has read the data.
    Loads {
        hold: Option<Hold>,
        stamp: Option<Stamp>,
        position: u64,
        version: u8,
    },
}

/// A loaded value on its way into the tier.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Storing {
    /// `None`: it is stored, or is not to be.
    pub(crate) value: Option<Value>,
    pub(crate) hold: Option<Hold>,
}

/// How far the reading of the log is, between two awaits.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Follower {
    Idle,
    /// These records follow.
    Read(Vec<u64>),
    /// They are not all there, or this record is not, which should be: its head and nonce.
    Gap(Head, u64),
    /// This is the whole log.
    Summed(Summary),
    /// One of the two logs has something, and the other one has to hear of it; then come the other records.
    Half {
        other: Other,
        known: u8,
        rest: Vec<u64>,
    },
}

/// What the second of the two logs has to hear.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Other {
    /// The own log: these targets.
    Own(Vec<Option<u64>>),
    /// The shared log as applied: this record. Only where the order is wrong.
    Applied(u64),
}

/// A record on its way into the log.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Sending {
    pub(crate) nonce: u64,
    /// The answer on its way back.
    pub(crate) answer: Option<Head>,
}

impl World {
    pub(crate) fn time(&self) -> Duration {
        LEASE * u32::from(self.now)
    }

    /// As processes stamp it.
    pub(crate) fn timestamp(&self) -> Timestamp {
        Timestamp::from_unix_millis(i64::from(self.now) * 1000)
    }

    /// Older data than this is untrue by the log up to `head`, and by the logs of the epochs before.
    pub(crate) fn known_at(&self, head: Head) -> u8 {
        let appended = self.invalidations.iter().filter_map(|invalidation| invalidation.appended);
        appended.filter(|(at, _)| *at <= head).map(|(_, version)| version).max().unwrap_or(0)
    }

    /// Older data than this is untrue by every record that was ever appended.
    pub(crate) fn appended(&self) -> u8 {
        let appended = self.invalidations.iter().filter_map(|invalidation| invalidation.appended);
        appended.map(|(_, version)| version).max().unwrap_or(0)
    }

    /// Older data than this is untrue by what living processes have issued, and by what the log has of the others.
    pub(crate) fn issued(&self) -> u8 {
        let heard = |(nonce, invalidation): &(u64, &Invalidation)| {
            self.processes[invalidation.by].alive || self.in_log.contains(nonce)
        };
        let issued = (1..).zip(&self.invalidations).filter(heard);
        issued.map(|(_, invalidation)| invalidation.issued).max().unwrap_or(0)
    }

    /// Changes the tier. A log of another epoch holds no record of the one before.
    pub(crate) fn change<T>(&mut self, change: impl FnOnce(&mut Store) -> T) -> T {
        let before = self.epoch();
        let result = self.store.change(change);
        if self.epoch() != before {
            self.in_log.clear();
        }
        result
    }

    /// Of the log, or 0.
    pub(crate) fn epoch(&self) -> u64 {
        self.store.read().fetch(KEY, self.time()).head.map_or(0, |head| head.epoch)
    }

    /// Whether nothing is on its way and everybody has read the log to its end.
    pub(crate) fn is_settled(&self) -> bool {
        self.processes.iter().all(|process| process.is_settled(self))
    }

    /// Whether the log may have gone back, and somebody who can tell has not looked yet.
    pub(crate) fn is_unnoticed(&self) -> bool {
        self.failed_over.is_some() && !self.is_settled()
    }

    /// Whether a process that has both logs up to `epoch` may have been told less than was acknowledged.
    pub(crate) fn may_miss(&self, epoch: u64) -> bool {
        self.failed_over.is_some_and(|before| epoch <= before)
    }
}

impl Process {
    pub(crate) fn new(applied: Applied, requests: u8, invalidations: u8) -> Self {
        let epoch = applied.cursor().head.epoch;
        Self {
            alive: true,
            applied,
            own_log: OwnLog::default(),
            local: None,
            request: Request::None,
            storing: Vec::new(),
            follower: Follower::Idle,
            sending: Vec::new(),
            unsent: false,
            telling: None,
            requests,
            invalidations,
            known: 0,
            epoch,
        }
    }

    pub(crate) fn has_read_the_log(&self) -> bool {
        self.applied.cursor() != Cursor::default()
    }

    /// Whether there is anything to apply.
    pub(crate) fn has_to_read(&self, world: &World) -> bool {
        let tail = world.store.read().tail(self.applied.cursor());
        !self.has_read_the_log() || tail != Tail::Records(Vec::new()) || self.applied.lost(true).is_some()
    }

    /// Whether nothing of it is on its way, and both of its logs have all that is in the log of all processes.
    pub(crate) fn is_settled(&self, world: &World) -> bool {
        let sends = self.unsent || !self.sending.is_empty() || self.telling.is_some();
        !self.alive || (!sends && self.follower == Follower::Idle && !self.has_to_read(world))
    }

    /// The version that a lookup in the local tier serves.
    pub(crate) fn served_locally(&self) -> Option<u8> {
        self.local.filter(|local| self.own_log.has_current(local.position)).map(|local| local.version)
    }

    /// What was loaded, or began to load, later stays.
    pub(crate) fn insert(&mut self, new: Local) {
        if self.local.is_none_or(|present| present.position <= new.position) {
            self.local = Some(new);
        }
    }

    pub(crate) fn holds(&self) -> impl Iterator<Item = Hold> {
        let by_request = match self.request {
            Request::Granted { hold } | Request::Loads { hold, .. } => hold,
            _ => None,
        };
        by_request.into_iter().chain(self.storing.iter().filter_map(|storing| storing.hold))
    }

    pub(crate) fn holds_mut(&mut self) -> impl Iterator<Item = &mut Hold> {
        let by_request = match &mut self.request {
            Request::Granted { hold } | Request::Loads { hold, .. } => hold.as_mut(),
            _ => None,
        };
        by_request.into_iter().chain(self.storing.iter_mut().filter_map(|storing| storing.hold.as_mut()))
    }
}

impl Hold {
    pub(crate) fn token(&self) -> Token {
        Token(self.token)
    }
}

impl Value {
    /// No two loads have the same: each process loads at most once under one stamp and version, or means the same.
    pub(crate) fn encode(&self) -> Bytes {
        let Stamp { head, request_time } = self.stamp;
        let numbers = [head.epoch, head.position, request_time.unix_millis().cast_unsigned()];
        let mut bytes = vec![self.version, self.by];
        bytes.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
        Bytes::from(bytes)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Self {
        let number = |index: usize| {
            let at = 2 + 8 * index;
            u64::from_be_bytes(bytes[at..at + 8].try_into().expect("three numbers of eight bytes"))
        };
        let head = Head { epoch: number(0), position: number(1) };
        let request_time = Timestamp::from_unix_millis(number(2).cast_signed());
        Self { version: bytes[0], by: bytes[1], stamp: Stamp { head, request_time } }
    }
}
