//! What is written in one go, and what came of it.

use crate::error::{Error, Result};
use crate::model::durability::{Durability, Sequence};
use crate::model::limits::BATCH_POINTS_MAX;
use crate::model::point::Point;
use crate::model::series::SeriesKey;

/// Points that are stored together: all of them or none, also across a crash, and visible at the same moment.
///
/// Later points replace earlier ones of the same series and millisecond.
///
/// ```
/// use ebbtide::{Point, SeriesKey, Timestamp, WriteBatch};
/// let cpu = SeriesKey::new("MINE.APP", "cpu_util", [("host", "a")])?;
/// let mut batch = WriteBatch::new();
/// batch.push(cpu.clone(), Point::new(Timestamp::from_secs(10), 60));
/// batch.push(cpu, Point::new(Timestamp::from_secs(20), 70));
/// assert_eq!(batch.len(), 2);
/// # Ok::<(), ebbtide::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct WriteBatch {
    points: Vec<Point>,
    /// Which series they are of: each stands for the points from where the one before it ends up to this position.
    runs: Vec<(SeriesKey, usize)>,
    durability: Option<Durability>,
}

impl WriteBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty batch with room for this many points.
    pub fn with_capacity(points: usize) -> Self {
        let room = points.min(BATCH_POINTS_MAX);
        Self { points: Vec::with_capacity(room), runs: Vec::with_capacity(room), durability: None }
    }

    /// Adds one point of one series.
    pub fn push(&mut self, series: SeriesKey, point: Point) {
        self.points.push(point);
        self.runs.push((series, self.points.len()));
    }

    /// Adds points of one series. Its name is resolved once for all of them, so this is the fastest way in for whoever
    /// has several points of each series.
    ///
    /// ```
    /// use ebbtide::{Point, SeriesKey, Timestamp, WriteBatch};
    /// let cpu = SeriesKey::new("MINE.APP", "cpu_util", [("host", "a")])?;
    /// let mut batch = WriteBatch::new();
    /// batch.push_all(cpu, (0..6).map(|at| Point::new(Timestamp::from_secs(10 * at), 60)));
    /// assert_eq!(batch.len(), 6);
    /// # Ok::<(), ebbtide::Error>(())
    /// ```
    pub fn push_all(&mut self, series: SeriesKey, points: impl IntoIterator<Item = Point>) {
        let mut points = points.into_iter();
        let Some(first) = points.next() else { return };
        self.points.reserve(1 + points.size_hint().0.min(BATCH_POINTS_MAX));
        self.push(series, first);
        // Each point is of its series as soon as it is there, also if the next one panics.
        for point in points {
            self.points.push(point);
            let run = self.runs.last_mut().expect("the first point has begun it");
            run.1 = self.points.len();
        }
    }

    /// Asks for at least this durability for this batch. Less than the database's own changes nothing; more is reached
    /// by a sync, which the receipt tells.
    #[must_use]
    pub fn with_durability(self, durability: Durability) -> Self {
        Self { durability: Some(durability), ..self }
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether there is no point in it.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// The points in the order in which they were added.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&SeriesKey, &Point)> {
        let mut run = 0;
        self.points.iter().enumerate().map(move |(position, point)| {
            while self.runs[run].1 <= position {
                run += 1;
            }
            (&self.runs[run].0, point)
        })
    }

    /// The same, with neighbours that were added together still together.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (&SeriesKey, &[Point])> {
        let mut start = 0;
        self.runs.iter().map(move |(series, end)| (series, &self.points[std::mem::replace(&mut start, *end)..*end]))
    }

    pub(crate) fn durability(&self) -> Option<Durability> {
        self.durability
    }

    /// Refuses what no volume can hold: too many points, times or expiries out of range, long units, and (unless
    /// `store_non_finite`) NaN and infinities.
    pub(crate) fn check(&self, store_non_finite: bool) -> Result<()> {
        self.check_len()?;
        let refusals = self.points.iter().map(|point| refusal(point, store_non_finite));
        match refusals.enumerate().find_map(|(position, why)| Some((position, why?))) {
            Some((position, why)) => Err(Error::invalid(format!("point {position}: {why}"))),
            None => Ok(()),
        }
    }

    /// Refuses too many points.
    pub(crate) fn check_len(&self) -> Result<()> {
        let len = self.len();
        if len > BATCH_POINTS_MAX {
            let why = format!("the batch has {len} points, at most {BATCH_POINTS_MAX} fit: split it");
            return Err(Error::invalid(why));
        }
        Ok(())
    }
}

/// Why no volume can hold a point, if that is so.
#[inline]
pub(crate) fn refusal(point: &Point, store_non_finite: bool) -> Option<String> {
    if !point.time.is_storable() {
        return Some(format!("the time {} is out of range", point.time));
    }
    if !point.is_storable() {
        return Some(format!("the expiry {:?} is out of range", point.expires_at));
    }
    if point.unit.as_ref().is_some_and(|unit| !unit.is_storable()) {
        return Some("the unit is longer than 32 characters".into());
    }
    let is_refused = !store_non_finite && point.value.is_non_finite();
    is_refused.then(|| format!("the value {:?} is not finite", point.value))
}

impl Extend<(SeriesKey, Point)> for WriteBatch {
    fn extend<I: IntoIterator<Item = (SeriesKey, Point)>>(&mut self, points: I) {
        let points = points.into_iter();
        let more = points.size_hint().0.min(BATCH_POINTS_MAX);
        self.points.reserve(more);
        self.runs.reserve(more);
        points.for_each(|(series, point)| self.push(series, point));
    }
}

impl FromIterator<(SeriesKey, Point)> for WriteBatch {
    fn from_iter<I: IntoIterator<Item = (SeriesKey, Point)>>(points: I) -> Self {
        let mut batch = Self::new();
        batch.extend(points);
        batch
    }
}

/// What became of an accepted batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// Points that are now stored raw and were still alive when they arrived.
    pub stored: usize,
    /// Of the stored points, how many replaced a living point of the same series and millisecond.
    pub replaced: usize,
    /// Of the stored points, how many were older than the newest point of their series.
    pub late: usize,
    /// Points that had already expired when they arrived: accepted, but never readable.
    pub dead_on_arrival: usize,
    /// Points that count in no stored window: older than every tier, or later than the database's [`Late`](crate::Late) allows,
    /// or no finite number.
    pub not_aggregated: usize,
    /// The batch's place in the order of all batches; 0 for a batch without points, which leaves no trace.
    pub sequence: Sequence,
    /// What the acknowledgement promises.
    pub durability: Durability,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    #[test]
    fn points_come_back_in_order_however_they_were_added() {
        // Goal: who adds many at a time sees no difference. Method: both ways beside each other, with nothing between.
        let key = |metric: &str| SeriesKey::new("A.B", metric, [("h", "x")]).expect("valid");
        let point = |secs| Point::new(Timestamp::from_secs(secs), secs);
        let added = [("a", 0..3), ("b", 3..3), ("a", 3..4), ("c", 4..9)];
        let (mut one, mut other) = (WriteBatch::new(), WriteBatch::new());
        for (metric, times) in added {
            one.push_all(key(metric), times.clone().map(point));
            times.for_each(|secs| other.push(key(metric), point(secs)));
        }
        assert_eq!((one.len(), one.iter().len()), (9, 9));
        assert!(one.iter().eq(other.iter()));
        let runs: Vec<(&str, usize)> = one.runs().map(|(key, points)| (key.metric(), points.len())).collect();
        assert_eq!(runs, [("a", 3), ("a", 1), ("c", 5)]);
        assert_eq!(WriteBatch::new().iter().len(), 0);
    }
}
