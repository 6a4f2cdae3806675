//! A directory for a while, beside something of the user's, so that both are on one file system. It goes when it is not
//! needed any more, also when the command is interrupted. Knows no database.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

/// What a shell reports for a process that was interrupted.
const STATUS_INTERRUPTED: i32 = 130;

/// How often removing is tried in a row: somebody else may be removing it too, or make one more file.
const TRIES_MAX: usize = 10;

/// How often it is removed after a signal, and how long after one another. What was interrupted finds its files gone and
/// comes to its end; until then it may make some anew.
const ROUNDS: usize = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// The directory, which goes with this.
#[derive(Debug)]
pub(super) struct Aside {
    path: PathBuf,
    /// Whether a signal came.
    came: Arc<AtomicBool>,
    /// Waits for signals.
    watch: Runtime,
}

impl Aside {
    /// Makes the directory `<path>.<what>.tmp`. No name with such an end is ever that of a backup.
    #[allow(clippy::disallowed_methods, reason = "a place for what nobody keeps")]
    pub(super) fn beside(path: &Path, what: &str) -> Result<Self> {
        let Some(name) = path.file_name() else { bail!("{}: name it by the folder it lies in", path.display()) };
        let mut name = name.to_owned();
        name.push(format!(".{what}.tmp"));
        let path = path.with_file_name(name);
        let watch = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let inside = watch.enter();
        // Before there is anything that a signal could leave behind.
        let signals = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
        drop(inside);
        if let Some(above) = path.parent() {
            fs::create_dir_all(above).with_context(|| format!("cannot make {}", above.display()))?;
        }
        match fs::create_dir(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                bail!("{} is there: another one is at work, or was killed; in that case remove it", path.display())
            }
            made => made.with_context(|| format!("cannot make {}", path.display()))?,
        }
        let aside = Self { path, came: Arc::default(), watch };
        for signal in signals {
            let mut signal = signal.context("cannot listen for signals")?;
            let (path, came) = (aside.path.clone(), Arc::clone(&aside.came));
            aside.watch.spawn(async move {
                if signal.recv().await.is_some() {
                    came.store(true, Ordering::SeqCst);
                    for _ in 1..ROUNDS {
                        // The last one reports.
                        let _again = remove(&path);
                        tokio::time::sleep(PAUSE).await;
                    }
                    end(&path);
                }
            });
        }
        Ok(aside)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if self.came.load(Ordering::SeqCst) {
            // What was interrupted has come to its end, and whatever that is it is not what was asked for.
            end(&self.path);
        }
        report(&self.path);
    }
}

/// Ends an interrupted command.
fn end(path: &Path) -> ! {
    report(path);
    std::process::exit(STATUS_INTERRUPTED)
}

#[allow(clippy::disallowed_methods, reason = "nobody keeps what is in it")]
fn remove(path: &Path) -> io::Result<()> {
    let mut tries = 1;
    loop {
        match fs::remove_dir_all(path) {
            // Also for a file in it that somebody else has just removed.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty) => {
                if tries == TRIES_MAX {
                    return if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) };
                }
                tries += 1;
            }
            removed => return removed,
        }
    }
}

fn report(path: &Path) {
    if let Err(error) = remove(path) {
        eprintln!("note: {} could not be removed: {error}", path.display());
    }
}
