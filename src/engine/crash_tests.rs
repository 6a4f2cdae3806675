//! A power cut at every I/O step of short workloads, in four images of what the disk kept. Method: run the workload on
//! a disk that stops at step n, take images, open each, hold it against what was acknowledged, then crash again.

use crate::engine::simulation::batches::batch;
use crate::engine::simulation::model::{Fate, History};
use crate::engine::simulation::{Act, Run, Workload, workloads};
use crate::env::dice::Dice;
use crate::env::faulty::{Fault, FaultyDisk, Image, Trouble};

/// The seed when the environment names none.
const SEED: u64 = 20_261_121;
/// Random images of each kind at each step.
const RANDOM_IMAGES: u64 = 2;
/// One state in this many crashes again at each step of its recovery.
const CRASH_AGAIN_EVERY: u64 = 16;
/// What CI has to reach, for the log and for segments: 50,000 together.
const STATES_MIN: [u64; 2] = [15_000, 35_000];

/// Runs a workload until the power goes at step `stop`; `None` when it ended before.
fn run_until(workload: &Workload, stop: u64) -> Option<Run> {
    let fault = |at| Fault { at, what: Trouble::Stop };
    let (mut run, _opened) = Run::start(FaultyDisk::default().with_fault(fault(stop)), workload, History::default());
    let mut steps_before = 0;
    for &act in &workload.acts {
        if run.disk.is_stopped() {
            break;
        }
        if let Act::PowerCut(image) = act {
            // The steps go on counting on the disk that comes back.
            steps_before += run.disk.operations();
            let disk = run.disk.after_power_cut(image).with_fault(fault(stop - steps_before));
            let history = std::mem::take(&mut run.history);
            let opened;
            (run, opened) = Run::start(disk, workload, history);
            if opened.is_ok() {
                run.adopt().unwrap_or_else(|why| panic!("{}: {act:?}: {why}", workload.name));
            }
        } else {
            run.act(act);
        }
        if let Some(error) = run.trouble.as_ref().filter(|_| !run.disk.is_stopped()) {
            panic!("{}: {act:?}: {error}", workload.name);
        }
    }
    run.disk.is_stopped().then_some(run)
}

/// Opens what is left, checks it, goes on, and loses power twice more; then time passes. `variant` says how it goes on.
fn recover(workload: &Workload, disk: &FaultyDisk, history: &History, variant: u64) -> Result<(), String> {
    let (mut run, opened) = Run::start(disk.after_power_cut(Image::All), workload, history.clone());
    opened.map_err(|error| format!("cannot be opened: {error}"))?;
    let recovery = run.engine().recovery();
    if !recovery.damage.is_empty() {
        return Err(format!("a power cut is told as damage: {:?}", recovery.damage));
    }
    run.adopt()?;
    check_files(&run)?;
    // What was shown once is there for good.
    let (mut run, opened) = Run::start(run.disk.after_power_cut(Image::Nothing), workload, run.history.clone());
    opened.map_err(|error| format!("cannot be opened again: {error}"))?;
    run.check(false).map_err(|why| format!("after a second cut {why}"))?;
    let acts = [Act::Flush, Act::Maintain, Act::Compact, Act::Freeze, Act::Delete(variant)];
    let on = acts[usize::try_from(variant % 5).expect("one of five")];
    for act in [Act::WriteSync, Act::Write(1), on] {
        run.act(act);
    }
    if let Some(error) = &run.trouble {
        return Err(format!("going on: {error}"));
    }
    run.check(true).map_err(|why| format!("going on with {on:?}: {why}"))?;
    check_files(&run)?;
    let (mut run, opened) = Run::start(run.disk.after_power_cut(Image::Subset(1)), workload, run.history.clone());
    opened.map_err(|error| format!("cannot be opened a third time: {error}"))?;
    run.adopt().map_err(|why| format!("after a third cut {why}"))?;
    check_files(&run)?;
    for seconds in [70, 7_200, 90_000, 4_000_000] {
        run.act(Act::Advance(seconds));
        run.check(true).map_err(|why| format!("{seconds} s later {why}"))?;
        if variant.is_multiple_of(8) {
            run.act(Act::Compact);
            run.check(true).map_err(|why| format!("compacted {seconds} s later {why}"))?;
        }
    }
    Ok(())
}

