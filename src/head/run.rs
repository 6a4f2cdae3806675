//! The recent points of one series: blocks of them, in order of time.

use crate::model::time::TimeRange;

/// Points that a block has room for at first.
const ROOM_MIN: usize = 4;
/// The first block of a run grows until it has room for so many: a short one costs less to move than to keep in pieces.
const FIRST_ROOM_MAX: usize = 64;
/// Room of the largest block.
const ROOM_MAX: usize = 1_024;
/// Most points that make way for one that comes late; a block in which there would be more is divided. Mostly a late
/// point is a little late and few are behind it.
const MOVED_MAX: usize = 256;
/// So many points are looked at one by one from the end of a block to find the place of a late one: the memory that has
/// to be waited for is then that of the points which are moved, and all of it is asked for at once.
const LOOKED_AT_MAX: usize = 64;

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

/// Points in order of time, which are not moved when newer ones come.
#[derive(Default)]
struct Block {
    /// The time of the first point.
    start: i64,
    places: Vec<Place>,
}

/// Points of one series, no two at one time. 64 bytes: a head may have a million of them.
pub(super) struct Run {
    /// Blocks one after the other, none of which is empty.
    full: Vec<Block>,
    /// The last one, to which newer points are added. Empty only if there is no point.
    end: Block,
    /// The time of the last point, here so that appending need not wait for the memory that holds it. All times are
    /// newer than that of an empty run.
    newest: i64,
}

/// What becomes of a point that is not newer than all others.
pub(super) enum Behind<'a> {
    /// It was put in, which took so many bytes of memory or gave them back.
    Put(isize),
    /// At its time there is one, which has this manner and value.
    Taken(&'a mut u32, &'a mut u64),
}

impl Default for Run {
    fn default() -> Self {
        Self { full: Vec::new(), end: Block::default(), newest: i64::MIN }
    }
}

