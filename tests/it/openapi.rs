//! The OpenAPI document against a running server: what it tells is answered, and nothing else is.

mod schema;

use ebbtide::server::BODY_BYTES_MAX;
use serde_json::{Value, json};

use self::schema::Schemas;
use crate::harness::{Client, Server, now_millis, wait_for};

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "DELETE", "PATCH"];

/// Paths, and the methods that each is told to have.
fn told(client: Client) -> Vec<(String, Vec<String>)> {
    let document = client.get("/_ebbtide/openapi.json").json();
    assert_eq!(document["openapi"], "3.1.0");
    let methods = |about: &Value| about.as_object().expect("an object").keys().map(|key| key.to_uppercase()).collect();
    document["paths"]
        .as_object()
        .expect("an object")
        .iter()
        .map(|(path, about)| (path.clone(), methods(about)))
        .collect()
}

/// A path with something good in place of its parameters.
fn filled(path: &str) -> String {
    let ids = ["{id}", "{policy_id}", "{backup_id}", "{job_id}"];
    let path = ids.iter().fold(path.to_owned(), |path, id| path.replace(id, "0"));
    path.replace("{project_id}", "p").replace("{name}", "n").replace("{event_name}", "e").replace("{key}", "k")
}

#[test]
fn every_path_that_the_document_tells_is_answered_by_its_methods_and_no_other() {
    let server = Server::start(&["--memory"]);
    let told = told(server.client());
    assert!(told.len() > 25);
    for (path, methods) in told {
        for method in METHODS {
            let reply = server.client().request(method, &filled(&path), b"");
            let is_told = methods.iter().any(|each| each == method);
            let text = reply.text();
            assert_eq!(reply.status != 405, is_told, "{method} {path}: {} {text}", reply.status);
            assert!(!text.contains("nothing at this address"), "{method} {path}: {text}");
        }
    }
}

#[test]
fn every_answer_has_a_status_that_the_document_tells_for_it() {
    // Goal: also what is refused is told. Method: each operation without what it needs, and those that read a body with
    // one that is too long, and with one that is packed in a way that nobody knows.
    let server = Server::start(&["--memory"]);
    let document = server.get("/_ebbtide/openapi.json").json();
    let schemas = Schemas(&document);
    let long = vec![b' '; BODY_BYTES_MAX + 1];
    for (path, methods) in document["paths"].as_object().expect("an object") {
        for (method, about) in methods.as_object().expect("an object") {
            let send = |encoding, body| {
                let reply = server.client().send(&method.to_uppercase(), &filled(path), encoding, body);
                let status = reply.status.to_string();
                let told = schemas.resolve(&about["responses"][&status]);
                assert!(told.is_object(), "{method} {path}: {status} {}", reply.text());
                if reply.status >= 400 {
                    let schema = &told["content"]["application/json"]["schema"];
                    assert_eq!(schemas.faults(schema, &reply.json()), [""; 0], "{method} {path}: {status}");
                }
                reply.status
            };
            send(&[], b"");
            if about.get("requestBody").is_some() {
                send(&[("content-encoding", "br")], b"packed");
                assert_eq!(send(&[], &long), 413, "{method} {path}");
            }
        }
    }
}

#[test]
fn every_reference_in_the_document_leads_somewhere() {
    let server = Server::start(&["--memory"]);
    let document = server.get("/_ebbtide/openapi.json").json();
    let mut open = vec![&document];
    let mut references = 0;
    while let Some(value) = open.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                    let pointer = reference.strip_prefix('#').expect("inside of the document");
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                    references += 1;
                }
                open.extend(fields.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    assert!(references > 50, "they were found");
}

