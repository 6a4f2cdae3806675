//! Where the names come from when a volume is opened, and the care for their copy on disk. Segments name their own series,
//! so they alone are enough; a copy is kept where they are so many that reading all of them would take longer. Flushes do
//! not wait for it: what has come since makes it outdated, and it is brought up to date when nothing else is to be done.

use std::sync::Arc;

use parking_lot::RwLockWriteGuard;

use crate::catalog::{Catalog, Loaded, SledStore};
use crate::engine::Engine;
use crate::engine::ledger::{Ledger, StoredCopy};
use crate::engine::settings::KeepCatalog;
use crate::engine::shelf::{Shelf, Slot};
use crate::error::{Error, Result};
use crate::manifest::{Edit, StoredCatalog};
use crate::model::limits::{NAMES_READ_FACTOR, NAMES_READ_MIN};
use crate::model::segment::CatalogMark;
use crate::model::series::{SeriesId, SeriesKey};

impl KeepCatalog {
    /// Whether a copy of `series` names takes less time to read than the `names` in all segments.
    pub(super) fn pays(self, names: u64, series: u64) -> bool {
        match self {
            Self::Never => false,
            Self::WhereItPays => names > NAMES_READ_MIN.saturating_add(series.saturating_mul(NAMES_READ_FACTOR)),
            Self::Always => true,
        }
    }
}

/// The catalogue of a volume that is being opened, as far as its log does not say more.
///
/// # Errors
/// Of a segment that `is_lost` does not give up.
pub(super) fn load_catalog(
    ledger: &mut Ledger,
    keep: KeepCatalog,
    shelf: &Shelf,
    is_lost: &dyn Fn(&Slot, &Error) -> bool,
    damage: &mut Vec<String>,
) -> Result<Catalog> {
    let mark = shelf.version.catalog;
    // What is damaged may be the only segment that names a series.
    let is_sound = || shelf.slots().iter().all(|slot| slot.file().is_ok());
    let is_asked = mark.is_some_and(|mark| keep.pays(shelf.names_len(), mark.series) || !is_sound());
    if is_asked && let Some(catalog) = load_copy(ledger, shelf, damage) {
        return Ok(catalog);
    }
    let mut told = Vec::new();
    let read = read_names(shelf, is_lost, &mut told);
    // What is damaged is for `strict` to refuse; what cannot be read for the moment need not be.
    if matches!(&read, Err(error) if !error.is_corruption())
        && !is_asked
        && let Some(catalog) = load_copy(ledger, shelf, damage)
    {
        return Ok(catalog);
    }
    let (catalog, is_whole) = read?;
    if !is_whole {
        if !is_asked && let Some(catalog) = load_copy(ledger, shelf, damage) {
            damage.extend(told);
            return Ok(catalog);
        }
        // Nothing vouches for what lacks the names of a segment, so that the next open tells it again.
        ledger.copy = StoredCopy::Abandoned;
    }
    damage.extend(told);
    Ok(catalog)
}

/// The catalogue as it is stored, if it is exactly what the manifest says.
fn load_copy(ledger: &mut Ledger, shelf: &Shelf, damage: &mut Vec<String>) -> Option<Catalog> {
    let next = shelf.version.next_series;
    let mark = shelf.version.catalog?;
    let loaded = ledger.catalog.as_mut()?.load(&mark);
    ledger.copy = StoredCopy::Wrong;
    match loaded {
        Loaded::Exact(series) if series.iter().all(|(id, _)| *id < next) => {
            let mut catalog = Catalog::beginning_at(next, mark.series);
            for (id, key) in series {
                let twice = catalog.recall(id, key);
                assert!(twice.is_none(), "a store has each name once");
            }
            ledger.copy = StoredCopy::Open { mark, next, left: Vec::new() };
            return Some(catalog);
        }
        Loaded::Exact(_) => damage.push("catalog: it holds series that were never numbered; it is rebuilt".to_owned()),
        Loaded::Damaged(why) => damage.push(format!("catalog: {why}; it is rebuilt from the segments")),
        Loaded::Absent => {}
    }
    None
}

/// The catalogue out of the names in the segments, and whether all of those could be read.
fn read_names(
    shelf: &Shelf,
    is_lost: &dyn Fn(&Slot, &Error) -> bool,
    damage: &mut Vec<String>,
) -> Result<(Catalog, bool)> {
    let next = shelf.version.next_series;
    // No name takes less than a byte, whatever a footer says.
    let len = |slot: &Arc<Slot>| Some(slot.file().ok()?.series_len().min(slot.meta.bytes));
    let lens = shelf.slots().iter().filter_map(len);
    let mut catalog = Catalog::beginning_at(next, lens.max().unwrap_or(0));
    let mut is_whole = true;
    for slot in shelf.slots() {
        match slot.file().and_then(|file| file.new_names(|id| catalog.contains(id) || id >= next)) {
            Ok(names) => {
                for (id, key) in names {
                    // If what was lost is back, its series may have second numbers.
                    let twice = catalog.recall(id, key.clone());
                    let note = |(older, newer): (SeriesId, SeriesId)| {
                        format!("{key} is series {} and {}: points of the former cannot be reached", older.0, newer.0)
                    };
                    damage.extend(twice.map(note).filter(|note| !damage.contains(note)));
                }
            }
            Err(error) if is_lost(slot, &error) => {
                is_whole = false;
                if slot.damage().is_none() {
                    damage.push(slot.note(&error).to_string());
                }
            }
            // IMPORTANT: what can be read the next time may name series, which must not get second numbers until then.
            Err(error) => return Err(slot.note(&error)),
        }
    }
    Ok((catalog, is_whole))
}

