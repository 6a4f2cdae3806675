//! Whether stored windows say what their points say: those whose points are all still there are computed again. Changes
//! nothing; that files are sound is the business of `stats`.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::engine::Engine;
use crate::engine::beneath::Beneath;
use crate::engine::changes::counts;
use crate::engine::cursor::{Cursor, Filter};
use crate::engine::records::records;
use crate::engine::shelf::Shelf;
use crate::engine::units::UnitMap;
use crate::error::{Error, Result};
use crate::model::limits::{CHUNK_POINTS_MAX, DAMAGE_NOTES_MAX};
use crate::model::packed::PackedPoint;
use crate::model::segment::Partition;
use crate::model::series::SeriesId;
use crate::model::summary::Summary;

/// What holding stored windows against their points has found. See [`Db::verify_rollups`](crate::Db::verify_rollups).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RollupReport {
    /// Windows that were computed again from their points.
    pub checked: u64,
    /// Of those, windows that once were corrected without all of their points, so that smallest and largest value were
    /// held against bounds only.
    pub bounds: u64,
    /// Windows not checked because points that count in them have gone: expired, deleted, or replaced by points that
    /// count in none.
    pub points_gone: u64,
    /// Windows not checked because they or their points cannot be read; a series whose windows of a partition cannot be
    /// read is one of them. [`Db::verify`](crate::Db::verify) tells why.
    pub unreadable: u64,
    /// Windows that do not say what their points say.
    pub wrong_windows: u64,
    /// What is wrong with the first hundred of them.
    pub wrong: Vec<Error>,
}

impl Engine {
    /// Flushes, and holds every stored window against its points, series by series.
    pub(crate) fn verify_rollups(&self) -> Result<RollupReport> {
        self.flush()?;
        // One version: its windows and points were made true by the same commits.
        let shelf = self.view.read().shelf.clone();
        let mut report = RollupReport::default();
        let summaries = shelf.slots().iter().filter(|slot| !slot.meta.holds_points());
        let partitions: BTreeSet<Partition> = summaries.map(|slot| slot.meta.partition).collect();
        for partition in partitions {
            let mut series: BTreeSet<SeriesId> = BTreeSet::new();
            for slot in shelf.summaries_of(partition) {
                match slot.file().and_then(|file| file.series_ids()) {
                    Ok(ids) => series.extend(ids),
                    Err(error) => {
                        slot.note(&error);
                        report.unreadable += 1;
                    }
                }
            }
            for id in series {
                Check { engine: self, shelf: &shelf, partition, id, report: &mut report }.run();
            }
        }
        Ok(report)
    }
}

/// The windows of one series in one partition.
struct Check<'a> {
    engine: &'a Engine,
    shelf: &'a Shelf,
    partition: Partition,
    id: SeriesId,
    report: &'a mut RollupReport,
}

impl Check<'_> {
    fn run(mut self) {
        let days = self.engine.format.partition_days;
        let times = (self.partition.start(days), Partition(self.partition.0 + 1).start(days) - 1);
        let mut units = UnitMap::default();
        let Ok(stored) = records(self.shelf, self.partition, self.id, times, &mut units) else {
            self.report.unreadable += 1;
            return;
        };
        let length = self.shelf.window_of(self.partition).expect("the partition has summaries");
        let mut left = stored.len() as u64;
        let mut stored = stored.into_iter().peekable();
        let deletions = &self.shelf.version.deletions;
        let deletions = deletions.iter().filter(|deletion| deletion.series == self.id).copied().collect();
        let filter = Filter::new(times, deletions);
        let Some(cursor) = Beneath::of(self.shelf, self.id, &filter, Vec::new()).into_cursor() else {
            self.report.unreadable += left;
            return;
        };
        let mut raw = RawWindows { cursor, units, length, next: None };
        while let Some(window) = raw.next() {
            // From there on nobody knows what is missing.
            let Ok((start, points)) = window else {
                self.report.unreadable += left;
                return;
            };
            while stored.next_if(|record| record.start < start).is_some() {
                self.report.points_gone += 1;
                left -= 1;
            }
            match stored.next_if(|record| record.start == start) {
                Some(record) => {
                    left -= 1;
                    self.compare(start, length, &record.summary, &points);
                }
                None => self.complain(start, length, &format!("it is not stored, but {} points are", points.count())),
            }
        }
        self.report.points_gone += left;
    }

    fn compare(&mut self, start: i64, length: i64, stored: &Summary, points: &Summary) {
        if points.count() < stored.count() {
            self.report.points_gone += 1;
            return;
        }
        self.report.checked += 1;
        self.report.bounds += u64::from(stored.is_bound);
        if let Some(difference) = difference(stored, points) {
            self.complain(start, length, &difference);
        }
    }

    fn complain(&mut self, start: i64, length: i64, why: &str) {
        self.report.wrong_windows += 1;
        if self.report.wrong.len() < DAMAGE_NOTES_MAX {
            let key = self.engine.key_of(self.id, self.shelf.summaries_of(self.partition).iter());
            let name = key.map_or_else(|_| format!("series {}", self.id.0), |key| key.to_string());
            self.report.wrong.push(Error::corrupt(format!("{name}: window of {length} ms at {start}: {why}")));
        }
    }
}

