//! Mending a log file at open: whole frames are written anew into a fresh file that takes the old one's name. What was
//! read back may exist in the page cache only, and nothing is ever appended behind a tear or damage.

use std::ops::RangeInclusive;
use std::path::Path;

use crate::codec::checksum::Place;
use crate::env::disk::{Disk, parent, replace};
use crate::env::layout;
use crate::error::{Error, Result};
use crate::model::durability::Sequence;
use crate::wal::format::{FrameHeader, Kind, Payload, empty_payload, encode_file_header, gap_payload, put_frame};
use crate::wal::scan::Verdict;

/// Sets damaged ranges aside and writes a file anew with the frames that are kept, sealed. `span` is the last sequence
/// before the file and the last one in it; what is missing in between is noted as a gap, so that it is told once.
/// Gives the length of the new file; 0 when nothing was worth keeping and the file is gone.
pub(super) fn rewrite(
    disk: &dyn Disk,
    volume: &Path,
    start: Place,
    file: &[u8],
    verdict: &Verdict,
    span: RangeInclusive<Sequence>,
) -> Result<u64> {
    let name = layout::log_name(start.file);
    let path = volume.join(layout::WAL).join(&name);
    for (range, _) in &verdict.damage {
        quarantine(disk, volume, &format!("{name}.{}", range.start), &file[range.clone()])?;
    }
    if let Some(torn) = &verdict.torn {
        tracing::info!(file = %name, offset = torn.start, bytes = torn.len(), "a torn end of the log is cut off");
        // Whole batches behind a tear are not known to be durable, but a tear and a rotten last group of an idle log
        // look alike. So they are not replayed, and not destroyed either.
        if verdict.torn_batches > 0 {
            quarantine(disk, volume, &format!("{name}.{}.torn", torn.start), &file[torn.clone()])?;
        }
    }
    // A file that accounts for no sequence, and for no damage, says nothing.
    if span.start() == span.end() && verdict.damage.is_empty() {
        return remove(disk, &path);
    }
    let mut bytes = encode_file_header(start.lineage, start.file).to_vec();
    let (mut next, last) = (span.start().next(), *span.end());
    for frame in verdict.keep.iter().filter(|frame| frame.header.kind != Kind::Seal) {
        let FrameHeader { kind, sequence, .. } = frame.header;
        put_gap(&mut bytes, start, next, frame.first(file));
        let payload = Payload::new(file[frame.payload.clone()].to_vec()).expect("a frame's payload fits a frame");
        put_durable(&mut bytes, start, kind, sequence, &payload);
        next = sequence.next();
    }
    put_gap(&mut bytes, start, next, last.next());
    put_durable(&mut bytes, start, Kind::Seal, last, &empty_payload());
    replace(disk, &path, &bytes).map_err(|error| Error::io(format_args!("write {name} anew"), error))?;
    Ok(bytes.len() as u64)
}

/// Accounts for the sequences from `first` to before `end`, if there are any.
fn put_gap(bytes: &mut Vec<u8>, start: Place, first: Sequence, end: Sequence) {
    if first < end {
        put_durable(bytes, start, Kind::Gap, Sequence(end.0 - 1), &gap_payload(first));
    }
}

/// Appends a frame that vouches for everything before it: the file is durable before it gets its name.
fn put_durable(bytes: &mut Vec<u8>, start: Place, kind: Kind, sequence: Sequence, payload: &Payload) {
    let durable = bytes.len() as u64;
    put_frame(bytes, start, kind, sequence, durable, payload);
}

fn quarantine(disk: &dyn Disk, volume: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let dir = volume.join(layout::QUARANTINE);
    let path = dir.join(name);
    tracing::warn!(file = %path.display(), bytes = bytes.len(), "damaged bytes of the log are set aside");
    disk.create_dir_all(&dir)
        .and_then(|()| replace(disk, &path, bytes))
        .map_err(|error| Error::io(format_args!("set aside {}", path.display()), error))
}

fn remove(disk: &dyn Disk, path: &Path) -> Result<u64> {
    disk.remove(path)
        .and_then(|()| disk.sync_dir(parent(path)))
        .map_err(|error| Error::io(format_args!("remove {}", path.display()), error))?;
    Ok(0)
}
