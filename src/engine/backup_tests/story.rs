//! A simulated volume `v` with its backups, what each of those has to answer, and what has become of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::backup::{self, Backup};
use crate::engine::Engine;
use crate::engine::restore::Identity;
use crate::engine::settings::Settings;
use crate::engine::simulation::model::History;
use crate::engine::simulation::{Act, Run, Workload, answers_of, clocked};
use crate::env::disk::Disk;
use crate::env::faulty::FaultyDisk;
use crate::env::layout;
use crate::error::{Error, Result};
use crate::model::durability::Durability;
use crate::policy::named::BackupPolicy;
use crate::policy::retention::{Keep, Retention};
use crate::policy::schedule::{Days, Schedule, Zone};

/// Where the backups lie.
pub(super) const FOLDER: &str = "b";

/// The backups of a policy for every midnight, from the first day of a story on.
const DAILY: [&str; 10] = [
    "b/daily-19700113T000000Z",
    "b/daily-19700114T000000Z",
    "b/daily-19700115T000000Z",
    "b/daily-19700116T000000Z",
    "b/daily-19700117T000000Z",
    "b/daily-19700118T000000Z",
    "b/daily-19700119T000000Z",
    "b/daily-19700120T000000Z",
    "b/daily-19700121T000000Z",
    "b/daily-19700122T000000Z",
];

/// How many of those the policy keeps.
const KEPT: u16 = 2;

/// One thing that is done to a volume or its backups, which are named by their paths.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Deed {
    Do(Act),
    Snapshot(&'static str),
    Remove(&'static str),
    /// Restores a backup into a directory.
    Restore(&'static str, &'static str),
    /// A day later, what is due by a policy that is in force.
    Run,
}

/// What is known of a backup.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// It was made.
    There,
    /// It may be there: whoever made or removed it was told of an error.
    Unknown,
    /// It was removed, or never made.
    Gone,
}

/// A history with backups.
pub(super) struct Story {
    pub(super) run: Run,
    /// Each backup with what had happened when it was taken.
    pub(super) taken: BTreeMap<&'static str, (History, State)>,
    /// What was restored, from which backup, and whether that was heard to be done.
    pub(super) restored: BTreeMap<&'static str, (&'static str, bool)>,
    /// How many backups of the policy have to be there, whatever becomes of its last run.
    kept_min: usize,
    /// The first error of a deed with backups.
    pub(super) trouble: Option<Error>,
}

/// What a story leaves behind for who comes after a crash.
#[derive(Clone)]
pub(super) struct Left {
    pub(super) history: History,
    taken: BTreeMap<&'static str, (History, State)>,
    restored: BTreeMap<&'static str, (&'static str, bool)>,
    kept_min: usize,
}

pub(super) fn workload() -> Workload {
    let (log_file_bytes, head_bytes_max) = (1 << 12, 1 << 20);
    Workload { name: "backups", durability: Durability::Sync, log_file_bytes, head_bytes_max, acts: Vec::new() }
}

impl Story {
    pub(super) fn start(disk: FaultyDisk) -> Self {
        let (run, _opened) = Run::start(disk, &workload(), History::default());
        Self { run, taken: BTreeMap::new(), restored: BTreeMap::new(), kept_min: 0, trouble: None }
    }

    /// Opens what a crash has left; the volume too, whose history goes on with what is there.
    pub(super) fn resume(disk: FaultyDisk, left: &Left) -> std::result::Result<Self, String> {
        let (mut run, opened) = Run::start(disk, &workload(), left.history.clone());
        opened.map_err(|error| format!("cannot be opened: {error}"))?;
        run.adopt()?;
        let Left { taken, restored, kept_min, .. } = left.clone();
        Ok(Self { run, taken, restored, kept_min, trouble: None })
    }

    pub(super) fn left(&self) -> Left {
        let Self { run, taken, restored, kept_min, .. } = self;
        Left { history: run.history.clone(), taken: taken.clone(), restored: restored.clone(), kept_min: *kept_min }
    }

