//! Law 6 in a random world: however loads, their ends, invalidations, writes and deadlines interleave, nothing loaded
//! before an invalidation is served after it.
//!
//! The origin has a version for each path, and every run of the application reads it when it begins, the worst that can
//! happen. An invalidation raises the version first, then the floor below which nothing may be served any more.

mod world;

use std::collections::BTreeSet;

use hotplate::log::Mode;
use proptest::prelude::*;
use world::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A client asks for a path.
    Ask(usize),
    /// A run ends like this.
    End(usize, Ending),
    /// Everything under a target changes, and then it is invalidated.
    Change(usize, Mode),
    /// A client changes a path by a write, whose effect is there at the head, or only at its end.
    Write(usize, bool),
    /// One that waits has waited long enough, or goes away.
    TimeOut(usize),
    Leave(usize),
    Advance(u64),
}

#[derive(Clone, Copy, Debug)]
enum Ending {
    /// What was true when the run began; confirmed, if that was the question.
    Answer,
    /// The same in two chunks, which need no length.
    Chunks,
    Private,
    Error,
    Raise,
    Abandon,
    CutShort,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ending = prop_oneof![
        6 => Just(Ending::Answer),
        2 => Just(Ending::Chunks),
        1 => Just(Ending::Private),
        1 => Just(Ending::Error),
        1 => Just(Ending::Raise),
        1 => Just(Ending::Abandon),
        1 => Just(Ending::CutShort),
    ];
    let mode = prop_oneof![Just(Mode::Hard), Just(Mode::Soft)];
    let step = prop_oneof![
        6 => (0..PATHS.len()).prop_map(Step::Ask),
        6 => (0..8_usize, ending).prop_map(|(load, ending)| Step::End(load, ending)),
        3 => (0..TARGETS, mode).prop_map(|(target, mode)| Step::Change(target, mode)),
        1 => (0..PATHS.len(), any::<bool>()).prop_map(|(path, late)| Step::Write(path, late)),
        1 => (0..8_usize).prop_map(Step::TimeOut),
        1 => (0..8_usize).prop_map(Step::Leave),
        1 => (1..20_u64).prop_map(Step::Advance),
    ];
    proptest::collection::vec(step, 1..60)
}

fn place(path: &str) -> usize {
    PATHS.iter().position(|own| *own == path).expect("a path of this world")
}

/// The random world and what must be true in it.
struct Model {
    world: World,
    /// The state of the origin, by path.
    version: [u64; 3],
    /// The least that may be served at all, by path: what was true at the last hard invalidation.
    floor: [u64; 3],
    /// The least that may be served as fresh.
    fresh_floor: [u64; 3],
    /// What each run read when it began.
    read: Vec<(LoadId, u64)>,
    /// The floor when each client began, by client.
    asked: Vec<u64>,
    looked_at: BTreeSet<ClientId>,
}

impl Model {
    fn new() -> Self {
        let world = World::with(|settings| {
            let mut own = rule("/{kind}/{name}");
            own.tags = vec!["kind:{kind}".into(), "name:{name}".into()];
            own.ttl = Some(seconds(10));
            own.stale_while_revalidate = Some(seconds(10));
            own.stale_if_error = Some(seconds(20));
            settings.rules = vec![own];
        });
        Self {
            world,
            version: [0; 3],
            floor: [0; 3],
            fresh_floor: [0; 3],
            read: Vec::new(),
            asked: Vec::new(),
            looked_at: BTreeSet::new(),
        }
    }

