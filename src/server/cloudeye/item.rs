//! One item of an ingest request: its fields in their own words, and the rules that make a point of them. Each rule
//! names the field it is about. Pure, but for what it remembers of metrics that were read before.

use std::time::Duration;

use super::json::{Checked, Fault, cut, millis, quote, required, text};
use super::known::{KnownMetrics, Trail};
use super::metric::{Purpose, series};
use super::number::{NumberType, is_integer_literal, is_number, parse_value};
use crate::model::point::{Point, Unit};
use crate::model::series::SeriesKey;
use crate::model::time::{TimeRange, Timestamp, Ttl};
use crate::server::rules::Rules;

/// Units of one request that are found again; the page has hardly more.
const UNITS_KEPT: usize = 16;

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
    rules: &'a Rules,
    now: Timestamp,
    /// The times that are admitted.
    window: TimeRange,
    known: &'a KnownMetrics,
    trail: Trail,
    /// By their JSON texts: a unit is made once for a request.
    units: Vec<(&'a str, Unit)>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(rules: &'a Rules, now: Timestamp, known: &'a KnownMetrics) -> Self {
        let (window, trail) = (rules.window(now), Trail::default());
        Self { rules, now, window, known, trail, units: Vec::new() }
    }

    /// The text of the metric that `rest` begins with and what it means, if it is the one that usually comes here.
    pub(super) fn expected(&mut self, rest: &'a str) -> Option<(&'a str, SeriesKey)> {
        self.known.expected(&mut self.trail, rest)
    }

    pub(super) fn read(&mut self, item: Item<'a>) -> Checked<(SeriesKey, Point)> {
        let series = match required(item.metric, "metric")? {
            Metric::Known(key) => key,
            Metric::Text(json) => {
                let read = || series(json, "metric", Purpose::Write, self.rules);
                self.known.get_or_insert(&mut self.trail, json, read)?
            }
        };
        let ttl = ttl(required(item.ttl, "ttl")?, self.rules)?;
        let time = self.collect_time(required(item.collect_time, "collect_time")?)?;
        let of_type = item.of_type.map(number_type).transpose()?;
        let value = required(item.value, "value")?;
        if !is_number(value) {
            return Err(Fault::new("value", "must be a number"));
        }
        let value = parse_value(value, of_type).map_err(|why| Fault::new("value", why))?;
        let point = Point::new(time, value).with_ttl(ttl);
        match item.unit {
            Some(json) => Ok((series, point.with_unit(self.unit(json)?))),
            None => Ok((series, point)),
        }
    }

    fn collect_time(&self, json: &str) -> Checked<Timestamp> {
        const FIELD: &str = "collect_time";

        let time = Timestamp::from_millis(millis(json, FIELD)?);
        if !time.is_storable() {
            return Err(Fault::new(FIELD, format_args!("{} is out of range", cut(json))));
        }
        if self.window.contains(time) {
            return Ok(time);
        }
        let secs = |most: Option<Duration>| most.map_or_else(|| "any time".into(), |most| format!("{most:?}"));
        let (past, ahead) = (secs(self.rules.past), secs(self.rules.ahead));
        let (time, now) = (time.as_millis(), self.now.as_millis());
        Err(Fault::new(FIELD, format_args!("{time} is not within {past} before and {ahead} after now, {now}")))
    }

    fn unit(&mut self, json: &'a str) -> Checked<Unit> {
        if let Some((_, unit)) = self.units.iter().find(|(earlier, _)| *earlier == json) {
            return Ok(unit.clone());
        }
        let unit = text(json, "unit")?;
        let chars = unit.chars().count();
        let most = self.rules.unit_chars;
        if !u32::try_from(chars).is_ok_and(|chars| chars <= most) {
            return Err(Fault::new("unit", format_args!("has {chars} characters, at most {most} are allowed")));
        }
        let unit = Unit::from(&*unit);
        if self.units.len() < UNITS_KEPT {
            self.units.push((json, unit.clone()));
        }
        Ok(unit)
    }
}

fn ttl(json: &str, rules: &Rules) -> Checked<Ttl> {
    let allowed = rules.ttl;
    if !is_number(json) || !is_integer_literal(json) {
        return Err(Fault::new("ttl", "must be an integer, in seconds"));
    }
    let secs = json.parse::<i64>().ok().and_then(|secs| u32::try_from(secs).ok());
    secs.filter(|secs| allowed.contains(*secs)).map(Ttl::from_secs).ok_or_else(|| {
        let (least, most) = (allowed.least, allowed.most);
        Fault::new("ttl", format_args!("must be {least} to {most} seconds, not {}", cut(json)))
    })
}

fn number_type(json: &str) -> Checked<NumberType> {
    match &*text(json, "type")? {
        "int" => Ok(NumberType::Int),
        "float" => Ok(NumberType::Float),
        other => Err(Fault::new("type", format_args!("must be int or float, not {}", quote(other)))),
    }
}
