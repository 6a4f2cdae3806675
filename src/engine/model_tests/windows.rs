//! Windows against brute force over every accepted point: whatever was flushed, merged, made coarser, expired or opened
//! anew, a window says what its points say.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::model_tests::draw;
use crate::engine::model_tests::history::{History, Outcome, ensure};
use crate::engine::simulation::counted::float_of;
use crate::model::limits::WINDOWS_MAX;
use crate::model::point::{Point, Value};
use crate::model::segment::Partition;
use crate::model::summary::Number;
use crate::model::time::{TimeRange, Timestamp};
use crate::model::window::Window;
use crate::model::windows::{Fill, Function};

/// What a window should say.
#[derive(Debug)]
struct Expected {
    points: Vec<Point>,
    /// Sum of the distances from zero of all that ever counted, and of their squares.
    scale: (f64, f64),
    is_raw: bool,
}

impl Expected {
    /// What a window says that this does not.
    fn differs(&self, window: &Window) -> Option<String> {
        let values: Vec<Value> = self.points.iter().map(|point| point.value).collect();
        let ints: Vec<i64> =
            values.iter().filter_map(|value| if let Value::Int(int) = value { Some(*int) } else { None }).collect();
        let floats: Vec<f64> = values.iter().copied().map(float_of).collect();
        let count = values.len();
        let told = |what: &str, found: &dyn std::fmt::Debug, expected: &dyn std::fmt::Debug| {
            Some(format!("{what} is {found:?}, not {expected:?}"))
        };
        if (window.count(), window.integers(), window.is_raw) != (count as u64, ints.len() as u64, self.is_raw) {
            return told(
                "count",
                &(window.count(), window.integers(), window.is_raw),
                &(count, ints.len(), self.is_raw),
            );
        }
        let first = self.points.iter().rev().min_by_key(|point| point.time)?;
        let last = self.points.iter().max_by_key(|point| point.time)?;
        if window.first() != (first.time, first.value) || window.last() != (last.time, last.value) {
            return told("first, last", &(window.first(), window.last()), &(first, last));
        }
        if window.unit() != last.unit.as_ref() {
            return told("unit", &window.unit(), &last.unit);
        }
        let is_less = |one: &Value, other: &Value| PackedOrder(*one) < PackedOrder(*other);
        let min = values.iter().copied().reduce(|least, value| if is_less(&value, &least) { value } else { least })?;
        let max = values.iter().copied().reduce(|most, value| if is_less(&most, &value) { value } else { most })?;
        let is_fine = if window.is_bound() {
            !is_less(&min, &window.min()) && !is_less(&window.max(), &max)
        } else {
            let same = |one: Value, other: Value| !is_less(&one, &other) && !is_less(&other, &one);
            same(window.min(), min) && same(window.max(), max)
        };
        if !is_fine {
            return told("min, max", &(window.min(), window.max(), window.is_bound()), &(min, max));
        }
        let scale = self.scale;
        if scale.1 > 1e300 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "compared with a tolerance")]
        let number = count as f64;
        let sum: f64 = floats.iter().sum();
        let is_near = |one: f64, other: f64, scale: f64| (one - other).abs() <= 1e-12 * scale + f64::MIN_POSITIVE;
        let is_fine = match window.sum() {
            Number::Int(total) => {
                floats.len() == ints.len() && total == ints.iter().map(|int| i128::from(*int)).sum::<i128>()
            }
            Number::Float(total) => floats.len() > ints.len() && is_near(total, sum, scale.0),
        };
        if !is_fine || !is_near(window.average(), sum / number, scale.0) {
            return told("sum, average", &(window.sum(), window.average()), &(sum, sum / number));
        }
        let mean = sum / number;
        if let Some(median) = window.percentile(0.5) {
            let mut sorted = floats.clone();
            sorted.sort_by(f64::total_cmp);
            let exact = sorted[(count - 1) / 2];
            let is_extreme = floats.iter().any(|value| value.abs() > 1e15);
            if !is_extreme && (median - exact).abs() > 0.0101 * exact.abs() + 1e-2 {
                return told("median", &median, &exact);
            }
        }
        let variance = floats.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / number;
        if !is_near(window.variance(), variance, scale.1) || window.variance() < 0.0 {
            return told("variance", &window.variance(), &variance);
        }
        None
    }
}

/// Values by size, an integer against a float as exactly as both are.
#[derive(Clone, Copy, PartialEq)]
struct PackedOrder(Value);

impl PartialOrd for PackedOrder {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        use std::cmp::Ordering;
        match (self.0, other.0) {
            (Value::Int(one), Value::Int(other)) => one.partial_cmp(&other),
            (Value::Float(one), Value::Float(other)) => one.partial_cmp(&other),
            (Value::Float(_), Value::Int(_)) => other.partial_cmp(self).map(Ordering::reverse),
            (Value::Int(one), Value::Float(other)) => {
                if other >= 9.3e18 {
                    return Some(Ordering::Less);
                }
                if other <= -9.3e18 {
                    return Some(Ordering::Greater);
                }
                #[expect(clippy::cast_possible_truncation, reason = "towards zero; the fraction is looked at next")]
                let whole = other.trunc() as i128;
                Some(i128::from(one).cmp(&whole).then_with(|| 0.0.partial_cmp(&other.fract()).expect("finite")))
            }
        }
    }
}

