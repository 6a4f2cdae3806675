//! What is asked of a series, and its points or windows as the text of an answer: the same for one series and for many.

use std::io::Write as _;
use std::time::Duration;

use super::answer::ANSWER_BYTES_MAX;
use super::error::Refusal;
use super::filter::{Filter, Precision, number};
use super::json::json;
use crate::db::Db;
use crate::error::{ErrorKind, Result as EngineResult};
use crate::model::point::{Point, Unit};
use crate::model::series::SeriesKey;
use crate::model::time::{TimeRange, Timestamp};
use crate::server::rules::Rules;

/// The period that means raw points.
const PERIOD_RAW: u64 = 1;

/// The one that not all editions have.
const PERIOD_MINUTE: u64 = 60;

/// The other periods that are published, in seconds.
const PERIODS_OF_WINDOWS: [u64; 6] = [PERIOD_MINUTE, 300, 1_200, 3_600, 14_400, 86_400];

/// The period of windows; none for raw points. The error completes a sentence that begins with the field's name.
pub(super) fn period(text: &str, rules: &Rules) -> Result<Option<Duration>, String> {
    let known = || PERIODS_OF_WINDOWS.into_iter().filter(|secs| rules.has_minutes || *secs != PERIOD_MINUTE);
    if PERIOD_RAW.to_string() == text {
        return Ok(None);
    }
    known().find(|secs| secs.to_string() == text).map(|secs| Some(Duration::from_secs(secs))).ok_or_else(|| {
        let names: Vec<String> = known().map(|secs| secs.to_string()).collect();
        format!("must be {PERIOD_RAW}, {} seconds", names.join(", "))
    })
}

/// What is asked of each series.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) range: TimeRange,
    /// Of the windows that are asked for; none for raw points.
    pub(super) period: Option<Duration>,
    pub(super) filter: Filter,
    pub(super) precision: Precision,
}

/// A point or a window as it is shown.
#[derive(Debug)]
pub(super) struct Datapoint {
    pub(super) time: Timestamp,
    number: String,
    pub(super) unit: Option<Unit>,
}

impl Asked {
    /// Gives the points of a series to `take` one by one, in order of time; more than `most` are refused with `too_long`.
    /// How many pieces could not be read, or are no finite number, which JSON cannot say, is the answer.
    pub(super) fn read(
        &self,
        db: &Db,
        series: &SeriesKey,
        (most, too_long): (usize, fn() -> Refusal),
        mut take: impl FnMut(Datapoint) -> Result<(), Refusal>,
    ) -> Result<usize, Refusal> {
        let Some(period) = self.period else {
            let mut reading = db.points(series, self.range)?;
            each_point(&mut reading, (most, too_long), take)?;
            return Ok(reading.missing().len());
        };
        // The engine moves the start back to that of a window.
        let windows = db.windows_up_to(most, series, self.range, period).map_err(|error| match error.kind() {
            ErrorKind::InvalidInput => too_long(),
            _ => error.into(),
        })?;
        let mut missing = windows.missing().len();
        for window in &*windows {
            match self.filter.show(window, self.precision) {
                Some(number) => take(Datapoint { time: window.start, number, unit: window.unit().cloned() })?,
                None => missing += 1,
            }
        }
        Ok(missing)
    }

    /// Writes a point behind the `position` ones before it, with its unit or without.
    pub(super) fn put(
        &self,
        position: usize,
        point: &Datapoint,
        has_unit: bool,
        text: &mut Text,
    ) -> Result<(), Refusal> {
        let separator = if position == 0 { "" } else { "," };
        let (filter, number, time) = (self.filter.name(), &point.number, point.time.as_millis());
        write!(text.bytes, "{separator}{{\"{filter}\":{number},\"timestamp\":{time}").expect(MEMORY);
        if has_unit {
            write!(text.bytes, ",\"unit\":{}", json(shown(point.unit.as_ref()))).expect(MEMORY);
        }
        text.put("}");
        text.check()
    }
}

/// Why a write to a text cannot fail.
const MEMORY: &str = "memory takes every write";

fn each_point(
    reading: impl Iterator<Item = EngineResult<Point>>,
    (most, too_long): (usize, fn() -> Refusal),
    mut take: impl FnMut(Datapoint) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    for (position, point) in reading.enumerate() {
        let point = point?;
        if position == most {
            return Err(too_long());
        }
        take(Datapoint { time: point.time, number: number(point.value), unit: point.unit })?;
    }
    Ok(())
}

/// A unit as it stands in an answer.
pub(super) fn shown(unit: Option<&Unit>) -> &str {
    unit.map_or("", Unit::as_str)
}

/// The text of an answer on its way, of a bounded length.
#[derive(Debug)]
pub(super) struct Text {
    bytes: Vec<u8>,
    too_long: fn() -> Refusal,
}

impl Text {
    /// An empty one that ends with the refusal `too_long` when it would have too many bytes.
    pub(super) fn new(too_long: fn() -> Refusal) -> Self {
        Self { bytes: Vec::new(), too_long }
    }

    pub(super) fn put(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// Refuses what has grown too long.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        if self.bytes.len() > ANSWER_BYTES_MAX { Err((self.too_long)()) } else { Ok(()) }
    }

    pub(super) fn into_bytes(self) -> Result<Vec<u8>, Refusal> {
        self.check()?;
        Ok(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::cloudeye::error::Code;
    use crate::server::profile::Profile;

    #[test]
    fn an_answer_over_a_bound_is_refused_and_not_cut() {
        // Goal: both bounds, in points and in bytes.
        let precision = Precision::of(&Rules::of(Profile::Document));
        let asked = Asked { range: TimeRange::ALL, period: None, filter: Filter::Max, precision };
        let too_long = || Refusal::new(Code::Body, "too long");
        let answer = |unit: &str, count: i64| {
            let point = |millis| Ok(Point::new(Timestamp::from_millis(millis), 1).with_unit(unit));
            let (mut text, mut position) = (Text::new(too_long), 0);
            each_point((0..count).map(point), (100_000, too_long), |point| {
                position += 1;
                asked.put(position - 1, &point, true, &mut text)
            })
            .map(|()| text.bytes.len())
        };
        assert!(answer("%", 100_000).is_ok());
        for refused in [answer("%", 100_001), answer(&"\u{1d54f}".repeat(32), 100_000)] {
            assert_eq!(refused.expect_err("over a bound").to_string(), "ces.0014 too long");
        }
    }
}
