//! What recent points change in the windows of their series. Flush and query share this, so that a window says the same
//! before and after a flush.

use crate::engine::beneath::{Beneath, Under};
use crate::engine::cursor::Cursor;
use crate::engine::units::UnitMap;
use crate::head::Chain;
use crate::model::limits::CHUNK_POINTS_MAX;
use crate::model::packed::{Kind, PackedPoint};
use crate::model::rollup::Rollup;
use crate::model::segment::Deletion;
use crate::model::summary::{Record, Summary};

/// What the recent points of one head change in one window.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Change {
    /// First millisecond of the window.
    pub(super) start: i64,
    /// What is new in it.
    added: Option<Summary>,
    /// What counted in it and was replaced.
    replaced: Vec<PackedPoint>,
    /// Whether a batch came after it was sealed.
    is_amended: bool,
    /// Whether something may have been replaced that cannot be read.
    is_unsure: bool,
}

/// How windows of one length are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Period {
    /// Milliseconds.
    pub(super) length: i64,
    /// How long after its end one may still change without being amended, in ms.
    pub(super) settling: i64,
    /// Whether they keep how their values are spread.
    pub(super) sketches: bool,
}

impl Period {
    pub(super) fn new(length: i64, rollup: &Rollup) -> Self {
        Self { length, settling: rollup.settling_millis(), sketches: rollup.sketches }
    }

    /// The start of the window of a time.
    pub(super) fn start(self, time: i64) -> i64 {
        time.div_euclid(self.length).saturating_mul(self.length)
    }
}

/// The changes that these chains make, in order of the windows. `deletions` are those of the series, as far as they are
/// not carried out everywhere.
pub(super) fn changes(
    chains: impl Iterator<Item = Chain>,
    period: Period,
    deletions: &[Deletion],
    beneath: &mut Beneath,
) -> Vec<Change> {
    let mut list: Vec<Change> = Vec::new();
    let mut added: Vec<PackedPoint> = Vec::new();
    let mut end = i64::MIN;
    // Each chain in turn, and not a loop, as the chains come from several places.
    chains.for_each(|Chain { point, origin, is_first, .. }| {
        let time = point.time;
        if time >= end || list.is_empty() {
            if let Some(last) = list.last_mut() {
                last.added = Summary::of_with(&added, period.sketches);
            }
            added.clear();
            let start = period.start(time);
            end = start.saturating_add(period.length);
            list.push(Change { start, added: None, replaced: Vec::new(), is_amended: false, is_unsure: false });
        }
        if point.is_apart {
            return;
        }
        let change = list.last_mut().expect("there is a window for the point");
        if is_first {
            let is_deleted = |erased| {
                deletions.iter().any(|deletion| deletion.sequence <= origin.sequence && deletion.hides(erased, time))
            };
            match beneath.at(time) {
                Under::Point(old, erased)
                    if counts(&old) && old.is_visible_at(origin.accepted_at) && !is_deleted(erased) =>
                {
                    change.replaced.push(old);
                }
                Under::Unknown => change.is_unsure = true,
                Under::Point(..) | Under::Nothing => {}
            }
        }
        change.is_amended |= origin.accepted_at.as_millis() >= end.saturating_add(period.settling);
        added.push(point);
    });
    if let Some(last) = list.last_mut() {
        last.added = Summary::of_with(&added, period.sketches);
    }
    // Where nothing counts nothing was replaced that does.
    list.retain(|change| change.added.is_some());
    list
}

/// Whether a point counts in its window.
pub(super) fn counts(point: &PackedPoint) -> bool {
    point.kind != Kind::Shadow && !point.is_apart
}

impl Change {
    /// With the unit under another number.
    pub(super) fn with_unit(mut self, number: impl FnOnce(u32) -> u32) -> Self {
        if let Some(added) = &mut self.added {
            added.unit = number(added.unit);
        }
        self
    }

    /// As one of whose window it is not known what it was.
    pub(super) fn unsure(self) -> Self {
        Self { is_unsure: self.is_unsure || self.replaces(), ..self }
    }

    /// Whether what the window was has to be known.
    pub(super) fn replaces(&self) -> bool {
        !self.replaced.is_empty()
    }

    /// The last millisecond of the window.
    pub(super) fn last(&self, period: Period) -> i64 {
        self.start.saturating_add(period.length - 1)
    }

    /// The record of it, over what the window was before. `raw` gives the summary of the points that are stored of the
    /// window, recent ones included, deleted ones left out: those may have been replaced before.
    ///
    /// Each stored point counts in its window once, so when the stored ones are as many as those that count, they are
    /// the same, and the window is what they say. Otherwise what was replaced is taken out by difference (S7).
    pub(super) fn over(self, before: Option<&Summary>, raw: impl FnOnce() -> Option<Summary>) -> Option<Record> {
        let Self { start, added, replaced, is_amended, is_unsure } = self;
        let record = |replaces, summary: Option<Summary>| {
            let flagged = summary.map(|summary| Summary { is_bound: summary.is_bound || is_unsure, ..summary });
            flagged.map(|summary| Record { start, replaces, is_amended, summary })
        };
        let Some(before) = before.filter(|_| !replaced.is_empty()) else { return record(false, added) };
        let expected = before.count() + added.as_ref().map_or(0, Summary::count) - replaced.len() as u64;
        let Some(raw) = raw().filter(|raw| raw.count() == expected) else {
            let mut rest = Some(before.clone());
            for old in &replaced {
                rest = rest.and_then(|rest| rest.without(old));
            }
            let corrected = match (rest, added) {
                (Some(mut rest), Some(added)) => {
                    rest.absorb(&added);
                    Some(rest)
                }
                // What replaced it counts too, so the window is never empty.
                (rest, added) => rest.or(added),
            };
            return record(true, corrected);
        };
        record(true, Some(raw))
    }
}

/// The summary of what a cursor gives: every last write that counts and is not deleted, dead ones too. None if not all of it can be read.
/// Units become numbers of `units`; those of points in memory are such already.
pub(super) fn summarise(mut cursor: Cursor, sketch: bool, units: &mut UnitMap) -> Option<Summary> {
    let mut points = Vec::new();
    let mut sum: Option<Summary> = None;
    let mut take = |points: &mut Vec<PackedPoint>| {
        match (&mut sum, Summary::of_with(points, sketch)) {
            (Some(sum), Some(newer)) => sum.absorb(&newer),
            (sum, newer) => *sum = sum.take().or(newer),
        }
        points.clear();
    };
    while let Some(next) = cursor.next() {
        let (point, source) = next.ok()?;
        if counts(&point) {
            let number = cursor.number(source);
            let unit = number.map_or(point.unit, |number| units.adopt(number, point.unit, cursor.units(source)));
            points.push(PackedPoint { unit, ..point });
            // A window may have any number of points.
            if points.len() >= CHUNK_POINTS_MAX {
                take(&mut points);
            }
        }
    }
    take(&mut points);
    sum
}
