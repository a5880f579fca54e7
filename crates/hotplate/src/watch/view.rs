//! What is stored under a key, for people.

use std::sync::Arc;

use hotplate_policy::time::Timestamp;
use serde::Serialize;

use crate::cache::Cache;
use crate::entry::{Body, Entry};
use crate::exchange::is_own_line;
use crate::key::Key;
use crate::log::Standing;
use crate::tier::local::Slot;

/// What stands under a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stands {
    /// A response.
    Response,
    /// A value, or the result of a function.
    Value,
    /// Responses are stored under the keys of their variants.
    Variants,
    /// Responses are stored under the significant part of their query.
    Queries,
    /// That the last answer could not be stored.
    NotStorable,
}

/// Where it was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Where {
    /// In this process.
    Local,
    /// In the shared tier.
    Shared,
}

/// What is stored, without its body. Times in seconds, sizes in bytes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct View {
    /// 32 hexadecimal digits.
    pub key: String,
    /// What the key stands for, where that is known; else the key.
    pub name: String,
    /// What it is.
    pub kind: Stands,
    /// Where it is.
    pub tier: Where,
    /// The status of a response.
    pub status: Option<u16>,
    /// How old it is (RFC 9111 §4.2.3).
    pub age: f64,
    /// What remains of its lifetime; negative: it is stale, for so long.
    pub ttl: f64,
    /// For how long after that it may be served while it is refreshed.
    pub stale_while_revalidate: f64,
    /// For how long after that it may be served where loading fails.
    pub stale_if_error: f64,
    /// Its tags.
    pub tags: Vec<String>,
    /// What it takes in memory.
    pub bytes: u64,
    /// How often this process has served it.
    pub hits: u32,
    /// Its key has a partition.
    pub partitioned: bool,
    /// It was marked stale.
    pub soft: bool,
    /// No invalidation has made it untrue.
    pub valid: bool,
    /// Of variants: the request fields that select.
    pub vary: Vec<String>,
    /// The field lines of a response.
    pub headers: Vec<(String, String)>,
}

impl View {
    /// Of what is no entry, in this process.
    #[must_use]
    pub fn of_record(key: Key, name: String, kind: Stands) -> Self {
        Self {
            key: key.to_string(),
            name,
            kind,
            tier: Where::Local,
            status: None,
            age: 0.0,
            ttl: 0.0,
            stale_while_revalidate: 0.0,
            stale_if_error: 0.0,
            tags: Vec::new(),
            bytes: 0,
            hits: 0,
            partitioned: false,
            soft: false,
            valid: true,
            vary: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// Of an entry, whose standing in the log is known.
    fn of_entry<C: Body>(
        key: Key,
        name: String,
        entry: &Entry<C>,
        tier: Where,
        standing: Standing,
        now: Timestamp,
    ) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let meta = &entry.meta();
        // Values have none.
        let is_response = meta.status >= 100;
        let headers = entry.fields().filter(|(name, _)| is_response && !is_own_line(name));
        #[allow(clippy::cast_precision_loss, reason = "seconds for people")]
        let ttl = meta.ttl_millis(now) as f64 / 1000.0;
        Self {
            tier,
            status: is_response.then_some(meta.status),
            age: meta.age(now).as_secs_f64(),
            ttl,
            stale_while_revalidate: meta.stale_while_revalidate.as_secs_f64(),
            stale_if_error: meta.stale_if_error.as_secs_f64(),
            tags: entry.tags().map(str::to_owned).collect(),
            bytes: entry.weight(),
            hits: entry.hits(),
            partitioned: entry.is_partitioned(),
            soft: standing == Standing::Soft,
            valid: standing != Standing::Invalid,
            headers: headers.map(|(name, value)| (text(name), text(value))).collect(),
            ..Self::of_record(key, name, if is_response { Stands::Response } else { Stands::Value })
        }
    }
}

/// A view, and the entry if it is one.
pub type Viewed<B> = (View, Option<Arc<Entry<B>>>);

impl<B: Body> Cache<B> {
    /// What this process has under a key, the variants it knows included; nothing where it has nothing.
    #[must_use]
    pub fn views(&self, key: Key, now: Timestamp) -> Vec<Viewed<B>> {
        let mut views = Vec::new();
        let name = |key| self.watch.labels.of(key);
        match self.local.peek(&key) {
            None => {}
            Some(Slot::Response(entry)) => views.push(self.view(key, entry, Where::Local, now)),
            Some(Slot::Sole(entry)) => {
                let Some(selection) = entry.selection() else { return views };
                let vary = selection.names().map(str::to_owned).collect();
                let variant = selection.variant();
                views.push((View { vary, ..View::of_record(key, name(key), Stands::Variants) }, None));
                views.push(self.view(variant, entry, Where::Local, now));
            }
            Some(Slot::HitForMiss { until }) if until > now => {
                let ttl = until.since(now).as_secs_f64();
                views.push((View { ttl, ..View::of_record(key, name(key), Stands::NotStorable) }, None));
            }
            Some(Slot::HitForMiss { .. }) => {}
            Some(Slot::Search(_)) => {
                views.push((View::of_record(key, name(key), Stands::Queries), None));
            }
            Some(Slot::Vary(record)) => {
                let vary = record.names().iter().map(ToString::to_string).collect();
                views.push((View { vary, ..View::of_record(key, name(key), Stands::Variants) }, None));
                for variant in record.variants() {
                    if let Some(Slot::Response(entry)) = self.local.peek(variant) {
                        views.push(self.view(*variant, entry, Where::Local, now));
                    }
                }
            }
        }
        views
    }

    /// As [`Cache::views`], and under the key of a variant also the response that is the only one of its primary key.
    ///
    /// **Cost**: where nothing is found, looks at everything that is stored here.
    #[must_use]
    pub fn views_of_printed(&self, key: Key, now: Timestamp) -> Vec<Viewed<B>> {
        let mut views = self.views(key, now);
        if views.is_empty() {
            let mut found = None;
            self.local.for_each_response(|own, entry| {
                if own == key {
                    found = Some(Arc::clone(entry));
                }
            });
            views.extend(found.map(|entry| self.view(key, entry, Where::Local, now)));
        }
        views
    }

    /// The view of an entry that was found.
    #[must_use]
    pub fn view(&self, key: Key, entry: Arc<Entry<B>>, tier: Where, now: Timestamp) -> Viewed<B> {
        let standing = match self.log.standing(entry.footprint(), entry.position) {
            Standing::Current if entry.is_soft() => Standing::Soft,
            standing => standing,
        };
        (View::of_entry(key, self.watch.labels.of(key), &entry, tier, standing, now), Some(entry))
    }
}
