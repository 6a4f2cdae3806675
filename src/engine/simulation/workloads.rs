//! The histories at each of whose steps the power goes, or a call fails: short ones, that follow a sync and meet one verb each (Mohan et
//! al., "Finding Crash-Consistency Bugs with Bounded Black-Box Crash Testing", OSDI 2018).

use crate::engine::simulation::batches::Life;
use crate::engine::simulation::{Act, Workload};
use crate::env::faulty::Image;
use crate::model::durability::Durability::{self, Buffered, Sync};

const SMALL: u64 = 1 << 10;
const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// A workload in whose head everything fits.
fn roomy(name: &'static str, durability: Durability, log_file_bytes: u64, acts: &[&[Act]]) -> Workload {
    Workload { name, durability, log_file_bytes, head_bytes_max: 1 << 20, acts: acts.concat() }
}

/// Workloads of the log: what is flushed is flushed by closing.
pub(in crate::engine) fn of_the_log() -> Vec<Workload> {
    use Act::{Group, GroupSync, Kill, PowerCut, Reopen, Write, WriteSync};
    vec![
        roomy("write", Sync, 1 << 13, &[&[Write(0); 24]]),
        roomy("rotate", Sync, SMALL, &[&[Write(2); 24]]),
        roomy("rotate, buffered", Buffered, SMALL, &[&[Write(2); 36]]),
        roomy(
            "sync now and then",
            Buffered,
            1 << 12,
            &[&[Write(0); 6], &[Act::Sync], &[Write(5); 9], &[Act::Sync, Write(0)]],
        ),
        roomy("some ask for more", Buffered, SMALL, &[&[Write(0), GroupSync(3), WriteSync, Write(0)].repeat(6)]),
        roomy("killed", Sync, SMALL, &[&[Write(0), Group(3), Kill, Write(1)].repeat(5)]),
        roomy("killed, buffered", Buffered, SMALL, &[&[Write(0), Write(4), Kill, Kill, Write(1)].repeat(5)]),
        roomy("reopen", Sync, SMALL, &[&[Write(0), Write(0), Reopen].repeat(3)]),
        roomy("reopen, buffered", Buffered, SMALL, &[&[Write(0), Write(3), Reopen, Reopen].repeat(3)]),
        roomy("frames longer than a file", Sync, 256, &[&[Write(0), Write(60), Write(200)].repeat(4)]),
        roomy("group commit", Sync, SMALL, &[&[Group(3), Write(0), Group(5)].repeat(5)]),
        roomy(
            "crash and go on",
            Sync,
            SMALL,
            &[&[Write(0), Group(4), Write(1), PowerCut(Image::Subset(7)), Write(0), PowerCut(Image::All)].repeat(3)],
        ),
        roomy(
            "crash and go on, buffered",
            Buffered,
            SMALL,
            &[&[Write(0), Group(4), Act::Sync, Write(9), PowerCut(Image::Reordered(3)), Write(0), Group(2)].repeat(3)],
        ),
    ]
}

/// Workloads of the segments: flush, commit, trim, merge, fold, drop, delete, erase, rebuild.
pub(in crate::engine) fn of_segments() -> Vec<Workload> {
    [of_flush_and_merge(), of_what_goes(), of_windows()].concat()
}

fn of_flush_and_merge() -> Vec<Workload> {
    use Act::{Advance, Compact, Flush, Freeze, Group, Kill, Maintain, Write};
    let over = Act::Overwrite;
    vec![
        roomy("flush", Sync, SMALL, &[&[Write(0), Group(3), Write(1), Flush].repeat(3)]),
        roomy("flush, buffered", Buffered, SMALL, &[&[Write(0), Write(3), Flush, Write(0)].repeat(3)]),
        roomy(
            "set aside",
            Sync,
            SMALL,
            &[&[Write(0), Freeze, Write(1), Write(0), Freeze, Freeze, Write(0), Maintain, Kill].repeat(2), &[Flush]],
        ),
        Workload { head_bytes_max: 20 << 10, ..roomy("full heads", Buffered, SMALL, &[&[Write(4); 24], &[Maintain]]) },
        roomy("merge", Sync, SMALL, &[&[Write(0), Flush].repeat(4), &[Maintain, Write(0), Compact]]),
        roomy("merge cold", Buffered, SMALL, &[&[Write(3), Flush, Write(0), Flush], &[Advance(2 * DAY), Maintain]]),
        roomy(
            "overrides of overrides",
            Sync,
            1 << 16,
            &[&[Write(4_000), Flush], &[over(Life::Forever), Flush, over(Life::None), Flush].repeat(2), &[Maintain]],
        ),
        roomy(
            "shadows",
            Sync,
            SMALL,
            &[
                &[over(Life::Forever), Flush, over(Life::None), Flush, Maintain, Write(0)],
                &[over(Life::Seconds(DAY)), Flush, over(Life::Seconds(60)), Flush],
                &[Advance(2 * HOUR), Maintain, Advance(700), Maintain, over(Life::Forever), Flush, Compact],
            ],
        ),
    ]
}

