//! Control records: what FORMAT, MANIFEST and BACKUP say and how a series is named in the log. The only room that names bincode.
//!
//! A record is a struct whose name ends in its version, encoded by bincode 1.3 with fixed-size little-endian integers.
//! It always lies inside something with a checksum, is bounded in size, and may not have a byte too many.

use bincode::Options;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::codec::Malformed;
use crate::model::durability::Sequence;
use crate::model::limits::{BACKUP_BYTES_MAX, FRAME_PAYLOAD_BYTES_MAX, MANIFEST_BYTES_MAX};
use crate::model::segment::{CatalogMark, Deletion};
use crate::model::series::{SeriesId, SeriesKey};
use crate::model::time::{TimeRange, Timestamp};

/// What a volume's directory is: the content of FORMAT.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct FormatV1 {
    /// Id of this volume.
    pub(crate) volume: [u8; 16],
    /// Id of the store its files were born in; clones and backups keep it.
    pub(crate) lineage: [u8; 16],
    /// Span of a partition, in whole days.
    pub(crate) partition_days: u16,
    /// How late points may come to count in windows, in ms; none for any.
    pub(crate) discard_late_after: Option<u64>,
    /// Length of windows and how long they are kept, in ms, for who opens it without saying.
    pub(crate) tiers: Vec<(i64, i64)>,
    /// Whether windows keep how their values are spread.
    pub(crate) sketches: bool,
}

/// A series' name, in the order in which its dimensions were first written.
#[derive(PartialEq, Eq, Debug, Serialize, Deserialize)]
struct SeriesV1 {
    namespace: String,
    metric: String,
    dimensions: Vec<(String, String)>,
}

impl FormatV1 {
    pub(crate) fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        decode(bytes)
    }
}

/// The record of a series' name.
pub(crate) fn encode_series(key: &SeriesKey) -> Vec<u8> {
    let dimensions = key.dimensions().map(|each| (each.name.to_string(), each.value.to_string())).collect();
    encode(&SeriesV1 { namespace: key.namespace().into(), metric: key.metric().into(), dimensions })
}

/// The series a record names.
pub(crate) fn decode_series(bytes: &[u8]) -> Result<SeriesKey, Malformed> {
    let SeriesV1 { namespace, metric, dimensions } = decode(bytes)?;
    SeriesKey::new(namespace, metric, dimensions).map_err(|_| Malformed("a series name breaks the limits"))
}

/// What is true of a volume: the content of MANIFEST.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct ManifestV1 {
    /// Commits so far.
    pub(crate) edits: u64,
    /// Batches up to this one are in segments.
    pub(crate) flushed: u64,
    /// Log files with a smaller number are not needed.
    pub(crate) log_floor: u64,
    pub(crate) next_segment: u64,
    pub(crate) next_series: u32,
    /// Confirmed expiry horizon, ms since 1970.
    pub(crate) horizon: i64,
    pub(crate) catalog: Option<CatalogV1>,
    pub(crate) deletions: Vec<DeletionV1>,
    /// The list of `codec::metas`, ascending by number.
    pub(crate) segments: Vec<u8>,
}

/// What a backup holds: the content of BACKUP.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct BackupV1 {
    /// Id of the volume that it is of.
    pub(crate) volume: [u8; 16],
    pub(crate) lineage: [u8; 16],
    /// The last batch that is in it.
    pub(crate) sequence: u64,
    /// The moment at which it was taken, ms since 1970.
    pub(crate) taken_at: i64,
    /// Length of windows and how long they were kept, in ms, when it was taken.
    pub(crate) tiers: Vec<(i64, i64)>,
    /// All of its other files, ascending by name.
    pub(crate) files: Vec<FileV1>,
}

/// One file of a backup.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct FileV1 {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    /// XXH64 of all of it.
    pub(crate) digest: u64,
}

/// What a stored catalogue must hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct CatalogV1 {
    generation: u64,
    series: u64,
    checksum: u64,
}

/// A deletion that has not been carried out everywhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct DeletionV1 {
    series: u32,
    start: i64,
    end: i64,
    sequence: u64,
    at: i64,
}

