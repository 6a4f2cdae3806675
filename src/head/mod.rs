//! Recent points in memory, by series, the newest write winning. Knows series only as numbers, and neither log nor
//! files: what it holds can be rebuilt from the log.

mod run;

use std::collections::HashMap;

use crate::model::point::{Point, Unit};
use crate::model::series::SeriesId;
use crate::model::time::{TimeRange, Timestamp};
use run::{Recent, Run};

/// What putting points into the head found out, for the receipt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) stored: usize,
    pub(crate) replaced: usize,
    pub(crate) late: usize,
    pub(crate) dead_on_arrival: usize,
}

/// All recent points of one volume.
#[derive(Default)]
pub(crate) struct Head {
    /// By series id, which is dense.
    runs: Vec<Run>,
    run_bytes: usize,
    units: Units,
}

/// The units in use, each kept once. Never shrinks, so it is counted as memory of the head.
#[derive(Default)]
struct Units {
    by_number: Vec<Unit>,
    numbers: HashMap<Unit, u32>,
    bytes: usize,
}

impl Head {
    /// Applies one accepted point; `accepted_at` is when its batch was accepted.
    ///
    /// A point that was dead on arrival is not kept, unless it lies on a stored timestamp: then it is kept as a
    /// shadow, never visible, so that what it replaced stays replaced (S4, S5).
    pub(crate) fn put(&mut self, series: SeriesId, point: &Point, accepted_at: Timestamp, tally: &mut Tally) {
        let position = series.0 as usize;
        if self.runs.len() <= position {
            self.runs.resize_with(position + 1, Run::default);
        }
        let unit = point.unit.as_ref().map(|unit| self.units.number_of(unit));
        let run = &mut self.runs[position];
        let before = run.bytes();
        if point.is_visible_at(accepted_at) {
            tally.stored += 1;
            tally.late += usize::from(run.newest().is_some_and(|newest| point.time < newest));
            let replaced = run.put(Recent::new(point, unit));
            tally.replaced += usize::from(replaced.is_some_and(|old| old.is_visible_at(accepted_at)));
        } else {
            tally.dead_on_arrival += 1;
            run.shadow(point.time);
        }
        self.run_bytes = self.run_bytes + run.bytes() - before;
    }

    /// The first points of one series in a range that are visible at `now`, in order of time, at most `count_max`.
    pub(crate) fn points(&self, series: SeriesId, range: TimeRange, now: Timestamp, count_max: usize) -> Vec<Point> {
        let Some(run) = self.runs.get(series.0 as usize) else { return Vec::new() };
        run.range(range)
            .filter(|recent| recent.is_visible_at(now))
            .take(count_max)
            .map(|recent| recent.to_point(|number| self.units.by_number[number as usize].clone()))
            .collect()
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.runs.capacity() * Run::BYTES + self.run_bytes + self.units.bytes
    }

    /// The memory that one new point may add, in bytes, apart from the room that a growing run takes ahead.
    pub(crate) const POINT_BYTES: usize = Run::LATE_BYTES;

    /// The memory that one new series adds apart from its points and names, in bytes: its place, in a table that may be
    /// half empty, and the room for its first points.
    pub(crate) const SERIES_BYTES: usize = 2 * Run::BYTES + Run::FIRST_BYTES;

    /// The memory that a new unit adds, in bytes: its text, and its places in two tables.
    pub(crate) fn unit_bytes(unit: &Unit) -> usize {
        unit.as_str().len() + 6 * size_of::<Unit>()
    }
}

impl Units {
    fn number_of(&mut self, unit: &Unit) -> u32 {
        if let Some(&number) = self.numbers.get(unit) {
            return number;
        }
        let number = u32::try_from(self.by_number.len()).expect("head_bytes_max allows fewer units than 2^32");
        self.bytes += Head::unit_bytes(unit);
        self.by_number.push(unit.clone());
        self.numbers.insert(unit.clone(), number);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_counts_runs_points_and_units() {
        // Goal: what is held is what is counted. Method: one thing more at a time.
        let mut head = Head::default();
        let mut tally = Tally::default();
        let mut grown_by = |series, point: Point| {
            let before = head.bytes();
            head.put(SeriesId(series), &point, Timestamp::EPOCH, &mut tally);
            head.bytes() - before
        };
        let point = |millis| Point::new(Timestamp::from_millis(millis), 1);
        let first = grown_by(2, point(10));
        assert!(first >= 3 * Run::BYTES + Run::FIRST_BYTES, "{first}: series 0 and 1 have a place too");
        assert_eq!(grown_by(2, point(11)), 0, "there is room");
        assert_eq!(grown_by(2, point(5)), Run::LATE_BYTES);
        assert_eq!(grown_by(2, point(5)), 0, "replaced");
        let unit = Unit::from("%");
        assert_eq!(grown_by(2, point(12).with_unit(unit.clone())), Head::unit_bytes(&unit));
        assert_eq!(grown_by(2, point(13).with_unit(unit)), 0, "the unit is known");
    }
}
