//! Schedules drawn by a seed: clients, runs of the application, invalidations, values, time, faults and deaths, and in
//! between the tasks of all processes, polled one at a time in any order.
//!
//! A seed that fails is printed. `SHARED_WORLD_SEED=<number>` plays it alone and tells its story, `SHARED_WORLD_ALOUD=1`
//! tells it as it happens, and `SHARED_WORLD_MORE=<number>` plays so many times as many seeds. What must be true is in
//! `properties`.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use hotplate::key::Key;
use hotplate::log::{Mode, Target};
use hotplate::rules::RuleOptions;
use hotplate::share::{OnOutage, ShareOptions};
use hotplate::tier::memory::{Condition, Store};

use crate::ask::{Ask, get};
use crate::properties::Known;
use crate::reply::{Reply, ok, status};
use crate::targets::{PATHS, TARGETS, target};
use crate::tasks::{Dice, Work};
use crate::world::{LoadId, Making, Standing, World};

/// The path whose answers vary by `x-side`.
pub const VARYING: &str = PATHS[2];

/// How many names of values there are.
pub const VALUES: usize = 2;

/// How many schedules each test plays, and how many steps each has.
const SEEDS: std::ops::Range<u64> = 0..950;
const STEPS: usize = 120;

/// After one schedule of so many it is looked at how it goes on: that takes as long as the schedule.
const PROVED: u64 = 3;

/// The lease of the random world.
const LEASE: Duration = Duration::from_millis(900);

/// The lease where nothing may expire because a process is slow.
const LONG_LEASE: Duration = Duration::from_secs(15);

/// What may happen in a schedule beside requests, invalidations, values and time.
#[derive(Clone, Copy, Debug)]
pub struct Play {
    pub keeps: &'static [bool],
    pub on_outage: OnOutage,
    /// The application fails, raises and answers what cannot be stored.
    pub trouble: bool,
    /// Clients time out and leave.
    pub impatience: bool,
    /// The tier goes down, fails, and loses answers.
    pub outages: bool,
    pub deaths: bool,
    pub flushes: bool,
    /// Records are dropped from the log before everybody has read them.
    pub trims: bool,
    pub failovers: bool,
    /// Time passes in steps longer than a lease.
    pub long_times: bool,
    pub values: bool,
}

impl Play {
    /// Nobody is kept from what he does for longer than is provided for.
    pub fn is_punctual(&self) -> bool {
        !self.outages && !self.deaths && !self.long_times
    }
}

/// Nothing goes wrong.
pub const CALM: Play = Play {
    keeps: &[true, true],
    on_outage: OnOutage::ServeLocal,
    trouble: false,
    impatience: false,
    outages: false,
    deaths: false,
    flushes: false,
    trims: false,
    failovers: false,
    long_times: false,
    values: false,
};

pub fn value_key(number: usize) -> Key {
    Key::from_u128(0x7000 + number as u128)
}

/// How a run ends; drawn when it is moved on first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ending {
    Answer,
    Chunks,
    Private,
    Error,
    Raise,
    Abandon,
    CutShort,
}

struct Schedule {
    play: Play,
    dice: Dice,
    world: World,
    known: Known,
    /// Runs whose head was sent.
    begun: Vec<(LoadId, Reply)>,
    /// What a failover may go back to.
    copies: Vec<Store>,
    values_set: u64,
}

impl Schedule {
    fn new(play: Play, seed: u64) -> Self {
        let settings = |settings: &mut hotplate::config::SettingsOptions| {
            settings.rules = vec![RuleOptions {
                pattern: "/{kind}/{name}".into(),
                cache: true,
                tags: vec!["kind:{kind}".into(), "name:{name}".into()],
                ttl: Some(Duration::from_secs(10)),
                stale_while_revalidate: Some(Duration::from_secs(10)),
                stale_if_error: Some(Duration::from_secs(20)),
                ..RuleOptions::default()
            }];
            settings.hit_for_miss = Duration::from_secs(1);
        };
        let mut share = ShareOptions { lease: LEASE, on_outage: play.on_outage, ..ShareOptions::default() };
        if play.is_punctual() {
            share.patience = Duration::from_secs(3600);
            share.lease = LONG_LEASE;
        }
        let world = World::with(Making { keeps: play.keeps.to_vec(), share, settings, seed, delays: true });
        let known = Known::new(play);
        Self {
            play,
            dice: Dice::new(seed),
            world,
            known,
            begun: Vec::new(),
            copies: Vec::new(),
            values_set: 0,
        }
    }

