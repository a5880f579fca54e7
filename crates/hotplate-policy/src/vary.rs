//! Which request fields a response was selected by, and when two requests agree on them.
//!
//! A cache keeps the [`Vary`] of what it stored, writes the *selecting text* of the request it was stored for with
//! [`normalise`], and lets a later request use it only if its selecting text is the same, byte for byte.
//!
//! Reading list: RFC 9111 §4.1, RFC 9110 §12.5.5.

use crate::fields::{Fields, is_token};
use crate::preference::Preference;

/// What a response says it depends on besides its URI.
///
/// ```
/// use hotplate_policy::fields::Fields;
/// use hotplate_policy::vary::Vary;
///
/// let fields = Fields::new(&[(b"Vary", b"Cookie, accept"), (b"Vary", b"cookie")]);
/// assert_eq!(Vary::parse(fields), Vary::Names(vec!["accept".into(), "cookie".into()]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vary {
    /// Nothing: the field is absent or empty.
    None,
    /// More than a request says, or something unreadable: it can be reused for no other request.
    Any,
    /// These request fields: lower-case, sorted, each once, at least one.
    Names(Vec<Box<str>>),
}

impl Vary {
    /// Reads all `Vary` lines of a response.
    ///
    /// A `*` anywhere among the members makes it [`Vary::Any`], as does a member that cannot be a field name.
    /// Source: RFC 9111 §4.1.
    ///
    /// ```
    /// # use hotplate_policy::{fields::Fields, vary::Vary};
    /// assert_eq!(Vary::parse(Fields::new(&[(b"vary", b"accept, *")])), Vary::Any);
    /// assert_eq!(Vary::parse(Fields::new(&[(b"vary", b"accept encoding")])), Vary::Any);
    /// assert_eq!(Vary::parse(Fields::new(&[(b"vary", b" , ")])), Vary::None);
    /// ```
    #[must_use]
    pub fn parse(fields: Fields<'_>) -> Self {
        let mut names: Vec<Box<str>> = Vec::new();
        for member in fields.members("vary") {
            match std::str::from_utf8(member) {
                Ok(name) if is_name(member) => names.push(name.to_ascii_lowercase().into()),
                _ => return Self::Any,
            }
        }
        names.sort_unstable();
        names.dedup();
        if names.is_empty() { Self::None } else { Self::Names(names) }
    }

    /// Whether [`Vary::parse`] of this response is [`Vary::Any`]. Allocates nothing.
    ///
    /// ```
    /// # use hotplate_policy::{fields::Fields, vary::Vary};
    /// assert!(Vary::is_any(Fields::new(&[(b"vary", b"accept, *")])));
    /// assert!(!Vary::is_any(Fields::new(&[(b"vary", b"accept")])));
    /// ```
    #[must_use]
    pub fn is_any(fields: Fields<'_>) -> bool {
        fields.members("vary").any(|member| !is_name(member))
    }
}

/// Whether a member names a field.
fn is_name(member: &[u8]) -> bool {
    is_token(member) && member != b"*"
}

/// Which fields are compared by what they ask for rather than by how they are written.
///
/// ```
/// use hotplate_policy::vary::SelectOptions;
/// let options = SelectOptions::default();
/// assert!(options.normalise_encoding && !options.normalise_language);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelectOptions {
    /// Let `gzip, br` and `BR;q=1.0,gzip` select the same response.
    pub normalise_encoding: bool,
    /// Let `en, de` and `DE, en` select the same response. RFC 9110 §12.5.4 gives the order of equal weights no
    /// meaning, but applications that take the first language do; off unless asked for.
    pub normalise_language: bool,
}

impl Default for SelectOptions {
    fn default() -> Self {
        Self { normalise_encoding: true, normalise_language: false }
    }
}

/// Appends the selecting text of one request field, with the default [`SelectOptions`].
///
/// See [`normalise_with`].
///
/// ```
/// use hotplate_policy::fields::Fields;
/// use hotplate_policy::vary::normalise;
///
/// let mut text = Vec::new();
/// normalise("accept-encoding", Fields::new(&[(b"Accept-Encoding", b"gzip;q=0.8, BR")]), &mut text);
/// assert_eq!(text, b"~7:br>gzip");
/// ```
pub fn normalise(name: &str, request: Fields<'_>, out: &mut Vec<u8>) {
    normalise_with(SelectOptions::default(), name, request, out);
}

