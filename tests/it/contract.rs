//! The contract page, sentence by sentence, through the real binary. Here: the page's example with any field changed,
//! for the rooms below. Where a limit is a moment in time, they use a server in this process with a clock that stands
//! still, which makes it exact.

mod bodies;
mod queries;
mod sentences;
mod times;
mod windows;

use std::fmt::Write as _;

use crate::harness::{Client, Reply, now_millis, points_path};

/// The query for everything the page's example series holds.
const EXAMPLE_QUERY: &str = "namespace=MINE.APP&metric_name=cpu_util&dim.0=instance_id,33328f02-3814-422e-b688-bfdba93d4050\
                             &from=0&to=9007199254740991&period=1&filter=average";

/// The page's example item, collected now, with some fields changed: each is a name and a JSON text, where an empty
/// text leaves the field out. Names within `metric` stand for themselves.
fn item(changes: &[(&str, &str)]) -> String {
    let change = |name: &str| changes.iter().find(|(each, _)| *each == name).map(|(_, json)| (*json).to_owned());
    let object = |defaults: &[(&str, String)]| {
        let mut json = String::new();
        for (name, default) in defaults {
            let value = change(name).unwrap_or_else(|| default.clone());
            if !value.is_empty() {
                let separator = if json.is_empty() { "" } else { "," };
                write!(json, r#"{separator}"{name}":{value}"#).expect("memory");
            }
        }
        format!("{{{json}}}")
    };
    let dimension = r#"[{"name":"instance_id","value":"33328f02-3814-422e-b688-bfdba93d4050"}]"#;
    let metric = object(&[
        ("namespace", r#""MINE.APP""#.into()),
        ("dimensions", dimension.into()),
        ("metric_name", r#""cpu_util""#.into()),
    ]);
    object(&[
        ("metric", metric),
        ("ttl", "172800".into()),
        ("collect_time", now_millis().to_string()),
        ("type", r#""int""#.into()),
        ("value", "60".into()),
        ("unit", r#""%""#.into()),
    ])
}

fn query(client: Client, project: &str, query: &str) -> Reply {
    client.get(&format!("{}?{query}", points_path(project)))
}

/// The values and times of the page's example series, as the answer's text has them.
fn example_points(client: Client, project: &str) -> String {
    let reply = query(client, project, EXAMPLE_QUERY);
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let text = reply.text();
    let points = text.strip_prefix(r#"{"datapoints":["#).and_then(|rest| rest.split_once("],\"metric_name\":"));
    let (points, metric) = points.unwrap_or_else(|| panic!("not the page's shape: {text}"));
    assert_eq!(metric, r#""cpu_util"}"#);
    points.to_owned()
}

fn quoted(characters: usize) -> String {
    format!("\"{}\"", "x".repeat(characters))
}

fn dimensions(count: usize) -> String {
    let each: Vec<String> = (0..count).map(|i| format!(r#"{{"name":"d{i}","value":"v"}}"#)).collect();
    format!("[{}]", each.join(","))
}
