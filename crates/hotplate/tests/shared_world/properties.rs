//! What must be true after each step, whatever the schedule.
//!
//! The data of each path has a version, which a run reads when it begins. An invalidation raises the version first. From
//! then on its own process, and every other one from when it has applied the record, serves nothing older from what is
//! stored. A process without a local tier serves nothing older from when the invalidation was acknowledged.

use std::collections::BTreeSet;

use hotplate::log::Mode;
use hotplate::tier::memory::Condition;
use hotplate::tier::shared::Head;

use crate::random::{Play, VALUES, VARYING, value_key};
use crate::targets::PATHS;
use crate::world::{ChangeId, ClientId, LoadId, OpId, ReadId, Standing, World};

type Versions = [u64; 3];

struct Invalidation {
    change: ChangeId,
    process: usize,
    /// By path: the version that was current, where the target covers it.
    least: [Option<u64>; 3],
    mode: Mode,
    everything: bool,
    head: Option<Head>,
    /// What was acknowledged is lost with the tier that had it.
    lost: bool,
}

/// A value set (`Some`) or deleted.
struct Touch {
    op: OpId,
    process: usize,
    number: usize,
    value: Option<u64>,
    /// The step in which it was called, and returned.
    called: u64,
    returned: Option<(u64, bool)>,
    /// Where the log stood when it had returned: a process that has applied it knows of this.
    known_from: Head,
    lost: bool,
}

struct Reading {
    read: ReadId,
    process: usize,
    number: usize,
    /// What was known in its process when it was called must not be undone.
    superseded: BTreeSet<u64>,
}

/// What a client may expect.
struct Asked {
    path: usize,
    /// The least version that was to be served when it asked.
    floor: u64,
    /// The same for the oldest request whose load or lookup it may have waited for.
    floor_of_waited_for: u64,
}

/// What is known of the schedule so far.
pub struct Known {
    play: Play,
    step: u64,
    invalidations: Vec<Invalidation>,
    asked: Vec<Asked>,
    /// How many clients have their floor.
    entered: usize,
    /// Those who have not been looked at with their answer.
    unanswered: Vec<ClientId>,
    touches: Vec<Touch>,
    readings: Vec<Reading>,
    /// For each load whether it was looked at when it began to run.
    seen_to_run: Vec<bool>,
    /// Invalidations of which it is not known where they stand.
    unplaced: Vec<usize>,
    unreturned: Vec<usize>,
    unread: Vec<usize>,
}

impl Known {
    pub fn new(play: Play) -> Self {
        Self {
            play,
            step: 0,
            invalidations: Vec::new(),
            asked: Vec::new(),
            entered: 0,
            unanswered: Vec::new(),
            touches: Vec::new(),
            readings: Vec::new(),
            seen_to_run: Vec::new(),
            unplaced: Vec::new(),
            unreturned: Vec::new(),
            unread: Vec::new(),
        }
    }

    /// A client is about to ask.
    pub fn asked(&mut self, path: usize) {
        self.asked.push(Asked { path, floor: 0, floor_of_waited_for: 0 });
    }

    pub fn changed(
        &mut self,
        world: &World,
        change: ChangeId,
        covers: [bool; 3],
        mode: Mode,
        everything: bool,
    ) {
        let least = std::array::from_fn(|path| covers[path].then(|| version(world, path)));
        let process = world.changes[change.0].process;
        self.unplaced.push(self.invalidations.len());
        self.invalidations.push(Invalidation {
            change,
            process,
            least,
            mode,
            everything,
            head: None,
            lost: false,
        });
    }

    /// The tier goes back to an earlier copy: of what it had, no process has to hear any more but those who have.
    pub fn fails_over(&mut self, _world: &World) {
        for invalidation in &mut self.invalidations {
            invalidation.lost = true;
        }
        for touch in &mut self.touches {
            touch.lost = true;
        }
    }

