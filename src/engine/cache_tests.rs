//! What was read from segments and is kept. Goal: a question that was asked before reads no file, and nothing that is
//! kept outlives its segment or hides damage. Method: chunks of thousands of points, all questions twice, with the
//! counts of what was read.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::engine::settings::{Maintenance, Settings};
use crate::engine::simulation::DIR;
use crate::env::clock::ManualClock;
use crate::env::faulty::FaultyDisk;
use crate::env::layout;
use crate::model::batch::WriteBatch;
use crate::model::limits::CHUNK_POINTS_MAX;
use crate::model::point::{Point, Value};
use crate::model::segment::SegmentKind;
use crate::model::selector::Selector;
use crate::model::series::SeriesKey;
use crate::model::summary::Number;
use crate::model::time::{TimeRange, Timestamp};
use crate::model::windows::Function;

/// A midnight.
const START: i64 = 1_787_356_800;
const SERIES: i64 = 3;
/// Points of each series: a few chunks.
const POINTS: i64 = 10_000;
const _: () = assert!(POINTS.unsigned_abs() > 2 * CHUNK_POINTS_MAX as u64);
const HOUR: Duration = Duration::from_secs(3_600);

fn key(series: i64) -> SeriesKey {
    SeriesKey::new("SIM.CACHE", "m", [("n", series.to_string())]).expect("a valid key")
}

fn value(series: i64, second: i64) -> i64 {
    (second + series).wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed()) >> 20
}

/// Each series with a point a second, flushed.
fn stored(disk: &FaultyDisk) -> Arc<Engine> {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(START + POINTS)));
    let settings = Settings { clock, maintenance: Maintenance::Manual, ..Settings::default() };
    let engine = Engine::open(Arc::new(disk.clone()), Path::new(DIR), settings).expect("a sound disk");
    let point = |series, second| Point::new(Timestamp::from_secs(START + second), value(series, second));
    for series in 0..SERIES {
        let batch: WriteBatch = (0..POINTS).map(|second| (key(series), point(series, second))).collect();
        engine.write(&batch).expect("stored");
    }
    engine.flush().expect("a sound disk");
    engine
}

/// What all questions answer.
#[derive(PartialEq, Debug)]
struct Answers {
    points: Vec<Vec<Value>>,
    part: Vec<Point>,
    latest: Vec<Point>,
    hours: Vec<(Timestamp, Number)>,
    /// Windows that are told from the points themselves.
    fine: Vec<(Timestamp, Number)>,
}

fn ask(engine: &Engine) -> Answers {
    let points = |series, range| {
        let points = engine.points(&key(series), range).expect("readable");
        points.collect::<Result<Vec<Point>, _>>().expect("sound")
    };
    let values = |period| engine.values(&key(1), TimeRange::ALL, period, Function::Sum).expect("readable").list;
    let of_part = |second| Timestamp::from_secs(START + second);
    let latest = engine.latest_of(&Selector::all()).expect("readable");
    Answers {
        points: (0..SERIES)
            .map(|series| points(series, TimeRange::ALL).into_iter().map(|point| point.value).collect())
            .collect(),
        part: points(2, TimeRange::new(of_part(5_000), of_part(5_010))),
        latest: latest.into_iter().map(|(_, point)| point).collect(),
        hours: values(HOUR),
        fine: values(Duration::from_secs(60)),
    }
}

/// Demands that points have these values, and that sums are theirs.
fn check(answers: &Answers, value: impl Fn(i64, i64) -> i64) {
    for (series, found) in (0..).zip(&answers.points) {
        let expected: Vec<Value> = (0..POINTS).map(|second| Value::Int(value(series, second))).collect();
        assert!(*found == expected, "series {series} differs");
    }
    assert_eq!((answers.points.len(), answers.part.len(), answers.latest.len()), (3, 10, 3));
    for (length, found) in [(3_600, &answers.hours), (60, &answers.fine)] {
        let sum = |start: i64| (start..POINTS.min(start + length)).map(|second| i128::from(value(1, second))).sum();
        let starts = (0..POINTS).step_by(usize::try_from(length).expect("a small number"));
        let expected: Vec<(Timestamp, Number)> =
            starts.map(|start| (Timestamp::from_secs(START + start), Number::Int(sum(start)))).collect();
        assert_eq!(*found, expected, "windows of {length} s");
    }
}

