//! Reading a segment of either kind: the frame when it is opened, pages and blocks when they are asked for. Every
//! checksum is verified before the bytes are used, and nothing is believed that does not fit the rest of the file.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use crate::codec::points::{self, Column, Decoded, Kept};
use crate::codec::varint::Reader;
use crate::codec::{Malformed, names};
use crate::env::disk::Disk;
use crate::error::{Error, Result};
use crate::model::columns::Columns;
use crate::model::limits::NAMES_PAGE_BYTES_MAX;
use crate::model::packed::{PackedPoint, Units};
use crate::model::segment::{Role, SegmentMeta};
use crate::model::series::{SeriesId, SeriesKey};
use crate::segment::cache::{Cache, Item, Key};
use crate::segment::chunk::Chunk;
use crate::segment::file::{Frame, SegmentFile};
use crate::segment::format::{CHECKSUM_BYTES, NAMES_HEAD_BYTES};
use crate::segment::page::{Entry, PageReader};
use crate::segment::place::{Blocks, Place};

/// An open segment. Its page index and units are in memory, everything else is read when it is asked for.
pub(crate) struct Segment {
    pub(super) file: SegmentFile,
    pub(super) frame: Frame,
    /// Where what was read stays, and this segment's number there.
    cache: Option<(Arc<Cache>, u64)>,
}

/// What a directory page is in the cache; columns of points are what their numbers say.
const PAGE: u8 = u8::MAX;
/// What a chunk of summaries is.
pub(super) const RECORDS: u8 = u8::MAX - 1;

impl Segment {
    /// Opens the segment that `meta` describes in the folder of segments.
    pub(crate) fn open(disk: Arc<dyn Disk>, folder: &Path, lineage: [u8; 16], meta: SegmentMeta) -> Result<Self> {
        let file = SegmentFile::new(disk, folder, lineage, meta);
        let frame = file.read_frame()?;
        Ok(Self { file, frame, cache: None })
    }

    /// The same segment, which keeps what is read for questions.
    pub(crate) fn with_cache(mut self, cache: &Arc<Cache>) -> Self {
        self.cache = Some((cache.clone(), cache.admit()));
        self
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
        assert!(self.meta().holds_points(), "chunks of points are asked of points");
        self.entries(series, first, last)
    }

    /// All chunks in order of series and time.
    pub(crate) fn directory(self: &Arc<Self>) -> Directory {
        assert!(self.meta().holds_points(), "chunks of points are asked of points");
        Directory::new(self)
    }

    /// Appends the points of a chunk of this segment, read from the file; none after an error.
    pub(crate) fn read(&self, chunk: &Chunk, out: &mut Vec<PackedPoint>) -> Result<()> {
        self.append(chunk, (i64::MIN, i64::MAX), false, out)
    }

    /// The same of those between two times, both included, for who may ask again: what is decoded stays in memory.
    pub(crate) fn read_between(&self, chunk: &Chunk, times: (i64, i64), out: &mut Vec<PackedPoint>) -> Result<()> {
        self.append(chunk, times, true, out)
    }

    /// Appends times and values of a plain chunk's points between two times, both included; none after an error.
    pub(crate) fn read_values(&self, chunk: &Chunk, times: (i64, i64), out: &mut Columns) -> Result<()> {
        // Units and expiries are not asked for.
        let columns = self.columns(chunk, &[Column::Times, Column::Ints, Column::Floats], true)?;
        let start = out.len();
        points::append_values(&chunk.shape, &columns, times, out).map_err(|malformed| {
            out.truncate(start);
            self.bad_chunk(chunk, malformed.0)
        })
    }

    fn columns(&self, chunk: &Chunk, asked: &[Column], stays: bool) -> Result<Decoded> {
        let mut columns = Decoded::default();
        for &column in asked {
            let count = chunk.shape.len_of(column) as usize;
            if count > 0 {
                columns[column as usize] = Some(self.column(chunk, column, count, stays)?);
            }
        }
        Ok(columns)
    }

