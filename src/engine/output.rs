//! What a flush or a compaction writes: segments that are not true yet. They become true by the commit at the end, or
//! they are removed.

use std::collections::BTreeMap;

use crate::engine::Engine;
use crate::engine::units::UnitMap;
use crate::env::layout;
use crate::error::{Error, Result};
use crate::model::durability::Sequence;
use crate::model::packed::{PackedPoint, Units};
use crate::model::segment::{Partition, Role, SegmentMeta};
use crate::model::series::{SeriesId, SeriesKey};
use crate::model::summary::Record;
use crate::segment::{SegmentWriter, SummaryWriter};

/// Segments under way.
pub(super) struct Output<'a> {
    engine: &'a Engine,
    pub(super) units: UnitMap,
    open: Vec<File<'a>>,
    /// Where the file of a partition and role is among the open ones.
    places: BTreeMap<(Partition, Role), usize>,
    /// Where the last point went: its neighbours mostly go there too.
    last: usize,
    /// The summaries under way: only ever those of one partition.
    summaries: Option<Summaries<'a>>,
    done: Vec<SegmentMeta>,
}

struct File<'a> {
    place: (Partition, Role),
    writer: SegmentWriter<'a>,
    series: Option<SeriesId>,
    /// Points of the series that the writer has not been given yet.
    waiting: Vec<PackedPoint>,
    facts: Facts,
}

/// Points that the writer of a file is given at a time.
const WAITING_MAX: usize = 1_024;

impl File<'_> {
    fn write(&mut self) -> Result<()> {
        self.writer.push(&self.waiting)?;
        self.waiting.clear();
        Ok(())
    }
}

struct Summaries<'a> {
    writer: SummaryWriter<'a>,
    partition: Partition,
    window: i64,
    series: Option<SeriesId>,
    facts: Facts,
}

/// What a segment says of itself that its points do not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) newest: Sequence,
    pub(super) erased: Sequence,
}

impl Engine {
    pub(super) fn output(&self) -> Output<'_> {
        Output {
            engine: self,
            units: UnitMap::default(),
            open: Vec::new(),
            places: BTreeMap::new(),
            last: 0,
            summaries: None,
            done: Vec::new(),
        }
    }
}

impl Output<'_> {
    /// Adds a point to the segment of a partition and role. Series come in order of their numbers, and the points of
    /// one in order of time, for each file. `units` is the table that the point's unit refers to, and a number for it.
    pub(super) fn push(
        &mut self,
        place: (Partition, Role),
        facts: Facts,
        (series, key): (SeriesId, &SeriesKey),
        mut point: PackedPoint,
        (source, units): (u64, &Units),
    ) -> Result<()> {
        point.unit = self.units.adopt(source, point.unit, units);
        if self.open.get(self.last).is_none_or(|file| file.place != place) {
            self.last = self.file_of(place, facts)?;
        }
        let file = &mut self.open[self.last];
        if file.series != Some(series) {
            file.write()?;
            file.writer.begin_series(series, key)?;
            file.series = Some(series);
        }
        file.waiting.push(point);
        if file.waiting.len() >= WAITING_MAX { file.write() } else { Ok(()) }
    }

    /// Where the file of a partition and role is; it is made now if there is none.
    fn file_of(&mut self, place: (Partition, Role), facts: Facts) -> Result<usize> {
        if let Some(&at) = self.places.get(&place) {
            return Ok(at);
        }
        let engine = self.engine;
        let number = engine.ledger.lock().manifest.take_number();
        let folder = engine.dir.join(layout::SEGMENTS);
        let span = Partition(1).start(engine.format.partition_days);
        let writer = SegmentWriter::create(&*engine.disk, &folder, engine.format.lineage, number, span)?;
        self.open.push(File { place, writer, series: None, waiting: Vec::new(), facts });
        self.places.insert(place, self.open.len() - 1);
        Ok(self.open.len() - 1)
    }

    /// Adds a record to the summaries of a partition. Partitions are done one after the other, series come in order of
    /// their numbers, and the records of one in order of time. Its unit is a number of [`Self::units`].
    pub(super) fn push_record(
        &mut self,
        (partition, window): (Partition, i64),
        facts: Facts,
        (series, key): (SeriesId, &SeriesKey),
        record: Record,
    ) -> Result<()> {
        if self.summaries.as_ref().is_some_and(|open| open.partition != partition) {
            self.end_summaries()?;
        }
        let open = match &mut self.summaries {
            Some(open) => open,
            none => {
                let engine = self.engine;
                let number = engine.ledger.lock().manifest.take_number();
                let folder = engine.dir.join(layout::SEGMENTS);
                let writer = SummaryWriter::create(&*engine.disk, &folder, engine.format.lineage, number, window)?;
                none.insert(Summaries { writer, partition, window, series: None, facts })
            }
        };
        if open.series != Some(series) {
            open.writer.begin_series(series, key)?;
            open.series = Some(series);
        }
        open.writer.push(record)
    }

    fn end_summaries(&mut self) -> Result<()> {
        let Some(Summaries { writer, partition, window, facts, .. }) = self.summaries.take() else { return Ok(()) };
        let Facts { newest, erased } = facts;
        let facts = crate::segment::Facts { partition, role: Role::Summaries(window), newest, erased };
        self.done.extend(writer.finish(&self.units.units, facts)?);
        Ok(())
    }

    /// Completes the open files.
    pub(super) fn end_files(&mut self) -> Result<()> {
        self.end_summaries()?;
        self.places.clear();
        let mut open = std::mem::take(&mut self.open);
        open.sort_by_key(|file| file.place);
        for mut file in open {
            file.write()?;
            let File { place: (partition, role), writer, facts: Facts { newest, erased }, .. } = file;
            let facts = crate::segment::Facts { partition, role, newest, erased };
            self.done.extend(writer.finish(&self.units.units, facts)?);
        }
        Ok(())
    }

    /// Completes everything and makes the files' names durable. They are the caller's from now on.
    pub(super) fn finish(mut self) -> Result<Vec<SegmentMeta>> {
        self.end_files()?;
        if !self.done.is_empty() {
            let folder = self.engine.dir.join(layout::SEGMENTS);
            // IMPORTANT: the folder is synced before the manifest lists what is in it.
            let synced = self.engine.disk.sync_dir(&folder);
            synced.map_err(|error| Error::io("sync the folder segments", error))?;
        }
        Ok(std::mem::take(&mut self.done))
    }
}

impl Drop for Output<'_> {
    fn drop(&mut self) {
        self.engine.discard(&self.done);
    }
}

impl Engine {
    /// Removes files that never became true. What stays is removed at the next open.
    pub(super) fn discard(&self, segments: &[SegmentMeta]) {
        for meta in segments {
            let path = self.dir.join(layout::SEGMENTS).join(layout::segment_name(meta.number, meta.kind()));
            if let Err(error) = self.disk.remove(&path) {
                tracing::debug!(file = %path.display(), %error, "a segment that is not true stays until the next open");
            }
        }
    }
}
