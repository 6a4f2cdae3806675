//! What is stored and how much of it: for people and for programs that watch.

use std::sync::atomic::Ordering;

use crate::catalog::{Loaded, SledStore};
use crate::engine::Engine;
use crate::engine::health::Health;
use crate::error::{Error, Result};
use crate::model::durability::Sequence;
use crate::model::limits::CATALOG_BLOCK_SERIES_MAX;
use crate::model::segment::{Role, SegmentMeta};
use crate::model::series::SeriesId;
use crate::model::time::Timestamp;

/// Sizes and counts of an open database. See [`Db::stats`](crate::Db::stats).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// Series that are known: with points, a recent write, or windows.
    pub series: u64,
    /// Those of them that live on in windows alone, which do not count against
    /// [`Builder::series_max`](crate::Builder::series_max).
    pub resting_series: u64,
    /// Memory of their names, in bytes.
    pub series_bytes: u64,
    /// Points in segments, dead and replaced ones that still take space included.
    pub points: u64,
    /// Windows of those and of points that have gone, counted once for each segment that has something to say of one.
    pub windows: u64,
    /// Points in memory that are not in segments yet.
    pub recent_points: u64,
    /// Memory of those, in bytes.
    pub head_bytes: u64,
    /// Heads that wait to be flushed.
    pub frozen_heads: u64,
    /// Segments, those of points and those of windows.
    pub segments: u64,
    /// Their size, in bytes.
    pub segment_bytes: u64,
    /// The part of them that holds windows, in bytes.
    pub window_bytes: u64,
    /// Size of the manifest, in bytes.
    pub manifest_bytes: u64,
    /// Size of the log that the next open would replay, in bytes.
    pub log_bytes: u64,
    /// Size of the stored catalogue, in bytes.
    pub catalog_bytes: u64,
    /// Bytes of segments whose points are all dead, but which hide something that lies beneath.
    pub shadow_bytes: u64,
    /// Bytes of segments that are no longer needed but still read by somebody.
    pub pinned_bytes: u64,
    /// Bytes of segments that cannot be read.
    pub damaged_bytes: u64,
    /// Memory of what was read from segments and is kept for the next question, in bytes.
    pub cache_bytes: u64,
    /// How often a part of a segment was found there since the database was opened.
    pub cache_hits: u64,
    /// How often a part had to be read from its file.
    pub cache_misses: u64,
    /// Deletions that are not carried out everywhere yet.
    pub deletions: u64,
    /// Whether nothing is destroyed for the moment, because the clock has jumped forward.
    pub deletion_suspended: bool,
    /// The moment up to which expiry is final, whatever the clock does.
    pub horizon: Timestamp,
    /// The last batch that is visible.
    pub sequence: Sequence,
    /// Points that were flushed since the database was opened and replaced stored ones.
    pub replaced_stored: u64,
    /// Flushes since the database was opened.
    pub flushes: u64,
    /// Bytes of segments written by flushes since then.
    pub bytes_flushed: u64,
    /// Bytes of segments written anew by compaction since then.
    pub bytes_rewritten: u64,
    /// Bytes among those that were written anew to free what had expired.
    pub bytes_rewritten_for_expiry: u64,
    /// Bytes of segments removed since then.
    pub bytes_freed: u64,
    /// Backups that policies have made since then.
    pub backups_made: u64,
    /// Backups that policies have removed since then.
    pub backups_removed: u64,
    /// How often a policy could not make or remove one since then.
    pub backups_failed: u64,
}