/// Appends the selecting text of one request field.
///
/// Two requests match on the field exactly when their texts are equal. The text says how long it is, so texts of
/// several fields may follow each other without a request being able to pass for another one: `-` for an absent
/// field, `=length:value` for a value as sent, `~length:value` for one normalised by meaning. An absent field
/// and an empty one differ.
///
/// **Arguments**: `name` in lower case, as [`Vary::Names`] holds it. Several lines are joined by commas, whitespace
/// around the value and around commas outside quoted strings is dropped. `Accept-Encoding` and `Accept-Language`
/// are further reduced to ranks if `options` say so; a value of theirs that cannot be read is compared as sent.
///
/// **Cost**: no lock, no wait; grows `out`, and allocates a short list for the two fields just named.
///
/// Source: RFC 9111 §4.1.
///
/// ```
/// use hotplate_policy::fields::Fields;
/// use hotplate_policy::vary::{SelectOptions, normalise_with};
///
/// let text = |lines: &[(&[u8], &[u8])]| {
///     let mut out = Vec::new();
///     normalise_with(SelectOptions::default(), "foo", Fields::new(lines), &mut out);
///     out
/// };
/// assert_eq!(text(&[(b"Foo", b"1"), (b"Foo", b" 2 ")]), b"=3:1,2");
/// assert_eq!(text(&[(b"Foo", b"1 , 2")]), b"=3:1,2");
/// assert_eq!(text(&[(b"Foo", b"")]), b"=0:");
/// assert_eq!(text(&[]), b"-");
/// ```
pub fn normalise_with(options: SelectOptions, name: &str, request: Fields<'_>, out: &mut Vec<u8>) {
    let preference = match name {
        "accept-encoding" if options.normalise_encoding => Some(Preference::Encoding),
        "accept-language" if options.normalise_language => Some(Preference::Language),
        _ => None,
    };
    let start = out.len();
    if let Some(preference) = preference
        && preference.write(request, out)
    {
        prefix_length(b'~', start, out);
        return;
    }
    let mut lines = request.lines(name);
    let Some(first) = lines.next() else {
        out.push(b'-');
        return;
    };
    collapse(first, out);
    for line in lines {
        out.push(b',');
        collapse(line, out);
    }
    prefix_length(b'=', start, out);
}

/// Copies a trimmed value without the whitespace around its commas, quoted strings untouched.
fn collapse(value: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let mut quoted = false;
    let mut bytes = value.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => quoted = !quoted,
            b'\\' if quoted => {
                out.push(byte);
                out.extend(bytes.next());
                continue;
            }
            b' ' | b'\t' if !quoted && out.last() == Some(&b',') && out.len() > start => continue,
            b',' if !quoted => {
                while out.len() > start && matches!(out.last(), Some(b' ' | b'\t')) {
                    out.pop();
                }
            }
            _ => {}
        }
        out.push(byte);
    }
}

/// Turns what was appended since `start` into `mark length ":" text`.
fn prefix_length(mark: u8, start: usize, out: &mut Vec<u8>) {
    let end = out.len();
    let mut digits = [b'0'; 20];
    let mut first = digits.len() - 1;
    let mut rest = end - start;
    loop {
        digits[first] = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
        if rest == 0 {
            break;
        }
        first -= 1;
    }
    out.push(mark);
    out.extend_from_slice(&digits[first..]);
    out.push(b':');
    let prefix = out.len() - end;
    out[start..].rotate_right(prefix);
}

#[cfg(test)]
mod tests {
    use super::{SelectOptions, Vary, normalise, normalise_with};
    use crate::fields::Fields;
    use proptest::prelude::*;

    const BY_MEANING: SelectOptions = SelectOptions { normalise_encoding: true, normalise_language: true };
    const AS_SENT: SelectOptions = SelectOptions { normalise_encoding: false, normalise_language: false };

    fn text(options: SelectOptions, name: &str, values: &[&str]) -> Vec<u8> {
        let lines: Vec<(&[u8], &[u8])> =
            values.iter().map(|value| (name.as_bytes(), value.as_bytes())).collect();
        let mut out = b"before".to_vec();
        normalise_with(options, name, Fields::new(&lines), &mut out);
        out.split_off(6)
    }

