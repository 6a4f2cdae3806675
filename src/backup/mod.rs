//! Backups: folders each of which is a whole volume at one moment, with a list of its files. Lists, reads, begins, makes
//! true and removes them; knows nothing of what is in segments and manifests. Format: docs/format.md, "Backups".

pub(crate) mod files;
mod folder;
mod format;

use std::io;
use std::path::{Path, PathBuf};

use crate::env::disk::Disk;
use crate::env::{identity, layout};
use crate::error::{Error, ErrorKind, Result};
use crate::model::durability::Sequence;
use crate::model::limits::{BACKUP_BYTES_MAX, DAMAGE_NOTES_MAX};
use crate::model::time::Timestamp;

use files::Sum;
pub(crate) use folder::{Folder, check_place, is_name, list, remove};

/// One backup: a whole volume at one moment. See [`Db::snapshot`](crate::Db::snapshot).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Backup {
    /// The folder that it is.
    pub path: PathBuf,
    /// The last batch that is in it: everything up to this one, and nothing after.
    pub sequence: Sequence,
    /// When it was taken, by the clock of its database. [`Db::open_snapshot`](crate::Db::open_snapshot) answers as of then.
    pub taken_at: Timestamp,
    /// The UUID of the volume that it is of.
    pub volume: String,
    /// The UUID of the store that its files were born in, which a volume shares with what was restored or cloned from it.
    pub lineage: String,
    /// Number of files that restoring it takes.
    pub files: u64,
    /// Bytes of those. Most of them it may share with other backups and with the database.
    pub bytes: u64,
}

/// The backups of one folder. See [`Db::backups`](crate::Db::backups).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Backups {
    /// Those that can be read, the one that was taken first first.
    pub list: Vec<Backup>,
    /// What is wrong with others: at most a hundred sentences.
    pub damaged: Vec<Error>,
}

impl Backups {
    fn note(&mut self, error: Error) {
        if self.damaged.len() < DAMAGE_NOTES_MAX {
            self.damaged.push(error);
        }
    }
}

/// What BACKUP says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Contents {
    pub(crate) volume: [u8; 16],
    pub(crate) lineage: [u8; 16],
    pub(crate) sequence: Sequence,
    pub(crate) taken_at: Timestamp,
    /// Length of windows and how long they were kept, in ms.
    pub(crate) tiers: Vec<(i64, i64)>,
    /// All other files, ascending by name.
    pub(crate) files: Vec<File>,
}

/// A file of a backup.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct File {
    /// Its path from the backup's folder, with `/`.
    pub(crate) name: String,
    pub(crate) bytes: u64,
    /// XXH64 of all of it.
    pub(crate) digest: u64,
}

impl File {
    pub(crate) fn new(name: impl Into<String>, sum: Sum) -> Self {
        Self { name: name.into(), bytes: sum.bytes, digest: sum.digest }
    }

    pub(crate) fn sum(&self) -> Sum {
        Sum { bytes: self.bytes, digest: self.digest }
    }

    /// Whether it is a segment.
    pub(crate) fn is_segment(&self) -> bool {
        self.name.starts_with(layout::SEGMENTS)
    }

    /// Refuses a file, here or restored, that is not what was written.
    pub(crate) fn check(&self, path: &Path, found: Sum) -> Result<()> {
        if found == self.sum() {
            return Ok(());
        }
        let (path, Self { bytes, digest, .. }) = (path.display(), self);
        let Sum { bytes: len, digest: of } = found;
        Err(Error::corrupt(format!("{path}: {len} bytes of digest {of:016x}, listed are {bytes} of {digest:016x}")))
    }
}

impl Contents {
    /// What the backup in a folder says of itself.
    ///
    /// # Errors
    /// `InvalidInput` if it is none; `Corruption`, `Unsupported` and `Io`.
    pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> Result<Self> {
        match Self::find(disk, dir)? {
            Some(contents) => Ok(contents),
            None => Err(Error::invalid(format!("{} is no backup: it has no {}", dir.display(), layout::BACKUP))),
        }
    }

    /// The same; none if it is no backup.
    fn find(disk: &dyn Disk, dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(layout::BACKUP);
        match disk.read(&path, BACKUP_BYTES_MAX) {
            Ok(bytes) => match format::decode(&bytes) {
                Ok(contents) => Ok(Some(contents)),
                Err((kind, why)) => Err(Error::new(kind, format!("{}: {why}", path.display()))),
            },
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                Err(Error::new(ErrorKind::Corruption, format!("{}: {error}", path.display())))
            }
            Err(error) => Err(Error::io(format_args!("read {}", path.display()), error)),
        }
    }

    /// What is told of it.
    pub(crate) fn about(&self, path: &Path) -> Backup {
        Backup {
            path: path.to_owned(),
            sequence: self.sequence,
            taken_at: self.taken_at,
            volume: identity::show(self.volume),
            lineage: identity::show(self.lineage),
            files: self.files.len() as u64,
            bytes: self.files.iter().map(|file| file.bytes).sum(),
        }
    }
}
