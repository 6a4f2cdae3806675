//! The main job as a user does it: the real binary, real input, a crash half-way, and every point back as it was.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use ebbtide::SeriesKey;

use crate::harness::{self, Server};
use crate::import::{assert_success, ebbtide};
use crate::readback::{self, PROJECT, Points, Shown};

/// The real input that every clone of the project has.
const CUT: &str = include_str!("../../data/node_exporter_10s.csv");
const CUT_PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/node_exporter_10s.csv");

/// Points in one request: three scrapes or so, and well below 524,288 bytes.
const REQUEST_POINTS: usize = 1_500;

/// More seconds than lie between the first and the last of the recorded series: twenty years.
const RECORDED_SECS_MAX: i64 = 20 * 365 * 86_400;

/// What a table holds: the points of each series under its header, times as in the file.
type Table = BTreeMap<String, Points>;

#[test]
fn every_acknowledged_point_survives_a_kill_half_way_through_real_input() {
    // Goal: what got a 201 is read back exactly, value, type, unit and time, for all series.
    // Method: post the cut in requests of the documented shape, kill -9 after half of them, look, go on, look.
    let home = tempfile::tempdir().expect("a temporary directory");
    let table = table(CUT, unit_of);
    let last = last_time(table.values());
    let offset = harness::now_millis() - last;
    let items = items(&table, offset);
    let requests: Vec<&[Item]> = items.chunks(REQUEST_POINTS).collect();
    let (before, after) = requests.split_at(requests.len() / 2);

    let mut server = Server::start_on(home.path());
    for request in before {
        post(&server, request);
    }
    server.kill();

    let server = Server::start_on(home.path());
    assert_all_there(&server, before.iter().copied().flatten(), offset, last);
    for request in after {
        post(&server, request);
    }
    assert_all_there(&server, &items, offset, last);
}

#[test]
fn import_brings_real_input_to_a_server_and_counts_it_right() {
    // Method: the command itself, moved to now; the shift is found from the newest point that came back. Batches are
    // asked to be larger than requests may be, so that the import has to cut them, or the server would refuse.
    let home = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start_on(home.path());
    let url = format!("http://{}", server.client().address());
    let started = harness::now_millis();
    let output =
        ebbtide(&["import", "--url", &url, "--shift-to-now", "--unit", "x", "--batch", "100000", CUT_PATH], "");
    let ended = harness::now_millis();
    assert_success(&output);

    let table = table(CUT, |_| Some("x"));
    let points: usize = table.values().map(BTreeMap::len).sum();
    let summary = format!("imported {points} points of {} series in ", table.len());
    assert!(output.stdout.starts_with(&summary), "{summary:?} in {output:?}");
    assert!(output.stdout.ends_with(" points/s), skipped 0\n"), "{output:?}");

    let last = last_time(table.values());
    let imported: Vec<_> = table
        .iter()
        .map(|(header, points)| {
            let key = key("IMPORT.data", "node_exporter_10s", header);
            (header, points, readback::points(&server, &key, started - 86_400_000, ended))
        })
        .collect();
    let now = last_time(imported.iter().map(|(_, _, found)| found));
    assert!((started..=ended).contains(&now), "the last point is at {now}, within {started} and {ended}");
    for (header, points, found) in &imported {
        assert!(moved(points, now - last) == *found, "{header}: {:?}", difference(&moved(points, now - last), found));
    }
}

