//! A day of 10,000 series in bounded memory: 100 million points in, questions asked while they come and afterwards,
//! then everything merged. After each stage the most memory that the whole process ever had resident is told; the bar
//! is 256 MiB.
//!
//! Input: as W1 with more hosts, every 10 s, 27.8 h in all; the store's clock stands where the data ends. Buffered, one writer, batches of 10,000, flushes and
//! merges in the background; questions come from the writer between two batches. Rates count time in write calls only.
//! `EBBTIDE_POINTS` asks for fewer points.
#![allow(clippy::disallowed_methods, reason = "a bench measures real time, and asks the system for its memory")]
#![allow(clippy::cast_precision_loss, reason = "rates are printed with a few digits")]

#[path = "workloads/devops.rs"]
mod devops;
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ebbtide::{Builder, Db, Durability, Maintenance, ManualClock, SeriesKey, TimeRange, Timestamp, Value, WriteBatch};

use devops::{Devops, START, coin};

const POINTS: usize = 100_000_000;
const SERIES: usize = 10 * devops::SERIES;
const BATCH: usize = 10_000;
const STEP: Duration = Duration::from_secs(10);
/// Up to two frozen heads stand beside the active one, so this three times, the log's buffers and the readers' must
/// fit the bar.
const HEAD_BYTES_MAX: usize = 32 << 20;
const BAR_MIB: u64 = 256;
/// Questions of each kind, over series far apart.
const QUESTIONS: usize = 21;
const REPORTS: usize = 10;
/// The series whose points are counted and added up on their way in, to be compared with what comes back.
const WITNESS: usize = 4_242;

fn builder(folder: &std::path::Path, points: usize) -> Builder {
    let scrapes = u32::try_from(points.div_ceil(SERIES)).expect("a few scrapes");
    let clock = Arc::new(ManualClock::new(START + STEP * scrapes));
    let builder = Db::builder(folder).durability(Durability::Buffered).head_bytes_max(HEAD_BYTES_MAX);
    builder.partition_days(1).maintenance(Maintenance::Background).clock(clock)
}

/// What the kernel says about this process's memory, in MiB; 0 where there is no such file.
fn memory_mib(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    let kib = line.trim_start_matches(':').split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok());
    kib.unwrap_or(0).div_ceil(1 << 10)
}

