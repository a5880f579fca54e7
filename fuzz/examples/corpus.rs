//! Writes the seeds of every target to where libFuzzer begins: `corpus DIRECTORY`, one directory per target in it.

use std::io::{Error, ErrorKind};
use std::path::PathBuf;
use std::{env, fs};

use hotplate_fuzz::TARGETS;

fn main() -> Result<(), Error> {
    let Some(directory) = env::args_os().nth(1).map(PathBuf::from) else {
        return Err(Error::new(ErrorKind::InvalidInput, "name the directory, as in: corpus fuzz/corpus"));
    };
    for target in TARGETS {
        let directory = directory.join(target.name);
        fs::create_dir_all(&directory)?;
        for (number, seed) in target.seeds.iter().enumerate() {
            fs::write(directory.join(format!("seed-{number}")), seed)?;
        }
    }
    Ok(())
}
