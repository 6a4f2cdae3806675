//! Bytes on disk for a point: every workload and every folder of recorded data, in batches, compacted, closed, and
//! then measured by the lengths of the files, apart by what they are for.
//!
//! Buffered; all jobs on the caller's thread, so that sizes are the same in every run. The store's clock stands where
//! the data starts, so that nothing expires; for W5 it then moves to 12 h behind the data's end, and what expired must
//! leave. A sample of series is compared point by point with what went in, before and after. NaN is stored too.
//! All windows are of five minutes, whatever the data's age; what they take is told apart from the points, in a second
//! table. Opening again is measured with the files in the system's cache. Names as arguments choose workloads;
//! `EBBTIDE_POINTS` cuts each of them short.
#![allow(clippy::disallowed_methods, reason = "a bench measures real time and the files of a store")]
#![allow(clippy::cast_precision_loss, reason = "sizes are printed with a few digits")]

mod support;
mod workloads;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ebbtide::{
    Builder, Clock, Db, Durability, Maintenance, ManualClock, Point, SeriesKey, Stats, Timestamp, WriteBatch,
};

use workloads::devops::Arrival;
use workloads::{Arrivals, arrivals, cloud_eye};

const BATCH: usize = 10_000;
/// One series in so many is compared, and at most so many.
const SAMPLE_EVERY: usize = 37;
const SAMPLES_MAX: usize = 16;
const RECLAIM_WITHIN: Duration = Duration::from_secs(3_600);
const AFTER_THE_END: Duration = Duration::from_secs(12 * 3_600);
/// Windows of the finest default tier, kept for a hundred years: recorded data is old.
const WINDOWS: [(Duration, Duration); 1] = [(Duration::from_secs(300), Duration::from_secs(100 * 366 * 86_400))];
/// Of points that come every ten seconds, windows may take so many bytes a point.
const WINDOWS_BAR: f64 = 0.2;
/// Of points that come every five minutes, a window may take so many times what a point takes.
const WINDOW_TO_POINT_BAR: f64 = 1.5;

/// A workload, the days of a partition for it, and the bytes a point that we want (goal) and must reach (bar).
struct Case {
    name: &'static str,
    days: u16,
    goal: Option<f64>,
    bar: Option<f64>,
}

/// Five-minute series have 288 points a day: a week makes chunks of them as long as a day makes of ten-second series.
const CASES: [Case; 9] = [
    Case { name: "W1", days: 1, goal: Some(0.35), bar: Some(0.50) },
    Case { name: "W1 lively", days: 1, goal: None, bar: None },
    Case { name: "W2", days: 7, goal: Some(2.2), bar: None },
    Case { name: "W3", days: 1, goal: Some(2.5), bar: None },
    Case { name: "W5", days: 1, goal: Some(1.5), bar: None },
    Case { name: "node_exporter", days: 1, goal: Some(0.87), bar: Some(1.0) },
    Case { name: "m3", days: 1, goal: Some(0.88), bar: Some(0.95) },
    Case { name: "nab", days: 7, goal: Some(2.15), bar: Some(2.3) },
    Case { name: "alp", days: 1, goal: None, bar: None },
];

/// Bytes of a store's files, by what they are for, and of each segment of points with its name.
#[derive(Default)]
struct Files {
    segments: BTreeMap<String, u64>,
    windows: u64,
    manifest: u64,
    log: u64,
    catalog: u64,
    rest: u64,
}

impl Files {
    fn measure(dir: &Path) -> Self {
        let mut files = Self::default();
        files.add(dir, "");
        files
    }

    fn add(&mut self, dir: &Path, inside: &str) {
        for entry in std::fs::read_dir(dir).expect("the store's folder is readable") {
            let entry = entry.expect("the store's folder is readable");
            let name = format!("{inside}/{}", entry.file_name().to_string_lossy());
            let about = entry.metadata().expect("a file has a length");
            if about.is_dir() {
                self.add(&entry.path(), &name);
                continue;
            }
            let top = name.split('/').nth(1).expect("each name starts with a slash");
            match top {
                "segments" if Path::new(&name).extension().is_some_and(|end| end == "sum") => {
                    self.windows += about.len();
                }
                "segments" => drop(self.segments.insert(name, about.len())),
                "MANIFEST" => self.manifest += about.len(),
                "wal" => self.log += about.len(),
                "catalog" => self.catalog += about.len(),
                _ => self.rest += about.len(),
            }
        }
    }

