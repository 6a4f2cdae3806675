//! Where a bench keeps its database, and the files it leaves for its user. Knows no database.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

/// A directory for one database; a temporary one goes with this.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    is_temporary: bool,
}

impl Folder {
    /// A directory of the user's, new or empty.
    #[allow(clippy::disallowed_methods, reason = "only looked at, before there is a database")]
    pub(super) fn keep(path: &Path) -> Result<Self> {
        let is_empty = match fs::read_dir(path) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) if error.kind() == ErrorKind::NotFound => true,
            Err(error) => return Err(error).with_context(|| format!("cannot list {}", path.display())),
        };
        ensure!(is_empty, "{} is not empty: a bench makes a database of its own", path.display());
        Ok(Self { path: path.to_owned(), is_temporary: false })
    }

    /// A fresh directory where the system keeps such things.
    #[allow(clippy::disallowed_methods, reason = "a place for a database that nobody keeps")]
    pub(super) fn temporary() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("ebbtide-bench-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self { path, is_temporary: true })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    #[allow(clippy::disallowed_methods, reason = "the database in it is closed, and nobody keeps it")]
    fn drop(&mut self) {
        if self.is_temporary
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            eprintln!("note: {} could not be removed: {error}", self.path.display());
        }
    }
}

/// Writes a file that the user asked for.
#[allow(clippy::disallowed_methods, reason = "a report for the user, not a file of the database")]
pub(super) fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}
