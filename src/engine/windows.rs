//! Windows of one series: what is stored of them, with what recent points change, put together to the period that is
//! asked for; and where windows that fit into it are not stored, the points themselves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::engine::beneath::Beneath;
use crate::engine::changes::{Period, changes, summarise};
use crate::engine::cursor::{Cursor, Filter, Source};
use crate::engine::query::Places;
use crate::engine::records::{append, coarsen, fold, records};
use crate::engine::shelf::Shelf;
use crate::engine::units::UnitMap;
use crate::engine::view::View;
use crate::error::{Error, Result};
use crate::head::Chain;
use crate::model::durability::Sequence;
use crate::model::limits::CHUNK_POINTS_MAX;
use crate::model::packed::{Kind, PackedPoint, Units};
use crate::model::rollup::Rollup;
use crate::model::segment::{Deletion, Partition};
use crate::model::series::{SeriesId, SeriesKey};
use crate::model::summary::{Record, Summary};
use crate::model::time::{TimeRange, Timestamp};
use crate::model::window::{Window, WindowState};
use crate::model::windows::Windows;

/// Tables of units in memory have the numbers from here on; those of segments are lower.
const RECENT: u64 = 1 << 63;

impl Engine {
    /// The windows of a series that start in a range, or before it and reach into it; more than so many are refused.
    pub(crate) fn windows(&self, key: &SeriesKey, range: TimeRange, period: Duration, most: usize) -> Result<Windows> {
        self.windows_at(key, range, (period_millis(period)?, most), self.guard.now())
    }

    /// The same of windows of so many ms, as they are at a moment.
    pub(super) fn windows_at(
        &self,
        key: &SeriesKey,
        range: TimeRange,
        (length, most): (i64, usize),
        now: Timestamp,
    ) -> Result<Windows> {
        let Some(range) = aligned(range, length) else { return Ok(Windows::default()) };
        let mut missing = Vec::new();
        let asked = {
            let view = self.view.read();
            view.catalog.id(key).map(|id| self.ask(&view, id, range, (length, most), now))
        };
        // Files are read without the lock, for which writers wait.
        let list = asked.map_or_else(|| Ok(Vec::new()), |asked| asked.answer(&mut missing))?;
        match missing.first() {
            Some(error) if self.settings.strict => Err(error.clone()),
            _ => Ok(Windows { list, missing }),
        }
    }

    /// What a view holds that is needed to answer.
    fn ask(&self, view: &View, id: SeriesId, range: TimeRange, (length, most): (i64, usize), now: Timestamp) -> Asked {
        let days = self.rollup.partition_days;
        let heads = view.frozen.iter().map(|frozen| (&frozen.head, frozen.last)).chain([(&view.active, view.visible)]);
        let mut asked = Asked {
            id,
            range,
            length,
            most,
            now,
            rollup: self.rollup.clone(),
            shelf: view.shelf.clone(),
            deletions: view.deletions.of(id),
            heads: Vec::new(),
            stored: Vec::new(),
            misfits: Vec::new(),
            places: None,
            units: UnitMap::default(),
        };
        let mut partitions: BTreeSet<Partition> = BTreeSet::new();
        for slot in asked.shelf.slots().iter().filter(|slot| slot.meta.may_hold(id, range)) {
            partitions.insert(slot.meta.partition);
        }
        for (head, erased) in heads {
            let mut chains: Vec<Chain> = Vec::new();
            // Each chain in turn, and not a loop, as they come from several places.
            head.chains(id, range).for_each(|chain| chains.push(chain));
            let number = RECENT + asked.heads.len() as u64;
            let recent = Recent { chains, erased, units: head.units().clone(), number };
            let mut rest = &recent.chains[..];
            while let Some(chain) = rest.first() {
                let partition = Partition::of(chain.point.time, days);
                let end = Partition(partition.0 + 1).start(days);
                rest = &rest[rest.partition_point(|chain| chain.point.time < end)..];
                partitions.insert(partition);
            }
            asked.heads.push(recent);
        }
        for &partition in &partitions {
            let kept = asked.shelf.window_of(partition);
            if kept.is_some_and(|kept| length % kept != 0) {
                asked.misfits.push(asked.windows_into(partition));
            }
            if let Some(due) = self.rollup.window_at(partition, now) {
                asked.stored.push((partition, kept.unwrap_or(due)));
            }
        }
        let reached = partitions.iter().filter_map(|partition| asked.reach(*partition));
        let unstored: Vec<(i64, i64)> = reached.filter(|(first, _)| asked.is_unstored(*first)).collect();
        let (first, last) = (unstored.iter().map(|span| span.0).min(), unstored.iter().map(|span| span.1).max());
        if let (Some(first), Some(last)) = (first, last) {
            let hull = TimeRange::new(Timestamp::from_millis(first), Timestamp::from_millis(last.saturating_add(1)));
            asked.places = Some((hull, Places::of(view, id, hull, now)));
        }
        asked
    }
}

