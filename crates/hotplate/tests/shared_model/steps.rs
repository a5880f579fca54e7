//! What a process can do next, and what comes of it: each step is what happens between two awaits of `src/share`, or
//! less where two threads of one process could meet.

use hotplate::log::Standing;
use hotplate::log::followed::Judgement;
use hotplate::tier::shared::{Cursor, Head, Leased, Publication, Published, Record, Stamp, Tail};

use crate::applied::{KEY, record};
use crate::model::{Protocol, Setting};
use crate::world::{
    FOR_EVER, Follower, Hold, Invalidation, LEASE, Local, Other, Process, Request, Sending, Storing, Value,
    World,
};

/// A step of one process. A number is the place among what it has of that kind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// A request finds nothing usable in the local tier, and reads the shared one.
    Ask,
    /// It reads the shared tier again.
    Fetch,
    /// The log is not applied up to the head that was read; the request does not wait for it longer.
    WaitNoLonger,
    /// The log is applied so far: the position of the own log is read.
    Place,
    /// The value is judged; if it is usable it is served, and kept in the local tier.
    Judge,
    /// The lease is asked for.
    Lease,
    /// No lease is asked for, or there was no answer.
    LoadAlone,
    /// The load begins: it is stamped, and reads the data.
    Begin,
    /// The load ends: the local tier has its answer.
    End,
    /// The load fails.
    Fail,
    /// The answer is written to the shared tier.
    Publish(usize),
    /// The lease is given back.
    Release(usize),
    /// The leases are renewed.
    Renew,
    /// The data has changed, and the process says so: the first of its two logs has it.
    Invalidate,
    /// The second one has.
    Tell,
    /// The record reaches the shared tier.
    Append(usize),
    /// The answer comes back.
    Acknowledge(usize),
    /// The record does not reach it.
    LoseRecord(usize),
    /// The answer does not come back.
    LoseAnswer(usize),
    /// Records of which this is not known are sent again.
    Resend,
    /// The log is read from where it was applied.
    Read,
    /// The whole log is read.
    Sum,
    /// What was read is applied: the first of the two logs has it.
    Apply,
    /// The second one has.
    TellOther,
    /// The process ends.
    Crash,
}

impl Setting {
    /// What the process can do next.
    pub(crate) fn steps(&self, world: &World, process: &Process, steps: &mut Vec<Step>) {
        if !process.alive {
            return;
        }
        match &process.request {
            Request::None if process.requests > 0 && process.served_locally().is_none() => {
                steps.push(Step::Ask)
            }
            Request::None => {}
            Request::Seeks => steps.push(Step::Fetch),
            Request::Fetched { head, .. } => {
                let applied =
                    process.applied.cursor().head >= *head || self.protocol == Protocol::JudgesBehind;
                steps.push(if applied { Step::Place } else { Step::WaitNoLonger });
            }
            Request::Placed { .. } => steps.push(Step::Judge),
            Request::Unusable { .. } => {
                steps.push(Step::Lease);
                if world.left.alone > 0 {
                    steps.push(Step::LoadAlone);
                }
            }
            Request::Granted { .. } => steps.push(Step::Begin),
            Request::Loads { hold, .. } => {
                steps.push(Step::End);
                if world.left.failures > 0 && hold.is_some() {
                    steps.push(Step::Fail);
                }
            }
        }
        for (index, storing) in process.storing.iter().enumerate() {
            steps.push(if storing.value.is_some() { Step::Publish(index) } else { Step::Release(index) });
        }
        let latest = world.now + 1;
        if process.holds().any(|hold| hold.until != 0 && hold.until != latest) {
            steps.push(Step::Renew);
        }
        if process.telling.is_some() {
            steps.push(Step::Tell);
        } else if process.invalidations > 0 {
            steps.push(Step::Invalidate);
        }
        for (index, sending) in process.sending.iter().enumerate() {
            steps.push(if sending.answer.is_some() { Step::Acknowledge(index) } else { Step::Append(index) });
            if world.left.losses > 0 {
                steps.push(if sending.answer.is_some() {
                    Step::LoseAnswer(index)
                } else {
                    Step::LoseRecord(index)
                });
            }
        }
        if process.unsent {
            steps.push(Step::Resend);
        }
        match &process.follower {
            Follower::Idle if process.has_to_read(world) => steps.push(Step::Read),
            Follower::Idle => {}
            Follower::Gap(..) => steps.push(Step::Sum),
            Follower::Read(_) | Follower::Summed(_) => steps.push(Step::Apply),
            Follower::Half { .. } => steps.push(Step::TellOther),
        }
        if world.left.crashes > 0 {
            steps.push(Step::Crash);
        }
    }

