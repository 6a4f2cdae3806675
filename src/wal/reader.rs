//! Reading the log back: which frames are whole, what a crash tore, what is damaged. Changes nothing by itself; what
//! has to be mended is handed to `mend`.

use std::ops::Range;
use std::path::Path;

use crate::codec::checksum::{self, Place};
use crate::env::disk::Disk;
use crate::env::layout;
use crate::error::{Error, ErrorKind, Result};
use crate::model::durability::Sequence;
use crate::model::limits::LOG_FILE_BYTES_MAX;
use crate::wal::format::{
    ALIGN, BadHeader, FILE_HEADER_BYTES, FRAME_HEADER_BYTES, FrameHeader, Kind, check_file_header,
};
use crate::wal::mend;

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
}

/// What takes in a batch at replay; it says what is wrong with one that it cannot take.
pub(crate) type Apply<'a> = dyn FnMut(Sequence, &[u8]) -> std::result::Result<(), String> + 'a;

/// A whole frame in a file's bytes.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) offset: usize,
    pub(super) header: FrameHeader,
    pub(super) payload: Range<usize>,
}

impl Frame {
    pub(super) fn end(&self) -> usize {
        self.payload.end.next_multiple_of(ALIGN)
    }

    /// The first sequence that the frame accounts for; a seal accounts for none and stands behind its own.
    pub(super) fn first(&self, file: &[u8]) -> Sequence {
        let sequence = self.header.sequence;
        match self.header.kind {
            Kind::Batch => sequence,
            Kind::Seal => sequence.next(),
            Kind::Gap => {
                file[self.payload.clone()].first_chunk().map_or(sequence, |first| Sequence(u64::from_le_bytes(*first)))
            }
        }
    }
}

/// What stands in one file.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) frames: Vec<Frame>,
    /// Ranges in which no whole frame lies, in order. Zeros up to the end of the file are not among them.
    pub(super) bad: Vec<Range<usize>>,
    pub(super) sealed: bool,
}

/// What is to be done with one file.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// Frames to replay, in order.
    pub(super) keep: Vec<Frame>,
    /// Damaged ranges, with what is wrong.
    pub(super) damage: Vec<(Range<usize>, String)>,
    /// The end that a crash tore, if it did.
    pub(super) torn: Option<Range<usize>>,
    /// Whole batches in the torn end.
    pub(super) torn_batches: u64,
}

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
    let next_number = numbers.last().map_or(1, |last| last + 1);
    let mut replay = Replay { next_number, sealed: true, ..Replay::default() };
    for (position, &number) in numbers.iter().enumerate() {
        let name = layout::log_name(number);
        let path = dir.join(&name);
        let file =
            disk.read(&path, LOG_FILE_BYTES_MAX).map_err(|error| Error::io(format_args!("read {name}"), error))?;
        let header = check_file_header(&file, lineage, number);
        if let Err(BadHeader::Newer(version)) = header {
            let why = format!("wal/{name} is of log format {version}, this version knows 1: use a newer one");
            return Err(Error::new(ErrorKind::Unsupported, why));
        }
        let start = Place { lineage, file: number, offset: 0 };
        let scan = scan(&file, start);
        let sealed = scan.sealed;
        let is_last = position + 1 == numbers.len();
        let mut verdict = judge(scan, is_last, file.len());
        if let Err(BadHeader::Damaged(why)) = header {
            verdict.damage.insert(0, (0..FILE_HEADER_BYTES.min(file.len()), why.to_owned()));
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
            replay.bytes += mend::rewrite(disk, volume, start, &file, &verdict, before..=replay.last)?;
        } else {
            replay.bytes += file.len() as u64;
        }
        replay.damage.extend(notes);
    }
    Ok(replay)
}

/// Finds every whole frame of a file.
pub(super) fn scan(file: &[u8], start: Place) -> Scan {
    let mut scan = Scan { frames: Vec::new(), bad: Vec::new(), sealed: false };
    let mut offset = FILE_HEADER_BYTES;
    let mut bad_from = None;
    while offset < file.len() && !scan.sealed {
        let Some(frame) = frame_at(file, start, offset) else {
            bad_from.get_or_insert(offset);
            offset += ALIGN;
            continue;
        };
        scan.bad.extend(bad_from.take().map(|from| from..offset));
        scan.sealed = frame.header.kind == Kind::Seal;
        offset = frame.end();
        scan.frames.push(frame);
    }
    // What was laid out and never written is zero, and no damage.
    if let Some(from) = bad_from
        && let Some(length) = file[from..].iter().rposition(|&byte| byte != 0)
    {
        scan.bad.push(from..from + length + 1);
    }
    scan
}

fn frame_at(file: &[u8], start: Place, offset: usize) -> Option<Frame> {
    let place = Place { offset: offset as u64, ..start };
    let header = FrameHeader::decode(file.get(offset..)?, &place)?;
    let payload = offset + FRAME_HEADER_BYTES..offset + FRAME_HEADER_BYTES + header.payload_bytes as usize;
    let bytes = file.get(payload.clone())?;
    (checksum::of(bytes) == header.payload_checksum).then_some(Frame { offset, header, payload })
}

/// Tells what a crash tore from what is damaged.
///
/// A bad range is torn when it lies in the last file and no frame claims that it was durable: then it was never
/// acknowledged as such, and neither was anything behind it, for a sync covers all that was written before. So a torn
/// end goes with everything behind it, which keeps what is left a prefix of what was written. Any other bad range is
/// damage, and the frames behind it count (Alagappan et al., "Protocol-Aware Recovery", FAST 2018).
fn judge(scan: Scan, is_last: bool, len: usize) -> Verdict {
    let claimed = scan.frames.iter().map(|frame| frame.header.durable).max().unwrap_or(0);
    let is_torn = |bad: &&Range<usize>| is_last && bad.start as u64 >= claimed;
    let torn_from = scan.bad.iter().find(is_torn).map(|bad| bad.start);
    let is_kept = |offset: usize| torn_from.is_none_or(|from| offset < from);
    let damage = scan.bad.iter().filter(|bad| is_kept(bad.start));
    let damage = damage.map(|bad| (bad.clone(), format!("{} bytes are no frame of this log", bad.len()))).collect();
    let last_used = scan.frames.last().map_or(0, Frame::end).max(scan.bad.last().map_or(0, |bad| bad.end)).min(len);
    let torn = torn_from.map(|from| from..last_used);
    let (keep, cut): (Vec<Frame>, Vec<Frame>) = scan.frames.into_iter().partition(|frame| is_kept(frame.offset));
    let torn_batches = cut.iter().filter(|frame| frame.header.kind == Kind::Batch).count() as u64;
    Verdict { keep, damage, torn, torn_batches }
}

/// Replays the frames that are kept; those that cannot be replayed become damage. Tells which sequences are missing.
fn accept(verdict: &mut Verdict, file: &[u8], last: &mut Sequence, apply: &mut Apply<'_>) -> Vec<String> {
    let mut missing = Vec::new();
    let mut damage = Vec::new();
    verdict.keep.retain(|frame| {
        let FrameHeader { kind, sequence, .. } = frame.header;
        let first = frame.first(file);
        if first <= *last && kind != Kind::Seal {
            damage.push((frame.offset..frame.end(), format!("batch {first} is here twice")));
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
