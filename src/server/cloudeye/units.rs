//! The unit that a series was last known in, whether or not the point that had it can still be read.

use std::time::Duration;

use crate::db::Db;
use crate::error::{Error, ErrorKind};
use crate::model::point::Unit;
use crate::model::series::SeriesKey;
use crate::model::time::TimeRange;

/// What is kept longest is kept in windows of a day.
const DAY: Duration = Duration::from_secs(86_400);

/// Most days that are looked at: somewhat more than the five years for which windows are kept.
const DAYS_MAX: usize = 2_000;

/// The unit of the newest point of each series that can be read, or else of its newest window.
pub(super) fn last_units(db: &Db, series: &[SeriesKey]) -> Result<Vec<Option<Unit>>, Error> {
    let latest = db.latest_of_keys(series)?;
    let mut latest = latest.iter().peekable();
    let unit = |key: &SeriesKey| match latest.next_if(|(of, _)| of == key) {
        Some((_, point)) => Ok(point.unit.clone()),
        None => unit_of_windows(db, key),
    };
    series.iter().map(unit).collect()
}

fn unit_of_windows(db: &Db, series: &SeriesKey) -> Result<Option<Unit>, Error> {
    match db.windows_up_to(DAYS_MAX, series, TimeRange::ALL, DAY) {
        Ok(windows) => Ok(windows.last().and_then(|window| window.unit().cloned())),
        // There are more of them only where somebody chose to keep them longer.
        Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::builder::Builder;
    use crate::env::clock::ManualClock;
    use crate::model::point::Point;
    use crate::model::time::{Timestamp, Ttl};

    #[test]
    fn the_last_unit_is_known_when_its_point_has_expired() {
        // Goal: each series has the unit of its newest point, the dead one that of its window, an unknown one none.
        let now = Timestamp::from_secs(1_795_281_677);
        let clock = Arc::new(ManualClock::new(now));
        let db = Builder::in_memory().clock(clock.clone()).open().expect("opens");
        let keys = ["changed", "dead", "unknown", "without"]
            .map(|metric| SeriesKey::new("A.B", metric, [("n", "v")]).expect("valid"));
        let put = |key: &SeriesKey, ago: u64, ttl: u32, unit: Option<&str>| {
            let point = Point::new(now - Duration::from_secs(ago), 1).with_ttl(Ttl::from_secs(ttl));
            let point = unit.map_or(point.clone(), |unit| point.with_unit(unit));
            db.insert(key, point).expect("stored");
        };
        put(&keys[0], 2, 600, Some("old"));
        put(&keys[0], 1, 600, Some("new"));
        put(&keys[1], 1, 5, Some("%"));
        put(&keys[3], 1, 600, None);
        clock.advance(Duration::from_secs(10));
        let twice: Vec<SeriesKey> = keys.iter().chain(&keys[..1]).cloned().collect();
        let units = last_units(&db, &twice).expect("readable");
        let units: Vec<_> = units.iter().map(|unit| unit.as_ref().map(Unit::as_str)).collect();
        assert_eq!(units, [Some("new"), Some("%"), None, None, Some("new")]);
    }
}
