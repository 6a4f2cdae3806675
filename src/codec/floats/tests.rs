//! Columns of doubles: lossless to the bit, pinned by golden bytes, and deaf to what no encoder writes.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "columns made of small numbers"
)]

use super::*;
use proptest::prelude::*;

fn encoded(bits: &[u64]) -> Vec<u8> {
    let mut out = Vec::new();
    encode(bits, &mut out);
    out
}

fn decoded(bytes: &[u8], count: usize) -> Result<Vec<u64>, Malformed> {
    let mut out = Vec::new();
    let answer = decode(bytes, count, &mut out);
    assert!(out.len() <= count || count == 0, "more values than were asked for");
    answer.map(|()| out)
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

const SPECIALS: [u64; 8] = [
    1 << 63,
    0x7ff0_0000_0000_0000,
    0xfff0_0000_0000_0000,
    0x7ff8_0000_0000_0000,
    0x7ff8_0000_0000_0002,
    0xfff4_dead_beef_0001,
    1,
    0x7fef_ffff_ffff_ffff,
];

/// One value of a shape; `step` counts up through the column.
fn value(shape: u8, exponent: u32, step: i64, number: u32) -> u64 {
    let power = f64::from(10_u32.pow(exponent));
    let decimal = f64::from(number % 100_000) / power;
    let float = match shape {
        // A counter, a constant, repeats, noise in the last places, single precision.
        1 => step as f64 * 1000.0 + f64::from(number % 100),
        2 => 0.1,
        3 => f64::from(number % 3) / power,
        4 => f64::from_bits(decimal.to_bits() + u64::from(number % 4)),
        5 => f64::from((f64::from(number % 100_000) / power) as f32),
        6 => f64::from(f32::from_bits(number % 0x7f00_0000)),
        // Now and then something that is no number, a dictionary of such, any bits.
        7 if number.is_multiple_of(20) => return SPECIALS[number as usize / 20 % SPECIALS.len()],
        0 | 7 => decimal,
        8 => return SPECIALS[number as usize % SPECIALS.len()],
        9 => (step as f64 * 0.01).sin() * f64::from(number),
        10 => decimal * 1e15,
        _ => return u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15),
    };
    float.to_bits()
}

/// Columns that between them take every form.
fn column() -> impl Strategy<Value = Vec<u64>> {
    let numbers = prop_oneof![
        prop::collection::vec(any::<u32>(), 1..6),
        prop::collection::vec(any::<u32>(), 60..300),
        prop::collection::vec(any::<u32>(), CHUNK_POINTS_MAX),
    ];
    (0_u8..12, 0_u32..10, numbers).prop_map(|(shape, exponent, numbers)| {
        numbers.iter().zip(0..).map(|(&number, step)| value(shape, exponent, step, number)).collect()
    })
}

#[test]
fn golden_bytes_of_every_form() {
    // Goal: the encoding on disk never changes. The columns of integers are pinned by their own room's tests.
    let nan = 0x7ff8_0000_0000_0007;
    let third = (1.0_f64 / 3.0).to_bits();
    let mut golden: Vec<(Vec<u64>, Vec<u8>)> = vec![
        (vec![], vec![]),
        (bits(&[2.5, 2.5]), vec![1, 1, 50, 0]),
        (bits(&[0.5, 0.75, 1.0]), vec![2, 1, 100, 50]),
        (bits(&[-1e6, -2e6]), vec![0, 1, 0xff, 0x88, 0x7a, 0xff, 0x88, 0x7a]),
        (vec![nan, nan, nan], [&[CONSTANT][..], &nan.to_le_bytes()].concat()),
        (vec![third; 9], [&[CONSTANT][..], &third.to_le_bytes()].concat()),
    ];
    // Single precision: 0.1 and 0.2 as it has them.
    golden.push((bits(&[f64::from(0.1_f32), f64::from(0.2_f32)]), vec![SINGLE | 1, 1, 2, 2]));
    // The smallest doubles, by their bits.
    golden.push((vec![1, 2, 3], vec![RAW, 1, 2, 2]));
    for (values, bytes) in golden {
        assert_eq!(encoded(&values), bytes, "{values:x?}");
        assert_eq!(decoded(&bytes, values.len()), Ok(values));
    }
    // Thirty-six steps of 0.1; the fourth is one place off, the sixth is no number.
    let mut values: Vec<u64> = (0..36).map(|step| (f64::from(step) / 10.0).to_bits()).collect();
    values[3] += 1;
    values[5] = nan;
    let mut corrections = vec![0; 36];
    corrections[3] = 1;
    let mut bytes = vec![1 | EXCEPTIONS | CORRECTIONS, 1, 0, 2];
    ints::encode(&corrections, &mut bytes);
    bytes.extend([1, 1, 10, 0, 1]);
    varint::put_signed(&mut bytes, nan.cast_signed());
    bytes.push(0);
    assert_eq!(decoded(&bytes, 36), Ok(values));
}

#[test]
fn the_order_of_the_integers_is_that_of_the_doubles() {
    let ascending = bits(&[f64::NEG_INFINITY, -1.5, -1.0, -0.0, 0.0, 1e-300, 1.0, f64::INFINITY]);
    let ordered: Vec<i64> = ascending.iter().map(|bits| to_ordered(*bits)).collect();
    assert!(ordered.is_sorted_by(|one, next| one < next));
    assert!(ascending.iter().all(|bits| from_ordered(to_ordered(*bits)) == *bits));
}

