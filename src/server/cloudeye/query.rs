//! From the parameters of a query to one series and range, and from its points or windows to the answer. Pure: touches
//! no store.

use std::io::Write as _;
use std::time::Duration;

use super::answer::ANSWER_BYTES_MAX;
use super::error::{Code, Refusal};
use super::filter::{Filter, number};
use super::grammar::Name;
use crate::error::Result as EngineResult;
use crate::model::point::{Point, Unit};
use crate::model::series::SeriesKey;
use crate::model::time::{TimeRange, Timestamp};
use crate::model::window::Window;
use crate::server::profile::Profile;

/// Most points of one answer: three days at a point every three seconds. More are asked for in several parts.
pub(super) const ANSWER_POINTS_MAX: usize = 100_000;

/// The period that means raw points.
const PERIOD_RAW: u64 = 1;

/// The other periods that are published, in seconds.
const PERIODS_OF_WINDOWS: [u64; 6] = [60, 300, 1_200, 3_600, 14_400, 86_400];

/// What was asked.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) series: SeriesKey,
    pub(super) range: TimeRange,
    /// Of the windows that are asked for; none for raw points.
    pub(super) period: Option<Duration>,
    filter: Filter,
    profile: Profile,
}

impl Question {
    /// Reads the part of the URL behind the question mark. Parameters that are not known are passed over.
    pub(super) fn parse(query: &str, profile: Profile) -> Result<Self, Refusal> {
        let parameters = Parameters::parse(query)?;
        let namespace = parameters.name("namespace", Name::Namespace, profile)?;
        let metric = parameters.name("metric_name", Name::Metric, profile)?;
        let dimensions = parameters.dimensions(profile)?;
        let from = parameters.millis("from")?;
        let to = parameters.millis("to")?;
        if from >= to {
            return Err(wrong("from", "must be less than to"));
        }
        let period = period(parameters.required("period")?)?;
        let filter = Filter::named(parameters.required("filter")?);
        let filter = filter.ok_or_else(|| wrong("filter", "must be average, max, min, sum or variance"))?;
        let series = SeriesKey::new(namespace, metric, dimensions).map_err(|error| wrong("dim", &error.to_string()))?;
        // On the wire the last moment belongs to the range, inside it does not.
        let range = TimeRange::new(Timestamp::from_millis(from), Timestamp::from_millis(to.saturating_add(1)));
        Ok(Self { series, range, period, filter, profile })
    }

    /// The body of an answer of points.
    pub(super) fn answer_points(&self, points: impl Iterator<Item = EngineResult<Point>>) -> Result<Vec<u8>, Refusal> {
        let mut body = Body::new(self);
        for point in points {
            let point = point?;
            body.push(&number(point.value), point.time, point.unit.as_ref())?;
        }
        Ok(body.finish())
    }

    /// The body of an answer of windows, and how many are left out because what is asked of them is no finite number,
    /// which JSON cannot say.
    pub(super) fn answer_windows(&self, windows: &[Window]) -> Result<(Vec<u8>, usize), Refusal> {
        let mut body = Body::new(self);
        let mut left_out = 0;
        for window in windows {
            match self.filter.show(window, self.profile) {
                Some(number) => body.push(&number, window.start, window.unit())?,
                None => left_out += 1,
            }
        }
        Ok((body.finish(), left_out))
    }

    /// The refusal of an answer that would have too many points or bytes.
    pub(super) fn too_long() -> Refusal {
        wrong("to", "leaves a range with too many points for one answer: ask in several parts")
    }
}

/// The text of an answer on its way.
struct Body<'a> {
    question: &'a Question,
    text: Vec<u8>,
    points: usize,
}

impl<'a> Body<'a> {
    fn new(question: &'a Question) -> Self {
        Self { question, text: b"{\"datapoints\":[".to_vec(), points: 0 }
    }

    fn push(&mut self, number: &str, time: Timestamp, unit: Option<&Unit>) -> Result<(), Refusal> {
        if self.points == ANSWER_POINTS_MAX {
            return Err(Question::too_long());
        }
        let separator = if self.points == 0 { "" } else { "," };
        let unit = json(unit.map_or("", Unit::as_str));
        let (filter, time) = (self.question.filter.name(), time.as_millis());
        write!(self.text, "{separator}{{\"{filter}\":{number},\"timestamp\":{time},\"unit\":{unit}}}")
            .expect("memory takes every write");
        self.points += 1;
        if self.text.len() > ANSWER_BYTES_MAX { Err(Question::too_long()) } else { Ok(()) }
    }

    fn finish(mut self) -> Vec<u8> {
        let metric = json(self.question.series.metric());
        write!(self.text, "],\"metric_name\":{metric}}}").expect("memory takes every write");
        self.text
    }
}

/// The period of windows; none for raw points.
fn period(text: &str) -> Result<Option<Duration>, Refusal> {
    let published = |secs: &u64| secs.to_string() == text;
    match PERIODS_OF_WINDOWS.iter().find(|secs| published(secs)) {
        Some(secs) => Ok(Some(Duration::from_secs(*secs))),
        None if published(&PERIOD_RAW) => Ok(None),
        None => Err(wrong("period", "must be 1, 60, 300, 1200, 3600, 14400 or 86400 seconds")),
    }
}

