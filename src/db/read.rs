//! What a program asks of an open database: points, windows, and which series there are.

use std::time::Duration;

use crate::db::Db;
use crate::engine::query::Reading;
use crate::error::{Error, Result};
use crate::model::aggregate::{Aggregate, Group};
use crate::model::columns::{Columns, Latest};
use crate::model::limits::WINDOWS_MAX;
use crate::model::point::Point;
use crate::model::selector::{Order, Selector, SeriesPage};
use crate::model::series::SeriesKey;
use crate::model::time::TimeRange;
use crate::model::windows::{Function, Values, Windows};

impl Db {
    /// The points of one series in a range, in order of time, forwards or backwards, read as they are asked for.
    ///
    /// Points that have expired by the database's clock, read once per call, are not among them. A series that is not
    /// known has no points. The answer stays the same whatever is written, flushed or compacted meanwhile.
    ///
    /// # Errors
    /// `Corruption` and `Io` when a file cannot be read, under [`Builder::strict`](crate::Builder::strict): here, or
    /// as an item. Otherwise what can be read is given and [`Points::missing`] tells what could not.
    pub fn points(&self, series: &SeriesKey, range: impl Into<TimeRange>) -> Result<Points> {
        Ok(Points { reading: self.engine().points(series, range.into())? })
    }

    /// What the points of a series amount to in windows of time: every window of `period` that has a value and reaches
    /// into the range, in order of time. Window `k` is `[k * period, (k + 1) * period)`, counted from 1970 in UTC.
    ///
    /// Every accepted point counts, long after it has expired, as long as
    /// [`Builder::retention`](crate::Builder::retention) keeps windows that fit into those of the period. Other windows
    /// are computed from the points that can be read now, and say so ([`Window::is_raw`](crate::Window::is_raw)).
    /// Windows that are not over yet are among them.
    ///
    /// ```
    /// use ebbtide::{Db, Point, SeriesKey, TimeRange, Timestamp, Number, Ttl};
    /// use std::time::Duration;
    /// let db = Db::in_memory();
    /// let cpu = SeriesKey::new("MINE.APP", "cpu_util", [("host", "a")])?;
    /// for (second, value) in [(1, 60), (2, 70), (301, 5)] {
    ///     db.insert(&cpu, Point::new(Timestamp::from_secs(second), value).with_ttl(Ttl::NEVER))?;
    /// }
    /// let windows = db.windows(&cpu, TimeRange::ALL, Duration::from_secs(300))?;
    /// assert_eq!(windows.len(), 2);
    /// assert_eq!((windows[0].count(), windows[0].sum(), windows[0].average()), (2, Number::Int(130), 65.0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` for a period that is no whole number of milliseconds, or more than
    /// [`WINDOWS_MAX`](crate::limits::WINDOWS_MAX) windows; otherwise as [`Db::points`].
    pub fn windows(&self, series: &SeriesKey, range: impl Into<TimeRange>, period: Duration) -> Result<Windows> {
        self.engine().windows(series, range.into(), period, WINDOWS_MAX)
    }

    /// The same for who has room for so many windows only.
    #[cfg(feature = "server")]
    pub(crate) fn windows_up_to(
        &self,
        most: usize,
        series: &SeriesKey,
        range: TimeRange,
        period: Duration,
    ) -> Result<Windows> {
        self.engine().windows(series, range, period, most)
    }

    /// One number for each window of a series: the same as [`Windows::values`] without filling. Where one segment holds all
    /// windows of each day in the range and nothing recent lies in it, only the columns that the number takes are looked
    /// at, many times as fast.
    ///
    /// ```
    /// use ebbtide::{Db, Function, Number, Point, SeriesKey, Timestamp};
    /// use std::time::Duration;
    /// let db = Db::in_memory();
    /// let cpu = SeriesKey::new("MINE.APP", "cpu_util", [("host", "a")])?;
    /// for (second, value) in [(0, 10), (30, 30), (60, 50)] {
    ///     db.insert(&cpu, Point::new(Timestamp::from_secs(second), value))?;
    /// }
    /// let averages = db.values(&cpu, .., Duration::from_secs(60), Function::Average)?;
    /// assert_eq!(averages[..], [(Timestamp::EPOCH, Number::Float(20.0)), (Timestamp::from_secs(60), Number::Float(50.0))]);
    /// # Ok::<(), ebbtide::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Db::windows`].
    pub fn values(
        &self,
        series: &SeriesKey,
        range: impl Into<TimeRange>,
        period: Duration,
        function: Function,
    ) -> Result<Values> {
        self.engine().values(series, range.into(), period, function)
    }

