//! Writing a segment of summaries: ordered records in, a whole file out. Memory is bounded by the records of one chunk,
//! a buffer, and what the frame takes.

use std::path::Path;

use crate::codec::summaries;
use crate::env::disk::Disk;
use crate::error::Result;
use crate::model::limits::{BLOCK_BYTES_MAX, SUMMARY_RECORDS_MAX};
use crate::model::packed::Units;
use crate::model::segment::{Role, SegmentKind, SegmentMeta};
use crate::model::series::{SeriesId, SeriesKey};
use crate::model::summary::Record;
use crate::segment::frame::{Facts, FrameWriter};
use crate::segment::place::{Place, Short};
use crate::segment::summary::{SummaryChunk, Windows};

/// Writes one segment of summaries. Dropped before [`SummaryWriter::finish`], it takes its file with it.
///
/// After an error it is good for nothing but dropping.
pub(crate) struct SummaryWriter<'d> {
    frame: FrameWriter<'d, SummaryChunk>,
    /// How many ms each window is wide.
    resolution: i64,
    /// Records of the series that are in no chunk yet.
    gathered: Vec<Record>,
    /// Start of its last window, in ms.
    last_start: Option<i64>,
    /// Reused for every chunk.
    bytes: Vec<u8>,
    broken: bool,
}

impl<'d> SummaryWriter<'d> {
    /// Starts segment `number` in the folder of segments, under a temporary name, of windows of `resolution` ms.
    pub(crate) fn create(
        disk: &'d dyn Disk,
        folder: &Path,
        lineage: [u8; 16],
        number: u64,
        resolution: i64,
    ) -> Result<Self> {
        assert!(resolution > 0, "a window is some time");
        Ok(Self {
            frame: FrameWriter::create(disk, folder, lineage, (number, SegmentKind::Summaries), resolution)?,
            resolution,
            gathered: Vec::new(),
            last_start: None,
            bytes: Vec::new(),
            broken: false,
        })
    }

    /// The series that the next records are of; ids ascend. One without records leaves no trace.
    pub(crate) fn begin_series(&mut self, id: SeriesId, key: &SeriesKey) -> Result<()> {
        self.cut()?;
        self.frame.begin_series(id, key);
        self.last_start = None;
        Ok(())
    }

    /// Adds a record; starts ascend. Its unit is a number of the `units` that [`SummaryWriter::finish`] will be given.
    pub(crate) fn push(&mut self, mut record: Record) -> Result<()> {
        assert!(self.last_start.is_none_or(|last| last < record.start), "records come in order of their windows");
        assert_eq!(record.start % self.resolution, 0, "windows start at multiples of their width");
        self.last_start = Some(record.start);
        record.summary.unit = self.frame.own_unit(record.summary.unit);
        self.gathered.push(record);
        if self.gathered.len() >= SUMMARY_RECORDS_MAX { self.cut() } else { Ok(()) }
    }

    /// Completes the file and gives it its name; both are durable once the folder is synced, which is left to the
    /// caller. `None`, and no file, if there was no record.
    pub(crate) fn finish(mut self, units: &Units, facts: Facts) -> Result<Option<SegmentMeta>> {
        assert_eq!(facts.role, Role::Summaries(self.resolution), "the role is that of the windows");
        self.cut()?;
        self.frame.finish(units, facts)
    }

    /// Makes chunks of what is gathered.
    fn cut(&mut self) -> Result<()> {
        assert!(!self.broken, "nothing is written after an error");
        let mut gathered = std::mem::take(&mut self.gathered);
        if !gathered.is_empty() {
            self.put_chunks(&gathered).inspect_err(|_| self.broken = true)?;
        }
        gathered.clear();
        self.gathered = gathered;
        Ok(())
    }

    /// One chunk, or two halves if it would be too long for a block.
    fn put_chunks(&mut self, records: &[Record]) -> Result<()> {
        self.bytes.clear();
        summaries::encode(records, self.resolution, &mut self.bytes);
        if self.bytes.len() > BLOCK_BYTES_MAX {
            assert!(records.len() > 1, "a block has room for one record");
            let (one, other) = records.split_at(records.len() / 2);
            self.put_chunks(one)?;
            return self.put_chunks(other);
        }
        let next_block = self.frame.next_block();
        let place = match Short::new(&self.bytes) {
            Some(short) => Place::Here(short),
            None => self.frame.put_block(&self.bytes)?,
        };
        let windows = Windows::of(records, self.resolution);
        self.frame.put_chunk(&SummaryChunk { series: self.frame.series(), windows, place }, next_block);
        Ok(())
    }
}