/// For each operation a good request: its name, query and body. In an order in which what one needs is there before it.
const GOOD: &[(&str, &str, &str)] = &[
    ("list_versions", "", ""),
    ("show_version", "", ""),
    (
        "add_metric_data",
        "",
        r#"[{"metric":{"namespace":"MINE.APP","dimensions":[{"name":"host","value":"a"}],"metric_name":"cpu"},"ttl":3600,
            "collect_time":NOW,"value":60.5,"unit":"%","type":"float"}]"#,
    ),
    (
        "query_metric_data",
        "namespace=MINE.APP&metric_name=cpu&dim.0=host,a&from=0&to=NOW&period=300&filter=average",
        "",
    ),
    (
        "batch_query_metric_data",
        "",
        r#"{"metrics":[{"namespace":"MINE.APP","metric_name":"cpu","dimensions":[{"name":"host","value":"a"}]}],
            "from":0,"to":NOW,"period":"1","filter":"max"}"#,
    ),
    ("list_metrics", "namespace=MINE.APP&limit=10&order=asc", ""),
    ("show_quotas", "", ""),
    ("list_alarms", "limit=10", ""),
    (
        "create_events",
        "",
        r#"[{"event_name":"e","event_source":"MINE.APP","time":NOW,"detail":{"event_state":"normal","event_level":"Major",
            "event_type":"EVENT.CUSTOM","content":"c","event_user":"u","group_id":"g","resource_id":"i","resource_name":"n",
            "dimensions":[{"name":"host","value":"a"}]}}]"#,
    ),
    ("list_events", "event_type=EVENT.CUSTOM&limit=10", ""),
    ("list_event_details", "event_type=EVENT.CUSTOM&start=0", ""),
    ("list_event_data", "", ""),
    ("list_backup_policies", "", ""),
    (
        "create_backup_policy",
        "",
        r#"{"backup_policy_name":"n","scheduled_policy":{"start_time":"22:00,00:00","frequency":1,"rentention_num":2,
            "remain_first_backup_of_curMonth":"Y","status":"ON"},"tags":[{"key":"a","value":"b"}],"time_zone":"UTC+02:00"}"#,
    ),
    (
        "update_backup_policy",
        "",
        r#"{"scheduled_policy":{"week_frequency":["SUN"],"rentention_day":30,"status":"OFF"}}"#,
    ),
    ("list_backup_policies", "", ""),
    ("list_backup_policy_tags", "", ""),
    (
        "query_backup_policies",
        "",
        r#"{"action":"filter","tags":[{"key":"a","values":["b"]}],"matches":[{"key":"resource_name","value":"n"}],
            "limit":"10","offset":"0"}"#,
    ),
    ("show_backup_policy_tags", "", ""),
    ("add_backup_policy_tag", "", r#"{"tag":{"key":"k","value":"v"}}"#),
    ("change_backup_policy_tags", "", r#"{"action":"create","tags":[{"key":"l","value":"v"}]}"#),
    ("delete_backup_policy_tag", "", ""),
    (
        "associate_resources",
        "",
        r#"{"backup_policy_id":"POLICY","resources":[{"resource_id":"v","resource_type":"volume"}]}"#,
    ),
    ("list_volumes", "", ""),
    ("create_backup", "", r#"{"backup":{"volume_id":"v","name":"n","description":"d"}}"#),
    ("create_backup", "", r#"{"backup":{"volume_id":"v"}}"#),
    ("show_job", "", ""),
    ("show_job_v2", "", ""),
    ("list_backups", "volume_id=v&limit=1", ""),
    ("list_backup_details", "limit=1", ""),
    ("show_backup", "", ""),
    ("delete_backup", "", ""),
    ("list_backups_v2", "status=available", ""),
    ("list_backup_details_v2", "name=n", ""),
    ("show_backup_v2", "", ""),
    ("delete_backup_v2", "", ""),
    ("show_backup_quotas", "", ""),
    ("execute_backup_policy", "", ""),
    ("list_backup_tasks", "sort_dir=asc&sort_key=created_at&limit=10", ""),
    ("disassociate_resources", "", r#"{"resources":[{"resource_id":"v"},{"resource_id":"w"}]}"#),
    ("delete_backup_policy", "", ""),
    ("declare_volume", "", r#"{"project":"p","id":"w","name":"n"}"#),
    ("show_identity_version", "", ""),
    ("create_token", "", include_str!("wire/login.json")),
    ("show_token", "", ""),
    ("list_projects", "name=p", ""),
    ("list_own_projects", "", ""),
    ("list_domains", "", ""),
    ("show_catalog", "", ""),
    ("list_services", "", ""),
    ("list_endpoints", "", ""),
    ("revoke_token", "", ""),
    ("health", "", ""),
    ("ready", "", ""),
    ("state", "", ""),
    ("take_snapshot", "", ""),
    ("list_snapshots", "", ""),
    ("restore_snapshot", "", ""),
    ("remove_snapshot", "", ""),
    ("add_fault", "", r#"{"operation":"list_metrics","project":"p","count":1,"status":503,"code":"c","message":"m"}"#),
    ("list_faults", "", ""),
    ("remove_fault", "", ""),
    ("clear_faults", "", ""),
    ("list_requests", "from=0&limit=2", ""),
    ("clear_requests", "", ""),
    (
        "write_points",
        "",
        r#"{"project":"p","points":[{"namespace":"A","metric_name":"m","dimensions":[],"time":1,"value":7,"unit":"u"}]}"#,
    ),
    ("read_points", "project=p&namespace=A&metric_name=m&from=0", ""),
    ("flush", "", ""),
    ("compact", "", ""),
    ("show_clock", "", ""),
    ("advance_clock", "", r#"{"seconds":1,"millis":1}"#),
    ("stop_clock", "", ""),
    ("resume_clock", "", ""),
    ("set_clock", "", r#"{"now":LATER}"#),
    ("openapi", "", ""),
    ("metrics", "", ""),
    ("reset", "", r#"{"now":null}"#),
];

/// One operation of the document: its method, its path, and what is told of it.
fn operation<'a>(document: &'a Value, name: &str) -> (String, &'a str, &'a Value) {
    let paths = document["paths"].as_object().expect("an object").iter();
    let mut all = paths.flat_map(|(path, methods)| {
        methods
            .as_object()
            .expect("an object")
            .iter()
            .map(move |(method, about)| (method.to_uppercase(), &**path, about))
    });
    all.find(|(.., about)| about["operationId"] == name).unwrap_or_else(|| panic!("there is no operation {name}"))
}

/// What is wrong with a query, by the parameters that are told.
fn faults_of_query(schemas: Schemas<'_>, about: &Value, query: &str) -> Vec<String> {
    let none = Vec::new();
    let told: Vec<&Value> = about["parameters"].as_array().unwrap_or(&none).iter().collect();
    let told: Vec<&Value> = told.into_iter().filter(|each| each["in"] == "query").collect();
    let given: Vec<(&str, &str)> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let mut faults = Vec::new();
    for parameter in &told {
        let is_given = given.iter().any(|(name, _)| parameter["name"] == *name);
        if parameter["required"] == true && !is_given {
            faults.push(format!("the query lacks {}", parameter["name"]));
        }
    }
    for (name, text) in given {
        let Some(parameter) = told.iter().find(|each| each["name"] == name) else {
            faults.push(format!("{name} is not told"));
            continue;
        };
        let number = text.parse().map(|number: i64| Value::from(number));
        let value = number.unwrap_or_else(|_| Value::from(text));
        let schema = schemas.resolve(&parameter["schema"]).clone();
        faults.extend(Schemas(schemas.0).faults(&schema, &value));
    }
    faults
}

/// Waits until a policy has nothing to do.
fn idle(client: Client, policy: &str) {
    let path = format!("/v2/p/backuppolicy/{policy}/backuptasks?status=");
    let count = |status: &str| client.get(&format!("{path}{status}")).json()["count"].as_u64();
    wait_for("a policy", || (count("WAITING") == Some(0) && count("RUNNING") == Some(0)).then_some(()));
}

#[test]
fn a_good_request_of_each_operation_and_its_answer_are_as_the_document_tells() {
    // Goal: the document is true as to what is asked and answered, field by field. Method: one good request of each
    // operation, answers of POSTs included, held against its schemas.
    let server = Server::start(&["--memory"]);
    let document = server.get("/_ebbtide/openapi.json").json();
    let schemas = Schemas(&document);
    let [now, later] = [0, 3_600_000].map(|ahead| (now_millis() + ahead).to_string());
    let (mut token, mut wrong) = (String::new(), Vec::new());
    let (mut policy, mut backup, mut job) = (String::new(), String::new(), String::new());
    for (name, query, body) in GOOD {
        let (method, path, about) = operation(&document, name);
        let (query, body) = (query.replace("NOW", &now), body.replace("NOW", &now).replace("LATER", &later));
        let body = body.replace("POLICY", &policy);
        assert_eq!(faults_of_query(schemas, about, &query), [""; 0], "{name}");
        let asked = &about["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(asked.is_null(), body.is_empty(), "{name}: the request has a body if one is told");
        if !body.is_empty() {
            let body = serde_json::from_str(&body).expect("JSON");
            assert_eq!(schemas.faults(asked, &body), [""; 0], "{name}: the request");
        }
        let headers = [("content-type", "application/json"), ("x-subject-token", token.as_str())];
        let path = path.replace("{policy_id}", &policy).replace("{backup_id}", &backup).replace("{job_id}", &job);
        if *name == "delete_backup_policy" {
            idle(server.client(), &policy);
        }
        let reply = server.client().send(&method, &format!("{}?{query}", filled(&path)), &headers, body.as_bytes());
        let told = schemas.resolve(&about["responses"][reply.status.to_string()]);
        assert!((200..300).contains(&reply.status) && told.is_object(), "{name}: {} {}", reply.status, reply.text());
        let of_ours = reply.headers.iter().map(|(name, _)| name.as_str()).filter(|name| name.starts_with("x-"));
        for header in of_ours.filter(|name| *name != "x-request-id") {
            assert!(told["headers"].get(header).is_some(), "{name}: {header} is not told");
        }
        let content = told["content"].as_object().map(|content| content.iter().next().expect("one kind of it"));
        match content {
            None => assert_eq!(reply.text(), "", "{name}"),
            Some((kind, about)) => {
                let given = reply.header("content-type").unwrap_or_default();
                assert!(given.starts_with(kind.as_str()), "{name}: {given} for {kind}");
                let value = if kind == "application/json" { reply.json() } else { reply.text().into() };
                wrong.extend(schemas.faults(&about["schema"], &value).iter().map(|fault| format!("{name}: {fault}")));
            }
        }
        if let Some(given) = reply.header("x-subject-token") {
            given.clone_into(&mut token);
        }
        let told = if content.is_some_and(|(kind, _)| kind == "application/json") { reply.json() } else { Value::Null };
        for (place, id) in [
            (&told["backup_policy_id"], &mut policy),
            (&told["backups"][0]["id"], &mut backup),
            (&told["job_id"], &mut job),
        ] {
            if let Some(given) = place.as_str() {
                given.clone_into(id);
            }
        }
        if *name == "create_backup" {
            let path = format!("/v1/p/jobs/{job}");
            wait_for("a backup", || (!server.get(&path).json()["end_time"].is_null()).then_some(()));
        }
    }
    assert_eq!(wrong, [""; 0]);
    for (path, methods) in document["paths"].as_object().expect("an object") {
        for about in methods.as_object().expect("an object").values() {
            assert!(GOOD.iter().any(|(name, ..)| about["operationId"] == *name), "{path}: {}", about["operationId"]);
        }
    }
}

#[test]
fn refusals_have_the_shape_that_the_document_tells() {
    let server = Server::start(&["--memory"]);
    let document = server.get("/_ebbtide/openapi.json").json();
    let schemas = Schemas(&document);
    for (name, address) in [
        ("query_metric_data", "/V1.0/p/metric-data"),
        ("create_token", "/v3/auth/tokens"),
        ("write_points", "/_ebbtide/points"),
        ("remove_fault", "/_ebbtide/faults/%ff"),
        ("restore_snapshot", "/_ebbtide/snapshots/%ff/restore"),
    ] {
        let (method, _, about) = operation(&document, name);
        let reply = server.client().request(&method, address, b"");
        assert_eq!(reply.status, 400, "{name}: {}", reply.text());
        let schema = &schemas.resolve(&about["responses"]["400"])["content"]["application/json"]["schema"];
        assert_eq!(schemas.faults(schema, &reply.json()), [""; 0], "{name}");
    }
}

#[test]
fn what_is_not_as_a_schema_tells_is_found() {
    // Goal: the walker of these tests sees what it is for. Method: one mistake of each kind.
    let document = json!({ "one": { "type": "object", "properties": { "n": { "type": ["integer", "null"], "minimum": 1 },
        "list": { "type": "array", "minItems": 1, "maxItems": 2, "items": { "type": "string", "enum": ["a", "b"], "maxLength": 1 } } },
        "required": ["n"] } });
    let schema = json!({ "$ref": "#/one" });
    let faults = |value: Value| Schemas(&document).faults(&schema, &value).len();
    for good in [json!({ "n": 1 }), json!({ "n": null, "list": ["a", "b"] })] {
        assert_eq!(faults(good.clone()), 0, "{good}");
    }
    for bad in [json!(7), json!({}), json!({ "n": 0 }), json!({ "n": 1.5 }), json!({ "n": 1, "other": 1 })] {
        assert!(faults(bad.clone()) > 0, "{bad}");
    }
    for bad in [json!([]), json!(["a", "a", "a"]), json!(["c"]), json!([1]), json!("a")] {
        assert!(faults(json!({ "n": 1, "list": bad })) > 0, "{bad}");
    }
}
