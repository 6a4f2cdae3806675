//! Backups of small stores: what they answer, what they cost, and that no rotten bit of one goes unseen.

mod crashes;
mod load;
mod places;
mod story;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::backup::{self, Contents};
use crate::engine::Engine;
use crate::engine::backup_tests::story::{Deed, Story, restore, take};
use crate::engine::restore::Identity;
use crate::engine::simulation::batches::{Life, batch_at, key};
use crate::engine::simulation::{Act, answers_of, clocked};
use crate::env::disk::Disk;
use crate::env::faulty::{FaultyDisk, Links};
use crate::env::layout;
use crate::env::memory::MemoryDisk;
use crate::error::{ErrorKind, Result};
use crate::model::durability::Durability;
use crate::model::selector::Selector;
use crate::model::time::TimeRange;

use Deed::{Do, Restore, Snapshot};

fn after(disk: FaultyDisk, deeds: &[Deed]) -> Story {
    let mut story = Story::start(disk);
    for deed in deeds {
        story.perform(*deed);
    }
    assert!(story.run.trouble.is_none() && story.trouble.is_none(), "{:?}", (&story.run.trouble, &story.trouble));
    story
}

fn contents(disk: &FaultyDisk, name: &str) -> Contents {
    Contents::read(disk, Path::new(name)).expect("a backup")
}

#[test]
fn a_backup_answers_as_the_store_did_whatever_came_later() {
    // Goal: points that have expired since are there, later ones are not; nothing of it can be changed.
    let over = Do(Act::Overwrite(Life::Seconds(60)));
    let deeds = [Do(Act::Group(5)), over, Do(Act::Freeze), Do(Act::Delete(0)), over, Do(Act::Advance(30))];
    let more = [Do(Act::Group(4)), Do(Act::Advance(200_000)), Do(Act::Delete(2)), Do(Act::Compact), Do(Act::Maintain)];
    let story = after(FaultyDisk::default(), &[&deeds[..], &[Snapshot("b/one")], &more].concat());
    story.check_backups().expect("it is what it was");
    let frozen = story.open_frozen("b/one").expect("a backup");
    let (then, _) = answers_of(&frozen, true).expect("an answer");
    let (now, _) = answers_of(story.run.engine(), true).expect("an answer");
    let expired = |points: usize| points > 0 && !now.points.contains_key(&key("third1"));
    assert!(expired(then.points[&key("third1")].len()), "points have expired since");
    assert!(now.points[&key("all")].len() > then.points[&key("all")].len(), "points have come since");
    let files = story.run.disk.files();
    let kinds = [
        frozen.write(&batch_at(9, 0, story.run.history.now)).map(|_| ()).map_err(|error| error.kind()),
        frozen.delete(&key("all"), TimeRange::ALL).map(|_| ()).map_err(|error| error.kind()),
        frozen.compact().map_err(|error| error.kind()),
        frozen.maintain().map_err(|error| error.kind()),
        take(&frozen, Arc::new(story.run.disk.clone()), "b/two").map(|_| ()).map_err(|error| error.kind()),
    ];
    assert_eq!(kinds, [Err(ErrorKind::Unsupported); 5]);
    assert_eq!((frozen.flush(), frozen.sync()).0.map_err(|error| error.kind()), Ok(()));
    assert_eq!(frozen.health(), crate::engine::health::Health::Good);
    assert_eq!(frozen.verify_rollups().expect("a report").wrong_windows, 0);
    assert!(frozen.verify().is_empty());
    frozen.close().expect("nothing to do");
    drop(frozen);
    assert_eq!(story.run.disk.files(), files, "nothing was written");
}

#[test]
fn a_restored_volume_goes_on_where_the_backup_ends() {
    // Goal: the same answers at each later time, absolute expiries, further writes, and a clone is another volume.
    let deeds = [Do(Act::Group(5)), Do(Act::Flush), Do(Act::Group(3)), Do(Act::Delete(1)), Snapshot("b/one")];
    let mut story = after(FaultyDisk::default(), &[&deeds[..], &[Do(Act::Group(4)), Restore("b/one", "r")]].concat());
    story.check_restored("b/one", "r", &[0, 70, 90_000, 4_000_000]).expect("the same as then");
    let disk = story.run.disk.clone();
    Engine::restore(&disk, Path::new("b/one"), Path::new("c"), Identity::New, &mut |_, _| {}).expect("a clone");
    let engine = story.open(Path::new("c"), "b/one").expect("a volume");
    assert_eq!(engine.format.lineage, story.run.engine().format.lineage);
    assert_ne!(engine.format.volume, story.run.engine().format.volume);
    let before = engine.stats().sequence;
    let receipt = engine.write(&batch_at(20, 0, story.run.history.now)).expect("it can be written");
    assert_eq!(receipt.sequence, before.next());
    engine.compact().expect("and merged");
    engine.close().expect("and closed");
    story.check_backups().expect("what was cloned does not know");
    story.perform(Do(Act::Compact));
    story.run.check(true).expect("nor does the store");
}

