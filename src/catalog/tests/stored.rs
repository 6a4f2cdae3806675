//! The store in sled, on the machine's own disk. Method: a model beside it, and damage of every kind to its files.
#![allow(clippy::disallowed_methods, reason = "harms files behind everybody's back")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::some_key;
use crate::catalog::block::Size;
use crate::catalog::sled::SledStore;
use crate::catalog::store::{Loaded, Narrow};
use crate::env::dice::Dice;
use crate::env::layout;
use crate::env::real::RealDisk;
use crate::model::limits::CATALOGS_SET_ASIDE_MAX;
use crate::model::segment::CatalogMark;
use crate::model::series::{SeriesId, SeriesKey};

type Series = Vec<(SeriesId, SeriesKey)>;

fn store(volume: &Path) -> SledStore {
    SledStore::new(Arc::new(RealDisk), volume)
}

/// Blocks so small that a few hundred series make many.
fn small_blocks(volume: &Path) -> SledStore {
    store(volume).with_blocks_of(Size { series_max: 12, bytes_max: 512 })
}

/// The first series behind a key that a prefix covers.
fn expected(
    model: &BTreeMap<SeriesKey, SeriesId>,
    narrow: Narrow<'_>,
    after: Option<&SeriesKey>,
    count: usize,
) -> Series {
    let is_inside = |key: &SeriesKey| match narrow {
        (None, _) => true,
        (Some(namespace), None) => key.namespace() == namespace,
        (Some(namespace), Some(metric)) => key.namespace() == namespace && key.metric() == metric,
    };
    let found = model.iter().filter(|(key, _)| is_inside(key) && after.is_none_or(|after| after < key));
    found.take(count).map(|(key, id)| (*id, key.clone())).collect()
}

#[test]
fn a_store_holds_what_a_map_holds_through_changes_and_reopening() {
    let dir = tempfile::tempdir().expect("a folder for a test");
    let mut dice = Dice::new(7);
    let mut model = BTreeMap::new();
    let mut store = small_blocks(dir.path());
    let mut mark = store.rebuild(&[]).expect("a sound disk");
    let mut next = 0;
    for step in 0..400 {
        let leaving = if step % 40 > 30 { 30 } else { dice.below(8) };
        let removed: Vec<SeriesKey> = (0..leaving)
            .filter_map(|_| {
                let key =
                    model.range(some_key(&mut dice, 300)..).next().map(|(key, _): (&SeriesKey, _)| key.clone())?;
                model.remove(&key).map(|_| key)
            })
            .collect();
        let mut added = Series::new();
        for _ in 0..dice.below(16) {
            let key = some_key(&mut dice, 300);
            if !model.contains_key(&key) {
                model.insert(key.clone(), SeriesId(next));
                added.push((SeriesId(next), key));
                next += 1;
            }
        }
        let before = mark;
        mark = store.change(&added, &removed).expect("a sound disk");
        assert_eq!((mark.generation, mark.series), (before.generation + 1, model.len() as u64));
        let after = dice.coin().then(|| some_key(&mut dice, 300));
        let prefix = [(None, None), (Some("A.B"), None), (Some("A.B"), Some("m1"))][step % 3];
        let count = usize::try_from(dice.below(40)).expect("small");
        let scanned = store.scan(prefix, after.as_ref(), count).expect("a sound disk");
        assert_eq!(scanned, expected(&model, prefix, after.as_ref(), count), "step {step}");
        if step % 50 == 49 {
            drop(store);
            store = small_blocks(dir.path());
            let all = expected(&model, (None, None), None, usize::MAX);
            assert_eq!(store.load(&mark), Loaded::Exact(all), "step {step}");
        }
    }
    assert!(next > 1_000 && store.bytes() > 0);
}

