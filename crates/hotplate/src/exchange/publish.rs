//! From a response that may be stored to the entry that is: its lines, validator, tags, variant and place.

use std::sync::Arc;
use std::time::Duration;

use hotplate_policy::control::{self, Control, Layers};
use hotplate_policy::fields::Fields;
use hotplate_policy::freshness::{Flags, StoredMeta};
use hotplate_policy::groups;
use hotplate_policy::no_vary_search::SearchVariance;
use hotplate_policy::profile::Profile;
use hotplate_policy::reason::Reason;
use hotplate_policy::storing;
use hotplate_policy::time::Timestamp;
use hotplate_policy::vary::Vary;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128};

use crate::cache::Outcome;
use crate::entry::{Body, Entry, EntryParts, SelectionParts};
use crate::exchange::client::{ClientTtl, is_own_line};
use crate::exchange::load::{Arrived, Edits, Exchange};
use crate::exchange::lookup::{HttpCache, significant_key};
use crate::exchange::request::Lines;
use crate::fill::End;
use crate::key::Key;
use crate::log::Footprint;
use crate::rules::Rule;
use crate::share::{Leading, Storing};
use crate::tags;
use crate::tier::sealed::Kind;

/// How many tags one stored response may have; further ones are left out.
const MOST_TAGS: usize = 128;

/// Request fields that select between the stored responses of one key.
#[derive(Debug)]
pub(crate) struct Selecting {
    names: Vec<Box<str>>,
    /// Names the rule adds to those of the response, as a `Vary` line for those who cache behind us.
    added: Option<String>,
    /// The request's values of the fields, in canonical text.
    text: Vec<u8>,
}

impl Selecting {
    /// Joins the response's `Vary` with the names its rule gives.
    ///
    /// # Errors
    ///
    /// [`Reason::VaryAny`]: the response depends on more than a request says.
    pub(crate) fn of(fields: Fields<'_>, by_rule: &[Box<str>]) -> Result<Self, Reason> {
        let mut names = match Vary::parse(fields) {
            Vary::Any => return Err(Reason::VaryAny),
            Vary::None => Vec::new(),
            Vary::Names(names) => names,
        };
        let missing: Vec<&str> = by_rule
            .iter()
            .map(|name| &**name)
            .filter(|name| !names.iter().any(|own| &**own == *name))
            .collect();
        let added = (!missing.is_empty()).then(|| missing.join(", "));
        names.extend(missing.into_iter().map(Box::from));
        names.sort_unstable();
        names.dedup();
        Ok(Self { names, added, text: Vec::new() })
    }

    /// With the values a request has.
    pub(crate) fn in_request<B: Body>(self, http: &HttpCache<B>, request: Fields<'_>) -> Self {
        if self.names.is_empty() {
            return self;
        }
        let text = http.selecting(self.names.iter().map(|name| &**name), request);
        Self { text, ..self }
    }
}

/// What was made of a response that may be stored.
pub(crate) struct Judged<'a> {
    pub(crate) meta: StoredMeta,
    pub(crate) control: &'a Control<'a>,
    pub(crate) selecting: Selecting,
    /// Replaces what the response tells clients about freshness.
    pub(crate) client_ttl: Option<Duration>,
    /// The length it announces.
    pub(crate) length: Option<u64>,
}

/// A response that will be stored once its body is complete.
#[derive(Debug)]
pub(crate) struct Draft {
    meta: StoredMeta,
    lines: Lines,
    /// The length it announced.
    length: Option<u64>,
    tags: Vec<String>,
    selecting: Selecting,
    client: Option<ClientTtl>,
    /// Which part of the query matters, where the response says so.
    search: Option<Arc<SearchVariance>>,
    /// Fields of the response are not stored, and are for the client of this load all the same.
    withholds: bool,
    partitioned: bool,
    key: Key,
    /// The key by the part of the query that matters; `key` if all of it does.
    primary: Key,
    /// The key under which request fields select it; none where no field does.
    variant: Option<Key>,
}

