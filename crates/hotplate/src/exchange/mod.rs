//! The HTTP conversation: what is answered from the cache, what is forwarded, and what is stored.
//!
//! Nothing here reads a socket or a clock. A server asks [`HttpCache::lookup`] with a request and the
//! time, and gets a [`Lookup`]: an answer, or an [`Exchange`] to run the application with. The exchange
//! is told what the application sends ([`Exchange::head`], [`Exchange::chunk`], [`Exchange::end`],
//! [`Exchange::fail`]) and says what the client gets.
//!
//! ```text
//! lookup ──► Serve              answered: fresh, or stale where that is allowed
//!        ──► ServeAndRefresh    answered with a stale response; run the exchange as a load nobody waits for
//!        ──► NeedBody           a rule puts the request's body into the key: read it and ask again
//!        ──► Forward(exchange)  run the application for this client alone
//!        ──► Load(exchange)     this caller holds the permit: run the application on a task of its own
//!        ──► Seek(seek)         look in the shared tier: run its job, then `resume`
//!        ──► Wait(ticket)       somebody else holds it: wait, then ask again
//!        ──► Raised(error)      the load this request waited for raised: so does this request
//!
//! exchange: head ─► Send | Hold | Answer | Discard      chunk ─► Send | SendHead | Answer | Drop
//! ```
//!
//! # Scope
//!
//! Policy decides (`hotplate-policy`), this room applies. It stores complete responses only; a partial
//! response (206) passes through.
//!
//! # Reading
//!
//! RFC 9111 §2–4; [`lookup`] for the way in, [`load`] for the way out.

mod client;
pub mod load;
pub mod lookup;
mod placing;
mod publish;
pub mod request;
pub mod response;
mod seen;

pub(crate) use client::is_own_line;
pub use load::{CLIENT_ONLY_FIELDS, ChunkStep, Dependency, Edits, Exchange, HeadStep, LoadRequest};
pub use lookup::{HttpCache, Lookup, Partition, Round, Seek};
pub use request::Request;
pub use response::{Content, Response};
