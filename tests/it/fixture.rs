//! A store that an earlier version wrote. Goal: what is on disk is read for ever. Method: a copy of `tests/fixtures/v1`
//! is opened, and every point is compared with what stands here.
//!
//! As long as no version is released the fixture may be made anew, by
//! `EBBTIDE_MAKE_FIXTURE=1 cargo test --test it --all-features fixture_is_made`. Afterwards a new format gets a new
//! folder.
#![allow(clippy::disallowed_methods, reason = "copies files of the fixture, not of a database that is open")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ebbtide::{
    Db, Durability, ErrorKind, Health, Maintenance, ManualClock, Number, Outcome, Point, Result, Selector, SeriesKey,
    TimeRange, Timestamp, Ttl, Value, WriteBatch,
};

/// When the fixture was written; it is read two hours later.
const WRITTEN: i64 = 1_795_255_200_000;
const LATER: Duration = Duration::from_secs(7_200);
/// A file that sled lays out with zeros, which the fixture is spared.
const CATALOG_DB: &str = "catalog/db";
const CATALOG_DB_BYTES: usize = 524_287;
/// What it holds in front of them.
const CATALOG_BYTES_USED: usize = 576;
const DAY: Ttl = Ttl::from_secs(86_400);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1")
}

fn open(dir: &Path, clock: ManualClock, strict: bool) -> Result<Db> {
    let builder = Db::builder(dir).clock(Arc::new(clock)).maintenance(Maintenance::Manual);
    builder.durability(Durability::Sync).store_non_finite(true).strict(strict).open()
}

fn later() -> ManualClock {
    let clock = ManualClock::new(Timestamp::from_millis(WRITTEN));
    clock.advance(LATER);
    clock
}

/// Copies a folder of files.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("a file can be copied");
        }
    }
}

/// The fixture in a folder of its own.
fn fixture() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    copy(&folder(), dir.path());
    let db = dir.path().join(CATALOG_DB);
    let mut bytes = fs::read(&db).expect("it is there");
    bytes.resize(CATALOG_DB_BYTES, 0);
    fs::write(db, bytes).expect("written");
    dir
}

fn key(metric: &str) -> SeriesKey {
    SeriesKey::new("MINE.APP", metric, [("zone", "b"), ("host", "a")]).expect("valid names")
}

fn point(after: i64, value: impl Into<Value>) -> Point {
    Point::new(Timestamp::from_millis(WRITTEN + after), value)
}

/// Writes what the fixture holds: four flushes, and a log behind them.
fn write(db: &Db) -> Result<()> {
    let put = |points: Vec<(&str, Point)>| {
        let batch: WriteBatch = points.into_iter().map(|(metric, point)| (key(metric), point)).collect();
        db.write(&batch).map(|_| ())
    };
    let all = |metric, make: &dyn Fn(i64) -> Point| (0..12).map(|at| (metric, make(at))).collect::<Vec<_>>();
    put(all("even", &|at| point(at * 10_000 - 600_000, 40 + at * at % 7).with_unit("%")))?;
    put(all("jitter", &|at| {
        let tenths = f64::from(i32::try_from(at * 7 % 11).expect("small"));
        point(at * 10_000 - 600_000 + at * at % 13, tenths / 10.0).with_ttl(DAY).with_unit("byte/s")
    }))?;
    put(all("short", &|at| point(at * 10_000 - 600_000, at).with_ttl(Ttl::from_secs(3_600))))?;
    let odd = [i64::MIN, -1, 0, i64::MAX].map(Value::from).into_iter();
    let odd = odd.chain([-0.0, 0.1, 1e300, f64::from_bits(1), f64::NAN, f64::NEG_INFINITY].map(Value::from));
    put((0..).zip(odd).map(|(at, value)| ("odd", point(at * at - 600_000, value).with_unit("\u{b5}s"))).collect())?;
    db.flush()?;
    put(vec![
        ("even", point(-590_000, 100).with_unit("%")),
        ("even", point(-580_000, 101).with_ttl(Ttl::from_secs(4_000))),
        // Dead when it comes: it replaces what is there, and is no point itself.
        ("even", point(-570_000, 102).with_ttl(Ttl::from_secs(1))),
        ("jitter", point(-600_000, 103)),
    ])?;
    db.flush()?;
    put(vec![
        ("even", point(-590_000, 200).with_unit("ms")),
        ("even", point(-86_400_000, 201)),
        ("late \u{2603}", point(-2 * 86_400_000, 2.5)),
    ])?;
    db.flush()?;
    db.delete(&key("even"), TimeRange::new(point(-550_000, 0).time, point(-530_000, 0).time))?;
    put(vec![("jitter", point(0, 0.5).with_ttl(DAY))])?;
    db.flush()?;
    put(vec![("even", point(-540_000, 300)), ("new", point(1, 301).with_unit("%")), ("new", point(2, 302))])?;
    db.delete(&key("jitter"), TimeRange::new(point(-520_000, 0).time, point(-505_000, 0).time))?;
    put(vec![("new", point(2, 303)), ("even", point(-560_000, 304).with_ttl(Ttl::from_secs(1)))])
}

