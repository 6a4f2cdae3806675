//! Opening a volume: lock, FORMAT, manifest, segments, catalogue, replay, and the state that everything else works on.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, RwLock};

use crate::catalog::SledStore;
use crate::codec::entry::Entry;
use crate::codec::record::FormatV1;
use crate::engine::background::{Bell, Pace};
use crate::engine::guard::ClockGuard;
use crate::engine::health::{Counters, Gauges, Troubles};
use crate::engine::ledger::Ledger;
use crate::engine::names::load_catalog;
use crate::engine::queue::{Committed, Writer};
use crate::engine::recovery::Recovery;
use crate::engine::routine::Routine;
use crate::engine::settings::{KeepCatalog, Maintenance, Settings};
use crate::engine::shelf::{Shelf, Slot};
use crate::engine::view::View;
use crate::engine::{Engine, Life, format};
use crate::env::disk::{Disk, TEMPORARY};
use crate::env::lock::DirLock;
use crate::env::{identity, layout};
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::{Manifest, Version};
use crate::model::durability::{Durability, Sequence};
use crate::model::limits::DAMAGE_NOTES_MAX;
use crate::model::rollup::{Late, Rollup};
use crate::wal::{self, Replay, Wal};

/// How often a long replay says how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);

impl Engine {
    /// Opens the volume in a directory, making it if it is not there.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path, settings: Settings) -> Result<Arc<Self>> {
        match disk.list(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                disk.create_dir_all(dir).map_err(|error| Error::io(format_args!("make {}", dir.display()), error))?;
            }
            Ok(names) if names.iter().any(|name| name == layout::BACKUP) => {
                let why = format!("{} is a backup: restore it, or open it with `Db::open_snapshot`", dir.display());
                return Err(Error::new(ErrorKind::Unsupported, why));
            }
            _ => {}
        }
        let lock = DirLock::acquire(&*disk, dir)?;
        let format = format::read_or_make(&disk, dir, &settings)?;
        let segments = dir.join(layout::SEGMENTS);
        let wal = dir.join(layout::WAL);
        sweep(&*disk, dir)?;
        let (logs, stored) = (sweep(&*disk, &wal)?, sweep(&*disk, &segments)?);
        let (manifest, mut damage) = Manifest::open(disk.clone(), dir, format.lineage)?;
        let version = manifest.version().clone();
        let shelf = Shelf::open(&disk, &segments, format.lineage, version.clone())?;
        damage.extend(shelf.slots().iter().filter_map(|slot| slot.damage()).map(ToString::to_string));
        if let Some(note) = damage.first().filter(|_| settings.strict) {
            return Err(Error::corrupt(format!("{note}; open without `strict` to serve the rest")));
        }
        // Only now is it sure that this is a volume of ours whose manifest can be read.
        let unlisted = unlisted(stored, &version);
        if !logs.is_empty() || !unlisted.is_empty() {
            // IMPORTANT: a name that is read back may exist in the cache only, if the last run ended between a rename
            // and its sync. It is made durable before anything is removed or replayed on the strength of it. A stop
            // that leaves neither had synced the folders of what it left, or was of no consequence yet; what is built
            // upon it later, a log file or a manifest, syncs the folder of the volume itself.
            for each in [dir, &wal, &segments] {
                disk.sync_dir(each)
                    .map_err(|error| Error::io(format_args!("sync the folder {}", each.display()), error))?;
            }
        }
        for name in unlisted {
            let removed = disk.remove(&segments.join(&name));
            removed.map_err(|error| Error::io(format_args!("sweep {}", segments.display()), error))?;
            tracing::info!(file = %name, "a segment that is not true is removed");
        }
        let is_stored = settings.keep_catalog != KeepCatalog::Never;
        let store = is_stored.then(|| SledStore::new(disk.clone(), dir));
        let mut ledger = Ledger::new(manifest, store);
        let is_lost = |slot: &Slot, error: &Error| {
            let opened = || disk.open(&segments.join(layout::segment_name(slot.meta.number, slot.meta.kind())));
            let is_missing = || matches!(opened(), Err(error) if error.kind() == io::ErrorKind::NotFound);
            !settings.strict && (error.is_corruption() || is_missing())
        };
        let catalog = load_catalog(&mut ledger, settings.keep_catalog, &shelf, &is_lost, &mut damage)?;
        let view = View::new(catalog, Arc::new(shelf), Arc::new(rollup_of(&settings, &format)));
        let engine = Arc::new(Self::assemble(disk, dir, settings, format, Some(lock), ledger, view));
        // IMPORTANT: what was replayed up to an error must not be flushed when the engine goes.
        engine.replay(&version, damage).inspect_err(|_| engine.is_closed.store(true, Ordering::SeqCst))?;
        if let Err(error) = engine.start_threads() {
            // Those that did start hold the engine, and with it the directory.
            if let Err(left) = engine.close() {
                tracing::warn!(error = %left, "the database could not be closed in order");
            }
            return Err(error);
        }
        // Which series live on in windows alone is not stored.
        engine.counters.note_dropped();
        // The log may have been written under a larger bound.
        engine.freeze_if_full();
        Ok(engine)
    }

    fn start_threads(self: &Arc<Self>) -> Result<()> {
        let mut life = self.life.lock();
        if let Durability::Interval(every) = self.settings.durability {
            life.threads.sync(every, self.commit.clone())?;
        }
        if self.settings.maintenance == Maintenance::Background {
            life.threads.maintain(self)?;
        }
        Ok(())
    }

    /// An engine with nothing replayed yet; without a lock it is one of a backup, which never changes.
    pub(super) fn assemble(
        disk: Arc<dyn Disk>,
        dir: &Path,
        settings: Settings,
        format: FormatV1,
        lock: Option<DirLock>,
        ledger: Ledger,
        view: View,
    ) -> Self {
        let version = view.shelf.version.clone();
        let committed = Committed { last: version.flushed, next_series: version.next_series };
        let nothing = Replay { next_number: version.log_floor.max(1), ..Replay::default() };
        let (file_bytes, durability) = (settings.log_file_bytes, settings.durability);
        let wal = Wal::new(disk.clone(), dir, format.lineage, file_bytes, durability, &nothing);
        Self {
            guard: ClockGuard::new(settings.clock.clone(), version.horizon),
            gauges: Gauges::default(),
            counters: Counters::default(),
            troubles: Troubles::default(),
            bell: Bell::default(),
            pace: Pace::new(match settings.maintenance {
                Maintenance::Background => Some(settings.compaction_bytes_per_second),
                Maintenance::Manual => None,
            }),
            is_frozen: lock.is_none(),
            is_closed: AtomicBool::new(false),
            turn: Condvar::new(),
            room: Condvar::new(),
            forgotten: Mutex::default(),
            avoided: Mutex::default(),
            routine: Routine::default(),
            flushing: Mutex::new(()),
            compacting: Mutex::new(()),
            writer: Mutex::new(Writer::new(committed, view.epoch, version.horizon)),
            ledger: Mutex::new(ledger),
            commit: Arc::new(Mutex::new(wal)),
            rollup: view.rollup.clone(),
            view: RwLock::new(view),
            recovery: Mutex::new(Recovery::default()),
            life: Mutex::new(Life { lock, ..Life::default() }),
            settings,
            disk,
            dir: dir.to_owned(),
            format,
        }
    }

    /// Replays the log into the head, and begins a new file of it.
    fn replay(&self, version: &Version, damage: Vec<String>) -> Result<()> {
        let mut told = Told { damage, ..Told::default() };
        let start = self.guard.monotonic();
        let (mut read, mut next_word) = (0, PROGRESS_EVERY);
        let replay = wal::replay(
            &*self.disk,
            &self.dir,
            self.format.lineage,
            version.flushed,
            version.log_floor,
            self.settings.strict,
            &mut |sequence, payload| {
                read += payload.len() as u64;
                let taken = self.guard.monotonic().saturating_sub(start);
                if taken >= next_word {
                    let total = self.log_on_disk();
                    tracing::info!(dir = %self.dir.display(), read, total, "starting: the log is being replayed");
                    next_word = taken + PROGRESS_EVERY;
                }
                self.replay_entry(sequence, payload, &mut told)
            },
        )?;
        let mut writer = self.writer.lock();
        let mut wal = self.commit.lock();
        let mut view = self.view.write();
        let (file_bytes, durability) = (self.settings.log_file_bytes, self.settings.durability);
        *wal = Wal::new(self.disk.clone(), &self.dir, self.format.lineage, file_bytes, durability, &replay);
        view.visible = view.visible.max(replay.last);
        let committed = self.measure(&wal, &view);
        *writer = Writer::new(committed, view.epoch, version.horizon);
        *self.recovery.lock() = told.report(&self.dir, &identity::show(self.format.volume), &replay);
        Ok(())
    }

    fn replay_entry(&self, sequence: Sequence, payload: &[u8], told: &mut Told) -> std::result::Result<(), String> {
        let entry = Entry::decode(payload).map_err(|malformed| malformed.0.to_owned())?;
        if matches!(entry, Entry::Deletion(_)) {
            self.counters.note_dropped();
        }
        let (taken, lost) = self.view.write().replay(sequence, entry, self.guard.monotonic(), payload.len() as u64)?;
        told.batches += 1;
        told.points += taken as u64;
        told.lost += lost;
        Ok(())
    }

    fn log_on_disk(&self) -> u64 {
        let folder = self.dir.join(layout::WAL);
        let names = self.disk.list(&folder).unwrap_or_default();
        let len = |name: &String| self.disk.open(&folder.join(name)).and_then(|file| file.len()).unwrap_or(0);
        names.iter().map(len).sum()
    }
}

