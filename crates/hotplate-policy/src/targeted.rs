//! Cache directives addressed to this cache, in fields of their own.
//!
//! A targeted field means what `Cache-Control` means and replaces it, `Expires` included, for the caches it is
//! addressed to. It is a structured Dictionary: unlike `Cache-Control` it is either valid as a whole or ignored as
//! a whole, its keys are lower-case, and the last of a repeated key counts.
//!
//! # A directive of the wrong type
//!
//! The field stays valid, and nothing is coerced (RFC 9213 §2.1). A lifetime that is no Integer is
//! [`Lifetime::Invalid`], a directive that restricts counts, one that
//! permits does not. `?0` says a directive is not meant, and so it is not there.
//!
//! Reading list: RFC 9213, RFC 9651 §3.2.

use std::borrow::Cow;
use std::convert::Infallible;

use sfv::visitor::{
    DictionaryVisitor, EntryVisitor, Ignored, InnerListVisitor, ItemVisitor, ParameterVisitor,
};
use sfv::{BareItemFromInput, KeyRef, Parser};

use crate::cache_control::{Lifetime, ResponseDirectives, Scope};
use crate::directive::Name;
use crate::fields::Fields;
use crate::time::DeltaSeconds;

/// The target list: the fields addressed to this cache, in lower case, the most specific first.
///
/// Source: RFC 9213 §2.2, §3.1.
///
/// ```
/// assert_eq!(hotplate_policy::targeted::TARGETS[1], "cdn-cache-control");
/// ```
pub const TARGETS: [&str; 2] = ["hotplate-cache-control", "cdn-cache-control"];

/// The first field of the target list that is valid and not empty, with its name.
///
/// When there is one, `Cache-Control` and `Expires` are to be ignored. Source: RFC 9213 §2.2.
///
/// ```
/// use hotplate_policy::fields::Fields;
/// use hotplate_policy::targeted::first_valid;
///
/// let fields = Fields::new(&[
///     (b"CDN-Cache-Control", b"max-age=600"),
///     (b"Hotplate-Cache-Control", b"max-age=&&"),
/// ]);
/// let (name, directives) = first_valid(fields).unwrap();
/// assert_eq!(name, "cdn-cache-control");
/// assert_eq!(directives.max_age.seconds(), Some(600));
/// ```
#[must_use]
pub fn first_valid(fields: Fields<'_>) -> Option<(&'static str, ResponseDirectives<'_>)> {
    TARGETS.into_iter().find_map(|name| Some((name, parse(fields, name)?)))
}

/// The directives of one targeted field, or `None` when it is absent, empty or not a Dictionary.
///
/// **Arguments**: `name` in lower case. Parameters are ignored, and so are unknown keys, though a field with
/// nothing else is not empty. Each line must be a Dictionary by itself. **Cost**: allocates only for forms that no
/// directive uses (byte sequences, strings with escapes).
///
/// Source: RFC 9213 §2.1.
///
/// ```
/// use hotplate_policy::cache_control::Scope;
/// use hotplate_policy::fields::Fields;
/// use hotplate_policy::targeted::parse;
///
/// let fields = Fields::new(&[(b"CDN-Cache-Control", b"max-age=60;x=1, private")]);
/// let directives = parse(fields, "cdn-cache-control").unwrap();
/// assert_eq!(directives.private, Scope::All);
///
/// let upper = Fields::new(&[(b"CDN-Cache-Control", b"Max-Age=60")]);
/// assert_eq!(parse(upper, "cdn-cache-control"), None);
/// ```
#[must_use]
pub fn parse<'a>(fields: Fields<'a>, name: &str) -> Option<ResponseDirectives<'a>> {
    let mut dictionary = Dictionary::default();
    for line in fields.lines(name) {
        Parser::new(line).parse_dictionary_with_visitor(&mut dictionary).ok()?;
    }
    dictionary.directives.present.then_some(dictionary.directives)
}

/// The value of a key, as far as any directive could use it.
enum Value<'a> {
    True,
    False,
    Integer(i64),
    /// A String without escapes, or a Token.
    Text(&'a [u8]),
    /// Anything else.
    Other,
}