impl Draft {
    pub(crate) fn new<B: Body>(
        exchange: &Exchange<B>,
        rule: &Rule,
        arrived: &Arrived<'_>,
        judged: Judged<'_>,
    ) -> Self {
        let Arrived { fields, dependency, now, .. } = *arrived;
        let Judged { mut meta, control, selecting, client_ttl, length } = judged;
        let key = exchange.primary().unwrap_or(Key::from_u128(0));
        meta.lifetime = jittered(meta.lifetime, exchange.jitter(), key, now);
        let client = client_ttl.map(|ttl| ClientTtl::new(ttl, exchange.is_partitioned()));
        let kept = storing::stored_fields(fields, control).filter(|(name, _)| {
            // `Age` and `X-Cache` are made anew for each answer.
            !name.eq_ignore_ascii_case(b"age") && !name.eq_ignore_ascii_case(b"x-cache") && !is_own_line(name)
        });
        let mut lines = Lines::with_room_for(fields);
        if let Some((name, value)) = client.map(ClientTtl::line) {
            lines.push(name, &value);
        }
        for (name, value) in kept {
            lines.push(name, value);
        }
        if let Some(names) = &selecting.added {
            lines.push(b"vary", names.as_bytes());
        }
        let search = SearchVariance::parse(fields);
        let primary = match exchange.key_parts() {
            Some(parts) if !search.is_default() => significant_key(&parts, &search),
            _ => key,
        };
        let variant = (!selecting.names.is_empty()).then(|| primary.variant(&selecting.text));
        let request = exchange.request();
        let captures = rule.pattern.captures(&request.path);
        let mut tags: Vec<String> = rule.tags.iter().map(|template| template.render(&captures)).collect();
        if let Some(dependency) = dependency {
            tags.extend(dependency.tags.iter().map(|tag| tags::clip(tag).to_owned()));
        }
        tags.extend(
            groups::groups_of(fields)
                .iter()
                .map(|group| group_tag(&request.scheme, &request.authority, group)),
        );
        tags.sort_unstable();
        tags.dedup();
        tags.truncate(MOST_TAGS);
        Self {
            meta,
            lines,
            length,
            tags,
            selecting,
            client,
            search: (!search.is_default()).then(|| Arc::new(search)),
            withholds: fields
                .iter()
                .any(|(name, _)| control.no_cache.covers_field(name) || control.private.covers_field(name)),
            partitioned: exchange.is_partitioned(),
            key,
            primary,
            variant,
        }
    }

    /// A response that is answered with here and not stored.
    pub(crate) fn unstored<B: Body>(
        exchange: &Exchange<B>,
        status: u16,
        lines: &Lines,
        now: Timestamp,
    ) -> Self {
        let stored = lines.to_vec();
        let fields = Fields::new(&stored);
        let control = control::resolve(&Layers::default(), status, fields, now);
        let meta = StoredMeta::new(Profile::Safe, &control, status, fields, exchange.request_time(), now);
        let key = exchange.primary().unwrap_or(Key::from_u128(0));
        Self {
            meta,
            lines: lines.clone(),
            length: None,
            tags: Vec::new(),
            selecting: Selecting { names: Vec::new(), added: None, text: Vec::new() },
            client: None,
            search: None,
            withholds: false,
            partitioned: exchange.is_partitioned(),
            key,
            primary: key,
            variant: None,
        }
    }

    pub(crate) fn withholds(&self) -> bool {
        self.withholds
    }

    /// The request fields that select it: lower case, sorted, each once.
    pub(crate) fn names(&self) -> &[Box<str>] {
        &self.selecting.names
    }

    /// Which part of the query matters, where the response says so.
    pub(crate) fn search(&self) -> Option<&Arc<SearchVariance>> {
        self.search.as_ref()
    }

    /// The primary key, as part of the query or all of it makes it.
    pub(crate) fn primary(&self) -> Key {
        self.primary
    }

    /// The key under which lookups find it: its variant's, or the primary one.
    pub(crate) fn own_key(&self) -> Key {
        self.variant.unwrap_or(self.primary)
    }

    pub(crate) fn meta(&self) -> &StoredMeta {
        &self.meta
    }

