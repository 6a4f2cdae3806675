//! Where backups lie in a directory, and where neither a backup nor a database may be put, for tools whose user names the
//! paths. Knows the layout; makes and opens nothing.

use std::path::{Path, PathBuf};

use crate::env::disk::{Disk, parent};
use crate::env::layout;
use crate::env::real::RealDisk;
use crate::error::{Error, Result};
use crate::server::projects::{BACKUPS, PROJECTS, ProjectId};

/// The folders of backups in a directory: those of a server's projects, which may be running, or the one that the
/// directory is. With each the project, none for a folder by itself. Folders that are not there are left out.
///
/// ```
/// use ebbtide::{Db, server};
/// let dir = tempfile::tempdir()?;
/// Db::in_memory().snapshot(dir.path().join("monday"))?;
/// assert_eq!(server::backup_folders(dir.path())?, [(None, dir.path().to_owned())]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// `InvalidInput` when it is one backup or one database; `Io` when it cannot be read.
pub fn backup_folders(dir: impl AsRef<Path>) -> Result<Vec<(Option<String>, PathBuf)>> {
    let dir = dir.as_ref();
    let names = list(dir)?;
    for (mark, what) in [(layout::BACKUP, "backup"), (layout::FORMAT, "database")] {
        if names.iter().any(|name| name == mark) {
            let why = format!("{} is one {what}: name a folder that has backups in it", dir.display());
            return Err(Error::invalid(why));
        }
    }
    if !names.iter().any(|name| name == PROJECTS) {
        return Ok(vec![(None, dir.to_owned())]);
    }
    let mut found = Vec::new();
    for project in list(&dir.join(PROJECTS))?.iter().filter_map(|name| ProjectId::new(name)) {
        let folder = dir.join(PROJECTS).join(project.as_str());
        if list(&folder)?.iter().any(|name| name == BACKUPS) {
            found.push((Some(project.to_string()), folder.join(BACKUPS)));
        }
    }
    Ok(found)
}

/// Whether a directory is a backup, whatever state it is in.
///
/// ```
/// use ebbtide::{Db, server};
/// let dir = tempfile::tempdir()?;
/// let backup = Db::in_memory().snapshot(dir.path().join("monday"))?;
/// assert!(server::is_backup(&backup.path) && !server::is_backup(dir.path()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn is_backup(dir: impl AsRef<Path>) -> bool {
    has(dir.as_ref(), layout::BACKUP)
}

/// Refuses a path for a new backup that lies in a database, in another backup, or in the directory of a server outside of
/// `projects/ID/backups`.
///
/// ```
/// use ebbtide::{Db, server};
/// let dir = tempfile::tempdir()?;
/// Db::open(dir.path().join("db"))?.close()?;
/// assert!(server::check_for_backup(dir.path().join("backups/monday")).is_ok());
/// assert!(server::check_for_backup(dir.path().join("db/segments/monday")).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// `InvalidInput` for such a path; `Io` when there is no way to it.
pub fn check_for_backup(path: impl AsRef<Path>) -> Result<()> {
    check(path.as_ref(), "no backup may be put there; that of a project goes into projects/ID/backups", |inside| {
        let parts: Vec<&str> = inside.iter().filter_map(|part| part.to_str()).collect();
        matches!(parts[..], [PROJECTS, project, BACKUPS, _] if ProjectId::new(project).is_some())
    })
}

/// Refuses a path for a new database that lies in another one, in a backup, or in the directory of a server, where
/// [`Databases::with_place`](crate::server::Databases::with_place) says the place.
///
/// # Errors
/// `InvalidInput` for such a path; `Io` when there is no way to it.
pub fn check_for_database(path: impl AsRef<Path>) -> Result<()> {
    check(path.as_ref(), "no database may be put there; that of a project is restored by --data and --project", |_| {
        false
    })
}

/// Refuses a path within what keeps an order of its own. `is_fine` is asked of the rest of a path within a server's.
fn check(path: &Path, why: &str, is_fine: impl Fn(&Path) -> bool) -> Result<()> {
    let path = resolve(path)?;
    for dir in path.ancestors().skip(1) {
        // A backup has the FORMAT of its volume.
        let what = if is_backup(dir) {
            "a backup"
        } else if has(dir, layout::FORMAT) {
            "a database"
        } else if has(dir, PROJECTS) && has(dir, layout::LOCK) {
            if path.strip_prefix(dir).is_ok_and(&is_fine) {
                continue;
            }
            "the directory of a server"
        } else {
            continue;
        };
        return Err(Error::invalid(format!("{} lies in {}, {what}: {why}", path.display(), dir.display())));
    }
    Ok(())
}

/// The path without links and dots, as far as it is there.
#[allow(clippy::disallowed_methods, reason = "a name of the user's is looked up, no file is touched")]
fn resolve(path: &Path) -> Result<PathBuf> {
    let mut there = path;
    loop {
        match there.canonicalize() {
            Ok(real) => {
                let rest = path.strip_prefix(there).unwrap_or(path);
                return Ok(if rest.as_os_str().is_empty() { real } else { real.join(rest) });
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && parent(there) != there => {
                there = parent(there);
            }
            Err(error) => return Err(Error::io(format_args!("find {}", path.display()), error)),
        }
    }
}

/// Whether a directory has such a name in it.
pub(super) fn has(dir: &Path, name: &str) -> bool {
    RealDisk.open(&dir.join(name)).is_ok()
}

fn list(dir: &Path) -> Result<Vec<String>> {
    RealDisk.list(dir).map_err(|error| Error::io(format_args!("cannot list {}", dir.display()), error))
}