#[test]
fn recorded_series_of_all_shapes_go_into_a_data_directory_and_come_back() {
    // Goal: years of old data under the lab profile, files with and without times, duplicates and disorder included.
    // Method: import into the directory, then start a server on it and compare every file.
    let shared = shared_data();
    let Some(files) = ["nab", "m3", "alp"].iter().map(|set| csv_files(&shared.join(set))).collect::<Option<Vec<_>>>()
    else {
        // Not `println`, which tests that pass keep to themselves.
        writeln!(std::io::stderr(), "SKIPPED: there are no recorded series at {}", shared.display()).expect("stderr");
        return;
    };
    let files: Vec<String> = files.into_iter().flatten().collect();
    let home = tempfile::tempdir().expect("a temporary directory");
    let data = home.path().to_str().expect("temporary paths are UTF-8");
    let ttl = RECORDED_SECS_MAX.to_string();
    let options = ["import", "--data", data, "--profile", "lab", "--ttl", &ttl, "--shift-to-now", "--step", "10s"];
    let started = harness::now_millis();
    let output = ebbtide(&options.into_iter().chain(files.iter().map(String::as_str)).collect::<Vec<_>>(), "");
    let ended = harness::now_millis();
    assert_success(&output);

    let server = Server::start(&["--data", data, "--profile", "lab"]);
    let compared: Vec<_> = files.iter().map(|file| compared_with(&server, Path::new(file), started, ended)).collect();
    let rows: usize = compared.iter().map(|file| file.rows).sum();
    let summary = format!("imported {rows} points of {} series in ", files.len());
    assert!(output.stdout.starts_with(&summary), "{summary:?} in {output:?}");

    let timed = || compared.iter().filter(|file| file.has_times);
    let last = last_time(timed().map(|file| &file.expected));
    let now = last_time(compared.iter().map(|file| &file.found));
    assert!((started..=ended).contains(&now), "the last point is at {now}, within {started} and {ended}");
    assert_eq!(last_time(timed().map(|file| &file.found)), now, "the recorded times end now");
    for file in &compared {
        let file_last = last_time([&file.expected]);
        let offset = if file.has_times { now - last } else { now - file_last };
        let expected = moved(&file.expected, offset);
        assert!(expected == file.found, "{}: {:?}", file.name, difference(&expected, &file.found));
    }
}

/// One point of the cut on its way: its time as in the file, the item that is sent, what it must show later.
struct Item {
    key: SeriesKey,
    time: i64,
    json: String,
    shown: Shown,
}

/// A narrow file beside what came back of it.
struct Compared {
    name: String,
    rows: usize,
    has_times: bool,
    expected: Points,
    found: Points,
}

fn compared_with(server: &Server, file: &Path, started: i64, ended: i64) -> Compared {
    let text = read(file);
    let stem = file.file_stem().and_then(|stem| stem.to_str()).expect("a plain name");
    let folder = file.parent().and_then(Path::file_name).and_then(|name| name.to_str()).expect("a plain name");
    let has_times = text.starts_with("ts_ms,value");
    let time_and_value = |(position, line): (usize, &str)| match line.split_once(',') {
        Some((time, value)) => (time.parse().expect("a time"), shown(value, None)),
        None => (i64::try_from(position).expect("few rows") * 10_000, shown(line, None)),
    };
    let rows: Vec<_> = text.lines().skip(1).enumerate().map(time_and_value).collect();
    let key = SeriesKey::new(format!("IMPORT.{folder}"), stem, [("file", stem)]).expect("a valid name");
    let found = readback::points(server, &key, started - RECORDED_SECS_MAX * 1_000, ended);
    Compared {
        name: file.display().to_string(),
        rows: rows.len(),
        has_times,
        expected: rows.into_iter().collect(),
        found,
    }
}

/// The series of a wide table that have a point.
fn table(text: &str, unit: impl Fn(&str) -> Option<&'static str>) -> Table {
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let headers = lines.next().expect("a header");
    let mut table = Table::new();
    for row in lines {
        let time: i64 = row[0].parse().expect("a time");
        for (header, cell) in headers.iter().zip(&row).skip(1).filter(|(_, cell)| !cell.is_empty()) {
            table.entry((*header).to_owned()).or_default().insert(time, shown(cell, unit(header)));
        }
    }
    table
}

/// The unit that a metric's name tells, so that units differ between series.
fn unit_of(header: &str) -> Option<&'static str> {
    if header.contains("_bytes") {
        return Some("byte");
    }
    header.contains("_seconds").then_some("s")
}

fn shown(text: &str, unit: Option<&str>) -> Shown {
    Shown { value: readback::value(text), unit: unit.map(str::to_owned) }
}

fn key(namespace: &str, stem: &str, header: &str) -> SeriesKey {
    let (metric, number) = header.split_once('#').expect("the cut numbers its series");
    SeriesKey::new(namespace, metric, [("file", stem), ("series", number)]).expect("a valid name")
}

