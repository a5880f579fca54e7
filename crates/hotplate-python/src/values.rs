//! Values and the results of functions: the engine's conversation about one, for Python to lead.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use hotplate::cache::Cache;
use hotplate::entry::{Body, Entry};
use hotplate::error::ConfigError;
use hotplate::key::Key;
use hotplate::share::Sought;
use hotplate::values::{
    Changing, Content, Form, Landing, Load, Plan, Round, Seek, Step, Tally, Terms, Value, Waiting,
};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::body::{self, PyBody};
use crate::bridge::{Asker, Bridge, Done};
use crate::cache::CacheCore;
use crate::connection::Connection;
use crate::step::LoopWaker;
use crate::{convert, error, marks, runtime};

/// How often a thread that waits looks whether it is interrupted.
const GLANCE: Duration = Duration::from_millis(100);

type Core = Arc<Cache<PyBody>>;

/// `MISSING`, to be returned.
fn missing(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    marks::missing(py).cloned()
}

/// `PENDING`, to be returned.
fn pending(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    marks::pending(py).cloned()
}

/// A value that is being looked for.
pub(crate) struct Sighted {
    cache: Core,
    key: Key,
}

impl Sighted {
    /// What was found of it: an object, [`Stored`] bytes to be decoded, or `MISSING`.
    pub(crate) fn land<'py>(&self, py: Python<'py>, sought: Sought) -> PyResult<Bound<'py, PyAny>> {
        match self.cache.landed_value(self.key, sought, self.cache.now()) {
            Some(entry) => value(py, &self.cache, self.key, &entry),
            None => missing(py),
        }
    }
}

/// Whether a value has to be decoded before it can be used.
fn is_coded(cache: &Core, entry: &Entry<PyBody>) -> bool {
    entry.body().is_coded(Form::of(entry), cache.is_coded_only())
}

/// The object of a stored value; what is not decoded yet is [`Stored`].
fn value<'py>(
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

/// How the results of one function are kept; and how often it was used.
#[pyclass(frozen, module = "hotplate._core")]
pub(crate) struct ValuePlan {
    plan: Plan,
    stale_while_revalidate: Duration,
    stale_if_error: Duration,
    hits: AtomicU64,
    stale: AtomicU64,
    loads: AtomicU64,
    errors: AtomicU64,
}

