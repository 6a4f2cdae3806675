//! The units of several sources under the numbers of one table.

use rustc_hash::FxHashMap;

use crate::model::packed::Units;

/// A table of units, and the numbers that it has for those of other tables.
#[derive(Default)]
pub(super) struct UnitMap {
    pub(super) units: Units,
    /// By source and number there.
    numbers: FxHashMap<(u64, u32), u32>,
    /// What was asked for last, and its number here: neighbours mostly share a unit.
    last: ((u64, u32), u32),
}

impl UnitMap {
    /// The number here, plus one, for a number, plus one, of another table; 0 for none stays 0. The same source always
    /// comes with the same table.
    pub(super) fn adopt(&mut self, source: u64, unit: u32, table: &Units) -> u32 {
        let Some(number) = unit.checked_sub(1) else { return 0 };
        // No number of this table is 0.
        if self.last.0 != (source, number) || self.last.1 == 0 {
            let own = &mut self.units;
            let adopted = self.numbers.entry((source, number)).or_insert_with(|| own.number_of(table.get(number)) + 1);
            self.last = ((source, number), *adopted);
        }
        self.last.1
    }
}
