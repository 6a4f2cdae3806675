//! The server's clock: the one beneath it, which can be stopped and moved forward. What falls due on the way is the
//! business of `projects`.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::env::clock::Clock;
use crate::error::{Error, Result};
use crate::model::time::Timestamp;

/// A clock over another one. Moving it moves wall and monotonic time together, so that to a database hours have passed
/// and no clock has jumped.
#[derive(Debug)]
pub(super) struct SettableClock {
    beneath: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    wall: Wall,
    /// A reading of the monotonic time beneath, and what was shown then.
    monotonic: (Duration, Duration),
}

/// How the wall time is told. Also what a snapshot keeps of a clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wall {
    /// The clock beneath, with so many milliseconds added.
    Running(i64),
    Stopped(Timestamp),
}

impl SettableClock {
    pub(super) fn over(beneath: Arc<dyn Clock>) -> Self {
        let start = beneath.monotonic();
        Self { beneath, state: Mutex::new(State { wall: Wall::Running(0), monotonic: (start, start) }) }
    }

    /// What the clock beneath says, however this one was moved: credentials are of the world outside.
    pub(super) fn beneath(&self) -> Timestamp {
        self.beneath.now()
    }

    pub(super) fn wall(&self) -> Wall {
        self.state.lock().wall
    }

    /// Moves the clock forward; whether it runs or stands stays as it is.
    ///
    /// # Errors
    /// `InvalidInput` past the last time that a point can have.
    pub(super) fn advance(&self, by: Duration) -> Result<()> {
        self.check(by)?;
        let mut state = self.state.lock();
        let (now, shown) = (self.now_in(&state), self.monotonic_in(&state));
        let to = now + by;
        let wall = match state.wall {
            Wall::Stopped(_) => Wall::Stopped(to),
            Wall::Running(ahead) => Wall::Running(ahead + (to.as_millis() - now.as_millis())),
        };
        *state = State { wall, monotonic: (self.beneath.monotonic(), shown + by) };
        Ok(())
    }

    /// Whether the clock can be moved so far.
    ///
    /// # Errors
    /// `InvalidInput` past the last time that a point can have.
    pub(super) fn check(&self, by: Duration) -> Result<()> {
        let now = self.now();
        if now + by <= Timestamp::MAX {
            return Ok(());
        }
        Err(Error::invalid(format!("the clock cannot go from {now} on by {by:?}")))
    }

    /// Stops the clock where it stands.
    pub(super) fn stop(&self) {
        let mut state = self.state.lock();
        let (now, shown) = (self.now_in(&state), self.monotonic_in(&state));
        *state = State { wall: Wall::Stopped(now), monotonic: (self.beneath.monotonic(), shown) };
    }

    /// Lets a stopped clock run on from where it stands.
    pub(super) fn resume(&self) {
        let mut state = self.state.lock();
        if let Wall::Stopped(at) = state.wall {
            let ahead = at.as_millis().saturating_sub(self.beneath.now().as_millis());
            let shown = state.monotonic.1;
            *state = State { wall: Wall::Running(ahead), monotonic: (self.beneath.monotonic(), shown) };
        }
    }

    /// Puts the clock anywhere, back in time too. Only for a server that holds nothing, or what was stored by then.
    pub(super) fn restore(&self, wall: Wall) {
        let mut state = self.state.lock();
        let shown = self.monotonic_in(&state);
        *state = State { wall, monotonic: (self.beneath.monotonic(), shown) };
    }

    fn now_in(&self, state: &State) -> Timestamp {
        match state.wall {
            Wall::Stopped(at) => at,
            Wall::Running(ahead) => Timestamp::from_millis(self.beneath.now().as_millis().saturating_add(ahead)),
        }
    }

    fn monotonic_in(&self, state: &State) -> Duration {
        let (read, shown) = state.monotonic;
        match state.wall {
            Wall::Stopped(_) => shown,
            Wall::Running(_) => shown + self.beneath.monotonic().saturating_sub(read),
        }
    }
}

impl Clock for SettableClock {
    fn now(&self) -> Timestamp {
        self.now_in(&self.state.lock())
    }

    fn monotonic(&self) -> Duration {
        self.monotonic_in(&self.state.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::clock::ManualClock;

    const SECOND: Duration = Duration::from_secs(1);

    fn clock() -> (Arc<ManualClock>, SettableClock) {
        let beneath = Arc::new(ManualClock::new(Timestamp::from_secs(1_000)));
        (beneath.clone(), SettableClock::over(beneath))
    }

    #[test]
    fn it_shows_the_clock_beneath_and_what_was_added() {
        let (beneath, clock) = clock();
        beneath.advance(SECOND);
        assert_eq!((clock.now(), clock.monotonic()), (Timestamp::from_secs(1_001), SECOND));
        clock.advance(SECOND * 10).expect("forward");
        beneath.advance(SECOND);
        assert_eq!((clock.now(), clock.monotonic()), (Timestamp::from_secs(1_012), SECOND * 12));
        assert!(clock.advance(Duration::MAX).is_err());
        assert_eq!(clock.now(), Timestamp::from_secs(1_012), "what is refused moves nothing");
    }

    #[test]
    fn a_stopped_clock_stands_still_until_it_is_moved_and_runs_on_from_there() {
        let (beneath, clock) = clock();
        clock.stop();
        beneath.advance(SECOND * 50);
        assert_eq!((clock.now(), clock.monotonic()), (Timestamp::from_secs(1_000), Duration::ZERO));
        clock.advance(SECOND * 100).expect("forward");
        assert_eq!((clock.now(), clock.monotonic()), (Timestamp::from_secs(1_100), SECOND * 100));
        clock.resume();
        beneath.advance(SECOND);
        assert_eq!((clock.now(), clock.monotonic()), (Timestamp::from_secs(1_101), SECOND * 101));
    }

    #[test]
    fn monotonic_time_never_steps_back_whatever_becomes_of_the_wall() {
        let (beneath, clock) = clock();
        clock.advance(SECOND * 100).expect("forward");
        clock.restore(Wall::Stopped(Timestamp::from_secs(5)));
        beneath.advance(SECOND);
        assert_eq!((clock.now(), clock.monotonic()), (Timestamp::from_secs(5), SECOND * 100));
        clock.restore(Wall::Running(0));
        beneath.advance(SECOND);
        assert_eq!((clock.now(), clock.monotonic()), (Timestamp::from_secs(1_002), SECOND * 101));
    }
}
