//! The records of windows: out of the segments that hold summaries, folded in the order in which they were written.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::engine::shelf::{Shelf, Slot};
use crate::engine::units::UnitMap;
use crate::error::Result;
use crate::model::segment::Partition;
use crate::model::series::SeriesId;
use crate::model::summary::Record;

/// What the windows of a series in a partition are, as far as they lie between two times, both included.
pub(super) fn records(
    shelf: &Shelf,
    partition: Partition,
    id: SeriesId,
    times: (i64, i64),
    units: &mut UnitMap,
) -> Result<Vec<Record>> {
    let mut folded = Vec::new();
    for slot in shelf.summaries_of(partition) {
        let newer = records_of(slot, id, times, units)?;
        folded = fold(folded, newer);
    }
    Ok(folded)
}

/// The records of a series in one segment.
fn records_of(slot: &Arc<Slot>, id: SeriesId, times: (i64, i64), units: &mut UnitMap) -> Result<Vec<Record>> {
    let (first, last) = times;
    let meta = &slot.meta;
    if !(meta.series.0..=meta.series.1).contains(&id) || meta.times.1 < first || last < meta.times.0 {
        return Ok(Vec::new());
    }
    let mut read = || {
        let file = slot.file()?;
        let mut records: Vec<Record> = Vec::new();
        for chunk in file.summary_chunks(id, first, last)? {
            file.read_summaries_between(&chunk, times, &mut records)?;
        }
        for record in &mut records {
            record.summary.unit = units.adopt(meta.number, record.summary.unit, file.units());
        }
        Ok(records)
    };
    read().map_err(|error| slot.note(&error))
}

/// Two lists of records, ascending, as one.
pub(super) fn fold(older: Vec<Record>, newer: Vec<Record>) -> Vec<Record> {
    if older.is_empty() {
        return newer;
    }
    let mut folded = Vec::with_capacity(older.len() + newer.len());
    let (mut older, mut newer) = (older.into_iter().peekable(), newer.into_iter().peekable());
    loop {
        let order = match (older.peek(), newer.peek()) {
            (Some(one), Some(other)) => one.start.cmp(&other.start),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return folded,
        };
        match order {
            Ordering::Less => folded.extend(older.next()),
            Ordering::Greater => folded.extend(newer.next()),
            Ordering::Equal => {
                let record = older.next().zip(newer.next()).map(|(mut record, newer)| {
                    record.fold(newer);
                    record
                });
                folded.extend(record);
            }
        }
    }
}

/// Appends records that begin where the last ones end, or with the same window.
pub(super) fn append(list: &mut Vec<Record>, newer: Vec<Record>) {
    let mut newer = newer.into_iter().peekable();
    if let Some(last) = list.last_mut()
        && let Some(record) = newer.next_if(|record| record.start == last.start)
    {
        last.fold(record);
    }
    list.extend(newer);
}

/// The same windows as longer ones. These are all the records of them, so that nothing is left to be replaced.
pub(super) fn coarsen(records: Vec<Record>, length: i64) -> Vec<Record> {
    let mut coarse: Vec<Record> = Vec::new();
    for record in records {
        let start = record.start.div_euclid(length).saturating_mul(length);
        match coarse.last_mut().filter(|last| last.start == start) {
            Some(last) => {
                last.summary.absorb(&record.summary);
                last.is_amended |= record.is_amended;
            }
            None => coarse.push(Record { start, replaces: false, ..record }),
        }
    }
    coarse
}
