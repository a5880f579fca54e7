//! The model: how many processes, what may happen to them, and what must hold in every state.

use std::cell::RefCell;
use std::collections::HashMap;

use hotplate::log::Standing;
use hotplate::log::followed::Judgement;
use hotplate::tier::memory::Store;
use hotplate::tier::shared::{Leased, Publication, Published, Stamp, Token};
use stateright::{Model, Property};

use crate::applied::{Applied, KEY};
use crate::steps::Step;
use crate::world::{Events, FOR_EVER, LEASE, Process, Request, Stored, Value, World, Wrong};

/// What is checked: the protocol as it is, or with one fault in it that has to be found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Protocol {
    /// As it is.
    #[default]
    AsIs,
    /// A load is stamped when it ends, not when it begins.
    StampsAtTheEnd,
    /// Own records that were not acknowledged say nothing of what is found in the shared tier.
    JudgesWithoutPending,
    /// A value is judged although the log is not applied up to the head that was read with it.
    JudgesBehind,
    /// The position of the own log is read after the judgement.
    PlacesAfterJudging,
    /// What was stamped in another epoch is used.
    TrustsOtherEpochs,
    /// The own log hears of an own invalidation before the shared half does.
    TellsTheOwnLogFirst,
    /// The own log hears of another process's record before the shared half does.
    AppliesToTheOwnLogFirst,
    /// Whoever releases ends the lease, whosesoever it is.
    ReleasesForAnybody,
    /// A lease does not expire.
    LeasesForEver,
    /// Stored values are replaced, however new they are.
    PublishesInAnyOrder,
    /// Pending records are not sent again when the epoch changes.
    SendsOnce,
}

/// One bounded world.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setting {
    pub(crate) protocol: Protocol,
    /// Requests and invalidations of each process.
    pub(crate) processes: Vec<(u8, u8)>,
    pub(crate) events: Events,
    /// What happens before anything else.
    pub(crate) first: Vec<Action>,
    /// No process has read the log when it begins.
    pub(crate) just_started: bool,
    /// The two logs of a process hear of a record at once: no other thread of it comes between.
    pub(crate) at_once: bool,
}

/// What happens next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    /// This process takes this step.
    Of(usize, Step),
    /// What was leased before expires.
    Turn,
    /// The log drops its records.
    Trim,
    /// The tier forgets everything.
    Flush,
    /// A replica has what the tier has now, and nothing that comes after.
    Copy,
    /// The replica takes over.
    FailOver,
}

pub(crate) const LOCAL_IS_TRUE: &str = "what the local tier serves is true";
pub(crate) const ALL_IS_HEARD: &str =
    "when nothing is on its way, nobody serves what anybody has invalidated";
pub(crate) const SHARED_IS_TRUE: &str = "what is found in the shared tier and served is true";
pub(crate) const ONE_HOLDER: &str = "one process has the lease";
pub(crate) const NEWER_STAYS: &str = "a newer value is not replaced by an older one";
pub(crate) const CAN_LOAD: &str = "whoever comes next can load, store and find it";
pub(crate) const NEW_IS_USED: &str = "what is loaded now is used by who has read the log and told it all";

pub(crate) const FOUND: &str = "a stored value is used";
pub(crate) const REFUSED: &str = "an untrue value is found";
pub(crate) const BEHIND: &str = "a value is found before the log is applied so far";
pub(crate) const EXPIRED: &str = "a lease expires while its owner loads";
pub(crate) const OVERTAKEN: &str = "an older value comes after a newer one";

