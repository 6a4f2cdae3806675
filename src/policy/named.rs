//! A policy that a program puts in force: where its backups lie, when they are due, which ones stay, and what they are
//! called. Pure: nothing here looks into the folder.

use std::path::{Path, PathBuf};

use crate::model::date::Date;
use crate::model::limits::BACKUP_NAME_BYTES_MAX;
use crate::model::time::Timestamp;
use crate::policy::retention::Retention;
use crate::policy::schedule::Schedule;

/// Length of the moment at the end of a backup's name.
const MOMENT_BYTES: usize = "20261201T220000Z".len();

/// Longest name of a policy, in bytes: a backup's has a dash and a moment behind it.
pub(crate) const POLICY_NAME_BYTES_MAX: usize = BACKUP_NAME_BYTES_MAX - MOMENT_BYTES - 1;

/// When a database is backed up by itself, into which folder, and which of those backups stay. In force from
/// [`Db::backup_policy`](crate::Db::backup_policy) on.
///
/// Each backup is called by the policy's name and the moment, in UTC, at which it was due: `nightly-20261201T220000Z`. By
/// that name the policy knows what it has made.
///
/// ```
/// use ebbtide::{BackupPolicy, Days, Keep, Retention, Schedule, Timestamp, Zone};
/// let schedule = Schedule::new([22], Days::Every(1), Zone::UTC)?;
/// let nightly = BackupPolicy::new("nightly", "backups", schedule, Retention::new(Keep::Number(7), true)?);
/// let due = nightly.schedule().next_after(Timestamp::from_secs(0));
/// assert_eq!(nightly.path_of(due), std::path::Path::new("backups/nightly-19700101T220000Z"));
/// # Ok::<(), ebbtide::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct BackupPolicy {
    name: String,
    folder: PathBuf,
    schedule: Schedule,
    retention: Retention,
}

impl BackupPolicy {
    /// A policy of this name, whose backups lie in this folder. The folder may hold other backups too, those of other
    /// policies and of other databases among them; two databases that share one need policies of different names.
    pub fn new(name: impl Into<String>, folder: impl Into<PathBuf>, schedule: Schedule, retention: Retention) -> Self {
        Self { name: name.into(), folder: folder.into(), schedule, retention }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its backups lie.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// When they are due.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Which ones stay.
    pub fn retention(&self) -> Retention {
        self.retention
    }

    /// Where the backup lies that was due at a moment.
    pub fn path_of(&self, due: Timestamp) -> PathBuf {
        self.folder.join(self.name_of(due))
    }

    /// What it is called.
    pub(crate) fn name_of(&self, due: Timestamp) -> String {
        let hours = due.as_millis().div_euclid(3_600_000);
        let Date { year, month, day } = Date::of_day(hours.div_euclid(24));
        format!("{}-{year:04}{month:02}{day:02}T{:02}0000Z", self.name, hours.rem_euclid(24))
    }

    /// When the backup of this name was due; nothing if it is none of this policy.
    pub(crate) fn moment_of(&self, name: &str) -> Option<Timestamp> {
        let digits = |from: usize, to: usize| {
            let moment = name.get(name.len().checked_sub(MOMENT_BYTES)?..)?;
            moment.get(from..to)?.parse::<u16>().ok()
        };
        let (year, month, day) = (digits(0, 4)?, u8::try_from(digits(4, 6)?).ok()?, u8::try_from(digits(6, 8)?).ok()?);
        let is_month = (1..=12).contains(&month);
        let date = is_month.then_some(Date { year: i64::from(year), month, day })?;
        let due = Timestamp::from_secs(date.day_since_1970() * 86_400 + i64::from(digits(9, 11)?) * 3_600);
        // What is called otherwise than it would be, by its policy or its moment, is somebody else's.
        (self.name_of(due) == name).then_some(due)
    }

    /// Whether it takes the place of another one: they could not tell their backups apart.
    pub(crate) fn replaces(&self, other: &Self) -> bool {
        (&self.name, &self.folder) == (&other.name, &other.folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::retention::Keep;
    use crate::policy::schedule::{Days, Zone};

    fn policy(name: &str) -> BackupPolicy {
        let schedule = Schedule::new([22], Days::Every(1), Zone::UTC).expect("a schedule");
        BackupPolicy::new(name, "b", schedule, Retention::new(Keep::Number(7), false).expect("in range"))
    }

    #[test]
    fn a_name_says_the_policy_and_the_moment_and_nothing_else_is_taken_for_one() {
        let nightly = policy("nightly");
        // Method: every hour of a year and a leap day there and back, then names that are nearly ones.
        for hour in 0..400 * 24 {
            let due = Timestamp::from_secs(1_803_859_200 + hour * 3_600);
            assert_eq!(nightly.moment_of(&nightly.name_of(due)), Some(due));
        }
        let at = Timestamp::from_secs(1_796_162_400);
        assert_eq!((nightly.name_of(at).as_str(), nightly.folder()), ("nightly-20261201T220000Z", Path::new("b")));
        assert_eq!(policy("a-20261201T220000Z").moment_of("a-20261201T220000Z-20261201T220000Z"), Some(at));
        for name in [
            "",
            "nightly",
            "nightly-",
            "20261201T220000Z",
            "-20261201T220000Z",
            "nightly-20261201T220000",
            "nightly-20261201T220000Z.tmp",
            "nightly-20261201T221500Z",
            "nightly-20261201T240000Z",
            "nightly-20261301T220000Z",
            "nightly-20260001T220000Z",
            "nightly-20260230T220000Z",
            "nightly-+0261201T220000Z",
            "nightly-20261201t220000Z",
            "nightly-x-20261201T220000Z",
            "weekly-20261201T220000Z",
            "nightly-\u{e9}0261201T220000Z",
        ] {
            assert_eq!(nightly.moment_of(name), None, "{name}");
        }
    }
}
