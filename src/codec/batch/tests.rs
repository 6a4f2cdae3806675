//! A batch's payload: lossless to the bit, pinned by golden bytes, and deaf to what no encoder writes.

use super::*;
use crate::codec::entry::Entry;
use crate::model::limits::{EXPIRY_MILLIS_MAX, TIMESTAMP_MILLIS_MAX};
use crate::model::point::Value;
use crate::model::time::Ttl;
use proptest::prelude::*;

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::Int),
        (-100_i64..100).prop_map(Value::Int),
        (-100_i32..100).prop_map(|whole| Value::Float(f64::from(whole))),
        any::<u64>().prop_map(|bits| Value::Float(f64::from_bits(bits))),
        prop::sample::select(vec![-0.0, f64::NAN, f64::INFINITY, 9.3e18, -9.3e18, 2_f64.powi(48)])
            .prop_map(Value::Float),
    ]
}

fn point() -> impl Strategy<Value = Point> {
    let time = prop_oneof![0_i64..50, -TIMESTAMP_MILLIS_MAX..=TIMESTAMP_MILLIS_MAX];
    let expiry = prop_oneof![Just(None), (-EXPIRY_MILLIS_MAX..=EXPIRY_MILLIS_MAX).prop_map(Some)];
    let unit = prop_oneof![Just(None), "[%a-c]{0,2}".prop_map(|text| Some(Unit::from(text)))];
    (time, value(), expiry, unit).prop_map(|(time, value, expiry, unit)| Point {
        time: Timestamp::from_millis(time),
        value,
        expires_at: expiry.map(Timestamp::from_millis),
        unit,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn batches_come_back_to_the_bit(
        accepted_at in any::<i64>(),
        points in prop::collection::vec((0_u32..9, point()), 0..40),
        names in prop::collection::vec((0..u32::MAX, "[a-z]{1,4}"), 0..5),
    ) {
        // Goal: lossless for any value, time, expiry and unit, and ids in any order. Method: encode and decode.
        let named = names.iter().map(|(series, name)| (SeriesId(*series), key(name))).collect();
        let given = points.iter().map(|(series, point)| (SeriesId(*series), point));
        let batch = batch_of(Timestamp::from_millis(accepted_at), named, given);
        let back = batch.points.iter().map(|each| (each.series, each.point().unpack(&batch.units).expect("no shadow")));
        prop_assert_eq!(back.collect::<Vec<_>>(), points);
        prop_assert_eq!(Entry::decode(&batch.encode()), Ok(Entry::Points(batch)));
    }

    #[test]
    fn damaged_payloads_are_an_answer_not_a_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        keep in any::<prop::sample::Index>(),
    ) {
        // Method: flip and cut the bytes of a real payload; decoding must return, whatever it says.
        let mut bytes = sample().encode();
        for (at, bits) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= bits;
        }
        let _answer = Entry::decode(&bytes);
        let _answer = Entry::decode(&bytes[..keep.index(bytes.len())]);
    }
}

fn key(name: &str) -> SeriesKey {
    SeriesKey::new("A.B", name, [("h", "x")]).expect("valid")
}

fn batch_of<'a>(
    accepted_at: Timestamp,
    named: Vec<(SeriesId, SeriesKey)>,
    points: impl Iterator<Item = (SeriesId, &'a Point)>,
) -> LogBatch {
    let mut batch = LogBatch::new(accepted_at, named, 0);
    points.for_each(|(series, point)| batch.push(series, point));
    batch
}

fn sample() -> LogBatch {
    let point = |secs, value| Point::new(Timestamp::from_secs(secs), value).with_ttl(Ttl::from_secs(60)).with_unit("%");
    let points = [point(1, Value::Float(60.0)), point(2, Value::Int(70)), point(2, Value::Float(0.5))];
    let series = [0, 0, 1].map(SeriesId);
    batch_of(Timestamp::from_secs(1), vec![(SeriesId(0), key("m"))], series.into_iter().zip(&points))
}

#[test]
fn golden_bytes_of_a_batch() {
    // Goal: the encoding on disk never changes; docs/format.md explains these bytes.
    let record = record::encode_series(&key("m"));
    let mut golden = vec![1, 0xd0, 0x0f, 1, 0, u8::try_from(record.len()).expect("short")];
    golden.extend(&record);
    golden.extend([1, 1, b'%', 3]);
    // Next series, time 1,000, TTL 60,000, unit 1, whole float 60.
    golden.extend([0b0111_0101, 0xd0, 0x0f, 1, 0xc0, 0xa9, 0x07, 1, 120]);
    // Same series, time 1,000 later, int 70.
    golden.extend([0b0001_0000, 0xd0, 0x0f, 0x8c, 0x01]);
    // Next series, all else the same, the bits of 0.5.
    golden.extend([0b0000_0110, 0, 0, 0, 0, 0, 0, 0xe0, 0x3f]);
    assert_eq!(sample().encode(), golden);
}

