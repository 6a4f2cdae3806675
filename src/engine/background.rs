//! Threads: the only room that starts them. Each is named, fed by a bounded mailbox, and joined.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, after, bounded, select};
use parking_lot::Mutex;

use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::wal::Wal;

/// How often a thread that nobody wakes looks for work.
const TICK: Duration = Duration::from_secs(1);
/// Longest wait between two tries of a job that fails.
const BACKOFF_MAX: Duration = Duration::from_secs(15);
/// The same of a backup, which reads all of the database before it may fail.
const BACKUP_BACKOFF_MAX: Duration = Duration::from_secs(300);
/// The thread that makes backups.
const BACKUP: &str = "ebbtide-backup";

/// When a thread works again.
enum Next {
    /// After this time, or when it is woken.
    After(Duration),
    /// After this time, whoever wakes it.
    NotBefore(Duration),
    Never,
}

/// Waits, whatever comes; whether the mailbox is gone.
fn sleep(letters: &Receiver<()>, wait: Duration) -> bool {
    let over = after(wait);
    loop {
        select! {
            recv(letters) -> letter => if letter.is_err() { return true },
            recv(over) -> _ => return false,
        }
    }
}

/// A thread that works when it is told to, and now and then by itself.
#[derive(Debug)]
struct Worker {
    name: &'static str,
    /// The thread ends when this end of the channel goes.
    mailbox: Sender<()>,
    thread: JoinHandle<()>,
}

impl Worker {
    /// Starts a thread. `work` says when it wants to work again.
    fn start(name: &'static str, mut work: impl FnMut() -> Next + Send + 'static) -> Result<Self> {
        let (mailbox, letters) = bounded::<()>(1);
        let run = move || {
            let mut next = Next::After(Duration::ZERO);
            loop {
                let is_over = match next {
                    Next::Never => true,
                    Next::After(wait) => letters.recv_timeout(wait) == Err(RecvTimeoutError::Disconnected),
                    Next::NotBefore(wait) => sleep(&letters, wait),
                };
                if is_over {
                    return;
                }
                next = work();
            }
        };
        #[allow(clippy::disallowed_methods, reason = "this is the warden of threads")]
        let thread = std::thread::Builder::new().name(name.into()).spawn(run);
        let thread = thread.map_err(|error| Error::io(format_args!("start the thread {name}"), error))?;
        Ok(Self { name, mailbox, thread })
    }

    /// Ends the thread and waits for it.
    fn stop(self) {
        drop(self.mailbox);
        if self.thread.join().is_err() {
            tracing::error!("the thread {} ended with a panic", self.name);
        }
    }
}

/// The threads of one open database.
#[derive(Debug, Default)]
pub(super) struct Threads {
    workers: Vec<Worker>,
}

/// How the flusher is woken.
#[derive(Debug, Default)]
pub(super) struct Bell(Mutex<Option<Sender<()>>>);

impl Bell {
    pub(super) fn ring(&self) {
        if let Some(mailbox) = &*self.0.lock() {
            match mailbox.try_send(()) {
                // A letter that lies there already says the same.
                Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
            }
        }
    }
}

impl Threads {
    /// Starts the thread that syncs the log at least this often.
    pub(super) fn sync(&mut self, every: Duration, wal: Arc<Mutex<Wal>>) -> Result<()> {
        self.workers.push(Worker::start("ebbtide-sync", move || {
            // A log that failed stays failed: whoever writes next is told.
            match wal.lock().sync() {
                Ok(()) => Next::NotBefore(every),
                Err(error) => {
                    tracing::error!(%error, "the interval's sync failed");
                    Next::Never
                }
            }
        })?);
        Ok(())
    }

