//! Backups of a server with a directory: what is in them, and what is left of them over kills, losses and removals.

#![allow(clippy::disallowed_methods, reason = "looks at the server's files from outside")]

use std::path::{Path, PathBuf};

use ebbtide::{Db, Selector, SeriesKey, TimeRange};
use serde_json::json;

use super::{associate, backups, by_hand, create, daily, own_volume, tasks};
use crate::harness::{Client, Server, now_millis, points_path};

/// Stores one point of project `p`.
fn store(client: Client) {
    let dimensions = json!([{ "name": "host", "value": "a" }]);
    let metric = json!({ "namespace": "MINE.APP", "metric_name": "cpu_util", "dimensions": dimensions });
    let item = json!([{ "metric": metric, "ttl": 3_600, "collect_time": now_millis(), "type": "int", "value": 7 }]);
    client.post(&points_path("p"), item.to_string()).assert_stored();
}

/// Where the backup of a job lies.
fn folder(data: &Path, job: &serde_json::Value) -> PathBuf {
    data.join("projects/p/backups").join(job["entities"]["backup_id"].as_str().expect("a text"))
}

/// Points of a database.
fn count(db: &Db) -> usize {
    let points = |key: &SeriesKey| db.points(key, TimeRange::ALL).expect("readable").count();
    db.series(&Selector::all()).expect("readable").iter().map(points).sum()
}

#[test]
fn a_backup_is_whole_restorable_and_still_listed_after_a_kill() {
    // Goal: what the face calls a backup is one. Method: a point before and one after it; it is read where it lies,
    // restored, and removed by the face.
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Server::start_on(&dir.path().join("data"));
    let client = server.client();
    let own = own_volume(client);
    let empty = by_hand(client, &own, "empty");
    store(client);
    let job = by_hand(client, &own, "one");
    assert_eq!(job["status"], "SUCCESS", "{job}");
    store(client);
    assert_eq!(by_hand(client, &own, "two")["status"], "SUCCESS");
    let before = backups(client);
    let bytes = |place: usize| before[place]["service_metadata"].as_str().expect("a text").to_owned();
    assert_eq!(
        (before.len(), before[0]["object_count"].clone(), before[1]["object_count"].clone()),
        (3, json!(0), json!(1))
    );
    assert!(bytes(0).contains("\"bytes\":0") && !bytes(1).contains("\"bytes\":0"), "{} {}", bytes(0), bytes(1));
    server.kill();

    let path = folder(&dir.path().join("data"), &job);
    assert!(Db::verify_backup(&path).is_empty());
    assert_eq!(count(&Db::open_snapshot(&path).expect("it is whole")), 1);
    Db::restore(&path, dir.path().join("restored")).expect("it is whole");
    assert_eq!(count(&Db::open(dir.path().join("restored")).expect("a database")), 1);
    assert!(!folder(&dir.path().join("data"), &empty).exists(), "there was nothing to store");

    let server = Server::start_on(&dir.path().join("data"));
    let client = server.client();
    assert_eq!(backups(client), before);
    let id = before[1]["id"].as_str().expect("a text");
    assert_eq!(client.request("DELETE", &format!("/v3/p/backups/{id}"), b"").status, 202);
    assert!(!path.exists());
    assert_eq!(backups(client).len(), 2);
}

#[test]
fn a_policy_keeps_two_folders_and_what_somebody_took_away_is_not_listed() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let mut server = Server::start_on(&data);
    let client = server.client();
    store(client);
    let id = create(client, &daily("nightly"));
    associate(client, &id, &[&own_volume(client)]);
    for _ in 0..4 {
        assert_eq!(client.post(&format!("/v2/p/backuppolicy/{id}/action"), "").status, 204);
        assert!(tasks(client, &id).iter().all(|task| task["status"] == "EXECUTE_SUCCESS"));
    }
    let listed = Db::backups(data.join("projects/p/backups")).expect("readable");
    let ids: Vec<_> = listed.list.iter().map(|backup| backup.path.file_name().map(ToOwned::to_owned)).collect();
    let names: Vec<_> =
        backups(client).iter().map(|backup| backup["id"].as_str().map(std::ffi::OsString::from)).collect();
    assert_eq!((ids.len(), &ids, listed.damaged.len()), (2, &names, 0));
    assert!(server.terminate().success());
    Db::remove_backup(&listed.list[0].path).expect("removed");
    let server = Server::start_on(&data);
    assert_eq!(backups(server.client()).len(), 1);
}

#[test]
fn backups_without_a_book_count_as_made_by_hand() {
    // Goal: losing what is said of policies loses no backup. Method: the files of policies are gone; a policy that keeps
    // two runs three times.
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let mut server = Server::start_on(&data);
    store(server.client());
    let job = by_hand(server.client(), &own_volume(server.client()), "mine");
    assert!(server.terminate().success());
    for name in ["POLICIES", "POLICIES.odd"] {
        std::fs::remove_file(data.join("projects/p").join(name)).expect("there");
    }
    let server = Server::start_on(&data);
    let client = server.client();
    let id = create(client, &daily("nightly"));
    associate(client, &id, &[&own_volume(client)]);
    for _ in 0..3 {
        client.post(&format!("/v2/p/backuppolicy/{id}/action"), "");
        tasks(client, &id);
    }
    let found = backups(client);
    assert_eq!(
        (found.len(), &found[0]["id"], &found[0]["status"]),
        (3, &job["entities"]["backup_id"], &json!("available"))
    );
}

#[test]
fn a_declared_volume_has_backups_once_something_was_restored_into_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let further = "0f187b65-8d0e-4fc0-9096-3b55d330531e";
    let declared = format!("{further}=p");
    let start = || Server::start(&["--data", &data.to_string_lossy(), "--volume", &declared]);
    let mut server = start();
    let client = server.client();
    store(client);
    let own = own_volume(client);
    let job = by_hand(client, &own, "mine");
    assert!(!folder(&data, &by_hand(client, further, "nothing")).exists());
    assert!(server.terminate().success());
    let volumes = data.join("projects/p/volumes");
    Db::clone_backup(folder(&data, &job), volumes.join(further)).expect("it is whole");
    let server = start();
    let client = server.client();
    assert_eq!(own_volume(client), own);
    store(client);
    let job = by_hand(client, further, "again");
    assert_eq!(count(&Db::open_snapshot(folder(&data, &job)).expect("it is whole")), 1);
    let job = by_hand(client, &own, "mine");
    assert_eq!(count(&Db::open_snapshot(folder(&data, &job)).expect("it is whole")), 2);
}
