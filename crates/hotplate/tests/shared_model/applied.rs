//! What a process has applied of the logs, as values that a state of the model can hold.
//!
//! Neither [`Followed`] nor [`Log`] can be cloned or hashed, so a state keeps the calls that were made on them, and each
//! question is answered by the real thing, made again by the same calls. Most states have their calls in common: each
//! list of calls is kept once, with what it makes, and a state has its number.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use hotplate::key::Key;
use hotplate::log::followed::{Followed, Judgement, Missed};
use hotplate::log::{Footprint, Log, Mode, Position, Standing, Target, TargetId};
use hotplate::tier::shared::{Cursor, Head, Record, Snapshot};
use hotplate_policy::time::Timestamp;

/// The one key of the model.
pub(crate) const KEY: Key = Key::from_u128(1);

/// The one tag of its response.
const TAG: &str = "products";

/// One call of [`Followed`].
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Call {
    Intend(u64),
    Acknowledge(u64, Head),
    Apply(u64),
    Replace(Summary),
}

/// A [`Snapshot`] that can be hashed.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Summary {
    pub(crate) head: Head,
    nonce: u64,
    floor: u64,
    markers: Vec<(Option<u64>, bool, u64)>,
}

impl From<&Snapshot> for Summary {
    fn from(snapshot: &Snapshot) -> Self {
        let marker = |(target, mode, position): &(Option<TargetId>, Mode, u64)| {
            (target.map(TargetId::as_u64), *mode == Mode::Hard, *position)
        };
        Self {
            head: snapshot.cursor.head,
            nonce: snapshot.cursor.nonce,
            floor: snapshot.floor,
            markers: snapshot.markers.iter().map(marker).collect(),
        }
    }
}

impl Summary {
    fn to_snapshot(&self) -> Snapshot {
        let marker = |(target, hard, position): &(Option<u64>, bool, u64)| {
            (target.map(TargetId::from_u64), if *hard { Mode::Hard } else { Mode::Soft }, *position)
        };
        Snapshot {
            cursor: Cursor { head: self.head, nonce: self.nonce },
            floor: self.floor,
            markers: self.markers.iter().map(marker).collect(),
        }
    }
}

/// The record with this nonce: each names the one tag.
pub(crate) fn record(nonce: u64) -> Record {
    Record { nonce, mode: Mode::Hard, targets: vec![Some(RESPONSE.1)] }
}

/// The footprint of the response, and the id of its tag.
static RESPONSE: LazyLock<(Footprint, TargetId)> = LazyLock::new(|| {
    let log = Log::shared();
    let footprint = Footprint::new(&log, KEY, b"example.org", b"/products", [TAG]);
    (footprint, log.id_of(&Target::Tag(TAG)).expect("a tag is not everything"))
});

/// Lists of calls with what they make, each once: of several lists that make the same the first is kept.
struct Kept<C, T>(LazyLock<RwLock<Lists<C, T>>>);

struct Lists<C, T> {
    by_calls: HashMap<Vec<C>, usize>,
    by_words: HashMap<String, usize>,
    by_number: Vec<Arc<(Vec<C>, T)>>,
}

impl<C: Clone + Eq + Hash, T> Kept<C, T> {
    const fn new() -> Self {
        Self(LazyLock::new(|| {
            let (by_calls, by_words) = (HashMap::new(), HashMap::new());
            RwLock::new(Lists { by_calls, by_words, by_number: Vec::new() })
        }))
    }

    /// # Arguments
    ///
    /// `make`: what the calls make, and all that can be said of it: what is told by the same words is the same.
    fn number(&self, calls: &[C], make: impl FnOnce(&[C]) -> (T, String)) -> usize {
        let known = |lists: &Lists<C, T>| lists.by_calls.get(calls).copied();
        if let Some(number) = known(&self.0.read().unwrap_or_else(PoisonError::into_inner)) {
            return number;
        }
        let mut lists = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known(&lists).unwrap_or_else(|| {
            let (made, words) = make(calls);
            let next = lists.by_number.len();
            let number = *lists.by_words.entry(words).or_insert(next);
            if number == next {
                lists.by_number.push(Arc::new((calls.to_vec(), made)));
            }
            lists.by_calls.insert(calls.to_vec(), number);
            number
        })
    }

    fn of(&self, number: usize) -> Arc<(Vec<C>, T)> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).by_number[number])
    }
}

static FOLLOWED: Kept<Call, Followed> = Kept::new();
static LOGS: Kept<Option<u64>, Log> = Kept::new();

/// The shared log as a process has applied it.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub(crate) struct Applied(usize);

impl Default for Applied {
    fn default() -> Self {
        Self::by(&[])
    }
}

impl fmt::Debug for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kept().0.fmt(f)
    }
}

impl Applied {
    fn by(calls: &[Call]) -> Self {
        Self(FOLLOWED.number(calls, |calls| {
            let followed = replayed(calls);
            let words = in_order(&format!("{followed:?}"));
            (followed, words)
        }))
    }

    /// The calls, and what they make: to be asked, not told.
    fn kept(self) -> Arc<(Vec<Call>, Followed)> {
        FOLLOWED.of(self.0)
    }

