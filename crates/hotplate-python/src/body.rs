//! What is stored: the `bytes` object the application sent, or any object a function returned.
//!
//! # Dropping objects
//!
//! An object may run code of its own when it goes, and the engine drops bodies where that must not happen: with a lock
//! held, or on a thread without the interpreter. So an object that is not stored any more is laid aside, and dropped by
//! the next call from Python ([`free_unused`]).

use bytes::Bytes;
use crossbeam_queue::SegQueue;
use hotplate::entry::Body;
use hotplate::values::Form;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

static UNUSED: SegQueue<Py<PyAny>> = SegQueue::new();

/// Drops the objects that are not stored any more. To be called where any code may run.
pub(crate) fn free_unused(py: Python<'_>) {
    while let Some(object) = UNUSED.pop() {
        drop(object.into_bound(py));
    }
}

/// The content of an entry.
pub(crate) enum PyBody {
    /// Bytes owned by Python, readable without the interpreter.
    Bytes(PyBackedBytes),
    /// A value as it is.
    Object(Object),
}

/// An object, and what it is taken to weigh.
pub(crate) struct Object(Option<Py<PyAny>>, usize);

impl Drop for Object {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            UNUSED.push(object);
        }
    }
}

impl PyBody {
    /// The body of an ASGI message: `bytes`, or anything that offers its bytes.
    pub(crate) fn take(body: &Bound<'_, PyAny>) -> PyResult<Self> {
        let bytes = match body.cast_exact::<PyBytes>() {
            Ok(bytes) => bytes.clone(),
            // memoryview, bytearray: mutable or borrowed. A class of its own could run code where an entry is dropped.
            Err(_) => match body.cast::<PyBytes>() {
                Ok(subclass) => PyBytes::new(body.py(), subclass.as_bytes()),
                Err(_) => body.py().get_type::<PyBytes>().call1((body,))?.cast_into_exact::<PyBytes>()?,
            },
        };
        Ok(Self::Bytes(PyBackedBytes::from(bytes)))
    }

    /// A value as it is. `size`: what it weighs, in bytes.
    pub(crate) fn object_of(object: Bound<'_, PyAny>, size: usize) -> Self {
        Self::Object(Object(Some(object.unbind()), size))
    }

    /// Whether a value of this form has to be decoded first; `coded_only`: none is what it seems to be.
    pub(crate) fn is_coded(&self, form: Form, coded_only: bool) -> bool {
        (form == Form::Coded || coded_only) && matches!(self, Self::Bytes(_))
    }

    /// The same object again.
    pub(crate) fn value<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.into_pyobject(py)?.into_any()),
            Self::Object(Object(object, _)) => {
                Ok(object.as_ref().map_or_else(|| py.None(), |object| object.clone_ref(py)).into_bound(py))
            }
        }
    }

    /// The bytes object, for a message.
    pub(crate) fn object<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        match self {
            Self::Bytes(bytes) => bytes.into_pyobject(py).map_err(PyErr::from),
            // No response has one.
            Self::Object(_) => Ok(PyBytes::new(py, b"")),
        }
    }
}

impl Body for PyBody {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Object(_) => b"",
        }
    }

    fn join(mut chunks: Vec<Self>) -> Self {
        // An application that streams ends with an empty chunk; one that does not sends exactly one.
        chunks.retain(|chunk| !chunk.as_slice().is_empty());
        if chunks.len() == 1
            && let Some(only) = chunks.pop()
        {
            return only;
        }
        let parts: Vec<&[u8]> = chunks.iter().map(Body::as_slice).collect();
        Self::adopt(Bytes::from(parts.concat()))
    }

    fn adopt(bytes: Bytes) -> Self {
        Python::attach(|py| Self::Bytes(PyBackedBytes::from(PyBytes::new(py, &bytes))))
    }

    fn overhead_bytes(&self) -> usize {
        match self {
            // The head of a `bytes` object and its closing zero.
            Self::Bytes(_) => 33,
            Self::Object(Object(_, size)) => *size,
        }
    }

    fn share(&self) -> Self {
        Python::attach(|py| match self {
            Self::Bytes(bytes) => Self::Bytes(bytes.clone_ref(py)),
            Self::Object(Object(object, size)) => {
                Self::Object(Object(object.as_ref().map(|object| object.clone_ref(py)), *size))
            }
        })
    }
}
