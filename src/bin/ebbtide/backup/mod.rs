//! The commands of backups: `backup` takes one, `backups` lists them, `restore` and `clone` make databases of them. Here:
//! what these share. How a backup is made and checked is told in the library.

mod aside;
pub(crate) mod copy;
pub(crate) mod list;
pub(crate) mod restore;
pub(crate) mod take;

use std::path::Path;

use anyhow::Result;
use ebbtide::server::utc;
use ebbtide::{Backup, Db, Maintenance};
use indicatif::{ProgressBar, ProgressStyle};

use crate::verify::is_locked;

/// The line of progress while bytes are brought in. It is quiet when stderr is not a terminal, and goes when it is dropped.
struct Progress(ProgressBar);

impl Progress {
    fn of(what: &'static str) -> Self {
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template("{msg} {bar:30} {bytes}/{total_bytes}, {eta} to go");
        bar.set_style(style.expect("the template is well formed"));
        Self(bar.with_message(what))
    }

    /// What the library tells how far it is.
    fn told(&self) -> impl FnMut(u64, u64) {
        |done, all| {
            self.0.set_length(all);
            self.0.set_position(done);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Opens a database that nobody else has open, as its server would; nothing is compacted meanwhile.
fn open(dir: &Path) -> Result<Db> {
    Db::builder(dir).maintenance(Maintenance::Manual).open().map_err(ask_the_server)
}

/// Says who can be asked, of a database that is in use.
fn ask_the_server(error: ebbtide::Error) -> anyhow::Error {
    let error = error.into();
    if !is_locked(&error) {
        return error;
    }
    error.context("a running server is asked for a backup by POST /v2/{project_id}/cloudbackups")
}

/// What a backup is, in one line.
fn about(backup: &Backup) -> String {
    let Backup { taken_at, sequence, files, bytes, volume, .. } = backup;
    let moment = utc(*taken_at);
    format!("{moment}, batch {sequence}, {files} files, {bytes} bytes, of volume {volume}")
}
