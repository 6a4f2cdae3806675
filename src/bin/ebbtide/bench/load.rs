//! What is written: walks of whole numbers from 0 to 100, one for each series, made from a seed. The same seed gives
//! the same points, however many writers share them.

use std::ops::Range;
use std::time::Duration;

use ebbtide::{Point, SeriesKey, Timestamp, Ttl, Unit, Value, WriteBatch};

/// Metrics of one machine.
const METRICS: usize = 10;

/// Between two points of a series, unless they would expire before they are written.
const STEP_MILLIS: u64 = 10_000;

/// The whole load.
#[derive(Debug)]
pub(super) struct Load {
    seed: u64,
    keys: Vec<SeriesKey>,
    points: u64,
    writers: usize,
    start: Timestamp,
    step: Duration,
    ttl: Ttl,
    unit: Unit,
}

impl Load {
    /// The last points are collected at `now`; all of them within half of the time to live, so that none has expired
    /// when it is written.
    pub(super) fn new(seed: u64, series: usize, points: u64, ttl_secs: u32, writers: usize, now: Timestamp) -> Self {
        let key = |number: usize| {
            let (host, metric) = (format!("host-{:05}", number / METRICS), format!("metric_{}", number % METRICS));
            SeriesKey::new("BENCH.LOAD", metric, [("host", host)]).expect("a valid name")
        };
        let keys = (0..series).map(key).collect();
        let unit = "%".into();
        let ttl = if ttl_secs == 0 { Ttl::NEVER } else { Ttl::from_secs(ttl_secs) };
        let mut load = Self { seed, keys, points, writers, start: now, step: Duration::ZERO, ttl, unit };
        let scrapes = (0..writers).map(|writer| load.scrapes(writer)).max().unwrap_or(1).max(1);
        let half_life = if ttl_secs == 0 { u64::MAX } else { u64::from(ttl_secs) * 500 };
        load.step = Duration::from_millis((half_life / scrapes).clamp(1, STEP_MILLIS));
        load.start = now - load.step * u32::try_from(scrapes - 1).unwrap_or(u32::MAX);
        load
    }

    pub(super) fn writers(&self) -> usize {
        self.writers
    }

    /// What one writer writes, in the order of time.
    pub(super) fn of_writer(&self, writer: usize) -> Share<'_> {
        let series = self.series(writer);
        let dice = series.clone().map(|number| Dice::new(self.seed, number as u64)).collect();
        let walks = vec![50; series.len()];
        Share { load: self, left: self.count(writer), dice, walks, first: series.start, next: 0, time: self.start }
    }

    fn series(&self, writer: usize) -> Range<usize> {
        writer * self.keys.len() / self.writers..(writer + 1) * self.keys.len() / self.writers
    }

    /// Points of a writer, in the proportion of its series.
    pub(super) fn count(&self, writer: usize) -> u64 {
        let before = |series: usize| {
            let part = u128::from(self.points) * series as u128 / self.keys.len() as u128;
            u64::try_from(part).expect("a part of the points")
        };
        let series = self.series(writer);
        before(series.end) - before(series.start)
    }

    fn scrapes(&self, writer: usize) -> u64 {
        self.count(writer).div_ceil(self.series(writer).len() as u64)
    }
}

/// What one writer has still to write.
#[derive(Debug)]
pub(super) struct Share<'a> {
    load: &'a Load,
    left: u64,
    dice: Vec<Dice>,
    walks: Vec<i64>,
    /// Number of its first series.
    first: usize,
    /// Of its series.
    next: usize,
    time: Timestamp,
}

impl Share<'_> {
    /// The next points, fewer at the end; `None` behind it.
    pub(super) fn next_batch(&mut self, points_max: usize) -> Option<WriteBatch> {
        let points = self.left.min(points_max as u64);
        let mut batch = WriteBatch::with_capacity(points_max);
        for _ in 0..points {
            let (series, walk) = (self.next, &mut self.walks[self.next]);
            *walk = (*walk + self.dice[series].step()).clamp(0, 100);
            let point = Point::new(self.time, Value::Int(*walk)).with_ttl(self.load.ttl);
            let key = self.load.keys[self.first + series].clone();
            batch.push(key, point.with_unit(self.load.unit.clone()));
            self.next += 1;
            if self.next == self.walks.len() {
                self.next = 0;
                self.time = self.time + self.load.step;
            }
        }
        self.left -= points;
        (points > 0).then_some(batch)
    }
}

/// Random numbers of one series: xorshift (Marsaglia 2003, section 3).
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    /// Neighbouring seeds and series are far apart after a multiplication by an odd number and a few throws.
    fn new(seed: u64, series: u64) -> Self {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let mixed = (seed.wrapping_mul(ODD) ^ series).wrapping_add(1).wrapping_mul(ODD);
        // NOTE: zero is the one state that xorshift never leaves.
        let mut dice = Self(mixed.max(1));
        for _ in 0..4 {
            dice.step();
        }
        dice
    }

    /// One up, one down, or none.
    fn step(&mut self) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // The low bits of xorshift are its weak ones.
        match self.0 >> 62 {
            0 => -1,
            1 => 1,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_281_677);

    fn points(seed: u64, writers: usize) -> BTreeMap<(SeriesKey, Timestamp), Point> {
        let load = Load::new(seed, 7, 1_000, 3_600, writers, NOW);
        let mut points = BTreeMap::new();
        for writer in 0..writers {
            let mut share = load.of_writer(writer);
            while let Some(batch) = share.next_batch(30) {
                for (key, point) in batch.iter() {
                    assert_eq!(points.insert((key.clone(), point.time), point.clone()), None, "no point comes twice");
                    assert!(point.time <= NOW && point.is_visible_at(NOW));
                }
            }
        }
        points
    }

    #[test]
    fn the_same_seed_gives_the_same_points() {
        let one = points(1, 1);
        assert_eq!(one.len(), 1_000);
        assert_eq!(one, points(1, 1));
        assert_ne!(one, points(2, 1));
        let values = |points: &BTreeMap<(SeriesKey, Timestamp), Point>| {
            let mut by_series: BTreeMap<SeriesKey, Vec<Value>> = BTreeMap::new();
            for ((key, _), point) in points {
                by_series.entry(key.clone()).or_default().push(point.value);
            }
            by_series
        };
        // The last scrape is cut elsewhere.
        let shared = points(1, 3);
        assert_eq!(shared.len(), 1_000);
        for ((key, one), shared) in values(&one).into_iter().zip(values(&shared).into_values()) {
            assert_eq!(one[..140], shared[..140], "{key}");
        }
    }
}
