//! What the commands refuse, and what they say of damage.

use std::path::Path;

use super::{Home, points, segments};

/// Flips a bit of a file, and of no other that has the same content by a link.
fn damage(path: &Path) {
    let mut bytes = std::fs::read(path).expect("reads");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::remove_file(path).expect("is there");
    std::fs::write(path, bytes).expect("writes");
}

#[test]
fn places_that_belong_to_something_else_are_refused_and_left_alone() {
    // Goal: no order of a database, backup or server is disturbed. Method: each kind of path into each of them, also by
    // a link and by dots; afterwards everything is as it was.
    let home = Home::new();
    home.database("db");
    home.done("backup --data @db @backups/one");
    home.done("restore @backups/one --data @data --project p");
    std::os::unix::fs::symlink(home.path("db/segments"), home.path("link")).expect("a link");
    let before =
        (home.names("db"), home.names("db/segments"), home.names("backups/one"), home.names("data/projects/p"));

    for (target, why) in [
        ("@db/two", "a database: no backup"),
        ("@db/segments/two", "a database: no backup"),
        ("@link/two", "a database: no backup"),
        ("@backups/../db/wal/two", "a database: no backup"),
        ("@backups/one/two", "a backup: no backup"),
        ("@data/two", "the directory of a server: no backup"),
        ("@data/projects/p/two", "the directory of a server: no backup"),
        ("@data/projects/p/backups/two/three", "the directory of a server: no backup"),
        ("@backups/one", "is there already"),
        ("@backups/t\u{f6}o", "a backup's name is"),
    ] {
        home.refused(&format!("backup --data @db {target}"), 1, why);
    }
    home.refused("restore @backups/one --data @db/two --project p", 1, "a database: no database");
    home.refused("backup --data @data --project p @data/two", 1, "the directory of a server: no backup");
    for command in ["restore @backups/one", "clone @backups/one", "clone @db"] {
        for (dir, why) in [
            ("@db/two", "a database: no database"),
            ("@link/two", "a database: no database"),
            ("@backups/one/segments/two", "a backup: no database"),
            ("@data/projects/p/volumes/two", "the directory of a server: no database"),
            ("@db", "is not empty"),
            ("@data", "is not empty"),
            ("@backups", "is not empty"),
            ("@backups/one", "is not empty"),
        ] {
            home.refused(&format!("{command} {dir}"), 1, why);
        }
    }
    let after = (home.names("db"), home.names("db/segments"), home.names("backups/one"), home.names("data/projects/p"));
    assert_eq!(after, before);
    assert_eq!(home.names(""), ["backups", "data", "db", "link"]);
    assert_eq!(home.names("backups"), ["LOCK", "one"]);
    home.done("backup --data @db @db/../backups/two");
}

#[test]
fn what_is_no_backup_or_database_is_told_and_nothing_is_made() {
    let home = Home::new();
    home.database("db");
    home.done("backup --data @db @backups/one");
    std::fs::create_dir(home.path("empty")).expect("a new folder");
    for (line, status, why) in [
        ("backup --data @missing @new", 1, "missing"),
        ("backup --data @empty @new", 2, "holds no database"),
        ("backup --data @backups/one @new", 2, "is a backup"),
        ("backup --data @db --project p @new", 1, "leave --project out"),
        ("backups @missing", 1, "missing"),
        ("backups @db", 1, "is one database"),
        ("backups @backups/one", 1, "is one backup"),
        ("restore @empty @new", 1, "is no backup"),
        ("restore @db @new", 1, "is no backup"),
        ("restore @missing @new", 1, "is no backup"),
        ("restore @empty --test", 1, "is no backup"),
        ("restore @missing/one --test", 1, "is no backup"),
        ("restore @missing --data @new --project p", 1, "is no backup"),
        ("restore @backups/one --data @db --project p", 2, "is one database"),
        ("restore @backups/one --data @backups/one --project p", 2, "is one database or backup"),
        ("clone @empty @new", 2, "holds no database"),
        ("clone @missing @new", 1, "missing"),
        ("restore @backups/one", 2, "required"),
        ("restore @backups/one @new --test", 2, "cannot be used with"),
        ("restore @backups/one --data @new", 2, "--project"),
    ] {
        home.refused(line, status, why);
        assert_eq!(home.names(""), ["backups", "db", "empty"], "{line}");
    }
    assert_eq!(home.names("empty"), [""; 0]);
    assert_eq!(home.done("backups @empty").lines().count(), 1);
}

#[test]
fn a_damaged_backup_is_named_and_not_restored() {
    // Goal: status 1, the file is named, the others are fine and no database is there. Method: one backup of two with a
    // flipped bit in a segment, then in its list too.
    let home = Home::new();
    home.database("db");
    home.done("backup --data @db @backups/good");
    home.done("backup --data @db @backups/rotten");
    let name = segments(&home.path("db")).swap_remove(0).0;
    damage(&home.path("backups/rotten/segments").join(&name));

    assert_eq!(home.done("backups @backups").lines().count(), 3, "who only lists does not look");
    let output = home.run("backups @backups --verify");
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(output.status, Some(1), "{output:?}");
    assert!(lines[1].starts_with("  good ") && lines[2].starts_with("  rotten "), "{output:?}");
    assert!(lines[3].contains("WRONG: ") && lines[3].contains(&format!("rotten/segments/{name}")), "{output:?}");
    assert!(!output.stdout.contains("all is well"), "{output:?}");
    for line in ["restore @backups/rotten @new", "clone @backups/rotten @new", "restore @backups/rotten --test"] {
        home.refused(line, 1, &name);
    }
    assert_eq!(home.names("backups"), ["LOCK", "good", "rotten"]);
    home.refused("verify --data @new", 1, "restore it again");
    home.done("restore @backups/good @new");
    assert_eq!(points(&home.path("new")), points(&home.path("db")));

    damage(&home.path("backups/rotten/BACKUP"));
    let output = home.run("backups @backups");
    assert_eq!(output.status, Some(1), "{output:?}");
    assert!(output.stdout.contains("WRONG: ") && output.stdout.contains("rotten/BACKUP"), "{output:?}");
    assert!(output.stdout.contains("  good "), "{output:?}");
}
