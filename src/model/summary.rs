//! What is kept of a window's points when they are gone: statistics that can be put together, in any order, into those
//! of a longer window. Knows nothing of where windows start, nor of which points belong into one.

mod floats;
mod ints;
#[cfg(test)]
mod tests;
mod wide;

use std::cmp::Ordering;

use crate::model::packed::{Kind, PackedPoint};
use crate::model::point::Value;
use crate::model::sketch::Sketch;
use ints::IntsTally;

pub(crate) use floats::Floats;
pub(crate) use ints::Ints;
pub(crate) use wide::Dd;

/// Statistics of the values of one window. Integers and floats are kept apart; shadows, NaN and infinities are left out.
/// Never empty.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Summary {
    pub(crate) ints: Option<Ints>,
    pub(crate) floats: Option<Floats>,
    pub(crate) first: Sample,
    pub(crate) last: Sample,
    /// Unit of the last point, numbered as in [`PackedPoint::unit`].
    pub(crate) unit: u32,
    /// Whether minimum and maximum may be those of a point that was replaced: no value lies beyond them.
    pub(crate) is_bound: bool,
    /// How the values are spread, if that is kept.
    pub(crate) sketch: Option<Box<Sketch>>,
}

/// A value and its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sample {
    /// Milliseconds since 1970.
    pub(crate) time: i64,
    pub(crate) value: Value,
}

/// A number that windows give: an exact integer or a double.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Number {
    /// An integer, exact; a sum is one if all values are integers.
    Int(i128),
    /// A double; infinite or NaN where a sum passes the largest one.
    Float(f64),
}

/// One record of a log of merges: what a batch of points adds to a window, or what the window is from now on.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Record {
    /// Start of the window, milliseconds since 1970.
    pub(crate) start: i64,
    /// Whether what older records say of the window does not count any more.
    pub(crate) replaces: bool,
    /// Whether a point of the window was corrected after it was first summarised.
    pub(crate) is_amended: bool,
    pub(crate) summary: Summary,
}

impl Summary {
    /// Of points in ascending order of time; of points at the same time the later one is the newer. `None` if none of
    /// them has a finite value.
    pub(crate) fn of(points: &[PackedPoint]) -> Option<Self> {
        Self::of_with(points, false)
    }

    /// The same, with a sketch if asked.
    pub(crate) fn of_with(points: &[PackedPoint], sketch: bool) -> Option<Self> {
        let is_first = points.iter().find_map(sample)?;
        let at_start = points.iter().take_while(|point| point.time <= is_first.time);
        let last = points.iter().rfind(|point| sample(point).is_some())?;
        let mut ints = IntsTally::new();
        for point in points.iter().filter(|point| point.kind == Kind::Int) {
            ints.add(point.bits.cast_signed());
        }
        let floats = points.iter().filter(|point| point.kind == Kind::Float).map(|point| f64::from_bits(point.bits));
        Some(Self {
            ints: ints.finish(),
            floats: Floats::of_all(floats.filter(|value| value.is_finite())),
            first: at_start.filter_map(sample).last()?,
            last: sample(last)?,
            unit: last.unit,
            is_bound: false,
            sketch: sketch.then(|| Box::new(sketch_of(points))),
        })
    }

    /// Adds what was accepted later. At equal times the newer value counts as the first and as the last.
    pub(crate) fn absorb(&mut self, newer: &Self) {
        if newer.first.time <= self.first.time {
            self.first = newer.first;
        }
        if newer.last.time >= self.last.time {
            (self.last, self.unit) = (newer.last, newer.unit);
        }
        match (&mut self.ints, &newer.ints) {
            (Some(ints), Some(newer)) => ints.absorb(newer),
            (ints, newer) => *ints = ints.or(*newer),
        }
        match (&mut self.floats, &newer.floats) {
            (Some(floats), Some(newer)) => floats.absorb(newer),
            (floats, newer) => *floats = floats.or(*newer),
        }
        self.is_bound |= newer.is_bound;
        // A sketch of some of the values would be a wrong one.
        self.sketch = match (self.sketch.take(), &newer.sketch) {
            (Some(mut sketch), Some(newer)) => {
                sketch.merge(newer);
                Some(sketch)
            }
            _ => None,
        };
    }

    /// Without one of its points, by difference; `None` if there are no others. If the point is an extreme, its value
    /// stays as a bound. If it is the first or last one it stays that: what replaces it has the same time.
    pub(crate) fn without(&self, old: &PackedPoint) -> Option<Self> {
        let Some(Sample { value, .. }) = sample(old) else { return Some(self.clone()) };
        let mut rest = self.clone();
        let is_extreme = match value {
            Value::Int(int) => {
                rest.ints = self.ints.and_then(|ints| ints.without(int));
                self.ints.is_none_or(|ints| int <= ints.min || int >= ints.max)
            }
            Value::Float(float) => {
                rest.floats = self.floats.and_then(|floats| floats.without(float));
                self.floats.is_none_or(|floats| float <= floats.min || float >= floats.max)
            }
        };
        rest.is_bound |= is_extreme;
        if let Some(sketch) = &mut rest.sketch {
            sketch.remove(approximate(value));
        }
        (rest.ints.is_some() || rest.floats.is_some()).then_some(rest)
    }

