//! The operations whose instructions are counted.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hotplate::cache::Cache;
use hotplate::clock::{Clock, ManualClock};
use hotplate::entry::{Body, Entry, EntryParts, SelectionParts};
use hotplate::key::{self, Key, KeyParts};
use hotplate::log::{Footprint, Log};
use hotplate::objects::{Bounds, Moment, Objects, Stored};
use hotplate::values::{Content, Form, Plan, Round, Step, Terms};
use hotplate_policy::cache_status::CacheStatus;
use hotplate_policy::control::{Layers, resolve};
use hotplate_policy::fields::Fields;
use hotplate_policy::freshness::StoredMeta;
use hotplate_policy::profile::Profile;
use hotplate_policy::request::RequestHead;
use hotplate_policy::reuse::{Reuse, decide};
use hotplate_policy::storing::{self, StoreFacts};

use crate::counted_turns;
use crate::site::{BODY, NOW, REQUEST, RESPONSE, Site, path};

/// So many paths, names or indexes take turns.
const KEYS: usize = 1_000;

/// Room for all of them.
const ROOM: u64 = 64 << 20;

/// Makes ready, then runs that many turns of it in [`counted_turns`].
pub type Operation = fn(turns: usize);

/// Every operation by its name.
pub const OPERATIONS: [(&str, Operation); 15] = [
    ("decode", decode),
    ("decode_64k", decode_64k),
    ("decision_hit", decision_hit),
    ("decision_store", decision_store),
    ("encode", encode),
    ("encode_64k", encode_64k),
    ("http_hit", http_hit),
    ("http_hit_after_invalidation", http_hit_after_invalidation),
    ("http_miss_stored", http_miss_stored),
    ("key_of_name", key_of_name),
    ("key_of_request", key_of_request),
    ("objects_get", objects_get),
    ("objects_put", objects_put),
    ("objects_put_full", objects_put_full),
    ("value_recall", value_recall),
];

// --- The HTTP cache --------------------------------------------------------------------------------------------------

fn stored_site() -> (Site, Vec<String>) {
    let site = Site::new(ROOM, 2);
    let paths: Vec<String> = (0..KEYS).map(path).collect();
    paths.iter().for_each(|path| site.load(path));
    // The log has begun, and every response has been asked for since.
    site.invalidate_another(0);
    for path in &paths {
        let _ = black_box(site.hit(path));
    }
    (site, paths)
}

/// A fresh response is found and read.
fn http_hit(turns: usize) {
    let (site, paths) = stored_site();
    counted_turns(turns, |turn| site.hit(&paths[turn % KEYS]));
}

/// As `http_hit`, each time the first since something else was invalidated: the log is looked at. The invalidation
/// itself is a thousandth part of it.
fn http_hit_after_invalidation(turns: usize) {
    let (site, paths) = stored_site();
    counted_turns(turns, |turn| {
        if turn.is_multiple_of(KEYS) {
            site.invalidate_another(0);
        }
        site.hit(&paths[turn % KEYS])
    });
}

/// Nothing is stored: the application answers, and that is stored. Older responses are evicted for it.
fn http_miss_stored(turns: usize) {
    let site = Site::new(1 << 20, 2);
    let paths: Vec<String> = (0..turns + 4 * KEYS).map(path).collect();
    let (first, later) = paths.split_at(4 * KEYS);
    first.iter().for_each(|path| site.load(path));
    counted_turns(turns, |turn| {
        site.load(&later[turn]);
        turn
    });
}

// --- Policy ----------------------------------------------------------------------------------------------------------

/// A request head is read, a fresh response found usable, and the `Cache-Status` member written.
fn decision_hit(turns: usize) {
    let fields = Fields::new(&RESPONSE);
    let control = resolve(&Layers::default(), 200, fields, NOW);
    let stored = StoredMeta::new(Profile::Safe, &control, 200, fields, NOW, NOW);
    let now = NOW.plus(Duration::from_secs(7));
    let mut out = Vec::with_capacity(128);
    counted_turns(turns, |_| {
        let request = RequestHead::new(black_box("GET"), Fields::new(black_box(&REQUEST)));
        let reuse = decide(&request, false, black_box(&stored), true, black_box(now));
        assert!(reuse == Reuse::Fresh, "another decision than the one to be counted");
        out.clear();
        let ttl_seconds = Some(stored.ttl_millis(now).div_euclid(1_000));
        CacheStatus { ttl_seconds, ..CacheStatus::hit("hotplate") }.write(&mut out);
        out.len()
    });
}

/// A response head is resolved and found storable.
fn decision_store(turns: usize) {
    let request = RequestHead::new("GET", Fields::new(&REQUEST));
    counted_turns(turns, |_| {
        let fields = Fields::new(black_box(&RESPONSE));
        let control = resolve(&Layers::default(), black_box(200), fields, NOW);
        let decision = storing::decide(&StoreFacts::new(Profile::Safe, &request), 200, fields, &control);
        assert!(decision.is_ok(), "another decision than the one to be counted");
        1
    });
}

// --- Keys ------------------------------------------------------------------------------------------------------------

/// The primary key of a request, with a query.
fn key_of_request(turns: usize) {
    let paths: Vec<String> = (0..KEYS).map(path).collect();
    counted_turns(turns, |turn| {
        let parts = KeyParts {
            method: "GET",
            scheme: b"https",
            authority: b"shop.example.org",
            path: paths[turn % KEYS].as_bytes(),
            query: b"page=2&sort=price",
            ..KeyParts::default()
        };
        usize::from(Key::of(black_box(&parts)).as_u128() & 1 == 1)
    });
}