#[test]
fn asking_twice_reads_once() {
    // Goal: what was read is kept, by its segment and no longer. Method: see above; then every point is replaced and
    // all segments are written anew.
    let engine = stored(&FaultyDisk::default());
    let fresh = engine.stats();
    let first = ask(&engine);
    check(&first, value);
    let asked = engine.stats();
    assert!(asked.cache_misses > fresh.cache_misses && asked.cache_bytes > 8 * SERIES.unsigned_abs() * 4_096);
    assert_eq!(ask(&engine), first);
    let again = engine.stats();
    assert_eq!(again.cache_misses, asked.cache_misses, "all of it was kept");
    assert!(again.cache_hits >= asked.cache_hits + 3 * 3, "each chunk was found: {again:?}");
    assert_eq!(again.cache_bytes, asked.cache_bytes);
    let new = |series, second| if second % 2 == 0 { -value(series, second) } else { value(series, second) };
    for series in 0..SERIES {
        let point = |second| Point::new(Timestamp::from_secs(START + second), new(series, second));
        let batch: WriteBatch = (0..POINTS).step_by(2).map(|second| (key(series), point(second))).collect();
        engine.write(&batch).expect("stored");
    }
    check(&ask(&engine), new);
    let numbers = |engine: &Engine| -> Vec<u64> {
        engine.view.read().shelf.slots().iter().map(|slot| slot.meta.number).collect()
    };
    let old = numbers(&engine);
    engine.compact().expect("a sound disk");
    assert!(numbers(&engine).iter().all(|number| !old.contains(number)), "all segments are new");
    let compacted = engine.stats();
    assert!(compacted.cache_bytes < asked.cache_bytes / 10, "what was read of the old ones is gone: {compacted:?}");
    let third = ask(&engine);
    check(&third, new);
    let read_anew = engine.stats();
    assert!(read_anew.cache_misses > compacted.cache_misses, "new segments have to be read");
    assert_eq!(ask(&engine), third);
    assert_eq!(engine.stats().cache_misses, read_anew.cache_misses);
}

#[test]
fn damage_to_what_is_kept_in_memory_is_found_by_verify() {
    // Goal: `verify` reads the files, not what was read before. Method: all questions are asked; then single bytes all
    // along each segment are flipped and flipped back, and what is kept goes on answering.
    let disk = FaultyDisk::default();
    let engine = stored(&disk);
    let first = ask(&engine);
    let misses = engine.stats().cache_misses;
    let path = |(number, kind): (u64, SegmentKind)| -> PathBuf {
        Path::new(DIR).join(layout::SEGMENTS).join(layout::segment_name(number, kind))
    };
    let slots = engine.view.read().shelf.clone();
    let segments: Vec<_> =
        slots.slots().iter().map(|slot| (slot.meta.number, slot.meta.kind(), slot.meta.bytes)).collect();
    assert_eq!(segments.len(), 2, "points and windows");
    for (number, kind, bytes) in segments {
        let bytes = usize::try_from(bytes).expect("a small file");
        for at in (1..16).map(|part| bytes * part / 16) {
            let flip = || disk.damage(&path((number, kind)), |bytes| bytes[at] ^= 4);
            flip();
            assert!(!engine.verify().is_empty(), "byte {at} of segment {number} differs, and nobody says so");
            assert_eq!(ask(&engine), first, "only what passed its checksum is kept");
            assert_eq!(engine.stats().cache_misses, misses);
            flip();
            assert!(engine.verify().is_empty());
        }
    }
}
