//! The manifest against damage, faults and power cuts. Method: write small manifests on a disk in memory, harm them or
//! stop at each step, and hold what is read back against the version before and the version after.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;

use crate::codec::checksum::Place;
use crate::env::disk::{Disk, temporary};
use crate::env::faulty::{Fault, FaultyDisk, Image, Trouble};
use crate::env::layout;
use crate::error::{ErrorKind, Result};
use crate::manifest::format::{decode_copy, encode};
use crate::manifest::{Edit, Flushed, Manifest, StoredCatalog, Version};
use crate::model::durability::Sequence;
use crate::model::limits::{DELETIONS_MAX, SEGMENTS_MAX};
use crate::model::packed::{ALWAYS_DEAD, NEVER};
use crate::model::segment::{CatalogMark, Deletion, ExpiryClass, Partition, Role, SegmentMeta};
use crate::model::series::SeriesId;
use crate::model::time::{TimeRange, Timestamp};

const LINEAGE: [u8; 16] = [7; 16];
const DIR: &str = "v";
const HORIZON: Timestamp = Timestamp::from_millis(1_795_281_677_579);

fn path() -> PathBuf {
    Path::new(DIR).join(layout::MANIFEST)
}

fn segment(number: u64) -> SegmentMeta {
    SegmentMeta {
        number,
        partition: Partition(20_778),
        role: Role::Plain(ExpiryClass { width: 3_600_000, span: 498_690 }),
        newest: Sequence(5),
        erased: Sequence(0),
        points: 1_000,
        bytes: 4_096,
        times: (1_795_281_600_000, 1_795_281_677_579),
        expiries: (1_795_284_000_000, 1_795_285_000_000),
        series: (SeriesId(0), SeriesId(9)),
    }
}

fn deletion(series: u32) -> Deletion {
    let range = TimeRange::new(Timestamp::from_millis(10), Timestamp::from_millis(20));
    Deletion { series: SeriesId(series), range, sequence: Sequence(4), at: Timestamp::from_millis(30) }
}

/// What a first flush makes true.
fn flush() -> Edit {
    Edit {
        add: vec![SegmentMeta { role: Role::Override, expiries: (ALWAYS_DEAD, NEVER), ..segment(2) }, segment(1)],
        flushed: Some(Flushed { sequence: Sequence(5), log_floor: 2 }),
        next_series: SeriesId(10),
        deletions: Some(vec![deletion(3)]),
        catalog: Some(StoredCatalog::Holds(CatalogMark { generation: 1, series: 10, checksum: 99 })),
        ..Edit::default()
    }
}

/// What a merge makes true after it.
fn merge() -> Edit {
    Edit { add: vec![segment(3)], remove: vec![2, 1], deletions: Some(Vec::new()), ..Edit::default() }
}

fn empty_dir() -> FaultyDisk {
    let disk = FaultyDisk::default();
    disk.create_dir_all(Path::new(DIR)).expect("a sound disk");
    disk
}

fn create(disk: &FaultyDisk) -> Result<Manifest> {
    Manifest::create(Arc::new(disk.clone()), Path::new(DIR), LINEAGE, HORIZON)
}

fn open(disk: &FaultyDisk) -> Result<(Manifest, Vec<String>)> {
    Manifest::open(Arc::new(disk.clone()), Path::new(DIR), LINEAGE)
}

fn commit(manifest: &mut Manifest, edit: &Edit) -> Result<Arc<Version>> {
    for _ in &edit.add {
        assert!(manifest.take_number() > 0);
    }
    manifest.commit(edit)
}

/// The versions of a new volume, after the flush and after the merge.
fn versions() -> [Version; 3] {
    let new = Version::new(HORIZON);
    let flushed = new.apply(&flush());
    let merged = flushed.apply(&merge());
    [new, flushed, merged]
}

/// A disk with a manifest after the flush.
fn written() -> FaultyDisk {
    let disk = empty_dir();
    let mut manifest = create(&disk).expect("a sound disk");
    commit(&mut manifest, &flush()).expect("a sound disk");
    disk
}

/// Length of one of its copies.
fn copy_bytes() -> usize {
    encode(&versions()[1], LINEAGE).len() / 2
}

