//! One load for each key: who runs it, and how others wait for it.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};

/// How long a thread waits before it looks whether it was interrupted.
const INTERRUPTIBLE: Duration = Duration::from_millis(100);

/// A load that is under way.
pub(super) struct Load {
    key: Py<PyAny>,
    pub(super) by: By,
}

/// What runs it.
pub(super) enum By {
    /// A thread, for whose end other threads wait.
    Thread(Flight),
    /// A task of an event loop: what `hotplate.objects` made for it.
    Task(Py<PyAny>),
}

impl Load {
    pub(super) fn by_this_thread(key: &Bound<'_, PyAny>) -> Self {
        let flight = Flight {
            owner: thread::current().id(),
            process: std::process::id(),
            outcome: Mutex::new(None),
            ended: Condvar::new(),
        };
        Self { key: key.clone().unbind(), by: By::Thread(flight) }
    }

    pub(super) fn by_task(key: &Bound<'_, PyAny>, task: &Bound<'_, PyAny>) -> Self {
        Self { key: key.clone().unbind(), by: By::Task(task.clone().unbind()) }
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.key)?;
        match &self.by {
            By::Thread(_) => Ok(()),
            By::Task(task) => visit.call(task),
        }
    }

    /// Its key: another one may have the same index.
    pub(super) fn key<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.key.bind(py)
    }

    /// Tells everybody who waits how it ended.
    pub(super) fn tell(&self, outcome: Outcome) {
        if let By::Thread(flight) = &self.by {
            *lock(&flight.outcome) = Some(outcome);
            flight.ended.notify_all();
        }
    }

    /// How the load ended, as soon as it has: waits without the interpreter. `None` if this thread cannot wait for it,
    /// because it runs in this very thread, or waits for it, or was left behind by a fork.
    pub(super) fn wait(self: &Arc<Self>, py: Python<'_>) -> PyResult<Option<Outcome>> {
        let By::Thread(flight) = &self.by else { return Ok(None) };
        if flight.process != std::process::id() {
            return Ok(None);
        }
        let Some(waiting) = Waiting::begin(self) else { return Ok(None) };
        loop {
            let has_ended = py.detach(|| {
                let outcome = lock(&flight.outcome);
                let waited = flight.ended.wait_timeout_while(outcome, INTERRUPTIBLE, |told| told.is_none());
                waited.unwrap_or_else(PoisonError::into_inner).0.is_some()
            });
            if has_ended {
                drop(waiting);
                return Ok(lock(&flight.outcome).as_ref().map(|outcome| outcome.clone_ref(py)));
            }
            py.check_signals()?;
        }
    }
}

/// What threads wait for.
pub(super) struct Flight {
    owner: ThreadId,
    process: u32,
    outcome: Mutex<Option<Outcome>>,
    ended: Condvar,
}

/// How a load ended.
pub(super) enum Outcome {
    Value(Py<PyAny>),
    Raised(PyErr),
    /// Without a result for others: its thread was told to end.
    Nothing,
}

impl Outcome {
    fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            Self::Value(value) => Self::Value(value.clone_ref(py)),
            Self::Raised(error) => Self::Raised(error.clone_ref(py)),
            Self::Nothing => Self::Nothing,
        }
    }
}

/// Which load each waiting thread waits for.
static WAITING: LazyLock<Mutex<HashMap<ThreadId, Arc<Load>>>> = LazyLock::new(Mutex::default);

/// This thread waits.
struct Waiting;

impl Waiting {
    /// `None` if the load waits for this thread, over however many others: neither would ever go on.
    fn begin(load: &Arc<Load>) -> Option<Self> {
        let own = thread::current().id();
        let mut waiting = lock(&WAITING);
        let mut next = load;
        while let By::Thread(flight) = &next.by {
            if flight.owner == own {
                return None;
            }
            match waiting.get(&flight.owner) {
                Some(further) => next = further,
                None => break,
            }
        }
        let replaced = waiting.insert(own, Arc::clone(load));
        drop(waiting);
        drop(replaced);
        Some(Self)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let removed = lock(&WAITING).remove(&thread::current().id());
        drop(removed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
