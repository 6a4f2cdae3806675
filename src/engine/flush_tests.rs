//! Flushes of a head whose points are of more expiry classes than files may be open, so that several passes are made
//! over them. Goal: nothing is lost and nothing is written twice, whatever lies beneath and whether or not that can be
//! read. Method: points of forty classes against an ordered map; what all segments hold is counted.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::engine::settings::{Maintenance, Settings};
use crate::engine::simulation::DIR;
use crate::env::clock::ManualClock;
use crate::env::faulty::{Fault, FaultyDisk, Trouble};
use crate::env::layout;
use crate::model::batch::WriteBatch;
use crate::model::limits::{HEAD_PASSED_BYTES, HEAD_RIPE_BYTES};
use crate::model::point::Point;
use crate::model::segment::{ExpiryClass, Role};
use crate::model::series::SeriesKey;
use crate::model::time::{TimeRange, Timestamp, Ttl};

/// A midnight, so that all points are of one partition, and each class has points that expire in one half hour.
const START: i64 = 1_787_356_800;
const SERIES: u64 = 3;
const CLASSES: i64 = 40;
const HALF_HOUR: u32 = 1_800;

type Model = BTreeMap<(u64, i64), Point>;

fn open(disk: &FaultyDisk) -> Arc<Engine> {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(START)));
    let settings = Settings { clock, maintenance: Maintenance::Manual, ids: Some([7; 16]), ..Settings::default() };
    Engine::open(Arc::new(disk.clone()), Path::new(DIR), settings).expect("a sound disk")
}

fn key(series: u64) -> SeriesKey {
    SeriesKey::new("SIM.FLUSH", "m", [("n", series.to_string())]).expect("a valid key")
}

/// A point of each series at each of these seconds, of the class of that number; the last class never expires.
fn batch(seconds: impl Iterator<Item = i64>, shift: i64, model: &mut Model) -> WriteBatch {
    let mut batch = WriteBatch::new();
    for second in seconds {
        for series in 0..SERIES {
            // No column is so short that it needs no block of its own.
            let value = (second + shift).wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed());
            let point = Point::new(Timestamp::from_secs(START + second), value);
            let class = u32::try_from((second + shift) % CLASSES).expect("a small number");
            let is_forever = i64::from(class) == CLASSES - 1;
            let point = if is_forever { point } else { point.with_ttl(Ttl::from_secs(600 + HALF_HOUR * class)) };
            model.insert((series, second), point.clone());
            batch.push(key(series), point);
        }
    }
    batch
}

/// Demands that all that was written can be read, nothing else, and that segments hold so many points.
fn check(engine: &Engine, model: &Model, stored: usize) {
    for series in 0..SERIES {
        let found = engine.points(&key(series), TimeRange::ALL).expect("readable");
        let found: Vec<Point> = found.collect::<Result<_, _>>().expect("sound");
        let expected: Vec<Point> = model.range((series, 0)..(series + 1, 0)).map(|(_, point)| point.clone()).collect();
        assert_eq!(found.len(), expected.len(), "series {series}");
        assert!(found == expected, "series {series} differs");
    }
    let stats = engine.stats();
    assert_eq!((stats.points, stats.recent_points), (stored as u64, 0), "{stats:?}");
}

/// Demands that a window that may count replaced points beside what replaced them says so; how many do.
fn check_windows(engine: &Engine, model: &Model) -> usize {
    let (start, period) = (Timestamp::from_secs(START), Duration::from_secs(300));
    let mut bounds = 0;
    for series in 0..SERIES {
        let found =
            engine.windows(&key(series), TimeRange::new(start, start + 3 * period), period, 10).expect("readable");
        for window in &found {
            let first = window.start.as_millis() / 1_000 - START;
            let expected = model.range((series, first)..(series, first + 300)).count() as u64;
            assert!(window.is_bound() || window.count() == expected, "{expected} points, but {window:?}");
            bounds += usize::from(window.is_bound());
        }
    }
    bounds
}

/// The classes of the plain segments, one for each.
fn classes(engine: &Engine) -> Vec<ExpiryClass> {
    let view = engine.view.read();
    let class = |role| match role {
        Role::Plain(class) => Some(class),
        Role::Override | Role::Summaries(_) => None,
    };
    view.shelf.version.segments.iter().filter_map(|meta| class(meta.role)).collect()
}

#[test]
fn a_head_of_forty_classes_loses_nothing_and_writes_nothing_twice() {
    // Goal and method: see above; at first nothing lies beneath, then some of it is replaced by points of other classes.
    let (disk, mut model) = (FaultyDisk::default(), Model::new());
    let mut engine = open(&disk);
    engine.write(&batch(0..600, 0, &mut model)).expect("stored");
    engine.flush().expect("a sound disk");
    let stored = model.len();
    assert_eq!(stored, 1_800);
    let found = classes(&engine);
    assert_eq!(found.iter().collect::<HashSet<_>>().len(), 40, "the points are of forty classes");
    assert_eq!(found.len(), 40, "each class has one segment");
    check(&engine, &model, stored);
    drop(engine);
    engine = open(&disk);
    check(&engine, &model, stored);
    let (rewritten, new) = (batch((0..600).step_by(3), 7, &mut model), batch(600..800, 0, &mut model));
    let stored = stored + rewritten.len() + new.len();
    engine.write(&rewritten).expect("stored");
    engine.write(&new).expect("stored");
    engine.flush().expect("a sound disk");
    check(&engine, &model, stored);
    assert_eq!(engine.stats().replaced_stored, rewritten.len() as u64, "each is counted in one pass");
    assert_eq!(classes(&engine).len(), 80, "what is new has a segment for each class again");
    drop(engine);
    engine = open(&disk);
    check(&engine, &model, stored);
    assert!(engine.verify().is_empty());
    engine.compact().expect("a sound disk");
    check(&engine, &model, model.len());
}

