//! Statistics of a chunk's values, kept in its entry so that whole-chunk questions need no decoding. Their bytes are
//! docs/format.md, "Directory".

use crate::codec::Malformed;
use crate::codec::varint::{self, Reader};
use crate::model::packed::{Kind, PackedPoint};

/// Statistics of the values of a chunk. Integers and floats are kept apart; shadows, NaN and infinities are left out.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Stats {
    /// `None` without integers.
    pub(crate) ints: Option<Spread<i64, i128>>,
    /// `None` without finite floats. The sum is compensated (Neumaier), in order of time.
    pub(crate) floats: Option<Spread<f64, f64>>,
    /// NaN and infinities.
    pub(crate) non_finite: u32,
}

/// Statistics of values of one kind.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Spread<V, S> {
    /// The value at the earliest time.
    pub(crate) first: V,
    /// The value at the latest time.
    pub(crate) last: V,
    pub(crate) min: V,
    pub(crate) max: V,
    pub(crate) sum: S,
}

// The first byte of the statistics of floats.
pub(super) const EXPONENT_MAX: u8 = 15;
const AS_BITS: u8 = 31;
const EXPONENT_MASK: u8 = 31;
const SUM_AS_BITS: u8 = 1 << 5;
const UNUSED: u8 = 1 << 6;
const NON_FINITE: u8 = 1 << 7;

