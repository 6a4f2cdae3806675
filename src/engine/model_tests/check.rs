//! What must hold between engine and model, and inside of what is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::engine::explain::Outcome as Explained;
use crate::engine::health::Health;
use crate::engine::model_tests::draw;
use crate::engine::model_tests::history::{DIR, History, Outcome, ensure, short};
use crate::engine::shelf::Slot;
use crate::env::disk::Disk;
use crate::env::layout;
use crate::model::columns::Columns;
use crate::model::durability::Sequence;
use crate::model::packed::PackedPoint;
use crate::model::point::Point;
use crate::model::segment::{ExpiryClass, Partition, Role};
use crate::model::selector::Selector;
use crate::model::series::{SeriesId, SeriesKey};
use crate::model::time::{TimeRange, Timestamp};

/// In which order a reading is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Order {
    Forward,
    Backward,
    /// From both ends, which meet somewhere.
    Mixed,
}

impl History {
    /// Reads something of every series, a little differently each time.
    pub(super) fn check_some(&mut self) -> Outcome {
        for series in 0..self.frame.keys.len() {
            let order = draw::pick(&mut self.dice, &[Order::Forward, Order::Backward, Order::Mixed]);
            self.check_read(series, TimeRange::ALL, order)?;
            let range = self.frame.range(&mut self.dice);
            self.check_read(series, range, Order::Mixed)?;
            let time = self.frame.time(&mut self.dice);
            self.check_explained(series, time)?;
        }
        self.check_latest()?;
        self.check_windows(false)?;
        self.check_listed()?;
        self.check_told()
    }

    /// Reads everything in every order, and every file.
    pub(super) fn check_all(&mut self) -> Outcome {
        for series in 0..self.frame.keys.len() {
            for order in [Order::Forward, Order::Backward, Order::Mixed] {
                self.check_read(series, TimeRange::ALL, order)?;
            }
            for time in self.model.times(series).into_iter().take(60) {
                self.check_explained(series, time)?;
            }
        }
        self.check_latest()?;
        self.check_windows(true)?;
        self.check_listed()?;
        self.check_told()?;
        let wrong = self.engine().verify();
        ensure(wrong.is_empty(), || format!("verify: {}", short(&wrong)))
    }

    fn check_read(&mut self, series: usize, range: TimeRange, order: Order) -> Outcome {
        let now = self.now();
        let expected = self.model.visible(series, range, now);
        let key = &self.frame.keys[series];
        let mut reading = self.engine().points(key, range).map_err(|error| error.to_string())?;
        let (mut front, mut back): (Vec<Point>, Vec<Point>) = (Vec::new(), Vec::new());
        loop {
            let is_front = match order {
                Order::Forward => true,
                Order::Backward => false,
                Order::Mixed => self.dice.coin(),
            };
            let next = if is_front { reading.next() } else { reading.next_back() };
            match next.transpose().map_err(|error| error.to_string())? {
                None => break,
                Some(point) if is_front => front.push(point),
                Some(point) => back.push(point),
            }
        }
        let ends = [reading.next(), reading.next_back()];
        ensure(matches!(ends, [None, None]), || format!("there is more behind the end: {ends:?}"))?;
        ensure(reading.missing().is_empty(), || format!("missing: {}", short(&reading.missing())))?;
        front.extend(back.into_iter().rev());
        if front == expected {
            return self.check_columns(series, range, &expected);
        }
        let odd = front.iter().find(|point| !expected.contains(point));
        let lost = expected.iter().find(|point| !front.contains(point));
        let lens = (front.len(), expected.len());
        let explained = odd.or(lost).map(|point| self.engine().explain(key, point.time));
        Err(format!(
            "series {series} {order:?} {range:?} at {now}: {lens:?} points, too many: {odd:?}, lost: {lost:?}, {explained:?}"
        ))
    }

    /// Columns say the same as points one by one.
    fn check_columns(&self, series: usize, range: TimeRange, expected: &[Point]) -> Outcome {
        let mut columns = Columns::default();
        let read = self.engine().read_into(&self.frame.keys[series], range, &mut columns);
        read.map_err(|error| error.to_string())?;
        let expected = expected.iter().map(|point| (point.time, point.value));
        ensure(columns.iter().eq(expected), || format!("series {series} in {range:?} as {columns:?}"))?;
        ensure(columns.missing().is_empty(), || format!("missing: {:?}", columns.missing()))
    }

