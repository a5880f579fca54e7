//! Tables of lines and what they mean, and what holds for every line.

use super::{Lifetime, MaxStale, RequestDirectives, ResponseDirectives, Scope};
use crate::fields::Fields;
use crate::time::DeltaSeconds;
use proptest::prelude::*;

type Line<'a> = (&'a [u8], &'a [u8]);

fn seconds(number: u64) -> Lifetime {
    Lifetime::Seconds(DeltaSeconds::new(number))
}

fn some(number: u64) -> Option<DeltaSeconds> {
    Some(DeltaSeconds::new(number))
}

fn response<'a>(lines: &'a [(&'a [u8], &'a [u8])]) -> ResponseDirectives<'a> {
    ResponseDirectives::parse(Fields::new(lines))
}

fn request(line: &str) -> RequestDirectives {
    RequestDirectives::parse(Fields::new(&[(b"cache-control", line.as_bytes())]))
}

#[test]
fn lifetimes_follow_the_safer_reading() {
    let table: [(&str, Lifetime); 26] = [
        ("", Lifetime::Absent),
        ("max-age=60", seconds(60)),
        ("MaX-aGe=60", seconds(60)),
        ("max-age=003600", seconds(3_600)),
        ("max-age=0", seconds(0)),
        ("max-age=2147483648", seconds(1 << 31)),
        ("max-age=99999999999", seconds(1 << 31)),
        // RFC 9111 §5.2: both argument forms are taken.
        ("max-age=\"60\"", seconds(60)),
        ("max-age='60'", Lifetime::Invalid),
        ("max-age", Lifetime::Invalid),
        ("max-age=", Lifetime::Invalid),
        ("max-age =60", Lifetime::Invalid),
        ("max-age= 60", Lifetime::Invalid),
        ("max-age=-60", Lifetime::Invalid),
        ("max-age=60.0", Lifetime::Invalid),
        ("max-age=60a", Lifetime::Invalid),
        // RFC 9111 §4.2.1: the same twice is no conflict, anything else is stale.
        ("max-age=60, max-age=60", seconds(60)),
        ("max-age=1, max-age=60", Lifetime::Invalid),
        ("max-age=60, max-age=x", Lifetime::Invalid),
        ("x=\"max-age=3600\", max-age=1", seconds(1)),
        ("max-age = 60", Lifetime::Invalid),
        ("max-age=60s", Lifetime::Invalid),
        ("x-max-age=60", Lifetime::Absent),
        ("x=\"max-age=60\"", Lifetime::Absent),
        ("x=\"a, max-age=60\"", Lifetime::Absent),
        ("x=\"\\\", max-age=60\"", Lifetime::Absent),
    ];
    for (line, expected) in table {
        assert_eq!(response(&[(b"cache-control", line.as_bytes())]).max_age, expected, "{line}");
        let shared = line.replace("max-age", "s-maxage").replace("MaX-aGe", "S-MaxAge");
        assert_eq!(response(&[(b"cache-control", shared.as_bytes())]).s_maxage, expected, "{shared}");
    }
}

#[test]
fn conflicting_lifetimes_on_separate_lines_are_invalid() {
    let lines: [(&[u8], &[u8]); 2] = [(b"Cache-Control", b"max-age=1800"), (b"cache-control", b"max-age=1")];
    assert_eq!(response(&lines).max_age, Lifetime::Invalid);
}

#[test]
fn restricting_directives_count_however_badly_written() {
    for line in [
        "no-store",
        "NO-STORE",
        "no-store=1",
        "no-store foo",
        "x=\"a, no-store",
        "b\", no-store",
        "a b, no-store",
    ] {
        assert!(response(&[(b"cache-control", line.as_bytes())]).no_store, "{line}");
    }
    for line in ["", "x=no-store", "x=\"no-store\"", "x=\"a\\\", no-store\"", "no-storex", "x-no-store"] {
        assert!(!response(&[(b"cache-control", line.as_bytes())]).no_store, "{line}");
    }
}

#[test]
fn permitting_directives_count_only_when_well_written() {
    for (line, public) in [
        ("public", true),
        ("PUBLIC", true),
        ("public=1", false),
        ("public foo", false),
        ("\"public\"", false),
    ] {
        assert_eq!(response(&[(b"cache-control", line.as_bytes())]).public, public, "{line}");
    }
    for (line, immutable) in [("immutable", true), ("immutable=x", true), ("immutable foo", false)] {
        assert_eq!(response(&[(b"cache-control", line.as_bytes())]).immutable, immutable, "{line}");
    }
}

