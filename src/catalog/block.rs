//! A block: neighbouring series in the order of their names, each name without what it shares with the one before.
//! Encoding, checking and cutting only; where blocks are kept is not known here.

use crate::catalog::name::Stored;
use crate::codec::varint::{self, Reader};
use crate::codec::{Malformed, checksum};
use crate::model::limits::{CATALOG_BLOCK_BYTES_MAX, CATALOG_BLOCK_SERIES_MAX};
use crate::model::segment::CatalogMark;
use crate::model::series::SeriesId;

/// Version of a block's format.
const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 4;

/// How large blocks get.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Size {
    pub(super) series_max: usize,
    pub(super) bytes_max: usize,
}

impl Default for Size {
    fn default() -> Self {
        Self { series_max: CATALOG_BLOCK_SERIES_MAX, bytes_max: CATALOG_BLOCK_BYTES_MAX }
    }
}

impl Size {
    /// Whether these series should share a block with their neighbours.
    pub(super) fn is_small(self, series: &[Stored]) -> bool {
        series.len() < self.series_max / 4 && costs(series).sum::<usize>() < self.bytes_max / 4
    }

    /// Cuts series into blocks of about one size; at the end of all series, where more may follow, into full ones.
    pub(super) fn cut(self, mut series: &[Stored], is_end: bool) -> Vec<&[Stored]> {
        let bytes: usize = costs(series).sum();
        let blocks = series.len().div_ceil(self.series_max).max(bytes.div_ceil(self.bytes_max)).max(1);
        let (series_max, bytes_max) = if is_end {
            (self.series_max, self.bytes_max)
        } else {
            // With room for one more than the mean, or what is over would make a block of its own.
            let longest = costs(series).max().unwrap_or(0);
            (series.len().div_ceil(blocks), bytes / blocks + longest)
        };
        let mut cut = Vec::with_capacity(blocks);
        while !series.is_empty() {
            let mut bytes = 0;
            let fitting = costs(series).take(series_max).take_while(|cost| {
                bytes += cost;
                bytes <= bytes_max
            });
            let (block, rest) = series.split_at(fitting.count().max(1));
            cut.push(block);
            series = rest;
        }
        cut
    }
}

/// What each series takes in a block that starts with the first of them, in bytes, to within a few.
fn costs(series: &[Stored]) -> impl Iterator<Item = usize> {
    /// Two lengths and an id, each of a few bytes.
    const NUMBERS_BYTES: usize = 6;
    let before = series.first().into_iter().chain(series);
    series
        .iter()
        .zip(before)
        .map(|(each, before)| each.name.len() - shared(&before.name, &each.name) + each.order.len() + NUMBERS_BYTES)
}

fn shared(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

/// The block of these series; it is kept under the first one's name.
pub(super) fn encode(series: &[Stored]) -> Vec<u8> {
    let first = &series.first().expect("a block is not empty").name;
    let mut out = vec![VERSION];
    varint::put(&mut out, series.len() as u64);
    let (mut name, mut id) = (first.as_slice(), 0);
    for each in series {
        let shared = shared(name, &each.name);
        varint::put(&mut out, (shared as u64) << 1 | u64::from(!each.order.is_empty()));
        varint::put_bytes(&mut out, &each.name[shared..]);
        varint::put_signed(&mut out, i64::from(each.id.0) - id);
        if !each.order.is_empty() {
            varint::put_bytes(&mut out, &each.order);
        }
        (name, id) = (&each.name, i64::from(each.id.0));
    }
    let checksum = seal(first, &out);
    out.extend_from_slice(&checksum);
    out
}

/// The series of the block that is kept under this name.
pub(super) fn decode(first: &[u8], bytes: &[u8]) -> Result<Vec<Stored>, Malformed> {
    let Some((content, checksum)) = bytes.split_last_chunk::<CHECKSUM_BYTES>() else {
        return Err(Malformed("a block ends too early"));
    };
    if *checksum != seal(first, content) {
        return Err(Malformed("a block does not match its checksum"));
    }
    let mut reader = Reader::new(content);
    if reader.byte()? != VERSION {
        return Err(Malformed("a block is of another version"));
    }
    let count = reader.count(3)?;
    if !(1..=CATALOG_BLOCK_SERIES_MAX).contains(&count) {
        return Err(Malformed("a block has too many series or none"));
    }
    let mut series: Vec<Stored> = Vec::with_capacity(count);
    let mut id = 0;
    for _ in 0..count {
        let before = series.last().map_or(first, |before| &before.name);
        let shared = reader.number()?;
        let start = usize::try_from(shared >> 1).ok().and_then(|shared| before.get(..shared));
        let name = [start.ok_or(Malformed("a name shares more than there is"))?, reader.bytes()?].concat();
        if if series.is_empty() { name != before } else { name.as_slice() <= before } {
            return Err(Malformed("names are out of order"));
        }
        id = i64::checked_add(id, reader.signed()?).ok_or(Malformed("an id is out of range"))?;
        let order = if shared & 1 == 1 { reader.bytes()?.to_vec() } else { Vec::new() };
        let id = SeriesId(u32::try_from(id).map_err(|_| Malformed("an id is out of range"))?);
        series.push(Stored { name, id, order });
    }
    if reader.is_empty() { Ok(series) } else { Err(Malformed("a block has bytes too many")) }
}

/// The record that says what all blocks add up to; it is kept under this key.
pub(super) fn encode_mark(key: &[u8], mark: &CatalogMark) -> Vec<u8> {
    let mut out = vec![VERSION];
    for number in [mark.generation, mark.series, mark.checksum] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    let checksum = seal(key, &out);
    out.extend_from_slice(&checksum);
    out
}

pub(super) fn decode_mark(key: &[u8], bytes: &[u8]) -> Result<CatalogMark, Malformed> {
    let Some((content, checksum)) = bytes.split_last_chunk::<CHECKSUM_BYTES>() else {
        return Err(Malformed("the mark ends too early"));
    };
    if *checksum != seal(key, content) {
        return Err(Malformed("the mark does not match its checksum"));
    }
    let mut reader = Reader::new(content);
    if reader.byte()? != VERSION {
        return Err(Malformed("the mark is of another version"));
    }
    let mut number = || reader.array().map(u64::from_le_bytes);
    let mark = CatalogMark { generation: number()?, series: number()?, checksum: number()? };
    if reader.is_empty() { Ok(mark) } else { Err(Malformed("the mark has bytes too many")) }
}

/// The checksum of a record under its key, so that a swapped one never passes.
fn seal(key: &[u8], content: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let length = (key.len() as u64).to_le_bytes();
    checksum::of(&[length.as_slice(), key, content].concat()).to_le_bytes()
}
