//! The bytes of a chunk of points' entry in the directory, relative to the one before it in its page.

use std::sync::Arc;

use crate::codec::Malformed;
use crate::codec::points::{Column, Expiry, Shape, UnitOf};
use crate::codec::stats::Stats;
use crate::codec::varint;
use crate::model::limits::DIRECTORY_PAGE_BYTES_MAX;
use crate::model::packed::NEVER;
use crate::model::series::SeriesId;
use crate::segment::cache::Item;
use crate::segment::chunk::Chunk;
use crate::segment::page::{Entry, PageReader, put_tag};
use crate::segment::place::{Blocks, PLACE_EMPTY, PLACE_OTHER, Place};

// The tag of an entry.
const KINDS_INTS: u8 = 0;
const KINDS_FLOATS: u8 = 1;
const KINDS_MIXED: u8 = 2;
const KINDS_APART: u8 = 3;
const EXPIRY_NEVER: u8 = 1 << 2;
const EXPIRY_AFTER: u8 = 2 << 2;
const EXPIRY_COLUMN: u8 = 3 << 2;
const UNIT_ALL: u8 = 1 << 4;
const UNIT_COLUMN: u8 = 2 << 4;

/// The low bits of a place of times that the page lists.
const PLACE_LISTED: u64 = PLACE_OTHER;

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

impl Entry for Chunk {
    /// No entry is longer than what is left to the longest page.
    const PAGE_BYTES: usize = DIRECTORY_PAGE_BYTES_MAX * 3 / 4;

    type Before = Before;

    fn before((series, first): (SeriesId, i64), _step: i64) -> Before {
        let (expiry, unit) = (Expiry::Never, UnitOf::All(0));
        Before { series, start: first, last: first, expiry, unit, listed: Vec::new() }
    }

    fn encode(&self, before: &mut Before, blocks: &mut Blocks, out: &mut Vec<u8>) {
        let shape = &self.shape;
        let mut tag = match (shape.ints == shape.count, shape.floats == shape.count) {
            _ if shape.apart => KINDS_APART,
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
        put_tag(tag, self.series, before.series, out);
        encode_times(self, before, blocks, out);
        let mut place = |column: Column, out: &mut Vec<u8>| self.places[column as usize].encode(blocks, out);
        if tag & KINDS_MIXED != 0 {
            varint::put(out, u64::from(shape.ints));
            varint::put(out, u64::from(shape.floats));
        }
        place(Column::Kinds, out);
        if shape.ints > 0 {
            self.stats.encode_ints(shape.ints, out);
        }
        place(Column::Ints, out);
        if shape.floats > 0 {
            self.stats.encode_floats(shape.floats, out);
        }
        place(Column::Floats, out);
        match shape.expiry {
            Expiry::After(ttl) if tag & EXPIRY_COLUMN == EXPIRY_AFTER => varint::put_signed(out, ttl),
            Expiry::Column { min, max } => {
                put_expiry(out, min, shape.first);
                put_expiry(out, max, shape.first);
            }
            _ => {}
        }
        place(Column::Expiries, out);
        match shape.unit {
            UnitOf::All(unit) if tag & UNIT_ALL != 0 => varint::put(out, u64::from(unit)),
            _ => {}
        }
        place(Column::Units, out);
        before.step(self);
    }

    fn decode(page: &mut PageReader<'_, Self>) -> Result<Self, Malformed> {
        let (tag, series) = page.tag(page.before.series)?;
        let times = page.read_times(series)?;
        let mut places = [Place::Nowhere; Column::ALL.len()];
        places[Column::Times as usize] = times.place;
        let (ints, floats) = match tag & 3 {
            KINDS_INTS => (times.count, 0),
            KINDS_FLOATS => (0, times.count),
            _ => (page.small()?, page.small()?),
        };
        let apart = tag & 3 == KINDS_APART;
        if tag & KINDS_MIXED != 0 {
            if !apart && (ints == times.count || floats == times.count) {
                return Err(Malformed("the tag of a chunk is not that of its points"));
            }
            places[Column::Kinds as usize] = page.place()?;
        }
        let mut stats = Stats { ints: None, floats: None, non_finite: 0 };
        if ints > 0 {
            stats.decode_ints(&mut page.reader, ints)?;
            places[Column::Ints as usize] = page.place()?;
        }
        if floats > 0 {
            stats.decode_floats(&mut page.reader, floats)?;
            places[Column::Floats as usize] = page.place()?;
        }
        let expiry = page.read_expiry(tag, times.first)?;
        if matches!(expiry, Expiry::Column { .. }) {
            places[Column::Expiries as usize] = page.place()?;
        }
        let unit = page.read_unit(tag)?;
        if unit == UnitOf::Column {
            places[Column::Units as usize] = page.place()?;
        }
        let Times { place, count, first, last } = times;
        let even = place == Place::Nowhere;
        let chunk = Chunk {
            series,
            stats,
            shape: Shape { count, ints, floats, first, last, apart, even, expiry, unit },
            places,
        };
        chunk.shape.check()?;
        page.before.step(&chunk);
        Ok(chunk)
    }

    fn series(&self) -> SeriesId {
        self.series
    }

    fn count(&self) -> u32 {
        self.shape.count
    }

    fn times(&self) -> (i64, i64) {
        (self.shape.first, self.shape.last)
    }

    fn expiries(&self) -> (i64, i64) {
        self.shape.expiries()
    }

    fn places(&self) -> &[Place] {
        &self.places
    }

    fn keep(entries: &Arc<[Self]>) -> Item {
        Item::Points(entries.clone())
    }

    fn kept(item: Item) -> Option<Arc<[Self]>> {
        if let Item::Points(entries) = item { Some(entries) } else { None }
    }
}

fn encode_times(chunk: &Chunk, before: &mut Before, blocks: &mut Blocks, out: &mut Vec<u8>) {
    let Shape { count, first, last, .. } = chunk.shape;
    let times = Times { place: chunk.places[Column::Times as usize], count, first, last };
    if let Some(position) = before.listed.iter().position(|listed| *listed == times) {
        varint::put(out, (position as u64) << 2 | PLACE_LISTED);
        return;
    }
    if times.place == Place::Nowhere {
        varint::put(out, PLACE_EMPTY);
    } else {
        times.place.encode(blocks, out);
    }
    varint::put(out, u64::from(count));
    varint::put_signed(out, first - before.time_before(chunk.series));
    varint::put(out, (last - first).cast_unsigned());
    before.list(times);
}

fn put_expiry(out: &mut Vec<u8>, expiry: i64, first: i64) {
    if expiry == NEVER {
        out.push(0);
    } else {
        varint::put(out, 1 + varint::zigzag(expiry - first));
    }
}

impl PageReader<'_, Chunk> {
    fn read_times(&mut self, series: SeriesId) -> Result<Times, Malformed> {
        const RANGE: Malformed = Malformed("a chunk's times are out of range");
        let number = self.reader.number()?;
        if number & 3 == PLACE_LISTED {
            let position = usize::try_from(number >> 2).unwrap_or(usize::MAX);
            return self.before.listed.get(position).copied().ok_or(Malformed("a page lists no such times"));
        }
        let place = if number == PLACE_EMPTY { Place::Nowhere } else { self.place_of(number)? };
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
}
