//! From the runtime's thread to an event loop: a queue of what is done, and one wake-up for all of it.
//!
//! A result is pushed without a lock and without the interpreter. Only the first after the loop has last looked writes a
//! byte to a pipe the loop watches; its reader callback takes everything that is there by then. Measured against one
//! `call_soon_threadsafe` a result: see docs/design.
//!
//! The other way what the tasks of one turn of the loop look for goes together, [`TOGETHER`] at a time: one task of the
//! runtime, one command to the server.

use std::future::Future;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use crossbeam_queue::SegQueue;
use hotplate::share::{SeekJob, Share, Sought};
use hotplate::tier::shared::Head;
use mio::unix::pipe;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

use crate::names;
use crate::runtime;
use crate::step::Step;
use crate::timing::Began;
use crate::values::{Sighted, ValueStep};
use crate::watch::{self, Looker};

/// So many go together at most: one thread works on them while the other, and the server, are at the next.
const TOGETHER: usize = 24;

/// For what the shared tier is looked into.
pub(crate) enum Asker {
    /// A request.
    Request(Py<Step>),
    /// A value.
    Value(Sighted),
    /// A call of a function.
    Function(Py<ValueStep>),
    /// Somebody who wants to know what is stored.
    Looker(Looker),
}

/// What a task came to.
pub(crate) enum Done {
    /// A lookup in the shared tier.
    Sought(Asker, Sought),
    /// An invalidation.
    Appended(Option<Head>),
    /// A change of a value.
    Changed(bool),
    /// An addition to a counter.
    Counted(Option<i64>),
    /// What all processes tell of themselves.
    Reported(Option<Vec<Bytes>>),
}

/// How many results wait for an event loop, of this process.
static WAITING: AtomicU64 = AtomicU64::new(0);

/// How many results wait for an event loop.
pub(crate) fn waiting() -> u64 {
    WAITING.load(Ordering::Relaxed)
}

struct Completion {
    future: Py<PyAny>,
    done: Done,
}

struct Queue {
    completions: SegQueue<Completion>,
    /// The loop is going to be woken.
    woken: AtomicBool,
    /// How many have come since it last looked.
    waiting: AtomicUsize,
    writer: pipe::Sender,
    /// Here, so that nobody ever writes to a pipe that nobody reads: that can end a process.
    reader: pipe::Receiver,
}

impl Queue {
    fn push(self: &Arc<Self>, completion: Completion) {
        WAITING.fetch_add(1, Ordering::Relaxed);
        self.completions.push(completion);
        if self.waiting.fetch_add(1, Ordering::AcqRel) + 1 == TOGETHER {
            // Enough for the loop to work on while the rest comes.
            self.wake();
            return;
        }
        if self.woken.swap(true, Ordering::AcqRel) {
            return;
        }
        // Answers that came together wake tasks that stand together: behind them the loop is woken for all.
        let queue = Arc::clone(self);
        let wake = async move {
            if queue.waiting.load(Ordering::Acquire) < TOGETHER {
                queue.wake();
            }
        };
        if !runtime::after_those_awake(wake) {
            self.wake();
        }
    }

    fn wake(&self) {
        // Full means that the loop has not read for long, and will; closed, that it never will.
        let _ = (&self.writer).write(&[1]);
    }
}

/// One for each event loop. `loop.add_reader(bridge.fileno(), bridge.drain)` connects it.
#[pyclass(frozen, module = "hotplate._core")]
pub(crate) struct Bridge {
    queue: Arc<Queue>,
    /// `flush` is going to be called: what is asked for until then goes together.
    gathering: AtomicBool,
    /// Lookups that wait for that. They go with each other.
    gathered: Mutex<Vec<Lookup>>,
    /// How many lookups have not been told to the loop.
    under_way: AtomicUsize,
}

/// A lookup, and where its result goes.
type Lookup = (SeekJob, Looking);

/// Where the result of a lookup goes, and since when it is waited for.
struct Looking {
    outgoing: Outgoing<Asker, Sought>,
    began: Began,
    share: Arc<Share>,
}

impl Looking {
    fn tell(self, sought: Sought) {
        self.share.lookups().record(self.began.elapsed());
        self.outgoing.tell(sought);
    }
}

#[pymethods]
impl Bridge {
    #[new]
    fn new() -> PyResult<Self> {
        let (writer, reader) = pipe::new().map_err(|error| PyOSError::new_err(error.to_string()))?;
        let queue = Queue {
            completions: SegQueue::new(),
            woken: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            writer,
            reader,
        };
        Ok(Self {
            queue: Arc::new(queue),
            gathering: AtomicBool::new(false),
            gathered: Mutex::new(Vec::new()),
            under_way: AtomicUsize::new(0),
        })
    }

