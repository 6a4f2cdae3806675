//! Random settings, times, points and ranges, chosen so that what is rare elsewhere is frequent here.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::model_tests::model::Wall;
use crate::engine::settings::{Maintenance, Settings};
use crate::env::dice::Dice;
use crate::model::durability::Durability;
use crate::model::limits::LOG_BYTES_MAX;
use crate::model::point::{Point, Value};
use crate::model::rollup::{Late, Rollup, Tier};
use crate::model::series::SeriesKey;
use crate::model::time::{TimeRange, Timestamp, Ttl};

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The head of those histories that begin with a large segment.
pub(super) const LARGE_HEAD_BYTES: usize = 1 << 20;

/// What stays the same through one history.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) keys: Vec<SeriesKey>,
    /// The times that points come to lie on.
    grid: Vec<i64>,
    /// How many series a batch usually writes to; the others are for the cap.
    usual: u64,
}

pub(super) fn between(dice: &mut Dice, least: i64, most: i64) -> i64 {
    least + dice.below(most.abs_diff(least) + 1).cast_signed()
}

pub(super) fn pick<T: Copy>(dice: &mut Dice, some: &[T]) -> T {
    some[usize::try_from(dice.below(some.len() as u64)).expect("an index")]
}

impl Frame {
    /// Series and times for partitions of this many days. The times lie close together around the borders of
    /// partitions, and two of three border on 1970.
    pub(super) fn draw(dice: &mut Dice, days: u16) -> Self {
        let usual = 1 + dice.below(4);
        let key = |number: u64| SeriesKey::new("MODEL.TEST", format!("m{number}"), [("host", "a")]).expect("valid");
        let mut grid = Vec::new();
        let first = between(dice, -2, 0);
        let step = pick(dice, &[1, SECOND, MINUTE, 20 * MINUTE]);
        for partition in first..=first + between(dice, 0, 2) {
            let border = partition * i64::from(days) * DAY;
            grid.extend((-3..=dice.below(25).cast_signed()).map(|place| border + place * step));
        }
        if dice.below(20) == 0 {
            grid.extend([Timestamp::MIN, Timestamp::MAX].map(Timestamp::as_millis));
        }
        grid.sort_unstable();
        grid.dedup();
        Self { keys: (0..usual + 2).map(key).collect(), grid, usual }
    }

    /// One series with one time.
    pub(super) fn of_one(time: i64) -> Self {
        let key = SeriesKey::new("MODEL.TEST", "m", [("host", "a")]).expect("valid");
        Self { keys: vec![key], grid: vec![time], usual: 1 }
    }

    /// When the history begins: near the times of its points.
    pub(super) fn start(&self, dice: &mut Dice) -> i64 {
        let hours = between(dice, -6, 30);
        pick(dice, &self.grid) + hours * HOUR + between(dice, 0, HOUR)
    }

    pub(super) fn series(&self, dice: &mut Dice) -> usize {
        let some = if dice.below(20) == 0 { self.keys.len() as u64 } else { self.usual };
        usize::try_from(dice.below(some)).expect("an index")
    }

    pub(super) fn time(&self, dice: &mut Dice) -> i64 {
        pick(dice, &self.grid)
    }

    /// Points of several series, the same time twice among them now and then.
    pub(super) fn batch(&self, dice: &mut Dice, now: Timestamp, non_finite: bool) -> Vec<(usize, Point)> {
        let len = if dice.below(3) == 0 { 1 + dice.below(30) } else { 1 + dice.below(6) };
        let draw_one = |dice: &mut Dice| {
            let (series, time) = (self.series(dice), self.time(dice));
            (series, point(dice, time, now, non_finite))
        };
        (0..len).map(|_| draw_one(dice)).collect()
    }

    /// A range of time: some, all, or empty.
    pub(super) fn range(&self, dice: &mut Dice) -> TimeRange {
        let ends = [self.time(dice), self.time(dice)].map(|time| Timestamp::from_millis(time + between(dice, -1, 1)));
        let [one, other] = ends;
        match dice.below(12) {
            0 => TimeRange::ALL,
            1 => TimeRange::new(one, one),
            2 => TimeRange::new(one, other),
            3 => TimeRange::from(one..),
            4 => TimeRange::from(..one),
            _ => TimeRange::new(one.min(other), one.max(other)),
        }
    }
}

/// Settings so small that heads fill and logs rotate.
pub(super) fn settings(dice: &mut Dice, clock: Arc<Wall>, days: u16, series: usize) -> Settings {
    Settings {
        durability: if dice.coin() { Durability::Sync } else { Durability::Buffered },
        clock,
        maintenance: Maintenance::Manual,
        reclaim_within: Duration::from_millis(between(dice, 10 * SECOND, HOUR).cast_unsigned()),
        series_max: series - 1 - usize::from(dice.coin()),
        store_non_finite: dice.below(4) > 0,
        rollup: Rollup {
            tiers: tiers(dice),
            sketches: dice.below(3) == 0,
            late: pick(dice, &[Late::Correct, Late::Correct, Late::DiscardAfter(Duration::from_secs(3_600))]),
            partition_days: days,
        },
        ids: Some([7; 16]),
        ..small(dice, Settings::default())
    }
}

