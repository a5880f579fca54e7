//! How long something took, counted by bounds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

/// The upper bounds of the buckets, in seconds; one more bucket holds what took longer.
pub const BOUNDS: [f64; 20] = [
    5e-6, 10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25,
    0.5, 1.0, 2.5, 5.0, 10.0,
];

/// The same in nanoseconds.
const BOUNDS_NANOS: [u64; BOUNDS.len()] = {
    let mut nanos = [0; BOUNDS.len()];
    let mut index = 0;
    while index < BOUNDS.len() {
        // No bound is finer than a microsecond.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
        let micros = (BOUNDS[index] * 1e6 + 0.5) as u64;
        nanos[index] = micros * 1000;
        index += 1;
    }
    nanos
};

/// A running histogram. Each number is an atomic of its own.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

/// A histogram of one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Spans {
    /// How many there were.
    pub count: u64,
    /// How long all took together, in seconds.
    pub sum: f64,
    /// How many by [`BOUNDS`], each one in one bucket only; the last took longer than all bounds.
    pub buckets: Vec<u64>,
}

impl Histogram {
    /// Counts one that took so long.
    pub fn record(&self, span: Duration) {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let place = BOUNDS_NANOS.partition_point(|bound| *bound < nanos);
        self.buckets[place].fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// The numbers now. Those that are counted meanwhile may be in one and not in the other.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "seconds for people")]
    pub fn spans(&self) -> Spans {
        let buckets: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        Spans { count: buckets.iter().sum(), sum: self.nanos.load(Ordering::Relaxed) as f64 / 1e9, buckets }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_counted_at_the_first_bound_that_is_not_shorter() {
        for (nanos, place) in [
            (0, 0),
            (5_000, 0),
            (5_001, 1),
            (10_000, 1),
            (1_000_000, 7),
            (10_000_000_000, 19),
            (u64::MAX, 20),
        ] {
            let histogram = Histogram::default();
            histogram.record(Duration::from_nanos(nanos));
            let spans = histogram.spans();
            assert_eq!(spans.buckets.iter().position(|count| *count == 1), Some(place), "{nanos} ns");
            assert_eq!(spans.count, 1);
        }
    }

    #[test]
    fn the_sum_is_in_seconds() {
        let histogram = Histogram::default();
        histogram.record(Duration::from_millis(250));
        histogram.record(Duration::from_millis(500));
        assert!((histogram.spans().sum - 0.75).abs() < 1e-9);
    }
}
