//! One accepted batch as the payload of a log frame: new series, units, and points of a few bytes each.
//! The layout is docs/format.md, "Batch payload".

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use crate::codec::Malformed;
use crate::codec::record;
use crate::codec::varint::{self, Reader};
use crate::model::limits::{BATCH_POINTS_MAX, UNIT_BYTES_MAX};
use crate::model::point::{Point, Unit, Value};
use crate::model::series::{SeriesId, SeriesKey};
use crate::model::time::Timestamp;

/// A batch with its series resolved: what the log keeps and the head takes in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LogBatch {
    /// When the batch was accepted: decides again at replay what was dead on arrival.
    pub(crate) accepted_at: Timestamp,
    /// The id of the first new series; the others follow.
    pub(crate) first_new: SeriesId,
    /// Series that no earlier batch has named.
    pub(crate) new_series: Vec<SeriesKey>,
    /// The points in the order of the batch.
    pub(crate) points: Vec<(SeriesId, Point)>,
}

/// First byte of every payload.
const VERSION: u8 = 1;

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

/// The fields that a point may share with the one before it.
struct Previous {
    series: i64,
    time: i64,
    /// Distance from time to expiry; `None` for never.
    ttl: Option<i64>,
    /// Position of the unit in the payload's list plus one; 0 for none.
    unit: u64,
}

/// Before the first point: the first series follows as "next" when its id is 0.
const START: Previous = Previous { series: -1, time: 0, ttl: None, unit: 0 };

impl LogBatch {
    /// The payload.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.points.len() * 12);
        out.push(VERSION);
        varint::put_signed(&mut out, self.accepted_at.as_millis());
        varint::put(&mut out, u64::from(self.first_new.0));
        varint::put(&mut out, self.new_series.len() as u64);
        for key in &self.new_series {
            varint::put_bytes(&mut out, &record::encode_series(key));
        }
        let (list, numbers) = self.units();
        varint::put(&mut out, list.len() as u64);
        for unit in list {
            varint::put_bytes(&mut out, unit.as_str().as_bytes());
        }
        varint::put(&mut out, self.points.len() as u64);
        let mut previous = START;
        for (series, point) in &self.points {
            let unit = point.unit.as_ref().map_or(0, |unit| numbers[unit]);
            encode_point(&mut out, &mut previous, *series, point, unit);
        }
        out
    }

    /// The units in the order of first use, and each one's position plus one.
    fn units(&self) -> (Vec<&Unit>, HashMap<&Unit, u64>) {
        let mut list = Vec::new();
        let mut numbers = HashMap::new();
        let mut neighbour = None;
        for unit in self.points.iter().filter_map(|(_, point)| point.unit.as_ref()) {
            // Neighbours mostly share a unit; that saves the look-up.
            if neighbour != Some(unit) {
                numbers.entry(unit).or_insert_with(|| {
                    list.push(unit);
                    list.len() as u64
                });
                neighbour = Some(unit);
            }
        }
        (list, numbers)
    }

    /// The batch of a payload.
    pub(crate) fn decode(payload: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        if reader.byte()? != VERSION {
            return Err(Malformed("the payload's version is unknown"));
        }
        let accepted_at = Timestamp::from_millis(reader.signed()?);
        let first_new = SeriesId(id(i64::try_from(reader.number()?).ok())?);
        let count = reader.count(1)?;
        id(i64::try_from(count).ok().and_then(|count| count.checked_add(i64::from(first_new.0))))?;
        let new_series = (0..count).map(|_| record::decode_series(reader.bytes()?)).collect::<Result<_, _>>()?;
        let count = reader.count(1)?;
        if count > BATCH_POINTS_MAX {
            return Err(Malformed("there are more units than points"));
        }
        let units = (0..count).map(|_| decode_unit(reader.bytes()?)).collect::<Result<Vec<Unit>, _>>()?;
        let count = reader.count(POINT_BYTES_MIN)?;
        if count > BATCH_POINTS_MAX {
            return Err(Malformed("there are more points than a batch may have"));
        }
        let mut previous = START;
        let points =
            (0..count).map(|_| decode_point(&mut reader, &mut previous, &units)).collect::<Result<Vec<_>, _>>()?;
        if !reader.is_empty() {
            return Err(Malformed("there are bytes behind the last point"));
        }
        Ok(Self { accepted_at, first_new, new_series, points })
    }
}

