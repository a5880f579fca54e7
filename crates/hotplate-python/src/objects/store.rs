//! What a `LocalCache` and a memoized function have in common: the engine's entries, under Python's keys.

use std::sync::Arc;
use std::time::Duration;

use hotplate::clock::{Clock, ManualClock as EngineManualClock, Stopwatch};
use hotplate::error::ConfigError;
use hotplate::objects::{Bounds, Moment, Numbers, Objects, Permit, Stored};
use pyo3::exceptions::{PyException, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::{PyBool, PyInt};

use super::index;
use super::load::{Load, Outcome};
use crate::cache::ManualClock;
use crate::{convert, error};

enum Time {
    System(Stopwatch),
    Manual(Arc<EngineManualClock>),
}

/// A bounded number of Python objects by their keys.
pub(super) struct Store {
    objects: Objects<Py<PyAny>, Py<PyAny>, Arc<Load>>,
    time: Time,
    ttl: Option<Duration>,
    weigh: Option<Py<PyAny>>,
    pub(super) bounds: Bounds,
}

impl Store {
    /// The settings as `LocalCache` and `memoize` take them.
    pub(super) fn new(
        maxsize: &Bound<'_, PyAny>,
        ttl: &Bound<'_, PyAny>,
        max_bytes: Option<&Bound<'_, PyAny>>,
        weigh: Option<&Bound<'_, PyAny>>,
        clock: Option<&Bound<'_, ManualClock>>,
    ) -> PyResult<Self> {
        let py = maxsize.py();
        let refuse =
            |setting: &'static str, value: &Bound<'_, PyAny>, remedy: &'static str| -> PyResult<Self> {
                Err(error::config(py, &ConfigError::new(setting, value.repr()?.to_str()?, remedy)))
            };
        let entries = if maxsize.is_none() {
            None
        } else {
            match maxsize.extract::<u32>() {
                Ok(entries)
                    if entries > 0 && entries <= MOST_ENTRIES && !maxsize.is_instance_of::<PyBool>() =>
                {
                    Some(entries)
                }
                _ => {
                    let remedy =
                        "write how many entries there may be, from 1 to 1073741824, or None with max_bytes=";
                    return refuse("maxsize", maxsize, remedy);
                }
            }
        };
        let weight = max_bytes.map(|bytes| convert::size("max_bytes", bytes)).transpose()?;
        match (entries, max_bytes, weigh) {
            (None, None, _) => {
                return refuse(
                    "maxsize",
                    maxsize,
                    "without max_bytes= nothing would be bounded; write a number",
                );
            }
            (_, Some(bytes), None) => {
                return refuse("max_bytes", bytes, "say what a value takes, as in weigh=len for bytes");
            }
            (_, _, Some(weigh)) if !weigh.is_callable() => {
                return refuse(
                    "weigh",
                    weigh,
                    "write a function of a value that gives bytes, as in weigh=len",
                );
            }
            _ => {}
        }
        let bounds = Bounds { entries, weight };
        Ok(Self {
            objects: Objects::new(bounds),
            time: match clock {
                Some(manual) => Time::Manual(manual.get().engine()),
                None => Time::System(Stopwatch::start()),
            },
            ttl: convert::duration("ttl", ttl)?,
            weigh: weigh.map(|weigh| weigh.clone().unbind()),
            bounds,
        })
    }

    /// Whether bytes are counted.
    pub(super) fn is_weighed(&self) -> bool {
        self.weigh.is_some()
    }

    pub(super) fn ttl(&self) -> Option<Duration> {
        self.ttl
    }

    fn now(&self) -> Moment {
        match &self.time {
            Time::System(stopwatch) => Moment::from_nanos(stopwatch.elapsed_nanos()),
            Time::Manual(clock) => {
                let millis = u64::try_from(clock.now().unix_millis()).unwrap_or(0);
                Moment::from_nanos(millis.saturating_mul(1_000_000))
            }
        }
    }

    /// The value under a key whose index is known. Counts as a use, and as a hit or a miss.
    pub(super) fn find<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        index: u64,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = key.py();
        let found = self.objects.get(index, || self.now(), |known, value| copy(py, key, known, value));
        match found {
            None => Ok(None),
            Some((None, value)) => Ok(Some(value)),
            Some((Some(known), value)) => {
                let is_same = index::is_same(&known, key);
                if !matches!(is_same, Ok(true)) {
                    self.objects.was_a_miss();
                }
                Ok(is_same?.then_some(value))
            }
        }
    }

    /// As [`Store::find`], without counting.
    pub(super) fn peek<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        index: u64,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = key.py();
        match self.objects.peek(index, || self.now(), |known, value| copy(py, key, known, value)) {
            Some((Some(known), value)) => Ok(index::is_same(&known, key)?.then_some(value)),
            found => Ok(found.map(|(_, value)| value)),
        }
    }

    /// What is stored of a value. Runs `weigh`.
    fn stored(&self, value: &Bound<'_, PyAny>, ttl: Option<Duration>) -> PyResult<Stored<Py<PyAny>>> {
        let weight = match &self.weigh {
            Some(weigh) => weight(&weigh.bind(value.py()).call1((value,))?)?,
            None => 0,
        };
        let end = ttl.or(self.ttl).map_or(Moment::NEVER, |ttl| self.now().after(ttl));
        Ok(Stored { value: value.clone().unbind(), weight, end })
    }

    pub(super) fn put(
        &self,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        ttl: Option<Duration>,
    ) -> PyResult<()> {
        let index = index::of(key)?;
        let stored = self.stored(value, ttl)?;
        self.objects.put(index, key.clone().unbind(), stored);
        Ok(())
    }

    /// What stands under the key, or, if nothing does, `value`, which then does.
    pub(super) fn put_absent<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = key.py();
        let index = index::of(key)?;
        loop {
            let seen = self.objects.peek(
                index,
                || self.now(),
                |known, value| (known.clone_ref(py).into_bound(py), value.clone_ref(py).into_bound(py)),
            );
            let other = match seen {
                Some((known, value)) if index::is_same(&known, key)? => return Ok(value),
                seen => seen.map(|(known, _)| known),
            };
            let stored = self.stored(value, None)?;
            let may = |known: &Py<PyAny>, _: &Py<PyAny>| other.as_ref().is_some_and(|other| known.is(other));
            // Somebody may have put it meanwhile: `__eq__` and `weigh` let others run.
            if self.objects.put_if(index, key.clone().unbind(), stored, self.now(), may).is_ok() {
                return Ok(value.clone());
            }
        }
    }

    /// Takes a value out.
    pub(super) fn remove<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = key.py();
        let index = index::of(key)?;
        loop {
            let seen = self.objects.peek(index, || self.now(), |known, _| known.clone_ref(py).into_bound(py));
            let is_there = match &seen {
                Some(known) => index::is_same(known, key)?,
                None => false,
            };
            let is_it = |known: &Py<PyAny>, _: &Py<PyAny>| {
                is_there && seen.as_ref().is_some_and(|seen| known.is(seen))
            };
            match self.objects.remove_if(index, self.now(), is_it) {
                Some((_, value)) => return Ok(Some(value.into_bound(py))),
                None if !is_there => return Ok(None),
                // Somebody replaced or removed it while `__eq__` ran.
                None => {}
            }
        }
    }

    pub(super) fn clear(&self) {
        self.objects.clear();
    }

    /// As [`Store::clear`], and counts hits and misses from zero.
    pub(super) fn reset(&self) {
        self.objects.reset();
    }

    pub(super) fn len(&self) -> usize {
        self.objects.len(|| self.now())
    }

    pub(super) fn numbers(&self) -> Numbers {
        self.objects.numbers()
    }

    /// All entries as they are now.
    pub(super) fn entries<'py>(&self, py: Python<'py>) -> Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let mut entries = Vec::with_capacity(self.numbers().entries);
        self.objects.for_each(self.now(), |key, value| {
            entries.push((key.clone_ref(py).into_bound(py), value.clone_ref(py).into_bound(py)));
        });
        entries
    }

    /// The value that `run` gives, stored under the key. Of several threads that ask for one key, one runs it; the
    /// others wait for its value or its exception.
    pub(super) fn load<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        index: u64,
        ttl: Option<Duration>,
        run: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = key.py();
        let own = Arc::new(Load::by_this_thread(key));
        loop {
            let other = match self.objects.begin(index, || Arc::clone(&own)) {
                Ok(permit) => {
                    let leading = Leading { store: self, load: &own, index, permit, is_over: false };
                    return leading.run(key, ttl, run);
                }
                Err(other) => other,
            };
            let outcome = if index::is_same(other.key(py), key)? { other.wait(py)? } else { None };
            match outcome {
                Some(Outcome::Value(value)) => {
                    self.objects.was_a_hit();
                    return Ok(value.into_bound(py));
                }
                Some(Outcome::Raised(error)) => return Err(error),
                Some(Outcome::Nothing) => {}
                None => {
                    let permit = self.objects.begin_alone();
                    let value = run()?;
                    self.end(key, index, permit, &value, ttl)?;
                    return Ok(value);
                }
            }
        }
    }

    /// Begins a load that a task runs, unless one is under way: then that.
    pub(super) fn begin(
        &self,
        key: &Bound<'_, PyAny>,
        index: u64,
        task: &Bound<'_, PyAny>,
    ) -> Result<Permit, Arc<Load>> {
        let own = Arc::new(Load::by_task(key, task));
        self.objects.begin(index, || Arc::clone(&own))
    }

    pub(super) fn begin_alone(&self) -> Permit {
        self.objects.begin_alone()
    }

    /// Ends a load with its value.
    pub(super) fn end(
        &self,
        key: &Bound<'_, PyAny>,
        index: u64,
        permit: Permit,
        value: &Bound<'_, PyAny>,
        ttl: Option<Duration>,
    ) -> PyResult<()> {
        let stored = self.stored(value, ttl)?;
        self.objects.end(index, permit, Some((key.clone().unbind(), stored)));
        Ok(())
    }

    /// Ends a load without one.
    pub(super) fn abandon(&self, index: u64, permit: Permit) {
        self.objects.end(index, permit, None);
    }

    /// Nobody shall wait for the load under way for this index any more.
    pub(super) fn outdate(&self, index: u64) {
        self.objects.remove_if(index, self.now(), |_, _| false);
    }

    /// A miss was answered by another one's load.
    pub(super) fn was_a_hit(&self) {
        self.objects.was_a_hit();
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.weigh)?;
        self.objects.visit(
            |key, value| {
                visit.call(key)?;
                visit.call(value)
            },
            |load| load.traverse(visit),
        )
    }
}

