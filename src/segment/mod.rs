//! A segment: an immutable file of one partition, of raw points as columns or of summaries, with what is asked of it most
//! (which chunks, since when, until when, how much) in front of them. Writes a file from what comes in order, reads it,
//! checks it. Knows no other segment, and not which of them are true. Format: docs/format.md, "Segment".

mod blocks;
mod cache;
mod chunk;
mod cut;
mod entry;
mod file;
mod format;
mod frame;
mod last;
mod page;
mod place;
mod reader;
mod summary;
mod summary_reader;
mod summary_writer;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

pub(crate) use cache::Cache;
pub(crate) use chunk::Chunk;
pub(crate) use frame::Facts;
pub(crate) use last::LastPoints;
pub(crate) use reader::Segment;
pub(crate) use summary::SummaryChunk;
pub(crate) use summary_writer::SummaryWriter;
pub(crate) use writer::SegmentWriter;
