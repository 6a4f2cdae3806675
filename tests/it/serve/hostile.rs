//! Clients that are slow, endless, oversize or no HTTP clients at all: none of them holds the server or harms another.

mod many;

use std::io::Write as _;
use std::time::Duration;

use ebbtide::server::Timeouts;
use ebbtide::{Clock, SystemClock};

use super::{body, impatient, item, question, values};
use crate::harness::{Server, now_millis, points_path, wait_for};

#[test]
fn an_oversize_length_is_refused_without_waiting_for_its_bytes() {
    // S21. Goal: the answer comes from the length alone. Method: headers that promise too much, and not one byte.
    let server = Server::start(&["--memory"]);
    for (extra, length) in [("", "524289"), ("expect: 100-continue\r\n", "524289"), ("", "9999999999999999999")] {
        let mut connection = server.client().connect();
        let head =
            format!("POST {} HTTP/1.1\r\nhost: test\r\n{extra}content-length: {length}\r\n\r\n", points_path("p"));
        connection.write_all(head.as_bytes()).expect("sent");
        connection.reply().assert_refused(413, "ces.0014", "524288");
    }
}

#[test]
fn a_client_that_sends_an_oversize_body_whole_can_read_why_it_was_refused() {
    // Goal: no reset eats the answer. Method: eight megabytes are sent to their end before the answer is read, with
    // their length told in advance and in chunks.
    let server = Server::start(&["--memory"]);
    let bulk = vec![b' '; 8 << 20];
    let mut connection = server.client().connect();
    let head = format!("POST {} HTTP/1.1\r\nhost: test\r\n", points_path("p"));
    write!(connection, "{head}content-length: {}\r\n\r\n", bulk.len()).expect("sent");
    connection.write_all(&bulk).expect("the server drains");
    connection.reply().assert_refused(413, "ces.0014", "524288");
    assert!(connection.is_closed_by_server());

    let mut connection = server.client().connect();
    write!(connection, "{head}transfer-encoding: chunked\r\n\r\n").expect("sent");
    for chunk in bulk.chunks(64 << 10) {
        write!(connection, "{:x}\r\n", chunk.len()).expect("sent");
        connection.write_all(chunk).expect("the server drains");
        connection.write_all(b"\r\n").expect("sent");
    }
    connection.write_all(b"0\r\n\r\n").expect("sent");
    connection.reply().assert_refused(413, "ces.0014", "524288");
}

#[test]
fn chunked_bodies_are_counted_to_the_byte() {
    let server = Server::start(&["--memory"]);
    let padded = format!("{}{}", body(1), " ".repeat(524_288));
    for (length, status) in [(524_288, 201), (524_289, 413)] {
        let mut connection = server.client().connect();
        let head = format!("POST {} HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n", points_path("p"));
        connection
            .write_all(format!("{head}{length:x}\r\n{}\r\n0\r\n\r\n", &padded[..length]).as_bytes())
            .expect("sent");
        assert_eq!(connection.reply().status, status, "{length}");
    }
}

#[test]
fn headers_are_bounded_in_size_and_number() {
    let server = Server::start(&["--memory"]);
    let status = |headers: &str| {
        let mut connection = server.client().connect();
        // The server may have closed before everything was sent.
        connection.write_all(format!("GET / HTTP/1.1\r\nhost: test\r\n{headers}\r\n").as_bytes()).ok();
        connection.reply().status
    };
    let many = |count: usize| "a: b\r\n".repeat(count);
    assert_eq!(status(&many(99)), 200);
    assert_eq!(status(&many(100)), 431);
    assert_eq!(status(&format!("a: {}\r\n", "x".repeat(30 << 10))), 200);
    assert_eq!(status(&format!("a: {}\r\n", "x".repeat(33 << 10))), 431);
}

#[test]
fn slow_headers_end_the_connection() {
    // Goal: neither silence nor a byte now and then holds a connection. Method: a limit of a second.
    let short = Duration::from_secs(1);
    let (server, client) = impatient(Timeouts { headers: short, ..Timeouts::default() });
    assert!(client.connect().is_closed_by_server(), "silence from the start");
    let mut connection = client.connect();
    connection.write_all(b"GET / HTTP/1.1\r\nhost: te").expect("sent");
    assert!(connection.is_closed_by_server(), "headers that stop half-way");

    // One byte at a time keeps the connection busy but does not move the deadline.
    let mut connection = client.connect();
    connection.write_all(b"GET / HTTP/1.1\r\nx: ").expect("sent");
    wait_for("the end of a trickling connection", || connection.write_all(b"x").is_err().then_some(()));

    // The second request of a connection has the limit too, and the pause before it has not.
    let mut connection = client.connect();
    connection.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").expect("sent");
    assert_eq!(connection.reply().status, 200);
    let clock = SystemClock::default();
    wait_for("a pause longer than the limit", || (clock.monotonic() > 2 * short).then_some(()));
    connection.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").expect("sent");
    assert_eq!(connection.reply().status, 200);
    connection.write_all(b"GET / HT").expect("sent");
    assert!(connection.is_closed_by_server());
    server.stop().expect("closes");
}

