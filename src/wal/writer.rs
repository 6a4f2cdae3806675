//! Appending to the log: one write for a group of frames, syncs, rotation, sealing, and removal of what is stored
//! elsewhere.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::codec::checksum::Place;
use crate::env::disk::{Disk, DiskFile, parent, temporary};
use crate::env::layout;
use crate::error::{Error, ErrorKind, Result};
use crate::model::durability::{Durability, Sequence};
use crate::wal::format::{FILE_HEADER_BYTES, Kind, Payload, SEAL_BYTES, empty_payload, encode_file_header, put_frame};
use crate::wal::reader::{CompleteFile, Replay};
use crate::wal::verify::LogCheck;

/// The writing end of the log.
///
/// An error of kind `Unknown` or `Failed` is final: nothing more is written until the log is opened anew. After any
/// other error the log is as it was before the call.
pub(crate) struct Wal {
    disk: Arc<dyn Disk>,
    /// The `wal` folder.
    dir: PathBuf,
    lineage: [u8; 16],
    /// Length at which a file is full, unless its one frame is larger.
    file_bytes: u64,
    /// Whether files are laid out to that length, so that the syncs to come need not change it.
    is_laid_out: bool,
    next_number: u64,
    /// In order, those of earlier runs among them.
    complete: Vec<CompleteFile>,
    /// The file of this run; made by the first write, so that a full disk does not keep the store from opening.
    file: Option<LogFile>,
    last: Sequence,
    state: State,
    /// Reused for every group.
    buffer: Vec<u8>,
}

const READ_ONLY: &str = "read-only after an I/O error, open the database anew";

enum State {
    Open,
    /// A file that a crash left open could not be written anew, so nothing may be written behind it.
    Unmended(Error),
    /// Another part of the volume failed, so nothing more is accepted. The log is sound: what it holds is still made
    /// durable and sealed.
    Poisoned(Error),
    /// A sync failed. What the system still shows of the file may exist in memory only (Rebello et al., "Can
    /// Applications Recover from fsync Failures?", ATC 2020), so it is neither synced nor written again.
    Failed(Error),
    Closed,
}

#[derive(Debug)]
struct LogFile {
    file: Box<dyn DiskFile>,
    number: u64,
    /// Where the next frame goes.
    end: u64,
    /// Up to where a sync has returned.
    durable: u64,
    capacity: u64,
}

