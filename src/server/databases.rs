//! The databases in a directory whose server is not running, for tools. Knows the layout and the lock; opens none.

use std::path::{Path, PathBuf};

use crate::env::disk::Disk;
use crate::env::layout;
use crate::env::lock::DirLock;
use crate::env::real::RealDisk;
use crate::error::{Error, ErrorKind, Result};
use crate::server::projects::{PROJECTS, ProjectId, volume_in};

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
    /// `Locked` when a server has the directory; `Unsupported` when it is neither a server's nor a database; `Io` when
    /// it cannot be read.
    pub fn in_dir(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref();
        let names = list(dir)?;
        let has = |name: &str| names.iter().any(|each| each == name);
        if has(layout::FORMAT) {
            return Ok(Self { list: vec![(None, dir.to_owned())], _lock: None });
        }
        if !has(PROJECTS) && !has(layout::LOCK) {
            let why = format!("{} holds no database", dir.display());
            return Err(Error::new(ErrorKind::Unsupported, why));
        }
        let lock = DirLock::acquire(&RealDisk, dir)?;
        let mut found = Vec::new();
        // A server that nobody has written to has none.
        let projects = if has(PROJECTS) { list(&dir.join(PROJECTS))? } else { Vec::new() };
        for project in projects.iter().filter_map(|name| ProjectId::new(name)) {
            let volume = volume_in(&RealDisk, dir, &project)?;
            found.extend(volume.map(|volume| (Some(project), volume)));
        }
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(Self { list: found, _lock: Some(lock) })
    }

    /// The project, none for a database by itself, and the directory of each.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Option<&str>, &Path)> {
        self.list.iter().map(|(project, dir)| (project.as_ref().map(ProjectId::as_str), dir.as_path()))
    }
}

fn list(dir: &Path) -> Result<Vec<String>> {
    RealDisk.list(dir).map_err(|error| Error::io(format_args!("cannot list {}", dir.display()), error))
}
