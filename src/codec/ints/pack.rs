//! Integers in blocks of 128, each a reference, a width, and the distances from the reference in that many bits. The
//! few that lie farther away are patched: their high bits follow the block (patched frame of reference, Zukowski et
//! al., ICDE 2006). All arithmetic wraps, so that any integers can stand side by side.
#![allow(clippy::cast_possible_truncation, reason = "widths are at most 64, positions less than 128")]

use bitpacking::{BitPacker, BitPacker4x};

use crate::codec::Malformed;
use crate::codec::varint::{self, Reader};

/// Integers in a full block.
const BLOCK: usize = BitPacker4x::BLOCK_LEN;
/// Set in the width's byte if exceptions follow.
const PATCHED: u8 = 0x80;
/// A patched block must leave most of its values in place; more exceptions never pay.
const EXCEPTIONS_MAX: usize = 40;
/// The planner looks at a block's values in 2^6 bins of equal width.
const BIN_BITS: u32 = 6;
const BINS: usize = 1 << BIN_BITS;
/// Bins that the processor looks at together.
const LANES: usize = 16;

/// How one block is stored.
#[derive(Clone, Copy, Debug)]
struct Plan {
    reference: i64,
    width: u32,
    /// About how many bytes that takes, reference and exceptions included.
    bytes: usize,
}

/// Appends the blocks.
pub(super) fn encode(values: &[i64], out: &mut Vec<u8>) {
    let mut before = 0;
    for block in values.chunks(BLOCK) {
        let plan = plan(block, before);
        encode_block(block, plan, before, out);
        before = plan.reference;
    }
}

/// About how many bytes [`encode`] appends.
pub(super) fn cost(values: &[i64]) -> usize {
    let mut before = 0;
    let mut bytes = 0;
    for block in values.chunks(BLOCK) {
        let plan = plan(block, before);
        before = plan.reference;
        bytes += plan.bytes;
    }
    bytes
}

/// Appends `count` integers.
pub(super) fn decode(reader: &mut Reader<'_>, count: usize, out: &mut Vec<i64>) -> Result<(), Malformed> {
    let mut before = 0;
    let mut left = count;
    while left > 0 {
        let len = left.min(BLOCK);
        before = decode_block(reader, len, before, out)?;
        left -= len;
    }
    Ok(())
}

/// The bits that hold every number up to this one.
fn bits(number: u64) -> u32 {
    u64::BITS - number.leading_zeros()
}

/// The width and reference with the fewest bytes, or close to it.
///
/// The values are counted in bins of equal width, and windows of 2^w bins slid over them; when a narrow window holds
/// nearly all, the search goes on inside it.
fn plan(block: &[i64], before: i64) -> Plan {
    let (mut low, mut high) = (block[0], block[0]);
    for &value in block {
        low = low.min(value);
        high = high.max(value);
    }
    let full = bits(high.wrapping_sub(low).cast_unsigned());
    if full == u64::BITS {
        return Plan { reference: 0, width: full, bytes: 2 + 8 * block.len() };
    }
    let bytes = |reference: i64, width: u32| {
        1 + varint::signed_len(reference.wrapping_sub(before)) + (block.len() * width as usize).div_ceil(8)
    };
    let mut best = Plan { reference: low, width: full, bytes: bytes(low, full) };
    let mut width = full;
    // Bins that hold anything, at least as many as are looked at together.
    let mut used = (1 << full.min(BIN_BITS)).max(LANES);
    while width > 0 {
        let shift = width.saturating_sub(BIN_BITS);
        let sums = count_bins(block, low, shift, used);
        let mut window = 0;
        for narrower in (shift..width).rev() {
            window = 1 << (narrower - shift);
            let exceptions = block.len() - usize::from(most_in_window(&sums[..used + window], window));
            if exceptions > EXCEPTIONS_MAX {
                return best;
            }
            let each = 1 + (full - narrower + 2).div_ceil(7) as usize;
            if bytes(before, narrower) + 1 + exceptions * each >= best.bytes {
                continue;
            }
            let reference = low.wrapping_add((fullest_window(&sums[..used + window], window) << shift).cast_signed());
            let bytes = bytes(reference, narrower) + 1 + exceptions * each;
            if bytes < best.bytes {
                best = Plan { reference, width: narrower, bytes };
            }
        }
        low = low.wrapping_add((fullest_window(&sums[..used + window], window) << shift).cast_signed());
        width = shift;
        used = BINS;
    }
    best
}

/// How many values lie before each of the first `used` bins of width 2^shift from `low` on; behind those, how many in
/// all.
fn count_bins(block: &[i64], low: i64, shift: u32, used: usize) -> [u8; 2 * BINS] {
    // Two tables, so that neighbours in one bin need not wait for each other; the last place is for values elsewhere.
    let mut bins = [[0_u8; BINS + 1]; 2];
    for (position, &value) in block.iter().enumerate() {
        let bin = value.wrapping_sub(low).cast_unsigned() >> shift;
        bins[position % 2][bin.min(BINS as u64) as usize] += 1;
    }
    let mut sums = [0; 2 * BINS];
    let mut sum = 0;
    for (slot, (one, other)) in sums[..used].iter_mut().zip(bins[0].iter().zip(&bins[1])) {
        *slot = sum;
        sum += one + other;
    }
    sums[used..].fill(sum);
    sums
}