    /// The windows of many series put together, by the values of dimensions, in order of those. Groups without a window
    /// are left out, unless something of theirs could not be read.
    ///
    /// All values count as if they were of one series: an average is that of all points, never one of averages. Series
    /// are read one after the other, so a batch that comes meanwhile may be seen in some of them only.
    ///
    /// ```
    /// use ebbtide::{Aggregate, Db, Point, Selector, SeriesKey, TimeRange, Timestamp};
    /// use std::time::Duration;
    /// let db = Db::in_memory();
    /// for (host, core, value) in [("a", "0", 10), ("a", "1", 30), ("b", "0", 50)] {
    ///     let cpu = SeriesKey::new("MINE.APP", "cpu_util", [("host", host), ("core", core)])?;
    ///     db.insert(&cpu, Point::new(Timestamp::from_secs(10), value))?;
    /// }
    /// let question = Aggregate::new(Selector::all().metric("cpu_util"), TimeRange::ALL, Duration::from_secs(60));
    /// let hosts = db.aggregate(&question.clone().by(["host"]))?;
    /// assert_eq!(hosts[0].labels, [("host".to_owned(), "a".to_owned())]);
    /// assert_eq!((hosts[0].windows[0].average(), hosts[1].windows[0].average()), (20.0, 50.0));
    /// assert_eq!(db.aggregate(&question)?[0].windows[0].average(), 30.0);
    /// # Ok::<(), ebbtide::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` for more than [`AGGREGATE_SERIES_MAX`](crate::limits::AGGREGATE_SERIES_MAX) series, more than
    /// [`WINDOWS_MAX`](crate::limits::WINDOWS_MAX) windows in all groups together, or a dimension that is named twice;
    /// otherwise as [`Db::windows`].
    pub fn aggregate(&self, question: &Aggregate) -> Result<Vec<Group>> {
        self.engine().aggregate(question)
    }

    /// The newest visible point of a series, if it has one. Where something cannot be read it may be an older one;
    /// [`Db::latest_of`] tells.
    ///
    /// ```
    /// use ebbtide::{Db, Point, SeriesKey, Timestamp, Value};
    /// let db = Db::in_memory();
    /// let cpu = SeriesKey::new("MINE.APP", "cpu_util", [("host", "a")])?;
    /// db.insert(&cpu, Point::new(Timestamp::from_secs(10), 60))?;
    /// db.insert(&cpu, Point::new(Timestamp::from_secs(5), 50))?;
    /// assert_eq!(db.latest(&cpu)?.map(|point| point.value), Some(Value::Int(60)));
    /// # Ok::<(), ebbtide::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Db::points`].
    pub fn latest(&self, series: &SeriesKey) -> Result<Option<Point>> {
        self.engine().latest(series)
    }

    /// The newest visible point of each selected series that has one, in key order, and what could not be read. A batch
    /// that comes meanwhile may be seen in some of them only.
    ///
    /// ```
    /// use ebbtide::{Db, Point, Selector, SeriesKey, Timestamp, Value};
    /// let db = Db::in_memory();
    /// for (host, value) in [("a", 60), ("b", 50)] {
    ///     let cpu = SeriesKey::new("MINE.APP", "cpu_util", [("host", host)])?;
    ///     db.insert(&cpu, Point::new(Timestamp::from_secs(10), value))?;
    /// }
    /// let latest = db.latest_of(&Selector::all().metric("cpu_util"))?;
    /// assert_eq!(latest[1].0.dimension("host"), Some("b"));
    /// assert_eq!(latest[1].1.value, Value::Int(50));
    /// # Ok::<(), ebbtide::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Db::points`].
    pub fn latest_of(&self, selector: &Selector) -> Result<Latest> {
        self.engine().latest_of(selector)
    }

    /// The same of these series, in their order.
    ///
    /// ```
    /// use ebbtide::{Db, Point, SeriesKey, Timestamp};
    /// let db = Db::in_memory();
    /// let [cpu, memory] = ["cpu_util", "mem_util"].map(|name| SeriesKey::new("MINE.APP", name, [("host", "a")]));
    /// let (cpu, memory) = (cpu?, memory?);
    /// db.insert(&cpu, Point::new(Timestamp::from_secs(10), 60))?;
    /// assert_eq!(db.latest_of_keys(&[memory, cpu.clone()])?[..], [(cpu, Point::new(Timestamp::from_secs(10), 60))]);
    /// # Ok::<(), ebbtide::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Db::points`].
    pub fn latest_of_keys(&self, series: &[SeriesKey]) -> Result<Latest> {
        self.engine().latest_of_keys(series)
    }

