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
use crate::model::durability::Sequence;
use crate::model::limits::{BACKUP_NAME_BYTES_MAX, BACKUPS_MAX};

/// What file systems have in their outermost folder, and not everybody may look into.
const LOST_AND_FOUND: &str = "lost+found";

/// A folder of backups that nobody else changes as long as this lives, taken because of one of them.
pub(crate) struct Folder {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// The backup that is to be made or removed.
    target: PathBuf,
    /// What its folder is called before it is true, and after that.
    draft: PathBuf,
    _lock: DirLock,
}

/// A backup that is being made. It leaves nothing behind if it does not become true.
pub(crate) struct Draft<'a> {
    folder: &'a Folder,
    /// Where its files lie for now.
    pub(crate) dir: &'a Path,
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
    // Not what leads there: the folder that it lies in is the one to be claimed.
    let target = disk.resolve(target).map_err(|error| Error::io(format_args!("find {}", target.display()), error))?;
    Folder::claim(disk, &target)?.remove()
}

/// What may be backups in a folder.
fn candidates(disk: &dyn Disk, dir: &Path) -> Result<Vec<PathBuf>> {
    let is_candidate = |name: &String| !name.ends_with(TEMPORARY) && name != layout::LOCK && name != LOST_AND_FOUND;
    let names = names_in(disk, dir)?.unwrap_or_default();
    Ok(names.into_iter().filter(is_candidate).map(|name| dir.join(name)).collect())
}

/// The names in a folder; none if it is not there.
fn names_in(disk: &dyn Disk, dir: &Path) -> Result<Option<Vec<String>>> {
    match disk.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        names => names.map(Some).map_err(|error| Error::io(format_args!("list {}", dir.display()), error)),
    }
}

impl Folder {
    /// Takes the folder that a backup of this path lies in, makes it if it is not there, and removes what is left of
    /// backups that did not become true.
    ///
    /// # Errors
    /// `InvalidInput` for a path that is no name in a folder for backups; `Locked` when somebody else makes or removes a
    /// backup.
    pub(crate) fn claim(disk: Arc<dyn Disk>, target: &Path) -> Result<Self> {
        let name = check_name(target)?;
        // Without what may stand behind the name, like a slash.
        let draft = target.with_file_name(format!("{name}{}", layout::BACKUP_DRAFT));
        let (dir, target) = (parent(target).to_owned(), target.with_file_name(name));
        check_place(&*disk, &dir)?;
        disk.create_dir_all(&dir).map_err(|error| Error::io(format_args!("make {}", dir.display()), error))?;
        let lock = DirLock::acquire(&*disk, &dir)?;
        let folder = Self { disk, dir, target, draft, _lock: lock };
        folder.sweep()?;
        Ok(folder)
    }