#[test]
fn what_the_mark_does_not_expect_is_not_given_and_a_rebuild_heals_it() {
    let dir = tempfile::tempdir().expect("a folder for a test");
    let volume = dir.path();
    let mut dice = Dice::new(1);
    let key = some_key(&mut dice, 10);
    let mut first = store(volume);
    assert_eq!(first.load(&CatalogMark::default()), Loaded::Absent);
    let mark = first.rebuild(&[(SeriesId(1), key.clone())]).expect("a sound disk");
    let later = first.change(&[], std::slice::from_ref(&key)).expect("a sound disk");
    drop(first);
    let mut second = store(volume);
    assert!(matches!(second.load(&mark), Loaded::Damaged(why) if why.contains("of another moment")));
    assert!(second.change(&[], &[]).is_err(), "what is not loaded is not changed");
    let all = vec![(SeriesId(3), key.clone())];
    let mark = second.rebuild(&all).expect("a sound disk");
    assert!(mark.generation > later.generation, "{mark:?} follows {later:?}");
    assert!(!volume.join(layout::QUARANTINE).exists(), "what is only old is not kept");
    // An id of its own, and an order of its own, are part of what is expected.
    assert_ne!(second.rebuild(&[(SeriesId(4), key)]).expect("a sound disk").checksum, mark.checksum);
}

#[test]
fn a_change_that_does_not_fit_what_is_stored_is_refused_until_a_rebuild() {
    let dir = tempfile::tempdir().expect("a folder for a test");
    let mut dice = Dice::new(2);
    let (key, other) = (some_key(&mut dice, 10), SeriesKey::new("Z", "z", [("z", "z")]).expect("valid"));
    let mut store = store(dir.path());
    let all = vec![(SeriesId(1), key.clone())];
    for (added, removed) in [(all.clone(), vec![]), (vec![], vec![other])] {
        store.rebuild(&all).expect("a sound disk");
        assert!(store.change(&added, &removed).expect_err("it does not fit").is_corruption());
        assert!(store.change(&[], &[]).is_err());
    }
    let mark = store.rebuild(&all).expect("a sound disk");
    // A series that leaves and comes back in one change has another id.
    let again = store.change(&[(SeriesId(2), key.clone())], std::slice::from_ref(&key)).expect("it fits");
    assert_eq!((again.series, again.checksum == mark.checksum), (1, false));
    assert_eq!(store.scan((None, None), None, 9).expect("sound"), [(SeriesId(2), key)]);
}

/// All files below a folder, in order.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.join("blobs")).expect("writable");
    for file in files(from) {
        fs::copy(&file, to.join(file.strip_prefix(from).expect("below"))).expect("writable");
    }
}

/// Harms a stored catalogue in one of seven ways.
fn harm(catalog: &Path, other: &Path, dice: &mut Dice) -> String {
    let all = files(catalog);
    let file = &all[usize::try_from(dice.below(all.len() as u64)).expect("an index")];
    let mut bytes = fs::read(file).expect("readable");
    let len = bytes.len() as u64;
    // Most of sled's one file is empty, so half of the damage goes to where something is.
    let last = bytes.iter().rposition(|byte| *byte > 8).unwrap_or(0) as u64 + 1;
    let end = if dice.coin() { len.max(1) } else { last };
    let at = usize::try_from(dice.below(end)).expect("an index");
    let kind = dice.below(8);
    match kind {
        0..=2 if len > 0 => bytes[at] ^= 1 << dice.below(8),
        3 => bytes.truncate(at),
        4 if len > 0 => {
            let end = bytes.len().min(at + 4096);
            bytes[at..end].fill(if dice.coin() { 0 } else { 0xff });
        }
        5 if len > 0 => bytes.rotate_left(at),
        6 => {
            fs::remove_file(file).expect("writable");
            return format!("{} removed", file.display());
        }
        _ => {
            let theirs = other.join(file.strip_prefix(catalog).expect("below"));
            bytes = fs::read(theirs).unwrap_or_default();
        }
    }
    fs::write(file, bytes).expect("writable");
    format!("{} kind {kind} at {at}", file.display())
}

