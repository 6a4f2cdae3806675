//! When a policy runs: hours of the day, and which days. Pure: nothing here reads a clock.

use crate::error::{Error, Result};
use crate::model::date::{DAY_MILLIS, Date, week_day};
use crate::model::time::Timestamp;

/// Milliseconds of an hour.
const HOUR_MILLIS: i64 = 3_600_000;

/// Milliseconds of a minute.
const MINUTE_MILLIS: i64 = 60_000;

/// Longest distance of two runs, in hours: each month has a first, and a zone moves it by less than a day.
const HOURS_APART_MAX: i64 = 33 * 24;

/// Most missed runs that are counted; what is behind them was missed too.
const MISSED_MAX: u32 = 1_000;

/// Most days between two runs: the most that a month has.
const EVERY_DAYS_MAX: u8 = 31;

/// Farthest zone from UTC, in minutes.
const ZONE_MINUTES_MAX: i16 = 14 * 60;

/// How far the days of a place are ahead of those of UTC.
///
/// ```
/// use ebbtide::Zone;
/// assert_eq!(Zone::east_of_utc(120)?.minutes(), 120);
/// assert!(Zone::east_of_utc(15 * 60).is_err());
/// # Ok::<(), ebbtide::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Zone(i16);

impl Zone {
    /// UTC itself: the default.
    pub const UTC: Self = Self(0);

    /// The zone whose clocks are so many minutes ahead; negative west of UTC.
    ///
    /// # Errors
    /// `InvalidInput` for more than 14 hours.
    pub fn east_of_utc(minutes: i16) -> Result<Self> {
        if minutes.unsigned_abs() > ZONE_MINUTES_MAX.unsigned_abs() {
            return Err(Error::invalid(format!("a zone is at most {ZONE_MINUTES_MAX} minutes from UTC")));
        }
        Ok(Self(minutes))
    }

    /// By how many minutes its clocks are ahead of UTC.
    pub const fn minutes(self) -> i16 {
        self.0
    }

    /// The day there, counted from 1970.
    fn day(self, time: Timestamp) -> i64 {
        time.as_millis().saturating_add(i64::from(self.0) * MINUTE_MILLIS).div_euclid(DAY_MILLIS)
    }

    /// The date there.
    pub(crate) fn date(self, time: Timestamp) -> Date {
        Date::of_day(self.day(time))
    }

    /// The hour of the day there at a full hour of UTC.
    pub(crate) fn hour_of(self, utc: u8) -> i64 {
        (i64::from(utc) * 60 + i64::from(self.0)).rem_euclid(24 * 60)
    }
}

/// A day of the week.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum WeekDay {
    Sunday,
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
}

impl WeekDay {
    /// From Sunday on.
    pub(crate) const ALL: [Self; 7] =
        [Self::Sunday, Self::Monday, Self::Tuesday, Self::Wednesday, Self::Thursday, Self::Friday, Self::Saturday];
}

/// On which days of its zone a [`Schedule`] runs.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Days {
    /// Every so many days, 1 to 31, counted from the first of each month: with 5, on the 1st, 6th, 11th, 16th, 21st, 26th
    /// and 31st.
    Every(u8),
    /// On these days of the week.
    On(Vec<WeekDay>),
}

/// When a backup is due: at full hours of UTC, on days of a zone.
///
/// ```
/// use ebbtide::{Days, Schedule, Timestamp, Zone};
/// // At 00:00 and 04:00 two hours east of UTC, every day.
/// let schedule = Schedule::new([22, 2], Days::Every(1), Zone::east_of_utc(120)?)?;
/// let midnight = Timestamp::from_secs(0);
/// assert_eq!(schedule.next_after(midnight), Timestamp::from_secs(2 * 3_600));
/// # Ok::<(), ebbtide::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Schedule {
    /// Of UTC, in the order of the zone's day; never empty.
    hours: Vec<u8>,
    days: Days,
    zone: Zone,
}

/// What has fallen due: [`Schedule::due`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Due {
    /// The last moment at which it should have run.
    pub at: Timestamp,
    /// How many runs before that one were missed, up to 1,000; one run makes up for all of them.
    pub missed: u32,
}

