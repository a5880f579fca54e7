//! What a lookup found to be done, where that is neither to send two messages nor to run the application.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};
use std::thread::{self, ThreadId};

use hotplate::cache::Outcome;
use hotplate::exchange::Seek;
use hotplate::fill::{End, Ticket};
use hotplate::share::Sought;
use hotplate_policy::time::Timestamp;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use crate::body::PyBody;
use crate::bridge::{Asker, Bridge};
use crate::exchange::Exchange;
use crate::names;
use crate::timing::Began;

/// What is to be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Stale,
    Seek,
    Wait,
    Raised,
    NeedBody,
}

/// `kind` says what to do, and with it which of the other parts are there:
///
/// | kind | meaning | parts |
/// | --- | --- | --- |
/// | `stale` | send `messages`, then load on a task of its own | `exchange`, `messages` |
/// | `seek` | look in the shared tier (`start`), wait, look up again with this step | |
/// | `wait` | subscribe, wait, look up again with this step | |
/// | `raised` | raise `error`: the load this request waited for raised it | `error` |
/// | `need-body` | read at most `limit` bytes of body, look up again with it and this step | `limit` |
#[pyclass(frozen, module = "hotplate._core")]
pub(crate) struct Step {
    pub(crate) kind: Kind,
    pub(crate) exchange: Option<Py<Exchange>>,
    pub(crate) messages: Option<Py<PyTuple>>,
    /// Of `raised`, until it is raised.
    pub(crate) error: Mutex<Option<PyErr>>,
    #[pyo3(get)]
    pub(crate) limit: usize,
    pub(crate) ticket: Mutex<Option<Ticket<Outcome<PyBody>>>>,
    /// What is looked for in the shared tier, and, later, what was found.
    pub(crate) seek: Mutex<Option<Seek<PyBody>>>,
    pub(crate) sought: Mutex<Option<Sought>>,
    /// Nobody will come for it.
    pub(crate) abandoned: AtomicBool,
    pub(crate) waits: u8,
    /// When the request came.
    pub(crate) since: Timestamp,
    /// The same, to measure from.
    pub(crate) began: Began,
}

impl Step {
    pub(crate) fn new(kind: Kind, waits: u8, since: Timestamp, began: Began) -> Self {
        Self {
            kind,
            exchange: None,
            messages: None,
            error: Mutex::new(None),
            limit: 0,
            ticket: Mutex::new(None),
            seek: Mutex::new(None),
            sought: Mutex::new(None),
            abandoned: AtomicBool::new(false),
            waits,
            since,
            began,
        }
    }

    /// The shared tier has answered.
    pub(crate) fn found(&self, sought: Sought) {
        if !self.abandoned.load(Ordering::Acquire) {
            *self.sought.lock().unwrap_or_else(PoisonError::into_inner) = Some(sought);
        }
    }

    /// The deadline came before the shared tier's answer.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.kind == Kind::Seek && self.sought.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// What was looked for and what was found; there once, and not before the shared tier has answered.
    pub(crate) fn take_sought(&self) -> Option<(Seek<PyBody>, Sought)> {
        let sought = self.sought.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some((self.seek.lock().unwrap_or_else(PoisonError::into_inner).take()?, sought))
    }

    /// How the load waited for ended, or `None` while it has not; there once, as an exception is ([`Step::error`]).
    pub(crate) fn take_end(&self) -> Option<End<Outcome<PyBody>>> {
        let mut ticket = self.ticket.lock().unwrap_or_else(PoisonError::into_inner);
        let end = ticket.as_ref().and_then(Ticket::try_end)?;
        *ticket = None;
        Some(end)
    }
}

