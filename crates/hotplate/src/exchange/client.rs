//! What clients are told about freshness, where that is not what the application says.
//!
//! The stored response keeps the application's own `Cache-Control` and `Expires`, because a later 304 is merged with
//! them (RFC 9111 §3.2). What clients get instead is made for each answer, as `Age` is: `max-age` counts from the age
//! the answer is sent with, so that every client has the same time left.

use std::time::Duration;

use hotplate_policy::time::Timestamp;

use crate::entry::{Body, Entry};

/// The name of the line of an entry that holds the lifetime for clients: the first line, and no field name, so that no
/// application can send it.
const LINE: &[u8] = b"\0client-ttl";

/// The lifetime clients are told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ClientTtl {
    seconds: u64,
    private: bool,
}

impl ClientTtl {
    /// `private`: the response is for some only, by its partition.
    pub(crate) fn new(ttl: Duration, private: bool) -> Self {
        let seconds = if ttl.is_zero() { 0 } else { ttl.as_secs().max(1) };
        Self { seconds, private }
    }

    /// That of a stored response, where it has one.
    pub(crate) fn of<B: Body>(entry: &Entry<B>) -> Option<Self> {
        let (name, value) = entry.fields().next()?;
        if name != LINE {
            return None;
        }
        let (private, digits) = match value.strip_prefix(b"private ") {
            Some(digits) => (true, digits),
            None => (false, value),
        };
        let seconds = std::str::from_utf8(digits).ok()?.parse().ok()?;
        Some(Self { seconds, private })
    }

    /// The line to store.
    pub(crate) fn line(self) -> (&'static [u8], Vec<u8>) {
        let private = if self.private { "private " } else { "" };
        (LINE, format!("{private}{}", self.seconds).into_bytes())
    }

    /// `Cache-Control` and `Expires` for an answer of this age.
    pub(crate) fn fields(self, age_seconds: u64, now: Timestamp) -> [(&'static str, Vec<u8>); 2] {
        let private = if self.private { "private, " } else { "" };
        let directive = match self.seconds {
            0 => format!("{private}no-cache"),
            seconds => format!("{private}max-age={}", seconds.saturating_add(age_seconds)),
        };
        let expires = now.plus(Duration::from_secs(self.seconds)).http_date();
        [("cache-control", directive.into_bytes()), ("expires", expires.as_bytes().to_vec())]
    }
}

/// Whether a line of an entry is the engine's own, and sent to nobody.
pub(crate) fn is_own_line(name: &[u8]) -> bool {
    name.first() == Some(&0)
}

/// Whether a field tells clients about freshness: `Cache-Control` or `Expires`.
pub(crate) fn is_client_freshness(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"cache-control") || name.eq_ignore_ascii_case(b"expires")
}
