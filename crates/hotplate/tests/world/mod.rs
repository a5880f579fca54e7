//! A simulated world around the engine: a clock that is turned by hand, an application whose every move is scripted,
//! and as many clients as a test wants, all on one thread.
//!
//! ```text
//! client ──► lookup ──► Serve / ServeAndRefresh / Raised        the client has its end
//!                  ──► Forward / Load ──► an open run of the application: head, chunk, end, raise, abandon
//!                  ──► Wait(ticket)   ──► polled whenever its waker was woken, then looked up again
//! ```
//!
//! `moves` holds what the picture shows. [`World::send`] plays one request to its end with what the script says next. [`World::begin`] stops where the
//! application would have to answer: the run stays open (the origin stalls) until the test moves it on.
//!
//! After every step [`World::check`] verifies what must hold at any time: nobody sleeps through the end of a load, the
//! counters add up, an answer is as long as it says, and memory stays within its bound.

#![allow(dead_code, unreachable_pub, reason = "each test target uses its part of the world")]

mod answer;
mod ask;
mod moves;
mod reply;
mod targets;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;
use std::time::Duration;

use bytes::Bytes;
use hotplate::cache::{Cache, Outcome};
use hotplate::clock::{Clock, ManualClock};
use hotplate::config::SettingsOptions;
use hotplate::event::Stats;
use hotplate::exchange::{ChunkStep, Exchange, HeadStep, HttpCache, Round};
use hotplate::fill::Ticket;
use hotplate::log::{Mode, Position, Target};
use hotplate::rules::RuleOptions;
use hotplate_policy::fields::Fields;
use hotplate_policy::reason::Reason;
use hotplate_policy::time::Timestamp;

pub use answer::Answer;
#[allow(unused_imports, reason = "as above")]
pub use ask::{Ask, get, head, post, request};
#[allow(unused_imports, reason = "as above")]
pub use reply::{Reply, ok, status};
#[allow(unused_imports, reason = "as above")]
pub use targets::{PATHS, TARGETS, primary_key, target};

/// The bound of the cache of every world, unless it says otherwise.
const MAX_BYTES: u64 = 4 << 20;

/// When every world begins: long enough ago for nobody to mistake it for today.
pub const START: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

/// A client, by its place in the order of beginning.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ClientId(usize);

/// A run of the application, by its place in the order of beginning.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct LoadId(usize);

/// Where a client stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// The application runs for it.
    Loading,
    /// It waits for another one's load.
    Waiting,
    /// It has its answer.
    Answered,
    /// It got an exception, its own or a shared one.
    Raised,
    /// Its connection was cut: the application stopped before the answer was complete.
    Cut,
    /// It went away.
    Gone,
}

/// What the application is asked in one run.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub fields: Vec<(String, String)>,
}

impl Seen {
    /// The value of a field the application sees.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

struct Client {
    ask: Ask,
    standing: Standing,
    waits: u8,
    waiting: Option<(Ticket<Outcome<Bytes>>, Arc<Woken>)>,
    answer: Answer,
    raised: Option<String>,
}

struct Load {
    exchange: Exchange<Bytes>,
    client: Option<ClientId>,
    ask: Ask,
    /// The permit is the cache's: the request is made with the load's own conditions.
    owned_by_cache: bool,
    /// The client asked for the head alone.
    head_only: bool,
    open: bool,
    /// Its last run, by its place among all.
    run: usize,
    held: Option<(u16, Lines)>,
}

type Lines = Vec<(String, Vec<u8>)>;

/// A waker that remembers that it was woken.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// The world.
pub struct World {
    pub clock: Arc<ManualClock>,
    pub cache: Arc<Cache<Bytes>>,
    pub http: Arc<HttpCache<Bytes>>,
    script: VecDeque<Reply>,
    clients: Vec<Client>,
    loads: Vec<Load>,
    seen: Vec<Seen>,
    /// Lookups that ended in an answer or a run of the application.
    decided: u64,
    /// Lookups that ended in another one's exception.
    shared_exceptions: u64,
}

impl World {
    /// A world in which responses that say nothing are fresh for 30 seconds.
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// A world with a rule for every path, and the settings' 30 seconds.
    pub fn with_rule(edit: impl FnOnce(&mut RuleOptions)) -> Self {
        let mut rule = RuleOptions { pattern: "*".into(), cache: true, ..RuleOptions::default() };
        edit(&mut rule);
        Self::with(|settings| settings.rules = vec![rule])
    }

    /// A world with these settings; they begin with a `ttl` of 30 seconds.
    pub fn with(edit: impl FnOnce(&mut SettingsOptions)) -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let cache = Arc::new(Cache::new(MAX_BYTES, Arc::clone(&clock) as Arc<dyn Clock>));
        let mut settings = SettingsOptions { ttl: Some(seconds(30)), ..SettingsOptions::default() };
        edit(&mut settings);
        let http =
            Arc::new(HttpCache::new(Arc::clone(&cache), settings.compile().expect("settings of a test")));
        Self {
            clock,
            cache,
            http,
            script: VecDeque::new(),
            clients: Vec::new(),
            loads: Vec::new(),
            seen: Vec::new(),
            decided: 0,
            shared_exceptions: 0,
        }
    }

