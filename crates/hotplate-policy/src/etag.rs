//! Entity tags and the two ways to compare them.
//!
//! Reading list: RFC 9110 §8.8.3 (`ETag`), §8.8.3.2 (comparison), §13.1.1 and §13.1.2 (lists of tags).

use crate::fields::{Fields, trim_ows};

/// An entity tag: an opaque name for one state of a representation, strong or weak.
///
/// A value without its quotation marks is not a tag by the grammar, but origins send them. It is read as a tag of
/// its own that equals only the same bytes, so it validates what it came with and nothing else.
///
/// ```
/// use hotplate_policy::etag::EntityTag;
///
/// let strong = EntityTag::parse(b"\"a\"").unwrap();
/// let weak = EntityTag::parse(b"W/\"a\"").unwrap();
/// assert!(strong.weak_eq(weak) && !strong.strong_eq(weak));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EntityTag<'a> {
    /// Whether it begins with `W/`.
    pub weak: bool,
    /// The tag without `W/` and with its quotation marks, if it has them.
    pub opaque: &'a [u8],
}

impl<'a> EntityTag<'a> {
    /// Reads the value of an `ETag` field, or `None` when it is no one tag.
    ///
    /// Source: RFC 9110 §8.8.3. `W/` is case-sensitive, and a backslash is a byte like any other.
    ///
    /// ```
    /// # use hotplate_policy::etag::EntityTag;
    /// assert!(EntityTag::parse(b"W/\"1\"").is_some_and(|tag| tag.weak));
    /// assert_eq!(EntityTag::parse(b"\"a\", \"b\""), None);
    /// assert_eq!(EntityTag::parse(b"\"open"), None);
    /// assert_eq!(EntityTag::parse(b""), None);
    /// ```
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let (tag, rest) = Self::leading(trim_ows(value))?;
        rest.is_empty().then_some(tag)
    }

    /// Whether both are strong and the same: their representations are equal byte for byte.
    ///
    /// Source: RFC 9110 §8.8.3.2.
    ///
    /// ```
    /// # use hotplate_policy::etag::EntityTag;
    /// let weak = EntityTag::parse(b"W/\"1\"").unwrap();
    /// assert!(!weak.strong_eq(weak));
    /// ```
    #[must_use]
    pub fn strong_eq(self, other: EntityTag<'_>) -> bool {
        !self.weak && !other.weak && self.opaque == other.opaque
    }

    /// Whether they are the same, strong or weak: their representations are equivalent.
    ///
    /// Source: RFC 9110 §8.8.3.2.
    ///
    /// ```
    /// # use hotplate_policy::etag::EntityTag;
    /// let (one, two) = (EntityTag::parse(b"\"1\"").unwrap(), EntityTag::parse(b"\"2\"").unwrap());
    /// assert!(one.weak_eq(one) && !one.weak_eq(two));
    /// ```
    #[must_use]
    pub fn weak_eq(self, other: EntityTag<'_>) -> bool {
        self.opaque == other.opaque
    }

    /// A tag and what follows it; the caller checks that this may follow a tag.
    fn leading(value: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (weak, tag) = value.strip_prefix(b"W/").map_or((false, value), |tag| (true, tag));
        let end = if tag.first() == Some(&b'"') {
            tag.iter().skip(1).position(|byte| *byte == b'"')? + 2
        } else {
            tag.iter().position(|byte| matches!(byte, b',' | b' ' | b'\t')).unwrap_or(tag.len())
        };
        let (opaque, rest) = tag.split_at(end);
        let inside = if tag.first() == Some(&b'"') { &opaque[1..end - 1] } else { opaque };
        let allowed = |byte: &u8| *byte >= b' ' && *byte != 0x7f && *byte != b'"';
        let named = opaque.len() > inside.len() || !inside.is_empty();
        (named && inside.iter().all(allowed)).then_some((Self { weak, opaque }, rest))
    }
}

