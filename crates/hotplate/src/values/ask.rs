//! The results of functions: which to use, which to load, and who loads.

use std::any::Any;
use std::sync::Arc;

use hotplate_policy::time::Timestamp;

use super::{Load, place};
use crate::cache::{Cache, Outcome};
use crate::entry::{Body, Entry};
use crate::fill::{End, Join, Permit, Ticket};
use crate::key::Key;
use crate::log::{Footprint, Position, Standing};
use crate::share::{Lease, Purpose, SeekJob, Sought};
use crate::tier::local::Slot;

/// How often one call waits for another one's load before it loads for itself.
const MOST_WAITS: u8 = 3;

/// How often the shared tier is asked for one call.
const MOST_SEEKS: u8 = 4;

/// How the results of one function are kept.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The part of its lifetime after which a result that is used is loaded anew meanwhile, 0 to 1; `None`: never before
    /// it is stale.
    pub refresh_ahead: Option<f64>,
    /// The shared tier is not used.
    pub local_only: bool,
    /// One call loads, the others wait for it.
    pub collapses: bool,
}

/// What a call has already been through. Starts as the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Round {
    /// How often it has waited.
    pub waits: u8,
    /// The deadline of waiting has passed.
    pub timed_out: bool,
}

/// What is to be done for a call.
pub enum Step<B: Body> {
    /// Use this.
    Found(Arc<Entry<B>>),
    /// Use this, which is fresh, and go on with the other step, if there is one, for nobody.
    Due(Arc<Entry<B>>, Option<Box<Self>>),
    /// Use this, which is stale, and go on with the other step, if there is one, for nobody.
    Stale(Arc<Entry<B>>, Option<Box<Self>>),
    /// Look in the shared tier: run [`Seek::job`], then give both to [`Cache::found`].
    Seek(Seek<B>),
    /// Decode what was found there.
    Landed(Landing<B>),
    /// Call the function.
    Load(Load<B>),
    /// Another call loads: wait for [`Waiting::ticket`], then [`Cache::ask_again`].
    Wait(Waiting<B>),
    /// The load that was waited for raised: this is the call's error too.
    Raised(Arc<dyn Any + Send + Sync>),
    /// There is nothing to do: somebody else refreshes it.
    Nothing,
}

/// One call on its way to a result.
pub(super) struct Turn<B: Body> {
    pub(super) key: Key,
    pub(super) plan: Plan,
    /// `None`: it loads for itself alone.
    pub(super) permit: Option<Permit<Outcome<B>>>,
    /// What may be used if loading takes too long or fails.
    pub(super) stale: Option<Arc<Entry<B>>>,
    /// What began to load no later is of no use.
    newer_than: Option<Timestamp>,
    /// Nobody waits: something else is used meanwhile.
    pub(super) is_refresh: bool,
    /// How often the shared tier was asked.
    seeks: u8,
}

/// A lookup in the shared tier. Dropping it lets another call go on in its place.
pub struct Seek<B: Body> {
    turn: Turn<B>,
    job: Option<SeekJob>,
}

impl<B: Body> Seek<B> {
    /// What is to be awaited; there once.
    pub fn job(&mut self) -> Option<SeekJob> {
        self.job.take()
    }

    /// What may be used if this takes too long.
    pub fn stale(&self, cache: &Cache<B>, now: Timestamp) -> Option<&Arc<Entry<B>>> {
        self.turn.stale.as_ref().filter(|stale| cache.is_of_use_on_error(stale, now))
    }
}

/// A call that waits for another one's load.
pub struct Waiting<B: Body> {
    /// Ends with the load.
    pub ticket: Ticket<Outcome<B>>,
    /// The log when the call was made.
    asked: Position,
    stale: Option<Arc<Entry<B>>>,
}

impl<B: Body> Waiting<B> {
    /// What may be used if this takes too long.
    pub fn stale(&self, cache: &Cache<B>, now: Timestamp) -> Option<&Arc<Entry<B>>> {
        self.stale.as_ref().filter(|stale| cache.is_of_use_on_error(stale, now))
    }
}

/// A value of another process, not decoded yet. Dropping it lets another call go on in its place.
pub struct Landing<B: Body> {
    turn: Turn<B>,
    entry: Entry<B>,
}

