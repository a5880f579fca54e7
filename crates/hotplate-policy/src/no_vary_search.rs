//! Which parts of a query do not matter to a response, as the response itself says in `No-Vary-Search`.
//!
//! The field gives a [`SearchVariance`]. Two queries under which the response is the same have equal
//! [`significant`](SearchVariance::significant) forms, so a cache can look a request up by that form among the
//! responses of its path.
//!
//! # Scope
//!
//! Queries only: that scheme, authority and path agree is for the caller's key to see to. A query is read as
//! `application/x-www-form-urlencoded`; what is not UTF-8 after decoding becomes U+FFFD, as the URL Standard has it.
//!
//! Whatever is wrong with the field makes it as if absent, which only costs hits.
//!
//! Reading list: draft-ietf-httpbis-no-vary-search-05, RFC 9651 §3.2, <https://url.spec.whatwg.org/#urlencoded-parsing>.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::convert::Infallible;

use sfv::visitor::{
    DictionaryVisitor, EntryVisitor, Ignored, InnerListVisitor, ItemVisitor, ParameterVisitor,
};
use sfv::{BareItemFromInput, KeyRef, Parser};

use crate::fields::Fields;

/// How the responses of one path vary with the query.
///
/// ```
/// use hotplate_policy::fields::Fields;
/// use hotplate_policy::no_vary_search::SearchVariance;
///
/// let fields = Fields::new(&[(b"No-Vary-Search", b"key-order, params=(\"utm_source\")")]);
/// let variance = SearchVariance::parse(fields);
/// assert!(variance.same(b"a=1&b=2&utm_source=x", b"b=2&a=1"));
/// assert!(!variance.same(b"a=1", b"a=2"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchVariance {
    parameters: Parameters,
    order_matters: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Parameters {
    AllBut(BTreeSet<String>),
    Only(BTreeSet<String>),
}

impl Default for SearchVariance {
    fn default() -> Self {
        Self { parameters: Parameters::AllBut(BTreeSet::new()), order_matters: true }
    }
}

impl SearchVariance {
    /// Reads `No-Vary-Search` from a response; the default, under which every byte of the query matters, if it is
    /// absent or wrong in any way.
    ///
    /// Source: draft-ietf-httpbis-no-vary-search §4.1, §4.2.
    ///
    /// ```
    /// # use hotplate_policy::{fields::Fields, no_vary_search::SearchVariance};
    /// let wrong = Fields::new(&[(b"no-vary-search", b"params=(\"a\"), except=(\"b\")")]);
    /// assert_eq!(SearchVariance::parse(wrong), SearchVariance::default());
    /// ```
    #[must_use]
    pub fn parse(response: Fields<'_>) -> Self {
        let mut stated = Stated::default();
        for line in response.lines("no-vary-search") {
            if Parser::new(line).parse_dictionary_with_visitor(&mut stated).is_err() {
                return Self::default();
            }
        }
        stated.variance().unwrap_or_default()
    }

    /// Whether every byte of the query matters.
    ///
    /// ```
    /// # use hotplate_policy::no_vary_search::SearchVariance;
    /// assert!(SearchVariance::default().is_default());
    /// ```
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the response to one query answers the other. A query is without its `?`; no query is an empty one.
    ///
    /// Under the default variance they must be the same bytes; whether one of them has a `?` is then for the caller
    /// to compare. Source: draft-ietf-httpbis-no-vary-search §5.
    ///
    /// ```
    /// # use hotplate_policy::no_vary_search::SearchVariance;
    /// assert!(!SearchVariance::default().same(b"a", b"a="));
    /// ```
    #[must_use]
    pub fn same(&self, one: &[u8], two: &[u8]) -> bool {
        one == two || (!self.is_default() && self.significant(one) == self.significant(two))
    }

