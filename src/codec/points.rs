//! A chunk: points of one series as columns, and back. What all points share is kept in the chunk's shape instead.
//! The layout is docs/format.md, "Chunks and blocks".

mod read;
#[cfg(test)]
mod tests;

pub(crate) use read::{Decoded, Kept, append, append_values};

use crate::codec::{Malformed, floats, ints, times};
use crate::model::limits::{CHUNK_POINTS_MAX, EXPIRY_MILLIS_MAX, TIMESTAMP_MILLIS_MAX};
use crate::model::packed::{ALWAYS_DEAD, Kind, NEVER, NEVER_AFTER, PackedPoint};
use crate::model::time::Timestamp;

/// A column of a chunk. The numbers are positions in [`Columns`] and the order on disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Column {
    Times,
    Kinds,
    Ints,
    Floats,
    Expiries,
    Units,
}

impl Column {
    pub(crate) const ALL: [Self; 6] = [Self::Times, Self::Kinds, Self::Ints, Self::Floats, Self::Expiries, Self::Units];
}

/// The bytes of each column; those that the shape does not have are empty.
pub(crate) type Columns = [Vec<u8>; Column::ALL.len()];

/// What must be known of a chunk to read its columns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shape {
    pub(crate) count: u32,
    pub(crate) ints: u32,
    /// What is neither an integer nor a float is a shadow.
    pub(crate) floats: u32,
    /// First and last time, in ms.
    pub(crate) first: i64,
    pub(crate) last: i64,
    /// Whether some point is in no summary of a window.
    pub(crate) apart: bool,
    /// Whether all points are equally far from the next.
    pub(crate) even: bool,
    pub(crate) expiry: Expiry,
    pub(crate) unit: UnitOf,
}

/// When points other than shadows expire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Expiry {
    /// None ever does.
    Never,
    /// All of them this many ms after their times; only where there are no shadows.
    After(i64),
    /// Each at its own time, of which these are the earliest and the latest.
    Column { min: i64, max: i64 },
}

/// The unit of points other than shadows, numbered as in [`PackedPoint::unit`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum UnitOf {
    All(u32),
    Column,
}

// The kinds in their column.
const INT: i64 = 0;
const FLOAT: i64 = 1;
const SHADOW: i64 = 2;
const INT_APART: i64 = 3;
const FLOAT_APART: i64 = 4;

impl Shape {
    /// The shape of points in ascending order of time, of which there is at least one.
    pub(crate) fn of(points: &[PackedPoint]) -> Self {
        let (start, end) = (points[0], points[points.len() - 1]);
        assert!(points.len() <= CHUNK_POINTS_MAX, "a chunk is cut before it is encoded");
        let number_of = |kind| points.iter().filter(|point| point.kind == kind).count();
        let small = |count| u32::try_from(count).expect("a chunk is small");
        let step = points.get(1).map_or(0, |second| second.time - start.time);
        Self {
            count: small(points.len()),
            ints: small(number_of(Kind::Int)),
            floats: small(number_of(Kind::Float)),
            first: start.time,
            last: end.time,
            apart: points.iter().any(|point| point.is_apart),
            even: points.windows(2).all(|pair| pair[1].time - pair[0].time == step),
            expiry: Expiry::of(points),
            unit: UnitOf::of(points),
        }
    }

    /// Whether there are two kinds of points, or shadows, or points apart.
    pub(crate) fn is_mixed(&self) -> bool {
        self.apart || (self.ints != self.count && self.floats != self.count)
    }

    /// Whether all points have values of one kind, and are visible at a moment.
    pub(crate) fn is_plain(&self, now: Timestamp) -> bool {
        let lives = match self.expiry {
            Expiry::Never => true,
            Expiry::After(ttl) => now.as_millis() < self.first + ttl,
            Expiry::Column { min, .. } => now.as_millis() < min,
        };
        lives && (self.ints == self.count || self.floats == self.count)
    }

    /// How many points are no shadows.
    fn valued(&self) -> u32 {
        self.ints + self.floats
    }

    /// Number of entries in a column; 0 for one that is not there.
    pub(crate) fn len_of(&self, column: Column) -> u32 {
        let if_there = |there, len| if there { len } else { 0 };
        match column {
            Column::Times => if_there(!self.even, self.count),
            Column::Kinds => if_there(self.is_mixed(), self.count),
            Column::Ints => self.ints,
            Column::Floats => self.floats,
            Column::Expiries => if_there(matches!(self.expiry, Expiry::Column { .. }), self.valued()),
            Column::Units => if_there(self.unit == UnitOf::Column, self.valued()),
        }
    }