impl<B: Body> Landing<B> {
    /// What was found.
    #[must_use]
    pub fn entry(&self) -> &Entry<B> {
        &self.entry
    }
}

impl<B: Body> Cache<B> {
    /// The fresh result under a key, if it is at hand and nothing else is to be done. Never waits.
    #[must_use]
    pub fn recall(&self, key: Key, plan: &Plan, now: Timestamp) -> Option<Arc<Entry<B>>> {
        let Some(Slot::Response(entry)) = self.local.get(&key) else { return None };
        let usable = self.is_fresh_value(&entry, now)
            && !plan.is_due(&entry, now)
            && !self.share.as_ref().is_some_and(|share| share.bypasses());
        usable.then(|| self.saw_value(entry))
    }

    /// What is to be done for a call. Never waits.
    pub fn ask(self: &Arc<Self>, key: Key, plan: &Plan, round: Round, now: Timestamp) -> Step<B> {
        if round.timed_out || self.share.as_ref().is_some_and(|share| share.bypasses()) {
            return self.load_alone(key, plan, now);
        }
        let known = match self.local.get(&key) {
            Some(Slot::Response(entry)) => match self.value_standing(&entry) {
                Standing::Invalid => {
                    self.forget_value(key, &entry);
                    None
                }
                standing => Some((entry, standing)),
            },
            _ => None,
        };
        let Some((entry, standing)) = known else { return self.miss_value(key, plan, round, None, now) };
        if standing == Standing::Current && entry.is_fresh(now) {
            if plan.is_due(&entry, now) {
                let refresh = self.refresh_value(key, plan, &entry, now);
                return Step::Due(self.saw_value(entry), refresh);
            }
            return Step::Found(self.saw_value(entry));
        }
        if is_usable_while_renewed(&entry, standing, now) {
            self.counters.count_stale();
            let refresh = self.refresh_value(key, plan, &entry, now);
            return Step::Stale(entry, refresh);
        }
        if is_usable_on_error(&entry, now) && self.retries.is_held(key, now) {
            self.counters.count_stale();
            return Step::Stale(entry, None);
        }
        self.miss_value(key, plan, round, Some(entry), now)
    }

    /// As [`Cache::ask`], by a call that has waited for another one's load.
    ///
    /// Where the log has moved between the beginning of that load and the call, an error and a result that is not stored
    /// may come from before an invalidation that the caller knows of: nobody can say what it would have answered to.
    pub fn ask_again(
        self: &Arc<Self>,
        key: Key,
        plan: &Plan,
        round: Round,
        waited: &Waiting<B>,
        now: Timestamp,
    ) -> Step<B> {
        let end = if round.timed_out { None } else { waited.ticket.try_end() };
        let is_recent = waited.ticket.position() >= waited.asked;
        match end {
            Some(End::Given(Outcome::Kept(_, entry)))
                if (is_recent || !entry.meta().lifetime.is_zero())
                    && self.log.standing(entry.footprint(), entry.position) != Standing::Invalid =>
            {
                self.counters.count_collapsed();
                Step::Found(self.saw_value(entry))
            }
            Some(End::Failed(Outcome::Raised(error, stale))) => {
                self.counters.count_collapsed();
                match stale.filter(|stale| self.is_of_use_on_error(stale, now)) {
                    Some(stale) => {
                        self.counters.count_stale();
                        Step::Stale(stale, None)
                    }
                    None if is_recent => {
                        self.counters.count_miss();
                        Step::Raised(error)
                    }
                    None => self.ask(key, plan, round, now),
                }
            }
            _ => self.ask(key, plan, round, now),
        }
    }

    /// Calls the function whatever is stored; what is under way is not waited for.
    pub fn load_alone(self: &Arc<Self>, key: Key, plan: &Plan, now: Timestamp) -> Step<B> {
        self.load_value(Turn::new(key, plan), None, now)
    }

    /// The shared tier has answered, or has not.
    pub fn found(self: &Arc<Self>, seek: Seek<B>, sought: Sought, now: Timestamp) -> Step<B> {
        let turn = seek.turn;
        match sought {
            Sought::Found(sighting) => {
                let entry = sighting.entry.landed(sighting.position, sighting.soft, None);
                Step::Landed(Landing { turn, entry })
            }
            Sought::Lease(lease) => self.load_value(turn, Some(lease), now),
            Sought::Busy => {
                if let Some(permit) = turn.permit {
                    permit.finish(End::Stored);
                }
                Step::Nothing
            }
            _ => self.load_value(turn, None, now),
        }
    }

