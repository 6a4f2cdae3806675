//! FORMAT: what says that a directory is a volume, of which format, and which one.

use std::io;
use std::path::Path;

use crate::codec::checksum;
use crate::codec::record::FormatV1;
use crate::env::disk::{Disk, TEMPORARY, replace};
use crate::env::{identity, layout};
use crate::error::{Error, ErrorKind, Result};

const MAGIC: [u8; 8] = *b"EBBTIDE\0";
/// Version of the volume's format.
const VERSION: u16 = 1;
/// Kind of file: FORMAT.
const KIND_FORMAT: u16 = 2;
/// Magic, version, kind and checksum.
const HEADER_BYTES: usize = 16;
/// Longest FORMAT that is read; this version's has 50 bytes.
const FORMAT_BYTES_MAX: u64 = 4096;
/// Span of a partition. Every period divides a day, so no window crosses one.
const PARTITION_DAYS: u16 = 1;

/// Reads FORMAT, or makes it in a directory that is empty.
pub(super) fn read_or_make(disk: &dyn Disk, dir: &Path) -> Result<FormatV1> {
    let path = dir.join(layout::FORMAT);
    match disk.read(&path, FORMAT_BYTES_MAX) {
        Ok(bytes) => decode(&bytes).map_err(|(kind, why)| Error::new(kind, format!("{}: {why}", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(disk, dir, &path),
        Err(error) => Err(Error::io(format_args!("read {}", path.display()), error)),
    }
}

fn make(disk: &dyn Disk, dir: &Path, path: &Path) -> Result<FormatV1> {
    refuse_foreign(disk, dir)?;
    let wal = dir.join(layout::WAL);
    disk.create_dir_all(&wal).map_err(|error| Error::io(format_args!("make {}", wal.display()), error))?;
    let format = FormatV1 { volume: identity::new_id(), lineage: identity::new_id(), partition_days: PARTITION_DAYS };
    // IMPORTANT: FORMAT is written last; a directory without it has never held a point.
    replace(disk, path, &encode(&format)).map_err(|error| Error::io(format_args!("make {}", path.display()), error))?;
    Ok(format)
}

/// A directory without FORMAT may hold only what a crash during its creation leaves.
fn refuse_foreign(disk: &dyn Disk, dir: &Path) -> Result<()> {
    let list = |dir: &Path| match disk.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other.map_err(|error| Error::io(format_args!("list {}", dir.display()), error)),
    };
    if let Some(name) = list(&dir.join(layout::WAL))?.first() {
        let dir = dir.display();
        return Err(Error::corrupt(format!("{dir} has wal/{name} but no FORMAT: put FORMAT back from a backup")));
    }
    let is_ours = |name: &String| [layout::LOCK, layout::WAL].contains(&name.as_str()) || name.ends_with(TEMPORARY);
    if let Some(name) = list(dir)?.iter().find(|name| !is_ours(name)) {
        let dir = dir.display();
        let why = format!("{dir} is no Ebbtide volume and holds {name}: use an empty directory");
        return Err(Error::new(ErrorKind::Unsupported, why));
    }
    Ok(())
}

fn encode(format: &FormatV1) -> Vec<u8> {
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
    FormatV1::decode(&bytes[HEADER_BYTES..]).map_err(|malformed| (ErrorKind::Corruption, malformed.0.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: FormatV1 = FormatV1 { volume: [1; 16], lineage: [2; 16], partition_days: 1 };

    #[test]
    fn golden_bytes_of_format() {
        // Goal: FORMAT never changes; docs/format.md explains these bytes.
        let bytes = encode(&SAMPLE);
        assert_eq!(&bytes[..12], b"EBBTIDE\0\x01\0\x02\0");
        assert_eq!(&bytes[12..16], &[183, 150, 244, 0]);
        assert_eq!(bytes.len(), 50);
        assert_eq!(decode(&bytes), Ok(SAMPLE));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_refused() {
        let bytes = encode(&SAMPLE);
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
    fn a_newer_format_is_told_from_damage() {
        let mut bytes = encode(&SAMPLE);
        bytes[8] = 2;
        bytes[12..16].fill(0);
        let checksum = checksum::of(&bytes);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(decode(&bytes).map_err(|(kind, _)| kind), Err(ErrorKind::Unsupported));
    }
}
