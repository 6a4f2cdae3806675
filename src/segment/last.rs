//! The last points of many series of one segment, as far as its directory tells them.

use std::sync::Arc;

use crate::error::Result;
use crate::model::packed::PackedPoint;
use crate::model::series::SeriesId;
use crate::segment::chunk::Chunk;
use crate::segment::reader::Segment;

/// Asked for one series after the other, in order of their numbers.
pub(crate) struct LastPoints<'a> {
    segment: &'a Segment,
    /// The page that was looked at last, with its number: the next series is mostly in it.
    page: Option<(usize, Arc<[Chunk]>)>,
}

impl<'a> LastPoints<'a> {
    pub(crate) fn new(segment: &'a Segment) -> Self {
        Self { segment, page: None }
    }

    /// The time of the last point of a series, if it has any, and that point if the directory tells it.
    pub(crate) fn of(&mut self, series: SeriesId) -> Result<Option<(i64, Option<PackedPoint>)>> {
        let pages = &self.segment.frame.pages;
        let behind = pages.partition_point(|page| page.first <= (series, i64::MAX));
        let Some(number) = behind.checked_sub(1) else { return Ok(None) };
        let page = match self.page.take() {
            Some((last, page)) if last == number => page,
            _ => self.segment.page(number)?,
        };
        let (_, page) = self.page.insert((number, page));
        let behind = page.partition_point(|chunk| chunk.series <= series);
        let last = behind.checked_sub(1).map(|position| &page[position]).filter(|chunk| chunk.series == series);
        Ok(last.map(|chunk| (chunk.last(), chunk.last_point())))
    }
}
