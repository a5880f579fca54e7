//! What the HTTP caching RFCs say to a shared cache, as pure functions over heads and `now`.
//!
//! # Flow
//!
//! A cache asks its questions in this order, and each has its module:
//!
//! 1. *What was asked?* [`request`] reads a request head once.
//! 2. *Is there a stored response, and which one?* [`vary`] says which request fields select among several, and
//!    [`no_vary_search`] which parts of the query do not.
//! 3. *May it be used?* [`reuse`] decides from [`freshness`] and the request's own [`cache_control`].
//! 4. *What does the client get?* [`validation`] finds the 304s, [`range`] the 206s, [`cache_status`] tells the story.
//! 5. *The origin answered. May it be stored?* [`control`] resolves all sources of directives
//!    ([`targeted`] fields, `Cache-Control`, `Expires`, local rules) into one, and [`storing`] decides.
//! 6. *Did the answer change something else?* [`invalidation`] and [`groups`] name what is no longer true.
//!
//! Every refusal is a [`reason`], every decision can be put in a sentence by [`explain`].
//!
//! # Scope
//!
//! Nothing here reads a clock, waits, performs I/O or keeps state: time is an argument, a head is a borrowed slice
//! of lines ([`fields::Fields`]). Header fields are bytes and are never assumed to be well formed. A form the RFCs
//! call invalid is resolved to the safer side (not stored, stale, not matching) and never to an error.
//! Nothing on the path of a hit allocates.
//!
//! Not here: private caches and `Warning` (obsolete).
//!
//! # Reading list
//!
//! [RFC 9111](https://www.rfc-editor.org/rfc/rfc9111) (caching),
//! [RFC 9110](https://www.rfc-editor.org/rfc/rfc9110) (semantics),
//! [RFC 5861](https://www.rfc-editor.org/rfc/rfc5861) (stale content),
//! [RFC 8246](https://www.rfc-editor.org/rfc/rfc8246) (`immutable`),
//! [RFC 9211](https://www.rfc-editor.org/rfc/rfc9211) (`Cache-Status`),
//! [RFC 9213](https://www.rfc-editor.org/rfc/rfc9213) (targeted fields),
//! [RFC 9651](https://www.rfc-editor.org/rfc/rfc9651) (structured fields),
//! [RFC 9875](https://www.rfc-editor.org/rfc/rfc9875) (cache groups).
#![forbid(unsafe_code)]

pub mod cache_control;
pub mod cache_status;
pub mod control;
mod directive;
pub mod etag;
pub mod explain;
pub mod fields;
pub mod freshness;
pub mod groups;
pub mod head;
pub mod invalidation;
pub mod no_vary_search;
pub mod partial;
mod preference;
pub mod profile;
pub mod range;
pub mod reason;
pub mod request;
pub mod reuse;
pub mod storing;
pub mod targeted;
pub mod time;
pub mod validation;
pub mod vary;
