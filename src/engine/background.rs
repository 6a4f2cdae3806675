//! Threads: the only room that starts them. Each is named, fed by a bounded mailbox, and joined.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::wal::Wal;

/// The thread that syncs the log of an `Interval` database.
pub(super) struct Syncer {
    /// Nothing is sent: the thread ends when this end of the channel goes.
    mailbox: Sender<()>,
    thread: JoinHandle<()>,
}

impl Syncer {
    /// Starts a thread that syncs the log at least this often.
    pub(super) fn start(every: Duration, wal: Arc<Mutex<Wal>>) -> Result<Self> {
        let (mailbox, letters) = bounded::<()>(1);
        let work = move || {
            while let Err(RecvTimeoutError::Timeout) = letters.recv_timeout(every) {
                // A log that failed stays failed: whoever writes next is told.
                if let Err(error) = wal.lock().sync() {
                    tracing::error!(%error, "the interval's sync failed");
                    return;
                }
            }
        };
        #[allow(clippy::disallowed_methods, reason = "this is the warden of threads")]
        let thread = std::thread::Builder::new().name("ebbtide-sync".into()).spawn(work);
        let thread = thread.map_err(|error| Error::io("start the thread ebbtide-sync", error))?;
        Ok(Self { mailbox, thread })
    }

    /// Ends the thread and waits for it.
    pub(super) fn stop(self) {
        drop(self.mailbox);
        if self.thread.join().is_err() {
            tracing::error!("the thread ebbtide-sync ended with a panic");
        }
    }
}