/// What has to be done about the copy.
enum Due {
    Nothing,
    /// It does not pay any more.
    Removal,
    /// It is outdated, or not there.
    Change,
}

impl Engine {
    /// Brings the copy of the catalogue up to date if one is worth having, and removes it otherwise. What goes wrong with
    /// it costs the next open some time, and no more.
    pub(super) fn settle_catalog(&self) -> Result<()> {
        self.check_open()?;
        let mut ledger = self.ledger.lock();
        let listed = ledger.manifest.version().catalog.is_some();
        let due = self.catalog_due(&ledger, listed);
        if listed && !matches!(due, Due::Nothing) {
            // IMPORTANT: nothing vouches for what is being removed or made anew.
            let edit = Edit { catalog: Some(StoredCatalog::Behind), ..Edit::default() };
            self.commit_to(&mut ledger, edit, self.guard.confirmed())?;
        }
        match due {
            Due::Nothing => Ok(()),
            Due::Removal => {
                let removed = ledger.catalog.as_mut().map_or(Ok(()), SledStore::remove);
                ledger.copy = StoredCopy::Gone;
                if let Err(error) = removed {
                    tracing::warn!(%error, "a stored catalogue that is not needed any more stays");
                }
                Ok(())
            }
            Due::Change => {
                let (stored, next) = self.change_catalog(&mut ledger);
                match stored {
                    Ok(mark) => {
                        ledger.copy = StoredCopy::Open { mark, next, left: Vec::new() };
                        let catalog = Some(StoredCatalog::Holds(mark));
                        let edit = Edit { catalog, next_series: next, ..Edit::default() };
                        self.commit_to(&mut ledger, edit, self.guard.confirmed())
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the catalogue cannot be stored; the next open reads all names");
                        ledger.copy = StoredCopy::Abandoned;
                        Ok(())
                    }
                }
            }
        }
    }

    fn catalog_due(&self, ledger: &Ledger, listed: bool) -> Due {
        let view = self.view.read();
        let (names, series) = (view.shelf.names_len(), view.catalog.len() as u64);
        let pays = |names| self.settings.keep_catalog.pays(names, series);
        let is_known = !matches!(ledger.copy, StoredCopy::Wrong);
        if ledger.catalog.is_none() || matches!(ledger.copy, StoredCopy::Abandoned) {
            return Due::Nothing;
        }
        // It may be all that has the names which a damaged segment has lost, or is about to.
        let is_harmed = view.shelf.slots().iter().any(|slot| slot.damage().is_some());
        // What was made is kept until half as much would do, so that it does not come and go.
        let is_kept = is_harmed || pays(names) || (listed && is_known && pays(names.saturating_mul(2)));
        match (is_kept, listed && is_known) {
            (false, _) if matches!(ledger.copy, StoredCopy::Gone) => Due::Nothing,
            (false, _) => Due::Removal,
            (true, true) => Due::Nothing,
            (true, false) => Due::Change,
        }
    }

    /// Stores what has come and gone, or all of it; gives the next number as of that moment.
    fn change_catalog(&self, ledger: &mut Ledger) -> (Result<CatalogMark>, SeriesId) {
        let store = ledger.catalog.as_mut().expect("without a store nothing is due");
        let (known, left) = match std::mem::replace(&mut ledger.copy, StoredCopy::Wrong) {
            StoredCopy::Open { mark, next, left } => (Some((mark, next)), left),
            StoredCopy::Unread | StoredCopy::Wrong | StoredCopy::Gone | StoredCopy::Abandoned => (None, Vec::new()),
        };
        let mut view = self.view.write();
        let next = view.catalog.next_id();
        let since = view.catalog.take_since(known.map_or(next, |(_, next)| next));
        let view = RwLockWriteGuard::downgrade(view);
        let Some((mark, _)) = known else {
            let all: Vec<(SeriesId, SeriesKey)> = view.catalog.iter().map(|(id, key, _)| (id, key.clone())).collect();
            drop(view);
            return (store.rebuild(&all), next);
        };
        drop(view);
        let is_same = since.is_empty() && left.is_empty();
        (if is_same { Ok(mark) } else { store.change(&since, &left) }, next)
    }
}
