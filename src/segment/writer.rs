//! Writing a segment of points: ordered points in, a whole file out. Memory is bounded by the points of two chunks, a
//! buffer, and what the frame takes.

use std::path::Path;

use crate::codec::points::{self, Column, Columns, Shape};
use crate::codec::stats::Stats;
use crate::env::disk::Disk;
use crate::error::Result;
use crate::model::limits::CHUNK_POINTS_MAX;
use crate::model::packed::{PackedPoint, Units};
use crate::model::segment::{SegmentKind, SegmentMeta};
use crate::model::series::{SeriesId, SeriesKey};
use crate::segment::chunk::Chunk;
use crate::segment::cut;
use crate::segment::frame::{Facts, FrameWriter};
use crate::segment::place::{Place, Short};

/// Points that are gathered before chunks are cut off: enough to see where the second one ends.
const GATHERED_POINTS: usize = 2 * CHUNK_POINTS_MAX;

/// Writes one segment of points. Dropped before [`SegmentWriter::finish`], it takes its file with it.
///
/// After an error it is good for nothing but dropping.
pub(crate) struct SegmentWriter<'d> {
    frame: FrameWriter<'d, Chunk>,
    /// Span of a partition, in ms.
    span: i64,
    /// Points of the series that are in no chunk yet.
    gathered: Vec<PackedPoint>,
    /// Its time of the last point, in ms.
    last_time: Option<i64>,
    /// Its window, once there were points to tell it from.
    window: Option<i64>,
    /// Reused for every chunk.
    columns: Columns,
    broken: bool,
}

impl<'d> SegmentWriter<'d> {
    /// Starts segment `number` in the folder of segments, under a temporary name. `span` is that of a partition, in ms.
    pub(crate) fn create(disk: &'d dyn Disk, folder: &Path, lineage: [u8; 16], number: u64, span: i64) -> Result<Self> {
        Ok(Self {
            frame: FrameWriter::create(disk, folder, lineage, (number, SegmentKind::Points), 1)?,
            span,
            gathered: Vec::new(),
            last_time: None,
            window: None,
            columns: Columns::default(),
            broken: false,
        })
    }

    /// The series that the next points are of; ids ascend. One without points leaves no trace.
    pub(crate) fn begin_series(&mut self, id: SeriesId, key: &SeriesKey) -> Result<()> {
        self.cut(0)?;
        self.frame.begin_series(id, key);
        (self.last_time, self.window) = (None, None);
        Ok(())
    }

    /// Adds points; times ascend. Their units are numbers of the `units` that [`SegmentWriter::finish`] will be given.
    pub(crate) fn push(&mut self, mut points: &[PackedPoint]) -> Result<()> {
        while !points.is_empty() {
            let room = GATHERED_POINTS - self.gathered.len();
            let (some, rest) = points.split_at(points.len().min(room));
            let (first, last) = (some[0].time, some[some.len() - 1].time);
            let is_behind = self.last_time.is_none_or(|before| before < first);
            assert!(is_behind && some.is_sorted_by(|a, b| a.time < b.time), "points come in order of their times");
            self.last_time = Some(last);
            let frame = &mut self.frame;
            self.gathered.extend(some.iter().map(|point| PackedPoint { unit: frame.own_unit(point.unit), ..*point }));
            if self.gathered.len() >= GATHERED_POINTS {
                self.cut(CHUNK_POINTS_MAX)?;
            }
            points = rest;
        }
        Ok(())
    }

    /// Completes the file and gives it its name; both are durable once the folder is synced, which is left to the
    /// caller. `None`, and no file, if there was no point.
    pub(crate) fn finish(mut self, units: &Units, facts: Facts) -> Result<Option<SegmentMeta>> {
        self.cut(0)?;
        self.frame.finish(units, facts)
    }

    /// Cuts off chunks until at most `left` points are gathered.
    fn cut(&mut self, left: usize) -> Result<()> {
        assert!(!self.broken, "nothing is written after an error");
        let gathered = std::mem::take(&mut self.gathered);
        let mut rest = &gathered[..];
        while rest.len() > left {
            let window = *self.window.get_or_insert_with(|| cut::window_of(rest, self.span));
            let (chunk, behind) = rest.split_at(cut::chunk_len(rest, window));
            self.put_chunk(chunk).inspect_err(|_| self.broken = true)?;
            rest = behind;
        }
        let len = rest.len();
        let mut gathered = gathered;
        gathered.drain(..gathered.len() - len);
        self.gathered = gathered;
        Ok(())
    }

    fn put_chunk(&mut self, chunk: &[PackedPoint]) -> Result<()> {
        let series = self.frame.series();
        let shape = Shape::of(chunk);
        assert_eq!(shape.check(), Ok(()), "only storable points are pushed");
        points::encode(&shape, chunk, &mut self.columns);
        let next_block = self.frame.next_block();
        let mut places = [Place::Nowhere; Column::ALL.len()];
        for column in Column::ALL {
            let bytes = &self.columns[column as usize];
            if shape.len_of(column) == 0 {
                continue;
            }
            // Times are shared between series, so they are never in the entry.
            places[column as usize] = match Short::new(bytes) {
                Some(short) if column != Column::Times => Place::Here(short),
                _ => self.frame.put_block(bytes)?,
            };
        }
        self.frame.put_chunk(&Chunk { series, stats: Stats::of(chunk), shape, places }, next_block);
        Ok(())
    }
}
