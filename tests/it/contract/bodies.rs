//! Bodies as a whole: their size, their shape, their numbers, and what happens when a point comes twice.

use super::{dimensions, example_points, item, query, quoted};
use crate::harness::{Server, now_millis, points_path};

/// The page's largest request, in bytes.
const BODY_BYTES_MAX: usize = 524_288;

#[test]
fn a_body_of_512_kilobytes_is_the_largest() {
    // Sentence: the size of a POST request cannot exceed 512 KB. S21: told from the length alone, or by counting.
    let server = Server::start(&["--memory"]);
    let largest = format!("[{}]{}", item(&[]), " ".repeat(BODY_BYTES_MAX));
    let largest = &largest[..BODY_BYTES_MAX];
    server.post(&points_path("p"), largest).assert_stored();
    let too_large = format!("{largest} ");
    server.post(&points_path("q"), too_large).assert_refused(413, "ces.0014", "524288");
    assert_eq!(example_points(server.client(), "q"), "");
}

#[test]
fn bodies_that_are_no_list_of_items_are_refused_with_codes_of_their_own() {
    let server = Server::start(&["--memory"]);
    let cases = [
        ("", "ces.0001", "empty"),
        ("  \n", "ces.0001", "empty"),
        ("[", "ces.0011", "not JSON"),
        ("[{]", "ces.0011", "not JSON"),
        ("[] []", "ces.0011", "not JSON"),
        ("[NaN]", "ces.0011", "not JSON"),
        ("{}", "ces.0011", "array"),
        ("null", "ces.0011", "array"),
        ("[]", "ces.0014", "no items"),
        ("[null]", "ces.0014", "item 0: the item must be an object"),
        ("[[]]", "ces.0014", "item 0: the item must be an object"),
    ];
    for (body, code, fragment) in cases {
        server.post(&points_path("p"), body).assert_refused(400, code, fragment);
    }
    server.post(&points_path("p"), b"[\"\xff\"]").assert_refused(400, "ces.0011", "not JSON");
    for value in ["NaN", "Infinity", "-Infinity", "+1", "01", "1.", ".5", "0x10"] {
        let body = format!("[{}]", item(&[("value", value)]));
        server.post(&points_path("p"), body).assert_refused(400, "ces.0011", "not JSON");
    }
}