    fn append(&self, chunk: &Chunk, times: (i64, i64), stays: bool, out: &mut Vec<PackedPoint>) -> Result<()> {
        let columns = self.columns(chunk, &Column::ALL, stays)?;
        let start = out.len();
        let appended = points::append(&chunk.shape, &columns, times, out).and_then(|()| match chunk.shape.unit {
            points::UnitOf::All(_) => Ok(()),
            points::UnitOf::Column => self.check_units(&out[start..]),
        });
        appended.map_err(|malformed| {
            out.truncate(start);
            self.bad_chunk(chunk, malformed.0)
        })
    }

    fn column(&self, chunk: &Chunk, column: Column, count: usize, stays: bool) -> Result<Arc<Kept>> {
        let place = &chunk.places[column as usize];
        let cache = if stays { self.cached(place, column as u8) } else { None };
        if let Some(Item::Column(kept)) = cache.and_then(|(cache, key)| cache.get(key))
            && kept.len() == count
        {
            return Ok(kept);
        }
        let kept = Kept::decode(column, &self.bytes_at(place)?, count, cache.is_some());
        let kept = Arc::new(kept.map_err(|malformed| self.bad_chunk(chunk, malformed.0))?);
        if let Some((cache, key)) = cache {
            cache.put(key, Item::Column(kept.clone()), kept.bytes());
        }
        Ok(kept)
    }

    /// Where what a block says stays, if anything does.
    pub(super) fn cached(&self, place: &Place, what: u8) -> Option<(&Cache, Key)> {
        let Place::Block { offset, .. } = *place else { return None };
        self.cache.as_ref().map(|(cache, reader)| (&**cache, Key { reader: *reader, offset, what }))
    }

    /// The series and their names, in order of ids.
    pub(crate) fn names(&self) -> Result<Vec<(SeriesId, SeriesKey)>> {
        let mut found = self.new_names(|_| false)?;
        found.sort_unstable_by_key(|(id, _)| *id);
        Ok(found)
    }

    /// The series that are not known, with their names, in any order.
    pub(crate) fn new_names(&self, is_known: impl Fn(SeriesId) -> bool) -> Result<Vec<(SeriesId, SeriesKey)>> {
        let (mut ids, mut found) = (Vec::new(), Vec::new());
        self.read_names(|id, text| {
            ids.push(id);
            if !is_known(id) {
                found.push((id, names::key_of(text)?));
            }
            Ok(())
        })?;
        ids.sort_unstable();
        self.check_series(ids.iter().copied())?;
        Ok(found)
    }

