//! The lookup: from an ASGI scope to two messages, or to a step.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hotplate::config::RuleId;
use hotplate::exchange::{HttpCache as EngineHttpCache, Lookup, Partition, Request, Round};
use hotplate::key::Key;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

use crate::body::PyBody;
use crate::bridge::Bridge;
use crate::cache::CacheCore;
use crate::connection::Connection;
use crate::exchange::{Exchange, Raised};
use crate::scope::{Held, as_dict};
use crate::step::{Kind, Step};
use crate::timing::Began;
use crate::watch::{self, Looker};
use crate::{convert, error, messages};

/// The HTTP side of a cache: the settings of one middleware.
#[pyclass(frozen, weakref, module = "hotplate._core")]
pub(crate) struct HttpCache {
    http: Arc<EngineHttpCache<PyBody>>,
    connection: Connection,
    /// The `hotplate.Cache`, which handlers find through their request.
    cache: Py<PyAny>,
    /// Makes what a partition function is given from a scope.
    request_head: Py<PyAny>,
    /// One for each rule, then that of the middleware.
    partitions: Vec<Option<Py<PyAny>>>,
    wait: Duration,
}

#[pymethods]
impl HttpCache {
    #[new]
    #[pyo3(signature = (core, cache, request_head, **settings))]
    fn new(
        py: Python<'_>,
        core: &CacheCore,
        cache: Py<PyAny>,
        request_head: Py<PyAny>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let empty = PyDict::new(py);
        let converted = convert::settings(settings.unwrap_or(&empty))?;
        let settings = converted.options.compile().map_err(|refused| error::config(py, &refused))?;
        Ok(Self {
            http: Arc::new(EngineHttpCache::new(Arc::clone(&core.cache), settings)),
            connection: core.connection.clone(),
            cache,
            request_head,
            partitions: converted.partitions,
            wait: converted.wait,
        })
    }

    /// How long a request waits for another's load, in seconds.
    #[getter]
    fn wait_seconds(&self) -> f64 {
        self.wait.as_secs_f64()
    }

    /// Looks a request up.
    ///
    /// `body`: the request's body, after a step asked for it. `previous`: the step this lookup follows.
    /// Returns the two messages of an answer as a tuple; an `Exchange` where the application is to be run; or else a `Step`.
    #[pyo3(signature = (scope, body = None, previous = None))]
    fn lookup<'py>(
        &self,
        scope: &Bound<'py, PyAny>,
        body: Option<&Bound<'py, PyBytes>>,
        previous: Option<&Step>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let entered = Began::now();
        let began = previous.map_or(entered, |step| step.began);
        let py = scope.py();
        let held = Held::read(&as_dict(scope)?)?;
        let lines = held.lines();
        let mut joined = Vec::new();
        let authority = held.authority(&lines, &mut joined);
        let request = held.request(&lines, authority, body.map(|body| body.as_bytes()))?;
        let round = match previous {
            None => Round::default(),
            Some(step) if step.kind == Kind::Wait || step.is_unanswered() => {
                let end = step.take_end();
                if step.kind == Kind::Seek {
                    // Its task goes on and holds the step; nobody else has to wait for that.
                    step.abandon(py);
                }
                Round {
                    timed_out: end.is_none(),
                    end,
                    waits: step.waits + 1,
                    body_refused: false,
                    since: Some(step.since),
                }
            }
            Some(step) => Round {
                body_refused: body.is_none() && step.kind == Kind::NeedBody,
                waits: step.waits,
                since: Some(step.since),
                ..Round::default()
            },
        };
        self.connection.start(py)?;
        let now = self.http.cache().at(entered.moment());
        let mut partition = |rule| self.partition(scope, rule);
        let found = match previous.and_then(Step::take_sought) {
            Some((seek, sought)) => self.http.resume(&request, &round, now, &mut partition, seek, sought),
            None => self.http.lookup(&request, &round, now, &mut partition),
        };
        let step = |kind| Step::new(kind, round.waits, round.since.unwrap_or(now), began);
        let step = match found {
            Lookup::Serve(response) => {
                let answer = messages::answer(py, &response)?;
                self.http.cache().watch().hit.record(began.elapsed());
                return Ok(answer.into_any());
            }
            Lookup::Forward(exchange) => {
                let exchange = self.exchange(py, exchange, Some(began), false)?;
                return Ok(exchange.into_any());
            }
            Lookup::Load(exchange) => {
                let exchange = self.exchange(py, exchange, Some(began), true)?;
                return Ok(exchange.into_any());
            }
            Lookup::Raised(error) => {
                Step { error: Mutex::new(Some(raised(py, &error))), ..step(Kind::Raised) }
            }
            Lookup::ServeAndRefresh(response, exchange) => {
                let answer = messages::answer(py, &response)?.unbind();
                self.http.cache().watch().hit.record(began.elapsed());
                let exchange = self.exchange(py, exchange, None, true)?.unbind();
                Step { messages: Some(answer), exchange: Some(exchange), ..step(Kind::Stale) }
            }
            Lookup::NeedBody { limit } => Step { limit, ..step(Kind::NeedBody) },
            Lookup::Seek(seek) => Step { seek: Mutex::new(Some(seek)), ..step(Kind::Seek) },
            Lookup::Wait(ticket) => Step { ticket: Mutex::new(Some(ticket)), ..step(Kind::Wait) },
        };
        Ok(Bound::new(py, step)?.into_any())
    }

    /// What a request would get now by what this process has, in one sentence; nothing is counted.
    fn explain(&self, scope: &Bound<'_, PyAny>) -> PyResult<String> {
        let now = self.http.cache().now();
        let asked = |request: &Request<'_>| {
            let mut partition = |rule| self.partition(scope, rule);
            Ok(self.http.explain(request, &mut partition, now).to_string())
        };
        self.with_request(scope, asked)
    }

    /// What this process has for the URL of a request, all variants: pairs of JSON and body. `partition`: whose, where the
    /// rule has partitions.
    #[pyo3(signature = (scope, partition = None))]
    fn views<'py>(&self, scope: &Bound<'py, PyAny>, partition: Option<&str>) -> PyResult<Bound<'py, PyList>> {
        let cache = self.http.cache();
        let found = match self.key_of(scope, partition)? {
            Some(key) => cache.views(key, cache.now()),
            None => Vec::new(),
        };
        watch::listed(scope.py(), found)
    }

    /// The same of the shared tier; or `PENDING`.
    #[pyo3(signature = (scope, partition = None, bridge = None, future = None))]
    fn look<'py>(
        &self,
        scope: &Bound<'py, PyAny>,
        partition: Option<&str>,
        bridge: Option<&Bound<'py, Bridge>>,
        future: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = scope.py();
        self.connection.start(py)?;
        let Some(key) = self.key_of(scope, partition)? else { return Ok(PyList::empty(py).into_any()) };
        let job = self.with_request(scope, |request| Ok(self.http.look(request, key)))?;
        watch::look(py, Looker::new(self.http.cache(), key), job, bridge, future)
    }

    /// The pattern of the rule that speaks for a method and path, `None` for the settings themselves; and why such a request
    /// is not cached whatever its fields say, or nothing.
    fn rule_of(&self, method: &str, path: &str) -> (Option<String>, Option<&'static str>) {
        let settings = self.http.settings();
        let rule = match settings.rule_for(method, path) {
            Some(RuleId::Listed(place)) => settings.rule_patterns().nth(place).map(str::to_owned),
            _ => None,
        };
        (rule, settings.looked_up_by(method, path).err().map(|reason| reason.token()))
    }
}

