//! Single faults of flush and compaction: what is said of them, what goes on, and what is left behind.

use std::io;

use crate::engine::health::Health;
use crate::engine::simulation::batches::Life;
use crate::engine::simulation::model::{Fate, History};
use crate::engine::simulation::{Act, Run, Workload};
use crate::env::faulty::{Fault, FaultyDisk, Image, Trouble};
use crate::error::ErrorKind;
use crate::model::durability::Durability;

/// A volume to which this was done, on a sound disk.
fn after(acts: &[Act], head_bytes_max: usize) -> (Workload, Run) {
    let name = "jobs";
    let workload =
        Workload { name, durability: Durability::Sync, log_file_bytes: 1 << 10, head_bytes_max, acts: vec![] };
    let (mut run, opened) = Run::start(FaultyDisk::default(), &workload, History::default());
    opened.expect("a sound disk");
    for act in acts {
        run.act(*act);
    }
    assert!(run.trouble.is_none(), "{:?}", run.trouble);
    (workload, run)
}

/// From the next operation but `n` on, something goes wrong.
fn fail(run: &Run, n: u64, what: Trouble) {
    let _same = run.disk.clone().with_fault(Fault { at: run.disk.operations() + 1 + n, what });
}

#[test]
fn a_failed_commit_of_the_manifest_ends_writing_and_reads_go_on() {
    // Goal: nothing is built upon a manifest that nobody knows. Method: let each step of a flush fail; where that is
    // final, write, read, flush again, open again.
    let mut finals = 0;
    for n in 0..60 {
        let (_, mut run) = after(&[Act::Group(3), Act::Flush, Act::Write(0), Act::Freeze, Act::Write(0)], 1 << 20);
        fail(&run, n, Trouble::Fail(io::ErrorKind::Other));
        run.act(Act::Maintain);
        if !matches!(run.engine().health(), Health::Failed(_)) {
            continue;
        }
        finals += 1;
        let kind = run.trouble.take().map(|error| error.kind());
        assert_eq!(kind, Some(ErrorKind::Failed), "step {n}");
        run.act(Act::Write(0));
        assert_eq!(run.history.fates().last(), Some(&Fate::Refused), "step {n}");
        run.check(true).expect("reads go on");
        let files = run.disk.files().len();
        for act in [Act::Flush, Act::Maintain, Act::Compact] {
            run.act(act);
        }
        assert_eq!(run.disk.files().len(), files, "step {n}: what cannot become true is not written");
        run.act(Act::Reopen);
        run.check(true).and_then(|_| run.check_files()).expect("opening anew heals");
        run.trouble = None;
        run.act(Act::Compact);
        assert!(run.trouble.is_none(), "step {n}: {:?}", run.trouble);
    }
    assert!(finals >= 2 && finals % 2 == 0, "of each commit the renaming, and the sync of the folder: {finals}");
}

#[test]
fn a_full_disk_stops_flush_and_merge_and_everything_goes_on_once_there_is_space() {
    // Goal: `Degraded` while it lasts, nothing left behind, and nothing more is needed than space.
    let jobs: [(&[Act], Act); 2] = [
        (&[Act::Group(3), Act::Flush, Act::Write(0), Act::Freeze], Act::Maintain),
        (&[Act::Write(0), Act::Flush, Act::Write(0), Act::Flush, Act::Write(0), Act::Flush], Act::Compact),
    ];
    for (acts, job) in jobs {
        let mut failed = 0;
        for n in 0..120 {
            let (_, mut run) = after(acts, 1 << 20);
            fail(&run, n, Trouble::Full);
            run.act(job);
            let Some(error) = run.trouble.take() else { break };
            failed += 1;
            assert_eq!(error.kind(), ErrorKind::NoSpace, "{job:?} at {n}: {error}");
            let health = run.engine().health();
            assert!(matches!(health, Health::Degraded(_)), "{job:?} at {n}: {health:?}, {error}");
            run.check(true).and_then(|_| run.check_files()).unwrap_or_else(|why| panic!("{job:?} at {n}: {why}"));
            run.disk.heal();
            for act in [Act::Write(0), job] {
                run.act(act);
            }
            assert!(run.trouble.is_none(), "{job:?} at {n}: {:?}", run.trouble);
            assert_eq!(run.engine().health(), Health::Good);
            run.check(true).and_then(|_| run.check_files()).unwrap_or_else(|why| panic!("{job:?} at {n}: {why}"));
        }
        assert!(failed > 10, "{job:?} has more steps that need space than {failed}");
    }
}

#[test]
fn a_writer_that_flushes_a_full_head_itself_goes_on_once_there_is_space() {
    // Method: segments find no room until the head is full, while the log's files have theirs.
    let (_, mut run) = after(&[Act::Write(0)], 20 << 10);
    fail(&run, 0, Trouble::Full);
    (0..60).for_each(|_| run.act(Act::Write(4)));
    run.check(true).expect("the refused batches are not there");
    assert_eq!(run.history.fates().last(), Some(&Fate::Refused));
    run.disk.heal();
    run.trouble = None;
    (0..60).for_each(|_| run.act(Act::Write(4)));
    assert!(run.trouble.is_none(), "{:?}", run.trouble);
    run.check(true).and_then(|_| run.check_files()).expect("all there");
}

#[test]
fn what_the_disk_cannot_finish_is_not_started_and_what_is_dead_goes_all_the_same() {
    // Goal: a disk that is nearly full is not filled by merging; dropping needs no space and gives some back.
    let acts = [Act::Group(4), Act::Flush, Act::Overwrite(Life::None), Act::Flush, Act::Group(4), Act::Flush];
    let (_, mut run) = after(&acts, 1 << 20);
    let listed = |run: &Run| run.engine().view.read().shelf.version.segments.len();
    let before = listed(&run);
    run.disk.set_free_bytes(16 << 20);
    run.act(Act::Compact);
    assert_eq!((listed(&run), run.engine().stats().bytes_rewritten), (before, 0), "nothing is merged");
    run.act(Act::Advance(7_200));
    run.act(Act::Maintain);
    run.act(Act::Compact);
    let dropped = listed(&run);
    assert!(dropped < before, "what is dead is dropped");
    run.check(true).and_then(|_| run.check_files()).expect("nothing else happened");
    run.disk.set_free_bytes(17 << 20);
    run.act(Act::Compact);
    assert!(listed(&run) < dropped, "now there is room to merge");
    run.check(true).and_then(|_| run.check_files()).expect("the same points");
}

#[test]
fn an_opening_that_fails_changes_nothing() {
    // Method: let each read of an opening fail, and let the power stay: no file has changed, no number grown.
    let acts = [Act::Group(3), Act::Flush, Act::Write(3), Act::Freeze, Act::Write(3), Act::Write(0)];
    let (workload, run) = after(&acts, 1 << 20);
    // The first opening writes the log's last file anew.
    let (sealed, opened) = Run::start(run.disk.after_power_cut(Image::All), &workload, run.history.clone());
    opened.expect("a sound disk");
    let reads = 1..;
    for at in reads {
        let disk = sealed.disk.after_power_cut(Image::All);
        let before = disk.files();
        let disk = disk.with_read_fault(Fault { at, what: Trouble::Fail(io::ErrorKind::Other) });
        let (again, opened) = Run::start(disk, &workload, run.history.clone());
        let is_past = again.disk.reads() < at;
        if opened.is_err() {
            assert_eq!(again.disk.files(), before, "read {at}");
        }
        if is_past {
            assert!(at > 20, "an opening reads more often than {at} times");
            return;
        }
    }
}
