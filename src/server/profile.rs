//! The profiles: which points the HTTP face admits, and what a new database does with late ones. How answers look is
//! told in `cloudeye/filter.rs`; what is stored and how long it lives is the engine's business and the same in every
//! profile.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::model::limits::DIMENSIONS_MAX;
use crate::model::rollup::Late;
use crate::model::time::{TimeRange, Timestamp};

/// How long before now a point may have been collected: the contract page's three days.
const PAST_MAX: Duration = Duration::from_secs(3 * 86_400);

/// How far ahead of now a point may have been collected: the contract page's ten minutes.
const AHEAD_MAX: Duration = Duration::from_secs(600);

/// Longest TTL of the contract page, in seconds: seven days.
const TTL_SECS_MAX: u32 = 604_800;

/// How long after its own time a point still counts in windows, as the page says since 2022.
const LATE_AFTER: Duration = Duration::from_secs(600);

/// Most dimensions on the wire: the widest of the published editions.
const WIRE_DIMENSIONS_MAX: usize = 4;

/// Which points a server admits, and how it shows windows. Default [`Profile::Document`].
///
/// ```
/// use ebbtide::server::Profile;
/// assert_eq!("lab".parse::<Profile>()?, Profile::Lab);
/// assert_eq!(Profile::default().to_string(), "document");
/// # Ok::<(), ebbtide::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Profile {
    /// The published page to the letter: its grammar of names, a TTL of at most seven days, times from three days ago
    /// to ten minutes ahead. Windows of integers answer integers, others two decimals.
    #[default]
    Document,
    /// The page as it is published since 2022: a TTL of at least a second, no namespace `SRE*`, and in databases that it
    /// makes, points that come more than ten minutes late count in no window. Otherwise as `Document`.
    Current,
    /// For experiments with recorded series: no time window, no grammar of names beyond the engine's lengths, and any
    /// TTL the engine can hold. Windows are answered in full precision.
    Lab,
}

impl Profile {
    /// The times admitted at the moment `now`, both ends of the page's window included; `None` for all times.
    pub(super) fn window(self, now: Timestamp) -> Option<TimeRange> {
        match self {
            Self::Document | Self::Current => {
                Some(TimeRange::new(now - PAST_MAX, now + AHEAD_MAX + Duration::from_millis(1)))
            }
            Self::Lab => None,
        }
    }

    /// The TTLs admitted, in seconds.
    pub(super) fn ttl_secs(self) -> RangeInclusive<u32> {
        match self {
            Self::Document => 0..=TTL_SECS_MAX,
            Self::Current => 1..=TTL_SECS_MAX,
            Self::Lab => 0..=u32::MAX,
        }
    }

    /// Which late points count in the windows of a database that is made now.
    pub(super) fn late(self) -> Late {
        match self {
            Self::Document | Self::Lab => Late::Correct,
            Self::Current => Late::DiscardAfter(LATE_AFTER),
        }
    }

    /// How many dimensions a series may have.
    pub(super) fn dimensions(self) -> RangeInclusive<usize> {
        match self {
            Self::Document | Self::Current => 1..=WIRE_DIMENSIONS_MAX,
            Self::Lab => 0..=DIMENSIONS_MAX,
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Document => "document",
            Self::Current => "current",
            Self::Lab => "lab",
        })
    }
}

impl FromStr for Profile {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "document" => Ok(Self::Document),
            "current" => Ok(Self::Current),
            "lab" => Ok(Self::Lab),
            _ => Err(Error::invalid("the profiles are `document`, `current` and `lab`")),
        }
    }
}
