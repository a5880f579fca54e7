//! All numbers of one process at one moment, as it tells them to whoever wants to see the whole cache.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use bytes::Bytes;

use hotplate_policy::reason::Reason;
use hotplate_policy::time::Timestamp;
use serde::Serialize;

use super::histogram::Spans;
use super::outcomes::RuleCounts;
use super::top::Tops;
use crate::cache::Cache;
use crate::entry::Body;
use crate::event::Stats;
use crate::key::Key;
use crate::log::Mode;
use crate::share::{Reporter, Share};
use crate::tier::sealed::OpenError;
use crate::tier::shared::Fault;

/// So many of the last invalidations are told.
const MOST_INVALIDATIONS: usize = 50;

/// So many keys and tags of each kind are told.
const MOST_TOP: usize = 20;

/// Stands among the rules for values and functions; the pattern of a rule begins with a slash.
const VALUES: &str = "values";

/// How the words of a record begin that came from another process, which tells it itself.
pub(crate) const BY_ANOTHER: &str = "by another process";

/// The numbers of one process. Times in seconds, sizes in bytes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Tells this cache of this process from every other.
    pub process: String,
    /// The machine.
    pub host: String,
    /// The number of the process.
    pub pid: u32,
    /// When the cache was made, in seconds since 1970.
    pub started: f64,
    /// The time of the report.
    pub at: f64,
    /// 1.
    pub processes: u32,
    /// What was counted since the cache was made, by the names of [`crate::event::Stats`].
    pub counts: BTreeMap<&'static str, u64>,
    /// Requests that were answered without looking for a stored response, by reason.
    pub bypass: BTreeMap<&'static str, u64>,
    /// Responses that could not be stored, by reason.
    pub not_stored: BTreeMap<&'static str, u64>,
    /// What became of requests, by rule.
    pub rules: Vec<RuleCounts>,
    /// How long what took.
    pub latency: BTreeMap<&'static str, Spans>,
    /// What is stored now.
    pub entries: u64,
    /// What that weighs.
    pub bytes: u64,
    /// The most it may weigh.
    pub max_bytes: u64,
    /// What was seen of the shared tier; nothing for a cache in memory.
    pub shared: Option<SharedReport>,
    /// How many results wait for an event loop.
    pub bridge_queue: u64,
    /// What is used most, and what is largest; empty where it was not asked for.
    pub top: Tops,
    /// The last invalidations of this process, newest first.
    pub invalidations: Vec<Invalidation>,
}

/// What a process has seen of the shared tier; see [`crate::share::ShareStats`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names of ShareStats")]
pub struct SharedReport {
    pub up: bool,
    pub certain: bool,
    pub server: Option<String>,
    pub trouble: Option<String>,
    /// `open`: nothing is asked. `closed`: it is asked.
    pub breaker: &'static str,
    pub epoch: u64,
    pub position: u64,
    /// How many records this process has heard of and not read.
    pub log_lag: u64,
    pub hits: u64,
    pub misses: u64,
    pub stored: u64,
    pub older: u64,
    pub leases: u64,
    pub waits: u64,
    pub outdated: u64,
    pub behind: u64,
    pub gaps: u64,
    pub epochs: u64,
    pub faults: BTreeMap<&'static str, u64>,
    pub unreadable: BTreeMap<&'static str, u64>,
}

/// An invalidation, for people.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Invalidation {
    /// In seconds since 1970.
    pub at: f64,
    /// What it names, in words.
    pub target: String,
    /// Whether what it names was marked stale, not dropped.
    pub soft: bool,
    /// Its place in the log of its process.
    pub position: u64,
    /// Which process it came from.
    pub process: String,
}

/// Seconds since 1970.
#[allow(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit")]
pub(crate) fn seconds(time: Timestamp) -> f64 {
    time.unix_millis() as f64 / 1000.0
}

