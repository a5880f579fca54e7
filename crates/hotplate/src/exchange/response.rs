//! An answer made from a stored response: whole, head only, 304, 206, 416, or the 504 of
//! `only-if-cached`.

use std::ops::Range;
use std::sync::Arc;

use hotplate_policy::cache_status::CacheStatus;
use hotplate_policy::range::{self, RangeRequest};
use hotplate_policy::request::RequestHead;
use hotplate_policy::time::{DeltaSeconds, Timestamp};
use hotplate_policy::validation::{self, Precondition};

use crate::entry::{Body, Entry};
use crate::exchange::client::{ClientTtl, is_client_freshness, is_own_line};

/// How this cache names itself in `Cache-Status` (RFC 9211 §2).
pub const CACHE_NAME: &str = "hotplate";

/// A complete answer for one client, ready to be written.
///
/// Borrows nothing: it keeps the stored response alive until it has been written.
#[derive(Debug)]
pub struct Response<B> {
    status: u16,
    entry: Option<Arc<Entry<B>>>,
    selected: Selected,
    content: Content,
    /// The stored `Cache-Control` and `Expires` are not for clients.
    replaces_freshness: bool,
    /// The length of the stored body is told, where no stored line tells it.
    tells_length: bool,
    /// Lines made for this answer alone, after the stored ones.
    made: Vec<(&'static str, Vec<u8>)>,
}

/// Which of the stored field lines are sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Selected {
    All,
    /// RFC 9110 §15.4.5.
    NotModified,
    /// All but those about the whole representation's length.
    Part,
    /// As `Part`, and the content type is the multipart's own.
    Parts,
    None,
}

/// What an answer carries after its head.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Content {
    /// The stored body as it is.
    Whole,
    /// Nothing.
    Empty,
    /// These bytes of the stored body.
    Part(Range<usize>),
    /// A body made for this answer (`multipart/byteranges`).
    Made(Vec<u8>),
}

/// How the answer came about, for `Cache-Status`, `Age` and `X-Cache`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Provenance<'a> {
    pub(crate) status: CacheStatus<'a>,
    pub(crate) x_cache: Option<&'static str>,
    /// Whether the answer was stored before the request came, rather than loaded or confirmed for it.
    pub(crate) is_stored: bool,
    pub(crate) now: Timestamp,
}

