//! W5: what a cloud's monitoring service is sent. 1,000 series, a point a minute, each point with a time to live of
//! its own, a unit, and a value that is whole in one half of the series and a decimal in the other.

use std::time::Duration;

use ebbtide::{Point, SeriesKey, Timestamp, Ttl, Unit, Value};

use super::devops::{Arrival, Dice, START, Walks, coin};

const SERIES: usize = 1_000;
const METRICS: usize = 10;
const MINUTES: u32 = 1_000;
const STEP: Duration = Duration::from_secs(60);

/// Where the data ends.
pub(crate) fn last() -> Timestamp {
    START + STEP * (MINUTES - 1)
}

pub(crate) struct CloudEye {
    keys: Vec<SeriesKey>,
    units: [Unit; METRICS],
    walks: Walks,
    dice: Dice,
    next: usize,
    time: Timestamp,
}

impl CloudEye {
    pub(crate) fn new() -> Self {
        let key = |number: usize| {
            let (instance, metric) = (format!("instance-{}", number / METRICS), format!("metric_{}", number % METRICS));
            SeriesKey::new("BENCH.W5", metric, [("instance_id", instance)]).expect("a valid name")
        };
        Self {
            keys: (0..SERIES).map(key).collect(),
            units: ["%", "Byte", "Byte/s", "Count", "ms", "%", "Byte", "Byte/s", "Count", "ms"].map(Unit::from),
            walks: Walks::new(SERIES, coin),
            dice: Dice::new(5),
            next: 0,
            time: START,
        }
    }

    fn ttl(&mut self) -> Ttl {
        let hours = match self.dice.below(10) {
            0..4 => 1,
            4..7 => 24,
            7..9 => 48,
            _ => 168,
        };
        Ttl::from_secs(hours * 3_600)
    }
}

impl Iterator for CloudEye {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        if self.time > last() {
            return None;
        }
        let series = self.next;
        let walk = self.walks.next(series);
        let value = match series % 2 {
            0 => Value::from(i64::from(walk)),
            _ => Value::from(f64::from(walk) / 10.0),
        };
        let unit = self.units[series % METRICS].clone();
        let point = Point::new(self.time, value).with_ttl(self.ttl()).with_unit(unit);
        self.next = (series + 1) % SERIES;
        if self.next == 0 {
            self.time = self.time + STEP;
        }
        Some((series, self.keys[series].clone(), point))
    }
}
