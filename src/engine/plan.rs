//! What the compactor does next: a pure function of what is stored and what time it is. Nothing here touches a file.

use std::collections::{BTreeMap, HashSet};

use crate::manifest::Version;
use crate::model::segment::{ExpiryClass, Partition, Role, SegmentMeta};

/// Segments are merged when this many of similar size are there.
const MERGE_FAN_IN: usize = 4;
/// In a partition that is long over the next merge is the last one, so two are worth it.
const MERGE_FAN_IN_COLD: usize = 2;
/// Most segments that one job reads.
const MERGE_INPUTS_MAX: usize = 64;
/// Overrides are folded into what they override when they take this part of it.
const FOLD_PART: u64 = 8;
/// Most bytes that are merged into one segment, which bounds what a job keeps in memory of its directory.
const MERGED_BYTES_MAX: u64 = 1 << 30;
/// What a job leaves free on the disk, in bytes, so that log and deletion go on.
const FREE_BYTES_KEPT: u64 = 16 << 20;
const DAY_MILLIS: i64 = 86_400_000;

/// A piece of work. All inputs lie in one partition, except those of a drop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Job {
    /// Every point in these is dead and hides nothing: unlink them.
    Drop(Vec<u64>),
    /// Write these anew as one segment of the same role.
    Merge(Vec<u64>, Reason),
    /// Write overrides and what they override anew as plain segments.
    Fold(Vec<u64>, Reason),
}

/// Why something is written anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reason {
    /// There are too many segments of their size.
    Many,
    /// To carry out deletions.
    Deletion,
    /// To free bytes that expiry has left.
    Expiry,
}

/// What a plan depends on beside the stored segments.
#[derive(Clone, Debug)]
pub(super) struct Circumstances<'a> {
    /// The confirmed time, in ms.
    pub(super) now: i64,
    /// Setting `reclaim_within`, in ms.
    pub(super) reclaim_within: i64,
    /// Days of a partition.
    pub(super) partition_days: u16,
    /// Free bytes of the disk.
    pub(super) free_bytes: u64,
    /// Segments that cannot be read: they are dropped when they are dead, and left alone until then.
    pub(super) damaged: &'a HashSet<u64>,
    /// Whether everything that may be merged is merged.
    pub(super) is_eager: bool,
}

/// The next job, the most urgent first; `None` when there is nothing to do.
pub(super) fn plan(version: &Version, about: &Circumstances<'_>) -> Option<Job> {
    let dead = droppable(version, about.now);
    if !dead.is_empty() {
        return Some(Job::Drop(dead));
    }
    let mut partitions: BTreeMap<Partition, Vec<&SegmentMeta>> = BTreeMap::new();
    for meta in version.segments.iter().filter(|meta| !about.damaged.contains(&meta.number)) {
        partitions.entry(meta.partition).or_default().push(meta);
    }
    let erase = partitions.values().flatten().find_map(|meta| erase(version, meta, about));
    erase.or_else(|| {
        partitions.iter().find_map(|(partition, segments)| {
            let is_cold =
                Partition(partition.0 + 1).start(about.partition_days).saturating_add(DAY_MILLIS) <= about.now;
            fold(version, segments, is_cold, about).or_else(|| merge(segments, is_cold, about))
        })
    })
}

/// Whether a job of these inputs is one that the disk can finish, and that keeps no more in memory than it may.
fn fits(inputs: &[&SegmentMeta], about: &Circumstances<'_>) -> bool {
    let bytes = inputs.iter().map(|meta| meta.bytes).sum::<u64>();
    bytes <= MERGED_BYTES_MAX && bytes + FREE_BYTES_KEPT <= about.free_bytes
}

/// Dead segments that hide nothing.
fn droppable(version: &Version, now: i64) -> Vec<u64> {
    let hides_something = |meta: &SegmentMeta| {
        meta.role == Role::Override
            && version.segments.iter().any(|other| {
                let is_beneath = other.role != Role::Override || other.newest < meta.newest;
                other.number != meta.number && is_beneath && other.overlaps(meta)
            })
    };
    let dead = version.segments.iter().filter(|meta| meta.is_dead_at(now) && !hides_something(meta));
    dead.map(|meta| meta.number).collect()
}

/// Carries out deletions in one segment, once they are due.
fn erase(version: &Version, meta: &SegmentMeta, about: &Circumstances<'_>) -> Option<Job> {
    let is_due = version.deletions.iter().any(|deletion| {
        let is_old = deletion.at.as_millis().saturating_add(about.reclaim_within / 2) <= about.now;
        (is_old || about.is_eager) && meta.erased < deletion.sequence && meta.may_hold(deletion.series, deletion.range)
    });
    // One that is there already may be of any size.
    let fits = meta.bytes.saturating_add(FREE_BYTES_KEPT) <= about.free_bytes;
    (is_due && fits).then(|| Job::Merge(vec![meta.number], Reason::Deletion))
}

