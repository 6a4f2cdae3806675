//! Ingest of W1 beside the floors of this machine: `null` resolves each point's name and drops the point, `rawlog`
//! also appends 20 bytes for it to one file by buffered writes. Both hash the texts of each name (`SipHash`), as anybody
//! would who gets texts. Ebbtide's names bring their hash along: it is made with the name, outside the clock. So that
//! this is no advantage unseen, `rawlog, ready hash` looks the same names up by that hash, and ratios to both are told.
//!
//! One writer, batches of 10,000, each point with its full name: the names that a store keeps are equal to those that
//! arrive but not the same objects in memory, as if each had been read from a request. The clock runs in write calls
//! only: input is made ahead, a bounded piece at a time. It is read after the last acknowledgement, and again after everything acknowledged
//! has left memory for its final files. Two more rows ask for more: the same points handed over series by series, and two
//! writers with half of the series each. What a store does in the background while input is made is not on that clock,
//! so the last column gives the rate by the clock on the wall. All take turns within one run, since a machine's figures
//! drift; what holds is the ratio. Ebbtide's clock stands where the data ends. `EBBTIDE_POINTS` asks for fewer points.
#![allow(clippy::disallowed_methods, reason = "a bench measures real time and writes a file of its own")]
#![allow(clippy::cast_precision_loss, reason = "rates are printed with a few digits")]

#[path = "workloads/devops.rs"]
mod devops;
mod support;

use std::collections::HashMap;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ebbtide::{Db, Durability, Maintenance, ManualClock, SeriesKey, Value, WriteBatch};

use devops::{Arrival, Devops, SERIES, START, coin};

const POINTS: usize = 8_640_000;
const BATCH: usize = 10_000;
/// Batches that are made ahead: about 13 MB.
const PIECE: usize = 20;
const ROUNDS: usize = 3;
/// From the start of the data to its end and a little more.
const SPAN: Duration = Duration::from_secs(86_400);
/// What Ebbtide must reach of rawlog's rate when all is acknowledged, and when all is flushed.
const BARS: (f64, f64) = (0.8, 0.35);

const ROWS: [(&str, &str); 6] = [
    ("null", "nothing is kept"),
    ("rawlog", "buffered, never synced"),
    ("rawlog, ready hash", "buffered, never synced"),
    ("ebbtide", "buffered"),
    ("ebbtide, by series", "buffered"),
    ("ebbtide, 2 writers", "buffered"),
];

enum Store {
    Null { ids: Ids, sum: f64 },
    RawLog { ids: Ids, file: BufWriter<File> },
    Ebbtide { db: Db, refusals: AtomicU64, writers: usize },
}

impl Store {
    fn open(row: &str, folder: &Path) -> Self {
        match row {
            "null" => Self::Null { ids: Ids::Texts(HashMap::new()), sum: 0.0 },
            "rawlog" | "rawlog, ready hash" => {
                let file = File::create(folder.join("points")).expect("the folder is writable");
                let ids = if row == "rawlog" { Ids::Texts(HashMap::new()) } else { Ids::Hashed(HashMap::new()) };
                Self::RawLog { ids, file: BufWriter::with_capacity(1 << 20, file) }
            }
            _ => {
                let builder = Db::builder(folder).durability(Durability::Buffered);
                let clock = Arc::new(ManualClock::new(START + SPAN));
                let db = builder.partition_days(1).maintenance(Maintenance::Background).clock(clock).open();
                let writers = if row.ends_with("2 writers") { 2 } else { 1 };
                Self::Ebbtide { db: db.expect("a fresh folder opens"), refusals: AtomicU64::new(0), writers }
            }
        }
    }

    /// Stores a piece of the input, which holds a list of batches for each writer.
    fn write_all(&mut self, piece: &[Vec<WriteBatch>]) {
        if let (Self::Ebbtide { db, refusals, .. }, true) = (&*self, piece.len() > 1) {
            let write = |batches: &[WriteBatch]| batches.iter().for_each(|batch| write(db, batch, refusals));
            std::thread::scope(|scope| {
                for batches in piece {
                    scope.spawn(move || write(batches));
                }
            });
        } else {
            piece.iter().flatten().for_each(|batch| self.write(batch));
        }
    }

