//! The file of a segment while it is written: everything in order through one buffer, equal blocks once.

use std::hash::Hasher;
use std::path::PathBuf;

use rustc_hash::{FxHashMap, FxHasher};

use crate::codec::checksum;
use crate::env::disk::{Disk, DiskFile, DiskRead};
use crate::error::{Error, Result};
use crate::segment::place::Place;

/// Bytes that are gathered before they are written.
const BUFFER_BYTES: usize = 256 << 10;
/// Most blocks that are remembered twice over, about 2 MiB of memory.
const REMEMBERED_MAX: usize = 16 << 10;

/// Writes a segment's bytes in order.
pub(super) struct Output<'d> {
    disk: &'d dyn Disk,
    pub(super) path: PathBuf,
    lineage: [u8; 16],
    number: u64,
    file: Box<dyn DiskFile>,
    /// Opened when the first block has to be compared with one that was written.
    written: Option<Box<dyn DiskRead>>,
    /// Bytes of the file that are not in the buffer.
    written_bytes: u64,
    buffer: Vec<u8>,
    /// Offset and length of recent blocks by hash. When `recent` is full it takes the place of `older`; a block that is
    /// found moves to `recent`. So what is used again stays, and memory is bounded.
    recent: FxHashMap<u64, (u64, usize)>,
    older: FxHashMap<u64, (u64, usize)>,
}

impl<'d> Output<'d> {
    pub(super) fn create(disk: &'d dyn Disk, path: PathBuf, lineage: [u8; 16], number: u64) -> Result<Self> {
        let file = disk.create(&path).map_err(|error| Error::io(format_args!("make {}", path.display()), error))?;
        Ok(Self {
            disk,
            path,
            lineage,
            number,
            file,
            written: None,
            written_bytes: 0,
            buffer: Vec::new(),
            recent: FxHashMap::default(),
            older: FxHashMap::default(),
        })
    }

    /// Where the next byte goes.
    pub(super) fn offset(&self) -> u64 {
        self.written_bytes + self.buffer.len() as u64
    }

    /// The place in the file with this offset.
    pub(super) fn place(&self, offset: u64) -> checksum::Place {
        checksum::Place { lineage: self.lineage, file: self.number, offset }
    }

    /// Appends bytes.
    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    /// Appends bytes and their checksum.
    pub(super) fn put_summed(&mut self, bytes: &[u8]) -> Result<()> {
        let checksum = self.place(self.offset()).checksum(bytes);
        self.buffer.extend_from_slice(bytes);
        self.put(&checksum.to_le_bytes())
    }

    /// Finds the block with these bytes, or appends it.
    pub(super) fn put_block(&mut self, bytes: &[u8]) -> Result<Place> {
        let mut hasher = FxHasher::default();
        hasher.write(bytes);
        let hash = hasher.finish();
        let known = self.recent.get(&hash).or_else(|| self.older.get(&hash)).copied();
        let (offset, len) = match known {
            Some((offset, len)) if len == bytes.len() && self.holds(offset, bytes)? => (offset, len),
            _ => {
                let offset = self.offset();
                self.put_summed(bytes)?;
                (offset, bytes.len())
            }
        };
        if self.recent.len() >= REMEMBERED_MAX && !self.recent.contains_key(&hash) {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(hash, (offset, len));
        Ok(Place::Block { offset, len })
    }

    /// Whether these bytes stand at an offset where a block starts. The buffer is written between blocks, so a block
    /// lies on one side only.
    fn holds(&mut self, offset: u64, bytes: &[u8]) -> Result<bool> {
        if let Some(start) = offset.checked_sub(self.written_bytes) {
            let start = usize::try_from(start).expect("the buffer fits memory");
            return Ok(self.buffer[start..].starts_with(bytes));
        }
        let mut there = vec![0; bytes.len()];
        let mut read = || -> std::io::Result<()> {
            let file = match self.written.take() {
                Some(file) => file,
                None => self.disk.open(&self.path)?,
            };
            file.read_at(&mut there, offset)?;
            self.written = Some(file);
            Ok(())
        };
        read().map_err(|error| Error::io(format_args!("read back {}", self.path.display()), error))?;
        Ok(there == bytes)
    }

    /// Writes what is in the buffer.
    pub(super) fn flush(&mut self) -> Result<()> {
        let written = self.file.write_at(&self.buffer, self.written_bytes);
        written.map_err(|error| Error::io(format_args!("write {}", self.path.display()), error))?;
        self.written_bytes += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Makes everything durable, but for the file's name.
    pub(super) fn sync(&mut self) -> Result<()> {
        self.flush()?;
        self.file.sync().map_err(|error| Error::io(format_args!("sync {}", self.path.display()), error))
    }

    /// Gives the file the name under which it is read.
    pub(super) fn rename(&self, path: &std::path::Path) -> Result<()> {
        let renamed = self.disk.rename(&self.path, path);
        renamed.map_err(|error| Error::io(format_args!("rename {}", self.path.display()), error))
    }

    /// Removes the file. What is left of it is swept at the next open.
    pub(super) fn remove(&self) {
        if let Err(error) = self.disk.remove(&self.path) {
            tracing::debug!(file = %self.path.display(), %error, "a draft stays until the next open");
        }
    }
}
