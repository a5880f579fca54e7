//! Cache groups: names an origin gives to sets of its own responses, so that they can be invalidated together.
//!
//! Both fields are structured fields, Lists of Strings. Group names are compared as they are, case included, and
//! mean something only within one origin: what joins them to other origins' groups is the caller's key, never here.
//! An invalidated group does not invalidate the other groups its members are in.
//!
//! A member that is not a String is left out and the rest of the field stands; a field that is no List at all is
//! ignored. Parameters are ignored.
//!
//! Reading list: RFC 9875, RFC 9651 §3.1 and §4.2.

use std::convert::Infallible;

use sfv::visitor::{EntryVisitor, Ignored, InnerListVisitor, ItemVisitor, ListVisitor, ParameterVisitor};
use sfv::{BareItemFromInput, Parser};

use crate::fields::Fields;

/// The groups a response belongs to, from `Cache-Groups`: sorted, each once.
///
/// Source: RFC 9875 §2.
///
/// ```
/// use hotplate_policy::fields::Fields;
/// use hotplate_policy::groups::groups_of;
///
/// let fields = Fields::new(&[(b"Cache-Groups", b"\"scripts\", \"ExampleJS\";x")]);
/// assert_eq!(groups_of(fields), ["ExampleJS".into(), "scripts".into()] as [Box<str>; 2]);
/// ```
#[must_use]
pub fn groups_of(response: Fields<'_>) -> Vec<Box<str>> {
    strings(response, "cache-groups")
}

/// The groups a response says are no longer true, from `Cache-Group-Invalidation`: sorted, each once.
///
/// **Arguments**: `method_is_safe` says whether the *request's* method is safe; the field is then ignored.
/// Source: RFC 9875 §3.
///
/// ```
/// use hotplate_policy::fields::Fields;
/// use hotplate_policy::groups::invalidated_groups;
///
/// let fields = Fields::new(&[(b"Cache-Group-Invalidation", b"\"results\"")]);
/// assert_eq!(invalidated_groups(fields, false), ["results".into()] as [Box<str>; 1]);
/// assert!(invalidated_groups(fields, true).is_empty());
/// ```
#[must_use]
pub fn invalidated_groups(response: Fields<'_>, method_is_safe: bool) -> Vec<Box<str>> {
    if method_is_safe { Vec::new() } else { strings(response, "cache-group-invalidation") }
}

/// The Strings of a structured List over all lines of a field; none if any line is not a List.
fn strings(fields: Fields<'_>, name: &str) -> Vec<Box<str>> {
    let mut found = Vec::new();
    for line in fields.lines(name) {
        if Parser::new(line).parse_list_with_visitor(Strings(&mut found)).is_err() {
            return Vec::new();
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Collects the Strings among the members of a List.
struct Strings<'v>(&'v mut Vec<Box<str>>);

impl<'de> ListVisitor<'de> for Strings<'_> {
    type Out = ();
    type Error = Infallible;

    fn entry(&mut self) -> Result<impl EntryVisitor<'de>, Infallible> {
        Ok(Strings(self.0))
    }

    fn finish(self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl<'de> EntryVisitor<'de> for Strings<'_> {
    type Error = Infallible;

    fn item(self) -> Result<impl ItemVisitor<'de>, Infallible> {
        Ok(self)
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, Infallible> {
        Ok(Ignored)
    }
}

impl<'de> ItemVisitor<'de> for Strings<'_> {
    type Out = ();
    type Error = Infallible;

    fn bare_item(
        self,
        item: BareItemFromInput<'de>,
    ) -> Result<impl ParameterVisitor<'de, Out = ()>, Infallible> {
        if let BareItemFromInput::String(text) = item {
            self.0.push(text.as_str().into());
        }
        Ok(Ignored)
    }
}

#[cfg(test)]
mod tests {
    use super::{groups_of, invalidated_groups};
    use crate::fields::Fields;
    use proptest::prelude::*;

    #[test]
    fn groups_are_the_strings_of_a_list() {
        let table: [(&[&str], &[&str]); 16] = [
            (&[], &[]),
            (&[""], &[]),
            (&["\"a\""], &["a"]),
            (&["\"b\", \"a\""], &["a", "b"]),
            (&["\"b\"", "\"a\", \"b\""], &["a", "b"]),
            (&["\"a\", \"A\""], &["A", "a"]),
            (&["\"a\";revalidate;x=1"], &["a"]),
            (&["\"a, b\""], &["a, b"]),
            (&["\"a\\\"b\""], &["a\"b"]),
            // A member of another type is left out.
            (&["a, \"b\", 1, (\"c\"), :YQ==:"], &["b"]),
            // A field that is no List is ignored, on whichever line.
            (&["\"a"], &[]),
            (&["\"a\","], &[]),
            (&["\"a\" \"b\""], &[]),
            (&["\"\u{e9}\""], &[]),
            (&["\"a\"", "&"], &[]),
            (&["'a'"], &[]),
        ];
        for (values, expected) in table {
            for name in ["Cache-Groups", "Cache-Group-Invalidation"] {
                let lines: Vec<(&[u8], &[u8])> =
                    values.iter().map(|value| (name.as_bytes(), value.as_bytes())).collect();
                let fields = Fields::new(&lines);
                let found = if name == "Cache-Groups" {
                    groups_of(fields)
                } else {
                    invalidated_groups(fields, false)
                };
                assert!(
                    found.iter().map(|group| &**group).eq(expected.iter().copied()),
                    "{values:?}: {found:?}"
                );
            }
        }
    }

    #[test]
    fn thirty_two_groups_of_thirty_two_characters_are_kept() {
        let names: Vec<String> = (0..32).map(|index| format!("\"{index:032}\"")).collect();
        let line = names.join(", ");
        assert_eq!(groups_of(Fields::new(&[(b"cache-groups", line.as_bytes())])).len(), 32);
    }

    #[test]
    fn safe_methods_invalidate_no_group() {
        let lines: [(&[u8], &[u8]); 1] = [(b"cache-group-invalidation", b"\"a\"")];
        assert!(invalidated_groups(Fields::new(&lines), true).is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(one in any::<Vec<u8>>(), two in any::<Vec<u8>>()) {
            let lines: [(&[u8], &[u8]); 2] = [(b"cache-groups", &one), (b"cache-groups", &two)];
            let _ = groups_of(Fields::new(&lines));
        }

        #[test]
        fn almost_lists_are_read_without_panic(value in "[\"\\\\,;=() a1?:@%*-]{0,24}") {
            let _ = groups_of(Fields::new(&[(b"cache-groups", value.as_bytes())]));
        }
    }
}
