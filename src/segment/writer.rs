//! Writing a segment: ordered points in, a whole file out. Memory is bounded by the points of two chunks, a buffer,
//! and what the directory and the names take.

use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;

use crate::codec::names;
use crate::codec::points::{self, Column, Columns, Shape};
use crate::codec::stats::Stats;
use crate::codec::varint;
use crate::env::disk::{Disk, temporary};
use crate::env::layout;
use crate::error::{Error, ErrorKind, Result};
use crate::model::durability::Sequence;
use crate::model::limits::{
    CHUNK_POINTS_MAX, DIRECTORY_PAGE_BYTES_MAX, PAGE_INDEX_BYTES_MAX, SEGMENT_UNITS_MAX, UNIT_TABLE_BYTES_MAX,
};
use crate::model::packed::{ALWAYS_DEAD, NEVER, PackedPoint, Units};
use crate::model::segment::{Partition, Role, SegmentMeta};
use crate::model::series::{SeriesId, SeriesKey};
use crate::segment::blocks::Output;
use crate::segment::chunk::{Chunk, Place, Short};
use crate::segment::cut;
use crate::segment::entry::{self, Before};
use crate::segment::format::{CHECKSUM_BYTES, Footer, NAMES_HEAD_BYTES, Page, encode_file_header, encode_index};

/// Points that are gathered before chunks are cut off: enough to see where the second one ends.
const GATHERED_POINTS: usize = 2 * CHUNK_POINTS_MAX;
/// A page of the directory is closed once it is this long; no entry is longer than what is left to the longest page.
const PAGE_BYTES: usize = DIRECTORY_PAGE_BYTES_MAX * 3 / 4;

/// Writes one segment. Dropped before [`SegmentWriter::finish`], it takes its file with it.
///
/// After an error it is good for nothing but dropping.
pub(crate) struct SegmentWriter<'d> {
    output: Output<'d>,
    /// The name that the file will have.
    path: PathBuf,
    number: u64,
    /// Span of a partition, in ms.
    span: i64,
    /// The series that points come for.
    series: Option<(SeriesId, SeriesKey)>,
    /// Its points that are in no chunk yet.
    gathered: Vec<PackedPoint>,
    /// Its time of the last point, in ms.
    last_time: Option<i64>,
    /// Its window, once there were points to tell it from.
    window: Option<i64>,
    /// Numbers that the job's units have here.
    units: FxHashMap<u32, u32>,
    /// Reused for every chunk.
    columns: Columns,
    directory: DirectoryWriter,
    names: Vec<(SeriesId, SeriesKey)>,
    points: u64,
    times: (i64, i64),
    expiries: (i64, i64),
    broken: bool,
    renamed: bool,
}

/// What a segment cannot tell from its points.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) partition: Partition,
    pub(crate) role: Role,
    pub(crate) newest: Sequence,
    pub(crate) erased: Sequence,
}

impl<'d> SegmentWriter<'d> {
    /// Starts segment `number` in the folder of segments, under a temporary name. `span` is that of a partition, in ms.
    pub(crate) fn create(disk: &'d dyn Disk, folder: &Path, lineage: [u8; 16], number: u64, span: i64) -> Result<Self> {
        let path = folder.join(layout::segment_name(number));
        let mut writer = Self {
            output: Output::create(disk, temporary(&path), lineage, number)?,
            path,
            number,
            span,
            series: None,
            gathered: Vec::new(),
            last_time: None,
            window: None,
            units: FxHashMap::default(),
            columns: Columns::default(),
            directory: DirectoryWriter::default(),
            names: Vec::new(),
            points: 0,
            times: (i64::MAX, i64::MIN),
            expiries: (NEVER, ALWAYS_DEAD),
            broken: false,
            renamed: false,
        };
        writer.output.put(&encode_file_header(lineage, number))?;
        Ok(writer)
    }

    /// The series that the next points are of; ids ascend. One without points leaves no trace.
    pub(crate) fn begin_series(&mut self, id: SeriesId, key: &SeriesKey) -> Result<()> {
        assert!(self.series.as_ref().is_none_or(|(before, _)| *before < id), "series come in order of their ids");
        self.cut(0)?;
        self.series = Some((id, key.clone()));
        (self.last_time, self.window) = (None, None);
        Ok(())
    }

    /// Adds a point; times ascend. Its unit is a number of the `units` that [`SegmentWriter::finish`] will be given.
    pub(crate) fn push(&mut self, point: PackedPoint) -> Result<()> {
        assert!(self.last_time.is_none_or(|last| last < point.time), "points come in order of their times");
        self.last_time = Some(point.time);
        let unit = if point.unit == 0 { 0 } else { self.own_unit(point.unit) };
        self.gathered.push(PackedPoint { unit, ..point });
        if self.gathered.len() >= GATHERED_POINTS { self.cut(CHUNK_POINTS_MAX) } else { Ok(()) }
    }

