//! The send channel of an application that runs for one client alone.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::exchange::{Answer, Exchange};
use crate::sent::sent;

/// Tells an exchange what the application sends, and sends the client what that makes of it.
///
/// Called with a message it gives something to be awaited, as a coroutine function does: what the client's own channel
/// gave, wherever one message goes out for one that came in.
#[pyclass(frozen, module = "hotplate._core")]
pub(crate) struct Relay {
    exchange: Py<Exchange>,
    send: Py<PyAny>,
    /// A coroutine function of `send` and messages.
    send_each: Py<PyAny>,
}

#[pymethods]
impl Relay {
    #[new]
    fn new(exchange: Py<Exchange>, send: Py<PyAny>, send_each: Py<PyAny>) -> Self {
        Self { exchange, send, send_each }
    }

    fn __call__<'py>(&self, message: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = message.py();
        let exchange = self.exchange.get();
        let send = self.send.bind(py);
        if exchange.passes(py) {
            return send.call1((message,));
        }
        match exchange.tell(message)?.answer {
            Answer::Nothing => sent(py),
            Answer::One(only) => send.call1((only,)),
            Answer::Two(first, second) => self.send_each.bind(py).call1((send, (first, second))),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.exchange)?;
        visit.call(&self.send)?;
        visit.call(&self.send_each)
    }
}
