//! The recent points of one series: blocks that grew in order of time, and beside them those that came late.

use std::collections::BTreeMap;

use crate::model::time::TimeRange;

/// Points that the first block of a run has room for.
const ROOM_MIN: usize = 4;
/// And the largest.
const ROOM_MAX: usize = 1_024;

/// What was written at a time: the value, and the number of the [`Manner`](super::Manner) in which it was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub(super) time: i64,
    pub(super) manner: u32,
    pub(super) bits: u64,
}

/// The same in a block. 16 bytes: to how many cold lines of memory a writer has to go decides how fast it is.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Milliseconds since the start of the block.
    offset: u32,
    manner: u32,
    bits: u64,
}

/// Points in order of time, which are not moved when more come.
#[derive(Default)]
struct Block {
    /// The time of the first point.
    start: i64,
    places: Vec<Place>,
}

/// Points of one series. A time stands in order or in `late`, never in both, and every late one is older than the last
/// one in order.
#[derive(Default)]
pub(super) struct Run {
    /// What is in order, in blocks, none of which is empty.
    full: Vec<Block>,
    /// The end of it, which is being filled. Empty only if there is nothing in order.
    end: Block,
    /// Points in `full`.
    full_len: usize,
    /// The time of the last one, here so that appending need not wait for the memory that holds it.
    newest: Option<i64>,
    /// Value and manner of points that came when a newer one was already there. A tree, so that a reversed series costs
    /// no copying.
    late: BTreeMap<i64, (u32, u64)>,
}

impl Run {
    /// Memory of the room for a run's first points.
    pub(super) const FIRST_BYTES: usize = ROOM_MIN * size_of::<Place>();
    /// A late point takes a tree entry, and nodes may be half empty. An ordered one takes less.
    pub(super) const LATE_BYTES: usize = 2 * (size_of::<(u32, u64)>() + size_of::<i64>());

