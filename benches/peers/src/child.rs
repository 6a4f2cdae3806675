//! What the process of a cell does. Each number is told as a line of its name and itself.

use std::hint::black_box;
use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::cell::{Cell, Task};
use crate::growth;
use crate::input::{self, Feeder, NOW};
use crate::process::{peak_memory, size, written};
use crate::stores::{Kind, Setup, Statistic, Store, kind};
use crate::truth::{Truth, compare, windows};

const HOUR: i64 = 3_600_000;
/// A question is asked so often, or less often if that takes too long.
const RUNS: usize = 301;
const RUNS_MIN: usize = 5;
const ASKING_MAX: Duration = Duration::from_secs(1);
/// A rate is taken of at most so many points of each writer, all made ahead.
const RATE_POINTS_MAX: usize = 2_000_000;
const AFTER_THE_END: i64 = 12 * HOUR;

pub(crate) fn tell(name: &str, number: f64) {
    println!("{name} {number}");
}

pub(crate) fn run(cell: &Cell) {
    std::fs::create_dir_all(&cell.dir).expect("the folder is writable");
    match cell.task {
        Task::Fill => fill(cell),
        Task::Read => read(cell),
        Task::Expire => expire(cell),
        Task::Rate => rate(cell),
        Task::Growth => growth::run(cell),
    }
}

fn open(cell: &Cell, now: i64) -> (&'static Kind, Box<dyn Store>) {
    let kind = kind(&cell.store);
    let setup = Setup { dir: &cell.dir, synced: cell.synced, workload: &cell.workload, now };
    (kind, (kind.open)(&setup))
}

/// Files of Ebbtide that hold neither windows nor the copy of names that it can rebuild.
fn is_of_points(name: &str) -> bool {
    let is_of_windows = Path::new(name).extension().is_some_and(|end| end == "sum");
    name == "MANIFEST" || (name.starts_with("segments") && !is_of_windows)
}

fn fill(cell: &Cell) {
    let Some(points) = input::points(&cell.workload, cell.points) else { return };
    let (_, mut store) = open(cell, NOW);
    let mut feeder = Feeder::new(points, cell.batch, Duration::from_secs(cell.budget));
    store.write(feeder.start());
    feeder.stop();
    let fed = feeder.fed as f64;
    let whole = feeder.input_is_over();
    tell("points", fed);
    tell("whole", f64::from(u8::from(whole)));
    let writing = feeder.writing;
    tell("rate", fed / writing.as_secs_f64());
    drop(feeder);

    let clock = Instant::now();
    store.flush();
    let flushing = clock.elapsed();
    tell("flush", flushing.as_secs_f64());
    tell("rate_flushed", fed / (writing + flushing).as_secs_f64());
    tell("written", written() / fed);
    for (name, number) in store.extras() {
        tell(name, number / fed);
    }
    let clock = Instant::now();
    store.compact();
    tell("compact", clock.elapsed().as_secs_f64());
    let clock = Instant::now();
    store.close();
    tell("close", clock.elapsed().as_secs_f64());
    tell("memory", peak_memory());
    tell("disk", size(&cell.dir, &|_| true) / fed);
    tell("disk_of_points", size(&cell.dir, &is_of_points) / fed);
}

/// Asks many times and tells the median in seconds; gives the answer.
pub(crate) fn ask<T>(name: &str, mut question: impl FnMut(usize) -> T) -> T {
    let answer = question(0);
    let (start, mut times) = (Instant::now(), Vec::new());
    while times.len() < RUNS_MIN || (times.len() < RUNS && start.elapsed() < ASKING_MAX) {
        let clock = Instant::now();
        let again = question(times.len());
        times.push(clock.elapsed().as_secs_f64());
        black_box(again);
    }
    times.sort_by(f64::total_cmp);
    tell(name, times[times.len() / 2]);
    answer
}

fn read(cell: &Cell) {
    let truth = Truth::of(&cell.workload, cell.points);
    // What has a time to live is asked for before anything is over.
    let now = if cell.workload == "W5" { NOW } else { truth.end };
    let clock = Instant::now();
    let (_, store) = open(cell, now);
    tell("reopen", clock.elapsed().as_secs_f64());
    // Without a budget nothing is asked: not all of the workload is there.
    if cell.workload == "W1" && cell.budget > 0 {
        questions(store.as_ref(), &truth);
    }
    truth.check(store.as_ref(), now);
    store.close();
}

