//! The way in: from a request to an answer, or to what has to be done for one.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hotplate_policy::cache_status::{self, CacheStatus, Forward};
use hotplate_policy::fields::Fields;
use hotplate_policy::freshness::Flags;
use hotplate_policy::no_vary_search::SearchVariance;
use hotplate_policy::profile::Profile;
use hotplate_policy::range;
use hotplate_policy::reason::Reason;
use hotplate_policy::request::RequestHead;
use hotplate_policy::reuse::{self, Reuse};
use hotplate_policy::storing;
use hotplate_policy::time::Timestamp;
use hotplate_policy::vary::{self, SelectOptions};

use crate::cache::{Cache, Outcome};
use crate::config::{RuleId, Settings};
use crate::entry::{Body, Entry};
use crate::exchange::load::{Exchange, Origin};
use crate::exchange::request::Request;
use crate::exchange::response::{CACHE_NAME, Provenance, Response};
use crate::fill::{End, Join, Permit, Ticket};
use crate::key::{Key, KeyParts};
use crate::log::{Footprint, Position, Standing};
use crate::rules::{Cookies, Rule};
use crate::share::{Place, Purpose, SeekJob, Share, Sought};
use crate::tier::local::Slot;

/// How often one request waits for another one's load before it is forwarded on its own.
const MOST_WAITS: u8 = 3;

/// How often the shared tier is asked for one request: for the key, for its variant, for the lease to renew what is stale,
/// and once more where another process was faster.
const MOST_SEEKS: u8 = 4;

/// The HTTP side of a cache: settings over a [`Cache`].
pub struct HttpCache<B: Body> {
    pub(crate) cache: Arc<Cache<B>>,
    pub(crate) settings: Settings,
    /// Which of the HTTP sides of the cache this is: what one stores, no other finds.
    pub(crate) site: u32,
}

/// What a lookup found to be done. See the picture in [`crate::exchange`].
pub enum Lookup<B: Body> {
    /// Answer with this.
    Serve(Response<B>),
    /// Answer with this, which is stale, and run the exchange as a load that nobody waits for.
    ServeAndRefresh(Response<B>, Exchange<B>),
    /// The request's body is part of its key: read at most `limit` bytes and look up again with it, or,
    /// when there is more, again without it and with [`Round::body_refused`].
    NeedBody {
        /// The most bytes that enter a key.
        limit: usize,
    },
    /// Run the application for this client alone.
    Forward(Exchange<B>),
    /// The caller holds the permit for the key: run the application so that a client who leaves stops nothing.
    Load(Exchange<B>),
    /// Look in the shared tier: run [`Seek::job`], then give both to [`HttpCache::resume`].
    Seek(Seek<B>),
    /// Another caller loads the key: wait for the ticket, then look up again with the round it gives.
    Wait(Ticket<Outcome<B>>),
    /// The load this request waited for raised; the same error is this request's too.
    Raised(Arc<dyn std::any::Any + Send + Sync>),
}

/// What the caller has already been through with one request. Starts as the default.
pub struct Round<B> {
    /// How the load that was waited for ended; `None` also when the deadline came first.
    pub end: Option<End<Outcome<B>>>,
    /// How often this request has waited.
    pub waits: u8,
    /// The deadline of waiting has passed.
    pub timed_out: bool,
    /// The request's body is too large for a key.
    pub body_refused: bool,
    /// When this request was first looked up; `None` at that time.
    pub since: Option<Timestamp>,
}

impl<B> Default for Round<B> {
    fn default() -> Self {
        Self { end: None, waits: 0, timed_out: false, body_refused: false, since: None }
    }
}

/// A lookup in the shared tier that one request leads. Dropping it lets another one lead.
pub struct Seek<B: Body> {
    origin: Origin<B>,
    /// `None`: only reads, and loads nothing for others.
    permit: Option<Permit<Outcome<B>>>,
    job: Option<SeekJob>,
    seeks: u8,
}

impl<B: Body> Seek<B> {
    /// What is to be awaited; there once.
    pub fn job(&mut self) -> Option<SeekJob> {
        self.job.take()
    }
}

/// Who may share a stored response with a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Partition {
    /// Requests with the same name share.
    Name(Vec<u8>),
    /// This request is not cached.
    Refused,
    /// The name could not be found out; the request is forwarded.
    Failed,
}

