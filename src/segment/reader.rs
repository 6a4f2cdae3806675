//! Reading a segment: the frame when it is opened, pages and blocks when they are asked for. Every checksum is verified
//! before the bytes are used, and nothing is believed that does not fit the rest of the file.

use std::path::Path;
use std::sync::Arc;

use crate::codec::points::{self, Columns};
use crate::codec::varint::Reader;
use crate::codec::{Malformed, names};
use crate::env::disk::Disk;
use crate::error::{Error, Result};
use crate::model::limits::NAMES_PAGE_BYTES_MAX;
use crate::model::packed::{PackedPoint, Units};
use crate::model::segment::SegmentMeta;
use crate::model::series::{SeriesId, SeriesKey};
use crate::segment::chunk::{Chunk, Place};
use crate::segment::entry::{Before, EntryReader};
use crate::segment::file::{Frame, SegmentFile};
use crate::segment::format::{CHECKSUM_BYTES, NAMES_HEAD_BYTES};

/// An open segment. Its page index and units are in memory, everything else is read when it is asked for.
pub(crate) struct Segment {
    pub(super) file: SegmentFile,
    pub(super) frame: Frame,
}

impl Segment {
    /// Opens the segment that `meta` describes in the folder of segments.
    pub(crate) fn open(disk: Arc<dyn Disk>, folder: &Path, lineage: [u8; 16], meta: SegmentMeta) -> Result<Self> {
        let file = SegmentFile::new(disk, folder, lineage, meta);
        let frame = file.read_frame()?;
        Ok(Self { file, frame })
    }

    pub(crate) fn meta(&self) -> &SegmentMeta {
        &self.file.meta
    }

    /// The units that the points read from here refer to.
    pub(crate) fn units(&self) -> &Units {
        &self.frame.units
    }

    /// The chunks of a series that overlap the times from `first` to `last`, both included, in order of time.
    pub(crate) fn chunks(&self, series: SeriesId, first: i64, last: i64) -> Result<Vec<Chunk>> {
        let pages = &self.frame.pages;
        // The page before may end with a chunk that reaches into the range.
        let start = pages.partition_point(|page| page.first <= (series, first)).saturating_sub(1);
        let mut found = Vec::new();
        for (number, page) in pages.iter().enumerate().skip(start) {
            if page.first > (series, last) {
                break;
            }
            found.extend(
                self.read_page(number)?
                    .into_iter()
                    .filter(|chunk| chunk.series == series && chunk.first() <= last && first <= chunk.last()),
            );
        }
        Ok(found)
    }

    /// All chunks in order of series and time.
    pub(crate) fn directory(self: &Arc<Self>) -> Directory {
        Directory { segment: self.clone(), next_page: 0, chunks: Vec::new().into_iter() }
    }

    /// Appends the points of a chunk of this segment; none after an error.
    pub(crate) fn read(&self, chunk: &Chunk, out: &mut Vec<PackedPoint>) -> Result<()> {
        let mut columns = Columns::default();
        for (bytes, place) in columns.iter_mut().zip(&chunk.places) {
            *bytes = match place {
                Place::Nowhere => Vec::new(),
                Place::Here(short) => short.bytes().to_vec(),
                Place::Block { offset, len } => self.file.read_summed(*offset, *len)?,
            };
        }
        let start = out.len();
        let decoded = points::decode(&chunk.shape, &columns, out).and_then(|()| self.check_units(&out[start..]));
        decoded.map_err(|malformed| {
            out.truncate(start);
            self.bad_chunk(chunk, malformed.0)
        })
    }

    /// The series and their names, in order of ids.
    pub(crate) fn names(&self) -> Result<Vec<(SeriesId, SeriesKey)>> {
        let mut found = Vec::new();
        self.read_names(|id, text| {
            found.push((id, names::key_of(text)?));
            Ok(())
        })?;
        found.sort_unstable_by_key(|(id, _)| *id);
        self.check_series(found.iter().map(|(id, _)| *id))?;
        Ok(found)
    }

    /// The series, in order.
    pub(crate) fn series_ids(&self) -> Result<Vec<SeriesId>> {
        let mut found = Vec::new();
        self.read_names(|id, _| {
            found.push(id);
            Ok(())
        })?;
        found.sort_unstable();
        self.check_series(found.iter().copied())?;
        Ok(found)
    }

    /// The chunks of a page of the directory.
    pub(super) fn read_page(&self, number: usize) -> Result<Vec<Chunk>> {
        let page = self.frame.pages[number];
        let bytes = self.file.read_summed(page.offset, page.len - CHECKSUM_BYTES)?;
        self.decode_page(number, &bytes).map_err(|malformed| self.file.corrupt(page.offset, malformed.0))
    }