#[test]
fn what_no_encoder_writes_is_refused() {
    // Goal: each rule of the format bites. Method: a sound payload with one thing changed.
    let sound = LogBatch { named: Vec::new(), ..sample() };
    let refuse = |change: &dyn Fn(&mut LogBatch)| {
        let mut batch = sound.clone();
        change(&mut batch);
        Entry::decode(&batch.encode()).expect_err("refused").0
    };
    assert_eq!(refuse(&|batch| batch.points[0].series = u32::MAX), "a series id is out of range");
    let named = |series| move |batch: &mut LogBatch| batch.named = vec![(SeriesId(series), key("m"))];
    assert_eq!(refuse(&named(u32::MAX)), "a series id is out of range");
    let many = |batch: &mut LogBatch| batch.named = vec![(SeriesId(1), key("m")); BATCH_POINTS_MAX + 1];
    assert_eq!(refuse(&many), "there are more names than a batch may have points");
    let late = TIMESTAMP_MILLIS_MAX + 1;
    assert_eq!(refuse(&|batch| batch.points[0].time = late), "a point's time is out of range");
    let long = |batch: &mut LogBatch| {
        batch.units = Units::default();
        batch.units.number_of(&"x".repeat(129).into());
    };
    assert_eq!(refuse(&long), "a unit is too long");
    assert_eq!(
        refuse(&|batch| {
            let NumberedPoint { series, .. } = batch.points[0];
            batch.points[0] = NumberedPoint::new(series, PackedPoint { unit: 2, ..batch.points[0].point() });
        }),
        "a point's unit is not in the list"
    );
    let many = |batch: &mut LogBatch| batch.points = vec![batch.points[0]; BATCH_POINTS_MAX + 1];
    assert_eq!(refuse(&many), "there are more points than a batch may have");
    let payload = sound.encode();
    let with = |at: usize, byte: u8| {
        let mut bytes = payload.clone();
        bytes[at] = byte;
        Entry::decode(&bytes).expect_err("refused").0
    };
    // Behind kind, time, no series, one unit of one byte, and the number of points.
    let tag = 8;
    assert_eq!(with(tag, payload[tag] | UNUSED), "a point's tag is unknown");
    assert_eq!(with(tag, payload[tag] | VALUE_MASK), "a point's tag is unknown");
    assert_eq!(with(tag, payload[tag] | SERIES_MASK), "a point's tag is unknown");
    let longer = [&payload[..], &[0]].concat();
    assert_eq!(Entry::decode(&longer).expect_err("refused").0, "there are bytes behind the last point");
}

#[test]
fn series_with_consecutive_ids_are_named_for_a_byte_beside_their_record() {
    // Goal: naming known series anew in each generation of the log is cheap. Method: one name more, and its record.
    let named = |ids: &[u32]| LogBatch { named: ids.iter().map(|id| (SeriesId(*id), key("m"))).collect(), ..sample() };
    let record = record::encode_series(&key("m")).len();
    let grown = |more: &[u32], less: &[u32]| named(more).encode().len() - named(less).encode().len() - record - 1;
    assert_eq!(grown(&[900_000, 900_001, 900_002], &[900_000, 900_001]), 1);
    assert_eq!(grown(&[900_000, 900_003], &[900_000]), 1);
    assert_eq!(grown(&[900_000, 3], &[900_000]), 3, "ids in any order can be named");
}

#[test]
fn a_known_series_of_a_scrape_takes_three_bytes() {
    // Goal: a point that shares time, TTL and unit with its neighbour costs tag and value only.
    let point = Point::new(Timestamp::from_secs(1_795_281_677), 55.0);
    let batch = |count: u32| {
        let series: Vec<SeriesId> = (0..count).map(SeriesId).collect();
        batch_of(Timestamp::EPOCH, Vec::new(), series.into_iter().zip(std::iter::repeat_n(&point, count as usize)))
    };
    assert!(batch(101).encode().len() - batch(1).encode().len() <= 3 * 100);
}
