//! `ebbtide clone`: makes another volume of a backup, or of a database.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use ebbtide::server::{Databases, check_for_database, is_backup};
use ebbtide::{Backup, Db};

use super::aside::Aside;
use super::{Progress, about, ask_the_server, open};
use crate::verify::print;

/// Makes a database of its own, with another UUID, of a backup or of a database that nobody has open.
///
/// Segments are shared by hard links, where the file system has some; neither of the two ever changes them. A database is
/// opened as its server would open it, and backed up into a directory beside the new one that goes afterwards.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder of a backup, or the directory of one database
    #[arg(value_name = "SOURCE")]
    source: PathBuf,

    /// The directory of the new database, empty or not there yet
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    check_for_database(&args.dir)?;
    let cloned = if is_backup(&args.source) {
        clone(&args.source, &args.dir)?
    } else {
        clone_database(&args.source, &args.dir)?
    };
    let (source, dir) = (args.source.display(), args.dir.display());
    print(&[format!("cloned {source} into {dir}, as another volume: {}", about(&cloned))])
}

fn clone(backup: &Path, dir: &Path) -> Result<Backup> {
    let progress = Progress::of("cloning");
    Ok(Db::clone_backup_with(backup, dir, progress.told())?)
}

fn clone_database(source: &Path, dir: &Path) -> Result<Backup> {
    let databases = Databases::in_dir(source).map_err(ask_the_server)?;
    if !databases.iter().eq([(None, source)]) {
        bail!("{} is the data directory of a server: clone a backup of one of its projects", source.display());
    }
    let db = open(source)?;
    let aside = Aside::beside(dir, "clone")?;
    let progress = Progress::of("reading");
    let backup = db.snapshot_with(aside.path().join("source"), progress.told())?;
    drop(progress);
    db.close()?;
    clone(&backup.path, dir)
}
