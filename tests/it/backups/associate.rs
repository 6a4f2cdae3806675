//! The contract page: associating volumes with a policy, and the way back.

use serde_json::{Value, json};

use super::{PAGE_VOLUMES, assert_refused, associate, create, daily, own_volume, policies, policy};
use crate::harness::Server;

/// The page's example request, but for the policy's id.
const EXAMPLE: &str = r#"
    {
        "backup_policy_id":"POLICY",
        "resources":[{
            "resource_id":"0f187b65-8d0e-4fc0-9096-3b55d330531e",
            "resource_type":"volume"
            },{
            "resource_id":"0f187b65-8d0e-4fc0-9096-3b55d330531d",
            "resource_type":"volume"
        }]
    }"#;

/// The page's example response, but for the volumes' ids.
const EXAMPLE_RESPONSE: &str = r#"
    {
        "success_resources": [
            {
                "resource_id": "bce8d47a-af17-4169-901f-4c7ae9f29c2c",
                "os_vol_host_attr": "pod01.eu-de-01",
                "availability_zone": "eu-de-01",
                "resource_type": "volume"
            }
        ],
        "fail_resources": [ ]
    }"#;

#[test]
fn the_example_of_the_page_is_answered_as_on_the_page() {
    // Goal: the page literally. Method: its request with this server's policy; its response with the volumes asked for.
    let server = Server::start(&["--memory"]);
    let client = server.client();
    let id = create(client, &daily("nightly"));
    let reply = client.post("/v2/p/backuppolicyresources", EXAMPLE.replace("POLICY", &id));
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    let one: Value = serde_json::from_str(EXAMPLE_RESPONSE).expect("the page is JSON");
    let mut wanted = one.clone();
    wanted["success_resources"] = PAGE_VOLUMES
        .iter()
        .map(|id| {
            let mut resource = one["success_resources"][0].clone();
            resource["resource_id"] = json!(id);
            resource
        })
        .collect();
    assert_eq!(reply.json(), wanted);
    assert_eq!(policy(client, &id)["policy_resource_count"], 2);
    // A repetition changes nothing.
    assert_eq!(associate(client, &id, &PAGE_VOLUMES).json(), wanted);
    assert_eq!(policy(client, &id)["policy_resource_count"], 2);
}

#[test]
fn the_region_tells_where_volumes_are() {
    let server = Server::start(&["--memory", "--region", "xx-yy"]);
    let id = create(server.client(), &daily("nightly"));
    let resource = associate(server.client(), &id, &["v"]).json()["success_resources"][0].clone();
    assert_eq!(
        (&resource["availability_zone"], &resource["os_vol_host_attr"]),
        (&json!("xx-yy-01"), &json!("pod01.xx-yy-01"))
    );
}

#[test]
fn a_volume_moves_from_one_policy_to_another_without_an_error() {
    let server = Server::start(&["--memory"]);
    let client = server.client();
    let (one, other) = (create(client, &daily("one")), create(client, &daily("other")));
    associate(client, &one, &["v", "w"]);
    let reply = associate(client, &other, &["v"]).json();
    assert_eq!(reply["fail_resources"], json!([]));
    let count = |id: &str| policy(client, id)["policy_resource_count"].clone();
    assert_eq!((count(&one), count(&other)), (json!(1), json!(1)));
}

#[test]
fn what_cannot_be_associated_stands_in_the_list_of_failures_with_its_reason() {
    // Goal: faults of single volumes are told inside of a 200, each with code and message. Method: all of them at once,
    // beside a good one.
    let server =
        Server::start(&["--memory", "--volumes", "declared", "--volume", "known=p", "--volume", "elsewhere=q"]);
    let client = server.client();
    let id = create(client, &daily("nightly"));
    let own = own_volume(client);
    let resource = |id: &str, kind: &str| json!({ "resource_id": id, "resource_type": kind });
    let body = json!({ "backup_policy_id": id, "resources": [
        resource(&own, "volume"),
        resource("known", "volume"),
        resource("elsewhere", "volume"),
        resource("known", "server"),
        resource("a/b", "volume"),
        resource("", "volume"),
        { "resource_id": "known" },
        { "resource_type": "volume" },
    ] });
    let reply = client.post("/v2/p/backuppolicyresources", body.to_string());
    assert_eq!(reply.status, 200, "{}", reply.text());
    let lists = reply.json();
    let ids = |list: &str| -> Vec<Value> {
        lists[list].as_array().expect("a list").iter().map(|each| each["resource_id"].clone()).collect()
    };
    assert_eq!(ids("success_resources"), [json!(own), json!("known")]);
    assert_eq!(ids("fail_resources").len(), 6);
    let codes: Vec<&str> = lists["fail_resources"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|each| {
            assert!(each["message"].as_str().is_some_and(|message| !message.is_empty()), "{each}");
            assert_eq!(each["availability_zone"], "eu-de-01");
            each["code"].as_str().expect("clients take one without a code for a success")
        })
        .collect();
    let wanted = ["0208", "0211", "0209", "0209", "0211", "0209"].map(|number| format!("AutoBackup.{number}"));
    assert_eq!(codes, wanted);
    // All of them may fail, and it is still a 200.
    let all = associate(client, &id, &["x", "y"]);
    assert_eq!((all.status, &all.json()["success_resources"]), (200, &json!([])));
    assert_eq!(all.json()["fail_resources"].as_array().map(Vec::len), Some(2));
}

