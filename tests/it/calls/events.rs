//! `events`: reported, told apart, counted and listed.

use ebbtide::server::Profile;
use serde_json::{Value, json};

use super::{NOW, body, start};
use crate::harness::{Client, Reply};

const PATH: &str = "/V1.0/p/events";

fn event(name: &str, time: i64, detail: &Value) -> Value {
    json!({"event_name": name, "event_source": "financial.System", "time": time, "detail": detail})
}

fn report(client: Client, events: &[Value]) -> Reply {
    client.post(PATH, json!(events).to_string())
}

fn ids(reply: &Reply) -> Vec<String> {
    assert_eq!(reply.status, 201, "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let answer: Value = serde_json::from_str(reply.text()).expect("JSON");
    let id = |event: &Value| event["event_id"].as_str().expect("a string").to_owned();
    answer.as_array().expect("a list").iter().map(id).collect()
}

#[test]
fn the_pages_own_example_is_taken_and_listed() {
    let (server, client, _clock) = start(Profile::Document);
    let detail = json!({
        "content": "The financial system was invaded", "group_id": "rg15221211517051YWWkEnVd",
        "resource_id": "1234567890sjgggad", "resource_name": "ecs001", "event_state": "normal", "event_level": "Major",
        "event_user": "xiaokong", "event_type": "EVENT.CUSTOM",
        "dimensions": [{"name": "instance_id", "value": "instance_xxx"}], "unknown": {"a": [1]},
    });
    let reply = report(client, &[event("systemInvaded", NOW, &detail)]);
    let [id] = &ids(&reply)[..] else { panic!("one event, one id") };
    assert!(id.starts_with("ev") && id.len() == 24, "{id}");
    assert!(reply.text().contains("\"event_name\":\"systemInvaded\""));
    let listed = body(&client.get(PATH));
    let wanted = json!({
        "event_name": "systemInvaded", "event_type": "EVENT.CUSTOM", "event_count": 1, "latest_occur_time": NOW,
        "latest_event_source": "financial.System",
    });
    assert_eq!(listed, json!({"events": [wanted], "meta_data": {"total": 1}}));
    assert_eq!(body(&client.get("/V1.0/other/events"))["meta_data"]["total"], 0, "a project sees its own events only");
    server.stop().expect("closes");
}

#[test]
fn each_event_of_a_name_is_shown_with_its_details() {
    // Goal: the published shape, with every detail of the page, empty where none was reported; the latest event first.
    let (server, client, _clock) = start(Profile::Document);
    let dimensions = json!([{"name": "instance_id", "value": "i-1"}]);
    let detail = json!({"event_user": "me", "event_level": "Major", "content": "a \"b\"", "dimensions": dimensions});
    let reply = report(client, &[event("e", NOW - 1, &detail), event("e", NOW, &json!({})), event("f", NOW, &detail)]);
    let ids = ids(&reply);
    let show = |query: &str| body(&client.get(&format!("/V1.0/p/event/e?{query}")));
    let shown = |id: &str, time: i64, user: &str, level: &str, content: &str, dimensions: &Value| {
        json!({
            "event_id": id, "event_name": "e", "event_source": "financial.System", "time": time,
            "detail": {
                "content": content, "group_id": "", "resource_id": "", "resource_name": "", "event_state": "",
                "event_level": level, "event_user": user, "event_type": "EVENT.CUSTOM", "dimensions": dimensions,
            },
        })
    };
    let latest = shown(&ids[1], NOW, "", "", "", &json!([]));
    let first = shown(&ids[0], NOW - 1, "me", "Major", "a \"b\"", &dimensions);
    let wanted = json!({
        "event_name": "e", "event_type": "EVENT.CUSTOM", "event_users": ["", "me"],
        "event_sources": ["financial.System"], "event_info": [latest, first], "meta_data": {"total": 2},
    });
    assert_eq!(show("event_type=EVENT.CUSTOM"), wanted);
    for query in ["event_level=Major", "event_user=me", "limit=1&start=1", &format!("to={}", NOW - 1)] {
        assert_eq!(show(query)["event_info"], json!([first]), "{query}");
    }
    for query in ["event_type=EVENT.SYS", "event_state=normal", "event_source=A.B", "limit=1&start=2"] {
        assert_eq!(show(query)["event_info"], json!([]), "{query}");
    }
    client.get("/V1.0/p.q/event/e").assert_refused(400, "ces.0003", "project");
    server.stop().expect("closes");
}

#[test]
fn the_same_identifying_fields_are_one_event() {
    // Goal: what is sent again counts once and keeps its id. Method: the same event with every field changed, one by one:
    // those of the page's list make another event, the others do not.
    let (server, client, _clock) = start(Profile::Document);
    let base = event("e", NOW, &json!({"resource_id": "r", "event_level": "Info"}));
    let first = ids(&report(client, &[base.clone(), base.clone()]));
    assert_eq!(first[0], first[1]);
    let changed = |field: &str, value: Value| {
        let mut other = base.clone();
        let place = if other.get(field).is_some() { &mut other } else { &mut other["detail"] };
        place[field] = value;
        ids(&report(client, &[other])).remove(0)
    };
    let mut different = vec![first[0].clone()];
    for (field, value) in [
        ("time", json!(NOW - 1)),
        ("event_source", json!("A.B")),
        ("event_name", json!("f")),
        ("event_type", json!("EVENT.CUSTOM")),
        ("event_state", json!("warning")),
        ("event_level", json!("Major")),
        ("event_user", json!("me")),
        ("resource_id", json!("s")),
        ("resource_name", json!("n")),
    ] {
        let id = changed(field, value);
        assert!(!different.contains(&id), "{field}");
        different.push(id);
    }
    for (field, value) in [("content", json!("text")), ("group_id", json!("g")), ("dimensions", json!([]))] {
        assert_eq!(changed(field, value), first[0], "{field}");
    }
    let other_project = client.post("/V1.0/q/events", json!([base]).to_string());
    assert!(!different.contains(&ids(&other_project)[0]));
    assert_eq!(body(&client.get(&format!("{PATH}?event_name=e")))["events"][0]["event_count"], 9);
    server.stop().expect("closes");
}

#[test]
fn events_are_listed_by_name_with_count_and_latest() {
    let (server, client, _clock) = start(Profile::Document);
    let none = json!({});
    report(client, &[event("a", NOW - 5, &none), event("b", NOW - 4, &none), event("a", NOW - 3, &none)]);
    let mut late = event("a", NOW - 2, &none);
    late["event_source"] = json!("");
    assert_eq!(ids(&report(client, &[late])).len(), 1);
    let list = |query: &str| body(&client.get(&format!("{PATH}?{query}")));
    let all = list("");
    assert_eq!(
        (&all["events"][0]["event_count"], &all["events"][0]["latest_occur_time"]),
        (&json!(3), &json!(NOW - 2))
    );
    assert_eq!(all["events"][0]["latest_event_source"], "");
    let counts = |query: &str| {
        let answer = list(query);
        let events = answer["events"].as_array().expect("a list").clone();
        let counts: Vec<u64> = events.iter().map(|event| event["event_count"].as_u64().expect("a count")).collect();
        (counts, answer["meta_data"]["total"].as_u64().expect("a count"))
    };
    assert_eq!(counts("event_type=EVENT.SYS"), (vec![], 0));
    assert_eq!(counts("event_type=EVENT.CUSTOM"), (vec![3, 1], 2));
    assert_eq!(counts(&format!("from={}&to={}", NOW - 5, NOW - 4)), (vec![1, 1], 2), "both ends are inside");
    assert_eq!(counts(&format!("from={}", NOW - 3)), (vec![2], 1));
    assert_eq!(counts("from=yesterday"), (vec![3, 1], 2), "no time stands for the last day");
    assert_eq!(counts("limit=1"), (vec![3], 2));
    assert_eq!(counts("limit=1&start=1"), (vec![1], 2));
    assert_eq!(counts("limit=1&start=2"), (vec![], 2));
    for (query, code, fragment) in [
        ("event_type=x", "ces.0013", "event_type"),
        ("start=-1", "ces.0006", "start"),
        ("limit=101", "ces.0006", "limit"),
        ("from=2&to=2", "ces.0013", "from must be less"),
    ] {
        client.get(&format!("{PATH}?{query}")).assert_refused(400, code, fragment);
    }
    server.stop().expect("closes");
}

#[test]
fn a_wrong_event_is_refused_with_all_others_and_named() {
    let (server, client, _clock) = start(Profile::Document);
    let long = "x".repeat(129);
    let change = |field: &str, value: Value| {
        let mut wrong = event("e", NOW, &json!({}));
        match field.strip_prefix("detail.") {
            Some(field) => wrong["detail"][field] = value,
            None => wrong[field] = value,
        }
        wrong
    };
    for (field, value) in [
        ("event_name", json!(null)),
        ("event_name", json!("")),
        ("event_name", json!("1a")),
        ("event_name", json!("x".repeat(65))),
        ("event_source", json!(null)),
        ("event_source", json!("system")),
        ("time", json!("now")),
        ("time", json!(NOW - 3_600_001)),
        ("time", json!(NOW / 1_000)),
        ("detail", json!("text")),
        ("detail", json!(null)),
        ("detail.content", json!("x".repeat(4_097))),
        ("detail.resource_id", json!("a/b")),
        ("detail.resource_id", json!(long)),
        ("detail.resource_name", json!("a b")),
        ("detail.event_state", json!("bad")),
        ("detail.event_level", json!("major")),
        ("detail.event_user", json!("a@b")),
        ("detail.event_type", json!("EVENT.SYS")),
        ("detail.dimensions", json!([{"name": "n"}])),
        ("detail.dimensions", json!([1, 2, 3, 4, 5])),
    ] {
        let reply = report(client, &[event("good", NOW, &json!({})), change(field, value)]);
        reply.assert_refused(400, "ces.0014", &format!("item 1: {field}"));
    }
    client.post(PATH, "{}").assert_refused(400, "ces.0011", "array");
    client.post(PATH, "").assert_refused(400, "ces.0001", "empty");
    client.post(PATH, "[]").assert_refused(400, "ces.0014", "no items");
    assert_eq!(body(&client.get(PATH))["meta_data"]["total"], 0);
    server.stop().expect("closes");
}

#[test]
fn events_past_the_bound_push_out_the_first_ones() {
    // Goal: who reports without end takes no memory without end. Method: somewhat more than the 10,000 that are kept.
    let (server, client, _clock) = start(Profile::Document);
    let first = ids(&report(client, &[event("first", NOW, &json!({}))]));
    for part in 0..5_i64 {
        let events: Vec<Value> = (0..2_000).map(|each| event("e", NOW - part * 2_000 - each, &json!({}))).collect();
        assert_eq!(ids(&report(client, &events)).len(), 2_000);
    }
    let listed = body(&client.get(PATH));
    assert_eq!((&listed["meta_data"]["total"], &listed["events"][0]["event_count"]), (&json!(1), &json!(10_000)));
    let again = ids(&report(client, &[event("first", NOW, &json!({}))]));
    assert_ne!(first, again, "it was forgotten, so it is new");
    server.stop().expect("closes");
}
