//! A task's part in a load: whether it runs it, waits for another one's, or has its value already.

use std::time::Duration;

use hotplate::objects::Permit;
use pyo3::prelude::*;

use crate::marks::missing;
use pyo3::pyclass::{PyTraverseError, PyVisit};

use super::cache::LocalCache;
use super::index;
use super::load::By;
use super::memoize::Memo;
use super::store::Store;

/// Whose entry a claim is for.
pub(super) enum Owner {
    Cache(Py<LocalCache>),
    Memo(Py<Memo>),
}

impl Owner {
    fn store(&self) -> &Store {
        match self {
            Self::Cache(cache) => &cache.get().store,
            Self::Memo(memo) => &memo.get().store,
        }
    }
}

/// A place in the one load of a key. `leads`: the load that was given is the one; run it, then `store` or `release`.
/// `value`: what a load gave meanwhile, or `MISSING`. `other`: the load that is under way, to be awaited, or `None`.
/// Without any of these, run alone and `store`.
#[pyclass(frozen, module = "hotplate._core")]
pub(crate) struct Claim {
    owner: Owner,
    key: Py<PyAny>,
    index: u64,
    permit: Permit,
    ttl: Option<Duration>,
    #[pyo3(get)]
    leads: bool,
    value: Option<Py<PyAny>>,
    other: Option<Py<PyAny>>,
}

impl Claim {
    pub(super) fn new(
        owner: Owner,
        key: &Bound<'_, PyAny>,
        index: u64,
        ttl: Option<Duration>,
        load: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let py = key.py();
        let store = owner.store();
        let (permit, leads, other) = match store.begin(key, index, load) {
            Ok(permit) => (permit, true, None),
            Err(other) => {
                let task = match &other.by {
                    By::Task(task) if index::is_same(other.key(py), key)? => Some(task.clone_ref(py)),
                    By::Task(_) | By::Thread(_) => None,
                };
                (store.begin_alone(), false, task)
            }
        };
        let claim = Self { owner, key: key.clone().unbind(), index, permit, ttl, leads, value: None, other };
        // Another load may have ended after this one's miss. If looking fails, dropping the claim releases it.
        let value = if leads { claim.owner.store().peek(key, index)?.map(Bound::unbind) } else { None };
        if value.is_some() {
            claim.owner.store().was_a_hit();
            claim.release();
        }
        Ok(Self::with_value(claim, value))
    }

    fn with_value(mut claim: Self, value: Option<Py<PyAny>>) -> Self {
        claim.value = value;
        claim
    }
}

#[pymethods]
impl Claim {
    #[getter]
    fn value<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.value {
            Some(value) => Ok(value.bind(py).clone()),
            None => missing(py).cloned(),
        }
    }

    #[getter]
    fn other(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.other.as_ref().map(|other| other.clone_ref(py))
    }

    /// Stores what was loaded, unless somebody wrote, removed or cleared meanwhile.
    #[pyo3(signature = (value, /))]
    fn store(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.owner.store().end(self.key.bind(value.py()), self.index, self.permit, value, self.ttl)
    }

    /// Gives the place up: the next one who asks loads.
    fn release(&self) {
        self.owner.store().abandon(self.index, self.permit);
    }

    /// The load under way will never end: the next one who asks loads.
    fn outdate(&self) {
        self.owner.store().outdate(self.index);
    }

    /// The other load gave the value.
    fn joined(&self) {
        self.owner.store().was_a_hit();
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match &self.owner {
            Owner::Cache(cache) => visit.call(cache)?,
            Owner::Memo(memo) => visit.call(memo)?,
        }
        visit.call(&self.key)?;
        visit.call(&self.value)?;
        visit.call(&self.other)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.owner.store().abandon(self.index, self.permit);
    }
}
