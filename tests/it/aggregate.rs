//! Windows across series, and rows out of windows, against plain arithmetic over the raw points.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ebbtide::{
    Aggregate, Builder, Db, ErrorKind, Fill, Function, Group, ManualClock, Number, Point, Selector, SeriesKey,
    TimeRange, Timestamp, Ttl, Value, Window, WindowState, WriteBatch,
};

const START: i64 = 1_795_255_200_000;
const PERIOD: i64 = 300_000;

type Points = Vec<(i64, Value)>;

fn open() -> (Db, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(START)));
    (Builder::in_memory().clock(clock.clone()).open().expect("opens"), clock)
}

fn key(dimensions: &[(&str, &str)]) -> SeriesKey {
    SeriesKey::new("A.B", "m", dimensions.iter().copied()).expect("a good name")
}

fn asked(period: i64) -> Aggregate {
    let period = Duration::from_millis(period.unsigned_abs());
    Aggregate::new(Selector::all().namespace("A.B"), TimeRange::ALL, period)
}

fn write(db: &Db, series: &SeriesKey, points: impl IntoIterator<Item = (i64, Value)>) {
    let point = |(time, value)| (series.clone(), Point::new(Timestamp::from_millis(START + time), value));
    db.write(&points.into_iter().map(point).collect::<WriteBatch>()).expect("written");
}

fn to_f64(value: Value) -> f64 {
    Number::from(value).to_f64()
}

fn is_close(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-9 * one.abs().max(other.abs()).max(1.0)
}

/// Holds a window against its points in order of time.
fn check(window: &Window, points: &[(i64, Value)]) {
    let floats: Vec<f64> = points.iter().map(|(_, value)| to_f64(*value)).collect();
    let ints = || points.iter().filter_map(|(_, value)| if let Value::Int(int) = value { Some(*int) } else { None });
    let count = points.len();
    assert_eq!((window.count(), window.integers()), (count as u64, ints().count() as u64));
    let count = f64::from(u32::try_from(count).expect("few"));
    let mean = floats.iter().sum::<f64>() / count;
    assert!(is_close(window.average(), mean), "{} {mean}", window.average());
    let variance = floats.iter().map(|float| (float - mean).powi(2)).sum::<f64>() / count;
    assert!(is_close(window.variance(), variance), "{} {variance}", window.variance());
    match window.sum() {
        Number::Int(sum) => assert_eq!(sum, ints().map(i128::from).sum::<i128>()),
        Number::Float(sum) => assert!(is_close(sum, floats.iter().sum())),
    }
    let extreme = |wanted: fn(f64, f64) -> f64| floats.iter().copied().reduce(wanted).expect("not empty");
    assert!(is_close(to_f64(window.min()), extreme(f64::min)) && is_close(to_f64(window.max()), extreme(f64::max)));
    let (first, last) = (points[0].0, points[points.len() - 1].0);
    assert_eq!((window.first().0.as_millis(), window.last().0.as_millis()), (first, last));
}

#[test]
fn groups_are_what_all_of_their_points_say() {
    // Goal: summaries are merged, never averages. Method: series of very different lengths, ints and floats, some of
    // them flushed; every group by none, one and two dimensions against its raw points.
    let (db, _clock) = open();
    let mut all: Vec<(SeriesKey, Points)> = Vec::new();
    let mut state = 7_u64;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for (host, core, count) in [("a", "0", 900), ("a", "1", 3), ("b", "0", 50), ("b", "1", 400), ("c", "", 20)] {
        let series = if core.is_empty() { key(&[("host", host)]) } else { key(&[("core", core), ("host", host)]) };
        let mut points: BTreeMap<i64, Value> = BTreeMap::new();
        for _ in 0..count {
            let number = i32::try_from(draw(2_000)).expect("small") - 1_000;
            let value = if draw(3) == 0 { Value::Float(f64::from(number) * 0.1) } else { Value::from(number) };
            points.insert(draw(20 * 300_000).cast_signed(), value);
        }
        write(&db, &series, points.clone());
        if host == "a" {
            db.flush().expect("flushes");
        }
        all.push((series, points.into_iter().map(|(time, value)| (START + time, value)).collect()));
    }
    for (by, period) in [(&[][..], PERIOD), (&["host"], PERIOD), (&["core"], 4 * PERIOD), (&["core", "host"], 7_000)] {
        let groups = db.aggregate(&asked(period).by(by.iter().copied())).expect("few");
        let mut wanted: BTreeMap<Vec<String>, BTreeMap<i64, Points>> = BTreeMap::new();
        for (series, points) in &all {
            let values = by.iter().map(|name| series.dimension(name).unwrap_or_default().to_owned()).collect();
            let windows = wanted.entry(values).or_default();
            for point in points {
                windows.entry(point.0.div_euclid(period) * period).or_default().push(*point);
            }
        }
        assert_eq!(groups.len(), wanted.len());
        for (group, (values, windows)) in groups.iter().zip(&mut wanted) {
            let labels: Vec<(String, String)> = by.iter().map(ToString::to_string).zip(values.clone()).collect();
            assert_eq!(group.labels, labels);
            let starts: Vec<i64> = group.windows.iter().map(|window| window.start.as_millis()).collect();
            assert_eq!(starts, windows.keys().copied().collect::<Vec<_>>());
            for (window, points) in group.windows.iter().zip(windows.values_mut()) {
                assert_eq!(window.is_raw, period == 7_000);
                points.sort_by_key(|(time, _)| *time);
                check(window, points);
            }
        }
    }
}

