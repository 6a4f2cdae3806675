//! The log against damage: every byte flipped, every length cut, files lost or swapped. Method: write a small log on a
//! disk in memory, harm it, replay it, and hold what comes back against what was written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::env::disk::Disk;
use crate::env::faulty::{Fault, FaultyDisk, Image, Trouble};
use crate::env::layout;
use crate::error::{ErrorKind, Result};
use crate::model::durability::{Durability, Sequence};
use crate::wal::format::{FILE_HEADER_BYTES, FRAME_HEADER_BYTES, Kind, Payload, encode_file_header, put_frame};
use crate::wal::{Replay, Wal, replay};

pub(super) const LINEAGE: [u8; 16] = [7; 16];
pub(super) const DIR: &str = "v";

pub(super) fn payload(sequence: u64) -> Vec<u8> {
    // A few lengths, none of them aligned, all with a content of their own.
    let len = 5 + usize::try_from(sequence % 4).expect("small") * 13;
    (0..len).map(|at| u8::try_from((sequence % 1_000 * 31 + at as u64) % 251).expect("below 251")).collect()
}

pub(super) fn path(number: u64) -> PathBuf {
    Path::new(DIR).join(layout::WAL).join(layout::log_name(number))
}

fn new_log(disk: &FaultyDisk, file_bytes: u64) -> Wal {
    new_log_of(disk, file_bytes, Durability::Sync)
}

fn new_log_of(disk: &FaultyDisk, file_bytes: u64, durability: Durability) -> Wal {
    let empty = Replay { next_number: 1, ..Replay::default() };
    Wal::new(Arc::new(disk.clone()), Path::new(DIR), LINEAGE, file_bytes, durability, &empty)
}

pub(super) fn append(wal: &mut Wal, sequence: u64) {
    let payload = Payload::new(payload(sequence)).expect("short");
    wal.append([(Sequence(sequence), &payload)].into_iter()).expect("a sound disk");
}

/// A log of `batches` batches, each synced, in files of `file_bytes`; closed if `close`.
pub(super) fn written(batches: u64, file_bytes: u64, close: bool) -> FaultyDisk {
    let disk = FaultyDisk::default();
    disk.create_dir_all(&Path::new(DIR).join(layout::WAL)).expect("a sound disk");
    let mut wal = new_log(&disk, file_bytes);
    for sequence in 1..=batches {
        append(&mut wal, sequence);
        wal.sync().expect("a sound disk");
    }
    if close {
        wal.close().expect("a sound disk");
    }
    disk
}

/// Replays; gives the sequences that came back, each checked to be exactly what was written.
fn read(disk: &FaultyDisk, strict: bool) -> Result<(Vec<u64>, Replay)> {
    read_from(disk, 0, 0, strict)
}

/// The same of what is not stored elsewhere.
pub(super) fn read_from(disk: &FaultyDisk, from: u64, floor: u64, strict: bool) -> Result<(Vec<u64>, Replay)> {
    let mut sequences = Vec::new();
    let replay = replay(disk, Path::new(DIR), LINEAGE, Sequence(from), floor, strict, &mut |sequence, bytes| {
        assert_eq!(bytes, payload(sequence.0), "a wrong value came back for batch {sequence}");
        sequences.push(sequence.0);
        Ok(())
    })?;
    assert!(sequences.is_sorted_by(|a, b| a < b), "batches come in order, each once: {sequences:?}");
    Ok((sequences, replay))
}

pub(super) fn quarantined(disk: &FaultyDisk) -> Vec<String> {
    disk.list(&Path::new(DIR).join(layout::QUARANTINE)).unwrap_or_default()
}

/// A log whose last run was killed, opened once since: mended, and not written to.
fn mended(batches: u64, file_bytes: u64) -> FaultyDisk {
    let disk = written(batches, file_bytes, false);
    assert!(!read(&disk, true).expect("sound").1.sealed);
    disk
}

#[test]
fn golden_bytes_of_a_log() {
    // Goal: header and frame never change; docs/format.md explains these bytes.
    let header = encode_file_header(LINEAGE, 3);
    let mut golden = b"EBBTIDE\0\x01\0\x01\0".to_vec();
    golden.extend([0xcf, 0x45, 0xc1, 0xbd]);
    golden.extend([7; 16]);
    golden.extend([3, 0, 0, 0, 0, 0, 0, 0]);
    golden.extend([0; 8]);
    assert_eq!(header.as_slice(), golden);

    let mut frame = Vec::new();
    let place = crate::codec::checksum::Place { lineage: LINEAGE, file: 3, offset: 48 };
    let payload = Payload::new(b"ebb".to_vec()).expect("short");
    put_frame(&mut frame, place, Kind::Batch, Sequence(9), 48, &payload);
    let mut golden = vec![1, 0, 0, 0, 3, 0, 0, 0];
    golden.extend([0xae, 0x18, 0xfe, 0x5a]);
    golden.extend([0x4b, 0xa6, 0x36, 0x45]);
    golden.extend([9, 0, 0, 0, 0, 0, 0, 0]);
    golden.extend([48, 0, 0, 0, 0, 0, 0, 0]);
    golden.extend(b"ebb\0\0\0\0\0");
    assert_eq!(frame, golden);
}

