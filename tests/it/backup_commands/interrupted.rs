//! Commands that are ended half-way.

use std::process::{Child, Command, ExitStatus, Stdio};

use super::{CUT, Home};
use crate::harness::wait_for;

/// Rounds of killing. The first is over before there is anything, the last ones come too late.
const ROUNDS: u32 = 12;

/// Starts a command whose words name paths in a directory.
fn start(home: &Home, line: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ebbtide"));
    command.args(line.split_whitespace()).current_dir(home.0.path()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("it starts")
}

/// Waits until something is true or the command has ended, and gives its status if it has.
fn wait_until(child: &mut Child, mut is_so: impl FnMut() -> bool) -> Option<ExitStatus> {
    let mut ended = None;
    wait_for("a command", || {
        ended = child.try_wait().expect("it is our child");
        (ended.is_some() || is_so()).then_some(())
    });
    ended
}

#[test]
fn a_killed_backup_or_restoring_leaves_nothing_that_counts() {
    // Method: each is killed a little later than the one before it, wherever that finds it; what is listed afterwards is
    // what had ended well, all of it is whole, and the same command then works.
    let home = Home::new();
    home.done(&format!("import {CUT} --shift-to-now --data @data"));
    home.done("backup --data @data @good/one");
    home.done("backup --data @data @backups/first");
    let (mut done, whole) = (1, "1 database: all is well\n");
    for round in 0..ROUNDS {
        for line in [format!("backup --data data backups/{round}"), format!("restore good/one db{round}")] {
            let (mut child, mut looks) = (start(&home, &line), 0);
            let ended = wait_until(&mut child, || {
                looks += 1;
                looks > round
            });
            if ended.is_none() {
                child.kill().expect("it is our child");
                child.wait().expect("it is our child");
            }
            assert!(ended.is_none_or(|status| status.success()), "{line}: {ended:?}");
        }
        let listed = home.done("backups @backups --verify").lines().count() - 2;
        assert!(listed >= done && listed <= done + 1, "{listed} are listed after {done}");
        done = listed;
        let verify = format!("verify --data @db{round}");
        if !home.run(&verify).stdout.ends_with(whole) {
            home.done(&format!("restore @good/one @db{round}"));
            assert!(home.done(&verify).ends_with(whole), "round {round}");
        }
    }
    home.done("backup --data @data @backups/last");
    let names = home.names("backups");
    assert!(!names.iter().any(|name| name.contains(".tmp")), "what was left is swept: {names:?}");
}

#[test]
fn an_interrupt_takes_what_is_aside_away() {
    // Goal: no directory that nobody asked for outlives its command. Method: SIGINT and SIGTERM as soon as it is there.
    let home = Home::new();
    home.done(&format!("import {CUT} --shift-to-now --data @data"));
    home.done("backup --data @data @backups/one");
    let aside = home.path("backups/one.test.tmp");
    for signal in ["INT", "TERM"] {
        let was_interrupted = (0..ROUNDS).any(|_| {
            let mut child = start(&home, "restore backups/one --test");
            wait_until(&mut child, || aside.exists());
            // It may have ended by now, and then there is nobody to signal.
            let kill = format!("kill -{signal} {}", child.id());
            Command::new("sh").args(["-c", &kill]).stderr(Stdio::null()).status().expect("there is a shell");
            let status = child.wait().expect("it is our child");
            assert_eq!(home.names("backups"), ["LOCK", "one"], "{signal}: {status}");
            status.code() == Some(130)
        });
        assert!(was_interrupted, "{signal} was never in time");
    }
    // One that was killed may have left it, and somebody else may be at work: neither is touched.
    std::fs::create_dir(home.path("backups/one.test.tmp")).expect("a new folder");
    home.refused("restore @backups/one --test", 1, "one.test.tmp is there");
    assert_eq!(home.names("backups"), ["LOCK", "one", "one.test.tmp"]);
    assert_eq!(home.done("backups @backups").lines().count(), 2);
}
