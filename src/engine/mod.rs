//! The verbs: what a database does with log, head, segments, manifest and catalogue. Each has a room of its own; this
//! one holds the state they share.

mod aggregate;
mod background;
mod beneath;
mod changes;
mod compact;
mod cursor;
pub(crate) mod explain;
mod flush;
mod format;
mod frozen;
mod guard;
pub(crate) mod health;
mod inputs;
mod latest;
mod ledger;
mod names;
mod open;
mod output;
mod plan;
pub(crate) mod query;
mod queue;
mod records;
pub(crate) mod recovery;
pub(crate) mod restore;
mod routine;
pub(crate) mod settings;
mod shelf;
mod snapshot;
pub(crate) mod stats;
mod summarise;
mod twins;
mod units;
mod values;
pub(crate) mod verify_rollups;
mod view;
mod windows;
mod write;

#[cfg(test)]
mod backup_tests;
#[cfg(test)]
mod cache_tests;
#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod flush_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod names_tests;
#[cfg(test)]
mod routine_tests;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod ttl_tests;
#[cfg(test)]
mod write_tests;
#[cfg(test)]
mod year_tests;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex, RwLock};

use crate::codec::record::FormatV1;
use crate::engine::background::{Bell, Pace, Threads};
use crate::engine::guard::ClockGuard;
use crate::engine::health::{Counters, Gauges, Troubles};
use crate::engine::ledger::Ledger;
use crate::engine::queue::{Committed, Writer};
use crate::engine::recovery::Recovery;
use crate::engine::routine::Routine;
use crate::engine::settings::Settings;
use crate::engine::view::View;
use crate::env::disk::Disk;
use crate::env::lock::DirLock;
use crate::error::{Error, ErrorKind, Result};
use crate::model::rollup::Rollup;
use crate::model::series::{SeriesId, SeriesKey};
use crate::wal::Wal;

/// One open database.
///
/// Four locks, taken in this order and never the other way: writer, ledger, commit, view. None is held while waiting
/// for another thread's turn, and of them only ledger and commit are held during I/O. Flushing and compacting have a
/// turn each, taken before all of them, and backing up by policies has one that is taken before those two. Closing has a
/// lock of its own, taken before the first two turns.
pub(crate) struct Engine {
    // Constant.
    settings: Settings,
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    format: FormatV1,
    /// Which windows are kept, and which points count in them.
    rollup: Arc<Rollup>,
    /// Whether it is of a backup, of which nothing is changed.
    is_frozen: bool,

    // Self-synchronised.
    guard: ClockGuard,
    gauges: Gauges,
    counters: Counters,
    troubles: Troubles,
    bell: Bell,
    pace: Pace,
    is_closed: AtomicBool,
    /// Told when the committer's turn has ended.
    turn: Condvar,
    /// Told when a flush has made room.
    room: Condvar,

    // Guarded.
    /// Series that the last `Work::Forget` has let go.
    forgotten: Mutex<Vec<(SeriesId, SeriesKey)>>,
    /// Segments that a job could not write anew: left alone for this run, so that others are not held up.
    avoided: Mutex<HashSet<u64>>,
    /// Backup policies in force, and the turn of whoever does what they say.
    routine: Routine,
    /// Turns of what takes long: one flush and one compaction at a time.
    flushing: Mutex<()>,
    compacting: Mutex<()>,
    /// What waits to be committed.
    writer: Mutex<Writer>,
    /// Manifest and stored catalogue.
    ledger: Mutex<Ledger>,
    /// The log. Shared with the thread that syncs it in `Interval` mode.
    commit: Arc<Mutex<Wal>>,
    /// What readers see.
    view: RwLock<View>,
    /// What opening found.
    recovery: Mutex<Recovery>,
    /// What ends with the database: the threads and the hold on the directory.
    life: Mutex<Life>,
}

#[derive(Default)]
struct Life {
    threads: Threads,
    lock: Option<DirLock>,
}

impl Engine {
    pub(crate) fn recovery(&self) -> Recovery {
        self.recovery.lock().clone()
    }

    pub(crate) fn sync(&self) -> Result<()> {
        self.commit.lock().sync().map_err(|error| without_batch(&error))
    }

    /// Takes the clock as it stands for right, though it has jumped.
    pub(crate) fn believe_clock(&self) {
        self.guard.believe();
    }

    pub(crate) fn close(&self) -> Result<()> {
        // Held to the end, so that who closes at the same time returns only when the directory is free.
        let mut life = self.life.lock();
        life.threads.stop(self);
        if !self.is_closed.load(Ordering::SeqCst) {
            // What cannot be flushed is in the log, which the next open replays.
            if let Err(error) = self.flush() {
                tracing::info!(%error, "recent points stay in the log");
            } else if let Err(error) = self.settle_catalog() {
                tracing::info!(%error, "the next open may read all names");
            }
        }
        let closed = {
            let (_flushing, _compacting) = (self.flushing.lock(), self.compacting.lock());
            self.is_closed.store(true, Ordering::SeqCst);
            self.ledger.lock().close();
            self.commit.lock().close().map_err(|error| without_batch(&error))
        };
        // The directory is free only once the log is sealed.
        life.lock = None;
        closed
    }

    /// Refuses work on files that may have another owner by now.
    fn check_open(&self) -> Result<()> {
        if self.is_closed.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Closed, "the database is closed"));
        }
        // After a failure nobody knows which files are true, so none is written any more.
        self.troubles.failure().map_or(Ok(()), Err)
    }

    /// Refuses to change a backup.
    fn refuse_frozen(&self) -> Result<()> {
        if self.is_frozen {
            let why = format!("{} is a backup, which does not change: restore it and open that", self.dir.display());
            return Err(Error::new(ErrorKind::Unsupported, why));
        }
        Ok(())
    }

    /// Notes the sizes that writers look at; gives what the next batch builds upon.
    fn measure(&self, wal: &Wal, view: &View) -> Committed {
        self.gauges.note_view(view);
        self.gauges.set_log(wal.bytes());
        Committed { last: view.visible, next_series: view.catalog.next_id() }
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