    /// The latest point of each series, one by one and all at once, is what the model says.
    fn check_latest(&self) -> Outcome {
        let now = self.now();
        let newest = |series: usize| self.model.visible(series, TimeRange::ALL, now).pop();
        let expected = self.frame.keys.iter().enumerate().map(|(series, key)| (key.clone(), newest(series)));
        let expected: BTreeMap<SeriesKey, Option<Point>> = expected.collect();
        for (key, newest) in &expected {
            let latest = self.engine().latest(key).map_err(|error| error.to_string())?;
            ensure(latest == *newest, || format!("latest of {key}: {latest:?}, not {newest:?}"))?;
        }
        let all = self.engine().latest_of(&Selector::all()).map_err(|error| error.to_string())?;
        let told = expected.into_iter().filter_map(|(key, newest)| Some((key, newest?)));
        ensure(all.missing().is_empty() && all.iter().cloned().eq(told), || format!("latest of all: {}", short(&all)))
    }

    /// What `explain` says of one time fits what the model says.
    fn check_explained(&mut self, series: usize, time: i64) -> Outcome {
        let now = self.now();
        let key = &self.frame.keys[series];
        let explained = self.engine().explain(key, Timestamp::from_millis(time));
        let told = explained.outcome;
        let fits = match self.model.last(series, time) {
            None => told == Explained::NeverSeen,
            Some(None) => matches!(told, Explained::Deleted | Explained::NeverSeen),
            Some(Some(point)) if point.is_visible_at(now) => told == Explained::Visible,
            Some(Some(point)) => {
                let expiry = point.expires_at.expect("what never expires is visible");
                let is_recent = explained.places.first().is_some_and(|place| place.starts_with("recent"));
                let is_gone = matches!(told, Explained::DeadOnArrival | Explained::NeverSeen);
                // The last write was dead when it was flushed, and beneath it lies what was deleted before.
                let is_beneath = told == Explained::Deleted && self.model.was_deleted(series, time);
                told == Explained::Expired(expiry) || ((is_gone || is_beneath) && !is_recent)
            }
        };
        let last = self.model.last(series, time);
        ensure(fits, || format!("series {series} at {time} ms, now {now}: {last:?}, explained as {explained:?}"))
    }

    /// Every series with a visible point is listed, none that was never written is, and all are in order.
    fn check_listed(&self) -> Outcome {
        let known = self.known();
        let now = self.now();
        for series in 0..self.frame.keys.len() {
            let is_listed = known.contains(&series);
            let latest = self.engine().points(&self.frame.keys[series], TimeRange::ALL).map(|mut all| all.next_back());
            let latest = latest.map_err(|error| error.to_string())?.transpose().map_err(|error| error.to_string())?;
            let expected = self.model.visible(series, TimeRange::ALL, now).pop();
            ensure(latest == expected, || format!("the latest of series {series} is {latest:?}, not {expected:?}"))?;
            ensure(is_listed || latest.is_none(), || format!("series {series} has {latest:?} and is not listed"))?;
            let is_known = self.model.was_written(series);
            ensure(!is_listed || is_known, || format!("series {series} was never written and is listed"))?;
        }
        ensure(known.is_sorted(), || format!("series in the order {known:?}"))?;
        let active = self.active().len();
        ensure(self.was_restarted || active <= self.settings.series_max, || format!("{active} series"))
    }

