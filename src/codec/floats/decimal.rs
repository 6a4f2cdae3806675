//! Doubles as integers times a power of ten: finding the power, and telling which values it gives back to the bit.

use std::ops::Range;

use crate::codec::held::Held;

/// Largest exponent of ten.
pub(super) const EXPONENT_MAX: u8 = 18;

/// 10^0 to 10^18, each exact in a double.
const POWERS: [f64; EXPONENT_MAX as usize + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18];

/// 2^51. Integers up to here are taken: adding [`ROUNDER`] then rounds to a whole number, and a decimal of 15 digits fits.
const INT_MAX: f64 = 2_251_799_813_685_248.0;
/// 1.5 * 2^52: a double of this size has no digits behind the point.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// Farthest from its decimal a value may lie, in units of the last place, to be corrected; a sum of a few dozen
/// decimals stays below.
const CORRECTION_MAX: u64 = 1 << 10;

/// Values that are looked at, in runs of neighbours.
const SAMPLE: usize = 64;
const SAMPLE_RUN: usize = 16;

/// What a value costs in bits that no decimal comes near,
const EXCEPTION_BITS: u32 = 80;
/// and what it costs if it is the same as the last such one: mostly, the value that stands for no value.
const REPEATED_BITS: u32 = 12;

/// How an integer becomes a double: divided by 10^exponent, then rounded to single precision if asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Decimal {
    pub(super) exponent: u8,
    pub(super) single: bool,
}

/// A column as integers.
pub(super) struct Scaled {
    pub(super) decimal: Decimal,
    /// One for each value.
    pub(super) ints: Vec<i64>,
    /// What to add to the bits, one for each value; empty if all are 0.
    pub(super) corrections: Vec<i64>,
    /// The values that are something else, by position.
    pub(super) positions: Vec<i64>,
    pub(super) exceptions: Vec<u64>,
}

impl Scaled {
    /// Whether the integers alone give back every value.
    pub(super) fn is_exact(&self) -> bool {
        self.corrections.is_empty() && self.positions.is_empty()
    }
}

impl Decimal {
    /// Appends what `each` makes of the doubles that the integers at some positions stand for.
    pub(crate) fn append_floats<T>(self, ints: &Held, range: Range<usize>, out: &mut Vec<T>, each: impl Fn(f64) -> T) {
        let power = POWERS[usize::from(self.exponent)];
        match (self.exponent, self.single) {
            (0, false) => ints.append(range, out, |int| each(double(int))),
            (_, false) => ints.append(range, out, |int| each(double(int) / power)),
            (_, true) => ints.append(range, out, |int| each(round_to_single(double(int) / power))),
        }
    }

    /// The bits of the double that an integer stands for.
    pub(super) fn bits(self, int: i64) -> u64 {
        let quotient = double(int) / POWERS[usize::from(self.exponent)];
        if self.single { round_to_single(quotient).to_bits() } else { quotient.to_bits() }
    }

    /// The integer closest to a value, and by how many last places what it gives back misses the value; `None` if the
    /// value is far too large, or not a number.
    fn nearest(self, bits: u64) -> Option<(i64, i64)> {
        let power = POWERS[usize::from(self.exponent)];
        let product = f64::from_bits(bits) * power;
        let (int, whole) = round(product);
        let back = if self.single { round_to_single(whole / power) } else { whole / power };
        let miss = bits.wrapping_sub(back.to_bits()).cast_signed();
        (product.abs() < INT_MAX).then_some((int, miss))
    }

    fn gives(self, bits: u64) -> bool {
        self.nearest(bits).is_some_and(|(_, miss)| miss == 0)
    }
}

/// The double of a whole number up to [`INT_MAX`], in which no encoder writes larger ones. The reverse of [`round`]: with
/// no instruction that takes one number at a time.
fn double(int: i64) -> f64 {
    f64::from_bits(ROUNDER.to_bits().wrapping_add_signed(int)) - ROUNDER
}

#[expect(clippy::cast_possible_truncation, reason = "rounding is the purpose")]
fn round_to_single(value: f64) -> f64 {
    f64::from(value as f32)
}

/// The nearest whole number of magnitude below [`INT_MAX`], as both; something arbitrary for others.
fn round(value: f64) -> (i64, f64) {
    let shifted = value + ROUNDER;
    (shifted.to_bits().wrapping_sub(ROUNDER.to_bits()).cast_signed(), shifted - ROUNDER)
}