impl Engine {
    pub(crate) fn stats(&self) -> Stats {
        let now = self.guard.confirmed().as_millis();
        let (pinned_bytes, manifest_bytes, catalog_bytes) = {
            let ledger = self.ledger.lock();
            (ledger.pinned_bytes(), ledger.manifest.bytes(), ledger.catalog.as_ref().map_or(0, SledStore::bytes))
        };
        let view = self.view.read();
        let segments = &view.shelf.version.segments;
        let sum = |of_points, what: fn(&SegmentMeta) -> u64| {
            segments.iter().filter(|meta| meta.holds_points() == of_points).map(what).sum()
        };
        let is_shadow = |role: Role, is_dead: bool| role == Role::Override && is_dead;
        let shadows = segments.iter().filter(|meta| is_shadow(meta.role, meta.is_dead_at(now)));
        let damaged = view.shelf.slots().iter().filter(|slot| slot.damage().is_some());
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let frozen = view.frozen.iter().map(|frozen| frozen.head.len()).sum::<usize>();
        let cache = view.shelf.cache().counts();
        Stats {
            series: view.catalog.len() as u64,
            resting_series: (view.catalog.len() - view.catalog.active_len()) as u64,
            series_bytes: view.catalog.bytes() as u64,
            points: sum(true, |meta| meta.points),
            windows: sum(false, |meta| meta.points),
            recent_points: (view.active.len() + frozen) as u64,
            head_bytes: view.head_bytes() as u64,
            frozen_heads: view.frozen.len() as u64,
            segments: segments.len() as u64,
            segment_bytes: segments.iter().map(|meta| meta.bytes).sum(),
            window_bytes: sum(false, |meta| meta.bytes),
            manifest_bytes,
            log_bytes: self.gauges.log_bytes(),
            catalog_bytes,
            shadow_bytes: shadows.map(|meta| meta.bytes).sum(),
            pinned_bytes,
            damaged_bytes: damaged.map(|slot| slot.meta.bytes).sum(),
            cache_bytes: cache.bytes,
            cache_hits: cache.hits,
            cache_misses: cache.misses,
            deletions: view.deletions.len() as u64,
            deletion_suspended: self.guard.is_suspended(),
            horizon: self.guard.horizon(),
            sequence: view.visible,
            replaced_stored: count(&self.counters.replaced_stored),
            flushes: count(&self.counters.flushes),
            bytes_flushed: count(&self.counters.bytes_flushed),
            bytes_rewritten: count(&self.counters.bytes_rewritten),
            bytes_rewritten_for_expiry: count(&self.counters.bytes_rewritten_for_expiry),
            bytes_freed: count(&self.counters.bytes_freed),
            backups_made: count(&self.counters.backups_made),
            backups_removed: count(&self.counters.backups_removed),
            backups_failed: count(&self.counters.backups_failed),
        }
    }

    pub(crate) fn health(&self) -> Health {
        let log = self.commit.lock().failure();
        if let Some(error) = self.troubles.failure().or(log) {
            return Health::Failed(error.to_string());
        }
        let mut sentences = self.troubles.sentences();
        if self.guard.is_suspended() {
            sentences.push("the clock has jumped forward: nothing is destroyed until that is confirmed".into());
        }
        let shelf = self.view.read().shelf.clone();
        let damage = shelf.slots().iter().filter_map(|slot| slot.damage());
        sentences.extend(damage.map(ToString::to_string));
        if sentences.is_empty() { Health::Good } else { Health::Degraded(sentences) }
    }

    /// Reads and checks every file that is true; gives what is wrong, nothing if all is well.
    pub(crate) fn verify(&self) -> Vec<Error> {
        if let Err(error) = self.check_open() {
            return vec![error];
        }
        let shelf = self.view.read().shelf.clone();
        let mut found = Vec::new();
        for slot in shelf.slots() {
            match slot.file() {
                Ok(file) => found.extend(file.verify().into_iter().map(|error| slot.note(&error))),
                Err(error) => found.push(error),
            }
        }
        found.extend(self.ledger.lock().manifest.verify().err());
        found.extend(self.verify_catalog().err());
        let log = self.commit.lock().check();
        found.extend(log.run());
        found
    }

    /// Holds the stored catalogue, as far as the manifest vouches for it, against the one in memory.
    fn verify_catalog(&self) -> Result<()> {
        let mark = {
            let mut ledger = self.ledger.lock();
            let Some(mark) = ledger.manifest.version().catalog else { return Ok(()) };
            let Some(store) = &mut ledger.catalog else { return Ok(()) };
            if !store.is_open()
                && let Loaded::Damaged(why) = store.load(&mark)
            {
                return Err(Error::corrupt(format!("catalog: {why}")));
            }
            mark
        };
        let (mut after, mut count) = (None, 0);
        loop {
            // Page by page: others need the ledger too.
            let mut ledger = self.ledger.lock();
            if ledger.manifest.version().catalog != Some(mark) {
                return Ok(());
            }
            let Some(store) = &mut ledger.catalog else { return Ok(()) };
            let page = store.scan((None, None), after.as_ref(), CATALOG_BLOCK_SERIES_MAX)?;
            let Some((_, last)) = page.last() else { break };
            count += page.len() as u64;
            after = Some(last.clone());
            let next = ledger.manifest.version().next_series;
            let view = self.view.read();
            // A series may have been forgotten since, and have come back under a number that no segment has yet.
            let is_other = |id: SeriesId, known: SeriesId| known != id && known < next;
            let wrong = page.iter().find(|(id, key)| view.catalog.id(key).is_some_and(|known| is_other(*id, known)));
            if let Some((id, key)) = wrong {
                return Err(Error::corrupt(format!("catalog: {key} is stored as series {}", id.0)));
            }
        }
        if count == mark.series {
            return Ok(());
        }
        Err(Error::corrupt(format!("catalog: {count} series are stored, not {}", mark.series)))
    }
}
