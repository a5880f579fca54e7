//! What a cache has to do with the shared tier in this process: started when it is first needed, ended with the cache.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hotplate::clock::Clock;
use hotplate::error::ConfigError;
use hotplate::share::{OnOutage, Share, ShareOptions};
use hotplate::tier::redis::{RedisOptions, RedisTier};
use hotplate::tier::sealed::{SealerOptions, parse_encryption_key};
use hotplate_policy::time::Timestamp;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use tokio::task::AbortHandle;

use crate::runtime::{self, OnRuntime};
use crate::{convert, error};

/// How often people are told that it is away.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(10);

/// The shared tier of a cache; of a cache in memory there is nothing. A clone is the same connection.
#[derive(Clone)]
pub(crate) struct Connection(Option<Arc<Inner>>);

struct Inner {
    tier: RedisTier,
    share: Arc<Share>,
    clock: Arc<dyn Clock>,
    started: AtomicBool,
    /// Who only looks at the cache tells nothing of itself.
    only_looks: AtomicBool,
    /// Whether people know that something is wrong.
    is_told: AtomicBool,
    /// When they were last told.
    told: Mutex<Option<Timestamp>>,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl Connection {
    /// Of a cache that is alone.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// By the settings of `hotplate.Cache`; not started yet.
    pub(crate) fn new(url: String, settings: &Bound<'_, PyDict>, clock: &Arc<dyn Clock>) -> PyResult<Self> {
        let py = settings.py();
        let get = |name: &str| -> PyResult<Bound<'_, PyAny>> {
            Ok(settings.get_item(name)?.unwrap_or_else(|| py.None().into_bound(py)))
        };
        let text = |name: &str| get(name)?.extract::<Option<String>>();
        let path = |name: &str| get(name)?.extract::<Option<std::path::PathBuf>>();
        let options = RedisOptions {
            url,
            command_timeout: convert::duration("command_timeout", &get("command_timeout")?)?,
            connect_timeout: convert::duration("connect_timeout", &get("connect_timeout")?)?,
            prefix: text("prefix")?,
            lease: convert::duration("lease", &get("lease")?)?,
            sentinel_username: text("sentinel_username")?,
            sentinel_password: text("sentinel_password")?,
            ca_file: path("ca_file")?,
            cert_file: path("cert_file")?,
            key_file: path("key_file")?,
            db: get("db")?.extract()?,
        };
        let refused = |refused| error::config(py, &refused);
        let redis = options.compile().map_err(refused)?;
        let keys = get("encryption_keys")?;
        let keys = if keys.is_none() { Vec::new() } else { secrets(&keys)? };
        let compress_above = get("compress_above")?;
        let sealer = SealerOptions {
            encryption_keys: keys
                .iter()
                .map(|key| parse_encryption_key(key))
                .collect::<Result<_, _>>()
                .map_err(refused)?,
            compress_above: match compress_above.is_none() {
                true => None,
                false => Some(convert::size("compress_above", &compress_above)?),
            },
        }
        .compile()
        .map_err(refused)?;
        let share = ShareOptions {
            lease: redis.lease(),
            on_outage: convert::one_of(
                "on_outage",
                &get("on_outage")?,
                &[("serve-local", OnOutage::ServeLocal), ("bypass", OnOutage::Bypass)],
            )?,
            patience: redis.command_timeout(),
        };
        let tier = RedisTier::new(redis);
        let share = Share::new(Arc::new(tier.clone()), sealer, Arc::new(OnRuntime), Arc::clone(clock), share);
        let inner = Inner {
            tier,
            share,
            clock: Arc::clone(clock),
            started: AtomicBool::new(false),
            only_looks: AtomicBool::new(false),
            is_told: AtomicBool::new(false),
            told: Mutex::new(None),
            tasks: Mutex::new(Vec::new()),
        };
        Ok(Self(Some(Arc::new(inner))))
    }

    /// What the engine shares.
    pub(crate) fn share(&self) -> Option<&Arc<Share>> {
        self.0.as_ref().map(|inner| &inner.share)
    }

    /// Connects and begins to read the log, unless that has begun already; and tells people when it has gone or come back.
    pub(crate) fn start(&self, py: Python<'_>) -> PyResult<()> {
        let Some(inner) = &self.0 else { return Ok(()) };
        if inner.is_told.load(Ordering::Relaxed) != inner.tier.is_troubled() {
            inner.tell(py);
        }
        if inner.started.load(Ordering::Acquire) { Ok(()) } else { inner.start() }
    }

    /// From the beginning tells nothing of this process: it only looks at what others have.
    pub(crate) fn only_look(&self) {
        if let Some(inner) = &self.0 {
            inner.only_looks.store(true, Ordering::Relaxed);
        }
    }

    /// Begins anew in a process that was forked off, when it is next needed.
    pub(crate) fn after_fork(&self) {
        if let Some(inner) = &self.0 {
            std::mem::forget(std::mem::take(
                &mut *inner.tasks.lock().unwrap_or_else(PoisonError::into_inner),
            ));
            inner.tier.after_fork();
            inner.started.store(false, Ordering::Release);
        }
    }
}

/// A list of texts that are printed nowhere.
fn secrets(keys: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    let texts = if keys.is_instance_of::<PyString>() { None } else { keys.extract::<Vec<String>>().ok() };
    texts.ok_or_else(|| {
        let remedy = "write a list of texts, as in [os.environ[\"CACHE_KEY\"]]";
        error::config(keys.py(), &ConfigError::new("encryption_keys", "(not printed)", remedy))
    })
}

impl Inner {
    /// Logs that the shared tier has gone or come back. One that comes and goes is spoken of once in a while.
    fn tell(&self, py: Python<'_>) {
        let now = self.clock.now();
        let is_troubled = self.tier.is_troubled();
        {
            let Ok(mut told) = self.told.try_lock() else { return };
            if is_troubled && told.is_some_and(|at| now.since(at) < BETWEEN_WARNINGS) {
                return;
            }
            if self.is_told.swap(is_troubled, Ordering::Relaxed) == is_troubled {
                return;
            }
            if is_troubled {
                *told = Some(now);
            }
        }
        let text = if is_troubled {
            let trouble = self.tier.trouble().unwrap_or_else(|| "it does not answer".into());
            format!("the shared tier cannot be used, requests are answered without it: {trouble}")
        } else {
            "the shared tier is back".to_owned()
        };
        let logged = py
            .import("logging")
            .and_then(|logging| logging.call_method1("getLogger", ("hotplate",)))
            .and_then(|logger| {
                let extra = PyDict::new(py);
                extra
                    .set_item("reason", if is_troubled { "shared-tier-down" } else { "shared-tier-back" })?;
                extra.set_item("left_out", 0)?;
                let fields = PyDict::new(py);
                fields.set_item("extra", extra)?;
                logger.call_method(if is_troubled { "warning" } else { "info" }, (text,), Some(&fields))
            });
        drop(logged);
    }

    fn start(&self) -> PyResult<()> {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if self.started.load(Ordering::Acquire) {
            return Ok(());
        }
        tasks.push(runtime::spawn(self.tier.supervise())?);
        tasks.push(runtime::spawn(Arc::clone(&self.share).follow())?);
        tasks.push(runtime::spawn(Arc::clone(&self.share).keep_leases())?);
        if !self.only_looks.load(Ordering::Relaxed) {
            tasks.push(runtime::spawn(Arc::clone(&self.share).tell_reports())?);
        }
        self.started.store(true, Ordering::Release);
        Ok(())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for task in self.tasks.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
    }
}
