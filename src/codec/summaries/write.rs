//! Records to columns.

use ethnum::I256;

use super::part::{self, Ends};
use super::{Column, Columns, Tag, decimal};
use crate::model::point::Value;
use crate::model::sketch::Sketch;
use crate::model::summary::{Floats, Ints, Record, Sample, Summary, approximate};

struct Writer {
    columns: Columns,
    exponent: u8,
    /// The last integer and the last decimal of the record before.
    before: [i64; 2],
}

/// The columns of records whose floats are scaled by this power of ten.
pub(super) fn columns(records: &[Record], resolution: i64, exponent: u8) -> Columns {
    let mut writer = Writer { columns: Columns::default(), exponent, before: [0; 2] };
    let mut next = records.first().map_or(0, |record| record.start);
    for (at, record) in records.iter().enumerate() {
        let inside = record.start..record.start.saturating_add(resolution);
        let Summary { first, last, .. } = &record.summary;
        assert!(record.start >= next, "summaries are in order");
        assert!(inside.contains(&first.time) && inside.contains(&last.time), "a summary is of its own window");
        if at > 0 {
            writer.push(Column::Gaps, (record.start - next) / resolution);
        }
        next = record.start + resolution;
        writer.put(record);
    }
    writer.columns
}

/// Statistics of floats as whole numbers.
struct Scaled {
    min: i64,
    max: i64,
    sum: i128,
}

impl Writer {
    fn put(&mut self, record: &Record) {
        let summary = &record.summary;
        let Summary { first, last, unit, .. } = summary;
        self.push(Column::FirstTimes, first.time - record.start);
        self.push(Column::Units, i64::from(*unit));
        let tag = Tag(0)
            .with(Tag::BOUND, summary.is_bound)
            .with(Tag::REPLACES, record.replaces)
            .with(Tag::AMENDED, record.is_amended)
            .with(Tag::SKETCH, summary.sketch.is_some())
            .with(Tag::FIRST_FLOAT, is_float(first));
        if is_single(summary) {
            self.push(Column::Tags, tag.with(Tag::SINGLE, true).0);
            return match first.value {
                Value::Int(int) => self.push(Column::SingleInts, int),
                Value::Float(float) => self.push(Column::SingleFloats, float.to_bits().cast_signed()),
            };
        }
        let tag = tag
            .with(Tag::LAST_FLOAT, is_float(last))
            .with(Tag::INTS, summary.ints.is_some())
            .with(Tag::FLOATS, summary.floats.is_some());
        self.push(Column::LastTimes, last.time - first.time);
        let ends = [first, last].map(|sample| decimal::whole(sample.value, self.exponent));
        let scaled = summary.floats.as_ref().map(|floats| self.scaled(floats));
        let is_raw = ends.contains(&None) || matches!(scaled, Some(None));
        let tag = tag.with(Tag::RAW, is_raw);
        let ends = self.put_ends(tag, summary);
        if let Some(ints) = &summary.ints {
            self.put_ints(ints, ends[0]);
        }
        let mut is_raw_spread = false;
        match (&summary.floats, scaled.flatten()) {
            (Some(floats), Some(scaled)) if !is_raw => is_raw_spread = !self.put_scaled(floats, &scaled, ends[1]),
            (Some(floats), _) => self.put_raw(floats),
            (None, _) => {}
        }
        self.push(Column::Tags, tag.with(Tag::RAW_SPREAD, is_raw_spread).0);
    }

    fn scaled(&self, floats: &Floats) -> Option<Scaled> {
        let whole = |value| decimal::whole(Value::Float(value), self.exponent);
        let sum = decimal::sum_of(floats, self.exponent)?;
        Some(Scaled { min: whole(floats.min)?, max: whole(floats.max)?, sum })
    }

