//! What a send channel gives back where its caller has nothing to wait for.

use pyo3::exceptions::PyStopIteration;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;

/// A coroutine that has come to its end: awaited, it returns at once. It has no state, so one object does for all.
#[pyclass(frozen, module = "hotplate._core")]
struct Sent;

static SENT: PyOnceLock<Py<Sent>> = PyOnceLock::new();

/// The object.
pub(crate) fn sent(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    SENT.get_or_try_init(py, || Py::new(py, Sent)).map(|sent| sent.bind(py).clone().into_any())
}

#[pymethods]
impl Sent {
    fn __await__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    #[expect(clippy::unused_self, reason = "the protocol has it")]
    fn __next__(&self) -> Option<Py<PyAny>> {
        None
    }

    // With these, `asyncio` makes tasks of it as of any coroutine.

    #[expect(clippy::unused_self, reason = "the protocol has it")]
    fn send(&self, _value: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(PyStopIteration::new_err(()))
    }

    #[expect(clippy::unused_self, reason = "the protocol has it")]
    #[pyo3(signature = (exception, *_more))]
    fn throw(&self, exception: &Bound<'_, PyAny>, _more: &Bound<'_, PyTuple>) -> PyResult<()> {
        Err(PyErr::from_value(exception.clone()))
    }

    #[expect(clippy::unused_self, reason = "the protocol has it")]
    fn close(&self) {}
}
