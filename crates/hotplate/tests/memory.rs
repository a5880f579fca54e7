//! What the local tier takes in memory, counted at the allocator.
//!
//! A block is counted with what it asks for and [`PER_BLOCK`] for what the allocator adds. One test, because the
//! counts are of the whole process.

use std::alloc::System;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hotplate::cache::Cache;
use hotplate::clock::{Clock, ManualClock};
use hotplate::config::SettingsOptions;
use hotplate::entry::{Body, Entry, EntryParts, SelectionParts};
use hotplate::exchange::{HttpCache, Lookup, Partition, Request, Round};
use hotplate::key::{Key, KeyParts};
use hotplate::log::{Footprint, Log};
use hotplate::tier::local::{LocalTier, Slot};
use hotplate_policy::fields::Fields;
use hotplate_policy::freshness::{Flags, StoredMeta};
use hotplate_policy::time::Timestamp;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What glibc adds to a block on average: 8 bytes before it, and half of the 16 it rounds up to.
const PER_BLOCK: usize = 16;

const MAX_BYTES: u64 = 64 << 20;

/// What the process holds, in bytes.
fn held() -> usize {
    let stats = ALLOCATOR.stats();
    let blocks = stats.allocations - stats.deallocations;
    stats.bytes_allocated - stats.bytes_deallocated + blocks * PER_BLOCK
}

/// A response with six fields and one tag.
fn entry(log: &Log, path: &str, body: usize) -> (Key, Entry<Bytes>) {
    let key = Key::of(&KeyParts {
        method: "GET",
        scheme: b"https",
        authority: b"example.org",
        path: path.as_bytes(),
        ..KeyParts::default()
    });
    let now = Timestamp::from_unix_seconds(1_700_000_000);
    let length = body.to_string();
    let fields: [(&[u8], &[u8]); 6] = [
        (b"content-type", b"application/json"),
        (b"content-length", length.as_bytes()),
        (b"cache-control", b"max-age=60"),
        (b"etag", b"\"0123456789abcdef0123456789abcdef\""),
        (b"last-modified", b"Tue, 14 Nov 2023 22:13:20 GMT"),
        (b"vary", b"accept-encoding"),
    ];
    let tags = ["products".to_owned()];
    let text = b"accept-encoding\x01\x05\0\0\0gzip";
    let entry = Entry::new(EntryParts {
        meta: StoredMeta {
            status: 200,
            request_time: now,
            response_time: now,
            initial_age: Duration::ZERO,
            lifetime: Duration::from_secs(60),
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            flags: Flags::HAS_ETAG,
            date: now,
            last_modified: Some(now),
        },
        position: log.position(),
        footprint: Footprint::new(log, key, b"example.org", path.as_bytes(), tags.iter().map(String::as_str)),
        selection: Some(SelectionParts {
            variant: key.variant(text),
            text,
            names: &["accept-encoding".into()],
        }),
        fields: fields.into_iter(),
        tags: &tags,
        partitioned: false,
        body: Bytes::from(vec![b'x'; body]),
    });
    (key, entry)
}

/// One request for a path that is not stored, and its load.
fn load(http: &Arc<HttpCache<Bytes>>, path: &str, now: Timestamp) {
    let request = Request {
        method: "GET",
        scheme: b"https",
        authority: b"example.org",
        raw_path: path.as_bytes(),
        root: "",
        path,
        query: b"",
        fields: Fields::new(&[(b"host", b"example.org"), (b"accept", b"*/*")]),
        body: None,
    };
    let found = http.lookup(&request, &Round::default(), now, &mut |_| Partition::Refused);
    let Lookup::Load(mut exchange) = found else { unreachable!("{path} is not stored yet") };
    let fields: [(&[u8], &[u8]); 3] =
        [(b"content-type", b"application/json"), (b"content-length", b"100"), (b"x-powered-by", b"a test")];
    exchange.head(200, Fields::new(&fields), false, None, now);
    exchange.chunk(Bytes::from(vec![b'x'; 100]), true, now);
    exchange.end();
}

#[test]
fn memory_follows_the_weight_and_stays_within_the_bound() {
    let log = Log::new();
    let _ = entry(&log, "/warm/up", 10);

    // One response by itself: what it weighs is what it takes, and that is little more than its text.
    let before = held();
    let kept: Vec<Arc<Entry<Bytes>>> =
        (0..1_000).map(|number| Arc::new(entry(&log, &format!("/products/{number}"), 1_024).1)).collect();
    let each = (held() - before) / kept.len();
    let weight = usize::try_from(kept[0].weight()).unwrap();
    println!("one response with a body of 1,024 bytes: {each} bytes, weight {weight}");
    assert!(weight.abs_diff(each) * 10 <= each, "weight {weight}, takes {each}");
    assert!(each <= 1_500, "{each}");
    assert_eq!(kept[0].body().as_slice().len(), 1_024);
    drop(kept);

    // A million distinct URLs, asked for and loaded through the engine.
    let before = held();
    let clock = Arc::new(ManualClock::new(Timestamp::from_unix_seconds(1_700_000_000)));
    let cache = Arc::new(Cache::new(MAX_BYTES, Arc::clone(&clock) as Arc<dyn Clock>));
    let settings = SettingsOptions { ttl: Some(Duration::from_secs(60)), ..SettingsOptions::default() };
    let http = Arc::new(HttpCache::new(Arc::clone(&cache), settings.compile().unwrap()));
    let mut most = 0;
    for number in 0..1_000_000_u32 {
        load(&http, &format!("/products/{number}"), clock.now());
        if number % 50_000 == 49_999 {
            let grown = (held() - before) as u64;
            let stats = cache.stats();
            most = most.max(grown);
            println!("{}: {grown} bytes, weight {}, {} entries", number + 1, stats.bytes, stats.entries);
            assert!(stats.bytes <= MAX_BYTES);
            assert!(grown * 10 <= MAX_BYTES * 11, "{grown} bytes held with a bound of {MAX_BYTES}");
        }
    }
    assert!(most * 10 >= MAX_BYTES * 8, "only {most} bytes of {MAX_BYTES} are made use of");
    assert_eq!(cache.stats().stored, 1_000_000);
    assert!(cache.stats().evictions > 800_000);
    drop((http, cache));

    // The smallest slots: the index is all they take.
    let before = held();
    let tier = LocalTier::<Bytes>::new(MAX_BYTES);
    let until = Timestamp::from_unix_seconds(1);
    for number in 0..2_000_000_u128 {
        let spread = number.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        tier.insert(Key::from_u128(spread), Slot::HitForMiss { until });
        if number % 100_000 == 99_999 {
            let grown = (held() - before) as u64;
            println!("{}: {grown} bytes, {} slots", number + 1, tier.len());
            assert!(grown * 10 <= MAX_BYTES * 11, "{grown} bytes held with a bound of {MAX_BYTES}");
        }
    }
}
