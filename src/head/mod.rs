//! Recent points in memory, by series, the newest write winning. Knows series only as numbers, and neither log nor
//! files: what it holds can be rebuilt from the log.

mod run;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::model::packed::{PackedPoint, Units};
use crate::model::series::SeriesId;
use crate::model::time::{TimeRange, Timestamp};
use run::Run;

/// What putting points into the head found out, for the receipt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) stored: usize,
    pub(crate) replaced: usize,
    pub(crate) late: usize,
    pub(crate) dead_on_arrival: usize,
}

/// Recent points of one volume, each as it was accepted, until a flush makes segments of them.
///
/// A frozen head is shared by readers as it is: nothing changes behind `&self`.
#[derive(Default)]
pub(crate) struct Head {
    /// Every run has a point.
    runs: FxHashMap<SeriesId, Run>,
    run_bytes: usize,
    points: usize,
    /// Shared with readers, who keep the table as it was when they came.
    units: Arc<Units>,
}

impl Head {
    /// The numbers that a batch's units have here, each plus one, behind a 0 for none.
    pub(crate) fn adopt(&mut self, units: &Units) -> Vec<u32> {
        let mut numbers = vec![0];
        for unit in units.list() {
            let number = self.units.find(unit).unwrap_or_else(|| Arc::make_mut(&mut self.units).number_of(unit));
            numbers.push(number + 1);
        }
        numbers
    }

    /// Applies one accepted point; `accepted_at` is when its batch was accepted.
    ///
    /// A point that was dead on arrival is kept like any other, hidden by its expiry: what it replaces stays replaced
    /// (S4, S5), here or in what is already stored. Its unit is a number that [`Self::adopt`] gave.
    pub(crate) fn put(&mut self, series: SeriesId, packed: PackedPoint, accepted_at: Timestamp, tally: &mut Tally) {
        let run = self.runs.entry(series).or_default();
        let newest = run.newest();
        let is_alive = packed.is_visible_at(accepted_at);
        tally.stored += usize::from(is_alive);
        tally.dead_on_arrival += usize::from(!is_alive);
        let newest = newest.map(|newest| newest.time);
        if newest.is_none_or(|newest| newest < packed.time) {
            self.run_bytes += run.push(packed);
            self.points += 1;
            return;
        }
        tally.late += usize::from(is_alive && newest != Some(packed.time));
        if let Some(old) = run.put_late(packed) {
            tally.replaced += usize::from(is_alive && old.is_visible_at(accepted_at));
        } else {
            self.run_bytes += Run::LATE_BYTES;
            self.points += 1;
        }
    }

    /// Removes the points of one series in a range.
    pub(crate) fn erase(&mut self, series: SeriesId, range: TimeRange) {
        let Some(run) = self.runs.get_mut(&series) else { return };
        let before = run.bytes();
        self.points -= run.erase(range);
        self.run_bytes = self.run_bytes + run.bytes() - before;
        if run.len() == 0 {
            self.run_bytes -= run.bytes();
            self.runs.remove(&series);
        }
    }

    /// The points of one series in a range, dead or alive, in order of time.
    pub(crate) fn range(&self, series: SeriesId, range: TimeRange) -> impl Iterator<Item = PackedPoint> {
        self.runs.get(&series).into_iter().flat_map(move |run| run.range(range))
    }

    /// Appends to `out` what [`Self::range`] gives first, at most `count_max` points.
    pub(crate) fn copy_range(&self, series: SeriesId, range: TimeRange, count_max: usize, out: &mut Vec<PackedPoint>) {
        if let Some(run) = self.runs.get(&series) {
            run.copy_range(range, count_max, out);
        }
    }

    /// Whether there is a point of this series.
    pub(crate) fn holds(&self, series: SeriesId) -> bool {
        self.runs.contains_key(&series)
    }

    /// The series of which there are points, in order.
    pub(crate) fn series_sorted(&self) -> Vec<SeriesId> {
        let mut series: Vec<SeriesId> = self.runs.keys().copied().collect();
        series.sort_unstable();
        series
    }

    /// The units that the points name by number.
    pub(crate) fn units(&self) -> &Arc<Units> {
        &self.units
    }

    /// Number of points.
    pub(crate) fn len(&self) -> usize {
        self.points
    }

    /// Whether there is no point.
    pub(crate) fn is_empty(&self) -> bool {
        self.points == 0
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        table_bytes(self.runs.capacity()) + self.run_bytes + self.units.bytes()
    }

    /// The memory that one new point may add, in bytes, apart from the room that a growing run takes ahead.
    pub(crate) const POINT_BYTES: usize = Run::LATE_BYTES;

    /// The memory that one new series adds apart from its points and names, in bytes: its place, in a table that has
    /// just doubled, and the room for its first points.
    pub(crate) const SERIES_BYTES: usize = (16 * PLACE_BYTES).div_ceil(7) + Run::FIRST_BYTES;
}

/// A place in the table of runs, and its byte of control.
const PLACE_BYTES: usize = size_of::<(SeriesId, Run)>() + 1;

/// Memory of a table that holds this many runs before it grows: it keeps an eighth of its places free (a quarter of
/// the smallest), and their number is a power of two.
fn table_bytes(capacity: usize) -> usize {
    if capacity == 0 { 0 } else { (capacity + capacity.div_ceil(7)).next_power_of_two() * PLACE_BYTES }
}