fn json(text: &str) -> String {
    serde_json::to_string(text).expect("a string has a JSON text")
}

fn wrong(parameter: &str, why: &str) -> Refusal {
    Refusal::new(Code::Parameter, format!("{parameter} {why}"))
}

/// The parameters of a URL, decoded, in the order given; each at most once.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Broken percent signs stand for themselves and broken UTF-8 becomes U+FFFD, which no name may contain.
    fn parse(query: &str) -> Result<Self, Refusal> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let name = if name == "dim" { "dim.0".into() } else { name.into_owned() };
            if parameters.iter().any(|(earlier, _)| *earlier == name) {
                return Err(wrong(&name, "is given twice"));
            }
            parameters.push((name, value.into_owned()));
        }
        Ok(Self(parameters))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str())
    }

    fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| wrong(name, "is missing"))
    }

    fn name(&self, name: &str, kind: Name, profile: Profile) -> Result<&str, Refusal> {
        let text = self.required(name)?;
        kind.check(text, profile).map_err(|why| wrong(name, &why))?;
        Ok(text)
    }

    fn millis(&self, name: &str) -> Result<i64, Refusal> {
        let text = self.required(name)?;
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong(name, "must be an integer, in milliseconds since 1970"));
        }
        text.parse().map_err(|_| wrong(name, "is out of range"))
    }

    /// `dim.0=name,value` and so on. Their order and gaps between their numbers mean nothing.
    fn dimensions(&self, profile: Profile) -> Result<Vec<(&str, &str)>, Refusal> {
        let allowed = profile.dimensions();
        if *allowed.start() > 0 {
            self.required("dim.0")?;
        }
        let mut dimensions = Vec::new();
        for (parameter, text) in &self.0 {
            let Some(number) = parameter.strip_prefix("dim.") else { continue };
            if !(0..*allowed.end()).any(|each| each.to_string() == number) {
                return Err(wrong(parameter, &format!("is none of dim.0 to dim.{}", allowed.end() - 1)));
            }
            let (name, value) = text.split_once(',').ok_or_else(|| wrong(parameter, "must be name,value"))?;
            Name::Dimension.check(name, profile).map_err(|why| wrong(parameter, &format!("name {why}")))?;
            // The published query side knows more characters in values than the ingest side: no series has them.
            Name::Value.check_length(value).map_err(|why| wrong(parameter, &format!("value {why}")))?;
            dimensions.push((name, value));
        }
        Ok(dimensions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "namespace=A.B&metric_name=m&dim.0=host%2Ca&from=1&to=2&period=1&filter=max";

    fn parse(query: &str) -> Result<Question, Refusal> {
        Question::parse(query, Profile::Document)
    }

    #[test]
    fn names_are_decoded_and_broken_encoding_is_no_name() {
        let question = parse(&GOOD.replace("A.B", "%41%2EB").replace("max", "m%61x")).expect("good");
        assert_eq!((question.series.namespace(), question.filter), ("A.B", Filter::Max));
        for broken in ["A.B%", "A.B%2", "A.B%zz", "A.B%ff", "A.B+"] {
            assert!(parse(&GOOD.replace("A.B", broken)).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_range_ends_behind_its_last_millisecond() {
        let question = parse(GOOD).expect("good");
        assert_eq!(question.range, TimeRange::new(Timestamp::from_millis(1), Timestamp::from_millis(3)));
        let forever = GOOD.replace("to=2", &format!("to={}", i64::MAX));
        assert_eq!(parse(&forever).expect("good").range.end(), Timestamp::from_millis(i64::MAX));
    }

    #[test]
    fn every_published_period_is_known_and_no_other() {
        let asked = |text: &str| parse(&GOOD.replace("period=1", &format!("period={text}"))).map(|asked| asked.period);
        assert_eq!(asked("1").expect("published"), None);
        for secs in PERIODS_OF_WINDOWS {
            assert_eq!(asked(&secs.to_string()).expect("published"), Some(Duration::from_secs(secs)));
        }
        for text in ["", "0", "01", "060", "+60", "60.0", "61", "-60", "172800"] {
            assert!(asked(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_answer_over_a_bound_is_refused_and_not_cut() {
        // Goal: both bounds, in points and in bytes.
        let question = parse(GOOD).expect("good");
        let answer = |unit: &str, count: i64| {
            let point = |millis| Ok(Point::new(Timestamp::from_millis(millis), 1).with_unit(unit));
            question.answer_points((0..count).map(point)).map(|answer| answer.len())
        };
        assert!(answer("%", 100_000).is_ok());
        for refused in [answer("%", 100_001), answer(&"\u{1d54f}".repeat(32), 100_000)] {
            let error = refused.expect_err("over a bound");
            assert!(error.to_string().contains("ces.0013 to "), "{error}");
        }
    }
}
