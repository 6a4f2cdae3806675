//! The segments of one version, open for reading. Immutable: a change makes a new shelf that shares what stays.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::env::disk::Disk;
use crate::error::{Error, ErrorKind};
use crate::manifest::Version;
use crate::model::limits::READ_CACHE_BYTES_MAX;
use crate::model::segment::{Partition, Role, SegmentMeta};
use crate::model::series::SeriesId;
use crate::model::time::TimeRange;
use crate::segment::{Cache, Segment};

/// All segments of a version, in order of their numbers.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) version: Arc<Version>,
    slots: Vec<Arc<Slot>>,
    /// Those of summaries, in the order in which they were written.
    summaries: BTreeMap<Partition, Vec<Arc<Slot>>>,
    /// Those of points, the one that ends last in front.
    ending_last: Vec<Arc<Slot>>,
    /// What was read from them.
    cache: Arc<Cache>,
}

/// One segment: what is known of it, and its file unless that cannot be read.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) meta: SegmentMeta,
    file: Option<Arc<Segment>>,
    /// What was found wrong with it, first.
    damage: OnceLock<Error>,
}

impl Shelf {
    /// Opens every segment of a version; those that cannot be read are there as damaged.
    ///
    /// # Errors
    /// `NoSpace` when there are no descriptors left.
    pub(super) fn open(
        disk: &Arc<dyn Disk>,
        folder: &Path,
        lineage: [u8; 16],
        version: Arc<Version>,
    ) -> Result<Self, Error> {
        let cache = Arc::new(Cache::new(READ_CACHE_BYTES_MAX));
        let slots = version.segments.iter().map(|meta| Slot::open(disk, folder, lineage, *meta, &cache));
        let slots = slots.collect::<Result<_, _>>()?;
        Ok(Self::of(version, slots, cache))
    }

    fn of(version: Arc<Version>, slots: Vec<Arc<Slot>>, cache: Arc<Cache>) -> Self {
        let mut summaries: BTreeMap<Partition, Vec<Arc<Slot>>> = BTreeMap::new();
        for slot in slots.iter().filter(|slot| !slot.meta.holds_points()) {
            summaries.entry(slot.meta.partition).or_default().push(slot.clone());
        }
        for slots in summaries.values_mut() {
            slots.sort_by_key(|slot| slot.meta.newest);
        }
        let mut ending_last: Vec<_> = slots.iter().filter(|slot| slot.meta.holds_points()).cloned().collect();
        ending_last.sort_by_key(|slot| Reverse(slot.meta.times.1));
        Self { version, slots, summaries, ending_last, cache }
    }

    /// The shelf of a later version, with the segments that are new to it.
    pub(super) fn with(&self, version: Arc<Version>, new: Vec<Arc<Slot>>) -> Self {
        let mut known: HashMap<u64, Arc<Slot>> = new.into_iter().map(|slot| (slot.meta.number, slot)).collect();
        known.extend(self.slots.iter().map(|slot| (slot.meta.number, slot.clone())));
        let slots =
            version.segments.iter().map(|meta| known.remove(&meta.number).expect("a version lists what is there"));
        let slots = slots.collect();
        Self::of(version, slots, self.cache.clone())
    }

    /// What was read from its segments.
    pub(super) fn cache(&self) -> &Arc<Cache> {
        &self.cache
    }

    pub(super) fn slots(&self) -> &[Arc<Slot>] {
        &self.slots
    }

    /// Number of names in all segments, as far as they can be read: a series counts in each that holds it.
    pub(super) fn names_len(&self) -> u64 {
        self.slots.iter().filter_map(|slot| slot.file.as_ref()).map(|file| file.series_len()).sum()
    }

    /// The segments that may hold points of a series in a range, what was written last first.
    pub(super) fn points_of(&self, id: SeriesId, range: TimeRange) -> Vec<&Arc<Slot>> {
        let may_hold = |slot: &&Arc<Slot>| slot.meta.holds_points() && slot.meta.may_hold(id, range);
        let mut slots: Vec<_> = self.slots.iter().filter(may_hold).collect();
        slots.sort_by_key(|slot| (slot.meta.role != Role::Override, Reverse(slot.meta.newest)));
        slots
    }

    /// Those that hold points, the one that ends last first.
    pub(super) fn ending_last(&self) -> &[Arc<Slot>] {
        &self.ending_last
    }

    /// The summaries of a partition, what was written first first.
    pub(super) fn summaries_of(&self, partition: Partition) -> &[Arc<Slot>] {
        self.summaries.get(&partition).map_or(&[], Vec::as_slice)
    }

    /// The length of the windows that are stored of a partition, in ms.
    pub(super) fn window_of(&self, partition: Partition) -> Option<i64> {
        match self.summaries_of(partition).first()?.meta.role {
            Role::Summaries(window) => Some(window),
            Role::Plain(_) | Role::Override => None,
        }
    }

    pub(super) fn slot(&self, number: u64) -> Option<&Arc<Slot>> {
        self.slots.binary_search_by_key(&number, |slot| slot.meta.number).ok().map(|position| &self.slots[position])
    }
}

impl Slot {
    pub(super) fn open(
        disk: &Arc<dyn Disk>,
        folder: &Path,
        lineage: [u8; 16],
        meta: SegmentMeta,
        cache: &Arc<Cache>,
    ) -> Result<Arc<Self>, Error> {
        let slot = Self { meta, file: None, damage: OnceLock::new() };
        Ok(Arc::new(match Segment::open(disk.clone(), folder, lineage, meta) {
            Ok(file) => Self { file: Some(Arc::new(file.with_cache(cache))), ..slot },
            Err(error) if error.kind() == ErrorKind::NoSpace => return Err(error),
            Err(error) => {
                slot.note(&error);
                slot
            }
        }))
    }

    /// The file.
    ///
    /// # Errors
    /// What was wrong with it when it was opened.
    pub(super) fn file(&self) -> Result<&Arc<Segment>, Error> {
        self.file.as_ref().ok_or_else(|| {
            let unknown = || Error::corrupt(format!("segment {} could not be opened", self.meta.number));
            self.damage.get().cloned().unwrap_or_else(unknown)
        })
    }

    /// Notes that it cannot be read as it should; gives the error back.
    pub(super) fn note(&self, error: &Error) -> Error {
        // No descriptor left, say: nothing is wrong with the file.
        if error.kind() != ErrorKind::NoSpace && self.damage.set(error.clone()).is_ok() {
            tracing::error!(%error, "a segment cannot be read; the rest is served");
        }
        error.clone()
    }

    pub(super) fn damage(&self) -> Option<&Error> {
        self.damage.get()
    }
}
