//! Names at an open: from the copy on disk, from the segments, from both. Method: volumes on the machine's own disk that
//! are opened with the copy and without, after every kind of end.
#![allow(clippy::disallowed_methods, reason = "copies and harms files behind everybody's back")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::engine::ledger::StoredCopy;
use crate::engine::settings::{KeepCatalog, Maintenance, Settings};
use crate::env::clock::ManualClock;
use crate::env::dice::Dice;
use crate::env::layout;
use crate::env::real::RealDisk;
use crate::model::batch::WriteBatch;
use crate::model::durability::Durability;
use crate::model::limits::{NAMES_READ_FACTOR, NAMES_READ_MIN};
use crate::model::point::Point;
use crate::model::rollup::Rollup;
use crate::model::series::{SeriesId, SeriesKey};
use crate::model::time::{TimeRange, Timestamp, Ttl};

const MINUTE: Duration = Duration::from_secs(60);

fn key(number: u64) -> SeriesKey {
    SeriesKey::new("MINE.APP", "cpu", [("host", format!("h{number}"))]).expect("valid names")
}

fn open(dir: &Path, now: Timestamp, keep_catalog: KeepCatalog) -> Arc<Engine> {
    open_with(dir, now, keep_catalog, true)
}

fn open_with(dir: &Path, now: Timestamp, keep_catalog: KeepCatalog, strict: bool) -> Arc<Engine> {
    let settings = Settings {
        durability: Durability::Buffered,
        clock: Arc::new(ManualClock::new(now)),
        maintenance: Maintenance::Manual,
        reclaim_within: MINUTE,
        rollup: Rollup { tiers: Vec::new(), ..Rollup::default() },
        log_file_bytes: 1 << 16,
        keep_catalog,
        strict,
        ..Settings::default()
    };
    Engine::open(Arc::new(RealDisk), dir, settings).expect("opens")
}

fn put(engine: &Engine, points: impl IntoIterator<Item = (SeriesKey, Point)>) {
    engine.write(&points.into_iter().collect::<WriteBatch>()).expect("stored");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() { copy(&path, &target) } else { fs::copy(&path, &target).map(|_| ()).expect("copied") }
    }
}

fn known(engine: &Engine) -> BTreeMap<SeriesKey, SeriesId> {
    engine.view.read().catalog.iter().map(|(id, key, _)| (key.clone(), id)).collect()
}

fn is_copy_used(engine: &Engine) -> bool {
    matches!(engine.ledger.lock().copy, StoredCopy::Open { .. })
}

fn is_listed(engine: &Engine) -> bool {
    engine.ledger.lock().manifest.version().catalog.is_some()
}

fn files(dir: &Path) -> usize {
    fs::read_dir(dir.join(layout::CATALOG)).map_or(0, |entries| entries.filter(is_file).count())
}

fn is_file(entry: &std::io::Result<fs::DirEntry>) -> bool {
    entry.as_ref().is_ok_and(|entry| entry.path().is_file())
}

#[test]
fn with_a_copy_and_without_the_same_series_have_the_same_numbers_after_every_end() {
    // Goal: the copy is exact wherever it is listed, whatever came, left and came back under an old number or a new one.
    let mut dice = Dice::new(11);
    let mut now = Timestamp::from_millis(1_800_000_000_000);
    let mut dir = tempfile::tempdir().expect("a folder");
    let mut engine = open(dir.path(), now, KeepCatalog::Always);
    let mut lasting: BTreeMap<SeriesKey, usize> = BTreeMap::new();
    let (mut used, mut read, mut left) = (0, 0, 0);
    for step in 0..400_u32 {
        match dice.below(12) {
            0..5 => {
                now = now + Duration::from_millis(10);
                let (number, lasts) = (dice.below(60), dice.below(20) == 0);
                let point = Point::new(now, i64::from(step));
                let point = if lasts { point } else { point.with_ttl(Ttl::from_secs(60)) };
                put(&engine, [(key(number), point)]);
                *lasting.entry(key(number)).or_default() += usize::from(lasts);
            }
            5..8 => engine.flush().expect("flushed"),
            8 => {
                let before = known(&engine).len();
                engine.maintain().expect("done");
                left += before - known(&engine).len();
            }
            end => {
                now = now + MINUTE * u32::try_from(dice.below(9)).expect("few");
                let next = tempfile::tempdir().expect("a folder");
                if end > 9 {
                    // Killed.
                    copy(dir.path(), next.path());
                } else {
                    engine.close().expect("closes");
                    copy(dir.path(), next.path());
                }
                let without = tempfile::tempdir().expect("a folder");
                copy(next.path(), without.path());
                engine = open(next.path(), now, KeepCatalog::Always);
                dir = next;
                assert!(engine.recovery().damage.is_empty(), "step {step}: {:?}", engine.recovery().damage);
                used += u32::from(is_copy_used(&engine));
                read += u32::from(!is_copy_used(&engine));
                assert!(engine.verify().is_empty(), "step {step}");
                let (all, needed) = (known(&engine), known(&open(without.path(), now, KeepCatalog::Never)));
                assert!(needed.iter().all(|(key, id)| all.get(key) == Some(id)), "step {step}: {all:?}, {needed:?}");
                for (key, count) in &lasting {
                    let points = engine.points(key, TimeRange::ALL).expect("readable");
                    assert!(points.count() >= *count, "step {step}: {key}");
                }
            }
        }
    }
    println!("the copy was used {used} times, names were read {read} times, {left} series left");
    assert!(used > 15 && read > 10 && left > 20, "{used} {read} {left}");
}

