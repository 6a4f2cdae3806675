//! One question about many series: from the body of a request to what is asked, and to the text of the answer, which has
//! one element for each series that was named, in the order of the request, whether or not there are points.

use std::time::Duration;

use super::datapoints::{Asked, Datapoint, Text, period, shown};
use super::error::{Code, Refusal};
use super::filter::{Filter, Precision};
use super::json::{Checked, Fault, array, body_object, json, millis, required, text};
use super::metric::{Purpose, put_name, series};
use super::number::is_number;
use super::query::ANSWER_POINTS_MAX;
use super::units::last_units;
use crate::db::Db;
use crate::model::point::Unit;
use crate::model::series::SeriesKey;
use crate::model::time::{TimeRange, Timestamp};
use crate::server::rules::{BatchSpan, Rules};

/// How far `from` may be from `to`, in seconds, for each period of the page.
const SPANS: [(u64, u64); 7] = [
    (1, 4 * 3_600),
    // A later edition has it. As long as for the points themselves, which are then as many.
    (60, 4 * 3_600),
    (300, 86_400),
    (1_200, 3 * 86_400),
    (3_600, 10 * 86_400),
    (14_400, 30 * 86_400),
    (86_400, 180 * 86_400),
];

/// Most windows of all series together, by which the later editions measure the span.
const SPAN_WINDOWS: u64 = 3_000;

/// What those editions take for the time between two raw points.
const RAW_INTERVAL: Duration = Duration::from_secs(60);

/// What was asked.
#[derive(Debug)]
pub(super) struct Batch {
    series: Vec<SeriesKey>,
    asked: Asked,
    points_max: u32,
}

impl Batch {
    pub(super) fn parse(body: &[u8], rules: &Rules) -> Result<Self, Refusal> {
        let fields = body_object(body)?;
        let raws = array(required(fields.get("metrics"), "metrics")?, "metrics")?;
        let (count, most) = (u32::try_from(raws.len()).unwrap_or(u32::MAX), rules.batch_metrics);
        if !(1..=most).contains(&count) {
            return Err(Fault::new("metrics", format_args!("has {count} elements, 1 to {most} are allowed")).into());
        }
        let mut list = Vec::with_capacity(raws.len());
        for (position, raw) in raws.into_iter().enumerate() {
            list.push(series(raw.get(), &format!("metrics[{position}]"), Purpose::Read, rules)?);
        }
        let from = millis(required(fields.get("from"), "from")?, "from")?;
        let to = millis(required(fields.get("to"), "to")?, "to")?;
        if from >= to {
            return Err(Fault::new("from", "must be less than to").into());
        }
        let period = asked_period(required(fields.get("period"), "period")?, rules)?;
        let filter = Filter::named(&text(required(fields.get("filter"), "filter")?, "filter")?);
        let filter = filter.ok_or_else(|| Fault::new("filter", Filter::NAMES))?;
        let start = match span(period, count, rules.batch_span) {
            Some(most) => Timestamp::from_millis(from).max(Timestamp::from_millis(to) - most),
            None => Timestamp::from_millis(from),
        };
        // On the wire the last moment belongs to the range, inside it does not.
        let range = TimeRange::new(start, Timestamp::from_millis(to.saturating_add(1)));
        let asked = Asked { range, period, filter, precision: Precision::of(rules) };
        Ok(Self { series: list, asked, points_max: rules.batch_points })
    }

    /// The body of the answer, and how many pieces of it are missing. Without a database nothing is known.
    pub(super) fn answer(&self, db: Option<&Db>) -> Result<(Vec<u8>, usize), Refusal> {
        let mut elements = Vec::with_capacity(self.series.len());
        let (mut left, mut missing) = (ANSWER_POINTS_MAX, 0);
        for asked in &self.series {
            // Dimensions are shown in the order first seen.
            let known = db.map(|db| db.first_written(asked)).transpose()?.flatten();
            let (mut points, mut unit): (Vec<Datapoint>, _) = (Vec::new(), None);
            if let (Some(db), Some(key)) = (db, &known) {
                missing += self.asked.read(db, key, (left, too_long), |point| {
                    points.push(point);
                    Ok(())
                })?;
                unit = match points.last() {
                    Some(point) => point.unit.clone(),
                    None => last_units(db, std::slice::from_ref(key))?.pop().flatten(),
                };
            }
            left -= points.len();
            elements.push(Element { series: known.unwrap_or_else(|| asked.clone()), points, unit });
        }
        keep_newest(&mut elements, usize::try_from(self.points_max).unwrap_or(usize::MAX));
        let mut text = Text::new(too_long);
        for (position, Element { series, points, unit }) in elements.iter().enumerate() {
            text.put(if position == 0 { "{\"metrics\":[{" } else { ",{" });
            put_name(series, &mut text);
            text.put(",\"datapoints\":[");
            for (position, point) in points.iter().enumerate() {
                self.asked.put(position, point, false, &mut text)?;
            }
            text.put(&format!("],\"unit\":{}}}", json(shown(unit.as_ref()))));
            text.check()?;
        }
        text.put("]}");
        Ok((text.into_bytes()?, missing))
    }
}

