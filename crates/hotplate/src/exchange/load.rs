//! The way out: one run of the application, what of it is stored, and what its client gets.
//!
//! An [`Exchange`] is told the head, each chunk and the end of the application's response in that order.
//! While it records, the chunks it is given are kept, not copied. It publishes the stored response before
//! the last chunk goes to the client, so that a client which asks again at once gets a hit.

mod content;
mod head;
mod right;
mod steps;
mod written;

use std::sync::Arc;

use hotplate_policy::cache_status::{CacheStatus, Forward, forward_for};
use hotplate_policy::explain::{Act, Decision};
use hotplate_policy::fields::Fields;
use hotplate_policy::freshness::Flags;
use hotplate_policy::invalidation;
use hotplate_policy::reason::Reason;
use hotplate_policy::request::RequestHead;
use hotplate_policy::time::Timestamp;
use hotplate_policy::validation;

pub use self::steps::{CLIENT_ONLY_FIELDS, ChunkStep, Dependency, Edits, HeadStep, LoadRequest};

use self::written::Written;
use crate::cache::Outcome;
use crate::config::RuleId;
use crate::entry::{Body, Entry};
use crate::exchange::lookup::{Asked, HttpCache};
use crate::exchange::placing::Way;
use crate::exchange::publish::Draft;
use crate::exchange::request::{Lines, OwnedRequest, Request};
use crate::exchange::response::{CACHE_NAME, Response};
use crate::fill::{End, Permit};
use crate::key::{Key, KeyParts};
use crate::log::Position;
use crate::share::Lease;
use crate::tier::shared::Stamp;
use crate::watch::Watch;
use crate::watch::outcomes::Answered;

/// What the application's head brought.
#[derive(Clone, Copy)]
pub(crate) struct Arrived<'a> {
    pub(crate) status: u16,
    pub(crate) fields: Fields<'a>,
    pub(crate) trailers: bool,
    pub(crate) dependency: Option<&'a Dependency>,
    pub(crate) now: Timestamp,
}

/// How the answer to a load came about.
#[derive(Clone, Copy)]
struct Came {
    /// The application confirmed what was stored.
    confirmed: bool,
    stored: bool,
}

/// What a load came to instead of an answer worth storing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Trouble {
    /// The application answered with a server error.
    ServerError,
    /// It raised.
    NoAnswer,
}

/// Whether the answer may be stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Plan {
    Pass,
    Record,
}

/// Why the request is forwarded, under which key its answer belongs, and what stale response it may confirm.
#[derive(Debug)]
pub(crate) struct Origin<B> {
    pub(crate) forward: Forward,
    pub(crate) reason: Reason,
    pub(crate) key: Key,
    pub(crate) stale: Option<Arc<Entry<B>>>,
}

impl<B> Origin<B> {
    pub(crate) fn of(forward: Forward, reason: Reason, key: Key) -> Self {
        Self { forward, reason, key, stale: None }
    }

    pub(crate) fn miss(reason: Reason, key: Key) -> Self {
        Self::of(forward_for(reason), reason, key)
    }

    pub(crate) fn stale(reason: Reason, key: Key, entry: Arc<Entry<B>>) -> Self {
        Self { stale: Some(entry), ..Self::of(forward_for(reason), reason, key) }
    }
}

/// One run of the application for one request.
pub struct Exchange<B: Body> {
    http: Arc<HttpCache<B>>,
    request: OwnedRequest,
    rule: RuleId,
    plan: Plan,
    /// The method may change things: what it answers without error makes its URI untrue.
    writes: bool,
    /// What it has made untrue, until the application is done with it.
    written: Option<Written>,
    primary: Option<Key>,
    origin: Origin<B>,
    partition: Option<Box<[u8]>>,
    /// What of the query is in the key.
    query: Box<[u8]>,
    permit: Option<Permit<Outcome<B>>>,
    /// The right to load of all processes.
    lease: Option<Lease>,
    position: Position,
    /// When it began, as other processes understand it.
    stamp: Option<Stamp>,
    request_time: Timestamp,
    answered: bool,
    /// The application has to run once more, without conditions.
    again: bool,
    /// It has been counted as failed.
    failed: bool,
    /// What its request comes to is still to be counted.
    is_to_count: bool,
    /// It is told to nobody.
    is_aside: bool,
    state: State<B>,
}

enum State<B> {
    /// The application has not answered yet.
    Waiting,
    /// What it sends is for the client alone.
    Passing,
    /// What it sends is for nobody.
    Discarding,
    Recording(Recording<B>),
}

