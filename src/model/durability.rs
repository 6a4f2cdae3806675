//! What an acknowledgement promises, and the order in which acknowledgements came.

use std::fmt;
use std::time::Duration;

/// When a write is acknowledged, and so what a fault can take back. Chosen per database with
/// [`Builder::durability`](crate::Builder::durability); a batch may ask for more, never for less.
///
/// No mode can corrupt: a weaker one loses the newest acknowledgements at a power cut, never order or integrity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Durability {
    /// Acknowledged once the operating system has the log write. A process crash loses nothing; a power cut loses
    /// what the system had not written yet.
    Buffered,
    /// Like `Buffered`, with a sync at least this often: a power cut loses at most about this much time. 10 ms to 60 s.
    Interval(Duration),
    /// Acknowledged once the batch is on stable storage. Nothing acknowledged is ever lost. Concurrent writers share
    /// one sync. The default.
    #[default]
    Sync,
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Buffered => f.write_str("buffered"),
            Self::Interval(every) => write!(f, "interval {} ms", every.as_millis()),
            Self::Sync => f.write_str("sync"),
        }
    }
}

/// The place of a batch in the order of all batches of one volume, from 1 on without gaps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Sequence(pub(crate) u64);

impl Sequence {
    /// The number itself; 0 when nothing has been written.
    pub const fn get(self) -> u64 {
        self.0
    }

    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
