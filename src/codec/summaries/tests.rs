//! Chunks of summaries: what comes back, what it costs, and that bytes from elsewhere do no harm.

use proptest::prelude::*;

use super::*;
use crate::codec::points;
use crate::model::limits::WINDOW_POINTS_MAX;
use crate::model::packed::{Kind, NEVER, PackedPoint};
use crate::model::summary::{Floats, Sample, Summary};

const WINDOW: i64 = 300_000;

fn point(time: i64, kind: Kind, bits: u64) -> PackedPoint {
    PackedPoint { time, expires_at: NEVER, bits, unit: 0, kind, is_apart: false }
}

fn float(time: i64, value: f64) -> PackedPoint {
    point(time, Kind::Float, value.to_bits())
}

/// One record for each window that has points.
fn records(points: &[PackedPoint]) -> Vec<Record> {
    let windows = points.chunk_by(|one, next| one.time.div_euclid(WINDOW) == next.time.div_euclid(WINDOW));
    let record = |window: &[PackedPoint]| Record {
        start: window[0].time.div_euclid(WINDOW) * WINDOW,
        replaces: false,
        is_amended: false,
        summary: Summary::of(window).expect("the values are finite"),
    };
    windows.map(record).collect()
}

fn encoded(records: &[Record]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(records, WINDOW, &mut bytes);
    bytes
}

fn decoded(bytes: &[u8], like: &[Record]) -> Result<Vec<Record>, Malformed> {
    let mut out = Vec::new();
    let units = like.iter().map(|record| record.summary.unit).max().unwrap_or(0);
    let first = like.first().map_or(0, |record| record.start);
    decode(bytes, like.len(), first, WINDOW, units, &mut out).map(|()| out)
}

/// Everything of a record but sum and squared distances of floats, down to the bits.
fn exact(record: &Record) -> impl PartialEq + std::fmt::Debug {
    let Record { start, replaces, is_amended, summary } = record;
    let Summary { ints, floats, first, last, unit, is_bound, sketch } = summary;
    let floats = floats.map(|floats| (floats.count, floats.min.to_bits(), floats.max.to_bits()));
    ((*start, *replaces, *is_amended, *ints), (floats, *first, *last, *unit, *is_bound), sketch.clone())
}

/// Whether two sums are the same to what the values' own rounding leaves, and two squared distances to 14 digits.
fn is_near(one: &Floats, other: &Floats) -> bool {
    let largest = one.min.abs().max(one.max.abs());
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    let room = 4.0 * f64::EPSILON * one.count as f64 * largest;
    let is_same = |one: f64, other: f64, room: f64| one.to_bits() == other.to_bits() || (one - other).abs() <= room;
    let sums = [one, other].map(|floats| floats.sum);
    let is_same_sum = [sums[0].hi, sums[0].lo].map(f64::to_bits) == [sums[1].hi, sums[1].lo].map(f64::to_bits);
    (is_same_sum || sums[0].minus(sums[1]).value().abs() <= room) && is_same(one.m2, other.m2, 1e-14 * one.m2)
}

/// Encodes and decodes; gives the number of bytes.
#[track_caller]
fn round_trip(records: &[Record]) -> usize {
    let bytes = encoded(records);
    let back = decoded(&bytes, records).expect("own bytes");
    assert_eq!(back.len(), records.len());
    for (back, record) in back.iter().zip(records) {
        assert_eq!(exact(back), exact(record));
        let floats = back.summary.floats.iter().zip(&record.summary.floats);
        floats.for_each(|(back, floats)| assert!(is_near(floats, back), "{floats:?} came back as {back:?}"));
    }
    assert_eq!(encoded(&back), bytes, "what was decoded has the same bytes");
    bytes.len()
}

/// Random walks of whole numbers as the benches have them (benches/workloads/devops.rs), a step every ten seconds.
fn walk(sides: u64) -> impl Iterator<Item = f64> {
    let (mut at, mut state) = (50_i8, 1_u64);
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let dice = ((state >> 32) * sides) >> 32;
        // Up or down; with a third side, or still.
        let step = if dice == 2 { 0 } else { [-1, 1][usize::from(dice == 1)] };
        at = (at + step).clamp(0, 100);
        f64::from(at)
    })
}

