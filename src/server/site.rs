//! What all doors of one server share, and what is done to the server as a whole: its clock moved, its state emptied,
//! copied and put back. Knows nothing of HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::env::clock::{Clock, SystemClock};
use crate::error::{Error, Result};
use crate::model::time::Timestamp;
use crate::server::auth::Issued;
use crate::server::backups::{Backups, KeptBooks};
use crate::server::clock::{SettableClock, Wall};
use crate::server::cloudeye::{Events, KeptEvents};
use crate::server::faults::Faults;
use crate::server::ids::Ids;
use crate::server::journal::{Journal, Keeps};
use crate::server::projects::{Image, Projects};
use crate::server::tally::Tally;

/// Most snapshots at a time.
const SNAPSHOTS_MAX: usize = 16;

/// Most bytes of all snapshots.
const SNAPSHOT_BYTES_MAX: usize = 256 << 20;

/// Longest name of a snapshot, in characters.
const SNAPSHOT_NAME_CHARS_MAX: usize = 64;

/// One server's inside.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) projects: Arc<Projects>,
    pub(super) clock: Arc<SettableClock>,
    /// For how long things take, whatever the server's clock says.
    pub(super) stopwatch: SystemClock,
    pub(super) ids: Ids,
    pub(super) journal: Journal,
    pub(super) faults: Faults,
    pub(super) tally: Tally,
    pub(super) issued: Issued,
    pub(super) events: Arc<Events>,
    pub(super) backups: Backups,
    /// Whoever makes backups waits here, without a thread, until others have made theirs.
    pub(super) backing_up: Semaphore,
    /// Locked while the clock moves or the state changes as a whole.
    snapshots: Mutex<BTreeMap<String, Snapshot>>,
}

/// Everything that is stored, and the clock, at one moment.
#[derive(Debug)]
struct Snapshot {
    image: Image,
    events: KeptEvents,
    books: KeptBooks,
    bytes: usize,
    wall: Wall,
    taken: Timestamp,
}

/// What is told of a snapshot.
#[derive(Debug)]
pub(super) struct SnapshotNote {
    pub(super) name: String,
    pub(super) bytes: usize,
    pub(super) taken: Timestamp,
    pub(super) projects: Vec<String>,
}

impl Site {
    pub(super) fn new(backups: Backups, clock: Arc<SettableClock>, seed: Option<u64>, keeps: Keeps) -> Self {
        Self {
            projects: backups.projects(),
            clock,
            stopwatch: SystemClock::default(),
            ids: Ids::new(seed),
            journal: Journal::new(keeps),
            faults: Faults::default(),
            tally: Tally::default(),
            issued: Issued::default(),
            events: Arc::default(),
            backups,
            backing_up: Semaphore::new(1),
            snapshots: Mutex::default(),
        }
    }

    /// Moves time forward, and does what falls due on the way.
    ///
    /// # Errors
    /// As [`Projects::pass`].
    pub(super) fn advance(&self, by: Duration) -> Result<()> {
        let _turn = self.snapshots.lock();
        self.pass(by)
    }

    /// Stops the clock at a moment, and does what falls due up to it.
    ///
    /// # Errors
    /// `InvalidInput` for a moment that lies before the clock's own; otherwise as [`Projects::pass`].
    pub(super) fn set_clock(&self, to: Timestamp) -> Result<()> {
        let _turn = self.snapshots.lock();
        self.projects.check_in_memory()?;
        let was = self.clock.wall();
        self.clock.stop();
        let now = self.clock.now();
        let by = to.as_millis().checked_sub(now.as_millis()).and_then(|by| u64::try_from(by).ok());
        let moved = match by {
            Some(by) => self.pass(Duration::from_millis(by)),
            None => Err(Error::invalid(format!("the clock stands at {now} and goes back only with a reset"))),
        };
        if moved.is_err() && self.clock.now() == now {
            // Nothing has happened: it goes on as it went.
            self.clock.restore(was);
        }
        moved
    }

    fn pass(&self, by: Duration) -> Result<()> {
        self.projects.pass(&self.clock, by, &self.backups, &self.ids)
    }

    /// Stops the clock where it stands.
    ///
    /// # Errors
    /// `Unsupported` on disk.
    pub(super) fn stop_clock(&self) -> Result<()> {
        self.projects.check_in_memory()?;
        self.clock.stop();
        Ok(())
    }

