//! Policies that run as time passes: over restarts, after a downtime, and with a book that is damaged.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::builder::Builder;
use crate::engine::Engine;
use crate::engine::restore::Identity;
use crate::env::clock::ManualClock;
use crate::env::disk::Disk;
use crate::env::real::RealDisk;
use crate::model::durability::Durability;
use crate::model::point::Point;
use crate::model::rollup::Late;
use crate::model::series::SeriesKey;
use crate::model::time::TimeRange;
use crate::policy::book::Policy;
use crate::policy::retention::{Keep, Retention};
use crate::policy::schedule::{Days, Schedule, Zone};
use crate::server::clock::{SettableClock, Wall};
use crate::server::projects::Home;

const DAY: Duration = Duration::from_secs(86_400);

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_secs(20_788 * 86_400)))
}

/// What a start of a server on this directory has.
fn open(dir: &Path, clock: &Arc<ManualClock>) -> Backups {
    let home = Home::Disk(dir.to_owned());
    let projects = Projects::new(home, Durability::Sync, Late::Correct, clock.clone());
    Backups::open(Arc::new(projects), clock.clone(), Vec::new()).expect("opens")
}

fn project() -> ProjectId {
    ProjectId::new("p").expect("a good id")
}

/// A policy that runs at three every day, keeps two, and has a volume without a database.
fn make_policy(backups: &Backups) {
    let schedule = Schedule::new([3], Days::Every(1), Zone::UTC).expect("a schedule");
    let retention = Retention::new(Keep::Number(2), false).expect("in range");
    let handled = backups.clock.now();
    let policy =
        Policy { id: "daily".into(), name: "daily".into(), on: true, schedule, retention, tags: Vec::new(), handled };
    let change = |book: &mut Book, _: &Jobs| {
        book.add(policy)?;
        book.declare("v", "")?;
        book.associate("v", Some("daily"));
        Ok::<_, Error>(())
    };
    backups.change(&project(), change).expect("written");
}

fn names(backups: &Backups) -> Vec<String> {
    let names = |state: &State| state.book.backups.iter().map(|backup| backup.name.clone()).collect();
    backups.read(&project(), names).expect("readable")
}

#[test]
fn a_policy_runs_when_its_time_has_come_and_once_for_all_that_were_missed() {
    // Goal: no run is doubled by looking often or by a restart, and a downtime is made up for by one run. Method: the
    // clock by hand, over two starts.
    let dir = tempfile::tempdir().expect("a directory");
    let (clock, ids) = (clock(), Ids::new(Some(1)));
    let backups = open(dir.path(), &clock);
    make_policy(&backups);
    backups.run_due(&ids).expect("nothing is due");
    assert_eq!(names(&backups), [""; 0]);
    clock.advance(DAY);
    for _ in 0..3 {
        backups.run_due(&ids).expect("runs");
    }
    assert_eq!(names(&backups), ["autobk_20261201T030000Z"]);
    drop(backups);
    clock.advance(DAY * 4);
    let backups = open(dir.path(), &clock);
    backups.run_due(&ids).expect("runs");
    assert_eq!(names(&backups), ["autobk_20261201T030000Z", "autobk_20261205T030000Z"]);
    assert_eq!(backups.next_run(), Some(Timestamp::from_secs((20_788 + 5) * 86_400 + 3 * 3_600)));
    drop(backups);
    let backups = open(dir.path(), &clock);
    backups.run_due(&ids).expect("nothing is due");
    assert_eq!(names(&backups).len(), 2);
    clock.advance(DAY);
    backups.run_due(&ids).expect("runs");
    assert_eq!(names(&backups), ["autobk_20261205T030000Z", "autobk_20261206T030000Z"]);
}

#[test]
fn a_book_that_is_not_the_last_one_removes_nothing_until_it_is_confirmed() {
    // Goal: what an older book says may have been changed since. Method: the last generation damaged, runs, and a
    // confirmation.
    let dir = tempfile::tempdir().expect("a directory");
    let (clock, ids) = (clock(), Ids::new(Some(1)));
    let backups = open(dir.path(), &clock);
    make_policy(&backups);
    for _ in 0..2 {
        clock.advance(DAY);
        backups.run_due(&ids).expect("runs");
    }
    drop(backups);
    let folder = dir.path().join("projects/p");
    let newest = newest(&folder);
    RealDisk.create(&folder.join(newest)).and_then(|mut file| file.write_at(b"rot", 0)).expect("writable");
    let backups = open(dir.path(), &clock);
    clock.advance(DAY * 2);
    backups.run_due(&ids).expect("runs");
    clock.advance(DAY);
    backups.run_due(&ids).expect("runs");
    assert_eq!(names(&backups).len(), 4, "two are more than it keeps");
    backups.trust(&project());
    clock.advance(DAY);
    backups.run_due(&ids).expect("runs");
    assert_eq!(names(&backups).len(), 2);
}