/// Questions (a) to (e); their series take turns, and the answer about the first is checked.
fn questions(store: &dyn Store, truth: &Truth) {
    let kept = &truth.kept;
    // Data ends with a scrape; windows end with the hour after it.
    let end = (truth.end + HOUR - 1) / HOUR * HOUR;
    let keys: Vec<_> = kept.iter().map(|series| series.key.clone()).collect();
    for (name, hours) in [("query_a", 1), ("query_b", 24)] {
        let range = end - hours * HOUR..end;
        let mut points = Vec::new();
        let answer = ask(name, |run| {
            points.clear();
            store.raw(&keys[run % keys.len()], range.clone(), &mut points);
            if run == 0 { points.clone() } else { Vec::new() }
        });
        assert!(answer == kept[0].raw(range), "{name} has another answer");
    }
    for (name, hours, hosts, period, statistic) in
        [("query_c", 12, 8, HOUR / 12, Statistic::Average), ("query_d", 24, 100, HOUR, Statistic::Max)]
    {
        let (range, hosts) = (end - hours * HOUR..end, hosts.min(keys.len()));
        let answer = ask(name, |_| store.windows(&keys[..hosts], range.clone(), period, statistic));
        compare(name, &answer, &windows(&kept[..hosts], range, period, statistic));
    }
    let answer = ask("query_e", |_| store.latest(&truth.keys));
    assert!(answer == truth.latest, "query_e has another answer");
}

/// Lets time pass until 12 h behind the end of W5, which kills 48 % of its points.
fn expire(cell: &Cell) {
    let truth = Truth::of(&cell.workload, cell.points);
    let (_, store) = open(cell, NOW);
    let (before, written_before) = (size(&cell.dir, &|_| true), written());
    let now = truth.end - 1 + AFTER_THE_END;
    let clock = Instant::now();
    let can = store.expire(now);
    let taken = clock.elapsed().as_secs_f64();
    if can {
        let (freed, rewritten) = (before - size(&cell.dir, &|_| true), written() - written_before);
        tell("expire", taken);
        tell("freed", freed);
        tell("freed_part", freed / before);
        tell("rewritten", rewritten);
        tell("rewritten_part", if freed > 0.0 { rewritten / freed } else { f64::INFINITY });
        truth.check(store.as_ref(), now);
    }
    store.close();
}

/// Points a second of one or several writers, who start together.
fn rate(cell: &Cell) {
    let points = cell.points.min(RATE_POINTS_MAX / if cell.batch == 1 { 2 } else { 1 }) * cell.writers.min(2);
    let inputs: Vec<_> = (0..cell.writers)
        .map(|writer| {
            let mut share = input::share(points, writer, cell.writers);
            input::batches(&mut share, points, cell.batch, cell.by_series)
        })
        .collect();
    let (_, store) = open(cell, NOW);
    let barrier = Barrier::new(cell.writers);
    let budget = Duration::from_secs(cell.budget);
    // How often a writer looks at the clock, so that looking costs nothing.
    let stride = if cell.synced || cell.batch >= 100 { 1 } else { 64 };
    let write = |input: &[_]| {
        barrier.wait();
        let start = Instant::now();
        let (mut asked, mut fed) = (0, 0);
        store.write(&mut std::iter::from_fn(|| {
            let batch: &std::sync::Arc<ebbtide::WriteBatch> = input.get(asked)?;
            if asked % stride == 0 && start.elapsed() > budget {
                return None;
            }
            asked += 1;
            fed += batch.len();
            Some(batch.clone())
        }));
        (fed, start, Instant::now())
    };
    let done: Vec<(usize, Instant, Instant)> = std::thread::scope(|scope| {
        let writers: Vec<_> = inputs.iter().map(|input| scope.spawn(|| write(input))).collect();
        writers.into_iter().map(|writer| writer.join().expect("a writer writes")).collect()
    });
    let start = done.iter().map(|(_, start, _)| *start).min().expect("there is a writer");
    let end = done.iter().map(|(_, _, end)| *end).max().expect("there is a writer");
    let fed: usize = done.iter().map(|(fed, ..)| fed).sum();
    tell("points", fed as f64);
    tell("rate", fed as f64 / (end - start).as_secs_f64());
    // Closing is no part of it, and some take long for that.
    std::process::exit(0);
}
