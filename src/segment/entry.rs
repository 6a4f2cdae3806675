//! The bytes of a chunk's entry in the directory, relative to the one before it in its page.

use std::ops::Range;

use crate::codec::Malformed;
use crate::codec::points::{Column, Expiry, Shape, UnitOf};
use crate::codec::stats::Stats;
use crate::codec::varint::{self, Reader};
use crate::model::limits::BLOCK_BYTES_MAX;
use crate::model::packed::NEVER;
use crate::model::series::SeriesId;
use crate::segment::chunk::{Chunk, Place, SHORT_BYTES_MAX, Short};
use crate::segment::format::{CHECKSUM_BYTES, FILE_HEADER_BYTES};

// The tag of an entry.
const KINDS_INTS: u8 = 0;
const KINDS_FLOATS: u8 = 1;
const KINDS_MIXED: u8 = 2;
const EXPIRY_NEVER: u8 = 1 << 2;
const EXPIRY_AFTER: u8 = 2 << 2;
const EXPIRY_COLUMN: u8 = 3 << 2;
const UNIT_ALL: u8 = 1 << 4;
const UNIT_COLUMN: u8 = 2 << 4;
const SERIES_NEXT: u8 = 1 << 6;
const SERIES_OTHER: u8 = 2 << 6;

// The low bits of a place.
const PLACE_NEW: u64 = 0;
const PLACE_HERE: u64 = 1;
const PLACE_EARLIER: u64 = 2;
const PLACE_LISTED: u64 = 3;

/// Most times that a page lists, so that both sides find one quickly.
const LISTED_MAX: usize = 64;

/// What the next entry of a page is relative to.
pub(super) struct Before {
    series: SeriesId,
    /// First time of the first chunk of that series in the page.
    start: i64,
    last: i64,
    expiry: Expiry,
    unit: UnitOf,
    /// Offset of the next new block.
    pub(super) next_block: u64,
    listed: Vec<Times>,
}

/// Times that later chunks of the page may have too.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Times {
    place: Place,
    count: u32,
    first: i64,
    last: i64,
}

impl Before {
    /// The start of a page.
    pub(super) fn page((series, first): (SeriesId, i64), next_block: u64) -> Self {
        let (expiry, unit) = (Expiry::Never, UnitOf::All(0));
        Self { series, start: first, last: first, expiry, unit, next_block, listed: Vec::new() }
    }

    /// Steps behind a chunk. Its blocks were counted as they were written or read.
    fn step(&mut self, chunk: &Chunk) {
        if chunk.series != self.series {
            self.start = chunk.shape.first;
        }
        (self.series, self.last) = (chunk.series, chunk.shape.last);
        if !matches!(chunk.shape.expiry, Expiry::Column { .. }) {
            self.expiry = chunk.shape.expiry;
        }
        if chunk.shape.unit != UnitOf::Column {
            self.unit = chunk.shape.unit;
        }
    }

    fn list(&mut self, times: Times) {
        if self.listed.len() < LISTED_MAX {
            self.listed.push(times);
        }
    }

    /// What the first time of a chunk counts from.
    fn time_before(&self, series: SeriesId) -> i64 {
        if series == self.series { self.last } else { self.start }
    }
}

/// Appends the entry of a chunk that stands behind `before`.
pub(super) fn encode(chunk: &Chunk, before: &mut Before, out: &mut Vec<u8>) {
    let shape = &chunk.shape;
    let mut tag = match (shape.ints == shape.count, shape.floats == shape.count) {
        (true, _) => KINDS_INTS,
        (_, true) => KINDS_FLOATS,
        _ => KINDS_MIXED,
    };
    tag |= match shape.expiry {
        same if same == before.expiry => 0,
        Expiry::Never => EXPIRY_NEVER,
        Expiry::After(_) => EXPIRY_AFTER,
        Expiry::Column { .. } => EXPIRY_COLUMN,
    };
    tag |= match shape.unit {
        same if same == before.unit => 0,
        UnitOf::All(_) => UNIT_ALL,
        UnitOf::Column => UNIT_COLUMN,
    };
    let more = chunk.series.0 - before.series.0;
    tag |= match more {
        0 => 0,
        1 => SERIES_NEXT,
        _ => SERIES_OTHER,
    };
    out.push(tag);
    if tag & SERIES_OTHER != 0 {
        varint::put(out, u64::from(more));
    }
    encode_times(chunk, before, out);
    if tag & KINDS_MIXED != 0 {
        varint::put(out, u64::from(shape.ints));
        varint::put(out, u64::from(shape.floats));
    }
    encode_place(chunk, Column::Kinds, before, out);
    if shape.ints > 0 {
        chunk.stats.encode_ints(shape.ints, out);
    }
    encode_place(chunk, Column::Ints, before, out);
    if shape.floats > 0 {
        chunk.stats.encode_floats(shape.floats, out);
    }
    encode_place(chunk, Column::Floats, before, out);
    match shape.expiry {
        Expiry::After(ttl) if tag & EXPIRY_COLUMN == EXPIRY_AFTER => varint::put_signed(out, ttl),
        Expiry::Column { min, max } => {
            put_expiry(out, min, shape.first);
            put_expiry(out, max, shape.first);
        }
        _ => {}
    }
    encode_place(chunk, Column::Expiries, before, out);
    match shape.unit {
        UnitOf::All(unit) if tag & UNIT_ALL != 0 => varint::put(out, u64::from(unit)),
        _ => {}
    }
    encode_place(chunk, Column::Units, before, out);
    before.step(chunk);
}

