//! A simulated year of hourly points of a thousand series, of which most do not outlive their day. Goal: the year can
//! still be told from its windows, also of points that lived for a second, and older days are known only as coarsely as
//! the default retention says. Method: a manual clock in steps of a day, `maintain` at each; values are a function of
//! series and hour, so that a plain loop over the year says what every window has to be.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::engine::settings::{Maintenance, Settings};
use crate::env::clock::{Clock, ManualClock};
use crate::env::memory::MemoryDisk;
use crate::error::Result;
use crate::model::batch::WriteBatch;
use crate::model::durability::Durability;
use crate::model::limits::WINDOWS_MAX;
use crate::model::point::{Point, Value};
use crate::model::segment::{Partition, Role};
use crate::model::series::SeriesKey;
use crate::model::summary::Number;
use crate::model::time::{TimeRange, Timestamp, Ttl};
use crate::model::window::Window;
use crate::model::windows::Windows;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const DAYS: i64 = 365;
const SERIES: usize = 1_000;
/// One series in so many is read: some of every TTL, with whole numbers and with decimals.
const READ_EVERY: usize = 7;
/// The longest period that is asked for, in days. The year starts where one of these windows does.
const WHOLE: i64 = 366;
/// 2024-02-11.
const START: i64 = 54 * WHOLE * DAY;
/// Of series 0, 1 and so on, and over again.
const TTLS: [Ttl; 5] =
    [Ttl::from_secs(1), Ttl::from_secs(0), Ttl::from_secs(3_600), Ttl::from_secs(7 * 86_400), Ttl::NEVER];

fn keys() -> Vec<SeriesKey> {
    let key = |series: usize| SeriesKey::new("SIM.YEAR", "m", [("n", series.to_string())]).expect("a valid key");
    (0..SERIES).map(key).collect()
}

