//! Values under names: what is not a response. The same tiers, the same log, the same lifetimes.
//!
//! A value that is *set* is told to every process, which drops its own copy of the one before; a reader never gets a value
//! older than the last it, or anybody whose call has returned, has set.

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

/// What is stored under a name.
pub enum Value<B: Body> {
    /// This.
    Found(Arc<Entry<B>>),
    /// Nothing here: run the job, then ask [`Cache::landed_value`].
    Seek(SeekJob),
    /// Nothing.
    Absent,
}

/// A change on its way to the other processes. Ends with whether the shared tier has it.
pub type Changing = Pin<Box<dyn Future<Output = bool> + Send + 'static>>;

impl<B: Body> Cache<B> {
    /// Looks a value up. Never waits.
    #[must_use]
    pub fn value(&self, key: Key, now: Timestamp) -> Value<B> {
        if let Some(Slot::Response(entry)) = self.local.get(&key)
            && self.is_fresh_value(&entry, now)
            && !self.share.as_ref().is_some_and(|share| share.bypasses())
        {
            self.counters.count_hit();
            return Value::Found(entry);
        }
        match self.share.as_ref().filter(|share| share.is_up()) {
            Some(share) => Value::Seek(SeekJob::new(share, key, place(key), None, Purpose::Read)),
            None => {
                self.counters.count_miss();
                Value::Absent
            }
        }
    }

    /// What a job of [`Cache::value`] has found.
    #[must_use]
    pub fn landed_value(&self, key: Key, sought: Sought, now: Timestamp) -> Option<Arc<Entry<B>>> {
        let found = match sought {
            Sought::Found(sighting) => {
                Some(Arc::new(sighting.entry.landed(sighting.position, sighting.soft)))
            }
            _ => None,
        };
        let found = found.filter(|entry| self.is_fresh_value(entry, now));
        match &found {
            Some(entry) => {
                self.counters.count_hit();
                self.keep_value(key, entry);
            }
            None => self.counters.count_miss(),
        }
        found
    }

    /// Stores a value, in place of any other.
    ///
    /// # Returns
    ///
    /// Where there is a shared tier: a future that ends when it has the value, or cannot have it. This process has it at once.
    pub fn set_value(
        &self,
        key: Key,
        body: B,
        ttl: Duration,
        tags: &[String],
        now: Timestamp,
    ) -> Option<Changing> {
        let (position, appending) = match &self.share {
            Some(_) => self.invalidate_all(&[Target::Key(key)], Mode::Hard, now),
            None => (self.position(), None),
        };
        let entry = self.new_value(key, body, ttl, tags, position, now);
        self.counters.count_stored();
        self.keep_value(key, &entry);
        let (share, appending) = (Arc::clone(self.share.as_ref()?), appending?);
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

    fn is_fresh_value(&self, entry: &Entry<B>, now: Timestamp) -> bool {
        let standing = self.log.standing_cached(&entry.footprint, entry.position, entry.verified());
        standing == Standing::Current && !entry.is_soft() && entry.meta.is_fresh(now)
    }

    fn keep_value(&self, key: Key, entry: &Arc<Entry<B>>) {
        if self.keeps_responses {
            self.note_retention(&entry.meta);
            self.local.insert(key, Slot::Response(Arc::clone(entry)));
        }
    }

    fn new_value(
        &self,
        key: Key,
        body: B,
        ttl: Duration,
        tags: &[String],
        position: Position,
        now: Timestamp,
    ) -> Arc<Entry<B>> {
        let named = tags.iter().map(String::as_str);
        Arc::new(Entry::new(EntryParts {
            meta: StoredMeta {
                status: 0,
                request_time: now,
                response_time: now,
                initial_age: Duration::ZERO,
                lifetime: ttl,
                stale_while_revalidate: Duration::ZERO,
                stale_if_error: Duration::ZERO,
                flags: Flags::default(),
                date: now,
                last_modified: None,
            },
            position,
            epoch: 0,
            footprint: Footprint::of_value(&self.log, key, named),
            fields: std::iter::empty(),
            tags,
            partitioned: false,
            body,
        }))
    }
}

/// A value answers to its key and its tags alone.
fn place(key: Key) -> Place {
    Place { primary: key, uri: None }
}
