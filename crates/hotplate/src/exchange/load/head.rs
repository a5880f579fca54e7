//! What the application's head leads to: a response that is recorded, one that passes, one that confirms what is
//! stored, or a failure.

use std::sync::Arc;
use std::time::Duration;

use hotplate_policy::cache_control::Scope;
use hotplate_policy::cache_status::CacheStatus;
use hotplate_policy::control::{self, Layers};
use hotplate_policy::explain::{Act, Decision};
use hotplate_policy::fields::Fields;
use hotplate_policy::freshness::StoredMeta;
use hotplate_policy::profile::Profile;
use hotplate_policy::reason::Reason;
use hotplate_policy::request::RequestHead;
use hotplate_policy::reuse;
use hotplate_policy::storing::{self, StoreFacts};
use hotplate_policy::time::Timestamp;
use hotplate_policy::validation::{self, Precondition};

use super::{Arrived, Came, Dependency, Edits, Exchange, HeadStep, Purpose, Recording, State, Trouble};
use crate::entry::{Body, Entry};
use crate::exchange::client::is_own_line;
use crate::exchange::publish::{Draft, Judged, Selecting};
use crate::exchange::request::Lines;
use crate::exchange::response::{CACHE_NAME, Response};
use crate::fill::End;
use crate::rules::{Cookies, Rule};
use crate::watch::outcomes::Answered;

impl<B: Body> Exchange<B> {
    pub(super) fn draft(&self, rule: &Rule, arrived: &Arrived<'_>) -> Result<Draft, Reason> {
        let Arrived { status, fields, dependency, now, .. } = *arrived;
        let settings = &self.http.settings;
        let request_lines = self.request.fields.to_vec();
        let head = self.request.load_head(&request_lines);
        let layers = Layers {
            profile: settings.profile,
            dependency: dependency.map(|dependency| &dependency.directives),
            rule: Some(&rule.directives),
            heuristic: settings.profile == Profile::Rfc9111,
        };
        let control = control::resolve(&layers, status, fields, now);
        let facts = StoreFacts {
            profile: settings.profile,
            request: &head,
            method_in_key: head.method != "GET",
            partitioned: self.is_partitioned(),
            cookies_ignored: rule.cookies != Cookies::Guard,
            store_set_cookie: rule.cookies == Cookies::DangerStore,
        };
        storing::decide(&facts, status, fields, &control)?;
        if arrived.trailers {
            return Err(Reason::Trailers);
        }
        let length = announced_length(fields)?;
        if length.is_some_and(|length| length > settings.max_body) {
            return Err(Reason::TooLarge);
        }
        let selecting = Selecting::of(fields, &rule.vary)?.in_request(&self.http, head.fields);
        let meta = StoredMeta::new(settings.profile, &control, status, fields, self.request_time, now);
        let client_ttl = client_ttl(rule, dependency).filter(|_| {
            // What the application keeps from every cache stays kept from the client's.
            control.private == Scope::Absent && !control.no_store
        });
        Ok(Draft::new(self, rule, arrived, Judged { meta, control: &control, selecting, client_ttl, length }))
    }

    pub(super) fn start_recording(&mut self, draft: Draft, arrived: &Arrived<'_>) -> HeadStep<B> {
        let Arrived { status, fields, .. } = *arrived;
        let expected = draft.length();
        let wants_etag = status == 200 && expected.is_some() && !fields.contains("etag");
        let answer = if self.answered { None } else { self.not_modified(&draft) };
        let held = !self.answered && answer.is_none() && wants_etag && !draft.withholds();
        let step = match answer {
            Some(response) => HeadStep::Answer(response),
            None if held => HeadStep::Hold,
            None => HeadStep::Send(self.edits_of(&draft)),
        };
        if !held {
            self.come_to(Answered::Miss);
        }
        self.answered |= matches!(step, HeadStep::Answer(_));
        self.state = State::Recording(Recording {
            purpose: Purpose::Store(Box::new(draft)),
            chunks: Vec::with_capacity(1),
            size: 0,
            expected,
            held,
        });
        step
    }

    /// What the client is told of a response that is being recorded.
    pub(super) fn edits_of(&self, draft: &Draft) -> Edits {
        let mut edits = self.edits(self.origin.reason, true);
        draft.add_to(&mut edits);
        edits
    }

