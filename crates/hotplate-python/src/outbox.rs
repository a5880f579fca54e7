//! The send channel of a load: what it sends waits here for its client.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyDict, PyTuple};

use crate::exchange::{Exchange, Told};
use crate::sent::sent;

/// Tells an exchange what the application sends, and keeps for the client what that makes of it.
///
/// Called with a message it gives something to be awaited, as a coroutine function does. Nearly always there is nothing to
/// wait for. Where there may be, `send_on` decides: a coroutine function of the messages for the client (`None` for
/// none) and of whether more of the body follows.
#[pyclass(frozen, module = "hotplate._core")]
pub(crate) struct Outbox {
    exchange: Py<Exchange>,
    state: Mutex<State>,
}

struct State {
    messages: VecDeque<Py<PyDict>>,
    /// The future of a client who waits for the next message, or for the end.
    reader: Option<Py<PyAny>>,
    send_on: Option<Py<PyAny>>,
    /// The client's leaving is listened for; while it is not, `send_on` is to see what streams.
    is_watched: bool,
    /// The application waits to hear of it; `send_on` is to see what passes.
    is_asked: bool,
    /// Nobody reads; `send_on` is to see everything.
    is_left: bool,
    is_over: bool,
}

#[pymethods]
impl Outbox {
    #[new]
    fn new(exchange: Py<Exchange>, send_on: Py<PyAny>) -> Self {
        let state = State {
            messages: VecDeque::new(),
            reader: None,
            send_on: Some(send_on),
            is_watched: false,
            is_asked: false,
            is_left: false,
            is_over: false,
        };
        Self { exchange, state: Mutex::new(state) }
    }

    fn __call__<'py>(&self, message: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = message.py();
        let exchange = self.exchange.get();
        let Told { answer, more } = exchange.tell(message)?;
        let passes = exchange.passes(py);
        let mut state = self.state(py);
        // A stream that is not recorded is as slow as its client.
        if state.is_left || (passes && (more || state.is_asked)) || (more && !state.is_watched) {
            let send_on = state.send_on.as_ref().map(|send_on| send_on.bind(py).clone());
            drop(state);
            return match send_on {
                Some(send_on) => send_on.call1((answer.into_tuple(py)?, more)),
                None => sent(py),
            };
        }
        if !state.is_over {
            answer.each(|message| state.messages.push_back(message.unbind()));
            let reader = state.reader.take();
            drop(state);
            wake(py, reader)?;
        }
        sent(py)
    }

    /// Keeps messages for the client.
    fn put(&self, messages: &Bound<'_, PyTuple>) -> PyResult<()> {
        let py = messages.py();
        let messages = messages.extract::<Vec<Bound<'_, PyDict>>>()?;
        let reader = {
            let mut state = self.state(py);
            state.messages.extend(messages.into_iter().map(Bound::unbind));
            state.reader.take()
        };
        wake(py, reader)
    }

    /// The next message, or `None`.
    fn take<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyDict>> {
        self.state(py).messages.pop_front().map(|message| message.into_bound(py))
    }

    /// Has the future resolved when there is a message, or the end.
    fn wait(&self, py: Python<'_>, future: Py<PyAny>) {
        let before = self.state(py).reader.replace(future);
        drop(before);
    }

    /// The client's leaving is listened for: `send_on` need not see what streams only for that. Or it is not any more.
    fn watch(&self, py: Python<'_>, is_watched: bool) {
        self.state(py).is_watched = is_watched;
    }

    /// The application waits to hear of the client's leaving.
    fn ask(&self, py: Python<'_>) {
        self.state(py).is_asked = true;
    }

    /// Nobody reads any more: forgets what is kept.
    fn leave(&self, py: Python<'_>) {
        let messages = {
            let mut state = self.state(py);
            state.is_left = true;
            std::mem::take(&mut state.messages)
        };
        drop(messages);
    }

    /// The application is done; what it may still send is for nobody.
    fn end(&self, py: Python<'_>) -> PyResult<()> {
        let (reader, send_on) = {
            let mut state = self.state(py);
            state.is_over = true;
            (state.reader.take(), state.send_on.take())
        };
        drop(send_on);
        wake(py, reader)
    }

    /// How many messages are kept.
    fn __len__(&self, py: Python<'_>) -> usize {
        self.state(py).messages.len()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.exchange)?;
        // Held only for moments, and never while Python runs: who holds it now is another thread, and has a reference.
        if let Ok(state) = self.state.try_lock() {
            visit.call(&state.reader)?;
            visit.call(&state.send_on)?;
            for message in &state.messages {
                visit.call(message)?;
            }
        }
        Ok(())
    }

    fn __clear__(&self, py: Python<'_>) {
        let (reader, send_on) = {
            let mut state = self.state(py);
            (state.reader.take(), state.send_on.take())
        };
        drop((reader, send_on));
    }
}

impl Outbox {
    /// What is dropped is dropped after it: an object may run code of its own when it goes.
    fn state(&self, py: Python<'_>) -> MutexGuard<'_, State> {
        self.state.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner)
    }
}

/// Resolves the future of who waits, unless that one has gone.
fn wake(py: Python<'_>, reader: Option<Py<PyAny>>) -> PyResult<()> {
    let Some(reader) = reader else { return Ok(()) };
    let reader = reader.bind(py);
    if !reader.call_method0(intern!(py, "done"))?.is_truthy()? {
        reader.call_method1(intern!(py, "set_result"), (py.None(),))?;
    }
    Ok(())
}
