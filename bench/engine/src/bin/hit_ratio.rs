//! How often what is asked for is still there: the engine's two caches against the best there can be and against the
//! least recently used. For `bench/sections/hit_ratio.py`.
//!
//! * `hit_ratio trace SCAN > FILE`: writes a trace, four bytes a request, the lowest first: the number of the key, and
//!   the highest bit where the request does not count.
//! * `hit_ratio play CAPACITY RUNS < FILE`: plays such a trace to every policy. A line for each: its name, then the hit
//!   ratio of every run, with tabs between them.
//!
//! # The traces
//!
//! *zipf* (`SCAN` is 0): one million requests; the n-th of 100,000 keys is asked for in proportion to n^-0.9. *scans*:
//! the same requests, and after every `2 * SCAN` of them, `SCAN` keys that are asked for once and never again, one after
//! the other, as a crawler does it. Requests of scans do not count. The random numbers are the same in every run; what
//! the engine seeds for itself is not, so it plays a trace several times.
//!
//! The ratio is of all requests that count, the first one for a key included, which nothing can answer.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::hint::black_box;
use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use hotplate::entry::{Entry, EntryParts};
use hotplate::key::Key;
use hotplate::log::{Footprint, Log};
use hotplate::objects::{Bounds, Moment, Objects, Stored};
use hotplate::tier::local::{INDEX_BYTES, LocalTier, Slot};
use hotplate_bench::site::{NOW, RESPONSE};
use hotplate_policy::control::{Layers, resolve};
use hotplate_policy::fields::Fields;
use hotplate_policy::freshness::StoredMeta;
use hotplate_policy::profile::Profile;

const KEYS: usize = 100_000;
const EXPONENT: f64 = 0.9;
const REQUESTS: usize = 1_000_000;

/// Marks a request that does not count in a written trace.
const UNCOUNTED: u32 = 1 << 31;

/// A key asked for, and whether it counts: whether it is no scan's.
#[derive(Clone, Copy)]
struct Asked {
    key: u32,
    counts: bool,
}

/// `SplitMix64`: a fixed sequence of numbers that look random.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to 1.
    #[allow(clippy::cast_precision_loss, reason = "53 bits are what a fraction holds")]
    fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "small numbers")]
/// `scan`: so many keys after every twice as many requests; 0 for none.
fn trace(scan: usize) -> Vec<Asked> {
    let mut sums = Vec::with_capacity(KEYS);
    let mut sum = 0.0;
    for rank in 1..=KEYS {
        sum += (rank as f64).powf(-EXPONENT);
        sums.push(sum);
    }
    let mut random = Random(20_261_121);
    let (mut trace, mut scanned) = (Vec::new(), KEYS as u32);
    for request in 1..=REQUESTS {
        let drawn = random.fraction() * sum;
        let rank = sums.partition_point(|sum| *sum <= drawn).min(KEYS - 1);
        trace.push(Asked { key: rank as u32, counts: true });
        if scan > 0 && request.is_multiple_of(2 * scan) {
            trace.extend((0..scan as u32).map(|number| Asked { key: scanned + number, counts: false }));
            scanned += scan as u32;
        }
    }
    trace
}

/// The part of the requests that count for which `is_there` says so. It is asked once for each request, and stores what
/// is not there.
#[allow(clippy::cast_precision_loss, reason = "small numbers")]
fn ratio(trace: &[Asked], mut is_there: impl FnMut(usize, u32) -> bool) -> f64 {
    let (mut hits, mut all) = (0_u32, 0_u32);
    for (place, asked) in trace.iter().enumerate() {
        let hit = is_there(place, asked.key);
        all += u32::from(asked.counts);
        hits += u32::from(asked.counts && hit);
    }
    f64::from(hits) / f64::from(all)
}

// --- References ------------------------------------------------------------------------------------------------------

/// Belady: of what is stored and what is asked for, that goes which is asked for last.
fn optimal(trace: &[Asked], capacity: usize) -> f64 {
    let mut next = vec![usize::MAX; trace.len()];
    let mut later = HashMap::new();
    for (place, asked) in trace.iter().enumerate().rev() {
        if let Some(other) = later.insert(asked.key, place) {
            next[place] = other;
        }
    }
    // Which of the stored keys is asked for when; the heap also has what was true before.
    let (mut stored, mut heap) = (HashMap::new(), BinaryHeap::new());
    ratio(trace, |place, key| {
        let hit = stored.insert(key, next[place]).is_some();
        heap.push((next[place], key));
        while stored.len() > capacity {
            let Some((when, key)) = heap.pop() else { break };
            if stored.get(&key) == Some(&when) {
                stored.remove(&key);
            }
        }
        hit
    })
}

fn least_recently_used(trace: &[Asked], capacity: usize) -> f64 {
    let (mut used, mut by_use) = (HashMap::new(), BTreeMap::new());
    ratio(trace, |place, key| {
        let before = used.insert(key, place);
        if let Some(before) = before {
            by_use.remove(&before);
        }
        by_use.insert(place, key);
        if used.len() > capacity
            && let Some((_, oldest)) = by_use.pop_first()
        {
            used.remove(&oldest);
        }
        before.is_some()
    })
}

/// What was asked for least since the beginning goes; nothing is forgotten of what was evicted.
fn least_frequently_used(trace: &[Asked], capacity: usize) -> f64 {
    let (mut counts, mut stored, mut heap) = (HashMap::new(), HashMap::new(), BinaryHeap::new());
    ratio(trace, |place, key| {
        let count = counts.entry(key).or_insert(0_u32);
        *count += 1;
        let rank = (*count, place);
        let hit = stored.insert(key, rank).is_some();
        heap.push(Reverse((rank, key)));
        while stored.len() > capacity {
            let Some(Reverse((rank, key))) = heap.pop() else { break };
            if stored.get(&key) == Some(&rank) {
                stored.remove(&key);
            }
        }
        hit
    })
}

