//! Questions about events: which there are, by name, and each of one name with its details. From the parameters of a
//! request to the text of the answer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::datapoints::Text;
use super::error::{Code, Refusal};
use super::event_store::{Events, Numbered, public_id};
use super::events::{CUSTOM, DETAILS, Event, SYSTEM};
use super::json::json;
use super::parameters::{Parameters, wrong};
use crate::model::time::{TimeRange, Timestamp};
use crate::server::projects::ProjectId;
use crate::server::rules::Rules;

/// What is shown when the times of a question are no times: the last day.
const DAY: Duration = Duration::from_secs(86_400);

/// The details that events can be asked for by.
const ASKED: [&str; 4] = ["event_type", "event_level", "event_user", "event_state"];

/// What was asked of the events of a project.
#[derive(Debug)]
pub(super) struct Listing {
    name: Option<String>,
    source: Option<String>,
    /// Names of details, and what they have to be.
    details: Vec<(&'static str, String)>,
    range: TimeRange,
    /// Counted from 0.
    page: usize,
    limit: usize,
}

impl Listing {
    pub(super) fn parse(query: &str, rules: &Rules, now: Timestamp) -> Result<Self, Refusal> {
        let parameters = Parameters::parse(query)?;
        let text = |name: &str| parameters.get(name).map(str::to_owned);
        let details: Vec<_> = ASKED.into_iter().filter_map(|name| Some((name, text(name)?))).collect();
        if details.iter().any(|(name, kind)| *name == "event_type" && ![CUSTOM, SYSTEM].contains(&&**kind)) {
            return Err(wrong("event_type", "must be EVENT.SYS or EVENT.CUSTOM"));
        }
        let page = parameters.get("start").unwrap_or("0");
        let page = page.parse().ok().filter(|_| page.bytes().all(|byte| byte.is_ascii_digit()));
        let page = page.ok_or_else(|| Refusal::new(Code::Paging, "start must be the number of a page, from 0"))?;
        let limit = usize::try_from(parameters.limit(rules.event_limit)?).unwrap_or(usize::MAX);
        let range = range(&parameters, now)?;
        Ok(Self { name: text("event_name"), source: text("event_source"), details, range, page, limit })
    }

    /// The same of events of one name.
    pub(super) fn named(self, name: String) -> Self {
        Self { name: Some(name), ..self }
    }

    fn is_about(&self, event: &Event) -> bool {
        self.range.contains(event.time)
            && self.name.as_deref().is_none_or(|name| name == &*event.name)
            && self.source.as_deref().is_none_or(|source| source == &*event.source)
            && self.details.iter().all(|(name, text)| event.detail(name) == text)
    }

    fn page<T>(&self, all: impl Iterator<Item = T>) -> impl Iterator<Item = (usize, T)> {
        all.skip(self.page.saturating_mul(self.limit)).take(self.limit).enumerate()
    }

    /// The body of the answer: events of one name and type together, in the order of their names.
    pub(super) fn answer(&self, project: &ProjectId, events: &Events) -> Result<Vec<u8>, Refusal> {
        events.with(project, |events| {
            let mut groups: BTreeMap<(&str, &str), (usize, &Event)> = BTreeMap::new();
            for (_, event) in events.filter(|(_, event)| self.is_about(event)) {
                let (count, latest) = groups.entry((&event.name, event.detail("event_type"))).or_insert((0, event));
                *count += 1;
                if event.time >= latest.time {
                    *latest = event;
                }
            }
            let mut text = Text::new(too_long);
            text.put("{\"events\":[");
            for (position, ((name, kind), (count, event))) in self.page(groups.iter()) {
                let separator = if position == 0 { "" } else { "," };
                let (name, kind, source, time) = (json(name), json(kind), json(&event.source), event.time.as_millis());
                text.put(&format!("{separator}{{\"event_name\":{name},\"event_type\":{kind},\"event_count\":{count},"));
                text.put(&format!("\"latest_occur_time\":{time},\"latest_event_source\":{source}}}"));
            }
            text.put(&format!("],\"meta_data\":{{\"total\":{}}}}}", groups.len()));
            text.into_bytes()
        })
    }

    /// The body of the answer about each event of one name, the latest first.
    pub(super) fn answer_details(&self, project: &ProjectId, events: &Events) -> Result<Vec<u8>, Refusal> {
        events.with(project, |events| {
            let mut found: Vec<Numbered<'_>> = events.filter(|(_, event)| self.is_about(event)).collect();
            found.sort_by_key(|(number, event)| (std::cmp::Reverse(event.time), *number));
            let all_of = |text: fn(&Event) -> &str| {
                let all: BTreeSet<&str> = found.iter().map(|(_, event)| text(event)).collect();
                serde_json::json!(all).to_string()
            };
            let users = all_of(|event| event.detail("event_user"));
            let sources = all_of(|event| &event.source);
            let kind = self.details.iter().find(|(name, _)| *name == "event_type").map_or(CUSTOM, |(_, kind)| kind);
            let (name, kind) = (json(self.name.as_deref().unwrap_or_default()), json(kind));
            let mut text = Text::new(too_long);
            text.put(&format!("{{\"event_name\":{name},\"event_type\":{kind},"));
            text.put(&format!("\"event_users\":{users},\"event_sources\":{sources},\"event_info\":["));
            for (position, (number, event)) in self.page(found.iter()) {
                text.put(if position == 0 { "{" } else { ",{" });
                put_event(*number, event, &mut text);
                text.check()?;
            }
            text.put(&format!("],\"meta_data\":{{\"total\":{}}}}}", found.len()));
            text.into_bytes()
        })
    }
}

fn put_event(number: u64, event: &Event, text: &mut Text) {
    let (id, name, source) = (json(&public_id(number)), json(&event.name), json(&event.source));
    let time = event.time.as_millis();
    text.put(&format!("\"event_id\":{id},\"event_name\":{name},\"event_source\":{source},\"time\":{time},"));
    text.put("\"detail\":{");
    for detail in &DETAILS {
        text.put(&format!("\"{}\":{},", detail.name, json(event.detail(detail.name))));
    }
    text.put(&format!("\"dimensions\":{}}}}}", event.dimensions));
}

/// The times that are asked for, both ends included. What is no time stands for the last day, as the page has it.
fn range(parameters: &Parameters, now: Timestamp) -> Result<TimeRange, Refusal> {
    let read = |name: &str| parameters.get(name).map(|text| text.parse::<i64>().map(Timestamp::from_millis));
    let (from, to) = match (read("from").transpose(), read("to").transpose()) {
        (Ok(from), Ok(to)) => (from, to),
        _ => (Some(now - DAY), Some(now)),
    };
    let (from, to) = (from.unwrap_or(TimeRange::ALL.start()), to.unwrap_or(TimeRange::ALL.end()));
    if from >= to {
        return Err(wrong("from", "must be less than to"));
    }
    Ok(TimeRange::new(from, to + Duration::from_millis(1)))
}

fn too_long() -> Refusal {
    Refusal::new(Code::Paging, "limit leaves a page with more text than one answer has room for: ask for a shorter one")
}