#[test]
fn golden_bytes_of_a_manifest() {
    // Goal: the manifest never changes; docs/format.md explains these bytes.
    fn words(golden: &mut Vec<u8>, words: &[i64]) {
        for word in words {
            golden.extend(word.to_le_bytes());
        }
    }
    let mut golden = b"EBBTIDE\0\x01\0\x03\0".to_vec();
    golden.extend([0, 0, 0, 0]);
    // Length of the record, edits, flushed, log floor, next segment, next series, horizon.
    words(&mut golden, &[177, 1, 5, 2, 3]);
    golden.extend(10_u32.to_le_bytes());
    words(&mut golden, &[HORIZON.as_millis()]);
    // The catalogue's mark, one deletion.
    golden.push(1);
    words(&mut golden, &[1, 10, 99, 1]);
    golden.extend(3_u32.to_le_bytes());
    words(&mut golden, &[10, 20, 4, 30]);
    // A list of 56 bytes, two segments. The plain one: number 1, partition, width and span of its class; newest 5,
    // erased 5 before; points, bytes, times, expiries after the first time, series.
    words(&mut golden, &[56]);
    golden.extend([2, 2, 0xd4, 0xc4, 2, 0x81, 0xdd, 0xdb, 1, 0x84, 0xf0, 60, 10, 9, 0xe8, 7, 0x80, 32]);
    golden.extend([0x80, 0xf8, 0xf9, 0xf1, 0xbf, 104, 0x96, 0xbc, 9, 2, 0x80, 0xfc, 0xa4, 2, 2, 0x80, 0x85, 0x9f, 3]);
    golden.extend([0, 9]);
    // That of overrides: one number on, the same partition, newest and first time; always to never.
    golden.extend([2, 0, 0, 0, 9, 0xe8, 7, 0x80, 32, 0, 0x96, 0xbc, 9, 1, 0, 0, 9]);
    let second = golden.clone();
    golden[12..16].copy_from_slice(&[186, 102, 108, 248]);
    golden.extend(second);
    golden[201 + 12..201 + 16].copy_from_slice(&[162, 200, 226, 159]);

    let bytes = encode(&versions()[1], LINEAGE);
    let differing: Vec<_> =
        (0..bytes.len()).filter(|&at| golden.get(at) != Some(&bytes[at])).map(|at| (at, bytes[at])).collect();
    assert_eq!((differing, bytes.len()), (Vec::new(), golden.len()));
    assert_eq!(decode_copy(&golden[..201], 0, LINEAGE).ok(), Some(versions()[1].clone()));
    assert_eq!(decode_copy(&golden[201..], 201, LINEAGE).ok(), Some(versions()[1].clone()));
}

#[test]
fn what_is_committed_is_read_back() {
    let disk = empty_dir();
    let [new, flushed, merged] = versions();
    let mut manifest = create(&disk).expect("a sound disk");
    assert_eq!(open(&disk).expect("sound").0.version().as_ref(), &new);
    for (edit, version) in [(flush(), flushed), (merge(), merged)] {
        assert_eq!(*commit(&mut manifest, &edit).expect("a sound disk"), version);
        let (read, damage) = open(&disk).expect("sound");
        assert_eq!((read.version().as_ref(), damage), (&version, Vec::new()));
    }
    let version = manifest.version();
    assert_eq!((version.edits, version.next_segment, version.segments.len()), (2, 4, 1));
    assert_eq!(manifest.take_number(), 4, "numbers go on");
    assert_eq!(open(&disk).expect("sound").0.take_number(), 4, "a number that was never committed is given again");
}

#[test]
fn the_horizon_never_goes_back_and_what_an_edit_does_not_name_stays() {
    let later = Timestamp::from_millis(HORIZON.as_millis() + 1);
    let flushed = versions()[1].clone();
    let to = |horizon| flushed.apply(&Edit { horizon: Some(horizon), ..Edit::default() });
    assert_eq!(to(later), Version { horizon: later, edits: 2, ..flushed.clone() });
    assert_eq!(to(Timestamp::EPOCH), Version { edits: 2, ..flushed.clone() });
    assert_eq!(flushed.apply(&Edit { catalog: Some(StoredCatalog::Behind), ..Edit::default() }).catalog, None);
}

#[test]
fn an_edit_that_only_a_bug_makes_is_not_applied() {
    let flushed = Flushed { sequence: Sequence(5), log_floor: 2 };
    let wrong = [
        Edit { remove: vec![9], ..Edit::default() },
        Edit { remove: vec![1, 1], ..Edit::default() },
        Edit { add: vec![segment(1)], ..Edit::default() },
        Edit { add: vec![segment(3), segment(3)], ..Edit::default() },
        Edit { add: vec![SegmentMeta { newest: Sequence(6), ..segment(3) }], ..Edit::default() },
        Edit { add: vec![SegmentMeta { series: (SeriesId(1), SeriesId(10)), ..segment(3) }], ..Edit::default() },
        Edit { add: vec![SegmentMeta { times: (1, 0), ..segment(3) }], ..Edit::default() },
        Edit { flushed: Some(Flushed { sequence: Sequence(4), ..flushed }), ..Edit::default() },
        Edit { flushed: Some(Flushed { log_floor: 1, ..flushed }), ..Edit::default() },
    ];
    for edit in wrong {
        let version = versions()[1].clone();
        assert!(std::panic::catch_unwind(move || version.apply(&edit)).is_err());
    }
}

