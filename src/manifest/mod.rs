//! The manifest: what is true of a volume. An edit becomes true as a whole, by replacing MANIFEST, or not at all.
//! Knows nothing of what is in the segments it lists. Format: docs/format.md, MANIFEST.

mod format;
#[cfg(test)]
mod tests;
mod version;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::env::disk::{Disk, DiskRead, parent, temporary};
use crate::env::layout;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::format::BadCopy;
use crate::model::limits::{DELETIONS_MAX, SEGMENTS_MAX};
use crate::model::time::Timestamp;

pub(crate) use version::{Edit, Flushed, StoredCatalog, Version};

/// The writing end of MANIFEST.
///
/// An error of kind `Failed` is final: what MANIFEST says is not known, and nothing more is committed until the volume
/// is opened anew. After any other error everything is as it was before the call, and a later commit may succeed.
#[derive(Debug)]
pub(crate) struct Manifest {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    lineage: [u8; 16],
    version: Arc<Version>,
    /// Length of the file.
    bytes: u64,
    /// The next number that [`Self::take_number`] gives.
    next_number: u64,
    /// Why nothing is committed any more.
    failed: Option<Error>,
}

impl Manifest {
    /// Makes the manifest of a volume in which nothing has been stored, durably. One that is there is replaced: the
    /// caller knows that the volume is new.
    pub(crate) fn create(disk: Arc<dyn Disk>, dir: &Path, lineage: [u8; 16], horizon: Timestamp) -> Result<Self> {
        let mut manifest = Self::of(disk, dir, lineage, Version::new(horizon));
        manifest.write(&format::encode(&manifest.version, lineage))?;
        Ok(manifest)
    }

    /// Reads what is true of a volume; also tells of damage that did no harm. Nothing is changed: the next commit
    /// writes both copies anew. The caller has synced the folder, so that the name that is read here is durable.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path, lineage: [u8; 16]) -> Result<(Self, Vec<String>)> {
        let path = dir.join(layout::MANIFEST);
        let file = match disk.open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let why = format!("{} is missing: restore MANIFEST from a backup", path.display());
                return Err(Error::corrupt(why));
            }
            Err(error) => return Err(Error::io(format_args!("open {}", path.display()), error)),
        };
        let (version, damage) = read(&*file, &path, lineage)?;
        let bytes = file.len().unwrap_or(0);
        Ok((Self { bytes, ..Self::of(disk, dir, lineage, version) }, damage))
    }

    /// The file that says this, for where nothing has to be replaced.
    pub(crate) fn encode(version: &Version, lineage: [u8; 16]) -> Vec<u8> {
        format::encode(version, lineage)
    }

    fn of(disk: Arc<dyn Disk>, dir: &Path, lineage: [u8; 16], version: Version) -> Self {
        let next_number = version.next_segment;
        Self {
            disk,
            path: dir.join(layout::MANIFEST),
            lineage,
            version: Arc::new(version),
            bytes: 0,
            next_number,
            failed: None,
        }
    }

    /// What is true now.
    pub(crate) fn version(&self) -> &Arc<Version> {
        &self.version
    }

    /// Length of the file, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads the file and holds it against what is known to be true.
    pub(crate) fn verify(&self) -> Result<()> {
        let file = self.disk.open(&self.path);
        let file = file.map_err(|error| Error::io(format_args!("open {}", self.path.display()), error))?;
        let (version, damage) = read(&*file, &self.path, self.lineage)?;
        match damage.into_iter().next() {
            Some(note) => Err(Error::corrupt(note)),
            None if version != *self.version => {
                Err(Error::corrupt(format!("{} says something else than it should", self.path.display())))
            }
            None => Ok(()),
        }
    }

    /// A number for a new segment, never given before in this run. One whose segment was never committed may be given
    /// again in the next run, since what such a job has left is swept when the volume is opened.
    pub(crate) fn take_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number - 1
    }

    /// Makes an edit true, durably.
    pub(crate) fn commit(&mut self, edit: &Edit) -> Result<Arc<Version>> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        assert!(
            edit.add.iter().all(|meta| meta.number < self.next_number),
            "a new segment has a number that was taken"
        );
        let version = self.version.apply(edit);
        check_counts(&version)?;
        self.write(&format::encode(&version, self.lineage))?;
        self.version = Arc::new(version);
        Ok(self.version.clone())
    }

    /// Replaces the file.
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let draft = temporary(&self.path);
        let written = self.disk.create(&draft).and_then(|mut file| {
            file.write_at(bytes, 0)?;
            file.sync()
        });
        if let Err(error) = written {
            // The draft was never true; what is left of it is swept at the next open.
            if let Err(left) = self.disk.remove(&draft) {
                tracing::debug!(file = %draft.display(), error = %left, "a draft stays until the next open");
            }
            return Err(Error::io(format_args!("write {}", draft.display()), error));
        }
        self.disk.rename(&draft, &self.path).map_err(|error| self.fail("replace", error))?;
        // IMPORTANT: the folder is synced before the edit counts, or the old file may come back with the power, after
        // the segments and logs that only it names are gone.
        self.disk.sync_dir(parent(&self.path)).map_err(|error| self.fail("sync the folder of", error))?;
        self.bytes = bytes.len() as u64;
        Ok(())
    }

    /// Ends committing for good.
    fn fail(&mut self, what: &str, error: io::Error) -> Error {
        let cause = Error::io(format_args!("{what} {}", self.path.display()), error);
        tracing::error!(error = %cause, "the manifest failed: no more commits until the database is opened anew");
        let read_only = "read-only after an I/O error, open the database anew";
        let error = Error::because(ErrorKind::Failed, read_only, &cause);
        self.failed = Some(error.clone());
        error
    }
}

