//! Events that clients report: read from a body, held against the rules, kept in memory within bounds, and listed by
//! name. They are no series, and no database knows them: with the server they are gone.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use parking_lot::Mutex;
use serde_json::value::RawValue;

use super::datapoints::Text;
use super::error::{Code, Refusal};
use super::grammar::{is_event_name, is_event_source};
use super::json::{Checked, DEPTH_MAX, Fault, array, check_depth, items, json, millis, object, quote, required, text};
use super::parameters::{Parameters, wrong};
use crate::model::time::{TimeRange, Timestamp};
use crate::server::projects::ProjectId;
use crate::server::rules::Rules;

/// Most events of all projects together. Of more, those that came first are forgotten.
const EVENTS_MAX: usize = 10_000;

/// The same in bytes.
const BYTES_MAX: usize = 16 << 20;

/// Memory of an event apart from its texts, in bytes.
const EVENT_BYTES: usize = 256;

/// Longest text of an event where the page's own lengths do not hold, in characters.
const TEXT_CHARS_MAX: usize = 4_096;

/// Most dimensions of an event.
const DIMENSIONS_MAX: usize = 4;

/// The only type that clients may report.
const CUSTOM: &str = "EVENT.CUSTOM";

/// The type of events of the service itself.
const SYSTEM: &str = "EVENT.SYS";

/// What is shown when the times of a question are no times: the last day.
const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

/// A text in the details of an event.
struct Detail {
    name: &'static str,
    /// Whether it tells one event from another.
    is_identity: bool,
    chars_max: usize,
    is_allowed: fn(&str) -> bool,
    /// Completes a sentence that begins with the field's name.
    rule: &'static str,
}

const DETAILS: [Detail; 8] = [
    Detail {
        name: "content",
        is_identity: false,
        chars_max: TEXT_CHARS_MAX,
        is_allowed: |_| true,
        rule: "must be at most 4096 characters",
    },
    Detail { name: "group_id", is_identity: false, chars_max: 128, is_allowed: |_| true, rule: "is too long" },
    Detail {
        name: "resource_id",
        is_identity: true,
        chars_max: 128,
        is_allowed: |text| is_of(text, "_-:"),
        rule: "must be at most 128 letters, digits, _, - and :",
    },
    Detail {
        name: "resource_name",
        is_identity: true,
        chars_max: 128,
        is_allowed: |text| is_of(text, "_-."),
        rule: "must be at most 128 letters, digits, _, - and .",
    },
    Detail {
        name: "event_state",
        is_identity: true,
        chars_max: 16,
        is_allowed: |text| ["normal", "warning", "incident"].contains(&text),
        rule: "must be normal, warning or incident",
    },
    Detail {
        name: "event_level",
        is_identity: true,
        chars_max: 16,
        is_allowed: |text| ["Critical", "Major", "Minor", "Info"].contains(&text),
        rule: "must be Critical, Major, Minor or Info",
    },
    Detail {
        name: "event_user",
        is_identity: true,
        chars_max: 64,
        is_allowed: |text| is_of(text, "_-/ "),
        rule: "must be at most 64 letters, digits, _, -, / and spaces",
    },
    Detail {
        name: "event_type",
        is_identity: true,
        chars_max: 16,
        is_allowed: |text| text == CUSTOM,
        rule: "must be EVENT.CUSTOM: others report theirs",
    },
];

fn is_of(text: &str, marks: &str) -> bool {
    text.chars().all(|each| each.is_ascii_alphanumeric() || marks.contains(each))
}

/// What is kept of an event.
#[derive(Clone, Debug)]
pub(super) struct Event {
    name: Box<str>,
    source: Box<str>,
    kind: Box<str>,
    time: Timestamp,
    /// What tells it from others of its project, as a JSON text.
    identity: Box<str>,
}

/// Reads a whole body. `now` is the moment the time window is measured from.
pub(super) fn parse(body: &[u8], rules: &Rules, now: Timestamp) -> Result<Vec<Event>, Refusal> {
    let window = rules.event_window(now);
    let read = |(index, json): (usize, &str)| {
        event(json, rules, window).map_err(|fault| fault.inside(format_args!("item {index}: ")).into())
    };
    items(body)?.into_iter().map(RawValue::get).enumerate().map(read).collect()
}