/// The most values that a window of so many bins holds, among the sums before the bins and those a window behind.
fn most_in_window(sums: &[u8], window: usize) -> u8 {
    let starts = sums[..sums.len() - window].chunks_exact(LANES);
    let mut most = [0; LANES];
    for (starts, ends) in starts.zip(sums[window..].chunks_exact(LANES)) {
        for ((most, start), end) in most.iter_mut().zip(starts).zip(ends) {
            *most = (*most).max(end - start);
        }
    }
    most.into_iter().fold(0, u8::max)
}

/// Where the first such window starts.
fn fullest_window(sums: &[u8], window: usize) -> u64 {
    let most = most_in_window(sums, window);
    let mut lens = sums.iter().zip(&sums[window..]).map(|(start, end)| end - start);
    lens.position(|len| len == most).expect("some window holds the most") as u64
}

fn encode_block(block: &[i64], plan: Plan, before: i64, out: &mut Vec<u8>) {
    let mask = if plan.width == u64::BITS { u64::MAX } else { (1 << plan.width) - 1 };
    let mut distances = [0_u64; BLOCK];
    let mut outside = 0;
    for (distance, &value) in distances.iter_mut().zip(block) {
        *distance = value.wrapping_sub(plan.reference).cast_unsigned();
        outside += usize::from(*distance & !mask != 0);
    }
    let distances = &distances[..block.len()];
    out.push(plan.width as u8 | if outside > 0 { PATCHED } else { 0 });
    if outside > 0 {
        out.push(outside as u8);
    }
    varint::put_signed(out, plan.reference.wrapping_sub(before));
    if let Ok(full) = <&[u64; BLOCK]>::try_from(distances) {
        let low = full.map(|distance| (distance & mask) as u32);
        pack(&low, plan.width.min(u32::BITS), out);
        if plan.width > u32::BITS {
            let high = full.map(|distance| ((distance & mask) >> u32::BITS) as u32);
            pack(&high, plan.width - u32::BITS, out);
        }
    } else {
        put_bits(distances, mask, plan.width, out);
    }
    if outside > 0 {
        for (position, &distance) in distances.iter().enumerate().filter(|(_, distance)| **distance & !mask != 0) {
            out.push(position as u8);
            varint::put_signed(out, distance.cast_signed() >> plan.width);
        }
    }
}

fn pack(numbers: &[u32; BLOCK], width: u32, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + BitPacker4x::compressed_block_size(width as u8), 0);
    BitPacker4x::new().compress(numbers, &mut out[start..], width as u8);
}

/// A short block: bits in a row, the first value in the lowest ones.
fn put_bits(distances: &[u64], mask: u64, width: u32, out: &mut Vec<u8>) {
    let mut held = 0_u128;
    let mut filled = 0;
    for distance in distances {
        held |= u128::from(distance & mask) << filled;
        filled += width;
        while filled >= u8::BITS {
            out.push(held as u8);
            held >>= u8::BITS;
            filled -= u8::BITS;
        }
    }
    if filled > 0 {
        out.push(held as u8);
    }
}

/// Appends one block and returns its reference.
fn decode_block(reader: &mut Reader<'_>, len: usize, before: i64, out: &mut Vec<i64>) -> Result<i64, Malformed> {
    let head = reader.byte()?;
    let width = u32::from(head & !PATCHED);
    if width > u64::BITS || head == PATCHED | 64 {
        return Err(Malformed("a block's width is over 64 bits"));
    }
    let outside = if head & PATCHED == 0 { 0 } else { reader.byte()? };
    let reference = before.wrapping_add(reader.signed()?);
    let packed = reader.slice((len * width as usize).div_ceil(8))?;
    let start = out.len();
    if width == 0 {
        out.resize(start + len, reference);
    } else if len < BLOCK {
        get_bits(packed, len, width, reference, out);
    } else {
        let mut low = [0; BLOCK];
        let read = BitPacker4x::new().decompress(packed, &mut low, width.min(u32::BITS) as u8);
        if width <= u32::BITS {
            out.extend(low.iter().map(|&distance| reference.wrapping_add(i64::from(distance))));
        } else {
            let mut high = [0; BLOCK];
            BitPacker4x::new().decompress(&packed[read..], &mut high, (width - u32::BITS) as u8);
            let distances = low.iter().zip(&high).map(|(&low, &high)| i64::from(high) << u32::BITS | i64::from(low));
            out.extend(distances.map(|distance| reference.wrapping_add(distance)));
        }
    }
    for _ in 0..outside {
        let position = usize::from(reader.byte()?);
        let high = reader.signed()?;
        let value = out[start..].get_mut(position).ok_or(Malformed("an exception lies outside its block"))?;
        *value = value.wrapping_add(high << width);
    }
    Ok(reference)
}

fn get_bits(packed: &[u8], len: usize, width: u32, reference: i64, out: &mut Vec<i64>) {
    let mask = u64::MAX >> (u64::BITS - width);
    let mut held = 0_u128;
    let mut filled = 0;
    let mut bytes = packed.iter();
    for _ in 0..len {
        while filled < width {
            let byte = bytes.next().expect("the slice holds len values of width bits");
            held |= u128::from(*byte) << filled;
            filled += u8::BITS;
        }
        out.push(reference.wrapping_add((held as u64 & mask).cast_signed()));
        held >>= width;
        filled -= width;
    }
}
