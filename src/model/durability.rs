//! What an acknowledgement promises, and the order in which acknowledgements came.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::model::limits::INTERVAL_MILLIS;

/// When a write is acknowledged, and so what a fault can take back. Chosen per database with
/// [`Builder::durability`](crate::Builder::durability); a batch may ask for more, never for less.
///
/// No mode can corrupt: a weaker one loses the newest acknowledgements at a power cut, never order or integrity.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
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

impl Durability {
    /// What a batch gets that asks for `asked` in a database of this durability: never less than this, and what the
    /// database does not do by itself is done by a sync.
    pub(crate) fn strengthened_by(self, asked: Self) -> Self {
        match (self, asked) {
            (_, Self::Buffered) | (Self::Sync, _) => self,
            (Self::Interval(own), Self::Interval(asked)) if own <= asked => self,
            (_, Self::Interval(_) | Self::Sync) => Self::Sync,
        }
    }

    /// Whether something has to happen while nobody calls.
    pub(crate) fn needs_thread(self) -> bool {
        matches!(self, Self::Interval(_))
    }

    /// Refuses an interval out of range.
    pub(crate) fn check(self) -> Result<()> {
        let (least, most) = (INTERVAL_MILLIS.start(), INTERVAL_MILLIS.end());
        match self {
            Self::Interval(every)
                if !(Duration::from_millis(*least)..=Duration::from_millis(*most)).contains(&every) =>
            {
                Err(Error::invalid(format!("the interval {every:?} is outside of {least} to {most} ms")))
            }
            _ => Ok(()),
        }
    }
}

/// `sync`, `interval:1000` (in milliseconds) or `buffered`.
impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Buffered => f.write_str("buffered"),
            Self::Interval(every) => write!(f, "interval:{}", every.as_millis()),
            Self::Sync => f.write_str("sync"),
        }
    }
}

/// Reads what [`Display`](fmt::Display) writes.
impl FromStr for Durability {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let durability = match (text, text.strip_prefix("interval:").map(str::parse)) {
            ("sync", _) => Self::Sync,
            ("buffered", _) => Self::Buffered,
            (_, Some(Ok(millis))) => Self::Interval(Duration::from_millis(millis)),
            _ => return Err(Error::invalid("the modes are sync, interval:MILLISECONDS and buffered")),
        };
        durability.check().map(|()| durability)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_gets_more_than_its_database_gives_but_never_less() {
        // S18. Method: every pair of modes.
        let interval = |millis| Durability::Interval(Duration::from_millis(millis));
        let (sync, buffered, own) = (Durability::Sync, Durability::Buffered, interval(50));
        for asked in [sync, buffered, interval(10), interval(99)] {
            assert_eq!(sync.strengthened_by(asked), sync);
        }
        let given = [sync, interval(10), interval(99), buffered].map(|asked| own.strengthened_by(asked));
        assert_eq!(given, [sync, sync, own, own]);
        assert_eq!([sync, interval(10), buffered].map(|asked| buffered.strengthened_by(asked)), [sync, sync, buffered]);
    }

    #[test]
    fn modes_are_read_as_they_are_written_and_held_to_their_range() {
        for text in ["sync", "buffered", "interval:10", "interval:60000"] {
            assert_eq!(text.parse::<Durability>().map(|mode| mode.to_string()).ok().as_deref(), Some(text));
        }
        for text in ["", "Sync", "interval", "interval:", "interval:9", "interval:60001", "interval:-1"] {
            assert!(text.parse::<Durability>().is_err(), "{text}");
        }
    }
}