/// Folds overrides into what they override, when that is cheap against what they cost.
fn fold(version: &Version, segments: &[&SegmentMeta], is_cold: bool, about: &Circumstances<'_>) -> Option<Job> {
    let overrides: Vec<&SegmentMeta> = segments.iter().copied().filter(|meta| meta.role == Role::Override).collect();
    if overrides.is_empty() {
        return None;
    }
    let overlaps = |meta: &SegmentMeta| overrides.iter().any(|other| other.overlaps(meta));
    // What cannot be read cannot be folded, and what lies above it must stay. An override that cannot be read must not
    // come to lie above what was written later, as it would above plain segments or merged overrides.
    if version.segments.iter().any(|meta| about.damaged.contains(&meta.number) && overlaps(meta)) {
        return None;
    }
    let is_beneath = |meta: &&SegmentMeta| meta.role != Role::Override && overlaps(meta);
    let beneath: Vec<&SegmentMeta> = segments.iter().copied().filter(is_beneath).collect();
    let bytes = |of: &[&SegmentMeta]| of.iter().map(|meta| meta.bytes).sum::<u64>();
    let numbers = |of: &[&SegmentMeta]| of.iter().map(|meta| meta.number).collect();
    let all: Vec<&SegmentMeta> = overrides.iter().chain(&beneath).copied().collect();
    if beneath.is_empty() && fits(&all, about) {
        return Some(Job::Fold(numbers(&all), Reason::Expiry));
    }
    // A partition that is long over is tidied up: what has expired in its overrides leaves with that.
    let is_worth_it = about.is_eager || is_cold || bytes(&overrides) * FOLD_PART >= bytes(&beneath);
    if is_worth_it && fits(&all, about) {
        return Some(Job::Fold(numbers(&all), Reason::Many));
    }
    // Among themselves they can be merged at any time, dead ones kept as shadows.
    let is_many = similar(&overrides, MERGE_FAN_IN).len() >= MERGE_FAN_IN;
    (is_many && fits(&overrides, about)).then(|| Job::Merge(numbers(&overrides), Reason::Many))
}

/// Merges plain segments of one class.
fn merge(segments: &[&SegmentMeta], is_cold: bool, about: &Circumstances<'_>) -> Option<Job> {
    let mut classes: BTreeMap<ExpiryClass, Vec<&SegmentMeta>> = BTreeMap::new();
    for meta in segments {
        // A file that is about to die is not written anew.
        let is_dying = meta.is_dead_at(about.now.saturating_add(about.reclaim_within / 2));
        if let Role::Plain(class) = meta.role
            && !is_dying
        {
            classes.entry(class).or_default().push(meta);
        }
    }
    let fan_in = if is_cold || about.is_eager { MERGE_FAN_IN_COLD } else { MERGE_FAN_IN };
    classes.values().find_map(|class| {
        let mut inputs = if about.is_eager { smallest(class) } else { similar(class, fan_in) };
        inputs.truncate(MERGE_INPUTS_MAX);
        let numbers = || inputs.iter().map(|meta| meta.number).collect();
        (inputs.len() >= fan_in && fits(&inputs, about)).then(|| Job::Merge(numbers(), Reason::Many))
    })
}

/// The smallest segments, as many as may be merged into one.
fn smallest<'a>(segments: &[&'a SegmentMeta]) -> Vec<&'a SegmentMeta> {
    let mut by_size = segments.to_vec();
    by_size.sort_by_key(|meta| (meta.bytes, meta.number));
    let mut bytes = 0;
    let fitting = by_size.iter().take_while(|meta| {
        bytes += meta.bytes;
        bytes <= MERGED_BYTES_MAX
    });
    let count = fitting.count();
    by_size.truncate(count);
    by_size
}