#[test]
fn columns_of_a_known_shape_stay_small() {
    // Goal: each form is found where it pays. Method: the largest size in bytes for 2,048 values of a shape.
    let mut noise = 1_u64;
    let mut number = || {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (noise >> 32) as u32
    };
    let mut column = |shape, exponent| (0..2048).map(|step| value(shape, exponent, step, number())).collect();
    let shapes: [(&str, usize, Vec<u64>); 10] = [
        ("a constant", 9, column(2, 0)),
        ("decimals of five digits", 4_500, column(0, 3)),
        ("a counter", 2_100, column(1, 0)),
        ("three decimals", 600, column(3, 2)),
        ("noise in the last places", 5_300, column(4, 2)),
        ("single precision", 4_500, column(5, 3)),
        ("any single precision", 8_400, column(6, 0)),
        ("one in twenty no number", 6_000, column(7, 2)),
        ("a dictionary of specials", 900, column(8, 0)),
        ("any bits", 2048 * 815 / 100, column(11, 0)),
    ];
    for (shape, bytes_max, values) in shapes {
        let bytes = encoded(&values);
        assert!(bytes.len() <= bytes_max, "{shape}: {} bytes", bytes.len());
        assert_eq!(decoded(&bytes, values.len()), Ok(values));
    }
}

#[test]
fn decimals_are_what_reading_them_gives() {
    // Goal: the exponent is found for every number of digits, and no value becomes an exception. Method: read texts.
    for digits in 0..=15 {
        let read = |number: u64| format!("{}e-{digits}", number * 7_919 % 1_000_000).parse::<f64>();
        let values: Vec<u64> = (1..600).map(|number| read(number).expect("a number").to_bits()).collect();
        let bytes = encoded(&values);
        assert_eq!(bytes[0], digits, "exact at the fewest digits");
        assert_eq!(decoded(&bytes, values.len()), Ok(values));
    }
}

#[test]
fn a_column_is_refused_if_it_is_not_what_was_asked_for() {
    let bytes = encoded(&bits(&[0.5, 0.75, 0.25]));
    assert!(decoded(&bytes, 9).is_err() && decoded(&bytes, 0).is_err());
    assert!(decoded(&[&bytes[..], &[0]].concat(), 3).is_err());
    assert!(decoded(&[CONSTANT, 0, 0, 0, 0, 0, 0, 0, 0], CHUNK_POINTS_MAX + 1).is_err());
    assert!(decoded(&[19, 1, 0, 0], 3).is_err());
    // Exceptions outside the column, and more of them than values.
    assert!(decoded(&[EXCEPTIONS, 1, 0, 0, 1, 1, 6, 0, 1, 0, 0], 3).is_err());
    assert!(decoded(&[EXCEPTIONS, 1, 0, 0, 4, 1, 0, 0, 1, 0, 0], 3).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn columns_come_back_to_the_bit(values in column()) {
        let bytes = encoded(&values);
        prop_assert!(bytes.len() <= 24 + values.len() * 815 / 100);
        prop_assert_eq!(decoded(&bytes, values.len()), Ok(values));
    }

    #[test]
    fn any_bits_come_back(values in prop::collection::vec(any::<u64>(), 0..400)) {
        prop_assert_eq!(decoded(&encoded(&values), values.len()), Ok(values));
    }

    #[test]
    fn mixed_columns_come_back(pieces in prop::collection::vec((0_u8..12, 0_u32..10, any::<u32>(), 1_usize..40), 1..20)) {
        // Method: neighbours of many shapes, so that samples mislead.
        let piece = |(shape, exponent, number, len)| {
            (0..len).map(move |step: usize| value(shape, exponent, step as i64, number ^ step as u32))
        };
        let values: Vec<u64> = pieces.into_iter().flat_map(piece).collect();
        prop_assert_eq!(decoded(&encoded(&values), values.len()), Ok(values));
    }

    #[test]
    fn any_bytes_are_an_answer_not_a_panic(
        tag in any::<u8>(),
        bytes in prop::collection::vec(any::<u8>(), 0..80),
        count in 0..=CHUNK_POINTS_MAX,
    ) {
        let _answer = decoded(&[&[tag][..], &bytes].concat(), count);
        let small: Vec<u8> = bytes.iter().map(|byte| byte % 8).collect();
        let _answer = decoded(&[&[tag][..], &small].concat(), count % 300);
    }

    #[test]
    fn damaged_columns_are_an_answer_not_a_panic(values in column(), at in any::<prop::sample::Index>(), bit in 0..8) {
        let mut bytes = encoded(&values);
        let at = at.index(bytes.len());
        prop_assert!(decoded(&bytes[..at], values.len()).is_err());
        bytes[at] ^= 1_u8 << bit;
        let _answer = decoded(&bytes, values.len());
    }
}

#[test]
fn whole_numbers_become_the_doubles_that_a_cast_gives() {
    let decimal = Decimal { exponent: 0, single: false };
    let farthest = 1_i64 << 51;
    for int in (-50..50).chain([farthest, farthest - 1, -farthest, 1 - farthest, 1 << 50, 123_456_789_012_345]) {
        #[expect(clippy::cast_precision_loss, reason = "they are below 2^53")]
        let cast = int as f64;
        assert_eq!(decimal.bits(int), cast.to_bits(), "{int}");
    }
}