    fn and(self, call: Call) -> Self {
        let mut calls = self.kept().0.clone();
        calls.push(call);
        Self::by(&calls)
    }

    pub(crate) fn cursor(self) -> Cursor {
        self.kept().1.cursor()
    }

    /// The nonces of its own records that were not acknowledged.
    pub(crate) fn pending(self) -> Vec<u64> {
        self.kept().1.pending().iter().map(|record| record.nonce).collect()
    }

    /// Judges the response, whose load was stamped with `began`.
    pub(crate) fn judge(self, began: Head, head: Head) -> Judgement {
        self.kept().1.judge(&RESPONSE.0, began, head)
    }

    /// As it would be without what it knows of its own records that were not acknowledged.
    pub(crate) fn without_pending(self) -> Self {
        let pending = self.pending();
        let said = |call: &&Call| !matches!(call, Call::Intend(nonce) if pending.contains(nonce));
        Self::by(&self.kept().0.iter().filter(said).cloned().collect::<Vec<_>>())
    }

    pub(crate) fn intend(&mut self, nonce: u64) {
        *self = self.and(Call::Intend(nonce));
    }

    /// Whether it does not have to be sent once more.
    pub(crate) fn acknowledge(&mut self, nonce: u64, head: Head) -> bool {
        let is_known = replayed(&self.kept().0).acknowledge(nonce, head);
        *self = self.and(Call::Acknowledge(nonce, head));
        is_known
    }

    /// A record of its own that was acknowledged and is not in the log as it was applied; `at_its_end`: nor follows.
    pub(crate) fn lost(self, at_its_end: bool) -> Option<Cursor> {
        let kept = self.kept();
        kept.1.lost().or_else(|| kept.1.told_beyond().filter(|_| at_its_end))
    }

    /// Whether the own log has to hear of it.
    pub(crate) fn apply(&mut self, nonce: u64) -> bool {
        let foreign = replayed(&self.kept().0).apply(&record(nonce));
        *self = self.and(Call::Apply(nonce));
        foreign
    }

    /// What the own log has to hear of; `None` is everything.
    pub(crate) fn replace(&mut self, summary: &Summary) -> Vec<Option<u64>> {
        let missed = replayed(&self.kept().0).replace(&summary.to_snapshot());
        *self = self.and(Call::Replace(summary.clone()));
        match missed {
            Missed::Everything => vec![None],
            Missed::Targets(targets) => {
                targets.iter().map(|(target, _)| target.map(TargetId::as_u64)).collect()
            }
        }
    }
}

fn replayed(calls: &[Call]) -> Followed {
    let followed = Followed::default();
    for call in calls {
        match call {
            Call::Intend(nonce) => {
                followed.intend(record(*nonce));
            }
            Call::Acknowledge(nonce, head) => {
                followed.acknowledge(*nonce, *head);
            }
            Call::Apply(nonce) => {
                followed.apply(&record(*nonce));
            }
            Call::Replace(summary) => {
                followed.replace(&summary.to_snapshot());
            }
        }
    }
    followed
}

/// The words with the numbers of each set in order.
fn in_order(words: &str) -> String {
    let mut ordered = String::new();
    for (index, part) in words.split('{').enumerate() {
        let (inside, after) = part.split_once('}').unwrap_or((part, ""));
        let numbers: Result<BTreeSet<u64>, _> = inside.split(", ").map(str::parse).collect();
        ordered.push_str(if index == 0 { "" } else { "{" });
        match numbers {
            Ok(numbers) => ordered.push_str(&format!("{numbers:?}{after}")),
            Err(_) => ordered.push_str(part),
        }
    }
    ordered
}

/// The own log of a process: what it was told to append.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub(crate) struct OwnLog(usize);

impl Default for OwnLog {
    fn default() -> Self {
        Self::by(&[])
    }
}

impl fmt::Debug for OwnLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        LOGS.of(self.0).0.fmt(f)
    }
}

impl OwnLog {
    fn by(targets: &[Option<u64>]) -> Self {
        Self(LOGS.number(targets, |targets| {
            let log = Log::shared();
            for target in targets {
                let target = target.map(TargetId::from_u64);
                log.append_id(target, String::new(), Mode::Hard, Timestamp::default());
            }
            let words = format!("{targets:?}");
            (log, words)
        }))
    }

    pub(crate) fn append(&mut self, target: Option<u64>) {
        let mut targets = LOGS.of(self.0).0.to_vec();
        targets.push(target);
        *self = Self::by(&targets);
    }

    /// Appends what an invalidation of this process names.
    pub(crate) fn append_tag(&mut self) {
        self.append(Some(RESPONSE.1.as_u64()));
    }

    pub(crate) fn position(self) -> u64 {
        LOGS.of(self.0).1.position().as_u64()
    }

    /// Whether the response is usable if its load began at `position`.
    pub(crate) fn has_current(self, position: u64) -> bool {
        LOGS.of(self.0).1.standing(&RESPONSE.0, Position::from_u64(position)) == Standing::Current
    }
}
