//! From the body of an ingest request to a batch of points. Pure: reads no clock and touches no store. The first thing
//! that is wrong refuses the whole body, and the refusal names the item and the field.

use serde_json::value::RawValue;

use super::error::{Code, Refusal};
use super::fields::{Fields, Unread};
use super::grammar::{Name, is_system_namespace};
use super::number::{NumberType, is_integer_literal, is_number, parse_value};
use crate::model::batch::WriteBatch;
use crate::model::limits::UNIT_CHARS_MAX;
use crate::model::point::Point;
use crate::model::series::SeriesKey;
use crate::model::time::{Timestamp, Ttl};
use crate::server::profile::Profile;

/// Deepest nesting of a body. Its own schema needs five levels; unknown fields may bring a few more.
const DEPTH_MAX: usize = 32;

/// Most characters of a client's text that are repeated in an error.
const QUOTE_CHARS_MAX: usize = 64;

/// What is wrong with one item: its text begins with the field's name.
struct Fault {
    code: Code,
    text: String,
}

type Checked<T> = Result<T, Fault>;

/// Reads a whole body. `now` is the moment the time window is measured from.
pub(super) fn parse(body: &[u8], profile: Profile, now: Timestamp) -> Result<WriteBatch, Refusal> {
    let Some(first) = body.iter().find(|byte| !byte.is_ascii_whitespace()) else {
        return Err(Refusal::new(Code::Empty, "the request body is empty"));
    };
    let items: Vec<&RawValue> = serde_json::from_slice(body).map_err(|error| {
        Refusal::new(
            Code::Request,
            if matches!(first, b'[') {
                format!("the request body is not JSON: {error}")
            } else {
                "the request body must be a JSON array of items".into()
            },
        )
    })?;
    if items.is_empty() {
        return Err(Refusal::new(Code::Body, "the request body has no items"));
    }
    let mut batch = WriteBatch::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let (series, point) = parse_item(item, profile, now)
            .map_err(|fault| Refusal::new(fault.code, format!("item {index}: {}", fault.text)))?;
        batch.push(series, point);
    }
    Ok(batch)
}

fn parse_item(raw: &RawValue, profile: Profile, now: Timestamp) -> Checked<(SeriesKey, Point)> {
    // The array around the items is the first level.
    if depth(raw.get()) >= DEPTH_MAX {
        return Err(Fault { code: Code::Body, text: format!("is nested deeper than {DEPTH_MAX} levels") });
    }
    let item = object(raw, "")?;
    let series = series(required(item.get("metric"), "metric")?, profile)?;
    let ttl = ttl(required(item.get("ttl"), "ttl")?, profile)?;
    let time = collect_time(required(item.get("collect_time"), "collect_time")?, profile, now)?;
    let of_type = item.get("type").map(number_type).transpose()?;
    let value = required(item.get("value"), "value")?.get();
    if !is_number(value) {
        return Err(fault("value", "must be a number"));
    }
    let value = parse_value(value, of_type).map_err(|why| fault("value", why))?;
    let point = Point::new(time, value).with_ttl(ttl);
    match item.get("unit") {
        Some(raw) => Ok((series, point.with_unit(unit(raw)?))),
        None => Ok((series, point)),
    }
}

fn series(raw: &RawValue, profile: Profile) -> Checked<SeriesKey> {
    let metric = object(raw, "metric")?;
    let namespace = name(metric.get("namespace"), Name::Namespace, "metric.namespace", profile)?;
    if is_system_namespace(&namespace, profile) {
        let why = "belongs to the service itself; choose a namespace of your own";
        return Err(Fault { code: Code::SystemMetric, ..fault("metric.namespace", why) });
    }
    let dimensions = dimensions(required(metric.get("dimensions"), "metric.dimensions")?, profile)?;
    let metric_name = name(metric.get("metric_name"), Name::Metric, "metric.metric_name", profile)?;
    SeriesKey::new(namespace, metric_name, dimensions).map_err(|error| fault("metric", &error.to_string()))
}

