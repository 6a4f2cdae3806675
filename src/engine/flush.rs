//! Flushing: what is in a frozen head becomes segments, one per partition and expiry class, made true by one commit of
//! the manifest. The log goes only after it.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::beneath::{Beneath, Under};
use crate::engine::cursor::Filter;
use crate::engine::output::{Facts, Output};
use crate::engine::queue::Work;
use crate::engine::settings::Maintenance;
use crate::engine::shelf::Shelf;
use crate::engine::view::Frozen;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::{Edit, Flushed};
use crate::model::limits::{FROZEN_HEADS_MAX, HEAD_UNITS_MAX};
use crate::model::packed::PackedPoint;
use crate::model::segment::{Deletion, ExpiryClass, Partition, Role};
use crate::model::series::{SeriesId, SeriesKey};
use crate::model::time::{TimeRange, Timestamp};

/// Files that one flush writes at the same time.
const OUTPUTS_MAX: usize = 32;
/// Points of a series that are copied out of a head at a time.
const POINTS_AT_A_TIME: usize = 4_096;
/// A head is set aside when it takes this part of its memory, or its log this part of the log's bound, if it is not ripe
/// before: the active one, two frozen ones and what waits in the queue fit together.
const HEAD_PART: usize = 4;

/// What a flush works from.
pub(super) struct Flush<'a> {
    pub(super) engine: &'a Engine,
    pub(super) frozen: &'a Frozen,
    pub(super) shelf: &'a Shelf,
    pub(super) keys: HashMap<SeriesId, SeriesKey>,
    /// Deletions that are not carried out everywhere, by series.
    pub(super) deletions: HashMap<SeriesId, Arc<[Deletion]>>,
    /// Series of which a segment could not be read: it is not looked into again, so that every pass over their points
    /// comes to the same end.
    unknown: RefCell<HashSet<(Partition, SeriesId)>>,
    /// What has expired by now is not written.
    pub(super) now: Timestamp,
}

impl Engine {
    /// Everything acknowledged so far leaves the head for segments.
    pub(crate) fn flush(&self) -> Result<()> {
        self.check_open()?;
        let asked = self.view.read().visible;
        while self.view.read().shelf.version.flushed < asked {
            self.freeze()?;
            self.flush_frozen()?;
        }
        Ok(())
    }

    /// Sets the active head aside when it has grown to its part, and sees to it that it is flushed.
    pub(super) fn freeze_if_full(&self) {
        if !self.is_head_full() {
            return;
        }
        let frozen = self.freeze();
        let flushed = match self.settings.maintenance {
            Maintenance::Background => {
                self.wake_flusher();
                Ok(())
            }
            Maintenance::Manual => self.flush_frozen(),
        };
        // The batch is acknowledged all the same: it is in the log. Whoever finds no room is told why.
        if let Err(error) = frozen.and(flushed) {
            tracing::warn!(%error, "recent points could not be flushed; it is tried again");
        }
    }

    /// Flushes what is set aside, and a head that has waited for half of the time in which dead bytes have to go.
    pub(super) fn flush_due(&self) -> Result<()> {
        let since = self.view.read().active_since;
        let is_old =
            since.is_some_and(|since| self.guard.monotonic().saturating_sub(since) >= self.settings.reclaim_within / 2);
        if is_old || self.is_head_full() {
            self.freeze()?;
        }
        self.flush_frozen()
    }

    pub(super) fn wake_flusher(&self) {
        self.bell.ring();
    }

    fn is_head_full(&self) -> bool {
        let (settings, gauges) = (&self.settings, &self.gauges);
        let bytes = gauges.active_bytes();
        bytes >= settings.head_bytes_max / HEAD_PART
            || gauges.is_active_ripe()
            || gauges.active_log() >= settings.log_bytes_max / HEAD_PART as u64
            || gauges.active_units() >= HEAD_UNITS_MAX
    }

    /// Sets the active head aside, unless as many as may be wait already.
    pub(super) fn freeze(&self) -> Result<()> {
        let mut writer = self.writer.lock();
        if writer.is_freezing {
            // Somebody else's turn does it.
            self.turn.wait(&mut writer);
            return Ok(());
        }
        if self.view.read().frozen.len() >= FROZEN_HEADS_MAX {
            return Ok(());
        }
        let ticket = writer.enqueue_turn(Work::Freeze)?;
        let frozen = self.take_turns(writer, ticket);
        frozen.map(|_| ()).inspect_err(|error| self.troubles.note_flush(Some(error)))
    }

