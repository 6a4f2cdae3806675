//! The oracle: what a history of accepted batches and deletions makes visible, and whether what a volume answers is what
//! some allowed part of that history makes.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::simulation::DAY;
use crate::engine::simulation::batches::{Effect, START};
use crate::engine::simulation::counted::{Counted, float_of};
use crate::model::point::{Point, Value};
use crate::model::series::SeriesKey;
use crate::model::summary::Number;
use crate::model::time::Timestamp;
use crate::model::window::Window;

/// What became of a batch or a deletion, as its writer knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::engine) enum Fate {
    /// Acknowledged and promised to be on stable storage.
    Durable,
    /// Acknowledged; a power cut may take it.
    Written,
    /// The answer was that it is not stored.
    Refused,
    /// Nobody heard an answer.
    Unknown,
}

/// Everything that was asked of a volume, in order, and what time it is.
#[derive(Clone, Debug)]
pub(in crate::engine) struct History {
    pub(in crate::engine) entries: Vec<(Arc<Effect>, Fate)>,
    pub(in crate::engine) now: Timestamp,
    /// Whether a segment could not be read when something was flushed, so that what it replaced may still count.
    pub(in crate::engine) is_unsure: bool,
}

/// What all series answer that have something to say.
#[derive(Debug, Default)]
pub(in crate::engine) struct Answers {
    /// The visible points, in order of time.
    pub(in crate::engine) points: BTreeMap<SeriesKey, Vec<Point>>,
    /// Windows of a day, in order of time.
    pub(in crate::engine) windows: BTreeMap<SeriesKey, Vec<Told>>,
    /// Whether those were asked for.
    pub(in crate::engine) has_windows: bool,
}

/// What a window says: its start in ms, how many values, their sum, and the first and the last of them.
#[derive(Clone, PartialEq, Debug)]
pub(in crate::engine) struct Told {
    start: i64,
    count: u64,
    sum: Number,
    ends: [(Timestamp, Value); 2],
}

impl Told {
    pub(in crate::engine) fn of(window: &Window) -> Self {
        let (start, count) = (window.start.as_millis(), window.count());
        Self { start, count, sum: window.sum(), ends: [window.first(), window.last()] }
    }

    /// What a window of these points says, which are in order of time.
    fn expected(start: i64, points: &[&Point]) -> Self {
        let int = |point: &&Point| if let Value::Int(int) = point.value { Some(i128::from(int)) } else { None };
        let ints: Option<i128> = points.iter().map(int).sum();
        let floats = || points.iter().map(|point| float_of(point.value)).sum();
        let sum = ints.map_or_else(|| Number::Float(floats()), Number::Int);
        let end = |point: &Point| (point.time, point.value);
        let first = points.iter().take_while(|point| point.time == points[0].time).last();
        let ends = [first.map(|point| end(point)), points.last().map(|point| end(point))];
        let ends = ends.map(|end| end.expect("a window has points"));
        Self { start, count: points.len() as u64, sum, ends }
    }
}

/// What a history makes of a volume.
#[derive(Default)]
struct Model {
    /// The last point that was written at each time of each series, dead or alive.
    last: BTreeMap<SeriesKey, BTreeMap<i64, Point>>,
    /// What counts in windows.
    counted: BTreeMap<SeriesKey, BTreeMap<i64, Counted>>,
}

impl Default for History {
    fn default() -> Self {
        Self { entries: Vec::new(), now: START, is_unsure: false }
    }
}

impl History {
    pub(in crate::engine) fn fates(&self) -> Vec<Fate> {
        self.entries.iter().map(|(_, fate)| *fate).collect()
    }

    /// Notes that everything acknowledged so far is promised.
    pub(in crate::engine) fn promise(&mut self) {
        for (_, fate) in self.entries.iter_mut().filter(|(_, fate)| *fate == Fate::Written) {
            *fate = Fate::Durable;
        }
    }

    /// What is there is there for good, and what is not never happened.
    pub(in crate::engine) fn adopt(&mut self, present: &[bool]) {
        for ((_, fate), is_present) in self.entries.iter_mut().zip(present) {
            *fate = if *is_present { Fate::Durable } else { Fate::Refused };
        }
    }

