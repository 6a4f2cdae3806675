//! What the compactor does next: a pure function of what is stored and what time it is. Nothing here touches a file.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};

use crate::manifest::Version;
use crate::model::rollup::Rollup;
use crate::model::segment::{DAY_MILLIS, ExpiryClass, Partition, Role, SegmentMeta};
use crate::model::time::Timestamp;

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

/// A piece of work. All inputs lie in one partition, except those of a drop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Job {
    /// Every point in these is dead and hides nothing: unlink them.
    Drop(Vec<u64>),
    /// Write these anew as one segment of the same role.
    Merge(Vec<u64>, Reason),
    /// Write overrides and what they override anew as plain segments.
    Fold(Vec<u64>, Reason),
    /// Write these summaries of one partition anew as one segment of windows of this many ms.
    Summarise(Vec<u64>, i64),
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
    /// The moment up to which what has expired may be destroyed everywhere, in ms.
    pub(super) now: i64,
    /// The confirmed time, in ms: up to there it may be destroyed where nothing recent is.
    pub(super) confirmed: i64,
    /// From when to when there are points that are in no segment yet, in ms.
    pub(super) recent: &'a [(i64, i64)],
    /// Setting `reclaim_within`, in ms.
    pub(super) reclaim_within: i64,
    /// The windows that are kept, and how long.
    pub(super) rollup: &'a Rollup,
    /// Free bytes of the disk.
    pub(super) free_bytes: u64,
    /// Segments that cannot be read: they are dropped when they are dead, and left alone until then.
    pub(super) damaged: &'a HashSet<u64>,
    /// Whether everything that may be merged is merged.
    pub(super) is_eager: bool,
}

/// The next job, the most urgent first; `None` when there is nothing to do.
pub(super) fn plan(version: &Version, about: &Circumstances<'_>) -> Option<Job> {
    let dead = droppable(version, about);
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
                Partition(partition.0 + 1).start(about.rollup.partition_days).saturating_add(DAY_MILLIS) <= about.now;
            let points = fold(version, segments, is_cold, about).or_else(|| merge(segments, is_cold, about));
            points.or_else(|| summarise(*partition, version, is_cold, about))
        })
    })
}

/// Whether a job of these inputs is one that the disk can finish, and that keeps no more in memory than it may.
fn fits(inputs: &[&SegmentMeta], about: &Circumstances<'_>) -> bool {
    let bytes = inputs.iter().map(|meta| meta.bytes).sum::<u64>();
    bytes <= MERGED_BYTES_MAX && bytes + FREE_BYTES_KEPT <= about.free_bytes
}

/// Dead segments that hide nothing.
fn droppable(version: &Version, about: &Circumstances<'_>) -> Vec<u64> {
    let is_recent =
        |meta: &SegmentMeta| about.recent.iter().any(|&(first, last)| first <= meta.times.1 && meta.times.0 <= last);
    let is_over = |meta: &SegmentMeta| match meta.role {
        Role::Summaries(_) => about.rollup.window_at(meta.partition, Timestamp::from_millis(about.now)).is_none(),
        Role::Plain(_) | Role::Override => meta.is_dead_at(if is_recent(meta) { about.now } else { about.confirmed }),
    };
    let hides_something = |meta: &SegmentMeta| {
        meta.role == Role::Override
            && version.segments.iter().any(|other| {
                let is_plain = matches!(other.role, Role::Plain(_));
                let is_beneath = is_plain || (other.holds_points() && other.newest < meta.newest);
                other.number != meta.number && is_beneath && other.overlaps(meta)
            })
    };
    let dead = version.segments.iter().filter(|meta| is_over(meta) && !hides_something(meta));
    dead.map(|meta| meta.number).collect()
}

/// Carries out deletions in one segment, once they are due.
fn erase(version: &Version, meta: &SegmentMeta, about: &Circumstances<'_>) -> Option<Job> {
    let is_due = version.deletions.iter().any(|deletion| {
        let is_old = deletion.at.as_millis().saturating_add(about.reclaim_within / 2) <= about.now;
        (is_old || about.is_eager)
            && meta.holds_points()
            && meta.erased < deletion.sequence
            && meta.may_hold(deletion.series, deletion.range)
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
    let overlaps = |meta: &SegmentMeta| meta.holds_points() && overrides.iter().any(|other| other.overlaps(meta));
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

/// Makes the summaries of a partition coarser when they have reached the age for it, or merges the newest of them.
fn summarise(partition: Partition, version: &Version, is_cold: bool, about: &Circumstances<'_>) -> Option<Job> {
    let is_one = |meta: &&SegmentMeta| meta.partition == partition && !meta.holds_points();
    let mut metas: Vec<&SegmentMeta> = version.segments.iter().filter(is_one).collect();
    // What cannot be read may be readable later, and has its place in the order.
    if metas.iter().any(|meta| about.damaged.contains(&meta.number)) {
        return None;
    }
    metas.sort_by_key(|meta| meta.newest);
    let Role::Summaries(window) = metas.first()?.role else { return None };
    let job = |metas: &[&SegmentMeta], window| Job::Summarise(metas.iter().map(|meta| meta.number).collect(), window);
    let due = about.rollup.window_at(partition, Timestamp::from_millis(about.now))?;
    // Windows that were stored under other tiers may not fit into those that are due; then they stay as they are.
    if due > window && due % window == 0 {
        let bytes = metas.iter().map(|meta| meta.bytes).sum::<u64>();
        let has_room = bytes.saturating_add(FREE_BYTES_KEPT) <= about.free_bytes;
        return has_room.then(|| job(&metas, due));
    }
    let fan_in = if is_cold || about.is_eager { MERGE_FAN_IN_COLD } else { MERGE_FAN_IN };
    // Records count in the order in which they were written, so what is merged stands side by side: the newest, as far
    // back as each is at most twice as large as those behind it together.
    let mut bytes = 0;
    let alike = metas.iter().rev().take(MERGE_INPUTS_MAX).take_while(|meta| {
        let is_alike = bytes == 0 || about.is_eager || meta.bytes <= 2 * bytes;
        bytes += meta.bytes;
        is_alike && bytes <= MERGED_BYTES_MAX
    });
    let newest = &metas[metas.len() - alike.count()..];
    (newest.len() >= fan_in && fits(newest, about)).then(|| job(newest, window))
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
