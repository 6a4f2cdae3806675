//! A point as the engine moves it: 32 bytes, nothing allocated. Its unit is a number in a table that lies beside it.

use std::collections::HashMap;

use crate::model::limits::{EXPIRY_MILLIS_MAX, SEGMENT_UNITS_MAX};
use crate::model::point::{Point, Unit, Value};
use crate::model::time::Timestamp;

/// One point, or the shadow of one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PackedPoint {
    /// Milliseconds since 1970.
    pub(crate) time: i64,
    /// From this millisecond on it is hidden; [`NEVER`] for a point that does not expire.
    pub(crate) expires_at: i64,
    /// The value: an integer, or the bits of a double; 0 of a shadow.
    pub(crate) bits: u64,
    /// Number of the unit in its table plus one, 0 for none.
    pub(crate) unit: u32,
    pub(crate) kind: Kind,
    /// Whether it is in no summary of a window: it came too late, was older than every tier, or is
    /// no finite number (semantics S6, S7, S12).
    pub(crate) is_apart: bool,
}

/// What a point holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Kind {
    /// An integer.
    Int,
    /// A double.
    Float,
    /// No value: the point was dead when it was stored, and hides an older one at its time (semantics S4, S5).
    Shadow,
}

/// The expiry of a point that does not expire.
pub(crate) const NEVER: i64 = i64::MAX;
/// Never, as a distance from a time: no other expiry is as far from any time.
pub(crate) const NEVER_AFTER: i64 = i64::MAX;
/// The expiry of a shadow: dead at any time, whatever the clock does.
pub(crate) const ALWAYS_DEAD: i64 = i64::MIN;

impl PackedPoint {
    /// Packs a point whose unit has this number.
    pub(crate) fn new(point: &Point, unit: Option<u32>) -> Self {
        let (kind, bits) = match point.value {
            Value::Int(int) => (Kind::Int, int.cast_unsigned()),
            Value::Float(float) => (Kind::Float, float.to_bits()),
        };
        let expires_at = point.expires_at.map_or(NEVER, Timestamp::as_millis);
        Self {
            time: point.time.as_millis(),
            expires_at,
            bits,
            unit: unit.map_or(0, |number| number + 1),
            kind,
            is_apart: false,
        }
    }

    /// What hides an older point at this time.
    pub(crate) fn shadow(time: i64) -> Self {
        Self { time, expires_at: ALWAYS_DEAD, bits: 0, unit: 0, kind: Kind::Shadow, is_apart: false }
    }

    /// Whether time and expiry are in range; those of a shadow are not.
    pub(crate) fn is_storable(&self) -> bool {
        let expiry = -EXPIRY_MILLIS_MAX..=EXPIRY_MILLIS_MAX;
        Timestamp::from_millis(self.time).is_storable()
            && (self.expires_at == NEVER || expiry.contains(&self.expires_at))
    }

    /// Distance from its time to its expiry, in ms, or [`NEVER_AFTER`]; a shadow has none.
    #[inline]
    pub(crate) fn after(&self) -> i64 {
        // Times and expiries of what is stored are within 2^54 of 1970, see `limits`.
        if self.expires_at == NEVER { NEVER_AFTER } else { self.expires_at - self.time }
    }

    /// Whether it can be read at the moment `now`.
    #[inline]
    pub(crate) fn is_visible_at(&self, now: Timestamp) -> bool {
        self.expires_at == NEVER || now.as_millis() < self.expires_at
    }

    /// Whether its value is a NaN or an infinity.
    pub(crate) fn is_non_finite(&self) -> bool {
        self.kind == Kind::Float && !f64::from_bits(self.bits).is_finite()
    }

    /// The value; 0 of a shadow.
    #[inline]
    pub(crate) fn value(&self) -> Value {
        match self.kind {
            Kind::Int | Kind::Shadow => Value::Int(self.bits.cast_signed()),
            Kind::Float => Value::Float(f64::from_bits(self.bits)),
        }
    }

    /// The point itself; a shadow has none.
    pub(crate) fn unpack(&self, units: &Units) -> Option<Point> {
        let unit = self.unit.checked_sub(1).map(|number| units.get(number).clone());
        (self.kind != Kind::Shadow).then(|| self.with_unit(unit))
    }

