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
            self.run_bytes += Run::BYTES;
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

    /// The points of one series in a range that are visible at `now`, in order of time.
    pub(crate) fn points(&self, series: SeriesId, range: TimeRange, now: Timestamp) -> Vec<Point> {
        let Some(run) = self.runs.get(series.0 as usize) else { return Vec::new() };
        run.range(range)
            .filter(|recent| recent.is_visible_at(now))
            .map(|recent| recent.to_point(|number| self.units.by_number[number as usize].clone()))
            .collect()
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.run_bytes + self.units.bytes
    }

    /// The most memory one new point can add, in bytes; a series, [`Self::SERIES_BYTES_MAX`] more.
    pub(crate) const POINT_BYTES_MAX: usize = Run::POINT_BYTES_MAX;

    /// The most memory one new series can add apart from its points and names, in bytes.
    pub(crate) const SERIES_BYTES_MAX: usize = Run::BYTES;
}

impl Units {
    fn number_of(&mut self, unit: &Unit) -> u32 {
        if let Some(&number) = self.numbers.get(unit) {
            return number;
        }
        let number = u32::try_from(self.by_number.len()).expect("head_bytes_max allows fewer units than 2^32");
        self.bytes += 2 * size_of::<Unit>() + size_of::<u32>() + unit.as_str().len();
        self.by_number.push(unit.clone());
        self.numbers.insert(unit.clone(), number);
        number
    }
}
