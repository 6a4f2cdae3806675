//! What the engine is held against: a plain map of the last write at each time, and a clock that steps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::engine::simulation::counted::{Counted, counts};
use crate::env::clock::{Clock, ManualClock};
use crate::model::point::Point;
use crate::model::rollup::Rollup;
use crate::model::time::{TimeRange, Timestamp};

/// The last accepted write of each series and time; none where a deletion came after it (S5, S16).
#[derive(Debug, Default)]
pub(super) struct Model {
    last: BTreeMap<(usize, i64), Option<Point>>,
    /// What counts in windows.
    counted: BTreeMap<(usize, i64), Counted>,
    /// Where a deletion ever found something.
    deleted: BTreeSet<(usize, i64)>,
}

impl Model {
    /// Points that were accepted at a moment.
    pub(super) fn write_all(&mut self, points: &[(usize, Point)], accepted_at: Timestamp, rollup: &Rollup) {
        for (series, point) in points {
            let place = (*series, point.time.as_millis());
            let old = self.last.insert(place, Some(point.clone())).flatten();
            let is_replaced = old.is_some_and(|old| old.is_visible_at(accepted_at));
            self.counted.entry(place).or_default().write(point, counts(rollup, point, accepted_at), is_replaced);
        }
    }

    /// What counts of a series at each time.
    pub(super) fn counted(&self, series: usize) -> impl Iterator<Item = (i64, &Counted)> {
        self.counted.range((series, i64::MIN)..=(series, i64::MAX)).map(|((_, time), counted)| (*time, counted))
    }

    pub(super) fn delete(&mut self, series: usize, range: TimeRange) {
        let deleted = |(id, time): (usize, i64)| id == series && range.contains(Timestamp::from_millis(time));
        for (place, point) in self.last.iter_mut().filter(|(place, _)| deleted(**place)) {
            *point = None;
            self.counted.entry(*place).or_default().close();
            self.deleted.insert(*place);
        }
    }

    /// What became of the last write at a time; `None` if there was none.
    pub(super) fn last(&self, series: usize, time: i64) -> Option<&Option<Point>> {
        self.last.get(&(series, time))
    }

    /// Whether a deletion ever took something from this place.
    pub(super) fn was_deleted(&self, series: usize, time: i64) -> bool {
        self.deleted.contains(&(series, time))
    }

    /// What a read at `now` answers, in order.
    pub(super) fn visible(&self, series: usize, range: TimeRange, now: Timestamp) -> Vec<Point> {
        let (from, to) = (range.start().as_millis(), range.end().as_millis());
        let written = self.last.range((series, from)..(series, to.max(from))).filter_map(|(_, point)| point.as_ref());
        written.filter(|point| point.is_visible_at(now)).cloned().collect()
    }

    /// The places of all visible points.
    pub(super) fn living(&self, now: Timestamp) -> Vec<(usize, i64)> {
        let is_living = |point: &Option<Point>| point.as_ref().is_some_and(|point| point.is_visible_at(now));
        self.last.iter().filter(|(_, point)| is_living(point)).map(|(place, _)| *place).collect()
    }

    /// Every series that was ever written.
    pub(super) fn was_written(&self, series: usize) -> bool {
        self.last.range((series, i64::MIN)..=(series, i64::MAX)).next().is_some()
    }

    /// Every time at which a series was ever written.
    pub(super) fn times(&self, series: usize) -> Vec<i64> {
        self.last.range((series, i64::MIN)..=(series, i64::MAX)).map(|((_, time), _)| *time).collect()
    }
}

/// A clock whose wall time is set apart from the monotonic one.
#[derive(Debug)]
pub(super) struct Wall {
    manual: ManualClock,
    ahead: AtomicI64,
}

impl Wall {
    pub(super) fn new(start: i64) -> Self {
        Self { manual: ManualClock::new(Timestamp::from_millis(start)), ahead: AtomicI64::new(0) }
    }

    /// Lets time pass.
    pub(super) fn advance(&self, millis: u64) {
        self.manual.advance(Duration::from_millis(millis));
    }

    /// Sets the wall clock forward or back by some ms, while no time passes.
    pub(super) fn step(&self, millis: i64) {
        self.ahead.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.manual.now().as_millis() + self.ahead.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        self.manual.monotonic()
    }
}
