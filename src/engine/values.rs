//! One number for each window. Where one segment has all that is stored of a partition's windows, and nothing recent
//! can change them, the number comes out of its columns; else out of the windows themselves, which say the same.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::engine::shelf::{Shelf, Slot};
use crate::engine::windows::{aligned, check_count, period_millis};
use crate::error::Result;
use crate::model::limits::WINDOWS_MAX;
use crate::model::segment::Partition;
use crate::model::series::{SeriesId, SeriesKey};
use crate::model::summary::Number;
use crate::model::time::{TimeRange, Timestamp};
use crate::model::windows::{Function, Values, Windows};

impl Engine {
    /// The numbers of a series' windows that start in a range, or before it and reach into it.
    pub(crate) fn values(
        &self,
        key: &SeriesKey,
        range: TimeRange,
        period: Duration,
        function: Function,
    ) -> Result<Values> {
        let length = period_millis(period)?;
        let now = self.guard.now();
        if let Some(aligned) = aligned(range, length)
            && let Some(list) = self.stored_values(key, aligned, (length, function), now)
        {
            check_count(list.len(), WINDOWS_MAX)?;
            let list = list.into_iter().map(|(start, number)| (Timestamp::from_millis(start), number)).collect();
            return Ok(Values { list, missing: Vec::new() });
        }
        let Windows { list, missing } = self.windows_at(key, range, (length, WINDOWS_MAX), now)?;
        let list = match (function, list.last()) {
            (Function::Latest, Some(last)) => vec![(last.last().0, last.number(function))],
            _ => list.iter().map(|window| (window.start, window.number(function))).collect(),
        };
        Ok(Values { list, missing })
    }

    /// The numbers out of the columns of stored windows; none if those are not the whole answer, or cannot be read.
    fn stored_values(
        &self,
        key: &SeriesKey,
        range: TimeRange,
        (length, function): (i64, Function),
        now: Timestamp,
    ) -> Option<Vec<(i64, Number)>> {
        let days = self.rollup.partition_days;
        // So that no window reaches into two partitions.
        if Partition(1).start(days) % length != 0 {
            return None;
        }
        let (id, shelf) = {
            let view = self.view.read();
            let Some(id) = view.catalog.id(key) else { return Some(Vec::new()) };
            // What is recent may change stored windows.
            (!view.holds_recent_in(id, range)).then(|| (id, view.shelf.clone()))?
        };
        let mut list = Vec::new();
        for (partition, slot) in stored(&shelf, id, range)? {
            let kept = shelf.window_of(partition)?;
            // Windows that are not due any more, or due to be longer, are told by age alone.
            if length % kept != 0 || length % self.rollup.window_at(partition, now)? != 0 {
                return None;
            }
            let Some(slot) = slot else { continue };
            let (start, end) = (partition.start(days), Partition(partition.0 + 1).start(days));
            let times = (range.start().as_millis().max(start), range.end().as_millis().min(end) - 1);
            let file = slot.file().ok()?;
            let chunks = file.summary_chunks(id, times.0, times.1).ok()?;
            // A window may begin in one chunk and end in the next.
            let is_whole =
                chunks.windows(2).all(|pair| pair[0].last().div_euclid(length) < pair[1].first().div_euclid(length));
            for chunk in is_whole.then_some(chunks)? {
                file.read_numbers(&chunk, times, (length, function), &mut list)?;
            }
            if list.len() > WINDOWS_MAX {
                // Refused by those who count them.
                break;
            }
        }
        Some(list)
    }
}

/// A partition, and the segment of its summaries.
type Stored<'a> = (Partition, Option<&'a Arc<Slot>>);

/// The partitions that hold anything of a series in a range, each with its summaries, if they may hold something of it;
/// none if several segments would have to be put together.
fn stored(shelf: &Shelf, id: SeriesId, range: TimeRange) -> Option<Vec<Stored<'_>>> {
    let mut partitions: Vec<Partition> = Vec::new();
    for slot in shelf.slots().iter().filter(|slot| slot.meta.may_hold(id, range)) {
        partitions.push(slot.meta.partition);
    }
    partitions.sort_unstable();
    partitions.dedup();
    let of = |partition| match shelf.summaries_of(partition) {
        [slot] => Some((partition, slot.meta.may_hold(id, range).then_some(slot))),
        _ => None,
    };
    partitions.into_iter().map(of).collect()
}
