//! The recent points of one series: a run that grew in order of time, and beside it those that came late.

use std::collections::BTreeMap;

use crate::model::point::{Point, Unit, Value};
use crate::model::time::{TimeRange, Timestamp};

/// One recent point, packed: 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Recent {
    time: Timestamp,
    expires_at: i64,
    bits: u64,
    /// Number of the unit plus one, 0 for none.
    unit: u32,
    is_int: bool,
}

/// Points that a run makes room for at the least.
const ROOM_MIN: usize = 4;

const NEVER: i64 = i64::MAX;
/// Expiry of a shadow: dead at any time, whatever the clock does.
const ALWAYS_DEAD: i64 = i64::MIN;

impl Recent {
    pub(super) fn new(point: &Point, unit: Option<u32>) -> Self {
        let (is_int, bits) = match point.value {
            Value::Int(int) => (true, int.cast_unsigned()),
            Value::Float(float) => (false, float.to_bits()),
        };
        let expires_at = point.expires_at.map_or(NEVER, Timestamp::as_millis);
        Self { time: point.time, expires_at, bits, unit: unit.map_or(0, |number| number + 1), is_int }
    }

    fn shadow(time: Timestamp) -> Self {
        Self { time, expires_at: ALWAYS_DEAD, bits: 0, unit: 0, is_int: true }
    }

    pub(super) fn is_visible_at(&self, now: Timestamp) -> bool {
        self.expires_at == NEVER || now.as_millis() < self.expires_at
    }

    pub(super) fn to_point(self, unit_of: impl Fn(u32) -> Unit) -> Point {
        let value =
            if self.is_int { Value::Int(self.bits.cast_signed()) } else { Value::Float(f64::from_bits(self.bits)) };
        Point {
            time: self.time,
            value,
            expires_at: (self.expires_at != NEVER).then(|| Timestamp::from_millis(self.expires_at)),
            unit: self.unit.checked_sub(1).map(unit_of),
        }
    }
}

/// Points of one series. A time stands in `in_order` or in `late`, never in both.
#[derive(Default)]
pub(super) struct Run {
    in_order: Vec<Recent>,
    /// Points that came when a newer one was already there. A tree, so that a reversed series costs no copying.
    late: BTreeMap<Timestamp, Recent>,
}

impl Run {
    /// Memory of an empty run.
    pub(super) const BYTES: usize = size_of::<Self>();
    /// Memory of the room for a run's first points.
    pub(super) const FIRST_BYTES: usize = ROOM_MIN * size_of::<Recent>();
    /// A late point takes a tree entry, and nodes may be half empty. An ordered one takes less.
    pub(super) const LATE_BYTES: usize = 2 * (size_of::<Recent>() + size_of::<Timestamp>());

    /// Stores a point; gives back the one it replaced.
    pub(super) fn put(&mut self, recent: Recent) -> Option<Recent> {
        if self.newest().is_none_or(|newest| newest < recent.time) {
            if self.in_order.len() == self.in_order.capacity() {
                // A quarter more, not twice as much: memory is bounded by what is really held.
                self.in_order.reserve_exact((self.in_order.len() / 4).max(ROOM_MIN));
            }
            self.in_order.push(recent);
            return None;
        }
        match self.position(recent.time) {
            Ok(position) => Some(std::mem::replace(&mut self.in_order[position], recent)),
            Err(_) => self.late.insert(recent.time, recent),
        }
    }

    /// Hides what is stored at this time, if anything is.
    pub(super) fn shadow(&mut self, time: Timestamp) {
        match self.position(time) {
            Ok(position) => self.in_order[position] = Recent::shadow(time),
            Err(_) => {
                if let Some(late) = self.late.get_mut(&time) {
                    *late = Recent::shadow(time);
                }
            }
        }
    }

    /// Time of the newest point; late ones are older by definition.
    pub(super) fn newest(&self) -> Option<Timestamp> {
        self.in_order.last().map(|recent| recent.time)
    }

    /// The points in a range, in order of time.
    pub(super) fn range(&self, range: TimeRange) -> impl Iterator<Item = Recent> {
        let start = self.in_order.partition_point(|recent| recent.time < range.start());
        let end = self.in_order.partition_point(|recent| recent.time < range.end()).max(start);
        let mut ordered = self.in_order[start..end].iter().copied().peekable();
        let to = range.end().max(range.start());
        let mut late = self.late.range(range.start()..to).map(|(_, recent)| *recent).peekable();
        std::iter::from_fn(move || match (ordered.peek(), late.peek()) {
            (Some(one), Some(other)) if one.time > other.time => late.next(),
            (None, _) => late.next(),
            (Some(_), _) => ordered.next(),
        })
    }

    /// Memory held, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.in_order.capacity() * size_of::<Recent>() + self.late.len() * Self::LATE_BYTES
    }

    fn position(&self, time: Timestamp) -> Result<usize, usize> {
        self.in_order.binary_search_by_key(&time, |recent| recent.time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_run_answers_like_an_ordered_map(
            puts in prop::collection::vec((0_i64..40, any::<i64>(), any::<bool>()), 0..120),
            from in -5_i64..45,
            to in -5_i64..45,
        ) {
            // Goal: late, equal and shadowed times come out as from a map. Method: the same calls on both.
            let mut run = Run::default();
            let mut map = BTreeMap::new();
            for (time, value, shadow) in puts {
                let time = Timestamp::from_millis(time);
                if shadow {
                    run.shadow(time);
                    map.entry(time).and_modify(|recent| *recent = Recent::shadow(time));
                } else {
                    let recent = Recent::new(&Point::new(time, value), None);
                    prop_assert_eq!(run.put(recent), map.insert(time, recent));
                }
            }
            let (from, to) = (Timestamp::from_millis(from), Timestamp::from_millis(to));
            let expected: Vec<Recent> =
                map.iter().filter(|(time, _)| from <= **time && **time < to).map(|(_, recent)| *recent).collect();
            prop_assert_eq!(run.range(TimeRange::new(from, to)).collect::<Vec<_>>(), expected);
            prop_assert_eq!(run.newest(), map.keys().next_back().copied());
        }
    }
}