    /// After each step.
    pub fn look(&mut self, world: &World) {
        self.step += 1;
        let invalidations = &mut self.invalidations;
        self.unplaced.retain(|place| {
            invalidations[*place].head = world.head_of(invalidations[*place].change);
            invalidations[*place].head.is_none()
        });
        self.look_at_operations(world);
        while self.entered < self.asked.len().min(world.clients.len()) {
            let (path, process) = (self.asked[self.entered].path, world.clients[self.entered].process);
            let floor = self.floor_when_asked(world, process)[path];
            let mut oldest = floor;
            for other in self.unanswered.iter().map(|client| client.0) {
                if self.asked[other].path == path && world.clients[other].process == process {
                    oldest = oldest.min(self.asked[other].floor);
                }
            }
            let refreshes = world.loads.iter().any(|load| {
                load.process == process
                    && load.client.is_none()
                    && load.exchange.is_some()
                    && load.ask.path == PATHS[path]
            });
            if refreshes {
                oldest = oldest.min(self.floor(world, process, false)[path]);
            }
            self.asked[self.entered].floor = floor;
            self.asked[self.entered].floor_of_waited_for = oldest;
            self.unanswered.push(ClientId(self.entered));
            self.entered += 1;
        }
        self.look_at_loads(world);
        self.look_at_answers(world);
        self.look_at_readings(world);
    }

    /// The least version each path may be served in by a process.
    fn floor(&self, world: &World, process: usize, fresh: bool) -> Versions {
        let applied = world.stats(process).head;
        let mut floor = [0; 3];
        for invalidation in &self.invalidations {
            let heard = invalidation.process == process
                || (!invalidation.lost && invalidation.head.is_some_and(|head| head <= applied));
            if heard && (fresh || invalidation.mode == Mode::Hard) {
                raise(&mut floor, &invalidation.least);
            }
        }
        floor
    }

    fn floor_when_asked(&self, world: &World, process: usize) -> Versions {
        let mut floor = self.floor(world, process, false);
        if !world.processes[process].keeps {
            let acknowledged = self.invalidations.iter().filter(|invalidation| {
                invalidation.mode == Mode::Hard && invalidation.head.is_some() && !invalidation.lost
            });
            acknowledged.for_each(|invalidation| raise(&mut floor, &invalidation.least));
        }
        floor
    }

    /// One process loads a key at a time.
    fn look_at_loads(&mut self, world: &World) {
        let calm = self.play.is_punctual() && !self.play.flushes && !self.play.failovers;
        let troubled = self.play.trouble || self.play.impatience;
        self.seen_to_run.resize(world.loads.len(), false);
        for number in 0..world.loads.len() {
            let run = &world.loads[number];
            if !run.runs || std::mem::replace(&mut self.seen_to_run[number], true) {
                continue;
            }
            if !calm || !run.owned_by_cache {
                continue;
            }
            assert!(run.leased || troubled, "a load of {} without the lease of all", run.ask.path);
            // Whoever knows that the last one varies loads it under another key than who does not.
            if !run.leased || run.ask.path == VARYING {
                continue;
            }
            let open = world.loads.iter().enumerate().find(|(other, other_run)| {
                *other != number && other_run.is_open() && other_run.leased && other_run.is_for(run)
            });
            let other = open.map(|(other, _)| LoadId(other));
            assert!(
                other.is_none(),
                "{:?} of process {} and {other:?} load {} at once",
                LoadId(number),
                run.process,
                run.ask.path
            );
        }
    }

    fn look_at_answers(&mut self, world: &World) {
        let ended: Vec<ClientId> = self
            .unanswered
            .extract_if(.., |client| {
                !matches!(world.standing(*client), Standing::Seeking | Standing::Waiting | Standing::Loading)
            })
            .collect();
        for ClientId(number) in ended {
            let client = &world.clients[number];
            if client.standing != Standing::Answered {
                assert!(
                    self.play.trouble || client.standing != Standing::Raised,
                    "{:?} although the application did not raise",
                    client.raised
                );
                continue;
            }
            let Asked { path, floor, floor_of_waited_for } = self.asked[number];
            let answer = &client.answer;
            assert!(answer.status == 200 || (self.play.trouble && answer.status == 503), "{answer:?}");
            if answer.status != 200 {
                continue;
            }
            let served: u64 = answer.text().parse().expect("a version");
            let how = answer.cache_status();
            let process = client.process;
            let asked = if how.contains("collapsed") { floor_of_waited_for } else { floor };
            assert!(served >= asked, "{how}: {served} in process {process}, asked after {asked}");
            assert!(served <= version(world, path), "{how}: {served} has never been");
            if !["; hit", "collapsed", "stale-if-error"].iter().any(|stored| how.contains(stored)) {
                continue;
            }
            let floor = self.floor(world, process, false)[path];
            assert!(served >= floor, "{how}: {served} in process {process}, not {floor}");
            let fresh_floor = self.floor(world, process, true)[path];
            assert!(
                how.contains("detail=") || served >= fresh_floor,
                "{how}: {served} as fresh in process {process}, not {fresh_floor}"
            );
        }
    }

    // Values.

