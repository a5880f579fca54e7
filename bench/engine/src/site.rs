//! An HTTP cache as an application has it: 20 rules, `Vary`, tags, the numbers that metrics are made of.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hotplate::cache::Cache;
use hotplate::clock::{Clock, ManualClock};
use hotplate::config::SettingsOptions;
use hotplate::entry::Body;
use hotplate::exchange::{HttpCache, Lookup, Partition, Request, Round};
use hotplate::log::{Mode, Target};
use hotplate::rules::RuleOptions;
use hotplate_policy::fields::Fields;
use hotplate_policy::time::Timestamp;

/// When everything happens.
pub const NOW: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

/// So many rules there are; the last one speaks for the paths that are asked for.
pub const RULES: usize = 20;

/// A `fetch` by a page in Chrome, without credentials.
pub const REQUEST: [(&[u8], &[u8]); 12] = [
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
pub const RESPONSE: [(&[u8], &[u8]); 8] = [
    (b"date", b"Tue, 14 Nov 2023 22:13:20 GMT"),
    (b"content-type", b"application/json"),
    (b"content-length", b"190"),
    (b"cache-control", b"public, max-age=60"),
    (b"etag", b"\"0123456789abcdef0123456789abcdef\""),
    (b"last-modified", b"Tue, 14 Nov 2023 20:00:00 GMT"),
    (b"vary", b"accept-encoding"),
    (b"x-content-type-options", b"nosniff"),
];

/// The bytes of its body.
pub const BODY: &[u8; 190] = &[b'x'; 190];

/// The path of a product; as long for every number below ten million.
#[must_use]
pub fn path(number: usize) -> String {
    format!("/products/{number:07}")
}

/// An HTTP cache and its clock, which stands still.
pub struct Site {
    cache: Arc<Cache<Bytes>>,
    http: Arc<HttpCache<Bytes>>,
}

impl Site {
    /// A cache of at most `max_bytes` whose responses have so many tags, at least one.
    ///
    /// # Panics
    ///
    /// Never: the settings are right.
    #[must_use]
    pub fn new(max_bytes: u64, tags: usize) -> Self {
        let clock = Arc::new(ManualClock::new(NOW));
        let cache = Arc::new(Cache::new(max_bytes, Arc::clone(&clock) as Arc<dyn Clock>));
        let other = |number| RuleOptions {
            pattern: format!("/section-{number}/{{page}}"),
            cache: true,
            ttl: Some(Duration::from_secs(30)),
            tags: vec![format!("section-{number}")],
            ..RuleOptions::default()
        };
        let products = RuleOptions {
            pattern: "/products/{product}".into(),
            cache: true,
            tags: (1..tags).map(|tag| format!("list-{tag}")).chain(["product:{product}".into()]).collect(),
            ..RuleOptions::default()
        };
        let settings = SettingsOptions {
            ttl: Some(Duration::from_secs(60)),
            rules: (1..RULES).map(other).chain([products]).collect(),
            ..SettingsOptions::default()
        };
        let settings = settings.compile().expect("the settings are right");
        Self { http: Arc::new(HttpCache::new(Arc::clone(&cache), settings)), cache }
    }

    /// The cache.
    #[must_use]
    pub fn cache(&self) -> &Arc<Cache<Bytes>> {
        &self.cache
    }

    fn lookup(&self, path: &str) -> Lookup<Bytes> {
        let request = Request {
            method: "GET",
            scheme: b"https",
            authority: b"shop.example.org",
            raw_path: path.as_bytes(),
            root: "",
            path,
            query: b"",
            fields: Fields::new(&REQUEST),
            body: None,
        };
        self.http.lookup(&request, &Round::default(), NOW, &mut |_| Partition::Refused)
    }

    /// Asks for a path that is not stored, and stores the answer.
    pub fn load(&self, path: &str) {
        let Lookup::Load(mut exchange) = self.lookup(path) else { unreachable!("{path} is stored") };
        exchange.head(200, Fields::new(&RESPONSE), false, None, NOW);
        exchange.chunk(Bytes::copy_from_slice(BODY), true, NOW);
        exchange.end();
    }

    /// Asks for a path that is stored, reads the answer as a server does, and counts the time it took. Gives its bytes.
    #[must_use]
    pub fn hit(&self, path: &str) -> usize {
        let Lookup::Serve(response) = self.lookup(path) else { unreachable!("{path} is not stored") };
        let mut bytes = response.stored_body().map_or(0, |body| body.as_slice().len());
        response.fields(|name, value| bytes += name.len() + value.len());
        self.cache.watch().hit.record(Duration::from_micros(20));
        bytes
    }

    /// Something else is invalidated: nothing that is stored here has this tag.
    pub fn invalidate_another(&self, number: usize) {
        self.cache.invalidate(&Target::Tag(&format!("another-{number}")), Mode::Hard, NOW);
    }
}