#[test]
fn thirty_points_of_a_walk_cost_little_more_than_five_bytes() {
    // Goal: at most 0.18 bytes a raw point. Method: 288 windows of 30 points, over and over, of both kinds of walks.
    for sides in [2, 3] {
        let mut values = walk(sides);
        let mut bytes = 0;
        for day in 0..20 {
            let points: Vec<_> = (0..8_640)
                .map(|at| float(day * 86_400_000 + at * 10_000, values.next().expect("a walk has no end")))
                .collect();
            let records = records(&points);
            assert_eq!(records.len(), 288);
            bytes += round_trip(&records);
        }
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let each = bytes as f64 / (20.0 * 288.0);
        println!("walk of {sides} steps: {each:.2} bytes a record of 30 points, {:.3} bytes a point", each / 30.0);
        assert!(each <= 5.4, "{each:.2} bytes a record");
    }
}

#[test]
#[allow(clippy::disallowed_methods, reason = "reads recorded data that is kept beside the project")]
fn a_record_of_one_point_costs_about_what_the_point_costs() {
    // Goal: at most 1.15 times the columns of the same points. Method: recorded five-minute series, a week a chunk.
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/nab");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("SKIPPED: there is no recorded data at {}", folder.display());
        return;
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    paths.sort();
    let (mut all, mut all_plain) = (0, 0);
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("a readable file");
        let cells = text.lines().skip(1).filter_map(|line| line.split_once(','));
        let mut points: Vec<PackedPoint> = Vec::new();
        for (time, value) in cells {
            let time: i64 = time.parse().expect("a time in milliseconds");
            if points.last().is_none_or(|last| last.time.div_euclid(WINDOW) < time.div_euclid(WINDOW)) {
                points.push(float(time, value.parse().expect("a number")));
            }
        }
        let (mut bytes, mut plain) = (0, 0);
        for chunk in points.chunks(2_016) {
            bytes += round_trip(&records(chunk));
            let mut columns = points::Columns::default();
            points::encode(&points::Shape::of(chunk), chunk, &mut columns);
            plain += columns.iter().map(Vec::len).sum::<usize>();
        }
        (all, all_plain) = (all + bytes, all_plain + plain);
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let (ratio, each) = (bytes as f64 / plain as f64, bytes as f64 / points.len() as f64);
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        println!("{name}: {each:.2} bytes a record, {ratio:.3} times the points");
    }
    println!("all: {all} bytes for {all_plain} of points");
    assert!(all * 100 <= all_plain * 115, "{all} bytes for {all_plain}");
}

#[test]
fn golden_bytes_of_a_chunk() {
    // Goal: the bytes on disk never change. Three windows: two floats, one integer, a gap, a bound of mixed values.
    let mut chunk = records(&[
        float(10_000, 1.5),
        float(20_000, 2.5),
        point(310_000, Kind::Int, 7),
        point(910_000, Kind::Int, 4),
        float(920_000, 0.5),
        float(930_000, 1.5),
    ]);
    chunk[2].summary = chunk[2].summary.without(&float(930_000, 1.5)).expect("two are left");
    chunk[2].replaces = true;
    let bytes = encoded(&chunk);
    let hex: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let golden = "f7 37 01 03 38 1b 00 04 01 01 0f 01 00 02 01 a0 9c 01 00 01 0e 00 01 a0 9c 01 a0 9c 01 00 01 00 01 01 1e 15 \
                  01 14 27 03 00 0a 00 01 00 04 03 00 05 00 01 01 03 03 64 32 00 01 01 01";
    assert_eq!(hex.join(" "), golden, "the layout has changed");
    round_trip(&chunk);
}

