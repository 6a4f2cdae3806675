//! Columns to records. The columns come from outside: whatever they hold, this gives records that everything else can
//! work with, or an error.

use std::ops::Range;
use std::vec::IntoIter;

use super::part::{self, Ends};
use super::{Column, Columns, KeptSummaries, Tag, decimal};
use crate::codec::Malformed;
use crate::codec::held::Held;
use crate::codec::stats::float_of;
use crate::model::limits::WINDOW_POINTS_MAX;
use crate::model::point::Value;
use crate::model::summary::{Dd, Floats, Ints, Record, Sample, Summary};

/// Sums of more bits than so many integers can have are refused.
const SUM_MAX: u128 = (WINDOW_POINTS_MAX as u128) << 63;

const BAD_TAG: Malformed = Malformed("the kind of a summary is unknown");
const BAD_TIME: Malformed = Malformed("a summary lies outside of its window");
const BAD: Malformed = Malformed("a summary is out of range");

/// The number of entries of each column.
pub(super) fn lens(tags: &[i64]) -> Result<[usize; Column::ALL.len()], Malformed> {
    let mut lens = [0; Column::ALL.len()];
    let mut add = |columns: &[Column]| columns.iter().for_each(|&column| lens[column as usize] += 1);
    for (at, &tag) in tags.iter().enumerate() {
        let tag = Tag(tag);
        check(tag)?;
        add(&[Column::Tags, Column::FirstTimes, Column::Units]);
        add(if at > 0 { &[Column::Gaps] } else { &[] });
        if tag.has(Tag::SINGLE) {
            add(&[if tag.has(Tag::FIRST_FLOAT) { Column::SingleFloats } else { Column::SingleInts }]);
            continue;
        }
        let is_raw = |kind| tag.has(Tag::RAW) && tag.has(kind);
        add(&[if is_raw(Tag::FIRST_FLOAT) { Column::RawFirsts } else { Column::Firsts }]);
        add(&[if is_raw(Tag::LAST_FLOAT) { Column::RawLasts } else { Column::Lasts }]);
        add(&[Column::LastTimes]);
        let part = [Column::Counts, Column::Lows, Column::Highs, Column::Sums, Column::WideSums];
        if tag.has(Tag::INTS) {
            add(&part);
            add(&Column::SPREADS);
        }
        if is_raw(Tag::FLOATS) {
            add(&[Column::Counts, Column::RawMins, Column::RawMaxs, Column::RawSums, Column::RawSumsLow]);
        } else if tag.has(Tag::FLOATS) {
            add(&part);
        }
        if tag.has(Tag::FLOATS) {
            let is_raw = tag.has(Tag::RAW) || tag.has(Tag::RAW_SPREAD);
            add(if is_raw { &[Column::RawSpreads] } else { &Column::SPREADS[..1] });
        }
    }
    Ok(lens)
}

/// Refuses tags that no record has.
fn check(tag: Tag) -> Result<(), Malformed> {
    let any = |tags: &[Tag]| tags.iter().any(|&other| tag.has(other));
    let has_float = any(&[Tag::FLOATS, Tag::FIRST_FLOAT, Tag::LAST_FLOAT]);
    let sound = if tag.has(Tag::SINGLE) {
        !any(&[Tag::INTS, Tag::FLOATS, Tag::LAST_FLOAT, Tag::RAW, Tag::RAW_SPREAD])
    } else {
        any(&[Tag::INTS, Tag::FLOATS])
            && (has_float || !tag.has(Tag::RAW))
            && (!tag.has(Tag::RAW_SPREAD) || tag.has(Tag::FLOATS) && !tag.has(Tag::RAW))
    };
    if sound && tag.0 & Tag::UNUSED == 0 { Ok(()) } else { Err(BAD_TAG) }
}

/// The window of each record, counted from the first one.
pub(super) fn places(gaps: &[i64], count: usize) -> Result<Vec<i64>, Malformed> {
    let mut place = 0_i64;
    let mut places = Vec::with_capacity(count);
    places.extend((count > 0).then_some(0));
    for gap in gaps {
        let step = gap.checked_add(1).filter(|&step| step > 0);
        place = step.and_then(|step| place.checked_add(step)).ok_or(BAD_TIME)?;
        places.push(place);
    }
    Ok(places)
}

