//! What a run is asked for.

use std::path::PathBuf;

use crate::stores::KINDS;

const HELP: &str = "\
Ebbtide beside other embedded stores; writes RESULTS.md and plots.

  --points N     at most N points of each workload (default: all; goals are meant for all)
  --rounds N     how often each cell runs (default 3; what takes more than 15 s runs once)
  --budget SECS  a cell stops writing after this time, and counts what it has written (default 40)
  --only TEXT    only rows whose name contains this, such as `W1`, `batch 100`, `growth`
  --stores A,B   only these stores
  --growth N     most points of the table of growth (default 100000000)
  --out DIR      where results are written (default: benches/, or target/results/ of the package after a run of
                 --points, --only or --stores, which is no whole one)
  --dir DIR      where stores live while they are measured (default: the package's target/)";

pub(crate) struct Options {
    pub(crate) points: usize,
    pub(crate) rounds: usize,
    pub(crate) budget: u64,
    pub(crate) only: String,
    pub(crate) stores: Vec<&'static str>,
    pub(crate) growth: usize,
    pub(crate) out: PathBuf,
    pub(crate) dir: PathBuf,
    /// As they were given, for who repeats the run, but for folders.
    pub(crate) given: String,
}

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, String> {
        let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let mut options = Self {
            points: usize::MAX,
            rounds: 3,
            budget: 40,
            only: String::new(),
            stores: KINDS.iter().map(|kind| kind.name).collect(),
            growth: 100_000_000,
            out: PathBuf::new(),
            dir: package.join("target"),
            given: String::new(),
        };
        let mut arguments = arguments.iter();
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or(HELP)?;
            if !["--out", "--dir"].contains(&name.as_str()) {
                options.given = format!("{} {name} {value}", options.given);
            }
            match name.as_str() {
                "--points" => options.points = number(value)?,
                "--rounds" => options.rounds = number(value)?.max(1),
                "--budget" => options.budget = number(value)? as u64,
                "--growth" => options.growth = number(value)?,
                "--only" => options.only.clone_from(value),
                "--out" => options.out = value.into(),
                "--dir" => options.dir = value.into(),
                "--stores" => options.choose(value)?,
                _ => return Err(HELP.into()),
            }
        }
        let is_whole = options.points == usize::MAX && options.only.is_empty() && options.stores.len() == KINDS.len();
        if options.out.as_os_str().is_empty() {
            options.out = package.join(if is_whole { ".." } else { "target/results" });
        }
        Ok(options)
    }

    fn choose(&mut self, list: &str) -> Result<(), String> {
        let wanted: Vec<&str> = list.split(',').collect();
        if let Some(unknown) = wanted.iter().find(|name| !self.stores.contains(*name)) {
            let known = self.stores.join(", ");
            return Err(format!("no store is called {unknown}; this build has {known}"));
        }
        self.stores.retain(|name| wanted.contains(name));
        Ok(())
    }
}

fn number(text: &str) -> Result<usize, String> {
    text.replace('_', "").parse().map_err(|_| format!("{text} is no number\n\n{HELP}"))
}