#[test]
fn idle_connections_end() {
    let (server, client) = impatient(Timeouts { idle: Duration::from_secs(2), ..Timeouts::default() });
    let mut connection = client.connect();
    connection.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").expect("sent");
    assert_eq!(connection.reply().status, 200);
    assert!(connection.is_closed_by_server());
    server.stop().expect("closes");
}

#[test]
fn slow_bodies_are_answered_with_408() {
    // Goal: a body that does not come, or comes forever, ends in an answer and stores nothing.
    let (server, client) = impatient(Timeouts { body: Duration::from_millis(200), ..Timeouts::default() });
    let body = body(1);
    let mut connection = client.connect();
    let head = format!("POST {} HTTP/1.1\r\nhost: test\r\n", points_path("p"));
    write!(connection, "{head}content-length: {}\r\n\r\n{}", body.len(), &body[..body.len() - 1]).expect("sent");
    connection.reply().assert_refused(408, "ces.0011", "in time");
    assert!(connection.is_closed_by_server());

    let mut connection = client.connect();
    write!(connection, "{head}transfer-encoding: chunked\r\n\r\n").expect("sent");
    wait_for("the end of a trickling body", || connection.write_all(b"1\r\n \r\n").is_err().then_some(()));
    assert_eq!(values(client, "p"), "");
    server.stop().expect("closes");
}

#[test]
fn a_client_that_takes_no_answers_is_cut_off() {
    // Goal: answers do not pile up for a client that asks and never reads. Method: questions whose answers are far
    // more than the system buffers, unread for longer than the limit; then what did arrive is read to its end.
    const QUESTIONS: usize = 400;
    let short = Duration::from_millis(200);
    let (server, client) = impatient(Timeouts { answer: short, ..Timeouts::default() });
    let now = now_millis();
    let items: Vec<String> = (0..2_000).map(|step| item(now - step, step)).collect();
    client.post(&points_path("p"), format!("[{}]", items.join(","))).assert_stored();
    let all = QUESTIONS * client.get(&question("p")).body.len();
    assert!(all > 32 << 20, "{all} bytes are more than any system buffers");

    let mut connection = client.connect();
    let questions = format!("GET {} HTTP/1.1\r\nhost: test\r\n\r\n", question("p")).repeat(QUESTIONS);
    // The server may be gone before it has read all of them.
    connection.write_all(questions.as_bytes()).ok();
    let clock = SystemClock::default();
    wait_for("a pause longer than the limit", || (clock.monotonic() > 3 * short).then_some(()));
    let taken = connection.read_to_its_end();
    assert!(taken < all, "{taken} of {all} bytes");
    server.stop().expect("closes");
}

#[test]
fn bytes_that_are_not_http_harm_nobody() {
    let server = Server::start(&["--memory"]);
    for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"GET\r\n\r\n", b"\0\0\0\0\r\n\r\n"] {
        let mut connection = server.client().connect();
        connection.write_all(bytes).expect("sent");
        assert_eq!(connection.reply().status, 400, "{bytes:?}");
    }
    let mut connection = server.client().connect();
    connection.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("sent");
    assert!(connection.is_closed_by_server(), "this server speaks HTTP/1.1 only");
    let mut connection = server.client().connect();
    let head = format!("POST {} HTTP/1.1\r\nhost: test\r\n", points_path("p"));
    write!(connection, "{head}transfer-encoding: chunked\r\n\r\nnot a length\r\n").expect("sent");
    connection.reply().assert_refused(400, "ces.0011", "cannot be read");
    server.post(&points_path("p"), body(1)).assert_stored();
}

#[test]
fn a_client_that_has_ended_its_side_still_gets_its_answer() {
    // Goal: what was stored is acknowledged. Method: a request, then the end of the client's stream, then the answer.
    let server = Server::start(&["--memory"]);
    for _ in 0..20 {
        let mut connection = server.client().connect();
        let body = body(1);
        let head = format!("POST {} HTTP/1.1\r\nhost: test\r\n", points_path("p"));
        write!(connection, "{head}content-length: {}\r\n\r\n{body}", body.len()).expect("sent");
        connection.end_requests();
        connection.reply().assert_stored();
        assert!(connection.is_closed_by_server());
    }
}