    fn invalidated(&mut self, covers: [bool; 3], mode: Mode) {
        for (path, _) in covers.iter().enumerate().filter(|(_, covered)| **covered) {
            self.fresh_floor[path] = self.version[path];
            if mode == Mode::Hard {
                self.floor[path] = self.version[path];
            }
        }
    }

    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Ask(path) => {
                self.asked.push(self.floor[path]);
                self.world.begin(get(PATHS[path]));
            }
            Step::End(number, ending) => {
                let open = self.world.open_loads();
                if let Some(load) = open.get(number % open.len().max(1)) {
                    self.end(*load, ending);
                }
            }
            Step::Change(number, mode) => {
                let (target, covers) = target(number);
                for (version, covered) in self.version.iter_mut().zip(covers) {
                    *version += u64::from(covered);
                }
                self.world.invalidate(&target, mode);
                self.invalidated(covers, mode);
            }
            Step::Write(path, late) => {
                self.asked.push(0);
                let covers = [0, 1, 2].map(|other| other == path);
                let client = self.world.begin(request("PUT", PATHS[path]));
                let load = self.world.load(client);
                self.version[path] += u64::from(!late);
                self.world.head(load, &status(204));
                self.invalidated(covers, Mode::Hard);
                self.note_runs();
                // Somebody asks in between.
                self.asked.push(self.floor[path]);
                let between = self.world.begin(get(PATHS[path]));
                self.note_runs();
                if let Some(load) = self.world.load_of(between) {
                    self.end(load, Ending::Answer);
                }
                self.look_at_answers()?;
                self.version[path] += u64::from(late);
                self.world.chunk(load, b"", true);
                self.world.end(load);
                self.invalidated(covers, Mode::Hard);
            }
            Step::TimeOut(number) => {
                let waiting = self.world.waiting();
                if let Some(client) = waiting.get(number % waiting.len().max(1)) {
                    self.world.time_out(*client);
                }
            }
            Step::Leave(number) => {
                let waiting = self.world.waiting();
                if let Some(client) = waiting.get(number % waiting.len().max(1)) {
                    self.world.leave(*client);
                }
            }
            Step::Advance(by) => self.world.advance_seconds(by),
        }
        self.note_runs();
        self.look_at_answers()
    }

    /// A run reads the origin when it begins: the worst that can happen to what it answers.
    fn note_runs(&mut self) {
        for load in self.world.open_loads() {
            if !self.read.iter().any(|(known, _)| *known == load) {
                let path = place(&self.world.seen_by(load).path);
                self.read.push((load, self.version[path]));
            }
        }
    }

    fn end(&mut self, load: LoadId, ending: Ending) {
        let (_, version) = *self.read.iter().find(|(known, _)| *known == load).expect("a run that was noted");
        let etag = format!("\"{version}\"");
        let text = version.to_string();
        let confirms = self.world.seen_by(load).field("if-none-match") == Some(&etag);
        let reply = match ending {
            Ending::Answer if confirms => status(304),
            Ending::Answer => ok(&text),
            Ending::Chunks => Reply::chunked(&[&text, ""]),
            Ending::Private => ok(&text).cache_control("private"),
            Ending::Error => status(503),
            Ending::Raise => Reply::raise("boom"),
            Ending::CutShort => ok(&text).cut_short(),
            Ending::Abandon => return self.world.abandon(load),
        };
        self.world.finish_with(load, reply.etag(&etag));
    }

    /// Law 6: nothing loaded before an invalidation is served after it.
    fn look_at_answers(&mut self) -> Result<(), TestCaseError> {
        for (client, floor_when_asked) in self.world.clients().zip(&self.asked) {
            if self.world.standing(client) != Standing::Answered || !self.looked_at.insert(client) {
                continue;
            }
            let answer = self.world.answer(client);
            if answer.status != 200 {
                continue;
            }
            let path = place(&self.world.asked(client).path);
            let version: u64 = answer.text().parse().expect("a version");
            let how = answer.cache_status();
            prop_assert!(version >= *floor_when_asked, "{how}: {version}, asked after {floor_when_asked}");
            let is_own = !["; hit", "collapsed", "stale-if-error"].iter().any(|other| how.contains(other));
            prop_assert!(is_own || version >= self.floor[path], "{how}: {version}, not {}", self.floor[path]);
            let says_stale = how.contains("detail=");
            let least = self.fresh_floor[path];
            prop_assert!(is_own || says_stale || version >= least, "{how}: {version} as fresh, not {least}");
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// However loads, their ends, invalidations, writes and deadlines interleave.
    #[test]
    fn nothing_loaded_before_an_invalidation_is_served_after_it(steps in steps()) {
        let mut model = Model::new();
        for step in steps {
            model.step(step)?;
        }
    }
}
