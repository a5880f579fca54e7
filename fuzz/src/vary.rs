//! `Vary` and the selecting text of a request. The first block of lines is a response's `Vary`, the next two are
//! the lines of a field in two requests.

use hotplate_policy::fields::Fields;
use hotplate_policy::vary::{SelectOptions, Vary, normalise_with};

use crate::input::{Input, lines_of};

/// Where to begin.
pub const SEEDS: &[&[u8]] = &[
    b"Accept-Encoding, cookie\naccept\n\ngzip, br;q=0.9\n\nGZIP ,br;q=0.900",
    b"accept, *\n\n1, 2\n\n1\n2",
    b"a b\n\n\"a, b\"\n\n\"a,b\"",
    b"\xc3\xa9, ,\n\nx-gzip, identity;q=0, *;q=0\n\ngzip;q=0.1234",
    b",,\n\n\"a\\\", b\" , c\n\n\"open ,  x",
    b"x\n\nen-GB;q=0.8, de, *;q=0\n\nDE,en-gb ; q=0.8",
];

const AS_SENT: SelectOptions = SelectOptions { normalise_encoding: false, normalise_language: false };
const BY_MEANING: SelectOptions = SelectOptions { normalise_encoding: true, normalise_language: true };

/// `Vary` is read to a canonical set; selecting texts delimit themselves, and differ where requests do.
pub fn check(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    names(&input.block());
    let (one, two) = (input.block(), input.block());
    texts(&one, &two);
    meaning(&one);
}

fn names(values: &[&[u8]]) {
    let lines = lines_of(b"vary", values);
    let vary = Vary::parse(Fields::new(&lines));
    if let Vary::Names(names) = &vary {
        assert!(!names.is_empty() && names.is_sorted_by(|one, two| one < two), "{names:?}");
        assert!(names.iter().all(|name| !name.bytes().any(|byte| byte.is_ascii_uppercase())), "{names:?}");
        let joined = names.join(",").to_uppercase();
        assert_eq!(
            Vary::parse(Fields::new(&[(b"VARY", joined.as_bytes())])),
            vary,
            "the canonical form differs"
        );
    }
    let mut starred = lines.clone();
    starred.push((b"vary", b"x, *"));
    assert_eq!(Vary::parse(Fields::new(&starred)), Vary::Any, "a star was overlooked");
}

fn text(options: SelectOptions, name: &str, values: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    normalise_with(options, name, Fields::new(&lines_of(name.as_bytes(), values)), &mut out);
    out
}

fn texts(one: &[&[u8]], two: &[&[u8]]) {
    for options in [AS_SENT, BY_MEANING] {
        for name in ["accept-encoding", "accept-language", "x-other"] {
            let (first, second) = (text(options, name, one), text(options, name, two));
            let both = [&first[..], &second[..], b"-"].concat();
            let (read, after) = selecting(&both).expect("a text begins with its own length");
            assert_eq!(read, first, "where a text ends depends on what follows");
            assert_eq!(selecting(after).map(|(read, _)| read), Some(&second[..]));
            assert_eq!(first == b"-", one.is_empty(), "absent and present are two things");
        }
    }
    // Without whitespace and in one line nothing is left to normalise, so what differs is told apart.
    let packed = |values: &[&[u8]]| -> Vec<u8> {
        values.concat().into_iter().filter(|byte| !matches!(byte, b' ' | b'\t')).collect()
    };
    let (one, two) = (packed(one), packed(two));
    let texts = [text(AS_SENT, "x-other", &[&one]), text(AS_SENT, "x-other", &[&two])];
    assert_eq!(texts[0] == texts[1], one == two, "two values, one text");
    assert_eq!(counted(&texts[0][1..]).map(|(value, _)| value), Some(&one[..]), "the value was not kept");
}

/// A value that is read by its meaning is not told apart by case, by whitespace, or by how it is spread over lines.
fn meaning(values: &[&[u8]]) {
    for name in ["accept-encoding", "accept-language"] {
        let found = text(BY_MEANING, name, values);
        if found.first() != Some(&b'~') {
            assert_eq!(found, text(AS_SENT, name, values), "{name} was read by its meaning and not marked");
            continue;
        }
        let loud: Vec<Vec<u8>> = values.iter().map(|value| value.to_ascii_uppercase()).collect();
        let loud: Vec<&[u8]> = loud.iter().map(Vec::as_slice).collect();
        assert_eq!(text(BY_MEANING, name, &loud), found, "{name} was told apart by case");
        let joined = values.join(&b" ,\t"[..]);
        assert_eq!(text(BY_MEANING, name, &[&joined]), found, "{name} was told apart by its lines");
    }
}

/// The first selecting text of several, and what follows it.
fn selecting(texts: &[u8]) -> Option<(&[u8], &[u8])> {
    let after = match texts.split_first()? {
        (b'-', after) => after,
        (b'=' | b'~', rest) => counted(rest)?.1,
        _ => return None,
    };
    Some((&texts[..texts.len() - after.len()], after))
}

/// What `length ":"` counts off, and what follows it.
pub(crate) fn counted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = text.iter().position(|byte| *byte == b':')?;
    let length = std::str::from_utf8(&text[..colon]).ok()?.parse().ok()?;
    text[colon + 1..].split_at_checked(length)
}
