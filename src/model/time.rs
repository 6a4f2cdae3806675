//! Times, ranges of time and time to live. Plain numbers with a unit: nothing here reads a clock.

use std::fmt;
use std::ops::{Add, Range, RangeFrom, RangeFull, RangeTo, Sub};
use std::time::Duration;

use crate::model::limits::TIMESTAMP_MILLIS_MAX;

/// A moment: milliseconds since 1970-01-01T00:00:00Z, negative before it.
///
/// Writes accept times within [`Timestamp::MIN`] and [`Timestamp::MAX`]; every one of them is exact as a
/// JSON number.
///
/// ```
/// use ebbtide::Timestamp;
/// assert_eq!(Timestamp::from_millis(1_463_598_260_000).as_millis(), 1_463_598_260_000);
/// assert_eq!(Timestamp::from_secs(2), Timestamp::from_millis(2_000));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest time that can be stored.
    pub const MIN: Self = Self(-TIMESTAMP_MILLIS_MAX);
    /// The latest time that can be stored.
    pub const MAX: Self = Self(TIMESTAMP_MILLIS_MAX);
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// The moment this many milliseconds after 1970.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// The moment this many seconds after 1970; saturates at the ends of `i64` milliseconds.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000))
    }

    /// Milliseconds since 1970.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whether a point may carry this time.
    pub const fn is_storable(self) -> bool {
        Self::MIN.0 <= self.0 && self.0 <= Self::MAX.0
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    /// Saturates at the end of `i64` milliseconds.
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    /// Saturates at the start of `i64` milliseconds.
    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

/// A half-open span of time, `[start, end)`: the start belongs to it, the end does not.
///
/// ```
/// use ebbtide::{TimeRange, Timestamp};
/// let hour = TimeRange::from(Timestamp::from_secs(0)..Timestamp::from_secs(3_600));
/// assert!(hour.contains(Timestamp::from_secs(0)) && !hour.contains(Timestamp::from_secs(3_600)));
/// assert!(TimeRange::from(..).contains(Timestamp::MIN));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TimeRange {
    start: Timestamp,
    end: Timestamp,
}

impl TimeRange {
    /// All of time.
    pub const ALL: Self = Self { start: Timestamp(i64::MIN), end: Timestamp(i64::MAX) };

    /// `[start, end)`; empty when `end` is not after `start`.
    pub const fn new(start: Timestamp, end: Timestamp) -> Self {
        Self { start, end }
    }

    /// First moment of the range.
    pub const fn start(self) -> Timestamp {
        self.start
    }

    /// First moment behind the range.
    pub const fn end(self) -> Timestamp {
        self.end
    }

    /// Whether the moment lies in the range.
    pub fn contains(self, time: Timestamp) -> bool {
        self.start <= time && time < self.end
    }
}

impl From<Range<Timestamp>> for TimeRange {
    fn from(range: Range<Timestamp>) -> Self {
        Self::new(range.start, range.end)
    }
}

impl From<RangeFrom<Timestamp>> for TimeRange {
    fn from(range: RangeFrom<Timestamp>) -> Self {
        Self { start: range.start, ..Self::ALL }
    }
}

impl From<RangeTo<Timestamp>> for TimeRange {
    fn from(range: RangeTo<Timestamp>) -> Self {
        Self { end: range.end, ..Self::ALL }
    }
}

impl From<RangeFull> for TimeRange {
    fn from(_: RangeFull) -> Self {
        Self::ALL
    }
}

/// Time to live: how long after its own time a point stays readable. Whole seconds, up to 136 years, or never
/// ending.
///
/// A TTL of zero is allowed: such a point is accepted and counted in aggregates but never read back as a raw
/// point once its own time has come. It never means "for ever"; that is [`Ttl::NEVER`].
///
/// ```
/// use ebbtide::{Timestamp, Ttl};
/// let noon = Timestamp::from_secs(43_200);
/// assert_eq!(Ttl::from_secs(60).expiry_of(noon), Some(Timestamp::from_secs(43_260)));
/// assert_eq!(Ttl::NEVER.expiry_of(noon), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Ttl(Option<u32>);

impl Ttl {
    /// The point never expires.
    pub const NEVER: Self = Self(None);

    /// This many seconds.
    pub const fn from_secs(secs: u32) -> Self {
        Self(Some(secs))
    }

    /// The TTL in seconds; `None` when the point never expires.
    pub const fn as_secs(self) -> Option<u32> {
        self.0
    }

    /// The moment from which a point of time `time` is no longer readable; `None` for never.
    pub fn expiry_of(self, time: Timestamp) -> Option<Timestamp> {
        self.0.map(|secs| time + Duration::from_secs(u64::from(secs)))
    }
}
