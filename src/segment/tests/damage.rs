//! Damage: every bit of every byte flipped once, every length, random bytes behind sound checksums.

use super::*;
use crate::env::dice::Dice;
use crate::env::faulty::{Fault, FaultyDisk, Trouble};
use crate::segment::format::FILE_HEADER_BYTES;

/// A small segment with everything: shared and own blocks, short columns, mixed kinds, shadows, units, TTLs.
fn small() -> Content {
    let jittered = |id: i64| (0..40).map(move |at| (at * 1_000 + at * at % 7, id * 1_000 + at * at));
    let int = |(time, value): (i64, i64)| PackedPoint {
        time,
        expires_at: time + 60_000,
        bits: value.cast_unsigned(),
        unit: 2,
        kind: Kind::Int,
        is_apart: false,
    };
    let odd = [
        PackedPoint { unit: 4, ..float(5, 0.1) },
        PackedPoint::shadow(6),
        PackedPoint { expires_at: 99, unit: 1, ..float(70, f64::NAN) },
        int((80, -3)),
    ];
    Content::from([
        (SeriesId(3), jittered(1).map(int).collect()),
        (SeriesId(4), jittered(2).map(int).collect()),
        (SeriesId(9), odd.to_vec()),
    ])
}

/// What comes of a damaged file: an error, or a segment that still gives exactly what was written.
fn harm(bytes: &[u8], meta: SegmentMeta, expected: &Content) -> bool {
    let disk = MemoryDisk::default();
    let mut file =
        disk.create(&Path::new(FOLDER).join(layout::segment_name(NUMBER, SegmentKind::Points))).expect("memory");
    file.write_at(bytes, 0).expect("memory");
    let Ok(segment) = Segment::open(Arc::new(disk), Path::new(FOLDER), LINEAGE, meta) else { return true };
    let segment = Arc::new(segment);
    if let Ok(content) = content_of(&segment) {
        assert_eq!(&content, expected, "wrong points came back");
    }
    if let Ok(names) = segment.names() {
        assert!(names.into_iter().eq(expected.keys().map(|id| (*id, key(*id)))), "wrong names came back");
    }
    !segment.verify().is_empty()
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let disk = MemoryDisk::default();
    let content = small();
    let meta = write(&disk, &content).expect("there are points");
    let bytes = bytes_of(&disk);
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
fn verify_names_the_file_and_the_offset() {
    let disk = MemoryDisk::default();
    let meta = write(&disk, &small()).expect("there are points");
    let mut file =
        disk.create(&Path::new(FOLDER).join(layout::segment_name(NUMBER, SegmentKind::Points))).expect("memory");
    let mut bytes = bytes_of(&{
        let sound = MemoryDisk::default();
        write(&sound, &small());
        sound
    });
    bytes[FILE_HEADER_BYTES] ^= 1;
    file.write_at(&bytes, 0).expect("memory");
    let told: Vec<String> = open(disk, meta).verify().iter().map(ToString::to_string).collect();
    // The first block is the times of two series, and told once.
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("segments/000012.pts at 16: checksum "), "{told:?}");
}

#[test]
fn a_disk_that_fails_at_any_step_gets_a_whole_segment_or_none() {
    // Goal: an error on the way leaves neither a segment nor a draft. Method: fail each operation once, on a file long
    // enough to be written in several pieces and read back.
    let folder = Path::new(FOLDER);
    let new_disk = || {
        let disk = FaultyDisk::default();
        disk.create_dir(folder).expect("no fault yet");
        disk
    };
    let mut dice = Dice::new(4);
    let mut noise = |at: i64| float(at * 1_000 + at % 7, f64::from_bits(dice.roll() >> 2));
    let content: Content = (0..4).map(|id| (SeriesId(id), (0..20_000).map(&mut noise).collect())).collect();
    let sound = new_disk();
    try_write(&sound, &content).expect("no fault").expect("points");
    let mut refused = 0;
    for at in 1..=sound.operations() {
        let disk = new_disk().with_fault(Fault { at, what: Trouble::Fail(std::io::ErrorKind::StorageFull) });
        if try_write(&disk, &content).is_err() {
            assert_eq!(disk.list(folder).expect("made"), [""; 0], "step {at}");
            refused += 1;
        }
    }
    assert!(refused > 4, "{refused} faults were met");
}

/// Where a part of a file starts and ends, its checksum behind it.
pub(super) fn summed(bytes: &mut [u8], start: usize, end: usize) {
    let place = crate::codec::checksum::Place { lineage: LINEAGE, file: NUMBER, offset: start as u64 };
    let checksum = place.checksum(&bytes[start..end - 4]);
    bytes[end - 4..end].copy_from_slice(&checksum.to_le_bytes());
}

#[test]
fn bytes_that_pass_their_checksums_are_still_not_trusted() {
    // Goal: a wrong byte behind a right checksum leads to no panic and to no unbounded memory. Method: change each byte
    // of each part to several values, and sum the part again. Only facts that are kept once may pass.
    let disk = MemoryDisk::default();
    let content = small();
    let meta = write(&disk, &content).expect("there are points");
    let bytes = bytes_of(&disk);
    let segment = open(disk, meta);
    let footer = segment.frame.footer;
    let at = |offset: u64| usize::try_from(offset).expect("small");
    let mut parts: Vec<(usize, usize)> = vec![
        (at(footer.directory), at(footer.index())),
        (at(footer.index()), at(footer.units())),
        (at(footer.units()), at(footer.names())),
        (at(footer.names() + footer.names_bytes), bytes.len()),
    ];
    for chunk in segment.directory().map(|chunk| chunk.expect("sound")) {
        parts.extend(chunk.places.iter().filter_map(|place| match place {
            crate::segment::place::Place::Block { offset, len } => Some((at(*offset), at(*offset) + len + 4)),
            _ => None,
        }));
    }
    for (start, end) in parts {
        for byte in start..end - 4 {
            for value in [0, 1, 3, 0x7f, 0x80, 0xfe, 0xff, bytes[byte] ^ 1, bytes[byte] ^ 0x10] {
                let mut changed = bytes.clone();
                changed[byte] = value;
                summed(&mut changed, start, end);
                let disk = MemoryDisk::default();
                let mut file = disk
                    .create(&Path::new(FOLDER).join(layout::segment_name(NUMBER, SegmentKind::Points)))
                    .expect("memory");
                file.write_at(&changed, 0).expect("memory");
                if let Ok(segment) = Segment::open(Arc::new(disk), Path::new(FOLDER), LINEAGE, meta) {
                    let segment = Arc::new(segment);
                    let _answer = (content_of(&segment), segment.names(), segment.verify());
                }
            }
        }
    }
}
