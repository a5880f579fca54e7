//! Deciding a hit takes nothing from the allocator. One test, because the counts are of the whole process.

use std::alloc::System;
use std::hint::black_box;
use std::time::Duration;

use hotplate_policy::cache_status::CacheStatus;
use hotplate_policy::control::{Layers, resolve};
use hotplate_policy::fields::Fields;
use hotplate_policy::freshness::StoredMeta;
use hotplate_policy::profile::Profile;
use hotplate_policy::request::RequestHead;
use hotplate_policy::reuse::{Reuse, decide};
use hotplate_policy::storing::request_guard;
use hotplate_policy::time::Timestamp;
use hotplate_policy::validation::{Precondition, evaluate};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const THEN: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

#[test]
fn deciding_a_fresh_hit_or_a_304_allocates_nothing() {
    let response: [(&[u8], &[u8]); 2] = [(b"cache-control", b"max-age=60"), (b"etag", b"\"a\"")];
    let control = resolve(&Layers::default(), 200, Fields::new(&response), THEN);
    let stored = StoredMeta::new(Profile::Safe, &control, 200, Fields::new(&response), THEN, THEN);
    let request: [(&[u8], &[u8]); 7] = [
        (b"host", b"example.org"),
        (b"accept-encoding", b"gzip, deflate, br, zstd"),
        (b"Cache-Control", b"max-age=30, min-fresh=1, max-stale=\"5\", x=\"no-store, \\\"\""),
        (b"cache-control", b"no-transform"),
        (b"pragma", b"no-cache"),
        (b"if-none-match", b"\"b\", W/\"a\""),
        (b"if-modified-since", b"Tue, 14 Nov 2023 22:13:20 GMT"),
    ];
    let mut out = Vec::with_capacity(128);
    let now = THEN.plus(Duration::from_secs(7));

    let mut region = Region::new(ALLOCATOR);
    region.reset();
    for profile in [Profile::Safe, Profile::Rfc9111] {
        let head = RequestHead::new(black_box("GET"), Fields::new(black_box(&request)));
        let shareable = request_guard(profile, &head, false, false).is_none();
        assert_eq!(decide(&head, true, &stored, shareable, now), Reuse::Fresh);
        let precondition = evaluate(&head, Some(b"\"a\""), None, stored.date, stored.status);
        assert_eq!(precondition, Precondition::NotModified);
        out.clear();
        let ttl = Some(stored.ttl_millis(now).div_euclid(1_000));
        CacheStatus { ttl_seconds: ttl, ..CacheStatus::hit("hotplate") }.write(&mut out);
    }
    let taken = region.change();

    assert_eq!(out, b"hotplate; hit; ttl=53");
    assert_eq!((taken.allocations, taken.reallocations), (0, 0), "{taken:?}");
}