#[test]
fn golden_bytes_of_sketches() {
    // A single record's is not stored; that of the other has -1 once, 0 twice and 1 five times.
    let values = [-1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0];
    let points: Vec<_> = (0..).zip(values).map(|(time, value)| float(time, value)).collect();
    let mut chunk = records(&points);
    chunk[0].summary = Summary::of_with(&points, true).expect("finite values");
    let single = Summary::of_with(&[float(WINDOW, 7.0)], true).expect("a finite value");
    chunk.push(Record { start: WINDOW, replaces: false, is_amended: false, summary: single });
    let bytes = encoded(&chunk);
    // Three buckets: -40,000; 40,000 more than that with 2; 40,000 more with 5.
    assert_eq!(bytes[bytes.len() - 12..], [3, 0xfe, 0xe1, 9, 0xff, 0xf0, 4, 0, 0xff, 0xf0, 4, 3][..]);
    assert_eq!(decoded(&bytes, &chunk).as_ref(), Ok(&chunk));
}

#[test]
fn extremes_of_numbers_come_back() {
    let values = [
        vec![(Kind::Int, i64::MIN.cast_unsigned()), (Kind::Int, i64::MAX.cast_unsigned()), (Kind::Int, 0)],
        vec![(Kind::Float, (-0.0_f64).to_bits()), (Kind::Float, 0), (Kind::Float, 1_f64.to_bits())],
        vec![(Kind::Float, f64::MAX.to_bits()); 3],
        vec![(Kind::Int, 5), (Kind::Float, 0.1_f64.to_bits()), (Kind::Float, 1e300_f64.to_bits())],
        vec![(Kind::Float, (1.0_f64 / 3.0).to_bits()), (Kind::Int, i64::MIN.cast_unsigned())],
    ];
    let windows = (0..).zip(values);
    let points = windows.flat_map(|(window, values)| {
        let times = (0..).map(move |at| window * WINDOW + at);
        times.zip(values).map(|(time, (kind, bits))| point(time, kind, bits))
    });
    let chunk = records(&points.collect::<Vec<_>>());
    assert_eq!(chunk.len(), 5);
    round_trip(&chunk);
    for record in &chunk {
        round_trip(std::slice::from_ref(record));
    }
    let nothing = encoded(&[]);
    assert_eq!(decoded(&nothing, &[]), Ok(Vec::new()));
}

#[test]
fn counts_and_units_out_of_range_are_refused() {
    let mut chunk = records(&[float(0, 1.0), float(1, 2.0)]);
    chunk[0].summary.unit = 3;
    let bytes = encoded(&chunk);
    let mut out = Vec::new();
    assert!(decode(&bytes, 1, 0, WINDOW, 3, &mut out).is_ok());
    assert!(decode(&bytes, 1, 0, WINDOW, 2, &mut out).is_err());
    assert!(decode(&bytes, SUMMARY_RECORDS_MAX + 1, 0, WINDOW, 3, &mut out).is_err());
    assert!(decode(&bytes, 1, i64::MAX - 5, WINDOW, 3, &mut out).is_err());
    assert!(decode(&bytes[..bytes.len() - 1], 1, 0, WINDOW, 3, &mut out).is_err());
    if let Some(floats) = &mut chunk[0].summary.floats {
        floats.count = WINDOW_POINTS_MAX;
    }
    let bytes = encoded(&chunk);
    assert!(decode(&bytes, 1, 0, WINDOW, 3, &mut out).is_ok());
    if let Some(floats) = &mut chunk[0].summary.floats {
        floats.count += 1;
    }
    assert!(decode(&encoded(&chunk), 1, 0, WINDOW, 3, &mut out).is_err());
}

fn value() -> impl Strategy<Value = (Kind, u64)> {
    let finite = any::<f64>().prop_filter("a NaN or an infinity is in no summary", |float| float.is_finite());
    prop_oneof![
        2 => any::<i64>().prop_map(|int| (Kind::Int, int.cast_unsigned())),
        4 => (-500_i64..500).prop_map(|int| (Kind::Int, int.cast_unsigned())),
        2 => finite.prop_map(|float| (Kind::Float, float.to_bits())),
        4 => (-999_i32..999).prop_map(|float| (Kind::Float, f64::from(float).to_bits())),
        4 => (-99_999_i32..99_999).prop_map(|cents| (Kind::Float, (f64::from(cents) / 100.0).to_bits())),
    ]
}

