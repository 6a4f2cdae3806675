//! One chunk as the directory lists it: which points it holds, and where their columns are.

use crate::codec::points::{Column, Expiry, Shape, UnitOf};
use crate::codec::stats::Stats;
use crate::model::packed::{Kind, NEVER, PackedPoint};
use crate::model::series::SeriesId;
use crate::model::time::Timestamp;
use crate::segment::place::Place;

/// A run of points of one series.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Chunk {
    pub(crate) series: SeriesId,
    pub(crate) stats: Stats,
    pub(super) shape: Shape,
    pub(super) places: [Place; Column::ALL.len()],
}

impl Chunk {
    /// Number of points, shadows among them.
    pub(crate) fn count(&self) -> u32 {
        self.shape.count
    }

    /// Time of the first point, in ms.
    pub(crate) fn first(&self) -> i64 {
        self.shape.first
    }

    /// Time of the last point, in ms.
    pub(crate) fn last(&self) -> i64 {
        self.shape.last
    }

    /// Earliest and latest expiry, in ms.
    pub(crate) fn expiries(&self) -> (i64, i64) {
        self.shape.expiries()
    }

    /// Whether all points have values of one kind, and are visible at a moment.
    pub(crate) fn is_plain(&self, now: Timestamp) -> bool {
        self.shape.is_plain(now)
    }

    /// The last point, if the directory tells all of it: one of values of one kind, with all that belongs to a point
    /// the same for all of them.
    pub(crate) fn last_point(&self) -> Option<PackedPoint> {
        let Shape { count, ints, floats, last: time, apart, expiry, unit, .. } = self.shape;
        let UnitOf::All(unit) = unit else { return None };
        let expires_at = match expiry {
            Expiry::Never => NEVER,
            Expiry::After(ttl) => time + ttl,
            Expiry::Column { .. } => return None,
        };
        let (kind, bits) = match (&self.stats.ints, &self.stats.floats) {
            (Some(of), None) if ints == count => (Kind::Int, of.last.cast_unsigned()),
            // What is not finite is in no statistic.
            (None, Some(of)) if floats == count && self.stats.non_finite == 0 => (Kind::Float, of.last.to_bits()),
            _ => return None,
        };
        (!apart).then_some(PackedPoint { time, expires_at, bits, unit, kind, is_apart: false })
    }
}
