//! Nothing usable is stored: the shared tier is asked, one loads and the others wait, or the request goes its own way.

use std::sync::Arc;

use hotplate_policy::reason::Reason;
use hotplate_policy::request::RequestHead;
use hotplate_policy::reuse::{self, Reuse};
use hotplate_policy::time::Timestamp;

use super::find::Found;
use super::{Asked, HttpCache, Lookup, Seek};
use crate::cache::Outcome;
use crate::config::RuleId;
use crate::entry::Body;
use crate::exchange::load::{Exchange, Origin};
use crate::exchange::request::Request;
use crate::fill::{End, Join, Permit};
use crate::key::Key;
use crate::log::{Footprint, Position, Standing};
use crate::share::{Place, Purpose, SeekJob, Share, Sought};
use crate::tier::local::Slot;

/// How often one request waits for another one's load before it is forwarded on its own.
const MOST_WAITS: u8 = 3;

/// How often the shared tier is asked for one request: for the key, for its variant, for the lease to renew what is stale,
/// and once more where another process was faster.
const MOST_SEEKS: u8 = 4;

impl<B: Body> HttpCache<B> {
    /// Nothing usable is stored: take the permit for the key, or wait for who has it.
    pub(super) fn miss(self: &Arc<Self>, asked: &Asked<'_>, mut origin: Origin<B>) -> Lookup<B> {
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
                    && let Found::Response(entry, key, Standing::Current) =
                        self.find_by_parts(asked.key, &asked.parts, asked.request.fields, asked.now)
                    && reuse::decide(
                        head,
                        self.settings.honor_request_directives,
                        &entry.meta(),
                        true,
                        asked.now,
                    ) == Reuse::Fresh
                {
                    // A load on another thread ended between the lookup and the permit.
                    return self.serve(asked, key, entry, Reason::Fresh);
                }
                if let Some(share) = share {
                    return Lookup::Seek(self.seek(share, asked, origin, Some(permit)));
                }
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
        let known = origin.stale.as_ref().map(|stale| stale.meta().request_time);
        let purpose = if permit.is_some() { Purpose::Answer } else { Purpose::Read };
        let mut job = SeekJob::new(share, origin.key, place, known, purpose);
        if origin.key != asked.key {
            // The key was made from one of these two.
            if let Some(leading) = self.leading(&asked.way(self), origin.key) {
                job = job.also(leading.primary, Some(leading.record.names().to_vec()));
            }
        } else if origin.key == asked.key && !asked.parts.query.is_empty() && asked.parts.body.is_none() {
            job = job.also(Key::family(&asked.parts), None);
        }
        Seek { origin, permit, job: Some(job), seeks: asked.seeks + 1 }
    }

    /// The shared tier has answered, or has not.
    pub(super) fn after_seek(
        self: &Arc<Self>,
        asked: &Asked<'_>,
        seek: Seek<B>,
        sought: Sought,
    ) -> Lookup<B> {
        let Seek { origin, permit, .. } = seek;
        let (lease, end) = match sought {
            Sought::Found(sighting) => {
                let kept = self.land(&asked.way(self), *sighting);
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
        let position = self.cache.log.position();
        let mut origin = origin;
        origin.stale = origin.stale.filter(|stale| self.is_usable(stale));
        let mut exchange = Exchange::record(Arc::clone(self), asked, origin, Some(permit), position);
        exchange.hold(lease);
        Lookup::Load(exchange)
    }

    /// A load that outlasted the deadline of one request would outlast that of the next: nobody waits for it again.
    pub(super) fn give_up_waiting(&self, asked: &Asked<'_>) {
        let _publishing = self.cache.publishing();
        if self.cache.local.get(&asked.key).is_none() {
            let until = asked.now.plus(self.settings.hit_for_miss);
            self.cache.local.insert(asked.key, Slot::HitForMiss { until });
        }
    }

    pub(super) fn join(&self, asked: &Asked<'_>, key: Key, position: Position) -> Join<Outcome<B>> {
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
    pub(super) fn alone(self: &Arc<Self>, asked: &Asked<'_>, origin: Origin<B>) -> Lookup<B> {
        let head = asked.head;
        if head.range.is_some() || head.is_head() || head.directives.no_store {
            return self.pass(asked, origin.reason);
        }
        let position = self.cache.log.position();
        // What is stored is not validated by a client that may not see it.
        let origin = Origin { stale: None, ..origin };
        Lookup::Forward(Exchange::record(Arc::clone(self), asked, origin, None, position))
    }

    /// Forwarded; the answer is not stored.
    fn pass(self: &Arc<Self>, asked: &Asked<'_>, reason: Reason) -> Lookup<B> {
        self.bypass(asked.request, asked.head, Some(asked.rule_id), reason, asked.now)
    }

    /// Forwarded without being looked up. `spoken`: the rule that speaks for the request, if one does.
    pub(super) fn bypass(
        self: &Arc<Self>,
        request: &Request<'_>,
        head: &RequestHead<'_>,
        spoken: Option<RuleId>,
        reason: Reason,
        now: Timestamp,
    ) -> Lookup<B> {
        Lookup::Forward(Exchange::bypass(Arc::clone(self), request, head, spoken, reason, now))
    }
}
