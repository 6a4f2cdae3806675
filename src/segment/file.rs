//! The file of a segment, read in pieces: every piece is held against its checksum before it is used. Knows what
//! stands around chunks and names, not what they are.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::codec::Malformed;
use crate::codec::checksum::Place;
use crate::codec::varint::Reader;
use crate::env::disk::{Disk, DiskRead};
use crate::env::layout;
use crate::error::{Error, ErrorKind, Result};
use crate::model::limits::{OPEN_SEGMENTS_MAX, SEGMENT_UNITS_MAX, UNIT_BYTES_MAX};
use crate::model::packed::Units;
use crate::model::point::Unit;
use crate::model::segment::SegmentMeta;
use crate::segment::format::{
    BadHeader, CHECKSUM_BYTES, FILE_HEADER_BYTES, FOOTER_END_BYTES, Footer, Page, check_file_header, decode_index,
};

/// The file that the manifest describes by `meta`.
pub(super) struct SegmentFile {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    lineage: [u8; 16],
    pub(super) meta: SegmentMeta,
    /// `None` until the next read, or if too many others are open.
    open: Mutex<Option<Kept>>,
}

/// Files of segments that are kept open, in all volumes of the process.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// A file that stays open between reads.
struct Kept(Arc<dyn DiskRead>);

impl Kept {
    fn new(file: &Arc<dyn DiskRead>) -> Option<Self> {
        let more = |open: usize| (open < OPEN_SEGMENTS_MAX).then_some(open + 1);
        OPEN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok().then(|| Self(file.clone()))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is read when a segment is opened.
pub(super) struct Frame {
    pub(super) footer: Footer,
    pub(super) pages: Vec<Page>,
    pub(super) units: Units,
}

impl SegmentFile {
    /// A file in the folder of segments.
    pub(super) fn new(disk: Arc<dyn Disk>, folder: &Path, lineage: [u8; 16], meta: SegmentMeta) -> Self {
        let path = folder.join(layout::segment_name(meta.number, meta.kind()));
        Self { disk, path, lineage, meta, open: Mutex::new(None) }
    }

    /// Reads what stands around chunks and names, and holds it against what the manifest says.
    pub(super) fn read_frame(&self) -> Result<Frame> {
        let len = self.file()?.len().map_err(|error| self.io(error))?;
        let ends = (FILE_HEADER_BYTES + FOOTER_END_BYTES) as u64;
        if len != self.meta.bytes || len < ends {
            return Err(self.corrupt(len, &format!("the file ends here, not at {}", self.meta.bytes)));
        }
        let header = self.read_bytes(0, FILE_HEADER_BYTES)?.try_into().expect("as many bytes as asked for");
        check_file_header(header, self.lineage, self.meta.number, self.meta.kind()).map_err(|bad| match bad {
            BadHeader::Newer(version) => {
                let why = format!("{} is of segment format {version}", self.name());
                Error::new(ErrorKind::Unsupported, why)
            }
            BadHeader::Damaged(why) => self.corrupt(0, why),
        })?;
        let end_at = len - FOOTER_END_BYTES as u64;
        let end = self.read_bytes(end_at, FOOTER_END_BYTES)?.try_into().expect("as many bytes as asked for");
        let footer_len = Footer::len(end).map_err(|malformed| self.corrupt(end_at, malformed.0))?;
        let at = end_at.checked_sub(footer_len as u64).filter(|&at| at >= FILE_HEADER_BYTES as u64);
        let at = at.ok_or_else(|| self.corrupt(end_at, "the footer is longer than the file"))?;
        let footer = self.read_summed(at, footer_len + FOOTER_END_BYTES - CHECKSUM_BYTES)?;
        let footer =
            Footer::decode(&footer, self.meta.number, len).map_err(|malformed| self.corrupt(at, malformed.0))?;
        if footer.meta != self.meta {
            let why = format!("the file is of {:?}, the manifest says {:?}", footer.meta, self.meta);
            return Err(self.corrupt(at, &why));
        }
        let (at, bytes) = (footer.index(), footer.index_bytes as usize);
        let index = self.read_summed(at, bytes - CHECKSUM_BYTES)?;
        let pages = decode_index(&index, &footer).map_err(|malformed| self.corrupt(at, malformed.0))?;
        let (at, bytes) = (footer.units(), footer.units_bytes as usize);
        let units = self.read_summed(at, bytes - CHECKSUM_BYTES)?;
        let units = decode_units(&units).map_err(|malformed| self.corrupt(at, malformed.0))?;
        Ok(Frame { footer, pages, units })
    }

    /// Reads bytes whose checksum follows them.
    pub(super) fn read_summed(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = self.read_bytes(offset, len + CHECKSUM_BYTES)?;
        let stored = bytes.split_off(len).try_into().expect("as many bytes as asked for");
        self.check_sum(offset, &bytes, stored)?;
        Ok(bytes)
    }

    pub(super) fn check_sum(&self, offset: u64, bytes: &[u8], stored: [u8; CHECKSUM_BYTES]) -> Result<()> {
        let checksum = Place { lineage: self.lineage, file: self.meta.number, offset }.checksum(bytes);
        match u32::from_le_bytes(stored) {
            stored if stored == checksum => Ok(()),
            stored => Err(self.corrupt(offset, &format!("checksum {checksum:08x}, stored {stored:08x}"))),
        }
    }

    /// Reads bytes. All lengths that lead here have a maximum in `limits`.
    pub(super) fn read_bytes(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.file()?.read_at(&mut bytes, offset).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => self.corrupt(offset, "the file ends too early"),
            _ => self.io(error),
        })?;
        Ok(bytes)
    }

    fn file(&self) -> Result<Arc<dyn DiskRead>> {
        let mut open = self.open.lock();
        if let Some(Kept(file)) = &*open {
            return Ok(file.clone());
        }
        let file: Arc<dyn DiskRead> = self.disk.open(&self.path).map_err(|error| self.io(error))?.into();
        *open = Kept::new(&file);
        Ok(file)
    }

    pub(super) fn corrupt(&self, offset: u64, why: &str) -> Error {
        Error::corrupt(format!("{} at {offset}: {why}", self.name()))
    }

    fn io(&self, error: std::io::Error) -> Error {
        Error::io(format_args!("read {}", self.path.display()), error)
    }

    fn name(&self) -> String {
        format!("{}/{}", layout::SEGMENTS, layout::segment_name(self.meta.number, self.meta.kind()))
    }
}

fn decode_units(bytes: &[u8]) -> std::result::Result<Units, Malformed> {
    let mut reader = Reader::new(bytes);
    let mut units = Units::default();
    let count = reader.count(1)?;
    if count > SEGMENT_UNITS_MAX {
        return Err(Malformed("there are more units than a segment may have"));
    }
    for number in 0..count {
        let bytes = reader.bytes()?;
        let text = std::str::from_utf8(bytes).map_err(|_| Malformed("a unit is not UTF-8"))?;
        if bytes.len() > UNIT_BYTES_MAX || units.number_of(&Unit::from(text)) as usize != number {
            return Err(Malformed("a unit is too long, or there twice"));
        }
    }
    if reader.is_empty() { Ok(units) } else { Err(Malformed("there are bytes behind the last unit")) }
}
