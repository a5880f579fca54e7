//! What a client gets.

use bytes::Bytes;
use hotplate::exchange::{Content, Response};

/// An answer as it is on the wire. A status of 0: no head has come yet.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub fields: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub(super) fn of(response: &Response<Bytes>) -> Self {
        let mut fields = Vec::new();
        response.fields(|name, value| {
            fields.push((String::from_utf8_lossy(name).into_owned(), value.to_vec()));
        });
        let stored = || response.stored_body().cloned().unwrap_or_default();
        let body = match response.content() {
            Content::Whole => stored().to_vec(),
            Content::Empty => Vec::new(),
            Content::Part(range) => stored().slice(range.clone()).to_vec(),
            Content::Made(body) => body.clone(),
        };
        Self { status: response.status(), fields, body }
    }

    /// The values of every line of this name.
    pub fn lines(&self, name: &str) -> Vec<&str> {
        let lines = self.fields.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        lines.map(|(_, value)| std::str::from_utf8(value).expect("text")).collect()
    }

    /// The value of the only line of this name.
    pub fn field(&self, name: &str) -> Option<&str> {
        let lines = self.lines(name);
        assert!(lines.len() <= 1, "{name} stands there more than once: {lines:?}");
        lines.first().copied()
    }

    /// The member this cache wrote.
    pub fn cache_status(&self) -> &str {
        self.lines("cache-status").last().copied().expect("every answer has a Cache-Status")
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    /// Answered from what was stored, fresh.
    pub fn is_hit(&self) -> bool {
        self.cache_status().contains("; hit") && !self.cache_status().contains("detail")
    }

    /// Answered from what was stored, stale.
    pub fn is_stale(&self) -> bool {
        self.cache_status().contains("; hit") && self.cache_status().contains("detail")
    }

    /// What an answer says of itself is so.
    pub(super) fn assert_consistent(&self, method: &str) {
        let without_content = method == "HEAD" || matches!(self.status, 204 | 304);
        if without_content {
            assert!(self.body.is_empty(), "content where there can be none: {self:?}");
        } else if let Some(length) = self.field("content-length") {
            assert_eq!(length, self.body.len().to_string(), "{self:?}");
        }
        let member = self.cache_status();
        assert!(member.starts_with("hotplate"), "{member}");
        assert!(!(member.contains("; hit") && member.contains("fwd=")), "{member}");
    }
}
