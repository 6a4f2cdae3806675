//! Time that is set and moved, and what it does to what is stored.

use std::time::Duration;

use ebbtide::Timestamp;
use ebbtide::server::{MockServer, ServerConfig};

use super::{assert_refused, client_of, count, mock, store};

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn a_week_passes_in_a_moment_and_leaves_the_windows() {
    // Goal: TTL and windows can be tested at once. Method: a point of two days, a week later.
    let (server, client) = mock();
    store(client, "p", server.now().as_millis(), 172_800, 60).assert_stored();
    assert_eq!((count(client, "p", 1), count(client, "p", 300)), (1, 1));
    let reply = client.post("/_ebbtide/clock/advance", r#"{"seconds":604800}"#);
    assert_eq!((reply.status, &reply.json()["mode"]), (200, &"running".into()), "{}", reply.text());
    assert_eq!((count(client, "p", 1), count(client, "p", 300)), (0, 1));
    let stats = server.db("p").expect("is open").stats();
    assert_eq!((stats.points, stats.recent_points, stats.deletion_suspended), (0, 0, false), "its bytes have gone");
    server.advance(DAY * 8).expect("forward");
    assert_eq!((count(client, "p", 300), count(client, "p", 1_200)), (0, 1), "windows have become longer");
}

#[test]
fn a_clock_that_was_set_stands_still_until_it_runs_on() {
    let (server, client) = mock();
    let to = server.now().as_millis() + 3_600_000;
    let reply = client.post("/_ebbtide/clock/set", format!(r#"{{"now":{to}}}"#));
    assert_eq!(reply.json(), serde_json::json!({ "now": to, "mode": "stopped", "ahead_of_system": null }));
    assert_eq!(client.get("/_ebbtide/clock").json()["now"], to);
    let back = client.post("/_ebbtide/clock/set", format!(r#"{{"now":{}}}"#, to - 1));
    assert_refused(&back, 400, "invalid", "only with a reset");
    assert_eq!(client.get("/_ebbtide/clock").json()["now"], to, "what is refused moves nothing");
    // The window of the contract page is that of this clock.
    store(client, "p", to + 600_000, 60, 1).assert_stored();
    store(client, "p", to + 600_001, 60, 1).assert_refused(400, "ces.0014", "collect_time");
    assert_eq!(client.post("/_ebbtide/clock/resume", "").json()["mode"], "running");
    assert!(server.now() >= Timestamp::from_millis(to));
    assert_eq!(client.post("/_ebbtide/clock/stop", "").json()["mode"], "stopped");
}

#[test]
fn a_reset_forgets_everything_and_may_go_back_in_time() {
    let (server, client) = mock();
    store(client, "p", server.now().as_millis(), 60, 1).assert_stored();
    client.post("/_ebbtide/faults", r#"{"status":500}"#);
    server.advance(DAY).expect("forward");
    assert_eq!(client.post("/_ebbtide/reset", r#"{"now":1000000000000}"#).status, 200);
    assert_eq!(server.now(), Timestamp::from_millis(1_000_000_000_000));
    assert!(server.received_requests().is_empty());
    assert_eq!((count(client, "p", 1), count(client, "p", 300)), (0, 0));
    store(client, "p", 1_000_000_000_000, 60, 1).assert_stored();
    assert_eq!(count(client, "p", 1), 1);
    assert_eq!(client.post("/_ebbtide/reset", "").status, 200);
    assert_eq!(client.get("/_ebbtide/clock").json()["ahead_of_system"], 0);
    assert_eq!(count(client, "p", 300), 0);
    server.reset_to(Timestamp::from_secs(5)).expect("in memory");
    assert_eq!(server.now(), Timestamp::from_secs(5));
}

#[test]
fn requests_that_no_clock_can_follow_are_refused() {
    let (_server, client) = mock();
    for (path, body, fragment) in [
        ("clock/advance", "{}", "how far"),
        ("clock/advance", r#"{"seconds":31708800}"#, "at most"),
        ("clock/advance", r#"{"hours":1}"#, "unknown field"),
        ("clock/advance", "", "cannot be read"),
        ("clock/set", r#"{"now":9007199254740992}"#, "at most 31622400s"),
        ("clock/set", r#"{"now":"tomorrow"}"#, "expected i64"),
        ("reset", r#"{"now":9007199254740992}"#, "no time"),
    ] {
        let reply = client.post(&format!("/_ebbtide/{path}"), body);
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &"invalid".into()), "{path} {body}");
        let why = reply.json()["error"]["message"].to_string();
        assert!(why.contains(fragment), "{path} {body}: {why}");
    }
    assert_eq!(client.get("/_ebbtide/clock").json()["ahead_of_system"], 0);
}

#[test]
fn servers_in_one_process_have_clocks_and_points_of_their_own() {
    let (one, other) = (mock(), MockServer::start_with(ServerConfig::in_memory()).expect("starts"));
    assert_ne!(one.0.port(), other.port());
    store(one.1, "p", one.0.now().as_millis(), 60, 1).assert_stored();
    one.0.advance(DAY).expect("forward");
    assert!(other.now() < one.0.now() - DAY / 2);
    assert_eq!(count(client_of(&other), "p", 300), 0);
    let uri = one.0.uri();
    drop(one);
    assert!(ureq::get(&uri).call().is_err(), "nobody listens any more");
}
