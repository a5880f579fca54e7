//! What the client gets: a stored response, fresh or stale, or what the load it waited for came to.

use std::sync::Arc;

use hotplate_policy::cache_status::{self, CacheStatus, Forward};
use hotplate_policy::reason::Reason;
use hotplate_policy::reuse;
use hotplate_policy::time::Timestamp;

use super::find::Found;
use super::{Asked, HttpCache, Lookup};
use crate::cache::Outcome;
use crate::entry::{Body, Entry};
use crate::exchange::load::{Exchange, Origin};
use crate::exchange::response::{CACHE_NAME, Provenance, Response};
use crate::fill::Join;
use crate::key::Key;
use crate::log::Standing;

impl<B: Body> HttpCache<B> {
    pub(super) fn serve(
        &self,
        asked: &Asked<'_>,
        key: Key,
        entry: Arc<Entry<B>>,
        reason: Reason,
    ) -> Lookup<B> {
        self.saw_served(asked, key, &entry, reason);
        if asked.waits > 0 {
            self.cache.counters.count_collapsed();
        }
        Lookup::Serve(self.respond(asked, entry, reason))
    }

    fn respond(&self, asked: &Asked<'_>, entry: Arc<Entry<B>>, reason: Reason) -> Response<B> {
        let fresh = reason == Reason::Fresh;
        let ttl_seconds = Some(entry.ttl_millis(asked.now).div_euclid(1000));
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
    pub(super) fn serve_and_refresh(
        self: &Arc<Self>,
        asked: &Asked<'_>,
        entry: Arc<Entry<B>>,
        key: Key,
    ) -> Lookup<B> {
        if self.cache.retries.is_held(key, asked.now) {
            return self.serve(asked, key, entry, Reason::StaleWhileRevalidate);
        }
        let position = self.cache.log.position();
        match self.join(asked, key, position) {
            Join::Wait(_) => self.serve(asked, key, entry, Reason::StaleWhileRevalidate),
            Join::Lead(permit) => {
                permit.note_refresh();
                self.cache.counters.count_refresh();
                self.saw_served(asked, key, &entry, Reason::StaleWhileRevalidate);
                let response = self.respond(asked, Arc::clone(&entry), Reason::StaleWhileRevalidate);
                let mut origin = Origin::stale(Reason::StaleWhileRevalidate, key, entry);
                origin.stale = origin.stale.filter(|stale| self.is_usable(stale));
                let mut exchange = Exchange::record(Arc::clone(self), asked, origin, Some(permit), position);
                exchange.nobody_waits();
                Lookup::ServeAndRefresh(response, exchange)
            }
        }
    }

    /// The load this request waited for failed: stale if that is allowed, else the same failure.
    pub(super) fn after_failure(self: &Arc<Self>, asked: &Asked<'_>, failure: &Outcome<B>) -> Lookup<B> {
        let at_hand = match failure {
            Outcome::Response(_, stale) | Outcome::Raised(_, stale) => stale.clone(),
            Outcome::Kept(..) => None,
        };
        let stale = match self.find(asked.key, asked.request.fields, asked.now) {
            Found::Response(entry, key, Standing::Current) => Some((entry, key)),
            _ => at_hand
                .filter(|entry| self.standing(entry) == Standing::Current)
                .map(|entry| (entry, asked.key)),
        };
        if let Some((entry, key)) = stale
            && asked.guard.is_none()
            && (reuse::may_serve_on_error(
                asked.head,
                self.settings.honor_request_directives,
                &entry.meta(),
                asked.now,
            ))
        {
            return self.serve(asked, key, entry, Reason::StaleIfError);
        }
        match failure {
            Outcome::Kept(..) => self.find_and_decide(asked, None),
            Outcome::Raised(error, _) => {
                self.saw_failure(asked);
                Lookup::Raised(Arc::clone(error))
            }
            Outcome::Response(entry, _) => {
                self.saw_failure(asked);
                let status = CacheStatus {
                    forward_status: Some(entry.meta().status),
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
    pub(super) fn gateway_timeout(&self, asked: &Asked<'_>) -> Lookup<B> {
        self.saw_refused(asked);
        let forward = cache_status::forward_for(Reason::OnlyIfCached);
        let status = CacheStatus {
            detail: Some(Reason::OnlyIfCached.token()),
            ..CacheStatus::forwarded(CACHE_NAME, forward)
        };
        let how = self.provenance(status, "MISS", false, asked.now);
        Lookup::Serve(Response::gateway_timeout(&how))
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