/// What of a request is known once its key is.
pub(crate) struct Asked<'a> {
    pub(crate) request: &'a Request<'a>,
    pub(crate) head: &'a RequestHead<'a>,
    pub(crate) rule_id: RuleId,
    pub(crate) parts: KeyParts<'a>,
    pub(crate) key: Key,
    /// Credentials that make sharing depend on what the response says.
    pub(crate) guard: Option<Reason>,
    pub(crate) waits: u8,
    /// How often the shared tier was asked for this request.
    seeks: u8,
    /// It only reads there, and has.
    has_read: bool,
    /// When the request came.
    since: Timestamp,
    pub(crate) now: Timestamp,
}

/// What stands under a key.
enum Found<B> {
    Response(Arc<Entry<B>>, Key, Standing),
    /// Responses are stored, none for this request's selecting fields; the key it would have.
    OtherVariants(Key),
    /// The last answer for this key could not be stored.
    HitForMiss(Key),
    Nothing(Reason, Key),
}

impl<B: Body> HttpCache<B> {
    /// The HTTP side of `cache` with these settings.
    #[must_use]
    pub fn new(cache: Arc<Cache<B>>, settings: Settings) -> Self {
        let site = cache.next_site();
        Self { cache, settings, site }
    }

    /// The cache behind it.
    #[must_use]
    pub fn cache(&self) -> &Arc<Cache<B>> {
        &self.cache
    }

    /// Its settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Looks a request up.
    ///
    /// # Arguments
    ///
    /// `partition` is called at most once, and only when the rule that speaks has a partition.
    ///
    /// # Cost
    ///
    /// Never waits. A hit copies neither request nor body.
    pub fn lookup(
        self: &Arc<Self>,
        request: &Request<'_>,
        round: &Round<B>,
        now: Timestamp,
        partition: &mut dyn FnMut(RuleId) -> Partition,
    ) -> Lookup<B> {
        self.enter(request, round, now, partition, None)
    }

    /// Looks a request up once more, after what it sought in the shared tier. The arguments are those of the lookup that
    /// gave `seek`, but for `now`.
    pub fn resume(
        self: &Arc<Self>,
        request: &Request<'_>,
        round: &Round<B>,
        now: Timestamp,
        partition: &mut dyn FnMut(RuleId) -> Partition,
        seek: Seek<B>,
        sought: Sought,
    ) -> Lookup<B> {
        self.enter(request, round, now, partition, Some((seek, sought)))
    }

    fn enter(
        self: &Arc<Self>,
        request: &Request<'_>,
        round: &Round<B>,
        now: Timestamp,
        partition: &mut dyn FnMut(RuleId) -> Partition,
        sought: Option<(Seek<B>, Sought)>,
    ) -> Lookup<B> {
        let head = RequestHead::new(request.method, request.fields);
        let (rule_id, rule) = match self.admit(request, &head) {
            Ok(admitted) => admitted,
            Err(reason) => return self.bypass(request, &head, reason, now),
        };
        let method = if head.is_head() { "GET" } else { request.method };
        let body = if method == "GET" {
            None
        } else if round.body_refused {
            return self.bypass(request, &head, Reason::RequestBodyTooLarge, now);
        } else {
            let Some(body) = request.body else { return Lookup::NeedBody { limit: rule.max_request_body } };
            Some((request.fields.first("content-type").unwrap_or_default(), body))
        };
        let name = if rule.partitioned {
            match partition(rule_id) {
                Partition::Name(name) => Some(name),
                Partition::Refused => return self.bypass(request, &head, Reason::PartitionRefused, now),
                Partition::Failed => return self.bypass(request, &head, Reason::PartitionFailed, now),
            }
        } else {
            None
        };
        let mut normalised = Vec::new();
        let parts = KeyParts {
            site: self.site,
            method,
            scheme: request.scheme,
            authority: request.authority,
            path: request.raw_path,
            query: rule.query.apply(request.query, &mut normalised),
            partition: name.as_deref(),
            body,
        };
        let key = Key::of(&parts);
        let partitioned = name.is_some();
        let guard =
            storing::request_guard(self.settings.profile, &head, partitioned, rule.cookies != Cookies::Guard);
        let waits = round.waits;
        let since = round.since.unwrap_or(now);
        let seeks = sought.as_ref().map_or(0, |(seek, _)| seek.seeks);
        let has_read = sought.as_ref().is_some_and(|(seek, found)| {
            seek.permit.is_none() && !matches!(found, Sought::Vary(_) | Sought::Search(_))
        });
        let asked =
            Asked { request, head: &head, rule_id, parts, key, guard, waits, seeks, has_read, since, now };
        if let Some((seek, sought)) = sought {
            return self.after_seek(&asked, seek, sought);
        }
        if self.cache.share.as_ref().is_some_and(|share| share.bypasses()) {
            return self.alone(&asked, Origin::miss(Reason::SharedTierDown, key));
        }
        match &round.end {
            Some(End::Failed(failure)) => self.after_failure(&asked, failure),
            Some(End::NotStorable) => self.alone(&asked, Origin::miss(Reason::HitForMiss, key)),
            _ if round.timed_out => {
                self.give_up_waiting(&asked);
                self.alone(&asked, Origin::miss(Reason::WaitTimeout, key))
            }
            Some(End::Given(Outcome::Kept(key, entry))) => {
                self.find_and_decide(&asked, Some((*key, Arc::clone(entry))))
            }
            _ => self.find_and_decide(&asked, None),
        }
    }

