//! A stored body that is the `bytes` object the application sent.

use bytes::Bytes;
use hotplate::entry::Body;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

/// Bytes owned by Python, readable without the interpreter.
pub(crate) struct PyBody(PyBackedBytes);

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
        Ok(Self(PyBackedBytes::from(bytes)))
    }

    /// The same object again, for a message.
    pub(crate) fn object<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        (&self.0).into_pyobject(py).map_err(PyErr::from)
    }
}

impl Body for PyBody {
    fn as_slice(&self) -> &[u8] {
        &self.0
    }

    fn join(mut chunks: Vec<Self>) -> Self {
        // An application that streams ends with an empty chunk; one that does not sends exactly one.
        chunks.retain(|chunk| !chunk.0.is_empty());
        if chunks.len() == 1
            && let Some(only) = chunks.pop()
        {
            return only;
        }
        Python::attach(|py| {
            let whole: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.0.iter().copied()).collect();
            Self(PyBackedBytes::from(PyBytes::new(py, &whole)))
        })
    }

    fn adopt(bytes: Bytes) -> Self {
        Python::attach(|py| Self(PyBackedBytes::from(PyBytes::new(py, &bytes))))
    }

    fn overhead_bytes(&self) -> usize {
        // The head of a `bytes` object and its closing zero.
        33
    }

    fn share(&self) -> Self {
        Python::attach(|py| Self(self.0.clone_ref(py)))
    }
}