    /// What the loop watches.
    fn fileno(&self) -> i32 {
        self.queue.reader.as_raw_fd()
    }

    /// Gives every result that is there to its future. Called by the loop.
    fn drain(this: &Bound<'_, Self>) -> PyResult<()> {
        let py = this.py();
        this.get().drain_into(py, this)
    }

    /// Sends what the futures of the last `drain` have asked for. Called by the loop, after them.
    fn flush(&self) -> PyResult<()> {
        self.gathering.store(false, Ordering::Release);
        let gathered = std::mem::take(&mut *self.gathered());
        look_for(gathered)?;
        runtime::flush()
    }
}

impl Bridge {
    fn drain_into(&self, py: Python<'_>, this: &Bound<'_, Self>) -> PyResult<()> {
        let mut bytes = [0; 64];
        while matches!((&self.queue.reader).read(&mut bytes), Ok(read) if read == bytes.len()) {}
        // Before the queue is emptied: what is pushed from here on wakes the loop again.
        self.queue.waiting.store(0, Ordering::Release);
        self.queue.woken.store(false, Ordering::Release);
        let (mut failed, mut event_loop) = (None, None);
        // Read once for all of them.
        let moment = Began::now();
        while let Some(Completion { future, done }) = self.queue.completions.pop() {
            WAITING.fetch_sub(1, Ordering::Relaxed);
            if matches!(done, Done::Sought(..)) {
                self.under_way.fetch_sub(1, Ordering::AcqRel);
            }
            if event_loop.is_none() {
                event_loop = future.bind(py).call_method0(names::GET_LOOP.get(py)).ok();
            }
            if let Err(error) = deliver(py, future.bind(py), done, moment) {
                failed.get_or_insert(error);
            }
        }
        // Whoever was woken may ask for more. The loop calls back in order: after all of them, and then all is sent at once.
        let gathered = event_loop.map_or(Ok(()), |event_loop| Self::gather(this, &event_loop));
        failed.map_or(gathered, Err)
    }

    /// Has what is asked for go together until the loop calls back.
    fn gather(this: &Bound<'_, Self>, event_loop: &Bound<'_, PyAny>) -> PyResult<()> {
        let (py, bridge) = (this.py(), this.get());
        if !bridge.gathering.swap(true, Ordering::AcqRel) {
            let flush = this.getattr(names::FLUSH.get(py))?;
            if event_loop.call_method1(names::CALL_SOON.get(py), (flush,)).is_err() {
                bridge.gathering.store(false, Ordering::Release);
            }
        }
        Ok(())
    }

    /// Runs a task on the runtime's thread; what it comes to is given to `future`, on the loop of this bridge.
    ///
    /// `context`: goes along, and becomes what is told together with the outcome. A task that does not end, because it
    /// panics, comes to nothing: whoever waits is told so.
    pub(crate) fn run<C: Send + 'static, T: Default + Send + 'static>(
        &self,
        future: Py<PyAny>,
        context: C,
        done: fn(C, T) -> Done,
        task: impl Future<Output = T> + Send + 'static,
    ) -> PyResult<()> {
        let outgoing = self.outgoing(future, context, done);
        runtime::submit(async move { outgoing.tell(task.await) })?;
        if self.gathering.load(Ordering::Acquire) { Ok(()) } else { runtime::flush() }
    }

    /// Has a job run on the runtime's thread, together with others; what it comes to is given to `future`, on the loop of
    /// this bridge.
    pub(crate) fn seek(
        this: &Bound<'_, Self>,
        future: Bound<'_, PyAny>,
        asker: Asker,
        job: SeekJob,
    ) -> PyResult<()> {
        Self::seek_since(this, Began::now(), future, asker, job)
    }

