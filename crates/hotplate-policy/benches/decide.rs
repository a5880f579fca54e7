//! What policy takes of a hit and of a response that is stored: nanoseconds and allocations per decision.
//!
//! A *hit* is a request head of twelve fields read, a fresh response found usable, and the `Cache-Status` member
//! written. A *store* is a response head of ten fields resolved and judged. The *reference* beside them touches every
//! byte of the twelve fields once, and says what the machine is worth. All three run in turns, so that whatever else the
//! machine does falls on each of them.
//!
//! Ends with 1 if a hit allocates. Times are printed and not judged: they are the machine's.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::alloc::System;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use hotplate_policy::cache_status::CacheStatus;
use hotplate_policy::control::{Layers, resolve};
use hotplate_policy::fields::Fields;
use hotplate_policy::freshness::StoredMeta;
use hotplate_policy::profile::Profile;
use hotplate_policy::request::RequestHead;
use hotplate_policy::reuse::{Reuse, decide};
use hotplate_policy::storing::{self, StoreFacts};
use hotplate_policy::time::Timestamp;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ROUNDS: usize = 31;
const DECISIONS: u32 = 50_000;
const THEN: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

/// A `fetch` by a page in Chrome, without credentials.
const REQUEST: [(&[u8], &[u8]); 12] = [
    (b"host", b"shop.example.org"),
    (b"connection", b"keep-alive"),
    (b"sec-ch-ua-platform", b"\"Linux\""),
    (
        b"user-agent",
        b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    ),
    (b"accept", b"application/json, text/plain, */*"),
    (b"sec-ch-ua", b"\"Chromium\";v=\"142\", \"Google Chrome\";v=\"142\", \"Not_A Brand\";v=\"99\""),
    (b"cache-control", b"max-age=0"),
    (b"sec-fetch-site", b"same-origin"),
    (b"sec-fetch-mode", b"cors"),
    (b"referer", b"https://shop.example.org/products?page=2"),
    (b"accept-encoding", b"gzip, deflate, br, zstd"),
    (b"accept-language", b"en-GB,en;q=0.9,de;q=0.8"),
];

/// A JSON answer of an API behind a proxy.
const RESPONSE: [(&[u8], &[u8]); 10] = [
    (b"date", b"Tue, 14 Nov 2023 22:13:20 GMT"),
    (b"server", b"uvicorn"),
    (b"content-type", b"application/json; charset=utf-8"),
    (b"content-length", b"4096"),
    (b"cache-control", b"public, max-age=60, stale-while-revalidate=30"),
    (b"etag", b"\"0123456789abcdef0123456789abcdef\""),
    (b"last-modified", b"Tue, 14 Nov 2023 20:00:00 GMT"),
    (b"vary", b"Accept-Encoding"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-request-id", b"7b0c0f1e-6f0b-4f6e-9b0a-2f4a5b6c7d8e"),
];

fn hit(stored: &StoredMeta, now: Timestamp, out: &mut Vec<u8>) -> bool {
    let request = RequestHead::new(black_box("GET"), Fields::new(black_box(&REQUEST)));
    let reuse = decide(&request, false, black_box(stored), true, black_box(now));
    out.clear();
    let ttl_seconds = Some(stored.ttl_millis(now).div_euclid(1_000));
    CacheStatus { ttl_seconds, ..CacheStatus::hit("hotplate") }.write(out);
    reuse == Reuse::Fresh
}

fn store(request: &RequestHead<'_>) -> bool {
    let fields = Fields::new(black_box(&RESPONSE));
    let control = resolve(&Layers::default(), black_box(200), fields, THEN);
    storing::decide(&StoreFacts::new(Profile::Safe, request), 200, fields, &control).is_ok()
}

fn reference() -> bool {
    let bytes = |text: &[u8]| text.iter().fold(0_u8, |sum, byte| sum ^ byte.to_ascii_lowercase());
    let sum = Fields::new(black_box(&REQUEST))
        .iter()
        .fold(0, |sum, (name, value)| sum ^ bytes(name) ^ bytes(value));
    black_box(sum);
    true
}

/// One thing measured: its nanoseconds per decision in each round, and its allocations in all of them.
struct Measured {
    name: &'static str,
    nanoseconds: Vec<f64>,
    allocations: usize,
}

impl Measured {
    const fn new(name: &'static str) -> Self {
        Self { name, nanoseconds: Vec::new(), allocations: 0 }
    }

    fn round(&mut self, mut decision: impl FnMut() -> bool) {
        let region = Region::new(ALLOCATOR);
        let start = Instant::now();
        let held = (0..DECISIONS).all(|_| decision());
        let taken = start.elapsed();
        let change = region.change();
        assert!(held, "{}: another decision than the one to be measured", self.name);
        self.allocations += change.allocations + change.reallocations;
        self.nanoseconds.push(taken.as_secs_f64() * 1e9 / f64::from(DECISIONS));
    }

    fn print(&mut self) {
        self.nanoseconds.sort_by(f64::total_cmp);
        let of = |index: usize| self.nanoseconds.get(index).copied().unwrap_or(f64::NAN);
        let last = self.nanoseconds.len().saturating_sub(1);
        let decisions = self.nanoseconds.len() as f64 * f64::from(DECISIONS);
        println!(
            "{:<10} {:>8.1} {:>8.1} {:>8.1} {:>12.2}",
            self.name,
            of(0),
            of(last / 2),
            of(last),
            self.allocations as f64 / decisions
        );
    }
}

fn main() -> ExitCode {
    let fields = Fields::new(&RESPONSE);
    let control = resolve(&Layers::default(), 200, fields, THEN);
    let stored = StoredMeta::new(Profile::Safe, &control, 200, fields, THEN, THEN);
    let now = THEN.plus(Duration::from_secs(7));
    let request = RequestHead::new("GET", Fields::new(&REQUEST));
    let mut out = Vec::with_capacity(128);

    let mut measured = ["reference", "hit", "store"].map(Measured::new);
    for _ in 0..ROUNDS {
        let [for_reference, for_hit, for_store] = &mut measured;
        for_reference.round(reference);
        for_hit.round(|| hit(&stored, now, &mut out));
        for_store.round(|| store(&request));
    }

    println!("{ROUNDS} rounds of {DECISIONS} decisions, nanoseconds per decision");
    println!("{:<10} {:>8} {:>8} {:>8} {:>12}", "", "min", "median", "max", "allocations");
    measured.iter_mut().for_each(Measured::print);
    let [_, hit, _] = measured;
    if hit.allocations > 0 {
        eprintln!("a hit allocated: {} times in all", hit.allocations);
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
