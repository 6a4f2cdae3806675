//! What readers see: everything up to one sequence. The one place where an entry of the log, new or replayed, becomes
//! visible.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::catalog::Catalog;
use crate::codec::batch::LogBatch;
use crate::codec::entry::{Entry, LogDeletion};
use crate::engine::queue::{Pending, Work};
use crate::engine::shelf::Shelf;
use crate::head::{Head, Origin, Tally};
use crate::model::durability::Sequence;
use crate::model::limits::SERIES_LOST_MAX;
use crate::model::packed::PackedPoint;
use crate::model::rollup::Rollup;
use crate::model::segment::Deletion;
use crate::model::series::{SeriesId, SeriesKey};
use crate::model::time::TimeRange;

/// The published state of a volume.
pub(super) struct View {
    pub(super) catalog: Catalog,
    /// Which points count in windows.
    pub(super) rollup: Arc<Rollup>,
    /// Recent points.
    pub(super) active: Head,
    /// Heads on their way into segments, oldest first.
    pub(super) frozen: Vec<Arc<Frozen>>,
    /// What is in segments.
    pub(super) shelf: Arc<Shelf>,
    /// Deletions that are not carried out everywhere yet.
    pub(super) deletions: Deletions,
    /// The last entry that is visible.
    pub(super) visible: Sequence,
    /// Grows when series have to be named anew in the log.
    pub(super) epoch: u64,
    /// Logs that are still needed name all their series in this epoch or a later one.
    unflushed_from: u64,
    /// Monotonic time of the first entry that the active head took.
    pub(super) active_since: Option<Duration>,
    /// Bytes of log that the active head takes.
    pub(super) active_log: u64,
}

/// A head that takes no more points.
pub(super) struct Frozen {
    pub(super) head: Head,
    /// The last entry that is in it.
    pub(super) last: Sequence,
    /// The log files from this number on hold what is not in it.
    pub(super) log_floor: u64,
    /// The first epoch behind it: series named before need no naming for its sake once it is in segments.
    pub(super) epoch: u64,
}

/// Deletions by series.
#[derive(Default)]
pub(super) struct Deletions {
    by_series: HashMap<SeriesId, Arc<[Deletion]>>,
    len: usize,
}

impl Deletions {
    pub(super) fn new(list: impl IntoIterator<Item = Deletion>) -> Self {
        let mut deletions = Self::default();
        list.into_iter().for_each(|deletion| deletions.add(deletion));
        deletions
    }

    pub(super) fn of(&self, series: SeriesId) -> Arc<[Deletion]> {
        self.by_series.get(&series).cloned().unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of them in the order in which they were asked for.
    pub(super) fn list(&self) -> Vec<Deletion> {
        let mut list: Vec<Deletion> = self.by_series.values().flat_map(|of| of.iter().copied()).collect();
        list.sort_unstable_by_key(|deletion| deletion.sequence);
        list
    }

    fn add(&mut self, deletion: Deletion) {
        let known = self.by_series.entry(deletion.series).or_default();
        if known.iter().all(|other| other.sequence != deletion.sequence) {
            *known = known.iter().copied().chain([deletion]).collect();
            self.len += 1;
        }
    }
}

impl View {
    /// A view with nothing recent in it.
    pub(super) fn new(catalog: Catalog, shelf: Arc<Shelf>, rollup: Arc<Rollup>) -> Self {
        let deletions = Deletions::new(shelf.version.deletions.iter().copied());
        let visible = shelf.version.flushed;
        Self {
            catalog,
            rollup,
            active: Head::default(),
            frozen: Vec::new(),
            shelf,
            deletions,
            visible,
            epoch: 1,
            unflushed_from: 1,
            active_since: None,
            active_log: 0,
        }
    }

    /// Makes what was logged visible.
    pub(super) fn show(&mut self, pending: &Pending, now: Duration) -> Tally {
        self.epoch = self.epoch.max(pending.epoch);
        self.active_since.get_or_insert(now);
        self.active_log += pending.log_bytes();
        match &pending.work {
            Work::Points { batch, .. } => self.apply(pending.sequence, batch),
            Work::Deletion { deletion, .. } => {
                self.delete(pending.sequence, deletion);
                Tally::default()
            }
            Work::Freeze | Work::Forget(_) => unreachable!("these are not logged"),
        }
    }

    /// Makes a batch visible.
    pub(super) fn apply(&mut self, sequence: Sequence, batch: &LogBatch) -> Tally {
        self.step(sequence);
        for (id, key) in &batch.named {
            self.catalog.name(*id, key, self.epoch);
        }
        let mut tally = Tally::default();
        let units = self.active.adopt(&batch.units);
        let counts_from = self.rollup.counts_from(batch.accepted_at);
        self.active.begin(Origin { accepted_at: batch.accepted_at, sequence });
        for each in &batch.points {
            let point = each.point();
            let (unit, is_apart) = (units[point.unit as usize], point.time < counts_from || point.is_non_finite());
            self.active.put(SeriesId(each.series), PackedPoint { unit, is_apart, ..point }, &mut tally);
        }
        tally
    }

    /// Makes a deletion visible.
    pub(super) fn delete(&mut self, sequence: Sequence, deletion: &LogDeletion) {
        self.step(sequence);
        let LogDeletion { series, range, at, .. } = *deletion;
        self.active.erase(series, range);
        let deletion = Deletion { series, range, sequence, at };
        if self.is_needed(&deletion) {
            self.deletions.add(deletion);
        }
    }

    fn step(&mut self, sequence: Sequence) {
        assert!(sequence > self.visible, "entries become visible in order");
        self.visible = sequence;
    }

