//! Reading points back: the parameters of a query, its order, and whose points it sees.

use super::{EXAMPLE_QUERY, example_points, item, query};
use crate::harness::{Server, now_millis, points_path};

#[test]
fn the_order_of_dimensions_means_nothing() {
    // S1. Method: the same dimensions in two orders, asked for in both, with both kinds of comma and a bare `dim`.
    let server = Server::start(&["--memory"]);
    let now = now_millis();
    let post = |time: i64, dimensions: &str| {
        let item = item(&[("collect_time", &time.to_string()), ("dimensions", dimensions)]);
        server.post(&points_path("p"), format!("[{item}]")).assert_stored();
    };
    post(now - 2, r#"[{"name":"a","value":"1"},{"name":"b","value":"2"}]"#);
    post(now - 1, r#"[{"name":"b","value":"2"},{"name":"a","value":"1"}]"#);
    post(now, r#"[{"name":"a","value":"2"},{"name":"b","value":"1"}]"#);
    let rest = format!("namespace=MINE.APP&metric_name=cpu_util&from=0&to={now}&period=1&filter=sum");
    for dims in ["dim.0=a,1&dim.1=b,2", "dim.1=a%2C1&dim.0=b%2c2", "dim=a,1&dim.3=b,2"] {
        let text = query(server.client(), "p", &format!("{rest}&{dims}")).text().to_owned();
        assert_eq!(text.matches("\"sum\":60").count(), 2, "{dims}: {text}");
    }
    let text = query(server.client(), "p", &format!("{rest}&dim.0=a,1")).text().to_owned();
    assert_eq!(text, r#"{"datapoints":[],"metric_name":"cpu_util"}"#, "part of the dimensions is another series");
}

#[test]
fn a_query_is_ascending_and_holds_both_ends() {
    // S15. Method: three points sent out of order; ranges that begin and end on points.
    let server = Server::start(&["--memory"]);
    let now = now_millis();
    let points: Vec<String> = [2, 0, 1]
        .map(|step| item(&[("collect_time", &(now + step * 1_000).to_string()), ("value", &step.to_string())]))
        .into();
    server.post(&points_path("p"), format!("[{}]", points.join(","))).assert_stored();
    let base = "namespace=MINE.APP&metric_name=cpu_util&dim.0=instance_id,33328f02-3814-422e-b688-bfdba93d4050";
    for (from, to, values) in [(0, 2_000, "012"), (1, 2_000, "12"), (0, 1_999, "01"), (1_000, 1_001, "1")] {
        let (from, to) = (now + from, now + to);
        let asked = format!("{base}&from={from}&to={to}&period=1&filter=max");
        let reply = query(server.client(), "p", &asked);
        let found: String = reply.text().split("\"max\":").skip(1).map(|rest| &rest[..1]).collect();
        assert_eq!(found, values);
    }
}

#[test]
fn a_query_names_the_parameter_that_is_wrong() {
    let server = Server::start(&["--memory"]);
    let good = [
        ("namespace", "MINE.APP"),
        ("metric_name", "cpu_util"),
        ("dim.0", "host,a"),
        ("from", "0"),
        ("to", "1"),
        ("period", "1"),
        ("filter", "average"),
    ];
    let with = |name: &str, value: Option<&str>| -> String {
        let kept = good.iter().filter(|(each, _)| *each != name).copied();
        let all: Vec<_> = kept.chain(value.map(|value| (name, value))).map(|(n, v)| format!("{n}={v}")).collect();
        all.join("&")
    };
    for (name, _) in good {
        let reply = query(server.client(), "p", &with(name, None));
        reply.assert_refused(400, "ces.0013", &format!("{name} is missing"));
        let twice = format!("{}&{name}=x", with("", None));
        query(server.client(), "p", &twice).assert_refused(400, "ces.0013", &format!("{name} is given twice"));
    }
    let wrong = [
        ("namespace", "MINE"),
        ("metric_name", "1"),
        ("dim.0", "host"),
        ("dim.0", "host,"),
        ("dim.0", ",a"),
        ("dim.4", "e,5"),
        ("dim.01", "e,5"),
        ("dim.x", "e,5"),
        ("dim.1", "host,b"),
        ("from", "x"),
        ("from", ""),
        ("from", "1"),
        ("to", "1.5"),
        ("to", "99999999999999999999"),
        ("to", "%zz"),
        ("period", "2"),
        ("filter", "median"),
        ("filter", "Average"),
    ];
    for (name, value) in wrong {
        let fragment = if value == "host,b" { "dim" } else { name };
        query(server.client(), "p", &with(name, Some(value))).assert_refused(400, "ces.0013", fragment);
    }
    for period in ["1", "60", "300", "1200", "3600", "14400", "86400"] {
        let reply = query(server.client(), "p", &with("period", Some(period)));
        assert_eq!(reply.text(), r#"{"datapoints":[],"metric_name":"cpu_util"}"#);
    }
    for filter in ["average", "max", "min", "sum", "variance"] {
        let reply = query(server.client(), "p", &with("filter", Some(filter)));
        assert_eq!(reply.text(), r#"{"datapoints":[],"metric_name":"cpu_util"}"#);
    }
    query(server.client(), "p", "").assert_refused(400, "ces.0013", "namespace is missing");
    assert_eq!(query(server.client(), "p", &format!("{}&unknown=1", with("", None))).status, 200);
}

#[test]
fn project_ids_are_letters_digits_and_hyphens() {
    let server = Server::start(&["--memory"]);
    let longest = "x".repeat(64);
    for good in ["a", "0", "A-b_9", &longest] {
        server.post(&points_path(good), format!("[{}]", item(&[]))).assert_stored();
        assert_ne!(example_points(server.client(), good), "");
    }
    let too_long = "x".repeat(65);
    for bad in ["", "%20", "a.b", "..", "%2e%2e", "a%2fb", "%ff", &too_long] {
        let body = format!("[{}]", item(&[]));
        server.post(&points_path(bad), body).assert_refused(400, "ces.0003", "project id");
        query(server.client(), bad, EXAMPLE_QUERY).assert_refused(400, "ces.0003", "project id");
    }
}
