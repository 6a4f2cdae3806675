//! Writing summaries anew: several segments of a partition as one, of the same windows or of longer ones.

use crate::engine::Engine;
use crate::engine::inputs::{Input, next_series};
use crate::engine::output::Facts;
use crate::engine::records::{coarsen, fold};
use crate::engine::shelf::Shelf;
use crate::error::Result;
use crate::model::segment::SegmentMeta;
use crate::model::summary::Record;

impl Engine {
    /// Writes these summaries anew as one segment of windows of `length` ms.
    pub(super) fn summarise(&self, numbers: &[u64], length: i64, shelf: &Shelf) -> Result<Vec<SegmentMeta>> {
        let mut inputs = Vec::new();
        for number in numbers {
            let slot = shelf.slot(*number).expect("a plan names what is there").clone();
            let chunks = slot.file().map_err(|error| slot.note(&error))?.summary_directory();
            inputs.push(Input::new(slot, chunks));
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
                let mut newer: Vec<Record> = Vec::new();
                for chunk in input.chunks_of(id)? {
                    let read = input.slot.file()?.read_summaries(&chunk, &mut newer);
                    read.map_err(|error| input.slot.note(&error))?;
                }
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
