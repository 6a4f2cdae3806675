//! The recent points of one series: a run that grew in order of time, and beside it those that came late.

use std::collections::BTreeMap;

use crate::model::packed::PackedPoint;
use crate::model::time::TimeRange;

/// Points that a run makes room for at the least.
const ROOM_MIN: usize = 4;

/// Points of one series. A time stands in `in_order` or in `late`, never in both, and every late one is older than the
/// last one in order.
#[derive(Default)]
pub(super) struct Run {
    in_order: Vec<PackedPoint>,
    /// Points that came when a newer one was already there. A tree, so that a reversed series costs no copying.
    late: BTreeMap<i64, PackedPoint>,
}

impl Run {
    /// Memory of the room for a run's first points.
    pub(super) const FIRST_BYTES: usize = ROOM_MIN * size_of::<PackedPoint>();
    /// A late point takes a tree entry, and nodes may be half empty. An ordered one takes less.
    pub(super) const LATE_BYTES: usize = 2 * (size_of::<PackedPoint>() + size_of::<i64>());

    /// Appends a point that is newer than all others; gives the memory that the run grew by, in bytes.
    pub(super) fn push(&mut self, point: PackedPoint) -> usize {
        let before = self.in_order.capacity();
        if self.in_order.len() == before {
            // A quarter more, not twice as much: memory is bounded by what is really held.
            self.in_order.reserve_exact((before / 4).max(ROOM_MIN));
        }
        self.in_order.push(point);
        (self.in_order.capacity() - before) * size_of::<PackedPoint>()
    }

    /// Stores a point that is not newer than all others; gives back the one it replaced.
    pub(super) fn put_late(&mut self, point: PackedPoint) -> Option<PackedPoint> {
        match self.in_order.binary_search_by_key(&point.time, |each| each.time) {
            Ok(position) => Some(std::mem::replace(&mut self.in_order[position], point)),
            Err(_) => self.late.insert(point.time, point),
        }
    }

    /// Removes the points in a range; gives their number.
    pub(super) fn erase(&mut self, range: TimeRange) -> usize {
        let before = self.len();
        let ordered = self.ordered(range);
        self.in_order.drain(ordered);
        self.late.retain(|&time, _| !contains(range, time));
        if self.len() < before {
            // Late points that nothing newer is left of are in order now.
            let behind = self.late.split_off(&self.newest().map_or(i64::MIN, |point| point.time));
            self.in_order.reserve_exact(behind.len());
            self.in_order.extend(behind.into_values());
            self.in_order.shrink_to_fit();
        }
        before - self.len()
    }

    /// The newest point; late ones are older by definition.
    pub(super) fn newest(&self) -> Option<&PackedPoint> {
        self.in_order.last()
    }

    /// Number of points.
    pub(super) fn len(&self) -> usize {
        self.in_order.len() + self.late.len()
    }

    /// The points in a range, in order of time.
    pub(super) fn range(&self, range: TimeRange) -> impl Iterator<Item = PackedPoint> {
        let mut ordered = self.in_order[self.ordered(range)].iter().copied().peekable();
        let (from, to) = (range.start().as_millis(), range.end().as_millis());
        let mut late = self.late.range(from..to.max(from)).map(|(_, point)| *point).peekable();
        std::iter::from_fn(move || match (ordered.peek(), late.peek()) {
            (Some(one), Some(other)) if one.time > other.time => late.next(),
            (None, _) => late.next(),
            (Some(_), _) => ordered.next(),
        })
    }

    /// Copies the first points in a range, at most `count_max`, in order of time.
    pub(super) fn copy_range(&self, range: TimeRange, count_max: usize, out: &mut Vec<PackedPoint>) {
        if self.late.is_empty() {
            let ordered = &self.in_order[self.ordered(range)];
            out.extend_from_slice(&ordered[..ordered.len().min(count_max)]);
        } else {
            out.extend(self.range(range).take(count_max));
        }
    }

    /// Memory held, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.in_order.capacity() * size_of::<PackedPoint>() + self.late.len() * Self::LATE_BYTES
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
