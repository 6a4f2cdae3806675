//! Batch ingest: Ebbtide synced, buffered and in memory, beside a key per point in sled.
//!
//! Input: W1, 100 hosts with 10 metrics each, scraped every 10 s: clamped random walks of whole numbers from 0 to 100,
//! stored as doubles, from a fixed seed. One writer. Times only move forward, so nothing is overwritten.
//!
//! Timed: from points in memory to the acknowledgement, building the batch included. Not timed: making the input, and
//! opening a fresh store every [`POINTS_PER_STORE`] points, which also writes one scrape so that all series are known.
//! Series names are shared clones; sled gets its series numbers for nothing. Stores lie below the build folder, so a
//! sync is worth what that file system makes of it.
#![allow(clippy::disallowed_methods, reason = "a bench measures real time")]
#![allow(clippy::cast_precision_loss, reason = "rates are printed with a few digits")]

#[path = "workloads/devops.rs"]
mod devops;

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use ebbtide::{Builder, Db, Durability, ManualClock, Point, Timestamp, Value, WriteBatch};
use tempfile::TempDir;

use devops::{Arrival, Devops, SERIES, START, coin};

const BATCHES: [usize; 4] = [1, 100, 1_000, 10_000];
const SAMPLES: usize = 10;
/// Keeps a store far below its default `head_bytes_max`, and sled in its cache.
const POINTS_PER_STORE: usize = 500_000;

/// One row: a store and what its acknowledgement means. The name goes into the benchmark's and into the table.
/// NOTE: sled runs last; what it leaves behind in the process slows whatever follows it.
const ROWS: [(&str, Mode); 5] = [
    ("ingest/ebbtide/sync", Mode::Ebbtide(Durability::Sync)),
    ("ingest/ebbtide/buffered", Mode::Ebbtide(Durability::Buffered)),
    ("ingest/ebbtide/memory", Mode::EbbtideInMemory),
    ("ingest/sled/unsynced", Mode::Sled { flush: false }),
    ("ingest/sled/flush-per-batch", Mode::Sled { flush: true }),
];

#[derive(Clone, Copy)]
enum Mode {
    Ebbtide(Durability),
    EbbtideInMemory,
    Sled { flush: bool },
}

/// An open store with its folder, which goes when the store does: fields are dropped in this order.
struct Store {
    kind: Kind,
    _folder: Option<TempDir>,
}

enum Kind {
    Ebbtide(Db),
    Sled { db: sled::Db, flush: bool },
}

impl Store {
    fn open(mode: Mode) -> Self {
        let folder = || tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the build folder is writable");
        // A day on, so that nothing is too old to be kept, whatever the calendar says.
        let clock = Arc::new(ManualClock::new(START + Duration::from_secs(86_400)));
        let (kind, folder) = match mode {
            Mode::Ebbtide(durability) => {
                let folder = folder();
                let builder = Db::builder(folder.path()).durability(durability).clock(clock);
                (Kind::Ebbtide(builder.open().expect("a fresh folder opens")), Some(folder))
            }
            Mode::EbbtideInMemory => {
                (Kind::Ebbtide(Builder::in_memory().clock(clock).open().expect("memory opens")), None)
            }
            Mode::Sled { flush } => {
                let folder = folder();
                let config = sled::Config::new().path(folder.path()).flush_every_ms(None);
                (Kind::Sled { db: config.open().expect("a fresh folder opens"), flush }, Some(folder))
            }
        };
        Self { kind, _folder: folder }
    }

    /// Stores the points; back when they are acknowledged.
    fn write(&self, points: &[Arrival]) {
        match &self.kind {
            Kind::Ebbtide(db) => {
                let mut batch = WriteBatch::with_capacity(points.len());
                batch.extend(points.iter().map(|(_, key, point)| (key.clone(), point.clone())));
                let receipt = db.write(&batch).expect("the batch is accepted");
                assert_eq!((receipt.stored, receipt.replaced, receipt.late), (points.len(), 0, 0));
            }
            Kind::Sled { db, flush } => {
                let mut batch = sled::Batch::default();
                for (series, _, point) in points {
                    batch.insert(&sled_key(*series, point)[..], &sled_value(point)[..]);
                }
                db.apply_batch(batch).expect("the batch is accepted");
                if *flush {
                    db.flush().expect("sled flushes");
                }
            }
        }
    }
}

/// Series number and time, big-endian, so that sled keeps a series together and in order.
fn sled_key(series: usize, point: &Point) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&(series as u64).to_be_bytes());
    key[8..].copy_from_slice(&point.time.as_millis().to_be_bytes());
    key
}

/// Value, expiry, and room for type and unit: what Ebbtide also keeps of a point.
fn sled_value(point: &Point) -> [u8; 24] {
    let (kind, bits) = match point.value {
        Value::Int(int) => (0_u64, int.cast_unsigned()),
        Value::Float(float) => (1, float.to_bits()),
    };
    let expires_at = point.expires_at.map_or(i64::MAX, Timestamp::as_millis);
    let mut value = [0; 24];
    value[..8].copy_from_slice(&bits.to_le_bytes());
    value[8..16].copy_from_slice(&expires_at.to_le_bytes());
    value[16..].copy_from_slice(&kind.to_le_bytes());
    value
}

/// Time that this many batches take.
fn ingest(mode: Mode, batch: usize, batches: u64, input: &mut Devops) -> Duration {
    let mut taken = Duration::ZERO;
    let mut store = None;
    let mut stored = 0;
    for _ in 0..batches {
        if stored + batch > POINTS_PER_STORE {
            store = None;
        }
        let store = store.get_or_insert_with(|| {
            let store = Store::open(mode);
            store.write(&take(input, SERIES));
            stored = SERIES;
            store
        });
        let points = take(input, batch);
        let start = Instant::now();
        store.write(&points);
        taken += start.elapsed();
        stored += batch;
    }
    taken
}

fn take(input: &mut Devops, points: usize) -> Vec<Arrival> {
    input.by_ref().take(points).collect()
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(SAMPLES)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let mut table = Vec::new();
    for (name, mode) in ROWS {
        let mut group = criterion.benchmark_group(name);
        group.sampling_mode(SamplingMode::Flat);
        for batch in BATCHES {
            group.throughput(Throughput::Elements(batch as u64));
            let mut rates = Vec::new();
            group.bench_function(BenchmarkId::new("batch", batch), |bencher| {
                let mut input = Devops::new(SERIES, coin);
                bencher.iter_custom(|batches| {
                    let taken = ingest(mode, batch, batches, &mut input);
                    rates.push(batches as f64 * batch as f64 / taken.as_secs_f64());
                    taken
                });
            });
            // The measured samples come last, behind those that only warm up.
            let mut samples = rates.split_off(rates.len().saturating_sub(SAMPLES));
            samples.sort_by(f64::total_cmp);
            table.extend(samples.get(samples.len() / 2).map(|median| (name, batch, *median)));
        }
        group.finish();
    }
    criterion.final_summary();

    println!("{:<28}{:>8}{:>16}", "store/durability", "batch", "points/s");
    for (name, batch, median) in table {
        println!("{name:<28}{batch:>8}{median:>16.0}");
    }
}
