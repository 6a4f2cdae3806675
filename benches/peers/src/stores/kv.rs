//! A key per point: what all stores of ordered keys and values do alike. The key is the series' number and the time, both
//! big-endian; the value is the double, and for points with a time to live also expiry and unit. Names are records of
//! their own, written with the first point of a series and read when the store is opened.

use std::ops::Range;

use ebbtide::{Point, SeriesKey, Value};

use super::names::Names;
use super::{Batches, Sample, Store};

pub(crate) type Key = [u8; 12];
/// Keys that are removed in one go.
const REMOVED_AT_ONCE: usize = 10_000;
/// The units of W5; a store keeps their numbers.
const UNITS: [&str; 5] = ["%", "Byte", "Byte/s", "Count", "ms"];
const IS_INT: u8 = 0x80;

/// The value of a point as stored: 8 bytes, or 17 with expiry, unit and type.
pub(crate) struct Record {
    bytes: [u8; 17],
    len: usize,
}

impl Record {
    fn new(point: &Point) -> Self {
        let mut record = Self { bytes: [0; 17], len: 8 };
        let value = match point.value {
            Value::Float(float) => float.to_le_bytes(),
            Value::Int(int) => int.to_le_bytes(),
        };
        record.bytes[..8].copy_from_slice(&value);
        if let Some(expiry) = point.expires_at {
            record.len = 17;
            record.bytes[8..16].copy_from_slice(&expiry.as_millis().to_le_bytes());
            record.bytes[16] = unit_number(point) | if matches!(point.value, Value::Int(_)) { IS_INT } else { 0 };
        }
        record
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// 0 for none, else the place in the list, counted from 1.
pub(crate) fn unit_number(point: &Point) -> u8 {
    let place = point.unit.as_ref().and_then(|unit| UNITS.iter().position(|known| *known == unit.as_str()));
    place.map_or(0, |place| u8::try_from(place + 1).expect("five units"))
}

pub(crate) fn key_of(id: u32, time: i64) -> Key {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&id.to_be_bytes());
    // Times of this bench are positive, so their bytes sort as they do.
    key[4..].copy_from_slice(&time.to_be_bytes());
    key
}

fn eight(bytes: &[u8]) -> [u8; 8] {
    bytes.try_into().expect("eight bytes")
}

/// Time and value of a stored record.
pub(crate) fn sample(key: &[u8], value: &[u8]) -> Sample {
    let bytes = eight(&value[..8]);
    let is_int = value.get(16).is_some_and(|kind| kind & IS_INT != 0);
    let number = if is_int { i64::from_le_bytes(bytes) as f64 } else { f64::from_le_bytes(bytes) };
    (i64::from_be_bytes(eight(&key[4..])), number)
}

/// Number and text of a stored name.
pub(crate) fn name(id: &[u8], text: &[u8]) -> (u32, String) {
    (u32::from_be_bytes(id.try_into().expect("four bytes")), String::from_utf8_lossy(text).into_owned())
}

fn is_expired(value: &[u8], now: i64) -> bool {
    value.len() == 17 && i64::from_le_bytes(eight(&value[8..16])) <= now
}

/// A store of ordered keys and values.
pub(crate) trait Ordered: Sync {
    /// Stores points and new names together, as durably as the store was opened for.
    fn put(&self, points: &mut dyn Iterator<Item = (Key, Record)>, names: &[(u32, String)]);

    /// All names.
    fn names(&self) -> Vec<(u32, String)>;

    /// The points from a key up to, but not including, another.
    fn scan(&self, from: &Key, to: &Key, out: &mut Vec<Sample>);

    /// The last point in such a range.
    fn last(&self, from: &Key, to: &Key) -> Option<Sample>;

    /// Shows every point.
    fn each(&self, see: &mut dyn FnMut(&[u8], &[u8]));

    /// Removes points together.
    fn remove(&self, keys: &[Key]);

    /// What makes removed points leave the disk, where the store has such a thing.
    fn reclaim(&self) {}

    fn flush(&self);

    fn compact(&mut self) {}

    fn close(self);
}

pub(crate) struct Kv<O> {
    names: Names,
    inner: O,
}

impl<O: Ordered> Kv<O> {
    pub(crate) fn new(inner: O) -> Self {
        Self { names: Names::load(inner.names()), inner }
    }
}

impl<O: Ordered> Store for Kv<O> {
    fn write(&self, batches: &mut Batches<'_>) {
        for batch in batches {
            let (ids, new) = self.names.resolve(&batch);
            let mut points =
                batch.iter().zip(ids).map(|((_, point), id)| (key_of(id, point.time.as_millis()), Record::new(point)));
            self.inner.put(&mut points, &new);
        }
    }

    fn flush(&self) {
        self.inner.flush();
    }

    fn compact(&mut self) {
        self.inner.compact();
    }

    fn raw(&self, key: &SeriesKey, range: Range<i64>, out: &mut Vec<Sample>) {
        let id = self.names.get(key);
        self.inner.scan(&key_of(id, range.start), &key_of(id, range.end), out);
    }

    fn latest(&self, keys: &[SeriesKey]) -> Vec<Sample> {
        let ids = keys.iter().map(|key| self.names.get(key));
        ids.filter_map(|id| self.inner.last(&key_of(id, 0), &key_of(id, i64::MAX))).collect()
    }

    fn expire(&self, now: i64) -> bool {
        let mut dead = Vec::new();
        self.inner.each(&mut |key, value| {
            if is_expired(value, now) {
                dead.push(Key::try_from(key).expect("a key of a point"));
            }
        });
        dead.chunks(REMOVED_AT_ONCE).for_each(|keys| self.inner.remove(keys));
        self.inner.reclaim();
        true
    }

    fn close(self: Box<Self>) {
        self.inner.close();
    }
}
