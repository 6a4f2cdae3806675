//! `ebbtide verify` as a shell sees it: what it prints, and how it ends.
#![allow(clippy::disallowed_methods, reason = "damages files behind the back of a database that is closed")]

use std::path::{Path, PathBuf};
use std::process::Output;

use ebbtide::{Db, Point, SeriesKey, Timestamp};

use crate::harness::{Server, now_millis, points_path, run};

fn verify(dir: &Path, more: &[&str]) -> (Option<i32>, String, String) {
    let dir = dir.to_str().expect("test paths are UTF-8");
    let Output { status, stdout, stderr } = run(&[&["verify", "--data", dir], more].concat());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it prints UTF-8");
    (status.code(), text(stdout), text(stderr))
}

fn body(values: &[i64]) -> String {
    let metric = r#"{"namespace":"MINE.APP","dimensions":[{"name":"host","value":"a"}],"metric_name":"cpu"}"#;
    let now = now_millis();
    let item = |value| format!(r#"{{"metric":{metric},"ttl":3600,"collect_time":{},"value":{value}}}"#, now - value);
    format!("[{}]", values.iter().map(item).collect::<Vec<_>>().join(","))
}

/// A data directory with two projects, whose server has stopped.
fn served() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Server::start_on(dir.path());
    for project in ["b", "a"] {
        server.post(&points_path(project), body(&[0, 600_000])).assert_stored();
    }
    assert!(server.terminate().success());
    dir
}

/// The files below a directory whose names end so.
fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
    let (dirs, plain): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let is_one = |path: &PathBuf| path.to_str().is_some_and(|path| path.ends_with(ending));
    plain.into_iter().filter(is_one).chain(dirs.iter().flat_map(|dir| files(dir, ending))).collect()
}

#[test]
fn every_project_is_checked_and_named() {
    // Goal: it says what it has looked at. Method: two projects of two windows each, in order of their names.
    let dir = served();
    let (status, plain, _) = verify(dir.path(), &[]);
    assert_eq!(status, Some(0), "{plain}");
    assert!(!plain.contains("computed again"), "{plain}");
    let (status, text, stderr) = verify(dir.path(), &["--rollups"]);
    assert_eq!(status, Some(0), "{text}{stderr}");
    let titles: Vec<&str> = text.lines().filter(|line| line.starts_with("project ")).collect();
    assert_eq!(titles.len(), 2, "{text}");
    assert!(titles[0].starts_with("project a:") && titles[1].starts_with("project b:"), "{text}");
    assert_eq!(text.matches("windows: 2 computed again, 0 wrong").count(), 2, "{text}");
    assert!(text.ends_with("2 databases: all is well\n"), "{text}");
}

#[test]
fn damage_is_told_and_ends_with_status_1() {
    // Method: a bit of one segment of points, and of one of windows, flipped.
    for ending in [".pts", ".sum"] {
        let dir = served();
        let path = files(dir.path(), ending).into_iter().min().unwrap_or_else(|| panic!("there is no {ending}"));
        let mut bytes = std::fs::read(&path).expect("reads");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).expect("writes");
        let (status, text, stderr) = verify(dir.path(), &["--rollups"]);
        assert_eq!(status, Some(1), "{text}{stderr}");
        assert!(text.contains("WRONG: "), "{text}");
        assert!(text.contains("project a:") && text.contains("project b:"), "the other one is checked too: {text}");
        assert!(stderr.contains("wrong"), "{stderr}");
    }
}

#[test]
fn a_database_by_itself_is_checked_too() {
    let dir = tempfile::tempdir().expect("a directory");
    let db = Db::open(dir.path()).expect("opens");
    let series = SeriesKey::new("A.B", "m", [("n", "v")]).expect("a good name");
    db.insert(&series, Point::new(Timestamp::from_millis(now_millis()), 1)).expect("written");
    let (status, _, stderr) = verify(dir.path(), &[]);
    assert_eq!(status, Some(3), "it is open: {stderr}");
    db.close().expect("closes");
    let (status, text, stderr) = verify(dir.path(), &["--rollups"]);
    assert_eq!(status, Some(0), "{text}{stderr}");
    assert!(text.ends_with("1 database: all is well\n"), "{text}");
}

#[test]
fn what_cannot_be_checked_is_an_error_and_nothing_is_made() {
    let dir = served();
    let server = Server::start_on(dir.path());
    let (status, _, stderr) = verify(dir.path(), &[]);
    assert_eq!(status, Some(3), "a server has it: {stderr}");
    drop(server);
    let unused = tempfile::tempdir().expect("a directory");
    drop(Server::start_on(unused.path()));
    assert_eq!(verify(unused.path(), &[]), (Some(0), "0 databases: all is well\n".into(), String::new()));
    let empty = tempfile::tempdir().expect("a directory");
    assert_eq!(verify(empty.path(), &[]).0, Some(2));
    assert_eq!(std::fs::read_dir(empty.path()).expect("a directory").count(), 0);
    assert_eq!(verify(&empty.path().join("missing"), &[]).0, Some(1));
}
