//! Backups by themselves: a policy in force, five days by a clock that is moved by hand, then the list of what there is,
//! one of them restored, and one read as of its own moment.

use std::sync::Arc;
use std::time::Duration;

use ebbtide::{
    BackupPolicy, Clock, Days, Db, Keep, Maintenance, ManualClock, Point, Retention, Schedule, SeriesKey, Timestamp,
    Ttl, Zone,
};

const HOUR: Duration = Duration::from_secs(3_600);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let folder = dir.path().join("backups");
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_796_083_200))); // 2026-12-01
    let db = Db::builder(dir.path().join("db")).clock(clock.clone()).maintenance(Maintenance::Manual).open()?;

    // At 22:00 of every day; the three newest stay, and the first of each month.
    let schedule = Schedule::new([22], Days::Every(1), Zone::UTC)?;
    db.backup_policy(BackupPolicy::new("nightly", &folder, schedule, Retention::new(Keep::Number(3), true)?))?;

    let cpu = SeriesKey::new("MINE.APP", "cpu_util", [("host", "a")])?;
    for hour in 0..5 * 24 {
        db.insert(&cpu, Point::new(clock.now(), hour).with_ttl(Ttl::from_secs(86_400)))?;
        clock.advance(HOUR);
        db.maintain()?; // a thread does this by itself where maintenance is not manual
    }
    println!("points today: {}", db.points(&cpu, ..)?.count());

    let backups = Db::backups(&folder)?.list;
    for backup in &backups {
        // As of its own moment: what has expired since is there.
        let then = Db::open_snapshot(&backup.path)?;
        let name = backup.path.file_name().unwrap_or_default().display();
        println!("{name}: {} points, the last one {:?}", then.points(&cpu, ..)?.count(), then.latest(&cpu)?);
    }
    assert_eq!(backups.len(), 4);

    // A database again, which goes on where the backup ends.
    let restored = dir.path().join("restored");
    Db::restore(&backups[3].path, &restored)?;
    let again = Db::builder(&restored).clock(clock).maintenance(Maintenance::Manual).open()?;
    println!("restored from the newest: {} points", again.points(&cpu, ..)?.count());
    again.close()?;
    db.close()?;
    Ok(())
}
