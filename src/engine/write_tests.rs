//! The bounds of the queue, the group and the log, and what a panic in a commit leaves. Method: batches are queued by
//! hand, so that what others would do at the same time happens in one thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::health::Health;
use crate::engine::queue::Work;
use crate::engine::settings::Settings;
use crate::engine::simulation::batches::batch;
use crate::engine::simulation::{DIR, settings};
use crate::env::faulty::{Fault, FaultyDisk, Trouble};
use crate::error::ErrorKind;
use crate::model::batch::WriteBatch;
use crate::model::durability::{Durability, Sequence};
use crate::model::limits::{
    BATCH_POINTS_MAX, DIMENSION_VALUE_BYTES_MAX, DIMENSIONS_MAX, GROUP_BYTES_MAX, QUEUE_BYTES_MAX,
};
use crate::model::point::Point;
use crate::model::series::SeriesKey;
use crate::model::time::{TimeRange, Timestamp};

fn open(settings: Settings) -> Arc<Engine> {
    Engine::open(Arc::new(FaultyDisk::default()), Path::new(DIR), settings).expect("a sound disk")
}

fn sync() -> Settings {
    settings(Durability::Sync, 1 << 12)
}

fn key(metric: &str) -> SeriesKey {
    SeriesKey::new("A.B", metric, [("h", "x")]).expect("valid names")
}

/// A batch of about `bytes` bytes of payload.
fn heavy(bytes: usize) -> WriteBatch {
    // A float with all its bits takes 8 bytes, its tag and its time two more.
    let point = |each| (key("m"), Point::new(Timestamp::from_millis(each), 0.1));
    (0_i64..).take(bytes / 10).map(point).collect()
}

#[test]
fn a_group_is_no_larger_than_its_bound_and_never_empty() {
    let engine = open(sync());
    for bytes in [600 << 10, 600 << 10, 100 << 10, 100 << 10] {
        engine.enqueue(&heavy(bytes)).expect("fits");
    }
    let mut writer = engine.writer.lock();
    let sizes: Vec<usize> = std::iter::repeat_with(|| writer.take_group().len()).take(3).collect();
    assert_eq!(sizes, [1, 3, 0], "one that fits alone, then three that fit together");
    const { assert!(GROUP_BYTES_MAX == 1 << 20) };
}

#[test]
fn a_queue_that_is_full_refuses_and_is_empty_again_after_its_commit() {
    let engine = open(Settings { head_bytes_max: usize::MAX, log_bytes_max: u64::MAX, ..sync() });
    let batch = heavy(900_000);
    let mut tickets = Vec::new();
    let error = loop {
        match engine.enqueue(&batch) {
            Ok(ticket) => tickets.push(ticket),
            Err(error) => break error,
        }
        assert!(tickets.len() * 900_000 < 2 * QUEUE_BYTES_MAX, "the bound must come");
    };
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    assert!(tickets.len() * 900_000 > QUEUE_BYTES_MAX / 2);
    for ticket in tickets {
        engine.take_turns(engine.writer.lock(), ticket).expect("committed");
    }
    engine.enqueue(&batch).expect("there is room again");
}

#[test]
fn the_log_never_grows_past_its_bound() {
    // Goal: a flush makes room before the bound is met, with what older files hold counted. Method: many times the bound.
    let engine = open(Settings { log_bytes_max: 4_000, ..settings(Durability::Sync, 1 << 10) });
    // By hand, as a writer would flush what is full.
    let write = |number| {
        let ticket = engine.enqueue(&batch(number, 0))?;
        engine.take_turns(engine.writer.lock(), ticket)
    };
    let refused = (1..200).find_map(|number| write(number).err()).expect("the log fills");
    assert_eq!(refused.kind(), ErrorKind::Overloaded);
    let log = engine.commit.lock().bytes();
    // The header and the seal of one more file may come on top.
    assert!((3_000..=4_080).contains(&log), "{log} bytes of log");
    for number in 200..400 {
        engine.write(&batch(number, 0)).expect("a flush makes room");
        let log = engine.commit.lock().bytes();
        assert!(log <= 4_080, "{log} bytes of log");
    }
    assert!(engine.stats().flushes > 3);
}

#[test]
fn a_log_that_is_full_is_flushed_by_its_writer_also_after_a_removal_that_failed() {
    // Goal: neither an endless loop nor a refusal for ever. Method: removing old files of the log fails now and then.
    let settings = Settings { log_bytes_max: 4_000, ..settings(Durability::Sync, 1 << 10) };
    for at in 20..200 {
        let fault = Fault { at, what: Trouble::Fail(std::io::ErrorKind::Other) };
        let disk = FaultyDisk::default().with_fault(fault);
        let Ok(engine) = Engine::open(Arc::new(disk), Path::new(DIR), settings.clone()) else { continue };
        let refused = (1..40).filter_map(|number| engine.write(&batch(number, 0)).err());
        let kinds: Vec<ErrorKind> = refused.map(|error| error.kind()).collect();
        assert!(kinds.iter().all(|kind| *kind != ErrorKind::Overloaded), "{fault:?}: {kinds:?}");
        if engine.health() == Health::Good {
            assert!(engine.commit.lock().bytes() <= 4_080, "{fault:?}");
        }
    }
}