    /// Starts the threads that flush and compact.
    pub(super) fn maintain(&mut self, engine: &Arc<Engine>) -> Result<()> {
        let flusher = engine.clone();
        let mut patience = Patience::up_to(BACKOFF_MAX);
        let work = move || flusher.attended(|| patience.after(flusher.flush_due(), TICK));
        let worker = Worker::start("ebbtide-flush", work)?;
        *engine.bell.0.lock() = Some(worker.mailbox.clone());
        self.workers.push(worker);
        let compactor = engine.clone();
        let mut patience = Patience::up_to(BACKOFF_MAX);
        let work = move || {
            compactor.attended(|| match compactor.compact_one(false) {
                Ok(true) => patience.after(Ok(()), Duration::ZERO),
                Ok(false) => patience.after(compactor.settle_series(), TICK),
                Err(error) => patience.after(Err(error), TICK),
            })
        };
        self.workers.push(Worker::start("ebbtide-compact", work)?);
        Ok(())
    }

    /// Starts the thread that makes the backups of policies, if it does not run yet.
    pub(super) fn back_up(&mut self, engine: &Arc<Engine>) -> Result<()> {
        if self.workers.iter().all(|worker| worker.name != BACKUP) {
            let engine = engine.clone();
            let mut patience = Patience::up_to(BACKUP_BACKOFF_MAX);
            let work = move || engine.attended(|| patience.after(engine.back_up_due(), TICK));
            self.workers.push(Worker::start(BACKUP, work)?);
        }
        Ok(())
    }

    /// Ends all threads and waits for them.
    pub(super) fn stop(&mut self, engine: &Engine) {
        engine.pace.stop();
        *engine.bell.0.lock() = None;
        self.workers.drain(..).for_each(Worker::stop);
    }
}

/// Waits longer after each failure in a row.
#[derive(Debug)]
struct Patience {
    failures: u32,
    wait_max: Duration,
}

impl Patience {
    fn up_to(wait_max: Duration) -> Self {
        Self { failures: 0, wait_max }
    }

    fn after(&mut self, result: Result<()>, wait: Duration) -> Next {
        match result {
            Ok(()) => {
                self.failures = 0;
                Next::After(wait)
            }
            Err(error) if error.kind() == ErrorKind::Closed => Next::Never,
            Err(error) => {
                let wait = TICK.saturating_mul(1 << self.failures.min(9)).min(self.wait_max);
                self.failures += 1;
                tracing::warn!(%error, ?wait, "background work failed; it is tried again");
                Next::NotBefore(wait)
            }
        }
    }
}

impl Engine {
    /// Sees to it that a panic in background work is told, and ends writing: what it left behind is not known.
    fn attended(&self, work: impl FnOnce() -> Next) -> Next {
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
            let error = Error::new(ErrorKind::Failed, "background work ended in a panic, open the database anew");
            self.troubles.fail(&error);
            self.commit.lock().poison(&error);
            Next::Never
        })
    }
}

/// How fast the compactor may go, and the way to stop it in the middle of a job.
#[derive(Debug)]
pub(super) struct Pace {
    bytes_per_second: Option<u64>,
    stop: Mutex<Option<Sender<()>>>,
    stopped: Receiver<()>,
    owed: Mutex<u64>,
}

/// Shortest pause: less is saved up.
const PAUSE_MIN: Duration = Duration::from_millis(20);

impl Pace {
    pub(super) fn new(bytes_per_second: Option<u64>) -> Self {
        let (stop, stopped) = bounded(0);
        Self { bytes_per_second, stop: Mutex::new(Some(stop)), stopped, owed: Mutex::new(0) }
    }

    /// Notes work that was done and waits as long as it should have taken.
    ///
    /// # Errors
    /// `Closed` when the database is being closed.
    pub(super) fn spend(&self, bytes: u64) -> Result<()> {
        let mut wait = Duration::ZERO;
        if let Some(rate) = self.bytes_per_second {
            let mut owed = self.owed.lock();
            *owed += bytes;
            let due = Duration::from_millis(owed.saturating_mul(1_000) / rate.max(1));
            if due >= PAUSE_MIN {
                *owed = 0;
                wait = due;
            }
        }
        match self.stopped.recv_timeout(wait) {
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                Err(Error::new(ErrorKind::Closed, "the database is being closed"))
            }
        }
    }

    fn stop(&self) {
        self.stop.lock().take();
    }
}
