//! For the crash and fault tests: short workloads on a faulty disk, and what must hold afterwards.

pub(super) mod batches;
pub(super) mod counted;
pub(super) mod model;
pub(super) mod workloads;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::engine::queue::Refusal;
use crate::engine::settings::{KeepCatalog, Maintenance, Settings};
use crate::engine::simulation::batches::{Effect, Life, batch_at, deletion, overwriting};
use crate::engine::simulation::model::{Answers, Fate, History, Told};
use crate::engine::write::Draft;
use crate::env::clock::ManualClock;
use crate::env::disk::TEMPORARY;
use crate::env::faulty::{FaultyDisk, Image};
use crate::env::layout;
use crate::error::{Error, ErrorKind, Result};
use crate::model::batch::{Receipt, WriteBatch};
use crate::model::durability::Durability;
use crate::model::limits::HEAD_BYTES_MAX_DEFAULT;
use crate::model::rollup::{Rollup, Tier};
use crate::model::selector::Selector;
use crate::model::time::{TimeRange, Timestamp};

/// Where the simulated volume lies.
pub(super) const DIR: &str = "v";

/// Windows become longer after a day, and again after two; those of a day are there to the end of each simulation.
const TIERS: [(i64, i64); 3] = [(300_000, DAY), (3_600_000, 2 * DAY), (DAY, 400 * DAY)];
const DAY: i64 = 86_400_000;

/// One thing that a workload does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Act {
    /// Writes the next batch, with this many points more than the few that every batch has.
    Write(u64),
    /// The same, asking for `Sync`.
    WriteSync,
    /// Writes a batch that overwrites what many before it have written.
    Overwrite(Life),
    /// Writes this many batches by one group commit.
    Group(u64),
    /// The same, the last of them asking for `Sync`.
    GroupSync(u64),
    /// Deletes some range, another one for each number.
    Delete(u64),
    /// The clock moves on by this many seconds.
    Advance(u64),
    Sync,
    /// Sets the head aside without flushing it.
    Freeze,
    Flush,
    Maintain,
    /// Does one job of those that may be done.
    CompactStep,
    Compact,
    /// The process is killed and the volume opened again; the power stays.
    Kill,
    /// Closes in order and opens again.
    Reopen,
    /// The power goes and comes back.
    PowerCut(Image),
}

impl Act {
    pub(super) fn cuts_power(self) -> bool {
        matches!(self, Self::PowerCut(_))
    }
}

/// A history of acts under one set of settings.
#[derive(Clone, Debug)]
pub(super) struct Workload {
    pub(super) name: &'static str,
    pub(super) durability: Durability,
    pub(super) log_file_bytes: u64,
    pub(super) head_bytes_max: usize,
    pub(super) acts: Vec<Act>,
}

/// A workload under way.
pub(super) struct Run {
    pub(super) disk: FaultyDisk,
    /// `None` after an opening that failed.
    pub(super) engine: Option<Arc<Engine>>,
    settings: Settings,
    clock: Arc<ManualClock>,
    pub(super) history: History,
    /// Whether reading may fail: then what is there is not looked at after a restart.
    pub(super) is_partial: bool,
    /// The first error that an act met. On a sound disk there is none.
    pub(super) trouble: Option<Error>,
}

/// A clock that stands at a moment, and settings that have it.
pub(super) fn clocked(now: Timestamp, durability: Durability, log_file_bytes: u64) -> (Arc<ManualClock>, Settings) {
    let clock = Arc::new(ManualClock::new(now));
    let settings = Settings {
        durability,
        clock: clock.clone(),
        maintenance: Maintenance::Manual,
        head_bytes_max: HEAD_BYTES_MAX_DEFAULT,
        keep_catalog: KeepCatalog::Never,
        log_file_bytes,
        ids: Some([7; 16]),
        rollup: Rollup { tiers: TIERS.map(|(window, keep)| Tier { window, keep }).to_vec(), ..Rollup::default() },
        ..Settings::default()
    };
    (clock, settings)
}

pub(super) fn settings(durability: Durability, log_file_bytes: u64) -> Settings {
    clocked(batches::START, durability, log_file_bytes).1
}

impl Run {
    /// Opens a volume on a disk, to which this history was written before.
    pub(super) fn start(disk: FaultyDisk, workload: &Workload, history: History) -> (Self, Result<()>) {
        let (clock, settings) = clocked(history.now, workload.durability, workload.log_file_bytes);
        let settings = Settings { head_bytes_max: workload.head_bytes_max, ..settings };
        let mut run = Self { disk, engine: None, settings, clock, history, is_partial: false, trouble: None };
        let opened = run.open();
        (run, opened)
    }

