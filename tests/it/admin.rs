//! The admin door over HTTP, and the same things by `MockServer` in Rust.

mod clock;
mod faults;
mod fixtures;
mod places;

use ebbtide::server::MockServer;

use crate::harness::{Client, Reply, points_path};

/// A server of its own for one test, and a client of it.
fn mock() -> (MockServer, Client) {
    let server = MockServer::start().expect("starts");
    let client = client_of(&server);
    (server, client)
}

fn client_of(server: &MockServer) -> Client {
    Client::new(server.uri().strip_prefix("http://").and_then(|address| address.parse().ok()).expect("an address"))
}

/// Stores one point by the API.
fn store(client: Client, project: &str, time: i64, ttl: u32, value: i64) -> Reply {
    let metric = r#"{"namespace":"MINE.APP","dimensions":[{"name":"host","value":"a"}],"metric_name":"cpu"}"#;
    let item = format!(r#"[{{"metric":{metric},"ttl":{ttl},"collect_time":{time},"value":{value}}}]"#);
    client.post(&points_path(project), item)
}

/// How many points or windows there are of what [`store`] stores.
fn count(client: Client, project: &str, period: u32) -> usize {
    let asked = "namespace=MINE.APP&metric_name=cpu&dim.0=host,a&from=0&to=9007199254740991&filter=sum";
    let reply = client.get(&format!("{}?{asked}&period={period}", points_path(project)));
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["datapoints"].as_array().expect("a list").len()
}

/// Asserts that the admin door refuses.
#[track_caller]
fn assert_refused(reply: &Reply, status: u16, code: &str, fragment: &str) {
    assert_eq!(reply.status, status, "{}", reply.text());
    let error = &reply.json()["error"];
    assert_eq!(error["code"], code, "{error}");
    assert!(error["message"].as_str().expect("a text").contains(fragment), "{error} does not name {fragment:?}");
}
