//! What the kernel counts for this process, where it has files that say so.

use std::fs;

/// Bytes that were written to storage, or will be.
pub(super) fn bytes_written() -> Option<u64> {
    field("/proc/self/io", "write_bytes:")
}

/// The most memory that was ever resident.
pub(super) fn peak_memory_bytes() -> Option<u64> {
    field("/proc/self/status", "VmHWM:").map(|kib| kib << 10)
}

#[allow(clippy::disallowed_methods, reason = "not a file but a question to the kernel")]
fn field(file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