#[test]
fn what_cannot_be_a_backup_or_a_place_for_one_is_refused() {
    let mut story = after(FaultyDisk::default(), &[Do(Act::Group(3)), Snapshot("b/one"), Restore("b/one", "r")]);
    let disk: Arc<dyn Disk> = Arc::new(story.run.disk.clone());
    let files = story.run.disk.files();
    let engine = story.run.engine().clone();
    let taken = |target: &str| take(&engine, disk.clone(), target).map(|_| ()).map_err(|e| e.kind());
    let long = format!("b/{}", "n".repeat(129));
    for target in ["b/one", "b/.two", "b/two.tmp", "b/t wo", "b/..", "", "b/LOCK", &*long] {
        assert_eq!(taken(target), Err(ErrorKind::InvalidInput), "{target}");
    }
    let restored = |from: &str, to: &str| restore(&*disk, from, to);
    for (from, to) in [("b/none", "x"), ("v", "x"), ("b/one", "r"), ("b/one", "v"), ("b/one", "b")] {
        let kind = restored(from, to).map_err(|error| error.kind());
        assert_eq!(kind, Err(ErrorKind::InvalidInput), "{from} to {to}");
    }
    for target in ["b/none", "v", "none/one"] {
        let removed = backup::remove(disk.clone(), Path::new(target)).map_err(|error| error.kind());
        assert_eq!(removed, Err(ErrorKind::InvalidInput), "{target}");
    }
    let settings = clocked(story.run.history.now, Durability::Sync, 1 << 12).1;
    let opened = Engine::open(disk.clone(), Path::new("b/one"), settings).map(|_| ()).map_err(|error| error.kind());
    assert_eq!(opened, Err(ErrorKind::Unsupported), "a backup is no volume to write into");
    assert_eq!(story.run.disk.files(), files, "nothing was left in any place");
    let claimed = backup::Folder::claim(disk, Path::new("b/two")).expect("it is free");
    story.perform(Snapshot("b/two"));
    assert_eq!(story.trouble.take().map(|error| error.kind()), Some(ErrorKind::Locked));
    drop(claimed);
    story.perform(Snapshot("b/two"));
    assert!(story.trouble.is_none());
}

#[test]
fn the_second_backup_of_an_unchanged_store_copies_no_segment_bytes() {
    // Goal: whole to restore, incremental to store. Method: count what is written, on one disk, on two, and on
    // disks without links.
    let fill = [Do(Act::Write(2_000)), Do(Act::Flush), Do(Act::Group(3)), Do(Act::Flush)];
    for links in [Links::Everywhere, Links::WithinFolder, Links::Nowhere] {
        let mut story = after(FaultyDisk::default().with_links(links), &fill);
        let mut cost = |name: &'static str| {
            let before = story.run.disk.bytes_written();
            story.perform(Snapshot(name));
            let list = story.run.disk.files();
            let own = |file: &str| list.iter().find(|(path, _)| *path == Path::new(name).join(file)).expect("a file").1;
            let own: usize = ["BACKUP", "FORMAT", "MANIFEST"].iter().map(|file| own(file)).sum();
            story.run.disk.bytes_written() - before - own as u64
        };
        let segments = |of: &Contents| of.files.iter().filter(|f| f.is_segment()).map(|f| f.bytes).sum::<u64>();
        let first = cost("b/one");
        let second = cost("b/two");
        let all = segments(&contents(&story.run.disk, "b/one"));
        assert!(all > 1_000);
        assert_eq!(contents(&story.run.disk, "b/one").files, contents(&story.run.disk, "b/two").files);
        let costs = match links {
            Links::Everywhere => (0, 0),
            Links::WithinFolder => (all, 0),
            Links::Nowhere => (all, all),
        };
        assert_eq!((first, second), costs, "{links:?}");
        story.check_backups().expect("both are whole");
    }
}

