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
    source: Option<Arc<dyn StdError + Send + Sync>>,
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
    /// Free disk space and try again: the disk is full. Nothing was stored, reads go on.
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
        Self { kind, message: message.into(), source: None }
    }

    pub(crate) fn invalid(message: impl Into<Arc<str>>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    pub(crate) fn corrupt(message: impl Into<Arc<str>>) -> Self {
        Self::new(ErrorKind::Corruption, message)
    }

    /// An error of the operating system on a file: `what` says what was tried and on which file.
    pub(crate) fn io(what: impl fmt::Display, source: std::io::Error) -> Self {
        let kind = match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorKind::NoSpace,
            _ => ErrorKind::Io,
        };
        Self { kind, message: format!("{what}: {source}").into(), source: Some(Arc::new(source)) }
    }

    /// The same cause under another kind, with a sentence before it.
    pub(crate) fn because(kind: ErrorKind, what: impl fmt::Display, cause: &Self) -> Self {
        Self { kind, message: format!("{what}: {}", cause.message).into(), source: cause.source.clone() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
