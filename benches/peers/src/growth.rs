//! How Ebbtide's cost grows: ingest and small questions with more and more points, and with more and more series.
//! Questions read the same whatever is stored: the last ten points of a series, its latest, the windows of five minutes
//! of its last hour, and one name out of all.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ebbtide::{Db, Durability, Maintenance, ManualClock, Selector, SeriesKey, TimeRange, Timestamp, Value, Window};

use crate::cell::Cell;
use crate::child::{ask, tell};
use crate::input::Feeder;
use crate::process::{peak_memory, size};
use crate::workloads::devops::{Devops, START, coin};

const SERIES_MAX: u32 = 1_100_000;
const STEP: Duration = Duration::from_secs(10);
const LAST: usize = 10;
/// Series that take turns in being asked about.
const ASKED: usize = 101;
const METRICS: usize = 10;
const PAUSE: Duration = Duration::from_millis(1);

fn open(cell: &Cell, now: Timestamp) -> Db {
    let builder = Db::builder(&cell.dir).durability(Durability::Buffered).clock(Arc::new(ManualClock::new(now)));
    let db = builder.maintenance(Maintenance::Background).series_max(SERIES_MAX).open();
    db.expect("the store opens")
}

pub(crate) fn run(cell: &Cell) {
    let scrapes = u32::try_from(cell.points / cell.series).expect("a few scrapes");
    let end = START + STEP * scrapes;
    let db = open(cell, end);
    let input = Devops::new(cell.series, coin).take(cell.points).map(|(_, key, point)| (key, point));
    let mut feeder = Feeder::new(input, cell.batch, Duration::from_secs(cell.budget));
    for batch in feeder.start() {
        while let Err(error) = db.write(&batch) {
            assert_eq!(error.kind(), ebbtide::ErrorKind::Overloaded, "{error}");
            std::thread::sleep(PAUSE);
        }
    }
    feeder.stop();
    tell("points", feeder.fed as f64);
    tell("rate", feeder.fed as f64 / feeder.writing.as_secs_f64());
    let clock = Instant::now();
    db.flush().expect("the store flushes");
    tell("flush", clock.elapsed().as_secs_f64());
    db.close().expect("the store closes");
    drop(db);
    tell("memory", peak_memory());
    tell("disk", size(&cell.dir, &|_| true) / feeder.fed as f64);

    if feeder.fed < cell.points {
        // Questions would not read the same.
        return;
    }
    let clock = Instant::now();
    let db = open(cell, end);
    tell("reopen", clock.elapsed().as_secs_f64());
    let every = cell.series / ASKED.min(cell.series);
    let keys: Vec<SeriesKey> =
        Devops::new(cell.series, coin).take(cell.series).step_by(every).map(|(_, key, _)| key).collect();
    questions(&db, &keys, end, scrapes);
    db.close().expect("the store closes");
}

fn questions(db: &Db, keys: &[SeriesKey], end: Timestamp, scrapes: u32) {
    let key = |run: usize| &keys[run % keys.len()];
    let last = TimeRange::from(end - STEP * u32::try_from(LAST).expect("a few")..end);
    let points = ask("last_points", |run| {
        let points = db.points(key(run), last).expect("the store answers");
        points.fold(0, |count, point| count + usize::from(point.is_ok()))
    });
    assert_eq!(points, LAST.min(scrapes as usize), "the last points");
    let latest = ask("latest", |run| db.latest(key(run)).expect("the store answers"));
    assert_eq!(latest.expect("there is a point").time, end - STEP, "the latest point");
    let hour = TimeRange::from(end - Duration::from_secs(3_600)..end);
    let found = ask("windows", |run| {
        let windows = db.windows(key(run), hour, Duration::from_secs(300)).expect("the store answers");
        windows.iter().map(Window::count).sum::<u64>()
    });
    assert!(found >= u64::from(scrapes.min(360)), "{found} points in windows");
    let one = ask("select", |run| {
        let host = key(run).dimension("host").expect("each has a host");
        db.series(&Selector::all().dimension("host", host)).expect("the store answers").len()
    });
    assert_eq!(one, METRICS, "metrics of a host");
    let sum = db.points(&keys[0], ..).expect("the store answers").map(|point| match point {
        Ok(point) => match point.value {
            Value::Float(float) => float,
            Value::Int(int) => int as f64,
        },
        Err(error) => panic!("the store answers: {error}"),
    });
    assert_eq!(sum.count(), scrapes as usize, "points of the first series");
}
