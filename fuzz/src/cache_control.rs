//! `Cache-Control` and `Pragma`: each line of the input is one field line.

use hotplate_policy::cache_control::{RequestDirectives, ResponseDirectives, Scope};
use hotplate_policy::fields::Fields;

use crate::input::{Input, lines_of};

/// Where to begin.
pub const SEEDS: &[&[u8]] = &[
    b"max-age=60, s-maxage=\"5\", stale-while-revalidate=10, stale-if-error=99999999999",
    b"private=\"set-cookie, x\", no-cache=\"a\"\nno-cache=b\nno-cache=c, no-cache=d, no-cache=e",
    b"no-store foo, x=\"no-store, \\\"max-age=1\\\"\", public",
    b"max-age=1\nmax-age=2, must-understand, must-revalidate=1, immutable",
    b"max-stale, max-stale=7, min-fresh=x, only-if-cached, no-transform",
    b"x=\"open, no-store",
    b"= , ,, =a, \"a\", max-age, max-age=-1, Max-Age=0x1",
];

/// Parsing is total; what it does not know changes nothing, wherever it stands; what is quoted is not searched; and
/// the order of lines does not matter to what may be done.
pub fn check(bytes: &[u8]) {
    let values = Input::new(bytes).block();
    let lines = lines_of(b"cache-control", &values);
    let response = ResponseDirectives::parse(Fields::new(&lines));
    let request = RequestDirectives::parse(Fields::new(&lines));
    assert_eq!(response.present, !lines.is_empty());
    numbers_are_within_bounds(&response);

    // A line more, a member more, other fields around.
    let unknown: [(&[u8], &[u8]); 3] =
        [(b"Cache-Control", b"x-unknown=\"no-store\""), (b"x-cache-control", b"no-store"), (b"", b"")];
    let mut more = lines.clone();
    more.extend_from_slice(&unknown);
    let expected = ResponseDirectives { present: true, ..response };
    assert_eq!(
        ResponseDirectives::parse(Fields::new(&more)),
        expected,
        "an unknown line changed the response"
    );
    assert_eq!(RequestDirectives::parse(Fields::new(&more)), request, "an unknown line changed the request");
    let joined: Vec<Vec<u8>> =
        values.iter().map(|value| [b"x-before=1, ", *value, b", x-after"].concat()).collect();
    let joined: Vec<(&[u8], &[u8])> =
        joined.iter().map(|value| (&b"cache-control"[..], value.as_slice())).collect();
    assert_eq!(
        ResponseDirectives::parse(Fields::new(&joined)),
        response,
        "an unknown member changed the response"
    );
    assert_eq!(
        RequestDirectives::parse(Fields::new(&joined)),
        request,
        "an unknown member changed the request"
    );

    // All of it inside one quoted string.
    let quoted = [b"x-note=\"", escaped(bytes).as_slice(), b"\""].concat();
    let quoted: [(&[u8], &[u8]); 1] = [(b"cache-control", &quoted)];
    let silent = ResponseDirectives { present: true, ..ResponseDirectives::default() };
    assert_eq!(ResponseDirectives::parse(Fields::new(&quoted)), silent, "a quoted string was searched");
    assert_eq!(RequestDirectives::parse(Fields::new(&quoted)), RequestDirectives::default());

    let mut reversed = lines.clone();
    reversed.reverse();
    assert_eq!(
        without_names(ResponseDirectives::parse(Fields::new(&reversed))),
        without_names(response),
        "the order of lines mattered"
    );
    assert_eq!(RequestDirectives::parse(Fields::new(&reversed)), request, "the order of lines mattered");

    pragma(&values, &lines);
}

/// Only `no-cache` has a meaning in `Pragma`, and none beside a `Cache-Control`.
fn pragma(values: &[&[u8]], lines: &[(&[u8], &[u8])]) {
    let alone = lines_of(b"pragma", values);
    let read = RequestDirectives::parse(Fields::new(&alone));
    assert_eq!(read, RequestDirectives { no_cache: read.no_cache, ..RequestDirectives::default() });
    let both: Vec<(&[u8], &[u8])> = alone.iter().chain(lines).copied().collect();
    assert_eq!(
        RequestDirectives::parse(Fields::new(&both)),
        RequestDirectives::parse(Fields::new(lines)),
        "Pragma was read beside Cache-Control"
    );
}

fn numbers_are_within_bounds(response: &ResponseDirectives<'_>) {
    let lifetimes = [response.max_age.seconds(), response.s_maxage.seconds()];
    let windows = [response.stale_while_revalidate, response.stale_if_error];
    let windows = windows.map(|window| window.map(|seconds| seconds.as_secs()));
    assert!(lifetimes.into_iter().chain(windows).flatten().all(|seconds| seconds <= 1 << 31));
    for scope in [response.no_cache, response.private] {
        if let Scope::Fields(names) = scope {
            assert!(names.iter().count() > 0, "a list of no fields covers everything");
            assert!(names.iter().all(|name| scope.covers_field(&name.to_ascii_uppercase())));
        }
    }
}

/// The names of fields come in the order of the lines; whether there are any does not.
fn without_names(directives: ResponseDirectives<'_>) -> (ResponseDirectives<'_>, [Vec<&[u8]>; 2]) {
    let sorted = |scope| {
        let Scope::Fields(names) = scope else { return Vec::new() };
        let mut names: Vec<&[u8]> = names.iter().collect();
        names.sort_unstable();
        names
    };
    let plain = |scope| if matches!(scope, Scope::Fields(_)) { Scope::Absent } else { scope };
    let names = [sorted(directives.no_cache), sorted(directives.private)];
    let (no_cache, private) = (plain(directives.no_cache), plain(directives.private));
    (ResponseDirectives { no_cache, private, ..directives }, names)
}

/// The inside of a quoted string that stands for these bytes.
fn escaped(bytes: &[u8]) -> Vec<u8> {
    bytes
        .iter()
        .flat_map(|byte| match byte {
            b'"' | b'\\' => vec![b'\\', *byte],
            _ => vec![*byte],
        })
        .collect()
}
