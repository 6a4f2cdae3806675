//! The writers: threads that write what the load says when the schedule says it, and count what came of it. The only
//! place of the command line that starts threads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use ebbtide::{Clock as _, Db, ErrorKind, Receipt, SystemClock, WriteBatch};

use super::histogram::Histogram;
use super::load::Load;
use super::timeline::Timeline;

/// How often the progress is told.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// Before a batch is offered again that found no room.
const PAUSE: Duration = Duration::from_millis(1);

/// How early a waiting writer stops to sleep: about as long as a sleep may take too long.
const AWAKE: Duration = Duration::from_micros(100);

/// How often a waiting writer looks whether it is still waited for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// When batches are due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    /// Points a second of all writers; 0 when each batch follows at once.
    pub(super) rate: u64,
    /// Of all writers.
    pub(super) points: u64,
    pub(super) writers: usize,
    pub(super) batch: usize,
}

impl Schedule {
    /// When a batch of a writer is due, from the start: each writer gives its `share` of the points evenly in the time
    /// that the rate leaves for all, whatever others do, and has given so many of them before. Batches of the
    /// writers are apart by parts of their last one, so that they take turns and none is due behind that time.
    fn due(self, writer: usize, share: u64, given: u64) -> Option<Duration> {
        const NANOS: u128 = 1_000_000_000;
        let share = share.max(1);
        let last = (share - 1) % self.batch as u64 + 1;
        // In parts of a point, one for each writer.
        let before = u128::from(given) * self.writers as u128 + u128::from(last) * writer as u128;
        let of_all = self.writers as u128 * u128::from(share);
        // NOTE: below 2^128, with at most 10^12 points and 1,024 writers.
        let nanos = (before * u128::from(self.points) * NANOS).checked_div(of_all * u128::from(self.rate))?;
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

/// One run of a load into a database.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drive<'a> {
    pub(super) db: &'a Db,
    pub(super) load: &'a Load,
    pub(super) batch: usize,
    pub(super) schedule: Schedule,
    /// What is due or begun later, counted from the start, is not written.
    pub(super) limit: Option<Duration>,
    pub(super) clock: &'a SystemClock,
    /// Set from outside, and by a writer that fails: nothing more is begun.
    pub(super) is_over: &'a AtomicBool,
}

/// What came of it.
#[derive(Clone, Default, Debug)]
pub(super) struct Measured {
    /// From the start to the last acknowledgement.
    pub(super) taken: Duration,
    /// Time that writers spent in writing, added up; making the batches is not among it.
    pub(super) writing: Duration,
    pub(super) points: u64,
    /// Times that a batch found no room and was offered again.
    pub(super) refused: u64,
    pub(super) replaced: u64,
    pub(super) late: u64,
    pub(super) dead_on_arrival: u64,
    /// Of acknowledgements, one for each batch.
    pub(super) latency: Histogram,
    pub(super) timeline: Timeline,
}

impl Drive<'_> {
    /// Writes everything; `progress` hears the number of acknowledged points now and then.
    pub(super) fn run(&self, progress: impl Fn(u64)) -> Result<Measured> {
        let points = AtomicU64::new(0);
        let start = self.clock.monotonic();
        thread::scope(|scope| {
            let (running, ended) = channel::<()>();
            let writers: Vec<_> = (0..self.load.writers())
                .map(|writer| {
                    let (running, points) = (running.clone(), &points);
                    scope.spawn(move || {
                        // Goes with the thread, however that ends.
                        let _running = running;
                        let outcome = self.write(writer, start, points);
                        self.is_over.fetch_or(outcome.is_err(), Ordering::Relaxed);
                        outcome
                    })
                })
                .collect();
            drop(running);
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(TELL_EVERY) {
                progress(points.load(Ordering::Relaxed));
            }
            let mut all = Measured::default();
            for writer in writers {
                all.add(writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
            }
            Ok(all)
        })
    }

    /// One writer's part.
    fn write(&self, writer: usize, start: Duration, points: &AtomicU64) -> Result<Measured> {
        let mut share = self.load.of_writer(writer);
        let mut measured = Measured::default();
        let since_start = || self.clock.monotonic().saturating_sub(start);
        let all = self.load.count(writer);
        while let Some(batch) = share.next_batch(self.batch) {
            let due = self.schedule.due(writer, all, measured.points);
            // What is due in time is written, also when that takes longer.
            let begin = due.unwrap_or_else(since_start);
            if self.limit.is_some_and(|limit| begin >= limit) || !self.wait_until(start + begin) {
                break;
            }
            let called = since_start();
            let receipt = self.offer(&batch, &mut measured.refused)?;
            let end = since_start();
            measured.writing += end.saturating_sub(called);
            // From when it should have been written: a writer that comes late does not hide it.
            measured.latency.record(end.saturating_sub(begin));
            measured.note(end, batch.len() as u64, receipt);
            points.fetch_add(batch.len() as u64, Ordering::Relaxed);
        }
        Ok(measured)
    }

    /// Writes a batch, again when the database asks to come back later.
    #[allow(clippy::disallowed_methods, reason = "there is nothing to wait for but time")]
    fn offer(&self, batch: &WriteBatch, refused: &mut u64) -> Result<Receipt> {
        loop {
            match self.db.write(batch) {
                Err(error) if error.kind() == ErrorKind::Overloaded => {
                    *refused += 1;
                    thread::sleep(PAUSE);
                }
                outcome => return Ok(outcome?),
            }
        }
    }

    /// `false` when the run is over before.
    #[allow(clippy::disallowed_methods, reason = "there is nothing to wait for but time")]
    fn wait_until(&self, moment: Duration) -> bool {
        while !self.is_over.load(Ordering::Relaxed) {
            let left = moment.saturating_sub(self.clock.monotonic());
            if left.is_zero() {
                return true;
            }
            match left.checked_sub(AWAKE) {
                Some(asleep) => thread::sleep(asleep.min(LOOK_EVERY)),
                None => thread::yield_now(),
            }
        }
        false
    }
}

impl Measured {
    fn note(&mut self, after: Duration, points: u64, receipt: Receipt) {
        self.taken = after;
        self.points += points;
        self.replaced += receipt.replaced as u64;
        self.late += receipt.late as u64;
        self.dead_on_arrival += receipt.dead_on_arrival as u64;
        self.timeline.record(after, points);
    }

