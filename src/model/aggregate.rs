//! A question across series, and its answer: one list of windows for each group of series.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::model::limits::DIMENSIONS_MAX;
use crate::model::selector::Selector;
use crate::model::series::SeriesKey;
use crate::model::time::TimeRange;
use crate::model::windows::Windows;

/// Asks for the windows of many series put together. See [`Db::aggregate`](crate::Db::aggregate).
#[derive(Clone, Debug)]
pub struct Aggregate {
    pub(crate) selector: Selector,
    pub(crate) range: TimeRange,
    pub(crate) period: Duration,
    pub(crate) by: Vec<Box<str>>,
}

impl Aggregate {
    /// All selected series as one group, in windows of a period.
    pub fn new(selector: Selector, range: impl Into<TimeRange>, period: Duration) -> Self {
        Self { selector, range: range.into(), period, by: Vec::new() }
    }

    /// A group for each combination of values of these dimensions, instead of one for all series.
    #[must_use]
    pub fn by<N: Into<Box<str>>>(self, dimensions: impl IntoIterator<Item = N>) -> Self {
        Self { by: dimensions.into_iter().map(Into::into).collect(), ..self }
    }

    /// Refuses dimensions that no series can have together.
    pub(crate) fn check(&self) -> Result<()> {
        if self.by.len() > DIMENSIONS_MAX {
            return Err(Error::invalid(format!("groups by {} dimensions, at most {DIMENSIONS_MAX}", self.by.len())));
        }
        let twice = (1..self.by.len()).find(|place| self.by[..*place].contains(&self.by[*place]));
        twice.map_or(Ok(()), |place| Err(Error::invalid(format!("groups by {:?} twice", self.by[place]))))
    }

    /// The values that decide about the group of a series; empty for a dimension that it lacks.
    pub(crate) fn values_of(&self, key: &SeriesKey) -> Vec<String> {
        self.by.iter().map(|name| key.dimension(name).unwrap_or_default().to_owned()).collect()
    }
}

/// Series that were put together, and what they amount to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Group {
    /// The dimensions that were asked for, in that order, each with the value that the series of the group share; an
    /// empty value where they have no such dimension.
    pub labels: Vec<(String, String)>,
    /// How many series have a window in it.
    pub series: usize,
    /// Their windows, put together. One is raw or a bound if any of its parts is, and as final as the least final of
    /// them.
    pub windows: Windows,
}
