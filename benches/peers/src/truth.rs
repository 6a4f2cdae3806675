//! What a store must answer: a plain map of some series, filled by the same generators.

use std::collections::BTreeMap;
use std::ops::Range;

use ebbtide::{SeriesKey, Timestamp};

use crate::stores::{Sample, Statistic, Store, float, fold};
use crate::workloads::arrivals;

/// One series in so many is kept, and at most so many: those of metric 0 of the hosts of W1.
const EVERY: usize = 10;
const KEPT_MAX: usize = 100;
/// Sums are added in another order by some.
const TOLERANCE: f64 = 1e-9;

/// A kept series: points by time in ms, with expiry.
pub(crate) struct Series {
    pub(crate) key: SeriesKey,
    points: BTreeMap<i64, (f64, Option<i64>)>,
}

pub(crate) struct Truth {
    pub(crate) kept: Vec<Series>,
    /// All names, and the newest point of each, for the first thousand, in key order.
    pub(crate) keys: Vec<SeriesKey>,
    pub(crate) latest: Vec<Sample>,
    /// Where the data ends, in ms, exclusively.
    pub(crate) end: i64,
}

const LATEST_MAX: usize = 1_000;

impl Truth {
    /// Of the first points of a workload.
    pub(crate) fn of(workload: &str, points: usize) -> Self {
        // By number of series, as late points come before the first of their neighbours.
        let mut kept: BTreeMap<usize, Series> = BTreeMap::new();
        let mut latest: BTreeMap<usize, (SeriesKey, Sample)> = BTreeMap::new();
        let mut end = i64::MIN;
        for (series, key, point) in arrivals(workload).expect("it was there before").take(points) {
            let sample = (point.time.as_millis(), float(point.value));
            end = end.max(sample.0 + 1);
            if series < LATEST_MAX {
                let newest = &mut latest.entry(series).or_insert_with(|| (key.clone(), sample)).1;
                *newest = if newest.0 <= sample.0 { sample } else { *newest };
            }
            if series % EVERY == 0 && series / EVERY < KEPT_MAX {
                let series = kept.entry(series).or_insert_with(|| Series { key, points: BTreeMap::new() });
                series.points.insert(sample.0, (sample.1, point.expires_at.map(Timestamp::as_millis)));
            }
        }
        // In key order, in which a store may give all of them at once.
        let mut latest: Vec<_> = latest.into_values().collect();
        latest.sort_by(|one, other| one.0.cmp(&other.0));
        let (keys, latest) = latest.into_iter().unzip();
        let kept = kept.into_values().collect();
        Self { kept, keys, latest, end }
    }

    /// Compares every point of the kept series that is alive.
    pub(crate) fn check(&self, store: &dyn Store, now: i64) {
        for series in &self.kept {
            let alive = series.points.iter().filter(|(_, (_, expiry))| expiry.is_none_or(|expiry| now < expiry));
            let wanted: Vec<Sample> = alive.map(|(time, (value, _))| (*time, *value)).collect();
            let mut stored = Vec::new();
            store.raw(&series.key, 0..i64::MAX, &mut stored);
            assert!(stored == wanted, "{}: {} points stored, {} wanted", series.key, stored.len(), wanted.len());
        }
    }
}

impl Series {
    pub(crate) fn raw(&self, range: Range<i64>) -> Vec<Sample> {
        self.points.range(range).map(|(time, (value, _))| (*time, *value)).collect()
    }
}

/// What windows of several series must say.
pub(crate) fn windows(series: &[Series], range: Range<i64>, period: i64, statistic: Statistic) -> Vec<f64> {
    let mut out = Vec::new();
    for one in series {
        fold(&one.raw(range.clone()), range.start, period, statistic, &mut out);
    }
    out
}

/// Whether two answers are the same but for rounding.
#[track_caller]
pub(crate) fn compare(what: &str, found: &[f64], wanted: &[f64]) {
    assert_eq!(found.len(), wanted.len(), "{what}: how many values");
    for (place, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert!((found - wanted).abs() <= TOLERANCE * wanted.abs().max(1.0), "{what} {place}: {found}, not {wanted}");
    }
}
