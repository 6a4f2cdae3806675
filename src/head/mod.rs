//! Recent points in memory, by series, the newest write winning. Knows series only as numbers, and neither log nor
//! files: what it holds can be rebuilt from the log.

mod run;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::model::durability::Sequence;
use crate::model::limits::{HEAD_PASSED_BYTES, HEAD_RIPE_BYTES, HEAD_RIPE_POINTS};
use crate::model::packed::{NEVER, NEVER_AFTER, PackedPoint, Tag, Units};
use crate::model::series::SeriesId;
use crate::model::time::{TimeRange, Timestamp};
use run::{Behind, Run, Written};

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

/// All that is said of a point beside its time and value. Most points of a batch have it in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Manner {
    /// Distance from its time to its expiry, in ms; [`NEVER_AFTER`] for never.
    after: i64,
    /// Unit, apartness and kind.
    tag: Tag,
    /// Number of its origin.
    origin: u32,
}

/// Points for each series from which on one that gets no more is told from one whose turn has not come again.
const PASSING_POINTS_MIN: usize = 8;

/// A larger table of manners is not kept for the next batch, which would have to empty all of it.
const KNOWN_MANNERS_KEPT: usize = 256;

/// Recent points of one volume, each as it was accepted, until a flush makes segments of them.
///
/// A frozen head is shared by readers as it is: nothing changes behind `&self`.
#[derive(Default)]
pub(crate) struct Head {
    /// Every run has a point.
    runs: FxHashMap<SeriesId, Run>,
    run_bytes: usize,
    points: usize,
    /// How many points and series there were when the points had become twice as many: the time before last, and the last.
    marks: [(usize, usize); 2],
    /// Where points come from, by number. Batches that nothing tells apart share one.
    origins: Vec<Origin>,
    /// What points were written as, by number.
    manners: Vec<Manner>,
    /// The numbers of those that the last origin has come with, and the one that came last.
    known_manners: FxHashMap<(i64, u32), u32>,
    last_manner: Option<u32>,
    /// The earliest of them.
    accepted_from: Option<Timestamp>,
    /// First and last time, in ms, of all that was ever put in.
    times: Option<(i64, i64)>,
    /// Whether something was erased since the last of them.
    is_erased: bool,
    /// Points that are no longer here but count in their windows: what was written there later came after their expiry
    /// or deletion, or counts in no window itself. In the order in which they went.
    departed: FxHashMap<SeriesId, Vec<Written>>,
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
        if self.points >= 2 * self.marks[1].0 {
            self.marks = [self.marks[1], (self.points, self.runs.len())];
        }
        let is_known = self.origins.last().is_some_and(|last| last.accepted_at == origin.accepted_at);
        let is_erased = std::mem::take(&mut self.is_erased);
        if !is_known || is_erased {
            self.origins.push(origin);
            if self.known_manners.len() > KNOWN_MANNERS_KEPT {
                self.known_manners = FxHashMap::default();
            }
            self.known_manners.clear();
            self.last_manner = None;
            let earliest = self.accepted_from.get_or_insert(origin.accepted_at);
            *earliest = origin.accepted_at.min(*earliest);
        }
    }

    /// Applies one accepted point of the batch that was begun last.
    ///
    /// A point that was dead on arrival is kept like any other, hidden by its expiry: what it replaces stays replaced
    /// (S4, S5), here or in what is already stored. Its unit is a number that [`Self::adopt`] gave.
    #[inline]
    pub(crate) fn put(&mut self, series: SeriesId, packed: PackedPoint, tally: &mut Tally) {
        let Origin { accepted_at, .. } = *self.origins.last().expect("a batch was begun");
        let written = Written { time: packed.time, manner: self.manner_of(&packed), bits: packed.bits };
        let (first, last) = self.times.unwrap_or((packed.time, packed.time));
        self.times = Some((first.min(packed.time), last.max(packed.time)));
        let is_alive = packed.is_visible_at(accepted_at);
        tally.stored += usize::from(is_alive);
        tally.dead_on_arrival += usize::from(!is_alive);
        tally.not_aggregated += usize::from(packed.is_apart);
        let run = self.runs.entry(series).or_default();
        let grown = if run.newest() < packed.time {
            run.push(written)
        } else {
            tally.late += usize::from(is_alive && packed.time < run.newest());
            match run.put_behind(written) {
                Behind::Put(grown) => grown,
                Behind::Taken(manner, bits) => {
                    let old = Written { time: packed.time, manner: *manner, bits: *bits };
                    let (is_replaced, goes_on) = succeed(&mut self.manners, old, written.manner, accepted_at);
                    (*manner, *bits) = (goes_on.unwrap_or(written.manner), written.bits);
                    tally.replaced += usize::from(is_alive && is_replaced);
                    if goes_on.is_none() {
                        self.departed.entry(series).or_default().push(old);
                        self.departed_len += 1;
                    }
                    return;
                }
            }
        };
        self.run_bytes = self.run_bytes.wrapping_add_signed(grown);
        self.points += 1;
    }

    /// The number of the manner in which a point of the batch that was begun last is written.
    #[inline]
    fn manner_of(&mut self, point: &PackedPoint) -> u32 {
        let (after, tag) = (point.after(), Tag::of(point));
        match self.last_manner {
            Some(last) if (self.manners[last as usize].after, self.manners[last as usize].tag) == (after, tag) => last,
            _ => self.other_manner(after, tag),
        }
    }

    #[inline(never)]
    fn other_manner(&mut self, after: i64, tag: Tag) -> u32 {
        let origin = u32::try_from(self.origins.len() - 1).expect("a head is set aside before it has 2^32 batches");
        let manners = &mut self.manners;
        let new = || number_of(manners, Manner { after, tag, origin });
        let number = *self.known_manners.entry((after, tag.0)).or_insert_with(new);
        self.last_manner = Some(number);
        number
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
        let departed = departed.filter(move |gone| range.contains(Timestamp::from_millis(gone.time)));
        let mut departed: Vec<Written> = departed.copied().collect();
        departed.sort_by_key(|gone| gone.time);
        let run = self.runs.get(&series);
        let chain = |written: Written, is_first, is_gone| {
            let origin = self.origins[self.manners[written.manner as usize].origin as usize];
            Chain { point: unpack(&self.manners, written), origin, is_first, is_gone }
        };
        // Mostly there is nothing to merge.
        let (alone, merged) = if departed.is_empty() { (run, None) } else { (None, Some(run)) };
        let alone = alone.into_iter().flat_map(move |run| run.range(range));
        let alone = alone.map(move |written| chain(written, true, false));
        let merged = merged.into_iter().flat_map(move |run| {
            let mut departed = std::mem::take(&mut departed).into_iter().peekable();
            let mut run = run.into_iter().flat_map(move |run| run.range(range)).peekable();
            let mut before = None;
            std::iter::from_fn(move || {
                let is_gone = match (departed.peek(), run.peek()) {
                    (Some(gone), Some(written)) => gone.time <= written.time,
                    (gone, _) => gone.is_some(),
                };
                let written = if is_gone { departed.next() } else { run.next() }?;
                let is_first = before.replace(written.time) != Some(written.time);
                Some(chain(written, is_first, is_gone))
            })
        });
        alone.chain(merged)
    }

    /// The times of the first and the last of those, in ms.
    pub(crate) fn ends(&self, series: SeriesId, range: TimeRange) -> Option<(i64, i64)> {
        let departed = self.departed.get(&series).into_iter().flatten().map(|gone| gone.time);
        let departed = departed.filter(|&time| range.contains(Timestamp::from_millis(time)));
        let ends = self.runs.get(&series).and_then(|run| run.ends(range));
        departed.fold(ends, |ends, time| {
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
        self.runs
            .get(&series)
            .into_iter()
            .flat_map(move |run| run.range(range))
            .map(|written| unpack(&self.manners, written))
    }

    /// Appends to `out` what [`Self::range`] gives first, at most `count_max` points.
    pub(crate) fn copy_range(&self, series: SeriesId, range: TimeRange, count_max: usize, out: &mut Vec<PackedPoint>) {
        if let Some(run) = self.runs.get(&series) {
            run.copy_range(range, count_max, |written| unpack(&self.manners, written), out);
        }
    }

    /// The newest point of a series, dead or alive.
    pub(crate) fn newest(&self, series: SeriesId) -> Option<PackedPoint> {
        self.runs.get(&series)?.last().map(|written| unpack(&self.manners, written))
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

    /// Whether it is large enough to be set aside, and gains nothing by growing.
    pub(crate) fn is_ripe(&self) -> bool {
        let are_long = self.points / HEAD_RIPE_POINTS >= self.runs.len();
        let bytes = self.bytes();
        (bytes >= HEAD_RIPE_BYTES && are_long) || (bytes >= HEAD_PASSED_BYTES && self.is_passed_through())
    }

    /// Whether series come and go: since a quarter to a half of the points were there, at least half as many new series have
    /// come for as many points as before. Where it is always the same series that go on, none come, once each has come.
    fn is_passed_through(&self) -> bool {
        let (points, series) = self.marks[0];
        if self.points < PASSING_POINTS_MIN * self.runs.len() {
            return false;
        }
        // Some may have been erased.
        let (new_points, new_series) = (self.points.saturating_sub(points), self.runs.len().saturating_sub(series));
        2 * new_series * self.points >= new_points * self.runs.len()
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
        let departed = self.departed_len * Self::POINT_BYTES;
        let origins = self.origins.capacity() * size_of::<Origin>();
        let manners = self.manners.capacity() * size_of::<Manner>() + self.known_manners.capacity() * KNOWN_BYTES;
        table_bytes(self.runs.capacity()) + self.run_bytes + self.units.bytes() + departed + origins + manners
    }

    /// The memory that one new point may add, in bytes, apart from the room that a growing run takes ahead.
    pub(crate) const POINT_BYTES: usize = Run::POINT_BYTES + 2 * (size_of::<Manner>() + KNOWN_BYTES);

    /// The memory that one new series adds apart from its points and names, in bytes: its place, in a table that has
    /// just doubled, and the room for its first points.
    pub(crate) const SERIES_BYTES: usize = (16 * PLACE_BYTES).div_ceil(7) + Run::FIRST_BYTES;
}

/// A manner in the table of those that are known.
const KNOWN_BYTES: usize = size_of::<((i64, u32), u32)>() + 1;

/// What a write does to the one that it finds at its time: whether it replaces a living point, and if it goes on with its
/// chain, the manner that it then has.
#[inline(never)]
fn succeed(manners: &mut Vec<Manner>, old: Written, new: u32, accepted_at: Timestamp) -> (bool, Option<u32>) {
    let is_replaced = unpack(manners, old).is_visible_at(accepted_at);
    let (before, after) = (manners[old.manner as usize], manners[new as usize]);
    if !is_replaced || before.tag.is_apart() != after.tag.is_apart() {
        return (is_replaced, None);
    }
    let goes_on = Manner { origin: before.origin, ..after };
    let known = [old.manner, new].into_iter().find(|&known| manners[known as usize] == goes_on);
    (true, Some(known.unwrap_or_else(|| number_of(manners, goes_on))))
}

/// The point that was written.
fn unpack(manners: &[Manner], Written { time, manner, bits }: Written) -> PackedPoint {
    let Manner { after, tag, .. } = manners[manner as usize];
    let expires_at = if after == NEVER_AFTER { NEVER } else { time + after };
    tag.point(time, expires_at, bits)
}

fn number_of(manners: &mut Vec<Manner>, manner: Manner) -> u32 {
    let number = u32::try_from(manners.len()).expect("a head is set aside before it has 2^32 manners");
    manners.push(manner);
    number
}

/// A place in the table of runs, and its byte of control.
const PLACE_BYTES: usize = size_of::<(SeriesId, Run)>() + 1;

/// Memory of a table that holds this many runs before it grows: it keeps an eighth of its places free (a quarter of
/// the smallest), and their number is a power of two.
fn table_bytes(capacity: usize) -> usize {
    if capacity == 0 { 0 } else { (capacity + capacity.div_ceil(7)).next_power_of_two() * PLACE_BYTES }
}
