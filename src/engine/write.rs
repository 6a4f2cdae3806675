//! Writing: resolve the series, encode, queue, and let one of the waiting writers commit for all.
//!
//! There is no committer thread: the first writer that finds nobody committing takes the turn, writes everything that
//! is queued by one write and one sync, makes it visible in order and wakes the others. With one writer nobody waits
//! for anybody; with many, one sync serves all that came while the last one ran. What is no batch but has to happen at
//! one place in the order of batches (freezing the head, forgetting series) stands in the same queue.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use parking_lot::MutexGuard;
use rustc_hash::FxHashSet;

use crate::codec::batch::LogBatch;
use crate::codec::entry::LogDeletion;
use crate::engine::Engine;
use crate::engine::queue::{Committed, Pending, Refusal, Work, Writer};
use crate::engine::settings::Maintenance;
use crate::error::{Error, ErrorKind, Result};
use crate::head::Tally;
use crate::model::batch::{Receipt, WriteBatch, refusal};
use crate::model::durability::{Durability, Sequence};
use crate::model::limits::{DELETIONS_WAITING_MAX, FRAME_PAYLOAD_BYTES_MAX, SERIES_RESTING_FACTOR, STALL_MAX};
use crate::model::series::{SeriesId, SeriesKey};
use crate::model::time::{TimeRange, Timestamp};
use crate::wal::Payload;

/// A batch with its payload, not yet in the queue.
pub(super) struct Draft {
    pub(super) batch: LogBatch,
    pub(super) payload: Payload,
    /// The epoch for which its series are named as they have to be.
    pub(super) epoch: u64,
}

impl Engine {
    pub(crate) fn write(&self, batch: &WriteBatch) -> Result<Receipt> {
        self.refuse_frozen()?;
        batch.check_len()?;
        let durability = self.durability_of(batch.durability());
        if batch.is_empty() {
            return Ok(receipt(Tally::default(), Sequence::default(), durability));
        }
        let mut accepted_at = self.guard.now();
        // A batch of known series, the usual case, is encoded before the lock is taken.
        let known = self.resolve_known(accepted_at, batch);
        if known.is_none() {
            batch.check(self.settings.store_non_finite)?;
        }
        let mut ready = known.map(|(batch, epoch)| Draft::encode(batch, epoch));
        let mut has_waited = false;
        let receipt = loop {
            let mut writer = self.writer.lock();
            let draft = match ready.take().transpose()? {
                Some(draft) if draft.epoch == writer.epoch && draft.batch.accepted_at >= writer.accepts_from => draft,
                _ => {
                    accepted_at = accepted_at.max(writer.accepts_from);
                    let named = self.define(&writer, accepted_at, batch)?;
                    Draft::encode(named, writer.epoch)?
                }
            };
            match writer.enqueue(draft, durability, self) {
                Ok(ticket) => break self.take_turns(writer, ticket)?,
                Err(Refusal::Final(error)) => return Err(error),
                Err(Refusal::Full(_, error)) if has_waited => return Err(error),
                Err(Refusal::Full(draft, error)) => {
                    has_waited = self.wait_for_room(writer, &error)?;
                    // The numbers of new series may have gone to others meanwhile.
                    ready = draft.batch.named.is_empty().then_some(Ok(*draft));
                }
            }
        };
        self.freeze_if_full();
        Ok(receipt)
    }

    /// Deletes the raw points that a series has in a range; gives the place of that in the order of all batches.
    pub(crate) fn delete(&self, key: &SeriesKey, range: TimeRange) -> Result<Sequence> {
        self.refuse_frozen()?;
        let mut writer = self.writer.lock();
        if range.start() >= range.end() {
            return Ok(writer.last);
        }
        let view = self.view.read();
        let known = view.catalog.id(key).or_else(|| writer.named_series.get(key).copied());
        let pending = view.deletions.len() + writer.queued_deletions;
        drop(view);
        let Some(series) = known else {
            let last = writer.last;
            drop(writer);
            self.check_open()?;
            // After a failure nobody knows whether the log names it.
            return self.commit.lock().failure().map_or(Ok(last), Err);
        };
        if pending >= DELETIONS_WAITING_MAX {
            let why = format!("{pending} deletions wait for the compactor: try again later, or run `maintain`");
            return Err(Error::new(ErrorKind::Overloaded, why));
        }
        let deletion = LogDeletion { series, key: key.clone(), range, at: self.guard.confirmed() };
        let payload = Payload::new(deletion.encode()).expect("a name and two times fit a frame");
        let durability = self.durability_of(None);
        let ticket = writer.enqueue_deletion(deletion, payload, durability, self)?;
        let receipt = self.take_turns(writer, ticket)?;
        // Deletions alone fill the log too.
        self.freeze_if_full();
        Ok(receipt.sequence)
    }

