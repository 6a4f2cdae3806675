//! Where the admin door is, and where it is not.

use super::{assert_refused, mock, store};
use crate::harness::{Client, Server, now_millis, run};

#[test]
fn what_is_not_there_is_refused_in_the_doors_own_shape() {
    let (_server, client) = mock();
    for path in ["/_ebbtide", "/_ebbtide/", "/_ebbtide/nothing", "/metrics/x"] {
        assert_refused(&client.get(path), 404, "not_found", "nothing at this address");
    }
    for (method, path) in [("GET", "/_ebbtide/reset"), ("POST", "/_ebbtide/health"), ("PUT", "/_ebbtide/clock")] {
        assert_refused(&client.request(method, path, b""), 405, "method_not_allowed", "method");
    }
    for (method, path) in [("DELETE", "faults/%ff"), ("PUT", "snapshots/%ff"), ("DELETE", "snapshots/%ff")] {
        assert_refused(&client.request(method, &format!("/_ebbtide/{path}"), b""), 400, "invalid", "cannot be read");
    }
    assert_refused(&client.post("/_ebbtide/snapshots/%ff/restore", ""), 400, "invalid", "cannot be read");
}

#[test]
fn the_door_can_be_shut() {
    let server = Server::start(&["--memory", "--admin", "off"]);
    for path in ["/_ebbtide/health", "/metrics"] {
        server.get(path).assert_refused(404, "ces.0016", "nothing at this address");
    }
    server.post("/_ebbtide/reset", "").assert_refused(404, "ces.0016", "nothing at this address");
    store(server.client(), "p", now_millis(), 60, 1).assert_stored();
}

#[test]
fn the_door_can_have_an_address_of_its_own() {
    // Goal: nobody who reaches the API reaches the admin's calls, nor the other way round.
    let mut server = Server::start(&["--memory", "--admin", "127.0.0.1:0"]);
    let admin = server
        .log()
        .lines()
        .find_map(|line| line.split_once("answered at http://").and_then(|(_, address)| address.trim().parse().ok()));
    let admin = Client::new(admin.expect("the log tells it"));
    store(server.client(), "p", now_millis(), 60, 1).assert_stored();
    assert_eq!(server.get("/_ebbtide/state").status, 404);
    assert_eq!(admin.get("/_ebbtide/state").json()["projects"][0]["project"], "p");
    assert_refused(&store(admin, "p", now_millis(), 60, 1), 404, "not_found", "nothing at this address");
    assert_eq!(server.terminate().code(), Some(0), "both doors are shut in the end");
}

#[test]
fn a_directory_has_no_door_unless_it_is_asked_for_and_is_never_emptied() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().to_str().expect("UTF-8");
    let mut shut = Server::start_on(dir.path());
    assert_eq!(shut.get("/_ebbtide/health").status, 404);
    store(shut.client(), "p", now_millis(), 60, 1).assert_stored();
    shut.terminate();
    let server = Server::start(&["--data", data, "--admin", "on"]);
    assert_eq!(server.get("/_ebbtide/health").status, 200);
    let moves = [("POST", "clock/set", r#"{"now":4000000000000}"#), ("POST", "clock/advance", r#"{"seconds":604800}"#)];
    let stands = [("POST", "clock/stop", ""), ("POST", "clock/resume", "")];
    let empties = [("POST", "reset", ""), ("PUT", "snapshots/a", "")];
    for (method, path, body) in moves.into_iter().chain(stands).chain(empties) {
        let reply = server.client().request(method, &format!("/_ebbtide/{path}"), body.as_bytes());
        assert_refused(&reply, 409, "unsupported", "in a directory");
    }
    assert_eq!(super::count(server.client(), "p", 1), 1);
    assert_eq!(server.post("/_ebbtide/flush", "").status, 200);
}

#[test]
fn wrong_words_for_the_door_are_wrong_usage() {
    for word in ["maybe", "127.0.0.1"] {
        let output = run(&["serve", "--memory", "--listen", "127.0.0.1:0", "--admin", word]);
        assert_eq!(output.status.code(), Some(2), "{word}");
    }
}
