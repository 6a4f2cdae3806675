//! A chunk of summaries: records of one series as columns, and back. Nothing is stored that can be told from the rest,
//! and what belongs together is stored as distances. The layout is docs/format.md, "Summaries".

mod decimal;
mod part;
mod read;
mod sketches;
#[cfg(test)]
mod tests;
mod write;

use crate::codec::varint::{self, Reader};
use crate::codec::{Malformed, floats, ints};
use crate::model::limits::SUMMARY_RECORDS_MAX;
use crate::model::sketch::Sketch;
use crate::model::summary::{Record, approximate};

/// A column of a chunk. The numbers are the order on disk and the bits that say which ones there are; the common ones
/// come first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Column {
    Tags,
    Gaps,
    FirstTimes,
    SingleFloats,
    SingleInts,
    LastTimes,
    Counts,
    Firsts,
    Lasts,
    Lows,
    Highs,
    Sums,
    Spreads,
    Units,
    WideSums,
    WideSpreads1,
    WideSpreads2,
    WideSpreads3,
    RawSpreads,
    RawFirsts,
    RawLasts,
    RawMins,
    RawMaxs,
    RawSums,
    RawSumsLow,
}

impl Column {
    const ALL: [Self; 25] = [
        Self::Tags,
        Self::Gaps,
        Self::FirstTimes,
        Self::SingleFloats,
        Self::SingleInts,
        Self::LastTimes,
        Self::Counts,
        Self::Firsts,
        Self::Lasts,
        Self::Lows,
        Self::Highs,
        Self::Sums,
        Self::Spreads,
        Self::Units,
        Self::WideSums,
        Self::WideSpreads1,
        Self::WideSpreads2,
        Self::WideSpreads3,
        Self::RawSpreads,
        Self::RawFirsts,
        Self::RawLasts,
        Self::RawMins,
        Self::RawMaxs,
        Self::RawSums,
        Self::RawSumsLow,
    ];
    /// Four words of 64 bits, the lowest first.
    const SPREADS: [Self; 4] = [Self::Spreads, Self::WideSpreads1, Self::WideSpreads2, Self::WideSpreads3];

    /// Whether its entries are the bits of doubles.
    fn is_float(self) -> bool {
        self == Self::SingleFloats || self as usize >= Self::RawSpreads as usize
    }
}

/// The entries of each column.
type Columns = [Vec<i64>; Column::ALL.len()];

/// What kind of record it is: the bits of an entry in the column of tags.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Tag(i64);

impl Tag {
    /// One point, of which everything else follows.
    const SINGLE: Self = Self(1);
    /// There are integers; not of a single point.
    const INTS: Self = Self(1 << 1);
    /// There are floats; not of a single point.
    const FLOATS: Self = Self(1 << 2);
    /// The first value is a float.
    const FIRST_FLOAT: Self = Self(1 << 3);
    /// The last value is a float; not of a single point.
    const LAST_FLOAT: Self = Self(1 << 4);
    /// The floats are no decimals, or their sum is none.
    const RAW: Self = Self(1 << 5);
    /// The floats are decimals, but their squared distances are not.
    const RAW_SPREAD: Self = Self(1 << 6);
    const BOUND: Self = Self(1 << 7);
    const REPLACES: Self = Self(1 << 8);
    const AMENDED: Self = Self(1 << 9);

    /// There is a sketch.
    const SKETCH: Self = Self(1 << 10);

    const UNUSED: i64 = !((1 << 11) - 1);

    fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn with(self, other: Self, there: bool) -> Self {
        if there { Self(self.0 | other.0) } else { self }
    }
}

/// Appends the chunk. Records ascend by start; starts are multiples of `resolution`, in ms.
pub(crate) fn encode(records: &[Record], resolution: i64, out: &mut Vec<u8>) {
    assert!(records.len() <= SUMMARY_RECORDS_MAX, "a chunk is cut before it is encoded");
    let exponent = decimal::choose(records);
    let columns = write::columns(records, resolution, exponent);
    let is_there = |column: Column| columns[column as usize].iter().any(|&entry| entry != 0);
    let there = Column::ALL.map(|column| u64::from(is_there(column)) << column as usize);
    varint::put(out, there.into_iter().sum());
    out.push(exponent);
    for column in Column::ALL.into_iter().filter(|&column| is_there(column)) {
        let entries = &columns[column as usize];
        if column.is_float() {
            let bits: Vec<u64> = entries.iter().map(|entry| entry.cast_unsigned()).collect();
            let mut bytes = Vec::new();
            floats::encode(&bits, &mut bytes);
            varint::put_bytes(out, &bytes);
        } else {
            ints::encode(entries, out);
        }
    }
    for record in records.iter().filter(|record| !write::is_single(&record.summary)) {
        record.summary.sketch.iter().for_each(|sketch| sketches::put(sketch, out));
    }
}

/// Appends the `count` records of a chunk whose first window starts at `first`; they must take all of the bytes. No unit
/// has a number above `units`.
///
/// # Errors
/// If the bytes are no chunk of so many records. Some may have been appended then.
pub(crate) fn decode(
    bytes: &[u8],
    count: usize,
    first: i64,
    resolution: i64,
    units: u32,
    out: &mut Vec<Record>,
) -> Result<(), Malformed> {
    if count > SUMMARY_RECORDS_MAX {
        return Err(Malformed("a chunk has too many summaries"));
    }
    let mut reader = Reader::new(bytes);
    let there = reader.number()?;
    let exponent = reader.byte()?;
    if there >> Column::ALL.len() != 0 || exponent > decimal::EXPONENT_MAX {
        return Err(Malformed("the form of summaries is unknown"));
    }
    let mut columns = Columns::default();
    let mut lens = [0; Column::ALL.len()];
    lens[Column::Tags as usize] = count;
    for column in Column::ALL {
        let (len, entries) = (lens[column as usize], &mut columns[column as usize]);
        if there >> column as usize & 1 == 0 {
            entries.resize(len, 0);
        } else if len == 0 {
            return Err(Malformed("a column of summaries has no entries"));
        } else if column.is_float() {
            let mut bits = Vec::new();
            floats::decode(reader.bytes()?, len, &mut bits)?;
            entries.extend(bits.into_iter().map(u64::cast_signed));
        } else {
            ints::decode_from(&mut reader, len, entries)?;
        }
        if column == Column::Tags {
            lens = read::lens(entries)?;
        }
    }
    let start = out.len();
    let tags = columns[Column::Tags as usize].clone();
    read::records(columns, exponent, (first, resolution), units, out)?;
    for (record, tag) in out[start..].iter_mut().zip(tags).filter(|(_, tag)| Tag(*tag).has(Tag::SKETCH)) {
        let single = Tag(tag).has(Tag::SINGLE).then(|| Sketch::of(approximate(record.summary.first.value)));
        let sketch = single.map_or_else(|| sketches::read(&mut reader), Ok)?;
        if sketch.count() != Some(record.summary.count()) {
            return Err(Malformed("a sketch is not of the values of its window"));
        }
        record.summary.sketch = Some(Box::new(sketch));
    }
    if reader.is_empty() { Ok(()) } else { Err(Malformed("bytes behind summaries")) }
}
