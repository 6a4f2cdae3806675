//! What readers see: everything up to one sequence. The one place where a batch, new or replayed, becomes visible.

use std::collections::HashSet;

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

    /// Makes a batch from the log visible. Points of series whose name was lost with a damaged frame are left out;
    /// gives their number.
    pub(super) fn replay(&mut self, sequence: Sequence, mut batch: LogBatch) -> Result<usize, String> {
        let next = self.catalog.next_id();
        if !batch.new_series.is_empty() && batch.first_new < next {
            return Err(format!("it defines series {} again", batch.first_new.0));
        }
        if !batch.new_series.is_empty() && batch.first_new.0 - next.0 > SERIES_LOST_MAX {
            return Err(format!("it defines series {}, the next would be {}", batch.first_new.0, next.0));
        }
        let mut new_keys = HashSet::new();
        if let Some(key) = batch.new_series.iter().find(|key| self.catalog.id(key).is_some() || !new_keys.insert(*key))
        {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::point::Point;
    use crate::model::series::SeriesKey;
    use crate::model::time::{TimeRange, Timestamp};

    fn batch(first_new: u32, names: &[&str], points: &[u32]) -> LogBatch {
        let key = |name: &&str| SeriesKey::new("A.B", *name, [("h", "x")]).expect("valid names");
        let point = |id: &u32| (SeriesId(*id), Point::new(Timestamp::EPOCH, 1));
        LogBatch {
            accepted_at: Timestamp::EPOCH,
            first_new: SeriesId(first_new),
            new_series: names.iter().map(key).collect(),
            points: points.iter().map(point).collect(),
        }
    }

    #[test]
    fn a_replayed_batch_cannot_define_what_is_there_or_what_is_far_away() {
        // Goal: bytes from disk are answered with a reason, never with a panic or a huge table.
        let mut view = View::default();
        assert_eq!(view.replay(Sequence(1), batch(0, &["a", "b"], &[0, 1])), Ok(0));
        for (wrong, why) in [
            (batch(1, &["c"], &[]), "defines series 1 again"),
            (batch(2, &["a"], &[]), "defines A.B a{h=x} again"),
            (batch(2, &["c", "c"], &[]), "defines A.B c{h=x} again"),
            (batch(2 + SERIES_LOST_MAX + 1, &["c"], &[]), "the next would be 2"),
        ] {
            let said = view.replay(Sequence(2), wrong).expect_err(why);
            assert!(said.contains(why), "{said}");
        }
        assert_eq!((view.visible, view.catalog.len()), (Sequence(1), 2), "nothing of them was taken");
    }

    #[test]
    fn points_whose_series_name_was_lost_are_counted_and_left_out() {
        let mut view = View::default();
        assert_eq!(view.replay(Sequence(2), batch(1, &["b"], &[0, 1, 0])), Ok(2));
        let points = |id| view.head.points(SeriesId(id), TimeRange::ALL, Timestamp::EPOCH, 9).len();
        assert_eq!((points(0), points(1)), (0, 1));
    }
}
