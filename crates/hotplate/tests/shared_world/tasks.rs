//! What runs, and does so only when it is polled.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use hotplate::cache::Outcome;
use hotplate::fill::{End, Ticket};
use hotplate::share::{Executor, Sought};
use hotplate::tier::shared::Head;

use crate::world::{ChangeId, ClientId, LoadId, OpId, ReadId};

/// A future on its way.
pub type Job<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// What a task does, and for whom.
pub enum Work {
    Follow(Job<()>),
    KeepLeases(Job<()>),
    /// Given to the executor by the cache.
    Spawned(Job<()>),
    Seek(ClientId, Job<Sought>),
    /// What its client asked for, who has gone since.
    Forsaken(Job<Sought>),
    Refresh(LoadId, Job<Sought>),
    Wait(ClientId, Ticket<Outcome<Bytes>>),
    Append(ChangeId, Job<Option<Head>>),
    Set(OpId, Job<bool>),
    Get(ReadId, Job<Sought>),
}

/// What has become of a task.
pub enum Done {
    Nothing,
    Seek(ClientId, Sought),
    Refresh(LoadId, Sought),
    Wait(ClientId, End<Outcome<Bytes>>),
    Append(ChangeId, Option<Head>),
    Set(OpId, bool),
    Get(ReadId, Sought),
}

/// A task of one process.
pub struct Task {
    pub process: usize,
    pub work: Work,
    woken: Arc<Woken>,
}

impl Task {
    /// A task that has just been made is polled once.
    pub fn new(process: usize, work: Work) -> Self {
        Self { process, work, woken: Arc::new(Woken(AtomicBool::new(true))) }
    }

    /// For people.
    pub fn name(&self) -> String {
        match &self.work {
            Work::Follow(_) => "follow".into(),
            Work::KeepLeases(_) => "keep leases".into(),
            Work::Spawned(_) => "spawned".into(),
            Work::Seek(client, _) => format!("seek of {client:?}"),
            Work::Forsaken(_) => "seek of nobody".into(),
            Work::Refresh(load, _) => format!("refresh {load:?}"),
            Work::Wait(client, _) => format!("wait of {client:?}"),
            Work::Append(change, _) => format!("append {change:?}"),
            Work::Set(op, _) => format!("set {op:?}"),
            Work::Get(read, _) => format!("get {read:?}"),
        }
    }

    pub fn is_ready(&self) -> bool {
        self.woken.0.load(Ordering::SeqCst)
    }

    /// A load that has ended must have woken who waits for it.
    pub fn sleeps_through_an_end(&self) -> bool {
        matches!(&self.work, Work::Wait(_, ticket) if ticket.try_end().is_some()) && !self.is_ready()
    }

    pub fn poll(&mut self) -> Poll<Done> {
        self.woken.0.store(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&self.woken));
        let context = &mut Context::from_waker(&waker);
        match &mut self.work {
            Work::Follow(job) | Work::KeepLeases(job) | Work::Spawned(job) => {
                job.as_mut().poll(context).map(|()| Done::Nothing)
            }
            Work::Forsaken(job) => job.as_mut().poll(context).map(|sought| {
                drop(sought);
                Done::Nothing
            }),
            Work::Seek(client, job) => job.as_mut().poll(context).map(|sought| Done::Seek(*client, sought)),
            Work::Refresh(load, job) => job.as_mut().poll(context).map(|sought| Done::Refresh(*load, sought)),
            Work::Wait(client, ticket) => Pin::new(ticket).poll(context).map(|end| Done::Wait(*client, end)),
            Work::Append(change, job) => job.as_mut().poll(context).map(|head| Done::Append(*change, head)),
            Work::Set(op, job) => job.as_mut().poll(context).map(|stored| Done::Set(*op, stored)),
            Work::Get(read, job) => job.as_mut().poll(context).map(|sought| Done::Get(*read, sought)),
        }
    }
}

/// A waker that remembers that it was woken.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// The executor of one process: keeps what it is given until the world takes it.
#[derive(Default)]
pub struct Queue {
    tasks: Mutex<Vec<Job<()>>>,
    dead: AtomicBool,
}

impl Queue {
    /// From now on nothing is run any more.
    pub fn die(&self) {
        self.dead.store(true, Ordering::SeqCst);
        drop(self.take());
    }

    pub fn take(&self) -> Vec<Job<()>> {
        std::mem::take(&mut *self.tasks.lock().unwrap())
    }
}

impl Executor for Queue {
    fn spawn(&self, task: Job<()>) {
        if !self.dead.load(Ordering::SeqCst) {
            self.tasks.lock().unwrap().push(task);
        }
    }
}

/// Numbers drawn by a seed.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5851_F42D_4C95_7F2D)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    /// True in so many of a hundred.
    pub fn percent(&mut self, of_hundred: u64) -> bool {
        self.next() % 100 < of_hundred
    }
}