/// Records of windows with a few values each, some without one of them, with flags and units of all kinds.
fn chunk() -> impl Strategy<Value = Vec<Record>> {
    let values = prop_oneof![
        prop::collection::vec(value(), 1..6),
        prop::collection::vec(
            (-999_i32..999).prop_map(|float| (Kind::Float, (f64::from(float) / 10.0).to_bits())),
            1..40
        ),
    ];
    let row = (values, 0_i64..3, 0_u32..4, any::<[bool; 4]>(), 1_i64..7_000);
    prop::collection::vec(row, 0..30).prop_map(|rows| {
        let mut start = -5 * WINDOW;
        let mut records = Vec::new();
        for (values, gap, unit, [replaces, is_amended, loses, sketch], step) in rows {
            start += (1 + gap) * WINDOW;
            let times = (0..).map(|at| start + step + at * step);
            let points: Vec<_> =
                times.zip(values).map(|(time, (kind, bits))| PackedPoint { unit, ..point(time, kind, bits) }).collect();
            let whole = Summary::of_with(&points, sketch).expect("finite values");
            let summary = if loses { whole.without(&points[points.len() / 2]).unwrap_or(whole) } else { whole };
            records.push(Record { start, replaces, is_amended, summary });
        }
        records
    })
}

proptest! {
    #[test]
    fn chunks_come_back(chunk in chunk()) {
        round_trip(&chunk);
    }

    #[test]
    fn bytes_that_were_changed_are_an_answer(chunk in chunk(), flips in prop::collection::vec(any::<(u16, u8)>(), 1..4)) {
        // Goal: no panic here, nor in what may be asked of the records that come out.
        let mut bytes = encoded(&chunk);
        for (at, flip) in flips {
            let at = usize::from(at) % bytes.len();
            bytes[at] ^= flip;
        }
        probe(decoded(&bytes, &chunk));
    }

    #[test]
    fn any_bytes_are_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200), count in 0_usize..20, first: i64) {
        let mut out = Vec::new();
        probe(decode(&bytes, count, first, WINDOW, 5, &mut out).map(|()| out));
    }
}

/// Asks everything of the records.
fn probe(records: Result<Vec<Record>, Malformed>) {
    let Ok(records) = records else { return };
    let bytes = encoded(&records);
    let mut sum: Option<Summary> = None;
    for record in &records {
        let summary = &record.summary;
        let variance = summary.variance();
        assert!(summary.count() >= summary.integers() && (variance >= 0.0 || variance.is_nan()));
        let _answers = (summary.sum(), summary.min(), summary.max(), summary.average());
        let Sample { time, value } = summary.first;
        let point = match value {
            crate::model::point::Value::Int(int) => point(time, Kind::Int, int.cast_unsigned()),
            crate::model::point::Value::Float(value) => float(time, value),
        };
        let _rest = summary.without(&point);
        sum = match sum {
            None => Some(summary.clone()),
            Some(mut sum) => {
                sum.absorb(summary);
                Some(sum)
            }
        };
    }
    let _answers = sum.map(|sum| (sum.sum(), sum.variance(), sum.average()));
    assert!(decoded(&bytes, &records).is_ok());
}

#[test]
fn the_longest_chunk_of_integers_and_floats_comes_back() {
    // Goal: what may be written can be read: with both kinds a column has two entries for each record.
    let windows = 0..i64::try_from(SUMMARY_RECORDS_MAX).expect("small");
    let points: Vec<PackedPoint> =
        windows.flat_map(|window| [point(window * WINDOW, Kind::Int, 5), float(window * WINDOW + 1, 0.5)]).collect();
    let chunk = records(&points);
    assert_eq!(chunk.len(), SUMMARY_RECORDS_MAX);
    assert_eq!(decoded(&encoded(&chunk), &chunk), Ok(chunk));
}
