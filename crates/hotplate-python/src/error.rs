//! The one mapping of the engine's errors to Python's.

use hotplate::error::ConfigError;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

/// `hotplate.errors.ConfigError` with the engine's text.
pub(crate) fn config(py: Python<'_>, error: &ConfigError) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    match CLASS.import(py, "hotplate.errors", "ConfigError") {
        Ok(class) => PyErr::from_type(class.clone(), error.to_string()),
        Err(_) => PyValueError::new_err(error.to_string()),
    }
}
