//! What stands in one log file: its whole frames, what a crash tore, what is damaged. Pure: works on bytes.

use std::ops::Range;

use crate::codec::checksum::{self, Place};
use crate::model::durability::Sequence;
use crate::wal::format::{ALIGN, FILE_HEADER_BYTES, FRAME_HEADER_BYTES, FrameHeader, Kind};

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
pub(super) fn judge(scan: Scan, is_last: bool, len: usize) -> Verdict {
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
