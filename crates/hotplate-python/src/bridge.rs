//! From the runtime's thread to an event loop: a queue of what is done, and one wake-up for all of it.
//!
//! A result is pushed without a lock and without the interpreter. Only the first after the loop has last looked writes a
//! byte to a socket the loop watches; its reader callback takes everything that is there by then. Measured against one
//! `call_soon_threadsafe` a result: see docs/design.

use std::future::Future;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crossbeam_queue::SegQueue;
use hotplate::entry::Entry;
use hotplate::share::Sought;
use hotplate::tier::shared::Head;
use pyo3::exceptions::PyOSError;
use pyo3::intern;
use pyo3::prelude::*;

use crate::body::PyBody;
use crate::cache::Sighted;
use crate::runtime;
use crate::step::Step;

/// So many go together at most: one thread works on them while the other, and the server, are at the next.
const TOGETHER: usize = 16;

/// What a task came to, and who waits for it.
pub(crate) enum Done {
    /// A lookup in the shared tier for a request.
    Sought(Py<Step>, Sought),
    /// An invalidation.
    Appended(Option<Head>),
    /// A change of a value.
    Changed(bool),
    /// A lookup of a value.
    Value(Sighted, Sought),
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
    writer: UnixStream,
}

impl Queue {
    fn push(self: &Arc<Self>, completion: Completion) {
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
    reader: UnixStream,
    /// `flush` is going to be called: what is asked for until then goes together.
    gathering: AtomicBool,
    /// How many have been asked for.
    gathered: AtomicUsize,
}

#[pymethods]
impl Bridge {
    #[new]
    fn new() -> PyResult<Self> {
        let failed = |error: std::io::Error| PyOSError::new_err(error.to_string());
        let (reader, writer) = UnixStream::pair().map_err(failed)?;
        reader.set_nonblocking(true).map_err(failed)?;
        writer.set_nonblocking(true).map_err(failed)?;
        let queue = Queue {
            completions: SegQueue::new(),
            woken: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            writer,
        };
        Ok(Self {
            queue: Arc::new(queue),
            reader,
            gathering: AtomicBool::new(false),
            gathered: AtomicUsize::new(0),
        })
    }

    /// What the loop watches.
    fn fileno(&self) -> i32 {
        self.reader.as_raw_fd()
    }

    /// Gives every result that is there to its future. Called by the loop.
    fn drain(this: &Bound<'_, Self>) -> PyResult<()> {
        let py = this.py();
        this.get().drain_into(py, this)
    }

    /// Sends what the futures of the last `drain` have asked for. Called by the loop, after them.
    fn flush(&self) -> PyResult<()> {
        self.gathering.store(false, Ordering::Release);
        runtime::flush()
    }
}

impl Bridge {
    fn drain_into(&self, py: Python<'_>, this: &Bound<'_, Self>) -> PyResult<()> {
        let mut bytes = [0; 64];
        while matches!((&self.reader).read(&mut bytes), Ok(read) if read == bytes.len()) {}
        // Before the queue is emptied: what is pushed from here on wakes the loop again.
        self.queue.waiting.store(0, Ordering::Release);
        self.queue.woken.store(false, Ordering::Release);
        let mut failed = None;
        let mut event_loop = None;
        while let Some(Completion { future, done }) = self.queue.completions.pop() {
            if event_loop.is_none() {
                event_loop = future.bind(py).call_method0(intern!(py, "get_loop")).ok();
            }
            if let Err(error) = deliver(py, future.bind(py), done) {
                failed.get_or_insert(error);
            }
        }
        // Whoever was woken may ask for more. The loop calls back in order: after all of them, and then all is sent at once.
        if let Some(event_loop) = event_loop
            && !self.gathering.swap(true, Ordering::AcqRel)
        {
            let flush = this.getattr(intern!(py, "flush"))?;
            if event_loop.call_method1(intern!(py, "call_soon"), (flush,)).is_err() {
                self.gathering.store(false, Ordering::Release);
            }
        }
        failed.map_or(Ok(()), Err)
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
        let mut outgoing = Outgoing {
            queue: Arc::clone(&self.queue),
            parts: Some((future, context)),
            outcome: T::default(),
            done,
        };
        runtime::submit(async move {
            let outcome = task.await;
            outgoing.outcome = outcome;
            drop(outgoing);
        })?;
        let together = self.gathered.fetch_add(1, Ordering::AcqRel) + 1;
        let is_enough = together.is_multiple_of(TOGETHER);
        if is_enough || !self.gathering.load(Ordering::Acquire) { runtime::flush() } else { Ok(()) }
    }
}

/// A result on its way, which is pushed whatever becomes of the task that holds it.
struct Outgoing<C, T: Default> {
    queue: Arc<Queue>,
    parts: Option<(Py<PyAny>, C)>,
    outcome: T,
    done: fn(C, T) -> Done,
}

impl<C, T: Default> Drop for Outgoing<C, T> {
    fn drop(&mut self) {
        if let Some((future, context)) = self.parts.take() {
            let done = (self.done)(context, std::mem::take(&mut self.outcome));
            self.queue.push(Completion { future, done });
        }
    }
}

fn deliver(py: Python<'_>, future: &Bound<'_, PyAny>, done: Done) -> PyResult<()> {
    let result = match done {
        Done::Sought(step, sought) => {
            step.get().found(sought);
            py.None().into_bound(py)
        }
        Done::Appended(head) => head.map(|head| head.position).into_pyobject(py)?.into_any(),
        Done::Changed(changed) => changed.into_pyobject(py)?.to_owned().into_any(),
        Done::Value(sighted, sought) => match sighted.land(sought) {
            Some(entry) => body(py, &entry)?,
            None => py.None().into_bound(py),
        },
    };
    match future.call_method1(intern!(py, "set_result"), (result,)) {
        // Whoever waited may be gone.
        Err(_) if future.call_method0(intern!(py, "done"))?.is_truthy()? => Ok(()),
        set => set.map(drop),
    }
}

/// The content of a stored value.
pub(crate) fn body<'py>(py: Python<'py>, entry: &Entry<PyBody>) -> PyResult<Bound<'py, PyAny>> {
    Ok(entry.body().object(py)?.into_any())
}
