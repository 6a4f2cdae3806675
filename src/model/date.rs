//! Days of the calendar: a day counted from 1970 as year, month and day of the month, and back. Pure; time zones are
//! the business of whoever asks.

/// Days from the first of March of year 0 to 1970-01-01.
const DAYS_TO_1970: i64 = 719_468;

/// Milliseconds of a day.
pub(crate) const DAY_MILLIS: i64 = 86_400_000;

/// A day of the Gregorian calendar.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Date {
    pub(crate) year: i64,
    /// 1 to 12.
    pub(crate) month: u8,
    /// 1 to 31.
    pub(crate) day: u8,
}

impl Date {
    /// The date of a day counted from 1970-01-01.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a day is up to 31, a month up to 12")]
    pub(crate) fn of_day(days: i64) -> Self {
        let days = days + DAYS_TO_1970;
        // Eras of 400 years; Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
        let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        Self { year: year + era * 400 + carry, month: month as u8, day: day as u8 }
    }

    /// The day counted from 1970-01-01.
    pub(crate) fn day_since_1970(self) -> i64 {
        let (year, month, day) = (self.year, i64::from(self.month), i64::from(self.day));
        // Years begin in March here: a leap day is then the last day of its year.
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
        365 * year + leaps + (153 * month + 2) / 5 + day - 1 - DAYS_TO_1970
    }
}

/// The day of the week of a day counted from 1970-01-01: 0 for Sunday.
pub(crate) fn week_day(days: i64) -> i64 {
    // 1970 began on a Thursday.
    (days + 4).rem_euclid(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (days, year, month, day, week) in [
            (0, 1970, 1, 1, 4),
            (-1, 1969, 12, 31, 3),
            (19_782, 2024, 2, 29, 4),
            (19_783, 2024, 3, 1, 5),
            (11_017, 2000, 3, 1, 3),
            (20_788, 2026, 12, 1, 2),
        ] {
            let date = Date { year, month, day };
            assert_eq!((Date::of_day(days), date.day_since_1970(), week_day(days)), (date, days, week));
        }
        // Method: every day of eight centuries follows the one before, and comes back.
        let mut before = Date::of_day(-150_001);
        for days in -150_000..150_000 {
            let date = Date::of_day(days);
            let next_month =
                (date.month, date.year) == (before.month % 12 + 1, before.year + i64::from(before.month / 12));
            assert!(
                date.day == before.day + 1 && date.month == before.month || date.day == 1 && next_month,
                "{date:?}"
            );
            assert_eq!(date.day_since_1970(), days);
            before = date;
        }
    }
}
