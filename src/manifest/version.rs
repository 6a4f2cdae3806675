//! What is true of a volume at one moment, and one change of it. Values only: applying an edit touches no file.

use crate::model::durability::Sequence;
use crate::model::limits::{EXPIRY_MILLIS_MAX, SEQUENCE_MAX, TIMESTAMP_MILLIS_MAX};
use crate::model::packed::{ALWAYS_DEAD, NEVER};
use crate::model::segment::{CatalogMark, DAY_MILLIS, Deletion, Role, SegmentMeta};
use crate::model::series::SeriesId;
use crate::model::time::Timestamp;

/// What is true of a volume.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Version {
    /// The segments, ascending by number.
    pub(crate) segments: Vec<SegmentMeta>,
    /// What is deleted and not yet carried out in all segments.
    pub(crate) deletions: Vec<Deletion>,
    /// Batches up to this one are in segments: the log is replayed from behind it.
    pub(crate) flushed: Sequence,
    /// Log files with a smaller number are not needed.
    pub(crate) log_floor: u64,
    /// The number that the next new segment gets; no segment has had it.
    pub(crate) next_segment: u64,
    /// The id that the next new series gets, as far as the log does not say more.
    pub(crate) next_series: SeriesId,
    /// The confirmed expiry horizon: up to here expired points may be destroyed.
    pub(crate) horizon: Timestamp,
    /// What the stored catalogue must hold; none if there is no catalogue to believe.
    pub(crate) catalog: Option<CatalogMark>,
    /// Number of commits.
    pub(crate) edits: u64,
}

/// One change of a version. What is not named stays.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Edit {
    /// New segments, in any order.
    pub(crate) add: Vec<SegmentMeta>,
    /// Numbers of the segments that leave.
    pub(crate) remove: Vec<u64>,
    pub(crate) flushed: Option<Flushed>,
    /// The id that the next new series gets; a lower one than before changes nothing.
    pub(crate) next_series: SeriesId,
    /// The whole new list of deletions.
    pub(crate) deletions: Option<Vec<Deletion>>,
    /// The confirmed horizon; an earlier one than before changes nothing.
    pub(crate) horizon: Option<Timestamp>,
    pub(crate) catalog: Option<StoredCatalog>,
}

/// What becomes of the stored catalogue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StoredCatalog {
    /// It holds this from now on.
    Holds(CatalogMark),
    /// It is not to be believed any more.
    Behind,
}

/// How far a flush has brought the log into segments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Flushed {
    pub(crate) sequence: Sequence,
    pub(crate) log_floor: u64,
}

impl Version {
    /// A volume in which nothing has been stored.
    pub(crate) fn new(horizon: Timestamp) -> Self {
        Self {
            segments: Vec::new(),
            deletions: Vec::new(),
            flushed: Sequence(0),
            log_floor: 0,
            next_segment: 1,
            next_series: SeriesId(0),
            horizon,
            catalog: None,
            edits: 0,
        }
    }

    /// The version that an edit makes of this one.
    pub(crate) fn apply(&self, edit: &Edit) -> Self {
        let Flushed { sequence, log_floor } =
            edit.flushed.unwrap_or(Flushed { sequence: self.flushed, log_floor: self.log_floor });
        assert!(sequence >= self.flushed && log_floor >= self.log_floor, "what is flushed stays flushed");
        let behind_new = edit.add.iter().map(|meta| meta.number + 1).max().unwrap_or(0);
        let version = Self {
            segments: self.replaced(&edit.remove, &edit.add),
            deletions: edit.deletions.clone().unwrap_or_else(|| self.deletions.clone()),
            flushed: sequence,
            log_floor,
            next_segment: self.next_segment.max(behind_new),
            next_series: self.next_series.max(edit.next_series),
            horizon: edit.horizon.map_or(self.horizon, |horizon| horizon.max(self.horizon)),
            catalog: match edit.catalog {
                None => self.catalog,
                Some(StoredCatalog::Holds(mark)) => Some(mark),
                Some(StoredCatalog::Behind) => None,
            },
            edits: self.edits + 1,
        };
        // What is written must be believed when it is read back.
        assert_eq!(version.check(), Ok(()), "an edit makes a version that makes sense");
        version
    }

    /// The list without these numbers and with those segments.
    fn replaced(&self, remove: &[u64], add: &[SegmentMeta]) -> Vec<SegmentMeta> {
        let mut leaving = remove.to_vec();
        leaving.sort_unstable();
        let stays = |meta: &&SegmentMeta| leaving.binary_search(&meta.number).is_err();
        let mut segments: Vec<SegmentMeta> = self.segments.iter().filter(stays).copied().collect();
        assert_eq!(
            segments.len() + leaving.len(),
            self.segments.len(),
            "a segment that leaves is there, and leaves once"
        );
        segments.extend_from_slice(add);
        segments.sort_unstable_by_key(|meta| meta.number);
        segments
    }

