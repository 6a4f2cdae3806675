//! Segments that a job reads side by side, from their first series to their last.

use std::iter::Peekable;
use std::sync::Arc;

use crate::engine::shelf::Slot;
use crate::error::Result;
use crate::model::series::SeriesId;

/// One of the segments, with its chunks in order of series and time.
pub(super) struct Input<D: Iterator> {
    pub(super) slot: Arc<Slot>,
    chunks: Peekable<D>,
}

/// What chunks of all kinds say.
pub(super) trait OfSeries {
    /// The series that the chunk is of.
    fn series(&self) -> SeriesId;
}

impl<C: OfSeries, D: Iterator<Item = Result<C>>> Input<D> {
    pub(super) fn new(slot: Arc<Slot>, chunks: D) -> Self {
        Self { slot, chunks: chunks.peekable() }
    }

    /// All chunks of a series, before which it stands.
    pub(super) fn chunks_of(&mut self, id: SeriesId) -> Result<Vec<C>> {
        let mut chunks = Vec::new();
        while let Some(chunk) = self.chunks.next_if(|chunk| !matches!(chunk, Ok(chunk) if chunk.series() != id)) {
            chunks.push(chunk.map_err(|error| self.slot.note(&error))?);
        }
        Ok(chunks)
    }
}

/// The lowest series that any input has yet to give.
pub(super) fn next_series<C: OfSeries, D: Iterator<Item = Result<C>>>(
    inputs: &mut [Input<D>],
) -> Result<Option<SeriesId>> {
    let mut lowest: Option<SeriesId> = None;
    for input in inputs {
        match input.chunks.peek() {
            None => {}
            Some(Ok(chunk)) => lowest = Some(lowest.map_or(chunk.series(), |lowest| lowest.min(chunk.series()))),
            Some(Err(error)) => return Err(input.slot.note(error)),
        }
    }
    Ok(lowest)
}

impl OfSeries for crate::segment::Chunk {
    fn series(&self) -> SeriesId {
        self.series
    }
}

impl OfSeries for crate::segment::SummaryChunk {
    fn series(&self) -> SeriesId {
        self.series
    }
}
