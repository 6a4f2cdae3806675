//! The words of an import: a series, a point on its way, what a reader hands on and a destination takes. Knows the
//! ingest schema of the contract page, because both NDJSON input and HTTP output speak it; does no input or output.

use std::fmt::Write as _;

use ebbtide::{SeriesKey, Timestamp, Ttl};
use serde::{Deserialize, Serialize};

use super::number::{Kind, Number};

/// What the command line says for points whose file does not.
#[derive(Debug)]
pub(super) struct Defaults<'a> {
    pub(super) namespace: Option<String>,
    pub(super) ttl_secs: u32,
    pub(super) unit: Option<&'a str>,
    pub(super) step_millis: Option<i64>,
}

/// A series by both of its names: the engine's and the wire's.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) key: SeriesKey,
    /// The `metric` object of the ingest schema; written once, used for every point.
    json: String,
}

/// The `metric` object of the ingest schema.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Metric {
    pub(super) namespace: String,
    pub(super) dimensions: Vec<Dimension>,
    #[serde(rename = "metric_name")]
    pub(super) name: String,
}

/// One element of a metric's `dimensions`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Dimension {
    pub(super) name: String,
    pub(super) value: String,
}

impl Series {
    /// Refuses what the engine could not keep; the stricter grammar of the wire is the server's to check.
    pub(super) fn new(metric: Metric) -> ebbtide::Result<Self> {
        let json = serde_json::to_string(&metric).expect("strings always become JSON");
        let dimensions = metric.dimensions.into_iter().map(|each| (each.name, each.value));
        Ok(Self { key: SeriesKey::new(metric.namespace, metric.name, dimensions)?, json })
    }
}

/// One point on its way to a destination.
#[derive(Debug)]
pub(super) struct Item<'a> {
    pub(super) series: &'a Series,
    pub(super) time: Timestamp,
    pub(super) number: Number<'a>,
    pub(super) ttl_secs: u32,
    pub(super) unit: Option<&'a str>,
}

impl Item<'_> {
    /// Appends the item as an element of a request. The number goes out as it was written, digit by digit.
    pub(super) fn write_json(&self, out: &mut String) {
        let (metric, time, value) = (&self.series.json, self.time.as_millis(), self.number.text);
        write!(out, r#"{{"metric":{metric},"ttl":{},"collect_time":{time},"value":{value}"#, self.ttl_secs)
            .expect("writing to a string cannot fail");
        if let Some(unit) = self.unit {
            out.push_str(r#","unit":"#);
            out.push_str(&serde_json::to_string(unit).expect("strings always become JSON"));
        }
        match self.number.kind {
            Some(Kind::Int) => out.push_str(r#","type":"int"}"#),
            Some(Kind::Float) => out.push_str(r#","type":"float"}"#),
            None => out.push('}'),
        }
    }

    /// Whether the point cannot be read back even at the moment `now`.
    pub(super) fn has_expired_at(&self, now: Timestamp) -> bool {
        Ttl::from_secs(self.ttl_secs).expiry_of(self.time).is_some_and(|expiry| expiry <= now)
    }
}

/// What a reader finds, in the order of the file.
#[derive(Debug)]
pub(super) enum Sample<'a> {
    /// A point to be stored.
    Point(Item<'a>),
    /// A NaN or an infinity, which no point can hold.
    NotFinite {
        /// The series it would have belonged to.
        series: &'a Series,
        /// The time it would have had.
        time: Timestamp,
    },
}

impl Sample<'_> {
    pub(super) fn time(&self) -> Timestamp {
        match self {
            Self::Point(item) => item.time,
            Self::NotFinite { time, .. } => *time,
        }
    }
}

/// Where samples go. An error stops the reader and is passed on as it is.
pub(super) type Out<'o> = dyn FnMut(Sample<'_>) -> anyhow::Result<()> + 'o;

/// `time` moved by an offset, if that can be stored.
pub(super) fn shifted(time: i64, offset: i64) -> Result<Timestamp, String> {
    match time.checked_add(offset).map(Timestamp::from_millis) {
        Some(shifted) if shifted.is_storable() => Ok(shifted),
        _ => Err(format!("the time {time} ms moved by {offset} ms is out of range")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::number;

    #[test]
    fn a_point_becomes_an_item_of_the_documented_shape() {
        // Method: a number that a double cannot hold, and names that need escapes, both ways.
        let dimension = Dimension { name: "host".into(), value: "a\"b".into() };
        let metric = Metric { namespace: "A.B".into(), dimensions: vec![dimension], name: "m".into() };
        let series = Series::new(metric).expect("valid names");
        let number = number::parse("9007199254740993", None).expect("valid");
        let time = Timestamp::from_millis(7);
        let item = Item { series: &series, time, number, ttl_secs: 60, unit: Some("%") };
        let mut json = String::new();
        item.write_json(&mut json);
        let expected =
            r#"{"metric":{"namespace":"A.B","dimensions":[{"name":"host","value":"a\"b"}],"metric_name":"m"},"#
                .to_owned()
                + r#""ttl":60,"collect_time":7,"value":9007199254740993,"unit":"%"}"#;
        assert_eq!(json, expected);
        assert!(
            item.has_expired_at(Timestamp::from_millis(60_007)) && !item.has_expired_at(Timestamp::from_millis(60_006))
        );
    }
}