    pub fn is_at_it(&self, world: &World, process: usize, number: usize) -> bool {
        self.touches.iter().any(|touch| {
            touch.process == process && touch.number == number && world.ops[touch.op.0].returned.is_none()
        })
    }

    pub fn sets(&mut self, world: &World, op: OpId, number: usize, value: Option<u64>) {
        let process = world.ops[op.0].process;
        self.unreturned.push(self.touches.len());
        self.touches.push(Touch {
            op,
            process,
            number,
            value,
            called: self.step,
            returned: None,
            known_from: Head::default(),
            lost: false,
        });
    }

    pub fn reads(&mut self, world: &World, read: ReadId, number: usize) {
        let process = world.reads[read.0].process;
        let superseded = self.superseded(world, process, number);
        self.unread.push(self.readings.len());
        self.readings.push(Reading { read, process, number, superseded });
    }

    /// The values that were set before something else which this process knows of was.
    fn superseded(&self, world: &World, process: usize, number: usize) -> BTreeSet<u64> {
        let applied = world.stats(process).head;
        let keeps = world.processes[process].keeps;
        let mut superseded = BTreeSet::new();
        for later in self.touches.iter().filter(|touch| touch.number == number) {
            let told = later.returned.is_some_and(|(_, told)| told) && !later.lost;
            let heard = later.process == process || (told && (!keeps || later.known_from <= applied));
            if !heard {
                continue;
            }
            for earlier in self.touches.iter().filter(|touch| touch.number == number) {
                let before = earlier.returned.is_some_and(|(returned, _)| returned < later.called)
                    || (earlier.process == later.process && earlier.called < later.called);
                if let (true, Some(value)) = (before, earlier.value) {
                    superseded.insert(value);
                }
            }
        }
        superseded
    }

    fn look_at_operations(&mut self, world: &World) {
        let may_fail = self.play.outages || self.play.flushes || self.play.failovers;
        let (touches, step) = (&mut self.touches, self.step);
        self.unreturned.retain(|place| {
            let touch = &mut touches[*place];
            let Some(told) = world.ops[touch.op.0].returned else { return true };
            touch.returned = Some((step, told));
            touch.known_from = head(world).unwrap_or_default();
            assert!(told || may_fail, "the tier is up and does not have a value");
            false
        });
    }

    fn look_at_readings(&mut self, world: &World) {
        let (readings, touches) = (&self.readings, &self.touches);
        self.unread.retain(|place| {
            let Reading { read, process, number, superseded } = &readings[*place];
            let Some(found) = &world.reads[read.0].found else { return true };
            let Some(text) = found else { return false };
            let value: u64 = text.parse().expect("a number");
            assert!(!superseded.contains(&value), "value {number} is {value} in process {process}");
            let is_it = |touch: &Touch| touch.number == *number && touch.value == Some(value);
            assert!(touches.iter().any(is_it), "value {number} was never {value}");
            false
        });
    }

    // At rest.

    /// The tier is up and nothing is on its way: every process has read the whole log.
    pub fn everybody_has_read(&self, world: &World) {
        assert_eq!(world.condition, Condition::Up);
        let head = head(world);
        for process in world.alive() {
            let stats = world.stats(process);
            assert!(stats.certain, "process {process} does not read the log");
            assert_eq!(Some(stats.head), head, "process {process}");
        }
    }

    /// At rest no two processes find different values, nor one that was superseded.
    pub fn everybody_agrees(&mut self, world: &mut World) {
        if !self.play.values {
            return;
        }
        for number in 0..VALUES {
            let mut found = BTreeSet::new();
            for process in world.alive() {
                let read = world.get_value(process, value_key(number));
                self.reads(world, read, number);
                world.settle();
                self.look(world);
                found.extend(world.reads[read.0].found.clone().flatten().map(|value| (value, process)));
            }
            let values: BTreeSet<_> = found.iter().map(|(value, _)| value).collect();
            assert!(values.len() <= 1, "value {number} is not the same everywhere: {found:?}");
        }
    }
}

/// Where the log stands. Wakes everybody who waits for the tier.
fn head(world: &World) -> Option<Head> {
    world.tier.tamper(|store| store.fetch(value_key(0), std::time::Duration::ZERO).head)
}

fn version(world: &World, path: usize) -> u64 {
    world.data.get(PATHS[path]).copied().unwrap_or_default()
}

fn raise(floor: &mut Versions, least: &[Option<u64>; 3]) {
    for (floor, least) in floor.iter_mut().zip(least) {
        *floor = (*floor).max(least.unwrap_or_default());
    }
}
