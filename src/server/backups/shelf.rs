//! Where books and backups are: in the folder of their project, or in memory only. Knows the layout; decides nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::backup;
use crate::env::disk::Disk;
use crate::env::layout::POLICIES;
use crate::env::memory::MemoryDisk;
use crate::error::{Error, ErrorKind, Result};
use crate::policy::book::{Backup, Book};
use crate::policy::file::{Found, PolicyFile};
use crate::server::projects::{BACKUPS, ProjectId, Projects};

/// Most bytes of all backups in memory.
const BYTES_MAX: usize = 1 << 30;

/// The way to the files of all projects.
#[derive(Debug)]
pub(super) struct Shelf {
    projects: Arc<Projects>,
    /// The backups of projects that are in memory. Nobody changes what a backup holds, so copies share its files.
    memory: Mutex<Arc<MemoryDisk>>,
}

impl Shelf {
    pub(super) fn new(projects: Arc<Projects>) -> Self {
        Self { projects, memory: Mutex::default() }
    }

    /// The projects that have a book or backups on disk.
    pub(super) fn projects(&self) -> Result<Vec<ProjectId>> {
        let (disk, mut found) = (self.projects.disk(), Vec::new());
        let is_ours = |name: &String| name == BACKUPS || POLICIES.contains(&name.as_str());
        for (project, dir) in self.projects.folders()? {
            let names = disk.list(&dir).map_err(|error| Error::io(format_args!("list {}", dir.display()), error))?;
            if names.iter().any(is_ours) {
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
        PolicyFile::open(self.projects.disk(), &dir).map(|(file, found)| (Some(file), found))
    }

    /// Makes the folder of a project.
    pub(super) fn prepare(&self, project: &ProjectId) -> Result<()> {
        let Some(dir) = self.projects.folder(project) else { return Ok(()) };
        let disk = self.projects.disk();
        disk.create_dir_all(&dir).map_err(|error| Error::io(format_args!("make {}", dir.display()), error))
    }

    /// Makes a backup of a volume and gives its length in bytes; none of a volume that has no database.
    ///
    /// # Errors
    /// What [`crate::Db::snapshot`] gives; `NoSpace` when all backups would be more than memory is given for them.
    pub(super) fn make(&self, project: &ProjectId, volume: &str, backup: &str) -> Result<Option<u64>> {
        let (disk, dir) = self.place(project);
        let target = dir.join(backup);
        let made = if self.projects.volume_id(project)? == volume {
            let Some(db) = self.projects.open_existing(project)? else { return Ok(None) };
            db.snapshot_on(disk, &target)?
        } else {
            let Some(db) = self.projects.open_further(project, volume)? else { return Ok(None) };
            let made = db.snapshot_on(disk, &target)?;
            db.close()?;
            made
        };
        if self.memory.lock().bytes() > BYTES_MAX {
            self.remove(project, backup)?;
            let why = format!("all backups in memory have at most {BYTES_MAX} bytes");
            return Err(Error::new(ErrorKind::NoSpace, why));
        }
        Ok(Some(made.bytes))
    }

    /// Whether the clock has jumped, so that nothing may be destroyed by it as yet: the database of the project knows.
    ///
    /// # Errors
    /// What opening it gives.
    pub(super) fn is_clock_doubted(&self, project: &ProjectId) -> Result<bool> {
        Ok(self.projects.open_existing(project)?.is_some_and(|db| db.stats().deletion_suspended))
    }

    /// Removes a backup. One that is not there any more is removed.
    ///
    /// # Errors
    /// What [`crate::Db::remove_backup`] gives.
    pub(super) fn remove(&self, project: &ProjectId, backup: &str) -> Result<()> {
        let (disk, dir) = self.place(project);
        let target = dir.join(backup);
        let names = match disk.list(&dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            names => names.map_err(|error| Error::io(format_args!("list {}", dir.display()), error))?,
        };
        if names.iter().any(|name| name == backup) { backup::remove(disk, &target) } else { Ok(()) }
    }

    /// Makes a book say what is there: what was not made to its end before the server stopped goes, and so does what
    /// somebody has taken away; what the book does not know counts as made by hand.
    ///
    /// # Errors
    /// What [`crate::Db::backups`] gives.
    pub(super) fn reconcile(&self, project: &ProjectId, book: &mut Book) -> Result<()> {
        let (disk, dir) = self.place(project);
        let found = backup::list(&*disk, &dir)?;
        for error in &found.damaged {
            tracing::error!(%project, "a backup cannot be read and is not listed: {error}");
        }
        let name = |backup: &backup::Backup| Some(backup.path.file_name()?.to_str()?.to_owned());
        let named = |backup: backup::Backup| Some((name(&backup)?, backup));
        let mut there: BTreeMap<String, backup::Backup> = found.list.into_iter().filter_map(named).collect();
        book.backups.retain_mut(|backup| {
            let files = there.remove(&backup.id);
            let stays = if backup.stored { files.is_some() } else { backup.whole };
            if let Some(files) = files {
                (backup.whole, backup.stored, backup.bytes) = (true, true, files.bytes);
            }
            if !stays {
                tracing::warn!(%project, backup = backup.id, volume = backup.volume, "a backup is gone, or was interrupted");
            }
            stays
        });
        let mut others: Vec<_> = there.into_iter().collect();
        others.sort_by_key(|(_, backup)| backup.taken_at);
        let volume = self.projects.volume_id(project)?;
        for (id, files) in others {
            tracing::warn!(%project, backup = id, "a backup that no policy is known of stays until somebody removes it");
            let added = book.add_backup(Backup {
                name: id.clone(),
                id,
                description: String::new(),
                volume: volume.clone(),
                policy: None,
                at: files.taken_at,
                bytes: files.bytes,
                stored: true,
                whole: true,
            });
            if let Err(error) = added {
                tracing::error!(%project, "further backups are not listed: {error}");
                break;
            }
        }
        Ok(())
    }

    /// The disk and the folder where a project's backups are.
    fn place(&self, project: &ProjectId) -> (Arc<dyn Disk>, PathBuf) {
        match self.projects.folder(project) {
            Some(dir) => (self.projects.disk(), dir.join(BACKUPS)),
            None => (self.memory.lock().clone(), Path::new(BACKUPS).join(project.as_str())),
        }
    }

    /// The files of all backups in memory.
    pub(super) fn copy(&self) -> MemoryDisk {
        self.memory.lock().share()
    }

    /// Puts files in place of all that there are in memory.
    pub(super) fn replace(&self, files: &MemoryDisk) {
        *self.memory.lock() = Arc::new(files.share());
    }
}