/// The value of a series in an hour of the year: whole numbers of either sign in even series, decimals in odd ones.
fn value(series: usize, hour: i64) -> Value {
    // Fibonacci hashing (Knuth, The Art of Computer Programming 3, section 6.4).
    let mixed = (hour.unsigned_abs() * SERIES as u64 + series as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    let int = i64::try_from(mixed % 20_001).expect("a small number") - 10_000;
    if series.is_multiple_of(2) { Value::Int(int) } else { Value::Float(decimal(int + 10_001)) }
}

#[expect(clippy::cast_precision_loss, reason = "a small number")]
fn decimal(int: i64) -> f64 {
    int as f64 / 10.0
}

fn day_of_points(keys: &[SeriesKey], day: i64) -> WriteBatch {
    let mut batch = WriteBatch::with_capacity(24 * SERIES);
    for hour in day * 24..(day + 1) * 24 {
        for (series, key) in keys.iter().enumerate() {
            let point = Point::new(Timestamp::from_secs(START + hour * HOUR), value(series, hour));
            batch.push(key.clone(), point.with_ttl(TTLS[series % TTLS.len()]));
        }
    }
    batch
}

fn whole_year() -> TimeRange {
    TimeRange::new(Timestamp::from_secs(START), Timestamp::from_secs(START + DAYS * DAY))
}

/// Writes and keeps house for a year. Each day comes at noon, so that half of its points are dead on arrival where they
/// live for a second, and half of them are still to come.
fn live(engine: &Engine, clock: &ManualClock, keys: &[SeriesKey]) {
    for day in 0..DAYS {
        clock.advance(Duration::from_secs(43_200));
        let receipt = engine.write(&day_of_points(keys, day)).expect("accepted");
        let accepted = receipt.stored + receipt.dead_on_arrival;
        assert_eq!((accepted, receipt.replaced, receipt.not_aggregated), (24 * SERIES, 0, 0), "day {day}");
        clock.advance(Duration::from_secs(43_200));
        engine.maintain().expect("a sound disk");
    }
}

/// Holds a window against the values of its hours.
fn check_window(window: &Window, series: usize, hours: std::ops::Range<i64>) {
    let about = format!("series {series}, hours {hours:?}: {window:?}");
    let values: Vec<Value> = hours.map(|hour| value(series, hour)).collect();
    assert!(!window.is_raw && !window.is_bound(), "{about}");
    assert_eq!(window.count(), values.len() as u64, "{about}");
    let ints: Vec<i64> =
        values.iter().filter_map(|value| if let Value::Int(int) = value { Some(*int) } else { None }).collect();
    if ints.len() == values.len() {
        assert_eq!(window.sum(), Number::Int(ints.iter().map(|int| i128::from(*int)).sum()), "{about}");
        let (min, max) = (ints.iter().min().copied(), ints.iter().max().copied());
        assert_eq!((Some(window.min()), Some(window.max())), (min.map(Value::Int), max.map(Value::Int)), "{about}");
        return;
    }
    let floats = || values.iter().map(|value| if let Value::Float(float) = value { *float } else { f64::NAN });
    let sum: f64 = floats().sum();
    assert!(matches!(window.sum(), Number::Float(told) if (told - sum).abs() <= sum * 1e-12), "{sum}, {about}");
    let (min, max) = (floats().fold(f64::INFINITY, f64::min), floats().fold(f64::NEG_INFINITY, f64::max));
    assert_eq!((window.min(), window.max()), (Value::Float(min), Value::Float(max)), "{about}");
}

fn windows(engine: &Engine, key: &SeriesKey, days: i64) -> Windows {
    let windows = engine
        .windows(key, whole_year(), Duration::from_secs((days * DAY).unsigned_abs()), WINDOWS_MAX)
        .expect("readable");
    assert!(windows.missing().is_empty(), "{key}: {:?}", windows.missing());
    windows
}

fn check_answers(engine: &Engine, keys: &[SeriesKey]) {
    for (series, key) in keys.iter().enumerate().step_by(READ_EVERY) {
        let days = windows(engine, key, 1);
        assert_eq!(days.len(), usize::try_from(DAYS).expect("a small number"), "{key}");
        for (day, window) in (0..).zip(days.iter()) {
            assert_eq!(window.start, Timestamp::from_secs(START + day * DAY), "{key}");
            check_window(window, series, day * 24..(day + 1) * 24);
        }
        let year = windows(engine, key, WHOLE);
        assert_eq!(year.iter().map(|window| window.start).collect::<Vec<_>>(), [Timestamp::from_secs(START)], "{key}");
        check_window(&year[0], series, 0..DAYS * 24);
    }
}

/// Only what has not expired can be read of the points themselves.
fn check_points(engine: &Engine, keys: &[SeriesKey], now: Timestamp) {
    for (series, key) in keys.iter().enumerate().step_by(READ_EVERY) {
        let ttl = TTLS[series % TTLS.len()];
        let is_visible = |hour: &i64| {
            let expiry = ttl.expiry_of(Timestamp::from_secs(START + hour * HOUR));
            expiry.is_none_or(|expiry| now < expiry)
        };
        let visible = (0..DAYS * 24).filter(is_visible).count();
        assert!(visible == 0 || ttl.as_secs().is_none_or(|secs| secs > 3_600), "{key}: its points lived for {ttl:?}");
        let found: Result<Vec<Point>> = engine.points(key, TimeRange::ALL).expect("readable").collect();
        assert_eq!(found.expect("sound").len(), visible, "{key}: its points lived for {ttl:?}");
    }
}

/// What the default retention says of the age of a partition, in days after its end; in seconds.
fn due(age: i64) -> i64 {
    match age {
        0..10 => 300,
        10..20 => 1_200,
        20..155 => HOUR,
        155..300 => 4 * HOUR,
        _ => DAY,
    }
}

/// Holds the resolutions that are stored against those that are due, and tells what the disk is used for.
fn check_tiers(engine: &Engine) {
    let view = engine.view.read();
    let mut tiers: BTreeMap<Option<i64>, [u64; 3]> = BTreeMap::new();
    let mut stored: BTreeMap<i64, i64> = BTreeMap::new();
    for meta in &view.shelf.version.segments {
        let window = if let Role::Summaries(millis) = meta.role { Some(millis / 1_000) } else { None };
        let tier = tiers.entry(window).or_default();
        for (sum, more) in tier.iter_mut().zip([1, meta.points, meta.bytes]) {
            *sum += more;
        }
        if let Some(window) = window {
            let age = DAYS - 1 - (meta.partition.0 - Partition::of(START * 1_000, 1).0);
            let other = stored.insert(age, window).filter(|other| *other != window);
            assert_eq!(other, None, "a partition of age {age} is stored in two resolutions");
        }
    }
    let wanted: BTreeMap<i64, i64> = (0..DAYS).map(|age| (age, due(age))).collect();
    assert_eq!(stored, wanted, "age of each partition in days, and length of its windows in seconds");
    for (window, [segments, entries, bytes]) in &tiers {
        let what = window.map_or_else(|| "points".into(), |window| format!("windows of {window} s"));
        println!("{what:<20} {segments:>4} segments {entries:>9} entries {bytes:>10} bytes");
    }
}

#[test]
fn a_year_is_told_from_windows_that_grow_coarser_while_most_points_are_long_gone() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(START)));
    let settings = Settings {
        durability: Durability::Buffered,
        clock: clock.clone(),
        maintenance: Maintenance::Manual,
        ..Settings::default()
    };
    let engine = Engine::open(Arc::new(MemoryDisk::default()), Path::new("v"), settings).expect("an empty disk");
    let keys = keys();
    live(&engine, &clock, &keys);
    check_tiers(&engine);
    check_points(&engine, &keys, clock.now());
    check_answers(&engine, &keys);
    let stats = engine.stats();
    println!(
        "{} bytes flushed, {} written anew, {} freed",
        stats.bytes_flushed, stats.bytes_rewritten, stats.bytes_freed
    );
}
