//! The only place that asks the system what time it is.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::error::{Error, Result};
use crate::model::time::Timestamp;

/// Where a database takes its time from.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The current moment. May step in either direction, as system clocks do.
    fn now(&self) -> Timestamp;

    /// Time since some fixed start; never steps back.
    fn monotonic(&self) -> Duration;
}

/// The operating system's clocks: the default.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the warden of the system's clocks")]
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the warden of the system's clocks")]
    fn now(&self) -> Timestamp {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => Timestamp::EPOCH + since,
            Err(before) => Timestamp::EPOCH - before.duration(),
        }
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A clock that moves only when told to, for tests and simulations.
///
/// ```
/// use ebbtide::{Clock, ManualClock, Timestamp};
/// use std::time::Duration;
/// let clock = ManualClock::new(Timestamp::from_secs(100));
/// clock.advance(Duration::from_secs(5));
/// assert_eq!(clock.now(), Timestamp::from_secs(105));
/// assert!(clock.set(Timestamp::from_secs(1)).is_err());
/// ```
#[derive(Debug)]
pub struct ManualClock {
    start: i64,
    now: AtomicI64,
}

impl ManualClock {
    /// A clock that stands at `now`.
    pub fn new(now: Timestamp) -> Self {
        Self { start: now.as_millis(), now: AtomicI64::new(now.as_millis()) }
    }

    /// Moves wall and monotonic time forward together, by whole milliseconds.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        let forward = |now: i64| Some(now.saturating_add(by));
        self.now.fetch_update(Ordering::SeqCst, Ordering::SeqCst, forward).expect("`forward` always gives a time");
    }

    /// Moves the clock forward to a moment.
    ///
    /// # Errors
    /// `InvalidInput` when the moment lies before the clock's own: time that was answered is not taken back.
    pub fn set(&self, to: Timestamp) -> Result<()> {
        let to = to.as_millis();
        match self.now.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| (now <= to).then_some(to)) {
            Ok(_) => Ok(()),
            Err(now) => Err(Error::invalid(format!("the clock stands at {now} ms and cannot go back to {to} ms"))),
        }
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        let since = self.now.load(Ordering::SeqCst).saturating_sub(self.start);
        Duration::from_millis(u64::try_from(since).unwrap_or(0))
    }
}
