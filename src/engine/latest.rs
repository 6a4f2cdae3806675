//! The latest point of many series. Mostly the head knows it, or the directory of the segment that ends last; where
//! something else may hide or outlive it, the points themselves are asked.

use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::shelf::Slot;
use crate::engine::view::View;
use crate::error::Result;
use crate::model::columns::Latest;
use crate::model::packed::{Kind, PackedPoint, Units};
use crate::model::point::Point;
use crate::model::selector::Selector;
use crate::model::series::{SeriesId, SeriesKey};
use crate::model::time::TimeRange;
use crate::segment::LastPoints;

/// A series, and the newest write of it that was found so far.
struct Candidate<'a> {
    /// Among the selected ones.
    position: usize,
    id: SeriesId,
    newest: Newest<'a>,
}

#[derive(Clone, Copy)]
enum Newest<'a> {
    Nothing,
    /// In a head of this number; it wins over all segments.
    Recent(PackedPoint, usize),
    Stored(PackedPoint, &'a Arc<Slot>),
    /// Only the points themselves can tell.
    Unclear,
}

impl Newest<'_> {
    /// Whether a segment that ends at this time may know a newer one, or one that contends with it.
    fn may_yield_to(&self, end: i64) -> bool {
        match self {
            Newest::Nothing => true,
            Newest::Recent(point, _) => point.time < end,
            Newest::Stored(point, _) => point.time <= end,
            Newest::Unclear => false,
        }
    }
}

impl Engine {
    /// The newest visible point of a series.
    pub(crate) fn latest(&self, key: &SeriesKey) -> Result<Option<Point>> {
        let found = self.latest_among(|view| view.catalog.id(key).map(|id| (id, key.clone())).into_iter().collect())?;
        Ok(found.list.into_iter().next().map(|(_, point)| point))
    }

    /// The newest visible points of the selected series, in key order.
    pub(crate) fn latest_of(&self, selector: &Selector) -> Result<Latest> {
        self.latest_among(|view| view.catalog.select_ids(selector))
    }

    /// The same of these series, in their order.
    pub(crate) fn latest_of_keys(&self, keys: &[SeriesKey]) -> Result<Latest> {
        self.latest_among(|view| {
            keys.iter().filter_map(|key| view.catalog.id(key).map(|id| (id, key.clone()))).collect()
        })
    }

    fn latest_among(&self, select: impl FnOnce(&View) -> Vec<(SeriesId, SeriesKey)>) -> Result<Latest> {
        let now = self.guard.now();
        let view = self.view.read();
        let selected = select(&view);
        let recent: Vec<Newest<'_>> = selected.iter().map(|(id, _)| newest_recent(&view, *id)).collect();
        let heads = [&view.active].into_iter().chain(view.frozen.iter().rev().map(|frozen| &frozen.head));
        let units: Vec<Arc<Units>> = heads.map(|head| head.units().clone()).collect();
        let shelf = view.shelf.clone();
        // Files are read without the lock, for which writers wait.
        drop(view);
        let candidates = selected.iter().zip(recent).enumerate();
        let mut candidates: Vec<_> =
            candidates.map(|(position, ((id, _), newest))| Candidate { position, id: *id, newest }).collect();
        // In the order of a segment's directory, of which one page is in memory at a time.
        candidates.sort_unstable_by_key(|candidate| candidate.id);
        for slot in shelf.ending_last() {
            let end = slot.meta.times.1;
            if !candidates.iter().any(|candidate| candidate.newest.may_yield_to(end)) {
                break;
            }
            look_into(slot, &mut candidates);
        }
        candidates.sort_unstable_by_key(|candidate| candidate.position);
        let (mut list, mut missing) = (Vec::with_capacity(selected.len()), Vec::new());
        for ((_, key), Candidate { newest, .. }) in selected.into_iter().zip(candidates) {
            let is_told = |point: &PackedPoint| point.is_visible_at(now) && point.kind != Kind::Shadow;
            let point = match newest {
                Newest::Nothing => None,
                Newest::Recent(point, head) if is_told(&point) => point.unpack(&units[head]),
                Newest::Stored(point, slot) if is_told(&point) => point.unpack(slot.file()?.units()),
                _ => {
                    let mut reading = self.points_at(&key, TimeRange::ALL, now)?;
                    let point = reading.next_back().transpose()?;
                    missing.extend(reading.into_missing());
                    point
                }
            };
            list.extend(point.map(|point| (key, point)));
        }
        Ok(Latest { list, missing })
    }
}

/// The newest write of a series in the heads of a view.
fn newest_recent<'a>(view: &View, id: SeriesId) -> Newest<'a> {
    if !view.deletions.is_empty() && !view.deletions.of(id).is_empty() {
        return Newest::Unclear;
    }
    let heads = [&view.active].into_iter().chain(view.frozen.iter().rev().map(|frozen| &frozen.head));
    let mut newest = Newest::Nothing;
    for (number, head) in heads.enumerate() {
        match (head.newest(id), newest) {
            (Some(point), Newest::Recent(before, _)) if point.time <= before.time => {}
            (Some(point), _) => newest = Newest::Recent(point, number),
            (None, _) => {}
        }
    }
    newest
}

/// What a segment knows of the candidates.
fn look_into<'a>(slot: &'a Arc<Slot>, candidates: &mut [Candidate<'a>]) {
    let mut last_points = slot.file().ok().map(|file| LastPoints::new(file));
    let (times, always) = (slot.meta.times, TimeRange::ALL);
    for Candidate { id, newest, .. } in candidates {
        if !newest.may_yield_to(times.1) || !slot.meta.may_hold(*id, always) {
            continue;
        }
        let Some(Ok(found)) = last_points.as_mut().map(|points| points.of(*id)) else {
            *newest = Newest::Unclear;
            continue;
        };
        let Some((time, point)) = found.filter(|(time, _)| newest.may_yield_to(*time)) else { continue };
        *newest = match (point, *newest) {
            (_, Newest::Stored(before, _)) if before.time == time => Newest::Unclear,
            (Some(point), _) => Newest::Stored(point, slot),
            (None, _) => Newest::Unclear,
        };
    }
}
