//! The seam to files: what the engine asks of a disk, and the two sequences of it that make a change durable.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A disk with files in directories. Nothing is durable before it was synced: content by [`DiskFile::sync`], names
/// (creation, renaming, removal) by [`Disk::sync_dir`] of their directory.
pub(crate) trait Disk: Send + Sync + fmt::Debug {
    /// Makes an empty file, or empties the one that is there.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Reads a whole file; one of more than `bytes_max` bytes is refused with `FileTooLarge` before it is read.
    fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>>;

    /// Opens a file for reading at offsets.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskRead>>;

    /// Names in a directory, in order.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Gives a file another name, replacing the file that had it; or a directory, with all that is in it, whose new name
    /// nothing else has.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name, which nothing else has. Content that is durable under one name is so under the other.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a name of a file; its content goes with the last one.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory that is empty.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes a directory; one that is there already is fine.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Bytes that can still be written where this directory lies.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;

    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Takes the lock on a file, making the file if needed, for as long as the hold lives.
    fn lock(&self, path: &Path) -> io::Result<Lock>;

    /// The path itself of what a path leads to.
    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_owned())
    }

    /// Whether nobody but this very disk can reach its files.
    fn is_in_memory(&self) -> bool {
        false
    }

    /// Makes a directory and those above it, durably. One that is there already may still be known to the cache only,
    /// if a process was killed right after making it, so the names of all of them are synced.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        use io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem};
        let mut path: Vec<&Path> = dir.ancestors().filter(|each| !each.as_os_str().is_empty()).collect();
        path.reverse();
        for each in path {
            let is_new = match self.list(each) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => true,
                // One that we may pass through, but not look into, is there.
                Err(error) if error.kind() != PermissionDenied => return Err(error),
                _ => false,
            };
            if is_new {
                self.create_dir(each)?;
            }
            match self.sync_dir(parent(each)) {
                // A folder that we may not open, or whose file system cannot sync one, is none that we have made
                // something in.
                Err(error)
                    if !is_new && matches!(error.kind(), PermissionDenied | InvalidInput | ReadOnlyFilesystem) => {}
                other => other?,
            }
        }
        Ok(())
    }
}

/// One file open for writing.
pub(crate) trait DiskFile: Send + fmt::Debug {
    /// Writes all bytes at an offset. On an error any part of them may have been written.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Lays out the file up to this length, so that writing there neither grows it nor runs out of space.
    fn allocate(&mut self, len: u64) -> io::Result<()>;

    /// Cuts the file to this length.
    fn truncate(&mut self, len: u64) -> io::Result<()>;

    /// Makes content and length durable. After an error nothing is known about the content any more.
    fn sync(&mut self) -> io::Result<()>;
}

/// One file open for reading. Its content does not change while it is open.
pub(crate) trait DiskRead: Send + Sync + fmt::Debug {
    /// Fills `bytes` from an offset on; `UnexpectedEof` where the file is too short.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;

    /// Length of the file.
    fn len(&self) -> io::Result<u64>;
}

/// What came of asking for a lock.
pub(crate) enum Lock {
    /// It is ours until the hold is dropped.
    Held(Box<dyn Send + Sync>),
    /// Somebody else has it; `owner` is what they wrote into the file, their process id.
    Taken {
        /// Content of the lock file.
        owner: String,
    },
}

/// The directory a path lies in.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// Suffix of files that are not yet true; swept at open.
pub(crate) const TEMPORARY: &str = ".tmp";

/// The name under which a file is written before it becomes true.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(TEMPORARY);
    name.into()
}

/// Puts a whole file in place atomically and durably: after a crash the old one or the new one is there, complete.
pub(crate) fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = temporary(path);
    let made = (|| {
        let mut file = disk.create(&draft)?;
        file.write_at(bytes, 0)?;
        file.sync()?;
        disk.rename(&draft, path)
    })();
    if let Err(error) = made {
        // The draft was never true, and its space may be what is wanted; what is left of it is swept at the next open.
        if let Err(left) = disk.remove(&draft) {
            tracing::debug!(file = %draft.display(), error = %left, "a draft stays until the next open");
        }
        return Err(error);
    }
    // IMPORTANT: the folder is synced after the rename, or the name may vanish with the power.
    disk.sync_dir(parent(path))
}