    // The clock and the cache.

    /// Turns the clock.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Turns the clock by whole seconds.
    pub fn advance_seconds(&self, by: u64) {
        self.advance(seconds(by));
    }

    /// Invalidates.
    pub fn invalidate(&mut self, target: &Target<'_>, mode: Mode) -> Position {
        let position = self.cache.invalidate(target, mode, self.clock.now());
        self.check();
        position
    }

    pub fn stats(&self) -> Stats {
        self.cache.stats()
    }

    /// How many requests were forwarded without looking for a stored response, for this reason.
    pub fn forwarded(&self, reason: Reason) -> u64 {
        self.stats().forwarded[reason.index()]
    }

    /// How many responses could not be stored, for this reason.
    pub fn not_stored(&self, reason: Reason) -> u64 {
        self.stats().not_stored[reason.index()]
    }

    // The application.

    /// What the application answers next, after what was said before.
    pub fn script(&mut self, reply: Reply) -> &mut Self {
        self.script.push_back(reply);
        self
    }

    /// Takes back what the application was to answer and has not.
    pub fn unscript(&mut self) {
        self.script.clear();
    }

    /// How often the application ran.
    pub fn runs(&self) -> usize {
        self.seen.len()
    }

    /// What the application saw in its last run.
    pub fn last_seen(&self) -> &Seen {
        self.seen.last().expect("the application ran")
    }

    /// What the application saw in this run.
    pub fn seen_by(&self, load: LoadId) -> &Seen {
        &self.seen[self.loads[load.0].run]
    }

    /// The runs that have not ended.
    pub fn open_loads(&self) -> Vec<LoadId> {
        (0..self.loads.len()).filter(|index| self.loads[*index].open).map(LoadId).collect()
    }

    /// The runs nobody waits for that have not ended.
    pub fn refreshes(&self) -> Vec<LoadId> {
        self.open_loads().into_iter().filter(|load| self.loads[load.0].client.is_none()).collect()
    }

    /// Plays every refresh to its end with what the script says next.
    pub fn finish_refreshes(&mut self) {
        for load in self.refreshes() {
            self.finish(load);
        }
    }

    /// Plays one run to its end with what the script says next; without a script the body counts the runs.
    pub fn finish(&mut self, load: LoadId) {
        while self.loads[load.0].open {
            let reply = self.next_reply();
            self.play(load, &reply);
        }
    }

    /// Plays one run to its end with this answer.
    pub fn finish_with(&mut self, load: LoadId, reply: Reply) {
        self.script.push_front(reply);
        self.finish(load);
    }

    fn next_reply(&mut self) -> Reply {
        let run = self.runs();
        self.script.pop_front().unwrap_or_else(|| ok(&format!("run {run}")))
    }

    fn play(&mut self, load: LoadId, reply: &Reply) {
        if let Some(error) = reply.raises_before_head() {
            self.raise(load, error);
            return;
        }
        self.head(load, reply);
        for (index, chunk) in reply.chunks.iter().enumerate() {
            let last = index + 1 == reply.chunks.len() && reply.complete;
            self.chunk(load, chunk, last);
        }
        match &reply.raises {
            Some(error) => self.raise(load, error),
            None => {
                self.end(load);
            }
        }
    }

    /// The application sends the head of `reply`.
    pub fn head(&mut self, load: LoadId, reply: &Reply) {
        let now = self.clock.now();
        let lines: Vec<(&[u8], &[u8])> =
            reply.fields.iter().map(|(name, value)| (name.as_bytes(), value.as_slice())).collect();
        let run = &mut self.loads[load.0];
        let step = run.exchange.head(
            reply.status,
            Fields::new(&lines),
            reply.trailers,
            reply.dependency.as_ref(),
            now,
        );
        let own = (reply.status, reply.fields.clone());
        match step {
            HeadStep::Send(edits) => {
                if run.exchange.is_answered() {
                    assert!(
                        run.client
                            .is_none_or(|client| { self.clients[client.0].standing != Standing::Loading })
                    );
                } else {
                    self.begin_answer(load, own, edits);
                }
            }
            HeadStep::Hold => run.held = Some(own),
            HeadStep::Answer(response) => self.answer_client_of(load, &response),
            HeadStep::Discard => {}
        }
        self.settle();
    }

    /// The application sends a chunk.
    pub fn chunk(&mut self, load: LoadId, content: &[u8], last: bool) {
        let now = self.clock.now();
        let run = &mut self.loads[load.0];
        match run.exchange.chunk(Bytes::copy_from_slice(content), last, now) {
            ChunkStep::Send => {
                assert!(run.held.is_none(), "a chunk overtook the head that was held");
                self.send_chunk(load, content, last);
            }
            ChunkStep::SendHead(edits) => {
                let held = run.held.take().expect("a head was held");
                self.begin_answer(load, held, edits);
                self.send_chunk(load, content, last);
            }
            ChunkStep::Answer(response) => {
                run.held = None;
                self.answer_client_of(load, &response);
            }
            ChunkStep::Drop => {}
        }
        self.settle();
    }

