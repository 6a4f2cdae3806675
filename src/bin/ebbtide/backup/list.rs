//! `ebbtide backups`: lists backups, and reads them if that is wanted.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use ebbtide::server::backup_folders;
use ebbtide::{Backup, Db};
use indicatif::{ProgressBar, ProgressStyle};

use super::about;
use crate::verify::{FINDINGS_SHOWN_MAX, print};

/// How often the line of progress moves.
const TICK: Duration = Duration::from_millis(100);

/// Lists the backups in a folder, or those of every project of a server, the oldest first: name, moment, last batch,
/// files, bytes and volume.
///
/// The server may be running. Bytes are those that restoring takes; most of them a backup may share with others. Ends with
/// status 1 if anything is wrong.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A folder that has backups in it, or the data directory of a server
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// Also read every file of every backup, and hold it against its checksums
    #[arg(long)]
    verify: bool,
}

/// Runs the command over one folder after the other.
pub(crate) fn run(args: &Args) -> Result<()> {
    let (mut count, mut wrong) = (0, 0);
    for (project, folder) in backup_folders(&args.dir)? {
        let found = Db::backups(&folder)?;
        let name = project.map_or_else(|| folder.display().to_string(), |project| format!("project {project}"));
        let mut lines = vec![format!("{name}: {}", counted(found.list.len()))];
        lines.extend(found.damaged.iter().map(|error| format!("  WRONG: {error}")));
        print(&lines)?;
        count += found.list.len();
        wrong += found.damaged.len() + show(&found.list, args.verify)?;
    }
    if wrong > 0 {
        bail!("{wrong} things are wrong");
    }
    if args.verify {
        print(&[format!("{}: all is well", counted(count))])?;
    }
    Ok(())
}

fn counted(backups: usize) -> String {
    if backups == 1 { "1 backup".into() } else { format!("{backups} backups") }
}

/// Prints a line for each backup, and with `verify` what is wrong with it; gives how much that is.
fn show(list: &[Backup], verify: bool) -> Result<usize> {
    let name = |backup: &Backup| backup.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let width = list.iter().map(|backup| name(backup).len()).max().unwrap_or_default();
    let bar = if verify { ProgressBar::new(list.len() as u64) } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{spinner} {pos}/{len} backups, {elapsed}: reading {msg}");
    bar.set_style(style.expect("the template is well formed"));
    bar.enable_steady_tick(TICK);
    let mut wrong = 0;
    for backup in list {
        bar.set_message(name(backup));
        let found = if verify { Db::verify_backup(&backup.path) } else { Vec::new() };
        let mut lines = vec![format!("  {:width$}  {}", name(backup), about(backup))];
        lines.extend(found.iter().take(FINDINGS_SHOWN_MAX).map(|error| format!("  WRONG: {error}")));
        if found.len() > FINDINGS_SHOWN_MAX {
            lines.push(format!("  and {} more", found.len() - FINDINGS_SHOWN_MAX));
        }
        bar.suspend(|| print(&lines))?;
        wrong += found.len();
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(wrong)
}