impl Wal {
    /// A log that goes on, with a new file, behind what was replayed.
    ///
    /// Zeros are written ahead for the sake of syncs only, so a `Buffered` volume does without them.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        volume: &Path,
        lineage: [u8; 16],
        file_bytes: u64,
        durability: Durability,
        replay: &Replay,
    ) -> Self {
        let state = match &replay.unmended {
            None => State::Open,
            Some(error) => {
                State::Unmended(Error::because(ErrorKind::Failed, "read-only, open the database anew", error))
            }
        };
        Self {
            disk,
            dir: volume.join(layout::WAL),
            lineage,
            file_bytes,
            is_laid_out: durability != Durability::Buffered,
            next_number: replay.next_number,
            complete: replay.files.clone(),
            file: None,
            last: replay.last,
            state,
            buffer: Vec::new(),
        }
    }

    /// Appends a group of frames by one write. Nothing of it is durable before [`Wal::sync`] returns.
    pub(crate) fn append<'a>(&mut self, group: impl Iterator<Item = (Sequence, &'a Payload)> + Clone) -> Result<()> {
        self.check_open()?;
        let bytes = group.clone().map(|(_, payload)| payload.frame_bytes()).sum();
        self.make_room(bytes)?;
        let file = self.file.as_mut().expect("make_room leaves a file open");
        let start = Place { lineage: self.lineage, file: file.number, offset: file.end };
        self.buffer.clear();
        let mut last = self.last;
        for (sequence, payload) in group {
            assert_eq!(sequence, last.next(), "sequences follow each other");
            put_frame(&mut self.buffer, start, Kind::Batch, sequence, file.durable, payload);
            last = sequence;
        }
        match file.file.write_at(&self.buffer, file.end) {
            Ok(()) => {
                file.end += self.buffer.len() as u64;
                self.last = last;
                Ok(())
            }
            Err(error) => Err(self.cut_back("write", error)),
        }
    }

    /// Makes everything appended so far durable.
    pub(crate) fn sync(&mut self) -> Result<()> {
        if !matches!(self.state, State::Poisoned(_)) {
            self.check_open()?;
        }
        let Some(file) = self.file.as_mut().filter(|file| file.durable < file.end) else { return Ok(()) };
        match file.file.sync() {
            Ok(()) => {
                file.durable = file.end;
                Ok(())
            }
            Err(error) => Err(self.fail("sync", error)),
        }
    }

    /// Sees to it that everything appended so far lies in complete, durable files; gives the highest number of these.
    /// The next append makes a new file.
    pub(crate) fn rotate(&mut self) -> Result<u64> {
        self.check_open()?;
        self.seal()?;
        Ok(self.next_number - 1)
    }

    /// Removes complete files with a number below `floor`. IMPORTANT: what they hold is durable elsewhere, and so is
    /// this floor, from which replay will start.
    ///
    /// # Errors
    /// None is final. A file that could not be removed still counts, until the next call or the next replay removes
    /// it. A folder that could not be synced is no error: replay skips what comes back.
    pub(crate) fn trim(&mut self, floor: u64) -> Result<()> {
        if self.complete.iter().all(|file| file.number >= floor) {
            return Ok(());
        }
        self.check_open()?;
        let first_kept = self.file.as_ref().map_or(self.next_number, |file| file.number);
        assert!(floor <= first_kept, "only what lies in complete files is stored elsewhere");
        let mut is_changed = false;
        let mut failed = None;
        self.complete.retain(|file| {
            if file.number >= floor {
                return true;
            }
            let path = self.dir.join(layout::log_name(file.number));
            match self.disk.remove(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    failed.get_or_insert_with(|| Error::io(format_args!("remove {}", path.display()), error));
                    true
                }
                _ => {
                    is_changed = true;
                    false
                }
            }
        });
        if is_changed && let Err(error) = self.disk.sync_dir(&self.dir) {
            tracing::warn!(%error, "log files that were removed may come back until the next open");
        }
        failed.map_or(Ok(()), Err)
    }

    /// Refuses appends from now on, as another part of the volume has failed for good. What was appended can still be
    /// synced, and is sealed by [`Wal::close`]; no file is removed any more.
    pub(crate) fn poison(&mut self, cause: &Error) {
        if matches!(self.state, State::Open) {
            self.state = State::Poisoned(Error::because(ErrorKind::Failed, READ_ONLY, cause));
        }
    }

    /// Completes the log: everything durable, the open file sealed. Nothing can be appended afterwards.
    pub(crate) fn close(&mut self) -> Result<()> {
        let sealed = match &self.state {
            State::Open | State::Poisoned(_) => self.seal(),
            State::Failed(error) => return Err(error.clone()),
            State::Unmended(_) | State::Closed => Ok(()),
        };
        if !matches!(self.state, State::Failed(_)) {
            // Also without a seal: the directory may have another owner from now on.
            self.state = State::Closed;
        }
        sealed
    }

    /// Bytes of log on disk that a restart would have to replay.
    pub(crate) fn bytes(&self) -> u64 {
        let complete: u64 = self.complete.iter().map(|file| file.bytes).sum();
        complete + self.file.as_ref().map_or(0, |file| file.end)
    }

    /// Why nothing is written any more, if something failed for good.
    pub(crate) fn failure(&self) -> Option<Error> {
        match &self.state {
            State::Unmended(error) | State::Poisoned(error) | State::Failed(error) => Some(error.clone()),
            State::Open | State::Closed => None,
        }
    }

    /// The complete files, to be read without holding the log.
    pub(crate) fn check(&self) -> LogCheck {
        let (disk, dir, files) = (self.disk.clone(), self.dir.clone(), self.complete.clone());
        LogCheck { disk, dir, lineage: self.lineage, files }
    }

    fn check_open(&self) -> Result<()> {
        match &self.state {
            State::Open => Ok(()),
            State::Unmended(error) | State::Poisoned(error) | State::Failed(error) => Err(error.clone()),
            State::Closed => Err(Error::new(ErrorKind::Closed, "the database is closed")),
        }
    }

    /// Sees to it that the open file holds `bytes` more and its seal.
    fn make_room(&mut self, bytes: u64) -> Result<()> {
        if self.file.as_ref().is_some_and(|file| file.end + bytes + SEAL_BYTES <= file.capacity) {
            return Ok(());
        }
        self.seal()?;
        let capacity = self.file_bytes.max(FILE_HEADER_BYTES as u64 + bytes + SEAL_BYTES);
        self.create_file(capacity)
    }

    /// Seals the open file, if there is one.
    fn seal(&mut self) -> Result<()> {
        // IMPORTANT: every frame is durable before the seal is written, so that a seal that is read back, even from
        // the page cache of a killed process, vouches for all before it.
        self.sync()?;
        let Some(file) = self.file.as_mut() else { return Ok(()) };
        let place = Place { lineage: self.lineage, file: file.number, offset: file.end };
        self.buffer.clear();
        put_frame(&mut self.buffer, place, Kind::Seal, self.last, file.durable, &empty_payload());
        if let Err(error) = file.file.write_at(&self.buffer, file.end) {
            return Err(self.cut_back("seal", error));
        }
        file.end += SEAL_BYTES;
        let complete = CompleteFile { number: file.number, bytes: file.end };
        if let Err(error) = file.file.truncate(complete.bytes) {
            return Err(self.fail("cut", error));
        }
        self.sync()?;
        self.complete.push(complete);
        self.file = None;
        Ok(())
    }

    /// Makes the next file. It gets its name only once its header, and the space that is laid out, are durable.
    fn create_file(&mut self, capacity: u64) -> Result<()> {
        let number = self.next_number;
        let path = self.dir.join(layout::log_name(number));
        let draft = temporary(&path);
        let made = (|| {
            let mut file = self.disk.create(&draft)?;
            file.write_at(&encode_file_header(self.lineage, number), 0)?;
            if self.is_laid_out {
                file.allocate(capacity)?;
            }
            file.sync()?;
            self.disk.rename(&draft, &path)?;
            Ok(file)
        })();
        let file = match made {
            Ok(file) => file,
            Err(error) => {
                // The draft was never true; what is left of it is swept at the next open.
                if let Err(left) = self.disk.remove(&draft) {
                    tracing::debug!(file = %draft.display(), error = %left, "a draft stays until the next open");
                }
                return Err(Error::io(format_args!("make {}", path.display()), error));
            }
        };
        // IMPORTANT: the folder is synced before any frame counts, or the file may vanish with its frames; and so is
        // that of the volume, whose FORMAT and MANIFEST this run may have read back before they were durable.
        let synced = self.disk.sync_dir(&self.dir).and_then(|()| self.disk.sync_dir(parent(&self.dir)));
        if let Err(error) = synced {
            return Err(self.fail("sync the folders of", error));
        }
        self.next_number += 1;
        let end = FILE_HEADER_BYTES as u64;
        self.file = Some(LogFile { file, number, end, durable: end, capacity });
        Ok(())
    }

    /// Takes back a write that failed half-way, durably, so that no part of it can come to light later.
    fn cut_back(&mut self, what: &str, error: std::io::Error) -> Error {
        let file = self.file.as_mut().expect("only a write to the open file is taken back");
        let end = file.end;
        if let Err(cut) = file.file.truncate(end).and_then(|()| file.file.sync()) {
            return self.fail("take back a write to", cut);
        }
        Error::io(format_args!("{what} {}", self.path()), error)
    }

    /// Ends writing for good; gives the error for those who do not know what became of their batch.
    fn fail(&mut self, what: &str, error: std::io::Error) -> Error {
        let cause = Error::io(format_args!("{what} {}", self.path()), error);
        tracing::error!(error = %cause, "the log failed: no more writes until the database is opened anew");
        self.state = State::Failed(Error::because(ErrorKind::Failed, READ_ONLY, &cause));
        Error::because(ErrorKind::Unknown, "whether the batch was stored is not known", &cause)
    }

    fn path(&self) -> String {
        let number = self.file.as_ref().map_or(self.next_number, |file| file.number);
        format!("{}/{}", layout::WAL, layout::log_name(number))
    }
}

impl std::fmt::Debug for Wal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wal").field("last", &self.last).field("file", &self.file).finish_non_exhaustive()
    }
}