/// Windows that live for days, or weeks, or are not kept.
fn tiers(dice: &mut Dice) -> Vec<Tier> {
    let tiers: &[(i64, i64)] = pick(
        dice,
        &[
            &[][..],
            &[(5 * MINUTE, 30 * DAY)],
            &[(5 * MINUTE, 2 * DAY), (20 * MINUTE, 4 * DAY), (HOUR, 8 * DAY), (DAY, 30 * DAY)],
            &[(MINUTE, 0), (HOUR, 3 * DAY)],
            &[(SECOND, DAY), (6 * HOUR, 9 * DAY)],
        ],
    );
    tiers.iter().map(|&(window, keep)| Tier { window, keep }).collect()
}

/// The same settings with other bounds, as a later run may have them.
pub(super) fn small(dice: &mut Dice, settings: Settings) -> Settings {
    Settings {
        head_bytes_max: pick(dice, &[12 << 10, 24 << 10, 64 << 10]),
        log_file_bytes: pick(dice, &[512, 2 << 10, 8 << 10]),
        log_bytes_max: pick(dice, &[16 << 10, 64 << 10, LOG_BYTES_MAX]),
        ..settings
    }
}

/// The same settings with room for a large head.
pub(super) fn large(settings: Settings) -> Settings {
    Settings { head_bytes_max: LARGE_HEAD_BYTES, log_bytes_max: LOG_BYTES_MAX, ..settings }
}

pub(super) fn value(dice: &mut Dice, non_finite: bool) -> Value {
    let odd = [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::from_bits(0x7ff0_0000_0000_0001)];
    match dice.below(12) {
        0 => Value::Int(pick(dice, &[i64::MIN, i64::MAX, 0, -1])),
        1 => Value::Int(dice.roll().cast_signed()),
        2 => Value::Float(pick(dice, &[-0.0, 0.0, f64::MIN_POSITIVE, f64::MAX, 5e-324])),
        3 if non_finite => Value::Float(pick(dice, &odd)),
        4 if non_finite => Value::Float(f64::from_bits(dice.roll() | 0x7ff0 << 48)),
        5 => Value::Float(f64::from_bits(dice.roll() & !(1 << 62))),
        6..=8 => Value::Int(between(dice, 0, 100)),
        _ => Value::Float(f64::from(u8::try_from(dice.below(200)).expect("small")) / 10.0),
    }
}

/// A point that may be dead already, dies soon, late or never.
pub(super) fn point(dice: &mut Dice, time: i64, now: Timestamp, non_finite: bool) -> Point {
    let ttl = |dice: &mut Dice, unit: i64, most: i64| {
        Ttl::from_secs(u32::try_from(between(dice, 1, most) * unit / SECOND).expect("days have few seconds"))
    };
    let point = Point::new(Timestamp::from_millis(time), value(dice, non_finite));
    let point = match dice.below(12) {
        0 => point.with_ttl(Ttl::from_secs(0)),
        1 => point.with_ttl(ttl(dice, SECOND, 60)),
        2 => point.with_ttl(ttl(dice, HOUR, 48)),
        3 => point.with_ttl(ttl(dice, DAY, 30)),
        4..=6 => point.with_ttl(Ttl::NEVER),
        7 => expiring(point, now, between(dice, 1, 90 * SECOND)),
        8 => expiring(point, now, between(dice, 1, 3 * HOUR)),
        9 | 10 => expiring(point, now, between(dice, 1, 10 * DAY)),
        _ => expiring(point, now, between(dice, -HOUR, 0)),
    };
    match dice.below(8) {
        0 | 1 => point.with_unit("%"),
        2 => point.with_unit("byte/s"),
        3 => point.with_unit("\u{3b1}".repeat(1 + usize::try_from(dice.below(32)).expect("small"))),
        _ => point,
    }
}

/// A point that is dead, or dies within a minute.
pub(super) fn dying(dice: &mut Dice, time: i64, now: Timestamp) -> Point {
    let point = Point::new(Timestamp::from_millis(time), value(dice, false));
    let dies_after = if dice.coin() { between(dice, -MINUTE, 0) } else { between(dice, 1, MINUTE) };
    expiring(point, now, dies_after)
}

/// How long a clock is let run: ms to days.
pub(super) fn pause(dice: &mut Dice) -> u64 {
    let most = pick(dice, &[10, MINUTE, MINUTE, 20 * MINUTE, 2 * HOUR, DAY, 5 * DAY]);
    between(dice, 1, most).cast_unsigned()
}

/// How far a wall clock is set: back, or forward by less or more than a jump.
pub(super) fn step(dice: &mut Dice) -> i64 {
    match dice.below(4) {
        0 => between(dice, 1, HOUR),
        1 | 2 => between(dice, HOUR, 3 * DAY),
        _ => -between(dice, 1, DAY),
    }
}

fn expiring(point: Point, now: Timestamp, millis: i64) -> Point {
    Point { expires_at: Some(Timestamp::from_millis(now.as_millis() + millis)), ..point }
}