/// Says where things stand, whether the bar holds included.
fn report(db: &Db, stage: &str) {
    let stats = db.stats();
    let (resident, peak) = (memory_mib("VmRSS"), memory_mib("VmHWM"));
    let verdict = if peak > BAR_MIB { "OVER the bar" } else { "within the bar" };
    println!(
        "{stage}: {} segments of {:.1} MiB, head {:.1} MiB, log {:.1} MiB, resident {resident} MiB, \
         peak {peak} MiB ({verdict} of {BAR_MIB})",
        stats.segments,
        mib(stats.segment_bytes),
        mib(stats.head_bytes),
        mib(stats.log_bytes),
    );
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Asks for raw points of series far apart and says the median time of an answer.
fn ask(db: &Db, keys: &[SeriesKey], newest: Timestamp) {
    let end = newest + Duration::from_millis(1);
    let back = |secs| TimeRange::from(newest - Duration::from_secs(secs)..end);
    for (what, range) in [("1 h", back(3_600)), ("24 h", back(86_400)), ("latest", back(60))] {
        let mut times = Vec::with_capacity(QUESTIONS);
        let mut found = 0;
        for key in keys.iter().step_by(keys.len().div_ceil(QUESTIONS).max(1)) {
            let clock = Instant::now();
            let mut points = db.points(key, range).expect("the store answers");
            if what == "latest" {
                let last = points.next_back().expect("there is a point").expect("the store answers");
                assert!(last.time <= newest);
                found += 1;
            } else {
                found += points.inspect(|point| assert!(point.is_ok())).count();
            }
            times.push(clock.elapsed());
        }
        times.sort();
        let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
        println!("    {what}: {} points an answer, median {median:.1?}, worst {worst:.1?}", found / times.len());
    }
}

/// Count and sum of one series.
#[derive(Default, PartialEq, Debug)]
struct Witness {
    count: usize,
    sum: f64,
}

impl Witness {
    fn see(&mut self, value: Value) {
        let Value::Float(float) = value else { unreachable!("the workload is of doubles") };
        self.count += 1;
        self.sum += float;
    }

    fn check(&self, db: &Db, key: &SeriesKey) {
        let mut stored = Self::default();
        for point in db.points(key, ..).expect("the store answers") {
            stored.see(point.expect("the store answers").value);
        }
        assert_eq!(&stored, self, "what came back of {key}");
        println!("    {key}: all {} points came back", self.count);
    }
}

/// Where ingest ended.
struct End {
    keys: Vec<SeriesKey>,
    newest: Timestamp,
    witness: Witness,
}

fn ingest(db: &Db, points: usize) -> End {
    let mut input = Devops::new(SERIES, coin).take(points);
    let mut end = End { keys: Vec::new(), newest: START, witness: Witness::default() };
    let (mut done, mut told, mut refusals) = (0, 0, 0);
    let (mut writing, mut start) = (Duration::ZERO, Instant::now());
    while done < points {
        let mut batch = WriteBatch::with_capacity(BATCH);
        for (series, key, point) in input.by_ref().take(BATCH) {
            if series == end.keys.len() {
                end.keys.push(key.clone());
            }
            if series == WITNESS {
                end.witness.see(point.value);
            }
            end.newest = point.time;
            batch.push(key, point);
        }
        let clock = Instant::now();
        support::write(db, &batch, &mut refusals);
        writing += clock.elapsed();
        done += batch.len();
        if done == points || done - told >= points.div_ceil(REPORTS) {
            let [rate, wall] = [writing, start.elapsed()].map(|taken| (done - told) as f64 / taken.as_secs_f64() / 1e6);
            println!(
                "{done} points: {rate:.2} M/s in writes, {wall:.2} M/s by the wall, {refusals} times told to wait"
            );
            report(db, "  during ingest");
            ask(db, &end.keys, end.newest);
            (told, writing, start) = (done, Duration::ZERO, Instant::now());
        }
    }
    end
}

fn main() {
    if !support::asked_for() {
        return;
    }
    let points = support::points_max(POINTS);
    println!("{points} points, {SERIES} series, batches of {BATCH}, buffered, head_bytes_max {HEAD_BYTES_MAX}");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the build folder is writable");
    let db = builder(folder.path(), points).open().expect("a fresh folder opens");
    let end = ingest(&db, points);
    let witness = end.keys.get(WITNESS);

    for (stage, work) in [("flush", Db::flush as fn(&Db) -> ebbtide::Result<()>), ("compact", Db::compact)] {
        let clock = Instant::now();
        work(&db).unwrap_or_else(|error| panic!("{stage}: {error}"));
        println!("{stage} took {:.1?}", clock.elapsed());
        report(&db, &format!("  after {stage}"));
        ask(&db, &end.keys, end.newest);
    }
    let bytes_per_point = db.stats().segment_bytes as f64 / points as f64;
    println!("segments hold {bytes_per_point:.3} bytes a point");
    if let Some(key) = witness {
        end.witness.check(&db, key);
    }

    let clock = Instant::now();
    db.close().expect("the store closes");
    drop(db);
    println!("close took {:.1?}", clock.elapsed());
    let clock = Instant::now();
    let db = builder(folder.path(), points).open().expect("the store opens again");
    println!("opening again took {:.1?}", clock.elapsed());
    if let Some(key) = witness {
        end.witness.check(&db, key);
    }
    report(&db, "at the end");
    db.close().expect("the store closes");
}
