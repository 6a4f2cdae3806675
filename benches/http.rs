//! HTTP ingest over the loopback interface: the real server, and clients on the same cores that cost as little as
//! clients can. Every answer has to be 201.
//!
//! Input: 1,000 series of 100 machines, a point a second, whole numbers in one half and decimals in the other, about
//! 250 bytes of JSON each. Requests are rendered ahead; before one is sent, only the digits of its times are written
//! anew, so nothing is overwritten. Each connection has series of its own and a thread that blocks. Sending begins when
//! the first answer to each connection has come, which names all series. Times of answers run from the first byte sent.
//! `cargo bench --bench http --features server -- --help` tells what can be asked for; without anything, the rows of
//! the README.
#![allow(clippy::disallowed_methods, reason = "a bench measures real time, in threads of its own")]
#![allow(clippy::cast_precision_loss, reason = "rates are printed with a few digits")]

#[path = "http/client.rs"]
mod client;
#[path = "http/requests.rs"]
mod requests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use ebbtide::Durability;
use ebbtide::server::ServerConfig;

use client::Client;
use requests::{Requests, SERIES};

/// Load on `POST metric-data`, over loopback.
#[derive(Parser)]
struct Args {
    /// Times that the rows are measured, one after the other; the table has medians
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Points of each measurement
    #[arg(long, default_value_t = 4_000_000)]
    points: usize,
    /// Instead of the usual rows: the points of a request
    #[arg(long)]
    batch: Option<usize>,
    /// With `--batch`: connections
    #[arg(long, default_value_t = 8, requires = "batch")]
    connections: usize,
    /// With `--batch`: requests that are under way on one connection
    #[arg(long, default_value_t = 1, requires = "batch")]
    depth: usize,
    /// With `--batch`: when a point is acknowledged
    #[arg(long, default_value_t, requires = "batch")]
    durability: Durability,
    /// Where the stores are made; the build folder if not given
    #[arg(long)]
    folder: Option<PathBuf>,
    /// What `cargo bench` says
    #[arg(long, hide = true)]
    bench: bool,
}

/// One line of the table.
#[derive(Clone, Copy)]
struct Row {
    durability: Durability,
    connections: usize,
    batch: usize,
    depth: usize,
    points: usize,
}

/// What one measurement gave.
struct Outcome {
    points: u64,
    bytes: u64,
    taken: Duration,
    /// Processor time of the clients, and of everything in this process.
    cpu: [Duration; 2],
    /// Of every answer, in order.
    latencies: Vec<Duration>,
}

impl Outcome {
    fn rate(&self) -> f64 {
        self.points as f64 / self.taken.as_secs_f64()
    }

    fn percentile(&self, share: f64) -> f64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
        let place = (share * (self.latencies.len() - 1) as f64).round() as usize;
        self.latencies[place].as_secs_f64() * 1e3
    }

    /// Nanoseconds of one core for each point.
    fn per_point(&self, cpu: Duration) -> f64 {
        cpu.as_secs_f64() * 1e9 / self.points as f64
    }
}

fn main() {
    let args = Args::parse();
    if !args.bench {
        return println!("nothing is measured without `cargo bench`");
    }
    let rows = rows(&args);
    let mut outcomes: Vec<Vec<Outcome>> = rows.iter().map(|_| Vec::new()).collect();
    for _ in 0..args.rounds {
        for (row, outcomes) in rows.iter().zip(&mut outcomes) {
            outcomes.push(measure(row, args.folder.as_deref()));
        }
    }
    println!(
        "{:<10}{:>12}{:>7}{:>6}{:>12}{:>8}{:>9}{:>9}{:>9}{:>9}{:>11}{:>11}",
        "durability",
        "connections",
        "batch",
        "depth",
        "points/s",
        "MB/s",
        "p50 ms",
        "p90 ms",
        "p99 ms",
        "max ms",
        "client ns",
        "server ns"
    );
    let medians: Vec<f64> = rows.iter().zip(outcomes).map(|(row, outcomes)| print(row, outcomes)).collect();
    if args.batch.is_none() {
        println!("64 writers of one point each, over one: {:.1} times the points", medians[3] / medians[2]);
    }
}

