//! Windows as a program that embeds the library keeps them: what outlives what, and what a database remembers.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ebbtide::{
    Builder, Db, ErrorKind, Late, Maintenance, ManualClock, Number, Point, SeriesKey, Timestamp, Ttl, Window,
    WindowState,
};

const NOW: Timestamp = Timestamp::from_secs(1_795_281_600);
const MINUTES: Duration = Duration::from_secs(300);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

fn key(metric: &str) -> SeriesKey {
    SeriesKey::new("MINE.APP", metric, [("host", "a")]).expect("valid names")
}

fn builder(dir: &Path, clock: &Arc<ManualClock>) -> Builder {
    Db::builder(dir).clock(clock.clone()).maintenance(Maintenance::Manual)
}

fn windows(db: &Db, metric: &str, period: Duration) -> Vec<Window> {
    db.windows(&key(metric), .., period).expect("readable").into_iter().collect()
}

fn brief(value: i64) -> Point {
    Point::new(NOW, value).with_ttl(Ttl::from_secs(1))
}

#[test]
fn series_that_live_on_in_windows_alone_do_not_count_against_the_cap() {
    // S21.
    let dir = tempfile::tempdir().expect("a directory");
    let clock = Arc::new(ManualClock::new(NOW));
    let db = builder(dir.path(), &clock).series_max(2).open().expect("opens");
    for metric in ["one", "two"] {
        db.insert(&key(metric), brief(7)).expect("there is room");
    }
    let refused = db.insert(&key("three"), brief(7)).expect_err("the cap is reached");
    assert_eq!(refused.kind(), ErrorKind::TooManySeries);
    clock.advance(2 * HOUR);
    db.compact().expect("a sound disk");
    assert_eq!((db.stats().points, db.stats().series, db.stats().resting_series), (0, 2, 2));
    let later = Point::new(NOW + 2 * HOUR, 8);
    db.insert(&key("three"), later.clone()).expect("the others rest");
    db.insert(&key("one"), later.clone()).expect("one comes back");
    let refused = db.insert(&key("two"), later).expect_err("there are two again");
    assert_eq!(refused.kind(), ErrorKind::TooManySeries);
    assert_eq!(windows(&db, "two", DAY)[0].sum(), Number::Int(7));
}

#[test]
fn a_database_remembers_its_windows_and_keeps_what_other_tiers_cannot_hold() {
    let dir = tempfile::tempdir().expect("a directory");
    let clock = Arc::new(ManualClock::new(NOW));
    let tiers = [(1_200, 10), (3_600, 400)].map(|(secs, days)| (Duration::from_secs(secs), days * DAY));
    let db = builder(dir.path(), &clock).retention(tiers).late(Late::DiscardAfter(HOUR)).percentiles(true).open();
    let db = db.expect("opens");
    db.insert(&key("m"), brief(7)).expect("written");
    let late = db.insert(&key("m"), Point::new(NOW - 2 * HOUR, 1)).expect("written");
    assert_eq!(late.not_aggregated, 1);
    db.close().expect("closes");

    // Without a word of all that: as it was made.
    let db = builder(dir.path(), &clock).open().expect("opens");
    let late = db.insert(&key("m"), Point::new(NOW - 3 * HOUR, 1)).expect("written");
    assert_eq!(late.not_aggregated, 1, "the late policy is the database's own");
    let [window] = &windows(&db, "m", 4 * MINUTES)[..] else { panic!("one window") };
    assert_eq!((window.count(), window.is_raw, window.percentile(0.5)), (1, false, Some(7.0)));
    assert!(windows(&db, "m", MINUTES).iter().all(|window| window.is_raw), "nothing finer is kept");
    db.close().expect("closes");

    // Windows of 20 minutes do not become ones of half an hour, however old they are.
    clock.advance(15 * DAY);
    let odd = [(300, 10), (1_800, 60)].map(|(secs, days)| (Duration::from_secs(secs), days * DAY));
    let db = builder(dir.path(), &clock).retention(odd).open().expect("opens");
    db.confirm_clock();
    db.compact().expect("a sound disk");
    let told =
        |period| windows(&db, "m", period).iter().map(|window| (window.count(), window.is_raw)).collect::<Vec<_>>();
    assert_eq!(told(HOUR).last(), Some(&(1, false)), "an hour holds both");
    assert!(told(Duration::from_secs(1_800)).iter().all(|(_, is_raw)| *is_raw), "half an hour does not fit");
    assert_eq!(db.verify().len(), 0);
}

#[test]
fn a_window_says_how_final_it_is() {
    // S10. Method: the clock goes over each border; a late point comes when all is settled.
    let dir = tempfile::tempdir().expect("a directory");
    let clock = Arc::new(ManualClock::new(NOW));
    let db = builder(dir.path(), &clock).open().expect("opens");
    let state = |db: &Db| windows(db, "m", MINUTES)[0].state;
    db.insert(&key("m"), brief(7)).expect("written");
    assert_eq!(state(&db), WindowState::Open);
    clock.advance(MINUTES);
    assert_eq!(state(&db), WindowState::Settling);
    clock.advance(Duration::from_millis(3 * 86_400_000 - 1));
    assert_eq!(state(&db), WindowState::Settling);
    clock.advance(Duration::from_millis(1));
    assert_eq!(state(&db), WindowState::Sealed);
    db.insert(&key("m"), Point::new(NOW + Duration::from_secs(1), 9)).expect("written");
    for stored in [false, true] {
        if stored {
            db.compact().expect("a sound disk");
        }
        assert_eq!((state(&db), windows(&db, "m", MINUTES)[0].sum()), (WindowState::Amended, Number::Int(16)));
    }
}