#[pymethods]
impl ValuePlan {
    #[new]
    #[pyo3(signature = (*, stale_while_revalidate = None, stale_if_error = None, refresh_ahead = None, local_only = false, lock = true))]
    fn new(
        py: Python<'_>,
        stale_while_revalidate: Option<&Bound<'_, PyAny>>,
        stale_if_error: Option<&Bound<'_, PyAny>>,
        refresh_ahead: Option<f64>,
        local_only: bool,
        lock: bool,
    ) -> PyResult<Self> {
        let window = |name: &str, value: Option<&Bound<'_, PyAny>>| {
            let window = value.map(|value| convert::duration_or_zero(name, value)).transpose()?.flatten();
            Ok::<_, PyErr>(window.unwrap_or_default())
        };
        if let Some(part) = refresh_ahead.filter(|part| !(*part > 0.0 && *part < 1.0)) {
            let remedy =
                "write the part of the ttl after which a result is loaded anew, between 0 and 1, as in 0.8";
            return Err(error::config(py, &ConfigError::new("refresh_ahead", part.to_string(), remedy)));
        }
        Ok(Self {
            plan: Plan { refresh_ahead, local_only, collapses: lock },
            stale_while_revalidate: window("stale_while_revalidate", stale_while_revalidate)?,
            stale_if_error: window("stale_if_error", stale_if_error)?,
            hits: AtomicU64::new(0),
            stale: AtomicU64::new(0),
            loads: AtomicU64::new(0),
            errors: AtomicU64::new(0),
        })
    }

    /// Hits, stale results used, calls of the function, calls of it that raised.
    fn counts(&self) -> (u64, u64, u64, u64) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (read(&self.hits), read(&self.stale), read(&self.loads), read(&self.errors))
    }
}

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
        bridge: Option<&Bridge>,
        future: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.connection.start(py)?;
        let key = Key::named(name.as_bytes());
        let job = match self.cache.value(key, self.cache.now()) {
            Value::Found(entry) => return value(py, &self.cache, key, &entry),
            Value::Absent => {
                body::free_unused(py);
                return missing(py);
            }
            Value::Seek(job) => job,
        };
        let sighted = Sighted { cache: Arc::clone(&self.cache), key };
        if let (Some(bridge), Some(future)) = (bridge, future) {
            bridge.seek(future, Asker::Value(sighted), job)?;
            return pending(py);
        }
        let sought = runtime::wait(py, job.run())?;
        sighted.land(py, sought)
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
        let changing = self.cache.set_value(Key::named(name.as_bytes()), content, &terms, self.cache.now());
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
        let changing = self.cache.delete_value(Key::named(name.as_bytes()), self.cache.now());
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
        match self.cache.touch_value(Key::named(name.as_bytes()), ttl, self.cache.now()) {
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
        let count = match (
            self.cache.tally(Key::named(name.as_bytes()), number, ttl, self.cache.now()),
            bridge,
            future,
        ) {
            (Tally::Count(count), ..) => Some(count),
            (Tally::Pending(counting), Some(bridge), Some(future)) => {
                bridge.run(future, (), |(), count| Done::Counted(count), counting)?;
                return pending(py);
            }
            (Tally::Pending(counting), ..) => runtime::wait(py, counting)?,
        };
        Ok(count.into_pyobject(py)?.into_any())
    }

    /// The fresh result under a name, if nothing else is to be done; else `MISSING`.
    fn recall<'py>(&self, py: Python<'py>, plan: &ValuePlan, name: &str) -> PyResult<Bound<'py, PyAny>> {
        self.connection.start(py)?;
        match self.cache.recall(Key::named(name.as_bytes()), &plan.plan, self.cache.now()) {
            Some(entry) if !is_coded(&self.cache, &entry) => {
                plan.hits.fetch_add(1, Ordering::Relaxed);
                entry.body().value(py)
            }
            _ => missing(py),
        }
    }

    /// What is to be done for a call.
    fn ask<'py>(&self, py: Python<'py>, plan: Py<ValuePlan>, name: &str) -> PyResult<Bound<'py, ValueStep>> {
        self.connection.start(py)?;
        let key = Key::named(name.as_bytes());
        let step = self.cache.ask(key, &plan.get().plan, Round::default(), self.cache.now());
        body::free_unused(py);
        ValueStep::make(py, &self.cache, key, plan, 0, step)
    }

    /// Has the function called whatever is stored.
    fn load<'py>(&self, py: Python<'py>, plan: Py<ValuePlan>, name: &str) -> PyResult<Bound<'py, ValueStep>> {
        self.connection.start(py)?;
        let key = Key::named(name.as_bytes());
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
    let changed = match (changing, bridge, future) {
        (Some(changing), Some(bridge), Some(future)) => {
            bridge.run(future, (), |(), changed| Done::Changed(changed), changing)?;
            return pending(py);
        }
        (Some(changing), ..) => runtime::wait(py, changing)?,
        (None, ..) => true,
    };
    Ok(changed.into_pyobject(py)?.to_owned().into_any())
}

