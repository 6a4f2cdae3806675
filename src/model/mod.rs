//! The words of Ebbtide: times, values, points, series, batches and their limits.
//! Knows nothing of bytes, files, clocks or threads; everything else is said in these words.

pub(crate) mod aggregate;
pub(crate) mod batch;
pub(crate) mod columns;
pub(crate) mod date;
pub(crate) mod durability;
pub mod limits;
pub(crate) mod packed;
pub(crate) mod point;
pub(crate) mod rollup;
pub(crate) mod segment;
pub(crate) mod selector;
pub(crate) mod series;
pub(crate) mod sketch;
pub(crate) mod summary;
pub(crate) mod time;
pub(crate) mod window;
pub(crate) mod windows;
