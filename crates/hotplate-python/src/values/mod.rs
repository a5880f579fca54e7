//! Values and the results of functions: the engine's conversation about one, for Python to lead.
//!
//! * `plan`: how the results of one function are kept. `step`: what is to be done for one call of it.
//! * `stored`: what is found under a name. `waiting`: waiting with a thread.

mod plan;
mod step;
mod stored;
mod waiting;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hotplate::cache::Cache;
use hotplate::error::ConfigError;
use hotplate::key::named_often;
use hotplate::values::{Changing, Content, Form, Round, Step, Tally, Terms, Value};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use self::stored::{is_coded, value};
use crate::body::{self, PyBody};
use crate::bridge::{Asker, Bridge, Done, run_here, settle};
use crate::cache::CacheCore;
use crate::connection::Connection;
use crate::timing::Began;
use crate::{convert, error, marks};

pub(crate) use self::plan::ValuePlan;
pub(crate) use self::step::ValueStep;
pub(crate) use self::stored::{Sighted, Stored};

type Core = Arc<Cache<PyBody>>;

/// The values of a cache. A method without `bridge` and `future` waits, where it has to, with its thread.
#[pyclass(frozen, module = "hotplate._core")]
pub(crate) struct ValueCore {
    cache: Core,
    connection: Connection,
}

#[pymethods]
impl ValueCore {
    /// `coded_only`: plain values of other processes are not taken, because what codecs write is signed.
    #[new]
    #[pyo3(signature = (core, coded_only = false))]
    fn new(core: &CacheCore, coded_only: bool) -> Self {
        if coded_only {
            core.cache.take_coded_only();
        }
        Self { cache: Arc::clone(&core.cache), connection: core.connection.clone() }
    }

