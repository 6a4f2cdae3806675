//! Which forms a column of integers takes. A wrong choice costs bytes, never a value: cheap tests come first, the number
//! of differences is chosen by what a few blocks would cost, and where two forms are rivals both are written and the
//! longer one is thrown away.

use super::{CODED, DELTA, PACKED, RANKS, RANKS_MAX, RUNS, SCALE, STEP, coded, pack};
use crate::codec::{keep_shorter, varint};

/// Blocks that are looked at to choose the number of differences.
const SAMPLE_BLOCKS: usize = 3;
/// Values in each of them.
const SAMPLE: usize = 128;
/// Two differences must win by one part in so many: they cost a pass more to read.
const ORDER_GAIN: usize = 32;
/// Tokens must win by one part in so many: they take three times as long to read as blocks,
const CODED_GAIN: usize = 16;
/// and five times if they leave bits open.
const OPEN_GAIN: usize = 12;

/// Appends the column.
pub(super) fn encode(values: &[i64], out: &mut Vec<u8>) {
    if values.is_empty() || put_step(values, out) {
        return;
    }
    let runs = 1 + values.windows(2).filter(|pair| pair[0] != pair[1]).count();
    if runs > values.len() / 2 {
        return encode_varied(values, out);
    }
    let start = out.len();
    encode_runs(values, runs, out);
    let with_runs = out.len();
    encode_varied(values, out);
    keep_shorter(out, start, with_runs);
}

/// Appends a column whose values all differ by the same from the one before; says whether this is one.
fn put_step(values: &[i64], out: &mut Vec<u8>) -> bool {
    let step = values.get(1).map_or(0, |second| second.wrapping_sub(values[0]));
    let is_step = values.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == step);
    if is_step {
        out.push(STEP);
        varint::put_signed(out, values[0]);
        varint::put_signed(out, step);
    }
    is_step
}

fn encode_runs(values: &[i64], runs: usize, out: &mut Vec<u8>) {
    out.push(RUNS);
    varint::put(out, runs as u64);
    let (mut firsts, mut repeats) = (Vec::with_capacity(runs), Vec::with_capacity(runs));
    for run in values.chunk_by(|one, next| one == next) {
        firsts.push(run[0]);
        repeats.push(run.len().cast_signed() as i64 - 1);
    }
    encode_unequal(&firsts, out);
    encode_unequal(&repeats, out);
}

/// A column that is not worth a look for runs.
fn encode_unequal(values: &[i64], out: &mut Vec<u8>) {
    if !put_step(values, out) {
        encode_varied(values, out);
    }
}

/// A column that has no constant step: scale, differences, then what is left.
fn encode_varied(values: &[i64], out: &mut Vec<u8>) {
    let scaled = put_scale(values, out);
    let values = scaled.as_deref().unwrap_or(values);
    let order = order(values);
    if order == 0 {
        return encode_rest(values, out);
    }
    let start = out.len();
    let mut deltas = values.to_vec();
    for _ in 0..order {
        let base = take_differences(&mut deltas);
        out.push(DELTA);
        varint::put_signed(out, base);
    }
    if put_step(&deltas, out) {
        return;
    }
    let smaller = put_scale(&deltas, out);
    encode_rest(smaller.as_deref().unwrap_or(&deltas), out);
    // A dictionary is the one form whose gain the choice of order does not see.
    if out.len() - start > values.len() / 8
        && let Some(ranks) = Ranks::of(values)
    {
        let middle = out.len();
        ranks.encode(out);
        keep_shorter(out, start, middle);
    }
}

/// Ranks, tokens or blocks, whichever is shortest.
fn encode_rest(values: &[i64], out: &mut Vec<u8>) {
    let start = out.len();
    let is_near = encode_numbers(values, out);
    if !is_near
        && out.len() - start > values.len() / 16
        && let Some(ranks) = Ranks::of(values)
    {
        let middle = out.len();
        ranks.encode(out);
        keep_shorter(out, start, middle);
    }
}

/// Blocks, or tokens if they are shorter by enough; says whether a dictionary could add nothing to those.
fn encode_numbers(values: &[i64], out: &mut Vec<u8>) -> bool {
    let start = out.len();
    out.push(PACKED);
    pack::encode(values, out);
    let packed = out.len() - start;
    if packed <= values.len() / 16 {
        return true;
    }
    let Some(plan) = coded::plan(values) else { return false };
    let gain = if plan.has_open_bits { OPEN_GAIN } else { CODED_GAIN };
    if plan.bytes < packed - packed / gain {
        out.truncate(start);
        out.push(CODED);
        coded::encode(values, &plan, out);
    }
    !plan.has_open_bits
}

