//! Reading summaries out of a segment of them.

use std::sync::Arc;

use crate::codec::summaries;
use crate::error::Result;
use crate::model::series::SeriesId;
use crate::model::summary::Record;
use crate::segment::reader::{Directory, Segment};
use crate::segment::summary::{SummaryChunk, Windows};

impl Segment {
    /// The chunks of a series whose windows overlap the times from `first` to `last`, both included, in order of time.
    pub(crate) fn summary_chunks(&self, series: SeriesId, first: i64, last: i64) -> Result<Vec<SummaryChunk>> {
        assert!(!self.meta().holds_points(), "summaries are asked of summaries");
        self.entries(series, first, last)
    }

    /// All chunks of summaries in order of series and time.
    pub(crate) fn summary_directory(self: &Arc<Self>) -> Directory<SummaryChunk> {
        assert!(!self.meta().holds_points(), "summaries are asked of summaries");
        Directory::new(self)
    }

    /// Appends the records of a chunk of this segment; none after an error.
    pub(crate) fn read_summaries(&self, chunk: &SummaryChunk, out: &mut Vec<Record>) -> Result<()> {
        let bytes = self.bytes_at(&chunk.place)?;
        let Windows { count, first, resolution, .. } = chunk.windows;
        let start = out.len();
        let decoded = summaries::decode(&bytes, count as usize, first, resolution, self.units_len(), out);
        let checked = match decoded {
            Ok(()) => self.check_records(chunk, &out[start..]),
            Err(malformed) => Err(malformed.0),
        };
        checked.map_err(|why| {
            out.truncate(start);
            self.bad_chunk(chunk, why)
        })
    }

    fn check_records(&self, chunk: &SummaryChunk, records: &[Record]) -> std::result::Result<(), &'static str> {
        let resolution = chunk.windows.resolution;
        let (units, in_order) = (self.units_len(), records.is_sorted_by(|one, next| one.start < next.start));
        if records.is_empty() || !in_order || records.iter().any(|record| record.start % resolution != 0) {
            Err("the windows are out of order")
        } else if Windows::of(records, resolution) != chunk.windows {
            Err("the summaries are not what the directory says")
        } else if records.iter().any(|record| record.summary.unit > units) {
            Err("a summary's unit is not in the table")
        } else {
            Ok(())
        }
    }
}