    #[test]
    fn vary_names_fields_or_everything() {
        let table: [(&[&str], Option<&[&str]>); 13] = [
            (&[], Some(&[])),
            (&[""], Some(&[])),
            (&[" , ,"], Some(&[])),
            (&["Accept"], Some(&["accept"])),
            (&["b, A", "a"], Some(&["a", "b"])),
            (&["*"], None),
            (&["a, *"], None),
            (&["*, a"], None),
            (&["a", "b", "*"], None),
            (&["a b"], None),
            (&["a; b"], None),
            (&["\"a, b\""], None),
            (&["\u{e9}"], None),
        ];
        for (values, expected) in table {
            let lines: Vec<(&[u8], &[u8])> =
                values.iter().map(|value| (&b"Vary"[..], value.as_bytes())).collect();
            let expected = match expected {
                None => Vary::Any,
                Some([]) => Vary::None,
                Some(names) => Vary::Names(names.iter().map(|name| Box::from(*name)).collect()),
            };
            assert_eq!(Vary::parse(Fields::new(&lines)), expected, "{values:?}");
        }
    }

    #[test]
    fn values_match_as_rfc_9111_section_4_1_says() {
        let table: [(&[&str], &[&str], bool); 12] = [
            (&["1"], &["1"], true),
            (&["1"], &["2"], false),
            (&["1, 2"], &["1", "2"], true),
            (&["1,2"], &[" 1 ,\t2 "], true),
            (&["1, 2"], &["2, 1"], false),
            (&["a"], &["A"], false),
            (&["a b"], &["ab"], false),
            (&["a  b"], &["a b"], false),
            (&["\"a, b\""], &["\"a,b\""], false),
            (&["\"a\\\", b\""], &["\"a\\\",b\""], false),
            (&[], &[""], false),
            (&[""], &[" "], true),
        ];
        for (one, two, same) in table {
            assert_eq!(text(AS_SENT, "foo", one) == text(AS_SENT, "foo", two), same, "{one:?} {two:?}");
        }
    }

    #[test]
    fn encodings_are_compared_by_rank() {
        let table = [
            ("gzip, br", "~7:br,gzip"),
            ("BR , GZip;q=1.000", "~7:br,gzip"),
            ("x-gzip", "~4:gzip"),
            ("gzip, x-gzip", "~4:gzip"),
            ("br;q=0.9, gzip;q=0.8, *;q=0.1", "~9:br>gzip>*"),
            ("br;q=1, gzip;q=0.5, *;q=0.2", "~9:br>gzip>*"),
            ("gzip, identity;q=0", "~14:gzip!identity"),
            ("gzip, *;q=0, identity;q=0", "~16:gzip!*!identity"),
            ("dcb, gzip", "~8:dcb,gzip"),
            ("", "~0:"),
            // What cannot be read is compared as sent.
            ("gzip;q=2", "=8:gzip;q=2"),
            ("gzip;q=0.1234", "=13:gzip;q=0.1234"),
            ("gzip;q=", "=7:gzip;q="),
            ("gzip;level=9", "=12:gzip;level=9"),
            ("gzip br", "=7:gzip br"),
            ("gzip;q=1, gzip;q=0.5", "=19:gzip;q=1,gzip;q=0.5"),
        ];
        for (value, expected) in table {
            let expected = expected.to_owned();
            let (mark, body) = (expected.as_bytes()[0] as char, expected.split_once(':').unwrap().1);
            let expected = format!("{mark}{}:{body}", body.len());
            let found = text(BY_MEANING, "accept-encoding", &[value]);
            assert_eq!(String::from_utf8_lossy(&found), expected, "{value}");
        }
        assert_eq!(text(BY_MEANING, "accept-encoding", &[]), b"-");
    }