    /// Earliest and latest expiry, of shadows too.
    pub(crate) fn expiries(&self) -> (i64, i64) {
        let (min, max) = match self.expiry {
            _ if self.valued() == 0 => (ALWAYS_DEAD, ALWAYS_DEAD),
            Expiry::Never => (NEVER, NEVER),
            Expiry::After(ttl) => (self.first + ttl, self.last + ttl),
            Expiry::Column { min, max } => (min, max),
        };
        (if self.valued() < self.count { ALWAYS_DEAD } else { min }, max)
    }

    /// Refuses what no chunk can be. Everything else here relies on it.
    pub(crate) fn check(&self) -> Result<(), Malformed> {
        let times = -TIMESTAMP_MILLIS_MAX..=TIMESTAMP_MILLIS_MAX;
        let in_range = |expiry: i64| (-EXPIRY_MILLIS_MAX..=EXPIRY_MILLIS_MAX).contains(&expiry);
        let valued = u64::from(self.ints) + u64::from(self.floats);
        if self.count == 0 || self.count as usize > CHUNK_POINTS_MAX || valued > u64::from(self.count) {
            return Err(Malformed("a chunk's number of points is out of range"));
        }
        if !times.contains(&self.first) || !times.contains(&self.last) || self.last - self.first < self.steps() {
            return Err(Malformed("a chunk's times are out of range"));
        }
        if self.even && self.last - self.first != self.steps() * self.step() {
            return Err(Malformed("a chunk's times are not even"));
        }
        let sound = match self.expiry {
            Expiry::Never => true,
            Expiry::After(ttl) => {
                let ends = (self.first.checked_add(ttl), self.last.checked_add(ttl));
                valued == u64::from(self.count) && [ends.0, ends.1].iter().all(|end| end.is_some_and(in_range))
            }
            Expiry::Column { min, max } => valued > 0 && min <= max && in_range(min) && (in_range(max) || max == NEVER),
        };
        if sound { Ok(()) } else { Err(Malformed("a chunk's expiry is out of range")) }
    }

    fn steps(&self) -> i64 {
        i64::from(self.count) - 1
    }

    /// Distance between two points, if they are evenly spaced.
    fn step(&self) -> i64 {
        (self.last - self.first) / self.steps().max(1)
    }
}

impl Expiry {
    fn of(points: &[PackedPoint]) -> Self {
        let mut living = valued(points);
        let Some(start) = living.next() else { return Self::Never };
        let after = start.after();
        if living.all(|point| point.after() == after) {
            if after == NEVER_AFTER {
                return Self::Never;
            }
            if points.iter().all(|point| point.kind != Kind::Shadow) {
                return Self::After(after);
            }
        }
        let (min, max) = valued(points)
            .fold((NEVER, ALWAYS_DEAD), |(min, max), point| (min.min(point.expires_at), max.max(point.expires_at)));
        Self::Column { min, max }
    }
}

impl UnitOf {
    fn of(points: &[PackedPoint]) -> Self {
        let mut units = valued(points).map(|point| point.unit);
        let first = units.next().unwrap_or(0);
        if units.all(|unit| unit == first) { Self::All(first) } else { Self::Column }
    }
}

fn valued(points: &[PackedPoint]) -> impl Iterator<Item = &PackedPoint> {
    points.iter().filter(|point| point.kind != Kind::Shadow)
}

/// Appends the columns of points of this shape to empty ones.
pub(crate) fn encode(shape: &Shape, points: &[PackedPoint], columns: &mut Columns) {
    let mut numbers = Vec::with_capacity(points.len());
    for column in Column::ALL {
        let out = &mut columns[column as usize];
        out.clear();
        if shape.len_of(column) == 0 {
            continue;
        }
        numbers.clear();
        match column {
            Column::Times => numbers.extend(points.iter().map(|point| point.time)),
            Column::Kinds => numbers.extend(points.iter().map(|point| match (point.kind, point.is_apart) {
                (Kind::Int, false) => INT,
                (Kind::Float, false) => FLOAT,
                (Kind::Shadow, _) => SHADOW,
                (Kind::Int, true) => INT_APART,
                (Kind::Float, true) => FLOAT_APART,
            })),
            Column::Ints => {
                let of_kind = points.iter().filter(|point| point.kind == Kind::Int);
                numbers.extend(of_kind.map(|point| point.bits.cast_signed()));
            }
            Column::Floats => {
                let of_kind = points.iter().filter(|point| point.kind == Kind::Float);
                floats::encode(&of_kind.map(|point| point.bits).collect::<Vec<u64>>(), out);
                continue;
            }
            Column::Expiries => numbers.extend(valued(points).map(PackedPoint::after)),
            Column::Units => numbers.extend(valued(points).map(|point| i64::from(point.unit))),
        }
        match column {
            Column::Times => times::encode(&numbers, out),
            _ => ints::encode(&numbers, out),
        }
    }
}
