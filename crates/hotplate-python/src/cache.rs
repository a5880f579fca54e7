//! The cache's handle and the hand-turned clock.

use std::sync::Arc;
use std::time::Duration;

use hotplate::cache::Cache;
use hotplate::clock::{Clock, ManualClock as EngineManualClock, SystemClock};
use hotplate::error::ConfigError;
use hotplate::key::Key;
use hotplate::log::{Mode, Target};
use hotplate_policy::reason::Reason;
use hotplate_policy::time::Timestamp;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::body::PyBody;
use crate::{convert, error};

/// A clock that stands still until it is turned; `now` in seconds since 1970.
#[pyclass(frozen, module = "hotplate._core")]
pub(crate) struct ManualClock(Arc<EngineManualClock>);

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
#[pyclass(frozen, module = "hotplate._core")]
pub(crate) struct CacheCore {
    pub(crate) cache: Arc<Cache<PyBody>>,
    max_bytes: u64,
}

#[pymethods]
impl CacheCore {
    #[new]
    #[pyo3(signature = (*, max_bytes, clock = None))]
    fn new(max_bytes: &Bound<'_, PyAny>, clock: Option<&Bound<'_, ManualClock>>) -> PyResult<Self> {
        let max_bytes = convert::size("max_bytes", max_bytes)?;
        let clock: Arc<dyn Clock> = match clock {
            Some(manual) => Arc::clone(&manual.get().0) as Arc<dyn Clock>,
            None => Arc::new(SystemClock::new()),
        };
        Ok(Self { cache: Arc::new(Cache::new(max_bytes, clock)), max_bytes })
    }

    /// Appends a record for each target and returns the last position.
    fn invalidate(
        &self,
        py: Python<'_>,
        tags: Vec<String>,
        paths: Vec<String>,
        prefixes: Vec<String>,
        keys: Vec<String>,
        soft: bool,
    ) -> PyResult<u64> {
        let parsed = keys.iter().map(|text| parse_key(py, text)).collect::<PyResult<Vec<Key>>>()?;
        for (setting, texts) in [("paths", &paths), ("prefixes", &prefixes)] {
            if let Some(wrong) = texts.iter().find(|path| !path.starts_with('/') || path.contains(['?', '#']))
            {
                let remedy = "a path starts with \"/\" and has no host, no query and no fragment";
                return Err(error::config(py, &ConfigError::new(setting, wrong.as_str(), remedy)));
            }
        }
        let mode = if soft { Mode::Soft } else { Mode::Hard };
        let targets = tags
            .iter()
            .map(|tag| Target::Tag(hotplate::tags::clip(tag)))
            .chain(paths.iter().map(|path| Target::Path(path.as_bytes())))
            .chain(prefixes.iter().map(|prefix| Target::Prefix(prefix.as_bytes())))
            .chain(parsed.into_iter().map(Target::Key));
        let mut position = self.cache.position();
        let now = self.cache.now();
        for target in targets {
            position = self.cache.invalidate(&target, mode, now);
        }
        Ok(position.as_u64())
    }

    /// Invalidates everything and frees its memory.
    fn clear(&self) {
        self.cache.clear(self.cache.now());
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

fn by_reason<'py>(py: Python<'py>, counts: &[u64]) -> PyResult<Bound<'py, PyDict>> {
    let reasons = PyDict::new(py);
    for reason in Reason::ALL {
        if let Some(count) = counts.get(reason.index()).filter(|count| **count > 0) {
            reasons.set_item(reason.token(), count)?;
        }
    }
    Ok(reasons)
}

fn parse_key(py: Python<'_>, text: &str) -> PyResult<Key> {
    match u128::from_str_radix(text, 16) {
        Ok(key) if text.len() == 32 => Ok(Key::from_u128(key)),
        _ => {
            let remedy = "a cache key is 32 hexadecimal digits; to name a URL use paths=";
            Err(error::config(py, &ConfigError::new("keys", text, remedy)))
        }
    }
}