fn encode_point(out: &mut Vec<u8>, previous: &mut Previous, series: SeriesId, point: &Point, unit: u64) {
    let tag_at = out.len();
    out.push(0);
    let mut tag = 0;
    let series = i64::from(series.0);
    match series - previous.series {
        0 => {}
        1 => tag |= SERIES_NEXT,
        delta => {
            tag |= SERIES_OTHER;
            varint::put_signed(out, delta);
        }
    }
    let time = point.time.as_millis();
    if time != previous.time {
        tag |= TIME_OTHER;
        varint::put_signed(out, time.wrapping_sub(previous.time));
    }
    let ttl = point.expires_at.map(|expiry| expiry.as_millis().wrapping_sub(time));
    if ttl != previous.ttl {
        tag |= TTL_OTHER;
        out.push(u8::from(ttl.is_some()));
        if let Some(ttl) = ttl {
            varint::put_signed(out, ttl);
        }
    }
    if unit != previous.unit {
        tag |= UNIT_OTHER;
        varint::put(out, unit);
    }
    tag |= encode_value(out, point.value);
    out[tag_at] = tag;
    *previous = Previous { series, time, ttl, unit };
}

fn encode_value(out: &mut Vec<u8>, value: Value) -> u8 {
    match value {
        Value::Int(int) => {
            varint::put_signed(out, int);
            VALUE_INT
        }
        Value::Float(float) => {
            if let Some(whole) = whole_number(float) {
                varint::put_signed(out, whole);
                VALUE_WHOLE_FLOAT
            } else {
                out.extend_from_slice(&float.to_bits().to_le_bytes());
                VALUE_FLOAT_BITS
            }
        }
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

fn decode_point(
    reader: &mut Reader<'_>,
    previous: &mut Previous,
    units: &[Unit],
) -> Result<(SeriesId, Point), Malformed> {
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
    let series = SeriesId(id(series)?);
    let time = if tag & TIME_OTHER != 0 { previous.time.wrapping_add(reader.signed()?) } else { previous.time };
    let ttl = match tag & TTL_OTHER {
        0 => previous.ttl,
        _ => match reader.byte()? {
            0 => None,
            1 => Some(reader.signed()?),
            _ => return Err(Malformed("a point's expiry is unknown")),
        },
    };
    let unit = if tag & UNIT_OTHER != 0 { reader.number()? } else { previous.unit };
    let value = match tag & VALUE_MASK {
        VALUE_INT => Value::Int(reader.signed()?),
        VALUE_WHOLE_FLOAT => Value::Float(float_of(reader.signed()?)),
        VALUE_FLOAT_BITS => Value::Float(f64::from_bits(u64::from_le_bytes(reader.array()?))),
        _ => return Err(Malformed("a point's tag is unknown")),
    };
    let named = match unit.checked_sub(1) {
        None => None,
        Some(position) => {
            let position = usize::try_from(position).unwrap_or(usize::MAX);
            Some(units.get(position).ok_or(Malformed("a point's unit is not in the list"))?.clone())
        }
    };
    *previous = Previous { series: i64::from(series.0), time, ttl, unit };
    let point = Point {
        time: Timestamp::from_millis(time),
        value,
        expires_at: ttl.map(|ttl| Timestamp::from_millis(time.wrapping_add(ttl))),
        unit: named,
    };
    if !point.is_storable() {
        return Err(Malformed("a point's time is out of range"));
    }
    Ok((series, point))
}

fn decode_unit(bytes: &[u8]) -> Result<Unit, Malformed> {
    if bytes.len() > UNIT_BYTES_MAX {
        return Err(Malformed("a unit is too long"));
    }
    std::str::from_utf8(bytes).map(Unit::from).map_err(|_| Malformed("a unit is not UTF-8"))
}

/// A series id in range; the largest `u32` is left unused, so that a next one always exists.
fn id(number: Option<i64>) -> Result<u32, Malformed> {
    number
        .and_then(|number| u32::try_from(number).ok())
        .filter(|&number| number < u32::MAX)
        .ok_or(Malformed("a series id is out of range"))
}