/// Windows that are merged, corrected and made longer, and outlive their points.
fn of_windows() -> Vec<Workload> {
    use Act::{Advance, CompactStep, Delete, Flush, Freeze, Kill, Maintain, Reopen, Write};
    let over = Act::Overwrite;
    vec![
        roomy(
            "windows age",
            Sync,
            SMALL,
            &[
                &[Write(1), Flush, Write(0), Flush, Advance(DAY + HOUR), CompactStep, CompactStep, Write(0), Flush],
                &[Advance(DAY), Maintain, over(Life::Forever), Freeze, Advance(DAY), Maintain, Reopen],
            ],
        ),
        roomy(
            "windows are corrected",
            Buffered,
            SMALL,
            &[
                &[over(Life::Seconds(60)), Flush, over(Life::Forever), Flush, Advance(90), over(Life::None), Flush],
                &[over(Life::Seconds(HOUR)), Delete(0), over(Life::Forever), Kill, Flush, Maintain],
                &[Advance(2 * HOUR), Maintain, over(Life::Forever), Freeze, over(Life::None), Maintain],
            ],
        ),
        roomy(
            "windows are merged",
            Sync,
            SMALL,
            &[&[Write(0), Flush].repeat(5), &[Maintain, over(Life::Forever), Flush], &[CompactStep; 5], &[Write(0)]],
        ),
    ]
}

fn of_what_goes() -> Vec<Workload> {
    use Act::{Advance, Compact, CompactStep, Delete, Flush, Freeze, Group, Kill, Maintain, PowerCut, Reopen, Write};
    vec![
        roomy(
            "die out",
            Sync,
            SMALL,
            &[
                &[Group(4), Flush, Group(6), Flush, Advance(3 * HOUR), Maintain, Write(0), Advance(700), Maintain],
                &[Group(4), Flush, Advance(2 * DAY), Maintain, Advance(700), Maintain, Write(0), Reopen, Write(0)],
            ],
        ),
        roomy(
            "delete",
            Sync,
            SMALL,
            &[
                &[Group(5), Delete(0), Write(0), Flush, Delete(1), Delete(2), Write(0), Freeze, Delete(3), Flush],
                &[Delete(4), Group(3), Advance(HOUR), Maintain, Flush, Maintain, Delete(0), Reopen, Compact],
            ],
        ),
        roomy(
            "delete, buffered",
            Buffered,
            SMALL,
            &[&[Group(4), Flush, Delete(6), Delete(0), Write(0), Kill, Delete(12), Freeze, Write(0), Compact]
                .repeat(2)],
        ),
        roomy(
            "one job at a time",
            Sync,
            SMALL,
            &[&[Write(2), Flush].repeat(5), &[Delete(5), CompactStep, Flush], &[CompactStep; 6]],
        ),
        roomy(
            "crash and go on with segments",
            Sync,
            SMALL,
            &[&[Group(4), Flush, Write(1), PowerCut(Image::Subset(7)), Delete(0), Compact, PowerCut(Image::Nothing)]
                .repeat(2)],
        ),
        roomy(
            "killed in the middle",
            Buffered,
            SMALL,
            &[&[Group(5), Freeze, Kill, Write(0), Flush, Kill, Advance(HOUR), CompactStep, Kill, Write(0)].repeat(2)],
        ),
        roomy(
            "close with much to do",
            Sync,
            SMALL,
            &[&[Group(3), Freeze, Group(2), Delete(1), Reopen, Write(0)].repeat(2)],
        ),
    ]
}