#[test]
fn the_fixture_is_made_when_that_is_asked_for() {
    if std::env::var_os("EBBTIDE_MAKE_FIXTURE").is_none() {
        return;
    }
    let (first, second) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let clock = || ManualClock::new(Timestamp::from_millis(WRITTEN));
    let db = open(first.path(), clock(), false).expect("opens");
    write(&db).expect("stored");
    // Copied as if it had been killed, and opened, which seals the log; then copied again before anything is flushed.
    copy(first.path(), second.path());
    let again = open(second.path(), clock(), true).expect("opens");
    assert_eq!((again.recovery().batches, again.recovery().damage.len()), (3, 0));
    // A volume this small keeps no catalogue any more: that of the old fixture stays, as one that nobody vouches for.
    let catalog = second.path().join("catalog");
    if catalog.is_dir() {
        fs::remove_dir_all(&catalog).expect("an empty folder goes");
    }
    copy(&folder().join("catalog"), &catalog);
    fs::remove_dir_all(folder()).expect("the old fixture goes");
    copy(second.path(), &folder());
    fs::remove_file(folder().join("LOCK")).expect("there was a lock");
}

/// All points as text, one a line behind the name of their series.
fn text_of(db: &Db) -> String {
    let mut text = String::new();
    for series in db.series(&Selector::all()).expect("readable") {
        writeln!(text, "{series}").expect("memory takes every write");
        for point in db.points(&series, TimeRange::ALL).expect("readable") {
            let Point { time, value, expires_at, unit } = point.expect("readable");
            let value = match value {
                Value::Int(int) => format!("int {int}"),
                Value::Float(float) => format!("float {float:?} {:016x}", float.to_bits()),
            };
            let expiry = expires_at.map_or("never".into(), |at| at.as_millis().to_string());
            let unit = unit.map_or(String::new(), |unit| format!(" {unit}"));
            writeln!(text, "  {} {value} {expiry}{unit}", time.as_millis()).expect("memory takes every write");
        }
    }
    text
}

/// What the fixture says two hours after it was written.
const EXPECTED: &str = "MINE.APP even{zone=b,host=a}
  1795168800000 int 201 never
  1795254600000 int 40 never %
  1795254610000 int 200 never ms
  1795254660000 int 300 never
  1795254670000 int 40 never %
  1795254680000 int 41 never %
  1795254690000 int 44 never %
  1795254700000 int 42 never %
  1795254710000 int 42 never %
MINE.APP jitter{zone=b,host=a}
  1795254600000 int 103 never
  1795254610001 float 0.7 3fe6666666666666 1795341010001 byte/s
  1795254620004 float 0.3 3fd3333333333333 1795341020004 byte/s
  1795254630009 float 1.0 3ff0000000000000 1795341030009 byte/s
  1795254640003 float 0.6 3fe3333333333333 1795341040003 byte/s
  1795254650012 float 0.2 3fc999999999999a 1795341050012 byte/s
  1795254660010 float 0.9 3feccccccccccccd 1795341060010 byte/s
  1795254670010 float 0.5 3fe0000000000000 1795341070010 byte/s
  1795254700009 float 0.4 3fd999999999999a 1795341100009 byte/s
  1795254710004 float 0.0 0000000000000000 1795341110004 byte/s
  1795255200000 float 0.5 3fe0000000000000 1795341600000
MINE.APP late \u{2603}{zone=b,host=a}
  1795082400000 float 2.5 4004000000000000 never
MINE.APP new{zone=b,host=a}
  1795255200001 int 301 never %
  1795255200002 int 303 never
