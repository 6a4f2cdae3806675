//! One point: a time, an exact value, when it expires, and its unit.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::model::limits::{EXPIRY_MILLIS_MAX, UNIT_CHARS_MAX};
use crate::model::time::{Timestamp, Ttl};

/// The value of a point: an exact 64-bit integer or a double, kept as written.
///
/// Equality is equality of bits: `-0.0` differs from `0.0`, a NaN equals the same NaN, and `1` differs from `1.0`.
///
/// ```
/// use ebbtide::Value;
/// assert_eq!(Value::from(i64::MAX), Value::Int(i64::MAX));
/// assert_ne!(Value::from(1), Value::from(1.0));
/// ```
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// A whole number, exact over all of `i64`.
    Int(i64),
    /// A double, kept to the bit.
    Float(f64),
}

impl Value {
    /// Whether the value is a NaN or an infinity, which no statistic can hold.
    pub fn is_non_finite(self) -> bool {
        matches!(self, Self::Float(float) if !float.is_finite())
    }

    fn identity(self) -> (bool, u64) {
        match self {
            Self::Int(int) => (true, int.cast_unsigned()),
            Self::Float(float) => (false, float.to_bits()),
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl From<i64> for Value {
    fn from(int: i64) -> Self {
        Self::Int(int)
    }
}

impl From<i32> for Value {
    fn from(int: i32) -> Self {
        Self::Int(i64::from(int))
    }
}

impl From<f64> for Value {
    fn from(float: f64) -> Self {
        Self::Float(float)
    }
}

/// The unit of a point, such as `%` or `byte/s`: free text of at most
/// [`UNIT_CHARS_MAX`] characters, shared and cheap to clone. Never converted.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unit(Arc<str>);

impl Unit {
    /// The unit's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the text is short enough to be stored.
    pub(crate) fn is_storable(&self) -> bool {
        self.0.len() <= UNIT_CHARS_MAX || self.0.chars().count() <= UNIT_CHARS_MAX
    }
}

impl<T: Into<Arc<str>>> From<T> for Unit {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One datapoint of a series.
///
/// The expiry is absolute, fixed when the point is made, and never recomputed: the point is readable while
/// `now < expires_at`. Two points of one series at the same millisecond are the same point; the later write
/// replaces the earlier one whole.
///
/// ```
/// use ebbtide::{Point, Timestamp, Ttl, Value};
/// let point = Point::new(Timestamp::from_secs(100), 60).with_ttl(Ttl::from_secs(30)).with_unit("%");
/// assert_eq!(point.value, Value::Int(60));
/// assert_eq!(point.expires_at, Some(Timestamp::from_secs(130)));
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Point {
    /// When the value was collected.
    pub time: Timestamp,
    /// What was collected.
    pub value: Value,
    /// From this moment on the point is not readable; `None` for never.
    pub expires_at: Option<Timestamp>,
    /// The unit, if the writer named one.
    pub unit: Option<Unit>,
}

impl Point {
    /// A point without unit that never expires.
    pub fn new(time: Timestamp, value: impl Into<Value>) -> Self {
        Self { time, value: value.into(), expires_at: None, unit: None }
    }

    /// The same point, expiring `ttl` after its time.
    #[must_use]
    pub fn with_ttl(self, ttl: Ttl) -> Self {
        Self { expires_at: ttl.expiry_of(self.time), ..self }
    }

    /// The same point with a unit.
    #[must_use]
    pub fn with_unit(self, unit: impl Into<Unit>) -> Self {
        Self { unit: Some(unit.into()), ..self }
    }

    /// Whether time and expiry are in range.
    pub(crate) fn is_storable(&self) -> bool {
        let expiry = self.expires_at.map_or(0, Timestamp::as_millis);
        self.time.is_storable() && (-EXPIRY_MILLIS_MAX..=EXPIRY_MILLIS_MAX).contains(&expiry)
    }

    /// Whether the point can be read at the moment `now`.
    pub fn is_visible_at(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|expiry| now < expiry)
    }
}
