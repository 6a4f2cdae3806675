//! The head against an ordered map, its count of points and memory, and what its tally says.

mod random;

use super::*;
use crate::model::point::{Point, Unit};

const SERIES: SeriesId = SeriesId(7);

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// Puts a point as it comes in a batch of its own.
fn put(head: &mut Head, series: SeriesId, point: &Point, accepted_at: Timestamp, tally: &mut Tally) {
    let mut units = Units::default();
    let unit = point.unit.as_ref().map(|unit| units.number_of(unit));
    let numbers = head.adopt(&units);
    let packed = PackedPoint::new(point, unit);
    head.begin(Origin { accepted_at, sequence: Sequence(1) });
    head.put(series, PackedPoint { unit: numbers[packed.unit as usize], ..packed }, tally);
}

/// What one thing more adds to the memory, for a point of `series`.
fn grown_by(head: &mut Head, series: u32, point: &Point) -> usize {
    let before = head.bytes();
    put(head, SeriesId(series), point, Timestamp::EPOCH, &mut Tally::default());
    head.bytes() - before
}

#[test]
fn memory_counts_tables_runs_points_and_units() {
    // Goal: what is held is what is counted. Method: one thing more at a time.
    let mut head = Head::default();
    let point = |millis| Point::new(at(millis), 1);
    assert_eq!(head.bytes(), 0);
    // The smallest table has four places, and an id says nothing about its size.
    let tables = 4 * (PLACE_BYTES + size_of::<Origin>() + size_of::<Manner>()) + 3 * KNOWN_BYTES;
    assert_eq!(grown_by(&mut head, 4_000_000_000, &point(10)), tables + Run::FIRST_BYTES);
    assert_eq!(grown_by(&mut head, 2, &point(10)), Run::FIRST_BYTES);
    assert_eq!(grown_by(&mut head, 2, &point(11)), 0, "there is room");
    assert_eq!(grown_by(&mut head, 2, &point(5)), 0, "it is put between the others");
    assert_eq!(grown_by(&mut head, 2, &point(5)), 0, "replaced");
    let unit = Unit::from("%");
    assert_eq!(grown_by(&mut head, 2, &point(12).with_unit(unit.clone())), Units::unit_bytes(&unit));
    assert_eq!(grown_by(&mut head, 2, &point(13).with_unit(unit)), Run::FIRST_BYTES, "the unit is known");
    let ttl = |secs| point(1).with_ttl(crate::model::time::Ttl::from_secs(secs));
    let others: usize = (1..100).map(|secs| grown_by(&mut head, 2, &ttl(secs))).sum();
    assert!((99..4 * 99).contains(&(others / size_of::<Manner>())), "each TTL is kept: {others} bytes");
    let before = head.bytes();
    head.erase(SeriesId(2), TimeRange::ALL);
    let departed = 6 * Head::POINT_BYTES;
    let given_back = 2 * Run::FIRST_BYTES;
    assert_eq!(before + departed - head.bytes(), given_back, "deleted points only count in their windows");
}

#[test]
fn many_series_take_no_more_than_is_foreseen() {
    // Goal: what a batch is admitted for covers what it takes. Method: at every number of series past the first few,
    // for which a table is never so small.
    let mut head = Head::default();
    for series in 0..5_000 {
        grown_by(&mut head, series, &Point::new(at(1), 1));
        let count = series as usize + 1;
        assert!(head.bytes() <= (count + 3) * Head::SERIES_BYTES, "{count} series take {} bytes", head.bytes());
        assert!(head.bytes() >= count * (PLACE_BYTES + Run::FIRST_BYTES), "{count} series cannot take so little");
    }
}