    /// Number of series.
    pub(crate) fn series_len(&self) -> u64 {
        u64::from(self.frame.footer.series)
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

    /// The chunks of a series that overlap the times from `first` to `last`, both included, in order of time.
    pub(super) fn entries<E: Entry>(&self, series: SeriesId, first: i64, last: i64) -> Result<Vec<E>> {
        let pages = &self.frame.pages;
        // The page before may end with a chunk that reaches into the range.
        let start = pages.partition_point(|page| page.first <= (series, first)).saturating_sub(1);
        let mut found = Vec::new();
        for (number, page) in pages.iter().enumerate().skip(start) {
            if page.first > (series, last) {
                break;
            }
            let entries = self.page::<E>(number)?;
            let start = entries.partition_point(|entry| (entry.series(), entry.times().1) < (series, first));
            let overlap =
                entries[start..].iter().take_while(|entry| entry.series() == series && entry.times().0 <= last);
            found.extend(overlap.cloned());
        }
        Ok(found)
    }

    /// The entries of a page of the directory, from memory if they were read before.
    pub(super) fn page<E: Entry>(&self, number: usize) -> Result<Arc<[E]>> {
        let Some((cache, reader)) = &self.cache else { return self.read_page(number).map(Into::into) };
        let key = Key { reader: *reader, offset: self.frame.pages[number].offset, what: PAGE };
        if let Some(entries) = cache.get(key).and_then(E::kept) {
            return Ok(entries);
        }
        let entries: Arc<[E]> = self.read_page(number)?.into();
        cache.put(key, E::keep(&entries), size_of_val(&*entries));
        Ok(entries)
    }

    /// The entries of a page of the directory.
    pub(super) fn read_page<E: Entry>(&self, number: usize) -> Result<Vec<E>> {
        let (page, next) = (self.frame.pages[number], self.frame.pages.get(number + 1));
        let step = match self.meta().role {
            Role::Plain(_) | Role::Override => 1,
            Role::Summaries(resolution) => resolution,
        };
        let bytes = self.file.read_summed(page.offset, page.len - CHECKSUM_BYTES)?;
        let mut reader = PageReader::<E> {
            reader: Reader::new(&bytes),
            before: E::before(page.first, step),
            blocks: Blocks { next: page.blocks, end: next.map_or(self.frame.footer.directory, |next| next.blocks) },
            units: self.units_len(),
        };
        let entries = reader.read_all(page.first, next.map(|next| next.first));
        let entries = entries.map_err(|malformed| self.file.corrupt(page.offset, malformed.0))?;
        if entries.iter().all(|entry| self.is_within(entry)) {
            Ok(entries)
        } else {
            Err(self.file.corrupt(page.offset, "a chunk lies outside of what the segment holds"))
        }
    }

    fn is_within(&self, entry: &impl Entry) -> bool {
        let meta = self.meta();
        let ((first, last), (min, max)) = (entry.times(), entry.expiries());
        (meta.series.0..=meta.series.1).contains(&entry.series())
            && meta.times.0 <= first
            && last <= meta.times.1
            && meta.expiries.0 <= min
            && max <= meta.expiries.1
    }

    /// The bytes of a place, whose checksum fits.
    pub(super) fn bytes_at<'a>(&self, place: &'a Place) -> Result<Cow<'a, [u8]>> {
        Ok(match place {
            Place::Nowhere => Cow::Borrowed(&[]),
            Place::Here(short) => Cow::Borrowed(short.bytes()),
            Place::Block { offset, len } => Cow::Owned(self.file.read_summed(*offset, *len)?),
        })
    }

    /// Number of units.
    pub(super) fn units_len(&self) -> u32 {
        u32::try_from(self.units().list().len()).unwrap_or(u32::MAX)
    }

    fn check_units(&self, points: &[PackedPoint]) -> std::result::Result<(), Malformed> {
        let units = self.units_len();
        if points.iter().all(|point| point.unit <= units) {
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

    /// The error of a chunk whose bytes are not what its entry says.
    pub(super) fn bad_chunk(&self, entry: &impl Entry, why: &str) -> Error {
        let offset = entry.places().iter().find_map(|place| match place {
            Place::Block { offset, .. } => Some(*offset),
            _ => None,
        });
        let why = format!("series {} from {}: {why}", entry.series().0, entry.times().0);
        self.file.corrupt(offset.unwrap_or(self.frame.footer.directory), &why)
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if let Some((cache, reader)) = &self.cache {
            cache.forget(*reader);
        }
    }
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Segment").field("meta", self.meta()).finish_non_exhaustive()
    }
}

/// All chunks of a segment, one page in memory at a time. Ends after an error.
pub(crate) struct Directory<E = Chunk> {
    segment: Arc<Segment>,
    next_page: usize,
    entries: std::vec::IntoIter<E>,
}

impl<E> Directory<E> {
    pub(super) fn new(segment: &Arc<Segment>) -> Self {
        Self { segment: segment.clone(), next_page: 0, entries: Vec::new().into_iter() }
    }
}

impl<E: Entry> Iterator for Directory<E> {
    type Item = Result<E>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.entries.next() {
                return Some(Ok(entry));
            }
            if self.next_page >= self.segment.frame.pages.len() {
                return None;
            }
            match self.segment.read_page(self.next_page) {
                Ok(entries) => self.entries = entries.into_iter(),
                Err(error) => {
                    self.next_page = usize::MAX;
                    return Some(Err(error));
                }
            }
            self.next_page += 1;
        }
    }
}
