//! `metrics`: who is listed, the filters, and paging that ends.

use std::fmt::Write as _;
use std::time::Duration;

use ebbtide::server::Profile;
use serde_json::Value;

use super::{NOW, body, metric, start, store};
use crate::harness::Client;

fn list(client: Client, query: &str) -> Value {
    body(&client.get(&format!("/V1.0/p/metrics{query}")))
}

/// What is on a page, each by its marker's form.
fn names(answer: &Value) -> Vec<String> {
    let each = |metric: &Value| {
        let mut name = format!("{}.{}", text(&metric["namespace"]), text(&metric["metric_name"]));
        for dimension in metric["dimensions"].as_array().expect("a list") {
            name = format!("{name}.{}:{}", text(&dimension["name"]), text(&dimension["value"]));
        }
        name
    };
    answer["metrics"].as_array().expect("a list").iter().map(each).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

fn encoded(marker: &str) -> String {
    marker.replace('%', "%25").replace(':', "%3A").replace(',', "%2C")
}

/// All pages of a loop as clients write it: until a page is empty.
fn pages(client: Client, query: &str) -> Vec<String> {
    let (mut found, mut start) = (Vec::new(), String::new());
    loop {
        let answer = list(client, &format!("?{query}{start}"));
        let page = names(&answer);
        assert_eq!(answer["meta_data"]["count"], page.len());
        let marker = text(&answer["meta_data"]["marker"]).to_owned();
        let Some(last) = page.last() else {
            assert_eq!(marker, "", "a page without series has no last one");
            return found;
        };
        assert_eq!(&marker, last, "the marker is the last element");
        found.extend(page);
        assert!(found.len() < 1_000, "the loop ends");
        start = format!("&start={}", encoded(&marker));
    }
}

fn fill(client: Client) -> Vec<String> {
    let mut all = Vec::new();
    for namespace in ["MINE.APP", "MINE.APP2", "OTHER.APP"] {
        for name in ["cpu", "mem"] {
            for host in ["a", "b"] {
                store(client, &metric(namespace, name, &[("host", host), ("core", "1")]), NOW, "1", "%");
                all.push(format!("{namespace}.{name}.host:{host}.core:1"));
            }
        }
    }
    all
}

#[test]
fn every_loop_of_a_client_sees_every_series_once_and_ends() {
    // Goal: paging in both orders and all sizes, with the whole count on every page. Method: the loop that exporters run.
    let (server, client, _clock) = start(Profile::Document);
    let all = fill(client);
    let backwards: Vec<String> = all.iter().rev().cloned().collect();
    for limit in [1, 5, 12, 13, 1_000] {
        assert_eq!(pages(client, &format!("limit={limit}&order=asc")), all, "{limit}");
        assert_eq!(pages(client, &format!("limit={limit}&order=desc")), backwards, "{limit}");
        let answer = list(client, &format!("?limit={limit}"));
        assert_eq!(answer["meta_data"]["total"], 12);
    }
    assert_eq!(pages(client, "order=asc&limit=2&namespace=MINE.APP&metric_name=mem"), all[2..4]);
    assert_eq!(pages(client, "order=desc&limit=1&namespace=MINE.APP"), backwards[8..]);
    server.stop().expect("closes");
}

#[test]
fn filters_narrow_the_list_and_its_count() {
    let (server, client, _clock) = start(Profile::Document);
    fill(client);
    let table = [
        ("", 12),
        ("?namespace=MINE.APP", 4),
        ("?namespace=SYS.ECS", 0),
        ("?metric_name=cpu", 6),
        ("?namespace=MINE.APP&metric_name=cpu", 2),
        ("?dim.0=host,a", 6),
        ("?dim.0=host%2Ca", 6),
        ("?dim=host%2Ca", 6),
        ("?dim.0=core,1&dim.1=host,b&namespace=OTHER.APP", 2),
        ("?dim.3=core,1", 12),
        ("?dim.0=host,c", 0),
        ("?dim.0=host,a&dim.1=host,b", 0),
        ("?start=&limit=1000", 12),
        ("?unknown=1", 12),
    ];
    for (query, total) in table {
        let answer = list(client, query);
        assert_eq!(answer["meta_data"]["total"], total, "{query}");
        assert_eq!(names(&answer).len(), total, "{query}");
    }
    server.stop().expect("closes");
}

#[test]
fn a_start_is_a_place_and_not_a_series() {
    // Goal: a marker of a series that has never been or is gone leads on, and one past the end to an empty page.
    let (server, client, _clock) = start(Profile::Document);
    let all = fill(client);
    let from = |marker: &str| names(&list(client, &format!("?order=asc&start={}", encoded(marker))));
    assert_eq!(from("MINE.APP.cpu.host:aa.core:1"), all[1..]);
    assert_eq!(from("MINE.APP.zzz.host:a"), all[4..]);
    assert_eq!(from("A.B.m.n:v"), all);
    assert_eq!(from("ZZ.ZZ.z.z:z"), Vec::<String>::new());
    assert_eq!(from("MINE.APP.cpu.core:1.host:a"), all[1..], "dimensions in another order are the same place");
    server.stop().expect("closes");
}

#[test]
fn series_are_listed_with_their_last_unit_as_long_as_anything_of_them_is_there() {
    // Goal: the unit is that of the newest point, also when that has expired; dimensions are in the order first seen.
    // Method: two days and a second later all points are dead, and their windows live.
    let (server, client, clock) = start(Profile::Document);
    let first = metric("MINE.APP", "cpu", &[("host", "a"), ("core", "1")]);
    let second = metric("MINE.APP", "cpu", &[("core", "1"), ("host", "a")]);
    store(client, &first, NOW - 2, "1", "old");
    store(client, &second, NOW - 1, "1", "new");
    store(client, &metric("MINE.APP", "mem", &[("host", "a")]), NOW, "1", "");
    let units = |answer: &Value| -> Vec<String> {
        let metrics = answer["metrics"].as_array().expect("a list");
        metrics.iter().map(|metric| text(&metric["unit"]).to_owned()).collect()
    };
    for _ in 0..2 {
        let answer = list(client, "?order=asc");
        assert_eq!(names(&answer), ["MINE.APP.cpu.host:a.core:1", "MINE.APP.mem.host:a"]);
        assert_eq!(units(&answer), ["new", ""]);
        clock.advance(Duration::from_secs(2 * 86_400 + 1));
    }
    server.stop().expect("closes");
}

#[test]
fn the_lab_pages_through_names_of_any_kind() {
    let (server, client, _clock) = start(Profile::Lab);
    let odd = [
        metric("A", "m.n", &[]),
        metric("A.B.C", "m:n", &[("ip", "10.0.0.1")]),
        metric("A.B", "50%", &[("a.b", "c:d"), ("e", "%2E")]),
        metric("\u{e4}", "\u{1d54f}", &[("n", "a b+c&d=e")]),
    ];
    for series in &odd {
        store(client, series, NOW, "1", "");
    }
    let (mut seen, mut start) = (0, String::new());
    loop {
        let answer = list(client, &format!("?limit=1{start}"));
        assert_eq!(answer["meta_data"]["total"], 4);
        if names(&answer).is_empty() {
            break;
        }
        seen += 1;
        assert!(seen <= 4, "the loop ends");
        start = "&start=".into();
        for byte in text(&answer["meta_data"]["marker"]).bytes() {
            write!(start, "%{byte:02X}").expect("memory");
        }
    }
    assert_eq!(seen, 4);
    server.stop().expect("closes");
}

#[test]
fn a_wrong_parameter_is_named() {
    let (server, client, _clock) = start(Profile::Document);
    let table = [
        ("limit=0", "ces.0006", "limit must be 1 to 1000"),
        ("limit=1001", "ces.0006", "limit"),
        ("limit=-1", "ces.0006", "limit"),
        ("limit=%2B5", "ces.0006", "limit"),
        ("limit=", "ces.0006", "limit"),
        ("start=nonsense", "ces.0006", "start must be"),
        ("start=A.B.m.n:", "ces.0006", "start must be"),
        ("order=up", "ces.0013", "order must be asc or desc"),
        ("namespace=A", "ces.0013", "namespace"),
        ("metric_name=1", "ces.0013", "metric_name"),
        ("dim.0=host", "ces.0013", "dim.0 must be name,value"),
        ("dim.4=host,a", "ces.0013", "dim.4"),
        ("dim=host,a&dim.0=host,a", "ces.0013", "dim.0 is given twice"),
        ("limit=1&limit=1", "ces.0013", "limit is given twice"),
    ];
    for (query, code, fragment) in table {
        client.get(&format!("/V1.0/p/metrics?{query}")).assert_refused(400, code, fragment);
    }
    let many: Vec<String> = (0..65).map(|each| format!("p{each}=1")).collect();
    client.get(&format!("/V1.0/p/metrics?{}", many.join("&"))).assert_refused(400, "ces.0013", "more than 64");
    client.get("/V1.0/p.q/metrics").assert_refused(400, "ces.0003", "project");
    let reply = client.post("/V1.0/p/metrics", "{}");
    reply.assert_refused(405, "ces.0016", "method");
    assert_eq!(reply.header("allow"), Some("GET,HEAD"));
    server.stop().expect("closes");
}