    pub(super) fn open(&mut self) -> Result<()> {
        self.engine = Some(Engine::open(Arc::new(self.disk.clone()), Path::new(DIR), self.settings.clone())?);
        Ok(())
    }

    pub(super) fn engine(&self) -> &Arc<Engine> {
        self.engine.as_ref().expect("the test has opened it")
    }

    /// Does one act. A refused one is noted, not an error: the workload goes on as a program would.
    pub(super) fn act(&mut self, act: Act) {
        let (next, now) = (self.next(), self.history.now);
        self.history.is_unsure |= self.is_partial;
        match act {
            Act::Write(bulk) => self.write(vec![batch_at(next, bulk, now)]),
            Act::WriteSync => self.write(vec![batch_at(next, 0, now).with_durability(Durability::Sync)]),
            Act::Overwrite(life) => self.write(vec![overwriting(next, life, now)]),
            Act::Group(count) => self.write(self.batches(count)),
            Act::GroupSync(count) => {
                let mut batches = self.batches(count);
                let last = batches.pop().expect("a group has batches");
                batches.push(last.with_durability(Durability::Sync));
                self.write(batches);
            }
            Act::Delete(number) => self.delete(number),
            Act::Advance(seconds) => {
                self.clock.advance(Duration::from_secs(seconds));
                self.history.now = self.history.now + Duration::from_secs(seconds);
            }
            Act::Sync => self.maintain(Engine::sync, true),
            Act::Freeze => self.maintain(Engine::freeze, false),
            Act::Flush => self.maintain(Engine::flush, true),
            Act::Maintain => self.maintain(Engine::maintain, false),
            Act::CompactStep => self.maintain(|engine| engine.compact_one(true).map(|_| ()), false),
            Act::Compact => self.maintain(Engine::compact, true),
            Act::Kill => {
                self.disk = self.disk.after_kill();
                self.engine = None;
                self.restart();
            }
            Act::Reopen => {
                self.maintain(Engine::close, true);
                self.engine = None;
                self.restart();
            }
            Act::PowerCut(image) => {
                let disk = self.disk.after_power_cut(image);
                self.disk.stop();
                (self.disk, self.engine) = (disk, None);
                if self.open().is_ok() {
                    self.adopt().expect("a power cut in a workload keeps what was promised");
                }
            }
        }
    }

    /// Opens again without a power cut in between.
    fn restart(&mut self) {
        // What cannot be opened or mended now cannot be written either; the acts that follow are refused.
        let opened = self.open().and_then(|()| self.engine().sync());
        if let Err(error) = opened {
            self.trouble.get_or_insert(error);
        } else {
            // What was written is still there, and recovery has made it durable.
            self.history.promise();
            if !self.is_partial {
                self.adopt().expect("a restart keeps what was written");
            }
        }
    }

    /// Does something that is not written down; `promises`: after it everything acknowledged is durable.
    fn maintain(&mut self, work: impl FnOnce(&Engine) -> Result<()>, promises: bool) {
        let Some(engine) = &self.engine else { return };
        match work(engine) {
            Ok(()) if promises => self.history.promise(),
            Ok(()) => {}
            Err(error) => {
                self.trouble.get_or_insert(error);
            }
        }
    }

    fn batches(&self, count: u64) -> Vec<WriteBatch> {
        let first = self.next();
        (first..first + count).map(|number| batch_at(number, 0, self.history.now)).collect()
    }

    fn next(&self) -> u64 {
        self.history.entries.len() as u64 + 1
    }

    /// Writes batches as one group.
    fn write(&mut self, batches: Vec<WriteBatch>) {
        let Some(engine) = &self.engine else { return };
        let outcomes = engine.write_group(&batches);
        for (batch, outcome) in batches.into_iter().zip(outcomes) {
            self.note(Effect::Batch(batch, self.history.now), outcome.map(|receipt| receipt.durability));
        }
    }

    fn delete(&mut self, number: u64) {
        let Some(engine) = &self.engine else { return };
        let (key, range) = deletion(number);
        let outcome = engine.delete(&key, range);
        self.note(Effect::Deletion(key, range), outcome.map(|_| self.settings.durability));
    }

    fn note(&mut self, effect: Effect, outcome: Result<Durability>) {
        let fate = match &outcome {
            Ok(Durability::Sync) => Fate::Durable,
            Ok(_) => Fate::Written,
            Err(error) if error.kind() == ErrorKind::Unknown => Fate::Unknown,
            Err(_) if self.disk.is_stopped() => Fate::Unknown,
            Err(_) => Fate::Refused,
        };
        self.history.entries.push((Arc::new(effect), fate));
        // A sync covers everything written before it.
        if fate == Fate::Durable {
            self.history.promise();
        }
        if let Err(error) = outcome {
            self.trouble.get_or_insert(error);
        }
    }

