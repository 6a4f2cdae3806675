//! The compactor: carries out what `plan` says, one job at a time. A job reads segments and writes others; the one
//! commit at its end makes the change true.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::cursor::{Cursor, Filter, Source};
use crate::engine::inputs::{Input, next_series};
use crate::engine::output::{Facts, Output};
use crate::engine::plan::{Circumstances, Job, Reason, plan};
use crate::engine::queue::Work;
use crate::engine::shelf::{Shelf, Slot};
use crate::error::{Error, ErrorKind, Result};
use crate::head::Head;
use crate::manifest::Edit;
use crate::model::durability::Sequence;
use crate::model::packed::PackedPoint;
use crate::model::segment::{Deletion, ExpiryClass, Role};
use crate::model::series::{SeriesId, SeriesKey};
use crate::model::time::Timestamp;

/// Up to when what has expired may be destroyed, so that no window comes to say something else for it (semantics S7).
pub(super) struct Settled {
    /// Everywhere: up to the acceptance of the first batch that is not in segments yet, for it may have replaced what
    /// was alive by then.
    pub(super) now: Timestamp,
    /// Where no such batch has points: the confirmed moment.
    pub(super) confirmed: Timestamp,
    /// From when to when those have points, in ms.
    pub(super) recent: Vec<(i64, i64)>,
}

impl Engine {
    /// Does what is due: flushes a head that is old, frees what is dead, merges what is small, and makes the backups of
    /// policies, whatever became of the rest.
    pub(crate) fn maintain(&self) -> Result<()> {
        let tended = self.tend();
        tended.and(self.back_up_due())
    }

    fn tend(&self) -> Result<()> {
        self.flush_due()?;
        while self.compact_one(false)? {}
        self.settle_series()
    }

    /// Flushes, and merges everything that may be merged.
    pub(crate) fn compact(&self) -> Result<()> {
        self.flush()?;
        while self.compact_one(true)? {}
        self.settle_series()
    }

    /// Does the most urgent job; whether there was one.
    pub(super) fn compact_one(&self, is_eager: bool) -> Result<bool> {
        self.refuse_frozen()?;
        let _turn = self.compacting.lock();
        self.check_open()?;
        self.bury_unread();
        let shelf = self.view.read().shelf.clone();
        let confirmed = self.guard.confirmed();
        let settled = self.settled(confirmed, Sequence::default());
        let now = settled.now;
        let damaged = shelf.slots().iter().filter(|slot| slot.damage().is_some()).map(|slot| slot.meta.number);
        let damaged = damaged.chain(self.avoided.lock().iter().copied()).collect();
        let free_bytes = self.disk.free_bytes(&self.dir).unwrap_or(u64::MAX);
        let about = Circumstances {
            now: now.as_millis(),
            confirmed: settled.confirmed.as_millis(),
            recent: &settled.recent,
            reclaim_within: self.settings.reclaim_millis(),
            rollup: &self.rollup,
            free_bytes,
            damaged: &damaged,
            is_eager,
        };
        let Some(job) = plan(&shelf.version, &about) else {
            self.troubles.note_compaction(None);
            return Ok(false);
        };
        let done = self.run(&job, shelf, now, confirmed);
        self.troubles.note_compaction(done.as_ref().err());
        self.bury_unread();
        done.map(|()| true)
    }

    /// Up to when what has expired may be destroyed. Heads up to `flushed` are not looked at.
    pub(super) fn settled(&self, confirmed: Timestamp, flushed: Sequence) -> Settled {
        let mut writer = self.writer.lock();
        // From here on nothing is accepted that could replace what was alive before.
        writer.accepts_from = writer.accepts_from.max(confirmed);
        let view = self.view.read();
        let behind = view.frozen.iter().filter(|frozen| frozen.last > flushed).map(|frozen| &frozen.head);
        let heads: Vec<&Head> = behind.chain([&view.active]).collect();
        let accepted = heads.iter().filter_map(|head| head.accepted_from()).chain(writer.accepted_from());
        let now = accepted.fold(confirmed, Timestamp::min);
        let mut recent: Vec<(i64, i64)> = heads.iter().filter_map(|head| head.times()).collect();
        recent.extend(writer.accepted_from().map(|_| (i64::MIN, i64::MAX)));
        Settled { now, confirmed, recent }
    }

