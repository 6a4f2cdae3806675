//! Numbers out of columns against those of windows.

use std::path::Path;

use super::*;
use crate::engine::settings::{Maintenance, Settings};
use crate::env::clock::ManualClock;
use crate::env::memory::MemoryDisk;
use crate::model::batch::WriteBatch;
use crate::model::point::{Point, Value};
use crate::model::segment::DAY_MILLIS;
use crate::model::windows::Fill;

/// A midnight.
const START: i64 = 1_787_356_800;
const DAYS: i64 = 3;
const HOUR_MILLIS: i64 = 3_600_000;
/// Of the windows that are stored, and longer ones.
const LENGTHS: [i64; 4] = [300_000, HOUR_MILLIS, 8 * HOUR_MILLIS, DAY_MILLIS];
fn key(metric: &str) -> SeriesKey {
    SeriesKey::new("SIM.VALUES", metric, [("n", "1")]).expect("a valid key")
}

fn secs(secs: i64) -> Timestamp {
    Timestamp::from_secs(START + secs)
}

/// Points of some days with gaps, flushed: integers, decimals, doubles with all their digits, and some of each in turn.
fn stored() -> Arc<Engine> {
    let clock = Arc::new(ManualClock::new(secs(DAYS * 86_400)));
    let settings = Settings { clock, maintenance: Maintenance::Manual, ..Settings::default() };
    let engine = Engine::open(Arc::new(MemoryDisk::default()), Path::new("v"), settings).expect("an empty disk");
    let mut batch = WriteBatch::new();
    for step in (0..DAYS * 86_400 / 100).filter(|step| step / 50 % 3 != 1) {
        let int = step * step * 7_919 % 1_000 - 300;
        let float = f64::from(i32::try_from(int).expect("a small number"));
        let point = |value: Value| Point::new(secs(step * 100), value);
        batch.push(key("int"), point(int.into()));
        batch.push(key("decimal"), point((float / 100.0).into()));
        batch.push(key("double"), point((float / 7.0).into()));
        batch.push(key("mixed"), if step % 20 < 13 { point(int.into()) } else { point(float.into()) });
    }
    engine.write(&batch).expect("stored");
    engine.flush().expect("a sound disk");
    engine
}

/// All of time, all that is stored, and some of it.
fn ranges(length: i64) -> [TimeRange; 3] {
    let days = TimeRange::new(secs(0), secs(DAYS * 86_400));
    let part = TimeRange::new(secs(40_000), secs(100_000));
    [TimeRange::ALL, days, part].map(|range| aligned(range, length).expect("it is not empty"))
}

/// What the columns say, if they are asked, and what the windows say.
fn both(engine: &Engine, metric: &str, range: TimeRange, of: (i64, Function)) -> [Option<Vec<(Timestamp, Number)>>; 2] {
    let (key, now) = (key(metric), engine.guard.now());
    let windows = engine.windows_at(&key, range, (of.0, WINDOWS_MAX), now).expect("readable");
    let rows = windows.values(of.1, Fill::None).expect("no gap is filled");
    let found = engine.stored_values(&key, range, of, now);
    let millis = |(start, number)| (Timestamp::from_millis(start), number);
    [
        found.map(|list| list.into_iter().map(millis).collect()),
        rows.into_iter().map(|(time, number)| Some((time, number?))).collect(),
    ]
}

#[test]
fn values_of_resting_series_come_out_of_columns() {
    // Goal: the short way is taken where nothing is recent, and tells what windows tell. Method: each function, of
    // windows as they are stored and longer ones, asked of the columns directly.
    let engine = stored();
    for metric in ["int", "decimal", "double", "mixed"] {
        for (length, function) in LENGTHS.iter().flat_map(|length| Function::ALL.map(|function| (*length, function))) {
            // Columns tell neither the spread of values nor the time of the last one, nor what has no decimal form.
            let is_told = !matches!(function, Function::Variance | Function::Latest);
            let is_taken = is_told && ["int", "decimal"].contains(&metric);
            for range in ranges(length) {
                let what = format!("{function:?} of {metric} in windows of {length} ms in {range:?}");
                let [columns, windows] = both(&engine, metric, range, (length, function));
                assert!(windows.as_ref().is_some_and(|windows| !windows.is_empty()), "{what}");
                assert!(columns.is_some() || !is_taken, "{what}: the columns are not asked");
                assert!(columns.is_none() || columns == windows, "{what}: the columns say something else");
                let asked = engine.values(&key(metric), range, Duration::from_millis(length.unsigned_abs()), function);
                assert!(Some(asked.expect("readable").list) == windows, "{what}");
            }
        }
    }
}

#[test]
fn values_of_a_series_with_something_recent_come_out_of_windows() {
    // Goal: a stored number is not told where a recent point changes it, nor where it has to be put together. Method: a
    // point is replaced; before its flush, after it, and after the two segments of its windows have become one.
    let engine = stored();
    let of = (HOUR_MILLIS, Function::Sum);
    let columns = |metric| both(&engine, metric, ranges(HOUR_MILLIS)[0], of);
    let [before, windows] = columns("int");
    assert!(before.is_some() && before == windows);
    engine.write(&[(key("int"), Point::new(secs(100), 1_000_000))].into_iter().collect()).expect("stored");
    let [recent, windows] = columns("int");
    assert_eq!(recent, None, "a recent point changes a window");
    assert_ne!(windows, before);
    let asked = engine.values(&key("int"), TimeRange::ALL, Duration::from_secs(3_600), Function::Sum);
    assert_eq!(Some(asked.expect("readable").list), windows);
    assert!(columns("decimal")[0].is_some(), "nothing of another series is recent");
    engine.flush().expect("a sound disk");
    assert_eq!(columns("int"), [None, windows.clone()], "two segments have to be put together");
    engine.compact().expect("a sound disk");
    assert_eq!(columns("int"), [windows.clone(), windows], "one segment has it all again");
}
