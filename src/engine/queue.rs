//! What waits to be committed, in order, and what became of it. Knows no log and no view; it is filled and emptied by
//! `write`.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::codec::batch::LogBatch;
use crate::codec::entry::LogDeletion;
use crate::engine::Engine;
use crate::engine::write::{Draft, receipt};
use crate::error::{Error, ErrorKind, Result};
use crate::head::{Head, Tally};
use crate::model::batch::Receipt;
use crate::model::durability::{Durability, Sequence};
use crate::model::limits::{GROUP_BYTES_MAX, QUEUE_BYTES_MAX};
use crate::model::packed::Units;
use crate::model::series::{SeriesId, SeriesKey};
use crate::model::time::Timestamp;
use crate::wal::Payload;

/// The queue, and the state that the next batch builds upon.
pub(super) struct Writer {
    queue: VecDeque<Pending>,
    /// What the queue and the group that is being committed will add to log and memory.
    queued: Size,
    /// Whether a head is to be set aside, or is being.
    pub(super) is_freezing: bool,
    /// Deletions among it.
    pub(super) queued_deletions: usize,
    /// Series that are named by batches which are not visible yet: new ones, and those that may be forgotten before.
    pub(super) named_series: HashMap<SeriesKey, SeriesId>,
    /// Series that batches of this epoch name which are not visible yet.
    pub(super) named: HashSet<SeriesId>,
    pub(super) next_series: SeriesId,
    pub(super) last: Sequence,
    /// The epoch of the next batch: each one names all of its series anew.
    pub(super) epoch: u64,
    next_ticket: u64,
    /// What had expired by this moment may be destroyed already, so that no batch is accepted before it.
    pub(super) accepts_from: Timestamp,
    /// When the earliest batch was accepted among those that are being committed.
    committing_from: Option<Timestamp>,
    /// Whether somebody has the turn.
    pub(super) committing: bool,
    /// By ticket: outcomes that their writers have not taken yet.
    pub(super) outcomes: HashMap<u64, Result<Receipt>>,
    /// The state after the last commit.
    committed: Committed,
    /// Set when a commit ended in a panic: what it left behind is not known.
    pub(super) broken: Option<Error>,
}

/// The state that a commit leaves behind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Committed {
    pub(super) last: Sequence,
    pub(super) next_series: SeriesId,
}

/// Bytes in the log and in memory.
#[derive(Clone, Copy, Default, Debug)]
struct Size {
    log: u64,
    memory: usize,
}

/// Something in the queue.
pub(super) struct Pending {
    ticket: u64,
    /// Of what is logged, its place in the log.
    pub(super) sequence: Sequence,
    pub(super) epoch: u64,
    pub(super) work: Work,
    size: Size,
    pub(super) durability: Durability,
}

/// What there is to do.
pub(super) enum Work {
    Points {
        batch: LogBatch,
        payload: Payload,
    },
    Deletion {
        deletion: LogDeletion,
        payload: Payload,
    },
    /// Set the active head aside.
    Freeze,
    /// Let go of those series that nothing names any more.
    Forget(Vec<SeriesId>),
}

/// Why a batch was not taken into the queue.
pub(super) enum Refusal {
    Final(Error),
    /// A flush will help. Gives the draft back.
    Full(Box<Draft>, Error),
}

impl Pending {
    /// Length of its frame.
    pub(super) fn log_bytes(&self) -> u64 {
        self.size.log
    }

    /// When it was accepted, if it has points.
    fn accepted_at(&self) -> Option<Timestamp> {
        match &self.work {
            Work::Points { batch, .. } => Some(batch.accepted_at),
            Work::Deletion { .. } | Work::Freeze | Work::Forget(_) => None,
        }
    }

    /// Its frame, if it is logged.
    pub(super) fn logged(&self) -> Option<(Sequence, &Payload)> {
        match &self.work {
            Work::Points { payload, .. } | Work::Deletion { payload, .. } => Some((self.sequence, payload)),
            Work::Freeze | Work::Forget(_) => None,
        }
    }
}

impl Writer {
    pub(super) fn new(committed: Committed, epoch: u64, accepts_from: Timestamp) -> Self {
        Self {
            queue: VecDeque::new(),
            queued: Size::default(),
            is_freezing: false,
            queued_deletions: 0,
            named_series: HashMap::new(),
            named: HashSet::new(),
            next_series: committed.next_series,
            last: committed.last,
            epoch,
            next_ticket: 0,
            accepts_from,
            committing_from: None,
            committing: false,
            outcomes: HashMap::new(),
            committed,
            broken: None,
        }
    }

    /// Puts a batch into the queue; gives the ticket for its outcome.
    pub(super) fn enqueue(
        &mut self,
        draft: Draft,
        durability: Durability,
        engine: &Engine,
    ) -> std::result::Result<u64, Refusal> {
        if let Some(broken) = &self.broken {
            return Err(Refusal::Final(broken.clone()));
        }
        let size = Size { log: draft.payload.frame_bytes(), memory: memory_of(&draft.batch) };
        if let Some((what, max)) = self.over_bounds(size, engine) {
            let why = format!("{what} would take more than {max} bytes: try again later");
            let error = Error::new(ErrorKind::Overloaded, why);
            // What does not even fit an empty head, or the queue, is not helped by waiting.
            let is_hopeless = size.memory > engine.settings.head_bytes_max || size.log > engine.settings.log_bytes_max;
            let is_queue = self.queued.log + size.log > QUEUE_BYTES_MAX as u64;
            return Err(if is_hopeless || is_queue {
                Refusal::Final(error)
            } else {
                Refusal::Full(Box::new(draft), error)
            });
        }
        for (id, key) in &draft.batch.named {
            self.named.insert(*id);
            self.named_series.insert(key.clone(), *id);
            self.next_series = self.next_series.max(SeriesId(id.0 + 1));
        }
        let Draft { batch, payload, .. } = draft;
        Ok(self.push(Work::Points { batch, payload }, size, durability))
    }