fn event(json: &str, rules: &Rules, window: TimeRange) -> Checked<Event> {
    // The array around the items is the first level.
    check_depth(json, "the item", DEPTH_MAX - 1)?;
    let fields = object(json, "")?;
    let name = text(required(fields.get("event_name"), "event_name")?, "event_name")?;
    let source = text(required(fields.get("event_source"), "event_source")?, "event_source")?;
    if rules.is_event_formed && !is_event_name(&name) {
        let why = "must be 1 to 64 characters, a letter followed by letters, digits or _, not";
        return Err(Fault::new("event_name", format_args!("{why} {}", quote(&name))));
    }
    if rules.is_event_formed && !is_event_source(&source) {
        let why = "must be service.item like a namespace, or empty, not";
        return Err(Fault::new("event_source", format_args!("{why} {}", quote(&source))));
    }
    for (field, text) in [("event_name", &name), ("event_source", &source)] {
        check_length(text, field)?;
    }
    let time = Timestamp::from_millis(millis(required(fields.get("time"), "time")?, "time")?);
    if !time.is_storable() || !window.contains(time) {
        return Err(Fault::new("time", format_args!("{} is too long ago or too far ahead", time.as_millis())));
    }
    let Details { kind, identity } = details(required(fields.get("detail"), "detail")?, rules)?;
    let identity = serde_json::json!([time.as_millis(), source, name, identity]).to_string();
    Ok(Event { name: name.into(), source: source.into(), kind: kind.into(), time, identity: identity.into() })
}

/// What is kept of the details of an event.
struct Details<'a> {
    kind: Cow<'a, str>,
    /// The texts that tell one event from another.
    identity: Vec<Option<Cow<'a, str>>>,
}

fn details<'a>(json: &'a str, rules: &Rules) -> Checked<Details<'a>> {
    let fields = object(json, "detail")?;
    let mut identity = Vec::with_capacity(DETAILS.len());
    let mut kind = Cow::Borrowed(CUSTOM);
    for detail in &DETAILS {
        let field = format!("detail.{}", detail.name);
        let found = fields.get(detail.name).map(|json| text(json, &field)).transpose()?;
        if let Some(text) = &found {
            check_length(text, &field)?;
            let is_good = text.chars().count() <= detail.chars_max && (detail.is_allowed)(text);
            if rules.is_event_formed && !is_good {
                return Err(Fault::new(&field, format_args!("{}, not {}", detail.rule, quote(text))));
            }
            if detail.name == "event_type" {
                kind.clone_from(text);
            }
        }
        if detail.is_identity {
            identity.push(found);
        }
    }
    if let Some(json) = fields.get("dimensions") {
        check_dimensions(json)?;
    }
    Ok(Details { kind, identity })
}

fn check_dimensions(json: &str) -> Checked<()> {
    const FIELD: &str = "detail.dimensions";

    let raws = array(json, FIELD)?;
    if raws.len() > DIMENSIONS_MAX {
        let why = format_args!("has {} elements, at most {DIMENSIONS_MAX} are allowed", raws.len());
        return Err(Fault::new(FIELD, why));
    }
    for (position, raw) in raws.into_iter().enumerate() {
        let field = format!("{FIELD}[{position}]");
        let dimension = object(raw.get(), &field)?;
        for name in ["name", "value"] {
            let field = format!("{field}.{name}");
            let text = text(required(dimension.get(name), &field)?, &field)?;
            if !(1..=256).contains(&text.chars().count()) {
                return Err(Fault::new(&field, "must be 1 to 256 characters"));
            }
        }
    }
    Ok(())
}

fn check_length(text: &str, field: &str) -> Checked<()> {
    let chars = text.chars().count();
    if chars > TEXT_CHARS_MAX {
        return Err(Fault::new(field, format_args!("has {chars} characters, at most {TEXT_CHARS_MAX} are allowed")));
    }
    Ok(())
}

/// The events of all projects.
#[derive(Debug, Default)]
pub(in crate::server) struct Events(Mutex<KeptEvents>);

/// Those that are kept, the newest ones.
#[derive(Clone, Debug, Default)]
pub(in crate::server) struct KeptEvents {
    /// By their numbers, in the order in which they came.
    events: BTreeMap<u64, (ProjectId, Event)>,
    numbers: HashMap<(ProjectId, Box<str>), u64>,
    next: u64,
    bytes: usize,
}

impl Events {
    /// Everything that is kept at this moment.
    pub(in crate::server) fn copy(&self) -> KeptEvents {
        self.0.lock().clone()
    }

    /// Puts this in place of everything that is kept.
    pub(in crate::server) fn replace(&self, kept: KeptEvents) {
        *self.0.lock() = kept;
    }