    /// The point itself, which is no shadow, with its unit.
    #[inline]
    pub(crate) fn with_unit(&self, unit: Option<Unit>) -> Point {
        Point {
            time: Timestamp::from_millis(self.time),
            value: self.value(),
            expires_at: (self.expires_at != NEVER).then(|| Timestamp::from_millis(self.expires_at)),
            unit,
        }
    }
}

/// Unit, apartness and kind of a point in one number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Tag(pub(crate) u32);

const TAG_APART: u32 = 1 << 2;
const TAG_UNIT_SHIFT: u32 = 3;
const _: () = assert!(SEGMENT_UNITS_MAX < 1 << (u32::BITS - TAG_UNIT_SHIFT));

impl Tag {
    #[inline]
    pub(crate) fn of(point: &PackedPoint) -> Self {
        let apart = if point.is_apart { TAG_APART } else { 0 };
        Self(point.unit << TAG_UNIT_SHIFT | apart | point.kind as u32)
    }

    pub(crate) fn is_apart(self) -> bool {
        self.0 & TAG_APART != 0
    }

    /// The point that has this tag, time, expiry and value.
    #[inline]
    pub(crate) fn point(self, time: i64, expires_at: i64, bits: u64) -> PackedPoint {
        let kind = [Kind::Int, Kind::Float, Kind::Shadow, Kind::Shadow][(self.0 & (TAG_APART - 1)) as usize];
        let (unit, is_apart) = (self.0 >> TAG_UNIT_SHIFT, self.is_apart());
        PackedPoint { time, expires_at, bits, unit, kind, is_apart }
    }
}

/// A point with the number of its series, in half a line of the processor's cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NumberedPoint {
    pub(crate) series: u32,
    tag: Tag,
    /// Milliseconds since 1970.
    pub(crate) time: i64,
    expires_at: i64,
    bits: u64,
}

impl NumberedPoint {
    #[inline]
    pub(crate) fn new(series: u32, point: PackedPoint) -> Self {
        let PackedPoint { time, expires_at, bits, .. } = point;
        Self { series, tag: Tag::of(&point), time, expires_at, bits }
    }

    /// The point without its series.
    #[inline]
    pub(crate) fn point(&self) -> PackedPoint {
        self.tag.point(self.time, self.expires_at, self.bits)
    }
}

/// The units in use, each kept once. Never shrinks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Units {
    by_number: Vec<Unit>,
    numbers: HashMap<Unit, u32>,
    /// The number that was given last.
    asked_last: u32,
    bytes: usize,
}

// Equal lists have equal tables beside them.
impl PartialEq for Units {
    fn eq(&self, other: &Self) -> bool {
        self.by_number == other.by_number
    }
}

impl Eq for Units {}

impl Units {
    /// The number of a unit, given to it now if it is new.
    pub(crate) fn number_of(&mut self, unit: &Unit) -> u32 {
        // Neighbours mostly share a unit; that saves the look-up.
        if self.by_number.get(self.asked_last as usize) == Some(unit) {
            return self.asked_last;
        }
        self.asked_last = self.find(unit).unwrap_or_else(|| {
            let number = u32::try_from(self.by_number.len()).expect("memory ends before 2^32 units");
            self.bytes += Self::unit_bytes(unit);
            self.by_number.push(unit.clone());
            self.numbers.insert(unit.clone(), number);
            number
        });
        self.asked_last
    }

    /// The number of a unit, if it has one.
    pub(crate) fn find(&self, unit: &Unit) -> Option<u32> {
        self.numbers.get(unit).copied()
    }

    /// The unit with a number that [`Self::number_of`] gave.
    pub(crate) fn get(&self, number: u32) -> &Unit {
        &self.by_number[number as usize]
    }

    /// The units in order of their numbers.
    pub(crate) fn list(&self) -> &[Unit] {
        &self.by_number
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The memory that a new unit adds, in bytes: its text, and its places in two tables.
    pub(crate) fn unit_bytes(unit: &Unit) -> usize {
        unit.as_str().len() + 6 * size_of::<Unit>()
    }
}
