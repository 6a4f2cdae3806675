//! One item of an ingest request: its fields in their own words, and the rules that make a point of them. Each rule
//! names the field it is about. Pure, but for what it remembers of metrics that were read before.

use std::borrow::Cow;
use std::fmt;

use serde_json::value::RawValue;

use super::error::Code;
use super::fields::{Fields, Unread};
use super::grammar::{Name, is_system_namespace};
use super::known::{KnownMetrics, Trail};
use super::number::{NumberType, is_integer_literal, is_number, parse_value};
use crate::model::limits::UNIT_CHARS_MAX;
use crate::model::point::{Point, Unit};
use crate::model::series::SeriesKey;
use crate::model::time::{TimeRange, Timestamp, Ttl};
use crate::server::profile::Profile;

/// Most characters of a client's text that are repeated in an error.
const QUOTE_CHARS_MAX: usize = 64;

/// Units of one request that are found again; the page has hardly more.
const UNITS_KEPT: usize = 16;

/// What is wrong with one item: its text begins with the field's name.
pub(super) struct Fault {
    pub(super) code: Code,
    pub(super) text: String,
}

pub(super) type Checked<T> = Result<T, Fault>;

/// The fields of an item that mean something, each the text of one valid JSON value. `null` and what is not given are
/// `None`.
#[derive(Default)]
pub(super) struct Item<'a> {
    pub(super) metric: Option<Metric<'a>>,
    pub(super) ttl: Option<&'a str>,
    pub(super) collect_time: Option<&'a str>,
    pub(super) of_type: Option<&'a str>,
    pub(super) value: Option<&'a str>,
    pub(super) unit: Option<&'a str>,
}

/// What names the series of an item.
pub(super) enum Metric<'a> {
    Known(SeriesKey),
    Text(&'a str),
}

/// Makes points of the items of one request.
pub(super) struct Reader<'a> {
    profile: Profile,
    now: Timestamp,
    /// The times that are admitted.
    window: Option<TimeRange>,
    known: &'a KnownMetrics,
    trail: Trail,
    /// By their JSON texts: a unit is made once for a request.
    units: Vec<(&'a str, Unit)>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(profile: Profile, now: Timestamp, known: &'a KnownMetrics) -> Self {
        let (window, trail) = (profile.window(now), Trail::default());
        Self { profile, now, window, known, trail, units: Vec::new() }
    }

    /// The text of the metric that `rest` begins with and what it means, if it is the one that usually comes here.
    pub(super) fn expected(&mut self, rest: &'a str) -> Option<(&'a str, SeriesKey)> {
        self.known.expected(&mut self.trail, rest)
    }

    pub(super) fn read(&mut self, item: Item<'a>) -> Checked<(SeriesKey, Point)> {
        let series = match required(item.metric, "metric")? {
            Metric::Known(key) => key,
            Metric::Text(json) => {
                let read = || series(json, self.profile);
                self.known.get_or_insert(&mut self.trail, json, read)?
            }
        };
        let ttl = ttl(required(item.ttl, "ttl")?, self.profile)?;
        let time = self.collect_time(required(item.collect_time, "collect_time")?)?;
        let of_type = item.of_type.map(number_type).transpose()?;
        let value = required(item.value, "value")?;
        if !is_number(value) {
            return Err(fault("value", "must be a number"));
        }
        let value = parse_value(value, of_type).map_err(|why| fault("value", why))?;
        let point = Point::new(time, value).with_ttl(ttl);
        match item.unit {
            Some(json) => Ok((series, point.with_unit(self.unit(json)?))),
            None => Ok((series, point)),
        }
    }

    fn collect_time(&self, json: &str) -> Checked<Timestamp> {
        const FIELD: &str = "collect_time";

        let unquoted = if is_number(json) { json.into() } else { text(json, FIELD)? };
        let digits = unquoted.strip_prefix('-').unwrap_or(&unquoted);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(fault(FIELD, "must be an integer, in milliseconds since 1970"));
        }
        let time = unquoted.parse().map(Timestamp::from_millis).ok().filter(|time| time.is_storable());
        let Some(time) = time else {
            return Err(fault(FIELD, format_args!("{} is out of range", cut(&unquoted))));
        };
        match self.window {
            Some(window) if !window.contains(time) => {
                let (time, now) = (time.as_millis(), self.now.as_millis());
                let why = format_args!("{time} is not within 3 days before and 10 minutes after now, {now}");
                Err(fault(FIELD, why))
            }
            _ => Ok(time),
        }
    }

    fn unit(&mut self, json: &'a str) -> Checked<Unit> {
        if let Some((_, unit)) = self.units.iter().find(|(earlier, _)| *earlier == json) {
            return Ok(unit.clone());
        }
        let unit = text(json, "unit")?;
        let chars = unit.chars().count();
        if chars > UNIT_CHARS_MAX {
            let why = format_args!("has {chars} characters, at most {UNIT_CHARS_MAX} are allowed");
            return Err(fault("unit", why));
        }
        let unit = Unit::from(&*unit);
        if self.units.len() < UNITS_KEPT {
            self.units.push((json, unit.clone()));
        }
        Ok(unit)
    }
}