/// Writes the values as integers, as far as they are such.
pub(super) fn scale(bits: &[u64], decimal: Decimal) -> Scaled {
    let mut ints = Vec::with_capacity(bits.len());
    let mut misses = 0;
    for &value in bits {
        // Far values come out as misses, or as exact by chance and wrong: both are looked at again below.
        let (int, miss) = decimal.nearest(value).unwrap_or((0, i64::MIN));
        misses |= miss;
        ints.push(int);
    }
    let mut scaled = Scaled { decimal, ints, corrections: Vec::new(), positions: Vec::new(), exceptions: Vec::new() };
    if misses != 0 {
        mend(bits, &mut scaled);
    }
    scaled
}

/// Finds the corrections and exceptions.
fn mend(bits: &[u64], scaled: &mut Scaled) {
    let mut corrections = Vec::with_capacity(bits.len());
    let mut corrected = false;
    let mut before = 0;
    for ((&value, int), position) in bits.iter().zip(&mut scaled.ints).zip(0..) {
        let correction = match scaled.decimal.nearest(value) {
            Some((_, miss)) if miss.unsigned_abs() <= CORRECTION_MAX => miss,
            _ => {
                scaled.positions.push(position);
                scaled.exceptions.push(value);
                // The neighbour's integer costs least.
                *int = before;
                0
            }
        };
        corrected |= correction != 0;
        corrections.push(correction);
        before = *int;
    }
    if corrected {
        scaled.corrections = corrections;
    }
}

/// The decimal that suits a sample of the values; `None` if their bits are cheaper.
pub(super) fn choose(bits: &[u64]) -> Option<Decimal> {
    let sample = sample(bits);
    if let Some(exponent) = smallest_exact(sample.iter().copied().flatten(), false) {
        return Some(Decimal { exponent, single: false });
    }
    cheapest(&sample)
}

/// Runs of neighbours from all over the column.
fn sample(bits: &[u64]) -> Vec<&[u64]> {
    if bits.len() <= SAMPLE {
        return vec![bits];
    }
    let runs = SAMPLE / SAMPLE_RUN;
    let last = bits.len() - SAMPLE_RUN;
    (0..runs).map(|run| run * last / (runs - 1)).map(|start| &bits[start..start + SAMPLE_RUN]).collect()
}

/// The smallest exponent that gives back all values.
fn smallest_exact<'a>(values: impl Iterator<Item = &'a u64>, single: bool) -> Option<u8> {
    let mut exponent = 0;
    for &value in values {
        while !(Decimal { exponent, single }).gives(value) {
            exponent += 1;
            if exponent > EXPONENT_MAX {
                return None;
            }
        }
    }
    Some(exponent)
}

/// The decimal whose integers, corrections and exceptions take the fewest bits.
fn cheapest(sample: &[&[u64]]) -> Option<Decimal> {
    let is_single = |bits: u64| round_to_single(f64::from_bits(bits)).to_bits() == bits;
    let singles = sample.iter().copied().flatten().all(|&bits| is_single(bits));
    let mut best = None;
    let mut fewest: u32 = sample.iter().map(|run| column_bits(run.iter().map(|&bits| super::to_ordered(bits)))).sum();
    for single in [false, true].into_iter().take(1 + usize::from(singles)) {
        for exponent in 0..=EXPONENT_MAX {
            let decimal = Decimal { exponent, single };
            let bits = sample.iter().map(|run| cost(run, decimal)).sum();
            if bits < fewest {
                fewest = bits;
                best = Some(decimal);
            }
        }
    }
    best
}

/// About how many bits a run of neighbours takes.
fn cost(run: &[u64], decimal: Decimal) -> u32 {
    let mut extra = 0;
    let mut last = None;
    let ints = run.iter().filter_map(|&value| match decimal.nearest(value) {
        Some((int, miss)) if miss.unsigned_abs() <= CORRECTION_MAX => {
            extra += magnitude_bits(miss);
            Some(int)
        }
        _ => {
            extra += if last == Some(value) { REPEATED_BITS } else { EXCEPTION_BITS };
            last = Some(value);
            None
        }
    });
    let bits = column_bits(ints);
    bits + extra
}

/// About how many bits a column of integers takes, or the differences of its values.
fn column_bits(ints: impl Iterator<Item = i64>) -> u32 {
    let (mut plain, mut deltas) = (0, 0);
    let mut first = None;
    let mut before = 0;
    for int in ints {
        let first = *first.get_or_insert_with(|| {
            before = int;
            int
        });
        plain += magnitude_bits(int.wrapping_sub(first));
        deltas += magnitude_bits(int.wrapping_sub(before));
        before = int;
    }
    plain.min(deltas)
}

/// The bits of a number and its sign.
fn magnitude_bits(number: i64) -> u32 {
    if number == 0 { 0 } else { u64::BITS + 1 - number.unsigned_abs().leading_zeros() }
}
