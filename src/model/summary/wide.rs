//! Arithmetic wider than a double: a sum of two doubles that carries about 106 bits (Dekker, "A floating-point technique
//! for extending the available precision", 1971; Knuth, The Art of Computer Programming 2, 4.2.2), and what turns exact
//! integers into it. No fused multiply-add: on the processors that we build for by default it is a call into a library.

use ethnum::I256;

/// A number as the sum of two doubles, of which the second is less than half a last place of the first.
///
/// Past the largest double the first becomes an infinity, and NaN from there on; the second is 0 then.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Dd {
    pub(crate) hi: f64,
    pub(crate) lo: f64,
}

/// 2^27 + 1: splits a double into two halves whose products are exact.
const SPLITTER: f64 = 134_217_729.0;

impl Dd {
    /// A double itself, bit by bit: `-0.0` stays.
    pub(crate) fn of(value: f64) -> Self {
        Self { hi: value, lo: 0.0 }
    }

    /// An integer, exact up to 2^106 and to as many bits beyond.
    pub(crate) fn of_int(int: i128) -> Self {
        const EXACT: i64 = 1 << 53;
        if let Ok(small) = i64::try_from(int)
            && (-EXACT..=EXACT).contains(&small)
        {
            #[expect(clippy::cast_precision_loss, reason = "a double holds every whole number up to 2^53")]
            return Self::of(small as f64);
        }
        #[expect(clippy::cast_precision_loss, reason = "what is lost is the second part")]
        let hi = int as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a whole number; 53 bits do")]
        let lo = int.wrapping_sub(hi as i128) as f64;
        Self::renormalized(hi, lo)
    }

    /// The sum of two numbers of which the first is the larger one.
    fn renormalized(hi: f64, lo: f64) -> Self {
        let sum = hi + lo;
        let lost = lo - (sum - hi);
        Self { hi: sum, lo: if sum.is_finite() { lost } else { 0.0 } }
    }

    /// The nearest double.
    pub(crate) fn value(self) -> f64 {
        // NOTE: adding +0.0 would take the sign off -0.0.
        if self.lo == 0.0 { self.hi } else { self.hi + self.lo }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        let (sum, lost) = two_sum(self.hi, other.hi);
        let (low, lower) = two_sum(self.lo, other.lo);
        let upper = Self::renormalized(sum, lost + low);
        Self::renormalized(upper.hi, upper.lo + lower)
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        self.plus(Self { hi: -other.hi, lo: -other.lo })
    }

    pub(crate) fn times(self, factor: f64) -> Self {
        let (product, lost) = two_product(self.hi, factor);
        Self::renormalized(product, lost + self.lo * factor)
    }

    pub(crate) fn divided_by(self, divisor: f64) -> Self {
        let quotient = self.hi / divisor;
        let rest = self.minus(Self::of(quotient).times(divisor));
        Self::renormalized(quotient, rest.value() / divisor)
    }

    /// The double nearest to the quotient, or next to that.
    pub(crate) fn quotient(self, divisor: f64) -> f64 {
        // Far from what is too large or small to have halves, a plain division of doubles is the nearest one already.
        const PLAIN: std::ops::Range<f64> = 1e-200..1e200;
        if self.lo == 0.0 && PLAIN.contains(&self.hi.abs()) {
            self.hi / divisor
        } else {
            self.divided_by(divisor).value()
        }
    }

    /// The nearest whole number, if it has fewer than 2^106 as its magnitude.
    pub(crate) fn round(self) -> Option<i128> {
        // 2^106.
        const TOO_LARGE: f64 = 81_129_638_414_606_681_695_789_005_144_064.0;
        if self.hi.is_nan() || self.hi.abs() >= TOO_LARGE {
            return None;
        }
        let whole = self.hi.round();
        // Below 2^52 what `round` took off is exact; above it took nothing.
        let rest = ((self.hi - whole) + self.lo).round();
        #[expect(clippy::cast_possible_truncation, reason = "whole numbers below 2^107")]
        let whole = whole as i128 + rest as i128;
        Some(whole)
    }
}

/// A sum and what rounding took from it (Knuth).
pub(super) fn two_sum(one: f64, other: f64) -> (f64, f64) {
    let sum = one + other;
    let part = sum - one;
    (sum, (one - (sum - part)) + (other - part))
}

/// A product and what rounding took from it (Dekker); factors from 2^996 on have no halves, and nothing is told of what
/// they lose.
fn two_product(one: f64, other: f64) -> (f64, f64) {
    let product = one * other;
    let (one_high, one_low) = halves(one);
    let (other_high, other_low) = halves(other);
    let lost = ((one_high * other_high - product) + one_high * other_low + one_low * other_high) + one_low * other_low;
    (product, if lost.is_finite() { lost } else { 0.0 })
}

fn halves(value: f64) -> (f64, f64) {
    let scaled = value * SPLITTER;
    let high = scaled - (scaled - value);
    (high, value - high)
}

/// A count as a double; exact, as no window has 2^53 points.
#[expect(clippy::cast_precision_loss, reason = "no window has 2^53 points")]
pub(super) fn double(count: u64) -> f64 {
    count as f64
}

/// The square of an integer of 128 bits.
pub(super) fn square(int: i128) -> I256 {
    I256::from(int).wrapping_mul(I256::from(int))
}
