//! A column of integers. Each form makes smaller integers of the ones it is given and hands them to the next; the last
//! one packs them into bits. The layout is docs/format.md, "Columns"; which form is taken is `ints/choose.rs`.

mod choose;
mod coded;
mod pack;
#[cfg(test)]
mod tests;

use crate::codec::Malformed;
use crate::codec::varint::Reader;
use crate::model::limits::CHUNK_POINTS_MAX;

// The forms, by the byte before each.
/// Blocks of bits, see `pack.rs`.
const PACKED: u8 = 0;
/// Every value is the one before it plus a step.
const STEP: u8 = 1;
/// Differences to the value before.
const DELTA: u8 = 2;
/// A base plus multiples of a factor.
const SCALE: u8 = 3;
/// Positions in a dictionary.
const RANKS: u8 = 4;
/// Values, and how often each repeats.
const RUNS: u8 = 5;

/// Tokens by frequency, see `coded.rs`.
const CODED: u8 = 6;

/// Most entries of a dictionary.
const RANKS_MAX: usize = 32;

/// Most forms inside one another: the encoder nests runs, a scale, two differences, a scale, ranks, and blocks, and
/// both runs and ranks hold a second column.
const DEPTH_MAX: usize = 9;

/// Appends the column; no values take no bytes.
pub(crate) fn encode(values: &[i64], out: &mut Vec<u8>) {
    choose::encode(values, out);
}

/// Appends the `count` values of a column, which must take all of the bytes.
///
/// # Errors
/// If the bytes are no column of so many values. Some may have been appended then.
pub(crate) fn decode(bytes: &[u8], count: usize, out: &mut Vec<i64>) -> Result<(), Malformed> {
    let mut reader = Reader::new(bytes);
    decode_from(&mut reader, count, out)?;
    if reader.is_empty() { Ok(()) } else { Err(Malformed("bytes behind a column")) }
}

/// Appends the `count` values of the column that the reader stands at.
pub(super) fn decode_from(reader: &mut Reader<'_>, count: usize, out: &mut Vec<i64>) -> Result<(), Malformed> {
    if count > CHUNK_POINTS_MAX {
        return Err(Malformed("a column has more values than a chunk"));
    }
    if count == 0 {
        return Ok(());
    }
    out.reserve(count);
    decode_form(reader, count, DEPTH_MAX, out)
}

fn decode_form(reader: &mut Reader<'_>, count: usize, depth: usize, out: &mut Vec<i64>) -> Result<(), Malformed> {
    let depth = depth.checked_sub(1).ok_or(Malformed("forms are nested too deeply"))?;
    let start = out.len();
    match reader.byte()? {
        PACKED => pack::decode(reader, count, out)?,
        STEP => {
            let (mut value, step) = (reader.signed()?, reader.signed()?);
            out.extend((0..count).map(|_| {
                let this = value;
                value = value.wrapping_add(step);
                this
            }));
        }
        DELTA => {
            let mut value = reader.signed()?;
            decode_form(reader, count, depth, out)?;
            for slot in &mut out[start..] {
                value = value.wrapping_add(*slot);
                *slot = value;
            }
        }
        SCALE => {
            let (base, factor) = (reader.signed()?, reader.number()?.cast_signed());
            decode_form(reader, count, depth, out)?;
            for slot in &mut out[start..] {
                *slot = slot.wrapping_mul(factor).wrapping_add(base);
            }
        }
        RANKS => {
            let mut dictionary = Vec::new();
            let entries = usize::from(reader.byte()?);
            if entries == 0 || entries > RANKS_MAX {
                return Err(Malformed("a dictionary's size is out of range"));
            }
            decode_form(reader, entries, depth, &mut dictionary)?;
            decode_form(reader, count, depth, out)?;
            for slot in &mut out[start..] {
                let entry = usize::try_from(*slot).ok().and_then(|rank| dictionary.get(rank));
                *slot = *entry.ok_or(Malformed("a rank lies outside its dictionary"))?;
            }
        }
        CODED => coded::decode(reader, count, out)?,
        RUNS => decode_runs(reader, count, depth, out)?,
        _ => return Err(Malformed("a column has an unknown form")),
    }
    Ok(())
}

fn decode_runs(reader: &mut Reader<'_>, count: usize, depth: usize, out: &mut Vec<i64>) -> Result<(), Malformed> {
    let runs = usize::try_from(reader.number()?).unwrap_or(usize::MAX);
    if runs == 0 || runs > count {
        return Err(Malformed("a column has more runs than values"));
    }
    let (mut values, mut repeats) = (Vec::with_capacity(runs), Vec::with_capacity(runs));
    decode_form(reader, runs, depth, &mut values)?;
    decode_form(reader, runs, depth, &mut repeats)?;
    let mut left = count;
    for (value, repeats) in values.into_iter().zip(repeats) {
        let len = usize::try_from(repeats).unwrap_or(usize::MAX).saturating_add(1);
        left = left.checked_sub(len).ok_or(Malformed("runs are longer than their column"))?;
        out.resize(out.len() + len, value);
    }
    if left == 0 { Ok(()) } else { Err(Malformed("runs are shorter than their column")) }
}
