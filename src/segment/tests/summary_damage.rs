//! Damage to segments of summaries: every bit flipped, every length, wrong bytes behind sound checksums, a disk that
//! fails.

use super::summaries::*;
use super::*;
use crate::env::dice::Dice;
use crate::env::faulty::{Fault, FaultyDisk, Trouble};
use crate::segment::place::Place;

/// A small segment with everything: shared, own and short chunks, gaps, units.
fn small() -> Records {
    let some = |first: i64| (first..first + 12).map(|at| record(at + at / 5, (at * at).cast_unsigned(), 2)).collect();
    Records::from([
        (SeriesId(3), some(1)),
        (SeriesId(4), some(1)),
        (SeriesId(5), vec![record(-7, 7, 0)]),
        (SeriesId(9), [record(2, 8, 4), record(9, 1_000_000, 1)].to_vec()),
    ])
}

fn disk_with(bytes: &[u8]) -> MemoryDisk {
    let disk = MemoryDisk::default();
    disk.create(&path()).and_then(|mut file| file.write_at(bytes, 0)).expect("memory");
    disk
}

fn bytes_written(records: &Records) -> (Vec<u8>, SegmentMeta) {
    let disk = MemoryDisk::default();
    let meta = write_summaries(&disk, records).expect("there are records");
    (disk.read(&path(), u64::MAX).expect("written"), meta)
}

/// What comes of a damaged file: an error, or a segment that still gives exactly what was written.
fn harm(bytes: &[u8], meta: SegmentMeta, expected: &Records) -> bool {
    let disk = disk_with(bytes);
    let Ok(segment) = Segment::open(Arc::new(disk), Path::new(FOLDER), LINEAGE, meta) else { return true };
    let segment = Arc::new(segment);
    if let Ok(records) = records_of(&segment) {
        assert_eq!(&records, expected, "wrong records came back");
    }
    for (id, records) in expected {
        for chunk in segment.summary_chunks(*id, i64::MIN, i64::MAX).unwrap_or_default() {
            let mut found = Vec::new();
            let is_read = segment.read_summaries(&chunk, &mut found).is_ok();
            assert_eq!(found.len(), if is_read { records.len() } else { 0 });
        }
    }
    if let Ok(names) = segment.names() {
        assert!(names.into_iter().eq(expected.keys().map(|id| (*id, key(*id)))), "wrong names came back");
    }
    !segment.verify().is_empty()
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let content = small();
    let (bytes, meta) = bytes_written(&content);
    assert!(!harm(&bytes, meta, &content), "a sound file");
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            assert!(harm(&flipped, meta, &content), "bit {bit} of byte {at}");
        }
    }
    for len in 0..bytes.len() {
        assert!(harm(&bytes[..len], meta, &content), "cut to {len}");
    }
    assert!(harm(&[&bytes[..], &[0]].concat(), meta, &content), "a byte too many");
}

#[test]
fn bytes_that_pass_their_checksums_are_still_not_trusted() {
    // Goal: a wrong byte behind a right checksum leads to no panic, and to no record that its entry does not explain.
    // Method: change each byte of each part to several values, and sum the part again.
    let (bytes, meta) = bytes_written(&small());
    let segment = open(disk_with(&bytes), meta);
    let footer = segment.frame.footer;
    let at = |offset: u64| usize::try_from(offset).expect("small");
    let mut parts: Vec<(usize, usize)> = vec![
        (at(footer.directory), at(footer.index())),
        (at(footer.index()), at(footer.units())),
        (at(footer.units()), at(footer.names())),
        (at(footer.names() + footer.names_bytes), bytes.len()),
    ];
    for chunk in segment.summary_directory().map(|chunk| chunk.expect("sound")) {
        if let Place::Block { offset, len } = chunk.place {
            parts.push((at(offset), at(offset) + len + 4));
        }
    }
    assert!(parts.len() > 5, "there are blocks");
    for (start, end) in parts {
        for byte in start..end - 4 {
            for value in [0, 1, 3, 0x7f, 0x80, 0xfe, 0xff, bytes[byte] ^ 1, bytes[byte] ^ 0x10] {
                let mut changed = bytes.clone();
                changed[byte] = value;
                damage::summed(&mut changed, start, end);
                let disk = Arc::new(disk_with(&changed));
                let Ok(segment) = Segment::open(disk, Path::new(FOLDER), LINEAGE, meta) else { continue };
                let segment = Arc::new(segment);
                for records in records_of(&segment).unwrap_or_default().values() {
                    assert!(records.is_sorted_by(|one, next| one.start < next.start));
                    assert!(records.iter().all(|record| record.start % RESOLUTION == 0));
                }
                let _answer = (segment.names(), segment.verify());
            }
        }
    }
}

#[test]
fn a_disk_that_fails_at_any_step_gets_a_whole_segment_or_none() {
    // Goal: an error on the way leaves neither a segment nor a draft. Method: fail each operation once, on a file long
    // enough to be written in several pieces.
    let folder = Path::new(FOLDER);
    let new_disk = || {
        let disk = FaultyDisk::default();
        disk.create_dir(folder).expect("no fault yet");
        disk
    };
    let mut dice = Dice::new(4);
    let mut noise = |at: i64| record(at, dice.roll(), 1);
    let content: Records = (0..4).map(|id| (SeriesId(id), (0..20_000).map(&mut noise).collect())).collect();
    let sound = new_disk();
    try_write_summaries(&sound, &content).expect("no fault").expect("records");
    let mut refused = 0;
    for at in 1..=sound.operations() {
        let disk = new_disk().with_fault(Fault { at, what: Trouble::Fail(std::io::ErrorKind::StorageFull) });
        if try_write_summaries(&disk, &content).is_err() {
            assert_eq!(disk.list(folder).expect("made"), [""; 0], "step {at}");
            refused += 1;
        }
    }
    assert!(refused > 4, "{refused} faults were met");
}
