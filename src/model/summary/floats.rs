//! Statistics of floats: sums in twice the precision of a double, and squared distances from a mean that is known as
//! precisely. Never a sum of squares: of large values that lie close together it would keep nothing but noise.

use super::wide::{Dd, double, two_sum};

/// Statistics of the finite floats of one window. Where a sum or a squared distance passes the largest double, `sum` and
/// `m2` are infinite or NaN.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Floats {
    /// At least 1.
    pub(crate) count: u64,
    pub(crate) sum: Dd,
    /// Sum of the squared distances from the mean; exactly 0 if all values are equal.
    pub(crate) m2: f64,
    /// Of zeros with different signs the one that came first.
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Floats {
    /// Of one float.
    pub(crate) fn of(value: f64) -> Self {
        Self { count: 1, sum: Dd::of(value), m2: 0.0, min: value, max: value }
    }

    /// Of values that can be looked at twice.
    pub(super) fn of_all(values: impl Iterator<Item = f64> + Clone) -> Option<Self> {
        let mut rest = values.clone();
        let first = rest.next()?;
        let (mut count, mut sum, mut lost, mut min, mut max) = (1_u64, first, 0.0, first, first);
        for value in rest {
            let (next, error) = two_sum(sum, value);
            sum = next;
            lost += error;
            count += 1;
            min = if value < min { value } else { min };
            max = if value > max { value } else { max };
        }
        if count == 1 {
            return Some(Self::of(first));
        }
        let sum = Dd::of(sum).plus(Dd::of(lost));
        let m2 = if min < max { squared_distances(values, sum.divided_by(double(count))) } else { 0.0 };
        Some(Self { count, sum, m2, min, max })
    }

    /// Chan, Golub and `LeVeque`, "Updating formulae and a pairwise algorithm for computing sample variances" (1979), with
    /// the distance of the means in twice the precision.
    pub(super) fn absorb(&mut self, other: &Self) {
        self.min = if other.min < self.min { other.min } else { self.min };
        self.max = if other.max > self.max { other.max } else { self.max };
        let m2 = combined_m2((self.count, self.mean(), self.m2), (other.count, other.mean(), other.m2));
        self.m2 = if self.min < self.max { m2 } else { 0.0 };
        self.sum = self.sum.plus(other.sum);
        self.count = self.count.wrapping_add(other.count);
    }

    /// Without one of its floats; `None` if there are no others. Minimum and maximum stay.
    pub(super) fn without(&self, value: f64) -> Option<Self> {
        let count = self.count - 1;
        if count == 0 {
            return None;
        }
        let rest = Self { count, sum: self.sum.minus(Dd::of(value)), ..*self };
        let distance = |mean: Dd| Dd::of(value).minus(mean).value();
        let m2 = self.m2 - distance(self.mean()) * distance(rest.mean());
        let m2 = if m2 < 0.0 || count == 1 || self.m2 == 0.0 { 0.0 } else { m2 };
        Some(Self { m2, ..rest })
    }

    pub(super) fn mean(&self) -> Dd {
        if self.count == 1 { self.sum } else { self.sum.divided_by(double(self.count)) }
    }
}

/// The sum of squared distances of two sets together, each given by its count, mean and own sum of them.
pub(super) fn combined_m2(one: (u64, Dd, f64), other: (u64, Dd, f64)) -> f64 {
    let delta = other.1.minus(one.1).value();
    let (count, other_count) = (double(one.0), double(other.0));
    one.2 + other.2 + delta * delta * (count * (other_count / (count + other_count)))
}

fn squared_distances(values: impl Iterator<Item = f64>, mean: Dd) -> f64 {
    let (mut sum, mut lost) = (0.0, 0.0);
    for value in values {
        let distance = (value - mean.hi) - mean.lo;
        let (next, error) = two_sum(sum, distance * distance);
        sum = next;
        lost += error;
    }
    if sum.is_finite() { sum + lost } else { sum }
}