    /// The shared tier has answered, or has not.
    fn after_seek(self: &Arc<Self>, asked: &Asked<'_>, seek: Seek<B>, sought: Sought) -> Lookup<B> {
        let Seek { origin, permit, .. } = seek;
        let (lease, end) = match sought {
            Sought::Found(sighting) => {
                let key = sighting.key;
                let entry = Arc::new(sighting.entry.landed(sighting.position, sighting.soft));
                let kept = self.land(key, &entry).then(|| (key, Arc::clone(&entry)));
                if let Some(permit) = permit {
                    permit.finish(match &kept {
                        Some((key, entry)) => End::Given(Outcome::Kept(*key, Arc::clone(entry))),
                        None => End::Stored,
                    });
                }
                return self.find_and_decide(asked, kept);
            }
            Sought::Vary(names) => {
                self.learn_variants(origin.key, names);
                if let Some(permit) = permit {
                    permit.finish(End::Stored);
                }
                return self.find_and_decide(asked, None);
            }
            Sought::Search(text) => {
                self.learn_search(&asked.parts, &text);
                if let Some(permit) = permit {
                    permit.finish(End::Stored);
                }
                return self.find_and_decide(asked, None);
            }
            Sought::NotStorable => (None, Some(End::NotStorable)),
            Sought::Lease(lease) => (Some(lease), None),
            Sought::Nothing | Sought::Busy => (None, None),
        };
        let Some(permit) = permit else { return self.miss(asked, origin) };
        if let Some(end) = end {
            self.give_up_waiting(asked);
            permit.finish(end);
            return self.alone(asked, Origin::miss(Reason::HitForMiss, origin.key));
        }
        self.cache.counters.count_miss();
        let position = self.cache.log.position();
        let mut origin = origin;
        origin.stale = origin.stale.filter(|stale| self.is_usable(stale));
        let mut exchange = Exchange::record(Arc::clone(self), asked, origin, Some(permit), position);
        exchange.hold(lease);
        Lookup::Load(exchange)
    }

    /// A load that outlasted the deadline of one request would outlast that of the next: nobody waits for it again.
    fn give_up_waiting(&self, asked: &Asked<'_>) {
        let _publishing = self.cache.publishing();
        if self.cache.local.get(&asked.key).is_none() {
            let until = asked.now.plus(self.settings.hit_for_miss);
            self.cache.local.insert(asked.key, Slot::HitForMiss { until });
        }
    }

    /// Which rule speaks, or why the request is not looked up at all.
    fn admit(&self, request: &Request<'_>, head: &RequestHead<'_>) -> Result<(RuleId, &Rule), Reason> {
        let settings = &self.settings;
        if !settings.covers(request.path) {
            return Err(Reason::Excluded);
        }
        let id = settings.rule_for(request.method, request.path).ok_or(Reason::Method)?;
        let rule = settings.rule(id);
        if !rule.cache {
            return Err(Reason::RuleSaysNo);
        }
        if !settings.allows_host(request.authority) {
            return Err(Reason::HostNotAllowed);
        }
        if head.upgrade {
            return Err(Reason::Upgrade);
        }
        if head.has_body && matches!(request.method, "GET" | "HEAD") {
            return Err(Reason::RequestBody);
        }
        // A condition for the origin alone, and a range in a unit of its own (RFC 9110 §13.1.1, §14.1).
        if head.if_match_or_unmodified {
            return Err(Reason::Precondition);
        }
        if head.range.is_some_and(range::is_in_another_unit) {
            return Err(Reason::RangeRequest);
        }
        Ok((id, rule))
    }