#[test]
fn a_badly_written_must_revalidate_forbids_stale_but_shares_nothing() {
    let written_well = response(&[(b"cache-control", b"must-revalidate")]);
    assert!(written_well.must_revalidate && !written_well.proxy_revalidate);
    for line in [&b"must-revalidate foo"[..], b"must-revalidate=x", b"y=\"a, must-revalidate"] {
        let lines = [(&b"cache-control"[..], line)];
        let written_badly = response(&lines);
        assert!(!written_badly.must_revalidate && written_badly.proxy_revalidate, "{}", line.escape_ascii());
    }
}

#[test]
fn scopes_cover_named_fields_or_everything() {
    let table: [(&str, Option<&[&str]>); 17] = [
        ("private", None),
        ("private=\"a\"", Some(&["a"])),
        ("private=\"a, B ,,c\"", Some(&["a", "B", "c"])),
        ("private=a", Some(&["a"])),
        ("private=\"a\", private=\"b\"", Some(&["a", "b"])),
        ("private=1, private=2, private=3, private=4", Some(&["1", "2", "3", "4"])),
        ("private=1, private=2, private=3, private=4, private=5", None),
        ("private=\"a\", private", None),
        ("private, private=\"a\"", None),
        ("private=\"\"", None),
        ("private=\" , \"", None),
        ("private=", None),
        ("private=\"a b\"", None),
        ("private=\"a\\b\"", None),
        ("private=\"a", None),
        ("private=\"a\"x", None),
        ("private=\"a\u{e9}\"", None),
    ];
    for (line, names) in table {
        for name in ["private", "no-cache"] {
            let line = line.replace("private", name);
            let lines = [(&b"cache-control"[..], line.as_bytes())];
            let directives = response(&lines);
            let (scope, other) = if name == "private" {
                (directives.private, directives.no_cache)
            } else {
                (directives.no_cache, directives.private)
            };
            assert_eq!(other, Scope::Absent, "{line}");
            match (scope, names) {
                (Scope::All, None) => {}
                (Scope::Fields(found), Some(names)) => {
                    assert!(found.iter().eq(names.iter().map(|name| name.as_bytes())), "{line}");
                }
                (scope, _) => panic!("{line}: {scope:?}"),
            }
        }
    }
}

#[test]
fn stale_windows_take_the_smaller_and_zero_for_no_number() {
    let table = [
        ("", None),
        ("stale-if-error=60", some(60)),
        ("stale-if-error=\"60\"", some(60)),
        ("stale-if-error=60, stale-if-error=5", some(5)),
        ("stale-if-error=60, stale-if-error=x", some(0)),
        ("stale-if-error", some(0)),
        ("stale-if-error=-1", some(0)),
    ];
    for (line, expected) in table {
        assert_eq!(response(&[(b"cache-control", line.as_bytes())]).stale_if_error, expected, "{line}");
        let line = line.replace("stale-if-error", "stale-while-revalidate");
        assert_eq!(
            response(&[(b"cache-control", line.as_bytes())]).stale_while_revalidate,
            expected,
            "{line}"
        );
    }
}

#[test]
fn an_empty_field_is_present() {
    assert!(response(&[(b"cache-control", b"")]).present);
    assert!(!response(&[]).present);
}

#[test]
fn request_directives_follow_the_fresher_reading() {
    let base = RequestDirectives::default();
    let table = [
        ("max-age=5", RequestDirectives { max_age: some(5), ..base }),
        ("max-age=5, max-age=3", RequestDirectives { max_age: some(3), ..base }),
        ("max-age=x", RequestDirectives { max_age: some(0), ..base }),
        ("min-fresh=5, min-fresh=9", RequestDirectives { min_fresh: some(9), ..base }),
        ("min-fresh=x", RequestDirectives { min_fresh: some(1 << 31), ..base }),
        ("max-stale", RequestDirectives { max_stale: Some(MaxStale::Any), ..base }),
        (
            "max-stale=5",
            RequestDirectives { max_stale: Some(MaxStale::Seconds(DeltaSeconds::new(5))), ..base },
        ),
        (
            "max-stale, max-stale=5",
            RequestDirectives { max_stale: Some(MaxStale::Seconds(DeltaSeconds::new(5))), ..base },
        ),
        ("max-stale=x", RequestDirectives { max_stale: Some(MaxStale::Seconds(DeltaSeconds::ZERO)), ..base }),
        ("No-Cache", RequestDirectives { no_cache: true, ..base }),
        ("no-store", RequestDirectives { no_store: true, ..base }),
        ("only-if-cached", RequestDirectives { only_if_cached: true, ..base }),
        ("no-transform", RequestDirectives { no_transform: true, ..base }),
        ("stale-if-error=7", RequestDirectives { stale_if_error: some(7), ..base }),
        ("private, s-maxage=5, x=\"no-store\"", base),
    ];
    for (line, expected) in table {
        assert_eq!(request(line), expected, "{line}");
    }
}