    fn step(&mut self) {
        match self.dice.below(100) {
            0..50 => self.poll(),
            50..60 => self.ask(),
            60..78 => self.move_a_run(),
            78..84 => self.change(),
            84..88 => self.pass_time(),
            88..91 if self.play.impatience => self.lose_patience(),
            91..95 if self.play.values => self.touch_a_value(),
            95..100 => self.disturb(),
            _ => self.poll(),
        }
        self.look();
    }

    fn look(&mut self) {
        self.world.check();
        self.known.look(&self.world);
    }

    fn poll(&mut self) {
        self.world.gather();
        let ready = self.world.ready();
        if !ready.is_empty() {
            let task = ready[self.dice.below(ready.len())];
            self.world.poll(task);
        }
    }

    fn process(&mut self) -> usize {
        let alive = self.world.alive();
        alive[self.dice.below(alive.len())]
    }

    fn an_ask(&mut self, path: usize) -> Ask {
        let ask = get(PATHS[path]);
        if path == 2 { ask.field("x-side", if self.dice.percent(50) { "a" } else { "b" }) } else { ask }
    }

    fn ask(&mut self) {
        let process = self.process();
        // Mostly the same, so that they meet.
        let path = if self.dice.percent(60) { 0 } else { self.dice.below(PATHS.len()) };
        let ask = self.an_ask(path);
        self.known.asked(path);
        self.world.begin(process, ask);
    }

    /// A run goes on: a head, a chunk, or all of the rest.
    fn move_a_run(&mut self) {
        let open = self.world.open_loads();
        if open.is_empty() {
            return self.poll();
        }
        let load = open[self.dice.below(open.len())];
        if let Some(place) = self.begun.iter().position(|(begun, _)| *begun == load) {
            let (_, reply) = self.begun.swap_remove(place);
            return self.finish_body(load, &reply);
        }
        let mut endings = vec![Ending::Answer; 6];
        endings.extend([Ending::Chunks, Ending::Chunks, Ending::Abandon, Ending::CutShort]);
        if self.play.trouble {
            endings.extend([Ending::Private, Ending::Error, Ending::Raise]);
        }
        let ending = endings[self.dice.below(endings.len())];
        let reply = match self.reply(load, ending) {
            Some(reply) => reply,
            None => return self.world.abandon(load),
        };
        if reply.raises.is_some() || self.dice.percent(60) {
            return self.world.finish_with(load, &reply);
        }
        self.world.head(load, &reply);
        self.begun.push((load, reply));
    }

    fn finish_body(&mut self, load: LoadId, reply: &Reply) {
        for (index, chunk) in reply.chunks.iter().enumerate() {
            let last = index + 1 == reply.chunks.len() && reply.complete;
            self.world.chunk(load, chunk, last);
        }
        self.world.end(load);
    }

    /// What was true when the run began; `None`: it is abandoned.
    fn reply(&self, load: LoadId, ending: Ending) -> Option<Reply> {
        let run = &self.world.loads[load.0];
        let etag = format!("\"{}\"", run.read);
        let text = run.read.to_string();
        let confirms = run.field("if-none-match") == Some(&etag);
        let reply = match ending {
            Ending::Answer if confirms => status(304),
            Ending::Answer => ok(&text),
            Ending::Chunks => Reply::chunked(&[&text, ""]),
            Ending::Private => ok(&text).cache_control("private"),
            Ending::Error => status(503),
            Ending::Raise => Reply::raise("boom"),
            Ending::CutShort => ok(&text).cut_short(),
            Ending::Abandon => return None,
        };
        let reply = reply.etag(&etag);
        Some(if run.ask.path == VARYING { reply.field("vary", "x-side") } else { reply })
    }

    /// Everything under a target changes, and then it is invalidated.
    fn change(&mut self) {
        let process = self.process();
        let number = self.dice.below(TARGETS);
        let (target, covers) = target(number);
        for (path, _) in PATHS.iter().zip(covers).filter(|(_, covered)| *covered) {
            *self.world.data.entry((*path).into()).or_default() += 1;
        }
        let mode = if self.dice.percent(70) { Mode::Hard } else { Mode::Soft };
        let change = self.world.invalidate(process, &target, mode);
        self.known.changed(&self.world, change, covers, mode, number == 0);
    }

    fn pass_time(&mut self) {
        let most = if self.play.long_times && self.dice.percent(30) { 6_000 } else { 200 };
        let by = Duration::from_millis(1 + self.dice.below(most) as u64);
        self.world.turn_clock(by);
        if !self.play.long_times {
            self.keep_leases();
        }
    }

    /// No process is so busy that its leases expire.
    fn keep_leases(&mut self) {
        self.world.settle_only(|task| matches!(task.work, Work::KeepLeases(_)));
    }

