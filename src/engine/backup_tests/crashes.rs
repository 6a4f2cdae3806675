//! A power cut, a kill and an error at every I/O step of taking, restoring and removing backups, by hand and by a policy. Method: as in
//! `crash_tests` and `fault_tests`; what is left is opened, every listed backup is read, held against what the store
//! answered when it was taken, and restored.

use std::io;

use crate::engine::backup_tests::story::{Deed, Left, Story};
use crate::engine::health::Health;
use crate::engine::simulation::Act;
use crate::engine::simulation::batches::Life;
use crate::env::dice::Dice;
use crate::env::faulty::{Fault, FaultyDisk, Image, Links, Trouble};

use Deed::{Do, Remove, Restore, Run, Snapshot};

/// What CI has to reach.
const STATES_MIN: u64 = 4_000;
const STATES_AFTER_KILL_MIN: u64 = 1_200;
const RUNS_MIN: u64 = 5_500;
const READS_MIN: u64 = 400;

/// The stories at each of whose steps something goes wrong.
fn stories() -> [(Links, Vec<Deed>); 4] {
    let busy = [
        [Do(Act::Group(3)), Do(Act::Flush), Do(Act::Write(1))],
        [Snapshot("b/one"), Do(Act::Overwrite(Life::Seconds(60))), Do(Act::Delete(0))],
        [Snapshot("b/two"), Do(Act::Compact), Remove("b/one")],
        [Restore("b/two", "r"), Do(Act::Advance(100)), Snapshot("b/three")],
    ];
    let unchanged = [Do(Act::Group(3)), Snapshot("b/one"), Snapshot("b/two"), Remove("b/one"), Snapshot("b/one")];
    let again =
        [Do(Act::Group(2)), Snapshot("b/one"), Do(Act::Kill), Remove("b/one"), Do(Act::Kill), Snapshot("b/one")];
    let routine = [Run, Do(Act::Group(2)), Run, Snapshot("b/one"), Do(Act::Write(1)), Run, Run];
    [
        (Links::Everywhere, busy.concat()),
        (Links::WithinFolder, unchanged.to_vec()),
        (Links::Everywhere, again.to_vec()),
        (Links::Everywhere, routine.to_vec()),
    ]
}

/// Performs a story up to a fault; whether that came.
fn perform(links: Links, deeds: &[Deed], fault: Fault) -> Option<Story> {
    let mut story = Story::start(FaultyDisk::default().with_links(links).with_fault(fault));
    for deed in deeds {
        if story.run.disk.is_stopped() {
            break;
        }
        story.perform(*deed);
    }
    (story.run.disk.operations() >= fault.at).then_some(story)
}

/// Opens what is left, and looks at all of it; then goes on.
fn look(disk: FaultyDisk, left: &Left) -> Result<(), String> {
    let mut story = Story::resume(disk, left)?;
    story.run.check_files()?;
    story.check_backups()?;
    story.check_places()?;
    story.check_restorable()?;
    for deed in [Snapshot("b/last"), Do(Act::Write(0)), Remove("b/last"), Snapshot("b/last")] {
        story.perform(deed);
    }
    if story.has_runs() {
        story.perform(Run);
    }
    if let Some(error) = story.trouble.as_ref().or(story.run.trouble.as_ref()) {
        return Err(format!("going on: {error}"));
    }
    story.run.check(true)?;
    story.check_drafts()?;
    story.check_backups().map_err(|why| format!("going on: {why}"))
}

#[test]
fn a_power_cut_at_every_step_leaves_whole_backups_and_the_store() {
    // Goal: never a listed backup that does not restore, never a lost live point; what was made is listed, what was
    // removed is not, and nothing is left of others once the next one is taken.
    let mut dice = Dice::new(20_261_201);
    let mut states = 0;
    for (links, deeds) in stories() {
        for at in 1.. {
            let Some(story) = perform(links, &deeds, Fault { at, what: Trouble::Stop }) else { break };
            let left = story.left();
            let mut images = vec![Image::Nothing, Image::All];
            images.extend((0..2).map(|_| Image::Subset(dice.roll())));
            images.extend((0..2).map(|_| Image::Reordered(dice.roll())));
            for image in images {
                let told = |why| panic!("{deeds:?}, step {at}, {image:?}: {why}");
                look(story.run.disk.after_power_cut(image), &left).unwrap_or_else(told);
                states += 1;
            }
        }
    }
    println!("{states} crash states, 0 violations");
    assert!(states >= STATES_MIN, "{states} states are too few");
}

