//! Names of series across kills: segments, the manifest and the log must agree, whichever is ahead.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ebbtide::{Db, Maintenance, ManualClock, Point, SeriesKey, TimeRange, Timestamp, Ttl, Value};

const NOW: Timestamp = Timestamp::from_secs(1_795_281_677);

fn key(metric: &str) -> SeriesKey {
    SeriesKey::new("MINE.APP", metric, [("host", "a")]).expect("a valid name")
}

fn values(db: &Db, metric: &str) -> Vec<Value> {
    let points = db.points(&key(metric), TimeRange::ALL).expect("readable");
    points.map(|point| point.expect("sound").value).collect()
}

#[test]
fn kills_at_any_moment_leave_names_that_segments_and_log_agree_on() {
    // Goal: a series that only the log names survives, whatever is flushed, dropped and forgotten beside it. Method:
    // copy the folder of an open database, as a kill would leave it, before and after each step, and open the copies.
    let clock = Arc::new(ManualClock::new(NOW));
    let open = |dir: &Path| {
        let builder = Db::builder(dir).clock(clock.clone()).maintenance(Maintenance::Manual);
        builder.open().expect("opens after a kill")
    };
    let killed = |dir: &Path| {
        let copy = tempfile::tempdir().expect("a directory");
        copy_tree(dir, copy.path());
        copy
    };
    let dir = tempfile::tempdir().expect("a directory");
    let db = open(dir.path());
    db.insert(&key("short"), Point::new(NOW, 1).with_ttl(Ttl::from_secs(60))).expect("stored");
    db.insert(&key("flushed"), Point::new(NOW, 1)).expect("stored");
    db.flush().expect("flushed");
    db.insert(&key("logged"), Point::new(NOW, 2)).expect("stored");
    let first = killed(dir.path());
    // The short series dies, is dropped and forgotten, while the logged one waits for its flush.
    clock.advance(Duration::from_secs(7_000));
    db.confirm_clock();
    let second = killed(dir.path());
    db.maintain().expect("a sound disk");
    let third = killed(dir.path());
    for copy in [first, second, third] {
        let db = open(copy.path());
        assert_eq!((values(&db, "flushed"), values(&db, "logged")), (vec![Value::Int(1)], vec![Value::Int(2)]));
        assert!(db.recovery().damage.is_empty(), "{:?}", db.recovery());
        db.insert(&key("new"), Point::new(NOW, 3)).expect("stored");
        let again = killed(copy.path());
        let db = open(again.path());
        let all = ["flushed", "logged", "new"].map(|metric| values(&db, metric));
        assert_eq!(all, [1, 2, 3].map(|value| vec![Value::Int(value)]));
        assert!(db.recovery().damage.is_empty() && db.verify().is_empty(), "{:?}", db.recovery());
    }
}

#[allow(clippy::disallowed_methods, reason = "a test copies files behind the database's back")]
fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("writable");
    for entry in std::fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("readable").is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("writable");
        }
    }
}
