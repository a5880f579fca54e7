//! The send channel of an application that runs for one client alone.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::exchange::{Answer, Exchange};

/// Tells an exchange what the application sends, and sends the client what that makes of it.
///
/// Called with a message it gives a coroutine: the one that the client's own channel gave, wherever one message goes out for
/// one that came in.
#[pyclass(frozen, module = "hotplate._core")]
pub(crate) struct Relay {
    exchange: Py<Exchange>,
    send: Py<PyAny>,
    /// A coroutine function of `send` and a tuple of messages.
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
        let send_each = self.send_each.bind(py);
        match exchange.tell(message)?.answer {
            Answer::Nothing => send_each.call1((send, ())),
            Answer::One(only) => send.call1((only,)),
            Answer::Two(first, second) => send_each.call1((send, (first, second))),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.exchange)?;
        visit.call(&self.send)?;
        visit.call(&self.send_each)
    }
}
