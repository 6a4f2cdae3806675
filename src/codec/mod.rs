//! Bytes to values and back. Pure: reads no file, knows no database. Every decoder takes any bytes and gives a value
//! or [`Malformed`], never a panic and never more memory than the bytes themselves explain.

pub(crate) mod batch;
pub(crate) mod checksum;
pub(crate) mod digest;
pub(crate) mod entry;
pub(crate) mod floats;
pub(crate) mod held;
pub(crate) mod ints;
pub(crate) mod metas;
pub(crate) mod names;
pub(crate) mod points;
#[cfg(feature = "server")]
pub(crate) mod policies;
pub(crate) mod record;
pub(crate) mod stats;
pub(crate) mod summaries;
pub(crate) mod times;
pub(crate) mod varint;

/// Of two encodings of the same, one from `start` on and one from `middle` to the end, keeps the shorter one.
fn keep_shorter(out: &mut Vec<u8>, start: usize, middle: usize) {
    if out.len() - middle < middle - start {
        out.drain(start..middle);
    } else {
        out.truncate(middle);
    }
}

/// Bytes that no encoder of ours has written: what was wrong with them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Malformed(pub(crate) &'static str);