#[test]
fn a_number_that_means_another_file_since_a_restoring_is_copied() {
    // Goal: what is shared is decided by bytes. Method: take a backup, go on, take another one, restore the first in place
    // of the store, go on in another way, and take a third.
    let deeds = [Do(Act::Group(3)), Snapshot("b/one"), Do(Act::Write(3)), Snapshot("b/two"), Restore("b/one", "r")];
    let story = after(FaultyDisk::default().with_links(Links::WithinFolder), &deeds);
    let engine = story.open(Path::new("r"), "b/one").expect("a volume");
    engine.write(&batch_at(50, 4, story.run.history.now)).expect("it is stored");
    let disk: Arc<dyn Disk> = Arc::new(story.run.disk.clone());
    take(&engine, disk.clone(), "b/three").expect("a backup");
    let [two, three] = ["b/two", "b/three"].map(|name| contents(&story.run.disk, name));
    let is_other = |file: &backup::File| two.files.iter().any(|other| other.name == file.name && other != file);
    assert!(three.files.iter().filter(|file| file.is_segment()).any(is_other), "the numbers were given again");
    for name in ["b/one", "b/two", "b/three"] {
        assert_eq!(Engine::verify_backup(&disk, Path::new(name)).first().map(ToString::to_string), None, "{name}");
    }
    backup::remove(disk, Path::new("b/three")).expect("removed");
    story.check_backups().expect("the first two are what they were");
}

#[test]
fn every_flipped_bit_of_a_backup_is_found_and_keeps_it_from_being_restored() {
    // Method: flip a bit of each byte of each file, verify, restore; then put it back.
    let story = after(FaultyDisk::default(), &[Do(Act::Group(2)), Do(Act::Delete(0)), Snapshot("b/one")]);
    let disk = story.run.disk.clone();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let backup = Path::new("b/one");
    assert!(Engine::verify_backup(&shared, backup).is_empty());
    let inside: Vec<(PathBuf, usize)> = disk.files().into_iter().filter(|(path, _)| path.starts_with(backup)).collect();
    let mut flips = 0;
    for (path, len) in &inside {
        for at in 0..*len {
            let flip = |bytes: &mut Vec<u8>| bytes[at] ^= 1 << (at % 8);
            disk.damage(path, flip);
            let found = Engine::verify_backup(&shared, backup);
            assert!(found.iter().any(crate::error::Error::is_corruption), "{} at {at}: {found:?}", path.display());
            if at % 16 == 0 {
                let target = format!("r{flips}");
                let restored = restore(&disk, backup, &target);
                assert!(restored.is_err_and(|error| error.is_corruption()), "{} at {at}", path.display());
                let is_nothing = disk.list(Path::new(&target)).is_err();
                let opened = Engine::open(shared.clone(), Path::new(&target), story.settings_at("b/one"));
                assert!(opened.is_err() || is_nothing, "{} at {at}", path.display());
            }
            disk.damage(path, flip);
            flips += 1;
        }
    }
    println!("{flips} flips in {} files", inside.len());
    assert!(inside.len() >= 6 && flips > 2_000, "{flips} flips in {inside:?}");
    for (path, _) in inside.iter().filter(|(path, _)| path.file_name().is_some_and(|name| name != layout::BACKUP)) {
        let bytes = disk.read(path, u64::MAX).expect("it is there");
        disk.lose(path);
        assert!(!Engine::verify_backup(&shared, backup).is_empty(), "{} is lost", path.display());
        crate::backup::files::put(&disk, path, &bytes).expect("it is back");
    }
    assert!(Engine::verify_backup(&shared, backup).is_empty());
}

