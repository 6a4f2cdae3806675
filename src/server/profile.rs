//! The profiles by name. What each of them means stands in the table of `rules.rs`; what is stored and how long it lives
//! is the engine's business and the same in every profile.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

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
