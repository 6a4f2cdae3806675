//! Which project has which database: opened on demand, closed again when many are open. Knows folders and databases;
//! nothing of requests. Every call may block on files, so it belongs on a thread that may.

mod places;
mod upkeep;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use uuid::Uuid;

use crate::builder::Builder;
use crate::db::Db;
use crate::engine::settings::Maintenance;
use crate::env::clock::Clock;
use crate::env::disk::Disk;
use crate::env::layout;
use crate::env::memory::MemoryDisk;
use crate::env::real::RealDisk;
use crate::error::{Error, ErrorKind, Result};
use crate::model::durability::Durability;
use crate::model::rollup::Late;

use self::places::list;
pub(super) use self::places::{BACKUPS, PROJECTS, ProjectId, usual_volume, volume_in, volumes_dir};
pub(super) use self::upkeep::Image;

/// Most projects open at a time. On disk the one that was unused for longest is closed for the next; in memory, where
/// closing one would lose it, further ones are refused.
const OPEN_MAX: usize = 64;

/// Memory for recent points and series of one project, in bytes: 4 GiB over all that are open. In memory the log comes
/// on top, at a few bytes a point.
const HEAD_BYTES_MAX: usize = 64 << 20;

/// How long after a full disk kept a database from being mended it is opened anew.
const MEND_AGAIN_AFTER: Duration = Duration::from_secs(15);

/// Most series of one project.
const SERIES_MAX: u32 = 100_000;

/// Where the projects of a server live.
#[derive(Clone, Debug)]
pub(super) enum Home {
    Memory,
    /// The server's directory.
    Disk(PathBuf),
}

/// All projects of one server.
#[derive(Debug)]
pub(super) struct Projects {
    home: Home,
    /// Where the home's files lie, unless it is memory.
    disk: Arc<dyn Disk>,
    durability: Durability,
    /// Of databases that are made.
    late: Late,
    clock: Arc<dyn Clock>,
    open_max: usize,
    /// Counts uses, so that the least recently used project is known without asking a clock.
    uses: AtomicU64,
    closed: AtomicBool,
    slots: Mutex<Slots>,
}

type Slots = HashMap<ProjectId, Arc<Slot>>;

/// The place of one project. Whoever uses it holds a clone of the `Arc`: what only the map holds is idle.
#[derive(Debug, Default)]
struct Slot {
    last_use: AtomicU64,
    /// `None` until opened, and again once closed. Locked while the database opens or closes, so that nobody opens a
    /// directory that is still being released.
    db: Mutex<Option<Opened>>,
}

#[derive(Debug)]
struct Opened {
    db: Db,
    /// When, by the monotonic clock.
    at: Duration,
    /// Its files, if they are in memory.
    files: Option<Arc<MemoryDisk>>,
}

/// A database in use: as long as this lives, the database stays open.
#[derive(Debug)]
pub(super) struct Lease {
    db: Db,
    _slot: Arc<Slot>,
}

impl Lease {
    /// The database of this place, if it is open.
    fn of(slot: Arc<Slot>) -> Option<Self> {
        let db = slot.db.lock().as_ref()?.db.clone();
        Some(Self { db, _slot: slot })
    }
}

impl std::ops::Deref for Lease {
    type Target = Db;

    fn deref(&self) -> &Db {
        &self.db
    }
}

impl Projects {
    pub(super) fn new(home: Home, durability: Durability, late: Late, clock: Arc<dyn Clock>) -> Self {
        let (uses, closed, slots) = (AtomicU64::new(0), AtomicBool::new(false), Mutex::new(HashMap::new()));
        let disk = Arc::new(RealDisk);
        Self { home, disk, durability, late, clock, open_max: OPEN_MAX, uses, closed, slots }
    }

    /// The same with its directory on another disk.
    #[cfg(test)]
    pub(super) fn with_disk(self, disk: Arc<dyn Disk>) -> Self {
        Self { disk, ..self }
    }

    /// Whether the projects live in memory only.
    pub(super) fn is_in_memory(&self) -> bool {
        matches!(self.home, Home::Memory)
    }

    /// The project's database, made if there is none.
    ///
    /// # Errors
    /// `Overloaded` when too many projects are open, `Closed` after [`Projects::close`], and what opening gives.
    pub(super) fn open_or_create(&self, project: &ProjectId) -> Result<Lease> {
        let slot = self.slot(project)?;
        let mut place = slot.db.lock();
        if place.as_ref().is_some_and(|opened| self.is_worth_mending(opened)) {
            // A failed close was logged; what was acknowledged stands in the log.
            let _logged = close(project, &mut place);
        }
        let db = if let Some(opened) = &*place {
            opened.db.clone()
        } else {
            self.check_not_closed()?;
            let files = self.is_in_memory().then(Arc::<MemoryDisk>::default);
            place.insert(self.create(project, files)?).db.clone()
        };
        drop(place);
        Ok(Lease { db, _slot: slot })
    }

