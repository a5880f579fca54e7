//! `hotplate.LocalCache`.

use pyo3::exceptions::{PyKeyError, PyTypeError};
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyIterator, PyList, PyTuple, PyType};

use super::claim::{Claim, Owner};
use super::index;
use super::store::Store;
use crate::cache::ManualClock;
use crate::convert;

/// Objects in this process under hashable keys: at most so many, and each for so long.
///
/// Used like a `dict` that forgets: what is asked for least goes first when room is needed, and nothing is found after its `ttl`.
/// Safe to use from any number of threads and tasks.
///
/// `maxsize`: how many entries there may be; `None` with `max_bytes` only. `ttl`: how long an entry lives unless it says
/// otherwise, in seconds, as a timedelta, or text such as "5m"; `None` for as long as there is room. `max_bytes`: what
/// all values may take together, by `weigh(value)`, which gives a value's bytes. `clock`: a
/// `hotplate.testing.ManualClock` for tests. A setting that cannot be meant raises `ConfigError`.
#[pyclass(frozen, weakref, generic, mapping, module = "hotplate._core")]
pub(crate) struct LocalCache {
    pub(super) store: Store,
}

#[pymethods]
impl LocalCache {
    #[new]
    #[pyo3(signature = (maxsize = Maxsize::Default, ttl = None, *, max_bytes = None, weigh = None, clock = None),
        text_signature = "(maxsize=1024, ttl=None, *, max_bytes=None, weigh=None, clock=None)")]
    fn new(
        py: Python<'_>,
        maxsize: Maxsize<'_>,
        ttl: Option<&Bound<'_, PyAny>>,
        max_bytes: Option<&Bound<'_, PyAny>>,
        weigh: Option<&Bound<'_, PyAny>>,
        clock: Option<&Bound<'_, ManualClock>>,
    ) -> PyResult<Self> {
        let none = py.None().into_bound(py);
        let maxsize = maxsize.given(py)?;
        Ok(Self { store: Store::new(&maxsize, ttl.unwrap_or(&none), max_bytes, weigh, clock)? })
    }

    fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        match self.store.find(key, index::of(key)?)? {
            Some(value) => Ok(value),
            None => Err(PyKeyError::new_err((key.clone().unbind(),))),
        }
    }

    fn __setitem__(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.store.put(key, value, None)
    }

    fn __delitem__(&self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        match self.store.remove(key)? {
            Some(_) => Ok(()),
            None => Err(PyKeyError::new_err((key.clone().unbind(),))),
        }
    }

    /// Whether there is a value. Not a use of it, and not counted.
    fn __contains__(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.store.peek(key, index::of(key)?)?.is_some())
    }

    /// How many values there are; walks over all of them if any has an end.
    fn __len__(&self) -> usize {
        self.store.len()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.keys(py)?.try_iter()
    }

    /// The value under `key`, or `default`.
    #[pyo3(signature = (key, /, default = None))]
    fn get<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.store.find(key, index::of(key)?)?.or(default))
    }

    /// Stores a value; `ttl` instead of the cache's.
    #[pyo3(signature = (key, value, /, ttl = None))]
    fn set(
        &self,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        ttl: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let ttl = match ttl {
            Some(ttl) => convert::duration("ttl", ttl)?,
            None => None,
        };
        self.store.put(key, value, ttl)
    }

    /// The value under `key`, or, if there is none, `default`, which is stored.
    #[pyo3(signature = (key, default = None, /))]
    fn setdefault<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = key.py();
        self.store.put_absent(key, &default.unwrap_or_else(|| py.None().into_bound(py)))
    }

    /// Takes the value under `key` out. Without one it gives `default`, or raises `KeyError` if none was given.
    #[pyo3(signature = (key, /, *default))]
    fn pop<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        default: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if default.len() > 1 {
            let given = default.len() + 1;
            return Err(PyTypeError::new_err(format!(
                "pop takes a key and at most one default, not {given} arguments"
            )));
        }
        match (self.store.remove(key)?, default.get_item(0)) {
            (Some(value), _) => Ok(value),
            (None, Ok(default)) => Ok(default),
            (None, Err(_)) => Err(PyKeyError::new_err((key.clone().unbind(),))),
        }
    }

    /// Takes everything out. What is being loaded is not stored any more. The numbers of `info` go on.
    fn clear(&self) {
        self.store.clear();
    }

    /// Stores what `other`, a mapping or pairs, and the keyword arguments have.
    #[pyo3(signature = (other = None, /, **more))]
    fn update(&self, other: Option<&Bound<'_, PyAny>>, more: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
        if let Some(other) = other {
            let pairs = PyDict::new(other.py());
            pairs.call_method1("update", (other,))?;
            self.put_all(&pairs)?;
        }
        more.map_or(Ok(()), |more| self.put_all(more))
    }

    /// The keys as they are now, in no order that means anything.
    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.store.entries(py).into_iter().map(|(key, _)| key))
    }

    /// The values as they are now.
    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.store.entries(py).into_iter().map(|(_, value)| value))
    }

    /// The pairs of key and value as they are now.
    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.store.entries(py))
    }

    /// The value under `key`, or what `loader()` gives, which is stored.
    ///
    /// Of several threads that ask for one key, one runs its loader and the others wait. What it raises, each of them raises, and
    /// nothing is stored. What is set, deleted or cleared meanwhile is not overwritten by it.
    #[pyo3(signature = (key, loader, /, ttl = None))]
    fn get_or_set<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        loader: &Bound<'py, PyAny>,
        ttl: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let index = index::of(key)?;
        if let Some(value) = self.store.find(key, index)? {
            return Ok(value);
        }
        let ttl = ttl.map_or(Ok(None), |ttl| convert::duration("ttl", ttl))?;
        self.store.load(key, index, ttl, || loader.call0())
    }

    /// As `get_or_set`, with a loader that is awaited: one load for each key among the tasks of an event loop.
    ///
    /// The load is a task of its own: whoever is cancelled, the others still get its value.
    #[pyo3(signature = (key, loader, /, ttl = None))]
    fn aget_or_set<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        loader: &Bound<'py, PyAny>,
        ttl: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        static AGET_OR_SET: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let py = slf.py();
        AGET_OR_SET.import(py, "hotplate.objects", "aget_or_set")?.call1((slf, key, loader, ttl))
    }

    /// A place in the load of `key` that `load` stands for.
    #[pyo3(signature = (key, load, ttl, /))]
    fn _claim(
        slf: &Bound<'_, Self>,
        key: &Bound<'_, PyAny>,
        load: &Bound<'_, PyAny>,
        ttl: &Bound<'_, PyAny>,
    ) -> PyResult<Claim> {
        let ttl = convert::duration("ttl", ttl)?;
        Claim::new(Owner::Cache(slf.clone().unbind()), key, index::of(key)?, ttl, load)
    }

    /// The numbers since the cache was made: hits, misses, evictions; and now: size (ended entries that nobody asked for
    /// since included), bytes.
    fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static INFO: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let numbers = self.store.numbers();
        let bytes = if self.store.is_weighed() { numbers.weight } else { 0 };
        let info = (numbers.hits, numbers.misses, numbers.evictions, numbers.entries, bytes);
        INFO.import(py, "hotplate.objects", "LocalCacheInfo")?.call1(info)
    }

    fn __repr__(&self) -> String {
        let bounds = self.store.bounds;
        let most: Vec<String> = [
            bounds.entries.map(|entries| format!("{entries} entries")),
            bounds.weight.map(|weight| format!("{weight} bytes")),
        ]
        .into_iter()
        .flatten()
        .collect();
        format!("<hotplate.LocalCache: {} of at most {}>", self.store.numbers().entries, most.join(" and "))
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err(
            "a LocalCache cannot be pickled or copied: it is of one process; send its items() or make another one there",
        ))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.store.traverse(&visit)
    }

    fn __clear__(&self) {
        self.store.clear();
    }
}

impl LocalCache {
    fn put_all(&self, pairs: &Bound<'_, PyDict>) -> PyResult<()> {
        // A copy: `__eq__` of a key may change the mapping.
        for pair in pairs.items() {
            let (key, value) = pair.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
            self.store.put(&key, &value, None)?;
        }
        Ok(())
    }
}

/// `maxsize` as it was given: `None` means something else than nothing.
pub(super) enum Maxsize<'py> {
    Default,
    Given(Bound<'py, PyAny>),
}

impl<'py> Maxsize<'py> {
    fn given(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::Default => Ok(1024_u32.into_pyobject(py)?.into_any()),
            Self::Given(maxsize) => Ok(maxsize),
        }
    }
}

impl<'py> FromPyObject<'_, 'py> for Maxsize<'py> {
    type Error = std::convert::Infallible;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> Result<Self, Self::Error> {
        Ok(Self::Given(given.to_owned()))
    }
}
