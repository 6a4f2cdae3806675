//! `ebbtide serve` as a process: how it starts, tells where it is, serves many at a time, and stops. Clients that mean
//! no good have a room of their own.

mod hostile;

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use ebbtide::server::{Server as LocalServer, ServerConfig, Timeouts};
use ebbtide::{Clock, SystemClock};

use crate::harness::{Client, Server, now_millis, points_path, run};

fn item(time: i64, value: i64) -> String {
    let metric = r#"{"namespace":"MINE.APP","dimensions":[{"name":"host","value":"a"}],"metric_name":"cpu"}"#;
    format!(r#"{{"metric":{metric},"ttl":3600,"collect_time":{time},"value":{value}}}"#)
}

fn body(value: i64) -> String {
    format!("[{}]", item(now_millis(), value))
}

/// The path and query for all values that [`item`] makes.
fn question(project: &str) -> String {
    let asked = "namespace=MINE.APP&metric_name=cpu&dim.0=host,a&from=0&to=9007199254740991&period=1&filter=sum";
    format!("{}?{asked}", points_path(project))
}

fn values(client: Client, project: &str) -> String {
    let reply = client.get(&question(project));
    assert_eq!(reply.status, 200, "{}", reply.text());
    let values: Vec<&str> = reply.text().split("\"sum\":").skip(1).filter_map(|rest| rest.split(',').next()).collect();
    values.join(" ")
}

/// A server in this process that loses its patience soon.
fn impatient(timeouts: Timeouts) -> (LocalServer, Client) {
    let local = "127.0.0.1:0".parse().expect("an address");
    let config = ServerConfig::in_memory().listen(local).timeouts(timeouts).clock(Arc::new(SystemClock::default()));
    let server = config.start().expect("starts");
    let client = Client::new(server.local_addr());
    (server, client)
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the test reads the file as a script would")]
fn one_ready_line_and_the_address_file_tell_where_it_listens() {
    // Goal: a script can start it on any free port and find it. Method: both ways lead to the same server.
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("address");
    let mut server = Server::start(&["--memory", "--address-file", file.to_str().expect("UTF-8")]);
    let address = std::fs::read_to_string(&file).expect("it is there once the line is");
    let client = Client::new(address.parse().expect("a bare address"));
    client.post(&points_path("p"), body(1)).assert_stored();
    assert_eq!(values(server.client(), "p"), "1");
    assert_eq!(server.terminate().code(), Some(0));
    assert_eq!(server.rest_of_stdout(), "", "the ready line is the only one");
    assert_eq!(std::fs::read_dir(dir.path()).expect("a directory").count(), 1, "no temporary file stays");
}

#[test]
fn a_stop_answers_what_is_in_flight() {
    // Goal: SIGTERM loses no request that has begun. Method: half a request, the signal, the other half.
    let mut server = Server::start(&["--memory"]);
    let client = server.client();
    let mut silent = client.connect();
    let mut idle = client.connect();
    idle.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").expect("sent");
    assert_eq!(idle.reply().status, 200);
    let mut in_flight = client.connect();
    let body = body(1);
    let (first, second) = body.split_at(body.len() / 2);
    let head = format!("POST {} HTTP/1.1\r\nhost: test\r\n", points_path("p"));
    // The server says that it has the headers, so the signal comes behind them.
    let head = format!("{head}content-length: {}\r\nexpect: 100-continue\r\n\r\n", body.len());
    in_flight.write_all(head.as_bytes()).expect("sent");
    assert_eq!(in_flight.reply().status, 100);
    in_flight.write_all(first.as_bytes()).expect("sent");

    let clock = SystemClock::default();
    server.signal("TERM");
    assert!(idle.is_closed_by_server(), "idle connections end at once");
    assert!(silent.is_closed_by_server(), "so do those that have sent nothing");
    in_flight.write_all(second.as_bytes()).expect("sent");
    in_flight.reply().assert_stored();
    assert_eq!(server.wait().code(), Some(0));
    assert!(clock.monotonic() < Duration::from_secs(10));
    assert!(!server.log().contains("cut"), "{}", server.log());
}

#[test]
fn a_stop_does_not_wait_for_ever_and_a_second_signal_waits_for_nothing() {
    // Goal: gone within ten seconds whatever clients do; at once when asked twice.
    let start = || {
        let server = Server::start(&["--memory"]);
        let mut endless = server.client().connect();
        let head = format!("POST {} HTTP/1.1\r\nhost: test\r\n", points_path("p"));
        let head = format!("{head}content-length: 100\r\nexpect: 100-continue\r\n\r\n");
        endless.write_all(head.as_bytes()).expect("sent");
        assert_eq!(endless.reply().status, 100);
        (server, endless)
    };
    let (mut once, _endless) = start();
    let clock = SystemClock::default();
    once.signal("INT");
    let (mut twice, mut idle) = start();
    // Its end shows that the first signal has been taken.
    let mut witness = twice.client().connect();
    twice.signal("TERM");
    assert!(witness.is_closed_by_server());
    twice.signal("TERM");
    assert_eq!(twice.wait().code(), Some(130));
    assert!(idle.is_closed_by_server());
    assert_eq!(once.wait().code(), Some(0));
    assert!(clock.monotonic() < Duration::from_secs(10));
}

#[test]
fn a_second_server_on_the_same_directory_is_refused() {
    // Goal: one owner for a directory, told by status 3; free again after the first one's end.
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("deep/data");
    let mut first = Server::start_on(&data);
    let second = run(&["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().expect("UTF-8")]);
    assert_eq!(second.status.code(), Some(3));
    assert!(second.stdout.is_empty());
    let message = String::from_utf8_lossy(&second.stderr);
    assert!(message.contains("ebbtide: ") && message.contains("data"), "{message}");
    first.post(&points_path("p"), body(1)).assert_stored();
    assert_eq!(first.terminate().code(), Some(0));
    assert_eq!(Server::start_on(&data).terminate().code(), Some(0));
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the test looks at the folders from outside")]
fn only_a_stored_point_makes_a_project_on_disk() {
    // Goal: questions and refused requests leave no trace in the directory.
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_on(dir.path());
    assert_eq!(values(server.client(), "ghost"), "");
    server.post(&points_path("ghost"), "[{}]").assert_refused(400, "ces.0014", "metric is missing");
    assert!(!dir.path().join("projects").exists());
    server.post(&points_path("real"), body(1)).assert_stored();
    let volumes = std::fs::read_dir(dir.path().join("projects/real/volumes")).expect("a directory");
    let names: Vec<String> =
        volumes.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(names.len(), 1);
    assert_eq!(names[0].len(), 36, "the volume is named by a UUID: {names:?}");
}

#[test]
fn the_command_line_takes_exactly_one_home_and_known_words() {
    let cases: [&[&str]; 7] = [
        &["serve"],
        &["serve", "--memory", "--data", "x"],
        &["serve", "--memory", "--listen", "nowhere"],
        &["serve", "--memory", "--profile", "other"],
        &["serve", "--memory", "--durability", "interval:"],
        &["serve", "--memory", "--listen", "127.0.0.1:0", "--durability", "interval:5"],
        &["unknown"],
    ];
    for arguments in cases {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
    let server = Server::start(&["--memory", "--durability", "interval:50"]);
    let port = format!("{}", server.client().address());
    let taken = run(&["serve", "--memory", "--listen", &port]);
    assert_eq!(taken.status.code(), Some(1));
    let message = String::from_utf8_lossy(&taken.stderr);
    assert!(message.contains(&format!("ebbtide: cannot listen on {port}")), "{message}");
}

#[test]
fn every_mode_says_in_the_receipt_what_it_promises() {
    let dir = tempfile::tempdir().expect("a directory");
    for (mode, said) in [("sync", "sync"), ("buffered", "buffered"), ("interval:50", "interval:50")] {
        let data = dir.path().join(said.replace(':', "-"));
        let mut server = Server::start(&["--data", data.to_str().expect("UTF-8"), "--durability", mode]);
        let reply = server.post(&points_path("p"), body(1));
        assert_eq!(reply.header("x-ebbtide-durability"), Some(said));
        server.kill();
    }
}

#[test]
fn what_is_not_served_has_an_error_body_too() {
    let server = Server::start(&["--memory"]);
    for path in ["/V1.0/p/metric-data/", "/V1.0/p/q/metric-data", "/V1.0/p", "/other", "/V1.0/p/alarms/al1"] {
        server.get(path).assert_refused(404, "ces.0016", "nothing at this address");
        server.post(path, body(1)).assert_refused(404, "ces.0016", "nothing at this address");
    }
    for path in ["/v1.0/p/metric-data", "/V2.0/p/metric-data", "/v2/p/batch-query-metric-data"] {
        server.get(path).assert_refused(400, "ces.0005", "version");
        server.post(path, body(1)).assert_refused(400, "ces.0005", "version");
    }
    server.post("/p/metric-data", body(1)).assert_refused(400, "ces.0004", "/V1.0/");
    server.get("/V1.0/metrics").assert_refused(400, "ces.0003", "project id");
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS"] {
        let reply = server.client().request(method, &points_path("p"), b"");
        reply.assert_refused(405, "ces.0016", "method");
        assert_eq!(reply.header("allow"), Some("GET,HEAD,POST"), "{method}");
    }
}

#[test]
fn a_connection_serves_many_requests() {
    // Goal: keep-alive, and two requests sent at once are answered in order. Method: raw bytes.
    let server = Server::start(&["--memory"]);
    let mut connection = server.client().connect();
    for value in 0..3 {
        let body = body(value);
        let head =
            format!("POST {} HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n", points_path("p"), body.len());
        let twice = format!("{head}{body}{head}{body}");
        connection.write_all(twice.as_bytes()).expect("sent");
        connection.reply().assert_stored();
        connection.reply().assert_stored();
    }
}

#[test]
fn many_clients_at_a_time_lose_nothing() {
    // Goal: every acknowledged point of concurrent requests is there, of every project. Method: eight clients that post
    // to two projects, each at times of its own.
    let server = Server::start(&["--memory"]);
    let (clients, requests) = (8, 25);
    let now = now_millis();
    std::thread::scope(|scope| {
        for client in 0..clients {
            let server = &server;
            scope.spawn(move || {
                for request in 0..requests {
                    let time = now - (client * requests + request);
                    let project = if client % 2 == 0 { "even" } else { "odd" };
                    server.post(&points_path(project), format!("[{}]", item(time, client))).assert_stored();
                }
            });
        }
    });
    for project in ["even", "odd"] {
        let stored = values(server.client(), project).split(' ').count();
        assert_eq!(i64::try_from(stored), Ok(clients / 2 * requests), "{project}");
    }
}

#[test]
fn a_server_in_process_needs_no_runtime_and_stops_when_dropped() {
    let (server, client) = impatient(Timeouts::default());
    client.post(&points_path("p"), body(7)).assert_stored();
    assert_eq!(values(client, "p"), "7");
    let address = server.local_addr();
    drop(server);
    let again = ServerConfig::in_memory().listen(address).start().expect("the address is free again");
    assert_eq!(values(Client::new(again.local_addr()), "p"), "", "memory is gone with its server");
}

#[test]
fn past_the_series_cap_of_a_project_known_series_go_on() {
    // S21. Method: as many series as a project may have, in requests of the longest kind, and one more.
    const SERIES: usize = 100_000;
    let server = Server::start(&["--memory"]);
    let time = now_millis();
    let item = |number: usize| {
        let dimensions = format!(r#"[{{"name":"n","value":"{number}"}}]"#);
        let metric = format!(r#"{{"namespace":"A.B","metric_name":"m","dimensions":{dimensions}}}"#);
        format!(r#"{{"metric":{metric},"ttl":60,"collect_time":{time},"value":1}}"#)
    };
    let post = |numbers: std::ops::Range<usize>| {
        let items: Vec<String> = numbers.map(item).collect();
        server.post(&points_path("p"), format!("[{}]", items.join(",")))
    };
    for first in (0..SERIES).step_by(2_500) {
        post(first..first + 2_500).assert_stored();
    }
    post(SERIES..SERIES + 1).assert_refused(400, "ces.0014", "100000 are allowed");
    post(SERIES - 1..SERIES).assert_stored();
}