#[test]
fn a_damaged_store_makes_no_backup_and_a_damaged_list_is_told() {
    // Goal: rot is found when a segment is first taken into a backup, and when it was sound in the one before.
    let fill = [Do(Act::Group(3)), Do(Act::Flush)];
    for before in [&[][..], &[Snapshot("b/one")]] {
        let mut story = after(FaultyDisk::default(), &[&fill, before].concat());
        let files = story.run.disk.files();
        let (segment, _) = files.iter().find(|(path, _)| path.starts_with("v/segments")).expect("a segment");
        story.run.disk.damage(segment, |bytes| bytes[60] ^= 1);
        story.perform(Snapshot("b/two"));
        let error = story.trouble.take().expect("it is seen");
        assert!(error.is_corruption(), "{error}");
        assert!(
            story.run.disk.files().iter().all(|(path, _)| !path.starts_with("b/two.backup.tmp")),
            "no draft is left"
        );
        assert_eq!(backup::list(&story.run.disk, Path::new("b")).expect("a list").list.len(), before.len());
    }
    let story = after(FaultyDisk::default(), &[&fill[..], &[Snapshot("b/one"), Snapshot("b/two")]].concat());
    story.run.disk.damage(Path::new("b/one/BACKUP"), |bytes| bytes[40] ^= 1);
    let backups = backup::list(&story.run.disk, Path::new("b")).expect("a list");
    assert_eq!((backups.list.len(), backups.damaged.len()), (1, 1));
    let disk: Arc<dyn Disk> = Arc::new(story.run.disk.clone());
    backup::remove(disk.clone(), Path::new("b/one")).expect("it can be removed all the same");
    assert!(backup::list(&*disk, Path::new("b")).expect("a list").damaged.is_empty());
}

#[test]
fn a_backup_that_has_gone_bad_does_not_make_the_next_one_so() {
    // Goal: where backups cannot share files with the store but with each other, one that is rotten or gone is copied anew.
    type Harm = fn(&FaultyDisk, &Path);
    let harms: [Harm; 2] = [|disk, path| disk.damage(path, |bytes| bytes[60] ^= 1), FaultyDisk::lose];
    for harm in harms {
        let disk = FaultyDisk::default().with_links(Links::WithinFolder);
        let mut story = after(disk, &[Do(Act::Group(3)), Snapshot("b/one")]);
        let files = story.run.disk.files();
        let (segment, _) = files.iter().find(|(path, _)| path.starts_with("b/one/segments")).expect("a segment");
        harm(&story.run.disk, segment);
        story.perform(Snapshot("b/two"));
        assert!(story.trouble.is_none(), "{:?}", story.trouble);
        let disk: Arc<dyn Disk> = Arc::new(story.run.disk.clone());
        assert!(!Engine::verify_backup(&disk, Path::new("b/one")).is_empty());
        assert!(Engine::verify_backup(&disk, Path::new("b/two")).is_empty());
    }
}

#[test]
fn a_store_in_memory_is_copied_and_its_windows_keep_their_tiers() {
    // Method: between two disks in memory; the tiers of the settings are not those that FORMAT has.
    let story = after(FaultyDisk::default(), &[]);
    let settings = clocked(story.run.history.now, Durability::Sync, 1 << 12).1;
    let files: Arc<MemoryDisk> = Arc::default();
    let first = Engine::open(files.clone(), Path::new("memory"), settings.clone()).expect("a new volume");
    first.close().expect("closed");
    let mut own = settings.clone();
    own.rollup.tiers.remove(0);
    own.own_tiers = Some(own.rollup.tiers.clone());
    let engine = Engine::open(files, Path::new("memory"), own).expect("the volume");
    for number in 1..4 {
        engine.write(&batch_at(number, 0, story.run.history.now)).expect("it is stored");
    }
    let elsewhere: Arc<dyn Disk> = Arc::new(MemoryDisk::default());
    let backup = take(&engine, elsewhere.clone(), "b/one").expect("a backup");
    assert_eq!((backup.sequence.0, backup.taken_at), (3, story.run.history.now));
    let frozen = Engine::open_frozen(elsewhere.clone(), Path::new("b/one")).expect("it opens");
    let windows = |engine: &Engine| -> Result<Vec<(i64, u64)>> {
        let mut all = Vec::new();
        for key in engine.series(&Selector::all()) {
            let windows = engine.windows(&key, TimeRange::ALL, Duration::from_secs(3_600), 1_000)?;
            all.extend(windows.iter().map(|window| (window.start.as_millis(), window.count())));
        }
        Ok(all)
    };
    assert_eq!(windows(&frozen).expect("windows"), windows(&engine).expect("windows"));
    assert_eq!(frozen.rollup.tiers, engine.rollup.tiers);
    backup::remove(elsewhere.clone(), Path::new("b/one")).expect("removed");
    assert!(backup::list(&*elsewhere, Path::new("b")).expect("a list").list.is_empty());
}
