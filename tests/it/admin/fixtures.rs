//! What a test puts in place and looks at: snapshots, seed data, the back door, the state.

use ebbtide::{Point, SeriesKey, TimeRange, Timestamp, Ttl, Value, WriteBatch};

use super::{assert_refused, count, mock, store};
use crate::harness::{Server, now_millis, run};

#[test]
fn a_snapshot_is_put_back_as_often_as_wanted_with_its_clock() {
    let (server, client) = mock();
    server.stop_clock();
    let start = server.now();
    store(client, "p", start.as_millis(), 60, 1).assert_stored();
    let taken = client.request("PUT", "/_ebbtide/snapshots/base", b"");
    assert_eq!((taken.status, &taken.json()["projects"]), (201, &serde_json::json!(["p"])));
    for round in 1..=2 {
        store(client, "q", server.now().as_millis(), 60, 1).assert_stored();
        assert_eq!(client.post("/_ebbtide/clock/advance", r#"{"seconds":60}"#).status, 200);
        assert_eq!((count(client, "p", 1), count(client, "q", 300)), (0, 1), "round {round}");
        assert_eq!(client.post("/_ebbtide/snapshots/base/restore", "").status, 200);
        assert_eq!(server.now(), start);
        assert_eq!((count(client, "p", 1), count(client, "p", 300), count(client, "q", 300)), (1, 1, 0));
    }
    server.restore("base").expect("is there");
    assert!(server.restore("other").is_err());
    assert_refused(&client.post("/_ebbtide/snapshots/other/restore", ""), 404, "not_found", "no such snapshot");
    assert_refused(&client.request("PUT", "/_ebbtide/snapshots/a%20b", b""), 400, "invalid", "letters");
    for number in 0..15 {
        server.snapshot(&format!("s{number}")).expect("there is room");
    }
    assert_refused(&client.request("PUT", "/_ebbtide/snapshots/more", b""), 400, "invalid", "the most");
    assert_eq!(client.request("PUT", "/_ebbtide/snapshots/base", b"").status, 201, "taking it anew is no more");
    assert_eq!(client.request("DELETE", "/_ebbtide/snapshots/s3", b"").status, 200);
    let listed = client.get("/_ebbtide/snapshots").json();
    assert_eq!(listed["snapshots"].as_array().map(Vec::len), Some(15));
}

#[test]
fn events_come_and_go_with_snapshots_and_resets() {
    let (server, client) = mock();
    let detail = r#"{"event_state":"normal","event_level":"Major","event_type":"EVENT.CUSTOM"}"#;
    let report = |name: &str| {
        let time = server.now().as_millis();
        let event = format!(r#"[{{"event_name":"{name}","event_source":"my.App","time":{time},"detail":{detail}}}]"#);
        let reply = client.post("/V1.0/p/events", event);
        assert_eq!(reply.status, 201, "{}", reply.text());
    };
    let total = || client.get("/V1.0/p/events").json()["meta_data"]["total"].clone();
    report("one");
    server.snapshot("one").expect("there is room");
    report("two");
    assert_eq!(total(), 2);
    server.restore("one").expect("is there");
    assert_eq!(total(), 1);
    server.reset().expect("in memory");
    assert_eq!(total(), 0);
}

#[test]
fn the_back_door_keeps_every_bit_and_knows_no_rule() {
    // Goal: exact values of any name, time and TTL. Method: what the API would refuse, and back by both ways.
    let (server, client) = mock();
    let point = |time: i64, value: &str, ttl: &str| {
        format!(
            r#"{{"namespace":"SYS.X","metric_name":"m","dimensions":[],"time":{time},"value":{value}{ttl},"unit":"u"}}"#
        )
    };
    let far = 9_007_199_254_740_991_i64;
    let exact = "0.30000000000000004";
    let points = [
        point(-5, "9223372036854775807", ""),
        point(0, exact, ""),
        point(1, "60.0", ""),
        point(far, "-1", r#","ttl":4294967295"#),
        point(1, "7", r#","ttl":1"#),
    ];
    let reply = client.post("/_ebbtide/points", format!(r#"{{"project":"p","points":[{}]}}"#, points.join(",")));
    assert_eq!((reply.status, &reply.json()["stored"]), (201, &4.into()), "{}", reply.text());
    assert_eq!(reply.json()["dead_on_arrival"], 1, "in 1970, with a second to live");
    let read = client.get("/_ebbtide/points?project=p&namespace=SYS.X&metric_name=m");
    assert!(read.text().contains(exact), "{}", read.text());
    let read = read.json();
    let told: Vec<_> = read["points"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|p| (p["time"].as_i64(), &p["value"], &p["type"]))
        .collect();
    let (int, float) = (serde_json::json!("int"), serde_json::json!("float"));
    let (largest, least) = (serde_json::json!(i64::MAX), serde_json::json!(-1));
    let third = serde_json::json!(0.1 + 0.2);
    assert_eq!(told, [(Some(-5), &largest, &int), (Some(0), &third, &float), (Some(far), &least, &int)]);
    let series = SeriesKey::new("SYS.X", "m", [("", ""); 0]).expect("a good name");
    let db = server.db("p").expect("opens");
    let values: Vec<_> = db.points(&series, TimeRange::ALL).expect("readable").flatten().map(|p| p.value).collect();
    assert_eq!(values, [Value::Int(i64::MAX), Value::Float(0.1 + 0.2), Value::Int(-1)]);
    db.insert(&series, Point::new(server.now(), 1).with_ttl(Ttl::NEVER)).expect("stored");
    let part = client.get("/_ebbtide/points?project=p&namespace=SYS.X&metric_name=m&from=0&to=1");
    assert_eq!(part.json()["points"].as_array().map(Vec::len), Some(1));
    for (body, fragment) in [
        (r#"{"project":"p","points":[{}]}"#, "missing field"),
        (r#"{"project":"p/q","points":[]}"#, "project id"),
        (&*format!(r#"{{"project":"p","points":[{}]}}"#, point(0, "9223372036854775808", "")), "point 0: "),
        (&*format!(r#"{{"project":"p","points":[{}]}}"#, point(0, "1e999", "")), "finite"),
        (&*format!(r#"{{"project":"p","points":[{}]}}"#, point(0, "\"1\"", "")), "number"),
    ] {
        assert_refused(&client.post("/_ebbtide/points", body), 400, "invalid", fragment);
    }
    for query in ["", "project=p&namespace=A&metric_name=m&from=x", "project=p&namespace=A&metric_name=m&dim.0=a"] {
        assert_refused(&client.get(&format!("/_ebbtide/points?{query}")), 400, "invalid", "");
    }
}

#[test]
fn more_points_than_an_answer_holds_are_asked_for_in_parts() {
    let (server, client) = mock();
    let series = SeriesKey::new("A.B", "m", [("", ""); 0]).expect("a good name");
    let db = server.db("p").expect("opens");
    let mut batch = WriteBatch::new();
    for time in 0..10_001 {
        batch.push(series.clone(), Point::new(Timestamp::from_millis(time), 1));
    }
    db.write(&batch).expect("stored");
    let read = |part: &str| client.get(&format!("/_ebbtide/points?project=p&namespace=A.B&metric_name=m{part}"));
    assert_refused(&read(""), 400, "invalid", "more than 10000 points");
    for (part, count) in [("&to=10000", 10_000), ("&from=10000", 1)] {
        assert_eq!(read(part).json()["points"].as_array().map(Vec::len), Some(count), "{part}");
    }
}

#[test]
fn the_state_tells_projects_series_points_and_bytes() {
    let (server, client) = mock();
    assert_eq!(client.get("/_ebbtide/state").json()["projects"], serde_json::json!([]));
    store(client, "p", server.now().as_millis(), 600, 1).assert_stored();
    let state = client.get("/_ebbtide/state").json();
    let project = &state["projects"][0];
    assert_eq!(
        (&project["project"], &project["series"], &project["recent_points"]),
        (&"p".into(), &1.into(), &1.into())
    );
    assert_eq!(project["names"][0]["metric_name"], "cpu");
    assert_eq!(client.post("/_ebbtide/flush", "").status, 200);
    let flushed = client.get("/_ebbtide/state").json();
    let project = &flushed["projects"][0];
    assert_eq!((&project["points"], &project["recent_points"]), (&1.into(), &0.into()));
    assert!(project["bytes"]["segments"].as_u64() > Some(0));
    assert_eq!(client.post("/_ebbtide/compact", "").status, 200);
    // Names are told up to a bound, over all projects.
    let mut batch = WriteBatch::new();
    for host in 0..1_005 {
        let series = SeriesKey::new("A.B", "m", [("host", host.to_string())]).expect("a good name");
        batch.push(series, Point::new(server.now(), 1));
    }
    server.db("q").and_then(|db| db.write(&batch)).expect("stored");
    let state = client.get("/_ebbtide/state").json();
    let project = &state["projects"][1];
    let names = project["names"].as_array().map(Vec::len);
    assert_eq!((names, &project["names_left_out"]), (Some(999), &6.into()));
    assert_eq!(client.get("/_ebbtide/health").json()["status"], "good");
    assert_eq!(client.get("/_ebbtide/ready").json()["ready"], true);
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the test writes files as a user would")]
fn seed_data_is_there_from_the_start_or_there_is_no_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: String| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let item = |time: i64, value: &str| {
        let metric = r#"{"namespace":"MINE.APP","dimensions":[{"name":"host","value":"a"}],"metric_name":"cpu"}"#;
        format!(r#"{{"metric":{metric},"ttl":3600,"collect_time":{time},"value":{value}}}"#)
    };
    let good = file("good.json", format!("[{},{}]", item(now_millis(), "1"), item(now_millis() - 9 * 86_400_000, "2")));
    let server = Server::start(&["--memory", "--seed-data", &good, "--seed-data", &format!("{good}=other")]);
    for project in ["default", "other"] {
        assert_eq!((count(server.client(), project, 1), count(server.client(), project, 300)), (1, 2), "{project}");
    }
    let data = dir.path().join("data");
    let start =
        |seed: &str| Server::start(&["--data", data.to_str().expect("UTF-8"), "--admin", "on", "--seed-data", seed]);
    start(&good).terminate();
    let more = file("more.json", format!("[{}]", item(now_millis() - 1_000, "3")));
    let again = start(&more);
    assert_eq!(
        (count(again.client(), "default", 1), count(again.client(), "default", 300)),
        (1, 2),
        "once and for all"
    );
    drop(again);
    let bad = file("bad.json", format!("[{},{}]", item(now_millis(), "1"), item(now_millis(), "\"x\"")));
    for (argument, fragments) in [
        (bad.as_str(), ["bad.json", "item 1: value must be a number"]),
        ("nowhere.json", ["nowhere.json", "cannot be read"]),
        (&format!("{good}=p.q"), ["good.json", "project id"]),
    ] {
        let output = run(&["serve", "--memory", "--listen", "127.0.0.1:0", "--seed-data", argument]);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(fragments.iter().all(|fragment| message.contains(fragment)), "{message}");
    }
}
