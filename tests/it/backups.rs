//! The Volume Backup face through the real binary. Here: what the rooms below share.

mod associate;
mod made;
mod month;
mod on_disk;
mod policies;
mod refusals;
mod tags;

use serde_json::{Value, json};

use crate::harness::{Client, Reply, wait_for};

/// The ids of the contract page's example.
const PAGE_VOLUMES: [&str; 2] = ["0f187b65-8d0e-4fc0-9096-3b55d330531e", "0f187b65-8d0e-4fc0-9096-3b55d330531d"];

/// The body of a new policy that runs every day at midnight.
fn daily(name: &str) -> Value {
    json!({
        "backup_policy_name": name,
        "scheduled_policy": {
            "remain_first_backup_of_curMonth": "N",
            "rentention_num": 2,
            "frequency": 1,
            "start_time": "00:00",
            "status": "ON",
        },
    })
}

/// Makes a policy in project `p` and gives its id.
#[track_caller]
fn create(client: Client, body: &Value) -> String {
    let reply = client.post("/v2/p/backuppolicy", body.to_string());
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["backup_policy_id"].as_str().expect("a text").to_owned()
}

/// All policies of project `p`.
fn policies(client: Client) -> Vec<Value> {
    let reply = client.get("/v2/p/backuppolicy");
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["backup_policies"].as_array().expect("a list").clone()
}

/// One of them.
fn policy(client: Client, id: &str) -> Value {
    policies(client).into_iter().find(|policy| policy["backup_policy_id"] == id).expect("is listed")
}

/// Associates volumes of project `p` with a policy.
fn associate(client: Client, policy: &str, volumes: &[&str]) -> Reply {
    let resources: Vec<Value> =
        volumes.iter().map(|id| json!({ "resource_id": id, "resource_type": "volume" })).collect();
    let body = json!({ "backup_policy_id": policy, "resources": resources });
    client.post("/v2/p/backuppolicyresources", body.to_string())
}

/// The id of the own volume of project `p`.
fn own_volume(client: Client) -> String {
    client.get("/v2/p/volumes").json()["volumes"][0]["id"].as_str().expect("a text").to_owned()
}

/// The backups of project `p` in detail, the oldest first.
fn backups(client: Client) -> Vec<Value> {
    let mut backups = client.get("/v3/p/backups/detail").json()["backups"].as_array().expect("a list").clone();
    backups.reverse();
    backups
}

/// Asks for a backup by hand, and gives its job when it is over.
fn by_hand(client: Client, volume: &str, name: &str) -> Value {
    let body = json!({ "backup": { "volume_id": volume, "name": name, "description": "why" } });
    let reply = client.post("/v2/p/cloudbackups", body.to_string());
    assert_eq!(reply.status, 200, "{}", reply.text());
    let path = format!("/v1/p/jobs/{}", reply.json()["job_id"].as_str().expect("a text"));
    wait_for("a job", || Some(client.get(&path).json()).filter(|job| !job["end_time"].is_null()))
}

/// Waits until a policy has nothing to do, and gives its tasks, the newest first.
fn tasks(client: Client, policy: &str) -> Vec<Value> {
    wait_for("the tasks of a policy", || {
        let tasks = client.get(&format!("/v2/p/backuppolicy/{policy}/backuptasks")).json();
        let tasks = tasks["tasks"].as_array().expect("a list").clone();
        tasks.iter().all(|task| task.get("finished_at").is_some()).then_some(tasks)
    })
}

/// Asserts that a request was refused in the one shape of this face.
#[track_caller]
fn assert_refused(reply: &Reply, status: u16, code: &str) {
    assert_eq!((reply.status, reply.header("content-type")), (status, Some("application/json")), "{}", reply.text());
    let body = reply.json();
    let error = body["error"].as_object().expect("an object");
    assert_eq!((error.len(), body.as_object().expect("an object").len()), (2, 1), "{body}");
    assert_eq!(error["code"], code, "{body}");
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
}
