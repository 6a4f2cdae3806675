//! One series in order of time, out of all places that hold points of it, in both directions. At each time the newest
//! write wins. What it hides is dropped here; what has expired is not, for a dead point still hides what lies beneath.

use std::collections::VecDeque;
use std::sync::Arc;
use std::vec::IntoIter;

use crate::engine::shelf::Slot;
use crate::error::{Error, Result};
use crate::model::columns::Columns;
use crate::model::durability::Sequence;
use crate::model::packed::{NEVER, PackedPoint, Units};
use crate::model::segment::{Deletion, Role};
use crate::model::series::SeriesId;
use crate::model::time::Timestamp;
use crate::segment::Chunk;

/// Points of one series from several sources, the most recently written source first.
#[derive(Debug)]
pub(super) struct Cursor {
    sources: Vec<Source>,
    /// The source that stands alone at the front, and the time up to which it does.
    lead: Option<(usize, i64)>,
}

/// One place that holds points of the series: ascending, no time twice.
#[derive(Debug)]
pub(super) struct Source {
    place: Place,
    /// Deletions up to this one were carried out in it.
    erased: Sequence,
    /// Chunks that neither end has come to yet.
    chunks: VecDeque<Chunk>,
    front: IntoIter<PackedPoint>,
    back: IntoIter<PackedPoint>,
    filter: Filter,
}

#[derive(Debug)]
enum Place {
    Memory(Arc<Units>),
    Segment(Arc<Slot>),
}

/// Which points of a source count.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    /// First and last time, in ms.
    pub(super) times: (i64, i64),
    /// Deletions of the series.
    pub(super) deletions: Arc<[Deletion]>,
    /// What is dead at this moment is not looked for, as far as it hides nothing.
    now: Option<Timestamp>,
    /// First and last times, in ms, between which something newer may stand that cannot be read.
    unread: Vec<(i64, i64)>,
}

/// A chunk that could not be read: why, and its first and last time, in ms.
struct Unread(Error, (i64, i64));

type Decoded<T> = std::result::Result<T, Unread>;

impl Filter {
    pub(super) fn new(times: (i64, i64), deletions: Arc<[Deletion]>) -> Self {
        Self { times, deletions, now: None, unread: Vec::new() }
    }

    /// The same for a reader at this moment, who does not look for what is dead and hides nothing.
    pub(super) fn at(self, now: Timestamp) -> Self {
        Self { now: Some(now), ..self }
    }

    /// Leaves out what may have been replaced by something that cannot be read: nobody knows whether it still counts.
    pub(super) fn hide(&mut self, times: (i64, i64)) {
        self.unread.push(times);
    }

    pub(super) fn takes(&self, erased: Sequence, time: i64) -> bool {
        let (first, last) = self.times;
        (first..=last).contains(&time)
            && !self.deletions.iter().any(|deletion| deletion.hides(erased, time))
            && !self.unread.iter().any(|&(first, last)| (first..=last).contains(&time))
    }
}

impl Source {
    /// Points in memory, with the last deletion that was carried out among them.
    pub(super) fn memory(mut points: Vec<PackedPoint>, erased: Sequence, units: Arc<Units>, filter: Filter) -> Self {
        let ends = [points.first(), points.last()].map(|end| end.is_none_or(|end| filter.takes(erased, end.time)));
        if ends != [true; 2] || !filter.deletions.is_empty() || !filter.unread.is_empty() {
            points.retain(|point| filter.takes(erased, point.time));
        }
        Self {
            place: Place::Memory(units),
            erased,
            chunks: VecDeque::new(),
            front: points.into_iter(),
            back: Vec::new().into_iter(),
            filter,
        }
    }

    /// What a segment holds of a series, if it holds anything in the filter's times.
    pub(super) fn of(slot: &Arc<Slot>, series: SeriesId, filter: Filter) -> Result<Option<Self>> {
        let (first, last) = filter.times;
        let chunks = slot.file().and_then(|file| file.chunks(series, first, last));
        let mut chunks = chunks.map_err(|error| slot.note(&error))?;
        if let (Some(now), Role::Plain(_)) = (filter.now, slot.meta.role) {
            // Nothing lies beneath a plain segment, so a chunk that is wholly dead is not decoded.
            chunks.retain(|chunk| chunk.expiries().1 == NEVER || now.as_millis() < chunk.expiries().1);
        }
        Ok((!chunks.is_empty()).then(|| Self::segment(slot.clone(), chunks, filter)))
    }

