//! Random histories of a whole engine against a plain map: whatever is done in whatever order, every read answers what
//! the model answers. Method: acts drawn from a seed on a disk in memory and a clock that is set by hand, reads after
//! each act, and a look at what is stored after maintenance.

mod acts;
mod check;
mod draw;
mod history;
mod jobs;
mod meddled;
mod model;
mod shadows;
mod windows;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::engine::model_tests::history::{Counts, DIR, History, add};
use crate::env::dice::Dice;
use crate::env::disk::Disk;

const SEED: u64 = 20_261_121;
const HISTORIES: u64 = 10_000;

/// What a thousand histories do at least so often: less would be a test that no longer looks.
const OFTEN: [(&str, u64); 34] = [
    ("write", 5_000),
    ("rewrite", 2_000),
    ("points", 50_000),
    ("dead on arrival", 10_000),
    ("delete", 1_000),
    ("flush", 1_000),
    ("freeze", 500),
    ("maintain", 1_000),
    ("compact", 500),
    ("pause", 1_500),
    ("set clock", 300),
    ("reopen", 500),
    ("kill", 500),
    ("squeeze", 300),
    ("flush at replay", 200),
    ("in the midst", 400),
    ("held to the end", 200),
    ("cap reached", 500),
    ("refused", 200),
    ("plain", 15_000),
    ("override", 1_000),
    ("shadows", 1_500),
    ("drop", 1_500),
    ("drop of an override", 70),
    ("merge", 700),
    ("merge of overrides", 5),
    ("fold", 2_000),
    ("erase", 1_500),
    // Where windows are kept, a series outlives its points.
    ("forget", 200),
    ("summaries", 8_000),
    ("summarise", 2_500),
    ("windows", 200_000),
    ("windows from points", 80_000),
    ("windows with bounds", 10_000),
];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a whole number")))
}

/// The seed of one history.
fn seed_of(seed: u64, history: u64) -> u64 {
    Dice::new(seed ^ history.wrapping_mul(0x9e37_79b9)).roll()
}

/// Runs one history; gives its counts, or what to do about its failure.
fn run(seed: u64, which: u64) -> Result<Counts, String> {
    let mut history = History::begin(seed_of(seed, which));
    let ran = catch_unwind(AssertUnwindSafe(|| history.run()));
    let why = match ran {
        Ok(Ok(())) => return Ok(history.counts),
        Ok(Err(why)) => why,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
        }
    };
    let settings = format!("{:?}", history.settings);
    let trail = history.trail.join("\n  ");
    // What is left of the engine after a panic is not fit to be closed.
    std::mem::forget(history);
    let again = format!("EBBTIDE_SEED={seed} EBBTIDE_HISTORY={which} cargo test --lib engine::model_tests");
    Err(format!("history {which}: {why}\n  {settings}\n  {trail}\nhistory {which}: {why}\nonce more: {again}"))
}

#[test]
fn every_read_of_a_random_history_answers_what_the_model_answers() {
    // Goal: S1, S4, S5, S12, S13, S15, S16, S20 over flushes, compactions, reopenings and kills in any order.
    let seed = number("EBBTIDE_SEED").unwrap_or(SEED);
    println!("EBBTIDE_SEED={seed}");
    if let Some(which) = number("EBBTIDE_HISTORY") {
        run(seed, which).unwrap_or_else(|why| panic!("{why}"));
        return;
    }
    let histories = number("EBBTIDE_HISTORIES").unwrap_or(HISTORIES);
    let next = AtomicU64::new(0);
    let counts = Mutex::new(Counts::new());
    let failure = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let which = next.fetch_add(1, Ordering::Relaxed);
                    if which >= histories || failure.lock().is_some() {
                        return;
                    }
                    match run(seed, which) {
                        Ok(own) => add(&mut counts.lock(), own),
                        Err(why) => *failure.lock() = Some(why),
                    }
                }
            });
        }
    });
    if let Some(why) = failure.into_inner() {
        panic!("{why}");
    }
    let counts = counts.into_inner();
    println!("{histories} histories: {counts:?}");
    for (what, of_a_thousand) in OFTEN {
        let times = counts.get(what).copied().unwrap_or(0);
        assert!(times * 1_000 >= of_a_thousand * histories, "{what} came to pass {times} times only: {counts:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_files() {
    // S20. Method: some histories twice, each on a disk of its own, then every file byte for byte.
    let seed = number("EBBTIDE_SEED").unwrap_or(SEED);
    println!("EBBTIDE_SEED={seed}");
    let mut bytes = 0;
    for which in 0..200 {
        let [one, other] = [(), ()].map(|()| {
            let mut history = History::begin(seed_of(seed, which));
            history.run().unwrap_or_else(|why| panic!("history {which}: {why}"));
            files(&*history.disk, Path::new(DIR))
        });
        let names = [&one, &other].map(|files| files.keys().collect::<Vec<_>>());
        assert_eq!(names[0], names[1], "history {which}");
        let different: Vec<_> =
            one.iter().filter(|(path, bytes)| other[*path] != **bytes).map(|(path, _)| path).collect();
        assert!(different.is_empty(), "history {which}: {different:?}");
        bytes += one.values().map(Vec::len).sum::<usize>();
    }
    println!("{bytes} bytes of files are the same");
}

/// Every file of a directory and those below it.
fn files(disk: &dyn Disk, dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for path in disk.list(dir).expect("a directory").into_iter().map(|name| dir.join(name)) {
        match disk.read(&path, u64::MAX) {
            Ok(bytes) => found.extend([(path, bytes)]),
            Err(_) => found.extend(files(disk, &path)),
        }
    }
    found
}
