//! Recent points in memory, by series, the newest write winning. Knows series only as numbers, and neither log nor
//! files: what it holds can be rebuilt from the log.

mod run;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::model::durability::Sequence;
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
    pub(crate) not_aggregated: usize,
}

/// When a batch was accepted, and its place in the order of all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Origin {
    pub(crate) accepted_at: Timestamp,
    pub(crate) sequence: Sequence,
}

/// Writes at one time each of which replaced the one before, as the last of them: what counts in the window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Chain {
    pub(crate) point: PackedPoint,
    /// The batch that brought the first of them.
    pub(crate) origin: Origin,
    /// Whether nothing came before it at its time, in this head.
    pub(crate) is_first: bool,
    /// Whether it has departed, so that it is no point of the head any more.
    pub(crate) is_gone: bool,
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
    /// Where points come from, by number. Batches that nothing tells apart share one.
    origins: Vec<Origin>,
    /// The earliest of them.
    accepted_from: Option<Timestamp>,
    /// First and last time, in ms, of all that was ever put in.
    times: Option<(i64, i64)>,
    /// Whether something was erased since the last of them.
    is_erased: bool,
    /// Points that are no longer here but count in their windows: what was written there later came after their expiry
    /// or deletion, or counts in no window itself. In the order in which they went.
    departed: FxHashMap<SeriesId, Vec<(PackedPoint, u32)>>,
    departed_len: usize,
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

    /// Notes where the points that follow come from.
    pub(crate) fn begin(&mut self, origin: Origin) {
        let is_known = self.origins.last().is_some_and(|last| last.accepted_at == origin.accepted_at);
        if !is_known || std::mem::take(&mut self.is_erased) {
            self.origins.push(origin);
            let earliest = self.accepted_from.get_or_insert(origin.accepted_at);
            *earliest = origin.accepted_at.min(*earliest);
        }
    }

    /// Applies one accepted point of the batch that was begun last.
    ///
    /// A point that was dead on arrival is kept like any other, hidden by its expiry: what it replaces stays replaced
    /// (S4, S5), here or in what is already stored. Its unit is a number that [`Self::adopt`] gave.
    pub(crate) fn put(&mut self, series: SeriesId, packed: PackedPoint, tally: &mut Tally) {
        let origin = self.origins.len() - 1;
        let Origin { accepted_at, .. } = self.origins[origin];
        let origin = u32::try_from(origin).expect("a head is set aside before it has 2^32 batches");
        let (first, last) = self.times.unwrap_or((packed.time, packed.time));
        self.times = Some((first.min(packed.time), last.max(packed.time)));
        let run = self.runs.entry(series).or_default();
        let is_alive = packed.is_visible_at(accepted_at);
        tally.stored += usize::from(is_alive);
        tally.dead_on_arrival += usize::from(!is_alive);
        tally.not_aggregated += usize::from(packed.is_apart);
        let newest = run.newest().map(|newest| newest.time);
        if newest.is_none_or(|newest| newest < packed.time) {
            self.run_bytes += run.push(packed, origin);
            self.points += 1;
            return;
        }
        tally.late += usize::from(is_alive && newest != Some(packed.time));
        if let Some((point, its_origin)) = run.at(packed.time) {
            let old = std::mem::replace(point, packed);
            let is_replaced = old.is_visible_at(accepted_at);
            tally.replaced += usize::from(is_alive && is_replaced);
            if !is_replaced || old.is_apart != packed.is_apart {
                let old_origin = std::mem::replace(its_origin, origin);
                self.departed.entry(series).or_default().push((old, old_origin));
                self.departed_len += 1;
            }
        } else {
            run.put_late(packed, origin);
            self.run_bytes += Run::LATE_BYTES;
            self.points += 1;
        }
    }

    /// Removes the points of one series in a range. They go on counting in their windows (S16).
    pub(crate) fn erase(&mut self, series: SeriesId, range: TimeRange) {
        self.is_erased = true;
        let Some(run) = self.runs.get_mut(&series) else { return };
        let before = run.bytes();
        let erased = run.erase(range);
        self.points -= erased.len();
        self.run_bytes = self.run_bytes + run.bytes() - before;
        if run.len() == 0 {
            self.run_bytes -= run.bytes();
            self.runs.remove(&series);
        }
        if !erased.is_empty() {
            self.departed_len += erased.len();
            self.departed.entry(series).or_default().extend(erased);
        }
    }

    /// What counts in the windows of one series in a range: in order of time, and at one time as it was written.
    pub(crate) fn chains(&self, series: SeriesId, range: TimeRange) -> impl Iterator<Item = Chain> {
        let departed = self.departed.get(&series).into_iter().flatten();
        let departed = departed.filter(move |(point, _)| range.contains(Timestamp::from_millis(point.time)));
        let mut departed: Vec<_> = departed.copied().collect();
        departed.sort_by_key(|(point, _)| point.time);
        let run = self.runs.get(&series);
        let origin = |number: u32| self.origins[number as usize];
        // Mostly there is nothing to merge.
        let (alone, merged) = if departed.is_empty() { (run, None) } else { (None, Some(run)) };
        let alone = alone.into_iter().flat_map(move |run| run.range(range));
        let alone =
            alone.map(move |(point, number)| Chain { point, origin: origin(number), is_first: true, is_gone: false });
        let merged = merged.into_iter().flat_map(move |run| {
            let mut departed = std::mem::take(&mut departed).into_iter().peekable();
            let mut run = run.into_iter().flat_map(move |run| run.range(range)).peekable();
            let mut before = None;
            std::iter::from_fn(move || {
                let is_gone = match (departed.peek(), run.peek()) {
                    (Some((gone, _)), Some((point, _))) => gone.time <= point.time,
                    (gone, _) => gone.is_some(),
                };
                let (point, number) = if is_gone { departed.next() } else { run.next() }?;
                let is_first = before.replace(point.time) != Some(point.time);
                Some(Chain { point, origin: origin(number), is_first, is_gone })
            })
        });
        alone.chain(merged)
    }

    /// The times of the first and the last of those, in ms.
    pub(crate) fn ends(&self, series: SeriesId, range: TimeRange) -> Option<(i64, i64)> {
        let departed = self.departed.get(&series).into_iter().flatten().map(|(point, _)| point.time);
        let departed = departed.filter(|&time| range.contains(Timestamp::from_millis(time)));
        let times = departed.chain(self.runs.get(&series).into_iter().flat_map(|run| run.ends(range)));
        times.fold(None, |ends, time| {
            Some(ends.map_or((time, time), |(first, last): (i64, i64)| (first.min(time), last.max(time))))
        })
    }

    /// First and last time, in ms, of all that was ever put in.
    pub(crate) fn times(&self) -> Option<(i64, i64)> {
        self.times
    }

    /// When the first batch in it was accepted.
    pub(crate) fn accepted_from(&self) -> Option<Timestamp> {
        self.accepted_from
    }

    /// The points of one series in a range, dead or alive, in order of time.
    pub(crate) fn range(&self, series: SeriesId, range: TimeRange) -> impl Iterator<Item = PackedPoint> {
        self.runs.get(&series).into_iter().flat_map(move |run| run.range(range)).map(|(point, _)| point)
    }

    /// Appends to `out` what [`Self::range`] gives first, at most `count_max` points.
    pub(crate) fn copy_range(&self, series: SeriesId, range: TimeRange, count_max: usize, out: &mut Vec<PackedPoint>) {
        if let Some(run) = self.runs.get(&series) {
            run.copy_range(range, count_max, out);
        }
    }

    /// Whether there is a point of this series, or one that counts in its windows.
    pub(crate) fn holds(&self, series: SeriesId) -> bool {
        self.runs.contains_key(&series) || self.departed.contains_key(&series)
    }

    /// The series that it holds, in order.
    pub(crate) fn series_sorted(&self) -> Vec<SeriesId> {
        let mut series: Vec<SeriesId> = self.runs.keys().chain(self.departed.keys()).copied().collect();
        series.sort_unstable();
        series.dedup();
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
        let departed = self.departed_len * Self::POINT_BYTES + self.origins.capacity() * size_of::<Origin>();
        table_bytes(self.runs.capacity()) + self.run_bytes + self.units.bytes() + departed
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