impl Schedule {
    /// A schedule that runs at these hours of UTC, 0 to 23, on these days of the zone.
    ///
    /// # Errors
    /// `InvalidInput` for no hour or day at all, for hours that there are not, and for every 0 or more than 31 days.
    pub fn new(hours: impl IntoIterator<Item = u8>, days: Days, zone: Zone) -> Result<Self> {
        let mut hours: Vec<u8> = hours.into_iter().take(25).collect();
        hours.sort_unstable_by_key(|hour| zone.hour_of(*hour));
        hours.dedup();
        if hours.is_empty() || hours.iter().any(|hour| *hour > 23) {
            return Err(Error::invalid("a schedule needs hours of the day, 0 to 23"));
        }
        let days = match days {
            Days::Every(every) if !(1..=EVERY_DAYS_MAX).contains(&every) => {
                return Err(Error::invalid(format!("a schedule runs every 1 to {EVERY_DAYS_MAX} days")));
            }
            Days::On(days) if days.is_empty() => return Err(Error::invalid("a schedule needs days of the week")),
            Days::Every(_) => days,
            Days::On(days) => Days::On(WeekDay::ALL.into_iter().filter(|day| days.contains(day)).collect()),
        };
        Ok(Self { hours, days, zone })
    }

    /// Its hours of UTC, in the order of its zone's day.
    pub fn hours(&self) -> &[u8] {
        &self.hours
    }

    /// Its days.
    pub fn days(&self) -> &Days {
        &self.days
    }

    /// Whose days they are.
    pub fn zone(&self) -> Zone {
        self.zone
    }

    /// The first run after a moment; the last time of all where time ends before it.
    pub fn next_after(&self, time: Timestamp) -> Timestamp {
        let hour = time.as_millis().div_euclid(HOUR_MILLIS) + 1;
        self.first((hour..hour.saturating_add(HOURS_APART_MAX)).map(full_hour)).unwrap_or(Timestamp::MAX)
    }

    /// What has fallen due after the runs up to `handled` were seen to; nothing if that is none.
    ///
    /// ```
    /// use ebbtide::{Days, Schedule, Timestamp, Zone};
    /// let daily = Schedule::new([2], Days::Every(1), Zone::UTC)?;
    /// let hour = |hour: i64| Timestamp::from_secs(hour * 3_600);
    /// assert_eq!(daily.due(hour(2), hour(25)), None);
    /// // Three days later it should have run at 26, 50 and 74.
    /// let due = daily.due(hour(2), hour(75)).expect("something is due");
    /// assert_eq!((due.at, due.missed), (hour(74), 2));
    /// # Ok::<(), ebbtide::Error>(())
    /// ```
    pub fn due(&self, handled: Timestamp, now: Timestamp) -> Option<Due> {
        let at = self.last_up_to(now).filter(|at| *at > handled)?;
        let (mut missed, mut before) = (0, at);
        while missed < MISSED_MAX {
            before = match self.last_up_to(before - std::time::Duration::from_millis(1)) {
                Some(earlier) if earlier > handled => earlier,
                _ => break,
            };
            missed += 1;
        }
        Some(Due { at, missed })
    }

    fn last_up_to(&self, time: Timestamp) -> Option<Timestamp> {
        let hour = time.as_millis().div_euclid(HOUR_MILLIS);
        self.first((hour.saturating_sub(HOURS_APART_MAX)..=hour).rev().map(full_hour))
    }

    fn first(&self, mut hours: impl Iterator<Item = Timestamp>) -> Option<Timestamp> {
        hours.find(|time| self.runs_at(*time))
    }

    /// Whether this full hour is one of its own.
    fn runs_at(&self, time: Timestamp) -> bool {
        let hour = time.as_millis().div_euclid(HOUR_MILLIS).rem_euclid(24);
        let day = self.zone.day(time);
        self.hours.iter().any(|each| i64::from(*each) == hour)
            && match &self.days {
                Days::Every(every) => (Date::of_day(day).day - 1).is_multiple_of(*every),
                Days::On(days) => days.iter().any(|each| *each as i64 == week_day(day)),
            }
    }
}

