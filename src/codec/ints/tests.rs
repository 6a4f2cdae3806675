//! Columns of integers: lossless for any values, pinned by golden bytes, and deaf to what no encoder writes.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "columns made of small numbers"
)]

use super::*;
use proptest::prelude::*;

fn encoded(values: &[i64]) -> Vec<u8> {
    let mut out = Vec::new();
    encode(values, &mut out);
    out
}

fn decoded(bytes: &[u8], count: usize) -> Result<Vec<i64>, Malformed> {
    let mut out = Vec::new();
    let answer = decode(bytes, count, &mut out);
    assert!(out.len() <= count || count == 0, "more values than were asked for");
    answer.map(|()| out)
}

/// A fixed sequence of numbers without a pattern.
fn noise(seed: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(seed | 1), |number| {
        let number = number ^ (number << 13);
        let number = number ^ (number >> 7);
        Some(number ^ (number << 17))
    })
    .map(|number| number.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 20)
}

/// Columns that between them take every form.
fn column() -> impl Strategy<Value = Vec<i64>> {
    let len = prop_oneof![1_usize..6, 100_usize..300, Just(CHUNK_POINTS_MAX)];
    let shape = (0_u8..12, any::<i64>(), any::<u64>());
    (len, shape).prop_map(|(len, (shape, start, seed))| {
        let mut numbers = noise(seed);
        let mut noise = |below: u64| numbers.next().map_or(0, |number| (number % below).cast_signed());
        let mut value = start;
        let next = |turn: usize| {
            let turn = turn as i64;
            match shape {
                0 => value,
                1 => start.wrapping_add(turn.wrapping_mul(seed.cast_signed())),
                2 => start.wrapping_add(4096_i64.wrapping_mul(noise(300))),
                3 => [start, 7, i64::MIN, -5][noise(4) as usize],
                4 | 5 => {
                    // Runs, or now and then a far value.
                    let one_in = if shape == 4 { 20 } else { 3 };
                    value = if noise(one_in) == 0 { value.wrapping_add(noise(1 << 40)) } else { value };
                    value
                }
                6 => {
                    value = value.wrapping_add(1000 + noise(60));
                    value
                }
                7 => {
                    value = value.wrapping_add([-1, 1][noise(2) as usize]);
                    value
                }
                8 => start.wrapping_add(turn.wrapping_mul(turn).wrapping_mul(50)).wrapping_add(noise(9)),
                9 => [i64::MIN, i64::MAX][noise(2) as usize],
                10 => noise(1 << 44).wrapping_mul(0x0010_0001),
                _ => noise(16) + if noise(40) == 0 { noise(1 << 30) } else { 0 },
            }
        };
        (0..len).map(next).collect()
    })
}

#[test]
fn golden_bytes_of_every_form() {
    // Goal: the encoding on disk never changes.
    let golden: [(&[i64], &[u8]); 6] = [
        (&[], &[]),
        (&[7], &[STEP, 14, 0]),
        (&[10, 7, 4, 1], &[STEP, 20, 5]),
        // Reference 3; distances 0, 2, 1, 3 in two bits each.
        (&[3, 5, 4, 6], &[PACKED, 2, 6, 0b_1101_1000]),
        // Base 100, factor 100, then 0, 2, 1, 3.
        (&[100, 300, 200, 400], &[SCALE, 200, 1, 100, PACKED, 2, 0, 0b_1101_1000]),
        // Two runs: 5 and 9; 9 and 11 times.
        (&[5, 5, 5, 5, 5, 5, 5, 5, 5, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9], &[RUNS, 2, STEP, 10, 8, STEP, 16, 4]),
    ];
    for (values, bytes) in golden {
        assert_eq!(encoded(values), bytes, "{values:?}");
        assert_eq!(decoded(bytes, values.len()).as_deref(), Ok(values));
    }
}

#[test]
fn golden_bytes_of_patches_ranks_and_differences() {
    // Two blocks: 128 equal values but one, which is an exception; then a short one with the same reference.
    let mut values = vec![4; 130];
    values[9] = 1000;
    values[128] = 5;
    let bytes = [PACKED, 0x80, 1, 8, 9, 200, 15, 1, 0, 0b_01];
    assert_eq!(decoded(&bytes, 130), Ok(values));
    // Before the first stands 90; then 10, 10, -1.
    let bytes = [DELTA, 180, 1, PACKED, 4, 1, 0xbb, 0];
    assert_eq!(decoded(&bytes, 3), Ok(vec![100, 110, 109]));
    // The dictionary 8000, -3; ranks 0, 1, 1.
    let bytes = [RANKS, 2, STEP, 128, 125, 133, 125, PACKED, 1, 0, 0b_110];
    assert_eq!(decoded(&bytes, 3), Ok(vec![8000, -3, -3]));
}