    fn write(&mut self, batch: &WriteBatch) {
        match self {
            Self::Null { ids, sum } => {
                for (key, point) in batch.iter() {
                    *sum += float(point.value) + f64::from(ids.get(key));
                }
            }
            Self::RawLog { ids, file } => {
                for (key, point) in batch.iter() {
                    let mut record = [0; 20];
                    record[..4].copy_from_slice(&ids.get(key).to_le_bytes());
                    record[4..12].copy_from_slice(&point.time.as_millis().to_le_bytes());
                    record[12..].copy_from_slice(&float(point.value).to_le_bytes());
                    file.write_all(&record).expect("the file takes it");
                }
                // The batch is acknowledged once the operating system has it, as Ebbtide's is.
                file.flush().expect("the file takes it");
            }
            Self::Ebbtide { db, refusals, .. } => write(db, batch, refusals),
        }
    }

    fn flush(&self) {
        if let Self::Ebbtide { db, .. } = self {
            db.flush().expect("the store flushes");
        }
    }

    /// Ends the store; gives how often a write had to be offered again.
    fn end(self) -> u64 {
        match self {
            Self::Null { sum, .. } => {
                std::hint::black_box(sum);
                0
            }
            Self::RawLog { .. } => 0,
            Self::Ebbtide { db, refusals, .. } => {
                db.close().expect("the store closes");
                refusals.into_inner()
            }
        }
    }
}

fn write(db: &Db, batch: &WriteBatch, refusals: &AtomicU64) {
    let mut refused = 0;
    let receipt = support::write(db, batch, &mut refused);
    assert_eq!((receipt.stored, receipt.late), (batch.len(), 0));
    refusals.fetch_add(refused, Ordering::Relaxed);
}

/// Numbers by name, in the standard library's map.
enum Ids {
    /// As anybody would keep them: the texts are hashed at each look-up.
    Texts(HashMap<Name, u32>),
    /// By the hash that a name brings along.
    Hashed(HashMap<SeriesKey, u32>),
}

#[derive(PartialEq, Eq)]
struct Name(SeriesKey);

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.namespace().hash(state);
        self.0.metric().hash(state);
        self.0.dimensions().for_each(|dimension| dimension.hash(state));
    }
}

impl Ids {
    fn get(&mut self, key: &SeriesKey) -> u32 {
        let next = |len: usize| u32::try_from(len).expect("a thousand series");
        match self {
            Self::Texts(ids) => {
                let next = next(ids.len());
                *ids.entry(Name(key.clone())).or_insert(next)
            }
            // Looked up first, so that the name that is known is not cloned.
            Self::Hashed(ids) => ids.get(key).copied().unwrap_or_else(|| {
                let next = next(ids.len());
                *ids.entry(key.clone()).or_insert(next)
            }),
        }
    }
}

fn float(value: Value) -> f64 {
    match value {
        Value::Float(float) => float,
        Value::Int(int) => int as f64,
    }
}

/// Points a second up to three moments.
#[derive(Clone, Copy)]
struct Rates {
    acknowledged: f64,
    flushed: f64,
    wall: f64,
}

fn ingest(row: &str, points: usize) -> Rates {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the build folder is writable");
    // The names of the first scrape, which a store keeps, are none of those that come later.
    let first = Devops::new(SERIES, coin).take(SERIES);
    let later = Devops::new(SERIES, coin).skip(SERIES);
    let mut input = first.chain(later).take(points);
    let mut store = Store::open(row, folder.path());
    let writers = if let Store::Ebbtide { writers, .. } = &store { *writers } else { 1 };
    let is_by_series = row.ends_with("by series");
    let start = Instant::now();
    let mut writing = Duration::ZERO;
    loop {
        let piece: Vec<Arrival> = input.by_ref().take(PIECE * BATCH).collect();
        let is_last = piece.is_empty();
        let piece = batches(piece, writers, is_by_series);
        let clock = Instant::now();
        store.write_all(&piece);
        writing += clock.elapsed();
        if is_last {
            break;
        }
    }
    let clock = Instant::now();
    store.flush();
    let (flushing, wall) = (clock.elapsed(), start.elapsed());
    let refusals = store.end();
    if refusals > 0 {
        println!("  {row}: writes were told {refusals} times to come back later");
    }
    let rate = |taken: Duration| points as f64 / taken.as_secs_f64() / 1e6;
    Rates { acknowledged: rate(writing), flushed: rate(writing + flushing), wall: rate(wall) }
}