    /// Makes an entry from the log visible. Points of series whose name was lost with a damaged frame are left out;
    /// gives the number of those taken in, and of those left out.
    pub(super) fn replay(
        &mut self,
        sequence: Sequence,
        entry: Entry,
        now: Duration,
        log_bytes: u64,
    ) -> Result<(usize, usize), String> {
        self.active_since.get_or_insert(now);
        self.active_log += log_bytes;
        let mut batch = match entry {
            Entry::Points(batch) => batch,
            Entry::Deletion(deletion) => {
                self.check_name(&[(deletion.series, deletion.key.clone())])?;
                self.delete(sequence, &deletion);
                return Ok((0, 0));
            }
        };
        self.check_name(&batch.named)?;
        let points = batch.points.len();
        let named: std::collections::HashSet<SeriesId> = batch.named.iter().map(|(id, _)| *id).collect();
        batch.points.retain(|point| {
            let id = SeriesId(point.series);
            self.catalog.contains(id) || named.contains(&id)
        });
        let taken = batch.points.len();
        self.apply(sequence, &batch);
        Ok((taken, points - taken))
    }

    /// Refuses names that contradict what is known.
    fn check_name(&mut self, named: &[(SeriesId, SeriesKey)]) -> Result<(), String> {
        let mut new_keys = HashMap::new();
        let mut new_ids = HashMap::new();
        for (id, key) in named {
            // A series that had been forgotten came back under a new number; the stored catalogue had not heard of it.
            if let Some(old) = self.catalog.id(key).filter(|old| old < id && self.catalog.named(*old) == Some(0)) {
                self.catalog.remove(old);
            }
            let known = self.catalog.id(key).or_else(|| new_keys.get(key).copied());
            if known.is_some_and(|known| known != *id) {
                return Err(format!("it gives {key} a second number, {}", id.0));
            }
            let name = self.catalog.key(*id).or_else(|| new_ids.get(id).copied());
            if name.is_some_and(|name| name != key) {
                return Err(format!("it gives series {} a second name, {key}", id.0));
            }
            let next = self.catalog.next_id().0;
            if id.0.saturating_sub(next) > SERIES_LOST_MAX {
                return Err(format!("it names series {}, the next would be {next}", id.0));
            }
            new_keys.insert(key, *id);
            new_ids.insert(*id, key);
        }
        Ok(())
    }

    /// Sets the active head aside, to be flushed.
    pub(super) fn freeze(&mut self, log_floor: u64, epoch: u64) {
        self.epoch = epoch;
        if !self.active.is_empty() || self.frozen_through() < self.visible {
            let head = std::mem::take(&mut self.active);
            self.active_since = None;
            self.active_log = 0;
            self.frozen.push(Arc::new(Frozen { head, last: self.visible, log_floor, epoch }));
        }
    }

    /// Lets go of series that are in no segment, unless something recent names them.
    /// Gives those it has let go.
    pub(super) fn forget(&mut self, candidates: &[SeriesId], epoch: u64) -> Vec<(SeriesId, SeriesKey)> {
        self.epoch = epoch;
        let mut gone = Vec::new();
        for &id in candidates {
            if self.is_forgettable(id) && !self.holds_recent(id) {
                gone.extend(self.catalog.key(id).map(|key| (id, key.clone())));
                self.catalog.remove(id);
            }
        }
        gone
    }

    /// Whether no log that is needed names a series. Whether segments do is for the caller to know.
    pub(super) fn is_forgettable(&self, id: SeriesId) -> bool {
        self.catalog.named(id).is_some_and(|named| named < self.unflushed_from)
    }

    /// Whether there is a recent point of a series.
    pub(super) fn holds_recent(&self, id: SeriesId) -> bool {
        self.active.holds(id) || self.frozen.iter().any(|frozen| frozen.head.holds(id))
    }

    /// Whether there is a recent point of a series in a range, or one that counts in its windows.
    pub(super) fn holds_recent_in(&self, id: SeriesId, range: TimeRange) -> bool {
        let mut heads = self.frozen.iter().map(|frozen| &frozen.head).chain([&self.active]);
        heads.any(|head| head.ends(id, range).is_some())
    }

    /// The last entry that is in no active head.
    fn frozen_through(&self) -> Sequence {
        self.frozen.last().map_or(self.shelf.version.flushed, |frozen| frozen.last)
    }

    /// Shows a new shelf, on which the frozen heads up to its `flushed` lie.
    pub(super) fn publish(&mut self, shelf: Arc<Shelf>) {
        for frozen in self.frozen.extract_if(.., |frozen| frozen.last <= shelf.version.flushed) {
            self.unflushed_from = frozen.epoch;
        }
        self.shelf = shelf;
        let list = self.deletions.list();
        self.deletions = Deletions::new(list.into_iter().filter(|deletion| self.is_needed(deletion)));
    }

    /// Whether something is stored that a deletion has to hide.
    fn is_needed(&self, deletion: &Deletion) -> bool {
        let in_frozen = self.frozen.iter().any(|frozen| frozen.last < deletion.sequence);
        in_frozen || is_needed_by(&self.shelf.version.segments, deletion)
    }

    /// Memory of recent points, in bytes.
    pub(super) fn head_bytes(&self) -> usize {
        self.active.bytes() + self.frozen.iter().map(|frozen| frozen.head.bytes()).sum::<usize>()
    }
}

/// Whether a segment may hold points that a deletion has to hide.
pub(super) fn is_needed_by(segments: &[crate::model::segment::SegmentMeta], deletion: &Deletion) -> bool {
    segments.iter().any(|meta| {
        meta.holds_points() && meta.erased < deletion.sequence && meta.may_hold(deletion.series, deletion.range)
    })
}
