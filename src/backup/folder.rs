//! The folder that backups lie in, each in one of its own. A backup is true once its folder has its name, and is not any
//! more once it has lost it: both are one renaming. What else a crash leaves is swept by whoever claims the folder next.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::backup::{Backup, Backups, Contents, File, files, format};
use crate::env::disk::{Disk, TEMPORARY, parent};
use crate::env::layout;
use crate::env::lock::DirLock;
use crate::error::{Error, Result};
use crate::model::limits::{BACKUP_NAME_BYTES_MAX, BACKUPS_MAX};

/// Whether a name is one that may be removed.
type IsOurs<'a> = &'a dyn Fn(&str) -> bool;

/// A folder of backups that nobody else changes as long as this lives.
pub(crate) struct Folder {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    _lock: DirLock,
}

/// A backup that is being made. It leaves nothing behind if it does not become true.
pub(crate) struct Draft<'a> {
    folder: &'a Folder,
    /// Where its files lie for now.
    pub(crate) dir: PathBuf,
    target: PathBuf,
}

/// The backups of a folder, the one that was taken first first. One that is not there has none.
pub(crate) fn list(disk: &dyn Disk, dir: &Path) -> Result<Backups> {
    let mut backups = Backups::default();
    for path in candidates(disk, dir)? {
        match Contents::find(disk, &path) {
            Ok(Some(contents)) => backups.list.push(contents.about(&path)),
            Ok(None) => {}
            Err(error) => backups.note(error),
        }
        if backups.list.len() > BACKUPS_MAX {
            let why = format!("{} has more than {BACKUPS_MAX} backups: move some away", dir.display());
            return Err(Error::invalid(why));
        }
    }
    // Where two were taken at the same moment, and of the same batches, their names decide.
    backups.list.sort_by(|one, other| {
        (one.taken_at, one.sequence, &one.path).cmp(&(other.taken_at, other.sequence, &other.path))
    });
    Ok(backups)
}

/// Removes a backup, durably; what it shares with others stays theirs.
pub(crate) fn remove(disk: Arc<dyn Disk>, target: &Path) -> Result<()> {
    // One that cannot be read any more is a backup too.
    if matches!(Contents::find(&*disk, target), Ok(None)) {
        return Err(Error::invalid(format!("{} is no backup", target.display())));
    }
    Folder::claim(disk, target)?.remove(target)
}

/// What may be backups in a folder.
fn candidates(disk: &dyn Disk, dir: &Path) -> Result<Vec<PathBuf>> {
    let names = match disk.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        names => names.map_err(|error| Error::io(format_args!("list {}", dir.display()), error))?,
    };
    let is_candidate = |name: &String| !name.ends_with(TEMPORARY) && name != layout::LOCK;
    Ok(names.into_iter().filter(is_candidate).map(|name| dir.join(name)).collect())
}

impl Folder {
    /// Takes the folder that a backup of this path lies in, makes it if it is not there, and removes what is left of
    /// backups that did not become true.
    ///
    /// # Errors
    /// `InvalidInput` for a path that is no name in a folder; `Locked` when somebody else makes or removes a backup.
    pub(crate) fn claim(disk: Arc<dyn Disk>, target: &Path) -> Result<Self> {
        check_name(target)?;
        let dir = parent(target).to_owned();
        disk.create_dir_all(&dir).map_err(|error| Error::io(format_args!("make {}", dir.display()), error))?;
        let lock = DirLock::acquire(&*disk, &dir)?;
        let folder = Self { disk, dir, _lock: lock };
        folder.sweep()?;
        Ok(folder)
    }