fn encode_times(chunk: &Chunk, before: &mut Before, out: &mut Vec<u8>) {
    let Shape { count, first, last, .. } = chunk.shape;
    let times = Times { place: chunk.places[Column::Times as usize], count, first, last };
    if let Some(position) = before.listed.iter().position(|listed| *listed == times) {
        varint::put(out, (position as u64) << 2 | PLACE_LISTED);
        return;
    }
    if times.place == Place::Nowhere {
        varint::put(out, PLACE_HERE);
    } else {
        encode_place(chunk, Column::Times, before, out);
    }
    varint::put(out, u64::from(count));
    varint::put_signed(out, first - before.time_before(chunk.series));
    varint::put(out, (last - first).cast_unsigned());
    before.list(times);
}

fn encode_place(chunk: &Chunk, column: Column, before: &mut Before, out: &mut Vec<u8>) {
    match chunk.places[column as usize] {
        Place::Nowhere => {}
        Place::Here(short) => {
            varint::put(out, (short.bytes().len() as u64) << 2 | PLACE_HERE);
            out.extend_from_slice(short.bytes());
        }
        Place::Block { offset, len } if offset == before.next_block => {
            varint::put(out, (len as u64) << 2 | PLACE_NEW);
            before.next_block += (len + CHECKSUM_BYTES) as u64;
        }
        Place::Block { offset, len } => {
            varint::put(out, (len as u64) << 2 | PLACE_EARLIER);
            varint::put(out, before.next_block - offset);
        }
    }
}

fn put_expiry(out: &mut Vec<u8>, expiry: i64, first: i64) {
    if expiry == NEVER {
        out.push(0);
    } else {
        varint::put(out, 1 + varint::zigzag(expiry - first));
    }
}

/// Reads entries: those of one page, whose blocks end before `blocks_end` and whose units are below `units`.
pub(super) struct EntryReader<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) before: Before,
    pub(super) blocks_end: u64,
    /// Highest number of a unit.
    pub(super) units: u32,
}

