//! Workloads as batches: made ahead of the clock, a bounded piece at a time or whole.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ebbtide::{Point, SeriesKey, WriteBatch};

use crate::workloads::devops::{Devops, SERIES, START, coin};
use crate::workloads::{Arrivals, arrivals};

/// Points that are made ahead: about 3 MB, little beside what a store takes.
const PIECE: usize = 50_000;
/// Of the points of a workload, the first bring names that a store may keep; later names are equal to them, but not the
/// same objects in memory, as if each had been read from a request.
const FIRST: usize = 1_000;

/// A workload whose later names are other objects than the first. `None` if its data is not there.
pub(crate) fn points(workload: &str, points: usize) -> Option<Box<dyn Iterator<Item = (SeriesKey, Point)>>> {
    let (first, later): (Arrivals, Arrivals) = (arrivals(workload)?, arrivals(workload)?);
    let all = first.take(FIRST).chain(later.skip(FIRST)).take(points);
    Some(Box::new(all.map(|(_, key, point)| (key, point))))
}

/// As [`points`], of W1 for one of several writers, who share the series between them.
pub(crate) fn share(points: usize, writer: usize, writers: usize) -> impl Iterator<Item = (SeriesKey, Point)> {
    let all = Devops::new(SERIES, coin).take(FIRST).chain(Devops::new(SERIES, coin).skip(FIRST)).take(points);
    all.filter(move |(series, ..)| series % writers == writer).map(|(_, key, point)| (key, point))
}

/// Where a workload's clock stands while it is written, in ms.
pub(crate) const NOW: i64 = START.as_millis();

/// Feeds batches and keeps the time: the clock runs while the store works, not while input is made.
pub(crate) struct Feeder<I> {
    input: I,
    batch: usize,
    piece: Vec<Arc<WriteBatch>>,
    next: usize,
    since: Instant,
    /// Time that the store took for what it was fed.
    pub(crate) writing: Duration,
    pub(crate) fed: usize,
    budget: Duration,
}

impl<I: Iterator<Item = (SeriesKey, Point)>> Feeder<I> {
    pub(crate) fn new(input: I, batch: usize, budget: Duration) -> Self {
        let (piece, writing) = (Vec::new(), Duration::ZERO);
        Self { input, batch, piece, next: 0, since: Instant::now(), writing, fed: 0, budget }
    }

    /// Starts the clock; the store gets the feeder right after it.
    pub(crate) fn start(&mut self) -> &mut Self {
        self.refill();
        self.since = Instant::now();
        self
    }

    /// Stops it, after the store's last acknowledgement.
    pub(crate) fn stop(&mut self) {
        self.writing += self.since.elapsed();
    }

    /// Whether everything was fed; what was left for want of time is dropped.
    pub(crate) fn input_is_over(&mut self) -> bool {
        self.next == self.piece.len() && self.input.next().is_none()
    }

    fn refill(&mut self) {
        self.piece = batches(&mut self.input, PIECE.max(self.batch), self.batch, false);
        self.next = 0;
    }
}

impl<I: Iterator<Item = (SeriesKey, Point)>> Iterator for Feeder<I> {
    type Item = Arc<WriteBatch>;

    fn next(&mut self) -> Option<Arc<WriteBatch>> {
        if self.writing + self.since.elapsed() > self.budget {
            return None;
        }
        if self.next == self.piece.len() {
            self.writing += self.since.elapsed();
            self.refill();
            self.since = Instant::now();
        }
        let batch = self.piece.get(self.next)?.clone();
        self.next += 1;
        self.fed += batch.len();
        Some(batch)
    }
}

/// The next points as batches; on demand the points of each batch stand series by series, as
/// [`WriteBatch::push_all`] takes them.
pub(crate) fn batches(
    input: &mut impl Iterator<Item = (SeriesKey, Point)>,
    points: usize,
    batch: usize,
    by_series: bool,
) -> Vec<Arc<WriteBatch>> {
    let one = |_| {
        let some = input.by_ref().take(batch);
        if by_series { grouped(some.collect()) } else { some.collect() }
    };
    (0..points.div_ceil(batch)).map(one).take_while(|batch| !batch.is_empty()).map(Arc::new).collect()
}

fn grouped(mut points: Vec<(SeriesKey, Point)>) -> WriteBatch {
    points.sort_by(|one, other| one.0.cmp(&other.0));
    let mut batch = WriteBatch::with_capacity(points.len());
    for run in points.chunk_by(|one, other| one.0 == other.0) {
        batch.push_all(run[0].0.clone(), run.iter().map(|(_, point)| point.clone()));
    }
    batch
}
