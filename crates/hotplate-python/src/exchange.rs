//! One run of the application, as Python drives it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hotplate::exchange::{ChunkStep, Dependency, Edits, Exchange as EngineExchange, HeadStep, Response};
use hotplate::share::{SeekJob, Sought};
use hotplate_policy::control::LocalDirectives;
use hotplate_policy::fields::Fields;
use hotplate_policy::time::Timestamp;
use pyo3::exceptions::{PyKeyError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::body::PyBody;
use crate::timing::Began;
use crate::{convert, messages, names, scope};

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
        exception.setattr(names::TRACEBACK.get(py), &self.traceback)?;
        Ok(PyErr::from_value(exception.clone()))
    }
}

/// What the client gets of a message of the application.
pub(crate) enum Answer<'py> {
    Nothing,
    One(Bound<'py, PyDict>),
    Two(Bound<'py, PyDict>, Bound<'py, PyDict>),
}

impl<'py> Answer<'py> {
    /// A complete answer of our own.
    fn own(py: Python<'py>, response: &Response<PyBody>) -> PyResult<Self> {
        messages::two(py, response).map(|(start, body)| Self::Two(start, body))
    }

    /// Gives each message away, in their order.
    pub(crate) fn each(self, mut take: impl FnMut(Bound<'py, PyDict>)) {
        match self {
            Self::Nothing => {}
            Self::One(only) => take(only),
            Self::Two(first, second) => {
                take(first);
                take(second);
            }
        }
    }

    /// The same, with no part of it the application's own `message`: nor its body, where that can change.
    pub(crate) fn apart_from(self, message: &Bound<'py, PyAny>) -> PyResult<Self> {
        let apart = |given: Bound<'py, PyDict>| {
            if given.is(message) { messages::copied(&given) } else { Ok(given) }
        };
        Ok(match self {
            Self::Nothing => Self::Nothing,
            Self::One(only) => Self::One(apart(only)?),
            Self::Two(first, second) => Self::Two(first, apart(second)?),
        })
    }
}

