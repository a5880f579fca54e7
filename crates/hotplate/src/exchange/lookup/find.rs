//! What is stored for a request, and whether it may be used.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hotplate_policy::cache_status::Forward;
use hotplate_policy::fields::Fields;
use hotplate_policy::freshness::Flags;
use hotplate_policy::no_vary_search::SearchVariance;
use hotplate_policy::profile::Profile;
use hotplate_policy::reason::Reason;
use hotplate_policy::reuse::{self, Reuse};
use hotplate_policy::time::Timestamp;
use hotplate_policy::vary::SelectOptions;

use super::{Asked, HttpCache, Lookup, selecting};
use crate::entry::{Body, Entry};
use crate::exchange::load::Origin;
use crate::exchange::placing::Way;
use crate::key::{Key, KeyParts};
use crate::log::Standing;
use crate::tier::local::Slot;

/// What stands under a key.
pub(super) enum Found<B> {
    Response(Arc<Entry<B>>, Key, Standing),
    /// Responses are stored, none for this request's selecting fields; the key it would have.
    OtherVariants(Key),
    /// The last answer for this key could not be stored.
    HitForMiss(Key),
    Nothing(Reason, Key),
}

impl<B: Body> HttpCache<B> {
    /// `kept`: a response that is at hand without being in the local tier, and its key.
    pub(super) fn find_and_decide(
        self: &Arc<Self>,
        asked: &Asked<'_>,
        kept: Option<(Key, Arc<Entry<B>>)>,
    ) -> Lookup<B> {
        let found = match (self.find_by_parts(asked.key, &asked.parts, asked.request.fields, asked.now), kept)
        {
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

    /// What is stored under a key or, where nothing is, under that of the part of the query that matters.
    pub(super) fn find_by_parts(
        &self,
        key: Key,
        parts: &KeyParts<'_>,
        fields: Fields<'_>,
        now: Timestamp,
    ) -> Found<B> {
        match self.find(key, fields, now) {
            Found::Nothing(reason, key) => match self.significant(parts) {
                Some(other) => self.find(other, fields, now),
                None => Found::Nothing(reason, key),
            },
            found => found,
        }
    }

    /// The key by the part of the query that matters, where a response of this path said which part that is.
    pub(crate) fn significant(&self, parts: &KeyParts<'_>) -> Option<Key> {
        if !self.cache.knows_search_variance.load(Ordering::Relaxed) || parts.body.is_some() {
            return None;
        }
        match self.cache.local.get(&Key::family(parts)) {
            Some(Slot::Search(variance)) => Some(significant_key(parts, &variance)),
            _ => None,
        }
    }

    /// Follows the stored `Vary` from the primary key to the response for this request's fields.
    pub(super) fn find(&self, primary: Key, fields: Fields<'_>, now: Timestamp) -> Found<B> {
        let (slot, key) = match self.cache.local.get(&primary) {
            Some(Slot::Vary(record)) => {
                let names = record.names().iter().map(|name| &**name);
                let variant = self.variant(primary, names, fields);
                (self.cache.local.get(&variant), variant)
            }
            Some(Slot::Sole(entry)) => match entry.selection() {
                Some(selection) => {
                    let text = self.selecting(selection.names(), fields);
                    if *text == *selection.text() {
                        // Its key does not have to be made to be known.
                        let own = selection.variant();
                        (Some(Slot::Response(entry)), own)
                    } else {
                        let variant = primary.variant(&text);
                        (self.cache.local.get(&variant), variant)
                    }
                }
                None => (None, primary),
            },
            found => (found, primary),
        };
        match slot {
            None if key != primary => Found::OtherVariants(key),
            Some(Slot::Response(entry)) => {
                let standing = self.standing(&entry);
                if standing == Standing::Invalid {
                    self.forget(&Way { primaries: [Some(primary), None], fields }, key, &entry);
                    return Found::Nothing(Reason::Invalidated, key);
                }
                Found::Response(entry, key, standing)
            }
            Some(Slot::HitForMiss { until }) if until > now => Found::HitForMiss(key),
            Some(Slot::HitForMiss { .. }) => {
                self.cache.local.remove(&key);
                Found::Nothing(Reason::UriMiss, key)
            }
            Some(Slot::Sole(_) | Slot::Vary(_) | Slot::Search(_)) | None => {
                Found::Nothing(Reason::UriMiss, key)
            }
        }
    }

    /// What the log says of a response.
    pub(super) fn standing(&self, entry: &Entry<B>) -> Standing {
        match self.cache.log.standing_cached(entry, entry.position, entry.verified()) {
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
        let meta = &entry.meta();
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
            Reuse::Fresh => self.serve(asked, key, entry, Reason::Fresh),
            Reuse::StaleAllowed => self.serve(asked, key, entry, Reason::Stale),
            Reuse::StaleWhileRevalidate => self.serve_and_refresh(asked, entry, key),
            // What came or was confirmed while this request waited answers it, as it answered the one that loaded it.
            Reuse::Validate(_)
                if asked.waits > 0 && standing == Standing::Current && meta.response_time >= asked.since =>
            {
                self.serve(asked, key, entry, Reason::Fresh)
            }
            Reuse::Validate(reason) => {
                if self.cache.retries.is_held(key, asked.now)
                    && reuse::may_serve_on_error(asked.head, honor, meta, asked.now)
                {
                    return self.serve(asked, key, entry, Reason::StaleIfError);
                }
                self.miss(asked, Origin::stale(reason, key, entry))
            }
            Reuse::Forbidden(reason) => self.alone(asked, Origin::miss(reason, key)),
            Reuse::GatewayTimeout => self.gateway_timeout(asked),
        }
    }

    /// Whether no invalidation has dropped a response since its load began.
    pub(crate) fn is_usable(&self, entry: &Entry<B>) -> bool {
        self.cache.log.standing(entry.footprint(), entry.position) != Standing::Invalid
    }

    /// The key of the variant for a request's values of the fields that select.
    pub(crate) fn variant<'n>(
        &self,
        primary: Key,
        names: impl Iterator<Item = &'n str>,
        request: Fields<'_>,
    ) -> Key {
        primary.variant(&self.selecting(names, request))
    }

    /// A request's values of the fields that select, in canonical text.
    pub(crate) fn selecting<'n>(&self, names: impl Iterator<Item = &'n str>, request: Fields<'_>) -> Vec<u8> {
        // An application that takes the first language it is offered would get hits for another one.
        let normalise_language = self.settings.profile == Profile::Rfc9111;
        let options = SelectOptions { normalise_language, ..SelectOptions::default() };
        let mut text = Vec::with_capacity(64);
        for name in names {
            selecting::normalise(options, name, request, &mut text);
        }
        text
    }
}

/// The key of the responses to all queries that have the same significant part.
pub(crate) fn significant_key(parts: &KeyParts<'_>, variance: &SearchVariance) -> Key {
    Key::of(&KeyParts { query: &variance.significant(parts.query), ..*parts }).variant(b"significant query")
}
