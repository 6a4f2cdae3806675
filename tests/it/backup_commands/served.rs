//! The commands beside a server: while it runs, and for one that starts afterwards.

use super::{Home, points};
use crate::harness::{Client, Server, now_millis, points_path};

const QUERY: &str = "namespace=MINE.APP&metric_name=cpu&dim.0=host,a&period=1&filter=average";

/// Stores two points of a project.
fn store(client: Client, project: &str) {
    let metric = r#"{"namespace":"MINE.APP","dimensions":[{"name":"host","value":"a"}],"metric_name":"cpu"}"#;
    let now = now_millis();
    let item = |value| format!(r#"{{"metric":{metric},"ttl":3600,"collect_time":{},"value":{value}}}"#, now - value);
    client.post(&points_path(project), format!("[{},{}]", item(7), item(8_000))).assert_stored();
}

/// What a project answers of the last hour up to a moment.
fn answer(client: Client, project: &str, to: i64) -> String {
    let path = format!("{}?{QUERY}&from={}&to={to}", points_path(project), to - 3_600_000);
    let reply = client.get(&path);
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.text().to_owned()
}

#[test]
fn a_server_answers_what_was_restored_into_its_directory() {
    // Goal: a project is put where a server finds it. Method: two projects, one of them restored on another directory,
    // beside one that lives there; what is left of a restoring that did not end is in its place.
    let home = Home::new();
    let mut server = Server::start_on(&home.path("data"));
    store(server.client(), "a");
    store(server.client(), "b");
    let to = now_millis();
    let wanted = answer(server.client(), "a", to);
    assert!(wanted.contains("8000"), "{wanted}");
    assert!(server.terminate().success());

    home.refused("backup --data @data @backups/a", 1, "--project: a, b");
    home.refused("backup --data @data --project c @backups/a", 1, "--project: a, b");
    home.done("backup --data @data --project a @backups/a");
    home.refused("restore @backups/a --data @data --project b", 1, "project b has a database");
    home.refused("restore @backups/a --data @data --project ../x", 1, "a project id is");
    home.refused("restore @backups/a --data @data --project b --volume ../x", 1, "is no UUID");
    home.done("restore @backups/a --data @new/data --project a");
    let into_own = home.done("restore @backups/a --data @data --project half");
    let place = into_own.split_once(" into ").and_then(|(_, rest)| rest.split_once(": ")).expect("a place").0;
    std::fs::rename(format!("{place}/FORMAT"), format!("{place}/RESTORE.tmp")).expect("renames");
    home.done("restore @backups/a --data @data --project half");

    let volume = "0f187b65-8d0e-4fc0-9096-3b55d330531e";
    home.done(&format!("restore @backups/a --data @data --project b --volume {volume}"));
    home.refused(&format!("restore @backups/a --data @data --project b --volume {volume}"), 1, "has a database");

    for (data, project) in [("new/data", "a"), ("data", "half"), ("data", "a")] {
        let server = Server::start_on(&home.path(data));
        assert_eq!(answer(server.client(), project, to), wanted, "{data}");
    }
    assert_eq!(points(&home.path(&format!("data/projects/b/volumes/{volume}"))), points(&super::volume(&home, "a")));
}

#[test]
fn a_directory_in_use_is_told_so_and_its_server_can_be_asked() {
    let home = Home::new();
    let mut server = Server::start_on(&home.path("data"));
    store(server.client(), "p");
    let by_server = "POST /v2/{project_id}/cloudbackups";
    home.refused("backup --data @data @backups/one", 3, by_server);
    let volume = super::volume(&home, "p");
    let volume = volume.strip_prefix(home.0.path()).expect("inside").display();
    home.refused(&format!("backup --data @{volume} @backups/one"), 3, by_server);
    home.refused(&format!("clone @{volume} @clone"), 3, by_server);
    assert_eq!(home.names(""), ["data"], "nothing was made");
    // The clone of a backup needs nobody's leave, a place in a running server's directory does.
    home.database("db");
    home.done("backup --data @db @backups/one");
    home.refused("restore @backups/one --data @data --project q", 3, "in use");
    home.refused("restore @backups/one @data", 1, "is not empty");
    assert_eq!(home.names("data/projects"), ["p"]);
    assert!(server.terminate().success());
}

#[test]
fn backups_of_every_project_are_listed_while_its_server_runs_and_found_by_it() {
    // Goal: commands and server mean the same folders. Method: a backup by the command where the server keeps its own,
    // before the server starts; it lists it, and so does the command meanwhile.
    let home = Home::new();
    let mut server = Server::start_on(&home.path("data"));
    assert!(home.done("backups @data").ends_with("data: 0 backups\n"));
    store(server.client(), "p");
    assert!(server.terminate().success());
    home.done("backup --data @data @data/projects/p/backups/monday");

    let server = Server::start_on(&home.path("data"));
    let listed = server.client().get("/v3/p/backups/detail").json();
    assert_eq!(listed["backups"][0]["name"], "monday", "{listed}");
    let told = home.done("backups @data --verify");
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!((lines[0], lines[2]), ("project p: 1 backup", "1 backup: all is well"), "{told}");
    assert!(lines[1].starts_with("  monday  "), "{told}");
}
