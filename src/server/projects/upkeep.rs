//! What is done to all projects at once: letting time pass, emptying, copying and putting back. Projects on disk are
//! looked at and kept up, but neither emptied nor put back: their directory belongs to its owner.

use std::collections::BTreeMap;
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use parking_lot::Mutex;

use crate::env::clock::Clock as _;
use crate::env::memory::MemoryDisk;
use crate::error::{Error, ErrorKind, Result};
use crate::server::backups::Backups;
use crate::server::clock::{SettableClock, Wall};
use crate::server::ids::Ids;
use crate::server::projects::{Home, Lease, PROJECTS, ProjectId, Projects, Slot, Slots, close, list};

/// Farthest that time is moved by one call: each half hour of it is worked through.
const ADVANCE_MAX: Duration = Duration::from_secs(366 * 86_400);

/// How far time goes before what has fallen due is done: heads wait half of the hour within which expired bytes leave,
/// and a step of an hour or less is no jump to the engine's clock guard.
const STEP: Duration = Duration::from_secs(1_800);

/// The files of all projects in memory at one moment each.
#[derive(Debug, Default)]
pub(in crate::server) struct Image(BTreeMap<ProjectId, MemoryDisk>);

impl Image {
    pub(in crate::server) fn bytes(&self) -> usize {
        self.0.values().map(MemoryDisk::bytes).sum()
    }

    pub(in crate::server) fn projects(&self) -> impl Iterator<Item = &ProjectId> {
        self.0.keys()
    }
}

impl Projects {
    /// The databases that are open, in order of their projects.
    pub(in crate::server) fn all_open(&self) -> Vec<(ProjectId, Lease)> {
        let lease = |(project, slot)| Some((project, Lease::of(slot)?));
        self.all_slots().into_iter().filter_map(lease).collect()
    }

    /// The same without those that are just being opened or closed, so that nobody waits for that.
    pub(in crate::server) fn all_at_rest(&self) -> Vec<(ProjectId, Lease)> {
        let lease = |(project, slot): (ProjectId, Arc<Slot>)| {
            let db = slot.db.try_lock()?.as_ref()?.db.clone();
            Some((project, Lease { db, _slot: slot }))
        };
        self.all_slots().into_iter().filter_map(lease).collect()
    }

    /// The projects that have a folder on disk, in order, and where it is.
    ///
    /// # Errors
    /// `Io` when the server's directory cannot be read.
    pub(in crate::server) fn folders(&self) -> Result<Vec<(ProjectId, PathBuf)>> {
        let Home::Disk(data) = &self.home else { return Ok(Vec::new()) };
        let dir = data.join(PROJECTS);
        let names = list(&*self.disk, &dir)?;
        let folder = |name: &String| ProjectId::new(name).map(|project| (project, dir.join(name)));
        Ok(names.iter().filter_map(folder).collect())
    }

    /// Moves time forward and, on the way and in its order, does everything that falls due in open databases, and makes
    /// each backup at its very moment. A database that cannot be maintained holds up neither time nor the others.
    ///
    /// # Errors
    /// `InvalidInput` for more than [`ADVANCE_MAX`] or past the last time of all; `Unsupported` on disk; the first of what
    /// maintaining databases gives.
    pub(in crate::server) fn pass(
        &self,
        clock: &SettableClock,
        by: Duration,
        backups: &Backups,
        ids: &Ids,
    ) -> Result<()> {
        if by > ADVANCE_MAX {
            return Err(Error::invalid(format!("the clock is moved by at most {ADVANCE_MAX:?} at a time")));
        }
        // What is on disk would stay destroyed, and its time ahead of the system's.
        self.check_in_memory()?;
        // All of it can be done, or nothing is.
        clock.check(by)?;
        let (mut rest, mut outcome) = (by, Ok(()));
        while !rest.is_zero() {
            let now = clock.now().as_millis();
            let next = backups.next_run().and_then(|next| u64::try_from(next.as_millis().saturating_sub(now)).ok());
            let until_next = next.filter(|millis| *millis > 0).map_or(STEP, Duration::from_millis);
            let step = rest.min(STEP).min(until_next);
            clock.advance(step)?;
            outcome = outcome.and(self.maintain()).and(backups.run_due(ids));
            rest -= step;
        }
        outcome
    }

    /// Believes in the clock, and does what is due in every open database.
    ///
    /// # Errors
    /// The first one that maintaining a database gives; all are maintained all the same.
    fn maintain(&self) -> Result<()> {
        let mut outcome = Ok(());
        for (project, db) in self.all_open() {
            db.confirm_clock();
            outcome = outcome.and(db.maintain().map_err(|error| Error::because(error.kind(), project, &error)));
        }
        outcome
    }

