//! Reading the log back, file by file in order: what `scan` finds is replayed, what has to be mended goes to `mend`.

use std::path::{Path, PathBuf};

use crate::codec::checksum::Place;
use crate::env::disk::Disk;
use crate::env::layout;
use crate::error::{Error, ErrorKind, Result};
use crate::model::durability::Sequence;
use crate::model::limits::{LOG_FILE_BYTES_MAX, LOG_NUMBER_MAX, SEQUENCE_MAX};
use crate::wal::format::{BadHeader, FILE_HEADER_BYTES, FrameHeader, Kind, check_file_header};
use crate::wal::mend;
use crate::wal::scan::{Verdict, judge, scan};

/// What replaying the log found.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    /// Number of the next file; at least the floor.
    pub(crate) next_number: u64,
    /// Sequence of the last batch; at least the one that was replayed from.
    pub(crate) last: Sequence,
    /// The files that are there, in order.
    pub(crate) files: Vec<CompleteFile>,
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

/// A log file to which nothing is appended any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CompleteFile {
    pub(crate) number: u64,
    pub(crate) bytes: u64,
}

/// What takes in a batch at replay; it says what is wrong with one that it cannot take.
pub(crate) type Apply<'a> = dyn FnMut(Sequence, &[u8]) -> std::result::Result<(), String> + 'a;

/// Replays the log files of a volume in order: `apply` gets every batch behind `from`. What comes up to it is stored
/// elsewhere, as is all that files with a number below `floor` hold: those are removed unread. Files that a crash left
/// open are written anew with a seal; damaged ranges are copied to `quarantine/` first.
///
/// # Errors
/// `Corruption` for damage when `strict`, before anything is changed; `Unsupported` for a newer format; `Io`.
pub(crate) fn replay(
    disk: &dyn Disk,
    volume: &Path,
    lineage: [u8; 16],
    from: Sequence,
    floor: u64,
    strict: bool,
    apply: &mut Apply<'_>,
) -> Result<Replay> {
    let folder = Folder { disk, dir: volume.join(layout::WAL), lineage };
    let (mut leftovers, numbers): (Vec<u64>, Vec<u64>) = folder.list()?.into_iter().partition(|&each| each < floor);
    let next_number = folder.next_number(&numbers, floor)?;
    let mut replay = Replay { next_number, last: from, sealed: true, ..Replay::default() };
    for (position, &number) in numbers.iter().enumerate() {
        let name = layout::log_name(number);
        let file = folder.read(number)?;
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
        let missing = accept(&mut verdict, &file, from, &mut replay.last, apply);
        let notes = verdict.damage.iter().map(|(range, why)| format!("wal/{name} at {}: {why}", range.start));
        let notes: Vec<String> = notes.chain(missing.iter().map(|gap| format!("wal/{name}: {gap}"))).collect();
        if let Some(note) = notes.first().filter(|_| strict) {
            return Err(Error::corrupt(format!("{note}; open without `strict` to set it aside and serve the rest")));
        }
        replay.sealed = sealed && verdict.torn.is_none();
        replay.torn_bytes += verdict.torn.as_ref().map_or(0, |torn| torn.len() as u64);
        replay.torn_batches += verdict.torn_batches;
        let mut bytes = file.len() as u64;
        // Also one in the middle: a seal that was read back when the next file was made may have been in the cache only.
        if !notes.is_empty() || !replay.sealed {
            // First, as their space may be what the mended file needs.
            folder.remove(&mut leftovers);
            match mend::rewrite(disk, volume, start, &file, &verdict, before..=replay.last) {
                Ok(len) => bytes = len,
                // Nothing is written behind one in the middle, and it is tried again at the next opening.
                Err(error) if error.kind() == ErrorKind::NoSpace && !is_last && notes.is_empty() => {}
                Err(error) if error.kind() == ErrorKind::NoSpace => replay.unmended = Some(error),
                Err(error) => return Err(error),
            }
        }
        if bytes > 0 {
            replay.files.push(CompleteFile { number, bytes });
        }
        replay.damage.extend(notes);
    }
    folder.remove(&mut leftovers);
    Ok(replay)
}

/// The folder that the log files lie in.
struct Folder<'a> {
    disk: &'a dyn Disk,
    dir: PathBuf,
    lineage: [u8; 16],
}

impl Folder<'_> {
    /// The numbers of all log files, in order.
    fn list(&self) -> Result<Vec<u64>> {
        let names = self.disk.list(&self.dir);
        let names = names.map_err(|error| Error::io(format_args!("list {}", self.dir.display()), error))?;
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| layout::log_number(name)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn read(&self, number: u64) -> Result<Vec<u8>> {
        let name = layout::log_name(number);
        let file = self.disk.read(&self.dir.join(&name), LOG_FILE_BYTES_MAX);
        file.map_err(|error| Error::io(format_args!("read wal/{name}"), error))
    }

    /// The number that the next file gets.
    fn next_number(&self, numbers: &[u64], floor: u64) -> Result<u64> {
        let last = numbers.last().copied();
        // A newer program wrote the newest file, if it wrote any: nothing is touched before that is known.
        if let Some(last) = last
            && let Err(BadHeader::Newer(version)) = check_file_header(&self.read(last)?, self.lineage, last)
        {
            return Err(newer(version));
        }
        let next = last.map_or(1, |last| last.saturating_add(1)).max(floor);
        if next > LOG_NUMBER_MAX {
            return Err(Error::corrupt(format!("the log cannot go on with a file of number {next}")));
        }
        Ok(next)
    }

    /// Removes files that nothing needs any more. One that stays, or comes back since the folder could not be synced,
    /// is removed at the next open.
    fn remove(&self, leftovers: &mut Vec<u64>) {
        if leftovers.is_empty() {
            return;
        }
        for number in leftovers.drain(..) {
            let name = layout::log_name(number);
            match self.disk.remove(&self.dir.join(&name)) {
                Ok(()) => tracing::debug!(file = %name, "a log file that nothing needs is removed"),
                Err(error) => tracing::warn!(file = %name, %error, "a log file that nothing needs stays"),
            }
        }
        if let Err(error) = self.disk.sync_dir(&self.dir) {
            tracing::warn!(%error, "log files that were removed may come back, and are removed again");
        }
    }
}

fn newer(version: u16) -> Error {
    let why = format!("the log is of format {version}, this version knows 1: use a newer one");
    Error::new(ErrorKind::Unsupported, why)
}

/// Replays the frames that are kept; those that cannot be replayed become damage. Tells which sequences behind `from`
/// are missing.
fn accept(
    verdict: &mut Verdict,
    file: &[u8],
    from: Sequence,
    last: &mut Sequence,
    apply: &mut Apply<'_>,
) -> Vec<String> {
    let mut missing = Vec::new();
    let mut damage = Vec::new();
    verdict.keep.retain(|frame| {
        let FrameHeader { kind, sequence, .. } = frame.header;
        if sequence <= from {
            // Stored elsewhere, whole or not. A file that is written anew does without it.
            return false;
        }
        // A gap that was told may begin before what is stored elsewhere ends.
        let first = frame.first(file).max(from.next());
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
