//! The cache's handle and the hand-turned clock.

use std::sync::Arc;
use std::time::Duration;

use hotplate::cache::Cache;
use hotplate::clock::{Clock, ManualClock as EngineManualClock, SystemClock};
use hotplate::error::ConfigError;
use hotplate::key::Key;
use hotplate::log::{Mode, Target};
use hotplate::watch::Identity;
use hotplate::watch::report::SharedReport;
use hotplate_policy::reason::Reason;
use hotplate_policy::time::Timestamp;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::body::PyBody;
use crate::bridge::{self, Bridge, Done, settle};
use crate::connection::Connection;
use crate::{body, convert, error};

/// A clock that stands still until it is turned; `now` in seconds since 1970.
#[pyclass(frozen, module = "hotplate._core")]
pub(crate) struct ManualClock(Arc<EngineManualClock>);

impl ManualClock {
    /// The clock itself.
    pub(crate) fn engine(&self) -> Arc<EngineManualClock> {
        Arc::clone(&self.0)
    }
}

#[pymethods]
impl ManualClock {
    #[new]
    #[pyo3(signature = (now = 1_700_000_000.0))]
    fn new(now: f64) -> Self {
        #[allow(clippy::cast_possible_truncation, reason = "saturates, and a clock that far is nobody's")]
        let millis = (now * 1000.0) as i64;
        Self(Arc::new(EngineManualClock::new(Timestamp::from_unix_millis(millis))))
    }

    /// Turns the clock forward by `seconds`.
    fn advance(&self, py: Python<'_>, seconds: f64) -> PyResult<()> {
        let Ok(duration) = Duration::try_from_secs_f64(seconds) else {
            let error = ConfigError::new("seconds", seconds.to_string(), "a clock is turned forward");
            return Err(error::config(py, &error));
        };
        self.0.advance(duration);
        Ok(())
    }

    /// The time it shows, in seconds since 1970.
    #[allow(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit")]
    fn now(&self) -> f64 {
        self.0.now().unix_millis() as f64 / 1000.0
    }
}

/// The engine behind `hotplate.Cache`.
#[pyclass(frozen, weakref, module = "hotplate._core")]
pub(crate) struct CacheCore {
    pub(crate) cache: Arc<Cache<PyBody>>,
    pub(crate) connection: Connection,
    max_bytes: u64,
}

#[pymethods]
impl CacheCore {
    /// `url`: `None` for a cache in memory. The settings are those of `hotplate.Cache` for the shared tier.
    #[new]
    #[pyo3(signature = (*, max_bytes, clock = None, url = None, local = true, **settings))]
    fn new(
        py: Python<'_>,
        max_bytes: &Bound<'_, PyAny>,
        clock: Option<&Bound<'_, ManualClock>>,
        url: Option<String>,
        local: bool,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let max_bytes = convert::size("max_bytes", max_bytes)?;
        let clock: Arc<dyn Clock> = match clock {
            Some(manual) => Arc::clone(&manual.get().0) as Arc<dyn Clock>,
            None => Arc::new(SystemClock::new()),
        };
        let connection = match url {
            Some(url) => {
                let empty = PyDict::new(py);
                Connection::new(url, settings.unwrap_or(&empty), &clock)?
            }
            None => Connection::none(),
        };
        let cache = match connection.share() {
            Some(share) => Cache::shared(max_bytes, clock, Arc::clone(share), local),
            None => Cache::new(max_bytes, clock),
        };
        let cache = Arc::new(cache);
        cache.watch().identify(Identity { host: hostname(py), waiting: bridge::waiting });
        cache.report_on_share();
        Ok(Self { cache, connection, max_bytes })
    }

    /// Connects to the shared tier, if there is one, without waiting for it.
    fn start(&self, py: Python<'_>) -> PyResult<()> {
        self.connection.start(py)
    }

    /// To be called before anything else by who only looks at a cache: it is not counted among its processes.
    fn only_look(&self) {
        self.connection.only_look();
    }

    /// Takes up work in a process that was forked off.
    fn after_fork(&self) {
        self.cache.after_fork();
        self.connection.after_fork();
    }