#[derive(Default)]
struct Dictionary<'a> {
    directives: ResponseDirectives<'a>,
    /// Whether the last `must-revalidate` was written so badly that it counts as `proxy-revalidate`.
    malformed_must_revalidate: bool,
}

impl<'a> Dictionary<'a> {
    /// Sets, and does not add to, what the key says: of a repeated key the last counts (RFC 9651 §3.2).
    fn set(&mut self, name: Name, value: &Value<'a>) {
        let directives = &mut self.directives;
        let restricts = !matches!(value, Value::False);
        let permits = matches!(value, Value::True);
        match name {
            Name::MaxAge => directives.max_age = lifetime(value),
            Name::SMaxAge => directives.s_maxage = lifetime(value),
            Name::NoStore => directives.no_store = restricts,
            Name::NoCache => directives.no_cache = scope(value),
            Name::Private => directives.private = scope(value),
            Name::Public => directives.public = permits,
            Name::MustRevalidate => {
                directives.must_revalidate = permits;
                self.malformed_must_revalidate = restricts && !permits;
            }
            Name::ProxyRevalidate => directives.proxy_revalidate = restricts,
            Name::MustUnderstand => directives.must_understand = permits,
            Name::NoTransform => directives.no_transform = restricts,
            Name::Immutable => directives.immutable = permits,
            Name::StaleWhileRevalidate => directives.stale_while_revalidate = window(value),
            Name::StaleIfError => directives.stale_if_error = window(value),
            Name::MaxStale | Name::MinFresh | Name::OnlyIfCached => {}
        }
    }
}

fn seconds(value: &Value<'_>) -> Option<DeltaSeconds> {
    match value {
        Value::Integer(number) => u64::try_from(*number).ok().map(DeltaSeconds::new),
        _ => None,
    }
}

fn lifetime(value: &Value<'_>) -> Lifetime {
    match value {
        Value::False => Lifetime::Absent,
        _ => seconds(value).map_or(Lifetime::Invalid, Lifetime::Seconds),
    }
}

fn window(value: &Value<'_>) -> Option<DeltaSeconds> {
    match value {
        Value::False => None,
        _ => Some(seconds(value).unwrap_or(DeltaSeconds::ZERO)),
    }
}

fn scope<'a>(value: &Value<'a>) -> Scope<'a> {
    let mut scope = Scope::Absent;
    match value {
        Value::False => {}
        Value::Text(list) => scope.add_list(Some(list)),
        _ => scope.add_list(None),
    }
    scope
}

impl<'a> DictionaryVisitor<'a> for &mut Dictionary<'a> {
    type Out = ();
    type Error = Infallible;

    fn entry(&mut self, key: &'a KeyRef) -> Result<impl EntryVisitor<'a>, Infallible> {
        self.directives.present = true;
        Ok(Name::of(key.as_str().as_bytes()).map(|name| Entry { dictionary: self, name }))
    }

    fn finish(self) -> Result<(), Infallible> {
        self.directives.proxy_revalidate |= self.malformed_must_revalidate;
        Ok(())
    }
}

/// The value that belongs to a known key.
struct Entry<'v, 'a> {
    dictionary: &'v mut Dictionary<'a>,
    name: Name,
}

impl<'a> EntryVisitor<'a> for Entry<'_, 'a> {
    type Error = Infallible;

    fn item(self) -> Result<impl ItemVisitor<'a>, Infallible> {
        Ok(self)
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'a>, Infallible> {
        self.dictionary.set(self.name, &Value::Other);
        Ok(Ignored)
    }
}

impl<'a> ItemVisitor<'a> for Entry<'_, 'a> {
    type Out = ();
    type Error = Infallible;

