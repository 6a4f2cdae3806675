//! The other half of a flush: beside its points, each head leaves what they change in the windows of their series. One
//! commit makes both true; from then on they live and die apart.

use std::sync::Arc;

use crate::engine::beneath::Beneath;
use crate::engine::changes::{Change, Period, changes, summarise};
use crate::engine::cursor::{Filter, Source};
use crate::engine::flush::Flush;
use crate::engine::output::{Facts, Output};
use crate::engine::records::records;
use crate::engine::units::UnitMap;
use crate::error::{Error, Result};
use crate::model::packed::PackedPoint;
use crate::model::segment::{Deletion, Partition};
use crate::model::series::SeriesId;
use crate::model::summary::{Record, Summary};
use crate::model::time::{TimeRange, Timestamp};

impl Flush<'_> {
    /// Writes the summaries of a partition.
    pub(super) fn write_windows(
        &self,
        partition: Partition,
        series: &[SeriesId],
        output: &mut Output<'_>,
    ) -> Result<()> {
        let Some(period) = self.period(partition) else { return Ok(()) };
        let facts = Facts { newest: self.frozen.last, erased: self.frozen.last };
        for &id in series {
            let key = self.keys.get(&id).ok_or_else(|| Error::corrupt(format!("series {} has no name", id.0)))?;
            for record in self.records(partition, id, period, &mut output.units)? {
                output.push_record((partition, period.length), facts, (id, key), record)?;
            }
        }
        Ok(())
    }

    /// The windows that a partition is kept in; none if it is older than every tier.
    fn period(&self, partition: Partition) -> Option<Period> {
        let rollup = &self.engine.rollup;
        let length = rollup.window_at(partition, self.now)?;
        // What is stored becomes coarser by a job of its own.
        let length = self.shelf.window_of(partition).unwrap_or(length);
        Some(Period::new(length, rollup))
    }

    fn records(&self, partition: Partition, id: SeriesId, period: Period, units: &mut UnitMap) -> Result<Vec<Record>> {
        let head = &self.frozen.head;
        let chains = head.chains(id, self.range(partition));
        let deletions = self.deletions.get(&id).cloned().unwrap_or_default();
        let mut beneath = self.beneath(partition, id);
        let mut changes = changes(chains, period, &deletions, &mut beneath);
        // What was deleted later counted when these points came.
        let known_deletions = deletions.iter().filter(|deletion| deletion.sequence <= self.frozen.last).copied();
        let deletions: Arc<[Deletion]> = known_deletions.collect();
        let mut replacing = changes.iter().filter(|change| change.replaces());
        let ends = (replacing.clone().next(), replacing.next_back());
        let is_damaged = self.shelf.summaries_of(partition).iter().any(|slot| slot.damage().is_some());
        let known = match ends {
            (Some(first), Some(last)) => {
                match records(self.shelf, partition, id, (first.start, last.start), units) {
                    Ok(known) => known,
                    // What is damaged cannot be corrected: what is new counts beside what it replaced.
                    Err(error) if is_damaged || error.is_corruption() => {
                        changes = changes.into_iter().map(Change::unsure).collect();
                        Vec::new()
                    }
                    // The flush is tried again, which may find it readable.
                    Err(error) => return Err(error),
                }
            }
            _ => Vec::new(),
        };
        let recorded = changes.into_iter().filter_map(|change| {
            let before = known.binary_search_by_key(&change.start, |record| record.start);
            let before = before.ok().map(|position| &known[position].summary);
            let filter = Filter::new((change.start, change.last(period)), deletions.clone());
            let change = change.with_unit(|unit| units.adopt(0, unit, head.units()));
            change.over(before, || self.raw_summary(id, &filter, units))
        });
        Ok(recorded.collect())
    }

    /// The summary of what the head and the segments hold and a filter lets pass.
    fn raw_summary(&self, id: SeriesId, filter: &Filter, units: &mut UnitMap) -> Option<Summary> {
        let times = filter.times;
        let range = TimeRange::new(Timestamp::from_millis(times.0), Timestamp::from_millis(times.1.saturating_add(1)));
        let head = &self.frozen.head;
        let adopted = |point: PackedPoint| PackedPoint { unit: units.adopt(0, point.unit, head.units()), ..point };
        let points: Vec<PackedPoint> = head.range(id, range).map(adopted).collect();
        let recent = Source::memory(points, self.frozen.last, Arc::default(), filter.clone());
        let beneath = Beneath::of(self.shelf, id, filter, vec![recent]);
        summarise(beneath.into_cursor()?, self.engine.rollup.sketches, units)
    }
}
