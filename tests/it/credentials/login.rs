//! The log-in face as its clients use it.

use std::sync::Arc;
use std::time::Duration;

use ebbtide::server::{Credentials, ServerConfig};
use ebbtide::{Clock as _, ManualClock, SystemClock};
use serde_json::json;

use super::{ask, guarded, started};
use crate::harness::{Client, Reply, Server};

/// The body that openstacksdk sends (auth-and-clients 3.1).
fn login(client: Client, user: &str, password: &str, project: Option<&str>) -> Reply {
    let user = json!({ "name": user, "password": password, "domain": { "name": "d" } });
    let mut body = json!({ "auth": { "identity": { "methods": ["password"], "password": { "user": user } } } });
    if let Some(project) = project {
        body["auth"]["scope"] = json!({ "project": { "name": project, "domain": { "name": "d" } } });
    }
    client.post("/v3/auth/tokens", body.to_string())
}

fn token(reply: &Reply) -> String {
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.header("x-subject-token").expect("a token").to_owned()
}

#[test]
fn anybody_logs_in_where_nobody_is_named_and_finds_every_face() {
    let server = Server::start(&["--memory", "--region", "eu-nl"]);
    let version = server.get("/v3").json();
    assert_eq!(version["version"]["id"], "v3.6");
    assert_eq!(version["version"]["links"][0]["href"], "http://test/v3/", "by the name that the client used");
    let reply = login(server.client(), "anybody", "anything", Some("my-project"));
    let found = &reply.json()["token"];
    assert_eq!((&found["project"]["id"], &found["user"]["name"]), (&"my-project".into(), &"anybody".into()));
    let service = found["catalog"].as_array().expect("a list").iter().find(|each| each["type"] == "ces").expect("ces");
    let endpoint = &service["endpoints"][0];
    assert_eq!((&endpoint["url"], &endpoint["region"]), (&"http://test/V1.0/my-project".into(), &"eu-nl".into()));
    assert_eq!(ask(server.client(), "my-project", &[("x-auth-token", &token(&reply))]).status, 200);
    let unscoped = login(server.client(), "anybody", "anything", None);
    assert_eq!(unscoped.json()["token"]["project"]["id"], "default");
    let short = server.post("/v3/auth/tokens?nocatalog", include_str!("../wire/login.json"));
    assert!(short.status == 201 && short.json()["token"].get("catalog").is_none());
}

#[test]
fn users_log_in_with_their_passwords_to_their_projects() {
    let users = Credentials::new().user("me:secret=mine").expect("good").user("root:secret2").expect("good");
    let world = Arc::new(ManualClock::new(SystemClock::default().now()));
    let (server, client) = started(ServerConfig::in_memory().credentials(users).clock(world.clone()));
    for (user, password) in [("me", "wrong"), ("you", "secret"), ("root", "secret")] {
        let reply = login(client, user, password, Some("mine"));
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (401, &401.into()), "{user}");
        assert_eq!(reply.header("x-subject-token"), None);
    }
    assert_eq!(login(client, "me", "secret", Some("other")).status, 401, "not their project");
    assert_eq!(login(client, "root", "secret2", Some("a.b")).status, 400, "no project id");
    let mine = token(&login(client, "me", "secret", None));
    assert_eq!(ask(client, "mine", &[("x-auth-token", &mine)]).status, 200);
    ask(client, "other", &[("x-auth-token", &mine)]).assert_refused(403, "ces.0017", "another project");
    let other = token(&login(client, "root", "secret2", Some("other")));
    assert_eq!(ask(client, "other", &[("x-auth-token", &other)]).status, 200);
    ask(client, "mine", &[("x-auth-token", &other)]).assert_refused(403, "ces.0017", "another project");

    let subject = [("x-auth-token", mine.as_str()), ("x-subject-token", mine.as_str())];
    let shown = client.send("GET", "/v3/auth/tokens", &subject, b"");
    assert_eq!((shown.status, &shown.json()["token"]["project"]["id"]), (200, &"mine".into()));
    server.advance(Duration::from_secs(7 * 86_400)).expect("forward");
    assert_eq!(ask(client, "mine", &[("x-auth-token", &mine)]).status, 200, "a token is of the world's time");
    world.advance(Duration::from_secs(86_400));
    ask(client, "mine", &[("x-auth-token", &mine)]).assert_refused(401, "ces.0015", "expired");
}