/// Everything that an answer is made of.
struct Asked {
    id: SeriesId,
    /// From the start of the first window to the end of the last.
    range: TimeRange,
    /// Of the windows that are asked for, in ms.
    length: i64,
    /// How many windows an answer may have.
    most: usize,
    now: Timestamp,
    rollup: Arc<Rollup>,
    shelf: Arc<Shelf>,
    deletions: Arc<[Deletion]>,
    /// Oldest first.
    heads: Vec<Recent>,
    /// Partitions that windows are kept of, and the length of those.
    stored: Vec<(Partition, i64)>,
    /// First and last ms of windows that reach into partitions whose stored windows do not fit, whatever is due.
    misfits: Vec<(i64, i64)>,
    /// Their points, and from where to where those are.
    places: Option<(TimeRange, Places)>,
    units: UnitMap,
}

/// What a head holds of the series.
struct Recent {
    chains: Vec<Chain>,
    erased: Sequence,
    units: Arc<Units>,
    /// The number of that table.
    number: u64,
}

impl Recent {
    /// Its points that a filter lets pass, with the units of the answer.
    fn source(&self, filter: &Filter, units: &mut UnitMap) -> Source {
        let chains = &self.chains[self.place(filter.times.0)..self.place(filter.times.1.saturating_add(1))];
        let points = chains.iter().filter(|chain| !chain.is_gone).map(|chain| chain.point);
        let adopted =
            points.map(|point| PackedPoint { unit: units.adopt(self.number, point.unit, &self.units), ..point });
        Source::memory(adopted.collect(), self.erased, Arc::default(), filter.clone())
    }

    /// Where the chains from a time on begin.
    fn place(&self, time: i64) -> usize {
        self.chains.partition_point(|chain| chain.point.time < time)
    }
}

impl Asked {
    /// First and last ms of all windows that reach into a partition.
    fn windows_into(&self, partition: Partition) -> (i64, i64) {
        let days = self.rollup.partition_days;
        let (start, end) = (partition.start(days), Partition(partition.0 + 1).start(days));
        (floor(start, self.length), floor(end - 1, self.length).saturating_add(self.length - 1))
    }

    /// First and last ms of those that were asked for.
    fn reach(&self, partition: Partition) -> Option<(i64, i64)> {
        let (first, last) = self.windows_into(partition);
        let (from, to) = (self.range.start().as_millis(), self.range.end().as_millis() - 1);
        let (first, last) = (first.max(from), last.min(to));
        (first <= last).then_some((first, last))
    }

    fn answer(mut self, missing: &mut Vec<Error>) -> Result<Vec<Window>> {
        let mut list: Vec<Record> = Vec::new();
        for (partition, kept) in std::mem::take(&mut self.stored) {
            let known = self.partition(partition, kept, missing);
            let known = known.into_iter().filter(|record| !self.is_unstored(record.start)).collect();
            // A window may begin in the partition before.
            append(&mut list, coarsen(known, self.length));
            check_count(list.len(), self.most)?;
        }
        let mut windows: Vec<Window> = list.into_iter().map(|record| self.window(record, false)).collect();
        for record in self.unstored_windows(missing)? {
            windows.push(self.window(record, true));
        }
        check_count(windows.len(), self.most)?;
        windows.sort_by_key(|window| window.start);
        Ok(windows)
    }

    /// What the stored windows of a partition are, with what recent points change.
    fn partition(&mut self, partition: Partition, kept: i64, missing: &mut Vec<Error>) -> Vec<Record> {
        let (from, to) = (self.range.start().as_millis(), self.range.end().as_millis());
        let (start, end) =
            (partition.start(self.rollup.partition_days), Partition(partition.0 + 1).start(self.rollup.partition_days));
        let times = (from.max(start), to.min(end) - 1);
        let stored = records(&self.shelf, partition, self.id, times, &mut self.units);
        let mut list = stored.unwrap_or_else(|error| {
            missing.push(error);
            Vec::new()
        });
        let period = Period::new(kept, &self.rollup);
        let Self { heads, shelf, id, deletions, units, .. } = self;
        for (place, recent) in heads.iter().enumerate() {
            let chains = &recent.chains[recent.place(times.0)..recent.place(times.1 + 1)];
            let (Some(first), Some(last)) = (chains.first(), chains.last()) else { continue };
            // Deleted points too: which of them a chain has replaced depends on when it began.
            let filter = Filter::new((first.point.time, last.point.time), Arc::default());
            let older = heads[..place].iter().rev().map(|older| older.source(&filter, units)).collect();
            let mut beneath = Beneath::of(shelf, *id, &filter, older);
            let changes = changes(chains.iter().copied(), period, deletions, &mut beneath);
            // What was deleted later counted when these points came.
            let known = deletions.iter().filter(|deletion| deletion.sequence <= recent.erased).copied();
            let known: Arc<[Deletion]> = known.collect();
            let mut newer = Vec::new();
            for change in changes {
                let before = list.binary_search_by_key(&change.start, |record| record.start);
                let before = before.map(|position| &list[position].summary).ok();
                let filter = Filter::new((change.start, change.last(period)), known.clone());
                let change = change.with_unit(|unit| units.adopt(recent.number, unit, &recent.units));
                newer.extend(change.over(before, || {
                    let recent = heads[..=place].iter().rev().map(|recent| recent.source(&filter, units)).collect();
                    summarise(Beneath::of(shelf, *id, &filter, recent).into_cursor()?, period.sketches, units)
                }));
            }
            list = fold(list, newer);
        }
        list
    }

