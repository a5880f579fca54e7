//! Answers as ASGI messages.

use hotplate::entry::Body;
use hotplate::exchange::{Content, Edits, Response};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use crate::body::PyBody;
use crate::scope;

/// The two messages of a complete answer.
pub(crate) fn answer<'py>(py: Python<'py>, response: &Response<PyBody>) -> PyResult<Bound<'py, PyTuple>> {
    let headers = PyList::empty(py);
    let mut failed: PyResult<()> = Ok(());
    response.fields(|name, value| {
        if failed.is_ok() {
            failed = append(&headers, name, value);
        }
    });
    failed?;
    let start = PyDict::new(py);
    start.set_item(intern!(py, "type"), intern!(py, "http.response.start"))?;
    start.set_item(intern!(py, "status"), response.status())?;
    start.set_item(intern!(py, "headers"), headers)?;
    let content = match (response.content(), response.stored_body()) {
        (Content::Whole, Some(body)) => body.object(py)?,
        (Content::Part(range), Some(body)) => {
            PyBytes::new(py, body.as_slice().get(range.clone()).unwrap_or_default())
        }
        (Content::Made(bytes), _) => PyBytes::new(py, bytes),
        _ => PyBytes::new(py, b""),
    };
    let body = PyDict::new(py);
    body.set_item(intern!(py, "type"), intern!(py, "http.response.body"))?;
    body.set_item(intern!(py, "body"), content)?;
    body.set_item(intern!(py, "more_body"), false)?;
    PyTuple::new(py, [start, body])
}

/// A copy of the application's `http.response.start` with the edits applied.
pub(crate) fn edited<'py>(start: &Bound<'py, PyDict>, edits: &Edits) -> PyResult<Bound<'py, PyDict>> {
    let py = start.py();
    let headers = PyList::empty(py);
    if let Some(given) = start.get_item(intern!(py, "headers"))? {
        for (name, value) in scope::lines(&given)? {
            if !edits.replaces(name.as_bytes()) {
                headers.append((name, value))?;
            }
        }
    }
    for (name, value) in &edits.append {
        append(&headers, name.as_bytes(), value)?;
    }
    let copy = start.copy()?;
    copy.set_item(intern!(py, "headers"), headers)?;
    Ok(copy)
}

fn append(headers: &Bound<'_, PyList>, name: &[u8], value: &[u8]) -> PyResult<()> {
    let py = headers.py();
    headers.append((name_object(py, name), PyBytes::new(py, value)))
}

/// The names nearly every answer has, made once: a hit makes one object less for each.
const KNOWN: [&[u8]; 12] = [
    b"age",
    b"etag",
    b"vary",
    b"link",
    b"expires",
    b"x-cache",
    b"cache-status",
    b"content-type",
    b"cache-control",
    b"last-modified",
    b"content-length",
    b"content-encoding",
];

fn name_object<'py>(py: Python<'py>, name: &[u8]) -> Bound<'py, PyBytes> {
    static OBJECTS: PyOnceLock<Vec<Py<PyBytes>>> = PyOnceLock::new();
    let Some(place) = KNOWN.iter().position(|known| *known == name) else { return PyBytes::new(py, name) };
    let objects =
        OBJECTS.get_or_init(py, || KNOWN.iter().map(|known| PyBytes::new(py, known).unbind()).collect());
    match objects.get(place) {
        Some(object) => object.bind(py).clone(),
        None => PyBytes::new(py, name),
    }
}