    fn segment_bytes(&self) -> u64 {
        self.segments.values().sum()
    }
}

/// What went in: how much, and a sample of series whole.
#[derive(Default)]
struct Input {
    points: usize,
    distinct: usize,
    series: usize,
    /// Points that are dead 12 h behind the end of W5.
    dead_later: usize,
    samples: BTreeMap<usize, (SeriesKey, BTreeMap<Timestamp, Point>)>,
}

impl Input {
    fn see(&mut self, (series, key, point): &Arrival) {
        self.points += 1;
        self.series = self.series.max(series + 1);
        self.dead_later += usize::from(!point.is_visible_at(cloud_eye::last() + AFTER_THE_END));
        let is_known = self.samples.contains_key(series);
        if is_known || (series % SAMPLE_EVERY == 0 && self.samples.len() < SAMPLES_MAX) {
            let (_, points) = self.samples.entry(*series).or_insert_with(|| (key.clone(), BTreeMap::new()));
            points.insert(point.time, point.clone());
        }
    }

    /// Compares the sample with what the store gives at its present time.
    fn check(&self, db: &Db, now: Timestamp) {
        for (key, points) in self.samples.values() {
            let wanted = points.values().filter(|point| point.is_visible_at(now));
            let stored = db.points(key, ..).expect("the store answers");
            let mut stored = stored.map(|point| point.expect("the store answers"));
            for (place, wanted) in wanted.enumerate() {
                assert_eq!(stored.next().as_ref(), Some(wanted), "point {place} of {key}");
            }
            assert_eq!(stored.next(), None, "more points of {key} than went in");
        }
    }
}

fn builder(case: &Case, dir: &Path, clock: Arc<ManualClock>) -> Builder {
    let builder =
        Db::builder(dir).durability(Durability::Buffered).clock(clock).store_non_finite(true).retention(WINDOWS);
    builder.partition_days(case.days).maintenance(Maintenance::Manual).reclaim_within(RECLAIM_WITHIN)
}

/// Writes everything; gives what it was and the time spent in write calls.
fn ingest(db: &Db, mut arrivals: impl Iterator<Item = Arrival>) -> (Input, Duration) {
    let mut input = Input::default();
    let (mut writing, mut refusals) = (Duration::ZERO, 0);
    loop {
        let mut batch = WriteBatch::with_capacity(BATCH);
        for arrival in arrivals.by_ref().take(BATCH) {
            input.see(&arrival);
            batch.push(arrival.1, arrival.2);
        }
        if batch.is_empty() {
            break;
        }
        let clock = Instant::now();
        let receipt = support::write(db, &batch, &mut refusals);
        writing += clock.elapsed();
        input.distinct += receipt.stored - receipt.replaced;
    }
    (input, writing)
}

/// Measures one workload and prints its row; gives the row of its windows.
fn measure(case: &Case, arrivals: Arrivals, points_max: usize) -> String {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the build folder is writable");
    let dir = folder.path();
    let mut arrivals = arrivals.take(points_max).peekable();
    let start = arrivals.peek().expect("a workload has points").2.time;
    let clock = Arc::new(ManualClock::new(start));

    let db = builder(case, dir, clock.clone()).open().expect("a fresh folder opens");
    let (input, writing) = ingest(&db, arrivals);
    let timer = Instant::now();
    db.compact().expect("the store compacts");
    let compacting = timer.elapsed();
    let stats = db.stats();
    db.close().expect("the store closes");
    drop(db);

    let files = Files::measure(dir);
    let timer = Instant::now();
    let db = builder(case, dir, clock.clone()).open().expect("the store opens again");
    let opening = timer.elapsed();
    input.check(&db, clock.now());

    let a_point = |bytes: u64| bytes as f64 / input.distinct as f64;
    let core = a_point(files.segment_bytes() + files.manifest);
    let verdict = |limit: Option<f64>| match limit {
        // What never left the log has no size of its own to be proud of.
        Some(limit) if files.segments.is_empty() => format!("{limit:.2} NO SEGMENTS"),
        Some(limit) => format!("{limit:.2}{}", if core <= limit { "" } else { " MISSED" }),
        None => "-".into(),
    };
    println!(
        "| {} | {} | {} | {} | {core:.3} | {} | {} | {:.3} | {:.3} | {:.3} | {} | {:.2} | {:.2} | {:.1} |",
        case.name,
        input.distinct,
        input.series,
        case.days,
        verdict(case.goal),
        verdict(case.bar),
        a_point(files.log),
        a_point(files.catalog),
        a_point(files.rest),
        files.segments.len(),
        input.points as f64 / writing.as_secs_f64() / 1e6,
        compacting.as_secs_f64(),
        opening.as_secs_f64() * 1e3,
    );
    if (stats.window_bytes, stats.segment_bytes) != (files.windows, files.windows + files.segment_bytes()) {
        println!(
            "NOTE {}: stats tell {} bytes of segments, {} of windows",
            case.name, stats.segment_bytes, stats.window_bytes
        );
    }
    if stats.points != input.distinct as u64 {
        println!("NOTE {}: stats tell {} points, {} went in", case.name, stats.points, input.distinct);
    }
    if case.name == "W5" {
        expire(&db, &clock, &input, dir);
    }
    db.close().expect("the store closes");
    of_windows(case, &stats)
}

