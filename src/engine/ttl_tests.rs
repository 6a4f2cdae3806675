//! A simulated week of points with mixed TTLs. Goal: no expired point is ever given, every expired byte leaves the disk
//! within its time (S19), and next to nothing is written anew for it. Method: a manual clock in steps of ten minutes,
//! `maintain` at each; what is stored is looked at, and a series is read against a plain model.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::engine::settings::{Maintenance, Settings};
use crate::env::clock::{Clock, ManualClock};
use crate::env::dice::Dice;
use crate::env::memory::MemoryDisk;
use crate::model::batch::WriteBatch;
use crate::model::durability::Durability;
use crate::model::packed::NEVER;
use crate::model::point::Point;
use crate::model::segment::Role;
use crate::model::series::SeriesKey;
use crate::model::time::{TimeRange, Timestamp, Ttl};

const START: i64 = 1_787_356_800;
const HOUR: i64 = 3_600;
const STEP: i64 = 600;
const STEPS: i64 = 8 * 24 * HOUR / STEP;
const SERIES: u64 = 12;
/// From a second to a week.
const TTLS: [u32; 9] = [1, 30, 600, 3_600, 7_200, 21_600, 86_400, 259_200, 604_800];
/// One point in this many is written a second time, with another TTL.
const REWRITE_EVERY: u64 = 200;

type Model = BTreeMap<(u64, i64), Point>;

fn key(series: u64) -> SeriesKey {
    SeriesKey::new("SIM.TTL", "m", [("n", series.to_string())]).expect("a valid key")
}

/// Ten minutes of points, one a minute for each series, and now and then one that was written before.
fn batch(step: i64, dice: &mut Dice, model: &mut Model) -> WriteBatch {
    let mut batch = WriteBatch::new();
    for minute in 0..STEP / 60 {
        for series in 0..SERIES {
            let rewrites = dice.below(REWRITE_EVERY) == 0;
            let back = if rewrites { dice.below(300).cast_signed() * 60 } else { 0 };
            let secs = START + step * STEP + minute * 60 - back;
            let ttl = TTLS[usize::try_from(dice.below(TTLS.len() as u64)).expect("an index")];
            let point = Point::new(Timestamp::from_secs(secs), dice.below(1_000).cast_signed());
            let point = point.with_ttl(Ttl::from_secs(ttl)).with_unit("%");
            model.insert((series, secs), point.clone());
            batch.push(key(series), point);
        }
    }
    batch
}

/// Bytes of segments in which a point is dead for longer than it may be, leaving out what hides something.
fn overdue(engine: &Engine, now: i64) -> u64 {
    let view = engine.view.read();
    let late = view.shelf.version.segments.iter().filter(|meta| match meta.role {
        // Half of the promise is the file's: a point of a class may be dead for the width of it.
        Role::Plain(class) => meta.expiries.0 != NEVER && meta.expiries.0.saturating_add(2 * class.width) < now,
        Role::Override | Role::Summaries(_) => false,
    });
    late.map(|meta| meta.bytes).sum()
}

/// Bytes of segments that hold a dead point, as an upper bound of dead bytes.
fn partly_dead(engine: &Engine, now: i64) -> u64 {
    let view = engine.view.read();
    let dead = view.shelf.version.segments.iter().filter(|meta| meta.expiries.0 <= now);
    dead.map(|meta| meta.bytes).sum()
}

fn check_series(engine: &Engine, series: u64, model: &Model, now: Timestamp) {
    let found: Vec<Point> =
        engine.points(&key(series), TimeRange::ALL).expect("readable").collect::<Result<_, _>>().expect("sound");
    let all = model.range((series, i64::MIN)..=(series, i64::MAX)).map(|(_, point)| point);
    let expected: Vec<Point> = all.filter(|point| point.is_visible_at(now)).cloned().collect();
    assert_eq!(found.len(), expected.len(), "series {series} at {now}");
    assert!(found == expected, "series {series} at {now} differs");
}