/// The name of the file of policies with the higher generation.
fn newest(folder: &Path) -> &'static str {
    let generation = |name: &str| {
        let bytes = RealDisk.read(&folder.join(name), 1 << 20).expect("there");
        u64::from_le_bytes(*bytes[16..].first_chunk().expect("a header"))
    };
    let [even, odd] = crate::env::layout::POLICIES;
    if generation(even) > generation(odd) { even } else { odd }
}

#[test]
fn without_any_book_there_is_the_default_policy_and_nothing_goes() {
    let dir = tempfile::tempdir().expect("a directory");
    let (clock, ids) = (clock(), Ids::new(Some(1)));
    let backups = open(dir.path(), &clock);
    let default = backups.read(&project(), |state| state.book.policies[0].id.clone()).expect("readable");
    make_policy(&backups);
    clock.advance(DAY);
    backups.run_due(&ids).expect("runs");
    drop(backups);
    for name in crate::env::layout::POLICIES {
        let path = dir.path().join("projects/p").join(name);
        RealDisk.create(&path).and_then(|mut file| file.write_at(b"rot", 0)).expect("writable");
    }
    let backups = open(dir.path(), &clock);
    let policies = |state: &State| {
        (state.book.policies.iter().map(|policy| (policy.id.clone(), policy.on)).collect::<Vec<_>>(), state.is_trusted)
    };
    assert_eq!(backups.read(&project(), policies).expect("readable"), (vec![(default, false)], false));
    assert_eq!(backups.next_run(), None);
}

#[test]
fn a_policy_is_not_run_twice_at_once_and_a_reset_forgets_what_waits() {
    let dir = tempfile::tempdir().expect("a directory");
    let (clock, ids) = (clock(), Ids::new(Some(1)));
    let backups = open(dir.path(), &clock);
    make_policy(&backups);
    let ask = || backups.enqueue_policy(&project(), "daily", &ids).expect("room");
    let jobs = ask().expect("it has nothing to do");
    assert!(ask().is_none(), "it waits");
    backups.clear();
    backups.perform(&project(), &jobs);
    assert_eq!((names(&backups), backups.waiting.load(Ordering::SeqCst)), (Vec::new(), 0));
    let jobs = ask().expect("it has nothing to do");
    backups.perform(&project(), &jobs);
    assert_eq!(names(&backups).len(), 1);
    assert!(ask().is_some(), "it has nothing to do any more");
}

#[test]
fn looking_at_a_project_and_asking_it_for_what_cannot_be_makes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let backups = open(dir.path(), &clock());
    assert_eq!(names(&backups), [""; 0]);
    let refuse = |_: &mut Book, _: &Jobs| Err::<(), _>(Error::invalid("no"));
    backups.change(&project(), refuse).expect_err("refused");
    assert!(backups.accounts.lock().is_empty());
    assert_eq!(RealDisk.list(dir.path()).expect("a directory"), [""; 0]);
}

#[test]
fn a_server_that_stops_makes_no_further_backup() {
    let dir = tempfile::tempdir().expect("a directory");
    let (clock, ids) = (clock(), Ids::new(Some(1)));
    let backups = open(dir.path(), &clock);
    make_policy(&backups);
    let jobs = backups.enqueue_policy(&project(), "daily", &ids).expect("room").expect("it has nothing to do");
    backups.close();
    backups.perform(&project(), &jobs);
    clock.advance(DAY);
    backups.run_due(&ids).expect("does nothing");
    let states = |state: &State| state.jobs.iter().map(|job| job.state.clone()).collect::<Vec<_>>();
    let states = backups.read(&project(), states).expect("readable");
    assert!(matches!(&states[..], [JobState::Failed(why)] if why.contains("stopping")), "{states:?}");
    assert_eq!(names(&backups), [""; 0]);
}

