//! `ebbtide rules`: prints the rules of the HTTP face, as the server reads them.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use anyhow::Context as _;
use ebbtide::server::{Profile, Rule, ServerConfig};

/// Prints every rule of the HTTP face: what it says, its value in each profile, and the page that says so.
///
/// Each of them can be switched by itself: `ebbtide serve --rule ID=VALUE`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args) -> anyhow::Result<()> {
    let mut text = String::new();
    for rule in Rule::all() {
        let values = [Profile::Document, Profile::Current, Profile::Lab]
            .map(|profile| format!("{profile} {}", rule.value(profile)))
            .join(", ");
        let (id, takes, statement, source) = (rule.id(), rule.takes(), rule.statement(), rule.source());
        writeln!(text, "{id} ({takes})\n  {statement}\n  {values}\n  source: {source}")?;
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).context("cannot write to standard output")
}

/// One switched rule of the command line.
#[derive(Clone, Debug)]
pub(crate) struct Switch {
    id: String,
    value: String,
}

impl Switch {
    /// Reads `ID=VALUE`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (id, value) = text.split_once('=').ok_or("a rule is switched by ID=VALUE")?;
        let switch = Self { id: id.to_owned(), value: value.to_owned() };
        let tried = switch.apply(ServerConfig::in_memory()).map(|_| ());
        tried.map(|()| switch).map_err(|error| error.to_string())
    }

    pub(crate) fn apply(&self, config: ServerConfig) -> ebbtide::Result<ServerConfig> {
        config.rule(&self.id, &self.value)
    }
}
