//! Writing what was loaded.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hotplate_policy::time::Timestamp;

use super::counters::add;
use super::{Lease, Share};
use crate::entry::{Body, Entry};
use crate::key::Key;
use crate::tier::sealed::Kind;
use crate::tier::shared::{Fault, LeaseEnd, Publication, Published, Stamp};

/// The shortest time for which anything is written.
const SHORTEST: Duration = Duration::from_millis(1);

/// How much longer than asked the log is kept, so that it is not asked for every other response.
const RETAIN_FACTOR: u32 = 2;

/// A response or value to write, and the record that leads to it.
pub struct Storing<B> {
    /// Where it is written.
    pub key: Key,
    /// What it is.
    pub kind: Kind,
    /// It.
    pub entry: Arc<Entry<B>>,
    /// When its load began.
    pub stamp: Stamp,
    /// The records that lead to it.
    pub records: Vec<Leading>,
}

/// A record that leads from the key of a request to that of its response.
#[derive(Clone, Debug)]
pub enum Leading {
    /// Under the primary key: which request fields select.
    Vary(Key, Vec<Box<str>>),
    /// Under the key of all queries: `No-Vary-Search`.
    Search(Key, Vec<u8>),
}

impl<B: Body> Storing<B> {
    /// For how long the entry may be of use, from `now`.
    fn ttl(&self, now: Timestamp) -> Option<Duration> {
        let meta = &self.entry.meta();
        let longest = meta.lifetime + meta.stale_while_revalidate.max(meta.stale_if_error);
        longest.checked_sub(meta.age(now)).filter(|left| *left >= SHORTEST)
    }
}

impl Share {
    /// Writes a response in the background, then ends the lease under which it was loaded.
    pub fn store<B: Body>(self: &Arc<Self>, storing: Storing<B>, lease: Option<Lease>) {
        let share = Arc::clone(self);
        self.executor.spawn(Box::pin(async move {
            let end = share.store_now(storing).await;
            if let Some(lease) = lease {
                lease.end_now(end).await;
            }
        }));
    }

    /// Writes a response or value.
    ///
    /// # Returns
    ///
    /// How its lease ends: [`LeaseEnd::Failed`] if it could not be written, so that those who wait load for themselves.
    pub async fn store_now<B: Body>(&self, storing: Storing<B>) -> LeaseEnd {
        let Some(ttl) = storing.ttl(self.clock.now()) else { return LeaseEnd::NotStorable };
        let Some(published) = self.counters.answer(self.write(storing, ttl).await) else {
            return LeaseEnd::Failed;
        };
        add(match published {
            Published::Stored => &self.counters.stored,
            Published::Older => &self.counters.older,
        });
        LeaseEnd::Stored
    }

    /// Adds to a counter; `None`: it could not be told.
    pub(crate) fn tally(
        self: Arc<Self>,
        key: Key,
        number: i64,
        ttl: Duration,
    ) -> Pin<Box<dyn Future<Output = Option<i64>> + Send + 'static>> {
        Box::pin(async move { self.counters.answer(self.tier.tally(key, number, ttl).await) })
    }

    async fn write<B: Body>(&self, storing: Storing<B>, ttl: Duration) -> Result<Published, Fault> {
        if !self.tier.is_up() {
            return Err(Fault::Down);
        }
        self.retain(ttl).await?;
        let Storing { key, kind, entry, stamp, records } = storing;
        let size = entry.body().as_slice().len();
        let sealer = Arc::clone(&self.sealer);
        let sealed = self.work(size, move || {
            let mut payload = Vec::new();
            entry.encode(&mut payload);
            sealer.seal(key, kind, stamp, &payload)
        });
        let value = sealed.await.map_err(|_| Fault::Refused)?;
        let publication = Publication { key, value, stamp, ttl, force: false, extend: false };
        let published = self.tier.publish(publication).await?;
        for record in records {
            let (key, kind, text) = match record {
                Leading::Vary(primary, names) => (primary, Kind::VaryRecord, names.join("\n").into_bytes()),
                Leading::Search(family, text) => (family, Kind::SearchRecord, text),
            };
            let value = self.sealer.seal(key, kind, stamp, &text).map_err(|_| Fault::Refused)?;
            let publication = Publication { key, value, stamp, ttl, force: false, extend: true };
            self.tier.publish(publication).await?;
        }
        Ok(published)
    }

    /// Has the log kept for at least as long as anything is stored.
    async fn retain(&self, ttl: Duration) -> Result<(), Fault> {
        let millis = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        if millis <= self.retained_millis.load(Ordering::Acquire) {
            return Ok(());
        }
        let longest = ttl.saturating_mul(RETAIN_FACTOR);
        self.tier.retain(longest).await?;
        let millis = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        self.retained_millis.fetch_max(millis, Ordering::AcqRel);
        Ok(())
    }
}