    /// `kept`: a response that is at hand without being in the local tier, and its key.
    fn find_and_decide(self: &Arc<Self>, asked: &Asked<'_>, kept: Option<(Key, Arc<Entry<B>>)>) -> Lookup<B> {
        let found = match self.find(asked.key, asked.request.fields, asked.now) {
            Found::Nothing(reason, key) => match self.significant(&asked.parts) {
                Some(other) => self.find(other, asked.request.fields, asked.now),
                None => Found::Nothing(reason, key),
            },
            found => found,
        };
        let found = match (found, kept) {
            (Found::OtherVariants(key) | Found::Nothing(_, key), Some((own, entry))) if own == key => {
                match self.standing(&entry) {
                    Standing::Invalid => Found::Nothing(Reason::Invalidated, key),
                    standing => Found::Response(entry, key, standing),
                }
            }
            (found, _) => found,
        };
        match found {
            Found::Response(entry, key, standing) => self.decide(asked, entry, key, standing),
            Found::OtherVariants(key) => {
                self.miss(asked, Origin::of(Forward::VaryMiss, Reason::VaryMiss, key))
            }
            Found::HitForMiss(key) => self.alone(asked, Origin::miss(Reason::HitForMiss, key)),
            Found::Nothing(reason, key) => self.miss(asked, Origin::of(Forward::UriMiss, reason, key)),
        }
    }

    /// The key by the part of the query that matters, where a response of this path said which part that is.
    fn significant(&self, parts: &KeyParts<'_>) -> Option<Key> {
        if !self.cache.knows_search_variance.load(Ordering::Relaxed) || parts.body.is_some() {
            return None;
        }
        match self.cache.local.get(&Key::family(parts)) {
            Some(Slot::Search(variance)) => Some(significant_key(parts, &variance)),
            _ => None,
        }
    }

    /// Follows the stored `Vary` from the primary key to the response for this request's fields.
    fn find(&self, key: Key, fields: Fields<'_>, now: Timestamp) -> Found<B> {
        let (slot, key) = match self.cache.local.get(&key) {
            Some(Slot::Vary(record)) => {
                let variant = self.variant(key, record.names(), fields);
                match self.cache.local.get(&variant) {
                    None => return Found::OtherVariants(variant),
                    found => (found, variant),
                }
            }
            found => (found, key),
        };
        match slot {
            Some(Slot::Response(entry)) => {
                let standing = self.standing(&entry);
                if standing == Standing::Invalid {
                    self.cache.local.remove(&key);
                    return Found::Nothing(Reason::Invalidated, key);
                }
                Found::Response(entry, key, standing)
            }
            Some(Slot::HitForMiss { until }) if until > now => Found::HitForMiss(key),
            Some(Slot::HitForMiss { .. }) => {
                self.cache.local.remove(&key);
                Found::Nothing(Reason::UriMiss, key)
            }
            Some(Slot::Vary(_) | Slot::Search(_)) | None => Found::Nothing(Reason::UriMiss, key),
        }
    }

    /// What the log says of a response.
    fn standing(&self, entry: &Entry<B>) -> Standing {
        match self.cache.log.standing_cached(&entry.footprint, entry.position, entry.verified()) {
            Standing::Current if entry.is_soft() => Standing::Soft,
            standing => standing,
        }
    }

