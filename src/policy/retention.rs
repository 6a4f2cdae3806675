//! Which backups of a policy may go. Pure: nothing here removes anything.

use crate::error::{Error, Result};
use crate::model::date::DAY_MILLIS;
use crate::model::time::Timestamp;
use crate::policy::schedule::Zone;

/// Most backups that a policy keeps of a volume.
const NUMBER_MAX: u16 = 99;

/// Longest time for which a policy keeps backups, in days.
const DAYS_MAX: u32 = 99_999;

/// How long backups stay.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Keep {
    /// The newest ones, 1 to 99.
    Number(u16),
    /// Those that are not older than so many days, 1 to 99,999.
    Days(u32),
}

/// Which backups of a policy stay. The newest one always does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Retention {
    keep: Keep,
    first_of_month: bool,
}

impl Retention {
    /// Keeps these. With `first_of_month` the first backup of each month of the schedule's zone stays beside them.
    ///
    /// ```
    /// use ebbtide::{Keep, Retention};
    /// assert!(Retention::new(Keep::Number(7), true).is_ok());
    /// assert!(Retention::new(Keep::Days(0), false).is_err());
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` for a number or days out of range.
    pub fn new(keep: Keep, first_of_month: bool) -> Result<Self> {
        match keep {
            Keep::Number(number) if !(1..=NUMBER_MAX).contains(&number) => {
                Err(Error::invalid(format!("a policy keeps 1 to {NUMBER_MAX} backups")))
            }
            Keep::Days(days) if !(1..=DAYS_MAX).contains(&days) => {
                Err(Error::invalid(format!("a policy keeps backups for 1 to {DAYS_MAX} days")))
            }
            _ => Ok(Self { keep, first_of_month }),
        }
    }

    /// How many stay, or for how long.
    pub fn keep(self) -> Keep {
        self.keep
    }

    /// Whether the first backup of each month stays.
    pub fn first_of_month(self) -> bool {
        self.first_of_month
    }

    /// Places, in ascending order, of those that may go among the times of backups, which have to be in order, the oldest
    /// first. Months are those of the zone.
    ///
    /// ```
    /// use ebbtide::{Keep, Retention, Timestamp, Zone};
    /// let days = [0, 1, 2, 3].map(|day| Timestamp::from_secs(day * 86_400));
    /// assert_eq!(Retention::new(Keep::Number(2), false)?.expired(&days, Zone::UTC, days[3]), [0, 1]);
    /// assert_eq!(Retention::new(Keep::Number(2), true)?.expired(&days, Zone::UTC, days[3]), [1]);
    /// # Ok::<(), ebbtide::Error>(())
    /// ```
    pub fn expired(self, times: &[Timestamp], zone: Zone, now: Timestamp) -> Vec<usize> {
        let month = |time: Timestamp| {
            let date = zone.date(time);
            (date.year, date.month)
        };
        let is_first = |place: usize| place == 0 || month(times[place - 1]) != month(times[place]);
        let stays = |place: usize| match self.keep {
            Keep::Number(number) => times.len() - place <= usize::from(number),
            Keep::Days(days) => {
                let age = now.as_millis().saturating_sub(times[place].as_millis());
                place + 1 == times.len() || age <= i64::from(days) * DAY_MILLIS
            }
        };
        (0..times.len()).filter(|&place| !(stays(place) || self.first_of_month && is_first(place))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noon of a day counted from the first of December 2026.
    fn noon(day: i64) -> Timestamp {
        Timestamp::from_secs((20_788 + day - 1) * 86_400 + 43_200)
    }

    fn retention(keep: Keep, first_of_month: bool) -> Retention {
        Retention::new(keep, first_of_month).expect("in range")
    }

    #[test]
    fn the_newest_ones_and_the_first_of_each_month_stay() {
        let days = [30, 31, 32, 33, 34];
        let times: Vec<_> = days.map(noon).into();
        let table: [(Keep, bool, i64, &[i64]); 8] = [
            (Keep::Number(2), false, 34, &[30, 31, 32]),
            (Keep::Number(2), true, 34, &[31]),
            (Keep::Number(5), false, 34, &[]),
            (Keep::Number(99), true, 34, &[]),
            // Exactly so many days old is not older.
            (Keep::Days(2), false, 34, &[30, 31]),
            (Keep::Days(2), true, 34, &[31]),
            (Keep::Days(3), false, 34, &[30]),
            // The newest one stays, however old it is.
            (Keep::Days(1), false, 400, &[30, 31, 32, 33]),
        ];
        for (keep, first, now, wanted) in table {
            let gone = retention(keep, first).expired(&times, Zone::UTC, noon(now));
            assert_eq!(gone.iter().map(|&place| days[place]).collect::<Vec<_>>(), wanted, "{keep:?} {first} {now}");
        }
        assert_eq!(retention(Keep::Number(1), true).expired(&[], Zone::UTC, noon(1)), Vec::<usize>::new());
    }

    #[test]
    fn months_are_those_of_the_zone() {
        // Goal: 22:00 of the last of December belongs to January two hours east. Method: the same times in two zones.
        let late = noon(31) + std::time::Duration::from_secs(10 * 3_600);
        let times = [noon(31), late, noon(32), noon(33)];
        let keep = retention(Keep::Number(1), true);
        assert_eq!(keep.expired(&times, Zone::UTC, noon(33)), [1]);
        assert_eq!(keep.expired(&times, Zone::east_of_utc(120).expect("a zone"), noon(33)), [2]);
    }

    #[test]
    fn what_keeps_nothing_or_too_much_is_refused() {
        for keep in [Keep::Number(0), Keep::Number(100), Keep::Days(0), Keep::Days(100_000)] {
            assert!(Retention::new(keep, false).is_err(), "{keep:?}");
        }
    }
}