#[test]
fn integers_are_exact_across_series_and_units_are_those_of_the_last_point() {
    let (db, _clock) = open();
    for (host, time, unit) in [("a", 5, "late"), ("b", 1, "early"), ("c", 3, "between")] {
        let point = Point::new(Timestamp::from_millis(START + time), i64::MAX).with_unit(unit);
        db.insert(&key(&[("host", host)]), point).expect("written");
    }
    let [Group { windows, series, labels, .. }] = &db.aggregate(&asked(PERIOD)).expect("few")[..] else {
        panic!("one")
    };
    assert_eq!((*series, labels.len(), windows.len()), (3, 0, 1));
    assert_eq!(windows[0].sum(), Number::Int(3 * i128::from(i64::MAX)));
    assert_eq!(windows[0].unit().map(ToString::to_string).as_deref(), Some("late"));
}

#[test]
fn a_merged_window_is_as_final_as_its_least_final_part() {
    // Method: three days and a window later one series gets a late point, so that its window is amended.
    let (db, clock) = open();
    write(&db, &key(&[("host", "a")]), [(0, Value::Int(1))]);
    write(&db, &key(&[("host", "b")]), [(1, Value::Int(2))]);
    let states = |by: &[&str]| -> Vec<WindowState> {
        let groups = db.aggregate(&asked(PERIOD).by(by.iter().copied())).expect("few");
        groups.iter().map(|group| group.windows[0].state).collect()
    };
    assert_eq!(states(&[]), [WindowState::Open]);
    clock.advance(Duration::from_secs(300));
    assert_eq!(states(&[]), [WindowState::Settling]);
    clock.advance(Duration::from_secs(3 * 86_400));
    assert_eq!(states(&[]), [WindowState::Sealed]);
    write(&db, &key(&[("host", "b")]), [(2, Value::Int(3))]);
    assert_eq!(states(&["host"]), [WindowState::Sealed, WindowState::Amended]);
    assert_eq!(states(&[]), [WindowState::Amended]);
}

#[test]
fn questions_that_cannot_be_answered_are_refused() {
    let (db, _clock) = open();
    assert!(db.aggregate(&asked(PERIOD)).expect("nothing is no error").is_empty());
    write(&db, &key(&[("host", "a")]), [(0, Value::Int(1))]);
    let later = Timestamp::from_millis(START + 10 * PERIOD);
    let beside = Aggregate::new(Selector::all(), later.., Duration::from_secs(300));
    assert!(db.aggregate(&beside).expect("few").is_empty(), "a group without a window is none");
    let many: Vec<String> = (0..17).map(|each| format!("d{each}")).collect();
    for wrong in [asked(PERIOD).by(["host", "host"]), asked(PERIOD).by(many), asked(0)] {
        assert_eq!(db.aggregate(&wrong).expect_err("refused").kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn gaps_are_filled_between_windows_and_never_beyond() {
    // S14. Method: windows at 1, 2 and 5, of integers; the fifth of a float in another series.
    let (db, _clock) = open();
    let series = key(&[("host", "a")]);
    write(&db, &series, [(PERIOD, Value::Int(4)), (PERIOD + 1, Value::Int(6)), (2 * PERIOD, Value::Int(10))]);
    write(&db, &series, [(5 * PERIOD, Value::Int(40)), (5 * PERIOD + 7, Value::Int(1))]);
    let windows = db.windows(&series, TimeRange::ALL, Duration::from_secs(300)).expect("few");
    let rows = |function, fill| -> Vec<(i64, Option<Number>)> {
        let rows = windows.values(function, fill).expect("few");
        rows.into_iter().map(|(time, number)| ((time.as_millis() - START) / PERIOD, number)).collect()
    };
    let int = |int: i128| Some(Number::Int(int));
    let float = |float: f64| Some(Number::Float(float));
    assert_eq!(rows(Function::Sum, Fill::None), [(1, int(10)), (2, int(10)), (5, int(41))]);
    let filled = |third, fourth| vec![(1, int(6)), (2, int(10)), (3, third), (4, fourth), (5, int(40))];
    assert_eq!(rows(Function::Max, Fill::Null), filled(None, None));
    assert_eq!(rows(Function::Max, Fill::Previous), filled(int(10), int(10)));
    assert_eq!(rows(Function::Max, Fill::Zero), filled(int(0), int(0)));
    assert_eq!(rows(Function::Max, Fill::Linear), filled(float(20.0), float(30.0)));
    assert_eq!(rows(Function::Average, Fill::Zero)[3], (4, float(0.0)));
    let single = |function| rows(function, Fill::None)[0].1;
    assert_eq!(
        [Function::Min, Function::First, Function::Last, Function::Count].map(single),
        [int(4), int(4), int(6), int(2)]
    );
    assert_eq!([Function::Average, Function::Variance].map(single), [float(5.0), float(1.0)]);
    let newest = (Timestamp::from_millis(START + 5 * PERIOD + 7), int(1));
    assert_eq!(windows.values(Function::Latest, Fill::Linear).expect("one"), [newest]);
    let none = db.windows(&key(&[]), TimeRange::ALL, Duration::from_secs(1)).expect("unknown");
    for function in [Function::Sum, Function::Latest] {
        assert!(none.values(function, Fill::Zero).expect("nothing").is_empty());
    }
}

#[test]
fn a_gap_without_end_is_refused() {
    let (db, _clock) = open();
    let series = key(&[]);
    for time in [0, START] {
        let point = Point::new(Timestamp::from_millis(time), 1).with_ttl(Ttl::NEVER);
        db.insert(&series, point).expect("written");
    }
    let windows = db.windows(&series, TimeRange::ALL, Duration::from_secs(1)).expect("two");
    assert_eq!(windows.values(Function::Sum, Fill::None).expect("two").len(), 2);
    assert_eq!(windows.values(Function::Sum, Fill::Null).expect_err("too many").kind(), ErrorKind::InvalidInput);
}