    /// Forgets everything. Requests that still use a database are answered with `Closed`.
    ///
    /// # Errors
    /// `Unsupported` on disk.
    pub(in crate::server) fn clear(&self) -> Result<()> {
        self.check_in_memory()?;
        let slots = mem::take(&mut *self.slots.lock());
        forget(slots);
        Ok(())
    }

    /// Copies everything that is stored.
    ///
    /// # Errors
    /// `Unsupported` on disk.
    pub(in crate::server) fn image(&self) -> Result<Image> {
        self.check_in_memory()?;
        let copy = |(project, slot): (ProjectId, Arc<Slot>)| {
            let place = slot.db.lock();
            Some((project, place.as_ref()?.files.as_ref()?.copy()))
        };
        Ok(Image(self.all_slots().into_iter().filter_map(copy).collect()))
    }

    /// Puts what was copied in place of everything that is stored, and the clock to where it stood then.
    ///
    /// # Errors
    /// `Unsupported` on disk; what opening gives. Then everything is as it was.
    pub(in crate::server) fn put_back(&self, image: &Image, clock: &SettableClock, wall: Wall) -> Result<()> {
        self.check_in_memory()?;
        let was = clock.wall();
        // IMPORTANT: first the clock, as nothing of the copy may see a time that has not come yet. What is stored now
        // sees it step back, which destroys nothing.
        clock.restore(wall);
        match self.swap(image) {
            Ok(gone) => {
                forget(gone);
                Ok(())
            }
            Err(error) => {
                clock.restore(was);
                self.all_open().iter().for_each(|(_, db)| db.confirm_clock());
                Err(error)
            }
        }
    }

    /// Opens copies of all that was copied, and only then puts them in the place of what is there, which it gives.
    fn swap(&self, image: &Image) -> Result<Slots> {
        let open = |(project, files): (&ProjectId, &MemoryDisk)| {
            let opened = self.create(project, Some(Arc::new(files.copy())))?;
            opened.db.confirm_clock();
            let slot = Slot { last_use: AtomicU64::default(), db: Mutex::new(Some(opened)) };
            Ok((project.clone(), Arc::new(slot)))
        };
        let opened = image.0.iter().map(open).collect::<Result<Slots>>()?;
        let mut slots = self.slots.lock();
        self.check_not_closed()?;
        Ok(mem::replace(&mut slots, opened))
    }

    /// In order of their projects.
    fn all_slots(&self) -> BTreeMap<ProjectId, Arc<Slot>> {
        self.slots.lock().iter().map(|(project, slot)| (project.clone(), Arc::clone(slot))).collect()
    }

    pub(in crate::server) fn check_in_memory(&self) -> Result<()> {
        if self.is_in_memory() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Unsupported,
            "this server keeps its data in a directory: only one in memory does this",
        ))
    }
}

