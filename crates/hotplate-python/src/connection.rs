//! What a cache has to do with the shared tier in this process: started when it is first needed, ended with the cache.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hotplate::clock::Clock;
use hotplate::share::{OnOutage, Share, ShareOptions};
use hotplate::tier::redis::{RedisOptions, RedisTier};
use hotplate::tier::sealed::{SealerOptions, parse_encryption_key};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tokio::task::AbortHandle;

use crate::runtime::{self, OnRuntime};
use crate::{convert, error};

/// The shared tier of a cache; of a cache in memory there is nothing. A clone is the same connection.
#[derive(Clone)]
pub(crate) struct Connection(Option<Arc<Inner>>);

struct Inner {
    tier: RedisTier,
    share: Arc<Share>,
    started: AtomicBool,
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
        let keys = if keys.is_none() { Vec::new() } else { convert::texts("encryption_keys", &keys)? };
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
        let inner = Inner { tier, share, started: AtomicBool::new(false), tasks: Mutex::new(Vec::new()) };
        Ok(Self(Some(Arc::new(inner))))
    }

    /// What the engine shares.
    pub(crate) fn share(&self) -> Option<&Arc<Share>> {
        self.0.as_ref().map(|inner| &inner.share)
    }

    /// The tier itself.
    pub(crate) fn tier(&self) -> Option<&RedisTier> {
        self.0.as_ref().map(|inner| &inner.tier)
    }

    /// Connects and begins to read the log, unless that has begun already.
    pub(crate) fn start(&self) -> PyResult<()> {
        match &self.0 {
            Some(inner) if !inner.started.load(Ordering::Acquire) => inner.start(),
            _ => Ok(()),
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

impl Inner {
    fn start(&self) -> PyResult<()> {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if self.started.load(Ordering::Acquire) {
            return Ok(());
        }
        tasks.push(runtime::spawn(self.tier.supervise())?);
        tasks.push(runtime::spawn(Arc::clone(&self.share).follow())?);
        tasks.push(runtime::spawn(Arc::clone(&self.share).keep_leases())?);
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
