//! Where backups may lie, what else may lie there, and who is there at the same time.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::backup::{self, files};
use crate::engine::Engine;
use crate::engine::backup_tests::story::{Deed, Story, restore, take, workload};
use crate::engine::backup_tests::{after, contents};
use crate::engine::simulation::batches::{START, batch_at};
use crate::engine::simulation::{Act, Run, clocked};
use crate::env::disk::Disk;
use crate::env::faulty::{Fault, FaultyDisk, Image, Trouble};
use crate::env::layout;
use crate::env::memory::MemoryDisk;
use crate::env::real::RealDisk;
use crate::error::{ErrorKind, Result};
use crate::model::durability::Durability;

use Deed::{Do, Restore, Snapshot};

fn shared(story: &Story) -> Arc<dyn Disk> {
    Arc::new(story.run.disk.clone())
}

/// A volume in memory with two batches: its files cannot be linked to.
fn in_memory() -> Arc<Engine> {
    let settings = clocked(START, Durability::Sync, 1 << 12).1;
    let engine = Engine::open(Arc::<MemoryDisk>::default(), Path::new("memory"), settings).expect("a new volume");
    for number in 1..3 {
        engine.write(&batch_at(number, 0, START)).expect("it is stored");
    }
    engine
}

fn kind<T>(result: Result<T>) -> std::result::Result<(), ErrorKind> {
    result.map(drop).map_err(|error| error.kind())
}

#[test]
fn a_name_with_a_slash_behind_it_is_the_same_name() {
    let story = after(FaultyDisk::default(), &[Do(Act::Group(2))]);
    let disk = shared(&story);
    let backup = take(story.run.engine(), disk.clone(), "b/one/").expect("a backup");
    assert_eq!(backup.path, Path::new("b/one"));
    assert_eq!(backup::list(&*disk, Path::new("b")).expect("a list").list, [backup]);
    backup::remove(disk.clone(), Path::new("b/one/")).expect("removed");
    assert!(disk.list(Path::new("b")).expect("the folder").is_empty());
}

#[test]
fn names_that_some_file_systems_take_for_the_same_are_not_given_twice() {
    let story = after(FaultyDisk::default(), &[Do(Act::Group(2)), Snapshot("b/one")]);
    let files = story.run.disk.files();
    assert_eq!(kind(take(story.run.engine(), shared(&story), "b/ONE")), Err(ErrorKind::InvalidInput));
    assert_eq!(story.run.disk.files(), files);
}

#[test]
fn no_backup_lies_in_a_backup_or_among_the_files_of_a_volume() {
    // Goal: no sweep, of a volume or of backups, ever meets what is not its own. Volumes that are closed, open, and
    // restored in part.
    let story = after(FaultyDisk::default(), &[Do(Act::Group(2)), Snapshot("b/one"), Restore("b/one", "r")]);
    let disk = shared(&story);
    disk.create_dir(Path::new("part")).expect("a folder");
    files::put(&*disk, Path::new("part/RESTORE.tmp"), b"b/one").expect("a mark");
    let files = story.run.disk.files();
    for place in ["r", "r/segments", "r/wal", "v", "v/wal", "v/segments", "b/one", "b/one/segments", "part"] {
        let taken = take(story.run.engine(), disk.clone(), Path::new(place).join("x"));
        assert_eq!(kind(taken), Err(ErrorKind::InvalidInput), "{place}");
    }
    assert_eq!(story.run.disk.files(), files, "nothing was left in any place");
    // A folder of its own in a volume's directory is as good as any.
    let inside = take(story.run.engine(), disk.clone(), "v/backups/one").expect("a backup");
    story.run.engine().close().expect("closed");
    let opened = story.open(Path::new("v"), "b/one").expect("it opens");
    assert_eq!(kind(take(&opened, disk.clone(), "v/backups/two")), Ok(()));
    assert_eq!(backup::list(&*disk, Path::new("v/backups")).expect("a list").list[0], inside);
}

