//! Reading: what is visible now, by the clock read once for each question.

use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::cursor::{Cursor, Filter, Source};
use crate::engine::shelf::{Shelf, Slot};
use crate::engine::view::View;
use crate::error::{Error, Result};
use crate::head::Head;
use crate::model::packed::PackedPoint;
use crate::model::point::Point;
use crate::model::segment::Role;
use crate::model::selector::Selector;
use crate::model::series::{SeriesId, SeriesKey};
use crate::model::time::{TimeRange, Timestamp};

/// The visible points of one series, decoded as they are asked for, forwards or backwards.
#[derive(Debug)]
pub(crate) struct Reading {
    cursor: Cursor,
    now: Timestamp,
    is_strict: bool,
    /// What could not be read.
    missing: Vec<Error>,
}

impl Engine {
    /// The points of a series in a range.
    pub(crate) fn points(&self, series: &SeriesKey, range: TimeRange) -> Result<Reading> {
        let now = self.guard.now();
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
            _ => Ok(Reading { cursor: Cursor::new(sources), now, is_strict, missing }),
        }
    }

    /// The names of the selected series, in key order.
    pub(crate) fn series(&self, selector: &Selector) -> Vec<SeriesKey> {
        self.view.read().catalog.select(selector)
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

    /// What could not be read so far; the points beside it were given.
    pub(crate) fn missing(&self) -> &[Error] {
        &self.missing
    }
}

impl Iterator for Reading {
    type Item = Result<Point>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let next = self.cursor.next()?;
            if let Some(seen) = self.see(next) {
                return Some(seen);
            }
        }
    }
}

impl DoubleEndedIterator for Reading {
    fn next_back(&mut self) -> Option<Self::Item> {
        loop {
            let next = self.cursor.next_back()?;
            if let Some(seen) = self.see(next) {
                return Some(seen);
            }
        }
    }
}
