//! One accepted batch as the payload of a log frame: series by name, units, and points of a few bytes each.
//! The layout is docs/format.md, "Payload".

#[cfg(test)]
mod tests;

use crate::codec::Malformed;
use crate::codec::entry::KIND_POINTS;
use crate::codec::record;
use crate::codec::varint::{self, Reader};
use crate::model::limits::{BATCH_POINTS_MAX, UNIT_BYTES_MAX};
use crate::model::packed::{Kind, NEVER, NumberedPoint, PackedPoint, Units};
use crate::model::point::{Point, Unit};
use crate::model::series::{SeriesId, SeriesKey};
use crate::model::time::Timestamp;

/// A batch with its series resolved: what the log keeps and the head takes in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LogBatch {
    /// When the batch was accepted: decides again at replay what was dead on arrival.
    pub(crate) accepted_at: Timestamp,
    /// Series that are named with it: those that no batch of its generation of the log has named before.
    pub(crate) named: Vec<(SeriesId, SeriesKey)>,
    /// The units of the points, in the order of first use.
    pub(crate) units: Units,
    /// The points in the order of the batch, each with the number of its series.
    pub(crate) points: Vec<NumberedPoint>,
}

// The tag before each point: which fields differ from the point before it, and the form of the value.
const VALUE_INT: u8 = 0;
const VALUE_WHOLE_FLOAT: u8 = 1;
const VALUE_FLOAT_BITS: u8 = 2;
const VALUE_MASK: u8 = 3;
const SERIES_NEXT: u8 = 1 << 2;
const SERIES_OTHER: u8 = 2 << 2;
const SERIES_MASK: u8 = 3 << 2;
const TIME_OTHER: u8 = 1 << 4;
const TTL_OTHER: u8 = 1 << 5;
const UNIT_OTHER: u8 = 1 << 6;
const UNUSED: u8 = 1 << 7;

/// A point takes at least its tag and one byte of value.
const POINT_BYTES_MIN: usize = 2;
/// A name takes at least a byte for its id and one for its length.
const NAME_BYTES_MIN: usize = 2;

/// The fields that a point may share with the one before it.
struct Previous {
    series: i64,
    time: i64,
    /// Distance from time to expiry; `None` for never.
    ttl: Option<i64>,
    /// Position of the unit in the payload's list plus one; 0 for none.
    unit: u32,
}

/// Before the first point: the first series follows as "next" when its id is 0.
const START: Previous = Previous { series: -1, time: 0, ttl: None, unit: 0 };

impl LogBatch {
    /// A batch without points yet, with room for this many.
    pub(crate) fn new(accepted_at: Timestamp, named: Vec<(SeriesId, SeriesKey)>, room: usize) -> Self {
        Self { accepted_at, named, units: Units::default(), points: Vec::with_capacity(room) }
    }

    /// Adds a point of a series.
    pub(crate) fn push(&mut self, series: SeriesId, point: &Point) {
        let unit = point.unit.as_ref().map(|unit| self.units.number_of(unit));
        self.points.push(NumberedPoint::new(series.0, PackedPoint::new(point, unit)));
    }

    /// The payload.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.points.len() * 12);
        out.push(KIND_POINTS);
        varint::put_signed(&mut out, self.accepted_at.as_millis());
        varint::put(&mut out, self.named.len() as u64);
        let mut expected = 0;
        for (series, key) in &self.named {
            let series = i64::from(series.0);
            varint::put_signed(&mut out, series - expected);
            varint::put_bytes(&mut out, &record::encode_series(key));
            expected = series + 1;
        }
        varint::put(&mut out, self.units.list().len() as u64);
        for unit in self.units.list() {
            varint::put_bytes(&mut out, unit.as_str().as_bytes());
        }
        varint::put(&mut out, self.points.len() as u64);
        let mut previous = START;
        for point in &self.points {
            encode_point(&mut out, &mut previous, point.series, &point.point());
        }
        out
    }

    /// The batch of a payload, behind the byte that says that it is one.
    pub(super) fn decode(mut reader: Reader<'_>) -> Result<Self, Malformed> {
        let accepted_at = Timestamp::from_millis(reader.signed()?);
        let named = decode_names(&mut reader)?;
        let count = reader.count(1)?;
        if count > BATCH_POINTS_MAX {
            return Err(Malformed("there are more units than points"));
        }
        let mut units = Units::default();
        for place in 0..count {
            if units.number_of(&decode_unit(reader.bytes()?)?) as usize != place {
                return Err(Malformed("a unit stands in the list twice"));
            }
        }
        let count = reader.count(POINT_BYTES_MIN)?;
        if count > BATCH_POINTS_MAX {
            return Err(Malformed("there are more points than a batch may have"));
        }
        let mut previous = START;
        let points = (0..count)
            .map(|_| decode_point(&mut reader, &mut previous, units.list().len()))
            .collect::<Result<_, _>>()?;
        if !reader.is_empty() {
            return Err(Malformed("there are bytes behind the last point"));
        }
        Ok(Self { accepted_at, named, units, points })
    }
}

