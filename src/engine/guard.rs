//! What time it is for expiry: never earlier than what was confirmed before, and not believed at once when it jumps
//! forward, for a wrong clock must not destroy data (semantics S20).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::env::clock::Clock;
use crate::model::time::Timestamp;

/// A step forward of more than this is a jump.
const JUMP: Duration = Duration::from_secs(3_600);
/// A jump is believed when it has stood for this long.
const BELIEVED_AFTER: Duration = Duration::from_secs(600);

/// The clock as the engine reads it.
#[derive(Debug)]
pub(super) struct ClockGuard {
    clock: Arc<dyn Clock>,
    /// The confirmed horizon, in ms: what had expired by then stays expired.
    horizon: AtomicI64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// A moment at which the clock was believed, and the monotonic time of it.
    believed: (Timestamp, Duration),
    /// Where the clock stood when it had jumped ahead of what is believed, and the monotonic time of that.
    jumped: Option<(Timestamp, Duration)>,
}

impl ClockGuard {
    /// A guard that believes in the horizon that was confirmed last.
    pub(super) fn new(clock: Arc<dyn Clock>, horizon: Timestamp) -> Self {
        let believed = (horizon, clock.monotonic());
        Self {
            clock,
            horizon: AtomicI64::new(horizon.as_millis()),
            state: Mutex::new(State { believed, jumped: None }),
        }
    }

    /// Now, for what is visible.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now().max(self.horizon())
    }

    /// What was confirmed last.
    pub(super) fn horizon(&self) -> Timestamp {
        Timestamp::from_millis(self.horizon.load(Ordering::SeqCst))
    }

    /// Now, for what is destroyed: the last confirmed moment while a jump is not believed.
    pub(super) fn confirmed(&self) -> Timestamp {
        let (now, monotonic) = (self.clock.now(), self.clock.monotonic());
        let is_ahead = |(wall, since): (Timestamp, Duration)| now > wall + monotonic.saturating_sub(since) + JUMP;
        let mut state = self.state.lock();
        if !is_ahead(state.believed) {
            *state = State { believed: (now.max(self.horizon()), monotonic), jumped: None };
            return now.max(self.horizon());
        }
        // A second jump has to stand for itself.
        let jumped = state.jumped.filter(|jumped| !is_ahead(*jumped)).unwrap_or((now, monotonic));
        state.jumped = Some(jumped);
        if monotonic.saturating_sub(jumped.1) < BELIEVED_AFTER {
            return self.horizon();
        }
        *state = State { believed: (now, monotonic), jumped: None };
        now.max(self.horizon())
    }

    /// Whether deletion is suspended because the clock has jumped.
    pub(super) fn is_suspended(&self) -> bool {
        self.confirmed();
        self.state.lock().jumped.is_some()
    }

    /// Believes the clock as it stands.
    pub(super) fn believe(&self) {
        let believed = (self.clock.now().max(self.horizon()), self.clock.monotonic());
        *self.state.lock() = State { believed, jumped: None };
    }

    /// Notes a horizon that is on stable storage now.
    pub(super) fn advance(&self, horizon: Timestamp) {
        self.horizon.fetch_max(horizon.as_millis(), Ordering::SeqCst);
    }

    /// Time since some fixed start, for ages and waiting.
    pub(super) fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::clock::ManualClock;

    /// A clock whose wall time is set apart from the monotonic one.
    #[derive(Debug)]
    struct Wall(ManualClock, AtomicI64);

    impl Clock for Wall {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.0.now().as_millis() + self.1.load(Ordering::SeqCst))
        }

        fn monotonic(&self) -> Duration {
            self.0.monotonic()
        }
    }

    fn guard() -> (Arc<Wall>, ClockGuard) {
        let start = Timestamp::from_secs(1_000_000);
        let clock = Arc::new(Wall(ManualClock::new(start), AtomicI64::new(0)));
        (clock.clone(), ClockGuard::new(clock, start))
    }

    #[test]
    fn a_jump_hides_at_once_and_destroys_only_when_it_has_stood() {
        // S20. Method: two hours forward in one step, then wait.
        let (clock, guard) = guard();
        clock.0.advance(Duration::from_secs(60));
        assert_eq!(guard.confirmed(), Timestamp::from_secs(1_000_060));
        guard.advance(guard.confirmed());
        clock.1.store(7_200_000, Ordering::SeqCst);
        assert_eq!(guard.now(), Timestamp::from_secs(1_007_260));
        assert_eq!(guard.confirmed(), Timestamp::from_secs(1_000_060));
        assert!(guard.is_suspended());
        clock.0.advance(Duration::from_secs(599));
        assert_eq!(guard.confirmed(), Timestamp::from_secs(1_000_060));
        clock.0.advance(Duration::from_secs(1));
        assert_eq!(guard.confirmed(), guard.now());
        assert!(!guard.is_suspended());
    }

    #[test]
    fn a_second_jump_does_not_inherit_the_time_that_the_first_has_stood() {
        let (clock, guard) = guard();
        clock.1.store(7_200_000, Ordering::SeqCst);
        assert!(guard.is_suspended());
        clock.0.advance(Duration::from_secs(599));
        clock.1.store(i64::from(u32::MAX) * 1_000, Ordering::SeqCst);
        assert!(guard.is_suspended());
        clock.0.advance(Duration::from_secs(599));
        assert!(guard.is_suspended());
        clock.0.advance(Duration::from_secs(1));
        assert!(!guard.is_suspended());
    }

    #[test]
    fn a_jump_that_is_taken_back_or_confirmed_ends_the_suspension() {
        let (clock, guard) = guard();
        clock.1.store(7_200_000, Ordering::SeqCst);
        assert!(guard.is_suspended());
        clock.1.store(0, Ordering::SeqCst);
        assert!(!guard.is_suspended());
        clock.1.store(7_200_000, Ordering::SeqCst);
        assert!(guard.is_suspended());
        guard.believe();
        assert!(!guard.is_suspended());
        assert_eq!(guard.confirmed(), guard.now());
    }

    #[test]
    fn what_was_confirmed_stays_when_the_clock_steps_back() {
        let (clock, guard) = guard();
        clock.0.advance(Duration::from_secs(100));
        guard.advance(guard.confirmed());
        clock.1.store(-90_000, Ordering::SeqCst);
        assert_eq!(guard.now(), Timestamp::from_secs(1_000_100));
        assert_eq!(guard.confirmed(), Timestamp::from_secs(1_000_100));
    }

    #[test]
    fn hours_that_really_pass_are_no_jump() {
        let (clock, guard) = guard();
        clock.0.advance(Duration::from_secs(100_000));
        assert_eq!(guard.confirmed(), guard.now());
    }
}