    fn bare_item(
        self,
        item: BareItemFromInput<'a>,
    ) -> Result<impl ParameterVisitor<'a, Out = ()>, Infallible> {
        let value = match item {
            BareItemFromInput::Boolean(true) => Value::True,
            BareItemFromInput::Boolean(false) => Value::False,
            BareItemFromInput::Integer(number) => Value::Integer(number.into()),
            BareItemFromInput::Token(token) => Value::Text(token.as_str().as_bytes()),
            BareItemFromInput::String(Cow::Borrowed(text)) => Value::Text(text.as_str().as_bytes()),
            _ => Value::Other,
        };
        self.dictionary.set(self.name, &value);
        Ok(Ignored)
    }
}

#[cfg(test)]
mod tests {
    use super::{first_valid, parse};
    use crate::cache_control::{Lifetime, ResponseDirectives, Scope};
    use crate::fields::Fields;
    use crate::time::DeltaSeconds;
    use proptest::prelude::*;

    const NAME: &str = "cdn-cache-control";

    type Line<'a> = (&'a [u8], &'a [u8]);
    /// The name of the field, and its `max-age`.
    type Found<'a> = (&'a str, Lifetime);

    fn seconds(number: u64) -> Lifetime {
        Lifetime::Seconds(DeltaSeconds::new(number))
    }

    #[test]
    fn directives_mean_what_they_mean_in_cache_control() {
        let base = ResponseDirectives { present: true, ..ResponseDirectives::default() };
        let table = [
            ("max-age=60", ResponseDirectives { max_age: seconds(60), ..base }),
            ("s-maxage=60", ResponseDirectives { s_maxage: seconds(60), ..base }),
            ("max-age=99999999999", ResponseDirectives { max_age: seconds(1 << 31), ..base }),
            ("max-age=60;a;b=2", ResponseDirectives { max_age: seconds(60), ..base }),
            ("foobar, max-age=60", ResponseDirectives { max_age: seconds(60), ..base }),
            ("none", base),
            ("x=(1 2 \"max-age=1\");y, z=:YQ==:", base),
            ("no-store", ResponseDirectives { no_store: true, ..base }),
            ("no-cache", ResponseDirectives { no_cache: Scope::All, ..base }),
            ("private", ResponseDirectives { private: Scope::All, ..base }),
            ("public, immutable", ResponseDirectives { public: true, immutable: true, ..base }),
            ("must-revalidate", ResponseDirectives { must_revalidate: true, ..base }),
            ("proxy-revalidate", ResponseDirectives { proxy_revalidate: true, ..base }),
            ("must-understand", ResponseDirectives { must_understand: true, ..base }),
            ("stale-if-error=5", ResponseDirectives { stale_if_error: Some(DeltaSeconds::new(5)), ..base }),
            (
                "stale-while-revalidate=5",
                ResponseDirectives { stale_while_revalidate: Some(DeltaSeconds::new(5)), ..base },
            ),
            // RFC 9651 §3.2: the last of a repeated key counts.
            ("max-age=1, max-age=60", ResponseDirectives { max_age: seconds(60), ..base }),
            ("private, private=?0", base),
            // RFC 9213 §2.1: a wrong type is not coerced.
            ("max-age=\"60\"", ResponseDirectives { max_age: Lifetime::Invalid, ..base }),
            ("max-age=60.0", ResponseDirectives { max_age: Lifetime::Invalid, ..base }),
            ("max-age", ResponseDirectives { max_age: Lifetime::Invalid, ..base }),
            ("max-age=-1", ResponseDirectives { max_age: Lifetime::Invalid, ..base }),
            ("max-age=(60)", ResponseDirectives { max_age: Lifetime::Invalid, ..base }),
            ("stale-if-error=x", ResponseDirectives { stale_if_error: Some(DeltaSeconds::ZERO), ..base }),
            ("no-store=1", ResponseDirectives { no_store: true, ..base }),
            ("no-store=()", ResponseDirectives { no_store: true, ..base }),
            ("no-store=?0", base),
            ("public=1", base),
            ("must-revalidate=1", ResponseDirectives { proxy_revalidate: true, ..base }),
            ("private=1", ResponseDirectives { private: Scope::All, ..base }),
            ("private=\"a\\\"\"", ResponseDirectives { private: Scope::All, ..base }),
            ("private=\"\"", ResponseDirectives { private: Scope::All, ..base }),
        ];
        for (value, expected) in table {
            let lines = [(NAME.as_bytes(), value.as_bytes())];
            assert_eq!(parse(Fields::new(&lines), NAME), Some(expected), "{value}");
        }
    }

    #[test]
    fn named_fields_are_kept_apart() {
        let fields = Fields::new(&[(b"cdn-cache-control", b"private=\"a, B\", no-cache=c")]);
        let directives = parse(fields, NAME).unwrap();
        assert!(directives.private.covers_field(b"A") && directives.private.covers_field(b"b"));
        assert!(directives.no_cache.covers_field(b"c") && !directives.no_cache.covers_field(b"a"));
    }

    #[test]
    fn a_field_that_is_no_dictionary_or_empty_is_ignored() {
        let table: [&[&str]; 14] = [
            &[],
            &[""],
            &["", ""],
            &["  "],
            &["max-age=10000, &&&&&"],
            &["Max-Age=60"],
            &["max-age =60"],
            &["max-age= 60"],
            &["max-age=60,"],
            &["max-age=1234567890123456"],
            &["max-age=60", "&"],
            &["&", "max-age=60"],
            &["private=\"a"],
            &["x=\"\u{e9}\""],
        ];
        for values in table {
            let lines: Vec<(&[u8], &[u8])> =
                values.iter().map(|value| (NAME.as_bytes(), value.as_bytes())).collect();
            assert_eq!(parse(Fields::new(&lines), NAME), None, "{values:?}");
        }
    }

    #[test]
    fn several_lines_are_one_dictionary() {
        let lines: [(&[u8], &[u8]); 2] =
            [(b"CDN-Cache-Control", b"max-age=1, private"), (b"cdn-cache-control", b"max-age=9")];
        let directives = parse(Fields::new(&lines), NAME).unwrap();
        assert_eq!((directives.max_age, directives.private), (seconds(9), Scope::All));
    }

    #[test]
    fn the_most_specific_valid_field_wins() {
        let own: Line<'_> = (b"Hotplate-Cache-Control", b"max-age=1");
        let own_bad: Line<'_> = (b"Hotplate-Cache-Control", b"max-age=&");
        let cdn: Line<'_> = (b"CDN-Cache-Control", b"max-age=2");
        let other: Line<'_> = (b"Other-Cache-Control", b"max-age=3");
        let table: [(&[Line<'_>], Option<Found<'_>>); 5] = [
            (&[cdn, own], Some(("hotplate-cache-control", seconds(1)))),
            (&[own_bad, cdn], Some(("cdn-cache-control", seconds(2)))),
            (&[own_bad], None),
            (&[other], None),
            (&[], None),
        ];
        for (lines, expected) in table {
            let found = first_valid(Fields::new(lines)).map(|(name, directives)| (name, directives.max_age));
            assert_eq!(found, expected);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(one in any::<Vec<u8>>(), two in any::<Vec<u8>>()) {
            let lines: [(&[u8], &[u8]); 2] = [(NAME.as_bytes(), &one), (NAME.as_bytes(), &two)];
            let _ = first_valid(Fields::new(&lines));
        }

        #[test]
        fn almost_dictionaries_are_read_without_panic(
            value in "((max-age|private|no-store|x)[=,; ]?(\"[a, ]*\"?|[0-9.]{1,17}|\\?[01]|\\([a ]*\\)?)?,? ?){0,5}",
        ) {
            let lines = [(NAME.as_bytes(), value.as_bytes())];
            let _ = first_valid(Fields::new(&lines));
        }

        #[test]
        fn unknown_keys_change_nothing(key in "x[a-z]{0,5}", text in "[ -!#-\\[\\]-~]{0,12}") {
            let plain = [(NAME.as_bytes(), &b"max-age=5, private"[..])];
            let value = format!("max-age=5, {key}=\"{text}, no-store\", private");
            let mixed = [(NAME.as_bytes(), value.as_bytes())];
            prop_assert_eq!(parse(Fields::new(&plain), NAME), parse(Fields::new(&mixed), NAME));
        }
    }
}
