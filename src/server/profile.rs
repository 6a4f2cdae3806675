//! The profiles: which points the HTTP face admits. Decides admission only; what is stored and how long it lives is
//! the engine's business and the same in every profile.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::model::limits::DIMENSIONS_MAX;
use crate::model::time::{TimeRange, Timestamp};

/// How long before now a point may have been collected: the contract page's three days.
const PAST_MAX: Duration = Duration::from_secs(3 * 86_400);

/// How far ahead of now a point may have been collected: the contract page's ten minutes.
const AHEAD_MAX: Duration = Duration::from_secs(600);

/// Longest TTL of the contract page, in seconds: seven days.
const TTL_SECS_MAX: u32 = 604_800;

/// Most dimensions on the wire: the widest of the published editions.
const WIRE_DIMENSIONS_MAX: usize = 4;

/// Which points a server admits. Default [`Profile::Document`].
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
    /// to ten minutes ahead.
    #[default]
    Document,
    /// For experiments with recorded series: no time window, no grammar of names beyond the engine's lengths, and any
    /// TTL the engine can hold.
    Lab,
}

impl Profile {
    /// The times admitted at the moment `now`, both ends of the page's window included; `None` for all times.
    pub(super) fn window(self, now: Timestamp) -> Option<TimeRange> {
        match self {
            Self::Document => Some(TimeRange::new(now - PAST_MAX, now + AHEAD_MAX + Duration::from_millis(1))),
            Self::Lab => None,
        }
    }

    /// The longest TTL admitted, in seconds.
    pub(super) fn ttl_secs_max(self) -> u32 {
        match self {
            Self::Document => TTL_SECS_MAX,
            Self::Lab => u32::MAX,
        }
    }

    /// How many dimensions a series may have.
    pub(super) fn dimensions(self) -> RangeInclusive<usize> {
        match self {
            Self::Document => 1..=WIRE_DIMENSIONS_MAX,
            Self::Lab => 0..=DIMENSIONS_MAX,
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Document => "document",
            Self::Lab => "lab",
        })
    }
}

impl FromStr for Profile {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "document" => Ok(Self::Document),
            "lab" => Ok(Self::Lab),
            _ => Err(Error::invalid("the profiles are `document` and `lab`")),
        }
    }
}
