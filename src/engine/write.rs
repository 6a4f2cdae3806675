//! Writing: resolve the series, encode, queue, and let one of the waiting writers commit for all.
//!
//! There is no committer thread: the first writer that finds nobody committing takes the turn, writes everything that
//! is queued by one write and one sync, makes it visible in order and wakes the others. With one writer nobody waits
//! for anybody; with many, one sync serves all that came while the last one ran.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use parking_lot::MutexGuard;

use crate::catalog::Catalog;
use crate::codec::batch::LogBatch;
use crate::engine::Engine;
use crate::engine::settings::Settings;
use crate::error::{Error, ErrorKind, Result};
use crate::head::{Head, Tally};
use crate::model::batch::{Receipt, WriteBatch};
use crate::model::durability::{Durability, Sequence};
use crate::model::limits::{FRAME_PAYLOAD_BYTES_MAX, GROUP_BYTES_MAX, QUEUE_BYTES_MAX};
use crate::model::series::{SeriesId, SeriesKey};
use crate::model::time::Timestamp;
use crate::wal::Payload;

/// What waits to be committed, and what became of it.
pub(super) struct Writer {
    queue: VecDeque<Pending>,
    /// What the queue and the group that is being committed will add to log and memory.
    queued: Size,
    /// Series that are defined by batches which are not visible yet.
    new_series: HashMap<SeriesKey, SeriesId>,
    next_series: SeriesId,
    pub(super) last: Sequence,
    next_ticket: u64,
    /// Whether somebody has the turn.
    committing: bool,
    /// By ticket: outcomes that their writers have not taken yet.
    outcomes: HashMap<u64, Result<Receipt>>,
    /// The state after the last commit.
    committed: Committed,
    /// Set when a commit ended in a panic: what it left behind is not known.
    broken: Option<Error>,
}

/// The state that a commit leaves behind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Committed {
    pub(super) last: Sequence,
    pub(super) next_series: SeriesId,
    pub(super) series: usize,
    pub(super) size: Size,
}

/// Bytes in the log and in memory.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Size {
    pub(super) log: u64,
    pub(super) memory: usize,
}

/// A batch with its payload, not yet in the queue.
pub(super) struct Draft {
    batch: LogBatch,
    payload: Payload,
}

/// A batch in the queue.
pub(super) struct Pending {
    ticket: u64,
    sequence: Sequence,
    draft: Draft,
    size: Size,
    durability: Durability,
}

impl Engine {
    pub(crate) fn write(&self, batch: &WriteBatch) -> Result<Receipt> {
        batch.check(self.settings.store_non_finite)?;
        let own = self.settings.durability;
        let durability = batch.durability().map_or(own, |asked| own.strengthened_by(asked));
        if batch.is_empty() {
            return Ok(receipt(Tally::default(), Sequence::default(), durability));
        }
        let accepted_at = self.settings.clock.now();
        // A batch of known series, the usual case, is encoded before the lock is taken.
        let known = self.known_ids(batch);
        let ready = match &known {
            Some(ids) => Some(Draft::encode(resolved(accepted_at, SeriesId(0), Vec::new(), ids, batch))?),
            None => None,
        };
        let mut writer = self.writer.lock();
        let draft = if let Some(draft) = ready {
            draft
        } else {
            let batch = self.define(&writer, accepted_at, batch)?;
            // Refused before the work of encoding, for which others wait.
            writer.admit(&batch, 0, &self.settings)?;
            Draft::encode(batch)?
        };
        let ticket = writer.enqueue(draft, durability, &self.settings)?;
        self.take_turns(writer, ticket)
    }

    /// The ids of a batch's points, if every series is known and visible.
    fn known_ids(&self, batch: &WriteBatch) -> Option<Vec<SeriesId>> {
        let view = self.view.read();
        batch.iter().map(|(key, _)| view.catalog.id(key)).collect()
    }

