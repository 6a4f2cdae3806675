//! More than two hundred hostile requests at one server on disk, three times over. Goal: each gets a 4xx or a closed
//! connection, nothing of it is stored, and memory, descriptors and folders stay where they were, while a well-behaved
//! client is served all along. Method: what is sent is a valid request with one thing wrong; the server's process is
//! looked at from outside, after the first round and after the last.

use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::{body, values};
use crate::harness::{Client, Connection, Server, now_millis, points_path, wait_for};

/// How much more memory the process may have after two further rounds, in bytes: a tenth of what the requests bring.
const GROWTH_MAX: u64 = 8 << 20;

/// So many of those who wait may find the connection reset instead of an answer: they send on without reading.
const CUT_OFF_MAX: usize = 3;

/// A request that no server should accept.
struct Hostile {
    about: String,
    bytes: Vec<u8>,
    ending: Ending,
}

/// What its client does once it has sent everything.
enum Ending {
    /// It waits for the answer.
    Waits,
    /// It is gone at once.
    Vanishes,
    /// It neither sends more nor goes, until all others are done.
    Stalls,
}

fn post(about: impl Into<String>, body: impl AsRef<[u8]>) -> Hostile {
    let body = body.as_ref();
    let head = format!("POST {} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n", points_path("hostile"));
    let mut bytes = format!("{head}content-length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    Hostile { about: about.into(), bytes, ending: Ending::Waits }
}

fn raw(about: impl Into<String>, bytes: impl Into<Vec<u8>>, ending: Ending) -> Hostile {
    Hostile { about: about.into(), bytes: bytes.into(), ending }
}

/// An item in which each field has a mark, so that one can be replaced by something else.
fn item_with(field: &str, value: &str) -> String {
    let fields = [
        ("namespace", "\"MINE.APP\""),
        ("metric_name", "\"cpu\""),
        ("dimensions", "[{\"name\":\"host\",\"value\":\"a\"}]"),
        ("metric", ""),
        ("ttl", "3600"),
        ("collect_time", &now_millis().to_string()),
        ("value", "60"),
        ("unit", "\"%\""),
        ("type", "\"int\""),
    ]
    .map(|(name, sound)| (name, if name == field { value } else { sound }.to_owned()));
    let part = |names: &[&str]| {
        let parts = fields.iter().filter(|(name, _)| names.contains(name));
        parts.map(|(name, value)| format!("\"{name}\":{value}")).collect::<Vec<_>>().join(",")
    };
    let metric = if field == "metric" {
        value.to_owned()
    } else {
        format!("{{{}}}", part(&["namespace", "metric_name", "dimensions"]))
    };
    format!("{{\"metric\":{metric},{}}}", part(&["ttl", "collect_time", "value", "unit", "type"]))
}

fn wrong_values() -> Vec<Hostile> {
    let mut list = Vec::new();
    let fields = ["metric", "namespace", "metric_name", "dimensions", "ttl", "collect_time", "value", "unit", "type"];
    for field in fields {
        for value in ["true", "[]", "{}", "[[[]]]", "\"\\ud800\"", "\"a\0b\"", "nul", "'x'", "\"unended"] {
            list.push(post(format!("{field}: {value}"), format!("[{}]", item_with(field, value))));
        }
    }
    for value in [
        "NaN",
        "Infinity",
        "-Infinity",
        "1e400",
        "-1e400",
        "01",
        "+1",
        ".5",
        "1.",
        "1e",
        "0x10",
        "--1",
        "1_000",
        "1e+",
        "\"sixty\"",
        "null",
    ] {
        list.push(post(format!("value {value}"), format!("[{}]", item_with("value", value))));
    }
    for value in ["-1", "604801", "1.5", "1e3000", "99999999999999999999"] {
        list.push(post(format!("ttl {value}"), format!("[{}]", item_with("ttl", value))));
    }
    for value in ["0", "-1", "9007199254740993", "99999999999999999999", "1e13", "\"now\""] {
        list.push(post(format!("collect_time {value}"), format!("[{}]", item_with("collect_time", value))));
    }
    let twice = |name: &str, value: &str| format!("[{}]", item_with("unit", &format!("\"%\",\"{name}\":{value}")));
    for (name, value) in [("value", "61"), ("ttl", "1"), ("collect_time", "1"), ("unit", "\"s\""), ("metric", "{}")] {
        list.push(post(format!("{name} twice"), twice(name, value)));
    }
    let long = "x".repeat(10_000);
    for field in ["namespace", "metric_name", "unit"] {
        list.push(post(format!("{field} of 10,000 bytes"), format!("[{}]", item_with(field, &format!("\"{long}\"")))));
    }
    let many = |count| vec![r#"{"name":"host","value":"a"}"#; count].join(",");
    for count in [2, 5, 5_000] {
        list.push(post(
            format!("{count} like dimensions"),
            format!("[{}]", item_with("dimensions", &format!("[{}]", many(count)))),
        ));
    }
    list
}

fn wrong_texts() -> Vec<Hostile> {
    let sound = body(1);
    let mut list: Vec<Hostile> =
        (0..sound.len()).step_by(sound.len() / 40).map(|len| post(format!("cut at {len}"), &sound[..len])).collect();
    for depth in [10, 1_000, 100_000, 260_000] {
        list.push(post(format!("{depth} deep"), "[".repeat(depth)));
        list.push(post(format!("{depth} deep and closed"), "[".repeat(depth) + &"]".repeat(depth)));
        list.push(post(format!("{depth} objects deep"), "{\"a\":".repeat(depth.min(100_000))));
    }
    let bad: [&[u8]; 6] = [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80", b"\xe2\x82"];
    for bytes in bad {
        for place in ["MINE", "cpu", "host"] {
            let at = sound.find(place).expect("it is there");
            let text = [&sound.as_bytes()[..at], bytes, &sound.as_bytes()[at..]].concat();
            list.push(post(format!("{bytes:?} in {place}"), text));
        }
    }
    for text in
        ["", " ", "[]", "{}", "null", "0", "\"\"", "[null]", "[0]", "[[]]", "[{}]", "]", "}", ",", "[,]", "\u{feff}[]"]
    {
        list.push(post(format!("{text:?}"), text));
    }
    list.push(post("behind its end", format!("{sound}]")));
    list.push(post("one byte too large", " ".repeat(524_289)));
    list.push(post("far too large", " ".repeat(4 << 20)));
    list
}

fn wrong_requests() -> Vec<Hostile> {
    let path = points_path("hostile");
    let head = format!("POST {path} HTTP/1.1\r\nhost: test\r\n");
    let waits = |about: &str, bytes: String| raw(about, bytes, Ending::Waits);
    let mut list = vec![
        waits("a header bomb", format!("{head}{}\r\n", "a: b\r\n".repeat(5_000))),
        waits("a long header", format!("{head}a: {}\r\n\r\n", "x".repeat(1 << 20))),
        waits("a long path", format!("GET /{} HTTP/1.1\r\nhost: test\r\n\r\n", "x".repeat(1 << 20))),
        waits("two lengths", format!("{head}content-length: 2\r\ncontent-length: 3\r\n\r\n[]]")),
        waits("length and chunks", format!("{head}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n")),
        waits("a negative length", format!("{head}content-length: -1\r\n\r\n")),
        waits("a length that is none", format!("{head}content-length: many\r\n\r\n")),
        waits("a chunk that is none", format!("{head}transfer-encoding: chunked\r\n\r\nxyz\r\n")),
        waits("a chunk too large", format!("{head}transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n")),
        waits("a coding nobody knows", format!("{head}content-encoding: zip\r\ncontent-length: 2\r\n\r\n[]")),
        waits("gzip that is none", format!("{head}content-encoding: gzip\r\ncontent-length: 2\r\n\r\n[]")),
        waits("a header without a name", format!("{head}: x\r\n\r\n")),
        waits("a header that ends in the middle", format!("{head}a\0b: c\r\n\r\n")),
        waits("another version", format!("POST {path} HTTP/3.7\r\n\r\n")),
        waits("no version", format!("POST {path}\r\n\r\n")),
    ];
    for method in ["PUT", "DELETE", "PATCH", "TRACE", "NONSENSE"] {
        let text = format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        list.push(raw(method, text, Ending::Waits));
    }
    for project in ["..", "a%2Fb", "%00", "a b", "%F0%9F%98%80", "x".repeat(65).as_str()] {
        let text = format!("GET {} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n", points_path(project));
        list.push(raw(format!("project {project}"), text, Ending::Waits));
    }
    for call in ["batch-query-metric-data", "events"] {
        let path = format!("/V1.0/hostile/{call}");
        for text in ["", "[", "{}", "[]", "null", "[{}]", "{\"metrics\":[]}", "{\"metrics\":{}}", "\u{0}"] {
            let head = format!("POST {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n");
            let text = format!("{head}content-length: {}\r\n\r\n{text}", text.len());
            list.push(raw(format!("{call}: {text}"), text, Ending::Waits));
        }
    }
    for asked in ["limit=0", "limit=1001", "limit=-1", "limit=a", "order=up", "dim.0=a", "start=%ff", "limit=1&limit=2"]
    {
        let text = format!("GET /V1.0/hostile/metrics?{asked} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        list.push(raw(asked, text, Ending::Waits));
    }
    for text in ["", "{}", "[", "{\"auth\":[]}", "{\"auth\":{\"identity\":{}}}"] {
        let head = "POST /v3/auth/tokens HTTP/1.1\r\nhost: test\r\nconnection: close\r\n";
        let text = format!("{head}content-length: {}\r\n\r\n{text}", text.len());
        list.push(raw(format!("log-in: {text}"), text, Ending::Waits));
    }
    let sound = body(1);
    for share in 1..8 {
        let (whole, half) = (sound.len(), &sound[..sound.len() * share / 8]);
        let text = format!("{head}content-length: {whole}\r\n\r\n{half}");
        list.push(raw(format!("gone after {share}/8 of the body"), text.clone(), Ending::Vanishes));
        list.push(raw(format!("silent after {share}/8 of the body"), text, Ending::Stalls));
        let text = &head[..head.len() * share / 8];
        list.push(raw(format!("gone after {share}/8 of the headers"), text, Ending::Vanishes));
        list.push(raw(format!("silent after {share}/8 of the headers"), text, Ending::Stalls));
    }
    list
}

/// Sends all of them, one after the other; those that stall are held until the end. Tells how many were answered.
fn send_all(client: Client, list: &[Hostile]) -> usize {
    let mut answered = 0;
    let mut stalling: Vec<Connection> = Vec::new();
    for Hostile { about, bytes, ending } in list {
        let mut connection = client.connect();
        // The server may refuse before it has read everything.
        connection.write_all(bytes).ok();
        match ending {
            Ending::Waits => {
                let status = connection.status();
                answered += usize::from(status.is_some());
                assert!(status.is_none_or(|status| (400..500).contains(&status)), "{about}: {status:?}");
            }
            Ending::Vanishes => drop(connection),
            Ending::Stalls => stalling.push(connection),
        }
    }
    answered
}

#[allow(clippy::disallowed_methods, reason = "the test looks at the process and its folders from outside")]
fn count(dir: &Path) -> usize {
    std::fs::read_dir(dir).map_or(0, Iterator::count)
}

/// Memory that the process has, in bytes.
#[allow(clippy::disallowed_methods, reason = "the test looks at the process from outside")]
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the system tells");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}

#[test]
fn two_hundred_hostile_requests_leave_no_trace_while_others_are_served() {
    let list: Vec<Hostile> = wrong_values().into_iter().chain(wrong_texts()).chain(wrong_requests()).collect();
    println!("{} hostile requests", list.len());
    assert!(list.len() >= 200, "{}", list.len());
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_on(dir.path());
    let client = server.client();
    client.post(&points_path("good"), body(0)).assert_stored();
    let is_over = AtomicBool::new(false);
    let served = std::thread::scope(|scope| {
        let good = scope.spawn(|| {
            let mut served: i64 = 0;
            while !is_over.load(Ordering::Relaxed) {
                client.post(&points_path("good"), body(1)).assert_stored();
                served += 1;
            }
            served
        });
        let answered = send_all(client, &list);
        let waiting = list.iter().filter(|each| matches!(each.ending, Ending::Waits)).count();
        println!("{answered} of {waiting} that wait were told what is wrong");
        assert!(answered >= waiting - CUT_OFF_MAX, "{answered} of {waiting}");
        let memory = resident(server.pid());
        for _ in 0..2 {
            send_all(client, &list);
        }
        let grown = resident(server.pid()).saturating_sub(memory);
        is_over.store(true, Ordering::Relaxed);
        assert!(grown <= GROWTH_MAX, "{grown} bytes more than before");
        good.join().expect("each of its requests was served")
    });
    println!("{served} sound requests were served meanwhile");
    assert!(served > 0);
    let descriptors = Path::new("/proc").join(server.pid().to_string()).join("fd");
    let other = tempfile::tempdir().expect("a directory");
    let idle = Server::start_on(other.path());
    idle.post(&points_path("good"), body(1)).assert_stored();
    let usual = count(&Path::new("/proc").join(idle.pid().to_string()).join("fd"));
    wait_for("the last of their connections to end", || (count(&descriptors) <= usual + 2).then_some(()));
    assert_eq!(values(client, "hostile"), "", "nothing of theirs is stored");
    assert_eq!(count(&dir.path().join("projects")), 1, "nor has it a folder");
    assert!(values(client, "good").starts_with('0'));
}