#[test]
fn deletions_alone_do_not_fill_the_log() {
    let engine = open(Settings { log_bytes_max: 8_000, ..settings(Durability::Sync, 1 << 10) });
    engine.write(&batch(1, 0)).expect("stored");
    let all = SeriesKey::new("SIM.CRASH", "all", [("host", "a")]).expect("valid names");
    for _ in 0..500 {
        engine.delete(&all, TimeRange::ALL).expect("deleted");
    }
    assert!(engine.commit.lock().bytes() <= 8_000);
}

#[test]
fn a_series_that_is_named_again_before_it_is_forgotten_keeps_its_number() {
    // Method: between queueing and forgetting, a batch names the series; behind it, before that is visible, another.
    let engine = open(sync());
    let one = |time| [(key("a"), Point::new(Timestamp::from_millis(time), 1))].into_iter().collect::<WriteBatch>();
    let dead = Point { expires_at: Some(Timestamp::EPOCH), ..Point::new(Timestamp::EPOCH, 1) };
    engine.write(&[(key("a"), dead)].into_iter().collect()).expect("stored");
    engine.flush().expect("nothing is left of it");
    let id = engine.view.read().catalog.id(&key("a")).expect("still known");
    let forget = engine.writer.lock().enqueue_turn(Work::Forget(vec![id])).expect("queued");
    let first = engine.enqueue(&one(1)).expect("queued");
    engine.take_turns(engine.writer.lock(), forget).expect("forgotten");
    let second = engine.enqueue(&one(2)).expect("queued");
    for ticket in [first, second] {
        engine.take_turns(engine.writer.lock(), ticket).expect("committed");
    }
    assert_eq!(engine.points(&key("a"), TimeRange::ALL).expect("readable").count(), 2);
    assert_eq!(engine.view.read().catalog.len(), 1);
}

#[test]
fn the_series_cap_counts_what_is_still_queued() {
    let engine = open(Settings { series_max: 1, ..sync() });
    let one = |metric| [(key(metric), Point::new(Timestamp::EPOCH, 1))].into_iter().collect::<WriteBatch>();
    let ticket = engine.enqueue(&one("a")).expect("the first");
    assert_eq!(engine.enqueue(&one("b")).map_err(|error| error.kind()), Err(ErrorKind::TooManySeries));
    engine.take_turns(engine.writer.lock(), ticket).expect("committed");
    engine.write(&one("a")).expect("known");
}

#[test]
fn a_batch_of_too_many_long_names_is_refused_before_it_is_encoded() {
    let value = "v".repeat(DIMENSION_VALUE_BYTES_MAX);
    let long = |number: usize| {
        let dimensions = (0..DIMENSIONS_MAX).map(|each| (format!("d{each}"), value.clone()));
        SeriesKey::new("A.B", format!("m{number}"), dimensions).expect("valid names")
    };
    let batch =
        |count| (0..count).map(|number| (long(number), Point::new(Timestamp::EPOCH, 1))).collect::<WriteBatch>();
    let engine = open(Settings { log_file_bytes: 1 << 12, ..sync() });
    let error = engine.write(&batch(2_500)).expect_err("over 16 MiB of names");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("split the batch"), "{error}");
    engine.write(&batch(1_000)).expect("half of it fits");
    let short = |number: usize| {
        let dimensions = ["host", "disk", "zone", "n"].map(|name| (name, number.to_string()));
        (SeriesKey::new("A.B", "short", dimensions).expect("valid names"), Point::new(Timestamp::EPOCH, 1))
    };
    engine.write(&(0..BATCH_POINTS_MAX).map(short).collect()).expect("ordinary names fit, as many as points");
}

#[test]
fn a_panic_in_a_commit_ends_writing_and_nobody_waits_for_ever() {
    // Method: a sequence that cannot follow makes the log's own assertion fail, as a bug of ours would.
    let engine = open(sync());
    engine.write(&batch(1, 0)).expect("stored");
    engine.writer.lock().last = Sequence(7);
    let behind = engine.enqueue(&batch(3, 0)).expect("queued");
    let also_behind = engine.enqueue(&batch(4, 0)).expect("queued");
    let panicked = catch_unwind(AssertUnwindSafe(|| engine.write(&batch(2, 0))));
    assert!(panicked.is_err(), "the bug shows");
    for ticket in [behind, also_behind] {
        let outcome = engine.take_turns(engine.writer.lock(), ticket).map_err(|error| error.kind());
        assert!(matches!(outcome, Err(ErrorKind::Unknown | ErrorKind::Failed)), "{outcome:?}");
    }
    let after = engine.write(&batch(5, 0)).map_err(|error| error.kind());
    assert_eq!(after.map(|_| ()), Err(ErrorKind::Failed));
    let all = SeriesKey::new("SIM.CRASH", "all", [("host", "a")]).expect("valid names");
    assert_eq!(engine.points(&all, TimeRange::ALL).expect("no strict volume").count(), 1, "reads go on");
}