/// Demands that the directory holds what is true, whole, and nothing else.
fn check_files(run: &Run) -> Result<(), String> {
    run.check_files()?;
    match run.engine().verify().first() {
        None => Ok(()),
        Some(error) => Err(format!("verify: {error}")),
    }
}

/// The power goes again at every step of recovery.
fn crash_in_recovery(
    workload: &Workload,
    image: &FaultyDisk,
    history: &History,
    dice: &mut Dice,
) -> Result<u64, String> {
    let mut states = 0;
    for stop in 1.. {
        let disk = image.after_power_cut(Image::All).with_fault(Fault { at: stop, what: Trouble::Stop });
        let (run, opened) = Run::start(disk, workload, history.clone());
        if opened.is_ok() {
            return Ok(states);
        }
        let again = run.disk.after_power_cut(Image::Subset(dice.roll()));
        recover(workload, &again, history, stop).map_err(|why| format!("step {stop} of recovery: {why}"))?;
        states += 1;
    }
    Ok(states)
}

/// Cuts the power at every step of every workload.
fn crash_everywhere(workloads: &[Workload], states_min: u64) {
    let seed = std::env::var("EBBTIDE_SEED").map_or(SEED, |seed| seed.parse().expect("EBBTIDE_SEED is a number"));
    println!("EBBTIDE_SEED={seed}");
    let mut dice = Dice::new(seed);
    let mut states = 0;
    for workload in workloads {
        let before = states;
        let mut steps = 0;
        for stop in 1.. {
            let Some(run) = run_until(workload, stop) else { break };
            steps = stop;
            let mut images = vec![Image::Nothing, Image::All];
            images.extend((0..RANDOM_IMAGES).map(|_| Image::Subset(dice.roll())));
            images.extend((0..RANDOM_IMAGES).map(|_| Image::Reordered(dice.roll())));
            for image in images {
                let told = |why| panic!("{}, step {stop}, {image:?}: {why}", workload.name);
                let disk = run.disk.after_power_cut(image);
                recover(workload, &disk, &run.history, states).unwrap_or_else(told);
                states += 1;
                if states.is_multiple_of(CRASH_AGAIN_EVERY) {
                    let told = |why| panic!("{}, step {stop}, {image:?}: {why}", workload.name);
                    states += crash_in_recovery(workload, &disk, &run.history, &mut dice).unwrap_or_else(told);
                }
            }
        }
        println!("{:30} {steps:4} steps, {:6} crash states", workload.name, states - before);
    }
    println!("{states} crash states, 0 violations");
    assert!(states >= states_min, "{states} states are too few");
}

#[test]
fn acknowledged_batches_survive_a_power_cut_at_every_step_of_the_log() {
    // Goal: after any crash the acknowledged batches are all there and no batch is there in part.
    crash_everywhere(&workloads::of_the_log(), STATES_MIN[0]);
}

#[test]
fn a_power_cut_at_every_step_of_flush_and_compaction_loses_nothing_and_brings_nothing_back() {
    // Goal: flush, commit, trim, merge, fold, drop, delete, rebuild are all or nothing; no file is left behind.
    crash_everywhere(&workloads::of_segments(), STATES_MIN[1]);
}

#[test]
fn the_oracle_finds_a_promise_that_was_not_kept() {
    // Goal: the check itself bites. Method: judge a buffered history as if every acknowledgement had been durable.
    let listed = workloads::of_the_log();
    let workload = listed.iter().find(|each| each.name == "rotate, buffered").expect("it is listed");
    let found = (1..).map_while(|stop| run_until(workload, stop)).any(|run| {
        let mut history = run.history.clone();
        for (_, fate) in history.entries.iter_mut().filter(|(_, fate)| *fate == Fate::Written) {
            *fate = Fate::Durable;
        }
        recover(workload, &run.disk.after_power_cut(Image::Nothing), &history, 0).is_err()
    });
    assert!(found, "acknowledging before the sync must be seen");
    assert!(batch(4, 0).len() > batch(1, 0).len(), "batches differ, so that a half one shows");
}