#[test]
fn a_log_comes_back_and_a_seal_makes_the_stop_clean() {
    for close in [true, false] {
        let disk = written(20, 400, close);
        let (sequences, replay) = read(&disk, true).expect("sound");
        assert_eq!(sequences, (1..=20).collect::<Vec<_>>());
        assert_eq!((replay.sealed, replay.last, replay.torn_bytes), (close, Sequence(20), 0));
        let (again, replay) = read(&disk, true).expect("sound");
        assert_eq!((again.len(), replay.sealed), (20, true), "an open end is sealed by the first replay");
    }
}

#[test]
fn one_flipped_bit_anywhere_loses_at_most_its_own_batch_and_is_told() {
    // Goal: no panic, no wrong value, no silent loss. Method: one bit of each byte of each file of a log, sealed by the
    // run that wrote it or mended after a kill.
    flip_every_byte(&written(12, 400, true));
    flip_every_byte(&mended(12, 400));
}

fn flip_every_byte(sound: &FaultyDisk) {
    let files = (1_u64..100).filter(|number| sound.read(&path(*number), u64::MAX).is_ok()).count() as u64;
    assert!(files >= 3, "the log spans files");
    for number in 1..=files {
        let len = sound.read(&path(number), u64::MAX).expect("it is there").len();
        for at in 0..len {
            let disk = sound.after_power_cut(Image::All);
            disk.damage(&path(number), |bytes| bytes[at] ^= 1 << (at % 8));
            let told = format!("file {number}, byte {at}");
            let strict = read(&disk.after_power_cut(Image::All), true).map_err(|error| error.kind());
            let (sequences, replay) = read(&disk, false).unwrap_or_else(|error| panic!("{told}: {error}"));
            let is_padding = sequences.len() == 12 && replay.damage.is_empty();
            assert!(is_padding || !replay.damage.is_empty(), "{told}: {} of 12 in silence", sequences.len());
            assert!(sequences.len() >= 11, "{told}: {sequences:?}, {:?}", replay.damage);
            assert_eq!(strict.is_err(), !is_padding, "{told}: strict refuses damage");
            assert_eq!(!quarantined(&disk).is_empty(), !is_padding, "{told}: damaged bytes are set aside");
            let (again, replay) = read(&disk, true).unwrap_or_else(|error| panic!("{told}: told twice: {error}"));
            assert_eq!((again, replay.damage.len()), (sequences, 0), "{told}: a mended log is sound");
        }
    }
}

#[test]
fn a_log_cut_anywhere_keeps_every_batch_before_the_cut() {
    // Goal: what stands before a cut is read; what a later file proves to be missing is told.
    let sound = written(12, 400, true);
    for number in 1..=2 {
        let len = sound.read(&path(number), u64::MAX).expect("it is there").len();
        for keep in 0..len {
            let disk = sound.after_power_cut(Image::All);
            disk.damage(&path(number), |bytes| bytes.truncate(keep));
            let (sequences, replay) = read(&disk, false).expect("served");
            let lost = 12 - sequences.len();
            assert!(lost == 0 || !replay.damage.is_empty(), "file {number} cut to {keep}: {lost} lost in silence");
            let (again, _) = read(&disk, true).expect("mended");
            assert_eq!(again, sequences);
        }
    }
}

#[test]
fn a_torn_end_is_cut_but_damage_in_what_was_durable_is_told() {
    // Goal: the mark in later frames tells the two apart. Method: an open log, one byte flipped in each frame in turn.
    let open = written(6, 4_096, false);
    let bytes = open.read(&path(1), u64::MAX).expect("it is there");
    let mut offset = FILE_HEADER_BYTES;
    for sequence in 1..=6 {
        let disk = open.after_power_cut(Image::All);
        disk.damage(&path(1), |bytes| bytes[offset + 33] ^= 1);
        let (sequences, replay) = read(&disk, false).expect("served");
        let expected: Vec<u64> = (1..=6).filter(|each| *each != sequence).collect();
        assert_eq!(sequences, expected);
        // Only the last frame has nothing behind it that vouches for it.
        assert_eq!(replay.damage.is_empty(), sequence == 6, "batch {sequence}: {:?}", replay.damage);
        assert_eq!(replay.torn_bytes > 0, sequence == 6);
        offset += 32 + payload(sequence).len().next_multiple_of(8);
    }
    assert!(bytes[offset..].iter().all(|byte| *byte == 0), "the walk above ends at the last frame");
}

