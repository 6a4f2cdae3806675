//! POLICIES on a disk in memory: what is saved is found, and what is damaged is told and never believed.

use super::*;
use crate::env::disk::Lock;
use crate::env::faulty::{Fault, FaultyDisk, Image, Trouble};
use crate::env::memory::MemoryDisk;

const DIR: &str = "p";
const NOW: Timestamp = Timestamp::from_secs(1_000);

fn disk() -> Arc<MemoryDisk> {
    let disk = Arc::new(MemoryDisk::default());
    disk.create_dir_all(Path::new(DIR)).expect("memory");
    disk
}

fn open(disk: &Arc<MemoryDisk>) -> (PolicyFile, Found) {
    PolicyFile::open(disk.clone(), Path::new(DIR)).expect("readable")
}

/// A book with something of everything, told apart by a name.
fn sample(name: &str) -> Book {
    let mut book = Book::new("d".into(), "v".into(), NOW);
    let zone = Zone::east_of_utc(-210).expect("a zone");
    let week = Schedule::new([23, 1], Days::On(vec![WeekDay::Sunday, WeekDay::Saturday]), zone).expect("a schedule");
    book.add(Policy {
        id: "p".into(),
        name: name.into(),
        on: true,
        schedule: week,
        retention: Retention::new(Keep::Days(99_999), true).expect("in range"),
        tags: vec![("k".into(), "v".into())],
        handled: NOW,
    })
    .expect("room");
    book.associate("v", Some("p"));
    for (id, whole) in [("a", false), ("b", true)] {
        let (id, name, volume) = (id.into(), String::new(), "v".into());
        let (description, policy) = ("why".into(), Some("p".into()));
        book.add_backup(Backup { id, name, description, volume, policy, at: NOW, bytes: 7, stored: true, whole })
            .expect("room");
    }
    book
}

/// A disk that holds two generations, `old` and `new`, and the bytes of the file of the new one. There was one before
/// them: a first generation stands by itself.
fn two_generations() -> (Arc<MemoryDisk>, PathBuf, Vec<u8>) {
    let disk = disk();
    let (mut file, _) = open(&disk);
    file.save(&sample("older")).expect("memory");
    file.save(&sample("old")).expect("memory");
    file.save(&sample("new")).expect("memory");
    let path = file.paths[1].clone();
    let bytes = disk.read(&path, BYTES_MAX).expect("there");
    (disk, path, bytes)
}

fn write(disk: &MemoryDisk, path: &Path, bytes: &[u8]) {
    disk.create(path).and_then(|mut file| file.write_at(bytes, 0)).expect("memory");
}

#[test]
fn the_last_book_that_was_saved_is_found() {
    let disk = disk();
    let (mut file, found) = open(&disk);
    assert!(found.book.is_none() && found.damage.is_empty(), "nothing was written yet");
    for name in ["one", "two", "three"] {
        file.save(&sample(name)).expect("memory");
        let (_, found) = open(&disk);
        assert_eq!((found.book, found.damage), (Some(sample(name)), Vec::new()));
    }
    let (mut file, _) = open(&disk);
    file.save(&sample("four")).expect("memory");
    assert_eq!(open(&disk).1.book, Some(sample("four")), "a later run goes on");
    assert!(matches!(disk.lock(Path::new(DIR)), Ok(Lock::Held(_))));
}

#[test]
fn every_damage_to_the_last_generation_is_told_and_the_one_before_is_found() {
    // Method: each bit of the file flipped, each length of it, and the file gone.
    let (disk, path, bytes) = two_generations();
    let mut damaged: Vec<Vec<u8>> = (0..bytes.len()).map(|length| bytes[..length].to_vec()).collect();
    for bit in 0..8 * bytes.len() {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        damaged.push(flipped);
    }
    for bytes in damaged {
        write(&disk, &path, &bytes);
        let (_, found) = open(&disk);
        assert_eq!((found.book, found.damage.len()), (Some(sample("old")), 1));
    }
    disk.remove(&path).expect("there");
    let (mut file, found) = open(&disk);
    assert_eq!((found.book, found.damage.len()), (Some(sample("old")), 1));
    file.save(&sample("next")).expect("memory");
    let (_, found) = open(&disk);
    assert_eq!((found.book, found.damage), (Some(sample("next")), Vec::new()), "saving mends");
}

