//! One run of the application, as Python drives it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hotplate::exchange::{CLIENT_ONLY_FIELDS, LoadRequest};
use hotplate::exchange::{ChunkStep, Dependency, Edits, Exchange as EngineExchange, HeadStep, Response};
use hotplate::share::{SeekJob, Sought};
use hotplate_policy::control::LocalDirectives;
use hotplate_policy::fields::Fields;
use hotplate_policy::time::Timestamp;
use pyo3::exceptions::{PyKeyError, PyRuntimeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use crate::body::PyBody;
use crate::timing::Began;
use crate::{convert, messages, scope};

/// What a route's dependency says about its responses; checked when the route is declared.
#[pyclass(frozen, module = "hotplate._core")]
pub(crate) struct PolicyCore {
    directives: LocalDirectives,
    client_ttl: Option<std::time::Duration>,
    tags: Vec<String>,
}

#[pymethods]
impl PolicyCore {
    #[new]
    #[pyo3(signature = (*, ttl, client_ttl, tags, stale_while_revalidate, stale_if_error, cache))]
    fn new(
        ttl: &Bound<'_, PyAny>,
        client_ttl: &Bound<'_, PyAny>,
        tags: &Bound<'_, PyAny>,
        stale_while_revalidate: &Bound<'_, PyAny>,
        stale_if_error: &Bound<'_, PyAny>,
        cache: bool,
    ) -> PyResult<Self> {
        Ok(Self {
            directives: LocalDirectives {
                ttl: convert::duration("ttl", ttl)?,
                stale_while_revalidate: convert::duration_or_zero(
                    "stale_while_revalidate",
                    stale_while_revalidate,
                )?,
                stale_if_error: convert::duration_or_zero("stale_if_error", stale_if_error)?,
                no_store: !cache,
                override_response: true,
            },
            client_ttl: convert::duration_or_zero("client_ttl", client_ttl)?,
            tags: convert::texts("tags", tags)?,
        })
    }
}

impl PolicyCore {
    /// With the names in its tags filled in from the route's path parameters.
    fn render(&self, parameters: &Bound<'_, PyDict>) -> PyResult<Dependency> {
        let mut tags = Vec::with_capacity(self.tags.len());
        for template in &self.tags {
            tags.push(fill_in(template, parameters)?);
        }
        Ok(Dependency { directives: self.directives.clone(), client_ttl: self.client_ttl, tags })
    }
}

/// Fills in the names a template has in braces, each once; a name the route does not have stays as it is.
fn fill_in(template: &str, parameters: &Bound<'_, PyDict>) -> PyResult<String> {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let known = match after.split_once('}') {
            Some((name, beyond)) => parameters.get_item(name)?.map(|value| (value, beyond)),
            None => None,
        };
        match known {
            Some((value, beyond)) => {
                filled.push_str(&value.extract::<String>()?);
                rest = beyond;
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

/// What the application raised, for those who wait for the same load.
pub(crate) struct Raised {
    exception: Py<PyAny>,
    traceback: Py<PyAny>,
}

impl Raised {
    /// The exception, to be raised once more: with the application's own frames, not those of whoever raised it last.
    pub(crate) fn again(&self, py: Python<'_>) -> PyResult<PyErr> {
        let exception = self.exception.bind(py);
        exception.setattr(intern!(py, "__traceback__"), &self.traceback)?;
        Ok(PyErr::from_value(exception.clone()))
    }
}

/// One run of the application: told every message it sends, it says what the client gets.
///
/// Also what a request's handler finds in `scope["hotplate"]`.
#[pyclass(frozen, module = "hotplate._core")]
pub(crate) struct Exchange {
    inner: Mutex<Inner>,
    cache: Py<PyAny>,
    clock: Arc<hotplate::cache::Cache<PyBody>>,
    /// The client sent `HEAD`; the application may have been asked with `GET`.
    head_only: bool,
    timed: Timed,
}

/// Since when it runs, and since when a client waits for it; measured once.
struct Timed {
    asked: Option<Began>,
    began: Began,
    is_over: AtomicBool,
}

struct Inner {
    exchange: EngineExchange<PyBody>,
    held: Option<Py<PyDict>>,
    policy: Option<Dependency>,
}

impl Exchange {
    pub(crate) fn new(
        exchange: EngineExchange<PyBody>,
        cache: Py<PyAny>,
        clock: Arc<hotplate::cache::Cache<PyBody>>,
        asked: Option<Began>,
    ) -> Self {
        let head_only = exchange.load_request().as_get;
        // What is not to be stored is no load.
        let timed = Timed { asked, began: Began::now(), is_over: AtomicBool::new(!exchange.is_load()) };
        let inner = Mutex::new(Inner { exchange, held: None, policy: None });
        Self { inner, cache, clock, head_only, timed }
    }

    /// What a refresh awaits before the application is run.
    pub(crate) fn refresh_job(&self) -> Option<SeekJob> {
        self.inner().exchange.refresh_job()
    }

    /// What that came to: whether the application is to be run.
    pub(crate) fn refreshed(&self, sought: Sought) -> bool {
        self.inner().exchange.refreshed(sought)
    }

    /// Waits detached from the interpreter: who holds the lock may need it to wake an event loop.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        Python::attach(|py| self.inner.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner))
    }

    /// The application is done.
    fn over(&self) {
        if !self.timed.is_over.swap(true, Ordering::Relaxed) {
            let watch = self.clock.watch();
            watch.load.record(self.timed.began.elapsed());
            if let Some(asked) = self.timed.asked {
                watch.miss.record(asked.elapsed());
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn start<'py>(&self, start: &Bound<'py, PyDict>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let py = start.py();
        let status: u16 = match start.get_item(intern!(py, "status"))? {
            Some(status) => status.extract()?,
            None => return Err(PyKeyError::new_err("status")),
        };
        let headers = match start.get_item(intern!(py, "headers"))? {
            Some(headers) => scope::lines(&headers)?,
            None => Vec::new(),
        };
        let trailers = match start.get_item(intern!(py, "trailers"))? {
            Some(trailers) => trailers.is_truthy()?,
            None => false,
        };
        let lines: Vec<(&[u8], &[u8])> =
            headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        if self.inner().exchange.is_decided() {
            return Err(PyRuntimeError::new_err("http.response.start was sent already"));
        }
        let now = self.now();
        let step = {
            let mut inner = self.inner();
            let Inner { exchange, policy, .. } = &mut *inner;
            exchange.head(status, Fields::new(&lines), trailers, policy.as_ref(), now)
        };
        match step {
            HeadStep::Send(edits) => {
                if self.inner().exchange.is_answered() {
                    return Ok(None);
                }
                PyTuple::new(py, [messages::edited(start, &edits)?]).map(Some)
            }
            HeadStep::Discard => Ok(None),
            HeadStep::Hold => {
                self.inner().held = Some(start.clone().unbind());
                Ok(None)
            }
            HeadStep::Answer(response) => messages::answer(py, &response).map(Some),
        }
    }

    fn body<'py>(&self, message: &Bound<'py, PyDict>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let py = message.py();
        let (recording, answered) = {
            let inner = self.inner();
            (inner.exchange.is_recording(), inner.exchange.is_answered())
        };
        if !recording {
            return if answered { Ok(None) } else { PyTuple::new(py, [self.for_client(message)?]).map(Some) };
        }
        let content = match message.get_item(intern!(py, "body"))? {
            Some(content) => PyBody::take(&content)?,
            None => PyBody::take(PyBytes::new(py, b"").as_any())?,
        };
        let more = match message.get_item(intern!(py, "more_body"))? {
            Some(more) => more.is_truthy()?,
            None => false,
        };
        let now = self.now();
        let (step, held) = {
            let mut inner = self.inner();
            let step = inner.exchange.chunk(content, !more, now);
            let held = if matches!(step, ChunkStep::SendHead(_) | ChunkStep::Answer(_)) {
                inner.held.take()
            } else {
                None
            };
            (step, held)
        };
        match step {
            ChunkStep::Drop => Ok(None),
            ChunkStep::Send => PyTuple::new(py, [self.for_client(message)?]).map(Some),
            ChunkStep::SendHead(edits) => {
                let start = Self::held_start(py, held, &edits)?;
                PyTuple::new(py, [start, self.for_client(message)?]).map(Some)
            }
            ChunkStep::Answer(response) => messages::answer(py, &response).map(Some),
        }
    }

    /// The message as the client gets it: without content if it asked for the head alone.
    fn for_client<'py>(&self, message: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyDict>> {
        if !self.head_only {
            return Ok(message.clone());
        }
        let copy = message.copy()?;
        copy.set_item(intern!(message.py(), "body"), PyBytes::new(message.py(), b""))?;
        Ok(copy)
    }

    /// The content goes to the client by another way than body messages: it cannot be recorded.
    fn content_elsewhere<'py>(&self, message: &Bound<'py, PyDict>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let py = message.py();
        let now = self.now();
        let (edits, held, answered) = {
            let mut inner = self.inner();
            let edits = inner.exchange.give_up_recording(now);
            (edits, inner.held.take(), inner.exchange.is_answered())
        };
        match edits {
            _ if answered => Ok(None),
            Some(edits) => {
                let start = Self::held_start(py, held, &edits)?;
                PyTuple::new(py, [&start, message]).map(Some)
            }
            None => PyTuple::new(py, [message]).map(Some),
        }
    }

    fn held_start<'py>(
        py: Python<'py>,
        held: Option<Py<PyDict>>,
        edits: &Edits,
    ) -> PyResult<Bound<'py, PyDict>> {
        match held {
            Some(start) => messages::edited(start.bind(py), edits),
            None => Err(PyKeyError::new_err("http.response.start")),
        }
    }

    fn answer<'py>(
        py: Python<'py>,
        response: Option<Response<PyBody>>,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        response.map(|response| messages::answer(py, &response)).transpose()
    }
}

