//! Every maximum of the engine, each with its reason. Lengths read from disk are held against
//! these before anything is allocated.

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

/// Length a log file is preallocated to, in bytes: a few milliseconds to lay out, and a restart
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

/// Default cap on series in one volume. Each may cost up to about a kilobyte of memory.
pub const SERIES_MAX_DEFAULT: usize = 1_000_000;

/// Highest sequence that is believed when it is read back: a million batches a second take 146,000 years to reach it.
pub const SEQUENCE_MAX: u64 = 1 << 62;

/// Most series ids that may be skipped because the log's damage took their names.
pub const SERIES_LOST_MAX: u32 = 1_000_000;

/// Most places of damage that are described one by one when a database is opened.
pub const DAMAGE_NOTES_MAX: usize = 100;

/// Shortest and longest interval of [`Durability::Interval`](crate::Durability::Interval), in milliseconds.
pub const INTERVAL_MILLIS: std::ops::RangeInclusive<u64> = 10..=60_000;

// A frame of the largest payload must fit the longest file, and a group must be able to hold a frame's header.
const _: () = assert!(LOG_FILE_BYTES_MAX > FRAME_PAYLOAD_BYTES_MAX as u64);
const _: () = assert!(LOG_FILE_BYTES <= LOG_FILE_BYTES_MAX && LOG_FILE_BYTES_MAX <= LOG_BYTES_MAX);
const _: () = assert!(GROUP_BYTES_MAX < QUEUE_BYTES_MAX);
