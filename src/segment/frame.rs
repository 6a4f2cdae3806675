//! Writing what stands around the chunks of a segment, whatever they hold: file header, directory, page index, units,
//! names and footer. What the directory and the names take is in memory until then.

use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;

use crate::codec::names;
use crate::codec::varint;
use crate::env::disk::{Disk, temporary};
use crate::env::layout;
use crate::error::{Error, ErrorKind, Result};
use crate::model::durability::Sequence;
use crate::model::limits::{PAGE_INDEX_BYTES_MAX, SEGMENT_UNITS_MAX, UNIT_TABLE_BYTES_MAX};
use crate::model::packed::{ALWAYS_DEAD, NEVER, Units};
use crate::model::segment::{Partition, Role, SegmentKind, SegmentMeta};
use crate::model::series::{SeriesId, SeriesKey};
use crate::segment::blocks::Output;
use crate::segment::format::{CHECKSUM_BYTES, Footer, NAMES_HEAD_BYTES, encode_file_header, encode_index};
use crate::segment::page::{DirectoryWriter, Entry};
use crate::segment::place::Place;

/// What a segment cannot tell from what it holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) partition: Partition,
    pub(crate) role: Role,
    pub(crate) newest: Sequence,
    pub(crate) erased: Sequence,
}

/// Writes the frame of one segment around chunks that `E` lists. Dropped before [`FrameWriter::finish`], it takes its
/// file with it.
///
/// After an error it is good for nothing but dropping.
pub(super) struct FrameWriter<'d, E: Entry> {
    output: Output<'d>,
    /// The name that the file will have.
    path: PathBuf,
    number: u64,
    kind: SegmentKind,
    /// The series that chunks come for.
    series: Option<(SeriesId, SeriesKey)>,
    /// Numbers that the job's units have here.
    units: FxHashMap<u32, u32>,
    /// The unit that was asked for last, and its number here: neighbours mostly share one.
    last_unit: (u32, u32),
    directory: DirectoryWriter<E>,
    names: Vec<(SeriesId, SeriesKey)>,
    points: u64,
    times: (i64, i64),
    expiries: (i64, i64),
    renamed: bool,
}

impl<'d, E: Entry> FrameWriter<'d, E> {
    /// Starts segment `number` in the folder of segments, under a temporary name. All first times of chunks are multiples
    /// of `step` ms.
    pub(super) fn create(
        disk: &'d dyn Disk,
        folder: &Path,
        lineage: [u8; 16],
        (number, kind): (u64, SegmentKind),
        step: i64,
    ) -> Result<Self> {
        let path = folder.join(layout::segment_name(number, kind));
        let mut writer = Self {
            output: Output::create(disk, temporary(&path), lineage, number)?,
            path,
            number,
            kind,
            series: None,
            units: FxHashMap::default(),
            last_unit: (0, 0),
            directory: DirectoryWriter::new(step),
            names: Vec::new(),
            points: 0,
            times: (i64::MAX, i64::MIN),
            expiries: (NEVER, ALWAYS_DEAD),
            renamed: false,
        };
        writer.output.put(&encode_file_header(lineage, number, kind))?;
        Ok(writer)
    }

    /// The series that the next chunks are of; ids ascend. One without chunks leaves no trace.
    pub(super) fn begin_series(&mut self, id: SeriesId, key: &SeriesKey) {
        assert!(self.series.as_ref().is_none_or(|(before, _)| *before < id), "series come in order of their ids");
        self.series = Some((id, key.clone()));
    }

    /// The series that chunks come for.
    pub(super) fn series(&self) -> SeriesId {
        self.series.as_ref().expect("what is stored comes after its series was named").0
    }

    /// The number plus one that a unit of the job has in this segment; 0 stays none.
    pub(super) fn own_unit(&mut self, unit: u32) -> u32 {
        if unit != self.last_unit.0 {
            let next = u32::try_from(self.units.len()).expect("there are no more units than points") + 1;
            let number = if unit == 0 { 0 } else { *self.units.entry(unit).or_insert(next) };
            self.last_unit = (unit, number);
        }
        self.last_unit.1
    }

    /// Where a new block would start.
    pub(super) fn next_block(&self) -> u64 {
        self.output.offset()
    }

    /// Finds the block with these bytes, or appends it.
    pub(super) fn put_block(&mut self, bytes: &[u8]) -> Result<Place> {
        self.output.put_block(bytes)
    }