    /// Holds answers against what was promised; says of each entry whether it is there.
    ///
    /// The entries that are there are a prefix of those not refused, and all that was promised is among them. `live`
    /// (no restart in between): they are exactly the acknowledged ones. Where two prefixes make the same visible, the
    /// shorter one is taken: they make the same visible at any later time too.
    pub(in crate::engine) fn judge(&self, found: &Answers, live: bool) -> Result<Vec<bool>, String> {
        let is_taken = |fate: Fate| match fate {
            Fate::Durable | Fate::Written => true,
            Fate::Unknown => !live,
            Fate::Refused => false,
        };
        let last =
            |fates: &[Fate]| self.entries.iter().rposition(|(_, fate)| fates.contains(fate)).map_or(0, |at| at + 1);
        let needed = if live { last(&[Fate::Durable, Fate::Written]) } else { last(&[Fate::Durable]) };
        let mut model = Model::default();
        let mut told = String::new();
        for len in 0..=self.entries.len() {
            if let Some((effect, fate)) = len.checked_sub(1).map(|at| &self.entries[at]) {
                if !is_taken(*fate) {
                    continue;
                }
                model.apply(effect);
            }
            if len >= needed {
                match model.difference(found, self.now) {
                    None => {
                        let is_present = |(at, fate)| at < len && is_taken(fate);
                        return Ok(self.fates().into_iter().enumerate().map(is_present).collect());
                    }
                    Some(why) => told = format!("{told}\n  not the first {len} of {}: {why}", self.entries.len()),
                }
            }
        }
        Err(format!("at {} no allowed part of the history explains the answers:{told}", self.now))
    }

    /// Holds the answers of a live volume that could not read everything against what was acknowledged: some points
    /// may be missing, none may be wrong. Gives whether they are all there.
    pub(in crate::engine) fn judge_partial(&self, found: &Answers) -> Result<bool, String> {
        let mut model = Model::default();
        let is_taken = |fate: Fate| matches!(fate, Fate::Durable | Fate::Written);
        self.entries.iter().filter(|(_, fate)| is_taken(*fate)).for_each(|(effect, _)| model.apply(effect));
        for (key, points) in &found.points {
            for point in points {
                let expected = model.last.get(key).and_then(|times| times.get(&point.time.as_millis()));
                if expected != Some(point) {
                    return Err(format!("{key} has {point:?}, written last was {expected:?}"));
                }
            }
        }
        Ok(model.difference(found, self.now).is_none())
    }
}

impl Model {
    fn apply(&mut self, effect: &Effect) {
        match effect {
            Effect::Batch(batch, accepted_at) => {
                for (key, point) in batch.iter() {
                    if !self.last.contains_key(key) {
                        self.last.insert(key.clone(), BTreeMap::new());
                        self.counted.insert(key.clone(), BTreeMap::new());
                    }
                    let (times, counted) = (self.last.get_mut(key), self.counted.get_mut(key));
                    let time = point.time.as_millis();
                    let old = times.and_then(|times| times.insert(time, point.clone()));
                    let is_replaced = old.is_some_and(|old| old.is_visible_at(*accepted_at));
                    if let Some(counted) = counted {
                        counted.entry(time).or_default().write(point, true, is_replaced);
                    }
                }
            }
            Effect::Deletion(key, range) => {
                let is_deleted = |time: &i64| range.contains(Timestamp::from_millis(*time));
                if let Some(times) = self.last.get_mut(key) {
                    times.retain(|time, _| !is_deleted(time));
                }
                let counted = self.counted.get_mut(key).into_iter().flatten();
                counted.filter(|(time, _)| is_deleted(time)).for_each(|(_, counted)| counted.close());
            }
        }
    }

    /// Says where answers differ from what is visible now.
    fn difference(&self, found: &Answers, now: Timestamp) -> Option<String> {
        let mut known = 0;
        for (key, times) in &self.last {
            let expected = || times.values().filter(|point| point.is_visible_at(now));
            let points = found.points.get(key).map_or(&[][..], Vec::as_slice);
            known += usize::from(!points.is_empty());
            if !expected().eq(points) {
                let time = |point: &Point| (point.time.as_millis(), point.value, point.expires_at);
                let lost: Vec<_> = expected().filter(|point| !points.contains(point)).map(time).collect();
                let more: Vec<_> =
                    points.iter().filter(|point| expected().all(|other| other != *point)).map(time).collect();
                return Some(format!("{key} lacks {lost:?} and has {more:?}"));
            }
        }
        let unknown = found.points.len() - known;
        if unknown > 0 {
            return Some(format!("{unknown} series nobody wrote to have points"));
        }
        if found.has_windows { self.windows_difference(found) } else { None }
    }

    /// Says where windows differ from what was ever accepted.
    fn windows_difference(&self, found: &Answers) -> Option<String> {
        for (key, counted) in &self.counted {
            let all: Vec<&Point> = counted.values().flat_map(|counted| &counted.points).collect();
            let day = |point: &&Point| point.time.as_millis().div_euclid(DAY);
            let days = all.chunk_by(|one, next| day(one) == day(next));
            let expected: Vec<Told> = days.map(|points| Told::expected(day(&points[0]) * DAY, points)).collect();
            let windows = found.windows.get(key).map_or(&[][..], Vec::as_slice);
            if expected != windows {
                return Some(format!("{key} has the windows {windows:?}, not {expected:?}"));
            }
        }
        let known = |key: &&SeriesKey| self.counted.contains_key(*key);
        found.windows.keys().find(|key| !known(key)).map(|key| format!("{key} has windows, and nobody wrote to it"))
    }
}