#[test]
fn what_is_no_part_of_a_backup_is_not_removed_with_one_and_is_in_nobody_elses_way() {
    // Method: somebody's file in a backup, in what a crash has left of one, and a volume that has such a name.
    let mut story = after(FaultyDisk::default(), &[Do(Act::Group(2)), Snapshot("b/one")]);
    let disk = shared(&story);
    files::put(&*disk, Path::new("b/one/photo"), b"dear").expect("a file");
    assert_eq!(kind(backup::remove(disk.clone(), Path::new("b/one"))), Err(ErrorKind::InvalidInput));
    story.check_backups().expect("it is there as it was");
    for draft in ["b/two.backup.tmp", "b/two.backup.tmp/segments"] {
        disk.create_dir(Path::new(draft)).expect("a folder");
    }
    for file in ["b/two.backup.tmp/segments/000001.pts", "b/two.backup.tmp/photo"] {
        files::put(&*disk, Path::new(file), b"dear").expect("a file");
    }
    restore(&*disk, "b/one", "b/three.backup.tmp").expect("a volume");
    let files = story.run.disk.files();
    story.perform(Snapshot("b/last"));
    assert!(story.trouble.is_none(), "{:?}", story.trouble);
    let now = story.run.disk.files();
    assert!(files.iter().filter(|(path, _)| path.starts_with("b")).all(|file| now.contains(file)), "all of it stays");
    assert_eq!(kind(take(story.run.engine(), disk.clone(), "b/two")), Err(ErrorKind::InvalidInput));
    story.check_restored("b/one", "b/three.backup.tmp", &[0]).expect("the volume is whole");
    disk.remove(Path::new("b/two.backup.tmp/photo")).expect("moved away");
    assert_eq!(kind(take(story.run.engine(), disk.clone(), "b/two")), Ok(()));
}

#[test]
fn a_directory_that_was_restored_into_in_part_and_has_more_is_refused() {
    let mut story = after(FaultyDisk::default(), &[Do(Act::Group(2)), Snapshot("b/one")]);
    let disk = shared(&story);
    disk.create_dir(Path::new("r")).expect("a folder");
    for name in [layout::RESTORE, layout::MANIFEST, "FORMAT.tmp", "photo.tmp"] {
        files::put(&*disk, &Path::new("r").join(name), b"dear").expect("a file");
    }
    let files = story.run.disk.files();
    assert_eq!(kind(restore(&*disk, "b/one", "r")), Err(ErrorKind::InvalidInput));
    assert_eq!(story.run.disk.files(), files);
    disk.remove(Path::new("r/photo.tmp")).expect("moved away");
    story.perform(Restore("b/one", "r"));
    story.check_restored("b/one", "r", &[0]).expect("restored");
}

#[test]
fn two_at_a_time_in_one_folder_are_kept_apart_and_two_folders_are_none_of_each_others_business() {
    // Method: take and remove others in the middle of taking one, on each kind of disk. What is under way must not be
    // swept as the rest of a crash.
    let dir = tempfile::tempdir().expect("a directory");
    let story = after(FaultyDisk::default(), &[Do(Act::Group(2))]);
    let (simulated, in_memory) = (story.run.engine(), &in_memory());
    let places: [(&Arc<Engine>, Arc<dyn Disk>, &Path); 3] = [
        (simulated, shared(&story), Path::new("d")),
        (in_memory, Arc::<MemoryDisk>::default(), Path::new("d")),
        (in_memory, Arc::new(RealDisk), dir.path()),
    ];
    for (engine, disk, dir) in places {
        let at = |name: &str| dir.join(name);
        take(engine, disk.clone(), at("b/old")).expect("a backup");
        let mut seen = Vec::new();
        let taken = engine.snapshot(disk.clone(), &at("b/one"), &mut |_, _| {
            seen.push(kind(take(engine, disk.clone(), at("b/two"))));
            seen.push(kind(backup::remove(disk.clone(), &at("b/old"))));
            seen.push(kind(take(engine, disk.clone(), at(&format!("c/{}", seen.len())))));
        });
        taken.expect("a backup");
        let round = [Err(ErrorKind::Locked), Err(ErrorKind::Locked), Ok(())];
        assert!(seen.len() >= 6 && seen.chunks(3).all(|chunk| chunk == round), "{seen:?}");
        let names = disk.list(&at("b")).expect("a folder");
        let names: Vec<&str> = names.iter().map(String::as_str).filter(|name| *name != layout::LOCK).collect();
        assert_eq!(names, ["old", "one"]);
        assert!(Engine::verify_backup(&disk, &at("b/one")).is_empty());
    }
}

#[test]
fn closing_ends_a_backup_under_way() {
    // Goal: who closes need not wait for copies; nothing is listed, nothing is left, and the store is whole.
    let mut story = after(FaultyDisk::default(), &[Do(Act::Group(3)), Do(Act::Flush), Do(Act::Group(2))]);
    let engine = story.run.engine().clone();
    let taken = engine.snapshot(shared(&story), Path::new("b/one"), &mut |_, _| engine.close().expect("closed"));
    assert_eq!(kind(taken), Err(ErrorKind::Closed));
    drop(engine);
    story.check_drafts().expect("nothing is left");
    story.check_backups().expect("nothing is listed");
    story.perform(Do(Act::Reopen));
    story.run.check(true).expect("everything is there");
}

