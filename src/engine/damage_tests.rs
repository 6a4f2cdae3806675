//! Damage of every kind to every file of a small store. Goal: never a panic, never a point that was not written or that
//! is gone, and nothing missing that nobody tells of. Method: each bit of each byte flipped, each length, each file
//! lost, each pair swapped; then everything is read in all ways, compacted, and read again, against a plain model.

mod story;
mod trial;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use story::{Files, Story, disk_of};
use trial::{Answers, Damage, Silence, kind_of, look, name, open, refuse, serve};

use crate::env::disk::Disk;

const KINDS: [&str; 4] = ["log", "segment", "MANIFEST", "FORMAT"];

fn files_of<'a>(story: &'a Story, kind: &'a str) -> impl Iterator<Item = (&'a PathBuf, &'a Vec<u8>)> + Clone {
    story.files.iter().filter(move |(path, _)| kind_of(path) == kind)
}

/// What a report of a file that is cut or gone names: a file, or for a log what comes after it.
fn whereabouts(path: &Path) -> String {
    if kind_of(path) == "log" { "wal".into() } else { name(path) }
}

fn changed(story: &Story, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> Files {
    let mut files = story.files.clone();
    change(files.get_mut(path).expect("a file of the store"));
    files
}

/// Whether this is the last file of the log: nothing vouches for its end.
fn silence_of(story: &Story, path: &Path) -> Silence {
    let last = files_of(story, "log").last().expect("there is a log").0;
    if path == last { Silence::End } else { Silence::Nothing }
}

fn flip_all(kind: &str) {
    let story = Story::tell();
    let mut answers = Answers::default();
    for (path, bytes) in files_of(&story, kind) {
        for (at, bit) in (0..bytes.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let damage = Damage {
                what: format!("bit {bit} of byte {at} of {}", name(path)),
                file: name(path),
                files: changed(&story, path, |bytes| bytes[at] ^= 1 << bit),
                silence: Silence::Nothing,
                is_thorough: bit == at % 8,
            };
            serve(&story, &damage, &mut answers);
            if damage.is_thorough {
                refuse(&story, &damage);
            }
        }
    }
    println!("flipped bits in {kind}: {answers:?}");
    assert!(answers.tried > 0 && answers.refused + answers.part + answers.whole == answers.tried);
}

#[test]
fn the_undamaged_store_says_everything_and_has_every_kind_of_file() {
    let story = Story::tell();
    let sizes: Vec<(String, usize)> = story.files.iter().map(|(path, bytes)| (name(path), bytes.len())).collect();
    println!("{sizes:?}");
    let engine = open(&(disk_of(&story.files) as Arc<dyn Disk>), true).expect("sound");
    let seen = look(&story, &engine, "undamaged");
    assert_eq!(seen.state, story.states[0]);
    assert!(story.states[0].len() >= 14 && seen.told.is_empty(), "{:?}", story.states[0]);
    let wrong = engine.verify();
    assert!(wrong.is_empty(), "{wrong:?}");
    let counts: BTreeMap<&str, usize> = story.files.keys().fold(BTreeMap::new(), |mut counts, path| {
        *counts.entry(kind_of(path)).or_default() += 1;
        counts
    });
    assert!(counts["segment"] >= 5 && counts["log"] >= 2 && counts["MANIFEST"] == 1 && counts["FORMAT"] == 1);
    let stats = engine.stats();
    assert!(stats.deletions >= 2 && stats.series == 7, "{stats:?}");
    engine.compact().expect("sound");
    assert_eq!(look(&story, &engine, "compacted").state, story.states[0]);
}

#[test]
fn every_flipped_bit_of_a_log_is_served_or_told() {
    flip_all("log");
}

#[test]
fn every_flipped_bit_of_a_segment_is_served_or_told() {
    flip_all("segment");
}

#[test]
fn every_flipped_bit_of_manifest_and_format_is_served_or_told() {
    flip_all("MANIFEST");
    flip_all("FORMAT");
}

/// Tries a list of damages, each thoroughly where it is asked for, and strictly too.
fn try_all(story: &Story, what: &str, damages: impl Iterator<Item = Damage>) {
    let mut answers = Answers::default();
    for damage in damages {
        serve(story, &damage, &mut answers);
        refuse(story, &damage);
    }
    println!("{what}: {answers:?}");
    assert!(answers.tried > 0, "{what}: nothing was tried");
}

#[test]
fn every_file_cut_at_every_length_is_served_or_told() {
    let story = Story::tell();
    for kind in KINDS {
        let cut = |path: &PathBuf, len: usize| Damage {
            what: format!("{} cut to {len}", name(path)),
            file: whereabouts(path),
            files: changed(&story, path, |bytes| bytes.truncate(len)),
            silence: silence_of(&story, path),
            is_thorough: len.is_multiple_of(3),
        };
        let lens = files_of(&story, kind).flat_map(|(path, bytes)| (0..bytes.len()).map(move |len| (path, len)));
        try_all(&story, &format!("cuts of {kind}"), lens.map(|(path, len)| cut(path, len)));
        let longer = |path: &PathBuf, tail: &[u8]| Damage {
            what: format!("{} with {tail:?} at its end", name(path)),
            file: whereabouts(path),
            files: changed(&story, path, |bytes| bytes.extend(tail)),
            silence: Silence::Nothing,
            is_thorough: kind != "log",
        };
        let tails = [&[1][..], &[0, 0, 0, 0, 0, 0, 0, 0, 7, 9], &[255; 40]];
        let paths = files_of(&story, kind).flat_map(|(path, _)| tails.map(|tail| (path, tail)));
        try_all(&story, &format!("tails of {kind}"), paths.map(|(path, tail)| longer(path, tail)));
    }
}

#[test]
fn every_file_lost_swapped_or_overwritten_by_another_is_served_or_told() {
    let story = Story::tell();
    for kind in KINDS {
        let lost = |path: &PathBuf| {
            let mut files = story.files.clone();
            files.remove(path);
            let (what, file) = (format!("{} is gone", name(path)), whereabouts(path));
            Damage { what, file, files, silence: silence_of(&story, path), is_thorough: true }
        };
        try_all(&story, &format!("lost {kind}"), files_of(&story, kind).map(|(path, _)| lost(path)));
    }
    for (kind, folder) in [("log", "wal"), ("segment", "segments")] {
        let pairs = files_of(&story, kind).flat_map(|one| files_of(&story, kind).map(move |two| (one, two)));
        let pairs = pairs.filter(|((one, _), (two, _))| one != two);
        let mix = |(one, bytes): (&PathBuf, &Vec<u8>), (two, others): (&PathBuf, &Vec<u8>), is_swap: bool| {
            let mut files = story.files.clone();
            files.insert(two.clone(), bytes.clone());
            if is_swap {
                files.insert(one.clone(), others.clone());
            }
            let what = format!("{} in the place of {}, swapped: {is_swap}", name(one), name(two));
            Damage { what, file: folder.into(), files, silence: Silence::Nothing, is_thorough: true }
        };
        let mixes = pairs.flat_map(|(one, two)| [(one, two, true), (one, two, false)]);
        try_all(&story, &format!("mixed {kind}"), mixes.map(|(one, two, is_swap)| mix(one, two, is_swap)));
    }
}

#[test]
fn a_file_of_another_history_is_told() {
    // Goal: a segment of the same store and number from before the last crash, or from a clone, is not believed.
    // Method: two stores of the same lineage that differ in their first batch; each file of one put into the other.
    let (story, other) = (Story::tell(), Story::tell_otherwise());
    let foreign = |(path, bytes): (&PathBuf, &Vec<u8>)| {
        let theirs = other.files.get(path).filter(|theirs| *theirs != bytes)?.clone();
        let files = changed(&story, path, |bytes| *bytes = theirs);
        let (what, file) = (format!("{} of another history", name(path)), name(path));
        Some(Damage { what, file, files, silence: Silence::Nothing, is_thorough: true })
    };
    try_all(&story, "segments of another history", files_of(&story, "segment").filter_map(foreign));
}
