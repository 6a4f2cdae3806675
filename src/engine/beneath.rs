//! What lies beneath recent points: whether anything is stored at their times, and what.

use crate::engine::cursor::{Cursor, Filter, Source};
use crate::engine::shelf::Shelf;
use crate::model::durability::Sequence;
use crate::model::packed::PackedPoint;
use crate::model::series::SeriesId;
use crate::model::time::{TimeRange, Timestamp};

/// The last writes of a series at times that are asked for in ascending order, dead ones too.
pub(super) struct Beneath {
    cursor: Cursor,
    /// The last that was taken, with the last deletion that was carried out where it is.
    taken: Option<(PackedPoint, Sequence)>,
    /// A segment cannot be read, so anything may be stored: to take it for empty could bring back what is replaced.
    is_unread: bool,
}

/// What lies at one time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Under {
    Nothing,
    /// This point; deletions up to that one were carried out where it is.
    Point(PackedPoint, Sequence),
    /// That cannot be read.
    Unknown,
}

impl Beneath {
    /// Nothing at all.
    pub(super) fn nothing() -> Self {
        Self { cursor: Cursor::new(Vec::new()), taken: None, is_unread: false }
    }

    /// Something that cannot be read.
    pub(super) fn unknown() -> Self {
        Self { is_unread: true, ..Self::nothing() }
    }

    /// What passes a filter: of these recent points, the newest first, and of segments.
    pub(super) fn of(shelf: &Shelf, id: SeriesId, filter: &Filter, recent: Vec<Source>) -> Self {
        let mut sources = recent;
        let (first, last) = filter.times;
        let range = TimeRange::new(Timestamp::from_millis(first), Timestamp::from_millis(last.saturating_add(1)));
        for slot in shelf.points_of(id, range) {
            match Source::of(slot, id, filter.clone()) {
                Ok(source) => sources.extend(source),
                Err(_) => return Self::unknown(),
            }
        }
        Self { cursor: Cursor::new(sources), ..Self::nothing() }
    }

    /// All of it, in order of time; none if not all of it can be read.
    pub(super) fn into_cursor(self) -> Option<Cursor> {
        (!self.is_unread).then_some(self.cursor)
    }

    /// Whether there is nothing at all.
    pub(super) fn is_nothing(&self) -> bool {
        self.cursor.is_empty() && !self.is_unread
    }

    /// Whether something could not be read.
    pub(super) fn is_unread(&self) -> bool {
        self.is_unread
    }

    /// What lies at a time.
    pub(super) fn at(&mut self, time: i64) -> Under {
        while !self.is_unread && self.taken.is_none_or(|(taken, _)| taken.time < time) {
            match self.cursor.next() {
                Some(Ok((point, source))) => self.taken = Some((point, self.cursor.erased(source))),
                Some(Err(_)) => self.is_unread = true,
                None => return Under::Nothing,
            }
        }
        match self.taken {
            _ if self.is_unread => Under::Unknown,
            Some((point, erased)) if point.time == time => Under::Point(point, erased),
            _ => Under::Nothing,
        }
    }
}
