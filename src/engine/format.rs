//! FORMAT: what says that a directory is a volume, of which format, and which one.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::codec::checksum;
use crate::codec::record::FormatV1;
use crate::engine::settings::Settings;
use crate::env::disk::{Disk, TEMPORARY, replace};
use crate::env::{identity, layout};
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::Manifest;
use crate::model::limits::PARTITION_DAYS_MAX;
use crate::model::rollup::{Late, Rollup, Tier};

const MAGIC: [u8; 8] = *b"EBBTIDE\0";
/// Version of the volume's format.
const VERSION: u16 = 1;
/// Kind of file: FORMAT.
const KIND_FORMAT: u16 = 2;
/// Magic, version, kind and checksum.
const HEADER_BYTES: usize = 16;
/// Longest FORMAT that is read; this version's has at most 324 bytes.
const FORMAT_BYTES_MAX: u64 = 4096;

/// Reads FORMAT, or makes it in a directory that is empty.
pub(super) fn read_or_make(disk: &Arc<dyn Disk>, dir: &Path, settings: &Settings) -> Result<FormatV1> {
    match read(&**disk, dir)? {
        Some(format) => Ok(format),
        None => make(disk, dir, &dir.join(layout::FORMAT), settings),
    }
}

/// Reads FORMAT; none if there is none.
pub(super) fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<FormatV1>> {
    let path = dir.join(layout::FORMAT);
    match disk.read(&path, FORMAT_BYTES_MAX) {
        Ok(bytes) => {
            let format = decode(&bytes).map_err(|(kind, why)| Error::new(kind, format!("{}: {why}", path.display())));
            format.map(Some)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(format_args!("read {}", path.display()), error)),
    }
}

fn make(disk: &Arc<dyn Disk>, dir: &Path, path: &Path, settings: &Settings) -> Result<FormatV1> {
    refuse_foreign(&**disk, dir)?;
    for folder in [layout::WAL, layout::SEGMENTS].map(|name| dir.join(name)) {
        disk.create_dir_all(&folder).map_err(|error| Error::io(format_args!("make {}", folder.display()), error))?;
    }
    let id = || settings.ids.unwrap_or_else(identity::new_id);
    let format = FormatV1 {
        volume: id(),
        lineage: id(),
        partition_days: settings.rollup.partition_days,
        discard_late_after: match settings.rollup.late {
            Late::Correct => None,
            Late::DiscardAfter(after) => Some(u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
        },
        sketches: settings.rollup.sketches,
        tiers: settings.rollup.tiers.iter().map(|tier| (tier.window, tier.keep)).collect(),
    };
    Manifest::create(disk.clone(), dir, format.lineage, settings.clock.now())?;
    // IMPORTANT: FORMAT is written last; a directory without it has never held a point.
    let made = replace(&**disk, path, &encode(&format));
    made.map_err(|error| Error::io(format_args!("make {}", path.display()), error))?;
    Ok(format)
}

/// The windows that are kept unless whoever opens the volume says otherwise; `None` if they cannot be.
pub(super) fn tiers_of(format: &FormatV1) -> Option<Vec<Tier>> {
    let millis = |millis: i64| u64::try_from(millis).map(Duration::from_millis).ok();
    let tiers: Option<Vec<_>> =
        format.tiers.iter().map(|&(window, keep)| Some((millis(window)?, millis(keep)?))).collect();
    Rollup::check_tiers(&tiers?).ok()
}

/// A directory without FORMAT may hold only what a crash during its creation leaves.
fn refuse_foreign(disk: &dyn Disk, dir: &Path) -> Result<()> {
    let list = |dir: &Path| match disk.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other.map_err(|error| Error::io(format_args!("list {}", dir.display()), error)),
    };
    if list(dir)?.iter().any(|name| name == layout::RESTORE) {
        let why = format!("a backup was being restored into {} and that did not end: restore it again", dir.display());
        return Err(Error::corrupt(why));
    }
    for folder in [layout::WAL, layout::SEGMENTS] {
        if let Some(name) = list(&dir.join(folder))?.first() {
            let dir = dir.display();
            let why = format!("{dir} has {folder}/{name} but no FORMAT: put FORMAT back from a backup");
            return Err(Error::corrupt(why));
        }
    }
    let ours = [layout::LOCK, layout::WAL, layout::SEGMENTS, layout::MANIFEST];
    let is_ours = |name: &String| ours.contains(&name.as_str()) || name.ends_with(TEMPORARY);
    if let Some(name) = list(dir)?.iter().find(|name| !is_ours(name)) {
        let dir = dir.display();
        let why = format!("{dir} is no Ebbtide volume and holds {name}: use an empty directory");
        return Err(Error::new(ErrorKind::Unsupported, why));
    }
    Ok(())
}

