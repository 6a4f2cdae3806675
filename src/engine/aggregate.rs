//! Questions across series: the windows of one series after the other, put together by group. Summaries are merged,
//! never averages.

use std::collections::BTreeMap;

use crate::engine::Engine;
use crate::engine::windows::{check_count, period_millis};
use crate::error::{Error, Result};
use crate::model::aggregate::{Aggregate, Group};
use crate::model::limits::{AGGREGATE_SERIES_MAX, DAMAGE_NOTES_MAX, WINDOWS_MAX};
use crate::model::selector::Order;
use crate::model::time::Timestamp;
use crate::model::window::Window;
use crate::model::windows::Windows;

/// A group under way.
#[derive(Default)]
struct Merged {
    series: usize,
    windows: BTreeMap<Timestamp, Window>,
    missing: Vec<Error>,
}

impl Engine {
    /// The windows of the selected series, put together by group, in order of the groups' values.
    pub(crate) fn aggregate(&self, question: &Aggregate) -> Result<Vec<Group>> {
        question.check()?;
        let length = period_millis(question.period)?;
        let keys = self.view.read().catalog.page(&question.selector, None, Order::Ascending, AGGREGATE_SERIES_MAX + 1);
        if keys.len() > AGGREGATE_SERIES_MAX {
            let why = format!("more than {AGGREGATE_SERIES_MAX} series are selected: ask for fewer");
            return Err(Error::invalid(why));
        }
        let now = self.guard.now();
        let mut groups: BTreeMap<Vec<String>, Merged> = BTreeMap::new();
        let mut count = 0;
        for key in keys {
            let Windows { list, missing } = self.windows_at(&key, question.range, (length, WINDOWS_MAX), now)?;
            if list.is_empty() && missing.is_empty() {
                continue;
            }
            let group = groups.entry(question.values_of(&key)).or_default();
            count -= group.windows.len();
            group.add(list, missing);
            count += group.windows.len();
            check_count(count, WINDOWS_MAX)?;
        }
        let named = |(values, Merged { series, windows, missing }): (Vec<String>, Merged)| Group {
            labels: question.by.iter().map(ToString::to_string).zip(values).collect(),
            series,
            windows: Windows { list: windows.into_values().collect(), missing },
        };
        Ok(groups.into_iter().map(named).collect())
    }
}

impl Merged {
    fn add(&mut self, list: Vec<Window>, missing: Vec<Error>) {
        self.series += usize::from(!list.is_empty());
        for window in list {
            match self.windows.get_mut(&window.start) {
                Some(merged) => merged.absorb(window),
                None => drop(self.windows.insert(window.start, window)),
            }
        }
        // One damaged file may be met once for each series.
        let room = DAMAGE_NOTES_MAX.saturating_sub(self.missing.len());
        self.missing.extend(missing.into_iter().take(room));
    }
}