    /// What of a query matters: equal for two queries exactly when [`same`](Self::same) says so.
    ///
    /// **Returns** the query itself under the default variance, and else the decoded names and values that matter,
    /// each preceded by its length: a form to compare and to hash, not a query to send. **Cost**: allocates.
    ///
    /// ```
    /// # use hotplate_policy::{fields::Fields, no_vary_search::SearchVariance};
    /// let fields = Fields::new(&[(b"no-vary-search", b"params, except=(\"id\")")]);
    /// let variance = SearchVariance::parse(fields);
    /// assert_eq!(&*variance.significant(b"x=1&id=%37"), b"2:id1:7");
    /// ```
    #[must_use]
    pub fn significant<'q>(&self, query: &'q [u8]) -> Cow<'q, [u8]> {
        if self.is_default() {
            return Cow::Borrowed(query);
        }
        let mut pairs: Vec<(String, String)> = pairs(query).filter(|(name, _)| self.matters(name)).collect();
        if !self.order_matters {
            // Stable: the values of one name keep their order. Code units order as the draft has it.
            pairs.sort_by(|(one, _), (two, _)| one.encode_utf16().cmp(two.encode_utf16()));
        }
        let mut out = Vec::with_capacity(query.len() + 8 * pairs.len());
        for part in pairs.iter().flat_map(|(name, value)| [name, value]) {
            out.extend_from_slice(part.len().to_string().as_bytes());
            out.push(b':');
            out.extend_from_slice(part.as_bytes());
        }
        Cow::Owned(out)
    }

    fn matters(&self, name: &str) -> bool {
        match &self.parameters {
            Parameters::AllBut(ignored) => !ignored.contains(name),
            Parameters::Only(significant) => significant.contains(name),
        }
    }
}

/// The decoded names and values of a form-encoded query, in order; empty sequences between `&` are none.
fn pairs(query: &[u8]) -> impl Iterator<Item = (String, String)> {
    query.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let equals = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        (decode(&pair[..equals]), decode(pair.get(equals + 1..).unwrap_or_default()))
    })
}

/// Undoes `+` and percent-encoding; a `%` without two hexadecimal digits stands for itself.
fn decode(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        rest = after;
        bytes.push(match (byte, after) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest = after;
                nibble(*high) << 4 | nibble(*low)
            }
            _ => *byte,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

const fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

/// What one key of the Dictionary holds, as far as it may.
#[derive(Default, PartialEq)]
enum Value {
    #[default]
    Absent,
    Boolean(bool),
    Names(BTreeSet<String>),
    /// A type the key may not have.
    Wrong,
}

#[derive(Default)]
struct Stated {
    key_order: Value,
    params: Value,
    except: Value,
}

impl Stated {
    /// The variance, or `None` when any of the three keys is not what it may be.
    fn variance(self) -> Option<SearchVariance> {
        let order_matters = match self.key_order {
            Value::Absent => true,
            Value::Boolean(ignored) => !ignored,
            Value::Names(_) | Value::Wrong => return None,
        };
        let parameters = match (self.params, self.except) {
            (Value::Absent | Value::Boolean(false), Value::Absent) => Parameters::AllBut(BTreeSet::new()),
            (Value::Names(ignored), Value::Absent) => Parameters::AllBut(ignored),
            (Value::Boolean(true), Value::Absent) => Parameters::Only(BTreeSet::new()),
            (Value::Boolean(true), Value::Names(significant)) => Parameters::Only(significant),
            _ => return None,
        };
        Some(SearchVariance { parameters, order_matters })
    }
}

impl<'de> DictionaryVisitor<'de> for &mut Stated {
    type Out = ();
    type Error = Infallible;

    fn entry(&mut self, key: &'de KeyRef) -> Result<impl EntryVisitor<'de>, Infallible> {
        Ok(match key.as_str() {
            "key-order" => Some(Place(&mut self.key_order)),
            "params" => Some(Place(&mut self.params)),
            "except" => Some(Place(&mut self.except)),
            _ => None,
        })
    }

    fn finish(self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Where the value of a key, or a member of its inner list, goes.
struct Place<'v>(&'v mut Value);

impl<'de> EntryVisitor<'de> for Place<'_> {
    type Error = Infallible;

    fn item(self) -> Result<impl ItemVisitor<'de>, Infallible> {
        Ok(move |item: BareItemFromInput<'de>| {
            *self.0 = match item {
                BareItemFromInput::Boolean(stated) => Value::Boolean(stated),
                _ => Value::Wrong,
            };
            Ok::<_, Infallible>(Ignored)
        })
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, Infallible> {
        *self.0 = Value::Names(BTreeSet::new());
        Ok(self)
    }
}

impl<'de> InnerListVisitor<'de> for Place<'_> {
    type Error = Infallible;

    fn item(&mut self) -> Result<impl ItemVisitor<'de>, Infallible> {
        let place = &mut *self.0;
        Ok(move |item: BareItemFromInput<'de>| {
            match (item, place) {
                (BareItemFromInput::String(name), Value::Names(names)) => {
                    names.insert(decode(name.as_str().as_bytes()));
                }
                (_, place) => *place = Value::Wrong,
            }
            Ok::<_, Infallible>(Ignored)
        })
    }

    fn finish(self) -> Result<impl ParameterVisitor<'de>, Infallible> {
        Ok(Ignored)
    }
}

