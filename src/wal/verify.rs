//! Reading complete files of the log again, to see whether they still say what was written.

use std::path::PathBuf;
use std::sync::Arc;

use crate::codec::checksum::Place;
use crate::env::disk::Disk;
use crate::env::layout;
use crate::error::Error;
use crate::model::limits::LOG_FILE_BYTES_MAX;
use crate::wal::format::check_file_header;
use crate::wal::reader::CompleteFile;
use crate::wal::scan::scan;

/// The complete files of a log at one moment.
pub(crate) struct LogCheck {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    pub(super) lineage: [u8; 16],
    pub(super) files: Vec<CompleteFile>,
}

impl LogCheck {
    /// Reads every file that is still there; gives what is wrong. The open file is not among them, as it is being
    /// written.
    pub(crate) fn run(&self) -> Vec<Error> {
        let mut found = Vec::new();
        for file in &self.files {
            let name = format!("{}/{}", layout::WAL, layout::log_name(file.number));
            let path = self.dir.join(layout::log_name(file.number));
            let bytes = match self.disk.read(&path, LOG_FILE_BYTES_MAX) {
                Ok(bytes) => bytes,
                // It may have been trimmed since; one that is needed is missed at the next open.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => {
                    found.push(Error::io(format_args!("read {name}"), error));
                    continue;
                }
            };
            if let Err(bad) = check_file_header(&bytes, self.lineage, file.number) {
                found.push(Error::corrupt(format!("{name}: {bad}")));
            }
            let scan = scan(&bytes, Place { lineage: self.lineage, file: file.number, offset: 0 });
            for bad in &scan.bad {
                found.push(Error::corrupt(format!("{name} at {}: {} bytes are no frame", bad.start, bad.len())));
            }
            if !scan.sealed || bytes.len() as u64 != file.bytes {
                found.push(Error::corrupt(format!("{name} is not as long as it was written")));
            }
        }
        found
    }
}