    /// Number of values.
    pub(crate) fn count(&self) -> u64 {
        self.integers() + self.floats.map_or(0, |floats| floats.count)
    }

    /// How many of the values are integers.
    pub(crate) fn integers(&self) -> u64 {
        self.ints.map_or(0, |ints| ints.count)
    }

    pub(crate) fn sum(&self) -> Number {
        match (&self.ints, &self.floats) {
            (Some(ints), None) => Number::Int(ints.sum),
            _ => Number::Float(self.wide_sum().value()),
        }
    }

    /// The smallest value; the integer if a float equals it.
    pub(crate) fn min(&self) -> Value {
        self.extreme(self.ints.map(|ints| ints.min), self.floats.map(|floats| floats.min), Ordering::Greater)
    }

    /// The largest value; the integer if a float equals it.
    pub(crate) fn max(&self) -> Value {
        self.extreme(self.ints.map(|ints| ints.max), self.floats.map(|floats| floats.max), Ordering::Less)
    }

    pub(crate) fn average(&self) -> f64 {
        average_of(self.wide_sum(), self.count())
    }

    /// The population variance; exactly 0 for one value, and never negative.
    pub(crate) fn variance(&self) -> f64 {
        let m2 = match (&self.ints, &self.floats) {
            (Some(ints), Some(floats)) => {
                let ints = (ints.count, ints.mean(), ints.m2());
                floats::combined_m2(ints, (floats.count, floats.mean(), floats.m2))
            }
            (Some(ints), None) => ints.m2(),
            (None, Some(floats)) => floats.m2,
            (None, None) => 0.0,
        };
        m2 / wide::double(self.count())
    }

    fn wide_sum(&self) -> Dd {
        match (&self.ints, &self.floats) {
            (Some(ints), Some(floats)) => Dd::of_int(ints.sum).plus(floats.sum),
            (Some(ints), None) => Dd::of_int(ints.sum),
            (None, Some(floats)) => floats.sum,
            (None, None) => Dd::of(0.0),
        }
    }

    /// The float if the integer compares to it like this, otherwise the integer.
    fn extreme(&self, int: Option<i64>, float: Option<f64>, beyond: Ordering) -> Value {
        match (int, float) {
            (Some(int), Some(float)) if compare(int, float) != beyond => Value::Int(int),
            (_, Some(float)) => Value::Float(float),
            (Some(int), None) => Value::Int(int),
            (None, None) => self.first.value,
        }
    }
}

impl Record {
    /// Adds what a newer record says of the same window.
    pub(crate) fn fold(&mut self, newer: Self) {
        assert_eq!(self.start, newer.start, "records of different windows stand side by side");
        self.is_amended |= newer.is_amended;
        if newer.replaces {
            (self.replaces, self.summary) = (true, newer.summary);
        } else {
            self.summary.absorb(&newer.summary);
        }
    }
}

/// The mean of so many values with this sum.
pub(crate) fn average_of(sum: Dd, count: u64) -> f64 {
    // One value is its own average, to the sign of zero.
    if count == 1 { sum.value() } else { sum.quotient(wide::double(count)) }
}

/// The finite value of a point, if it has one, and its time.
fn sample(point: &PackedPoint) -> Option<Sample> {
    let value = match point.kind {
        Kind::Int => Value::Int(point.bits.cast_signed()),
        Kind::Float => Value::Float(f64::from_bits(point.bits)),
        Kind::Shadow => return None,
    };
    (!value.is_non_finite()).then_some(Sample { time: point.time, value })
}

fn sketch_of(points: &[PackedPoint]) -> Sketch {
    let mut sketch = Sketch::default();
    for Sample { value, .. } in points.iter().filter_map(sample) {
        sketch.add(approximate(value));
    }
    sketch
}

/// The double nearest to a value.
pub(crate) fn approximate(value: Value) -> f64 {
    match value {
        #[expect(clippy::cast_precision_loss, reason = "what is asked for")]
        Value::Int(int) => int as f64,
        Value::Float(float) => float,
    }
}

/// Compares an integer with a finite float, exactly.
fn compare(int: i64, float: f64) -> Ordering {
    const TOO_LARGE: f64 = 9_223_372_036_854_775_808.0;
    if float >= TOO_LARGE {
        return Ordering::Less;
    }
    if float < -TOO_LARGE {
        return Ordering::Greater;
    }
    #[expect(clippy::cast_possible_truncation, reason = "in range, and towards zero is meant")]
    let whole = float.trunc() as i64;
    // Where a float has a fraction, whole floats are exact on both sides of it.
    int.cmp(&whole).then_with(|| 0.0_f64.partial_cmp(&float.fract()).unwrap_or(Ordering::Equal))
}