/// Puts in place of each value its difference to the one before; returns what stands before the first. That is chosen
/// such that the first difference equals the second.
fn take_differences(values: &mut [i64]) -> i64 {
    let base = match *values {
        [first, second, ..] => first.wrapping_sub(second.wrapping_sub(first)),
        _ => 0,
    };
    let mut before = base;
    for value in values {
        let this = *value;
        *value = this.wrapping_sub(before);
        before = this;
    }
    base
}

/// If all distances from the first value share a factor, appends the form and returns the multiples.
fn put_scale(values: &[i64], out: &mut Vec<u8>) -> Option<Vec<i64>> {
    let base = values[0];
    let mut factor = 0_u64;
    for value in values {
        let distance = value.wrapping_sub(base).unsigned_abs();
        if factor == 0 {
            factor = distance;
        } else if !distance.is_multiple_of(factor) {
            factor = common_divisor(distance, factor);
        }
        if factor == 1 {
            return None;
        }
    }
    // NOTE: 2^63 is no positive i64, but divides only itself; it is not worth a form.
    let divisor = i64::try_from(factor).ok().filter(|&divisor| divisor > 1)?;
    out.push(SCALE);
    varint::put_signed(out, base);
    varint::put(out, factor);
    Some(values.iter().map(|value| value.wrapping_sub(base) / divisor).collect())
}

fn common_divisor(mut one: u64, mut other: u64) -> u64 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}

/// How many times to take differences.
fn order(values: &[i64]) -> usize {
    let blocks = values.len().div_ceil(SAMPLE);
    let stride = blocks.div_ceil(SAMPLE_BLOCKS);
    let mut costs = [0; 3];
    for (number, block) in values.chunks(SAMPLE).step_by(stride).enumerate() {
        let mut sample = [0; SAMPLE];
        let sample = &mut sample[..block.len()];
        sample.copy_from_slice(block);
        let mut bases = 0;
        for (order, cost) in costs.iter_mut().enumerate() {
            if order > 0 {
                let base = take_differences(sample);
                // Only the column's first block pays for its bases.
                bases += if number == 0 { 1 + varint::signed_len(base) } else { 0 };
            }
            *cost += bases + pack::cost(sample);
        }
    }
    let [none, one, two] = costs;
    if two + two / ORDER_GAIN < one.min(none) { 2 } else { usize::from(one < none) }
}

/// The distinct values, most frequent first, if there are few; and each value's place among them.
struct Ranks {
    dictionary: Vec<i64>,
    ranks: Vec<i64>,
}

impl Ranks {
    fn of(values: &[i64]) -> Option<Self> {
        let mut found: Vec<(i64, usize)> = Vec::with_capacity(RANKS_MAX);
        let mut places = Vec::new();
        // A hash table four times as large as the dictionary, with open addressing; a place is kept plus one.
        let mut table = [0_u8; 4 * RANKS_MAX];
        for &value in values {
            let mut slot = (value.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 57) as usize;
            while table[slot] != 0 && found[usize::from(table[slot]) - 1].0 != value {
                slot = (slot + 1) % table.len();
            }
            if table[slot] == 0 {
                if found.len() == RANKS_MAX {
                    return None;
                }
                found.push((value, 0));
                table[slot] = found.len().to_le_bytes()[0];
            }
            let place = usize::from(table[slot]) - 1;
            found[place].1 += 1;
            places.push(place);
        }
        let mut by_count: Vec<usize> = (0..found.len()).collect();
        by_count.sort_by_key(|&place| std::cmp::Reverse(found[place].1));
        let mut rank_of = [0; RANKS_MAX];
        for (&place, rank) in by_count.iter().zip(0_i64..) {
            rank_of[place] = rank;
        }
        Some(Self {
            dictionary: by_count.iter().map(|&place| found[place].0).collect(),
            ranks: places.into_iter().map(|place| rank_of[place]).collect(),
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(RANKS);
        out.push(self.dictionary.len().to_le_bytes()[0]);
        out.push(PACKED);
        pack::encode(&self.dictionary, out);
        encode_numbers(&self.ranks, out);
    }
}
