//! Values under names: what is not a response. The same tiers, the same log, the same lifetimes.
//!
//! A value that is *set* is told to every process, which drops its own copy of the one before; a reader never gets a value
//! older than the last it, or anybody whose call has returned, has set.
//!
//! # Reading
//!
//! Here: looking a value up, setting and removing it. `ask`: the results of functions, each loaded once however many call;
//! `load`: one such load, from the permit to what it leaves.

mod ask;
mod load;
mod tallies;
mod underway;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hotplate_policy::freshness::{Flags, StoredMeta};
use hotplate_policy::time::Timestamp;

use crate::cache::Cache;
use crate::entry::{Body, Entry, EntryParts};
use crate::key::Key;
use crate::log::{Footprint, Mode, Position, Standing, Target};
use crate::share::{Place, Purpose, SeekJob, Sought, Storing};
use crate::tier::local::Slot;
use crate::tier::sealed::Kind;
use crate::tier::shared::{LeaseEnd, Stamp};

pub use ask::{Landing, Plan, Round, Seek, Step, Waiting};
pub use load::Load;
pub(crate) use tallies::Tallies;
pub(crate) use underway::Underway;

/// What a value is, in the server's memory and in the shared tier.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// The bytes themselves.
    Plain,
    /// What a codec of the driver wrote.
    Coded,
}

impl Form {
    /// The form of a stored value.
    #[must_use]
    pub fn of<B>(entry: &Entry<B>) -> Self {
        if entry.meta().status == 0 { Self::Plain } else { Self::Coded }
    }

    /// Values have no status; its place says what they are.
    const fn status(self) -> u16 {
        match self {
            Self::Plain => 0,
            Self::Coded => 1,
        }
    }
}

/// On which terms a value is stored.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// For how long it is fresh.
    pub ttl: Duration,
    /// For how long after that it may be used while it is loaded anew.
    pub stale_while_revalidate: Duration,
    /// For how long after that it may be used when loading it fails.
    pub stale_if_error: Duration,
    /// By which it can be invalidated, beside its key.
    pub tags: &'a [String],
    /// What it is.
    pub form: Form,
}

/// A value as this process keeps it, and as the shared tier does; `None`: as here.
pub struct Content<B> {
    /// Here.
    pub own: B,
    /// There.
    pub shared: Option<B>,
}

/// What is stored under a name.
pub enum Value<B: Body> {
    /// This.
    Found(Arc<Entry<B>>),
    /// Nothing here: run the job, then ask [`Cache::landed_value`].
    Seek(SeekJob),
    /// Nothing.
    Absent,
}

/// An addition to a counter.
pub enum Tally {
    /// What it is now.
    Count(i64),
    /// A future of that; `None`: the shared tier cannot be told.
    Pending(Pin<Box<dyn Future<Output = Option<i64>> + Send + 'static>>),
}

/// A change on its way to the other processes. Ends with whether the shared tier has it.
pub type Changing = Pin<Box<dyn Future<Output = bool> + Send + 'static>>;

impl<B: Body> Cache<B> {
    /// Looks a value up. Never waits.
    #[must_use]
    pub fn value(&self, key: Key, now: Timestamp) -> Value<B> {
        if let Some(Slot::Response(entry)) = self.local.get(&key)
            && !self.share.as_ref().is_some_and(|share| share.bypasses())
        {
            if self.is_fresh_value(&entry, now) {
                return Value::Found(self.saw_value(entry));
            }
            if !self.is_of_use_later(&entry, now) {
                self.forget_value(key, &entry);
            }
        }
        match self.share.as_ref().filter(|share| share.is_up()) {
            Some(share) => Value::Seek(SeekJob::new(share, key, place(key), None, Purpose::Read)),
            None => {
                self.counters.count_miss();
                Value::Absent
            }
        }
    }

    /// Looks in the shared tier for a value, for somebody who wants to see what is stored; `None`: there is none, or it
    /// cannot be asked.
    #[must_use]
    pub fn look_for_value(&self, key: Key) -> Option<SeekJob> {
        let share = self.share.as_ref().filter(|share| share.is_up())?;
        Some(SeekJob::new(share, key, place(key), None, Purpose::Read))
    }