#[test]
fn golden_bytes_of_tokens() {
    // One token that fills the table: no words, and two states that never move. The center is 60.
    let states = [0, 0, 1, 0].repeat(2);
    let bytes = [&[CODED, 120, 1, 0, 0, 0x80, 4, 0][..], &states].concat();
    assert_eq!(decoded(&bytes, 900), Ok(vec![59; 900]));
    // Token 17 stands for the distances 24 to 31; three bits tell which: 0, then 5, that is 12 and -15 from the center.
    let bytes = [&[CODED, 0, 17, 0, 16, 0x80, 4, 0][..], &states, &[0b_101_000]].concat();
    assert_eq!(decoded(&bytes, 2), Ok(vec![12, -15]));
    // A walk's steps.
    let steps = [0, 1, -1, 0, 0, 0, -1, 1, 0, -1, 0, 0, 2];
    let values: Vec<i64> = (0..150).map(|turn| steps[turn * turn % 61 % 13]).collect();
    let mut bytes = vec![CODED];
    coded::encode(&values, &coded::plan(&values).expect("enough values"), &mut bytes);
    assert_eq!(bytes, GOLDEN_TOKENS);
    assert_eq!(decoded(&bytes, 150), Ok(values));
}

const GOLDEN_TOKENS: &[u8] = &[
    6, 0, 4, 136, 2, 133, 1, 81, 0, 0, 34, 15, 1, 19, 12, 8, 196, 155, 2, 0, 130, 45, 52, 211, 207, 123, 97, 89, 2,
    229, 231, 93, 184, 162, 116, 72, 36, 172, 92, 209, 174, 23, 247, 95, 57, 101, 208, 164, 190, 54,
];

#[test]
fn golden_layout_of_full_blocks() {
    // Goal: the packing crate keeps to the layout of docs/format.md. Method: pack by the letter, for every width.
    for width in 1..=64_u32 {
        let mask = u64::MAX >> (64 - width);
        let values: Vec<u64> =
            noise(u64::from(width)).take(128).map(|number| number.reverse_bits() >> 3 & mask).collect();
        let pack = |shift: u32, bits: u32| {
            let mut bytes = vec![0_u8; 16 * bits as usize];
            for (position, value) in values.iter().enumerate() {
                for bit in (0..bits).filter(|bit| value >> (shift + bit) & 1 == 1) {
                    let at = (position as u32 / 4) * bits + bit;
                    bytes[(at / 32 * 16 + position as u32 % 4 * 4 + at % 32 / 8) as usize] |= 1 << (at % 8);
                }
            }
            bytes
        };
        let low = pack(0, width.min(32));
        let high = if width > 32 { pack(32, width - 32) } else { Vec::new() };
        let bytes = [&[PACKED, width as u8, 0][..], &low, &high].concat();
        let values: Vec<i64> = values.into_iter().map(u64::cast_signed).collect();
        assert_eq!(decoded(&bytes, 128), Ok(values), "{width}");
    }
}

#[test]
fn columns_of_a_known_shape_stay_small() {
    // Goal: each form is found where it pays. Method: the largest size in bytes for 2,048 values of a shape.
    let mut numbers = noise(7);
    let mut noise = |below: u64| (numbers.next().unwrap_or(0) % below).cast_signed();
    let mut walk = 0;
    let mut shapes: Vec<(&str, usize, Vec<i64>)> = vec![
        ("constant", 12, vec![i64::MAX; 2048]),
        ("step", 21, (0..2048).map(|turn| i64::MIN + turn * 12_345_678_901).collect()),
        ("a far dictionary", 600, (0..2048).map(|_| [1 << 60, 77, -1 << 50, 0][noise(4) as usize]).collect()),
        ("multiples", 1_840, (0..2048).map(|_| 4096 * noise(100)).collect()),
        ("few changes", 130, (0..2048).map(|turn| (turn / 64) % 7 * 1_000_003 + turn / 700).collect()),
        ("seldom far", 1_500, (0..2048).map(|_| noise(16) + if noise(40) == 0 { noise(1 << 30) } else { 0 }).collect()),
        ("any bits", 16_450, (0..2048).map(|_| noise(1 << 44).wrapping_mul(0x0010_0001)).collect()),
    ];
    let up_and_down = (0..2048).map(|_| {
        walk += [-1, 1][noise(2) as usize];
        walk
    });
    shapes.push(("one up or down", 300, up_and_down.collect()));
    // How many of sixteen coins show heads: 3.05 bits a value by entropy.
    let bell = (0..2048).map(|_| (0..16).map(|_| noise(2)).sum::<i64>());
    shapes.push(("a bell", 2048 * 4 / 10, bell.collect()));
    let mut count = 0;
    let counter = (0..2048).map(|turn| {
        count = if turn == 1000 { 0 } else { count + 100 + noise(16) };
        count
    });
    shapes.push(("a counter with a reset", 1_100, counter.collect()));
    for (shape, bytes_max, values) in shapes {
        let bytes = encoded(&values);
        assert!(bytes.len() <= bytes_max, "{shape}: {} bytes", bytes.len());
        assert_eq!(decoded(&bytes, values.len()), Ok(values));
    }
}

