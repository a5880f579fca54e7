//! What is to be done for one call of a function.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Context;

use hotplate::entry::{Body, Entry};
use hotplate::key::Key;
use hotplate::share::Sought;
use hotplate::values::{Landing, Load, Round, Seek, Step, Terms, Waiting};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::plan::ValuePlan;
use super::stored::{is_coded, value};
use super::waiting::wait_for;
use super::{Core, clipped, content, lifetime};
use crate::body::{self, PyBody};
use crate::bridge::{Asker, Bridge, run_here};
use crate::marks;
use crate::step::LoopWaker;
use crate::timing::Began;

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
#[pyclass(frozen, module = "hotplate._core")]
pub(crate) struct ValueStep {
    #[pyo3(get)]
    kind: &'static str,
    cache: Core,
    key: Key,
    plan: Py<ValuePlan>,
    waits: u8,
    /// When it was made: of a load, when the function is called.
    began: Began,
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
    pub(super) fn make<'py>(
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
        Bound::new(
            py,
            Self {
                kind,
                cache,
                key,
                plan,
                waits,
                began: Began::now(),
                state,
                abandoned: AtomicBool::new(false),
            },
        )
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

    /// The load, which has ended.
    fn take_load(&self) -> PyResult<Load<PyBody>> {
        match self.take() {
            State::Load(load) => {
                self.cache.watch().load.record(self.began.elapsed());
                Ok(load)
            }
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

    /// Of `raised`; once. Raised, it holds this step, in the frames of its traceback: that must not hold it, too, for the
    /// collector does not look in here.
    #[getter]
    fn error(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.take() {
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
        stale.map_or_else(|| marks::missing(py).cloned(), |stale| self.object(py, &stale))
    }

    /// Of `seek`: `future` is resolved on the loop of `bridge`.
    fn start(this: &Bound<'_, Self>, bridge: &Bound<'_, Bridge>, future: Bound<'_, PyAny>) -> PyResult<()> {
        let job = match &mut *this.get().state() {
            State::Seek(seek, _) => seek.job(),
            _ => None,
        };
        let job = job.ok_or_else(used)?;
        Bridge::seek(bridge, future, Asker::Function(this.clone().unbind()), job)
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
            let sought = run_here(py, job)?;
            self.found(sought);
            return Ok(true);
        }
        wait_for(py, seconds, |context| match &mut *self.state() {
            State::Wait(waiting) => Ok(Pin::new(&mut waiting.ticket).poll(context).is_ready()),
            _ => Err(used()),
        })
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
            None => marks::missing(py).cloned(),
        }
    }

    /// Nobody goes on: another call may. What the step still holds is given up, although it may live on in a traceback.
    fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
        drop(self.take());
    }
}
