//! What becomes of points beside being stored: into windows of which length they are summed up, how long those are
//! kept, and which points come too late for them.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::model::limits::{LATE_MAX, TIERS_MAX};
use crate::model::segment::{DAY_MILLIS, Partition};
use crate::model::time::Timestamp;

/// Which late points count in windows (semantics S6). Fixed when a database is made.
///
/// ```
/// use ebbtide::Late;
/// assert_eq!(Late::default(), Late::Correct);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Late {
    /// All of them: a window is what it would be if they had come in time. The default.
    #[default]
    Correct,
    /// Those that come at most this long after their own time. Later ones are stored, but count in no
    /// stored window.
    DiscardAfter(Duration),
}

impl Late {
    /// Refuses a time that is longer than any point lives.
    pub(crate) fn check(self) -> Result<()> {
        match self {
            Self::DiscardAfter(after) if after > LATE_MAX => {
                Err(Error::invalid(format!("late after {after:?}, at most {LATE_MAX:?} can be said")))
            }
            _ => Ok(()),
        }
    }
}

/// Windows of one length, for points of some age.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Tier {
    /// Length of a window, in ms. Divides a day.
    pub(crate) window: i64,
    /// How long after the end of their partition windows of this length are kept, in ms.
    pub(crate) keep: i64,
}

/// The tiers that were published for the service whose schema the server speaks: five minutes for 10 days, 20 minutes
/// for 20, an hour for 155, four hours for 300, a day for five years.
const TIERS_DEFAULT: [(Duration, Duration); 5] = [
    (Duration::from_secs(300), Duration::from_secs(10 * 86_400)),
    (Duration::from_secs(1_200), Duration::from_secs(20 * 86_400)),
    (Duration::from_secs(3_600), Duration::from_secs(155 * 86_400)),
    (Duration::from_secs(14_400), Duration::from_secs(300 * 86_400)),
    (Duration::from_secs(86_400), Duration::from_secs(1_825 * 86_400)),
];

/// How long a window is still settling under [`Late::Correct`]: points of three days are admitted on the wire (S3).
const SETTLING_MILLIS: i64 = 3 * DAY_MILLIS;

/// The tiers of a database, finest first, and what is too late for them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Rollup {
    pub(crate) tiers: Vec<Tier>,
    pub(crate) late: Late,
    /// Whether windows keep how their values are spread, to tell percentiles from.
    pub(crate) sketches: bool,
    /// Days of a partition.
    pub(crate) partition_days: u16,
}

impl Default for Rollup {
    fn default() -> Self {
        let tiers = Self::check_tiers(&TIERS_DEFAULT).expect("the default is valid");
        Self { tiers, late: Late::default(), sketches: false, partition_days: 1 }
    }
}

impl Rollup {
    /// Checks tiers as a program gives them: length of the windows and how long they are kept.
    pub(crate) fn check_tiers(tiers: &[(Duration, Duration)]) -> Result<Vec<Tier>> {
        let millis = |time: Duration| i64::try_from(time.as_millis()).ok().filter(|millis| *millis < i64::MAX / 4);
        let refuse = |why: String| Err(Error::invalid(format!("retention: {why}")));
        if tiers.len() > TIERS_MAX {
            return refuse(format!("{} tiers, at most {TIERS_MAX} are allowed", tiers.len()));
        }
        let mut checked: Vec<Tier> = Vec::new();
        for &(window, keep) in tiers {
            let (Some(length), Some(kept)) = (millis(window), millis(keep)) else {
                return refuse(format!("{window:?} for {keep:?} is longer than time is counted"));
            };
            if length == 0 || !window.as_nanos().is_multiple_of(1_000_000_000) || DAY_MILLIS % length != 0 {
                return refuse(format!("windows of {window:?} do not divide a day into whole seconds"));
            }
            if checked.last().is_some_and(|finer| length <= finer.window || length % finer.window != 0) {
                return refuse(format!("windows of {window:?} are no multiple of those before"));
            }
            if checked.last().is_some_and(|finer| kept <= finer.keep) {
                return refuse(format!("windows of {window:?} are not kept longer than those before"));
            }
            checked.push(Tier { window: length, keep: kept });
        }
        Ok(checked)
    }

