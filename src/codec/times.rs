//! A column of times. A collector fires on a grid and is late by a little, so what is kept is the grid's step, the
//! turns that were left out, and each time's distance from its turn: a difference of differences would triple that
//! noise. The layout is docs/format.md, "Columns".

#[cfg(test)]
mod tests;

use crate::codec::varint::{self, Reader};
use crate::codec::{Malformed, ints, keep_shorter};

/// The times are a column of integers.
const PLAIN: u8 = 0;
/// The times are distances from a grid.
const GRID: u8 = 1;

/// One gap in so many times, or fewer, and the grid is taken without a look at the other form.
const GAPS_ONE_IN: usize = 16;

/// Appends the column; no times take no bytes.
pub(crate) fn encode(times: &[i64], out: &mut Vec<u8>) {
    if times.is_empty() {
        return;
    }
    let start = out.len();
    let gaps = if has_one_step(times) { None } else { encode_grid(times, out) };
    if gaps.is_some_and(|gaps| gaps <= times.len() / GAPS_ONE_IN) {
        return;
    }
    let middle = out.len();
    out.push(PLAIN);
    ints::encode(times, out);
    if middle > start {
        keep_shorter(out, start, middle);
    }
}

fn has_one_step(times: &[i64]) -> bool {
    let step = |at: usize| times[at].wrapping_sub(times[at - 1]);
    (2..times.len()).all(|at| step(at) == step(1))
}

/// Appends the `count` times of a column, which must take all of the bytes.
///
/// # Errors
/// If the bytes are no column of so many times. Some may have been appended then.
pub(crate) fn decode(bytes: &[u8], count: usize, out: &mut Vec<i64>) -> Result<(), Malformed> {
    let mut reader = Reader::new(bytes);
    if count > 0 {
        match reader.byte()? {
            PLAIN => ints::decode_from(&mut reader, count, out)?,
            GRID => decode_grid(&mut reader, count, out)?,
            _ => return Err(Malformed("times have an unknown form")),
        }
    }
    if reader.is_empty() { Ok(()) } else { Err(Malformed("bytes behind the times")) }
}

/// Appends the distances from a grid and gives the number of its gaps, if there is one.
fn encode_grid(times: &[i64], out: &mut Vec<u8>) -> Option<usize> {
    let step = median_step(times);
    if step <= 0 {
        return None;
    }
    let (mut positions, mut skips) = (Vec::new(), Vec::new());
    let mut distances = Vec::with_capacity(times.len());
    let mut turn = times[0].wrapping_sub(step);
    for (&time, position) in times.iter().zip(0_i64..) {
        turn = turn.wrapping_add(step);
        let late = time.wrapping_sub(turn);
        if late > step / 2 || late < -(step / 2) {
            let skipped = nearest(late, step);
            positions.push(position);
            skips.push(skipped);
            turn = turn.wrapping_add(step.wrapping_mul(skipped));
        }
        distances.push(time.wrapping_sub(turn));
    }
    out.push(GRID);
    varint::put_signed(out, times[0]);
    varint::put_signed(out, step);
    varint::put(out, positions.len() as u64);
    ints::encode(&positions, out);
    ints::encode(&skips, out);
    ints::encode(&distances, out);
    Some(positions.len())
}

/// The middle one of the differences.
fn median_step(times: &[i64]) -> i64 {
    let mut steps: Vec<i64> = times.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    if steps.is_empty() {
        return 0;
    }
    let middle = steps.len() / 2;
    *steps.select_nth_unstable(middle).1
}

/// How many steps come closest to a distance.
fn nearest(distance: i64, step: i64) -> i64 {
    distance.saturating_add(step / 2).div_euclid(step)
}

fn decode_grid(reader: &mut Reader<'_>, count: usize, out: &mut Vec<i64>) -> Result<(), Malformed> {
    let (first, step) = (reader.signed()?, reader.signed()?);
    let gaps = usize::try_from(reader.number()?).unwrap_or(usize::MAX);
    if gaps > count {
        return Err(Malformed("times have more gaps than values"));
    }
    let (mut positions, mut skips) = (Vec::new(), Vec::new());
    ints::decode_from(reader, gaps, &mut positions)?;
    ints::decode_from(reader, gaps, &mut skips)?;
    let start = out.len();
    ints::decode_from(reader, count, out)?;
    let mut rest = &mut out[start..];
    let mut turn = first;
    let mut done = 0;
    for (position, skipped) in positions.into_iter().zip(skips) {
        let ahead = usize::try_from(position).ok().and_then(|position| position.checked_sub(done));
        let ahead = ahead.filter(|&ahead| ahead <= rest.len()).ok_or(Malformed("gaps are out of order"))?;
        let (before, behind) = std::mem::take(&mut rest).split_at_mut(ahead);
        turn = add_turns(before, turn, step).wrapping_add(step.wrapping_mul(skipped));
        done += ahead;
        rest = behind;
    }
    add_turns(rest, turn, step);
    Ok(())
}

/// Adds to each distance its turn of the grid; returns the next turn.
fn add_turns(distances: &mut [i64], mut turn: i64, step: i64) -> i64 {
    for slot in distances {
        *slot = slot.wrapping_add(turn);
        turn = turn.wrapping_add(step);
    }
    turn
}
