//! From the parameters of a query to one series and what is asked of it, and to the answer's text.

use super::datapoints::{Asked, Text, period};
use super::error::Refusal;
use super::filter::{Filter, Precision};
use super::grammar::Name;
use super::json::json;
use super::parameters::{Parameters, wrong};
use crate::db::Db;
use crate::model::series::SeriesKey;
use crate::model::time::{TimeRange, Timestamp};
use crate::server::rules::Rules;

/// Most points of one answer: three days at a point every three seconds. More are asked for in several parts.
pub(in crate::server) const ANSWER_POINTS_MAX: usize = 100_000;

/// What was asked.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) series: SeriesKey,
    pub(super) asked: Asked,
}

impl Question {
    /// Reads the part of the URL behind the question mark. Parameters that are not known are passed over.
    pub(super) fn parse(query: &str, rules: &Rules) -> Result<Self, Refusal> {
        let parameters = Parameters::parse(query)?;
        let namespace = parameters.required_name("namespace", Name::Namespace, rules)?;
        let metric = parameters.required_name("metric_name", Name::Metric, rules)?;
        if rules.dimensions.least > 0 {
            parameters.required("dim.0")?;
        }
        let dimensions = parameters.dimensions(rules)?;
        let from = parameters.millis("from")?;
        let to = parameters.millis("to")?;
        if from >= to {
            return Err(wrong("from", "must be less than to"));
        }
        let period = period(parameters.required("period")?, rules).map_err(|why| wrong("period", &why))?;
        let filter = Filter::named(parameters.required("filter")?);
        let filter = filter.ok_or_else(|| wrong("filter", Filter::NAMES))?;
        let series = SeriesKey::new(namespace, metric, dimensions).map_err(|error| wrong("dim", &error.to_string()))?;
        let least = usize::try_from(rules.dimensions.least).unwrap_or(usize::MAX);
        if series.dimensions().len() < least {
            return Err(wrong("dim", &format!("is given less than {least} times")));
        }
        // On the wire the last moment belongs to the range, inside it does not.
        let range = TimeRange::new(Timestamp::from_millis(from), Timestamp::from_millis(to.saturating_add(1)));
        Ok(Self { series, asked: Asked { range, period, filter, precision: Precision::of(rules) } })
    }

    /// The body of the answer, and how many pieces of it are missing. Without a database nothing is known.
    pub(super) fn answer(&self, db: Option<&Db>) -> Result<(Vec<u8>, usize), Refusal> {
        let (mut text, mut position, mut missing) = (Text::new(too_long), 0, 0);
        text.put("{\"datapoints\":[");
        if let Some(db) = db {
            missing = self.asked.read(db, &self.series, (ANSWER_POINTS_MAX, too_long), |point| {
                position += 1;
                self.asked.put(position - 1, &point, true, &mut text)
            })?;
        }
        text.put(&format!("],\"metric_name\":{}}}", json(self.series.metric())));
        Ok((text.into_bytes()?, missing))
    }
}

/// The refusal of an answer that would have too many points or bytes.
fn too_long() -> Refusal {
    wrong("to", "leaves a range with too many points for one answer: ask in several parts")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::server::profile::Profile;

    const GOOD: &str = "namespace=A.B&metric_name=m&dim.0=host%2Ca&from=1&to=2&period=1&filter=max";

    fn parse(query: &str) -> Result<Question, Refusal> {
        Question::parse(query, &Rules::of(Profile::Document))
    }

    #[test]
    fn names_are_decoded_and_broken_encoding_is_no_name() {
        let question = parse(&GOOD.replace("A.B", "%41%2EB").replace("max", "m%61x")).expect("good");
        assert_eq!((question.series.namespace(), question.asked.filter), ("A.B", Filter::Max));
        for broken in ["A.B%", "A.B%2", "A.B%zz", "A.B%ff", "A.B+"] {
            assert!(parse(&GOOD.replace("A.B", broken)).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_range_ends_behind_its_last_millisecond() {
        let question = parse(GOOD).expect("good");
        assert_eq!(question.asked.range, TimeRange::new(Timestamp::from_millis(1), Timestamp::from_millis(3)));
        let forever = GOOD.replace("to=2", &format!("to={}", i64::MAX));
        assert_eq!(parse(&forever).expect("good").asked.range.end(), Timestamp::from_millis(i64::MAX));
    }

    #[test]
    fn every_published_period_is_known_and_no_other() {
        let asked = |text: &str| {
            parse(&GOOD.replace("period=1", &format!("period={text}"))).map(|question| question.asked.period)
        };
        assert_eq!(asked("1").expect("published"), None);
        for secs in [60, 300, 1_200, 3_600, 14_400, 86_400] {
            assert_eq!(asked(&secs.to_string()).expect("published"), Some(Duration::from_secs(secs)));
        }
        for text in ["", "0", "01", "060", "+60", "60.0", "61", "-60", "172800"] {
            assert!(asked(text).is_err(), "{text:?}");
        }
    }
}