impl ManifestV1 {
    pub(crate) fn encode(&self) -> Vec<u8> {
        options().with_limit(MANIFEST_BYTES_MAX).serialize(self).expect("the counts of a manifest are bounded")
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let record = options().with_limit(MANIFEST_BYTES_MAX).deserialize(bytes);
        record.map_err(|_| Malformed("a record cannot be read"))
    }
}

impl BackupV1 {
    pub(crate) fn encode(&self) -> Vec<u8> {
        options().with_limit(BACKUP_BYTES_MAX).serialize(self).expect("the files of a backup are bounded")
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let record = options().with_limit(BACKUP_BYTES_MAX).deserialize(bytes);
        record.map_err(|_| Malformed("a record cannot be read"))
    }
}

impl From<&CatalogMark> for CatalogV1 {
    fn from(mark: &CatalogMark) -> Self {
        let CatalogMark { generation, series, checksum } = *mark;
        Self { generation, series, checksum }
    }
}

impl From<&CatalogV1> for CatalogMark {
    fn from(record: &CatalogV1) -> Self {
        let CatalogV1 { generation, series, checksum } = *record;
        Self { generation, series, checksum }
    }
}

impl From<&Deletion> for DeletionV1 {
    fn from(deletion: &Deletion) -> Self {
        let Deletion { series, range, sequence, at } = *deletion;
        let (start, end) = (range.start().as_millis(), range.end().as_millis());
        Self { series: series.0, start, end, sequence: sequence.0, at: at.as_millis() }
    }
}

impl From<&DeletionV1> for Deletion {
    fn from(record: &DeletionV1) -> Self {
        let DeletionV1 { series, start, end, sequence, at } = *record;
        let range = TimeRange::new(Timestamp::from_millis(start), Timestamp::from_millis(end));
        Self { series: SeriesId(series), range, sequence: Sequence(sequence), at: Timestamp::from_millis(at) }
    }
}

fn options() -> impl Options {
    bincode::DefaultOptions::new()
        .with_fixint_encoding()
        .with_little_endian()
        .reject_trailing_bytes()
        .with_limit(FRAME_PAYLOAD_BYTES_MAX as u64)
}

pub(super) fn encode(record: &impl Serialize) -> Vec<u8> {
    options().serialize(record).expect("records are bounded by the limits of what they hold")
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    options().deserialize(bytes).map_err(|_| Malformed("a record cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes_of_records() {
        // Goal: the bytes on disk never change, whatever crate writes them.
        let format = FormatV1 {
            volume: [1; 16],
            lineage: [2; 16],
            partition_days: 1,
            discard_late_after: Some(3),
            tiers: vec![(4, 5)],
            sketches: true,
        };
        let mut golden = vec![1; 16];
        golden.extend([2; 16]);
        golden.extend([1, 0, 1, 3, 0, 0, 0, 0, 0, 0, 0]);
        golden.extend([1_u64, 4, 5].iter().flat_map(|number| number.to_le_bytes()));
        golden.push(1);
        assert_eq!(format.encode(), golden);
        assert_eq!(FormatV1::decode(&golden), Ok(format));

        let key = SeriesKey::new("A.B", "m", [("h", "x")]).expect("valid");
        let mut golden = Vec::new();
        golden.extend(b"\x03\0\0\0\0\0\0\0A.B");
        golden.extend(b"\x01\0\0\0\0\0\0\0m");
        golden.extend(b"\x01\0\0\0\0\0\0\0");
        golden.extend(b"\x01\0\0\0\0\0\0\0h\x01\0\0\0\0\0\0\0x");
        assert_eq!(encode_series(&key), golden);
        assert_eq!(decode_series(&golden), Ok(key));
    }

    #[test]
    fn a_byte_too_many_or_too_few_is_refused() {
        let mut bytes = FormatV1 {
            volume: [1; 16],
            lineage: [2; 16],
            partition_days: 1,
            discard_late_after: None,
            tiers: Vec::new(),
            sketches: false,
        }
        .encode();
        assert!(FormatV1::decode(&bytes[..bytes.len() - 1]).is_err());
        bytes.push(0);
        assert!(FormatV1::decode(&bytes).is_err());
        assert!(decode_series(&u64::MAX.to_le_bytes()).is_err(), "a length of 2^64 allocates nothing");
    }
}