impl EntryReader<'_> {
    /// The next entry. The page has one more.
    pub(super) fn read(&mut self) -> Result<Chunk, Malformed> {
        let tag = self.reader.byte()?;
        let more = match tag & (3 << 6) {
            0 => 0,
            SERIES_NEXT => 1,
            SERIES_OTHER => self.reader.number()?,
            _ => return Err(Malformed("the tag of a chunk is unknown")),
        };
        let series = u32::try_from(more).ok().and_then(|more| self.before.series.0.checked_add(more));
        let series = SeriesId(series.ok_or(Malformed("a series id is out of range"))?);
        let times = self.read_times(series)?;
        let mut places = [Place::Nowhere; Column::ALL.len()];
        places[Column::Times as usize] = times.place;
        let (ints, floats) = match tag & 3 {
            KINDS_INTS => (times.count, 0),
            KINDS_FLOATS => (0, times.count),
            KINDS_MIXED => (self.small()?, self.small()?),
            _ => return Err(Malformed("the tag of a chunk is unknown")),
        };
        if tag & 3 == KINDS_MIXED {
            if ints == times.count || floats == times.count {
                return Err(Malformed("the tag of a chunk is not that of its points"));
            }
            places[Column::Kinds as usize] = self.read_place()?;
        }
        let mut stats = Stats { ints: None, floats: None, non_finite: 0 };
        if ints > 0 {
            stats.decode_ints(&mut self.reader, ints)?;
            places[Column::Ints as usize] = self.read_place()?;
        }
        if floats > 0 {
            stats.decode_floats(&mut self.reader, floats)?;
            places[Column::Floats as usize] = self.read_place()?;
        }
        let expiry = self.read_expiry(tag, times.first)?;
        if matches!(expiry, Expiry::Column { .. }) {
            places[Column::Expiries as usize] = self.read_place()?;
        }
        let unit = self.read_unit(tag)?;
        if unit == UnitOf::Column {
            places[Column::Units as usize] = self.read_place()?;
        }
        let Times { place, count, first, last } = times;
        let even = place == Place::Nowhere;
        let chunk =
            Chunk { series, stats, shape: Shape { count, ints, floats, first, last, even, expiry, unit }, places };
        chunk.shape.check()?;
        self.before.step(&chunk);
        Ok(chunk)
    }

    fn read_times(&mut self, series: SeriesId) -> Result<Times, Malformed> {
        const RANGE: Malformed = Malformed("a chunk's times are out of range");
        let number = self.reader.number()?;
        if number & 3 == PLACE_LISTED {
            let position = usize::try_from(number >> 2).unwrap_or(usize::MAX);
            return self.before.listed.get(position).copied().ok_or(Malformed("a page lists no such times"));
        }
        let place = if number == PLACE_HERE { Place::Nowhere } else { self.place(number)? };
        if matches!(place, Place::Here(_)) {
            return Err(Malformed("a chunk's times are in no block"));
        }
        let count = self.small()?;
        let first = self.before.time_before(series).checked_add(self.reader.signed()?).ok_or(RANGE)?;
        let last = first.checked_add_unsigned(self.reader.number()?).ok_or(RANGE)?;
        let times = Times { place, count, first, last };
        self.before.list(times);
        Ok(times)
    }

    fn read_expiry(&mut self, tag: u8, first: i64) -> Result<Expiry, Malformed> {
        Ok(match tag & EXPIRY_COLUMN {
            0 => self.before.expiry,
            EXPIRY_NEVER => Expiry::Never,
            EXPIRY_AFTER => Expiry::After(self.reader.signed()?),
            _ => Expiry::Column { min: self.expiry(first)?, max: self.expiry(first)? },
        })
    }

    fn expiry(&mut self, first: i64) -> Result<i64, Malformed> {
        let Some(zigzag) = self.reader.number()?.checked_sub(1) else { return Ok(NEVER) };
        let distance = varint::unzigzag(zigzag);
        first.checked_add(distance).ok_or(Malformed("a chunk's expiry is out of range"))
    }

    fn read_unit(&mut self, tag: u8) -> Result<UnitOf, Malformed> {
        Ok(match tag & (3 << 4) {
            0 => self.before.unit,
            UNIT_ALL => {
                let unit = u32::try_from(self.reader.number()?).ok().filter(|&unit| unit <= self.units);
                UnitOf::All(unit.ok_or(Malformed("a chunk's unit is not in the table"))?)
            }
            UNIT_COLUMN => UnitOf::Column,
            _ => return Err(Malformed("the tag of a chunk is unknown")),
        })
    }

    fn small(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.reader.number()?).map_err(|_| Malformed("a number of points is out of range"))
    }

    fn read_place(&mut self) -> Result<Place, Malformed> {
        let number = self.reader.number()?;
        self.place(number)
    }

    fn place(&mut self, number: u64) -> Result<Place, Malformed> {
        const RANGE: Malformed = Malformed("a block is out of range");
        let len = usize::try_from(number >> 2).ok().filter(|&len| len <= BLOCK_BYTES_MAX).ok_or(RANGE)?;
        let next = self.before.next_block;
        let whole = (len + CHECKSUM_BYTES) as u64;
        let blocks: Range<u64> = FILE_HEADER_BYTES as u64..next;
        match number & 3 {
            PLACE_NEW => {
                self.before.next_block = next.checked_add(whole).filter(|&end| end <= self.blocks_end).ok_or(RANGE)?;
                Ok(Place::Block { offset: next, len })
            }
            PLACE_HERE => {
                let bytes = (0..len.min(SHORT_BYTES_MAX + 1)).map(|_| self.reader.byte());
                Short::new(&bytes.collect::<Result<Vec<u8>, _>>()?).map(Place::Here).ok_or(RANGE)
            }
            PLACE_EARLIER => {
                let offset = next.checked_sub(self.reader.number()?).filter(|offset| blocks.contains(offset));
                let offset = offset.filter(|offset| offset + whole <= next).ok_or(RANGE)?;
                Ok(Place::Block { offset, len })
            }
            _ => Err(Malformed("a place is unknown")),
        }
    }
}
