//! What the bench programs run: parts of the engine in the configuration that is measured, with fixed input.
//!
//! * [`site`]: an HTTP cache with 20 rules, `Vary` and tags, and requests to it.
//! * [`operation`]: each thing whose instructions are counted, made ready to run again and again.
//!
//! Nothing here is random or reads a clock. What the engine seeds for itself (the places in its tables) is another in
//! each process.

#![forbid(unsafe_code)]

pub mod operation;
pub mod site;

use std::hint::black_box;

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Runs `operation` that often, with the number of the turn. Callgrind counts what happens in here, found by the name.
#[inline(never)]
pub fn counted_turns(turns: usize, mut operation: impl FnMut(usize) -> usize) {
    for turn in 0..turns {
        black_box(operation(black_box(turn)));
    }
}
