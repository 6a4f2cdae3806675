//! The one error of the crate. The kind says what the caller can do, the message says what happened and where.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// `Result` with Ebbtide's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong: a [kind](ErrorKind) to act on, and a message that names the file, the offset or the point.
///
/// An error from a write means that nothing of the batch was stored, except [`ErrorKind::Unknown`]. Cheap to clone:
/// one failed sync answers every writer that waited for it.
///
/// ```
/// use ebbtide::{ErrorKind, SeriesKey};
/// let error = SeriesKey::new("", "cpu_util", [("host", "a")]).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidInput);
/// assert_eq!(error.to_string(), "the namespace is empty");
/// ```
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    message: Arc<str>,
}

/// What the caller can do about an [`Error`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Change the call: the input breaks a limit or a rule. Nothing was stored.
    InvalidInput,
    /// Write to known series, or raise the cap: the batch would create more series than the volume may hold.
    TooManySeries,
    /// Try again later: a bounded queue or buffer is full. Nothing was stored.
    Overloaded,
    /// Free disk space (or file descriptors) and try again: the disk takes nothing more. Nothing was stored, reads go
    /// on.
    NoSpace,
    /// Close the other owner: the directory is open in another database or process.
    Locked,
    /// Use another version or directory: the files are of a newer format, or not Ebbtide's.
    Unsupported,
    /// Restore a backup, or open without `strict`: stored bytes are damaged.
    Corruption,
    /// Open the database anew: an earlier failure made it read-only. Nothing was stored, reads go on.
    Failed,
    /// Send the same batch again: whether it was stored is not known, and a repeat is harmless.
    Unknown,
    /// Open the database anew: this handle was closed.
    Closed,
    /// Look at the cause: the operating system refused an operation. Nothing was stored.
    Io,
}

impl Error {
    /// What to do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether stored bytes are damaged.
    pub fn is_corruption(&self) -> bool {
        self.kind == ErrorKind::Corruption
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<Arc<str>>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(crate) fn invalid(message: impl Into<Arc<str>>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    pub(crate) fn corrupt(message: impl Into<Arc<str>>) -> Self {
        Self::new(ErrorKind::Corruption, message)
    }

    /// An error of the operating system on a file: `what` says what was tried and on which file.
    #[expect(clippy::needless_pass_by_value, reason = "so that `map_err` can name it")]
    pub(crate) fn io(what: impl fmt::Display, error: std::io::Error) -> Self {
        use std::io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        /// No descriptors left in the process, or in the system.
        const DESCRIPTORS: [Option<i32>; 2] = [Some(24), Some(23)];
        let is_full = matches!(error.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem);
        let kind =
            if is_full || DESCRIPTORS.contains(&error.raw_os_error()) { ErrorKind::NoSpace } else { ErrorKind::Io };
        Self::new(kind, format!("{what}: {error}"))
    }

    /// The same cause under another kind, with a sentence before it.
    pub(crate) fn because(kind: ErrorKind, what: impl fmt::Display, cause: &Self) -> Self {
        Self::new(kind, format!("{what}: {}", cause.message))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

// The message says the cause too, so there is no source to print it a second time.
impl StdError for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_disk_cannot_take_is_told_from_other_trouble() {
        let kind = |error: std::io::Error| Error::io("write x", error).kind();
        for errno in [28, 122, 30, 24, 23] {
            assert_eq!(kind(std::io::Error::from_raw_os_error(errno)), ErrorKind::NoSpace, "errno {errno}");
        }
        assert_eq!(kind(std::io::Error::from_raw_os_error(5)), ErrorKind::Io);
        let told = Error::io("write x", std::io::Error::other("why")).to_string();
        assert_eq!(told, "write x: why");
    }
}