/// The most entries that a cache can be asked to hold.
const MOST_ENTRIES: u32 = 1 << 30;

/// Copies references, under the lock: the value, and the known key unless it is the very object that is looked for.
fn copy<'py>(
    py: Python<'py>,
    key: &Bound<'py, PyAny>,
    known: &Py<PyAny>,
    value: &Py<PyAny>,
) -> (Option<Bound<'py, PyAny>>, Bound<'py, PyAny>) {
    let known = if known.is(key) { None } else { Some(known.clone_ref(py).into_bound(py)) };
    (known, value.clone_ref(py).into_bound(py))
}

fn weight(weighed: &Bound<'_, PyAny>) -> PyResult<u64> {
    if !weighed.is_instance_of::<PyInt>() {
        let (given, kind) = (weighed.repr()?, weighed.get_type().name()?);
        return Err(PyTypeError::new_err(format!(
            "weigh= gave {given}, which is {kind}: a value takes an int of bytes"
        )));
    }
    weighed.extract::<u64>().map_err(|_| match weighed.repr() {
        Ok(given) => {
            PyValueError::new_err(format!("weigh= gave {given}: a value takes 0 bytes or more, below 2**64"))
        }
        Err(error) => error,
    })
}

/// The load of this thread, which others wait for: whatever happens, they are told.
struct Leading<'a> {
    store: &'a Store,
    load: &'a Arc<Load>,
    index: u64,
    permit: Permit,
    is_over: bool,
}

impl Leading<'_> {
    fn run<'py>(
        mut self,
        key: &Bound<'py, PyAny>,
        ttl: Option<Duration>,
        run: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = key.py();
        // Another load may have ended after this one's miss.
        if let Some(value) = self.store.peek(key, self.index)? {
            self.store.was_a_hit();
            self.store.abandon(self.index, self.permit);
            self.over(Outcome::Value(value.clone().unbind()));
            return Ok(value);
        }
        let loaded = run().and_then(|value| {
            self.store.end(key, self.index, self.permit, &value, ttl)?;
            Ok(value)
        });
        match &loaded {
            Ok(value) => self.over(Outcome::Value(value.clone().unbind())),
            Err(error) => {
                self.store.abandon(self.index, self.permit);
                // An interrupt, or the end of the program, is for the thread that it came to.
                let is_for_all = error.is_instance_of::<PyException>(py);
                self.over(if is_for_all { Outcome::Raised(error.clone_ref(py)) } else { Outcome::Nothing });
            }
        }
        loaded
    }

    fn over(&mut self, outcome: Outcome) {
        self.is_over = true;
        self.load.tell(outcome);
    }
}

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.store.abandon(self.index, self.permit);
            self.load.tell(Outcome::Nothing);
        }
    }
}
