//! A column of doubles, to the bit. Most measured doubles are short decimals, so they are kept as integers and a power
//! of ten: dividing by it rounds correctly, and gives the very double that reading the decimal gave. What that misses
//! by a few last places gets a column of corrections, what it misses altogether is an exception. The layout is
//! docs/format.md, "Columns"; which power is taken is `floats/decimal.rs`.

mod decimal;
#[cfg(test)]
mod tests;

use crate::codec::varint::{self, Reader};
use crate::codec::{Malformed, ints, keep_shorter};
use crate::model::limits::CHUNK_POINTS_MAX;
pub(crate) use decimal::Decimal;
use decimal::{EXPONENT_MAX, Scaled};

// The tag: an exponent and flags, or one of two that are no exponent.
const EXPONENT_MASK: u8 = 0x1f;
const EXCEPTIONS: u8 = 0x20;
const CORRECTIONS: u8 = 0x40;
const SINGLE: u8 = 0x80;
/// All values have the 8 bytes that follow.
const CONSTANT: u8 = 0xfe;
/// The bits themselves, as integers in the order of the numbers.
const RAW: u8 = 0xff;

/// From so many bytes a value on the bits themselves are tried too.
const DEAR_BYTES: usize = 5;
/// The same for a column with corrections or exceptions, which may be no decimals at all.
const DEAR_BYTES_MENDED: usize = 1;
/// One exception in so many values, or fewer; more, and the column is no decimal.
const EXCEPTIONS_ONE_IN: usize = 2;

/// Appends the column; no values take no bytes.
pub(crate) fn encode(bits: &[u64], out: &mut Vec<u8>) {
    if bits.is_empty() {
        return;
    }
    if bits.iter().all(|other| *other == bits[0]) {
        return encode_constant(bits, out);
    }
    let start = out.len();
    let found = decimal::choose(bits).map(|decimal| decimal::scale(bits, decimal));
    let Some(scaled) = found.filter(|scaled| scaled.positions.len() <= bits.len() / EXCEPTIONS_ONE_IN) else {
        return encode_raw(bits, out);
    };
    encode_scaled(&scaled, out);
    let middle = out.len();
    let dear = if scaled.is_exact() { DEAR_BYTES } else { DEAR_BYTES_MENDED };
    if middle - start < dear * bits.len() {
        return;
    }
    encode_raw(bits, out);
    keep_shorter(out, start, middle);
}

/// Appends the `count` values of a column, which must take all of the bytes.
///
/// # Errors
/// If the bytes are no column of so many values.
pub(crate) fn decode(bytes: &[u8], count: usize, out: &mut Vec<u64>) -> Result<(), Malformed> {
    let (numbers, decimal) = decode_numbers(bytes, count)?;
    match decimal {
        Some(decimal) => out.extend(numbers.into_iter().map(|int| decimal.bits(int))),
        None => out.extend(numbers.into_iter().map(i64::cast_unsigned)),
    }
    Ok(())
}

/// The same as integers, with the decimal that makes doubles of them; without one they are the bits of the values.
///
/// # Errors
/// As [`decode`].
pub(crate) fn decode_numbers(bytes: &[u8], count: usize) -> Result<(Vec<i64>, Option<Decimal>), Malformed> {
    if count > CHUNK_POINTS_MAX {
        return Err(Malformed("a column has more values than a chunk"));
    }
    let mut reader = Reader::new(bytes);
    let mut numbers = Vec::new();
    let mut decimal = None;
    if count > 0 {
        match reader.byte()? {
            CONSTANT => numbers.resize(count, i64::from_le_bytes(reader.array()?)),
            RAW => {
                ints::decode_from(&mut reader, count, &mut numbers)?;
                for number in &mut numbers {
                    *number = from_ordered(*number).cast_signed();
                }
            }
            tag => decimal = decode_scaled(tag, &mut reader, count, &mut numbers)?,
        }
    }
    if reader.is_empty() { Ok((numbers, decimal)) } else { Err(Malformed("bytes behind a column")) }
}

