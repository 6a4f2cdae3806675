//! Opening a backup as it lies there, to read it: nothing of it is changed, and its clock stands at the moment at which it
//! was taken, so that it answers as the store did then.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::backup::Contents;
use crate::engine::ledger::Ledger;
use crate::engine::names::load_catalog;
use crate::engine::open::rollup_of;
use crate::engine::settings::{KeepCatalog, Maintenance, Settings};
use crate::engine::shelf::Shelf;
use crate::engine::view::View;
use crate::engine::{Engine, format};
use crate::env::clock::ManualClock;
use crate::env::disk::Disk;
use crate::env::layout;
use crate::error::{Error, Result};
use crate::manifest::Manifest;
use crate::model::rollup::Rollup;

impl Engine {
    /// Opens the backup in a folder.
    pub(crate) fn open_frozen(disk: Arc<dyn Disk>, dir: &Path) -> Result<Arc<Self>> {
        let contents = Contents::read(&*disk, dir)?;
        let format = format::read(&*disk, dir)?;
        let format = format.ok_or_else(|| Error::corrupt(format!("{} has no FORMAT", dir.display())))?;
        let other = |what| Error::corrupt(format!("{}: {what} is of another backup, use another one", dir.display()));
        if (format.volume, format.lineage) != (contents.volume, contents.lineage) {
            return Err(other(layout::FORMAT));
        }
        let tiers = contents.tiers.iter().map(|&(window, keep)| {
            Some((Duration::from_millis(u64::try_from(window).ok()?), Duration::from_millis(u64::try_from(keep).ok()?)))
        });
        let tiers = tiers.collect::<Option<Vec<_>>>().and_then(|tiers| Rollup::check_tiers(&tiers).ok());
        let settings = Settings {
            clock: Arc::new(ManualClock::new(contents.taken_at)),
            maintenance: Maintenance::Manual,
            keep_catalog: KeepCatalog::Never,
            // What a backup answers is whole, or an error.
            strict: true,
            own_tiers: Some(tiers.ok_or_else(|| Error::corrupt(format!("{}: windows that cannot be", dir.display())))?),
            ..Settings::default()
        };
        let (manifest, mut damage) = Manifest::open(disk.clone(), dir, format.lineage)?;
        let version = manifest.version().clone();
        if version.flushed != contents.sequence {
            return Err(other(layout::MANIFEST));
        }
        let shelf = Shelf::open(&disk, &dir.join(layout::SEGMENTS), format.lineage, version)?;
        damage.extend(shelf.slots().iter().filter_map(|slot| slot.damage()).map(ToString::to_string));
        let mut ledger = Ledger::new(manifest, None);
        let mut notes = Vec::new();
        let catalog = load_catalog(&mut ledger, KeepCatalog::Never, &shelf, &|_, _| false, &mut notes)?;
        // Those are true of the database too, which opens with them.
        for note in notes {
            tracing::warn!(backup = %dir.display(), "{note}");
        }
        if let Some(note) = damage.first() {
            return Err(Error::corrupt(format!("{note}; use another backup")));
        }
        let view = View::new(catalog, Arc::new(shelf), Arc::new(rollup_of(&settings, &format)));
        let engine = Arc::new(Self::assemble(disk, dir, settings, format, None, ledger, view));
        // The moment is the one that the store believed in.
        engine.guard.believe();
        engine.gauges.note_view(&engine.view.read());
        Ok(engine)
    }
}