#[test]
fn blocks_are_as_full_as_is_foreseen() {
    // Goal: runs take little more than their points, in whatever order these come. Method: 20,000 times in each order,
    // 16 bytes and at worst as much again for points that came far apart.
    let ordered: Vec<i64> = (0..20_000).collect();
    let by = |key: fn(&i64) -> i64| {
        let mut times = ordered.clone();
        times.sort_by_key(key);
        times
    };
    let scattered = |time: &i64| time * 7_919 % 20_011;
    let orders = [
        (by(|time| *time), 17),
        (by(|time| -time), 32),
        (by(|time| time + time * 7_919 % 60), 24),
        (by(|time| time + time * 7_919 % 2_000), 32),
        (by(|time| time % 2), 32),
        (by(scattered), 32),
    ];
    for (number, (times, bytes_max)) in orders.into_iter().enumerate() {
        let mut run = Run::default();
        let mut grown = 0;
        for time in times {
            let written = Written { time, manner: 0, bits: time.cast_unsigned() };
            grown += if run.newest() < time {
                run.push(written)
            } else if let Behind::Put(grown) = run.put_behind(written) {
                grown
            } else {
                panic!("no time comes twice")
            };
        }
        assert_eq!(run.bytes().cast_signed(), grown, "order {number}");
        assert!(run.bytes() <= bytes_max * 20_000, "order {number} takes {} bytes", run.bytes());
        assert!(run.range(TimeRange::ALL).map(|each| each.bits.cast_signed()).eq(0..20_000), "order {number}");
    }
}

#[test]
fn the_tally_tells_what_became_of_each_point() {
    // Goal: stored, replaced, late and dead on arrival mean what the receipt says. Method: one point at a time.
    let mut head = Head::default();
    let mut put = |time, expires_at: Option<i64>| {
        let mut tally = Tally::default();
        let point = Point { expires_at: expires_at.map(at), ..Point::new(at(time), 1) };
        self::put(&mut head, SERIES, &point, at(100), &mut tally);
        let Tally { stored, replaced, late, dead_on_arrival, .. } = tally;
        [stored, replaced, late, dead_on_arrival]
    };
    assert_eq!(put(10, None), [1, 0, 0, 0]);
    assert_eq!(put(10, Some(101)), [1, 1, 0, 0], "a living point was replaced");
    assert_eq!(put(10, Some(100)), [0, 0, 0, 1], "dead on arrival, whatever it replaced");
    assert_eq!(put(10, None), [1, 0, 0, 0], "a dead point is replaced in silence");
    assert_eq!(put(5, None), [1, 0, 1, 0]);
    assert_eq!(put(4, Some(4)), [0, 0, 0, 1], "a dead point is never late");
    assert_eq!(put(5, None), [1, 1, 1, 0]);
    assert_eq!(put(11, None), [1, 0, 0, 0]);
    assert_eq!(head.len(), 4, "every accepted point is kept, dead or alive");
}

#[test]
fn a_point_that_was_dead_on_arrival_keeps_hidden_what_it_replaced() {
    // S5: the older point stays dead, though its TTL was longer.
    let mut head = Head::default();
    let dead = Point { expires_at: Some(at(20)), ..Point::new(at(10), 2) };
    for point in [&Point::new(at(10), 1), &dead] {
        put(&mut head, SERIES, point, at(50), &mut Tally::default());
    }
    let points: Vec<PackedPoint> = head.range(SERIES, TimeRange::ALL).collect();
    assert_eq!(points, [PackedPoint::new(&dead, None)]);
    assert!(!points[0].is_visible_at(at(50)));
}

#[test]
fn units_come_back_however_they_alternate() {
    let mut head = Head::default();
    let units = [None, Some("%"), Some("%"), Some("B"), None, Some("%"), Some("s"), Some("B")];
    let point = |(time, unit): (i64, Option<&str>)| Point { unit: unit.map(Unit::from), ..Point::new(at(time), 1) };
    let points: Vec<Point> = (0..).zip(units).map(point).collect();
    for point in &points {
        put(&mut head, SERIES, point, Timestamp::EPOCH, &mut Tally::default());
    }
    let back: Vec<Point> = head.range(SERIES, TimeRange::ALL).filter_map(|each| each.unpack(head.units())).collect();
    assert_eq!(back, points);
    assert_eq!(head.units().list().len(), 3);
}

#[test]
fn a_frozen_head_can_be_shared_between_threads() {
    fn is_shared<T: Send + Sync>(_: &T) {}
    is_shared(&std::sync::Arc::new(Head::default()));
}