    /// Whether all of it can be true together; says what cannot.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let segments = &self.segments;
        if !segments.is_sorted_by(|one, next| one.number < next.number) {
            return Err("segments are not in order");
        }
        if segments.last().is_some_and(|meta| meta.number >= self.next_segment) {
            return Err("a segment has a number that was not given yet");
        }
        if self.deletions.iter().any(|each| each.sequence > self.flushed || each.series >= self.next_series) {
            return Err("a deletion is of what is not flushed");
        }
        let deleted = self.deletions.iter().map(|each| each.sequence.0).max().unwrap_or(0);
        let counted = [self.flushed.0, self.log_floor, self.next_segment, self.edits, deleted];
        if counted.iter().any(|count| *count > SEQUENCE_MAX) {
            return Err("a number is out of range");
        }
        let mut windows = std::collections::BTreeMap::new();
        for meta in segments {
            if let Role::Summaries(window) = meta.role
                && *windows.entry(meta.partition).or_insert(window) != window
            {
                return Err("a partition has windows of two lengths");
            }
        }
        segments.iter().try_for_each(|meta| self.check_segment(meta))
    }

    fn check_segment(&self, meta: &SegmentMeta) -> Result<(), &'static str> {
        // The windows of the first and the last times reach beyond them.
        let beyond = if meta.holds_points() { 0 } else { DAY_MILLIS };
        let time_max = TIMESTAMP_MILLIS_MAX + beyond;
        let time = |millis| (-time_max..=time_max).contains(&millis);
        let finite = -EXPIRY_MILLIS_MAX..=EXPIRY_MILLIS_MAX;
        let expiry = |millis| finite.contains(&millis) || [NEVER, ALWAYS_DEAD].contains(&millis);
        let (times, expiries, series) = (meta.times, meta.expiries, meta.series);
        if times.0 > times.1 || !time(times.0) || !time(times.1) || !time(meta.partition.0) {
            return Err("the times of a segment make no sense");
        }
        if expiries.0 > expiries.1 || !expiry(expiries.0) || !expiry(expiries.1) {
            return Err("the expiries of a segment make no sense");
        }
        if matches!(meta.role, Role::Plain(class) if class.width < 0 || (class.width == 0 && class.span != 0)) {
            return Err("the expiry class of a segment makes no sense");
        }
        if let Role::Summaries(resolution) = meta.role {
            if resolution <= 0 || DAY_MILLIS % resolution != 0 {
                return Err("the resolution of a segment makes no sense");
            }
            let starts = [times.0, times.1 + 1];
            if starts.iter().any(|start| start % resolution != 0) || expiries != (NEVER, NEVER) {
                return Err("the windows of a segment make no sense");
            }
        }
        if series.0 > series.1 || series.1 >= self.next_series {
            return Err("a segment holds series that were not defined yet");
        }
        if meta.newest > self.flushed || meta.erased.0 > SEQUENCE_MAX {
            return Err("a segment holds batches that are not flushed");
        }
        if meta.points == 0 || meta.bytes == 0 {
            return Err("a segment is empty");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::segment::Partition;

    #[test]
    fn windows_of_summaries_are_parts_of_a_day_and_whole() {
        // Method: one sound segment, also at the ends of time, then one thing wrong at a time.
        let sound = SegmentMeta {
            number: 1,
            partition: Partition(0),
            role: Role::Summaries(300_000),
            newest: Sequence(1),
            erased: Sequence(1),
            points: 3,
            bytes: 90,
            times: (-300_000, 899_999),
            expiries: (NEVER, NEVER),
            series: (SeriesId(0), SeriesId(0)),
        };
        let empty = Version { flushed: Sequence(1), next_series: SeriesId(1), ..Version::new(Timestamp::EPOCH) };
        let check = |meta: SegmentMeta| Version { segments: vec![meta], next_segment: 2, ..empty.clone() }.check();
        assert_eq!(check(sound), Ok(()));
        let ends = [-TIMESTAMP_MILLIS_MAX, TIMESTAMP_MILLIS_MAX].map(|time| time.div_euclid(300_000) * 300_000);
        assert_eq!(check(SegmentMeta { times: (ends[0], ends[1] + 299_999), ..sound }), Ok(()));
        for resolution in [0, -300_000, 7, 300_001, 2 * DAY_MILLIS, i64::MIN] {
            let told = check(SegmentMeta { role: Role::Summaries(resolution), ..sound });
            assert_eq!(told, Err("the resolution of a segment makes no sense"), "{resolution}");
        }
        let no_windows = Err("the windows of a segment make no sense");
        for times in [(-299_999, 899_999), (-300_000, 900_000), (-300_000, 899_998), (0, 0)] {
            assert_eq!(check(SegmentMeta { times, ..sound }), no_windows, "{times:?}");
        }
        assert_eq!(check(SegmentMeta { expiries: (0, NEVER), ..sound }), no_windows);
        assert!(check(SegmentMeta { times: (-2 * TIMESTAMP_MILLIS_MAX, 899_999), ..sound }).is_err());
    }
}