    /// What a job of [`Cache::value`] has found.
    #[must_use]
    pub fn landed_value(&self, key: Key, sought: Sought, now: Timestamp) -> Option<Arc<Entry<B>>> {
        let found = match sought {
            Sought::Found(sighting) => {
                Some(Arc::new(sighting.entry.landed(sighting.position, sighting.soft, None)))
            }
            _ => None,
        };
        let found = found.filter(|entry| self.is_fresh_value(entry, now));
        match &found {
            Some(entry) => {
                self.counters.count_hit();
                entry.note_hit();
                // What has to be decoded first is kept when it is: see `keep_decoded`.
                if Form::of(entry) == Form::Plain && !self.is_coded_only() {
                    self.keep_value(key, entry);
                }
            }
            None => self.counters.count_miss(),
        }
        found
    }

    /// A fresh value is used.
    fn saw_value(&self, entry: Arc<Entry<B>>) -> Arc<Entry<B>> {
        self.counters.count_hit();
        entry.note_hit();
        entry
    }

    /// Keeps a value that was found in the shared tier, in the form in which this process uses it.
    pub fn keep_decoded(&self, key: Key, found: &Entry<B>, own: B) {
        self.keep_value(key, &Arc::new(found.with_body(own)));
    }

    /// Counts a value of another process that could not be decoded.
    pub fn count_undecodable(&self) {
        if let Some(share) = &self.share {
            share.count_undecodable();
        }
    }

    /// Stores a value, in place of any other.
    ///
    /// # Returns
    ///
    /// Where there is a shared tier: a future that ends when it has the value, or cannot have it. This process has it at once.
    pub fn set_value(
        &self,
        key: Key,
        content: Content<B>,
        terms: &Terms<'_>,
        now: Timestamp,
    ) -> Option<Changing> {
        let (position, appending) = match &self.share {
            Some(_) => self.invalidate_all(&[Target::Key(key)], Mode::Hard, now),
            None => (self.position(), None),
        };
        let Content { own, shared } = content;
        let entry = self.new_value(key, own, terms, (position, now), now);
        self.counters.count_stored();
        {
            // Of two that are set at once by two threads, the one that is older by the log may come last.
            let _publishing = self.publishing();
            self.underway.outdate(key);
            let is_older = match self.local.get(&key) {
                Some(Slot::Response(present)) => present.began() > entry.began(),
                _ => false,
            };
            if !is_older {
                self.keep_value(key, &entry);
            }
        }
        let (share, appending) = (Arc::clone(self.share.as_ref()?), appending?);
        let entry = shared.map_or(entry, |body| self.new_value(key, body, terms, (position, now), now));
        Some(Box::pin(async move {
            let Some(head) = appending.await else { return false };
            let stamp = Stamp { head, request_time: now };
            let storing = Storing { key, kind: Kind::Value, entry, stamp, records: Vec::new() };
            share.store_now(storing).await == LeaseEnd::Stored
        }))
    }

    /// Removes a value.
    ///
    /// # Returns
    ///
    /// Where there is a shared tier: a future that ends when no other process can find it any more, or cannot be told now.
    pub fn delete_value(&self, key: Key, now: Timestamp) -> Option<Changing> {
        let (_, appending) = self.invalidate_all(&[Target::Key(key)], Mode::Hard, now);
        self.local.remove(&key);
        let (share, appending) = (Arc::clone(self.share.as_ref()?), appending?);
        Some(Box::pin(async move {
            let Some(head) = appending.await else { return false };
            // What was set since stays. What cannot be removed now is untrue all the same.
            share.remove_older(key, Stamp { head, request_time: Timestamp::default() }).await;
            true
        }))
    }

