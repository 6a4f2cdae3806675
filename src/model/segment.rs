//! What is known of a segment without opening it: what it holds, where it stands among the others, when it dies.

use crate::model::durability::Sequence;
use crate::model::packed::{ALWAYS_DEAD, NEVER, PackedPoint};
use crate::model::series::SeriesId;
use crate::model::time::{TimeRange, Timestamp};

/// Milliseconds of a day.
pub(crate) const DAY_MILLIS: i64 = 86_400_000;

/// A span of whole UTC days, counted from 1970. No segment crosses one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Partition(pub(crate) i64);

impl Partition {
    /// The partition of a time, in ms since 1970, where each spans `days`.
    pub(crate) fn of(time: i64, days: u16) -> Self {
        Self(time.div_euclid(i64::from(days) * DAY_MILLIS))
    }

    /// Its first millisecond.
    pub(crate) fn start(self, days: u16) -> i64 {
        self.0.saturating_mul(i64::from(days) * DAY_MILLIS)
    }
}

/// Points that die at about the same time: those whose expiry lies in one span of `width` ms. The width is chosen by
/// the point's TTL, so that a file of one class can be kept whole until its last point dies without breaking the
/// promise of semantics S19.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct ExpiryClass {
    /// Width of the span in ms; 0 for points that never expire.
    pub(crate) width: i64,
    /// Number of the span, counted from 1970.
    pub(crate) span: i64,
}

impl ExpiryClass {
    /// Points that never expire.
    pub(crate) const NEVER: Self = Self { width: 0, span: 0 };

    /// The class of a point where dead bytes may stay for `reclaim_within` ms, or a tenth of the TTL if that is longer.
    ///
    /// Half of that time is the file's; the other half is left for the head, the log and the compactor. Widths are
    /// powers of two times the narrowest, so that points with similar TTLs share files.
    pub(crate) fn of(point: &PackedPoint, reclaim_within: i64) -> Self {
        if point.expires_at == NEVER {
            return Self::NEVER;
        }
        let ttl = point.expires_at.saturating_sub(point.time).max(0);
        let narrowest = (reclaim_within / 2).max(1);
        let times = (ttl / 20 / narrowest).max(1);
        let width = narrowest.saturating_mul(1 << times.ilog2());
        Self { width, span: point.expires_at.div_euclid(width) }
    }
}

/// A segment as the manifest lists it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SegmentMeta {
    /// Number of its file: no two segments that were ever true have the same.
    pub(crate) number: u64,
    pub(crate) partition: Partition,
    pub(crate) role: Role,
    /// The last batch that it holds points of. Decides between overrides.
    pub(crate) newest: Sequence,
    /// Deletions up to this batch have been carried out in it.
    pub(crate) erased: Sequence,
    /// Number of points, or of summaries.
    pub(crate) points: u64,
    /// Length of the file.
    pub(crate) bytes: u64,
    /// First and last time, in ms; of summaries, the first and last ms of their windows.
    pub(crate) times: (i64, i64),
    /// Earliest and latest expiry, in ms; [`NEVER`] and [`ALWAYS_DEAD`] are the extremes. Summaries have [`NEVER`]: how
    /// long they are kept is not their own affair.
    pub(crate) expiries: (i64, i64),
    /// Lowest and highest series.
    pub(crate) series: (SeriesId, SeriesId),
}

/// What a segment holds, and how its points stand to those of others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Role {
    /// No other plain segment of the partition holds a point at the same series and time. All points are of one class.
    Plain(ExpiryClass),
    /// Its points replace those that other segments hold at the same series and time: all plain ones, and overrides
    /// with a smaller `newest`. Dead ones among them are kept as long as something lies beneath.
    Override,
    /// Summaries of windows of this many ms, which divides a day.
    Summaries(i64),
}

/// What a segment's file holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SegmentKind {
    Points,
    Summaries,
}

