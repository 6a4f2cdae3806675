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
    entries: Vec<(SeriesKey, Point)>,
    durability: Option<Durability>,
}

impl WriteBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty batch with room for this many points.
    pub fn with_capacity(points: usize) -> Self {
        Self { entries: Vec::with_capacity(points.min(BATCH_POINTS_MAX)), durability: None }
    }

    /// Adds one point of one series.
    pub fn push(&mut self, series: SeriesKey, point: Point) {
        self.entries.push((series, point));
    }

    /// Asks for at least this durability for this batch. Less than the database's own changes nothing; more is reached
    /// by a sync, which the receipt tells.
    #[must_use]
    pub fn with_durability(self, durability: Durability) -> Self {
        Self { durability: Some(durability), ..self }
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no point in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The points in the order in which they were added.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &(SeriesKey, Point)> {
        self.entries.iter()
    }

    pub(crate) fn durability(&self) -> Option<Durability> {
        self.durability
    }

    /// Refuses what no volume can hold: too many points, times or expiries out of range, long units, and (unless
    /// `store_non_finite`) NaN and infinities.
    pub(crate) fn check(&self, store_non_finite: bool) -> Result<()> {
        if self.len() > BATCH_POINTS_MAX {
            let len = self.len();
            return Err(Error::invalid(format!(
                "the batch has {len} points, at most {BATCH_POINTS_MAX} fit: split it"
            )));
        }
        for (position, (_, point)) in self.entries.iter().enumerate() {
            let refuse = |why: String| Err(Error::invalid(format!("point {position}: {why}")));
            if !point.time.is_storable() {
                return refuse(format!("the time {} is out of range", point.time));
            }
            if !point.is_storable() {
                return refuse(format!("the expiry {:?} is out of range", point.expires_at));
            }
            if point.unit.as_ref().is_some_and(|unit| !unit.is_storable()) {
                return refuse("the unit is longer than 32 characters".into());
            }
            if !store_non_finite && point.value.is_non_finite() {
                return refuse(format!("the value {:?} is not finite", point.value));
            }
        }
        Ok(())
    }
}

impl Extend<(SeriesKey, Point)> for WriteBatch {
    fn extend<I: IntoIterator<Item = (SeriesKey, Point)>>(&mut self, points: I) {
        self.entries.extend(points);
    }
}

impl FromIterator<(SeriesKey, Point)> for WriteBatch {
    fn from_iter<I: IntoIterator<Item = (SeriesKey, Point)>>(points: I) -> Self {
        Self { entries: points.into_iter().collect(), durability: None }
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