    #[test]
    fn languages_are_compared_by_rank_only_when_asked() {
        let table = [
            ("en, de", "de, en"),
            ("en, de", "eN, De"),
            ("en, de", " en ,   de"),
            ("fr;q=0.5, de;q=1.0", "de, fr;q=0.8"),
        ];
        for (one, two) in table {
            let compare = |options| {
                text(options, "accept-language", &[one]) == text(options, "accept-language", &[two])
            };
            assert!(compare(BY_MEANING), "{one} | {two}");
            assert!(!compare(AS_SENT) || one.replace(' ', "") == two.replace(' ', ""), "{one} | {two}");
        }
        assert_ne!(
            text(BY_MEANING, "accept-language", &["en, de;q=0.5"]),
            text(BY_MEANING, "accept-language", &["en;q=0.5, de"])
        );
    }

    /// A preference field and the ranks a reader of RFC 9110 would find in it.
    fn preference() -> impl Strategy<Value = Vec<(String, u16)>> {
        prop::collection::btree_map("(gzip|br|zstd|deflate|identity|\\*|[a-c])", 0_u16..=10, 0..5)
            .prop_map(|members| members.into_iter().collect())
    }

    fn written(members: &[(String, u16)]) -> String {
        let members: Vec<_> = members
            .iter()
            .map(|(name, tenths)| format!("{name};q={}.{}", tenths / 10, tenths % 10))
            .collect();
        members.join(", ")
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(value in any::<Vec<u8>>(), more in any::<Vec<u8>>()) {
            for name in ["vary", "foo", "accept-encoding", "accept-language"] {
                let lines: [(&[u8], &[u8]); 2] = [(name.as_bytes(), &value), (name.as_bytes(), &more)];
                let fields = Fields::new(&lines);
                prop_assert_eq!(Vary::is_any(fields), Vary::parse(fields) == Vary::Any);
                normalise_with(BY_MEANING, name, fields, &mut Vec::new());
            }
        }

        #[test]
        fn the_order_of_other_fields_changes_nothing(value in "[a-z, ]{0,9}", other in "[a-z, ]{0,9}") {
            let lines: [(&[u8], &[u8]); 2] = [(b"foo", value.as_bytes()), (b"bar", other.as_bytes())];
            let reversed = [lines[1], lines[0]];
            let (mut one, mut two) = (Vec::new(), Vec::new());
            normalise("foo", Fields::new(&lines), &mut one);
            normalise("foo", Fields::new(&reversed), &mut two);
            prop_assert_eq!(one, two);
        }

        #[test]
        fn one_request_can_never_spell_another_ones_fields(
            one in prop::array::uniform2(prop::option::of(any::<Vec<u8>>())),
            two in prop::array::uniform2(prop::option::of(any::<Vec<u8>>())),
        ) {
            let texts = |values: &[Option<Vec<u8>>; 2]| {
                let mut out = Vec::new();
                let mut each = Vec::new();
                for (name, value) in ["foo", "bar"].into_iter().zip(values) {
                    let line = value.as_deref().map(|value| (name.as_bytes(), value));
                    let start = out.len();
                    normalise(name, Fields::new(line.as_slice()), &mut out);
                    each.push(out[start..].to_vec());
                }
                (out, each)
            };
            let ((joined_one, each_one), (joined_two, each_two)) = (texts(&one), texts(&two));
            prop_assert_eq!(joined_one == joined_two, each_one == each_two);
        }

        #[test]
        fn equal_ranks_have_equal_text_in_any_order(members in preference(), seed in any::<prop::sample::Index>()) {
            let mut turned = members.clone();
            if !turned.is_empty() {
                let by = seed.index(turned.len());
                turned.rotate_left(by);
            }
            for name in ["accept-encoding", "accept-language"] {
                prop_assert_eq!(
                    text(BY_MEANING, name, &[&written(&members)]),
                    text(BY_MEANING, name, &[&written(&turned)])
                );
            }
        }

        #[test]
        fn equal_text_means_the_same_is_accepted_in_the_same_order(one in preference(), two in preference()) {
            let same = text(BY_MEANING, "accept-encoding", &[&written(&one)])
                == text(BY_MEANING, "accept-encoding", &[&written(&two)]);
            let ranks = |members: &[(String, u16)]| {
                let mut pairs = Vec::new();
                for (a, weight_a) in members {
                    for (b, weight_b) in members {
                        pairs.push((a.clone(), b.clone(), weight_a.cmp(weight_b), *weight_a == 0));
                    }
                }
                pairs
            };
            prop_assert_eq!(same, ranks(&one) == ranks(&two));
        }
    }
}
