//! Processes over one shared tier, their clients, and one clock for all.
//!
//! ```text
//! client ──► lookup ──► Serve / ServeAndRefresh / Raised        the client has its end
//!                  ──► Seek(job)    ──► a task; with what it found, resume
//!                  ──► Wait(ticket) ──► a task; with how the load ended, lookup again
//!                  ──► Forward / Load ──► an open run of the application (`runs`)
//! ServeAndRefresh ──► refresh job   ──► a task; with what it found, a run or none
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use hotplate::cache::Cache;
use hotplate::clock::{Clock, ManualClock};
use hotplate::config::SettingsOptions;
use hotplate::exchange::{HttpCache, Round, Seek};
use hotplate::key::Key;
use hotplate::share::{Share, ShareOptions, ShareStats};
use hotplate::tier::memory::{Condition, MemoryTier};
use hotplate::tier::sealed::SealerOptions;
use hotplate::tier::shared::Head;
use hotplate_policy::time::Timestamp;

use crate::answer::Answer;
use crate::ask::Ask;
use crate::distant::Distant;
use crate::runs::Load;
use crate::tasks::{Dice, Done, Queue, Task, Work};

/// The bound of the local tier of each process.
const MAX_BYTES: u64 = 64 << 10;

/// When every world begins.
pub const START: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ClientId(pub usize);

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct LoadId(pub usize);

/// An invalidation.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ChangeId(pub usize);

/// A value that is set or deleted.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct OpId(pub usize);

/// A value that is read.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ReadId(pub usize);

/// Where a client stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// It looks in the shared tier.
    Seeking,
    /// It waits for the load, or the lookup, of another one in its process.
    Waiting,
    /// The application runs for it.
    Loading,
    Answered,
    Raised,
    /// The application stopped before the answer was complete.
    Cut,
    Gone,
}

/// How a world is made.
pub struct Making {
    /// For each process whether it keeps responses in its local tier.
    pub keeps: Vec<bool>,
    pub share: ShareOptions,
    pub settings: fn(&mut SettingsOptions),
    pub seed: u64,
    /// Whether answers of the shared tier take a turn more after what was asked has happened.
    pub delays: bool,
}

impl Default for Making {
    fn default() -> Self {
        Self { keeps: vec![true; 2], share: ShareOptions::default(), settings: |_| {}, seed: 1, delays: true }
    }
}

/// A cache of its own, with the HTTP side and what runs for it.
pub struct Process {
    pub cache: Arc<Cache<Bytes>>,
    pub http: Arc<HttpCache<Bytes>>,
    pub share: Arc<Share>,
    pub keeps: bool,
    pub alive: bool,
    queue: Arc<Queue>,
}

pub struct Client {
    pub process: usize,
    pub ask: Ask,
    pub standing: Standing,
    pub answer: Answer,
    pub raised: Option<String>,
    pub waits: u8,
    pub since: Timestamp,
    pub seek: Option<Seek<Bytes>>,
}

/// An invalidation, and whether the shared tier has it: `None` while nothing is known.
pub struct Change {
    pub process: usize,
    pub acknowledged: Option<Option<Head>>,
}

/// A value set or deleted, and whether the shared tier has it.
pub struct Op {
    pub process: usize,
    pub returned: Option<bool>,
}

/// A value read: what was found, once it is known.
pub struct Read {
    pub process: usize,
    pub key: Key,
    pub found: Option<Option<String>>,
}

pub struct World {
    pub clock: Arc<ManualClock>,
    pub tier: MemoryTier,
    pub distant: Distant,
    pub processes: Vec<Process>,
    pub clients: Vec<Client>,
    pub loads: Vec<Load>,
    pub changes: Vec<Change>,
    pub ops: Vec<Op>,
    pub reads: Vec<Read>,
    pub tasks: Vec<Task>,
    /// What is true of each path; a run reads it when it begins.
    pub data: BTreeMap<String, u64>,
    pub condition: Condition,
    /// What happened, for whoever looks into one schedule; kept if `SHARED_WORLD_SEED` is set.
    story: Option<Vec<String>>,
    share: ShareOptions,
    settings: fn(&mut SettingsOptions),
}

impl World {
    /// Two processes that keep responses in their local tiers.
    pub fn new() -> Self {
        Self::with(Making::default())
    }