/// The row of a workload's windows.
fn of_windows(case: &Case, stats: &Stats) -> String {
    let a_point = |bytes: u64| bytes as f64 / stats.points as f64;
    let (point, windows) = (a_point(stats.segment_bytes - stats.window_bytes), a_point(stats.window_bytes));
    let window = stats.window_bytes as f64 / stats.windows as f64;
    let bar = match case.name {
        "W1" => format!("{WINDOWS_BAR} a point{}", if windows <= WINDOWS_BAR { "" } else { " MISSED" }),
        "W2" | "nab" => {
            format!(
                "{WINDOW_TO_POINT_BAR} x point{}",
                if window <= WINDOW_TO_POINT_BAR * point { "" } else { " MISSED" }
            )
        }
        _ => "-".into(),
    };
    format!(
        "| {} | {} | {:.2} | {} | {point:.3} | {windows:.3} | {window:.3} | {:.2} | {bar} |",
        case.name,
        stats.windows,
        stats.points as f64 / stats.windows as f64,
        stats.window_bytes,
        window / point,
    )
}

/// Lets time pass until 12 h behind the data's end, and tells what left the disk and what was written for it.
fn expire(db: &Db, clock: &ManualClock, input: &Input, dir: &Path) {
    let before = Files::measure(dir);
    clock.set(cloud_eye::last() + AFTER_THE_END).expect("time goes forward");
    let timer = Instant::now();
    db.maintain().expect("the store does what is due");
    let taken = timer.elapsed();
    input.check(db, clock.now());
    let after = Files::measure(dir);
    let is_new = |name: &String| !before.segments.contains_key(name);
    let rewritten: u64 = after.segments.iter().filter(|(name, _)| is_new(name)).map(|(_, bytes)| bytes).sum();
    let freed = before.segment_bytes().cast_signed() - after.segment_bytes().cast_signed();
    let share = |part: f64, whole: f64| if whole > 0.0 { 100.0 * part / whole } else { f64::NAN };
    println!(
        "\nW5, 12 h behind its end: {:.1} % of the points are dead. maintain() took {:.1} ms (goal 20), freed {freed} \
         bytes of segments ({:.1} %), wrote {rewritten} bytes anew ({:.1} % of those freed, goal 5); \
         {} segments became {}\n",
        share(input.dead_later as f64, input.points as f64),
        taken.as_secs_f64() * 1e3,
        share(freed as f64, before.segment_bytes() as f64),
        share(rewritten as f64, freed as f64),
        before.segments.len(),
        after.segments.len(),
    );
}

fn main() {
    if !support::asked_for() {
        return;
    }
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let points_max = support::points_max(usize::MAX);
    println!(
        "Bytes a point; `segments` are those of points, and include MANIFEST. Durability: buffered. M/s counts write calls only.\n"
    );
    println!(
        "| workload | points | series | partition days | segments | goal | bar | log | catalogue | rest | segments | \
         ingest M/s | compact s | reopen ms |"
    );
    println!("|{}", " --- |".repeat(14));
    let mut windows = Vec::new();
    for case in CASES.iter().filter(|case| asked.is_empty() || asked.iter().any(|name| name == case.name)) {
        windows.extend(arrivals(case.name).map(|arrivals| measure(case, arrivals, points_max)));
    }
    println!("\nWindows of five minutes, which come on top; segments only, without MANIFEST.\n");
    println!(
        "| workload | windows | points a window | bytes | bytes a point | of windows, a point | bytes a window | \
         window to point | bar |"
    );
    println!("|{}", " --- |".repeat(9));
    for row in windows {
        println!("{row}");
    }
}
