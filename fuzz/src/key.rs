//! Cache keys and query rules. Two blocks of a key's parts, one part to a line, `.` for an empty one: method, scheme,
//! authority, path, query, partition, content type, content, and a line as long as the site's number. Then a block
//! with a query rule: whether to sort, and the names to keep (`+`) or drop (`-`); then a query.

use hotplate::key::{Key, KeyParts, QueryRule};

use crate::input::Input;

/// Where to begin.
pub const SEEDS: &[&[u8]] = &[
    b"GET\nhttps\nexample.org\n/a\nx=1\n\nGET\nhttps\nEXAMPLE.org\n/a\nx=1\n\nsort\n-utm_*\n\nb=2&a=1&utm_source=x",
    b"GET\nhttps\nexample.org\n/a\nx=1\nuser\n\nGET\nhttps\nexample.org\n/ax=1\n\n+a\n+b*\n\na=1&%62=2&+=3&%2",
    b"QUERY\nhttp\nh\n/\n\nsort\n-*\n\na&a&b&&=&%61=1",
    b"POST\nhttps\nh\n/\nq\np\ntext/plain\nbody\n\nPOST\nhttps\nh\n/\nq\np\ntext/plainb\nody\n\n-a\n+a\n\na=1",
    b"GET\nhttps\nh\n/\n.\n.\n.\n.\n12\n\nGET\nhttps\nh\n/\n.\n.\n.\n.\n1\n\n.\n\n",
];

/// Two requests have one key exactly when their parts are the same; a query rule has nothing left to do on its own
/// result, and only what its names say is gone.
pub fn check(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    keys(&input.block(), &input.block());
    let rule = input.block();
    query(&rule, input.rest());
}

fn keys(one: &[&[u8]], two: &[&[u8]]) {
    let methods: Vec<String> =
        [one, two].iter().map(|lines| String::from_utf8_lossy(part(lines, 0)).into_owned()).collect();
    let (one, two) = (parts(&methods[0], one), parts(&methods[1], two));
    let same = (one.site, one.method, one.scheme, one.path, one.query, one.partition, one.body)
        == (two.site, two.method, two.scheme, two.path, two.query, two.partition, two.body)
        && one.authority.eq_ignore_ascii_case(two.authority);
    assert_eq!(Key::of(&one) == Key::of(&two), same, "{one:?} and {two:?}");
    let key = Key::of(&one);
    assert_eq!(Key::from_u128(key.as_u128()), key);
    assert_eq!(u128::from_str_radix(&key.to_string(), 16), Ok(key.as_u128()));
    assert_eq!(key.variant(one.path) == key.variant(two.path), one.path == two.path);
    assert_ne!(key.variant(one.path), key, "a variant stands under the key of the whole");
    assert_eq!(Key::family(&one), Key::family(&KeyParts { query: b"any", ..one }));
    assert_ne!(Key::family(&one), Key::of(&one));
}

fn part<'a>(lines: &[&'a [u8]], index: usize) -> &'a [u8] {
    lines.get(index).copied().filter(|line| *line != b".").unwrap_or_default()
}

fn parts<'a>(method: &'a str, lines: &[&'a [u8]]) -> KeyParts<'a> {
    KeyParts {
        site: part(lines, 8).len() as u32,
        method,
        scheme: part(lines, 1),
        authority: part(lines, 2),
        path: part(lines, 3),
        query: part(lines, 4),
        partition: lines.get(5).map(|_| part(lines, 5)),
        body: lines.get(6).map(|_| (part(lines, 6), part(lines, 7))),
    }
}

fn query(rule: &[&[u8]], query: &[u8]) {
    let named = |mark: u8| -> Vec<String> {
        rule.iter()
            .filter_map(|line| line.strip_prefix(&[mark]))
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect()
    };
    let sort = rule.contains(&&b"sort"[..]);
    let keep = Some(named(b'+')).filter(|names| !names.is_empty());
    let applied = |rule: &QueryRule, query: &[u8]| rule.apply(query, &mut Vec::new()).to_vec();
    let whole = QueryRule::new(sort, keep, named(b'-'));

    let once = applied(&whole, query);
    assert_eq!(applied(&whole, &once), once, "what counts of what counts is all of it");
    let mut pairs = pairs_of(query);
    for pair in pairs_of(&once) {
        let index = pairs.iter().position(|known| *known == pair).expect("a pair that nobody sent");
        pairs.swap_remove(index);
    }
    assert_eq!(applied(&QueryRule::default(), query), query, "no rule, and yet a change");

    // Of names that differ the order does not matter.
    let sorting = QueryRule::new(true, None, Vec::new());
    let mut apart: Vec<&[u8]> = Vec::new();
    for pair in pairs_of(query) {
        if apart.iter().all(|known| applied_name(known) != applied_name(pair)) {
            apart.push(pair);
        }
    }
    let forwards = apart.join(&b'&');
    apart.reverse();
    assert_eq!(applied(&sorting, &forwards), applied(&sorting, &apart.join(&b'&')), "the order was kept");
}

fn pairs_of(query: &[u8]) -> Vec<&[u8]> {
    query.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).collect()
}

fn applied_name(pair: &[u8]) -> Vec<u8> {
    let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
    hotplate::key::percent_decode(name)
        .into_iter()
        .map(|byte| if byte == b'+' { b' ' } else { byte })
        .collect()
}