fn dimensions(raw: &RawValue, profile: Profile) -> Checked<Vec<(String, String)>> {
    const FIELD: &str = "metric.dimensions";

    let raws: Vec<&RawValue> =
        serde_json::from_str(raw.get()).map_err(|_| fault(FIELD, "must be an array of objects"))?;
    let allowed = profile.dimensions();
    if !allowed.contains(&raws.len()) {
        let (least, most) = (allowed.start(), allowed.end());
        return Err(fault(FIELD, &format!("has {} elements, {least} to {most} are allowed", raws.len())));
    }
    let mut dimensions: Vec<(String, String)> = Vec::with_capacity(raws.len());
    for (position, raw) in raws.into_iter().enumerate() {
        let field = format!("{FIELD}[{position}]");
        let dimension = object(raw, &field)?;
        let name_field = format!("{field}.name");
        let name_text = name(dimension.get("name"), Name::Dimension, &name_field, profile)?;
        if dimensions.iter().any(|(earlier, _)| *earlier == name_text) {
            return Err(fault(&name_field, &format!("{} is given twice", quote(&name_text))));
        }
        let value_text = name(dimension.get("value"), Name::Value, &format!("{field}.value"), profile)?;
        dimensions.push((name_text, value_text));
    }
    Ok(dimensions)
}

fn name(raw: Option<&RawValue>, kind: Name, field: &str, profile: Profile) -> Checked<String> {
    let name = text(required(raw, field)?, field)?;
    match kind.check(&name, profile) {
        Ok(()) => Ok(name),
        Err(why) => Err(fault(field, &format!("{why}, not {}", quote(&name)))),
    }
}

fn ttl(raw: &RawValue, profile: Profile) -> Checked<Ttl> {
    let allowed = profile.ttl_secs();
    let text = raw.get();
    if !is_number(text) || !is_integer_literal(text) {
        return Err(fault("ttl", "must be an integer, in seconds"));
    }
    let secs = text.parse::<i64>().ok().and_then(|secs| u32::try_from(secs).ok());
    secs.filter(|secs| allowed.contains(secs)).map(Ttl::from_secs).ok_or_else(|| {
        let (least, most) = (allowed.start(), allowed.end());
        fault("ttl", &format!("must be {least} to {most} seconds, not {}", cut(text)))
    })
}

fn collect_time(raw: &RawValue, profile: Profile, now: Timestamp) -> Checked<Timestamp> {
    const FIELD: &str = "collect_time";

    let unquoted = if is_number(raw.get()) { raw.get().to_owned() } else { text(raw, FIELD)? };
    let digits = unquoted.strip_prefix('-').unwrap_or(&unquoted);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(fault(FIELD, "must be an integer, in milliseconds since 1970"));
    }
    let time = unquoted.parse().map(Timestamp::from_millis).ok().filter(|time| time.is_storable());
    let Some(time) = time else {
        return Err(fault(FIELD, &format!("{} is out of range", cut(&unquoted))));
    };
    match profile.window(now) {
        Some(window) if !window.contains(time) => {
            let (time, now) = (time.as_millis(), now.as_millis());
            Err(fault(FIELD, &format!("{time} is not within 3 days before and 10 minutes after now, {now}")))
        }
        _ => Ok(time),
    }
}

fn number_type(raw: &RawValue) -> Checked<NumberType> {
    match &*text(raw, "type")? {
        "int" => Ok(NumberType::Int),
        "float" => Ok(NumberType::Float),
        other => Err(fault("type", &format!("must be int or float, not {}", quote(other)))),
    }
}

fn unit(raw: &RawValue) -> Checked<String> {
    let unit = text(raw, "unit")?;
    match unit.chars().count() {
        0..=UNIT_CHARS_MAX => Ok(unit),
        chars => Err(fault("unit", &format!("has {chars} characters, at most {UNIT_CHARS_MAX} are allowed"))),
    }
}

