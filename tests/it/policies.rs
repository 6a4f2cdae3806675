//! Backup policies of a program without a server: made by a thread of the database, in a real directory.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ebbtide::{
    BackupPolicy, Clock, Days, Db, Health, Keep, ManualClock, Point, Retention, Schedule, SeriesKey, SystemClock,
    Timestamp, WriteBatch, Zone,
};

use crate::harness::wait_for;

/// Midnight of the first of December 2026.
const START: Timestamp = Timestamp::from_secs(20_788 * 86_400);
const DAY: Duration = Duration::from_secs(86_400);

fn nightly(folder: &Path, number: u16) -> BackupPolicy {
    let schedule = Schedule::new([22], Days::Every(1), Zone::UTC).expect("a schedule");
    BackupPolicy::new("nightly", folder, schedule, Retention::new(Keep::Number(number), false).expect("in range"))
}

fn key() -> SeriesKey {
    SeriesKey::new("MINE.APP", "m", [("host", "a")]).expect("valid names")
}

fn names(folder: &Path) -> Vec<String> {
    let backups = Db::backups(folder).expect("a list");
    assert!(backups.damaged.is_empty(), "{:?}", backups.damaged);
    backups.list.iter().map(|backup| backup.path.file_name().expect("a name").to_string_lossy().into_owned()).collect()
}

#[test]
fn a_thread_makes_backups_and_removes_them_while_a_program_writes() {
    // Goal: with nothing but a policy in force, what is due is made, can be restored, and makes way for what comes later;
    // also after a reopening, and after trouble. Method: a clock that is moved by days, and looks at the folder.
    let dir = tempfile::tempdir().expect("a directory");
    let (volume, folder) = (dir.path().join("v"), dir.path().join("b"));
    let clock = Arc::new(ManualClock::new(START));
    let open = || Db::builder(&volume).clock(clock.clone()).open().expect("it opens");
    let mut db = open();
    db.backup_policy(nightly(&folder, 2)).expect("it is in force");
    let wanted = [
        &["nightly-20261201T220000Z"][..],
        &["nightly-20261201T220000Z", "nightly-20261202T220000Z"],
        &["nightly-20261202T220000Z", "nightly-20261203T220000Z"],
        &["nightly-20261203T220000Z", "nightly-20261204T220000Z"],
    ];
    for (day, wanted) in (1..).zip(wanted) {
        db.insert(&key(), Point::new(clock.now(), day)).expect("stored");
        clock.advance(DAY);
        wait_for("the backup of the day", || (names(&folder) == wanted).then_some(()));
        if day == 2 {
            db.close().expect("closed");
            db = open();
            db.confirm_clock();
            db.backup_policy(nightly(&folder, 2)).expect("it is in force again");
        }
    }
    let newest = folder.join("nightly-20261204T220000Z");
    assert!(Db::verify_backup(&newest).is_empty());
    assert_eq!(Db::open_snapshot(&newest).expect("it opens").points(&key(), ..).expect("points").count(), 4);
    let counts = || (db.stats().backups_made, db.stats().backups_removed, db.stats().backups_failed);
    wait_for("what is counted", || (counts() == (2, 2, 0)).then_some(()));
}

#[test]
#[allow(clippy::disallowed_methods, reason = "trouble for the database, and its end")]
fn what_a_thread_cannot_do_is_told_and_tried_again() {
    // Method: a file where the folder is to be made, until health tells of it.
    let dir = tempfile::tempdir().expect("a directory");
    let folder = dir.path().join("b");
    let clock = Arc::new(ManualClock::new(START));
    let db = Db::builder(dir.path().join("v")).clock(clock.clone()).open().expect("it opens");
    db.backup_policy(nightly(&folder, 2)).expect("it is in force");
    std::fs::write(&folder, "").expect("a file");
    clock.advance(DAY);
    let told = wait_for("trouble", || match db.health() {
        Health::Degraded(sentences) => Some(sentences),
        _ => None,
    });
    assert!(told[0].starts_with("backing up fails and is tried again: the backup policy nightly: "), "{told:?}");
    db.insert(&key(), Point::new(clock.now(), 1)).and_then(|_| db.flush()).expect("the rest goes on");
    std::fs::remove_file(&folder).expect("it was there");
    wait_for("the backup", || (db.health() == Health::Good).then_some(()));
    assert_eq!(names(&folder), ["nightly-20261201T220000Z"]);
    assert!(db.stats().backups_failed > 0);
    db.close().expect("closed");
    assert!(db.backup_policy(nightly(&folder, 2)).is_err());
}

#[test]
fn closing_ends_a_backup_that_is_under_way() {
    // Goal: neither does closing wait for a long backup, nor is a part of it listed or left behind. Method: most of a
    // megabyte that may be read at 64 KiB a second, so that the backup takes longer than closing may.
    let dir = tempfile::tempdir().expect("a directory");
    let (volume, folder) = (dir.path().join("v"), dir.path().join("b"));
    let clock = Arc::new(ManualClock::new(START));
    let db = Db::builder(&volume).clock(clock.clone()).compaction_bytes_per_second(64 << 10).open().expect("it opens");
    let mut random = 1_u64;
    let batch: WriteBatch = (0..100_000)
        .map(|number| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (key(), Point::new(START + Duration::from_millis(number), (random >> 1).cast_signed()))
        })
        .collect();
    db.write(&batch).and_then(|_| db.flush()).expect("stored");
    assert!(db.stats().segment_bytes > 700_000);
    db.backup_policy(nightly(&folder, 2)).expect("it is in force");
    clock.advance(DAY);
    let draft = folder.join("nightly-20261201T220000Z.backup.tmp");
    #[allow(clippy::disallowed_methods, reason = "the test looks for what is not listed")]
    let is_under_way = || draft.join("segments").is_dir();
    wait_for("a backup", || is_under_way().then_some(()));
    let watch = SystemClock::default();
    db.close().expect("closed");
    assert!(watch.monotonic() < Duration::from_secs(8), "closing waited for the backup");
    assert!(names(&folder).is_empty() && !is_under_way());
    assert_eq!(db.stats().backups_failed, 0, "to be closed is no failure");
}
