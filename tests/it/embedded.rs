//! The library as a program that embeds it sees it: what is visible when, what is refused, and what opening tells.

use std::sync::Arc;
use std::time::Duration;

use ebbtide::{
    Db, Durability, ErrorKind, ManualClock, Point, Result, Selector, SeriesKey, TimeRange, Timestamp, Ttl, Value,
    WriteBatch, limits,
};

const NOW: Timestamp = Timestamp::from_secs(1_795_281_677);

fn key(metric: &str) -> SeriesKey {
    SeriesKey::new("MINE.APP", metric, [("host", "a")]).expect("valid names")
}

fn points(db: &Db, metric: &str) -> Vec<Point> {
    db.points(&key(metric), ..).expect("readable").collect::<Result<_>>().expect("readable")
}

fn values(db: &Db, metric: &str) -> Vec<Value> {
    points(db, metric).into_iter().map(|point| point.value).collect()
}

fn at(clock: &Arc<ManualClock>, dir: &std::path::Path) -> Db {
    Db::builder(dir).clock(clock.clone()).open().expect("opens")
}

#[test]
fn a_database_is_shared_by_clones_between_threads() {
    fn assert_shared<T: Clone + Send + Sync + 'static>() {}
    assert_shared::<Db>();
}

#[test]
fn what_was_written_is_read_back_to_the_bit_after_reopening() {
    // Goal: every kind of value, unit and expiry survives. Method: write, read, reopen, read again.
    let dir = tempfile::tempdir().expect("a directory");
    let floats = [0.0, -0.0, 0.1, 1e300, f64::MIN_POSITIVE, 60.0, -3.0, 9e15];
    let ints = [0, 1, -1, i64::MAX, i64::MIN];
    let values = floats.map(Value::from).into_iter().chain(ints.map(Value::from));
    let written: Vec<Point> = (0_i64..)
        .zip(values)
        .map(|(place, value)| {
            let point = Point::new(Timestamp::from_millis(place - 4), value);
            match place % 3 {
                0 => point,
                1 => point.with_unit("%"),
                _ => point.with_unit("byte/s \u{b5}").with_ttl(Ttl::from_secs(u32::MAX)),
            }
        })
        .collect();
    let db = Db::open(dir.path()).expect("opens");
    let batch: WriteBatch = written.iter().map(|point| (key("m"), point.clone())).collect();
    let receipt = db.write(&batch).expect("stored");
    assert_eq!((receipt.stored, receipt.sequence.get(), receipt.durability), (13, 1, Durability::Sync));
    assert_eq!(points(&db, "m"), written);
    db.close().expect("closes");
    let db = Db::open(dir.path()).expect("opens again");
    assert_eq!(points(&db, "m"), written);
    assert!(db.recovery().clean && db.recovery().points == 0, "flushed at the end: {:?}", db.recovery());
    let backwards: Vec<Point> = db.points(&key("m"), ..).expect("readable").rev().collect::<Result<_>>().expect("all");
    assert!(backwards.into_iter().rev().eq(written), "both directions give the same points");
}

#[test]
fn points_expire_to_the_millisecond_and_stay_hidden_after_reopening() {
    // S4. Method: a clock that is moved to the last visible millisecond and past it.
    let dir = tempfile::tempdir().expect("a directory");
    let clock = Arc::new(ManualClock::new(NOW));
    let db = at(&clock, dir.path());
    let ahead = NOW + Duration::from_secs(60);
    db.insert(&key("m"), Point::new(NOW, 1).with_ttl(Ttl::from_secs(10))).expect("stored");
    db.insert(&key("m"), Point::new(ahead, 2).with_ttl(Ttl::from_secs(0))).expect("stored");
    db.insert(&key("m"), Point::new(ahead, 3)).expect("stored");
    db.insert(&key("zero"), Point::new(ahead, 4).with_ttl(Ttl::from_secs(0))).expect("stored");
    clock.advance(Duration::from_millis(9_999));
    assert_eq!(values(&db, "m"), [Value::Int(1), Value::Int(3)]);
    clock.advance(Duration::from_millis(1));
    assert_eq!(values(&db, "m"), [Value::Int(3)]);
    clock.advance(Duration::from_millis(49_999));
    assert_eq!(values(&db, "zero"), [Value::Int(4)], "a TTL of zero lasts until the point's own time");
    clock.advance(Duration::from_millis(1));
    assert_eq!(values(&db, "zero"), []);
    db.close().expect("closes");
    let db = at(&clock, dir.path());
    assert_eq!((values(&db, "m"), values(&db, "zero")), (vec![Value::Int(3)], vec![]));
}

