//! The sketches of a chunk, one behind the other.

use crate::codec::Malformed;
use crate::codec::varint::{self, Reader};
use crate::model::sketch::Sketch;

const BAD: Malformed = Malformed("a sketch is out of range");

/// Appends a sketch: number of buckets, then of each how far it is from the one before, and its count.
pub(super) fn put(sketch: &Sketch, out: &mut Vec<u8>) {
    let buckets = sketch.buckets();
    varint::put(out, buckets.len() as u64);
    let mut before = 0_i64;
    for (at, &(number, count)) in buckets.iter().enumerate() {
        let number = i64::from(number);
        let step = if at == 0 { varint::zigzag(number) } else { (number - before - 1).cast_unsigned() };
        // Half of all buckets hold one value: the lowest bit says so.
        varint::put(out, step << 1 | u64::from(count > 1));
        if count > 1 {
            varint::put(out, count - 2);
        }
        before = number;
    }
}

/// Reads a sketch.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<Sketch, Malformed> {
    let len = reader.count(1)?;
    let mut buckets = Vec::new();
    let mut before = 0_i64;
    for at in 0..len {
        let coded = reader.number()?;
        let step = if at == 0 {
            Some(varint::unzigzag(coded >> 1))
        } else {
            (coded >> 1).checked_add(1).map(u64::cast_signed)
        };
        let number = step.and_then(|step| before.checked_add(step)).ok_or(BAD)?;
        let count = if coded & 1 == 0 { Some(1) } else { reader.number()?.checked_add(2) };
        buckets.push((i32::try_from(number).map_err(|_| BAD)?, count.ok_or(BAD)?));
        before = number;
    }
    Sketch::from_buckets(buckets).ok_or(BAD)
}
