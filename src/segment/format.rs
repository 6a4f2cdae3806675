//! The bytes of a segment's frame: file header, page index, footer. Encoding and checking only; no file is touched
//! here.

use crate::codec::Malformed;
use crate::codec::checksum::Place;
use crate::codec::metas;
use crate::codec::varint::{self, Reader};
use crate::model::limits::{DIRECTORY_PAGE_BYTES_MAX, PAGE_INDEX_BYTES_MAX, UNIT_TABLE_BYTES_MAX};
use crate::model::segment::{SegmentKind, SegmentMeta};
use crate::model::series::SeriesId;

/// Length of a file's header: where the blocks start.
pub(super) const FILE_HEADER_BYTES: usize = 16;
/// Length of a checksum.
pub(super) const CHECKSUM_BYTES: usize = 4;
/// Length of the end of the footer, which says how long the rest of it is.
pub(super) const FOOTER_END_BYTES: usize = 8;
/// Longest footer, without its end.
pub(super) const FOOTER_BYTES_MAX: usize = 256;
/// What stands before the names of a page: their length and the page's checksum.
pub(super) const NAMES_HEAD_BYTES: usize = 8;

const MAGIC: [u8; 8] = *b"EBBTIDE\0";
/// Version of the segment's format.
const VERSION: u16 = 1;
/// Kind of file: a segment of points.
const KIND_POINTS: u16 = 4;
/// Kind of file: a segment of summaries.
const KIND_SUMMARIES: u16 = 5;

/// What went wrong with a file's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BadHeader {
    /// A newer program wrote it.
    Newer(u16),
    /// Its bytes are not what was written.
    Damaged(&'static str),
}

/// The header of segment `number` of a store and kind.
pub(super) fn encode_file_header(lineage: [u8; 16], number: u64, kind: SegmentKind) -> [u8; FILE_HEADER_BYTES] {
    let kind = match kind {
        SegmentKind::Points => KIND_POINTS,
        SegmentKind::Summaries => KIND_SUMMARIES,
    };
    let mut bytes = [0; FILE_HEADER_BYTES];
    bytes[0..8].copy_from_slice(&MAGIC);
    bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
    bytes[10..12].copy_from_slice(&kind.to_le_bytes());
    // The checksum covers all before it, and what the file is: its store and its number.
    let checksum = Place { lineage, file: number, offset: 0 }.checksum(&bytes[..12]);
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Checks that these bytes are the header that segment `number` of this store and kind must have.
pub(super) fn check_file_header(
    header: [u8; FILE_HEADER_BYTES],
    lineage: [u8; 16],
    number: u64,
    kind: SegmentKind,
) -> Result<(), BadHeader> {
    let version = u16::from_le_bytes([header[8], header[9]]);
    let checksum = Place { lineage, file: number, offset: 0 }.checksum(&header[..12]);
    if header[0..8] != MAGIC {
        Err(BadHeader::Damaged("the file does not start like one of Ebbtide's"))
    } else if header[12..16] != checksum.to_le_bytes() {
        Err(BadHeader::Damaged("the file's header does not fit its checksum, or its store and number"))
    } else if version > VERSION {
        Err(BadHeader::Newer(version))
    } else if header == encode_file_header(lineage, number, kind) {
        Ok(())
    } else {
        Err(BadHeader::Damaged("the file is of another kind"))
    }
}

/// Where a page of the directory lies, and what must be known to read it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Page {
    /// Series and first time of its first chunk.
    pub(super) first: (SeriesId, i64),
    /// Offset in the file.
    pub(super) offset: u64,
    /// Length with its checksum.
    pub(super) len: usize,
    /// Offset of the first new block of its chunks.
    pub(super) blocks: u64,
}

/// The page index, without its checksum.
pub(super) fn encode_index(pages: &[Page]) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut series, mut time, mut blocks) = (0, 0_i64, FILE_HEADER_BYTES as u64);
    for page in pages {
        varint::put(&mut out, u64::from(page.first.0.0 - series));
        varint::put_signed(&mut out, page.first.1.wrapping_sub(time));
        varint::put(&mut out, page.len as u64);
        varint::put(&mut out, page.blocks - blocks);
        (series, time, blocks) = (page.first.0.0, page.first.1, page.blocks);
    }
    out
}

