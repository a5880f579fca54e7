//! Where stored responses live.
//!
//! One tier today: [`local`], in the memory of this process.

pub mod local;