    /// The project's database; `None`, and nothing is made, when the project was never written to.
    ///
    /// # Errors
    /// As [`Projects::open_or_create`].
    pub(super) fn open_existing(&self, project: &ProjectId) -> Result<Option<Lease>> {
        let slot = self.slots.lock().get(project).map(Arc::clone);
        let is_open = slot.is_some_and(|slot| slot.db.lock().is_some());
        // Looked for without the lock: others need not wait for the disk.
        if is_open || self.volume(project)?.is_some() { self.open_or_create(project).map(Some) } else { Ok(None) }
    }

    /// Closes every database. Requests that still use one are answered with `Closed`; no further one is opened.
    ///
    /// # Errors
    /// The first error; every database is closed all the same, and every error is logged.
    pub(super) fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::SeqCst);
        let slots: Vec<_> = self.slots.lock().drain().collect();
        let mut outcome = Ok(());
        for (project, slot) in slots {
            outcome = outcome.and(close(&project, &mut slot.db.lock()));
        }
        outcome
    }

    /// Whether a database that could not be mended when it was opened should be opened anew: the disk may have room
    /// now.
    fn is_worth_mending(&self, opened: &Opened) -> bool {
        let age = self.clock.monotonic().saturating_sub(opened.at);
        opened.db.recovery().read_only.is_some() && age >= MEND_AGAIN_AFTER
    }

    fn slot(&self, project: &ProjectId) -> Result<Arc<Slot>> {
        loop {
            let idlest = {
                let mut slots = self.slots.lock();
                self.check_not_closed()?;
                if slots.len() < self.open_max || slots.contains_key(project) {
                    let slot = Arc::clone(slots.entry(project.clone()).or_default());
                    slot.last_use.store(self.uses.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
                    return Ok(slot);
                }
                self.idlest(&slots).ok_or_else(|| {
                    let most = self.open_max;
                    Error::new(ErrorKind::Overloaded, format!("{most} projects are open, which is the most"))
                })?
            };
            self.evict(idlest);
        }
    }

    fn check_not_closed(&self) -> Result<()> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Closed, "the server is stopping"));
        }
        Ok(())
    }

    /// The least recently used project that no request is using; in memory there is never one to give up.
    fn idlest(&self, slots: &Slots) -> Option<(ProjectId, Arc<Slot>)> {
        let Home::Disk(_) = self.home else { return None };
        let idle = slots.iter().filter(|(_, slot)| Arc::strong_count(slot) == 1);
        let (project, slot) = idle.min_by_key(|(_, slot)| slot.last_use.load(Ordering::Relaxed))?;
        Some((project.clone(), Arc::clone(slot)))
    }

    /// Closes one project and gives up its place, unless a request has come for it meanwhile: that one then opens it
    /// anew, in the same place.
    fn evict(&self, (project, slot): (ProjectId, Arc<Slot>)) {
        // A failed close was logged. What was acknowledged stands in the log and is found at the next opening.
        let _logged = close(&project, &mut slot.db.lock());
        let mut slots = self.slots.lock();
        // The map's and ours.
        if Arc::strong_count(&slot) == 2 {
            slots.remove(&project);
        }
    }

    fn create(&self, project: &ProjectId, files: Option<Arc<MemoryDisk>>) -> Result<Opened> {
        let builder = match (&self.home, &files) {
            (Home::Memory, None) => Builder::in_memory(),
            (Home::Memory, Some(files)) => Builder::in_memory_of(Arc::clone(files)),
            (Home::Disk(data), _) => {
                let volume = match self.volume(project)? {
                    Some(volume) => volume,
                    None => volumes_dir(data, project).join(usual_volume(project)),
                };
                self.builder_of(&volume)
            }
        };
        let builder = builder.durability(self.durability).series_max(SERIES_MAX).head_bytes_max(HEAD_BYTES_MAX);
        let db = builder.late(self.late).clock(Arc::clone(&self.clock)).open()?;
        let found = db.recovery();
        tracing::info!(%project, clean = found.clean, batches = found.batches, points = found.points, "project opened");
        Ok(Opened { db, at: self.clock.monotonic(), files })
    }

    /// Opens the database of one of the project's further volumes, for a while; `None`, and nothing is made, when it has
    /// none. Only one that was restored has.
    ///
    /// # Errors
    /// What opening gives.
    pub(super) fn open_further(&self, project: &ProjectId, volume: &str) -> Result<Option<Db>> {
        let Home::Disk(data) = &self.home else { return Ok(None) };
        let dir = volumes_dir(data, project).join(volume);
        // What is no UUID may be no name of a folder.
        let holds_one = || Ok(list(&*self.disk, &dir)?.iter().any(|name| name == layout::FORMAT));
        if Uuid::parse_str(volume).is_err() || !holds_one()? {
            return Ok(None);
        }
        let builder = self.builder_of(&dir).maintenance(Maintenance::Manual).clock(Arc::clone(&self.clock));
        builder.open().map(Some)
    }

    fn builder_of(&self, volume: &Path) -> Builder {
        Builder::on(Arc::clone(&self.disk), volume)
    }

    /// The disk on which [`Projects::folder`] is.
    pub(super) fn disk(&self) -> Arc<dyn Disk> {
        Arc::clone(&self.disk)
    }

    /// The folder of a project, whether or not it is there; none in memory.
    pub(super) fn folder(&self, project: &ProjectId) -> Option<PathBuf> {
        let Home::Disk(data) = &self.home else { return None };
        Some(data.join(PROJECTS).join(project.as_str()))
    }

    /// The id of the project's own volume, whether or not there is one yet.
    ///
    /// # Errors
    /// `Io` when the directory cannot be read.
    pub(super) fn volume_id(&self, project: &ProjectId) -> Result<String> {
        let found = self.volume(project)?;
        let name = found.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        Ok(name.unwrap_or_else(|| usual_volume(project)))
    }

    fn volume(&self, project: &ProjectId) -> Result<Option<PathBuf>> {
        let Home::Disk(data) = &self.home else { return Ok(None) };
        volume_in(&*self.disk, data, project)
    }
}