#[test]
fn when_both_are_damaged_nothing_is_found_and_that_is_told() {
    let (disk, path, bytes) = two_generations();
    for path in [path.clone(), Path::new(DIR).join(POLICIES[0])] {
        write(&disk, &path, &bytes[..40]);
    }
    let (_, found) = open(&disk);
    assert_eq!((found.book, found.damage.len()), (None, 2));
}

#[test]
fn a_newer_format_is_refused() {
    let (disk, path, mut bytes) = two_generations();
    bytes[8] = 2;
    bytes[12..16].fill(0);
    let checksum = checksum::of(&bytes).to_le_bytes();
    bytes[12..16].copy_from_slice(&checksum);
    write(&disk, &path, &bytes);
    let error = PolicyFile::open(disk, Path::new(DIR)).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn a_record_that_cannot_be_true_is_damage() {
    let good = record(&sample("x"));
    let spoil: [fn(&mut PoliciesV1); 6] = [
        |record| record.policies.clear(),
        |record| record.policies[1].hours = 0,
        |record| record.policies[1].hours = 1 << 24,
        |record| record.policies[1].zone_minutes = 1_000,
        |record| (record.policies[1].keep_number, record.policies[1].keep_days) = (0, 0),
        |record| record.policies[1].tags = vec![(String::new(), String::new()); TAGS_MAX + 1],
    ];
    assert_eq!(book(good.clone()), Ok(sample("x")));
    for spoil in spoil {
        let mut record = good.clone();
        spoil(&mut record);
        assert!(book(record).is_err());
    }
}

/// Saves books one after the other on a disk on which something may go wrong, and gives the last one that was saved and
/// the one that was not.
fn story(disk: &FaultyDisk) -> (Option<Book>, Option<Book>) {
    let (mut file, found) = PolicyFile::open(Arc::new(disk.clone()), Path::new(DIR)).expect("readable");
    assert!(found.book.is_none());
    let mut saved = None;
    for name in ["one", "two", "three", "four", "five"] {
        match file.save(&sample(name)) {
            Ok(()) => saved = Some(sample(name)),
            Err(_) => return (saved, Some(sample(name))),
        }
    }
    (saved, None)
}

fn empty_dir() -> FaultyDisk {
    let disk = FaultyDisk::default();
    disk.create_dir_all(Path::new(DIR)).expect("nothing goes wrong");
    disk
}

#[test]
fn a_power_cut_or_a_full_disk_at_any_step_leaves_the_last_book_or_the_next_and_no_damage() {
    // Goal: what was acknowledged is found, whatever happens to the write behind it, and a later write succeeds. Method:
    // trouble at every operation of five writes, and after a power cut four images of what the disk kept.
    let whole = empty_dir();
    let first = whole.operations();
    story(&whole);
    assert!(whole.operations() > first + 15, "they write, sync, rename and sync");
    let troubles =
        [Trouble::Stop, Trouble::Full, Trouble::Fail(io::ErrorKind::StorageFull), Trouble::Fail(io::ErrorKind::Other)];
    let (mut states, mut failures) = (0, 0);
    for what in troubles {
        for at in 1..=whole.operations() - first {
            let disk = empty_dir();
            let disk = disk.clone().with_fault(Fault { at: disk.operations() + at, what });
            let (saved, lost) = story(&disk);
            failures += usize::from(lost.is_some());
            disk.heal();
            for image in [Image::Nothing, Image::All, Image::Subset(at), Image::Reordered(at)] {
                let left = disk.after_power_cut(image);
                let (mut file, found) = PolicyFile::open(Arc::new(left.clone()), Path::new(DIR)).expect("readable");
                let is_one = found.book == saved || found.book == lost;
                assert!(is_one && found.damage.is_empty(), "{what:?} at {at}, {image:?}: {found:?}");
                file.save(&sample("next")).expect("nothing goes wrong any more");
                let (_, found) = PolicyFile::open(Arc::new(left), Path::new(DIR)).expect("readable");
                assert_eq!((found.book, found.damage), (Some(sample("next")), Vec::new()));
                states += 1;
            }
        }
    }
    assert!(states > 200 && failures > 50, "{states} states, {failures} failures");
}
