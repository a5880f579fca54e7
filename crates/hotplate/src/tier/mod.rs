//! Where stored responses live.
//!
//! * [`local`]: in the memory of this process. Synchronous, infallible.
//! * [`shared`]: what processes have in common. A trait and its contract; [`memory`] is the simplest thing that keeps
//!   it, and what it means.

mod calls;
pub mod local;
pub mod memory;
#[cfg(feature = "redis")]
pub mod redis;
pub mod sealed;
pub mod shared;