/// `kind` says what to do for a call, and with it what the other parts are:
///
/// | kind | meaning | then |
/// | --- | --- | --- |
/// | `found` | return `value` | |
/// | `stale` | return `value`; go on with `next`, if there is one, for nobody | |
/// | `seek` | look in the shared tier: `start` and wait, or `wait` | `resume` |
/// | `landed` | decode `data` | `accept` or `reject` |
/// | `wait` | another call loads: `subscribe` and wait, or `wait` | `resume` |
/// | `load` | call the function | `finish`, `give` or `fail` |
/// | `raised` | raise `error` | |
/// | `nothing` | there is nothing to do | |
#[pyclass(frozen, weakref, module = "hotplate._core")]
pub(crate) struct ValueStep {
    #[pyo3(get)]
    kind: &'static str,
    cache: Core,
    key: Key,
    plan: Py<ValuePlan>,
    waits: u8,
    state: Mutex<State>,
    /// Nobody will come for what is sought.
    abandoned: AtomicBool,
}

enum State {
    Value(Arc<Entry<PyBody>>, Option<Py<ValueStep>>),
    Seek(Seek<PyBody>, Option<Sought>),
    Landed(Landing<PyBody>),
    Wait(Waiting<PyBody>),
    Load(Load<PyBody>),
    Raised(Arc<dyn Any + Send + Sync>),
    Done,
}

impl ValueStep {
    fn make<'py>(
        py: Python<'py>,
        cache: &Core,
        key: Key,
        plan: Py<ValuePlan>,
        waits: u8,
        mut step: Step<PyBody>,
    ) -> PyResult<Bound<'py, Self>> {
        while let Step::Landed(landing) = step {
            if is_coded(cache, landing.entry()) {
                step = Step::Landed(landing);
                break;
            }
            let own = landing.entry().body().share();
            step = cache.accept(landing, own, cache.now());
        }
        let count = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
        let is_due = matches!(step, Step::Due(..));
        let (kind, state) = match step {
            Step::Found(entry) => {
                count(&plan.get().hits);
                ("found", State::Value(entry, None))
            }
            Step::Due(entry, next) | Step::Stale(entry, next) => {
                count(if is_due { &plan.get().hits } else { &plan.get().stale });
                let next = next
                    .map(|next| Self::make(py, cache, key, plan.clone_ref(py), 0, *next).map(Bound::unbind))
                    .transpose()?;
                ("stale", State::Value(entry, next))
            }
            Step::Seek(seek) => ("seek", State::Seek(seek, None)),
            Step::Landed(landing) => ("landed", State::Landed(landing)),
            Step::Wait(waiting) => ("wait", State::Wait(waiting)),
            Step::Load(load) => {
                count(&plan.get().loads);
                ("load", State::Load(load))
            }
            Step::Raised(error) => ("raised", State::Raised(error)),
            Step::Nothing => ("nothing", State::Done),
        };
        let cache = Arc::clone(cache);
        let state = Mutex::new(state);
        Bound::new(py, Self { kind, cache, key, plan, waits, state, abandoned: AtomicBool::new(false) })
    }

    /// The shared tier has answered.
    pub(crate) fn found(&self, sought: Sought) {
        if self.abandoned.load(Ordering::Acquire) {
            return;
        }
        if let State::Seek(_, found) = &mut *self.state() {
            *found = Some(sought);
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> State {
        std::mem::replace(&mut *self.state(), State::Done)
    }

    fn take_load(&self) -> PyResult<Load<PyBody>> {
        match self.take() {
            State::Load(load) => Ok(load),
            _ => Err(used()),
        }
    }

    fn object<'py>(&self, py: Python<'py>, entry: &Arc<Entry<PyBody>>) -> PyResult<Bound<'py, PyAny>> {
        value(py, &self.cache, self.key, entry)
    }

    fn next<'py>(&self, py: Python<'py>, waits: u8, step: Step<PyBody>) -> PyResult<Bound<'py, Self>> {
        body::free_unused(py);
        Self::make(py, &self.cache, self.key, self.plan.clone_ref(py), waits, step)
    }
}

fn used() -> PyErr {
    PyRuntimeError::new_err("this step is over")
}

/// What a function raised, with the traceback it had then: whoever raises it again adds to the one it has.
struct Raised {
    error: Py<PyAny>,
    traceback: Py<PyAny>,
}

