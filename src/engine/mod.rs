//! The verbs: what a database does with log, head and catalogue. Each has a room of its own; this one holds the state
//! they share.

mod background;
mod format;
mod open;
mod query;
pub(crate) mod recovery;
pub(crate) mod settings;
mod view;
mod write;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod write_tests;

use std::sync::Arc;

use parking_lot::{Condvar, Mutex, RwLock};

use crate::engine::background::Syncer;
use crate::engine::recovery::Recovery;
use crate::engine::settings::Settings;
use crate::engine::view::View;
use crate::engine::write::Writer;
use crate::env::lock::DirLock;
use crate::error::{Error, ErrorKind, Result};
use crate::wal::Wal;

/// One open database.
///
/// Three locks, taken in this order and never the other way: writer, commit, view. None is held while waiting for
/// another thread's turn, and of them only commit is held during I/O. Closing has a lock of its own, taken before them
/// and held to its end.
pub(crate) struct Engine {
    // Constant.
    settings: Settings,
    recovery: Recovery,

    // Self-synchronised.
    /// Told when the committer's turn has ended.
    turn: Condvar,

    // Guarded.
    /// What waits to be committed.
    writer: Mutex<Writer>,
    /// The log. Shared with the thread that syncs it in `Interval` mode.
    commit: Arc<Mutex<Wal>>,
    /// What readers see.
    view: RwLock<View>,
    /// What ends with the database: the background thread and the hold on the directory.
    life: Mutex<Life>,
}

struct Life {
    syncer: Option<Syncer>,
    lock: Option<DirLock>,
}

impl Engine {
    pub(crate) fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    pub(crate) fn sync(&self) -> Result<()> {
        self.commit.lock().sync().map_err(|error| without_batch(&error))
    }

    pub(crate) fn close(&self) -> Result<()> {
        // Held to the end, so that who closes at the same time returns only when the directory is free.
        let mut life = self.life.lock();
        if let Some(syncer) = life.syncer.take() {
            syncer.stop();
        }
        let closed = self.commit.lock().close().map_err(|error| without_batch(&error));
        // The directory is free only once the log is sealed.
        life.lock = None;
        closed
    }
}

/// The error for who asked for no batch: nothing is unknown to them, but the database takes no more writes.
fn without_batch(error: &Error) -> Error {
    match error.kind() {
        ErrorKind::Unknown => Error::because(ErrorKind::Failed, "not everything could be made durable", error),
        _ => error.clone(),
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "the database could not be closed in order; its log is replayed at the next open");
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("settings", &self.settings).finish_non_exhaustive()
    }
}
