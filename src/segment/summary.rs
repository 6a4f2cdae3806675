//! One chunk of summaries, and the bytes of its entry in the directory, relative to the one before it in its page.

use std::ops::Range;
use std::sync::Arc;

use crate::codec::Malformed;
use crate::codec::varint;
use crate::model::limits::SUMMARY_RECORDS_MAX;
use crate::model::packed::NEVER;
use crate::model::series::SeriesId;
use crate::model::summary::Record;
use crate::segment::cache::Item;
use crate::segment::page::{Entry, PageReader, put_tag};
use crate::segment::place::{Blocks, Place};

/// Tag of an entry: number and windows are those of the entry before.
const AS_BEFORE: u8 = 1;

/// A run of summaries of one series.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SummaryChunk {
    pub(crate) series: SeriesId,
    pub(super) windows: Windows,
    pub(super) place: Place,
}

/// Which windows a chunk has summaries of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Windows {
    pub(super) count: u32,
    /// Start of the first one, in ms.
    pub(super) first: i64,
    /// Start of the last one, in ms.
    pub(super) last: i64,
    /// How many ms each is wide.
    pub(super) resolution: i64,
}

impl SummaryChunk {
    /// Number of summaries.
    #[cfg(test)]
    pub(crate) fn count(&self) -> u32 {
        self.windows.count
    }

    /// Start of the first window, in ms.
    pub(crate) fn first(&self) -> i64 {
        self.windows.first
    }

    /// Last ms of the last window.
    pub(crate) fn last(&self) -> i64 {
        self.windows.end() - 1
    }
}

impl Windows {
    /// Those of records in ascending order, of which there is at least one.
    pub(super) fn of(records: &[Record], resolution: i64) -> Self {
        let count = u32::try_from(records.len()).expect("a chunk is small");
        Self { count, first: records[0].start, last: records[records.len() - 1].start, resolution }
    }

    /// End of the last one, in ms.
    fn end(&self) -> i64 {
        self.last + self.resolution
    }

    /// The places, counted from the first window, of those that start between two times, both included.
    pub(super) fn places(&self, (from, to): (i64, i64)) -> Range<i64> {
        // The first place that does not start before a time.
        let place =
            |time: i64| time.saturating_sub(self.first).saturating_add(self.resolution - 1).div_euclid(self.resolution);
        place(from)..place(to.saturating_add(1))
    }

    /// How many windows lie between them.
    fn skipped(&self) -> i64 {
        (self.last - self.first) / self.resolution + 1 - i64::from(self.count)
    }
}

/// What the next entry of a page is relative to.
pub(super) struct Before {
    series: SeriesId,
    /// Start of the first window of the first chunk of that series in the page.
    start: i64,
    /// End of its last window.
    end: i64,
    windows: Option<Windows>,
    resolution: i64,
}

impl Before {
    fn step(&mut self, chunk: &SummaryChunk) {
        if chunk.series != self.series {
            self.start = chunk.windows.first;
        }
        (self.series, self.end, self.windows) = (chunk.series, chunk.windows.end(), Some(chunk.windows));
    }

    /// What the first window of a chunk counts from.
    fn window_before(&self, series: SeriesId) -> i64 {
        if series == self.series { self.end } else { self.start }
    }
}

impl Entry for SummaryChunk {
    /// Entries take three bytes or so: a page has those of some 200 series.
    const PAGE_BYTES: usize = 640;

    type Before = Before;

    fn before((series, first): (SeriesId, i64), resolution: i64) -> Before {
        Before { series, start: first, end: first, windows: None, resolution }
    }

    fn encode(&self, before: &mut Before, blocks: &mut Blocks, out: &mut Vec<u8>) {
        let is_as_before = before.windows == Some(self.windows);
        put_tag(if is_as_before { AS_BEFORE } else { 0 }, self.series, before.series, out);
        if !is_as_before {
            let first = self.windows.first - before.window_before(self.series);
            varint::put(out, u64::from(self.windows.count));
            varint::put_signed(out, first / before.resolution);
            varint::put(out, self.windows.skipped().cast_unsigned());
        }
        self.place.encode(blocks, out);
        before.step(self);
    }

    fn decode(page: &mut PageReader<'_, Self>) -> Result<Self, Malformed> {
        let (tag, series) = page.tag(page.before.series)?;
        let windows = match tag {
            0 => page.windows(series)?,
            AS_BEFORE => page.before.windows.ok_or(Malformed("there are no windows before the first chunk's"))?,
            _ => return Err(Malformed("the tag of a chunk is unknown")),
        };
        let chunk = Self { series, windows, place: page.place()? };
        page.before.step(&chunk);
        Ok(chunk)
    }

    fn series(&self) -> SeriesId {
        self.series
    }

    fn count(&self) -> u32 {
        self.windows.count
    }

    fn times(&self) -> (i64, i64) {
        (self.first(), self.last())
    }

    fn expiries(&self) -> (i64, i64) {
        (NEVER, NEVER)
    }

    fn places(&self) -> &[Place] {
        std::slice::from_ref(&self.place)
    }

    fn keep(entries: &Arc<[Self]>) -> Item {
        Item::Summaries(entries.clone())
    }

    fn kept(item: Item) -> Option<Arc<[Self]>> {
        if let Item::Summaries(entries) = item { Some(entries) } else { None }
    }
}

impl PageReader<'_, SummaryChunk> {
    fn windows(&mut self, series: SeriesId) -> Result<Windows, Malformed> {
        const RANGE: Malformed = Malformed("a chunk's windows are out of range");
        let resolution = self.before.resolution;
        let count = self.small()?;
        if count == 0 || count as usize > SUMMARY_RECORDS_MAX {
            return Err(Malformed("a chunk's number of summaries is out of range"));
        }
        let add = |start: i64, windows: i64| {
            windows.checked_mul(resolution).and_then(|millis| start.checked_add(millis)).ok_or(RANGE)
        };
        let first = add(self.before.window_before(series), self.reader.signed()?)?;
        let skipped = i64::try_from(self.reader.number()?).map_err(|_| RANGE)?;
        let last = add(first, skipped.checked_add(i64::from(count) - 1).ok_or(RANGE)?)?;
        if first % resolution != 0 || last.checked_add(resolution).is_none() {
            return Err(RANGE);
        }
        Ok(Windows { count, first, last, resolution })
    }
}
