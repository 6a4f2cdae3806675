//! What projects are called, and where their volumes lie in a server's directory. Opens none.

use std::fmt;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::env::disk::Disk;
use crate::error::{Error, Result};
use crate::server::ids;

/// Longest project id, in characters.
const ID_CHARS_MAX: usize = 64;

/// By what a project's own volume is called among what it always has.
const VOLUME: &str = "volume";

/// The folder of all projects, in the server's directory.
pub(in crate::server) const PROJECTS: &str = "projects";

/// The folder of a project's backups, in that of the project.
pub(in crate::server) const BACKUPS: &str = "backups";

/// A checked project id: safe as the name of a folder.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(in crate::server) struct ProjectId(Box<str>);

impl ProjectId {
    /// What is said where one is refused.
    pub(in crate::server) const FORM: &str = "a project id is 1 to 64 letters, digits, - or _";

    /// `None` unless the text is of that form.
    pub(in crate::server) fn new(text: &str) -> Option<Self> {
        let in_alphabet = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        (in_alphabet && (1..=ID_CHARS_MAX).contains(&text.len())).then(|| Self(text.into()))
    }

    pub(in crate::server) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The folder of a project's volumes.
pub(in crate::server) fn volumes_dir(data: &Path, project: &ProjectId) -> PathBuf {
    data.join(PROJECTS).join(project.as_str()).join("volumes")
}

/// The name that a project's own volume is given.
pub(in crate::server) fn usual_volume(project: &ProjectId) -> String {
    ids::of_project(VOLUME, project.as_str())
}

/// The directory of a project's database, if it has one.
///
/// # Errors
/// `Io` when the directory cannot be read.
pub(in crate::server) fn volume_in(disk: &dyn Disk, data: &Path, project: &ProjectId) -> Result<Option<PathBuf>> {
    let (volumes, usual) = (volumes_dir(data, project), usual_volume(project));
    let is_volume = |name: &String| Uuid::parse_str(name).is_ok();
    // Beside the project's own one lie those that were restored. Every start has to take the same.
    let own = list(disk, &volumes)?.into_iter().filter(is_volume).min_by_key(|name| (*name != usual, name.clone()));
    Ok(own.map(|name| volumes.join(name)))
}

/// The names in a folder, none if it is not there.
///
/// # Errors
/// `Io` when it cannot be read.
pub(super) fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<String>> {
    match disk.list(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        names => names.map_err(|error| Error::io(format_args!("cannot list {}", dir.display()), error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_safe_as_names_of_folders() {
        assert!(["a", "0_-Z", &"x".repeat(64)].into_iter().all(|text| ProjectId::new(text).is_some()));
        for text in ["", ".", "..", "a/b", "a.b", "a b", "\u{e4}", &"x".repeat(65)] {
            assert!(ProjectId::new(text).is_none(), "{text:?}");
        }
    }
}