    /// Flushes what has been set aside, oldest first.
    pub(super) fn flush_frozen(&self) -> Result<()> {
        let _turn = self.flushing.lock();
        self.check_open()?;
        loop {
            let oldest = self.view.read().frozen.first().cloned();
            let Some(frozen) = oldest else {
                self.troubles.note_flush(None);
                self.trim_log();
                return Ok(());
            };
            let flushed = self.flush_one(&frozen);
            self.troubles.note_flush(flushed.as_ref().err());
            flushed?;
        }
    }

    /// Flushes everything acknowledged so far, and gives the segments of that moment: what was acknowledged up to some
    /// batch, and nothing that came after it.
    pub(super) fn cut(&self) -> Result<Arc<Shelf>> {
        // Only who has the turn moves what is flushed, from one frozen head's last batch to the next one's.
        let _turn = self.flushing.lock();
        self.check_open()?;
        let asked = self.view.read().visible;
        loop {
            let (shelf, oldest) = {
                let view = self.view.read();
                (view.shelf.clone(), view.frozen.first().cloned())
            };
            if shelf.version.flushed >= asked {
                return Ok(shelf);
            }
            match oldest {
                None => self.freeze()?,
                Some(frozen) => {
                    let flushed = self.flush_one(&frozen);
                    self.troubles.note_flush(flushed.as_ref().err());
                    flushed?;
                }
            }
        }
    }

    /// Flushes one head; whether that became true.
    fn flush_one(&self, frozen: &Frozen) -> Result<bool> {
        let view = self.view.read();
        let shelf = view.shelf.clone();
        let series = frozen.head.series_sorted();
        let keys = series.iter().filter_map(|id| Some((*id, view.catalog.key(*id)?.clone()))).collect();
        let deletions =
            series.iter().map(|id| (*id, view.deletions.of(*id))).filter(|(_, of)| !of.is_empty()).collect();
        drop(view);
        let confirmed = self.guard.confirmed();
        let now = self.settled(confirmed, frozen.last).now;
        let flush = Flush { engine: self, frozen, shelf: &shelf, keys, deletions, unknown: RefCell::default(), now };
        let mut output = self.output();
        flush.write(&series, &mut output)?;
        let add = output.finish()?;
        let bytes = add.iter().map(|meta| meta.bytes).sum();
        let points: u64 = add.iter().filter(|meta| meta.holds_points()).map(|meta| meta.points).sum();
        let flushed = Flushed { sequence: frozen.last, log_floor: frozen.log_floor };
        if !self.commit_edit(Edit { add, flushed: Some(flushed), ..Edit::default() }, confirmed)? {
            return Ok(false);
        }
        self.counters.note_flush(bytes);
        if points < frozen.head.len() as u64 || self.counters.take_is_waiting() {
            // A series may have had nothing but points that were dead by now, or only the log to name it.
            self.counters.note_dropped();
        }
        self.trim_log();
        // Not between a writer's look at the bounds and its waiting.
        drop(self.writer.lock());
        self.room.notify_all();
        Ok(true)
    }

    /// Removes log files that nothing needs. One that cannot be removed is tried again by the next flush, also if that
    /// has nothing else to do, and by the next open.
    pub(super) fn trim_log(&self) {
        let floor = self.view.read().shelf.version.log_floor;
        let mut wal = self.commit.lock();
        if let Err(error) = wal.trim(floor) {
            tracing::warn!(%error, "old files of the log stay until the next flush");
        }
        self.gauges.set_log(wal.bytes());
    }
}

/// The classes whose points a pass over a partition writes: as many as files may be open at a time. `None` stands for
/// overrides.
#[derive(Default)]
struct Classes {
    taken: Vec<Option<ExpiryClass>>,
    /// Those that earlier passes have written.
    done: HashSet<Option<ExpiryClass>>,
    /// Whether there are others.
    are_left: bool,
    passes: usize,
}

impl Classes {
    /// Whether there is another pass to be made, which takes other classes.
    fn next_pass(&mut self) -> bool {
        self.passes += 1;
        self.done.extend(self.taken.drain(..));
        std::mem::take(&mut self.are_left) || self.passes == 1
    }

    /// Whether this pass writes the points of a class.
    fn takes(&mut self, class: Option<ExpiryClass>) -> bool {
        if self.taken.contains(&class) {
            return true;
        }
        let is_new = !self.done.contains(&class);
        let is_room = self.taken.len() < OUTPUTS_MAX;
        if is_new && is_room {
            self.taken.push(class);
        }
        self.are_left |= is_new && !is_room;
        is_new && is_room
    }
}

