//! The bytes of MANIFEST: twice the same record, each copy with a checksum of its own, so that rotten bytes in one cost
//! nothing. Encoding and checking only; no file is touched here.

use std::fmt;

use crate::codec::checksum::Place;
use crate::codec::metas;
use crate::codec::record::ManifestV1;
use crate::manifest::version::Version;
use crate::model::durability::Sequence;
use crate::model::limits::{DELETIONS_MAX, MANIFEST_BYTES_MAX, SEGMENTS_MAX};
use crate::model::series::SeriesId;
use crate::model::time::Timestamp;

/// Magic, version, kind, checksum and length of the record.
pub(super) const HEADER_BYTES: usize = 24;
/// Longest copy.
const COPY_BYTES_MAX: u64 = MANIFEST_BYTES_MAX + HEADER_BYTES as u64;

const MAGIC: [u8; 8] = *b"EBBTIDE\0";
/// Version of the manifest's format.
const VERSION: u16 = 1;
/// Kind of file: MANIFEST.
const KIND_MANIFEST: u16 = 3;

/// Why a copy cannot be used.
#[derive(Debug)]
pub(super) enum BadCopy {
    /// A newer program wrote it.
    Newer(u16),
    /// Its bytes are not what was written.
    Damaged(String),
    /// The disk does not give its bytes.
    Unreadable(std::io::Error),
}

impl fmt::Display for BadCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newer(version) => write!(f, "it is of manifest format {version}, this version knows {VERSION}"),
            Self::Damaged(why) => f.write_str(why),
            Self::Unreadable(error) => write!(f, "it cannot be read: {error}"),
        }
    }
}

/// The bytes of the file.
pub(super) fn encode(version: &Version, lineage: [u8; 16]) -> Vec<u8> {
    let record = to_record(version).encode();
    let mut copy = Vec::with_capacity(HEADER_BYTES + record.len());
    copy.extend_from_slice(&MAGIC);
    copy.extend_from_slice(&VERSION.to_le_bytes());
    copy.extend_from_slice(&KIND_MANIFEST.to_le_bytes());
    copy.extend_from_slice(&[0; 4]);
    copy.extend_from_slice(&(record.len() as u64).to_le_bytes());
    copy.extend_from_slice(&record);
    let mut bytes = Vec::with_capacity(2 * copy.len());
    for offset in [0, copy.len() as u64] {
        let checksum = place(lineage, offset).checksum(&copy);
        bytes.extend_from_slice(&copy[..12]);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes.extend_from_slice(&copy[16..]);
    }
    bytes
}

/// Length of the copy that starts with this header, if it can be one. Nothing is checked yet.
pub(super) fn copy_bytes(header: &[u8; HEADER_BYTES]) -> Option<u64> {
    let (_, length) = header.split_last_chunk().expect("the header is longer");
    let bytes = u64::from_le_bytes(*length).checked_add(HEADER_BYTES as u64)?;
    Some(bytes).filter(|bytes| *bytes <= COPY_BYTES_MAX)
}

/// What the copy says that starts at this offset of the file and fills `bytes`.
pub(super) fn decode_copy(bytes: &[u8], offset: u64, lineage: [u8; 16]) -> Result<Version, BadCopy> {
    let damaged = |why: &str| BadCopy::Damaged(why.to_owned());
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>().filter(|(header, _)| header[0..8] == MAGIC)
    else {
        return Err(damaged("it does not start like a manifest"));
    };
    let mut unsealed = bytes.to_vec();
    unsealed[12..16].fill(0);
    let checksum = place(lineage, offset).checksum(&unsealed);
    let stored = u32::from_le_bytes([header[12], header[13], header[14], header[15]]);
    if checksum != stored {
        return Err(BadCopy::Damaged(format!("checksum {checksum:08x}, stored {stored:08x}")));
    }
    match u16::from_le_bytes([header[8], header[9]]) {
        VERSION if header[10..12] == KIND_MANIFEST.to_le_bytes() => {}
        VERSION => return Err(damaged("it is another kind of file")),
        newer => return Err(BadCopy::Newer(newer)),
    }
    let (_, length) = header.split_last_chunk().expect("the header is longer");
    let record = usize::try_from(u64::from_le_bytes(*length)).ok().and_then(|length| rest.get(..length));
    let record = ManifestV1::decode(record.ok_or_else(|| damaged("its record has no end"))?);
    to_version(&record.map_err(|malformed| damaged(malformed.0))?).map_err(damaged)
}

fn place(lineage: [u8; 16], offset: u64) -> Place {
    Place { lineage, file: 0, offset }
}

fn to_record(version: &Version) -> ManifestV1 {
    let mut segments = Vec::new();
    metas::encode(&version.segments, &mut segments);
    ManifestV1 {
        edits: version.edits,
        flushed: version.flushed.0,
        log_floor: version.log_floor,
        next_segment: version.next_segment,
        next_series: version.next_series.0,
        horizon: version.horizon.as_millis(),
        catalog: version.catalog.as_ref().map(Into::into),
        deletions: version.deletions.iter().map(Into::into).collect(),
        segments,
    }
}

fn to_version(record: &ManifestV1) -> Result<Version, &'static str> {
    let segments = metas::decode(&record.segments).map_err(|malformed| malformed.0)?;
    if segments.len() > SEGMENTS_MAX || record.deletions.len() > DELETIONS_MAX {
        return Err("it lists more than there can be");
    }
    let version = Version {
        segments,
        deletions: record.deletions.iter().map(Into::into).collect(),
        flushed: Sequence(record.flushed),
        log_floor: record.log_floor,
        next_segment: record.next_segment,
        next_series: SeriesId(record.next_series),
        horizon: Timestamp::from_millis(record.horizon),
        catalog: record.catalog.as_ref().map(Into::into),
        edits: record.edits,
    };
    version.check()?;
    Ok(version)
}