#[test]
fn a_column_is_refused_if_it_is_not_what_was_asked_for() {
    let bytes = encoded(&[3, 5, 4, 6]);
    assert_eq!(decoded(&bytes, 5), Err(Malformed("ends too early")));
    assert_eq!(decoded(&bytes, 0), Err(Malformed("bytes behind a column")));
    assert_eq!(decoded(&[&bytes[..], &[0]].concat(), 4), Err(Malformed("bytes behind a column")));
    assert!(decoded(&encoded(&vec![1; CHUNK_POINTS_MAX]), CHUNK_POINTS_MAX).is_ok());
    assert!(decoded(&[STEP, 0, 0], CHUNK_POINTS_MAX + 1).is_err());
    assert_eq!(decoded(&[32, 0, 0], 1), Err(Malformed("a column has an unknown form")));
    assert!(decoded(&[DELTA, 0].repeat(DEPTH_MAX), 1).is_err());
    // Runs that are too many, too long together, or too short.
    for bytes in
        [[RUNS, 5, STEP, 0, 0, STEP, 0, 0], [RUNS, 2, STEP, 0, 0, STEP, 4, 0], [RUNS, 2, STEP, 0, 0, STEP, 0, 0]]
    {
        assert!(decoded(&bytes, 4).is_err());
    }
    // A rank behind the dictionary, a dictionary too large, a width over 64, an exception outside.
    assert!(decoded(&[RANKS, 1, STEP, 0, 0, STEP, 2, 0], 4).is_err());
    assert!(decoded(&[RANKS, 33, STEP, 0, 0, STEP, 0, 0], 4).is_err());
    assert!(decoded(&[PACKED, 65, 0], 1).is_err());
    // Frequencies of too little and too much, a token out of range, a word too many, a state that is not the first.
    let states = [0, 0, 1, 0, 0, 0, 1, 0];
    assert!(decoded(&[&[CODED, 0, 0, 0x80, 4, 0][..], &states].concat(), 9).is_ok());
    assert!(decoded(&[&[CODED, 0, 0, 0x80, 3, 0][..], &states].concat(), 9).is_err());
    assert!(decoded(&[&[CODED, 0, 0, 0x81, 4, 0][..], &states].concat(), 9).is_err());
    assert!(decoded(&[&[CODED, 0, 136, 0x80, 4, 0][..], &states].concat(), 9).is_err());
    assert!(decoded(&[&[CODED, 0, 0, 0x80, 4, 1][..], &states, &[0, 0]].concat(), 9).is_err());
    assert!(decoded(&[&[CODED, 0, 0, 0x80, 4, 0, 1][..], &states[1..]].concat(), 9).is_err());
    assert!(decoded(&[PACKED, 0x80, 1, 0, 1, 2], 1).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn columns_come_back(values in column()) {
        prop_assert_eq!(decoded(&encoded(&values), values.len()), Ok(values));
    }

    #[test]
    fn any_integers_come_back(values in prop::collection::vec(any::<i64>(), 0..400)) {
        let bytes = encoded(&values);
        prop_assert!(bytes.len() <= 22 + values.len() * 8 + values.len() / 32);
        prop_assert_eq!(decoded(&bytes, values.len()), Ok(values));
    }

    #[test]
    fn tokens_come_back_for_any_distances(
        bits in prop::collection::vec((any::<i64>(), 0_u32..64), 48..300),
        more in 0_usize..2000,
        at in any::<prop::sample::Index>(),
        bit in 0..8,
    ) {
        // Goal: any token and any open bits, with two states and with four, whatever the choice of forms would be.
        let mut values: Vec<i64> = bits.into_iter().map(|(value, shift)| value >> shift).collect();
        values.extend(noise(1).take(more).map(|number| (number % 5).cast_signed()));
        let mut bytes = vec![CODED];
        coded::encode(&values, &coded::plan(&values).expect("enough values"), &mut bytes);
        let at = at.index(bytes.len());
        prop_assert!(decoded(&bytes[..at], values.len()).is_err());
        let mut damaged = bytes.clone();
        damaged[at] ^= 1_u8 << bit;
        let _answer = decoded(&damaged, values.len());
        prop_assert_eq!(decoded(&bytes, values.len()), Ok(values));
    }

    #[test]
    fn any_bytes_are_an_answer_not_a_panic(
        tag in 0_u8..8,
        bytes in prop::collection::vec(any::<u8>(), 0..80),
        count in 0..=CHUNK_POINTS_MAX,
    ) {
        let _answer = decoded(&bytes, count);
        let _answer = decoded(&[&[tag][..], &bytes].concat(), count);
        // Small bytes make deeper nests.
        let small: Vec<u8> = bytes.iter().map(|byte| byte % 8).collect();
        let _answer = decoded(&small, count % 300);
    }

    #[test]
    fn damaged_columns_are_an_answer_not_a_panic(values in column(), at in any::<prop::sample::Index>(), bit in 0..8) {
        // Method: flip a bit of a real column, and cut it at every length near the ends and at one between.
        let mut bytes = encoded(&values);
        for keep in (0..bytes.len().min(40)).chain([at.index(bytes.len())]).chain(bytes.len().saturating_sub(9)..bytes.len())
        {
            prop_assert!(decoded(&bytes[..keep], values.len()).is_err());
        }
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        let _answer = decoded(&bytes, values.len());
    }
}