    /// After a restart: what is there is there for good, and what is not never happened.
    pub(super) fn adopt(&mut self) -> std::result::Result<(), String> {
        let present = self.check(false)?;
        self.history.adopt(&present);
        Ok(())
    }

    /// Holds what the engine answers against the history: see [`History::judge`].
    pub(super) fn check(&self, live: bool) -> std::result::Result<Vec<bool>, String> {
        match self.answers()? {
            (found, None) => self.history.judge(&found, live),
            (_, Some(missing)) => Err(format!("not everything can be read: {missing}")),
        }
    }

    /// What the volume answers, and what it says is missing from that.
    pub(super) fn answers(&self) -> std::result::Result<(Answers, Option<Error>), String> {
        let engine = self.engine.as_ref().ok_or("the volume is not open")?;
        answers_of(engine, !self.history.is_unsure)
    }

    /// Demands that the directory holds what is true and nothing else.
    pub(super) fn check_files(&self) -> std::result::Result<(), String> {
        let version = self.engine.as_ref().ok_or("the volume is not open")?.view.read().shelf.version.clone();
        let dir = Path::new(DIR);
        let (segments, logs) = (dir.join(layout::SEGMENTS), dir.join(layout::WAL));
        let mut listed: Vec<PathBuf> =
            version.segments.iter().map(|meta| segments.join(layout::segment_name(meta.number, meta.kind()))).collect();
        listed.extend([layout::FORMAT, layout::MANIFEST].map(|name| dir.join(name)));
        let mut files = self.disk.files();
        files.retain(|(path, _)| path.starts_with(dir));
        for (path, len) in &files {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let folder = path.parent().unwrap_or(dir);
            let is_log = folder == logs && layout::log_number(&name).is_some_and(|number| number >= version.log_floor);
            let is_set_aside = folder.file_name().is_some_and(|name| name == layout::QUARANTINE);
            let is_needed = is_log || is_set_aside || listed.contains(path);
            if !is_needed || name.ends_with(TEMPORARY) {
                return Err(format!("{} ({len} bytes) is left behind", path.display()));
            }
        }
        match listed.iter().find(|path| files.iter().all(|(there, _)| there != *path)) {
            Some(path) => Err(format!("{} is not there", path.display())),
            None => Ok(()),
        }
    }
}

/// What an engine answers, also of windows if wanted, and what it says is missing from that.
pub(super) fn answers_of(engine: &Engine, has_windows: bool) -> std::result::Result<(Answers, Option<Error>), String> {
    let mut found = Answers { has_windows, ..Answers::default() };
    let mut missing = None;
    for key in engine.series(&Selector::all()) {
        let mut reading = engine.points(&key, TimeRange::ALL).map_err(|error| error.to_string())?;
        let points = reading.by_ref().collect::<Result<Vec<_>>>().map_err(|error| error.to_string())?;
        missing = missing.or_else(|| reading.missing().first().cloned());
        let windows = engine.windows(&key, TimeRange::ALL, Duration::from_millis(DAY.unsigned_abs()), usize::MAX);
        let windows = windows.map_err(|error| error.to_string())?;
        missing = missing.or_else(|| windows.missing().first().cloned());
        if !windows.is_empty() && has_windows {
            let told = windows.iter().map(Told::of).collect();
            found.windows.insert(key.clone(), told);
        }
        if !points.is_empty() {
            found.points.insert(key, points);
        }
    }
    Ok((found, missing))
}

impl Drop for Run {
    fn drop(&mut self) {
        // Nobody looks at this disk again, so nothing is worth flushing.
        self.disk.stop();
    }
}

impl Engine {
    /// Queues batches together, so that one group commit takes them.
    fn write_group(&self, batches: &[WriteBatch]) -> Vec<Result<Receipt>> {
        if let [batch] = batches {
            return vec![self.write(batch)];
        }
        let tickets: Vec<Result<u64>> = batches.iter().map(|batch| self.enqueue(batch)).collect();
        let outcomes = tickets.into_iter().map(|ticket| self.take_turns(self.writer.lock(), ticket?)).collect();
        self.freeze_if_full();
        outcomes
    }

    /// Puts a batch into the queue and leaves it there.
    pub(super) fn enqueue(&self, batch: &WriteBatch) -> Result<u64> {
        let mut writer = self.writer.lock();
        let draft = Draft::encode(self.define(&writer, self.guard.now(), batch)?, writer.epoch)?;
        let durability = self.durability_of(batch.durability());
        writer.enqueue(draft, durability, self).map_err(|refusal| match refusal {
            Refusal::Final(error) | Refusal::Full(_, error) => error,
        })
    }
}
