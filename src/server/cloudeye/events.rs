//! Events that clients report: from the body of a request to what is kept of them, held against the rules. Keeps none.

use serde_json::value::RawValue;

use super::error::Refusal;
use super::fields::Fields;
use super::grammar::{is_event_name, is_event_source};
use super::json::{Checked, DEPTH_MAX, Fault, array, check_depth, items, millis, object, quote, required, text};
use crate::model::time::{TimeRange, Timestamp};
use crate::server::rules::Rules;

/// Longest text of an event where the page's own lengths do not hold, in characters.
const TEXT_CHARS_MAX: usize = 4_096;

/// Most dimensions of an event.
const DIMENSIONS_MAX: usize = 4;

/// The only type that clients may report.
pub(super) const CUSTOM: &str = "EVENT.CUSTOM";

/// The type of events of the service itself.
pub(super) const SYSTEM: &str = "EVENT.SYS";

/// A text in the details of an event.
pub(super) struct Detail {
    pub(super) name: &'static str,
    /// Whether it tells one event from another.
    is_identity: bool,
    chars_max: usize,
    is_allowed: fn(&str) -> bool,
    /// Completes a sentence that begins with the field's name.
    rule: &'static str,
}

pub(super) const DETAILS: [Detail; 8] = [
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
    pub(super) name: Box<str>,
    pub(super) source: Box<str>,
    pub(super) time: Timestamp,
    /// In the order of [`DETAILS`].
    details: Vec<Option<Box<str>>>,
    /// A JSON array.
    pub(super) dimensions: Box<str>,
    /// What tells it from others of its project, as a JSON text.
    pub(super) identity: Box<str>,
}

impl Event {
    /// One of its [`DETAILS`], empty if it has none.
    pub(super) fn detail(&self, name: &str) -> &str {
        let found = DETAILS.iter().zip(&self.details).find(|(detail, _)| detail.name == name);
        match found.and_then(|(_, text)| text.as_deref()) {
            None if name == "event_type" => CUSTOM,
            text => text.unwrap_or_default(),
        }
    }

    /// Memory of its texts, in bytes.
    pub(super) fn text_bytes(&self) -> usize {
        let details: usize = self.details.iter().flatten().map(|text| text.len()).sum();
        self.name.len() + self.source.len() + details + self.dimensions.len() + self.identity.len()
    }
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
    let fields = object(required(fields.get("detail"), "detail")?, "detail")?;
    let details = details(&fields, rules)?;
    let identity: Vec<_> =
        DETAILS.iter().zip(&details).filter(|(detail, _)| detail.is_identity).map(|(_, text)| text).collect();
    let identity = serde_json::json!([time.as_millis(), source, name, identity]).to_string().into();
    let dimensions = fields.get("dimensions").unwrap_or("[]");
    check_dimensions(dimensions)?;
    Ok(Event { name: name.into(), source: source.into(), time, details, dimensions: dimensions.into(), identity })
}

fn details(fields: &Fields<'_>, rules: &Rules) -> Checked<Vec<Option<Box<str>>>> {
    let read = |detail: &Detail| {
        let field = format!("detail.{}", detail.name);
        let Some(json) = fields.get(detail.name) else { return Ok(None) };
        let text = text(json, &field)?;
        check_length(&text, &field)?;
        let is_good = text.chars().count() <= detail.chars_max && (detail.is_allowed)(&text);
        if rules.is_event_formed && !is_good {
            return Err(Fault::new(&field, format_args!("{}, not {}", detail.rule, quote(&text))));
        }
        Ok(Some(text.into()))
    };
    DETAILS.iter().map(read).collect()
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