fn decode_names(reader: &mut Reader<'_>) -> Result<Vec<(SeriesId, SeriesKey)>, Malformed> {
    let count = reader.count(NAME_BYTES_MIN)?;
    if count > BATCH_POINTS_MAX {
        return Err(Malformed("there are more names than a batch may have points"));
    }
    let mut expected = 0_i64;
    let name = |_| {
        let series = id(expected.checked_add(reader.signed()?))?;
        expected = i64::from(series) + 1;
        Ok((SeriesId(series), record::decode_series(reader.bytes()?)?))
    };
    (0..count).map(name).collect()
}

fn encode_point(out: &mut Vec<u8>, previous: &mut Previous, series: u32, point: &PackedPoint) {
    let tag_at = out.len();
    out.push(0);
    let mut tag = 0;
    let series = i64::from(series);
    match series - previous.series {
        0 => {}
        1 => tag |= SERIES_NEXT,
        delta => {
            tag |= SERIES_OTHER;
            varint::put_signed(out, delta);
        }
    }
    let (time, unit) = (point.time, point.unit);
    if time != previous.time {
        tag |= TIME_OTHER;
        varint::put_signed(out, time.wrapping_sub(previous.time));
    }
    let ttl = (point.expires_at != NEVER).then(|| point.expires_at.wrapping_sub(time));
    if ttl != previous.ttl {
        tag |= TTL_OTHER;
        out.push(u8::from(ttl.is_some()));
        if let Some(ttl) = ttl {
            varint::put_signed(out, ttl);
        }
    }
    if unit != previous.unit {
        tag |= UNIT_OTHER;
        varint::put(out, u64::from(unit));
    }
    tag |= encode_value(out, point);
    out[tag_at] = tag;
    *previous = Previous { series, time, ttl, unit };
}

fn encode_value(out: &mut Vec<u8>, point: &PackedPoint) -> u8 {
    match point.kind {
        Kind::Int => {
            varint::put_signed(out, point.bits.cast_signed());
            VALUE_INT
        }
        Kind::Float => {
            if let Some(whole) = whole_number(f64::from_bits(point.bits)) {
                varint::put_signed(out, whole);
                VALUE_WHOLE_FLOAT
            } else {
                out.extend_from_slice(&point.bits.to_le_bytes());
                VALUE_FLOAT_BITS
            }
        }
        Kind::Shadow => unreachable!("nobody writes a shadow"),
    }
}

/// The whole number that gives back exactly these bits and takes fewer bytes than they do.
fn whole_number(float: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "a saturating cast; the bits are compared below")]
    let whole = float as i64;
    (float_of(whole).to_bits() == float.to_bits() && whole.unsigned_abs() < 1 << 48).then_some(whole)
}

#[expect(clippy::cast_precision_loss, reason = "the encoder has checked that the bits come back")]
fn float_of(whole: i64) -> f64 {
    whole as f64
}

fn decode_point(reader: &mut Reader<'_>, previous: &mut Previous, units: usize) -> Result<NumberedPoint, Malformed> {
    let tag = reader.byte()?;
    if tag & UNUSED != 0 {
        return Err(Malformed("a point's tag is unknown"));
    }
    let series = match tag & SERIES_MASK {
        0 => Some(previous.series),
        SERIES_NEXT => Some(previous.series + 1),
        SERIES_OTHER => previous.series.checked_add(reader.signed()?),
        _ => return Err(Malformed("a point's tag is unknown")),
    };
    let series = id(series)?;
    let time = if tag & TIME_OTHER != 0 { previous.time.wrapping_add(reader.signed()?) } else { previous.time };
    let ttl = match tag & TTL_OTHER {
        0 => previous.ttl,
        _ => match reader.byte()? {
            0 => None,
            1 => Some(reader.signed()?),
            _ => return Err(Malformed("a point's expiry is unknown")),
        },
    };
    let unit = if tag & UNIT_OTHER != 0 { reader.number()? } else { u64::from(previous.unit) };
    let unit = u32::try_from(unit).ok().filter(|&unit| unit as usize <= units);
    let unit = unit.ok_or(Malformed("a point's unit is not in the list"))?;
    let (kind, bits) = match tag & VALUE_MASK {
        VALUE_INT => (Kind::Int, reader.signed()?.cast_unsigned()),
        VALUE_WHOLE_FLOAT => (Kind::Float, float_of(reader.signed()?).to_bits()),
        VALUE_FLOAT_BITS => (Kind::Float, u64::from_le_bytes(reader.array()?)),
        _ => return Err(Malformed("a point's tag is unknown")),
    };
    *previous = Previous { series: i64::from(series), time, ttl, unit };
    let expires_at = ttl.map_or(NEVER, |ttl| time.wrapping_add(ttl));
    let point = PackedPoint { time, expires_at, bits, unit, kind, is_apart: false };
    if !point.is_storable() {
        return Err(Malformed("a point's time is out of range"));
    }
    Ok(NumberedPoint::new(series, point))
}

fn decode_unit(bytes: &[u8]) -> Result<Unit, Malformed> {
    if bytes.len() > UNIT_BYTES_MAX {
        return Err(Malformed("a unit is too long"));
    }
    std::str::from_utf8(bytes).map(Unit::from).map_err(|_| Malformed("a unit is not UTF-8"))
}

/// A series id in range; the largest `u32` is left unused, so that a next one always exists.
pub(super) fn id(number: Option<i64>) -> Result<u32, Malformed> {
    number
        .and_then(|number| u32::try_from(number).ok())
        .filter(|&number| number < u32::MAX)
        .ok_or(Malformed("a series id is out of range"))
}
