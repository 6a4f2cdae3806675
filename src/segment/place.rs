//! Where a run of bytes is, and how an entry of the directory says so.

use crate::codec::Malformed;
use crate::codec::varint::{self, Reader};
use crate::model::limits::BLOCK_BYTES_MAX;
use crate::segment::format::{CHECKSUM_BYTES, FILE_HEADER_BYTES};

// The low bits of a place.
const NEW: u64 = 0;
const HERE: u64 = 1;
const EARLIER: u64 = 2;
/// For what an entry says in another way.
pub(super) const PLACE_OTHER: u64 = 3;
/// No bytes.
pub(super) const PLACE_EMPTY: u64 = HERE;

/// Where bytes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// Nowhere: the chunk has no such column.
    Nowhere,
    /// In the entry itself.
    Here(Short),
    /// In a block of `len` bytes, which its checksum follows.
    Block { offset: u64, len: usize },
}

/// Up to [`SHORT_BYTES_MAX`] bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Short {
    len: u8,
    bytes: [u8; SHORT_BYTES_MAX],
}

/// Bytes up to this length are kept in the entry: a block would cost a checksum and a read.
pub(super) const SHORT_BYTES_MAX: usize = 8;

/// The blocks that entries tell one after the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Blocks {
    /// Offset of the next new one.
    pub(super) next: u64,
    /// Where the last one ends at the latest.
    pub(super) end: u64,
}

impl Place {
    /// Appends the place; a new block moves `blocks` behind it.
    pub(super) fn encode(&self, blocks: &mut Blocks, out: &mut Vec<u8>) {
        match *self {
            Self::Nowhere => {}
            Self::Here(short) => {
                varint::put(out, (short.bytes().len() as u64) << 2 | HERE);
                out.extend_from_slice(short.bytes());
            }
            Self::Block { offset, len } if offset == blocks.next => {
                varint::put(out, (len as u64) << 2 | NEW);
                blocks.next += (len + CHECKSUM_BYTES) as u64;
            }
            Self::Block { offset, len } => {
                varint::put(out, (len as u64) << 2 | EARLIER);
                varint::put(out, blocks.next - offset);
            }
        }
    }

    /// The place that starts with this number.
    pub(super) fn decode(number: u64, reader: &mut Reader<'_>, blocks: &mut Blocks) -> Result<Self, Malformed> {
        const RANGE: Malformed = Malformed("a block is out of range");
        let len = usize::try_from(number >> 2).ok().filter(|&len| len <= BLOCK_BYTES_MAX).ok_or(RANGE)?;
        let next = blocks.next;
        let whole = (len + CHECKSUM_BYTES) as u64;
        match number & 3 {
            NEW => {
                blocks.next = next.checked_add(whole).filter(|&end| end <= blocks.end).ok_or(RANGE)?;
                Ok(Self::Block { offset: next, len })
            }
            HERE => {
                let bytes = (0..len.min(SHORT_BYTES_MAX + 1)).map(|_| reader.byte());
                Short::new(&bytes.collect::<Result<Vec<u8>, _>>()?).map(Self::Here).ok_or(RANGE)
            }
            EARLIER => {
                let earlier = FILE_HEADER_BYTES as u64..next;
                let offset = next.checked_sub(reader.number()?).filter(|offset| earlier.contains(offset));
                let offset = offset.filter(|offset| offset + whole <= next).ok_or(RANGE)?;
                Ok(Self::Block { offset, len })
            }
            _ => Err(Malformed("a place is unknown")),
        }
    }
}

impl Short {
    pub(super) fn new(bytes: &[u8]) -> Option<Self> {
        let mut kept = [0; SHORT_BYTES_MAX];
        kept.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self { len: u8::try_from(bytes.len()).ok()?, bytes: kept })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}