    /// The application returns. Whether it has to run once more.
    pub fn end(&mut self, load: LoadId) -> bool {
        let run = &mut self.loads[load.0];
        let again = run.exchange.end();
        if again {
            self.application_is_asked(load);
        } else {
            self.close(load, Standing::Cut);
        }
        self.settle();
        again
    }

    /// The application raises.
    pub fn raise(&mut self, load: LoadId, error: &str) {
        let now = self.clock.now();
        let run = &mut self.loads[load.0];
        let answer = run.exchange.fail(Arc::new(error.to_owned()), now);
        if let Some(response) = answer {
            self.answer_client_of(load, &response);
        } else if let Some(client) = run.client {
            let client = &mut self.clients[client.0];
            if client.standing == Standing::Loading && client.answer.status == 0 {
                client.standing = Standing::Raised;
                client.raised = Some(error.to_owned());
            }
        }
        self.close(load, Standing::Cut);
        self.settle();
    }

    /// The run will not end: its task was cancelled from outside.
    pub fn abandon(&mut self, load: LoadId) {
        self.loads[load.0].exchange.abandon();
        self.close(load, Standing::Cut);
        self.settle();
    }

    // The clients.

    /// One request for a path, played to its end.
    pub fn get(&mut self, path: &str) -> Answer {
        self.send(get(path))
    }

    /// One request, played to its end with what the script says next.
    pub fn send(&mut self, ask: Ask) -> Answer {
        let client = self.begin(ask);
        self.drive(client);
        assert_eq!(self.standing(client), Standing::Answered, "the client got no whole answer");
        self.answer(client).clone()
    }

    /// One request, played to its end; the exception it ends in.
    pub fn send_raised(&mut self, ask: Ask) -> String {
        let client = self.begin(ask);
        self.drive(client);
        self.raised(client).to_owned()
    }

    /// Plays the runs of this client to their end.
    pub fn drive(&mut self, client: ClientId) {
        while let Some(load) = self.load_of(client) {
            self.finish(load);
        }
    }

    /// One request, up to where the application has to answer or somebody else's load has to end.
    pub fn begin(&mut self, ask: Ask) -> ClientId {
        let client = ClientId(self.clients.len());
        self.clients.push(Client {
            ask,
            standing: Standing::Waiting,
            waits: 0,
            waiting: None,
            answer: Answer::default(),
            raised: None,
        });
        self.look_up(client, Round::default());
        self.settle();
        client
    }

    /// The deadline of a waiting client passes.
    pub fn time_out(&mut self, client: ClientId) {
        let known = &mut self.clients[client.0];
        assert!(known.waiting.take().is_some(), "the client waits");
        let round = Round { waits: known.waits, timed_out: true, ..Round::default() };
        self.look_up(client, round);
        self.settle();
    }

    /// The client goes away. A run that was begun for it goes on.
    pub fn leave(&mut self, client: ClientId) {
        self.clients[client.0].waiting = None;
        self.clients[client.0].standing = Standing::Gone;
        self.settle();
    }

    pub fn standing(&self, client: ClientId) -> Standing {
        self.clients[client.0].standing
    }

    /// What the client has got so far.
    pub fn answer(&self, client: ClientId) -> &Answer {
        &self.clients[client.0].answer
    }

    /// The exception the client got.
    pub fn raised(&self, client: ClientId) -> &str {
        self.clients[client.0].raised.as_deref().expect("the client got an exception")
    }

    /// The open run for this client.
    pub fn load_of(&self, client: ClientId) -> Option<LoadId> {
        self.open_loads().into_iter().find(|load| self.loads[load.0].client == Some(client))
    }

    /// The open run for this client, which there must be.
    pub fn load(&self, client: ClientId) -> LoadId {
        self.load_of(client).expect("the application runs for this client")
    }

    /// Every client there has been.
    pub fn clients(&self) -> impl Iterator<Item = ClientId> + use<> {
        (0..self.clients.len()).map(ClientId)
    }

    /// What the client asked.
    pub fn asked(&self, client: ClientId) -> &Ask {
        &self.clients[client.0].ask
    }

    /// The clients that wait.
    pub fn waiting(&self) -> Vec<ClientId> {
        (0..self.clients.len())
            .filter(|index| self.clients[*index].standing == Standing::Waiting)
            .map(ClientId)
            .collect()
    }
}

/// A rule that caches, for this pattern.
pub fn rule(pattern: &str) -> RuleOptions {
    RuleOptions { pattern: pattern.into(), cache: true, ..RuleOptions::default() }
}

/// So many seconds.
pub fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}
