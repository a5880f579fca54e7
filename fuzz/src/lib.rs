//! What must hold of every parser of hotplate, whatever bytes it is given.
//!
//! # Flow
//!
//! Each module has one `check`, which takes bytes, makes the parser's input of them and asserts what the parser
//! promises: not only that it does not panic, but that what it says agrees with itself, with a slower way to
//! say the same, or with the text it was made from. [`TARGETS`] lists them with inputs to begin from.
//!
//! * `fuzz_targets/` lets libFuzzer search for bytes that break one: `make fuzz TARGET=vary`.
//! * `tests/smoke.rs` runs them all over mutations of the seeds, in seconds and on stable Rust: `make test`.
//!
//! Inputs are text where that is possible, one part to a line ([`input::Input`]), so that a seed and a finding
//! can be read.
#![forbid(unsafe_code)]

pub mod cache_control;
pub mod conditions;
pub mod dates;
pub mod duration;
pub mod entry;
pub mod freshness;
pub mod input;
pub mod key;
pub mod pattern;
pub mod ranges;
pub mod sealed;
pub mod structured_fields;
pub mod vary;

/// A property of a parser, and where to begin to look for what breaks it.
#[derive(Clone, Copy)]
pub struct Target {
    /// The name of the module and of the libFuzzer binary.
    pub name: &'static str,
    /// Panics on bytes of which the property does not hold.
    pub check: fn(&[u8]),
    /// Inputs that reach the interesting places.
    pub seeds: &'static [&'static [u8]],
}

macro_rules! targets {
    ($($name:ident)*) => {
        /// Every target, by name.
        pub const TARGETS: &[Target] =
            &[$(Target { name: stringify!($name), check: $name::check, seeds: $name::SEEDS }),*];
    };
}

targets! { cache_control conditions dates duration entry freshness key pattern ranges sealed structured_fields vary }
