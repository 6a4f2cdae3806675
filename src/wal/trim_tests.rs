//! The log of which the front is stored elsewhere: rotated, trimmed, replayed from a sequence and a floor on. Method:
//! the test plays the part of the manifest, which says what is stored elsewhere.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::env::disk::Disk;
use crate::env::faulty::{Fault, FaultyDisk, Image, Trouble};
use crate::env::layout;
use crate::error::{Error, ErrorKind, Result};
use crate::model::durability::{Durability, Sequence};
use crate::model::limits::LOG_NUMBER_MAX;
use crate::wal::format::Payload;
use crate::wal::tests::{DIR, LINEAGE, append, path, payload, quarantined, read_from, written};
use crate::wal::{Replay, Wal};

/// A log that goes on behind what was replayed.
fn go_on(disk: &FaultyDisk, replay: &Replay) -> Wal {
    Wal::new(Arc::new(disk.clone()), Path::new(DIR), LINEAGE, 400, Durability::Sync, replay)
}

fn numbers(disk: &FaultyDisk) -> Vec<u64> {
    let names = disk.list(&Path::new(DIR).join(layout::WAL)).expect("the folder is there");
    names.iter().filter_map(|name| layout::log_number(name)).collect()
}

/// The next operation of this disk goes wrong, as `what` says.
fn next_fails(disk: &FaultyDisk, what: Trouble) {
    let _same = disk.clone().with_fault(Fault { at: disk.operations() + 1, what });
}

fn kind<T>(result: &Result<T>) -> Option<ErrorKind> {
    result.as_ref().err().map(Error::kind)
}

#[test]
fn what_is_stored_elsewhere_is_neither_replayed_nor_missed() {
    // Method: a log replayed from every sequence, also from those behind its end; it ends in order or is torn off.
    for close in [true, false] {
        for from in 0..=15 {
            let disk = written(12, 400, close);
            let (sequences, replay) = read_from(&disk, from, 0, true).expect("sound");
            assert_eq!(sequences, (from + 1..=12).collect::<Vec<_>>());
            assert_eq!((replay.last, replay.sealed), (Sequence(from.max(12)), close));
            let kept: Vec<u64> = replay.files.iter().map(|file| file.number).collect();
            assert_eq!(kept, numbers(&disk), "what is listed is there");
            for file in &replay.files {
                assert_eq!(file.bytes, disk.read(&path(file.number), u64::MAX).expect("it is there").len() as u64);
            }
            let mut wal = go_on(&disk, &replay);
            assert_eq!(wal.bytes(), bytes_of(&replay));
            append(&mut wal, from.max(12) + 1);
            wal.close().expect("a sound disk");
            let (sequences, _) = read_from(&disk, from, 0, true).expect("sound");
            assert_eq!(sequences, (from + 1..=from.max(12) + 1).collect::<Vec<_>>());
        }
    }
}

#[test]
fn files_below_the_floor_are_removed_unread_and_a_hole_behind_from_is_told_once() {
    // Goal: leftovers count for nothing, whatever stands in them, but nothing behind `from` may be missing.
    let disk = written(12, 400, true);
    let files = numbers(&disk);
    disk.damage(&path(1), |bytes| bytes.fill(0xff));
    let (first, _) = read_from(&written(12, 400, true), 0, 2, false).expect("served");
    let first = first[0];
    assert!(first > 2 && files.len() >= 3, "the first file holds some batches, and there are others");

    let (sequences, replay) = read_from(&disk, first - 1, 2, true).expect("nothing is missing");
    assert_eq!(sequences, (first..=12).collect::<Vec<_>>());
    assert_eq!((numbers(&disk), quarantined(&disk).len()), (files[1..].to_vec(), 0));
    assert_eq!(replay.files.len(), files.len() - 1);
    let disk = disk.after_power_cut(Image::Nothing);
    assert_eq!(numbers(&disk), files[1..], "the folder was synced");

    let refused = kind(&read_from(&disk, first - 2, 2, true));
    assert_eq!(refused, Some(ErrorKind::Corruption), "strict refuses a hole");
    let (again, replay) = read_from(&disk, first - 3, 2, false).expect("served");
    let told = format!("wal/000002.log: batches {} to {} are missing", first - 2, first - 1);
    assert_eq!((&again, &replay.damage), (&sequences, &vec![told]));
    let (again, replay) = read_from(&disk, first - 3, 2, true).expect("told once");
    assert_eq!((&again, replay.damage.len()), (&sequences, 0));
    let (again, _) =
        read_from(&disk, first - 2, 2, true).expect("a gap may begin before what is stored elsewhere ends");
    assert_eq!(again, sequences);
}

