//! Fault rules, and the journal of what came.

use std::time::Duration;

use ebbtide::server::{Credentials, Fault, MockServer, ServerConfig};
use ebbtide::{Clock as _, SystemClock};

use super::{assert_refused, mock, store};
use crate::harness::points_path;

#[test]
fn a_rule_fails_what_it_names_as_often_as_it_says() {
    let (server, client) = mock();
    let now = server.now().as_millis();
    let rule = r#"{"operation":"add_metric_data","count":2,"status":503}"#;
    let reply = client.post("/_ebbtide/faults", rule);
    assert_eq!((reply.status, &reply.json()["id"]), (201, &0.into()));
    for _ in 0..2 {
        let reply = store(client, "p", now, 60, 1);
        reply.assert_refused(503, "ces.0019", "a fault rule");
        assert_eq!(reply.header("retry-after"), Some("15"), "as of a store that takes no writes");
    }
    store(client, "p", now, 60, 1).assert_stored();
    let listed = client.get("/_ebbtide/faults").json();
    assert_eq!((&listed["faults"][0]["fired"], &listed["faults"][0]["status"]), (&2.into(), &503.into()));
    assert_eq!(client.request("DELETE", "/_ebbtide/faults/0", b"").status, 200);
    assert_refused(&client.request("DELETE", "/_ebbtide/faults/0", b""), 404, "not_found", "no such rule");
}

#[test]
fn every_status_of_the_page_can_be_had_with_its_code() {
    let (server, client) = mock();
    for (status, code) in [
        (400, "ces.0014"),
        (401, "ces.0015"),
        (403, "ces.0017"),
        (404, "ces.0016"),
        (405, "ces.0016"),
        (408, "ces.0011"),
        (413, "ces.0014"),
        (429, "ces.0020"),
        (500, "ces.0007"),
        (502, "ces.0007"),
        (503, "ces.0019"),
    ] {
        server.add_fault(Fault::status(status).times(1)).expect("good");
        client.get(&points_path("p")).assert_refused(status, code, "a fault rule");
    }
    server.add_fault(Fault::status(500).code("ces.0012", "the queue is gone").project("p")).expect("good");
    client.get(&points_path("p")).assert_refused(500, "ces.0012", "the queue is gone");
    assert_eq!(client.get(&points_path("q")).status, 400, "another project is asked as ever");
    server.clear_faults();
    let identity = Fault::status(503).operation("create_token");
    server.add_fault(identity).expect("good");
    let reply = client.post("/v3/auth/tokens", "{}");
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (503, &503.into()), "in the shape of its face");
}

