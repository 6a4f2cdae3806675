//! Tags of policies, and questions by them.

use serde_json::{Value, json};

use super::{assert_refused, create, daily};
use crate::harness::{Client, Server};

/// Makes a policy with these tags.
fn tagged(client: Client, name: &str, tags: &[(&str, &str)]) -> String {
    let mut body = daily(name);
    body["tags"] = tags.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect();
    create(client, &body)
}

fn tags(client: Client, id: &str) -> Value {
    let reply = client.get(&format!("/v2/p/backuppolicy/{id}/tags"));
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["tags"].clone()
}

#[test]
fn tags_are_given_changed_and_taken() {
    let server = Server::start(&["--memory"]);
    let client = server.client();
    let id = tagged(client, "one", &[("team", "a"), ("empty", "")]);
    let path = format!("/v2/p/backuppolicy/{id}/tags");
    let tag = |key: &str, value: &str| json!({ "key": key, "value": value });
    assert_eq!(tags(client, &id), json!([tag("team", "a"), tag("empty", "")]));
    assert_eq!(client.post(&path, json!({ "tag": tag("team", "b") }).to_string()).status, 204);
    assert_eq!(client.post(&path, json!({ "tag": tag("new", "1") }).to_string()).status, 204);
    assert_eq!(tags(client, &id), json!([tag("team", "b"), tag("empty", ""), tag("new", "1")]));
    assert_eq!(client.request("DELETE", &format!("{path}/empty"), b"").status, 204);
    assert_refused(&client.request("DELETE", &format!("{path}/empty"), b""), 404, "AutoBackup.1100");
    let action = |action: &str, tags: Value| {
        client.post(&format!("{path}/action"), json!({ "action": action, "tags": tags }).to_string())
    };
    assert_eq!(action("create", json!([tag("x", "1"), tag("y", "2")])).status, 204);
    assert_eq!(action("update", json!([tag("x", "3")])).status, 204);
    assert_eq!(action("delete", json!([{ "key": "y" }, { "key": "never" }])).status, 204);
    assert_eq!(tags(client, &id), json!([tag("team", "b"), tag("new", "1"), tag("x", "3")]));
    assert_refused(&action("other", json!([])), 400, "AutoBackup.0008");
    let many: Vec<Value> = (0..8).map(|number| tag(&format!("k{number}"), "")).collect();
    assert_refused(&action("create", json!(many)), 400, "AutoBackup.0216");
    assert_eq!(tags(client, &id).as_array().map(Vec::len), Some(3), "all of it or nothing");
    assert_refused(&client.get("/v2/p/backuppolicy/none/tags"), 404, "AutoBackup.0205");
    tagged(client, "two", &[("team", "c")]);
    let all = client.get("/v2/p/backuppolicy/tags").json();
    let wanted = json!({ "tags": [
        { "key": "new", "values": ["1"] },
        { "key": "team", "values": ["b", "c"] },
        { "key": "x", "values": ["3"] },
    ] });
    assert_eq!(all, wanted);
}

#[test]
fn policies_are_found_by_their_tags() {
    // Method: each part of a question by itself and together; names of those that are found.
    let server = Server::start(&["--memory"]);
    let client = server.client();
    tagged(client, "red-1", &[("color", "red"), ("size", "1")]);
    tagged(client, "red-2", &[("color", "red"), ("size", "2")]);
    tagged(client, "blue-1", &[("color", "blue"), ("size", "1")]);
    let ask = |question: &Value| client.post("/v2/p/backuppolicy/resource_instances/action", question.to_string());
    let red = json!([{ "key": "color", "values": ["red"] }]);
    let both = json!([{ "key": "color", "values": ["red"] }, { "key": "size", "values": ["1"] }]);
    let table: [(Value, &[&str]); 9] = [
        (json!({}), &["default", "red-1", "red-2", "blue-1"]),
        (json!({ "tags": red }), &["red-1", "red-2"]),
        (json!({ "tags": both }), &["red-1"]),
        (json!({ "tags": [{ "key": "color", "values": [] }] }), &["red-1", "red-2", "blue-1"]),
        (json!({ "tags_any": both }), &["red-1", "red-2", "blue-1"]),
        (json!({ "not_tags": both }), &["default", "red-2", "blue-1"]),
        (json!({ "not_tags_any": both }), &["default"]),
        (json!({ "matches": [{ "key": "resource_name", "value": "1" }] }), &["red-1", "blue-1"]),
        (json!({ "limit": "1", "offset": "1", "tags_any": red }), &["red-2"]),
    ];
    for (mut question, wanted) in table {
        question["action"] = json!("filter");
        let reply = ask(&question).json();
        let names: Vec<_> =
            reply["resources"].as_array().expect("a list").iter().map(|each| each["resource_name"].clone()).collect();
        assert_eq!(names, wanted, "{question}");
        question["action"] = json!("count");
        assert_eq!(ask(&question).json(), json!({ "total_count": reply["total_count"] }), "{question}");
    }
    let first = ask(&json!({ "action": "filter", "tags": both })).json();
    assert_eq!(first["total_count"], 1);
    let resource = &first["resources"][0];
    assert_eq!(
        (&resource["resource_detail"], &resource["tags"][0]),
        (&Value::Null, &json!({ "key": "color", "value": "red" }))
    );
    assert_refused(&ask(&json!({ "action": "find" })), 400, "AutoBackup.0008");
    assert_refused(&ask(&json!({ "action": "count", "limit": "x" })), 400, "AutoBackup.0008");
    let many: Vec<Value> = (0..21).map(|key| json!({ "key": key.to_string() })).collect();
    assert_refused(&ask(&json!({ "action": "count", "tags": many })), 400, "AutoBackup.0216");
}