#[test]
fn strict_removes_nothing_before_it_refuses() {
    let disk = written(12, 400, true);
    let before = numbers(&disk);
    disk.damage(&path(3), |bytes| bytes[100] ^= 1);
    assert_eq!(kind(&read_from(&disk, 4, 2, true)), Some(ErrorKind::Corruption));
    assert_eq!(numbers(&disk), before);
}

#[test]
fn numbers_go_on_from_the_floor() {
    let disk = written(3, 4_096, true);
    let (sequences, replay) = read_from(&disk, 9, 50, true).expect("sound");
    assert_eq!((sequences, replay.next_number, replay.last, replay.sealed), (vec![], 50, Sequence(9), true));
    assert_eq!((numbers(&disk), bytes_of(&replay)), (vec![], 0));
    let mut wal = go_on(&disk, &replay);
    assert_eq!(wal.rotate().expect("nothing to do"), 49);
    append(&mut wal, 10);
    assert_eq!(wal.rotate().expect("a sound disk"), 50);
    assert_eq!(kind(&read_from(&disk, 9, LOG_NUMBER_MAX + 1, true)), Some(ErrorKind::Corruption));
}

#[test]
fn a_flipped_bit_in_a_half_stored_log_loses_at_most_its_own_batch() {
    // Method: as for a whole log, replayed from the middle of a file.
    let sound = written(12, 400, true);
    for number in numbers(&sound) {
        for at in 0..sound.read(&path(number), u64::MAX).expect("it is there").len() {
            let disk = sound.after_power_cut(Image::All);
            disk.damage(&path(number), |bytes| bytes[at] ^= 1 << (at % 8));
            let told = format!("file {number}, byte {at}");
            let (sequences, replay) = read_from(&disk, 6, 0, false).unwrap_or_else(|error| panic!("{told}: {error}"));
            assert!(sequences.len() == 6 || (sequences.len() == 5 && !replay.damage.is_empty()), "{told}");
            let (again, replay) = read_from(&disk, 6, 0, true).unwrap_or_else(|error| panic!("{told}: {error}"));
            assert_eq!((again, replay.last), (sequences, Sequence(12)), "{told}: a mended log is sound");
        }
    }
}

#[test]
fn trimming_gives_space_back_also_that_of_replayed_files() {
    let disk = written(12, 400, true);
    let (_, replay) = read_from(&disk, 0, 0, true).expect("sound");
    let mut wal = go_on(&disk, &replay);
    append(&mut wal, 13);
    let before = wal.bytes();
    wal.trim(3).expect("a sound disk");
    let removed: u64 = replay.files.iter().filter(|file| file.number < 3).map(|file| file.bytes).sum();
    assert!(removed > 0);
    assert_eq!(wal.bytes(), before - removed);
    let floor = wal.rotate().expect("a sound disk") + 1;
    assert_eq!(numbers(&disk), (3..floor).collect::<Vec<_>>());
    wal.trim(floor).expect("a sound disk");
    assert_eq!((wal.bytes(), numbers(&disk.after_power_cut(Image::Nothing))), (0, vec![]));
    append(&mut wal, 14);
    wal.close().expect("a sound disk");
    assert_eq!(read_from(&disk, 13, floor, true).expect("sound").0, [14]);
}