    /// Resolves a batch that may name new series. They are defined only once the batch is in the queue.
    pub(super) fn define(&self, writer: &Writer, accepted_at: Timestamp, batch: &WriteBatch) -> Result<LogBatch> {
        // A series leaves `new_series` only under the writer's lock, after it became visible: it is always in one.
        let view = self.view.read();
        let mut new_series = Vec::new();
        let mut new_ids = HashMap::new();
        let mut ids = Vec::with_capacity(batch.len());
        let mut text_bytes = 0;
        for (key, _) in batch.iter() {
            let known = view.catalog.id(key).or_else(|| writer.new_series.get(key).copied());
            if let Some(id) = known.or_else(|| new_ids.get(key).copied()) {
                ids.push(id);
                continue;
            }
            // A name takes more than its text in the log, so nothing that fits is refused here; what is far too long is
            // refused early, as others wait.
            text_bytes += key.text_bytes();
            if text_bytes > FRAME_PAYLOAD_BYTES_MAX {
                let max = FRAME_PAYLOAD_BYTES_MAX;
                return Err(Error::invalid(format!("the names of new series take over {max} bytes: split the batch")));
            }
            let place = u32::try_from(new_series.len()).expect("a batch is bounded");
            let id = SeriesId(writer.next_series.0 + place);
            new_series.push(key.clone());
            new_ids.insert(key, id);
            ids.push(id);
        }
        drop(view);
        Ok(resolved(accepted_at, writer.next_series, new_series, &ids, batch))
    }

    /// Waits for the outcome of a queued batch, committing for all while nobody else does.
    pub(super) fn take_turns(&self, mut writer: MutexGuard<'_, Writer>, ticket: u64) -> Result<Receipt> {
        loop {
            if let Some(outcome) = writer.outcomes.remove(&ticket) {
                return outcome;
            }
            if writer.committing {
                self.turn.wait(&mut writer);
                continue;
            }
            let group = writer.take_group();
            assert!(!group.is_empty(), "who has no outcome yet is in the queue");
            writer.committing = true;
            let commit = || catch_unwind(AssertUnwindSafe(|| self.commit(&group)));
            let result = MutexGuard::unlocked(&mut writer, commit);
            writer.committing = false;
            self.turn.notify_all();
            match result {
                Ok(Ok((committed, tallies))) => writer.settle(&group, committed, tallies),
                Ok(Err(error)) => writer.refuse(&group, &error),
                Err(panic) => {
                    let error = Error::new(ErrorKind::Failed, "a commit ended in a panic, open the database anew");
                    writer.broken = Some(error.clone());
                    writer.refuse(&group, &Error::because(ErrorKind::Unknown, "whether it was stored", &error));
                    drop(writer);
                    resume_unwind(panic);
                }
            }
        }
    }

    /// Logs a group, makes it as durable as it asks, and makes it visible.
    fn commit(&self, group: &[Pending]) -> Result<(Committed, Vec<Tally>)> {
        let mut wal = self.commit.lock();
        wal.append(group.iter().map(|pending| (pending.sequence, &pending.draft.payload)))?;
        if group.iter().any(|pending| pending.durability == Durability::Sync) {
            // IMPORTANT: what a power cut could take back is not shown to anybody, so the sync comes first.
            wal.sync()?;
        }
        let mut view = self.view.write();
        let tallies = group.iter().map(|pending| view.apply(pending.sequence, &pending.draft.batch)).collect();
        let size = Size { log: wal.bytes(), memory: view.bytes() };
        let (last, next_series, series) = (view.visible, view.catalog.next_id(), view.catalog.len());
        Ok((Committed { last, next_series, series, size }, tallies))
    }
}

/// A batch with the ids of its series.
fn resolved(
    accepted_at: Timestamp,
    first_new: SeriesId,
    new_series: Vec<SeriesKey>,
    ids: &[SeriesId],
    batch: &WriteBatch,
) -> LogBatch {
    let points = ids.iter().copied().zip(batch.iter().map(|(_, point)| point.clone())).collect();
    LogBatch { accepted_at, first_new, new_series, points }
}

impl Draft {
    pub(super) fn encode(batch: LogBatch) -> Result<Self> {
        let payload = Payload::new(batch.encode()).map_err(|bytes| {
            let len = bytes.len();
            Error::invalid(format!("the batch takes {len} bytes, at most {FRAME_PAYLOAD_BYTES_MAX} fit: split it"))
        })?;
        Ok(Self { batch, payload })
    }
}

/// The memory that a batch may come to take, in bytes.
fn memory_of(batch: &LogBatch) -> usize {
    let keys: usize = batch.new_series.iter().map(SeriesKey::memory_bytes).sum();
    let series = batch.new_series.len() * (Catalog::SERIES_BYTES + Head::SERIES_BYTES);
    let mut units = 0;
    let mut neighbour = None;
    for (_, point) in &batch.points {
        if let Some(unit) = &point.unit
            && neighbour != Some(unit)
        {
            units += Head::unit_bytes(unit);
            neighbour = Some(unit);
        }
    }
    keys + series + units + batch.points.len() * Head::POINT_BYTES
}