    /// Removes what is left of other backups. What of that cannot be removed stands in nobody's way, except for a backup of
    /// its name.
    fn sweep(&self) -> Result<()> {
        let names = names_in(&*self.disk, &self.dir)?.unwrap_or_default();
        let drafts: Vec<String> = names.into_iter().filter(|name| name.ends_with(layout::BACKUP_DRAFT)).collect();
        if !drafts.is_empty() {
            // IMPORTANT: a name that is read back may exist in the cache only, if the last process ended between the
            // renaming that took a backup away and its sync. Nothing is removed from one that may come back.
            let synced = self.disk.sync_dir(&self.dir);
            synced.map_err(|error| Error::io(format_args!("sweep {}", self.dir.display()), error))?;
        }
        for name in drafts {
            match remove_whole(&*self.disk, &self.dir.join(&name)) {
                Ok(()) => tracing::info!(folder = %self.dir.display(), %name, "what was left of a backup is removed"),
                Err(error) => tracing::warn!(%error, "what is left of a backup stays until the next one"),
            }
        }
        Ok(())
    }

    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Begins the backup.
    ///
    /// # Errors
    /// `InvalidInput` when something has its name, also but for upper and lower case, which not every file system tells
    /// apart; or when there are as many as may be.
    pub(crate) fn begin(&self) -> Result<Draft<'_>> {
        let names = names_in(&*self.disk, &self.dir)?.unwrap_or_default();
        for wanted in [&self.target, &self.draft] {
            let is_wanted =
                |name: &&String| wanted.file_name().is_some_and(|wanted| wanted.eq_ignore_ascii_case(name.as_str()));
            if let Some(name) = names.iter().find(is_wanted) {
                let path = self.dir.join(name);
                let why = format!("{} is there already: give the backup another name", path.display());
                return Err(Error::invalid(why));
            }
        }
        if names.len() >= BACKUPS_MAX {
            let (dir, count) = (self.dir.display(), names.len());
            let why = format!("{dir} holds {count} names, at most {BACKUPS_MAX} are taken: remove some");
            return Err(Error::invalid(why));
        }
        let draft = Draft { folder: self, dir: &self.draft };
        for dir in [draft.dir, &draft.dir.join(layout::SEGMENTS)] {
            self.disk.create_dir(dir).map_err(|error| Error::io(format_args!("make {}", dir.display()), error))?;
        }
        Ok(draft)
    }

    /// The files, by name, of the backup that has most in common with a volume of this lineage as it was after a batch, and
    /// where it lies: the newest one of that volume. One that cannot be read is passed over: then more is copied.
    pub(crate) fn newest(
        &self,
        volume: [u8; 16],
        lineage: [u8; 16],
        sequence: Sequence,
    ) -> Result<(PathBuf, BTreeMap<String, File>)> {
        // By batches and not by clocks, which may have been wrong.
        let place = |contents: &Contents| (contents.volume == volume, contents.sequence <= sequence, contents.sequence);
        let mut newest: Option<(PathBuf, Contents)> = None;
        for path in candidates(&*self.disk, &self.dir)? {
            match Contents::find(&*self.disk, &path) {
                Ok(Some(contents)) if contents.lineage == lineage => {
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

    fn remove(&self) -> Result<()> {
        // What could not be removed from it would be in the way of nothing but itself for ever.
        inside(&*self.disk, &self.target)?;
        let failed = |error| Error::io(format_args!("remove {}", self.target.display()), error);
        self.disk.rename(&self.target, &self.draft).map_err(failed)?;
        // IMPORTANT: it must not come back with the power, in part.
        self.disk.sync_dir(&self.dir).map_err(failed)?;
        if let Err(error) = remove_whole(&*self.disk, &self.draft) {
            tracing::warn!(%error, "what is left of a removed backup stays until the next one");
        }
        Ok(())
    }
}

impl Draft<'_> {
    /// Makes the backup true. Its files are durable; their names, and the list of them, become so now.
    pub(crate) fn commit(self, contents: &Contents) -> Result<Backup> {
        let Folder { disk, dir: outer, target, .. } = self.folder;
        let disk = &**disk;
        files::put(disk, &self.dir.join(layout::BACKUP), &format::encode(contents))?;
        for dir in [&*self.dir.join(layout::SEGMENTS), self.dir] {
            disk.sync_dir(dir).map_err(|error| Error::io(format_args!("sync {}", dir.display()), error))?;
        }
        if Contents::read(disk, self.dir)? != *contents {
            return Err(Error::corrupt(format!("{} reads otherwise than it was written", self.dir.display())));
        }
        let failed = |error| Error::io(format_args!("name {}", target.display()), error);
        disk.rename(self.dir, target).map_err(failed)?;
        disk.sync_dir(outer).map_err(failed)?;
        Ok(contents.about(target))
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        // After the renaming there is nothing of this name.
        if let Err(error) = remove_whole(&*self.folder.disk, self.dir) {
            tracing::debug!(%error, "what is left of a backup stays until the next one");
        }
    }
}

/// Whether a backup can have this name.
pub(crate) fn is_name(name: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:+".contains(&byte);
    let is_made_of = name.bytes().all(is_fine) && name.starts_with(|first: char| first.is_ascii_alphanumeric());
    is_made_of && name.len() <= BACKUP_NAME_BYTES_MAX && !name.ends_with(TEMPORARY) && name != layout::LOCK
}

/// The name of a backup, if it is one.
fn check_name(target: &Path) -> Result<&str> {
    let name = target.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if !is_name(name) {
        let why = format!(
            "{}: a backup's name is 1 to {BACKUP_NAME_BYTES_MAX} of A-Z a-z 0-9 - _ . : +, begins with one of the first \
             three, and does not end in {TEMPORARY}",
            target.display()
        );
        return Err(Error::invalid(why));
    }
    Ok(name)
}

/// Refuses a folder that is a backup or a volume, or one that belongs to those: what sweeps them would meet what is not
/// theirs.
pub(crate) fn check_place(disk: &dyn Disk, dir: &Path) -> Result<()> {
    let is_taken = |dir: &Path| -> Result<bool> {
        let names = names_in(disk, dir)?.unwrap_or_default();
        Ok(names.iter().any(|name| name == layout::FORMAT || name == layout::BACKUP || name == layout::RESTORE))
    };
    let inner = [layout::SEGMENTS, layout::WAL, layout::CATALOG, layout::QUARANTINE];
    let is_inner = dir.file_name().is_some_and(|name| inner.iter().any(|inner| name == *inner));
    if is_taken(dir)? || (is_inner && is_taken(parent(dir))?) {
        let why = format!("{} belongs to a database or a backup: use a folder of its own for backups", dir.display());
        return Err(Error::invalid(why));
    }
    Ok(())
}

/// What lies in the folder of a backup, true or not, and in that of its segments.
///
/// # Errors
/// `InvalidInput` when anything is no part of a backup.
fn inside(disk: &dyn Disk, dir: &Path) -> Result<[(PathBuf, Option<Vec<String>>); 2]> {
    let segments = dir.join(layout::SEGMENTS);
    let (mut own, stored) = (names_in(disk, dir)?, names_in(disk, &segments)?);
    if stored.is_some()
        && let Some(own) = &mut own
    {
        own.retain(|name| name != layout::SEGMENTS);
    }
    let is_segment = |name: &&String| layout::segment_number(name).is_some();
    let is_own = |name: &&String| [layout::BACKUP, layout::FORMAT, layout::MANIFEST].contains(&name.as_str());
    let foreign = own.iter().flatten().find(|name| !is_own(name));
    if let Some(name) = foreign.or_else(|| stored.iter().flatten().find(|name| !is_segment(name))) {
        return Err(Error::invalid(format!(
            "{} holds {name}, which is no part of a backup: move it away",
            dir.display()
        )));
    }
    Ok([(segments, stored), (dir.to_owned(), own)])
}

/// Removes a backup's folder with what a backup may have in it; if it has anything else, it stays as it is.
fn remove_whole(disk: &dyn Disk, dir: &Path) -> Result<()> {
    for (folder, names) in inside(disk, dir)? {
        let failed = |error| Error::io(format_args!("remove {}", folder.display()), error);
        let Some(names) = names else { continue };
        for name in names {
            disk.remove(&folder.join(name)).map_err(failed)?;
        }
        disk.remove_dir(&folder).map_err(failed)?;
    }
    Ok(())
}