#[test]
fn a_kill_at_every_step_and_a_power_cut_after_what_comes_next_leave_whole_backups() {
    // Goal: names that are in the cache only are not built upon. Method: kill, let the next process take or remove a
    // backup, which sweeps, up to each of its steps, and cut the power.
    let mut dice = Dice::new(20_261_202);
    let mut states = 0;
    let (links, deeds) = stories()[0].clone();
    for at in 1.. {
        let Some(story) = perform(links, &deeds, Fault { at, what: Trouble::Stop }) else { break };
        let left = story.left();
        let killed = story.run.disk.after_kill();
        killed.heal();
        let mut next = Story::resume(killed, &left).unwrap_or_else(|why| panic!("step {at}: {why}"));
        let steps = 1 + dice.below(60);
        let stop = Fault { at: next.run.disk.operations() + steps, what: Trouble::Stop };
        let _same = next.run.disk.clone().with_fault(stop);
        next.perform(Snapshot("b/next"));
        for image in [Image::Nothing, Image::Subset(dice.roll()), Image::Reordered(dice.roll())] {
            let told = |why| panic!("step {at} and {steps} more, {image:?}: {why}");
            look(next.run.disk.after_power_cut(image), &next.left()).unwrap_or_else(told);
            states += 1;
        }
    }
    println!("{states} states after a kill and a power cut, 0 violations");
    assert!(states >= STATES_AFTER_KILL_MIN, "{states} states are too few");
}

#[test]
fn an_error_at_every_step_leaves_the_store_untouched_and_no_backup_in_part() {
    // Goal: a full disk or a failed call costs the backup under way and nothing else; with space, all goes on.
    let mut runs = 0;
    let (error, full) = (io::ErrorKind::Other, io::ErrorKind::StorageFull);
    for what in [Trouble::Fail(error), Trouble::Fail(full), Trouble::FailForEver(full), Trouble::Full] {
        for (links, deeds) in stories() {
            for at in 1.. {
                let fault = Fault { at, what };
                let Some(mut story) = perform(links, &deeds, fault) else { break };
                let told = |why| panic!("{deeds:?}, {fault:?}: {why}");
                if story.run.engine.is_some() {
                    story.run.check(true).map_or_else(told, |_| ());
                }
                story.check_backups().unwrap_or_else(told);
                if what == Trouble::Full {
                    story.check_drafts().unwrap_or_else(told);
                }
                story.run.disk.heal();
                for image in [Image::All, Image::Nothing] {
                    look(story.run.disk.after_power_cut(image), &story.left()).unwrap_or_else(told);
                    runs += 1;
                }
                story.perform(Do(Act::Reopen));
                (story.run.trouble, story.trouble) = (None, None);
                story.check_places().and_then(|()| story.check_restorable()).unwrap_or_else(told);
                story.perform(Snapshot("b/healed"));
                if let Some(error) = story.trouble.as_ref().or(story.run.trouble.as_ref()) {
                    panic!("{deeds:?}, {fault:?}, healed: {error}");
                }
                story.check_backups().and_then(|()| story.check_drafts()).unwrap_or_else(told);
            }
        }
    }
    println!("{runs} runs with faults, 0 violations");
    assert!(runs >= RUNS_MIN, "{runs} runs are too few");
}

#[test]
fn a_read_that_fails_costs_the_backup_under_way_and_nothing_else() {
    // Goal: the database is not taken for damaged because a disk did not answer once, and what comes next works. Method: an
    // error at every call that opens, lists or reads, once.
    let mut runs = 0;
    for (links, deeds) in stories() {
        let (fill, rest) = deeds.split_at(2);
        for at in 1.. {
            let mut story = Story::start(FaultyDisk::default().with_links(links));
            for deed in fill {
                story.perform(*deed);
            }
            let fault = Fault { at: story.run.disk.reads() + at, what: Trouble::Fail(io::ErrorKind::Other) };
            let _same = story.run.disk.clone().with_read_fault(fault);
            for deed in rest.iter().filter(|deed| matches!(deed, Snapshot(_) | Remove(_) | Restore(..))) {
                story.perform(*deed);
            }
            let is_over = story.run.disk.reads() < fault.at;
            story.run.disk.heal();
            let told = |why| panic!("{deeds:?}, read {at}: {why}");
            story.trouble = None;
            story.check_backups().unwrap_or_else(told);
            story.perform(Snapshot("b/healed"));
            if let Some(error) = &story.trouble {
                panic!("{deeds:?}, read {at}, healed: {error}");
            }
            assert_eq!(story.run.engine().health(), Health::Good, "{deeds:?}, read {at}");
            story.check_backups().and_then(|()| story.check_drafts()).unwrap_or_else(told);
            runs += 1;
            if is_over {
                break;
            }
        }
    }
    println!("{runs} runs with reads that fail, 0 violations");
    assert!(runs >= READS_MIN, "{runs} runs are too few");
}