    /// Has a value live for `ttl` from now on.
    ///
    /// # Returns
    ///
    /// Whether there is one, or a future of that.
    pub fn touch_value(self: &Arc<Self>, key: Key, ttl: Duration, now: Timestamp) -> Result<bool, Changing> {
        let Some(share) = self.share.as_ref().filter(|share| share.is_up()) else {
            let _publishing = self.publishing();
            let Some(Slot::Response(entry)) = self.local.get(&key) else { return Ok(false) };
            let is_there = self.is_fresh_value(&entry, now);
            if is_there {
                self.keep_value(key, &Arc::new(entry.with_body(entry.body().share()).living(ttl, now)));
            }
            return Ok(is_there);
        };
        let (cache, share) = (Arc::clone(self), Arc::clone(share));
        let stamp = share.stamp(now);
        Err(Box::pin(async move {
            let job = SeekJob::new(&share, key, place(key), None, Purpose::Read);
            let (Sought::Found(sighting), Some(stamp)) = (job.run().await, stamp) else { return false };
            if !sighting.entry.is_fresh(now) {
                return false;
            }
            let entry = Arc::new(sighting.entry.living(ttl, now));
            let storing = Storing { key, kind: Kind::Value, entry, stamp, records: Vec::new() };
            let end = share.store_now(storing).await;
            // What is here has the time it had: the next lookup fetches it anew.
            cache.local.remove(&key);
            end == LeaseEnd::Stored
        }))
    }

    /// Adds to the counter of a key, which begins at 0 and lives for `ttl` from its first addition on.
    pub fn tally(&self, key: Key, number: i64, ttl: Duration, now: Timestamp) -> Tally {
        match &self.share {
            None => Tally::Count(self.tallies.add(key, number, ttl, now)),
            Some(share) => Tally::Pending(Arc::clone(share).tally(key, number, ttl)),
        }
    }

    fn is_fresh_value(&self, entry: &Entry<B>, now: Timestamp) -> bool {
        let standing = self.log.standing_cached(entry, entry.position, entry.verified());
        standing == Standing::Current && !entry.is_soft() && entry.is_fresh(now)
    }

    /// Whether a value that is not fresh may be used by a function.
    fn is_of_use_later(&self, entry: &Entry<B>, now: Timestamp) -> bool {
        let meta = &entry.meta();
        let window = meta.stale_while_revalidate.max(meta.stale_if_error);
        self.value_standing(entry) != Standing::Invalid
            && (meta.is_fresh(now) || meta.staleness(now) < window)
    }

    /// Frees what is of no use any more, unless something else stands there by now.
    fn forget_value(&self, key: Key, entry: &Arc<Entry<B>>) {
        let _publishing = self.publishing();
        if matches!(self.local.get(&key), Some(Slot::Response(present)) if Arc::ptr_eq(&present, entry)) {
            self.local.remove(&key);
        }
    }

    fn keep_value(&self, key: Key, entry: &Arc<Entry<B>>) {
        if self.keeps_responses {
            self.note_retention(&entry.meta());
            self.local.insert(key, Slot::Response(Arc::clone(entry)));
        }
    }

    fn new_value(
        &self,
        key: Key,
        body: B,
        terms: &Terms<'_>,
        (position, began): (Position, Timestamp),
        now: Timestamp,
    ) -> Arc<Entry<B>> {
        let named = terms.tags.iter().map(String::as_str);
        Arc::new(Entry::new(EntryParts {
            meta: StoredMeta {
                status: terms.form.status(),
                request_time: began,
                response_time: now,
                initial_age: Duration::ZERO,
                lifetime: terms.ttl,
                stale_while_revalidate: terms.stale_while_revalidate,
                stale_if_error: terms.stale_if_error,
                flags: Flags::default(),
                date: now,
                last_modified: None,
            },
            position,
            footprint: Footprint::of_value(&self.log, key, named),
            selection: None,
            fields: std::iter::empty(),
            tags: terms.tags,
            partitioned: false,
            body,
        }))
    }
}

/// A value answers to its key and its tags alone.
fn place(key: Key) -> Place {
    Place { primary: key, uri: None }
}