fn required<'a>(raw: Option<&'a RawValue>, field: &str) -> Checked<&'a RawValue> {
    raw.ok_or_else(|| fault(field, "is missing"))
}

/// The fields of a JSON object; `field` names it, and is empty for the item itself.
fn object<'a>(raw: &'a RawValue, field: &str) -> Checked<Fields<'a>> {
    let named = if field.is_empty() { "the item" } else { field };
    if !raw.get().starts_with('{') {
        return Err(fault(named, "must be an object"));
    }
    Fields::parse(raw).map_err(|unread| match unread {
        Unread::Twice(name) if field.is_empty() => fault(cut(&name), "is given twice"),
        Unread::Twice(name) => fault(&format!("{field}.{}", cut(&name)), "is given twice"),
        Unread::Wrong(why) => fault(named, &format!("cannot be read: {why}")),
    })
}

fn text(raw: &RawValue, field: &str) -> Checked<String> {
    if !raw.get().starts_with('"') {
        return Err(fault(field, "must be a string"));
    }
    serde_json::from_str(raw.get()).map_err(|_| fault(field, "is not valid Unicode"))
}

fn fault(field: &str, why: &str) -> Fault {
    Fault { code: Code::Body, text: format!("{field} {why}") }
}

/// A client's text as it stands in an error: short, and without characters that could break a line.
fn quote(text: &str) -> String {
    format!("{:?}", cut(text))
}

fn cut(text: &str) -> &str {
    text.char_indices().nth(QUOTE_CHARS_MAX).map_or(text, |(end, _)| &text[..end])
}

/// How deep arrays and objects are nested in valid JSON.
fn depth(json: &str) -> usize {
    let (mut open, mut deepest) = (0_usize, 0);
    let mut bytes = json.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                open += 1;
                deepest = deepest.max(open);
            }
            b']' | b'}' => open = open.saturating_sub(1),
            b'"' => {
                // Brackets inside of strings nest nothing.
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => drop(bytes.next()),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_281_677_579);

    fn refused(body: &str) -> Refusal {
        parse(body.as_bytes(), Profile::Document, NOW).expect_err(body)
    }

    #[test]
    fn what_is_not_an_array_of_items_has_codes_of_its_own() {
        assert_eq!(refused("").code(), Code::Empty);
        assert_eq!(refused(" \r\n\t").code(), Code::Empty);
        for body in ["{}", "null", "1", "[", "[1,]", "[1] x", "\u{feff}[]", "{\"a\":[]}"] {
            assert_eq!(refused(body).code(), Code::Request, "{body}");
        }
        assert_eq!(refused("[]").code(), Code::Body);
        assert!(parse(b"[\"\xff\"]", Profile::Document, NOW).is_err(), "not UTF-8");
    }

    #[test]
    fn an_item_is_an_object_and_nothing_that_serde_would_also_take() {
        for body in ["[1]", "[null]", "[[{}, 1, 2, 3]]", "[\"x\"]"] {
            assert!(refused(body).to_string().contains("item 0: the item must be an object"), "{body}");
        }
    }

    #[test]
    fn depth_counts_levels_and_not_brackets_in_strings() {
        assert_eq!(depth("1"), 0);
        assert_eq!(depth("{\"a\":[1,{}]}"), 3);
        assert_eq!(depth(r#"{"a":"[[[[\"[[\\","b":[]}"#), 2);
        let deep = format!("[{}1{}]", "[".repeat(100_000), "]".repeat(100_000));
        assert!(refused(&deep).to_string().contains("deeper than 32"));
    }

    #[test]
    fn errors_repeat_little_of_what_a_client_sent() {
        let long = "x".repeat(10_000);
        let body = format!(r#"[{{"metric":{{"namespace":"{long}"}}}}]"#);
        assert!(refused(&body).to_string().len() < 400);
    }
}