#[test]
fn a_small_volume_keeps_no_copy_and_is_rid_of_an_old_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let now = Timestamp::from_millis(1_800_000_000_000);
    let engine = open(dir.path(), now, KeepCatalog::Always);
    put(&engine, (0..100).map(|number| (key(number), Point::new(now, 1))));
    engine.close().expect("closes");
    let engine = open(dir.path(), now, KeepCatalog::Always);
    assert!(is_copy_used(&engine) && is_listed(&engine) && files(dir.path()) > 0);
    assert!(engine.stats().catalog_bytes > 0);
    let names = known(&engine);
    drop(engine);
    let engine = open(dir.path(), now, KeepCatalog::WhereItPays);
    assert!(!is_copy_used(&engine) && is_listed(&engine), "it is not even opened");
    assert!(known(&engine) == names && engine.verify().is_empty(), "it can be looked at all the same");
    engine.close().expect("closes");
    assert_eq!(files(dir.path()), 0);
    for keep in [KeepCatalog::WhereItPays, KeepCatalog::Never, KeepCatalog::Always] {
        let engine = open(dir.path(), now, keep);
        assert!(!is_listed(&engine) && engine.recovery().damage.is_empty());
        assert_eq!(known(&engine), names);
        put(&engine, [(key(7), Point::new(now, 2))]);
    }
    let engine = open(dir.path(), now, KeepCatalog::Always);
    assert!(is_copy_used(&engine) && known(&engine) == names, "it was stored anew");
}

#[test]
fn a_copy_is_kept_where_all_names_are_many_more_than_the_series() {
    let pays = |names, series| KeepCatalog::WhereItPays.pays(names, series);
    assert!(!pays(NAMES_READ_MIN, 0) && pays(NAMES_READ_MIN + 1, 0));
    assert!(!pays(NAMES_READ_MIN + 1_000 * NAMES_READ_FACTOR, 1_000));
    assert!(!pays(2_000_000, 1_000_000), "each in one segment of points and one of windows");
    assert!(pays(u64::MAX, u64::MAX / NAMES_READ_FACTOR / 2) && !pays(u64::MAX, u64::MAX));
    assert!(!KeepCatalog::Never.pays(u64::MAX, 0) && KeepCatalog::Always.pays(0, 0));
}

#[test]
fn names_that_a_segment_has_lost_come_from_the_copy() {
    let dir = tempfile::tempdir().expect("a folder");
    let now = Timestamp::from_millis(1_800_000_000_000);
    let engine = open(dir.path(), now, KeepCatalog::Always);
    put(&engine, (0..10).map(|number| (key(number), Point::new(now, 1))));
    engine.close().expect("closes");
    drop(engine);
    let segment =
        fs::read_dir(dir.path().join(layout::SEGMENTS)).expect("a folder").next().expect("one").expect("read");
    let mut bytes = fs::read(segment.path()).expect("readable");
    let at = bytes.windows(8).position(|window| window == b"MINE.APP").expect("it names its series");
    bytes[at] ^= 1;
    fs::write(segment.path(), bytes).expect("written");
    // Again and again: also after a series that came later, and what is done when nothing else is due.
    for later in 0..3 {
        let engine = open_with(dir.path(), now, KeepCatalog::WhereItPays, false);
        assert_eq!(engine.recovery().damage.len(), 1, "{:?}", engine.recovery().damage);
        assert!(is_copy_used(&engine) && known(&engine).len() == 10 + usize::from(later > 1));
        assert_eq!(engine.points(&key(3), TimeRange::ALL).expect("readable").count(), 1);
        if later == 1 {
            put(&engine, [(key(20), Point::new(now, 1))]);
        }
        engine.maintain().expect("done");
        engine.close().expect("closes");
    }
}

#[test]
fn a_stored_catalogue_that_is_damaged_or_gone_costs_nothing() {
    // Method: a bit of every 41st byte, then three opens; the last one finds nothing wrong any more.
    let sound = tempfile::tempdir().expect("a folder");
    let now = Timestamp::from_millis(1_800_000_000_000);
    let engine = open(sound.path(), now, KeepCatalog::Always);
    put(&engine, (0..5).map(|number| (key(number), Point::new(now, 1))));
    engine.close().expect("closes");
    let names = known(&engine);
    drop(engine);
    let db = Path::new(layout::CATALOG).join("db");
    let used = fs::read(sound.path().join(&db)).expect("it is there");
    let used = used.iter().rposition(|byte| *byte != 0).expect("something is stored");
    let mut told = 0;
    for at in (0..used).step_by(41) {
        let dir = tempfile::tempdir().expect("a folder");
        copy(sound.path(), dir.path());
        let mut bytes = fs::read(dir.path().join(&db)).expect("it is there");
        bytes[at] ^= 0x10;
        fs::write(dir.path().join(&db), bytes).expect("written");
        // Damage may come to light only when the next change is looked for.
        let notes = [(); 3].map(|()| {
            let engine = open(dir.path(), now, KeepCatalog::Always);
            assert_eq!(known(&engine), names, "byte {at}");
            engine.close().expect("closes");
            engine.recovery().damage.len()
        });
        assert_eq!(notes[2], 0, "byte {at}");
        told += usize::from(notes != [0; 3]);
    }
    assert!(told > 4, "only {told} damages were told");
    fs::remove_dir_all(sound.path().join(layout::CATALOG)).expect("removed");
    let engine = open(sound.path(), now, KeepCatalog::Always);
    assert_eq!((known(&engine), engine.recovery().damage), (names, Vec::new()));
}
