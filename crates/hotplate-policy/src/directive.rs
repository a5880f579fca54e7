//! The grammar of one cache directive, `token [ "=" ( token / quoted-string ) ]`, and the names this crate knows.
//!
//! What does not fit the grammar is not thrown away: the member is cut at every comma, quoted or not, and each
//! piece that begins with a name is reported with [`Argument::Malformed`]. A caller lets such a piece restrict
//! caching and never permit it, so a stray quotation mark cannot hide a `no-store`.
//!
//! Reading list: RFC 9111 §5.2.

use crate::fields::{is_named, is_token, is_token_byte, split_members, trim_ows};
use crate::time::DeltaSeconds;

/// The directives this crate acts on, of requests and responses alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Immutable,
    MaxAge,
    MaxStale,
    MinFresh,
    MustRevalidate,
    MustUnderstand,
    NoCache,
    NoStore,
    NoTransform,
    OnlyIfCached,
    Private,
    ProxyRevalidate,
    Public,
    SMaxAge,
    StaleIfError,
    StaleWhileRevalidate,
}

impl Name {
    const ALL: [(&'static [u8], Self); 16] = [
        (b"max-age", Self::MaxAge),
        (b"s-maxage", Self::SMaxAge),
        (b"no-cache", Self::NoCache),
        (b"no-store", Self::NoStore),
        (b"private", Self::Private),
        (b"public", Self::Public),
        (b"must-revalidate", Self::MustRevalidate),
        (b"proxy-revalidate", Self::ProxyRevalidate),
        (b"must-understand", Self::MustUnderstand),
        (b"no-transform", Self::NoTransform),
        (b"immutable", Self::Immutable),
        (b"stale-while-revalidate", Self::StaleWhileRevalidate),
        (b"stale-if-error", Self::StaleIfError),
        (b"max-stale", Self::MaxStale),
        (b"min-fresh", Self::MinFresh),
        (b"only-if-cached", Self::OnlyIfCached),
    ];

    /// The directive of this name in any case, or `None` for one this crate does not know.
    pub(crate) fn of(name: &[u8]) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| is_named(name, known)).map(|&(_, directive)| directive)
    }
}

/// What follows a directive's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Argument<'a> {
    /// Nothing.
    Absent,
    /// A token.
    Token(&'a [u8]),
    /// The inside of a quoted string, escapes still in place.
    Quoted(&'a [u8]),
    /// Something the grammar does not allow; the directive may restrict, never permit.
    Malformed,
}

impl Argument<'_> {
    /// The argument as delta-seconds, in either form.
    ///
    /// Source: RFC 9111 §5.2, by which a recipient takes the quoted form of a number too.
    pub(crate) fn seconds(self) -> Option<DeltaSeconds> {
        match self {
            Self::Token(digits) | Self::Quoted(digits) => DeltaSeconds::parse(digits),
            Self::Absent | Self::Malformed => None,
        }
    }
}

/// Calls `see` with each known directive of one `Cache-Control` line, in order.
pub(crate) fn each<'a>(line: &'a [u8], mut see: impl FnMut(Name, Argument<'a>)) {
    for member in split_members(line) {
        if let Some((name, argument)) = parse(member) {
            if let Some(name) = Name::of(name) {
                see(name, argument);
            }
        } else {
            for piece in member.split(|byte| *byte == b',') {
                if let Some(name) = Name::of(leading_token(trim_ows(piece)).0) {
                    see(name, Argument::Malformed);
                }
            }
        }
    }
}

/// The name and argument of one member, or `None` when it does not fit the grammar.
fn parse(member: &[u8]) -> Option<(&[u8], Argument<'_>)> {
    let (name, rest) = leading_token(member);
    let argument = match rest {
        _ if name.is_empty() => return None,
        [] => Argument::Absent,
        [b'=', b'"', quoted @ ..] => Argument::Quoted(whole_quoted(quoted)?),
        [b'=', token @ ..] if is_token(token) => Argument::Token(token),
        _ => return None,
    };
    Some((name, argument))
}

fn leading_token(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !is_token_byte(*byte)).unwrap_or(text.len());
    text.split_at(end)
}

/// The inside of a quoted string whose opening mark was just taken, if its closing mark is the last byte.
fn whole_quoted(text: &[u8]) -> Option<&[u8]> {
    let mut bytes = text.iter().enumerate();
    while let Some((index, byte)) = bytes.next() {
        match byte {
            b'"' => return (index + 1 == text.len()).then(|| &text[..index]),
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Argument, Name, each};
    use proptest::prelude::*;

    type Seen<'a> = (Name, Argument<'a>);

    fn seen(line: &[u8]) -> Vec<Seen<'_>> {
        let mut seen = Vec::new();
        each(line, |name, argument| seen.push((name, argument)));
        seen
    }

    #[test]
    fn each_form_of_argument_is_told_apart() {
        let table: [(&[u8], &[Seen<'_>]); 18] = [
            (b"no-store", &[(Name::NoStore, Argument::Absent)]),
            (b"NO-Store", &[(Name::NoStore, Argument::Absent)]),
            (b"max-age=5", &[(Name::MaxAge, Argument::Token(b"5"))]),
            (b"max-age=\"5\"", &[(Name::MaxAge, Argument::Quoted(b"5"))]),
            (b"private=\"a, b\"", &[(Name::Private, Argument::Quoted(b"a, b"))]),
            (b"private=\"a\\\"b\"", &[(Name::Private, Argument::Quoted(b"a\\\"b"))]),
            (b"max-age='5'", &[(Name::MaxAge, Argument::Token(b"'5'"))]),
            (b"max-age", &[(Name::MaxAge, Argument::Absent)]),
            (b"max-age=", &[(Name::MaxAge, Argument::Malformed)]),
            (b"max-age =5", &[(Name::MaxAge, Argument::Malformed)]),
            (b"max-age= 5", &[(Name::MaxAge, Argument::Malformed)]),
            (b"no-store foo", &[(Name::NoStore, Argument::Malformed)]),
            (b"private=\"a\"b", &[(Name::Private, Argument::Malformed)]),
            (b"ext=\"no-store, max-age=5\"", &[]),
            (b"ext=\"a\\\", no-store\"", &[]),
            (b"ext=\"a, no-store", &[(Name::NoStore, Argument::Malformed)]),
            (b"=no-store, ;, \"no-store\"", &[]),
            (b"x-no-store, no-storex", &[]),
        ];
        for (line, expected) in table {
            assert_eq!(seen(line), expected, "{}", line.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(line in any::<Vec<u8>>()) {
            seen(&line);
        }

        #[test]
        fn quoted_strings_are_never_searched(inside in "[ -!#-\\[\\]-~]{0,40}") {
            let line = format!("ext=\"no-store, {inside}, max-age=1\"");
            prop_assert_eq!(seen(line.as_bytes()), []);
        }
    }
}
