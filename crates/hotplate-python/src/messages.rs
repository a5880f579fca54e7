//! Answers as ASGI messages.

use hotplate::entry::Body;
use hotplate::exchange::{Content, Edits, Response};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use crate::body::PyBody;
use crate::names::Name;
use crate::{names, pair, scope};

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
    let start = new_start(py)?;
    if response.status() != 200 {
        start.set_item(names::STATUS.get(py), response.status())?;
    }
    start.set_item(names::HEADERS.get(py), PyList::new(py, headers)?)?;
    let content = match (response.content(), response.stored_body()) {
        (Content::Whole, Some(body)) => body.object(py)?,
        (Content::Part(range), Some(body)) => {
            PyBytes::new(py, body.as_slice().get(range.clone()).unwrap_or_default())
        }
        (Content::Made(bytes), _) => PyBytes::new(py, bytes),
        _ => PyBytes::new(py, b""),
    };
    let body = new_body(py)?;
    body.set_item(names::BODY.get(py), content)?;
    Ok((start, body))
}

static START: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
static BODY: PyOnceLock<Py<PyDict>> = PyOnceLock::new();

/// Makes what all messages are copied from: when the module is imported, as [`names`] are.
pub(crate) fn prepare(py: Python<'_>) -> PyResult<()> {
    new_start(py)?;
    new_body(py).map(drop)
}

/// With the status 200.
fn new_start(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    template(py, &START, &names::RESPONSE_START, (&names::STATUS, 200))
}

/// The last one.
fn new_body(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    template(py, &BODY, &names::RESPONSE_BODY, (&names::MORE_BODY, false))
}

/// A new message with what all of its type have: to copy a dictionary takes half of what it takes to fill one.
fn template<'py>(
    py: Python<'py>,
    kept: &PyOnceLock<Py<PyDict>>,
    type_name: &Name,
    (key, value): (&Name, impl IntoPyObject<'py>),
) -> PyResult<Bound<'py, PyDict>> {
    let first = kept.get_or_try_init(py, || {
        let message = PyDict::new(py);
        message.set_item(names::TYPE.get(py), type_name.get(py))?;
        message.set_item(key.get(py), value)?;
        PyResult::Ok(message.unbind())
    })?;
    first.bind(py).copy()
}

/// The application's `http.response.start`, with field lines that can be read more than once.
pub(crate) fn with_lasting_headers<'py>(start: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyDict>> {
    let py = start.py();
    let headers = start.get_item(names::HEADERS.get(py))?;
    let Some(once) = headers.filter(|headers| !headers.is_instance_of::<PyList>()) else {
        return Ok(start.clone());
    };
    let copy = start.copy()?;
    copy.set_item(names::HEADERS.get(py), py.get_type::<PyList>().call1((once,))?)?;
    Ok(copy)
}

/// A copy of a message, with a body that cannot change any more.
pub(crate) fn copied<'py>(message: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyDict>> {
    let py = message.py();
    let copy = message.copy()?;
    let body = message.get_item(names::BODY.get(py))?;
    if let Some(body) = body.filter(|body| !body.is_instance_of::<PyBytes>()) {
        copy.set_item(names::BODY.get(py), py.get_type::<PyBytes>().call1((body,))?)?;
    }
    Ok(copy)
}

/// A copy of the application's `http.response.start` with the edits applied.
pub(crate) fn edited<'py>(start: &Bound<'py, PyDict>, edits: &Edits) -> PyResult<Bound<'py, PyDict>> {
    let py = start.py();
    let headers = PyList::empty(py);
    if let Some(given) = start.get_item(names::HEADERS.get(py))? {
        if edits.replaces_none() {
            headers.call_method1(names::EXTEND.get(py), (given,))?;
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
    copy.set_item(names::HEADERS.get(py), headers)?;
    Ok(copy)
}
