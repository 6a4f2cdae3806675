//! One chunk as the directory lists it: which points it holds, and where their columns are.

use crate::codec::points::{Column, Shape};
use crate::codec::stats::Stats;
use crate::model::series::SeriesId;

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

/// Where a column's bytes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// Nowhere: the chunk has no such column.
    Nowhere,
    /// In the entry itself.
    Here(Short),
    /// In a block of `len` bytes, which its checksum follows.
    Block { offset: u64, len: usize },
}

/// Up to [`SHORT_BYTES_MAX`] bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Short {
    len: u8,
    bytes: [u8; SHORT_BYTES_MAX],
}

/// Columns up to this length are kept in the entry: a block would cost a checksum and a read.
pub(super) const SHORT_BYTES_MAX: usize = 8;

impl Short {
    pub(super) fn new(bytes: &[u8]) -> Option<Self> {
        let mut kept = [0; SHORT_BYTES_MAX];
        kept.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self { len: u8::try_from(bytes.len()).ok()?, bytes: kept })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}
