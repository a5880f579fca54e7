//! What is found under a name: an object, or what another process wrote, which is to be decoded.

use std::sync::Arc;

use hotplate::entry::Entry;
use hotplate::key::Key;
use hotplate::share::Sought;
use hotplate::values::Form;
use pyo3::prelude::*;

use super::Core;
use crate::body::{self, PyBody};
use crate::marks;
use crate::timing::Began;

/// A value that is being looked for.
pub(crate) struct Sighted {
    cache: Core,
    key: Key,
}

impl Sighted {
    pub(super) fn new(cache: &Core, key: Key) -> Self {
        Self { cache: Arc::clone(cache), key }
    }

    /// What was found of it, just after `moment`: an object, [`Stored`] bytes to be decoded, or `MISSING`.
    pub(crate) fn land<'py>(
        &self,
        py: Python<'py>,
        sought: Sought,
        moment: Began,
    ) -> PyResult<Bound<'py, PyAny>> {
        match self.cache.landed_value(self.key, sought, self.cache.at(moment.moment())) {
            Some(entry) => value(py, &self.cache, self.key, &entry),
            None => marks::missing(py).cloned(),
        }
    }
}

/// Whether a value has to be decoded before it can be used.
pub(super) fn is_coded(cache: &Core, entry: &Entry<PyBody>) -> bool {
    entry.body().is_coded(Form::of(entry), cache.is_coded_only())
}

/// The object of a stored value; what is not decoded yet is [`Stored`].
pub(super) fn value<'py>(
    py: Python<'py>,
    cache: &Core,
    key: Key,
    entry: &Arc<Entry<PyBody>>,
) -> PyResult<Bound<'py, PyAny>> {
    if is_coded(cache, entry) {
        let stored = Stored { cache: Arc::clone(cache), key, entry: Arc::clone(entry) };
        return Ok(Bound::new(py, stored)?.into_any());
    }
    entry.body().value(py)
}

/// A value as another process wrote it.
#[pyclass(frozen, module = "hotplate._core")]
pub(crate) struct Stored {
    cache: Core,
    key: Key,
    entry: Arc<Entry<PyBody>>,
}

#[pymethods]
impl Stored {
    /// What the codec wrote.
    #[getter]
    fn data<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.entry.body().value(py)
    }

    /// It is decoded: the next one who asks finds the object.
    fn keep(&self, value: Bound<'_, PyAny>, size: usize) {
        let py = value.py();
        self.cache.keep_decoded(self.key, &self.entry, PyBody::object_of(value, size));
        body::free_unused(py);
    }

    /// It cannot be decoded: counted.
    fn reject(&self) {
        self.cache.count_undecodable();
    }
}
