//! A head's field lines, borrowed in the order they came, and how lists in them are taken apart.
//!
//! A head is a slice of `(name, value)` pairs of bytes. Nothing is merged, sorted or re-cased on the way in, so a
//! repeated field stays repeated and a byte that is not text stays what it is. Looking a name up is a scan: heads are
//! short, and a scan allocates nothing.
//!
//! Reading list: RFC 9110 §5 (fields), §5.6.1 (lists), §7.6.1 (`Connection`), RFC 9111 §3.1 (what is stored).

/// A request's or response's header fields: ordered, repeated names kept, names in any case, values in bytes.
///
/// ```
/// use hotplate_policy::fields::Fields;
///
/// let lines: [(&[u8], &[u8]); 2] = [(b"Vary", b"Accept"), (b"vary", b" Cookie ")];
/// let fields = Fields::new(&lines);
/// assert_eq!(fields.lines("vary").collect::<Vec<_>>(), [b"Accept", b"Cookie"]);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Fields<'a>(&'a [(&'a [u8], &'a [u8])]);

/// What a field that ought to appear at most once looks like.
///
/// ```
/// use hotplate_policy::fields::{Fields, Single};
///
/// let lines: [(&[u8], &[u8]); 2] = [(b"Age", b"1"), (b"Age", b"2")];
/// assert_eq!(Fields::new(&lines).only("age"), Single::Many);
/// assert_eq!(Fields::new(&lines[..1]).only("age"), Single::One(b"1"));
/// assert_eq!(Fields::default().only("age"), Single::Absent);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Single<'a> {
    /// No line of that name.
    Absent,
    /// Exactly one line; this is its value without surrounding whitespace, maybe empty.
    One(&'a [u8]),
    /// More than one line, whatever they say.
    Many,
}

impl<'a> Fields<'a> {
    /// Borrows these lines as they are.
    ///
    /// ```
    /// # use hotplate_policy::fields::Fields;
    /// let fields = Fields::new(&[(b"Age", b"3")]);
    /// assert!(fields.contains("age"));
    /// ```
    #[must_use]
    pub const fn new(lines: &'a [(&'a [u8], &'a [u8])]) -> Self {
        Self(lines)
    }

    /// Every line, in order, untouched.
    ///
    /// ```
    /// # use hotplate_policy::fields::Fields;
    /// assert_eq!(Fields::new(&[(b"Age", b"3")]).iter().count(), 1);
    /// ```
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + 'a {
        self.0.iter().copied()
    }

    /// The values of all lines of one name, in order, without surrounding whitespace.
    ///
    /// **Arguments**: `name` in lower case.
    ///
    /// ```
    /// # use hotplate_policy::fields::Fields;
    /// let lines: [(&[u8], &[u8]); 3] = [(b"Link", b"<a>"), (b"Age", b"3"), (b"LINK", b" <b>")];
    /// assert_eq!(Fields::new(&lines).lines("link").collect::<Vec<_>>(), [b"<a>", b"<b>"]);
    /// ```
    pub fn lines<'n>(self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.0.iter().filter(move |(own, _)| is_named(own, name.as_bytes())).map(|(_, value)| trim_ows(value))
    }

    /// The value of a field that may appear once, or that it appears more often.
    ///
    /// **Arguments**: `name` in lower case.
    ///
    /// ```
    /// # use hotplate_policy::fields::{Fields, Single};
    /// assert_eq!(Fields::new(&[(b"Date", b" x ")]).only("date"), Single::One(b"x"));
    /// ```
    #[must_use]
    pub fn only(self, name: &str) -> Single<'a> {
        let mut lines = self.lines(name);
        match (lines.next(), lines.next()) {
            (None, _) => Single::Absent,
            (Some(value), None) => Single::One(value),
            (Some(_), Some(_)) => Single::Many,
        }
    }

    /// The value of the first line of that name.
    ///
    /// **Arguments**: `name` in lower case.
    ///
    /// ```
    /// # use hotplate_policy::fields::Fields;
    /// let lines: [(&[u8], &[u8]); 2] = [(b"Age", b"1"), (b"Age", b"2")];
    /// assert_eq!(Fields::new(&lines).first("age"), Some(&b"1"[..]));
    /// ```
    #[must_use]
    pub fn first(self, name: &str) -> Option<&'a [u8]> {
        self.lines(name).next()
    }

    /// Whether there is a line of that name, even an empty one.
    ///
    /// **Arguments**: `name` in lower case.
    ///
    /// ```
    /// # use hotplate_policy::fields::Fields;
    /// assert!(Fields::new(&[(b"ETag", b"")]).contains("etag"));
    /// ```
    #[must_use]
    pub fn contains(self, name: &str) -> bool {
        self.lines(name).next().is_some()
    }

    /// The members of a list field over all its lines: split at commas outside quoted strings, trimmed, and empty
    /// ones dropped.
    ///
    /// **Arguments**: `name` in lower case. Source: RFC 9110 §5.6.1.
    ///
    /// ```
    /// # use hotplate_policy::fields::Fields;
    /// let lines: [(&[u8], &[u8]); 2] = [(b"Vary", b"accept, ,"), (b"Vary", b"cookie")];
    /// assert_eq!(Fields::new(&lines).members("vary").collect::<Vec<_>>(), [b"accept", b"cookie"]);
    /// ```
    pub fn members<'n>(self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        let mut lines = self.lines(name);
        let mut rest = None;
        std::iter::from_fn(move || {
            loop {
                if let Some(member) = take_member(&mut rest) {
                    return Some(member);
                }
                rest = Some(lines.next()?);
            }
        })
    }
}

