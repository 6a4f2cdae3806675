//! Who is let in: by tokens, by signatures and by logging in; and nobody is asked as long as nobody is named.

mod login;

use std::sync::Arc;
use std::time::Duration;

use ebbtide::server::{Credentials, MockServer, ServerConfig};
use ebbtide::{ManualClock, Timestamp};

use crate::harness::{Client, Reply, Server, points_path, run};

const PROJECT: &str = "b3bdf0e2f8f64a9f8f5c2c0f9a3d1e77";

fn guarded(credentials: Credentials) -> (MockServer, Client) {
    started(ServerConfig::in_memory().credentials(credentials))
}

fn started(config: ServerConfig) -> (MockServer, Client) {
    let server = MockServer::start_with(config).expect("starts");
    let client = Client::new(server.uri()["http://".len()..].parse().expect("an address"));
    (server, client)
}

fn ask(client: Client, project: &str, headers: &[(&str, &str)]) -> Reply {
    let asked = "namespace=MINE.APP&metric_name=cpu&dim.0=host,a&from=0&to=1&period=1&filter=sum";
    client.send("GET", &format!("{}?{asked}", points_path(project)), headers, b"")
}

#[test]
fn without_credentials_everybody_is_let_in_whatever_they_say() {
    let server = Server::start(&["--memory"]);
    for headers in [
        &[][..],
        &[("x-auth-token", "anything")],
        &[("authorization", "SDK-HMAC-SHA256 Access=x, SignedHeaders=y, Signature=z")],
        &[("authorization", "Basic nonsense")],
    ] {
        assert_eq!(ask(server.client(), "p", headers).status, 200, "{headers:?}");
    }
}

#[test]
fn a_token_lets_in_and_to_its_own_project_only() {
    let server = Server::start(&["--memory", "--token", "mine=p", "--token", "any"]);
    let ask = |project, headers: &[(&str, &str)]| ask(server.client(), project, headers);
    ask("p", &[]).assert_refused(401, "ces.0015", "neither a token nor a signature");
    ask("p", &[("x-auth-token", "mine2")]).assert_refused(401, "ces.0015", "token");
    ask("p", &[("x-auth-token", "")]).assert_refused(401, "ces.0015", "neither");
    assert_eq!(ask("p", &[("x-auth-token", "mine")]).status, 200);
    ask("q", &[("x-auth-token", "mine")]).assert_refused(403, "ces.0017", "another project");
    for project in ["p", "q"] {
        assert_eq!(ask(project, &[("x-auth-token", "any")]).status, 200);
    }
    let body = b"[]";
    let refused = server.client().send("POST", &points_path("p"), &[], body);
    refused.assert_refused(401, "ces.0015", "");
    server.get("/V1.0/p/nothing").assert_refused(401, "ces.0015", "");
    assert_eq!(server.get("/v3").status, 200, "versions are for everybody");
    assert_eq!(server.get("/v3/projects").json()["error"]["code"], 401, "in the shape of its face");
}

/// Headers of the published vectors.
fn signed<'a>(authorization: &'a str, date: &'a str) -> [(&'a str, &'a str); 6] {
    [
        ("host", "127.0.0.1:8080"),
        ("content-type", "application/json"),
        ("user-agent", "ts-test/1.0"),
        ("x-project-id", PROJECT),
        ("x-sdk-date", date),
        ("authorization", authorization),
    ]
}