struct Recording<B> {
    purpose: Purpose,
    chunks: Vec<B>,
    size: u64,
    expected: Option<u64>,
    /// Its head has not been sent yet.
    held: bool,
}

enum Purpose {
    Store(Box<Draft>),
    /// A server error: kept to its end for those who wait for the same key, never stored.
    Share(u16, Lines),
}

/// More chunks than this are joined while they are recorded: each takes memory beside its bytes.
const MOST_CHUNKS: usize = 4096;

impl<B: Body> Exchange<B> {
    pub(crate) fn bypass(
        http: Arc<HttpCache<B>>,
        request: &Request<'_>,
        head: &RequestHead<'_>,
        spoken: Option<RuleId>,
        reason: Reason,
        now: Timestamp,
    ) -> Self {
        let writes = !head.is_safe_method() && spoken.is_none_or(|id| !http.settings.rule(id).cache);
        let position = http.cache.log.position();
        Self {
            http,
            request: request.kept_to_pass(head),
            rule: spoken.unwrap_or(RuleId::Default),
            plan: Plan::Pass,
            writes,
            written: None,
            primary: None,
            origin: Origin::miss(reason, Key::from_u128(0)),
            partition: None,
            query: Box::default(),
            permit: None,
            lease: None,
            position,
            stamp: None,
            request_time: now,
            answered: false,
            again: false,
            failed: false,
            is_to_count: true,
            is_aside: false,
            state: State::Waiting,
        }
    }

    pub(crate) fn record(
        http: Arc<HttpCache<B>>,
        asked: &Asked<'_>,
        origin: Origin<B>,
        permit: Option<Permit<Outcome<B>>>,
        position: Position,
    ) -> Self {
        let stamp = http.cache.share.as_ref().and_then(|share| share.stamp(asked.now));
        Self {
            http,
            request: asked.request.kept(asked.head),
            rule: asked.rule_id,
            plan: Plan::Record,
            writes: false,
            written: None,
            primary: Some(asked.key),
            origin,
            partition: asked.parts.partition.map(Box::from),
            query: asked.parts.query.into(),
            permit,
            lease: None,
            position,
            stamp,
            request_time: asked.now,
            answered: false,
            again: false,
            failed: false,
            is_to_count: true,
            is_aside: false,
            state: State::Waiting,
        }
    }

    /// No client waits for this one's answer.
    pub(crate) fn nobody_waits(&mut self) {
        self.answered = true;
        self.is_to_count = false;
    }

    /// Whether the answer is to be stored, if it may be.
    #[must_use]
    pub fn is_load(&self) -> bool {
        self.plan == Plan::Record
    }

    /// This is about the cache itself, not the application's own: the response passes to this client, is stored nowhere, makes
    /// nothing untrue, and is in no number. For once its head is known it is too late.
    pub fn set_aside(&mut self) {
        if self.is_decided() {
            return;
        }
        (self.is_to_count, self.is_aside, self.writes) = (false, true, false);
        self.finish_permit(End::NotStorable);
        self.plan = Plan::Pass;
        self.origin.stale = None;
    }

    /// Whether the response is being recorded.
    #[must_use]
    pub fn is_recording(&self) -> bool {
        matches!(self.state, State::Recording(_))
    }