impl Writer {
    pub(super) fn new(committed: Committed) -> Self {
        Self {
            queue: VecDeque::new(),
            queued: Size::default(),
            new_series: HashMap::new(),
            next_series: committed.next_series,
            last: committed.last,
            next_ticket: 0,
            committing: false,
            outcomes: HashMap::new(),
            committed,
            broken: None,
        }
    }

    /// Puts a batch into the queue; gives the ticket for its outcome.
    pub(super) fn enqueue(&mut self, draft: Draft, durability: Durability, settings: &Settings) -> Result<u64> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        let size = self.admit(&draft.batch, draft.payload.frame_bytes(), settings)?;
        self.queued.log += size.log;
        self.queued.memory += size.memory;
        for (id, key) in (draft.batch.first_new.0..).zip(&draft.batch.new_series) {
            self.new_series.insert(key.clone(), SeriesId(id));
            self.next_series = SeriesId(id + 1);
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.last = self.last.next();
        self.queue.push_back(Pending { ticket, sequence: self.last, draft, size, durability });
        Ok(ticket)
    }

    /// Holds a batch against every bound it could break; gives what it adds.
    fn admit(&self, batch: &LogBatch, log: u64, settings: &Settings) -> Result<Size> {
        let size = Size { log, memory: memory_of(batch) };
        let overloaded = |what: &str, max: u64| {
            Err(Error::new(ErrorKind::Overloaded, format!("{what} would take more than {max} bytes: try again later")))
        };
        let series = self.committed.series + self.new_series.len() + batch.new_series.len();
        if !batch.new_series.is_empty() && series > settings.series_max {
            let max = settings.series_max;
            let why = format!("there would be {series} series, at most {max} are allowed; known series can be written");
            return Err(Error::new(ErrorKind::TooManySeries, why));
        }
        if self.committed.size.memory + self.queued.memory + size.memory > settings.head_bytes_max {
            return overloaded("recent points", settings.head_bytes_max as u64);
        }
        if self.committed.size.log + self.queued.log + size.log > settings.log_bytes_max {
            return overloaded("the log", settings.log_bytes_max);
        }
        if self.queued.log + size.log > QUEUE_BYTES_MAX as u64 {
            return overloaded("batches that wait for the log", QUEUE_BYTES_MAX as u64);
        }
        Ok(size)
    }

    /// Takes the batches that are committed together: at least one, and no more than about a millisecond of copying.
    pub(super) fn take_group(&mut self) -> Vec<Pending> {
        let mut bytes = 0;
        let mut group = Vec::new();
        while let Some(next) = self.queue.front() {
            bytes += next.size.log;
            if !group.is_empty() && bytes > GROUP_BYTES_MAX as u64 {
                break;
            }
            group.extend(self.queue.pop_front());
        }
        group
    }

    /// Notes that a group is visible.
    fn settle(&mut self, group: &[Pending], committed: Committed, tallies: Vec<Tally>) {
        self.committed = committed;
        for (pending, tally) in group.iter().zip(tallies) {
            self.queued.log -= pending.size.log;
            self.queued.memory -= pending.size.memory;
            for key in &pending.draft.batch.new_series {
                self.new_series.remove(key);
            }
            let receipt = receipt(tally, pending.sequence, pending.durability);
            self.outcomes.insert(pending.ticket, Ok(receipt));
        }
    }

    /// Takes back a group that could not be logged, and everything queued behind it: it may name series that the group
    /// was to define, and its sequences would leave a gap.
    fn refuse(&mut self, group: &[Pending], error: &Error) {
        let behind = match error.kind() {
            ErrorKind::Unknown => Error::because(ErrorKind::Failed, "an earlier batch failed", error),
            _ => error.clone(),
        };
        for pending in group {
            self.outcomes.insert(pending.ticket, Err(error.clone()));
        }
        for pending in self.queue.drain(..) {
            self.outcomes.insert(pending.ticket, Err(behind.clone()));
        }
        self.queued = Size::default();
        self.new_series.clear();
        self.next_series = self.committed.next_series;
        self.last = self.committed.last;
    }
}

fn receipt(tally: Tally, sequence: Sequence, durability: Durability) -> Receipt {
    let Tally { stored, replaced, late, dead_on_arrival } = tally;
    Receipt { stored, replaced, late, dead_on_arrival, sequence, durability }
}
