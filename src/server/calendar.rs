//! Moments in the two written forms that clients of the API use, in UTC. Pure.

use crate::model::date::Date;
use crate::model::time::Timestamp;

/// The moment that `yyyyMMddTHHmmssZ` names.
pub(super) fn read_compact(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let is_digit = |place: usize| bytes[place].is_ascii_digit();
    if bytes.len() != 16 || bytes[8] != b'T' || bytes[15] != b'Z' || !(0..8).chain(9..15).all(is_digit) {
        return None;
    }
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(9, 11)?, number(11, 13)?, number(13, 15)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (month, day) = (u8::try_from(month).ok()?, u8::try_from(day).ok()?);
    let days = Date { year, month, day }.day_since_1970();
    Some(Timestamp::from_secs(days * 86_400 + hour * 3_600 + minute * 60 + second))
}

/// Such as `20260101T000000Z`.
pub(super) fn show_compact(time: Timestamp) -> String {
    show_millis(time).chars().take(19).filter(char::is_ascii_alphanumeric).chain(['Z']).collect()
}

/// Such as `2026-01-01T00:00:00.000000Z`.
pub(super) fn show(time: Timestamp) -> String {
    format!("{}000Z", show_millis(time))
}

/// A moment as people write it, such as `2026-01-01T00:00:00.000Z`.
///
/// ```
/// use ebbtide::{Timestamp, server};
/// assert_eq!(server::utc(Timestamp::from_millis(7)), "1970-01-01T00:00:00.007Z");
/// ```
pub fn utc(time: Timestamp) -> String {
    format!("{}Z", show_millis(time))
}

/// Such as `2026-01-01T00:00:00.000`, of UTC without saying so.
pub(super) fn show_millis(time: Timestamp) -> String {
    let (millis, secs) = (time.as_millis().rem_euclid(1_000), time.as_millis().div_euclid(1_000));
    let second = secs.rem_euclid(86_400);
    let Date { year, month, day } = Date::of_day(secs.div_euclid(86_400));
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_calendar() {
        for (text, secs, shown) in [
            ("19700101T000000Z", 0, "1970-01-01T00:00:00.000000Z"),
            ("20260101T000000Z", 1_767_225_600, "2026-01-01T00:00:00.000000Z"),
            ("20240229T235959Z", 1_709_251_199, "2024-02-29T23:59:59.000000Z"),
            ("20240301T000000Z", 1_709_251_200, "2024-03-01T00:00:00.000000Z"),
            ("20000301T000000Z", 951_868_800, "2000-03-01T00:00:00.000000Z"),
            ("19691231T235959Z", -1, "1969-12-31T23:59:59.000000Z"),
        ] {
            assert_eq!(read_compact(text), Some(Timestamp::from_secs(secs)), "{text}");
            assert_eq!(show(Timestamp::from_secs(secs)), shown);
            assert_eq!(show_compact(Timestamp::from_secs(secs)), text);
        }
        assert_eq!(show(Timestamp::from_millis(7)), "1970-01-01T00:00:00.007000Z");
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for text in
            ["", "20261301T000000Z", "20260101T240000Z", "2026-01-01T00:00", "+0260101T000000Z", "2026\u{e9}101T00000Z"]
        {
            assert_eq!(read_compact(text), None, "{text}");
        }
    }
}