fn rows(args: &Args) -> Vec<Row> {
    let (sync, buffered) = (Durability::Sync, Durability::Buffered);
    if let Some(batch) = args.batch {
        let Args { durability, connections, depth, points, .. } = *args;
        return vec![Row { durability, connections, batch, depth, points }];
    }
    let points = args.points;
    vec![
        Row { durability: buffered, connections: 8, batch: 2_000, depth: 1, points },
        Row { durability: sync, connections: 8, batch: 2_000, depth: 1, points },
        Row { durability: sync, connections: 1, batch: 1, depth: 1, points: points / 1_000 },
        Row { durability: sync, connections: 64, batch: 1, depth: 1, points: points / 50 },
        Row { durability: buffered, connections: 64, batch: 1, depth: 1, points: points / 50 },
    ]
}

/// Prints the median of the rounds and gives its rate.
fn print(row: &Row, mut outcomes: Vec<Outcome>) -> f64 {
    outcomes.sort_by(|one, other| one.rate().total_cmp(&other.rate()));
    let median = &outcomes[outcomes.len() / 2];
    let [clients, all] = median.cpu;
    println!(
        "{:<10}{:>12}{:>7}{:>6}{:>12.0}{:>8.0}{:>9.2}{:>9.2}{:>9.2}{:>9.2}{:>11.0}{:>11.0}",
        row.durability.to_string(),
        row.connections,
        row.batch,
        row.depth,
        median.rate(),
        median.bytes as f64 / median.taken.as_secs_f64() / 1e6,
        median.percentile(0.5),
        median.percentile(0.9),
        median.percentile(0.99),
        median.percentile(1.0),
        median.per_point(clients),
        median.per_point(all.saturating_sub(clients)),
    );
    median.rate()
}

/// A fresh server under one row's load.
fn measure(row: &Row, folder: Option<&std::path::Path>) -> Outcome {
    let built = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = tempfile::tempdir_in(folder.unwrap_or(built)).expect("the folder is writable");
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = ServerConfig::on_disk(folder.path()).durability(row.durability).listen(listen);
    let server = config.start().expect("a fresh folder opens");

    let series = SERIES / row.connections;
    let mut clients: Vec<Client> = (0..row.connections)
        .map(|number| {
            let requests = Requests::new(number * series..(number + 1) * series, row.batch);
            let mut client = Client::new(server.local_addr(), requests);
            client.warm_up();
            client
        })
        .collect();

    let (start, before) = (Instant::now(), cpu_of_process());
    let share = row.points / row.connections;
    thread::scope(|scope| {
        for client in &mut clients {
            scope.spawn(move || client.send(share, row.depth));
        }
    });
    let (taken, after) = (start.elapsed(), cpu_of_process());
    server.stop().expect("the databases close");

    let mut latencies: Vec<Duration> = clients.iter_mut().flat_map(|client| client.latencies.drain(..)).collect();
    latencies.sort_unstable();
    let sum = |of: fn(&Client) -> u64| clients.iter().map(of).sum();
    let of_clients = clients.iter().map(|client| client.cpu).sum();
    let cpu = [of_clients, after.saturating_sub(before)];
    Outcome { points: sum(|client| client.points), bytes: sum(|client| client.bytes), taken, cpu, latencies }
}

/// What the kernel says about the processor time of all threads; zero where there is no such file.
fn cpu_of_process() -> Duration {
    /// The kernel's unit in that file, on every system that we know.
    const TICK: Duration = Duration::from_millis(10);
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let ticks = fields.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u32>().ok());
    TICK * ticks.sum()
}
