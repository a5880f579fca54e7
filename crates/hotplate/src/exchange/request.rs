//! The request as the engine takes it: borrowed for a lookup, owned for the length of a load.

use hotplate_policy::fields::{Connection, Fields};
use hotplate_policy::request::{KeptHead, RequestHead};

use crate::key::percent_decode;

/// A request as its server gives it. Everything is borrowed; a hit copies none of it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method, as received.
    pub method: &'a str,
    /// `http` or `https`.
    pub scheme: &'a [u8],
    /// The authority as the client named it: `Host` (RFC 9110 §7.2), or `:authority`.
    pub authority: &'a [u8],
    /// The path as received, percent-encoded.
    pub raw_path: &'a [u8],
    /// The prefix the application is mounted under, or nothing.
    pub root: &'a str,
    /// The percent-decoded path as the application sees it, without `root`: what rules, `include` and
    /// `exclude` are matched against.
    pub path: &'a str,
    /// The query as received, without `?`.
    pub query: &'a [u8],
    /// The field lines in order, repeated names kept.
    pub fields: Fields<'a>,
    /// The request's whole body, where a rule puts it into the key.
    pub body: Option<&'a [u8]>,
}

impl Request<'_> {
    /// A copy that lives as long as a load does.
    ///
    /// `head`: what was read of this request.
    #[must_use]
    pub(crate) fn kept(&self, head: &RequestHead<'_>) -> OwnedRequest {
        self.kept_with(head, Lines::copy(self.fields))
    }

    /// A copy without the field lines, of which nothing is asked any more where the answer only passes.
    #[must_use]
    pub(crate) fn kept_to_pass(&self, head: &RequestHead<'_>) -> OwnedRequest {
        self.kept_with(head, Lines::default())
    }

    fn kept_with(&self, head: &RequestHead<'_>, fields: Lines) -> OwnedRequest {
        OwnedRequest {
            method: self.method.into(),
            scheme: self.scheme.into(),
            authority: self.authority.into(),
            raw_path: self.raw_path.into(),
            root: self.root.into(),
            path: self.path.into(),
            query: self.query.into(),
            fields,
            head: head.kept(),
        }
    }
}

/// What of a request is needed until its response has been seen to the end.
#[derive(Debug)]
pub(crate) struct OwnedRequest {
    pub(crate) method: Box<str>,
    pub(crate) scheme: Box<[u8]>,
    pub(crate) authority: Box<[u8]>,
    pub(crate) raw_path: Box<[u8]>,
    pub(crate) root: Box<str>,
    pub(crate) path: Box<str>,
    pub(crate) query: Box<[u8]>,
    pub(crate) fields: Lines,
    head: KeptHead,
}

impl OwnedRequest {
    /// Gives `read` the head as policy takes it.
    pub(crate) fn with_head<R>(&self, read: impl FnOnce(&RequestHead<'_>) -> R) -> R {
        let lines = self.fields.to_vec();
        read(&self.head.over(&self.method, Fields::new(&lines)))
    }

    /// The head of the load, over lines of [`OwnedRequest::fields`]: that of a HEAD was a GET.
    pub(crate) fn load_head<'a>(&'a self, lines: &'a [(&'a [u8], &'a [u8])]) -> RequestHead<'a> {
        let method = if &*self.method == "HEAD" { "GET" } else { &*self.method };
        self.head.over(method, Fields::new(lines))
    }

    /// Whether the client holds a copy that a stored response may confirm.
    pub(crate) fn is_conditional(&self) -> bool {
        self.head.is_conditional()
    }

    /// A raw path of the same origin as rules see it: percent-decoded, without the prefix the application is
    /// mounted under.
    pub(crate) fn relative(&self, raw_path: &[u8]) -> String {
        let path = String::from_utf8_lossy(&percent_decode(raw_path)).into_owned();
        match path.strip_prefix(&*self.root) {
            Some(inside) if inside.starts_with('/') => inside.to_owned(),
            _ => path,
        }
    }
}

/// Field lines in one block of memory, ordered, repeated names kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines {
    text: Vec<u8>,
    /// End of name and end of value of each line.
    ends: Vec<(u32, u32)>,
}

impl Lines {
    /// No lines, and room for those of a head and the few that are added to them here.
    pub(crate) fn with_room_for(fields: Fields<'_>) -> Self {
        let text: usize = fields.iter().map(|(name, value)| name.len() + value.len()).sum();
        let lines = (fields.iter().count() + 2).next_power_of_two();
        Self { text: Vec::with_capacity(text + 64), ends: Vec::with_capacity(lines) }
    }

    /// Copies lines in their order.
    pub(crate) fn copy(fields: Fields<'_>) -> Self {
        let mut copied = Self::with_room_for(fields);
        fields.iter().for_each(|(name, value)| copied.push(name, value));
        copied
    }

    /// Copies the lines that are not of one connection alone.
    pub(crate) fn stored(fields: Fields<'_>) -> Self {
        let connection = Connection::of(fields);
        let mut copied = Self::with_room_for(fields);
        for (name, value) in fields.iter().filter(|(name, _)| !connection.covers(name)) {
            copied.push(name, value);
        }
        copied
    }

    /// Adds a line at the end. Text beyond 4 GiB in all is dropped; no server accepts such a head.
    pub(crate) fn push(&mut self, name: &[u8], value: &[u8]) {
        let name_end = self.text.len() + name.len();
        let (Ok(name_end), Ok(value_end)) = (u32::try_from(name_end), u32::try_from(name_end + value.len()))
        else {
            return;
        };
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(value);
        self.ends.push((name_end, value_end));
    }

    /// The lines, borrowed.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut start = 0;
        self.ends.iter().map(move |(name_end, value_end)| {
            let (name_end, value_end) = (*name_end as usize, *value_end as usize);
            let line = (&self.text[start..name_end], &self.text[name_end..value_end]);
            start = value_end;
            line
        })
    }

    /// The lines as policy takes them.
    pub(crate) fn to_vec(&self) -> Vec<(&[u8], &[u8])> {
        self.iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copied_lines_keep_order_and_repeated_names() {
        let lines: [(&[u8], &[u8]); 4] = [(b"a", b"1"), (b"b", b""), (b"a", b"2"), (b"", b"x")];
        let copied = Lines::copy(Fields::new(&lines));
        assert_eq!(copied.to_vec(), lines);
    }
}