    /// These chunks of a segment.
    pub(super) fn segment(slot: Arc<Slot>, chunks: Vec<Chunk>, filter: Filter) -> Self {
        let chunks = chunks.into();
        let (front, back) = (Vec::new().into_iter(), Vec::new().into_iter());
        Self { erased: slot.meta.erased, place: Place::Segment(slot), chunks, front, back, filter }
    }

    /// The time of the next point in front, or a time that is not behind it while that is not decoded.
    fn first_bound(&self) -> Option<i64> {
        let decoded = self.front.as_slice().first().map(|point| point.time);
        let beyond = || self.back.as_slice().first().map(|point| point.time);
        decoded.or_else(|| self.chunks.front().map(Chunk::first)).or_else(beyond)
    }

    fn last_bound(&self) -> Option<i64> {
        let decoded = self.back.as_slice().last().map(|point| point.time);
        let beyond = || self.front.as_slice().last().map(|point| point.time);
        decoded.or_else(|| self.chunks.back().map(Chunk::last)).or_else(beyond)
    }

    /// Decodes the next chunk in front, if that is needed to know the next point.
    fn load_front(&mut self) -> Decoded<bool> {
        if !self.front.as_slice().is_empty() {
            return Ok(false);
        }
        let Some(chunk) = self.chunks.pop_front() else { return Ok(false) };
        self.front = self.decode(&chunk)?;
        Ok(true)
    }

    fn load_back(&mut self) -> Decoded<bool> {
        if !self.back.as_slice().is_empty() {
            return Ok(false);
        }
        let Some(chunk) = self.chunks.pop_back() else { return Ok(false) };
        self.back = self.decode(&chunk)?;
        Ok(true)
    }

    fn decode(&self, chunk: &Chunk) -> Decoded<IntoIter<PackedPoint>> {
        let Place::Segment(slot) = &self.place else { unreachable!("only segments have chunks") };
        let Filter { times, deletions, now, unread } = &self.filter;
        let mut points = Vec::new();
        let read = slot.file().and_then(|file| {
            // Who asks for what is visible may ask again; a job comes but once.
            let read = match now {
                Some(_) => file.read_between(chunk, *times, &mut points),
                None => file.read(chunk, &mut points),
            };
            read.map_err(|error| slot.note(&error))
        });
        read.map_err(|error| Unread(error, (chunk.first(), chunk.last())))?;
        let is_within = now.is_some() || times.0 <= chunk.first() && chunk.last() <= times.1;
        if !is_within || !deletions.is_empty() || !unread.is_empty() {
            points.retain(|point| self.filter.takes(self.erased, point.time));
        }
        Ok(points.into_iter())
    }

    /// Whether what it holds replaces what sources behind it hold.
    fn overrides(&self) -> bool {
        matches!(&self.place, Place::Segment(slot) if slot.meta.role == Role::Override)
    }

    /// Leaves out what may have been replaced between these times.
    fn hide(&mut self, times: (i64, i64)) {
        self.filter.hide(times);
        for end in [&mut self.front, &mut self.back] {
            let is_left = |point: &PackedPoint| !(times.0..=times.1).contains(&point.time);
            *end = end.by_ref().filter(is_left).collect::<Vec<_>>().into_iter();
        }
    }

    fn next(&mut self) -> Option<PackedPoint> {
        self.front.next().or_else(|| self.back.next())
    }

    fn next_back(&mut self) -> Option<PackedPoint> {
        self.back.next_back().or_else(|| self.front.next_back())
    }
}

impl Cursor {
    /// Sources in the order in which they win: what was written last comes first.
    pub(super) fn new(sources: Vec<Source>) -> Self {
        Self { sources, lead: None }
    }

    /// Whether there is no source.
    pub(super) fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// The units that points of a source refer to.
    pub(super) fn units(&self, source: usize) -> &Units {
        match &self.sources[source].place {
            Place::Memory(units) => units,
            Place::Segment(slot) => slot.file().expect("a point came out of it").units(),
        }
    }

    /// The number of the segment that a source is; memory is none.
    pub(super) fn number(&self, source: usize) -> Option<u64> {
        match &self.sources[source].place {
            Place::Memory(_) => None,
            Place::Segment(slot) => Some(slot.meta.number),
        }
    }

    /// The last deletion that was carried out in a source.
    pub(super) fn erased(&self, source: usize) -> Sequence {
        self.sources[source].erased
    }