impl SegmentMeta {
    /// What its file holds.
    pub(crate) fn kind(&self) -> SegmentKind {
        match self.role {
            Role::Plain(_) | Role::Override => SegmentKind::Points,
            Role::Summaries(_) => SegmentKind::Summaries,
        }
    }

    /// Whether it holds points, not summaries.
    pub(crate) fn holds_points(&self) -> bool {
        self.kind() == SegmentKind::Points
    }

    /// Whether every point in it is dead at `now`, in ms.
    pub(crate) fn is_dead_at(&self, now: i64) -> bool {
        self.expiries.1 != NEVER && self.expiries.1 <= now
    }

    /// Whether it may hold points of this series in this range.
    pub(crate) fn may_hold(&self, series: SeriesId, range: TimeRange) -> bool {
        (self.series.0..=self.series.1).contains(&series)
            && self.times.0 < range.end().as_millis()
            && range.start().as_millis() <= self.times.1
    }

    /// Whether its times overlap those of another.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.partition == other.partition && self.times.0 <= other.times.1 && other.times.0 <= self.times.1
    }
}

/// The raw points of one series in a range, deleted by one batch. What later batches write there is not deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Deletion {
    pub(crate) series: SeriesId,
    pub(crate) range: TimeRange,
    pub(crate) sequence: Sequence,
    /// When it was asked for.
    pub(crate) at: Timestamp,
}

impl Deletion {
    /// Whether it takes a point of this time out of a source that has seen deletions up to `erased`.
    pub(crate) fn hides(&self, erased: Sequence, time: i64) -> bool {
        erased < self.sequence && self.range.start().as_millis() <= time && time < self.range.end().as_millis()
    }
}

/// What a stored catalogue must hold to be believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct CatalogMark {
    /// Grows with each change.
    pub(crate) generation: u64,
    /// Number of series.
    pub(crate) series: u64,
    /// Sum over the checksums of all series, whatever their order.
    pub(crate) checksum: u64,
}

const _: () = assert!(ALWAYS_DEAD < NEVER);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::point::Point;
    use crate::model::time::Ttl;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn a_class_is_never_wider_than_half_of_what_its_points_may_outstay() {
        // S19. Method: every TTL up to 100 days in steps that hit all boundaries.
        for ttl_secs in (0..100 * 86_400).step_by(901) {
            let point = Point::new(Timestamp::from_millis(1_795_281_677_579), 1).with_ttl(Ttl::from_secs(ttl_secs));
            let point = PackedPoint::new(&point, None);
            let class = ExpiryClass::of(&point, HOUR);
            let may_outstay = HOUR.max(i64::from(ttl_secs) * 100);
            assert!(class.width * 2 <= may_outstay, "{ttl_secs} s: {class:?}");
            assert!(class.width * 5 > may_outstay, "{ttl_secs} s: {class:?} is needlessly narrow");
            assert!((class.span * class.width..(class.span + 1) * class.width).contains(&point.expires_at));
        }
    }

    #[test]
    fn partitions_are_whole_days_also_before_1970() {
        assert_eq!(Partition::of(0, 1), Partition(0));
        assert_eq!(Partition::of(-1, 1), Partition(-1));
        assert_eq!(Partition::of(7 * DAY_MILLIS - 1, 7), Partition(0));
        assert_eq!(Partition::of(7 * DAY_MILLIS, 7), Partition(1));
        assert_eq!(Partition(-1).start(7), -7 * DAY_MILLIS);
    }

    #[test]
    fn a_deletion_hides_what_came_before_it_and_nothing_else() {
        let range = TimeRange::new(Timestamp::from_millis(10), Timestamp::from_millis(20));
        let deletion = Deletion { series: SeriesId(1), range, sequence: Sequence(5), at: Timestamp::EPOCH };
        assert!(deletion.hides(Sequence(4), 10) && deletion.hides(Sequence(0), 19));
        assert!(
            !deletion.hides(Sequence(5), 10) && !deletion.hides(Sequence(4), 9) && !deletion.hides(Sequence(4), 20)
        );
    }
}
