//! Statistics of integers: all of them exact, whatever the order in which they were put together.

use ethnum::I256;

use super::wide::{Dd, double, square};

/// Statistics of the integers of one window. Past 2^63 of them the sums would wrap; no window has as many.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ints {
    /// At least 1.
    pub(crate) count: u64,
    pub(crate) sum: i128,
    /// Sum of the squares.
    pub(crate) squares: I256,
    pub(crate) min: i64,
    pub(crate) max: i64,
}

impl Ints {
    /// Of one integer.
    pub(crate) fn of(value: i64) -> Self {
        let wide = i128::from(value);
        Self { count: 1, sum: wide, squares: I256::from(wide * wide), min: value, max: value }
    }

    pub(super) fn absorb(&mut self, other: &Self) {
        self.count = self.count.wrapping_add(other.count);
        self.sum = self.sum.wrapping_add(other.sum);
        self.squares = self.squares.wrapping_add(other.squares);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Without one of its integers; `None` if there are no others. Minimum and maximum stay.
    pub(super) fn without(&self, value: i64) -> Option<Self> {
        let one = Self::of(value);
        let rest = Self {
            count: self.count - 1,
            sum: self.sum.wrapping_sub(one.sum),
            squares: self.squares.wrapping_sub(one.squares),
            ..*self
        };
        (rest.count > 0).then_some(rest)
    }

    pub(super) fn mean(&self) -> Dd {
        Dd::of_int(self.sum).divided_by(double(self.count))
    }

    /// The population variance without its fraction, exactly.
    #[cfg(feature = "server")]
    pub(crate) fn whole_variance(&self) -> i128 {
        let count = I256::from(self.count);
        // At most 2^126: the square of half of what an i64 spans.
        (self.count_times_m2() / (count * count)).as_i128()
    }

    /// The count times the sum of squared distances from the mean, exactly.
    pub(crate) fn count_times_m2(&self) -> I256 {
        I256::from(self.count).wrapping_mul(self.squares).wrapping_sub(square(self.sum))
    }

    /// The sum of squared distances from the mean.
    pub(super) fn m2(&self) -> f64 {
        self.count_times_m2().as_f64().max(0.0) / double(self.count)
    }
}

/// Integers on their way into [`Ints`]: the sum of squares in two registers.
pub(super) struct IntsTally {
    count: u64,
    sum: i128,
    squares: u128,
    /// How often `squares` has run over.
    carries: i128,
    min: i64,
    max: i64,
}

impl IntsTally {
    pub(super) fn new() -> Self {
        Self { count: 0, sum: 0, squares: 0, carries: 0, min: i64::MAX, max: i64::MIN }
    }

    pub(super) fn add(&mut self, value: i64) {
        let wide = i128::from(value);
        let (squares, carry) = self.squares.overflowing_add((wide * wide).cast_unsigned());
        self.count += 1;
        self.sum += wide;
        self.squares = squares;
        self.carries += i128::from(carry);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    pub(super) fn finish(self) -> Option<Ints> {
        let Self { count, sum, squares, carries, min, max } = self;
        let squares = I256::from_words(carries, squares.cast_signed());
        (count > 0).then_some(Ints { count, sum, squares, min, max })
    }
}
