//! Statistics of windows, as a chart asks for them: of W1, whole, first with every point in memory still, then flushed
//! and compacted. Goals (c) and (d): five-minute averages of twelve hours of one metric of 8 hosts, and hourly maxima of
//! a day of 100 hosts.
//!
//! One reader, who asks series by series, and nobody writes. Buffered; all jobs on the caller's thread; the store's clock
//! stands where the data ends, so that the default retention keeps windows of five minutes. Files are in the system's
//! cache. Both answers must be the same. Timed is one question about all of its series, values taken out of the windows
//! included; the figure is the median of many runs. `EBBTIDE_POINTS` asks for fewer points.
#![allow(clippy::disallowed_methods, reason = "a bench measures real time")]
#![allow(clippy::cast_precision_loss, reason = "times are printed with a few digits")]

#[path = "workloads/devops.rs"]
mod devops;
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ebbtide::{Db, Durability, Maintenance, ManualClock, SeriesKey, TimeRange, Timestamp, Value, Window, WriteBatch};

use devops::{Devops, SERIES, START, coin};

const POINTS: usize = 8_640_000;
const BATCH: usize = 10_000;
const STEP: Duration = Duration::from_secs(10);
/// Series of one host; the first of them is asked about.
const METRICS: usize = 10;
/// Enough that nothing is flushed before it is asked for.
const HEAD_BYTES_MAX: usize = 8 << 30;
/// A question is asked so often, or less often if that takes too long.
const RUNS: usize = 201;
const RUNS_MIN: usize = 5;
const TIME_MAX: Duration = Duration::from_secs(5);

struct Question {
    name: &'static str,
    hosts: usize,
    /// How far it looks back from the end of the data.
    span: Duration,
    period: Duration,
    value: fn(&Window) -> f64,
    goal: Duration,
}

const QUESTIONS: [Question; 2] = [
    Question {
        name: "(c) 5-min average, 12 h, 8 hosts",
        hosts: 8,
        span: Duration::from_secs(12 * 3_600),
        period: Duration::from_secs(300),
        value: Window::average,
        goal: Duration::from_micros(60),
    },
    Question {
        name: "(d) hourly max, 24 h, 100 hosts",
        hosts: 100,
        span: Duration::from_secs(24 * 3_600),
        period: Duration::from_secs(3_600),
        value: max,
        goal: Duration::from_millis(1),
    },
];

fn max(window: &Window) -> f64 {
    match window.max() {
        Value::Float(float) => float,
        Value::Int(int) => int as f64,
    }
}

impl Question {
    /// Start and value of every window of every host.
    fn ask(&self, db: &Db, keys: &[SeriesKey], end: Timestamp) -> Vec<(Timestamp, f64)> {
        let range = TimeRange::new(end - self.span, end);
        let mut answer = Vec::new();
        for key in keys.iter().step_by(METRICS).take(self.hosts) {
            let windows = db.windows(key, range, self.period).expect("the store answers");
            answer.extend(windows.iter().map(|window| (window.start, (self.value)(window))));
        }
        answer
    }

    /// Measures it and prints its row; gives the answer.
    fn measure(&self, state: &str, db: &Db, keys: &[SeriesKey], end: Timestamp) -> Vec<(Timestamp, f64)> {
        let answer = self.ask(db, keys, end);
        let (start, mut runs) = (Instant::now(), Vec::new());
        while runs.len() < RUNS_MIN || (runs.len() < RUNS && start.elapsed() < TIME_MAX) {
            let clock = Instant::now();
            let again = self.ask(db, keys, end);
            runs.push(clock.elapsed());
            assert_eq!(again.len(), answer.len(), "the same question has the same answer");
        }
        runs.sort_unstable();
        let median = runs[runs.len() / 2];
        println!(
            "| {} | {state} | buffered | {} | {} | {:.1} | {:.0} | {:.0} | {} |",
            self.name,
            runs.len(),
            answer.len(),
            median.as_secs_f64() * 1e6,
            median.as_secs_f64() * 1e9 / answer.len() as f64,
            self.goal.as_secs_f64() * 1e6,
            if median <= self.goal { "reached" } else { "MISSED" },
        );
        answer
    }
}

fn main() {
    if !support::asked_for() {
        return;
    }
    let points = support::points_max(POINTS);
    let scrapes = u32::try_from(points.div_ceil(SERIES)).expect("a few scrapes");
    let end = START + STEP * scrapes;
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the build folder is writable");
    let builder = Db::builder(folder.path()).durability(Durability::Buffered).head_bytes_max(HEAD_BYTES_MAX);
    let clock = Arc::new(ManualClock::new(end));
    let db = builder.clock(clock).maintenance(Maintenance::Manual).open().expect("a fresh folder opens");

    let keys: Vec<SeriesKey> = Devops::new(SERIES, coin).take(SERIES).map(|(_, key, _)| key).collect();
    let mut input = Devops::new(SERIES, coin).take(points).map(|(_, key, point)| (key, point)).peekable();
    let mut refusals = 0;
    while input.peek().is_some() {
        let batch: WriteBatch = input.by_ref().take(BATCH).collect();
        support::write(&db, &batch, &mut refusals);
    }
    println!("W1, {points} points; medians, in microseconds a question and nanoseconds a window\n");
    println!("| question | points are | durability | runs | windows | us | ns a window | goal us | |");
    println!("|{}", " --- |".repeat(9));
    let stats = db.stats();
    let recent = QUESTIONS.map(|question| question.measure("in memory", &db, &keys, end));
    db.compact().expect("the store compacts");
    let stored = QUESTIONS.map(|question| question.measure("compacted", &db, &keys, end));
    assert!(recent == stored, "a flush changes no answer");
    if stats.recent_points != points as u64 {
        println!("\nNOTE: of {points} points {} were in memory, the others in segments already", stats.recent_points);
    }
    let after = db.stats();
    println!(
        "\n{:.1} MB of memory for {} points, then {} windows of {:.1} bytes in {} segments",
        stats.head_bytes as f64 / 1e6,
        stats.recent_points,
        after.windows,
        after.window_bytes as f64 / after.windows as f64,
        after.segments,
    );
    db.close().expect("the store closes");
}