/// The batches of each writer.
fn batches(piece: Vec<Arrival>, writers: usize, is_by_series: bool) -> Vec<Vec<WriteBatch>> {
    let mut shares: Vec<Vec<Arrival>> = (0..writers).map(|_| Vec::new()).collect();
    for arrival in piece {
        shares[arrival.0 * writers / SERIES].push(arrival);
    }
    let batch = |some: &[Arrival]| {
        let mut some = some.to_vec();
        if is_by_series {
            some.sort_by_key(|(series, ..)| *series);
        }
        let mut batch = WriteBatch::new();
        for run in some.chunk_by(|a, b| is_by_series && a.0 == b.0) {
            batch.push_all(run[0].1.clone(), run.iter().map(|(.., point)| point.clone()));
        }
        batch
    };
    shares.iter().map(|share| share.chunks(BATCH).map(batch).collect()).collect()
}

/// The median over the rounds, of a rate or of a ratio within a round.
fn median(rounds: impl Iterator<Item = f64>) -> f64 {
    let mut rates: Vec<f64> = rounds.collect();
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn main() {
    if !support::asked_for() {
        return;
    }
    let points = support::points_max(POINTS);
    println!("W1, {points} points, batches of {BATCH}, one writer, {ROUNDS} rounds, million points a second\n");
    let mut rounds: [Vec<Rates>; ROWS.len()] = [const { Vec::new() }; ROWS.len()];
    for round in 1..=ROUNDS {
        for ((row, _), rates) in ROWS.iter().zip(&mut rounds) {
            let measured = ingest(row, points);
            let Rates { acknowledged, flushed, wall } = measured;
            println!("round {round} {row:<18} {acknowledged:6.2} acknowledged {flushed:6.2} flushed {wall:6.2} wall");
            rates.push(measured);
        }
    }

    let [_, floor, hashed, ebbtide, ..] = &rounds;
    let to = |floor: &[Rates], rates: &[Rates], of: fn(&Rates) -> f64| {
        median(rates.iter().zip(floor).map(|(rates, floor)| of(rates) / floor.acknowledged))
    };
    println!("\nMedians; ratios are medians of each round's own ratio.\n");
    println!(
        "| store | durability | acknowledged | to rawlog | to ready hash | flushed | to rawlog | to ready hash \
         | wall, input included |"
    );
    println!("|{}", " --- |".repeat(9));
    for ((row, durability), rates) in ROWS.iter().zip(&rounds) {
        println!(
            "| {row} | {durability} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} |",
            median(rates.iter().map(|rates| rates.acknowledged)),
            to(floor, rates, |rates| rates.acknowledged),
            to(hashed, rates, |rates| rates.acknowledged),
            median(rates.iter().map(|rates| rates.flushed)),
            to(floor, rates, |rates| rates.flushed),
            to(hashed, rates, |rates| rates.flushed),
            median(rates.iter().map(|rates| rates.wall)),
        );
    }
    for (what, bar, reached) in [
        ("acknowledged", BARS.0, to(floor, ebbtide, |rates| rates.acknowledged)),
        ("flushed", BARS.1, to(floor, ebbtide, |rates| rates.flushed)),
    ] {
        let verdict = if reached >= bar { "reached" } else { "MISSED" };
        println!("\nthe bar, {bar} of rawlog with all {what}, is {verdict}: {reached:.2}");
    }
}
