//! An error at every I/O step of short workloads: a short write, a full disk, a failed sync, a failed read, once and for
//! ever. Method: the workload goes on as a program would; then the process ends in one way or another and the volume is
//! opened anew.

mod cases;
mod jobs;
mod reads;

use std::io;

use crate::engine::health::Health;
use crate::engine::simulation::model::History;
use crate::engine::simulation::{Act, Run, Workload, workloads};
use crate::env::dice::Dice;
use crate::env::faulty::{Fault, FaultyDisk, Image, Trouble};

/// What CI has to reach, for the log and for segments.
const RUNS_MIN: [u64; 2] = [20_000, 50_000];

/// Runs the workload with a fault; `None` when it ended before the fault's turn.
fn run_with(workload: &Workload, fault: Fault) -> Option<Run> {
    let (mut run, _opened) = Run::start(FaultyDisk::default().with_fault(fault), workload, History::default());
    for &act in &workload.acts {
        let before = run.disk.operations();
        run.act(act);
        if run.engine.is_some() {
            // Where only space is short, whatever could not be written is gone again, as removing works.
            let files = || if fault.what == Trouble::Full { run.check_files() } else { Ok(()) };
            let told = |why| panic!("{}: {fault:?}, after {act:?}: {why}", workload.name);
            run.check(true).and_then(|_| files()).unwrap_or_else(told);
        }
        if (before..run.disk.operations()).contains(&(fault.at - 1)) {
            // The power goes right after the fault, before anything later is synced.
            for image in [Image::Nothing, Image::All, Image::Subset(fault.at)] {
                let told = |why| panic!("{}: {fault:?}, {image:?} after {act:?}: {why}", workload.name);
                open_after(&run, workload, image).unwrap_or_else(told);
            }
        }
    }
    (run.disk.operations() >= fault.at).then_some(run)
}

/// What a power cut leaves of a run is opened, and everything promised is there, and nothing else.
fn open_after(run: &Run, workload: &Workload, image: Image) -> Result<(), String> {
    let (mut again, opened) = Run::start(run.disk.after_power_cut(image), workload, run.history.clone());
    opened.map_err(|error| format!("cannot be opened: {error}"))?;
    again.adopt()?;
    again.check_files()?;
    if let Some(error) = again.engine().verify().first() {
        return Err(format!("verify: {error}"));
    }
    for seconds in [70, 90_000] {
        again.act(Act::Advance(seconds));
        again.check(true).map_err(|why| format!("{seconds} s later {why}"))?;
    }
    Ok(())
}

/// Nothing fails any more: everything goes on, at once or with the next opening.
fn heal(mut run: Run) -> Result<(), String> {
    run.disk.heal();
    let is_failed = |run: &Run| matches!(run.engine().health(), Health::Failed(_));
    if run.engine.is_none() || is_failed(&run) {
        run.act(Act::Reopen);
    }
    run.trouble = None;
    for act in [Act::Write(0), Act::Flush, Act::Maintain, Act::Compact] {
        run.act(act);
        run.check(true).map_err(|why| format!("healed, after {act:?}: {why}"))?;
    }
    if let Some(error) = &run.trouble {
        return Err(format!("healed: {error}"));
    }
    // While the volume could not be opened the clock may have gone far.
    run.engine().believe_clock();
    if run.engine().health() != Health::Good {
        return Err(format!("healed: {:?}", run.engine().health()));
    }
    run.act(Act::Reopen);
    run.check(true)?;
    run.check_files()
}

/// Lets each step of each workload fail in each way.
fn fail_everywhere(workloads: &[Workload], runs_min: u64) {
    let mut dice = Dice::new(1);
    let mut runs = 0;
    let (error, full) = (io::ErrorKind::Other, io::ErrorKind::StorageFull);
    let troubles = [
        Trouble::Fail(error),
        Trouble::Fail(full),
        Trouble::FailForEver(error),
        Trouble::FailForEver(full),
        Trouble::Full,
    ];
    for workload in workloads.iter().filter(|each| each.acts.iter().all(|act| !act.cuts_power())) {
        let before = runs;
        for what in troubles {
            for at in 1.. {
                let fault = Fault { at, what };
                let Some(run) = run_with(workload, fault) else { break };
                for image in [Image::All, Image::Nothing, Image::Subset(dice.roll())] {
                    let told = |why| panic!("{}: {fault:?}, {image:?}: {why}", workload.name);
                    open_after(&run, workload, image).unwrap_or_else(told);
                    runs += 1;
                }
                heal(run).unwrap_or_else(|why| panic!("{}: {fault:?}: {why}", workload.name));
            }
        }
        println!("{:30} {:6} runs with faults", workload.name, runs - before);
    }
    println!("{runs} runs with faults, 0 violations");
    assert!(runs >= runs_min, "{runs} runs are too few");
}

#[test]
fn an_error_at_every_step_of_the_log_loses_nothing_and_shows_nothing_refused() {
    // Goal: acknowledged means there, refused means not there, whatever call failed.
    fail_everywhere(&workloads::of_the_log(), RUNS_MIN[0]);
}

#[test]
fn an_error_at_every_step_of_flush_and_compaction_loses_nothing_and_brings_nothing_back() {
    // Goal: a job that fails has done nothing, leaves nothing behind, and is done later; the log keeps what it had.
    fail_everywhere(&workloads::of_segments(), RUNS_MIN[1]);
}