/// A member of `If-Match` or `If-None-Match`.
///
/// ```
/// use hotplate_policy::etag::{Condition, EntityTag};
/// let tag = EntityTag::parse(b"\"1\"").unwrap();
/// assert_ne!(Condition::Any, Condition::Tag(tag));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition<'a> {
    /// `*`: any current representation.
    Any,
    /// This one.
    Tag(EntityTag<'a>),
}

/// The conditions of all lines of a tag list, in order; members that are neither `*` nor a tag are left out.
///
/// A `*` counts only as the whole value of its line, as the grammar has it.
///
/// **Arguments**: `name` in lower case, `if-match` or `if-none-match`. Source: RFC 9110 §13.1.1, §13.1.2.
///
/// ```
/// use hotplate_policy::etag::{Condition, EntityTag, conditions};
/// use hotplate_policy::fields::Fields;
///
/// let request = Fields::new(&[(b"If-None-Match", b"\"a,b\" , W/\"c\"")]);
/// let tags: Vec<_> = conditions(request, "if-none-match").collect();
/// assert_eq!(tags, [
///     Condition::Tag(EntityTag { weak: false, opaque: b"\"a,b\"" }),
///     Condition::Tag(EntityTag { weak: true, opaque: b"\"c\"" }),
/// ]);
/// ```
pub fn conditions<'a, 'n>(
    fields: Fields<'a>,
    name: &'n str,
) -> impl Iterator<Item = Condition<'a>> + use<'a, 'n> {
    fields.lines(name).flat_map(conditions_in)
}

/// The conditions of one line of a tag list.
///
/// As [`conditions`], for a caller that has the line.
///
/// ```
/// use hotplate_policy::etag::{Condition, conditions_in};
/// assert_eq!(conditions_in(b" * ").collect::<Vec<_>>(), [Condition::Any]);
/// assert_eq!(conditions_in(b"*, \"a\"").count(), 1);
/// ```
pub fn conditions_in(line: &[u8]) -> impl Iterator<Item = Condition<'_>> {
    let mut rest = trim_ows(line);
    let any = rest == b"*";
    if any {
        rest = b"";
    }
    let tags = std::iter::from_fn(move || {
        loop {
            let member = after_separators(rest);
            if member.is_empty() {
                return None;
            }
            if let Some((tag, after)) = EntityTag::leading(member)
                && matches!(trim_ows(after), [] | [b',', ..])
            {
                rest = after;
                if tag.opaque != b"*" {
                    return Some(Condition::Tag(tag));
                }
            } else {
                let comma = member.iter().position(|byte| *byte == b',').unwrap_or(member.len());
                rest = &member[comma..];
            }
        }
    });
    any.then_some(Condition::Any).into_iter().chain(tags)
}

fn after_separators(value: &[u8]) -> &[u8] {
    let start = value.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b',')).unwrap_or(value.len());
    &value[start..]
}

#[cfg(test)]
mod tests {
    use super::{Condition, EntityTag, conditions_in};
    use proptest::prelude::*;