/// What a message of the application came to.
pub(crate) struct Told<'py> {
    pub(crate) answer: Answer<'py>,
    /// It was a part of the body, and another one follows.
    pub(crate) more: bool,
    /// It was the end of the body.
    pub(crate) is_last: bool,
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
    for_all: bool,
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
    /// `for_all`: others may wait for what it loads.
    pub(crate) fn new(
        exchange: EngineExchange<PyBody>,
        cache: Py<PyAny>,
        clock: Arc<hotplate::cache::Cache<PyBody>>,
        asked: Option<Began>,
        for_all: bool,
    ) -> Self {
        let head_only = exchange.load_request().as_get;
        // What is not to be stored is no load.
        let timed = Timed { asked, began: Began::now(), is_over: AtomicBool::new(!exchange.is_load()) };
        let inner = Mutex::new(Inner { exchange, held: None, policy: None });
        Self { inner, cache, clock, head_only, for_all, timed }
    }

    /// What a refresh awaits before the application is run.
    pub(crate) fn refresh_job(&self, py: Python<'_>) -> Option<SeekJob> {
        self.inner(py).exchange.refresh_job()
    }

    /// What that came to: whether the application is to be run.
    pub(crate) fn refreshed(&self, py: Python<'_>, sought: Sought) -> bool {
        self.inner(py).exchange.refreshed(sought)
    }

    /// Whether the application's messages now go to the client unchanged.
    pub(crate) fn passes(&self, py: Python<'_>) -> bool {
        self.inner(py).exchange.is_passing()
    }

    /// The application sent `message`.
    pub(crate) fn tell<'py>(&self, message: &Bound<'py, PyAny>) -> PyResult<Told<'py>> {
        let py = message.py();
        let owned;
        let dict = match message.cast::<PyDict>() {
            Ok(dict) => dict,
            Err(_) => {
                owned = py.get_type::<PyDict>().call1((message,))?.cast_into::<PyDict>()?;
                &owned
            }
        };
        let kind = dict.get_item(names::TYPE.get(py))?.ok_or_else(|| PyKeyError::new_err("type"))?;
        if kind.eq(names::RESPONSE_BODY.get(py))? {
            return self.body(dict);
        }
        let mut is_last = false;
        let answer = if kind.eq(names::RESPONSE_START.get(py))? {
            self.start(dict)?
        } else if kind.eq(names::RESPONSE_PATHSEND.get(py))? {
            is_last = true;
            self.content_elsewhere(dict)?
        } else if kind.eq(names::RESPONSE_ZEROCOPYSEND.get(py))? {
            self.content_elsewhere(dict)?
        } else if self.inner(py).exchange.is_answered() {
            Answer::Nothing
        } else {
            Answer::One(dict.clone())
        };
        Ok(Told { answer, more: false, is_last })
    }

    /// Waits detached from the interpreter: who holds the lock may need it to wake an event loop.
    fn inner(&self, py: Python<'_>) -> MutexGuard<'_, Inner> {
        self.inner.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner)
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

    fn start<'py>(&self, start: &Bound<'py, PyDict>) -> PyResult<Answer<'py>> {
        let py = start.py();
        let start = &messages::with_lasting_headers(start)?;
        let status: u16 = match start.get_item(names::STATUS.get(py))? {
            Some(status) => status.extract()?,
            None => return Err(PyKeyError::new_err("status")),
        };
        let headers = match start.get_item(names::HEADERS.get(py))? {
            Some(headers) => scope::lines(&headers)?,
            None => Vec::new(),
        };
        let trailers = match start.get_item(names::TRAILERS.get(py))? {
            Some(trailers) => trailers.is_truthy()?,
            None => false,
        };
        let lines: Vec<(&[u8], &[u8])> =
            headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        let now = self.now();
        let (step, is_answered) = {
            let mut inner = self.inner(py);
            let Inner { exchange, policy, .. } = &mut *inner;
            if exchange.is_decided() {
                return Err(PyRuntimeError::new_err("http.response.start was sent already"));
            }
            let step = exchange.head(status, Fields::new(&lines), trailers, policy.as_ref(), now);
            (step, exchange.is_answered())
        };
        match step {
            HeadStep::Send(_) if is_answered => Ok(Answer::Nothing),
            HeadStep::Send(edits) => messages::edited(start, &edits).map(Answer::One),
            HeadStep::Discard => Ok(Answer::Nothing),
            HeadStep::Hold => {
                self.inner(py).held = Some(start.clone().unbind());
                Ok(Answer::Nothing)
            }
            HeadStep::Answer(response) => Answer::own(py, &response),
        }
    }

    fn body<'py>(&self, message: &Bound<'py, PyDict>) -> PyResult<Told<'py>> {
        let py = message.py();
        let more = match message.get_item(names::MORE_BODY.get(py))? {
            Some(more) => more.is_truthy()?,
            None => false,
        };
        let (recording, answered) = {
            let inner = self.inner(py);
            (inner.exchange.is_recording(), inner.exchange.is_answered())
        };
        let answer = if recording {
            self.chunk(message, more)?
        } else if answered {
            Answer::Nothing
        } else {
            Answer::One(self.for_client(message)?)
        };
        Ok(Told { answer, more, is_last: !more })
    }

    fn chunk<'py>(&self, message: &Bound<'py, PyDict>, more: bool) -> PyResult<Answer<'py>> {
        let py = message.py();
        let content = match message.get_item(names::BODY.get(py))? {
            Some(content) => PyBody::take(&content)?,
            None => PyBody::take(PyBytes::new(py, b"").as_any())?,
        };
        let now = self.now();
        let (step, held) = {
            let mut inner = self.inner(py);
            let step = inner.exchange.chunk(content, !more, now);
            let held = if matches!(step, ChunkStep::SendHead(_) | ChunkStep::Answer(_)) {
                inner.held.take()
            } else {
                None
            };
            (step, held)
        };
        match step {
            ChunkStep::Drop => Ok(Answer::Nothing),
            ChunkStep::Send => self.for_client(message).map(Answer::One),
            ChunkStep::SendHead(edits) => {
                let start = Self::held_start(py, held, &edits)?;
                Ok(Answer::Two(start, self.for_client(message)?))
            }
            ChunkStep::Answer(response) => Answer::own(py, &response),
        }
    }

    /// The message as the client gets it: without content if it asked for the head alone.
    fn for_client<'py>(&self, message: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyDict>> {
        if !self.head_only {
            return Ok(message.clone());
        }
        let copy = message.copy()?;
        copy.set_item(names::BODY.get(message.py()), PyBytes::new(message.py(), b""))?;
        Ok(copy)
    }

    /// The content goes to the client by another way than body messages: it cannot be recorded.
    fn content_elsewhere<'py>(&self, message: &Bound<'py, PyDict>) -> PyResult<Answer<'py>> {
        let py = message.py();
        let now = self.now();
        let (edits, held, answered) = {
            let mut inner = self.inner(py);
            let edits = inner.exchange.give_up_recording(now);
            (edits, inner.held.take(), inner.exchange.is_answered())
        };
        match edits {
            _ if answered => Ok(Answer::Nothing),
            Some(edits) => Ok(Answer::Two(Self::held_start(py, held, &edits)?, message.clone())),
            None => Ok(Answer::One(message.clone())),
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
}

