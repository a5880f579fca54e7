//! Results of functions over one shared tier, in random schedules: one run at a time, and no reader ever gets a result
//! older than what its process has invalidated before it asked.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where it fails")]

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use hotplate::cache::Cache;
use hotplate::clock::{Clock, ManualClock};
use hotplate::key::Key;
use hotplate::log::{Mode, Target};
use hotplate::share::{Executor, Share, ShareOptions};
use hotplate::tier::memory::MemoryTier;
use hotplate::tier::sealed::SealerOptions;
use hotplate::values::{Content, Form, Plan, Round, Step, Terms};
use hotplate_policy::time::Timestamp;

type Job = Pin<Box<dyn Future<Output = ()> + Send + 'static>>;

const PLAN: Plan = Plan { refresh_ahead: None, local_only: false, collapses: true };
const READERS: usize = 3;
const CALLS: usize = 3;
const WRITES: usize = 3;
const SCHEDULES: u64 = 4_000;

/// Tasks, of which one after the other makes a step, as a seed draws them.
#[derive(Default)]
struct Schedule {
    tasks: Mutex<Vec<Job>>,
}

impl Executor for Schedule {
    fn spawn(&self, task: Job) {
        self.tasks.lock().unwrap().push(task);
    }
}

impl Schedule {
    fn run(&self, dice: &Dice, mut is_over: impl FnMut() -> bool) {
        for _ in 0..200_000 {
            if is_over() {
                return;
            }
            let mut task = {
                let mut tasks = self.tasks.lock().unwrap();
                let place = dice.below(tasks.len());
                tasks.swap_remove(place)
            };
            if task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
                self.spawn(task);
            }
        }
        panic!("it does not end");
    }
}

struct Dice(AtomicU64);

