//! One case for each sentence of the page on fields and names: each limit just inside and just outside.

use super::{dimensions, example_points, item, quoted};
use crate::harness::{Server, now_millis, points_path};

#[test]
fn the_pages_own_example_is_stored_and_read_back() {
    // Goal: the example request, with current times, gives 201 without a body and both points come back as ints.
    let server = Server::start(&["--memory"]);
    let now = now_millis();
    let [first, second] = [now - 10_000, now].map(|time| time.to_string());
    let body =
        format!("[{},{}]", item(&[("collect_time", &first)]), item(&[("collect_time", &second), ("value", "70")]));
    let reply = server.post(&points_path("example"), body);
    reply.assert_stored();
    let receipt = ["stored", "replaced", "late", "dead-on-arrival", "sequence", "durability"]
        .map(|name| reply.header(&format!("x-ebbtide-{name}")).unwrap_or("none").to_owned());
    assert_eq!(receipt, ["2", "0", "0", "0", "1", "memory"]);
    assert_eq!(
        example_points(server.client(), "example"),
        format!(r#"{{"average":60,"timestamp":{first},"unit":"%"}},{{"average":70,"timestamp":{second},"unit":"%"}}"#)
    );
    assert_eq!(example_points(server.client(), "another"), "", "a project sees its own points only");
}

fn dimension(name: &str, value: &str) -> String {
    format!(r#"[{{"name":{name},"value":{value}}}]"#)
}

/// What the page allows, each at its limit: the sentence and the changed fields.
fn allowed() -> Vec<(&'static str, Vec<(&'static str, String)>)> {
    let one = |field: &'static str, json: &str| vec![(field, json.to_owned())];
    vec![
        ("ttl: the range begins with 0", one("ttl", "0")),
        ("ttl: the range ends with 604,800", one("ttl", "604800")),
        ("collect_time: of type String", one("collect_time", &format!("\"{}\"", now_millis()))),
        ("value: can be an integer", one("value", "-7")),
        ("value: can be a floating point number", vec![("value", "0.25".into()), ("type", "\"float\"".into())]),
        ("unit: not mandatory", one("unit", "")),
        ("unit: not mandatory, so null is none", one("unit", "null")),
        ("unit: at most 32 characters", one("unit", &quoted(32))),
        ("unit: 32 characters, not bytes", one("unit", &format!("\"{}\"", "\u{20ac}".repeat(32)))),
        ("type: not mandatory", one("type", "")),
        ("type: not mandatory, so null is none", one("type", "null")),
        ("type: int", one("type", "\"int\"")),
        ("type: float", one("type", "\"float\"")),
        ("namespace: from 3 characters", one("namespace", "\"A.B\"")),
        ("namespace: to 32 characters", one("namespace", &format!("\"A.{}\"", "b".repeat(30)))),
        ("namespace: letters, digits, underscores", one("namespace", "\"aZ9_.zA0_\"")),
        ("namespace: only a beginning SYS is forbidden", one("namespace", "\"MYSYS.SYS\"")),
        ("namespace: only a beginning AGT is forbidden", one("namespace", "\"X_AGT.AGT\"")),
        ("namespace: only exactly SERVICE.BMS is forbidden", one("namespace", "\"SERVICE.BMS2\"")),
        ("dimensions: a list of one", one("dimensions", &dimensions(1))),
        ("dimensions: a list of up to four", one("dimensions", &dimensions(4))),
        ("metric_name: up to 96 characters", one("metric_name", &quoted(96))),
        ("metric_name: letters, digits, _ and -", one("metric_name", "\"a-Z_9\"")),
        ("dimension name: from 1 character", one("dimensions", &dimension("\"a\"", "\"v\""))),
        ("dimension name: to 32 characters", one("dimensions", &dimension(&quoted(32), "\"v\""))),
        ("dimension name: letters, digits, _ and -", one("dimensions", &dimension("\"aZ0_-\"", "\"v\""))),
        ("dimension value: from 1 character", one("dimensions", &dimension("\"a\"", "\"v\""))),
        ("dimension value: to 256 characters", one("dimensions", &dimension("\"a\"", &quoted(256)))),
        ("dimension value: begins with a digit", one("dimensions", &dimension("\"a\"", "\"0_-aZ\""))),
        ("more fields than the page has (an agent sends them)", one("value", r#"60,"extra":{"a":[1]},"more":2"#)),
    ]
}

#[test]
fn each_sentence_is_kept_just_inside_of_its_limit() {
    // Method: the table of what the page allows, one request each.
    let server = Server::start(&["--memory"]);
    for (sentence, changes) in allowed() {
        let changes: Vec<(&str, &str)> = changes.iter().map(|(field, json)| (*field, json.as_str())).collect();
        let reply = server.post(&points_path("inside"), format!("[{}]", item(&changes)));
        assert_eq!(reply.status, 201, "{sentence}: {}", reply.text());
        reply.assert_stored();
        assert_eq!(reply.header("x-ebbtide-durability"), Some("memory"));
    }
}

/// What the page forbids: the sentence, one field changed, and the field that the error is to name.
fn forbidden() -> Vec<(&'static str, &'static str, String, &'static str)> {
    let mut cases = forbidden_in_items();
    cases.extend(forbidden_in_metrics());
    cases.extend(forbidden_in_dimensions());
    cases
}

fn forbidden_in_items() -> Vec<(&'static str, &'static str, String, &'static str)> {
    let case = |sentence, field, json: &str, named| (sentence, field, json.to_owned(), named);
    vec![
        case("metric: mandatory", "metric", "", "metric is missing"),
        case("metric: null is no metric", "metric", "null", "metric is missing"),
        case("metric: an object", "metric", "[]", "metric must be an object"),
        case("ttl: mandatory", "ttl", "", "ttl is missing"),
        case("ttl: null is no ttl", "ttl", "null", "ttl is missing"),
        case("ttl: an integer", "ttl", "1.5", "ttl must"),
        case("ttl: an integer, so no string", "ttl", "\"60\"", "ttl must"),
        case("ttl: not below 0", "ttl", "-1", "ttl must"),
        case("ttl: not above 604,800", "ttl", "604801", "ttl must"),
        case("ttl: not above 604,800 by far", "ttl", "99999999999999999999", "ttl must"),
        case("collect_time: mandatory", "collect_time", "", "collect_time is missing"),
        case("collect_time: null is no time", "collect_time", "null", "collect_time is missing"),
        case("collect_time: in milliseconds, not written out", "collect_time", "\"2026-11-21\"", "collect_time must"),
        case("collect_time: in whole milliseconds", "collect_time", "1463598260000.5", "collect_time must"),
        case("collect_time: an empty string is none", "collect_time", "\"\"", "collect_time must"),
        case("collect_time: a sign alone is none", "collect_time", "\"-\"", "collect_time must"),
        case("collect_time: no plus sign", "collect_time", "\"+1463598260000\"", "collect_time must"),
        case("collect_time: no blanks", "collect_time", "\" 1463598260000\"", "collect_time must"),
        case("collect_time: a time", "collect_time", "true", "collect_time must"),
        case("collect_time: within 64 bits", "collect_time", "\"9999999999999999999\"", "collect_time"),
        case("collect_time: within three days", "collect_time", "1463598260000", "collect_time"),
        case("collect_time: seconds are no milliseconds", "collect_time", "1795281677", "collect_time"),
        case("value: mandatory", "value", "", "value is missing"),
        case("value: null is no value", "value", "null", "value is missing"),
        case("value: a number", "value", "\"60\"", "value must be a number"),
        case("value: a number, so no list", "value", "[60]", "value must be a number"),
        case("value: an int is whole", "value", "60.5", "value must be a whole number"),
        case("unit: a string", "unit", "1", "unit must be a string"),
        case("unit: at most 32 characters", "unit", &quoted(33), "unit has 33"),
        case("type: int or float", "type", "\"Int\"", "type must be int or float"),
        case("type: a string", "type", "1", "type must be a string"),
    ]
}

fn forbidden_in_metrics() -> Vec<(&'static str, &'static str, String, &'static str)> {
    let case = |sentence, field, json: &str, named| (sentence, field, json.to_owned(), named);
    let too_long = format!("\"A.{}\"", "b".repeat(31));
    let twice = r#"[{"name":"a","value":"1"},{"name":"a","value":"2"}]"#;
    vec![
        case("namespace: mandatory", "namespace", "", "metric.namespace is missing"),
        case("namespace: a string", "namespace", "1", "metric.namespace must be a string"),
        case("namespace: service.item", "namespace", "\"MINEAPP\"", "metric.namespace must"),
        case("namespace: one dot", "namespace", "\"MINE.APP.ONE\"", "metric.namespace must"),
        case("namespace: not below 3 characters", "namespace", "\"A.\"", "metric.namespace must"),
        case("namespace: not above 32 characters", "namespace", &too_long, "metric.namespace must"),
        case("namespace: service begins with a letter", "namespace", "\"1A.B\"", "metric.namespace must"),
        case("namespace: item begins with a letter", "namespace", "\"A._B\"", "metric.namespace must"),
        case("namespace: no hyphens", "namespace", "\"A-A.B\"", "metric.namespace must"),
        case("namespace: ASCII letters", "namespace", "\"\u{c4}.B\"", "metric.namespace must"),
        case("dimensions: mandatory", "dimensions", "", "metric.dimensions is missing"),
        case("dimensions: a list", "dimensions", "{}", "metric.dimensions must"),
        case("dimensions: not empty", "dimensions", "[]", "metric.dimensions has 0"),
        case("dimensions: at most four", "dimensions", &dimensions(5), "metric.dimensions has 5"),
        case("dimensions: of objects", "dimensions", "[[\"a\",\"b\"]]", "metric.dimensions[0] must"),
        case("dimensions: each name once", "dimensions", twice, "metric.dimensions[1].name \"a\" is given twice"),
        case("metric_name: mandatory", "metric_name", "", "metric.metric_name is missing"),
        case("metric_name: a string", "metric_name", "{}", "metric.metric_name must be a string"),
        case("metric_name: not empty", "metric_name", "\"\"", "metric.metric_name must"),
        case("metric_name: at most 96 characters", "metric_name", &quoted(97), "metric.metric_name must"),
        case("metric_name: begins with a letter", "metric_name", "\"1a\"", "metric.metric_name must"),
    ]
}

fn forbidden_in_dimensions() -> Vec<(&'static str, &'static str, String, &'static str)> {
    const NAME: &str = "metric.dimensions[0].name";
    const VALUE: &str = "metric.dimensions[0].value";
    let name = |sentence, json: &str| (sentence, "dimensions", dimension(json, "\"v\""), NAME);
    let value = |sentence, json: &str| (sentence, "dimensions", dimension("\"a\"", json), VALUE);
    vec![
        ("dimension name: mandatory", "dimensions", r#"[{"value":"v"}]"#.into(), NAME),
        name("dimension name: a string", "1"),
        name("dimension name: not empty", "\"\""),
        name("dimension name: at most 32 characters", &quoted(33)),
        name("dimension name: begins with a letter", "\"0\""),
        name("dimension name: no dots", "\"a.b\""),
        ("dimension value: mandatory", "dimensions", r#"[{"name":"a"}]"#.into(), VALUE),
        value("dimension value: a string", "1"),
        value("dimension value: not empty", "\"\""),
        value("dimension value: at most 256 characters", &quoted(257)),
        value("dimension value: does not begin with _", "\"_\""),
        value("dimension value: no slashes", "\"a/b\""),
        value("dimension value: valid Unicode", "\"\\ud800\""),
    ]
}

#[test]
fn each_sentence_is_kept_just_outside_of_its_limit_and_nothing_is_stored() {
    // S17. Goal: the error names item and field, and the good items beside the bad one are not stored either.
    // Method: the table of what the page forbids, each between two good items; then the good series is read.
    let server = Server::start(&["--memory"]);
    for (sentence, field, json, named) in forbidden() {
        let body = format!("[{},{},{}]", item(&[]), item(&[(field, &json)]), item(&[]));
        // Shown when the next line fails.
        println!("{sentence}");
        server.post(&points_path("outside"), body).assert_refused(400, "ces.0014", &format!("item 1: {named}"));
        assert_eq!(example_points(server.client(), "outside"), "", "{sentence}");
    }
    // The server is as well as before.
    server.post(&points_path("outside"), format!("[{}]", item(&[]))).assert_stored();
}

#[test]
fn namespaces_of_the_service_itself_are_forbidden() {
    // Sentences: service cannot start with SYS and AGT; namespace cannot be SERVICE.BMS.
    let server = Server::start(&["--memory"]);
    for namespace in ["SYS.ECS", "SYSTEM.X", "AGT.ECS", "AGTX.Y", "SERVICE.BMS"] {
        let bad = item(&[("namespace", &format!("\"{namespace}\""))]);
        let reply = server.post(&points_path("p"), format!("[{},{bad}]", item(&[])));
        reply.assert_refused(403, "ces.0009", "item 1: metric.namespace");
    }
    assert_eq!(example_points(server.client(), "p"), "");
}
