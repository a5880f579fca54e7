//! The extension module `hotplate._core`: how the engine meets Python.
//!
//! Conversions, waking event loops, and one mapping of errors. Nothing is decided here: what is stored,
//! served or forwarded is the engine's, and what a setting means is checked by the engine too.
//!
//! Every class is frozen and safe without the global interpreter lock. Bodies stay the `bytes` objects the
//! application sent: storing one and serving it again copies nothing.

mod body;
mod bridge;
mod cache;
mod connection;
mod convert;
mod error;
mod exchange;
mod http;
mod marks;
mod messages;
mod names;
mod objects;
mod outbox;
mod pair;
mod relay;
mod runtime;
mod scope;
mod step;
mod timing;
mod values;
mod watch;

use pyo3::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The engine of hotplate. Use the package `hotplate`; this module is its inside.
#[pymodule(gil_used = false)]
mod _core {
    use super::*;

    #[pymodule_export]
    use crate::bridge::Bridge;
    #[pymodule_export]
    use crate::cache::{CacheCore, ManualClock};
    #[pymodule_export]
    use crate::convert::seconds;
    #[pymodule_export]
    use crate::exchange::{Exchange, PolicyCore};
    #[pymodule_export]
    use crate::http::HttpCache;
    #[pymodule_export]
    use crate::objects::{Claim, LocalCache, Memo};
    #[pymodule_export]
    use crate::outbox::Outbox;
    #[pymodule_export]
    use crate::relay::Relay;
    #[pymodule_export]
    use crate::runtime::{after_fork, before_fork};
    #[pymodule_export]
    use crate::step::Step;
    #[pymodule_export]
    use crate::values::{Stored, ValueCore, ValuePlan, ValueStep};
    #[pymodule_export]
    use crate::watch::WatchCore;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        crate::names::prepare(py);
        crate::messages::prepare(py)?;
        crate::pair::prepare(py);
        module.add("MISSING", crate::marks::missing(py)?)?;
        module.add("PENDING", crate::marks::pending(py)?)
    }
}
