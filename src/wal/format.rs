//! The bytes of a log file: its header and the frames behind it. Encoding and checking only; no file is touched here.

use std::fmt;

use crate::codec::checksum::{self, Place};
use crate::model::durability::Sequence;
use crate::model::limits::FRAME_PAYLOAD_BYTES_MAX;

/// Length of a file's header.
pub(super) const FILE_HEADER_BYTES: usize = 48;
/// Length of a frame's header.
pub(super) const FRAME_HEADER_BYTES: usize = 32;
/// Frames start at multiples of this, which makes the search behind damage short.
pub(super) const ALIGN: usize = 8;
/// Length of a seal frame, for which every file keeps room.
pub(super) const SEAL_BYTES: u64 = FRAME_HEADER_BYTES as u64;

const MAGIC: [u8; 8] = *b"EBBTIDE\0";
/// Version of the log's format.
const VERSION: u16 = 1;
/// Kind of file: a log.
const KIND_LOG: u16 = 1;

const _: () = assert!(FILE_HEADER_BYTES.is_multiple_of(ALIGN) && FRAME_HEADER_BYTES.is_multiple_of(ALIGN));

/// What went wrong with a file's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BadHeader {
    /// A newer program wrote it.
    Newer(u16),
    /// Its bytes are not what was written.
    Damaged(&'static str),
}

impl fmt::Display for BadHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newer(version) => write!(f, "the file is of log format {version}"),
            Self::Damaged(why) => f.write_str(why),
        }
    }
}

/// The header of log file `number` of a store.
pub(super) fn encode_file_header(lineage: [u8; 16], number: u64) -> [u8; FILE_HEADER_BYTES] {
    let mut bytes = [0; FILE_HEADER_BYTES];
    bytes[0..8].copy_from_slice(&MAGIC);
    bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
    bytes[10..12].copy_from_slice(&KIND_LOG.to_le_bytes());
    bytes[16..32].copy_from_slice(&lineage);
    bytes[32..40].copy_from_slice(&number.to_le_bytes());
    // The checksum covers all but itself; 40..48 is kept zero.
    let checksum = checksum::of(&bytes);
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Checks that a file starts with the header that file `number` of this store must have.
pub(super) fn check_file_header(file: &[u8], lineage: [u8; 16], number: u64) -> Result<(), BadHeader> {
    let Some(&header) = file.first_chunk::<FILE_HEADER_BYTES>() else {
        return Err(BadHeader::Damaged("the file ends inside of its header"));
    };
    if header == encode_file_header(lineage, number) {
        return Ok(());
    }
    let mut unsealed = header;
    unsealed[12..16].fill(0);
    if header[0..8] != MAGIC || checksum::of(&unsealed).to_le_bytes() != header[12..16] {
        return Err(BadHeader::Damaged("the file's header does not match its checksum"));
    }
    match u16::from_le_bytes([header[8], header[9]]) {
        VERSION => Err(BadHeader::Damaged("the file belongs to another store or place")),
        version => Err(BadHeader::Newer(version)),
    }
}

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A batch of points.
    Batch,
    /// The end of a complete file; everything before it was durable before it was written.
    Seal,
    /// Sequences that were lost to damage and have been told: from the payload's number to the frame's own.
    Gap,
}

/// What stands before a payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FrameHeader {
    pub(super) kind: Kind,
    /// The batch's sequence; of a seal, the last one before it.
    pub(super) sequence: Sequence,
    /// Up to which offset of this file everything was durable when the frame was written.
    pub(super) durable: u64,
    pub(super) payload_bytes: u32,
    pub(super) payload_checksum: u32,
}

impl FrameHeader {
    pub(super) fn encode(&self, place: &Place) -> [u8; FRAME_HEADER_BYTES] {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        bytes[0] = match self.kind {
            Kind::Batch => 1,
            Kind::Seal => 2,
            Kind::Gap => 3,
        };
        bytes[4..8].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.payload_checksum.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.sequence.0.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.durable.to_le_bytes());
        let checksum = place.checksum(&bytes);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The header at a place, if the bytes there are one.
    pub(super) fn decode(bytes: &[u8], place: &Place) -> Option<Self> {
        let mut header = *bytes.first_chunk::<FRAME_HEADER_BYTES>()?;
        let kind = match header[0] {
            1 => Kind::Batch,
            2 => Kind::Seal,
            3 => Kind::Gap,
            _ => return None,
        };
        let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let (payload_bytes, payload_checksum, checksum) = (word(4), word(8), word(12));
        if payload_bytes as usize > FRAME_PAYLOAD_BYTES_MAX {
            return None;
        }
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        let (sequence, durable) = (Sequence(long(16)), long(24));
        header[12..16].fill(0);
        (place.checksum(&header) == checksum).then_some(Self {
            kind,
            sequence,
            durable,
            payload_bytes,
            payload_checksum,
        })
    }
}

/// A payload with its checksum, which is computed once, before any lock is taken.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    bytes: Vec<u8>,
    checksum: u32,
}

impl Payload {
    /// A payload of at most [`FRAME_PAYLOAD_BYTES_MAX`] bytes; a longer one is given back.
    pub(crate) fn new(bytes: Vec<u8>) -> Result<Self, Vec<u8>> {
        if bytes.len() > FRAME_PAYLOAD_BYTES_MAX {
            return Err(bytes);
        }
        let checksum = checksum::of(&bytes);
        Ok(Self { bytes, checksum })
    }

    /// Length of the frame this payload makes.
    pub(crate) fn frame_bytes(&self) -> u64 {
        (FRAME_HEADER_BYTES + self.bytes.len().next_multiple_of(ALIGN)) as u64
    }
}

/// Appends a frame to `out`, which will be written at offset `start` of file `file`.
pub(super) fn put_frame(
    out: &mut Vec<u8>,
    start: Place,
    kind: Kind,
    sequence: Sequence,
    durable: u64,
    payload: &Payload,
) {
    let place = Place { offset: start.offset + out.len() as u64, ..start };
    let payload_bytes = u32::try_from(payload.bytes.len()).expect("Payload::new bounds the length");
    let header = FrameHeader { kind, sequence, durable, payload_bytes, payload_checksum: payload.checksum };
    out.extend_from_slice(&header.encode(&place));
    out.extend_from_slice(&payload.bytes);
    out.resize(out.len().next_multiple_of(ALIGN), 0);
}

/// The payload of a seal.
pub(super) fn empty_payload() -> Payload {
    Payload { bytes: Vec::new(), checksum: checksum::of(&[]) }
}

/// The payload of a gap that starts with this sequence.
pub(super) fn gap_payload(first: Sequence) -> Payload {
    let bytes = first.0.to_le_bytes().to_vec();
    Payload { checksum: checksum::of(&bytes), bytes }
}
