//! A segment: an immutable file of raw points of one partition, as columns, with what is asked of it most (which
//! chunks, since when, until when, how much) in front of them. Writes a file from ordered points, reads it, checks it.
//! Knows no other segment, and not which of them are true. Format: docs/format.md, "Segment".

mod blocks;
mod chunk;
mod cut;
mod entry;
mod file;
mod format;
mod reader;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

pub(crate) use chunk::Chunk;
pub(crate) use reader::{Directory, Segment};
pub(crate) use writer::{Facts, SegmentWriter};