#[test]
fn the_last_write_wins_whole_and_what_it_replaced_never_returns() {
    // S5. Goal: value, unit and TTL are replaced together; no resurrection, also by a point that is dead on arrival.
    let dir = tempfile::tempdir().expect("a directory");
    let clock = Arc::new(ManualClock::new(NOW));
    let db = at(&clock, dir.path());
    db.insert(&key("m"), Point::new(NOW, 1).with_unit("%")).expect("stored");
    let receipt = db.insert(&key("m"), Point::new(NOW, 2.5).with_ttl(Ttl::from_secs(5))).expect("stored");
    assert_eq!((receipt.stored, receipt.replaced, receipt.late), (1, 1, 0));
    assert_eq!(points(&db, "m"), [Point::new(NOW, 2.5).with_ttl(Ttl::from_secs(5))]);

    db.insert(&key("shadowed"), Point::new(NOW, 1)).expect("stored");
    let dead = Point::new(NOW, 2).with_ttl(Ttl::from_secs(0));
    let receipt = db.insert(&key("shadowed"), dead.clone()).expect("accepted");
    assert_eq!((receipt.stored, receipt.replaced, receipt.dead_on_arrival), (0, 0, 1));
    db.insert(&key("never"), dead).expect("accepted");

    clock.advance(Duration::from_secs(5));
    let receipt = db.insert(&key("m"), Point::new(NOW, 3).with_ttl(Ttl::from_secs(6))).expect("stored");
    assert_eq!((receipt.stored, receipt.replaced), (1, 0), "what had expired is not replaced");
    clock.advance(Duration::from_secs(1));
    for db in [db.clone(), {
        db.close().expect("closes");
        at(&clock, dir.path())
    }] {
        assert_eq!((values(&db, "m"), values(&db, "shadowed"), values(&db, "never")), (vec![], vec![], vec![]));
    }
}

#[test]
fn later_elements_of_a_batch_win_and_late_points_are_counted() {
    let db = Db::in_memory();
    let time = |secs| Timestamp::from_secs(secs);
    let batch = [(30, 1), (10, 2), (20, 3), (10, 4)].map(|(secs, value)| (key("m"), Point::new(time(secs), value)));
    let receipt = db.write(&batch.into_iter().collect()).expect("stored");
    assert_eq!((receipt.stored, receipt.replaced, receipt.late), (4, 1, 3));
    assert_eq!(values(&db, "m"), [Value::Int(4), Value::Int(3), Value::Int(1)]);
    let middle = TimeRange::new(time(10), time(30));
    assert_eq!(db.points(&key("m"), middle).expect("readable").count(), 2, "the end of a range is not in it");
}

