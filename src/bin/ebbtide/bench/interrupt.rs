//! SIGINT and SIGTERM end a bench early, but not before its temporary directory is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, ensure};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

/// What a shell reports for a process that was interrupted: we end so at the second signal.
const STATUS_INTERRUPTED: i32 = 130;

/// Listens as long as it is there.
#[derive(Debug)]
pub(super) struct Interrupt {
    came: Arc<AtomicBool>,
    _runtime: Runtime,
}

impl Interrupt {
    /// From now on the first signal is noted, and a second one ends the process at once.
    pub(super) fn listen() -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let came = Arc::new(AtomicBool::new(false));
        let inside = runtime.enter();
        for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
            let mut signals = signal(kind).context("cannot listen for signals")?;
            let came = Arc::clone(&came);
            runtime.spawn(async move {
                while signals.recv().await.is_some() {
                    if came.swap(true, Ordering::Relaxed) {
                        std::process::exit(STATUS_INTERRUPTED);
                    }
                }
            });
        }
        drop(inside);
        Ok(Self { came, _runtime: runtime })
    }

    pub(super) fn flag(&self) -> &AtomicBool {
        &self.came
    }

    /// An error once a signal has come.
    pub(super) fn check(&self) -> Result<()> {
        ensure!(!self.came.load(Ordering::Relaxed), "interrupted");
        Ok(())
    }
}