#[test]
fn a_week_of_mixed_ttls_leaves_the_disk_in_time_and_is_hardly_ever_written_anew() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(START)));
    let settings = Settings {
        durability: Durability::Buffered,
        clock: clock.clone(),
        maintenance: Maintenance::Manual,
        head_bytes_max: 1 << 20,
        ..Settings::default()
    };
    let engine = Engine::open(Arc::new(MemoryDisk::default()), Path::new("v"), settings).expect("an empty disk");
    let (mut dice, mut model) = (Dice::new(20_261_121), Model::new());
    let (mut most_dead, mut most_stored) = (0, 0);
    for step in 0..STEPS {
        engine.write(&batch(step, &mut dice, &mut model)).expect("accepted");
        clock.advance(Duration::from_secs(STEP.unsigned_abs()));
        engine.maintain().expect("a sound disk");
        let now = clock.now();
        assert_eq!(overdue(&engine, now.as_millis()), 0, "step {step}");
        let waited = engine.view.read().active_since.map(|since| clock.monotonic().saturating_sub(since));
        assert!(waited.is_none_or(|waited| waited < engine.settings.reclaim_within / 2), "the head waits: {waited:?}");
        check_series(&engine, dice.below(SERIES), &model, now);
        most_dead = most_dead.max(partly_dead(&engine, now.as_millis()));
        most_stored = most_stored.max(engine.stats().segment_bytes);
    }
    let before = engine.stats();
    clock.advance(Duration::from_secs(9 * 86_400));
    engine.maintain().expect("a sound disk");
    let after = engine.stats();
    println!(
        "{} points; at most {most_stored} bytes stored, {most_dead} in files with a dead point; {} bytes flushed, {} \
         freed, {} rewritten to merge, {} rewritten because of expiry ({:.2} % of those freed)",
        model.len(),
        after.bytes_flushed,
        after.bytes_freed,
        after.bytes_rewritten - after.bytes_rewritten_for_expiry,
        after.bytes_rewritten_for_expiry,
        percent(after.bytes_rewritten_for_expiry, after.bytes_freed),
    );
    assert!(before.segments > 0 && before.bytes_freed > before.segment_bytes, "{before:?}");
    assert!(after.bytes_rewritten_for_expiry * 20 <= after.bytes_freed, "more than 5 % was rewritten: {after:?}");
    assert_eq!((after.points, after.recent_points), (0, 0), "every point is dead: {after:?}");
    assert_eq!((after.segment_bytes, after.series), (after.window_bytes, SERIES), "their windows are not: {after:?}");
    let years = Duration::from_secs(6 * 365 * 86_400);
    clock.advance(years);
    engine.maintain().expect("a sound disk");
    let last = engine.stats();
    assert_eq!((last.segments, last.segment_bytes), (0, 0), "the windows' time is over: {last:?}");
    assert_eq!(last.series, 0, "a series without a byte is forgotten");
}

#[test]
fn what_was_being_looked_at_when_it_was_dropped_leaves_the_disk_when_series_are_settled() {
    // Goal: a maintenance that comes while another thread looks over all series frees what it drops all the same.
    // Method: segments held as that one does, and let go of before its turn ends.
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(START)));
    let settings = Settings { clock: clock.clone(), maintenance: Maintenance::Manual, ..Settings::default() };
    let engine = Engine::open(Arc::new(MemoryDisk::default()), Path::new("v"), settings).expect("an empty disk");
    let mut batch = WriteBatch::new();
    batch.push(key(0), Point::new(Timestamp::from_secs(START), 1).with_ttl(Ttl::from_secs(60)));
    engine.write(&batch).expect("accepted");
    engine.flush().expect("a sound disk");
    let held = engine.view.read().shelf.clone();
    clock.advance(Duration::from_secs(86_400));
    while engine.compact_one(false).expect("a sound disk") {}
    let stats = engine.stats();
    assert!(stats.points == 0 && stats.pinned_bytes > 0, "it is dropped, and held: {stats:?}");
    drop(held);
    engine.settle_series().expect("a sound disk");
    assert_eq!(engine.stats().pinned_bytes, 0);
}

#[expect(clippy::cast_precision_loss, reason = "printed with two digits")]
fn percent(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole as f64
}