#[pymethods]
impl Exchange {
    /// Whether others may wait for what it loads: then it is run so that a client who leaves stops nothing.
    #[getter]
    fn for_all(&self) -> bool {
        self.for_all
    }

    /// The application raised `error`. Returns a stale answer for the client, or `None`: the error is the client's.
    fn fail<'py>(&self, error: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let traceback = error.getattr(names::TRACEBACK.get(error.py()))?.unbind();
        let shared: Arc<dyn std::any::Any + Send + Sync> =
            Arc::new(Raised { exception: error.clone().unbind(), traceback });
        self.over();
        let now = self.now();
        let response = self.inner(error.py()).exchange.fail(shared, now);
        response.map(|response| messages::answer(error.py(), &response)).transpose()
    }

    /// The application returned. Returns whether it has to run once more, with a new `load_scope`.
    fn end(&self, py: Python<'_>) -> bool {
        let again = self.inner(py).exchange.end();
        if !again {
            self.over();
        }
        again
    }

    /// The application will not finish.
    pub(crate) fn abandon(&self, py: Python<'_>) {
        self.inner(py).exchange.abandon();
    }

    /// The response is about the cache itself: it passes, is stored nowhere, makes nothing untrue, and is in no number.
    fn set_aside(&self, py: Python<'_>) {
        self.timed.is_over.store(true, Ordering::Relaxed);
        self.inner(py).exchange.set_aside();
    }

    /// Whether the application's messages now go to the client unchanged.
    #[getter]
    fn passing(&self, py: Python<'_>) -> bool {
        self.passes(py)
    }

    /// For how long it has been running, in seconds.
    #[getter]
    fn seconds(&self) -> f64 {
        self.timed.began.elapsed().as_secs_f64()
    }

    /// The `Cache` of the middleware.
    #[getter]
    fn cache(&self, py: Python<'_>) -> Py<PyAny> {
        self.cache.clone_ref(py)
    }

    /// Sets what the route's dependency says, with the route's path parameters for its tags.
    fn set_policy(&self, policy: &PolicyCore, parameters: &Bound<'_, PyDict>) -> PyResult<()> {
        let dependency = policy.render(parameters)?;
        self.inner(parameters.py()).policy = Some(dependency);
        Ok(())
    }

    /// The scope to load with: a copy without the client's own conditions, whose response is sent as messages.
    fn load_scope<'py>(this: &Bound<'py, Self>, scope: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
        let request = this.get().inner(this.py()).exchange.load_request();
        scope::for_load(&scope::as_dict(scope)?, &request, this)
    }

    /// Sets in the client's scope what the application has left in that of its load, but for what was made different there.
    #[expect(clippy::unused_self, reason = "the other way of `load_scope`")]
    fn give_back(&self, of_load: &Bound<'_, PyDict>, scope: &Bound<'_, PyAny>) -> PyResult<()> {
        scope::give_back(of_load, scope)
    }
}