#[pymethods]
impl Exchange {
    /// The application sent `message`. Returns the messages for the client, or `None` for none.
    fn message<'py>(&self, message: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let py = message.py();
        let owned;
        let dict = match message.cast::<PyDict>() {
            Ok(dict) => dict,
            Err(_) => {
                owned = py.get_type::<PyDict>().call1((message,))?.cast_into::<PyDict>()?;
                &owned
            }
        };
        let kind = dict.get_item(intern!(py, "type"))?.ok_or_else(|| PyKeyError::new_err("type"))?;
        if kind.eq(intern!(py, "http.response.start"))? {
            self.start(dict)
        } else if kind.eq(intern!(py, "http.response.body"))? {
            self.body(dict)
        } else if kind.eq(intern!(py, "http.response.pathsend"))?
            || kind.eq(intern!(py, "http.response.zerocopysend"))?
        {
            self.content_elsewhere(dict)
        } else if self.inner().exchange.is_answered() {
            Ok(None)
        } else {
            PyTuple::new(py, [dict]).map(Some)
        }
    }

    /// The application raised `error`. Returns a stale answer for the client, or `None`: the error is the client's.
    fn fail<'py>(&self, error: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let traceback = error.getattr(intern!(error.py(), "__traceback__"))?.unbind();
        let shared: Arc<dyn std::any::Any + Send + Sync> =
            Arc::new(Raised { exception: error.clone().unbind(), traceback });
        self.over();
        let now = self.now();
        let response = self.inner().exchange.fail(shared, now);
        Self::answer(error.py(), response)
    }

    /// The application returned. Returns whether it has to run once more, with a new `load_scope`.
    fn end(&self) -> bool {
        let again = self.inner().exchange.end();
        if !again {
            self.over();
        }
        again
    }

    /// The application will not finish.
    pub(crate) fn abandon(&self) {
        self.inner().exchange.abandon();
    }

    /// The response is about the cache itself: it passes, is stored nowhere, makes nothing untrue, and is in no number.
    fn set_aside(&self) {
        self.timed.is_over.store(true, Ordering::Relaxed);
        self.inner().exchange.set_aside();
    }

    /// Whether the response is being recorded.
    #[getter]
    fn recording(&self) -> bool {
        self.inner().exchange.is_recording()
    }

    /// Whether the application's messages now go to the client unchanged.
    #[getter]
    fn passing(&self) -> bool {
        self.inner().exchange.is_passing()
    }

    /// Whether the client has its whole answer.
    #[getter]
    fn answered(&self) -> bool {
        self.inner().exchange.is_answered()
    }

    /// Whether the application's head has been seen.
    #[getter]
    fn decided(&self) -> bool {
        self.inner().exchange.is_decided()
    }

    /// The `Cache` of the middleware.
    #[getter]
    fn cache(&self, py: Python<'_>) -> Py<PyAny> {
        self.cache.clone_ref(py)
    }

    /// Sets what the route's dependency says, with the route's path parameters for its tags.
    fn set_policy(&self, policy: &PolicyCore, parameters: &Bound<'_, PyDict>) -> PyResult<()> {
        let dependency = policy.render(parameters)?;
        self.inner().policy = Some(dependency);
        Ok(())
    }

    /// The scope to load with: a copy without the client's own conditions, whose response is sent as messages.
    fn load_scope<'py>(slf: &Bound<'py, Self>, scope: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
        let py = slf.py();
        let scope = as_dict(scope)?;
        let LoadRequest { as_get, add } = slf.get().inner().exchange.load_request();
        let copy = scope.copy()?;
        let headers = PyList::empty(py);
        if let Some(given) = scope.get_item(intern!(py, "headers"))? {
            for (name, value) in scope::lines(&given)? {
                let bytes = name.as_bytes();
                if !CLIENT_ONLY_FIELDS.iter().any(|left_out| bytes.eq_ignore_ascii_case(left_out.as_bytes()))
                {
                    headers.append((name, value))?;
                }
            }
        }
        for (name, value) in &add {
            headers.append((PyBytes::new(py, name.as_bytes()), PyBytes::new(py, value)))?;
        }
        copy.set_item(intern!(py, "headers"), headers)?;
        if as_get {
            copy.set_item(intern!(py, "method"), intern!(py, "GET"))?;
        }
        if let Some(extensions) = scope.get_item(intern!(py, "extensions"))?
            && let Ok(extensions) = extensions.cast::<PyDict>()
        {
            let kept = extensions.copy()?;
            for bypassing in ["http.response.pathsend", "http.response.zerocopysend"] {
                if kept.contains(bypassing)? {
                    kept.del_item(bypassing)?;
                }
            }
            copy.set_item(intern!(py, "extensions"), kept)?;
        }
        copy.set_item(intern!(py, "hotplate"), slf)?;
        Ok(copy)
    }
}

/// The scope as a dictionary; servers give one, and a mapping of another kind is copied.
pub(crate) fn as_dict<'py>(scope: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    match scope.cast::<PyDict>() {
        Ok(dict) => Ok(dict.clone()),
        Err(_) => Ok(scope.py().get_type::<PyDict>().call1((scope,))?.cast_into::<PyDict>()?),
    }
}
