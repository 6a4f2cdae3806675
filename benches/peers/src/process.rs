//! What the system says of this process and its files.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The most memory that this process ever had resident, in bytes.
pub(crate) fn peak_memory() -> f64 {
    field("/proc/self/status", "VmHWM:") * 1024.0
}

/// Bytes that this process has handed to the block layer, whatever became of them there.
pub(crate) fn written() -> f64 {
    field("/proc/self/io", "write_bytes:")
}

/// A number of a file of lines with names; NaN where the system has none.
fn field(file: &str, name: &str) -> f64 {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(f64::NAN)
}

/// Bytes of the files of a folder: their lengths, or what they have of the disk if that is less, as of sparse files.
/// Only those whose path inside satisfies `wanted`.
pub(crate) fn size(folder: &Path, wanted: &dyn Fn(&str) -> bool) -> f64 {
    let mut bytes = 0;
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).expect("a store's folder is readable") {
            let entry = entry.expect("a store's folder is readable");
            let Ok(about) = entry.metadata() else { continue };
            if about.is_dir() {
                folders.push(entry.path());
            } else if wanted(&entry.path().strip_prefix(folder).expect("it is inside").to_string_lossy()) {
                bytes += about.len().min(about.blocks() * 512);
            }
        }
    }
    bytes as f64
}

/// Processor and memory, for the heading of the results.
pub(crate) fn machine() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let model = model.trim_start_matches(['\t', ' ', ':']).to_owned();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = field("/proc/meminfo", "MemTotal:") / f64::from(1 << 20);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{cores} cores ({model}), {memory:.0} GiB of memory, Linux {}", kernel.trim())
}
