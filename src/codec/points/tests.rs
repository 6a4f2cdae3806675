//! Chunks as columns: lossless to the bit, with the shape they need and no more, and deaf to what no encoder writes.

use super::*;
use proptest::prelude::*;

fn int(time: i64, value: i64) -> PackedPoint {
    PackedPoint { time, expires_at: NEVER, bits: value.cast_unsigned(), unit: 0, kind: Kind::Int, is_apart: false }
}

fn encoded(points: &[PackedPoint]) -> (Shape, Columns) {
    let shape = Shape::of(points);
    let mut columns = Columns::default();
    encode(&shape, points, &mut columns);
    (shape, columns)
}

/// All points of a chunk.
fn decode(shape: &Shape, columns: &Columns, out: &mut Vec<PackedPoint>) -> Result<(), Malformed> {
    decode_part(shape, columns, (i64::MIN, i64::MAX), true, out)
}

fn decode_part(
    shape: &Shape,
    columns: &Columns,
    times: (i64, i64),
    stays: bool,
    out: &mut Vec<PackedPoint>,
) -> Result<(), Malformed> {
    let mut decoded = Decoded::default();
    for column in Column::ALL {
        let len = shape.len_of(column) as usize;
        if len > 0 {
            let kept = Kept::decode(column, &columns[column as usize], len, stays)?;
            decoded[column as usize] = Some(kept.into());
        }
    }
    append(shape, &decoded, times, out)
}

fn point() -> impl Strategy<Value = PackedPoint> {
    let expiry = prop_oneof![Just(NEVER), Just(EXPIRY_MILLIS_MAX), Just(-EXPIRY_MILLIS_MAX), 0_i64..100_000,];
    let kind = prop::sample::select(vec![Kind::Int, Kind::Float, Kind::Shadow]);
    (any::<u64>(), expiry, 0_u32..3, kind).prop_map(|(bits, expires_at, unit, kind)| match kind {
        Kind::Shadow => PackedPoint::shadow(0),
        _ => PackedPoint { time: 0, expires_at, bits, unit, kind, is_apart: unit == 2 },
    })
}

fn times() -> impl Strategy<Value = i64> {
    prop_oneof![0_i64..500, -TIMESTAMP_MILLIS_MAX..=TIMESTAMP_MILLIS_MAX]
}

proptest! {
    #[test]
    fn chunks_come_back_to_the_bit(
        points in prop::collection::btree_map(times(), point(), 1..60),
        cut: (prop::sample::Index, prop::sample::Index), nudge in -1_i64..2,
    ) {
        // Goal: lossless for any times, kinds, expiries and units. Method: encode and decode, all and a part.
        let points: Vec<PackedPoint> = points.into_iter().map(|(time, point)| PackedPoint { time, ..point }).collect();
        let (shape, columns) = encoded(&points);
        prop_assert_eq!(shape.check(), Ok(()));
        let mut out = Vec::new();
        prop_assert_eq!(decode(&shape, &columns, &mut out), Ok(()));
        prop_assert_eq!(&out, &points);
        let (from, to) = (points[cut.0.index(points.len())].time, points[cut.1.index(points.len())].time);
        let some: Vec<_> = points.iter().filter(|point| (from + nudge..=to).contains(&point.time)).copied().collect();
        for stays in [false, true] {
            out.clear();
            prop_assert_eq!(decode_part(&shape, &columns, (from + nudge, to), stays, &mut out), Ok(()));
            prop_assert_eq!(&out, &some);
        }
        let min = points.iter().map(|point| point.expires_at).min().expect("at least one");
        let max = points.iter().map(|point| point.expires_at).max().expect("at least one");
        prop_assert_eq!(shape.expiries(), (min, max));
    }

    #[test]
    fn any_columns_are_an_answer(
        count in 1_u32..20, ints in 0_u32..20, floats in 0_u32..20, even: bool, forms in 0_u8..8,
        columns in prop::array::uniform6(prop::collection::vec(any::<u8>(), 0..40)),
    ) {
        // Goal: no bytes and no checked shape lead to a panic.
        let expiry = if forms & 1 == 0 { Expiry::After(5) } else { Expiry::Column { min: 0, max: NEVER } };
        let unit = if forms & 2 == 0 { UnitOf::All(0) } else { UnitOf::Column };
        let last = if even { i64::from(count) - 1 } else { 1_000 };
        let shape = Shape { count, ints, floats, first: 0, last, apart: forms & 4 != 0, even, expiry, unit };
        if shape.check().is_ok() {
            let _answer = decode(&shape, &columns, &mut Vec::new());
        }
    }
}

#[test]
fn what_all_points_share_takes_no_column() {
    let points: Vec<PackedPoint> = (0..9).map(|at| PackedPoint { unit: 2, ..int(at * 10, at) }).collect();
    let (shape, columns) = encoded(&points);
    assert_eq!((shape.even, shape.expiry, shape.unit), (true, Expiry::Never, UnitOf::All(2)));
    for column in Column::ALL {
        assert_eq!(columns[column as usize].is_empty(), column != Column::Ints, "{column:?}");
    }
    let dying: Vec<PackedPoint> =
        points.iter().map(|point| PackedPoint { expires_at: point.time - 7, ..*point }).collect();
    assert_eq!(encoded(&dying).0.expiry, Expiry::After(-7));
}

#[test]
fn a_chunk_that_contradicts_itself_is_refused() {
    // Method: a sound chunk of jittered times with one thing changed.
    let points = [int(0, 1), int(11, 2), int(21, 3)];
    let (sound, columns) = encoded(&points);
    let refuse = |change: &dyn Fn(&mut Shape)| {
        let mut shape = sound;
        change(&mut shape);
        shape.check().and_then(|()| decode(&shape, &columns, &mut Vec::new())).expect_err("refused")
    };
    refuse(&|shape| shape.count = 4);
    refuse(&|shape| shape.count = 2);
    refuse(&|shape| shape.count = u32::MAX);
    refuse(&|shape| shape.ints = u32::MAX);
    refuse(&|shape| shape.first = 1);
    refuse(&|shape| shape.last = 22);
    refuse(&|shape| shape.last = i64::MIN);
    refuse(&|shape| shape.even = true);
    refuse(&|shape| shape.expiry = Expiry::After(i64::MAX));
    refuse(&|shape| shape.expiry = Expiry::Column { min: 1, max: 0 });
}