    /// A response is stored for this request: may it be used?
    fn decide(
        self: &Arc<Self>,
        asked: &Asked<'_>,
        entry: Arc<Entry<B>>,
        key: Key,
        standing: Standing,
    ) -> Lookup<B> {
        let meta = &entry.meta;
        let shareable = asked.guard.is_none() || meta.flags.contains(Flags::PUBLIC);
        let honor = self.settings.honor_request_directives;
        let decision = match reuse::decide(asked.head, honor, meta, shareable, asked.now) {
            Reuse::Fresh | Reuse::StaleAllowed if standing == Standing::Soft => {
                if reuse::may_serve_stale_soft(asked.head, honor, meta, asked.now) {
                    Reuse::StaleWhileRevalidate
                } else {
                    Reuse::Validate(Reason::SoftInvalidated)
                }
            }
            decision => decision,
        };
        match decision {
            Reuse::Fresh => self.serve(asked, entry, Reason::Fresh),
            Reuse::StaleAllowed => self.serve(asked, entry, Reason::Stale),
            Reuse::StaleWhileRevalidate => self.serve_and_refresh(asked, entry, key),
            // What came or was confirmed while this request waited answers it, as it answered the one that loaded it.
            Reuse::Validate(_)
                if asked.waits > 0 && standing == Standing::Current && meta.response_time >= asked.since =>
            {
                self.serve(asked, entry, Reason::Fresh)
            }
            Reuse::Validate(reason) => {
                if self.cache.retries.is_held(key, asked.now)
                    && reuse::may_serve_on_error(asked.head, honor, meta, asked.now)
                {
                    return self.serve(asked, entry, Reason::StaleIfError);
                }
                self.miss(asked, Origin::stale(reason, key, entry))
            }
            Reuse::Forbidden(reason) => self.alone(asked, Origin::miss(reason, key)),
            Reuse::GatewayTimeout => self.gateway_timeout(asked),
        }
    }

    fn serve(&self, asked: &Asked<'_>, entry: Arc<Entry<B>>, reason: Reason) -> Lookup<B> {
        let fresh = reason == Reason::Fresh;
        if fresh {
            self.cache.counters.count_hit();
        } else {
            self.cache.counters.count_stale();
        }
        if asked.waits > 0 {
            self.cache.counters.count_collapsed();
        }
        Lookup::Serve(self.respond(asked, entry, reason))
    }

    fn respond(&self, asked: &Asked<'_>, entry: Arc<Entry<B>>, reason: Reason) -> Response<B> {
        let fresh = reason == Reason::Fresh;
        let ttl_seconds = Some(entry.meta.ttl_millis(asked.now).div_euclid(1000));
        // A waiter was not served from what was stored when it asked: RFC 9211 §2.7 calls that collapsed.
        let waited = asked.waits > 0;
        let status = CacheStatus {
            ttl_seconds,
            collapsed: waited,
            detail: (!fresh).then(|| reason.token()),
            ..if waited {
                CacheStatus::forwarded(CACHE_NAME, Forward::UriMiss)
            } else {
                CacheStatus::hit(CACHE_NAME)
            }
        };
        let how = self.provenance(status, if fresh { "HIT" } else { "STALE" }, true, asked.now);
        Response::from_entry(entry, asked.head, &how)
    }

    /// Stale, and served while one load refreshes it: nobody waits.
    fn serve_and_refresh(self: &Arc<Self>, asked: &Asked<'_>, entry: Arc<Entry<B>>, key: Key) -> Lookup<B> {
        if self.cache.retries.is_held(key, asked.now) {
            return self.serve(asked, entry, Reason::StaleWhileRevalidate);
        }
        let position = self.cache.log.position();
        match self.join(asked, key, position) {
            Join::Wait(_) => self.serve(asked, entry, Reason::StaleWhileRevalidate),
            Join::Lead(permit) => {
                permit.note_refresh();
                self.cache.counters.count_stale();
                let response = self.respond(asked, Arc::clone(&entry), Reason::StaleWhileRevalidate);
                let mut origin = Origin::stale(Reason::StaleWhileRevalidate, key, entry);
                origin.stale = origin.stale.filter(|stale| self.is_usable(stale));
                let mut exchange = Exchange::record(Arc::clone(self), asked, origin, Some(permit), position);
                exchange.nobody_waits();
                Lookup::ServeAndRefresh(response, exchange)
            }
        }
    }

