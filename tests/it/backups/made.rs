//! Backups that are made, by hand and by policies: how they are listed, and how their jobs stand.

use serde_json::{Value, json};

use super::{assert_refused, associate, backups, by_hand, create, daily, own_volume, tasks};
use crate::harness::{Client, Server, wait_for};

#[test]
fn a_policy_that_is_run_makes_a_backup_of_each_of_its_volumes() {
    let server = Server::start(&["--memory"]);
    let client = server.client();
    let id = create(client, &daily("nightly"));
    associate(client, &id, &["v", "w"]);
    let run = client.post(&format!("/v2/p/backuppolicy/{id}/action"), "");
    assert_eq!((run.status, run.body.len()), (204, 0));
    let tasks = tasks(client, &id);
    assert_eq!(tasks.len(), 2);
    for (task, volume) in tasks.iter().zip(["w", "v"]) {
        assert_eq!((&task["status"], &task["resource_id"]), (&json!("EXECUTE_SUCCESS"), &json!(volume)));
        assert_eq!(task["resource_type"], "volume");
        assert!(task["backup_name"].as_str().is_some_and(|name| name.starts_with("autobk_")));
        let time = task["created_at"].as_str().expect("a text");
        assert!(time.len() == 23 && time.as_bytes()[19] == b'.', "{time}");
        let job = client.get(&format!("/v1/p/jobs/{}", task["job_id"].as_str().expect("a text"))).json();
        assert_eq!((&job["status"], &job["entities"]["volume_id"]), (&json!("SUCCESS"), &json!(volume)));
        let backup = client.get(&format!("/v2/p/backups/{}", job["entities"]["backup_id"].as_str().expect("a text")));
        assert_eq!(backup.json()["backup"]["name"], task["backup_name"]);
    }
    // By status, by job, the other way round, and in pages.
    let list = |query: &str| client.get(&format!("/v2/p/backuppolicy/{id}/backuptasks?{query}")).json();
    let first = tasks[1]["job_id"].as_str().expect("a text");
    assert_eq!(list("status=RUNNING"), json!({ "tasks": [], "count": 0 }));
    assert_eq!(list("status=EXECUTE_SUCCESS&sort_key=created_at")["count"], 2);
    assert_eq!(list(&format!("job_id={first}"))["tasks"], json!([tasks[1]]));
    assert_eq!(list("sort_dir=asc&limit=1"), json!({ "tasks": [tasks[1]], "count": 2 }));
    assert_eq!(list("limit=1&offset=1")["tasks"], json!([tasks[1]]));
    assert_eq!(list(&format!("marker={first}"))["tasks"], json!([]));
    for wrong in ["status=DONE", "sort_key=name", "sort_dir=up", "limit=x", "marker=x"] {
        assert_refused(&client.get(&format!("/v2/p/backuppolicy/{id}/backuptasks?{wrong}")), 400, "AutoBackup.0008");
    }
}

#[test]
fn a_policy_keeps_as_many_as_it_says_and_leaves_those_by_hand() {
    let server = Server::start(&["--memory"]);
    let client = server.client();
    let id = create(client, &daily("nightly"));
    associate(client, &id, &["v"]);
    by_hand(client, "v", "mine");
    for _ in 0..4 {
        assert_eq!(client.post(&format!("/v2/p/backuppolicy/{id}/action"), "").status, 204);
        tasks(client, &id);
    }
    let ids: Vec<_> = backups(client).iter().map(|backup| backup["name"].clone()).collect();
    assert_eq!((ids.len(), &ids[0]), (3, &json!("mine")), "two of the policy, and the one by hand");
}

#[test]
fn backups_are_listed_in_pages_by_name_volume_and_status() {
    let server = Server::start(&["--memory"]);
    let client = server.client();
    let id = create(client, &daily("nightly"));
    associate(client, &id, &["v", "w"]);
    for (volume, name) in [("v", "a"), ("w", "b"), ("v", "c")] {
        let job = by_hand(client, volume, name);
        assert_eq!((&job["status"], &job["fail_reason"]), (&json!("SUCCESS"), &Value::Null));
    }
    let names = |query: &str| -> Vec<String> {
        let list = client.get(&format!("/v3/p/backups?{query}")).json();
        let name = |each: &Value| each["name"].as_str().expect("a text").to_owned();
        list["backups"].as_array().expect("a list").iter().map(name).collect()
    };
    assert_eq!(names(""), ["c", "b", "a"]);
    assert_eq!(names("volume_id=v"), ["c", "a"]);
    assert_eq!(names("name=b&status=available"), ["b"]);
    assert_eq!(names("status=error"), [""; 0]);
    // By following links, and by the marker that some clients make by themselves, to an empty page.
    let first = client.get("/v2/p/backups?limit=2").json();
    let next = first["backups_links"][0]["href"].as_str().expect("a link").to_owned();
    let path = next.split_once("test").expect("the host that was asked").1;
    let second = client.get(path).json();
    assert_eq!((&second["backups"][0]["name"], second.get("backups_links")), (&json!("a"), None));
    let last = second["backups"][0]["id"].as_str().expect("a text");
    assert_eq!(names(&format!("marker={last}")), [""; 0]);
    // In detail, on either path.
    let details = client.get("/v2/p/backups/detail?name=b").json()["backups"][0].clone();
    assert_eq!(
        (&details["description"], &details["volume_id"], &details["status"]),
        (&json!("why"), &json!("w"), &json!("available"))
    );
    assert_eq!(
        (&details["os-bak-tenant-attr:tenant_id"], &details["availability_zone"]),
        (&json!("p"), &json!("eu-de-01"))
    );
    let path = format!("/v3/p/backups/{}", details["id"].as_str().expect("a text"));
    assert_eq!(client.get(&path).json()["backup"]["id"], details["id"]);
    assert_eq!(client.request("DELETE", &path, b"").status, 202);
    assert_refused(&client.get(&path), 404, "AutoBackup.1100");
    assert_refused(&client.request("DELETE", &path, b""), 404, "AutoBackup.1100");
    assert_eq!(names(""), ["c", "a"]);
    let quotas = client.get("/v2/p/cloudbackups/quota").json();
    assert_eq!(quotas["quotas"]["resources"][0], json!({ "type": "backups", "used": 2, "quota": 10_000 }));
    assert_eq!(quotas["quotas"]["resources"][1], json!({ "type": "backup_policies", "used": 1, "quota": 10 }));
}

