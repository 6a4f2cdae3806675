//! `ebbtide verify`: reads and checks everything in a data directory, and says what it has looked at. How a file or a
//! window is checked is told in the library.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use ebbtide::server::Databases;
use ebbtide::{Db, ErrorKind, Maintenance};
use indicatif::{ProgressBar, ProgressStyle};

/// How often the line of progress moves.
const TICK: Duration = Duration::from_millis(100);

/// Most findings of one kind that are printed for one database; the count says the rest.
pub(crate) const FINDINGS_SHOWN_MAX: usize = 20;

/// Checks every file in a data directory, and with `--rollups` every stored window against its points.
///
/// The server of the directory must not be running. Each database is opened as its server would open it: its log is
/// replayed and brought into segments. A database that a program has made with a retention of its own should be checked
/// by that program (`Db::verify`, `Db::verify_rollups`). Ends with status 1 if anything is wrong.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The data directory of a server, or the directory of one database
    #[arg(long, value_name = "DIR")]
    data: PathBuf,

    /// Also compute every stored window again whose points are all still there
    #[arg(long)]
    rollups: bool,
}

/// Runs the command over one database after the other.
pub(crate) fn run(args: &Args) -> Result<()> {
    let databases = Databases::in_dir(&args.data)?;
    let count = databases.iter().len();
    let bar = ProgressBar::new(count as u64);
    let style = ProgressStyle::with_template("{spinner} {pos}/{len} databases, {elapsed}: {msg}");
    bar.set_style(style.expect("the template is well formed"));
    bar.enable_steady_tick(TICK);
    let mut wrong = 0;
    for (project, dir) in databases.iter() {
        let name = project.map_or_else(|| dir.display().to_string(), |project| format!("project {project}"));
        let report = match check(&name, dir, args.rollups, &bar) {
            Ok(report) => report,
            Err(error) if is_locked(&error) => return Err(error.context(name)),
            // What cannot be opened is told like all that is wrong, and the others are looked at.
            Err(error) => Report { lines: vec![format!("{name}:"), format!("  WRONG: {error:#}")], wrong: 1 },
        };
        wrong += report.wrong;
        bar.suspend(|| print(&report.lines))?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    if wrong > 0 {
        bail!("{wrong} things are wrong");
    }
    let all = if count == 1 { "1 database: all is well".into() } else { format!("{count} databases: all is well") };
    print(&[all])
}

/// Whether somebody else has the database open.
pub(crate) fn is_locked(error: &anyhow::Error) -> bool {
    error.downcast_ref::<ebbtide::Error>().is_some_and(|error| error.kind() == ErrorKind::Locked)
}

/// What was found in one database.
pub(crate) struct Report {
    pub(crate) lines: Vec<String>,
    pub(crate) wrong: u64,
}

impl Report {
    fn find(&mut self, findings: &[ebbtide::Error], count: u64) {
        self.wrong += count;
        self.lines.extend(findings.iter().take(FINDINGS_SHOWN_MAX).map(|each| format!("  WRONG: {each}")));
        let hidden = count.saturating_sub(findings.len().min(FINDINGS_SHOWN_MAX) as u64);
        if hidden > 0 {
            self.lines.push(format!("  and {hidden} more"));
        }
    }
}

/// Opens a database and looks at all of it.
pub(crate) fn check(name: &str, dir: &Path, rollups: bool, bar: &ProgressBar) -> Result<Report> {
    bar.set_message(format!("opening {name}"));
    // Nothing is compacted meanwhile.
    let db = Db::builder(dir).maintenance(Maintenance::Manual).open()?;
    let stats = db.stats();
    let title = format!("{name}: {} segments, {} series", stats.segments, stats.series);
    let mut report = Report { lines: vec![title], wrong: 0 };

    let recovery = db.recovery();
    let damage: Vec<_> = recovery.damage.iter().map(|note| format!("  WRONG, found while opening: {note}")).collect();
    report.wrong += damage.len() as u64;
    report.lines.extend(damage);

    bar.set_message(format!("reading every file of {name}"));
    let found = db.verify();
    report.find(&found, found.len() as u64);
    report.lines.push(format!("  files: every checksum read, {} wrong", found.len()));
    if rollups {
        bar.set_message(format!("computing the windows of {name} again"));
        let windows = db.verify_rollups()?;
        let (checked, bounds, gone) = (windows.checked, windows.bounds, windows.points_gone);
        report.find(&windows.wrong, windows.wrong_windows);
        report.lines.push(format!("  windows: {checked} computed again, {} wrong", windows.wrong_windows));
        let mut note = |count: u64, why: &str| {
            if count > 0 {
                report.lines.push(format!("  windows: {count} {why}"));
            }
        };
        note(bounds, "of these have bounds for smallest and largest value (replaced by difference)");
        note(gone, "not checked: points of theirs have gone");
        note(windows.unreadable, "not checked: they or their points cannot be read");
    }
    db.close()?;
    Ok(report)
}

/// Prints what was found, on standard output.
pub(crate) fn print(lines: &[String]) -> Result<()> {
    let mut stdout = io::stdout().lock();
    for line in lines {
        writeln!(stdout, "{line}")?;
    }
    Ok(())
}
