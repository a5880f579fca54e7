//! Structured fields: targeted cache control, cache groups and `No-Vary-Search`. The first block of lines is the
//! field, the two lines after it are queries.

use hotplate_policy::fields::Fields;
use hotplate_policy::groups::{groups_of, invalidated_groups};
use hotplate_policy::no_vary_search::SearchVariance;
use hotplate_policy::targeted;

use crate::input::{Input, lines_of};

/// Where to begin.
pub const SEEDS: &[&[u8]] = &[
    b"max-age=60;x=1, private, no-cache=\"a, b\", s-maxage=5.0\nmax-age=?0\n\na=1\na=1",
    b"must-revalidate, no-store=?0, stale-if-error=999999999999999, public=1\n\n\n",
    b"\"scripts\", \"ExampleJS\";x, tok, (\"a\" \"b\");y, :aGk=:, 1.5, @1659578233\n\n",
    b"\"a\\\"\\\\b\"\n\"a\"\n\n",
    b"key-order, params=(\"utm_source\" \"b+c\")\n\na=1&b=2&utm_source=x\nb=2&a=1&b+c",
    b"params, except=(\"id\" \"%C3%A9\")\n\nx=1&id=%37&%e9=1\nid=7&\xe9=1",
    b"params=(1), params=(\"a\");q\nkey-order=?0\n\n%=&&a=%4\n+=%zz",
];

/// See the checks below; each is also total.
pub fn check(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let field = input.block();
    let (one, two) = (input.line(), input.line());
    targeted_fields(&field, bytes);
    groups(&field);
    variance(&field, one, two);
}

/// An unknown key changes nothing, what is inside a string says nothing, and one bad line spoils the field.
fn targeted_fields(values: &[&[u8]], bytes: &[u8]) {
    const NAME: &[u8] = b"cdn-cache-control";
    let parse = |lines: &[(&[u8], &[u8])]| {
        targeted::parse(Fields::new(lines), "cdn-cache-control").map(|found| format!("{found:?}"))
    };
    let lines = lines_of(NAME, values);
    let found = parse(&lines);
    assert_eq!(
        targeted::first_valid(Fields::new(&lines)).map(|(_, found)| format!("{found:?}")),
        found,
        "with one targeted field, that is the first"
    );
    if found.is_some() {
        let mut more = lines.clone();
        more.push((NAME, b"x-unknown=(1 \"no-store\")"));
        assert_eq!(parse(&more), found, "an unknown key changed the directives");
        more.push((NAME, b"&"));
        assert_eq!(parse(&more), None, "a line that is no Dictionary was let through");
    }
    let quoted = [b"x=".to_vec(), string(&printable(bytes))].concat();
    assert_eq!(parse(&[(NAME, &quoted)]), parse(&[(NAME, b"x=1")]), "a string was searched");
}

/// Groups are sorted, each once, and written as a List again they are the same groups.
fn groups(values: &[&[u8]]) {
    let found = groups_of(Fields::new(&lines_of(b"cache-groups", values)));
    assert!(found.is_sorted_by(|one, two| one < two));
    let list: Vec<Vec<u8>> = found.iter().map(|group| string(group.as_bytes())).collect();
    let list = list.join(&b", "[..]);
    assert_eq!(
        groups_of(Fields::new(&[(b"Cache-Groups", &list)])),
        found,
        "not the groups that were written"
    );

    let invalidation = lines_of(b"cache-group-invalidation", values);
    assert_eq!(invalidated_groups(Fields::new(&invalidation), false), found, "the fields have one grammar");
    assert!(invalidated_groups(Fields::new(&invalidation), true).is_empty());
}

/// `same` is an equivalence: the equality of what is significant.
fn variance(values: &[&[u8]], one: &[u8], two: &[u8]) {
    let lines = lines_of(b"no-vary-search", values);
    let variance = SearchVariance::parse(Fields::new(&lines));
    assert_eq!(variance.same(one, two), variance.significant(one) == variance.significant(two));
    assert_eq!(variance.same(one, two), variance.same(two, one));
    assert!(variance.same(one, one));
    if variance.is_default() {
        assert_eq!(variance.same(one, two), one == two, "every byte matters by default");
        return;
    }
    let mut more = lines.clone();
    more.push((b"no-vary-search", b"x-unknown=(\"a\")"));
    assert_eq!(SearchVariance::parse(Fields::new(&more)), variance, "an unknown key changed the variance");
    assert!(variance.same(&[one, b"&&"].concat(), one), "an empty pair mattered");
    assert!(lengths_add_up(&variance.significant(one)), "the significant form is not self-delimiting");
}

/// Whether the bytes are `length ":" bytes` over and over.
fn lengths_add_up(mut form: &[u8]) -> bool {
    while !form.is_empty() {
        let Some(after) = crate::vary::counted(form).map(|(_, after)| after) else { return false };
        form = after;
    }
    true
}

fn printable(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().filter(|byte| matches!(byte, b' '..=b'~')).collect()
}

/// A structured String of printable ASCII.
fn string(text: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
    out
}
