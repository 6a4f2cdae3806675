//! A disk in memory that does something else in between: just before a file is made, as another thread might. So one
//! thread tries what otherwise takes several and luck.

use std::fmt;
use std::io;
use std::path::Path;

use parking_lot::Mutex;

use crate::env::disk::{Disk, DiskFile, DiskRead, Lock};
use crate::env::memory::MemoryDisk;

type Deed = Box<dyn FnOnce() + Send>;

/// A disk in memory, and what is to be done before a file of some folder is made.
#[derive(Default)]
pub(super) struct MeddledDisk {
    disk: MemoryDisk,
    armed: Mutex<Option<Armed>>,
}

struct Armed {
    folder: &'static str,
    /// Files that are made before it happens.
    files: u64,
    deed: Deed,
}

impl MeddledDisk {
    /// Has something done before a file is made in this folder, when so many others have been made.
    pub(super) fn arm(&self, folder: &'static str, files: u64, deed: Deed) {
        *self.armed.lock() = Some(Armed { folder, files, deed });
    }

    /// What has not been done.
    pub(super) fn disarm(&self) -> Option<Deed> {
        self.armed.lock().take().map(|armed| armed.deed)
    }

    fn meddle(&self, path: &Path) {
        let mut armed = self.armed.lock();
        let is_here = |armed: &Armed| path.parent().is_some_and(|folder| folder.ends_with(armed.folder));
        let Some(next) = armed.as_mut().filter(|armed| is_here(armed)) else { return };
        if next.files > 0 {
            next.files -= 1;
            return;
        }
        let deed = armed.take().expect("it is armed").deed;
        // What is done may make files of its own.
        drop(armed);
        deed();
    }
}

impl fmt::Debug for MeddledDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MeddledDisk")
    }
}

impl Disk for MeddledDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.meddle(path);
        self.disk.create(path)
    }

    fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
        self.disk.read(path, bytes_max)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskRead>> {
        self.disk.open(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.link(from, to)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.remove_dir(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir(dir)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.disk.free_bytes(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        self.disk.lock(path)
    }
}
