//! Every maximum of the engine, each with its reason. Lengths read from disk are held against
//! these before anything is allocated.

use std::time::Duration;

/// Longest namespace, in bytes. The wire allows 32 characters; embedders get room to spare.
pub const NAMESPACE_BYTES_MAX: usize = 128;

/// Longest metric name, in bytes. The wire allows 96 characters.
pub const METRIC_BYTES_MAX: usize = 128;

/// Most dimensions of one series. The wire allows 4.
pub const DIMENSIONS_MAX: usize = 16;

/// Longest dimension name, in bytes. The wire allows 32 characters.
pub const DIMENSION_NAME_BYTES_MAX: usize = 64;

/// Longest dimension value, in bytes. The wire allows 256 characters.
pub const DIMENSION_VALUE_BYTES_MAX: usize = 512;

/// Longest unit, in characters: the contract page's own limit.
pub const UNIT_CHARS_MAX: usize = 32;

/// Longest unit, in bytes: [`UNIT_CHARS_MAX`] characters of four bytes each.
pub const UNIT_BYTES_MAX: usize = 4 * UNIT_CHARS_MAX;

/// Farthest time from 1970 in either direction, in milliseconds: every millisecond up to here is
/// exact as a JSON number, and a time plus the longest TTL cannot overflow.
pub const TIMESTAMP_MILLIS_MAX: i64 = (1 << 53) - 1;

/// Farthest expiry from 1970 in either direction, in milliseconds: the latest time with the longest TTL.
pub const EXPIRY_MILLIS_MAX: i64 = TIMESTAMP_MILLIS_MAX + u32::MAX as i64 * 1_000;

/// Most points in one batch. Bounds the time one commit can hold up its neighbours.
pub const BATCH_POINTS_MAX: usize = 100_000;

/// Longest payload of one log frame, in bytes. A batch becomes one frame, so this bounds a batch too.
pub const FRAME_PAYLOAD_BYTES_MAX: usize = 16 << 20;

/// Length at which a log file is full, in bytes: a few milliseconds to lay out, and a restart
/// that has to mend the last file rewrites at most this much (or one larger frame).
pub const LOG_FILE_BYTES: u64 = 8 << 20;

/// Longest log file, in bytes: one frame of the largest payload with its surroundings.
pub const LOG_FILE_BYTES_MAX: u64 = FRAME_PAYLOAD_BYTES_MAX as u64 + 4096;

/// Most bytes of log in one volume: a restart replays at most this much.
pub const LOG_BYTES_MAX: u64 = 256 << 20;

/// Most bytes one group commit writes before it syncs: a writer waits for at most about 1 ms of copying.
pub const GROUP_BYTES_MAX: usize = 1 << 20;

/// Most bytes of batches that wait for the committer. Past it writes are refused with `Overloaded`.
pub const QUEUE_BYTES_MAX: usize = 64 << 20;

/// Default memory for recent points, in bytes.
pub const HEAD_BYTES_MAX_DEFAULT: usize = 256 << 20;

/// Memory with which a head is set aside although it may grow, in bytes, once it has [`HEAD_RIPE_POINTS`]: it gains
/// nothing by growing.
pub const HEAD_RIPE_BYTES: usize = 32 << 20;

/// The same of a head that series only pass through, whose newer points are of other series than older ones: a smaller
/// one holds them as whole.
pub const HEAD_PASSED_BYTES: usize = 16 << 20;

/// Points for each of its series from which on a head gains nothing by growing: its chunks are nearly as small and as
/// cheap as longer ones. Where there are fewer, each flush costs as much as all of its series do.
pub const HEAD_RIPE_POINTS: usize = 512;

/// Least memory for recent points, in bytes: below, every batch would make segments of its own.
pub const HEAD_BYTES_MIN: usize = 64 << 10;

/// Heads that may wait to be flushed. Then writers wait, so that memory stays bounded.
pub const FROZEN_HEADS_MAX: usize = 2;

/// Files of segments that stay open between reads, in all volumes of a process; others are opened for each read. Half of
/// the descriptors that a process usually has.
pub const OPEN_SEGMENTS_MAX: usize = 512;

/// Most memory for what was read from segments and may be asked for again, in bytes, for each volume: all columns of
/// some 30 million small numbers, or the directory of 80,000 chunks.
pub const READ_CACHE_BYTES_MAX: usize = 32 << 20;

/// Longest time a writer waits for a flush to make room before it is refused with `Overloaded`.
pub const STALL_MAX: Duration = Duration::from_secs(5);

