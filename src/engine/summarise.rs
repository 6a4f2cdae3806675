//! Writing summaries anew: several segments of a partition as one, of the same windows or of longer ones.

use std::iter::Peekable;
use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::output::Facts;
use crate::engine::records::{coarsen, fold};
use crate::engine::shelf::{Shelf, Slot};
use crate::error::Result;
use crate::model::segment::SegmentMeta;
use crate::model::series::SeriesId;
use crate::model::summary::Record;
use crate::segment::{Directory, SummaryChunk};

/// A segment that is being read from its first series to its last.
struct Input {
    slot: Arc<Slot>,
    chunks: Peekable<Directory<SummaryChunk>>,
}

impl Engine {
    /// Writes these summaries anew as one segment of windows of `length` ms.
    pub(super) fn summarise(&self, numbers: &[u64], length: i64, shelf: &Shelf) -> Result<Vec<SegmentMeta>> {
        let mut inputs: Vec<Input> = Vec::new();
        for number in numbers {
            let slot = shelf.slot(*number).expect("a plan names what is there").clone();
            let chunks = slot.file().map_err(|error| slot.note(&error))?.summary_directory().peekable();
            inputs.push(Input { slot, chunks });
        }
        inputs.sort_by_key(|input| input.slot.meta.newest);
        let Some(oldest) = inputs.first().map(|input| input.slot.meta) else { return Ok(Vec::new()) };
        let partition = oldest.partition;
        let newest = inputs.iter().map(|input| input.slot.meta.newest).max().unwrap_or_default();
        let facts = Facts { newest, erased: newest };
        // Nothing lies beneath the oldest that a record could replace.
        let is_all = shelf.summaries_of(partition).first().is_some_and(|slot| slot.meta.number == oldest.number);
        let mut output = self.output();
        while let Some(id) = next_series(&mut inputs)? {
            let key = self.key_of(id, inputs.iter().map(|input| &input.slot))?;
            let mut folded = Vec::new();
            for input in &mut inputs {
                let mut newer = records_of(input, id)?;
                for record in &mut newer {
                    let units = input.slot.file()?.units();
                    record.summary.unit = output.units.adopt(input.slot.meta.number, record.summary.unit, units);
                }
                folded = fold(folded, newer);
            }
            if is_all {
                folded = coarsen(folded, length);
            }
            for record in folded {
                output.push_record((partition, length), facts, (id, &key), record)?;
            }
        }
        let bytes = inputs.iter().map(|input| input.slot.meta.bytes).sum();
        self.pace.spend(bytes)?;
        output.finish()
    }
}

/// The lowest series that any input has yet to give.
fn next_series(inputs: &mut [Input]) -> Result<Option<SeriesId>> {
    let mut lowest = None;
    for input in inputs {
        match input.chunks.peek() {
            None => {}
            Some(Ok(chunk)) => lowest = Some(lowest.map_or(chunk.series, |lowest: SeriesId| lowest.min(chunk.series))),
            Some(Err(error)) => return Err(input.slot.note(error)),
        }
    }
    Ok(lowest)
}

/// All records of a series in an input, which stands before them.
fn records_of(input: &mut Input, id: SeriesId) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    while let Some(chunk) = input.chunks.next_if(|chunk| !matches!(chunk, Ok(chunk) if chunk.series != id)) {
        let read = chunk.and_then(|chunk| input.slot.file()?.read_summaries(&chunk, &mut records));
        read.map_err(|error| input.slot.note(&error))?;
    }
    Ok(records)
}
