//! How the values of a window are spread, to tell percentiles from: counts of values in buckets whose bounds grow by a
//! constant factor (`DDSketch`: Masson, Rim and Lee, VLDB 2019). Two of them merge into what one of all values would be.
//! Only buckets that hold something take room, so that a sketch of few values is small.

use crate::model::limits::SKETCH_BUCKETS_MAX;

/// A percentile is off by at most this part of itself, as long as all magnitudes fit the buckets there may be.
pub(crate) const SKETCH_ERROR: f64 = 0.01;

/// The upper bound of a bucket, divided by the lower one.
const FACTOR: f64 = (1.0 + SKETCH_ERROR) / (1.0 - SKETCH_ERROR);
/// Number of the bucket that starts at 1; the smallest magnitude of a double has a number above 0.
const ONE: i32 = 40_000;
/// No double has a bucket with a higher number.
const NUMBER_MAX: i32 = 2 * ONE;

/// Counts of values, by bucket. Finite values only.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Sketch {
    /// Ascending by number: 0 for zero, that of the magnitude for others, below 0 for negative values.
    buckets: Vec<(i32, u64)>,
}

impl Sketch {
    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.buckets.capacity() * size_of::<(i32, u64)>()
    }

    /// Of one value.
    pub(crate) fn of(value: f64) -> Self {
        Self { buckets: vec![(number_of(value), 1)] }
    }

    /// Buckets as [`Self::buckets`] gives them; `None` if they are not in order, out of range, empty or too many.
    pub(crate) fn from_buckets(buckets: Vec<(i32, u64)>) -> Option<Self> {
        let in_range = |&(number, count): &(i32, u64)| number.abs() <= NUMBER_MAX && count > 0;
        let sound = (1..=SKETCH_BUCKETS_MAX).contains(&buckets.len())
            && buckets.iter().all(in_range)
            && buckets.is_sorted_by(|one, next| one.0 < next.0);
        sound.then_some(Self { buckets })
    }

    /// Number of values; none if it does not fit.
    pub(crate) fn count(&self) -> Option<u64> {
        self.buckets.iter().try_fold(0_u64, |sum, &(_, count)| sum.checked_add(count))
    }

    /// Number and count of each bucket that holds something, ascending.
    pub(crate) fn buckets(&self) -> &[(i32, u64)] {
        &self.buckets
    }

    pub(crate) fn add(&mut self, value: f64) {
        self.add_to(number_of(value), 1);
        self.shrink();
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for &(number, count) in &other.buckets {
            self.add_to(number, count);
        }
        self.shrink();
    }

    /// Takes out a value that was added.
    pub(crate) fn remove(&mut self, value: f64) {
        let place = |number| self.buckets.binary_search_by_key(&number, |&(number, _)| number);
        // If its bucket was merged with others, it counts as zero.
        let at = place(number_of(value)).or_else(|_| place(0)).unwrap_or(0);
        if self.buckets.is_empty() {
            return;
        }
        self.buckets[at].1 -= 1;
        if self.buckets[at].1 == 0 {
            self.buckets.remove(at);
        }
    }

    /// About the value below which this part of the values lies, from 0 to 1. It may be a little smaller than the least
    /// value or larger than the greatest.
    pub(crate) fn quantile(&self, part: f64) -> f64 {
        let total = self.buckets.iter().fold(0_u64, |total, &(_, count)| total.saturating_add(count));
        #[expect(clippy::cast_precision_loss, reason = "no window has 2^53 points")]
        let rank = part.clamp(0.0, 1.0) * total.saturating_sub(1) as f64;
        let mut below = 0_u64;
        for &(number, count) in &self.buckets {
            below = below.saturating_add(count);
            #[expect(clippy::cast_precision_loss, reason = "no window has 2^53 points")]
            if below as f64 > rank {
                return value_of(number);
            }
        }
        self.buckets.last().map_or(f64::NAN, |&(number, _)| value_of(number))
    }

    fn add_to(&mut self, number: i32, count: u64) {
        match self.buckets.binary_search_by_key(&number, |&(number, _)| number) {
            Ok(at) => self.buckets[at].1 = self.buckets[at].1.saturating_add(count),
            Err(at) => self.buckets.insert(at, (number, count)),
        }
    }

    /// Counts the smallest magnitudes as zero while there are too many buckets: the largest are some 10^17 times larger.
    fn shrink(&mut self) {
        while self.buckets.len() > SKETCH_BUCKETS_MAX {
            let others = self.buckets.iter().enumerate().filter(|(_, (number, _))| *number != 0);
            let Some((at, _)) = others.min_by_key(|(_, (number, _))| number.abs()) else { return };
            let (_, count) = self.buckets.remove(at);
            self.add_to(0, count);
        }
    }
}

