//! A callable whose results are kept: what `hotplate.memoize` makes of a function.

use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};

use super::claim::{Claim, Owner};
use super::index;
use super::signature::Keys;
use super::store::Store;
use crate::cache::ManualClock;
use crate::marks::missing;
use crate::names;

/// A function, and its results by its arguments.
#[pyclass(frozen, dict, weakref, module = "hotplate._core")]
pub(crate) struct Memo {
    pub(super) store: Store,
    function: Py<PyAny>,
    keys: Keys,
}

#[pymethods]
impl Memo {
    /// `positional`: the parameters that can be given by position, as pairs of a name, or `None` where it cannot be given by name, and
    /// a tuple of the default, or of nothing.
    #[new]
    #[pyo3(signature = (function, positional, /, *, maxsize, ttl, weigh, max_bytes, typed, key, clock))]
    #[allow(clippy::too_many_arguments, reason = "the keyword arguments of memoize")]
    fn new(
        function: &Bound<'_, PyAny>,
        positional: Vec<(Option<Bound<'_, PyString>>, Bound<'_, PyTuple>)>,
        maxsize: &Bound<'_, PyAny>,
        ttl: &Bound<'_, PyAny>,
        weigh: Option<&Bound<'_, PyAny>>,
        max_bytes: Option<&Bound<'_, PyAny>>,
        typed: bool,
        key: Option<&Bound<'_, PyAny>>,
        clock: Option<&Bound<'_, ManualClock>>,
    ) -> PyResult<Self> {
        Ok(Self {
            store: Store::new(maxsize, ttl, max_bytes, weigh, clock)?,
            function: function.clone().unbind(),
            keys: Keys::new(key, typed, positional),
        })
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let key = self.keys.of(args, kwargs)?;
        let index = index::of(&key)?;
        if let Some(value) = self.store.find(&key, index)? {
            return Ok(value);
        }
        self.store.load(&key, index, None, || self.function.bind(args.py()).call(args, kwargs))
    }

    fn __get__<'py>(
        slf: &Bound<'py, Self>,
        instance: &Bound<'py, PyAny>,
        owner: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        static METHOD: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let _ = owner;
        if instance.is_none() {
            return Ok(slf.clone().into_any());
        }
        METHOD.import(slf.py(), "types", "MethodType")?.call1((slf, instance))
    }

    /// The result that is kept for these arguments, or `MISSING`.
    #[pyo3(signature = (args, kwargs = None, /))]
    fn find<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let key = self.keys.of(args, kwargs)?;
        match self.store.find(&key, index::of(&key)?)? {
            Some(value) => Ok(value),
            None => missing(args.py()).cloned(),
        }
    }

    /// As `find` for one argument that is given by position.
    #[pyo3(signature = (only, /))]
    fn find_one<'py>(&self, only: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let key = self.keys.of_one(only)?;
        match self.store.find(&key, index::of(&key)?)? {
            Some(value) => Ok(value),
            None => missing(only.py()).cloned(),
        }
    }

    /// A place in the load for these arguments that `load` stands for.
    #[pyo3(signature = (args, kwargs, load, /))]
    fn claim<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
        load: &Bound<'py, PyAny>,
    ) -> PyResult<Claim> {
        let key = slf.get().keys.of(args, Some(kwargs))?;
        Claim::new(Owner::Memo(slf.clone().unbind()), &key, index::of(&key)?, None, load)
    }

    /// Hits, misses, the most entries, and how many there are.
    fn cache_info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static INFO: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let numbers = self.store.numbers();
        let info = (numbers.hits, numbers.misses, self.store.bounds.entries, numbers.entries);
        INFO.import(py, "hotplate.objects", "CacheInfo")?.call1(info)
    }

    /// Forgets every result, and counts from zero. What is being computed is not kept.
    fn cache_clear(&self) {
        self.store.reset();
    }

    /// Forgets the result for these arguments. Returns whether there was one.
    #[pyo3(signature = (*args, **kwargs))]
    fn cache_discard<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<bool> {
        Ok(self.store.remove(&self.keys.of(args, kwargs)?)?.is_some())
    }

    /// The settings: maxsize, typed, ttl in seconds, max_bytes.
    fn cache_parameters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let parameters = PyDict::new(py);
        parameters.set_item("maxsize", self.store.bounds.entries)?;
        parameters.set_item("typed", self.keys.typed)?;
        parameters.set_item("ttl", self.store.ttl().map(|ttl| ttl.as_secs_f64()))?;
        parameters.set_item("max_bytes", self.store.bounds.weight)?;
        Ok(parameters)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("<hotplate.memoize of {}>", self.function.bind(py).repr()?))
    }

    /// By its name, as a function is.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.getattr(names::QUALNAME.get(slf.py()))
    }

    fn __copy__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, Self> {
        slf.clone()
    }

    fn __deepcopy__<'py>(slf: &Bound<'py, Self>, _memo: &Bound<'py, PyAny>) -> Bound<'py, Self> {
        slf.clone()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.function)?;
        if let Some(made) = self.keys.made() {
            visit.call(made)?;
        }
        for default in self.keys.defaults() {
            visit.call(default)?;
        }
        self.store.traverse(&visit)
    }

    fn __clear__(&self) {
        self.store.clear();
    }
}
