//! How the database is: what fails now, and what has failed for good. Also what is counted on the way.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::engine::view::View;
use crate::error::Error;

/// How an open database is. See [`Db::health`](crate::Db::health).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Health {
    /// Everything works.
    Good,
    /// Reads and writes go on, but something needs attention: each sentence says what.
    Degraded(Vec<String>),
    /// Reads go on, writes are refused until the database is opened anew.
    Failed(String),
}

/// What goes wrong, as it is noted.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    flush: Mutex<Option<Error>>,
    compaction: Mutex<Option<Error>>,
    backup: Mutex<Option<Error>>,
    failure: Mutex<Option<Error>>,
}

impl Troubles {
    pub(super) fn note_flush(&self, error: Option<&Error>) {
        *self.flush.lock() = error.cloned();
    }

    pub(super) fn note_compaction(&self, error: Option<&Error>) {
        *self.compaction.lock() = error.cloned();
    }

    pub(super) fn note_backup(&self, error: Option<&Error>) {
        *self.backup.lock() = error.cloned();
    }

    /// Notes what ends writing.
    pub(super) fn fail(&self, error: &Error) {
        tracing::error!(%error, "the database takes no more writes until it is opened anew");
        self.failure.lock().get_or_insert_with(|| error.clone());
    }

    pub(super) fn flush_failure(&self) -> Option<Error> {
        self.flush.lock().clone()
    }

    pub(super) fn failure(&self) -> Option<Error> {
        self.failure.lock().clone()
    }

    /// What fails now, one sentence each.
    pub(super) fn sentences(&self) -> Vec<String> {
        let told = |what: &str, error: &Mutex<Option<Error>>| {
            error.lock().as_ref().map(|error| format!("{what} fails and is tried again: {error}"))
        };
        let all = [("flushing", &self.flush), ("compaction", &self.compaction), ("backing up", &self.backup)];
        all.into_iter().filter_map(|(what, error)| told(what, error)).collect()
    }
}

/// Sizes that writers look at without a lock. They are noted whenever log or view change.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    head_bytes: AtomicUsize,
    active_bytes: AtomicUsize,
    is_active_ripe: AtomicBool,
    active_log: AtomicU64,
    active_units: AtomicUsize,
    log_bytes: AtomicU64,
}

impl Gauges {
    pub(super) fn note_view(&self, view: &View) {
        self.head_bytes.store(view.head_bytes(), Ordering::Relaxed);
        self.active_bytes.store(view.active.bytes(), Ordering::Relaxed);
        self.is_active_ripe.store(view.active.is_ripe(), Ordering::Relaxed);
        self.active_log.store(view.active_log, Ordering::Relaxed);
        self.active_units.store(view.active.units().list().len(), Ordering::Relaxed);
    }

    pub(super) fn set_log(&self, bytes: u64) {
        self.log_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Memory of recent points.
    pub(super) fn head_bytes(&self) -> usize {
        self.head_bytes.load(Ordering::Relaxed)
    }

    /// Memory of those that are not on their way into segments.
    pub(super) fn active_bytes(&self) -> usize {
        self.active_bytes.load(Ordering::Relaxed)
    }

    /// Whether they gain nothing by becoming more.
    pub(super) fn is_active_ripe(&self) -> bool {
        self.is_active_ripe.load(Ordering::Relaxed)
    }

    /// Log of those.
    pub(super) fn active_log(&self) -> u64 {
        self.active_log.load(Ordering::Relaxed)
    }

    /// Units of those.
    pub(super) fn active_units(&self) -> usize {
        self.active_units.load(Ordering::Relaxed)
    }

    pub(super) fn log_bytes(&self) -> u64 {
        self.log_bytes.load(Ordering::Relaxed)
    }
}

/// What has been done since the database was opened.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) flushes: AtomicU64,
    pub(super) bytes_flushed: AtomicU64,
    pub(super) bytes_rewritten: AtomicU64,
    pub(super) bytes_rewritten_for_expiry: AtomicU64,
    pub(super) bytes_freed: AtomicU64,
    pub(super) replaced_stored: AtomicU64,
    pub(super) backups_made: AtomicU64,
    pub(super) backups_removed: AtomicU64,
    pub(super) backups_failed: AtomicU64,
    /// Whether points have gone (a segment, dead ones at a flush, deleted ones) since series were last looked over.
    has_dropped: AtomicBool,
    /// Whether series without a point have to be looked over again after the next flush.
    is_waiting: AtomicBool,
}

impl Counters {
    pub(super) fn note_flush(&self, bytes: u64) {
        self.flushes.fetch_add(1, Ordering::Relaxed);
        self.bytes_flushed.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn note_rewritten(&self, bytes: u64, for_expiry: bool) {
        self.bytes_rewritten.fetch_add(bytes, Ordering::Relaxed);
        if for_expiry {
            self.bytes_rewritten_for_expiry.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    pub(super) fn note_replaced(&self, points: u64) {
        self.replaced_stored.fetch_add(points, Ordering::Relaxed);
    }

    pub(super) fn note_freed(&self, bytes: u64) {
        self.bytes_freed.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn note_dropped(&self) {
        self.has_dropped.store(true, Ordering::Relaxed);
    }

    pub(super) fn note_waiting(&self) {
        self.is_waiting.store(true, Ordering::Relaxed);
    }

    pub(super) fn take_is_waiting(&self) -> bool {
        self.is_waiting.swap(false, Ordering::Relaxed)
    }

    pub(super) fn take_has_dropped(&self) -> bool {
        self.has_dropped.swap(false, Ordering::Relaxed)
    }
}
