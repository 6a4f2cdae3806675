//! For the crash and fault tests: short workloads of numbered batches on a faulty disk, and what must hold afterwards.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::settings::Settings;
use crate::engine::write::Draft;
use crate::env::clock::ManualClock;
use crate::env::faulty::{FaultyDisk, Image};
use crate::error::{ErrorKind, Result};
use crate::model::batch::{Receipt, WriteBatch};
use crate::model::durability::Durability;
use crate::model::limits::HEAD_BYTES_MAX_DEFAULT;
use crate::model::point::{Point, Value};
use crate::model::series::SeriesKey;
use crate::model::time::{TimeRange, Timestamp, Ttl};

/// Where the simulated volume lies.
pub(super) const DIR: &str = "v";

/// One thing that a workload does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    /// Writes the next batch, with this many points more than the few that every batch has.
    Write(u64),
    /// The same, asking for `Sync`.
    WriteSync,
    /// Writes this many batches by one group commit.
    Group(u64),
    /// The same, the last of them asking for `Sync`.
    GroupSync(u64),
    /// The process is killed and the volume opened again; the power stays.
    Kill,
    Sync,
    /// Closes in order and opens again.
    Reopen,
    /// The power goes and comes back.
    PowerCut(Image),
}

/// A history of acts under one set of settings.
#[derive(Clone, Debug)]
pub(super) struct Workload {
    pub(super) name: &'static str,
    pub(super) durability: Durability,
    pub(super) log_file_bytes: u64,
    pub(super) acts: Vec<Act>,
}

/// What became of a batch, as its writer knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// Acknowledged and promised to be on stable storage.
    Durable,
    /// Acknowledged; a power cut may take it.
    Written,
    /// The answer was that it is not stored.
    Refused,
    /// Nobody heard an answer.
    Unknown,
}

/// A workload under way.
pub(super) struct Run {
    pub(super) disk: FaultyDisk,
    /// `None` after an opening that failed.
    pub(super) engine: Option<Arc<Engine>>,
    settings: Settings,
    /// By number from 1.
    pub(super) fates: Vec<Fate>,
}

pub(super) fn settings(durability: Durability, log_file_bytes: u64) -> Settings {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000)));
    Settings { durability, log_file_bytes, clock, head_bytes_max: HEAD_BYTES_MAX_DEFAULT, ..Settings::default() }
}

fn key(metric: &str) -> SeriesKey {
    SeriesKey::new("SIM.CRASH", metric, [("host", "a")]).expect("a valid key")
}

/// Batch `number`: a point in a series of all batches, one in a series of every third batch, one that overwrites what
/// the batch before wrote, now and then a new series and a point that is dead on arrival, and `bulk` more.
pub(super) fn batch(number: u64, bulk: u64) -> WriteBatch {
    let time = |number: u64| Timestamp::from_millis(number.cast_signed());
    let int = |number: u64| Value::Int(number.cast_signed());
    let fraction = f64::from(u32::try_from(number).expect("workloads are short")) + 0.25;
    let mut batch = WriteBatch::new();
    batch.push(key("all"), Point::new(time(number), int(number)).with_unit("%"));
    batch.push(key(&format!("third{}", number % 3)), Point::new(time(number), fraction));
    batch.push(key("newest"), Point::new(time(0), int(number)).with_unit(format!("u{}", number % 5)));
    if number.is_multiple_of(4) {
        batch.push(key(&format!("new{number}")), Point::new(time(number), int(number)));
        batch.push(key("dead"), Point::new(time(number), int(number)).with_ttl(Ttl::from_secs(1)));
    }
    for each in 0..bulk {
        batch.push(key("bulk"), Point::new(time(number * 1_000 + each), int(each)));
    }
    batch
}

impl Run {
    /// Opens a volume on a disk; `fates` are those of the batches that were written to it before.
    pub(super) fn start(disk: FaultyDisk, workload: &Workload, fates: Vec<Fate>) -> (Self, Result<()>) {
        let settings = settings(workload.durability, workload.log_file_bytes);
        let mut run = Self { disk, engine: None, settings, fates };
        let opened = run.open();
        (run, opened)
    }

    pub(super) fn open(&mut self) -> Result<()> {
        self.engine = Some(Engine::open(Arc::new(self.disk.clone()), Path::new(DIR), self.settings.clone())?);
        Ok(())
    }

    /// Does one act. A refused one is noted, not an error: the workload goes on as a program would.
    pub(super) fn act(&mut self, act: Act) {
        match act {
            Act::Write(bulk) => self.write(&[batch(self.next(), bulk)]),
            Act::WriteSync => self.write(&[batch(self.next(), 0).with_durability(Durability::Sync)]),
            Act::Group(count) => self.write(&self.batches(count)),
            Act::GroupSync(count) => {
                let mut batches = self.batches(count);
                let last = batches.pop().expect("a group has batches");
                batches.push(last.with_durability(Durability::Sync));
                self.write(&batches);
            }
            Act::Kill => {
                std::mem::forget(self.engine.take());
                self.disk.release_locks();
                self.restart();
            }
            Act::Sync => {
                if self.engine.as_ref().is_some_and(|engine| engine.sync().is_ok()) {
                    self.promise();
                }
            }
            Act::Reopen => {
                let closed = self.engine.take().map(|engine| engine.close());
                drop(closed);
                self.restart();
            }
            Act::PowerCut(image) => {
                self.disk = self.disk.after_power_cut(image);
                self.engine = None;
                let opened = self.open();
                if opened.is_ok() {
                    self.adopt().expect("a power cut in a workload keeps what was promised");
                }
            }
        }
    }

