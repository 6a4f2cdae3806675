//! Columns of times: lossless for any sequence, pinned by golden bytes, and deaf to what no encoder writes.

use super::*;
use crate::model::limits::CHUNK_POINTS_MAX;
use proptest::prelude::*;

fn encoded(times: &[i64]) -> Vec<u8> {
    let mut out = Vec::new();
    encode(times, &mut out);
    out
}

fn decoded(bytes: &[u8], count: usize) -> Result<Vec<i64>, Malformed> {
    let mut out = Vec::new();
    let answer = decode(bytes, count, &mut out);
    assert!(out.len() <= count || count == 0, "more times than were asked for");
    answer.map(|()| out)
}

const START: i64 = 1_795_281_677_579;

/// What collectors write: a grid, noise about it, turns left out.
fn collected() -> impl Strategy<Value = Vec<i64>> {
    let turns = prop::collection::vec((0_i64..30, prop::sample::select(vec![0_i64, 0, 0, 0, 0, 0, 1, 9, -1])), 1..400);
    (turns, 1_i64..20_000, any::<bool>(), prop_oneof![Just(START), any::<i64>()]).prop_map(
        |(turns, step, noisy, start)| {
            let mut turn = start;
            let next = |(late, skipped)| {
                turn = turn.wrapping_add(step.wrapping_mul(1 + skipped));
                turn.wrapping_add(if noisy { late } else { 0 })
            };
            turns.into_iter().map(next).collect()
        },
    )
}

#[test]
fn golden_bytes_of_both_forms() {
    // Goal: the encoding on disk never changes.
    assert_eq!(encoded(&[]), Vec::<u8>::new());
    assert_eq!(encoded(&[50, 60, 70]), [PLAIN, 1, 100, 20]);
    // Starts at 100, a step of 10; one gap, before position 2, of three turns; two of the times are late by one.
    let bytes = [GRID, 200, 1, 20, 1, 1, 4, 0, 1, 6, 0, 0, 1, 0, 0b_0110];
    assert_eq!(decoded(&bytes, 4), Ok(vec![100, 111, 151, 160]));
}

#[test]
fn regular_times_take_a_few_bytes_and_noisy_ones_their_noise() {
    // Goal: the sizes of the design. Method: 2,048 times of each kind, most bytes.
    let mut noise = 1_u64;
    let mut late = |below: u64| {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((noise >> 33) % below).cast_signed()
    };
    let regular = (0..2048).map(|turn| START + turn * 10_000);
    let gaps = (0..2048).map(|turn| START + (turn + turn / 100 * 7) * 10_000);
    let late_ones = (0..2048).map(|turn| START + turn * 10_000 + late(8));
    let kinds: [(&str, usize, Vec<i64>); 3] = [
        ("regular", 12, regular.collect()),
        ("with gaps", 60, gaps.collect()),
        ("late by up to 7 ms", 2048 * 3 / 8 + 60, late_ones.collect()),
    ];
    for (kind, bytes_max, times) in kinds {
        let bytes = encoded(&times);
        assert!(bytes.len() <= bytes_max, "{kind}: {} bytes", bytes.len());
        assert_eq!(decoded(&bytes, times.len()), Ok(times));
    }
}

#[test]
fn a_column_is_refused_if_it_is_not_what_was_asked_for() {
    let times: Vec<i64> = (0..200).map(|turn| turn * 1000 + turn % 7 + turn / 50 * 9000).collect();
    let bytes = encoded(&times);
    assert_eq!(bytes[0], GRID);
    for keep in 0..bytes.len() {
        assert!(decoded(&bytes[..keep], times.len()).is_err());
    }
    assert!(decoded(&[&bytes[..], &[0]].concat(), times.len()).is_err());
    assert!(decoded(&bytes, 0).is_err() && decoded(&bytes, 199).is_err());
    assert!(decoded(&[PLAIN, 1, 0, 0], CHUNK_POINTS_MAX + 1).is_err());
    assert!(decoded(&[2, 1, 0, 0], 1).is_err());
    // Two gaps before one position may stand; a gap behind the last, more gaps than times, and disorder may not.
    assert!(decoded(&[GRID, 0, 2, 2, 1, 2, 0, 1, 2, 0, 1, 0, 0], 3).is_ok());
    assert!(decoded(&[GRID, 0, 2, 1, 1, 8, 0, 1, 2, 0, 1, 0, 0], 3).is_err());
    assert!(decoded(&[GRID, 0, 2, 4, 1, 2, 0, 1, 2, 0, 1, 0, 0], 3).is_err());
    assert!(decoded(&[GRID, 0, 2, 2, 1, 4, 1, 1, 2, 0, 1, 0, 0], 3).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn collected_times_come_back(times in collected()) {
        prop_assert_eq!(decoded(&encoded(&times), times.len()), Ok(times));
    }

    #[test]
    fn any_sequence_comes_back(times in prop::collection::vec(prop_oneof![any::<i64>(), -9_i64..9], 0..300)) {
        prop_assert_eq!(decoded(&encoded(&times), times.len()), Ok(times));
    }

    #[test]
    fn any_bytes_are_an_answer_not_a_panic(
        form in 0_u8..3,
        bytes in prop::collection::vec(any::<u8>(), 0..80),
        count in 0..=CHUNK_POINTS_MAX,
    ) {
        let _answer = decoded(&[&[form][..], &bytes].concat(), count);
        let small: Vec<u8> = bytes.iter().map(|byte| byte % 8).collect();
        let _answer = decoded(&[&[form][..], &small].concat(), count % 300);
    }

    #[test]
    fn damaged_times_are_an_answer_not_a_panic(times in collected(), at in any::<prop::sample::Index>(), bit in 0..8) {
        let mut bytes = encoded(&times);
        let at = at.index(bytes.len());
        prop_assert!(decoded(&bytes[..at], times.len()).is_err());
        bytes[at] ^= 1_u8 << bit;
        let _answer = decoded(&bytes, times.len());
    }
}
