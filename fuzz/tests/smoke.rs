//! Every fuzz target over its seeds, over mutations of them and over noise, in seconds and on stable Rust.
//!
//! The inputs follow from a seed, which is printed when one of them fails, with the input. Another walk:
//! `HOTPLATE_FUZZ_SEED=7 HOTPLATE_FUZZ_INPUTS=1000000 make test-rust`.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use hotplate_fuzz::TARGETS;

/// The walk taken when nobody asks for another.
const SEED: u64 = 9111;

/// Inputs to a target.
const INPUTS: u64 = 20_000;

const LONGEST_NOISE: u64 = 64;

/// Pieces that parsers have opinions about.
const WORDS: &[&[u8]] = &[
    b"\n",
    b"\n\n",
    b", ",
    b"\"",
    b"\\",
    b"=",
    b"-",
    b"*",
    b";",
    b"(",
    b")",
    b"?1",
    b"%",
    b"%2",
    b"&",
    b"+",
    b":",
    b"/",
    b"{",
    b"}",
    b"{x:path}",
    b"W/",
    b"\t",
    b" ",
    b"\0",
    b"\xff",
    b"\xc3\xa9",
    b"0",
    b"9",
    b"60",
    b"-1",
    b"18446744073709551615",
    b"no-store",
    b"max-age=1",
    b"no-cache=\"a, b\"",
    b"private",
    b"bytes=",
    b"gzip;q=0.5",
    b"GMT",
];

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; zero if that is zero.
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound as u64).max(1)).expect("it is below a usize")
    }

    fn noise(&mut self) -> Vec<u8> {
        let length = self.next() % LONGEST_NOISE;
        (0..length).map(|_| self.next().to_le_bytes()[0]).collect()
    }

    /// A seed with some changes: a byte, a word, a piece gone, a piece doubled, a piece of another seed.
    fn mutation(&mut self, seeds: &[&[u8]]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].to_vec();
        for _ in 0..=self.below(4) {
            let (from, to) = self.piece(bytes.len());
            match self.below(6) {
                0 if !bytes.is_empty() => {
                    bytes[from.min(to.saturating_sub(1))] = self.next().to_le_bytes()[0]
                }
                1 => drop(bytes.splice(from..from, WORDS[self.below(WORDS.len())].iter().copied())),
                2 => drop(bytes.splice(from..to, WORDS[self.below(WORDS.len())].iter().copied())),
                3 => drop(bytes.drain(from..to)),
                4 => bytes.extend_from_within(from..to),
                _ => {
                    let other = seeds[self.below(seeds.len())];
                    let (first, last) = self.piece(other.len());
                    drop(bytes.splice(from..to, other[first..last].iter().copied()));
                }
            }
        }
        bytes
    }

    fn piece(&mut self, length: usize) -> (usize, usize) {
        let (one, two) = (self.below(length + 1), self.below(length + 1));
        (one.min(two), one.max(two))
    }
}

fn setting(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}: write a number")))
}

fn run(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("it is listed");
    let seed = setting("HOTPLATE_FUZZ_SEED", SEED);
    let mut random = Random(seed);
    let seeds = target.seeds.iter().map(|seed| seed.to_vec());
    let made = (0..setting("HOTPLATE_FUZZ_INPUTS", INPUTS)).map(|number| match number % 8 {
        0 => random.noise(),
        _ => random.mutation(target.seeds),
    });
    for (number, input) in seeds.chain(made).enumerate() {
        if catch_unwind(AssertUnwindSafe(|| (target.check)(&input))).is_err() {
            panic!("{name}, input {number} of seed {seed}: b\"{}\"", input.escape_ascii());
        }
    }
}

macro_rules! smoke {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            run(stringify!($name));
        })*

        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

smoke! { cache_control conditions dates duration entry freshness key pattern ranges sealed structured_fields vary }

#[test]
fn every_target_is_run_here_and_has_its_binary() {
    let listed: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(NAMES.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(), listed);
    let manifest = include_str!("../Cargo.toml");
    let binaries = manifest.lines().filter_map(|line| line.strip_prefix("path = \"fuzz_targets/"));
    assert_eq!(binaries.map(|file| file.replace(".rs\"", "")).collect::<BTreeSet<_>>(), listed);
}