    fn decode_page(&self, number: usize, bytes: &[u8]) -> std::result::Result<Vec<Chunk>, Malformed> {
        const ORDER: Malformed = Malformed("a directory page is out of order");
        let page = self.frame.pages[number];
        let next = self.frame.pages.get(number + 1);
        let mut entries = EntryReader {
            reader: Reader::new(bytes),
            before: Before::page(page.first, page.blocks),
            blocks_end: next.map_or(self.frame.footer.directory, |next| next.blocks),
            units: u32::try_from(self.units().list().len()).unwrap_or(u32::MAX),
        };
        let mut chunks: Vec<Chunk> = Vec::new();
        while !entries.reader.is_empty() {
            let chunk = entries.read()?;
            let first = (chunk.series, chunk.first());
            let in_order = match chunks.last() {
                None => first == page.first,
                Some(before) => (before.series, before.last()) < first,
            };
            if !in_order {
                return Err(ORDER);
            }
            if !self.is_within(&chunk) {
                return Err(Malformed("a chunk lies outside of what the segment holds"));
            }
            chunks.push(chunk);
        }
        let end = chunks.last().map(|chunk| (chunk.series, chunk.last()));
        let is_before_next = next.is_none_or(|next| end < Some(next.first));
        if !is_before_next || entries.before.next_block != entries.blocks_end {
            return Err(ORDER);
        }
        Ok(chunks)
    }

    fn is_within(&self, chunk: &Chunk) -> bool {
        let meta = self.meta();
        let (min, max) = chunk.expiries();
        (meta.series.0..=meta.series.1).contains(&chunk.series)
            && meta.times.0 <= chunk.first()
            && chunk.last() <= meta.times.1
            && meta.expiries.0 <= min
            && max <= meta.expiries.1
    }

    fn check_units(&self, points: &[PackedPoint]) -> std::result::Result<(), Malformed> {
        let units = self.units().list().len();
        if points.iter().all(|point| point.unit as usize <= units) {
            Ok(())
        } else {
            Err(Malformed("a point's unit is not in the table"))
        }
    }

    /// Hands each series and the text of its name to `each`, page by page.
    fn read_names(&self, mut each: impl FnMut(SeriesId, &[u8]) -> std::result::Result<(), Malformed>) -> Result<()> {
        let footer = &self.frame.footer;
        let (mut at, end) = (footer.names(), footer.names() + footer.names_bytes);
        let mut left_over = footer.series;
        let mut each = |id: SeriesId, text: &[u8]| {
            left_over = left_over.checked_sub(1).ok_or(Malformed("there are more names than series"))?;
            each(id, text)
        };
        while at < end {
            let too_long = || self.file.corrupt(at, "a page of names is longer than what is left");
            let left = usize::try_from(end - at).unwrap_or(usize::MAX).min(NAMES_PAGE_BYTES_MAX);
            let body_max = left.checked_sub(NAMES_HEAD_BYTES).ok_or_else(too_long)?;
            let head = self.file.read_bytes(at, NAMES_HEAD_BYTES)?;
            let (len, stored) = head.split_at(4);
            let [len, stored] = [len, stored].map(|bytes| <[u8; 4]>::try_from(bytes).expect("two halves of 8"));
            let body = u32::from_le_bytes(len) as usize;
            if body > body_max {
                return Err(too_long());
            }
            let page = self.file.read_bytes(at + NAMES_HEAD_BYTES as u64, body)?;
            self.file.check_sum(at, &[&len[..], &page].concat(), stored)?;
            names::decode(&page, &mut each).map_err(|malformed| self.file.corrupt(at, malformed.0))?;
            at += (NAMES_HEAD_BYTES + body) as u64;
        }
        Ok(())
    }

    /// The ids, in order, are as many as there are series, each once, from the lowest to the highest.
    fn check_series(&self, ids: impl Iterator<Item = SeriesId> + Clone) -> Result<()> {
        let ends = (ids.clone().next(), ids.clone().last());
        let all = ends == (Some(self.meta().series.0), Some(self.meta().series.1));
        let count = ids.clone().count() == self.frame.footer.series as usize;
        if all && count && ids.is_sorted_by(|a, b| a < b) {
            Ok(())
        } else {
            Err(self.file.corrupt(self.frame.footer.names(), "the names are not those of the segment's series"))
        }
    }

    /// The error of a chunk whose columns are not what its entry says.
    pub(super) fn bad_chunk(&self, chunk: &Chunk, why: &str) -> Error {
        let offset = chunk.places.iter().find_map(|place| match place {
            Place::Block { offset, .. } => Some(*offset),
            _ => None,
        });
        let why = format!("series {} from {}: {why}", chunk.series.0, chunk.first());
        self.file.corrupt(offset.unwrap_or(self.frame.footer.directory), &why)
    }
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Segment").field("meta", self.meta()).finish_non_exhaustive()
    }
}

/// All chunks of a segment, one page in memory at a time. Ends after an error.
pub(crate) struct Directory {
    segment: Arc<Segment>,
    next_page: usize,
    chunks: std::vec::IntoIter<Chunk>,
}

impl Iterator for Directory {
    type Item = Result<Chunk>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(chunk) = self.chunks.next() {
                return Some(Ok(chunk));
            }
            if self.next_page >= self.segment.frame.pages.len() {
                return None;
            }
            match self.segment.read_page(self.next_page) {
                Ok(chunks) => self.chunks = chunks.into_iter(),
                Err(error) => {
                    self.next_page = usize::MAX;
                    return Some(Err(error));
                }
            }
            self.next_page += 1;
        }
    }
}
