//! The last requests: what was done with each, and why.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hotplate_policy::explain::Decision;
use hotplate_policy::time::Timestamp;
use serde::Serialize;

use super::outcomes::Answered;

/// So many are kept.
const MOST: usize = 256;

/// For so long after somebody asked, hits are kept too.
const WATCHED: Duration = Duration::from_secs(60);

/// A request and what came of it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When it came.
    pub at: Timestamp,
    /// The method, as received.
    pub method: String,
    /// Host, path and query.
    pub url: String,
    /// How it was answered.
    pub outcome: Answered,
    /// Why.
    pub decision: Decision,
    /// What became of the application's response.
    pub stored: Option<Decision>,
    /// From the request to the head of its answer, where the application gave it.
    pub took: Option<Duration>,
}

/// A decision for people: see [`Seen`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Told {
    /// Seconds since 1970.
    pub at: f64,
    /// The method.
    pub method: String,
    /// Host, path and query.
    pub url: String,
    /// How it was answered.
    pub outcome: Answered,
    /// The word for why.
    pub reason: &'static str,
    /// In a sentence or two.
    pub sentence: String,
    /// From the request to the head of its answer.
    pub seconds: Option<f64>,
}

impl Seen {
    /// In words.
    #[must_use]
    pub fn told(&self) -> Told {
        let stored = self.stored.map(|stored| format!(" {stored}")).unwrap_or_default();
        Told {
            at: super::report::seconds(self.at),
            method: self.method.clone(),
            url: self.url.clone(),
            outcome: self.outcome,
            reason: self.decision.reason.token(),
            sentence: format!("{}{stored}", self.decision),
            seconds: self.took.map(|took| took.as_secs_f64()),
        }
    }
}

/// The last ones.
#[derive(Debug)]
pub struct Decisions {
    last: Mutex<VecDeque<Seen>>,
    watched_until: AtomicI64,
}

impl Default for Decisions {
    fn default() -> Self {
        Self { last: Mutex::default(), watched_until: AtomicI64::new(i64::MIN) }
    }
}

impl Decisions {
    /// Whether hits are kept, too.
    pub(crate) fn is_watched(&self, now: Timestamp) -> bool {
        self.watched_until.load(Ordering::Relaxed) > now.unix_millis()
    }

    pub(crate) fn keep(&self, seen: Seen) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == MOST {
            last.pop_back();
        }
        last.push_front(seen);
    }

    /// The newest, newest first. From now on hits are kept for a while.
    #[must_use]
    pub fn newest(&self, most: usize, now: Timestamp) -> Vec<Told> {
        self.watched_until.store(now.plus(WATCHED).unix_millis(), Ordering::Relaxed);
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.iter().take(most).map(Seen::told).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hotplate_policy::explain::Act;
    use hotplate_policy::reason::Reason;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_000);

    fn seen(number: usize) -> Seen {
        Seen {
            at: NOW,
            method: "GET".into(),
            url: format!("example.org/{number}"),
            outcome: Answered::Miss,
            decision: Decision::new(Act::Forwarded, Reason::UriMiss),
            stored: Some(Decision { status: Some(200), ..Decision::new(Act::Stored, Reason::Fresh) }),
            took: Some(Duration::from_millis(250)),
        }
    }

    #[test]
    fn the_newest_come_first_and_no_more_than_there_is_room_for() {
        let decisions = Decisions::default();
        (0..MOST + 10).for_each(|number| decisions.keep(seen(number)));
        let told = decisions.newest(usize::MAX, NOW);
        assert_eq!(told.len(), MOST);
        assert_eq!(told.first().map(|told| told.url.as_str()), Some("example.org/265"));
    }

    #[test]
    fn a_decision_is_told_in_sentences() {
        let told = seen(1).told();
        assert_eq!(
            told.sentence,
            "Forwarded to the origin: nothing is stored for this URI (RFC 9111 §4). Stored: status 200."
        );
        assert_eq!((told.reason, told.seconds), ("uri-miss", Some(0.25)));
    }

    #[test]
    fn hits_are_kept_for_a_while_after_somebody_asked() {
        let decisions = Decisions::default();
        assert!(!decisions.is_watched(NOW));
        drop(decisions.newest(1, NOW));
        assert!(decisions.is_watched(NOW.plus(Duration::from_secs(59))));
        assert!(!decisions.is_watched(NOW.plus(Duration::from_secs(60))));
    }
}
