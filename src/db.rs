//! The door: everything a program does with an open database goes through here.

mod backup;
mod read;

use std::path::Path;
use std::sync::Arc;

pub use read::Points;

use crate::builder::Builder;
use crate::engine::Engine;
use crate::engine::explain::Explanation;
use crate::engine::health::Health;
use crate::engine::recovery::Recovery;
use crate::engine::stats::Stats;
use crate::engine::verify_rollups::RollupReport;
use crate::error::{Error, Result};
use crate::model::batch::{Receipt, WriteBatch};
use crate::model::durability::Sequence;
use crate::model::point::Point;
use crate::model::series::SeriesKey;
use crate::model::time::{TimeRange, Timestamp};

/// An open database. Cheap to clone; every clone is the same database, usable from any thread.
///
/// When the last clone goes, the database is closed as well as it can be; [`Db::close`] also tells whether that
/// worked.
///
/// ```
/// use ebbtide::{Db, Point, SeriesKey, TimeRange, Timestamp, Ttl};
///
/// let dir = tempfile::tempdir()?;
/// let db = Db::open(dir.path())?;
/// let cpu = SeriesKey::new("MINE.APP", "cpu_util", [("host", "a")])?;
/// db.insert(&cpu, Point::new(Timestamp::from_secs(10), 60).with_ttl(Ttl::NEVER).with_unit("%"))?;
///
/// for point in db.points(&cpu, TimeRange::ALL)? {
///     println!("{:?}", point?);
/// }
/// db.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Db {
    owner: Arc<Owner>,
}

/// Closes the engine when the last handle goes; its own threads hold it too.
#[derive(Debug)]
struct Owner(Arc<Engine>);

impl Drop for Owner {
    fn drop(&mut self) {
        if let Err(error) = self.0.close() {
            tracing::error!(%error, "the database could not be closed in order; its log is replayed at the next open");
        }
    }
}

