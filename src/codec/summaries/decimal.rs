//! Statistics of floats as whole numbers divided by a power of ten, as far as they are such. The sum of decimals is one
//! too; a double near it is taken for it if it is as near as rounding the values has left it.

use crate::codec::stats::{POWERS, whole_of};
use crate::model::point::Value;
use crate::model::summary::{Dd, Floats, Record};

pub(super) use crate::codec::stats::EXPONENT_MAX;

/// How far a sum may lie from a decimal, relative to the number of values times the largest: what their rounding and that
/// of a sum in plain doubles may take.
const SUM_MISS_MAX: f64 = 2.0 * f64::EPSILON;
/// How far the squared distances may lie from those of the decimals, relatively.
const M2_MISS_MAX: f64 = 1e-14;

/// Scaled squared distances are whole numbers below this, 2^62.
const M2_MAX: f64 = 4_611_686_018_427_387_904.0;

/// The whole number that gives back exactly this value: an integer itself, a float divided by 10^exponent.
pub(super) fn whole(value: Value, exponent: u8) -> Option<i64> {
    match value {
        Value::Int(int) => Some(int),
        Value::Float(float) => i64::try_from(whole_of(float, exponent)?).ok(),
    }
}

/// The smallest exponent at which most records with more than one point are decimals.
pub(super) fn choose(records: &[Record]) -> u8 {
    let with_floats: Vec<_> = records.iter().filter(|record| record.summary.count() > 1).map(float_values).collect();
    let (mut best, mut most) = (0, 0);
    for exponent in 0..=EXPONENT_MAX {
        let is_decimal =
            |values: &[Option<f64>; 4]| values.iter().flatten().all(|&value| whole_of(value, exponent).is_some());
        let decimals = with_floats.iter().filter(|values| is_decimal(values)).count();
        if decimals > most {
            (best, most) = (exponent, decimals);
        }
        if decimals == with_floats.len() {
            break;
        }
    }
    best
}

/// First, last, minimum and maximum, as far as they are floats.
fn float_values(record: &Record) -> [Option<f64>; 4] {
    let float = |value| match value {
        Value::Float(float) => Some(float),
        Value::Int(_) => None,
    };
    let summary = &record.summary;
    let extremes = summary.floats.map(|floats| (floats.min, floats.max));
    [float(summary.first.value), float(summary.last.value), extremes.map(|(min, _)| min), extremes.map(|(_, max)| max)]
}

/// The sum of the scaled values, if they are decimals.
pub(super) fn sum_of(floats: &Floats, exponent: u8) -> Option<i128> {
    let nearest = |sum: Dd| sum.times(POWERS[usize::from(exponent)]).round();
    let sum = nearest(floats.sum)?;
    let back = unscaled_sum(sum, exponent);
    let largest = floats.min.abs().max(floats.max.abs());
    #[expect(clippy::cast_precision_loss, reason = "no window has 2^53 points")]
    let room = floats.count as f64 * largest * SUM_MISS_MAX;
    (floats.sum.minus(back).value().abs() <= room && nearest(back) == Some(sum)).then_some(sum)
}

/// What the sum of scaled values stands for.
pub(super) fn unscaled_sum(sum: i128, exponent: u8) -> Dd {
    let whole = Dd::of_int(sum);
    if exponent == 0 { whole } else { whole.divided_by(POWERS[usize::from(exponent)]) }
}

/// The whole number that the scaled squared distances are, together with `rest / count`; if they are.
pub(super) fn spread_of(floats: &Floats, rest: u64, exponent: u8) -> Option<i64> {
    let power = POWERS[usize::from(exponent)];
    #[expect(clippy::cast_precision_loss, reason = "no window has 2^53 points")]
    let part = rest as f64 / floats.count as f64;
    let nearest = |m2: f64| {
        let scaled = (m2 * (power * power) + part).round();
        #[expect(clippy::cast_possible_truncation, reason = "a whole number in range")]
        (scaled < M2_MAX).then_some(scaled as i64)
    };
    let spread = nearest(floats.m2)?;
    let back = unscaled_m2(spread, rest, floats.count, exponent)?;
    ((floats.m2 - back).abs() <= M2_MISS_MAX * floats.m2 && nearest(back) == Some(spread)).then_some(spread)
}

/// The squared distances that [`spread_of`] has made a whole number of; `None` if they are negative.
pub(super) fn unscaled_m2(spread: i64, rest: u64, count: u64, exponent: u8) -> Option<f64> {
    let power = POWERS[usize::from(exponent)];
    let times_count = i128::from(spread) * i128::from(count) - i128::from(rest);
    #[expect(clippy::cast_precision_loss, reason = "one rounding is meant, of a number of 64 bits in one instruction")]
    let product = i64::try_from(times_count).map_or(times_count as f64, |small| small as f64);
    #[expect(clippy::cast_precision_loss, reason = "no window has 2^53 points")]
    let m2 = product / count as f64 / (power * power);
    (times_count >= 0).then_some(m2)
}
