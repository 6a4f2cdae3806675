//! W4: the start of W1 as it comes over a bad network. Arrival is shuffled within ten minutes, and one point in a hundred
//! was held back somewhere: it is up to three days older than what it arrives with.

use std::time::Duration;

use super::devops::{Arrival, Devops, Dice, SERIES, coin};

/// Scrapes of ten minutes.
const SCRAPES: usize = 60;
const LATE_MILLIS: u64 = 3 * 86_400_000;
/// What is held back is at least as old as what shuffling makes of the others.
const LATE_MILLIS_MIN: u64 = 600_000;

pub(crate) struct Late {
    input: Devops,
    dice: Dice,
    block: Vec<Arrival>,
}

impl Late {
    pub(crate) fn new() -> Self {
        Self { input: Devops::new(SERIES, coin), dice: Dice::new(4), block: Vec::new() }
    }

    /// The next ten minutes, in an order that has nothing to do with time (Fisher and Yates).
    fn refill(&mut self) {
        self.block.extend(self.input.by_ref().take(SCRAPES * SERIES));
        for last in (1..self.block.len()).rev() {
            let other = self.dice.below(last as u64 + 1);
            self.block.swap(last, usize::try_from(other).expect("a place in the block"));
        }
    }
}

impl Iterator for Late {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        if self.block.is_empty() {
            self.refill();
        }
        let (series, key, mut point) = self.block.pop()?;
        if self.dice.below(100) == 0 {
            // Such a time is on no scrape's beat, so that no two points of a series share one.
            let late = LATE_MILLIS_MIN + self.dice.below(LATE_MILLIS - LATE_MILLIS_MIN);
            point.time = point.time - Duration::from_millis(late | 1);
        }
        Some((series, key, point))
    }
}