/// The windows that stored points make, in order of time. Points are read chunk by chunk and never kept.
struct RawWindows {
    cursor: Cursor,
    units: UnitMap,
    length: i64,
    /// The first point of the window to come.
    next: Option<PackedPoint>,
}

impl RawWindows {
    /// The next window that has a point that counts: its start and what its points are.
    fn next(&mut self) -> Option<Result<(i64, Summary)>> {
        let first = match self.next.take() {
            Some(first) => first,
            None => match self.point()? {
                Ok(first) => first,
                Err(error) => return Some(Err(error)),
            },
        };
        let start = first.time.div_euclid(self.length) * self.length;
        let mut points = vec![first];
        let mut summary: Option<Summary> = None;
        let mut add = |points: &mut Vec<PackedPoint>| {
            match (&mut summary, Summary::of(points)) {
                (Some(summary), Some(newer)) => summary.absorb(&newer),
                (summary, newer) => *summary = summary.take().or(newer),
            }
            points.clear();
        };
        loop {
            match self.point() {
                Some(Ok(point)) if point.time < start + self.length => points.push(point),
                Some(Err(error)) => return Some(Err(error)),
                other => {
                    self.next = other.and_then(Result::ok);
                    break;
                }
            }
            if points.len() == CHUNK_POINTS_MAX {
                add(&mut points);
            }
        }
        add(&mut points);
        summary.map(|summary| Ok((start, summary)))
    }

    /// The next point that counts, with a unit of our own.
    fn point(&mut self) -> Option<Result<PackedPoint>> {
        loop {
            let (point, source) = match self.cursor.next()? {
                Ok(next) => next,
                Err(error) => return Some(Err(error)),
            };
            if counts(&point) {
                let unit =
                    self.units.adopt(self.cursor.number(source).unwrap_or(0), point.unit, self.cursor.units(source));
                return Some(Ok(PackedPoint { unit, ..point }));
            }
        }
    }
}

/// What a stored window says that its points do not, if anything: integers exactly, sums of floats but for what rounding
/// may do to the largest of them, squared distances to 1e-12.
fn difference(stored: &Summary, points: &Summary) -> Option<String> {
    let differs = |what: &str, said: String, is: String| Some(format!("its {what} is {said}, of its points {is}"));
    macro_rules! hold {
        ($what:literal, $one:expr, $other:expr, $is_right:expr) => {
            if !$is_right {
                return differs($what, format!("{:?}", $one), format!("{:?}", $other));
            }
        };
    }
    hold!("number of values", stored.count(), points.count(), stored.count() == points.count());
    hold!("number of integers", stored.integers(), points.integers(), stored.integers() == points.integers());
    let is_bound = stored.is_bound;
    if let (Some(one), Some(other)) = (&stored.ints, &points.ints) {
        hold!("sum of integers", one.sum, other.sum, one.sum == other.sum);
        hold!("sum of squares", one.squares, other.squares, one.squares == other.squares);
        hold!("least integer", one.min, other.min, one.min == other.min || (is_bound && one.min < other.min));
        hold!("largest integer", one.max, other.max, one.max == other.max || (is_bound && one.max > other.max));
    }
    if let (Some(one), Some(other)) = (&stored.floats, &points.floats) {
        #[expect(clippy::cast_precision_loss, reason = "a bound for what rounding does")]
        let count = other.count as f64;
        let step = 4.0 * f64::EPSILON * other.min.abs().max(other.max.abs());
        let sums = one.sum.minus(other.sum).value().abs();
        hold!("sum of floats", one.sum, other.sum, is_within(sums, count * step));
        let within = 1e-12 * one.m2.max(other.m2) + count * step * step;
        hold!("squared distance of floats", one.m2, other.m2, is_within((one.m2 - other.m2).abs(), within));
        hold!("least float", one.min, other.min, one.min <= other.min && (is_bound || one.min >= other.min));
        hold!("largest float", one.max, other.max, one.max >= other.max && (is_bound || one.max <= other.max));
    }
    hold!("first value", stored.first, points.first, stored.first == points.first);
    hold!("last value", stored.last, points.last, stored.last == points.last);
    hold!("unit", stored.unit, points.unit, stored.unit == points.unit);
    None
}

/// Past the largest double nothing can be told of a distance.
fn is_within(distance: f64, limit: f64) -> bool {
    !distance.is_finite() || distance <= limit
}
