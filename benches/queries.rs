//! Questions as dashboards ask them: of W1, whole, first with every point in memory still, then flushed and compacted.
//! Goals (a) to (e): one series' last hour and day, five-minute averages of twelve hours of one metric of 8 hosts,
//! hourly maxima of a day of 100 hosts, and the latest point of each of 1,000 series.
//!
//! One reader, and nobody writes. Buffered; all jobs on the caller's thread; the store's clock stands where the data
//! ends, so that the default retention keeps windows of five minutes. Files are in the system's cache; each turn asks
//! about the next series, host or metric. Timed is one question about all of its series, values taken out of the answer
//! included; the figure is the median of many turns.
//!
//! So what is measured are repeated questions: once compacted, they are answered from Ebbtide's own cache of decoded
//! columns (32 MiB a volume), as a dashboard's are that asks again every few seconds. What a question takes when it is
//! asked first, `first us` tells: the median over as many turns as come to other series, the store opened anew before.
//! In all states all answers must be the same. `EBBTIDE_POINTS` asks for fewer points, `EBBTIDE_QUESTION=b` for the
//! questions whose names hold that.
#![allow(clippy::disallowed_methods, reason = "a bench measures real time")]
#![allow(clippy::cast_precision_loss, reason = "times are printed with a few digits")]

#[path = "workloads/devops.rs"]
mod devops;
mod support;

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ebbtide::{
    Aggregate, Columns, Db, Durability, Function, Maintenance, ManualClock, Selector, SeriesKey, TimeRange, Timestamp,
    Value, Window, WriteBatch,
};

use devops::{Devops, SERIES, START, coin};

const POINTS: usize = 8_640_000;
const BATCH: usize = 10_000;
const STEP: Duration = Duration::from_secs(10);
/// Series of one host.
const METRICS: usize = 10;
const HOSTS: usize = SERIES / METRICS;
/// Enough that nothing is flushed before it is asked for.
const HEAD_BYTES_MAX: usize = 8 << 30;
/// A question is asked so often, or less often if that takes too long.
const TURNS: usize = 2_001;
const TURNS_MIN: usize = 5;
const TIME_MAX: Duration = Duration::from_secs(2);
/// Series of which each is asked about once, before any is asked again.
const FEW: usize = 101;
/// Turns whose answers are compared between the states.
const COMPARED: usize = 20;
/// Relatively prime to the number of series, so that turns come to all of them, and not in the order of the files.
const STRIDE: usize = 389;

const HOUR: Duration = Duration::from_secs(3_600);

/// Times and values; which of the two it is depends on the call.
#[derive(Default)]
struct Answer {
    points: Vec<(Timestamp, f64)>,
    columns: Columns,
}

struct Question {
    name: &'static str,
    /// By which call.
    call: &'static str,
    goal: Duration,
    /// So many turns, one in so many, of which no two ask about the same series.
    others: (usize, usize),
    ask: fn(&Store, usize, &mut Answer),
}