    /// Opens again without a power cut in between.
    fn restart(&mut self) {
        // What cannot be opened or mended now cannot be written either; the acts that follow are refused.
        if self.open().is_ok() && self.engine.as_ref().is_some_and(|engine| engine.sync().is_ok()) {
            // What was written is still there, and recovery has made it durable.
            self.promise();
            self.adopt().expect("a restart keeps what was written");
        }
    }

    fn batches(&self, count: u64) -> Vec<WriteBatch> {
        let first = self.next();
        (first..first + count).map(|number| batch(number, 0)).collect()
    }

    pub(super) fn next(&self) -> u64 {
        self.fates.len() as u64 + 1
    }

    /// Writes batches as one group.
    fn write(&mut self, batches: &[WriteBatch]) {
        let outcomes = match &self.engine {
            Some(engine) => engine.write_group(batches),
            None => return,
        };
        self.fates.extend(outcomes.into_iter().map(|outcome| match outcome {
            Ok(Receipt { durability: Durability::Sync, .. }) => Fate::Durable,
            Ok(_) => Fate::Written,
            Err(error) if error.kind() == ErrorKind::Unknown => Fate::Unknown,
            Err(_) if self.disk.is_stopped() => Fate::Unknown,
            Err(_) => Fate::Refused,
        }));
        // A sync covers everything written before it.
        if self.fates.last() == Some(&Fate::Durable) {
            self.promise();
        }
    }

    fn promise(&mut self) {
        for fate in self.fates.iter_mut().filter(|fate| **fate == Fate::Written) {
            *fate = Fate::Durable;
        }
    }

    /// After a restart: what is there is there for good, and what is not never happened.
    pub(super) fn adopt(&mut self) -> std::result::Result<(), String> {
        let present = self.check(false)?;
        for (fate, is_present) in self.fates.iter_mut().zip(present) {
            *fate = if is_present { Fate::Durable } else { Fate::Refused };
        }
        Ok(())
    }

    /// Holds what the engine answers against what was promised; says of each batch whether it is there.
    ///
    /// Always: what is promised is there, what was refused is not, no batch is there in part, and the batches that are
    /// there are a prefix of those not refused. `live` (no restart in between): exactly the acknowledged ones are
    /// there.
    pub(super) fn check(&self, live: bool) -> std::result::Result<Vec<bool>, String> {
        let engine = self.engine.as_ref().ok_or("the volume is not open")?;
        let points = |metric: &str| -> BTreeMap<i64, Point> {
            let points = engine.points(&key(metric), TimeRange::ALL, usize::MAX);
            points.into_iter().map(|point| (point.time.as_millis(), point)).collect()
        };
        let all = points("all");
        let mut newest = 0;
        let mut ended = false;
        let mut present = Vec::new();
        for (number, fate) in (1..).zip(&self.fates) {
            let is_present = all.contains_key(&number);
            let told = format!("batch {number} of {} ({fate:?})", self.fates.len());
            match (fate, live) {
                (Fate::Durable, _) | (Fate::Written, true) if !is_present => return Err(format!("{told} is lost")),
                (Fate::Refused, _) | (Fate::Unknown, true) if is_present => return Err(format!("{told} is there")),
                _ => {}
            }
            if is_present && ended {
                return Err(format!("{told} is there behind one that is not"));
            }
            ended |= !is_present && *fate != Fate::Refused;
            if is_present {
                newest = number;
            }
            present.push(is_present);
        }
        self.check_points(&points, &all, &present, newest)?;
        Ok(present)
    }

    /// Every point of the batches that are there, and nothing else.
    fn check_points(
        &self,
        points: &dyn Fn(&str) -> BTreeMap<i64, Point>,
        all: &BTreeMap<i64, Point>,
        present: &[bool],
        newest: i64,
    ) -> std::result::Result<(), String> {
        let mut expected: BTreeMap<SeriesKey, BTreeMap<i64, Point>> = BTreeMap::new();
        let bulk = points("bulk");
        for (number, _) in (1_u64..).zip(present).filter(|(_, present)| **present) {
            let first = (number * 1_000).cast_signed();
            let bulk_len = bulk.range(first..first + 1_000).count() as u64;
            for (key, point) in batch(number, bulk_len).iter().filter(|(key, _)| key.metric() != "dead") {
                expected.entry(key.clone()).or_default().insert(point.time.as_millis(), point.clone());
            }
        }
        let engine = self.engine.as_ref().ok_or("the volume is not open")?;
        for key in engine.series(&crate::model::selector::Selector::all()) {
            let found = points(key.metric());
            let expected = expected.remove(&key).unwrap_or_default();
            if found != expected {
                return Err(format!("{key} has {found:?}, expected {expected:?}"));
            }
        }
        if let Some((key, _)) = expected.into_iter().next() {
            return Err(format!("{key} is missing"));
        }
        match points("newest").get(&0).map(|point| point.value) {
            None if all.is_empty() => Ok(()),
            Some(Value::Int(value)) if value == newest => Ok(()),
            other => Err(format!("the overwritten point is {other:?}, not {newest}")),
        }
    }
}

impl Engine {
    /// Queues batches together, so that one group commit takes them.
    fn write_group(&self, batches: &[WriteBatch]) -> Vec<Result<Receipt>> {
        if let [batch] = batches {
            return vec![self.write(batch)];
        }
        let tickets: Vec<Result<u64>> = batches
            .iter()
            .map(|batch| {
                let mut writer = self.writer.lock();
                let own = self.settings.durability;
                let durability = batch.durability().map_or(own, |asked| own.strengthened_by(asked));
                let draft = Draft::encode(self.define(&writer, self.settings.clock.now(), batch)?)?;
                writer.enqueue(draft, durability, &self.settings)
            })
            .collect();
        tickets.into_iter().map(|ticket| self.take_turns(self.writer.lock(), ticket?)).collect()
    }
}