/// The tag of all records, if they share one whose values all start and end as whole numbers of one kind.
pub(super) fn only_tag(columns: &Columns) -> Option<Tag> {
    let tags = &columns[Column::Tags as usize];
    let only = Tag(*tags.first()?);
    let is_one_kind = only.has(Tag::FIRST_FLOAT) == only.has(Tag::LAST_FLOAT);
    let is_plain = is_one_kind && !only.has(Tag::SINGLE) && !only.has(Tag::RAW);
    let has_one_part = only.has(Tag::INTS) != only.has(Tag::FLOATS);
    (is_plain && has_one_part && tags.iter().all(|&tag| tag == only.0)).then_some(only)
}

/// Where values start and end, told by itself instead of from the end before it.
pub(super) fn tell_ends(columns: &mut Columns) {
    let mut before = 0_i64;
    let (mut firsts, mut lasts) =
        (std::mem::take(&mut columns[Column::Firsts as usize]), std::mem::take(&mut columns[Column::Lasts as usize]));
    for end in firsts.iter_mut().zip(&mut lasts).flat_map(|(first, last)| [first, last]) {
        before = before.wrapping_add(*end);
        *end = before;
    }
    (columns[Column::Firsts as usize], columns[Column::Lasts as usize]) = (firsts, lasts);
}

struct Reader {
    columns: [IntoIter<i64>; Column::ALL.len()],
    exponent: u8,
    /// The last integer and the last decimal of the record before; `None` where values are not told from those.
    before: Option<[i64; 2]>,
}

/// Appends the records at some positions: of all, unless all are alike.
pub(super) fn records(
    kept: &KeptSummaries,
    range: Range<usize>,
    (first, resolution): (i64, i64),
    units: u32,
    out: &mut Vec<Record>,
) -> Result<(), Malformed> {
    let entries = |column: &Held, range: Range<usize>| {
        let mut entries = Vec::new();
        column.append(range, &mut entries, |entry| entry);
        entries.into_iter()
    };
    let part = |column: &Held| match kept.only {
        // Gaps have one entry less, and columns that such records do not have none at all.
        Some(_) => range.start.min(column.len())..range.end.min(column.len()),
        None => 0..column.len(),
    };
    let columns = kept.columns.each_ref().map(|column| entries(column, part(column)));
    let before = if kept.only.is_some() { None } else { Some([0; 2]) };
    let mut reader = Reader { columns, exponent: kept.exponent, before };
    out.reserve(range.len());
    for place in entries(&kept.places, range.clone()) {
        let start = place.checked_mul(resolution).and_then(|millis| first.checked_add(millis)).ok_or(BAD_TIME)?;
        let end = start.checked_add(resolution).ok_or(BAD_TIME)?;
        let tag = Tag(reader.next(Column::Tags)?);
        let unit = u32::try_from(reader.next(Column::Units)?).ok().filter(|&unit| unit <= units);
        let unit = unit.ok_or(Malformed("a unit's number is out of range"))?;
        let summary = reader.summary(tag, unit, (start, end))?;
        out.push(Record { start, replaces: tag.has(Tag::REPLACES), is_amended: tag.has(Tag::AMENDED), summary });
    }
    Ok(())
}

impl Reader {
    fn next(&mut self, column: Column) -> Result<i64, Malformed> {
        self.columns[column as usize].next().ok_or(Malformed("a column is too short"))
    }

    fn next_float(&mut self, column: Column) -> Result<f64, Malformed> {
        Ok(f64::from_bits(self.next(column)?.cast_unsigned()))
    }

    fn next_finite(&mut self, column: Column) -> Result<f64, Malformed> {
        Some(self.next_float(column)?).filter(|value| value.is_finite()).ok_or(BAD)
    }

    fn summary(&mut self, tag: Tag, unit: u32, window: (i64, i64)) -> Result<Summary, Malformed> {
        let time = |from: i64, distance: i64| {
            from.checked_add(distance).filter(|time| (from..window.1).contains(time)).ok_or(BAD_TIME)
        };
        let is_bound = tag.has(Tag::BOUND);
        let first = time(window.0, self.next(Column::FirstTimes)?)?;
        if tag.has(Tag::SINGLE) {
            let (value, ints, floats) = if tag.has(Tag::FIRST_FLOAT) {
                let float = self.next_finite(Column::SingleFloats)?;
                (Value::Float(float), None, Some(Floats::of(float)))
            } else {
                let int = self.next(Column::SingleInts)?;
                (Value::Int(int), Some(Ints::of(int)), None)
            };
            let sample = Sample { time: first, value };
            return Ok(Summary { ints, floats, first: sample, last: sample, unit, is_bound, sketch: None });
        }
        let last = time(first, self.next(Column::LastTimes)?)?;
        let (values, ends) = self.ends(tag)?;
        let ints = if tag.has(Tag::INTS) { Some(self.ints(ends[0])?) } else { None };
        let floats = if tag.has(Tag::FLOATS) { Some(self.floats(tag, ends[1])?) } else { None };
        let first = Sample { time: first, value: values[0] };
        let last = Sample { time: last, value: values[1] };
        Ok(Summary { ints, floats, first, last, unit, is_bound, sketch: None })
    }

