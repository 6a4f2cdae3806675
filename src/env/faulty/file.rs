//! Open files and held locks of the faulty disk.

use std::io;
use std::path::PathBuf;

use crate::env::disk::{DiskFile, DiskRead};
use crate::env::faulty::image::ContentOp;
use crate::env::faulty::{FaultyDisk, gone};
use crate::env::memory::copy_out;

/// A lock that is held.
pub(super) struct Hold {
    pub(super) disk: FaultyDisk,
    pub(super) path: PathBuf,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.disk.0.lock().locked.remove(&self.path);
    }
}

/// An open file, by the number of its content.
#[derive(Debug)]
pub(super) struct FaultyFile {
    pub(super) disk: FaultyDisk,
    pub(super) number: usize,
}

impl DiskFile for FaultyFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk.0.lock().change(self.number, ContentOp::Write { offset, bytes: bytes.to_vec() })
    }

    fn allocate(&mut self, len: u64) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        let offset = state.inodes.get(self.number).ok_or_else(gone)?.content.len() as u64;
        let zeros = vec![0; usize::try_from(len.saturating_sub(offset)).expect("a test's file fits memory")];
        state.change(self.number, ContentOp::Write { offset, bytes: zeros })
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).expect("a test's file fits memory");
        self.disk.0.lock().change(self.number, ContentOp::Truncate(len))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.0.lock().sync(self.number)
    }
}

impl DiskRead for FaultyFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        state.read_step()?;
        copy_out(&state.inodes.get(self.number).ok_or_else(gone)?.content, bytes, offset)
    }

    fn len(&self) -> io::Result<u64> {
        let mut state = self.disk.0.lock();
        state.read_step()?;
        Ok(state.inodes.get(self.number).ok_or_else(gone)?.content.len() as u64)
    }
}
