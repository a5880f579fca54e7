//! One load per key: who asks first gets the permit, the rest wait for how it ends.
//!
//! The permit is owned. Whoever holds it either says how the load ended or drops it, and both wake everybody
//! who waits; a permit that is lost by a panic, a cancelled task or a dead client blocks nobody.
//!
//! ```text
//! join(key) ──► Lead(permit) ── finish(end) ──► every ticket resolves to `end`
//!          │                 └─ drop         ──► … to `End::Abandoned`: join again, the next one leads
//!          └──► Wait(ticket)
//! ```
//!
//! A load that began before an invalidation of its key is not worth waiting for. Whoever joins then leads a load
//! of its own, which takes the older one's place; those who wait for the older one still hear of it.
//!
//! # Scope
//!
//! Nothing here runs a load or knows a clock: deadlines are the waiter's. Waiting is a plain [`Future`] that works
//! with any executor, or with a waker of one's own.
//!
//! # Reading
//!
//! `loads` holds all of it. It takes its mutex from `sync`, so that `tests/fill_model.rs` can build the same file over
//! shuttle's mutex and try it in thousands of schedules.

mod loads;
/// The lock of [`loads`].
mod sync {
    pub(super) use std::sync::Mutex;
}

pub use loads::{End, Fills, Join, Permit, Ticket};
