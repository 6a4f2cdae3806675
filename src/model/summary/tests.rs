//! Statistics against exact arithmetic. Goal: integers exact in any order and grouping, floats to 1e-12, also of large
//! values that lie close together. Method: floats are drawn as multiples of a power of two, so the integers that they
//! are multiples of have the same statistics, scaled, and those are exact.

use ethnum::I256;
use proptest::prelude::*;

use super::*;

const BOUND: f64 = 1e-12;

fn int(time: i64, value: i64) -> PackedPoint {
    PackedPoint { kind: Kind::Int, bits: value.cast_unsigned(), ..PackedPoint::shadow(time) }
}

fn float(time: i64, value: f64) -> PackedPoint {
    PackedPoint { kind: Kind::Float, bits: value.to_bits(), ..PackedPoint::shadow(time) }
}

fn of(points: &[PackedPoint]) -> Summary {
    Summary::of(points).expect("there are values")
}

/// One summary from those of runs of so many points.
fn merged(points: &[PackedPoint], run: usize) -> Summary {
    let mut runs = points.chunks(run).map(of);
    let mut whole = runs.next().expect("there are points");
    runs.for_each(|newer| whole.absorb(&newer));
    whole
}

/// Average and variance of `numbers / 2^shift`, each rounded once or twice.
fn exact(numbers: &[i64], shift: i32) -> (f64, f64) {
    let count = I256::from(numbers.len() as u64);
    let sum: I256 = numbers.iter().map(|&number| I256::from(number)).sum();
    let squares: I256 = numbers.iter().map(|&number| I256::from(number) * I256::from(number)).sum();
    let unit = f64::exp2(f64::from(shift));
    let average = Dd::of_int(sum.as_i128()).divided_by(count.as_f64()).value() / unit;
    (average, (count * squares - sum * sum).as_f64() / (count * count).as_f64() / unit / unit)
}

#[track_caller]
fn assert_near(value: f64, wanted: f64, scale: f64) {
    assert!((value - wanted).abs() <= BOUND * scale, "{value:e} is not {wanted:e}");
}

#[test]
fn large_values_close_together_keep_their_variance() {
    // The naive formula is shown to fail, or the test would prove nothing.
    let numbers: Vec<i64> = (0..3_000).map(|at| 8_000_000_000_000_000 + at * 7_919 % 9).collect();
    #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
    let points: Vec<_> = (0..).zip(&numbers).map(|(time, &number)| float(time, number as f64 / 8.0)).collect();
    let (average, variance) = exact(&numbers, 3);
    assert!(variance > 0.05 && variance < 0.2);
    for run in [1, 7, 30, 500, 3_000] {
        let whole = merged(&points, run);
        assert_near(whole.variance(), variance, variance);
        assert_near(whole.average(), average, average);
    }
    let values = points.iter().map(|point| f64::from_bits(point.bits));
    let (sum, squares) = values.fold((0.0, 0.0), |(sum, squares), value| (sum + value, squares + value * value));
    let mean = sum / 3_000.0;
    let naive: f64 = squares / 3_000.0 - mean * mean;
    assert!((naive - variance).abs() > 1.0, "a raw sum of squares gives {naive:e} for {variance:e}");
}

#[test]
fn equal_values_and_single_ones_have_no_variance() {
    let tenths: Vec<_> = (0..77).map(|time| float(time, 0.1)).collect();
    for run in [1, 5, 77] {
        assert_eq!(merged(&tenths, run).variance().to_bits(), 0);
    }
    for single in [int(0, i64::MIN), float(0, f64::MAX), float(0, -0.0)] {
        let summary = of(&[single]);
        assert_eq!(summary.variance().to_bits(), 0);
        assert_eq!((summary.min(), summary.max()), (summary.first.value, summary.last.value));
        if single.kind == Kind::Float {
            assert_eq!(summary.average().to_bits(), single.bits);
        }
    }
}

#[test]
fn what_is_not_finite_is_left_out() {
    assert_eq!(Summary::of(&[]), None);
    assert_eq!(Summary::of(&[PackedPoint::shadow(1), float(2, f64::NAN), float(3, f64::INFINITY)]), None);
    let points = [float(1, f64::NAN), int(2, 5), float(3, 2.5), PackedPoint::shadow(4)];
    let summary = of(&points);
    assert_eq!(summary, of(&points[1..3]));
    assert_eq!((summary.count(), summary.integers()), (2, 1));
    assert_eq!(summary.without(&points[0]), Some(summary.clone()));
}