const QUESTIONS: [Question; 11] = [
    Question {
        name: "(a) 1 series, last 1 h",
        call: "points",
        goal: Duration::from_micros(4),
        others: (FEW, 1),
        ask: |store, turn, out| {
            store.points(turn, HOUR, out);
        },
    },
    Question {
        name: "(a) 1 series, last 1 h",
        call: "read_into",
        goal: Duration::from_micros(4),
        others: (FEW, 1),
        ask: |store, turn, out| store.columns(turn, HOUR, out),
    },
    Question {
        name: "(b) 1 series, 24 h",
        call: "read_into",
        goal: Duration::from_micros(30),
        others: (FEW, 1),
        ask: |store, turn, out| store.columns(turn, 24 * HOUR, out),
    },
    Question {
        name: "(b) 1 series, 24 h",
        call: "points",
        goal: Duration::from_micros(30),
        others: (FEW, 1),
        ask: |store, turn, out| {
            store.points(turn, 24 * HOUR, out);
        },
    },
    Question {
        name: "(c) 5-min avg, 12 h, 8 hosts",
        call: "windows",
        goal: Duration::from_micros(60),
        others: (HOSTS / 8, 8),
        ask: |store, turn, out| {
            for host in 0..8 {
                store.windows(store.key(host + turn, turn / HOSTS), 12 * HOUR, HOUR / 12, Window::average, out);
            }
        },
    },
    Question {
        name: "(c) 5-min avg, 12 h, 8 hosts",
        call: "values",
        goal: Duration::from_micros(60),
        others: (HOSTS / 8, 8),
        ask: |store, turn, out| {
            for host in 0..8 {
                store.values(store.key(host + turn, turn / HOSTS), 12 * HOUR, HOUR / 12, Function::Average, out);
            }
        },
    },
    Question {
        name: "(d) hourly max, 24 h, 100 hosts",
        call: "values",
        goal: Duration::from_millis(1),
        others: (METRICS, 1),
        ask: |store, turn, out| {
            for host in 0..HOSTS {
                store.values(store.key(host, turn), 24 * HOUR, HOUR, Function::Max, out);
            }
        },
    },
    Question {
        name: "(d) hourly max, 24 h, 100 hosts",
        call: "windows",
        goal: Duration::from_millis(1),
        others: (METRICS, 1),
        ask: |store, turn, out| {
            for host in 0..HOSTS {
                store.windows(store.key(host, turn), 24 * HOUR, HOUR, max, out);
            }
        },
    },
    Question {
        name: "(d) hourly max, 24 h, 100 hosts",
        call: "aggregate",
        goal: Duration::from_millis(1),
        others: (METRICS, 1),
        ask: |store, turn, out| {
            let selector = Selector::all().namespace("BENCH.W1").metric(format!("metric_{}", turn % METRICS));
            let question = Aggregate::new(selector, store.last(24 * HOUR), HOUR).by(["host"]);
            for group in store.db.aggregate(&question).expect("the store answers") {
                out.points.extend(group.windows.iter().map(|window| (window.start, max(window))));
            }
        },
    },
    Question {
        name: "(e) latest of 1,000 series",
        call: "latest",
        goal: Duration::from_micros(150),
        others: (1, 1),
        ask: |store, _, out| {
            for key in &store.keys {
                let latest = store.db.latest(key).expect("the store answers").expect("every series has points");
                out.points.push((latest.time, float(latest.value)));
            }
        },
    },
    Question {
        name: "(e) latest of 1,000 series",
        call: "latest_of",
        goal: Duration::from_micros(150),
        others: (1, 1),
        ask: |store, _, out| {
            let latest = store.db.latest_of(&Selector::all()).expect("the store answers");
            out.points.extend(latest.iter().map(|(_, point)| (point.time, float(point.value))));
        },
    },
];

fn float(value: Value) -> f64 {
    match value {
        Value::Float(float) => float,
        Value::Int(int) => int as f64,
    }
}

fn max(window: &Window) -> f64 {
    float(window.max())
}

struct Store {
    db: Db,
    keys: Vec<SeriesKey>,
    end: Timestamp,
}

impl Store {
    /// Closes the store and opens it again, which leaves nothing of it in memory but names.
    fn open_anew(&mut self, folder: &Path) {
        self.db.close().expect("the store closes");
        // The folder is free once its database has gone.
        self.db = Db::in_memory();
        self.db = open(folder, self.end);
    }

    fn last(&self, span: Duration) -> TimeRange {
        TimeRange::new(self.end - span, self.end)
    }

    fn key(&self, host: usize, metric: usize) -> &SeriesKey {
        &self.keys[host % HOSTS * METRICS + metric % METRICS]
    }

    fn points(&self, turn: usize, span: Duration, out: &mut Answer) {
        let key = &self.keys[turn * STRIDE % SERIES];
        for point in self.db.points(key, self.last(span)).expect("the store answers") {
            let point = point.expect("every point can be read");
            out.points.push((point.time, float(point.value)));
        }
    }

    fn columns(&self, turn: usize, span: Duration, out: &mut Answer) {
        let key = &self.keys[turn * STRIDE % SERIES];
        self.db.read_into(key, self.last(span), &mut out.columns).expect("the store answers");
    }

    fn values(&self, key: &SeriesKey, span: Duration, period: Duration, function: Function, out: &mut Answer) {
        let values = self.db.values(key, self.last(span), period, function).expect("the store answers");
        out.points.extend(values.iter().map(|(start, number)| (*start, number.to_f64())));
    }

    fn windows(&self, key: &SeriesKey, span: Duration, period: Duration, value: fn(&Window) -> f64, out: &mut Answer) {
        let windows = self.db.windows(key, self.last(span), period).expect("the store answers");
        out.points.extend(windows.iter().map(|window| (window.start, value(window))));
    }
}

impl PartialEq for Answer {
    fn eq(&self, other: &Self) -> bool {
        self.points == other.points && self.columns.iter().eq(other.columns.iter())
    }
}