/// The pages of an index. They are in order, have no gaps, and fill the directory.
pub(super) fn decode_index(bytes: &[u8], footer: &Footer) -> Result<Vec<Page>, Malformed> {
    const ORDER: Malformed = Malformed("the page index is out of order");
    let mut reader = Reader::new(bytes);
    let (mut series, mut time, mut blocks) = (0_u32, 0_i64, FILE_HEADER_BYTES as u64);
    let mut offset = footer.directory;
    let mut pages: Vec<Page> = Vec::new();
    while !reader.is_empty() {
        let more = u32::try_from(reader.number()?).map_err(|_| ORDER)?;
        series = series.checked_add(more).ok_or(ORDER)?;
        time = time.wrapping_add(reader.signed()?);
        let len = usize::try_from(reader.number()?).map_err(|_| ORDER)?;
        blocks = blocks.checked_add(reader.number()?).filter(|&blocks| blocks <= footer.directory).ok_or(ORDER)?;
        let first = (SeriesId(series), time);
        if len <= CHECKSUM_BYTES || len > DIRECTORY_PAGE_BYTES_MAX {
            return Err(Malformed("the length of a directory page is out of range"));
        }
        let starts_blocks = !pages.is_empty() || blocks == FILE_HEADER_BYTES as u64;
        if !starts_blocks || pages.last().is_some_and(|before| before.first >= first) {
            return Err(ORDER);
        }
        pages.push(Page { first, offset, len, blocks });
        offset += len as u64;
    }
    if pages.is_empty() || offset != footer.index() {
        return Err(Malformed("the pages do not fill the directory"));
    }
    Ok(pages)
}

/// What the end of the file says of the rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Footer {
    /// Offset of the directory: where the blocks end.
    pub(super) directory: u64,
    pub(super) directory_bytes: u64,
    pub(super) index_bytes: u32,
    pub(super) units_bytes: u32,
    pub(super) names_bytes: u64,
    pub(super) chunks: u64,
    /// Number of series.
    pub(super) series: u32,
    pub(super) meta: SegmentMeta,
}

impl Footer {
    /// Offset of the page index.
    pub(super) fn index(&self) -> u64 {
        self.directory + self.directory_bytes
    }

    /// Offset of the units.
    pub(super) fn units(&self) -> u64 {
        self.index() + u64::from(self.index_bytes)
    }

    /// Offset of the names.
    pub(super) fn names(&self) -> u64 {
        self.units() + u64::from(self.units_bytes)
    }

    pub(super) fn encode(&self, place: Place) -> Vec<u8> {
        let mut out = Vec::new();
        for number in [
            self.directory,
            self.directory_bytes,
            u64::from(self.index_bytes),
            u64::from(self.units_bytes),
            self.names_bytes,
            self.chunks,
            u64::from(self.series),
        ] {
            varint::put(&mut out, number);
        }
        metas::encode(&[self.meta], &mut out);
        let len = u32::try_from(out.len()).expect("a footer is short");
        out.extend_from_slice(&len.to_le_bytes());
        let checksum = place.checksum(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }

    /// Length of a footer without its end, by these bytes from there. Nothing is checked yet but that it can be.
    pub(super) fn len(end: [u8; FOOTER_END_BYTES]) -> Result<usize, Malformed> {
        let len = u32::from_le_bytes([end[0], end[1], end[2], end[3]]) as usize;
        if len <= FOOTER_BYTES_MAX { Ok(len) } else { Err(Malformed("the footer is too long")) }
    }

    /// The footer of segment `number` in bytes whose checksum fits, the length behind it included.
    pub(super) fn decode(bytes: &[u8], number: u64, file_bytes: u64) -> Result<Self, Malformed> {
        let Some((content, _)) = bytes.split_last_chunk::<CHECKSUM_BYTES>() else {
            return Err(Malformed("the footer is too short"));
        };
        let mut reader = Reader::new(content);
        let short = |number: u64| u32::try_from(number).map_err(|_| Malformed("a length is out of range"));
        let (directory, directory_bytes) = (reader.number()?, reader.number()?);
        let (index_bytes, units_bytes) = (short(reader.number()?)?, short(reader.number()?)?);
        let (names_bytes, chunks, series) = (reader.number()?, reader.number()?, short(reader.number()?)?);
        let metas = metas::decode(reader.rest())?;
        let [meta] = metas[..] else { return Err(Malformed("the footer is not of one segment")) };
        if meta.number != number || meta.bytes != 0 {
            return Err(Malformed("the footer is of another segment"));
        }
        let meta = SegmentMeta { bytes: file_bytes, ..meta };
        let footer_bytes = (content.len() + FOOTER_END_BYTES) as u64;
        let footer = Self { directory, directory_bytes, index_bytes, units_bytes, names_bytes, chunks, series, meta };
        footer.check_lengths(footer_bytes)?;
        Ok(footer)
    }

    /// The parts fill the file, and those that are read as a whole are not too long.
    fn check_lengths(&self, footer_bytes: u64) -> Result<(), Malformed> {
        let parts = [
            self.directory,
            self.directory_bytes,
            u64::from(self.index_bytes),
            u64::from(self.units_bytes),
            self.names_bytes,
            footer_bytes,
        ];
        let whole = parts.iter().try_fold(0_u64, |sum, &part| sum.checked_add(part));
        if whole != Some(self.meta.bytes) || self.directory < FILE_HEADER_BYTES as u64 {
            return Err(Malformed("the parts do not fill the file"));
        }
        let (index, units) = (self.index_bytes as usize, self.units_bytes as usize);
        if !(CHECKSUM_BYTES..=PAGE_INDEX_BYTES_MAX).contains(&index)
            || !(CHECKSUM_BYTES..=UNIT_TABLE_BYTES_MAX).contains(&units)
        {
            return Err(Malformed("the length of a table is out of range"));
        }
        Ok(())
    }
}