#[test]
fn a_clock_that_has_jumped_removes_no_backup_until_it_is_believed() {
    // Method: a policy that keeps two of a volume with a database; the wall clock goes on by days at once.
    let dir = tempfile::tempdir().expect("a directory");
    let (clock, ids) = (Arc::new(SettableClock::over(clock())), Ids::new(Some(1)));
    let home = Home::Disk(dir.path().to_owned());
    let projects = Arc::new(Projects::new(home, Durability::Sync, Late::Correct, clock.clone()));
    let backups = Backups::open(Arc::clone(&projects), clock.clone(), Vec::new()).expect("opens");
    let db = projects.open_or_create(&project()).expect("opens");
    make_policy(&backups);
    let own = projects.volume_id(&project()).expect("readable");
    let take_own =
        |book: &mut Book, _: &Jobs| Ok::<_, Error>((book.associate("v", None), book.associate(&own, Some("daily"))));
    assert_eq!(backups.change(&project(), take_own).expect("written"), (true, true));
    let jump = || clock.restore(Wall::Stopped(clock.now() + DAY));
    let pass_a_day = || {
        jump();
        backups.run_due(&ids).expect("runs");
    };
    (0..4).for_each(|_| pass_a_day());
    assert_eq!(names(&backups).len(), 4);
    db.confirm_clock();
    pass_a_day();
    assert_eq!(names(&backups).len(), 5, "it has jumped again");
    jump();
    db.confirm_clock();
    backups.run_due(&ids).expect("runs");
    assert_eq!(names(&backups), ["autobk_20261205T030000Z", "autobk_20261206T030000Z"]);
}

#[test]
fn jobs_that_wait_have_an_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let (clock, ids) = (clock(), Ids::new(Some(1)));
    let backups = open(dir.path(), &clock);
    make_policy(&backups);
    let one = || backups.enqueue_one(&project(), backups.new_job(&ids, None, "v", String::new()));
    let all: Vec<_> = (0..WAITING_MAX).map(|_| one().expect("room")).collect();
    assert_eq!(one().expect_err("too many").kind(), ErrorKind::Overloaded);
    backups.perform(&project(), &all[0]);
    one().expect("a place is free again");
}

#[test]
fn a_backup_in_memory_holds_what_was_stored_when_it_was_made() {
    // Goal: a backup can be opened, and what came later is not in it, whatever became of the project. Method: a point
    // before and one after it; then the project's own data is thrown away.
    let clock = clock();
    let projects = Arc::new(Projects::new(Home::Memory, Durability::Sync, Late::Correct, clock.clone()));
    let backups = Backups::open(Arc::clone(&projects), clock.clone(), Vec::new()).expect("opens");
    let key = SeriesKey::new("A.B", "m", [("host", "a")]).expect("a good name");
    let insert = |secs: u64| {
        let point = Point::new(clock.now() + Duration::from_secs(secs), 7);
        projects.open_or_create(&project()).expect("opens").insert(&key, point).expect("stored");
    };
    insert(0);
    let own = projects.volume_id(&project()).expect("in memory");
    let job = backups.new_job(&Ids::new(Some(1)), None, &own, "mine".into());
    let jobs = backups.enqueue_one(&project(), job.clone()).expect("room");
    backups.perform(&project(), &jobs);
    insert(1);
    projects.clear().expect("in memory");
    let listed = backups.read(&project(), |state| state.book.backup(&job.backup).cloned()).expect("readable");
    let listed = listed.expect("it was made");
    assert!(listed.whole && listed.stored && listed.bytes > 0, "{listed:?}");
    let disk: Arc<dyn Disk> = Arc::new(backups.shelf.copy());
    let path = Path::new("backups/p").join(&job.backup);
    Engine::restore(&*disk, &path, Path::new("again"), Identity::Same, &mut |_, _| {}).expect("it is whole");
    let restored = Builder::on(disk, "again").clock(clock.clone()).open().expect("opens");
    assert_eq!(restored.points(&key, TimeRange::ALL).expect("readable").count(), 1);
    assert!(backups.remove(&project(), &job.backup).expect("in memory"));
    assert!(!backups.remove(&project(), &job.backup).expect("in memory"), "it is gone");
    assert_eq!(backups.shelf.copy().bytes(), 0);
}

#[test]
fn a_backup_that_fails_is_told_by_its_job_and_is_not_listed() {
    // Method: a database that somebody has closed.
    let dir = tempfile::tempdir().expect("a directory");
    let backups = open(dir.path(), &clock());
    backups.projects.open_or_create(&project()).expect("opens").close().expect("closes");
    let own = backups.projects.volume_id(&project()).expect("readable");
    let job = backups.new_job(&Ids::new(Some(1)), None, &own, "mine".into());
    let jobs = backups.enqueue_one(&project(), job.clone()).expect("room");
    backups.perform(&project(), &jobs);
    let state = backups.read(&project(), |state| state.jobs.find(&job.id).map(|job| job.state.clone()));
    assert!(matches!(state.expect("readable"), Some(JobState::Failed(why)) if !why.is_empty()));
    assert_eq!(names(&backups), [""; 0]);
    drop(backups);
    assert_eq!(names(&open(dir.path(), &clock())), [""; 0], "after a restart too");
}
