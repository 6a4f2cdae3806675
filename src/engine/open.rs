//! Opening a volume: lock, FORMAT, sweep, replay, and the state that everything else works on.

use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex, RwLock};

use crate::codec::batch::LogBatch;
use crate::engine::background::Syncer;
use crate::engine::recovery::Recovery;
use crate::engine::settings::Settings;
use crate::engine::view::View;
use crate::engine::write::{Committed, Size, Writer};
use crate::engine::{Engine, Life, format};
use crate::env::disk::{Disk, TEMPORARY};
use crate::env::lock::DirLock;
use crate::env::{identity, layout};
use crate::error::{Error, Result};
use crate::model::durability::Durability;
use crate::model::limits::DAMAGE_NOTES_MAX;
use crate::wal::{self, Replay, Wal};

impl Engine {
    /// Opens the volume in a directory, making it if it is not there.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path, settings: Settings) -> Result<Arc<Self>> {
        if matches!(disk.list(dir), Err(error) if error.kind() == io::ErrorKind::NotFound) {
            disk.create_dir_all(dir).map_err(|error| Error::io(format_args!("make {}", dir.display()), error))?;
        }
        let lock = DirLock::acquire(&*disk, dir)?;
        let format = format::read_or_make(&*disk, dir)?;
        for each in [dir, &dir.join(layout::WAL)] {
            sweep(&*disk, each)?;
            // IMPORTANT: a name that is read back may exist in the cache only, if the last run ended between a rename
            // and its sync. From here on it is built upon, so it is made durable first.
            disk.sync_dir(each)
                .map_err(|error| Error::io(format_args!("sync the folder {}", each.display()), error))?;
        }

        let mut view = View::default();
        let mut lost = 0;
        let mut counts = (0, 0);
        let replay = wal::replay(&*disk, dir, format.lineage, settings.strict, &mut |sequence, payload| {
            let batch = LogBatch::decode(payload).map_err(|malformed| malformed.0.to_owned())?;
            let points = batch.points.len();
            let nameless = view.replay(sequence, batch)?;
            counts.0 += 1;
            counts.1 += (points - nameless) as u64;
            lost += nameless;
            Ok(())
        })?;
        let recovery = tell(dir, &identity::show(format.volume), &replay, counts, lost);

        let committed = Committed {
            last: replay.last,
            next_series: view.catalog.next_id(),
            series: view.catalog.len(),
            size: Size { log: replay.bytes, memory: view.bytes() },
        };
        let wal = Wal::new(disk, dir, format.lineage, settings.log_file_bytes, &replay);
        let commit = Arc::new(Mutex::new(wal));
        let syncer = match settings.durability {
            Durability::Interval(every) => Some(Syncer::start(every, commit.clone())?),
            Durability::Sync | Durability::Buffered => None,
        };
        Ok(Arc::new(Self {
            settings,
            recovery,
            turn: Condvar::new(),
            writer: Mutex::new(Writer::new(committed)),
            commit,
            view: RwLock::new(view),
            life: Mutex::new(Life { syncer, lock: Some(lock) }),
        }))
    }
}

/// Removes files that a crash left before they became true.
fn sweep(disk: &dyn Disk, dir: &Path) -> Result<()> {
    let io = |error| Error::io(format_args!("sweep {}", dir.display()), error);
    for name in disk.list(dir).map_err(io)?.iter().filter(|name| name.ends_with(TEMPORARY)) {
        tracing::info!(file = %name, "a file that never became true is removed");
        disk.remove(&dir.join(name)).map_err(io)?;
    }
    Ok(())
}

/// Says what replaying found, in the log and as the report.
fn tell(dir: &Path, volume: &str, replay: &Replay, (batches, points): (u64, u64), lost: usize) -> Recovery {
    let mut damage = replay.damage.clone();
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
