//! Versions, quotas, alarms and host data, and what clients do to any call.

use std::io::Write as _;

use ebbtide::server::Profile;
use serde_json::{Value, json};

use super::{NOW, body, metric, start, store};
use crate::harness::Client;

#[test]
fn versions_are_told_with_and_without_a_slash() {
    let (server, client, _clock) = start(Profile::Document);
    let version = json!({
        "id": "V1.0", "links": [{"href": "http://test/V1.0", "rel": "self"}], "min_version": "", "status": "CURRENT",
        "updated": "2018-09-30T00:00:00Z", "version": "",
    });
    assert_eq!(body(&client.get("/")), json!({ "versions": [version] }));
    for path in ["/V1.0", "/V1.0/"] {
        assert_eq!(body(&client.get(path)), json!({ "version": version }), "{path}");
    }
    let reply = client.post("/V1.0", "{}");
    reply.assert_refused(405, "ces.0016", "method");
    assert_eq!(reply.header("allow"), Some("GET,HEAD"));
    server.stop().expect("closes");
}

#[test]
fn quotas_alarms_and_host_data_have_the_published_shape() {
    let (server, client, _clock) = start(Profile::Document);
    let quota = json!({"unit": "", "type": "alarm", "quota": 100, "used": 0});
    assert_eq!(body(&client.get("/V1.0/p/quotas")), json!({"quotas": {"resources": [quota]}}));
    let none = json!({"metric_alarms": [], "meta_data": {"count": 0, "marker": "", "total": 0}});
    for query in ["", "?limit=1", "?limit=100&order=asc&start=al1"] {
        assert_eq!(body(&client.get(&format!("/V1.0/p/alarms{query}"))), none, "{query}");
    }
    client.get("/V1.0/p/alarms?limit=0").assert_refused(400, "ces.0006", "limit");
    client.get("/V1.0/p/alarms?order=up").assert_refused(400, "ces.0013", "order");
    client.get("/V1.0/p/alarms/al1").assert_refused(404, "ces.0016", "nothing");
    assert_eq!(body(&client.get("/V1.0/p/event-data?namespace=SYS.ECS&type=host_config")), json!({"datapoints": []}));
    for call in ["quotas", "alarms", "event-data"] {
        client.get(&format!("/V1.0/p.q/{call}")).assert_refused(400, "ces.0003", "project");
        let reply = client.post(&format!("/V1.0/p/{call}"), "{}");
        reply.assert_refused(405, "ces.0016", "method");
        assert_eq!(reply.header("allow"), Some("GET,HEAD"), "{call}");
    }
    server.stop().expect("closes");
}

#[test]
fn content_types_of_clients_change_nothing() {
    // Goal: the Python client sends a type with a GET that has no body, the Go client a type with a character set, an
    // agent none. Method: raw requests.
    let (server, client, _clock) = start(Profile::Document);
    store(client, &metric("MINE.APP", "cpu", &[("host", "a")]), NOW, "60", "%");
    let raw = |head: &str, body: &str| {
        let mut connection = client.connect();
        let request = format!("{head}\r\nhost: test\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        connection.write_all(request.as_bytes()).expect("sent");
        connection.reply()
    };
    let item = format!(
        r#"[{{"metric":{},"ttl":60,"collect_time":{NOW},"value":1}}]"#,
        metric("MINE.APP", "mem", &[("host", "a")])
    );
    for kind in ["content-type: application/json;charset=UTF-8", "content-type: text/plain", "x-none: 1"] {
        raw(&format!("POST /V1.0/p/metric-data HTTP/1.1\r\n{kind}"), &item).assert_stored();
    }
    let list = "GET /V1.0/p/metrics HTTP/1.1\r\ncontent-type: application/json";
    assert_eq!(body(&raw(list, ""))["meta_data"]["total"], 2);
    server.stop().expect("closes");
}

/// The series, by what a query says of them, as the first published clients ask.
fn points(client: Client, query: &str) -> Value {
    let query = format!("{query}&from={}&to={NOW}&period=1&filter=average", NOW - 1_000);
    body(&client.get(&format!("/V1.0/p/metric-data?{query}")))["datapoints"].clone()
}

#[test]
fn every_client_finds_what_it_wrote_however_it_writes_the_dimension() {
    let (server, client, _clock) = start(Profile::Document);
    store(client, &metric("MINE.APP", "cpu", &[("host", "a")]), NOW, "60", "%");
    let wanted = json!([{"average": 60, "timestamp": NOW, "unit": "%"}]);
    for dimension in ["dim.0=host,a", "dim.0=host%2Ca", "dim=host%2Ca"] {
        assert_eq!(points(client, &format!("namespace=MINE.APP&metric_name=cpu&{dimension}")), wanted, "{dimension}");
    }
    server.stop().expect("closes");
}