    /// What was found in the shared tier is decoded.
    pub fn accept(self: &Arc<Self>, landing: Landing<B>, own: B, now: Timestamp) -> Step<B> {
        let Landing { mut turn, entry } = landing;
        let entry = Arc::new(entry.with_body(own));
        let standing = self.value_standing(&entry);
        let is_fresh = standing == Standing::Current && entry.is_fresh(now);
        if standing == Standing::Invalid {
            return self.seek_value(turn, now);
        }
        if !is_fresh && !is_usable_while_renewed(&entry, standing, now) {
            if is_usable_on_error(&entry, now) && self.retries.is_held(turn.key, now) {
                if let Some(permit) = turn.permit {
                    permit.finish(End::Given(Outcome::Kept(turn.key, Arc::clone(&entry))));
                }
                self.counters.count_stale();
                return Step::Stale(entry, None);
            }
            turn.newer_than = Some(entry.meta().request_time);
            turn.stale = Some(entry);
            return self.seek_value(turn, now);
        }
        self.keep_loaded(turn.key, &turn.plan, &entry, || true);
        if let Some(permit) = turn.permit {
            permit.finish(End::Given(Outcome::Kept(turn.key, Arc::clone(&entry))));
        }
        if turn.is_refresh {
            return Step::Nothing;
        }
        if is_fresh {
            return Step::Found(self.saw_value(entry));
        }
        self.counters.count_stale();
        let refresh = self.refresh_value(turn.key, &turn.plan, &entry, now);
        Step::Stale(entry, refresh)
    }

    /// What was found in the shared tier is of no use: it cannot be decoded.
    pub fn reject(self: &Arc<Self>, landing: Landing<B>, now: Timestamp) -> Step<B> {
        let Landing { mut turn, entry } = landing;
        self.count_undecodable();
        turn.newer_than = Some(entry.meta().request_time);
        self.seek_value(turn, now)
    }

    fn miss_value(
        self: &Arc<Self>,
        key: Key,
        plan: &Plan,
        round: Round,
        stale: Option<Arc<Entry<B>>>,
        now: Timestamp,
    ) -> Step<B> {
        let turn = Turn::new(key, plan).instead_of(stale);
        if !plan.collapses || round.waits >= MOST_WAITS {
            return self.seek_value(turn, now);
        }
        let asked = self.log.position();
        match self.join_value(key) {
            // What it renews may be good enough for this call, and is not at hand.
            Join::Wait(ticket) if ticket.is_refresh() && !self.keeps(plan) => self.seek_value(turn, now),
            Join::Wait(ticket) => Step::Wait(Waiting { ticket, asked, stale: turn.stale }),
            Join::Lead(permit) => {
                if let Some(Slot::Response(entry)) = self.local.get(&key)
                    && self.is_fresh_value(&entry, now)
                {
                    // A load on another thread ended between the lookup and the permit.
                    permit.finish(End::Stored);
                    return Step::Found(self.saw_value(entry));
                }
                self.seek_value(Turn { permit: Some(permit), ..turn }, now)
            }
        }
    }

    /// Has a value loaded anew while it is used; `None`: somebody does that already, or it failed just now.
    fn refresh_value(
        self: &Arc<Self>,
        key: Key,
        plan: &Plan,
        entry: &Arc<Entry<B>>,
        now: Timestamp,
    ) -> Option<Box<Step<B>>> {
        if self.retries.is_held(key, now) {
            return None;
        }
        let Join::Lead(permit) = self.join_value(key) else { return None };
        permit.note_refresh();
        self.counters.count_refresh();
        let turn = Turn::new(key, plan).instead_of(Some(Arc::clone(entry)));
        Some(Box::new(self.seek_value(Turn { permit: Some(permit), is_refresh: true, ..turn }, now)))
    }

    fn join_value(&self, key: Key) -> Join<Outcome<B>> {
        let position = self.log.position();
        self.fills.join(key, position, |began| {
            began == position
                || self.log.standing(&Footprint::of_value(&self.log, key, []), began) == Standing::Current
        })
    }