    /// The length the response has announced.
    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    /// The first stored line of this (lower-case) name.
    pub(crate) fn field(&self, name: &str) -> Option<&[u8]> {
        self.lines.iter().find(|(own, _)| own.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// What the client is told beside what the application said, when that has just come.
    pub(crate) fn add_to(&self, edits: &mut Edits) {
        if let Some(client) = self.client {
            let now = self.meta.response_time;
            edits.replace_freshness = true;
            edits.append.extend(client.fields(self.meta.age(now).as_secs(), now));
        }
        if let Some(names) = &self.selecting.added {
            edits.append.push(("vary", names.clone().into_bytes()));
        }
    }

    /// Gives a complete 200 without a validator a strong one, made from its content (RFC 9110 §8.8.3).
    pub(crate) fn make_etag(&mut self, body: &[u8]) {
        if self.meta.status == 200 && self.field("etag").is_none() {
            self.lines.push(b"etag", &entity_tag(xxh3_128(body)));
            self.meta.flags = self.meta.flags.with(Flags::GENERATED_ETAG).with(Flags::HAS_ETAG);
        }
    }

    /// The body stays what it was, and with it the validator made from it.
    pub(crate) fn keep_generated_etag(&mut self, flags: Flags) {
        if flags.contains(Flags::GENERATED_ETAG) {
            self.meta.flags = self.meta.flags.with(Flags::GENERATED_ETAG);
        }
    }

    /// The entry of an exchange with this body.
    pub(crate) fn entry<B: Body>(&self, exchange: &Exchange<B>, body: B) -> Entry<B> {
        let request = exchange.request();
        let footprint = Footprint::new(
            &exchange.http().cache.log,
            self.key,
            &request.authority,
            request.path.as_bytes(),
            self.tags.iter().map(String::as_str),
        );
        let Selecting { names, text, .. } = &self.selecting;
        Entry::new(EntryParts {
            meta: self.meta,
            position: exchange.position(),
            footprint,
            selection: self.variant.map(|variant| SelectionParts { variant, text, names }),
            fields: self.lines.iter(),
            tags: &self.tags,
            partitioned: self.partitioned,
            body,
        })
    }
}

impl<B: Body> HttpCache<B> {
    /// Puts a complete response where lookups find it.
    ///
    /// A response whose load began before that of the one already there does not replace it.
    ///
    /// # Returns
    ///
    /// Where it stands now.
    pub(crate) fn publish(
        &self,
        exchange: &mut Exchange<B>,
        draft: &Draft,
        entry: Arc<Entry<B>>,
    ) -> Stands<B> {
        let (stamp, lease) = exchange.for_all();
        let Some(stands) = self.place(exchange, draft, &entry) else { return Stands::Nowhere };
        let (key, primary) = (draft.own_key(), draft.primary());
        if let (Some(share), Some(stamp)) = (&self.cache.share, stamp) {
            let names = &draft.selecting.names;
            let vary = (!names.is_empty()).then(|| Leading::Vary(primary, names.clone()));
            let search = draft.search.as_ref().and_then(|_| exchange.family()).map(|family| {
                let lines =
                    draft.lines.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"no-vary-search"));
                Leading::Search(family, lines.map(|(_, value)| value).collect::<Vec<_>>().join(&b", "[..]))
            });
            let records = search.into_iter().chain(vary).collect();
            let kind = Kind::Response;
            share.store(Storing { key, kind, entry, stamp, records }, lease);
        }
        stands
    }
}

/// Where a response stands that was to be stored.
pub(crate) enum Stands<B> {
    /// It, or a newer one, in the local tier.
    Local,
    /// Not there, because no response is.
    Elsewhere(Key, Arc<Entry<B>>),
    /// Nowhere in this process: it is too large.
    Nowhere,
}

impl<B> Stands<B> {
    /// How the load ends for those who wait; `None` where its answer is not stored.
    pub(crate) fn end(&self) -> Option<End<Outcome<B>>> {
        match self {
            Self::Local => Some(End::Stored),
            Self::Elsewhere(key, entry) => Some(End::Given(Outcome::Kept(*key, Arc::clone(entry)))),
            Self::Nowhere => None,
        }
    }

    pub(crate) fn is_stored(&self) -> bool {
        !matches!(self, Self::Nowhere)
    }
}

/// A strong entity tag: 32 hexadecimal digits.
fn entity_tag(hash: u128) -> [u8; 34] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut tag = [b'"'; 34];
    for (digits, byte) in tag[1..33].chunks_exact_mut(2).zip(hash.to_be_bytes()) {
        digits.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    tag
}

/// The tag of a cache group (RFC 9875): groups belong to one origin, and share no names with a developer's tags.
pub(crate) fn group_tag(scheme: &[u8], authority: &[u8], group: &str) -> String {
    let origin = String::from_utf8_lossy(authority).to_ascii_lowercase();
    let tag = format!("group {}://{origin} {group}", String::from_utf8_lossy(scheme));
    tags::clip(&tag).to_owned()
}

/// The lifetime shortened by up to `jitter` of itself; which part follows from key and time.
fn jittered(lifetime: Duration, jitter: f64, key: Key, now: Timestamp) -> Duration {
    if jitter == 0.0 {
        return lifetime;
    }
    let draw = xxh3_64_with_seed(&key.as_u128().to_le_bytes(), now.unix_millis().cast_unsigned());
    #[allow(clippy::cast_precision_loss, reason = "a fraction needs no 64 bits")]
    let part = jitter * (draw as f64 / u64::MAX as f64);
    lifetime.mul_f64(1.0 - part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_tag_is_the_hash_in_hexadecimal_digits() {
        for hash in [0, 1, 0x0123_4567_89ab_cdef_0011_2233_4455_6677, u128::MAX] {
            let written = format!("\"{hash:032x}\"");
            assert_eq!(entity_tag(hash), *written.as_bytes());
        }
    }
}