    /// A 304 for a client that has this representation already, where the application's own validators tell
    /// so before the body has come.
    pub(super) fn not_modified(&self, draft: &Draft) -> Option<Response<B>> {
        if !self.request.is_conditional() {
            return None;
        }
        let meta = draft.meta();
        let met = self.request.with_head(|head| {
            let etag = draft.field("etag");
            validation::evaluate(head, etag, meta.last_modified, meta.date, meta.status)
        });
        if met != Precondition::NotModified {
            return None;
        }
        let entry = Arc::new(draft.entry(self, B::join(Vec::new())));
        Some(self.answer_from(entry, meta.response_time, Came { confirmed: false, stored: true }))
    }

    /// A server error that is not stored: those who wait for the same key get it too, unless it is for one alone.
    pub(super) fn server_error(&mut self, arrived: &Arrived<'_>) -> HeadStep<B> {
        let Arrived { status, fields, now, .. } = *arrived;
        self.count_failure();
        let answer = self.stale_for(Trouble::ServerError, now);
        let rule = self.http.settings.rule(self.rule);
        let varies = fields.contains("vary") || !rule.vary.is_empty();
        let shareable = self.permit.is_some()
            && !varies
            && !self.has_credentials(rule)
            && !fields.contains("set-cookie")
            && {
                let control = control::resolve(&Layers::default(), status, fields, now);
                !control.no_store && control.private == Scope::Absent
            };
        if shareable {
            self.state = State::Recording(Recording {
                purpose: Purpose::Share(status, Lines::stored(fields)),
                chunks: Vec::with_capacity(1),
                size: 0,
                expected: announced_length(fields).unwrap_or_default(),
                held: false,
            });
        } else {
            self.finish_permit(End::NotStorable);
            self.state = State::Passing;
        }
        let refused = Decision { status: Some(status), ..Decision::new(Act::NotStored, Reason::ServerError) };
        self.saw(if answer.is_some() { Answered::Stale } else { Answered::Miss }, Some(refused), now);
        if answer.is_none() {
            self.come_to(Answered::Miss);
        }
        match answer {
            Some(response) => {
                self.answered = true;
                HeadStep::Answer(response)
            }
            None => HeadStep::Send(self.edits(Reason::ServerError, false)),
        }
    }

