//! How many points were acknowledged when: counts in equal spans of time, which become longer the longer it takes, so
//! that their number is bounded.

use std::time::Duration;

/// Spans at first, in milliseconds.
const SPAN_MILLIS: u64 = 100;

/// Most spans: as many as a picture has room for.
const SPANS_MAX: usize = 600;

/// Points by the time of their acknowledgement.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    span_millis: u64,
    counts: Vec<u64>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { span_millis: SPAN_MILLIS, counts: Vec::new() }
    }
}

impl Timeline {
    /// Counts points that were acknowledged this long after the start.
    pub(super) fn record(&mut self, after: Duration, points: u64) {
        let millis = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        while millis / self.span_millis >= SPANS_MAX as u64 {
            self.coarsen();
        }
        let span = usize::try_from(millis / self.span_millis).expect("below `SPANS_MAX`");
        if self.counts.len() <= span {
            self.counts.resize(span + 1, 0);
        }
        self.counts[span] += points;
    }

    pub(super) fn merge(&mut self, mut other: Self) {
        while self.span_millis < other.span_millis {
            self.coarsen();
        }
        while other.span_millis < self.span_millis {
            other.coarsen();
        }
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
    }

    pub(super) fn span(&self) -> Duration {
        Duration::from_millis(self.span_millis)
    }

    pub(super) fn counts(&self) -> &[u64] {
        &self.counts
    }

    fn coarsen(&mut self) {
        self.span_millis *= 2;
        self.counts = self.counts.chunks(2).map(|pair| pair.iter().sum()).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_point_is_lost_however_long_it_takes() {
        // Goal: the sum stays, the spans are bounded, and two timelines of different spans fit together.
        let mut long = Timeline::default();
        for second in 0..3_000 {
            long.record(Duration::from_secs(second), 2);
        }
        assert_eq!(long.counts().iter().sum::<u64>(), 6_000);
        assert!(long.counts().len() <= SPANS_MAX && long.span() == Duration::from_millis(6_400));
        let mut short = Timeline::default();
        short.record(Duration::from_millis(50), 1);
        short.record(Duration::from_millis(150), 1);
        assert_eq!(short.counts(), [1, 1]);
        short.merge(long.clone());
        assert_eq!(short.counts()[0], long.counts()[0] + 2);
        assert_eq!(short.counts().iter().sum::<u64>(), 6_002);
    }
}