fn close(project: &ProjectId, place: &mut Option<Opened>) -> Result<()> {
    let outcome = place.take().map_or(Ok(()), |opened| opened.db.close());
    if let Err(error) = &outcome {
        tracing::error!(%project, "closing failed: {error}");
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::clock::SystemClock;

    fn id(text: &str) -> ProjectId {
        ProjectId::new(text).expect("a good id")
    }

    fn projects(home: Home, open_max: usize) -> Projects {
        Projects { open_max, ..Projects::new(home, Durability::Sync, Late::Correct, Arc::new(SystemClock::default())) }
    }

    #[test]
    fn reading_what_does_not_exist_makes_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let on_disk = projects(Home::Disk(dir.path().to_owned()), 4);
        assert!(on_disk.open_existing(&id("ghost")).expect("no error").is_none());
        assert_eq!(RealDisk.list(dir.path()).expect("a directory"), Vec::<String>::new());
        assert!(on_disk.slots.lock().is_empty());
        assert!(projects(Home::Memory, 4).open_existing(&id("ghost")).expect("no error").is_none());
    }

    #[test]
    fn the_least_recently_used_idle_project_makes_room() {
        // Goal: the bound holds and a project in use stays. Method: a bound of two and a third project.
        let dir = tempfile::tempdir().expect("a directory");
        let projects = projects(Home::Disk(dir.path().to_owned()), 2);
        drop(projects.open_or_create(&id("a")).expect("opens"));
        let b = projects.open_or_create(&id("b")).expect("opens");
        drop(projects.open_or_create(&id("a")).expect("is open"));
        drop(projects.open_or_create(&id("c")).expect("a makes room, as b is in use"));
        let open: Vec<bool> = ["a", "b", "c"].map(|name| projects.slots.lock().contains_key(&id(name))).into();
        assert_eq!(open, [false, true, true]);
        let c = projects.open_or_create(&id("c")).expect("is open");
        let error = projects.open_or_create(&id("a")).expect_err("both are in use");
        assert_eq!(error.kind(), ErrorKind::Overloaded);
        drop((b, c));
        assert!(projects.open_existing(&id("a")).expect("opens").is_some(), "its volume was found again");
        assert_eq!(RealDisk.list(&volumes_dir(dir.path(), &id("a"))).expect("a directory").len(), 1);
    }

    #[test]
    fn a_project_that_is_wanted_again_keeps_its_place() {
        // Goal: nobody opens a second database in a directory that is being closed. Method: give up a project while a
        // request holds it.
        let dir = tempfile::tempdir().expect("a directory");
        let projects = projects(Home::Disk(dir.path().to_owned()), 2);
        let lease = projects.open_or_create(&id("a")).expect("opens");
        let slot = Arc::clone(&projects.slots.lock()[&id("a")]);
        projects.evict((id("a"), Arc::clone(&slot)));
        assert!(projects.slots.lock().get(&id("a")).is_some_and(|kept| Arc::ptr_eq(kept, &slot)));
        assert_eq!(lease.sync().expect_err("was closed").kind(), ErrorKind::Closed);
        projects.open_or_create(&id("a")).expect("opens anew, in the same place").sync().expect("is open");
    }

    #[test]
    fn projects_in_memory_are_never_given_up() {
        let projects = projects(Home::Memory, 1);
        drop(projects.open_or_create(&id("a")).expect("opens"));
        assert_eq!(projects.open_or_create(&id("b")).expect_err("full").kind(), ErrorKind::Overloaded);
        assert!(projects.open_existing(&id("a")).expect("no error").is_some());
        projects.close().expect("closes");
        assert_eq!(projects.open_or_create(&id("a")).expect_err("closed").kind(), ErrorKind::Closed);
    }
}