impl Dice {
    fn below(&self, bound: usize) -> usize {
        let drawn = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        let mut mixed = (drawn ^ (drawn >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from(mixed >> 33).unwrap() % bound
    }

    /// Lets others go first, some times.
    async fn pause(&self) {
        for _ in 0..self.below(6) {
            let mut went = false;
            std::future::poll_fn(|_| {
                if std::mem::replace(&mut went, true) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }
    }
}

struct Process {
    cache: Arc<Cache<Bytes>>,
    share: Arc<Share>,
    /// What its readers must see at least.
    told: AtomicU64,
}

struct World {
    dice: Arc<Dice>,
    schedule: Arc<Schedule>,
    clock: Arc<ManualClock>,
    processes: Vec<Arc<Process>>,
    /// The data the function reads.
    truth: AtomicU64,
    /// How many runs of the function are under way that began at this number of the data.
    running: Mutex<Vec<u64>>,
    open: AtomicUsize,
    by_tag: bool,
}

impl World {
    fn new(seed: u64) -> Arc<Self> {
        let clock = Arc::new(ManualClock::new(Timestamp::from_unix_seconds(1_000_000)));
        let (tier, schedule) = (MemoryTier::new(), Arc::new(Schedule::default()));
        let processes = (0..2).map(|number| {
            let executor: Arc<dyn Executor> = schedule.clone();
            let sealer = SealerOptions::default().compile().unwrap();
            let time: Arc<dyn Clock> = clock.clone();
            let share =
                Share::new(Arc::new(tier.clone()), sealer, executor, time.clone(), ShareOptions::default());
            // Every other process of every other world keeps nothing.
            let keeps = !(seed / 2 + number).is_multiple_of(3);
            let cache = Arc::new(Cache::shared(1 << 16, time, Arc::clone(&share), keeps));
            schedule.spawn(Box::pin(Arc::clone(&share).follow()));
            Arc::new(Process { cache, share, told: AtomicU64::new(0) })
        });
        let processes = processes.collect();
        Arc::new(Self {
            dice: Arc::new(Dice(AtomicU64::new(seed.wrapping_mul(0x1234_5678_9ABC_DEF1)))),
            schedule,
            clock,
            processes,
            truth: AtomicU64::new(1),
            running: Mutex::new(Vec::new()),
            open: AtomicUsize::new(0),
            by_tag: seed.is_multiple_of(2),
        })
    }

    /// One call of the function, as a driver makes it.
    async fn call(self: &Arc<Self>, process: &Process) -> u64 {
        let (cache, key) = (&process.cache, key());
        let now = self.clock.now();
        if let Some(entry) = cache.recall(key, &PLAN, now) {
            return number(entry.body());
        }
        let mut round = Round::default();
        let mut step = cache.ask(key, &PLAN, round, now);
        loop {
            step = match step {
                Step::Found(entry) | Step::Due(entry, _) | Step::Stale(entry, _) => {
                    return number(entry.body());
                }
                Step::Seek(mut seek) => {
                    let sought = seek.job().unwrap().run().await;
                    cache.found(seek, sought, now)
                }
                Step::Landed(landing) => {
                    let own = landing.entry().body().clone();
                    cache.accept(landing, own, now)
                }
                Step::Wait(mut waiting) => {
                    std::future::poll_fn(|context| Pin::new(&mut waiting.ticket).poll(context)).await;
                    round.waits += 1;
                    cache.ask_again(key, &PLAN, round, &waiting, now)
                }
                Step::Load(load) => {
                    let found = self.run().await;
                    let own = Bytes::from(found.to_string());
                    let tags = if self.by_tag { vec!["tag".to_owned()] } else { Vec::new() };
                    let terms = Terms {
                        ttl: Duration::from_secs(60),
                        stale_while_revalidate: Duration::ZERO,
                        stale_if_error: Duration::ZERO,
                        tags: &tags,
                        form: Form::Plain,
                    };
                    load.finish(Content { own, shared: None }, &terms, now);
                    return found;
                }
                Step::Raised(_) | Step::Nothing => panic!("nobody raises, and nobody refreshes"),
            };
        }
    }

    /// The function: reads the data, and takes its time.
    async fn run(&self) -> u64 {
        self.dice.pause().await;
        let found = self.truth.load(Ordering::SeqCst);
        self.running.lock().unwrap().push(found);
        self.dice.pause().await;
        found
    }

    async fn read(self: Arc<Self>, process: usize) {
        let process = Arc::clone(&self.processes[process]);
        for _ in 0..CALLS {
            self.dice.pause().await;
            let at_least = process.told.load(Ordering::SeqCst);
            let found = self.call(&process).await;
            assert!(found >= at_least, "got {found}, and {at_least} was invalidated before");
        }
        self.open.fetch_sub(1, Ordering::SeqCst);
    }

    async fn write(self: Arc<Self>) {
        for _ in 0..WRITES {
            self.dice.pause().await;
            let process = Arc::clone(&self.processes[self.dice.below(2)]);
            let written = self.truth.fetch_add(1, Ordering::SeqCst) + 1;
            let target = if self.by_tag { Target::Tag("tag") } else { Target::Key(key()) };
            let (_, appending) = process.cache.invalidate_all(&[target], Mode::Hard, self.clock.now());
            process.told.fetch_max(written, Ordering::SeqCst);
            assert!(appending.unwrap().await.is_some());
        }
        self.open.fetch_sub(1, Ordering::SeqCst);
    }

    fn start(&self, job: impl Future<Output = ()> + Send + 'static) {
        self.open.fetch_add(1, Ordering::SeqCst);
        self.schedule.spawn(Box::pin(job));
    }

    fn settle(&self) {
        self.schedule.run(&self.dice, || self.open.load(Ordering::SeqCst) == 0);
        let heads = || self.processes.iter().map(|process| process.share.stats().head).collect::<Vec<_>>();
        self.schedule.run(&self.dice, || heads().iter().all(|head| *head == heads()[0] && head.epoch != 0));
    }
}

fn key() -> Key {
    Key::named(b"function")
}

fn number(body: &Bytes) -> u64 {
    std::str::from_utf8(body).unwrap().parse().unwrap()
}

#[test]
fn no_schedule_leaves_an_old_result_readable() {
    let mut runs = 0;
    for seed in 0..SCHEDULES {
        let world = World::new(seed);
        for process in 0..2 {
            for _ in 0..READERS {
                world.start(Arc::clone(&world).read(process));
            }
        }
        world.start(Arc::clone(&world).write());
        world.settle();
        for process in 0..2 {
            let last = Arc::new(AtomicU64::new(0));
            let (reader, found) = (Arc::clone(&world), Arc::clone(&last));
            world.start(async move {
                let process = Arc::clone(&reader.processes[process]);
                found.store(reader.call(&process).await, Ordering::SeqCst);
                reader.open.fetch_sub(1, Ordering::SeqCst);
            });
            world.settle();
            assert_eq!(last.load(Ordering::SeqCst), 1 + WRITES as u64, "seed {seed}, process {process}");
        }
        runs += world.running.lock().unwrap().len();
    }
    // Otherwise nothing was shared.
    let calls = SCHEDULES as usize * 2 * (READERS * CALLS + 1);
    assert!(runs < calls / 2, "{runs} runs for {calls} calls");
}

#[test]
fn without_a_change_the_function_runs_once() {
    for seed in 0..SCHEDULES / 4 {
        let world = World::new(seed);
        // The log is there before: what is loaded without one is not shared.
        world.settle();
        for process in 0..2 {
            for _ in 0..READERS {
                world.start(Arc::clone(&world).read(process));
            }
        }
        world.settle();
        assert_eq!(world.running.lock().unwrap().len(), 1, "seed {seed}");
    }
}