fn full_hour(hour: i64) -> Timestamp {
    Timestamp::from_millis(hour.saturating_mul(HOUR_MILLIS))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A moment of December 2026, which begins on a Tuesday.
    fn december(day: i64, hour: i64) -> Timestamp {
        Timestamp::from_secs((20_788 + day - 1) * 86_400 + hour * 3_600)
    }

    fn zone(hours: i16) -> Zone {
        Zone::east_of_utc(hours * 60).expect("a zone")
    }

    #[test]
    fn runs_are_on_the_hours_and_days_of_the_schedule() {
        // Method: all runs of a month, as (day, hour) of UTC.
        type Row = (&'static [u8], Days, Zone, &'static [(i64, i64)]);
        use WeekDay::{Friday, Monday, Sunday};
        let table: [Row; 5] = [
            (&[2], Days::Every(10), Zone::UTC, &[(1, 2), (11, 2), (21, 2), (31, 2)]),
            (&[12, 0], Days::Every(14), Zone::UTC, &[(1, 0), (1, 12), (15, 0), (15, 12), (29, 0), (29, 12)]),
            (&[6], Days::On(vec![Sunday]), Zone::UTC, &[(6, 6), (13, 6), (20, 6), (27, 6)]),
            // 22:00 is midnight of the next day there: the first of January begins in December.
            (&[22, 2], Days::Every(31), zone(2), &[(1, 2), (31, 22)]),
            // 1:00 of a Saturday is still Friday there, and of a Tuesday Monday.
            (
                &[1],
                Days::On(vec![Monday, Friday]),
                zone(-3),
                &[(1, 1), (5, 1), (8, 1), (12, 1), (15, 1), (19, 1), (22, 1), (26, 1), (29, 1)],
            ),
        ];
        for (hours, days, zone, wanted) in table {
            let schedule = Schedule::new(hours.iter().copied(), days, zone).expect("a schedule");
            let mut found = Vec::new();
            let mut at = december(1, 0) - std::time::Duration::from_millis(1);
            loop {
                at = schedule.next_after(at);
                if at >= december(32, 0) {
                    break;
                }
                let hour = (at.as_millis() - december(1, 0).as_millis()) / HOUR_MILLIS;
                found.push((hour / 24 + 1, hour % 24));
            }
            assert_eq!(found, wanted, "{schedule:?}");
        }
    }

    #[test]
    fn a_downtime_is_made_up_for_by_one_run_and_counted() {
        let daily = Schedule::new([2], Days::Every(1), Zone::UTC).expect("a schedule");
        let table = [
            (december(3, 2), december(4, 1), None),
            (december(3, 2), december(4, 2), Some((december(4, 2), 0))),
            (december(3, 2), december(4, 7), Some((december(4, 2), 0))),
            (december(3, 2), december(7, 7), Some((december(7, 2), 3))),
            // A clock that went back.
            (december(9, 2), december(4, 2), None),
            (Timestamp::MIN, december(4, 2), Some((december(4, 2), MISSED_MAX))),
        ];
        for (handled, now, wanted) in table {
            assert_eq!(daily.due(handled, now).map(|due| (due.at, due.missed)), wanted, "{handled} {now}");
        }
    }

    #[test]
    fn what_is_no_schedule_is_refused_and_its_parts_are_put_in_order() {
        for (hours, days) in [
            (vec![], Days::Every(1)),
            (vec![24], Days::Every(1)),
            (vec![1], Days::Every(0)),
            (vec![1], Days::Every(32)),
            (vec![1], Days::On(Vec::new())),
        ] {
            assert!(Schedule::new(hours.clone(), days.clone(), Zone::UTC).is_err(), "{hours:?} {days:?}");
        }
        let days = Days::On(vec![WeekDay::Friday, WeekDay::Sunday, WeekDay::Friday]);
        let schedule = Schedule::new([2, 0, 22, 2], days, zone(2)).expect("a schedule");
        assert_eq!(schedule.hours(), [22, 0, 2]);
        assert_eq!(schedule.days(), &Days::On(vec![WeekDay::Sunday, WeekDay::Friday]));
        assert_eq!(schedule.next_after(Timestamp::from_millis(i64::MAX)), Timestamp::MAX);
    }
}