    /// Lets the clock run on from where it stands.
    ///
    /// # Errors
    /// `Unsupported` on disk.
    pub(super) fn resume_clock(&self) -> Result<()> {
        self.projects.check_in_memory()?;
        self.clock.resume();
        Ok(())
    }

    /// Forgets all points, backups, requests, rules and tokens, and starts ids anew. The clock stands at `at`, or is that of the
    /// start. Snapshots stay.
    ///
    /// # Errors
    /// `InvalidInput` for a time that no point can have; `Unsupported` on disk.
    pub(super) fn reset(&self, at: Option<Timestamp>) -> Result<()> {
        let _turn = self.snapshots.lock();
        if let Some(at) = at.filter(|at| !at.is_storable()) {
            return Err(Error::invalid(format!("{at} is no time that a point can have")));
        }
        self.projects.clear()?;
        self.backups.clear();
        self.clock.restore(at.map_or(Wall::Running(0), Wall::Stopped));
        // What a request has opened meanwhile has seen a time that has not come yet.
        self.projects.clear()?;
        self.backups.clear();
        self.journal.clear();
        self.faults.clear();
        self.issued.clear();
        self.events.replace(KeptEvents::default());
        self.ids.reset();
        Ok(())
    }

    /// Keeps everything that is stored, and how the clock stands, under a name.
    ///
    /// # Errors
    /// `InvalidInput` for a bad name or past a bound; `Unsupported` on disk.
    pub(super) fn take_snapshot(&self, name: &str) -> Result<SnapshotNote> {
        let in_alphabet = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
        if !in_alphabet || !(1..=SNAPSHOT_NAME_CHARS_MAX).contains(&name.len()) {
            let most = SNAPSHOT_NAME_CHARS_MAX;
            return Err(Error::invalid(format!("a snapshot's name is 1 to {most} letters, digits, `_`, `-` and `.`")));
        }
        let mut snapshots = self.snapshots.lock();
        let others = || snapshots.iter().filter(|(other, _)| *other != name);
        if others().count() >= SNAPSHOTS_MAX {
            return Err(Error::invalid(format!("there are {SNAPSHOTS_MAX} snapshots, which is the most")));
        }
        let (image, events, books) = (self.projects.image()?, self.events.copy(), self.backups.copy());
        let (bytes, taken) = (image.bytes() + events.bytes() + books.bytes(), self.clock.now());
        if others().map(|(_, other)| other.bytes).sum::<usize>() + bytes > SNAPSHOT_BYTES_MAX {
            return Err(Error::invalid(format!("all snapshots together have at most {SNAPSHOT_BYTES_MAX} bytes")));
        }
        let snapshot = Snapshot { image, events, books, bytes, wall: self.clock.wall(), taken };
        let note = note(name, &snapshot);
        snapshots.insert(name.to_owned(), snapshot);
        Ok(note)
    }

    /// Puts back what is stored under a name, the clock with it; whether there is such a snapshot. It stays for the next
    /// time.
    ///
    /// # Errors
    /// `Unsupported` on disk, and what opening databases gives. Then everything is as it was.
    pub(super) fn put_back(&self, name: &str) -> Result<bool> {
        let snapshots = self.snapshots.lock();
        let Some(snapshot) = snapshots.get(name) else { return Ok(false) };
        self.projects.put_back(&snapshot.image, &self.clock, snapshot.wall)?;
        self.events.replace(snapshot.events.clone());
        self.backups.replace(&snapshot.books);
        Ok(true)
    }

    pub(super) fn list_snapshots(&self) -> Vec<SnapshotNote> {
        self.snapshots.lock().iter().map(|(name, snapshot)| note(name, snapshot)).collect()
    }

    /// Forgets a snapshot; whether it was there.
    pub(super) fn remove_snapshot(&self, name: &str) -> bool {
        self.snapshots.lock().remove(name).is_some()
    }
}

fn note(name: &str, snapshot: &Snapshot) -> SnapshotNote {
    let projects = snapshot.image.projects().map(ToString::to_string).collect();
    SnapshotNote { name: name.to_owned(), bytes: snapshot.bytes, taken: snapshot.taken, projects }
}
