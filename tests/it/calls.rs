//! The calls around `metric-data`, as published clients make them: many metrics at once, the list of series page by page,
//! events, versions, quotas and alarms. Here: a server whose clock stands still, and points in it.

mod batch;
mod events;
mod list;
mod rest;

use std::fmt::Write as _;
use std::sync::Arc;

use ebbtide::server::{Profile, Server as LocalServer, ServerConfig};
use ebbtide::{ManualClock, Timestamp};
use serde_json::Value;

use crate::harness::{Client, Reply};

/// The moment at which the clock of these tests stands.
const NOW: i64 = 1_795_281_677_579;

fn config(profile: Profile) -> (ServerConfig, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(NOW)));
    let local = "127.0.0.1:0".parse().expect("an address");
    (ServerConfig::in_memory().listen(local).clock(clock.clone()).profile(profile), clock)
}

fn run(config: ServerConfig) -> (LocalServer, Client) {
    let server = config.start().expect("starts");
    let client = Client::new(server.local_addr());
    (server, client)
}

fn start(profile: Profile) -> (LocalServer, Client, Arc<ManualClock>) {
    let (config, clock) = config(profile);
    let (server, client) = run(config);
    (server, client, clock)
}

/// The object that names a series.
fn metric(namespace: &str, name: &str, dimensions: &[(&str, &str)]) -> String {
    let mut list = String::new();
    for (name, value) in dimensions {
        let separator = if list.is_empty() { "" } else { "," };
        write!(list, r#"{separator}{{"name":"{name}","value":"{value}"}}"#).expect("memory");
    }
    format!(r#"{{"namespace":"{namespace}","dimensions":[{list}],"metric_name":"{name}"}}"#)
}

/// Stores one value of a series, with a unit unless that is empty.
fn store(client: Client, metric: &str, time: i64, value: &str, unit: &str) {
    let unit = if unit.is_empty() { String::new() } else { format!(r#","unit":"{unit}""#) };
    let item = format!(r#"{{"metric":{metric},"ttl":172800,"collect_time":{time},"value":{value}{unit}}}"#);
    client.post("/V1.0/p/metric-data", format!("[{item}]")).assert_stored();
}

/// The body of an answer with status 200.
#[track_caller]
fn body(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("application/json"));
    serde_json::from_str(reply.text()).expect("JSON")
}
