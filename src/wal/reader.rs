//! Reading the log back, file by file in order: what `scan` finds is replayed, what has to be mended goes to `mend`.

use std::path::Path;

use crate::codec::checksum::Place;
use crate::env::disk::Disk;
use crate::env::layout;
use crate::error::{Error, ErrorKind, Result};
use crate::model::durability::Sequence;
use crate::model::limits::{LOG_FILE_BYTES_MAX, SEQUENCE_MAX};
use crate::wal::format::{BadHeader, FILE_HEADER_BYTES, FrameHeader, Kind, check_file_header};
use crate::wal::mend;
use crate::wal::scan::{Verdict, judge, scan};

/// What replaying the log found.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    /// Number of the next file.
    pub(crate) next_number: u64,
    /// Sequence of the last batch.
    pub(crate) last: Sequence,
    /// Bytes of log.
    pub(crate) bytes: u64,
    /// Whether the last run had sealed the log.
    pub(crate) sealed: bool,
    /// Bytes of a torn end that were cut off.
    pub(crate) torn_bytes: u64,
    /// Whole batches among them, which were set aside.
    pub(crate) torn_batches: u64,
    /// One sentence for each place that was damaged.
    pub(crate) damage: Vec<String>,
    /// Why a file that a crash left open could not be written anew: the disk is full. What was replayed can be read,
    /// but nothing may be written behind it.
    pub(crate) unmended: Option<Error>,
}

/// What takes in a batch at replay; it says what is wrong with one that it cannot take.
pub(crate) type Apply<'a> = dyn FnMut(Sequence, &[u8]) -> std::result::Result<(), String> + 'a;

/// Replays all log files of a volume in order: `apply` gets every batch. Files that a crash left open are written anew
/// with a seal; damaged ranges are copied to `quarantine/` first.
///
/// # Errors
/// `Corruption` for damage when `strict`, before anything is changed; `Unsupported` for a newer format; `Io`.
pub(crate) fn replay(
    disk: &dyn Disk,
    volume: &Path,
    lineage: [u8; 16],
    strict: bool,
    apply: &mut Apply<'_>,
) -> Result<Replay> {
    let dir = volume.join(layout::WAL);
    let names = disk.list(&dir).map_err(|error| Error::io(format_args!("list {}", dir.display()), error))?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| layout::log_number(name)).collect();
    numbers.sort_unstable();
    let read = |number| {
        let name = layout::log_name(number);
        let file = disk.read(&dir.join(&name), LOG_FILE_BYTES_MAX);
        file.map_err(|error| Error::io(format_args!("read wal/{name}"), error))
    };
    let next_number = match numbers.last() {
        None => 1,
        Some(&last) => {
            // A newer program wrote the newest file, if it wrote any: nothing is touched before that is known.
            if let Err(BadHeader::Newer(version)) = check_file_header(&read(last)?, lineage, last) {
                return Err(newer(version));
            }
            last.checked_add(1).ok_or_else(|| Error::corrupt(format!("wal/{} cannot be", layout::log_name(last))))?
        }
    };
    let mut replay = Replay { next_number, sealed: true, ..Replay::default() };
    for (position, &number) in numbers.iter().enumerate() {
        let name = layout::log_name(number);
        let file = read(number)?;
        let header = check_file_header(&file, lineage, number);
        if let Err(BadHeader::Newer(version)) = header {
            return Err(newer(version));
        }
        let start = Place { lineage, file: number, offset: 0 };
        let scan = scan(&file, start);
        let sealed = scan.sealed;
        let is_last = position + 1 == numbers.len();
        let mut verdict = judge(scan, is_last, file.len());
        if let Err(bad) = header {
            verdict.damage.insert(0, (0..FILE_HEADER_BYTES.min(file.len()), bad.to_string()));
        }
        let before = replay.last;
        let missing = accept(&mut verdict, &file, &mut replay.last, apply);
        let notes = verdict.damage.iter().map(|(range, why)| format!("wal/{name} at {}: {why}", range.start));
        let notes: Vec<String> = notes.chain(missing.iter().map(|gap| format!("wal/{name}: {gap}"))).collect();
        if let Some(note) = notes.first().filter(|_| strict) {
            return Err(Error::corrupt(format!("{note}; open without `strict` to set it aside and serve the rest")));
        }
        replay.sealed = sealed && verdict.torn.is_none();
        replay.torn_bytes += verdict.torn.as_ref().map_or(0, |torn| torn.len() as u64);
        replay.torn_batches += verdict.torn_batches;
        if !notes.is_empty() || (is_last && !replay.sealed) {
            match mend::rewrite(disk, volume, start, &file, &verdict, before..=replay.last) {
                Ok(len) => replay.bytes += len,
                Err(error) if error.kind() == ErrorKind::NoSpace => replay.unmended = Some(error),
                Err(error) => return Err(error),
            }
        } else {
            replay.bytes += file.len() as u64;
        }
        replay.damage.extend(notes);
    }
    Ok(replay)
}

fn newer(version: u16) -> Error {
    let why = format!("the log is of format {version}, this version knows 1: use a newer one");
    Error::new(ErrorKind::Unsupported, why)
}

/// Replays the frames that are kept; those that cannot be replayed become damage. Tells which sequences are missing.
fn accept(verdict: &mut Verdict, file: &[u8], last: &mut Sequence, apply: &mut Apply<'_>) -> Vec<String> {
    let mut missing = Vec::new();
    let mut damage = Vec::new();
    verdict.keep.retain(|frame| {
        let FrameHeader { kind, sequence, .. } = frame.header;
        let first = frame.first(file);
        if (first <= *last && kind != Kind::Seal) || sequence.0 > SEQUENCE_MAX {
            damage.push((frame.offset..frame.end(), format!("batch {first} cannot follow batch {last}")));
            return false;
        }
        if first > last.next() {
            missing.push(format!("batches {} to {} are missing", last.next(), first.0 - 1));
        }
        *last = sequence.max(*last);
        if kind == Kind::Batch
            && let Err(why) = apply(sequence, &file[frame.payload.clone()])
        {
            damage.push((frame.offset..frame.end(), format!("batch {sequence} cannot be read: {why}")));
            return false;
        }
        true
    });
    verdict.damage.append(&mut damage);
    missing
}
