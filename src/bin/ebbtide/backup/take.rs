//! `ebbtide backup`: takes a backup of a database whose server is not running.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use ebbtide::server::{Databases, check_for_backup};

use super::{Progress, about, ask_the_server, open};
use crate::verify::print;

/// Makes a backup of a database that nobody has open: a new folder, which is whole by itself.
///
/// What it has in common with the database, and with other backups in the same folder, it shares with them by hard links,
/// where the file system has some; removing one harms no other. Every file is read back before the backup gets its name.
/// The database is opened as its server would open it. A server that is running is asked for a backup of its own:
/// `POST /v2/{project_id}/cloudbackups`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The data directory of a server that is not running, or the directory of one database
    #[arg(long, value_name = "DIR")]
    data: PathBuf,

    /// The project that is backed up, of a server that has several
    #[arg(long, value_name = "ID")]
    project: Option<String>,

    /// The new folder; its name is one of A-Z a-z 0-9 - _ . : +
    #[arg(value_name = "TARGET")]
    target: PathBuf,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    check_for_backup(&args.target)?;
    let databases = Databases::in_dir(&args.data).map_err(ask_the_server)?;
    let db = open(choose(&databases, args)?)?;
    let progress = Progress::of("backing up");
    let backup = db.snapshot_with(&args.target, progress.told())?;
    drop(progress);
    db.close()?;
    print(&[format!("{}: {}", backup.path.display(), about(&backup))])
}

/// The one database that is meant.
fn choose<'d>(databases: &'d Databases, args: &Args) -> Result<&'d Path> {
    let data = args.data.display();
    let all: Vec<_> = databases.iter().collect();
    let found = match (&args.project, &all[..]) {
        (None, [(_, dir)]) => Some(*dir),
        (None, []) => bail!("{data} holds no database yet"),
        (None, _) => None,
        (Some(_), [(None, _)]) => bail!("{data} is one database by itself: leave --project out"),
        (Some(wanted), all) => all.iter().find(|(project, _)| *project == Some(wanted)).map(|(_, dir)| *dir),
    };
    let Some(dir) = found else {
        let names: Vec<_> = all.iter().filter_map(|(project, _)| *project).collect();
        bail!("name one of the projects of {data} with --project: {}", names.join(", "));
    };
    Ok(dir)
}