    /// Whether the request has credentials that make its answer its own.
    fn has_credentials(&self, rule: &Rule) -> bool {
        let (profile, cookies_ignored) = (self.http.settings.profile, rule.cookies != Cookies::Guard);
        let guard = |head: &RequestHead<'_>| {
            storing::request_guard(profile, head, self.is_partitioned(), cookies_ignored)
        };
        self.request.with_head(guard).is_some()
    }

    /// Whether a stale response is at hand that may be served in place of an error, or of no answer at all.
    pub(super) fn has_stale_for(&self, trouble: Trouble, now: Timestamp) -> bool {
        let Some(stale) = &self.origin.stale else { return false };
        if !self.http.is_usable(stale) {
            return false;
        }
        let honor = self.http.settings.honor_request_directives;
        let by_letter = trouble == Trouble::NoAnswer && self.http.settings.profile == Profile::Rfc9111;
        self.request.with_head(|head| {
            reuse::may_serve_on_error(head, honor, &stale.meta(), now)
                || (by_letter && reuse::may_serve_disconnected(head, honor, &stale.meta()))
        })
    }

    /// The stale response, if errors may be answered with it; notes when the key may be tried again.
    pub(super) fn stale_for(&mut self, trouble: Trouble, now: Timestamp) -> Option<Response<B>> {
        if !self.has_stale_for(trouble, now) {
            return None;
        }
        let stale = self.origin.stale.clone()?;
        self.http.cache.retries.note(self.origin.key, now, self.http.settings.retry_after);
        if self.answered {
            return None;
        }
        self.come_to(Answered::Stale);
        let status = CacheStatus {
            ttl_seconds: Some(stale.ttl_millis(now).div_euclid(1000)),
            detail: Some(Reason::StaleIfError.token()),
            ..CacheStatus::forwarded(CACHE_NAME, self.origin.forward)
        };
        let how = self.http.provenance(status, "STALE", true, now);
        Some(self.request.with_head(|head| Response::from_entry(stale, head, &how)))
    }

    /// A 304 from the application: freshen the stored response and answer with it (RFC 9111 §4.3.4).
    pub(super) fn confirmed(&mut self, stale: &Arc<Entry<B>>, arrived: &Arrived<'_>) -> HeadStep<B> {
        let Arrived { fields, now, .. } = *arrived;
        if !validation::freshens(stale.etag(), stale.field("last-modified"), fields) {
            // It speaks of another representation: what is stored is of no use, and the client has not got this one.
            self.on_its_way(|http, way| http.forget(way, self.origin.key, stale));
            self.again = true;
            self.state = State::Discarding;
            return HeadStep::Discard;
        }
        let http = Arc::clone(&self.http);
        let rule = http.settings.rule(self.rule);
        let stored: Vec<(&[u8], &[u8])> = stale.fields().filter(|(name, _)| !is_own_line(name)).collect();
        let merged = validation::merge(Fields::new(&stored), fields);
        let merged = Arrived { status: stale.meta().status, fields: Fields::new(&merged), ..*arrived };
        let (entry, stored) = match self.draft(rule, &merged) {
            Ok(mut draft) => {
                draft.keep_generated_etag(stale.meta().flags);
                let entry = Arc::new(draft.entry(self, stale.body().share()));
                let stored = http.publish(self, &draft, Arc::clone(&entry));
                (entry, stored.end())
            }
            Err(reason) => {
                http.cache.counters.count_not_stored(reason);
                self.on_its_way(|http, way| http.forget(way, self.origin.key, stale));
                let draft = Draft::unstored(self, stale.meta().status, &Lines::stored(merged.fields), now);
                (Arc::new(draft.entry(self, stale.body().share())), None)
            }
        };
        if !self.answered {
            self.come_to(Answered::Validated);
            self.saw(Answered::Validated, None, now);
        }
        http.cache.retries.clear(self.origin.key);
        let is_stored = stored.is_some();
        self.finish_permit(stored.unwrap_or(End::NotStorable));
        self.state = State::Passing;
        if self.answered {
            return HeadStep::Send(Edits::default());
        }
        self.answered = true;
        HeadStep::Answer(self.answer_from(entry, now, Came { confirmed: true, stored: is_stored }))
    }

    pub(super) fn not_stored(&mut self, reason: Reason, arrived: &Arrived<'_>) -> HeadStep<B> {
        self.remember_not_storable(reason, arrived.now);
        self.state = State::Passing;
        let edits = self.edits(reason, false);
        match self.unstored_not_modified(arrived, &edits) {
            Some(response) if !self.answered => {
                self.answered = true;
                HeadStep::Answer(response)
            }
            _ => HeadStep::Send(edits),
        }
    }

    /// A 304 for a client whose condition the load did not carry, where the application's own validators meet it.
    fn unstored_not_modified(&self, arrived: &Arrived<'_>, edits: &Edits) -> Option<Response<B>> {
        if !self.request.is_conditional() {
            return None;
        }
        let Arrived { status, fields, now, .. } = *arrived;
        let last_modified = fields.first("last-modified").and_then(Timestamp::parse_http_date);
        let etag = fields.first("etag");
        if etag.is_none() && last_modified.is_none() {
            return None;
        }
        let met = self.request.with_head(|head| validation::evaluate(head, etag, last_modified, now, status));
        (met == Precondition::NotModified).then(|| {
            let draft = Draft::unstored(self, status, &Lines::stored(fields), now);
            let entry = draft.entry(self, B::join(Vec::new()));
            Response::not_modified(Arc::new(entry), edits.append.clone())
        })
    }
}

/// The lifetime told to clients, where it is not the application's.
fn client_ttl(rule: &Rule, dependency: Option<&Dependency>) -> Option<Duration> {
    dependency.and_then(|dependency| dependency.client_ttl).or(rule.client_ttl)
}

/// The length the response announces (RFC 9110 §8.6), or an error where it is no length or several.
fn announced_length(fields: Fields<'_>) -> Result<Option<u64>, Reason> {
    let mut lengths = fields.members("content-length").map(|text| {
        let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
        let parsed = std::str::from_utf8(text).ok().filter(|_| digits).and_then(|text| text.parse().ok());
        parsed.ok_or(Reason::LengthMismatch)
    });
    let Some(first) = lengths.next().transpose()? else { return Ok(None) };
    for other in lengths {
        if other? != first {
            return Err(Reason::LengthMismatch);
        }
    }
    Ok(Some(first))
}
