//! NDJSON: each line an item of the ingest schema, or an array of them. Unknown fields are passed over, duplicate ones
//! refused. Only what has to be known to move and send an item is checked here; the rest is the server's to judge.
//! Lines are handed on one by one.

use std::io::{BufRead, BufReader};

use anyhow::{Context, Result, anyhow};
use ebbtide::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::input::LineBound;
use super::item::{Defaults, Item, Metric, Out, Sample, Series, shifted};
use super::number::{self, Kind, Number};

/// An open NDJSON file.
pub(super) struct Lines<'d> {
    name: String,
    input: BufReader<LineBound>,
    defaults: &'d Defaults<'d>,
}

/// An item of the ingest schema, numbers still in their own words.
#[derive(Deserialize)]
struct ItemText<'a> {
    metric: Metric,
    ttl: Option<u32>,
    #[serde(borrow)]
    collect_time: &'a RawValue,
    #[serde(borrow)]
    value: &'a RawValue,
    unit: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl<'d> Lines<'d> {
    pub(super) fn new(name: String, input: LineBound, defaults: &'d Defaults<'d>) -> Self {
        Self { name, input: BufReader::new(input), defaults }
    }

    pub(super) fn read(mut self, offset: i64, out: &mut Out<'_>) -> Result<()> {
        let mut text = String::new();
        for line in 1_u64.. {
            text.clear();
            let read = self.input.read_line(&mut text).with_context(|| format!("{} line {line}", self.name))?;
            if read == 0 {
                break;
            }
            for (position, item) in items(&text).map_err(|why| self.at(line, &why))?.into_iter().enumerate() {
                let resolved = item.resolve(offset).map_err(|why| self.at(line, &format!("item {position}: {why}")))?;
                let (series, time, number) = resolved;
                let ttl_secs = item.ttl.unwrap_or(self.defaults.ttl_secs);
                let unit = item.unit.as_deref().or(self.defaults.unit);
                out(Sample::Point(Item { series: &series, time, number, ttl_secs, unit }))?;
            }
        }
        Ok(())
    }

    fn at(&self, line: u64, why: &str) -> anyhow::Error {
        anyhow!("{} line {line}: {why}", self.name)
    }
}

/// The items of one line; none for a blank one.
fn items(line: &str) -> Result<Vec<ItemText<'_>>, String> {
    match line.trim_start().chars().next() {
        None => Ok(Vec::new()),
        Some('[') => serde_json::from_str(line).map_err(|error| error.to_string()),
        Some(_) => serde_json::from_str(line).map(|item| vec![item]).map_err(|error| error.to_string()),
    }
}

impl<'a> ItemText<'a> {
    /// The parts that borrow nothing from the reader: the series, when, and what.
    fn resolve(&self, offset: i64) -> Result<(Series, Timestamp, Number<'a>), String> {
        let kind = match self.kind.as_deref() {
            None => None,
            Some("int") => Some(Kind::Int),
            Some("float") => Some(Kind::Float),
            Some(other) => return Err(format!("type: {other:?} is neither int nor float")),
        };
        let number = number::parse(self.value.get(), kind).map_err(|why| format!("value: {why}"))?;
        let time = time(self.collect_time.get()).and_then(|time| shifted(time, offset));
        let time = time.map_err(|why| format!("collect_time: {why}"))?;
        let series = Series::new(self.metric.clone()).map_err(|error| format!("metric: {error}"))?;
        Ok((series, time, number))
    }
}

/// Milliseconds, as a JSON integer or a string of decimal digits.
fn time(json: &str) -> Result<i64, String> {
    let text = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(json);
    let digits = text.strip_prefix('-').unwrap_or(text);
    match text.parse() {
        Ok(time) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Ok(time),
        _ => Err(format!("{json} is not a time in whole milliseconds")),
    }
}