/// Whether a name is this (lower-case) one, in any case. Most are written in lower case, and that is soon compared.
#[inline]
pub(crate) fn is_named(own: &[u8], name: &[u8]) -> bool {
    own.len() == name.len() && (own == name || own.eq_ignore_ascii_case(name))
}

/// The members of one list value: split at commas outside quoted strings, trimmed, and empty ones dropped.
///
/// A backslash inside a quoted string hides the byte after it. A quoted string that is never closed reaches to the
/// end of the value. Source: RFC 9110 §5.6.1, §5.6.4.
///
/// ```
/// use hotplate_policy::fields::split_members;
///
/// let members: Vec<&[u8]> = split_members(br#"a, b="x, \", y" ,, c"#).collect();
/// assert_eq!(members, [&b"a"[..], br#"b="x, \", y""#, b"c"]);
/// ```
pub fn split_members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(value);
    std::iter::from_fn(move || take_member(&mut rest))
}

/// Takes the first member off what is left of a list value; `None` where only empty ones are left.
fn take_member<'a>(rest: &mut Option<&'a [u8]>) -> Option<&'a [u8]> {
    while let Some(value) = *rest {
        let end = end_of_member(value);
        *rest = value.get(end + 1..);
        let member = trim_ows(&value[..end]);
        if !member.is_empty() {
            return Some(member);
        }
    }
    None
}

/// Where the first comma outside a quoted string is, or the end.
fn end_of_member(value: &[u8]) -> usize {
    let mut quoted = false;
    let mut bytes = value.iter().enumerate();
    while let Some((index, byte)) = bytes.next() {
        match byte {
            b'"' => quoted = !quoted,
            b'\\' if quoted => {
                bytes.next();
            }
            b',' if !quoted => return index,
            _ => {}
        }
    }
    value.len()
}

/// The value without spaces and tabs at either end.
///
/// Source: RFC 9110 §5.6.3.
///
/// ```
/// use hotplate_policy::fields::trim_ows;
/// assert_eq!(trim_ows(b" \t a b\t"), b"a b");
/// ```
#[must_use]
pub const fn trim_ows(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Whether every byte may stand in a token, and there is at least one.
///
/// Source: RFC 9110 §5.6.2.
///
/// ```
/// use hotplate_policy::fields::is_token;
/// assert!(is_token(b"x-Custom_1"));
/// assert!(!is_token(b"a b") && !is_token(b""));
/// ```
#[must_use]
pub fn is_token(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().copied().all(is_token_byte)
}

pub(crate) const fn is_token_byte(byte: u8) -> bool {
    TOKEN_BYTES[byte as usize]
}

const TOKEN_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = is_tchar(byte as u8);
        byte += 1;
    }
    table
};

/// `tchar`, as the RFC lists them.
const fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// The fields that belong to one connection, and so are neither stored nor forwarded.
///
/// Those are the ones HTTP defines for a hop, whatever the head says, and the ones its `Connection` names.
/// Source: RFC 9111 §3.1, RFC 9110 §7.6.1.
///
/// ```
/// use hotplate_policy::fields::{Connection, Fields};
///
/// let fields = Fields::new(&[(b"Connection", b"close, X-Hop")]);
/// let connection = Connection::of(fields);
/// assert!(connection.covers(b"x-hop") && connection.covers(b"Keep-Alive"));
/// assert!(!connection.covers(b"Content-Type"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Connection<'a> {
    fields: Fields<'a>,
    names_some: bool,
}

