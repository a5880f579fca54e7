//! Answers as ASGI messages.

use hotplate::entry::Body;
use hotplate::exchange::{Content, Edits, Response};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use crate::body::PyBody;
use crate::{pair, scope};

/// The two messages of a complete answer, as a tuple.
pub(crate) fn answer<'py>(py: Python<'py>, response: &Response<PyBody>) -> PyResult<Bound<'py, PyTuple>> {
    let (start, body) = two(py, response)?;
    PyTuple::new(py, [start, body])
}

/// The two messages of a complete answer.
pub(crate) fn two<'py>(
    py: Python<'py>,
    response: &Response<PyBody>,
) -> PyResult<(Bound<'py, PyDict>, Bound<'py, PyDict>)> {
    let mut headers = Vec::with_capacity(12);
    let mut failed = None;
    response.fields(|name, value| match pair::of(py, name, value) {
        Ok(pair) => headers.push(pair),
        Err(error) => failed = Some(error),
    });
    if let Some(error) = failed {
        return Err(error);
    }
    let start = template(py, &START, "http.response.start", ("status", 200))?;
    if response.status() != 200 {
        start.set_item(intern!(py, "status"), response.status())?;
    }
    start.set_item(intern!(py, "headers"), PyList::new(py, headers)?)?;
    let content = match (response.content(), response.stored_body()) {
        (Content::Whole, Some(body)) => body.object(py)?,
        (Content::Part(range), Some(body)) => {
            PyBytes::new(py, body.as_slice().get(range.clone()).unwrap_or_default())
        }
        (Content::Made(bytes), _) => PyBytes::new(py, bytes),
        _ => PyBytes::new(py, b""),
    };
    let body = template(py, &BODY, "http.response.body", ("more_body", false))?;
    body.set_item(intern!(py, "body"), content)?;
    Ok((start, body))
}

static START: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
static BODY: PyOnceLock<Py<PyDict>> = PyOnceLock::new();

/// A new message with what all of its type have: to copy a dictionary takes half of what it takes to fill one.
fn template<'py>(
    py: Python<'py>,
    kept: &PyOnceLock<Py<PyDict>>,
    type_name: &str,
    (key, value): (&str, impl IntoPyObject<'py>),
) -> PyResult<Bound<'py, PyDict>> {
    let first = kept.get_or_try_init(py, || {
        let message = PyDict::new(py);
        message.set_item(intern!(py, "type"), type_name)?;
        message.set_item(PyString::intern(py, key), value)?;
        PyResult::Ok(message.unbind())
    })?;
    first.bind(py).copy()
}

/// A copy of the application's `http.response.start` with the edits applied.
pub(crate) fn edited<'py>(start: &Bound<'py, PyDict>, edits: &Edits) -> PyResult<Bound<'py, PyDict>> {
    let py = start.py();
    let headers = PyList::empty(py);
    if let Some(given) = start.get_item(intern!(py, "headers"))? {
        if edits.replaces_none() {
            headers.call_method1(intern!(py, "extend"), (given,))?;
        } else {
            for item in given.try_iter()? {
                let item = item?;
                let (name, _) = scope::line(&item)?;
                if !edits.replaces(name.as_bytes()) {
                    headers.append(item)?;
                }
            }
        }
    }
    for (name, value) in &edits.append {
        headers.append(pair::of(py, name.as_bytes(), value)?)?;
    }
    let copy = start.copy()?;
    copy.set_item(intern!(py, "headers"), headers)?;
    Ok(copy)
}
