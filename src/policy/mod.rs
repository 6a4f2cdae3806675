//! Backup policies: when a backup is due, which ones may go, what they are called, and what a server keeps of all that in
//! a file. Knows neither databases nor requests; who makes and removes backups asks here what to do.

#[cfg(feature = "server")]
pub(crate) mod book;
#[cfg(feature = "server")]
pub(crate) mod file;
pub(crate) mod named;
pub(crate) mod retention;
pub(crate) mod schedule;
