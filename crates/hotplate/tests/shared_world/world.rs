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
use hotplate::cache::{Cache, Outcome};
use hotplate::clock::{Clock, ManualClock};
use hotplate::config::{RuleId, SettingsOptions};
use hotplate::exchange::{HttpCache, Lookup, Partition, Round, Seek};
use hotplate::fill::End;
use hotplate::key::Key;
use hotplate::log::{Mode, Target};
use hotplate::share::{Share, ShareOptions, ShareStats, Sought};
use hotplate::tier::memory::{Condition, MemoryTier};
use hotplate::tier::sealed::SealerOptions;
use hotplate::tier::shared::Head;
use hotplate::values::{Content, Form, Terms, Value};
use hotplate_policy::time::Timestamp;

use crate::answer::Answer;
use crate::ask::{Ask, get};
use crate::distant::Distant;
use crate::reply::Reply;
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
    waits: u8,
    since: Timestamp,
    seek: Option<Seek<Bytes>>,
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

    // Clients.

    /// One request, up to where something has to be polled or the application has to answer.
    pub fn begin(&mut self, process: usize, ask: Ask) -> ClientId {
        let client = ClientId(self.clients.len());
        self.clients.push(Client {
            process,
            ask,
            standing: Standing::Waiting,
            answer: Answer::default(),
            raised: None,
            waits: 0,
            since: self.clock.now(),
            seek: None,
        });
        self.look_up(client, Round::default(), None);
        self.gather();
        client
    }

    /// As [`World::begin`], and then everything that can run without the application.
    pub fn ask(&mut self, process: usize, ask: Ask) -> ClientId {
        let client = self.begin(process, ask);
        self.settle();
        client
    }

    /// One request, played to its end; the application answers `reply` where it is asked.
    pub fn send(&mut self, process: usize, ask: Ask, reply: &Reply) -> Answer {
        let client = self.ask(process, ask);
        while let Some(load) = self.load_of(client) {
            self.finish_with(load, reply);
            self.settle();
        }
        assert_eq!(self.standing(client), Standing::Answered, "the client got no whole answer");
        self.answer(client).clone()
    }

    /// One request that must be answered without the application.
    pub fn found(&mut self, process: usize, path: &str) -> Answer {
        let runs = self.runs();
        let client = self.ask(process, get(path));
        assert_eq!(self.standing(client), Standing::Answered, "nothing usable was found");
        assert_eq!(self.runs(), runs + self.refreshes_run_since(runs), "the application ran");
        self.answer(client).clone()
    }

    pub fn standing(&self, client: ClientId) -> Standing {
        self.clients[client.0].standing
    }

    pub fn answer(&self, client: ClientId) -> &Answer {
        &self.clients[client.0].answer
    }

    /// The clients that seek or wait.
    pub fn patient(&self) -> Vec<ClientId> {
        (0..self.clients.len())
            .filter(|client| matches!(self.clients[*client].standing, Standing::Waiting | Standing::Seeking))
            .map(ClientId)
            .collect()
    }

    /// The deadline of a client that seeks or waits passes.
    pub fn time_out(&mut self, client: ClientId) {
        self.tell(|| format!("{client:?} times out"));
        self.forsake(client, false);
        let known = &mut self.clients[client.0];
        known.waits += 1;
        let seek = known.seek.take();
        let round = Round {
            timed_out: true,
            waits: known.waits,
            since: Some(known.since),
            ..Round::<Bytes>::default()
        };
        self.look_up(client, round, None);
        drop(seek);
        self.gather();
    }

    /// A client that seeks or waits goes away. `goes_on`: what it looked for is found all the same, by nobody.
    pub fn leave(&mut self, client: ClientId, goes_on: bool) {
        self.tell(|| format!("{client:?} leaves"));
        self.clients[client.0].standing = Standing::Gone;
        self.clients[client.0].seek = None;
        self.forsake(client, goes_on);
        self.gather();
    }

    fn forsake(&mut self, client: ClientId, goes_on: bool) {
        let its = self
            .tasks
            .iter()
            .position(|task| matches!(&task.work, Work::Seek(own, _) | Work::Wait(own, _) if *own == client));
        let task = self.tasks.remove(its.expect("a client that seeks or waits"));
        if let (Work::Seek(_, job), true) = (task.work, goes_on) {
            self.tasks.push(Task::new(task.process, Work::Forsaken(job)));
        }
    }

    pub fn look_up(
        &mut self,
        client: ClientId,
        mut round: Round<Bytes>,
        mut sought: Option<(Seek<Bytes>, Sought)>,
    ) {
        loop {
            let ask = self.clients[client.0].ask.clone();
            let process = self.clients[client.0].process;
            let http = Arc::clone(&self.processes[process].http);
            let lines: Vec<(&[u8], &[u8])> =
                ask.fields.iter().map(|(name, value)| (name.as_bytes(), value.as_slice())).collect();
            let request = ask.request(&lines, round.body_refused);
            let mut partition = |_: RuleId| ask.partition.clone().unwrap_or(Partition::Refused);
            let now = self.clock.now();
            let lease = matches!(&sought, Some((_, Sought::Lease(_))));
            let words = sought.as_ref().map_or_else(
                || round.end.as_ref().map_or("asks", |end| end_word(end)),
                |(_, sought)| word(sought),
            );
            let found = match sought.take() {
                Some((seek, sought)) => http.resume(&request, &round, now, &mut partition, seek, sought),
                None => http.lookup(&request, &round, now, &mut partition),
            };
            self.tell(|| {
                format!("{client:?} of {process}, {} : {words} => {}", ask.path, lookup_word(&found))
            });
            match found {
                Lookup::NeedBody { limit } => {
                    let body = ask.body.clone().unwrap_or_default();
                    round.body_refused = body.len() > limit;
                    self.clients[client.0].ask.reads_body = true;
                    continue;
                }
                Lookup::Serve(response) => self.answer_whole(client, &response),
                Lookup::ServeAndRefresh(response, exchange) => {
                    self.answer_whole(client, &response);
                    let load = self.open(process, exchange, None, ask, true);
                    let job = self.loads[load.0].exchange.as_ref().and_then(|run| run.refresh_job());
                    match job {
                        Some(job) => {
                            let job = Box::pin(job.run());
                            self.tasks.push(Task::new(process, Work::Refresh(load, job)));
                        }
                        None => self.application_is_asked(load),
                    }
                }
                Lookup::Forward(exchange) => {
                    let load = self.open(process, exchange, Some(client), ask, false);
                    self.application_is_asked(load);
                }
                Lookup::Load(exchange) => {
                    let load = self.open(process, exchange, Some(client), ask, true);
                    self.loads[load.0].leased = lease;
                    self.application_is_asked(load);
                }
                Lookup::Seek(mut seek) => {
                    let job = seek.job().expect("it is there once");
                    let known = &mut self.clients[client.0];
                    known.standing = Standing::Seeking;
                    known.waits = round.waits;
                    known.seek = Some(seek);
                    self.tasks.push(Task::new(process, Work::Seek(client, Box::pin(job.run()))));
                }
                Lookup::Wait(ticket) => {
                    let known = &mut self.clients[client.0];
                    known.standing = Standing::Waiting;
                    known.waits = round.waits;
                    self.tasks.push(Task::new(process, Work::Wait(client, ticket)));
                }
                Lookup::Raised(error) => {
                    let text = error.downcast_ref::<String>().expect("exceptions are texts here").clone();
                    let known = &mut self.clients[client.0];
                    known.standing = Standing::Raised;
                    known.raised = Some(text);
                }
            }
            return;
        }
    }

    // Invalidations and values.

    /// Invalidates by one process; the future is awaited on a task of its own.
    pub fn invalidate(&mut self, process: usize, target: &Target<'_>, mode: Mode) -> ChangeId {
        let change = ChangeId(self.changes.len());
        self.tell(|| format!("{change:?}: {process} invalidates {target} {mode:?}"));
        let cache = Arc::clone(&self.processes[process].cache);
        let (_, appending) = cache.invalidate_all(std::slice::from_ref(target), mode, self.clock.now());
        self.changes.push(Change { process, acknowledged: None });
        let job = appending.expect("there is a shared tier");
        self.tasks.push(Task::new(process, Work::Append(change, job)));
        self.gather();
        change
    }

    /// Where the record of an invalidation stands in the log of all, as far as its process knows.
    pub fn head_of(&self, change: ChangeId) -> Option<Head> {
        self.changes[change.0].acknowledged.flatten()
    }

    pub fn set_value(&mut self, process: usize, key: Key, text: &str, tags: &[&str]) -> OpId {
        self.tell(|| format!("{process} sets {key} to {text}"));
        let cache = Arc::clone(&self.processes[process].cache);
        let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        let body = Bytes::copy_from_slice(text.as_bytes());
        let terms = Terms {
            ttl: Duration::from_secs(60),
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            tags: &tags,
            form: Form::Plain,
        };
        let setting = cache.set_value(key, Content { own: body, shared: None }, &terms, self.clock.now());
        self.op(process, setting)
    }

    pub fn delete_value(&mut self, process: usize, key: Key) -> OpId {
        self.tell(|| format!("{process} deletes {key}"));
        let cache = Arc::clone(&self.processes[process].cache);
        let deleting = cache.delete_value(key, self.clock.now());
        self.op(process, deleting)
    }

    fn op(&mut self, process: usize, changing: Option<hotplate::values::Changing>) -> OpId {
        let op = OpId(self.ops.len());
        self.ops.push(Op { process, returned: None });
        let job = changing.expect("there is a shared tier");
        self.tasks.push(Task::new(process, Work::Set(op, job)));
        self.gather();
        op
    }

    pub fn get_value(&mut self, process: usize, key: Key) -> ReadId {
        let read = ReadId(self.reads.len());
        self.reads.push(Read { process, key, found: None });
        match self.processes[process].cache.value(key, self.clock.now()) {
            Value::Found(entry) => self.reads[read.0].found = Some(Some(text_of(entry.body()))),
            Value::Absent => self.reads[read.0].found = Some(None),
            Value::Seek(job) => {
                self.tasks.push(Task::new(process, Work::Get(read, Box::pin(job.run()))));
            }
        }
        read
    }

    /// A value, read to the end of it.
    pub fn value(&mut self, process: usize, key: Key) -> Option<String> {
        let read = self.get_value(process, key);
        self.settle();
        self.reads[read.0].found.clone().expect("the value was looked up")
    }

    fn land(&mut self, read: ReadId, sought: Sought) {
        let Read { process, key, .. } = self.reads[read.0];
        self.tell(|| format!("{read:?} in {process}: {}", word(&sought)));
        let found = self.processes[process].cache.landed_value(key, sought, self.clock.now());
        let found = found.map(|entry| text_of(entry.body()));
        self.tell(|| format!("{read:?} in {process} found {found:?}"));
        self.reads[read.0].found = Some(found);
    }
}