/// Refuses what could not be read back.
fn check_counts(version: &Version) -> Result<()> {
    let counts =
        [("segments", version.segments.len(), SEGMENTS_MAX), ("deletions", version.deletions.len(), DELETIONS_MAX)];
    for (what, count, count_max) in counts {
        if count > count_max {
            let why = format!("{count} {what}, at most {count_max} fit: wait for compaction");
            return Err(Error::new(ErrorKind::Overloaded, why));
        }
    }
    Ok(())
}

/// What the file says, by the first copy that is whole, and what is wrong with the rest.
fn read(file: &dyn DiskRead, path: &Path, lineage: [u8; 16]) -> Result<(Version, Vec<String>)> {
    let len = file.len().map_err(|error| Error::io(format_args!("read {}", path.display()), error))?;
    let mut damage = Vec::new();
    let (mut found, mut unreadable) = (None, None);
    // The second copy starts in the middle, unless the first one is whole and knows better.
    let (mut offset, mut second) = (0, len / 2);
    for _ in 0..2 {
        match read_copy(file, offset, len, lineage) {
            Ok((version, end)) => {
                second = end;
                found = found.or(Some(version));
            }
            Err(bad @ BadCopy::Newer(_)) => {
                return Err(Error::new(ErrorKind::Unsupported, format!("{}: {bad}", path.display())));
            }
            Err(BadCopy::Damaged(why)) => damage.push(format!("{} at {offset}: {why}", path.display())),
            Err(BadCopy::Unreadable(error)) => {
                damage.push(format!("{} at {offset}: it cannot be read: {error}", path.display()));
                unreadable = Some(error);
            }
        }
        offset = second;
    }
    if let Some(version) = found {
        if damage.is_empty() && second != len {
            damage.push(format!("{} at {second}: {} bytes too many", path.display(), len - second));
        }
        return Ok((version, damage));
    }
    // What cannot be read now may be read later: nothing is said to be damaged.
    if let Some(error) = unreadable {
        return Err(Error::io(format_args!("read {}", path.display()), error));
    }
    let why = damage.join("; ");
    Err(Error::corrupt(format!("{why}: both copies are damaged, restore MANIFEST from a backup")))
}

/// Reads the copy at an offset, and where it ends. Each is read by itself: a sector that cannot be read must not take
/// the other copy with it.
fn read_copy(
    file: &dyn DiskRead,
    offset: u64,
    len: u64,
    lineage: [u8; 16],
) -> std::result::Result<(Version, u64), BadCopy> {
    let read = |bytes: &mut [u8]| {
        file.read_at(bytes, offset).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => BadCopy::Damaged("it ends too early".to_owned()),
            _ => BadCopy::Unreadable(error),
        })
    };
    let mut header = [0; format::HEADER_BYTES];
    read(&mut header)?;
    let bytes = format::copy_bytes(&header).filter(|bytes| *bytes <= len - offset);
    let Some(bytes) = bytes else { return Err(BadCopy::Damaged("it has no end".to_owned())) };
    let mut copy = vec![0; usize::try_from(bytes).expect("the longest copy fits memory")];
    read(&mut copy)?;
    Ok((format::decode_copy(&copy, offset, lineage)?, offset + bytes))
}