MINE.APP odd{zone=b,host=a}
  1795254600000 int -9223372036854775808 never \u{b5}s
  1795254600001 int -1 never \u{b5}s
  1795254600004 int 0 never \u{b5}s
  1795254600009 int 9223372036854775807 never \u{b5}s
  1795254600016 float -0.0 8000000000000000 never \u{b5}s
  1795254600025 float 0.1 3fb999999999999a never \u{b5}s
  1795254600036 float 1e300 7e37e43c8800759c never \u{b5}s
  1795254600049 float 5e-324 0000000000000001 never \u{b5}s
  1795254600064 float NaN 7ff8000000000000 never \u{b5}s
  1795254600081 float -inf fff0000000000000 never \u{b5}s
MINE.APP short{zone=b,host=a}
";

#[test]
fn every_point_of_the_fixture_is_read() {
    let dir = fixture();
    let db = open(dir.path(), later(), true).expect("opens");
    let recovery = db.recovery();
    // Nothing to tell; the stored catalogue is not asked, as the segments of so few series name them all.
    assert_eq!((recovery.batches, recovery.damage, recovery.torn_bytes), (3, Vec::new(), 0));
    // Two hours are a jump, for who has not seen them pass.
    db.confirm_clock();
    assert_eq!((db.health(), db.verify().len()), (Health::Good, 0));
    assert_eq!((db.stats().segments, db.stats().deletions, db.stats().series), (14, 2, 6));
    assert_eq!(text_of(&db), EXPECTED);
    // What has expired, was deleted or dead on arrival counts in its window.
    let windows = db.windows(&key("even"), .., Duration::from_secs(300)).expect("readable");
    let told: Vec<_> = windows.iter().map(|each| (each.count(), each.sum(), each.is_raw)).collect();
    assert_eq!(told, [(1, Number::Int(201), false), (13, Number::Int(1341), false)], "{windows:?}");
    let outcome = |metric, after| db.explain(&key(metric), point(after, 0).time).outcome;
    assert_eq!(outcome("even", -590_000), Outcome::Visible);
    assert_eq!(outcome("even", -580_000), Outcome::Expired(Timestamp::from_millis(1_795_258_620_000)));
    assert_eq!(outcome("even", -570_000), Outcome::DeadOnArrival);
    assert_eq!(outcome("even", -550_000), Outcome::Deleted);
    assert_eq!(outcome("even", -1), Outcome::NeverSeen);
    db.compact().expect("compacts");
    // All points of one series are dead; it lives on in its windows.
    assert_eq!((text_of(&db).as_str(), db.stats().deletions, db.stats().resting_series), (EXPECTED, 0, 1));
    db.close().expect("closes");
    let db = open(dir.path(), later(), true).expect("opens again");
    assert_eq!((text_of(&db).as_str(), db.verify().len(), db.recovery().batches), (EXPECTED, 0, 0));
}

#[test]
fn a_stored_catalogue_that_is_damaged_or_gone_costs_nothing() {
    // A volume this small is not even asked for it; `engine/names_tests.rs` has those that are.
    for at in (0..CATALOG_BYTES_USED).step_by(41) {
        let dir = fixture();
        let path = dir.path().join(CATALOG_DB);
        let mut bytes = fs::read(&path).expect("it is there");
        bytes[at] ^= 0x10;
        fs::write(&path, bytes).expect("written");
        for _ in 0..3 {
            let db = open(dir.path(), later(), true).expect("opens: it can be rebuilt");
            assert_eq!(text_of(&db), EXPECTED, "byte {at}");
            assert!(db.recovery().damage.is_empty(), "byte {at}");
            db.close().expect("closes");
        }
    }
    let dir = fixture();
    fs::remove_dir_all(dir.path().join("catalog")).expect("removed");
    let db = open(dir.path(), later(), true).expect("opens");
    assert_eq!(text_of(&db), EXPECTED);
}

#[test]
fn what_stands_in_the_lock_file_matters_to_nobody() {
    let dir = fixture();
    let lock = dir.path().join("LOCK");
    for content in [&b""[..], b"4711", b"\xff\0 no number", &[b'7'; 5_000]] {
        fs::write(&lock, content).expect("written");
        let db = open(dir.path(), later(), true).expect("opens");
        assert_eq!(fs::read_to_string(&lock).expect("text"), format!("{:<10}\n", std::process::id()));
        let refused = open(dir.path(), later(), true).expect_err("it has an owner");
        assert_eq!(refused.kind(), ErrorKind::Locked);
        db.close().expect("closes");
    }
}
