//! From the body of an ingest request to a batch of points. Touches no store and reads no clock. The first thing that
//! is wrong refuses the whole body, and the refusal names the item and the field.

use serde_json::value::RawValue;

use super::error::{Code, Refusal};
use super::item::{Checked, Fault, Item, Metric, Reader, object};
use super::known::KnownMetrics;
use super::plain;
use crate::model::batch::WriteBatch;
use crate::model::time::Timestamp;
use crate::server::profile::Profile;

/// Deepest nesting of a body. Its own schema needs five levels; unknown fields may bring a few more.
const DEPTH_MAX: usize = 32;

/// Reads a whole body. `now` is the moment the time window is measured from.
pub(super) fn parse(
    body: &[u8],
    profile: Profile,
    now: Timestamp,
    known: &KnownMetrics,
) -> Result<WriteBatch, Refusal> {
    let mut reader = Reader::new(profile, now, known);
    match plain::parse(body, &mut reader) {
        Some(batch) => Ok(batch),
        None => parse_by_the_book(body, &mut reader),
    }
}

/// Reads any body, and says what is wrong with it.
pub(super) fn parse_by_the_book<'a>(body: &'a [u8], reader: &mut Reader<'a>) -> Result<WriteBatch, Refusal> {
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
        let (series, point) = take_apart(item.get())
            .and_then(|item| reader.read(item))
            .map_err(|fault| Refusal::new(fault.code, format!("item {index}: {}", fault.text)))?;
        batch.push(series, point);
    }
    Ok(batch)
}

fn take_apart(json: &str) -> Checked<Item<'_>> {
    // The array around the items is the first level.
    if depth(json) >= DEPTH_MAX {
        return Err(Fault { code: Code::Body, text: format!("is nested deeper than {DEPTH_MAX} levels") });
    }
    let fields = object(json, "")?;
    Ok(Item {
        metric: fields.get("metric").map(Metric::Text),
        ttl: fields.get("ttl"),
        collect_time: fields.get("collect_time"),
        of_type: fields.get("type"),
        value: fields.get("value"),
        unit: fields.get("unit"),
    })
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
        parse(body.as_bytes(), Profile::Document, NOW, &KnownMetrics::default()).expect_err(body)
    }

    #[test]
    fn what_is_not_an_array_of_items_has_codes_of_its_own() {
        assert_eq!(refused("").code(), Code::Empty);
        assert_eq!(refused(" \r\n\t").code(), Code::Empty);
        for body in ["{}", "null", "1", "[", "[1,]", "[1] x", "\u{feff}[]", "{\"a\":[]}"] {
            assert_eq!(refused(body).code(), Code::Request, "{body}");
        }
        assert_eq!(refused("[]").code(), Code::Body);
        let known = KnownMetrics::default();
        assert!(parse(b"[\"\xff\"]", Profile::Document, NOW, &known).is_err(), "not UTF-8");
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
