//! The bytes of BACKUP. Encoding and checking only; no file is touched here.

use crate::backup::{Contents, File};
use crate::codec::checksum;
use crate::codec::record::{BackupV1, FileV1};
use crate::env::layout;
use crate::error::ErrorKind;
use crate::model::durability::Sequence;
use crate::model::limits::{EXPIRY_MILLIS_MAX, SEGMENTS_MAX, SEQUENCE_MAX, TIERS_MAX};
use crate::model::time::Timestamp;

const MAGIC: [u8; 8] = *b"EBBTIDE\0";
/// Version of the format of a backup's list.
const VERSION: u16 = 1;
/// Kind of file: BACKUP.
const KIND_BACKUP: u16 = 6;
/// Magic, version, kind and checksum.
const HEADER_BYTES: usize = 16;

/// Why bytes cannot be used, as the kind and the words of an error.
pub(super) type Bad = (ErrorKind, String);

pub(super) fn encode(contents: &Contents) -> Vec<u8> {
    let Contents { volume, lineage, sequence, taken_at, tiers, files } = contents;
    let record = |File { name, bytes, digest }: &File| FileV1 { name: name.clone(), bytes: *bytes, digest: *digest };
    let record = BackupV1 {
        volume: *volume,
        lineage: *lineage,
        sequence: sequence.0,
        taken_at: taken_at.as_millis(),
        tiers: tiers.clone(),
        files: files.iter().map(record).collect(),
    };
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&KIND_BACKUP.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&record.encode());
    let checksum = checksum::of(&bytes);
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

pub(super) fn decode(bytes: &[u8]) -> Result<Contents, Bad> {
    let damaged = |why: &str| (ErrorKind::Corruption, why.to_owned());
    let Some(&header) = bytes.first_chunk::<HEADER_BYTES>().filter(|header| header[0..8] == MAGIC) else {
        return Err(damaged("it does not start like the list of a backup"));
    };
    let mut unsealed = bytes.to_vec();
    unsealed[12..16].fill(0);
    let (checksum, stored) =
        (checksum::of(&unsealed), u32::from_le_bytes([header[12], header[13], header[14], header[15]]));
    if checksum != stored {
        return Err((ErrorKind::Corruption, format!("checksum {checksum:08x}, stored {stored:08x}")));
    }
    let version = u16::from_le_bytes([header[8], header[9]]);
    if version != VERSION {
        return Err((ErrorKind::Unsupported, format!("backup format {version}, this version knows {VERSION}")));
    }
    if header[10..12] != KIND_BACKUP.to_le_bytes() {
        return Err(damaged("it is another kind of file"));
    }
    let record = BackupV1::decode(&bytes[HEADER_BYTES..]).map_err(|malformed| damaged(malformed.0))?;
    check(&record).map_err(damaged)?;
    let BackupV1 { volume, lineage, sequence, taken_at, tiers, files } = record;
    let file = |FileV1 { name, bytes, digest }: FileV1| File { name, bytes, digest };
    let (sequence, taken_at) = (Sequence(sequence), Timestamp::from_millis(taken_at));
    Ok(Contents { volume, lineage, sequence, taken_at, tiers, files: files.into_iter().map(file).collect() })
}

/// Refuses what cannot be: no name leads out of the folder, and none is there twice.
fn check(record: &BackupV1) -> Result<(), &'static str> {
    if record.files.len() > SEGMENTS_MAX + 2 || record.tiers.len() > TIERS_MAX {
        return Err("it lists more than there can be");
    }
    if record.sequence > SEQUENCE_MAX || record.taken_at.unsigned_abs() > EXPIRY_MILLIS_MAX.unsigned_abs() {
        return Err("its sequence or its moment makes no sense");
    }
    if !record.files.is_sorted_by(|one, next| one.name < next.name) {
        return Err("its files are not in order");
    }
    let is_whole = |name: &str| record.files.iter().any(|file| file.name == name);
    if !is_whole(layout::FORMAT) || !is_whole(layout::MANIFEST) {
        return Err("it lists no FORMAT or no MANIFEST");
    }
    let is_ours = |file: &FileV1| {
        let segment = file.name.strip_prefix(layout::SEGMENTS).and_then(|rest| rest.strip_prefix('/'));
        let is_segment = segment.is_some_and(|name| layout::segment_number(name).is_some());
        is_segment || file.name == layout::FORMAT || file.name == layout::MANIFEST
    };
    if record.files.iter().all(is_ours) { Ok(()) } else { Err("it lists a file that no volume has") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Contents {
        let file = |name: &str, bytes, digest| File { name: name.to_owned(), bytes, digest };
        Contents {
            volume: [1; 16],
            lineage: [2; 16],
            sequence: Sequence(3),
            taken_at: Timestamp::from_millis(4),
            tiers: vec![(300_000, 5)],
            files: vec![file("FORMAT", 76, 6), file("MANIFEST", 7, 8), file("segments/000001.pts", 9, 10)],
        }
    }

    #[test]
    fn golden_bytes_of_a_backup() {
        // Goal: BACKUP never changes; docs/format.md explains these bytes.
        let bytes = encode(&sample());
        assert_eq!(&bytes[..12], b"EBBTIDE\0\x01\0\x06\0");
        let mut record = [[1; 16], [2; 16]].concat();
        record.extend([3_u64, 4, 1, 300_000, 5, 3].iter().flat_map(|number| number.to_le_bytes()));
        for (name, bytes, digest) in [("FORMAT", 76_u64, 6_u64), ("MANIFEST", 7, 8), ("segments/000001.pts", 9, 10)] {
            record.extend((name.len() as u64).to_le_bytes());
            record.extend(name.as_bytes());
            record.extend(bytes.to_le_bytes());
            record.extend(digest.to_le_bytes());
        }
        assert_eq!(&bytes[16..], record);
        assert_eq!(decode(&bytes), Ok(sample()));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_refused() {
        let bytes = encode(&sample());
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&damaged).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len]).is_err(), "length {len}");
        }
    }

    #[test]
    fn a_list_that_no_backup_has_is_refused_behind_a_right_checksum() {
        // Goal: nothing outside of the folder is ever named. Method: one thing wrong at a time.
        let refused = |change: &dyn Fn(&mut Contents)| {
            let mut contents = sample();
            change(&mut contents);
            matches!(decode(&encode(&contents)), Err((ErrorKind::Corruption, _)))
        };
        assert!(!refused(&|_| {}));
        for name in ["segments/../../x", "segments/1.pts", "segments", "wal/000001.log", "/etc/passwd", "segments/"] {
            assert!(refused(&|contents| contents.files[2].name = name.to_owned()), "{name}");
        }
        assert!(refused(&|contents| contents.files.swap(0, 1)));
        assert!(refused(&|contents| contents.files[1] = contents.files[0].clone()));
        assert!(refused(&|contents| drop(contents.files.remove(0))));
        assert!(refused(&|contents| contents.sequence = Sequence(u64::MAX)));
        assert!(refused(&|contents| contents.taken_at = Timestamp::from_millis(i64::MIN)));
        assert!(refused(&|contents| contents.tiers = vec![(1, 1); TIERS_MAX + 1]));
    }

    #[test]
    fn a_newer_format_is_told_from_damage() {
        let mut bytes = encode(&sample());
        bytes[8] = 2;
        bytes[12..16].fill(0);
        let checksum = checksum::of(&bytes);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(decode(&bytes).map_err(|(kind, _)| kind), Err(ErrorKind::Unsupported));
    }
}