    /// Nothing usable is stored: take the permit for the key, or wait for who has it.
    fn miss(self: &Arc<Self>, asked: &Asked<'_>, mut origin: Origin<B>) -> Lookup<B> {
        let head = asked.head;
        let only_if_cached = self.settings.honor_request_directives && head.directives.only_if_cached;
        let share = self.cache.share.as_ref().filter(|share| asked.seeks < MOST_SEEKS && share.is_up());
        let own_alone = origin.stale.is_none() && (head.range.is_some() || head.is_head());
        if let Some(share) = share
            && !asked.has_read
            && (only_if_cached || own_alone || asked.guard.is_some() || head.directives.no_store)
        {
            return Lookup::Seek(self.seek(share, asked, origin, None));
        }
        if only_if_cached {
            return self.gateway_timeout(asked);
        }
        // A stored response is validated with a plain GET, whatever the client asked of it.
        if origin.stale.is_none() {
            if head.range.is_some() {
                return self.pass(asked, Reason::RangeRequest);
            }
            if head.is_head() {
                return self.pass(asked, Reason::HeadMiss);
            }
        }
        if let Some(reason) = asked.guard {
            return self.alone(asked, Origin { reason, ..origin });
        }
        if head.directives.no_store {
            return self.pass(asked, Reason::NoStoreRequest);
        }
        if asked.waits >= MOST_WAITS {
            return self.alone(asked, Origin { reason: Reason::WaitTimeout, ..origin });
        }
        let position = self.cache.log.position();
        // An invalidation may have come since it was found: then it must not be confirmed under this position.
        origin.stale = origin.stale.filter(|stale| self.is_usable(stale));
        match self.join(asked, origin.key, position) {
            Join::Wait(ticket) => match share {
                // What it refreshes may be good enough for this request, and is not at hand.
                Some(share) if !self.cache.keeps_responses && !asked.has_read && ticket.is_refresh() => {
                    Lookup::Seek(self.seek(share, asked, origin, None))
                }
                _ => Lookup::Wait(ticket),
            },
            Join::Lead(permit) => {
                if origin.stale.is_none()
                    && let Found::Response(entry, _, Standing::Current) =
                        self.find(origin.key, asked.request.fields, asked.now)
                    && reuse::decide(
                        head,
                        self.settings.honor_request_directives,
                        &entry.meta,
                        true,
                        asked.now,
                    ) == Reuse::Fresh
                {
                    // A load on another thread ended between the lookup and the permit.
                    return self.serve(asked, entry, Reason::Fresh);
                }
                if let Some(share) = share {
                    return Lookup::Seek(self.seek(share, asked, origin, Some(permit)));
                }
                self.cache.counters.count_miss();
                Lookup::Load(Exchange::record(Arc::clone(self), asked, origin, Some(permit), position))
            }
        }
    }

    /// What is to be looked for in the shared tier, by whom.
    fn seek(
        &self,
        share: &Arc<Share>,
        asked: &Asked<'_>,
        origin: Origin<B>,
        permit: Option<Permit<Outcome<B>>>,
    ) -> Seek<B> {
        let place = Place {
            primary: asked.key,
            uri: Some((asked.request.authority.into(), asked.request.path.into())),
        };
        let known = origin.stale.as_ref().map(|stale| stale.meta.request_time);
        let purpose = if permit.is_some() { Purpose::Answer } else { Purpose::Read };
        let mut job = SeekJob::new(share, origin.key, place, known, purpose);
        if origin.key != asked.key {
            // The key was made from one of these two.
            for primary in [Some(asked.key), self.significant(&asked.parts)].into_iter().flatten() {
                if let Some(Slot::Vary(record)) = self.cache.local.get(&primary)
                    && self.variant(primary, record.names(), asked.request.fields) == origin.key
                {
                    job = job.also(primary, Some(record.names().to_vec()));
                }
            }
        } else if origin.key == asked.key && !asked.parts.query.is_empty() && asked.parts.body.is_none() {
            job = job.also(Key::family(&asked.parts), None);
        }
        Seek { origin, permit, job: Some(job), seeks: asked.seeks + 1 }
    }

    /// Whether no invalidation has dropped a response since its load began.
    pub(crate) fn is_usable(&self, entry: &Entry<B>) -> bool {
        self.cache.log.standing(&entry.footprint, entry.position) != Standing::Invalid
    }

    fn join(&self, asked: &Asked<'_>, key: Key, position: Position) -> Join<Outcome<B>> {
        let log = &self.cache.log;
        self.cache.fills.join(key, position, |began| {
            if began == position {
                return true;
            }
            // Of its tags nothing is known before it ends; what they make untrue is noticed when it is looked up.
            let request = asked.request;
            let footprint = Footprint::new(log, asked.key, request.authority, request.path.as_bytes(), []);
            log.standing(&footprint, began) == Standing::Current
        })
    }

    /// Forwarded for this client alone, without a permit; the answer is stored if it may be.
    fn alone(self: &Arc<Self>, asked: &Asked<'_>, origin: Origin<B>) -> Lookup<B> {
        let head = asked.head;
        if head.range.is_some() || head.is_head() || head.directives.no_store {
            return self.pass(asked, origin.reason);
        }
        self.cache.counters.count_miss();
        let position = self.cache.log.position();
        // What is stored is not validated by a client that may not see it.
        let origin = Origin { stale: None, ..origin };
        Lookup::Forward(Exchange::record(Arc::clone(self), asked, origin, None, position))
    }

