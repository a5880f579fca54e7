//! How requests are counted, and told to people who look.

use hotplate_policy::explain::{Act, Decision};
use hotplate_policy::reason::Reason;
use hotplate_policy::time::Timestamp;

use crate::config::RuleId;
use crate::entry::{Body, Entry};
use crate::exchange::load::Exchange;
use crate::exchange::lookup::{Asked, HttpCache};
use crate::exchange::request::Request;
use crate::key::Key;
use crate::watch::decisions::Seen;
use crate::watch::outcomes::Answered;

/// Host, path and query, as people write them.
fn url(authority: &[u8], path: &[u8], query: &[u8]) -> String {
    let mut text = String::with_capacity(authority.len() + path.len() + 1 + query.len());
    push(&mut text, authority);
    push(&mut text, path);
    if !query.is_empty() {
        text.push('?');
        push(&mut text, query);
    }
    text
}

/// Adds what is mostly text.
fn push(text: &mut String, part: &[u8]) {
    match std::str::from_utf8(part) {
        Ok(part) => text.push_str(part),
        Err(_) => text.push_str(&String::from_utf8_lossy(part)),
    }
}

impl<B: Body> HttpCache<B> {
    /// A request has come to this.
    pub(crate) fn count(&self, rule: RuleId, outcome: Answered) {
        match outcome {
            Answered::Hit => self.cache.counters.count_hit(),
            Answered::Stale => self.cache.counters.count_stale(),
            Answered::Miss => self.cache.counters.count_miss(),
            Answered::Validated => self.cache.counters.count_validated(),
            // Counted by its reason.
            Answered::Bypass => {}
        }
        self.outcomes.count(rule, outcome);
    }

    /// It is answered from what is stored under a key.
    pub(crate) fn saw_served(&self, asked: &Asked<'_>, key: Key, entry: &Entry<B>, reason: Reason) {
        let outcome = if reason == Reason::Fresh { Answered::Hit } else { Answered::Stale };
        self.count(asked.rule_id, outcome);
        let watch = &self.cache.watch;
        let hits = entry.note_hit();
        watch.label(key, hits, || title(asked.parts.method, asked.request));
        if watch.decisions.is_watched(asked.now) {
            let decision = Decision {
                age: Some(entry.meta().age(asked.now)),
                ttl_millis: Some(entry.ttl_millis(asked.now)),
                ..Decision::new(Act::Served, reason)
            };
            self.tell(asked, outcome, decision);
        }
    }

    /// It gets the failure of the load it has waited for.
    pub(crate) fn saw_failure(&self, asked: &Asked<'_>) {
        self.count(asked.rule_id, Answered::Miss);
        self.cache.counters.count_collapsed();
        self.tell(asked, Answered::Miss, Decision::new(Act::Forwarded, Reason::LoadFailed));
    }

    /// It is answered with 504, because it forbids to forward it.
    pub(crate) fn saw_refused(&self, asked: &Asked<'_>) {
        self.cache.counters.count_forwarded(Reason::OnlyIfCached);
        self.outcomes.count(asked.rule_id, Answered::Bypass);
        self.tell(asked, Answered::Bypass, Decision::new(Act::Refused, Reason::OnlyIfCached));
    }

    fn tell(&self, asked: &Asked<'_>, outcome: Answered, decision: Decision) {
        let request = asked.request;
        self.cache.watch.decisions.keep(Seen {
            at: asked.since,
            method: request.method.to_owned(),
            url: url(request.authority, request.raw_path, request.query),
            outcome,
            decision,
            stored: None,
            took: None,
        });
    }
}

/// What a response's key stands for.
fn title(method: &str, request: &Request<'_>) -> String {
    format!("{method} {}", url(request.authority, request.raw_path, request.query))
}

impl<B: Body> Exchange<B> {
    /// The application's answer has begun, and the request comes to this. `stored`: what becomes of that answer.
    pub(crate) fn saw(&self, outcome: Answered, stored: Option<Decision>, now: Timestamp) {
        if self.is_untold() {
            return;
        }
        let act = match outcome {
            Answered::Validated => Act::Validated,
            Answered::Hit | Answered::Stale => Act::Served,
            Answered::Miss | Answered::Bypass => Act::Forwarded,
        };
        let reason = if outcome == Answered::Stale { Reason::StaleIfError } else { self.reason() };
        let request = self.request();
        self.watch().decisions.keep(Seen {
            at: self.request_time(),
            method: (*request.method).to_owned(),
            url: url(&request.authority, &request.raw_path, &request.query),
            outcome,
            decision: Decision::new(act, reason),
            stored,
            took: Some(now.since(self.request_time())),
        });
    }

    /// What the key of its response stands for.
    pub(crate) fn title(&self) -> String {
        let request = self.request();
        let method = if &*request.method == "HEAD" { "GET" } else { &request.method };
        format!("{method} {}", url(&request.authority, &request.raw_path, &request.query))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_written_whatever_its_bytes() {
        for (authority, path, query, written) in [
            (&b"example.org"[..], &b"/a"[..], &b""[..], "example.org/a"),
            (b"example.org", b"/a", b"x=1&y", "example.org/a?x=1&y"),
            (b"\xff", "/k\u{e4}se".as_bytes(), b"\xc3", "\u{fffd}/k\u{e4}se?\u{fffd}"),
            (b"", b"", b"", ""),
        ] {
            assert_eq!(url(authority, path, query), written);
        }
    }
}
