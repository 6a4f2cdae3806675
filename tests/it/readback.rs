//! Reading points back over HTTP, exactly: the number from its own text, so that `60` is not `60.0` and no digit is
//! lost in a double. For tests that compare what they wrote with what is there.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ebbtide::{SeriesKey, Value};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::harness::{self, Server};

/// The project that tests write to.
pub(crate) const PROJECT: &str = "demo";

/// All that a point shows of itself, besides its time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Shown {
    pub(crate) value: Value,
    pub(crate) unit: Option<String>,
}

/// The points of one series by time in milliseconds.
pub(crate) type Points = BTreeMap<i64, Shown>;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    datapoints: Vec<Datapoint<'a>>,
}

#[derive(Deserialize)]
struct Datapoint<'a> {
    #[serde(borrow)]
    average: &'a RawValue,
    timestamp: i64,
    /// Empty when the point has none.
    unit: String,
}

/// All points of a series whose times lie in `[from, to]`.
pub(crate) fn points(server: &Server, series: &SeriesKey, from: i64, to: i64) -> Points {
    let (namespace, metric) = (series.namespace(), series.metric());
    let names = format!("namespace={namespace}&metric_name={metric}");
    let mut path = format!("{}?{names}&from={from}&to={to}&period=1&filter=average", harness::points_path(PROJECT));
    for (position, dimension) in series.dimensions().enumerate() {
        write!(path, "&dim.{position}={},{}", dimension.name, dimension.value)
            .expect("writing to a string cannot fail");
    }
    let reply = server.get(&path);
    let body = reply.text();
    assert_eq!(reply.status, 200, "{path}: {body}");
    let answer: Answer<'_> = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"));
    assert!(answer.datapoints.is_sorted_by_key(|point| point.timestamp), "{series}: points come in order of time");
    let count = answer.datapoints.len();
    let shown = |point: Datapoint<'_>| {
        let unit = Some(point.unit).filter(|unit| !unit.is_empty());
        (point.timestamp, Shown { value: value(point.average.get()), unit })
    };
    let points: Points = answer.datapoints.into_iter().map(shown).collect();
    assert_eq!(points.len(), count, "{series}: no time comes twice");
    points
}

/// The value that a number's text means when no type is named beside it. What is written as an integer but does not
/// fit one is a double.
pub(crate) fn value(text: &str) -> Value {
    let float = || Value::Float(text.parse().expect("a number"));
    if text.contains(['.', 'e', 'E']) { float() } else { text.parse().map_or_else(|_| float(), Value::Int) }
}
