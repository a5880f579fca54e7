//! Waiting with a thread for what another one does.

use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use pyo3::prelude::*;

use crate::runtime::GLANCE;
use crate::timing::Began;

/// Waits until `poll` says that it has ended, for `seconds` at most. Returns whether it has.
///
/// The interpreter goes on meanwhile, and the thread can be interrupted.
pub(super) fn wait_for(
    py: Python<'_>,
    seconds: Option<f64>,
    mut poll: impl FnMut(&mut Context<'_>) -> PyResult<bool>,
) -> PyResult<bool> {
    let waker = Waker::from(Arc::new(ThreadWaker(thread::current())));
    let began = Began::now();
    let most = seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default());
    loop {
        if poll(&mut Context::from_waker(&waker))? {
            return Ok(true);
        }
        let left = most.map_or(GLANCE, |most| most.saturating_sub(began.elapsed()));
        if left.is_zero() {
            return Ok(false);
        }
        py.detach(|| thread::park_timeout(left.min(GLANCE)));
        py.check_signals()?;
    }
}

/// Wakes a thread.
struct ThreadWaker(Thread);

impl Wake for ThreadWaker {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
