//! The settings of one open database.

use std::sync::Arc;
use std::time::Duration;

use crate::env::clock::{Clock, SystemClock};
use crate::model::durability::Durability;
use crate::model::limits::{
    COMPACTION_BYTES_PER_SECOND_DEFAULT, HEAD_BYTES_MAX_DEFAULT, LOG_BYTES_MAX, LOG_FILE_BYTES, RECLAIM_WITHIN_DEFAULT,
    SERIES_MAX_DEFAULT,
};
use crate::model::rollup::{Rollup, Tier};

/// Who flushes and compacts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Maintenance {
    /// Threads of the database. The default.
    #[default]
    Background,
    /// The caller, by [`Db::maintain`](crate::Db::maintain); a full head is flushed by the writer that fills it.
    /// Nothing happens at a time of its own, so the same calls leave the same files.
    Manual,
}

/// What [`Builder`](crate::Builder) collects, and what simulations make smaller.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) durability: Durability,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) maintenance: Maintenance,
    /// Within what time expired bytes leave the disk.
    pub(crate) reclaim_within: Duration,
    /// The windows that are kept; late policy and days of a partition are those of a database that is made now.
    pub(crate) rollup: Rollup,
    /// The tiers of a database that is there already, if they are to be others than it was made with.
    pub(crate) own_tiers: Option<Vec<Tier>>,
    /// How fast the compactor writes segments anew.
    pub(crate) compaction_bytes_per_second: u64,
    pub(crate) head_bytes_max: usize,
    pub(crate) series_max: usize,
    pub(crate) store_non_finite: bool,
    pub(crate) strict: bool,
    /// Whether the catalogue is stored.
    pub(crate) keep_catalog: KeepCatalog,
    /// Length at which a log file is full; a constant outside of tests.
    pub(crate) log_file_bytes: u64,
    /// Most bytes of log; a constant outside of tests.
    pub(crate) log_bytes_max: u64,
    /// Ids of a database that is made now; random outside of tests.
    pub(crate) ids: Option<[u8; 16]>,
}

/// When a copy of the catalogue is kept on disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum KeepCatalog {
    /// In memory, and in simulations: it is filled from the segments at each open.
    Never,
    /// Where the segments are so many that reading their names would take longer.
    WhereItPays,
    /// For tests.
    #[cfg_attr(not(test), allow(dead_code, reason = "tests have small volumes"))]
    Always,
}

impl Settings {
    /// [`Self::reclaim_within`] in milliseconds.
    pub(crate) fn reclaim_millis(&self) -> i64 {
        i64::try_from(self.reclaim_within.as_millis()).unwrap_or(i64::MAX)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            clock: Arc::new(SystemClock::default()),
            maintenance: Maintenance::default(),
            reclaim_within: RECLAIM_WITHIN_DEFAULT,
            rollup: Rollup::default(),
            own_tiers: None,
            compaction_bytes_per_second: COMPACTION_BYTES_PER_SECOND_DEFAULT,
            head_bytes_max: HEAD_BYTES_MAX_DEFAULT,
            series_max: SERIES_MAX_DEFAULT,
            store_non_finite: false,
            strict: false,
            keep_catalog: KeepCatalog::Never,
            log_file_bytes: LOG_FILE_BYTES,
            log_bytes_max: LOG_BYTES_MAX,
            ids: None,
        }
    }
}