    /// Takes a step of [`Setting::steps`].
    pub(crate) fn take(&self, world: &mut World, index: usize, step: Step) {
        let mut process = world.processes[index].clone();
        match step {
            Step::Ask | Step::Fetch | Step::WaitNoLonger | Step::Place | Step::Judge => {
                self.seek(world, &mut process, step);
            }
            Step::Lease | Step::LoadAlone | Step::Begin | Step::End | Step::Fail => {
                self.load(world, index, &mut process, step);
            }
            Step::Publish(at) => self.publish(world, &mut process, at),
            Step::Release(at) => self.release(world, &mut process, at),
            Step::Renew => renew(world, &mut process),
            Step::Invalidate | Step::Tell => {
                self.invalidate(world, index, &mut process, step);
                if step == Step::Invalidate && self.at_once {
                    self.invalidate(world, index, &mut process, Step::Tell);
                }
            }
            Step::Append(at) => {
                let sending = &mut process.sending[at];
                let head = world.change(|store| store.append(&record(sending.nonce)));
                sending.answer = Some(head);
                if !world.in_log.contains(&sending.nonce) {
                    world.in_log.push(sending.nonce);
                }
                let invalidation = &mut world.invalidations[place(sending.nonce)];
                // Sent again it is the same record, unless the log was lost meanwhile.
                if invalidation.appended.is_none_or(|(at, _)| at != head) {
                    invalidation.appended = Some((head, world.version));
                }
            }
            Step::Acknowledge(at) => {
                let sending = process.sending.remove(at);
                if let Some(head) = sending.answer {
                    process.unsent |= !process.applied.acknowledge(sending.nonce, head);
                }
            }
            Step::LoseRecord(at) | Step::LoseAnswer(at) => {
                world.left.losses -= 1;
                process.sending.remove(at);
                process.unsent = true;
            }
            Step::Resend => {
                process.unsent = false;
                let again =
                    process.applied.pending().into_iter().map(|nonce| Sending { nonce, answer: None });
                process.sending.extend(again);
            }
            Step::Read | Step::Sum | Step::Apply | Step::TellOther => {
                self.follow(world, &mut process, step);
                if step == Step::Apply && self.at_once {
                    self.follow(world, &mut process, Step::TellOther);
                }
            }
            Step::Crash => {
                world.left.crashes -= 1;
                process = Process { alive: false, ..Process::new(Default::default(), 0, 0) };
            }
        }
        world.processes[index] = process;
    }

    fn seek(&self, world: &mut World, process: &mut Process, step: Step) {
        process.request = match (step, std::mem::replace(&mut process.request, Request::None)) {
            (Step::Ask | Step::Fetch, _) => {
                if step == Step::Ask {
                    process.requests -= 1;
                }
                let fetched = world.store.read().fetch(KEY, world.time());
                let value = fetched.value.as_deref().map(Value::decode);
                match (value, fetched.head) {
                    (Some(value), Some(head)) => Request::Fetched { value, head, must: world.appended() },
                    (seen, _) => Request::Unusable { seen },
                }
            }
            (Step::Place, Request::Fetched { value, head, must }) => {
                let applied = process.applied.cursor().head;
                let must = must.max(process.known).max(world.known_at(applied));
                if self.protocol == Protocol::PlacesAfterJudging && !self.judge(process, &value, head) {
                    Request::Unusable { seen: Some(value) }
                } else {
                    Request::Placed { value, head, must, position: process.own_log.position() }
                }
            }
            (Step::WaitNoLonger, Request::Fetched { value, .. }) => Request::Unusable { seen: Some(value) },
            (Step::Judge, Request::Placed { value, head, must, position }) => {
                let (usable, position) = if self.protocol == Protocol::PlacesAfterJudging {
                    (true, process.own_log.position())
                } else {
                    (self.judge(process, &value, head), position)
                };
                if usable {
                    process.insert(Local { version: value.version, position });
                    let epoch = process.applied.cursor().head.epoch;
                    world.wrong.served_untrue |= value.version < must && !world.may_miss(epoch);
                    Request::None
                } else {
                    Request::Unusable { seen: Some(value) }
                }
            }
            (_, request) => request,
        };
    }

