//! The settings of one open database.

use std::sync::Arc;

use crate::env::clock::{Clock, SystemClock};
use crate::model::durability::Durability;
use crate::model::limits::{HEAD_BYTES_MAX_DEFAULT, LOG_BYTES_MAX, LOG_FILE_BYTES, SERIES_MAX_DEFAULT};

/// What [`Builder`](crate::Builder) collects, and what simulations make smaller.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) durability: Durability,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) head_bytes_max: usize,
    pub(crate) series_max: usize,
    pub(crate) store_non_finite: bool,
    pub(crate) strict: bool,
    /// Length a log file is preallocated to; a constant outside of tests.
    pub(crate) log_file_bytes: u64,
    /// Most bytes of log; a constant outside of tests.
    pub(crate) log_bytes_max: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            clock: Arc::new(SystemClock::default()),
            head_bytes_max: HEAD_BYTES_MAX_DEFAULT,
            series_max: SERIES_MAX_DEFAULT,
            store_non_finite: false,
            strict: false,
            log_file_bytes: LOG_FILE_BYTES,
            log_bytes_max: LOG_BYTES_MAX,
        }
    }
}
