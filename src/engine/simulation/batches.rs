//! What simulated workloads write and delete: by number and clock, so that a history can be told in a line.

use std::time::Duration;

use crate::model::batch::WriteBatch;
use crate::model::point::{Point, Value};
use crate::model::series::SeriesKey;
use crate::model::time::{TimeRange, Timestamp};

/// When simulated volumes are made.
pub(in crate::engine) const START: Timestamp = Timestamp::from_secs(1_000_000);
const HOUR: Duration = Duration::from_secs(3_600);
/// Times that are written again and again lie around here: in the past, but on the day of the start.
const PAST: i64 = 1_000_000_000 - 3_600_000;
/// Times that are overwritten, so that each is stored in some segment when its turn comes again.
const SLOTS: u64 = 7;

/// One thing that was asked of the engine.
#[derive(Clone, Debug)]
pub(in crate::engine) enum Effect {
    /// A batch, and when it was accepted.
    Batch(WriteBatch, Timestamp),
    Deletion(SeriesKey, TimeRange),
}

/// How long a point lives, from the moment at which it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::engine) enum Life {
    Forever,
    Seconds(u64),
    /// It is dead when it is written.
    None,
}

pub(in crate::engine) fn key(metric: &str) -> SeriesKey {
    SeriesKey::new("SIM.CRASH", metric, [("host", "a")]).expect("a valid key")
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn int(number: u64) -> Value {
    Value::Int(number.cast_signed())
}

fn point(time: i64, value: Value, life: Life, now: Timestamp) -> Point {
    let expires_at = match life {
        Life::Forever => None,
        Life::Seconds(seconds) => Some(now + Duration::from_secs(seconds)),
        Life::None => Some(now - Duration::from_secs(1)),
    };
    Point { time: at(time), value, expires_at, unit: None }
}

/// Batch `number`, written at `now`. It has a point of its own in a series of all batches; points of several series and
/// lives; points at times that batches before it have written, so that living and dead ones replace living and dead
/// ones; late points of another day; now and then a new series, and series that die out and come back; `bulk` more.
pub(in crate::engine) fn batch_at(number: u64, bulk: u64, now: Timestamp) -> WriteBatch {
    let mut batch = WriteBatch::new();
    let millis = now.as_millis() + number.cast_signed();
    let fraction = f64::from(u32::try_from(number).expect("workloads are short")) + 0.25;
    batch.push(key("all"), Point::new(at(number.cast_signed()), int(number)).with_unit("%"));
    let lives = [Life::Forever, Life::Seconds(100), Life::Seconds(86_400)];
    let third = number % 3;
    batch.push(key(&format!("third{third}")), point(millis, Value::Float(fraction), lives[index(third)], now));
    let lives = [Life::Forever, Life::None, Life::Seconds(60), Life::Seconds(172_800), Life::Forever];
    let newest = point(PAST, int(number), lives[index(number % 5)], now);
    batch.push(key("newest"), newest.with_unit(format!("u{}", number % 5)));
    over_slot(&mut batch, number, lives[index(number / SLOTS % 5)], now);
    if number.is_multiple_of(2) {
        batch.push(key("late"), point(PAST - 86_400_000 + number.cast_signed(), int(number), Life::Forever, now));
    }
    if number % 6 < 3 {
        let name = format!("gone{}", number / 6 % 3);
        batch.push(key(&name), point(millis, int(number), Life::Seconds(50), now));
    }
    if number.is_multiple_of(4) {
        batch.push(key(&format!("new{number}")), Point::new(at(millis), int(number)));
        batch.push(key("dead"), point(millis, int(number), Life::None, now));
    }
    for each in 0..bulk {
        let value = (number * 7_919 + each).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11;
        let time = PAST + (number * 1_000 + each).cast_signed();
        batch.push(key("bulk"), point(time, int(value), Life::Forever, now));
    }
    batch
}

/// The same at the start of all simulations.
pub(in crate::engine) fn batch(number: u64, bulk: u64) -> WriteBatch {
    batch_at(number, bulk, START)
}

/// A batch that overwrites all slots and little else.
pub(in crate::engine) fn overwriting(number: u64, life: Life, now: Timestamp) -> WriteBatch {
    let mut batch = WriteBatch::new();
    batch.push(key("all"), Point::new(at(number.cast_signed()), int(number)).with_unit("%"));
    (0..SLOTS).for_each(|slot| over_slot(&mut batch, number / SLOTS * SLOTS + slot, life, now));
    batch
}

fn over_slot(batch: &mut WriteBatch, number: u64, life: Life, now: Timestamp) {
    let slot = (number % SLOTS).cast_signed();
    batch.push(key("again"), point(PAST + slot, int(number), life, now));
}

/// Deletion `number`: of some slots, of some batches' own points, of a series that lives for a while, of one of
/// another day, of one that nobody may know any more.
pub(in crate::engine) fn deletion(number: u64) -> (SeriesKey, TimeRange) {
    let third = number.cast_signed() / 3;
    match number % 5 {
        0 => (key("again"), TimeRange::new(at(PAST + 1), at(PAST + 5))),
        1 => (key("all"), TimeRange::new(at(third), at(2 * third + 1))),
        2 => (key("third2"), TimeRange::ALL),
        3 => (key("late"), TimeRange::new(at(PAST - 86_400_000), at(PAST - 86_400_000 + third))),
        _ => (key("gone1"), TimeRange::new(START - HOUR, START + HOUR)),
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("a place in a short list")
}
