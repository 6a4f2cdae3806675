//! The settings of a database, and the way to open it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::db::Db;
use crate::engine::Engine;
use crate::engine::settings::{KeepCatalog, Maintenance, Settings};
use crate::env::clock::Clock;
use crate::env::disk::Disk;
use crate::env::memory::MemoryDisk;
use crate::env::real::RealDisk;
use crate::error::{Error, Result};
use crate::model::durability::Durability;
use crate::model::limits::{COMPACTION_BYTES_PER_SECOND_MIN, HEAD_BYTES_MIN, PARTITION_DAYS_MAX, RECLAIM_WITHIN};
use crate::model::rollup::{Late, Rollup};

/// The directory of a database in memory, among its files.
const MEMORY: &str = "memory";

/// Settings for opening a database; made by [`Db::builder`](crate::Db::builder).
///
/// ```
/// use ebbtide::{Db, Durability};
/// let dir = tempfile::tempdir()?;
/// let db = Db::builder(dir.path()).durability(Durability::Buffered).head_bytes_max(64 << 20).open()?;
/// # db.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `open`"]
pub struct Builder {
    /// Where its files lie.
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    settings: Settings,
    /// Length of windows and how long they are kept, if the default is not wanted.
    retention: Option<Vec<(Duration, Duration)>>,
}

impl Builder {
    pub(crate) fn new(dir: &Path) -> Self {
        Self::on(Arc::new(RealDisk), dir)
    }

    /// Settings for a database in a directory of any disk.
    pub(crate) fn on(disk: Arc<dyn Disk>, dir: impl Into<PathBuf>) -> Self {
        let keep_catalog = if disk.is_in_memory() { KeepCatalog::Never } else { KeepCatalog::WhereItPays };
        Self { disk, dir: dir.into(), settings: Settings { keep_catalog, ..Settings::default() }, retention: None }
    }

    /// Settings for a database that lives in memory only and starts empty. Its files are in memory too: the log, which
    /// takes up to 256 MiB beside [`Builder::head_bytes_max`], and the segments, about a byte a point.
    pub fn in_memory() -> Self {
        Self::on(Arc::<MemoryDisk>::default(), MEMORY)
    }

    /// The same in memory with these files, which nobody else may use. It starts with what they hold.
    #[cfg(feature = "server")]
    pub(crate) fn in_memory_of(files: Arc<MemoryDisk>) -> Self {
        Self::on(files, MEMORY)
    }

