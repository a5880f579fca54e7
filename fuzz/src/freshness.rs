//! Lifetime and age. A status, four times in milliseconds, then the field lines of a response.

use std::time::Duration;

use hotplate_policy::control::{Layers, resolve};
use hotplate_policy::fields::Fields;
use hotplate_policy::freshness::StoredMeta;
use hotplate_policy::profile::Profile;
use hotplate_policy::request::RequestHead;
use hotplate_policy::reuse::{Reuse, decide};
use hotplate_policy::storing::{self, StoreFacts};
use hotplate_policy::time::Timestamp;

use crate::input::Input;

/// Where to begin.
pub const SEEDS: &[&[u8]] = &[
    b"200\n784111777000\n784111778000\n784111790000\n784111900000\nDate: Sun, 06 Nov 1994 08:49:37 GMT\nCache-Control: max-age=60, stale-while-revalidate=30\nAge: 7\n",
    b"200\n0\n1000\n2000\n9223372036854775807\nExpires: Thu, 01 Jan 1970 00:01:00 GMT\nLast-Modified: Thu, 01 Jan 1970 00:00:00 GMT\nDate: Thu, 01 Jan 1970 00:00:05 GMT\n",
    b"404\n-9223372036854775808\n9223372036854775807\n0\n1\ncdn-cache-control: max-age=99999999999, must-revalidate\nage: 99999999999\nage: 1\n",
    b"301\n5\n4\n3\n2\nlast-modified: Sun, 06 Nov 1994 08:49:37 GMT\nexpires: 0\ncache-control: s-maxage=x, public\n",
];

/// Age never falls; what is fresh was fresh at every earlier moment since it came; reuse is fresh only then; and fields
/// that mean nothing, wherever they stand, change none of it.
pub fn check(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let status = input.number() as u16;
    let [asked, answered, one, two] = std::array::from_fn(|_| Timestamp::from_unix_millis(input.number()));
    let (earlier, later) = (one.min(two), one.max(two));
    let lines = input.fields();
    let mut padded: Vec<(&[u8], &[u8])> = vec![(b"x-first", b"max-age=1")];
    for line in &lines {
        padded.extend([*line, (b"x-cache-control", b"no-store")]);
    }
    let request = RequestHead::new("GET", Fields::new(&[]));
    for profile in [Profile::Safe, Profile::Rfc9111] {
        let store = |lines| {
            let fields = Fields::new(lines);
            let layers = Layers { profile, heuristic: true, ..Layers::default() };
            let control = resolve(&layers, status, fields, answered);
            let stored = storing::decide(&StoreFacts::new(profile, &request), status, fields, &control);
            (stored, StoredMeta::new(profile, &control, status, fields, asked, answered))
        };
        let (stored, meta) = store(&lines);
        assert_eq!(store(&padded), (stored, meta), "fields without a meaning changed the decision");

        assert!(meta.age(earlier) <= meta.age(later), "age fell");
        assert!(!meta.is_fresh(later) || meta.is_fresh(earlier), "it became fresh");
        assert!(meta.staleness(earlier) <= meta.staleness(later), "staleness fell");
        for now in [earlier, later] {
            assert_eq!(meta.is_fresh(now), meta.ttl_millis(now) > 0);
            assert!(!meta.is_fresh(now) || meta.staleness(now) == Duration::ZERO);
            let reuse = decide(&request, true, &meta, true, now);
            assert_eq!(
                reuse == Reuse::Fresh,
                meta.is_fresh(now) && !meta.flags.is_no_cache(),
                "{reuse:?} of {meta:?}"
            );
        }
    }
}
