//! Policies in force for small stores: which backups there are in the end, what is never removed, and what becomes of it
//! when runs are missed or clocks jump. All under `Maintenance::Manual`; threads are tried in `tests/it`.

mod trouble;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::backup;
use crate::engine::Engine;
use crate::engine::health::Health;
use crate::engine::restore::Identity;
use crate::engine::settings::{Maintenance, Settings};
use crate::engine::simulation::batches::batch_at;
use crate::env::clock::{Clock, ManualClock};
use crate::env::disk::Disk;
use crate::env::faulty::{Fault, FaultyDisk, Trouble};
use crate::env::memory::MemoryDisk;
use crate::error::{Error, ErrorKind, Result};
use crate::model::limits::BACKUP_POLICIES_MAX;
use crate::model::time::Timestamp;
use crate::policy::named::BackupPolicy;
use crate::policy::retention::{Keep, Retention};
use crate::policy::schedule::{Days, Schedule, WeekDay, Zone};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// Midnight of a day counted from the first of December 2026, a Tuesday.
fn december(day: i64) -> Timestamp {
    Timestamp::from_secs((20_788 + day - 1) * 86_400)
}

fn schedule(hours: &[u8], days: Days, zone_hours: i16) -> Schedule {
    let zone = Zone::east_of_utc(zone_hours * 60).expect("a zone");
    Schedule::new(hours.iter().copied(), days, zone).expect("a schedule")
}

fn policy(name: &str, schedule: Schedule, keep: Keep, first_of_month: bool) -> BackupPolicy {
    BackupPolicy::new(name, "b", schedule, Retention::new(keep, first_of_month).expect("in range"))
}

/// Every day at 22:00.
fn nightly(keep: Keep) -> BackupPolicy {
    policy("nightly", schedule(&[22], Days::Every(1), 0), keep, false)
}

/// A clock whose wall time can be set apart from the monotonic one.
#[derive(Debug)]
struct Wall(ManualClock, AtomicI64);

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.now().as_millis() + self.1.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }
}

/// A store whose backups lie on a disk of their own.
struct Store {
    clock: Arc<Wall>,
    files: Arc<MemoryDisk>,
    backups: FaultyDisk,
    engine: Arc<Engine>,
    written: u64,
}

impl Store {
    fn new(now: Timestamp) -> Self {
        let clock = Arc::new(Wall(ManualClock::new(now), AtomicI64::new(0)));
        let files: Arc<MemoryDisk> = Arc::default();
        let engine = open(&files, &clock);
        Self { clock, files, backups: FaultyDisk::default(), engine, written: 0 }
    }

    fn put(&self, policy: BackupPolicy) -> Result<()> {
        self.engine.backup_policy(Arc::new(self.backups.clone()), policy)
    }

    /// Closes and opens it again that much later.
    fn reopen_after(&mut self, time: Duration) {
        self.engine.close().expect("closed");
        self.clock.0.advance(time);
        self.engine = open(&self.files, &self.clock);
    }

    /// Time passes, and something is written and what is due done again and again.
    fn pass(&mut self, time: Duration, step: Duration) -> Result<()> {
        let end = self.clock.0.now() + time;
        while self.clock.0.now() < end {
            self.clock.0.advance(step);
            self.written += 1;
            self.engine.write(&batch_at(self.written, 0, self.clock.now())).expect("it is stored");
            self.engine.maintain()?;
        }
        Ok(())
    }

    /// The wall clock jumps, back or forth.
    fn jump(&self, days: i64) {
        self.clock.1.fetch_add(days * 86_400_000, Ordering::SeqCst);
    }

    /// Names of what lies in the folder.
    fn names(&self) -> Vec<String> {
        let mut names = self.backups.list(Path::new("b")).unwrap_or_default();
        names.retain(|name| name != crate::env::layout::LOCK);
        names.sort();
        names
    }