impl Raised {
    fn new(error: Bound<'_, PyAny>) -> PyResult<Self> {
        let traceback = error.getattr("__traceback__")?.unbind();
        Ok(Self { error: error.unbind(), traceback })
    }

    /// The exception, to be raised once more.
    fn again(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.error.call_method1(py, "with_traceback", (&self.traceback,))
    }
}

#[pymethods]
impl ValueStep {
    /// Of `found` and `stale`.
    #[getter]
    fn value<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let entry = match &*self.state() {
            State::Value(entry, _) => Arc::clone(entry),
            _ => return Err(used()),
        };
        self.object(py, &entry)
    }

    /// Of `stale`.
    #[getter]
    fn next_step(&self, py: Python<'_>) -> Option<Py<ValueStep>> {
        match &*self.state() {
            State::Value(_, next) => next.as_ref().map(|next| next.clone_ref(py)),
            _ => None,
        }
    }

    /// Of `landed`.
    #[getter]
    fn data<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &*self.state() {
            State::Landed(landing) => landing.entry().body().value(py),
            _ => Err(used()),
        }
    }

    /// Of `raised`.
    #[getter]
    fn error(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match &*self.state() {
            State::Raised(error) => match error.downcast_ref::<Raised>() {
                Some(raised) => raised.again(py),
                None => Err(PyRuntimeError::new_err("the load failed")),
            },
            _ => Err(used()),
        }
    }

    /// Of `load`, `wait` and `seek`: what may be used if it takes too long, or `MISSING`.
    fn stale_value<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let now = self.cache.now();
        let stale = match &*self.state() {
            State::Load(load) => load.stale(now).cloned(),
            State::Wait(waiting) => waiting.stale(&self.cache, now).cloned(),
            State::Seek(seek, _) => seek.stale(&self.cache, now).cloned(),
            _ => None,
        };
        stale.map_or_else(|| missing(py), |stale| self.object(py, &stale))
    }

    /// Of `seek`: `future` is resolved on the loop of `bridge`.
    fn start(this: &Bound<'_, Self>, bridge: &Bridge, future: Py<PyAny>) -> PyResult<()> {
        let job = match &mut *this.get().state() {
            State::Seek(seek, _) => seek.job(),
            _ => None,
        };
        let job = job.ok_or_else(used)?;
        bridge.seek(future, Asker::Function(this.clone().unbind()), job)
    }

    /// Of `wait`: has `resolve(future)` called on `event_loop` when the load ends. `False` if it has ended already.
    fn subscribe(&self, event_loop: Py<PyAny>, resolve: Py<PyAny>, future: Py<PyAny>) -> bool {
        let waker = LoopWaker::waker(event_loop, resolve, future);
        match &mut *self.state() {
            State::Wait(waiting) => {
                Pin::new(&mut waiting.ticket).poll(&mut Context::from_waker(&waker)).is_pending()
            }
            _ => false,
        }
    }

    /// Waits with this thread, for `seconds` at most where another call loads. Returns whether it is worth to `resume`.
    #[pyo3(signature = (seconds = None))]
    fn wait(&self, py: Python<'_>, seconds: Option<f64>) -> PyResult<bool> {
        let job = match &mut *self.state() {
            State::Seek(seek, _) => Some(seek.job().ok_or_else(used)?),
            _ => None,
        };
        if let Some(job) = job {
            let sought = runtime::wait(py, job.run())?;
            self.found(sought);
            return Ok(true);
        }
        self.wait_for_load(py, seconds)
    }

    /// What is to be done next. `timed_out`: the load that was waited for has not ended.
    #[pyo3(signature = (timed_out = false))]
    fn resume<'py>(&self, py: Python<'py>, timed_out: bool) -> PyResult<Bound<'py, Self>> {
        let now = self.cache.now();
        match self.take() {
            State::Seek(seek, sought) => {
                let step = self.cache.found(seek, sought.unwrap_or_default(), now);
                self.next(py, self.waits, step)
            }
            State::Wait(waiting) => {
                let waits = self.waits + 1;
                let round = Round { waits, timed_out };
                let step = self.cache.ask_again(self.key, &self.plan.get().plan, round, &waiting, now);
                self.next(py, waits, step)
            }
            _ => Err(used()),
        }
    }

    /// Of `landed`: it is decoded.
    fn accept<'py>(&self, value: Bound<'py, PyAny>, size: usize) -> PyResult<Bound<'py, Self>> {
        let State::Landed(landing) = self.take() else { return Err(used()) };
        let py = value.py();
        let step = self.cache.accept(landing, PyBody::object_of(value, size), self.cache.now());
        self.next(py, self.waits, step)
    }

    /// Of `landed`: it cannot be decoded.
    fn reject<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Self>> {
        let State::Landed(landing) = self.take() else { return Err(used()) };
        let step = self.cache.reject(landing, self.cache.now());
        self.next(py, self.waits, step)
    }

    /// Of `load`: the function has returned. `coded`: what the codec made of it for other processes.
    fn finish(
        &self,
        value: Bound<'_, PyAny>,
        size: usize,
        coded: Option<&Bound<'_, PyBytes>>,
        ttl: &Bound<'_, PyAny>,
        tags: Vec<String>,
    ) -> PyResult<()> {
        let py = value.py();
        let ttl = lifetime(py, ttl)?;
        let (content, form) = content(value, Some(size), coded)?;
        let plan = self.plan.get();
        let tags = clipped(&tags);
        let terms = Terms {
            ttl,
            stale_while_revalidate: plan.stale_while_revalidate,
            stale_if_error: plan.stale_if_error,
            tags: &tags,
            form,
        };
        self.take_load()?.finish(content, &terms, self.cache.now());
        body::free_unused(py);
        Ok(())
    }

    /// Of `load`: the function has returned what is not to be stored.
    fn give(&self, value: Bound<'_, PyAny>) -> PyResult<()> {
        self.take_load()?.give(PyBody::object_of(value, 0), self.cache.now());
        Ok(())
    }

    /// Of `load`: the function has raised. Returns what may be used in place of a result, or `MISSING`.
    fn fail<'py>(&self, error: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = error.py();
        self.plan.get().errors.fetch_add(1, Ordering::Relaxed);
        let raised = Raised::new(error)?;
        match self.take_load()?.fail(Arc::new(raised), self.cache.now()) {
            Some(stale) => self.object(py, &stale),
            None => missing(py),
        }
    }

    /// Nobody goes on: another call may. What the step still holds is given up, although it may live on in a traceback.
    fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
        drop(self.take());
    }
}

impl ValueStep {
    fn wait_for_load(&self, py: Python<'_>, seconds: Option<f64>) -> PyResult<bool> {
        let waker = Waker::from(Arc::new(ThreadWaker(thread::current())));
        #[expect(clippy::disallowed_methods, reason = "a thread that waits needs the time that passes")]
        let now = Instant::now;
        let deadline =
            seconds.map(|seconds| now() + Duration::try_from_secs_f64(seconds).unwrap_or_default());
        loop {
            let ended = match &mut *self.state() {
                State::Wait(waiting) => {
                    Pin::new(&mut waiting.ticket).poll(&mut Context::from_waker(&waker)).is_ready()
                }
                _ => return Err(used()),
            };
            if ended {
                return Ok(true);
            }
            let left = deadline.map_or(GLANCE, |deadline| deadline.saturating_duration_since(now()));
            if left.is_zero() {
                return Ok(false);
            }
            py.detach(|| thread::park_timeout(left.min(GLANCE)));
            py.check_signals()?;
        }
    }
}

/// Wakes a thread.
struct ThreadWaker(Thread);

impl Wake for ThreadWaker {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