    /// Lists a chunk of the series whose first new block, if it has one, is at `next_block`.
    pub(super) fn put_chunk(&mut self, chunk: &E, next_block: u64) {
        let (series, key) = self.series.as_ref().expect("what is stored comes after its series was named");
        assert_eq!(*series, chunk.series(), "chunks come for the series that was named");
        if self.names.last().is_none_or(|(last, _)| last != series) {
            self.names.push((*series, key.clone()));
        }
        let (times, expiries) = (chunk.times(), chunk.expiries());
        self.points += u64::from(chunk.count());
        self.times = (self.times.0.min(times.0), self.times.1.max(times.1));
        self.expiries = (self.expiries.0.min(expiries.0), self.expiries.1.max(expiries.1));
        self.directory.put(chunk, next_block);
    }

    /// Completes the file and gives it its name; both are durable once the folder is synced, which is left to the
    /// caller. `None`, and no file, if there was no chunk.
    pub(super) fn finish(mut self, units: &Units, facts: Facts) -> Result<Option<SegmentMeta>> {
        let (Some(first), Some(last)) = (self.names.first(), self.names.last()) else { return Ok(None) };
        let series = (first.0, last.0);
        let directory = self.output.offset();
        let pages = self.directory.finish(directory, |offset, page| self.output.place(offset).checksum(page));
        self.output.put(&self.directory.bytes)?;
        let index = encode_index(&pages);
        let index_bytes = self.put_table(&index, PAGE_INDEX_BYTES_MAX)?;
        let table = self.unit_table(units);
        let units_bytes = self.put_table(&table, UNIT_TABLE_BYTES_MAX)?;
        let names_bytes = self.put_names()?;
        let footer_offset = self.output.offset();
        let mut footer = Footer {
            directory,
            directory_bytes: self.directory.bytes.len() as u64,
            index_bytes,
            units_bytes,
            names_bytes,
            chunks: self.directory.entries,
            series: u32::try_from(self.names.len()).expect("ids are distinct numbers of 32 bits"),
            meta: SegmentMeta {
                number: self.number,
                partition: facts.partition,
                role: facts.role,
                newest: facts.newest,
                erased: facts.erased,
                points: self.points,
                bytes: 0,
                times: self.times,
                expiries: self.expiries,
                series,
            },
        };
        assert_eq!(footer.meta.kind(), self.kind, "the role fits what is stored");
        self.output.put(&footer.encode(self.output.place(footer_offset)))?;
        footer.meta.bytes = self.output.offset();
        self.output.sync()?;
        self.output.rename(&self.path)?;
        self.renamed = true;
        Ok(Some(footer.meta))
    }

    /// Appends a table with its checksum; gives its length.
    fn put_table(&mut self, table: &[u8], bytes_max: usize) -> Result<u32> {
        let bytes = table.len() + CHECKSUM_BYTES;
        if bytes > bytes_max || self.units.len() > SEGMENT_UNITS_MAX {
            let why = format!("{} units, a table of {bytes} bytes: too large for a segment", self.units.len());
            return Err(Error::new(ErrorKind::Overloaded, why));
        }
        self.output.put_summed(table)?;
        Ok(u32::try_from(bytes).expect("the maximum is below 2^32"))
    }

    /// The units in the order of this segment's numbers.
    fn unit_table(&self, units: &Units) -> Vec<u8> {
        let mut by_number: Vec<(u32, u32)> = self.units.iter().map(|(&job, &own)| (own, job)).collect();
        by_number.sort_unstable();
        let mut table = Vec::new();
        varint::put(&mut table, by_number.len() as u64);
        for (_, job) in by_number {
            varint::put_bytes(&mut table, units.get(job - 1).as_str().as_bytes());
        }
        table
    }

    /// Appends the names; gives their length.
    fn put_names(&mut self) -> Result<u64> {
        let start = self.output.offset();
        for page in names::encode(&self.names, NAMES_HEAD_BYTES) {
            let len = u32::try_from(page.len()).expect("a page is short").to_le_bytes();
            let summed = [&len[..], &page].concat();
            let checksum = self.output.place(self.output.offset()).checksum(&summed);
            self.output.put(&len)?;
            self.output.put(&checksum.to_le_bytes())?;
            self.output.put(&page)?;
        }
        Ok(self.output.offset() - start)
    }
}

impl<E: Entry> Drop for FrameWriter<'_, E> {
    fn drop(&mut self) {
        if !self.renamed {
            self.output.remove();
        }
    }
}
