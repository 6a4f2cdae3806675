//! Backups taken while others write, flush and merge, on real files.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use crate::backup::{self, Backup};
use crate::engine::Engine;
use crate::engine::backup_tests::story::{check_answers, restore, take};
use crate::engine::settings::{Maintenance, Settings};
use crate::engine::simulation::batches::{Effect, START, batch_at, deletion};
use crate::engine::simulation::model::{Fate, History};
use crate::engine::simulation::{answers_of, clocked};
use crate::env::clock::{Clock, ManualClock};
use crate::env::disk::Disk;
use crate::env::real::RealDisk;
use crate::error::ErrorKind;
use crate::model::durability::{Durability, Sequence};

const BACKUPS: u64 = 50;
const WRITERS: u64 = 3;
/// Batches after which the same come again, so that the plain map stays small.
const BATCHES: u64 = 600;
/// Most batches that are written, so that the plain map is made in a few seconds: more than a machine of ours writes.
const BATCHES_MAX: u64 = 400_000;
/// Every so many backups writers hold still, so that a reader sees what the backup has.
const STILL_EVERY: u64 = 5;

/// What writers share.
struct Load {
    engine: Arc<Engine>,
    /// Held by writers in a batch: the time at which it was accepted is known.
    clock: RwLock<Arc<ManualClock>>,
    next: AtomicU64,
    is_over: AtomicBool,
    log: Mutex<Vec<(Sequence, Effect)>>,
}

impl Load {
    fn write(&self) {
        while !self.is_over.load(Ordering::SeqCst) {
            let number = self.next.fetch_add(1, Ordering::SeqCst);
            if number >= BATCHES_MAX {
                return;
            }
            let number = number % BATCHES + 1;
            let clock = self.clock.read();
            let batch = batch_at(number, number % 4, clock.now());
            let receipt = self.engine.write(&batch).expect("it is stored");
            self.log.lock().push((receipt.sequence, Effect::Batch(batch, clock.now())));
            if number % 40 == 7 {
                let (key, range) = deletion(number);
                match self.engine.delete(&key, range) {
                    Ok(sequence) => self.log.lock().push((sequence, Effect::Deletion(key, range))),
                    // The head is full for the moment.
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Overloaded, "{error}"),
                }
            }
        }
    }

    /// Takes the backups; says how many batches came while each was taken.
    fn take(&self, dir: &std::path::Path) -> Vec<(Backup, u64)> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let mut backups = Vec::new();
        for number in 0..BACKUPS {
            self.clock.write().advance(Duration::from_secs(number % 7 * 20));
            if number % 10 == 3 {
                self.engine.compact().expect("merged");
            }
            let target = dir.join(format!("backup{number}"));
            let still = number.is_multiple_of(STILL_EVERY).then(|| self.clock.write());
            let backup = take(&self.engine, disk.clone(), &target).expect("a backup");
            if still.is_some() {
                let frozen = Engine::open_frozen(disk.clone(), &target).expect("it opens");
                let answers = [&self.engine, &frozen].map(|engine| answers_of(engine, true).expect("answers").0);
                assert_eq!(answers[0].points, answers[1].points, "what a reader sees at {:?}", backup.sequence);
                assert_eq!(answers[0].windows, answers[1].windows, "what a reader sees at {:?}", backup.sequence);
            }
            backups.push((backup.clone(), self.engine.stats().sequence.0 - backup.sequence.0));
        }
        backups
    }
}

#[test]
fn backups_taken_under_load_are_each_what_a_reader_saw_at_their_sequence() {
    // Goal: everything up to one batch and nothing after, point by point and window by window, in the backup and restored.
    // Method: log each batch with its sequence, and hold each backup against a plain map of those up to its own; with
    // background flushes and merges on real files, and a clock that moves, so that points expire.
    let dir = tempfile::tempdir().expect("a directory");
    let (clock, settings) = clocked(START, Durability::Sync, 1 << 20);
    let settings = Settings { maintenance: Maintenance::Background, head_bytes_max: 2 << 20, ..settings };
    let engine = Engine::open(Arc::new(RealDisk), &dir.path().join("v"), settings).expect("a new volume");
    let (next, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let load = Load { engine, clock: RwLock::new(clock), next, is_over, log: Mutex::default() };
    let folder = dir.path().join("b");
    let backups = std::thread::scope(|scope| {
        (0..WRITERS).for_each(|_| drop(scope.spawn(|| load.write())));
        let taken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| load.take(&folder)));
        load.is_over.store(true, Ordering::SeqCst);
        taken.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    let stats = load.engine.stats();
    let mut log = load.log.into_inner();
    log.sort_by_key(|(sequence, _)| *sequence);
    let entries: Vec<_> = log.into_iter().map(|(_, effect)| (Arc::new(effect), Fate::Durable)).collect();
    assert_eq!(entries.len() as u64, stats.sequence.0, "each has a sequence of its own");
    let busy = backups.iter().filter(|(_, since)| *since > 0).count();
    println!(
        "{} batches, {} flushes, {} B merged, {busy} backups with writers",
        entries.len(),
        stats.flushes,
        stats.bytes_rewritten
    );
    assert_eq!(busy as u64, BACKUPS - BACKUPS.div_ceil(STILL_EVERY), "writers went on");
    assert!(stats.flushes >= BACKUPS / 2 && stats.bytes_rewritten > 0);

    let listed = backup::list(&RealDisk, &folder).expect("a list");
    let mut told: Vec<Backup> = backups.iter().map(|(backup, _)| backup.clone()).collect();
    told.sort_by(|one, other| {
        (one.taken_at, one.sequence, &one.path).cmp(&(other.taken_at, other.sequence, &other.path))
    });
    assert_eq!(listed.list, told);
    for (number, backup) in told.iter().enumerate() {
        let len = usize::try_from(backup.sequence.0).expect("a few");
        let mut history = History { entries: entries[..len].to_vec(), now: backup.taken_at, is_unsure: false };
        let frozen = Engine::open_frozen(Arc::new(RealDisk), &backup.path).expect("it opens");
        check_answers(&frozen, &history).unwrap_or_else(|why| panic!("{}: {why}", backup.path.display()));
        drop(frozen);
        let restored = dir.path().join("restored");
        restore(&RealDisk, &backup.path, &restored).expect("it is restored");
        history.now = backup.taken_at + Duration::from_secs(40);
        let settings = clocked(history.now, Durability::Buffered, 1 << 20).1;
        let engine = Engine::open(Arc::new(RealDisk), &restored, settings).expect("it opens");
        check_answers(&engine, &history).unwrap_or_else(|why| panic!("restored {}: {why}", backup.path.display()));
        drop(engine);
        #[allow(clippy::disallowed_methods, reason = "the place is used again")]
        std::fs::remove_dir_all(&restored).expect("removed");
        // What goes takes nothing from the others.
        if number % 3 == 0 {
            backup::remove(Arc::new(RealDisk), &backup.path).expect("removed");
        }
    }
}