/// In a word.
pub fn word(sought: &Sought) -> &'static str {
    match sought {
        Sought::Found(_) => "found",
        Sought::Search(_) => "found search",
        Sought::Vary(_) => "found vary",
        Sought::NotStorable => "found not storable",
        Sought::Lease(_) => "has the lease",
        Sought::Nothing => "found nothing",
        Sought::Busy => "found somebody busy",
    }
}

fn end_word(end: &End<Outcome<Bytes>>) -> &'static str {
    match end {
        End::Stored => "waited: stored",
        End::Given(_) => "waited: given",
        End::NotStorable => "waited: not storable",
        End::Failed(_) => "waited: failed",
        End::Abandoned => "waited: abandoned",
    }
}

fn lookup_word(found: &Lookup<Bytes>) -> &'static str {
    match found {
        Lookup::Serve(_) => "serve",
        Lookup::ServeAndRefresh(..) => "serve and refresh",
        Lookup::NeedBody { .. } => "need body",
        Lookup::Forward(_) => "forward",
        Lookup::Load(_) => "load",
        Lookup::Seek(_) => "seek",
        Lookup::Wait(_) => "wait",
        Lookup::Raised(_) => "raised",
    }
}

fn text_of(body: &Bytes) -> String {
    String::from_utf8(body.to_vec()).expect("text")
}
