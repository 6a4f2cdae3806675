//! Which cells a run has, in which order; carries them out one at a time and says how far it is.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use crate::cell::{Cell, Task};
use crate::figures::Figures;
use crate::options::Options;

/// What takes longer in the first round, in seconds, is not repeated.
const REPEATED_MAX: f64 = 15.0;
/// Seconds that a writer of a rate writes.
const RATE_BUDGET: u64 = 2;
/// Growth should be measured whole.
const GROWTH_BUDGET: u64 = 60;

/// A row of cells, one for each store.
pub(crate) struct Row {
    pub(crate) name: String,
    tasks: &'static [Task],
    workload: &'static str,
    points: usize,
    batch: usize,
    synced: bool,
    writers: usize,
    series: usize,
    by_series: bool,
}

impl Row {
    fn new(name: &str, tasks: &'static [Task], workload: &'static str, batch: usize) -> Self {
        let (points, synced, writers, series) = (usize::MAX, false, 1, 0);
        Self { name: name.into(), tasks, workload, points, batch, synced, writers, series, by_series: false }
    }
}

const BATCH: usize = 10_000;

/// The row of batches whose points come series by series, so that a store looks up a name once for several.
pub(crate) const BY_SERIES: &str = "W1 batch 10000, by series";

/// Points and series of the table of growth.
const GROWTH: [(usize, usize); 6] = [
    (1_000_000, 1_000),
    (10_000_000, 1_000),
    (100_000_000, 1_000),
    (10_000_000, 10_000),
    (10_000_000, 100_000),
    (10_000_000, 1_000_000),
];

pub(crate) fn rate_row(batch: usize, synced: bool, writers: usize) -> String {
    let synced = if synced { " synced" } else { "" };
    let writers = if writers > 1 { format!(", {writers} writers") } else { String::new() };
    format!("W1 batch {batch}{synced}{writers}")
}

pub(crate) fn growth_rows(most: usize) -> impl Iterator<Item = (String, usize, usize)> {
    let rows = GROWTH.into_iter().filter(move |(points, _)| *points <= most);
    rows.map(|(points, series)| (format!("growth, {points} points, {series} series"), points, series))
}

pub(crate) fn rows(options: &Options) -> Vec<Row> {
    const FILL: &[Task] = &[Task::Fill];
    const FILL_READ: &[Task] = &[Task::Fill, Task::Read];
    const FILL_READ_EXPIRE: &[Task] = &[Task::Fill, Task::Read, Task::Expire];
    let mut rows = Vec::new();
    for workload in ["W1", "W2", "W3", "W4"] {
        rows.push(Row::new(workload, FILL_READ, workload, BATCH));
    }
    rows.push(Row::new("W5", FILL_READ_EXPIRE, "W5", BATCH));
    for folder in ["node_exporter", "m3", "nab"] {
        rows.push(Row::new(folder, FILL, folder, BATCH));
    }
    for (batch, synced, writers) in [
        (BATCH, false, 2),
        (1_000, false, 1),
        (100, false, 1),
        (1, false, 1),
        (BATCH, true, 1),
        (1_000, true, 1),
        (100, true, 1),
        (1, true, 1),
        (1, true, 64),
    ] {
        let row = Row::new(&rate_row(batch, synced, writers), &[Task::Rate], "W1", batch);
        rows.push(Row { synced, writers, ..row });
    }
    rows.push(Row { by_series: true, ..Row::new(BY_SERIES, &[Task::Rate], "W1", BATCH) });
    for row in &mut rows {
        row.points = options.points;
    }
    for (name, points, series) in growth_rows(options.growth) {
        let row = Row::new(&name, &[Task::Growth], "growth", BATCH);
        rows.push(Row { points, series, ..row });
    }
    rows.retain(|row| row.name.contains(&options.only));
    rows
}

pub(crate) fn carry_out(options: &Options) -> Figures {
    let start = Instant::now();
    let mut figures = Figures::default();
    let rows = rows(options);
    let mut slow = BTreeSet::new();
    let mut cells = Vec::new();
    for round in 1..=options.rounds {
        for row in &rows {
            let growth = row.tasks == [Task::Growth];
            let stores = options.stores.iter().filter(|store| !growth || **store == "ebbtide");
            cells.extend(stores.map(|store| (round, row, *store)));
        }
    }
    let count = cells.len();
    for (place, (round, row, store)) in cells.into_iter().enumerate() {
        if slow.contains(&(row.name.clone(), store)) {
            continue;
        }
        eprint!(
            "[{:>3}/{count} {:>5.0} s] round {round} {}: {store} ... ",
            place + 1,
            start.elapsed().as_secs_f64(),
            row.name
        );
        let clock = Instant::now();
        let word = match measure(options, row, store, &mut figures) {
            Ok(()) => String::new(),
            Err(why) => {
                figures.failed.push((row.name.clone(), store.to_owned(), why.clone()));
                slow.insert((row.name.clone(), store));
                format!(", FAILED: {why}")
            }
        };
        let taken = clock.elapsed().as_secs_f64();
        if taken > REPEATED_MAX {
            slow.insert((row.name.clone(), store));
        }
        eprintln!("{taken:.1} s{word}");
    }
    figures.seconds = start.elapsed().as_secs();
    figures
}

/// Runs the tasks of one row for one store, each in a process of its own, in one folder. Figures count only if all have
/// done what they should, the comparison of answers included.
fn measure(options: &Options, row: &Row, store: &str, figures: &mut Figures) -> Result<(), String> {
    std::fs::create_dir_all(&options.dir).map_err(|error| error.to_string())?;
    let folder = tempfile::tempdir_in(&options.dir).map_err(|error| error.to_string())?;
    let mut cell = first_cell(options, row, store, folder.path());
    let mut all = Vec::new();
    for task in row.tasks {
        cell.task = *task;
        if *task != Task::Fill && crate::stores::kind(store).is_floor && *task != Task::Rate {
            break;
        }
        let told = cell.run()?;
        all.extend(told.iter().cloned());
        let told = |wanted: &str| told.iter().find(|(name, _)| name == wanted).map(|(_, number)| whole_number(*number));
        if let (Task::Fill, Some(points), Some(whole)) = (task, told("points"), told("whole")) {
            cell.points = points;
            // What is not whole is opened and checked, but its answers are no others' equals: no time to ask.
            cell.budget = if whole == 1 { cell.budget } else { 0 };
        }
    }
    for (name, number) in &all {
        figures.add(&row.name, store, name, *number);
    }
    Ok(())
}

fn first_cell(options: &Options, row: &Row, store: &str, dir: &Path) -> Cell {
    let budget = match row.tasks[0] {
        Task::Rate => RATE_BUDGET.min(options.budget),
        Task::Growth => GROWTH_BUDGET,
        _ => options.budget,
    };
    Cell {
        store: store.into(),
        task: row.tasks[0],
        workload: row.workload.into(),
        points: row.points,
        budget,
        batch: row.batch,
        synced: row.synced,
        writers: row.writers,
        series: row.series,
        by_series: row.by_series,
        dir: dir.into(),
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count that came as a decimal number")]
fn whole_number(number: f64) -> usize {
    number as usize
}
