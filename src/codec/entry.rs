//! What the payload of a log frame says: its first byte tells a batch of points from a deletion. The layout is
//! docs/format.md, "Payload".

use crate::codec::Malformed;
use crate::codec::batch::{self, LogBatch};
use crate::codec::record;
use crate::codec::varint::{self, Reader};
use crate::model::series::{SeriesId, SeriesKey};
use crate::model::time::{TimeRange, Timestamp};

/// First byte of a payload: points.
pub(super) const KIND_POINTS: u8 = 1;
/// First byte of a payload: a deletion.
const KIND_DELETION: u8 = 2;

/// One thing that was accepted, as the log keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Entry {
    Points(LogBatch),
    Deletion(LogDeletion),
}

/// The deletion of a series' points in a range. It names the series in full, so that it can be read without what other
/// files of the log hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LogDeletion {
    pub(crate) series: SeriesId,
    pub(crate) key: SeriesKey,
    pub(crate) range: TimeRange,
    /// When it was accepted.
    pub(crate) at: Timestamp,
}

impl Entry {
    /// The entry of a payload.
    pub(crate) fn decode(payload: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        match reader.byte()? {
            KIND_POINTS => LogBatch::decode(reader).map(Self::Points),
            KIND_DELETION => LogDeletion::decode(reader).map(Self::Deletion),
            _ => Err(Malformed("the payload's kind is unknown")),
        }
    }
}

impl LogDeletion {
    /// The payload.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![KIND_DELETION];
        varint::put(&mut out, u64::from(self.series.0));
        varint::put_bytes(&mut out, &record::encode_series(&self.key));
        varint::put_signed(&mut out, self.range.start().as_millis());
        varint::put_signed(&mut out, self.range.end().as_millis());
        varint::put_signed(&mut out, self.at.as_millis());
        out
    }

    fn decode(mut reader: Reader<'_>) -> Result<Self, Malformed> {
        let series = SeriesId(batch::id(i64::try_from(reader.number()?).ok())?);
        let key = record::decode_series(reader.bytes()?)?;
        let start = Timestamp::from_millis(reader.signed()?);
        let end = Timestamp::from_millis(reader.signed()?);
        let at = Timestamp::from_millis(reader.signed()?);
        if !reader.is_empty() {
            return Err(Malformed("there are bytes behind the deletion"));
        }
        Ok(Self { series, key, range: TimeRange::new(start, end), at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn deletion(series: u32, start: i64, end: i64) -> LogDeletion {
        let range = TimeRange::new(Timestamp::from_millis(start), Timestamp::from_millis(end));
        let key = SeriesKey::new("A.B", "m", [("h", "x")]).expect("valid");
        LogDeletion { series: SeriesId(series), key, range, at: Timestamp::from_millis(3) }
    }

    #[test]
    fn golden_bytes_of_a_deletion() {
        // Goal: the encoding on disk never changes; docs/format.md explains these bytes.
        let deletion = deletion(300, -1, 2_000);
        let record = record::encode_series(&deletion.key);
        let mut golden = vec![2, 0xac, 2, u8::try_from(record.len()).expect("short")];
        golden.extend(&record);
        golden.extend([1, 0xa0, 0x1f, 6]);
        assert_eq!(deletion.encode(), golden);
    }

    #[test]
    fn what_no_encoder_writes_is_refused() {
        let refused = |bytes: &[u8]| Entry::decode(bytes).expect_err("refused").0;
        assert_eq!(refused(&[]), "ends too early");
        for kind in [0, 3, 255] {
            assert_eq!(refused(&[kind, 0, 0, 0, 0]), "the payload's kind is unknown");
        }
        assert_eq!(refused(&deletion(u32::MAX, 0, 1).encode()), "a series id is out of range");
        let longer = [&deletion(1, 0, 1).encode()[..], &[0]].concat();
        assert_eq!(refused(&longer), "there are bytes behind the deletion");
    }

    proptest! {
        #[test]
        fn deletions_come_back(series in 0..u32::MAX, start in any::<i64>(), end in any::<i64>()) {
            let deletion = deletion(series, start, end);
            prop_assert_eq!(Entry::decode(&deletion.encode()), Ok(Entry::Deletion(deletion)));
        }

        #[test]
        fn any_bytes_are_an_answer_not_a_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..60),
            kind in 0_u8..4,
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            // Method: random bytes behind each kind, and a real deletion with some bits flipped.
            let _answer = Entry::decode(&[&[kind], &bytes[..]].concat());
            let mut payload = deletion(7, 0, i64::MAX).encode();
            for (at, bits) in flips {
                let at = at.index(payload.len());
                payload[at] ^= bits;
            }
            let _answer = Entry::decode(&payload);
        }
    }
}
