//! W1: machines scraped every ten seconds; and what every generator shares: dice, walks, the moment at which made
//! data starts.

use std::time::Duration;

use ebbtide::{Point, SeriesKey, Timestamp};

/// A point on its way in: the number of its series, counted from 0 as they appear, the series' full name, the point.
pub(crate) type Arrival = (usize, SeriesKey, Point);

/// 2026-08-22T00:00:00Z.
pub(crate) const START: Timestamp = Timestamp::from_secs(1_787_356_800);
/// Series of W1: 100 hosts with 10 metrics each.
pub(crate) const SERIES: usize = 1_000;
const METRICS: usize = 10;
const STEP: Duration = Duration::from_secs(10);

/// Random numbers from a fixed seed: xorshift (Marsaglia 2003, section 3).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        // NOTE: zero is the one state that xorshift never leaves.
        Self(seed.max(1))
    }

    /// One of `0..sides`; the low bits of xorshift are its weak ones.
    pub(crate) fn below(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 32) * sides) >> 32
    }
}

/// A step of a walk: one up or one down.
pub(crate) fn coin(dice: &mut Dice) -> i8 {
    if dice.below(2) == 1 { 1 } else { -1 }
}

/// Clamped random walks of whole numbers from 0 to 100, one for each series.
pub(crate) struct Walks {
    at: Vec<i8>,
    step: fn(&mut Dice) -> i8,
    dice: Dice,
}

impl Walks {
    pub(crate) fn new(count: usize, step: fn(&mut Dice) -> i8) -> Self {
        Self { at: vec![50; count], step, dice: Dice::new(1) }
    }

    pub(crate) fn next(&mut self, walk: usize) -> i8 {
        let at = (self.at[walk] + (self.step)(&mut self.dice)).clamp(0, 100);
        self.at[walk] = at;
        at
    }
}

/// Hosts with ten metrics each, without end, scrape by scrape: walks of whole numbers stored as doubles.
pub(crate) struct Devops {
    keys: Vec<SeriesKey>,
    walks: Walks,
    next: usize,
    time: Timestamp,
}

impl Devops {
    pub(crate) fn new(series: usize, step: fn(&mut Dice) -> i8) -> Self {
        let key = |number: usize| {
            let (host, metric) = (format!("host_{}", number / METRICS), format!("metric_{}", number % METRICS));
            SeriesKey::new("BENCH.W1", metric, [("host", host)]).expect("a valid name")
        };
        Self { keys: (0..series).map(key).collect(), walks: Walks::new(series, step), next: 0, time: START }
    }
}

impl Iterator for Devops {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let series = self.next;
        let point = Point::new(self.time, f64::from(self.walks.next(series)));
        self.next = (series + 1) % self.keys.len();
        if self.next == 0 {
            self.time = self.time + STEP;
        }
        Some((series, self.keys[series].clone(), point))
    }
}