/// What is answered about one series.
struct Element {
    series: SeriesKey,
    points: Vec<Datapoint>,
    unit: Option<Unit>,
}

/// Leaves out the oldest points until there are no more than `most`, as if `from` had been later: of one time, all or none.
fn keep_newest(elements: &mut [Element], most: usize) {
    let mut times: Vec<Timestamp> =
        elements.iter().flat_map(|each| each.points.iter().map(|point| point.time)).collect();
    if times.len() <= most {
        return;
    }
    times.sort_unstable();
    // The newest one that is too many: whatever is as old goes too.
    let too_old = times[times.len() - most - 1];
    for element in elements {
        element.points.retain(|point| point.time > too_old);
    }
}

/// The pages have a string here, and a number in the question about one series.
fn asked_period(json: &str, rules: &Rules) -> Checked<Option<Duration>> {
    let named = if is_number(json) { json.into() } else { text(json, "period")? };
    period(&named, rules).map_err(|why| Fault::new("period", why))
}

/// How far `from` may be from `to`: it moves up without a word where it is farther.
fn span(period: Option<Duration>, count: u32, kind: BatchSpan) -> Option<Duration> {
    match kind {
        BatchSpan::ByPeriod => {
            let secs = period.map_or(1, |period| period.as_secs());
            SPANS.iter().find(|(of, _)| *of == secs).map(|(_, span)| Duration::from_secs(*span))
        }
        BatchSpan::ByPoints => {
            let secs = period.unwrap_or(RAW_INTERVAL).as_secs();
            Some(Duration::from_secs(SPAN_WINDOWS * secs / u64::from(count.max(1))))
        }
        BatchSpan::Any => None,
    }
}

fn too_long() -> Refusal {
    Refusal::new(Code::Body, "metrics have too many points for one answer: ask for fewer of them, or a shorter time")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::profile::Profile;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn a_span_is_that_of_its_period_or_of_so_many_windows() {
        let by_period = [(None, 4), (Some(300), 24), (Some(1_200), 72), (Some(3_600), 240), (Some(86_400), 4_320)];
        for (period, hours) in by_period {
            let found = span(period.map(secs), 10, BatchSpan::ByPeriod);
            assert_eq!(found, Some(secs(hours * 3_600)), "{period:?}");
        }
        assert_eq!(span(None, 1, BatchSpan::ByPoints), Some(secs(3_000 * 60)));
        assert_eq!(span(Some(secs(300)), 500, BatchSpan::ByPoints), Some(secs(6 * 300)));
        assert_eq!(span(Some(secs(300)), 500, BatchSpan::Any), None);
    }

    #[test]
    fn from_moves_up_and_never_back() {
        let metric = r#"{"namespace":"A.B","metric_name":"m","dimensions":[{"name":"n","value":"v"}]}"#;
        let start = |from: i64, to: i64| {
            let body = format!(r#"{{"metrics":[{metric}],"from":{from},"to":{to},"period":"1","filter":"max"}}"#);
            let batch = Batch::parse(body.as_bytes(), &Rules::of(Profile::Document)).expect("good");
            (batch.asked.range.start().as_millis(), batch.asked.range.end().as_millis())
        };
        let four_hours = 4 * 3_600_000;
        assert_eq!(start(5, 5 + four_hours), (5, 6 + four_hours));
        assert_eq!(start(4, 5 + four_hours), (5, 6 + four_hours));
        assert_eq!(start(i64::MIN, i64::MAX), (i64::MAX - four_hours, i64::MAX));
        assert_eq!(start(i64::MIN, i64::MIN + 1), (i64::MIN, i64::MIN + 2));
    }
}