#[test]
fn a_known_field_comes_once() {
    // S2: duplicate keys are refused, whatever they hold.
    let server = Server::start(&["--memory"]);
    let cases = [
        ("value", "1,\"value\":1", "value is given twice"),
        ("ttl", "null,\"ttl\":60", "ttl is given twice"),
        ("unit", "null,\"unit\":null", "unit is given twice"),
        ("unit", "null,\"extra\":1,\"extra\":2", "extra is given twice"),
        ("type", "\"int\",\"t\\u0079pe\":\"float\"", "type is given twice"),
        ("namespace", "\"A.B\",\"namespace\":\"A.B\"", "metric.namespace is given twice"),
        ("dimensions", r#"[{"name":"a","name":"b","value":"c"}]"#, "metric.dimensions[0].name is given twice"),
    ];
    for (field, json, named) in cases {
        let body = format!("[{},{}]", item(&[]), item(&[(field, json)]));
        server.post(&points_path("p"), body).assert_refused(400, "ces.0014", &format!("item 1: {named}"));
    }
    assert_eq!(example_points(server.client(), "p"), "");
}

#[test]
fn nesting_ends_at_32_levels() {
    // Goal: hostile nesting is refused and not followed. Method: an ignored field, just inside and just outside.
    let server = Server::start(&["--memory"]);
    // The list and the item are the first two levels.
    let nested = |levels: usize| format!("60,\"extra\":{}{}", "[".repeat(levels - 2), "]".repeat(levels - 2));
    server.post(&points_path("p"), format!("[{}]", item(&[("value", &nested(32))]))).assert_stored();
    for levels in [33, 200_000] {
        let body = format!("[{}]", item(&[("value", &nested(levels))]));
        server.post(&points_path("p"), body).assert_refused(400, "ces.0014", "item 0: the item is nested deeper");
    }
}

#[test]
fn numbers_come_back_as_they_were_meant() {
    // S11, S12: numbers are read from their text, and the type decides. Method: text in, text out.
    let server = Server::start(&["--memory"]);
    let (max, min) = (i64::MAX.to_string(), i64::MIN.to_string());
    let kept = [
        ("\"int\"", "60", "60"),
        ("\"int\"", "60.0", "60"),
        ("\"int\"", "6e1", "60"),
        ("\"int\"", &max, &max),
        ("\"int\"", &min, &min),
        ("\"float\"", "60", "60.0"),
        ("\"float\"", "60.0", "60.0"),
        ("\"float\"", "-0.0", "-0.0"),
        ("\"float\"", "0.1", "0.1"),
        ("\"float\"", "0.1000000000000000055511151231257827", "0.1"),
        ("\"float\"", "9007199254740993", "9007199254740992.0"),
        ("\"float\"", "5e-324", "5e-324"),
        ("", "60", "60"),
        ("", "60.0", "60.0"),
        ("", "-0.0", "-0.0"),
        ("", &max, &max),
        ("", "0.5", "0.5"),
    ];
    for (number, (of_type, sent, read)) in kept.iter().enumerate() {
        let project = format!("kept-{number}");
        let body = format!("[{}]", item(&[("type", of_type), ("value", sent)]));
        server.post(&points_path(&project), body).assert_stored();
        let points = example_points(server.client(), &project);
        assert!(points.starts_with(&format!("{{\"average\":{read},")), "{of_type} {sent} came back as {points}");
    }
    let refused = [
        ("\"int\"", "60.5"),
        ("\"int\"", "9223372036854775808"),
        ("\"int\"", "1e19"),
        ("\"float\"", "1e400"),
        ("", "9223372036854775808"),
        ("", "-1e400"),
    ];
    for (of_type, sent) in refused {
        let body = format!("[{}]", item(&[("type", of_type), ("value", sent)]));
        server.post(&points_path("refused"), body).assert_refused(400, "ces.0014", "item 0: value");
    }
}

#[test]
fn the_last_point_of_a_millisecond_wins_whole() {
    // S5. Method: one request with the same millisecond twice, then another request.
    let server = Server::start(&["--memory"]);
    let time = now_millis().to_string();
    let at = |value: &str, unit: &str| item(&[("collect_time", &time), ("type", ""), ("value", value), ("unit", unit)]);
    server.post(&points_path("p"), format!("[{},{}]", at("1", "\"%\""), at("2.5", ""))).assert_stored();
    let second = format!(r#"{{"average":2.5,"timestamp":{time},"unit":""}}"#);
    assert_eq!(example_points(server.client(), "p"), second, "type and unit are replaced too");
    let reply = server.post(&points_path("p"), format!("[{}]", at("3", "\"B\"")));
    assert_eq!(reply.header("x-ebbtide-replaced"), Some("1"));
    assert_eq!(example_points(server.client(), "p"), format!(r#"{{"average":3,"timestamp":{time},"unit":"B"}}"#));
}

#[test]
fn the_lab_has_no_window_and_no_grammar() {
    // Goal: recorded series of any age and name go in, up to what the engine holds.
    let server = Server::start(&["--memory", "--profile", "lab"]);
    let inside = [
        ("collect_time", "0".to_owned(), ""),
        ("collect_time", "\"-86400000\"".into(), ""),
        ("collect_time", "9007199254740991".into(), ""),
        ("ttl", "4294967295".into(), ""),
        ("namespace", "\"SYS.ECS\"".into(), ""),
        ("namespace", "\"any thing\"".into(), ""),
        ("dimensions", "[]".into(), ""),
        ("dimensions", dimensions(16), ""),
    ];
    let outside = [
        ("collect_time", "9007199254740992".to_owned(), "collect_time"),
        ("ttl", "4294967296".into(), "ttl"),
        ("namespace", quoted(129), "metric.namespace"),
        ("metric_name", "\"\"".into(), "metric.metric_name"),
        ("dimensions", dimensions(17), "metric.dimensions"),
        ("unit", quoted(33), "unit"),
    ];
    for (field, json, _) in inside {
        server.post(&points_path("p"), format!("[{}]", item(&[(field, &json)]))).assert_stored();
    }
    for (field, json, named) in outside {
        let reply = server.post(&points_path("p"), format!("[{}]", item(&[(field, &json)])));
        reply.assert_refused(400, "ces.0014", &format!("item 0: {named}"));
    }
    let asked = "namespace=any%20thing&metric_name=cpu_util&dim.0=instance_id,33328f02-3814-422e-b688-bfdba93d4050";
    let reply = query(server.client(), "p", &format!("{asked}&from=0&to=9007199254740991&period=1&filter=min"));
    assert_eq!(reply.text().matches("\"min\":60").count(), 1, "{}", reply.text());
}