    /// Whether the process finds the value usable.
    pub(crate) fn judge(&self, process: &Process, value: &Value, head: Head) -> bool {
        let began = value.stamp.head;
        let judgement = match self.protocol {
            Protocol::JudgesWithoutPending => process.applied.without_pending().judge(began, head),
            Protocol::JudgesBehind => process.applied.judge(began, Default::default()),
            _ => process.applied.judge(began, head),
        };
        judgement == Judgement::Known(Standing::Current)
            || (self.protocol == Protocol::TrustsOtherEpochs && judgement == Judgement::OtherEpoch)
    }

    fn load(&self, world: &mut World, index: usize, process: &mut Process, step: Step) {
        process.request = match (step, std::mem::replace(&mut process.request, Request::None)) {
            (Step::Lease, Request::Unusable { seen }) => {
                let token = 10 * (index as u64 + 1) + u64::from(process.requests);
                let mut hold = Hold { token, until: world.now + 1 };
                let lasting = if self.protocol == Protocol::LeasesForEver { FOR_EVER } else { LEASE };
                let seen = seen.map(|value| value.encode());
                let now = world.time();
                match world.change(|store| store.lease(KEY, hold.token(), lasting, seen.as_ref(), now)) {
                    Leased::Granted => {
                        hold.until = world.now + 1;
                        Request::Granted { hold: Some(hold) }
                    }
                    Leased::Changed | Leased::Held(_) => Request::Seeks,
                }
            }
            (Step::LoadAlone, Request::Unusable { .. }) => {
                world.left.alone -= 1;
                Request::Granted { hold: None }
            }
            (Step::Begin, Request::Granted { hold }) => Request::Loads {
                hold,
                stamp: stamp(world, process),
                position: process.own_log.position(),
                version: world.version,
            },
            (Step::End, Request::Loads { hold, stamp: began, position, version }) => {
                process.insert(Local { version, position });
                let stamp =
                    if self.protocol == Protocol::StampsAtTheEnd { stamp(world, process) } else { began };
                let value = stamp.map(|stamp| Value { version, by: u8::try_from(index).unwrap_or(0), stamp });
                if value.is_some() || hold.is_some() {
                    process.storing.push(Storing { value, hold });
                }
                Request::None
            }
            (Step::Fail, Request::Loads { hold, .. }) => {
                world.left.failures -= 1;
                process.storing.push(Storing { value: None, hold });
                Request::None
            }
            (_, request) => request,
        };
    }

    fn publish(&self, world: &mut World, process: &mut Process, at: usize) {
        let storing = &mut process.storing[at];
        let Some(value) = storing.value.take() else { return };
        if storing.hold.is_none() {
            process.storing.remove(at);
        }
        let present = world.store.read().fetch(KEY, world.time()).value.as_deref().map(Value::decode);
        let publication = Publication {
            key: KEY,
            value: value.encode(),
            stamp: value.stamp,
            ttl: FOR_EVER,
            force: self.protocol == Protocol::PublishesInAnyOrder,
            extend: false,
        };
        let now = world.time();
        let published = world.change(|store| store.publish(publication, now));
        let newer = present.is_some_and(|present| present.stamp > value.stamp);
        world.wrong.replaced_newer |= newer && published == Published::Stored;
    }

    fn release(&self, world: &mut World, process: &mut Process, at: usize) {
        let storing = process.storing.remove(at);
        let Some(hold) = storing.hold else { return };
        let now = world.time();
        let others = world.processes.iter().flat_map(Process::holds);
        let others: Vec<Hold> = others.filter(|_| self.protocol == Protocol::ReleasesForAnybody).collect();
        for hold in others.into_iter().chain([hold]) {
            world.change(|store| store.release(KEY, hold.token(), now));
        }
    }