fn encode_constant(bits: &[u64], out: &mut Vec<u8>) {
    match decimal::choose(&bits[..1]).map(|decimal| decimal::scale(&bits[..1], decimal)) {
        Some(scaled) if scaled.is_exact() && scaled.ints[0].unsigned_abs() < 1 << 40 => {
            encode_scaled(&Scaled { ints: vec![scaled.ints[0]; bits.len()], ..scaled }, out);
        }
        _ => {
            out.push(CONSTANT);
            out.extend_from_slice(&bits[0].to_le_bytes());
        }
    }
}

fn encode_raw(bits: &[u64], out: &mut Vec<u8>) {
    let ordered: Vec<i64> = bits.iter().map(|bits| to_ordered(*bits)).collect();
    out.push(RAW);
    ints::encode(&ordered, out);
}

/// The bits of a double as an integer such that the integers stand in the order of the doubles.
fn to_ordered(bits: u64) -> i64 {
    let bits = bits.cast_signed();
    bits ^ ((bits >> 63) & i64::MAX)
}

/// The reverse, which is the same.
fn from_ordered(ordered: i64) -> u64 {
    (ordered ^ ((ordered >> 63) & i64::MAX)).cast_unsigned()
}

fn encode_scaled(scaled: &Scaled, out: &mut Vec<u8>) {
    let mut tag = scaled.decimal.exponent;
    tag |= if scaled.decimal.single { SINGLE } else { 0 };
    tag |= if scaled.positions.is_empty() { 0 } else { EXCEPTIONS };
    tag |= if scaled.corrections.is_empty() { 0 } else { CORRECTIONS };
    out.push(tag);
    ints::encode(&scaled.ints, out);
    ints::encode(&scaled.corrections, out);
    if !scaled.positions.is_empty() {
        varint::put(out, scaled.positions.len() as u64);
        ints::encode(&scaled.positions, out);
        let exceptions: Vec<i64> = scaled.exceptions.iter().map(|bits| to_ordered(*bits)).collect();
        ints::encode(&exceptions, out);
    }
}

/// Appends integers and gives their decimal, unless that does not give back all values: then appends their bits.
fn decode_scaled(
    tag: u8,
    reader: &mut Reader<'_>,
    count: usize,
    out: &mut Vec<i64>,
) -> Result<Option<Decimal>, Malformed> {
    let decimal = Decimal { exponent: tag & EXPONENT_MASK, single: tag & SINGLE != 0 };
    if decimal.exponent > EXPONENT_MAX {
        return Err(Malformed("floats have an unknown form"));
    }
    ints::decode_from(reader, count, out)?;
    if tag & (CORRECTIONS | EXCEPTIONS) == 0 {
        return Ok(Some(decimal));
    }
    for number in out.iter_mut() {
        *number = decimal.bits(*number).cast_signed();
    }
    if tag & CORRECTIONS != 0 {
        let mut corrections = Vec::new();
        ints::decode_from(reader, count, &mut corrections)?;
        for (bits, correction) in out.iter_mut().zip(corrections) {
            *bits = bits.wrapping_add(correction);
        }
    }
    if tag & EXCEPTIONS != 0 {
        let len = usize::try_from(reader.number()?).unwrap_or(usize::MAX);
        if len > count {
            return Err(Malformed("floats have more exceptions than values"));
        }
        let (mut positions, mut exceptions) = (Vec::new(), Vec::new());
        ints::decode_from(reader, len, &mut positions)?;
        ints::decode_from(reader, len, &mut exceptions)?;
        for (position, exception) in positions.into_iter().zip(exceptions) {
            let slot = usize::try_from(position).ok().and_then(|position| out.get_mut(position));
            *slot.ok_or(Malformed("an exception lies outside its column"))? = from_ordered(exception).cast_signed();
        }
    }
    Ok(None)
}
