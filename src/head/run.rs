//! The recent points of one series: a run that grew in order of time, and beside it those that came late.

use std::collections::BTreeMap;

use crate::model::packed::PackedPoint;
use crate::model::time::TimeRange;

/// Points that a run makes room for at the least.
const ROOM_MIN: usize = 4;
/// A point with the number of its origin, see [`super::Head`].
const PLACE_BYTES: usize = size_of::<PackedPoint>() + size_of::<u32>();

/// Points of one series, each with the number of its origin. A time stands in `in_order` or in `late`, never in both,
/// and every late one is older than the last one in order.
#[derive(Default)]
pub(super) struct Run {
    in_order: Vec<PackedPoint>,
    /// Of the points in order.
    origins: Vec<u32>,
    /// Points that came when a newer one was already there. A tree, so that a reversed series costs no copying.
    late: BTreeMap<i64, (PackedPoint, u32)>,
}

impl Run {
    /// Memory of the room for a run's first points.
    pub(super) const FIRST_BYTES: usize = ROOM_MIN * PLACE_BYTES;
    /// A late point takes a tree entry, and nodes may be half empty. An ordered one takes less.
    pub(super) const LATE_BYTES: usize = 2 * (size_of::<(PackedPoint, u32)>() + size_of::<i64>());

    /// Appends a point that is newer than all others; gives the memory that the run grew by, in bytes.
    pub(super) fn push(&mut self, point: PackedPoint, origin: u32) -> usize {
        let before = self.in_order.capacity();
        if self.in_order.len() == before {
            // A quarter more, not twice as much: memory is bounded by what is really held.
            self.reserve((before / 4).max(ROOM_MIN));
        }
        self.in_order.push(point);
        self.origins.push(origin);
        (self.in_order.capacity() - before) * PLACE_BYTES
    }

    fn reserve(&mut self, more: usize) {
        self.in_order.reserve_exact(more);
        self.origins.reserve_exact(self.in_order.capacity() - self.origins.len());
    }

    /// The point at a time that is not newer than all others, with its origin.
    pub(super) fn at(&mut self, time: i64) -> Option<(&mut PackedPoint, &mut u32)> {
        match self.in_order.binary_search_by_key(&time, |each| each.time) {
            Ok(position) => Some((&mut self.in_order[position], &mut self.origins[position])),
            Err(_) => self.late.get_mut(&time).map(|(point, origin)| (point, origin)),
        }
    }

    /// Stores a point at a time that is not newer than all others and where there is none.
    pub(super) fn put_late(&mut self, point: PackedPoint, origin: u32) {
        self.late.insert(point.time, (point, origin));
    }

    /// Removes the points in a range; gives them with their origins.
    pub(super) fn erase(&mut self, range: TimeRange) -> Vec<(PackedPoint, u32)> {
        let ordered = self.ordered(range);
        let mut erased: Vec<_> = self.in_order.drain(ordered.clone()).zip(self.origins.drain(ordered)).collect();
        self.late.retain(|&time, late| {
            let is_erased = contains(range, time);
            erased.extend(is_erased.then_some(*late));
            !is_erased
        });
        if !erased.is_empty() {
            // Late points that nothing newer is left of are in order now.
            let behind = self.late.split_off(&self.newest().map_or(i64::MIN, |point| point.time));
            self.reserve(behind.len());
            for (point, origin) in behind.into_values() {
                self.in_order.push(point);
                self.origins.push(origin);
            }
            self.in_order.shrink_to_fit();
            self.origins.shrink_to_fit();
        }
        erased
    }

    /// The newest point; late ones are older by definition.
    pub(super) fn newest(&self) -> Option<&PackedPoint> {
        self.in_order.last()
    }

    /// Number of points.
    pub(super) fn len(&self) -> usize {
        self.in_order.len() + self.late.len()
    }

    /// The points in a range with their origins, in order of time.
    pub(super) fn range(&self, range: TimeRange) -> impl Iterator<Item = (PackedPoint, u32)> {
        let ordered = self.ordered(range);
        let points = self.in_order[ordered.clone()].iter().copied();
        let ordered = points.zip(self.origins[ordered].iter().copied());
        let (from, to) = (range.start().as_millis(), range.end().as_millis());
        let late = self.late.range(from..to.max(from)).map(|(_, late)| *late);
        // Mostly there is nothing to merge.
        let (alone, merged) =
            if late.clone().next().is_none() { (Some(ordered), None) } else { (None, Some((ordered, late))) };
        let merged = merged.into_iter().flat_map(|(ordered, late)| {
            let (mut ordered, mut late) = (ordered.peekable(), late.peekable());
            std::iter::from_fn(move || match (ordered.peek(), late.peek()) {
                (Some(one), Some(other)) if one.0.time > other.0.time => late.next(),
                (None, _) => late.next(),
                (Some(_), _) => ordered.next(),
            })
        });
        alone.into_iter().flatten().chain(merged)
    }

    /// The times of the first and last points in a range, of those in order and of late ones.
    pub(super) fn ends(&self, range: TimeRange) -> impl Iterator<Item = i64> {
        let ordered = &self.in_order[self.ordered(range)];
        let (from, to) = (range.start().as_millis(), range.end().as_millis());
        let mut late = self.late.range(from..to.max(from)).map(|(time, _)| *time);
        let late = [late.next(), late.next_back()];
        let ends = [ordered.first(), ordered.last()].map(|point| point.map(|point| point.time));
        ends.into_iter().chain(late).flatten()
    }

    /// Copies the first points in a range, at most `count_max`, in order of time.
    pub(super) fn copy_range(&self, range: TimeRange, count_max: usize, out: &mut Vec<PackedPoint>) {
        if self.late.is_empty() {
            let ordered = &self.in_order[self.ordered(range)];
            out.extend_from_slice(&ordered[..ordered.len().min(count_max)]);
        } else {
            out.extend(self.range(range).take(count_max).map(|(point, _)| point));
        }
    }

    /// Memory held, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.in_order.capacity() * PLACE_BYTES + self.late.len() * Self::LATE_BYTES
    }

    /// Where the points of a range stand among those in order.
    fn ordered(&self, range: TimeRange) -> std::ops::Range<usize> {
        let before = |moment: i64| self.in_order.partition_point(|point| point.time < moment);
        let start = before(range.start().as_millis());
        start..before(range.end().as_millis()).max(start)
    }
}

fn contains(range: TimeRange, time: i64) -> bool {
    range.start().as_millis() <= time && time < range.end().as_millis()
}