    /// Whether the window of a time has to be computed from points. That depends on its oldest part, whose stored
    /// windows are the longest.
    fn is_unstored(&self, time: i64) -> bool {
        let oldest = Partition::of(floor(time, self.length), self.rollup.partition_days);
        let due = self.rollup.window_at(oldest, self.now);
        due.is_none_or(|due| self.length % due != 0)
            || self.misfits.iter().any(|&(first, last)| (first..=last).contains(&time))
    }

    /// The windows that have to be computed from the points that can be read.
    fn unstored_windows(&mut self, missing: &mut Vec<Error>) -> Result<Vec<Record>> {
        let Some((range, places)) = self.places.take() else { return Ok(Vec::new()) };
        let mut cursor = Cursor::new(places.sources(self.id, range, missing));
        let mut list: Vec<Record> = Vec::new();
        let mut points: Vec<PackedPoint> = Vec::new();
        let (sketches, most) = (self.rollup.sketches, self.most);
        let mut start = i64::MIN;
        let mut close = |start: i64, points: &mut Vec<PackedPoint>| {
            let summary = Summary::of_with(points, sketches);
            points.clear();
            let record = summary.map(|summary| Record { start, replaces: false, is_amended: false, summary });
            append(&mut list, record.into_iter().collect());
            check_count(list.len(), most)
        };
        while let Some(next) = cursor.next() {
            let (point, source) = match next {
                Ok(next) => next,
                Err(error) => {
                    missing.push(error);
                    continue;
                }
            };
            let is_visible = point.kind != Kind::Shadow && point.is_visible_at(self.now) && !point.is_non_finite();
            if !is_visible || !self.is_unstored(point.time) {
                continue;
            }
            let own = floor(point.time, self.length);
            // A window may have any number of points.
            if own != start || points.len() >= CHUNK_POINTS_MAX {
                close(start, &mut points)?;
                start = own;
            }
            let number = cursor.number(source).unwrap_or(RECENT + (self.heads.len() + source) as u64);
            let unit = self.units.adopt(number, point.unit, cursor.units(source));
            points.push(PackedPoint { unit, ..point });
        }
        close(start, &mut points)?;
        Ok(list)
    }

    /// What a reader is told of a record.
    fn window(&self, record: Record, is_raw: bool) -> Window {
        let Record { start, is_amended, summary, .. } = record;
        let end = start.saturating_add(self.length);
        let now = self.now.as_millis();
        let state = match (now < end, now < end.saturating_add(self.rollup.settling_millis())) {
            (true, _) => WindowState::Open,
            (false, true) => WindowState::Settling,
            (false, false) if is_amended => WindowState::Amended,
            (false, false) => WindowState::Sealed,
        };
        let unit = summary.unit.checked_sub(1).map(|number| self.units.units.get(number).clone());
        let period = Duration::from_millis(self.length.unsigned_abs());
        Window { start: Timestamp::from_millis(start), period, state, is_raw, summary, unit }
    }
}

fn floor(time: i64, length: i64) -> i64 {
    time.div_euclid(length).saturating_mul(length)
}

pub(super) fn check_count(count: usize, most: usize) -> Result<()> {
    if count <= most {
        return Ok(());
    }
    Err(Error::invalid(format!("there are more than {most} windows: ask for a shorter range or a longer period")))
}

/// A period in ms.
pub(super) fn period_millis(period: Duration) -> Result<i64> {
    let millis = i64::try_from(period.as_millis()).ok().filter(|millis| *millis <= Timestamp::MAX.as_millis());
    let whole = millis.filter(|_| period.as_nanos().is_multiple_of(1_000_000) && !period.is_zero());
    whole.ok_or_else(|| {
        Error::invalid(format!("a period of {period:?} is no whole number of milliseconds that time has"))
    })
}

/// A range that begins and ends where windows do; none if it is empty.
pub(super) fn aligned(range: TimeRange, length: i64) -> Option<TimeRange> {
    let first = range.start().max(Timestamp::MIN).as_millis();
    let behind = |time| floor(time, length).saturating_add(length);
    let last = range.end().as_millis().min(behind(Timestamp::MAX.as_millis())).saturating_sub(1);
    let end = behind(last);
    let millis = Timestamp::from_millis;
    (first <= last).then(|| TimeRange::new(millis(floor(first, length)), millis(end)))
}
