//! Policies at work on a disk that is full, fails or loses its power, and in a folder that somebody else has.

use std::path::Path;
use std::sync::Arc;

use crate::backup::{self, Folder};
use crate::engine::Engine;
use crate::engine::health::Health;
use crate::engine::routine_tests::{DAY, HOUR, Store, december, kind, nightly, schedule};
use crate::env::disk::Disk;
use crate::env::faulty::{Fault, FaultyDisk, Image, Trouble};
use crate::error::ErrorKind;
use crate::policy::named::BackupPolicy;
use crate::policy::retention::{Keep, Retention};
use crate::policy::schedule::Days;

/// Another policy, in a folder of its own.
fn nightly_in(folder: &str) -> BackupPolicy {
    let retention = Retention::new(Keep::Number(1), false).expect("in range");
    BackupPolicy::new("other", folder, schedule(&[22], Days::Every(1), 0), retention)
}

#[test]
fn what_fails_is_told_and_made_up_for_and_nothing_is_removed_before() {
    // Goal: an error of one policy keeps neither another one nor the store from its work, and goes away with its cause.
    let mut store = Store::new(december(1));
    let elsewhere = FaultyDisk::default();
    store.put(nightly(Keep::Number(1))).expect("it is in force");
    store.engine.backup_policy(Arc::new(elsewhere.clone()), nightly_in("c")).expect("it is in force");
    store.pass(DAY, HOUR).expect("nothing fails");

    let full = Fault { at: store.backups.operations() + 1, what: Trouble::Full };
    let _same = store.backups.clone().with_fault(full);
    let error = store.pass(DAY, HOUR).expect_err("there is no room");
    assert_eq!(error.kind(), ErrorKind::NoSpace);
    assert!(error.to_string().starts_with("the backup policy nightly: "), "{error}");
    let Health::Degraded(sentences) = store.engine.health() else { panic!("it is told") };
    assert!(
        sentences[0].starts_with("backing up fails and is tried again: the backup policy nightly"),
        "{sentences:?}"
    );
    assert_eq!(store.moments("nightly"), ["20261201T22"]);
    let counts = |store: &Store| {
        let stats = store.engine.stats();
        (stats.backups_made, stats.backups_removed, stats.backups_failed)
    };
    assert_eq!(counts(&store), (3, 1, 1));
    assert_eq!(backup::list(&elsewhere, Path::new("c")).expect("a list").list.len(), 1);
    assert_eq!(kind(store.engine.maintain()), Some(ErrorKind::NoSpace));
    store.backups.heal();
    store.engine.maintain().expect("there is room");
    assert_eq!(store.moments("nightly"), ["20261202T22"]);
    assert_eq!((store.engine.health(), counts(&store)), (Health::Good, (4, 2, 2)));

    // Somebody else is at work in the folder: first for the backup, then for what may go.
    let claim = || Folder::claim(Arc::new(store.backups.clone()), Path::new("b/x")).expect("it is free");
    store.clock.0.advance(DAY);
    let claimed = claim();
    assert_eq!(kind(store.engine.maintain()), Some(ErrorKind::Locked));
    drop(claimed);
    store.engine.maintain().expect("it is free");
    assert_eq!(store.moments("nightly"), ["20261203T22"]);

    // Every step of a run fails once: it is carried out by the next two.
    for step in 1.. {
        store.clock.0.advance(DAY);
        let fault = Fault { at: store.backups.operations() + step, what: Trouble::Fail(std::io::ErrorKind::Other) };
        let _same = store.backups.clone().with_fault(fault);
        let failed = store.engine.maintain();
        let is_over = store.backups.operations() < fault.at;
        store.backups.heal();
        if failed.is_err() {
            assert!(store.moments("nightly").len() <= 2 && store.engine.health() != Health::Good, "step {step}");
            store.engine.maintain().unwrap_or_else(|error| panic!("step {step}: {error}"));
        }
        assert_eq!(store.moments("nightly").len(), 1, "step {step}");
        assert_eq!(store.engine.health(), Health::Good);
        if is_over {
            assert!(step > 20, "{step} steps are too few");
            break;
        }
    }
}

#[test]
fn a_backup_that_is_found_instead_of_made_is_durable_before_another_one_goes() {
    // Goal: the naming of a backup fails, though it has its name; the next look finds it and removes the one before. A power
    // cut in the middle of that must not take both. Method: fail at each step, and where both are there then, cut the power
    // at each step of the next look.
    let mut states = 0;
    let in_trouble = |step: u64| {
        let mut store = Store::new(december(1));
        store.put(nightly(Keep::Number(1))).expect("it is in force");
        store.pass(DAY, DAY).expect("nothing fails");
        let at = store.backups.operations() + step;
        let _same = store.backups.clone().with_fault(Fault { at, what: Trouble::Fail(std::io::ErrorKind::Other) });
        store.clock.0.advance(DAY);
        let failed = store.engine.maintain();
        (store.backups.operations() >= at).then_some((store, failed))
    };
    for step in 1.. {
        let Some((store, failed)) = in_trouble(step) else { break };
        if failed.is_ok() || store.moments("nightly").len() < 2 {
            continue;
        }
        for stop in 1.. {
            let (store, _) = in_trouble(step).expect("the same as before");
            store.backups.heal();
            let at = store.backups.operations() + stop;
            let _same = store.backups.clone().with_fault(Fault { at, what: Trouble::Stop });
            if store.engine.maintain().is_ok() {
                break;
            }
            let images = (0..8).flat_map(|seed| [Image::Subset(seed), Image::Reordered(seed)]);
            for image in images.chain([Image::Nothing, Image::All]) {
                let disk: Arc<dyn Disk> = Arc::new(store.backups.after_power_cut(image));
                let left = backup::list(&*disk, Path::new("b")).expect("a list").list;
                let newest =
                    left.last().unwrap_or_else(|| panic!("steps {step} and {stop}, {image:?}: nothing is left"));
                assert!(Engine::verify_backup(&disk, &newest.path).is_empty(), "steps {step} and {stop}, {image:?}");
                states += 1;
            }
        }
    }
    println!("{states} states");
    assert!(states >= 200, "{states} states are too few");
}