impl<B: Body> Cache<B> {
    /// The numbers of this moment. `with_top`: also what is used most, for which everything that is stored is looked at.
    #[must_use]
    pub fn report(&self, with_top: bool, now: Timestamp) -> Report {
        let (watch, stats) = (&self.watch, self.stats());
        let identity = watch.identity();
        let pid = std::process::id();
        let process = format!("{}:{pid}:{:08x}", identity.host, watch.number());
        let mut rules: Vec<RuleCounts> = Vec::new();
        for site in watch.sites() {
            for counts in site.counts() {
                match rules.iter_mut().find(|known| known.rule == counts.rule) {
                    Some(known) => known.add(&counts),
                    None => rules.push(counts),
                }
            }
        }
        let values = outcomes_of_values(&stats, &rules);
        rules.extend(values);
        let mut latency = BTreeMap::from([
            ("hit", watch.hit.spans()),
            ("miss", watch.miss.spans()),
            ("load", watch.load.spans()),
        ]);
        if let Some(share) = self.share() {
            latency.insert("shared", share.lookups().spans());
        }
        let records = self.recent_invalidations(usize::MAX);
        let own = records.into_iter().filter(|record| !record.target.starts_with(BY_ANOTHER));
        let invalidations = own.take(MOST_INVALIDATIONS).map(|record| Invalidation {
            at: seconds(record.at),
            target: self.named(record.target),
            soft: record.mode == Mode::Soft,
            position: record.position.as_u64(),
            process: process.clone(),
        });
        Report {
            invalidations: invalidations.collect(),
            host: identity.host,
            pid,
            started: seconds(self.started()),
            at: seconds(now),
            processes: 1,
            counts: BTreeMap::from([
                ("hits", stats.hits),
                ("misses", stats.misses),
                ("stale", stats.stale),
                ("validated", stats.validated),
                ("collapsed", stats.collapsed),
                ("stored", stats.stored),
                ("failed_loads", stats.load_errors),
                ("invalidations", stats.invalidations),
                ("evictions", stats.evictions),
                ("refreshes", stats.refreshes),
            ]),
            bypass: by_reason(&stats.forwarded),
            not_stored: by_reason(&stats.not_stored),
            rules,
            latency,
            entries: stats.entries,
            bytes: stats.bytes,
            max_bytes: self.max_bytes(),
            shared: self.share().map(|share| SharedReport::of(share)),
            bridge_queue: (identity.waiting)(),
            top: if with_top { self.tops(MOST_TOP) } else { Tops::default() },
            process,
        }
    }

    /// From now on tells its numbers to all processes, if there is a shared tier.
    pub fn report_on_share(self: &Arc<Self>) {
        if let Some(share) = self.share() {
            let own: Weak<Self> = Arc::downgrade(self);
            share.report_by(own);
        }
    }

    /// The words of a record, with what its key stands for.
    fn named(&self, target: String) -> String {
        let key = target.strip_prefix("key ").and_then(|digits| u128::from_str_radix(digits, 16).ok());
        match key {
            Some(key) => format!("key {}", self.watch.labels.of(Key::from_u128(key))),
            None => target,
        }
    }
}

impl Report {
    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl<B: Body> Reporter for Cache<B> {
    fn report(&self, in_full: bool) -> (String, Bytes) {
        let report = Cache::report(self, in_full, self.now());
        let json = report.to_json().into();
        (report.process, json)
    }
}

impl SharedReport {
    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// What a process has seen of the shared tier by now.
    #[must_use]
    pub fn of(share: &Share) -> Self {
        let stats = share.stats();
        let named = |names: Vec<&'static str>, counts: &[u64]| {
            names.into_iter().zip(counts.iter().copied()).filter(|(_, count)| *count > 0).collect()
        };
        let unreadable = OpenError::ALL.iter().map(|error| error.token()).chain(["content"]).collect();
        Self {
            up: stats.up && share.server().is_some(),
            certain: stats.certain,
            server: share.server(),
            trouble: share.trouble(),
            breaker: if stats.up { "closed" } else { "open" },
            epoch: stats.head.epoch,
            position: stats.head.position,
            log_lag: stats.lag,
            hits: stats.hits,
            misses: stats.misses,
            stored: stats.stored,
            older: stats.older,
            leases: stats.leases,
            waits: stats.waits,
            outdated: stats.outdated,
            behind: stats.behind,
            gaps: stats.gaps,
            epochs: stats.epochs,
            faults: named(Fault::ALL.iter().map(|fault| fault.token()).collect(), &stats.faults),
            unreadable: named(unreadable, &stats.unreadable),
        }
    }
}

/// What became of lookups of values and calls of cached functions: no rule speaks for them.
fn outcomes_of_values(stats: &Stats, rules: &[RuleCounts]) -> Option<RuleCounts> {
    let rest = |all: u64, of: fn(&RuleCounts) -> u64| all.saturating_sub(rules.iter().map(of).sum());
    let values = RuleCounts {
        rule: VALUES.to_owned(),
        hit: rest(stats.hits, |counts| counts.hit),
        stale: rest(stats.stale, |counts| counts.stale),
        miss: rest(stats.misses, |counts| counts.miss),
        ..RuleCounts::default()
    };
    (values.hit + values.stale + values.miss > 0).then_some(values)
}

fn by_reason(counts: &[u64]) -> BTreeMap<&'static str, u64> {
    let counted = Reason::ALL.iter().filter_map(|reason| {
        counts.get(reason.index()).filter(|count| **count > 0).map(|count| (reason.token(), *count))
    });
    counted.collect()
}