    /// Puts a deletion into the queue.
    pub(super) fn enqueue_deletion(
        &mut self,
        deletion: LogDeletion,
        payload: Payload,
        durability: Durability,
        engine: &Engine,
    ) -> Result<u64> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        let size = Size { log: payload.frame_bytes(), memory: 0 };
        if let Some((what, max)) = self.over_bounds(size, engine) {
            let why = format!("{what} would take more than {max} bytes: try again later");
            return Err(Error::new(ErrorKind::Overloaded, why));
        }
        self.queued_deletions += 1;
        Ok(self.push(Work::Deletion { deletion, payload }, size, durability))
    }

    /// Puts into the queue what begins a new epoch.
    pub(super) fn enqueue_turn(&mut self, work: Work) -> Result<u64> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        self.epoch += 1;
        self.named.clear();
        self.is_freezing |= matches!(work, Work::Freeze);
        Ok(self.push(work, Size::default(), Durability::Buffered))
    }

    fn push(&mut self, work: Work, size: Size, durability: Durability) -> u64 {
        self.queued.log += size.log;
        self.queued.memory += size.memory;
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        if matches!(work, Work::Points { .. } | Work::Deletion { .. }) {
            self.last = self.last.next();
        }
        self.queue.push_back(Pending { ticket, sequence: self.last, epoch: self.epoch, work, size, durability });
        ticket
    }

    /// The bound that this much more would break, if it breaks one.
    fn over_bounds(&self, size: Size, engine: &Engine) -> Option<(&'static str, u64)> {
        let (settings, gauges) = (&engine.settings, &engine.gauges);
        let memory = gauges.head_bytes() + self.queued.memory + size.memory;
        if memory > settings.head_bytes_max {
            return Some(("recent points", settings.head_bytes_max as u64));
        }
        if gauges.log_bytes() + self.queued.log + size.log > settings.log_bytes_max {
            return Some(("the log", settings.log_bytes_max));
        }
        let queue = QUEUE_BYTES_MAX as u64;
        (self.queued.log + size.log > queue).then_some(("batches that wait for the log", queue))
    }

    /// Number of series that are defined by batches which are not visible yet.
    pub(super) fn new_count(&self) -> usize {
        (self.next_series.0 - self.committed.next_series.0) as usize
    }

    /// Takes what is committed together: one thing that is not logged, or batches of one epoch, at least one and no
    /// more than about a millisecond of copying.
    pub(super) fn take_group(&mut self) -> Vec<Pending> {
        let mut bytes = 0;
        let mut group: Vec<Pending> = Vec::new();
        while let Some(next) = self.queue.front() {
            bytes += next.size.log;
            let is_apart = next.logged().is_none() || group.first().is_some_and(|first| first.logged().is_none());
            if !group.is_empty() && (is_apart || bytes > GROUP_BYTES_MAX as u64) {
                break;
            }
            group.extend(self.queue.pop_front());
        }
        self.committing_from = group.iter().filter_map(Pending::accepted_at).min();
        group
    }

    /// When the earliest batch was accepted that is not visible yet.
    pub(super) fn accepted_from(&self) -> Option<Timestamp> {
        self.queue.iter().filter_map(Pending::accepted_at).chain(self.committing_from).min()
    }

    /// Notes that a group is visible.
    pub(super) fn settle(&mut self, group: &[Pending], committed: Committed, tallies: Vec<Tally>) {
        self.committed = committed;
        self.committing_from = None;
        self.is_freezing &= !group.iter().any(|pending| matches!(pending.work, Work::Freeze));
        for (pending, tally) in group.iter().zip(tallies) {
            self.queued.log -= pending.size.log;
            self.queued.memory -= pending.size.memory;
            self.queued_deletions -= usize::from(matches!(pending.work, Work::Deletion { .. }));
            if let Work::Points { batch, .. } = &pending.work {
                for (id, key) in &batch.named {
                    self.named_series.remove(key);
                    if pending.epoch == self.epoch {
                        self.named.remove(id);
                    }
                }
            }
            let receipt = receipt(tally, pending.sequence, pending.durability);
            self.outcomes.insert(pending.ticket, Ok(receipt));
        }
    }

    /// Takes back a group that could not be committed, and everything queued behind it: it may name series that the
    /// group was to define, and its sequences would leave a gap.
    pub(super) fn refuse(&mut self, group: &[Pending], error: &Error) {
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
        self.committing_from = None;
        self.is_freezing = false;
        self.queued_deletions = 0;
        self.named_series.clear();
        self.named.clear();
        self.next_series = self.committed.next_series;
        self.last = self.committed.last;
    }
}

/// The memory that a batch may come to take in the head, in bytes.
fn memory_of(batch: &LogBatch) -> usize {
    let units: usize = batch.units.list().iter().map(Units::unit_bytes).sum();
    batch.named.len() * Head::SERIES_BYTES + units + batch.points.len() * Head::POINT_BYTES
}