impl Run {
    /// Memory of the room for a run's first points.
    pub(super) const FIRST_BYTES: usize = ROOM_MIN * size_of::<Place>();
    /// The memory that a point takes apart from room for others: at worst it has a block of its own.
    pub(super) const POINT_BYTES: usize = size_of::<Place>() + size_of::<Block>();

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
            grown = self.make_room(time);
            offset = u32::try_from(time - self.end.start).ok();
        }
        self.newest = time;
        self.end.places.push(Place { offset: offset.unwrap_or_default(), manner, bits });
        grown
    }

    /// Makes the last block one to which a point of this time can be added; tells how much memory that took or gave
    /// back.
    #[cold]
    #[inline(never)]
    fn make_room(&mut self, time: i64) -> isize {
        let room = self.end.places.capacity();
        let is_near = u32::try_from(time - self.end.start).is_ok();
        if self.full.is_empty() && is_near && (1..FIRST_ROOM_MAX).contains(&room) {
            self.end.places.reserve_exact(room);
            return bytes_of(self.end.places.capacity()) - bytes_of(room);
        }
        self.begin_block(time)
    }

    /// Begins a block with room for a quarter of what is there, not for as much again: memory is bounded by what is
    /// really held.
    fn begin_block(&mut self, start: i64) -> isize {
        let table = self.full.capacity();
        let len = self.end.places.len();
        // Blocks grow by a quarter, so that the next one is a quarter of all of them. One that ends before it is full
        // shows that times lie weeks apart.
        let is_full = len == self.end.places.capacity();
        let wanted = len / 4 + if self.full.is_empty() { 0 } else { len };
        let room = if is_full { wanted.clamp(ROOM_MIN, ROOM_MAX) } else { ROOM_MIN };
        let mut ended = std::mem::replace(&mut self.end, Block { start, places: Vec::with_capacity(room) });
        let given_back = bytes_of(ended.places.capacity());
        let mut grown = bytes_of(self.end.places.capacity()) - given_back;
        if !ended.places.is_empty() {
            ended.places.shrink_to_fit();
            grown += bytes_of(ended.places.capacity());
            self.full.push(ended);
        }
        grown + self.table_grown(table)
    }

    /// Puts in what is not newer than all others, if there is nothing at its time.
    pub(super) fn put_behind(&mut self, Written { time, manner, bits }: Written) -> Behind<'_> {
        let mut grown = 0;
        loop {
            let at = self.block_of(time);
            let block = self.block(at);
            let position = block.place_of(time);
            if block.places.get(position).is_some_and(|place| place.written(block.start).time == time) {
                let place = &mut self.block(at).places[position];
                return Behind::Taken(&mut place.manner, &mut place.bits);
            }
            let (len, room) = (block.places.len(), block.places.capacity());
            if len - position > MOVED_MAX || (len == room && len >= ROOM_MAX) {
                grown += self.divide(at);
                continue;
            }
            let Some(offset) = block.offset_of(time) else {
                // Times lie weeks apart.
                let mut alone = Block { start: time, places: Vec::with_capacity(ROOM_MIN) };
                alone.places.push(Place { offset: 0, manner, bits });
                let at = at + usize::from(position > 0);
                return Behind::Put(grown + bytes_of(alone.places.capacity()) + self.insert(at, alone));
            };
            if len == room {
                block.places.reserve_exact((room / 4).max(ROOM_MIN));
            }
            block.places.insert(position, Place { offset, manner, bits });
            return Behind::Put(grown + bytes_of(block.places.capacity()) - bytes_of(room));
        }
    }

    /// Makes two blocks of one; tells how much memory that took or gave back.
    fn divide(&mut self, at: usize) -> isize {
        let block = self.block(at);
        let room = block.places.capacity();
        let mut behind = Block { start: block.start, places: block.places.split_off(block.places.len() / 2) };
        behind.start_from(behind.places[0].written(behind.start).time);
        let mut before = std::mem::replace(block, behind);
        let kept = block.places.capacity();
        before.places.shrink_to_fit();
        bytes_of(before.places.capacity() + kept) - bytes_of(room) + self.insert(at, before)
    }

    /// Puts a block before another one; tells how much the table of blocks grew.
    fn insert(&mut self, at: usize, block: Block) -> isize {
        let table = self.full.capacity();
        self.full.insert(at, block);
        self.table_grown(table)
    }

    fn table_grown(&self, before: usize) -> isize {
        ((self.full.capacity() - before) * size_of::<Block>()).cast_signed()
    }

    /// The number of the block that a time belongs to: the last one that starts by then, or the first.
    fn block_of(&self, time: i64) -> usize {
        if self.end.start <= time {
            return self.full.len();
        }
        self.full.partition_point(|block| block.start <= time).saturating_sub(1)
    }

    /// The block with a number; the last one comes behind all that are full.
    fn block(&mut self, at: usize) -> &mut Block {
        self.full.get_mut(at).unwrap_or(&mut self.end)
    }

    /// Removes what stands in a range; gives it.
    pub(super) fn erase(&mut self, range: TimeRange) -> Vec<Written> {
        let erased: Vec<Written> = self.range(range).collect();
        if !erased.is_empty() {
            let all = std::mem::take(self);
            for left in all.range(TimeRange::ALL).filter(|each| !contains(range, each.time)) {
                self.push(left);
            }
        }
        erased
    }

    /// The time of the newest point; that of an empty run is older than any.
    #[inline]
    pub(super) fn newest(&self) -> i64 {
        self.newest
    }

    /// The newest point.
    pub(super) fn last(&self) -> Option<Written> {
        self.end.places.last().map(|place| place.written(self.end.start))
    }

    /// Number of points.
    pub(super) fn len(&self) -> usize {
        self.full.iter().chain([&self.end]).map(|block| block.places.len()).sum()
    }

    /// What stands in a range, in order of time.
    pub(super) fn range(&self, range: TimeRange) -> impl Iterator<Item = Written> {
        self.pieces(range).flat_map(Piece::written)
    }

    /// The times of the first and the last point in a range.
    pub(super) fn ends(&self, range: TimeRange) -> Option<(i64, i64)> {
        let mut pieces = self.pieces(range);
        let first = pieces.next()?;
        let last = pieces.next_back().unwrap_or(first);
        Some((first.time(0), last.time(last.places.len() - 1)))
    }

    /// Appends to `out` what `point` makes of what stands first in a range, at most `count_max`, in order of time.
    pub(super) fn copy_range<P>(
        &self,
        range: TimeRange,
        count_max: usize,
        point: impl Fn(Written) -> P,
        out: &mut Vec<P>,
    ) {
        let mut left = count_max;
        for Piece { start, places } in self.pieces(range) {
            let taken = places.len().min(left);
            out.extend(places[..taken].iter().map(|place| point(place.written(start))));
            left -= taken;
            if left == 0 {
                break;
            }
        }
    }

    /// Memory held, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let room: usize = self.full.iter().chain([&self.end]).map(|block| block.places.capacity()).sum();
        room * size_of::<Place>() + self.full.capacity() * size_of::<Block>()
    }

    /// What stands in a range: pieces of blocks, none of them empty.
    fn pieces(&self, range: TimeRange) -> impl DoubleEndedIterator<Item = Piece<'_>> {
        let (from, to) = (range.start().as_millis(), range.end().as_millis());
        // A block ends where the next one starts at the latest.
        let start = self.full.partition_point(|block| block.start < from).saturating_sub(1);
        let end = self.full.partition_point(|block| block.start < to).max(start);
        let blocks = self.full[start..end].iter().chain([&self.end]);
        blocks.map(move |block| block.within(from, to)).filter(|piece| !piece.places.is_empty())
    }
}