#[test]
fn a_removal_that_fails_is_tried_again_and_ends_nothing() {
    let disk = written(12, 400, true);
    let (_, replay) = read_from(&disk, 0, 0, true).expect("sound");
    let mut wal = go_on(&disk, &replay);
    let before = wal.bytes();
    next_fails(&disk, Trouble::Fail(io::ErrorKind::Other));
    assert_eq!(kind(&wal.trim(3)), Some(ErrorKind::Io));
    assert_eq!(numbers(&disk)[..2], [1, 3], "the next one was removed");
    assert_eq!(wal.bytes(), before - replay.files[1].bytes);
    append(&mut wal, 13);
    // One that somebody else has removed is gone all the same.
    disk.lose(&path(1));
    wal.trim(3).expect("a sound disk");
    assert_eq!(numbers(&disk)[0], 3);

    let disk = disk.after_power_cut(Image::All);
    let (_, replay) = read_from(&disk, 12, 3, true).expect("sound");
    let mut wal = go_on(&disk, &replay);
    // The removal itself works, and the sync of the folder fails.
    let fault = Fault { at: disk.operations() + 2, what: Trouble::Fail(io::ErrorKind::Other) };
    let disk = disk.with_fault(fault);
    wal.trim(4).expect("what comes back is skipped");
    let back = disk.after_power_cut(Image::Nothing);
    assert_eq!(numbers(&back)[0], 3, "it does come back");
    assert_eq!(read_from(&back, 12, 4, true).expect("sound").0, [13]);
    assert_eq!(numbers(&back)[0], 4);
    append(&mut wal, 14);
}

#[test]
fn leftovers_that_cannot_be_removed_do_not_keep_the_log_from_opening() {
    let disk = written(12, 400, true);
    next_fails(&disk, Trouble::FailForEver(io::ErrorKind::Other));
    let (sequences, replay) = read_from(&disk, 12, 3, true).expect("served");
    assert_eq!((sequences, replay.files[0].number), (vec![], 3));
    assert_eq!(numbers(&disk)[0], 1);
}

#[test]
fn a_rotation_that_fails_leaves_the_log_usable() {
    let disk = written(0, 400, false);
    let mut wal = go_on(&disk, &Replay { next_number: 1, ..Replay::default() });
    append(&mut wal, 1);
    wal.sync().expect("a sound disk");
    next_fails(&disk, Trouble::Fail(io::ErrorKind::StorageFull));
    assert_eq!(kind(&wal.rotate()), Some(ErrorKind::NoSpace));
    append(&mut wal, 2);
    assert_eq!(wal.rotate().expect("a sound disk"), 1);
    assert_eq!(wal.rotate().expect("nothing to do"), 1);
    append(&mut wal, 3);
    assert_eq!(numbers(&disk), [1, 2]);
    assert_eq!(read_from(&disk, 0, 0, true).expect("sound").0, [1, 2, 3]);
}

#[test]
fn a_poisoned_log_takes_nothing_more_and_is_sealed_all_the_same() {
    let disk = written(0, 400, false);
    let mut wal = go_on(&disk, &Replay { next_number: 1, ..Replay::default() });
    append(&mut wal, 1);
    wal.rotate().expect("a sound disk");
    append(&mut wal, 2);
    wal.poison(&Error::new(ErrorKind::Io, "the manifest"));
    let payload = Payload::new(payload(3)).expect("short");
    let refused = wal.append([(Sequence(3), &payload)].into_iter());
    assert!(refused.as_ref().is_err_and(|error| error.to_string().contains("the manifest")), "{refused:?}");
    assert_eq!(kind(&refused), Some(ErrorKind::Failed));
    assert_eq!((kind(&wal.trim(2)), kind(&wal.rotate())), (Some(ErrorKind::Failed), Some(ErrorKind::Failed)));
    wal.sync().expect("what was accepted is made durable");
    assert_eq!(read_from(&disk.after_power_cut(Image::Nothing), 0, 0, true).expect("sound").0, [1, 2]);
    wal.close().expect("nothing is lost");
    let (sequences, replay) = read_from(&disk, 0, 0, true).expect("sound");
    assert_eq!((sequences, replay.sealed), (vec![1, 2], true));
    assert_eq!(kind(&wal.append([(Sequence(3), &payload)].into_iter())), Some(ErrorKind::Closed));
}