    /// Appends what is newer than all others; tells how much memory that took or gave back, in bytes.
    #[expect(
        clippy::inline_always,
        reason = "so that it goes to its place from registers: read back from a stack to which it was just written in \
                  parts, it waits for the memory of the points before it"
    )]
    #[inline(always)]
    pub(super) fn push(&mut self, Written { time, manner, bits }: Written) -> isize {
        let (mut offset, mut grown) = (u32::try_from(time - self.end.start).ok(), 0);
        if offset.is_none() || self.end.places.len() == self.end.places.capacity() {
            grown = self.begin_block(time);
            offset = Some(0);
        }
        self.newest = Some(time);
        self.end.places.push(Place { offset: offset.unwrap_or_default(), manner, bits });
        grown
    }

    /// Begins a block with room for a quarter of what is there, not for as much again: memory is bounded by what is
    /// really held.
    #[cold]
    #[inline(never)]
    fn begin_block(&mut self, start: i64) -> isize {
        let table = self.full.capacity();
        let len = self.full_len + self.end.places.len();
        // A block that ends before it is full shows that times lie weeks apart.
        let is_full = self.end.places.len() == self.end.places.capacity();
        let room = if is_full { (len / 4).clamp(ROOM_MIN, ROOM_MAX) } else { ROOM_MIN };
        let mut ended = std::mem::replace(&mut self.end, Block { start, places: Vec::with_capacity(room) });
        let room = ended.places.capacity();
        if !ended.places.is_empty() {
            ended.places.shrink_to_fit();
            self.full.push(ended);
        }
        self.full_len = len;
        let kept = self.full.last().map_or(0, |ended| ended.places.capacity());
        let places = (self.end.places.capacity() + kept).cast_signed() - room.cast_signed();
        let blocks = (self.full.capacity() - table) * size_of::<Block>();
        places * size_of::<Place>().cast_signed() + blocks.cast_signed()
    }

    /// Manner and value of what stands at a time that is not newer than all others.
    pub(super) fn at(&mut self, time: i64) -> Option<(&mut u32, &mut u64)> {
        let block = if self.end.starts_by(time) {
            Some(&mut self.end)
        } else {
            let behind = self.full.partition_point(|block| block.start <= time);
            behind.checked_sub(1).map(|before| &mut self.full[before])
        };
        let found = block.and_then(|block| {
            let position = block.before(time);
            let offset = time - block.start;
            block.places.get_mut(position).filter(|place| i64::from(place.offset) == offset)
        });
        match found {
            Some(place) => Some((&mut place.manner, &mut place.bits)),
            None => self.late.get_mut(&time).map(|(manner, bits)| (manner, bits)),
        }
    }

    /// Stores what came for a time that is not newer than all others and where there is nothing.
    pub(super) fn put_late(&mut self, Written { time, manner, bits }: Written) {
        self.late.insert(time, (manner, bits));
    }

    /// Removes what stands in a range; gives it.
    pub(super) fn erase(&mut self, range: TimeRange) -> Vec<Written> {
        if self.ends(range).next().is_none() {
            return Vec::new();
        }
        // Late points that nothing newer is left of are in order afterwards.
        let all = std::mem::take(self);
        let mut left = all.ordered(TimeRange::ALL).flat_map(Piece::written);
        let newest = left.rfind(|each| !contains(range, each.time));
        let newest = newest.map_or(i64::MIN, |each| each.time);
        let mut erased = Vec::new();
        for each in all.range(TimeRange::ALL) {
            let was_late = all.late.contains_key(&each.time);
            if contains(range, each.time) {
                erased.push(each);
            } else if was_late && each.time < newest {
                self.put_late(each);
            } else {
                self.push(each);
            }
        }
        erased
    }

    /// The time of the newest point; late ones are older by definition.
    pub(super) fn newest(&self) -> Option<i64> {
        self.newest
    }

    /// Number of points.
    pub(super) fn len(&self) -> usize {
        self.full_len + self.end.places.len() + self.late.len()
    }

    /// What stands in a range, in order of time.
    pub(super) fn range(&self, range: TimeRange) -> impl Iterator<Item = Written> {
        let ordered = self.ordered(range).flat_map(Piece::written);
        let late = self.late_ones(range);
        // Mostly there is nothing to merge.
        let (alone, merged) =
            if late.clone().next().is_none() { (Some(ordered), None) } else { (None, Some((ordered, late))) };
        let merged = merged.into_iter().flat_map(|(ordered, late)| {
            let (mut ordered, mut late) = (ordered.peekable(), late.peekable());
            std::iter::from_fn(move || match (ordered.peek(), late.peek()) {
                (Some(one), Some(other)) if one.time > other.time => late.next(),
                (None, _) => late.next(),
                (Some(_), _) => ordered.next(),
            })
        });
        alone.into_iter().flatten().chain(merged)
    }

    /// The times of the first and last points in a range, of those in order and of late ones.
    pub(super) fn ends(&self, range: TimeRange) -> impl Iterator<Item = i64> {
        let mut ordered = self.ordered(range);
        let (first, last) = (ordered.next(), ordered.next_back());
        let ordered = [first.as_ref().and_then(Piece::first), last.or(first).and_then(|piece| piece.last())];
        let mut late = self.late_ones(range);
        let late = [late.next(), late.next_back()].map(|late| late.map(|late| late.time));
        ordered.into_iter().chain(late).flatten()
    }

    /// Appends to `out` what `point` makes of what stands first in a range, at most `count_max`, in order of time.
    pub(super) fn copy_range<P>(
        &self,
        range: TimeRange,
        count_max: usize,
        point: impl Fn(Written) -> P,
        out: &mut Vec<P>,
    ) {
        if self.late.is_empty() {
            let mut left = count_max;
            for Piece { start, places } in self.ordered(range) {
                let taken = places.len().min(left);
                out.extend(places[..taken].iter().map(|place| point(place.written(start))));
                left -= taken;
            }
        } else {
            out.extend(self.range(range).take(count_max).map(point));
        }
    }

    /// Memory held, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let room: usize = self.full.iter().chain([&self.end]).map(|block| block.places.capacity()).sum();
        room * size_of::<Place>() + self.full.capacity() * size_of::<Block>() + self.late.len() * Self::LATE_BYTES
    }

    /// What is in order in a range: pieces of blocks, none of them empty.
    fn ordered(&self, range: TimeRange) -> impl DoubleEndedIterator<Item = Piece<'_>> {
        let (from, to) = (range.start().as_millis(), range.end().as_millis());
        // A block ends where the next one starts at the latest.
        let start = self.full.partition_point(|block| block.start < from).saturating_sub(1);
        let end = self.full.partition_point(|block| block.start < to).max(start);
        let blocks = self.full[start..end].iter().chain([&self.end]);
        blocks.map(move |block| block.within(from, to)).filter(|piece| !piece.places.is_empty())
    }

    fn late_ones(&self, range: TimeRange) -> impl DoubleEndedIterator<Item = Written> + Clone {
        let (from, to) = (range.start().as_millis(), range.end().as_millis());
        self.late.range(from..to.max(from)).map(|(&time, &(manner, bits))| Written { time, manner, bits })
    }
}

/// Some points of a block.
struct Piece<'a> {
    start: i64,
    places: &'a [Place],
}

impl<'a> Piece<'a> {
    fn written(self) -> impl DoubleEndedIterator<Item = Written> + 'a {
        let start = self.start;
        self.places.iter().map(move |place| place.written(start))
    }

    fn first(&self) -> Option<i64> {
        self.places.first().map(|place| place.written(self.start).time)
    }

    fn last(&self) -> Option<i64> {
        self.places.last().map(|place| place.written(self.start).time)
    }
}

impl Place {
    fn written(&self, start: i64) -> Written {
        Written { time: start + i64::from(self.offset), manner: self.manner, bits: self.bits }
    }
}

impl Block {
    /// Whether it has a point, and none of them is newer than this time before another is not.
    fn starts_by(&self, time: i64) -> bool {
        !self.places.is_empty() && self.start <= time
    }

    /// How many points are older than a moment.
    fn before(&self, moment: i64) -> usize {
        self.places.partition_point(|place| place.written(self.start).time < moment)
    }

    fn within(&self, from: i64, to: i64) -> Piece<'_> {
        let (first, last) = (self.places.first(), self.places.last());
        let time = |place: &Place| place.written(self.start).time;
        // Mostly all of them are.
        let start = if first.is_none_or(|first| from <= time(first)) { 0 } else { self.before(from) };
        let end = if last.is_none_or(|last| time(last) < to) { self.places.len() } else { self.before(to) };
        Piece { start: self.start, places: &self.places[start..end.max(start)] }
    }
}

fn contains(range: TimeRange, time: i64) -> bool {
    range.start().as_millis() <= time && time < range.end().as_millis()
}
