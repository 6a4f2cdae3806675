//! Integers by how often they occur. Each becomes a token, its distance from a center or the size of that, and what the
//! token leaves open in plain bits. Tokens go through an entropy coder (range asymmetric numeral systems, Duda 2013),
//! several in turn, so that the processor can work on all of them at once.

use crate::codec::Malformed;
use crate::codec::varint::{self, Reader};

/// Frequencies add up to 2^9.
const SUM_BITS: u32 = 9;
const SUM: u32 = 1 << SUM_BITS;
/// A state is kept at 2^16 or above.
const STATE_MIN: u32 = 1 << 16;
/// Distances below this have a token of their own.
const PLAIN: u64 = 1 << PLAIN_BITS;
const PLAIN_BITS: u32 = 4;
/// Above it each power of two has two.
const TOKENS: usize = (1 << PLAIN_BITS) + 2 * (u64::BITS - PLAIN_BITS) as usize;
/// Fewer values do not pay for their table of frequencies.
const COUNT_MIN: usize = 48;
/// From so many values on there are four states instead of two: they cost 8 bytes and save time.
const FOUR_STATES_FROM: usize = 1024;
/// Values that are looked at to find the center.
const SAMPLE: usize = 32;

/// How a column would be coded.
pub(super) struct Plan {
    center: i64,
    tokens: Vec<u8>,
    frequencies: [u32; TOKENS],
    /// About how many bytes that takes.
    pub(super) bytes: usize,
    /// Whether some tokens leave bits open.
    pub(super) has_open_bits: bool,
}

/// The token of a distance.
fn token_of(distance: u64) -> u8 {
    if distance < PLAIN {
        return distance.to_le_bytes()[0];
    }
    let power = distance.ilog2();
    let half = (distance >> (power - 1)).to_le_bytes()[0] & 1;
    PLAIN.to_le_bytes()[0] + ((power - PLAIN_BITS).to_le_bytes()[0] << 1) + half
}

/// The smallest distance of a token, and how many bits it leaves open.
fn meaning(token: u8) -> (u64, u32) {
    let token = u64::from(token);
    if token < PLAIN {
        return (token, 0);
    }
    let open = u32::from((token - PLAIN).to_le_bytes()[0] >> 1) + PLAIN_BITS - 1;
    ((2 + (token & 1)) << open, open)
}

fn distance(value: i64, center: i64) -> u64 {
    varint::zigzag(value.wrapping_sub(center))
}