/// The table as items of the ingest schema in order of time, numbers in the very words of the file.
fn items(table: &Table, offset: i64) -> Vec<Item> {
    let mut items = Vec::new();
    let mut rows = CUT.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let headers = rows.next().expect("a header");
    for row in rows {
        let time: i64 = row[0].parse().expect("a time");
        for (header, cell) in headers.iter().zip(&row).skip(1).filter(|(_, cell)| !cell.is_empty()) {
            let shown = table[*header][&time].clone();
            let key = key("CUT.node", "cut", header);
            let json = item_json(&key, time + offset, cell, shown.unit.as_deref());
            items.push(Item { key, time, json, shown });
        }
    }
    items
}

fn item_json(key: &SeriesKey, time: i64, cell: &str, unit: Option<&str>) -> String {
    let dimensions: Vec<_> =
        key.dimensions().map(|each| format!(r#"{{"name":"{}","value":"{}"}}"#, each.name, each.value)).collect();
    let unit = unit.map_or_else(String::new, |unit| format!(r#","unit":"{unit}""#));
    // One column holds 2^64, an integer in writing only: the contract's `type` says so.
    let is_beyond_int = cell.bytes().all(|byte| byte.is_ascii_digit()) && cell.parse::<i64>().is_err();
    let kind = if is_beyond_int { r#","type":"float""# } else { "" };
    let (namespace, metric, dimensions) = (key.namespace(), key.metric(), dimensions.join(","));
    let metric = format!(r#"{{"namespace":"{namespace}","dimensions":[{dimensions}],"metric_name":"{metric}"}}"#);
    format!(r#"{{"metric":{metric},"ttl":604800,"collect_time":{time},"value":{cell}{unit}{kind}}}"#)
}

/// Posts one request, which must be acknowledged.
fn post(server: &Server, items: &[Item]) {
    let body = format!("[{}]", items.iter().map(|item| item.json.as_str()).collect::<Vec<_>>().join(","));
    assert!(body.len() < 524_288, "the request has {} bytes", body.len());
    server.post(&harness::points_path(PROJECT), body).assert_stored();
}

/// Reads every series of the items and compares all of it: nothing is missing, changed or added.
fn assert_all_there<'i>(server: &Server, items: impl IntoIterator<Item = &'i Item>, offset: i64, last: i64) {
    let mut expected: BTreeMap<SeriesKey, Points> = BTreeMap::new();
    for item in items {
        expected.entry(item.key.clone()).or_default().insert(item.time + offset, item.shown.clone());
    }
    assert!(expected.len() > 500, "real input has many series");
    for (key, points) in &expected {
        let found = readback::points(server, key, last + offset - 86_400_000, last + offset);
        assert!(found == *points, "{key}: {:?}", difference(points, &found));
    }
}

/// The first points that differ, which is all that a failure needs to show.
fn difference<'p>(expected: &'p Points, found: &'p Points) -> impl std::fmt::Debug + use<'p> {
    let times = expected.keys().chain(found.keys());
    let differing = times.filter(|time| expected.get(time) != found.get(time));
    let shown: Vec<_> = differing.take(3).map(|time| (time, expected.get(time), found.get(time))).collect();
    (expected.len(), found.len(), shown)
}

fn moved(points: &Points, offset: i64) -> Points {
    points.iter().map(|(time, shown)| (time + offset, shown.clone())).collect()
}

fn last_time<'p>(series: impl IntoIterator<Item = &'p Points>) -> i64 {
    let last = series.into_iter().filter_map(|points| points.last_key_value()).map(|(time, _)| *time).max();
    last.expect("there are points")
}

/// Recorded series that are kept beside the project, not in it. Looked for at run time: a clone has none.
fn shared_data() -> PathBuf {
    let project = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo names the project's directory");
    Path::new(&project).join("../shared/data")
}

#[allow(clippy::disallowed_methods, reason = "the test's own input is not a file of the database")]
fn csv_files(folder: &Path) -> Option<Vec<String>> {
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .ok()?
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "csv"))
        .map(|path| path.to_str().expect("a plain name").to_owned())
        .collect();
    files.sort();
    Some(files)
}

#[allow(clippy::disallowed_methods, reason = "the test's own input is not a file of the database")]
fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a readable file")
}