impl Db {
    /// Opens the database in a directory with default settings, making it if it is not there.
    ///
    /// # Errors
    /// See [`Builder::open`].
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        Self::builder(dir).open()
    }

    /// Settings for a database in a directory.
    pub fn builder(dir: impl AsRef<Path>) -> Builder {
        Builder::new(dir.as_ref())
    }

    /// An empty database that lives in memory only, with default settings.
    ///
    /// ```
    /// let db = ebbtide::Db::in_memory();
    /// assert!(db.series(&ebbtide::Selector::all())?.is_empty());
    /// # Ok::<(), ebbtide::Error>(())
    /// ```
    pub fn in_memory() -> Self {
        Builder::in_memory().open().expect("an empty database in memory meets no error")
    }

    pub(crate) fn over(engine: Arc<Engine>) -> Self {
        Self { owner: Arc::new(Owner(engine)) }
    }

    fn engine(&self) -> &Engine {
        &self.owner.0
    }

    /// Stores a batch: all of its points or, on an error, none. On return the points are as durable as the
    /// database's [`Durability`](crate::Durability) (or the batch's own, if that is more) says, and every later read
    /// sees them.
    ///
    /// # Errors
    /// `InvalidInput` for a point or batch outside the limits; `TooManySeries`; `Overloaded` when memory, log or queue
    /// is full and no flush made room for 5 s; `NoSpace` and `Io` when the log could not be written, and goes on
    /// without the batch; `Failed` or `Closed` when the database takes no more writes; `Unknown` when a sync failed, so
    /// that the batch may or may not be there after a restart (sending it again is harmless). A batch without points is
    /// nothing to do, and no error.
    pub fn write(&self, batch: &WriteBatch) -> Result<Receipt> {
        self.engine().write(batch)
    }

    /// Stores one point. The same as a batch of one; batches are many times faster.
    ///
    /// # Errors
    /// As [`Db::write`].
    pub fn insert(&self, series: &SeriesKey, point: Point) -> Result<Receipt> {
        self.write(&WriteBatch::from_iter([(series.clone(), point)]))
    }

    /// Deletes the raw points that a series has in a range: at once for every reader, and for good once the log is as
    /// durable as the database's mode says. The compactor returns their space. What is written there later is new.
    ///
    /// Gives the deletion's place in the order of all batches. A series that is not known has nothing to delete.
    ///
    /// ```
    /// use ebbtide::{Db, Point, SeriesKey, TimeRange, Timestamp};
    /// let db = Db::in_memory();
    /// let cpu = SeriesKey::new("MINE.APP", "cpu_util", [("host", "a")])?;
    /// db.insert(&cpu, Point::new(Timestamp::from_secs(10), 60))?;
    /// db.delete(&cpu, TimeRange::ALL)?;
    /// assert_eq!(db.points(&cpu, TimeRange::ALL)?.count(), 0);
    /// # Ok::<(), ebbtide::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Overloaded` when 10,000 deletions wait for the compactor; otherwise as [`Db::write`].
    pub fn delete(&self, series: &SeriesKey, range: impl Into<TimeRange>) -> Result<Sequence> {
        self.engine().delete(series, range.into())
    }

    /// Makes everything acknowledged so far durable, in any mode.
    ///
    /// # Errors
    /// `Failed` when the sync fails or an earlier one did: the database then takes no more writes until it is opened
    /// anew. `Closed` after [`Db::close`].
    pub fn sync(&self) -> Result<()> {
        self.engine().sync()
    }

    /// Moves everything acknowledged so far from memory and log into segments. Done by itself when memory or log are
    /// full, when points have waited for half of [`Builder::reclaim_within`](crate::Builder::reclaim_within), and by
    /// [`Db::close`].
    ///
    /// # Errors
    /// `NoSpace` and `Io` as the system has it: everything stays where it was; `Failed` when the manifest can no
    /// longer be trusted; `Closed`.
    pub fn flush(&self) -> Result<()> {
        self.engine().flush()
    }

    /// Does what is due, on the caller's thread: flushes points that have waited, frees what has expired, merges small
    /// segments, makes the backups of [policies](Db::backup_policy). Under
    /// [`Maintenance::Background`](crate::Maintenance::Background) threads do it by themselves.
    ///
    /// # Errors
    /// As [`Db::flush`], and as [`Db::snapshot`] and [`Db::remove_backup`] where a policy is in force.
    pub fn maintain(&self) -> Result<()> {
        self.engine().maintain()
    }

    /// Flushes, carries out all deletions, frees what has expired and merges everything that may be merged: the
    /// smallest form on disk, at the price of writing much of it anew.
    ///
    /// # Errors
    /// As [`Db::flush`].
    pub fn compact(&self) -> Result<()> {
        self.engine().compact()
    }

    /// Sizes and counts.
    pub fn stats(&self) -> Stats {
        self.engine().stats()
    }

    /// Whether everything works, and if not, what needs attention.
    ///
    /// ```
    /// assert_eq!(ebbtide::Db::in_memory().health(), ebbtide::Health::Good);
    /// ```
    pub fn health(&self) -> Health {
        self.engine().health()
    }

    /// Reads and checks every file; gives what is wrong with them, nothing if all is well.
    pub fn verify(&self) -> Vec<Error> {
        self.engine().verify()
    }

    /// Flushes, and computes every stored window again whose points are all still there: integers have to be the same,
    /// floats but for what rounding may do. What was looked at and what not, and why, is in the report; reading it all
    /// takes as long as reading all points.
    ///
    /// ```
    /// use ebbtide::{Db, Point, SeriesKey, Timestamp};
    /// let db = Db::in_memory();
    /// let cpu = SeriesKey::new("MINE.APP", "cpu_util", [("host", "a")])?;
    /// let now = Timestamp::EPOCH + std::time::UNIX_EPOCH.elapsed()?;
    /// db.insert(&cpu, Point::new(now, 60))?;
    /// let report = db.verify_rollups()?;
    /// assert_eq!((report.checked, report.points_gone, report.wrong_windows), (1, 0, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Db::flush`]. What cannot be read is counted, and no error here.
    pub fn verify_rollups(&self) -> Result<RollupReport> {
        self.engine().verify_rollups()
    }

    /// Where the point of a series at a time is, or why it is not there.
    ///
    /// ```
    /// use ebbtide::{Db, Outcome, Point, SeriesKey, Timestamp, Ttl};
    /// let db = Db::in_memory();
    /// let cpu = SeriesKey::new("MINE.APP", "cpu_util", [("host", "a")])?;
    /// let time = Timestamp::from_secs(10);
    /// assert_eq!(db.explain(&cpu, time).outcome, Outcome::NeverSeen);
    /// db.insert(&cpu, Point::new(time, 60).with_ttl(Ttl::from_secs(5)))?;
    /// assert_eq!(db.explain(&cpu, time).outcome, Outcome::Expired(Timestamp::from_secs(15)));
    /// # Ok::<(), ebbtide::Error>(())
    /// ```
    pub fn explain(&self, series: &SeriesKey, time: Timestamp) -> Explanation {
        self.engine().explain(series, time)
    }

    /// Takes the clock as it stands for right. After a jump forward of more than an hour nothing is destroyed until the
    /// new time has held for ten minutes, or until this call.
    pub fn confirm_clock(&self) {
        self.engine().believe_clock();
    }

    /// Flushes, makes everything durable, seals the log and releases the directory. Other clones of this handle can
    /// still read; their writes are answered with `Closed`, or `Failed` if the log had failed. Closing twice is
    /// harmless.
    ///
    /// # Errors
    /// `Failed` when not everything could be made durable; `NoSpace` and `Io` when only the seal could not be written,
    /// which the next open makes good. The directory is released all the same.
    pub fn close(&self) -> Result<()> {
        self.engine().close()
    }

    /// What opening found: whether the last stop was clean, what was replayed, cut off or set aside.
    pub fn recovery(&self) -> Recovery {
        self.engine().recovery()
    }
}