#[test]
fn volumes_are_declared_by_flag_file_and_admin() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::io::Write::write_all(&mut file.as_file(), b"from-file=p\n\n  other=p\n").expect("a file");
    let path = file.path().to_str().expect("UTF-8");
    let server = Server::start(&["--memory", "--volumes", "declared", "--volume", "a=p", "--volume-file", path]);
    let client = server.client();
    let declare = |body: &Value| client.post("/_ebbtide/volumes", body.to_string()).status;
    assert_eq!(declare(&json!({ "project": "p", "id": "later", "name": "mine" })), 201);
    assert_eq!(declare(&json!({ "project": "p", "id": "a/b" })), 400);
    assert_eq!(declare(&json!({ "project": "p/q", "id": "a" })), 400);
    let volumes = client.get("/v2/p/volumes").json();
    let ids: Vec<_> = volumes["volumes"].as_array().expect("a list").iter().map(|each| each["id"].clone()).collect();
    assert_eq!(ids[1..], ["a", "from-file", "other", "later"]);
    assert_eq!(volumes["volumes"][4]["name"], "mine");
    assert_eq!(own_volume(client), ids[0].as_str().expect("a text"), "it stays the same");
    assert_eq!(client.get("/v2/q/volumes").json()["volumes"].as_array().map(Vec::len), Some(1));
}

#[test]
fn volumes_are_taken_from_a_policy_again() {
    // Goal: both lists are there here too, and the type may be said or not, as clients do. Method: one of either, and one
    // that is not associated.
    let server = Server::start(&["--memory"]);
    let client = server.client();
    let id = create(client, &daily("nightly"));
    associate(client, &id, &["v", "w", "x"]);
    let path = format!("/v2/p/backuppolicyresources/{id}/deleted_resources");
    let body = json!({ "resources": [
        { "resource_id": "v" },
        { "resource_id": "w", "resource_type": "volume" },
        { "resource_id": "never" },
    ] });
    let reply = client.post(&path, body.to_string());
    assert_eq!(reply.status, 200, "{}", reply.text());
    let lists = reply.json();
    assert_eq!(lists["success_resources"], json!([{ "resource_id": "v" }, { "resource_id": "w" }]));
    assert_eq!(lists["fail_resources"][0]["resource_id"], "never");
    assert_eq!(lists["fail_resources"][0]["code"], "AutoBackup.0208");
    assert_eq!(policy(client, &id)["policy_resource_count"], 1);
    let none = client.post(&path, json!({ "resources": [{ "resource_id": "x" }] }).to_string()).json();
    assert_eq!(none, json!({ "success_resources": [{ "resource_id": "x" }], "fail_resources": [] }));
    assert_refused(
        &client.post("/v2/p/backuppolicyresources/none/deleted_resources", body.to_string()),
        404,
        "AutoBackup.0205",
    );
}

#[test]
fn what_is_said_of_policies_survives_a_kill_and_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Server::start_on(dir.path());
    let client = server.client();
    let id = create(client, &daily("nightly"));
    associate(client, &id, &PAGE_VOLUMES);
    let own = own_volume(client);
    let before = policies(client);
    server.kill();
    let server = Server::start_on(dir.path());
    assert_eq!(policies(server.client()), before);
    assert_eq!(own_volume(server.client()), own);
    let path = crate::harness::points_path("p");
    let time = crate::harness::now_millis();
    let body = json!([{ "metric": { "namespace": "MINE.APP", "metric_name": "cpu", "dimensions": [{ "name": "a", "value": "b" }] },
        "ttl": 3_600, "collect_time": time, "value": 1 }]);
    server.post(&path, body.to_string()).assert_stored();
    assert_eq!(own_volume(server.client()), own, "the volume that was made has the id that was told before");
}
