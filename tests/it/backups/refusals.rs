//! What is refused: every status of the contract page that can occur here, and every code with what leads to it.

use serde_json::{Value, json};

use super::{PAGE_VOLUMES, assert_refused, associate, create, daily};
use crate::harness::{Client, Server};

const ASSOCIATE: &str = "/v2/p/backuppolicyresources";

#[test]
fn a_request_that_cannot_be_understood_is_a_400_with_its_code() {
    let server = Server::start(&["--memory"]);
    let client = server.client();
    let id = create(client, &daily("nightly"));
    let deep = format!(r#"{{"backup_policy_id":"{id}","resources":{}}}"#, "[".repeat(200));
    let table = [
        ("", "0000"),
        ("  ", "0000"),
        ("{", "0008"),
        ("[]", "0008"),
        (r#"{"backup_policy_id":1}"#, "0008"),
        (r#"{"backup_policy_id":"a","backup_policy_id":"b","resources":[]}"#, "0008"),
        (&deep, "0008"),
        ("{}", "0006"),
        (r#"{"backup_policy_id":"","resources":[{"resource_id":"v"}]}"#, "0006"),
        (r#"{"backup_policy_id":"x"}"#, "0207"),
        (r#"{"backup_policy_id":"x","resources":[]}"#, "0207"),
        (r#"{"backup_policy_id":"<x>","resources":[{"resource_id":"v"}]}"#, "0221"),
    ];
    for (body, code) in table {
        assert_refused(&client.post(ASSOCIATE, body), 400, &format!("AutoBackup.{code}"));
    }
    let many: Vec<Value> = (0..1_001).map(|id| json!({ "resource_id": id.to_string() })).collect();
    let many = json!({ "backup_policy_id": id, "resources": many });
    assert_refused(&client.post(ASSOCIATE, many.to_string()), 400, "AutoBackup.0204");
    assert_refused(&client.post("/v2/p%20q/backuppolicyresources", "{}"), 400, "AutoBackup.0008");
}

#[test]
fn every_other_status_of_the_page_that_can_occur_here_occurs() {
    // Method: 401 and 403 by credentials, 404 and 405 by address, 408 and 413 by the body, 409 by a policy at work, and
    // those of a broken server by fault rules. 406 and 407 are no answers of this server's own.
    let server = Server::start(&["--memory", "--admin", "on", "--token", "good=p", "--token", "other=q"]);
    let client = server.client();
    let ask = |method: &str, path: &str, token: &str, body: &str| {
        let headers = [("content-type", "application/json"), ("x-auth-token", token)];
        client.send(method, path, if token.is_empty() { &headers[..1] } else { &headers }, body.as_bytes())
    };
    let body = json!({ "backup_policy_id": "none", "resources": [{ "resource_id": PAGE_VOLUMES[0] }] }).to_string();
    assert_refused(&ask("POST", ASSOCIATE, "", &body), 401, "AutoBackup.0002");
    assert_refused(&ask("POST", ASSOCIATE, "wrong", &body), 401, "AutoBackup.0002");
    assert_refused(&ask("POST", ASSOCIATE, "other", &body), 403, "AutoBackup.0213");
    for path in ["/v3/p/backups", "/v1/p/jobs/1", "/v2/p/backups/detail"] {
        assert_refused(&ask("GET", path, "other", ""), 403, "AutoBackup.0213");
    }
    assert_refused(&ask("POST", ASSOCIATE, "good", &body), 404, "AutoBackup.0205");
    assert_refused(&ask("POST", "/v2/p/backuppolicyresources/x/y/z", "good", &body), 404, "AutoBackup.1100");
    assert_refused(&ask("GET", ASSOCIATE, "good", ""), 405, "AutoBackup.1100");
    assert_refused(&ask("POST", ASSOCIATE, "good", &"x".repeat(600_000)), 413, "AutoBackup.0008");
    for status in [400_u16, 401, 403, 404, 405, 406, 407, 408, 409, 500, 501, 502, 503, 504] {
        let rule = json!({ "operation": "associate_resources", "status": status, "count": 1 });
        assert_eq!(client.post("/_ebbtide/faults", rule.to_string()).status, 201);
        let reply = ask("POST", ASSOCIATE, "good", &body);
        let code = reply.json()["error"]["code"].as_str().expect("a text").to_owned();
        assert!(code.starts_with("AutoBackup."), "{code}");
        assert_refused(&reply, status, &code);
    }
}

#[test]
fn a_body_that_does_not_come_is_a_408_in_the_shape_of_this_face() {
    use ebbtide::server::{ServerConfig, Timeouts};
    let timeouts = Timeouts { body: std::time::Duration::from_millis(50), ..Timeouts::default() };
    let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let server = ServerConfig::in_memory().listen(listen).timeouts(timeouts).start().expect("starts");
    let mut connection = Client::new(server.local_addr()).connect();
    let head = format!("POST {ASSOCIATE} HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\n");
    std::io::Write::write_all(&mut connection, head.as_bytes()).expect("the server reads headers");
    assert_refused(&connection.reply(), 408, "AutoBackup.0008");
}

#[test]
fn a_policy_at_work_is_neither_started_again_nor_deleted() {
    // Goal: 409 as long as jobs of a policy wait or run. Method: as many volumes as there may be, so that it takes a
    // while, and both calls at once behind it.
    let server = Server::start(&["--memory"]);
    let client = server.client();
    let id = create(client, &daily("nightly"));
    let ids: Vec<String> = (0..999).map(|number| number.to_string()).collect();
    associate(client, &id, &ids.iter().map(String::as_str).collect::<Vec<_>>());
    let path = format!("/v2/p/backuppolicy/{id}");
    assert_eq!(client.post(&format!("{path}/action"), "").status, 204);
    let again = client.post(&format!("{path}/action"), "");
    assert_refused(&again, 409, "AutoBackup.0225");
    let gone = client.request("DELETE", &path, b"");
    assert_refused(&gone, 409, "AutoBackup.0225");
}

#[test]
fn a_policy_that_cannot_be_is_refused_with_the_code_of_its_field() {
    let server = Server::start(&["--memory"]);
    let client = server.client();
    let id = create(client, &daily("nightly"));
    // A field, its value (null: left out), and the code when a policy is made and when it is changed.
    let table = [
        ("backup_policy_name", json!(null), "0101", None),
        ("backup_policy_name", json!(""), "0101", Some("0101")),
        ("backup_policy_name", json!("a b"), "0101", Some("0101")),
        ("backup_policy_name", json!("default-2"), "0101", Some("0101")),
        ("backup_policy_name", json!("x".repeat(65)), "0101", Some("0101")),
        ("backup_policy_name", json!(1), "0101", Some("0101")),
        ("scheduled_policy", json!(null), "0001", None),
        ("scheduled_policy", json!("daily"), "0008", Some("0008")),
        ("status", json!(null), "0102", None),
        ("status", json!("on"), "0102", Some("0102")),
        ("start_time", json!(null), "0103", None),
        ("start_time", json!("12:30"), "0103", Some("0103")),
        ("start_time", json!("24:00"), "0103", Some("0103")),
        ("start_time", json!("1:00"), "0103", Some("0103")),
        ("start_time", json!(""), "0103", Some("0103")),
        ("frequency", json!(null), "0104", None),
        ("frequency", json!(0), "0104", Some("0104")),
        ("frequency", json!(31), "0104", Some("0104")),
        ("frequency", json!(1.5), "0104", Some("0104")),
        ("rentention_num", json!(null), "0106", None),
        ("rentention_num", json!(1), "0106", Some("0106")),
        ("rentention_num", json!(100), "0106", Some("0106")),
        ("remain_first_backup_of_curMonth", json!("yes"), "0107", Some("0107")),
        ("time_zone", json!("UTC+2"), "0226", Some("0226")),
        ("time_zone", json!("CET"), "0226", Some("0226")),
        ("time_zone", json!("UTC+15:00"), "0226", Some("0226")),
        ("tags", json!([{ "key": "", "value": "v" }]), "0214", Some("0214")),
        ("tags", json!([{ "key": "k", "value": "x".repeat(44) }]), "0215", Some("0215")),
    ];
    for (field, value, making, changing) in table {
        let mut body = daily("other");
        let is_inside = body["scheduled_policy"].get(field).is_some();
        let part = if is_inside { &mut body["scheduled_policy"] } else { &mut body };
        let part = part.as_object_mut().expect("an object");
        part.remove(field);
        if !value.is_null() {
            part.insert(field.to_owned(), value.clone());
        }
        let code = |number: &str| format!("AutoBackup.{number}");
        assert_refused(&client.post("/v2/p/backuppolicy", body.to_string()), 400, &code(making));
        if let Some(changing) = changing {
            let change = json!({ field: value });
            let change = if is_inside { json!({ "scheduled_policy": change }) } else { change };
            let path = format!("/v2/p/backuppolicy/{id}");
            assert_refused(&client.request("PUT", &path, change.to_string().as_bytes()), 400, &code(changing));
        }
    }
    for (field, value, number) in [
        ("week_frequency", json!([]), "0105"),
        ("week_frequency", json!(["Sun"]), "0105"),
        ("rentention_day", json!(1.9), "0106"),
    ] {
        let path = format!("/v2/p/backuppolicy/{id}");
        let change = json!({ "scheduled_policy": { field: value } });
        let reply = client.request("PUT", &path, change.to_string().as_bytes());
        assert_refused(&reply, 400, &format!("AutoBackup.{number}"));
    }
    assert_eq!(super::policies(client).len(), 2, "none of them was made");
    assert_eq!(
        super::policy(client, &id)["scheduled_policy"],
        daily("x")["scheduled_policy"],
        "and nothing was changed"
    );
    assert_refused(&client.request("PUT", "/v2/p/backuppolicy/none", b"{}"), 404, "AutoBackup.0205");
    assert_refused(&client.post("/v2/p/backuppolicy/none/action", ""), 404, "AutoBackup.0205");
    assert_refused(&client.get("/v2/p/backuppolicy/none/backuptasks"), 404, "AutoBackup.0205");
}
