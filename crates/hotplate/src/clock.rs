//! Where the time comes from. Read once per request at the front door; everything below is told `now`.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hotplate_policy::time::Timestamp;

/// How far the wall clock may be ahead before it is believed; also what slewing by NTP adds up to, step by step.
const TOLERATED_MILLIS: i64 = 50;

/// A source of the time.
pub trait Clock: Send + Sync {
    /// The time now. Never earlier than an answer given before.
    fn now(&self) -> Timestamp;

    /// The time at a moment that was just read, for who measures from it too: a reading less.
    fn at(&self, _moment: Instant) -> Timestamp {
        self.now()
    }
}

/// The system's clock: the monotonic clock, set by the wall clock, and only ever set forward.
///
/// When the wall clock is set back, time goes on evenly: nothing stored becomes younger. When it is ahead, because it
/// was corrected or because the machine slept while the monotonic clock stood still, that much time has passed: what is
/// stored may be older than it looks, never younger. The wall clock is looked at once in a millisecond at most.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
    /// The wall time at `started`, by the latest reading of both clocks that made it later.
    wall_at_start: AtomicI64,
    /// Milliseconds from `started` to the latest reading of both clocks.
    both_read: AtomicI64,
}

impl SystemClock {
    /// Reads both clocks.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the clocks")]
    pub fn new() -> Self {
        Self::at(Instant::now(), wall_millis())
    }

    fn at(started: Instant, wall_at_start: i64) -> Self {
        Self { started, wall_at_start: AtomicI64::new(wall_at_start), both_read: AtomicI64::new(-1) }
    }
}

/// Milliseconds since 1970 by the wall clock; 0 where it is set before.
#[allow(clippy::disallowed_methods, reason = "the one place that reads the clocks")]
fn wall_millis() -> i64 {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(wall.as_millis()).unwrap_or(i64::MAX)
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the clocks")]
    fn now(&self) -> Timestamp {
        self.at(Instant::now())
    }

    fn at(&self, moment: Instant) -> Timestamp {
        let elapsed = moment.saturating_duration_since(self.started);
        let elapsed = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX);
        let known = self.wall_at_start.load(Ordering::Relaxed);
        // Within one millisecond the wall clock has nothing new to tell, and reading it is a part of every hit.
        if self.both_read.load(Ordering::Relaxed) == elapsed {
            return Timestamp::from_unix_millis(known.saturating_add(elapsed));
        }
        self.both_read.store(elapsed, Ordering::Relaxed);
        let wall_at_start = wall_millis().saturating_sub(elapsed);
        // Both clocks are read one after the other, so they disagree by a millisecond now and then: no reason to write.
        let latest = if wall_at_start > known.saturating_add(TOLERATED_MILLIS) {
            self.wall_at_start.fetch_max(wall_at_start, Ordering::Relaxed).max(wall_at_start)
        } else {
            known
        };
        Timestamp::from_unix_millis(latest.saturating_add(elapsed))
    }
}

/// The monotonic clock alone, for what lives and dies with this process: the time that the system noted at its last tick,
/// which costs a few nanoseconds to read.
///
/// It is behind by a few milliseconds at most (4 on most Linux systems, 16 on Windows), and may stand still while the machine
/// sleeps. What other processes see is timed by a [`Clock`].
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(coarsetime::Instant);

impl Stopwatch {
    /// Starts at zero.
    #[must_use]
    pub fn start() -> Self {
        Self(coarsetime::Instant::now_without_cache_update())
    }

    /// Nanoseconds since the start.
    #[must_use]
    pub fn elapsed_nanos(&self) -> u64 {
        coarsetime::Instant::now_without_cache_update().duration_since(self.0).as_nanos()
    }
}

/// A clock for tests: it stands still until it is turned.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.unix_millis()))
    }

    /// Turns it forward.
    pub fn advance(&self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        let turn = |shown: i64| Some(shown.saturating_add(millis));
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, turn);
    }

    /// Turns it to `now`, unless it is later already.
    pub fn set(&self, now: Timestamp) {
        self.0.fetch_max(now.unix_millis(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_it_is_turned() {
        let clock = ManualClock::new(Timestamp::from_unix_seconds(10));
        assert_eq!(clock.now(), clock.now());
        clock.advance(Duration::from_millis(1500));
        assert_eq!(clock.now().unix_millis(), 11_500);
    }

    #[test]
    fn a_manual_clock_is_never_turned_back() {
        let clock = ManualClock::new(Timestamp::from_unix_seconds(10));
        clock.set(Timestamp::from_unix_seconds(5));
        assert_eq!(clock.now(), Timestamp::from_unix_seconds(10));
        clock.set(Timestamp::from_unix_seconds(12));
        clock.advance(Duration::MAX);
        assert_eq!(clock.now().unix_millis(), i64::MAX);
    }

    #[test]
    fn the_system_clock_never_goes_back() {
        let clock = SystemClock::new();
        let mut last = clock.now();
        for _ in 0..10_000 {
            let now = clock.now();
            assert!(now >= last);
            last = now;
        }
    }

    #[test]
    fn a_stopwatch_never_goes_back() {
        let stopwatch = Stopwatch::start();
        let readings: Vec<u64> = (0..1_000).map(|_| stopwatch.elapsed_nanos()).collect();
        assert!(readings.is_sorted());
    }

    #[test]
    fn a_wall_clock_that_was_set_back_holds_nothing_up_and_one_set_forward_is_followed() {
        let set_back = SystemClock::at(SystemClock::new().started, i64::MAX / 2);
        assert!(set_back.now().unix_millis() >= i64::MAX / 2);
        let asleep = SystemClock::at(SystemClock::new().started, 0);
        let behind = SystemClock::new().now();
        assert!(asleep.now() >= behind);
        assert!(asleep.wall_at_start.load(Ordering::Relaxed) > 0);
    }
}
