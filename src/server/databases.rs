//! The databases in a directory whose server is not running, and where further ones would lie, for tools. Knows the
//! layout and the lock; opens none.

use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::env::disk::Disk;
use crate::env::layout;
use crate::env::lock::DirLock;
use crate::env::real::RealDisk;
use crate::error::{Error, ErrorKind, Result};
use crate::server::paths::has;
use crate::server::projects::{PROJECTS, ProjectId, usual_volume, volume_in, volumes_dir};

/// The databases in a directory: those of a server's projects, or the one that the directory is. As long as this lives
/// no server can start in it.
///
/// ```
/// use ebbtide::server::Databases;
/// let dir = tempfile::tempdir()?;
/// ebbtide::Db::open(dir.path())?.close()?;
/// let found = Databases::in_dir(dir.path())?;
/// assert_eq!(found.iter().collect::<Vec<_>>(), [(None, dir.path())]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Databases {
    /// By project, in order; a database by itself has none.
    list: Vec<(Option<ProjectId>, PathBuf)>,
    /// A database by itself has a lock of its own.
    _lock: Option<DirLock>,
}

impl Databases {
    /// Finds the databases in a directory. Makes none.
    ///
    /// # Errors
    /// `Locked` when a server has the directory; `Unsupported` when it is neither a server's nor a database; `Corruption`
    /// when a backup was restored into it in part; `Io` when it cannot be read.
    pub fn in_dir(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref();
        let names = list(dir)?;
        let holds = |name: &str| names.iter().any(|each| each == name);
        if holds(layout::FORMAT) {
            return Ok(Self { list: vec![(None, dir.to_owned())], _lock: None });
        }
        if holds(layout::RESTORE) {
            let why =
                format!("a backup was being restored into {} and that did not end: restore it again", dir.display());
            return Err(Error::corrupt(why));
        }
        if !holds(PROJECTS) && !holds(layout::LOCK) {
            let why = format!("{} holds no database", dir.display());
            return Err(Error::new(ErrorKind::Unsupported, why));
        }
        let lock = DirLock::acquire(&RealDisk, dir)?;
        let mut found = Vec::new();
        // A server that nobody has written to has none.
        let projects = if holds(PROJECTS) { list(&dir.join(PROJECTS))? } else { Vec::new() };
        for project in projects.iter().filter_map(|name| ProjectId::new(name)) {
            let volume = volume_in(&RealDisk, dir, &project)?;
            found.extend(volume.map(|volume| (Some(project), volume)));
        }
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(Self { list: found, _lock: Some(lock) })
    }

    /// The same in the directory of a server, which is made if it is not there, and where a database has to lie that is to
    /// be restored, so that the server finds it: that of a project, or of a further volume of it.
    ///
    /// ```
    /// use ebbtide::Db;
    /// use ebbtide::server::Databases;
    /// let dir = tempfile::tempdir()?;
    /// let backup = Db::in_memory().snapshot(dir.path().join("monday"))?;
    /// let (_held, place) = Databases::with_place(dir.path().join("served"), "demo", None)?;
    /// Db::restore(&backup.path, &place)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` for what is no id of a project, or no UUID of a volume, and when a database is there already; otherwise
    /// as [`Databases::in_dir`].
    pub fn with_place(dir: impl AsRef<Path>, project: &str, volume: Option<&str>) -> Result<(Self, PathBuf)> {
        let dir = dir.as_ref();
        let project = ProjectId::new(project).ok_or_else(|| Error::invalid(ProjectId::FORM))?;
        if let Some(volume) = volume.filter(|volume| Uuid::parse_str(volume).is_err()) {
            return Err(Error::invalid(format!("{volume} is no UUID: no other volume can hold anything")));
        }
        match RealDisk.list(dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io(format_args!("cannot list {}", dir.display()), error));
            }
            Ok(names) if !names.is_empty() => {}
            // From now on it is a server's, if one that nobody has written to.
            _ => drop(super::lock(dir)?),
        }
        let found = Self::in_dir(dir)?;
        if found.list.iter().any(|(project, _)| project.is_none()) {
            let why = format!("{} is one database or backup, not the directory of a server", dir.display());
            return Err(Error::new(ErrorKind::Unsupported, why));
        }
        let own = found.list.iter().find(|(each, _)| each.as_ref() == Some(&project)).map(|(_, own)| own.clone());
        let named = |name: &str| volumes_dir(dir, &project).join(name);
        let place = volume.map(named).or(own).unwrap_or_else(|| named(&usual_volume(&project)));
        // One that is no database yet is what a restoring has left that did not end.
        if has(&place, layout::FORMAT) {
            let why = format!("project {project} has a database, {}: move it away first", place.display());
            return Err(Error::invalid(why));
        }
        Ok((found, place))
    }

    /// The project, none for a database by itself, and the directory of each.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Option<&str>, &Path)> {
        self.list.iter().map(|(project, dir)| (project.as_ref().map(ProjectId::as_str), dir.as_path()))
    }
}

fn list(dir: &Path) -> Result<Vec<String>> {
    RealDisk.list(dir).map_err(|error| Error::io(format_args!("cannot list {}", dir.display()), error))
}
