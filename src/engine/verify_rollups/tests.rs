//! What `verify_rollups` finds, and what it does not find where nothing is wrong.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::engine::output::Facts;
use crate::engine::settings::{Maintenance, Settings};
use crate::env::clock::ManualClock;
use crate::env::memory::MemoryDisk;
use crate::manifest::Edit;
use crate::model::batch::WriteBatch;
use crate::model::point::{Point, Value};
use crate::model::rollup::{Late, Rollup};
use crate::model::series::SeriesKey;
use crate::model::summary::{Ints, Record};
use crate::model::time::{TimeRange, Timestamp, Ttl};

const START: i64 = 1_795_255_200_000;

fn open(late: Late) -> (Arc<Engine>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(START)));
    let rollup = Rollup { late, ..Rollup::default() };
    let settings = Settings { maintenance: Maintenance::Manual, clock: clock.clone(), rollup, ..Settings::default() };
    let disk = Arc::new(MemoryDisk::default());
    (Engine::open(disk, std::path::Path::new("memory"), settings).expect("opens"), clock)
}

fn key() -> SeriesKey {
    SeriesKey::new("A.B", "m", [("n", "v")]).expect("a good name")
}

fn write(engine: &Engine, points: impl IntoIterator<Item = (i64, Value, Ttl)>) {
    let point = |(time, value, ttl)| Point::new(Timestamp::from_millis(START + time), value).with_ttl(ttl);
    let batch: WriteBatch = points.into_iter().map(|each| (key(), point(each).with_unit("%"))).collect();
    engine.write(&batch).expect("written");
}

/// Windows checked, not checked because points have gone, and wrong.
fn counted(engine: &Engine) -> (u64, u64, u64) {
    let report = engine.verify_rollups().expect("reads");
    assert_eq!(report.wrong.len() as u64, report.wrong_windows, "{:?}", report.wrong);
    assert_eq!(report.unreadable, 0);
    (report.checked, report.points_gone, report.wrong_windows)
}

#[test]
fn windows_with_all_of_their_points_are_checked_and_others_are_not() {
    // Goal: what is sound is found sound, and nothing is held against half of its points. Method: ten windows of
    // integers and floats, many points in one of them; then points are replaced, deleted and expire.
    let (engine, clock) = open(Late::Correct);
    let value = |each: i32| if each % 3 == 0 { Value::Float(f64::from(each) * 0.1) } else { Value::Int(each.into()) };
    let at = |each: i32, step: i64, ttl| (i64::from(each) * step, value(each), ttl);
    write(&engine, (0..10_000).map(|each| at(each, 30, Ttl::NEVER)));
    write(&engine, (1..10).map(|each| at(each, 300_000, Ttl::from_secs(60))));
    assert_eq!(counted(&engine), (10, 0, 0));
    write(&engine, [(0, Value::Int(5), Ttl::NEVER), (300_000, Value::Int(7), Ttl::from_secs(60))]);
    write(&engine, [(-300_000, Value::Int(5), Ttl::from_secs(0))]);
    assert_eq!(counted(&engine), (10, 1, 0), "replaced, and one that is dead on arrival");
    let range = TimeRange::new(Timestamp::from_millis(START + 600_000), Timestamp::from_millis(START + 900_000));
    engine.delete(&key(), range).expect("deleted");
    clock.advance(Duration::from_secs(7_200));
    engine.compact().expect("compacts");
    assert_eq!(counted(&engine), (1, 10, 0), "only the first window has points that never expire");
}

