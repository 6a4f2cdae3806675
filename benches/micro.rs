//! What single steps of a point's way cost, each by itself, with throughput in points: JSON from a socket to an answer,
//! the log with and without a sync, the head, flush (which encodes), merge, reading back (which decodes), windows.
//! All through the public interface, so that a change of what lies behind it leaves the bench as it is.
//!
//! Input: W1 (1,000 series every 10 s, walks from a fixed seed). The stores' clock stands where no point and no window
//! is too old to be kept, whatever the calendar says. Stores lie below the build folder. `--bench micro
//! --features server -- flush` measures one of them.
#![allow(clippy::disallowed_methods, reason = "a bench measures real time")]

#[path = "http/client.rs"]
mod client;
#[path = "workloads/devops.rs"]
mod devops;
#[path = "http/requests.rs"]
mod requests;

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput};
use ebbtide::server::ServerConfig;
use ebbtide::{Builder, Db, Durability, Maintenance, ManualClock, SeriesKey, TimeRange, WriteBatch};
use tempfile::TempDir;

use client::Client;
use devops::{Devops, START, coin};
use requests::{Requests, SERIES};

const BATCH: usize = 1_000;
/// Of one measured write, flush or part of a merge.
const BATCHES: usize = 100;
const POINTS: u64 = (BATCH * BATCHES) as u64;
/// Segments that are merged into one.
const PARTS: usize = 4;
/// Points of a day, every ten seconds.
const DAY: u64 = 8_640;
/// Series of the store that is asked.
const ASKED: usize = 100;

/// A store of its own kind; it goes before its folder does.
struct Store {
    db: Db,
    _folder: Option<TempDir>,
}

impl Store {
    fn open(durability: Option<Durability>) -> Self {
        let clock = Arc::new(ManualClock::new(START + Duration::from_secs(10 * DAY)));
        let Some(durability) = durability else {
            let builder = Builder::in_memory().maintenance(Maintenance::Manual).clock(clock);
            return Self { db: builder.open().expect("memory opens"), _folder: None };
        };
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the build folder is writable");
        let builder = Db::builder(folder.path()).durability(durability).maintenance(Maintenance::Manual);
        Self { db: builder.clock(clock).open().expect("a fresh folder opens"), _folder: Some(folder) }
    }

    fn write(&self, batches: &[WriteBatch]) {
        for batch in batches {
            self.db.write(batch).expect("the batch is accepted");
        }
    }
}

fn batches(input: &mut Devops, count: usize) -> Vec<WriteBatch> {
    let batch = |_| input.by_ref().take(BATCH).map(|(_, key, point)| (key, point)).collect();
    (0..count).map(batch).collect()
}

fn json(criterion: &mut Criterion) {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut group = criterion.benchmark_group("json");
    for batch in [1, BATCH] {
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(format!("request of {batch}"), |bencher| {
            bencher.iter_custom(|requests| {
                let server = ServerConfig::in_memory().listen(listen).start().expect("it starts");
                let mut client = Client::new(server.local_addr(), Requests::new(0..SERIES, batch));
                client.warm_up();
                let start = Instant::now();
                client.send(batch * usize::try_from(requests).expect("few"), 1);
                let taken = start.elapsed();
                server.stop().expect("it closes");
                taken
            });
        });
    }
    group.finish();
}

fn write(criterion: &mut Criterion) {
    let rows = [("log, sync", Some(Durability::Sync)), ("log, buffered", Some(Durability::Buffered)), ("head", None)];
    let mut group = criterion.benchmark_group("write");
    group.throughput(Throughput::Elements(POINTS));
    let mut input = Devops::new(devops::SERIES, coin);
    for (name, durability) in rows {
        let mut setup = || {
            let store = Store::open(durability);
            // Names every series.
            store.write(&batches(&mut input, 1));
            (store, batches(&mut input, BATCHES))
        };
        group.bench_function(name, |bencher| {
            // The store is given back, so that closing it is not timed.
            let routine = |(store, batches): (Store, Vec<WriteBatch>)| {
                store.write(&batches);
                (store, batches)
            };
            bencher.iter_batched(&mut setup, routine, BatchSize::PerIteration);
        });
    }
    group.finish();
}

fn maintenance(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("maintenance");
    let fresh = |parts: usize| {
        let store = Store::open(Some(Durability::Buffered));
        let mut input = Devops::new(devops::SERIES, coin);
        for part in 0..parts {
            store.write(&batches(&mut input, BATCHES));
            if part + 1 < parts || parts == PARTS {
                store.db.flush().expect("it flushes");
            }
        }
        store
    };
    group.throughput(Throughput::Elements(POINTS));
    group.bench_function("flush", |bencher| {
        let routine = |store: Store| {
            store.db.flush().expect("it flushes");
            store
        };
        bencher.iter_batched(|| fresh(1), routine, BatchSize::PerIteration);
    });
    group.throughput(Throughput::Elements(POINTS * PARTS as u64));
    group.bench_function("merge", |bencher| {
        let routine = |store: Store| {
            store.db.compact().expect("it merges");
            store
        };
        bencher.iter_batched(|| fresh(PARTS), routine, BatchSize::PerIteration);
    });
    group.finish();
}

fn queries(criterion: &mut Criterion) {
    let store = Store::open(Some(Durability::Buffered));
    let mut input = Devops::new(ASKED, coin);
    let days = usize::try_from(DAY).expect("few") * ASKED / BATCH;
    store.write(&batches(&mut input, days));
    store.db.compact().expect("it merges");
    let keys: Vec<SeriesKey> = Devops::new(ASKED, coin).take(ASKED).map(|(_, key, _)| key).collect();
    let day = TimeRange::from(START..START + Duration::from_secs(86_400));
    let mut turn = keys.iter().cycle();

    let mut group = criterion.benchmark_group("query");
    group.throughput(Throughput::Elements(DAY));
    group.bench_function("points of a day", |bencher| {
        bencher.iter(|| store.db.points(turn.next().expect("a cycle"), day).expect("it answers").count());
    });
    for (name, secs) in [("windows of 5 min of a day", 300), ("windows of 1 h of a day", 3_600)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let key = turn.next().expect("a cycle");
                black_box(store.db.windows(key, day, Duration::from_secs(secs)).expect("it answers"))
            });
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    json(&mut criterion);
    write(&mut criterion);
    maintenance(&mut criterion);
    queries(&mut criterion);
    criterion.final_summary();
}