    /// Times and values of the visible points of a series in a range, in place of what `columns` held. The fastest way
    /// to read many points: none of them is made a [`Point`], and `columns` keeps its memory from one question to the next.
    ///
    /// ```
    /// use ebbtide::{Columns, Db, Point, SeriesKey, Timestamp, Value};
    /// let db = Db::in_memory();
    /// let cpu = SeriesKey::new("MINE.APP", "cpu_util", [("host", "a")])?;
    /// db.insert(&cpu, Point::new(Timestamp::from_secs(10), 60))?;
    /// let mut columns = Columns::default();
    /// db.read_into(&cpu, .., &mut columns)?;
    /// assert_eq!((columns.times[0], columns.values[0]), (Timestamp::from_secs(10), Value::Int(60)));
    /// # Ok::<(), ebbtide::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Db::points`]; in a strict database also what could not be read on the way, and `columns` may hold some
    /// points then.
    pub fn read_into(&self, series: &SeriesKey, range: impl Into<TimeRange>, columns: &mut Columns) -> Result<()> {
        self.engine().read_into(series, range.into(), columns)
    }

    /// The names of the selected series, in key order (namespace, metric, dimensions by name).
    ///
    /// # Errors
    /// None yet; names may come from disk later.
    pub fn series(&self, selector: &Selector) -> Result<Vec<SeriesKey>> {
        Ok(self.engine().series(selector))
    }

    /// A page of their list: the first `len_max` series that come behind the key `after` in an order, whether or not there
    /// is such a series. Pages that go on from the last key of the one before give every series once, and end with an
    /// empty page.
    ///
    /// ```
    /// use ebbtide::{Db, Order, Point, Selector, SeriesKey, Timestamp};
    /// let db = Db::in_memory();
    /// for host in ["a", "b", "c"] {
    ///     db.insert(&SeriesKey::new("MINE.APP", "cpu_util", [("host", host)])?, Point::new(Timestamp::EPOCH, 1))?;
    /// }
    /// let all = Selector::all();
    /// let first = db.series_page(&all, None, Order::Descending, 2)?;
    /// assert_eq!((first.keys.len(), first.total), (2, 3));
    /// let last = db.series_page(&all, first.keys.last(), Order::Descending, 2)?;
    /// assert_eq!(last.keys[0].dimension("host"), Some("a"));
    /// # Ok::<(), ebbtide::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Db::series`].
    pub fn series_page(
        &self,
        selector: &Selector,
        after: Option<&SeriesKey>,
        order: Order,
        len_max: usize,
    ) -> Result<SeriesPage> {
        Ok(self.engine().series_page(selector, after, order, len_max))
    }

    /// A series with its dimensions in the order in which they were written first; none if it is not known.
    ///
    /// ```
    /// use ebbtide::{Db, Point, SeriesKey, Timestamp};
    /// let db = Db::in_memory();
    /// let written = SeriesKey::new("MINE.APP", "cpu_util", [("host", "a"), ("core", "1")])?;
    /// db.insert(&written, Point::new(Timestamp::EPOCH, 60))?;
    /// let asked = SeriesKey::new("MINE.APP", "cpu_util", [("core", "1"), ("host", "a")])?;
    /// let shown = db.first_written(&asked)?.map(|key| key.to_string());
    /// assert_eq!(shown.as_deref(), Some("MINE.APP cpu_util{host=a,core=1}"));
    /// # Ok::<(), ebbtide::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Db::series`].
    pub fn first_written(&self, series: &SeriesKey) -> Result<Option<SeriesKey>> {
        Ok(self.engine().first_written(series))
    }
}

/// The points of one series: what [`Db::points`] gives.
#[derive(Debug)]
pub struct Points {
    reading: Reading,
}

impl Points {
    /// What could not be read so far, unless the database is strict; points that lie there are not among those given.
    pub fn missing(&self) -> &[Error] {
        self.reading.missing()
    }
}

impl Iterator for Points {
    type Item = Result<Point>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.reading.next()
    }
}

impl DoubleEndedIterator for Points {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.reading.next_back()
    }
}
