//! `ebbtide bench` through the real binary: what it writes, what it tells, and what it leaves. No number that depends
//! on time is looked at.

use std::path::Path;

use ebbtide::{Db, Selector, Value};
use serde_json::Value as Json;
use tempfile::tempdir;

use crate::harness::run;

/// A small load.
const SMALL: [&str; 9] =
    ["bench", "--points", "20000", "--series", "100", "--batch", "300", "--durability", "buffered"];

fn bench(arguments: &[&str]) -> String {
    let mut all = SMALL.to_vec();
    all.extend(arguments);
    let output = run(&all);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it prints UTF-8")
}

fn path(path: &Path) -> &str {
    path.to_str().expect("test paths are UTF-8")
}

#[allow(clippy::disallowed_methods, reason = "a report, not a file of a database")]
fn read(file: &Path) -> String {
    std::fs::read_to_string(file).expect("it was written")
}

#[test]
fn a_report_tells_what_was_asked_and_what_was_measured() {
    // Goal: every number is there and fits the others; the picture is well-formed. Method: two writers, all files.
    let dir = tempdir().expect("a directory");
    let (json, svg) = (dir.path().join("bench.json"), dir.path().join("bench.svg"));
    let text = bench(&["--writers", "2", "--json", path(&json), "--svg", path(&svg)]);
    for told in ["20000 points of 100 series, 2 writers", "durability     buffered", "points/s", "p99.9", "bytes/point"]
    {
        assert!(text.contains(told), "{told}: {text}");
    }

    let report: Json = serde_json::from_str(&read(&json)).expect("JSON");
    assert_eq!(report["points"], 20_000);
    // 10,000 points in batches of 300, twice.
    assert_eq!(report["batches"], 68);
    assert_eq!(report["points_on_disk"], 20_000, "everything was flushed");
    assert_eq!(
        [&report["replaced"], &report["late"], &report["dead_on_arrival"]],
        [0, 0, 0].map(Json::from).each_ref()
    );
    assert_eq!(report["asked"]["durability"], "buffered");
    assert_eq!(report["latency_from"], "call");
    let latency =
        ["p50", "p90", "p99", "p99_9", "max"].map(|name| report["latency_ms"][name].as_f64().expect("a number"));
    assert!(latency.is_sorted() && latency[0] > 0.0, "{latency:?}");
    assert!(report["points_per_second"].as_f64().expect("a number") > 0.0);
    assert!(report["bytes_per_point_on_disk"].as_f64().expect("a number") > 0.0);
    let timeline = report["timeline"]["points"].as_array().expect("a list");
    assert_eq!(timeline.iter().filter_map(Json::as_u64).sum::<u64>(), 20_000);

    let svg = read(&svg);
    check_tags(&svg);
    for label in ["points/s", "time since the start, s", "ms (logarithmic)", ">p99.9<", ">max<"] {
        assert!(svg.contains(label), "{label}");
    }
}

/// Every tag is closed in order, and nothing else has a bracket.
fn check_tags(svg: &str) {
    let mut open = Vec::new();
    for piece in svg.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').expect("a tag ends");
        assert!(!text.contains('>') && !text.contains('&'), "{piece}");
        let name = tag.split([' ', '/']).find(|word| !word.is_empty()).expect("a name");
        assert!(tag.matches('"').count().is_multiple_of(2), "{tag}");
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "{tag}");
        } else if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?} are open");
    assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
}

/// Every value of every series of a database that a bench has kept.
fn values(dir: &Path) -> Vec<(String, Vec<Value>)> {
    let db = Db::open(dir).expect("opens");
    let keys = db.series(&Selector::default()).expect("lists");
    let values = |key| db.points(key, ..).expect("reads").map(|point| point.expect("reads").value).collect();
    let mut all: Vec<_> = keys.iter().map(|key| (key.to_string(), values(key))).collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    db.close().expect("closes");
    all
}

#[test]
fn the_same_seed_writes_the_same_and_a_directory_is_kept() {
    let dir = tempdir().expect("a directory");
    let [one, same, other] = [("one", "7"), ("same", "7"), ("other", "8")].map(|(name, seed)| {
        let data = dir.path().join(name);
        bench(&["--data", path(&data), "--seed", seed]);
        values(&data)
    });
    assert_eq!(one.iter().map(|(_, values)| values.len()).sum::<usize>(), 20_000);
    assert_eq!(one, same);
    assert_ne!(one, other);
    let again = run(&["bench", "--data", path(&dir.path().join("one"))]);
    assert!(!again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains("is not empty"));
}

#[test]
fn an_open_load_counts_from_its_schedule_and_ends_in_time() {
    // Method: a load that would take two hours, of which only the first batch is due within a minute; and one that
    // nobody could keep up with, which is written whole and told as late.
    let dir = tempdir().expect("a directory");
    let json = dir.path().join("bench.json");
    bench(&["--rate", "3", "--seconds", "60", "--json", path(&json)]);
    let report: Json = serde_json::from_str(&read(&json)).expect("JSON");
    assert_eq!([&report["points"], &report["latency_from"]], [&Json::from(300), &Json::from("schedule")]);
    bench(&["--rate", "1000000000000", "--json", path(&json)]);
    let report: Json = serde_json::from_str(&read(&json)).expect("JSON");
    assert_eq!(report["points"], 20_000);
    let (max, taken) = (report["latency_ms"]["max"].as_f64(), report["seconds"].as_f64());
    let (max, taken) = (max.expect("a number"), taken.expect("a number") * 1e3);
    assert!((taken - max).abs() < taken / 50.0, "the last batch was due at the start: {max} of {taken} ms");
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let cases = [
        (["--writers", "0"], "--writers"),
        (["--writers", "101"], "a series of its own"),
        (["--batch", "0"], "--batch"),
        (["--points", "0"], "--points"),
        (["--ttl", "10"], "--ttl"),
        (["--durability", "never"], "--durability"),
    ];
    for (arguments, told) in cases {
        let output = run(&["bench", "--series", "100", arguments[0], arguments[1]]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && stderr.contains(told), "{arguments:?}: {stderr}");
    }
}