    /// `stats` and `health` fit what is there.
    fn check_told(&self) -> Outcome {
        let (stats, health) = (self.engine().stats(), self.engine().health());
        match &health {
            Health::Good => {}
            Health::Degraded(why) if self.is_clock_odd && why.len() == 1 && why[0].contains("clock") => {}
            other => return Err(format!("{other:?}")),
        }
        ensure(stats.deletion_suspended == (health != Health::Good), || format!("{health:?}, {stats:?}"))?;
        let log: u64 = self.files(layout::WAL).iter().map(|(_, bytes)| bytes).sum();
        let segments = self.files(layout::SEGMENTS);
        let sum = segments.iter().map(|(_, bytes)| bytes).sum::<u64>();
        let is_true = stats.log_bytes == log
            && stats.series == self.known().len() as u64
            && stats.segment_bytes + stats.pinned_bytes == sum
            && stats.segments <= segments.len() as u64
            && stats.recent_points * 32 <= stats.head_bytes
            && stats.damaged_bytes == 0
            && stats.horizon <= self.now();
        ensure(is_true, || format!("{stats:?}, {log} bytes of log, segments {segments:?}"))
    }

    /// Names and lengths of the files in a folder.
    fn files(&self, folder: &str) -> Vec<(String, u64)> {
        let dir = Path::new(DIR).join(folder);
        let names = self.disk.list(&dir).expect("a folder of the volume");
        let len = |name: &String| self.disk.open(&dir.join(name)).and_then(|file| file.len()).expect("in memory");
        names.into_iter().map(|name| (name.clone(), len(&name))).collect()
    }

    /// After maintenance: no plain segment is dead, none holds two classes, and no two the same place.
    pub(super) fn check_stored(&self) -> Outcome {
        let engine = self.engine();
        let pinned = engine.stats().pinned_bytes;
        ensure(self.holds_readers() || pinned == 0, || format!("{pinned} bytes are pinned by nobody"))?;
        let stored = self.stored();
        // What dies while a head waits may have been replaced by something in it.
        let now = engine.settled(engine.guard.confirmed(), Sequence::default()).now.as_millis();
        let mut places = BTreeSet::new();
        for slot in stored.slots().iter().filter(|slot| slot.meta.holds_points()) {
            let meta = slot.meta;
            let points = content(slot)?;
            ensure(points.len() as u64 == meta.points, || format!("{meta:?} has {} points", points.len()))?;
            for (series, point) in points {
                let partition = Partition::of(point.time, self.settings.rollup.partition_days);
                ensure(partition == meta.partition, || format!("{point:?} lies in {meta:?}"))?;
                let Role::Plain(class) = meta.role else { continue };
                let own = ExpiryClass::of(&point, self.settings.reclaim_millis());
                ensure(own == class, || format!("{point:?} of {own:?} lies in {meta:?}"))?;
                ensure(places.insert((series, point.time)), || format!("{series:?} {point:?} lies in two plain ones"))?;
            }
            let is_plain = meta.role != Role::Override;
            ensure(!is_plain || !meta.is_dead_at(now), || format!("at {now} ms {meta:?} is still there"))?;
        }
        Ok(())
    }

    /// After `compact`: nothing is left of overrides, deletions and the log, and of series that have no byte.
    pub(super) fn check_compacted(&self) -> Outcome {
        let engine = self.engine();
        let stats = engine.stats();
        let is_empty = stats.deletions == 0 && stats.recent_points == 0 && stats.log_bytes == 0;
        ensure(is_empty, || format!("{stats:?}"))?;
        let stored = self.stored();
        ensure(stored.version.deletions.is_empty(), || short(&stored.version.deletions))?;
        let mut ids = BTreeSet::new();
        for slot in stored.slots() {
            ensure(slot.meta.role != Role::Override, || format!("{:?} is still there", slot.meta))?;
            ids.extend(slot.file().and_then(|file| file.series_ids()).map_err(|error| error.to_string())?);
        }
        let view = engine.view.read();
        let listed: BTreeSet<SeriesId> = view.catalog.iter().map(|(id, ..)| id).collect();
        ensure(listed == ids, || format!("series {listed:?} are listed, {ids:?} are stored"))
    }
}

/// Everything that a segment holds.
pub(super) fn content(slot: &Slot) -> Outcome<Vec<(SeriesId, PackedPoint)>> {
    let file = slot.file().map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    for chunk in file.directory() {
        let chunk = chunk.map_err(|error| error.to_string())?;
        let mut points = Vec::new();
        file.read(&chunk, &mut points).map_err(|error| error.to_string())?;
        found.extend(points.into_iter().map(|point| (chunk.series, point)));
    }
    Ok(found)
}