#[cfg(test)]
mod tests {
    use super::SearchVariance;
    use crate::fields::Fields;
    use proptest::prelude::*;

    fn variance(value: &str) -> SearchVariance {
        SearchVariance::parse(Fields::new(&[(b"No-Vary-Search", value.as_bytes())]))
    }

    #[test]
    fn what_is_wrong_or_says_nothing_is_the_default() {
        let table = [
            "",
            "unknown-key",
            "key-order=\"not a boolean\"",
            "key-order=(\"a\")",
            "params=\"not a boolean or inner list\"",
            "params=(not-a-string)",
            "params=(\"a\" 1 \"b\")",
            "params=(\"a\"), except=(\"x\")",
            "params=(), except=()",
            "params=?0, except=(\"x\")",
            "params, except=(not-a-string)",
            "params, except=\"not an inner list\"",
            "params, except=?1",
            "except=(\"x\")",
            "except=()",
            "params=?0",
            "params=()",
            "key-order=?0",
            "params, &",
            "key-order, key-order=?0",
        ];
        for value in table {
            assert!(variance(value).is_default(), "{value}");
        }
    }

    #[test]
    fn unconventional_forms_are_their_conventional_ones() {
        let table = [
            ("params=?1", "params"),
            ("key-order=?1", "key-order"),
            ("params, key-order, except=(\"x\")", "key-order, params, except=(\"x\")"),
            ("params;x=1, unknown=(1 2)", "params"),
            ("params=(1), params=(\"a\")", "params=(\"a\")"),
            ("params=(\"%61+%C3%A9\")", "params=(\"a %c3%a9\")"),
        ];
        for (one, two) in table {
            assert!(!variance(one).is_default(), "{one}");
            assert_eq!(variance(one), variance(two), "{one}");
        }
    }

    #[test]
    fn queries_are_compared_by_what_matters() {
        let table = [
            ("", "a=1&b=2", "b=2&a=1", false),
            ("", "a=1", "a=1", true),
            ("", "a", "a=", false),
            ("key-order", "a=1&b=2", "b=2&a=1", true),
            ("key-order", "a=1&a=2", "a=2&a=1", false),
            ("key-order", "b=1&a=3&a=2", "a=3&b=1&a=2", true),
            ("key-order", "a=x", "%61=%78", true),
            ("key-order", "a=\u{e9}", "a=%C3%A9", true),
            ("key-order", "a=%f6", "a=%ef%bf%bd", true),
            ("key-order", "a=x&&&&", "a=x", true),
            ("key-order", "a=", "a", true),
            ("key-order", "a=%20", "a=+", true),
            ("key-order", "a=%2", "a=%252", true),
            ("key-order", "=", "", false),
            ("params=(\"a\")", "a=1&b=2", "b=2&a=9&a", true),
            ("params=(\"a\")", "b=2&c=1", "c=1&b=2", false),
            ("params=(\"a\")", "A=1", "", false),
            ("params=(\"%C3%A9+%E6%B0%97\")", "\u{e9} \u{6c17}=1", "%C3%A9+%E6%B0%97=4", true),
            ("params", "a=1&b=2", "", true),
            ("params, except=(\"id\")", "id=1&x=2", "y&id=1", true),
            ("params, except=(\"id\")", "id=1", "id=2", false),
            ("params, except=(\"id\")", "id=1", "id=1&id=1", false),
            ("params, except=(\"b\" \"a\")", "a=1&b=2", "b=2&a=1", false),
            ("params, key-order, except=(\"b\" \"a\")", "a=1&b=2", "b=2&x&a=1", true),
        ];
        for (value, one, two, expected) in table {
            assert_eq!(
                variance(value).same(one.as_bytes(), two.as_bytes()),
                expected,
                "{value}: {one} | {two}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(field in any::<Vec<u8>>(), query in any::<Vec<u8>>()) {
            let variance = SearchVariance::parse(Fields::new(&[(b"no-vary-search", &field)]));
            prop_assert!(variance.same(&query, &query));
        }

        #[test]
        fn equal_significant_forms_are_the_same_queries(
            value in "(key-order|params|params=\\(\"a\"\\)|params, except=\\(\"a\"\\))",
            one in "[ab=&%+1]{0,8}",
            two in "[ab=&%+1]{0,8}",
        ) {
            let variance = variance(&value);
            prop_assert_eq!(
                variance.same(one.as_bytes(), two.as_bytes()),
                variance.significant(one.as_bytes()) == variance.significant(two.as_bytes())
            );
        }
    }
}