#[test]
fn pragma_counts_only_without_cache_control() {
    let table: [(&[Line<'_>], bool); 6] = [
        (&[(b"Pragma", b"no-cache")], true),
        (&[(b"Pragma", b"x=\"y\", NO-CACHE")], true),
        (&[(b"Pragma", b"x=\"no-cache\"")], false),
        (&[(b"Pragma", b"no-store")], false),
        (&[(b"Pragma", b"no-cache"), (b"Cache-Control", b"max-age=9")], false),
        (&[(b"Pragma", b"no-cache"), (b"Cache-Control", b"")], false),
    ];
    for (lines, expected) in table {
        assert_eq!(RequestDirectives::parse(Fields::new(lines)).no_cache, expected);
    }
}

/// One well-formed member the crate knows.
fn known() -> impl Strategy<Value = String> {
    prop_oneof![
        "(max-age|s-maxage|stale-if-error|stale-while-revalidate|max-stale|min-fresh)=([0-9]{1,12}|\"[0-9]{1,12}\")",
        "(no-store|public|must-revalidate|proxy-revalidate|must-understand|no-transform|immutable|only-if-cached)",
        "(private|no-cache)(=\"[a-c](, ?[a-c]){0,3}\")?",
    ]
}

/// One well-formed member the crate does not know, whatever it quotes.
fn unknown() -> impl Strategy<Value = String> {
    (
        "x-[a-z]{0,8}",
        prop::option::of(prop_oneof!["[a-z0-9]{1,5}", "\"(no-store|max-age=1|, |\\\\\"|private)*\""]),
    )
        .prop_map(|(name, argument)| argument.map_or(name.clone(), |argument| format!("{name}={argument}")))
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(lines in prop::collection::vec(any::<Vec<u8>>(), 0..4)) {
        let lines: Vec<(&[u8], &[u8])> = lines.iter().map(|line| (&b"Cache-Control"[..], line.as_slice())).collect();
        response(&lines);
        let _ = RequestDirectives::parse(Fields::new(&lines));
    }

    #[test]
    fn almost_directives_are_read_without_panic(line in "(max-age|no-cache|private|[\",=\\\\ ;a]){0,20}") {
        response(&[(b"cache-control", line.as_bytes())]);
        request(&line);
    }

    #[test]
    fn a_bare_no_store_is_never_hidden_by_what_follows(rest in any::<Vec<u8>>()) {
        let line = [&b"no-store,"[..], &rest].concat();
        prop_assert!(response(&[(b"cache-control", &line)]).no_store);
    }

    #[test]
    fn unknown_directives_change_nothing(
        known in prop::collection::vec(known(), 0..5),
        strangers in prop::collection::vec((any::<prop::sample::Index>(), unknown()), 1..4),
    ) {
        let alone = known.join(", ");
        let mut mixed = known;
        for (place, stranger) in strangers {
            mixed.insert(place.index(mixed.len() + 1), stranger);
        }
        let mixed = mixed.join(", ");
        let (one, two) = ([(&b"cache-control"[..], alone.as_bytes())], [(&b"cache-control"[..], mixed.as_bytes())]);
        prop_assert_eq!(response(&one), response(&two));
        prop_assert_eq!(request(&alone), request(&mixed));
    }

    #[test]
    fn unrelated_fields_in_any_order_change_nothing(
        known in prop::collection::vec(known(), 1..5),
        (place, other) in (any::<prop::sample::Index>(), "x-[a-z]{1,5}|age|vary|cache-controls"),
    ) {
        let plain: Vec<(&[u8], &[u8])> = known.iter().map(|line| (&b"cache-control"[..], line.as_bytes())).collect();
        let mut mixed = plain.clone();
        mixed.insert(place.index(mixed.len() + 1), (other.as_bytes(), b"no-store, max-age=1"));
        prop_assert_eq!(response(&plain), response(&mixed));
    }

    #[test]
    fn one_line_or_many_mean_the_same(known in prop::collection::vec(known(), 1..5)) {
        let joined = known.join(",");
        let many: Vec<(&[u8], &[u8])> = known.iter().map(|line| (&b"cache-control"[..], line.as_bytes())).collect();
        let one = [(&b"cache-control"[..], joined.as_bytes())];
        prop_assert_eq!(response(&one), response(&many));
    }
}
