//! The door: everything a program does with an open database goes through here.

use std::path::Path;
use std::sync::Arc;

use crate::builder::Builder;
use crate::engine::Engine;
use crate::engine::recovery::Recovery;
use crate::error::Result;
use crate::model::batch::{Receipt, WriteBatch};
use crate::model::point::Point;
use crate::model::selector::Selector;
use crate::model::series::SeriesKey;
use crate::model::time::TimeRange;

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
    engine: Arc<Engine>,
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
        Self { engine }
    }

    /// Stores a batch: all of its points or, on an error, none. On return the points are as durable as the
    /// database's [`Durability`](crate::Durability) (or the batch's own, if that is more) says, and every later read
    /// sees them.
    ///
    /// # Errors
    /// `InvalidInput` for a point or batch outside the limits; `TooManySeries`; `Overloaded` when memory, log or queue
    /// is full; `NoSpace` and `Io` when the log could not be written, and goes on without the batch; `Failed` or
    /// `Closed` when the database takes no more writes; `Unknown` when a sync failed, so that the batch may or may not
    /// be there after a restart (sending it again is harmless). A batch without points is nothing to do, and no error.
    pub fn write(&self, batch: &WriteBatch) -> Result<Receipt> {
        self.engine.write(batch)
    }

    /// Stores one point. The same as a batch of one; batches are many times faster.
    ///
    /// # Errors
    /// As [`Db::write`].
    pub fn insert(&self, series: &SeriesKey, point: Point) -> Result<Receipt> {
        self.write(&WriteBatch::from_iter([(series.clone(), point)]))
    }

    /// The points of one series in a range, in order of time, forwards or backwards.
    ///
    /// Points that have expired by the database's clock, read once per call, are not among them. A series that is not
    /// known has no points.
    ///
    /// # Errors
    /// None yet for recent points; each item may carry an error of its own once points come from disk.
    pub fn points(&self, series: &SeriesKey, range: impl Into<TimeRange>) -> Result<Points> {
        Ok(self.first_points(series, range.into(), usize::MAX))
    }

    /// As [`Db::points`], but at most `count_max` of them.
    pub(crate) fn first_points(&self, series: &SeriesKey, range: TimeRange, count_max: usize) -> Points {
        Points { points: self.engine.points(series, range, count_max).into_iter() }
    }

    /// The names of the selected series, in key order (namespace, metric, dimensions by name).
    ///
    /// # Errors
    /// None yet; names may come from disk later.
    pub fn series(&self, selector: &Selector) -> Result<Vec<SeriesKey>> {
        Ok(self.engine.series(selector))
    }

    /// Makes everything acknowledged so far durable, in any mode.
    ///
    /// # Errors
    /// `Failed` when the sync fails or an earlier one did: the database then takes no more writes until it is opened
    /// anew. `Closed` after [`Db::close`].
    pub fn sync(&self) -> Result<()> {
        self.engine.sync()
    }

    /// Makes everything durable, seals the log and releases the directory. Other clones of this handle can still
    /// read; their writes are answered with `Closed`, or `Failed` if the log had failed. Closing twice is harmless.
    ///
    /// # Errors
    /// `Failed` when not everything could be made durable; `NoSpace` and `Io` when only the seal could not be written,
    /// which the next open makes good. The directory is released all the same.
    pub fn close(&self) -> Result<()> {
        self.engine.close()
    }

    /// What opening found: whether the last stop was clean, what was replayed, cut off or set aside.
    pub fn recovery(&self) -> &Recovery {
        self.engine.recovery()
    }
}

/// The points of one series: what [`Db::points`] gives.
#[derive(Debug)]
pub struct Points {
    points: std::vec::IntoIter<Point>,
}

impl Iterator for Points {
    type Item = Result<Point>;

    fn next(&mut self) -> Option<Self::Item> {
        self.points.next().map(Ok)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.points.size_hint()
    }
}

impl DoubleEndedIterator for Points {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.points.next_back().map(Ok)
    }
}
