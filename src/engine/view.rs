//! What readers see: everything up to one sequence. The one place where a batch, new or replayed, becomes visible.

use crate::catalog::Catalog;
use crate::codec::batch::LogBatch;
use crate::head::{Head, Tally};
use crate::model::durability::Sequence;
use crate::model::limits::SERIES_LOST_MAX;
use crate::model::series::SeriesId;

/// The published state of a volume.
#[derive(Default)]
pub(super) struct View {
    pub(super) head: Head,
    pub(super) catalog: Catalog,
    /// The last batch that is visible.
    pub(super) visible: Sequence,
}

impl View {
    /// Makes a batch visible.
    pub(super) fn apply(&mut self, sequence: Sequence, batch: &LogBatch) -> Tally {
        assert!(sequence > self.visible, "batches become visible in order");
        for (id, key) in (batch.first_new.0..).zip(&batch.new_series) {
            self.catalog.define(SeriesId(id), key.clone());
        }
        let mut tally = Tally::default();
        for (series, point) in &batch.points {
            self.head.put(*series, point, batch.accepted_at, &mut tally);
        }
        self.visible = sequence;
        tally
    }

    /// Makes a batch from the log visible. Points of series whose name was lost with a damaged frame are left out; gives
    /// their number.
    pub(super) fn replay(&mut self, sequence: Sequence, mut batch: LogBatch) -> Result<usize, String> {
        let next = self.catalog.next_id();
        if !batch.new_series.is_empty() && batch.first_new < next {
            return Err(format!("it defines series {} again", batch.first_new.0));
        }
        if !batch.new_series.is_empty() && batch.first_new.0 - next.0 > SERIES_LOST_MAX {
            return Err(format!("it defines series {}, the next would be {}", batch.first_new.0, next.0));
        }
        if let Some(key) = batch.new_series.iter().find(|key| self.catalog.id(key).is_some()) {
            return Err(format!("it defines {key} again"));
        }
        let new = batch.new_series.len();
        let points = batch.points.len();
        let is_new = |id: SeriesId| id.0.checked_sub(batch.first_new.0).is_some_and(|place| (place as usize) < new);
        batch.points.retain(|(id, _)| self.catalog.contains(*id) || is_new(*id));
        let lost = points - batch.points.len();
        self.apply(sequence, &batch);
        Ok(lost)
    }

    /// Memory held, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.head.bytes() + self.catalog.bytes()
    }
}
