//! Where books and backups are: a book in the folder of its project, or in memory only; backups in memory. Knows the
//! layout; decides nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::env::disk::Disk as _;
use crate::env::layout::POLICIES;
use crate::env::memory::MemoryDisk;
use crate::env::real::RealDisk;
use crate::error::{Error, ErrorKind, Result};
use crate::policy::book::Book;
use crate::policy::file::{Found, PolicyFile};
use crate::server::projects::{ProjectId, Projects};

/// Most bytes of all backups in memory.
const BYTES_MAX: usize = 1 << 30;

/// The files of backups in memory. Nobody changes what a backup holds, so copies of the map share them.
pub(super) type Files = BTreeMap<(ProjectId, String), Arc<MemoryDisk>>;

/// The way to the files of all projects.
#[derive(Debug)]
pub(super) struct Shelf {
    projects: Arc<Projects>,
    files: Mutex<Files>,
}

impl Shelf {
    pub(super) fn new(projects: Arc<Projects>) -> Self {
        Self { projects, files: Mutex::default() }
    }

    /// The projects that have a book on disk.
    pub(super) fn projects(&self) -> Result<Vec<ProjectId>> {
        let mut found = Vec::new();
        for (project, dir) in self.projects.folders()? {
            let names =
                RealDisk.list(&dir).map_err(|error| Error::io(format_args!("list {}", dir.display()), error))?;
            if names.iter().any(|name| POLICIES.contains(&name.as_str())) {
                found.push(project);
            }
        }
        Ok(found)
    }

    /// What the files of a project say; nothing in memory.
    pub(super) fn open_book(&self, project: &ProjectId) -> Result<(Option<PolicyFile>, Found)> {
        let Some(dir) = self.projects.folder(project) else {
            return Ok((None, Found { book: None, damage: Vec::new() }));
        };
        PolicyFile::open(Arc::new(RealDisk), &dir).map(|(file, found)| (Some(file), found))
    }

    /// Makes the folder of a project.
    pub(super) fn prepare(&self, project: &ProjectId) -> Result<()> {
        let Some(dir) = self.projects.folder(project) else { return Ok(()) };
        RealDisk.create_dir_all(&dir).map_err(|error| Error::io(format_args!("make {}", dir.display()), error))
    }

    /// Whether a volume holds anything that can be stored.
    pub(super) fn has_database(&self, project: &ProjectId, volume: &str) -> Result<bool> {
        Ok(self.projects.volume_id(project)? == volume && self.projects.open_existing(project)?.is_some())
    }

    /// Makes a backup of the project's own volume, as it is at one moment, and gives its length in bytes.
    ///
    /// # Errors
    /// `Unsupported` on disk; `NoSpace` when all backups would be more than memory is given for them.
    pub(super) fn make(&self, project: &ProjectId, backup: &str) -> Result<u64> {
        let Some(copy) = self.projects.copy_of(project)? else { return Ok(0) };
        let mut files = self.files.lock();
        let others: usize = files.values().map(|files| files.bytes()).sum();
        let bytes = copy.bytes();
        if others + bytes > BYTES_MAX {
            let why = format!("all backups in memory have at most {BYTES_MAX} bytes");
            return Err(Error::new(ErrorKind::NoSpace, why));
        }
        files.insert((project.clone(), backup.to_owned()), Arc::new(copy));
        Ok(bytes as u64)
    }

    /// Removes a backup.
    pub(super) fn remove(&self, project: &ProjectId, backup: &str) {
        self.files.lock().remove(&(project.clone(), backup.to_owned()));
    }

    /// Strikes from a book what was not made to its end before the server stopped.
    pub(super) fn reconcile(project: &ProjectId, book: &mut Book) {
        for backup in book.backups.iter().filter(|backup| !backup.whole) {
            tracing::warn!(%project, backup = backup.id, volume = backup.volume, "a backup was interrupted and is gone");
        }
        book.backups.retain(|backup| backup.whole);
    }

    /// The files of all backups.
    pub(super) fn copy(&self) -> Files {
        self.files.lock().clone()
    }

    /// Puts files in place of all that there are.
    pub(super) fn replace(&self, files: Files) {
        *self.files.lock() = files;
    }
}