fn forget(slots: Slots) {
    for (project, slot) in slots {
        // What cannot be closed in order is gone all the same.
        let _logged = close(&project, &mut slot.db.lock());
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::env::clock::SystemClock;
    use crate::env::disk::Disk as _;
    use crate::env::layout;
    use crate::model::durability::Durability;
    use crate::model::point::Point;
    use crate::model::rollup::Late;
    use crate::model::series::SeriesKey;
    use crate::model::time::{TimeRange, Ttl};

    fn projects(home: Home) -> (Arc<SettableClock>, Arc<Projects>) {
        let clock = Arc::new(SettableClock::over(Arc::new(SystemClock::default())));
        (clock.clone(), Arc::new(Projects::new(home, Durability::Sync, Late::Correct, clock)))
    }

    fn pass(projects: &Arc<Projects>, clock: &Arc<SettableClock>, by: Duration) -> Result<()> {
        let backups = Backups::open(Arc::clone(projects), clock.clone(), Vec::new())?;
        projects.pass(clock, by, &backups, &Ids::new(None))
    }

    fn key() -> SeriesKey {
        SeriesKey::new("A.B", "m", [("host", "a")]).expect("a good name")
    }

    fn counts(projects: &Projects, id: &ProjectId) -> (usize, usize) {
        let Some(db) = projects.open_existing(id).expect("opens") else { return (0, 0) };
        let points = db.points(&key(), TimeRange::ALL).expect("readable").count();
        (points, db.windows(&key(), TimeRange::ALL, Duration::from_secs(300)).expect("readable").len())
    }

    #[test]
    fn time_that_passes_destroys_points_and_leaves_windows() {
        // Goal: advancing does what falls due, on the disk too. Method: a day beyond a point's end.
        let (clock, projects) = projects(Home::Memory);
        let id = ProjectId::new("p").expect("a good id");
        let db = projects.open_or_create(&id).expect("opens");
        db.insert(&key(), Point::new(clock.now(), 7).with_ttl(Ttl::from_secs(3_600))).expect("stored");
        pass(&projects, &clock, Duration::from_secs(86_400)).expect("time passes");
        assert_eq!(counts(&projects, &id), (0, 1));
        assert_eq!((db.stats().points, db.stats().recent_points), (0, 0), "its bytes have gone");
        assert!(!db.stats().deletion_suspended);
        assert!(pass(&projects, &clock, ADVANCE_MAX + Duration::from_secs(1)).is_err());
    }

    #[test]
    fn an_image_is_put_back_exactly_whatever_came_since() {
        let (clock, projects) = projects(Home::Memory);
        let id = ProjectId::new("p").expect("a good id");
        let now = clock.now();
        let insert = |at| {
            let db = projects.open_or_create(&id).expect("opens");
            db.insert(&key(), Point::new(at, 7).with_ttl(Ttl::from_secs(60))).expect("stored");
        };
        insert(now);
        let (image, wall) = (projects.image().expect("in memory"), clock.wall());
        assert!(image.bytes() > 0 && image.projects().eq([&id]));
        insert(now + Duration::from_secs(1));
        pass(&projects, &clock, Duration::from_secs(3_600)).expect("time passes");
        assert_eq!(counts(&projects, &id).0, 0);
        for _ in 0..2 {
            projects.clear().expect("in memory");
            assert_eq!(counts(&projects, &id), (0, 0));
            projects.put_back(&image, &clock, wall).expect("opens");
            assert_eq!(counts(&projects, &id), (1, 1));
        }
    }

    #[test]
    fn what_cannot_be_put_back_takes_nothing_away() {
        // Goal: everything stays as it was, the clock too. Method: an image, one database of which cannot be opened.
        let (clock, projects) = projects(Home::Memory);
        let [good, bad] = ["a", "b"].map(|name| ProjectId::new(name).expect("a good id"));
        for id in [&good, &bad] {
            projects.open_or_create(id).expect("opens");
        }
        let (image, wall) = (projects.image().expect("in memory"), clock.wall());
        let disk = &image.0[&bad];
        let format = Path::new("memory").join(layout::FORMAT);
        disk.create(&format).and_then(|mut file| file.write_at(b"of another kind", 0)).expect("memory");
        pass(&projects, &clock, Duration::from_secs(3_600)).expect("time passes");
        let now = clock.now();
        let db = projects.open_or_create(&good).expect("is open");
        db.insert(&key(), Point::new(now, 7).with_ttl(Ttl::from_secs(60))).expect("stored");
        projects.put_back(&image, &clock, wall).expect_err("one of them cannot be opened");
        assert!(clock.now() >= now);
        assert_eq!(counts(&projects, &good), (1, 1));
        db.insert(&key(), Point::new(now, 8)).expect("is still open");
        assert!(!db.stats().deletion_suspended);
    }

    #[test]
    fn a_database_that_cannot_be_maintained_holds_up_neither_time_nor_others() {
        // Method: three projects, the second of which somebody has closed.
        let (clock, projects) = projects(Home::Memory);
        let ids = ["a", "b", "c"].map(|name| ProjectId::new(name).expect("a good id"));
        for id in &ids {
            let db = projects.open_or_create(id).expect("opens");
            db.insert(&key(), Point::new(clock.now(), 7).with_ttl(Ttl::from_secs(3_600))).expect("stored");
        }
        projects.open_or_create(&ids[1]).expect("is open").close().expect("closes");
        let before = clock.now();
        let error = pass(&projects, &clock, Duration::from_secs(86_400)).expect_err("one is closed");
        assert_eq!(error.kind(), ErrorKind::Closed);
        assert!(error.to_string().starts_with("b: "), "{error}");
        assert!(clock.now() >= before + Duration::from_secs(86_400));
        for id in [&ids[0], &ids[2]] {
            let stats = projects.open_or_create(id).expect("is open").stats();
            assert_eq!((stats.points, stats.recent_points), (0, 0), "{id}: its bytes have gone");
        }
    }

    #[test]
    fn what_is_on_disk_is_not_emptied() {
        let dir = tempfile::tempdir().expect("a directory");
        let (clock, projects) = projects(Home::Disk(dir.path().to_owned()));
        let put_back = projects.put_back(&Image::default(), &clock, clock.wall());
        for outcome in [projects.clear(), projects.image().map(drop), put_back] {
            assert_eq!(outcome.expect_err("refused").kind(), ErrorKind::Unsupported);
        }
    }
}
