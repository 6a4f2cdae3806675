//! Reading: what is visible now, by the clock read once for each question.

use std::sync::Arc;
use std::vec::IntoIter;

use crate::engine::Engine;
use crate::engine::cursor::{Cursor, Filter, Source};
use crate::engine::shelf::{Shelf, Slot};
use crate::engine::view::View;
use crate::error::{Error, Result};
use crate::head::Head;
use crate::model::columns::Columns;
use crate::model::packed::{Kind, PackedPoint};
use crate::model::point::{Point, Unit};
use crate::model::segment::Role;
use crate::model::selector::{Order, Selector, SeriesPage};
use crate::model::series::{SeriesId, SeriesKey};
use crate::model::time::{TimeRange, Timestamp};

/// The visible points of one series, decoded as they are asked for, forwards or backwards.
#[derive(Debug)]
pub(crate) struct Reading {
    cursor: Cursor,
    /// Points before all that the cursor has, and their source.
    run: IntoIter<PackedPoint>,
    run_source: usize,
    now: Timestamp,
    is_strict: bool,
    /// What could not be read.
    missing: Vec<Error>,
}

impl Engine {
    /// The points of a series in a range.
    pub(crate) fn points(&self, series: &SeriesKey, range: TimeRange) -> Result<Reading> {
        self.points_at(series, range, self.guard.now())
    }

    /// The same for a question that was asked at this moment.
    pub(super) fn points_at(&self, series: &SeriesKey, range: TimeRange, now: Timestamp) -> Result<Reading> {
        let mut missing = Vec::new();
        let place = {
            let view = self.view.read();
            view.catalog.id(series).map(|id| (id, Places::of(&view, id, range, now)))
        };
        // Files are read without the lock, for which writers wait.
        let sources = place.map_or_else(Vec::new, |(id, places)| places.sources(id, range, &mut missing));
        let is_strict = self.settings.strict;
        match missing.first() {
            Some(error) if is_strict => Err(error.clone()),
            _ => Ok(Reading::new(sources, now, is_strict, missing)),
        }
    }

    /// Times and values of a series in a range, in place of what was there.
    pub(crate) fn read_into(&self, series: &SeriesKey, range: TimeRange, out: &mut Columns) -> Result<()> {
        out.clear();
        let mut reading = self.points(series, range)?;
        reading.append_to(out)?;
        out.missing = reading.into_missing();
        Ok(())
    }

    /// The names of the selected series, in key order.
    pub(crate) fn series(&self, selector: &Selector) -> Vec<SeriesKey> {
        self.view.read().catalog.select(selector)
    }

    /// The names of some of them, and how many there are.
    pub(crate) fn series_page(
        &self,
        selector: &Selector,
        after: Option<&SeriesKey>,
        order: Order,
        len_max: usize,
    ) -> SeriesPage {
        let view = self.view.read();
        let keys = view.catalog.page(selector, after, order, len_max);
        SeriesPage { keys, total: view.catalog.count(selector) }
    }

    /// A name as it was written first.
    pub(crate) fn first_written(&self, series: &SeriesKey) -> Option<SeriesKey> {
        self.view.read().catalog.first_written(series).cloned()
    }
}

/// Where a series may have points in a range: what is recent, copied, and the segments.
pub(super) struct Places {
    recent: Vec<Source>,
    shelf: Arc<Shelf>,
    filter: Filter,
}

impl Places {
    /// What a view holds of a series.
    pub(super) fn of(view: &View, id: SeriesId, range: TimeRange, now: Timestamp) -> Self {
        let times = (range.start().as_millis(), range.end().as_millis().saturating_sub(1));
        let filter = Filter::new(times, view.deletions.of(id)).at(now);
        let copy = |head: &Head, erased| {
            let mut points = Vec::new();
            head.copy_range(id, range, usize::MAX, &mut points);
            (!points.is_empty()).then(|| Source::memory(points, erased, head.units().clone(), filter.clone()))
        };
        let frozen = view.frozen.iter().rev().filter_map(|frozen| copy(&frozen.head, frozen.last));
        let recent = copy(&view.active, view.visible).into_iter().chain(frozen).collect();
        Self { recent, shelf: view.shelf.clone(), filter }
    }

    /// Segments that may hold something of it, what was written last first.
    pub(super) fn slots(&self, id: SeriesId, range: TimeRange) -> Vec<&Arc<Slot>> {
        self.shelf.points_of(id, range)
    }