    fn seek_value(self: &Arc<Self>, turn: Turn<B>, now: Timestamp) -> Step<B> {
        // Who loads without a permit only reads, and once.
        let most = if turn.permit.is_some() { MOST_SEEKS } else { 1 };
        let share = self.share.as_ref().filter(|share| share.is_up());
        let Some(share) = share.filter(|_| !turn.plan.local_only && turn.seeks < most) else {
            return self.load_value(turn, None, now);
        };
        let purpose = match (&turn.permit, turn.is_refresh) {
            (None, _) => Purpose::Read,
            (Some(_), true) => Purpose::Refresh,
            (Some(_), false) => Purpose::Answer,
        };
        let job = SeekJob::new(share, turn.key, place(turn.key), turn.newer_than, purpose);
        Step::Seek(Seek { turn: Turn { seeks: turn.seeks + 1, ..turn }, job: Some(job) })
    }

    fn load_value(self: &Arc<Self>, turn: Turn<B>, lease: Option<Lease>, now: Timestamp) -> Step<B> {
        Step::Load(Load::new(self, turn, lease, now))
    }

    pub(super) fn value_standing(&self, entry: &Entry<B>) -> Standing {
        match self.log.standing_cached(entry, entry.position, entry.verified()) {
            Standing::Current if entry.is_soft() => Standing::Soft,
            standing => standing,
        }
    }

    /// Whether a value may be used in place of one that is not to be had.
    pub(super) fn is_of_use_on_error(&self, entry: &Entry<B>, now: Timestamp) -> bool {
        is_usable_on_error(entry, now) && self.value_standing(entry) != Standing::Invalid
    }

    /// Whether results stand where a lookup in this process finds them.
    fn keeps(&self, plan: &Plan) -> bool {
        self.keeps_responses || plan.local_only
    }

    /// Puts what was loaded where lookups find it, unless something newer stands there.
    ///
    /// # Arguments
    ///
    /// `is_newest`: asked while nothing can be set.
    ///
    /// # Returns
    ///
    /// What that said.
    pub(super) fn keep_loaded(
        &self,
        key: Key,
        plan: &Plan,
        entry: &Arc<Entry<B>>,
        is_newest: impl FnOnce() -> bool,
    ) -> bool {
        let _publishing = self.publishing();
        let is_newest = is_newest();
        let is_newer = |present: &Entry<B>| present.began() > entry.began();
        let keeps = is_newest && self.keeps(plan);
        if keeps && !matches!(self.local.get(&key), Some(Slot::Response(present)) if is_newer(&present)) {
            self.note_retention(&entry.meta());
            self.local.insert(key, Slot::Response(Arc::clone(entry)));
        }
        is_newest
    }
}

impl<B: Body> Turn<B> {
    fn new(key: Key, plan: &Plan) -> Self {
        let plan = *plan;
        Self { key, plan, permit: None, stale: None, newer_than: None, is_refresh: false, seeks: 0 }
    }

    /// Of what is known something newer is wanted.
    fn instead_of(self, stale: Option<Arc<Entry<B>>>) -> Self {
        let newer_than = stale.as_ref().map(|stale| stale.meta().request_time);
        Self { stale, newer_than, ..self }
    }
}

impl Plan {
    /// Whether a fresh result is old enough to be loaded anew.
    fn is_due<B>(&self, entry: &Entry<B>, now: Timestamp) -> bool {
        self.refresh_ahead.is_some_and(|part| entry.meta().age(now) >= entry.meta().lifetime.mul_f64(part))
    }
}

/// Within its lifetime where it was marked stale, and in the window after it.
fn is_usable_while_renewed<B>(entry: &Entry<B>, standing: Standing, now: Timestamp) -> bool {
    let meta = &entry.meta();
    (standing == Standing::Soft && meta.is_fresh(now))
        || (!meta.is_fresh(now) && meta.staleness(now) < meta.stale_while_revalidate)
}

fn is_usable_on_error<B>(entry: &Entry<B>, now: Timestamp) -> bool {
    entry.is_fresh(now) || entry.meta().staleness(now) < entry.meta().stale_if_error
}
