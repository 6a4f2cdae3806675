//! `batch-query-metric-data`: one element for each metric that was named, always, and what stands in it.

use ebbtide::server::Profile;
use serde_json::{Value, json};

use super::{NOW, body, config, metric, run, start, store};
use crate::harness::{Client, Reply};

const PATH: &str = "/V1.0/p/batch-query-metric-data";

fn ask(client: Client, metrics: &[String], from: i64, period: &str, filter: &str) -> Reply {
    let metrics = metrics.join(",");
    let body = format!(r#"{{"metrics":[{metrics}],"from":{from},"to":{NOW},"period":{period},"filter":"{filter}"}}"#);
    client.post(PATH, body)
}

#[test]
fn each_metric_has_its_element_in_the_order_of_the_request() {
    // Goal: what dashboards and exporters take for granted: an element for each metric, by position, with unit, namespace
    // and dimensions also without data; the unit on the series and not on the points. Method: three metrics, one of them
    // unknown and one without a point in the time asked for, the first one named twice.
    let (server, client, _clock) = start(Profile::Document);
    let cpu = metric("MINE.APP", "cpu", &[("host", "a"), ("core", "1")]);
    let swapped = metric("MINE.APP", "cpu", &[("core", "1"), ("host", "a")]);
    let early = metric("MINE.APP", "early", &[("host", "a")]);
    let unknown = metric("MINE.APP", "unknown", &[("host", "a")]);
    store(client, &cpu, NOW - 2_000, "1", "%");
    store(client, &cpu, NOW, "4", "percent");
    store(client, &early, NOW - 3_600_000, "7", "s");
    let asked = [unknown, cpu.clone(), early, swapped];
    let dimensions = json!([{"name": "host", "value": "a"}, {"name": "core", "value": "1"}]);
    for (period, points) in [
        ("\"1\"", json!([{"average": 1, "timestamp": NOW - 2_000}, {"average": 4, "timestamp": NOW}])),
        ("300", json!([{"average": 2, "timestamp": NOW / 300_000 * 300_000}])),
    ] {
        let answer = body(&ask(client, &asked, NOW - 2_000, period, "average"));
        let host = json!([{"name": "host", "value": "a"}]);
        let element = |name: &str, dimensions: &Value, unit: &str, datapoints: Value| {
            json!({
                "namespace": "MINE.APP", "dimensions": dimensions, "metric_name": name, "unit": unit,
                "datapoints": datapoints,
            })
        };
        let cpu = element("cpu", &dimensions, "percent", points);
        let wanted =
            [element("unknown", &host, "", json!([])), cpu.clone(), element("early", &host, "s", json!([])), cpu];
        assert_eq!(answer, json!({ "metrics": wanted }), "{period}");
    }
    server.stop().expect("closes");
}

#[test]
fn a_project_that_nobody_wrote_to_answers_with_empty_elements() {
    let (server, client, _clock) = start(Profile::Document);
    let answer = body(&ask(client, &[metric("A.B", "m", &[("n", "v")])], NOW - 1, "\"1\"", "max"));
    let element = json!({
        "namespace": "A.B", "dimensions": [{"name": "n", "value": "v"}], "metric_name": "m", "unit": "", "datapoints": [],
    });
    assert_eq!(answer, json!({ "metrics": [element] }));
    server.stop().expect("closes");
}

#[test]
fn periods_and_times_may_be_strings_or_numbers_and_both_ends_are_inside() {
    let (server, client, _clock) = start(Profile::Document);
    let cpu = metric("MINE.APP", "cpu", &[("host", "a")]);
    store(client, &cpu, NOW - 1_000, "1", "");
    store(client, &cpu, NOW, "2", "");
    for (from, to, period) in [
        (format!("{}", NOW - 1_000), NOW.to_string(), "1"),
        (format!("\"{}\"", NOW - 1_000), format!("\"{NOW}\""), "\"1\""),
    ] {
        let body_text = format!(
            r#"{{"filter":"max","period":{period},"to":{to},"from":{from},"metrics":[{cpu}],"unknown":{{"a":[1]}}}}"#
        );
        let answer = body(&client.post(PATH, body_text));
        assert_eq!(answer["metrics"][0]["datapoints"].as_array().map(Vec::len), Some(2), "{answer}");
        assert!(answer["metrics"][0]["datapoints"][0].get("unit").is_none(), "{answer}");
    }
    server.stop().expect("closes");
}

#[test]
fn from_is_moved_up_to_what_the_period_allows() {
    // Goal: a span that is too long is no error, it only begins later. Method: a point just inside and one just outside of
    // what each period allows, asked for from long before. Tables of the page's edition: 1 has four hours, 300 a day.
    let (server, client, _clock) = start(Profile::Document);
    let cpu = metric("MINE.APP", "cpu", &[("host", "a")]);
    let hours = |count: i64| NOW - count * 3_600_000;
    for time in [hours(4), hours(4) - 1, hours(25), hours(71)] {
        store(client, &cpu, time, "1", "%");
    }
    // A window is shown whole, so in one of a minute or more the point just outside counts as well.
    for (period, values) in [("1", 1), ("60", 2), ("300", 2), ("1200", 4), ("3600", 4), ("14400", 4), ("86400", 4)] {
        let answer = body(&ask(client, std::slice::from_ref(&cpu), 0, &format!("\"{period}\""), "sum"));
        let points = answer["metrics"][0]["datapoints"].as_array().expect("a list");
        let sum: i64 = points.iter().map(|point| point["sum"].as_i64().expect("an integer")).sum();
        assert_eq!(sum, values, "{period}: {answer}");
    }
    server.stop().expect("closes");
}

#[test]
fn the_newest_points_are_answered_where_there_are_more_than_allowed() {
    // Goal: the widest span that the rule of 3,000 windows lets through is answered, although its windows are one more as
    // `from` moves back to the start of one. Method: a point in each of the last 3,001 windows.
    let cpu = metric("MINE.APP", "cpu", &[("host", "a")]);
    let item = |ago: i64| format!(r#"{{"metric":{cpu},"ttl":60,"collect_time":{},"value":1}}"#, NOW - ago * 300_000);
    let windows = |span: &str, points: &str| {
        let (config, _clock) = config(Profile::Lab);
        let config = config.rule("batch-span", span).and_then(|config| config.rule("batch-points", points));
        let (server, client) = run(config.expect("good values"));
        for part in [0..1_500, 1_500..3_001] {
            let items: Vec<String> = part.map(item).collect();
            client.post("/V1.0/p/metric-data", format!("[{}]", items.join(","))).assert_stored();
        }
        let answer = body(&ask(client, std::slice::from_ref(&cpu), NOW - 3_000 * 300_000, "300", "sum"));
        server.stop().expect("closes");
        answer["metrics"][0]["datapoints"].as_array().expect("a list").clone()
    };
    let all = windows("none", "100000");
    assert_eq!(all.len(), 3_001);
    assert_eq!(windows("points", "3000"), all[1..]);
}

#[test]
fn what_is_wrong_in_the_body_is_named() {
    let (server, client, _clock) = start(Profile::Document);
    let good = metric("A.B", "m", &[("n", "v")]);
    let with = |metrics: &str, rest: &str| format!(r#"{{"metrics":{metrics}{rest}}}"#);
    let rest = format!(r#","from":1,"to":{NOW},"period":"1","filter":"max""#);
    let metrics = format!("[{good}]");
    body(&client.post(PATH, with(&metrics, &rest)));
    let wrong = [
        (with("1", &rest), "metrics must be an array"),
        (with("[]", &rest), "metrics has 0 elements"),
        (with("[1]", &rest), "metrics[0] must be an object"),
        (with(&format!("[{good},{{}}]"), &rest), "metrics[1].namespace is missing"),
        (with(&format!("[{good},{}]", metric("A", "m", &[("n", "v")])), &rest), "metrics[1].namespace must"),
        (with(&format!("[{}]", metric("A.B", "1", &[("n", "v")])), &rest), "metrics[0].metric_name must"),
        (with(&format!("[{}]", metric("A.B", "m", &[])), &rest), "metrics[0].dimensions has 0"),
        (with(&format!("[{}]", metric("A.B", "m", &[("n", "")])), &rest), "metrics[0].dimensions[0].value must"),
        (with(&metrics, &rest.replace("\"from\":1", "\"from\":null")), "from is missing"),
        (with(&metrics, &rest.replace("\"from\":1", "\"from\":1.5")), "from must be an integer"),
        (with(&metrics, &rest.replace("\"from\":1", &format!("\"from\":{NOW}"))), "from must be less than to"),
        (with(&metrics, &rest.replace("\"period\":\"1\"", "\"period\":\"2\"")), "period must be"),
        (with(&metrics, &rest.replace("\"period\":\"1\"", "\"period\":[1]")), "period must be"),
        (with(&metrics, &rest.replace("max", "median")), "filter must be"),
        (with(&metrics, &rest.replace("\"max\"", "1")), "filter must be a string"),
        (with(&metrics, &format!("{rest}{rest}")), "from is given twice"),
    ];
    for (text, fragment) in wrong {
        client.post(PATH, &text).assert_refused(400, "ces.0014", fragment);
    }
    client.post(PATH, "").assert_refused(400, "ces.0001", "empty");
    client.post(PATH, "[]").assert_refused(400, "ces.0011", "object");
    client.post(PATH, "{").assert_refused(400, "ces.0011", "not JSON");
    client.post("/V1.0/p.q/batch-query-metric-data", with(&metrics, &rest)).assert_refused(400, "ces.0003", "project");
    let reply = client.get(PATH);
    reply.assert_refused(405, "ces.0016", "method");
    assert_eq!(reply.header("allow"), Some("POST"));
    server.stop().expect("closes");
}
