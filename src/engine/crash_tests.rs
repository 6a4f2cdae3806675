//! A power cut at every I/O step of short workloads, in four images of what the disk kept. Method: run the workload on
//! a disk that stops at step n, take images, open each, hold it against what was acknowledged, then crash again.

use crate::engine::simulation::{Act, Fate, Run, Workload, batch};
use crate::env::dice::Dice;
use crate::env::faulty::{Fault, FaultyDisk, Image, Trouble};
use crate::model::durability::Durability;

/// The seed when the environment names none.
const SEED: u64 = 20_261_121;
/// Random images of each kind at each step.
const RANDOM_IMAGES: u64 = 12;
/// One state in this many crashes again at each step of its recovery.
const CRASH_AGAIN_EVERY: u64 = 16;
/// What CI has to reach.
const STATES_MIN: u64 = 20_000;

fn workloads() -> Vec<Workload> {
    use Act::{Group, GroupSync, Kill, PowerCut, Reopen, Sync, Write, WriteSync};
    let small = 1 << 10;
    let workload = |name, durability, log_file_bytes, acts: &[&[Act]]| Workload {
        name,
        durability,
        log_file_bytes,
        acts: acts.concat(),
    };
    let (sync, buffered) = (Durability::Sync, Durability::Buffered);
    vec![
        workload("write", sync, 1 << 13, &[&[Write(0); 24]]),
        workload("rotate", sync, small, &[&[Write(2); 24]]),
        workload("rotate, buffered", buffered, small, &[&[Write(2); 36]]),
        workload("sync now and then", buffered, 1 << 12, &[&[Write(0); 6], &[Sync], &[Write(5); 9], &[Sync, Write(0)]]),
        workload("some ask for more", buffered, small, &[&[Write(0), GroupSync(3), WriteSync, Write(0)].repeat(6)]),
        workload("killed", sync, small, &[&[Write(0), Group(3), Kill, Write(1)].repeat(5)]),
        workload("killed, buffered", buffered, small, &[&[Write(0), Write(4), Kill, Kill, Write(1)].repeat(5)]),
        workload("reopen", sync, small, &[&[Write(0), Write(0), Reopen].repeat(6)]),
        workload("reopen, buffered", buffered, small, &[&[Write(0), Write(3), Reopen, Reopen].repeat(4)]),
        workload("frames longer than a file", sync, 256, &[&[Write(0), Write(60), Write(200)].repeat(4)]),
        workload("group commit", sync, small, &[&[Group(3), Write(0), Group(5)].repeat(5)]),
        workload(
            "crash and go on",
            sync,
            small,
            &[&[Write(0), Group(4), Write(1), PowerCut(Image::Subset(7)), Write(0), PowerCut(Image::All)].repeat(3)],
        ),
        workload(
            "crash and go on, buffered",
            buffered,
            small,
            &[&[Write(0), Group(4), Sync, Write(9), PowerCut(Image::Reordered(3)), Write(0), Group(2)].repeat(3)],
        ),
    ]
}

/// Runs a workload until the power goes at step `stop`; `None` when it ended before.
fn run_until(workload: &Workload, stop: u64) -> Option<Run> {
    let fault = |at| Fault { at, what: Trouble::Stop };
    let (mut run, _opened) = Run::start(FaultyDisk::default().with_fault(fault(stop)), workload, Vec::new());
    let mut steps_before = 0;
    for &act in &workload.acts {
        if run.disk.is_stopped() {
            break;
        }
        if let Act::PowerCut(image) = act {
            // The steps go on counting on the disk that comes back.
            steps_before += run.disk.operations();
            let disk = run.disk.after_power_cut(image).with_fault(fault(stop - steps_before));
            let fates = std::mem::take(&mut run.fates);
            let opened;
            (run, opened) = Run::start(disk, workload, fates);
            if opened.is_ok() {
                run.adopt().unwrap_or_else(|why| panic!("{}: {act:?}: {why}", workload.name));
            }
        } else {
            run.act(act);
        }
    }
    run.disk.is_stopped().then_some(run)
}