    /// All sources, what was written last first. What cannot be read is left out and noted, and so is what it may have
    /// replaced.
    pub(super) fn sources(self, id: SeriesId, range: TimeRange, missing: &mut Vec<Error>) -> Vec<Source> {
        let mut stored = Vec::new();
        let mut filter = self.filter.clone();
        for slot in self.slots(id, range) {
            match Source::of(slot, id, filter.clone()) {
                Ok(source) => stored.extend(source),
                Err(error) => {
                    missing.push(error);
                    if slot.meta.role == Role::Override {
                        filter.hide(slot.meta.times);
                    }
                }
            }
        }
        self.recent.into_iter().chain(stored).collect()
    }
}

impl Reading {
    fn new(sources: Vec<Source>, now: Timestamp, is_strict: bool, missing: Vec<Error>) -> Self {
        Self { cursor: Cursor::new(sources), run: Vec::new().into_iter(), run_source: 0, now, is_strict, missing }
    }

    fn see(&mut self, next: Result<(PackedPoint, usize)>) -> Option<Result<Point>> {
        match next {
            Ok((point, source)) if point.is_visible_at(self.now) => point.unpack(self.cursor.units(source)).map(Ok),
            Ok(_) => None,
            Err(error) if self.is_strict => Some(Err(error)),
            Err(error) => {
                self.missing.push(error);
                None
            }
        }
    }

    /// The unit of this number, plus one, in the table of the run.
    fn unit_of_run(&self, unit: u32) -> Option<Unit> {
        unit.checked_sub(1).map(|number| self.cursor.units(self.run_source).get(number).clone())
    }

    /// Takes the next run, or the next point where none stands alone.
    fn next_beyond(&mut self) -> Option<Result<Point>> {
        loop {
            if let Some((run, source)) = self.cursor.take_run() {
                (self.run, self.run_source) = (run, source);
                return self.next();
            }
            let next = self.cursor.next()?;
            if let Some(seen) = self.see(next) {
                return Some(seen);
            }
        }
    }

    /// Appends times and values of all that is left.
    pub(crate) fn append_to(&mut self, out: &mut Columns) -> Result<()> {
        let now = self.now;
        let is_seen = |point: &&PackedPoint| point.is_visible_at(now) && point.kind != Kind::Shadow;
        loop {
            match self.cursor.append_chunk(now, out) {
                Some(Ok(())) => continue,
                Some(Err(error)) if self.is_strict => return Err(error),
                Some(Err(error)) => {
                    self.missing.push(error);
                    continue;
                }
                None => {}
            }
            let Some(next) = self.cursor.next() else { return Ok(()) };
            if let Some(point) = self.see(next).transpose()? {
                out.times.push(point.time);
                out.values.push(point.value);
            }
            let Some((run, _)) = self.cursor.take_run() else { continue };
            let run = run.as_slice();
            if run.iter().all(|point| is_seen(&point)) {
                out.times.extend(run.iter().map(|point| Timestamp::from_millis(point.time)));
                out.values.extend(run.iter().map(PackedPoint::value));
            } else {
                out.times.extend(run.iter().filter(is_seen).map(|point| Timestamp::from_millis(point.time)));
                out.values.extend(run.iter().filter(is_seen).map(PackedPoint::value));
            }
        }
    }

    /// What could not be read, when nothing more is asked for.
    pub(crate) fn into_missing(self) -> Vec<Error> {
        self.missing
    }

    /// What could not be read so far; the points beside it were given.
    pub(crate) fn missing(&self) -> &[Error] {
        &self.missing
    }
}

impl Iterator for Reading {
    type Item = Result<Point>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let now = self.now;
        // Made in place: most points have no unit and come out of a run.
        match self.run.find(|point| point.is_visible_at(now) && point.kind != Kind::Shadow) {
            Some(point) if point.unit == 0 => Some(Ok(point.with_unit(None))),
            Some(point) => Some(Ok(point.with_unit(self.unit_of_run(point.unit)))),
            None => self.next_beyond(),
        }
    }
}

impl DoubleEndedIterator for Reading {
    fn next_back(&mut self) -> Option<Self::Item> {
        loop {
            // What the cursor has stands behind the run.
            let behind = self.cursor.next_back();
            let next = behind.or_else(|| self.run.next_back().map(|point| Ok((point, self.run_source))))?;
            if let Some(seen) = self.see(next) {
                return Some(seen);
            }
        }
    }
}