#[test]
fn signed_requests_are_let_in_for_a_quarter_of_an_hour() {
    // Goal: the vectors of auth-and-clients 3.2 pass the whole way, a tampered one does not. Method: the clock stands at
    // the moment at which they were signed.
    let keys = Credentials::new().access_key(&format!("AKIDEXAMPLE:SKEXAMPLE0123456789={PROJECT}")).expect("good");
    let world = Arc::new(ManualClock::new(Timestamp::from_secs(1_767_225_600)));
    let (server, client) = started(ServerConfig::in_memory().credentials(keys).clock(world.clone()));
    let names = "content-type;host;user-agent;x-project-id;x-sdk-date";
    let line =
        |signature: &str| format!("SDK-HMAC-SHA256 Access=AKIDEXAMPLE, SignedHeaders={names}, Signature={signature}");
    let query = line("f762a404b1b9a46a0f92b23500716a4aa81e0019852e3b15044f1752b924e650");
    let body = r#"[{"metric":{"namespace":"MINE.APP","metric_name":"cpu_util","dimensions":[{"name":"instance_id","value":"i-1"}]},"ttl":172800,"collect_time":1767225600000,"value":60,"unit":"%","type":"int"}]"#;
    let add = line("68c6b678634943aa06ba6af3d45350aaa341df986d08ec6901aab5c8890c4cd3");
    let asked = "dim.0=instance_id%2Ci-1&filter=average&from=1767225000000&metric_name=cpu_util&namespace=MINE.APP\
                 &period=300&to=1767225600000";
    let path = format!("{}?{asked}", points_path(PROJECT));
    let date = "20260101T000000Z";
    client.send("POST", &points_path(PROJECT), &signed(&add, date), body.as_bytes()).assert_stored();
    let reply = client.send("GET", &path, &signed(&query, date), b"");
    assert_eq!(reply.json()["datapoints"][0]["average"], 60, "{}", reply.text());

    let tampered = body.replace("60,", "61,");
    client.send("POST", &points_path(PROJECT), &signed(&add, date), tampered.as_bytes()).assert_refused(
        401,
        "ces.0015",
        "does not match",
    );
    let other = path.replace("average", "max");
    client.send("GET", &other, &signed(&query, date), b"").assert_refused(401, "ces.0015", "does not match");
    client.send("GET", &path, &signed(&query, "20260101T000001Z"), b"").assert_refused(401, "ces.0015", "not match");
    let stranger = query.replace("AKIDEXAMPLE", "AKIDOTHER");
    client.send("GET", &path, &signed(&stranger, date), b"").assert_refused(401, "ces.0015", "access key");

    server.advance(Duration::from_secs(7 * 86_400)).expect("forward");
    let later = client.send("GET", &path, &signed(&query, date), b"");
    assert_eq!(later.status, 200, "clients sign by the world's clock, not by this server's: {}", later.text());
    world.advance(Duration::from_secs(900));
    assert_eq!(client.send("GET", &path, &signed(&query, date), b"").status, 200);
    world.advance(Duration::from_millis(1));
    client.send("GET", &path, &signed(&query, date), b"").assert_refused(401, "ces.0015", "15 minutes");
}

#[test]
fn what_lets_others_in_is_not_told_by_the_journal() {
    let (server, client) = guarded(Credentials::new().token("secret-token").expect("good"));
    assert_eq!(ask(client, "p", &[("x-auth-token", "secret-token")]).status, 200);
    let login = include_bytes!("wire/login.json");
    client.send("POST", "/v3/auth/tokens", &[], login);
    let tokens = [("x-auth-token", "secret-token"), ("x-subject-token", "another-secret")];
    client.send("GET", "/v3/auth/tokens", &tokens, b"");
    assert!(client.get("/_ebbtide/requests").status == 200, "the admin is not asked who they are");
    let told = client.get("/_ebbtide/requests");
    assert!(!told.text().contains("secret"), "{}", told.text());
    assert_eq!(server.received_requests().len(), 3);
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the test writes a file as a user would")]
fn credentials_come_from_a_file_too_and_a_bad_one_is_no_open_door() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("who");
    let path = file.to_str().expect("UTF-8");
    std::fs::write(&file, "# those who may\ntoken t1=p\naccess-key AK:SK\nuser me:secret\n").expect("written");
    let server = Server::start(&["--memory", "--credentials", path]);
    assert_eq!(ask(server.client(), "p", &[("x-auth-token", "t1")]).status, 200);
    assert_eq!(ask(server.client(), "p", &[]).status, 401);
    for (text, fragment) in [("# nobody\n", "names nobody"), ("token t\nother x\n", "line 2"), ("user x\n", "line 1")] {
        std::fs::write(&file, text).expect("written");
        let output = run(&["serve", "--memory", "--listen", "127.0.0.1:0", "--credentials", path]);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains(fragment), "{message}");
    }
    for argument in [["--token", ""], ["--access-key", "nocolon"], ["--user", ":x"], ["--token", "t=p.q"]] {
        let output = run(&["serve", "--memory", "--listen", "127.0.0.1:0", argument[0], argument[1]]);
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && message.contains(argument[0]), "{argument:?} {message}");
    }
}
