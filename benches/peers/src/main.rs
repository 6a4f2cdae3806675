//! Ebbtide beside other embedded stores and the floors of this machine, on the workloads W1 to W5: what `RESULTS.md`
//! and its plots say is written by one run of this. `--help` tells the options.
//!
//! A cell is one store doing one thing with one workload. Each runs in a process of its own, the stores of a row take
//! turns, and rows are repeated in rounds, since a machine's figures drift; what holds are ratios within one run.
#![allow(clippy::disallowed_methods, reason = "a bench measures real time and the files of stores")]
#![allow(clippy::disallowed_types, reason = "what std has is enough for a bench")]
#![allow(clippy::cast_precision_loss, reason = "figures are printed with a few digits")]

mod cell;
mod child;
mod elsewhere;
mod figures;
mod goals;
mod growth;
mod input;
mod options;
mod plan;
mod plot;
mod process;
mod report;
mod stores;
mod truth;

#[allow(dead_code, reason = "other benches use the rest")]
#[path = "../../workloads/mod.rs"]
mod workloads;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == cell::MARK) {
        child::run(&cell::Cell::from_arguments(&arguments[1..]));
        return ExitCode::SUCCESS;
    }
    let options = match options::Options::parse(&arguments) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::FAILURE;
        }
    };
    let mut figures = plan::carry_out(&options);
    elsewhere::carry_out(&options.only, options.rounds, &mut figures);
    report::write(&options, &figures);
    ExitCode::SUCCESS
}
