//! Reading summaries out of a segment of them.

use std::sync::Arc;

use crate::codec::Malformed;
use crate::codec::summaries::KeptSummaries;
use crate::error::Result;
use crate::model::series::SeriesId;
use crate::model::summary::{Number, Record};
use crate::model::windows::Function;
use crate::segment::cache::Item;
use crate::segment::reader::{Directory, RECORDS, Segment};
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

    /// Appends the records of a chunk of this segment, read from the file; none after an error.
    pub(crate) fn read_summaries(&self, chunk: &SummaryChunk, out: &mut Vec<Record>) -> Result<()> {
        let start = out.len();
        let kept = KeptSummaries::decode(&self.bytes_at(&chunk.place)?, chunk.windows.count as usize, false);
        let appended = kept.and_then(|kept| self.append_records(chunk, &kept, (i64::MIN, i64::MAX), out));
        appended.map_err(|malformed| malformed.0).and_then(|()| self.check_records(chunk, &out[start..])).map_err(
            |why| {
                out.truncate(start);
                self.bad_chunk(chunk, why)
            },
        )
    }

    /// The same of windows that start between two times, both included, for who may ask again: what is decoded stays in
    /// memory.
    pub(crate) fn read_summaries_between(
        &self,
        chunk: &SummaryChunk,
        times: (i64, i64),
        out: &mut Vec<Record>,
    ) -> Result<()> {
        let start = out.len();
        let kept = self.kept_summaries(chunk)?;
        self.append_records(chunk, &kept, times, out).map_err(|malformed| {
            out.truncate(start);
            self.bad_chunk(chunk, malformed.0)
        })
    }

    /// The columns of a chunk, from memory if they were read before.
    fn kept_summaries(&self, chunk: &SummaryChunk) -> Result<Arc<KeptSummaries>> {
        let count = chunk.windows.count as usize;
        let place = self.cached(&chunk.place, RECORDS);
        if let Some(Item::Records(kept)) = place.and_then(|(cache, key)| cache.get(key))
            && kept.len() == count
            // Another chunk may have brought it.
            && kept.last_place() == Some(chunk.windows.places((chunk.windows.last, chunk.windows.last)).start)
        {
            return Ok(kept);
        }
        let kept = KeptSummaries::decode(&self.bytes_at(&chunk.place)?, count, place.is_some());
        let kept = Arc::new(kept.map_err(|malformed| self.bad_chunk(chunk, malformed.0))?);
        // Whatever is asked of it later, all of it is sound.
        let mut records = Vec::new();
        let appended = self.append_records(chunk, &kept, (i64::MIN, i64::MAX), &mut records);
        let checked = appended.map_err(|malformed| malformed.0).and_then(|()| self.check_records(chunk, &records));
        checked.map_err(|why| self.bad_chunk(chunk, why))?;
        if let Some((cache, key)) = place {
            cache.put(key, Item::Records(kept.clone()), kept.bytes());
        }
        Ok(kept)
    }

    /// Appends start and number of each window of `length` ms that a chunk's windows between two times, both included,
    /// lie in. `None` if only the summaries themselves can tell; some may have been appended then.
    pub(crate) fn read_numbers(
        &self,
        chunk: &SummaryChunk,
        times: (i64, i64),
        question: (i64, Function),
        out: &mut Vec<(i64, Number)>,
    ) -> Option<()> {
        let Windows { first, resolution, .. } = chunk.windows;
        let kept = self.kept_summaries(chunk).ok()?;
        kept.numbers(chunk.windows.places(times), (first, resolution), question, out)
    }

    fn append_records(
        &self,
        chunk: &SummaryChunk,
        kept: &KeptSummaries,
        times: (i64, i64),
        out: &mut Vec<Record>,
    ) -> std::result::Result<(), Malformed> {
        let Windows { first, resolution, .. } = chunk.windows;
        kept.append(chunk.windows.places(times), (first, resolution), self.units_len(), out)
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
