//! `ebbtide import` as a child process: the shapes it reads, the names it gives, and how it refuses.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use ebbtide::{SeriesKey, Value};

use crate::harness::{self, Server};
use crate::readback::{self, PROJECT, Points, Shown};

/// An address where nobody listens; for imports that must fail before they send.
const NOWHERE: [&str; 2] = ["--url", "http://127.0.0.1:9"];

/// What a run of the command left.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the command with some input.
pub(crate) fn ebbtide(args: &[&str], stdin: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ebbtide"));
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command starts");
    // A command that fails early does not read its input.
    let _ = child.stdin.take().expect("stdin is piped").write_all(stdin.as_bytes());
    let output = child.wait_with_output().expect("the command ends");
    let text = |bytes| String::from_utf8(bytes).expect("the command speaks UTF-8");
    Output { status: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

pub(crate) fn assert_success(output: &Output) {
    assert_eq!(output.status, Some(0), "{output:?}");
}

/// A folder `set` with files, and a server in memory.
struct Scene {
    home: tempfile::TempDir,
}

impl Scene {
    fn new(files: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let scene = Self { home };
        scene.write(files);
        scene
    }

    #[allow(clippy::disallowed_methods, reason = "the test's own input is not a file of the database")]
    fn write(&self, files: &[(&str, &str)]) {
        std::fs::create_dir(self.home.path().join("set")).expect("a new folder");
        for (name, text) in files {
            std::fs::write(self.path(name), text).expect("a new file");
        }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.home.path().join("set").join(name)
    }

    /// Imports files of the folder with some options.
    fn import(&self, options: &[&str], files: &[&str]) -> Output {
        let files: Vec<_> = files.iter().map(|file| self.path(file)).collect();
        let files = files.iter().map(|path| path.to_str().expect("temporary paths are UTF-8"));
        ebbtide(&["import"].into_iter().chain(options.iter().copied()).chain(files).collect::<Vec<_>>(), "")
    }
}

fn key(metric: &str, dimensions: &[(&str, &str)]) -> SeriesKey {
    SeriesKey::new("IMPORT.set", metric, dimensions.iter().copied()).expect("valid names")
}

/// The points of a series in the last day, without their times.
fn values(server: &Server, key: &SeriesKey) -> Vec<Value> {
    last_day(server, key).into_values().map(|shown| shown.value).collect()
}

fn last_day(server: &Server, key: &SeriesKey) -> Points {
    let now = harness::now_millis();
    readback::points(server, key, now - 86_400_000, now)
}

#[test]
fn every_shape_of_csv_becomes_series_with_the_promised_names() {
    // Method: one file of each shape in one import; names that need bending, empty cells, numbers no double can hold.
    let scene = Scene::new(&[
        ("narrow-1.csv", "ts_ms,value\n1000,9223372036854775807\n2000,0.10000000000000001\n"),
        ("2 wide.csv", "ts_ms,cpu#0,cpu#1,load.avg\n500,1,,-0.0\n1500,,2,4.2157e-05\n"),
        ("bare.csv", "value\n5\n6.0\n7\n"),
    ]);
    let server = Server::start(&["--memory"]);
    let url = format!("http://{}", server.client().address());
    let options = ["--url", &url, "--shift-to-now", "--step", "10s", "--unit", "%"];
    let output = scene.import(&options, &["narrow-1.csv", "2 wide.csv", "bare.csv"]);
    assert_success(&output);
    assert!(output.stdout.starts_with("imported 9 points of 5 series in "), "{output:?}");

    let narrow = last_day(&server, &key("narrow-1", &[("file", "narrow-1")]));
    let (int, float) = (Value::Int(i64::MAX), Value::Float(0.1));
    let unit = Some("%".to_owned());
    let shown: Vec<_> = narrow.values().cloned().collect();
    assert_eq!(shown, [Shown { value: int, unit: unit.clone() }, Shown { value: float, unit }]);
    assert_eq!(values(&server, &key("cpu", &[("file", "2_wide"), ("series", "0")])), [Value::Int(1)]);
    assert_eq!(values(&server, &key("cpu", &[("file", "2_wide"), ("series", "1")])), [Value::Int(2)]);
    let load = key("load_avg", &[("file", "2_wide")]);
    assert_eq!(values(&server, &load), [Value::Float(-0.0), Value::Float(4.2157e-5)]);

    let bare = last_day(&server, &key("bare", &[("file", "bare")]));
    let values: Vec<_> = bare.values().map(|shown| shown.value).collect();
    assert_eq!(values, [Value::Int(5), Value::Float(6.0), Value::Int(7)]);
    let times: Vec<_> = bare.keys().copied().collect();
    let now = *narrow.keys().last().expect("there are points");
    assert_eq!(times, [now - 20_000, now - 10_000, now], "a step apart, the last one now");
}

#[test]
fn the_shift_to_now_is_one_constant_over_all_files() {
    let scene =
        Scene::new(&[("old.csv", "ts_ms,value\n1000,1\n4000,2\n"), ("new.csv", "ts_ms,value\n61000,3\n3000,4\n")]);
    let server = Server::start(&["--memory"]);
    let url = format!("http://{}", server.client().address());
    let started = harness::now_millis();
    assert_success(&scene.import(&["--url", &url, "--shift-to-now"], &["old.csv", "new.csv"]));
    let times = |name| last_day(&server, &key(name, &[("file", name)])).into_keys().collect::<Vec<_>>();
    let new = times("new");
    assert!((started..=harness::now_millis()).contains(&new[1]), "{new:?}");
    assert_eq!(new[0], new[1] - 58_000);
    assert_eq!(times("old"), [new[1] - 60_000, new[1] - 57_000]);
}

#[test]
fn nan_and_infinite_cells_are_skipped_aloud() {
    let scene = Scene::new(&[("s.csv", "ts_ms,a#0,b#0,c#0\n1000,NaN,1,nan\n2000,+Inf,-inf,3\n3000,Infinity,4,5\n")]);
    let server = Server::start(&["--memory"]);
    let url = format!("http://{}", server.client().address());
    let output = scene.import(&["--url", &url, "--shift-to-now"], &["s.csv"]);
    assert_success(&output);
    assert!(output.stdout.starts_with("imported 4 points of 2 series in "), "{output:?}");
    assert!(output.stdout.ends_with(", skipped 5\n"), "{output:?}");
    assert!(output.stderr.contains("skipped 5 samples"), "{output:?}");
    for told in ["3 of IMPORT.set a{", "1 of IMPORT.set b{", "1 of IMPORT.set c{"] {
        assert!(output.stderr.contains(told), "{told}: {output:?}");
    }
    assert_eq!(values(&server, &key("b", &[("file", "s"), ("series", "0")])), [Value::Int(1), Value::Int(4)]);
}

#[test]
fn a_malformed_cell_is_named_by_file_line_and_column_and_nothing_is_sent() {
    // Goal: the good file before the bad one is not sent either; what is wrong is found before the first request.
    let server = Server::start(&["--memory"]);
    let url = format!("http://{}", server.client().address());
    let good = ("good.csv", "ts_ms,value\n1000,1\n");
    for (bad, place) in [
        ("ts_ms,value\n1000,1\n2000,x\n", "bad.csv line 3, column 2 (value): \"x\" is not a number"),
        ("ts_ms,value\n1000,1\n2000,.5\n", "bad.csv line 3, column 2 (value): \".5\" is not a number"),
        ("ts_ms,a#0,b#0\n1000,1,1e999\n", "bad.csv line 2, column 3 (b#0): 1e999 is out of the range"),
        ("ts_ms,value\nnoon,1\n", "bad.csv line 2, column 1 (ts_ms): \"noon\" is not a time"),
        ("ts_ms,value\n99999999999999999,1\n", "bad.csv line 2, column 1 (ts_ms): the time 99999999999999999"),
        ("ts_ms,value\n1000,1\n2000\n", "bad.csv"),
        ("time,value\n1000,1\n", "bad.csv line 1: expected `value`"),
    ] {
        let scene = Scene::new(&[good, ("bad.csv", bad)]);
        let output = scene.import(&["--url", &url, "--shift-to-now"], &["good.csv", "bad.csv"]);
        assert_ne!(output.status, Some(0), "{bad:?}");
        assert!(output.stderr.contains(place), "{place}: {output:?}");
        assert_eq!(output.stdout, "", "no summary of an import that failed");
    }
    assert_eq!(values(&server, &key("good", &[("file", "good")])), []);
}

#[test]
fn values_without_times_need_a_step() {
    let scene = Scene::new(&[("bare.csv", "value\n1\n")]);
    let output = scene.import(&NOWHERE, &["bare.csv"]);
    assert_ne!(output.status, Some(0));
    assert!(output.stderr.contains("bare.csv") && output.stderr.contains("--step 10s"), "{output:?}");
}

#[test]
fn columns_that_would_become_one_series_are_refused() {
    // Method: headers that bend to one name; the same header twice; the same file name in one namespace.
    let scene = Scene::new(&[
        ("bent.csv", "ts_ms,a.b#0,a_b#0\n1000,1,2\n"),
        ("twice.csv", "ts_ms,a#0,a#0\n1000,1,2\n"),
        ("x y.csv", "ts_ms,value\n1000,1\n"),
        ("x_y.csv", "ts_ms,value\n1000,1\n"),
    ]);
    for files in [&["bent.csv"][..], &["twice.csv"], &["x y.csv", "x_y.csv"], &["x_y.csv", "x_y.csv"]] {
        let output = scene.import(&NOWHERE, files);
        assert_ne!(output.status, Some(0), "{files:?}");
        assert!(output.stderr.contains("would both become the series IMPORT.set"), "{output:?}");
    }
}

#[test]
fn ndjson_comes_from_stdin_in_items_and_arrays() {
    // Method: an item, an array, a blank line, a time as text, an unknown field, a declared type; then a mistake.
    let server = Server::start(&["--memory"]);
    let url = format!("http://{}", server.client().address());
    let now = harness::now_millis();
    let metric = r#""metric":{"namespace":"A.B","dimensions":[{"name":"host","value":"a"}],"metric_name":"m"}"#;
    let item = |time: i64, rest: &str| format!(r#"{{{metric},"ttl":600,"collect_time":{time},{rest}}}"#);
    let text = format!(r#"{{{metric},"collect_time":"{}","value":60.0,"type":"int","unit":"s"}}"#, now - 3);
    let input = format!(
        "{}\n\n[{},{}]\n{text}\n",
        item(now - 1, r#""value":1,"unit":"%""#),
        item(now - 2, r#""value":2.50,"extra":{"a":[]}"#),
        item(now - 4, r#""value":7,"type":"float""#),
    );
    let output = ebbtide(&["import", "--url", &url, "--project", PROJECT, "--unit", "x", "-"], &input);
    assert_success(&output);
    assert!(output.stdout.starts_with("imported 4 points of 1 series in "), "{output:?}");
    let key = SeriesKey::new("A.B", "m", [("host", "a")]).expect("valid names");
    let found: Vec<_> = last_day(&server, &key).into_iter().collect();
    let shown = |value: Value, unit: &str| Shown { value, unit: Some(unit.into()) };
    let (first, second) = (shown(Value::Float(7.0), "x"), shown(Value::Int(60), "s"));
    let (third, fourth) = (shown(Value::Float(2.5), "x"), shown(Value::Int(1), "%"));
    assert_eq!(found, [(now - 4, first), (now - 3, second), (now - 2, third), (now - 1, fourth)]);

    let wrong = format!("{}\n{}\n", item(now, r#""value":1"#), item(now, r#""value":"1.5""#));
    let output = ebbtide(&["import", "--url", &url, "-"], &wrong);
    assert_ne!(output.status, Some(0));
    assert!(output.stderr.contains("stdin line 2: item 0: value: \"\\\"1.5\\\"\" is not a number"), "{output:?}");
    assert_eq!(last_day(&server, &key).len(), 4, "the good line before the mistake was not sent");
}

#[test]
fn what_the_server_refuses_ends_the_import_with_its_words() {
    // Method: times of 1970 without a shift, which the document profile does not admit.
    let scene = Scene::new(&[("old.csv", "ts_ms,value\n1000,1\n")]);
    let server = Server::start(&["--memory"]);
    let output = scene.import(&["--url", &format!("http://{}", server.client().address())], &["old.csv"]);
    assert_ne!(output.status, Some(0));
    assert!(output.stderr.contains("the server answered 400"), "{output:?}");
    assert!(output.stderr.contains("collect_time"), "{output:?}");
}

#[test]
fn a_busy_or_vanished_server_is_asked_again() {
    // Method: a peer that answers 503, then hangs up without an answer, then takes the same request.
    let scene = Scene::new(&[("a.csv", "ts_ms,value\n1000,12345678901234567\n")]);
    let peer = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", peer.local_addr().expect("a bound port"));
    let answers = [
        "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        "",
        "HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n",
    ];
    let (output, requests) = std::thread::scope(|scope| {
        let peer = scope.spawn(|| answers.map(|answer| answer_one(&peer, answer)));
        let output = scene.import(&["--url", &url, "--unit", "%"], &["a.csv"]);
        (output, peer.join().expect("three requests came"))
    });
    assert_success(&output);
    assert!(output.stdout.starts_with("imported 1 points of 1 series in "), "{output:?}");
    let item = concat!(
        r#"[{"metric":{"namespace":"IMPORT.set","dimensions":[{"name":"file","value":"a"}],"metric_name":"a"},"#,
        r#""ttl":604800,"collect_time":1000,"value":12345678901234567,"unit":"%"}]"#
    );
    assert_eq!(requests, [item; 3]);
}

/// Takes one connection and one request, whose body is returned.
fn answer_one(peer: &TcpListener, answer: &str) -> String {
    let (stream, _) = peer.accept().expect("a connection");
    let mut reader = BufReader::new(&stream);
    let (mut line, mut length) = (String::new(), 0);
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).expect("a header");
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("the whole body");
    (&stream).write_all(answer.as_bytes()).expect("the import listens");
    String::from_utf8(body).expect("JSON is UTF-8")
}

#[test]
fn a_data_directory_admits_what_the_profile_says() {
    let scene = Scene::new(&[("old.csv", "ts_ms,value\n1000,1\n")]);
    let data = scene.home.path().join("store");
    let into = ["--data", data.to_str().expect("temporary paths are UTF-8")];
    let output = scene.import(&into, &["old.csv"]);
    assert_ne!(output.status, Some(0));
    assert!(output.stderr.contains("--shift-to-now") && output.stderr.contains("--profile lab"), "{output:?}");
    let output = scene.import(&[&into[..], &["--profile", "lab"]].concat(), &["old.csv"]);
    assert_success(&output);
    assert!(output.stderr.contains("1 points had outlived their ttl"), "{output:?}");
}

#[test]
fn exactly_one_destination_is_asked_for() {
    let scene = Scene::new(&[("a.csv", "ts_ms,value\n1000,1\n")]);
    assert_ne!(scene.import(&[], &["a.csv"]).status, Some(0), "none");
    assert_ne!(scene.import(&[&NOWHERE[..], &["--data", "x"]].concat(), &["a.csv"]).status, Some(0), "both");
    assert_ne!(scene.import(&["--url", "https://127.0.0.1"], &["a.csv"]).status, Some(0), "not spoken here");
}
