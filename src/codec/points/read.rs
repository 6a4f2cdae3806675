//! Columns back to points: each column is decoded once, and then any part of the chunk can be made of what is held.

use std::ops::Range;
use std::sync::Arc;

use super::{Column, Expiry, FLOAT, FLOAT_APART, INT, INT_APART, NEVER_AFTER, SHADOW, Shape, UnitOf};
use crate::codec::floats::Decimal;
use crate::codec::held::Held;
use crate::codec::{Malformed, floats, ints, times};
use crate::model::columns::Columns;
use crate::model::packed::{Kind, NEVER, PackedPoint};
use crate::model::point::Value;
use crate::model::time::Timestamp;

/// A decoded column.
#[derive(Debug)]
pub(crate) struct Kept {
    numbers: Held,
    /// What makes doubles of the numbers. Without one, floats are their bits.
    decimal: Option<Decimal>,
}

/// The decoded columns of a chunk; `None` for those that its shape does not have.
pub(crate) type Decoded = [Option<Arc<Kept>>; Column::ALL.len()];

impl Kept {
    /// A column of `count` values, which must take all of the bytes; as small as it may be if it `stays` in memory.
    pub(crate) fn decode(column: Column, bytes: &[u8], count: usize, stays: bool) -> Result<Self, Malformed> {
        let mut numbers = Vec::new();
        let mut decimal = None;
        match column {
            Column::Times => {
                times::decode(bytes, count, &mut numbers)?;
                if !numbers.is_sorted_by(|a, b| a < b) {
                    return Err(OUT_OF_ORDER);
                }
            }
            Column::Floats => (numbers, decimal) = floats::decode_numbers(bytes, count)?,
            _ => ints::decode(bytes, count, &mut numbers)?,
        }
        Ok(Self { numbers: if stays { Held::of(&numbers) } else { Held::passing(numbers) }, decimal })
    }

    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.numbers.bytes() + size_of::<Option<Decimal>>()
    }

    fn append_bits(&self, range: Range<usize>, out: &mut Vec<u64>) {
        match self.decimal {
            Some(decimal) => decimal.append_floats(&self.numbers, range, out, f64::to_bits),
            None => self.numbers.append(range, out, i64::cast_unsigned),
        }
    }
}

const OUT_OF_ORDER: Malformed = Malformed("the times of a chunk are out of order");
const TOO_SHORT: Malformed = Malformed("a column is too short");

/// Appends the points of a chunk between two times, both included. Its shape was checked, and each column has as many
/// values as that says. After an error some points may have been appended.
pub(crate) fn append(
    shape: &Shape,
    columns: &Decoded,
    times: (i64, i64),
    out: &mut Vec<PackedPoint>,
) -> Result<(), Malformed> {
    let range = positions(shape, columns, times)?;
    let start = out.len();
    out.reserve(range.len());
    let (value, kind) = match (&columns[Column::Ints as usize], &columns[Column::Floats as usize]) {
        (Some(ints), None) => (ints, Kind::Int),
        (None, Some(floats)) => (floats, Kind::Float),
        _ => return append_mixed(shape, columns, range, out),
    };
    let UnitOf::All(unit) = shape.unit else { return append_mixed(shape, columns, range, out) };
    let ttl = match shape.expiry {
        Expiry::Never => None,
        Expiry::After(ttl) => Some(ttl),
        Expiry::Column { .. } => return append_mixed(shape, columns, range, out),
    };
    if shape.is_mixed() {
        return append_mixed(shape, columns, range, out);
    }
    // Nothing but times and values tells these points apart.
    let mut bits = Vec::new();
    value.append_bits(range.clone(), &mut bits);
    let expiry = |time: i64| ttl.map_or(NEVER, |ttl| time + ttl);
    let point = |(time, bits)| PackedPoint { time, expires_at: expiry(time), bits, unit, kind, is_apart: false };
    if let Some(listed) = &columns[Column::Times as usize] {
        let mut times = Vec::new();
        listed.numbers.append(range, &mut times, |time| time);
        out.extend(times.into_iter().zip(bits).map(point));
    } else {
        let time_at = even(shape);
        out.extend(range.zip(bits).map(|(at, bits)| point((time_at(at), bits))));
    }
    debug_assert!(out[start..].is_sorted_by_key(|point| point.time), "positions ascend");
    Ok(())
}

/// Appends times and values of the points between two times, both included, of a chunk of which
/// [`Shape::is_plain`] is true; as for [`append`].
pub(crate) fn append_values(
    shape: &Shape,
    columns: &Decoded,
    times: (i64, i64),
    out: &mut Columns,
) -> Result<(), Malformed> {
    let range = positions(shape, columns, times)?;
    if let Some(listed) = &columns[Column::Times as usize] {
        listed.numbers.append(range.clone(), &mut out.times, Timestamp::from_millis);
    } else {
        let time_at = even(shape);
        out.times.extend(range.clone().map(|at| Timestamp::from_millis(time_at(at))));
    }
    let float = |bits: i64| Value::Float(f64::from_bits(bits.cast_unsigned()));
    match (columns[Column::Ints as usize].as_deref(), columns[Column::Floats as usize].as_deref()) {
        (Some(ints), None) => ints.numbers.append(range, &mut out.values, Value::Int),
        (None, Some(Kept { numbers, decimal: Some(decimal) })) => {
            decimal.append_floats(numbers, range, &mut out.values, Value::Float);
        }
        (None, Some(floats)) => floats.numbers.append(range, &mut out.values, float),
        _ => return Err(TOO_SHORT),
    }
    Ok(())
}