#[test]
fn one_flipped_bit_anywhere_is_told_and_costs_nothing() {
    let (disk, flushed) = (written(), versions()[1].clone());
    let half = copy_bytes();
    for byte in 0..2 * half {
        for bit in 0..8 {
            disk.damage(&path(), |bytes| bytes[byte] ^= 1 << bit);
            let (manifest, damage) = open(&disk).expect("the other copy is whole");
            assert_eq!(manifest.version().as_ref(), &flushed, "bit {bit} of byte {byte}");
            let place = format!("v/MANIFEST at {}: ", byte / half * half);
            assert!(damage.len() == 1 && damage[0].starts_with(&place), "bit {bit} of byte {byte}: {damage:?}");
            disk.damage(&path(), |bytes| bytes[byte] ^= 1 << bit);
        }
    }
    let (mut manifest, _) = open(&disk).expect("sound again");
    disk.damage(&path(), |bytes| bytes[100] ^= 1);
    commit(&mut manifest, &merge()).expect("a sound disk");
    assert_eq!(open(&disk).expect("whole").1, Vec::<String>::new(), "a commit writes both copies anew");
}

#[test]
fn every_cut_is_told_and_one_into_the_first_copy_is_corruption() {
    let flushed = versions()[1].clone();
    let half = copy_bytes();
    for len in 0..2 * half {
        let disk = written();
        disk.damage(&path(), |bytes| bytes.truncate(len));
        match open(&disk) {
            Ok((manifest, damage)) => {
                assert!(len >= half && damage.len() == 1, "{len}: {damage:?}");
                assert_eq!(manifest.version().as_ref(), &flushed);
            }
            Err(error) => assert!(len < half && error.is_corruption(), "{len}: {error}"),
        }
    }
    let disk = written();
    disk.damage(&path(), |bytes| bytes.push(0));
    let (manifest, damage) = open(&disk).expect("both copies are whole");
    assert_eq!((manifest.version().as_ref(), damage.len()), (&flushed, 1));
}

#[test]
fn both_copies_damaged_none_there_or_another_stores_is_corruption() {
    let disk = written();
    let foreign = Manifest::open(Arc::new(disk.clone()), Path::new(DIR), [8; 16]).expect_err("another lineage");
    assert!(foreign.is_corruption(), "{foreign}");
    disk.damage(&path(), |bytes| [100, copy_bytes() + 100].into_iter().for_each(|at| bytes[at] ^= 1));
    let error = open(&disk).expect_err("both copies are damaged");
    assert!(error.is_corruption() && error.to_string().contains("restore MANIFEST from a backup"), "{error}");
    disk.lose(&path());
    let error = open(&disk).expect_err("it is missing");
    assert!(error.is_corruption() && error.to_string().contains("restore MANIFEST from a backup"), "{error}");
}

#[test]
fn a_newer_format_is_told_from_damage_and_a_swapped_copy_is_not_believed() {
    let mut bytes = encode(&versions()[1], LINEAGE);
    let half = copy_bytes();
    let second = bytes[half..].to_vec();
    assert!(decode_copy(&second, 0, LINEAGE).is_err() && decode_copy(&second, half as u64, LINEAGE).is_ok());
    bytes[8] = 2;
    bytes[12..16].fill(0);
    let checksum = Place { lineage: LINEAGE, file: 0, offset: 0 }.checksum(&bytes[..half]);
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    let disk = written();
    disk.damage(&path(), |content| *content = bytes);
    assert_eq!(open(&disk).expect_err("newer").kind(), ErrorKind::Unsupported);
}

#[test]
fn a_fault_before_the_rename_changes_nothing_and_one_after_it_ends_committing() {
    let steps = {
        let disk = written();
        let before = disk.operations();
        commit(&mut open(&disk).expect("sound").0, &merge()).expect("a sound disk");
        disk.operations() - before
    };
    assert_eq!(steps, 5, "create, write, sync, rename, sync of the folder");
    let [_, flushed, merged] = versions();
    for step in 1..=steps {
        let disk = written();
        let (mut manifest, _) = open(&disk).expect("sound");
        let at = disk.operations() + step;
        let disk = disk.with_fault(Fault { at, what: Trouble::Fail(std::io::ErrorKind::StorageFull) });
        let error = commit(&mut manifest, &merge()).expect_err("a fault at each step is told");
        assert_eq!(manifest.version().as_ref(), &flushed, "memory changes after success only");
        let again = manifest.commit(&merge());
        if step <= 3 {
            assert_eq!(error.kind(), ErrorKind::NoSpace, "step {step}: {error}");
            assert_eq!(*again.expect("there is room again"), merged);
            assert_eq!(open(&disk).expect("sound").0.version().as_ref(), &merged);
        } else {
            assert_eq!(error.kind(), ErrorKind::Failed, "step {step}: {error}");
            assert_eq!(again.expect_err("final").kind(), ErrorKind::Failed);
            let read = open(&disk).expect("sound").0.version().as_ref().clone();
            assert!(read == flushed || read == merged, "step {step}: {read:?}");
        }
    }
}

