//! The command line: which subcommand runs, what it prints when it fails, and which status it ends with.

mod backup;
mod bench;
mod import;
mod rules;
mod serve;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ebbtide::ErrorKind;

/// What was asked for cannot be done at all: the files are of another format. Wrong usage ends so too.
const STATUS_UNSUPPORTED: u8 = 2;

/// Somebody else has the directory open.
const STATUS_LOCKED: u8 = 3;

/// Ebbtide: a time-series store for metrics that expire.
///
/// Exit status: 0 fine, 1 failure, 2 wrong usage or unsupported format, 3 the directory is in use.
#[derive(Debug, Parser)]
#[command(name = "ebbtide", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Args>),
    Import(import::Args),
    Rules(rules::Args),
    Verify(verify::Args),
    Backup(backup::take::Args),
    Backups(backup::list::Args),
    Restore(backup::restore::Args),
    Clone(backup::copy::Args),
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    // Standard output is for answers; the log goes beside it.
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let outcome = match command {
        Command::Serve(args) => serve::run(*args),
        Command::Import(args) => import::run(args),
        Command::Rules(args) => rules::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Backup(args) => backup::take::run(&args),
        Command::Backups(args) => backup::list::run(&args),
        Command::Restore(args) => backup::restore::run(&args),
        Command::Clone(args) => backup::copy::run(&args),
        Command::Bench(args) => bench::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ebbtide: {error:#}");
            status(&error)
        }
    }
}

fn status(error: &anyhow::Error) -> ExitCode {
    match error.chain().find_map(|cause| cause.downcast_ref::<ebbtide::Error>()).map(ebbtide::Error::kind) {
        Some(ErrorKind::Locked) => STATUS_LOCKED.into(),
        Some(ErrorKind::Unsupported) => STATUS_UNSUPPORTED.into(),
        _ => ExitCode::FAILURE,
    }
}