#[pymethods]
impl Step {
    #[getter]
    fn kind<'py>(&self, py: Python<'py>) -> &Bound<'py, PyString> {
        match self.kind {
            Kind::Stale => names::STALE.get(py),
            Kind::Seek => names::SEEK.get(py),
            Kind::Wait => names::WAIT.get(py),
            Kind::Raised => names::RAISED.get(py),
            Kind::NeedBody => names::NEED_BODY.get(py),
        }
    }

    #[getter]
    fn exchange(&self, py: Python<'_>) -> PyResult<Py<Exchange>> {
        match &self.exchange {
            Some(exchange) => Ok(exchange.clone_ref(py)),
            None => Err(pyo3::exceptions::PyAttributeError::new_err("this step has no exchange")),
        }
    }

    #[getter]
    fn messages(&self, py: Python<'_>) -> PyResult<Py<PyTuple>> {
        match &self.messages {
            Some(messages) => Ok(messages.clone_ref(py)),
            None => Err(pyo3::exceptions::PyAttributeError::new_err("this step has no messages")),
        }
    }

    /// There once. Raised, it holds this step, in the frames of its traceback: that must not hold it, too, for the
    /// collector does not look in here.
    #[getter]
    fn error(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.error.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Ok(error.into_value(py).into_any()),
            None => Err(pyo3::exceptions::PyAttributeError::new_err("this step has no error")),
        }
    }

    /// Looks in the shared tier; `future` is resolved on the loop of `bridge`. Returns `False` if there is nothing to wait for.
    fn start(this: &Bound<'_, Self>, bridge: &Bound<'_, Bridge>, future: Bound<'_, PyAny>) -> PyResult<bool> {
        let py = this.py();
        let step = this.get();
        let job = match &step.exchange {
            // A refresh: what is seen of it is told to its exchange.
            Some(exchange) => exchange.get().refresh_job(py),
            None => step.seek.lock().unwrap_or_else(PoisonError::into_inner).as_mut().and_then(Seek::job),
        };
        let Some(job) = job else { return Ok(false) };
        let step = this.clone().unbind();
        Bridge::seek(bridge, future, Asker::Request(step), job)?;
        Ok(true)
    }

    /// The request is gone: another one may lead. What the step still holds is given up, although it may live on in a
    /// traceback.
    pub(crate) fn abandon(&self, py: Python<'_>) {
        self.abandoned.store(true, Ordering::Release);
        drop(self.seek.lock().unwrap_or_else(PoisonError::into_inner).take());
        drop(self.sought.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(exchange) = &self.exchange {
            exchange.get().abandon(py);
        }
    }

    /// After `start` of a refresh: whether the application is to be run.
    fn is_mine(&self, py: Python<'_>) -> bool {
        let sought = self.sought.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (&self.exchange, sought) {
            (Some(exchange), Some(sought)) => exchange.get().refreshed(py, sought),
            _ => true,
        }
    }

    /// Has `resolve(future)` called on `event_loop` when the load ends. Returns `False` if it has ended already.
    fn subscribe(&self, event_loop: Py<PyAny>, resolve: Py<PyAny>, future: Py<PyAny>) -> bool {
        let waker = LoopWaker::waker(event_loop, resolve, future);
        let mut ticket = self.ticket.lock().unwrap_or_else(PoisonError::into_inner);
        match ticket.as_mut() {
            Some(ticket) => Pin::new(ticket).poll(&mut Context::from_waker(&waker)).is_pending(),
            None => false,
        }
    }
}

/// Wakes a coroutine of one event loop, from that loop's thread or any other.
pub(crate) struct LoopWaker {
    event_loop: Py<PyAny>,
    resolve: Py<PyAny>,
    future: Py<PyAny>,
    thread: ThreadId,
}

impl LoopWaker {
    /// Has `resolve(future)` called on `event_loop`.
    pub(crate) fn waker(event_loop: Py<PyAny>, resolve: Py<PyAny>, future: Py<PyAny>) -> Waker {
        Waker::from(Arc::new(Self { event_loop, resolve, future, thread: thread::current().id() }))
    }
}

impl Wake for LoopWaker {
    fn wake(self: Arc<Self>) {
        Python::attach(|py| {
            let call = if thread::current().id() == self.thread {
                names::CALL_SOON.get(py)
            } else {
                names::CALL_SOON_THREADSAFE.get(py)
            };
            let woken = self.event_loop.bind(py).call_method1(call, (&self.resolve, &self.future));
            // A loop that is closed has nobody left to wake.
            drop(woken);
        });
    }
}