fn series(json: &str, profile: Profile) -> Checked<SeriesKey> {
    let metric = object(json, "metric")?;
    let namespace = name(metric.get("namespace"), Name::Namespace, "metric.namespace", profile)?;
    if is_system_namespace(&namespace, profile) {
        let why = "belongs to the service itself; choose a namespace of your own";
        return Err(Fault { code: Code::SystemMetric, ..fault("metric.namespace", why) });
    }
    let dimensions = dimensions(required(metric.get("dimensions"), "metric.dimensions")?, profile)?;
    let metric_name = name(metric.get("metric_name"), Name::Metric, "metric.metric_name", profile)?;
    SeriesKey::new(namespace, metric_name, dimensions).map_err(|error| fault("metric", error))
}

fn dimensions<'a>(json: &'a str, profile: Profile) -> Checked<Vec<(Cow<'a, str>, Cow<'a, str>)>> {
    const FIELD: &str = "metric.dimensions";

    let raws: Vec<&'a RawValue> =
        serde_json::from_str(json).map_err(|_| fault(FIELD, "must be an array of objects"))?;
    let allowed = profile.dimensions();
    if !allowed.contains(&raws.len()) {
        let (least, most) = (allowed.start(), allowed.end());
        return Err(fault(FIELD, format_args!("has {} elements, {least} to {most} are allowed", raws.len())));
    }
    let mut dimensions: Vec<(Cow<'a, str>, Cow<'a, str>)> = Vec::with_capacity(raws.len());
    for (position, raw) in raws.into_iter().enumerate() {
        let field = format!("{FIELD}[{position}]");
        let dimension = object(raw.get(), &field)?;
        let name_field = format!("{field}.name");
        let name_text = name(dimension.get("name"), Name::Dimension, &name_field, profile)?;
        if dimensions.iter().any(|(earlier, _)| *earlier == name_text) {
            return Err(fault(&name_field, format_args!("{} is given twice", quote(&name_text))));
        }
        let value_text = name(dimension.get("value"), Name::Value, &format!("{field}.value"), profile)?;
        dimensions.push((name_text, value_text));
    }
    Ok(dimensions)
}

fn name<'a>(json: Option<&'a str>, kind: Name, field: &str, profile: Profile) -> Checked<Cow<'a, str>> {
    let name = text(required(json, field)?, field)?;
    match kind.check(&name, profile) {
        Ok(()) => Ok(name),
        Err(why) => Err(fault(field, format_args!("{why}, not {}", quote(&name)))),
    }
}

fn ttl(json: &str, profile: Profile) -> Checked<Ttl> {
    let allowed = profile.ttl_secs();
    if !is_number(json) || !is_integer_literal(json) {
        return Err(fault("ttl", "must be an integer, in seconds"));
    }
    let secs = json.parse::<i64>().ok().and_then(|secs| u32::try_from(secs).ok());
    secs.filter(|secs| allowed.contains(secs)).map(Ttl::from_secs).ok_or_else(|| {
        let (least, most) = (allowed.start(), allowed.end());
        fault("ttl", format_args!("must be {least} to {most} seconds, not {}", cut(json)))
    })
}

fn number_type(json: &str) -> Checked<NumberType> {
    match &*text(json, "type")? {
        "int" => Ok(NumberType::Int),
        "float" => Ok(NumberType::Float),
        other => Err(fault("type", format_args!("must be int or float, not {}", quote(other)))),
    }
}

fn required<T>(value: Option<T>, field: &str) -> Checked<T> {
    value.ok_or_else(|| fault(field, "is missing"))
}

/// The fields of a JSON object; `field` names it, and is empty for the item itself.
pub(super) fn object<'a>(json: &'a str, field: &str) -> Checked<Fields<'a>> {
    let named = if field.is_empty() { "the item" } else { field };
    if !json.starts_with('{') {
        return Err(fault(named, "must be an object"));
    }
    Fields::parse(json).map_err(|unread| match unread {
        Unread::Twice(name) if field.is_empty() => fault(cut(&name), "is given twice"),
        Unread::Twice(name) => fault(&format!("{field}.{}", cut(&name)), "is given twice"),
        Unread::Wrong(why) => fault(named, format_args!("cannot be read: {why}")),
    })
}

/// What a JSON string says.
fn text<'a>(json: &'a str, field: &str) -> Checked<Cow<'a, str>> {
    let Some(quoted) = json.strip_prefix('"') else {
        return Err(fault(field, "must be a string"));
    };
    if let Some(plain) = quoted.strip_suffix('"').filter(|text| !text.contains('\\')) {
        return Ok(plain.into());
    }
    serde_json::from_str(json).map(Cow::Owned).map_err(|_| fault(field, "is not valid Unicode"))
}

fn fault(field: &str, why: impl fmt::Display) -> Fault {
    Fault { code: Code::Body, text: format!("{field} {why}") }
}

/// A client's text as it stands in an error: short, and without characters that could break a line.
fn quote(text: &str) -> String {
    format!("{:?}", cut(text))
}

fn cut(text: &str) -> &str {
    text.char_indices().nth(QUOTE_CHARS_MAX).map_or(text, |(end, _)| &text[..end])
}