#[test]
fn a_volume_that_can_only_be_read_makes_no_backup_and_goes_on_being_read() {
    // Goal: what could not be flushed is not left out in silence. Method: open on a full disk after a power cut.
    let before = after(FaultyDisk::default(), &[Do(Act::Group(3))]);
    let cut = before.run.disk.after_power_cut(Image::All);
    // The folders are synced before anything is written.
    let full = Fault { at: 4, what: Trouble::FailForEver(io::ErrorKind::StorageFull) };
    let (run, opened) = Run::start(cut.with_fault(full), &workload(), before.run.history.clone());
    opened.expect("it can be read");
    assert!(run.engine().recovery().read_only.is_some());
    let elsewhere: Arc<dyn Disk> = Arc::<MemoryDisk>::default();
    let taken = take(run.engine(), elsewhere.clone(), "b/one");
    assert_eq!(kind(taken), Err(ErrorKind::Failed));
    assert!(elsewhere.list(Path::new("b")).expect("the folder").is_empty());
    run.check(false).expect("it is read as before");
}

#[test]
fn parts_of_two_backups_are_not_read_as_one() {
    // Method: put MANIFEST, or FORMAT of a clone, of one backup into another; all of them are sound by themselves.
    let deeds = [Do(Act::Group(2)), Snapshot("b/one"), Do(Act::Group(1)), Snapshot("b/two")];
    let story = after(FaultyDisk::default(), &deeds);
    let disk = shared(&story);
    let new = crate::engine::restore::Identity::New;
    Engine::restore(&*disk, Path::new("b/one"), Path::new("c"), new, &mut |_, _| {}).expect("a clone");
    for (from, name) in [("b/two", layout::MANIFEST), ("c", layout::FORMAT)] {
        let own = disk.read(&Path::new("b/one").join(name), u64::MAX).expect("it is there");
        let other = disk.read(&Path::new(from).join(name), u64::MAX).expect("it is there");
        assert_ne!(own, other);
        story.run.disk.damage(&Path::new("b/one").join(name), |bytes| *bytes = other);
        assert_eq!(kind(story.open_frozen("b/one")), Err(ErrorKind::Corruption), "{name}");
        story.run.disk.damage(&Path::new("b/one").join(name), |bytes| *bytes = own);
    }
    story.check_backups().expect("both are what they were");
    assert_eq!(contents(&story.run.disk, "b/one").volume, contents(&story.run.disk, "b/two").volume);
}

#[test]
#[allow(clippy::disallowed_methods, reason = "links are made behind the engine's back")]
fn links_lead_nobody_to_remove_what_lies_elsewhere() {
    // Goal: a link that is named like what a crash left, and leads to a volume, harms nothing; a backup that is a link
    // can be read and removed. On real files.
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name);
    let (engine, disk): (_, Arc<dyn Disk>) = (in_memory(), Arc::new(RealDisk));
    take(&engine, disk.clone(), at("far/one")).expect("a backup");
    restore(&RealDisk, at("far/one"), at("volume")).expect("a volume");
    std::fs::create_dir(at("b")).expect("a folder");
    std::os::unix::fs::symlink(at("volume"), at("b/x.backup.tmp")).expect("a link");
    std::os::unix::fs::symlink(at("far/one"), at("b/one")).expect("a link");
    assert_eq!(kind(take(&engine, disk.clone(), at("b/x"))), Err(ErrorKind::InvalidInput));
    take(&engine, disk.clone(), at("b/two")).expect("a backup");
    let listed = backup::list(&RealDisk, &at("b")).expect("a list").list;
    assert_eq!(listed.iter().map(|backup| backup.path.clone()).collect::<Vec<_>>(), [at("b/one"), at("b/two")]);
    backup::remove(disk.clone(), &at("b/one")).expect("removed");
    assert_eq!(RealDisk.list(&at("far")).expect("a folder"), ["LOCK"]);
    assert_eq!(backup::list(&RealDisk, &at("b")).expect("a list").list.len(), 1);
    let settings = clocked(START, Durability::Sync, 1 << 12).1;
    let volume = Engine::open(disk, &at("volume"), settings).expect("it opens");
    assert!(volume.verify().is_empty() && volume.stats().sequence.0 == 2);
}