#[test]
fn at_equal_times_the_newer_value_counts() {
    let points = [int(1, 10), int(1, 11), int(2, 12), int(2, 13)];
    let whole = of(&points);
    assert_eq!(whole.first, Sample { time: 1, value: Value::Int(11) });
    assert_eq!(whole.last, Sample { time: 2, value: Value::Int(13) });
    assert_eq!(merged(&points, 1), whole);
    assert_eq!(whole.sum(), Number::Int(46));
}

#[test]
fn integers_and_floats_compare_exactly() {
    let near = 9_007_199_254_740_993_i64;
    let cases = [
        (near, 9_007_199_254_740_992.0, Ordering::Greater),
        (3, 3.0, Ordering::Equal),
        (3, 3.5, Ordering::Less),
        (-3, -3.5, Ordering::Greater),
        (0, -0.0, Ordering::Equal),
        (0, f64::MIN_POSITIVE, Ordering::Less),
        (i64::MAX, 9_223_372_036_854_775_808.0, Ordering::Less),
        (i64::MIN, -9_223_372_036_854_775_808.0, Ordering::Equal),
        (i64::MIN, f64::MIN, Ordering::Greater),
    ];
    for (integer, double, wanted) in cases {
        assert_eq!(compare(integer, double), wanted, "{integer} and {double}");
        let both = of(&[float(0, double), int(1, integer)]);
        let smaller = if wanted == Ordering::Greater { Value::Float(double) } else { Value::Int(integer) };
        let larger = if wanted == Ordering::Less { Value::Float(double) } else { Value::Int(integer) };
        assert_eq!((both.min(), both.max()), (smaller, larger));
    }
}

#[test]
fn sums_past_the_largest_double_are_no_panic() {
    let mut points: Vec<_> = (0..5).map(|time| float(time, f64::MAX)).collect();
    points.push(float(6, f64::MIN));
    for run in 1..=points.len() {
        let mut whole = merged(&points, run);
        whole.absorb(&of(&[int(7, 1)]));
        assert!(!whole.average().is_finite() && !whole.variance().is_finite());
        assert_eq!(whole.max(), Value::Float(f64::MAX));
        let _rest = whole.without(&points[0]);
    }
    let integers: Vec<_> = (0..9).map(|time| int(time, if time < 5 { i64::MIN } else { i64::MAX })).collect();
    let numbers: Vec<i64> = integers.iter().map(|point| point.bits.cast_signed()).collect();
    let whole = merged(&integers, 2);
    assert_eq!(whole, of(&integers));
    assert_near(whole.variance(), exact(&numbers, 0).1, whole.variance());
}

#[test]
fn a_replaced_extreme_stays_as_a_bound() {
    let points = [int(1, 5), int(2, 9), int(3, 6), int(4, 7)];
    let whole = of(&points);
    let inner = whole.without(&points[2]).expect("three are left");
    assert!(!inner.is_bound);
    assert_eq!(inner, of(&[points[0], points[1], points[3]]));
    // The last one stays the last: what replaces it has the same time.
    for (gone, is_bound) in [(0, true), (1, true), (3, false)] {
        let rest = whole.without(&points[gone]).expect("three are left");
        assert_eq!((rest.is_bound, rest.last), (is_bound, whole.last));
        assert_eq!((rest.min(), rest.max(), rest.count()), (Value::Int(5), Value::Int(9), 3));
    }
    assert_eq!(of(&points[..1]).without(&points[0]), None);
    let mixed = of(&[float(1, 1.5), int(2, 2)]);
    let rest = mixed.without(&float(1, 1.5)).expect("the integer is left");
    assert_eq!((rest.sum(), rest.is_bound, rest.first.value), (Number::Int(2), true, Value::Float(1.5)));
}

#[test]
fn a_record_that_replaces_ends_what_was_before_it() {
    let record = |value, replaces, is_amended| Record { start: 0, replaces, is_amended, summary: of(&[int(5, value)]) };
    let mut folded = record(1, false, true);
    folded.fold(record(2, false, false));
    assert_eq!((folded.summary.sum(), folded.replaces, folded.is_amended), (Number::Int(3), false, true));
    folded.fold(record(7, true, false));
    folded.fold(record(1, false, false));
    assert_eq!((folded.summary.sum(), folded.replaces, folded.is_amended), (Number::Int(8), true, true));
}