    /// Whether everything the application sends from now on goes to the client unchanged.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self.state, State::Passing) && !self.answered
    }

    /// Whether the head has been seen.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        !matches!(self.state, State::Waiting)
    }

    /// Whether nothing more of this run is for the client: it has its whole answer, or will get that of another run.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.answered || matches!(self.state, State::Discarding)
    }

    /// How the load's request differs from the client's: without the client's own conditions and range, and
    /// with the validators of the stale response it may confirm (RFC 9111 §4.3.1).
    #[must_use]
    pub fn load_request(&self) -> LoadRequest {
        let mut add = Vec::new();
        if let Some(stale) = &self.origin.stale {
            let etag = if stale.meta().flags.contains(Flags::GENERATED_ETAG) { None } else { stale.etag() };
            for (name, value) in
                validation::conditional_fields(etag, stale.field("last-modified")).into_iter().flatten()
            {
                add.push((name, value.to_vec()));
            }
        }
        LoadRequest { as_get: &*self.request.method == "HEAD", add }
    }

    /// The application has sent its head.
    ///
    /// # Arguments
    ///
    /// `trailers`: the application announced trailer fields; such a response is not stored.
    /// `dependency`: what the handler said about it.
    pub fn head(
        &mut self,
        status: u16,
        fields: Fields<'_>,
        trailers: bool,
        dependency: Option<&Dependency>,
        now: Timestamp,
    ) -> HeadStep<B> {
        if self.writes && invalidation::invalidates(&self.request.method, status) {
            self.wrote(fields, now);
        }
        if self.plan == Plan::Pass {
            self.saw(Answered::Bypass, None, now);
            self.come_to(Answered::Bypass);
            self.state = State::Passing;
            return HeadStep::Send(self.edits(self.origin.reason, false));
        }
        let arrived = Arrived { status, fields, trailers, dependency, now };
        if status == 304
            && let Some(stale) = self.origin.stale.take()
        {
            return self.confirmed(&stale, &arrived);
        }
        let http = Arc::clone(&self.http);
        let rule = http.settings.rule(self.rule);
        let stored = |act, reason| Some(Decision { status: Some(status), ..Decision::new(act, reason) });
        match self.draft(rule, &arrived) {
            Err(_) if is_server_error(status) => self.server_error(&arrived),
            Ok(_) if is_server_error(status) && self.has_stale_for(Trouble::ServerError, now) => {
                self.server_error(&arrived)
            }
            Err(reason) => {
                self.saw(Answered::Miss, stored(Act::NotStored, reason), now);
                self.come_to(Answered::Miss);
                self.not_stored(reason, &arrived)
            }
            Ok(draft) => {
                self.saw(Answered::Miss, stored(Act::Stored, Reason::Fresh), now);
                self.start_recording(draft, &arrived)
            }
        }
    }

    /// The application has sent a chunk; `last` when no more follows.
    pub fn chunk(&mut self, chunk: B, last: bool, now: Timestamp) -> ChunkStep<B> {
        let step = self.record_chunk(chunk, last, now);
        if !matches!(step, ChunkStep::Drop) {
            self.come_to(Answered::Miss);
        }
        step
    }

    fn record_chunk(&mut self, chunk: B, last: bool, now: Timestamp) -> ChunkStep<B> {
        let State::Recording(recording) = &mut self.state else {
            return if self.is_answered() { ChunkStep::Drop } else { ChunkStep::Send };
        };
        recording.size += chunk.as_slice().len() as u64;
        recording.chunks.push(chunk);
        if recording.chunks.len() >= MOST_CHUNKS {
            recording.chunks = vec![B::join(std::mem::take(&mut recording.chunks))];
        }
        if recording.size > self.http.settings.max_body {
            return self.give_up(Reason::TooLarge, now);
        }
        if !last {
            return self.pass_chunk();
        }
        if recording.expected.is_some_and(|expected| expected != recording.size) {
            return self.give_up(Reason::LengthMismatch, now);
        }
        self.complete(now)
    }

    /// The application sends its content by a way that cannot be recorded.
    ///
    /// # Returns
    ///
    /// The edits for the head, if it was held: the client gets it now.
    pub fn give_up_recording(&mut self, now: Timestamp) -> Option<Edits> {
        self.stop_recording(Reason::Incomplete, now)
    }

    /// The application has returned. A response it did not finish is not stored.
    ///
    /// # Returns
    ///
    /// Whether it has to run once more, by [`Exchange::load_request`] as it is now: it answered a condition with a
    /// 304 for something else than what was asked about.
    pub fn end(&mut self) -> bool {
        if std::mem::take(&mut self.again) {
            self.state = State::Waiting;
            return true;
        }
        self.abandon();
        false
    }

    /// The application will not finish. Those who wait elect another to load.
    pub fn abandon(&mut self) {
        self.come_to(Answered::Miss);
        self.finish_write();
        self.permit = None;
        self.lease = None;
        self.state = State::Passing;
    }

    /// The application has raised.
    ///
    /// # Returns
    ///
    /// A stale response for the client, where one is stored that may be served on errors (RFC 5861 §4) and
    /// nothing was sent yet. Else `None`: the error is the client's, and that of everybody who waits.
    pub fn fail(
        &mut self,
        error: Arc<dyn std::any::Any + Send + Sync>,
        now: Timestamp,
    ) -> Option<Response<B>> {
        let unsent = match &self.state {
            State::Waiting => true,
            State::Recording(recording) => recording.held,
            State::Passing | State::Discarding => false,
        };
        if self.plan == Plan::Record {
            self.count_failure();
        }
        let has_begun = self.is_decided();
        self.finish_write();
        let stale = self.origin.stale.clone();
        self.finish_permit(End::Failed(Outcome::Raised(error, stale)));
        self.state = State::Passing;
        let answer = if unsent { self.stale_for(Trouble::NoAnswer, now) } else { None };
        self.come_to(Answered::Miss);
        if !has_begun {
            self.saw(if answer.is_some() { Answered::Stale } else { Answered::Miss }, None, now);
        }
        if self.answered { None } else { answer }
    }

    /// Counts what the request comes to, once: as soon as that is known.
    fn come_to(&mut self, answered: Answered) {
        if !std::mem::take(&mut self.is_to_count) {
            return;
        }
        match self.plan {
            Plan::Record => self.http.count(self.rule, answered),
            Plan::Pass => {
                self.http.cache.counters.count_forwarded(self.origin.reason);
                self.http.count(self.rule, Answered::Bypass);
            }
        }
    }

    /// Counts the load as failed, once.
    fn count_failure(&mut self) {
        if !std::mem::replace(&mut self.failed, true) {
            self.http.cache.counters.count_load_error();
        }
    }

    /// The client's answer from what was just loaded or confirmed.
    fn answer_from(&self, entry: Arc<Entry<B>>, now: Timestamp, came: Came) -> Response<B> {
        let status = CacheStatus {
            forward_status: (came.confirmed && self.origin.forward == Forward::Stale).then_some(304),
            ttl_seconds: Some(entry.ttl_millis(now).div_euclid(1000)),
            stored: came.stored,
            ..CacheStatus::forwarded(CACHE_NAME, self.origin.forward)
        };
        let how = self.http.provenance(status, "MISS", false, now);
        self.request.with_head(|head| Response::from_entry(entry, head, &how))
    }

    fn edits(&self, reason: Reason, stored: bool) -> Edits {
        let mut append = Vec::with_capacity(4);
        let plain = matches!(reason, Reason::UriMiss | Reason::Method);
        let status = CacheStatus {
            stored,
            detail: (!stored && !plain).then(|| reason.token()),
            ..CacheStatus::forwarded(CACHE_NAME, self.origin.forward)
        };
        let word = if self.plan == Plan::Pass { "BYPASS" } else { "MISS" };
        let how = self.http.provenance(status, word, false, self.request_time);
        how.write(&mut append);
        Edits { replace_freshness: false, append }
    }

    pub(crate) fn jitter(&self) -> f64 {
        self.http.settings.jitter
    }

    pub(crate) fn is_partitioned(&self) -> bool {
        self.partition.is_some()
    }

    /// The parts of its key; `None` for a request whose content is in it.
    pub(crate) fn key_parts(&self) -> Option<KeyParts<'_>> {
        matches!(&*self.request.method, "GET" | "HEAD").then(|| KeyParts {
            site: self.http.site,
            method: "GET",
            scheme: &self.request.scheme,
            authority: &self.request.authority,
            path: &self.request.raw_path,
            query: &self.query,
            partition: self.partition.as_deref(),
            body: None,
        })
    }

    /// The key of what is known of its path under all queries; `None` as for [`Exchange::key_parts`].
    pub(crate) fn family(&self) -> Option<Key> {
        self.key_parts().map(|parts| Key::family(&parts))
    }

    pub(crate) fn request(&self) -> &OwnedRequest {
        &self.request
    }

    pub(crate) fn http(&self) -> &HttpCache<B> {
        &self.http
    }

    /// Does something with what leads this request to its stored response. A request without a key has no such way.
    fn on_its_way<R>(&self, act: impl FnOnce(&HttpCache<B>, &Way<'_>) -> R) -> Option<R> {
        let primary = self.primary?;
        let lines = self.request.fields.to_vec();
        let way = self.http.way(primary, self.key_parts().as_ref(), Fields::new(&lines));
        Some(act(&self.http, &way))
    }

    /// Why the application is run.
    pub(crate) fn reason(&self) -> Reason {
        self.origin.reason
    }

    /// Whether people who look are not to be told of it: no client waits for it, or it is about the cache itself.
    pub(crate) fn is_untold(&self) -> bool {
        self.answered || self.is_aside
    }

    pub(crate) fn watch(&self) -> &Watch {
        &self.http.cache.watch
    }

    pub(crate) fn primary(&self) -> Option<Key> {
        self.primary
    }

    pub(crate) fn request_time(&self) -> Timestamp {
        self.request_time
    }

    /// The log's position when the load began.
    pub(crate) fn position(&self) -> Position {
        self.position
    }
}

/// The errors that stale responses may stand in for (RFC 5861 §4).
fn is_server_error(status: u16) -> bool {
    matches!(status, 500 | 502 | 503 | 504)
}
