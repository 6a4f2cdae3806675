//! Answers about many points: as columns, or the newest of each series.

use crate::error::Error;
use crate::model::point::{Point, Value};
use crate::model::series::SeriesKey;
use crate::model::time::Timestamp;

/// Times and values of points of one series, in order of time. See [`Db::read_into`](crate::Db::read_into).
///
/// The room that it has taken stays when it is filled anew, so that asking again and again allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    /// One for each point.
    pub times: Vec<Timestamp>,
    /// One for each point.
    pub values: Vec<Value>,
    pub(crate) missing: Vec<Error>,
}

impl Columns {
    /// Number of points.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there is no point.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Times and values side by side.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Timestamp, Value)> {
        self.times.iter().copied().zip(self.values.iter().copied())
    }

    /// What could not be read; points that lie there are not among these.
    pub fn missing(&self) -> &[Error] {
        &self.missing
    }

    /// Keeps the first points alone.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.times.truncate(len);
        self.values.truncate(len);
    }

    pub(crate) fn clear(&mut self) {
        self.times.clear();
        self.values.clear();
        self.missing.clear();
    }
}

/// The newest visible points of several series, in key order. See [`Db::latest_of`](crate::Db::latest_of).
#[derive(Clone, Debug, Default)]
pub struct Latest {
    pub(crate) list: Vec<(SeriesKey, Point)>,
    pub(crate) missing: Vec<Error>,
}

impl Latest {
    /// What could not be read: a series may have had a newer point there.
    pub fn missing(&self) -> &[Error] {
        &self.missing
    }
}

impl std::ops::Deref for Latest {
    type Target = [(SeriesKey, Point)];

    fn deref(&self) -> &[(SeriesKey, Point)] {
        &self.list
    }
}

impl IntoIterator for Latest {
    type Item = (SeriesKey, Point);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}