/// The smallest segments of similar size, each at most twice as large as those before it together: so each point is
/// written anew a logarithmic number of times.
fn similar<'a>(segments: &[&'a SegmentMeta], fan_in: usize) -> Vec<&'a SegmentMeta> {
    let mut by_size = segments.to_vec();
    by_size.sort_by_key(|meta| (meta.bytes, meta.number));
    let mut run = Vec::new();
    let mut bytes = 0;
    for meta in by_size {
        let is_far_larger = !run.is_empty() && meta.bytes > 2 * bytes;
        if (is_far_larger || bytes + meta.bytes > MERGED_BYTES_MAX) && run.len() >= fan_in {
            break;
        }
        if is_far_larger {
            run.clear();
            bytes = 0;
        }
        bytes += meta.bytes;
        run.push(meta);
    }
    if run.len() < fan_in || bytes > MERGED_BYTES_MAX {
        run.clear();
    }
    run
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::durability::Sequence;
    use crate::model::packed::NEVER;
    use crate::model::segment::Deletion;
    use crate::model::series::SeriesId;
    use crate::model::time::{TimeRange, Timestamp};

    const HOUR: i64 = 3_600_000;
    /// Long after the partitions in use are over, or at their beginning.
    const COLD: i64 = 9 * DAY_MILLIS;
    const WARM: i64 = DAY_MILLIS + HOUR;

    /// A segment of the second day that never expires, with the given number, size and times.
    fn plain(number: u64, bytes: u64, times: (i64, i64)) -> SegmentMeta {
        SegmentMeta {
            number,
            partition: Partition(1),
            role: Role::Plain(ExpiryClass::NEVER),
            newest: Sequence(number),
            erased: Sequence(number),
            points: bytes,
            bytes,
            times: (DAY_MILLIS + times.0, DAY_MILLIS + times.1),
            expiries: (NEVER, NEVER),
            series: (SeriesId(0), SeriesId(9)),
        }
    }

    fn dying(at: i64, meta: SegmentMeta) -> SegmentMeta {
        SegmentMeta { role: Role::Plain(ExpiryClass { width: HOUR, span: at / HOUR }), expiries: (at - 9, at), ..meta }
    }

    fn over(meta: SegmentMeta) -> SegmentMeta {
        SegmentMeta { role: Role::Override, ..meta }
    }

    fn version(segments: &[SegmentMeta]) -> Version {
        Version { segments: segments.to_vec(), ..Version::new(Timestamp::EPOCH) }
    }

    fn about(now: i64, is_eager: bool, damaged: &HashSet<u64>) -> Circumstances<'_> {
        let free_bytes = 1 << 40;
        Circumstances { now, reclaim_within: HOUR, partition_days: 1, free_bytes, damaged, is_eager }
    }

    fn planned(version: &Version, now: i64, is_eager: bool) -> Option<Job> {
        plan(version, &about(now, is_eager, &HashSet::new()))
    }

    #[test]
    fn what_is_dead_goes_first_and_what_hides_something_stays() {
        let times = (0, 100);
        let dead = dying(WARM, plain(1, 10, times));
        assert_eq!(planned(&version(&[dead]), WARM, false), Some(Job::Drop(vec![1])));
        assert_eq!(planned(&version(&[dead]), WARM - 1, false), None);
        // A dead override hides the plain segment beneath it, whatever that one's number.
        let cover = over(dying(WARM, plain(2, 10, times)));
        let living = plain(3, 1_000, times);
        assert_eq!(planned(&version(&[cover, living]), WARM, false), None);
        assert_eq!(planned(&version(&[cover, plain(3, 1_000, (101, 200))]), WARM, false), Some(Job::Drop(vec![2])));
        // Also an older override, but not a newer one.
        let older = over(plain(1, 1_000, times));
        assert!(!matches!(planned(&version(&[older, cover]), WARM, false), Some(Job::Drop(_))));
        let newer = over(plain(4, 10, times));
        assert_eq!(planned(&version(&[cover, newer]), WARM, false), Some(Job::Drop(vec![2])));
    }

    #[test]
    fn segments_of_similar_size_are_merged_four_at_a_time_and_large_ones_left_alone() {
        let sizes = |sizes: &[u64]| -> Version {
            version(&(1..).zip(sizes).map(|(number, bytes)| plain(number, *bytes, (0, 9))).collect::<Vec<_>>())
        };
        let merge = |numbers: &[u64]| Some(Job::Merge(numbers.to_vec(), Reason::Many));
        assert_eq!(planned(&sizes(&[10, 11, 12]), WARM, false), None);
        assert_eq!(planned(&sizes(&[10, 11, 12, 13]), WARM, false), merge(&[1, 2, 3, 4]));
        assert_eq!(planned(&sizes(&[10, 11, 12, 13, 1_000]), WARM, false), merge(&[1, 2, 3, 4]));
        assert_eq!(planned(&sizes(&[1, 100, 100, 100, 100]), WARM, false), merge(&[2, 3, 4, 5]));
        assert_eq!(planned(&sizes(&[1, 10, 100, 1_000, 10_000]), WARM, false), None, "that would write the last anew");
        assert_eq!(planned(&sizes(&[MERGED_BYTES_MAX / 3; 4]), WARM, false), None, "the result would be too large");
        // A partition that is over is tidied up, but not for a few late points.
        assert_eq!(planned(&sizes(&[100, 110]), COLD, false), merge(&[1, 2]));
        assert_eq!(planned(&sizes(&[1, 110]), COLD, false), None);
        assert_eq!(planned(&sizes(&[1, 1_000_000]), WARM, true), merge(&[1, 2]), "eagerly all of them");
    }

    #[test]
    fn neither_other_classes_nor_other_partitions_nor_dying_files_are_merged() {
        let times = (0, 9);
        let mut segments: Vec<SegmentMeta> = (1..=4).map(|number| plain(number, 10, times)).collect();
        segments[0] = dying(WARM + 9 * HOUR, segments[0]);
        assert_eq!(planned(&version(&segments), WARM, false), None);
        segments[0] = SegmentMeta { partition: Partition(2), ..plain(1, 10, times) };
        assert_eq!(planned(&version(&segments), WARM, false), None);
        let dying: Vec<SegmentMeta> = (1..=4).map(|number| dying(WARM + HOUR, plain(number, 10, times))).collect();
        assert!(planned(&version(&dying), WARM, false).is_some());
        assert_eq!(planned(&version(&dying), WARM + HOUR / 2, false), None, "it is dead before it would be read");
    }

    #[test]
    fn overrides_are_folded_when_that_is_cheap_and_merged_among_themselves_otherwise() {
        let times = (0, 100);
        let fold = |numbers: &[u64], reason| Some(Job::Fold(numbers.to_vec(), reason));
        let beneath = plain(1, 8_000, times);
        let cover = over(plain(2, 999, (50, 60)));
        assert_eq!(planned(&version(&[beneath, cover]), WARM, false), None);
        let heavier = SegmentMeta { bytes: 1_000, ..cover };
        assert_eq!(planned(&version(&[beneath, heavier]), WARM, false), fold(&[2, 1], Reason::Many));
        assert_eq!(planned(&version(&[beneath, cover]), WARM, true), fold(&[2, 1], Reason::Many));
        let elsewhere = plain(1, 8_000, (61, 100));
        assert_eq!(planned(&version(&[elsewhere, cover]), WARM, false), fold(&[2], Reason::Expiry), "it hides nothing");
        let covers: Vec<SegmentMeta> = (2..6).map(|number| over(plain(number, 10, (50, 60)))).collect();
        let all = [&[beneath], &covers[..]].concat();
        assert_eq!(planned(&version(&all), WARM, false), Some(Job::Merge(vec![2, 3, 4, 5], Reason::Many)));
        // What lies beneath and cannot be read can neither be folded nor be laid bare.
        let damaged = HashSet::from([1]);
        assert_eq!(plan(&version(&[beneath, heavier]), &about(WARM, true, &damaged)), None);
        // Nor is what was written above a damaged override laid beneath it, as plain points or by a merge.
        let damaged = HashSet::from([2]);
        let newer = over(plain(3, 1_000, (60, 70)));
        assert_eq!(plan(&version(&[beneath, heavier, newer]), &about(WARM, true, &damaged)), None);
        let apart = over(plain(3, 1_000, (61, 70)));
        let folded = plan(&version(&[beneath, heavier, apart]), &about(WARM, true, &damaged));
        assert_eq!(folded, fold(&[3, 1], Reason::Many));
    }

    #[test]
    fn deletions_are_carried_out_when_they_are_due_and_only_where_they_may_hide_something() {
        let segments = [plain(1, 10, (0, 100)), plain(5, 10, (200, 300))];
        let range = TimeRange::new(Timestamp::from_millis(DAY_MILLIS), Timestamp::from_millis(DAY_MILLIS + 150));
        let at = Timestamp::from_millis(WARM);
        let deletion = Deletion { series: SeriesId(3), range, sequence: Sequence(3), at };
        let with = |deletion| Version { deletions: vec![deletion], ..version(&segments) };
        let erase = Some(Job::Merge(vec![1], Reason::Deletion));
        assert_eq!(planned(&with(deletion), WARM, false), None, "others may come");
        assert_eq!(planned(&with(deletion), WARM + HOUR / 2, false), erase);
        assert_eq!(planned(&with(deletion), WARM, true), erase);
        let due = WARM + HOUR;
        assert_eq!(planned(&with(Deletion { sequence: Sequence(1), ..deletion }), due, false), None, "carried out");
        assert_eq!(planned(&with(Deletion { series: SeriesId(10), ..deletion }), due, false), None, "not in there");
    }

    #[test]
    fn nothing_is_begun_that_the_disk_cannot_finish_but_dead_files_go() {
        let segments: Vec<SegmentMeta> = (1..=4).map(|number| plain(number, 1_000, (0, 9))).collect();
        let damaged = HashSet::new();
        let tight = |free_bytes| Circumstances { free_bytes, ..about(WARM, true, &damaged) };
        assert_eq!(plan(&version(&segments), &tight(FREE_BYTES_KEPT + 3_999)), None);
        assert!(plan(&version(&segments), &tight(FREE_BYTES_KEPT + 4_000)).is_some());
        let dead = [dying(WARM, segments[0])];
        assert_eq!(plan(&version(&dead), &tight(0)), Some(Job::Drop(vec![1])));
    }
}