    /// Keeps what is new, and gives the body of the answer: the same event always has the same id.
    pub(super) fn put(&self, project: &ProjectId, events: Vec<Event>) -> Result<Vec<u8>, Refusal> {
        let mut kept = self.0.lock();
        let mut text = Text::new(too_long);
        for (position, event) in events.into_iter().enumerate() {
            let name = json(&event.name);
            let id = kept.put(project, event);
            let separator = if position == 0 { "[" } else { "," };
            text.put(&format!("{separator}{{\"event_id\":\"ev{id:022}\",\"event_name\":{name}}}"));
        }
        text.put("]");
        text.into_bytes()
    }
}

impl KeptEvents {
    pub(in crate::server) fn bytes(&self) -> usize {
        self.bytes
    }

    fn put(&mut self, project: &ProjectId, event: Event) -> u64 {
        let key = (project.clone(), event.identity.clone());
        if let Some(number) = self.numbers.get(&key) {
            return *number;
        }
        let number = self.next;
        self.next += 1;
        self.bytes += event.bytes();
        self.numbers.insert(key, number);
        self.events.insert(number, (project.clone(), event));
        while self.events.len() > EVENTS_MAX || self.bytes > BYTES_MAX {
            let Some((_, (project, event))) = self.events.pop_first() else { break };
            self.bytes -= event.bytes();
            self.numbers.remove(&(project, event.identity));
        }
        number
    }
}

impl Event {
    fn bytes(&self) -> usize {
        EVENT_BYTES + self.name.len() + self.source.len() + self.kind.len() + 2 * self.identity.len()
    }
}

/// What was asked of the events of a project.
#[derive(Debug)]
pub(super) struct Listing {
    kind: Option<String>,
    name: Option<String>,
    range: TimeRange,
    /// Counted from 0.
    page: usize,
    limit: u32,
}

impl Listing {
    pub(super) fn parse(query: &str, rules: &Rules, now: Timestamp) -> Result<Self, Refusal> {
        let parameters = Parameters::parse(query)?;
        let kind = parameters.get("event_type").map(str::to_owned);
        if kind.as_deref().is_some_and(|kind| ![CUSTOM, SYSTEM].contains(&kind)) {
            return Err(wrong("event_type", "must be EVENT.SYS or EVENT.CUSTOM"));
        }
        let name = parameters.get("event_name").map(str::to_owned);
        let page = parameters.get("start").unwrap_or("0");
        let page = page.parse().ok().filter(|_| page.bytes().all(|byte| byte.is_ascii_digit()));
        let page = page.ok_or_else(|| Refusal::new(Code::Paging, "start must be the number of a page, from 0"))?;
        let limit = parameters.limit(rules.event_limit)?;
        Ok(Self { kind, name, range: range(&parameters, now)?, page, limit })
    }

    /// The body of the answer: events of one name and type together, in the order of their names.
    pub(super) fn answer(&self, project: &ProjectId, events: &Events) -> Result<Vec<u8>, Refusal> {
        let kept = events.0.lock();
        let mut groups: BTreeMap<(&str, &str), (usize, &Event)> = BTreeMap::new();
        for (of, event) in kept.events.values() {
            let is_asked = of == project
                && self.range.contains(event.time)
                && self.kind.as_deref().is_none_or(|kind| kind == &*event.kind)
                && self.name.as_deref().is_none_or(|name| name == &*event.name);
            if is_asked {
                let (count, latest) = groups.entry((&event.name, &event.kind)).or_insert((0, event));
                *count += 1;
                if event.time >= latest.time {
                    *latest = event;
                }
            }
        }
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let page = groups.values().skip(self.page.saturating_mul(limit)).take(limit);
        let mut text = Text::new(too_long);
        text.put("{\"events\":[");
        for (position, (count, event)) in page.enumerate() {
            let separator = if position == 0 { "" } else { "," };
            let (name, kind, source) = (json(&event.name), json(&event.kind), json(&event.source));
            let (time, head) = (event.time.as_millis(), format!("{separator}{{\"event_name\":{name}"));
            text.put(&format!("{head},\"event_type\":{kind},\"event_count\":{count}"));
            text.put(&format!(",\"latest_occur_time\":{time},\"latest_event_source\":{source}}}"));
        }
        text.put(&format!("],\"meta_data\":{{\"total\":{}}}}}", groups.len()));
        text.into_bytes()
    }
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
    Ok(TimeRange::new(from, to + std::time::Duration::from_millis(1)))
}

fn too_long() -> Refusal {
    Refusal::new(Code::Paging, "limit leaves a page with more text than one answer has room for: ask for a shorter one")
}
