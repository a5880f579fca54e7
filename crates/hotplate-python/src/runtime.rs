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
use std::process;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hotplate::share::Executor;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::runtime::{Builder, Handle};
use tokio::task::AbortHandle;

/// How long a fork waits for the thread to have nothing to do.
const MOST_WAIT: Duration = Duration::from_secs(1);

/// The runtime of the process with this number.
static RUNTIME: Mutex<Option<(u32, Handle)>> = Mutex::new(None);

static GATE: Gate = Gate { state: Mutex::new(State { running: false, forks: 0 }), changed: Condvar::new() };

/// Lets the runtime's thread run, or not.
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    running: bool,
    /// How many threads are about to fork.
    forks: usize,
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut state = self.lock();
        while state.forks > 0 {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.running = true;
    }

    fn rest(&self) {
        self.lock().running = false;
        self.changed.notify_all();
    }
}

/// To be called right before a fork, by the thread that forks.
#[pyfunction]
pub(crate) fn before_fork() {
    let mut state = GATE.lock();
    state.forks += 1;
    let waited = GATE.changed.wait_timeout_while(state, MOST_WAIT, |state| state.running);
    drop(waited);
}

/// To be called right after a fork, in both processes.
#[pyfunction]
pub(crate) fn after_fork(is_child: bool) {
    let mut state = GATE.lock();
    state.forks = state.forks.saturating_sub(1);
    if is_child {
        state.running = false;
        state.forks = 0;
        drop(state);
        std::mem::forget(RUNTIME.lock().unwrap_or_else(PoisonError::into_inner).take());
    } else {
        drop(state);
    }
    GATE.changed.notify_all();
}

/// The runtime of this process.
fn handle() -> PyResult<Handle> {
    let mut runtime = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    let pid = process::id();
    if let Some((owner, handle)) = &*runtime {
        if *owner == pid {
            return Ok(handle.clone());
        }
        // Forked by something that told nobody.
        std::mem::forget(runtime.take());
    }
    let failed = |error: std::io::Error| {
        PyRuntimeError::new_err(format!("the thread for the shared tier could not be started: {error}"))
    };
    let made = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .on_thread_park(|| GATE.rest())
        .on_thread_unpark(|| GATE.run())
        .build()
        .map_err(failed)?;
    let handle = made.handle().clone();
    std::thread::Builder::new()
        .name("hotplate".into())
        .spawn(move || {
            GATE.run();
            made.block_on(std::future::pending::<()>());
        })
        .map_err(failed)?;
    *runtime = Some((pid, handle.clone()));
    Ok(handle)
}

/// Runs a task that ends with the process, unless it is aborted.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> PyResult<AbortHandle> {
    Ok(handle()?.spawn(task).abort_handle())
}

/// The runtime as the engine knows it.
pub(crate) struct OnRuntime;

impl Executor for OnRuntime {
    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send + 'static>>) {
        // A process that can start no thread goes on without the shared tier.
        drop(spawn(task));
    }

    fn work(&self, work: Box<dyn FnOnce() + Send + 'static>) {
        match handle() {
            Ok(runtime) => drop(runtime.spawn_blocking(work)),
            Err(_) => work(),
        }
    }
}