#[test]
fn a_sketch_is_of_all_values_or_there_is_none() {
    let points = [int(1, 5), float(2, 9.5), float(3, f64::NAN), int(4, -7)];
    let with = |points: &[PackedPoint]| Summary::of_with(points, true).expect("there are values");
    let whole = with(&points);
    let mut parts = with(&points[..1]);
    parts.absorb(&with(&points[1..]));
    assert_eq!(parts, whole);
    let sketch = whole.sketch.as_ref().expect("it was asked for");
    assert_eq!(sketch.buckets().iter().map(|(_, count)| count).sum::<u64>(), 3);
    assert!((sketch.quantile(0.5) / 5.0 - 1.0).abs() <= 0.01);
    parts.absorb(&of(&points[..1]));
    assert_eq!(parts.sketch, None);
    let rest = whole.without(&points[0]).expect("two are left");
    assert_eq!(rest.sketch, with(&points[1..]).sketch);
}

/// Integers that floats are made of: around a base of any size.
fn numbers() -> impl Strategy<Value = Vec<i64>> {
    let base = prop_oneof![Just(0_i64), -1_000_000_i64..1_000_000, -(1_i64 << 52)..1 << 52];
    let spread = prop::sample::select(vec![1_i64, 10, 1_000, 1 << 30, 1 << 50]);
    (base, spread).prop_flat_map(|(base, spread)| prop::collection::vec(base - spread..=base + spread, 1..80))
}

proptest! {
    #[test]
    fn integers_are_exact_in_any_order_and_grouping(
        values in prop::collection::vec(any::<i64>(), 1..40), keys in prop::collection::vec(any::<u32>(), 40), run in 1_usize..9,
    ) {
        let points: Vec<_> = (0..).zip(&values).map(|(time, &value)| int(time, value)).collect();
        let whole = of(&points);
        let mut shuffled: Vec<_> = keys.iter().zip(points.chunks(run)).collect();
        shuffled.sort_by_key(|(key, _)| **key);
        let mut parts = shuffled.into_iter().map(|(_, chunk)| of(chunk));
        let mut other = parts.next().expect("at least one");
        parts.for_each(|part| other.absorb(&part));
        prop_assert_eq!(&other, &whole);
        prop_assert_eq!(whole.sum(), Number::Int(values.iter().map(|&value| i128::from(value)).sum()));
        let (average, variance) = exact(&values, 0);
        assert_near(whole.average(), average, average.abs());
        assert_near(whole.variance(), variance, variance);
    }

    #[test]
    fn floats_are_near_in_any_order_and_grouping(
        numbers in numbers(), shift in -3_i32..30, keys in prop::collection::vec(any::<u32>(), 80), run in 1_usize..40,
        integers: bool,
    ) {
        let whole_unit = 1_i64 << shift.max(0);
        let point = |(time, &number): (i64, &i64)| {
            // Every other one may be an integer, if it is one.
            if integers && shift >= 0 && number % whole_unit == 0 {
                return int(time, number / whole_unit);
            }
            #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
            let double = number as f64;
            float(time, double / f64::exp2(f64::from(shift)))
        };
        let points: Vec<_> = (0..).zip(&numbers).map(point).collect();
        let (average, variance) = exact(&numbers, shift);
        let mut shuffled: Vec<_> = keys.iter().zip(points.chunks(run)).collect();
        shuffled.sort_by_key(|(key, _)| **key);
        let mut parts = shuffled.into_iter().map(|(_, chunk)| of(chunk));
        let mut other = parts.next().expect("at least one");
        parts.for_each(|part| other.absorb(&part));
        for summary in [of(&points), other] {
            assert_near(summary.average(), average, average.abs());
            assert_near(summary.variance(), variance, variance);
            prop_assert_eq!(summary.count(), numbers.len() as u64);
        }
    }

    #[test]
    fn taking_a_point_out_undoes_putting_it_in(values in prop::collection::vec(-1e6_f64..1e6, 2..40), new in -1e6_f64..1e6) {
        let points: Vec<_> = (0..).zip(&values).map(|(time, &value)| float(time, value)).collect();
        let whole = of(&points);
        let mut more = whole.clone();
        more.absorb(&of(&[float(1, new)]));
        let back = more.without(&float(1, new)).expect("the others are left");
        assert_near(back.average(), whole.average(), 1e6);
        assert_near(back.variance(), whole.variance(), more.variance() * 40.0);

        #[expect(clippy::cast_possible_truncation, reason = "below a million")]
        let whole_number = |value: f64| value as i64;
        let points: Vec<_> = (0..).zip(&values).map(|(time, &value)| int(time, whole_number(value))).collect();
        let whole = of(&points);
        let mut more = whole.clone();
        more.absorb(&of(&[int(1, whole_number(new))]));
        let back = more.without(&int(1, whole_number(new))).expect("the others are left");
        let (back, whole) = (back.ints.expect("integers"), whole.ints.expect("integers"));
        prop_assert_eq!((back.count, back.sum, back.squares), (whole.count, whole.sum, whole.squares));
    }
}