    /// When a write is acknowledged. Default [`Durability::Sync`]. In memory it changes nothing.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.settings.durability = durability;
        self
    }

    /// Where the database takes its time from. Default [`SystemClock`](crate::SystemClock).
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.settings.clock = clock;
        self
    }

    /// Memory for recent points, in bytes; a growing series may take a quarter of its own size more. At a quarter of
    /// it, or at 32 MiB if there are 512 points for each series, points are set aside to be flushed; when all of it is
    /// taken writers wait, and after 5 s they are refused with `Overloaded`. At least 64 KiB, default 256 MiB.
    pub fn head_bytes_max(mut self, bytes: usize) -> Self {
        self.settings.head_bytes_max = bytes;
        self
    }

    /// Who flushes and compacts. Default [`Maintenance::Background`].
    pub fn maintenance(mut self, maintenance: Maintenance) -> Self {
        self.settings.maintenance = maintenance;
        self
    }

    /// Within what time expired bytes leave the disk; a tenth of a point's TTL where that is longer. 10 s to 31 days,
    /// default one hour. A shorter time makes more and smaller files.
    pub fn reclaim_within(mut self, time: Duration) -> Self {
        self.settings.reclaim_within = time;
        self
    }

    /// Days of a partition, the span that files of points never cross. Fixed when a database is made; opening one that
    /// is there keeps its own. 1 to 366, default 1; a week suits metrics that come every five minutes.
    pub fn partition_days(mut self, days: u16) -> Self {
        self.settings.rollup.partition_days = days;
        self
    }

    /// The windows that are kept of all points, whatever becomes of those, and for how long after the end of their
    /// partition: lengths that divide a day, each a multiple of the one before and kept longer. Points are summed up in
    /// windows of the first length, which become those of the next when their time is over. Default: 5 minutes for 10
    /// days, 20 minutes for 20 days, an hour for 155 days, 4 hours for 300 days, a day for 5 years. None at all keeps
    /// nothing but points.
    ///
    /// A database remembers the tiers that it was made with, for when it is opened without any. Opening it with others
    /// keeps what is stored by those; it never becomes finer.
    pub fn retention(mut self, tiers: impl IntoIterator<Item = (Duration, Duration)>) -> Self {
        self.retention = Some(tiers.into_iter().collect());
        self
    }

    /// Which late points count in windows. Fixed when a database is made; opening one that is there keeps its own.
    /// Default [`Late::Correct`]: all of them.
    pub fn late(mut self, late: Late) -> Self {
        self.settings.rollup.late = late;
        self
    }

    /// Keeps of every window how its values are spread, so that [`Window::percentile`](crate::Window::percentile) can
    /// tell percentiles, at the price of some 2 bytes for each different value of a window. Default off. Fixed
    /// when a database is made; opening one that is there keeps its own.
    pub fn percentiles(mut self, keep: bool) -> Self {
        self.settings.rollup.sketches = keep;
        self
    }

    /// How many bytes of segments the compactor writes anew per second, under [`Maintenance::Background`]. At least
    /// 64 KiB, default 64 MiB.
    pub fn compaction_bytes_per_second(mut self, bytes: u64) -> Self {
        self.settings.compaction_bytes_per_second = bytes;
        self
    }

    /// Most series with points or a recent write. A batch that would make more is refused with `TooManySeries`; known
    /// series go on. Sixteen times as many may live on in windows alone. Default 1,000,000.
    pub fn series_max(mut self, series: u32) -> Self {
        self.settings.series_max = series as usize;
        self
    }

    /// Stores NaN and infinities bit-exactly instead of refusing them. They take part in no statistic. Default off.
    pub fn store_non_finite(mut self, store: bool) -> Self {
        self.settings.store_non_finite = store;
        self
    }

    /// Refuses to open when stored bytes are damaged, instead of setting the damage aside and serving the rest.
    /// A torn end of the log, which every power cut may leave, is not damage. Default off.
    pub fn strict(mut self, strict: bool) -> Self {
        self.settings.strict = strict;
        self
    }

    /// Opens the database, making it if it is not there, and replays its log.
    ///
    /// # Errors
    /// `Locked` when it is open already, here or in another process; `Unsupported` for files of a newer format or a
    /// directory of something else; `Corruption` under [`Builder::strict`] or when `FORMAT` is damaged; `InvalidInput`
    /// for settings out of range; `Io` and `NoSpace` as the system has it.
    pub fn open(mut self) -> Result<Db> {
        self.settings.durability.check()?;
        if let Some(tiers) = &self.retention {
            self.settings.rollup.tiers = Rollup::check_tiers(tiers)?;
            self.settings.own_tiers = Some(self.settings.rollup.tiers.clone());
        }
        self.settings.rollup.late.check()?;
        let (time, days) = (self.settings.reclaim_within, self.settings.rollup.partition_days);
        if !RECLAIM_WITHIN.contains(&time) {
            return Err(Error::invalid(format!("reclaiming within {time:?} is outside of {RECLAIM_WITHIN:?}")));
        }
        if !(1..=PARTITION_DAYS_MAX).contains(&days) {
            return Err(Error::invalid(format!("a partition of {days} days is outside of 1 to {PARTITION_DAYS_MAX}")));
        }
        let (head, pace) = (self.settings.head_bytes_max, self.settings.compaction_bytes_per_second);
        if head < HEAD_BYTES_MIN || pace < COMPACTION_BYTES_PER_SECOND_MIN {
            let why =
                format!("{head} bytes for recent points, {pace} a second for the compactor: too few to work with");
            return Err(Error::invalid(why));
        }
        if self.settings.durability.needs_thread() && self.settings.maintenance == Maintenance::Manual {
            return Err(Error::invalid("syncing in intervals needs a thread, and manual maintenance has none"));
        }
        if self.dir.as_os_str().is_empty() {
            return Err(Error::invalid("the directory's name is empty"));
        }
        Ok(Db::over(Engine::open(self.disk, &self.dir, self.settings)?))
    }
}