impl Question {
    /// The median of turns that each ask for the first time.
    fn first(&self, store: &Store) -> Option<Duration> {
        let mut turns = Vec::new();
        let (count, step) = self.others;
        for turn in (0..count).map(|turn| turn * step) {
            let (clock, mut answer) = (Instant::now(), Answer::default());
            (self.ask)(store, turn, &mut answer);
            black_box(&answer);
            turns.push(clock.elapsed());
        }
        turns.sort_unstable();
        turns.get(turns.len() / 2).copied()
    }

    /// Measures it and prints its row; gives the answers of the first turns. `first` is what it takes when its answer
    /// has to be read.
    fn measure(&self, state: &str, store: &Store, first: Option<Duration>) -> Vec<Answer> {
        let asked = std::env::var("EBBTIDE_QUESTION").unwrap_or_default();
        if !self.name.contains(&asked) {
            return Vec::new();
        }
        let answers = (0..COMPARED).map(|turn| {
            let mut answer = Answer::default();
            (self.ask)(store, turn, &mut answer);
            answer
        });
        let answers: Vec<Answer> = answers.collect();
        let (start, mut turns, mut answer) = (Instant::now(), Vec::new(), Answer::default());
        while turns.len() < TURNS_MIN || (turns.len() < TURNS && start.elapsed() < TIME_MAX) {
            answer.points.clear();
            let clock = Instant::now();
            (self.ask)(store, turns.len(), &mut answer);
            black_box(&answer);
            turns.push(clock.elapsed());
        }
        turns.sort_unstable();
        let (median, len) = (turns[turns.len() / 2], answers[0].points.len().max(answers[0].columns.len()));
        println!(
            "| {} | {} | {state} | {} | {len} | {} | {:.2} | {:.1} | {:.0} | {} |",
            self.name,
            self.call,
            turns.len(),
            first.map_or("-".into(), |first| format!("{:.2}", first.as_secs_f64() * 1e6)),
            median.as_secs_f64() * 1e6,
            median.as_secs_f64() * 1e9 / len as f64,
            self.goal.as_secs_f64() * 1e6,
            if median <= self.goal { "reached" } else { "MISSED" },
        );
        answers
    }
}

fn open(folder: &Path, end: Timestamp) -> Db {
    let builder = Db::builder(folder).durability(Durability::Buffered).head_bytes_max(HEAD_BYTES_MAX);
    let clock = Arc::new(ManualClock::new(end));
    builder.clock(clock).maintenance(Maintenance::Manual).open().expect("the folder opens")
}

fn main() {
    if !support::asked_for() {
        return;
    }
    let points = support::points_max(POINTS);
    let scrapes = u32::try_from(points.div_ceil(SERIES)).expect("a few scrapes");
    let end = START + STEP * scrapes;
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the build folder is writable");
    let db = open(folder.path(), end);

    let keys: Vec<SeriesKey> = Devops::new(SERIES, coin).take(SERIES).map(|(_, key, _)| key).collect();
    let mut input = Devops::new(SERIES, coin).take(points).map(|(_, key, point)| (key, point)).peekable();
    let mut refusals = 0;
    while input.peek().is_some() {
        let batch: WriteBatch = input.by_ref().take(BATCH).collect();
        support::write(&db, &batch, &mut refusals);
    }
    let store = Store { db, keys, end };
    println!("W1, {points} points, buffered; medians, in microseconds a question and nanoseconds a point or window\n");
    println!("| question | call | points are | turns | answers | first us | us | ns each | goal us | |");
    println!("|{}", " --- |".repeat(10));
    let stats = store.db.stats();
    let recent = QUESTIONS.map(|question| question.measure("in memory", &store, None));
    store.db.compact().expect("the store compacts");
    let mut store = store;
    let stored = QUESTIONS.map(|question| {
        store.open_anew(folder.path());
        let first = question.first(&store);
        question.measure("compacted", &store, first)
    });
    assert!(recent == stored, "a flush changes no answer");
    if stats.recent_points != points as u64 {
        println!("\nNOTE: of {points} points {} were in memory, the others in segments already", stats.recent_points);
    }
    let after = store.db.stats();
    println!(
        "\n{:.1} MB of memory for {} points, then {} windows of {:.1} bytes in {} segments",
        stats.head_bytes as f64 / 1e6,
        stats.recent_points,
        after.windows,
        after.window_bytes as f64 / after.windows as f64,
        after.segments,
    );
    store.db.close().expect("the store closes");
}