    fn lose_patience(&mut self) {
        let patient = self.world.patient();
        if patient.is_empty() {
            return self.poll();
        }
        let client = patient[self.dice.below(patient.len())];
        match self.dice.below(3) {
            0 => self.world.time_out(client),
            1 => self.world.leave(client, true),
            _ => self.world.leave(client, false),
        }
    }

    fn touch_a_value(&mut self) {
        let process = self.process();
        let number = if self.dice.percent(70) { 0 } else { 1 };
        let key = value_key(number);
        match self.dice.below(10) {
            0..5 => {
                let read = self.world.get_value(process, key);
                self.known.reads(&self.world, read, number);
            }
            // A program awaits what it does to a value before it does more to it.
            _ if self.known.is_at_it(&self.world, process, number) => {}
            5..9 => {
                self.values_set += 1;
                let text = self.values_set.to_string();
                let op = self.world.set_value(process, key, &text, &[]);
                self.known.sets(&self.world, op, number, Some(self.values_set));
            }
            _ => {
                let op = self.world.delete_value(process, key);
                self.known.sets(&self.world, op, number, None);
            }
        }
    }

    fn disturb(&mut self) {
        let mut kinds = Vec::new();
        kinds.extend(self.play.outages.then_some(0));
        kinds.extend(self.play.deaths.then_some(1));
        kinds.extend(self.play.flushes.then_some(2));
        kinds.extend(self.play.trims.then_some(3));
        kinds.extend(self.play.failovers.then_some(4));
        if kinds.is_empty() {
            return self.poll();
        }
        match kinds[self.dice.below(kinds.len())] {
            0 => match self.dice.below(4) {
                0 => self.world.set(Condition::Down),
                1 => self.world.set(Condition::Failing),
                2 => self.world.distant.lose(20),
                _ => {
                    self.world.set(Condition::Up);
                    self.world.distant.lose(0);
                }
            },
            1 => {
                let process = self.process();
                let keeps = self.world.processes[process].keeps;
                self.world.die(process);
                self.world.start(keeps);
            }
            2 => self.world.flush(),
            3 => {
                let keep = self.dice.below(3);
                self.world.tell(|| format!("all but {keep} records are dropped"));
                self.world.tier.tamper(|store| store.trim(keep));
            }
            _ if self.copies.is_empty() || self.dice.percent(50) => {
                self.copies.push(self.world.tier.tamper(|store| store.clone()));
            }
            _ => {
                let copy = self.copies.swap_remove(self.dice.below(self.copies.len()));
                // A replica that lags is of the same history.
                self.copies.clear();
                self.world.tell(|| "failover".into());
                self.known.fails_over(&self.world);
                self.world.distant.forget_stamps();
                self.world.tier.tamper(|store| store.fail_over_to(copy));
            }
        }
    }

    /// Everything runs to its end; nobody waits for ever.
    fn rest(&mut self) {
        for _ in 0..400 {
            let mut dice = self.dice.clone();
            self.world.gather();
            loop {
                let ready = self.world.ready();
                if ready.is_empty() {
                    break;
                }
                self.world.poll(ready[dice.below(ready.len())]);
                self.look();
            }
            self.dice = dice;
            let open = self.world.open_loads();
            if open.is_empty() && self.is_at_rest() {
                return;
            }
            for load in open {
                let begun = self.begun.iter().position(|(begun, _)| *begun == load);
                match begun {
                    Some(place) => {
                        let (_, reply) = self.begun.swap_remove(place);
                        self.finish_body(load, &reply);
                    }
                    None => {
                        let reply = self.reply(load, Ending::Answer).expect("an answer");
                        self.world.finish_with(load, &reply);
                    }
                }
                self.look();
            }
            if self.world.open_loads().is_empty() {
                self.world.turn_clock(Duration::from_millis(100));
            }
        }
        let waiting: Vec<_> =
            self.world.patient().into_iter().map(|client| (client, self.world.standing(client))).collect();
        panic!("somebody waits for ever: {waiting:?}, {} tasks", self.world.tasks.len());
    }

    fn is_at_rest(&self) -> bool {
        let pending =
            self.world.tasks.iter().any(|task| !matches!(task.work, Work::Follow(_) | Work::KeepLeases(_)));
        !pending && self.world.patient().is_empty()
    }