    /// Appends a record of the targets and returns its position, or `None` where a future has to be awaited for it.
    ///
    /// `bridge`, `future`: where the position in the log of all processes is to be told.
    #[pyo3(signature = (tags, paths, prefixes, keys, soft, bridge = None, future = None))]
    #[allow(clippy::too_many_arguments, reason = "the keyword arguments of Cache.invalidate")]
    fn invalidate(
        &self,
        py: Python<'_>,
        tags: Vec<String>,
        paths: Vec<String>,
        prefixes: Vec<String>,
        keys: Vec<String>,
        soft: bool,
        bridge: Option<&Bridge>,
        future: Option<Py<PyAny>>,
    ) -> PyResult<Option<u64>> {
        check_paths(py, &paths, &prefixes)?;
        self.connection.start(py)?;
        let mode = if soft { Mode::Soft } else { Mode::Hard };
        let targets = targets(&tags, &paths, &prefixes, &keys);
        let (position, appending) = self.cache.invalidate_all(&targets, mode, self.cache.now());
        match appending {
            Some(appending) => {
                let head = settle(py, bridge, future, |(), head| Done::Appended(head), appending)?;
                Ok(head.map(|head| head.map_or(0, |head| head.position)))
            }
            None => Ok(Some(position.as_u64())),
        }
    }

    /// Invalidates everything and frees its memory.
    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        self.connection.start(py)?;
        // Sent in the background.
        drop(self.cache.clear(self.cache.now()));
        body::free_unused(py);
        Ok(())
    }

    /// The numbers of the shared tier as JSON, or `None` for a cache in memory.
    fn shared_stats<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        let share = self.connection.share()?;
        Some(PyBytes::new(py, &SharedReport::of(share).to_json()))
    }

    /// The numbers, by the names of `hotplate.Stats`.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.cache.stats();
        let numbers = PyDict::new(py);
        for (name, value) in [
            ("hits", stats.hits),
            ("misses", stats.misses),
            ("stale", stats.stale),
            ("validated", stats.validated),
            ("collapsed", stats.collapsed),
            ("stored", stats.stored),
            ("failed_loads", stats.load_errors),
            ("refreshes", stats.refreshes),
            ("invalidations", stats.invalidations),
            ("evictions", stats.evictions),
            ("entries", stats.entries),
            ("bytes", stats.bytes),
            ("max_bytes", self.max_bytes),
        ] {
            numbers.set_item(name, value)?;
        }
        numbers.set_item("bypass", by_reason(py, &stats.forwarded)?)?;
        numbers.set_item("not_stored", by_reason(py, &stats.not_stored)?)?;
        Ok(numbers)
    }
}

/// The name of this machine; nothing where it has none.
fn hostname(py: Python<'_>) -> String {
    let name = py.import("socket").and_then(|socket| socket.call_method0("gethostname"));
    name.and_then(|name| name.extract()).unwrap_or_default()
}

fn by_reason<'py>(py: Python<'py>, counts: &[u64]) -> PyResult<Bound<'py, PyDict>> {
    let reasons = PyDict::new(py);
    for reason in Reason::ALL {
        if let Some(count) = counts.get(reason.index()).filter(|count| **count > 0) {
            reasons.set_item(reason.token(), count)?;
        }
    }
    Ok(reasons)
}

/// Refuses what is no path.
pub(crate) fn check_paths(py: Python<'_>, paths: &[String], prefixes: &[String]) -> PyResult<()> {
    for (setting, texts) in [("paths", paths), ("prefixes", prefixes)] {
        if let Some(wrong) = texts.iter().find(|path| !path.starts_with('/') || path.contains(['?', '#'])) {
            let remedy = "a path starts with \"/\" and has no host, no query and no fragment";
            return Err(error::config(py, &ConfigError::new(setting, wrong.as_str(), remedy)));
        }
    }
    Ok(())
}

/// What an invalidation names.
pub(crate) fn targets<'a>(
    tags: &'a [String],
    paths: &'a [String],
    prefixes: &'a [String],
    keys: &'a [String],
) -> Vec<Target<'a>> {
    tags.iter()
        .map(|tag| Target::Tag(hotplate::tags::clip(tag)))
        .chain(paths.iter().map(|path| Target::Path(path.as_bytes())))
        .chain(prefixes.iter().map(|prefix| Target::Prefix(prefix.as_bytes())))
        .chain(keys_named(keys).map(Target::Key))
        .collect()
}

/// A value has a name. What could be the key of a response as it is printed is both.
fn keys_named(names: &[String]) -> impl Iterator<Item = Key> + '_ {
    names.iter().flat_map(|name| {
        let printed = (name.len() == 32).then(|| u128::from_str_radix(name, 16).ok()).flatten();
        [Some(Key::named(name.as_bytes())), printed.map(Key::from_u128)].into_iter().flatten()
    })
}
