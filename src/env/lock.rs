//! The lock that makes a directory ours: one process, one owner, released with the process whatever happens.

use std::path::Path;

use crate::env::disk::{Disk, Lock};
use crate::env::layout;
use crate::error::{Error, ErrorKind, Result};

/// Ownership of a directory until it is dropped.
pub(crate) struct DirLock {
    _hold: Box<dyn Send + Sync>,
}

impl DirLock {
    /// Takes the `LOCK` of a directory.
    ///
    /// # Errors
    /// `Locked` at once when another database or process has it.
    pub(crate) fn acquire(disk: &dyn Disk, dir: &Path) -> Result<Self> {
        let path = dir.join(layout::LOCK);
        match disk.lock(&path) {
            Ok(Lock::Held(hold)) => Ok(Self { _hold: hold }),
            Ok(Lock::Taken { owner }) => {
                let dir = dir.display();
                let by = if owner.is_empty() { String::new() } else { format!(" by process {owner}") };
                Err(Error::new(ErrorKind::Locked, format!("{dir} is in use{by}: close that first")))
            }
            Err(error) => Err(Error::io(format_args!("lock {}", path.display()), error)),
        }
    }
}

impl std::fmt::Debug for DirLock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DirLock")
    }
}
