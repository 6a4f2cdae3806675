//! The last points of many series of one segment, as far as its directory tells them.

use std::collections::hash_map::Entry;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::error::Result;
use crate::model::packed::PackedPoint;
use crate::model::series::SeriesId;
use crate::segment::chunk::Chunk;
use crate::segment::reader::Segment;

/// Knows the pages that it came by, for one question.
pub(crate) struct LastPoints<'a> {
    segment: &'a Segment,
    pages: FxHashMap<usize, Arc<[Chunk]>>,
}

impl<'a> LastPoints<'a> {
    pub(crate) fn new(segment: &'a Segment) -> Self {
        Self { segment, pages: FxHashMap::default() }
    }

    /// The time of the last point of a series, if it has any, and that point if the directory tells it.
    pub(crate) fn of(&mut self, series: SeriesId) -> Result<Option<(i64, Option<PackedPoint>)>> {
        let pages = &self.segment.frame.pages;
        let behind = pages.partition_point(|page| page.first <= (series, i64::MAX));
        let Some(number) = behind.checked_sub(1) else { return Ok(None) };
        let page = match self.pages.entry(number) {
            Entry::Occupied(page) => page.into_mut(),
            Entry::Vacant(place) => place.insert(self.segment.page(number)?),
        };
        let behind = page.partition_point(|chunk| chunk.series <= series);
        let last = behind.checked_sub(1).map(|position| &page[position]).filter(|chunk| chunk.series == series);
        Ok(last.map(|chunk| (chunk.last(), chunk.last_point())))
    }
}
