//! The one place that makes changes of what is stored true: manifest and catalogue together, then the view.

use std::sync::Arc;

use crate::catalog::{CatalogStore, MemoryStore};
use crate::engine::Engine;
use crate::engine::shelf::Slot;
use crate::engine::view::is_needed_by;
use crate::env::layout;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::{Edit, Manifest, StoredCatalog, Version};
use crate::model::segment::{CatalogMark, SegmentMeta};
use crate::model::series::{SeriesId, SeriesKey};
use crate::model::time::Timestamp;

/// What is stored, as its lock owns it.
pub(super) struct Ledger {
    pub(super) manifest: Manifest,
    pub(super) catalog: Box<dyn CatalogStore>,
    /// What has become of the stored catalogue, as far as the manifest does not say so yet.
    pub(super) unlisted: Option<StoredCatalog>,
    /// Segments that are no longer true, whose files go when nobody reads them any more.
    graveyard: Vec<Arc<Slot>>,
}

impl Ledger {
    pub(super) fn new(manifest: Manifest, catalog: Box<dyn CatalogStore>) -> Self {
        Self { manifest, catalog, unlisted: None, graveyard: Vec::new() }
    }

    /// Stores a change of the catalogue. What it holds can be rebuilt, so that an error costs no more than that.
    fn change_catalog(&mut self, added: &[(SeriesId, SeriesKey)], removed: &[SeriesKey]) {
        if self.unlisted == Some(StoredCatalog::Behind) || (added.is_empty() && removed.is_empty()) {
            return;
        }
        let changed = self.catalog.change(added, removed);
        self.note_catalog(changed);
    }

    /// Notes what storing the catalogue has come to.
    pub(super) fn note_catalog(&mut self, stored: Result<CatalogMark>) {
        let told = |error: &Error| tracing::warn!(%error, "the stored catalogue is behind; the next open rebuilds it");
        self.unlisted = Some(stored.inspect_err(told).map_or(StoredCatalog::Behind, StoredCatalog::Holds));
    }

    /// Lets go of the stored catalogue, whose files may have another owner from now on.
    pub(super) fn close(&mut self) {
        self.catalog = Box::<MemoryStore>::default();
    }

    /// Bytes of files that only readers hold on to.
    pub(super) fn pinned_bytes(&self) -> u64 {
        self.graveyard.iter().map(|slot| slot.meta.bytes).sum()
    }
}

impl Engine {
    /// Makes an edit true, and visible; whether it did: not if it brings summaries of other windows than its partition
    /// is kept in by now, so that what led to it has to be done again. Then, and on an error, nothing has changed, and
    /// the files of new segments are gone; unless the manifest failed for good, and with it the volume's writing.
    pub(super) fn commit_edit(&self, edit: Edit, confirmed: Timestamp) -> Result<bool> {
        self.commit_change(edit, &[], confirmed)
    }

    /// The same, with series that leave the stored catalogue.
    pub(super) fn commit_change(&self, mut edit: Edit, removed: &[SeriesKey], confirmed: Timestamp) -> Result<bool> {
        let mut ledger = self.ledger.lock();
        if is_stale(ledger.manifest.version(), &edit) {
            self.discard(&edit.add);
            return Ok(false);
        }
        let opened = self.open_new(&edit.add);
        let slots = opened.inspect_err(|_| self.discard(&edit.add))?;
        let (added, next_series, shelf, known) = {
            let mut view = self.view.write();
            let added = view.catalog.take_unstored();
            (added, view.catalog.next_id(), view.shelf.clone(), view.deletions.list())
        };
        ledger.change_catalog(&added, removed);
        edit.catalog = ledger.unlisted;
        let before = &shelf.version;
        let flushed = edit.flushed.as_ref().map_or(before.flushed, |flushed| flushed.sequence);
        let stay = before.segments.iter().filter(|meta| !edit.remove.contains(&meta.number));
        let segments: Vec<SegmentMeta> = stay.chain(&edit.add).copied().collect();
        let deletions = known.into_iter().filter(|each| each.sequence <= flushed && is_needed_by(&segments, each));
        edit.deletions = Some(deletions.collect());
        edit.next_series = next_series;
        edit.horizon = Some(confirmed);
        let version = match ledger.manifest.commit(&edit) {
            Ok(version) => version,
            Err(error) if matches!(error.kind(), ErrorKind::Failed | ErrorKind::Unknown) => {
                // Nobody knows which manifest is true, so all files stay, and nothing more is promised.
                self.troubles.fail(&error);
                self.commit.lock().poison(&error);
                return Err(error);
            }
            Err(error) => {
                self.discard(&edit.add);
                return Err(error);
            }
        };
        // A catalogue that is behind stays so for this run.
        ledger.unlisted = ledger.unlisted.filter(|unlisted| *unlisted == StoredCatalog::Behind);
        if !edit.remove.is_empty() {
            self.counters.note_dropped();
        }
        ledger.graveyard.extend(edit.remove.iter().filter_map(|number| shelf.slot(*number).cloned()));
        let next = Arc::new(shelf.with(version, slots));
        drop(shelf);
        let mut view = self.view.write();
        view.publish(next);
        self.gauges.note_view(&view);
        drop(view);
        self.guard.advance(confirmed);
        self.bury(&mut ledger);
        Ok(true)
    }

    fn open_new(&self, add: &[SegmentMeta]) -> Result<Vec<Arc<Slot>>> {
        let folder = self.dir.join(layout::SEGMENTS);
        let cache = self.view.read().shelf.cache().clone();
        let open = |meta: &SegmentMeta| {
            let slot = Slot::open(&self.disk, &folder, self.format.lineage, *meta, &cache)?;
            slot.file().map(|_| ())?;
            Ok(slot)
        };
        add.iter().map(open).collect()
    }

    /// Removes files that are no longer true and that nobody reads.
    fn bury(&self, ledger: &mut Ledger) {
        let folder = self.dir.join(layout::SEGMENTS);
        ledger.graveyard.retain(|slot| {
            if Arc::strong_count(slot) > 1 {
                return true;
            }
            let path = folder.join(layout::segment_name(slot.meta.number, slot.meta.kind()));
            match self.disk.remove(&path) {
                Ok(()) => {
                    self.counters.note_freed(slot.meta.bytes);
                    false
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
                Err(error) => {
                    tracing::warn!(file = %path.display(), %error, "a dead segment stays until the next job");
                    true
                }
            }
        });
    }

    /// Removes files that readers held on to before.
    pub(super) fn bury_unread(&self) {
        self.bury(&mut self.ledger.lock());
    }
}

/// Whether an edit brings summaries of windows to a partition that is kept in others.
fn is_stale(version: &Version, edit: &Edit) -> bool {
    let summaries = edit.add.iter().filter(|meta| !meta.holds_points());
    let stays = |meta: &&SegmentMeta| !meta.holds_points() && !edit.remove.contains(&meta.number);
    let mut stay = summaries.flat_map(|new| version.segments.iter().filter(stays).map(move |old| (new, old)));
    stay.any(|(new, old)| new.partition == old.partition && new.role != old.role)
}