#[test]
fn a_window_that_is_wrong_is_found_and_named() {
    // Method: a record that replaces the true one is committed as a flush would do it, with each thing wrong once.
    type Change = fn(&mut Summary);
    let changes: [(&str, Change); 7] = [
        ("number of values", |summary| summary.ints = Some(Ints::of(1))),
        ("sum of integers", |summary| summary.ints = summary.ints.map(|ints| Ints { sum: 6, ..ints })),
        ("largest integer", |summary| summary.ints = summary.ints.map(|ints| Ints { max: 5, ..ints })),
        ("least float", |summary| summary.floats.as_mut().expect("has floats").min = 0.25),
        ("squared distance", |summary| summary.floats.as_mut().expect("has floats").m2 += 1e-9),
        ("last value", |summary| summary.last.time += 1),
        ("unit", |summary| summary.unit = 0),
    ];
    for (what, change) in changes {
        let (engine, _clock) = open(Late::Correct);
        let values = [Value::Int(1), Value::Int(2), Value::Int(4), Value::Float(0.5), Value::Float(1.5)];
        write(&engine, (0..).zip(values).map(|(time, value)| (time, value, Ttl::NEVER)));
        assert_eq!(counted(&engine), (1, 0, 0));
        plant(&engine, change);
        let report = engine.verify_rollups().expect("reads");
        assert_eq!((report.checked, report.wrong_windows), (1, 1), "{what}");
        let told = report.wrong[0].to_string();
        assert!(told.contains(what) && told.contains("A.B") && told.contains(&START.to_string()), "{told}");
    }
}

/// Puts a changed record in the place of the one that is stored.
fn plant(engine: &Engine, change: fn(&mut Summary)) {
    let shelf = engine.view.read().shelf.clone();
    let partition = Partition::of(START, 1);
    let id = engine.view.read().catalog.id(&key()).expect("known");
    let mut output = engine.output();
    let times = (i64::MIN, i64::MAX);
    let stored = records(&shelf, partition, id, times, &mut output.units).expect("reads");
    let [Record { start, summary, .. }] = &stored[..] else { panic!("one window") };
    let mut summary = summary.clone();
    change(&mut summary);
    let record = Record { start: *start, replaces: true, is_amended: false, summary };
    let newest = engine.view.read().visible;
    let facts = Facts { newest, erased: newest };
    let length = shelf.window_of(partition).expect("has summaries");
    output.push_record((partition, length), facts, (id, &key()), record).expect("written");
    let add = output.finish().expect("written");
    let remove = shelf.summaries_of(partition).iter().map(|slot| slot.meta.number).collect();
    let edit = Edit { add, remove, ..Edit::default() };
    assert!(engine.commit_edit(edit, engine.guard.confirmed()).expect("committed"));
}

#[test]
fn sound_histories_are_found_sound() {
    // Goal: no false alarm, whatever was replaced, deleted, late or dead. Method: random acts in an hour of windows, and
    // a look after every few of them.
    for seed in 0..60_u64 {
        let late = if seed % 3 == 0 { Late::DiscardAfter(Duration::from_secs(600)) } else { Late::Correct };
        let (engine, clock) = open(late);
        let mut state = seed;
        let mut draw = |below: u32| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            u32::try_from(state >> 33).expect("31 bits") % below
        };
        for act in 0..80 {
            match draw(10) {
                0 => engine.flush().expect("flushes"),
                1 => engine.maintain().expect("maintains"),
                2 => engine.compact().expect("compacts"),
                3 => clock.advance(Duration::from_secs(draw(900).into())),
                4 => {
                    let first = START + i64::from(draw(3_600)) * 1_000;
                    let range = [first, first + i64::from(draw(600)) * 1_000].map(Timestamp::from_millis);
                    drop(engine.delete(&key(), TimeRange::new(range[0], range[1])));
                }
                _ => {
                    let points = (0..=draw(20)).map(|_| {
                        let value = if draw(3) == 0 {
                            Value::Float(f64::from(draw(1_000)) * 0.1)
                        } else {
                            Value::Int(draw(1_000).into())
                        };
                        let ttl = [Ttl::NEVER, Ttl::from_secs(0), Ttl::from_secs(600), Ttl::from_secs(86_400)]
                            [draw(4) as usize];
                        (i64::from(draw(360)) * 10_000, value, ttl)
                    });
                    let points: Vec<_> = points.collect();
                    write(&engine, points);
                }
            }
            if act % 8 == 7 {
                let report = engine.verify_rollups().expect("reads");
                assert_eq!(
                    (report.wrong_windows, report.unreadable),
                    (0, 0),
                    "seed {seed}, act {act}: {:?}",
                    report.wrong
                );
            }
        }
    }
}