    fn add(&mut self, other: Self) {
        self.taken = self.taken.max(other.taken);
        self.writing += other.writing;
        self.points += other.points;
        self.refused += other.refused;
        self.replaced += other.replaced;
        self.late += other.late;
        self.dead_on_arrival += other.dead_on_arrival;
        self.latency.merge(&other.latency);
        self.timeline.merge(other.timeline);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_kept_by_unequal_writers_and_short_batches() {
        // Method: every batch of a second's points, by shares that no batch divides; at each one's moment all points
        // that were due before are counted.
        const POINTS: u64 = 10_000;
        for (shares, batch) in [(vec![POINTS], 300), (vec![6_667, 3_333], 1_000), (vec![9_990, 7, 3], 64)] {
            let schedule = Schedule { rate: POINTS, points: POINTS, writers: shares.len(), batch };
            let mut batches = Vec::new();
            for (writer, &share) in shares.iter().enumerate() {
                let starts = (0..share).step_by(batch);
                batches.extend(starts.map(|given| {
                    let due = schedule.due(writer, share, given).expect("there is a rate");
                    (due, (share - given).min(batch as u64))
                }));
            }
            batches.sort_unstable();
            let mut before = 0_u64;
            for (due, points) in batches {
                assert!(due < Duration::from_secs(1), "{shares:?}: {due:?} is late");
                let wanted = u64::try_from(due.as_micros()).expect("a second") * POINTS / 1_000_000;
                let slack = (batch * shares.len()) as u64;
                assert!(before.abs_diff(wanted) <= slack, "{shares:?}: {before} points before {due:?}");
                before += points;
            }
            assert_eq!(before, POINTS);
        }
        let free = Schedule { rate: 0, points: POINTS, writers: 1, batch: 100 };
        assert_eq!(free.due(0, POINTS, 200), None);
        let far = Schedule { rate: 1, points: 1_000_000_000_000, writers: 1_024, batch: 1 };
        assert_eq!(far.due(1_023, 1_000_000_000, 1_000_000_000), Some(Duration::from_nanos(u64::MAX)));
    }
}