/// The fields whose meaning ends with the connection even when `Connection` does not name them.
const HOP_FIELDS: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl<'a> Connection<'a> {
    /// Reads whether a head's `Connection` field lists anything; a scan of names, no allocation.
    ///
    /// ```
    /// # use hotplate_policy::fields::{Connection, Fields};
    /// assert!(!Connection::of(Fields::default()).covers(b"x-hop"));
    /// ```
    #[must_use]
    pub fn of(fields: Fields<'a>) -> Self {
        Self { fields, names_some: fields.contains("connection") }
    }

    /// Whether the field of this name, in any case, is for this connection only.
    ///
    /// ```
    /// # use hotplate_policy::fields::{Connection, Fields};
    /// assert!(Connection::of(Fields::default()).covers(b"Transfer-Encoding"));
    /// ```
    #[must_use]
    pub fn covers(&self, name: &[u8]) -> bool {
        HOP_FIELDS.iter().any(|hop| name.eq_ignore_ascii_case(hop.as_bytes()))
            || (self.names_some
                && self.fields.members("connection").any(|listed| listed.eq_ignore_ascii_case(name)))
    }
}

/// Whether a field of this name may be stored with the response whose head is `all`.
///
/// For more than one name of the same head, build a [`Connection`] once and ask it. Source: RFC 9111 §3.1.
///
/// ```
/// use hotplate_policy::fields::{Fields, is_stored_field};
///
/// let lines: [(&[u8], &[u8]); 2] = [(b"Connection", b"x-hop"), (b"X-Hop", b"1")];
/// assert!(is_stored_field(b"ETag", Fields::new(&lines)));
/// assert!(!is_stored_field(b"X-Hop", Fields::new(&lines)));
/// ```
#[must_use]
pub fn is_stored_field(name: &[u8], all: Fields<'_>) -> bool {
    !Connection::of(all).covers(name)
}

#[cfg(test)]
mod tests {
    use super::{Fields, is_stored_field, split_members, trim_ows};
    use proptest::prelude::*;

    #[test]
    fn lists_are_split_at_commas_outside_quotes() {
        let table: [(&[u8], &[&[u8]]); 10] = [
            (b"", &[]),
            (b" , ,\t,", &[]),
            (b"a", &[b"a"]),
            (b"a,b", &[b"a", b"b"]),
            (b" a ,\tb ", &[b"a", b"b"]),
            (b"\"a,b\",c", &[b"\"a,b\"", b"c"]),
            (b"x=\"a\\\",b\",c", &[b"x=\"a\\\",b\"", b"c"]),
            (b"a\\,b", &[b"a\\", b"b"]),
            (b"a,\"b,c", &[b"a", b"\"b,c"]),
            (b"\"a\\", &[b"\"a\\"]),
        ];
        for (value, expected) in table {
            assert_eq!(split_members(value).collect::<Vec<_>>(), expected, "{}", value.escape_ascii());
        }
    }

    #[test]
    fn connection_fields_are_not_stored() {
        let lines: [(&[u8], &[u8]); 2] = [(b"Connection", b"close, A"), (b"connection", b"b")];
        let head = Fields::new(&lines);
        let table: [(&[u8], bool); 16] = [
            (b"connection", false),
            (b"Keep-Alive", false),
            (b"Proxy-Authenticate", false),
            (b"Proxy-Authentication-Info", false),
            (b"Proxy-Authorization", false),
            (b"Proxy-Connection", false),
            (b"TE", false),
            (b"Trailer", false),
            (b"Transfer-Encoding", false),
            (b"Upgrade", false),
            (b"a", false),
            (b"B", false),
            (b"Set-Cookie", true),
            (b"X-Unknown", true),
            (b"Proxy-Status", true),
            (b"Cache-Control", true),
        ];
        for (name, stored) in table {
            assert_eq!(is_stored_field(name, head), stored, "{}", name.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_split_without_panic(value in any::<Vec<u8>>()) {
            for member in split_members(&value) {
                prop_assert!(!member.is_empty());
                prop_assert_eq!(trim_ows(member), member);
            }
        }

        #[test]
        fn members_do_not_depend_on_how_lines_are_joined(members in prop::collection::vec("[a-z]{1,5}", 0..6)) {
            let joined = members.join(", ");
            let one: [(&[u8], &[u8]); 1] = [(b"x", joined.as_bytes())];
            let many: Vec<(&[u8], &[u8])> = members.iter().map(|member| (&b"X"[..], member.as_bytes())).collect();
            prop_assert!(Fields::new(&one).members("x").eq(Fields::new(&many).members("x")));
        }
    }
}