#[test]
fn series_are_listed_in_key_order_and_selected_by_any_dimension() {
    let db = Db::in_memory();
    let host = |metric: &str, host: &str| SeriesKey::new("B.B", metric, [("z", "1"), ("host", host)]).expect("valid");
    let other = SeriesKey::new("A.A", "m", [("host", "x")]).expect("valid");
    for series in [host("m", "y"), other.clone(), host("m", "x"), host("l", "x")] {
        db.insert(&series, Point::new(NOW, 1)).expect("stored");
    }
    let all = [other.clone(), host("l", "x"), host("m", "x"), host("m", "y")];
    assert_eq!(db.series(&Selector::all()).expect("readable"), all);
    let on_x = Selector::all().dimension("host", "x");
    assert_eq!(db.series(&on_x).expect("readable"), [other, host("l", "x"), host("m", "x")]);
    assert_eq!(db.series(&on_x.namespace("B.B").metric("m")).expect("readable"), [host("m", "x")]);
    let shown = db.series(&Selector::all().metric("l")).expect("readable")[0].to_string();
    assert_eq!(shown, "B.B l{z=1,host=x}", "dimensions are shown as first written");
}

#[test]
fn a_batch_with_one_bad_point_is_refused_whole() {
    // S12, S17. Method: a good point beside each kind of bad one.
    let db = Db::in_memory();
    let good = Point::new(NOW, 1);
    let too_late = Timestamp::from_millis(Timestamp::MAX.as_millis() + 1);
    let bad = [
        Point::new(NOW, f64::NAN),
        Point::new(NOW, f64::INFINITY),
        Point::new(too_late, 1),
        Point { expires_at: Some(Timestamp::from_millis(i64::MIN)), ..good.clone() },
        good.clone().with_unit("x".repeat(33)),
    ];
    for point in bad {
        let batch: WriteBatch = [(key("m"), good.clone()), (key("m"), point)].into_iter().collect();
        let error = db.write(&batch).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().starts_with("point 1: "), "{error}");
    }
    let many: WriteBatch = (0..=limits::BATCH_POINTS_MAX).map(|_| (key("m"), good.clone())).collect();
    assert_eq!(db.write(&many).expect_err("refused").kind(), ErrorKind::InvalidInput);
    assert_eq!(db.series(&Selector::all()).expect("readable"), [], "nothing was stored");
    assert_eq!(db.write(&WriteBatch::new()).expect("fine").stored, 0, "an empty batch is nothing to do");
    db.insert(&key("m"), good.with_unit("\u{e4}".repeat(32))).expect("32 characters fit, whatever their bytes");
}

#[test]
fn values_that_are_not_finite_are_kept_to_the_bit_where_allowed() {
    let dir = tempfile::tempdir().expect("a directory");
    let odd = [f64::from_bits(0x7ff8_dead_beef_0001), f64::NEG_INFINITY];
    let open = || Db::builder(dir.path()).store_non_finite(true).open().expect("opens");
    let db = open();
    for (millis, value) in (0..).zip(odd) {
        db.insert(&key("m"), Point::new(Timestamp::from_millis(millis), value)).expect("stored");
    }
    db.close().expect("closes");
    assert_eq!(values(&open(), "m"), odd.map(Value::from));
}

#[test]
fn past_the_series_cap_known_series_go_on() {
    // S21. Goal: a typed error, nothing of the batch stored, known series unharmed.
    let db = ebbtide::Builder::in_memory().series_max(2).open().expect("opens");
    db.insert(&key("a"), Point::new(NOW, 1)).expect("stored");
    let two_new: WriteBatch = ["b", "c"].map(|metric| (key(metric), Point::new(NOW, 1))).into_iter().collect();
    assert_eq!(db.write(&two_new).expect_err("refused").kind(), ErrorKind::TooManySeries);
    assert_eq!(values(&db, "b"), []);
    db.insert(&key("b"), Point::new(NOW, 2)).expect("one still fits");
    assert_eq!(db.insert(&key("c"), Point::new(NOW, 1)).expect_err("refused").kind(), ErrorKind::TooManySeries);
    db.insert(&key("a"), Point::new(NOW, 3)).expect("known");
    assert_eq!(values(&db, "a"), [Value::Int(3)]);
}