/// A volume with stored points, and a head of forty classes that replaces some of them and is not flushed.
fn rewritten(disk: &FaultyDisk) -> (Arc<Engine>, Model, usize) {
    let (engine, mut model) = (open(disk), Model::new());
    let stored = batch(0..600, 0, &mut model);
    engine.write(&stored).expect("stored");
    engine.flush().expect("a sound disk");
    let head = [batch((0..600).step_by(3), 7, &mut model), batch(600..800, 0, &mut model)];
    for batch in &head {
        engine.write(batch).expect("stored");
    }
    (engine, model, stored.len() + head[0].len() + head[1].len())
}

#[test]
fn a_segment_that_becomes_unreadable_between_two_passes_has_the_flush_tried_again() {
    // Goal: passes that sort the points by different things never become true, for points would be lost or there twice.
    // Method: a flush in which reading fails from one place on, for places all along it; then reading works again.
    let disk = FaultyDisk::default();
    let (engine, ..) = rewritten(&disk);
    let before = disk.reads();
    engine.flush().expect("a sound disk");
    let reads = before + 1..=disk.reads();
    let step = usize::try_from((reads.end() - before) / 60 + 1).expect("a short way");
    let kinds = [Trouble::Fail(io::ErrorKind::Other), Trouble::FailForEver(io::ErrorKind::Other)];
    let faults = reads.step_by(step).flat_map(|at| kinds.map(|what| Fault { at, what }));
    let (mut tried_again, mut refused, mut flushed, mut bounds) = (0, 0, 0, 0);
    for fault in faults {
        let disk = FaultyDisk::default().with_read_fault(fault);
        let (engine, model, stored) = rewritten(&disk);
        if let Err(error) = engine.flush() {
            assert_eq!(engine.stats().points, 1_800, "{fault:?}: nothing of the head became true");
            refused += 1;
            tried_again += u32::from(error.to_string().contains("could be read, and now it cannot"));
        } else {
            flushed += 1;
        }
        disk.heal();
        engine.flush().expect("reading works again");
        check(&engine, &model, stored);
        drop(engine);
        let engine = open(&disk);
        check(&engine, &model, stored);
        bounds += check_windows(&engine, &model);
        assert!(engine.verify().is_empty(), "{fault:?}");
        let files = disk.files();
        let segments = files.iter().filter(|(path, _)| path.parent() == Some(&Path::new(DIR).join(layout::SEGMENTS)));
        assert_eq!(segments.count() as u64, engine.stats().segments, "{fault:?}: a file is left behind");
    }
    println!("of flushes with failing reads {flushed} went on, {refused} did not, {tried_again} for this reason");
    assert!(tried_again > 0 && flushed > 0, "{flushed} went on, {refused} did not, {tried_again} for this reason");
    assert!(bounds > 0, "no window says that it is a bound");
}

/// Writes a hundred points of each of some series, again and again, of the same or of others each time; the most memory
/// that recent points took.
fn head_peak(series: u64, rounds: i64, are_same: bool) -> u64 {
    let engine = open(&FaultyDisk::default());
    let mut peak = 0;
    for round in 0..rounds {
        let first = START + 100 * round;
        let before = if are_same { 0 } else { series * round.unsigned_abs() };
        let keys: Vec<SeriesKey> = (before..before + series).map(key).collect();
        for keys in keys.chunks(500) {
            let mut batch = WriteBatch::new();
            for key in keys {
                let points = (0..100).map(|at| Point::new(Timestamp::from_secs(first + at), at));
                batch.push_all(key.clone(), points);
            }
            engine.write(&batch).expect("stored");
            peak = peak.max(engine.stats().head_bytes);
        }
    }
    assert_eq!(engine.stats().points + engine.stats().recent_points, series * 100 * rounds.unsigned_abs());
    peak
}

#[test]
fn a_head_is_set_aside_when_it_is_ripe() {
    // Goal: a head that gains nothing by growing takes no more memory, and one of many series goes on. Method: as many
    // points, of few series, of many, and of ever new ones.
    let ripe = HEAD_RIPE_BYTES as u64;
    let few = head_peak(20, 1_200, true);
    assert!((ripe * 9 / 10..ripe * 5 / 4).contains(&few), "{few} bytes of few series");
    let many = head_peak(5_000, 5, true);
    assert!(many > ripe * 5 / 4, "{many} bytes of many series");
    let passing = head_peak(500, 50, false);
    let passed = HEAD_PASSED_BYTES as u64;
    assert!((passed * 9 / 10..passed * 5 / 4).contains(&passing), "{passing} bytes of series that come and go");
}
