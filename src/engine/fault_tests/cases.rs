//! Single faults, and what is said of them.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::engine::simulation::batches::batch;
use crate::engine::simulation::model::{Fate, History};
use crate::engine::simulation::{Act, DIR, Run, Workload, settings};
use crate::env::faulty::{Fault, FaultyDisk, Image, Trouble};
use crate::error::ErrorKind;
use crate::model::durability::Durability;

/// A workload whose acts are done one by one.
fn workload(name: &'static str, durability: Durability, log_file_bytes: u64) -> Workload {
    Workload { name, durability, log_file_bytes, head_bytes_max: 1 << 20, acts: Vec::new() }
}

#[test]
fn a_failed_sync_ends_writing_and_reads_go_on() {
    // Goal: no acknowledgement after a failed sync, until the volume is opened anew.
    let workload = workload("poison", Durability::Sync, 1 << 12);
    let (mut run, opened) = Run::start(FaultyDisk::default(), &workload, History::default());
    opened.expect("a sound disk");
    run.act(Act::Write(0));
    // The next write's own operation is the first, its sync the second.
    let at = run.disk.operations() + 2;
    run.disk = run.disk.clone().with_fault(Fault { at, what: Trouble::Fail(io::ErrorKind::Other) });
    run.act(Act::Group(3));
    assert_eq!(run.history.fates()[1..], [Fate::Unknown; 3], "all that waited for this sync");
    run.act(Act::Write(0));
    run.act(Act::Sync);
    assert_eq!(run.history.fates()[4], Fate::Refused);
    let engine = run.engine.as_ref().expect("open");
    assert_eq!(engine.sync().map_err(|error| error.kind()), Err(ErrorKind::Failed));
    assert_eq!(engine.close().map_err(|error| error.kind()), Err(ErrorKind::Failed), "close tells it too");
    run.check(true).expect("reads go on");
    run.act(Act::Reopen);
    run.adopt().expect("what was acknowledged is there");
    run.act(Act::Write(0));
    assert_eq!(run.history.fates().last(), Some(&Fate::Durable), "writing goes on after opening anew");
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_space() {
    // Goal: `NoSpace`, nothing stored, and writing goes on by itself once the disk has room.
    let workload = workload("full", Durability::Sync, 1 << 9);
    let (mut run, opened) = Run::start(FaultyDisk::default(), &workload, History::default());
    opened.expect("a sound disk");
    run.act(Act::Write(0));
    let at = run.disk.operations() + 1;
    run.disk = run.disk.clone().with_fault(Fault { at, what: Trouble::Fail(io::ErrorKind::StorageFull) });
    let engine = run.engine.clone().expect("open");
    let refused = engine.write(&batch(99, 0)).map_err(|error| error.kind());
    assert_eq!(refused.map(|_| ()), Err(ErrorKind::NoSpace));
    run.act(Act::Write(0));
    assert_eq!(run.history.fates(), [Fate::Durable; 2]);
    run.check(true).expect("the refused batch is not there");
}

#[test]
fn an_interval_database_syncs_without_being_asked() {
    // Method: write with an interval of 10 ms, then look again and again, within a bound, at what a power cut would
    // leave.
    let durability = Durability::Interval(Duration::from_millis(10));
    let workload = workload("interval", durability, 1 << 12);
    let (mut run, opened) = Run::start(FaultyDisk::default(), &workload, History::default());
    opened.expect("a sound disk");
    run.act(Act::Write(0));
    assert_eq!(run.history.fates(), [Fate::Written]);
    let (_never, nothing) = crossbeam_channel::bounded::<()>(0);
    let is_durable = |_: &u32| {
        assert!(nothing.recv_timeout(Duration::from_millis(5)).is_err());
        let sync = Workload { durability: Durability::Sync, ..workload.clone() };
        let (again, opened) = Run::start(run.disk.after_power_cut(Image::Nothing), &sync, run.history.clone());
        opened.expect("a sound disk");
        again.check(false).expect("a prefix") == [true]
    };
    assert!((0..2_000).find(is_durable).is_some(), "nothing was synced within 10 s");
}

#[test]
fn a_full_disk_at_opening_leaves_reads_and_heals_with_the_next_opening() {
    // Goal: a start after a kill serves what was acknowledged though nothing can be mended, and loses nothing of it.
    let workload = workload("full at open", Durability::Sync, 1 << 12);
    let (mut run, opened) = Run::start(FaultyDisk::default(), &workload, History::default());
    opened.expect("a sound disk");
    run.act(Act::Write(0));
    let cut = run.disk.after_power_cut(Image::All);
    let settings = settings(Durability::Sync, 1 << 12);
    let open = |disk: &FaultyDisk| {
        let disk = Arc::new(disk.clone());
        Engine::open(disk, Path::new(DIR), settings.clone()).expect("opens")
    };
    // The folders are synced before anything is mended; only what writes fails.
    let syncs_at_open = 3;
    let full = Trouble::FailForEver(io::ErrorKind::StorageFull);
    let disk = cut.with_fault(Fault { at: syncs_at_open + 1, what: full });
    let engine = open(&disk);
    assert!(engine.recovery().read_only.is_some(), "{:?}", engine.recovery());
    let refused = engine.write(&batch(2, 0)).map_err(|error| error.kind());
    assert_eq!(refused.map(|_| ()), Err(ErrorKind::Failed));
    assert_eq!(engine.recovery().points, batch(1, 0).len() as u64);
    engine.close().expect("nothing was lost");
    let healed = open(&disk.after_power_cut(Image::Nothing));
    assert_eq!((healed.recovery().read_only.clone(), healed.recovery().points), (None, batch(1, 0).len() as u64));
    healed.write(&batch(2, 0)).expect("writing goes on");
}
