//! A hit in caches of different sizes, for `bench/sections/growth.py`.
//!
//! * `growth count PATTERN ENTRIES:TAGS:MARKERS TURNS`: that many hits, to be counted by callgrind. Ready, it says so and
//!   waits for a line.
//! * `growth time PATTERN ROUNDS TURNS SUBJECT…`: nanoseconds a hit of each subject, one line a round; they take turns
//!   within it. A subject is a cache, `ENTRIES:TAGS:MARKERS`, or a plain map of as many entries, `map:ENTRIES`.
//!
//! The pattern is `all` (every stored response in turn, in an order that jumps), `popular` (1,000 of them, as many from each
//! part), or `first` (as `popular`, each hit the first since another invalidation).

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::collections::HashMap;
use std::hint::black_box;
use std::io;
use std::process::ExitCode;
use std::time::Instant;

use hotplate::key::Key;
use hotplate_bench::counted_turns;
use hotplate_bench::site::{BODY, Site, path};

/// Room for every cache that is measured, and the same for each, so that they are laid out alike.
const ROOM: u64 = 4 << 30;

/// So many responses are asked for where not all are.
const POPULAR: usize = 1_000;

/// A prime: multiples of it modulo the number of entries are all of them once.
const STRIDE: usize = 7_368_787;

#[derive(Clone, Copy, Eq, PartialEq)]
enum Pattern {
    All,
    Popular,
    First,
}

impl Pattern {
    /// The numbers of what is asked for, in order.
    fn numbers(self, entries: usize) -> Vec<usize> {
        if self == Self::All {
            (0..entries).map(|turn| turn * STRIDE % entries).collect()
        } else {
            (0..POPULAR).map(|turn| turn * STRIDE % POPULAR * (entries / POPULAR)).collect()
        }
    }
}

// --- The engine ------------------------------------------------------------------------------------------------------

/// A cache, and what it is asked for.
struct Subject {
    site: Site,
    paths: Vec<String>,
    pattern: Pattern,
    next: usize,
}

impl Subject {
    fn new(pattern: Pattern, [entries, tags, markers]: [usize; 3]) -> Self {
        let site = Site::new(ROOM, tags);
        (0..entries).for_each(|number| site.load(&path(number)));
        (0..markers).for_each(|number| site.invalidate_another(number));
        let stored = site.cache().stats();
        assert!(
            stored.entries as usize >= entries && stored.evictions == 0,
            "not everything fits: {stored:?}"
        );
        let paths: Vec<String> = pattern.numbers(entries).into_iter().map(path).collect();
        for path in &paths {
            let _ = black_box(site.hit(path));
        }
        Self { site, paths, pattern, next: 0 }
    }

    fn hit(&mut self) -> usize {
        if self.next == self.paths.len() {
            self.next = 0;
        }
        if self.pattern == Pattern::First && self.next == 0 {
            self.site.invalidate_another(0);
        }
        self.next += 1;
        self.site.hit(&self.paths[self.next - 1])
    }
}

// --- The reference ---------------------------------------------------------------------------------------------------

/// As many bytes as a stored response has beside its body, and the body elsewhere.
struct Plain {
    head: [u8; 300],
    body: Box<[u8]>,
}

/// What any map of so many entries pays: it does nothing but find an entry and read it.
struct Map {
    entries: HashMap<[u8; 16], Box<Plain>>,
    keys: Vec<[u8; 16]>,
    next: usize,
}

impl Map {
    fn new(pattern: Pattern, entries: usize) -> Self {
        let key = |number| Key::named(path(number).as_bytes()).as_u128().to_le_bytes();
        let plain = || Box::new(Plain { head: [b'x'; 300], body: BODY.to_vec().into() });
        Self {
            entries: (0..entries).map(|number| (key(number), plain())).collect(),
            keys: pattern.numbers(entries).into_iter().map(key).collect(),
            next: 0,
        }
    }

    /// Reads what a hit of the engine reads: everything but the bytes of the body, which nothing looks at.
    fn hit(&mut self) -> usize {
        if self.next == self.keys.len() {
            self.next = 0;
        }
        self.next += 1;
        let Some(found) = self.entries.get(&self.keys[self.next - 1]) else {
            unreachable!("everything is stored")
        };
        found.head.iter().map(|byte| usize::from(*byte)).sum::<usize>() + found.body.len()
    }
}

// --- The program -----------------------------------------------------------------------------------------------------

fn nanos_a_hit(turns: usize, mut hit: impl FnMut() -> usize) -> f64 {
    let begin = Instant::now();
    for _ in 0..turns {
        black_box(hit());
    }
    begin.elapsed().as_secs_f64() * 1e9 / turns as f64
}

/// Ready to be timed: gives the nanoseconds a hit of so many.
type Timed = Box<dyn FnMut(usize) -> f64>;

fn timed(pattern: Pattern, text: &str) -> Option<Timed> {
    if let Some(entries) = text.strip_prefix("map:") {
        let mut map = Map::new(pattern, entries.parse().ok()?);
        return Some(Box::new(move |turns| nanos_a_hit(turns, || map.hit())));
    }
    let mut subject = Subject::new(pattern, sizes(text)?);
    Some(Box::new(move |turns| nanos_a_hit(turns, || subject.hit())))
}

fn pattern(text: &str) -> Option<Pattern> {
    match text {
        "all" => Some(Pattern::All),
        "popular" => Some(Pattern::Popular),
        "first" => Some(Pattern::First),
        _ => None,
    }
}

fn sizes(text: &str) -> Option<[usize; 3]> {
    let numbers: Option<Vec<usize>> = text.split(':').map(|number| number.parse().ok()).collect();
    let sizes: [usize; 3] = numbers?.try_into().ok()?;
    (sizes[0] >= POPULAR && sizes[1] > 0).then_some(sizes)
}

fn run(arguments: &[&str]) -> Option<()> {
    match arguments {
        ["count", pattern_name, sizes_text, turns] => {
            let mut subject = Subject::new(pattern(pattern_name)?, sizes(sizes_text)?);
            println!("ready");
            let _ = io::stdin().read_line(&mut String::new()).ok()?;
            counted_turns(turns.parse().ok()?, |_| subject.hit());
        }
        ["time", pattern_name, rounds, turns, subjects @ ..] => {
            let (pattern, rounds, turns) =
                (pattern(pattern_name)?, rounds.parse::<usize>().ok()?, turns.parse::<usize>().ok()?);
            let mut subjects =
                subjects.iter().map(|text| timed(pattern, text)).collect::<Option<Vec<Timed>>>()?;
            for _ in 0..rounds {
                let nanos: Vec<String> =
                    subjects.iter_mut().map(|subject| format!("{:.1}", subject(turns))).collect();
                println!("{}", nanos.join(" "));
            }
        }
        _ => return None,
    }
    Some(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Some(()) => ExitCode::SUCCESS,
        None => {
            eprintln!("usage: growth count PATTERN ENTRIES:TAGS:MARKERS TURNS");
            eprintln!("       growth time PATTERN ROUNDS TURNS ENTRIES:TAGS:MARKERS|map:ENTRIES...");
            ExitCode::FAILURE
        }
    }
}
