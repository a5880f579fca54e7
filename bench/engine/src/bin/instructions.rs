//! Runs one operation of the engine that often: `instructions OPERATION TURNS`; without arguments, names all of them.
//!
//! `bench/instructions.py` runs it under callgrind.

use std::process::ExitCode;

use hotplate_bench::operation::OPERATIONS;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (Some(name), Some(turns)) = (arguments.first(), arguments.get(1)) else {
        OPERATIONS.iter().for_each(|(name, _)| println!("{name}"));
        return ExitCode::SUCCESS;
    };
    let operation = OPERATIONS.iter().find(|(known, _)| known == name);
    let (Some((_, operation)), Ok(turns)) = (operation, turns.parse()) else {
        eprintln!("usage: instructions OPERATION TURNS");
        return ExitCode::FAILURE;
    };
    operation(turns);
    ExitCode::SUCCESS
}