/// What the manifest of a crashed log says, and what it may have lost.
#[derive(Default)]
struct History {
    from: u64,
    floor: u64,
    synced: u64,
    appended: u64,
}

/// Appends, rotates, "stores" and trims until the disk stops.
fn run(disk: &FaultyDisk) -> (History, Result<()>) {
    let mut history = History::default();
    if let Err(error) = disk.create_dir_all(&Path::new(DIR).join(layout::WAL)) {
        return (history, Err(Error::io("make the folder", error)));
    }
    let mut wal = go_on(disk, &Replay { next_number: 1, ..Replay::default() });
    let append = |wal: &mut Wal, history: &mut History| {
        let payload = Payload::new(payload(history.appended + 1)).expect("short");
        history.appended += 1;
        wal.append([(Sequence(history.appended), &payload)].into_iter())
    };
    let mut round = |history: &mut History| -> Result<()> {
        for _ in 0..7 {
            append(&mut wal, history)?;
        }
        wal.sync()?;
        history.synced = history.appended;
        append(&mut wal, history)?;
        let frozen = history.appended;
        let floor = wal.rotate()? + 1;
        history.synced = history.appended;
        // Writing goes on while the flush runs; then its manifest is true.
        append(&mut wal, history)?;
        (history.from, history.floor) = (frozen, floor);
        append(&mut wal, history)?;
        wal.trim(floor)
    };
    let outcome = (0..3).try_for_each(|_| round(&mut history));
    (history, outcome)
}

#[test]
fn nothing_that_is_not_stored_elsewhere_is_lost_by_a_power_cut_at_any_step() {
    // Goal: what was synced and is not stored elsewhere comes back, whatever the cut leaves of rotation and removal.
    let mut states = 0;
    for at in 1.. {
        let disk = FaultyDisk::default().with_fault(Fault { at, what: Trouble::Stop });
        let (History { from, floor, synced, appended }, outcome) = run(&disk);
        if !disk.is_stopped() {
            outcome.expect("a sound disk");
            break;
        }
        let images = (0..8).flat_map(|seed| [Image::Subset(seed), Image::Reordered(seed)]);
        for image in images.chain([Image::Nothing, Image::All]) {
            let told = format!("step {at}, {image:?}");
            let disk = disk.after_power_cut(image);
            if disk.list(&Path::new(DIR).join(layout::WAL)).is_err() {
                continue;
            }
            let (sequences, replay) =
                read_from(&disk, from, floor, true).unwrap_or_else(|error| panic!("{told}: {error}"));
            let last = replay.last.0;
            assert!((synced..=appended).contains(&last), "{told}: {last} of {synced} to {appended}");
            assert_eq!(sequences, (from + 1..=last).collect::<Vec<_>>(), "{told}");
            assert!(numbers(&disk).iter().all(|number| *number >= floor), "{told}: leftovers stay");
            let mut wal = go_on(&disk, &replay);
            append(&mut wal, last + 1);
            wal.sync().expect("a sound disk");
            let (sequences, _) = read_from(&disk.after_power_cut(Image::Nothing), from, floor, true).expect("sound");
            assert_eq!(sequences, (from + 1..=last + 1).collect::<Vec<_>>(), "{told}, writing on");
            states += 1;
        }
    }
    assert!(states > 500, "{states} states are too few");
}

fn bytes_of(replay: &Replay) -> u64 {
    replay.files.iter().map(|file| file.bytes).sum()
}