    fn invalidate(&self, world: &mut World, index: usize, process: &mut Process, step: Step) {
        let own_first = self.protocol == Protocol::TellsTheOwnLogFirst;
        let first = step == Step::Invalidate;
        let nonce = match process.telling.take() {
            Some(nonce) => nonce,
            None => {
                process.invalidations -= 1;
                world.version += 1;
                world.invalidations.push(Invalidation { by: index, issued: world.version, appended: None });
                world.invalidations.len() as u64
            }
        };
        if own_first == first {
            process.own_log.append_tag();
        } else {
            process.applied.intend(nonce);
            process.sending.push(Sending { nonce, answer: None });
        }
        if first {
            process.telling = Some(nonce);
        } else {
            process.known = process.known.max(world.invalidations[place(nonce)].issued);
        }
    }

    fn follow(&self, world: &mut World, process: &mut Process, step: Step) {
        process.follower = match (step, std::mem::replace(&mut process.follower, Follower::Idle)) {
            (Step::Read, _) if !process.has_read_the_log() => {
                Follower::Summed((&world.change(|store| store.snapshot(None))).into())
            }
            (Step::Read, _) => {
                let cursor = process.applied.cursor();
                match world.store.read().tail(cursor) {
                    Tail::Records(records) if records.is_empty() => rest(process, records_of(&records), true),
                    Tail::Records(records) => Follower::Read(records_of(&records)),
                    Tail::Gap => Follower::Gap(cursor.head, cursor.nonce),
                }
            }
            (Step::Sum, Follower::Gap(head, nonce)) => {
                let distrusted = Some(Cursor { head, nonce });
                Follower::Summed((&world.change(|store| store.snapshot(distrusted))).into())
            }
            (Step::Apply, Follower::Summed(summary)) => {
                let before = process.applied.cursor().head.epoch;
                process.unsent |= before != summary.head.epoch && self.protocol != Protocol::SendsOnce;
                let known = process.known.max(world.known_at(summary.head));
                let other = Other::Own(process.applied.replace(&summary));
                Follower::Half { other, known, rest: Vec::new() }
            }
            (Step::Apply, Follower::Read(mut records)) => {
                let nonce = records.remove(0);
                let version = world.invalidations[place(nonce)].appended.map_or(0, |(_, version)| version);
                let mut applied = process.applied;
                if !applied.apply(nonce) {
                    process.applied = applied;
                    rest(process, records, false)
                } else {
                    let other = if self.protocol == Protocol::AppliesToTheOwnLogFirst {
                        process.own_log.append_tag();
                        Other::Applied(nonce)
                    } else {
                        process.applied = applied;
                        Other::Own(
                            record(nonce).targets.iter().map(|target| target.map(|id| id.as_u64())).collect(),
                        )
                    };
                    Follower::Half { other, known: process.known.max(version), rest: records }
                }
            }
            (Step::TellOther, Follower::Half { other, known, rest: records }) => {
                match other {
                    Other::Own(targets) => {
                        targets.into_iter().for_each(|target| process.own_log.append(target))
                    }
                    Other::Applied(nonce) => {
                        process.applied.apply(nonce);
                    }
                }
                process.known = process.known.max(known);
                process.epoch = process.applied.cursor().head.epoch;
                rest(process, records, false)
            }
            (_, follower) => follower,
        };
    }
}

/// What the follower does when it has these records left; `at_the_end`: none followed.
fn rest(process: &Process, records: Vec<u64>, at_the_end: bool) -> Follower {
    if !records.is_empty() {
        return Follower::Read(records);
    }
    process.applied.lost(at_the_end).map_or(Follower::Idle, |lost| Follower::Gap(lost.head, lost.nonce))
}

fn records_of(records: &[Record]) -> Vec<u64> {
    records.iter().map(|record| record.nonce).collect()
}

/// The stamp of a load that begins now; none while the log has never been read.
fn stamp(world: &World, process: &Process) -> Option<Stamp> {
    let head = process.applied.cursor().head;
    (head.epoch != 0).then_some(Stamp { head, request_time: world.timestamp() })
}

fn renew(world: &mut World, process: &mut Process) {
    let (now, time) = (world.now, world.time());
    for hold in process.holds_mut() {
        let renewed = world.change(|store| store.renew(KEY, hold.token(), LEASE, time));
        hold.until = if renewed { now + 1 } else { 0 };
    }
}

fn place(nonce: u64) -> usize {
    usize::try_from(nonce).unwrap_or(usize::MAX) - 1
}
