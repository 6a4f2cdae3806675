//! What is known of segments, as a list of small numbers: some 30 bytes each. The layout is docs/format.md, "MANIFEST".

use crate::codec::Malformed;
use crate::codec::varint::{self, Reader};
use crate::model::durability::Sequence;
use crate::model::limits::SEGMENTS_MAX;
use crate::model::packed::{ALWAYS_DEAD, NEVER};
use crate::model::segment::{ExpiryClass, Partition, Role, SegmentMeta};
use crate::model::series::SeriesId;

/// A segment takes at least a byte for each of its numbers.
const META_BYTES_MIN: usize = 13;
const OVERRIDE: u64 = 0;
const CLASS_NEVER: u64 = 1;
/// Where a class 1 ms wide would be; there is none so narrow.
const SUMMARIES: u64 = 2;

/// Before the first segment of a list.
const START: SegmentMeta = SegmentMeta {
    number: 0,
    partition: Partition(0),
    role: Role::Override,
    newest: Sequence(0),
    erased: Sequence(0),
    points: 0,
    bytes: 0,
    times: (0, 0),
    expiries: (0, 0),
    series: (SeriesId(0), SeriesId(0)),
};

/// The list, each segment told by what differs from the one before.
pub(crate) fn encode(list: &[SegmentMeta], out: &mut Vec<u8>) {
    varint::put(out, list.len() as u64);
    let mut before = &START;
    for meta in list {
        put(meta, before, out);
        before = meta;
    }
}

fn put(meta: &SegmentMeta, before: &SegmentMeta, out: &mut Vec<u8>) {
    let delta = |now: u64, then: u64| now.wrapping_sub(then).cast_signed();
    varint::put_signed(out, delta(meta.number, before.number));
    varint::put_signed(out, meta.partition.0.wrapping_sub(before.partition.0));
    match meta.role {
        Role::Override => varint::put(out, OVERRIDE),
        Role::Plain(ExpiryClass { width: 0, .. }) => varint::put(out, CLASS_NEVER),
        Role::Plain(ExpiryClass { width, span }) => {
            assert!(width.unsigned_abs() > 1, "classes are far wider than a millisecond");
            varint::put(out, width.unsigned_abs().saturating_add(CLASS_NEVER));
            varint::put_signed(out, span);
        }
        Role::Summaries(resolution) => {
            varint::put(out, SUMMARIES);
            varint::put_signed(out, resolution);
        }
    }
    varint::put_signed(out, delta(meta.newest.0, before.newest.0));
    varint::put_signed(out, delta(meta.erased.0, meta.newest.0));
    varint::put(out, meta.points);
    varint::put(out, meta.bytes);
    varint::put_signed(out, meta.times.0.wrapping_sub(before.times.0));
    varint::put_signed(out, meta.times.1.wrapping_sub(meta.times.0));
    for expiry in [meta.expiries.0, meta.expiries.1] {
        match expiry {
            NEVER => varint::put(out, 0),
            ALWAYS_DEAD => varint::put(out, 1),
            _ => {
                varint::put(out, 2);
                varint::put_signed(out, expiry.wrapping_sub(meta.times.0));
            }
        }
    }
    varint::put(out, u64::from(meta.series.0.0));
    varint::put(out, u64::from(meta.series.1.0));
}

/// The list of these bytes, all of them. Whether it makes sense is for the caller to say.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<SegmentMeta>, Malformed> {
    let mut reader = Reader::new(bytes);
    let count = reader.count(META_BYTES_MIN)?;
    if count > SEGMENTS_MAX {
        return Err(Malformed("there are more segments than there can be"));
    }
    let mut list = Vec::with_capacity(count);
    let mut before = START;
    for _ in 0..count {
        before = take(&mut reader, &before)?;
        list.push(before);
    }
    if !reader.is_empty() {
        return Err(Malformed("there are bytes behind the last segment"));
    }
    Ok(list)
}