impl Model for Setting {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let mut store = Store::default();
        let mut applied = Applied::default();
        if !self.just_started {
            applied.replace(&(&store.snapshot(None)).into());
        }
        let process = |(requests, invalidations): &(u8, u8)| Process::new(applied, *requests, *invalidations);
        let world = World {
            store: Stored::new(store),
            in_log: Vec::new(),
            copy: None,
            now: 0,
            version: 0,
            processes: self.processes.iter().map(process).collect(),
            invalidations: Vec::new(),
            left: self.events,
            failed_over: None,
            wrong: Wrong::default(),
        };
        let first = |world: World, action: &Action| {
            let mut actions = Vec::new();
            self.actions(&world, &mut actions);
            assert!(actions.contains(action), "{action:?} cannot come here, only {actions:?}");
            self.next_state(&world, *action).unwrap_or(world)
        };
        vec![self.first.iter().fold(world, first)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let mut steps = Vec::new();
        for (index, process) in world.processes.iter().enumerate() {
            self.steps(world, process, &mut steps);
            actions.extend(steps.drain(..).map(|step| Action::Of(index, step)));
        }
        let left = &world.left;
        actions.extend((left.turns > 0).then_some(Action::Turn));
        actions.extend((left.trims > 0).then_some(Action::Trim));
        actions.extend((left.flushes > 0).then_some(Action::Flush));
        if left.failovers > 0 {
            actions.push(if world.copy.is_some() { Action::FailOver } else { Action::Copy });
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        match action {
            Action::Of(index, step) => self.take(&mut next, index, step),
            Action::Turn => {
                next.left.turns -= 1;
                next.now += 1;
            }
            Action::Trim => {
                next.left.trims -= 1;
                next.change(|store| store.trim(0));
            }
            Action::Flush => {
                next.left.flushes -= 1;
                next.change(Store::flush);
            }
            Action::Copy => next.copy = Some((next.store, next.in_log.clone())),
            Action::FailOver => {
                next.left.failovers -= 1;
                next.failed_over = Some(next.epoch());
                let (earlier, in_log) = next.copy.take()?;
                let earlier = Store::clone(&earlier.read());
                next.change(|store| store.fail_over_to(earlier));
                next.in_log = in_log;
            }
        }
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(LOCAL_IS_TRUE, |_, world: &World| {
                let alive = world.processes.iter().filter(|process| process.alive);
                alive
                    .filter(|process| !world.may_miss(process.epoch))
                    .all(|process| process.served_locally().is_none_or(|version| version >= process.known))
            }),
            Property::always(ALL_IS_HEARD, |_, world: &World| {
                let mut served = world.processes.iter().filter_map(Process::served_locally);
                !world.is_settled() || served.all(|version| version >= world.issued())
            }),
            Property::always(SHARED_IS_TRUE, |_, world: &World| !world.wrong.served_untrue),
            Property::always(ONE_HOLDER, |setting: &Self, world: &World| {
                let forgets = setting.events.flushes + setting.events.failovers > 0;
                let holds = world.processes.iter().flat_map(Process::holds);
                forgets || holds.filter(|hold| hold.until > world.now).count() <= 1
            }),
            Property::always(NEWER_STAYS, |_, world: &World| !world.wrong.replaced_newer),
            Property::always(CAN_LOAD, |_, world: &World| world.is_unnoticed() || can_load(world)),
            Property::always(NEW_IS_USED, |_, world: &World| {
                world.processes.iter().all(|process| uses_what_is_new(world, process))
            }),
            Property::sometimes(FOUND, |setting, world: &World| any_placed(setting, world, true)),
            Property::sometimes(REFUSED, |setting, world: &World| any_placed(setting, world, false)),
            Property::sometimes(BEHIND, |_, world: &World| {
                world.processes.iter().any(|process| match process.request {
                    Request::Fetched { head, .. } => process.applied.cursor().head < head,
                    _ => false,
                })
            }),
            Property::sometimes(EXPIRED, |_, world: &World| {
                world.processes.iter().flat_map(Process::holds).any(|hold| hold.until <= world.now)
            }),
            Property::sometimes(OVERTAKEN, |_, world: &World| {
                let present = world.store.read().fetch(KEY, world.time()).value.as_deref().map(Value::decode);
                let mut storing = world.processes.iter().flat_map(|process| &process.storing);
                storing
                    .any(|storing| storing.value.map(|value| value.stamp) < present.map(|value| value.stamp))
            }),
        ]
    }
}

/// Whether a process that starts now, while the others stand still, gets the lease when it is due, and what it loads is
/// found by those who come after.
fn can_load(world: &World) -> bool {
    // Many states have their store in common.
    thread_local!(static KNOWN: RefCell<HashMap<(Stored, u8), bool>> = RefCell::default());
    KNOWN.with_borrow_mut(|known| {
        *known.entry((world.store, world.now)).or_insert_with(|| can_load_from(world))
    })
}

fn can_load_from(world: &World) -> bool {
    let mut store = Store::clone(&world.store.read());
    let mut applied = Applied::default();
    applied.replace(&(&store.snapshot(None)).into());
    let later = World { now: world.now + 1, ..world.clone() };
    let (time, token) = (later.time(), Token(u64::MAX));
    let seen = store.fetch(KEY, time).value;
    if store.lease(KEY, token, LEASE, seen.as_ref(), time) != Leased::Granted {
        return false;
    }
    let stamp = Stamp { head: applied.cursor().head, request_time: later.timestamp() };
    let value = Value { version: 0, by: u8::MAX, stamp }.encode();
    let publication = Publication { key: KEY, value, stamp, ttl: FOR_EVER, force: false, extend: false };
    let _: Published = store.publish(publication, time);
    // Where it was not stored, what is there has to be as good.
    let found = store.fetch(KEY, time);
    let usable = found.value.as_deref().zip(found.head).is_some_and(|(value, head)| {
        let began = Value::decode(value).stamp.head;
        applied.judge(began, head) == Judgement::Known(Standing::Current)
    });
    usable && store.release(KEY, token, time)
}

/// Whether this process, once nothing of it is on its way, uses what is loaded now.
fn uses_what_is_new(world: &World, process: &Process) -> bool {
    let head = process.applied.cursor().head;
    !process.alive
        || !process.is_settled(world)
        || process.applied.judge(head, head) == Judgement::Known(Standing::Current)
}

fn any_placed(setting: &Setting, world: &World, usable: bool) -> bool {
    world.processes.iter().any(|process| match &process.request {
        Request::Placed { value, head, .. } => setting.judge(process, value, *head) == usable,
        _ => false,
    })
}