#[test]
fn a_backup_by_hand_needs_a_volume_and_a_name_of_its_own() {
    let server = Server::start(&["--memory"]);
    let client = server.client();
    let own = own_volume(client);
    let ask = |backup: Value| client.post("/v2/p/cloudbackups", json!({ "backup": backup }).to_string());
    assert_refused(&ask(json!({ "name": "x" })), 400, "AutoBackup.0209");
    assert_refused(&ask(json!({ "volume_id": "unknown" })), 404, "AutoBackup.0208");
    assert_refused(&ask(json!({ "volume_id": own, "name": "auto-1" })), 400, "AutoBackup.0008");
    assert_refused(&ask(json!({ "volume_id": own, "name": "x".repeat(65) })), 400, "AutoBackup.0008");
    assert_refused(&client.post("/v2/p/cloudbackups", "{}"), 400, "AutoBackup.0008");
    assert_refused(&client.get("/v1/p/jobs/none"), 404, "AutoBackup.1100");
    assert_refused(&client.get("/v2/p/jobs/none"), 404, "AutoBackup.1100");
    assert_eq!(backups(client), Vec::<Value>::new());
}

#[test]
fn a_reset_forgets_policies_and_backups_and_a_snapshot_brings_them_back() {
    let server = Server::start(&["--memory", "--volume", "declared=p"]);
    let client = server.client();
    let id = create(client, &daily("nightly"));
    associate(client, &id, &["v"]);
    by_hand(client, "v", "a");
    assert_eq!(client.request("PUT", "/_ebbtide/snapshots/one", b"").status, 201);
    let before = (super::policies(client), backups(client));
    by_hand(client, "v", "b");
    assert_eq!(client.post("/_ebbtide/reset", "").status, 200);
    assert_eq!((super::policies(client).len(), backups(client)), (1, Vec::new()));
    let volumes = client.get("/v2/p/volumes").json();
    assert_eq!(volumes["volumes"][1]["id"], "declared", "as at the start");
    assert_eq!(client.post("/_ebbtide/snapshots/one/restore", "").status, 200);
    assert_eq!((super::policies(client), backups(client)), before);
}

#[test]
fn a_server_runs_policies_by_itself_and_makes_up_for_a_downtime_once() {
    // Goal: nobody has to ask. Method: a server in this process on a directory, with a clock by hand; a day that goes by
    // while it runs, and three while it does not.
    use std::sync::Arc;
    use std::time::Duration;

    use ebbtide::server::{Server, ServerConfig};
    use ebbtide::{ManualClock, Timestamp};

    const DAY: Duration = Duration::from_secs(86_400);
    let dir = tempfile::tempdir().expect("a directory");
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(20_788 * 86_400 + 3_600)));
    let start = || -> (Server, Client) {
        let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let server = ServerConfig::on_disk(dir.path()).listen(listen).clock(clock.clone()).start().expect("starts");
        let client = Client::new(server.local_addr());
        (server, client)
    };
    let names = |client: Client, count: usize| {
        wait_for("backups", || {
            let all = backups(client);
            let is_done = all.len() == count && all.iter().all(|backup| backup["status"] == "available");
            is_done.then(|| all.iter().map(|backup| backup["name"].clone()).collect::<Vec<_>>())
        })
    };
    let (server, client) = start();
    let id = create(client, &daily("nightly"));
    associate(client, &id, &["v"]);
    clock.advance(DAY);
    assert_eq!(names(client, 1), ["autobk_20261202T000000Z"]);
    server.stop().expect("closes");
    clock.advance(DAY * 3);
    let (server, client) = start();
    assert_eq!(names(client, 2), ["autobk_20261202T000000Z", "autobk_20261205T000000Z"]);
    assert_eq!(tasks(client, &id).len(), 1, "one run for three");
    server.stop().expect("closes");
}
