//! How the results of one function are kept.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hotplate::error::ConfigError;
use hotplate::values::Plan;
use pyo3::prelude::*;

use crate::{convert, error};

/// How the results of one function are kept; and how often it was used.
#[pyclass(frozen, module = "hotplate._core")]
pub(crate) struct ValuePlan {
    pub(super) plan: Plan,
    pub(super) stale_while_revalidate: Duration,
    pub(super) stale_if_error: Duration,
    pub(super) hits: AtomicU64,
    pub(super) stale: AtomicU64,
    pub(super) loads: AtomicU64,
    pub(super) errors: AtomicU64,
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
