//! What a backup costs those who write meanwhile: how long each batch took without one and during one, after one another in
//! one run, and what the backups themselves took. The bar: no writer waits for more than 10 ms at p99.9 because of a backup.
//!
//! Input: doubles of random bits, which do not compress, so that 1 GB of segments is quickly made; `EBBTIDE_POINTS` asks for
//! fewer points. Two writers, batches of 100 points every 5 ms each, buffered and then synced, with background flushes and
//! merges as in a service. Then the second backup of an unchanged database, and a restoring.
#![allow(clippy::disallowed_methods, reason = "a bench measures real time on real files")]
#![allow(clippy::cast_precision_loss, reason = "rates are printed with a few digits")]

mod support;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use ebbtide::{Backup, Db, Durability, Point, SeriesKey, Timestamp, Ttl, WriteBatch};

const SERIES: u64 = 1_000;
/// A gigabyte of segments.
const POINTS: usize = 150_000_000;
const FILL_BATCH: usize = 10_000;
const WRITERS: usize = 2;
const BATCH: usize = 100;
/// How often each writer has a batch: 40,000 points a second in all.
const EVERY: Duration = Duration::from_millis(5);
/// How long a stage without backups lasts, and the least that one with them does.
const STAGE: Duration = Duration::from_secs(20);
const BAR: Duration = Duration::from_millis(10);

/// Points that come one after the other in time, over all series.
struct Source {
    keys: Vec<SeriesKey>,
    next: AtomicI64,
}

impl Source {
    fn batch(&self, points: usize) -> WriteBatch {
        let count = i64::try_from(points).expect("a few points");
        let first = self.next.fetch_add(count, Ordering::Relaxed);
        let mut batch = WriteBatch::with_capacity(points);
        for number in first..first + count {
            let key = self.keys[usize::try_from(number).expect("they are counted from 0") % self.keys.len()].clone();
            let time = Timestamp::from_secs(1_790_000_000) + Duration::from_millis(number.unsigned_abs() / 50);
            batch.push(key, Point::new(time, value(number.unsigned_abs())).with_ttl(Ttl::NEVER));
        }
        batch
    }
}

/// A double between 1 and 2 whose digits nobody foresees.
fn value(number: u64) -> f64 {
    let mut bits = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    f64::from_bits(1.0_f64.to_bits() | (bits ^ bits >> 31) >> 12)
}

/// Fills a database.
fn fill(db: &Db, source: &Source, points: usize) {
    let (start, mut refusals, mut done) = (Instant::now(), 0, 0);
    while done < points {
        support::write(db, &source.batch(FILL_BATCH), &mut refusals);
        done += FILL_BATCH;
        if done.is_multiple_of(100 * FILL_BATCH) {
            eprint!("\r{done} of {points} points ");
        }
    }
    eprintln!();
    db.compact().expect("merged");
    let (stats, taken) = (db.stats(), start.elapsed());
    println!("{done} points in {} segments, {:.0} MB, {taken:.0?}", stats.segments, mb(stats.segment_bytes));
}

/// Lets writers write as long as `work` takes, at least a stage; gives how long after it was due each batch was
/// stored.
fn stage(db: &Db, source: &Source, durability: Durability, work: impl FnOnce()) -> Vec<Duration> {
    let is_over = AtomicBool::new(false);
    let write = || {
        let (start, mut times, mut due) = (Instant::now(), Vec::new(), Duration::ZERO);
        while !is_over.load(Ordering::Relaxed) {
            let batch = source.batch(BATCH).with_durability(durability);
            due += EVERY;
            std::thread::sleep(due.saturating_sub(start.elapsed()));
            db.write(&batch).expect("stored");
            // Since it was due: who waits behind a batch that takes long waits too.
            times.push(start.elapsed().saturating_sub(due));
        }
        times
    };
    let mut times = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS).map(|_| scope.spawn(write)).collect();
        let start = Instant::now();
        work();
        std::thread::sleep(STAGE.saturating_sub(start.elapsed()));
        is_over.store(true, Ordering::Relaxed);
        writers.into_iter().flat_map(|writer| writer.join().expect("no writer panics")).collect::<Vec<_>>()
    });
    times.sort_unstable();
    times
}

/// Says how the times are spread; gives p99.9.
fn tell(what: &str, times: &[Duration]) -> Duration {
    let [p50, p99, p999, worst] = [500, 990, 999, 1_000].map(|permille| times[(times.len() - 1) * permille / 1_000]);
    let count = times.len();
    println!(
        "    {what:<16} {count:>7} batches: p50 {p50:>9.1?}, p99 {p99:>9.1?}, p99.9 {p999:>9.1?}, worst {worst:>9.1?}"
    );
    p999
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Takes a backup and says how long that took.
fn back_up(db: &Db, target: &Path) -> Backup {
    let start = Instant::now();
    let backup = db.snapshot(target).expect("a backup");
    println!("    backup of {:.0} MB in {} files: {:.2?}", mb(backup.bytes), backup.files, start.elapsed());
    backup
}

/// Bytes that this process has written so far, as the kernel counts them; 0 where there is no such file.
fn written() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    io.lines().find_map(|line| line.strip_prefix("wchar: ")?.parse().ok()).unwrap_or_default()
}

fn main() {
    if !support::asked_for() {
        return;
    }
    let points = support::points_max(POINTS);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the build folder is writable");
    let db =
        Db::builder(folder.path().join("db")).durability(Durability::Buffered).open().expect("a fresh folder opens");
    let keys = (0..SERIES).map(|host| SeriesKey::new("MINE.APP", "random", [("host", host.to_string())]));
    let source = Source { keys: keys.map(|key| key.expect("a good name")).collect(), next: AtomicI64::new(0) };
    fill(&db, &source, points);

    let backups = folder.path().join("backups");
    let (mut taken, mut worst) = (0, Duration::ZERO);
    for durability in [Durability::Buffered, Durability::Sync] {
        println!("{WRITERS} writers, batches of {BATCH} every {EVERY:?}, {durability:?}:");
        tell("without backups", &stage(&db, &source, durability, || {}));
        let during = stage(&db, &source, durability, || {
            let start = Instant::now();
            while start.elapsed() < STAGE {
                back_up(&db, &backups.join(format!("under-load-{taken}")));
                taken += 1;
            }
        });
        worst = worst.max(tell("during backups", &during));
    }
    let verdict = if worst > BAR { "OVER the bar" } else { "within the bar" };
    println!("p99.9 during backups {worst:.1?}: {verdict} of {BAR:?}");

    println!("nobody writes:");
    back_up(&db, &backups.join("first"));
    let before = written();
    let second = back_up(&db, &backups.join("second"));
    println!("    the second one of the unchanged database wrote {:.3} MB", mb(written() - before));
    let restored = folder.path().join("restored");
    let start = Instant::now();
    Db::restore(&second.path, &restored).expect("restored");
    println!("    restored in {:.2?}", start.elapsed());
    let start = Instant::now();
    assert!(Db::verify_backup(&second.path).is_empty());
    println!("    verified in {:.2?}", start.elapsed());
    db.close().expect("closed");
}
