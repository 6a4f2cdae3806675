//! A series' key as bytes whose order is the order of keys, so that series can be found in an ordered store of bytes.
//!
//! Namespace, metric, and name and value of each dimension, by name; each text is followed by a zero byte. Inside of a
//! text 0 is written 1 1 and 1 is written 1 2, so a text that starts another sorts before it.

use std::borrow::Cow;

use crate::codec::{Malformed, checksum};
use crate::model::limits::DIMENSIONS_MAX;
use crate::model::series::{Dimension, SeriesId, SeriesKey};

const END: u8 = 0;
const ESCAPE: u8 = 1;

/// A series as it is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Stored {
    /// The name; its order is the order of keys.
    pub(super) name: Vec<u8>,
    pub(super) id: SeriesId,
    /// For each dimension as first written, its place by name; empty if that is the same order.
    pub(super) order: Vec<u8>,
}

impl Stored {
    pub(super) fn new(id: SeriesId, key: &SeriesKey) -> Self {
        let by_name = by_name(key);
        let mut order = vec![0; by_name.len()];
        for (place, (written, _)) in (0_u8..).zip(&by_name) {
            order[*written] = place;
        }
        if order.is_sorted() {
            order.clear();
        }
        Self { name: name_of(key), id, order }
    }

    /// The key, if the name is one.
    pub(super) fn key(&self) -> Result<SeriesKey, Malformed> {
        let mut texts = texts(&self.name)?.into_iter();
        let (Some(namespace), Some(metric)) = (texts.next(), texts.next()) else {
            return Err(Malformed("a name has no metric"));
        };
        let mut dimensions = Vec::with_capacity(texts.len() / 2);
        while let Some(name) = texts.next() {
            dimensions.push((name, texts.next().ok_or(Malformed("a dimension has no value"))?));
        }
        if !dimensions.is_sorted_by(|one, next| one.0 < next.0) {
            return Err(Malformed("dimensions are out of order"));
        }
        let dimensions = if self.order.is_empty() { dimensions } else { reorder(dimensions, &self.order)? };
        SeriesKey::new(namespace, metric, dimensions).map_err(|_| Malformed("a series name breaks the limits"))
    }

    /// What the series adds to the checksum of all. A sum of plain checksums keeps what cancels out, so they are spread
    /// over 64 bits first, together with the id (the finaliser of splitmix64).
    pub(super) fn checksum(&self) -> u64 {
        let mut mixed = u64::from(checksum::of(&self.name)) << 32 | u64::from(self.id.0);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^= u64::from(checksum::of(&self.order));
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The name of a key.
pub(super) fn name_of(key: &SeriesKey) -> Vec<u8> {
    let mut name = prefix(&[key.namespace(), key.metric()]);
    for (_, dimension) in by_name(key) {
        put_text(&mut name, dimension.name);
        put_text(&mut name, dimension.value);
    }
    name
}

/// What the names of all keys start with that have these first texts.
pub(super) fn prefix(texts: &[&str]) -> Vec<u8> {
    let mut name = Vec::new();
    for text in texts {
        put_text(&mut name, text);
    }
    name
}

/// The dimensions by name, each with its place as first written.
fn by_name(key: &SeriesKey) -> Vec<(usize, Dimension<'_>)> {
    let mut dimensions: Vec<_> = key.dimensions().enumerate().collect();
    dimensions.sort_unstable_by(|one, next| one.1.name.cmp(next.1.name));
    dimensions
}

fn put_text(name: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        if byte <= ESCAPE {
            name.extend_from_slice(&[ESCAPE, byte + 1]);
        } else {
            name.push(byte);
        }
    }
    name.push(END);
}

/// The texts of a name.
fn texts(mut name: &[u8]) -> Result<Vec<Cow<'_, str>>, Malformed> {
    const TEXTS_MAX: usize = 2 + 2 * DIMENSIONS_MAX;
    const NOT_UTF8: Malformed = Malformed("a name is not UTF-8");
    let mut texts = Vec::new();
    while let Some(end) = name.iter().position(|byte| *byte == END) {
        if texts.len() == TEXTS_MAX {
            return Err(Malformed("a name has too many dimensions"));
        }
        let written = &name[..end];
        texts.push(if written.contains(&ESCAPE) {
            Cow::Owned(String::from_utf8(unescaped(written)?).map_err(|_| NOT_UTF8)?)
        } else {
            Cow::Borrowed(str::from_utf8(written).map_err(|_| NOT_UTF8)?)
        });
        name = &name[end + 1..];
    }
    if name.is_empty() { Ok(texts) } else { Err(Malformed("a name ends too early")) }
}

fn unescaped(written: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut text = Vec::with_capacity(written.len());
    let mut bytes = written.iter();
    while let Some(&byte) = bytes.next() {
        text.push(match (byte, bytes.as_slice().first()) {
            (ESCAPE, Some(&escaped @ 1..=2)) => {
                bytes.next();
                escaped - 1
            }
            (ESCAPE, _) => return Err(Malformed("a name has an unknown escape")),
            _ => byte,
        });
    }
    Ok(text)
}

/// Puts things that are ordered by name into the order in which they were first written.
fn reorder<T>(by_name: Vec<T>, order: &[u8]) -> Result<Vec<T>, Malformed> {
    let mut places: Vec<Option<T>> = by_name.into_iter().map(Some).collect();
    if order.len() != places.len() {
        return Err(Malformed("an order is of another length"));
    }
    let written = order.iter().map(|&place| places.get_mut(usize::from(place)).and_then(Option::take));
    written.collect::<Option<_>>().ok_or(Malformed("an order names a dimension twice"))
}
