//! The oracle: what a history of accepted batches and deletions makes visible, and whether what a volume answers is what
//! some allowed part of that history makes.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::simulation::batches::{Effect, START};
use crate::model::point::Point;
use crate::model::series::SeriesKey;
use crate::model::time::Timestamp;

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
}

/// The visible points of all series that have some, in order of time.
pub(in crate::engine) type Answers = BTreeMap<SeriesKey, Vec<Point>>;

/// The last point that was written at each time of each series, dead or alive.
#[derive(Default)]
struct Model(BTreeMap<SeriesKey, BTreeMap<i64, Point>>);

impl Default for History {
    fn default() -> Self {
        Self { entries: Vec::new(), now: START }
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
        for (key, points) in found {
            for point in points {
                let expected = model.0.get(key).and_then(|times| times.get(&point.time.as_millis()));
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
            Effect::Batch(batch) => {
                for (key, point) in batch.iter() {
                    let times = match self.0.get_mut(key) {
                        Some(times) => times,
                        None => self.0.entry(key.clone()).or_default(),
                    };
                    times.insert(point.time.as_millis(), point.clone());
                }
            }
            Effect::Deletion(key, range) => {
                if let Some(times) = self.0.get_mut(key) {
                    times.retain(|time, _| !range.contains(Timestamp::from_millis(*time)));
                }
            }
        }
    }

    /// Says where answers differ from what is visible now.
    fn difference(&self, found: &Answers, now: Timestamp) -> Option<String> {
        let mut known = 0;
        for (key, times) in &self.0 {
            let expected = || times.values().filter(|point| point.is_visible_at(now));
            let points = found.get(key).map_or(&[][..], Vec::as_slice);
            known += usize::from(!points.is_empty());
            if !expected().eq(points) {
                let time = |point: &Point| (point.time.as_millis(), point.value, point.expires_at);
                let lost: Vec<_> = expected().filter(|point| !points.contains(point)).map(time).collect();
                let more: Vec<_> =
                    points.iter().filter(|point| expected().all(|other| other != *point)).map(time).collect();
                return Some(format!("{key} lacks {lost:?} and has {more:?}"));
            }
        }
        (known < found.len()).then(|| format!("{} series nobody wrote to have points", found.len() - known))
    }
}