    /// The moments, day and hour, of the backups of a policy.
    fn moments(&self, name: &str) -> Vec<String> {
        let all = self.names();
        let own = all.iter().filter_map(|each| each.strip_prefix(&format!("{name}-"))?.strip_suffix("0000Z"));
        own.map(ToOwned::to_owned).collect()
    }
}

fn open(files: &Arc<MemoryDisk>, clock: &Arc<Wall>) -> Arc<Engine> {
    let settings = Settings { clock: clock.clone(), maintenance: Maintenance::Manual, ..Settings::default() };
    Engine::open(files.clone(), Path::new("v"), settings).expect("it opens")
}

fn kind<T>(result: Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

#[test]
fn after_a_month_the_right_backups_are_there_and_a_second_month_is_the_same() {
    // Goal: five schedules, by name and time. Method: maintain every hour; hold the folder against a table; all again.
    use WeekDay::{Saturday, Sunday};
    let table: [(BackupPolicy, &[&str]); 5] = [
        (
            policy("daily", schedule(&[22], Days::Every(1), 0), Keep::Number(3), true),
            &["20261130T22", "20261201T22", "20261229T22", "20261230T22", "20261231T22"],
        ),
        (
            policy("fortnight", schedule(&[12, 0], Days::Every(14), 0), Keep::Number(99), false),
            &["20261201T00", "20261201T12", "20261215T00", "20261215T12", "20261229T00", "20261229T12", "20270101T00"],
        ),
        (
            policy("weekend", schedule(&[6], Days::On(vec![Saturday, Sunday]), 0), Keep::Days(7), false),
            &["20261220T06", "20261226T06", "20261227T06"],
        ),
        // Midnight there is 22:00 of the day before: the first of December begins in November, and January in December.
        (
            policy("east", schedule(&[22, 2], Days::Every(1), 2), Keep::Number(2), true),
            &["20261130T22", "20261231T22", "20270101T02"],
        ),
        (policy("tenth", schedule(&[5], Days::Every(10), 0), Keep::Number(1), false), &["20270101T05"]),
    ];
    let months = [(); 2].map(|()| {
        let mut store = Store::new(december(0) + 12 * HOUR);
        for (policy, _) in &table {
            store.put(policy.clone()).expect("it is in force");
        }
        store.pass(31 * DAY + 18 * HOUR, HOUR).expect("nothing fails");
        assert_eq!(store.clock.now(), december(32) + 6 * HOUR);
        for (policy, wanted) in &table {
            assert_eq!(store.moments(policy.name()), *wanted, "{}", policy.name());
        }
        let backups = backup::list(&store.backups, Path::new("b")).expect("a list");
        assert!(backups.damaged.is_empty());
        assert_eq!(backups.list.len(), table.iter().map(|(_, wanted)| wanted.len()).sum::<usize>());
        let disk: Arc<dyn Disk> = Arc::new(store.backups.clone());
        for backup in &backups.list {
            let name = backup.path.file_name().expect("a name").to_string_lossy();
            // Each was made at its hour, and has what was written up to it.
            let is_named = |(policy, _): &(BackupPolicy, _)| policy.moment_of(&name) == Some(backup.taken_at);
            assert!(table.iter().any(is_named), "{name} was taken at {}", backup.taken_at);
            let hours = (backup.taken_at.as_millis() - (december(0) + 12 * HOUR).as_millis()) / 3_600_000;
            assert_eq!(i64::try_from(backup.sequence.0), Ok(hours), "{name}");
            assert!(Engine::verify_backup(&disk, &backup.path).is_empty(), "{name}");
        }
        let stats = store.engine.stats();
        assert_eq!(stats.backups_made - stats.backups_removed, backups.list.len() as u64);
        assert_eq!(stats.backups_failed, 0);
        let told = |backup: &backup::Backup| (backup.path.clone(), backup.taken_at, backup.sequence, backup.bytes);
        backups.list.iter().map(told).collect::<Vec<_>>()
    });
    assert_eq!(months[0], months[1]);
}

#[test]
fn what_a_policy_has_not_made_of_this_volume_stays() {
    // Goal: neither what was made by hand goes, nor what another policy, another volume or nobody at all has made, though it
    // is older than all that the policy keeps.
    let mut store = Store::new(december(1));
    let disk: Arc<dyn Disk> = Arc::new(store.backups.clone());
    let take = |engine: &Engine, name: &str| engine.snapshot(disk.clone(), &Path::new("b").join(name), &mut |_, _| {});
    for name in ["by-hand", "nightly-20261115T221500Z", "nightly-old", "nightly-2-20261115T220000Z"] {
        take(&store.engine, name).expect("a backup");
    }
    Engine::restore(&*disk, Path::new("b/by-hand"), Path::new("c"), Identity::New, &mut |_, _| {}).expect("a clone");
    let settings = Settings { clock: store.clock.clone(), maintenance: Maintenance::Manual, ..Settings::default() };
    let other = Engine::open(disk.clone(), Path::new("c"), settings).expect("it opens");
    take(&other, "nightly-20261115T220000Z").expect("a backup of another volume");
    crate::backup::files::put(&store.backups, Path::new("b/nightly-20261114T220000Z"), b"notes").expect("a file");
    disk.create_dir(Path::new("b/nightly-20261113T220000Z")).expect("a folder");
    let foreign = store.names();
    assert_eq!(foreign.len(), 7);

    store.put(nightly(Keep::Number(1))).expect("it is in force");
    store.pass(3 * DAY, HOUR).expect("nothing fails");
    let mut wanted = foreign;
    wanted.push("nightly-20261203T220000Z".to_owned());
    wanted.sort();
    assert_eq!(store.names(), wanted);
}

#[test]
fn one_backup_makes_up_for_all_runs_that_were_missed() {
    let mut store = Store::new(december(1) + 9 * HOUR);
    store.put(nightly(Keep::Number(9))).expect("it is in force");
    store.engine.maintain().expect("nothing is due");
    assert_eq!(store.moments("nightly"), [""; 0]);

    // A program that never runs at that hour gets its first one when it runs again.
    store.reopen_after(24 * HOUR);
    store.put(nightly(Keep::Number(9))).expect("it is in force");
    store.engine.maintain().expect("it is made");
    assert_eq!(store.moments("nightly"), ["20261201T22"]);

    // Put in force again, it knows what it has made.
    store.put(nightly(Keep::Number(9))).expect("it is in force");
    store.pass(4 * HOUR, HOUR).expect("nothing is due");
    store.reopen_after(5 * DAY);
    store.put(nightly(Keep::Number(9))).expect("it is in force");
    store.pass(HOUR, HOUR).expect("it is made");
    assert_eq!(store.moments("nightly"), ["20261201T22", "20261206T22"]);
    store.pass(DAY, HOUR).expect("they go on");
    assert_eq!(store.moments("nightly"), ["20261201T22", "20261206T22", "20261207T22"]);

    // Another one's hour was not its own.
    let own = store.engine.backup_policies();
    assert_eq!(own, [nightly(Keep::Number(9))]);
    assert!(store.engine.end_backup_policy(&own[0]) && !store.engine.end_backup_policy(&own[0]));
    store.pass(2 * DAY, HOUR).expect("nothing is due");
    assert_eq!(store.moments("nightly").len(), 3);
}

#[test]
fn a_clock_that_jumps_removes_nothing_and_holds_nothing_up() {
    // S20. Method: a jump that is taken back, one that stands for ten minutes, and one that is believed by mistake.
    let mut store = Store::new(december(1));
    store.put(nightly(Keep::Number(2))).expect("it is in force");
    store.pass(3 * DAY, HOUR).expect("nothing fails");
    assert_eq!(store.moments("nightly"), ["20261202T22", "20261203T22"]);

    store.jump(10);
    store.pass(Duration::from_secs(300), Duration::from_secs(60)).expect("nothing fails");
    assert_eq!(store.moments("nightly"), ["20261202T22", "20261203T22", "20261213T22"]);
    assert!(matches!(store.engine.health(), Health::Degraded(_)), "{:?}", store.engine.health());
    store.jump(-10);
    store.pass(DAY, HOUR).expect("nothing fails");
    // The one of a day that has not come yet stays beside the two that are kept.
    assert_eq!(store.moments("nightly"), ["20261203T22", "20261204T22", "20261213T22"]);
    store.pass(9 * DAY, HOUR).expect("nothing fails");
    // It is there when its time comes, and is not made a second time.
    assert_eq!(store.moments("nightly"), ["20261212T22", "20261213T22"]);

    store.jump(10);
    store.pass(Duration::from_secs(540), Duration::from_secs(60)).expect("nothing fails");
    assert_eq!(store.moments("nightly"), ["20261212T22", "20261213T22", "20261223T22"]);
    store.pass(Duration::from_secs(120), Duration::from_secs(60)).expect("nothing fails");
    assert_eq!(store.moments("nightly"), ["20261213T22", "20261223T22"], "it is believed now");

    store.put(nightly(Keep::Days(5))).expect("it is in force");
    store.pass(2 * DAY, HOUR).expect("nothing fails");
    assert_eq!(store.moments("nightly"), ["20261223T22", "20261224T22", "20261225T22"]);
    store.jump(300);
    store.engine.believe_clock();
    store.engine.write(&batch_at(1, 0, store.clock.now())).and_then(|_| store.engine.flush()).expect("it is flushed");
    store.jump(-300);
    assert!(store.engine.guard.confirmed() > december(300), "the horizon is wrong for good");
    store.pass(DAY, HOUR).expect("nothing fails");
    assert_eq!(store.moments("nightly"), ["20261223T22", "20261224T22", "20261225T22", "20261226T22"]);
}

#[test]
fn what_cannot_be_a_policy_is_refused() {
    let store = Store::new(december(1));
    let named = |name: &str| store.put(policy(name, schedule(&[22], Days::Every(1), 0), Keep::Number(1), false));
    let long = "n".repeat(112);
    for name in ["", "-", ".hidden", "a/b", "../a", "a b", "\u{e9}", &*long] {
        assert_eq!(kind(named(name)), Some(ErrorKind::InvalidInput), "{name}");
    }
    named(&long[1..]).expect("it is the longest");
    for number in 1..BACKUP_POLICIES_MAX {
        named(&format!("p{number}")).expect("there is a place");
    }
    assert_eq!(kind(named("one-more")), Some(ErrorKind::InvalidInput));
    named("p3").expect("it takes the place of the one before");
    assert_eq!(store.engine.backup_policies().len(), BACKUP_POLICIES_MAX);

    let disk: Arc<dyn Disk> = Arc::new(store.backups.clone());
    store.engine.snapshot(disk.clone(), Path::new("b/one"), &mut |_, _| {}).expect("a backup");
    let frozen = Engine::open_frozen(disk.clone(), Path::new("b/one")).expect("it opens");
    assert_eq!(kind(frozen.backup_policy(disk.clone(), nightly(Keep::Number(1)))), Some(ErrorKind::Unsupported));
    let unreadable = Fault { at: store.backups.reads() + 1, what: Trouble::Fail(std::io::ErrorKind::Other) };
    let _same = store.backups.clone().with_read_fault(unreadable);
    assert_eq!(kind(named("p3")), Some(ErrorKind::Io));
    store.engine.close().expect("closed");
    assert_eq!(kind(named("p3")), Some(ErrorKind::Closed));
    let told: Vec<Error> = store.engine.maintain().err().into_iter().collect();
    assert!(told.iter().all(|error| error.kind() == ErrorKind::Closed), "{told:?}");
}
