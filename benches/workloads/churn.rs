//! W3: series that come and go, as those of containers do. 200,000 series of 30 points, 2,000 of them alive at a time.

use std::time::Duration;

use ebbtide::{Point, SeriesKey, Timestamp};

use super::devops::{Arrival, Dice, START, Walks, coin};

/// Containers alive at a time, and the metrics of each.
const PLACES: usize = 200;
const METRICS: usize = 10;
/// Containers that live in one place, one after another.
const LIVES: usize = 100;
const POINTS_PER_SERIES: usize = 30;
const STEP: Duration = Duration::from_secs(10);

/// One place in which containers live, one after another.
struct Place {
    /// Number of the first series of who lives here, and the names of all of them.
    first_series: usize,
    keys: Vec<SeriesKey>,
}

/// Scrape by scrape; in each, every living container tells its ten metrics. Places change their container at different
/// times.
pub(crate) struct Churn {
    places: Vec<Place>,
    walks: Walks,
    dice: Dice,
    series: usize,
    scrape: usize,
    place: usize,
    metric: usize,
    time: Timestamp,
}

impl Churn {
    pub(crate) fn new() -> Self {
        let places = (0..PLACES).map(|_| Place { first_series: 0, keys: Vec::new() }).collect();
        let walks = Walks::new(PLACES * METRICS, coin);
        Self { places, walks, dice: Dice::new(3), series: 0, scrape: 0, place: 0, metric: 0, time: START }
    }

    /// How many scrapes who lives in the present place has told; `None` before the first and after the last of them.
    fn age(&self) -> Option<usize> {
        let delay = self.place * POINTS_PER_SERIES / PLACES;
        let told = self.scrape.checked_sub(delay)?;
        (told < LIVES * POINTS_PER_SERIES).then_some(told % POINTS_PER_SERIES)
    }

    fn move_in(&mut self) {
        let container = format!("pod-{:08x}", self.dice.below(1 << 32));
        let node = format!("node-{}", self.place % 20);
        let key = |metric| {
            let dimensions = [("container", container.clone()), ("node", node.clone())];
            SeriesKey::new("BENCH.W3", format!("metric_{metric}"), dimensions).expect("a valid name")
        };
        self.places[self.place] = Place { first_series: self.series, keys: (0..METRICS).map(key).collect() };
        self.series += METRICS;
    }

    fn turn(&mut self) {
        self.metric = 0;
        self.place += 1;
        if self.place == PLACES {
            self.place = 0;
            self.scrape += 1;
            self.time = self.time + STEP;
        }
    }
}

impl Iterator for Churn {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        while self.age().is_none() {
            if self.scrape > (LIVES + 1) * POINTS_PER_SERIES {
                return None;
            }
            self.turn();
        }
        if self.metric == 0 && self.age() == Some(0) {
            self.move_in();
        }
        let (place, metric) = (&self.places[self.place], self.metric);
        let value = f64::from(self.walks.next(self.place * METRICS + metric));
        let arrival = (place.first_series + metric, place.keys[metric].clone(), Point::new(self.time, value));
        self.metric += 1;
        if self.metric == METRICS {
            self.turn();
        }
        Some(arrival)
    }
}