fn take(reader: &mut Reader<'_>, before: &SegmentMeta) -> Result<SegmentMeta, Malformed> {
    let number = before.number.wrapping_add_signed(reader.signed()?);
    let partition = Partition(before.partition.0.wrapping_add(reader.signed()?));
    let role = match reader.number()? {
        OVERRIDE => Role::Override,
        CLASS_NEVER => Role::Plain(ExpiryClass::NEVER),
        SUMMARIES => Role::Summaries(reader.signed()?),
        width => {
            let width = i64::try_from(width - CLASS_NEVER).map_err(|_| Malformed("a class is too wide"))?;
            Role::Plain(ExpiryClass { width, span: reader.signed()? })
        }
    };
    let newest = Sequence(before.newest.0.wrapping_add_signed(reader.signed()?));
    let erased = Sequence(newest.0.wrapping_add_signed(reader.signed()?));
    let (points, bytes) = (reader.number()?, reader.number()?);
    let first = before.times.0.wrapping_add(reader.signed()?);
    let last = first.wrapping_add(reader.signed()?);
    let mut expiry = || match reader.number()? {
        0 => Ok(NEVER),
        1 => Ok(ALWAYS_DEAD),
        2 => Ok(first.wrapping_add(reader.signed()?)),
        _ => Err(Malformed("an expiry is unknown")),
    };
    let expiries = (expiry()?, expiry()?);
    let mut series =
        || u32::try_from(reader.number()?).map(SeriesId).map_err(|_| Malformed("a series id is too large"));
    let series = (series()?, series()?);
    let times = (first, last);
    Ok(SegmentMeta { number, partition, role, newest, erased, points, bytes, times, expiries, series })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::limits::{EXPIRY_MILLIS_MAX, MANIFEST_SEGMENT_BYTES_MAX, SEQUENCE_MAX, TIMESTAMP_MILLIS_MAX};
    use proptest::prelude::*;

    fn meta() -> impl Strategy<Value = SegmentMeta> {
        let role = prop_oneof![
            Just(Role::Override),
            Just(Role::Plain(ExpiryClass::NEVER)),
            (2..i64::MAX, any::<i64>()).prop_map(|(width, span)| Role::Plain(ExpiryClass { width, span })),
            any::<i64>().prop_map(Role::Summaries),
        ];
        let expiry = || prop_oneof![Just(NEVER), Just(ALWAYS_DEAD), any::<i64>()];
        let numbers = (any::<u64>(), any::<i64>(), any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>());
        let spans = ((any::<i64>(), any::<i64>()), (expiry(), expiry()), (any::<u32>(), any::<u32>()));
        (role, numbers, spans).prop_map(|(role, numbers, (times, expiries, series))| {
            let (number, partition, newest, erased, points, bytes) = numbers;
            let (partition, newest, erased) = (Partition(partition), Sequence(newest), Sequence(erased));
            let series = (SeriesId(series.0), SeriesId(series.1));
            SegmentMeta { number, partition, role, newest, erased, points, bytes, times, expiries, series }
        })
    }

    proptest! {
        #[test]
        fn lists_come_back(list in prop::collection::vec(meta(), 0..20)) {
            let mut bytes = Vec::new();
            encode(&list, &mut bytes);
            prop_assert_eq!(decode(&bytes), Ok(list));
        }

        #[test]
        fn any_bytes_are_an_answer_not_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _answer = decode(&bytes);
        }
    }

    #[test]
    fn a_segment_takes_no_more_than_manifest_has_room_for() {
        // Method: two segments that differ in everything as far as a manifest believes.
        let (time, expiry, count) = (TIMESTAMP_MILLIS_MAX, EXPIRY_MILLIS_MAX, SEQUENCE_MAX);
        let least = SegmentMeta { partition: Partition(-time), times: (-time, -time), ..START };
        let most = SegmentMeta {
            number: count,
            partition: Partition(time),
            role: Role::Plain(ExpiryClass { width: i64::MAX, span: i64::MIN }),
            newest: Sequence(count),
            erased: Sequence(0),
            points: u64::MAX,
            bytes: u64::MAX,
            times: (time, -time),
            expiries: (-expiry, expiry),
            series: (SeriesId(u32::MAX), SeriesId(u32::MAX)),
        };
        let len = |list: &[SegmentMeta]| {
            let mut bytes = Vec::new();
            encode(list, &mut bytes);
            bytes.len()
        };
        assert!(len(&[least, most]) - len(&[least]) <= MANIFEST_SEGMENT_BYTES_MAX);
    }

    #[test]
    fn a_length_that_cannot_be_allocates_nothing() {
        let mut bytes = Vec::new();
        varint::put(&mut bytes, u64::MAX);
        assert!(decode(&bytes).is_err());
        let mut bytes = Vec::new();
        varint::put(&mut bytes, SEGMENTS_MAX as u64 + 1);
        bytes.resize(bytes.len() + META_BYTES_MIN * (SEGMENTS_MAX + 1), 0);
        assert_eq!(decode(&bytes), Err(Malformed("there are more segments than there can be")));
    }

    #[test]
    fn golden_bytes_of_a_list() {
        // Goal: the encoding on disk never changes; docs/format.md explains these bytes.
        let class = ExpiryClass { width: 3, span: -2 };
        let meta = SegmentMeta {
            number: 7,
            partition: Partition(1),
            role: Role::Plain(class),
            newest: Sequence(9),
            erased: Sequence(8),
            points: 300,
            bytes: 500,
            times: (10, 12),
            expiries: (11, NEVER),
            series: (SeriesId(1), SeriesId(2)),
        };
        let shadows = SegmentMeta { number: 8, role: Role::Override, expiries: (ALWAYS_DEAD, ALWAYS_DEAD), ..meta };
        let role = Role::Summaries(300_000);
        let summaries = SegmentMeta { number: 9, role, erased: Sequence(9), times: (0, 599_999), ..meta };
        let summaries = SegmentMeta { expiries: (NEVER, NEVER), ..summaries };
        let mut bytes = Vec::new();
        encode(&[meta, shadows, summaries], &mut bytes);
        let mut golden = vec![3, 14, 2, 4, 3, 18, 1, 0xac, 2, 0xf4, 3, 20, 4, 2, 2, 0, 1, 2];
        golden.extend([2, 0, 0, 0, 1, 0xac, 2, 0xf4, 3, 0, 4, 1, 1, 1, 2]);
        golden.extend([2, 0, 2, 0xc0, 0xcf, 36, 0, 0, 0xac, 2, 0xf4, 3, 19, 0xfe, 0x9e, 73, 0, 0, 1, 2]);
        assert_eq!(bytes, golden);
        assert_eq!(decode(&golden), Ok(vec![meta, shadows, summaries]));
    }
}