/// The times of evenly spaced points.
fn even(shape: &Shape) -> impl Fn(usize) -> i64 {
    let (first, step) = (shape.first, shape.step());
    move |at| first + i64::try_from(at).expect("a chunk is small") * step
}

/// Where the points between two times stand.
fn positions(shape: &Shape, columns: &Decoded, (first, last): (i64, i64)) -> Result<Range<usize>, Malformed> {
    let count = shape.count as usize;
    if let Some(times) = &columns[Column::Times as usize] {
        let times = &times.numbers;
        if times.get(0) != shape.first || times.get(count - 1) != shape.last {
            return Err(OUT_OF_ORDER);
        }
        let end = last.checked_add(1).map_or(count, |end| times.count_below(end));
        return Ok(times.count_below(first).min(end)..end);
    }
    if first <= shape.first && shape.last <= last {
        return Ok(0..count);
    }
    // How many points are before a time.
    let below = |time: i64| match (time.saturating_sub(shape.first), shape.step()) {
        (..=0, _) => 0,
        (_, 0) => count,
        (more, step) => usize::try_from((more - 1) / step + 1).map_or(count, |below| below.min(count)),
    };
    let end = last.checked_add(1).map_or(count, below);
    Ok(below(first).min(end)..end)
}

/// The same for a chunk of any shape: all of its points are made, for what a column says of one depends on the others.
fn append_mixed(
    shape: &Shape,
    columns: &Decoded,
    range: Range<usize>,
    out: &mut Vec<PackedPoint>,
) -> Result<(), Malformed> {
    let numbers = |column: Column| {
        let mut numbers = Vec::new();
        if let Some(kept) = &columns[column as usize] {
            kept.numbers.append(0..kept.len(), &mut numbers, |number| number);
        }
        numbers
    };
    let mut floats = Vec::new();
    if let Some(kept) = &columns[Column::Floats as usize] {
        kept.append_bits(0..kept.len(), &mut floats);
    }
    let times = if shape.even { (0..shape.count as usize).map(even(shape)).collect() } else { numbers(Column::Times) };
    let kinds = numbers(Column::Kinds);
    if !kinds.is_empty() {
        check_kinds(shape, &kinds)?;
    }
    let only = if shape.ints > 0 { Kind::Int } else { Kind::Float };
    let mut ints = numbers(Column::Ints).into_iter();
    let mut floats = floats.into_iter();
    let mut expiries = numbers(Column::Expiries).into_iter();
    let mut units = numbers(Column::Units).into_iter();
    for (at, &time) in times.iter().enumerate() {
        let is_apart = matches!(kinds.get(at), Some(&(INT_APART | FLOAT_APART)));
        let kind = match kinds.get(at) {
            None => only,
            Some(&(INT | INT_APART)) => Kind::Int,
            Some(&(FLOAT | FLOAT_APART)) => Kind::Float,
            Some(_) => {
                out.extend(range.contains(&at).then_some(PackedPoint::shadow(time)));
                continue;
            }
        };
        let value = if kind == Kind::Int { ints.next().map(i64::cast_unsigned) } else { floats.next() };
        let expires_at = match shape.expiry {
            Expiry::Never => NEVER,
            Expiry::After(ttl) => time + ttl,
            Expiry::Column { min, max } => {
                let expiry = match expiries.next() {
                    Some(NEVER_AFTER) => Some(NEVER),
                    other => other.and_then(|after| time.checked_add(after)),
                };
                expiry.filter(|expiry| (min..=max).contains(expiry)).ok_or(Malformed("an expiry is out of range"))?
            }
        };
        let unit = match shape.unit {
            UnitOf::All(unit) => unit,
            UnitOf::Column => {
                let unit = units.next().and_then(|unit| u32::try_from(unit).ok());
                unit.ok_or(Malformed("a unit's number is out of range"))?
            }
        };
        let bits = value.ok_or(TOO_SHORT)?;
        let point = PackedPoint { time, expires_at, bits, unit, kind, is_apart };
        out.extend(range.contains(&at).then_some(point));
    }
    Ok(())
}

fn check_kinds(shape: &Shape, kinds: &[i64]) -> Result<(), Malformed> {
    let number_of = |kind, apart| kinds.iter().filter(|&&each| each == kind || each == apart).count();
    let numbers = [number_of(INT, INT_APART), number_of(FLOAT, FLOAT_APART)];
    let is_known = kinds.iter().all(|kind| (INT..=FLOAT_APART).contains(kind));
    let is_apart = kinds.iter().any(|&kind| kind > SHADOW) == shape.apart;
    if is_known && is_apart && numbers == [shape.ints as usize, shape.floats as usize] {
        Ok(())
    } else {
        Err(Malformed("the kinds of a chunk's points are not those of its entry"))
    }
}
