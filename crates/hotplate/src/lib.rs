//! The engine of hotplate: an HTTP cache that knows no server, no socket and no clock of its own.
//!
//! * [`cache`]: the cache itself, [`exchange`]: the HTTP conversation over it. Start with
//!   [`exchange::HttpCache::lookup`].
//! * [`key`], [`entry`], [`tier`]: which requests share a response, what is stored of it, and where.
//! * [`fill`]: one load per key. [`log`]: what is no longer true, and since when.
//! * [`objects`]: objects of the program under their hashes, for caches that never leave the process.
//! * [`config`], [`rules`], [`pattern`], [`tags`], [`duration`]: what a developer says.
//!
//! What the RFCs say is in `hotplate-policy`; this crate remembers and applies.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use bytes::Bytes;
//! use hotplate::cache::Cache;
//! use hotplate::clock::{Clock, ManualClock};
//! use hotplate::config::SettingsOptions;
//! use hotplate::exchange::{HeadStep, HttpCache, Lookup, Partition, Request, Round};
//! use hotplate_policy::{fields::Fields, time::Timestamp};
//!
//! let clock = Arc::new(ManualClock::new(Timestamp::from_unix_seconds(1_000)));
//! let cache = Arc::new(Cache::<Bytes>::new(1 << 20, clock.clone()));
//! let settings = SettingsOptions { ttl: Some(Duration::from_secs(30)), ..SettingsOptions::default() };
//! let http = Arc::new(HttpCache::new(cache, settings.compile().unwrap()));
//! let request = Request {
//!     method: "GET",
//!     scheme: b"https",
//!     authority: b"example.org",
//!     raw_path: b"/",
//!     root: "",
//!     path: "/",
//!     query: b"",
//!     fields: Fields::new(&[]),
//!     body: None,
//! };
//! let lookup = || http.lookup(&request, &Round::default(), clock.now(), &mut |_| Partition::Refused);
//!
//! let Lookup::Load(mut exchange) = lookup() else { panic!("nothing is stored yet") };
//! assert!(matches!(exchange.head(200, Fields::new(&[]), false, None, clock.now()), HeadStep::Send(_)));
//! exchange.chunk(Bytes::from_static(b"hello"), true, clock.now());
//! let Lookup::Serve(response) = lookup() else { panic!("now it is") };
//! assert_eq!(response.status(), 200);
//! ```

#![forbid(unsafe_code)]

pub mod cache;
pub mod clock;
pub mod config;
pub mod duration;
pub mod entry;
pub mod error;
pub mod event;
pub mod exchange;
pub mod fill;
mod ghosts;
pub mod key;
mod laying_out;
mod leb128;
pub mod log;
pub mod objects;
pub mod pattern;
mod retry;
pub mod rules;
pub mod share;
pub mod tags;
pub mod tier;
pub mod values;
pub mod watch;
