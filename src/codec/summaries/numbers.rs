//! One number for each window out of the columns of a chunk, without making the rest of the summaries: only the columns
//! that it takes are looked at.

use std::ops::Range;

use super::part::{self, Ends};
use super::{Column, KeptSummaries, Tag, decimal};
use crate::codec::stats::float_of;
use crate::model::summary::{Dd, Number, average_of};
use crate::model::windows::Function;

/// What is summed up of records that lie in one longer window.
#[derive(Clone, Copy)]
enum Tally {
    /// The values as they stand in the columns: the integers themselves, or scaled floats.
    Whole(i64),
    Count(u64),
    Ints(i128, u64),
    Floats(Dd, u64),
}

impl KeptSummaries {
    /// Appends start and number of each window of `length` ms that the records between two places lie in. `None` if
    /// only the summaries themselves can tell; some may have been appended then.
    pub(crate) fn numbers(
        &self,
        places: Range<i64>,
        (first, resolution): (i64, i64),
        (length, function): (i64, Function),
        out: &mut Vec<(i64, Number)>,
    ) -> Option<()> {
        let only = self.only?;
        let wanted = self.places.count_below(places.start)..self.places.count_below(places.end);
        let mut starts = Vec::new();
        self.places.append(wanted.clone(), &mut starts, |place| {
            let start = first.wrapping_add(place.wrapping_mul(resolution));
            start.div_euclid(length).saturating_mul(length)
        });
        let tallies = self.tallies(only, wanted, function)?;
        let mut rest = starts.into_iter().zip(tallies).peekable();
        while let Some((start, mut tally)) = rest.next() {
            while let Some((_, newer)) = rest.next_if(|(next, _)| *next == start) {
                tally = tally.with(newer, function)?;
            }
            out.push((start, self.number(only, tally, function)?));
        }
        Some(())
    }

    /// What is asked of each record.
    fn tallies(&self, only: Tag, wanted: Range<usize>, function: Function) -> Option<Vec<Tally>> {
        let column = |column: Column| {
            let mut entries = Vec::new();
            self.columns[column as usize].append(wanted.clone(), &mut entries, |entry| entry);
            entries
        };
        let ends = || {
            let both = column(Column::Firsts).into_iter().zip(column(Column::Lasts));
            both.map(|(first, last)| Ends::of(Some(first), Some(last)))
        };
        Some(match function {
            Function::Max => {
                ends().zip(column(Column::Highs)).map(|(ends, high)| Tally::Whole(ends.max_above(high))).collect()
            }
            Function::Min => {
                ends().zip(column(Column::Lows)).map(|(ends, low)| Tally::Whole(ends.below(low))).collect()
            }
            Function::First => column(Column::Firsts).into_iter().map(Tally::Whole).collect(),
            Function::Last => column(Column::Lasts).into_iter().map(Tally::Whole).collect(),
            Function::Count => column(Column::Counts)
                .into_iter()
                .map(|others| Tally::Count(others.wrapping_add(1).cast_unsigned()))
                .collect(),
            Function::Sum | Function::Average => {
                let ends: Vec<Ends> = ends().collect();
                let [lows, highs] = [Column::Lows, Column::Highs].map(column);
                let [sums, wide, others] = [Column::Sums, Column::WideSums, Column::Counts].map(column);
                let sum = |(at, ends): (usize, Ends)| {
                    let count = others[at].wrapping_add(1).cast_unsigned();
                    let middle = part::middle(count, ends.below(lows[at]), ends.max_above(highs[at]));
                    let sum = part::from_low_words([sums[at], wide[at]]).wrapping_add(middle);
                    if only.has(Tag::INTS) {
                        Tally::Ints(sum, count)
                    } else {
                        Tally::Floats(decimal::unscaled_sum(sum, self.exponent), count)
                    }
                };
                ends.into_iter().enumerate().map(sum).collect()
            }
            Function::Variance | Function::Latest => return None,
        })
    }

    fn number(&self, only: Tag, tally: Tally, function: Function) -> Option<Number> {
        Some(match tally {
            Tally::Whole(whole) if only.has(Tag::INTS) => Number::Int(whole.into()),
            Tally::Whole(whole) => Number::Float(float_of(whole.into(), self.exponent)?),
            Tally::Count(count) => Number::Int(count.into()),
            Tally::Ints(sum, count) if function == Function::Average => {
                Number::Float(average_of(Dd::of_int(sum), count))
            }
            Tally::Ints(sum, _) => Number::Int(sum),
            Tally::Floats(sum, count) if function == Function::Average => Number::Float(average_of(sum, count)),
            Tally::Floats(sum, _) => Number::Float(sum.value()),
        })
    }
}

impl Tally {
    /// With that of a later record of the same window.
    fn with(self, newer: Self, function: Function) -> Option<Self> {
        Some(match (self, newer) {
            (Self::Whole(whole), Self::Whole(newer)) => Self::Whole(match function {
                Function::Max => whole.max(newer),
                Function::Min => whole.min(newer),
                Function::First => whole,
                _ => newer,
            }),
            (Self::Count(count), Self::Count(newer)) => Self::Count(count.wrapping_add(newer)),
            (Self::Ints(sum, count), Self::Ints(newer, more)) => {
                Self::Ints(sum.wrapping_add(newer), count.wrapping_add(more))
            }
            (Self::Floats(sum, count), Self::Floats(newer, more)) => {
                Self::Floats(sum.plus(newer), count.wrapping_add(more))
            }
            _ => return None,
        })
    }
}