/// Opens what is left, checks it, goes on writing, and loses power twice more.
fn recover(workload: &Workload, disk: &FaultyDisk, fates: &[Fate]) -> Result<(), String> {
    let (mut run, opened) = Run::start(disk.after_power_cut(Image::All), workload, fates.to_vec());
    opened.map_err(|error| format!("cannot be opened: {error}"))?;
    let recovery = run.engine.as_ref().ok_or("not open")?.recovery();
    if !recovery.damage.is_empty() {
        return Err(format!("a power cut is told as damage: {:?}", recovery.damage));
    }
    run.adopt()?;
    // What was shown once is there for good.
    let (mut run, opened) = Run::start(run.disk.after_power_cut(Image::Nothing), workload, run.fates);
    opened.map_err(|error| format!("cannot be opened again: {error}"))?;
    run.check(false).map_err(|why| format!("after a second cut {why}"))?;
    run.act(Act::WriteSync);
    run.act(Act::Write(1));
    run.check(true).map_err(|why| format!("writing on: {why}"))?;
    let (run, opened) = Run::start(run.disk.after_power_cut(Image::Subset(1)), workload, run.fates);
    opened.map_err(|error| format!("cannot be opened a third time: {error}"))?;
    run.check(false).map(|_| ()).map_err(|why| format!("after a third cut {why}"))
}

/// The power goes again at every step of recovery.
fn crash_in_recovery(workload: &Workload, image: &FaultyDisk, fates: &[Fate], dice: &mut Dice) -> Result<u64, String> {
    let mut states = 0;
    for stop in 1.. {
        let disk = image.after_power_cut(Image::All).with_fault(Fault { at: stop, what: Trouble::Stop });
        let (run, opened) = Run::start(disk, workload, fates.to_vec());
        if opened.is_ok() {
            return Ok(states);
        }
        let again = run.disk.after_power_cut(Image::Subset(dice.roll()));
        recover(workload, &again, fates).map_err(|why| format!("step {stop} of recovery: {why}"))?;
        states += 1;
    }
    Ok(states)
}

#[test]
fn acknowledged_batches_survive_a_power_cut_at_every_step() {
    // Goal: after any crash the acknowledged batches are all there and no batch is there in part.
    let seed = std::env::var("EBBTIDE_SEED").map_or(SEED, |seed| seed.parse().expect("EBBTIDE_SEED is a number"));
    println!("EBBTIDE_SEED={seed}");
    let mut dice = Dice::new(seed);
    let mut states = 0;
    for workload in workloads() {
        let before = states;
        let mut steps = 0;
        for stop in 1.. {
            let Some(run) = run_until(&workload, stop) else { break };
            steps = stop;
            let mut images = vec![Image::Nothing, Image::All];
            images.extend((0..RANDOM_IMAGES).map(|_| Image::Subset(dice.roll())));
            images.extend((0..RANDOM_IMAGES).map(|_| Image::Reordered(dice.roll())));
            for image in images {
                let told = |why| panic!("{}, step {stop}, {image:?}: {why}", workload.name);
                let disk = run.disk.after_power_cut(image);
                recover(&workload, &disk, &run.fates).unwrap_or_else(told);
                states += 1;
                if states % CRASH_AGAIN_EVERY == 0 {
                    let told = |why| panic!("{}, step {stop}, {image:?}: {why}", workload.name);
                    states += crash_in_recovery(&workload, &disk, &run.fates, &mut dice).unwrap_or_else(told);
                }
            }
        }
        println!("{:28} {steps:4} steps, {:6} crash states", workload.name, states - before);
    }
    println!("{states} crash states, 0 violations");
    assert!(states >= STATES_MIN, "{states} states are too few");
}

#[test]
fn the_oracle_finds_a_promise_that_was_not_kept() {
    // Goal: the check itself bites. Method: judge a buffered history as if every acknowledgement had been durable.
    let workload = workloads().into_iter().find(|each| each.name == "rotate, buffered").expect("it is listed");
    let found = (1..).map_while(|stop| run_until(&workload, stop)).any(|run| {
        let fates: Vec<Fate> =
            run.fates.iter().map(|fate| if *fate == Fate::Written { Fate::Durable } else { *fate }).collect();
        recover(&workload, &run.disk.after_power_cut(Image::Nothing), &fates).is_err()
    });
    assert!(found, "acknowledging before the sync must be seen");
    assert!(batch(4, 0).len() > batch(1, 0).len(), "batches differ, so that a half one shows");
}