#[test]
fn a_damaged_store_is_exact_or_told_and_can_be_rebuilt() {
    // Goal: never a wrong series, never a panic out of a call. Method: 200 seeded damages of a store of 3,000 series,
    // among them the files of another one with nearly the same content.
    let dir = tempfile::tempdir().expect("a folder for a test");
    let (sound, other) = (dir.path().join("sound"), dir.path().join("other"));
    let mut dice = Dice::new(3);
    let mut model = BTreeMap::new();
    while model.len() < 3_000 {
        let id = SeriesId(u32::try_from(model.len()).expect("small"));
        model.entry(some_key(&mut dice, 4_000)).or_insert(id);
    }
    let all: Series = model.into_iter().map(|(key, id)| (id, key)).collect();
    let written = |volume: &Path, all: &[(SeriesId, SeriesKey)]| {
        fs::create_dir_all(volume).expect("writable");
        let mut store = store(volume);
        store.rebuild(&all[..1_000]).expect("a sound disk");
        let mark = all[1_000..].chunks(400).map(|some| store.change(some, &[]).expect("a sound disk")).last();
        // Reopening writes another kind of file.
        assert!(matches!(store.load(&mark.expect("some")), Loaded::Exact(_)));
        mark.expect("some")
    };
    let mark = written(&sound, &all);
    let mut theirs = all.clone();
    theirs.swap_remove(77);
    written(&other, &theirs);
    let mut exact = 0;
    for seed in 0..200 {
        let volume = dir.path().join(format!("harmed{seed}"));
        copy(&sound.join(layout::CATALOG), &volume.join(layout::CATALOG));
        let harm = harm(&volume.join(layout::CATALOG), &other.join(layout::CATALOG), &mut Dice::new(seed));
        let mut store = store(&volume);
        match store.load(&mark) {
            Loaded::Exact(read) => {
                assert!(read == all, "seed {seed}: {harm}");
                exact += 1;
            }
            Loaded::Absent | Loaded::Damaged(_) => {
                let again = store.rebuild(&all).unwrap_or_else(|error| panic!("seed {seed}: {harm}: {error}"));
                drop(store);
                store = self::store(&volume);
                assert!(store.load(&again) == Loaded::Exact(all.clone()), "seed {seed}: {harm}");
            }
        }
        drop(store);
        fs::remove_dir_all(&volume).expect("writable");
    }
    assert!(exact < 100, "{exact} of 200 went unseen: the damage hits nothing");
}

#[test]
fn a_store_that_has_grown_by_what_was_overwritten_is_written_anew() {
    // Method: changes that each touch all blocks, until the file has become shorter twice.
    let dir = tempfile::tempdir().expect("a folder for a test");
    let mut store = store(dir.path());
    let mut mark = store.rebuild(&[]).expect("a sound disk");
    let (mut model, mut shorter) = (BTreeMap::new(), 0);
    for step in 0..100_u32 {
        let key = |number: u32| {
            let mixed = Dice::new(u64::from(number)).roll();
            SeriesKey::new("A.B", "m", [("instance_id", format!("{mixed:016x}-{mixed:016x}"))]).expect("valid")
        };
        let added: Series = (step * 1_000..(step + 1) * 1_000).map(|id| (SeriesId(id), key(id))).collect();
        let before = store.bytes();
        mark = store.change(&added, &[]).expect("a sound disk");
        model.extend(added.into_iter().map(|(id, key)| (key, id)));
        shorter += u32::from(store.bytes() < before / 2);
        if shorter == 2 {
            break;
        }
    }
    assert_eq!(shorter, 2);
    assert_eq!(store.load(&mark), Loaded::Exact(expected(&model, (None, None), None, usize::MAX)));
}

#[test]
fn damaged_stores_are_set_aside_up_to_a_bound() {
    let dir = tempfile::tempdir().expect("a folder for a test");
    let volume = dir.path();
    let mut store = store(volume);
    for _ in 0..CATALOGS_SET_ASIDE_MAX + 2 {
        let mark = store.rebuild(&[]).expect("a sound disk");
        drop(store);
        fs::write(volume.join(layout::CATALOG).join("db"), [7; 100]).expect("writable");
        store = self::store(volume);
        assert!(matches!(store.load(&mark), Loaded::Damaged(_)));
    }
    let kept = fs::read_dir(volume.join(layout::QUARANTINE)).expect("readable").count();
    assert_eq!(kept, CATALOGS_SET_ASIDE_MAX);
}