    pub(super) fn durability_of(&self, asked: Option<Durability>) -> Durability {
        let own = self.settings.durability;
        asked.map_or(own, |asked| own.strengthened_by(asked))
    }

    /// A batch of sound points whose series are all known, visible, and named in the log of this epoch.
    fn resolve_known(&self, accepted_at: Timestamp, batch: &WriteBatch) -> Option<(LogBatch, u64)> {
        let view = self.view.read();
        let known = |key| view.catalog.find(key).filter(|entry| entry.named == view.epoch).map(|entry| entry.id);
        let ids: Option<Vec<SeriesId>> = batch.runs().map(|(key, _)| known(key)).collect();
        let epoch = view.epoch;
        drop(view);
        let mut resolved = LogBatch::new(accepted_at, Vec::new(), batch.len());
        for (id, (_, points)) in ids?.into_iter().zip(batch.runs()) {
            // Checked on the way: a large batch does not fit the processor's cache.
            for point in points {
                if refusal(point, self.settings.store_non_finite).is_some() {
                    return None;
                }
                resolved.push(id, point);
            }
        }
        Some((resolved, epoch))
    }

    /// Resolves a batch that may name series: new ones, and those that the log of this epoch has not named yet. They
    /// are defined only once the batch is in the queue.
    pub(super) fn define(&self, writer: &Writer, accepted_at: Timestamp, batch: &WriteBatch) -> Result<LogBatch> {
        // A series leaves `named_series` only under the writer's lock, after it became visible: it is always in one.
        let view = self.view.read();
        let mut named = Vec::new();
        let mut own: FxHashSet<SeriesId> = FxHashSet::default();
        let mut new_ids = std::collections::HashMap::new();
        let mut ids = Vec::new();
        let (mut text_bytes, mut new, mut revived) = (0, 0, 0);
        for (key, _) in batch.runs() {
            let known = view.catalog.find(key);
            let id = known.map(|entry| entry.id).or_else(|| writer.named_series.get(key).copied());
            let id = id.or_else(|| new_ids.get(key).copied()).unwrap_or_else(|| {
                let id = SeriesId(writer.next_series.0.saturating_add(new));
                new += 1;
                new_ids.insert(key, id);
                id
            });
            ids.push(id);
            let is_named = known.is_some_and(|entry| entry.named == writer.epoch) || writer.named.contains(&id);
            if is_named || !own.insert(id) {
                continue;
            }
            revived += usize::from(view.catalog.is_resting(id));
            // A name takes more than its text in the log, so nothing that fits is refused here; what is far too long is
            // refused early, as others wait.
            text_bytes += key.text_bytes();
            if text_bytes > FRAME_PAYLOAD_BYTES_MAX {
                let max = FRAME_PAYLOAD_BYTES_MAX;
                return Err(Error::invalid(format!("the names of new series take over {max} bytes: split the batch")));
            }
            named.push((id, key.clone()));
        }
        let named_max = self.settings.series_max.saturating_mul(SERIES_RESTING_FACTOR);
        let all = view.catalog.len() + writer.new_count() + new as usize;
        let series = view.catalog.active_len() + writer.new_count() + new as usize + revived;
        drop(view);
        if writer.next_series.0.checked_add(new).is_none_or(|next| next == u32::MAX) {
            let why = "all numbers for series have been given: copy what is needed into a new database";
            return Err(Error::new(ErrorKind::TooManySeries, why));
        }
        self.check_series(new as usize + revived, series)?;
        if new > 0 && all > named_max {
            let why = format!("{all} series would have windows, at most {named_max} are kept");
            return Err(Error::new(ErrorKind::TooManySeries, why));
        }
        let mut resolved = LogBatch::new(accepted_at, named, batch.len());
        for (&id, (_, points)) in ids.iter().zip(batch.runs()) {
            for point in points {
                resolved.push(id, point);
            }
        }
        Ok(resolved)
    }

