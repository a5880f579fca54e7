//! The thread on which the shared tier is spoken to. One for each process, started when it is first needed.
//!
//! It never takes the interpreter's lock: what it finds out goes through a [`crate::bridge`].
//!
//! # Forking
//!
//! A forked process has the memory of its parent and none of its other threads. So that no lock is held by a thread that
//! does not exist any more, [`before_fork`] waits until the thread has nothing to do and holds it there; the child then
//! leaves the parent's runtime alone, for ever, and makes one of its own.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_queue::SegQueue;
use hotplate::share::Executor;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::runtime::{Builder, Handle};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// How long a fork waits for the thread to have nothing to do.
const MOST_WAIT: Duration = Duration::from_secs(5);

/// How often a thread that waits looks whether it is interrupted.
pub(crate) const GLANCE: Duration = Duration::from_millis(100);

/// The runtime of this process.
static RUNTIME: Mutex<Option<Runtime>> = Mutex::new(None);

/// The runtime, and the way of tasks to it.
#[derive(Clone)]
struct Runtime {
    handle: Handle,
    inbox: Arc<Inbox>,
    gate: Arc<Gate>,
}

/// Tasks from other threads. A task that is handed to the runtime one by one wakes it one by one, and it would send a
/// command at a time; one that is put here goes with all others that are here when the runtime looks.
#[derive(Default)]
struct Inbox {
    tasks: SegQueue<Pin<Box<dyn Future<Output = ()> + Send + 'static>>>,
    /// The runtime knows that there are some.
    is_told: AtomicBool,
    told: Notify,
}

impl Inbox {
    fn tell(&self) {
        if !self.is_told.swap(true, Ordering::AcqRel) {
            self.told.notify_one();
        }
    }

    async fn empty(self: Arc<Self>) {
        loop {
            self.told.notified().await;
            // Before the queue is emptied: what is put in from here on tells again.
            self.is_told.store(false, Ordering::Release);
            while let Some(task) = self.tasks.pop() {
                drop(tokio::spawn(task));
            }
        }
    }
}

/// How many threads are about to fork.
static FORKS: AtomicUsize = AtomicUsize::new(0);

/// Lets the runtime's thread run, or not. Each runtime has its own: a forked process must not touch its parent's, whose lock
/// may be held by the thread that it does not have.
#[derive(Default)]
struct Gate {
    is_running: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.is_running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut is_running = self.lock();
        while FORKS.load(Ordering::SeqCst) > 0 {
            is_running = self.changed.wait(is_running).unwrap_or_else(PoisonError::into_inner);
        }
        *is_running = true;
    }

    fn rest(&self) {
        *self.lock() = false;
        // The thread rests all the time, and hardly ever does anybody fork: telling nobody is a system call too.
        if FORKS.load(Ordering::SeqCst) > 0 {
            self.changed.notify_all();
        }
    }

    /// Waits until the thread has nothing to do.
    fn wait_for_rest(&self) {
        drop(self.changed.wait_timeout_while(self.lock(), MOST_WAIT, |is_running| *is_running));
    }

    /// Nobody forks any more, or one fewer.
    fn look_again(&self) {
        // Who has looked already waits by now.
        drop(self.lock());
        self.changed.notify_all();
    }
}

/// To be called right before a fork, by the thread that forks.
#[pyfunction]
pub(crate) fn before_fork() {
    FORKS.fetch_add(1, Ordering::SeqCst);
    if let Some(runtime) = known() {
        runtime.gate.wait_for_rest();
    }
}

/// To be called right after a fork, in both processes.
#[pyfunction]
pub(crate) fn after_fork(is_child: bool) {
    if is_child {
        FORKS.store(0, Ordering::SeqCst);
        std::mem::forget(RUNTIME.lock().unwrap_or_else(PoisonError::into_inner).take());
        return;
    }
    // Before the hooks were there, a fork may have begun already.
    let _ = FORKS.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |forks| forks.checked_sub(1));
    if let Some(runtime) = known() {
        runtime.gate.look_again();
    }
}

/// The runtime, if there is one already.
fn known() -> Option<Runtime> {
    RUNTIME.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The runtime of this process. After a fork that called no hooks there would be none: Python's own forks do, and so does
/// what embeds it.
fn runtime() -> PyResult<Runtime> {
    let mut runtime = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = &*runtime {
        return Ok(runtime.clone());
    }
    let failed = |error: std::io::Error| {
        PyRuntimeError::new_err(format!("the thread for the shared tier could not be started: {error}"))
    };
    let gate = Arc::new(Gate::default());
    let (resting, going) = (Arc::clone(&gate), Arc::clone(&gate));
    let made = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .on_thread_park(move || resting.rest())
        .on_thread_unpark(move || going.run())
        .build()
        .map_err(failed)?;
    let inbox = Arc::new(Inbox::default());
    let started =
        Runtime { handle: made.handle().clone(), inbox: Arc::clone(&inbox), gate: Arc::clone(&gate) };
    std::thread::Builder::new()
        .name("hotplate".into())
        .spawn(move || {
            gate.run();
            made.block_on(inbox.empty());
        })
        .map_err(failed)?;
    *runtime = Some(started.clone());
    Ok(started)
}

/// Runs a task that ends with the process, unless it is aborted.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> PyResult<AbortHandle> {
    Ok(runtime()?.handle.spawn(task).abort_handle())
}

/// On the runtime's thread: has a task run behind those that are awake now. Elsewhere `false`, and nothing is done.
pub(crate) fn after_those_awake(task: impl Future<Output = ()> + Send + 'static) -> bool {
    Handle::try_current().map(|runtime| drop(runtime.spawn(task))).is_ok()
}

/// Has a task run, once [`flush`] is called, or with the next that is.
pub(crate) fn submit(task: impl Future<Output = ()> + Send + 'static) -> PyResult<()> {
    runtime()?.inbox.tasks.push(Box::pin(task));
    Ok(())
}

/// Tells the runtime of the tasks that were submitted.
pub(crate) fn flush() -> PyResult<()> {
    runtime()?.inbox.tell();
    Ok(())
}

/// Runs a task and waits for it with this thread, which others may use the interpreter meanwhile.
///
/// For code that has no event loop. Tasks of the shared tier have deadlines of their own.
pub(crate) fn wait<T: Send + 'static>(
    py: Python<'_>,
    task: impl Future<Output = T> + Send + 'static,
) -> PyResult<T> {
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    let receiver = Mutex::new(receiver);
    submit(async move {
        // Whoever waited may have been interrupted.
        let _ = sender.send(task.await);
    })?;
    flush()?;
    loop {
        let received =
            py.detach(|| receiver.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(GLANCE));
        match received {
            Ok(outcome) => return Ok(outcome),
            Err(RecvTimeoutError::Timeout) => py.check_signals()?,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(PyRuntimeError::new_err("a task of the shared tier did not end"));
            }
        }
    }
}

/// The runtime as the engine knows it.
pub(crate) struct OnRuntime;

impl Executor for OnRuntime {
    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send + 'static>>) {
        if let Ok(runtime) = Handle::try_current() {
            drop(runtime.spawn(task));
            return;
        }
        // A process that can start no thread goes on without the shared tier.
        drop(submit(task).and_then(|()| flush()));
    }

    fn work(&self, work: Box<dyn FnOnce() + Send + 'static>) {
        match runtime() {
            Ok(runtime) => drop(runtime.handle.spawn_blocking(work)),
            Err(_) => work(),
        }
    }
}