/// The bytes of the file.
pub(super) fn encode(format: &FormatV1) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&KIND_FORMAT.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&format.encode());
    let checksum = checksum::of(&bytes);
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> std::result::Result<FormatV1, (ErrorKind, String)> {
    let Some(&header) = bytes.first_chunk::<HEADER_BYTES>().filter(|header| header[0..8] == MAGIC) else {
        return Err((ErrorKind::Unsupported, "this is not Ebbtide's".into()));
    };
    let mut unsealed = bytes.to_vec();
    unsealed[12..16].fill(0);
    if checksum::of(&unsealed).to_le_bytes() != header[12..16] {
        let why = "the checksum does not match: put FORMAT back from a backup";
        return Err((ErrorKind::Corruption, why.into()));
    }
    let version = u16::from_le_bytes([header[8], header[9]]);
    if version != VERSION {
        return Err((ErrorKind::Unsupported, format!("format {version}, this version knows {VERSION}")));
    }
    if header[10..12] != KIND_FORMAT.to_le_bytes() {
        return Err((ErrorKind::Corruption, "it is another kind of file: put FORMAT back from a backup".into()));
    }
    let format = FormatV1::decode(&bytes[HEADER_BYTES..]);
    let format = format.map_err(|malformed| (ErrorKind::Corruption, malformed.0.to_owned()))?;
    if tiers_of(&format).is_none() {
        return Err((ErrorKind::Corruption, "windows that cannot be".to_owned()));
    }
    if !(1..=PARTITION_DAYS_MAX).contains(&format.partition_days) {
        return Err((ErrorKind::Corruption, format!("partitions of {} days cannot be", format.partition_days)));
    }
    Ok(format)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> FormatV1 {
        let tiers = vec![(300_000, 5)];
        FormatV1 {
            volume: [1; 16],
            lineage: [2; 16],
            partition_days: 1,
            discard_late_after: None,
            tiers,
            sketches: false,
        }
    }

    #[test]
    fn golden_bytes_of_format() {
        // Goal: FORMAT never changes; docs/format.md explains these bytes.
        let bytes = encode(&sample());
        assert_eq!(&bytes[..12], b"EBBTIDE\0\x01\0\x02\0");
        assert_eq!(&bytes[12..16], &[97, 198, 174, 221]);
        assert_eq!(bytes.len(), 76);
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
    fn what_cannot_be_true_behind_a_right_checksum_is_refused() {
        // Method: another kind of file, and spans out of range, summed again.
        let summed = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = encode(&sample());
            change(&mut bytes);
            bytes[12..16].fill(0);
            let checksum = checksum::of(&bytes);
            bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
            decode(&bytes).map_err(|(kind, _)| kind)
        };
        assert_eq!(summed(&|_| {}), Ok(sample()));
        assert_eq!(summed(&|bytes| bytes[10] = 3), Err(ErrorKind::Corruption));
        assert_eq!(summed(&|bytes| bytes[59] += 1), Err(ErrorKind::Corruption), "windows that do not divide a day");
        for days in [0_u16, 367, u16::MAX] {
            let set = |bytes: &mut Vec<u8>| bytes[48..50].copy_from_slice(&days.to_le_bytes());
            assert_eq!(summed(&set), Err(ErrorKind::Corruption), "{days} days");
        }
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