/// What coding the values would cost; `None` if they are too few.
pub(super) fn plan(values: &[i64]) -> Option<Plan> {
    if values.len() < COUNT_MIN {
        return None;
    }
    let center = center(values);
    let mut counts = [0_u32; TOKENS];
    let tokens: Vec<u8> = values.iter().map(|&value| token_of(distance(value, center))).collect();
    for &token in &tokens {
        counts[usize::from(token)] += 1;
    }
    let frequencies = frequencies(&counts, values.len());
    let mut bits = 0.0;
    let mut open_bits = 0;
    let mut table_bytes = 0;
    for ((&count, &frequency), token) in counts.iter().zip(&frequencies).zip(0..).filter(|((count, _), _)| **count > 0)
    {
        bits += f64::from(count) * (f64::from(SUM_BITS) - f64::from(frequency).log2());
        open_bits += count * meaning(token).1;
        table_bytes += 1 + usize::from(frequency >= 0x80);
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few thousand values of 64 bits")]
    let bits = bits as usize;
    let states = 4 * if values.len() < FOUR_STATES_FROM { 2 } else { 4 };
    let bytes = (bits + open_bits as usize) / 8 + table_bytes + states + 6;
    Some(Plan { center, tokens, frequencies, bytes, has_open_bits: open_bits > 0 })
}

/// The middle one of a sample.
fn center(values: &[i64]) -> i64 {
    let mut sample: Vec<i64> = values.iter().step_by(values.len().div_ceil(SAMPLE)).copied().collect();
    let middle = sample.len() / 2;
    *sample.select_nth_unstable(middle).1
}

/// Counts scaled to add up to [`SUM`], none that occurs to 0.
fn frequencies(counts: &[u32; TOKENS], count: usize) -> [u32; TOKENS] {
    let count = u32::try_from(count).expect("a column's count is small");
    let mut frequencies = counts.map(|occurs| if occurs == 0 { 0 } else { (occurs * SUM / count).max(1) });
    let mut sum: u32 = frequencies.iter().sum();
    // The largest ones bear what rounding has left or taken.
    while sum != SUM {
        let largest = frequencies.iter_mut().max().expect("there are tokens");
        let change = if sum < SUM { SUM - sum } else { (sum - SUM).min(*largest / 8 + 1) };
        (*largest, sum) = if sum < SUM { (*largest + change, SUM) } else { (*largest - change, sum - change) };
    }
    frequencies
}

/// Appends the column as planned.
pub(super) fn encode(values: &[i64], plan: &Plan, out: &mut Vec<u8>) {
    varint::put_signed(out, plan.center);
    put_frequencies(&plan.frequencies, out);
    let mut starts = [0; TOKENS];
    let mut start = 0;
    for (slot, frequency) in starts.iter_mut().zip(plan.frequencies) {
        *slot = start;
        start += frequency;
    }
    let lanes = if values.len() < FOUR_STATES_FROM { 2 } else { 4 };
    let mut states = [STATE_MIN; 4];
    let mut words = Vec::with_capacity(values.len() / 2);
    for (position, &token) in plan.tokens.iter().enumerate().rev() {
        let state = &mut states[position % lanes];
        let frequency = plan.frequencies[usize::from(token)];
        if *state >> (2 * u16::BITS - SUM_BITS) >= frequency {
            words.push((*state & 0xffff) as u16);
            *state >>= u16::BITS;
        }
        *state = ((*state / frequency) << SUM_BITS) + *state % frequency + starts[usize::from(token)];
    }
    varint::put(out, words.len() as u64);
    for state in &states[..lanes] {
        out.extend_from_slice(&state.to_le_bytes());
    }
    for word in words.iter().rev() {
        out.extend_from_slice(&word.to_le_bytes());
    }
    if plan.has_open_bits {
        put_open_bits(values, plan, out);
    }
}

/// The highest token, then each one's frequency; behind a 0, how many more of those follow.
fn put_frequencies(frequencies: &[u32; TOKENS], out: &mut Vec<u8>) {
    let used = frequencies.iter().rposition(|frequency| *frequency > 0).expect("there are tokens");
    out.push(used.to_le_bytes()[0]);
    for group in frequencies[..=used].chunk_by(|one, next| one == next && *one == 0) {
        varint::put(out, u64::from(group[0]));
        if group[0] == 0 {
            varint::put(out, group.len() as u64 - 1);
        }
    }
}

fn put_open_bits(values: &[i64], plan: &Plan, out: &mut Vec<u8>) {
    let (mut held, mut filled) = (0_u128, 0);
    for (&value, &token) in values.iter().zip(&plan.tokens) {
        let (base, open) = meaning(token);
        held |= u128::from(distance(value, plan.center) - base) << filled;
        filled += open;
        while filled >= u8::BITS {
            out.push(held.to_le_bytes()[0]);
            held >>= u8::BITS;
            filled -= u8::BITS;
        }
    }
    if filled > 0 {
        out.push(held.to_le_bytes()[0]);
    }
}

/// The places of the table: of each the token it belongs to, that one's frequency, and the distance from that one's
/// first place. Apart, so that the next state does not have to wait for anything but two loads.
struct Table {
    tokens: [u8; SUM as usize],
    frequencies: [u16; SUM as usize],
    offsets: [u16; SUM as usize],
}

/// Appends `count` integers.
pub(super) fn decode(reader: &mut Reader<'_>, count: usize, out: &mut Vec<i64>) -> Result<(), Malformed> {
    let center = reader.signed()?;
    let mut table = Table { tokens: [0; _], frequencies: [0; _], offsets: [0; _] };
    let last = read_table(reader, &mut table)?;
    let words = reader.count(2)?;
    if u64::from(last) < PLAIN {
        // Each token is a distance, and nothing is open.
        let mut values = [0; 1 << PLAIN_BITS];
        values.iter_mut().zip(0..).for_each(|(slot, token)| *slot = varint::unzigzag(token).wrapping_add(center));
        let start = out.len();
        out.resize(start + count, 0);
        let value = |token: u8| values[usize::from(token) % values.len()];
        return decode_tokens(reader, words, &table, value, &mut out[start..]);
    }
    let mut tokens = vec![0; count];
    decode_tokens(reader, words, &table, |token| token, &mut tokens)?;
    let mut meanings = [(0, 0); 1 << u8::BITS];
    meanings.iter_mut().zip(0..=last).for_each(|(slot, token)| *slot = meaning(token));
    let open: usize = tokens.iter().map(|&token| meanings[usize::from(token)].1 as usize).sum();
    let mut bits = reader.slice(open.div_ceil(8))?.to_vec();
    bits.resize(bits.len() + 16, 0);
    let mut at = 0;
    out.extend(tokens.iter().map(|&token| {
        let (base, open) = meanings[usize::from(token)];
        let distance = base + get_bits(&bits, at, open);
        at += open as usize;
        varint::unzigzag(distance).wrapping_add(center)
    }));
    Ok(())
}

/// At most 62 bits from a place on; 16 bytes stand behind the last one.
fn get_bits(bits: &[u8], at: usize, len: u32) -> u64 {
    let word = |at: usize| u64::from_le_bytes(*bits[at / 8..].first_chunk().expect("the end is padded"));
    let low = word(at) >> (at % 8);
    if len <= 56 {
        return low & ((1 << len) - 1);
    }
    // A shift by up to 7 may have taken some of the highest bits away.
    let high = word(at + 32) >> (at % 8);
    (low & 0xffff_ffff) | (high & ((1 << (len - 32)) - 1)) << 32
}

/// Reads the frequencies; gives the highest token.
fn read_table(reader: &mut Reader<'_>, table: &mut Table) -> Result<u8, Malformed> {
    const TOO_MUCH: Malformed = Malformed("frequencies add up to too much");
    let last = reader.byte()?;
    if usize::from(last) >= TOKENS {
        return Err(Malformed("a token is out of range"));
    }
    let mut start = 0;
    let mut token = 0;
    while token <= last {
        let frequency = reader.number()?;
        if frequency == 0 {
            let more = u8::try_from(reader.number()?).unwrap_or(u8::MAX);
            token = token.saturating_add(more).saturating_add(1);
            continue;
        }
        let frequency = u16::try_from(frequency).map_err(|_| TOO_MUCH)?;
        let end = start + usize::from(frequency);
        table.tokens.get_mut(start..end).ok_or(TOO_MUCH)?.fill(token);
        table.frequencies[start..end].fill(frequency);
        table.offsets[start..end].iter_mut().zip(0..).for_each(|(slot, offset)| *slot = offset);
        start = end;
        token += 1;
    }
    if start == table.tokens.len() { Ok(last) } else { Err(Malformed("frequencies add up to too little")) }
}

/// Fills `out` with what `each` makes of the tokens.
fn decode_tokens<T>(
    reader: &mut Reader<'_>,
    words: usize,
    table: &Table,
    each: impl Fn(u8) -> T,
    out: &mut [T],
) -> Result<(), Malformed> {
    if out.len() < FOUR_STATES_FROM {
        decode_lanes::<2, T>(reader, words, table, each, out)
    } else {
        decode_lanes::<4, T>(reader, words, table, each, out)
    }
}

fn decode_lanes<const LANES: usize, T>(
    reader: &mut Reader<'_>,
    count: usize,
    table: &Table,
    each: impl Fn(u8) -> T,
    out: &mut [T],
) -> Result<(), Malformed> {
    const END: Malformed = Malformed("coded tokens do not end where they should");
    let mut states = [0_u32; LANES];
    for state in &mut states {
        *state = u32::from_le_bytes(reader.array()?);
    }
    let (words, _) = reader.slice(2 * count)?.as_chunks::<2>();
    let mut words: Vec<u16> = words.iter().map(|word| u16::from_le_bytes(*word)).collect();
    // So that each turn of the states finds a word for each of them, whether it takes one or not.
    words.resize(count + LANES, 0);
    let mut taken = 0;
    let (groups, rest) = out.as_chunks_mut::<LANES>();
    let mut turn = |slots: &mut [T], states: &mut [u32; LANES]| {
        let ahead: &[u16; LANES] = words.get(taken..).and_then(<[u16]>::first_chunk).ok_or(END)?;
        let mut used = 0;
        for (slot, state) in slots.iter_mut().zip(states) {
            let place = (*state % SUM) as usize;
            let (frequency, offset) = (u32::from(table.frequencies[place]), u32::from(table.offsets[place]));
            let next = frequency * (*state >> SUM_BITS) + offset;
            // Without a branch, which nobody could predict.
            let is_low = next < STATE_MIN;
            let refilled = next << u16::BITS | u32::from(ahead[used % LANES]);
            *state = if is_low { refilled } else { next };
            used += usize::from(is_low);
            *slot = each(table.tokens[place]);
        }
        taken += used;
        Ok(())
    };
    groups.iter_mut().try_for_each(|group| turn(group, &mut states))?;
    turn(rest, &mut states)?;
    if taken == count && states.iter().all(|state| *state == STATE_MIN) { Ok(()) } else { Err(END) }
}