    /// Completes the file and gives it its name; both are durable once the folder is synced, which is left to the
    /// caller. `None`, and no file, if there was no point.
    pub(crate) fn finish(mut self, units: &Units, facts: Facts) -> Result<Option<SegmentMeta>> {
        self.cut(0)?;
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
            chunks: self.directory.chunks,
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
        self.output.put(&footer.encode(self.output.place(footer_offset)))?;
        footer.meta.bytes = self.output.offset();
        self.output.sync()?;
        self.output.rename(&self.path)?;
        self.renamed = true;
        Ok(Some(footer.meta))
    }

    /// The number that a unit of the job has in this segment, plus one.
    fn own_unit(&mut self, unit: u32) -> u32 {
        let next = u32::try_from(self.units.len()).expect("there are no more units than points") + 1;
        *self.units.entry(unit).or_insert(next)
    }

    /// Cuts off chunks until at most `left` points are gathered.
    fn cut(&mut self, left: usize) -> Result<()> {
        assert!(!self.broken, "nothing is written after an error");
        let gathered = std::mem::take(&mut self.gathered);
        let mut rest = &gathered[..];
        while rest.len() > left {
            let window = *self.window.get_or_insert_with(|| cut::window_of(rest, self.span));
            let (chunk, behind) = rest.split_at(cut::chunk_len(rest, window));
            self.put_chunk(chunk).inspect_err(|_| self.broken = true)?;
            rest = behind;
        }
        let len = rest.len();
        let mut gathered = gathered;
        gathered.drain(..gathered.len() - len);
        self.gathered = gathered;
        Ok(())
    }

    fn put_chunk(&mut self, chunk: &[PackedPoint]) -> Result<()> {
        let (series, key) = self.series.as_ref().expect("points come after their series was named");
        let series = *series;
        if self.names.last().is_none_or(|(last, _)| *last != series) {
            self.names.push((series, key.clone()));
        }
        let shape = Shape::of(chunk);
        assert_eq!(shape.check(), Ok(()), "only storable points are pushed");
        points::encode(&shape, chunk, &mut self.columns);
        let next_block = self.output.offset();
        let mut places = [Place::Nowhere; Column::ALL.len()];
        for column in Column::ALL {
            let bytes = &self.columns[column as usize];
            if shape.len_of(column) == 0 {
                continue;
            }
            // Times are shared between series, so they are never in the entry.
            places[column as usize] = match Short::new(bytes) {
                Some(short) if column != Column::Times => Place::Here(short),
                _ => self.output.put_block(bytes)?,
            };
        }
        let expiries = shape.expiries();
        self.points += chunk.len() as u64;
        self.times = (self.times.0.min(shape.first), self.times.1.max(shape.last));
        self.expiries = (self.expiries.0.min(expiries.0), self.expiries.1.max(expiries.1));
        self.directory.put(&Chunk { series, stats: Stats::of(chunk), shape, places }, next_block);
        Ok(())
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

impl Drop for SegmentWriter<'_> {
    fn drop(&mut self) {
        if !self.renamed {
            self.output.remove();
        }
    }
}

/// The directory in memory, until the blocks before it are written.
#[derive(Default)]
struct DirectoryWriter {
    /// Pages with room for their checksums.
    bytes: Vec<u8>,
    /// Their offsets count from the start of the directory until it is known.
    pages: Vec<Page>,
    /// `None` where a page ends.
    before: Option<Before>,
    chunks: u64,
}

impl DirectoryWriter {
    /// Adds a chunk whose first new block, if it has one, is at `next_block`.
    fn put(&mut self, chunk: &Chunk, next_block: u64) {
        let first = (chunk.series, chunk.shape.first);
        let before = self.before.get_or_insert_with(|| {
            let offset = self.bytes.len() as u64;
            self.pages.push(Page { first, offset, len: 0, blocks: next_block });
            Before::page(first, next_block)
        });
        entry::encode(chunk, before, &mut self.bytes);
        self.chunks += 1;
        let start = self.pages.last().map_or(0, |page| page.offset);
        if self.bytes.len() as u64 - start >= PAGE_BYTES as u64 {
            self.close_page();
        }
    }

    fn close_page(&mut self) {
        if self.before.take().is_some() {
            self.bytes.extend([0; CHECKSUM_BYTES]);
            let page = self.pages.last_mut().expect("a page that is closed was opened");
            page.len = self.bytes.len() - usize::try_from(page.offset).expect("the directory fits memory");
        }
    }

    /// Closes the last page and sums all of them, now that the directory's offset is known.
    fn finish(&mut self, directory: u64, checksum: impl Fn(u64, &[u8]) -> u32) -> Vec<Page> {
        self.close_page();
        let mut pages = std::mem::take(&mut self.pages);
        let mut rest = &mut self.bytes[..];
        for page in &mut pages {
            let (bytes, behind) = rest.split_at_mut(page.len);
            let (content, sum) = bytes.split_at_mut(page.len - CHECKSUM_BYTES);
            page.offset += directory;
            sum.copy_from_slice(&checksum(page.offset, content).to_le_bytes());
            rest = behind;
        }
        pages
    }
}