#[test]
fn memory_stays_within_its_bound_however_much_is_written() {
    // Goal: a full head is flushed, and what would never fit is refused. Method: many times the bound, in both modes of
    // maintenance, then a batch that is larger than it.
    for maintenance in [ebbtide::Maintenance::Manual, ebbtide::Maintenance::Background] {
        let db = ebbtide::Builder::in_memory().head_bytes_max(1 << 20).maintenance(maintenance).open().expect("opens");
        let point = |millis| (key("m"), Point::new(Timestamp::from_millis(millis), millis));
        for first in (0..200_000).step_by(1_000) {
            db.write(&(first..first + 1_000).map(point).collect()).expect("a flush makes room");
            let stats = db.stats();
            assert!(stats.head_bytes <= 1 << 20, "{stats:?}");
        }
        let large: WriteBatch = (200_000..300_000).map(point).collect();
        assert_eq!(db.write(&large).expect_err("never fits").kind(), ErrorKind::Overloaded);
        assert_eq!(points(&db, "m").len(), 200_000);
        assert!(db.stats().flushes > 5 && db.health() == ebbtide::Health::Good, "{:?}", db.stats());
    }
}

#[test]
fn a_directory_has_one_owner_until_it_is_closed() {
    let dir = tempfile::tempdir().expect("a directory");
    let db = Db::open(dir.path()).expect("opens");
    let error = Db::open(dir.path()).expect_err("is open");
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    db.insert(&key("m"), Point::new(NOW, 1)).expect("stored");
    let clone = db.clone();
    db.close().expect("closes");
    db.close().expect("twice is harmless");
    assert_eq!(clone.insert(&key("m"), Point::new(NOW, 2)).expect_err("closed").kind(), ErrorKind::Closed);
    assert_eq!(values(&clone, "m"), [Value::Int(1)], "a clone still reads");
    let next = Db::open(dir.path()).expect("is free while clones live");
    assert_eq!(values(&next, "m"), [Value::Int(1)]);
    drop(next);
    Db::open(dir.path()).expect("dropping the last handle closes too");
}

#[test]
fn many_writers_share_the_log_and_nothing_is_lost() {
    // S17, S18. Goal: sequences without gaps, every batch whole. Method: threads that write new and shared series.
    let dir = tempfile::tempdir().expect("a directory");
    let (threads, batches) = (16_u32, 40_u32);
    for durability in [Durability::Sync, Durability::Interval(Duration::from_millis(20)), Durability::Buffered] {
        let dir = dir.path().join(durability.to_string());
        let db = Db::builder(&dir).durability(durability).open().expect("opens");
        let mut sequences: Vec<u64> = std::thread::scope(|scope| {
            let write = |thread: u32| {
                let db = db.clone();
                scope.spawn(move || {
                    let write = |each: u32| {
                        let time = Timestamp::from_millis(i64::from(thread * batches + each));
                        let point = Point::new(time, i64::from(each));
                        let own = key(&format!("own{thread}_{}", each / 10));
                        let batch = [(key("shared"), point.clone()), (own, point)].into_iter().collect();
                        db.write(&batch).expect("stored").sequence.get()
                    };
                    (0..batches).map(write).collect::<Vec<u64>>()
                })
            };
            let writers: Vec<_> = (0..threads).map(write).collect();
            writers.into_iter().flat_map(|writer| writer.join().expect("no panic")).collect()
        });
        sequences.sort_unstable();
        assert!(sequences.into_iter().eq(1..=u64::from(threads * batches)));
        db.close().expect("closes");
        let db = Db::builder(&dir).strict(true).open().expect("opens again");
        assert_eq!(points(&db, "shared").len(), (threads * batches) as usize);
        assert_eq!(db.series(&Selector::all()).expect("readable").len(), 1 + threads as usize * 4);
    }
}