/// The bucket of a finite value.
fn number_of(value: f64) -> i32 {
    if value == 0.0 {
        return 0;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the logarithms of doubles are small")]
    let number = (value.abs().ln() / FACTOR.ln()).floor() as i32 + ONE;
    if value < 0.0 { -number } else { number }
}

/// The value that is off by no more than [`SKETCH_ERROR`] from any in the bucket.
fn value_of(number: i32) -> f64 {
    if number == 0 {
        return 0.0;
    }
    let magnitude = (f64::from(number.abs() - ONE) * FACTOR.ln()).exp() * (1.0 + SKETCH_ERROR);
    if number < 0 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[f64]) -> Sketch {
        let mut sketch = Sketch::default();
        for &value in values {
            sketch.add(value);
        }
        sketch
    }

    #[test]
    fn every_double_has_a_bucket() {
        for value in [f64::MAX, f64::MIN_POSITIVE, f64::from_bits(1), 1.0, -0.0] {
            for value in [value, -value] {
                let sketch = of(&[value]);
                assert_eq!(Sketch::from_buckets(sketch.buckets().to_vec()), Some(sketch.clone()));
                assert_eq!(sketch, Sketch::of(value));
                assert!(value.is_subnormal() || (sketch.quantile(0.5) / value - 1.0).abs() < 0.0101 || value == 0.0);
            }
        }
    }

    #[test]
    fn too_many_magnitudes_lose_the_smallest() {
        let values: Vec<f64> = (-9_000..9_000).map(|power| f64::from(power / 9).exp2()).chain([-3.5]).collect();
        let values = values.into_iter().filter(|value| value.is_finite()).collect::<Vec<_>>();
        let mut sketch = of(&values);
        sketch.merge(&of(&(0..3_000).map(|power| 1.03_f64.powi(-power)).collect::<Vec<_>>()));
        assert!(sketch.buckets().len() <= SKETCH_BUCKETS_MAX);
        assert!((sketch.quantile(1.0) / values[values.len() - 2] - 1.0).abs() < 0.0101);
        let total: u64 = sketch.buckets().iter().map(|(_, count)| count).sum();
        assert_eq!(total, values.len() as u64 + 3_000);
    }

    #[test]
    fn unsound_buckets_are_refused() {
        let bad = [vec![], vec![(1, 0)], vec![(2, 1), (2, 1)], vec![(3, 1), (2, 1)], vec![(NUMBER_MAX + 1, 1)]];
        for buckets in bad {
            assert_eq!(Sketch::from_buckets(buckets), None);
        }
    }

    proptest! {
        #[test]
        fn percentiles_are_right_to_one_in_a_hundred(
            values in prop::collection::vec(prop_oneof![-1e6_f64..1e6, Just(0.0), -1e-9_f64..1e-9], 1..200),
            part in 0.0_f64..=1.0, cut in 0_usize..200,
        ) {
            let (one, other) = values.split_at(cut.min(values.len()));
            let mut merged = of(one);
            merged.merge(&of(other));
            prop_assert_eq!(&merged, &of(&values));
            let mut rest = merged.clone();
            for &value in other {
                rest.remove(value);
            }
            prop_assert_eq!(&rest, &of(one));
            let mut sorted = values;
            sorted.sort_by(f64::total_cmp);
            #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
            let exact = sorted[(part * (sorted.len() - 1) as f64) as usize];
            let value = merged.quantile(part);
            prop_assert!((value - exact).abs() <= exact.abs() * (SKETCH_ERROR + 1e-9), "{} for {}", value, exact);
        }
    }
}
