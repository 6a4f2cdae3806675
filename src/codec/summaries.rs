//! A chunk of summaries: records of one series as columns, and back. Nothing is stored that can be told from the rest,
//! and what belongs together is stored as distances. The layout is docs/format.md, "Summaries".

mod decimal;
mod numbers;
mod part;
mod read;
mod sketches;
#[cfg(test)]
mod tests;
mod write;

use std::ops::Range;

use crate::codec::held::Held;
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

/// The columns of a chunk, decoded.
#[derive(Debug)]
pub(crate) struct KeptSummaries {
    columns: [Held; Column::ALL.len()],
    exponent: u8,
    /// Window of each record, counted from the first.
    places: Held,
    /// The kind of every record, if all are of one. Then a record's place is the same in all columns, and where values
    /// start and end is told by itself, not from the record before.
    only: Option<Tag>,
    sketches: Vec<Sketch>,
}

const COUNT_MAX: Malformed = Malformed("a chunk has too many summaries");

impl KeptSummaries {
    /// The columns of a chunk of so many records, which must take all of the bytes; as small as they may be if they stay
    /// in memory.
    pub(crate) fn decode(bytes: &[u8], count: usize, stays: bool) -> Result<Self, Malformed> {
        if count > SUMMARY_RECORDS_MAX {
            return Err(COUNT_MAX);
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
        let sketches = read_sketches(&columns[Column::Tags as usize], &mut reader)?;
        if !reader.is_empty() {
            return Err(Malformed("bytes behind summaries"));
        }
        let places = read::places(&columns[Column::Gaps as usize], count)?;
        let only = read::only_tag(&columns);
        if only.is_some() {
            read::tell_ends(&mut columns);
        }
        let held = |values: Vec<i64>| if stays { Held::of(&values) } else { Held::passing(values) };
        Ok(Self { columns: columns.map(held), exponent, places: held(places), only, sketches })
    }

    /// Number of records.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// The place of the last record, counted in windows from the first one; none without records.
    pub(crate) fn last_place(&self) -> Option<i64> {
        self.len().checked_sub(1).map(|last| self.places.get(last))
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let sketches: usize = self.sketches.iter().map(Sketch::bytes).sum();
        self.columns.iter().chain([&self.places]).map(Held::bytes).sum::<usize>() + sketches
    }

    /// Appends the records of the windows between two places, counted from the first one, which starts at `first`. No
    /// unit has a number above `units`.
    ///
    /// # Errors
    /// If the columns are not those of so many records. Some may have been appended then.
    pub(crate) fn append(
        &self,
        places: Range<i64>,
        (first, resolution): (i64, i64),
        units: u32,
        out: &mut Vec<Record>,
    ) -> Result<(), Malformed> {
        let wanted = self.places.count_below(places.start)..self.places.count_below(places.end);
        if wanted.is_empty() {
            return Ok(());
        }
        // What comes before a record decides where its entries stand, unless all records are alike.
        let made = if self.only.is_some() { wanted.clone() } else { 0..self.len() };
        let start = out.len();
        read::records(self, made.clone(), (first, resolution), units, out)?;
        self.add_sketches(made.start, &mut out[start..])?;
        out.truncate(start + wanted.end - made.start);
        out.drain(start..start + wanted.start - made.start);
        Ok(())
    }

    /// Gives records, the first of which is at a position, their sketches.
    fn add_sketches(&self, position: usize, records: &mut [Record]) -> Result<(), Malformed> {
        let mut tags = Vec::new();
        self.columns[Column::Tags as usize].append(0..self.len(), &mut tags, Tag);
        if self.only.map_or_else(|| tags.iter().all(|tag| !tag.has(Tag::SKETCH)), |tag| !tag.has(Tag::SKETCH)) {
            return Ok(());
        }
        let mut sketches = self.sketches.iter();
        for (tag, at) in tags.into_iter().zip(0..).filter(|(tag, _)| tag.has(Tag::SKETCH)) {
            let stored = if tag.has(Tag::SINGLE) { None } else { sketches.next() };
            let record = usize::checked_sub(at, position).and_then(|at| records.get_mut(at));
            let Some(Record { summary, .. }) = record else { continue };
            let sketch = stored.cloned().unwrap_or_else(|| Sketch::of(approximate(summary.first.value)));
            if sketch.count() != Some(summary.count()) {
                return Err(Malformed("a sketch is not of the values of its window"));
            }
            summary.sketch = Some(Box::new(sketch));
        }
        Ok(())
    }
}

/// The sketches that are stored: those of records with more than one value.
fn read_sketches(tags: &[i64], reader: &mut Reader<'_>) -> Result<Vec<Sketch>, Malformed> {
    let stored = tags.iter().filter(|&&tag| Tag(tag).has(Tag::SKETCH) && !Tag(tag).has(Tag::SINGLE));
    stored.map(|_| sketches::read(reader)).collect()
}

/// Appends the `count` records of a chunk whose first window starts at `first`; they must take all of the bytes. No unit
/// has a number above `units`.
///
/// # Errors
/// If the bytes are no chunk of so many records. Some may have been appended then.
#[cfg(test)]
pub(crate) fn decode(
    bytes: &[u8],
    count: usize,
    first: i64,
    resolution: i64,
    units: u32,
    out: &mut Vec<Record>,
) -> Result<(), Malformed> {
    let kept = KeptSummaries::decode(bytes, count, true)?;
    kept.append(0..i64::MAX, (first, resolution), units, out)
}