#[test]
fn a_missing_file_and_a_foreign_file_are_told() {
    let lost = written(12, 400, true);
    lost.lose(&path(2));
    let (sequences, replay) = read(&lost, false).expect("served");
    assert!(sequences.len() < 12 && replay.damage[0].contains("are missing"), "{:?}", replay.damage);

    // A file of the same store under another number, as a misdirected copy would leave it.
    let swapped = written(12, 400, true);
    let other = swapped.read(&path(2), u64::MAX).expect("it is there");
    swapped.damage(&path(1), |bytes| *bytes = other);
    let (sequences, replay) = read(&swapped, false).expect("served");
    assert!(!sequences.contains(&1) && replay.damage.len() >= 2, "{:?}", replay.damage);
    assert_eq!(read(&written(3, 400, true), true).expect("sound").0.len(), 3);
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let disk = written(3, 4_096, true);
    let before = disk.read(&path(1), u64::MAX).expect("it is there");
    disk.damage(&path(1), |bytes| {
        bytes[8] = 2;
        bytes[12..16].fill(0);
        let checksum = crate::codec::checksum::of(&bytes[..FILE_HEADER_BYTES]);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    });
    let newer = disk.read(&path(1), u64::MAX).expect("it is there");
    assert_ne!(newer, before);
    assert_eq!(read(&disk, false).map(|_| ()).map_err(|error| error.kind()), Err(ErrorKind::Unsupported));
    assert_eq!(disk.read(&path(1), u64::MAX).expect("it is there"), newer, "nothing was touched");
}

#[test]
fn a_newer_file_is_refused_before_an_older_one_is_mended() {
    let disk = written(12, 400, true);
    disk.damage(&path(1), |bytes| bytes[100] ^= 1);
    let before = disk.read(&path(1), u64::MAX).expect("it is there");
    let last = (1..100).rfind(|number| disk.read(&path(*number), u64::MAX).is_ok()).expect("files");
    disk.damage(&path(last), |bytes| {
        bytes[8] = 2;
        bytes[12..16].fill(0);
        let checksum = crate::codec::checksum::of(&bytes[..FILE_HEADER_BYTES]);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    });
    assert_eq!(read(&disk, false).map(|_| ()).map_err(|error| error.kind()), Err(ErrorKind::Unsupported));
    assert_eq!(disk.read(&path(1), u64::MAX).expect("it is there"), before);
}

#[test]
fn whole_batches_behind_a_tear_are_set_aside_and_not_replayed() {
    // Method: three batches that no sync covered, the first of them torn.
    let disk = written(0, 4_096, false);
    let mut wal = new_log(&disk, 4_096);
    (1..=3).for_each(|sequence| append(&mut wal, sequence));
    disk.damage(&path(1), |bytes| bytes[FILE_HEADER_BYTES + 34] ^= 1);
    let (sequences, replay) = read(&disk, true).expect("a tear is no damage");
    assert_eq!((sequences, replay.torn_batches), (vec![], 2));
    assert!(replay.torn_bytes > 0 && !replay.sealed && replay.damage.is_empty());
    assert_eq!(quarantined(&disk), ["000001.log.48.torn"]);
    assert!(disk.read(&path(1), u64::MAX).is_err(), "a file that accounts for nothing is removed");
}

#[test]
fn frames_that_cannot_follow_are_damage() {
    // Method: a file by hand, with a batch twice and one with a sequence that nobody reaches.
    let disk = written(0, 4_096, false);
    let start = crate::codec::checksum::Place { lineage: LINEAGE, file: 1, offset: 0 };
    let mut file = encode_file_header(LINEAGE, 1).to_vec();
    for sequence in [1, 2, 2, u64::MAX, 3] {
        let durable = file.len() as u64;
        let payload = Payload::new(payload(sequence)).expect("short");
        put_frame(&mut file, start, Kind::Batch, Sequence(sequence), durable, &payload);
    }
    crate::env::disk::replace(&disk, &path(1), &file).expect("a sound disk");
    let (sequences, replay) = read(&disk, false).expect("served");
    assert_eq!((sequences, replay.damage.len(), replay.last), (vec![1, 2, 3], 2, Sequence(3)));
    assert!(replay.damage[0].contains("batch 2 cannot follow batch 2"), "{:?}", replay.damage);

    crate::env::disk::replace(&disk, &path(u64::MAX), &file).expect("a sound disk");
    assert_eq!(read(&disk, false).map(|_| ()).map_err(|error| error.kind()), Err(ErrorKind::Corruption));
}