impl Flush<'_> {
    fn write(&self, series: &[SeriesId], output: &mut Output<'_>) -> Result<()> {
        for (partition, series) in self.partitions(series) {
            let mut classes = Classes::default();
            while classes.next_pass() {
                for &id in &series {
                    self.write_series(partition, id, &mut classes, output)?;
                }
                output.end_files()?;
            }
            self.write_windows(partition, &series, output)?;
        }
        Ok(())
    }

    fn days(&self) -> u16 {
        self.engine.format.partition_days
    }

    pub(super) fn range(&self, partition: Partition) -> TimeRange {
        let start = |partition: Partition| Timestamp::from_millis(partition.start(self.days()));
        TimeRange::new(start(partition), start(Partition(partition.0 + 1)))
    }

    /// The partitions that the head has points in, with their series.
    fn partitions(&self, series: &[SeriesId]) -> BTreeMap<Partition, Vec<SeriesId>> {
        let mut partitions: BTreeMap<Partition, Vec<SeriesId>> = BTreeMap::new();
        for &id in series {
            let mut rest = TimeRange::ALL;
            while let Some((first, _)) = self.frozen.head.ends(id, rest) {
                let partition = Partition::of(first, self.days());
                partitions.entry(partition).or_default().push(id);
                rest = TimeRange::new(self.range(partition).end(), TimeRange::ALL.end());
            }
        }
        partitions
    }

    fn class_of(&self, point: &PackedPoint) -> ExpiryClass {
        ExpiryClass::of(point, self.engine.settings.reclaim_millis())
    }

    fn is_dead(&self, point: &PackedPoint) -> bool {
        !point.is_visible_at(self.now)
    }

    /// Writes the points of one series in one partition that belong to some classes; `None` stands for overrides.
    fn write_series(
        &self,
        partition: Partition,
        id: SeriesId,
        classes: &mut Classes,
        output: &mut Output<'_>,
    ) -> Result<()> {
        let key = self.keys.get(&id).ok_or_else(|| Error::corrupt(format!("series {} has no name", id.0)))?;
        let facts = Facts { newest: self.frozen.last, erased: self.frozen.last };
        let units = self.frozen.head.units();
        let mut are_stored = self.are_stored(partition, id, classes.passes)?.into_iter();
        let (mut rest, mut points) = (self.range(partition), Vec::new());
        loop {
            self.frozen.head.copy_range(id, rest, POINTS_AT_A_TIME, &mut points);
            let Some(last) = points.last() else { return Ok(()) };
            rest = TimeRange::new(Timestamp::from_millis(last.time + 1), rest.end());
            for point in points.drain(..) {
                let is_stored = are_stored.next().unwrap_or(false);
                let (class, point) = match (is_stored, self.is_dead(&point)) {
                    (false, true) => continue,
                    (false, false) => (Some(self.class_of(&point)), point),
                    (true, false) => (None, point),
                    (true, true) => (None, PackedPoint::shadow(point.time)),
                };
                if classes.takes(class) {
                    if class.is_none() {
                        self.engine.counters.note_replaced(1);
                    }
                    let role = class.map_or(Role::Override, Role::Plain);
                    output.push((partition, role), facts, (id, key), point, (0, units))?;
                }
            }
        }
    }

    /// For each point of a series, whether segments hold anything at its time; nothing if they hold none of it.
    fn are_stored(&self, partition: Partition, id: SeriesId, pass: usize) -> Result<Vec<bool>> {
        let mut stored = self.beneath(partition, id);
        if stored.is_nothing() {
            return Ok(Vec::new());
        }
        let points = self.frozen.head.range(id, self.range(partition));
        let mut are_stored: Vec<bool> = points.map(|point| stored.at(point.time) != Under::Nothing).collect();
        if stored.is_unread() {
            let is_new = self.unknown.borrow_mut().insert((partition, id));
            if is_new && pass > 1 {
                // An earlier pass has sorted these points by what it could read; the flush is tried again.
                let why = format!("series {} could be read, and now it cannot", id.0);
                return Err(Error::new(ErrorKind::Io, why));
            }
            are_stored.fill(true);
        }
        Ok(are_stored)
    }

    /// What segments hold of a series where this head has points, or had some.
    pub(super) fn beneath(&self, partition: Partition, id: SeriesId) -> Beneath {
        if self.unknown.borrow().contains(&(partition, id)) {
            return Beneath::unknown();
        }
        let Some(times) = self.frozen.head.ends(id, self.range(partition)) else { return Beneath::nothing() };
        // Deleted points too: where anything is stored, what is new has to hide it.
        let filter = Filter::new(times, Arc::default());
        Beneath::of(self.shelf, id, &filter, Vec::new())
    }
}