/// Default time within which expired bytes leave the disk; a tenth of a point's TTL where that is longer.
pub const RECLAIM_WITHIN_DEFAULT: Duration = Duration::from_secs(3_600);

/// Shortest and longest time within which expired bytes leave the disk: below, files would be too small to be worth
/// their names.
pub const RECLAIM_WITHIN: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(10)..=Duration::from_secs(31 * 86_400);

/// Most days of a partition: a job is bounded by one partition.
pub const PARTITION_DAYS_MAX: u16 = 366;

/// Default pace of the compactor, in bytes of segments written anew per second: far below what a disk can do, so that
/// it does not hold up the log.
pub const COMPACTION_BYTES_PER_SECOND_DEFAULT: u64 = 64 << 20;

/// Slowest pace of the compactor, in bytes per second: below, it would not keep up with anything.
pub const COMPACTION_BYTES_PER_SECOND_MIN: u64 = 64 << 10;

/// Default cap on series in one volume. Each may cost up to about a kilobyte of memory.
pub const SERIES_MAX_DEFAULT: usize = 1_000_000;

/// How many times as many series as may be written may be known, those included that live on in windows alone.
pub const SERIES_RESTING_FACTOR: usize = 16;

/// Most points of one chunk: one is decoded in a few microseconds, and twice as many would save a hundredth of the bytes.
pub const CHUNK_POINTS_MAX: usize = 4_096;

/// Most records of one chunk of summaries: with integers and floats apart a column has two entries for each, and is
/// that of a chunk of points.
pub const SUMMARY_RECORDS_MAX: usize = CHUNK_POINTS_MAX / 2;

/// Most points of one window that are believed when they are read back: a point a microsecond for nine years. Their
/// sums fit 112 bits.
pub const WINDOW_POINTS_MAX: u64 = 1 << 48;

/// Most buckets of a sketch: values from 1 to 10^17 fit, and it takes at most some 30 KiB of memory.
pub const SKETCH_BUCKETS_MAX: usize = 2_048;

/// Highest sequence that is believed when it is read back: a million batches a second take 146,000 years to reach it.
pub const SEQUENCE_MAX: u64 = 1 << 62;

/// Highest number of a log file that is believed when it is read back: no volume ever makes as many files.
pub const LOG_NUMBER_MAX: u64 = 1 << 62;

/// Most series ids that may be skipped because the log's damage took their names.
pub const SERIES_LOST_MAX: u32 = 1_000_000;

/// Longest copy of what MANIFEST says, in bytes; the file holds two. It is rewritten with each commit, so it has to be
/// something that a disk takes in a fraction of a second.
pub const MANIFEST_BYTES_MAX: u64 = 64 << 20;

/// Most segments of one volume: what [`MANIFEST_BYTES_MAX`] has room for, with some to spare. Segments are merged long
/// before, as a query looks at the list of all.
pub const SEGMENTS_MAX: usize = 500_000;

/// Most bytes that a segment takes in MANIFEST, if everything about it is as large as it may be; usually it takes 30.
pub const MANIFEST_SEGMENT_BYTES_MAX: usize = 122;

/// Longest list of a backup's files, in bytes: [`SEGMENTS_MAX`] files take half of it.
pub const BACKUP_BYTES_MAX: u64 = 64 << 20;

/// Most bytes that a file takes in the list of a backup's files.
pub const BACKUP_FILE_BYTES_MAX: usize = 64;

/// Longest name of a backup, in bytes: with what its draft's name ends in it is one that every file system takes.
pub const BACKUP_NAME_BYTES_MAX: usize = 128;

/// Most backup policies in force for one open database: each look for what is due goes through all of them.
pub const BACKUP_POLICIES_MAX: usize = 10;

/// Most backups in one folder: each is read when they are listed.
pub const BACKUPS_MAX: usize = 10_000;

/// Most deletions that may wait to be carried out before further ones are refused. A reader holds each point against those
/// of its series, so there must not be many; compaction carries them out and takes them off the list.
pub const DELETIONS_WAITING_MAX: usize = 10_000;

/// Most deletions that MANIFEST lists: twice [`DELETIONS_WAITING_MAX`], so that what was once admitted always fits.
pub const DELETIONS_MAX: usize = 2 * DELETIONS_WAITING_MAX;

/// Names in all segments that are read when a volume is opened, for each series and in any case. Where there are more,
/// a stored catalogue takes less time: a name that is known already takes 20 ns, a stored one 2 us, and the store 10 ms.
pub const NAMES_READ_FACTOR: u64 = 32;
/// See [`NAMES_READ_FACTOR`].
pub const NAMES_READ_MIN: u64 = 200_000;