#[test]
fn a_batch_may_ask_for_more_durability_but_not_for_less() {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |own: Durability, asked| {
        let db = Db::builder(dir.path()).durability(own).open().expect("opens");
        let batch: WriteBatch = [(key("m"), Point::new(NOW, 1))].into_iter().collect();
        db.write(&batch.with_durability(asked)).expect("stored").durability
    };
    assert_eq!(write(Durability::Sync, Durability::Buffered), Durability::Sync);
    assert_eq!(write(Durability::Buffered, Durability::Sync), Durability::Sync);
    assert_eq!(write(Durability::Buffered, Durability::Buffered), Durability::Buffered);
}

#[test]
fn files_that_never_became_true_are_removed_at_open() {
    let dir = tempfile::tempdir().expect("a directory");
    Db::open(dir.path()).expect("opens").close().expect("closes");
    let drafts = ["FORMAT.tmp", "wal/000009.log.tmp"].map(|name| dir.path().join(name));
    for draft in &drafts {
        write(draft, b"half");
    }
    Db::open(dir.path()).expect("opens").close().expect("closes");
    assert!(drafts.iter().all(|draft| is_missing(draft)));
}

#[test]
fn settings_and_directories_that_cannot_work_are_refused() {
    assert_eq!(Db::open("").expect_err("no name").kind(), ErrorKind::InvalidInput);
    let dir = tempfile::tempdir().expect("a directory");
    let interval = |millis| Durability::Interval(Duration::from_millis(millis));
    for durability in [interval(9), interval(60_001)] {
        let error = Db::builder(dir.path()).durability(durability).open().expect_err("out of range");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    write(&dir.path().join("letter.txt"), b"dear");
    let error = Db::open(dir.path()).expect_err("somebody else's directory");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("letter.txt"), "{error}");
}

#[test]
fn damage_is_told_set_aside_and_refused_when_strict() {
    // Method: three batches, a bit of the first flipped on the real disk.
    let dir = tempfile::tempdir().expect("a directory");
    let db = Db::open(dir.path()).expect("opens");
    for metric in ["a", "b", "c"] {
        db.insert(&key(metric), Point::new(NOW, 1)).expect("stored");
    }
    // What a power cut would leave: closing would move everything from the log into segments.
    let copy = tempfile::tempdir().expect("a directory");
    for file in ["FORMAT", "MANIFEST", "wal/000001.log"] {
        write(&copy.path().join(file), &read(&dir.path().join(file)));
    }
    let dir = copy;
    let log = dir.path().join("wal/000001.log");
    let mut bytes = read(&log);
    bytes[100] ^= 4;
    write(&log, &bytes);
    let error = Db::builder(dir.path()).strict(true).open().expect_err("damaged");
    assert!(error.is_corruption() && error.to_string().contains("wal/000001.log at 48"), "{error}");
    assert_eq!(read(&log), bytes, "nothing was touched");
    let db = Db::open(dir.path()).expect("the rest is served");
    assert!(!db.recovery().clean && !db.recovery().damage.is_empty(), "{:?}", db.recovery());
    assert_eq!((values(&db, "a"), values(&db, "b").len(), values(&db, "c").len()), (vec![], 1, 1));
    db.insert(&key("a"), Point::new(NOW, 2)).expect("the lost series can be written again");
    db.close().expect("closes");
    let db = Db::builder(dir.path()).strict(true).open().expect("the mended log is sound");
    assert_eq!(values(&db, "a"), [Value::Int(2)]);
    assert!(!read(&dir.path().join("quarantine/000001.log.48")).is_empty(), "the damaged bytes are kept");
}

#[allow(clippy::disallowed_methods, reason = "a test harms files behind the database's back")]
fn write(path: &std::path::Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("writable");
    std::fs::write(path, bytes).expect("writable");
}

#[allow(clippy::disallowed_methods, reason = "a test looks at files behind the database's back")]
fn read(path: &std::path::Path) -> Vec<u8> {
    std::fs::read(path).expect("readable")
}

#[allow(clippy::disallowed_methods, reason = "a test looks at files behind the database's back")]
fn is_missing(path: &std::path::Path) -> bool {
    !path.exists()
}