#[test]
fn a_rule_can_hold_up_and_hang_up() {
    let (server, client) = mock();
    let clock = SystemClock::default();
    server.add_fault(Fault::slow(Duration::from_millis(200)).times(1)).expect("good");
    store(client, "p", server.now().as_millis(), 60, 1).assert_stored();
    assert!(clock.monotonic() >= Duration::from_millis(200));
    client.post("/_ebbtide/faults", r#"{"drop_connection":true,"probability":1,"seed":1}"#);
    let mut connection = client.begin("GET", &points_path("p"), &[], b"");
    assert!(connection.is_closed_by_server());
    let last = server.received_requests().pop().expect("it was noted");
    assert_eq!((last.operation, last.status), ("query_metric_data", None));
    assert_eq!(client.get("/_ebbtide/health").status, 200, "the admin's own calls never fail");
}

#[test]
fn rules_that_mean_nothing_are_refused() {
    let (_server, client) = mock();
    for rule in [
        "",
        "[]",
        "{}",
        r#"{"status":200}"#,
        r#"{"status":503,"drop_connection":true}"#,
        r#"{"code":"ces.0001","delay_ms":1}"#,
        r#"{"status":503,"probability":2}"#,
        r#"{"status":503,"operation":"nothing"}"#,
        r#"{"delay_ms":60001}"#,
        r#"{"status":503,"unknown":1}"#,
    ] {
        assert_refused(&client.post("/_ebbtide/faults", rule), 400, "invalid", "");
    }
    for _ in 0..100 {
        assert_eq!(client.post("/_ebbtide/faults", r#"{"status":503,"count":0}"#).status, 201);
    }
    assert_refused(&client.post("/_ebbtide/faults", r#"{"status":503}"#), 400, "invalid", "the most");
    assert_eq!(client.request("DELETE", "/_ebbtide/faults", b"").status, 200);
    assert_eq!(client.get("/_ebbtide/faults").json()["faults"], serde_json::json!([]));
}

#[test]
fn a_request_passes_journal_rules_and_credentials_in_this_order() {
    // Goal: a fault hits those too who would not be let in, and all of it is noted. Method: a server that lets nobody in.
    let credentials = Credentials::new().token("secret").expect("good");
    let server = MockServer::start_with(ServerConfig::in_memory().credentials(credentials)).expect("starts");
    let client = super::client_of(&server);
    server.add_fault(Fault::status(500).times(1)).expect("good");
    let statuses = [(); 2].map(|()| client.get(&points_path("p")).status);
    let login = client.send("GET", &points_path("p"), &[("x-auth-token", "secret")], b"").status;
    assert_eq!((statuses, login), ([500, 401], 400), "and only then what is asked is looked at");
    let noted: Vec<_> = server.received_requests().iter().map(|request| request.status).collect();
    assert_eq!(noted, [Some(500), Some(401), Some(400)]);
}

#[test]
fn the_journal_tells_what_came_and_how_it_was_answered() {
    let (server, client) = mock();
    let headers = [("x-auth-token", "any"), ("x-request-id", "mine-1")];
    let reply = client.send("POST", &format!("{}?a=b", points_path("p")), &headers, b"[\xff]");
    assert_eq!((reply.status, reply.header("x-request-id")), (400, Some("mine-1")));
    client.get("/nowhere");
    let journal = client.get("/_ebbtide/requests").json();
    let (first, second) = (&journal["requests"][0], &journal["requests"][1]);
    assert_eq!((&first["method"], &first["status"], &first["query"]), (&"POST".into(), &400.into(), &"a=b".into()));
    assert_eq!((&first["operation"], &first["request_id"]), (&"add_metric_data".into(), &"mine-1".into()));
    assert_eq!(first["headers"]["x-auth-token"], serde_json::json!(["any"]));
    assert_eq!((&first["body_hex"], &first["body_bytes"]), (&"5bff5d".into(), &3.into()));
    assert_eq!(
        (&second["operation"], &second["status"], &second["body"]),
        (&"unknown".into(), &404.into(), &"".into())
    );
    assert_eq!(journal["requests"].as_array().map(Vec::len), Some(2), "the admin's own calls are not among them");
    assert_eq!(client.request("DELETE", "/_ebbtide/requests", b"").status, 200);
    assert!(server.received_requests().is_empty());
}

#[test]
fn the_journal_is_told_page_by_page() {
    // Goal: no answer is as long as the journal. Method: pages by number, by default, and by length, as texts of what is
    // no text take six times its bytes.
    let (_server, client) = mock();
    for _ in 0..150 {
        client.get("/V1.0");
    }
    let page = |query: &str| {
        let page = client.get(&format!("/_ebbtide/requests{query}")).json();
        let requests = page["requests"].as_array().expect("a list");
        (requests.first().map(|first| first["number"].clone()), requests.len(), page["next"].as_u64())
    };
    assert_eq!(page(""), (Some(0.into()), 100, Some(100)));
    assert_eq!(page("?from=100"), (Some(100.into()), 50, None));
    assert_eq!(page("?from=7&limit=2"), (Some(7.into()), 2, Some(9)));
    assert_eq!(page("?from=150"), (None, 0, None));
    for query in ["limit=0", "limit=1001", "limit=x", "from=-1"] {
        let name = query.split('=').next().expect("it has one");
        assert_refused(&client.get(&format!("/_ebbtide/requests?{query}")), 400, "invalid", name);
    }
    for _ in 0..30 {
        client.post(&points_path("p"), vec![1; 64 << 10]);
    }
    let reply = client.get("/_ebbtide/requests?from=150&limit=1000");
    assert!(reply.body.len() < 9 << 20, "{}", reply.body.len());
    let next = reply.json()["next"].as_u64().expect("there are more");
    assert_eq!(page(&format!("?from={next}&limit=1000")).2, None);
}
