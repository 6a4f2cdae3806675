//! Everything that a run has measured, by row, store and name; medians over the rounds.

use std::collections::BTreeMap;

#[derive(Clone, Default)]
pub(crate) struct Figures {
    numbers: BTreeMap<(String, String, String), Vec<f64>>,
    /// Row, store and why it has no figures.
    pub(crate) failed: Vec<(String, String, String)>,
    /// Seconds that the whole run took.
    pub(crate) seconds: u64,
}

impl Figures {
    pub(crate) fn add(&mut self, row: &str, store: &str, name: &str, number: f64) {
        let key = (row.to_owned(), store.to_owned(), name.to_owned());
        self.numbers.entry(key).or_default().push(number);
    }

    pub(crate) fn get(&self, row: &str, store: &str, name: &str) -> Option<f64> {
        let mut numbers = self.numbers.get(&(row.to_owned(), store.to_owned(), name.to_owned()))?.clone();
        numbers.sort_by(f64::total_cmp);
        let middle = numbers.len() / 2;
        Some(if numbers.len().is_multiple_of(2) {
            numbers[middle - 1].midpoint(numbers[middle])
        } else {
            numbers[middle]
        })
    }
}

/// A number with three digits that mean something.
pub(crate) fn short(number: f64) -> String {
    let size = number.abs();
    if size.is_infinite() || size.is_nan() {
        return "-".into();
    }
    let digits = match size {
        _ if size >= 100.0 || size == 0.0 => 0,
        _ if size >= 10.0 => 1,
        _ if size >= 1.0 => 2,
        _ if size >= 0.1 => 3,
        _ if size >= 0.01 => 4,
        _ => 5,
    };
    format!("{number:.digits$}")
}
