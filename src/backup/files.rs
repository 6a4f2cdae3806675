//! Whole files, on one disk or between two: linked where that can be, else copied; read again and added up. In pieces, so
//! that memory stays small and whoever asks can set the pace.

use std::io;
use std::path::Path;

use crate::codec::digest::{self, Digest};
use crate::env::disk::{Disk, DiskRead};
use crate::error::{Error, Result};

/// Bytes that are read or copied at a time.
const PIECE_BYTES: usize = 1 << 20;

/// What a file amounts to: its length, and the digest of all of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sum {
    pub(crate) bytes: u64,
    pub(crate) digest: u64,
}

impl Sum {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, digest: digest::of(bytes) }
    }
}

/// Told of bytes that went by; an error ends the work.
pub(crate) type Paced<'a> = dyn FnMut(u64) -> Result<()> + 'a;

/// Writes a file that nobody knows yet, durably but for its name.
pub(crate) fn put(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<()> {
    let written = disk.create(path).and_then(|mut file| {
        file.write_at(bytes, 0)?;
        file.sync()
    });
    written.map_err(|error| Error::io(format_args!("write {}", path.display()), error))
}

/// Gives a file a second name; whether that can be, here and between these two folders.
pub(crate) fn link(disk: &dyn Disk, from: &Path, to: &Path) -> Result<bool> {
    use io::ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
    match disk.link(from, to) {
        Ok(()) => Ok(true),
        // File systems without links say one of the latter two.
        Err(error) if matches!(error.kind(), CrossesDevices | TooManyLinks | PermissionDenied | Unsupported) => {
            Ok(false)
        }
        Err(error) => Err(Error::io(format_args!("link {} as {}", from.display(), to.display()), error)),
    }
}

/// Copies a file, durably but for its name.
pub(crate) fn copy(
    (from_disk, from): (&dyn Disk, &Path),
    (to_disk, to): (&dyn Disk, &Path),
    paced: &mut Paced<'_>,
) -> Result<Sum> {
    let failed = |error| Error::io(format_args!("write {}", to.display()), error);
    let mut file = to_disk.create(to).map_err(failed)?;
    let sum = read(from_disk, from, &mut |piece, offset| {
        file.write_at(piece, offset).map_err(failed)?;
        paced(piece.len() as u64)
    })?;
    file.sync().map_err(failed)?;
    Ok(sum)
}

/// Reads a file.
pub(crate) fn sum(disk: &dyn Disk, path: &Path, paced: &mut Paced<'_>) -> Result<Sum> {
    read(disk, path, &mut |piece, _| paced(piece.len() as u64))
}

/// Reads a file piece by piece.
fn read(disk: &dyn Disk, path: &Path, take: &mut dyn FnMut(&[u8], u64) -> Result<()>) -> Result<Sum> {
    let failed = |error| Error::io(format_args!("read {}", path.display()), error);
    let file: Box<dyn DiskRead> = disk.open(path).map_err(failed)?;
    let bytes = file.len().map_err(failed)?;
    let mut digest = Digest::new();
    let mut buffer = vec![0; PIECE_BYTES.min(usize::try_from(bytes).unwrap_or(PIECE_BYTES))];
    let mut offset = 0;
    while offset < bytes {
        let len = buffer.len().min(usize::try_from(bytes - offset).unwrap_or(PIECE_BYTES));
        let piece = &mut buffer[..len];
        file.read_at(piece, offset).map_err(failed)?;
        digest.push(piece);
        take(piece, offset)?;
        offset += len as u64;
    }
    Ok(Sum { bytes, digest: digest.value() })
}