/// Most series in one block of the stored catalogue: a change rewrites each block that it touches.
pub const CATALOG_BLOCK_SERIES_MAX: usize = 1_000;

/// Length at which a block of the stored catalogue is divided, in bytes; one series may be longer. The store keeps up to
/// sixteen blocks together and puts what is longer than 128 KiB into files of its own.
pub const CATALOG_BLOCK_BYTES_MAX: usize = 7 << 10;

/// Most damaged catalogues that are kept for people to look at. They can be rebuilt, so later ones are thrown away.
pub const CATALOGS_SET_ASIDE_MAX: usize = 8;

/// Most places of damage that are described one by one when a database is opened.
pub const DAMAGE_NOTES_MAX: usize = 100;

/// Longest column block of a segment, in bytes: the points of a chunk at 10 bytes each, and room to spare.
pub const BLOCK_BYTES_MAX: usize = 64 << 10;

/// Longest page of a segment's directory, in bytes: what finding one chunk has to read.
pub const DIRECTORY_PAGE_BYTES_MAX: usize = 8 << 10;

/// Longest page of series names in a segment, in bytes: a page is closed once it has half of that, and no name is
/// longer than the other half.
pub const NAMES_PAGE_BYTES_MAX: usize = 64 << 10;

/// Longest page index of a segment, in bytes. An open segment holds it in memory, some ten times as large; with pages of
/// 6 KiB it is reached at some 2 GB of directory.
pub const PAGE_INDEX_BYTES_MAX: usize = 4 << 20;

/// Longest unit table of a segment, in bytes. An open segment holds it in memory.
pub const UNIT_TABLE_BYTES_MAX: usize = 64 << 20;

/// Most units in one segment: with the tables to find them they take some 100 MB of memory at worst.
pub const SEGMENT_UNITS_MAX: usize = 1 << 20;

/// Units at which a head is set aside, so that its segments cannot have too many.
pub const HEAD_UNITS_MAX: usize = SEGMENT_UNITS_MAX / 8;

/// Longest time after which a late point may still be said to count in windows: the longest TTL.
pub const LATE_MAX: Duration = Duration::from_secs(u32::MAX as u64);

/// Most tiers of windows: the published schedule has five.
pub const TIERS_MAX: usize = 16;

/// Most windows of one answer: a week of seconds. More are asked for in several parts.
pub const WINDOWS_MAX: usize = 604_800;

/// Most series of one question across series: as many as a project of the server has. More take minutes.
pub const AGGREGATE_SERIES_MAX: usize = 100_000;

/// Shortest and longest interval of [`Durability::Interval`](crate::Durability::Interval), in milliseconds.
pub const INTERVAL_MILLIS: std::ops::RangeInclusive<u64> = 10..=60_000;

// A frame of the largest payload must fit the longest file, and a group must be able to hold a frame's header.
const _: () = assert!(LOG_FILE_BYTES_MAX > FRAME_PAYLOAD_BYTES_MAX as u64);
const _: () = assert!(LOG_FILE_BYTES <= LOG_FILE_BYTES_MAX && LOG_FILE_BYTES_MAX <= LOG_BYTES_MAX);
const _: () = assert!(GROUP_BYTES_MAX < QUEUE_BYTES_MAX);
const _: () = assert!(2 * SUMMARY_RECORDS_MAX <= CHUNK_POINTS_MAX);
// A chunk of numbers that no column form suits still fits its block, and so does a name its page.
const _: () = assert!(CHUNK_POINTS_MAX * 10 + 1_024 <= BLOCK_BYTES_MAX);
const _: () = assert!(
    NAMESPACE_BYTES_MAX
        + METRIC_BYTES_MAX
        + DIMENSIONS_MAX * (DIMENSION_NAME_BYTES_MAX + DIMENSION_VALUE_BYTES_MAX + 2)
        + 64
        <= NAMES_PAGE_BYTES_MAX / 2
);
// A deletion takes 36 bytes in MANIFEST; what is neither segments nor deletions is less than a page.
const _: () =
    assert!((SEGMENTS_MAX * MANIFEST_SEGMENT_BYTES_MAX + DELETIONS_MAX * 36 + 4_096) as u64 <= MANIFEST_BYTES_MAX);
// Beside its files a backup's list has some ids, numbers and tiers.
const _: () = assert!(((SEGMENTS_MAX + 2) * BACKUP_FILE_BYTES_MAX + 4_096) as u64 <= BACKUP_BYTES_MAX);
const _: () = assert!(HEAD_UNITS_MAX + BATCH_POINTS_MAX <= SEGMENT_UNITS_MAX);
