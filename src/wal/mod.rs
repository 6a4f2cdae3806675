//! The log: what makes an acknowledged batch survive. Appends frames, syncs on request, replays in order. Knows
//! nothing of series, points or heads: a payload is bytes. Format: docs/format.md, "Log".

mod format;
mod mend;
mod reader;
mod scan;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trim_tests;
mod verify;
mod writer;

pub(crate) use format::Payload;
pub(crate) use reader::{Replay, replay};
pub(crate) use writer::Wal;