    fn run(&self, job: &Job, shelf: Arc<Shelf>, now: Timestamp, confirmed: Timestamp) -> Result<()> {
        tracing::debug!(?job, "a compaction starts");
        let (inputs, reason) = match job {
            Job::Drop(numbers) => {
                let edit = Edit { remove: numbers.clone(), ..Edit::default() };
                drop(shelf);
                return self.commit_edit(edit, confirmed).map(|_| ());
            }
            Job::Merge(numbers, reason) | Job::Fold(numbers, reason) => (numbers, *reason),
            Job::Summarise(numbers, _) => (numbers, Reason::Many),
        };
        let role = match job {
            Job::Merge(numbers, _) => shelf.slot(numbers[0]).map(|slot| slot.meta.role),
            Job::Drop(_) | Job::Fold(..) | Job::Summarise(..) => None,
        };
        let written = match job {
            Job::Summarise(numbers, length) => self.summarise(numbers, *length, &shelf),
            _ => self.rewrite(inputs, role, &shelf, now),
        };
        match written {
            Ok(add) => {
                drop(shelf);
                self.counters.note_rewritten(add.iter().map(|meta| meta.bytes).sum(), reason == Reason::Expiry);
                // If it came too late, the next plan has another look.
                self.commit_edit(Edit { add, remove: inputs.clone(), ..Edit::default() }, confirmed).map(|_| ())
            }
            // It has been noted: the next plan leaves the damaged segment alone.
            Err(error) if error.kind() == ErrorKind::Corruption => Ok(()),
            Err(error) if error.kind() == ErrorKind::Overloaded => {
                tracing::warn!(%error, "segments are left as they are");
                self.avoided.lock().extend(inputs);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Writes segments anew: all under one role, or as plain ones of the classes that their points belong to.
    fn rewrite(
        &self,
        numbers: &[u64],
        role: Option<Role>,
        shelf: &Shelf,
        now: Timestamp,
    ) -> Result<Vec<crate::model::segment::SegmentMeta>> {
        let mut inputs = Vec::new();
        for number in numbers {
            let slot = shelf.slot(*number).expect("a plan names what is there").clone();
            let chunks = slot.file().map_err(|error| slot.note(&error))?.directory();
            inputs.push(Input::new(slot, chunks));
        }
        // What was written last wins: overrides before what they override, the newest first.
        inputs.sort_by_key(|input| {
            let meta = &input.slot.meta;
            (meta.role != Role::Override, std::cmp::Reverse(meta.newest), meta.number)
        });
        let newest = inputs.iter().map(|input| input.slot.meta.newest).max().unwrap_or_default();
        // Only what is durable is carried out for good.
        let facts = Facts { newest, erased: shelf.version.flushed };
        let deletions = by_series(&shelf.version.deletions);
        let mut output = self.output();
        while let Some(id) = next_series(&mut inputs)? {
            let key = self.key_of(id, inputs.iter().map(|input| &input.slot))?;
            let filter = Filter::new((i64::MIN, i64::MAX), deletions.get(&id).cloned().unwrap_or_default());
            let mut sources = Vec::new();
            let mut bytes = 0;
            for input in &mut inputs {
                let chunks = input.chunks_of(id)?;
                let points: u64 = chunks.iter().map(|chunk| u64::from(chunk.count())).sum();
                bytes += points * input.slot.meta.bytes / input.slot.meta.points.max(1);
                sources.push(Source::segment(input.slot.clone(), chunks, filter.clone()));
            }
            self.copy(Cursor::new(sources), (id, &key), role, facts, now, &mut output)?;
            self.pace.spend(bytes)?;
        }
        output.finish()
    }

    /// Copies one series, without what is dead and hides nothing.
    fn copy(
        &self,
        mut cursor: Cursor,
        (id, key): (SeriesId, &SeriesKey),
        role: Option<Role>,
        facts: Facts,
        now: Timestamp,
        output: &mut Output<'_>,
    ) -> Result<()> {
        let days = self.format.partition_days;
        while let Some(next) = cursor.next() {
            let (point, source) = next?;
            let point = match (point.is_visible_at(now), role) {
                (true, _) => point,
                // It still hides what lies beneath.
                (false, Some(Role::Override)) => PackedPoint::shadow(point.time),
                (false, _) => continue,
            };
            let partition = crate::model::segment::Partition::of(point.time, days);
            let class = || Role::Plain(ExpiryClass::of(&point, self.settings.reclaim_millis()));
            let role = role.unwrap_or_else(class);
            output.push(
                (partition, role),
                facts,
                (id, key),
                point,
                (cursor.number(source).unwrap_or(0), cursor.units(source)),
            )?;
        }
        Ok(())
    }

    /// The name of a series, from the catalogue or else from the segments themselves.
    pub(super) fn key_of<'a>(&self, id: SeriesId, mut slots: impl Iterator<Item = &'a Arc<Slot>>) -> Result<SeriesKey> {
        if let Some(key) = self.view.read().catalog.key(id) {
            return Ok(key.clone());
        }
        let mut first = None;
        for slot in &mut slots {
            let names = slot.file()?.names().map_err(|error| slot.note(&error))?;
            if let Some((_, key)) = names.into_iter().find(|(named, _)| *named == id) {
                return Ok(key);
            }
            first = first.or(Some(slot));
        }
        let error = Error::corrupt(format!("series {} has no name", id.0));
        Err(first.map_or_else(|| error.clone(), |slot| slot.note(&error)))
    }

    /// What is done when no segment has to be written anew.
    pub(super) fn settle_series(&self) -> Result<()> {
        self.forget_series()?;
        // Another thread that looked over the series may have held what was dropped meanwhile; its turn has ended.
        self.bury_unread();
        self.settle_catalog().inspect_err(|error| self.troubles.note_compaction(Some(error)))
    }

    /// Lets go of series that have no byte left, in segments or in the log.
    pub(super) fn forget_series(&self) -> Result<()> {
        // No flush in between: what is in no segment now gets into none before it is forgotten.
        let _turn = self.flushing.lock();
        self.check_open()?;
        if !self.counters.take_has_dropped() {
            return Ok(());
        }
        // Looked over again if this does not come to its end.
        self.forget_unnamed().inspect_err(|_| self.counters.note_dropped())
    }

    fn forget_unnamed(&self) -> Result<()> {
        let shelf = self.view.read().shelf.clone();
        let (mut named, mut in_windows): (HashSet<SeriesId>, HashSet<SeriesId>) = Default::default();
        for slot in shelf.slots() {
            // What cannot be read may name any series.
            let Ok(ids) = slot.file().and_then(|file| file.series_ids()) else {
                self.counters.note_dropped();
                return Ok(());
            };
            if slot.meta.holds_points() { named.extend(ids) } else { in_windows.extend(ids) }
        }
        drop(shelf);
        in_windows.retain(|id| !named.contains(id));
        let gone: Vec<(SeriesId, SeriesKey)> = {
            let view = self.view.read();
            let is_known = |id: &SeriesId| named.contains(id) || in_windows.contains(id);
            let is_unnamed = |id: &SeriesId| !is_known(id) && !view.holds_recent(*id);
            let (gone, waiting): (Vec<_>, Vec<_>) =
                (view.catalog.iter()).filter(|(id, ..)| is_unnamed(id)).partition(|(id, ..)| view.is_forgettable(*id));
            if !waiting.is_empty() {
                // The log names them. It goes with the next flush.
                self.counters.note_waiting();
            }
            gone.into_iter().map(|(id, key, _)| (id, key.clone())).collect()
        };
        {
            let mut view = self.view.write();
            let resting: Vec<SeriesId> = in_windows.into_iter().filter(|id| !view.holds_recent(*id)).collect();
            view.catalog.rest(resting);
        }
        if gone.is_empty() {
            return Ok(());
        }
        let mut writer = self.writer.lock();
        let ticket = writer.enqueue_turn(Work::Forget(gone.iter().map(|(id, _)| *id).collect()))?;
        self.take_turns(writer, ticket)?;
        let removed = std::mem::take(&mut *self.forgotten.lock());
        tracing::debug!(series = removed.len(), "series without a byte are forgotten");
        let committed = self.commit_change(Edit::default(), &removed, self.guard.confirmed());
        committed.map(|_| ()).inspect_err(|error| self.troubles.note_compaction(Some(error)))
    }
}

fn by_series(deletions: &[Deletion]) -> HashMap<SeriesId, Arc<[Deletion]>> {
    let mut lists: HashMap<SeriesId, Vec<Deletion>> = HashMap::new();
    for deletion in deletions {
        lists.entry(deletion.series).or_default().push(*deletion);
    }
    lists.into_iter().map(|(id, list)| (id, list.into())).collect()
}
