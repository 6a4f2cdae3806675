//! One chunk as the directory lists it: which points it holds, and where their columns are.

use crate::codec::points::{Column, Shape};
use crate::codec::stats::Stats;
use crate::model::series::SeriesId;
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
}