    /// The next point and its source. After an error the points that could not be read are left out.
    pub(super) fn next(&mut self) -> Option<Result<(PackedPoint, usize)>> {
        if let Some((source, end)) = self.lead {
            let front = &mut self.sources[source].front;
            if front.as_slice().first().is_some_and(|point| point.time < end) {
                return front.next().map(|point| Ok((point, source)));
            }
            self.lead = None;
        }
        loop {
            let bounds = self.sources.iter().map(Source::first_bound);
            let (first, second) = two_least(bounds)?;
            let (winner, time) = first;
            match self.load(time, Source::first_bound, Source::load_front) {
                Ok(false) => {}
                Ok(true) => continue,
                Err(error) => return Some(Err(error)),
            }
            if second > time {
                self.lead = Some((winner, second));
            }
            return self.take(time, Source::first_bound, Source::next).map(Ok);
        }
    }

    /// All that stands in front of its source and before all others, if the last point came out of it and what is
    /// decoded of it ends there.
    pub(super) fn take_run(&mut self) -> Option<(IntoIter<PackedPoint>, usize)> {
        let (source, end) = self.lead?;
        let front = &mut self.sources[source].front;
        let is_before = front.as_slice().last().is_some_and(|point| point.time < end);
        is_before.then(|| (std::mem::take(front), source))
    }

    /// Appends times and values of the chunk that comes next, if it stands alone in its times and all of it is visible at
    /// a moment. After an error its points are left out.
    pub(super) fn append_chunk(&mut self, now: Timestamp, out: &mut Columns) -> Option<Result<()>> {
        let ((number, _), end) = two_least(self.sources.iter().map(Source::first_bound))?;
        let source = &mut self.sources[number];
        let is_whole = source.filter.deletions.is_empty() && source.filter.unread.is_empty();
        let is_next = is_whole && source.front.as_slice().is_empty();
        let chunk = source.chunks.front().filter(|chunk| is_next && chunk.last() < end && chunk.is_plain(now))?.clone();
        source.chunks.pop_front();
        let Place::Segment(slot) = &source.place else { unreachable!("only segments have chunks") };
        let times = source.filter.times;
        let read = slot.file().and_then(|file| file.read_values(&chunk, times, out).map_err(|error| slot.note(&error)));
        // Where it stood nothing else does, so that nothing has to be hidden.
        Some(read)
    }

    /// The last point and its source, coming from behind.
    pub(super) fn next_back(&mut self) -> Option<Result<(PackedPoint, usize)>> {
        self.lead = None;
        loop {
            let time = self.sources.iter().filter_map(Source::last_bound).max()?;
            match self.load(time, Source::last_bound, Source::load_back) {
                Ok(false) => {}
                Ok(true) => continue,
                Err(error) => return Some(Err(error)),
            }
            return self.take(time, Source::last_bound, Source::next_back).map(Ok);
        }
    }

    /// Decodes what stands at a time; whether anything was decoded, so that bounds have to be looked at again.
    fn load(
        &mut self,
        time: i64,
        bound: impl Fn(&Source) -> Option<i64>,
        load: impl Fn(&mut Source) -> Decoded<bool>,
    ) -> Result<bool> {
        let mut loaded = false;
        for number in 0..self.sources.len() {
            let (source, behind) = self.sources[number..].split_first_mut().expect("there are more than `number`");
            if bound(source) != Some(time) {
                continue;
            }
            match load(source) {
                Ok(decoded) => loaded |= decoded,
                Err(Unread(error, times)) => {
                    if source.overrides() {
                        for source in behind {
                            source.hide(times);
                        }
                    }
                    return Err(error);
                }
            }
        }
        Ok(loaded)
    }

    /// Takes the point at a time out of all sources; the first source's is the one that counts.
    fn take(
        &mut self,
        time: i64,
        bound: impl Fn(&Source) -> Option<i64>,
        next: impl Fn(&mut Source) -> Option<PackedPoint>,
    ) -> Option<(PackedPoint, usize)> {
        let mut winner = None;
        for (position, source) in self.sources.iter_mut().enumerate() {
            if bound(source) == Some(time) {
                let point = next(source);
                winner = winner.or(point.map(|point| (point, position)));
            }
        }
        winner
    }
}

/// The least of some times with its place, the first of equals, and the least of the others.
fn two_least(times: impl Iterator<Item = Option<i64>>) -> Option<((usize, i64), i64)> {
    let mut least = None;
    let mut second = i64::MAX;
    for (place, time) in times.enumerate().filter_map(|(place, time)| Some((place, time?))) {
        match least {
            Some((_, lowest)) if lowest <= time => second = second.min(time),
            _ => {
                second = least.map_or(second, |(_, lowest)| lowest);
                least = Some((place, time));
            }
        }
    }
    least.map(|least| (least, second))
}