    /// So many processes, none of which keeps responses in its local tier.
    pub fn without_local(processes: usize) -> Self {
        Self::with(Making { keeps: vec![false; processes], ..Making::default() })
    }

    /// So many processes that keep responses in their local tiers.
    pub fn of(processes: usize) -> Self {
        Self::with(Making { keeps: vec![true; processes], ..Making::default() })
    }

    /// The log is not read yet: nothing has run.
    pub fn with(making: Making) -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let tier = MemoryTier::new();
        let distant = Distant::new(tier.clone(), Arc::clone(&clock), making.seed, making.delays);
        let mut world = Self {
            clock,
            tier,
            distant,
            processes: Vec::new(),
            clients: Vec::new(),
            loads: Vec::new(),
            changes: Vec::new(),
            ops: Vec::new(),
            reads: Vec::new(),
            tasks: Vec::new(),
            data: BTreeMap::new(),
            condition: Condition::Up,
            story: std::env::var_os("SHARED_WORLD_SEED").map(|_| Vec::new()),
            share: making.share,
            settings: making.settings,
        };
        for keeps in making.keeps {
            world.start(keeps);
        }
        world
    }

    /// One thing that happened.
    pub fn tell(&mut self, what: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            let what = what();
            if std::env::var_os("SHARED_WORLD_ALOUD").is_some() {
                eprintln!("{what}");
            }
            story.push(what);
        }
    }

    pub fn story(&self) -> String {
        self.story.as_ref().map(|story| story.join("\n")).unwrap_or_default()
    }

    // Processes, the clock and the tier.

    /// One more process; its number.
    pub fn start(&mut self, keeps: bool) -> usize {
        let number = self.processes.len();
        let queue = Arc::new(Queue::default());
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let sealer = SealerOptions::default().compile().expect("the default");
        let tier = Arc::new(self.distant.clone());
        let share = Share::new(tier, sealer, Arc::clone(&queue) as _, Arc::clone(&clock), self.share);
        let cache = Arc::new(Cache::shared(MAX_BYTES, clock, Arc::clone(&share), keeps));
        let mut settings =
            SettingsOptions { ttl: Some(Duration::from_secs(30)), ..SettingsOptions::default() };
        (self.settings)(&mut settings);
        let settings = settings.compile().expect("settings of a test");
        let http = Arc::new(HttpCache::new(Arc::clone(&cache), settings));
        self.tasks.push(Task::new(number, Work::Follow(Box::pin(Arc::clone(&share).follow()))));
        self.tasks.push(Task::new(number, Work::KeepLeases(Box::pin(Arc::clone(&share).keep_leases()))));
        self.processes.push(Process { cache, http, share, keeps, alive: true, queue });
        number
    }

    /// A process ends from one moment to the next: nothing of it runs any more.
    pub fn die(&mut self, process: usize) {
        self.tell(|| format!("process {process} dies"));
        self.processes[process].alive = false;
        self.processes[process].queue.die();
        self.tasks.retain(|task| task.process != process);
        for client in self.clients.iter_mut().filter(|client| client.process == process) {
            client.seek = None;
            if !matches!(client.standing, Standing::Answered | Standing::Raised | Standing::Cut) {
                client.standing = Standing::Gone;
            }
        }
        for load in self.loads.iter_mut().filter(|load| load.process == process) {
            load.exchange = None;
        }
    }

    pub fn alive(&self) -> Vec<usize> {
        (0..self.processes.len()).filter(|process| self.processes[*process].alive).collect()
    }

    /// Stops reading the log in one process.
    pub fn stop_following(&mut self, process: usize) {
        self.tasks.retain(|task| task.process != process || !matches!(task.work, Work::Follow(_)));
    }

    /// Starts to read the log anew in one process.
    pub fn follow(&mut self, process: usize) {
        let share = Arc::clone(&self.processes[process].share);
        self.tasks.push(Task::new(process, Work::Follow(Box::pin(share.follow()))));
    }

    /// Turns the clock of everybody; nothing runs.
    pub fn turn_clock(&mut self, by: Duration) {
        self.tell(|| format!("{by:?} pass"));
        self.clock.advance(by);
        self.tier.advance(by);
    }

    /// Lets time pass in steps that no lease and no wait is shorter than, and everything run in between.
    pub fn advance(&mut self, by: Duration) {
        let mut left = by;
        while !left.is_zero() {
            let step = left.min(Duration::from_millis(50));
            left -= step;
            self.turn_clock(step);
            self.settle();
        }
    }

    pub fn set(&mut self, condition: Condition) {
        self.tell(|| format!("the tier is {condition:?}"));
        self.condition = condition;
        self.tier.set(condition);
    }

    pub fn flush(&mut self) {
        self.tell(|| "flush".into());
        self.distant.forget_stamps();
        self.tier.tamper(|store| store.flush());
    }

    /// How many places of its local tier a process has filled.
    pub fn entries(&self, process: usize) -> u64 {
        self.processes[process].http.cache().stats().entries
    }

    pub fn stats(&self, process: usize) -> ShareStats {
        self.processes[process].share.stats()
    }

    // Tasks.

    /// Takes what the caches have given to their executors.
    pub fn gather(&mut self) {
        for (number, process) in self.processes.iter().enumerate() {
            let spawned = process.queue.take().into_iter();
            self.tasks.extend(spawned.map(|job| Task::new(number, Work::Spawned(job))));
        }
    }

    /// The tasks that have been woken.
    pub fn ready(&self) -> Vec<usize> {
        (0..self.tasks.len()).filter(|task| self.tasks[*task].is_ready()).collect()
    }

    /// Polls one task.
    pub fn poll(&mut self, task: usize) {
        let mut task = self.tasks.remove(task);
        let polled = task.poll();
        if self.story.is_some() {
            let head = |process: &Process| process.share.stats().head;
            let heads = self.processes.iter().map(|process| (head(process).epoch, head(process).position));
            let heads: Vec<_> = heads.collect();
            let ended = if polled.is_ready() { " ends" } else { "" };
            self.tell(|| format!("  {} {}{ended} {heads:?}", task.process, task.name()));
        }
        match polled {
            Poll::Pending => self.tasks.push(task),
            Poll::Ready(done) => self.done(done),
        }
        self.gather();
        self.check();
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Nothing => {}
            Done::Seek(client, sought) => {
                let known = &mut self.clients[client.0];
                let seek = known.seek.take().expect("a client that seeks");
                let round =
                    Round { waits: known.waits, since: Some(known.since), ..Round::<Bytes>::default() };
                self.look_up(client, round, Some((seek, sought)));
            }
            Done::Refresh(load, sought) => self.refreshed(load, sought),
            Done::Wait(client, end) => {
                let known = &mut self.clients[client.0];
                known.waits += 1;
                let round = Round {
                    end: Some(end),
                    waits: known.waits,
                    since: Some(known.since),
                    ..Round::default()
                };
                self.look_up(client, round, None);
            }
            Done::Append(change, head) => {
                self.tell(|| format!("{change:?} acknowledged {head:?}"));
                self.changes[change.0].acknowledged = Some(head);
            }
            Done::Set(op, stored) => {
                self.tell(|| format!("{op:?} returned {stored}"));
                self.ops[op.0].returned = Some(stored);
            }
            Done::Get(read, sought) => self.land(read, sought),
        }
    }

    /// Polls one after the other until nobody is ready. No time passes.
    pub fn settle(&mut self) {
        self.gather();
        for _ in 0..20_000 {
            let Some(first) = (0..self.tasks.len()).find(|task| self.tasks[*task].is_ready()) else { return };
            self.poll(first);
        }
        panic!("the world does not come to rest");
    }

    /// As [`World::settle`], in an order that `dice` draw.
    pub fn settle_by(&mut self, dice: &mut Dice) {
        self.gather();
        for _ in 0..20_000 {
            let ready = self.ready();
            if ready.is_empty() {
                return;
            }
            self.poll(ready[dice.below(ready.len())]);
        }
        panic!("the world does not come to rest");
    }

    /// Polls only the tasks that `wanted` names, until none of them is ready.
    pub fn settle_only(&mut self, wanted: impl Fn(&Task) -> bool) {
        self.gather();
        for _ in 0..20_000 {
            let next =
                (0..self.tasks.len()).find(|task| self.tasks[*task].is_ready() && wanted(&self.tasks[*task]));
            let Some(next) = next else { return };
            self.poll(next);
        }
        panic!("the world does not come to rest");
    }

    /// What holds at any time.
    pub fn check(&self) {
        let slept = self.tasks.iter().any(Task::sleeps_through_an_end);
        assert!(!slept, "a client sleeps although the load it waits for has ended");
        let wrong = self.distant.wrong();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}