/// Which windows are kept: what the volume was made with, and its own tiers unless whoever opens it has others.
pub(super) fn rollup_of(settings: &Settings, format: &FormatV1) -> Rollup {
    let late = format.discard_late_after;
    let late = late.map_or(Late::Correct, |millis| Late::DiscardAfter(Duration::from_millis(millis)));
    let tiers = settings.own_tiers.clone().or_else(|| format::tiers_of(format));
    Rollup {
        late,
        partition_days: format.partition_days,
        sketches: format.sketches,
        tiers: tiers.unwrap_or_else(|| settings.rollup.tiers.clone()),
    }
}

/// What a replay has met so far.
#[derive(Default)]
struct Told {
    damage: Vec<String>,
    batches: u64,
    points: u64,
    lost: usize,
}

impl Told {
    /// Says what opening found, in the log and as the report.
    fn report(self, dir: &Path, volume: &str, replay: &Replay) -> Recovery {
        let Self { mut damage, batches, points, lost } = self;
        damage.extend(replay.damage.iter().cloned());
        // Told with the damage that took the names, not again at every later opening.
        if lost > 0 && !damage.is_empty() {
            damage.push(format!("{lost} points in all belong to series whose names are lost"));
        }
        for note in &damage {
            tracing::warn!(dir = %dir.display(), "{note}");
        }
        if damage.len() > DAMAGE_NOTES_MAX {
            let more = damage.len() - DAMAGE_NOTES_MAX;
            damage.truncate(DAMAGE_NOTES_MAX);
            damage.push(format!("and {more} more places"));
        }
        let read_only = replay.unmended.as_ref().map(ToString::to_string);
        if let Some(error) = &read_only {
            tracing::error!(dir = %dir.display(), %error, "the database can be read but not written");
        }
        let Replay { sealed, torn_bytes, torn_batches, .. } = *replay;
        tracing::info!(dir = %dir.display(), volume, clean = sealed, batches, points, torn_bytes, "the log is replayed");
        Recovery { clean: sealed && damage.is_empty(), batches, points, torn_bytes, torn_batches, read_only, damage }
    }
}

/// Removes files that a crash left before they became true; gives the names of the others. Makes a folder that is not
/// there: an empty one is easily lost when a volume is copied.
fn sweep(disk: &dyn Disk, dir: &Path) -> Result<Vec<String>> {
    let io = |error| Error::io(format_args!("sweep {}", dir.display()), error);
    let names = match disk.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            disk.create_dir_all(dir).map_err(|error| Error::io(format_args!("make {}", dir.display()), error))?;
            Vec::new()
        }
        names => names.map_err(io)?,
    };
    let (drafts, others): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| name.ends_with(TEMPORARY));
    for name in drafts {
        tracing::info!(file = %name, "a file that never became true is removed");
        disk.remove(&dir.join(name)).map_err(io)?;
    }
    Ok(others)
}

/// Those of these files that are segments which no manifest lists: they never became true, or are no longer.
fn unlisted(stored: Vec<String>, version: &Version) -> Vec<String> {
    let segments = version.segments.iter();
    let listed: BTreeSet<String> = segments.map(|meta| layout::segment_name(meta.number, meta.kind())).collect();
    let is_unlisted = |name: &String| layout::segment_number(name).is_some() && !listed.contains(name);
    stored.into_iter().filter(is_unlisted).collect()
}