// --- The engine ------------------------------------------------------------------------------------------------------

/// A response with eight fields, two tags and a body of so many bytes.
fn response(body: usize) -> Arc<Entry<Bytes>> {
    let log = Log::new();
    let fields = Fields::new(&RESPONSE);
    let control = resolve(&Layers::default(), 200, fields, NOW);
    let tags = ["products".to_owned(), "product:0000042".to_owned()];
    let named = tags.iter().map(String::as_str);
    Arc::new(Entry::new(EntryParts {
        meta: StoredMeta::new(Profile::Safe, &control, 200, fields, NOW, NOW),
        position: log.position(),
        footprint: Footprint::new(&log, Key::from_u128(42), b"shop.example.org", b"/products/0000042", named),
        selection: None,
        fields: RESPONSE.into_iter(),
        tags: &tags,
        partitioned: false,
        body: Bytes::from(vec![b'x'; body]),
    }))
}

/// The tier of responses, with room for so many of this size.
fn local_tier(trace: &[Asked], capacity: usize, body: usize) -> f64 {
    let entry = response(body);
    let tier = LocalTier::new(capacity as u64 * (entry.weight() + INDEX_BYTES));
    ratio(trace, |_, number| {
        let key = Key::named(&number.to_le_bytes());
        let hit = tier.get(&key).is_some();
        if !hit {
            tier.insert(key, Slot::Response(Arc::clone(&entry)));
        }
        hit
    })
}

/// What `LocalCache` and `memoize` are made of.
fn objects(trace: &[Asked], bounds: Bounds, weight: u64) -> f64 {
    let objects = Objects::<u32, (), ()>::new(bounds);
    ratio(trace, |_, number| {
        let index = (u64::from(number) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let hit = objects.get(index, || Moment::from_nanos(0), |_, ()| ()).is_some();
        if !hit {
            black_box(objects.put(index, number, Stored { value: (), weight, end: Moment::NEVER }));
        }
        hit
    })
}

// --- The program -----------------------------------------------------------------------------------------------------

type Policy = Box<dyn Fn(&[Asked]) -> f64>;

/// Every policy with so much room, by the id of its row; and whether it does the same in each run.
fn policies(capacity: usize) -> [(&'static str, bool, Policy); 9] {
    let known =
        |policy: fn(&[Asked], usize) -> f64| -> Policy { Box::new(move |trace| policy(trace, capacity)) };
    let tier = |body: usize| -> Policy { Box::new(move |trace| local_tier(trace, capacity, body)) };
    // Room by number and in KiB, as parts of the capacity; an entry weighs 1 KiB.
    let kept = |number: Option<u32>, weight: Option<u64>| -> Policy {
        let entries = number.and_then(|times| Some(times * u32::try_from(capacity).ok()?));
        let weight = weight.map(|times| times * capacity as u64 * 1_024);
        Box::new(move |trace| objects(trace, Bounds { entries, weight }, 1_024))
    };
    [
        ("lru", true, known(least_recently_used)),
        ("belady", true, known(optimal)),
        ("lfu", true, known(least_frequently_used)),
        ("hotplate-local", false, tier(1 << 10)),
        ("hotplate-local-small", false, tier(190)),
        ("hotplate-local-large", false, tier(16 << 10)),
        ("hotplate-objects", false, kept(Some(1), None)),
        ("hotplate-objects-bytes", false, kept(None, Some(1))),
        ("hotplate-objects-both", false, kept(Some(1), Some(4))),
    ]
}

fn write(trace: &[Asked]) -> io::Result<()> {
    let requests = trace.iter().map(|asked| if asked.counts { asked.key } else { asked.key | UNCOUNTED });
    io::stdout().write_all(&requests.flat_map(u32::to_le_bytes).collect::<Vec<u8>>())
}

fn read() -> io::Result<Vec<Asked>> {
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes)?;
    let (requests, _) = bytes.as_chunks();
    let requests = requests.iter().map(|request| u32::from_le_bytes(*request));
    Ok(requests.map(|number| Asked { key: number & !UNCOUNTED, counts: number & UNCOUNTED == 0 }).collect())
}

fn run(arguments: &[&str]) -> Option<io::Result<()>> {
    match arguments {
        ["trace", scan] => Some(write(&trace(scan.parse().ok()?))),
        ["play", capacity, runs] => {
            let (capacity, runs) = (capacity.parse().ok()?, runs.parse::<usize>().ok()?);
            let trace = match read() {
                Ok(trace) => trace,
                Err(error) => return Some(Err(error)),
            };
            for (name, always_the_same, policy) in policies(capacity) {
                let runs = if always_the_same { 1 } else { runs };
                let ratios: Vec<String> = (0..runs).map(|_| format!("{:.6}", policy(&trace))).collect();
                println!("{name}\t{}", ratios.join("\t"));
            }
            Some(Ok(()))
        }
        _ => None,
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Some(Ok(())) => return ExitCode::SUCCESS,
        Some(Err(error)) => eprintln!("hit_ratio: {error}"),
        None => eprintln!("usage: hit_ratio trace SCAN > FILE\n       hit_ratio play CAPACITY RUNS < FILE"),
    }
    ExitCode::FAILURE
}