    /// The earliest time, in ms, of points that count in windows if they are accepted at this moment.
    pub(crate) fn counts_from(&self, accepted_at: Timestamp) -> i64 {
        let Some(last) = self.tiers.last() else { return i64::MAX };
        let span = Partition(1).start(self.partition_days);
        let kept = accepted_at.as_millis().saturating_sub(last.keep).div_euclid(span).saturating_mul(span);
        match self.late {
            Late::Correct => kept,
            Late::DiscardAfter(after) => kept.max((accepted_at - after).as_millis()),
        }
    }

    /// The length of the windows that a partition is kept in at this moment, in ms; none if it is older than every tier.
    pub(crate) fn window_at(&self, partition: Partition, now: Timestamp) -> Option<i64> {
        let end = Partition(partition.0 + 1).start(self.partition_days);
        let tier = self.tiers.iter().find(|tier| now.as_millis() < end.saturating_add(tier.keep));
        tier.map(|tier| tier.window)
    }

    /// How long after its end a window may still change, in ms.
    pub(crate) fn settling_millis(&self) -> i64 {
        match self.late {
            Late::Correct => SETTLING_MILLIS,
            Late::DiscardAfter(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn rollup(late: Late) -> Rollup {
        Rollup { late, ..Rollup::default() }
    }

    #[test]
    fn tiers_age_with_their_partition_and_end() {
        // S7. Method: the day from 0 to 1, asked on both sides of each end.
        let rollup = rollup(Late::Correct);
        let at =
            |day: i64, millis: i64| rollup.window_at(Partition(0), Timestamp::from_millis(day * DAY_MILLIS + millis));
        let ends = [
            (11, 300, Some(1_200)),
            (21, 1_200, Some(3_600)),
            (156, 3_600, Some(14_400)),
            (301, 14_400, Some(86_400)),
            (1_826, 86_400, None),
        ];
        for (day, before, after) in ends {
            assert_eq!(at(day, -1), Some(before * 1_000), "before day {day}");
            assert_eq!(at(day, 0), after.map(|secs: i64| secs * 1_000), "on day {day}");
        }
    }

    #[test]
    fn what_counts_is_what_a_tier_or_the_late_policy_still_takes() {
        let day = |number: i64| number * DAY_MILLIS;
        let now = Timestamp::from_millis(day(2_000) + 5);
        let correct = rollup(Late::Correct);
        let from = correct.counts_from(now);
        assert_eq!(from, day(175));
        // The rule of the points is that of their partition.
        assert!(correct.window_at(Partition::of(from, 1), now).is_some());
        assert!(correct.window_at(Partition::of(from - 1, 1), now).is_none());
        assert_eq!(rollup(Late::DiscardAfter(secs(600))).counts_from(now), now.as_millis() - 600_000);
        assert_eq!(Rollup { tiers: Vec::new(), ..correct }.counts_from(now), i64::MAX);
    }

    #[test]
    fn tiers_that_cannot_be_are_refused() {
        let refused = |tiers: &[(u64, u64)]| {
            let tiers: Vec<_> = tiers.iter().map(|&(window, keep)| (secs(window), secs(keep))).collect();
            Rollup::check_tiers(&tiers).is_err()
        };
        assert!(!refused(&[]) && !refused(&[(60, 0), (300, 1)]));
        for tiers in [&[(0, 1)][..], &[(7, 1)], &[(172_800, 1)], &[(300, 9), (300, 10)], &[(300, 9), (450, 10)]] {
            assert!(refused(tiers), "{tiers:?}");
        }
        assert!(refused(&[(300, 9), (600, 9)]) && refused(&[(300, u64::MAX)]));
        assert!(Rollup::check_tiers(&[(Duration::from_millis(1_500), secs(9))]).is_err());
    }
}