/// Some points of a block.
#[derive(Clone, Copy)]
struct Piece<'a> {
    start: i64,
    places: &'a [Place],
}

impl<'a> Piece<'a> {
    fn written(self) -> impl Iterator<Item = Written> + 'a {
        self.places.iter().map(move |place| place.written(self.start))
    }

    fn time(&self, position: usize) -> i64 {
        self.places[position].written(self.start).time
    }
}

impl Place {
    fn written(&self, start: i64) -> Written {
        Written { time: start + i64::from(self.offset), manner: self.manner, bits: self.bits }
    }
}

impl Block {
    /// How many points are older than a moment.
    fn before(&self, moment: i64) -> usize {
        self.places.partition_point(|place| place.written(self.start).time < moment)
    }

    /// The same for a moment that mostly is near the end.
    fn place_of(&self, moment: i64) -> usize {
        let (far, near) = self.places.split_at(self.places.len().saturating_sub(LOOKED_AT_MAX));
        match near.iter().rposition(|place| place.written(self.start).time < moment) {
            Some(position) => far.len() + position + 1,
            None => far.partition_point(|place| place.written(self.start).time < moment),
        }
    }

    fn within(&self, from: i64, to: i64) -> Piece<'_> {
        let (first, last) = (self.places.first(), self.places.last());
        let time = |place: &Place| place.written(self.start).time;
        // Mostly all of them are.
        let start = if first.is_none_or(|first| from <= time(first)) { 0 } else { self.before(from) };
        let end = if last.is_none_or(|last| time(last) < to) { self.places.len() } else { self.before(to) };
        Piece { start: self.start, places: &self.places[start..end.max(start)] }
    }

    /// The offset of a time, from which on the block starts if it did so later. None if offsets would be too long.
    fn offset_of(&mut self, time: i64) -> Option<u32> {
        if time < self.start {
            let last = self.places.last().map_or(self.start, |last| last.written(self.start).time);
            u32::try_from(last - time).ok()?;
            self.start_from(time);
        }
        u32::try_from(time - self.start).ok()
    }

    /// Tells all offsets from another start, from which none of them is too long.
    fn start_from(&mut self, start: i64) {
        // Modulo 2^32, where a way back is a way forward.
        let moved = u32::try_from((self.start - start).rem_euclid(1 << 32)).expect("it is less than 2^32");
        self.places.iter_mut().for_each(|place| place.offset = place.offset.wrapping_add(moved));
        self.start = start;
    }
}

fn bytes_of(places: usize) -> isize {
    (places * size_of::<Place>()).cast_signed()
}

fn contains(range: TimeRange, time: i64) -> bool {
    range.start().as_millis() <= time && time < range.end().as_millis()
}
