//! A read that fails, once or for ever: what is answered is right and says when it is incomplete, and nothing is
//! destroyed for it.

use std::io;

use crate::engine::simulation::model::History;
use crate::engine::simulation::{Act, Run, Workload, workloads};
use crate::env::faulty::{Fault, FaultyDisk, Trouble};

/// What CI has to reach.
const RUNS_MIN: u64 = 3_000;
/// Places in each workload, of some thousands, at which reading fails.
const PLACES: u64 = 150;

/// Runs a workload, on whose disk reading may fail; demands after each act that what is answered was written last, and
/// that an incomplete answer says so.
fn run_on(disk: FaultyDisk, workload: &Workload) -> Result<Run, String> {
    let (mut run, _opened) = Run::start(disk, workload, History::default());
    run.is_partial = true;
    for &act in &workload.acts {
        run.act(act);
        check_partial(&run).map_err(|why| format!("after {act:?}: {why}"))?;
    }
    Ok(run)
}

fn check_partial(run: &Run) -> Result<(), String> {
    if run.engine.is_none() {
        return Ok(());
    }
    let (found, missing) = run.answers()?;
    if !run.history.judge_partial(&found)? && missing.is_none() {
        return Err(format!("points are missing, and nobody says so: {:?}", run.check(true)));
    }
    Ok(())
}

/// Reading works again, and with the next opening everything is there.
fn heal(mut run: Run) -> Result<(), String> {
    run.disk.heal();
    (run.is_partial, run.trouble) = (false, None);
    run.act(Act::Reopen);
    if let Some(error) = run.trouble.as_ref().filter(|_| run.engine.is_none()) {
        return Err(format!("cannot be opened: {error}"));
    }
    run.check(true)?;
    run.check_files()?;
    run.act(Act::Compact);
    run.check(true)?;
    match run.trouble.clone().or_else(|| run.engine().verify().first().cloned()) {
        None => Ok(()),
        Some(error) => Err(format!("healed: {error}")),
    }
}

#[test]
fn a_failed_read_is_told_and_nothing_is_wrong_or_lost_for_it() {
    // Goal: an answer that lacks something says so, one that is wrong is never given; once reading works, all is there.
    let mut runs = 0;
    for workload in workloads::of_segments().iter().filter(|each| each.acts.iter().all(|act| !act.cuts_power())) {
        let reads = run_on(FaultyDisk::default(), workload).expect("a sound disk").disk.reads();
        let step = usize::try_from(reads / PLACES + 1).expect("a short way");
        for what in [Trouble::Fail(io::ErrorKind::Other), Trouble::FailForEver(io::ErrorKind::Other)] {
            for at in (1..=reads).step_by(step) {
                let fault = Fault { at, what };
                let run = run_on(FaultyDisk::default().with_read_fault(fault), workload);
                let told = |why| panic!("{}: read {fault:?} of {reads}: {why}", workload.name);
                run.and_then(heal).unwrap_or_else(told);
                runs += 1;
            }
        }
    }
    println!("{runs} runs with failed reads, 0 violations");
    assert!(runs >= RUNS_MIN, "{runs} runs are too few");
}