    /// Forwarded; the answer is not stored.
    fn pass(self: &Arc<Self>, asked: &Asked<'_>, reason: Reason) -> Lookup<B> {
        self.bypass(asked.request, asked.head, reason, asked.now)
    }

    fn bypass(
        self: &Arc<Self>,
        request: &Request<'_>,
        head: &RequestHead<'_>,
        reason: Reason,
        now: Timestamp,
    ) -> Lookup<B> {
        self.cache.counters.count_forwarded(reason);
        Lookup::Forward(Exchange::bypass(Arc::clone(self), request, head, reason, now))
    }

    /// The load this request waited for failed: stale if that is allowed, else the same failure.
    fn after_failure(self: &Arc<Self>, asked: &Asked<'_>, failure: &Outcome<B>) -> Lookup<B> {
        let at_hand = match failure {
            Outcome::Response(_, stale) | Outcome::Raised(_, stale) => stale.clone(),
            Outcome::Kept(..) => None,
        };
        let stale = match self.find(asked.key, asked.request.fields, asked.now) {
            Found::Response(entry, _, Standing::Current) => Some(entry),
            _ => at_hand.filter(|entry| self.standing(entry) == Standing::Current),
        };
        if let Some(entry) = stale
            && asked.guard.is_none()
            && (reuse::may_serve_on_error(
                asked.head,
                self.settings.honor_request_directives,
                &entry.meta,
                asked.now,
            ))
        {
            return self.serve(asked, entry, Reason::StaleIfError);
        }
        match failure {
            Outcome::Kept(..) => self.find_and_decide(asked, None),
            Outcome::Raised(error, _) => {
                self.cache.counters.count_miss();
                self.cache.counters.count_collapsed();
                Lookup::Raised(Arc::clone(error))
            }
            Outcome::Response(entry, _) => {
                self.cache.counters.count_miss();
                self.cache.counters.count_collapsed();
                let status = CacheStatus {
                    forward_status: Some(entry.meta.status),
                    collapsed: true,
                    detail: Some(Reason::LoadFailed.token()),
                    ..CacheStatus::forwarded(CACHE_NAME, Forward::UriMiss)
                };
                let how = self.provenance(status, "MISS", false, asked.now);
                Lookup::Serve(Response::from_entry(Arc::clone(entry), asked.head, &how))
            }
        }
    }

    /// RFC 9111 §5.2.1.7.
    fn gateway_timeout(&self, asked: &Asked<'_>) -> Lookup<B> {
        self.cache.counters.count_forwarded(Reason::OnlyIfCached);
        let forward = cache_status::forward_for(Reason::OnlyIfCached);
        let status = CacheStatus {
            detail: Some(Reason::OnlyIfCached.token()),
            ..CacheStatus::forwarded(CACHE_NAME, forward)
        };
        let how = self.provenance(status, "MISS", false, asked.now);
        Lookup::Serve(Response::gateway_timeout(&how))
    }

    /// The key of the variant for a request's values of the fields that select.
    pub(crate) fn variant(&self, primary: Key, names: &[Box<str>], request: Fields<'_>) -> Key {
        // An application that takes the first language it is offered would get hits for another one.
        let normalise_language = self.settings.profile == Profile::Rfc9111;
        let options = SelectOptions { normalise_language, ..SelectOptions::default() };
        let mut selecting = Vec::with_capacity(64);
        for name in names {
            vary::normalise_with(options, name, request, &mut selecting);
        }
        primary.variant(&selecting)
    }

    /// How an answer came about; `x_cache` is the word for `X-Cache`, where that is wanted.
    pub(crate) fn provenance<'s>(
        &self,
        status: CacheStatus<'s>,
        x_cache: &'static str,
        is_stored: bool,
        now: Timestamp,
    ) -> Provenance<'s> {
        Provenance { status, x_cache: self.settings.x_cache.then_some(x_cache), is_stored, now }
    }
}

/// The key of the responses to all queries that have the same significant part.
pub(crate) fn significant_key(parts: &KeyParts<'_>, variance: &SearchVariance) -> Key {
    Key::of(&KeyParts { query: &variance.significant(parts.query), ..*parts }).variant(b"significant query")
}