    /// As [`Bridge::seek`], for a caller who has just read the clock.
    pub(crate) fn seek_since(
        this: &Bound<'_, Self>,
        began: Began,
        future: Bound<'_, PyAny>,
        asker: Asker,
        job: SeekJob,
    ) -> PyResult<()> {
        let bridge = this.get();
        // A lone lookup leaves at once. Where others are under way more come in the same turn, and the answers are
        // looked at after it.
        if bridge.under_way.load(Ordering::Acquire) > 0 && !bridge.gathering.load(Ordering::Acquire) {
            let event_loop = future.call_method0(names::GET_LOOP.get(this.py()))?;
            Self::gather(this, &event_loop)?;
        }
        bridge.under_way.fetch_add(1, Ordering::AcqRel);
        let share = Arc::clone(job.share());
        let outgoing = bridge.outgoing(future.unbind(), asker, Done::Sought);
        let looking = Looking { outgoing, began, share };
        let lookup = (job, looking);
        let (before, enough) = {
            let mut gathered = bridge.gathered();
            let goes_along = gathered.first().is_none_or(|(first, _)| first.goes_with(&lookup.0));
            let before = if goes_along { Vec::new() } else { std::mem::take(&mut *gathered) };
            gathered.push(lookup);
            let is_enough = gathered.len() >= TOGETHER || !bridge.gathering.load(Ordering::Acquire);
            (before, if is_enough { std::mem::take(&mut *gathered) } else { Vec::new() })
        };
        if before.is_empty() && enough.is_empty() {
            return Ok(());
        }
        look_for(before)?;
        look_for(enough)?;
        runtime::flush()
    }

    fn outgoing<C, T: Default>(
        &self,
        future: Py<PyAny>,
        context: C,
        done: fn(C, T) -> Done,
    ) -> Outgoing<C, T> {
        let queue = Arc::clone(&self.queue);
        Outgoing { queue, parts: Some((future, context)), outcome: T::default(), done }
    }

    fn gathered(&self) -> MutexGuard<'_, Vec<Lookup>> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a task. What it comes to is given to `future`, on the loop of `bridge`; without those it is waited for with this
/// thread.
///
/// **Returns** what it came to, or `None` where the future is given that.
pub(crate) fn settle<T: Default + Send + 'static>(
    py: Python<'_>,
    bridge: Option<&Bridge>,
    future: Option<Py<PyAny>>,
    done: fn((), T) -> Done,
    task: impl Future<Output = T> + Send + 'static,
) -> PyResult<Option<T>> {
    match (bridge, future) {
        (Some(bridge), Some(future)) => bridge.run(future, (), done, task).map(|()| None),
        _ => runtime::wait(py, task).map(Some),
    }
}

/// Runs a lookup and waits for it with this thread.
pub(crate) fn run_here(py: Python<'_>, job: SeekJob) -> PyResult<Sought> {
    let (began, share) = (Began::now(), Arc::clone(job.share()));
    let sought = runtime::wait(py, job.run())?;
    share.lookups().record(began.elapsed());
    Ok(sought)
}

/// Has lookups run that go with each other, once the runtime is told.
fn look_for(lookups: Vec<Lookup>) -> PyResult<()> {
    if lookups.is_empty() {
        return Ok(());
    }
    runtime::submit(SeekJob::run_together(lookups, Looking::tell))
}

/// A result on its way, which is pushed whatever becomes of the task that holds it.
struct Outgoing<C, T: Default> {
    queue: Arc<Queue>,
    parts: Option<(Py<PyAny>, C)>,
    outcome: T,
    done: fn(C, T) -> Done,
}

impl<C, T: Default> Outgoing<C, T> {
    fn tell(mut self, outcome: T) {
        self.outcome = outcome;
    }
}

impl<C, T: Default> Drop for Outgoing<C, T> {
    fn drop(&mut self) {
        if let Some((future, context)) = self.parts.take() {
            let done = (self.done)(context, std::mem::take(&mut self.outcome));
            self.queue.push(Completion { future, done });
        }
    }
}

fn deliver(py: Python<'_>, future: &Bound<'_, PyAny>, done: Done, moment: Began) -> PyResult<()> {
    let result = match done {
        Done::Sought(Asker::Request(step), sought) => {
            step.get().found(sought);
            py.None().into_bound(py)
        }
        Done::Sought(Asker::Function(step), sought) => {
            step.get().found(sought);
            py.None().into_bound(py)
        }
        Done::Sought(Asker::Value(sighted), sought) => sighted.land(py, sought, moment)?,
        Done::Sought(Asker::Looker(looker), sought) => looker.views(py, sought)?.into_any(),
        Done::Reported(reports) => watch::reports(py, reports)?,
        Done::Appended(head) => head.map(|head| head.position).into_pyobject(py)?.into_any(),
        Done::Counted(count) => count.into_pyobject(py)?.into_any(),
        Done::Changed(changed) => changed.into_pyobject(py)?.to_owned().into_any(),
    };
    match future.call_method1(names::SET_RESULT.get(py), (result,)) {
        // Whoever waited may be gone.
        Err(_) if future.call_method0(names::DONE.get(py))?.is_truthy()? => Ok(()),
        set => set.map(drop),
    }
}