    /// Puts first and last; returns where integers and floats start and end.
    fn put_ends(&mut self, tag: Tag, summary: &Summary) -> [Ends; 2] {
        let mut ends = [[None; 2]; 2];
        let raw = [Column::RawFirsts, Column::RawLasts];
        let plain = [Column::Firsts, Column::Lasts];
        for (at, sample) in [&summary.first, &summary.last].into_iter().enumerate() {
            let kind = usize::from(is_float(sample));
            match sample.value {
                Value::Float(float) if tag.has(Tag::RAW) => self.push(raw[at], float.to_bits().cast_signed()),
                value => {
                    let whole = decimal::whole(value, self.exponent).expect("what is no decimal has its tag");
                    // The last value counts from the first one if it can.
                    self.push(plain[at], whole.wrapping_sub(self.before[kind]));
                    self.before[kind] = whole;
                    ends[kind][at] = Some(whole);
                }
            }
        }
        ends.map(|[first, last]| Ends::of(first, last))
    }

    fn put_ints(&mut self, ints: &Ints, ends: Ends) {
        self.put_part(ints.count, (ints.min, ints.max), ints.sum, ends);
        let spread = ends.spread(ints.count, ints.sum, ints.squares);
        for (column, word) in Column::SPREADS.into_iter().zip(part::words(spread)) {
            self.push(column, word);
        }
    }

    /// Puts the floats; says whether their squared distances are a whole number too.
    fn put_scaled(&mut self, floats: &Floats, scaled: &Scaled, ends: Ends) -> bool {
        self.put_part(floats.count, (scaled.min, scaled.max), scaled.sum, ends);
        let least = ends.least(floats.count, scaled.sum);
        let spread = decimal::spread_of(floats, least.rest, self.exponent);
        match spread {
            Some(spread) => self.push(Column::Spreads, spread),
            None => self.push_float(Column::RawSpreads, floats.m2),
        }
        spread.is_some()
    }

    fn put_raw(&mut self, floats: &Floats) {
        self.put_count(floats.count);
        self.push_float(Column::RawMins, floats.min);
        self.push_float(Column::RawMaxs, floats.max);
        self.push_float(Column::RawSums, floats.sum.hi);
        self.push_float(Column::RawSumsLow, floats.sum.lo);
        self.push_float(Column::RawSpreads, floats.m2);
    }

    fn put_part(&mut self, count: u64, (min, max): (i64, i64), sum: i128, ends: Ends) {
        self.put_count(count);
        self.push(Column::Lows, ends.below(min));
        self.push(Column::Highs, ends.above(max));
        let [low, high, ..] = part::words(I256::from(sum.wrapping_sub(part::middle(count, min, max))));
        self.push(Column::Sums, low);
        self.push(Column::WideSums, high);
    }

    fn put_count(&mut self, count: u64) {
        self.push(Column::Counts, (count - 1).cast_signed());
    }

    fn push(&mut self, column: Column, entry: i64) {
        self.columns[column as usize].push(entry);
    }

    fn push_float(&mut self, column: Column, value: f64) {
        self.push(column, value.to_bits().cast_signed());
    }
}

fn is_float(sample: &Sample) -> bool {
    matches!(sample.value, Value::Float(_))
}

/// Whether it is what one point makes of a window.
pub(super) fn is_single(summary: &Summary) -> bool {
    let is_own = |sketch: &Sketch| *sketch == Sketch::of(approximate(summary.first.value));
    if summary.first != summary.last || !summary.sketch.as_deref().is_none_or(is_own) {
        return false;
    }
    match (summary.first.value, &summary.ints, &summary.floats) {
        (Value::Int(int), Some(ints), None) => *ints == Ints::of(int),
        (Value::Float(float), None, Some(floats)) => bits(floats) == bits(&Floats::of(float)),
        _ => false,
    }
}

fn bits(floats: &Floats) -> [u64; 6] {
    let Floats { count, sum, m2, min, max } = floats;
    [*count, sum.hi.to_bits(), sum.lo.to_bits(), m2.to_bits(), min.to_bits(), max.to_bits()]
}