    pub(super) fn perform(&mut self, deed: Deed) {
        let disk: Arc<dyn Disk> = Arc::new(self.run.disk.clone());
        let done = match deed {
            Deed::Do(act) => {
                self.run.act(act);
                Ok(())
            }
            Deed::Snapshot(name) => {
                let Some(engine) = &self.run.engine else { return };
                let done = take(engine, disk, name).map(|_| ());
                if done.is_ok() {
                    self.run.history.promise();
                }
                let is_new = self.taken.get(name).is_none_or(|(_, state)| *state == State::Gone);
                if is_new {
                    let state = if done.is_ok() { State::There } else { State::Unknown };
                    self.taken.insert(name, (self.run.history.clone(), state));
                }
                done
            }
            Deed::Remove(name) => {
                let done = backup::remove(disk, Path::new(name));
                if let Some((_, state)) = self.taken.get_mut(name) {
                    *state = if done.is_ok() { State::Gone } else { State::Unknown };
                }
                done
            }
            Deed::Restore(name, dir) => {
                let done = restore(&*disk, name, dir);
                self.restored.insert(dir, (name, done.is_ok()));
                done
            }
            Deed::Run => {
                let Some(engine) = self.run.engine.clone() else { return };
                let done = engine.backup_policy(disk, daily());
                self.run.act(Act::Advance(86_400));
                engine.believe_clock();
                let done = done.and_then(|()| engine.back_up_due());
                if done.is_ok() {
                    self.run.history.promise();
                }
                self.note_run(done.is_ok());
                done
            }
        };
        if let Err(error) = done {
            self.trouble.get_or_insert(error);
        }
    }

    /// Notes what a run of the policy has made and removed, or may have.
    fn note_run(&mut self, is_done: bool) {
        let is_there = |name: &&&str| self.taken.get(**name).is_some_and(|(_, state)| *state == State::There);
        let kept = usize::from(KEPT);
        self.kept_min = DAILY.iter().filter(is_there).count().min(kept);
        let made = if is_done { State::There } else { State::Unknown };
        self.taken.insert(DAILY[self.day()], (self.run.history.clone(), made));
        let (mut surely, mut maybe) = (0, 0);
        for name in DAILY.iter().rev() {
            let Some((_, state)) = self.taken.get_mut(name) else { continue };
            let before = *state;
            if before != State::Gone && maybe >= kept {
                *state = if is_done && surely >= kept { State::Gone } else { State::Unknown };
            }
            surely += usize::from(before == State::There);
            maybe += usize::from(before != State::Gone);
        }
    }

    /// The place in [`DAILY`] of the midnight that was last.
    fn day(&self) -> usize {
        let first = 12;
        usize::try_from(self.run.history.now.as_millis() / 86_400_000 - first).expect("it is later")
    }

    /// Whether the policy was in force.
    pub(super) fn has_runs(&self) -> bool {
        self.taken.keys().any(|name| DAILY.contains(name))
    }

    /// Settings whose clock stands where it stood when a backup was taken.
    pub(super) fn settings_at(&self, name: &str) -> Settings {
        clocked(self.taken[name].0.now, Durability::Sync, 1 << 12).1
    }

    /// Opens a volume that was restored from a backup, at the moment of that.
    pub(super) fn open(&self, dir: &Path, name: &str) -> Result<Arc<Engine>> {
        Engine::open(Arc::new(self.run.disk.clone()), dir, self.settings_at(name))
    }

    pub(super) fn open_frozen(&self, name: &str) -> Result<Arc<Engine>> {
        Engine::open_frozen(Arc::new(self.run.disk.clone()), Path::new(name))
    }

    /// Holds every backup against what it has to be, and what is listed against what is known.
    pub(super) fn check_backups(&self) -> std::result::Result<(), String> {
        let disk: Arc<dyn Disk> = Arc::new(self.run.disk.clone());
        let listed = backup::list(&*disk, Path::new(FOLDER)).map_err(|error| error.to_string())?;
        if let Some(error) = listed.damaged.first() {
            return Err(format!("a listed backup is damaged: {error}"));
        }
        let names: Vec<PathBuf> = listed.list.into_iter().map(|backup| backup.path).collect();
        for (name, (history, state)) in &self.taken {
            let is_listed = names.iter().any(|path| path == Path::new(name));
            match (state, is_listed) {
                (State::There, false) => return Err(format!("{name} was made and is not listed")),
                (State::Gone, true) => return Err(format!("{name} was removed and is listed")),
                (_, false) => continue,
                (_, true) => {}
            }
            if let Some(error) = Engine::verify_backup(&disk, Path::new(name)).first() {
                return Err(format!("{name} is listed, and verify says: {error}"));
            }
            let frozen = self.open_frozen(name).map_err(|error| format!("{name} cannot be opened: {error}"))?;
            check_answers(&frozen, history).map_err(|why| format!("{name}: {why}"))?;
        }
        let kept = names.iter().filter(|path| DAILY.iter().any(|name| *path == Path::new(name))).count();
        if kept < self.kept_min {
            return Err(format!("{kept} backups of the policy are there, it had {} before", self.kept_min));
        }
        match names.iter().find(|path| self.taken.keys().all(|name| *path != Path::new(name))) {
            None => Ok(()),
            Some(path) => Err(format!("{} is listed, and nobody made it", path.display())),
        }
    }

