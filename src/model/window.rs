//! What a reader is told of one window.

use std::time::Duration;

use crate::model::point::{Unit, Value};
use crate::model::summary::{Number, Sample, Summary, approximate};
use crate::model::time::Timestamp;

/// Statistics of the points of one series, or of several, in one window of time `[start, start + period)`.
///
/// Every accepted point counts once, whether it has expired since or not. Of a window without a point there is nothing
/// to tell, so there is no such window.
#[derive(Clone, PartialEq, Debug)]
pub struct Window {
    /// First moment of the window: a multiple of the period since 1970-01-01T00:00:00Z.
    pub start: Timestamp,
    /// Length of the window.
    pub period: Duration,
    /// Whether it may still change.
    pub state: WindowState,
    /// Whether it was computed from the points that can be read now, because windows that fit into it are not stored:
    /// what has expired does not count in it.
    pub is_raw: bool,
    pub(crate) summary: Summary,
    pub(crate) unit: Option<Unit>,
}

/// How final a window is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum WindowState {
    /// It is not over.
    Open,
    /// It is over, but late points are still to be expected: for three days, or for the time of
    /// [`Late::DiscardAfter`](crate::Late::DiscardAfter).
    Settling,
    /// No late point is expected any more.
    Sealed,
    /// It is sealed, and of the windows that are stored of it one was changed by a batch that came after that one had
    /// been sealed.
    Amended,
}

impl WindowState {
    /// The one of two that is less final; what was changed once it was sealed is less final than what was not.
    fn least_final(self, other: Self) -> Self {
        let finality = |state: Self| match state {
            Self::Open => 0,
            Self::Settling => 1,
            Self::Amended => 2,
            Self::Sealed => 3,
        };
        if finality(other) < finality(self) { other } else { self }
    }
}

impl Window {
    /// Number of values.
    pub fn count(&self) -> u64 {
        self.summary.count()
    }

    /// How many of the values are integers.
    pub fn integers(&self) -> u64 {
        self.summary.integers()
    }

    /// The sum: exact if all values are integers.
    pub fn sum(&self) -> Number {
        self.summary.sum()
    }

    /// The smallest value.
    pub fn min(&self) -> Value {
        self.summary.min()
    }

    /// The largest value.
    pub fn max(&self) -> Value {
        self.summary.max()
    }

    /// Whether smallest and largest value are bounds only: a point that held one of them was replaced when others of its
    /// window were gone already. Count, and sum and variance of integers, stay exact; those of floats are then right to
    /// about 10^-16 of what they were with the point that went. If a damaged file kept it unknown what a point replaced,
    /// both may count.
    pub fn is_bound(&self) -> bool {
        self.summary.is_bound
    }

    /// The earliest value and its time.
    pub fn first(&self) -> (Timestamp, Value) {
        of_sample(self.summary.first)
    }

    /// The latest value and its time.
    pub fn last(&self) -> (Timestamp, Value) {
        of_sample(self.summary.last)
    }

    /// The mean of all values.
    pub fn average(&self) -> f64 {
        self.summary.average()
    }

    /// The population variance: 0 for one value.
    pub fn variance(&self) -> f64 {
        self.summary.variance()
    }

    /// The value below which a part of all values lies, from 0 to 1: 0.5 is the median. Right to one in a hundred, and
    /// never beyond [`Window::min`] and [`Window::max`]. Of values that differ by more than 10^17 times, those near zero
    /// are told as zero. `None` unless [`Builder::percentiles`](crate::Builder::percentiles) was on for all of its points.
    ///
    /// ```
    /// use ebbtide::{Builder, Point, SeriesKey, TimeRange, Timestamp};
    /// use std::time::Duration;
    /// let db = Builder::in_memory().percentiles(true).open()?;
    /// let cpu = SeriesKey::new("MINE.APP", "cpu_util", [("host", "a")])?;
    /// for value in 1..=100 {
    ///     db.insert(&cpu, Point::new(Timestamp::from_secs(value), value))?;
    /// }
    /// let windows = db.windows(&cpu, TimeRange::ALL, Duration::from_secs(300))?;
    /// assert!(windows[0].percentile(0.95).is_some_and(|value| (94.0..=96.1).contains(&value)));
    /// # Ok::<(), ebbtide::Error>(())
    /// ```
    pub fn percentile(&self, part: f64) -> Option<f64> {
        let (min, max) = (approximate(self.min()), approximate(self.max()));
        self.summary.sketch.as_ref().map(|sketch| sketch.quantile(part).clamp(min, max))
    }

    /// Adds the same window of another series. At equal times the other's value counts as the first and as the last.
    pub(crate) fn absorb(&mut self, other: Self) {
        if other.summary.last.time >= self.summary.last.time {
            self.unit = other.unit;
        }
        self.summary.absorb(&other.summary);
        self.is_raw |= other.is_raw;
        self.state = self.state.least_final(other.state);
    }

    /// The unit of the latest value.
    pub fn unit(&self) -> Option<&Unit> {
        self.unit.as_ref()
    }
}

fn of_sample(sample: Sample) -> (Timestamp, Value) {
    (Timestamp::from_millis(sample.time), sample.value)
}