#[test]
fn a_draft_is_removed_after_a_fault() {
    let disk = written();
    let (mut manifest, _) = open(&disk).expect("sound");
    let at = disk.operations() + 3;
    let disk = disk.with_fault(Fault { at, what: Trouble::Fail(std::io::ErrorKind::Other) });
    assert_eq!(commit(&mut manifest, &merge()).expect_err("a fault").kind(), ErrorKind::Io);
    assert!(disk.open(&temporary(&path())).is_err());
}

#[test]
fn a_power_cut_at_any_step_leaves_the_old_or_the_new_version() {
    // Method: stop at each operation of a volume's first manifest and two commits, in many images of what the disk kept.
    let versions = versions();
    let mut reached = 0;
    for stop in 1.. {
        let disk = empty_dir();
        let at = disk.operations() + stop;
        let disk = disk.with_fault(Fault { at, what: Trouble::Stop });
        let mut acknowledged = None;
        let mut manifest = create(&disk).inspect(|_| acknowledged = Some(0)).ok();
        for (number, edit) in [flush(), merge()].iter().enumerate() {
            manifest = manifest.filter(|_| !disk.is_stopped());
            if manifest.as_mut().is_some_and(|manifest| commit(manifest, edit).is_ok()) {
                acknowledged = Some(number + 1);
            }
        }
        let seeds = (0..20).flat_map(|seed| [Image::Subset(seed), Image::Reordered(seed)]);
        for image in [Image::Nothing, Image::All].into_iter().chain(seeds) {
            match open(&disk.after_power_cut(image)) {
                Ok((manifest, damage)) => {
                    let found = versions.iter().position(|each| each == manifest.version().as_ref());
                    let found = found.expect("a version that was committed");
                    let least = acknowledged.unwrap_or(0);
                    assert!((least..=least + 1).contains(&found), "stop {stop}, {image:?}: {found}");
                    assert_eq!(damage, Vec::<String>::new());
                }
                Err(error) => assert_eq!(acknowledged, None, "stop {stop}, {image:?}: {error}"),
            }
        }
        reached = stop;
        if !disk.is_stopped() {
            break;
        }
    }
    assert_eq!(reached, 16, "five operations each");
}

#[test]
fn more_than_fits_is_refused_and_nothing_changes() {
    let disk = written();
    let (mut manifest, _) = open(&disk).expect("sound");
    let many = Edit { deletions: Some(vec![deletion(1); DELETIONS_MAX + 1]), ..Edit::default() };
    assert_eq!(manifest.commit(&many).expect_err("too many").kind(), ErrorKind::Overloaded);
    let many = Edit { add: (3..=SEGMENTS_MAX as u64 + 1).map(segment).collect(), ..Edit::default() };
    assert_eq!(commit(&mut manifest, &many).expect_err("too many").kind(), ErrorKind::Overloaded);
    assert_eq!(open(&disk).expect("sound").0.version().as_ref(), &versions()[1]);
}

proptest! {
    #[test]
    fn any_bytes_are_a_version_or_a_reason(bytes in proptest::collection::vec(any::<u8>(), 0..600), sealed in any::<bool>()) {
        // Goal: no panic. Method: any bytes, and any record in a copy whose checksum is right.
        let mut copy = bytes;
        if sealed {
            let record = copy;
            copy = b"EBBTIDE\0\x01\0\x03\0\0\0\0\0".to_vec();
            copy.extend((record.len() as u64).to_le_bytes());
            copy.extend(record);
            let checksum = Place { lineage: LINEAGE, file: 0, offset: 0 }.checksum(&copy);
            copy[12..16].copy_from_slice(&checksum.to_le_bytes());
        }
        let _any = decode_copy(&copy, 0, LINEAGE);
        let disk = written();
        disk.damage(&path(), |content| *content = copy);
        let _any = open(&disk);
    }

    #[test]
    fn versions_come_back(numbers in proptest::collection::btree_set(1_u64..1_000_000, 0..200), deletions in 0_u32..200) {
        let flushed = versions()[1].clone();
        let version = Version {
            segments: numbers.into_iter().map(segment).collect(),
            deletions: (0..deletions).map(deletion).collect(),
            next_segment: 1_000_000,
            next_series: SeriesId(200),
            ..flushed
        };
        let bytes = encode(&version, LINEAGE);
        let half = bytes.len() / 2;
        prop_assert_eq!(decode_copy(&bytes[..half], 0, LINEAGE).ok(), Some(version.clone()));
        prop_assert_eq!(decode_copy(&bytes[half..], half as u64, LINEAGE).ok(), Some(version));
    }
}
