//! Plans by table: which job is next for segments that are described in a line.

use super::*;
use std::sync::LazyLock;

use crate::model::durability::Sequence;
use crate::model::packed::NEVER;
use crate::model::rollup::{Late, Tier};
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

/// Windows of five minutes for two days, of an hour for four.
static ROLLUP: LazyLock<Rollup> = LazyLock::new(|| Rollup {
    tiers: vec![Tier { window: 300_000, keep: 2 * DAY_MILLIS }, Tier { window: HOUR, keep: 4 * DAY_MILLIS }],
    late: Late::Correct,
    sketches: false,
    partition_days: 1,
});

fn about(now: i64, is_eager: bool, damaged: &HashSet<u64>) -> Circumstances<'_> {
    let free_bytes = 1 << 40;
    Circumstances {
        now,
        confirmed: now,
        recent: &[],
        reclaim_within: HOUR,
        rollup: &ROLLUP,
        free_bytes,
        damaged,
        is_eager,
    }
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

/// Summaries of a day, written at this place in the order, of windows of this many ms.
fn summaries(number: u64, bytes: u64, window: i64) -> SegmentMeta {
    SegmentMeta { role: Role::Summaries(window), ..plain(number, bytes, (0, DAY_MILLIS - 1)) }
}

#[test]
fn windows_become_longer_with_age_and_go_after_the_last_tier() {
    // S7. The day is the second one; its windows of five minutes are due until two days after its end.
    let young = version(&[summaries(1, 100, 300_000)]);
    let end = 2 * DAY_MILLIS;
    assert_eq!(planned(&young, end + 2 * DAY_MILLIS - 1, false), None);
    let longer = Some(Job::Summarise(vec![1], HOUR));
    assert_eq!(planned(&young, end + 2 * DAY_MILLIS, false), longer);
    let old = version(&[summaries(1, 100, HOUR)]);
    assert_eq!(planned(&old, end + 4 * DAY_MILLIS - 1, false), None);
    assert_eq!(planned(&old, end + 4 * DAY_MILLIS, false), Some(Job::Drop(vec![1])));
    // Windows that were stored under other tiers stay as they are when they do not fit.
    let odd = version(&[summaries(1, 100, 1_000 * 86_400 / 32)]);
    assert_eq!(planned(&odd, end + 2 * DAY_MILLIS, false), None);
}

#[test]
fn only_summaries_that_were_written_one_after_the_other_are_merged() {
    let at = |sizes: &[u64]| {
        let metas: Vec<_> = (1..).zip(sizes).map(|(number, &bytes)| summaries(number, bytes, 300_000)).collect();
        planned(&version(&metas), WARM, false)
    };
    assert_eq!(at(&[100, 100, 100]), None);
    assert_eq!(at(&[100, 100, 100, 100]), Some(Job::Summarise(vec![1, 2, 3, 4], 300_000)));
    // A large one in between ends what may be merged.
    assert_eq!(at(&[100, 9_000, 100, 100, 100]), None);
    assert_eq!(at(&[100, 9_000, 100, 100, 100, 100]), Some(Job::Summarise(vec![3, 4, 5, 6], 300_000)));
    let damaged = HashSet::from([2]);
    let four: Vec<_> = (1..5).map(|number| summaries(number, 100, 300_000)).collect();
    assert_eq!(plan(&version(&four), &about(WARM, false, &damaged)), None);
}

#[test]
fn what_may_be_replaced_by_something_recent_is_not_destroyed_before_it_is_settled() {
    let dying = SegmentMeta { expiries: (0, WARM), ..plain(1, 100, (0, 50)) };
    let nobody = HashSet::new();
    let version = version(&[dying]);
    let settled = Circumstances { now: WARM - 1, confirmed: WARM, ..about(WARM, false, &nobody) };
    let elsewhere = [(DAY_MILLIS + 51, DAY_MILLIS + 90)];
    assert_eq!(plan(&version, &Circumstances { recent: &elsewhere, ..settled.clone() }), Some(Job::Drop(vec![1])));
    let there = [(DAY_MILLIS + 50, DAY_MILLIS + 90)];
    assert_eq!(plan(&version, &Circumstances { recent: &there, ..settled }), None);
}