impl HttpCache {
    fn with_request<T>(
        &self,
        scope: &Bound<'_, PyAny>,
        work: impl FnOnce(&Request<'_>) -> PyResult<T>,
    ) -> PyResult<T> {
        let held = Held::read(&as_dict(scope)?)?;
        let lines = held.lines();
        let mut joined = Vec::new();
        let authority = held.authority(&lines, &mut joined);
        work(&held.request(&lines, authority, None)?)
    }

    fn key_of(&self, scope: &Bound<'_, PyAny>, partition: Option<&str>) -> PyResult<Option<Key>> {
        let mut named = |_| match partition {
            Some(name) => Partition::Name(name.as_bytes().to_vec()),
            None => Partition::Refused,
        };
        self.with_request(scope, |request| Ok(self.http.key_of(request, &mut named).ok()))
    }

    fn exchange<'py>(
        &self,
        py: Python<'py>,
        exchange: hotplate::exchange::Exchange<PyBody>,
        asked: Option<Began>,
        for_all: bool,
    ) -> PyResult<Bound<'py, Exchange>> {
        let cache = self.cache.clone_ref(py);
        Bound::new(py, Exchange::new(exchange, cache, Arc::clone(self.http.cache()), asked, for_all))
    }

    /// Asks the partition function that speaks for a rule. What it raises is logged, and the request forwarded.
    fn partition(&self, scope: &Bound<'_, PyAny>, rule: RuleId) -> Partition {
        let py = scope.py();
        let place = match rule {
            RuleId::Listed(index) => index,
            RuleId::Default => self.partitions.len().saturating_sub(1),
        };
        let Some(function) = self.partitions.get(place).and_then(Option::as_ref) else {
            return Partition::Refused;
        };
        let named =
            self.request_head.bind(py).call1((scope,)).and_then(|head| function.bind(py).call1((head,)));
        match named {
            Ok(name) if name.is_none() => Partition::Refused,
            Ok(name) => match name.cast::<PyString>().ok().and_then(|name| name.to_str().ok()) {
                Some(name) => Partition::Name(name.as_bytes().to_vec()),
                None => {
                    let text = "a partition function returned something else than text or None; requests are forwarded";
                    self.report(scope, text, None);
                    Partition::Failed
                }
            },
            Err(error) => {
                self.report(scope, "a partition function raised; requests are forwarded", Some(&error));
                Partition::Failed
            }
        }
    }

    /// Has a fault of a partition function logged, unless one was just now.
    fn report(&self, scope: &Bound<'_, PyAny>, text: &str, error: Option<&PyErr>) {
        let py = scope.py();
        let report = || {
            let fields = PyDict::new(py);
            match error {
                Some(error) => fields.set_item("error", error.value(py))?,
                None => fields.set_item("about", "type")?,
            }
            fields.set_item("path", scope.get_item("path")?)?;
            let faults = self.cache.bind(py).getattr("faults")?;
            faults.call_method("report", ("partition-failed", text), Some(&fields))
        };
        // What cannot be logged is no fault of the request.
        drop(report());
    }
}

/// The exception of a load, for a request that waited for it.
fn raised(py: Python<'_>, error: &Arc<dyn std::any::Any + Send + Sync>) -> PyErr {
    match error.downcast_ref::<Raised>() {
        Some(raised) => raised.again(py).unwrap_or_else(|unraisable| unraisable),
        None => pyo3::exceptions::PyRuntimeError::new_err("the load this request waited for failed"),
    }
}
