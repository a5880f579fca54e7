//! One run of a function whose result is to be kept.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use hotplate_policy::time::Timestamp;

use super::ask::Turn;
use super::underway::Passage;
use super::{Content, Form, Terms};
use crate::cache::{Cache, Outcome};
use crate::entry::{Body, Entry};
use crate::fill::End;
use crate::log::{Position, Standing};
use crate::share::{Lease, Storing};
use crate::tier::sealed::Kind;
use crate::tier::shared::{LeaseEnd, Stamp};

/// How long a function that failed is left alone, where something stale could be used in its place.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The right to call the function. Dropping it lets another call go on in its place.
#[must_use = "dropping the load abandons it"]
pub struct Load<B: Body> {
    cache: Arc<Cache<B>>,
    turn: Turn<B>,
    /// When it began.
    began: (Position, Timestamp),
    passage: Passage,
    stamp: Option<Stamp>,
    lease: Option<Lease>,
    /// What its call comes to is still to be counted.
    is_to_count: bool,
}

impl<B: Body> Load<B> {
    pub(super) fn new(cache: &Arc<Cache<B>>, turn: Turn<B>, lease: Option<Lease>, now: Timestamp) -> Self {
        let share = cache.share.as_ref().filter(|_| !turn.plan.local_only);
        let stamp = share.and_then(|share| share.stamp(now));
        let began = (cache.log.position(), now);
        let passage = cache.underway.begin(turn.key);
        let is_to_count = !turn.is_refresh;
        Self { cache: Arc::clone(cache), turn, began, passage, stamp, lease, is_to_count }
    }

    /// What may be used if this takes too long or fails.
    #[must_use]
    pub fn stale(&self, now: Timestamp) -> Option<&Arc<Entry<B>>> {
        self.turn.stale.as_ref().filter(|stale| self.cache.is_of_use_on_error(stale, now))
    }

    /// The function has returned: what it gave is stored, and given to everybody who waits.
    ///
    /// What an invalidation has made untrue since the load began is given to those who waited before it, and not stored.
    pub fn finish(mut self, content: Content<B>, terms: &Terms<'_>, now: Timestamp) {
        if terms.ttl.is_zero() {
            return self.give(content.own, now);
        }
        let (cache, key) = (Arc::clone(&self.cache), self.turn.key);
        let Content { own, shared } = content;
        let entry = cache.new_value(key, own, terms, self.began, now);
        cache.retries.clear(key);
        let is_true = cache.value_standing(&entry) == Standing::Current
            && cache.keep_loaded(key, &self.turn.plan, &entry, || !self.passage.is_outdated());
        if is_true {
            cache.counters.count_stored();
        }
        if let Some(permit) = self.turn.permit.take() {
            permit.finish(End::Given(Outcome::Kept(key, Arc::clone(&entry))));
        }
        let lease = self.lease.take();
        if let (true, Some(share), Some(stamp)) = (is_true, &cache.share, self.stamp) {
            let entry = shared.map_or(entry, |body| cache.new_value(key, body, terms, self.began, now));
            let storing = Storing { key, kind: Kind::Value, entry, stamp, records: Vec::new() };
            share.store(storing, lease);
        }
    }

    /// The function has returned what is not to be stored: it is given to everybody who waits here.
    pub fn give(mut self, own: B, now: Timestamp) {
        let terms = Terms {
            ttl: Duration::ZERO,
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            tags: &[],
            form: Form::Plain,
        };
        let entry = self.cache.new_value(self.turn.key, own, &terms, self.began, now);
        if let Some(permit) = self.turn.permit.take() {
            permit.finish(End::Given(Outcome::Kept(self.turn.key, entry)));
        }
        if let Some(lease) = self.lease.take() {
            lease.end(LeaseEnd::NotStorable);
        }
    }

    /// The function has raised; what, is the driver's to know. Everybody who waits gets it.
    ///
    /// # Returns
    ///
    /// What may be used in place of a result, also by those who wait: then the function is left alone for a while.
    pub fn fail(mut self, error: Arc<dyn Any + Send + Sync>, now: Timestamp) -> Option<Arc<Entry<B>>> {
        self.cache.counters.count_load_error();
        let stale = self.stale(now).cloned();
        if stale.is_some() || self.turn.is_refresh {
            self.cache.retries.note(self.turn.key, now, RETRY_AFTER);
        }
        if stale.is_some() && std::mem::take(&mut self.is_to_count) {
            self.cache.counters.count_stale();
        }
        if let Some(permit) = self.turn.permit.take() {
            permit.finish(End::Failed(Outcome::Raised(error, stale.clone())));
        }
        if let Some(lease) = self.lease.take() {
            lease.end(LeaseEnd::Failed);
        }
        stale
    }
}

impl<B: Body> Drop for Load<B> {
    fn drop(&mut self) {
        if self.is_to_count {
            self.cache.counters.count_miss();
        }
    }
}
