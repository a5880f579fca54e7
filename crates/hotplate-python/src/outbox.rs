//! Where what a load sends waits for its client.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyDict, PyTuple};

use crate::exchange::{Answer, Exchange, Told};
use crate::names;

/// Tells an exchange what the application sends, and keeps for the client what that makes of it.
#[pyclass(frozen, module = "hotplate._core")]
pub(crate) struct Outbox {
    exchange: Py<Exchange>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    messages: VecDeque<Py<PyDict>>,
    /// The future of a client who waits for the next message, or for the end.
    reader: Option<Py<PyAny>>,
    /// The end of the client's answer was sent, if only to a client who had left.
    is_complete: bool,
    /// Nobody reads any more.
    is_closed: bool,
}

#[pymethods]
impl Outbox {
    #[new]
    fn new(exchange: Py<Exchange>) -> Self {
        Self { exchange, state: Mutex::default() }
    }

    /// The application sends a message. Returns whether it was a part of the body that another one follows.
    fn tell(&self, message: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = message.py();
        let Told { answer, more, is_last } = self.exchange.get().tell(message)?;
        // The client gets it later, when the application may have put something else into the same object.
        let answer = answer.apart_from(message)?;
        let reader = {
            let mut state = self.state(py);
            state.is_complete |= is_last && !matches!(answer, Answer::Nothing);
            if state.is_closed {
                return Ok(more);
            }
            answer.each(|message| state.messages.push_back(message.unbind()));
            state.reader.take()
        };
        wake(py, reader)?;
        Ok(more)
    }

    /// Whether the end of the client's answer was sent, if only to a client who had left.
    #[getter]
    fn is_complete(&self, py: Python<'_>) -> bool {
        self.state(py).is_complete
    }

    /// Keeps messages for the client.
    fn put(&self, messages: &Bound<'_, PyTuple>) -> PyResult<()> {
        let py = messages.py();
        let messages = messages.extract::<Vec<Bound<'_, PyDict>>>()?;
        let reader = {
            let mut state = self.state(py);
            if state.is_closed {
                return Ok(());
            }
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

    /// Nobody reads any more: forgets what is kept, and keeps nothing from here on.
    fn close(&self, py: Python<'_>) {
        let messages = {
            let mut state = self.state(py);
            state.is_closed = true;
            std::mem::take(&mut state.messages)
        };
        drop(messages);
    }

    /// The application is done. Who waits is told, and what is sent from here on is for nobody.
    fn end(&self, py: Python<'_>) -> PyResult<()> {
        let reader = {
            let mut state = self.state(py);
            state.is_closed = true;
            state.reader.take()
        };
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
            for message in &state.messages {
                visit.call(message)?;
            }
        }
        Ok(())
    }

    fn __clear__(&self, py: Python<'_>) {
        let reader = self.state(py).reader.take();
        drop(reader);
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
    if !reader.call_method0(names::DONE.get(py))?.is_truthy()? {
        reader.call_method1(names::SET_RESULT.get(py), (py.None(),))?;
    }
    Ok(())
}
