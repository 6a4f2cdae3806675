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

/// When batches are due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    /// From one batch to the next; none when each follows at once.
    every: Option<Duration>,
}

impl Schedule {
    /// `rate` points a second in batches of this size; 0 for no schedule.
    pub(super) fn new(rate: u64, batch: usize) -> Self {
        let nanos = (batch as u64).saturating_mul(1_000_000_000).checked_div(rate);
        Self { every: nanos.map(Duration::from_nanos) }
    }

    /// When a batch is due, from the start.
    fn due(self, batch: u64) -> Option<Duration> {
        let nanos = |every: Duration| every.as_nanos().saturating_mul(u128::from(batch));
        self.every.map(|every| Duration::from_nanos(u64::try_from(nanos(every)).unwrap_or(u64::MAX)))
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
}

/// What came of it.
#[derive(Clone, Default, Debug)]
pub(super) struct Measured {
    /// From the start to the last acknowledgement.
    pub(super) taken: Duration,
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
        let (points, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
        let start = self.clock.monotonic();
        thread::scope(|scope| {
            let (running, ended) = channel::<()>();
            let writers: Vec<_> = (0..self.load.writers())
                .map(|writer| {
                    let (running, points, is_over) = (running.clone(), &points, &is_over);
                    scope.spawn(move || {
                        // Goes with the thread, however that ends.
                        let _running = running;
                        let outcome = self.write(writer, start, points, is_over);
                        is_over.fetch_or(outcome.is_err(), Ordering::Relaxed);
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
    fn write(&self, writer: usize, start: Duration, points: &AtomicU64, is_over: &AtomicBool) -> Result<Measured> {
        let mut share = self.load.of_writer(writer);
        let mut measured = Measured::default();
        let since_start = || self.clock.monotonic().saturating_sub(start);
        // Batches of all writers are due in turn.
        let mut turn = writer as u64;
        while let Some(batch) = share.next_batch(self.batch) {
            let due = self.schedule.due(turn);
            turn += self.load.writers() as u64;
            // What is due in time is written, also when that takes longer.
            let begin = due.unwrap_or_else(since_start);
            if is_over.load(Ordering::Relaxed) || self.limit.is_some_and(|limit| begin >= limit) {
                break;
            }
            self.wait_until(start + begin);
            let receipt = self.offer(&batch, &mut measured.refused)?;
            let end = since_start();
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

    #[allow(clippy::disallowed_methods, reason = "there is nothing to wait for but time")]
    fn wait_until(&self, moment: Duration) {
        loop {
            let left = moment.saturating_sub(self.clock.monotonic());
            if left.is_zero() {
                return;
            }
            match left.checked_sub(AWAKE) {
                Some(asleep) => thread::sleep(asleep),
                None => thread::yield_now(),
            }
        }
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
        self.points += other.points;
        self.refused += other.refused;
        self.replaced += other.replaced;
        self.late += other.late;
        self.dead_on_arrival += other.dead_on_arrival;
        self.latency.merge(&other.latency);
        self.timeline.merge(other.timeline);
    }
}