    fn check_series(&self, new: usize, series: usize) -> Result<()> {
        let max = self.settings.series_max;
        if new == 0 || series <= max {
            return Ok(());
        }
        let why = format!("there would be {series} series, at most {max} are allowed; known series can be written");
        Err(Error::new(ErrorKind::TooManySeries, why))
    }

    /// Waits until a flush has made some room; whether that was the last try.
    fn wait_for_room(&self, writer: MutexGuard<'_, Writer>, error: &Error) -> Result<bool> {
        drop(writer);
        if self.settings.maintenance == Maintenance::Manual {
            return self.flush().map(|()| true);
        }
        if let Some(cause) = self.troubles.flush_failure() {
            return Err(Error::because(cause.kind(), error, &cause));
        }
        // The active head may be small, and the batch large.
        self.freeze()?;
        self.wake_flusher();
        let mut writer = self.writer.lock();
        if self.view.read().frozen.is_empty() {
            // Files of the log that could not be removed may be what takes the room.
            self.trim_log();
            return Ok(true);
        }
        Ok(self.room.wait_for(&mut writer, STALL_MAX).timed_out())
    }

    /// Waits for the outcome of what is queued under a ticket, committing for all while nobody else does.
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
                    self.troubles.fail(&error);
                    writer.refuse(&group, &Error::because(ErrorKind::Unknown, "whether it was stored", &error));
                    drop(writer);
                    resume_unwind(panic);
                }
            }
        }
    }

    /// Logs a group, makes it as durable as it asks, and makes it visible; or does what stands in the queue instead.
    fn commit(&self, group: &[Pending]) -> Result<(Committed, Vec<Tally>)> {
        let mut wal = self.commit.lock();
        match &group[0].work {
            Work::Freeze => {
                // IMPORTANT: everything in the head lies in complete files, so that they can go when it is in segments.
                let sealed = wal.rotate()?;
                let mut view = self.view.write();
                view.freeze(sealed + 1, group[0].epoch);
                return Ok((self.measure(&wal, &view), vec![Tally::default()]));
            }
            Work::Forget(candidates) => {
                let mut view = self.view.write();
                *self.forgotten.lock() = view.forget(candidates, group[0].epoch);
                return Ok((self.measure(&wal, &view), vec![Tally::default()]));
            }
            Work::Points { .. } | Work::Deletion { .. } => {}
        }
        wal.append(group.iter().filter_map(Pending::logged))?;
        if group.iter().any(|pending| pending.durability == Durability::Sync) {
            // IMPORTANT: what a power cut could take back is not shown to anybody, so the sync comes first.
            wal.sync()?;
        }
        if group.iter().any(|pending| matches!(pending.work, Work::Deletion { .. })) {
            self.counters.note_dropped();
        }
        let mut view = self.view.write();
        let now = self.guard.monotonic();
        let tallies = group.iter().map(|pending| view.show(pending, now)).collect();
        Ok((self.measure(&wal, &view), tallies))
    }
}

impl Draft {
    pub(super) fn encode(batch: LogBatch, epoch: u64) -> Result<Self> {
        let payload = Payload::new(batch.encode()).map_err(|bytes| {
            let len = bytes.len();
            Error::invalid(format!("the batch takes {len} bytes, at most {FRAME_PAYLOAD_BYTES_MAX} fit: split it"))
        })?;
        Ok(Self { batch, payload, epoch })
    }
}

pub(super) fn receipt(tally: Tally, sequence: Sequence, durability: Durability) -> Receipt {
    let Tally { stored, replaced, late, dead_on_arrival, not_aggregated } = tally;
    Receipt { stored, replaced, late, dead_on_arrival, not_aggregated, sequence, durability }
}
