//! How often which duration came: counts in slots that are finer than a hundredth of what they hold, so that any number
//! of durations takes the same memory.

use std::time::Duration;

/// Bits that tell durations of one power of two apart.
const FINE_BITS: u32 = 7;

/// Slots for every nanosecond that a `u64` holds.
const SLOTS: usize = (64 - FINE_BITS as usize + 1) << FINE_BITS;

/// Durations, counted.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    count: u64,
    max: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; SLOTS], count: 0, max: Duration::ZERO }
    }
}

impl Histogram {
    pub(super) fn record(&mut self, duration: Duration) {
        self.counts[slot(nanos(duration))] += 1;
        self.count += 1;
        self.max = self.max.max(duration);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.count += other.count;
        self.max = self.max.max(other.max);
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The duration that so many of a hundred thousand do not pass, rounded up by less than a hundredth.
    pub(super) fn percentile(&self, of_100_000: u64) -> Duration {
        let rank = u128::from(self.count) * u128::from(of_100_000);
        let mut below = 0;
        for (slot, count) in self.counts.iter().enumerate() {
            below += count;
            if u128::from(below) * 100_000 >= rank && below > 0 {
                return Duration::from_nanos(last_of(slot)).min(self.max);
            }
        }
        self.max
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn slot(nanos: u64) -> usize {
    let coarse = (u64::BITS - nanos.leading_zeros()).saturating_sub(FINE_BITS + 1);
    let fine = usize::try_from(nanos >> coarse).expect("eight bits");
    ((coarse as usize) << FINE_BITS) + fine
}

/// The longest duration of a slot.
fn last_of(slot: usize) -> u64 {
    let coarse = (slot >> FINE_BITS).saturating_sub(1);
    let fine = (slot - (coarse << FINE_BITS)) as u64;
    // Shifted first and then filled up: the last slot ends with the last number.
    (fine << coarse) | ((1 << coarse) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_has_a_slot_that_is_close_to_it() {
        // Method: the borders of all powers of two.
        for power in 0..64 {
            for nanos in [(1 << power) - 1, 1 << power, (1 << power) + 1, (1_u64 << power) + ((1 << power) - 1)] {
                let last = last_of(slot(nanos));
                assert!(last >= nanos && last - nanos <= nanos / 128, "{nanos} is in a slot up to {last}");
                assert_eq!(slot(last), slot(nanos));
                assert!(last == u64::MAX || slot(last + 1) == slot(nanos) + 1);
            }
        }
        assert_eq!(slot(u64::MAX), SLOTS - 1);
    }

    #[test]
    fn percentiles_are_those_of_the_durations() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile(50_000), Duration::ZERO);
        for micros in 1..=1_000 {
            histogram.record(Duration::from_micros(micros));
        }
        for (of_100_000, micros) in [(50_000, 500.0), (90_000, 900.0), (99_000, 990.0), (99_900, 999.0)] {
            let found = histogram.percentile(of_100_000).as_secs_f64() * 1e6;
            assert!((micros..micros * 1.01).contains(&found), "{of_100_000}: {found}");
        }
        assert_eq!(histogram.percentile(100_000), Duration::from_millis(1));
        let mut twice = histogram.clone();
        twice.merge(&histogram);
        assert_eq!((twice.count(), twice.percentile(90_000)), (2_000, histogram.percentile(90_000)));
    }
}
