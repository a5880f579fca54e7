//! The way in: from a request to an answer, or to what has to be done for one.
//!
//! * `find`: what is stored for a request, and whether it may be used.
//! * `answer`: what the client gets of it.
//! * `selecting`: the request's part in which of several stored responses it gets.
//! * `explain`: what would be done, without doing it.
//! * `miss`: nothing usable is stored: who looks further, loads or waits.

mod answer;
mod explain;
mod find;
mod miss;
mod selecting;

use std::sync::Arc;

use hotplate_policy::range;
use hotplate_policy::reason::Reason;
use hotplate_policy::request::RequestHead;
use hotplate_policy::storing;
use hotplate_policy::time::Timestamp;

use crate::cache::{Cache, Outcome};
use crate::config::{RuleId, Settings};
use crate::entry::Body;
use crate::exchange::load::{Exchange, Origin};
use crate::exchange::placing::Way;
use crate::exchange::request::Request;
use crate::exchange::response::Response;
use crate::fill::{End, Permit, Ticket};
use crate::key::{Key, KeyParts};
use crate::rules::{Cookies, Rule};
use crate::share::{SeekJob, Sought};
use crate::watch::outcomes::Outcomes;

pub(crate) use self::find::significant_key;

/// The HTTP side of a cache: settings over a [`Cache`].
pub struct HttpCache<B: Body> {
    pub(crate) cache: Arc<Cache<B>>,
    pub(crate) settings: Settings,
    /// Which of the HTTP sides of the cache this is: what one stores, no other finds.
    pub(crate) site: u32,
    /// What requests come to, by rule.
    pub(crate) outcomes: Arc<Outcomes>,
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
    pub(crate) since: Timestamp,
    pub(crate) now: Timestamp,
}

impl<'a> Asked<'a> {
    fn way<B: Body>(&self, http: &HttpCache<B>) -> Way<'a> {
        http.way(self.key, Some(&self.parts), self.request.fields)
    }
}

impl<B: Body> HttpCache<B> {
    /// The HTTP side of `cache` with these settings.
    #[must_use]
    pub fn new(cache: Arc<Cache<B>>, settings: Settings) -> Self {
        let site = cache.next_site();
        let outcomes = Arc::new(Outcomes::new(&settings));
        cache.watch.add_site(Arc::clone(&outcomes));
        Self { cache, settings, site, outcomes }
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
        let spoken = self.settings.rule_for(request.method, request.path);
        let (rule_id, rule) = match self.admit(request, &head, spoken) {
            Ok(admitted) => admitted,
            Err(reason) => return self.bypass(request, &head, spoken, reason, now),
        };
        let method = if head.is_head() { "GET" } else { request.method };
        let body = if method == "GET" {
            None
        } else if round.body_refused {
            return self.bypass(request, &head, spoken, Reason::RequestBodyTooLarge, now);
        } else {
            let Some(body) = request.body else { return Lookup::NeedBody { limit: rule.max_request_body } };
            Some((request.fields.first("content-type").unwrap_or_default(), body))
        };
        let name = if rule.partitioned {
            match partition(rule_id) {
                Partition::Name(name) => Some(name),
                Partition::Refused => {
                    return self.bypass(request, &head, spoken, Reason::PartitionRefused, now);
                }
                Partition::Failed => {
                    return self.bypass(request, &head, spoken, Reason::PartitionFailed, now);
                }
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

    /// By which rule a request is looked up, or why it is not. `spoken`: as [`Settings::rule_for`] gives it.
    fn admit(
        &self,
        request: &Request<'_>,
        head: &RequestHead<'_>,
        spoken: Option<RuleId>,
    ) -> Result<(RuleId, &Rule), Reason> {
        let settings = &self.settings;
        let id = settings.looked_up_by_rule(spoken, request.path)?;
        let rule = settings.rule(id);
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
}
