//! One accepted batch as the payload of a log frame: new series, units, and points of a few bytes each.
//! The layout is docs/format.md, "Batch payload".

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::limits::{EXPIRY_MILLIS_MAX, TIMESTAMP_MILLIS_MAX};
    use crate::model::time::Ttl;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<i64>().prop_map(Value::Int),
            (-100_i64..100).prop_map(Value::Int),
            (-100_i32..100).prop_map(|whole| Value::Float(f64::from(whole))),
            any::<u64>().prop_map(|bits| Value::Float(f64::from_bits(bits))),
            prop::sample::select(vec![-0.0, f64::NAN, f64::INFINITY, 9.3e18, -9.3e18, 2_f64.powi(48)])
                .prop_map(Value::Float),
        ]
    }

    fn point() -> impl Strategy<Value = Point> {
        let time = prop_oneof![0_i64..50, -TIMESTAMP_MILLIS_MAX..=TIMESTAMP_MILLIS_MAX];
        let expiry = prop_oneof![Just(None), (-EXPIRY_MILLIS_MAX..=EXPIRY_MILLIS_MAX).prop_map(Some)];
        let unit = prop_oneof![Just(None), "[%a-c]{0,2}".prop_map(|text| Some(Unit::from(text)))];
        (time, value(), expiry, unit).prop_map(|(time, value, expiry, unit)| Point {
            time: Timestamp::from_millis(time),
            value,
            expires_at: expiry.map(Timestamp::from_millis),
            unit,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn batches_come_back_to_the_bit(
            accepted_at in any::<i64>(),
            points in prop::collection::vec((0_u32..9, point()), 0..40),
            names in prop::collection::vec("[a-z]{1,4}", 0..3),
        ) {
            // Goal: lossless for any value, time, expiry and unit. Method: encode and decode.
            let new_series = names.iter().map(|name| SeriesKey::new("A.B", &**name, [("h", "x")]).expect("valid"));
            let batch = LogBatch {
                accepted_at: Timestamp::from_millis(accepted_at),
                first_new: SeriesId(7),
                new_series: new_series.collect(),
                points: points.into_iter().map(|(series, point)| (SeriesId(series), point)).collect(),
            };
            prop_assert_eq!(LogBatch::decode(&batch.encode()), Ok(batch));
        }

        #[test]
        fn damaged_payloads_are_an_answer_not_a_panic(
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            keep in any::<prop::sample::Index>(),
        ) {
            // Method: flip and cut the bytes of a real payload; decoding must return, whatever it says.
            let mut bytes = sample().encode();
            for (at, bits) in flips {
                let at = at.index(bytes.len());
                bytes[at] ^= bits;
            }
            let _answer = LogBatch::decode(&bytes);
            let _answer = LogBatch::decode(&bytes[..keep.index(bytes.len())]);
        }
    }

    fn sample() -> LogBatch {
        let point =
            |secs, value| Point::new(Timestamp::from_secs(secs), value).with_ttl(Ttl::from_secs(60)).with_unit("%");
        LogBatch {
            accepted_at: Timestamp::from_secs(1),
            first_new: SeriesId(0),
            new_series: vec![SeriesKey::new("A.B", "m", [("h", "x")]).expect("valid")],
            points: vec![
                (SeriesId(0), point(1, Value::Float(60.0))),
                (SeriesId(0), point(2, Value::Int(70))),
                (SeriesId(1), point(2, Value::Float(0.5))),
            ],
        }
    }

    #[test]
    fn golden_bytes_of_a_batch() {
        // Goal: the encoding on disk never changes; docs/format.md explains these bytes.
        let record = record::encode_series(&sample().new_series[0]);
        let mut golden = vec![1, 0xd0, 0x0f, 0, 1, u8::try_from(record.len()).expect("short")];
        golden.extend(&record);
        golden.extend([1, 1, b'%', 3]);
        // Next series, time 1,000, TTL 60,000, unit 1, whole float 60.
        golden.extend([0b0111_0101, 0xd0, 0x0f, 1, 0xc0, 0xa9, 0x07, 1, 120]);
        // Same series, time 1,000 later, int 70.
        golden.extend([0b0001_0000, 0xd0, 0x0f, 0x8c, 0x01]);
        // Next series, all else the same, the bits of 0.5.
        golden.extend([0b0000_0110, 0, 0, 0, 0, 0, 0, 0xe0, 0x3f]);
        assert_eq!(sample().encode(), golden);
    }

    #[test]
    fn what_no_encoder_writes_is_refused() {
        // Goal: each rule of the format bites. Method: a sound payload with one thing changed.
        let sound = LogBatch { new_series: Vec::new(), ..sample() };
        let refuse = |change: &dyn Fn(&mut LogBatch)| {
            let mut batch = sound.clone();
            change(&mut batch);
            LogBatch::decode(&batch.encode()).expect_err("refused").0
        };
        assert_eq!(refuse(&|batch| batch.points[0].0 = SeriesId(u32::MAX)), "a series id is out of range");
        assert_eq!(refuse(&|batch| batch.first_new = SeriesId(u32::MAX)), "a series id is out of range");
        let late = Timestamp::from_millis(TIMESTAMP_MILLIS_MAX + 1);
        assert_eq!(refuse(&|batch| batch.points[0].1.time = late), "a point's time is out of range");
        assert_eq!(refuse(&|batch| batch.points[0].1.unit = Some("x".repeat(129).into())), "a unit is too long");
        let many = |batch: &mut LogBatch| batch.points = vec![batch.points[0].clone(); BATCH_POINTS_MAX + 1];
        assert_eq!(refuse(&many), "there are more points than a batch may have");
        let payload = sound.encode();
        let with = |at: usize, byte: u8| {
            let mut bytes = payload.clone();
            bytes[at] = byte;
            LogBatch::decode(&bytes).expect_err("refused").0
        };
        assert_eq!(with(0, 2), "the payload's version is unknown");
        // Behind version, time, first id, no series, one unit of one byte, and the number of points.
        let tag = 9;
        assert_eq!(with(tag, payload[tag] | UNUSED), "a point's tag is unknown");
        assert_eq!(with(tag, payload[tag] | VALUE_MASK), "a point's tag is unknown");
        assert_eq!(with(tag, payload[tag] | SERIES_MASK), "a point's tag is unknown");
        let longer = [&payload[..], &[0]].concat();
        assert_eq!(LogBatch::decode(&longer).expect_err("refused").0, "there are bytes behind the last point");
    }

    #[test]
    fn a_known_series_of_a_scrape_takes_three_bytes() {
        // Goal: a point that shares time, TTL and unit with its neighbour costs tag and value only.
        let point = |series| (SeriesId(series), Point::new(Timestamp::from_secs(1_795_281_677), 55.0));
        let batch = |count| LogBatch {
            accepted_at: Timestamp::EPOCH,
            first_new: SeriesId(0),
            new_series: Vec::new(),
            points: (0..count).map(point).collect(),
        };
        assert!(batch(101).encode().len() - batch(1).encode().len() <= 3 * 100);
    }
}