    /// Restores each listed backup anew, and holds what is restored against what it has to be, now and later.
    pub(super) fn check_restorable(&self) -> std::result::Result<(), String> {
        let listed = backup::list(&self.run.disk, Path::new(FOLDER)).map_err(|error| error.to_string())?;
        for backup in listed.list {
            let dir = PathBuf::from(format!("again-{}", backup.path.file_name().unwrap_or_default().display()));
            restore(&self.run.disk, &backup.path, &dir)
                .map_err(|error| format!("{} is listed, and restoring says: {error}", backup.path.display()))?;
            let name = self.taken.keys().find(|name| backup.path == Path::new(name)).expect("it was looked at before");
            self.check_restored(name, &dir.to_string_lossy(), &[0, 90_000])?;
        }
        Ok(())
    }

    /// Holds a restored volume against its backup, at the moment of that and some seconds later.
    pub(super) fn check_restored(&self, name: &str, dir: &str, later: &[u64]) -> std::result::Result<(), String> {
        for seconds in later {
            let mut history = self.taken[name].0.clone();
            history.now = history.now + Duration::from_secs(*seconds);
            let settings = clocked(history.now, Durability::Sync, 1 << 12).1;
            let engine = Engine::open(Arc::new(self.run.disk.clone()), Path::new(dir), settings)
                .map_err(|error| format!("{dir}, restored from {name}, cannot be opened: {error}"))?;
            check_answers(&engine, &history).map_err(|why| format!("{dir} {seconds} s later: {why}"))?;
            engine.close().map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// After a crash or an error: what was being restored is a whole volume or none, and can be restored again.
    pub(super) fn check_places(&self) -> std::result::Result<(), String> {
        for (dir, (name, is_done)) in &self.restored {
            let path = Path::new(dir);
            let names = self.run.disk.list(path).unwrap_or_default();
            let has = |wanted: &str| names.iter().any(|name| name == wanted);
            if has(layout::FORMAT) {
                self.check_restored(name, dir, &[0])?;
                continue;
            }
            if *is_done {
                return Err(format!("{dir} was restored and is no volume"));
            }
            if has(layout::RESTORE) && self.open(path, name).is_ok() {
                return Err(format!("{dir} is opened, and it was restored in part"));
            }
            let is_listed = self.run.disk.list(&Path::new(name).join(layout::SEGMENTS)).is_ok();
            if is_listed {
                restore(&self.run.disk, name, path)
                    .map_err(|error| format!("{dir} cannot be restored again: {error}"))?;
                self.check_restored(name, dir, &[0])?;
            }
        }
        Ok(())
    }

    /// Demands that nothing is left of backups that are none.
    pub(super) fn check_drafts(&self) -> std::result::Result<(), String> {
        let names = self.run.disk.list(Path::new(FOLDER)).unwrap_or_default();
        match names.iter().find(|name| name.ends_with(layout::BACKUP_DRAFT)) {
            None => Ok(()),
            Some(name) => Err(format!("{name} is left behind")),
        }
    }
}

/// Every midnight, the two newest of them.
fn daily() -> BackupPolicy {
    let schedule = Schedule::new([0], Days::Every(1), Zone::UTC).expect("a schedule");
    BackupPolicy::new("daily", FOLDER, schedule, Retention::new(Keep::Number(KEPT), false).expect("in range"))
}

/// Takes a backup and tells nobody how far it is.
pub(super) fn take(engine: &Engine, disk: Arc<dyn Disk>, target: impl AsRef<Path>) -> Result<Backup> {
    engine.snapshot(disk, target.as_ref(), &mut |_, _| {})
}

/// Restores a backup, as the same volume.
pub(super) fn restore(disk: &dyn Disk, backup: impl AsRef<Path>, dir: impl AsRef<Path>) -> Result<()> {
    Engine::restore(disk, backup.as_ref(), dir.as_ref(), Identity::Same, &mut |_, _| {}).map(|_| ())
}

/// Demands that a volume answers exactly what was acknowledged.
pub(super) fn check_answers(engine: &Engine, history: &History) -> std::result::Result<(), String> {
    match answers_of(engine, true)? {
        (found, None) => history.judge(&found, true).map(|_| ()),
        (_, Some(missing)) => Err(format!("not everything can be read: {missing}")),
    }
}