impl<B: Body> Response<B> {
    /// Answers `request` from `entry`: preconditions first (RFC 9110 §13.2.2), then a range, then all.
    pub(crate) fn from_entry(entry: Arc<Entry<B>>, request: &RequestHead<'_>, how: &Provenance<'_>) -> Self {
        let meta = &entry.meta();
        let mut made: Vec<(&'static str, Vec<u8>)> = Vec::with_capacity(4);
        let mut status = meta.status;
        let mut selected = Selected::All;
        let mut content = Content::Whole;
        let precondition = if request.is_conditional() {
            validation::evaluate(request, entry.etag(), meta.last_modified, meta.date, status)
        } else {
            Precondition::Proceed
        };
        match precondition {
            Precondition::NotModified => {
                (status, selected, content) = (304, Selected::NotModified, Content::Empty);
            }
            Precondition::Proceed => {
                if request.range.is_some() && request.method == "GET" && status == 200 {
                    (status, selected, content) = select_range(&entry, request, &mut made);
                }
            }
        }
        let tells_length = selected == Selected::All && has_content_length(meta.status);
        if request.is_head() {
            content = Content::Empty;
        }
        // RFC 9111 §1.2.2: no number of seconds exceeds this one.
        let age = meta.age(how.now).as_secs().min(DeltaSeconds::MAX.as_secs().into());
        let client = ClientTtl::of(&entry);
        made.extend(client.into_iter().flat_map(|client| client.fields(age, how.now)));
        // What the application generated or confirmed for this very request has no age (RFC 9111 §5.1), unless it
        // came with one.
        if how.is_stored || age > 0 {
            made.push(("age", decimal(age)));
        }
        how.write(&mut made);
        let replaces_freshness = client.is_some();
        Self { status, entry: Some(entry), selected, content, replaces_freshness, tells_length, made }
    }

    /// A 304 with the lines of `entry` that belong to one, and these.
    pub(crate) fn not_modified(entry: Arc<Entry<B>>, made: Vec<(&'static str, Vec<u8>)>) -> Self {
        Self {
            status: 304,
            entry: Some(entry),
            selected: Selected::NotModified,
            content: Content::Empty,
            replaces_freshness: false,
            tells_length: false,
            made,
        }
    }

    /// The answer to `only-if-cached` when nothing stored may be used (RFC 9111 §5.2.1.7).
    pub(crate) fn gateway_timeout(how: &Provenance<'_>) -> Self {
        let mut made = vec![("content-length", b"0".to_vec())];
        how.write(&mut made);
        Self {
            status: 504,
            entry: None,
            selected: Selected::None,
            content: Content::Empty,
            replaces_freshness: false,
            tells_length: false,
            made,
        }
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Gives every field line to `emit`, in the order in which it is to be sent.
    pub fn fields(&self, mut emit: impl FnMut(&[u8], &[u8])) {
        if let Some(entry) = &self.entry {
            let mut tells_length = self.tells_length;
            for (name, value) in entry.fields() {
                tells_length &= !name.eq_ignore_ascii_case(b"content-length");
                let replaced = self.replaces_freshness && is_client_freshness(name);
                if self.selected.takes(name) && !is_own_line(name) && !replaced {
                    emit(name, value);
                }
            }
            if tells_length {
                emit(b"content-length", &decimal(entry.body().as_slice().len() as u64));
            }
        }
        for (name, value) in &self.made {
            emit(name.as_bytes(), value);
        }
    }

    /// What follows the head.
    #[must_use]
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// The stored body that [`Content::Whole`] and [`Content::Part`] speak of.
    #[must_use]
    pub fn stored_body(&self) -> Option<&B> {
        self.entry.as_ref().map(|entry| entry.body())
    }
}

impl Provenance<'_> {
    /// Adds `Cache-Status` and, if wanted, `X-Cache`.
    pub(crate) fn write(&self, made: &mut Vec<(&'static str, Vec<u8>)>) {
        let mut text = Vec::with_capacity(48);
        self.status.write(&mut text);
        made.push(("cache-status", text));
        if let Some(word) = self.x_cache {
            made.push(("x-cache", word.as_bytes().to_vec()));
        }
    }
}

impl Selected {
    fn takes(self, name: &[u8]) -> bool {
        match self {
            Self::All => true,
            // A cookie belongs to the answer, not to the representation.
            Self::NotModified => {
                validation::is_not_modified_field(name) || name.eq_ignore_ascii_case(b"set-cookie")
            }
            Self::Part => !name.eq_ignore_ascii_case(b"content-length"),
            Self::Parts => {
                !name.eq_ignore_ascii_case(b"content-length") && !name.eq_ignore_ascii_case(b"content-type")
            }
            Self::None => false,
        }
    }
}

/// Answers a range request from a stored 200 (RFC 9110 §14.2), or with all of it when the range or its
/// `If-Range` does not apply.
fn select_range<B: Body>(
    entry: &Entry<B>,
    request: &RequestHead<'_>,
    made: &mut Vec<(&'static str, Vec<u8>)>,
) -> (u16, Selected, Content) {
    let whole = (200, Selected::All, Content::Whole);
    let body = entry.body().as_slice();
    let length = body.len() as u64;
    if let Some(if_range) = request.fields.first("if-range")
        && !range::if_range_matches(if_range, entry.etag(), entry.meta().last_modified, entry.meta().date)
    {
        return whole;
    }
    match range::parse(request.range, length) {
        RangeRequest::None => whole,
        RangeRequest::Unsatisfiable => {
            made.push(("content-range", range::unsatisfied(length).into_bytes()));
            made.push(("content-length", b"0".to_vec()));
            (416, Selected::NotModified, Content::Empty)
        }
        RangeRequest::Single(one) => {
            let Some(bytes) = one.within(body.len()) else { return whole };
            made.push(("content-range", range::content_range(one, length).into_bytes()));
            made.push(("content-length", decimal(bytes.len() as u64)));
            (206, Selected::Part, Content::Part(bytes))
        }
        RangeRequest::Several(ranges) => {
            let content_type = entry.field("content-type");
            let (boundary, parts) = range::multipart(&ranges, body, content_type);
            made.push(("content-type", format!("multipart/byteranges; boundary={boundary}").into_bytes()));
            made.push(("content-length", decimal(parts.len() as u64)));
            (206, Selected::Parts, Content::Made(parts))
        }
    }
}

/// Whether a response of this status may carry `Content-Length` (RFC 9110 §8.6).
fn has_content_length(status: u16) -> bool {
    status >= 200 && status != 204 && status != 304
}

fn decimal(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}