#[test]
fn a_token_can_be_changed_for_another_and_given_back() {
    let (_server, client) =
        guarded(Credentials::new().user("me:secret").expect("good").token("fixed=p").expect("good"));
    let first = token(&login(client, "me", "secret", Some("p")));
    let change = |token: &str, project: &str| {
        let identity = json!({ "methods": ["token"], "token": { "id": token } });
        let scope = json!({ "project": { "id": project } });
        client.post("/v3/auth/tokens", json!({ "auth": { "identity": identity, "scope": scope } }).to_string())
    };
    let second = token(&change(&first, "p"));
    assert_eq!(change(&first, "q").status, 401, "a token of one project does not open another");
    assert_eq!(change("unknown", "p").status, 401);
    assert_eq!(token(&change("fixed", "p")).len(), 32);
    let subject = [("x-auth-token", second.as_str()), ("x-subject-token", first.as_str())];
    assert_eq!(client.send("DELETE", "/v3/auth/tokens", &subject, b"").status, 204);
    assert_eq!(client.send("DELETE", "/v3/auth/tokens", &subject, b"").status, 404);
    assert_eq!(client.send("GET", "/v3/auth/tokens", &subject, b"").status, 404);
    assert_eq!(ask(client, "p", &[("x-auth-token", &first)]).status, 401);
    assert_eq!(ask(client, "p", &[("x-auth-token", &second)]).status, 200);
}

#[test]
fn projects_domains_and_catalogue_are_those_of_whoever_asks() {
    // SDK-HW asks for the project with the name of its region and takes the only one; GOPHER reads all three.
    let keys = Credentials::new().token("bound=mine").expect("good").token("free").expect("good");
    let (_server, client) = guarded(keys);
    let get = |path: &str, headers: &[(&str, &str)]| client.send("GET", path, headers, b"").json();
    let bound = [("x-auth-token", "bound")];
    let free = [("x-auth-token", "free")];
    let named = get("/v3/projects?name=eu-de", &bound);
    assert_eq!(named["projects"].as_array().map(Vec::len), Some(1));
    assert_eq!((&named["projects"][0]["id"], &named["projects"][0]["name"]), (&"mine".into(), &"eu-de".into()));
    assert_eq!(get("/v3/projects?name=eu-de", &free)["projects"][0]["id"], "eu-de");
    assert_eq!(get("/v3/auth/projects", &bound)["projects"][0]["id"], "mine");
    assert_eq!(get("/v3/auth/domains", &free)["domains"][0]["id"], "default");
    let url = |headers: &[(&str, &str)]| get("/v3/auth/catalog", headers)["catalog"][0]["endpoints"][0]["url"].clone();
    assert_eq!(url(&bound), "http://test/V1.0/mine");
    assert_eq!(url(&[free[0], ("x-project-id", "asked")]), "http://test/V1.0/asked");
    assert_eq!(url(&free), "http://test/V1.0/default");
    assert_eq!(get("/v3/services", &bound)["services"][0]["type"], "ces");
    assert_eq!(get("/v3/endpoints", &bound)["endpoints"][0]["url"], "http://test/V1.0/mine");
    assert_eq!(get("/v3/nothing", &bound)["error"]["title"], "Not Found", "in the shape of its face");
    let wrong = client.request("PUT", "/v3/projects", b"");
    assert_eq!((wrong.status, &wrong.json()["error"]["title"]), (401, &"Unauthorized".into()));
}

#[test]
fn a_log_in_that_cannot_be_read_says_so() {
    let server = Server::start(&["--memory"]);
    for body in ["", "{}", r#"{"auth":{"identity":{"methods":["totp"]}}}"#] {
        let reply = server.post("/v3/auth/tokens", body);
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &400.into()), "{body}");
    }
    assert_eq!(server.client().request("PUT", "/v3/auth/tokens", b"").status, 405);
}
