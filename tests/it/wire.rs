//! What surrounds every request: its id, packed bodies, counters, the access log.

use std::io::Write as _;

use crate::harness::{Reply, Server, now_millis, points_path, wait_for};

fn item() -> String {
    let metric = r#"{"namespace":"MINE.APP","dimensions":[{"name":"host","value":"a"}],"metric_name":"cpu"}"#;
    format!(r#"[{{"metric":{metric},"ttl":3600,"collect_time":{},"value":1}}]"#, now_millis())
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain).expect("memory");
    encoder.finish().expect("memory")
}

fn id(reply: &Reply) -> String {
    reply.header("x-request-id").expect("every answer has one").to_owned()
}

#[test]
fn every_answer_says_which_request_it_is_for() {
    let server = Server::start(&["--memory"]);
    let ids = [server.get("/V1.0/p/nothing"), server.post(&points_path("p"), item()), server.get("/metrics")];
    let ids = ids.map(|reply| id(&reply));
    assert!(ids.iter().all(|id| id.len() == 32) && ids[0] != ids[1] && ids[1] != ids[2], "{ids:?}");
    let long = "x".repeat(65);
    for (given, is_kept) in [("abc-1.2_Z", true), ("a b", false), ("", false), (long.as_str(), false)] {
        let reply = server.client().send("GET", "/metrics", &[("x-request-id", given)], b"");
        assert_eq!(id(&reply) == given, is_kept, "{given}");
    }
    let mut connection = server.client().connect();
    let head = format!("POST {} HTTP/1.1\r\nhost: test\r\ncontent-length: 524289\r\n\r\n", points_path("p"));
    connection.write_all(head.as_bytes()).expect("sent");
    let refused = connection.reply();
    assert_eq!((refused.status, id(&refused).len()), (413, 32), "what is not even read has one too");
}

#[test]
fn a_seed_gives_the_same_ids_in_every_run() {
    let run = |seed: &str| {
        let server = Server::start(&["--memory", "--seed", seed]);
        let login = server.post("/v3/auth/tokens", include_str!("wire/login.json"));
        assert_eq!(login.status, 201, "{}", login.text());
        [login.header("x-subject-token").expect("a token").to_owned(), id(&server.get("/"))]
    };
    assert_eq!(run("7"), run("7"));
    assert_ne!(run("7"), run("8"));
}

#[test]
fn packed_bodies_are_taken_and_bounded_as_they_come_out() {
    let server = Server::start(&["--memory"]);
    let path = points_path("p");
    let send =
        |encoding: &str, body: &[u8]| server.client().send("POST", &path, &[("content-encoding", encoding)], body);
    send("gzip", &gzip(item().as_bytes())).assert_stored();
    send("identity", item().as_bytes()).assert_stored();
    send("gzip", item().as_bytes()).assert_refused(400, "ces.0011", "gzip");
    send("br", item().as_bytes()).assert_refused(415, "ces.0011", "gzip");
    send("gzip", &gzip(&vec![b' '; 524_289])).assert_refused(413, "ces.0014", "524288");
    send("gzip", &gzip(&vec![b' '; 100 << 20])).assert_refused(413, "ces.0014", "524288");
}

#[test]
fn long_answers_are_packed_for_those_who_take_them() {
    let server = Server::start(&["--memory"]);
    let now = now_millis();
    let metric = r#"{"namespace":"MINE.APP","dimensions":[{"name":"host","value":"a"}],"metric_name":"cpu"}"#;
    let item = |number: i64| format!(r#"{{"metric":{metric},"ttl":3600,"collect_time":{},"value":1}}"#, now - number);
    let body = format!("[{}]", (0..500).map(item).collect::<Vec<_>>().join(","));
    server.post(&points_path("p"), body).assert_stored();
    let asked = "namespace=MINE.APP&metric_name=cpu&dim.0=host,a&from=0&to=9007199254740991&period=1&filter=sum";
    let path = format!("{}?{asked}", points_path("p"));
    let plain = server.get(&path);
    assert_eq!(plain.header("content-encoding"), None);
    let packed = server.client().send("GET", &path, &[("accept-encoding", "gzip, deflate")], b"");
    assert_eq!((packed.status, packed.header("content-encoding")), (200, Some("gzip")));
    assert!(packed.body.len() < plain.body.len() / 4);
    let mut unpacked = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed.body[..]), &mut unpacked).expect("whole");
    assert_eq!(unpacked, plain.body);
    let short = server.client().send("GET", "/V1.0/p/nothing", &[("accept-encoding", "gzip")], b"");
    assert_eq!((short.status, short.header("content-encoding")), (404, None));
}

#[test]
fn prometheus_reads_what_was_asked_and_what_is_stored() {
    let server = Server::start(&["--memory"]);
    server.post(&points_path("p"), item()).assert_stored();
    server.get("/V1.0/p/nothing");
    let reply = server.get("/metrics");
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = reply.text();
    for line in [
        r#"ebbtide_http_requests_total{operation="add_metric_data",status="201"} 1"#,
        r#"ebbtide_http_requests_total{operation="unknown",status="404"} 1"#,
        r#"ebbtide_series{project="p"} 1"#,
        r#"ebbtide_recent_points{project="p"} 1"#,
        "# TYPE ebbtide_http_request_duration_seconds histogram",
    ] {
        assert!(text.lines().any(|each| each == line), "{line} in:\n{text}");
    }
    // Every sample belongs to a family that has been introduced, and no family comes twice.
    let families: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let mut once = families.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), families.len());
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().expect("a name");
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        assert!(families.contains(&name) || families.contains(&family), "{line}");
        assert!(line.rsplit(' ').next().is_some_and(|value| value.parse::<f64>().is_ok()), "{line}");
    }
}

#[test]
fn the_access_log_tells_each_request_if_it_is_wanted() {
    let server = Server::start(&["--memory", "--access-log"]);
    let reply = server.client().send("POST", &points_path("p"), &[("x-request-id", "told")], item().as_bytes());
    reply.assert_stored();
    let line =
        wait_for("the log", || server.log().lines().find(|line| line.contains("ebbtide::access")).map(str::to_owned));
    assert!(server.log().contains("request{id=\"told\"}"), "what is logged on the way names the request");
    for part in ["id=\"told\"", "add_metric_data", "status=201", "method=\"POST\"", "micros="] {
        assert!(line.contains(part), "{part} in {line}");
    }
    let quiet = Server::start(&["--memory"]);
    quiet.post(&points_path("p"), item()).assert_stored();
    assert!(!quiet.log().contains("ebbtide::access"));
}