#[test]
fn a_full_disk_leaves_the_log_readable_and_unharmed() {
    // Goal: a start after a kill serves what was acknowledged, though nothing can be mended.
    let disk = written(5, 4_096, false);
    let before = disk.read(&path(1), u64::MAX).expect("it is there");
    let full = Trouble::FailForEver(std::io::ErrorKind::StorageFull);
    let full = disk.after_power_cut(Image::All).with_fault(Fault { at: 1, what: full });
    let (sequences, replay) = read(&full, true).expect("served");
    assert_eq!((sequences.len(), replay.unmended.is_some()), (5, true));
    assert_eq!(full.read(&path(1), u64::MAX).expect("it is there"), before);
    let mut wal = Wal::new(Arc::new(full), Path::new(DIR), LINEAGE, 4_096, Durability::Sync, &replay);
    let payload = Payload::new(payload(6)).expect("short");
    let refused = wal.append([(Sequence(6), &payload)].into_iter()).map_err(|error| error.kind());
    assert_eq!(refused, Err(ErrorKind::Failed));
}

#[test]
fn a_buffered_log_grows_as_it_is_written_and_a_tear_ends_it() {
    // Goal: without zeros behind its frames a file is read as with them. Method: an open file cut at every length, and
    // with a bit of each byte flipped; a sync in the middle vouches for the first half.
    let open = FaultyDisk::default();
    open.create_dir_all(&Path::new(DIR).join(layout::WAL)).expect("a sound disk");
    let mut wal = new_log_of(&open, 4_096, Durability::Buffered);
    let (mut ends, mut vouched) = (Vec::new(), 0);
    for sequence in 1..=6 {
        let start = usize::try_from(wal.bytes()).expect("small").max(FILE_HEADER_BYTES);
        append(&mut wal, sequence);
        // A frame is whole without what fills it up to a multiple of 8.
        ends.push(start + FRAME_HEADER_BYTES + payload(sequence).len());
        if sequence == 3 {
            wal.sync().expect("a sound disk");
            vouched = usize::try_from(wal.bytes()).expect("small");
        }
    }
    let len = open.read(&path(1), u64::MAX).expect("it is there").len();
    assert_eq!(len as u64, wal.bytes(), "nothing stands behind the last frame");
    for at in FILE_HEADER_BYTES..len {
        let whole: Vec<u64> = (1..=6).zip(&ends).filter(|(_, end)| **end <= at).map(|(sequence, _)| sequence).collect();
        let disk = open.after_power_cut(Image::All);
        disk.damage(&path(1), |bytes| bytes.truncate(at));
        let (sequences, _) = read(&disk, true).expect("a tear is no damage");
        assert_eq!(sequences, whole, "cut to {at}");

        let disk = open.after_power_cut(Image::All);
        disk.damage(&path(1), |bytes| bytes[at] ^= 1 << (at % 8));
        let (sequences, replay) = read(&disk, false).expect("served");
        if sequences.len() < 6 {
            assert_eq!(replay.damage.is_empty(), at >= vouched, "byte {at}: {:?}", replay.damage);
            assert!(at < vouched && sequences.len() == 5 || sequences == whole, "byte {at}: {sequences:?}");
        }
    }
    wal.close().expect("a sound disk");
    let (sequences, replay) = read(&open, true).expect("sound");
    assert_eq!((sequences.len(), replay.sealed), (6, true));
}

#[test]
fn a_buffered_log_on_a_full_disk_refuses_the_batch_and_goes_on_when_there_is_room() {
    let disk = FaultyDisk::default();
    disk.create_dir_all(&Path::new(DIR).join(layout::WAL)).expect("a sound disk");
    let mut wal = new_log_of(&disk, 4_096, Durability::Buffered);
    append(&mut wal, 1);
    let full = disk.clone().with_fault(Fault { at: disk.operations() + 1, what: Trouble::Full });
    let second = Payload::new(payload(2)).expect("short");
    for _ in 0..2 {
        let refused = wal.append([(Sequence(2), &second)].into_iter()).map_err(|error| error.kind());
        assert_eq!(refused, Err(ErrorKind::NoSpace));
    }
    full.heal();
    append(&mut wal, 2);
    wal.close().expect("a sound disk");
    for image in [Image::All, Image::Nothing] {
        let (sequences, replay) = read(&disk.after_power_cut(image), true).expect("sound");
        assert_eq!((sequences, replay.sealed), (vec![1, 2], true));
    }
}