/// The key of a name that was asked for before.
fn key_of_name(turns: usize) {
    // Few, so that no two of them share a place in the table of known names.
    let names: Vec<String> = (0..8).map(|number| format!("product:{number}")).collect();
    for name in &names {
        let _ = black_box(key::named_often(name));
    }
    counted_turns(turns, |turn| usize::from(key::named_often(&names[turn % names.len()]).as_u128() & 1 == 1));
}

// --- The codec -------------------------------------------------------------------------------------------------------

fn entry(log: &Log, body: Vec<u8>) -> Entry<Bytes> {
    let fields = Fields::new(&RESPONSE);
    let control = resolve(&Layers::default(), 200, fields, NOW);
    let tags = TAGS.map(str::to_owned);
    Entry::new(EntryParts {
        meta: StoredMeta::new(Profile::Safe, &control, 200, fields, NOW, NOW),
        position: log.position(),
        footprint: footprint(log, &TAGS),
        selection: Some(SelectionParts {
            variant: Key::from_u128(43),
            text: b"gzip",
            names: &["accept-encoding".into()],
        }),
        fields: RESPONSE.into_iter(),
        tags: &tags,
        partitioned: false,
        body: body.into(),
    })
}

const TAGS: [&str; 2] = ["products", "product:0000042"];

fn footprint(log: &Log, tags: &[&str]) -> Footprint {
    let key = Key::from_u128(42);
    Footprint::new(log, key, b"shop.example.org", b"/products/0000042", tags.iter().copied())
}

fn encode(turns: usize) {
    encode_body(turns, BODY.to_vec());
}

fn encode_64k(turns: usize) {
    encode_body(turns, vec![b'x'; 64 << 10]);
}

/// A stored response is written in its binary form, into memory of its own.
fn encode_body(turns: usize, body: Vec<u8>) {
    let entry = entry(&Log::shared(), body);
    counted_turns(turns, |_| {
        let mut out = Vec::new();
        black_box(&entry).encode(&mut out);
        black_box(out).len()
    });
}

fn decode(turns: usize) {
    decode_body(turns, BODY.to_vec());
}

fn decode_64k(turns: usize) {
    decode_body(turns, vec![b'x'; 64 << 10]);
}

/// The binary form is read, footprint included.
fn decode_body(turns: usize, body: Vec<u8>) {
    let log = Log::shared();
    let mut bytes = Vec::new();
    entry(&log, body).encode(&mut bytes);
    let bytes = Bytes::from(bytes);
    counted_turns(turns, |_| {
        let entry = Entry::decode(black_box(&bytes), |tags| footprint(&log, tags));
        entry.map_or_else(|error| unreachable!("{error}"), |entry| entry.body().as_slice().len())
    });
}

// --- Values and objects ----------------------------------------------------------------------------------------------

/// The result of a function is found under its key.
fn value_recall(turns: usize) {
    let plan = Plan { refresh_ahead: None, local_only: false, collapses: true };
    let clock = Arc::new(ManualClock::new(NOW));
    let cache = Arc::new(Cache::<Bytes>::new(ROOM, clock as Arc<dyn Clock>));
    let keys: Vec<Key> = (0..KEYS).map(|number| Key::named(format!("product:{number}").as_bytes())).collect();
    for key in &keys {
        let terms = Terms {
            ttl: Duration::from_secs(60),
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            tags: &TAGS.map(str::to_owned),
            form: Form::Plain,
        };
        let Step::Load(load) = cache.ask(*key, &plan, Round::default(), NOW) else { unreachable!("stored") };
        load.finish(Content { own: Bytes::from_static(BODY), shared: None }, &terms, NOW);
    }
    counted_turns(turns, |turn| {
        let found = cache.recall(black_box(keys[turn % KEYS]), &plan, NOW);
        found.map_or_else(|| unreachable!("not stored"), |entry| entry.body().len())
    });
}

type Kept = Objects<Arc<str>, Arc<str>, ()>;

/// `LocalCache(number, ttl=60)` without Python: keys and values are references.
fn objects(number: u32) -> (Kept, Vec<Arc<str>>) {
    let texts: Vec<Arc<str>> = (0..KEYS).map(|number| path(number).into()).collect();
    let kept = Kept::new(Bounds { entries: Some(number), weight: None });
    for (index, text) in texts.iter().enumerate() {
        put(&kept, index, text);
    }
    (kept, texts)
}

fn put(kept: &Kept, index: usize, text: &Arc<str>) -> bool {
    let end = Moment::from_nanos(0).after(Duration::from_secs(60));
    kept.put(hash(index), Arc::clone(text), Stored { value: Arc::clone(text), weight: 1, end })
}

/// Where a key stands whose hash is spread as that of a text is.
fn hash(number: usize) -> u64 {
    (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).swap_bytes().wrapping_mul(0xD6E8_FEB8_6659_FD93)
}

fn objects_get(turns: usize) {
    let (kept, _texts) = objects(2_000);
    counted_turns(turns, |turn| {
        let now = || Moment::from_nanos(1);
        let found = kept.get(hash(turn % KEYS), now, |key, value| (Arc::clone(key), Arc::clone(value)));
        found.map_or_else(|| unreachable!("not stored"), |(key, value)| key.len() + value.len())
    });
}

/// In place of an older value.
fn objects_put(turns: usize) {
    let (kept, texts) = objects(2_000);
    counted_turns(turns, |turn| usize::from(put(&kept, turn % KEYS, &texts[turn % KEYS])));
}

/// Under a new key, with no room left: something is evicted.
fn objects_put_full(turns: usize) {
    let (kept, texts) = objects(500);
    counted_turns(turns, |turn| usize::from(put(&kept, KEYS + turn, &texts[turn % KEYS])));
}
