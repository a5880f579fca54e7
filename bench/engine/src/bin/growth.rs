//! A hit in caches of different sizes, for `bench/growth.py`.
//!
//! * `growth count PATTERN ENTRIES:TAGS:MARKERS TURNS`: that many hits, to be counted by callgrind.
//! * `growth time PATTERN ROUNDS TURNS ENTRIES:TAGS:MARKERS…`: nanoseconds a hit of each cache, one line a round; they take
//!   turns within it.
//!
//! The pattern is `all` (every stored response in turn, in an order that jumps), `popular` (1,000 of them, as many from each
//! part), or `first` (as `popular`, each hit the first since another invalidation).

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use hotplate_bench::counted_turns;
use hotplate_bench::site::{Site, path};

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
        let paths: Vec<String> = if pattern == Pattern::All {
            (0..entries).map(|turn| path(turn * STRIDE % entries)).collect()
        } else {
            (0..POPULAR).map(|turn| path(turn * STRIDE % POPULAR * (entries / POPULAR))).collect()
        };
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

    fn nanos_a_hit(&mut self, turns: usize) -> f64 {
        let begin = Instant::now();
        for _ in 0..turns {
            black_box(self.hit());
        }
        begin.elapsed().as_secs_f64() * 1e9 / turns as f64
    }
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
            counted_turns(turns.parse().ok()?, |_| subject.hit());
        }
        ["time", pattern_name, rounds, turns, all_sizes @ ..] => {
            let (pattern, rounds, turns) =
                (pattern(pattern_name)?, rounds.parse::<usize>().ok()?, turns.parse::<usize>().ok()?);
            let all_sizes = all_sizes.iter().map(|text| sizes(text)).collect::<Option<Vec<_>>>()?;
            let mut subjects: Vec<Subject> =
                all_sizes.into_iter().map(|sizes| Subject::new(pattern, sizes)).collect();
            for _ in 0..rounds {
                let nanos: Vec<String> =
                    subjects.iter_mut().map(|subject| format!("{:.1}", subject.nanos_a_hit(turns))).collect();
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
            eprintln!("       growth time PATTERN ROUNDS TURNS ENTRIES:TAGS:MARKERS...");
            ExitCode::FAILURE
        }
    }
}
