//! The rows: for each rule what is asked and answered. Knows requests, not how they are run.

use std::fmt::Write as _;

use super::{Answer, NOW, Row};
use crate::harness::{Client, Reply};

const REFUSED: (u16, &str) = (400, "ces.0014");
const STORED: (u16, &str) = (201, "");

/// Three days and ten minutes, in milliseconds.
const PAST: i64 = 3 * 86_400_000;
const AHEAD: i64 = 600_000;

pub(super) const ROWS: &[Row] = &[
    Row {
        rule: "body-bytes",
        request: "a body of a byte too much",
        ask: |client| post(client, &format!("{}{}", body(&[]), " ".repeat(524_289 - body(&[]).len()))),
        answers: [(413, "ces.0014"); 3],
        switched: None,
    },
    Row {
        rule: "body-bytes",
        request: "a body of the greatest length",
        ask: |client| post(client, &format!("{}{}", body(&[]), " ".repeat(524_288 - body(&[]).len()))),
        answers: [STORED; 3],
        switched: Some(("524287", (413, "ces.0014"))),
    },
    Row {
        rule: "time-past",
        request: "a point of three days ago",
        ask: |client| post_at(client, NOW - PAST),
        answers: [STORED; 3],
        switched: Some(("259199", REFUSED)),
    },
    Row {
        rule: "time-past",
        request: "a point of a millisecond earlier",
        ask: |client| post_at(client, NOW - PAST - 1),
        answers: [REFUSED, REFUSED, STORED],
        switched: Some(("259201", STORED)),
    },
    Row {
        rule: "time-ahead",
        request: "a point in ten minutes",
        ask: |client| post_at(client, NOW + AHEAD),
        answers: [STORED; 3],
        switched: Some(("0", REFUSED)),
    },
    Row {
        rule: "time-ahead",
        request: "a point a millisecond later",
        ask: |client| post_at(client, NOW + AHEAD + 1),
        answers: [REFUSED, REFUSED, STORED],
        switched: None,
    },
    Row {
        rule: "ttl",
        request: "a TTL of zero",
        ask: |client| post(client, &body(&[("ttl", "0")])),
        answers: [STORED, REFUSED, STORED],
        switched: Some(("5..6", REFUSED)),
    },
    Row {
        rule: "ttl",
        request: "a TTL of seven days and a second",
        ask: |client| post(client, &body(&[("ttl", "604801")])),
        answers: [REFUSED, REFUSED, STORED],
        switched: Some(("0..604801", STORED)),
    },
    Row {
        rule: "namespace-form",
        request: "a namespace of three parts",
        ask: |client| post(client, &body(&[("namespace", "\"A.B.C\"")])),
        answers: [REFUSED, REFUSED, STORED],
        switched: None,
    },
    Row {
        rule: "namespace-form",
        request: "a question about a namespace of one part",
        ask: |client| told(&client.get("/V1.0/p/metrics?namespace=A")),
        answers: [(400, "ces.0013"), (400, "ces.0013"), (200, "\"total\":0")],
        switched: None,
    },
    Row {
        rule: "metric-form",
        request: "a metric name with a dot",
        ask: |client| post(client, &body(&[("metric_name", "\"a.b\"")])),
        answers: [REFUSED, REFUSED, STORED],
        switched: None,
    },
    Row {
        rule: "dimension-form",
        request: "a dimension that begins with a digit",
        ask: |client| post(client, &body(&[("dimensions", r#"[{"name":"1a","value":"v"}]"#)])),
        answers: [REFUSED, REFUSED, STORED],
        switched: None,
    },
    Row {
        rule: "value-form",
        request: "a dimension's value with dots",
        ask: |client| post(client, &body(&[("dimensions", r#"[{"name":"ip","value":"10.0.0.1"}]"#)])),
        answers: [REFUSED, REFUSED, STORED],
        switched: None,
    },
    Row {
        rule: "system-namespaces",
        request: "a point of the service's own",
        ask: |client| post(client, &body(&[("namespace", "\"SYS.ECS\"")])),
        answers: [(403, "ces.0009"), (403, "ces.0009"), STORED],
        switched: None,
    },
    Row {
        rule: "system-namespaces",
        request: "a point of bare metal servers",
        ask: |client| post(client, &body(&[("namespace", "\"SERVICE.BMS\"")])),
        answers: [(403, "ces.0009"), (403, "ces.0009"), STORED],
        switched: None,
    },
    Row {
        rule: "sre-namespaces",
        request: "a point in a namespace that is reserved since 2022",
        ask: |client| post(client, &body(&[("namespace", "\"SRE.APP\"")])),
        answers: [STORED, (403, "ces.0009"), STORED],
        switched: None,
    },
    Row {
        rule: "dimensions",
        request: "a point with five dimensions",
        ask: |client| post(client, &body(&[("dimensions", &dimensions(5))])),
        answers: [REFUSED, REFUSED, STORED],
        switched: Some(("1..5", STORED)),
    },
    Row {
        rule: "dimensions",
        request: "a point with four dimensions",
        ask: |client| post(client, &body(&[("dimensions", &dimensions(4))])),
        answers: [STORED; 3],
        switched: Some(("1..3", REFUSED)),
    },
    Row {
        rule: "dimensions",
        request: "a point with none",
        ask: |client| post(client, &body(&[("dimensions", "[]")])),
        answers: [REFUSED, REFUSED, STORED],
        switched: None,
    },
    Row {
        rule: "unit-length",
        request: "a unit of 32 characters",
        ask: |client| post(client, &body(&[("unit", &format!("\"{}\"", "u".repeat(32)))])),
        answers: [STORED; 3],
        switched: Some(("31", REFUSED)),
    },
    Row {
        rule: "late",
        request: "a point of more than ten minutes ago",
        ask: |client| {
            let reply = client.post("/V1.0/p/metric-data", body(&[("collect_time", &(NOW - 600_001).to_string())]));
            (reply.status, format!("{} left out", reply.header("x-ebbtide-not-aggregated").unwrap_or("none")))
        },
        answers: [(201, "0 left out"), (201, "1 left out"), (201, "0 left out")],
        switched: Some(("601", (201, "0 left out"))),
    },
    Row {
        rule: "minute-windows",
        request: "windows of a minute",
        ask: |client| told(&client.get(&format!("{SERIES}&from=0&to=1&period=60&filter=max"))),
        answers: [(200, "[]"); 3],
        switched: Some(("off", (400, "ces.0013 period"))),
    },
    Row {
        rule: "whole-numbers",
        request: "the average of 1 and 4",
        ask: |client| average(client, &["1", "4"]),
        answers: [(200, "\"average\":2,"), (200, "\"average\":2,"), (200, "\"average\":2.5,")],
        switched: None,
    },
    Row {
        rule: "decimals",
        request: "the average of a number with three decimals",
        ask: |client| average(client, &["0.126"]),
        answers: [(200, "\"average\":0.13,"), (200, "\"average\":0.12,"), (200, "\"average\":0.126,")],
        switched: None,
    },
    Row {
        rule: "batch-metrics",
        request: "a question about eleven metrics",
        ask: |client| batch(client, 11, NOW - 1, "1"),
        answers: [REFUSED, (200, "\"metrics\":["), (200, "\"metrics\":[")],
        switched: Some(("11", (200, "\"metrics\":["))),
    },
    Row {
        rule: "batch-metrics",
        request: "a question about 501 metrics",
        ask: |client| batch(client, 501, NOW - 1, "1"),
        answers: [REFUSED; 3],
        switched: None,
    },
    Row {
        rule: "batch-span",
        request: "a point of five hours ago within a span of six",
        ask: |client| {
            assert_eq!(post_at(client, NOW - 5 * 3_600_000).0, 201);
            batch(client, 1, NOW - 6 * 3_600_000, "1")
        },
        answers: [(200, "\"datapoints\":[]"), (200, "\"average\":60"), (200, "\"average\":60")],
        switched: None,
    },
    Row {
        rule: "batch-span",
        request: "a point of 60 hours ago within a span of 61",
        ask: |client| {
            let time = (NOW - 60 * 3_600_000).to_string();
            assert_eq!(post(client, &body(&[("collect_time", &time), ("ttl", "604800")])).0, 201);
            batch(client, 1, NOW - 61 * 3_600_000, "1")
        },
        answers: [(200, "\"datapoints\":[]"), (200, "\"datapoints\":[]"), (200, "\"average\":60")],
        switched: None,
    },
    Row {
        rule: "batch-points",
        request: "a question about 3,001 points",
        ask: |client| {
            let items: Vec<String> =
                (0..3_001).map(|ago| item(&[("collect_time", &(NOW - ago).to_string())])).collect();
            for part in items.chunks(2_000) {
                assert_eq!(post(client, &format!("[{}]", part.join(","))).0, 201);
            }
            let (status, text) = batch(client, 1, NOW - 3_600_000, "1");
            (status, format!("{} points", text.matches("\"average\":60").count()))
        },
        answers: [(200, "3001 points"), (200, "3000 points"), (200, "3001 points")],
        switched: Some(("5", (200, "5 points"))),
    },
    Row {
        rule: "list-order",
        request: "the first of two series",
        ask: |client| {
            for name in ["aa", "zz"] {
                assert_eq!(post(client, &body(&[("metric_name", &format!("\"{name}\""))])).0, 201);
            }
            told(&client.get("/V1.0/p/metrics?limit=1"))
        },
        answers: [(200, "\"metric_name\":\"zz\""), (200, "\"metric_name\":\"zz\""), (200, "\"metric_name\":\"aa\"")],
        switched: None,
    },
    Row {
        rule: "list-limit",
        request: "a page of a thousand series",
        ask: |client| told(&client.get("/V1.0/p/metrics?limit=1000")),
        answers: [(200, "\"total\":0"); 3],
        switched: Some(("999", (400, "ces.0006"))),
    },
    Row {
        rule: "list-limit",
        request: "a page of more than a thousand series",
        ask: |client| told(&client.get("/V1.0/p/metrics?limit=1001")),
        answers: [(400, "ces.0006"); 3],
        switched: None,
    },
    Row {
        rule: "alarm-limit",
        request: "a page of a hundred alarm rules",
        ask: |client| told(&client.get("/V1.0/p/alarms?limit=100")),
        answers: [(200, "\"metric_alarms\":[]"); 3],
        switched: Some(("99", (400, "ces.0006"))),
    },
    Row {
        rule: "alarm-quota",
        request: "the quotas",
        ask: |client| told(&client.get("/V1.0/p/quotas")),
        answers: [(200, "\"quota\":100,"), (200, "\"quota\":1000,"), (200, "\"quota\":1000,")],
        switched: Some(("0", (200, "\"quota\":0,"))),
    },
    Row {
        rule: "event-past",
        request: "an event of an hour and a millisecond ago",
        ask: |client| event(client, NOW - 3_600_001, "\"e\""),
        answers: [REFUSED, REFUSED, (201, "event_id")],
        switched: Some(("3601", (201, "event_id"))),
    },
    Row {
        rule: "event-past",
        request: "an event of an hour ago",
        ask: |client| event(client, NOW - 3_600_000, "\"e\""),
        answers: [(201, "event_id"); 3],
        switched: None,
    },
    Row {
        rule: "event-ahead",
        request: "an event in ten minutes and a millisecond",
        ask: |client| event(client, NOW + AHEAD + 1, "\"e\""),
        answers: [REFUSED, REFUSED, (201, "event_id")],
        switched: Some(("601", (201, "event_id"))),
    },
    Row {
        rule: "event-form",
        request: "an event whose name has a blank",
        ask: |client| event(client, NOW, "\"two words\""),
        answers: [REFUSED, REFUSED, (201, "event_id")],
        switched: None,
    },
    Row {
        rule: "event-limit",
        request: "a page of a hundred events",
        ask: |client| told(&client.get("/V1.0/p/events?limit=100")),
        answers: [(200, "\"events\":[]"); 3],
        switched: Some(("99", (400, "ces.0006"))),
    },
];

const SERIES: &str = "/V1.0/p/metric-data?namespace=MINE.APP&metric_name=cpu_util&dim.0=n,v";

/// An item, collected now, with some fields changed.
fn item(changes: &[(&str, &str)]) -> String {
    let of = |name: &str, default: &str| {
        changes.iter().find(|(each, _)| *each == name).map_or(default, |(_, json)| json).to_owned()
    };
    let namespace = of("namespace", "\"MINE.APP\"");
    let dimensions = of("dimensions", r#"[{"name":"n","value":"v"}]"#);
    let metric_name = of("metric_name", "\"cpu_util\"");
    let metric = format!(r#"{{"namespace":{namespace},"dimensions":{dimensions},"metric_name":{metric_name}}}"#);
    let mut json = format!(r#"{{"metric":{metric}"#);
    let now = NOW.to_string();
    for (name, default) in [("ttl", "172800"), ("collect_time", &now), ("value", "60"), ("unit", "\"%\"")] {
        write!(json, r#","{name}":{}"#, of(name, default)).expect("memory");
    }
    json + "}"
}

fn body(changes: &[(&str, &str)]) -> String {
    format!("[{}]", item(changes))
}

fn dimensions(count: usize) -> String {
    let each: Vec<String> = (0..count).map(|i| format!(r#"{{"name":"d{i}","value":"v"}}"#)).collect();
    format!("[{}]", each.join(","))
}

fn told(reply: &Reply) -> Answer {
    let text = reply.text();
    // A refusal is told by its code and the field.
    let short = serde_json::from_str::<serde_json::Value>(text).ok().and_then(|body| {
        let message = body.get("message")?;
        Some(format!("{} {}", message.get("code")?.as_str()?, message.get("details")?.as_str()?))
    });
    (reply.status, short.unwrap_or_else(|| text.to_owned()))
}

fn post(client: Client, body: &str) -> Answer {
    told(&client.post("/V1.0/p/metric-data", body))
}

pub(super) fn post_at(client: Client, time: i64) -> Answer {
    post(client, &body(&[("collect_time", &time.to_string())]))
}

/// The answer about the window of five minutes that these values make.
fn average(client: Client, values: &[&str]) -> Answer {
    let items: Vec<String> = (0_i64..)
        .zip(values)
        .map(|(ago, value)| item(&[("collect_time", &(NOW - ago).to_string()), ("value", value)]))
        .collect();
    assert_eq!(post(client, &format!("[{}]", items.join(","))).0, 201);
    told(&client.get(&format!("{SERIES}&from={}&to={NOW}&period=300&filter=average", NOW - 1)))
}

/// A question about so many metrics, the first of which is the one that items are of.
fn batch(client: Client, count: usize, from: i64, period: &str) -> Answer {
    let metric = |number: usize| {
        let name = if number == 0 { "cpu_util".to_owned() } else { format!("m{number}") };
        format!(r#"{{"namespace":"MINE.APP","metric_name":"{name}","dimensions":[{{"name":"n","value":"v"}}]}}"#)
    };
    let metrics: Vec<String> = (0..count).map(metric).collect();
    let metrics = metrics.join(",");
    let body = format!(r#"{{"metrics":[{metrics}],"from":{from},"to":{NOW},"period":"{period}","filter":"average"}}"#);
    told(&client.post("/V1.0/p/batch-query-metric-data", body))
}

fn event(client: Client, time: i64, name: &str) -> Answer {
    let body = format!(r#"[{{"event_name":{name},"event_source":"MINE.APP","time":{time},"detail":{{}}}}]"#);
    told(&client.post("/V1.0/p/events", body))
}