    /// The first and last value, and where integers and floats start and end.
    fn ends(&mut self, tag: Tag) -> Result<([Value; 2], [Ends; 2]), Malformed> {
        let columns =
            [(Tag::FIRST_FLOAT, Column::RawFirsts, Column::Firsts), (Tag::LAST_FLOAT, Column::RawLasts, Column::Lasts)];
        let mut values = [Value::Int(0); 2];
        let mut ends = [[None; 2]; 2];
        for (at, (is_float, raw, plain)) in columns.into_iter().enumerate() {
            let kind = usize::from(tag.has(is_float));
            if kind == 1 && tag.has(Tag::RAW) {
                values[at] = Value::Float(self.next_finite(raw)?);
                continue;
            }
            let told = self.next(plain)?;
            let whole = self.before.map_or(told, |before| before[kind].wrapping_add(told));
            values[at] = if kind == 1 { Value::Float(self.unscaled(whole)?) } else { Value::Int(whole) };
            if let Some(before) = &mut self.before {
                before[kind] = whole;
            }
            ends[kind][at] = Some(whole);
        }
        Ok((values, ends.map(|[first, last]| Ends::of(first, last))))
    }

    fn unscaled(&self, whole: i64) -> Result<f64, Malformed> {
        float_of(i128::from(whole), self.exponent).ok_or(BAD)
    }

    fn ints(&mut self, ends: Ends) -> Result<Ints, Malformed> {
        let (count, min, max, sum) = self.part(ends)?;
        let mut words = [0; 4];
        for (word, column) in words.iter_mut().zip(Column::SPREADS) {
            *word = self.next(column)?;
        }
        let squares = ends.squares(count, sum, part::from_words(words));
        let ints = Ints { count, sum, squares, min, max };
        // Squared distances are never negative.
        if ints.count_times_m2() >= 0 { Ok(ints) } else { Err(BAD) }
    }

    fn floats(&mut self, tag: Tag, ends: Ends) -> Result<Floats, Malformed> {
        if tag.has(Tag::RAW) {
            let count = self.count()?;
            let (min, max) = (self.next_finite(Column::RawMins)?, self.next_finite(Column::RawMaxs)?);
            if min > max {
                return Err(BAD);
            }
            let sum = Dd { hi: self.next_float(Column::RawSums)?, lo: self.next_float(Column::RawSumsLow)? };
            return Ok(Floats { count, sum, m2: self.raw_m2()?, min, max });
        }
        let (count, min, max, sum) = self.part(ends)?;
        let m2 = if tag.has(Tag::RAW_SPREAD) {
            self.raw_m2()?
        } else {
            let spread = self.next(Column::Spreads)?;
            decimal::unscaled_m2(spread, ends.least(count, sum).rest, count, self.exponent).ok_or(BAD)?
        };
        let sum = decimal::unscaled_sum(sum, self.exponent);
        Ok(Floats { count, sum, m2, min: self.unscaled(min)?, max: self.unscaled(max)? })
    }

    /// Count, minimum, maximum and sum of whole numbers.
    fn part(&mut self, ends: Ends) -> Result<(u64, i64, i64, i128), Malformed> {
        let count = self.count()?;
        let min = ends.below(self.next(Column::Lows)?);
        let max = ends.max_above(self.next(Column::Highs)?);
        let words = [self.next(Column::Sums)?, self.next(Column::WideSums)?];
        let sum = part::from_low_words(words).wrapping_add(part::middle(count, min, max));
        let is_sound = min <= max && sum.unsigned_abs() <= SUM_MAX;
        if is_sound { Ok((count, min, max, sum)) } else { Err(BAD) }
    }

    fn count(&mut self) -> Result<u64, Malformed> {
        let others = u64::try_from(self.next(Column::Counts)?).map_err(|_| BAD)?;
        if others < WINDOW_POINTS_MAX { Ok(others + 1) } else { Err(BAD) }
    }

    /// Squared distances may be infinite or NaN, but not negative.
    fn raw_m2(&mut self) -> Result<f64, Malformed> {
        let m2 = self.next_float(Column::RawSpreads)?;
        if m2 < 0.0 { Err(BAD) } else { Ok(m2) }
    }
}