    fn sweep(&self) -> Result<()> {
        let failed = |error| Error::io(format_args!("sweep {}", self.dir.display()), error);
        let names = self.disk.list(&self.dir).map_err(failed)?;
        let drafts: Vec<String> = names.into_iter().filter(|name| name.ends_with(layout::BACKUP_DRAFT)).collect();
        if !drafts.is_empty() {
            // IMPORTANT: a name that is read back may exist in the cache only, if the last process ended between the
            // renaming that took a backup away and its sync. Nothing is removed from one that may come back.
            self.disk.sync_dir(&self.dir).map_err(failed)?;
        }
        for name in drafts {
            tracing::info!(folder = %self.dir.display(), %name, "what is left of a backup is removed");
            remove_whole(&*self.disk, &self.dir.join(name))?;
        }
        Ok(())
    }

    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Begins a backup.
    ///
    /// # Errors
    /// `InvalidInput` when something has its name, or there are as many as may be.
    pub(crate) fn begin(&self, target: &Path) -> Result<Draft<'_>> {
        let names = candidates(&*self.disk, &self.dir)?;
        if names.contains(&self.dir.join(target.file_name().expect("its name was checked"))) {
            return Err(Error::invalid(format!("{} is there already: give the backup another name", target.display())));
        }
        if names.len() >= BACKUPS_MAX {
            let why = format!(
                "{} holds {} names, at most {BACKUPS_MAX} are taken: remove some",
                self.dir.display(),
                names.len()
            );
            return Err(Error::invalid(why));
        }
        let draft = Draft { folder: self, dir: draft_of(target), target: target.to_owned() };
        for dir in [draft.dir.clone(), draft.dir.join(layout::SEGMENTS)] {
            self.disk.create_dir(&dir).map_err(|error| Error::io(format_args!("make {}", dir.display()), error))?;
        }
        Ok(draft)
    }

    /// The files of the newest backup of a lineage, by name, and where it lies. One that cannot be read is passed over:
    /// then more is copied.
    pub(crate) fn newest(&self, lineage: [u8; 16]) -> Result<(PathBuf, BTreeMap<String, File>)> {
        let mut newest: Option<(PathBuf, Contents)> = None;
        for path in candidates(&*self.disk, &self.dir)? {
            match Contents::find(&*self.disk, &path) {
                Ok(Some(contents)) if contents.lineage == lineage => {
                    let place = |contents: &Contents| (contents.taken_at, contents.sequence);
                    if newest.as_ref().is_none_or(|(_, other)| place(other) <= place(&contents)) {
                        newest = Some((path, contents));
                    }
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "a backup cannot be read"),
            }
        }
        let Some((path, contents)) = newest else { return Ok(Default::default()) };
        Ok((path, contents.files.into_iter().map(|file| (file.name.clone(), file)).collect()))
    }

    fn remove(&self, target: &Path) -> Result<()> {
        let draft = draft_of(target);
        let failed = |error| Error::io(format_args!("remove {}", target.display()), error);
        self.disk.rename(target, &draft).map_err(failed)?;
        // IMPORTANT: it must not come back with the power, in part.
        self.disk.sync_dir(&self.dir).map_err(failed)?;
        if let Err(error) = remove_whole(&*self.disk, &draft) {
            tracing::warn!(%error, "what is left of a removed backup stays until the next one");
        }
        Ok(())
    }
}

impl Draft<'_> {
    /// Makes the backup true. Its files are durable; their names, and the list of them, become so now.
    pub(crate) fn commit(self, contents: &Contents) -> Result<Backup> {
        let disk = &*self.folder.disk;
        files::put(disk, &self.dir.join(layout::BACKUP), &format::encode(contents))?;
        for dir in [&self.dir.join(layout::SEGMENTS), &self.dir] {
            disk.sync_dir(dir).map_err(|error| Error::io(format_args!("sync {}", dir.display()), error))?;
        }
        if Contents::read(disk, &self.dir)? != *contents {
            return Err(Error::corrupt(format!("{} reads otherwise than it was written", self.dir.display())));
        }
        let failed = |error| Error::io(format_args!("name {}", self.target.display()), error);
        disk.rename(&self.dir, &self.target).map_err(failed)?;
        disk.sync_dir(&self.folder.dir).map_err(failed)?;
        Ok(contents.about(&self.target))
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        // After the renaming there is nothing of this name.
        if let Err(error) = remove_whole(&*self.folder.disk, &self.dir) {
            tracing::debug!(%error, "what is left of a backup stays until the next one");
        }
    }
}

fn draft_of(target: &Path) -> PathBuf {
    // Not of the path as it is written, which may end in a slash.
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(layout::BACKUP_DRAFT);
    target.with_file_name(name)
}

/// Whether a backup can have this name.
pub(crate) fn is_name(name: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:+".contains(&byte);
    let is_made_of = name.bytes().all(is_fine) && name.starts_with(|first: char| first.is_ascii_alphanumeric());
    is_made_of && name.len() <= BACKUP_NAME_BYTES_MAX && !name.ends_with(TEMPORARY) && name != layout::LOCK
}

fn check_name(target: &Path) -> Result<()> {
    if !target.file_name().and_then(|name| name.to_str()).is_some_and(is_name) {
        let why = format!(
            "{}: a backup's name is 1 to {BACKUP_NAME_BYTES_MAX} of A-Z a-z 0-9 - _ . : +, begins with one of the first \
             three, and does not end in {TEMPORARY}",
            target.display()
        );
        return Err(Error::invalid(why));
    }
    Ok(())
}

/// Removes a backup's folder with what a backup may have in it, and nothing else.
fn remove_whole(disk: &dyn Disk, dir: &Path) -> Result<()> {
    let is_segment = |name: &str| layout::segment_number(name).is_some();
    let is_own = |name: &str| [layout::BACKUP, layout::FORMAT, layout::MANIFEST].contains(&name);
    let inside: [(PathBuf, IsOurs<'_>); 2] = [(dir.join(layout::SEGMENTS), &is_segment), (dir.to_owned(), &is_own)];
    for (folder, is_ours) in inside {
        let failed = |error| Error::io(format_args!("remove {}", folder.display()), error);
        let names = match disk.list(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            names => names.map_err(failed)?,
        };
        if let Some(name) = names.iter().find(|name| !is_ours(name)) {
            return Err(Error::invalid(format!("{} holds {name}, which is no part of a backup", folder.display())));
        }
        for name in names {
            disk.remove(&folder.join(name)).map_err(failed)?;
        }
        disk.remove_dir(&folder).map_err(failed)?;
    }
    Ok(())
}
