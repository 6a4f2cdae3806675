//! From the body of an ingest request to a batch of points. Touches no store and reads no clock. The first thing that
//! is wrong refuses the whole body, and the refusal names the item and the field.

use super::error::Refusal;
use super::item::{Item, Metric, Reader};
use super::json::{Checked, DEPTH_MAX, check_depth, items, object};
use super::known::KnownMetrics;
use super::plain;
use crate::model::batch::WriteBatch;
use crate::model::time::Timestamp;
use crate::server::rules::Rules;

/// Reads a whole body. `now` is the moment the time window is measured from.
pub(super) fn parse(body: &[u8], rules: &Rules, now: Timestamp, known: &KnownMetrics) -> Result<WriteBatch, Refusal> {
    let mut reader = Reader::new(rules, now, known);
    match plain::parse(body, &mut reader) {
        Some(batch) => Ok(batch),
        None => parse_by_the_book(body, &mut reader),
    }
}

/// Reads any body, and says what is wrong with it.
pub(super) fn parse_by_the_book<'a>(body: &'a [u8], reader: &mut Reader<'a>) -> Result<WriteBatch, Refusal> {
    let items = items(body)?;
    let mut batch = WriteBatch::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let (series, point) = take_apart(item.get())
            .and_then(|item| reader.read(item))
            .map_err(|fault| fault.inside(format_args!("item {index}: ")))?;
        batch.push(series, point);
    }
    Ok(batch)
}

fn take_apart(json: &str) -> Checked<Item<'_>> {
    // The array around the items is the first level.
    check_depth(json, "the item", DEPTH_MAX - 1)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::cloudeye::error::Code;
    use crate::server::profile::Profile;

    const NOW: Timestamp = Timestamp::from_millis(1_795_281_677_579);

    fn refused(body: &str) -> Refusal {
        parse(body.as_bytes(), &Rules::of(Profile::Document), NOW, &KnownMetrics::default()).expect_err(body)
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
        assert!(parse(b"[\"\xff\"]", &Rules::of(Profile::Document), NOW, &known).is_err(), "not UTF-8");
    }

    #[test]
    fn an_item_is_an_object_and_nothing_that_serde_would_also_take() {
        for body in ["[1]", "[null]", "[[{}, 1, 2, 3]]", "[\"x\"]"] {
            assert!(refused(body).to_string().contains("item 0: the item must be an object"), "{body}");
        }
    }

    #[test]
    fn what_is_nested_too_deep_is_refused() {
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