impl History {
    /// The windows of every series, of some period and range.
    pub(super) fn check_windows(&mut self, is_thorough: bool) -> Outcome {
        let bases: Vec<i64> = self.settings.rollup.tiers.iter().map(|tier| tier.window).collect();
        for series in 0..self.frame.keys.len() {
            let range = if self.dice.coin() { TimeRange::ALL } else { self.frame.range(&mut self.dice) };
            let odd = draw::pick(&mut self.dice, &[1, 450_000, 7_000_000, 86_400_000, 3 * 86_400_000]);
            let period = if bases.is_empty() || self.dice.below(4) == 0 {
                odd
            } else {
                draw::pick(&mut self.dice, &bases) * draw::pick(&mut self.dice, &[1, 1, 1, 2, 12, 288, 1_000])
            };
            self.check_windows_of(series, range, period)?;
            if is_thorough {
                for base in &bases {
                    self.check_windows_of(series, TimeRange::ALL, *base)?;
                }
            }
        }
        Ok(())
    }

    fn check_windows_of(&mut self, series: usize, range: TimeRange, period: i64) -> Outcome {
        let told = |why: String| format!("series {series}, windows of {period} ms in {range:?}: {why}");
        let length = Duration::from_millis(period.unsigned_abs());
        let expected = self.expected_windows(series, range, period);
        let found = self.engine().windows(&self.frame.keys[series], range, length, WINDOWS_MAX);
        let found = found.map_err(|error| told(error.to_string()))?;
        ensure(found.missing().is_empty(), || told(format!("missing: {:?}", found.missing())))?;
        let starts: Vec<i64> = found.iter().map(|window| window.start.as_millis()).collect();
        let wanted: Vec<i64> = expected.keys().copied().collect();
        ensure(starts == wanted, || told(format!("windows at {starts:?}, not at {wanted:?}")))?;
        for (window, expected) in found.iter().zip(expected.values()) {
            if let Some(why) = expected.differs(window) {
                return Err(told(format!("at {}: {why}\n  {window:?}\n  {expected:?}", window.start)));
            }
        }
        for function in Function::ALL {
            let values = self.engine().values(&self.frame.keys[series], range, length, function);
            let values = values.map_err(|error| told(error.to_string()))?;
            // As text, in which a NaN equals itself.
            let wanted = found.values(function, Fill::None).map_err(|error| told(error.to_string()))?;
            let values: Vec<_> = values.list.into_iter().map(|(start, number)| (start, Some(number))).collect();
            let [values, wanted] = [values, wanted].map(|list| format!("{list:?}"));
            ensure(values == wanted, || told(format!("{function:?}: {values}, not {wanted}")))?;
        }
        let bound = found.iter().filter(|window| window.is_bound()).count();
        let raw = found.iter().filter(|window| window.is_raw).count();
        self.count("windows", found.len());
        self.count("windows from points", raw);
        self.count("windows with bounds", bound);
        Ok(())
    }

    fn expected_windows(&self, series: usize, range: TimeRange, period: i64) -> BTreeMap<i64, Expected> {
        let now = self.now();
        let rollup = &self.engine().rollup;
        let floor = |time: i64| time.div_euclid(period).saturating_mul(period);
        let (from, to) = (range.start().max(Timestamp::MIN).as_millis(), range.end().as_millis());
        let is_asked = |start: i64| from < to && floor(from) <= start && start < to;
        // Windows that begin in a partition whose windows do not fit are told by the points that are there.
        let all = self.model.counted(series);
        let is_raw = |start: i64| {
            let kept = rollup.window_at(Partition::of(start, rollup.partition_days), now);
            kept.is_none_or(|kept| period % kept != 0)
        };
        let mut expected: BTreeMap<i64, Expected> = BTreeMap::new();
        let mut add = |start: i64, points: &[Point], ever: &[f64], is_raw: bool| {
            if points.is_empty() {
                return;
            }
            let window = expected.entry(start).or_insert(Expected { points: Vec::new(), scale: (0.0, 0.0), is_raw });
            window.points.extend_from_slice(points);
            window.scale.0 += ever.iter().map(|value| value.abs()).sum::<f64>();
            window.scale.1 += ever.iter().map(|value| value * value).sum::<f64>();
        };
        for (time, counted) in all {
            let start = floor(time);
            if is_asked(start) && !is_raw(start) {
                add(start, &counted.points, &counted.ever, false);
            }
        }
        for point in self.model.visible(series, TimeRange::ALL, now) {
            let start = floor(point.time.as_millis());
            if is_asked(start) && is_raw(start) && !point.value.is_non_finite() {
                let value = float_of(point.value);
                add(start, &[point], &[value], true);
            }
        }
        expected
    }
}