    /// Whether it is weak, and its opaque part.
    type Parts<'a> = (bool, &'a [u8]);

    #[test]
    fn tags_are_one_quoted_value_or_tolerated_bare() {
        let table: [(&[u8], Option<Parts<'_>>); 20] = [
            (b"\"a\"", Some((false, b"\"a\""))),
            (b"W/\"a\"", Some((true, b"\"a\""))),
            (b"\"\"", Some((false, b"\"\""))),
            (b" \"a\"\t", Some((false, b"\"a\""))),
            (b"\"a,b\"", Some((false, b"\"a,b\""))),
            (b"\"a\\\"", Some((false, b"\"a\\\""))),
            (b"\"\xe9\"", Some((false, b"\"\xe9\""))),
            (b"a", Some((false, b"a"))),
            (b"W/a", Some((true, b"a"))),
            (b"", None),
            (b"W/", None),
            (b"\"", None),
            (b"\"a", None),
            (b"a\"", None),
            (b"w/\"a\"", None),
            (b"W /\"a\"", None),
            (b"\"a\" \"b\"", None),
            (b"\"a\",", None),
            (b"\"a\n\"", None),
            (b"a b", None),
        ];
        for (value, expected) in table {
            let expected = expected.map(|(weak, opaque)| EntityTag { weak, opaque });
            assert_eq!(EntityTag::parse(value), expected, "{}", value.escape_ascii());
        }
    }

    #[test]
    fn comparison_is_the_table_of_rfc_9110_section_8_8_3_2() {
        let table: [(&[u8], &[u8], bool, bool); 6] = [
            (b"W/\"1\"", b"W/\"1\"", false, true),
            (b"W/\"1\"", b"W/\"2\"", false, false),
            (b"W/\"1\"", b"\"1\"", false, true),
            (b"\"1\"", b"\"1\"", true, true),
            (b"\"a\"", b"\"A\"", false, false),
            (b"\"1\"", b"1", false, false),
        ];
        for (one, two, strong, weak) in table {
            let (one, two) = (EntityTag::parse(one).unwrap(), EntityTag::parse(two).unwrap());
            assert_eq!((one.strong_eq(two), two.strong_eq(one)), (strong, strong), "{one:?} {two:?}");
            assert_eq!((one.weak_eq(two), two.weak_eq(one)), (weak, weak), "{one:?} {two:?}");
        }
    }

    #[test]
    fn lists_keep_what_is_a_tag_and_drop_the_rest() {
        let table: [(&[u8], &[&[u8]]); 13] = [
            (b"", &[]),
            (b" , ,", &[]),
            (b"*", &[b"*"]),
            (b"* ", &[b"*"]),
            (b"*, \"a\"", &[b"\"a\""]),
            (b"\"a\", *", &[b"\"a\""]),
            (b"\"a\",\"b\" , W/\"c\"", &[b"\"a\"", b"\"b\"", b"\"c\""]),
            (b"\"a,b\", \"c\"", &[b"\"a,b\"", b"\"c\""]),
            (b"\"a\\\", \"b\"", &[b"\"a\\\"", b"\"b\""]),
            (b"a, \"b\"", &[b"a", b"\"b\""]),
            (b"\"a\"x, \"b\"", &[b"\"b\""]),
            (b"w/\"a,b\", \"c\"", &[b"\"c\""]),
            (b"\"a\", \"open", &[b"\"a\""]),
        ];
        for (line, expected) in table {
            let found: Vec<&[u8]> = conditions_in(line)
                .map(|condition| match condition {
                    Condition::Any => b"*",
                    Condition::Tag(tag) => tag.opaque,
                })
                .collect();
            assert_eq!(found, expected, "{}", line.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(value in any::<Vec<u8>>()) {
            let _ = EntityTag::parse(&value);
            prop_assert!(conditions_in(&value).count() <= value.len());
        }

        #[test]
        fn almost_lists_are_read_without_panic(value in "(W/|\"|a|,| |\\*|\\\\){0,20}") {
            prop_assert!(conditions_in(value.as_bytes()).count() <= value.len());
        }

        #[test]
        fn a_tag_is_found_wherever_it_stands_in_a_list(
            before in prop::collection::vec("(W/)?\"[!#-~]{0,6}\"", 0..4),
            tag in "(W/)?\"[!#-~]{0,6}\"",
            after in prop::collection::vec("(W/)?\"[!#-~]{0,6}\"", 0..4),
        ) {
            let list = [before, vec![tag.clone()], after].concat().join(", ");
            let tag = EntityTag::parse(tag.as_bytes()).unwrap();
            prop_assert!(conditions_in(list.as_bytes()).any(|condition| condition == Condition::Tag(tag)));
        }
    }
}
