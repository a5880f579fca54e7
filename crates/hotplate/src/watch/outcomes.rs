//! How requests were answered, by the rule that spoke for them.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::config::{RuleId, Settings};

/// How a request was answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Answered {
    /// From a fresh stored response.
    Hit,
    /// From a stale one.
    Stale,
    /// From a stored response that the application confirmed.
    Validated,
    /// By the application, to be stored.
    Miss,
    /// By the application, without looking for a stored response.
    Bypass,
}

/// What became of the requests of one rule.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct RuleCounts {
    /// The rule's pattern; `default`: requests for which no rule speaks.
    pub rule: String,
    /// See [`Answered::Hit`].
    pub hit: u64,
    /// See [`Answered::Stale`].
    pub stale: u64,
    /// See [`Answered::Validated`].
    pub validated: u64,
    /// See [`Answered::Miss`].
    pub miss: u64,
    /// See [`Answered::Bypass`].
    pub bypass: u64,
}

impl RuleCounts {
    /// Adds the numbers of the same rule elsewhere.
    pub(crate) fn add(&mut self, other: &Self) {
        self.hit += other.hit;
        self.stale += other.stale;
        self.validated += other.validated;
        self.miss += other.miss;
        self.bypass += other.bypass;
    }
}

/// Running numbers of one HTTP side: those of each rule in order, then those of requests without one.
#[derive(Debug)]
pub struct Outcomes {
    rules: Box<[(String, [AtomicU64; 5])]>,
}

impl Outcomes {
    /// For the rules of these settings.
    pub(crate) fn new(settings: &Settings) -> Self {
        let named = settings.rule_patterns().map(str::to_owned).chain(["default".to_owned()]);
        Self { rules: named.map(|name| (name, Default::default())).collect() }
    }

    pub(crate) fn count(&self, rule: RuleId, outcome: Answered) {
        self.counter(rule, outcome).fetch_add(1, Ordering::Relaxed);
    }

    fn counter(&self, rule: RuleId, outcome: Answered) -> &AtomicU64 {
        let last = self.rules.len() - 1;
        let place = match rule {
            RuleId::Listed(place) => place.min(last),
            RuleId::Default => last,
        };
        &self.rules[place].1[outcome as usize]
    }

    /// The numbers now.
    pub(crate) fn counts(&self) -> impl Iterator<Item = RuleCounts> + '_ {
        self.rules.iter().map(|(name, counts)| {
            let read = |outcome: Answered| counts[outcome as usize].load(Ordering::Relaxed);
            RuleCounts {
                rule: name.clone(),
                hit: read(Answered::Hit),
                stale: read(Answered::Stale),
                validated: read(Answered::Validated),
                miss: read(Answered::Miss),
                bypass: read(Answered::Bypass),
            }
        })
    }
}