    /// After whatever has happened, a new client of any process is answered and what it loads is found by another.
    fn prove_that_it_goes_on(&mut self) {
        self.world.set(Condition::Up);
        self.world.distant.lose(0);
        for _ in 0..4 {
            self.world.turn_clock(Duration::from_millis(500));
            self.rest();
        }
        // A new process on top.
        self.world.start(true);
        self.rest();
        self.known.everybody_has_read(&self.world);
        self.known.everybody_agrees(&mut self.world);
        // Whatever could not be stored is not remembered as such any more.
        self.world.turn_clock(Duration::from_millis(1_100));
        self.rest();
        for process in self.world.alive() {
            for path in 0..PATHS.len() {
                let ask = self.an_ask(path);
                self.known.asked(path);
                let client = self.world.begin(process, ask);
                self.rest();
                assert_eq!(self.world.standing(client), Standing::Answered);
            }
        }
        self.prove_that_loads_are_shared();
    }

    fn prove_that_loads_are_shared(&mut self) {
        let alive = self.world.alive();
        for path in &PATHS[..2] {
            *self.world.data.entry((*path).into()).or_default() += 1;
        }
        let change = self.world.invalidate(alive[0], &Target::Prefix(b"/p"), Mode::Hard);
        self.known.changed(&self.world, change, [true, true, false], Mode::Hard, false);
        self.rest();
        assert!(self.world.head_of(change).is_some(), "the tier is up and was not told");
        for (number, path) in PATHS[..2].iter().enumerate() {
            let runs = self.world.runs();
            for process in &alive {
                self.known.asked(number);
                let client = self.world.begin(*process, get(path));
                self.rest();
                assert_eq!(self.world.standing(client), Standing::Answered);
            }
            assert_eq!(self.world.runs(), runs + 1, "{} processes loaded the same", alive.len());
        }
    }
}

/// Plays `seeds` schedules of `steps` steps.
fn play(play: Play, seeds: std::ops::Range<u64>, steps: usize) {
    let asked = |name: &str| std::env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
    let more = asked("SHARED_WORLD_MORE").unwrap_or(1);
    let seeds = asked("SHARED_WORLD_SEED").map_or(seeds.start..seeds.end * more, |only| only..only + 1);
    for seed in seeds {
        let mut schedule = Schedule::new(play, seed);
        let run = catch_unwind(AssertUnwindSafe(|| {
            for _ in 0..steps {
                schedule.step();
            }
            schedule.rest();
            if seed % PROVED == 0 {
                schedule.prove_that_it_goes_on();
            }
        }));
        if let Err(panic) = run {
            eprintln!("{}\nSHARED_WORLD_SEED={seed}", schedule.world.story());
            std::mem::forget(schedule);
            resume_unwind(panic);
        }
    }
}

#[test]
fn while_nothing_goes_wrong_one_process_loads_at_a_time() {
    play(CALM, SEEDS, STEPS);
}

#[test]
fn without_a_local_tier_no_lookup_is_behind() {
    play(Play { keeps: &[false, false], ..CALM }, SEEDS, STEPS);
}

#[test]
fn three_processes_of_which_one_keeps_nothing_in_trouble() {
    let trouble = Play { keeps: &[true, false, true], trouble: true, impatience: true, ..CALM };
    play(trouble, SEEDS, STEPS);
}

#[test]
fn nobody_is_kept_waiting_by_faults_nor_told_of_them() {
    let faults =
        Play { outages: true, trouble: true, impatience: true, long_times: true, trims: true, ..CALM };
    play(faults, SEEDS, STEPS);
}

#[test]
fn an_outage_that_is_bypassed_shows_nothing_old() {
    let faults = Play { outages: true, long_times: true, on_outage: OnOutage::Bypass, ..CALM };
    play(faults, SEEDS, STEPS);
}

#[test]
fn processes_die_and_are_born() {
    let deaths = Play { deaths: true, trims: true, impatience: true, long_times: true, ..CALM };
    play(Play { keeps: &[true, true, false], ..deaths }, SEEDS, STEPS);
}

#[test]
fn a_log_that_is_lost_is_noticed() {
    let losses = Play { flushes: true, trims: true, impatience: true, ..CALM };
    play(Play { keeps: &[true, false, true], ..losses }, SEEDS, STEPS);
}

#[test]
fn a_failover_is_noticed() {
    play(Play { keeps: &[true, true, false], failovers: true, trims: true, ..CALM }, SEEDS, STEPS);
}

#[test]
fn values_are_never_older_than_what_was_set_last() {
    play(Play { keeps: &[true, true], values: true, trims: true, ..CALM }, SEEDS, STEPS);
}

#[test]
fn values_without_a_local_tier_are_never_older_than_what_was_set_last() {
    play(Play { keeps: &[false, false], values: true, trims: true, ..CALM }, SEEDS, STEPS);
}

#[test]
fn values_outlive_outages_deaths_and_flushes() {
    let faults = Play { outages: true, deaths: true, flushes: true, values: true, trims: true, ..CALM };
    play(Play { keeps: &[true, false, true], ..faults }, SEEDS, STEPS);
}
