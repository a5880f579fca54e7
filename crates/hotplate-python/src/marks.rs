//! What stands for a value where there is none, or none yet: told apart from everything a function can return.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// `MISSING`: there is no value.
pub(crate) fn missing(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static MISSING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    mark(py, &MISSING)
}

/// `PENDING`: the future that was given is going to be resolved with it.
pub(crate) fn pending(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static PENDING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    mark(py, &PENDING)
}

fn mark<'py>(py: Python<'py>, made: &'static PyOnceLock<Py<PyAny>>) -> PyResult<&'py Bound<'py, PyAny>> {
    let object = || Ok::<_, PyErr>(py.import("builtins")?.getattr("object")?.call0()?.unbind());
    made.get_or_try_init(py, object).map(|made| made.bind(py))
}
