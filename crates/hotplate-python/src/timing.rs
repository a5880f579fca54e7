//! How long something takes. The engine is told the time; what a server measures of itself it measures here.

use std::time::{Duration, Instant};

/// A moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Began(Instant);

impl Began {
    /// This one.
    #[expect(clippy::disallowed_methods, reason = "the one place that measures time")]
    pub(crate) fn now() -> Self {
        Self(Instant::now())
    }

    /// It itself.
    pub(crate) fn moment(self) -> Instant {
        self.0
    }

    /// How long ago it was.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