/// Whole numbers below this divide by a power of ten into the double nearest to the decimal.
const WHOLE_MAX: i128 = 1 << 53;
pub(super) const POWERS: [f64; EXPONENT_MAX as usize + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

impl Stats {
    pub(crate) fn of(points: &[PackedPoint]) -> Self {
        let mut stats = Self { ints: None, floats: None, non_finite: 0 };
        let mut lost = 0.0;
        for point in points {
            match point.kind {
                Kind::Int => {
                    let value = point.bits.cast_signed();
                    let start = Spread { first: value, last: value, min: value, max: value, sum: 0 };
                    let spread = stats.ints.get_or_insert(start);
                    spread.last = value;
                    spread.min = spread.min.min(value);
                    spread.max = spread.max.max(value);
                    spread.sum += i128::from(value);
                }
                Kind::Float => {
                    let value = f64::from_bits(point.bits);
                    if !value.is_finite() {
                        stats.non_finite += 1;
                        continue;
                    }
                    // The sum of nothing is -0.0, so that one value is its own sum to the bit.
                    let start = Spread { first: value, last: value, min: value, max: value, sum: -0.0 };
                    let spread = stats.floats.get_or_insert(start);
                    spread.last = value;
                    // A zero of another sign is neither less nor greater, so the first one stays.
                    spread.min = if value < spread.min { value } else { spread.min };
                    spread.max = if value > spread.max { value } else { spread.max };
                    add(&mut spread.sum, &mut lost, value);
                }
                Kind::Shadow => {}
            }
        }
        if let Some(spread) = &mut stats.floats {
            // Past the largest double there is nothing left to correct.
            let whole = spread.sum + lost;
            spread.sum = if lost == 0.0 || !whole.is_finite() { spread.sum } else { whole };
        }
        stats
    }

    /// Appends the statistics of this many integers.
    pub(crate) fn encode_ints(&self, count: u32, out: &mut Vec<u8>) {
        let spread = self.ints.expect("whoever has integers has their statistics");
        put_spread(&spread.widened(), count, out);
    }

    /// Appends the statistics of this many floats.
    pub(crate) fn encode_floats(&self, count: u32, out: &mut Vec<u8>) {
        let decimals = self.floats.and_then(|spread| decimals_of(&spread));
        let sum = self.floats.zip(decimals).and_then(|(spread, (e, _))| whole_of(spread.sum, e));
        let finite = count - self.non_finite;
        let non_finite = if self.non_finite > 0 { NON_FINITE } else { 0 };
        let sum_as_bits = if sum.is_none() && finite > 1 { SUM_AS_BITS } else { 0 };
        out.push(decimals.map_or(AS_BITS, |(e, _)| e) | sum_as_bits | non_finite);
        if self.non_finite > 0 {
            varint::put(out, u64::from(self.non_finite));
        }
        let Some(spread) = self.floats else { return };
        if let Some((_, whole)) = decimals {
            put_values(&whole, finite, out);
        } else {
            let all = [spread.first, spread.last, spread.min, spread.max];
            let kept = if finite == 1 { &all[..1] } else { &all };
            out.extend(kept.iter().flat_map(|value| value.to_bits().to_le_bytes()));
        }
        match (sum, decimals) {
            _ if finite == 1 => {}
            (Some(sum), Some((_, whole))) => put_wide(out, sum - whole.first * i128::from(finite)),
            _ => out.extend_from_slice(&spread.sum.to_bits().to_le_bytes()),
        }
    }

    /// Reads the statistics of this many integers.
    pub(crate) fn decode_ints(&mut self, reader: &mut Reader<'_>, count: u32) -> Result<(), Malformed> {
        let wide = read_values(reader, count)?;
        let sum = read_sum(reader, &wide, count)?;
        let int = |wide: i128| i64::try_from(wide).map_err(|_| Malformed("a statistic does not fit an integer"));
        let (first, last, min, max) = (int(wide.first)?, int(wide.last)?, int(wide.min)?, int(wide.max)?);
        self.ints = Some(Spread { first, last, min, max, sum });
        Ok(())
    }

    /// Reads the statistics of this many floats.
    pub(crate) fn decode_floats(&mut self, reader: &mut Reader<'_>, count: u32) -> Result<(), Malformed> {
        let head = reader.byte()?;
        let e = head & EXPONENT_MASK;
        if head & UNUSED != 0 || (e > EXPONENT_MAX && e != AS_BITS) {
            return Err(Malformed("the form of a statistic is unknown"));
        }
        let non_finite = if head & NON_FINITE == 0 { 0 } else { reader.number()? };
        self.non_finite = u32::try_from(non_finite).ok().filter(|&number| number <= count).ok_or(BAD)?;
        let finite = count - self.non_finite;
        if finite == 0 {
            return Ok(());
        }
        let mut bits = || Ok(f64::from_bits(u64::from_le_bytes(reader.array()?)));
        let (mut spread, whole) = if e == AS_BITS {
            let first = bits()?;
            let (last, min, max) = if finite == 1 { (first, first, first) } else { (bits()?, bits()?, bits()?) };
            (Spread { first, last, min, max, sum: first }, None)
        } else {
            let whole = read_values(reader, finite)?;
            let float = |number| float_of(number, e).ok_or(BAD);
            let (first, last) = (float(whole.first)?, float(whole.last)?);
            (Spread { first, last, min: float(whole.min)?, max: float(whole.max)?, sum: first }, Some(whole))
        };
        if finite > 1 {
            spread.sum = match whole {
                Some(whole) if head & SUM_AS_BITS == 0 => float_of(read_sum(reader, &whole, finite)?, e).ok_or(BAD)?,
                _ => f64::from_bits(u64::from_le_bytes(reader.array()?)),
            };
        }
        self.floats = Some(spread);
        Ok(())
    }
}

const BAD: Malformed = Malformed("a statistic is out of range");

/// Adds to a sum, with what is lost by rounding kept aside (Neumaier, "Rundungsfehleranalyse einiger Verfahren zur
/// Summation endlicher Summen", 1974).
fn add(sum: &mut f64, lost: &mut f64, value: f64) {
    let next = *sum + value;
    *lost += if sum.abs() >= value.abs() { (*sum - next) + value } else { (value - next) + *sum };
    *sum = next;
}

impl Spread<i64, i128> {
    fn widened(&self) -> Spread<i128, i128> {
        let [first, last, min, max] = [self.first, self.last, self.min, self.max].map(i128::from);
        Spread { first, last, min, max, sum: self.sum }
    }
}

/// The smallest exponent at which all four values are decimals, and those.
fn decimals_of(spread: &Spread<f64, f64>) -> Option<(u8, Spread<i128, i128>)> {
    (0..=EXPONENT_MAX).find_map(|e| {
        let [first, last] = [whole_of(spread.first, e)?, whole_of(spread.last, e)?];
        let [min, max] = [whole_of(spread.min, e)?, whole_of(spread.max, e)?];
        Some((e, Spread { first, last, min, max, sum: 0 }))
    })
}

/// The whole number that gives back exactly this double when it is divided by 10^e.
pub(super) fn whole_of(value: f64, e: u8) -> Option<i128> {
    #[expect(clippy::cast_possible_truncation, reason = "a saturating cast; the bits are compared below")]
    let whole = (value * POWERS[usize::from(e)]).round() as i128;
    (float_of(whole, e)?.to_bits() == value.to_bits()).then_some(whole)
}

pub(super) fn float_of(whole: i128, e: u8) -> Option<f64> {
    let small = i64::try_from(whole).ok().filter(|_| -WHOLE_MAX < whole && whole < WHOLE_MAX)?;
    #[expect(clippy::cast_precision_loss, reason = "a double holds every whole number up to 2^53")]
    Some(small as f64 / POWERS[usize::from(e)])
}

fn put_spread(spread: &Spread<i128, i128>, count: u32, out: &mut Vec<u8>) {
    put_values(spread, count, out);
    if count > 1 {
        put_wide(out, spread.sum - spread.first * i128::from(count));
    }
}

fn put_values(spread: &Spread<i128, i128>, count: u32, out: &mut Vec<u8>) {
    put_wide(out, spread.first);
    if count > 1 {
        put_wide(out, spread.last - spread.first);
        put_wide(out, spread.first - spread.min);
        put_wide(out, spread.max - spread.first);
    }
}

fn read_values(reader: &mut Reader<'_>, count: u32) -> Result<Spread<i128, i128>, Malformed> {
    let first = read_wide(reader)?;
    if count == 1 {
        return Ok(Spread { first, last: first, min: first, max: first, sum: first });
    }
    let mut from_first = |sign: i128| {
        let distance = read_wide(reader)?;
        distance.checked_mul(sign).and_then(|distance| first.checked_add(distance)).ok_or(BAD)
    };
    let (last, min, max) = (from_first(1)?, from_first(-1)?, from_first(1)?);
    Ok(Spread { first, last, min, max, sum: first })
}

fn read_sum(reader: &mut Reader<'_>, values: &Spread<i128, i128>, count: u32) -> Result<i128, Malformed> {
    if count == 1 {
        return Ok(values.first);
    }
    let distance = read_wide(reader)?;
    values.first.checked_mul(i128::from(count)).and_then(|base| base.checked_add(distance)).ok_or(BAD)
}

/// Appends a signed number of up to 128 bits, like [`varint::put_signed`].
fn put_wide(out: &mut Vec<u8>, number: i128) {
    let mut rest = ((number << 1) ^ (number >> 127)).cast_unsigned();
    while rest >= 0x80 {
        out.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    out.push(rest.to_le_bytes()[0]);
}

fn read_wide(reader: &mut Reader<'_>) -> Result<i128, Malformed> {
    let mut number = 0_u128;
    for place in 0..19 {
        let byte = reader.byte()?;
        let bits = u128::from(byte & 0x7f);
        if place == 18 && bits > 3 {
            break;
        }
        number |= bits << (7 * place);
        if byte & 0x80 == 0 {
            return Ok((number >> 1).cast_signed() ^ -((number & 1).cast_signed()));
        }
    }
    Err(Malformed("a number does not fit 128 bits"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::packed::NEVER;
    use proptest::prelude::*;

    fn points(values: impl IntoIterator<Item = (Kind, u64)>) -> Vec<PackedPoint> {
        let packed =
            |(time, (kind, bits))| PackedPoint { time, expires_at: NEVER, bits, unit: 0, kind, is_apart: false };
        (0..).zip(values).map(packed).collect()
    }

    fn floats(values: &[f64]) -> Vec<PackedPoint> {
        points(values.iter().map(|value| (Kind::Float, value.to_bits())))
    }

    /// Encodes and decodes; gives the number of bytes.
    fn round_trip(points: &[PackedPoint]) -> usize {
        let number_of = |kind| points.iter().filter(|point| point.kind == kind).count().try_into().expect("small");
        let (ints, floats) = (number_of(Kind::Int), number_of(Kind::Float));
        let stats = Stats::of(points);
        let mut bytes = Vec::new();
        let mut back = Stats { ints: None, floats: None, non_finite: 0 };
        if ints > 0 {
            stats.encode_ints(ints, &mut bytes);
        }
        if floats > 0 {
            stats.encode_floats(floats, &mut bytes);
        }
        let mut reader = Reader::new(&bytes);
        if ints > 0 {
            back.decode_ints(&mut reader, ints).expect("own bytes");
        }
        if floats > 0 {
            back.decode_floats(&mut reader, floats).expect("own bytes");
        }
        assert!(reader.is_empty());
        assert_eq!(back, stats);
        bytes.len()
    }

    #[test]
    fn decimals_are_short_and_what_is_not_finite_is_left_out() {
        assert!(round_trip(&floats(&[100.0, 103.0, 99.0])) <= 7);
        assert!(round_trip(&floats(&[0.25, 12.5, 3.0])) <= 12);
        assert_eq!(round_trip(&floats(&[1.0 / 3.0, 2.0])), 1 + 5 * 8);
        assert_eq!(round_trip(&floats(&[f64::NAN])), 2);
        let stats = Stats::of(&floats(&[f64::NAN, 2.0, f64::INFINITY, -1.0, f64::NEG_INFINITY]));
        assert_eq!(stats.floats, Some(Spread { first: 2.0, last: -1.0, min: -1.0, max: 2.0, sum: 1.0 }));
        assert_eq!(stats.non_finite, 3);
        let stats = Stats::of(&floats(&[-0.0]));
        assert!(stats.floats.is_some_and(|spread| spread.sum.is_sign_negative()), "one value is its own sum");
    }

    #[test]
    fn sums_lose_nothing_that_a_double_can_hold() {
        let sum = |values: &[f64]| Stats::of(&floats(values)).floats.expect("finite").sum;
        assert_eq!(sum(&[1e100, 1.0, -1e100]).to_bits(), 1_f64.to_bits());
        assert_eq!(sum(&[0.1; 10]).to_bits(), 1_f64.to_bits());
        assert!(sum(&[f64::MAX, f64::MAX]).is_infinite());
        let ints = Stats::of(&points([(Kind::Int, u64::MAX >> 1), (Kind::Int, u64::MAX >> 1)]));
        assert_eq!(ints.ints.expect("ints").sum, 2 * i128::from(i64::MAX));
    }

    fn value() -> impl Strategy<Value = (Kind, u64)> {
        prop_oneof![
            any::<u64>().prop_map(|bits| (Kind::Int, bits)),
            any::<u64>().prop_map(|bits| (Kind::Float, bits)),
            (-99_999_i32..99_999).prop_map(|cents| (Kind::Float, (f64::from(cents) / 100.0).to_bits())),
            Just((Kind::Shadow, 0)),
        ]
    }

    proptest! {
        #[test]
        fn statistics_come_back(values in prop::collection::vec(value(), 0..20)) {
            round_trip(&points(values));
        }

        #[test]
        fn statistics_equal_the_naive_ones(values in prop::collection::vec(value(), 0..20)) {
            let points = points(values);
            let stats = Stats::of(&points);
            let ints: Vec<i64> =
                points.iter().filter(|point| point.kind == Kind::Int).map(|point| point.bits.cast_signed()).collect();
            let naive = ints.first().map(|&first| Spread {
                first,
                last: ints[ints.len() - 1],
                min: ints.iter().copied().min().expect("some"),
                max: ints.iter().copied().max().expect("some"),
                sum: ints.iter().map(|&int| i128::from(int)).sum(),
            });
            prop_assert_eq!(stats.ints, naive);
            let floats = points.iter().filter(|point| point.kind == Kind::Float);
            let floats: Vec<f64> = floats.map(|point| f64::from_bits(point.bits)).collect();
            let finite: Vec<f64> = floats.iter().copied().filter(|float| float.is_finite()).collect();
            prop_assert_eq!(stats.non_finite as usize, floats.len() - finite.len());
            prop_assert_eq!(stats.floats.map(|spread| spread.first), finite.first().copied());
            prop_assert_eq!(stats.floats.map(|spread| spread.last), finite.last().copied());
            prop_assert_eq!(stats.floats.map(|spread| spread.min), finite.iter().copied().reduce(f64::min));
            prop_assert_eq!(stats.floats.map(|spread| spread.max), finite.iter().copied().reduce(f64::max));
        }

        #[test]
        fn any_bytes_are_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..60), count in 1_u32..9) {
            let mut stats = Stats { ints: None, floats: None, non_finite: 0 };
            let _answer = stats.decode_ints(&mut Reader::new(&bytes), count);
            let _answer = stats.decode_floats(&mut Reader::new(&bytes), count);
        }
    }
}
