//! What can be seen of a running cache, as JSON: the engine's views, given to whoever shows them.

use std::sync::Arc;

use hotplate::cache::Cache;
use hotplate::entry::Entry;
use hotplate::key::Key;
use hotplate::log::Target;
use hotplate::share::Sought;
use hotplate::watch::view::{Stands, View, Viewed, Where};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use serde::Serialize;

use crate::body::PyBody;
use crate::bridge::{Asker, Bridge, Done, run_here, settle};
use crate::cache::{CacheCore, check_paths, targets};
use crate::connection::Connection;
use crate::marks;

type Core = Arc<Cache<PyBody>>;

/// Looks at a cache. What looks at everything that is stored gives way to other threads meanwhile.
#[pyclass(frozen, module = "hotplate._core")]
pub(crate) struct WatchCore {
    cache: Core,
    connection: Connection,
}

#[pymethods]
impl WatchCore {
    #[new]
    fn new(core: &CacheCore) -> Self {
        Self { cache: Arc::clone(&core.cache), connection: core.connection.clone() }
    }

    /// The numbers of this process, as JSON. `with_top`: also what is used most, for which everything is looked at.
    fn report<'py>(&self, py: Python<'py>, with_top: bool) -> Bound<'py, PyBytes> {
        let report = py.detach(|| self.cache.report(with_top, self.cache.now()).to_json());
        PyBytes::new(py, &report)
    }

    /// The reports of all processes as a list, or `PENDING`; `None`: there is no shared tier, or it cannot be asked.
    #[pyo3(signature = (bridge = None, future = None))]
    fn reports<'py>(
        &self,
        py: Python<'py>,
        bridge: Option<&Bridge>,
        future: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.connection.start(py)?;
        let Some(share) = self.connection.share().map(Arc::clone) else {
            return Ok(py.None().into_bound(py));
        };
        let asking = async move { share.reports().await };
        match settle(py, bridge, future, |(), told| Done::Reported(told), asking)? {
            Some(told) => reports(py, told),
            None => marks::pending(py).cloned(),
        }
    }

    /// The last requests, newest first, as JSON.
    fn decisions<'py>(&self, py: Python<'py>, most: usize) -> PyResult<Bound<'py, PyBytes>> {
        json(py, &self.cache.watch().decisions(most, self.cache.now()))
    }

    /// What an invalidation would reach in this process, as JSON.
    #[allow(clippy::too_many_arguments, reason = "the keyword arguments of Watch.preview")]
    fn preview<'py>(
        &self,
        py: Python<'py>,
        tags: Vec<String>,
        paths: Vec<String>,
        prefixes: Vec<String>,
        keys: Vec<String>,
        everything: bool,
        most: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        check_paths(py, &paths, &prefixes)?;
        let preview = py.detach(|| {
            let mut named = targets(&tags, &paths, &prefixes, &keys);
            if everything {
                named.push(Target::Everything);
            }
            self.cache.preview(&named, most)
        });
        json(py, &preview)
    }

    /// What this process has under the name of a value, or under a key of 32 hexadecimal digits: pairs of JSON and body.
    fn views<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyList>> {
        let now = self.cache.now();
        let mut found = self.cache.views(Key::named(name.as_bytes()), now);
        if let Some(key) = printed(name) {
            found.extend(self.cache.views_of_printed(key, now));
        }
        listed(py, found)
    }

    /// The same of the shared tier, by the name of a value; or `PENDING`.
    #[pyo3(signature = (name, bridge = None, future = None))]
    fn look<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        bridge: Option<&Bound<'py, Bridge>>,
        future: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.connection.start(py)?;
        let key = Key::named(name.as_bytes());
        let looker = Looker::new(&self.cache, key);
        look(py, looker, self.cache.look_for_value(key), bridge, future)
    }
}

/// Somebody who wants to know what is stored under a key in the shared tier.
pub(crate) struct Looker {
    cache: Core,
    key: Key,
}

impl Looker {
    pub(crate) fn new(cache: &Core, key: Key) -> Self {
        Self { cache: Arc::clone(cache), key }
    }

    /// What was found, as pairs of JSON and body.
    pub(crate) fn views<'py>(&self, py: Python<'py>, sought: Sought) -> PyResult<Bound<'py, PyList>> {
        let now = self.cache.now();
        let found = match sought {
            Sought::Found(sighting) => {
                let entry: Entry<PyBody> = sighting.entry.landed(sighting.position, sighting.soft, None);
                vec![self.cache.view(sighting.key, Arc::new(entry), Where::Shared, now)]
            }
            Sought::Vary(names) => {
                let vary = names.iter().map(ToString::to_string).collect();
                let view = View::of_record(self.key, self.key.to_string(), Stands::Variants);
                vec![(View { vary, tier: Where::Shared, ..view }, None)]
            }
            _ => Vec::new(),
        };
        listed(py, found)
    }
}

/// Runs a lookup, if there is one to run, and gives what it found.
pub(crate) fn look<'py>(
    py: Python<'py>,
    looker: Looker,
    job: Option<hotplate::share::SeekJob>,
    bridge: Option<&Bound<'_, Bridge>>,
    future: Option<Bound<'_, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let Some(job) = job else { return Ok(PyList::empty(py).into_any()) };
    if let (Some(bridge), Some(future)) = (bridge, future) {
        Bridge::seek(bridge, future, Asker::Looker(looker), job)?;
        return marks::pending(py).cloned();
    }
    let sought = run_here(py, job)?;
    Ok(looker.views(py, sought)?.into_any())
}

/// The reports of all processes.
pub(crate) fn reports(py: Python<'_>, told: Option<Vec<bytes::Bytes>>) -> PyResult<Bound<'_, PyAny>> {
    match told {
        Some(told) => Ok(PyList::new(py, told.iter().map(|report| PyBytes::new(py, report)))?.into_any()),
        None => Ok(py.None().into_bound(py)),
    }
}

/// Pairs of JSON and the body, where there is one of bytes.
pub(crate) fn listed(py: Python<'_>, found: Vec<Viewed<PyBody>>) -> PyResult<Bound<'_, PyList>> {
    let list = PyList::empty(py);
    for (view, entry) in found {
        let body = match &entry {
            Some(entry) if view.kind == Stands::Response => Some(entry.body().value(py)?),
            _ => None,
        };
        list.append((json(py, &view)?, body))?;
    }
    Ok(list)
}

fn printed(name: &str) -> Option<Key> {
    let is_printed = name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_printed.then(|| u128::from_str_radix(name, 16).ok()).flatten().map(Key::from_u128)
}

fn json<'py>(py: Python<'py>, value: &impl Serialize) -> PyResult<Bound<'py, PyBytes>> {
    let text = serde_json::to_vec(value).map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok(PyBytes::new(py, &text))
}
