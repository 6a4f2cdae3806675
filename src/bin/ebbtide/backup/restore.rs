//! `ebbtide restore`: makes a database of a backup, or tries whether that could be done.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use ebbtide::Db;
use ebbtide::server::{Databases, check_for_database, is_backup};
use indicatif::ProgressBar;

use super::aside::Aside;
use super::{Progress, about};
use crate::verify::{check, print};

/// Makes a database of a backup: the same volume as it was then. Points that have expired since are not seen in it.
///
/// Every file is read back. What is left of an interrupted one is no database, and goes when it is restored again.
#[derive(Debug, clap::Args)]
#[command(override_usage = "\
ebbtide restore <BACKUP> <DIR>
       ebbtide restore <BACKUP> --data <DIR> --project <ID> [--volume <UUID>]
       ebbtide restore <BACKUP> --test")]
#[command(group(clap::ArgGroup::new("destination").required(true).args(["dir", "data", "test"])))]
pub(crate) struct Args {
    /// The folder of the backup
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,

    /// The directory of the new database, empty or not there yet
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,

    /// Restore a project of the server of this data directory, which must not be running
    #[arg(long, value_name = "DIR", requires = "project")]
    data: Option<PathBuf>,

    /// That project; it must have no database yet
    #[arg(long, value_name = "ID", requires = "data")]
    project: Option<String>,

    /// A further volume of the project instead of its own
    #[arg(long, value_name = "UUID", requires = "project")]
    volume: Option<String>,

    /// Only try it: restore into a directory beside the backup, check every file and every window there, and remove it
    #[arg(long)]
    test: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    // Before a place for it is made.
    ensure!(is_backup(&args.backup), "{} is no backup", args.backup.display());
    match (&args.dir, &args.data, &args.project) {
        (Some(dir), ..) => {
            check_for_database(dir)?;
            restore(&args.backup, dir)
        }
        (None, Some(data), Some(project)) => {
            check_for_database(data)?;
            // Kept, so that no server starts meanwhile.
            let (_databases, place) = Databases::with_place(data, project, args.volume.as_deref())?;
            restore(&args.backup, &place)
        }
        _ => test(&args.backup),
    }
}

fn restore(backup: &Path, dir: &Path) -> Result<()> {
    let progress = Progress::of("restoring");
    let restored = Db::restore_with(backup, dir, progress.told())?;
    drop(progress);
    let (backup, dir) = (backup.display(), dir.display());
    print(&[format!("restored {backup} into {dir}: {}", about(&restored))])
}

fn test(backup: &Path) -> Result<()> {
    let aside = Aside::beside(backup, "test")?;
    let progress = Progress::of("restoring");
    let restored = Db::restore_with(backup, aside.path(), progress.told())?;
    drop(progress);
    let bar = ProgressBar::new_spinner();
    let report = check(&backup.display().to_string(), aside.path(), true, &bar);
    bar.finish_and_clear();
    let report = report?;
    drop(aside);
    print(&report.lines)?;
    if report.wrong > 0 {
        bail!("{} things are wrong", report.wrong);
    }
    print(&[format!("{} can be restored: {}", backup.display(), about(&restored))])
}
