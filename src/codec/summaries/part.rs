//! The integers of a window, or its floats as whole numbers, told from where the window starts and ends: how far the
//! extremes lie beyond, how far the mean lies from their middle, and by how much the squares exceed the least that they
//! can be with this sum. All of it wraps, so that any numbers can stand side by side.

use ethnum::I256;

/// Where the values of one kind start and end, as far as is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ends {
    first: i64,
    last: i64,
}

/// What the sum of squares is at least: the square of the sum divided by the count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Least {
    whole: I256,
    /// What that division leaves.
    pub(super) rest: u64,
}

impl Ends {
    /// Of the first and last value, as far as they are of this kind.
    pub(super) fn of(first: Option<i64>, last: Option<i64>) -> Self {
        let either = first.or(last).unwrap_or(0);
        Self { first: first.unwrap_or(either), last: last.unwrap_or(either) }
    }

    /// How far a minimum lies below both; and the minimum that lies so far below.
    pub(super) fn below(self, min: i64) -> i64 {
        self.first.min(self.last).wrapping_sub(min)
    }

    /// How far a maximum lies above both.
    pub(super) fn above(self, max: i64) -> i64 {
        max.wrapping_sub(self.first.max(self.last))
    }

    /// The maximum that lies so far above both.
    pub(super) fn max_above(self, above: i64) -> i64 {
        self.first.max(self.last).wrapping_add(above)
    }

    /// For values with this count and sum, the least sum of squared distances from the first one.
    pub(super) fn least(self, count: u64, sum: i128) -> Least {
        let distances = sum.wrapping_sub(i128::from(count) * i128::from(self.first));
        if let Some(square) = i64::try_from(distances).ok().and_then(|small| small.checked_mul(small)) {
            let square = square.unsigned_abs();
            return Least { whole: I256::from(square / count), rest: square % count };
        }
        if let Ok(small) = i64::try_from(distances) {
            let square = u128::from(small.unsigned_abs()) * u128::from(small.unsigned_abs());
            #[expect(clippy::cast_possible_truncation, reason = "less than the count")]
            let rest = (square % u128::from(count)) as u64;
            return Least { whole: I256::from(square / u128::from(count)), rest };
        }
        let square = I256::from(distances).wrapping_mul(I256::from(distances));
        let (whole, rest) = square.div_rem(I256::from(count));
        Least { whole, rest: rest.as_u64() }
    }

    /// By how much a sum of squares exceeds the least.
    pub(super) fn spread(self, count: u64, sum: i128, squares: I256) -> I256 {
        self.moved(count, sum, squares).wrapping_sub(self.least(count, sum).whole)
    }

    /// The reverse of [`Self::spread`].
    pub(super) fn squares(self, count: u64, sum: i128, spread: I256) -> I256 {
        let distances = spread.wrapping_add(self.least(count, sum).whole);
        distances.wrapping_sub(self.moved(count, sum, I256::ZERO))
    }

    /// A sum of squares as one of squared distances from the first value.
    fn moved(self, count: u64, sum: i128, squares: I256) -> I256 {
        let (first, count, sum) = (I256::from(self.first), I256::from(count), I256::from(sum));
        let back = count.wrapping_mul(first).wrapping_sub(sum).wrapping_sub(sum);
        squares.wrapping_add(first.wrapping_mul(back))
    }
}

/// About the sum of so many values between these: the count times their middle, rounded down.
pub(super) fn middle(count: u64, min: i64, max: i64) -> i128 {
    (i128::from(count) * (i128::from(min) + i128::from(max))) >> 1
}

/// The 64-bit words of a number, the lowest first; each of the upper ones counted from where the sign of the one below
/// would lead, so that those of small numbers are 0.
pub(super) fn words(number: I256) -> [i64; 4] {
    let (high, low) = number.into_words();
    let [first, second] = halves(low);
    let [third, fourth] = halves(high);
    let above = |word: i64, below: i64| word.wrapping_sub(below >> 63);
    [first, above(second, first), above(third, second), above(fourth, third)]
}

/// The reverse of [`words`].
pub(super) fn from_words(mut words: [i64; 4]) -> I256 {
    for at in 1..words.len() {
        words[at] = words[at].wrapping_add(words[at - 1] >> 63);
    }
    I256::from_words(joined(words[2], words[3]), joined(words[0], words[1]))
}

/// The two lower ones of [`words`] as a number of their own.
pub(super) fn from_low_words([low, high]: [i64; 2]) -> i128 {
    joined(low, high.wrapping_add(low >> 63))
}

fn joined(low: i64, high: i64) -> i128 {
    i128::from(high) << 64 | i128::from(low.cast_unsigned())
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves of a number")]
fn halves(number: i128) -> [i64; 2] {
    [number as i64, (number >> 64) as i64]
}
