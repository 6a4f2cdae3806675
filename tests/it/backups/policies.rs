//! Policies themselves: made, listed, changed in part, deleted.

use serde_json::{Value, json};

use super::{assert_refused, associate, create, daily, policies, policy};
use crate::harness::{Client, Server};

fn change(client: Client, id: &str, body: &Value) -> Value {
    let reply = client.request("PUT", &format!("/v2/p/backuppolicy/{id}"), body.to_string().as_bytes());
    assert_eq!((reply.status, reply.json()), (200, json!({ "backup_policy_id": id })), "{}", reply.text());
    policy(client, id)
}

#[test]
fn a_policy_is_listed_as_it_was_made() {
    let server = Server::start(&["--memory"]);
    let id = create(server.client(), &daily("nightly"));
    assert_eq!(
        policy(server.client(), &id),
        json!({
            "backup_policy_id": id,
            "backup_policy_name": "nightly",
            "scheduled_policy": {
                "remain_first_backup_of_curMonth": "N",
                "rentention_num": 2,
                "frequency": 1,
                "start_time": "00:00",
                "status": "ON",
            },
            "policy_resource_count": 0,
            "time_zone": "UTC+00:00",
        })
    );
}

#[test]
fn a_change_says_a_part_and_the_rest_stays() {
    // Method: one part after the other; what it says and what it replaces.
    let server = Server::start(&["--memory"]);
    let client = server.client();
    let id = create(client, &daily("nightly"));
    let off = change(client, &id, &json!({ "scheduled_policy": { "status": "OFF" } }));
    let mut wanted = daily("nightly")["scheduled_policy"].clone();
    wanted["status"] = json!("OFF");
    assert_eq!(off["scheduled_policy"], wanted);
    let named = change(client, &id, &json!({ "backup_policy_name": "weekly" }));
    assert_eq!((&named["backup_policy_name"], &named["scheduled_policy"]), (&json!("weekly"), &wanted));
    let week = json!({ "week_frequency": ["SAT", "SUN"], "start_time": "02:00,22:00,00:00", "rentention_day": 30.9 });
    let week = change(client, &id, &json!({ "scheduled_policy": week, "time_zone": "UTC+02:00" }));
    let wanted = json!({
        "remain_first_backup_of_curMonth": "N",
        "rentention_day": 30,
        "week_frequency": ["SUN", "SAT"],
        "start_time": "22:00,00:00,02:00",
        "status": "OFF",
    });
    assert_eq!((&week["scheduled_policy"], &week["time_zone"]), (&wanted, &json!("UTC+02:00")));
    // Of two that contradict each other the first one wins.
    let both = json!({ "frequency": 3, "week_frequency": ["MON"], "rentention_num": 4, "rentention_day": 5 });
    let both = change(client, &id, &json!({ "scheduled_policy": both, "time_zone": "UTC-05:30" }));
    let both = &both["scheduled_policy"];
    assert_eq!((&both["frequency"], &both["rentention_num"]), (&json!(3), &json!(4)));
    assert!(both.get("week_frequency").is_none() && both.get("rentention_day").is_none());
    assert_eq!(policy(client, &id)["time_zone"], "UTC-05:30");
}

#[test]
fn the_default_policy_is_there_and_runs_but_is_neither_renamed_nor_deleted() {
    let server = Server::start(&["--memory"]);
    let client = server.client();
    let default = policies(client).remove(0);
    assert_eq!(
        (&default["backup_policy_name"], &default["scheduled_policy"]["status"]),
        (&json!("default"), &json!("OFF"))
    );
    let id = default["backup_policy_id"].as_str().expect("a text");
    let path = format!("/v2/p/backuppolicy/{id}");
    let renamed = client.request("PUT", &path, br#"{"backup_policy_name":"mine"}"#);
    assert_refused(&renamed, 403, "AutoBackup.0100");
    assert_refused(&client.request("DELETE", &path, b""), 403, "AutoBackup.0100");
    // Its own name may be said with a change.
    let changed =
        change(client, id, &json!({ "backup_policy_name": "default", "scheduled_policy": { "status": "ON" } }));
    assert_eq!(changed["scheduled_policy"]["status"], "ON");
    associate(client, id, &["v"]);
    assert_eq!(client.post(&format!("{path}/action"), "").status, 204);
    assert_eq!(super::tasks(client, id).len(), 1);
}

#[test]
fn there_are_ten_policies_at_most_beside_the_default_one() {
    let server = Server::start(&["--memory"]);
    let client = server.client();
    let ids: Vec<_> = (0..10).map(|number| create(client, &daily(&format!("p{number}")))).collect();
    let more = client.post("/v2/p/backuppolicy", daily("more").to_string());
    assert_refused(&more, 400, "AutoBackup.0203");
    assert_eq!(client.request("DELETE", &format!("/v2/p/backuppolicy/{}", ids[3]), b"").status, 204);
    create(client, &daily("more"));
    assert_eq!(policies(client).len(), 11);
}

#[test]
fn a_policy_that_is_deleted_leaves_its_volumes_without_one_and_its_backups() {
    let server = Server::start(&["--memory"]);
    let client = server.client();
    let id = create(client, &daily("nightly"));
    associate(client, &id, &["v"]);
    assert_eq!(client.post(&format!("/v2/p/backuppolicy/{id}/action"), "").status, 204);
    super::tasks(client, &id);
    let path = format!("/v2/p/backuppolicy/{id}");
    let gone = client.request("DELETE", &path, b"");
    assert_eq!((gone.status, gone.body.len()), (204, 0));
    assert_refused(&client.request("DELETE", &path, b""), 404, "AutoBackup.0205");
    let volumes = client.get("/v2/p/volumes").json();
    assert_eq!(volumes["volumes"][1]["metadata"]["backup_policy_id"], Value::Null);
    assert_eq!(super::backups(client).len(), 1);
}
