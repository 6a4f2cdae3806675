//! The one place that makes changes of what is stored true: first in the manifest, then in the view.

use std::sync::Arc;

use crate::catalog::SledStore;
use crate::engine::Engine;
use crate::engine::shelf::Slot;
use crate::engine::view::is_needed_by;
use crate::env::layout;
use crate::error::{ErrorKind, Result};
use crate::manifest::{Edit, Manifest, StoredCatalog, Version};
use crate::model::segment::{CatalogMark, SegmentMeta};
use crate::model::series::{SeriesId, SeriesKey};
use crate::model::time::Timestamp;

/// What is stored, as its lock owns it.
pub(super) struct Ledger {
    pub(super) manifest: Manifest,
    /// None if it is never stored.
    pub(super) catalog: Option<SledStore>,
    pub(super) copy: StoredCopy,
    /// Segments that are no longer true, whose files go when nobody reads them any more.
    graveyard: Vec<Arc<Slot>>,
}

/// What is known of the stored catalogue.
pub(super) enum StoredCopy {
    /// Nothing but what the manifest says.
    Unread,
    /// It is open, adds up to this mark, and holds every series whose number is below `next`, and beside them those that
    /// have `left` since.
    Open { mark: CatalogMark, next: SeriesId, left: Vec<SeriesKey> },
    /// It is not what the manifest says.
    Wrong,
    /// There is none.
    Gone,
    /// It could not be stored, or not all names are known: it is let be in this run.
    Abandoned,
}

impl Ledger {
    pub(super) fn new(manifest: Manifest, catalog: Option<SledStore>) -> Self {
        Self { manifest, catalog, copy: StoredCopy::Unread, graveyard: Vec::new() }
    }

    /// Whether the stored catalogue, if the manifest lists one, may go on being listed beside segments that name series
    /// below `next`. Notes which series leave.
    fn is_copy_exact(&mut self, next: SeriesId, has_returned: bool, removed: &[(SeriesId, SeriesKey)]) -> bool {
        let known = match &mut self.copy {
            StoredCopy::Unread if removed.is_empty() => self.manifest.version().next_series,
            StoredCopy::Open { next, left, .. } => {
                left.extend(removed.iter().filter(|(id, _)| id < next).map(|(_, key)| key.clone()));
                *next
            }
            StoredCopy::Unread | StoredCopy::Wrong | StoredCopy::Gone | StoredCopy::Abandoned => return false,
        };
        let has_left = matches!(&self.copy, StoredCopy::Open { left, .. } if !left.is_empty());
        next == known && !has_returned && !has_left
    }

    /// Lets go of the stored catalogue, whose files may have another owner from now on.
    pub(super) fn close(&mut self) {
        self.catalog = None;
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

    /// The same, with series that are forgotten, which the stored catalogue may have.
    pub(super) fn commit_change(
        &self,
        mut edit: Edit,
        removed: &[(SeriesId, SeriesKey)],
        confirmed: Timestamp,
    ) -> Result<bool> {
        let mut ledger = self.ledger.lock();
        if is_stale(ledger.manifest.version(), &edit) {
            self.discard(&edit.add);
            return Ok(false);
        }
        let (next, has_returned) = {
            let view = self.view.read();
            (view.catalog.next_id(), view.catalog.has_returned())
        };
        edit.next_series = next;
        if !ledger.is_copy_exact(next, has_returned, removed) {
            edit.catalog = Some(StoredCatalog::Behind);
        }
        self.commit_to(&mut ledger, edit, confirmed).map(|()| true)
    }

    /// Makes an edit true that is not stale.
    pub(super) fn commit_to(&self, ledger: &mut Ledger, mut edit: Edit, confirmed: Timestamp) -> Result<()> {
        let opened = self.open_new(&edit.add);
        let slots = opened.inspect_err(|_| self.discard(&edit.add))?;
        let (shelf, known) = {
            let view = self.view.read();
            (view.shelf.clone(), view.deletions.list())
        };
        let before = &shelf.version;
        let flushed = edit.flushed.as_ref().map_or(before.flushed, |flushed| flushed.sequence);
        let stay = before.segments.iter().filter(|meta| !edit.remove.contains(&meta.number));
        let segments: Vec<SegmentMeta> = stay.chain(&edit.add).copied().collect();
        let deletions = known.into_iter().filter(|each| each.sequence <= flushed && is_needed_by(&segments, each));
        edit.deletions = Some(deletions.collect());
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
        self.bury(ledger);
        Ok(())
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
