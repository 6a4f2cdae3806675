//! Where a bench keeps its database, and the files it leaves for its user. Knows no database.

use std::collections::hash_map::RandomState;
use std::fs::{self, File};
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

/// Names that are tried for a temporary directory.
const TRIES_MAX: usize = 10;

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
        let mut tries = 0;
        loop {
            // A name that nobody can take before: the map's seed is random.
            let random = RandomState::new().build_hasher().finish();
            let path = std::env::temp_dir().join(format!("ebbtide-bench-{random:016x}"));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path, is_temporary: true }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists && tries < TRIES_MAX => tries += 1,
                Err(error) => return Err(error).with_context(|| format!("cannot make {}", path.display())),
            }
        }
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

/// A file that the user asked for, opened before there is anything to write, so that a wrong path is told at once. What
/// was in it stays until then.
#[derive(Debug)]
pub(super) struct Paper {
    path: PathBuf,
    file: File,
}

impl Paper {
    #[allow(clippy::disallowed_methods, reason = "a report for the user, not a file of the database")]
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::options().write(true).create(true).truncate(false).open(path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { path: path.to_owned(), file })
    }

    pub(super) fn write(mut self, text: &str) -> Result<()> {
        let is_file = self.file.metadata().is_ok_and(|about| about.is_file());
        let emptied = if is_file { self.file.set_len(0) } else { Ok(()) };
        let written = emptied.and_then(|()| self.file.write_all(text.as_bytes()));
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }
}
