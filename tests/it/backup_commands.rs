//! `ebbtide backup`, `backups`, `restore` and `clone` as a shell sees them. Here: what the rooms below share, and the way
//! there and back.
#![allow(
    clippy::disallowed_methods,
    reason = "looks at, and damages, files behind the back of databases that are closed"
)]

mod interrupted;
mod refusals;
mod served;

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use ebbtide::{Db, Maintenance, Point, Selector, SeriesKey, TimeRange};

use crate::harness::now_millis;
use crate::import::{Output, assert_success, ebbtide};

/// The real input that every clone of the project has.
const CUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/node_exporter_10s.csv");

/// A directory for a test, in which it names paths as a user does.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs a command. What begins with `@` is a path in this directory.
    fn run(&self, line: &str) -> Output {
        let path = |word: &str| match word.strip_prefix('@') {
            Some(name) => self.path(name).to_str().expect("test paths are UTF-8").to_owned(),
            None => word.to_owned(),
        };
        let words: Vec<_> = line.split_whitespace().map(path).collect();
        ebbtide(&words.iter().map(String::as_str).collect::<Vec<_>>(), "")
    }

    /// The same; it has to work. Gives what it printed.
    #[track_caller]
    fn done(&self, line: &str) -> String {
        let output = self.run(line);
        assert_success(&output);
        output.stdout
    }

    /// The same; it has to fail with this status and say this.
    #[track_caller]
    fn refused(&self, line: &str, status: i32, fragment: &str) {
        let output = self.run(line);
        assert_eq!(output.status, Some(status), "{line}: {output:?}");
        assert!(output.stderr.contains(fragment), "{line}: {fragment:?} is not in {output:?}");
    }

    /// Makes a database of two points. Not in this process: what other tests start meanwhile would hold its lock for a
    /// moment, until they are other programs.
    fn database(&self, name: &str) {
        let metric = r#"{"namespace":"MINE.APP","dimensions":[{"name":"host","value":"a"}],"metric_name":"cpu"}"#;
        let item = |back: i64| {
            let time = now_millis() - back;
            format!(r#"{{"metric":{metric},"ttl":3600,"collect_time":{time},"value":{back}}}"#)
        };
        let data = self.path("made");
        let into = data.to_str().expect("test paths are UTF-8");
        let input = format!("[{},{}]", item(7), item(8_000));
        assert_success(&ebbtide(&["import", "--project", "p", "--data", into, "-"], &input));
        let volumes = self.names("made/projects/p/volumes");
        std::fs::rename(data.join("projects/p/volumes").join(&volumes[0]), self.path(name)).expect("it is closed");
        std::fs::remove_dir_all(data).expect("is there");
    }

    /// The names in a directory.
    fn names(&self, name: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(name)).expect("a directory");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }
}

/// All points of a database. For the end of a test, as it holds a lock in this process: see [`Home::database`].
fn points(dir: &Path) -> Vec<(SeriesKey, Vec<Point>)> {
    let db = Db::builder(dir).maintenance(Maintenance::Manual).open().expect("a database");
    let of = |series: SeriesKey| {
        let points = db.points(&series, TimeRange::ALL).expect("readable").collect::<Result<_, _>>();
        (series, points.expect("readable"))
    };
    let points = db.series(&Selector::all()).expect("readable").into_iter().map(of).collect();
    db.close().expect("closes");
    points
}

/// The segments of a database or backup, each with the file that it is a name of.
fn segments(dir: &Path) -> Vec<(String, u64)> {
    let entries = std::fs::read_dir(dir.join("segments")).expect("a directory").map(|entry| entry.expect("an entry"));
    let mut found: Vec<_> = entries
        .map(|entry| (entry.file_name().into_string().expect("UTF-8"), entry.metadata().expect("is there").ino()))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "{} has segments", dir.display());
    found
}

/// The one database in the directory of a server.
fn volume(home: &Home, project: &str) -> PathBuf {
    let volumes = format!("data/projects/{project}/volumes");
    let names = home.names(&volumes);
    assert_eq!(names.len(), 1, "{names:?}");
    home.path(&volumes).join(&names[0])
}

/// The UUID of a volume, behind the last word of a line about it.
fn volume_of(line: &str) -> &str {
    line.trim_end().rsplit(' ').next().expect("a line has a last word")
}

#[test]
fn real_input_is_backed_up_listed_restored_cloned_and_verified() {
    // Goal: every number comes back, from a backup, a clone of it and a clone of a database. Method: all commands one
    // after the other; all points of all series compared with those of the first database.
    let home = Home::new();
    home.done(&format!("import {CUT} --shift-to-now --data @data"));
    let taken = home.done("backup --data @data @backups/monday");
    let listed = home.done("backups @backups --verify");
    let lines: Vec<&str> = listed.lines().collect();
    assert!(lines[0].ends_with("backups: 1 backup") && lines[2..] == ["1 backup: all is well"], "{listed}");
    let (path, about) = taken.trim_end().split_once(": ").expect("a path and what is there");
    assert_eq!(lines[1], format!("  monday  {about}"), "what is listed is what was told");
    assert_eq!(Path::new(path), home.path("backups/monday"));
    assert!(about.contains(" files, ") && about.contains(", batch "), "{about}");

    home.done("restore @backups/monday @restored");
    home.done("clone @backups/monday @cloned");
    home.done("clone @restored @again/cloned");
    let copies = ["restored", "cloned", "again/cloned"];
    for copy in copies {
        let checked = home.done(&format!("verify --rollups --data @{copy}"));
        assert!(checked.ends_with("1 database: all is well\n"), "{checked}");
    }
    assert_eq!(home.names("again"), ["cloned"], "what was made on the way has gone");

    let volumes = copies.map(|copy| {
        let line = home.done(&format!("backup --data @{copy} @others/{}", copy.replace('/', "-")));
        volume_of(&line).to_owned()
    });
    assert_eq!(volumes[0], volume_of(&taken), "restored is the same volume");
    assert!(volumes[1] != volumes[0] && volumes[2] != volumes[0] && volumes[1] != volumes[2], "{volumes:?}");

    let wanted = points(&volume(&home, "demo"));
    assert_eq!(wanted.iter().map(|(_, points)| points.len()).sum::<usize>(), 79_048);
    for copy in copies {
        assert!(points(&home.path(copy)) == wanted, "{copy} has every point");
    }
}

#[test]
fn a_second_backup_copies_nothing() {
    // Method: names of one file have one inode number. A slash at the end of a path, as shells put it, means nothing.
    let home = Home::new();
    home.database("db");
    home.done("backup --data @db @backups/one");
    home.done("backup --data @db @backups/two/");
    home.done("restore @backups/two/ @restored/");
    let own = segments(&home.path("db"));
    for other in ["backups/one", "backups/two", "restored"] {
        assert_eq!(segments(&home.path(other)), own, "{other}");
    }
    assert_eq!(home.names("backups"), ["LOCK", "one", "two"]);
    assert_eq!(home.done("backups @backups").lines().count(), 3);
}

#[test]
fn a_restoring_is_tried_and_leaves_nothing() {
    let home = Home::new();
    home.database("db");
    home.done("backup --data @db @backups/one");
    let told = home.done("restore @backups/one --test");
    assert!(
        told.contains("files: every checksum read, 0 wrong") && told.contains(" computed again, 0 wrong"),
        "{told}"
    );
    assert!(told.lines().last().is_some_and(|line| line.contains("backups/one can be restored: ")), "{told}");
    assert_eq!(home.names("backups"), ["LOCK", "one"]);
    assert_eq!(home.done("backups @backups --verify").lines().count(), 3);
}
