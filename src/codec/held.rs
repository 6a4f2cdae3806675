//! A column of integers as it is kept in memory: decoded, but in as few whole bytes a value as the column allows, so
//! that much of it fits and any part is at hand. Never on disk.

use std::ops::Range;

/// A column in memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Held {
    /// What the numbers are distances from.
    base: i64,
    len: usize,
    numbers: Numbers,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Numbers {
    /// All are the base itself.
    Same,
    Bytes(Box<[u8]>),
    Shorts(Box<[u16]>),
    Words(Box<[u32]>),
    Longs(Box<[u64]>),
}

impl Held {
    /// The column in as few bytes as it allows.
    pub(crate) fn of(values: &[i64]) -> Self {
        let first = values.first().copied().unwrap_or_default();
        let (min, max) = values.iter().fold((first, first), |(min, max), &value| (min.min(value), max.max(value)));
        let distance = |value: &i64| value.wrapping_sub(min).cast_unsigned();
        let numbers = match distance(&max) {
            0 => Numbers::Same,
            #[expect(clippy::cast_possible_truncation, reason = "no distance is larger than the largest")]
            1..=0xff => Numbers::Bytes(values.iter().map(|value| distance(value) as u8).collect()),
            #[expect(clippy::cast_possible_truncation, reason = "no distance is larger than the largest")]
            0x100..=0xffff => Numbers::Shorts(values.iter().map(|value| distance(value) as u16).collect()),
            #[expect(clippy::cast_possible_truncation, reason = "no distance is larger than the largest")]
            0x1_0000..=0xffff_ffff => Numbers::Words(values.iter().map(|value| distance(value) as u32).collect()),
            _ => Numbers::Longs(values.iter().map(distance).collect()),
        };
        Self { base: min, len: values.len(), numbers }
    }

    /// The column as it comes, for who reads it once.
    pub(crate) fn passing(values: Vec<i64>) -> Self {
        let len = values.len();
        let numbers = values.into_iter().map(i64::cast_unsigned).collect();
        Self { base: 0, len, numbers: Numbers::Longs(numbers) }
    }

    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let each = match self.numbers {
            Numbers::Same => 0,
            Numbers::Bytes(_) => 1,
            Numbers::Shorts(_) => 2,
            Numbers::Words(_) => 4,
            Numbers::Longs(_) => 8,
        };
        size_of::<Self>() + each * self.len
    }

    /// The value at a position, which must be one of the column's.
    pub(crate) fn get(&self, at: usize) -> i64 {
        assert!(at < self.len, "a position lies within its column");
        let distance = match &self.numbers {
            Numbers::Same => 0,
            Numbers::Bytes(numbers) => u64::from(numbers[at]),
            Numbers::Shorts(numbers) => u64::from(numbers[at]),
            Numbers::Words(numbers) => u64::from(numbers[at]),
            Numbers::Longs(numbers) => numbers[at],
        };
        self.base.wrapping_add_unsigned(distance)
    }

    /// How many values from the start on are less than this one, in a column that ascends.
    pub(crate) fn count_below(&self, value: i64) -> usize {
        let (mut below, mut end) = (0, self.len);
        while below < end {
            let middle = usize::midpoint(below, end);
            if self.get(middle) < value {
                below = middle + 1;
            } else {
                end = middle;
            }
        }
        below
    }

    /// Appends what `each` makes of the values at some positions, which must be the column's.
    pub(crate) fn append<T>(&self, range: Range<usize>, out: &mut Vec<T>, each: impl Fn(i64) -> T) {
        let base = self.base;
        let value = |distance: u64| each(base.wrapping_add_unsigned(distance));
        match &self.numbers {
            Numbers::Same => {
                assert!(range.end <= self.len, "positions lie within their column");
                out.extend(range.map(|_| each(base)));
            }
            Numbers::Bytes(numbers) => out.extend(numbers[range].iter().map(|&number| value(number.into()))),
            Numbers::Shorts(numbers) => out.extend(numbers[range].iter().map(|&number| value(number.into()))),
            Numbers::Words(numbers) => out.extend(numbers[range].iter().map(|&number| value(number.into()))),
            Numbers::Longs(numbers) => out.extend(numbers[range].iter().map(|&number| value(number))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(values: &[i64], from: usize, to: usize) {
        let held = Held::of(values);
        assert_eq!(held.len(), values.len());
        let range = from.min(values.len())
            ..to.clamp(from, values.len().max(from)).min(values.len()).max(from.min(values.len()));
        let mut some = vec![7];
        held.append(range.clone(), &mut some, |value| value);
        assert_eq!(some[1..], values[range]);
        assert!((0..values.len()).all(|at| held.get(at) == values[at]));
    }

    #[test]
    fn a_value_takes_no_more_bytes_than_its_column_needs() {
        let bytes = |values: &[i64]| Held::of(values).bytes() - size_of::<Held>();
        assert_eq!(bytes(&[5; 100]), 0);
        assert_eq!(bytes(&[-100, 155]), 2);
        assert_eq!(bytes(&[-100, 156]), 4);
        assert_eq!(bytes(&[i64::MIN, i64::MIN + 65_536]), 8);
        assert_eq!(bytes(&[i64::MIN, i64::MAX]), 16);
        assert_eq!(bytes(&[]), 0);
    }

    proptest! {
        #[test]
        fn columns_come_back(
            base: i64, spread in prop::sample::select(vec![0_u64, 9, 255, 256, 70_000, 1 << 40, u64::MAX]),
            parts in prop::collection::vec(any::<u64>(), 0..50), from in 0_usize..60, to in 0_usize..60,
        ) {
            let within = |part: u64| if spread == u64::MAX { part } else { part % (spread + 1) };
            let mut values: Vec<i64> = parts.iter().map(|&part| base.wrapping_add_unsigned(within(part))).collect();
            check(&values, from, to);
            values.sort_unstable();
            let held = Held::of(&values);
            prop_assert!(values.iter().all(|&value| held.count_below(value) == values.partition_point(|&each| each < value)));
        }
    }
}
