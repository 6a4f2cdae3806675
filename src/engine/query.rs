//! Reading: what is visible now, by the clock read once for each question.

use crate::engine::Engine;
use crate::model::point::Point;
use crate::model::selector::Selector;
use crate::model::series::SeriesKey;
use crate::model::time::TimeRange;

impl Engine {
    pub(crate) fn points(&self, series: &SeriesKey, range: TimeRange, count_max: usize) -> Vec<Point> {
        let now = self.settings.clock.now();
        let view = self.view.read();
        view.catalog.id(series).map_or_else(Vec::new, |id| view.head.points(id, range, now, count_max))
    }

    pub(crate) fn series(&self, selector: &Selector) -> Vec<SeriesKey> {
        let mut keys = self.view.read().catalog.select(selector);
        // Sorted without the lock, for which writers wait.
        keys.sort_unstable();
        keys
    }
}
