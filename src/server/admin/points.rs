//! The back door: points in and out exactly as the engine holds them, of any name, time and TTL that it can hold.
//! The rules of the API do not apply.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use super::Shared;
use super::answers::{Answered, Problem, Text, parse};
use super::state::name;
use crate::model::batch::WriteBatch;
use crate::model::point::{Point, Unit, Value};
use crate::model::series::SeriesKey;
use crate::model::time::{TimeRange, Timestamp, Ttl};
use crate::server::face::json_answer;
use crate::server::projects::ProjectId;

/// Most points of one answer.
const POINTS_MAX: usize = 10_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Write {
    project: String,
    points: Vec<Written>,
}

/// A point as it is written: an integer without a fraction is an int, anything else a float.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    namespace: String,
    metric_name: String,
    dimensions: Vec<Dimension>,
    /// In ms.
    time: i64,
    /// In seconds; without it the point lives for ever.
    ttl: Option<u32>,
    value: Box<RawValue>,
    unit: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dimension {
    name: String,
    value: String,
}

pub(super) async fn write(State(admin): Shared, body: Bytes) -> Answered {
    let receipt = admin.run(move |site| {
        let write: Write = parse(&body)?;
        let project = project(&write.project)?;
        let mut batch = WriteBatch::new();
        for (index, written) in write.points.into_iter().enumerate() {
            let point = written.into_point().map_err(|why| Problem::invalid(format!("point {index}: {why}")));
            let (series, point) = point?;
            batch.push(series, point);
        }
        Ok(site.projects.open_or_create(&project)?.write(&batch)?)
    });
    let receipt = receipt.await?;
    let told = json!({
        "stored": receipt.stored,
        "replaced": receipt.replaced,
        "dead_on_arrival": receipt.dead_on_arrival,
        "sequence": receipt.sequence.get(),
    });
    Ok(json_answer(StatusCode::CREATED, &told))
}

impl Written {
    fn into_point(self) -> Result<(SeriesKey, Point), String> {
        let value = value(self.value.get()).ok_or("the value must be a finite number; an int has 64 bits")?;
        let dimensions = self.dimensions.iter().map(|dimension| (&dimension.name, &dimension.value));
        let series =
            SeriesKey::new(&self.namespace, &self.metric_name, dimensions).map_err(|error| error.to_string())?;
        let ttl = self.ttl.map_or(Ttl::NEVER, Ttl::from_secs);
        let point = Point::new(Timestamp::from_millis(self.time), value).with_ttl(ttl);
        Ok((
            series,
            match self.unit {
                Some(unit) => point.with_unit(unit),
                None => point,
            },
        ))
    }
}

/// The exact value of a JSON number.
fn value(json: &str) -> Option<Value> {
    if !json.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return None;
    }
    if json.contains(['.', 'e', 'E']) {
        return json.parse::<f64>().ok().filter(|float| float.is_finite()).map(Value::Float);
    }
    json.parse().ok().map(Value::Int)
}

/// What is asked for: one series of one project, and a range of times.
struct Asked {
    project: ProjectId,
    series: SeriesKey,
    range: TimeRange,
}

impl Asked {
    fn parse(query: &str) -> Result<Self, Problem> {
        let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
        let get = |name: &str| pairs.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_ref());
        let required = |name: &str| get(name).ok_or_else(|| Problem::invalid(format!("{name} is missing")));
        let moment = |name: &str, otherwise: Timestamp| match get(name) {
            None => Ok(otherwise),
            Some(text) => {
                let wrong = || Problem::invalid(format!("{name} must be an integer, in milliseconds since 1970"));
                text.parse().map(Timestamp::from_millis).map_err(|_| wrong())
            }
        };
        let is_dimension = |name: &str| name == "dim" || name.starts_with("dim.");
        let dimensions = pairs.iter().filter(|(name, _)| is_dimension(name)).map(|(name, text)| {
            text.split_once(',').ok_or_else(|| Problem::invalid(format!("{name} must be name,value")))
        });
        let dimensions = dimensions.collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            project: project(required("project")?)?,
            series: SeriesKey::new(required("namespace")?, required("metric_name")?, dimensions)?,
            range: TimeRange::new(moment("from", Timestamp::MIN)?, moment("to", Timestamp::from_millis(i64::MAX))?),
        })
    }
}

/// The points from `from` on and before `to`.
pub(super) async fn read(State(admin): Shared, RawQuery(query): RawQuery) -> Answered {
    let Asked { project, series, range } = Asked::parse(&query.unwrap_or_default())?;
    let told = admin.tell(move |site| {
        let mut text = Text::new(format!(r#"{{"series":{},"points":["#, name(&series)));
        if let Some(db) = site.projects.open_existing(&project)? {
            for (index, point) in db.points(&series, range)?.enumerate() {
                if index == POINTS_MAX || !text.element(&tell(&point?)) {
                    return Err(Problem::invalid(format!("these are more than {POINTS_MAX} points: ask in parts")));
                }
            }
        }
        Ok(text.end("]}"))
    });
    told.await
}

fn tell(point: &Point) -> Json {
    let (kind, value) = match point.value {
        Value::Int(int) => ("int", json!(int)),
        Value::Float(float) => ("float", json!(float)),
    };
    json!({
        "time": point.time.as_millis(),
        "value": value,
        "type": kind,
        "unit": point.unit.as_ref().map(Unit::as_str),
        "expires_at": point.expires_at.map(Timestamp::as_millis),
    })
}

fn project(text: &str) -> Result<ProjectId, Problem> {
    ProjectId::new(text).ok_or_else(|| Problem::invalid(ProjectId::FORM))
}