    /// The value under a name: an object, [`Stored`], or `MISSING`; `PENDING` where `future` is resolved with that.
    #[pyo3(signature = (name, bridge = None, future = None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        bridge: Option<&Bound<'py, Bridge>>,
        future: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.connection.start(py)?;
        let key = named_often(name);
        let began = Began::now();
        let job = match self.cache.value(key, self.cache.at(began.moment())) {
            Value::Found(entry) => return value(py, &self.cache, key, &entry),
            Value::Absent => {
                body::free_unused(py);
                return marks::missing(py).cloned();
            }
            Value::Seek(job) => job,
        };
        let sighted = Sighted::new(&self.cache, key);
        if let (Some(bridge), Some(future)) = (bridge, future) {
            Bridge::seek_since(bridge, began, future, Asker::Value(sighted), job)?;
            return marks::pending(py).cloned();
        }
        let sought = run_here(py, job)?;
        sighted.land(py, sought, Began::now())
    }

    /// Stores a value. `size`: what it weighs, with `coded`, what the codec made of it for other processes; without, it is
    /// stored as the bytes it is. Returns whether the shared tier has it, or `PENDING`.
    #[pyo3(signature = (name, value, size, coded, ttl, tags, bridge = None, future = None))]
    #[allow(clippy::too_many_arguments, reason = "the keyword arguments of Cache.set")]
    fn set<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        value: Bound<'py, PyAny>,
        size: Option<usize>,
        coded: Option<&Bound<'py, PyBytes>>,
        ttl: &Bound<'py, PyAny>,
        tags: Vec<String>,
        bridge: Option<&Bridge>,
        future: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let ttl = lifetime(py, ttl)?;
        let (content, form) = content(value, size, coded)?;
        let tags = clipped(&tags);
        self.connection.start(py)?;
        let none = Duration::ZERO;
        let terms = Terms { ttl, stale_while_revalidate: none, stale_if_error: none, tags: &tags, form };
        let key = named_often(name);
        self.cache.watch().label_stored(key, || name.to_owned());
        let changing = self.cache.set_value(key, content, &terms, self.cache.now());
        body::free_unused(py);
        change(py, changing, bridge, future)
    }

    /// Removes a value. Returns whether no other process finds it any more, or `PENDING`.
    #[pyo3(signature = (name, bridge = None, future = None))]
    fn delete<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        bridge: Option<&Bridge>,
        future: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.connection.start(py)?;
        let changing = self.cache.delete_value(named_often(name), self.cache.now());
        body::free_unused(py);
        change(py, changing, bridge, future)
    }

    /// Has the value under a name live for `ttl` from now on. Returns whether there is one, or `PENDING`.
    #[pyo3(signature = (name, ttl, bridge = None, future = None))]
    fn touch<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        ttl: &Bound<'py, PyAny>,
        bridge: Option<&Bridge>,
        future: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let ttl = lifetime(py, ttl)?;
        self.connection.start(py)?;
        match self.cache.touch_value(named_often(name), ttl, self.cache.now()) {
            Ok(touched) => Ok(touched.into_pyobject(py)?.to_owned().into_any()),
            Err(changing) => change(py, Some(changing), bridge, future),
        }
    }

    /// Adds to the counter under a name. Returns what it is then, or `PENDING`; `None`: the shared tier could not be told.
    #[pyo3(signature = (name, number, ttl, bridge = None, future = None))]
    fn tally<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        number: i64,
        ttl: &Bound<'py, PyAny>,
        bridge: Option<&Bridge>,
        future: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let ttl = lifetime(py, ttl)?;
        self.connection.start(py)?;
        let counted = match self.cache.tally(named_often(name), number, ttl, self.cache.now()) {
            Tally::Count(count) => Some(Some(count)),
            Tally::Pending(counting) => {
                settle(py, bridge, future, |(), count| Done::Counted(count), counting)?
            }
        };
        match counted {
            Some(count) => Ok(count.into_pyobject(py)?.into_any()),
            None => marks::pending(py).cloned(),
        }
    }

    /// The fresh result under a name, if nothing else is to be done; else `MISSING`.
    fn recall<'py>(&self, py: Python<'py>, plan: &ValuePlan, name: &str) -> PyResult<Bound<'py, PyAny>> {
        self.connection.start(py)?;
        let key = named_often(name);
        match self.cache.recall(key, &plan.plan, self.cache.now()) {
            Some(entry) if !is_coded(&self.cache, &entry) => {
                plan.hits.fetch_add(1, Ordering::Relaxed);
                self.cache.watch().label(key, entry.hits(), || name.to_owned());
                entry.body().value(py)
            }
            _ => marks::missing(py).cloned(),
        }
    }

    /// What is to be done for a call.
    fn ask<'py>(&self, py: Python<'py>, plan: Py<ValuePlan>, name: &str) -> PyResult<Bound<'py, ValueStep>> {
        self.connection.start(py)?;
        let key = named_often(name);
        let step = self.cache.ask(key, &plan.get().plan, Round::default(), self.cache.now());
        if matches!(step, Step::Load(_) | Step::Seek(_)) {
            self.cache.watch().label_stored(key, || name.to_owned());
        }
        body::free_unused(py);
        ValueStep::make(py, &self.cache, key, plan, 0, step)
    }

    /// Has the function called whatever is stored.
    fn load<'py>(&self, py: Python<'py>, plan: Py<ValuePlan>, name: &str) -> PyResult<Bound<'py, ValueStep>> {
        self.connection.start(py)?;
        let key = named_often(name);
        let step = self.cache.load_alone(key, &plan.get().plan, self.cache.now());
        ValueStep::make(py, &self.cache, key, plan, 0, step)
    }
}

fn lifetime(py: Python<'_>, ttl: &Bound<'_, PyAny>) -> PyResult<Duration> {
    convert::duration("ttl", ttl)?.ok_or_else(|| {
        let remedy = "nothing is stored for ever: write seconds, a timedelta, or text such as \"5m\"";
        error::config(py, &ConfigError::new("ttl", "None", remedy))
    })
}

fn content(
    value: Bound<'_, PyAny>,
    size: Option<usize>,
    coded: Option<&Bound<'_, PyBytes>>,
) -> PyResult<(Content<PyBody>, Form)> {
    let Some(size) = size else {
        return Ok((Content { own: PyBody::take(&value)?, shared: None }, Form::Plain));
    };
    let shared = coded.map(|coded| PyBody::take(coded.as_any())).transpose()?;
    Ok((Content { own: PyBody::object_of(value, size), shared }, Form::Coded))
}

fn clipped(tags: &[String]) -> Vec<String> {
    tags.iter().map(|tag| hotplate::tags::clip(tag).to_owned()).collect()
}

/// Whether the shared tier knows of a change; in memory everybody does.
fn change<'py>(
    py: Python<'py>,
    changing: Option<Changing>,
    bridge: Option<&Bridge>,
    future: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let changed = match changing {
        None => Some(true),
        Some(changing) => settle(py, bridge, future, |(), changed| Done::Changed(changed), changing)?,
    };
    match changed {
        Some(changed) => Ok(changed.into_pyobject(py)?.to_owned().into_any()),
        None => marks::pending(py).cloned(),
    }
}
